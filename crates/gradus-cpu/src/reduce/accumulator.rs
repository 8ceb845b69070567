//! The three types reductions are computed in (`f32`, `f64`, `i64`) and their block folds.

use super::FoldOp;
use crate::{Element, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch};

/// `f32`, `f64` or `i64`: what reductions are computed in. Sealed.
#[allow(missing_docs)]
pub trait Accumulator: Element<Acc = Self, Sum = Self> {
    /// What leaves everything as it is.
    fn identity(op: FoldOp) -> Self;
    /// One step.
    fn combine(op: FoldOp, a: Self, b: Self) -> Self;
    /// `y[i]` = the fold of `x[i·n..(i + 1)·n]`.
    fn fold_rows(op: FoldOp, x: &[Self], n: usize, y: &mut [Self]);
    /// `acc[j]` = `acc[j]` combined with `x[r·stride + j]` for each of the rows, in order.
    fn combine_rows(op: FoldOp, x: &[Self], stride: usize, rows: usize, acc: &mut [Self]);
}

/// Rows this short are folded one element after the other.
const SHORT: usize = 16;
/// Rows that are combined at once: as many streams as the processor follows with ease.
const TOGETHER: usize = 4;

struct FoldRows<'a, T> {
    op: FoldOp,
    x: &'a [T],
    n: usize,
    y: &'a mut [T],
}

impl<T: Float + Accumulator> Kernel for FoldRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self { op, x, n, y } = self;
        let start = T::identity(op);
        match op {
            FoldOp::Sum => rows(
                isa,
                x,
                n,
                y,
                start,
                #[inline(always)]
                |a, b| a + b,
                #[inline(always)]
                |a, b| a + b,
            ),
            FoldOp::Prod => rows(
                isa,
                x,
                n,
                y,
                start,
                #[inline(always)]
                |a, b| a * b,
                #[inline(always)]
                |a, b| a * b,
            ),
            FoldOp::Max => rows(isa, x, n, y, start, FloatVec::max, T::maximum),
            FoldOp::Min => rows(isa, x, n, y, start, FloatVec::min, T::minimum),
        }
    }
}

#[inline(always)]
fn rows<S: Isa, T: Float>(
    isa: S,
    x: &[T],
    n: usize,
    y: &mut [T],
    start: T,
    combine: impl Fn(T::V<S>, T::V<S>) -> T::V<S> + Copy,
    element: impl Fn(T, T) -> T + Copy,
) {
    for (y, x) in y.iter_mut().zip(x.chunks_exact(n)) {
        *y = if n < SHORT {
            x.iter().fold(start, |a, &b| element(a, b))
        } else {
            // SAFETY: `fold` asks for vectors inside `0..n`.
            lanes::fold(
                isa,
                n,
                start,
                #[inline(always)]
                |i, m| unsafe { lanes::load::<S, T>(isa, x.as_ptr().add(i), m, start) },
                combine,
                element,
            )
        };
    }
}

struct CombineRows<'a, T> {
    op: FoldOp,
    x: &'a [T],
    stride: usize,
    rows: usize,
    acc: &'a mut [T],
}

impl<T: Float> Kernel for CombineRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        match self.op {
            FoldOp::Sum => combine_rows(
                isa,
                self.x,
                self.stride,
                self.rows,
                self.acc,
                #[inline(always)]
                |a, b| a + b,
            ),
            FoldOp::Prod => combine_rows(
                isa,
                self.x,
                self.stride,
                self.rows,
                self.acc,
                #[inline(always)]
                |a, b| a * b,
            ),
            FoldOp::Max => {
                combine_rows(isa, self.x, self.stride, self.rows, self.acc, FloatVec::max);
            }
            FoldOp::Min => {
                combine_rows(isa, self.x, self.stride, self.rows, self.acc, FloatVec::min);
            }
        }
    }
}

#[inline(always)]
fn combine_rows<S: Isa, T: Float>(
    isa: S,
    x: &[T],
    stride: usize,
    rows: usize,
    acc: &mut [T],
    combine: impl Fn(T::V<S>, T::V<S>) -> T::V<S> + Copy,
) {
    assert!(rows == 0 || (rows - 1) * stride + acc.len() <= x.len());
    for first in (0..rows).step_by(TOGETHER) {
        let x = &x[first * stride..];
        // The number of rows is a constant but for the last ones, so that the loop over them is unrolled.
        match rows - first {
            TOGETHER.. => add_rows(isa, x, stride, TOGETHER, acc, combine),
            rest => add_rows(isa, x, stride, rest, acc, combine),
        }
    }
}

