//! Images with channels last stay so from the first convolution to the pooling, and back; and what they hold is what row-major ones do.

use gradus_tensor::{AvgPoolParams, ConvParams, DType, MaxPoolParams, Result, Tensor};

use crate::support::{compare, gpu, numbers};

/// The results of a residual block between two poolings, and of its gradients; with the names of those that are images.
fn block(x: &Tensor, w: &[Tensor; 3]) -> Result<Vec<(&'static str, Tensor)>> {
    let params = ConvParams {
        padding: [1, 1],
        stride: [2, 2],
        ..ConvParams::default()
    };
    let same = ConvParams {
        padding: [1, 1],
        ..ConvParams::default()
    };
    let pool = MaxPoolParams::new([3, 3]);
    let pool = MaxPoolParams {
        stride: [2, 2],
        padding: [1, 1],
        ..pool
    };
    let stem = x.conv2d(&w[0], None, &params)?; // 3 channels: no tensor cores
    let (mean, var) = stem.batch_norm_stats()?;
    let rstd = var.add_scalar(1e-5)?.rsqrt()?;
    let normal = stem.batch_norm(&mean, &rstd, None, None)?;
    let active = normal.relu()?;
    let (pooled, indices) = active.max_pool_with_indices(&pool)?;
    let branch = pooled
        .conv2d(&w[1], None, &same)?
        .conv2d(&w[2], None, &ConvParams::default())?;
    let sum = branch.add(&pooled)?;
    let average = sum.avg_pool(&AvgPoolParams::new([2, 2]))?;
    let y = sum.adaptive_avg_pool([1, 1])?;

    let dsum = y.adaptive_avg_pool_backward::<2>(sum.dims())?; // of one pixel, which is row-major too
    let dactive = dsum.relu_backward(&sum)?;
    let dpooled = dactive.conv_backward_data(&w[1], &same, pooled.dims())?;
    let dw = pooled.conv_backward_weight(&dactive, &same, w[1].dims())?;
    let dpool = dpooled.max_pool_backward::<2>(&indices, active.dims())?;
    let norm = dpool.batch_norm_backward(&stem, &mean, &rstd, None, true)?;
    let daverage = average.avg_pool_backward(&AvgPoolParams::new([2, 2]), sum.dims())?;
    Ok(vec![
        ("stem", stem),
        ("normal", normal),
        ("active", active),
        ("pooled", pooled),
        ("branch", branch),
        ("sum", sum),
        ("average", average),
        ("as f32", dpooled.to_dtype(DType::F32)?),
        ("dactive", dactive),
        ("dpooled", dpooled),
        ("dpool", dpool),
        ("dnorm", norm.dx),
        ("daverage", daverage),
        ("y", y),
        ("dw, row-major", dw),
        ("mean, a line", mean),
        ("var, a line", var),
    ])
}

fn is_last(x: &Tensor) -> bool {
    let [_, c, h, w] = x.dims() else { return false };
    let [c, h, w] = [*c, *h, *w].map(|n| n as isize);
    x.strides() == [h * w * c, 1, w * c, c]
}

#[test]
fn a_network_keeps_channels_last() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let (x, w) = (
        numbers(1, [2, 3, 22, 19]),
        [
            numbers(2, [8, 3, 3, 3]),
            numbers(3, [8, 8, 3, 3]),
            numbers(4, [8, 8, 1, 1]),
        ],
    );
    for (dtype, close) in [(DType::F32, 1e-5), (DType::BF16, 0.03)] {
        let cast = |x: &Tensor| x.to_dtype(dtype);
        let (x, w) = (cast(&x)?, [cast(&w[0])?, cast(&w[1])?, cast(&w[2])?]);
        let there = [0, 1, 2].map(|i| w[i].to_device(&gpu).unwrap());
        let rows = x.to_device(&gpu)?;
        let last = rows.channels_last()?;
        let (here, rows, last) = (block(&x, &w)?, block(&rows, &there)?, block(&last, &there)?);
        for (i, (name, want)) in here.iter().enumerate() {
            compare(&format!("{name} ({dtype})"), close, &rows[i].1, want);
            compare(&format!("{name} ({dtype}, last)"), close, &last[i].1, want);
            assert!(rows[i].1.is_contiguous(), "{name}");
            let is_image = !name.contains(',');
            assert_eq!(is_last(&last[i].1), is_image, "{name} ({dtype})");
        }
    }
    Ok(())
}
