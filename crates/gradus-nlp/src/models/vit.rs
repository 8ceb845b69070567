//! The vision transformer, an encoder like BERT over patches of an image (Dosovitskiy et al. 2020, arXiv:2010.11929). It stands among
//! the language models because it is built from the same configuration, blocks and loading; torchvision's, under other names, is in
//! `gradus-vision`. Names, defaults and first weights are those of Hugging Face's `ViTModel`; checkpoints under its older names load too.

use gradus_autograd::Var;
use gradus_nn::{Conv2d, Dropout, Layer, LayerNorm, Linear, Module, Param, init};
use gradus_tensor::{DType, Error, Result, ResultExt};

use super::activation::Activation;
use super::attention::{Heads, Hidden};
use super::config::Config;
use super::pretrained::{First, ModelConfig, Pretrained, usual};

/// Settings of the vision transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct ViTConfig {
    /// C
    pub hidden_size: usize,
    /// How many layers.
    pub num_hidden_layers: usize,
    /// nh
    pub num_attention_heads: usize,
    /// Width between the two dense layers of a block.
    pub intermediate_size: usize,
    /// What stands between them.
    pub hidden_act: Activation,
    /// Dropout of embeddings and of what is added to them.
    pub hidden_dropout_prob: f64,
    /// Dropout of the weights of attention.
    pub attention_probs_dropout_prob: f64,
    /// Deviation of first weights.
    pub initializer_range: f64,
    /// Added to variances.
    pub layer_norm_eps: f64,
    /// Height and width of images.
    pub image_size: [usize; 2],
    /// Height and width of patches.
    pub patch_size: [usize; 2],
    /// Colours.
    pub num_channels: usize,
    /// Queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Width of what an image is as a whole.
    pub pooler_output_size: usize,
    /// Its activation.
    pub pooler_act: Activation,
    /// Classes of a classifier.
    pub num_labels: usize,
}

impl Default for ViTConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            image_size: [224, 224],
            patch_size: [16, 16],
            num_channels: 3,
            qkv_bias: true,
            pooler_output_size: 768,
            pooler_act: Activation::Tanh,
            num_labels: 2,
        }
    }
}

impl ModelConfig for ViTConfig {
    fn from_config(config: &Config) -> Result<Self> {
        let default = Self::default();
        let hidden_size = config.size("hidden_size", default.hidden_size)?;
        let this = Self {
            hidden_size,
            num_hidden_layers: config.depth("num_hidden_layers", default.num_hidden_layers)?,
            num_attention_heads: config.size("num_attention_heads", default.num_attention_heads)?,
            intermediate_size: config.size("intermediate_size", default.intermediate_size)?,
            hidden_act: config.activation("hidden_act", default.hidden_act)?,
            hidden_dropout_prob: config.probability("hidden_dropout_prob", 0.0)?,
            attention_probs_dropout_prob: config
                .probability("attention_probs_dropout_prob", 0.0)?,
            initializer_range: config.number("initializer_range", default.initializer_range)?,
            layer_norm_eps: config.number("layer_norm_eps", default.layer_norm_eps)?,
            image_size: config.sides("image_size", default.image_size)?,
            patch_size: config.sides("patch_size", default.patch_size)?,
            num_channels: config.size("num_channels", default.num_channels)?,
            qkv_bias: config.flag("qkv_bias", true)?,
            pooler_output_size: config.size("pooler_output_size", hidden_size)?,
            pooler_act: config.activation("pooler_act", default.pooler_act)?,
            num_labels: config.num_labels()?,
        };
        let fits = |i: usize| this.patch_size[i] <= this.image_size[i];
        if !fits(0) || !fits(1) {
            return Err(config.error("patch_size is larger than image_size"));
        }
        Ok(this)
    }

    fn first(&self, kind: &str, name: &str) -> First {
        if name.ends_with("cls_token") || name.ends_with("position_embeddings") {
            return First::Truncated(self.initializer_range);
        }
        usual(kind, name, self.initializer_range, None, &[])
    }
}

#[derive(Clone, Debug, Module)]
struct Patches {
    projection: Conv2d,
}

