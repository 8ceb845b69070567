//! GPT-2: a transformer that reads from left to right and guesses what comes next. Radford et al. 2019, "Language Models are
//! Unsupervised Multitask Learners". Names, layouts, defaults and first weights are Hugging Face's `GPT2LMHeadModel`, so its
//! checkpoints load with no mapping; nanoGPT's variants are two options ([`GPT2Config::bias`], [`GPT2Config::activation_function`]).
//!
//! It is not the encoder–decoder (`add_cross_attention`), and it has no heads for classification.

use gradus_autograd::Var;
use gradus_nn::{Dropout, Embedding, Layer, LayerNorm, Linear, Mode, Module, Param, Tied};
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};
use serde_json::{Value, json};

use super::activation::Activation;
use super::causal::{Causal, heads};
use super::config::Config;
use super::pretrained::{First, ModelConfig, Pretrained};
use crate::generate::{CausalLm, KvCache, KvSession, Session};

/// The sizes and options of a GPT-2, with Hugging Face's names and defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct GPT2Config {
    /// V (50,257).
    pub vocab_size: usize,
    /// The longest text (1024).
    pub n_positions: usize,
    /// C (768).
    pub n_embd: usize,
    /// How many blocks (12).
    pub n_layer: usize,
    /// nh (12).
    pub n_head: usize,
    /// Width inside a block's MLP (`None`: 4 C).
    pub n_inner: Option<usize>,
    /// `gelu_new`.
    pub activation_function: Activation,
    /// Dropout after each attention and MLP (0.1).
    pub resid_pdrop: f64,
    /// Dropout after the embeddings (0.1).
    pub embd_pdrop: f64,
    /// Dropout of attention weights (0.1).
    pub attn_pdrop: f64,
    /// 1e-5.
    pub layer_norm_epsilon: f64,
    /// Deviation of the first weights (0.02).
    pub initializer_range: f64,
    /// Divide scores by √hs (yes).
    pub scale_attn_weights: bool,
    /// Divide those of layer i by i + 1 too (no).
    pub scale_attn_by_inverse_layer_idx: bool,
    /// The head is the table of tokens (yes).
    pub tie_word_embeddings: bool,
    /// Norms and dense layers have biases (yes). nanoGPT's choice, unknown to Hugging Face.
    pub bias: bool,
    /// Ids that end a text (50,256).
    pub eos_token_id: Vec<u32>,
}

impl Default for GPT2Config {
    fn default() -> Self {
        Self {
            vocab_size: 50_257,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            activation_function: Activation::GeluTanh,
            resid_pdrop: 0.1,
            embd_pdrop: 0.1,
            attn_pdrop: 0.1,
            layer_norm_epsilon: 1e-5,
            initializer_range: 0.02,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            tie_word_embeddings: true,
            bias: true,
            eos_token_id: vec![50_256],
        }
    }
}

impl ModelConfig for GPT2Config {
    fn from_config(config: &Config) -> Result<Self> {
        let d = Self::default();
        if config.flag("add_cross_attention", false)? {
            return Err(
                config.error("add_cross_attention: a GPT-2 that looks at an encoder is not here")
            );
        }
        Ok(Self {
            vocab_size: config.size("vocab_size", d.vocab_size)?,
            n_positions: config.size("n_positions", d.n_positions)?,
            n_embd: config.size("n_embd", d.n_embd)?,
            n_layer: config.depth("n_layer", d.n_layer)?,
            n_head: config.size("n_head", d.n_head)?,
            n_inner: config.optional_size("n_inner")?,
            activation_function: config.activation("activation_function", d.activation_function)?,
            resid_pdrop: config.probability("resid_pdrop", d.resid_pdrop)?,
            embd_pdrop: config.probability("embd_pdrop", d.embd_pdrop)?,
            attn_pdrop: config.probability("attn_pdrop", d.attn_pdrop)?,
            layer_norm_epsilon: config.number("layer_norm_epsilon", d.layer_norm_epsilon)?,
            initializer_range: config.number("initializer_range", d.initializer_range)?,
            scale_attn_weights: config.flag("scale_attn_weights", d.scale_attn_weights)?,
            scale_attn_by_inverse_layer_idx: config.flag(
                "scale_attn_by_inverse_layer_idx",
                d.scale_attn_by_inverse_layer_idx,
            )?,
            tie_word_embeddings: config.flag("tie_word_embeddings", d.tie_word_embeddings)?,
            bias: config.flag("bias", d.bias)?,
            eos_token_id: config.tokens("eos_token_id")?,
        })
    }

