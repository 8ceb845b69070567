//! `GradScaler`: loss scaling, so that small gradients survive 16 bits of f16.
//!
//! f16 knows nothing below 6e-8. The loss is multiplied by a large number before the backward and the gradients divided by it
//! after; where that made one infinite, the step is left out and the number halved, and after 2000 steps without it is doubled.
//! bf16 reaches as far as f32 and needs none of this. It is not autocast, which chooses the dtypes. Source: `torch.amp.GradScaler`;
//! what differs is that gradients are a value here, so [`GradScaler::unscale_`] takes them and not an optimiser, and that
//! parameters are told apart by their leaves.

use std::collections::BTreeMap;

use gradus_autograd::{Gradients, Var};
use gradus_tensor::{DType, Device, Error, Result, Tensor};

use crate::module::{Module, StateDict};
use crate::optim::Optimizer;

/// The options of a [`GradScaler`], with PyTorch's names and defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradScalerOptions {
    /// The scale to begin with.
    pub init_scale: f64,
    /// What the scale is multiplied by after `growth_interval` steps without an infinite gradient; more than 1.
    pub growth_factor: f64,
    /// What it is multiplied by after a step with one; less than 1.
    pub backoff_factor: f64,
    /// How many steps in a row it takes to grow.
    pub growth_interval: u64,
    /// Whether it does anything: if not, losses are as they are and steps always made.
    pub enabled: bool,
}

impl Default for GradScalerOptions {
    fn default() -> Self {
        Self {
            init_scale: 65536.0,
            growth_factor: 2.0,
            backoff_factor: 0.5,
            growth_interval: 2000,
            enabled: true,
        }
    }
}

/// Scales losses up and gradients down, and leaves out steps whose gradients are not finite.
///
/// ```
/// use gradus_autograd::{Var, autocast};
/// use gradus_nn::optim::SGD;
/// use gradus_nn::{GradScaler, Layer, Linear, clip_grad_norm};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let mut model = Linear::new(2, 1)?;
/// let mut optimizer = SGD::new(0.1);
/// let mut scaler = GradScaler::new();
/// let x = Var::from(Tensor::ones([4, 2], DType::F32)?);
/// for _ in 0..20 {
///     let y = autocast(DType::F16, || model.forward(&x))?; // (4, 1) f16, should become 3
///     let loss = y.to_dtype(DType::F32)?.add_scalar(-3)?.square()?.mean(.., false)?;
///     let mut gradients = scaler.scale(&loss)?.backward_once()?;
///     scaler.unscale_(&mut gradients)?; // only for what looks at gradients, as clipping does; else `step` does it
///     clip_grad_norm(&mut gradients, 1.0, 2.0)?;
///     scaler.step(&mut optimizer, &mut model, &mut gradients)?;
///     scaler.update(None)?;
/// }
/// assert!((model.forward(&x)?.value().to_vec::<f32>()?[0] - 3.0).abs() < 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GradScaler {
    options: GradScalerOptions,
    scale: f32,
    growth_tracker: u64,
    /// The leaves whose gradients were divided since the last update, and whether one of them was not finite.
    unscaled: BTreeMap<u64, Found>,
}

/// What was found out about a gradient since the last update.
#[derive(Clone, Copy, Debug)]
struct Found {
    infinite: bool,
    stepped: bool,
}

impl Default for GradScaler {
    fn default() -> Self {
        Self::new()
    }
}

impl GradScaler {
    /// With PyTorch's defaults: a scale of 65536.
    pub fn new() -> Self {
        let options = GradScalerOptions::default();
        Self {
            scale: options.init_scale as f32,
            options,
            growth_tracker: 0,
            unscaled: BTreeMap::new(),
        }
    }

    /// With these options.
    ///
    /// # Errors
    /// When the growth factor is not above 1, the backoff factor not below 1, or the scale not a positive number.
    pub fn with(options: GradScalerOptions) -> Result<Self> {
        let scaler = Self {
            scale: options.init_scale as f32,
            options,
            ..Self::new()
        };
        if options.enabled {
            check(&options, scaler.scale)?;
        }
        Ok(scaler)
    }

