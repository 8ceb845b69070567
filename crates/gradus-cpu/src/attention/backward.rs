//! Attention's gradients: the weights are made again, block by block, from the scores and each row's lse.
//!
//! With P the weights and δ the sums of P·dP (= dy·y) along a row: dv = Pᵀ dy, dP = dy vᵀ, dS = P (dP − δ) scale, dq = dS k, dk = dSᵀ q. One task
//! has one key head: it adds what its query heads and their blocks give in order, so the result does not depend on threads.

use super::{Attention, Sizes, head, hide};
use crate::gemm::{Epilogue, MatMut, MatRef, gemm};
use crate::parallel::{SharedMut, for_each};
use crate::scratch::buffer;
use crate::{Result, View, error::check_len, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch, math};

/// Where the gradients go, heads of a position side by side as in the output.
#[derive(Debug)]
pub struct AttentionGradients<'a, T> {
    /// (B, T, H, E)
    pub dq: &'a mut [T],
    /// (B, S, K, E)
    pub dk: &'a mut [T],
    /// (B, S, K, F)
    pub dv: &'a mut [T],
}

/// The gradients of [`attention`](super::attention()), from that of its output: `dy` and `y` are (B, H, T, F), in any layout.
///
/// # Errors
/// If the shapes do not fit.
#[inline(never)]
pub fn attention_backward<T: Float>(
    (dy, y): (View<'_, T>, View<'_, T>),
    q: View<'_, T>,
    k: View<'_, T>,
    v: View<'_, T>,
    options: &Attention<'_, T>,
    lse: &[T],
    out: AttentionGradients<'_, T>,
) -> Result<()> {
    let op = "attention_backward";
    let n = Sizes::new(op, &q, &k, &v, options)?;
    for (what, view) in [("the gradient", &dy), ("the output", &y)] {
        if view.shape() != [n.batch, n.heads, n.queries, n.value_width] {
            let message = format!("{what} is {:?}, not (B, H, T, F)", view.shape());
            return Err(crate::Error::shape(op, message));
        }
    }
    check_len(op, "lse", lse.len(), n.batch * n.heads * n.queries)?;
    check_len(op, "dq", out.dq.len(), q.len())?;
    check_len(op, "dk", out.dk.len(), k.len())?;
    check_len(op, "dv", out.dv.len(), v.len())?;
    let job = Job {
        n,
        dy,
        y,
        q,
        k,
        v,
        options,
        lse,
        dq: SharedMut::new(out.dq),
        dk: SharedMut::new(out.dk),
        dv: SharedMut::new(out.dv),
    };
    let error = std::sync::Mutex::new(Ok(()));
    for_each(n.batch * n.key_heads, &|task| {
        if let Err(e) = job.key_head(task / n.key_heads, task % n.key_heads) {
            *error
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Err(e);
        }
    });
    error
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Job<'a, T> {
    n: Sizes,
    dy: View<'a, T>,
    y: View<'a, T>,
    q: View<'a, T>,
    k: View<'a, T>,
    v: View<'a, T>,
    options: &'a Attention<'a, T>,
    lse: &'a [T],
    dq: SharedMut<'a, T>,
    dk: SharedMut<'a, T>,
    dv: SharedMut<'a, T>,
}

impl<T: Float> Job<'_, T> {
    fn key_head(&self, b: usize, key_head: usize) -> Result<()> {
        let n = &self.n;
        let (mut dk, mut dv) = (
            buffer::<T>(n.keys * n.width),
            buffer::<T>(n.keys * n.value_width),
        );
        dk.fill(T::ZERO);
        dv.fill(T::ZERO);
        let group = n.heads / n.key_heads;
        for h in key_head * group..(key_head + 1) * group {
            for first in (0..n.queries).step_by(n.block()) {
                let end = n.queries.min(first + n.block());
                self.one_block((b, h, key_head), first..end, &mut dk, &mut dv)?;
            }
        }
        let place = |i: usize| (b * n.keys + i) * n.key_heads + key_head;
        scatter(&self.dk, &dk, n.keys, n.width, place);
        scatter(&self.dv, &dv, n.keys, n.value_width, place);
        Ok(())
    }

    fn one_block(
        &self,
        (b, h, key_head): (usize, usize, usize),
        queries: std::ops::Range<usize>,
        dk: &mut [T],
        dv: &mut [T],
    ) -> Result<()> {
        let (n, plain, count) = (&self.n, Epilogue::default(), queries.len());
        let keys = n.seen(self.options.causal, queries.end);
        let scale = T::from_f64(self.options.scale);
        let mut dq = buffer::<T>(count * n.width);
        dq.fill(T::ZERO);
        if keys > 0 {
            let (q, k) = (
                head(&self.q, b, h, queries.clone())?,
                head(&self.k, b, key_head, 0..keys)?,
            );
            let v = head(&self.v, b, key_head, 0..keys)?;
            let dy = head(&self.dy, b, h, queries.clone())?;
            let y = head(&self.y, b, h, queries.clone())?;
            let (mut scores, mut dscores) = (buffer::<T>(count * keys), buffer::<T>(count * keys));
            let into = MatMut::row_major(&mut scores, count, keys)?;
            gemm(scale, q, k.t(), T::ZERO, into, &plain)?; // (count, keys)
            hide(self.options, (b, h), queries.start, keys, &mut scores);
            let into = MatMut::row_major(&mut dscores, count, keys)?;
            gemm(T::ONE, dy, v.t(), T::ZERO, into, &plain)?; // dP (count, keys)
            let at = (b * n.heads + h) * n.queries;
            let rows = scores.chunks_mut(keys).zip(dscores.chunks_mut(keys));
            for ((i, query), (p, dp)) in queries.clone().enumerate().zip(rows) {
                let mut delta = 0.0;
                for j in 0..n.value_width {
                    delta += dy.at(i, j).to_f64() * y.at(i, j).to_f64();
                }
                dispatch(Row {
                    p,
                    dp,
                    lse: self.lse[at + query],
                    delta: T::from_f64(delta),
                    scale,
                });
            }
            let (p, ds) = (
                MatRef::row_major(&scores, count, keys)?,
                MatRef::row_major(&dscores, count, keys)?,
            );
            let seen = keys * n.value_width;
            let into = MatMut::row_major(&mut dv[..seen], keys, n.value_width)?;
            gemm(T::ONE, p.t(), dy, T::ONE, into, &plain)?; // (keys, F)
            let into = MatMut::row_major(&mut dk[..keys * n.width], keys, n.width)?;
            gemm(T::ONE, ds.t(), q, T::ONE, into, &plain)?; // (keys, E)
            let into = MatMut::row_major(&mut dq, count, n.width)?;
            gemm(T::ONE, ds, k, T::ZERO, into, &plain)?; // (count, E)
        }
        scatter(&self.dq, &dq, count, n.width, |i| {
            (b * n.queries + queries.start + i) * n.heads + h
        });
        Ok(())
    }
}