    fn first(&self, kind: &str, name: &str) -> First {
        let std = self.initializer_range;
        match kind {
            // Layers that write to the stream start smaller the more of them there are, so that it does not grow.
            "Conv1D" if name.ends_with("c_proj.weight") => {
                First::Normal(std / (2.0 * self.n_layer as f64).sqrt())
            }
            "Conv1D" | "Linear" if name.ends_with("bias") => First::Zeros,
            "Conv1D" | "Linear" | "Embedding" => First::Normal(std),
            _ => First::Keep,
        }
    }
}

impl GPT2Config {
    /// As a `config.json`.
    pub fn to_json(&self) -> Value {
        json!({
            "model_type": "gpt2",
            "architectures": ["GPT2LMHeadModel"],
            "vocab_size": self.vocab_size,
            "n_positions": self.n_positions,
            "n_embd": self.n_embd,
            "n_layer": self.n_layer,
            "n_head": self.n_head,
            "n_inner": self.n_inner,
            "activation_function": self.activation_function.to_string(),
            "resid_pdrop": self.resid_pdrop,
            "embd_pdrop": self.embd_pdrop,
            "attn_pdrop": self.attn_pdrop,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "scale_attn_weights": self.scale_attn_weights,
            "scale_attn_by_inverse_layer_idx": self.scale_attn_by_inverse_layer_idx,
            "tie_word_embeddings": self.tie_word_embeddings,
            "bias": self.bias,
            "eos_token_id": self.eos_token_id,
        })
    }

    fn norm(&self) -> Result<LayerNorm> {
        LayerNorm::with([self.n_embd], self.layer_norm_epsilon, true, self.bias)
    }
}

/// A dense layer with the weight the other way round, (in, out): what remains of OpenAI's TensorFlow.
#[derive(Clone, Debug, Module)]
pub struct Conv1D {
    /// (in, out)
    pub weight: Param,
    /// (out)
    pub bias: Option<Param>,
}

impl Conv1D {
    fn new(inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let zeros = || Param::new(Tensor::zeros([outputs], DType::F32)?);
        Ok(Self {
            weight: Param::new(Tensor::zeros([inputs, outputs], DType::F32)?)?,
            bias: bias.then(zeros).transpose()?,
        })
    }
}

impl Layer for Conv1D {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.linear(&self.weight.var().t()?, self.bias.as_ref().map(Param::var))
    }
}

/// Queries, keys and values in one layer, and heads side by side.
#[derive(Clone, Debug, Module)]
struct Attention {
    c_attn: Conv1D,
    c_proj: Conv1D,
    resid_dropout: Dropout,
    attn_pdrop: f64,
    n_head: usize,
    /// What scores are multiplied by.
    scale: f64,
    mode: Mode,
}

impl Attention {
    fn new(config: &GPT2Config, layer: usize) -> Result<Self> {
        let c = config.n_embd;
        let mut scale = 1.0;
        if config.scale_attn_weights {
            scale /= ((c / config.n_head) as f64).sqrt();
        }
        if config.scale_attn_by_inverse_layer_idx {
            scale /= (layer + 1) as f64;
        }
        Ok(Self {
            c_attn: Conv1D::new(c, 3 * c, config.bias)?,
            c_proj: Conv1D::new(c, c, config.bias)?,
            resid_dropout: Dropout::new(config.resid_pdrop),
            attn_pdrop: config.attn_pdrop,
            n_head: config.n_head,
            scale,
            mode: Mode::Training,
        })
    }

    fn forward(&self, x: &Var, cache: Option<&mut KvCache>) -> Result<Var> {
        let c = x.dim(-1)?;
        let qkv = self.c_attn.forward(x).in_layer("c_attn")?; // (B, T, 3C)
        let part = |i: usize| heads(&qkv.narrow(-1, (i * c) as i64, c)?, self.n_head);
        let attention = Causal {
            dropout: if self.mode.is_training() {
                self.attn_pdrop
            } else {
                0.0
            },
            scale: Some(self.scale),
            window: None,
            single: false,
        };
        let y = attention.attend(&part(0)?, &part(1)?, &part(2)?, cache)?; // (B, T, C)
        self.resid_dropout
            .forward(&self.c_proj.forward(&y).in_layer("c_proj")?)
    }
}

