//! Towers of transformer layers (`transformer_layer.rs`), and the whole of both towers. Names, final norms and initialisation are
//! `torch.nn.Transformer`'s. Embeddings and positions are the model's. Source: Vaswani et al. 2017 (arXiv:1706.03762).

use gradus_autograd::Var;
use gradus_tensor::{DType, Result, ResultExt, Tensor};

use super::transformer_layer::{
    TransformerDecoderLayer, TransformerEncoderLayer, TransformerOptions,
};
use crate::init;
use crate::layer::Layer;
use crate::layers::{AttentionMask, LayerNorm, ModuleList};
use crate::module::Module;

/// Encoder layers one above the other, and a last norm if there is one.
#[derive(Clone, Debug, Module)]
pub struct TransformerEncoder {
    /// `layers.0`, `layers.1`, …
    pub layers: ModuleList<TransformerEncoderLayer>,
    /// After the last.
    pub norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// `num_layers` layers of width `d_model`, each with weights of its own (PyTorch copies one), without a last norm.
    ///
    /// # Errors
    /// When the heads do not divide the width, or the memory cannot be had.
    pub fn new(
        d_model: usize,
        nhead: usize,
        num_layers: usize,
        options: &TransformerOptions,
    ) -> Result<Self> {
        let layers = (0..num_layers)
            .map(|_| TransformerEncoderLayer::new(d_model, nhead, options))
            .collect::<Result<_>>()?;
        Ok(Self { layers, norm: None })
    }

    /// Through all layers, each under the same mask.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, mask: AttentionMask) -> Result<Var> {
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer
                .forward(&x, mask)
                .in_layer(i.to_string())
                .in_layer("layers")?;
        }
        match &self.norm {
            Some(norm) => norm.forward(&x).in_layer("norm"),
            None => Ok(x),
        }
    }
}

/// Decoder layers one above the other, and a last norm if there is one.
#[derive(Clone, Debug, Module)]
pub struct TransformerDecoder {
    /// `layers.0`, `layers.1`, …
    pub layers: ModuleList<TransformerDecoderLayer>,
    /// After the last.
    pub norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// `num_layers` layers of width `d_model`, each with weights of its own (PyTorch copies one), without a last norm.
    ///
    /// # Errors
    /// When the heads do not divide the width, or the memory cannot be had.
    pub fn new(
        d_model: usize,
        nhead: usize,
        num_layers: usize,
        options: &TransformerOptions,
    ) -> Result<Self> {
        let layers = (0..num_layers)
            .map(|_| TransformerDecoderLayer::new(d_model, nhead, options))
            .collect::<Result<_>>()?;
        Ok(Self { layers, norm: None })
    }

    /// Through all layers: the target under `mask`, the encoder's output `memory` under `memory_mask`.
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
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer
                .forward(&x, memory, mask, memory_mask)
                .in_layer(i.to_string())
                .in_layer("layers")?;
        }
        match &self.norm {
            Some(norm) => norm.forward(&x).in_layer("norm"),
            None => Ok(x),
        }
    }
}

/// An encoder and a decoder, each with a last norm: (S, B, C) of the source and (T, B, C) of the target to (T, B, C).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{AttentionMask, Transformer, TransformerOptions};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let options = TransformerOptions { dim_feedforward: 16, batch_first: true, ..TransformerOptions::default() };
/// let model = Transformer::new(8, 2, 1, 1, &options)?;
/// let source = Var::from(Tensor::ones([3, 7, 8], DType::F32)?); // (B, S, C)
/// let target = Var::from(Tensor::ones([3, 5, 8], DType::F32)?); // (B, T, C)
/// let free = AttentionMask::default();
/// let y = model.forward(&source, &target, free, AttentionMask::causal(), free)?;
/// assert_eq!(y.dims(), [3, 5, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct Transformer {
    /// Reads the source.
    pub encoder: TransformerEncoder,
    /// Reads the target, and the encoder's output.
    pub decoder: TransformerDecoder,
}

impl Transformer {
    /// Of width `d_model` (PyTorch's defaults: 512, 8 heads, 6 and 6 layers). Every matrix starts by Xavier's uniform rule.
    ///
    /// # Errors
    /// When the heads do not divide the width, or the memory cannot be had.
    pub fn new(
        d_model: usize,
        nhead: usize,
        num_encoder_layers: usize,
        num_decoder_layers: usize,
        options: &TransformerOptions,
    ) -> Result<Self> {
        let mut encoder = TransformerEncoder::new(d_model, nhead, num_encoder_layers, options)?;
        let mut decoder = TransformerDecoder::new(d_model, nhead, num_decoder_layers, options)?;
        encoder.norm = Some(options.norm(d_model)?);
        decoder.norm = Some(options.norm(d_model)?);
        let mut model = Self { encoder, decoder };
        for (_, param) in model.named_parameters_mut() {
            if param.shape().len() > 1 {
                let shape = param.shape().clone();
                param.set(init::xavier_uniform(shape, 1.0, DType::F32)?)?;
            }
        }
        Ok(model)
    }

    /// The decoder's output for `target`, given `source`; each of the three attentions under its mask.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        source: &Var,
        target: &Var,
        source_mask: AttentionMask,
        target_mask: AttentionMask,
        memory_mask: AttentionMask,
    ) -> Result<Var> {
        let memory = self
            .encoder
            .forward(source, source_mask)
            .in_layer("encoder")?;
        self.decoder
            .forward(target, &memory, target_mask, memory_mask)
            .in_layer("decoder")
    }

    /// The mask (size, size) that adds minus infinity where a query would look ahead, 0 elsewhere: f32. The same as
    /// [`AttentionMask::causal`], as numbers.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn generate_square_subsequent_mask(size: usize) -> Result<Tensor> {
        Tensor::full([size, size], f64::NEG_INFINITY, DType::F32)?.triu(1)
    }
}
