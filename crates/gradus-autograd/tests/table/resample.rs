//! Interpolation in every mode, sampling in every mode and padding, windows as columns.

use gradus_autograd::functional as f;
use gradus_tensor::{
    FoldParams, GridMode, GridPadding, GridSampleParams, Interpolate, InterpolateMode as Mode,
};

use super::sample::Case;

/// Squared, so that there is a second derivative to get right.
fn resized(shape: &[usize], options: Interpolate) -> Case {
    Case::new("interpolate", &[(shape, -2.0, 2.0)], move |v| {
        v[0].interpolate(&options)?.square()
    })
}

fn sampled(x: &[usize], grid: &[usize], params: GridSampleParams) -> Case {
    Case::new(
        "grid_sample",
        &[(x, -2.0, 2.0), (grid, -1.4, 1.4)],
        move |v| v[0].grid_sample(&v[1], &params),
    )
}

pub fn cases() -> Vec<Case> {
    let one: &[usize] = &[1, 2, 4];
    let two: &[usize] = &[1, 2, 3, 4];
    let three: &[usize] = &[1, 1, 2, 3, 2];
    let mut all = Vec::new();
    for align_corners in [None, Some(true)] {
        for (mode, shape) in [
            (Mode::Linear, one),
            (Mode::Bilinear, two),
            (Mode::Bicubic, two),
            (Mode::Trilinear, three),
        ] {
            let by = Interpolate::scale_factor([1.7]);
            all.push(resized(
                shape,
                Interpolate {
                    mode,
                    align_corners,
                    ..by
                },
            ));
        }
    }
    for mode in [Mode::Nearest, Mode::NearestExact, Mode::Area] {
        for shape in [one, two, three] {
            all.push(resized(
                shape,
                Interpolate {
                    mode,
                    ..Interpolate::size([3])
                },
            ));
        }
    }
    for mode in [Mode::Bilinear, Mode::Bicubic, Mode::Lanczos] {
        let antialias = true;
        all.push(resized(
            two,
            Interpolate {
                mode,
                antialias,
                ..Interpolate::size([5, 2])
            },
        ));
    }
    for align_corners in [false, true] {
        for padding in [
            GridPadding::Zeros,
            GridPadding::Border,
            GridPadding::Reflection,
        ] {
            for mode in [GridMode::Bilinear, GridMode::Nearest, GridMode::Bicubic] {
                let params = GridSampleParams {
                    mode,
                    padding,
                    align_corners,
                };
                all.push(sampled(&[2, 2, 3, 4], &[2, 2, 1, 2], params));
                // Over three dimensions once, the cubic being 64 elements.
                if mode != GridMode::Bicubic || padding == GridPadding::Border && align_corners {
                    all.push(sampled(&[1, 1, 2, 3, 2], &[1, 1, 2, 1, 3], params));
                }
            }
        }
    }
    let params = FoldParams {
        kernel: [2, 2],
        dilation: [1, 2],
        padding: [1, 0],
        stride: [2, 1],
    };
    let by = Interpolate::scale_factor([2.0]);
    all.extend([
        Case::new("upsample", &[(one, -2.0, 2.0)], {
            let by = by.clone();
            move |v| f::upsample(&v[0], &by)?.square()
        }),
        Case::new("upsample_nearest", &[(two, -2.0, 2.0)], {
            let by = by.clone();
            move |v| f::upsample_nearest(&v[0], &by)?.square()
        }),
        Case::new("upsample_bilinear", &[(two, -2.0, 2.0)], move |v| {
            f::upsample_bilinear(&v[0], &by)?.square()
        }),
        Case::new("affine_grid", &[(&[2, 2, 3], -1.0, 1.0)], |v| {
            f::affine_grid(&v[0], &[2, 1, 2, 3], false)?.square()
        }),
        Case::new("affine_grid", &[(&[1, 3, 4], -1.0, 1.0)], |v| {
            f::affine_grid(&v[0], &[1, 1, 2, 1, 2], true)?.square()
        }),
        Case::new("im2col", &[(&[2, 1, 3, 4], -2.0, 2.0)], move |v| {
            v[0].im2col(&params)?.square()
        }),
        Case::new("unfold", &[(&[2, 3, 3], -2.0, 2.0)], move |v| {
            f::unfold(&v[0], &params)?.square()
        }),
        Case::new("col2im", &[(&[1, 4, 4], -2.0, 2.0)], move |v| {
            v[0].col2im([3, 4], &params)?.square()
        }),
        Case::new("fold", &[(&[4, 4], -2.0, 2.0)], move |v| {
            f::fold(&v[0], [3, 4], &params)?.square()
        }),
    ]);
    all
}
