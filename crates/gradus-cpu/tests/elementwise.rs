//! The vector kernels against the scalar definitions: every operation, tail lengths, strides, in place, threads.

use gradus_cpu::elementwise::{
    BinaryOp, CompareOp, PredicateOp, TernaryOp, UnaryOp, binary, binary_in_place,
    binary_in_place_right, compare, predicate, scalar, ternary, unary, unary_in_place, where_,
};
use gradus_cpu::{Error, View, bf16, f16};

#[path = "isa/ops.rs"]
mod ops;
use ops::{BINARY, TERNARY, UNARY, value};

fn close(got: f64, want: f64, eps: f64) -> bool {
    got == want
        || (got.is_nan() && want.is_nan())
        || (got - want).abs() <= eps * want.abs() + eps * 1e-4
}

/// Close, but for what cancels in the sum of two terms as large as the operands.
fn close_sum(got: f64, want: f64, a: f64, b: f64, eps: f64) -> bool {
    close(got, want, eps) || (got - want).abs() <= eps * (a.abs() + b.abs())
}

/// How large the terms are that cancel in the result: x − tanh(x) near 0, and the reflections of lgamma and digamma near
/// their zeros.
///
/// Next to a pole digamma's slope is the square of its value `y`: that much of the argument's rounding comes out.
fn slack(op: UnaryOp, x: f64, y: f64) -> f64 {
    match op {
        UnaryOp::Tanhshrink => x,
        UnaryOp::Lgamma => 1.0 + x * x,
        UnaryOp::Digamma => 1.0 + x * x + (x * y * y).abs(),
        _ => 0.0,
    }
}

#[test]
fn unary_operations_match_their_definitions() {
    for n in (0..=40usize).chain([63, 64, 65, 257, 5000]) {
        let shape = [n];
        let x: Vec<f64> = (0..n).map(value).collect();
        let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let half: Vec<f16> = x.iter().map(|&x| f16::from_f64(x)).collect();
        for &op in UNARY {
            let (mut y, mut y32, mut yh) = (vec![0f64; n], vec![0f32; n], half.clone());
            unary(op, View::contiguous(&x, &shape).unwrap(), &mut y).unwrap();
            unary(op, View::contiguous(&single, &shape).unwrap(), &mut y32).unwrap();
            unary_in_place(op, &mut yh).unwrap();
            let mut again = single.clone();
            unary_in_place(op, &mut again).unwrap();
            for i in 0..n {
                let want = scalar::unary(op, x[i]);
                assert!(
                    close_sum(y[i], want, slack(op, x[i], want), 0.0, 4e-15),
                    "{op:?}({}) = {} not {want}",
                    x[i],
                    y[i]
                );
                let want = scalar::unary(op, f64::from(single[i])) as f32;
                assert!(
                    close_sum(
                        y32[i].into(),
                        want.into(),
                        slack(op, single[i].into(), want.into()),
                        0.0,
                        6e-7
                    ),
                    "{op:?}({}) = {} not {want} (f32)",
                    single[i],
                    y32[i]
                );
                let want = f16::from_f64(scalar::unary(op, half[i].to_f64()));
                assert!(
                    close(yh[i].to_f64(), want.to_f64(), 1.1e-3),
                    "{op:?}({}) = {} not {want} (f16)",
                    half[i],
                    yh[i]
                );
                assert!(again[i].to_bits() == y32[i].to_bits() || again[i].is_nan());
            }
        }
    }
}

