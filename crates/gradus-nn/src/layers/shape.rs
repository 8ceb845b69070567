//! Layers that compute nothing: [`Identity`], [`Flatten`], [`Unflatten`], and the shuffles between channels and space.
//! Source: `torch.nn`.

use gradus_autograd::{Var, functional as F};
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

/// Channels to space: (…, C r², H, W) to (…, C, H r, W r) (Shi et al. 2016, arXiv:1609.05158).
#[derive(Clone, Copy, Debug, Module)]
pub struct PixelShuffle {
    /// r
    pub upscale_factor: usize,
}

impl Layer for PixelShuffle {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::pixel_shuffle(x, self.upscale_factor)
    }
}

/// Space to channels: (…, C, H r, W r) to (…, C r², H, W).
#[derive(Clone, Copy, Debug, Module)]
pub struct PixelUnshuffle {
    /// r
    pub downscale_factor: usize,
}

impl Layer for PixelUnshuffle {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::pixel_unshuffle(x, self.downscale_factor)
    }
}

/// Channels (B, C, …) in groups, dealt out one from each group in turn (Zhang et al. 2018, arXiv:1707.01083).
#[derive(Clone, Copy, Debug, Module)]
pub struct ChannelShuffle {
    /// It divides C.
    pub groups: usize,
}

impl Layer for ChannelShuffle {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::channel_shuffle(x, self.groups)
    }
}
