//! T5's settings and its stack of layers, as encoder and as decoder (Raffel et al. 2020, arXiv:1910.10683; the gated dense layers of
//! version 1.1 are Shazeer's, arXiv:2002.05202). Norms stand before what they normalise and only scale; places are numbers learned for
//! distances, added to the scores of attention, which are not scaled. The models are in `t5_models.rs`.
//! Names, defaults and first weights are those of Hugging Face's `T5Model`.

use gradus_autograd::Var;
use gradus_nn::{Dropout, Embedding, Layer, Linear, Module};
use gradus_tensor::{Result, ResultExt, Tensor};

use super::activation::Activation;
use super::attention::{Heads, Hidden};
use super::config::Config;
use super::input::{both, causal_mask, padding_mask};
use super::pretrained::{First, ModelConfig};
use super::rms_norm::RMSNorm;

/// Settings of T5.
#[derive(Clone, Debug, PartialEq)]
pub struct T5Config {
    /// V
    pub vocab_size: usize,
    /// C
    pub d_model: usize,
    /// hs; nh · hs need not be C.
    pub d_kv: usize,
    /// Width between the dense layers of a block.
    pub d_ff: usize,
    /// Layers of the encoder.
    pub num_layers: usize,
    /// Layers of the decoder.
    pub num_decoder_layers: usize,
    /// nh
    pub num_heads: usize,
    /// How many kinds of distances.
    pub relative_attention_num_buckets: usize,
    /// From where on distances are all alike.
    pub relative_attention_max_distance: usize,
    /// Dropout everywhere.
    pub dropout_rate: f64,
    /// Added to mean squares.
    pub layer_norm_epsilon: f64,
    /// What first weights are multiplied by.
    pub initializer_factor: f64,
    /// What stands between the dense layers.
    pub dense_act_fn: Activation,
    /// Times another dense layer (version 1.1).
    pub is_gated_act: bool,
    /// Logits are computed from states divided by √C (version 1).
    pub scale_decoder_outputs: bool,
    /// Logits use the table that embeds tokens.
    pub tie_word_embeddings: bool,
    /// The token that fills texts up.
    pub pad_token_id: Option<u32>,
    /// The token a text ends with.
    pub eos_token_id: Option<u32>,
    /// The token a written text begins with.
    pub decoder_start_token_id: Option<u32>,
}

impl Default for T5Config {
    fn default() -> Self {
        Self {
            vocab_size: 32128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_decoder_layers: 6,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            dropout_rate: 0.1,
            layer_norm_epsilon: 1e-6,
            initializer_factor: 1.0,
            dense_act_fn: Activation::Relu,
            is_gated_act: false,
            scale_decoder_outputs: true,
            tie_word_embeddings: true,
            pad_token_id: Some(0),
            eos_token_id: Some(1),
            decoder_start_token_id: Some(0),
        }
    }
}

impl ModelConfig for T5Config {
    fn from_config(config: &Config) -> Result<Self> {
        let default = Self::default();
        let num_layers = config.depth("num_layers", default.num_layers)?;
        // "relu", "gated-gelu": of "gelu" behind "gated", the approximation is meant.
        let form = config.text("feed_forward_proj", "relu")?;
        let (gated, name) = match form.split_once('-') {
            None => (false, form),
            Some(("gated", "gelu")) => (true, "gelu_new"),
            Some(("gated", name)) => (true, name),
            Some(_) => {
                let text = format!("feed_forward_proj is {form:?}; it must be NAME or gated-NAME");
                return Err(config.error(text));
            }
        };
        let dense_act_fn = name
            .parse()
            .map_err(|e| config.error(format_args!("feed_forward_proj: {e}")))?;
        let (min, buckets) = (4, config.size("relative_attention_num_buckets", 32)?);
        let distance = config.size("relative_attention_max_distance", 128)?;
        if buckets < min || distance <= buckets / 2 {
            let text = format!(
                "relative_attention_num_buckets is {buckets} and relative_attention_max_distance {distance}; there must be {min} buckets or more, and distances beyond half their number"
            );
            return Err(config.error(text));
        }
        let tied = config.flag("tie_word_embeddings", true)?;
        let pad_token_id = config.token_or("pad_token_id", default.pad_token_id)?;
        Ok(Self {
            vocab_size: config.size("vocab_size", default.vocab_size)?,
            d_model: config.size("d_model", default.d_model)?,
            d_kv: config.size("d_kv", default.d_kv)?,
            d_ff: config.size("d_ff", default.d_ff)?,
            num_layers,
            num_decoder_layers: config.depth("num_decoder_layers", num_layers)?,
            num_heads: config.size("num_heads", default.num_heads)?,
            relative_attention_num_buckets: buckets,
            relative_attention_max_distance: distance,
            dropout_rate: config.probability("dropout_rate", default.dropout_rate)?,
            layer_norm_epsilon: config.number("layer_norm_epsilon", default.layer_norm_epsilon)?,
            initializer_factor: config.number("initializer_factor", default.initializer_factor)?,
            dense_act_fn,
            is_gated_act: gated,
            // Files of version 1.1 say that nothing is tied, and mean this too.
            scale_decoder_outputs: config.flag("scale_decoder_outputs", tied)?,
            tie_word_embeddings: tied,
            pad_token_id,
            eos_token_id: config.token_or("eos_token_id", default.eos_token_id)?,
            decoder_start_token_id: config.token_or("decoder_start_token_id", pad_token_id)?,
        })
    }

