//! The tiles against the definition, in f64 and f32, on every instruction set.

use super::*;
use crate::parallel::with_threads;

fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729) % 10_007) as f64 / 5003.5 - 1.0)
        .collect()
}

/// A case: the sizes, causal, with a mask.
type Case = (Sizes, bool, bool);

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [batch, heads, key_heads, queries, keys, width, value_width] in [
        [1, 1, 1, 1, 1, 1, 1],
        [2, 3, 3, 5, 5, 4, 4],
        [1, 4, 2, 7, 9, 3, 5],
        [2, 2, 1, 1, 33, 8, 8],
        [1, 2, 2, 300, 300, 16, 16], // several blocks, the last one smaller
        [1, 1, 1, 5, 0, 2, 3],
        [1, 2, 1, 130, 70, 5, 2],
    ] {
        let n = Sizes {
            batch,
            heads,
            key_heads,
            queries,
            keys,
            width,
            value_width,
        };
        cases.extend([(n, false, false), (n, true, false), (n, false, true)]);
    }
    cases
}

struct Data {
    q: Vec<f64>,
    k: Vec<f64>,
    v: Vec<f64>,
    dy: Vec<f64>,
    mask: Vec<f64>,
}

fn data(n: &Sizes) -> Data {
    // A mask (B, 1, T, S); query 0 of batch 0 sees nothing.
    let mut mask = numbers(n.batch * n.queries * n.keys, 5);
    for (i, m) in mask.iter_mut().enumerate() {
        if i < n.keys || i % 7 == 3 {
            *m = f64::NEG_INFINITY;
        }
    }
    Data {
        q: numbers(n.batch * n.heads * n.queries * n.width, 1),
        k: numbers(n.batch * n.key_heads * n.keys * n.width, 2),
        v: numbers(n.batch * n.key_heads * n.keys * n.value_width, 3),
        dy: numbers(n.batch * n.heads * n.queries * n.value_width, 4),
        mask,
    }
}

const SCALE: f64 = 0.7;

/// The definition, in f64: y, dq, dk, dv laid out as the kernel's.
fn reference((n, causal, masked): &Case, x: &Data) -> [Vec<f64>; 4] {
    let group = n.heads / n.key_heads;
    let mut y = vec![0.0; x.dy.len()];
    let (mut dq, mut dk, mut dv) = (
        vec![0.0; x.q.len()],
        vec![0.0; x.k.len()],
        vec![0.0; x.v.len()],
    );
    for b in 0..n.batch {
        for h in 0..n.heads {
            let kh = h / group;
            let q = |t: usize, e: usize| x.q[((b * n.heads + h) * n.queries + t) * n.width + e];
            let k = |s: usize, e: usize| x.k[((b * n.key_heads + kh) * n.keys + s) * n.width + e];
            let v =
                |s: usize, f: usize| x.v[((b * n.key_heads + kh) * n.keys + s) * n.value_width + f];
            for t in 0..n.queries {
                let dy = |f: usize| x.dy[((b * n.heads + h) * n.queries + t) * n.value_width + f];
                let score = |s: usize| {
                    let dot: f64 = (0..n.width).map(|e| q(t, e) * k(s, e)).sum();
                    let mask = if *masked {
                        x.mask[(b * n.queries + t) * n.keys + s]
                    } else {
                        0.0
                    };
                    if *causal && s > t {
                        f64::NEG_INFINITY
                    } else {
                        dot * SCALE + mask
                    }
                };
                let scores: Vec<f64> = (0..n.keys).map(score).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let e: Vec<f64> = scores
                    .iter()
                    .map(|s| {
                        if max == f64::NEG_INFINITY {
                            0.0
                        } else {
                            (s - max).exp()
                        }
                    })
                    .collect();
                let sum: f64 = e.iter().sum();
                let p: Vec<f64> = e
                    .iter()
                    .map(|e| if sum == 0.0 { 0.0 } else { e / sum })
                    .collect();
                let at = (b * n.queries + t) * n.heads + h;
                for f in 0..n.value_width {
                    y[at * n.value_width + f] = (0..n.keys).map(|s| p[s] * v(s, f)).sum();
                }
                let dp: Vec<f64> = (0..n.keys)
                    .map(|s| (0..n.value_width).map(|f| dy(f) * v(s, f)).sum())
                    .collect();
                let delta: f64 = p.iter().zip(&dp).map(|(p, d)| p * d).sum();
                for s in 0..n.keys {
                    let ds = p[s] * (dp[s] - delta) * SCALE;
                    let key = (b * n.keys + s) * n.key_heads + kh;
                    for e in 0..n.width {
                        dq[at * n.width + e] += ds * k(s, e);
                        dk[key * n.width + e] += ds * q(t, e);
                    }
                    for f in 0..n.value_width {
                        dv[key * n.value_width + f] += p[s] * dy(f);
                    }
                }
            }
        }
    }
    [y, dq, dk, dv]
}

