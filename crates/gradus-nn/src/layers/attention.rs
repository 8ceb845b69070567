//! Multi-head attention as a layer. Parameter names, layout (q, k, v one above the other in `in_proj_weight`), defaults and
//! initialisation are `torch.nn.MultiheadAttention`'s; the arithmetic is `functional::multi_head_attention_forward`.
//! Source: Vaswani et al. 2017 (arXiv:1706.03762).

use gradus_autograd::Var;
use gradus_autograd::functional::{InProjection, MultiHeadAttention, multi_head_attention_forward};
use gradus_tensor::{DType, Error, Result, Tensor};

use crate::init;
use crate::layers::Linear;
use crate::layers::dropout::check_p;
use crate::module::{Mode, Module, Param};

/// What a query may not see.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionMask<'a> {
    /// (T, S), (B, T, S), or (B · nh, T, S): true where a query may not look (bool), or numbers added to the scores.
    pub attn_mask: Option<&'a Tensor>,
    /// (B, S): true where a key is padding, or numbers added to its scores.
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

/// Options of a [`MultiheadAttention`]; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionOptions {
    /// Of the weights of attention (0).
    pub dropout: f64,
    /// With biases (it is).
    pub bias: bool,
    /// With a learned key and value beside those given (no).
    pub add_bias_kv: bool,
    /// With a key and value of zeros beside those given (no).
    pub add_zero_attn: bool,
    /// Width of the keys (`None`: that of the queries).
    pub kdim: Option<usize>,
    /// Width of the values (`None`: that of the queries).
    pub vdim: Option<usize>,
    /// (B, T, C) rather than (T, B, C) (no).
    pub batch_first: bool,
}

