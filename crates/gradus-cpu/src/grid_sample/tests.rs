//! Sampling against one loop per definition, gradients against differences, padding against PyTorch's.

use super::*;
use crate::gemm::tests::{assert_close, numbers};

const MODES: [GridMode; 3] = [GridMode::Bilinear, GridMode::Nearest, GridMode::Bicubic];
const PADDINGS: [GridPadding; 3] = [
    GridPadding::Zeros,
    GridPadding::Border,
    GridPadding::Reflection,
];

fn all() -> impl Iterator<Item = GridSampleParams> {
    let with = |mode, padding, align_corners| GridSampleParams {
        mode,
        padding,
        align_corners,
    };
    MODES.into_iter().flat_map(move |m| {
        PADDINGS
            .into_iter()
            .flat_map(move |p| [with(m, p, false), with(m, p, true)])
    })
}

/// The plain definition over two dimensions: every pixel, weighted by its distance to the point.
fn reference(x: &[f64], (h, w): (usize, usize), g: [f64; 2], p: GridSampleParams) -> f64 {
    let place = |g: f64, n: usize| {
        if p.mode == GridMode::Bicubic {
            p.unnormalized(g, n).0
        } else {
            p.place(g, n).0
        }
    };
    let (px, py) = (place(g[0], w), place(g[1], h));
    let kernel = |d: f64| match p.mode {
        GridMode::Bilinear => (1.0 - d.abs()).max(0.0),
        GridMode::Nearest => f64::from(u8::from(d == 0.0)),
        GridMode::Bicubic => cubic_at(d.abs(), -0.75),
    };
    let (px, py) = if p.mode == GridMode::Nearest {
        (px.round_ties_even(), py.round_ties_even())
    } else {
        (px, py)
    };
    let mut sum = 0.0;
    // Whole places around, each standing for what the padding says.
    for y in py.floor() as i64 - 2..=py.floor() as i64 + 3 {
        for c in px.floor() as i64 - 2..=px.floor() as i64 + 3 {
            let weight = kernel(px - c as f64) * kernel(py - y as f64);
            let at = |v: i64, n: usize| {
                let v = if p.mode == GridMode::Bicubic {
                    p.padded(v as f64, n).0.trunc()
                } else {
                    v as f64
                };
                (v >= 0.0 && v < n as f64).then_some(v as usize)
            };
            if let (Some(y), Some(c)) = (at(y, h), at(c, w)) {
                sum += weight * x[y * w + c];
            }
        }
    }
    sum
}

use crate::resample::cubic_at;

#[test]
fn every_mode_is_its_definition() {
    let (h, w, n) = (5, 4, 60);
    let x: Vec<f64> = numbers(2 * 3 * h * w, 1);
    let grid: Vec<f64> = numbers::<f64>(2 * n * 2, 2)
        .iter()
        .map(|g| g * 1.9)
        .collect();
    for params in all() {
        let mut y = vec![f64::NAN; 2 * 3 * n];
        let (xv, gv) = ([2, 3, h, w], [2, n / 4, 4, 2]);
        let (xv, gv) = (
            View::contiguous(&x, &xv).unwrap(),
            View::contiguous(&grid, &gv).unwrap(),
        );
        grid_sample::<_, 2>(xv, gv, &params, &mut y).unwrap();
        let want: Vec<f64> = (0..y.len())
            .map(|i| {
                let (line, p) = (i / n, i % n);
                let at = (line / 3 * n + p) * 2;
                reference(
                    &x[line * h * w..][..h * w],
                    (h, w),
                    [grid[at], grid[at + 1]],
                    params,
                )
            })
            .collect();
        assert_close(&y, &want, 16, &format!("{params:?}"));
    }
}

