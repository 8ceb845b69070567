//! `Module`: anything that holds parameters under dotted names. Two walks ([`Visit`], written by the derive) and, built on
//! them, all one does with a model as a whole. It is not how a model computes: `forward` is each type's own method, with
//! whatever arguments it needs; [`Layer`](crate::Layer) is for those with one input and one output.
//!
//! The names, the state dict and the methods are PyTorch's `nn.Module`.

mod buffer;
mod param;
mod state;
mod summary;
mod tied;
mod visit;

pub use buffer::{Buffer, Mode};
pub use gradus_nn_derive::Module;
pub use param::Param;
pub use state::{LoadReport, StateDict};
pub use summary::Summary;
pub use tied::Tied;
pub use visit::{Part, PartMut, Path, PathGuard, Visit};

use gradus_tensor::{DType, Device, Result, Tensor, To};

/// Something with named parameters: a layer, a block, a whole model.
///
/// Derive it; every method has a default. Fields are named as PyTorch names the same attributes, so checkpoints load
/// with no mapping. `forward` is not part of the trait: write it as an ordinary method.
///
/// An error inside `forward` should say where it happened: pass results of children through
/// [`ResultExt::in_layer`](gradus_tensor::ResultExt::in_layer) with the field's name, as `Sequential` and all layers
/// here do, and the path reads from the root: `encoder.layers.3.attn: matmul: [8,197,768] x [512,768]: inner 768 != 512`.
/// It costs nothing unless there is an error.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Dropout, Layer, Linear, Module};
/// use gradus_tensor::{DType, Result, ResultExt, Tensor};
///
/// #[derive(Module)]
/// struct Mlp {
///     fc1: Linear,
///     drop: Dropout,
///     fc2: Linear,
/// }
///
/// impl Mlp {
///     fn forward(&self, x: &Var) -> Result<Var> {
///         let h = self.fc1.forward(x).in_layer("fc1")?.relu()?; // (B, 16)
///         self.fc2.forward(&self.drop.forward(&h)?).in_layer("fc2") // (B, 3)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let mut mlp = Mlp { fc1: Linear::new(8, 16)?, drop: Dropout::new(0.5), fc2: Linear::new(16, 3)? };
/// assert_eq!(mlp.num_params(), 8 * 16 + 16 + 16 * 3 + 3);
/// let names: Vec<String> = mlp.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
///
/// mlp.freeze("fc1"); // only fc2 is trained now
/// mlp.eval();
/// let x = Var::from(Tensor::zeros([5, 8], DType::F32)?);
/// assert_eq!(mlp.forward(&x)?.dims(), [5, 3]);
///
/// let bad = Var::from(Tensor::zeros([5, 9], DType::F32)?);
/// assert!(mlp.forward(&bad).unwrap_err().to_string().starts_with("fc1: "));
/// # Ok(())
/// # }
/// ```
pub trait Module: Visit {
    /// Every parameter with its name, in the order of the fields. A parameter reached twice is listed twice.
    fn named_parameters(&self) -> Vec<(String, &Param)> {
        let mut found = Vec::new();
        self.visit(&mut Path::default(), &mut |path, part| {
            if let Part::Param(param) = part {
                found.push((path.to_string(), param));
            }
        });
        found
    }

    /// Every parameter by `&mut`, with its name.
    fn named_parameters_mut(&mut self) -> Vec<(String, &mut Param)> {
        let mut found = Vec::new();
        self.visit_mut(&mut Path::default(), &mut |path, part| {
            if let PartMut::Param(param) = part {
                found.push((path.to_string(), param));
            }
        });
        found
    }

    /// Every buffer with its name, persistent or not.
    fn named_buffers(&self) -> Vec<(String, &Buffer)> {
        let mut found = Vec::new();
        self.visit(&mut Path::default(), &mut |path, part| {
            if let Part::Buffer(buffer) = part {
                found.push((path.to_string(), buffer));
            }
        });
        found
    }