    /// The loss times the scale, in f32 where it was in 16 bits: there the scale itself may have no place.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn scale(&self, loss: &Var) -> Result<Var> {
        if !self.options.enabled {
            return Ok(loss.clone());
        }
        let loss = match loss.dtype() {
            DType::F16 | DType::BF16 => loss.to_dtype(DType::F32)?,
            _ => loss.clone(),
        };
        loss.mul_scalar(f64::from(self.scale))
    }

    /// Divides the gradients by the scale and notes which are not finite, before anything else looks at them (clipping).
    ///
    /// # Errors
    /// When that was done since the last update already, or a gradient is f16: parameters must be f32 (`autocast` converts them).
    pub fn unscale_(&mut self, gradients: &mut Gradients) -> Result<()> {
        if !self.options.enabled {
            return Ok(());
        }
        if let Some(found) = gradients
            .iter()
            .find_map(|(id, _)| self.unscaled.get(&id).copied())
        {
            return Err(error(if found.stepped {
                "unscale_ is called after step: call update first"
            } else {
                "unscale_ has been called on these gradients already since the last update"
            }));
        }
        self.unscale_rest(gradients)
    }

    /// Divides those gradients that were not yet.
    fn unscale_rest(&mut self, gradients: &mut Gradients) -> Result<()> {
        let inverse = f64::from((1.0 / f64::from(self.scale)) as f32);
        let mut found: Vec<(u64, Option<bool>)> = Vec::new();
        let mut largest: Vec<Tensor> = Vec::new(); // of gradients on a GPU, which is read once for all of them
        for (id, grad) in gradients.iter_mut() {
            if self.unscaled.contains_key(&id) {
                continue;
            }
            if grad.dtype() == DType::F16 {
                return Err(error(
                    "a gradient is f16: keep the parameters in f32 and compute inside autocast(DType::F16, …)",
                ));
            }
            if grad.numel() == 0 {
                found.push((id, Some(false)));
                continue;
            }
            let most = grad.norm(f64::INFINITY, .., false)?;
            if grad.device() == Device::Cpu {
                found.push((id, Some(!most.to_f64()?.is_finite())));
            } else {
                largest.push(most.to_dtype(DType::F32)?);
                found.push((id, None));
            }
            if inverse != 1.0 {
                let nothing = Tensor::zeros([0], &*grad)?;
                *grad = std::mem::replace(grad, nothing).mul_scalar_(inverse)?; // in place: nobody else holds a gradient
            }
        }
        let mut read = Vec::new();
        if !largest.is_empty() {
            read = Tensor::stack(&largest, 0)?.to_vec::<f32>()?;
        }
        let mut read = read.into_iter();
        for (id, known) in found {
            let infinite = known.unwrap_or_else(|| !read.next().is_some_and(f32::is_finite));
            let found = Found {
                infinite,
                stepped: false,
            };
            self.unscaled.insert(id, found);
        }
        Ok(())
    }

    /// Steps the optimiser, unless a gradient of this model is infinite or NaN; divides the gradients first where
    /// [`unscale_`](Self::unscale_) did not. Says whether the step was made.
    ///
    /// # Errors
    /// When this model was stepped since the last update already, no parameter has a gradient, or as the optimiser's.
    pub fn step(
        &mut self,
        optimizer: &mut dyn Optimizer,
        model: &mut dyn Module,
        gradients: &mut Gradients,
    ) -> Result<bool> {
        if !self.options.enabled {
            optimizer.step(model, gradients)?;
            return Ok(true);
        }
        self.unscale_rest(gradients)?;
        let mut infinite = false;
        for (_, param) in model.named_parameters() {
            let id = param.var().id();
            let has_gradient = id.is_some_and(|id| gradients.get_id(id).is_some());
            let found = id.and_then(|id| self.unscaled.get_mut(&id));
            let (true, Some(found)) = (has_gradient, found) else {
                continue;
            };
            if found.stepped {
                return Err(error("step has been called already since the last update"));
            }
            infinite |= found.infinite;
            found.stepped = true;
        }
        if infinite {
            return Ok(false);
        }
        optimizer.step(model, gradients)?; // which says so if no parameter has a gradient
        Ok(true)
    }

    /// Moves the scale: down if a gradient since the last update was not finite, up after enough updates without; or to
    /// `new_scale`.
    ///
    /// # Errors
    /// When no gradients were looked at since the last update, or `new_scale` is not a positive number.
    pub fn update(&mut self, new_scale: Option<f64>) -> Result<()> {
        if !self.options.enabled {
            return Ok(());
        }
        if let Some(new) = new_scale {
            check(&self.options, new as f32)?;
            self.scale = new as f32;
        } else if self.unscaled.is_empty() {
            return Err(error(
                "no gradients were looked at since the last update: call step (or unscale_) before update",
            ));
        } else if self.unscaled.values().any(|found| found.infinite) {
            self.scale = (f64::from(self.scale) * self.options.backoff_factor) as f32;
            self.growth_tracker = 0;
        } else {
            self.growth_tracker += 1;
            if self.growth_tracker == self.options.growth_interval {
                let grown = (f64::from(self.scale) * self.options.growth_factor) as f32;
                if grown.is_finite() {
                    self.scale = grown;
                }
                self.growth_tracker = 0;
            }
        }
        self.unscaled.clear();
        Ok(())
    }

    /// Was any gradient since the last update infinite or NaN?
    pub fn found_inf(&self) -> bool {
        self.unscaled.values().any(|found| found.infinite)
    }

    /// The scale now; 1 when switched off.
    pub fn get_scale(&self) -> f64 {
        if self.options.enabled {
            f64::from(self.scale)
        } else {
            1.0
        }
    }

    /// The options, but for the scale, which has moved on ([`get_scale`](Self::get_scale)).
    pub fn options(&self) -> &GradScalerOptions {
        &self.options
    }

    /// Does it do anything?
    pub fn is_enabled(&self) -> bool {
        self.options.enabled
    }

    /// Its state under PyTorch's names: `scale`, `growth_factor`, `backoff_factor`, `growth_interval` and `_growth_tracker`.
    /// Empty when switched off.
    ///
    /// # Errors
    /// Only when memory for a number cannot be had.
    pub fn state_dict(&self) -> Result<StateDict> {
        if !self.options.enabled {
            return Ok(StateDict::new());
        }
        let float = |x: f64| Tensor::full((), x, DType::F64);
        let whole = |n: u64| Tensor::full((), n as i64, DType::I64);
        Ok(StateDict::from([
            ("scale".into(), float(self.get_scale())?),
            ("growth_factor".into(), float(self.options.growth_factor)?),
            ("backoff_factor".into(), float(self.options.backoff_factor)?),
            (
                "growth_interval".into(),
                whole(self.options.growth_interval)?,
            ),
            ("_growth_tracker".into(), whole(self.growth_tracker)?),
        ]))
    }

    /// Takes back what [`state_dict`](Self::state_dict) gave. Does nothing when switched off.
    ///
    /// # Errors
    /// When it is empty (of a scaler that was switched off), a number is missing, or one makes no sense; nothing is changed then.
    pub fn load_state_dict(&mut self, state: &StateDict) -> Result<()> {
        if !self.options.enabled {
            return Ok(());
        }
        if state.is_empty() {
            return Err(error(
                "load_state_dict: the state is empty, perhaps that of a scaler that was switched off",
            ));
        }
        let number = |name: &str| {
            let found = state.get(name).map(Tensor::to_f64).transpose()?;
            found.ok_or_else(|| error(format!("load_state_dict: {name} is missing")))
        };
        let scale = number("scale")? as f32;
        let options = GradScalerOptions {
            growth_factor: number("growth_factor")?,
            backoff_factor: number("backoff_factor")?,
            growth_interval: number("growth_interval")? as u64,
            ..self.options
        };
        check(&options, scale)?;
        self.growth_tracker = number("_growth_tracker")? as u64;
        self.scale = scale;
        self.options = options;
        self.unscaled.clear();
        Ok(())
    }
}

fn check(options: &GradScalerOptions, scale: f32) -> Result<()> {
    let (growth, backoff) = (options.growth_factor, options.backoff_factor);
    let wrong = if !(scale.is_finite() && scale > 0.0) {
        format!("the scale is {scale}, and must be a positive number")
    } else if growth.is_nan() || growth <= 1.0 {
        format!("growth_factor is {growth}, and must be above 1")
    } else if backoff.is_nan() || backoff >= 1.0 || backoff <= 0.0 {
        format!("backoff_factor is {backoff}, and must be below 1")
    } else if options.growth_interval == 0 {
        "growth_interval is 0, and must be 1 or more".into()
    } else {
        return Ok(());
    };
    Err(error(wrong))
}

fn error(message: impl Into<String>) -> Error {
    Error::value("GradScaler", message)
}
