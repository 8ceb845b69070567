//! Winograd's algorithm against the direct sum: shapes, errors, numbers that are none, threads.

use gradus_simd::{IsaName, available};

use super::*;
use crate::conv::backward_data;
use crate::conv::forward::{self, Way};
use crate::conv::tests::case;
use crate::conv::{Conv2dParams, ConvParams, reference};
use crate::gemm::tests::numbers;

fn padded(padding: usize) -> Conv2dParams {
    Conv2dParams {
        padding: [padding; 2],
        ..Default::default()
    }
}

#[test]
fn odd_sizes_paddings_and_groups() {
    // (B, C, H, W), O: single pixels, odd rows, rows longer than a vector, images that a task begins inside of, many channels,
    // so many tiles that parts of them are summed by themselves.
    let shapes = [
        ([1, 1, 3, 3], 1),
        ([2, 3, 4, 7], 5),
        ([3, 33, 5, 5], 17),
        ([1, 4, 9, 67], 40),
        ([1, 2, 5, 139], 3),
        ([9, 8, 14, 14], 6),
        ([1, 70, 8, 8], 70),
        ([2, 16, 1, 20], 34),
        ([11, 7, 15, 21], 18),
    ];
    for &isa in available() {
        for ([b, c, h, w], o) in shapes {
            for padding in 0..3 {
                if h + 2 * padding >= 3 && w + 2 * padding >= 3 {
                    case::<f32, 2>(isa, &[b, c, h, w], &[o, c, 3, 3], &padded(padding));
                }
            }
        }
        let params = Conv2dParams {
            groups: 2,
            ..padded(1)
        };
        case::<f32, 2>(isa, &[2, 12, 6, 6], &[10, 6, 3, 3], &params);
        // More channels than a block of K.
        case::<f32, 2>(isa, &[1, 545, 4, 4], &[33, 545, 3, 3], &padded(1));
    }
}

/// Root of the mean square of the errors, in parts of 2^-24 of that of the outputs.
fn error(y: &[f32], exact: &[f64]) -> f64 {
    let square = |x: f64| x * x;
    let off: f64 = y
        .iter()
        .zip(exact)
        .map(|(&y, &e)| square(f64::from(y) - e))
        .sum();
    let all: f64 = exact.iter().map(|&e| square(e)).sum();
    (off / all).sqrt() * f64::from(1 << 24)
}

/// The errors of all ways, over numbers as networks have them and over numbers of many scales. Those of Winograd's are at most half again
/// those of the direct sum by fused multiply-adds; where each number has a scale of its own, they are bounded by the largest in a window.
#[test]
fn errors_beside_the_direct_sum() {
    for (channels, outputs) in [(16, 16), (64, 32), (256, 32)] {
        let (x_shape, w_shape) = ([1, channels, 12, 12], [outputs, channels, 3, 3]);
        for kind in ["normal", "relu", "positive", "channels of many scales"] {
            let g = Geometry::new("test", &x_shape, &w_shape, &padded(1)).unwrap();
            let (nx, nw, ny) = g.lens();
            let scale = |c: usize| {
                if kind.starts_with('c') {
                    f32::exp2((c * 7 % 17) as f32 - 8.0)
                } else {
                    1.0
                }
            };
            let x: Vec<f32> = numbers::<f32>(nx, 1)
                .iter()
                .enumerate()
                .map(|(i, &x)| match kind {
                    "relu" => x.max(0.0),
                    "positive" => x.abs() + 1.0,
                    _ => x * scale(i / 144),
                })
                .collect();
            let w: Vec<f32> = numbers::<f32>(nw, 2)
                .iter()
                .enumerate()
                .map(|(i, &w)| w * scale(i / 9 % channels + 3))
                .collect();
            let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let mut exact = vec![0.0; ny];
            let (x64, w64) = (wide(&x), wide(&w));
            reference::conv((&x64, &x_shape), (&w64, &w_shape), &padded(1), &mut exact).unwrap();
            for &isa in available() {
                let mut y = vec![0.0; ny];
                let mut of = |way: Way| {
                    way.cost::<f32>(isa, &g, false)?;
                    let epilogue = &Epilogue::default();
                    forward::run_by(way, isa, &g, &x, w[..].into(), epilogue, &mut y);
                    Some(error(&y, &exact))
                };
                let direct = of(Way::Shifted).unwrap();
                for engine in [Engine::Vectors, Engine::Tiles] {
                    let Some(fewer) = of(Way::Winograd(engine)) else {
                        continue;
                    };
                    println!(
                        "{channels:4} {kind:24} {isa}: direct {direct:.2}, {engine:?} {fewer:.2}"
                    );
                    assert!(fewer <= 1.5 * direct, "{channels} {kind} {isa} {engine:?}");
                }
            }
        }
    }
}

