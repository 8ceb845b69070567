//! Running results along one dimension: `cumsum`, `cummax`, …, and differences.

use gradus_cpu::reduce;

use crate::error::{Error, Result};
use crate::ops::reduce::{pair, plan_one};
use crate::tensor::Tensor;

macro_rules! running_sum {
    ($name:ident, $x:expr, $dim:expr) => {{
        let (x, d, _) = plan_one(stringify!($name), $x, $dim, true)?;
        on_cuda!([x] => cuda::scan::running(stringify!($name), &x, d, $x.shape()));
        dispatch!(x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            Tensor::try_build::<<T as gradus_cpu::Element>::Sum>(stringify!($name), $x.shape(), |y| Ok(reduce::$name::<T>(v, d, y)?))
        })
    }};
}

macro_rules! running_extreme {
    ($name:ident, $x:expr, $dim:expr) => {{
        let (x, d, _) = plan_one(stringify!($name), $x, $dim, true)?;
        on_cuda!([x] => cuda::scan::extreme(stringify!($name), &x, d, $x.shape(), stringify!($name) == "cummin"));
        dispatch!(x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            pair::<T>(stringify!($name), $x.shape(), |values, indices| Ok(reduce::$name(v, d, values, indices)?))
        })
    }};
}

impl Tensor {
    /// Sums up to and including each element along `dim`; whole numbers add up in i64.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1f32, 2., 3.], 3)?;
    /// assert_eq!(x.cumsum(0)?.to_vec::<f32>()?, [1., 3., 6.]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn cumsum(&self, dim: isize) -> Result<Tensor> {
        running_sum!(cumsum, self, dim)
    }

    /// Products up to and including each element along `dim`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.cumprod(0)?.to_vec::<f64>()?, [1.0, 2.0, 6.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn cumprod(&self, dim: isize) -> Result<Tensor> {
        running_sum!(cumprod, self, dim)
    }

    /// The largest so far along `dim`, and the index of its last occurrence: `(values, i64 indices)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (values, at) = Tensor::from_slice(&[1.0, 3.0, 2.0], 3)?.cummax(0)?;
    /// assert_eq!(values.to_vec::<f64>()?, [1.0, 3.0, 3.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [0, 1, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn cummax(&self, dim: isize) -> Result<(Tensor, Tensor)> {
        running_extreme!(cummax, self, dim)
    }

    /// The smallest so far along `dim`, and the index of its last occurrence: `(values, i64 indices)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (values, at) = Tensor::from_slice(&[3.0, 1.0, 2.0], 3)?.cummin(0)?;
    /// assert_eq!(values.to_vec::<f64>()?, [3.0, 1.0, 1.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [0, 1, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn cummin(&self, dim: isize) -> Result<(Tensor, Tensor)> {
        running_extreme!(cummin, self, dim)
    }

    /// ln of the running sum of eˣ along `dim`, without overflow.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 0.0], 2)?;
    /// let expected = Tensor::from_slice(&[0.0, 0.693147], 2)?;
    /// assert!(x.logcumsumexp(0)?.reshape(2)?.allclose(&expected, 1e-5, 1e-6, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, or the elements are not floats.
    pub fn logcumsumexp(&self, dim: isize) -> Result<Tensor> {
        let op = "logcumsumexp";
        let (x, d, _) = plan_one(op, self, dim, true)?;
        on_cuda!([x] => cuda::scan::running(op, &x, d, self.shape()));
        dispatch!(float x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, self.shape(), |y| Ok(reduce::logcumsumexp(v, d, y)?))
        }, else Err(Error::dtype(op, format!("{} is not a float; convert with to_dtype(DType::F32) first", x.dtype()))))
    }

    /// Differences of neighbours along `dim`, taken `n` times, after joining `prepend` and `append`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 4.0, 9.0], 3)?;
    /// assert_eq!(x.diff(1, 0, None, None)?.to_vec::<f64>()?, [3.0, 5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, `n` is negative, or the shapes do not join.
    pub fn diff(
        &self,
        n: i64,
        dim: isize,
        prepend: Option<&Tensor>,
        append: Option<&Tensor>,
    ) -> Result<Tensor> {
        if n < 0 {
            return Err(Error::value("diff", format!("order {n} is negative")));
        }
        if self.rank() == 0 {
            return Err(Error::shape(
                "diff",
                "a rank-0 tensor has no neighbours; it takes at least one dimension",
            ));
        }
        if n == 0 {
            return Ok(self.clone());
        }
        let parts: Vec<&Tensor> = prepend.into_iter().chain([self]).chain(append).collect();
        let mut x = if parts.len() == 1 {
            self.clone()
        } else {
            Tensor::cat(&parts, dim).map_err(|e| e.in_op("diff"))?
        };
        let size = x.dim(dim)?;
        let n = usize::try_from(n).unwrap_or(usize::MAX).min(size);
        if x.numel() == 0 {
            // At once: a dimension beside an empty one can be of any size.
            return x.narrow(dim, 0, size - n);
        }
        for _ in 0..n {
            let size = x.dim(dim)?;
            if size == 0 {
                break;
            }
            let (high, low) = (x.narrow(dim, 1, size - 1)?, x.narrow(dim, 0, size - 1)?);
            x = if x.dtype() == crate::DType::Bool {
                high.logical_xor(&low)?
            } else {
                high.sub(&low)?
            };
        }
        Ok(x)
    }
}
