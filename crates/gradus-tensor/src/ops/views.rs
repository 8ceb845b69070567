//! Views: the same storage under another layout. Nothing here copies, but `reshape` when strides cannot say it.

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::shape::{Dims, Shape, Small, resolve_dim};
use crate::tensor::Tensor;

impl Tensor {
    /// `len` elements of `dim` from `start` on; shape `[.., len, ..]`.
    ///
    /// # Errors
    /// They do not fit in the dimension.
    pub fn narrow(&self, dim: isize, start: i64, len: usize) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.narrow(dim, start, len)?))
    }

    /// The elements with one index along `dim`, which disappears.
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
    /// # Errors
    /// The number of elements differs.
    pub fn reshape(&self, shape: impl ReshapeTo) -> Result<Tensor> {
        let shape = shape.resolve("reshape", self.shape())?;
        self.reshape_to(&shape)
    }

    /// As [`Tensor::reshape`], never a copy.
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
        if let Some(layout) = self.layout.view(shape) {
            return Ok(self.with_layout(layout));
        }
        Ok(self.copy()?.with_layout(Layout::contiguous(shape.clone())))
    }

    /// This tensor in the shape of `other`.
    pub fn reshape_as(&self, other: &Tensor) -> Result<Tensor> {
        self.reshape(other.dims())
    }

    /// Dimensions in a new order.
    ///
    /// # Errors
    /// `dims` does not name each dimension once.
    pub fn permute(&self, dims: &[isize]) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.permute(dims)?))
    }

    /// Two dimensions exchanged.
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn transpose(&self, d0: isize, d1: isize) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.transpose(d0, d1)?))
    }

    /// The transposed matrix; rank 0 and 1 are unchanged.
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
    /// # Errors
    /// `dim` is outside `-rank-1..=rank`.
    pub fn unsqueeze(&self, dim: isize) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.unsqueeze(dim)?))
    }

    /// Stretched to a larger shape without copying; sizes of 1 stretch, -1 keeps a size, new dimensions go in front.
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
    /// # Errors
    /// The shapes do not broadcast.
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        Ok(self.with_layout(self.layout.broadcast_to(&shape.into())?))
    }

    /// The shape of `other` by broadcasting.
    pub fn expand_as(&self, other: &Tensor) -> Result<Tensor> {
        self.broadcast_to(other.shape())
    }

    /// Dimensions reversed, without copying.
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

    /// Windows of `size` every `step` along `dim`, in a new last dimension; a view.
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
        let have = self.buffer().bytes().len() / self.dtype().size();
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

/// What `reshape`, `view` and `expand` take: sizes, of which one may be -1. `[2, -1]`, `&[isize]`, `Vec`, `&[usize]`, `Shape`.
pub trait ReshapeTo {
    /// The sizes as given.
    fn sizes(&self) -> Vec<isize>;

    /// The shape, with -1 worked out from the number of elements.
    ///
    /// # Errors
    /// The number of elements does not match.
    fn resolve(&self, op: &'static str, from: &Shape) -> Result<Shape> {
        let sizes = self.sizes();
        let numel = from.numel()?;
        let fail =
            |why: &str| Error::shape(op, format!("{from} ({numel} elements) to {sizes:?}: {why}"));
        let mut unknown = None;
        let mut dims = Vec::with_capacity(sizes.len());
        for (i, &n) in sizes.iter().enumerate() {
            match usize::try_from(n) {
                Ok(n) => dims.push(n),
                Err(_) if n == -1 && unknown.is_none() => {
                    unknown = Some(i);
                    dims.push(1);
                }
                Err(_) => return Err(fail("only one size may be -1, and none below it")),
            }
        }
        let known = Shape::new(&dims).numel().map_err(|e| e.in_op(op))?;
        if let Some(i) = unknown {
            if known == 0 || !numel.is_multiple_of(known) {
                return Err(fail("the size for -1 cannot be worked out"));
            }
            dims[i] = numel / known;
        } else if known != numel {
            return Err(fail(&format!("the new shape has {known} elements")));
        }
        Ok(Shape::from(dims))
    }
}

macro_rules! reshape_to {
    ($($t:ty),*) => {$(
        impl ReshapeTo for $t {
            fn sizes(&self) -> Vec<isize> {
                self.iter().map(|&n| isize::try_from(n).unwrap_or(isize::MAX)).collect()
            }
        }
    )*};
}
reshape_to!(
    &[isize],
    &[usize],
    Vec<isize>,
    Vec<usize>,
    &Vec<usize>,
    &Vec<isize>,
    Shape,
    &Shape,
    &[i32],
    &[i64],
    Vec<i64>,
    &Vec<i64>
);

macro_rules! reshape_to_array {
    ($($t:ty),*) => {$(
        impl<const N: usize> ReshapeTo for [$t; N] {
            fn sizes(&self) -> Vec<isize> {
                self.iter().map(|&n| isize::try_from(n).unwrap_or(isize::MAX)).collect()
            }
        }
        impl<const N: usize> ReshapeTo for &[$t; N] {
            fn sizes(&self) -> Vec<isize> {
                self.iter().map(|&n| isize::try_from(n).unwrap_or(isize::MAX)).collect()
            }
        }
    )*};
}
reshape_to_array!(isize, usize, i32, i64);

impl ReshapeTo for () {
    fn sizes(&self) -> Vec<isize> {
        Vec::new()
    }
}

impl ReshapeTo for usize {
    fn sizes(&self) -> Vec<isize> {
        vec![isize::try_from(*self).unwrap_or(isize::MAX)]
    }
}
