//! Layer, RMS, group and batch normalisation, forward and backward.
//!
//! Statistics (mean, rstd = 1/√(var + eps)) are in the compute type (`f32` for half precision). Formulas as in PyTorch:
//! the variance is that of the population. Sums over rows are taken in pieces that depend on sizes alone, so gradients
//! are bitwise the same for any number of threads.
//!
//! With x̂ = (x − mean)·rstd and g = dy·w, for a group of n elements that share their statistics:
//! dx = rstd·(g − mean(g) − x̂·mean(g·x̂)), dw = Σ dy·x̂, db = Σ dy.

mod batch;
mod group;
mod kernels;
mod layer;

pub use batch::{batch_norm, batch_norm_backward, batch_norm_stats};
pub use group::{group_norm, group_norm_backward};
pub use layer::{layer_norm, layer_norm_backward, rms_norm, rms_norm_backward};

use crate::{Element, Error, FloatElement, Result, View};

/// What a normalisation is multiplied by and what is added, one value for each element or channel.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a, T> {
    /// w, 1 if there is none.
    pub weight: Option<&'a [T]>,
    /// b, 0 if there is none.
    pub bias: Option<&'a [T]>,
}

impl<T> Default for Affine<'_, T> {
    fn default() -> Self {
        Self {
            weight: None,
            bias: None,
        }
    }
}

/// Where the gradients by input, weight and bias go; the latter two may be left out.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// By the input, of its shape.
    pub dx: &'a mut [T],
    /// By the weight.
    pub dweight: Option<&'a mut [T]>,
    /// By the bias.
    pub dbias: Option<&'a mut [T]>,
}

impl<T: FloatElement> Gradients<'_, T> {
    /// Stores Σ dy·x̂ and Σ dy where they are wanted.
    fn store(&mut self, dw: &[T::Compute], db: &[T::Compute]) {
        if let Some(out) = &mut self.dweight {
            T::store(dw, out);
        }
        if let Some(out) = &mut self.dbias {
            T::store(db, out);
        }
    }

    fn check(&self, op: &'static str, len: usize, params: usize) -> Result<()> {
        crate::error::check_len(op, "dx", self.dx.len(), len)?;
        for (name, slice) in [("dweight", &self.dweight), ("dbias", &self.dbias)] {
            if let Some(slice) = slice {
                crate::error::check_len(op, name, slice.len(), params)?;
            }
        }
        Ok(())
    }
}

impl<T> Affine<'_, T> {
    fn check(&self, op: &'static str, params: usize) -> Result<()> {
        for (name, slice) in [("the weight", self.weight), ("the bias", self.bias)] {
            if let Some(slice) = slice {
                crate::error::check_len(op, name, slice.len(), params)?;
            }
        }
        Ok(())
    }
}

/// (N, C, S) of a view (N, C, …).
fn channels<T>(op: &'static str, x: &View<'_, T>) -> Result<(usize, usize, usize)> {
    match x.shape() {
        [n, c, rest @ ..] => Ok((*n, *c, rest.iter().fold(1, |p, &d| p.saturating_mul(d)))),
        shape => Err(Error::shape(
            op,
            format!("the input is (N, C, …), not {shape:?}"),
        )),
    }
}

/// 1/√(var + eps), in `f64` until the end.
fn rstd_of<T: FloatElement>(var: T::Compute, eps: f64) -> T::Compute {
    Element::from_f64(1.0 / (var.cast::<f64>() + eps).sqrt())
}
