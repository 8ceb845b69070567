//! Views: the same storage under another layout. Nothing here copies, but `reshape` when strides cannot say it.

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ops::reshape_to::ReshapeTo;
use crate::shape::{Dims, Shape, resolve_dim};
use crate::tensor::Tensor;

impl Tensor {
    /// `len` elements of `dim` from `start` on; shape `[.., len, ..]`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], 4)?;
    /// assert_eq!(x.narrow(0, 1, 2)?.to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They do not fit in the dimension.
    pub fn narrow(&self, dim: isize, start: i64, len: usize) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.narrow(dim, start, len)?))
    }

    /// The elements with one index along `dim`, which disappears.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.select(0, -1)?.to_vec::<f64>()?, [3.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The index is out of range.
    pub fn select(&self, dim: isize, index: i64) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.select(dim, index)?))
    }

    /// Every `step`-th element of `start..end` along `dim`; ends clamp and count from the back when negative, as in
    /// Python. A negative step walks backwards.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::arange(0, 6, 1, DType::I64)?;
    /// assert_eq!(x.slice(0, 1, 100, 2)?.to_vec::<i64>()?, [1, 3, 5]);
    /// assert_eq!(x.slice(0, None, None, -1)?.to_vec::<i64>()?, [5, 4, 3, 2, 1, 0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The step is 0 or there is no such dimension.
    pub fn slice(
        &self,
        dim: isize,
        start: impl Into<Option<i64>>,
        end: impl Into<Option<i64>>,
        step: i64,
    ) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.slice(dim, start.into(), end.into(), step)?))
    }

    /// The same elements in row-major order under another shape; one size may be -1. A view where strides allow.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let y = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], 4)?.reshape([2, -1])?;
    /// assert_eq!(y.dims(), [2, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The number of elements differs.
    pub fn reshape(&self, shape: impl ReshapeTo) -> Result<Tensor> {
        let shape = shape.resolve("reshape", self.shape())?;
        self.reshape_to(&shape)
    }

    /// As [`Tensor::reshape`], never a copy.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert!(x.view([-1])?.shares_storage(&x));
    /// assert!(x.t()?.view([-1]).is_err()); // the order of the elements would have to change
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The number of elements differs, or strides cannot express the shape.
    pub fn view(&self, shape: impl ReshapeTo) -> Result<Tensor> {
        let shape = shape.resolve("view", self.shape())?;
        let layout = self.layout.view(&shape).ok_or_else(|| {
            let message = format!(
                "{} with strides {:?} cannot be seen as {shape} without a copy; use reshape",
                self.shape(),
                self.strides()
            );
            Error::shape("view", message)
        })?;
        Ok(self.with_layout(layout))
    }

    pub(crate) fn reshape_to(&self, shape: &Shape) -> Result<Tensor> {
        shape.numel()?; // of an empty tensor's shape the rest can overflow
        if let Some(layout) = self.layout.view(shape) {
            return Ok(self.with_layout(layout));
        }
        Ok(self.copy()?.with_layout(Layout::contiguous(shape.clone())))
    }

    /// This tensor in the shape of `other`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], 4)?.reshape_as(&Tensor::from_slice(&[0.0, 0.0, 0.0, 0.0], [2, 2])?)?.dims(), [2, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The number of elements differs.
    pub fn reshape_as(&self, other: &Tensor) -> Result<Tensor> {
        self.reshape(other.dims())
    }

    /// Dimensions in a new order.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::zeros([2, 3, 4], DType::F32)?;
    /// assert_eq!(x.permute(&[2, 0, 1])?.dims(), [4, 2, 3]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `dims` does not name each dimension once.
    pub fn permute(&self, dims: &[isize]) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.permute(dims)?))
    }

    /// Two dimensions exchanged.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.transpose(0, 1)?.to_vec::<f64>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn transpose(&self, d0: isize, d1: isize) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.transpose(d0, d1)?))
    }

    /// The transposed matrix; rank 0 and 1 are unchanged.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.t()?.to_vec::<f64>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank is above 2 (use `transpose` or `permute`).
    pub fn t(&self) -> Result<Tensor> {
        match self.rank() {
            0 | 1 => Ok(self.clone()),
            2 => self.transpose(0, 1),
            _ => Err(Error::shape(
                "t",
                format!(
                    "shape {} has more than 2 dimensions; use transpose(d0, d1)",
                    self.shape()
                ),
            )),
        }
    }

    /// The last two dimensions exchanged: `x.mT`.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::zeros([5, 2, 3], DType::F32)?;
    /// assert_eq!(x.mt()?.dims(), [5, 3, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are fewer than 2 dimensions.
    pub fn mt(&self) -> Result<Tensor> {
        if self.rank() < 2 {
            return Err(Error::shape(
                "mt",
                format!("shape {} has fewer than 2 dimensions", self.shape()),
            ));
        }
        self.transpose(-2, -1)
    }

    /// Some dimensions moved to new places, the others keeping their order.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::zeros([2, 3, 4], DType::F32)?;
    /// assert_eq!(x.movedim(0, -1)?.dims(), [3, 4, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The lists differ in length, repeat a dimension or name one that does not exist.
    pub fn movedim(&self, source: impl Into<Dims>, destination: impl Into<Dims>) -> Result<Tensor> {
        let (Dims::List(from), Dims::List(to)) = (source.into(), destination.into()) else {
            return Err(Error::value(
                "movedim",
                "name the dimensions; `..` is not accepted",
            ));
        };
        if from.len() != to.len() {
            return Err(Error::value(
                "movedim",
                format!("{} source dims but {} destinations", from.len(), to.len()),
            ));
        }
        let real = |list: &[isize]| {
            list.iter()
                .map(|&d| resolve_dim("movedim", d, self.shape()))
                .collect::<Result<Vec<_>>>()
        };
        let (from, to) = (real(&from)?, real(&to)?);
        let repeats = |list: &[usize]| list.iter().enumerate().any(|(i, d)| list[..i].contains(d));
        if repeats(&from) || repeats(&to) {
            return Err(Error::value(
                "movedim",
                format!("a dim repeats in {from:?} or {to:?}"),
            ));
        }
        if self.rank() == 0 {
            return Ok(self.clone());
        }
        let mut order: Vec<Option<usize>> = vec![None; self.rank()];
        from.iter().zip(&to).for_each(|(&f, &t)| order[t] = Some(f));
        let mut rest = (0..self.rank()).filter(|d| !from.contains(d));
        let order: Vec<isize> = order
            .into_iter()
            .map(|d| d.or_else(|| rest.next()).unwrap_or(0) as isize)
            .collect();
        self.permute(&order)
    }

    /// Dimensions of size 1 removed: all with `..`, else those named that have size 1.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::zeros([1, 3, 1], DType::F32)?;
    /// assert_eq!(x.squeeze(..)?.dims(), [3]);
    /// assert_eq!(x.squeeze(0)?.dims(), [3, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn squeeze(&self, dims: impl Into<Dims>) -> Result<Tensor> {
        let axes = match dims.into() {
            Dims::List(list) if list.is_empty() => return Ok(self.clone()),
            dims => dims.resolve("squeeze", self.shape())?,
        };
        let mut layout = self.layout.clone();
        for &d in axes.iter().rev().filter(|&&d| self.dims()[d] == 1) {
            layout.shape.0.remove(d);
            layout.strides.remove(d);
        }
        Ok(self.with_layout(layout))
    }

    /// A new dimension of size 1 at `dim`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from_slice(&[1.0, 2.0], 2)?.unsqueeze(-1)?.dims(), [2, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `dim` is outside `-rank-1..=rank`.
    pub fn unsqueeze(&self, dim: isize) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.unsqueeze(dim)?))
    }

    /// Stretched to a larger shape without copying; sizes of 1 stretch, -1 keeps a size, new dimensions go in front.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], [2, 1])?;
    /// assert_eq!(x.expand([2, 3])?.to_vec::<f64>()?, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A size other than 1 would have to change.
    pub fn expand(&self, shape: impl ReshapeTo) -> Result<Tensor> {
        let sizes = shape.sizes();
        let lead = sizes.len().checked_sub(self.rank());
        let resolved = lead.and_then(|lead| {
            let keep = |(i, &n): (usize, &isize)| match usize::try_from(n) {
                Ok(n) => Some(n),
                Err(_) if n == -1 && i >= lead => Some(self.dims()[i - lead]),
                Err(_) => None,
            };
            sizes
                .iter()
                .enumerate()
                .map(keep)
                .collect::<Option<Vec<usize>>>()
        });
        let Some(shape) = resolved else {
            return Err(Error::shape(
                "expand",
                format!("{} cannot expand to {sizes:?}", self.shape()),
            ));
        };
        Ok(self.with_layout(
            self.layout
                .broadcast_to(&Shape::new(&shape))
                .map_err(|e| e.in_op("expand"))?,
        ))
    }

    /// Stretched to `shape` by broadcasting, without copying.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.broadcast_to([2, 2])?.to_vec::<f64>()?, [1.0, 2.0, 1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.broadcast_to(&shape.into())?))
    }

    /// The shape of `other` by broadcasting.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.expand_as(&Tensor::from_slice(&[0.0, 0.0, 0.0, 0.0], [2, 2])?)?.to_vec::<f64>()?, [1.0, 2.0, 1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast to that of `other`.
    pub fn expand_as(&self, other: &Tensor) -> Result<Tensor> {
        self.broadcast_to(other.shape())
    }

    /// Dimensions reversed, without copying.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.flip(1)?.to_vec::<f64>()?, [2.0, 1.0, 4.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, or one repeats.
    pub fn flip(&self, dims: impl Into<Dims>) -> Result<Tensor> {
        let axes = match dims.into() {
            Dims::List(list) if list.is_empty() => return Ok(self.clone()),
            dims => dims.resolve("flip", self.shape())?,
        };
        Ok(self.with_layout(self.layout.flip(&axes)))
    }

    /// Dimensions `start..=end` joined into one.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::zeros([2, 3, 4], DType::F32)?;
    /// assert_eq!(x.flatten(1, -1)?.dims(), [2, 12]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, or `start` comes after `end`.
    pub fn flatten(&self, start: isize, end: isize) -> Result<Tensor> {
        let (a, b) = (
            resolve_dim("flatten", start, self.shape())?,
            resolve_dim("flatten", end, self.shape())?,
        );
        if self.rank() == 0 {
            return self.reshape_to(&Shape::from(1));
        }
        if a > b {
            return Err(Error::value(
                "flatten",
                format!(
                    "start dim {start} comes after end dim {end} in shape {}",
                    self.shape()
                ),
            ));
        }
        let mut dims = self.dims()[..a].to_vec();
        dims.push(Shape::new(&self.dims()[a..=b]).numel()?);
        dims.extend_from_slice(&self.dims()[b + 1..]);
        self.reshape_to(&Shape::from(dims))
    }

    /// One dimension split into several; one size may be -1.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::zeros([2, 12], DType::F32)?;
    /// assert_eq!(x.unflatten(1, [3, -1])?.dims(), [2, 3, 4]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The sizes do not multiply to the dimension.
    pub fn unflatten(&self, dim: isize, sizes: impl ReshapeTo) -> Result<Tensor> {
        let d = resolve_dim("unflatten", dim, self.shape())?;
        if self.rank() == 0 {
            return Err(Error::shape(
                "unflatten",
                "a rank-0 tensor has no dimension to split",
            ));
        }
        if sizes.sizes().is_empty() {
            return Err(Error::value("unflatten", "the list of sizes is empty"));
        }
        let inner = sizes.resolve("unflatten", &Shape::from(self.dims()[d]))?;
        let mut dims = self.dims()[..d].to_vec();
        dims.extend_from_slice(&inner);
        dims.extend_from_slice(&self.dims()[d + 1..]);
        self.reshape_to(&Shape::from(dims))
    }
}
