//! The vision transformer: an image as a row of patches, read like a sentence by a transformer encoder. Source: Dosovitskiy et al.
//! 2020 (arXiv:2010.11929). Names, defaults and first weights are torchvision's; every size can be given as an argument.

use gradus_autograd::Var;
use gradus_nn::{
    AttentionMask, Conv2d, Dropout, GELU, Layer, LayerNorm, Linear, Module, MultiheadAttention,
    Param, Sequential, Tanh, init, named,
};
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("vit_b_16", |a| vit(a, 16, 12, 12, 768, 3072)),
    ("vit_b_32", |a| vit(a, 32, 12, 12, 768, 3072)),
    ("vit_l_16", |a| vit(a, 16, 24, 16, 1024, 4096)),
    ("vit_l_32", |a| vit(a, 32, 24, 16, 1024, 4096)),
    ("vit_h_14", |a| vit(a, 14, 32, 16, 1280, 5120)),
];

/// Patches as tokens, behind one that stands for the class: (B, 3, H, W) to (B, T, C).
#[derive(Module)]
struct Patches {
    /// (1, 1, C)
    class_token: Param,
    conv_proj: Conv2d,
    image_size: usize,
}

impl Layer for Patches {
    fn forward(&self, x: &Var) -> Result<Var> {
        let size = self.image_size;
        let &[batch, _, height, width] = x.dims() else {
            let message = format!("{} is not (B, 3, {size}, {size})", x.shape());
            return Err(Error::shape("vision transformer", message));
        };
        if (height, width) != (size, size) {
            let message = format!(
                "images of {height} x {width} in a network for {size} x {size}; resize them, or give image_size when it is built"
            );
            return Err(Error::shape("vision transformer", message));
        }
        let patches = self.conv_proj.forward(x).in_layer("conv_proj")?; // (B, C, h, w)
        let patches = patches.flatten(2, 3)?.transpose(1, 2)?; // (B, T - 1, C)
        let class = self.class_token.var().expand([batch as isize, -1, -1])?; // (B, 1, C)
        Var::cat(&[&class, &patches], 1) // (B, T, C)
    }
}

/// Attention and two dense layers, each after a norm and beside its input: (B, T, C) to (B, T, C).
#[derive(Module)]
struct Block {
    ln_1: LayerNorm,
    self_attention: MultiheadAttention,
    dropout: Dropout,
    ln_2: LayerNorm,
    mlp: Sequential,
}

impl Layer for Block {
    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.ln_1.forward(x).in_layer("ln_1")?;
        let y = self
            .self_attention
            .forward(&y, &y, &y, AttentionMask::default())
            .in_layer("self_attention")?;
        let x = self.dropout.forward(&y)?.add(x)?;
        let y = self.ln_2.forward(&x).in_layer("ln_2")?;
        x.add(&self.mlp.forward(&y).in_layer("mlp")?)
    }
}

/// Positions added, blocks, norm: (B, T, C) to (B, T, C).
#[derive(Module)]
struct Encoder {
    /// (1, T, C)
    pos_embedding: Param,
    dropout: Dropout,
    layers: Sequential,
    ln: LayerNorm,
}

impl Layer for Encoder {
    fn forward(&self, x: &Var) -> Result<Var> {
        let x = self.dropout.forward(&x.add(self.pos_embedding.var())?)?;
        let x = named("layers", || self.layers.forward(&x))?;
        named("ln", || self.ln.forward(&x))
    }
}

/// The class token of (B, T, C): (B, C).
#[derive(Module)]
struct ClassToken;

impl Layer for ClassToken {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.select(1, 0)
    }
}

fn vit(
    a: &Arguments,
    patch: usize,
    depth: usize,
    heads: usize,
    width: usize,
    inner: usize,
) -> Result<Classifier> {
    let classes = a.num_classes(1000)?;
    let image = a.size("image_size", 224)?;
    let patch = a.size("patch_size", patch)?;
    let depth = a.size("num_layers", depth)?;
    let heads = a.size("num_heads", heads)?;
    let width = a.size("hidden_dim", width)?;
    let inner = a.size("mlp_dim", inner)?;
    let dropout = a.probability("dropout", 0.0)?;
    let attention_dropout = a.probability("attention_dropout", 0.0)?;
    // Without one, 0.
    let representation = a.size("representation_size", 0)?;
    if !image.is_multiple_of(patch) {
        return Err(a.error(format!(
            "an image_size of {image} does not divide into patches of {patch}"
        )));
    }
    let tokens = (image / patch) * (image / patch) + 1; // T

    let norm = || LayerNorm::with([width], 1e-6, true, true);
    let mut layers = Sequential::new();
    for i in 0..depth {
        let mlp = Sequential::new()
            .then(Linear::new(width, inner)?)
            .then(GELU::default())
            .then(Dropout::new(dropout))
            .then(Linear::new(inner, width)?)
            .then(Dropout::new(dropout));
        let attention = MultiheadAttention::with(width, heads, attention_dropout, true)?;
        let block = Block {
            ln_1: norm()?,
            self_attention: attention.batch_first(true),
            dropout: Dropout::new(dropout),
            ln_2: norm()?,
            mlp,
        };
        layers = layers.then_named(format!("encoder_layer_{i}"), block);
    }
    let encoder = Encoder {
        pos_embedding: Param::new(init::normal([1, tokens, width], 0.0, 0.02, DType::F32)?)?,
        dropout: Dropout::new(dropout),
        layers,
        ln: norm()?,
    };
    let patches = Patches {
        class_token: Param::new(Tensor::zeros([1, 1, width], DType::F32)?)?,
        conv_proj: Conv2d::builder(3, width, patch).stride(patch).build()?,
        image_size: image,
    };
    let body = Sequential::new()
        .then_named("", patches) // (B, T, C)
        .then_named("encoder", encoder);
    let mut classifier = Sequential::new();
    let mut features = width;
    if representation > 0 {
        classifier = classifier
            .then_named("pre_logits", Linear::new(width, representation)?)
            .then_named("act", Tanh);
        features = representation;
    }
    let head = Sequential::new()
        .then_named("class", ClassToken) // (B, C)
        .then_named(
            "heads",
            classifier.then_named("head", Linear::new(features, classes)?),
        );
    let weights = Weights {
        conv: Draw::TruncatedByInputs,
        conv_bias: Draw::Zeros,
        special: &[
            ("mlp.0.weight", Draw::XavierUniform),
            ("mlp.3.weight", Draw::XavierUniform),
            ("mlp.0.bias", Draw::Normal(1e-6)),
            ("mlp.3.bias", Draw::Normal(1e-6)),
            ("heads.pre_logits.weight", Draw::TruncatedByInputs),
            ("heads.pre_logits.bias", Draw::Zeros),
            ("heads.head.weight", Draw::Zeros),
            ("heads.head.bias", Draw::Zeros),
        ],
        ..Weights::DEFAULT
    };
    Classifier::new(body, head, "heads.head").finish(a, &weights)
}
