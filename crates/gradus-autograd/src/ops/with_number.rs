//! Operations of two operands with a plain number for the second: `x.fmod_scalar(2.5)`.
//!
//! What it is: PyTorch's `x.fmod(2.5)`, which Rust's types keep apart from `x.fmod(&y)`. The number takes the dtype of the `Var`; it has no
//! gradient. What it is not: sums, products and powers, which have rules of their own (`arithmetic.rs`), or `clamp`; or a number for the
//! first operand: that is `Var::from(Tensor::scalar(2.5)).fmod(&x)`.

use gradus_tensor::{Result, Scalar, Tensor};

use crate::var::Var;

/// The number as a constant of rank 0.
fn constant(x: &Var, c: impl Into<Scalar>) -> Result<Var> {
    Tensor::scalar_of(c, x.dtype()).map(Var::from)
}

impl Var {
    /// [`Var::floor_divide`] by one number.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::floor_divide_scalar`](gradus_tensor::Tensor::floor_divide_scalar).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[7.0, -7.0], 2)?);
    /// assert_eq!(x.floor_divide_scalar(2)?.value().to_vec::<f64>()?, [3.0, -4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn floor_divide_scalar(&self, other: impl Into<Scalar>) -> Result<Var> {
        self.floor_divide(&constant(self, other)?)
    }

    /// [`Var::trunc_divide`] by one number.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::trunc_divide_scalar`](gradus_tensor::Tensor::trunc_divide_scalar).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[7.0, -7.0], 2)?);
    /// assert_eq!(x.trunc_divide_scalar(2)?.value().to_vec::<f64>()?, [3.0, -3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn trunc_divide_scalar(&self, other: impl Into<Scalar>) -> Result<Var> {
        self.trunc_divide(&constant(self, other)?)
    }

    /// [`Var::remainder`] of division by one number.
    ///
    /// Gradient: `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::remainder_scalar`](gradus_tensor::Tensor::remainder_scalar).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[7.0, -7.0], 2)?);
    /// assert_eq!(x.remainder_scalar(2)?.value().to_vec::<f64>()?, [1.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn remainder_scalar(&self, other: impl Into<Scalar>) -> Result<Var> {
        self.remainder(&constant(self, other)?)
    }

    /// [`Var::fmod`] of division by one number.
    ///
    /// Gradient: `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::fmod_scalar`](gradus_tensor::Tensor::fmod_scalar).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[7.0, -7.0], 2)?);
    /// assert_eq!(x.fmod_scalar(2.5)?.value().to_vec::<f64>()?, [2.0, -2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn fmod_scalar(&self, other: impl Into<Scalar>) -> Result<Var> {
        self.fmod(&constant(self, other)?)
    }

    /// [`Var::xlogy`] with one number: `self · ln c`.
    ///
    /// Gradient: `dy ln c` (0 where both are 0). Shapes, dtypes and errors are those of
    /// [`Tensor::xlogy_scalar`](gradus_tensor::Tensor::xlogy_scalar).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[0.0, 2.0], 2)?);
    /// assert_eq!(x.xlogy_scalar(1)?.value().to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn xlogy_scalar(&self, other: impl Into<Scalar>) -> Result<Var> {
        self.xlogy(&constant(self, other)?)
    }

    /// [`Var::copysign`] with the sign of one number.
    ///
    /// Gradient: `dy` with the sign that was given to `a` (0 where `a` is 0). Shapes, dtypes and errors are those of
    /// [`Tensor::copysign_scalar`](gradus_tensor::Tensor::copysign_scalar).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[1.0, -2.0], 2)?);
    /// assert_eq!(x.copysign_scalar(-0.0)?.value().to_vec::<f64>()?, [-1.0, -2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn copysign_scalar(&self, other: impl Into<Scalar>) -> Result<Var> {
        self.copysign(&constant(self, other)?)
    }

    /// [`Var::maximum`] with one number; half of `dy` at a tie, unlike [`Var::clamp_min`].
    ///
    /// Gradient: `dy` where `a` is larger, half of it where both are equal. Shapes, dtypes and errors are those of
    /// [`Tensor::maximum_scalar`](gradus_tensor::Tensor::maximum_scalar).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[1.0, 3.0], 2)?);
    /// assert_eq!(x.maximum_scalar(2)?.value().to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn maximum_scalar(&self, other: impl Into<Scalar>) -> Result<Var> {
        self.maximum(&constant(self, other)?)
    }

    /// [`Var::minimum`] with one number; half of `dy` at a tie, unlike [`Var::clamp_max`].
    ///
    /// Gradient: `dy` where `a` is smaller, half of it where both are equal. Shapes, dtypes and errors are those of
    /// [`Tensor::minimum_scalar`](gradus_tensor::Tensor::minimum_scalar).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[1.0, 3.0], 2)?);
    /// assert_eq!(x.minimum_scalar(2)?.value().to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn minimum_scalar(&self, other: impl Into<Scalar>) -> Result<Var> {
        self.minimum(&constant(self, other)?)
    }
}