#[test]
fn gradients_are_differences() {
    let (xs, gs) = ([1, 2, 3, 4, 3], [1, 2, 3, 2, 3]);
    let x: Vec<f64> = numbers(xs.iter().product(), 1);
    let grid: Vec<f64> = numbers::<f64>(gs.iter().product(), 2)
        .iter()
        .map(|g| g * 1.4)
        .collect();
    let dy: Vec<f64> = numbers(2 * 12, 3);
    for params in all() {
        let loss = |x: &[f64], grid: &[f64]| {
            let mut y = vec![0.0; dy.len()];
            let (x, grid) = (
                View::contiguous(x, &xs).unwrap(),
                View::contiguous(grid, &gs).unwrap(),
            );
            grid_sample::<_, 3>(x, grid, &params, &mut y).unwrap();
            y.iter().zip(&dy).map(|(a, b)| a * b).sum::<f64>()
        };
        let (mut dx, mut dg) = (vec![f64::NAN; x.len()], vec![f64::NAN; grid.len()]);
        let dy_shape = [1, 2, 2, 3, 2];
        let dyv = View::contiguous(&dy, &dy_shape).unwrap();
        let (xv, gv) = (
            View::contiguous(&x, &xs).unwrap(),
            View::contiguous(&grid, &gs).unwrap(),
        );
        grid_sample_backward_input::<_, 3>(dyv, gv, &params, &xs, &mut dx).unwrap();
        grid_sample_backward_grid::<_, 3>(dyv, xv, gv, &params, &mut dg).unwrap();
        let eps = 1e-6;
        for (values, grads, which) in [(&x, &dx, 0), (&grid, &dg, 1)] {
            for i in 0..values.len() {
                let at = |v: f64| {
                    let mut moved = values.clone();
                    moved[i] = v;
                    if which == 0 {
                        loss(&moved, &grid)
                    } else {
                        loss(&x, &moved)
                    }
                };
                let numeric = (at(values[i] + eps) - at(values[i] - eps)) / (2.0 * eps);
                assert!(
                    (grads[i] - numeric).abs() < 1e-6,
                    "{params:?} {which} {i}: {} {numeric}",
                    grads[i]
                );
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (xs, gs, ys) = ([2, 19, 30, 20], [2, 40, 50, 2], [2, 19, 40, 50]);
    let x: Vec<f32> = numbers(xs.iter().product(), 1);
    let grid: Vec<f32> = numbers(gs.iter().product(), 2);
    let dy: Vec<f32> = numbers(ys.iter().product(), 3);
    let params = GridSampleParams::default();
    let run = |threads: usize| {
        parallel::with_threads(threads, || {
            let (mut y, mut dx, mut dg) = (
                vec![0.0; dy.len()],
                vec![0.0; x.len()],
                vec![0.0; grid.len()],
            );
            let (xv, gv) = (
                View::contiguous(&x, &xs).unwrap(),
                View::contiguous(&grid, &gs).unwrap(),
            );
            let dyv = View::contiguous(&dy, &ys).unwrap();
            grid_sample::<f32, 2>(xv, gv, &params, &mut y).unwrap();
            grid_sample_backward_input::<f32, 2>(dyv, gv, &params, &xs, &mut dx).unwrap();
            grid_sample_backward_grid::<f32, 2>(dyv, xv, gv, &params, &mut dg).unwrap();
            [y, dx, dg]
                .concat()
                .iter()
                .map(|v| v.to_bits())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn odd_points_and_shapes() {
    let x = [1.0f32; 6];
    let xs = [1, 1, 2, 3];
    let xv = View::contiguous(&x, &xs).unwrap();
    let mut y = [7.0f32; 2];
    // No number and no place: outside, so 0, and nothing is read.
    let grid = [f32::NAN, 0.0, f32::INFINITY, f32::MAX];
    let gs = [1, 1, 2, 2];
    let gv = View::contiguous(&grid, &gs).unwrap();
    for params in all().filter(|p| p.padding == GridPadding::Zeros) {
        grid_sample::<_, 2>(xv, gv, &params, &mut y).unwrap();
        assert_eq!(y, [0.0; 2], "{params:?}");
    }
    for params in all() {
        grid_sample::<_, 2>(xv, gv, &params, &mut y).unwrap();
    }
    let params = GridSampleParams::default();
    let refused = |xs: &[usize], gs: &[usize]| {
        let (x, g) = (
            vec![0.0f32; xs.iter().product()],
            vec![0.0f32; gs.iter().product()],
        );
        let (xv, gv) = (
            View::contiguous(&x, xs).unwrap(),
            View::contiguous(&g, gs).unwrap(),
        );
        let mut y = vec![0.0; xs[0] * xs[1] * gs[1] * gs[2]];
        grid_sample::<_, 2>(xv, gv, &params, &mut y).is_err()
    };
    assert!(refused(&[1, 1, 2, 3], &[1, 1, 2, 3]));
    assert!(refused(&[1, 1, 2, 3], &[2, 1, 2, 2]));
    assert!(refused(&[1, 1, 0, 3], &[1, 1, 2, 2]));
    assert!(refused(&[1, 1, 2], &[1, 1, 2, 2]));
    assert!(!refused(&[0, 1, 2, 3], &[0, 1, 2, 2]));
    assert!(!refused(&[1, 1, 2, 3], &[1, 0, 2, 2]));
}
