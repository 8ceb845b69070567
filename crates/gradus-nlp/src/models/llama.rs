//! Llama and its kin: a decoder with root-mean-square norms, rotated positions, gated MLPs, and keys and values shared by groups of
//! heads. Touvron et al. 2023 (arXiv:2302.13971), Grattafiori et al. 2024 (arXiv:2407.21783).
//!
//! Names and layouts are Hugging Face's `LlamaForCausalLM`; settings are in `llama_config.rs`. Mistral, Qwen 2 and Qwen 3 differ in
//! biases, in norms of the heads and in how far back a layer looks, which are options here. llama2.c's files are read in `llama2c.rs`.

use gradus_autograd::Var;
use gradus_nn::{Embedding, Layer, Linear, Mode, Module, Tied};
use gradus_tensor::{Error, Result, ResultExt, Tensor};

use super::activation::Activation;
use super::causal::{Causal, heads};
use super::llama_config::LlamaConfig;
use super::pretrained::Pretrained;
use super::rms_norm::RMSNorm;
use super::rope::{Rope, rotate};
use crate::generate::{CausalLm, KvCache, KvSession, Session};

/// A dense layer.
fn dense(inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
    Linear::builder(inputs, outputs).bias(bias).build()
}

/// Attention with rotated positions and shared keys and values.
#[derive(Clone, Debug, Module)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<RMSNorm>,
    k_norm: Option<RMSNorm>,
    num_heads: usize,
    num_key_value_heads: usize,
    window: Option<usize>,
    dropout: f64,
    mode: Mode,
}

impl Attention {
    fn new(config: &LlamaConfig, layer: usize) -> Result<Self> {
        let hs = config.head_size()?;
        let (c, nh, nkv) = (
            config.hidden_size,
            config.num_attention_heads,
            config.key_value_heads(),
        );
        let norm = || config.qk_norm.then(|| config.norm(hs)).transpose();
        let width = |heads: usize| {
            let wide = heads.checked_mul(hs);
            wide.ok_or_else(|| Error::value("Llama", format!("{heads} heads of {hs} are too wide")))
        };
        Ok(Self {
            q_proj: dense(c, width(nh)?, config.qkv_bias)?,
            k_proj: dense(c, width(nkv)?, config.qkv_bias)?,
            v_proj: dense(c, width(nkv)?, config.qkv_bias)?,
            o_proj: dense(width(nh)?, c, config.o_bias)?,
            q_norm: norm()?,
            k_norm: norm()?,
            num_heads: nh,
            num_key_value_heads: nkv,
            window: config.sliding_windows.get(layer).copied().flatten(),
            dropout: config.attention_dropout,
            mode: Mode::Training,
        })
    }

    fn forward(&self, x: &Var, positions: &(Var, Var), cache: Option<&mut KvCache>) -> Result<Var> {
        let (nh, nkv) = (self.num_heads, self.num_key_value_heads);
        let q = heads(&self.q_proj.forward(x).in_layer("q_proj")?, nh)?; // (B, nh, T, hs)
        let k = heads(&self.k_proj.forward(x).in_layer("k_proj")?, nkv)?; // (B, nkv, T, hs)
        let v = heads(&self.v_proj.forward(x).in_layer("v_proj")?, nkv)?;
        let q = rotate(&self.q_norm.forward(&q).in_layer("q_norm")?, positions)?;
        let k = rotate(&self.k_norm.forward(&k).in_layer("k_norm")?, positions)?;
        let attention = Causal {
            dropout: if self.mode.is_training() {
                self.dropout
            } else {
                0.0
            },
            scale: None,
            window: self.window,
            single: true,
        };
        let y = attention.attend(&q, &k, &v, cache)?; // (B, T, nh · hs)
        self.o_proj.forward(&y).in_layer("o_proj")
    }
}

/// Two dense layers side by side, one the gate of the other, and one back (Shazeer 2020, arXiv:2002.05202).
#[derive(Clone, Debug, Module)]
struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    act_fn: Activation,
}