/// Patches as tokens behind one for the whole, with their places: (B, 3, H, W) to (B, T, C).
#[derive(Clone, Debug, Module)]
struct Embeddings {
    /// (1, 1, C)
    cls_token: Param,
    /// (1, T, C)
    position_embeddings: Param,
    patch_embeddings: Patches,
    dropout: Dropout,
    #[module(skip)]
    image_size: [usize; 2],
}

impl Embeddings {
    fn forward(&self, x: &Var) -> Result<Var> {
        let [height, width] = self.image_size;
        let &[b, _, h, w] = x.dims() else {
            let text = format!("images {}; they must be (B, 3, H, W)", x.shape());
            return Err(Error::shape("", text));
        };
        if (h, w) != (height, width) {
            let text = format!("images of {h} x {w} in a model for {height} x {width}");
            return Err(Error::shape("", text));
        }
        let patches = self.patch_embeddings.projection.forward(x);
        let patches = patches.in_layer("patch_embeddings.projection")?; // (B, C, h, w)
        let patches = patches.flatten(2, 3)?.transpose(1, 2)?; // (B, T - 1, C)
        let whole = self.cls_token.var().expand([b as isize, -1, -1])?; // (B, 1, C)
        let x = Var::cat(&[&whole, &patches], 1)?; // (B, T, C)
        self.dropout
            .forward(&x.add(self.position_embeddings.var())?)
    }
}

#[derive(Clone, Debug, Module)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    heads: Heads,
}

#[derive(Clone, Debug, Module)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    act: Activation,
}

/// One layer: attention and dense layers, each behind a norm and added to what was before: (B, T, C) to (B, T, C).
#[derive(Clone, Debug, Module)]
struct Block {
    attention: Attention,
    layernorm_before: LayerNorm,
    layernorm_after: LayerNorm,
    mlp: Mlp,
    dropout: Dropout,
}

impl Block {
    fn new(config: &ViTConfig) -> Result<Self> {
        let c = config.hidden_size;
        let norm = || LayerNorm::with([c], config.layer_norm_eps, true, true);
        let projection = || Linear::builder(c, c).bias(config.qkv_bias).build();
        Ok(Self {
            attention: Attention {
                q_proj: projection()?,
                k_proj: projection()?,
                v_proj: projection()?,
                o_proj: Linear::new(c, c)?,
                heads: Heads::new(
                    config.num_attention_heads,
                    config.attention_probs_dropout_prob,
                )
                .single(),
            },
            layernorm_before: norm()?,
            layernorm_after: norm()?,
            mlp: Mlp {
                fc1: Linear::new(c, config.intermediate_size)?,
                fc2: Linear::new(config.intermediate_size, c)?,
                act: config.hidden_act,
            },
            dropout: Dropout::new(config.hidden_dropout_prob),
        })
    }

    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.layernorm_before.forward(x)?;
        let q = self.attention.q_proj.forward(&y).in_layer("q_proj")?;
        let k = self.attention.k_proj.forward(&y).in_layer("k_proj")?;
        let v = self.attention.v_proj.forward(&y).in_layer("v_proj")?;
        let y = self.attention.heads.attend(&q, &k, &v, &Hidden::Nothing)?;
        let y = self.attention.o_proj.forward(&y).in_layer("o_proj")?;
        let x = x.add(&self.dropout.forward(&y)?)?;
        let y = self.mlp.fc1.forward(&self.layernorm_after.forward(&x)?);
        let y = self.mlp.act.forward(&y.in_layer("mlp.fc1")?)?;
        let y = self.mlp.fc2.forward(&y).in_layer("mlp.fc2")?;
        x.add(&self.dropout.forward(&y)?)
    }
}

#[derive(Clone, Debug, Module)]
struct Pooler {
    dense: Linear,
    #[module(skip)]
    act: Activation,
}

/// The vision transformer without a head.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nlp::models::{Pretrained, ViTConfig, ViTModel};
/// use gradus_tensor::{DType, Tensor};
/// let tiny = ViTConfig { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64, image_size: [32, 32],
///     patch_size: [8, 8], pooler_output_size: 32, ..ViTConfig::default() };
/// let model = ViTModel::new(&tiny)?;
/// let images = Var::from(Tensor::zeros([1, 3, 32, 32], DType::F32)?);
/// assert_eq!(model.forward(&images)?.dims(), [1, 17, 32]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct ViTModel {
    embeddings: Embeddings,
    layers: Vec<Block>,
    layernorm: LayerNorm,
    pooler: Option<Pooler>,
}