#[test]
fn numbers_that_are_none_stay_where_they_belong() {
    let (x_shape, w_shape) = ([2, 40, 12, 12], [48, 40, 3, 3]);
    let g = Geometry::new("test", &x_shape, &w_shape, &padded(1)).unwrap();
    let (nx, nw, ny) = g.lens();
    let same = |got: &[f32], want: &[f32], what: &str| {
        for (&a, &b) in got.iter().zip(want) {
            let close = (a - b).abs() <= 1e-3 * (1.0 + b.abs());
            assert!(
                close || a == b || a.is_nan() && b.is_nan(),
                "{what}: {a} for {b}"
            );
        }
    };
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38] {
        for &isa in available() {
            let (mut x, w) = (numbers::<f32>(nx, 1), numbers::<f32>(nw, 2));
            let mut dy = numbers::<f32>(ny, 3);
            (x[777], dy[1234]) = (odd, odd);
            let what = format!("{odd} on {isa}");
            let mut want = vec![0.0; ny];
            reference::conv((&x, &x_shape), (&w, &w_shape), &padded(1), &mut want).unwrap();
            for way in Way::ALL {
                if way.cost::<f32>(isa, &g, false).is_some() {
                    let mut y = vec![f32::NAN; ny];
                    let epilogue = &Epilogue::default();
                    forward::run_by(way, isa, &g, &x, w[..].into(), epilogue, &mut y);
                    same(&y, &want, &format!("{way:?}, {what}"));
                }
            }
            let (mut dx, mut want) = (vec![f32::NAN; nx], vec![0.0; nx]);
            let params = &padded(1);
            reference::backward_data(&dy, (&w, &w_shape), params, (&mut want, &x_shape)).unwrap();
            backward_data::run(isa, &g, &dy, &w, &mut dx);
            same(&dx, &want, &what);
            let mut dw = vec![f32::NAN; nw];
            let finite = backward_weight(isa, &g, &x, &dy, &mut dw);
            assert!(odd.is_finite() || !finite, "{what}");
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let params: ConvParams<2> = padded(1);
    for (x_shape, w_shape) in [
        ([3, 34, 15, 18], [66, 34, 3, 3]),
        ([1, 64, 6, 6], [300, 64, 3, 3]),
        ([11, 20, 15, 21], [33, 20, 3, 3]),
    ] {
        let g = Geometry::new("test", &x_shape, &w_shape, &params).unwrap();
        let (nx, nw, ny) = g.lens();
        let (x, w, dy) = (
            numbers::<f32>(nx, 1),
            numbers::<f32>(nw, 2),
            numbers::<f32>(ny, 3),
        );
        for &isa in available() {
            let all = |threads: usize| {
                parallel::with_threads(threads, || {
                    let mut ys = Vec::new();
                    for engine in [Engine::Vectors, Engine::Tiles] {
                        if engine == Engine::Vectors || isa == IsaName::Amx {
                            let way = Way::Winograd(engine);
                            let mut y = vec![f32::NAN; ny];
                            let epilogue = &Epilogue::default();
                            forward::run_by(way, isa, &g, &x, w[..].into(), epilogue, &mut y);
                            ys.extend(y);
                        }
                    }
                    let mut dw = vec![f32::NAN; nw];
                    assert!(backward_weight(isa, &g, &x, &dy, &mut dw));
                    ys.extend(dw);
                    ys
                })
            };
            let one = all(1);
            for threads in [2, 3, 8] {
                assert!(all(threads) == one, "{isa}, {threads} threads");
            }
        }
    }
}
