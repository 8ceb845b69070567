//! LoRA: a dense layer that stays as it is, plus a product of two thin matrices that learns (Hu et al. 2021, arXiv:2106.09685).
//! What is trained and saved is small, and it can be added into the layer's weights once it is learnt.
//! Names, defaults and first weights are those of Hugging Face's `peft`: `lora_A` random, `lora_B` zeros, times `lora_alpha / r`.

use gradus_autograd::Var;
use gradus_nn::init::{self, Fan, Nonlinearity};
use gradus_nn::{Dropout, Layer, Linear, Module, Param};
use gradus_tensor::{Error, Result, ResultExt, Tensor};

/// How layers are adapted.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraOptions {
    /// Width of the thin matrices.
    pub r: usize,
    /// Their product is multiplied by `lora_alpha / r`.
    pub lora_alpha: f64,
    /// Dropout of what the thin matrices read.
    pub lora_dropout: f64,
    /// Multiplied by `lora_alpha / √r` instead (Kalajdzievski 2023, arXiv:2312.03732).
    pub use_rslora: bool,
    /// Which dense layers, by the last part of their names.
    pub target_modules: Vec<String>,
}

impl Default for LoraOptions {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            use_rslora: false,
            target_modules: ["query", "value", "q_lin", "v_lin"]
                .map(String::from)
                .into(),
        }
    }
}

impl LoraOptions {
    /// Is the layer of this name one of those?
    pub fn targets(&self, name: &str) -> bool {
        let of = |target: &String| {
            name == target
                || name
                    .strip_suffix(target.as_str())
                    .is_some_and(|n| n.ends_with('.'))
        };
        self.target_modules.iter().any(of)
    }

    fn scale(&self) -> f64 {
        let r = self.r as f64;
        self.lora_alpha / if self.use_rslora { r.sqrt() } else { r }
    }
}

/// A matrix under the name `weight`.
#[derive(Clone, Debug, Module)]
struct Matrix {
    weight: Param,
}

/// The two thin matrices.
#[derive(Clone, Debug, Module)]
struct Lora {
    /// (r, in)
    #[module(rename = "lora_A")]
    a: Matrix,
    /// (out, r)
    #[module(rename = "lora_B")]
    b: Matrix,
    dropout: Dropout,
    scale: f64,
    /// The product is in the layer's weight now.
    merged: bool,
}

impl Lora {
    /// What is added to the layer's weight: (out, in).
    fn product(&self) -> Result<Tensor> {
        let product = self.b.weight.data().matmul(self.a.weight.data())?;
        product.mul_scalar(self.scale)
    }
}

/// A dense layer that can be adapted. Without an adapter it is a [`Linear`], names and all.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nlp::models::{LoraOptions, Projection};
/// use gradus_nn::{Layer, Module};
/// use gradus_tensor::{DType, Tensor};
/// let mut layer = Projection::new(16, 16)?;
/// let x = Var::from(Tensor::ones([1, 16], DType::F32)?);
/// let before = layer.forward(&x)?;
/// layer.adapt(&LoraOptions { r: 2, ..LoraOptions::default() })?;
/// layer.freeze("weight");
/// layer.freeze("bias");
/// let names: Vec<String> = layer.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["weight", "bias", "lora_A.weight", "lora_B.weight"]);
/// assert!(layer.forward(&x)?.value().allclose(before.value(), 1e-6, 1e-6, false)?); // adds nothing at first
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct Projection {
    #[module(flatten)]
    base: Linear,
    #[module(flatten)]
    lora: Option<Lora>,
}

impl Projection {
    /// A dense layer with a bias.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(in_features: usize, out_features: usize) -> Result<Self> {
        Ok(Self {
            base: Linear::new(in_features, out_features)?,
            lora: None,
        })
    }

    /// Is there an adapter?
    pub fn is_adapted(&self) -> bool {
        self.lora.is_some()
    }

    /// Puts a new adapter beside the layer; the output stays as it is until the adapter is trained.
    ///
    /// # Errors
    /// When there is one, `r` is 0, or dropout is no probability.
    pub fn adapt(&mut self, options: &LoraOptions) -> Result<()> {
        if self.lora.is_some() {
            return Err(Error::value("lora", "the layer has an adapter already"));
        }
        if options.r == 0 || !(0.0..=1.0).contains(&options.lora_dropout) {
            let text = format!(
                "r {} and lora_dropout {}: r must be 1 or more, lora_dropout from 0 to 1",
                options.r, options.lora_dropout
            );
            return Err(Error::value("lora", text));
        }
        let (inputs, outputs) = (self.base.in_features(), self.base.out_features());
        let dtype = self.base.weight.dtype();
        let after = Nonlinearity::LeakyReLU(5.0_f64.sqrt());
        let a = init::kaiming_uniform([options.r, inputs], Fan::In, after, dtype)?;
        let b = Tensor::zeros([outputs, options.r], dtype)?;
        self.lora = Some(Lora {
            a: Matrix {
                weight: Param::new(a)?,
            },
            b: Matrix {
                weight: Param::new(b)?,
            },
            dropout: Dropout::new(options.lora_dropout),
            scale: options.scale(),
            merged: false,
        });
        Ok(())
    }

    /// Adds the adapter into the layer's weight: the same output from one product. Nothing where there is no adapter, or it is
    /// there already.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn merge(&mut self) -> Result<()> {
        self.move_weight(true)
    }

    /// Takes it out again.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn unmerge(&mut self) -> Result<()> {
        self.move_weight(false)
    }

    fn move_weight(&mut self, merged: bool) -> Result<()> {
        let Some(lora) = self.lora.as_mut().filter(|lora| lora.merged != merged) else {
            return Ok(());
        };
        let product = lora.product().in_layer("lora")?;
        let weight = self.base.weight.data();
        let moved = if merged {
            weight.add(&product)?
        } else {
            weight.sub(&product)?
        };
        self.base.weight.set(moved)?;
        lora.merged = merged;
        Ok(())
    }

    /// Takes the adapter away, leaving the layer's weight as it is now.
    pub fn strip(&mut self) {
        self.lora = None;
    }
}