impl ViTModel {
    fn with(config: &ViTConfig, pooler: bool) -> Result<Self> {
        let c = config.hidden_size;
        Heads::divides(config.num_attention_heads, c)?;
        let patches: usize = (0..2)
            .map(|i| config.image_size[i] / config.patch_size[i].max(1))
            .product();
        let normal = |shape: [usize; 3]| init::normal(shape, 0.0, 1.0, DType::F32);
        let pool = || {
            Ok::<_, Error>(Pooler {
                dense: Linear::new(c, config.pooler_output_size)?,
                act: config.pooler_act,
            })
        };
        let (patch, channels) = (config.patch_size, config.num_channels);
        Ok(Self {
            embeddings: Embeddings {
                cls_token: Param::new(normal([1, 1, c])?)?,
                position_embeddings: Param::new(normal([1, patches + 1, c])?)?,
                patch_embeddings: Patches {
                    projection: Conv2d::builder(channels, c, patch).stride(patch).build()?,
                },
                dropout: Dropout::new(config.hidden_dropout_prob),
                image_size: config.image_size,
            },
            layers: (0..config.num_hidden_layers)
                .map(|_| Block::new(config))
                .collect::<Result<_>>()?,
            layernorm: LayerNorm::with([c], config.layer_norm_eps, true, true)?,
            pooler: pooler.then(pool).transpose()?,
        })
    }

    /// The last layer's states (B, T, C), normalised: first that of the whole, then those of the patches.
    ///
    /// # Errors
    /// When the images are not of the model's size.
    pub fn forward(&self, images: &Var) -> Result<Var> {
        let mut x = self.embeddings.forward(images).in_layer("embeddings")?;
        for (i, block) in self.layers.iter().enumerate() {
            x = block.forward(&x).in_layer(format!("layers.{i}"))?;
        }
        self.layernorm.forward(&x)
    }

    /// What each image is as a whole, from the last layer's states: (B, T, C) to (B, `pooler_output_size`).
    ///
    /// # Errors
    /// When the model was built without a pooler.
    pub fn pooled(&self, hidden: &Var) -> Result<Var> {
        let Some(pooler) = &self.pooler else {
            return Err(Error::value("pooler", "this model was built without one"));
        };
        let x = pooler.dense.forward(&hidden.select(1, 0)?);
        pooler.act.forward(&x.in_layer("pooler.dense")?)
    }
}

/// The names of today for those of older checkpoints.
fn modern(name: &str) -> String {
    let mut name = name.replace("encoder.layer.", "layers.");
    for (old, new) in [
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
    ] {
        name = name.replace(old, new);
    }
    name
}

impl Pretrained for ViTModel {
    type Config = ViTConfig;
    const BASE: &'static str = "vit";

    fn build(config: &ViTConfig) -> Result<Self> {
        Self::with(config, true)
    }

    fn modern(name: &str) -> String {
        modern(name)
    }
}

/// The vision transformer with a dense layer on the state of the whole.
#[derive(Clone, Debug, Module)]
pub struct ViTForImageClassification {
    vit: ViTModel,
    classifier: Linear,
}

impl ViTForImageClassification {
    /// Logits (B, classes).
    ///
    /// # Errors
    /// When the images are not of the model's size.
    pub fn forward(&self, images: &Var) -> Result<Var> {
        let x = self.vit.forward(images).in_layer("vit")?.select(1, 0)?; // (B, C)
        self.classifier.forward(&x).in_layer("classifier")
    }
}

impl Pretrained for ViTForImageClassification {
    type Config = ViTConfig;
    const BASE: &'static str = "vit";

    fn build(config: &ViTConfig) -> Result<Self> {
        Ok(Self {
            vit: ViTModel::with(config, false)?,
            classifier: Linear::new(config.hidden_size, config.num_labels)?,
        })
    }

    fn modern(name: &str) -> String {
        modern(name)
    }
}
