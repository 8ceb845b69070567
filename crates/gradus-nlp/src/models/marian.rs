//! Marian: the transformer of "Attention Is All You Need" as translators use it (Junczys-Dowmunt et al. 2018, arXiv:1804.00344). Norms
//! stand behind what they normalise, places are sines and cosines. Settings and the layers of encoder and decoder; the models are in
//! `marian_models.rs`. Names, defaults and first weights are those of Hugging Face's `MarianModel`.

use gradus_autograd::Var;
use gradus_nn::{Dropout, Embedding, Layer, LayerNorm, Linear, Mode, Module, Param};
use gradus_tensor::{Result, ResultExt, Tensor, random};

use super::activation::Activation;
use super::attention::{Heads, Hidden};
use super::bert::{table, too_long};
use super::config::Config;
use super::input::{TextInput, both, causal_mask, padding_mask};
use super::pretrained::{First, ModelConfig, usual};
use super::sinusoid::halves;

/// Settings of Marian.
#[derive(Clone, Debug, PartialEq)]
pub struct MarianConfig {
    /// V of the encoder, and where the two share a table of the decoder.
    pub vocab_size: usize,
    /// V of the decoder.
    pub decoder_vocab_size: usize,
    /// The longest text.
    pub max_position_embeddings: usize,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Width between its dense layers.
    pub encoder_ffn_dim: usize,
    /// Its nh.
    pub encoder_attention_heads: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Width between its dense layers.
    pub decoder_ffn_dim: usize,
    /// Its nh.
    pub decoder_attention_heads: usize,
    /// Probability of leaving out a layer of the encoder in training.
    pub encoder_layerdrop: f64,
    /// The same of the decoder.
    pub decoder_layerdrop: f64,
    /// What stands between dense layers.
    pub activation_function: Activation,
    /// C
    pub d_model: usize,
    /// Dropout of embeddings and of what is added to them.
    pub dropout: f64,
    /// Dropout of the weights of attention.
    pub attention_dropout: f64,
    /// Dropout between dense layers.
    pub activation_dropout: f64,
    /// Deviation of first weights.
    pub init_std: f64,
    /// The token a written text begins with.
    pub decoder_start_token_id: Option<u32>,
    /// Embedded tokens are multiplied by √C.
    pub scale_embedding: bool,
    /// The token that fills texts up.
    pub pad_token_id: Option<u32>,
    /// The token a text ends with.
    pub eos_token_id: Option<u32>,
    /// Encoder and decoder embed tokens with one table.
    pub share_encoder_decoder_embeddings: bool,
    /// Tables with one meaning are one table.
    pub tie_word_embeddings: bool,
}

impl Default for MarianConfig {
    fn default() -> Self {
        Self {
            vocab_size: 58101,
            decoder_vocab_size: 58101,
            max_position_embeddings: 1024,
            encoder_layers: 12,
            encoder_ffn_dim: 4096,
            encoder_attention_heads: 16,
            decoder_layers: 12,
            decoder_ffn_dim: 4096,
            decoder_attention_heads: 16,
            encoder_layerdrop: 0.0,
            decoder_layerdrop: 0.0,
            activation_function: Activation::Gelu,
            d_model: 1024,
            dropout: 0.1,
            attention_dropout: 0.0,
            activation_dropout: 0.0,
            init_std: 0.02,
            decoder_start_token_id: Some(58100),
            scale_embedding: false,
            pad_token_id: Some(58100),
            eos_token_id: Some(0),
            share_encoder_decoder_embeddings: true,
            tie_word_embeddings: true,
        }
    }
}