#[test]
fn binary_operations_match_their_definitions() {
    for n in (0..=40usize).chain([63, 64, 65, 257, 3000]) {
        let shape = [n];
        let a: Vec<f64> = (0..n).map(value).collect();
        let b: Vec<f64> = (0..n).map(|i| value(i * 3 + 11)).collect();
        let (a32, b32): (Vec<f32>, Vec<f32>) = a
            .iter()
            .zip(&b)
            .map(|(&a, &b)| (a as f32, b as f32))
            .unzip();
        for &op in BINARY {
            let (mut y, mut y32) = (vec![0f64; n], vec![0f32; n]);
            binary(
                op,
                View::contiguous(&a, &shape).unwrap(),
                View::contiguous(&b, &shape).unwrap(),
                &mut y,
            )
            .unwrap();
            let (va, vb) = (
                View::contiguous(&a32, &shape).unwrap(),
                View::contiguous(&b32, &shape).unwrap(),
            );
            binary(op, va, vb, &mut y32).unwrap();
            let (mut left, mut right) = (a32.clone(), b32.clone());
            binary_in_place(op, &mut left, vb).unwrap();
            binary_in_place_right(op, va, &mut right).unwrap();
            for i in 0..n {
                let want = scalar::binary(op, a[i], b[i]);
                let eps = if matches!(
                    op,
                    BinaryOp::GeluBackward | BinaryOp::GeluTanhBackward | BinaryOp::SiluBackward
                ) {
                    1e-12
                } else {
                    1e-14
                };
                assert!(
                    close_sum(y[i], want, a[i], b[i], eps),
                    "{op:?}({}, {}) = {} not {want}",
                    a[i],
                    b[i],
                    y[i]
                );
                let want = scalar::binary(op, a32[i].into(), b32[i].into()) as f32;
                let eps = eps as f32 * 1e8;
                assert!(
                    close_sum(
                        y32[i].into(),
                        want.into(),
                        a32[i].into(),
                        b32[i].into(),
                        eps.into()
                    ),
                    "{op:?}({}, {}) = {} not {want} (f32)",
                    a32[i],
                    b32[i],
                    y32[i]
                );
                for z in [left[i], right[i]] {
                    assert!(z.to_bits() == y32[i].to_bits() || z.is_nan());
                }
            }
        }
        for &op in TERNARY {
            let mut y = vec![0f64; n];
            let (va, vb) = (
                View::contiguous(&a, &shape).unwrap(),
                View::contiguous(&b, &shape).unwrap(),
            );
            ternary(op, va, vb, va, &mut y).unwrap();
            for i in 0..n {
                let want = scalar::ternary(op, a[i], b[i], a[i]);
                assert!(
                    close(y[i], want, 1e-13),
                    "{op:?}({}, {}) = {} not {want}",
                    a[i],
                    b[i],
                    y[i]
                );
            }
        }
    }
}

#[test]
fn strides_and_threads_do_not_change_a_bit() {
    let data: Vec<f32> = (0..200_000).map(|i| value(i) as f32).collect();
    let shapes: [(&[usize], &[isize]); 7] = [
        (&[300, 200], &[200, 1]),
        (&[300, 200], &[1, 300]),
        (&[60, 1000], &[0, 1]),
        (&[1000, 60], &[1, 0]),
        (&[20, 30, 40], &[2400, 2, 60]),
        (&[50, 600], &[-600, 1]),
        (&[7, 9, 11, 13], &[1, 0, 7, 77]),
    ];
    for (shape, strides) in shapes {
        let a = View::new(&data, 40_000, shape, strides).unwrap();
        let contiguous: Vec<f32> = a.iter().collect();
        let b: Vec<f32> = contiguous.iter().rev().copied().collect();
        let scalar = View::scalar(&2.5f32, shape).unwrap();
        let dense = View::contiguous(&contiguous, shape).unwrap();
        let other = View::contiguous(&b, shape).unwrap();
        let run = |a: View<'_, f32>| {
            let mut out = Vec::new();
            let mut y = vec![0f32; a.len()];
            let mut keep =
                |y: &[f32]| out.extend(y.iter().map(|x| if x.is_nan() { 0 } else { x.to_bits() }));
            unary(UnaryOp::Tanh, a, &mut y).unwrap();
            keep(&y);
            binary(BinaryOp::Mul, a, other, &mut y).unwrap();
            keep(&y);
            binary(BinaryOp::Pow, scalar, a, &mut y).unwrap();
            keep(&y);
            binary_in_place(BinaryOp::Add, &mut y, a).unwrap();
            keep(&y);
            ternary(TernaryOp::Lerp, a, other, scalar, &mut y).unwrap();
            keep(&y);
            let mut mask = vec![false; a.len()];
            compare(CompareOp::Lt, a, other, &mut mask).unwrap();
            where_(View::contiguous(&mask, shape).unwrap(), a, scalar, &mut y).unwrap();
            keep(&y);
            out
        };
        let want = run(dense);
        assert!(run(a) == want, "{shape:?} {strides:?}");
        for threads in [1, 2, 3, 8] {
            assert!(
                gradus_cpu::parallel::with_threads(threads, || run(a)) == want,
                "{shape:?} {strides:?} {threads} threads"
            );
        }
    }
}

