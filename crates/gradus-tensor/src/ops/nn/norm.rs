//! Normalisations in one pass, each beside its gradients: over the last elements (`layer_norm`, `rms_norm`), over groups of
//! channels, over the batch. Statistics are kept in f32 for 16-bit floats.

use gradus_cpu::norm::{self, Affine, Gradients};

use super::same_float;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::ops::join::uninit;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// A normalised tensor and the statistics its gradient needs, one of each for every row, group or channel.
#[derive(Clone, Debug)]
pub struct Normalized {
    /// The result, of the input's shape.
    pub y: Tensor,
    /// Means; empty for `rms_norm`.
    pub mean: Tensor,
    /// 1/√(var + eps).
    pub rstd: Tensor,
}

/// The gradients of a normalisation; by weight and bias where they exist.
#[derive(Clone, Debug)]
pub struct NormGradients {
    /// By the input.
    pub dx: Tensor,
    /// By the weight.
    pub dweight: Option<Tensor>,
    /// By the bias.
    pub dbias: Option<Tensor>,
}

/// Weight and bias, checked and contiguous.
struct Params {
    weight: Option<Tensor>,
    bias: Option<Tensor>,
}

impl Params {
    fn new(
        op: &'static str,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        shape: &[usize],
    ) -> Result<Params> {
        let mut operands = vec![("the input", x)];
        operands.extend(weight.map(|w| ("the weight", w)));
        operands.extend(bias.map(|b| ("the bias", b)));
        same_float(op, &operands)?;
        if let Some((name, p)) = operands[1..].iter().find(|(_, p)| p.dims() != shape) {
            let expected = Shape::from(shape);
            return Err(Error::shape(
                op,
                format!(
                    "input {}: {name} has shape {}, not {expected}",
                    x.shape(),
                    p.shape()
                ),
            ));
        }
        let own = |p: Option<&Tensor>| p.map(Tensor::contiguous).transpose();
        Ok(Params {
            weight: own(weight)?,
            bias: own(bias)?,
        })
    }

    fn affine<T: Element>(&self, op: &'static str) -> Result<Affine<'_, T>> {
        Ok(Affine {
            weight: self.weight.as_ref().map(|p| p.data::<T>(op)).transpose()?,
            bias: self.bias.as_ref().map(|p| p.data::<T>(op)).transpose()?,
        })
    }
}

/// The dtype of statistics.
fn stats_dtype(x: &Tensor) -> DType {
    if x.dtype() == DType::F64 {
        DType::F64
    } else {
        DType::F32
    }
}

/// Runs a forward kernel `|y, mean, rstd|` with `count` statistics.
macro_rules! forward {
    ($op:expr, $x:expr, $T:ident, $count:expr, |$y:ident, $mean:ident, $rstd:ident| $body:expr) => {{
        let stats = Shape::from($count);
        let (mut mean, mut rstd) = (
            uninit($op, &stats, stats_dtype($x))?,
            uninit($op, &stats, stats_dtype($x))?,
        );
        let y = mean.with_mut_slice(|$mean| {
            rstd.with_mut_slice(|$rstd| Tensor::try_build::<$T>($op, $x.shape(), |$y| Ok($body?)))
        })???;
        Ok(Normalized { y, mean, rstd })
    }};
}

/// Runs a backward kernel with somewhere to write its gradients.
macro_rules! backward {
    ($op:expr, $x:expr, $T:ident, $params:expr, $bias:expr, |$out:ident| $body:expr) => {{
        let like = |p: bool| p.then(|| uninit($op, &$params, $x.dtype())).transpose();
        let (mut dweight, mut dbias) = (like($bias.0)?, like($bias.1)?);
        let dx = {
            let (dw, db) = (
                dweight.as_mut().and_then(Tensor::as_mut_slice::<$T>),
                dbias.as_mut().and_then(Tensor::as_mut_slice::<$T>),
            );
            Tensor::try_build::<$T>($op, $x.shape(), |dx| {
                let $out = Gradients {
                    dx,
                    dweight: dw,
                    dbias: db,
                };
                Ok($body?)
            })?
        };
        Ok(NormGradients { dx, dweight, dbias })
    }};
}

fn not_float<R>(op: &'static str) -> Result<R> {
    Err(Error::dtype(op, "not a float"))
}

/// Rows of `normalized_shape`: their length and number.
fn rows(op: &'static str, x: &Tensor, normalized_shape: &[usize]) -> Result<(usize, usize)> {
    if normalized_shape.is_empty() || !x.dims().ends_with(normalized_shape) {
        let message = format!(
            "normalized_shape {normalized_shape:?} must be the last sizes of the input {}",
            x.shape()
        );
        return Err(Error::shape(op, message));
    }
    let n = normalized_shape.iter().product();
    Ok((
        n,
        x.dims()[..x.rank() - normalized_shape.len()]
            .iter()
            .product(),
    ))
}

/// The number of channels of (B, C, ..).
fn channels(op: &'static str, x: &Tensor) -> Result<usize> {
    x.dims().get(1).copied().ok_or_else(|| {
        Error::shape(
            op,
            format!("the input has shape {}; it takes (B, C, ..)", x.shape()),
        )
    })
}

fn same_shape(op: &'static str, dy: &Tensor, x: &Tensor) -> Result<()> {
    same_float(op, &[("the gradient", dy), ("the input", x)])?;
    if dy.shape() == x.shape() {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!("gradient {} and input {} differ", dy.shape(), x.shape()),
    ))
}