/// Row i of `rows` becomes row `place(i)` of `out`, which nobody else writes.
fn scatter<T: Float>(
    out: &SharedMut<'_, T>,
    rows: &[T],
    count: usize,
    width: usize,
    place: impl Fn(usize) -> usize,
) {
    for i in 0..count {
        let at = place(i) * width;
        // SAFETY: every position of every head has a row of its own, and one task.
        unsafe { out.slice(at..at + width) }.copy_from_slice(&rows[i * width..(i + 1) * width]);
    }
}

/// Scores to weights, and their gradient to that of the scores before scaling: p = e^(p − lse)/Σ, dp = p (dp − δ) scale.
///
/// Where one weight is nearly 1 its dp and δ are nearly equal and large. So `delta`, which is rounded, is only what all dp are moved by
/// first (any number would do); what δ still is then, Σ p dp, is small and loses nothing. And the weights are divided by their sum
/// once more: with scores in the hundreds the rounding of lse alone is some 10⁻⁵.
struct Row<'a, T> {
    p: &'a mut [T],
    dp: &'a mut [T],
    lse: T,
    delta: T,
    scale: T,
}

impl<T: Float> Kernel for Row<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (n, p, dp) = (
            self.p.len().min(self.dp.len()),
            self.p.as_mut_ptr(),
            self.dp.as_mut_ptr(),
        );
        let splat = |x: T| T::V::<S>::splat(isa, x);
        let (lse, delta) = (splat(self.lse), splat(self.delta));
        // SAFETY (all blocks): `i + m <= n`, the length of both rows.
        let sum = lanes::fold::<S, T>(
            isa,
            n,
            T::ZERO,
            #[inline(always)]
            |i, m| unsafe {
                let score = lanes::load::<S, T>(isa, p.add(i), m, -T::INFINITY);
                let w = math::exp::<S, T>(isa, score - lse);
                lanes::store::<S, T>(w, p.add(i), m);
                w
            },
            #[inline(always)]
            |a, b| a + b,
            #[inline(always)]
            |a, b| a + b,
        );
        // A row that sees nothing has no weights, and 0/0 is not what it gives.
        let inverse = if sum == T::ZERO {
            T::ZERO
        } else {
            T::ONE / sum
        };
        let rest = lanes::fold::<S, T>(
            isa,
            n,
            T::ZERO,
            #[inline(always)]
            |i, m| unsafe {
                let w = lanes::load::<S, T>(isa, p.add(i), m, T::ZERO);
                let d = lanes::load::<S, T>(isa, dp.add(i), m, T::ZERO) - delta;
                lanes::store::<S, T>(d, dp.add(i), m);
                w * d
            },
            #[inline(always)]
            |a, b| a + b,
            #[inline(always)]
            |a, b| a + b,
        );
        let (inverse, rest, scale) = (splat(inverse), splat(rest * inverse), splat(self.scale));
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            |i, m| unsafe {
                let w = lanes::load::<S, T>(isa, p.add(i), m, T::ZERO) * inverse;
                let d = lanes::load::<S, T>(isa, dp.add(i), m, T::ZERO);
                lanes::store::<S, T>(w, p.add(i), m);
                lanes::store::<S, T>(w * (d - rest) * scale, dp.add(i), m);
            },
        );
    }
}
