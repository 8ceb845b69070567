//! Reductions over dimensions: `sum`, `mean`, `var`, `all`, `logsumexp`, `norm`, … Those that choose are `extreme.rs`.
//!
//! `dims` is `..` for all, one number, or a list; `keepdim` leaves reduced dimensions with size 1. The kernels add in a
//! fixed tree: results are bitwise the same with any number of threads.

use gradus_cpu::reduce;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::{Dims, Shape, resolve_dim};
use crate::tensor::Tensor;

/// The reduced axes and the shape of the result.
pub(crate) fn plan(
    op: &'static str,
    x: &Tensor,
    dims: &Dims,
    keepdim: bool,
) -> Result<(Vec<usize>, Shape)> {
    let axes = dims.resolve(op, x.shape())?;
    let shape = x
        .dims()
        .iter()
        .enumerate()
        .filter(|(d, _)| keepdim || !axes.contains(d));
    let shape: Vec<usize> = shape
        .map(|(d, &n)| if axes.contains(&d) { 1 } else { n })
        .collect();
    Ok((axes, Shape::from(shape)))
}

/// A tensor with at least one dimension, the real dimension, and the shape of the result once it is reduced.
pub(crate) fn plan_one(
    op: &'static str,
    x: &Tensor,
    dim: isize,
    keepdim: bool,
) -> Result<(Tensor, usize, Shape)> {
    let d = resolve_dim(op, dim, x.shape())?;
    if x.rank() == 0 {
        return Ok((x.unsqueeze(0)?, 0, Shape::from(())));
    }
    let mut shape = x.shape().clone();
    if keepdim {
        shape.0[d] = 1;
    } else {
        shape.0.remove(d);
    }
    Ok((x.clone(), d, shape))
}

fn float(op: &'static str, x: &Tensor) -> Result<()> {
    if x.dtype().is_float() {
        return Ok(());
    }
    Err(Error::dtype(
        op,
        format!(
            "{} is not a float; convert with to_dtype(DType::F32) first",
            x.dtype()
        ),
    ))
}

// `dims` may be written in many ways, and each would be compiled with all dtypes: so the work is a function inside, which takes `Dims`.

macro_rules! float_reduction {
    ($op:literal, $x:expr, $dims:expr, $keepdim:expr, $($number:ident,)? |$v:ident, $axes:ident, $y:ident| $body:expr,
        cuda |$t:ident, $shape:ident| $device:expr) => {{
        fn over($t: &Tensor, dims: &Dims, keepdim: bool, $($number: f64)?) -> Result<Tensor> {
            let x = $t;
            float($op, x)?;
            let ($axes, $shape) = plan($op, x, dims, keepdim)?;
            let $axes = $axes.as_slice();
            on_cuda!([x] => $device);
            let shape = $shape;
            dispatch!(float x.dtype(), T => {
                let $v = x.kernel_view::<T>()?;
                Tensor::try_build::<T>($op, shape, |$y| Ok($body?))
            }, else Err(Error::dtype($op, "not a float")))
        }
        over($x, &$dims.into(), $keepdim, $($number)?)
    }};
}

macro_rules! reduction {
    ($op:ident, $x:expr, $dims:expr, $keepdim:expr, $T:ident => $out:ty) => {{
        fn over(x: &Tensor, dims: &Dims, keepdim: bool) -> Result<Tensor> {
            let (axes, shape) = plan(stringify!($op), x, dims, keepdim)?;
            on_cuda!([x] => cuda::reduce::reduction(stringify!($op), x, &axes, &shape));
            dispatch!(x.dtype(), $T => {
                let v = x.kernel_view::<$T>()?;
                Tensor::try_build::<$out>(stringify!($op), shape, |y| Ok(reduce::$op::<$T>(v, &axes, y)?))
            })
        }
        over($x, &$dims.into(), $keepdim)
    }};
}

impl Tensor {
    /// The sum over `dims`; bool and whole numbers add up in i64.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1f32, 2., 3., 4., 5., 6.], [2, 3])?;
    /// assert_eq!(x.sum(.., false)?.item::<f32>()?, 21.0);
    /// assert_eq!(x.sum(-1, false)?.to_vec::<f32>()?, [6.0, 15.0]);
    /// assert_eq!(x.sum([0, 1], true)?.dims(), [1, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats.
    pub fn sum(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        reduction!(sum, self, dims, keepdim, T => <T as gradus_cpu::Element>::Sum)
    }

