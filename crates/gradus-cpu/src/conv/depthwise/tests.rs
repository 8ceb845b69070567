//! Lines against the reference: any depthwise convolution, and what is no number.

use gradus_simd::available;
use proptest::prelude::*;

use super::*;
use crate::conv::tests::case;
use crate::conv::{Conv1dParams, Conv2dParams, Conv3dParams, backward_data, backward_weight};
use crate::conv::{ConvParams, reference};
use crate::gemm::tests::numbers;

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn any_depthwise(
        batch in 1usize..4, groups in 2usize..12, o in 1usize..4, h in 1usize..12, w in 1usize..40,
        kernel in (1usize..6, 1usize..6), stride in (1usize..4, 1usize..4), padding in (0usize..4, 0usize..4),
        dilation in (1usize..4, 1usize..3),
    ) {
        let params = Conv2dParams {
            stride: stride.into(),
            padding: padding.into(),
            dilation: dilation.into(),
            groups,
        };
        let (x, w) = ([batch, groups, h, w], [o * groups, 1, kernel.0, kernel.1]);
        if params.output_shape(&x, &w).is_ok() {
            for &isa in available() {
                case::<f32, 2>(isa, &x, &w, &params);
                case::<f64, 2>(isa, &x, &w, &params);
            }
        }
    }
}

#[test]
fn rows_of_one_pixel_have_one_phase() {
    for &isa in available() {
        for (rows, stride) in [(5, [1, 2]), (6, [2, 2]), (7, [1, 3])] {
            let params = Conv2dParams {
                stride,
                groups: 9,
                ..Default::default()
            };
            case::<f32, 2>(isa, &[2, 9, rows, 1], &[9, 1, 1, 1], &params);
        }
    }
}

#[test]
fn one_and_three_dimensions() {
    for &isa in available() {
        let params = Conv1dParams {
            stride: [3],
            padding: [4],
            dilation: [2],
            groups: 9,
        };
        case::<f32, 1>(isa, &[2, 9, 50], &[18, 1, 5], &params);
        let params = Conv3dParams {
            stride: [2, 1, 3],
            padding: [1, 2, 2],
            dilation: [1, 2, 1],
            groups: 8,
        };
        case::<f32, 3>(isa, &[2, 8, 5, 6, 9], &[8, 1, 3, 3, 4], &params);
        case::<f64, 3>(isa, &[1, 8, 4, 6, 7], &[16, 1, 2, 3, 1], &params);
    }
}

/// Of both gradients: the elements that are NaN, and those that are infinite.
fn kinds(values: &[f32]) -> Vec<(bool, bool)> {
    values
        .iter()
        .map(|x| (x.is_nan(), x.is_infinite()))
        .collect()
}

#[test]
fn infinities_spread_no_further_than_in_the_reference() {
    let params = ConvParams {
        stride: [1, 2],
        padding: [1, 1],
        dilation: [1, 1],
        groups: 8,
    };
    let (x_shape, w_shape) = ([2, 8, 6, 7], [8, 1, 3, 3]);
    let g = Geometry::new("test", &x_shape, &w_shape, &params).unwrap();
    assert!(suits_weight(&g));
    let (nx, nw, ny) = g.lens();
    let (mut x, mut w, dy) = (
        numbers::<f32>(nx, 1),
        numbers::<f32>(nw, 2),
        numbers::<f32>(ny, 3),
    );
    x[42 * 3] = f32::INFINITY; // a corner of channel 3
    w[9 * 5] = f32::NEG_INFINITY; // a corner of the kernel of channel 5
    for &isa in available() {
        let (mut got, mut want) = (vec![0.0; nw], vec![0.0; nw]);
        reference::backward_weight((&x, &x_shape), &dy, &params, (&mut want, &w_shape)).unwrap();
        backward_weight::run(isa, &g, &x, &dy, &mut got);
        assert_eq!(kinds(&got), kinds(&want), "{isa}");
        assert!(want.iter().any(|x| x.is_infinite()) && want.iter().all(|x| !x.is_nan()));
        let (mut got, mut want) = (vec![0.0; nx], vec![0.0; nx]);
        reference::backward_data(&dy, (&w, &w_shape), &params, (&mut want, &x_shape)).unwrap();
        backward_data::run(isa, &g, &dy, &w, &mut got);
        assert_eq!(kinds(&got), kinds(&want), "{isa}");
        assert!(want.iter().any(|x| x.is_infinite()) && want.iter().all(|x| !x.is_nan()));
    }
}

#[test]
fn tiles_cover_an_area_once() {
    for (rows, width, lanes) in (1..30).flat_map(|r| [1, 7, 8, 17, 33].map(|w| (r, w, 8))) {
        let area = Area {
            at: 0,
            pitch: 40,
            from: 0,
            step: width,
            rows,
            width,
        };
        let mut seen = vec![0; rows * width];
        area.tiles(lanes, |row, column, n, m| {
            assert!([1, 2, 3, 4, 6, 7].contains(&n), "a size that has a kernel");
            for r in row..row + n {
                seen[r * width + column..][..m]
                    .iter_mut()
                    .for_each(|n| *n += 1);
            }
        });
        assert!(seen.iter().all(|&n| n == 1), "{rows} x {width}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let params = Conv2dParams {
        stride: [2, 1],
        padding: [2, 2],
        dilation: [1, 1],
        groups: 24,
    };
    let (x_shape, w_shape) = ([5, 24, 23, 19], [48, 1, 5, 5]);
    let g = Geometry::new("test", &x_shape, &w_shape, &params).unwrap();
    let (nx, nw, ny) = g.lens();
    let (x, w, dy) = (
        numbers::<f32>(nx, 1),
        numbers::<f32>(nw, 2),
        numbers::<f32>(ny, 3),
    );
    for &isa in available() {
        let all = |threads| {
            parallel::with_threads(threads, || {
                let (mut y, mut dx, mut dw) = (vec![0.0; ny], vec![0.0; nx], vec![0.0; nw]);
                forward(isa, &g, &x, &w, &Epilogue::default(), &mut y);
                backward_data(isa, &g, &dy, &w, &mut dx);
                backward_weight(isa, &g, &x, &dy, &mut dw);
                [y, dx, dw].concat()
            })
        };
        let one = all(1);
        for threads in [2, 3, 7] {
            assert!(
                one.iter()
                    .zip(all(threads))
                    .all(|(a, b)| a.to_bits() == b.to_bits()),
                "{isa}, {threads} threads"
            );
        }
    }
}
