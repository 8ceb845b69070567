//! Neural-network kernels through tensors: shapes, small exact values, 16-bit floats and refusals.

use gradus_tensor::{
    AvgPool2dParams, Conv2dParams, CrossEntropyOptions, DType, MaxPool2dParams, Result, Tensor,
    optim,
};

fn iota(shape: &[usize]) -> Result<Tensor> {
    Tensor::arange(0, shape.iter().product::<usize>(), 1, DType::F32)?.reshape(shape)
}

#[test]
fn pooling() -> Result<()> {
    let x = iota(&[1, 2, 4, 4])?;
    let (y, at) = x.max_pool_with_indices(&MaxPool2dParams::new([2, 2]))?;
    assert_eq!(y.to_vec::<f32>()?, [5., 7., 13., 15., 21., 23., 29., 31.]);
    assert_eq!(at.to_vec::<i64>()?, [5, 7, 13, 15, 5, 7, 13, 15]);
    let dx = y.ones_like()?.max_pool_backward::<2>(&at, x.dims())?;
    assert_eq!(dx.sum(.., false)?.item::<f32>()?, 8.0);
    let y = x.avg_pool(&AvgPool2dParams::new([2, 2]))?;
    assert_eq!(y.to_vec::<f32>()?[..4], [2.5, 4.5, 10.5, 12.5]);
    assert_eq!(
        y.avg_pool_backward(&AvgPool2dParams::new([2, 2]), x.dims())?
            .to_vec::<f32>()?[0],
        0.625
    );
    assert_eq!(x.adaptive_avg_pool([1, 1])?.to_vec::<f32>()?, [7.5, 23.5]);
    let (y, at) = x.adaptive_max_pool([3, 1])?;
    assert_eq!(
        (y.dims(), at.to_vec::<i64>()?),
        (&[1, 2, 3, 1][..], vec![7, 11, 15, 7, 11, 15])
    );
    let half = x.to_dtype(DType::BF16)?;
    assert_eq!(
        half.avg_pool(&AvgPool2dParams::new([2, 2]))?.dtype(),
        DType::BF16
    );
    assert!(iota(&[4])?.max_pool(&MaxPool2dParams::new([2, 2])).is_err());
    assert!(x.max_pool(&MaxPool2dParams::new([9, 9])).is_err());
    Ok(())
}

#[test]
fn convolution_and_its_transpose() -> Result<()> {
    let (x, w) = (iota(&[2, 4, 5, 5])?, iota(&[6, 2, 3, 3])?);
    let params = Conv2dParams {
        stride: [2, 2],
        padding: [1, 1],
        groups: 2,
        ..Default::default()
    };
    let y = x.conv2d(&w, Some(&Tensor::ones(6, DType::F32)?), &params)?;
    assert_eq!(y.dims(), [2, 6, 3, 3]);
    assert_eq!(
        y.conv_backward_data(&w, &params, x.dims())?.dims(),
        x.dims()
    );
    assert_eq!(
        x.conv_backward_weight(&y, &params, w.dims())?.dims(),
        w.dims()
    );
    assert_eq!(y.conv_backward_bias()?.dims(), [6]);
    assert_eq!(x.select(0, 0)?.conv2d(&w, None, &params)?.dims(), [6, 3, 3]);
    // <conv(x), y> = <x, conv_transpose(y)>
    let a = x
        .conv2d(&w, None, &params)?
        .to_dtype(DType::F64)?
        .mul(&y)?
        .sum(.., false)?
        .to_f64()?;
    let b = y
        .conv_transpose(&w, None, &params, [0, 0])?
        .to_dtype(DType::F64)?
        .mul(&x)?
        .sum(.., false)?
        .to_f64()?;
    assert!((a / b - 1.0).abs() < 1e-5, "{a} {b}");
    let e = x
        .conv2d(&iota(&[6, 3, 3, 3])?, None, &params)
        .unwrap_err()
        .to_string();
    assert!(e.starts_with("conv2d: ") && e.contains("[6,3,3,3]"), "{e}");
    assert!(
        x.conv2d(
            &w,
            None,
            &Conv2dParams {
                stride: [0, 1],
                ..params
            }
        )
        .is_err()
    );
    assert!(x.conv2d(&w.to_dtype(DType::F64)?, None, &params).is_err());
    Ok(())
}

#[test]
fn softmax_and_cross_entropy() -> Result<()> {
    let x = iota(&[2, 3, 4])?.sin()?;
    for dim in 0..3 {
        let y = x.softmax(dim)?;
        assert!(
            y.sum(dim, false)?
                .allclose(&Tensor::ones((), DType::F32)?, 1e-6, 0.0, false)?
        );
        assert!(x.log_softmax(dim)?.exp()?.allclose(&y, 1e-5, 1e-7, false)?);
    }
    // (N, C, d) with target (N, d) against log_softmax and gather.
    let target = Tensor::from_slice(&[0i64, 2, 1, 1, 0, 0, 2, 2], [2, 4])?;
    let out = x.cross_entropy(&target, &CrossEntropyOptions::default())?;
    let expected = x
        .log_softmax(1)?
        .gather(1, &target.unsqueeze(1)?)?
        .mean(.., false)?
        .neg()?;
    assert!(out.loss.allclose(&expected, 1e-6, 0.0, false)?);
    let dx = Tensor::scalar(1f32).cross_entropy_backward(
        &x,
        &target,
        &CrossEntropyOptions::default(),
        &out,
    )?;
    let onehot = x.zeros_like()?.scatter_value(1, &target.unsqueeze(1)?, 1)?;
    assert!(dx.allclose(
        &x.softmax(1)?.sub(&onehot)?.div_scalar(8)?,
        1e-5,
        1e-7,
        false
    )?);
    let out_of_range = Tensor::full([2, 4], 3, DType::I64)?;
    let e = x
        .cross_entropy(&out_of_range, &CrossEntropyOptions::default())
        .unwrap_err()
        .to_string();
    assert_eq!(e, "cross_entropy: target 3 is not one of 3 classes (0..=2)");
    Ok(())
}

