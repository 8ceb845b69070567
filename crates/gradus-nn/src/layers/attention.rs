//! Multi-head attention. Parameter names, layout (q, k, v one above the other in `in_proj_weight`), defaults and
//! initialisation are `torch.nn.MultiheadAttention`'s. It is not a fused kernel: the scores (B, nh, T, S) are formed.
//! Source: Vaswani et al. 2017 (arXiv:1706.03762).

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use crate::init;
use crate::layer::Layer;
use crate::layers::Linear;
use crate::layers::dropout::drop;
use crate::module::{Mode, Module, Param};

/// What a query may not see.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionMask<'a> {
    /// (T, S), (B, T, S), or (B · nh, T, S): true where a query may not look (bool), or numbers added to the scores.
    pub attn_mask: Option<&'a Tensor>,
    /// (B, S): true where a key is padding.
    pub key_padding_mask: Option<&'a Tensor>,
    /// A query sees itself and what came before it.
    pub is_causal: bool,
}

impl AttentionMask<'_> {
    /// Each query sees itself and what came before it.
    pub fn causal() -> Self {
        Self {
            is_causal: true,
            ..Self::default()
        }
    }
}

/// Attention in several heads over one width `embed_dim`.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{AttentionMask, MultiheadAttention};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let attention = MultiheadAttention::new(12, 3)?.batch_first(true);
/// let x = Var::from(Tensor::ones([2, 5, 12], DType::F32)?); // (B, T, C)
/// let y = attention.forward(&x, &x, &x, AttentionMask::causal())?;
/// assert_eq!(y.dims(), [2, 5, 12]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct MultiheadAttention {
    /// (3 C, C): the matrices of queries, keys and values.
    pub in_proj_weight: Param,
    /// (3 C)
    pub in_proj_bias: Option<Param>,
    /// (C) to (C), over the joined heads.
    pub out_proj: Linear,
    /// Of the weights of attention.
    pub dropout: f64,
    mode: Mode,
    /// How many heads.
    pub num_heads: usize,
    /// (B, T, C) rather than (T, B, C).
    pub batch_first: bool,
}

impl MultiheadAttention {
    /// With biases and without dropout, (T, B, C), in f32.
    ///
    /// # Errors
    /// When the heads do not divide the width, or the memory cannot be had.
    pub fn new(embed_dim: usize, num_heads: usize) -> Result<Self> {
        Self::with(embed_dim, num_heads, 0.0, true)
    }

    /// With this dropout, with or without biases.
    ///
    /// # Errors
    /// As [`MultiheadAttention::new`].
    pub fn with(embed_dim: usize, num_heads: usize, dropout: f64, bias: bool) -> Result<Self> {
        if num_heads == 0 || !embed_dim.is_multiple_of(num_heads) {
            return Err(Error::value(
                "MultiheadAttention",
                format!("a width of {embed_dim} does not divide into {num_heads} heads"),
            ));
        }
        let rows = embed_dim.saturating_mul(3);
        let mut out_proj = Linear::builder(embed_dim, embed_dim).bias(bias).build()?;
        if let Some(bias) = &mut out_proj.bias {
            bias.set(Tensor::zeros([embed_dim], DType::F32)?)?;
        }
        Ok(Self {
            in_proj_weight: Param::new(init::xavier_uniform([rows, embed_dim], 1.0, DType::F32)?)?,
            in_proj_bias: if bias {
                Some(Param::new(Tensor::zeros([rows], DType::F32)?)?)
            } else {
                None
            },
            out_proj,
            dropout,
            mode: Mode::Training,
            num_heads,
            batch_first: false,
        })
    }

    /// Take and give (B, T, C) rather than (T, B, C).
    #[must_use]
    pub fn batch_first(mut self, batch_first: bool) -> Self {
        self.batch_first = batch_first;
        self
    }

