//! Settings of Llama and its kin, and their defaults by `model_type`: llama, mistral, qwen2, qwen3. Source: Hugging Face's
//! `LlamaConfig`, `MistralConfig`, `Qwen2Config` and `Qwen3Config`. The models are in `llama.rs`.

use gradus_tensor::{Error, Result};

use super::activation::Activation;
use super::config::Config;
use super::pretrained::{First, ModelConfig};
use super::rms_norm::RMSNorm;
use super::rope::RopeParameters;

/// The sizes and options of a Llama, with Hugging Face's names and defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// V (32,000).
    pub vocab_size: usize,
    /// C (4096).
    pub hidden_size: usize,
    /// Width inside a layer's MLP (11,008).
    pub intermediate_size: usize,
    /// How many layers (32).
    pub num_hidden_layers: usize,
    /// nh (32).
    pub num_attention_heads: usize,
    /// Heads of keys and values, each shared by a group (`None`: as many).
    pub num_key_value_heads: Option<usize>,
    /// hs (`None`: C / nh).
    pub head_dim: Option<usize>,
    /// `silu`.
    pub hidden_act: Activation,
    /// The longest text (2048).
    pub max_position_embeddings: usize,
    /// Deviation of the first weights (0.02).
    pub initializer_range: f64,
    /// 1e-6.
    pub rms_norm_eps: f64,
    /// The head is the table of tokens (no).
    pub tie_word_embeddings: bool,
    /// Positions.
    pub rope: RopeParameters,
    /// Queries, keys and values have biases (no).
    pub qkv_bias: bool,
    /// So has what joins the heads (no).
    pub o_bias: bool,
    /// So have the MLPs (no).
    pub mlp_bias: bool,
    /// Each head of queries and keys has a norm, as in Qwen 3 (no).
    pub qk_norm: bool,
    /// Dropout of attention weights (0).
    pub attention_dropout: f64,
    /// How far back each layer looks (`None`, and layers beyond the end: all the way).
    pub sliding_windows: Vec<Option<usize>>,
    /// Ids that end a text (2).
    pub eos_token_id: Vec<u32>,
}

impl Default for LlamaConfig {
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            hidden_act: Activation::Silu,
            max_position_embeddings: 2048,
            initializer_range: 0.02,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: false,
            rope: RopeParameters::default(),
            qkv_bias: false,
            o_bias: false,
            mlp_bias: false,
            qk_norm: false,
            attention_dropout: 0.0,
            sliding_windows: Vec::new(),
            eos_token_id: vec![2],
        }
    }
}

