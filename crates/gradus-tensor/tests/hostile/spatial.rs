//! Windows as columns, resampling, regions: grids of NaN and infinities, boxes outside the picture, scales and sizes beyond reason.

use gradus_tensor::{
    FoldParams, GridMode, GridPadding, GridSampleParams, Interpolate, InterpolateMode, RoiMode,
    RoiParams, Tensor,
};

use crate::draw::Draw;
use crate::look::look;
use crate::table::{Op, op};

/// (B, C, H, W), mostly.
fn image(g: &Draw) -> Tensor {
    if g.odds(8) {
        return g.x();
    }
    let shape = [g.below(3), g.pick(&[1, 4, 4, 8, 0]), g.below(6), g.below(6)];
    g.of(g.float_dtype(), &shape)
}

fn size(x: &Tensor, d: usize) -> usize {
    x.dims().get(d).copied().unwrap_or(1).min(99)
}

fn fold(g: &Draw) -> FoldParams {
    FoldParams {
        kernel: g.window(),
        dilation: g.window(),
        padding: if g.flag() { [0; 2] } else { g.window() },
        stride: g.window(),
    }
}

fn sampling(g: &Draw) -> GridSampleParams {
    GridSampleParams {
        mode: g.pick(&[GridMode::Bilinear, GridMode::Nearest, GridMode::Bicubic]),
        padding: g.pick(&[
            GridPadding::Zeros,
            GridPadding::Border,
            GridPadding::Reflection,
        ]),
        align_corners: g.flag(),
    }
}

/// Where to sample `x`, of its dtype mostly: NaN, infinities and extremes among the values.
fn grid(g: &Draw, x: &Tensor) -> Tensor {
    if g.odds(8) {
        return g.float();
    }
    g.of(x.dtype(), &[size(x, 0), g.below(4), g.below(4), 2])
}

fn roi(g: &Draw) -> RoiParams {
    let align = RoiMode::Align {
        aligned: g.flag(),
        sampling_ratio: if g.odds(80) { g.below(3) } else { g.size() },
        position_sensitive: g.flag(),
    };
    RoiParams {
        mode: if g.odds(70) {
            align
        } else {
            RoiMode::PositionSensitivePool
        },
        output_size: g.window(),
        spatial_scale: g.real(),
    }
}

/// Boxes (K, 5): the number of the picture, then corners, which may be anything.
fn boxes(g: &Draw, x: &Tensor) -> Tensor {
    let rois = g.of(x.dtype(), &[g.below(4), if g.odds(95) { 5 } else { 4 }]);
    if g.odds(60) {
        // Of the first picture.
        let first = Tensor::from_slice(&[0i64], 1).unwrap();
        rois.index_fill(1, &first, 0).unwrap_or(rois)
    } else {
        rois
    }
}

fn resize(g: &Draw) -> Interpolate {
    use InterpolateMode::*;
    Interpolate {
        size: g.maybe(|| (0..=g.below(3)).map(|_| g.few()).collect()),
        scale_factor: g.maybe(|| (0..=g.below(3)).map(|_| g.real()).collect()),
        mode: g.pick(&[
            Nearest,
            NearestExact,
            Linear,
            Bilinear,
            Trilinear,
            Bicubic,
            Lanczos,
            Area,
        ]),
        align_corners: g.maybe(|| g.flag()),
        recompute_scale_factor: g.flag(),
        antialias: g.flag(),
    }
}

/// A size and a mode that go together.
fn right_size(g: &Draw) -> Interpolate {
    Interpolate {
        size: Some(vec![g.few(), g.few()]),
        scale_factor: None,
        mode: g.pick(&[
            InterpolateMode::Bilinear,
            InterpolateMode::Bicubic,
            InterpolateMode::Nearest,
        ]),
        align_corners: None,
        recompute_scale_factor: false,
        antialias: false,
    }
}

