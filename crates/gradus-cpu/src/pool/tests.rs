//! Pooling against windows written out by hand, PyTorch's corner cases, gradients and threads.

use proptest::prelude::*;

use super::*;
use crate::View;
use crate::gemm::tests::{assert_close, numbers};

/// What a window of a plane holds: (positions, size with padding), by PyTorch's definition, for two dimensions.
fn window(
    (h, w): (usize, usize),
    out: (usize, usize),
    (k, s, p, d): ([usize; 2], [usize; 2], [usize; 2], [usize; 2]),
) -> (Vec<usize>, usize) {
    let mut positions = Vec::new();
    let start = |i: usize, o: usize| (o * s[i]) as isize - p[i] as isize;
    for r in 0..k[0] {
        for c in 0..k[1] {
            let (y, x) = (
                start(0, out.0) + (r * d[0]) as isize,
                start(1, out.1) + (c * d[1]) as isize,
            );
            if (0..h as isize).contains(&y) && (0..w as isize).contains(&x) {
                positions.push(y as usize * w + x as usize);
            }
        }
    }
    let extent = |i: usize, o: usize, n: usize| {
        (start(i, o) + k[i] as isize).min((n + p[i]) as isize) - start(i, o)
    };
    (
        positions,
        (extent(0, out.0, h) * extent(1, out.1, w)) as usize,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn any_max_pool(
        planes in 0usize..3, h in 1usize..12, w in 1usize..40, k in (1usize..4, 1usize..4), s in (1usize..4, 1usize..4),
        p in (0usize..2, 0usize..2), d in (1usize..3, 1usize..3), ceil_mode in any::<bool>(), nan in any::<bool>(), sparse in any::<bool>(),
    ) {
        let params = MaxPool2dParams {
            kernel: k.into(), stride: s.into(), padding: p.into(), dilation: d.into(), ceil_mode,
        };
        let shape = [planes, 1, h, w];
        let Ok([oh, ow]) = params.output_size(&shape) else { return Ok(()) };
        let mut x: Vec<f32> = numbers(planes * h * w, 1);
        for x in &mut x {
            *x = (*x * 4.0).round(); // ties
        }
        if sparse {
            x.iter_mut().filter(|x| **x < 2.0).for_each(|x| *x = f32::NEG_INFINITY);
        }
        if nan {
            x.iter_mut().step_by(7).for_each(|x| *x = f32::NAN);
        }
        let n = planes * oh * ow;
        let (mut y, mut values, mut indices) = (vec![0.0; n], vec![0.0; n], vec![0; n]);
        let view = View::contiguous(&x, &shape).unwrap();
        max_pool(view, &params, &mut y, Some(&mut indices)).unwrap();
        max_pool(view, &params, &mut values, None).unwrap();
        for i in 0..n {
            let plane = &x[i / (oh * ow) * h * w..][..h * w];
            let (at, _) = window((h, w), (i / ow % oh, i % ow), (params.kernel, params.stride, params.padding, params.dilation));
            let mut best = at.first().copied().unwrap_or(0);
            for &q in &at {
                if plane[q] > plane[best] || plane[q].is_nan() {
                    best = q;
                }
            }
            if at.is_empty() {
                assert_eq!((y[i], values[i], indices[i]), (f32::NEG_INFINITY, f32::NEG_INFINITY, -1));
            } else {
                assert_eq!(indices[i], best as i64, "{params:?} {h}x{w} at {i}");
                assert_eq!(y[i].to_bits(), plane[best].to_bits());
                assert_eq!(values[i].to_bits(), y[i].to_bits());
            }
        }
        let dy = numbers::<f32>(n, 2);
        let dy_shape = [planes, 1, oh, ow];
        let (mut dx, mut want) = (vec![f32::NAN; x.len()], vec![0.0; x.len()]);
        max_pool_backward(View::contiguous(&dy, &dy_shape).unwrap(), &indices, (h * w, oh * ow), &mut dx).unwrap();
        for i in 0..n {
            if indices[i] >= 0 {
                want[i / (oh * ow) * h * w + indices[i] as usize] += dy[i];
            }
        }
        assert_eq!(dx, want);
    }

    #[test]
    fn any_avg_pool(
        planes in 0usize..3, h in 1usize..12, w in 1usize..40, k in (1usize..4, 1usize..20), s in (1usize..4, 1usize..4),
        p in (0usize..2, 0usize..2), ceil_mode in any::<bool>(), count_include_pad in any::<bool>(), fixed in any::<bool>(),
    ) {
        let divisor_override = fixed.then_some(-3);
        let params = AvgPool2dParams {
            kernel: k.into(), stride: s.into(), padding: p.into(), ceil_mode, count_include_pad, divisor_override,
        };
        let shape = [planes, 1, h, w];
        let Ok([oh, ow]) = params.output_size(&shape) else { return Ok(()) };
        let (x, dy) = (numbers::<f64>(planes * h * w, 1), numbers::<f64>(planes * oh * ow, 2));
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![f64::NAN; x.len()]);
        let (mut want, mut want_dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        avg_pool(View::contiguous(&x, &shape).unwrap(), &params, &mut y).unwrap();
        let dy_shape = [planes, 1, oh, ow];
        avg_pool_backward(View::contiguous(&dy, &dy_shape).unwrap(), &params, &shape, &mut dx).unwrap();
        for i in 0..dy.len() {
            let base = i / (oh * ow) * h * w;
            let (at, size) = window((h, w), (i / ow % oh, i % ow), (params.kernel, params.stride, params.padding, [1, 1]));
            let divisor = if fixed { -3.0 } else if count_include_pad { size as f64 } else { at.len() as f64 };
            for &q in &at {
                want[i] += x[base + q] / divisor;
                want_dx[base + q] += dy[i] / divisor;
            }
        }
        assert_close(&y, &want, 60, &format!("{params:?}"));
        assert_close(&dx, &want_dx, 60, &format!("{params:?} backward"));
    }

    #[test]
    fn any_adaptive_pool(planes in 0usize..3, h in 1usize..12, w in 1usize..40, oh in 0usize..7, ow in 1usize..7) {
        let shape = [planes, h, w];
        let (x, dy) = (numbers::<f64>(planes * h * w, 1), numbers::<f64>(planes * oh * ow, 2));
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![f64::NAN; x.len()]);
        let (mut want, mut want_dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        adaptive_avg_pool(View::contiguous(&x, &shape).unwrap(), [oh, ow], &mut y).unwrap();
        let dy_shape = [planes, oh, ow];
        adaptive_avg_pool_backward(View::contiguous(&dy, &dy_shape).unwrap(), [oh, ow], &shape, &mut dx).unwrap();
        for i in 0..dy.len() {
            let (r, c) = (i / ow % oh, i % ow);
            let (rows, cols) = (r * h / oh..((r + 1) * h).div_ceil(oh), c * w / ow..((c + 1) * w).div_ceil(ow));
            let n = (rows.len() * cols.len()) as f64;
            for q in rows {
                for z in cols.clone() {
                    let at = (i / (oh * ow) * h + q) * w + z;
                    want[i] += x[at] / n;
                    want_dx[at] += dy[i] / n;
                }
            }
        }
        assert_close(&y, &want, 60, "adaptive");
        assert_close(&dx, &want_dx, 60, "adaptive backward");
    }
}

#[test]
fn one_and_three_dimensions() {
    let x: Vec<f32> = (0..24).map(|i| (i * 7 % 24) as f32).collect();
    let (mut y, mut indices) = ([0.0; 4], [0; 4]);
    let shape = [2, 12];
    max_pool(
        View::contiguous(&x, &shape).unwrap(),
        &MaxPoolParams::new([5]),
        &mut y,
        Some(&mut indices),
    )
    .unwrap();
    assert_eq!((y, indices), ([21.0, 18.0, 19.0, 23.0], [3, 6, 1, 5]));
    let shape = [2, 3, 4];
    let mut y = [0.0; 2];
    avg_pool(
        View::contiguous(&x, &shape).unwrap(),
        &AvgPoolParams::new([2, 3, 2]),
        &mut y,
    )
    .unwrap();
    let mean = |at: [usize; 6]| at.iter().map(|&i| x[i] + x[i + 12]).sum::<f32>() / 12.0;
    assert_eq!(y, [mean([0, 1, 4, 5, 8, 9]), mean([2, 3, 6, 7, 10, 11])]);
}

#[test]
fn hostile_arguments_are_errors() {
    let x = [0.0f32; 16];
    let shape = [1, 4, 4];
    let view = View::contiguous(&x, &shape).unwrap();
    let ok = MaxPool2dParams::new([2, 2]);
    let mut y = [0.0; 4];
    let big = usize::MAX;
    for bad in [
        MaxPool2dParams::new([0, 2]),
        MaxPool2dParams::new([5, 2]),
        MaxPool2dParams {
            stride: [0, 1],
            ..ok
        },
        MaxPool2dParams {
            padding: [2, 0],
            ..ok
        },
        MaxPool2dParams {
            padding: [big, 0],
            ..ok
        },
        MaxPool2dParams {
            dilation: [0, 1],
            ..ok
        },
        MaxPool2dParams {
            dilation: [big, 1],
            ..ok
        },
        MaxPool2dParams {
            kernel: [big, 1],
            padding: [big / 2, 0],
            ..ok
        },
        MaxPool2dParams {
            stride: [big, 1],
            ceil_mode: true,
            ..ok
        },
        MaxPool2dParams {
            stride: [1, 1],
            ..ok
        }, // another output size
    ] {
        assert!(max_pool(view, &bad, &mut y, None).is_err(), "{bad:?}");
    }
    assert!(max_pool(view, &ok, &mut y, Some(&mut [0; 3])).is_err());
    assert!(max_pool(View::contiguous(&x, &[16]).unwrap(), &ok, &mut y, None).is_err());
    let dy = View::contiguous(&x[..4], &[1, 2, 2]).unwrap();
    for indices in [[0, 1, 2, 16], [-2, 0, 0, 0], [i64::MIN, 0, 0, 0]] {
        assert!(max_pool_backward(dy, &indices, (16, 4), &mut [0.0; 16]).is_err());
    }
    assert!(max_pool_backward(dy, &[0; 4], (16, 3), &mut [0.0; 16]).is_err());
    assert!(max_pool_backward(dy, &[0; 4], (0, 4), &mut [0.0; 16]).is_err());
    assert!(max_pool_backward(dy, &[0; 4], (big, big), &mut [0.0; 16]).is_err());
    let zero = AvgPool2dParams {
        divisor_override: Some(0),
        ..AvgPool2dParams::new([2, 2])
    };
    assert!(avg_pool(view, &zero, &mut y).is_err());
    assert!(
        avg_pool_backward(
            dy,
            &AvgPool2dParams::new([2, 2]),
            &[1, 4, 5],
            &mut [0.0; 16]
        )
        .is_err()
    );
    assert!(adaptive_avg_pool(view, [2, 3], &mut y).is_err());
    assert!(adaptive_avg_pool(view, [big, big], &mut y).is_err());
    let none = View::contiguous(&x[..0], &[1, 0, 4]).unwrap();
    assert!(adaptive_avg_pool(none, [2, 2], &mut y).is_err());
    // No planes: nothing to do, whatever the sizes.
    let none = View::contiguous(&x[..0], &[0, 4, 4]).unwrap();
    adaptive_avg_pool(none, [1 << 40, 1 << 20], &mut y[..0]).unwrap();
}

#[cfg(feature = "threads")]
#[test]
fn the_same_bits_for_any_number_of_threads() {
    let shape = [40, 3, 50, 51];
    let x = numbers::<f32>(shape.iter().product(), 1);
    let run = |threads| {
        let view = View::contiguous(&x, &shape).unwrap();
        let params = AvgPool2dParams {
            stride: [2, 2],
            padding: [1, 1],
            ..AvgPool2dParams::new([3, 3])
        };
        let mut y = vec![0.0; 40 * 3 * 25 * 26];
        let mut dx = vec![0.0; x.len()];
        crate::parallel::with_threads(threads, || {
            avg_pool(view, &params, &mut y).unwrap();
            avg_pool_backward(
                View::contiguous(&y, &[40, 3, 25, 26]).unwrap(),
                &params,
                &shape,
                &mut dx,
            )
            .unwrap();
        });
        [y, dx]
            .concat()
            .iter()
            .map(|x| x.to_bits())
            .collect::<Vec<_>>()
    };
    let want = run(1);
    assert!([2, 3, 8].into_iter().all(|threads| run(threads) == want));
}
