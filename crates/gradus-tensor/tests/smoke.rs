//! The first things anyone does with a tensor.

use gradus_tensor::{DType, Result, Tensor};

#[test]
fn views_and_arithmetic() -> Result<()> {
    let x = Tensor::arange(0, 6, 1, DType::F32)?.reshape([2, -1])?;
    assert_eq!(x.dims(), [2, 3]);
    let y = (&x.t()? + &Tensor::from_vec(vec![10f32, 20.0], [2])?).contiguous()?;
    assert_eq!(y.to_vec::<f32>()?, [10., 23., 11., 24., 12., 25.]);
    assert_eq!(x.flip(..)?.to_vec::<f32>()?, [5., 4., 3., 2., 1., 0.]);
    assert_eq!(x.sum(1, false)?.to_vec::<f32>()?, [3., 12.]);
    assert_eq!(x.matmul(&x.t()?)?.to_vec::<f32>()?, [5., 14., 14., 50.]);
    assert_eq!(x.diagonal(1, 0, 1)?.to_vec::<f32>()?, [1., 5.]);
    assert_eq!(
        x.gt_scalar(2)?.to_vec::<bool>()?,
        [false, false, false, true, true, true]
    );
    let i = Tensor::arange(0, 3, 1, DType::I64)?;
    assert_eq!(i.mul_scalar(0.5)?.dtype(), DType::F32);
    assert!(
        x.reshape([4, 2]).is_err() && x.matmul(&x).is_err() && x.narrow(0, 1, usize::MAX).is_err()
    );
    assert!(Tensor::zeros([1 << 40, 1 << 20], DType::F32).is_err());
    Ok(())
}