/// Combines a few rows, all of which are in `x`.
#[inline(always)]
fn add_rows<S: Isa, T: Float>(
    isa: S,
    x: &[T],
    stride: usize,
    rows: usize,
    acc: &mut [T],
    combine: impl Fn(T::V<S>, T::V<S>) -> T::V<S> + Copy,
) {
    debug_assert!(rows == 0 || (rows - 1) * stride + acc.len() <= x.len());
    let acc_ptr = acc.as_mut_ptr();
    lanes::for_each::<S, T>(
        acc.len(),
        #[inline(always)]
        |i, m| {
            // SAFETY: `i + m <= acc.len()`, and each row has that many elements: `combine_rows` has seen to it.
            unsafe {
                let mut a = lanes::load::<S, T>(isa, acc_ptr.add(i), m, T::ZERO);
                for r in 0..rows {
                    let at = x.as_ptr().add(r * stride + i);
                    a = combine(a, lanes::load::<S, T>(isa, at, m, T::ZERO));
                }
                lanes::store::<S, T>(a, acc_ptr.add(i), m);
            }
        },
    );
}

macro_rules! float {
    ($t:ident) => {
        impl Accumulator for $t {
            fn identity(op: FoldOp) -> Self {
                match op {
                    FoldOp::Sum => 0.0,
                    FoldOp::Prod => 1.0,
                    FoldOp::Max => Self::NEG_INFINITY,
                    FoldOp::Min => Self::INFINITY,
                }
            }
            fn combine(op: FoldOp, a: Self, b: Self) -> Self {
                match op {
                    FoldOp::Sum => a + b,
                    FoldOp::Prod => a * b,
                    FoldOp::Max => Float::maximum(a, b),
                    FoldOp::Min => Float::minimum(a, b),
                }
            }
            fn fold_rows(op: FoldOp, x: &[Self], n: usize, y: &mut [Self]) {
                dispatch(FoldRows { op, x, n, y });
            }
            fn combine_rows(op: FoldOp, x: &[Self], stride: usize, rows: usize, acc: &mut [Self]) {
                dispatch(CombineRows {
                    op,
                    x,
                    stride,
                    rows,
                    acc,
                });
            }
        }
    };
}
float!(f32);
float!(f64);

impl Accumulator for i64 {
    fn identity(op: FoldOp) -> Self {
        match op {
            FoldOp::Sum => 0,
            FoldOp::Prod => 1,
            FoldOp::Max => Self::MIN,
            FoldOp::Min => Self::MAX,
        }
    }
    #[inline(always)]
    fn combine(op: FoldOp, a: Self, b: Self) -> Self {
        match op {
            FoldOp::Sum => a.wrapping_add(b),
            FoldOp::Prod => a.wrapping_mul(b),
            FoldOp::Max => a.max(b),
            FoldOp::Min => a.min(b),
        }
    }
    fn fold_rows(op: FoldOp, x: &[Self], n: usize, y: &mut [Self]) {
        for (y, x) in y.iter_mut().zip(x.chunks_exact(n)) {
            *y = x
                .iter()
                .fold(Self::identity(op), |a, &b| Self::combine(op, a, b));
        }
    }
    fn combine_rows(op: FoldOp, x: &[Self], stride: usize, rows: usize, acc: &mut [Self]) {
        for r in 0..rows {
            for (a, &b) in acc.iter_mut().zip(&x[r * stride..]) {
                *a = Self::combine(op, *a, b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradus_simd::{available, dispatch_on};

    #[test]
    fn every_isa_gives_the_same_bits_for_every_tail() {
        for n in 1..=257usize {
            let x: Vec<f32> = (0..3 * n)
                .map(|i| ((i * 7919) % 1000) as f32 * 0.37 - 180.0)
                .collect();
            let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            for op in [FoldOp::Sum, FoldOp::Prod, FoldOp::Max, FoldOp::Min] {
                let mut all = Vec::new();
                for &isa in available() {
                    let (mut y, mut z) = ([0f32; 3], [0f64; 3]);
                    dispatch_on(
                        isa,
                        FoldRows {
                            op,
                            x: &x,
                            n,
                            y: &mut y,
                        },
                    )
                    .unwrap();
                    dispatch_on(
                        isa,
                        FoldRows {
                            op,
                            x: &wide,
                            n,
                            y: &mut z,
                        },
                    )
                    .unwrap();
                    let mut acc = x[..n].to_vec();
                    dispatch_on(
                        isa,
                        CombineRows {
                            op,
                            x: &x,
                            stride: n,
                            rows: 3,
                            acc: &mut acc,
                        },
                    )
                    .unwrap();
                    let acc: Vec<u32> = acc.iter().map(|a| a.to_bits()).collect();
                    all.push((y.map(f32::to_bits), z.map(f64::to_bits), acc));
                }
                assert!(all.windows(2).all(|w| w[0] == w[1]), "{op:?} {n}");
                let z = all[0].1.map(f64::from_bits);
                for (z, row) in z.iter().zip(wide.chunks(n)) {
                    let naive = row
                        .iter()
                        .copied()
                        .fold(f64::identity(op), |a, b| f64::combine(op, a, b));
                    assert!(
                        (z - naive).abs() <= 1e-9 * naive.abs().max(1e3) || *z == naive,
                        "{op:?} {n}: {z} {naive}"
                    );
                }
            }
        }
    }
}
