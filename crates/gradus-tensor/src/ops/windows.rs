//! Views that strides of one's own make: windows that overlap, diagonals, and any layout within the storage.

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::shape::{Shape, Small, resolve_dim};
use crate::tensor::Tensor;

impl Tensor {
    /// Windows of `size` every `step` along `dim`, in a new last dimension; a view.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], 4)?;
    /// assert_eq!(x.unfold(0, 3, 1)?.to_vec::<f64>()?, [1.0, 2.0, 3.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The window is larger than the dimension, or the step is 0.
    pub fn unfold(&self, dim: isize, size: usize, step: usize) -> Result<Tensor> {
        let d = resolve_dim("unfold", dim, self.shape())?;
        let n = self.dims().get(d).copied().unwrap_or(1);
        if step == 0 || size > n {
            let message = format!(
                "size {size}, step {step} on dim {dim} of size {n}: the size must not exceed it and the step must be above 0"
            );
            return Err(Error::value("unfold", message));
        }
        let mut layout = self.layout.clone();
        if self.rank() == 0 {
            layout.shape.0.push(size);
            layout.strides.push(1);
            return Ok(self.with_layout(layout));
        }
        let stride = layout.strides[d];
        let count = (n - size) / step + 1;
        layout.shape.0[d] = count;
        layout.strides[d] = if count > 1 {
            stride.wrapping_mul(step as isize)
        } else {
            stride
        };
        layout.shape.0.push(size);
        layout.strides.push(stride);
        layout.shape.numel().map_err(|e| e.in_op("unfold"))?;
        Ok(self.with_layout(layout))
    }

    /// The diagonal of dimensions `dim1`, `dim2`, in a new last dimension; `offset` above 0 is above the main one.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.diagonal(0, 0, 1)?.to_vec::<f64>()?, [1.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The dimensions are the same or do not exist.
    pub fn diagonal(&self, offset: i64, dim1: isize, dim2: isize) -> Result<Tensor> {
        if self.rank() < 2 {
            return Err(Error::shape(
                "diagonal",
                format!("shape {} has fewer than 2 dimensions", self.shape()),
            ));
        }
        let (a, b) = (
            resolve_dim("diagonal", dim1, self.shape())?,
            resolve_dim("diagonal", dim2, self.shape())?,
        );
        if a == b {
            return Err(Error::value(
                "diagonal",
                format!("dims {dim1} and {dim2} are the same dimension"),
            ));
        }
        let skip = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let (rows, cols) = (self.dims()[a], self.dims()[b]);
        let (r0, c0) = if offset >= 0 { (0, skip) } else { (skip, 0) };
        let len = rows.saturating_sub(r0).min(cols.saturating_sub(c0));
        let mut layout = self.layout.clone();
        let (sa, sb) = (layout.strides[a], layout.strides[b]);
        if len > 0 && self.numel() > 0 {
            layout.offset = (layout.offset as isize + r0 as isize * sa + c0 as isize * sb) as usize;
        }
        for d in [a.max(b), a.min(b)] {
            layout.shape.0.remove(d);
            layout.strides.remove(d);
        }
        layout.shape.0.push(len);
        layout.strides.push(sa.wrapping_add(sb));
        Ok(self.with_layout(layout))
    }

    /// The storage under any shape, strides and offset (in elements, from the start of the storage).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.as_strided([2, 2], &[1, 1], None)?.to_vec::<f64>()?, [1.0, 2.0, 2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Some index would fall outside the storage.
    pub fn as_strided(
        &self,
        shape: impl Into<Shape>,
        strides: &[isize],
        offset: Option<usize>,
    ) -> Result<Tensor> {
        let shape = shape.into();
        if shape.rank() != strides.len() {
            return Err(Error::shape(
                "as_strided",
                format!(
                    "shape {shape} has {} dims but there are {} strides",
                    shape.rank(),
                    strides.len()
                ),
            ));
        }
        let numel = shape.numel().map_err(|e| e.in_op("as_strided"))?;
        let layout = Layout {
            shape,
            strides: Small::new(strides),
            offset: offset.unwrap_or(self.layout.offset),
        };
        let have = self.storage_bytes() / self.dtype().size();
        let fits = if numel == 0 {
            layout.offset <= have
        } else {
            layout
                .bounds()
                .is_some_and(|(low, high)| low >= 0 && (high as usize) < have)
        };
        if !fits {
            let message = format!(
                "shape {}, strides {strides:?}, offset {} reach outside the storage of {have} elements",
                layout.shape, layout.offset
            );
            return Err(Error::index("as_strided", message));
        }
        Ok(self.with_layout(layout))
    }
}
