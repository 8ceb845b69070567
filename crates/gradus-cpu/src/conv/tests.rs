//! Every convolution and gradient against the reference, on every ISA, and the same bits for any number of threads.

use gradus_simd::{IsaName, available};
use proptest::prelude::*;

use super::forward::Way;
use super::*;
use crate::gemm::Activation;
use crate::gemm::tests::{assert_close, numbers};

/// The forward pass in a given way, whatever it costs; where it does not serve, `y` is left as it is. Weights that are packed, kept and
/// used again give the same.
fn by<T: Float>(
    way: Way,
    isa: IsaName,
    g: &Geometry,
    (x, w): (&[T], &[T]),
    epilogue: &Epilogue<'_, T>,
    y: &mut [T],
) {
    if way.cost::<T>(isa, g, false).is_some() && !y.is_empty() {
        y.fill(T::NAN);
        forward::run_by(way, isa, g, x, w.into(), epilogue, y);
        let kept = Kept::new();
        let w = Weights {
            all: w,
            kept: Some(&kept),
        };
        for _ in 0..2 {
            let mut again = vec![T::NAN; y.len()];
            forward::run_by(way, isa, g, x, w, epilogue, &mut again);
            let finite = y.iter().all(|y| y.to_f64().is_finite());
            if way == Way::Packed && !finite {
                continue;
            }
            if way == Way::Packed {
                // Perhaps by the other engine.
                assert_close(&again, y, g.depth(), &format!("kept, {isa}"));
            } else {
                assert!(
                    again.iter().zip(&*y).all(|(a, y)| a == y),
                    "kept, {way:?} on {isa}"
                );
            }
        }
    }
}

/// One convolution: forward, both gradients and that of the bias, contiguous and on a given ISA.
pub(super) fn case<T: Float, const D: usize>(
    isa: IsaName,
    x_shape: &[usize],
    w_shape: &[usize],
    params: &ConvParams<D>,
) {
    let g = Geometry::new("test", x_shape, w_shape, params).unwrap();
    let (nx, nw, ny) = g.lens();
    let (x, w, dy) = (
        numbers::<T>(nx, 1),
        numbers::<T>(nw, 2),
        numbers::<T>(ny, 3),
    );
    let what = format!("{isa} {x_shape:?} {w_shape:?} {params:?}");

    let (bias, residual) = (numbers::<T>(w_shape[0], 4), numbers::<T>(ny, 5));
    let (mut got, mut want) = (vec![T::NAN; ny], vec![T::NAN; ny]);
    reference::conv((&x, x_shape), (&w, w_shape), params, &mut want).unwrap();
    forward::run(isa, &g, &x, w[..].into(), &Epilogue::default(), &mut got);
    assert_close(&got, &want, g.depth(), &format!("forward {what}"));
    for way in Way::ALL {
        by(way, isa, &g, (&x, &w), &Epilogue::default(), &mut got);
        let what = format!("{way:?} {what}");
        assert_close(&got, &want, g.depth(), &what);
    }
    for residual in [None, Some(&residual[..])] {
        let epilogue = Epilogue {
            bias: Bias::Row(&bias),
            residual,
            activation: if residual.is_some() {
                Activation::Relu
            } else {
                Activation::Gelu
            },
        };
        forward::run(isa, &g, &x, w[..].into(), &epilogue, &mut got);
        let want: Vec<T> = (0..ny)
            .map(|i| epilogue.reference(want[i], i / g.pixels().max(1) % w_shape[0].max(1), 0, i))
            .collect();
        assert_close(&got, &want, g.depth(), &format!("epilogue {what}"));
        for way in Way::ALL {
            by(way, isa, &g, (&x, &w), &epilogue, &mut got);
            let what = format!("{way:?}, epilogue {what}");
            assert_close(&got, &want, g.depth(), &what);
        }
    }

    let (mut got, mut want) = (vec![T::NAN; nx], vec![T::NAN; nx]);
    reference::backward_data(&dy, (&w, w_shape), params, (&mut want, x_shape)).unwrap();
    backward_data::run(isa, &g, &dy, &w, &mut got);
    assert_close(
        &got,
        &want,
        g.outputs * g.taps(),
        &format!("backward_data {what}"),
    );

    let (mut got, mut want) = (vec![T::NAN; nw], vec![T::NAN; nw]);
    reference::backward_weight((&x, x_shape), &dy, params, (&mut want, w_shape)).unwrap();
    backward_weight::run(isa, &g, &x, &dy, &mut got);
    assert_close(
        &got,
        &want,
        g.batch * g.pixels(),
        &format!("backward_weight {what}"),
    );
    if weight_tiles::cost::<T>(isa, &g).is_some() && !dy.is_empty() {
        got.fill(T::NAN);
        assert!(weight_tiles::run(&g, &x, &dy, &mut got), "{what}");
        assert_close(
            &got,
            &want,
            g.batch * g.pixels(),
            &format!("weight_tiles {what}"),
        );
    }
    if nw > 0 && !x.is_empty() && !dy.is_empty() && weight_shifted::cost(&g).is_some() {
        got.fill(T::NAN);
        weight_shifted::run(isa, &g, &x, &dy, &mut got);
        let what = format!("weight_shifted {what}");
        assert_close(&got, &want, g.batch * g.pixels(), &what);
    }

    if winograd::weight_cost::<T>(isa, &g).is_some() && !dy.is_empty() {
        got.fill(T::NAN);
        assert!(
            winograd::backward_weight(isa, &g, &x, &dy, &mut got),
            "{what}"
        );
        assert_close(
            &got,
            &want,
            g.batch * g.pixels(),
            &format!("weights by Winograd, {what}"),
        );
    }

    let mut got = vec![T::NAN; w_shape[0]];
    backward_weight::bias(isa, (g.batch, w_shape[0], g.pixels()), &dy, &mut got);
    let mut want = vec![T::ZERO; w_shape[0]];
    for (i, &x) in dy.iter().enumerate() {
        want[i / g.pixels() % w_shape[0]] += x;
    }
    assert_close(&got, &want, g.batch * g.pixels(), &format!("bias {what}"));
}