impl Layer for Projection {
    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.base.forward(x)?; // (.., out)
        let Some(lora) = self.lora.as_ref().filter(|lora| !lora.merged) else {
            return Ok(y);
        };
        let thin = lora.dropout.forward(x)?.linear(lora.a.weight.var(), None);
        let more = thin
            .in_layer("lora_A")?
            .linear(lora.b.weight.var(), None)
            .in_layer("lora_B")?;
        y.add(&more.mul_scalar(lora.scale)?)
    }
}

/// The names of what `peft` writes: `base_model.model.NAME`, of the adapters alone.
pub fn lora_state(model: &(impl Module + ?Sized)) -> gradus_nn::StateDict {
    let adapters = model.state_dict().into_iter();
    let adapters = adapters.filter(|(name, _)| is_lora(name));
    adapters
        .map(|(name, tensor)| (format!("{PEFT}{name}"), tensor))
        .collect()
}

/// Takes adapters from what [`lora_state`] gives, or `peft` has written, into a model that was adapted in the same places.
///
/// # Errors
/// When an adapter of the model is missing, one does not belong to it, or shapes differ.
pub fn load_lora(model: &mut (impl Module + ?Sized), state: gradus_nn::StateDict) -> Result<()> {
    let mut whole = model.state_dict();
    let mut expected: Vec<String> = whole.keys().filter(|n| is_lora(n)).cloned().collect();
    for (name, tensor) in state {
        let own = name.strip_prefix(PEFT).unwrap_or(&name).to_owned();
        let Some(at) = expected.iter().position(|n| *n == own) else {
            let text = format!("{name} belongs to no adapter of this model");
            return Err(Error::value("load_lora", text));
        };
        expected.swap_remove(at);
        whole.insert(own, tensor);
    }
    if let Some(name) = expected.first() {
        return Err(Error::value("load_lora", format!("{name} is missing")));
    }
    model.load_state_dict(&whole, true).map(drop)
}

const PEFT: &str = "base_model.model.";

/// Is this a name of an adapter's?
pub fn is_lora(name: &str) -> bool {
    name.contains(".lora_A.") || name.contains(".lora_B.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradus_tensor::DType;
    use gradus_tensor::random::{Rng, manual_seed};

    #[test]
    fn merged_gives_what_beside_gives() -> Result<()> {
        manual_seed(3);
        let mut layer = Projection::new(6, 4)?;
        layer.adapt(&LoraOptions {
            r: 3,
            lora_alpha: 12.0,
            ..LoraOptions::default()
        })?;
        let b = Tensor::randn([4, 3], DType::F32, &mut Rng::new(1))?;
        layer.lora.as_mut().unwrap().b.weight.set(b)?;
        let x = Var::from(Tensor::randn([5, 6], DType::F32, &mut Rng::new(2))?);
        let weight = layer.base.weight.data().clone();
        let beside = layer.forward(&x)?;
        assert!(
            !beside
                .value()
                .allclose(layer.base.forward(&x)?.value(), 1e-3, 1e-3, false)?
        );
        layer.merge()?;
        layer.merge()?; // once is enough
        let merged = layer.forward(&x)?;
        assert!(merged.value().allclose(beside.value(), 1e-5, 1e-5, false)?);
        layer.unmerge()?;
        assert!(
            layer
                .base
                .weight
                .data()
                .allclose(&weight, 1e-5, 1e-6, false)?
        );
        layer.merge()?;
        layer.strip();
        assert!(
            layer
                .forward(&x)?
                .value()
                .allclose(beside.value(), 1e-5, 1e-5, false)?
        );
        assert_eq!(layer.named_parameters().len(), 2);
        Ok(())
    }

    #[test]
    fn targets_are_last_parts_of_names() {
        let options = LoraOptions::default();
        assert!(
            options.targets("encoder.layer.0.attention.self.query") && options.targets("value")
        );
        assert!(
            !options.targets("encoder.layer.0.attention.self.key") && !options.targets("xquery")
        );
    }
}
