//! Conversion between dtypes.

use crate::dtype::DType;
use crate::element::Element;
use crate::error::Result;
use crate::tensor::Tensor;

impl Tensor {
    /// The elements converted: floats round once, floats to whole numbers truncate and saturate, anything but 0 is true.
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        let x = self.contiguous()?;
        dispatch!(self.dtype(), A => {
            let x = x.data::<A>("to_dtype")?;
            dispatch!(dtype, B => Tensor::build::<B>("to_dtype", self.shape(), |y| {
                let whole = !A::DTYPE.is_float();
                for (y, x) in y.iter_mut().zip(x) {
                    *y = if whole { B::from_i64(x.to_i64()) } else { B::from_f64(x.to_f64()) };
                }
            }))
        })
    }
}
