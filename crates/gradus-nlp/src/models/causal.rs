//! Attention of each token to itself and those before it, with or without a cache of the past: what GPT-2 and Llama share.

use gradus_autograd::Var;
use gradus_autograd::functional::{Attention, scaled_dot_product_attention};
use gradus_tensor::{Result, Tensor};

use super::single;
use crate::generate::KvCache;

/// How a layer attends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Causal {
    /// Probability of dropping a weight, now.
    pub dropout: f64,
    /// What scores are multiplied by (`None`: 1/√hs).
    pub scale: Option<f64>,
    /// Only the last so many tokens are seen.
    pub window: Option<usize>,
    /// Hugging Face computes the weights in f32 whatever the dtype: see `single.rs`.
    pub single: bool,
}

impl Causal {
    /// The values of queries (B, nh, T, hs) over keys and values (B, nkv, T, hs), and those in the cache: (B, T, nh · hs).
    pub fn attend(self, q: &Var, k: &Var, v: &Var, cache: Option<&mut KvCache>) -> Result<Var> {
        let place = cache.as_ref().and_then(|c| c.place()).cloned();
        let (k, v) = match cache {
            Some(cache) => cache.append(k, v)?, // (B, nkv, S, hs)
            None => (k.clone(), v.clone()),
        };
        let (t, s) = (q.dim(-2)?, k.dim(-2)?);
        let window = self.window.filter(|&window| window < s);
        // A single new token sees all there is.
        let mask = match (&place, window) {
            (Some(place), window) => Some(place.seen(window)?),
            (None, None) if t == s || t == 1 => None,
            (None, window) => Some(mask(t, s, window)?.to_device(&q.device())?),
        };
        // A single token's heads ask side by side for the keys they share, as if they were steps: nothing is repeated.
        let (heads, groups) = (q.dim(1)? as isize, k.dim(1)? as isize);
        let aside = t == 1 && heads != groups;
        let q = if aside {
            q.reshape([-1, groups, heads / groups.max(1), q.dim(-1)? as isize])?
        } else {
            q.clone()
        };
        let options = Attention {
            is_causal: mask.is_none() && t > 1,
            mask,
            dropout_p: self.dropout,
            scale: self.scale,
            enable_gqa: heads != groups && !aside,
            ..Attention::default()
        };
        let attention = if self.single {
            single::attention
        } else {
            scaled_dot_product_attention
        };
        let y = attention(&q, &k, &v, &options)?; // (B, nh, T, hs)
        if aside {
            return y.flatten(1, 3)?.unsqueeze(1); // (B, 1, nh · hs)
        }
        y.transpose(1, 2)?.flatten(2, 3)
    }
}

/// Which of s tokens each of the last t may see: bool (T, S).
fn mask(t: usize, s: usize, window: Option<usize>) -> Result<Tensor> {
    let mut seen = vec![false; t * s];
    for (i, row) in seen.chunks_exact_mut(s).enumerate() {
        let at = s - t + i;
        let first = window.map_or(0, |window| (at + 1).saturating_sub(window));
        row[first..=at].fill(true);
    }
    Tensor::from_vec(seen, [t, s])
}

/// (B, T, heads · hs) as (B, heads, T, hs).
pub(super) fn heads(x: &Var, heads: usize) -> Result<Var> {
    x.unflatten(-1, [heads as isize, -1])?.transpose(1, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_lower_triangles_and_bands() {
        let rows = |t, s, window| mask(t, s, window).unwrap().to_vec::<bool>().unwrap();
        let (x, o) = (true, false);
        assert_eq!(rows(2, 3, None), [x, x, o, x, x, x]);
        assert_eq!(rows(3, 3, Some(2)), [x, o, o, x, x, o, o, x, x]);
        assert_eq!(rows(1, 3, Some(1)), [o, o, x]);
    }
}
