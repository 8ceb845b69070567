//! Pooling: strides, padding, dilation, windows beyond the edge, in one to three dimensions.

use gradus_autograd::functional as f;
use gradus_tensor::{AvgPoolParams, MaxPoolParams, Tensor};

use super::sample::Case;

fn max<const D: usize>(
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> MaxPoolParams<D> {
    MaxPoolParams {
        kernel: [kernel; D],
        stride: [stride; D],
        padding: [padding; D],
        dilation: [dilation; D],
        ceil_mode: stride > 1,
    }
}

fn avg<const D: usize>(
    kernel: usize,
    stride: usize,
    padding: usize,
    count_include_pad: bool,
) -> AvgPoolParams<D> {
    AvgPoolParams {
        kernel: [kernel; D],
        stride: [stride; D],
        padding: [padding; D],
        ceil_mode: stride > 1,
        count_include_pad,
        divisor_override: None,
    }
}

pub fn cases() -> Vec<Case> {
    let one: &[(&[usize], f64, f64)] = &[(&[2, 2, 7], -2.0, 2.0)];
    let two: &[(&[usize], f64, f64)] = &[(&[2, 2, 5, 4], -2.0, 2.0)];
    let three: &[(&[usize], f64, f64)] = &[(&[1, 2, 3, 2, 3], -2.0, 2.0)];
    vec![
        Case::new("max_pool_with_indices", &[(&[1, 2, 5], -2.0, 2.0)], |v| {
            v[0].max_pool_with_indices(&max::<1>(2, 1, 1, 1))?
                .0
                .square()
        }),
        Case::new("max_pool1d", one, |v| v[0].max_pool1d(&max(3, 2, 1, 1))),
        Case::new("max_pool2d", two, |v| v[0].max_pool2d(&max(2, 1, 0, 2))),
        Case::new("max_pool2d", two, |v| v[0].max_pool2d(&max(2, 2, 0, 1))),
        Case::new("max_pool3d", three, |v| v[0].max_pool3d(&max(2, 1, 0, 1))),
        Case::new("avg_pool1d", one, |v| v[0].avg_pool1d(&avg(3, 2, 1, true))),
        Case::new("avg_pool2d", two, |v| v[0].avg_pool2d(&avg(2, 2, 1, false))),
        Case::new("avg_pool3d", three, |v| {
            v[0].avg_pool3d(&avg(2, 1, 0, true))
        }),
        Case::new("adaptive_avg_pool1d", one, |v| {
            v[0].adaptive_avg_pool1d([3])
        }),
        Case::new("adaptive_avg_pool2d", two, |v| {
            v[0].adaptive_avg_pool2d([3, 2])
        }),
        Case::new("adaptive_avg_pool3d", three, |v| {
            v[0].adaptive_avg_pool3d([2, 1, 2])
        }),
        Case::new("adaptive_max_pool1d", one, |v| {
            v[0].adaptive_max_pool1d([3])
        }),
        Case::new("adaptive_max_pool2d", two, |v| {
            v[0].adaptive_max_pool2d([3, 2])
        }),
        Case::new("adaptive_max_pool_with_indices", two, |v| {
            v[0].adaptive_max_pool_with_indices([2, 3])?.0.square()
        }),
        Case::new("max_unpool1d", &[(&[2, 3], -2.0, 2.0)], |v| {
            let at = Tensor::from_slice(&[0i64, 3, 4, 1, 2, 5], [2, 3])?;
            f::max_unpool1d(&v[0], &at, 2, 2, 0, None)?.square()
        }),
        Case::new("max_unpool2d", &[(&[1, 1, 2, 2], -2.0, 2.0)], |v| {
            let at = Tensor::from_slice(&[0i64, 3, 9, 14], [1, 1, 2, 2])?;
            f::max_unpool2d(&v[0], &at, [2, 2], [2, 2], [0, 0], Some([5, 4]))?.square()
        }),
        Case::new("max_unpool3d", &[(&[1, 1, 1, 2], -2.0, 2.0)], |v| {
            let at = Tensor::from_slice(&[3i64, 9], [1, 1, 1, 2])?;
            f::max_unpool3d(&v[0], &at, [2; 3], [2; 3], [0; 3], None)?.square()
        }),
        Case::new("adaptive_max_pool3d", three, |v| {
            v[0].adaptive_max_pool3d([2, 1, 2])
        }),
    ]
}
