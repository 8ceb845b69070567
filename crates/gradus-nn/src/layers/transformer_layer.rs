//! The blocks of a transformer: an encoder layer and a decoder layer; towers of them are `transformer.rs`. Names, order of operations
//! and defaults are `torch.nn.TransformerEncoderLayer`'s and its kin's. Source: Vaswani et al. 2017 (arXiv:1706.03762);
//! `norm_first` is the pre-norm form of Xiong et al. 2020 (arXiv:2002.04745).

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{Result, ResultExt};

use crate::layer::Layer;
use crate::layers::{
    AttentionMask, AttentionOptions, Dropout, LayerNorm, Linear, MultiheadAttention,
};
use crate::module::Module;

/// The function between the two matrices of the feed-forward part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeedForward {
    /// `max(x, 0)`, PyTorch's default.
    #[default]
    ReLU,
    /// `x Φ(x)`.
    GELU,
}

impl FeedForward {
    fn apply(self, x: &Var) -> Result<Var> {
        match self {
            Self::ReLU => x.relu(),
            Self::GELU => F::gelu(x, false),
        }
    }
}

/// Options of the layers; the defaults are PyTorch's.
#[derive(Clone, Debug)]
pub struct TransformerOptions {
    /// Width of the feed-forward part (2048).
    pub dim_feedforward: usize,
    /// Dropout everywhere (0.1).
    pub dropout: f64,
    /// Between the two matrices of the feed-forward part (ReLU).
    pub activation: FeedForward,
    /// (B, T, C) rather than (T, B, C) (no).
    pub batch_first: bool,
    /// Normalise before each part instead of after it (no).
    pub norm_first: bool,
    /// Of the norms (1e-5).
    pub layer_norm_eps: f64,
    /// With biases everywhere (yes).
    pub bias: bool,
}

impl Default for TransformerOptions {
    fn default() -> Self {
        Self {
            dim_feedforward: 2048,
            dropout: 0.1,
            activation: FeedForward::ReLU,
            batch_first: false,
            norm_first: false,
            layer_norm_eps: 1e-5,
            bias: true,
        }
    }
}

impl TransformerOptions {
    fn attention(&self, d_model: usize, nhead: usize) -> Result<MultiheadAttention> {
        let options = AttentionOptions {
            dropout: self.dropout,
            bias: self.bias,
            batch_first: self.batch_first,
            ..AttentionOptions::default()
        };
        MultiheadAttention::with_options(d_model, nhead, &options)
    }

    pub(super) fn norm(&self, d_model: usize) -> Result<LayerNorm> {
        LayerNorm::with([d_model], self.layer_norm_eps, true, self.bias)
    }

    fn linear(&self, from: usize, to: usize) -> Result<Linear> {
        Linear::builder(from, to).bias(self.bias).build()
    }
}

/// Self-attention, then a feed-forward part, each added to its input.
#[derive(Clone, Debug, Module)]
pub struct TransformerEncoderLayer {
    /// Attention of the sequence to itself.
    pub self_attn: MultiheadAttention,
    /// C to the width of the feed-forward part.
    pub linear1: Linear,
    /// Within the feed-forward part.
    pub dropout: Dropout,
    /// Back to C.
    pub linear2: Linear,
    /// Of the attention.
    pub norm1: LayerNorm,
    /// Of the feed-forward part.
    pub norm2: LayerNorm,
    /// After the attention.
    pub dropout1: Dropout,
    /// After the feed-forward part.
    pub dropout2: Dropout,
    /// Normalise first.
    pub norm_first: bool,
    #[module(skip)]
    activation: FeedForward,
}

impl TransformerEncoderLayer {
    /// Of width `d_model`.
    ///
    /// # Errors
    /// When the heads do not divide the width, or the memory cannot be had.
    pub fn new(d_model: usize, nhead: usize, options: &TransformerOptions) -> Result<Self> {
        let drop = || Dropout::new(options.dropout);
        let norm = || options.norm(d_model);
        Ok(Self {
            self_attn: options.attention(d_model, nhead)?,
            linear1: options.linear(d_model, options.dim_feedforward)?,
            dropout: drop(),
            linear2: options.linear(options.dim_feedforward, d_model)?,
            norm1: norm()?,
            norm2: norm()?,
            dropout1: drop(),
            dropout2: drop(),
            norm_first: options.norm_first,
            activation: options.activation,
        })
    }