    /// How many numbers the parameters hold, frozen ones included.
    fn num_params(&self) -> usize {
        let mut total = 0;
        self.visit(&mut Path::default(), &mut |_, part| {
            if let Part::Param(param) = part {
                total += param.numel();
            }
        });
        total
    }

    /// Parameters and persistent buffers by name: what a checkpoint holds. The tensors are handles, not copies.
    fn state_dict(&self) -> StateDict {
        state::save(&parts(self))
    }

    /// Takes parameters and persistent buffers from `state`, converted to the dtype each has here. Of the names of a
    /// [`Tied`] parameter one is enough; where `state` has several, the second name counts, as in PyTorch.
    ///
    /// With `strict`, nothing is changed unless every name and every shape agrees. Without it whatever fits is loaded,
    /// and the report says what did not. If every name of `state` begins with `module.` (`DataParallel` saves them so) or `_orig_mod.`
    /// (`torch.compile`) and no name here does, it is taken off.
    /// Batch norm's `num_batches_tracked` may be missing, as in files older than it.
    ///
    /// ```
    /// use gradus_nn::{Linear, Module, StateDict};
    /// use gradus_tensor::{DType, Tensor};
    /// # fn main() -> gradus_tensor::Result<()> {
    /// let mut model = Linear::new(3, 2)?;
    /// let state = StateDict::from([("module.weight".to_owned(), Tensor::ones([2, 3], DType::F32)?)]);
    /// let error = model.load_state_dict(&state, true).unwrap_err().to_string();
    /// assert!(error.contains("1 missing: bias"), "{error}");
    /// let report = model.load_state_dict(&state, false)?;
    /// assert_eq!((report.loaded, report.missing), (vec!["weight".to_owned()], vec!["bias".to_owned()]));
    /// assert_eq!(report.prefix, "module.");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// With `strict`, when a name is missing, unexpected, or of another shape; the message lists them.
    fn load_state_dict(&mut self, state: &StateDict, strict: bool) -> Result<LoadReport> {
        state::Plan::new(&parts(self), state, strict)?.carry_out(parts_mut(self))
    }

    /// Training mode: dropout drops, batch norm uses the batch. A new model is in this mode.
    fn train(&mut self) {
        self.set_mode(Mode::Training);
    }

    /// Evaluation mode: the model is a fixed function of its input.
    fn eval(&mut self) {
        self.set_mode(Mode::Evaluation);
    }

    /// [`train`](Self::train) or [`eval`](Self::eval).
    fn set_mode(&mut self, mode: Mode) {
        self.visit_mut(&mut Path::default(), &mut |_, part| {
            if let PartMut::Mode(at) = part {
                *at = mode;
            }
        });
    }

    /// Stops training of the parameters under `prefix` (`"encoder"`, `"encoder.layers.0"`, or one full name; `""` is
    /// all): they become constants, for which no gradient is computed. Whole names match, so `"fc1"` is not `"fc10"`.
    /// Returns how many parameters are under the prefix.
    fn freeze(&mut self, prefix: &str) -> usize {
        set_frozen(self, prefix, true)
    }

    /// Trains the parameters under `prefix` again.
    fn unfreeze(&mut self, prefix: &str) -> usize {
        set_frozen(self, prefix, false)
    }

    /// Converts parameters and float buffers to `dtype`; counters and other integer buffers stay as they are.
    ///
    /// # Errors
    /// When `dtype` is not a float.
    fn to_dtype(&mut self, dtype: DType) -> Result<()> {
        convert(parts_mut(self), &|x| match x.dtype().is_float() {
            true => x.to_dtype(dtype),
            false => Ok(x.clone()),
        })
    }

