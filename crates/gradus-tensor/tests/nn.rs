//! Neural-network kernels through tensors: shapes, small exact values, 16-bit floats and refusals.

use gradus_tensor::{AvgPool2dParams, Conv2dParams, DType, MaxPool2dParams, Result, Tensor};

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
    assert!(
        e.starts_with("conv2d: ") && e.contains("[6, 3, 3, 3]"),
        "{e}"
    );
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