    fn first(&self, _: &str, name: &str) -> First {
        let (c, inner) = (self.d_model as f64, (self.num_heads * self.d_kv) as f64);
        let normal = |variance: f64| First::Normal(self.initializer_factor * variance.sqrt());
        let end = name.strip_suffix(".weight").unwrap_or(name);
        match end.rsplit('.').next().unwrap_or(end) {
            "shared" | "lm_head" => normal(1.0),
            "q" => normal(1.0 / (c * self.d_kv as f64)),
            "k" | "v" | "relative_attention_bias" | "wi" | "wi_0" | "wi_1" => normal(1.0 / c),
            "o" => normal(1.0 / inner),
            "wo" => normal(1.0 / self.d_ff as f64),
            _ => First::Keep,
        }
    }
}

impl T5Config {
    fn norm(&self) -> Result<RMSNorm> {
        RMSNorm::t5(self.d_model, self.layer_norm_epsilon)
    }

    /// The kind of each distance from a query to a key: (T, S), the queries being the last T of S.
    fn buckets(&self, t: usize, s: usize, both_ways: bool) -> Result<Tensor> {
        let past = s.saturating_sub(t);
        let mut kinds = Vec::with_capacity(t * s);
        for query in past..past + t {
            for key in 0..s {
                kinds.push(self.bucket(key as i64 - query as i64, both_ways) as i64);
            }
        }
        Tensor::from_vec(kinds, [t, s])
    }

    /// Half of the kinds are single distances, the others ranges that grow by a factor up to the largest distance. In single
    /// precision, as the reference computes them: where ranges meet, the last bit decides.
    fn bucket(&self, distance: i64, both_ways: bool) -> usize {
        let mut kinds = self.relative_attention_num_buckets;
        let mut first = 0;
        let far = if both_ways {
            kinds /= 2;
            if distance > 0 {
                first = kinds;
            }
            distance.unsigned_abs() as usize
        } else {
            (-distance).max(0) as usize
        };
        let exact = kinds / 2;
        if far < exact {
            return first + far;
        }
        let most = self.relative_attention_max_distance as f64 / exact as f64;
        let share = (far as f32 / exact as f32).ln() / (most.ln() as f32);
        let range = exact + (share * (kinds - exact) as f32) as usize;
        first + range.min(kinds - 1)
    }
}

/// Attention without biases: x (B, T, C) and what is looked at (B, S, C) to (B, T, C).
#[derive(Clone, Debug, Module)]
struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    /// (kinds of distances, nh), in the first layer of a stack.
    relative_attention_bias: Option<Embedding>,
    heads: Heads,
}

impl Attention {
    fn new(config: &T5Config, with_bias: bool) -> Result<Self> {
        let (c, inner) = (config.d_model, config.num_heads * config.d_kv);
        let linear = |inputs, outputs| Linear::builder(inputs, outputs).bias(false).build();
        let kinds = config.relative_attention_num_buckets;
        Ok(Self {
            q: linear(c, inner)?,
            k: linear(c, inner)?,
            v: linear(c, inner)?,
            o: linear(inner, c)?,
            relative_attention_bias: with_bias
                .then(|| Embedding::new(kinds, config.num_heads))
                .transpose()?,
            heads: Heads::new(config.num_heads, config.dropout_rate).unscaled(),
        })
    }