#[derive(Clone, Debug, Module)]
struct Mlp {
    c_fc: Conv1D,
    c_proj: Conv1D,
    act: Activation,
    dropout: Dropout,
}

impl Mlp {
    fn new(config: &GPT2Config) -> Result<Self> {
        let c = config.n_embd;
        let inner = config.n_inner.unwrap_or(4 * c);
        Ok(Self {
            c_fc: Conv1D::new(c, inner, config.bias)?,
            c_proj: Conv1D::new(inner, c, config.bias)?,
            act: config.activation_function,
            dropout: Dropout::new(config.resid_pdrop),
        })
    }

    fn forward(&self, x: &Var) -> Result<Var> {
        let h = self.act.forward(&self.c_fc.forward(x).in_layer("c_fc")?)?; // (B, T, 4C)
        self.dropout
            .forward(&self.c_proj.forward(&h).in_layer("c_proj")?) // (B, T, C)
    }
}

#[derive(Clone, Debug, Module)]
struct Block {
    ln_1: LayerNorm,
    attn: Attention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn new(config: &GPT2Config, layer: usize) -> Result<Self> {
        Ok(Self {
            ln_1: config.norm()?,
            attn: Attention::new(config, layer)?,
            ln_2: config.norm()?,
            mlp: Mlp::new(config)?,
        })
    }

    fn forward(&self, x: &Var, cache: Option<&mut KvCache>) -> Result<Var> {
        let y = self.ln_1.forward(x).in_layer("ln_1")?;
        let x = x.add(&self.attn.forward(&y, cache).in_layer("attn")?)?;
        let y = self.ln_2.forward(&x).in_layer("ln_2")?;
        x.add(&self.mlp.forward(&y).in_layer("mlp")?)
    }
}

impl Pretrained for GPT2Model {
    type Config = GPT2Config;
    const BASE: &'static str = "transformer";

    fn build(config: &GPT2Config) -> Result<Self> {
        Self::layers(config)
    }

    fn ignores(name: &str) -> bool {
        is_mask(name) || name == "lm_head.weight"
    }
}

/// The masks that old checkpoints hold.
fn is_mask(name: &str) -> bool {
    name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
}

/// GPT-2 without a head: ids (B, T) to vectors (B, T, C).
#[derive(Clone, Debug, Module)]
pub struct GPT2Model {
    /// (V, C): a vector for each token.
    pub wte: Embedding,
    /// (T, C): one for each position.
    pub wpe: Embedding,
    drop: Dropout,
    h: Vec<Block>,
    ln_f: LayerNorm,
    #[module(skip)]
    config: GPT2Config,
}

impl GPT2Model {
    fn layers(config: &GPT2Config) -> Result<Self> {
        let (c, nh) = (config.n_embd, config.n_head);
        if nh == 0 || c == 0 || !c.is_multiple_of(nh) {
            let message = format!("n_embd {c} does not divide into n_head {nh} heads");
            return Err(Error::value("GPT2", message));
        }
        let blocks = (0..config.n_layer).map(|layer| Block::new(config, layer));
        Ok(Self {
            wte: Embedding::new(config.vocab_size, c)?,
            wpe: Embedding::new(config.n_positions, c)?,
            drop: Dropout::new(config.embd_pdrop),
            h: blocks.collect::<Result<_>>()?,
            ln_f: config.norm()?,
            config: config.clone(),
        })
    }

    /// The sizes and options.
    pub fn config(&self) -> &GPT2Config {
        &self.config
    }

    /// The vectors of ids, whole numbers (B, T): (B, T, C).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, or the text is longer than `n_positions`.
    pub fn forward(&self, input_ids: &Tensor) -> Result<Var> {
        self.read(input_ids, &mut [])
    }