impl Mlp {
    fn new(config: &LlamaConfig) -> Result<Self> {
        let (c, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            gate_proj: dense(c, inner, config.mlp_bias)?,
            up_proj: dense(c, inner, config.mlp_bias)?,
            down_proj: dense(inner, c, config.mlp_bias)?,
            act_fn: config.hidden_act,
        })
    }

    fn forward(&self, x: &Var) -> Result<Var> {
        let gate = self
            .act_fn
            .forward(&self.gate_proj.forward(x).in_layer("gate_proj")?)?;
        let up = self.up_proj.forward(x).in_layer("up_proj")?; // (B, T, inner)
        self.down_proj
            .forward(&gate.mul(&up)?)
            .in_layer("down_proj")
    }
}

#[derive(Clone, Debug, Module)]
struct DecoderLayer {
    self_attn: Attention,
    mlp: Mlp,
    input_layernorm: RMSNorm,
    post_attention_layernorm: RMSNorm,
}

impl DecoderLayer {
    fn new(config: &LlamaConfig, layer: usize) -> Result<Self> {
        Ok(Self {
            self_attn: Attention::new(config, layer)?,
            mlp: Mlp::new(config)?,
            input_layernorm: config.norm(config.hidden_size)?,
            post_attention_layernorm: config.norm(config.hidden_size)?,
        })
    }

    fn forward(&self, x: &Var, positions: &(Var, Var), cache: Option<&mut KvCache>) -> Result<Var> {
        let y = self
            .input_layernorm
            .forward(x)
            .in_layer("input_layernorm")?;
        let x = x.add(
            &self
                .self_attn
                .forward(&y, positions, cache)
                .in_layer("self_attn")?,
        )?;
        let y = self
            .post_attention_layernorm
            .forward(&x)
            .in_layer("post_attention_layernorm")?;
        x.add(&self.mlp.forward(&y).in_layer("mlp")?)
    }
}

/// A Llama without a head: ids (B, T) to vectors (B, T, C).
#[derive(Clone, Debug, Module)]
pub struct LlamaModel {
    /// (V, C): a vector for each token.
    pub embed_tokens: Embedding,
    layers: Vec<DecoderLayer>,
    norm: RMSNorm,
    #[module(skip)]
    rope: Rope,
    #[module(skip)]
    config: LlamaConfig,
}

impl LlamaModel {
    fn layers(config: &LlamaConfig) -> Result<Self> {
        let rope = Rope::new(
            config.head_size()?,
            config.max_position_embeddings,
            &config.rope,
        )?;
        let layers = (0..config.num_hidden_layers).map(|layer| DecoderLayer::new(config, layer));
        Ok(Self {
            embed_tokens: Embedding::new(config.vocab_size, config.hidden_size)?,
            layers: layers.collect::<Result<_>>()?,
            norm: config.norm(config.hidden_size)?,
            rope,
            config: config.clone(),
        })
    }

    /// The sizes and options.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// The vectors of ids, whole numbers (B, T): (B, T, C).
    ///
    /// # Errors
    /// When an id is not in the vocabulary.
    pub fn forward(&self, input_ids: &Tensor) -> Result<Var> {
        self.read(input_ids, &mut [])
    }

    /// The same for ids that follow what the caches have read: one for each layer, or none.
    fn read(&self, input_ids: &Tensor, caches: &mut [KvCache]) -> Result<Var> {
        let &[_, t] = input_ids.dims() else {
            let message = format!("ids are (B, T), and these {}", input_ids.shape());
            return Err(Error::shape("Llama", message));
        };
        let past = caches.first().map_or(0, KvCache::len);
        let mut x = self
            .embed_tokens
            .forward(input_ids)
            .in_layer("embed_tokens")?; // (B, T, C)
        let positions = match caches.first().and_then(KvCache::place) {
            Some(place) => self.rope.tables_at(place, x.value())?, // (1, hs / 2)
            None => {
                let (cos, sin) = self.rope.tables(past, t, x.dtype())?; // (T, hs / 2)
                let there = |table: Tensor| table.to_device(&x.device()).map(Var::from);
                (there(cos)?, there(sin)?)
            }
        };
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer
                .forward(&x, &positions, caches.get_mut(i))
                .map_err(|e| e.in_layer(format!("layers.{i}")))?;
        }
        self.norm.forward(&x).in_layer("norm")
    }
}