#[test]
fn integers_and_bool() {
    fn int(op: BinaryOp, a: i32, b: i32) -> Result<i32, Error> {
        let mut y = [0];
        binary(
            op,
            View::contiguous(&[a], &[1])?,
            View::contiguous(&[b], &[1])?,
            &mut y,
        )
        .map(|()| y[0])
    }
    assert_eq!(int(BinaryOp::Add, i32::MAX, 1), Ok(i32::MIN));
    assert_eq!(int(BinaryOp::FloorDiv, -7, 2), Ok(-4));
    assert_eq!(int(BinaryOp::TruncDiv, -7, 2), Ok(-3));
    assert_eq!(int(BinaryOp::Remainder, -7, 3), Ok(2));
    assert_eq!(int(BinaryOp::Remainder, 7, -3), Ok(-2));
    assert_eq!(int(BinaryOp::Fmod, -7, 3), Ok(-1));
    assert_eq!(int(BinaryOp::FloorDiv, i32::MIN, -1), Ok(i32::MIN));
    assert_eq!(int(BinaryOp::Remainder, i32::MIN, -1), Ok(0));
    assert_eq!(int(BinaryOp::Pow, 3, 5), Ok(243));
    assert_eq!(int(BinaryOp::Pow, -1, -3), Ok(-1));
    assert_eq!(int(BinaryOp::Pow, 2, -1), Ok(0));
    assert_eq!(int(BinaryOp::ShiftLeft, 1, 31), Ok(i32::MIN));
    assert_eq!(int(BinaryOp::ShiftLeft, 1, 32), Ok(0));
    assert_eq!(int(BinaryOp::ShiftRight, -8, 100), Ok(-1));
    for op in [
        BinaryOp::FloorDiv,
        BinaryOp::TruncDiv,
        BinaryOp::Remainder,
        BinaryOp::Fmod,
    ] {
        assert!(matches!(int(op, 1, 0), Err(Error::DivisionByZero { .. })));
    }
    assert!(matches!(
        int(BinaryOp::Div, 1, 1),
        Err(Error::Unsupported { dtype: "i32", .. })
    ));
    let mut x = [3u8, 250];
    unary_in_place(UnaryOp::Square, &mut x).unwrap();
    assert_eq!(x, [9, 36]);
    unary_in_place(UnaryOp::BitwiseNot, &mut x).unwrap();
    assert_eq!(x, [246, 219]);
    assert!(unary_in_place(UnaryOp::Exp, &mut x).is_err());
    assert!(unary_in_place(UnaryOp::BitwiseNot, &mut [1f32]).is_err());
    // An unsigned number has no sign to be left over.
    let mut x = [200u8, 200, 200];
    let places = [3u8, 8, 255];
    binary_in_place(
        BinaryOp::ShiftRight,
        &mut x,
        View::contiguous(&places, &[3]).unwrap(),
    )
    .unwrap();
    assert_eq!(x, [25, 0, 0]);
    let mut y = [false; 2];
    let (t, f) = ([true, false], [true, true]);
    let (t, f) = (
        View::contiguous(&t, &[2]).unwrap(),
        View::contiguous(&f, &[2]).unwrap(),
    );
    binary(BinaryOp::Mul, t, f, &mut y).unwrap();
    assert_eq!(y, [true, false]);
    assert!(binary(BinaryOp::Sub, t, f, &mut y).is_err());
    compare(CompareOp::LogicalXor, t, f, &mut y).unwrap();
    assert_eq!(y, [false, true]);
}

#[test]
fn predicates_and_comparisons() {
    let x = [
        bf16::NAN,
        bf16::INFINITY,
        bf16::NEG_INFINITY,
        bf16::ZERO,
        bf16::NEG_ZERO,
        bf16::ONE,
    ];
    let view = View::contiguous(&x, &[6]).unwrap();
    for op in [
        PredicateOp::IsNan,
        PredicateOp::IsInf,
        PredicateOp::IsFinite,
        PredicateOp::IsPosInf,
        PredicateOp::IsNegInf,
        PredicateOp::Signbit,
        PredicateOp::IsZero,
        PredicateOp::IsNonzero,
    ] {
        let (mut y, mut z) = ([false; 6], [false; 6]);
        predicate(op, view, &mut y).unwrap();
        let wide = x.map(bf16::to_f32);
        predicate(op, View::contiguous(&wide, &[6]).unwrap(), &mut z).unwrap();
        for i in 0..6 {
            assert_eq!(
                y[i],
                scalar::predicate(op, x[i].to_f64()),
                "{op:?} {}",
                x[i]
            );
            assert_eq!(z[i], y[i]);
        }
    }
    let mut y = [true; 6];
    compare(CompareOp::Eq, view, view, &mut y).unwrap();
    assert_eq!(y, [false, true, true, true, true, true]);
    assert!(
        compare(
            CompareOp::Eq,
            view,
            View::contiguous(&x, &[2, 3]).unwrap(),
            &mut y
        )
        .is_err()
    );
    assert!(compare(CompareOp::Eq, view, view, &mut y[..5]).is_err());
}