impl ModelConfig for MarianConfig {
    fn from_config(config: &Config) -> Result<Self> {
        let default = Self::default();
        let vocab_size = config.size("vocab_size", default.vocab_size)?;
        let heads = default.encoder_attention_heads;
        let inner = default.encoder_ffn_dim;
        Ok(Self {
            vocab_size,
            decoder_vocab_size: config.size("decoder_vocab_size", vocab_size)?,
            max_position_embeddings: config
                .size("max_position_embeddings", default.max_position_embeddings)?,
            encoder_layers: config.depth("encoder_layers", default.encoder_layers)?,
            encoder_ffn_dim: config.size("encoder_ffn_dim", inner)?,
            encoder_attention_heads: config.size("encoder_attention_heads", heads)?,
            decoder_layers: config.depth("decoder_layers", default.decoder_layers)?,
            decoder_ffn_dim: config.size("decoder_ffn_dim", inner)?,
            decoder_attention_heads: config.size("decoder_attention_heads", heads)?,
            encoder_layerdrop: config.probability("encoder_layerdrop", 0.0)?,
            decoder_layerdrop: config.probability("decoder_layerdrop", 0.0)?,
            activation_function: config
                .activation("activation_function", default.activation_function)?,
            d_model: config.size("d_model", default.d_model)?,
            dropout: config.probability("dropout", default.dropout)?,
            attention_dropout: config.probability("attention_dropout", 0.0)?,
            activation_dropout: config.probability("activation_dropout", 0.0)?,
            init_std: config.number("init_std", default.init_std)?,
            decoder_start_token_id: config
                .token_or("decoder_start_token_id", default.decoder_start_token_id)?,
            scale_embedding: config.flag("scale_embedding", false)?,
            pad_token_id: config.token_or("pad_token_id", default.pad_token_id)?,
            eos_token_id: config.token_or("eos_token_id", default.eos_token_id)?,
            share_encoder_decoder_embeddings: config
                .flag("share_encoder_decoder_embeddings", true)?,
            tie_word_embeddings: config.flag("tie_word_embeddings", true)?,
        })
    }

    fn first(&self, kind: &str, name: &str) -> First {
        if name.ends_with("embed_positions.weight") {
            return First::Keep;
        }
        let padding = self.pad_token_id.map(|id| id as usize);
        let padded = ["shared.weight", "embed_tokens.weight"];
        usual(kind, name, self.init_std, padding, &padded)
    }
}

/// Attention of x (B, T, C) to what is looked at (B, S, C).
#[derive(Clone, Debug, Module)]
struct Attention {
    k_proj: Linear,
    v_proj: Linear,
    q_proj: Linear,
    out_proj: Linear,
    heads: Heads,
}

impl Attention {
    fn new(width: usize, heads: usize, dropout: f64) -> Result<Self> {
        Heads::divides(heads, width)?;
        Ok(Self {
            k_proj: Linear::new(width, width)?,
            v_proj: Linear::new(width, width)?,
            q_proj: Linear::new(width, width)?,
            out_proj: Linear::new(width, width)?,
            heads: Heads::new(heads, dropout),
        })
    }

    fn forward(&self, x: &Var, seen: &Var, hidden: &Hidden) -> Result<Var> {
        let q = self.q_proj.forward(x).in_layer("q_proj")?;
        let k = self.k_proj.forward(seen).in_layer("k_proj")?;
        let v = self.v_proj.forward(seen).in_layer("v_proj")?;
        let y = self.heads.attend(&q, &k, &v, hidden)?;
        self.out_proj.forward(&y).in_layer("out_proj")
    }
}

/// One layer, of the encoder or of the decoder, which also looks at the encoder's states.
#[derive(Clone, Debug, Module)]
struct Block {
    self_attn: Attention,
    self_attn_layer_norm: LayerNorm,
    encoder_attn: Option<Attention>,
    encoder_attn_layer_norm: Option<LayerNorm>,
    fc1: Linear,
    fc2: Linear,
    final_layer_norm: LayerNorm,
    dropout: Dropout,
    activation_dropout: Dropout,
    #[module(skip)]
    activation: Activation,
}

impl Block {
    fn new(config: &MarianConfig, heads: usize, inner: usize, is_decoder: bool) -> Result<Self> {
        let c = config.d_model;
        let attention = || Attention::new(c, heads, config.attention_dropout);
        let norm = || LayerNorm::new([c]);
        Ok(Self {
            self_attn: attention()?,
            self_attn_layer_norm: norm()?,
            encoder_attn: is_decoder.then(attention).transpose()?,
            encoder_attn_layer_norm: is_decoder.then(norm).transpose()?,
            fc1: Linear::new(c, inner)?,
            fc2: Linear::new(inner, c)?,
            final_layer_norm: norm()?,
            dropout: Dropout::new(config.dropout),
            activation_dropout: Dropout::new(config.activation_dropout),
            activation: config.activation_function,
        })
    }

