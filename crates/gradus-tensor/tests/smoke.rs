//! The first things anyone does with a tensor.

use gradus_tensor::{DType, NewAxis, PadMode, Result, Tensor, s};

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

fn iota(shape: &[usize]) -> Result<Tensor> {
    Tensor::arange(0, shape.iter().product::<usize>(), 1, DType::I64)?.reshape(shape)
}

#[test]
fn indexing_like_numpy() -> Result<()> {
    let x = iota(&[2, 3, 4])?;
    assert_eq!(x.index((1, 2, 3))?.item::<i64>()?, 23);
    assert_eq!(x.index(s![.., -1, ..;3])?.to_vec::<i64>()?, [8, 11, 20, 23]);
    assert_eq!(x.index(s![..., 0])?.dims(), [2, 3]);
    assert_eq!(x.index(s![NewAxis, 0, 1..])?.dims(), [1, 2, 4]);
    let at = Tensor::from_slice(&[2i64, 0], 2)?;
    assert_eq!(x.index(s![.., &at, 1])?.to_vec::<i64>()?, [9, 1, 21, 13]);
    assert_eq!(
        x.index(s![0, .., &at])?.to_vec::<i64>()?,
        [2, 0, 6, 4, 10, 8]
    );
    assert_eq!(
        x.index(s![&Tensor::from_slice(&[1i64, -1], 2)?, .., &at])?
            .dims(),
        [2, 3]
    );
    assert_eq!(x.index(s![.., &at])?.dims(), [2, 2, 4]);
    let mask = x.gt_scalar(20)?;
    assert_eq!(x.index(&mask)?.to_vec::<i64>()?, [21, 22, 23]);
    assert_eq!(x.masked_select(&mask)?.to_vec::<i64>()?, [21, 22, 23]);
    assert!(
        x.index((0, 0, 0, 0)).is_err() && x.index(s![5]).is_err() && x.index(s![..;0]).is_err()
    );
    let y = Tensor::zeros(4, DType::F32)?;
    let twice = Tensor::from_slice(&[1i64, 1, 3], 3)?;
    let y = y.index_put(&twice, &Tensor::scalar(1f32), true)?;
    assert_eq!(y.to_vec::<f32>()?, [0., 2., 0., 1.]);
    Ok(())
}

#[test]
fn joins_and_parts() -> Result<()> {
    let x = iota(&[2, 3])?;
    assert_eq!(Tensor::cat(&[&x, &x], -1)?.dims(), [2, 6]);
    assert_eq!(
        Tensor::stack(&[&x, &x], 1)?.to_vec::<i64>()?,
        [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]
    );
    assert_eq!(x.repeat([2, 2])?.to_vec::<i64>()?[..6], [0, 1, 2, 0, 1, 2]);
    assert_eq!(
        x.repeat_interleave(2, 1)?.to_vec::<i64>()?,
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    );
    assert_eq!(x.roll(&[1], 1)?.to_vec::<i64>()?, [2, 0, 1, 5, 3, 4]);
    assert_eq!(x.rot90(1, &[0, 1])?.to_vec::<i64>()?, [2, 5, 1, 4, 0, 3]);
    assert_eq!(x.tril(0)?.to_vec::<i64>()?, [0, 0, 0, 3, 4, 0]);
    assert_eq!(x.diag_embed(1, -2, -1)?.dims(), [2, 4, 4]);
    assert_eq!(
        x.pad(&[-1, 0, 1, 0], PadMode::Constant(7.into()))?
            .to_vec::<i64>()?,
        [7, 7, 1, 2, 4, 5]
    );
    let index = Tensor::from_slice(&[0i64, 1, 0], [1, 3])?;
    assert_eq!(x.gather(0, &index)?.to_vec::<i64>()?, [0, 4, 2]);
    assert_eq!(
        x.scatter_add(0, &index, &iota(&[1, 3])?)?.to_vec::<i64>()?,
        [0, 1, 4, 3, 5, 5]
    );
    assert!(
        x.repeat([1i64 << 40, 1 << 40]).is_err()
            && x.pad(&[isize::MAX, isize::MAX], PadMode::Replicate)
                .is_err()
    );
    Ok(())
}