    fn forward(&self, x: &Var, seen: &Var, hidden: &Hidden) -> Result<Var> {
        let q = self.q.forward(x).in_layer("q")?; // (B, T, nh · hs)
        let k = self.k.forward(seen).in_layer("k")?; // (B, S, nh · hs)
        let v = self.v.forward(seen).in_layer("v")?;
        let y = self.heads.attend(&q, &k, &v, hidden)?;
        self.o.forward(&y).in_layer("o")
    }
}

/// Dense layers without biases, gated or not: (B, T, C) to (B, T, C).
#[derive(Clone, Debug, Module)]
struct Dense {
    wi: Option<Linear>,
    wi_0: Option<Linear>,
    wi_1: Option<Linear>,
    wo: Linear,
    dropout: Dropout,
    #[module(skip)]
    act: Activation,
}

impl Dense {
    fn new(config: &T5Config) -> Result<Self> {
        let (c, inner) = (config.d_model, config.d_ff);
        let linear = |inputs, outputs| Linear::builder(inputs, outputs).bias(false).build();
        let gated = config.is_gated_act;
        Ok(Self {
            wi: (!gated).then(|| linear(c, inner)).transpose()?,
            wi_0: gated.then(|| linear(c, inner)).transpose()?,
            wi_1: gated.then(|| linear(c, inner)).transpose()?,
            wo: linear(inner, c)?,
            dropout: Dropout::new(config.dropout_rate),
            act: config.dense_act_fn,
        })
    }

    fn forward(&self, x: &Var) -> Result<Var> {
        // Of the three, an absent one passes its input on.
        let y = self.wi.as_ref().or(self.wi_0.as_ref());
        let mut y = match y {
            Some(wi) => self.act.forward(&wi.forward(x).in_layer("wi")?)?,
            None => x.clone(),
        }; // (B, T, d_ff)
        if let Some(gate) = &self.wi_1 {
            y = y.mul(&gate.forward(x).in_layer("wi_1")?)?;
        }
        self.wo.forward(&self.dropout.forward(&y)?).in_layer("wo")
    }
}

/// A norm, then attention or dense layers, added to what was before.
#[derive(Clone, Debug, Module)]
enum Sublayer {
    /// Of tokens to tokens of the same text.
    Own(OwnAttention),
    /// Of a decoder's tokens to those of the encoder.
    Other(OtherAttention),
    Dense(FeedForward),
}

#[derive(Clone, Debug, Module)]
struct OwnAttention {
    #[module(rename = "SelfAttention")]
    attention: Attention,
    layer_norm: RMSNorm,
    dropout: Dropout,
}

#[derive(Clone, Debug, Module)]
struct OtherAttention {
    #[module(rename = "EncDecAttention")]
    attention: Attention,
    layer_norm: RMSNorm,
    dropout: Dropout,
}

#[derive(Clone, Debug, Module)]
struct FeedForward {
    #[module(rename = "DenseReluDense")]
    dense: Dense,
    layer_norm: RMSNorm,
    dropout: Dropout,
}

impl Sublayer {
    /// x (B, T, C); `own` for attention to the same text; the encoder's states (B, S, C) and what of them is hidden.
    fn forward(&self, x: &Var, own: &Hidden, other: Option<(&Var, &Hidden)>) -> Result<Var> {
        let (y, dropout) = match self {
            Self::Own(layer) => {
                let y = layer.layer_norm.forward(x)?;
                let y = layer.attention.forward(&y, &y, own);
                (y.in_layer("SelfAttention")?, &layer.dropout)
            }
            Self::Other(layer) => {
                let Some((seen, hidden)) = other else {
                    return Ok(x.clone());
                };
                let y = layer.layer_norm.forward(x)?;
                let y = layer.attention.forward(&y, seen, hidden);
                (y.in_layer("EncDecAttention")?, &layer.dropout)
            }
            Self::Dense(layer) => {
                let y = layer.dense.forward(&layer.layer_norm.forward(x)?);
                (y.in_layer("DenseReluDense")?, &layer.dropout)
            }
        };
        x.add(&dropout.forward(&y)?)
    }
}