    fn forward(&self, x: &Var, own: &Hidden, other: Option<(&Var, &Hidden)>) -> Result<Var> {
        let y = self.self_attn.forward(x, x, own).in_layer("self_attn")?;
        let mut x = x.add(&self.dropout.forward(&y)?)?;
        x = self.self_attn_layer_norm.forward(&x)?;
        if let (Some((seen, hidden)), Some(attention)) = (other, &self.encoder_attn) {
            let y = attention.forward(&x, seen, hidden);
            x = x.add(&self.dropout.forward(&y.in_layer("encoder_attn")?)?)?;
            x = self.encoder_attn_layer_norm.forward(&x)?;
        }
        let y = self.fc1.forward(&x).in_layer("fc1")?; // (B, T, 4C)
        let y = self
            .activation_dropout
            .forward(&self.activation.forward(&y)?)?;
        let y = self.fc2.forward(&y).in_layer("fc2")?;
        let x = x.add(&self.dropout.forward(&y)?)?;
        self.final_layer_norm.forward(&x)
    }
}

/// Sines and cosines as a parameter that is not trained.
#[derive(Clone, Debug, Module)]
struct Places {
    /// (places, C)
    weight: Param,
}

/// The layers of the encoder or of the decoder.
#[derive(Clone, Debug, Module)]
pub(super) struct Stack {
    /// (V, C), where it is not the table both share.
    pub embed_tokens: Option<Embedding>,
    embed_positions: Places,
    layers: Vec<Block>,
    dropout: Dropout,
    /// What embedded tokens are multiplied by.
    scale: Option<f64>,
    layerdrop: f64,
    is_decoder: bool,
    mode: Mode,
}

impl Stack {
    pub fn new(config: &MarianConfig, is_decoder: bool, own_table: bool) -> Result<Self> {
        let c = config.d_model;
        let (layers, heads, inner, vocab, layerdrop) = if is_decoder {
            (
                config.decoder_layers,
                config.decoder_attention_heads,
                config.decoder_ffn_dim,
                config.decoder_vocab_size,
                config.decoder_layerdrop,
            )
        } else {
            (
                config.encoder_layers,
                config.encoder_attention_heads,
                config.encoder_ffn_dim,
                config.vocab_size,
                config.encoder_layerdrop,
            )
        };
        let mut places = Param::new(halves(config.max_position_embeddings, c)?)?;
        places.set_frozen(true);
        Ok(Self {
            embed_tokens: own_table
                .then(|| table(vocab, c, config.pad_token_id))
                .transpose()
                .in_layer("embed_tokens")?,
            embed_positions: Places { weight: places },
            layers: (0..layers)
                .map(|_| Block::new(config, heads, inner, is_decoder))
                .collect::<Result<_>>()?,
            dropout: Dropout::new(config.dropout),
            scale: config.scale_embedding.then(|| (c as f64).sqrt()),
            layerdrop,
            is_decoder,
            mode: Mode::Training,
        })
    }

    /// Texts, the shared table if there is one, and in a decoder the encoder's states (B, S, C) with their mask (B, S).
    pub fn forward(
        &self,
        input: &TextInput,
        shared: Option<&Embedding>,
        other: Option<(&Var, Option<&Tensor>)>,
    ) -> Result<Var> {
        let (_, t) = input.sizes()?;
        let table = self.embed_tokens.as_ref().or(shared);
        let table = table.ok_or_else(|| {
            gradus_tensor::Error::value("embed_tokens", "there is no table of tokens")
        })?;
        let mut x = table.forward(&input.input_ids).in_layer("embed_tokens")?; // (B, T, C)
        if let Some(scale) = self.scale {
            x = x.mul_scalar(scale)?;
        }
        let places = &self.embed_positions.weight;
        if t > places.shape()[0] {
            return Err(too_long(t, places.shape()[0]));
        }
        let places = match &input.position_ids {
            Some(at) => gradus_autograd::functional::embedding(at, places.var(), None)?,
            None => places.var().narrow(0, 0, t)?, // (T, C)
        };
        let mut x = self.dropout.forward(&x.add(&places)?)?;

        let dtype = x.dtype();
        let mask = input.attention_mask.as_ref();
        let mut mask = mask.map(|m| padding_mask(m, dtype)).transpose()?;
        if self.is_decoder {
            mask = Some(both(causal_mask(t, 0, (dtype, x.device()))?, mask)?);
        }
        let own = Hidden::from(mask);
        let seen = match other {
            Some((_, Some(mask))) => Some(padding_mask(mask, dtype)?),
            _ => None,
        };
        let seen = Hidden::from(seen);
        for (i, block) in self.layers.iter().enumerate() {
            let drops = self.layerdrop > 0.0 && self.mode.is_training();
            if drops && random::with_default(random::Rng::next_f64) < self.layerdrop {
                continue;
            }
            let y = block.forward(&x, &own, other.map(|(states, _)| (states, &seen)));
            x = y.in_layer(format!("layers.{i}"))?;
        }
        Ok(x)
    }
}