impl Tensor {
    /// (x − mean)/√(var + eps)·weight + bias over the last dimensions, of sizes `normalized_shape`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1f32, 3.0, -5.0, 5.0], [2, 2])?;
    /// assert_eq!(x.layer_norm(&[2], None, None, 0.0)?.y.to_vec::<f32>()?, [-1., 1., -1., 1.]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or the elements are not floats.
    pub fn layer_norm(
        &self,
        normalized_shape: &[usize],
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Normalized> {
        let op = "layer_norm";
        let (n, count) = rows(op, self, normalized_shape)?;
        let params = Params::new(op, self, weight, bias, normalized_shape)?;
        on_cuda!([self] => cuda::norm::rows(op, self, (n, count), weight, bias, eps, true));
        dispatch!(float self.dtype(), T => {
            let (x, affine) = (self.kernel_view::<T>()?, params.affine::<T>(op)?);
            forward!(op, self, T, count, |y, mean, rstd| norm::layer_norm(x, n, affine, eps, y, mean, rstd))
        }, else not_float(op))
    }

    /// The gradients of [`Tensor::layer_norm`] from that of its output (`self`), its input and its result.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 3.0, -5.0, 5.0], [2, 2])?;
    /// let forward = x.layer_norm(&[2], None, None, 0.0)?;
    /// let dy = Tensor::from_slice(&[1.0, 1.0, 1.0, 1.0], [2, 2])?; // moving a row as a whole changes nothing
    /// assert_eq!(dy.layer_norm_backward(&x, &[2], None, &forward)?.dx.to_vec::<f64>()?, [0.0; 4]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn layer_norm_backward(
        &self,
        x: &Tensor,
        normalized_shape: &[usize],
        weight: Option<&Tensor>,
        forward: &Normalized,
    ) -> Result<NormGradients> {
        let op = "layer_norm_backward";
        same_shape(op, self, x)?;
        let (n, _) = rows(op, x, normalized_shape)?;
        let params = Params::new(op, x, weight, None, normalized_shape)?;
        let shape = Shape::from(normalized_shape);
        on_cuda!([self, x] => cuda::norm::rows_backward(op, self, x, n, &shape, weight, forward, true));
        dispatch!(float x.dtype(), T => {
            let (dy, v, w) = (self.kernel_view::<T>()?, x.kernel_view::<T>()?, params.affine::<T>(op)?.weight);
            let (mean, rstd) = (forward.mean.data(op)?, forward.rstd.data(op)?);
            backward!(op, x, T, shape, (true, true), |out| norm::layer_norm_backward(dy, v, n, w, mean, rstd, out))
        }, else not_float(op))
    }

    /// x/√(mean(x²) + eps)·weight over the last dimensions, of sizes `normalized_shape`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 7.0], [1, 2])?; // the root mean square is 5
    /// let expected = Tensor::from_slice(&[0.2, 1.4], [1, 2])?;
    /// assert!(x.rms_norm(&[2], None, 0.0)?.y.allclose(&expected, 1e-12, 0.0, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::layer_norm`].
    pub fn rms_norm(
        &self,
        normalized_shape: &[usize],
        weight: Option<&Tensor>,
        eps: f64,
    ) -> Result<Normalized> {
        let op = "rms_norm";
        let (n, count) = rows(op, self, normalized_shape)?;
        let params = Params::new(op, self, weight, None, normalized_shape)?;
        on_cuda!([self] => cuda::norm::rows(op, self, (n, count), weight, None, eps, false));
        dispatch!(float self.dtype(), T => {
            let (x, w) = (self.kernel_view::<T>()?, params.affine::<T>(op)?.weight);
            let mut rstd = uninit(op, &Shape::from(count), stats_dtype(self))?;
            let y = rstd.with_mut_slice(|rstd| Tensor::try_build::<T>(op, self.shape(), |y| Ok(norm::rms_norm(x, n, w, eps, y, rstd)?)))??;
            Ok(Normalized { y, mean: Tensor::zeros(0, rstd.dtype())?, rstd })
        }, else not_float(op))
    }