    /// Where the first parameter is, and so where inputs belong; the CPU for a module without parameters.
    ///
    /// ```
    /// use gradus_nn::{Linear, Module};
    /// assert_eq!(Linear::new(2, 3)?.device(), gradus_tensor::Device::Cpu);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    fn device(&self) -> Device {
        let mut found = None;
        self.visit(&mut Path::default(), &mut |_, part| {
            if let (Part::Param(param), None) = (part, found) {
                found = Some(param.data().device());
            }
        });
        found.unwrap_or_default()
    }

    /// [`to_device`](Self::to_device) or [`to_dtype`](Self::to_dtype), by what it is given, as `module.to` in PyTorch.
    ///
    /// ```
    /// use gradus_nn::{Linear, Module};
    /// use gradus_tensor::{DType, Device};
    /// let mut layer = Linear::new(2, 3)?;
    /// layer.to(&Device::Cpu)?;
    /// layer.to(DType::BF16)?;
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As the two.
    fn to(&mut self, target: impl Into<To>) -> Result<()>
    where
        Self: Sized,
    {
        match target.into() {
            To::Device(device) => self.to_device(&device),
            To::DType(dtype) => self.to_dtype(dtype),
        }
    }

    /// Moves parameters and buffers to `device`. An optimiser's state follows at its next step.
    ///
    /// # Errors
    /// When the device cannot be used in this build or on this machine.
    fn to_device(&mut self, device: &Device) -> Result<()> {
        convert(parts_mut(self), &|x| x.to_device(device))
    }

    /// The tree of modules with the shapes of what they hold, for printing.
    fn summary(&self) -> Summary {
        Summary::of(&parts(self))
    }
}

/// Is `name` the prefix itself or something under it?
///
/// ```
/// use gradus_nn::is_under;
/// assert!(is_under("encoder.fc1.weight", "encoder.fc1"));
/// assert!(!is_under("encoder.fc10.weight", "encoder.fc1"));
/// ```
pub fn is_under(name: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('.').unwrap_or(prefix);
    match name.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}

fn set_frozen<M: Module + ?Sized>(module: &mut M, prefix: &str, frozen: bool) -> usize {
    let mut count = 0;
    module.visit_mut(&mut Path::default(), &mut |path, part| {
        if let PartMut::Param(param) = part
            && is_under(path.as_str(), prefix)
        {
            param.set_frozen(frozen);
            count += 1;
        }
    });
    count
}

/// All parts with their paths. What is done with them is then compiled once, and not for every type of module.
fn parts<M: Module + ?Sized>(module: &M) -> Vec<(Path, Part<'_>)> {
    let mut parts = Vec::new();
    module.visit(&mut Path::default(), &mut |path, part| {
        parts.push((path.clone(), part));
    });
    parts
}

/// Puts `f` of it in the place of each parameter's and each buffer's tensor.
fn convert(parts: Vec<(String, PartMut<'_>)>, f: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    for (name, part) in parts {
        match part {
            PartMut::Param(param) => {
                let data = f(param.data()).map_err(|e| e.in_layer(name.as_str()))?;
                param.set(data).map_err(|e| e.in_layer(name))?;
            }
            PartMut::Buffer(buffer) => {
                let data = f(&buffer.get()).map_err(|e| e.in_layer(name))?;
                buffer.set(data);
            }
            PartMut::Mode(_) => {}
        }
    }
    Ok(())
}

/// All parts by `&mut`, with their names, so that a loop over them can use `?`.
fn parts_mut<M: Module + ?Sized>(module: &mut M) -> Vec<(String, PartMut<'_>)> {
    let mut parts = Vec::new();
    module.visit_mut(&mut Path::default(), &mut |path, part| {
        parts.push((path.to_string(), part));
    });
    parts
}

impl<M: Module> Module for Option<M> {}
impl<M: Module> Module for Vec<M> {}
impl<M: Module + ?Sized> Module for Box<M> {}
impl<M: Module, const N: usize> Module for [M; N] {}
impl<A: Module, B: Module> Module for (A, B) {}