    /// The same for ids that follow what the caches have read: one for each layer, or none.
    fn read(&self, input_ids: &Tensor, caches: &mut [KvCache]) -> Result<Var> {
        let &[_, t] = input_ids.dims() else {
            let message = format!("ids are (B, T), and these {}", input_ids.shape());
            return Err(Error::shape("GPT2", message));
        };
        let past = caches.first().map_or(0, KvCache::len);
        let most = self.config.n_positions;
        if past + t > most {
            let message = format!(
                "{} tokens, and the model has seen no text of more than n_positions = {most}",
                past + t
            );
            return Err(Error::value("GPT2", message));
        }
        let tokens = self.wte.forward(input_ids).in_layer("wte")?; // (B, T, C)
        let places = self.wpe.weight.var();
        let positions = match caches.first().and_then(KvCache::place) {
            Some(place) => places.index_select(0, &place.at)?, // (1, C)
            None => places.narrow(0, past as i64, t)?,         // (T, C)
        };
        let mut x = self.drop.forward(&tokens.add(&positions)?)?;
        for (i, block) in self.h.iter().enumerate() {
            let layer = || format!("h.{i}");
            x = block
                .forward(&x, caches.get_mut(i))
                .map_err(|e| e.in_layer(layer()))?;
        }
        self.ln_f.forward(&x).in_layer("ln_f")
    }
}

/// GPT-2 with a head over the vocabulary: ids (B, T) to logits (B, T, V).
///
/// ```
/// use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, Pretrained};
/// use gradus_nn::Module;
/// use gradus_tensor::Tensor;
/// let config = GPT2Config { vocab_size: 65, n_positions: 8, n_embd: 16, n_layer: 2, n_head: 4, ..GPT2Config::default() };
/// let model = GPT2LMHeadModel::new(&config)?;
/// let ids = Tensor::from_slice(&[1_i64, 2, 3], [1, 3])?;
/// assert_eq!(model.forward(&ids)?.dims(), [1, 3, 65]);
/// assert!(model.state_dict().contains_key("transformer.h.1.attn.c_attn.weight"));
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct GPT2LMHeadModel {
    /// Everything but the head.
    pub transformer: GPT2Model,
    lm_head: Option<Linear>,
    #[module(flatten)]
    tied: Option<Tied>,
}

impl Pretrained for GPT2LMHeadModel {
    type Config = GPT2Config;
    const BASE: &'static str = "transformer";

    fn build(config: &GPT2Config) -> Result<Self> {
        let (lm_head, tied) = if config.tie_word_embeddings {
            (
                None,
                Some(Tied::new("lm_head.weight", "transformer.wte.weight")),
            )
        } else {
            let head = Linear::builder(config.n_embd, config.vocab_size)
                .bias(false)
                .build()?;
            (Some(head), None)
        };
        Ok(Self {
            transformer: GPT2Model::layers(config)?,
            lm_head,
            tied,
        })
    }

    fn ignores(name: &str) -> bool {
        is_mask(name)
    }
}

impl GPT2LMHeadModel {
    /// The sizes and options.
    pub fn config(&self) -> &GPT2Config {
        &self.transformer.config
    }

    /// Logits of what follows each of the ids (B, T): (B, T, V).
    ///
    /// # Errors
    /// As [`GPT2Model::forward`].
    pub fn forward(&self, input_ids: &Tensor) -> Result<Var> {
        self.head(
            &self
                .transformer
                .forward(input_ids)
                .in_layer("transformer")?,
        )
    }

    fn head(&self, x: &Var) -> Result<Var> {
        let table = match &self.lm_head {
            Some(head) => &head.weight,
            None => &self.transformer.wte.weight, // (V, C)
        };
        x.linear(table.var(), None).in_layer("lm_head")
    }
}

impl CausalLm for GPT2LMHeadModel {
    fn vocab_size(&self) -> usize {
        self.config().vocab_size
    }

    fn context(&self) -> Option<usize> {
        Some(self.config().n_positions)
    }

    fn eos_token_id(&self) -> Vec<u32> {
        self.config().eos_token_id.clone()
    }

    fn session(&self, batch: usize, capacity: usize) -> Result<Box<dyn Session + '_>> {
        let read = move |ids: &Tensor, caches: &mut [KvCache]| {
            let ids = ids.to_device(&self.device())?;
            let x = self.transformer.read(&ids, caches);
            let x = x.in_layer("transformer")?;
            self.head(&x.narrow(1, -1, 1)?) // (B, 1, V)
        };
        let layers = self.config().n_layer;
        Ok(Box::new(KvSession::new(read, batch, layers, capacity)))
    }
}