    /// The gradients of [`Tensor::rms_norm`] from that of its output (`self`), its input and its result.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 7.0], [1, 2])?;
    /// let forward = x.rms_norm(&[2], None, 0.0)?;
    /// let dx = x.rms_norm_backward(&x, &[2], None, &forward)?.dx; // scaling a row changes nothing
    /// assert!(dx.to_vec::<f64>()?.iter().all(|dx| dx.abs() < 1e-12));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn rms_norm_backward(
        &self,
        x: &Tensor,
        normalized_shape: &[usize],
        weight: Option<&Tensor>,
        forward: &Normalized,
    ) -> Result<NormGradients> {
        let op = "rms_norm_backward";
        same_shape(op, self, x)?;
        let (n, _) = rows(op, x, normalized_shape)?;
        let params = Params::new(op, x, weight, None, normalized_shape)?;
        let shape = Shape::from(normalized_shape);
        on_cuda!([self, x] => cuda::norm::rows_backward(op, self, x, n, &shape, weight, forward, false));
        dispatch!(float x.dtype(), T => {
            let (dy, v, w) = (self.kernel_view::<T>()?, x.kernel_view::<T>()?, params.affine::<T>(op)?.weight);
            let rstd = forward.rstd.data(op)?;
            backward!(op, x, T, shape, (true, false), |out| norm::rms_norm_backward(dy, v, n, w, rstd, out))
        }, else not_float(op))
    }

    /// [`Tensor::layer_norm`] over `groups` groups of channels: x (B, C, ..), weight and bias (C).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 3.0, -5.0, 5.0], [1, 4])?; // (B, C), two groups of two channels
    /// assert_eq!(x.group_norm(2, None, None, 0.0)?.y.to_vec::<f64>()?, [-1.0, 1.0, -1.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The groups do not divide the channels, or shapes or dtypes do not fit.
    pub fn group_norm(
        &self,
        groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Normalized> {
        let op = "group_norm";
        let c = channels(op, self)?;
        let params = Params::new(op, self, weight, bias, &[c])?;
        on_cuda!([self] => cuda::norm::group_norm(op, self, groups, weight, bias, eps));
        let count = self.dims()[0].saturating_mul(groups);
        dispatch!(float self.dtype(), T => {
            let (x, affine) = (self.kernel_view::<T>()?, params.affine::<T>(op)?);
            forward!(op, self, T, count, |y, mean, rstd| norm::group_norm(x, groups, affine, eps, y, mean, rstd))
        }, else not_float(op))
    }

    /// The gradients of [`Tensor::group_norm`] from that of its output (`self`), its input and its result.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 3.0, -5.0, 5.0], [1, 4])?;
    /// let forward = x.group_norm(2, None, None, 0.0)?;
    /// let dy = Tensor::from_slice(&[1.0, 1.0, 1.0, 1.0], [1, 4])?;
    /// assert_eq!(dy.group_norm_backward(&x, 2, None, &forward)?.dx.to_vec::<f64>()?, [0.0; 4]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn group_norm_backward(
        &self,
        x: &Tensor,
        groups: usize,
        weight: Option<&Tensor>,
        forward: &Normalized,
    ) -> Result<NormGradients> {
        let op = "group_norm_backward";
        same_shape(op, self, x)?;
        let c = channels(op, x)?;
        let params = Params::new(op, x, weight, None, &[c])?;
        let shape = Shape::from(c);
        on_cuda!([self, x] => cuda::norm::group_norm_backward(op, self, x, groups, weight, forward));
        dispatch!(float x.dtype(), T => {
            let (dy, v, w) = (self.kernel_view::<T>()?, x.kernel_view::<T>()?, params.affine::<T>(op)?.weight);
            let (mean, rstd) = (forward.mean.data(op)?, forward.rstd.data(op)?);
            backward!(op, x, T, shape, (true, true), |out| norm::group_norm_backward(dy, v, groups, w, mean, rstd, out))
        }, else not_float(op))
    }

    /// The mean and the (population's) variance of each channel of (B, C, ..): `(C)` each, in f32 for 16-bit floats.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (mean, var) = Tensor::from_slice(&[1.0, 10.0, 3.0, 30.0], [2, 2])?.batch_norm_stats()?; // (B, C)
    /// assert_eq!(mean.to_vec::<f64>()?, [2.0, 20.0]);
    /// assert_eq!(var.to_vec::<f64>()?, [1.0, 100.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no channel dimension, or the elements are not floats.
    pub fn batch_norm_stats(&self) -> Result<(Tensor, Tensor)> {
        let op = "batch_norm";
        let shape = Shape::from(channels(op, self)?);
        on_cuda!([self] => cuda::norm::batch_norm_stats(self, self.dims()[1]));
        let (mut mean, mut var) = (
            uninit(op, &shape, stats_dtype(self))?,
            uninit(op, &shape, stats_dtype(self))?,
        );
        dispatch!(float self.dtype(), T => {
            let x = self.kernel_view::<T>()?;
            mean.with_mut_slice(|mean| var.with_mut_slice(|var| norm::batch_norm_stats(x, mean, var)))???;
            Ok((mean, var))
        }, else not_float(op))
    }

    /// (x − mean)·rstd·weight + bias, channel by channel: x (B, C, ..), everything else (C). `rstd` is 1/√(var + eps); it
    /// and `mean` have the dtype of [`Tensor::batch_norm_stats`].
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 3.0], 2)?;
    /// assert_eq!(x.unsqueeze(1)?.batch_norm(&Tensor::from_slice(&[2.0], 1)?, &Tensor::from_slice(&[0.5], 1)?, None, None)?.to_vec::<f64>()?, [-0.5, 0.5]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn batch_norm(
        &self,
        mean: &Tensor,
        rstd: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let op = "batch_norm";
        let params = Params::new(op, self, weight, bias, &[channels(op, self)?])?;
        on_cuda!([self, mean, rstd] => cuda::norm::batch_norm(self, mean, rstd, weight, bias));
        let (mean, rstd) = (mean.contiguous()?, rstd.contiguous()?);
        dispatch!(float self.dtype(), T => {
            let (x, affine) = (self.kernel_view::<T>()?, params.affine::<T>(op)?);
            let (mean, rstd) = (mean.data(op)?, rstd.data(op)?);
            Tensor::try_build::<T>(op, self.shape(), |y| Ok(norm::batch_norm(x, mean, rstd, affine, y)?))
        }, else not_float(op))
    }

    /// The gradients of [`Tensor::batch_norm`] from that of its output (`self`); with `training` the statistics are those
    /// of `x` itself and depend on it.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 3.0], [2, 1])?; // (B, C)
    /// let (mean, rstd) = (Tensor::from_slice(&[2.0], 1)?, Tensor::from_slice(&[1.0], 1)?);
    /// let dy = Tensor::from_slice(&[5.0, 7.0], [2, 1])?;
    /// let fixed = dy.batch_norm_backward(&x, &mean, &rstd, None, false)?; // with running statistics
    /// assert_eq!(fixed.dx.to_vec::<f64>()?, [5.0, 7.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn batch_norm_backward(
        &self,
        x: &Tensor,
        mean: &Tensor,
        rstd: &Tensor,
        weight: Option<&Tensor>,
        training: bool,
    ) -> Result<NormGradients> {
        let op = "batch_norm_backward";
        same_shape(op, self, x)?;
        let c = channels(op, x)?;
        let params = Params::new(op, x, weight, None, &[c])?;
        let shape = Shape::from(c);
        on_cuda!([self, x] => cuda::norm::batch_norm_backward(self, x, mean, rstd, weight, training));
        let (mean, rstd) = (mean.contiguous()?, rstd.contiguous()?);
        dispatch!(float x.dtype(), T => {
            let (dy, v, w) = (self.kernel_view::<T>()?, x.kernel_view::<T>()?, params.affine::<T>(op)?.weight);
            let (mean, rstd) = (mean.data(op)?, rstd.data(op)?);
            backward!(op, x, T, shape, (true, true), |out| norm::batch_norm_backward(dy, v, mean, rstd, w, training, out))
        }, else not_float(op))
    }
}