    /// A sequence to a sequence of the same shape.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, mask: AttentionMask) -> Result<Var> {
        let norm1 = |x: &Var| self.norm1.forward(x).in_layer("norm1");
        let norm2 = |x: &Var| self.norm2.forward(x).in_layer("norm2");
        if self.norm_first {
            let x = x.add(&self.attend(&norm1(x)?, mask)?)?;
            x.add(&self.feed(&norm2(&x)?)?)
        } else {
            let x = norm1(&x.add(&self.attend(x, mask)?)?)?;
            norm2(&x.add(&self.feed(&x)?)?)
        }
    }

    fn attend(&self, x: &Var, mask: AttentionMask) -> Result<Var> {
        self.dropout1.forward(
            &self
                .self_attn
                .forward(x, x, x, mask)
                .in_layer("self_attn")?,
        )
    }

    fn feed(&self, x: &Var) -> Result<Var> {
        let h = self
            .activation
            .apply(&self.linear1.forward(x).in_layer("linear1")?)?;
        self.dropout2.forward(
            &self
                .linear2
                .forward(&self.dropout.forward(&h)?)
                .in_layer("linear2")?,
        )
    }
}

/// Self-attention, attention to the encoder's output, then a feed-forward part.
#[derive(Clone, Debug, Module)]
pub struct TransformerDecoderLayer {
    /// Attention of the sequence to itself.
    pub self_attn: MultiheadAttention,
    /// Attention to the encoder's output.
    pub multihead_attn: MultiheadAttention,
    /// C to the width of the feed-forward part.
    pub linear1: Linear,
    /// Within the feed-forward part.
    pub dropout: Dropout,
    /// Back to C.
    pub linear2: Linear,
    /// Of the self-attention.
    pub norm1: LayerNorm,
    /// Of the attention to the encoder.
    pub norm2: LayerNorm,
    /// Of the feed-forward part.
    pub norm3: LayerNorm,
    /// After the self-attention.
    pub dropout1: Dropout,
    /// After the attention to the encoder.
    pub dropout2: Dropout,
    /// After the feed-forward part.
    pub dropout3: Dropout,
    /// Normalise first.
    pub norm_first: bool,
    #[module(skip)]
    activation: FeedForward,
}

impl TransformerDecoderLayer {
    /// Of width `d_model`.
    ///
    /// # Errors
    /// When the heads do not divide the width, or the memory cannot be had.
    pub fn new(d_model: usize, nhead: usize, options: &TransformerOptions) -> Result<Self> {
        let drop = || Dropout::new(options.dropout);
        let norm = || options.norm(d_model);
        Ok(Self {
            self_attn: options.attention(d_model, nhead)?,
            multihead_attn: options.attention(d_model, nhead)?,
            linear1: options.linear(d_model, options.dim_feedforward)?,
            dropout: drop(),
            linear2: options.linear(options.dim_feedforward, d_model)?,
            norm1: norm()?,
            norm2: norm()?,
            norm3: norm()?,
            dropout1: drop(),
            dropout2: drop(),
            dropout3: drop(),
            norm_first: options.norm_first,
            activation: options.activation,
        })
    }

    /// The target's sequence, seen through `mask`, with the encoder's output `memory`, seen through `memory_mask`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        x: &Var,
        memory: &Var,
        mask: AttentionMask,
        memory_mask: AttentionMask,
    ) -> Result<Var> {
        let norm1 = |x: &Var| self.norm1.forward(x).in_layer("norm1");
        let norm2 = |x: &Var| self.norm2.forward(x).in_layer("norm2");
        let norm3 = |x: &Var| self.norm3.forward(x).in_layer("norm3");
        let to_self = |x: &Var| {
            self.dropout1.forward(
                &self
                    .self_attn
                    .forward(x, x, x, mask)
                    .in_layer("self_attn")?,
            )
        };
        let to_memory = |x: &Var| {
            self.dropout2.forward(
                &self
                    .multihead_attn
                    .forward(x, memory, memory, memory_mask)
                    .in_layer("multihead_attn")?,
            )
        };
        let feed = |x: &Var| {
            let h = self
                .activation
                .apply(&self.linear1.forward(x).in_layer("linear1")?)?;
            self.dropout3.forward(
                &self
                    .linear2
                    .forward(&self.dropout.forward(&h)?)
                    .in_layer("linear2")?,
            )
        };
        if self.norm_first {
            let x = x.add(&to_self(&norm1(x)?)?)?;
            let x = x.add(&to_memory(&norm2(&x)?)?)?;
            x.add(&feed(&norm3(&x)?)?)
        } else {
            let x = norm1(&x.add(&to_self(x)?)?)?;
            let x = norm2(&x.add(&to_memory(&x)?)?)?;
            norm3(&x.add(&feed(&x)?)?)
        }
    }
}