/// Offsets and masks of a deformable convolution, of the right shape mostly.
fn offsets(g: &Draw, x: &Tensor, p: &FoldParams) -> (Tensor, Option<Tensor>) {
    let steps = |d: usize| -> usize {
        let reach = (p.kernel[d].clamp(1, 9) - 1) * p.dilation[d].min(9) + 1;
        let padded = size(x, 2 + d) + 2 * p.padding[d].min(9);
        padded
            .checked_sub(reach)
            .map_or(0, |n| n / p.stride[d].clamp(1, 9) + 1)
    };
    let taps = p.kernel[0].min(9) * p.kernel[1].min(9);
    let of = |channels: usize| g.of(x.dtype(), &[size(x, 0), channels, steps(0), steps(1)]);
    if g.odds(8) {
        return (g.float(), g.maybe(|| g.float()));
    }
    (of(2 * taps), g.maybe(|| of(taps)))
}

fn x_shape(g: &Draw, x: &Tensor) -> Vec<usize> {
    if g.odds(85) {
        x.dims().to_vec()
    } else {
        g.sizes()
    }
}

pub fn ops() -> Vec<Op> {
    vec![
        op!(g, x: image(g) => im2col(&fold(g))),
        Op {
            name: "col2im",
            call: |g| {
                let (x, p) = (image(g), fold(g));
                let columns = x.im2col(&p).unwrap_or_else(|_| g.of(x.dtype(), &[1, 4, 4]));
                let to = [size(&x, 2), size(&x, 3)];
                look(columns.col2im(if g.odds(80) { to } else { g.window() }, &p))
            },
        },
        op!(g, x: image(g) => grid_sample(&grid(g, &x), &sampling(g))),
        Op {
            name: "grid_sample_backward_input",
            call: |g| {
                let (x, p) = (image(g), sampling(g));
                let grid = grid(g, &x);
                let y = x.grid_sample(&grid, &p).unwrap_or_else(|_| g.float());
                look(
                    g.like(&y)
                        .grid_sample_backward_input(&grid, &p, &x_shape(g, &x)),
                )
            },
        },
        Op {
            name: "grid_sample_backward_grid",
            call: |g| {
                let (x, p) = (image(g), sampling(g));
                let grid = grid(g, &x);
                let y = x.grid_sample(&grid, &p).unwrap_or_else(|_| g.float());
                look(g.like(&y).grid_sample_backward_grid(&x, &grid, &p))
            },
        },
        op!(g, x: image(g) => interpolate(&if g.flag() { right_size(g) } else { resize(g) })),
        Op {
            name: "interpolate_backward",
            call: |g| {
                let x = image(g);
                let options = if g.flag() { right_size(g) } else { resize(g) };
                let y = x.interpolate(&options).unwrap_or_else(|_| g.float());
                look(g.like(&y).interpolate_backward(&options, &x_shape(g, &x)))
            },
        },
        op!(g, x: image(g) => roi_mean(&boxes(g, &x), &roi(g))),
        op!(g, x: image(g) => roi_max(&boxes(g, &x), g.window(), g.real())),
        Op {
            name: "roi_mean_backward",
            call: |g| {
                let (x, p) = (image(g), roi(g));
                let rois = boxes(g, &x);
                let y = x.roi_mean(&rois, &p).unwrap_or_else(|_| g.float());
                look(g.like(&y).roi_mean_backward(&rois, &p, &x_shape(g, &x)))
            },
        },
        Op {
            name: "deform_columns",
            call: |g| {
                let (x, p) = (image(g), fold(g));
                let (offset, mask) = offsets(g, &x, &p);
                look(x.deform_columns(&offset, mask.as_ref(), &p))
            },
        },
        Op {
            name: "deform_columns_backward_input",
            call: |g| {
                let (x, p) = (image(g), fold(g));
                let (offset, mask) = offsets(g, &x, &p);
                let y = x.deform_columns(&offset, mask.as_ref(), &p);
                let dy = g.like(&y.unwrap_or_else(|_| g.float()));
                look(dy.deform_columns_backward_input(&offset, mask.as_ref(), &p, &x_shape(g, &x)))
            },
        },
        Op {
            name: "deform_columns_backward_places",
            call: |g| {
                let (x, p) = (image(g), fold(g));
                let (offset, mask) = offsets(g, &x, &p);
                let y = x.deform_columns(&offset, mask.as_ref(), &p);
                let dy = g.like(&y.unwrap_or_else(|_| g.float()));
                look(dy.deform_columns_backward_places(&x, &offset, mask.as_ref(), &p))
            },
        },
    ]
}
