//! Attention in tiles: softmax(q kᵀ · scale + mask) v and its gradients, without ever holding all T×S scores.
//!
//! A block of up to 128 queries of one head meets all keys it may see: their scores (a tile that stays in L2), the softmax of whole
//! rows, the product with the values. Only the logarithm of each row's sum is kept, from which the backward makes the weights
//! again (Dao et al., "FlashAttention", 2022; rows are taken whole here, since a CPU's L2 holds them, so nothing is rescaled).
//! Roofline: 4·T·S·E operations against 4·(T + S)·E bytes a head: bound by arithmetic; what it saves is 3 to 5 passes over B·H·T·S
//! numbers, and their memory. Keys a causal mask hides from a whole block are not touched.
//!
//! Shapes: q (B, H, T, E), k (B, K, S, E), v (B, K, S, F), where K divides H and each H/K query heads share a key head. Results lie
//! as (B, T, H, F): what a model wants next is the heads of a position side by side.
//! What it is not: dropout, a bias with a gradient, a gradient of the gradient; those are composed of other operations.

mod backward;
mod forward;
#[cfg(test)]
mod tests;

pub use backward::{AttentionGradients, attention_backward};
pub use forward::attention;

use crate::gemm::MatRef;
use crate::{Error, Result, View};
use gradus_simd::Float;

/// Numbers of a tile of scores: 512 KiB of `f32`, a quarter of L2.
const TILE: usize = 128 * 1024;
/// Queries in a block at most: more would waste more of what a causal mask hides.
const BLOCK: usize = 128;

/// What there is besides q, k and v.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a, T> {
    /// What scores are multiplied by.
    pub scale: f64,
    /// Query t sees keys up to t only.
    pub causal: bool,
    /// Added to the scores: (B, H, T, S), broadcast by stride 0.
    pub mask: Option<View<'a, T>>,
    /// A query that sees no key (all its scores are −∞) gives 0, and not NaN.
    pub blind_is_zero: bool,
}

/// The sizes, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    batch: usize,
    heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    value_width: usize,
}

impl Sizes {
    fn new<T>(
        op: &'static str,
        q: &View<'_, T>,
        k: &View<'_, T>,
        v: &View<'_, T>,
        options: &Attention<'_, T>,
    ) -> Result<Self> {
        let fail = |what: &str| {
            let message = format!(
                "q {:?}, k {:?}, v {:?}: {what}",
                q.shape(),
                k.shape(),
                v.shape()
            );
            Err(Error::shape(op, message))
        };
        let (&[batch, heads, queries, width], &[b, key_heads, keys, e], &[vb, vh, s, value_width]) =
            (q.shape(), k.shape(), v.shape())
        else {
            return fail("it takes (B, H, T, E), (B, K, S, E), (B, K, S, F)");
        };
        if (b, e) != (batch, width) || (vb, vh, s) != (batch, key_heads, keys) {
            return fail("it takes (B, H, T, E), (B, K, S, E), (B, K, S, F)");
        }
        if key_heads == 0 || !heads.is_multiple_of(key_heads) {
            return fail("the key heads do not divide the query heads");
        }
        if let Some(mask) = &options.mask
            && mask.shape() != [batch, heads, queries, keys]
        {
            return fail(&format!("the mask is {:?}, not (B, H, T, S)", mask.shape()));
        }
        Ok(Self {
            batch,
            heads,
            key_heads,
            queries,
            keys,
            width,
            value_width,
        })
    }

    /// Queries in a block: a function of the sizes alone.
    fn block(&self) -> usize {
        (TILE / self.keys.max(1))
            .clamp(8, BLOCK)
            .min(self.queries.max(1))
    }

    /// The keys that queries below `end` see.
    fn seen(&self, causal: bool, end: usize) -> usize {
        if causal {
            self.keys.min(end)
        } else {
            self.keys
        }
    }
}

/// Rows `rows` of one head of a (B, H, T, E) view, as a matrix.
fn head<'a, T>(
    x: &View<'a, T>,
    b: usize,
    h: usize,
    rows: std::ops::Range<usize>,
) -> Result<MatRef<'a, T>> {
    let (data, origin) = x.origin();
    let at = origin
        + b as isize * x.stride(0)
        + h as isize * x.stride(1)
        + rows.start as isize * x.stride(2);
    MatRef::new(
        data,
        at as usize,
        (rows.len(), x.shape()[3]),
        (x.stride(2), x.stride(3)),
    )
}

/// Adds the mask to the scores of queries from `first` on and hides what a causal mask hides. `scores` has rows of `keys`.
fn hide<T: Float>(
    options: &Attention<'_, T>,
    (b, h): (usize, usize),
    first: usize,
    keys: usize,
    scores: &mut [T],
) {
    for (i, row) in scores.chunks_mut(keys).enumerate() {
        if let Some(mask) = &options.mask {
            let (data, origin) = mask.origin();
            let start = origin
                + b as isize * mask.stride(0)
                + h as isize * mask.stride(1)
                + (first + i) as isize * mask.stride(2);
            let step = mask.stride(3);
            if step == 1 {
                for (s, &m) in row.iter_mut().zip(&data[start as usize..][..keys]) {
                    *s += m;
                }
            } else {
                for (j, s) in row.iter_mut().enumerate() {
                    *s += data[(start + j as isize * step) as usize];
                }
            }
        }
        if options.causal && first + i + 1 < keys {
            row[first + i + 1..].fill(-T::INFINITY);
        }
    }
}
