//! Reductions against plain loops in f64, for many shapes, axes and strides, and on several thread pools.

use gradus_cpu::{View, bf16, reduce};
use proptest::prelude::*;

/// Lines of `x` along the reduced axes, in row-major order of both.
fn lines(shape: &[usize], data: &[f64], axes: &[usize]) -> Vec<Vec<f64>> {
    let kept: Vec<usize> = (0..shape.len()).filter(|d| !axes.contains(d)).collect();
    let rows: usize = kept.iter().map(|&d| shape[d]).product();
    let mut out = vec![Vec::new(); rows];
    for (i, &x) in data.iter().enumerate() {
        let (mut rest, mut coordinates) = (i, vec![0; shape.len()]);
        for d in (0..shape.len()).rev() {
            coordinates[d] = rest % shape[d];
            rest /= shape[d];
        }
        let row = kept
            .iter()
            .fold(0, |row, &d| row * shape[d] + coordinates[d]);
        out[row].push(x);
    }
    out
}

fn value(i: usize) -> f64 {
    ((i * 7919 + 13) % 2003) as f64 / 500.0 - 2.0
}

/// A shape, the axes to reduce, and whether dimensions lie in memory in reverse.
fn problems() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, bool)> {
    prop::collection::vec(
        prop_oneof![Just(0usize), Just(1), 2usize..7, 30usize..40],
        0..5,
    )
    .prop_flat_map(|shape| {
        (
            Just(shape.clone()),
            prop::sample::subsequence((0..shape.len()).collect::<Vec<_>>(), 0..=shape.len()),
            any::<bool>(),
        )
    })
}

/// Strides of a dense layout, in order or reversed.
fn strides(shape: &[usize], reversed: bool) -> Vec<isize> {
    let mut out = vec![0; shape.len()];
    let mut step = 1;
    let order: Vec<usize> = if reversed {
        (0..shape.len()).collect()
    } else {
        (0..shape.len()).rev().collect()
    };
    for d in order {
        out[d] = step;
        step *= shape[d].max(1) as isize;
    }
    out
}