fn p2(
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
) -> Conv2dParams {
    Conv2dParams {
        stride,
        padding,
        dilation,
        groups,
    }
}

#[test]
fn every_isa() {
    let cases: &[([usize; 4], [usize; 4], Conv2dParams)] = &[
        ([2, 1, 9, 11], [3, 1, 3, 3], p2([1, 1], [0, 0], [1, 1], 1)),
        ([2, 3, 8, 33], [5, 3, 3, 3], p2([1, 1], [1, 1], [1, 1], 1)),
        ([3, 4, 7, 7], [6, 4, 1, 1], p2([1, 1], [0, 0], [1, 1], 1)),
        ([1, 3, 23, 19], [4, 3, 7, 7], p2([2, 2], [3, 3], [1, 1], 1)),
        ([5, 4, 4, 5], [6, 2, 3, 2], p2([2, 3], [1, 2], [1, 1], 2)),
        ([2, 2, 12, 10], [2, 2, 3, 3], p2([1, 2], [2, 0], [2, 3], 1)),
        ([2, 6, 9, 40], [6, 1, 3, 3], p2([1, 1], [1, 1], [1, 1], 6)),
        ([2, 3, 9, 10], [6, 1, 5, 3], p2([2, 2], [2, 1], [1, 2], 3)),
        ([1, 2, 3, 3], [2, 2, 1, 1], p2([3, 3], [4, 4], [1, 1], 1)),
        ([1, 2, 5, 6], [15, 2, 2, 2], p2([1, 1], [3, 3], [1, 1], 1)),
        ([2, 5, 6, 32], [15, 5, 3, 3], p2([1, 1], [1, 1], [1, 1], 1)),
        ([1, 40, 7, 64], [9, 40, 3, 3], p2([1, 2], [1, 1], [1, 1], 1)),
    ];
    for &isa in available() {
        for (x, w, params) in cases {
            case::<f32, 2>(isa, x, w, params);
            case::<f64, 2>(isa, x, w, params);
        }
    }
}