impl Pretrained for LlamaModel {
    type Config = LlamaConfig;
    const BASE: &'static str = "model";

    fn build(config: &LlamaConfig) -> Result<Self> {
        Self::layers(config)
    }

    fn ignores(name: &str) -> bool {
        is_frequency(name) || name == "lm_head.weight"
    }
}

/// The frequencies that old checkpoints hold.
fn is_frequency(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq")
}

/// A Llama with a head over the vocabulary: ids (B, T) to logits (B, T, V).
///
/// ```
/// use gradus_nlp::models::{LlamaConfig, LlamaForCausalLM, Pretrained};
/// use gradus_nn::Module;
/// use gradus_tensor::Tensor;
/// let config = LlamaConfig {
///     vocab_size: 65, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 4,
///     num_key_value_heads: Some(2), ..LlamaConfig::default()
/// };
/// let model = LlamaForCausalLM::new(&config)?;
/// let ids = Tensor::from_slice(&[1_i64, 2, 3], [1, 3])?;
/// assert_eq!(model.forward(&ids)?.dims(), [1, 3, 65]);
/// assert_eq!(model.state_dict()["model.layers.0.self_attn.k_proj.weight"].dims(), [8, 16]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct LlamaForCausalLM {
    /// Everything but the head.
    pub model: LlamaModel,
    lm_head: Option<Linear>,
    #[module(flatten)]
    tied: Option<Tied>,
}

impl Pretrained for LlamaForCausalLM {
    type Config = LlamaConfig;
    const BASE: &'static str = "model";

    fn build(config: &LlamaConfig) -> Result<Self> {
        let (lm_head, tied) = if config.tie_word_embeddings {
            (
                None,
                Some(Tied::new("lm_head.weight", "model.embed_tokens.weight")),
            )
        } else {
            (
                Some(dense(config.hidden_size, config.vocab_size, false)?),
                None,
            )
        };
        Ok(Self {
            model: LlamaModel::layers(config)?,
            lm_head,
            tied,
        })
    }

    fn ignores(name: &str) -> bool {
        is_frequency(name)
    }
}

impl LlamaForCausalLM {
    /// The sizes and options.
    pub fn config(&self) -> &LlamaConfig {
        &self.model.config
    }

    /// Logits of what follows each of the ids (B, T): (B, T, V).
    ///
    /// # Errors
    /// As [`LlamaModel::forward`].
    pub fn forward(&self, input_ids: &Tensor) -> Result<Var> {
        self.head(&self.model.forward(input_ids).in_layer("model")?)
    }

    fn head(&self, x: &Var) -> Result<Var> {
        let table = match &self.lm_head {
            Some(head) => &head.weight,
            None => &self.model.embed_tokens.weight, // (V, C)
        };
        x.linear(table.var(), None).in_layer("lm_head")
    }
}

impl CausalLm for LlamaForCausalLM {
    fn vocab_size(&self) -> usize {
        self.config().vocab_size
    }

    fn context(&self) -> Option<usize> {
        // Positions that turn slower in longer texts have no end.
        let config = self.config();
        (config.rope.rope_type != "dynamic").then_some(config.max_position_embeddings)
    }

    fn eos_token_id(&self) -> Vec<u32> {
        self.config().eos_token_id.clone()
    }

    fn session(&self, batch: usize, capacity: usize) -> Result<Box<dyn Session + '_>> {
        let read = move |ids: &Tensor, caches: &mut [KvCache]| {
            let ids = ids.to_device(&self.device())?;
            let x = self.model.read(&ids, caches).in_layer("model")?;
            self.head(&x.narrow(1, -1, 1)?) // (B, 1, V)
        };
        let layers = self.config().num_hidden_layers;
        Ok(Box::new(KvSession::new(read, batch, layers, capacity)))
    }
}
