//! Sizes of 0 and NaN where an op has to decide: as PyTorch decides.

use gradus_tensor::{AvgPoolParams, DType, MaxPoolParams, Result, Tensor};

#[test]
fn there_is_no_largest_of_nothing_even_when_nobody_asks() -> Result<()> {
    let x = Tensor::zeros([0, 0], DType::F32)?;
    for dim in [0, 1, -1] {
        assert!(x.amax(dim, false).is_err());
        assert!(x.amin(dim, true).is_err());
        assert!(x.max(dim, false).is_err());
        assert!(x.min(dim, false).is_err());
        assert!(x.argmax(dim, false).is_err());
        assert!(x.argmin(dim, false).is_err());
        assert!(x.aminmax(dim, false).is_err());
        assert_eq!(x.sum(dim, false)?.dims(), [0]);
    }
    let x = Tensor::zeros([0, 3], DType::F32)?;
    assert_eq!(x.amax(1, false)?.dims(), [0]);
    assert!(x.amax(0, false).is_err());
    Ok(())
}

#[test]
fn only_the_batch_of_a_pooled_input_may_be_empty() -> Result<()> {
    let max = MaxPoolParams::new([1, 1]);
    let avg = AvgPoolParams::new([1, 1]);
    let batch = Tensor::zeros([0, 2, 3, 3], DType::F32)?;
    assert_eq!(batch.max_pool(&max)?.dims(), [0, 2, 3, 3]);
    assert_eq!(batch.avg_pool(&avg)?.dims(), [0, 2, 3, 3]);
    for empty in [&[0, 3, 3][..], &[2, 0, 3, 3], &[2, 2, 3, 0]] {
        let x = Tensor::zeros(empty, DType::F32)?;
        assert!(x.max_pool(&max).is_err(), "{empty:?}");
        assert!(x.max_pool_with_indices(&max).is_err(), "{empty:?}");
        assert!(x.avg_pool(&avg).is_err(), "{empty:?}");
    }
    Ok(())
}

#[test]
fn heaviside_of_nan_is_0() -> Result<()> {
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        let x = Tensor::from_slice(&[f64::NAN, -1.0, 0.0, 2.0], 4)?.to_dtype(dtype)?;
        let y = x.heaviside(&x.full_like(0.5)?)?.to_dtype(DType::F64)?;
        assert_eq!(y.to_vec::<f64>()?, [0.0, 0.0, 0.5, 1.0]);
    }
    Ok(())
}
