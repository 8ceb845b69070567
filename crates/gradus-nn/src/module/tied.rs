//! One parameter under two names, as PyTorch's tied weights: `lm_head.weight` is `transformer.wte.weight`.
//!
//! A parameter has one owner here, who hands it to whoever else computes with it (`self.transformer.wte.weight.var()`);
//! the second name is left to be said, for checkpoints. So it is counted, trained and converted once.

use super::{Part, PartMut, Path, Visit};

/// A second name of a parameter. A field of a module, with `#[module(flatten)]`; the names start at that module.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Embedding, Module, Tied};
/// use gradus_tensor::{Result, Tensor};
///
/// #[derive(Module)]
/// struct Echo {
///     wte: Embedding,
///     #[module(flatten)]
///     head: Tied,
/// }
///
/// impl Echo {
///     fn forward(&self, ids: &Tensor) -> Result<Var> {
///         self.wte.forward(ids)?.linear(self.wte.weight.var(), None) // (B, T) to (B, T, V)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let echo = Echo { wte: Embedding::new(10, 4)?, head: Tied::new("lm_head.weight", "wte.weight") };
/// assert_eq!(echo.num_params(), 40);
/// let names: Vec<String> = echo.state_dict().into_keys().collect();
/// assert_eq!(names, ["lm_head.weight", "wte.weight"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tied {
    name: String,
    of: String,
}

impl Tied {
    /// `name` is another name of the parameter `of`.
    pub fn new(name: impl Into<String>, of: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            of: of.into(),
        }
    }

    /// Both names from the root, seen from the module at `path`: the second one, and the parameter's own.
    pub(super) fn names(&self, path: &Path) -> (String, String) {
        let mut path = path.clone();
        let name = path.enter(&self.name).to_string();
        (name, path.enter(&self.of).to_string())
    }
}

impl Visit for Tied {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        f(path, Part::Tied(self));
    }
    fn visit_mut<'a>(&'a mut self, _: &mut Path, _: &mut dyn FnMut(&Path, PartMut<'a>)) {}
}