impl Default for AttentionOptions {
    fn default() -> Self {
        Self {
            dropout: 0.0,
            bias: true,
            add_bias_kv: false,
            add_zero_attn: false,
            kdim: None,
            vdim: None,
            batch_first: false,
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
    /// (3 C, C): the matrices of queries, keys and values; absent where their widths differ.
    pub in_proj_weight: Option<Param>,
    /// (C, C), where keys or values have a width of their own.
    pub q_proj_weight: Option<Param>,
    /// (C, kdim), likewise.
    pub k_proj_weight: Option<Param>,
    /// (C, vdim), likewise.
    pub v_proj_weight: Option<Param>,
    /// (3 C)
    pub in_proj_bias: Option<Param>,
    /// (1, 1, C): the learned key.
    pub bias_k: Option<Param>,
    /// (1, 1, C): the learned value.
    pub bias_v: Option<Param>,
    /// (C) to (C), over the joined heads.
    pub out_proj: Linear,
    /// Of the weights of attention.
    pub dropout: f64,
    mode: Mode,
    /// How many heads.
    pub num_heads: usize,
    /// With a key and value of zeros.
    pub add_zero_attn: bool,
    /// (B, T, C) rather than (T, B, C).
    pub batch_first: bool,
}

impl MultiheadAttention {
    /// With biases and without dropout, (T, B, C), in f32.
    ///
    /// # Errors
    /// When the heads do not divide the width, or the memory cannot be had.
    pub fn new(embed_dim: usize, num_heads: usize) -> Result<Self> {
        Self::with_options(embed_dim, num_heads, &AttentionOptions::default())
    }

    /// With this dropout, with or without biases.
    ///
    /// # Errors
    /// As [`MultiheadAttention::with_options`].
    pub fn with(embed_dim: usize, num_heads: usize, dropout: f64, bias: bool) -> Result<Self> {
        let options = AttentionOptions {
            dropout,
            bias,
            ..AttentionOptions::default()
        };
        Self::with_options(embed_dim, num_heads, &options)
    }

    /// With a choice of options.
    ///
    /// # Errors
    /// When the heads do not divide the width, the dropout is not a probability, or the memory cannot be had.
    pub fn with_options(
        embed_dim: usize,
        num_heads: usize,
        options: &AttentionOptions,
    ) -> Result<Self> {
        const OP: &str = "MultiheadAttention";
        if num_heads == 0 || !embed_dim.is_multiple_of(num_heads) {
            return Err(Error::value(
                OP,
                format!(
                    "embed_dim {embed_dim} does not divide into {num_heads} heads; choose num_heads that divides it"
                ),
            ));
        }
        check_p(OP, options.dropout)?;
        let (kdim, vdim) = (
            options.kdim.unwrap_or(embed_dim),
            options.vdim.unwrap_or(embed_dim),
        );
        let packed = kdim == embed_dim && vdim == embed_dim;
        let rows = embed_dim.saturating_mul(3);
        let matrix = |wanted: bool, rows: usize, columns: usize| {
            let draw = || Param::new(init::xavier_uniform([rows, columns], 1.0, DType::F32)?);
            wanted.then(draw).transpose()
        };
        let vector = |wanted: bool| {
            let draw = || Param::new(init::xavier_normal([1, 1, embed_dim], 1.0, DType::F32)?);
            wanted.then(draw).transpose()
        };
        let bias = || Param::new(Tensor::zeros([rows], DType::F32)?);
        let mut out_proj = Linear::builder(embed_dim, embed_dim)
            .bias(options.bias)
            .build()?;
        if let Some(bias) = &mut out_proj.bias {
            bias.set(Tensor::zeros([embed_dim], DType::F32)?)?;
        }
        Ok(Self {
            in_proj_weight: matrix(packed, rows, embed_dim)?,
            q_proj_weight: matrix(!packed, embed_dim, embed_dim)?,
            k_proj_weight: matrix(!packed, embed_dim, kdim)?,
            v_proj_weight: matrix(!packed, embed_dim, vdim)?,
            in_proj_bias: options.bias.then(bias).transpose()?,
            bias_k: vector(options.add_bias_kv)?,
            bias_v: vector(options.add_bias_kv)?,
            out_proj,
            dropout: options.dropout,
            mode: Mode::Training,
            num_heads,
            add_zero_attn: options.add_zero_attn,
            batch_first: options.batch_first,
        })
    }

    /// Take and give (B, T, C) rather than (T, B, C).
    #[must_use]
    pub fn batch_first(mut self, batch_first: bool) -> Self {
        self.batch_first = batch_first;
        self
    }

    /// The values, weighted for each query: (T, B, C) of queries, (S, B, kdim) of keys and (S, B, vdim) of values to (T, B, C);
    /// B first if so set, or without B.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, query: &Var, key: &Var, value: &Var, mask: AttentionMask) -> Result<Var> {
        Ok(self.forward_with_weights(query, key, value, mask)?.0)
    }

    /// The same, with the weights of each head, (B, nh, T, S); their mean over dimension 1 is what PyTorch gives by default.
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
        let in_proj_weight = match (
            &self.in_proj_weight,
            &self.q_proj_weight,
            &self.k_proj_weight,
            &self.v_proj_weight,
        ) {
            (Some(w), ..) => InProjection::Packed(w.var()),
            (None, Some(q), Some(k), Some(v)) => {
                InProjection::Separate([q.var(), k.var(), v.var()])
            }
            _ => {
                return Err(Error::value(
                    "MultiheadAttention",
                    "it has neither in_proj_weight nor all of q_proj_weight, k_proj_weight and v_proj_weight",
                ));
            }
        };
        let bias_kv = self.bias_k.as_ref().zip(self.bias_v.as_ref());
        let options = MultiHeadAttention {
            in_proj_weight,
            in_proj_bias: self.in_proj_bias.as_ref().map(Param::var),
            bias_kv: bias_kv.map(|(k, v)| [k.var(), v.var()]),
            add_zero_attn: self.add_zero_attn,
            dropout_p: self.dropout,
            out_proj_bias: self.out_proj.bias.as_ref().map(Param::var),
            training: self.mode.is_training(),
            key_padding_mask: mask.key_padding_mask,
            attn_mask: mask.attn_mask,
            is_causal: mask.is_causal,
            average_attn_weights: false,
            batch_first: self.batch_first,
            ..MultiHeadAttention::new(
                self.num_heads,
                self.out_proj.weight.var(),
                self.out_proj.weight.var(),
            )
        };
        multi_head_attention_forward(query, key, value, &options)
    }
}