#[test]
fn larger_than_a_tile() {
    let isa = current();
    case::<f32, 2>(
        isa,
        &[2, 24, 28, 28],
        &[70, 24, 3, 3],
        &p2([1, 1], [1, 1], [1, 1], 1),
    );
    case::<f32, 2>(
        isa,
        &[40, 64, 1, 1],
        &[70, 64, 3, 3],
        &p2([1, 1], [1, 1], [1, 1], 1),
    );
    // Many small images.
    let params = p2([2, 1], [2, 1], [1, 1], 2);
    case::<f32, 2>(isa, &[37, 32, 6, 2], &[36, 16, 3, 3], &params);
    let params = p2([1, 1], [2, 4], [2, 2], 1);
    case::<f64, 2>(isa, &[16, 33, 3, 2], &[40, 33, 3, 3], &params);
    let params = p2([2, 2], [0, 0], [1, 1], 1);
    case::<f32, 2>(isa, &[20, 60, 4, 4], &[60, 60, 1, 1], &params);
    case::<f32, 2>(
        isa,
        &[2, 70, 40, 32],
        &[70, 70, 3, 3],
        &p2([1, 1], [1, 1], [1, 1], 1),
    );
    case::<f32, 2>(
        isa,
        &[3, 40, 27, 26],
        &[20, 40, 3, 3],
        &p2([2, 2], [1, 1], [1, 1], 1),
    );
    case::<f32, 2>(
        isa,
        &[9, 40, 7, 7],
        &[66, 40, 3, 3],
        &p2([2, 2], [1, 1], [1, 1], 1),
    );
    case::<f32, 2>(
        isa,
        &[20, 1, 28, 28],
        &[32, 1, 3, 3],
        &p2([1, 1], [0, 0], [1, 1], 1),
    );
    case::<f32, 2>(
        isa,
        &[1, 2, 70, 80],
        &[3, 2, 4, 4],
        &p2([2, 2], [1, 1], [1, 1], 1),
    );
    case::<f32, 2>(
        isa,
        &[2, 300, 5, 5],
        &[16, 300, 1, 1],
        &p2([1, 1], [0, 0], [1, 1], 1),
    );
}

#[test]
fn gradients_that_are_no_numbers_are_left_to_vectors() {
    let params = p2([1, 1], [1, 1], [1, 1], 1);
    let (x_shape, w_shape) = ([2, 64, 20, 20], [64, 64, 3, 3]);
    let g = Geometry::new("test", &x_shape, &w_shape, &params).unwrap();
    let (nx, nw, ny) = g.lens();
    let (x, mut dy) = (numbers::<f32>(nx, 1), numbers::<f32>(ny, 3));
    dy[400 * 64 + 25] = f32::INFINITY; // image 1, channel 0
    let (mut got, mut want) = (vec![f32::NAN; nw], vec![0.0; nw]);
    reference::backward_weight((&x, &x_shape), &dy, &params, (&mut want, &w_shape)).unwrap();
    for &isa in available() {
        if weight_tiles::cost::<f32>(isa, &g).is_some() {
            assert!(!weight_tiles::run(&g, &x, &dy, &mut got));
        }
        backward_weight::run(isa, &g, &x, &dy, &mut got);
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!(got.is_finite(), i >= 64 * 9, "{isa} {i}");
            assert_eq!(got.is_finite(), want.is_finite(), "{isa} {i}");
        }
    }
}