/// From a `config.json` whose `model_type` is llama, mistral, qwen2 or qwen3, with the defaults of that family.
impl ModelConfig for LlamaConfig {
    fn from_config(config: &Config) -> Result<Self> {
        let kind = config.model_type()?;
        let mut d = Self::default();
        let (mut key_value_heads, mut window) = (None, None);
        match kind {
            "llama" => {}
            "mistral" => {
                (d.intermediate_size, d.max_position_embeddings) = (14_336, 131_072);
                (key_value_heads, window) = (Some(8), Some(4096));
            }
            "qwen2" | "qwen3" => {
                (d.vocab_size, d.intermediate_size) = (151_936, 22_016);
                d.max_position_embeddings = 32_768;
                (key_value_heads, window) = (Some(32), Some(4096));
                d.qkv_bias = kind == "qwen2";
                d.qk_norm = kind == "qwen3";
                d.head_dim = (kind == "qwen3").then_some(128);
            }
            other => {
                let known = "llama, mistral, qwen2, qwen3";
                return Err(config.error(format_args!("model_type {other:?} is not among {known}")));
            }
        }
        let bias = config.flag("attention_bias", false)?;
        let (qkv_bias, o_bias) = match kind {
            "llama" | "qwen3" => (bias, bias),
            _ => (d.qkv_bias, d.o_bias),
        };
        // A null window is none; an absent one is the family's.
        if config.has("sliding_window") {
            window = config.optional_size("sliding_window")?;
        }
        let layers = config.depth("num_hidden_layers", d.num_hidden_layers)?;
        let sliding = sliding_layers(config, kind, layers)?;
        let sliding_windows = sliding.into_iter().map(|slides| window.filter(|_| slides));
        Ok(Self {
            vocab_size: config.size("vocab_size", d.vocab_size)?,
            hidden_size: config.size("hidden_size", d.hidden_size)?,
            intermediate_size: config.size("intermediate_size", d.intermediate_size)?,
            num_hidden_layers: layers,
            num_attention_heads: config.size("num_attention_heads", d.num_attention_heads)?,
            num_key_value_heads: config.optional_size("num_key_value_heads")?.or(
                // An explicit null means as many as heads.
                key_value_heads.filter(|_| !config.has("num_key_value_heads")),
            ),
            head_dim: config.optional_size("head_dim")?.or(d.head_dim),
            hidden_act: config.activation("hidden_act", d.hidden_act)?,
            max_position_embeddings: config
                .size("max_position_embeddings", d.max_position_embeddings)?,
            initializer_range: config.number("initializer_range", d.initializer_range)?,
            rms_norm_eps: config.number("rms_norm_eps", d.rms_norm_eps)?,
            tie_word_embeddings: config.flag("tie_word_embeddings", d.tie_word_embeddings)?,
            rope: RopeParameters::from_config(config)?,
            qkv_bias,
            o_bias,
            mlp_bias: config.flag("mlp_bias", false)?,
            qk_norm: d.qk_norm,
            attention_dropout: config.probability("attention_dropout", d.attention_dropout)?,
            sliding_windows: sliding_windows.collect(),
            eos_token_id: config.tokens("eos_token_id")?,
        })
    }

    fn first(&self, kind: &str, name: &str) -> First {
        match kind {
            "Linear" if name.ends_with("bias") => First::Zeros,
            "Linear" | "Embedding" => First::Normal(self.initializer_range),
            _ => First::Keep,
        }
    }
}

impl LlamaConfig {
    pub(super) fn key_value_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Checks what divides what; gives the size of a head.
    pub(super) fn head_size(&self) -> Result<usize> {
        let (c, nh, nkv) = (
            self.hidden_size,
            self.num_attention_heads,
            self.key_value_heads(),
        );
        let wrong = |why: String| Err(Error::value("Llama", why));
        if nh == 0 || nkv == 0 || !nh.is_multiple_of(nkv) {
            return wrong(format!(
                "{nh} heads do not divide into num_key_value_heads = {nkv} groups"
            ));
        }
        match self.head_dim {
            Some(hs) => Ok(hs),
            None if c.is_multiple_of(nh) => Ok(c / nh),
            None => wrong(format!("hidden_size {c} does not divide into {nh} heads")),
        }
    }

    pub(super) fn norm(&self, width: usize) -> Result<RMSNorm> {
        RMSNorm::llama(width, self.rms_norm_eps)
    }
}

/// Which layers look back only so far.
fn sliding_layers(config: &Config, kind: &str, layers: usize) -> Result<Vec<bool>> {
    if kind == "llama" {
        return Ok(vec![false; layers]);
    }
    if kind == "mistral" {
        return Ok(vec![true; layers]);
    }
    if !config.flag("use_sliding_window", false)? {
        return Ok(vec![false; layers]);
    }
    if let Some(kinds) = config.texts("layer_types")? {
        if kinds.len() != layers {
            let text = format!("{} layer_types for {layers} layers", kinds.len());
            return Err(config.error(text));
        }
        return Ok(kinds
            .iter()
            .map(|kind| *kind == "sliding_attention")
            .collect());
    }
    let full = config.count("max_window_layers", 28)?;
    Ok((0..layers).map(|layer| layer >= full).collect())
}