/// One layer.
#[derive(Clone, Debug, Module)]
struct Block {
    layer: Vec<Sublayer>,
}

/// The layers of the encoder or of the decoder. It has no table of its own: tokens come embedded.
#[derive(Clone, Debug, Module)]
pub(super) struct Stack {
    block: Vec<Block>,
    final_layer_norm: RMSNorm,
    dropout: Dropout,
    is_decoder: bool,
    #[module(skip)]
    config: T5Config,
}

impl Stack {
    pub fn new(config: &T5Config, is_decoder: bool) -> Result<Self> {
        let dropout = || Dropout::new(config.dropout_rate);
        let block = |i| {
            let mut layer = vec![Sublayer::Own(OwnAttention {
                attention: Attention::new(config, i == 0)?,
                layer_norm: config.norm()?,
                dropout: dropout(),
            })];
            if is_decoder {
                layer.push(Sublayer::Other(OtherAttention {
                    attention: Attention::new(config, false)?,
                    layer_norm: config.norm()?,
                    dropout: dropout(),
                }));
            }
            layer.push(Sublayer::Dense(FeedForward {
                dense: Dense::new(config)?,
                layer_norm: config.norm()?,
                dropout: dropout(),
            }));
            Ok(Block { layer })
        };
        let layers = if is_decoder {
            config.num_decoder_layers
        } else {
            config.num_layers
        };
        Ok(Self {
            block: (0..layers).map(block).collect::<Result<_>>()?,
            final_layer_norm: config.norm()?,
            dropout: dropout(),
            is_decoder,
            config: config.clone(),
        })
    }

    /// Embedded tokens (B, T, C) with their mask (B, T), and in a decoder the encoder's states (B, S, C) with theirs (B, S).
    pub fn forward(
        &self,
        x: &Var,
        mask: Option<&Tensor>,
        other: Option<(&Var, Option<&Tensor>)>,
    ) -> Result<Var> {
        let (t, dtype) = (x.dim(1)?, x.dtype());
        let mut mask = mask.map(|m| padding_mask(m, dtype)).transpose()?;
        if self.is_decoder {
            mask = Some(both(causal_mask(t, 0, (dtype, x.device()))?, mask)?);
        }
        let own = match self.bias(t)? {
            Some(bias) => Hidden::Bias(match mask {
                Some(mask) => bias.add(&Var::from(mask))?, // (B, nh, T, T)
                None => bias,
            }),
            None => Hidden::from(mask),
        };
        let seen = match other {
            Some((_, Some(mask))) => Some(padding_mask(mask, dtype)?),
            _ => None,
        };
        let seen = Hidden::from(seen);
        let mut x = self.dropout.forward(x)?;
        for (i, block) in self.block.iter().enumerate() {
            for (j, layer) in block.layer.iter().enumerate() {
                let y = layer.forward(&x, &own, other.map(|(states, _)| (states, &seen)));
                x = y.in_layer(format!("block.{i}.layer.{j}"))?;
            }
        }
        self.dropout.forward(&self.final_layer_norm.forward(&x)?)
    }

    /// What distances add to the scores of every layer: (1, nh, T, T).
    fn bias(&self, t: usize) -> Result<Option<Var>> {
        let first = self.block.first().and_then(|block| block.layer.first());
        let Some(Sublayer::Own(first)) = first else {
            return Ok(None);
        };
        let Some(table) = &first.attention.relative_attention_bias else {
            return Ok(None);
        };
        let kinds = self.config.buckets(t, t, !self.is_decoder)?;
        let bias = table.forward(&kinds)?; // (T, T, nh)
        bias.permute(&[2, 0, 1])?.unsqueeze(0).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds of distances the reference gives (`T5Attention._relative_position_bucket`), with 32 kinds up to 128.
    #[test]
    fn distances_fall_into_the_references_kinds() {
        let config = T5Config::default();
        for (distance, both_ways, one_way) in
            [(0, 0, 0), (-1, 1, 1), (-7, 7, 7), (-8, 8, 8), (3, 19, 0)]
        {
            assert_eq!(config.bucket(distance, true), both_ways, "{distance}");
            assert_eq!(config.bucket(distance, false), one_way, "{distance}");
        }
    }
}