#[test]
fn one_and_three_dimensions() {
    for &isa in available() {
        let params = Conv1dParams {
            stride: [2],
            padding: [3],
            dilation: [2],
            groups: 2,
        };
        case::<f32, 1>(isa, &[2, 4, 21], &[6, 2, 3], &params);
        let params = Conv3dParams {
            stride: [1, 2, 1],
            padding: [1, 0, 1],
            dilation: [1, 1, 2],
            groups: 1,
        };
        case::<f32, 3>(isa, &[2, 2, 4, 5, 7], &[3, 2, 2, 3, 3], &params);
        let params = Conv3dParams {
            stride: [2, 1, 2],
            padding: [1, 1, 0],
            dilation: [2, 1, 1],
            groups: 3,
        };
        case::<f64, 3>(isa, &[2, 3, 5, 4, 6], &[3, 1, 2, 2, 3], &params);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn any_convolution(
        batch in 0usize..4, groups in 1usize..4, c in 1usize..5, o in 1usize..6, h in 1usize..12, w in 1usize..24,
        kernel in (1usize..5, 1usize..5), stride in (1usize..4, 1usize..4), padding in (0usize..4, 0usize..4),
        dilation in (1usize..4, 1usize..3),
    ) {
        let params = p2(stride.into(), padding.into(), dilation.into(), groups);
        let (x, w) = ([batch, c * groups, h, w], [o * groups, c, kernel.0, kernel.1]);
        if params.output_shape(&x, &w).is_ok() {
            case::<f32, 2>(current(), &x, &w, &params);
            case::<f64, 2>(current(), &x, &w, &params);
        }
    }
}

#[test]
fn strided_inputs_are_what_they_show() {
    let data = numbers::<f32>(400, 1);
    let weight = numbers::<f32>(54, 2);
    let (shape, strides) = ([2, 3, 6, 5], [90isize, 1, 15, 3]); // channels last
    let x = View::new(&data, 0, &shape, &strides).unwrap();
    let copy: Vec<f32> = x.iter().collect();
    let w_shape = [2, 3, 3, 3];
    let w = View::contiguous(&weight, &w_shape).unwrap();
    let params = p2([1, 1], [1, 1], [1, 1], 1);
    let (mut got, mut want) = (vec![0.0; 120], vec![0.0; 120]);
    conv2d(x, w, None, &params, &mut got).unwrap();
    conv2d(
        View::contiguous(&copy, &shape).unwrap(),
        w,
        None,
        &params,
        &mut want,
    )
    .unwrap();
    assert_eq!(got, want);
    let dy_shape = [2, 2, 6, 5];
    let dy = View::contiguous(&got, &dy_shape).unwrap();
    let (mut dw, mut dx, mut db) = (vec![0.0; 54], vec![0.0; 180], vec![0.0; 2]);
    conv2d_backward_weight(x, dy, &params, &w_shape, &mut dw).unwrap();
    conv2d_backward_data(dy, w, &params, &shape, &mut dx).unwrap();
    conv_backward_bias(dy, &mut db).unwrap();
    assert!(conv2d_backward_data(dy, w, &params, &[2, 3, 6, 6], &mut dx).is_err());
    assert!(conv2d_backward_weight(x, dy, &params, &w_shape, &mut dw[1..]).is_err());
    assert!(conv_backward_bias(dy, &mut db[1..]).is_err());
}

#[test]
fn hostile_sizes_are_errors() {
    let data = [0.0f32; 36];
    let x_shape = [1, 1, 6, 6];
    let w_shape = [1, 1, 3, 3];
    let x = View::contiguous(&data, &x_shape).unwrap();
    let w = View::contiguous(&data[..9], &w_shape).unwrap();
    let mut y = [0.0; 16];
    let big = usize::MAX;
    let bad = [
        p2([0, 1], [0, 0], [1, 1], 1),
        p2([1, 1], [0, 0], [0, 1], 1),
        p2([1, 1], [0, 0], [1, 1], 0),
        p2([1, 1], [0, 0], [1, 1], 2),
        p2([1, 1], [big, 0], [1, 1], 1),
        p2([1, 1], [big / 2, 0], [1, 1], 1),
        p2([1, 1], [0, 0], [big, 1], 1),
        p2([1, 1], [0, 0], [big / 2, 1], 1),
        p2([1, 1], [0, 0], [3, 1], 1),
        p2([1, 1], [1, 1], [1, 1], 1), // y is too short
        p2([1, 1], [1 << 40, 1 << 40], [1, 1], 1),
    ];
    for params in bad {
        assert!(conv2d(x, w, None, &params, &mut y).is_err(), "{params:?}");
    }
    let ok = p2([1, 1], [0, 0], [1, 1], 1);
    assert!(conv2d(x, w, Some(&data[..2]), &ok, &mut y).is_err());
    assert!(conv2d(x, w, Some(&data[..1]), &ok, &mut y).is_ok());
    let empty_kernel = View::contiguous(&data[..0], &[1, 1, 0, 3]).unwrap();
    assert!(conv2d(x, empty_kernel, None, &ok, &mut y).is_err());
    assert!(ok.output_shape(&[1, 1, big, big], &w_shape).is_err());
    assert!(ok.output_shape(&[1, 1, 6], &w_shape).is_err());
    assert!(ok.output_shape(&[1, big, 6, 6], &[1, big, 3, 3]).is_err());
    // Far strides and paddings that leave one pixel of padding are fine.
    let far = p2([1 << 40, 1 << 40], [1 << 40, 1 << 40], [1, 1], 1);
    assert_eq!(far.output_shape(&x_shape, &w_shape).unwrap(), [1, 1, 3, 3]);
    let mut y = [1.0; 9];
    conv2d(x, w, None, &far, &mut y).unwrap();
    let dy_shape = [1, 1, 3, 3];
    let dy = View::contiguous(&data[..9], &dy_shape).unwrap();
    conv2d_backward_data(dy, w, &far, &x_shape, &mut [0.0; 36]).unwrap();
    conv2d_backward_weight(x, dy, &far, &w_shape, &mut [0.0; 9]).unwrap();
    // Nothing in, nothing out; no channels: only the bias.
    let mut y = [5.0; 32];
    let none = View::contiguous(&data[..0], &[2, 0, 6, 6]).unwrap();
    let no_weight = View::contiguous(&data[..0], &[1, 0, 3, 3]).unwrap();
    conv2d(none, no_weight, Some(&[2.0]), &ok, &mut y).unwrap();
    assert_eq!(y, [2.0; 32]);
}

#[cfg(feature = "threads")]
#[test]
fn the_same_bits_for_any_number_of_threads() {
    let cases = [
        ([8, 1, 28, 28], [32, 1, 3, 3], p2([1, 1], [0, 0], [1, 1], 1)),
        (
            [3, 16, 30, 30],
            [40, 16, 3, 3],
            p2([2, 2], [1, 1], [1, 1], 1),
        ),
        (
            [3, 16, 30, 30],
            [40, 16, 3, 3],
            p2([1, 1], [1, 1], [1, 1], 1),
        ),
        (
            [3, 48, 20, 20],
            [48, 1, 3, 3],
            p2([1, 1], [1, 1], [1, 1], 48),
        ),
        (
            [33, 32, 4, 4],
            [48, 32, 3, 3],
            p2([2, 2], [1, 1], [1, 1], 1),
        ),
    ];
    for (xs, ws, params) in cases {
        let g = Geometry::new("test", &xs, &ws, &params).unwrap();
        let (nx, nw, ny) = g.lens();
        let (x, w, dy) = (
            numbers::<f32>(nx, 1),
            numbers::<f32>(nw, 2),
            numbers::<f32>(ny, 3),
        );
        let run = |threads| {
            crate::parallel::with_threads(threads, || {
                let isa = current();
                let (mut y, mut dx, mut dw) = (vec![0.0f32; ny], vec![0.0; nx], vec![0.0; nw]);
                forward::run(isa, &g, &x, w[..].into(), &Epilogue::default(), &mut y);
                backward_data::run(isa, &g, &dy, &w, &mut dx);
                backward_weight::run(isa, &g, &x, &dy, &mut dw);
                [y, dx, dw]
                    .concat()
                    .iter()
                    .map(|x| x.to_bits())
                    .collect::<Vec<_>>()
            })
        };
        let want = run(1);
        for threads in [2, 3, 8] {
            assert!(run(threads) == want, "{params:?} on {threads} threads");
        }
    }
}

#[test]
fn numbers_that_tiles_cannot_split() {
    // Infinities, huge and tiny numbers: bands of them are computed by vectors, and others as ever.
    let (x_shape, w_shape) = ([3, 40, 9, 12], [33, 40, 3, 3]);
    let params = p2([1, 1], [1, 1], [1, 1], 1);
    let g = Geometry::new("test", &x_shape, &w_shape, &params).unwrap();
    let (nx, nw, ny) = g.lens();
    let (mut x, w) = (numbers::<f32>(nx, 1), numbers::<f32>(nw, 2));
    x[100] = f32::INFINITY;
    x[nx / 3..nx / 3 * 2].iter_mut().for_each(|x| *x *= 1e-36);
    let mut want = vec![0.0; ny];
    reference::conv((&x, &x_shape), (&w, &w_shape), &params, &mut want).unwrap();
    for &isa in available() {
        for way in Way::ALL {
            let mut got = want.clone();
            by(way, isa, &g, (&x, &w), &Epilogue::default(), &mut got);
            for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
                let small = i / (ny / 3) == 1;
                let bound = if small { 1e-40 } else { 1e-5 };
                let same = got == want || (got - want).abs() <= bound * 40.0;
                assert!(
                    same || got.is_nan() && want.is_nan(),
                    "{isa} {way:?}: {got} {want} at {i}"
                );
            }
        }
    }
}
