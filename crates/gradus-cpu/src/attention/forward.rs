//! Attention's forward: a block of queries at a time.

use super::{Attention, Sizes, head, hide};
use crate::gemm::{Epilogue, MatMut, gemm};
use crate::parallel::{SharedMut, for_each};
use crate::scratch::buffer;
use crate::{Result, View, error::check_len, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch, math};

/// `y` (B, T, H, F) and `lse` (B, H, T), the logarithm of each query's sum of exponentials.
///
/// ```
/// use gradus_cpu::{View, attention::{Attention, attention}};
/// let q = [1.0f64, 0.0]; // (1, 1, 1, 2)
/// let (k, v) = ([1.0, 0.0, 0.0, 1.0], [10.0, 20.0]); // (1, 1, 2, 2), (1, 1, 2, 1)
/// let options = Attention { scale: 1.0, causal: false, mask: None, blind_is_zero: false };
/// let (mut y, mut lse) = ([0.0], [0.0]);
/// attention(
///     View::contiguous(&q, &[1, 1, 1, 2])?,
///     View::contiguous(&k, &[1, 1, 2, 2])?,
///     View::contiguous(&v, &[1, 1, 2, 1])?,
///     &options,
///     &mut y,
///     &mut lse,
/// )?;
/// let e = 1f64.exp();
/// assert!((y[0] - (10.0 * e + 20.0) / (e + 1.0)).abs() < 1e-12);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit.
#[inline(never)]
pub fn attention<T: Float>(
    q: View<'_, T>,
    k: View<'_, T>,
    v: View<'_, T>,
    options: &Attention<'_, T>,
    y: &mut [T],
    lse: &mut [T],
) -> Result<()> {
    let op = "attention";
    let n = Sizes::new(op, &q, &k, &v, options)?;
    let rows = n.batch * n.heads * n.queries;
    check_len(op, "the output", y.len(), rows * n.value_width)?;
    check_len(op, "lse", lse.len(), rows)?;
    if y.is_empty() && lse.is_empty() {
        return Ok(());
    }
    let block = n.block();
    let blocks = n.queries.div_ceil(block);
    let (y, lse) = (SharedMut::new(y), SharedMut::new(lse));
    let error = std::sync::Mutex::new(Ok(()));
    for_each(n.batch * n.heads * blocks, &|task| {
        let (b, h, first) = (
            task / blocks / n.heads,
            task / blocks % n.heads,
            task % blocks * block,
        );
        let end = n.queries.min(first + block);
        let at = (b * n.heads + h) * n.queries;
        // SAFETY: blocks of queries do not overlap.
        let lse = unsafe { lse.slice(at + first..at + end) };
        if let Err(e) = one_block(&n, (q, k, v), options, (b, h), first..end, &y, lse) {
            *error
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Err(e);
        }
    });
    error
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn one_block<T: Float>(
    n: &Sizes,
    (q, k, v): (View<'_, T>, View<'_, T>, View<'_, T>),
    options: &Attention<'_, T>,
    (b, h): (usize, usize),
    queries: std::ops::Range<usize>,
    y: &SharedMut<'_, T>,
    lse: &mut [T],
) -> Result<()> {
    let (count, key_head) = (queries.len(), h / (n.heads / n.key_heads));
    let keys = n.seen(options.causal, queries.end);
    let mut out = buffer::<T>(count * n.value_width);
    if keys == 0 {
        out.fill(T::ZERO); // an empty sum
        lse.fill(-T::INFINITY);
    } else {
        let mut scores = buffer::<T>(count * keys);
        let (q, k) = (
            head(&q, b, h, queries.clone())?,
            head(&k, b, key_head, 0..keys)?,
        );
        let plain = Epilogue::default();
        let into = MatMut::row_major(&mut scores, count, keys)?;
        gemm(T::from_f64(options.scale), q, k.t(), T::ZERO, into, &plain)?; // (count, keys)
        hide(options, (b, h), queries.start, keys, &mut scores);
        for (row, lse) in scores.chunks_mut(keys).zip(lse) {
            *lse = dispatch(Softmax {
                x: row,
                blind_is_zero: options.blind_is_zero,
            });
        }
        let weights = crate::gemm::MatRef::row_major(&scores, count, keys)?;
        let into = MatMut::row_major(&mut out, count, n.value_width)?;
        gemm(
            T::ONE,
            weights,
            head(&v, b, key_head, 0..keys)?,
            T::ZERO,
            into,
            &plain,
        )?; // (count, F)
    }
    for (i, row) in queries.zip(out.chunks(n.value_width.max(1))) {
        let at = ((b * n.queries + i) * n.heads + h) * n.value_width;
        // SAFETY: every query of every head has a row of its own.
        unsafe { y.slice(at..at + n.value_width) }.copy_from_slice(row);
    }
    Ok(())
}

/// Softmax of a row in place; returns the logarithm of the sum, or +∞ for a row that sees nothing and is to be 0.
struct Softmax<'a, T> {
    x: &'a mut [T],
    blind_is_zero: bool,
}

impl<T: Float> Kernel for Softmax<'_, T> {
    type Output = T;
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> T {
        let (n, x, low) = (self.x.len(), self.x.as_mut_ptr(), -T::INFINITY);
        // SAFETY (all blocks): `i + m <= n`, the length of the row.
        let max = lanes::fold::<S, T>(
            isa,
            n,
            low,
            #[inline(always)]
            |i, m| unsafe { lanes::load::<S, T>(isa, x.add(i), m, low) },
            FloatVec::max,
            T::maximum,
        );
        if self.blind_is_zero && max == low {
            self.x.fill(T::ZERO);
            return T::INFINITY;
        }
        let shift = T::V::<S>::splat(isa, max);
        let sum = lanes::fold::<S, T>(
            isa,
            n,
            T::ZERO,
            #[inline(always)]
            |i, m| {
                let d = unsafe { lanes::load::<S, T>(isa, x.add(i), m, low) } - shift;
                let e = math::exp::<S, T>(isa, d);
                unsafe { lanes::store::<S, T>(e, x.add(i), m) };
                e
            },
            #[inline(always)]
            |a, b| a + b,
            #[inline(always)]
            |a, b| a + b,
        );
        let scale = T::V::<S>::splat(isa, T::ONE / sum);
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            |i, m| unsafe {
                let e = lanes::load::<S, T>(isa, x.add(i), m, T::ZERO);
                lanes::store::<S, T>(e * scale, x.add(i), m);
            },
        );
        max + T::from_f64(sum.to_f64().ln())
    }
}
