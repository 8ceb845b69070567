//! Matrix products: each of M, N and K through every length while the others stay small, and both operands' layouts.
use crate::common::{Placed, number, same_bits, same_sums};
use gradus_cpu::Element;
use gradus_cpu::elementwise::Real;
use gradus_cpu::gemm::{Activation, Bias, Epilogue, MatMut, MatRef, gemm, matmul};

/// The product of an (m, k) and a (k, n) matrix, either of them transposed in memory, with bias, residual and activation.
fn product<T: Real>(
    (m, n, k): (usize, usize, usize),
    (by_columns_a, by_columns_b): (bool, bool),
    offset: usize,
    activation: Activation,
) -> Vec<u64> {
    let a = Placed::<T>::new(m * k, offset, number);
    let b = Placed::<T>::new(k * n, 3 * offset, |i| number(i + 60));
    let residual = Placed::<T>::new(m * n, offset, |i| number(i + 90));
    let bias = Placed::<T>::new(n, 7 * offset, |i| number(i + 30));
    let mut c = Placed::<T>::new(m * n, 5 * offset, |i| number(i + 10));
    let matrix = |x, rows, cols, by_columns| {
        if by_columns {
            MatRef::row_major(x, cols, rows).unwrap().t()
        } else {
            MatRef::row_major(x, rows, cols).unwrap()
        }
    };
    let epilogue = Epilogue {
        bias: Bias::Column(bias.get()),
        residual: Some(residual.get()),
        activation,
    };
    gemm(
        <T as Element>::from_f64(0.5),
        matrix(a.get(), m, k, by_columns_a),
        matrix(b.get(), k, n, by_columns_b),
        <T as Element>::from_f64(-2.0),
        MatMut::row_major(c.get_mut(), m, n).unwrap(),
        &epilogue,
    )
    .unwrap();
    c.bits()
}

fn blocked<T: Real>() {
    for layouts in [(false, false), (false, true), (true, false)] {
        for activation in [Activation::None, Activation::Relu, Activation::GeluTanh] {
            let what =
                |along: &str| format!("gemm {} along {along} {layouts:?} {activation:?}", T::NAME);
            let run = |size, offset| product::<T>(size, layouts, offset, activation);
            same_bits(&what("M"), |n, offset| run((n + 5, 21, 9), offset));
            same_bits(&what("N"), |n, offset| run((7, n + 2, 9), offset));
            same_bits(&what("K"), |n, offset| run((6, 19, n), offset));
        }
    }
}

/// Up to four rows against a B whose rows are contiguous: rows are added up.
fn few_rows<T: Real>() {
    for m in 1..=4 {
        let what = |along: &str| format!("{m} rows {} along {along}", T::NAME);
        let run = |size, offset| product::<T>(size, (false, false), offset, Activation::Gelu);
        same_bits(&what("N"), |n, offset| run((m, n + 16, 11), offset));
        same_bits(&what("K"), |n, offset| run((m, 37, n), offset));
    }
}

/// A batch of products with one B each, of two columns or more (one is a dot product).
fn batches<T: Real>() {
    same_bits(&format!("matmul {}", T::NAME), |n, offset| {
        let n = n + 2;
        let (sa, sb, sc) = ([3, 6, 5], [3, 5, n], [3 * 6 * n]);
        let a = Placed::<T>::new(3 * 6 * 5, offset, number);
        let b = Placed::<T>::new(3 * 5 * n, 3 * offset, |i| number(i + 60));
        let mut c = Placed::<T>::output(sc[0], 5 * offset);
        matmul(a.view(&sa), b.view(&sb), &Epilogue::default(), c.get_mut()).unwrap();
        c.bits()
    });
}

/// Up to four rows, or one column, against a B whose columns are contiguous: dot products along the vectors.
fn dots<T: Real>(epsilon: f64) {
    for (m, n) in [(1, 13), (2, 7), (3, 5), (4, 6), (9, 1)] {
        let what = format!("{m} x {n} dot products {}", T::NAME);
        same_sums(
            &what,
            epsilon,
            |k| k,
            |k, offset, absolute| {
                let signed = |i| {
                    let x = number::<f64>(i);
                    <T as Element>::from_f64(if absolute { x.abs() } else { x })
                };
                let a = Placed::<T>::new(m * k, offset, signed);
                let b = Placed::<T>::new(k * n, 3 * offset, |i| signed(i + 60));
                let mut c = Placed::<T>::output(m * n, 5 * offset);
                let at = MatRef::row_major(a.get(), m, k).unwrap();
                let bt = MatRef::row_major(b.get(), n, k).unwrap().t();
                let to = MatMut::row_major(c.get_mut(), m, n).unwrap();
                gemm(
                    <T as Element>::ONE,
                    at,
                    bt,
                    <T as Element>::ZERO,
                    to,
                    &Epilogue::default(),
                )
                .unwrap();
                c.bits();
                c.get().to_vec()
            },
        );
    }
}

#[test]
fn blocked_products() {
    blocked::<f32>();
    blocked::<f64>();
}

#[test]
fn products_by_rows() {
    few_rows::<f32>();
    few_rows::<f64>();
    batches::<f32>();
    batches::<f64>();
}

#[test]
fn products_by_dots() {
    dots::<f32>(f32::EPSILON.into());
    dots::<f64>(f64::EPSILON);
}
