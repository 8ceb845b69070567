//! Where something holds: `nonzero`, `masked_select`, `masked_scatter`.

use gradus_cpu::Element as _;

use crate::error::{Error, Result};
use crate::ops::operand::broadcast_all;
use crate::tensor::Tensor;

impl Tensor {
    /// The indices of elements that are not 0, one row each: i64 `[count, rank]`, in row-major order.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0f32, 2.0, 3.0, 0.0], [2, 2])?;
    /// assert_eq!(x.nonzero()?.to_vec::<i64>()?, [0, 1, 1, 0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn nonzero(&self) -> Result<Tensor> {
        on_cuda!([self] => cuda::scan::nonzero("nonzero", self, self.dims()));
        let at = self.nonzero_positions()?;
        let (rank, dims) = (self.rank(), self.dims());
        Tensor::build::<i64>("nonzero", [at.len(), rank], |y| {
            for (y, &at) in y.chunks_exact_mut(rank.max(1)).zip(&at) {
                let mut rest = at;
                for d in (0..rank).rev() {
                    y[d] = (rest % dims[d]) as i64;
                    rest /= dims[d];
                }
            }
        })
    }

    /// [`Tensor::nonzero`] as one vector of indices for each dimension: i64 `[count]` each.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let at = Tensor::from_slice(&[0.0, 5.0, 7.0, 0.0], [2, 2])?.nonzero_tuple()?;
    /// assert_eq!(at[0].to_vec::<i64>()?, [0, 1]);
    /// assert_eq!(at[1].to_vec::<i64>()?, [1, 0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn nonzero_tuple(&self) -> Result<Vec<Tensor>> {
        let x = if self.rank() == 0 {
            self.unsqueeze(0)?
        } else {
            self.clone()
        };
        x.nonzero()?.unbind(1)
    }

    /// Row-major positions of elements that are not 0.
    pub(crate) fn nonzero_positions(&self) -> Result<Vec<usize>> {
        let x = self.contiguous()?;
        dispatch!(x.dtype(), T => {
            let x = x.data::<T>("nonzero")?;
            Ok(x.iter().enumerate().filter(|(_, x)| **x != T::ZERO).map(|(i, _)| i).collect())
        })
    }

    /// The elements where `mask` holds, as a vector; both broadcast.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.masked_select(&x.gt_scalar(1.5)?)?.to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `mask` is not bool, or the shapes do not broadcast.
    pub fn masked_select(&self, mask: &Tensor) -> Result<Tensor> {
        mask.expect_bool("masked_select")?;
        let shape = broadcast_all(
            "masked_select",
            &[self.shape().clone(), mask.shape().clone()],
        )?;
        on_cuda!([self, mask] => {
            let at = cuda::scan::nonzero("masked_select", &mask.broadcast_to(&shape)?, &[shape.numel()?])?;
            let all = self.broadcast_to(&shape)?.flatten(0, -1)?;
            all.index_select(0, &at.flatten(0, -1)?).map_err(|e| e.in_op("masked_select"))
        });
        let at = mask.broadcast_to(&shape)?.nonzero_positions()?;
        self.broadcast_to(&shape)?
            .flatten(0, -1)?
            .select_rows("masked_select", 0, &at)
    }

    /// A copy where the elements under `mask` are those of `source`, taken in order.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.masked_scatter(&x.gt_scalar(1.5)?, &Tensor::from_slice(&[8.0, 9.0], 2)?)?.to_vec::<f64>()?, [1.0, 8.0, 9.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `mask` is not bool, dtypes differ, or `source` has too few elements.
    pub fn masked_scatter(&self, mask: &Tensor, source: &Tensor) -> Result<Tensor> {
        let op = "masked_scatter";
        mask.expect_bool(op)?;
        let shape = broadcast_all(op, &[self.shape().clone(), mask.shape().clone()])?;
        let mask = mask.broadcast_to(&shape)?;
        let at = mask.flatten(0, -1)?.nonzero()?.flatten(0, -1)?;
        let n = at.numel();
        if source.numel() < n {
            return Err(Error::shape(
                op,
                format!(
                    "the mask selects {n} elements but the source has {}",
                    source.numel()
                ),
            ));
        }
        let source = source.flatten(0, -1)?.narrow(0, 0, n)?;
        self.broadcast_to(&shape)?
            .put(&at, &source, false)
            .map_err(|e| e.in_op(op))
    }
}