#[test]
fn embedding_and_its_gradient() -> Result<()> {
    let (table, index) = (iota(&[4, 2])?, Tensor::from_slice(&[3i64, 0, 3], [1, 3])?);
    let y = table.embedding(&index)?;
    assert_eq!(y.dims(), [1, 3, 2]);
    assert_eq!(
        y.embedding_backward(&index, 4, 0)?.to_vec::<f32>()?,
        [0., 0., 0., 0., 0., 0., 12., 14.]
    );
    assert!(
        table.embedding(&Tensor::from_slice(&[4i64], 1)?).is_err()
            && table.embedding(&Tensor::from_slice(&[-1i64], 1)?).is_err()
    );
    Ok(())
}

#[test]
fn sixteen_bit_parameters_step_in_f32() -> Result<()> {
    let options = optim::Adam {
        lr: 0.1,
        betas: (0.9, 0.999),
        eps: 1e-8,
        weight_decay: 0.0,
        decoupled: true,
        maximize: false,
        step: 1,
    };
    let mut w = Tensor::ones(3, DType::BF16)?;
    let (mut m, mut v) = (Tensor::zeros(3, DType::F32)?, Tensor::zeros(3, DType::F32)?);
    let shared = w.clone();
    optim::adam(
        options,
        &mut w,
        &Tensor::ones(3, DType::BF16)?,
        &mut m,
        &mut v,
        None,
    )?;
    assert_eq!(w.to_dtype(DType::F32)?.to_vec::<f32>()?, [0.8984375; 3]);
    assert_eq!((m.dtype(), m.to_vec::<f32>()?), (DType::F32, vec![0.1; 3]));
    assert_eq!(shared.to_dtype(DType::F32)?.to_vec::<f32>()?, [1.0; 3]); // others do not see it
    assert!(
        optim::adam(
            options,
            &mut w,
            &Tensor::ones(4, DType::BF16)?,
            &mut m,
            &mut v,
            None
        )
        .is_err()
    );
    Ok(())
}

#[test]
fn normalisations_match_their_definitions() -> Result<()> {
    let x = iota(&[2, 4, 6])?.sin()?.mul_scalar(3)?;
    let (w, b) = (iota(&[6])?.add_scalar(1)?, iota(&[6])?);
    let out = x.layer_norm(&[6], Some(&w), Some(&b), 1e-5)?;
    let (var, mean) = x.var_mean(-1, 0.0, true)?;
    let expected = x.sub(&mean)?.div(&var.add_scalar(1e-5)?.sqrt()?)?;
    assert!(
        out.y
            .allclose(&expected.mul(&w)?.add(&b)?, 1e-4, 1e-5, false)?
    );
    let grads = x
        .ones_like()?
        .layer_norm_backward(&x, &[6], Some(&w), &out)?;
    assert!(
        grads
            .dbias
            .unwrap()
            .allclose(&Tensor::full(6, 8, DType::F32)?, 1e-6, 0.0, false)?
    );
    assert!(
        grads
            .dweight
            .unwrap()
            .allclose(&expected.sum([0, 1], false)?, 1e-4, 1e-4, false)?
    );
    let rms = x.rms_norm(&[4, 6], None, 1e-6)?.y;
    assert!(rms.allclose(
        &x.div(&x.square()?.mean([1, 2], true)?.sqrt()?)?,
        1e-4,
        1e-5,
        false
    )?);
    let group = x.group_norm(2, None, None, 0.0)?.y.reshape([2, 2, 12])?;
    assert!(
        group
            .mean(-1, false)?
            .allclose(&Tensor::zeros((), DType::F32)?, 0.0, 1e-5, false)?
    );
    let (mean, var) = x.batch_norm_stats()?;
    let y = x.batch_norm(&mean, &var.rsqrt()?, None, None)?;
    assert!(y.var([0, 2], 0.0, false)?.allclose(
        &Tensor::ones((), DType::F32)?,
        1e-4,
        0.0,
        false
    )?);
    let grads = y.batch_norm_backward(&x, &mean, &var.rsqrt()?, None, true)?;
    assert!(grads.dx.abs()?.amax(.., false)?.to_f64()? < 1e-4); // the norm of a normalised tensor cannot grow
    assert!(
        x.layer_norm(&[5], None, None, 1e-5).is_err() && x.group_norm(3, None, None, 0.0).is_err()
    );
    Ok(())
}
