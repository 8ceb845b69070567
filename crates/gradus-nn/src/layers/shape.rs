//! Layers that compute nothing: [`Identity`], [`Flatten`], [`Unflatten`]. Source: `torch.nn`.

use gradus_autograd::Var;
use gradus_tensor::Result;

use crate::layer::Layer;
use crate::module::Module;

/// Passes its input on.
#[derive(Clone, Copy, Debug, Default, Module)]
pub struct Identity;

impl Layer for Identity {
    fn forward(&self, x: &Var) -> Result<Var> {
        Ok(x.clone())
    }
}

/// Makes one dimension of several: (B, C, H, W) to (B, C·H·W) by default.
#[derive(Clone, Copy, Debug, Module)]
pub struct Flatten {
    /// The first dimension of the run (1).
    pub start_dim: isize,
    /// The last dimension of the run (-1).
    pub end_dim: isize,
}

impl Flatten {
    /// All but the first dimension.
    pub fn new() -> Self {
        Self {
            start_dim: 1,
            end_dim: -1,
        }
    }
}

impl Default for Flatten {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for Flatten {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.flatten(self.start_dim, self.end_dim)
    }
}

/// Makes several dimensions of one: `Unflatten::new(1, [16, 5, 5])` takes (B, 400) to (B, 16, 5, 5).
#[derive(Clone, Debug, Module)]
pub struct Unflatten {
    /// The dimension that is taken apart.
    pub dim: isize,
    /// What it becomes; one of them may be -1.
    pub sizes: Vec<isize>,
}

impl Unflatten {
    /// Takes `dim` apart into `sizes`.
    pub fn new(dim: isize, sizes: impl Into<Vec<isize>>) -> Self {
        Self {
            dim,
            sizes: sizes.into(),
        }
    }
}

impl Layer for Unflatten {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.unflatten(self.dim, self.sizes.as_slice())
    }
}