fn close(got: f64, want: f64, eps: f64) -> bool {
    got == want
        || (got.is_nan() && want.is_nan())
        || (got - want).abs() <= eps * want.abs().max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn folds_match_plain_loops((shape, axes, reversed) in problems()) {
        let n: usize = shape.iter().product();
        let strides = strides(&shape, reversed);
        let data: Vec<f64> = (0..n).map(value).collect();
        let x = View::new(&data, 0, &shape, &strides).unwrap();
        let logical: Vec<f64> = x.iter().collect();
        let lines = lines(&shape, &logical, &axes);
        let single: Vec<f32> = data.iter().map(|&x| x as f32).collect();
        let x32 = View::new(&single, 0, &shape, &strides).unwrap();
        let ints: Vec<i32> = data.iter().map(|&x| (x * 2.0) as i32).collect();
        let xi = View::new(&ints, 0, &shape, &strides).unwrap();
        let half: Vec<bf16> = data.iter().map(|&x| bf16::from_f64(x)).collect();
        let xh = View::new(&half, 0, &shape, &strides).unwrap();

        let (mut y, mut y32, mut yi, mut yh) = (vec![0f64; lines.len()], vec![0f32; lines.len()], vec![0i64; lines.len()], vec![bf16::ZERO; lines.len()]);
        let mut yb = vec![false; lines.len()];
        reduce::sum(x, &axes, &mut y).unwrap();
        reduce::sum(x32, &axes, &mut y32).unwrap();
        reduce::sum(xi, &axes, &mut yi).unwrap();
        reduce::sum(xh, &axes, &mut yh).unwrap();
        for (i, line) in lines.iter().enumerate() {
            let want: f64 = line.iter().sum();
            let scale: f64 = line.iter().map(|x| x.abs()).sum();
            prop_assert!(close(y[i], want, 1e-12 * scale.max(1.0)));
            prop_assert!(close(y32[i] as f64, want, 1e-6 * scale.max(1.0)));
            prop_assert_eq!(yi[i], line.iter().map(|&x| (x * 2.0) as i64).sum::<i64>());
            prop_assert!(close(yh[i].to_f64(), want, 1e-2 * scale.max(1.0)));
        }
        reduce::prod(x, &axes, &mut y).unwrap();
        for (i, line) in lines.iter().enumerate() {
            prop_assert!(close(y[i], line.iter().product(), 1e-10));
        }
        reduce::any(xi, &axes, &mut yb).unwrap();
        prop_assert!(yb.iter().zip(&lines).all(|(&b, l)| b == l.iter().any(|&x| (x * 2.0) as i32 != 0)));
        reduce::all(xi, &axes, &mut yb).unwrap();
        prop_assert!(yb.iter().zip(&lines).all(|(&b, l)| b == l.iter().all(|&x| (x * 2.0) as i32 != 0)));
        if lines.iter().all(Vec::is_empty) {
            prop_assert_eq!(reduce::max(x, &axes, &mut y).is_err(), !lines.is_empty());
        } else {
            reduce::max(x, &axes, &mut y).unwrap();
            prop_assert!(y.iter().zip(&lines).all(|(&y, l)| y == l.iter().copied().fold(f64::MIN, f64::max)));
            reduce::min(xi, &axes, &mut ints.clone()[..lines.len()]).unwrap();
            reduce::min(x, &axes, &mut y).unwrap();
            prop_assert!(y.iter().zip(&lines).all(|(&y, l)| y == l.iter().copied().fold(f64::MAX, f64::min)));
        }
        // Statistics.
        let mut means = y.clone();
        reduce::var(x, &axes, 1.0, Some(&mut means), &mut y).unwrap();
        let mut single = vec![0f64; lines.len()];
        reduce::mean(x, &axes, &mut single).unwrap();
        for (i, line) in lines.iter().enumerate() {
            let mean = line.iter().sum::<f64>() / line.len() as f64;
            prop_assert!(close(means[i], mean, 1e-12) && close(single[i], mean, 1e-12));
            let var = line.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (line.len() as f64 - 1.0).max(0.0);
            prop_assert!(close(y[i], var, 1e-11), "{} {}", y[i], var);
        }
        reduce::logsumexp(x, &axes, &mut y).unwrap();
        prop_assert!(y.iter().zip(&lines).all(|(&y, l)| close(y, l.iter().map(|x| x.exp()).sum::<f64>().ln(), 1e-12)));
        for p in [0.0, 1.0, 2.0, 3.5] {
            reduce::norm(x, &axes, p, &mut y).unwrap();
            for (y, l) in y.iter().zip(&lines) {
                let want = if p == 0.0 { l.iter().filter(|x| **x != 0.0).count() as f64 } else { l.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p) };
                prop_assert!(close(*y, want, 1e-12));
            }
        }
    }

    #[test]
    fn lines_match_plain_loops((shape, axes, reversed) in problems(), k in 1usize..4) {
        prop_assume!(!axes.is_empty() && !shape.contains(&0));
        let axis = axes[0];
        let n: usize = shape.iter().product();
        let strides = strides(&shape, reversed);
        // Few different values, so that there are ties; some NaN.
        let data: Vec<f32> = (0..n).map(|i| if i % 41 == 7 { f32::NAN } else { (value(i) * 3.0).round() as f32 }).collect();
        let x = View::new(&data, 0, &shape, &strides).unwrap();
        let logical: Vec<f64> = x.iter().map(f64::from).collect();
        let (length, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let place = |line: usize, i: usize, k: usize| (line / inner * k + i) * inner + line % inner;
        let rows = lines(&shape, &logical, &[axis]);

        let (mut values, mut indices) = (vec![0f32; n], vec![0i64; n]);
        for descending in [false, true] {
            reduce::sort(x, axis, descending, &mut values, &mut indices).unwrap();
            let k = k.min(length);
            let (mut v, mut ix) = (vec![0f32; n / length * k], vec![0i64; n / length * k]);
            reduce::topk(x, axis, k, descending, &mut v, &mut ix).unwrap();
            let (mut kth, mut kth_at) = (vec![0f32; n / length], vec![0i64; n / length]);
            reduce::kthvalue(x, axis, k, &mut kth, &mut kth_at).unwrap();
            for (line, row) in rows.iter().enumerate() {
                let mut order: Vec<usize> = (0..length).collect();
                let cmp = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
                order.sort_by(|&a, &b| if descending { cmp(row[b], row[a]) } else { cmp(row[a], row[b]) });
                for (i, &o) in order.iter().enumerate() {
                    prop_assert_eq!(indices[place(line, i, length)], o as i64);
                    prop_assert_eq!(values[place(line, i, length)].to_bits(), (row[o] as f32).to_bits());
                }
                prop_assert!((0..k).all(|i| ix[place(line, i, k)] == order[i] as i64));
                prop_assert!(descending || kth_at[line] == order[k - 1] as i64);
            }
        }
        let mut best = vec![0i64; n / length];
        reduce::argmax(x, Some(axis), &mut best).unwrap();
        for (row, &b) in rows.iter().zip(&best) {
            let nan = row.iter().position(|x| x.is_nan());
            let max = row.iter().copied().fold(f64::MIN, f64::max);
            prop_assert_eq!(b as usize, nan.unwrap_or_else(|| row.iter().position(|&x| x == max).unwrap()));
        }
        let mut sums = vec![0f32; n];
        reduce::cumsum(x, axis, &mut sums).unwrap();
        reduce::cummax(x, axis, &mut values, &mut indices).unwrap();
        for (line, row) in rows.iter().enumerate() {
            let (mut sum, mut top, mut at) = (0.0, f64::MIN, 0);
            for (i, &x) in row.iter().enumerate() {
                sum += x;
                if x >= top || x.is_nan() { top = x; at = i; }
                prop_assert!(close(sums[place(line, i, length)] as f64, sum, 1e-6));
                prop_assert_eq!(indices[place(line, i, length)], at as i64);
                prop_assert_eq!(values[place(line, i, length)].to_bits(), (top as f32).to_bits());
            }
        }
    }
}

