//! Mixed precision: which operations work in which dtype, what comes back to the leaves, and how far it is from f32.

use gradus_autograd::{Var, autocast, autocast_dtype, functional as f};
use gradus_tensor::random::Rng;
use gradus_tensor::{Conv2dParams, DType, Result, Tensor};

fn leaf(shape: &[usize], seed: u64) -> Result<Var> {
    Var::leaf(Tensor::randn(shape, DType::F32, &mut Rng::new(seed))?)
}

#[test]
fn products_are_low_and_sums_are_not() -> Result<()> {
    policy(DType::BF16)?;
    policy(DType::F16)
}

fn policy(low: DType) -> Result<()> {
    let (x, w, b) = (leaf(&[4, 8], 1)?, leaf(&[8, 8], 2)?, leaf(&[8], 3)?);
    let image = leaf(&[2, 3, 6, 6], 4)?;
    let kernel = leaf(&[5, 3, 3, 3], 5)?;
    let channels = leaf(&[5], 6)?;
    autocast(low, || -> Result<()> {
        assert_eq!(autocast_dtype(), Some(low));
        let y = x.linear(&w, Some(&b))?;
        assert_eq!((y.dtype(), x.matmul(&w)?.dtype()), (low, low));
        let conv = image.conv2d(&kernel, Some(&channels), &Conv2dParams::default())?;
        assert_eq!(conv.dtype(), low);
        assert_eq!(y.relu()?.dtype(), low);
        assert_eq!(y.add(&x)?.dtype(), DType::F32); // a residual
        assert_eq!(y.softmax(-1)?.dtype(), DType::F32);
        assert_eq!(
            f::layer_norm(&y, &[8], Some(&b), None, 1e-5)?.dtype(),
            DType::F32
        );
        assert_eq!(
            f::batch_norm(&conv, None, Some(&channels), None, true, 1e-5)?.dtype(),
            DType::F32
        );
        let classes = Tensor::from_slice(&[0i64, 3, 7, 1], 4)?;
        assert_eq!(
            f::cross_entropy(&y, &classes, &f::CrossEntropy::default())?.dtype(),
            DType::F32
        );
        let heads = y.reshape([1, 2, 4, 4])?;
        let attended =
            f::scaled_dot_product_attention(&heads, &heads, &heads, &f::Attention::default())?;
        assert_eq!(attended.dtype(), low);
        // f64 stays, and the mode can be switched off inside.
        assert_eq!(
            x.to_dtype(DType::F64)?
                .matmul(&w.to_dtype(DType::F64)?)?
                .dtype(),
            DType::F64
        );
        assert_eq!(autocast(DType::F32, || x.matmul(&w))?.dtype(), DType::F32);
        Ok(())
    })?;
    assert_eq!(autocast_dtype(), None);
    assert_eq!(x.matmul(&w)?.dtype(), DType::F32);
    Ok(())
}

#[test]
fn a_product_is_that_of_the_rounded_operands() -> Result<()> {
    let (x, w, b) = (leaf(&[5, 16], 1)?, leaf(&[7, 16], 2)?, leaf(&[7], 3)?);
    for dtype in [DType::BF16, DType::F16] {
        let low = |v: &Var| v.value().to_dtype(dtype);
        let y = autocast(dtype, || x.linear(&w, Some(&b)))?;
        assert!(
            y.value()
                .equal(&low(&x)?.linear(&low(&w)?, Some(&low(&b)?))?)?
        );
    }
    Ok(())
}

/// A block of a transformer and its loss.
fn loss(x: &Var, [w1, w2, scale]: &[Var; 3], classes: &Tensor) -> Result<Var> {
    let h = f::layer_norm(x, &[16], Some(scale), None, 1e-5)?;
    let h = h.linear(w1, None)?.gelu_tanh()?.linear(w2, None)?;
    f::cross_entropy(&x.add(&h)?, classes, &f::CrossEntropy::default())
}

#[test]
fn gradients_come_in_the_leaves_dtype_and_near_those_of_f32() -> Result<()> {
    near_f32(DType::BF16, 0.02)?;
    near_f32(DType::F16, 0.02 / 8.0) // three bits more
}

fn near_f32(dtype: DType, bound: f64) -> Result<()> {
    let x = leaf(&[32, 16], 1)?;
    let params = [leaf(&[64, 16], 2)?, leaf(&[16, 64], 3)?, leaf(&[16], 4)?];
    let classes = Tensor::randint(0, 16, [32], DType::I64, &mut Rng::new(5))?;
    let exact = loss(&x, &params, &classes)?;
    let low = autocast(dtype, || loss(&x, &params, &classes))?;
    let (a, b) = (
        f64::from(exact.item::<f32>()?),
        f64::from(low.item::<f32>()?),
    );
    assert!((a - b).abs() < bound * a.abs(), "{a} and {b}");
    let (exact, low) = (exact.backward()?, low.backward()?);
    for leaf in params.iter().chain([&x]) {
        let (a, b) = (exact.get(leaf).unwrap(), low.get(leaf).unwrap());
        assert_eq!(b.dtype(), DType::F32);
        let norm =
            |t: &Tensor| -> Result<f64> { t.square()?.sum(.., false)?.to_f64().map(f64::sqrt) };
        let error = norm(&a.sub(b)?)? / norm(a)?;
        assert!(
            error < bound && error > 0.0,
            "{} off by {error}",
            leaf.shape()
        );
    }
    Ok(())
}
