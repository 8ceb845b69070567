//! Convolutions: strides, padding, dilation, groups, transposed, with and without bias and batch.

use gradus_tensor::ConvParams;

use super::sample::Case;

const R: (f64, f64) = (-1.0, 1.0);

fn inputs<'a>(x: &'a [usize], w: &'a [usize], b: &'a [usize]) -> [(&'a [usize], f64, f64); 3] {
    [(x, R.0, R.1), (w, R.0, R.1), (b, R.0, R.1)]
}

pub fn cases() -> Vec<Case> {
    let plain = ConvParams::<2>::default();
    let odd = ConvParams {
        stride: [2, 1],
        padding: [1, 2],
        dilation: [1, 2],
        groups: 2,
    };
    let one = ConvParams {
        stride: [2],
        padding: [1],
        dilation: [1],
        groups: 1,
    };
    let cube = ConvParams::<3>::default();
    vec![
        Case::new("conv1d", &inputs(&[2, 2, 5], &[3, 2, 3], &[3]), move |v| {
            v[0].conv1d(&v[1], Some(&v[2]), &one)
        }),
        Case::new(
            "conv1d",
            &inputs(&[2, 5], &[3, 2, 3], &[3])[..2],
            move |v| v[0].conv1d(&v[1], None, &one),
        ),
        Case::new(
            "conv2d",
            &inputs(&[2, 2, 4, 3], &[3, 2, 2, 2], &[3]),
            move |v| v[0].conv2d(&v[1], Some(&v[2]), &plain),
        ),
        Case::new(
            "conv2d",
            &inputs(&[1, 4, 4, 4], &[2, 2, 3, 2], &[2]),
            move |v| v[0].conv2d(&v[1], Some(&v[2]), &odd),
        ),
        Case::new(
            "conv3d",
            &inputs(&[1, 1, 2, 3, 2], &[2, 1, 2, 2, 1], &[2]),
            move |v| v[0].conv3d(&v[1], Some(&v[2]), &cube),
        ),
        Case::new(
            "conv_same",
            &inputs(&[1, 2, 4, 3], &[2, 2, 2, 3], &[2]),
            move |v| {
                let dilation = [1, 2];
                v[0].conv_same(&v[1], Some(&v[2]), &ConvParams { dilation, ..plain })
            },
        ),
        Case::new(
            "conv_transpose1d",
            &inputs(&[2, 2, 3], &[2, 3, 3], &[3]),
            move |v| v[0].conv_transpose1d(&v[1], Some(&v[2]), &one, [1]),
        ),
        Case::new(
            "conv_transpose2d",
            &inputs(&[1, 4, 2, 2], &[4, 1, 3, 3], &[2]),
            move |v| v[0].conv_transpose2d(&v[1], Some(&v[2]), &odd, [1, 0]),
        ),
        Case::new(
            "conv_transpose3d",
            &inputs(&[1, 1, 2, 2, 1], &[1, 2, 2, 1, 2], &[2]),
            move |v| v[0].conv_transpose3d(&v[1], Some(&v[2]), &cube, [0; 3]),
        ),
    ]
}