#[test]
fn large_reductions_are_accurate_and_the_same_for_any_number_of_threads_and_any_strides() {
    for (shape, axes) in [
        (vec![1_000_003usize], vec![0usize]),
        (vec![3, 300_001], vec![1]),
        (vec![100_003, 10], vec![0]),
        (vec![50_001, 128], vec![0]),
        (vec![300, 3001], vec![0]),
        (vec![8, 100, 1000], vec![0, 2]),
        (vec![8, 100, 1000], vec![1]),
        (vec![100_000, 7], vec![1]),
    ] {
        let n: usize = shape.iter().product();
        let data: Vec<f32> = (0..n).map(|i| (value(i) * 1.37) as f32).collect();
        let x = View::contiguous(&data, &shape).unwrap();
        let outputs = shape
            .iter()
            .enumerate()
            .filter(|(d, _)| !axes.contains(d))
            .map(|(_, &s)| s)
            .product();
        let sum = |x: View<'_, f32>| {
            let (mut sum, mut var) = (vec![0f32; outputs], vec![0f32; outputs]);
            reduce::sum(x, &axes, &mut sum).unwrap();
            reduce::var(x, &axes, 1.0, None, &mut var).unwrap();
            sum.into_iter()
                .chain(var)
                .map(f32::to_bits)
                .collect::<Vec<_>>()
        };
        let want = sum(x);
        let logical: Vec<f64> = x.iter().map(f64::from).collect();
        for (line, &got) in lines(&shape, &logical, &axes).iter().zip(&want) {
            let scale: f64 = line.iter().map(|x| x.abs()).sum();
            let error = (f64::from(f32::from_bits(got)) - line.iter().sum::<f64>()).abs() / scale;
            assert!(error < 2e-7, "{shape:?} {axes:?}: {error:e}");
        }
        // The same elements, laid out in reverse order of dimensions.
        let reversed = strides(&shape, true);
        let mut other = vec![0f32; n];
        gradus_cpu::copy::copy_into(
            x,
            gradus_cpu::ViewMut::new(&mut other, 0, &shape, &reversed).unwrap(),
        )
        .unwrap();
        assert!(
            sum(View::new(&other, 0, &shape, &reversed).unwrap()) == want,
            "{shape:?} {axes:?} strided"
        );
        #[cfg(feature = "threads")]
        for threads in [1, 2, 3, 8] {
            assert!(
                gradus_cpu::parallel::with_threads(threads, || sum(x)) == want,
                "{shape:?} {axes:?} {threads} threads"
            );
        }
    }
}

#[test]
fn bad_arguments_are_errors() {
    let data = [1.0f32; 6];
    let x = View::contiguous(&data, &[2, 3]).unwrap();
    let mut y = [0.0; 6];
    assert!(reduce::sum(x, &[2], &mut y[..1]).is_err());
    assert!(reduce::sum(x, &[0, 0], &mut y[..3]).is_err());
    assert!(reduce::sum(x, &[0], &mut y[..2]).is_err());
    assert!(reduce::cumsum(x, 2, &mut y).is_err());
    assert!(reduce::topk(x, 1, 4, true, &mut y, &mut [0; 6]).is_err());
    assert!(reduce::kthvalue(x, 1, 0, &mut y[..2], &mut [0; 2]).is_err());
    let empty: [f32; 0] = [];
    assert!(View::contiguous(&empty, &[usize::MAX, usize::MAX, 0]).is_err());
    let shape = [1 << 40, 1 << 20, 0];
    let x = View::contiguous(&empty, &shape).unwrap();
    assert!(reduce::sum(x, &[2], &mut y).is_err());
    assert!(reduce::argmax(x, None, &mut [0]).is_err());
    assert!(reduce::max(View::contiguous(&empty, &[0]).unwrap(), &[0], &mut y[..1]).is_err());
    reduce::sum(View::contiguous(&empty, &[0]).unwrap(), &[0], &mut y[..1]).unwrap();
    assert_eq!(y[0], 0.0);
}
