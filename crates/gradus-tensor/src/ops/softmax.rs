//! Softmax and its logarithm along one dimension, each beside its gradient.

use gradus_cpu::softmax;

use crate::error::{Error, Result};
use crate::ops::nn::same_float;
use crate::ops::reduce::plan_one;
use crate::tensor::Tensor;

macro_rules! forward {
    ($name:ident, $x:expr, $dim:expr) => {{
        let op = stringify!($name);
        let dtype = same_float(op, &[("the input", $x)])?;
        let (x, d, _) = plan_one(op, $x, $dim, true)?;
        on_cuda!([x] => cuda::reduce::softmax(op, &x, d, op.starts_with("log"))?.reshape_to($x.shape()));
        dispatch!(float dtype, T => {
            let v = x.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, $x.shape(), |y| Ok(softmax::$name(v, d, y)?))
        }, else Err(Error::dtype(op, "not a float")))
    }};
}

macro_rules! backward {
    ($name:ident, $dy:expr, $y:expr, $dim:expr) => {{
        let op = stringify!($name);
        let dtype = same_float(op, &[("the gradient", $dy), ("the output", $y)])?;
        if $dy.shape() != $y.shape() {
            return Err(Error::shape(op, format!("gradient {} and output {} differ", $dy.shape(), $y.shape())));
        }
        let (dy, d, _) = plan_one(op, $dy, $dim, true)?;
        let (y, _, _) = plan_one(op, $y, $dim, true)?;
        on_cuda!([dy, y] => cuda::reduce::softmax_backward(op, &dy, &y, d, op.starts_with("log"))?.reshape_to($dy.shape()));
        dispatch!(float dtype, T => {
            let (dy, y) = (dy.kernel_view::<T>()?, y.kernel_view::<T>()?);
            Tensor::try_build::<T>(op, $dy.shape(), |dx| Ok(softmax::$name(dy, y, d, dx)?))
        }, else Err(Error::dtype(op, "not a float")))
    }};
}

impl Tensor {
    /// eˣ / Σ eˣ along `dim`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0f32, 0.0, 1000.0], 3)?;
    /// assert_eq!(x.softmax(-1)?.to_vec::<f32>()?, [0.0, 0.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, or the elements are not floats.
    pub fn softmax(&self, dim: isize) -> Result<Tensor> {
        forward!(softmax, self, dim)
    }

    /// The gradient of [`Tensor::softmax`]'s input from that of its output (`self`) and the output `y`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let y = Tensor::from_slice(&[0.0, 0.0], 2)?.softmax(0)?; // [0.5, 0.5]
    /// let x = Tensor::from_slice(&[1.0, 0.0], 2)?;
    /// assert_eq!(x.softmax_backward(&y, 0)?.to_vec::<f64>()?, [0.25, -0.25]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes differ.
    pub fn softmax_backward(&self, y: &Tensor, dim: isize) -> Result<Tensor> {
        backward!(softmax_backward, self, y, dim)
    }

    /// x − ln Σ eˣ along `dim`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 0.0], 2)?;
    /// let expected = Tensor::from_slice(&[-0.693147, -0.693147], 2)?;
    /// assert!(x.log_softmax(0)?.reshape(2)?.allclose(&expected, 1e-5, 1e-6, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::softmax`].
    pub fn log_softmax(&self, dim: isize) -> Result<Tensor> {
        forward!(log_softmax, self, dim)
    }

    /// The gradient of [`Tensor::log_softmax`]'s input from that of its output (`self`) and the output `y`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let y = Tensor::from_slice(&[0.0, 0.0], 2)?.log_softmax(0)?;
    /// let x = Tensor::from_slice(&[1.0, 0.0], 2)?;
    /// let expected = Tensor::from_slice(&[0.5, -0.5], 2)?;
    /// assert!(x.log_softmax_backward(&y, 0)?.reshape(2)?.allclose(&expected, 1e-5, 1e-6, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes differ.
    pub fn log_softmax_backward(&self, y: &Tensor, dim: isize) -> Result<Tensor> {
        backward!(log_softmax_backward, self, y, dim)
    }

    /// e⁻ˣ / Σ e⁻ˣ along `dim`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 1000.0], 2)?;
    /// assert_eq!(x.softmin(0)?.to_vec::<f64>()?, [1.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::softmax`].
    pub fn softmin(&self, dim: isize) -> Result<Tensor> {
        self.neg()?.softmax(dim).map_err(|e| e.in_op("softmin"))
    }
}