    /// The values, weighted for each query: (T, B, C) of queries and (S, B, C) of keys and values to (T, B, C);
    /// B first if so set, or without B.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, query: &Var, key: &Var, value: &Var, mask: AttentionMask) -> Result<Var> {
        Ok(self.forward_with_weights(query, key, value, mask)?.0)
    }

    /// The same, with the weights of each head, (B, nh, T, S).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_with_weights(
        &self,
        query: &Var,
        key: &Var,
        value: &Var,
        mask: AttentionMask,
    ) -> Result<(Var, Var)> {
        let batched = query.rank() == 3;
        if !(2..=3).contains(&query.rank())
            || key.rank() != query.rank()
            || value.rank() != query.rank()
        {
            let message = format!(
                "queries {}, keys {} and values {} are not all (T, B, C)",
                query.shape(),
                key.shape(),
                value.shape()
            );
            return Err(Error::shape("MultiheadAttention", message));
        }
        let in_order = |x: &Var| match (batched, self.batch_first) {
            (false, _) => x.unsqueeze(0),
            (true, true) => Ok(x.clone()),
            (true, false) => x.transpose(0, 1),
        };
        let (q, k, v) = self.project(query, key, value)?;
        let (q, k, v) = (
            self.heads(&in_order(&q)?)?,
            self.heads(&in_order(&k)?)?,
            self.heads(&in_order(&v)?)?,
        ); // (B, nh, T, hs)
        let hs = q.dim(-1)?;

        let scores = q.mul_scalar(1.0 / (hs as f64).sqrt())?.matmul(&k.mt()?)?; // (B, nh, T, S)
        let weights = Self::masked(&scores, mask)?.softmax(-1)?;
        let y = drop(&weights, weights.dims(), self.dropout, self.mode)?.matmul(&v)?; // (B, nh, T, hs)
        let y = y.transpose(1, 2)?.flatten(2, 3)?; // (B, T, C)
        let y = match (batched, self.batch_first) {
            (false, _) => y.squeeze(0)?,
            (true, true) => y,
            (true, false) => y.transpose(0, 1)?,
        };
        Ok((self.out_proj.forward(&y).in_layer("out_proj")?, weights))
    }

    /// Queries, keys and values: one matrix product when all come from the same.
    fn project(&self, query: &Var, key: &Var, value: &Var) -> Result<(Var, Var, Var)> {
        let (weight, bias) = (
            self.in_proj_weight.var(),
            self.in_proj_bias.as_ref().map(Param::var),
        );
        let same = |a: &Var, b: &Var| {
            let (x, y) = (a.value(), b.value());
            a.id() == b.id() && x.shares_storage(y) && x.layout() == y.layout()
        };
        if same(query, key) && same(key, value) {
            let parts = F::linear(query, weight, bias)
                .in_layer("in_proj")?
                .chunk(3, -1)?; // 3 of (.., C)
            if let [q, k, v] = parts.as_slice() {
                return Ok((q.clone(), k.clone(), v.clone()));
            }
        }
        let weights = weight.chunk(3, 0)?;
        let biases = bias.map(|bias| bias.chunk(3, 0)).transpose()?;
        let one = |x: &Var, i: usize| {
            let weight = weights.get(i).ok_or_else(|| {
                Error::shape("MultiheadAttention", "in_proj_weight does not divide by 3")
            })?;
            F::linear(x, weight, biases.as_ref().and_then(|biases| biases.get(i)))
                .in_layer("in_proj")
        };
        Ok((one(query, 0)?, one(key, 1)?, one(value, 2)?))
    }

    /// (B, T, C) to (B, nh, T, hs).
    fn heads(&self, x: &Var) -> Result<Var> {
        let (&[batch, time, width], heads) = (x.dims(), self.num_heads) else {
            return Err(Error::shape(
                "MultiheadAttention",
                format!("{} is not (B, T, C)", x.shape()),
            ));
        };
        x.reshape([batch, time, heads, width / heads])?
            .transpose(1, 2)
    }

    fn masked(scores: &Var, mask: AttentionMask) -> Result<Var> {
        let &[batch, heads, t, s] = scores.dims() else {
            return Ok(scores.clone());
        };
        let hide = |scores: &Var, mask: &Tensor| -> Result<Var> {
            if mask.dtype() == DType::Bool {
                scores.masked_fill(mask, f64::NEG_INFINITY)
            } else {
                scores.add(&Var::from(mask.to_dtype(scores.dtype())?))
            }
        };
        let mut scores = scores.clone();
        if mask.is_causal {
            let row = Tensor::arange(0, t as i64, 1, DType::I64)?.unsqueeze(1)?; // (T, 1)
            let column = Tensor::arange(0, s as i64, 1, DType::I64)?; // (S)
            scores = hide(&scores, &column.gt(&row)?)?;
        }
        if let Some(mask) = mask.attn_mask {
            let mask = match *mask.dims() {
                [_, _] => mask.clone(),
                [b, _, _] if b == batch * heads && heads > 1 => {
                    mask.unflatten(0, [batch as isize, heads as isize])?
                }
                _ => mask.unsqueeze(1)?, // (B, 1, T, S)
            };
            scores = hide(&scores, &mask).in_op("attn_mask")?;
        }
        if let Some(mask) = mask.key_padding_mask {
            scores = hide(&scores, &mask.unsqueeze(1)?.unsqueeze(1)?).in_op("key_padding_mask")?; // (B, 1, 1, S)
        }
        Ok(scores)
    }
}