    /// The product over `dims`; bool and whole numbers multiply in i64, wrapping.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.prod(1, false)?.to_vec::<f64>()?, [2.0, 12.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats.
    pub fn prod(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        reduction!(prod, self, dims, keepdim, T => <T as gradus_cpu::Element>::Sum)
    }

    /// The mean over `dims`; NaN of nothing.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.mean(0, false)?.to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats, or the elements are not floats.
    pub fn mean(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        float_reduction!(
            "mean",
            self,
            dims,
            keepdim,
            |v, axes, y| reduce::mean(v, axes, y),
            cuda | x,
            shape | cuda::reduce::reduction("mean", x, axes, &shape)
        )
    }

    /// The variance over `dims`: Σ(x − mean)²/(n − correction). PyTorch's default correction is 1.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 3.0, 5.0, 9.0], [2, 2])?;
    /// assert_eq!(x.var(1, 1.0, false)?.to_vec::<f64>()?, [2.0, 8.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats, or the elements are not floats.
    pub fn var(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> Result<Tensor> {
        float_reduction!(
            "var",
            self,
            dims,
            keepdim,
            correction,
            |v, axes, y| reduce::var(v, axes, correction, None, y),
            cuda | x,
            shape | cuda::reduce::var(x, axes, correction, &shape)
        )
    }

    /// The standard deviation over `dims`: the root of [`Tensor::var`].
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 2.0, 4.0], 3)?;
    /// assert_eq!(x.std(.., 1.0, false)?.to_vec::<f64>()?, [2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::var`].
    pub fn std(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> Result<Tensor> {
        self.var(dims, correction, keepdim)
            .map_err(|e| e.in_op("std"))?
            .sqrt_()
    }

    /// Variance and mean over `dims`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (var, mean) = Tensor::from_slice(&[0.0, 2.0, 4.0], 3)?.var_mean(.., 1.0, false)?;
    /// assert_eq!(var.to_vec::<f64>()?, [4.0]);
    /// assert_eq!(mean.to_vec::<f64>()?, [2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::var`].
    pub fn var_mean(
        &self,
        dims: impl Into<Dims>,
        correction: f64,
        keepdim: bool,
    ) -> Result<(Tensor, Tensor)> {
        let dims = dims.into();
        Ok((
            self.var(&dims, correction, keepdim)?,
            self.mean(&dims, keepdim)?,
        ))
    }

    /// Standard deviation and mean over `dims`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (std, mean) = Tensor::from_slice(&[0.0, 2.0, 4.0], 3)?.std_mean(.., 1.0, false)?;
    /// assert_eq!(std.to_vec::<f64>()?, [2.0]);
    /// assert_eq!(mean.to_vec::<f64>()?, [2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::var`].
    pub fn std_mean(
        &self,
        dims: impl Into<Dims>,
        correction: f64,
        keepdim: bool,
    ) -> Result<(Tensor, Tensor)> {
        let (var, mean) = self.var_mean(dims, correction, keepdim)?;
        Ok((var.sqrt_()?, mean))
    }

    /// ln Σ eˣ over `dims`, without overflow.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 0.0], 2)?;
    /// let expected = Tensor::from_slice(&[0.693147], 1)?;
    /// assert!(x.logsumexp(0, false)?.reshape(1)?.allclose(&expected, 1e-5, 1e-6, false)?);
    /// let x = Tensor::from_slice(&[1000.0, 1000.0], 2)?;
    /// let expected = Tensor::from_slice(&[1000.693147], 1)?;
    /// assert!(x.logsumexp(0, false)?.reshape(1)?.allclose(&expected, 1e-5, 1e-6, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats, or the elements are not floats.
    pub fn logsumexp(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        let x = self.to_dtype(self.dtype().to_float())?;
        float_reduction!(
            "logsumexp",
            &x,
            dims,
            keepdim,
            |v, axes, y| reduce::logsumexp(v, axes, y),
            cuda | x,
            shape | cuda::reduce::logsumexp(x, axes, &shape)
        )
    }

    /// The p-norm over `dims` (`torch.linalg.vector_norm`): (Σ|x|ᵖ)^(1/p); ±∞ and 0 are the largest and smallest
    /// magnitude and the number of elements that are not 0.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[3.0, -4.0], 2)?;
    /// assert_eq!(x.norm(2.0, .., false)?.to_vec::<f64>()?, [5.0]);
    /// assert_eq!(x.norm(f64::INFINITY, .., false)?.to_vec::<f64>()?, [4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats, the elements are not floats, or there are none and p is infinite.
    pub fn norm(&self, p: f64, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        float_reduction!(
            "norm",
            self,
            dims,
            keepdim,
            p,
            |v, axes, y| reduce::norm(v, axes, p, y),
            cuda | x,
            shape | cuda::reduce::norm(x, axes, p, &shape)
        )
    }

    /// The p-norm of the difference of two tensors.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.dist(&Tensor::from_slice(&[4.0, 6.0], 2)?, 2.0)?.to_vec::<f64>()?, [5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn dist(&self, other: &Tensor, p: f64) -> Result<Tensor> {
        self.sub(other)
            .and_then(|d| d.norm(p, .., false))
            .map_err(|e| e.in_op("dist"))
    }

    /// The sum over `dims`, NaN counting as 0.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, f64::NAN, 3.0], 3)?;
    /// assert_eq!(x.nansum(.., false)?.to_vec::<f64>()?, [4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats.
    pub fn nansum(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        self.nan_to_num(0.0, f64::INFINITY, f64::NEG_INFINITY)?
            .sum(dims, keepdim)
            .map_err(|e| e.in_op("nansum"))
    }

    /// The mean over `dims` of the elements that are not NaN.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, f64::NAN, 3.0], 3)?;
    /// assert_eq!(x.nanmean(.., false)?.to_vec::<f64>()?, [2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats, or the elements are not floats.
    pub fn nanmean(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        float("nanmean", self)?;
        let dims = dims.into();
        let count = self
            .isnan()?
            .logical_not()?
            .sum(&dims, keepdim)?
            .to_dtype(self.dtype())?;
        self.nansum(&dims, keepdim)?.div_(&count)
    }

    /// Are all elements over `dims` other than 0? True of none.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 0.0, 1.0, 1.0], [2, 2])?;
    /// assert_eq!(x.all(1, false)?.to_vec::<bool>()?, [false, true]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats.
    pub fn all(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        reduction!(all, self, dims, keepdim, T => bool)
    }

    /// Is any element over `dims` other than 0? False of none.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 0.0, 0.0, 0.0], [2, 2])?;
    /// assert_eq!(x.any(1, false)?.to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats.
    pub fn any(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        reduction!(any, self, dims, keepdim, T => bool)
    }

    /// How many elements over `dims` are not 0; i64.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 0.0, 1.0, 1.0], [2, 2])?;
    /// assert_eq!(x.count_nonzero(1)?.to_vec::<i64>()?, [1, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats.
    pub fn count_nonzero(&self, dims: impl Into<Dims>) -> Result<Tensor> {
        reduction!(count_nonzero, self, dims, false, T => i64)
    }

    /// The sum of the diagonal of a matrix.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.trace()?.to_vec::<f64>()?, [5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The tensor is not a matrix.
    pub fn trace(&self) -> Result<Tensor> {
        if self.rank() != 2 {
            return Err(Error::shape(
                "trace",
                format!("shape {} is not a matrix", self.shape()),
            ));
        }
        self.diagonal(0, 0, 1)?.sum(.., false)
    }
}

/// Values and i64 indices of one shape, written together.
pub(crate) fn pair<T: crate::Element>(
    op: &'static str,
    shape: &Shape,
    f: impl FnOnce(&mut [T], &mut [i64]) -> Result<()>,
) -> Result<(Tensor, Tensor)> {
    let mut indices = crate::ops::join::uninit(op, shape, DType::I64)?;
    let values = indices.with_mut_slice::<i64, _>(|indices| {
        Tensor::try_build::<T>(op, shape, |values| f(values, indices))
    })??;
    Ok((values, indices))
}