/// The kernel: y, dq, dk, dv.
fn tiled<T: Float>((n, causal, masked): &Case, x: &Data) -> [Vec<f64>; 4] {
    let of = |v: &[f64]| v.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
    let (q, k, v, dy, mask) = (of(&x.q), of(&x.k), of(&x.v), of(&x.dy), of(&x.mask));
    let shape_q = [n.batch, n.heads, n.queries, n.width];
    let shape_k = [n.batch, n.key_heads, n.keys, n.width];
    let shape_v = [n.batch, n.key_heads, n.keys, n.value_width];
    let shape_y = [n.batch, n.heads, n.queries, n.value_width];
    let shape_m = [n.batch, n.heads, n.queries, n.keys];
    let (rows, columns) = ((n.queries * n.keys) as isize, n.keys as isize);
    let strides_m = [rows, 0, columns, 1];
    let mask = View::new(&mask, 0, &shape_m, &strides_m).unwrap();
    let options = Attention {
        scale: SCALE,
        causal: *causal,
        mask: masked.then_some(mask),
        blind_is_zero: true,
    };
    let (q, k) = (
        View::contiguous(&q, &shape_q).unwrap(),
        View::contiguous(&k, &shape_k).unwrap(),
    );
    let (v, dy) = (
        View::contiguous(&v, &shape_v).unwrap(),
        View::contiguous(&dy, &shape_y).unwrap(),
    );
    let mut y = vec![T::ZERO; x.dy.len()];
    let mut lse = vec![T::ZERO; n.batch * n.heads * n.queries];
    attention(q, k, v, &options, &mut y, &mut lse).unwrap();
    let (mut dq, mut dk, mut dv) = (
        vec![T::ONE; q.len()],
        vec![T::ONE; k.len()],
        vec![T::ONE; v.len()],
    );
    // y lies as (B, T, H, F): seen as (B, H, T, F).
    let (f, h, t) = (n.value_width as isize, n.heads as isize, n.queries as isize);
    let strides_y = [t * h * f, f, h * f, 1];
    let seen = View::new(&y, 0, &shape_y, &strides_y).unwrap();
    let out = AttentionGradients {
        dq: &mut dq,
        dk: &mut dk,
        dv: &mut dv,
    };
    attention_backward((dy, seen), q, k, v, &options, &lse, out).unwrap();
    [y, dq, dk, dv].map(|x| x.iter().map(|x| x.to_f64()).collect())
}

fn close(got: &[Vec<f64>; 4], want: &[Vec<f64>; 4], tolerance: f64, what: &str) {
    for (name, (got, want)) in ["y", "dq", "dk", "dv"].iter().zip(got.iter().zip(want)) {
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            assert!(
                (g - w).abs() <= tolerance * (1.0 + w.abs()),
                "{what} {name}[{i}]: {g} and not {w}"
            );
        }
    }
}

