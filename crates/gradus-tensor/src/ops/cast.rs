//! Conversion between dtypes.

use crate::dtype::DType;
use crate::error::Result;
use crate::tensor::Tensor;

impl Tensor {
    /// The elements converted: floats round once, floats to whole numbers truncate and saturate (NaN gives 0), whole
    /// numbers wrap, anything but 0 is true.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::from_slice(&[1.9f32, -1.9, 0.0], 3)?;
    /// assert_eq!(x.to_dtype(DType::I64)?.to_vec::<i64>()?, [1, -1, 0]);
    /// assert_eq!(x.to_dtype(DType::Bool)?.to_vec::<bool>()?, [true, true, false]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        on_cuda!([self] => cuda::copy::cast(self, dtype));
        dispatch!(self.dtype(), A => {
            let x = self.kernel_view::<A>()?;
            dispatch!(dtype, B => Tensor::try_build::<B>("to_dtype", self.shape(), |y| Ok(gradus_cpu::cast::cast(x, y)?)))
        })
    }

    /// This tensor in the dtype of `other`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1i64, 2], 2)?;
    /// assert_eq!(x.type_as(&Tensor::from_slice(&[0.5], 1)?)?.to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn type_as(&self, other: &Tensor) -> Result<Tensor> {
        self.to_dtype(other.dtype())
    }
}