#[test]
fn tiles_are_the_definition_on_every_instruction_set() {
    for case in cases() {
        let x = data(&case.0);
        let want = reference(&case, &x);
        for &isa in gradus_simd::available() {
            let (wide, single) =
                gradus_simd::with_isa(isa, || (tiled::<f64>(&case, &x), tiled::<f32>(&case, &x)))
                    .unwrap();
            close(&wide, &want, 1e-12, &format!("f64 {isa} {case:?}"));
            close(&single, &want, 2e-4, &format!("f32 {isa} {case:?}"));
        }
    }
}

/// A causal query 0 sees one key, whose weight is 1: its dp is δ, in the hundreds here, and dq is 0. Of two nearly equal large numbers
/// that were rounded apart some 10⁻⁴ would be left.
#[test]
fn a_weight_near_1_leaves_no_rounding_in_its_gradient() {
    for case in cases().into_iter().filter(|case| case.0.keys > 0 && case.1) {
        let mut x = data(&case.0);
        for (all, by) in [
            (&mut x.q, 6.0),
            (&mut x.k, 6.0),
            (&mut x.v, 20.0),
            (&mut x.dy, 20.0),
        ] {
            for v in all {
                *v = f64::from((*v * by) as f32);
            }
        }
        let want = reference(&case, &x);
        let got = tiled::<f32>(&case, &x);
        for (got, want) in got.iter().zip(&want) {
            let largest = want.iter().fold(1.0f64, |m, w| m.max(w.abs()));
            for (i, (g, w)) in got.iter().zip(want).enumerate() {
                let error = (g - w).abs() / largest;
                assert!(error <= 2e-5, "{case:?} {i}: {g} and not {w}");
            }
        }
        let of_query_0 = &got[1][..case.0.heads * case.0.width];
        assert!(of_query_0.iter().all(|d| d.abs() < 1e-9), "{of_query_0:?}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for case in cases() {
        let x = data(&case.0);
        let run = |threads| with_threads(threads, || tiled::<f32>(&case, &x));
        let want = run(1);
        for threads in [2, 3, 8] {
            assert!(run(threads) == want, "{case:?} on {threads} threads");
        }
    }
}

#[test]
fn a_blind_query_is_nan_unless_it_is_to_be_zero() {
    let (x, hidden) = ([1.0f32, 2.0], [f32::NEG_INFINITY; 2]);
    let key = View::contiguous(&x, &[1, 1, 2, 1]).unwrap();
    let query = View::contiguous(&x[..1], &[1, 1, 1, 1]).unwrap();
    let mask = View::contiguous(&hidden, &[1, 1, 1, 2]).unwrap();
    let run = |blind_is_zero| {
        let options = Attention {
            scale: 1.0,
            causal: false,
            mask: Some(mask),
            blind_is_zero,
        };
        let (mut y, mut lse) = ([9.0], [9.0]);
        attention(query, key, key, &options, &mut y, &mut lse).unwrap();
        y[0]
    };
    assert_eq!(run(true), 0.0);
    assert!(run(false).is_nan());
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let x = [0f32; 24];
    let view =
        |shape: &'static [usize]| View::contiguous(&x[..shape.iter().product()], shape).unwrap();
    let options = Attention {
        scale: 1.0,
        causal: false,
        mask: None,
        blind_is_zero: false,
    };
    let run = |q, k, v, y: usize| {
        attention(
            view(q),
            view(k),
            view(v),
            &options,
            &mut vec![0f32; y],
            &mut [0f32; 6],
        )
    };
    assert!(run(&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3, 4], 24).is_ok());
    assert!(run(&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3, 4], 23).is_err());
    assert!(run(&[1, 2, 3, 4], &[1, 2, 4, 3], &[1, 2, 4, 3], 18).is_err());
    assert!(run(&[1, 3, 2, 4], &[1, 2, 3, 4], &[1, 2, 3, 4], 24).is_err());
    assert!(run(&[6, 4], &[6, 4], &[6, 4], 24).is_err());
}
