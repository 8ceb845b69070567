//! Other arrangements of the same elements.
//!
//! Reshape, permute and their like have inverses, and those are their rules. Views that show a part (narrow, slice,
//! select, diagonal, …) share one rule: the gradient is added through the same view into zeros.

use std::sync::Arc;

use gradus_tensor::ops::ReshapeTo;
use gradus_tensor::{Dims, Layout, Result, Shape, Tensor};

use crate::op::Op;
use crate::ops::reduce::sizes;
use crate::var::Var;

/// A function that gives a view of a tensor: what it shows depends only on the tensor's shape.
pub(crate) type View = Arc<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// The part of `x` that `view` shows.
pub(crate) fn part(op: &'static str, x: &Var, view: View) -> Result<Var> {
    let y = view(x.value())?;
    Op::new(op)
        .inputs(&[x])
        .record(y, move |ctx, dy| part_grad(ctx.shape(0), &dy, view.clone()))
}

/// The transpose of [`part`]: zeros of `shape`, with `dy` added where `view` looks.
fn part_grad(shape: &Shape, dy: &Var, view: View) -> Result<Var> {
    let dx = Tensor::zeros(shape, dy)?.add_to_view_(&*view, dy.value())?;
    Op::new("part_grad")
        .inputs(&[dy])
        .record(dx, move |_, d| part("part", &d, view.clone()))
}

/// `y` has the elements of `x` in the same order.
fn reshaped(op: &'static str, x: &Var, y: Tensor) -> Result<Var> {
    Op::new(op)
        .inputs(&[x])
        .record(y, |ctx, dy| dy.reshape(sizes(ctx.shape(0))))
}

impl Var {
    /// The same elements in row-major order under another shape; one size may be −1.
    ///
    /// Gradient: `dy` in the old shape. Shapes, dtypes and errors are those of
    /// [`Tensor::reshape`](gradus_tensor::Tensor::reshape).
    #[doc = slope!("x.reshape([4])?" => "1.0, 2.0, 3.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn reshape(&self, shape: impl ReshapeTo) -> Result<Var> {
        reshaped("reshape", self, self.value().reshape(shape)?)
    }

    /// [`Var::reshape`] that never copies: an error where strides do not allow it.
    ///
    /// Gradient: `dy` in the old shape. Shapes, dtypes and errors are those of
    /// [`Tensor::view`](gradus_tensor::Tensor::view).
    #[doc = slope!("x.view([-1])?" => "1.0, 2.0, 3.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn view(&self, shape: impl ReshapeTo) -> Result<Var> {
        reshaped("view", self, self.value().view(shape)?)
    }

    /// Joins dimensions `start` to `end` (both included) into one.
    ///
    /// Gradient: `dy` in the old shape. Shapes, dtypes and errors are those of
    /// [`Tensor::flatten`](gradus_tensor::Tensor::flatten).
    #[doc = slope!("x.flatten(0, -1)?" => "1.0, 2.0, 3.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn flatten(&self, start: isize, end: isize) -> Result<Var> {
        reshaped("flatten", self, self.value().flatten(start, end)?)
    }

    /// Splits dimension `dim` into several of these sizes; one may be −1.
    ///
    /// Gradient: `dy` in the old shape. Shapes, dtypes and errors are those of
    /// [`Tensor::unflatten`](gradus_tensor::Tensor::unflatten).
    #[doc = slope!("x.unflatten(0, [2, -1])?" => "1.0, 2.0, 3.0, 4.0"; "x", "[4]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn unflatten(&self, dim: isize, sizes: impl ReshapeTo) -> Result<Var> {
        reshaped("unflatten", self, self.value().unflatten(dim, sizes)?)
    }

    /// Removes those of `dims` that have size 1 (`..`: all that have).
    ///
    /// Gradient: `dy` in the old shape. Shapes, dtypes and errors are those of
    /// [`Tensor::squeeze`](gradus_tensor::Tensor::squeeze).
    #[doc = slope!("x.squeeze(0)?" => "1.0, 2.0"; "x", "[1, 2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn squeeze(&self, dims: impl Into<Dims>) -> Result<Var> {
        reshaped("squeeze", self, self.value().squeeze(dims)?)
    }

    /// A new dimension of size 1 at `dim`.
    ///
    /// Gradient: `dy` in the old shape. Shapes, dtypes and errors are those of
    /// [`Tensor::unsqueeze`](gradus_tensor::Tensor::unsqueeze).
    #[doc = slope!("x.unsqueeze(0)?" => "1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn unsqueeze(&self, dim: isize) -> Result<Var> {
        reshaped("unsqueeze", self, self.value().unsqueeze(dim)?)
    }

    /// Dimensions in a new order.
    ///
    /// Gradient: `dy` permuted back. Shapes, dtypes and errors are those of
    /// [`Tensor::permute`](gradus_tensor::Tensor::permute).
    #[doc = slope!("x.permute(&[1, 0])?" => "1.0, 3.0, 2.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn permute(&self, dims: &[isize]) -> Result<Var> {
        let y = self.value().permute(dims)?;
        // Dimension i of y is dimension dims[i] of x; the inverse puts i at dims[i].
        let rank = dims.len() as isize;
        let mut inverse = vec![0; dims.len()];
        for (i, &d) in dims.iter().enumerate() {
            inverse[d.rem_euclid(rank) as usize] = i as isize;
        }
        Op::new("permute")
            .inputs(&[self])
            .record(y, move |_, dy| dy.permute(&inverse))
    }

    /// Dimensions `d0` and `d1` exchanged.
    ///
    /// Gradient: `dy` transposed back. Shapes, dtypes and errors are those of
    /// [`Tensor::transpose`](gradus_tensor::Tensor::transpose).
    #[doc = slope!("x.transpose(0, 1)?" => "1.0, 3.0, 2.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn transpose(&self, d0: isize, d1: isize) -> Result<Var> {
        let y = self.value().transpose(d0, d1)?;
        Op::new("transpose")
            .inputs(&[self])
            .record(y, move |_, dy| dy.transpose(d0, d1))
    }

    /// The transposed matrix; rank 0 and 1 are unchanged.
    ///
    /// Gradient: `dy` transposed. Shapes, dtypes and errors are those of [`Tensor::t`](gradus_tensor::Tensor::t).
    #[doc = slope!("x.t()?" => "1.0, 3.0, 2.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn t(&self) -> Result<Var> {
        let y = self.value().t()?;
        Op::new("t").inputs(&[self]).record(y, |_, dy| dy.t())
    }

    /// The transposed matrices of a batch: the last two dimensions exchanged.
    ///
    /// Gradient: `dy` transposed. Shapes, dtypes and errors are those of [`Tensor::mt`](gradus_tensor::Tensor::mt).
    #[doc = slope!("x.mt()?" => "1.0, 3.0, 2.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn mt(&self) -> Result<Var> {
        let y = self.value().mt()?;
        Op::new("mt").inputs(&[self]).record(y, |_, dy| dy.mt())
    }

    /// Dimensions `source` moved to `destination`, the others in their order.
    ///
    /// Gradient: `dy` moved back. Shapes, dtypes and errors are those of
    /// [`Tensor::movedim`](gradus_tensor::Tensor::movedim).
    #[doc = slope!("x.movedim(0, 1)?" => "1.0, 3.0, 2.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn movedim(&self, source: impl Into<Dims>, destination: impl Into<Dims>) -> Result<Var> {
        let (source, destination) = (source.into(), destination.into());
        let y = self.value().movedim(source.clone(), destination.clone())?;
        Op::new("movedim").inputs(&[self]).record(y, move |_, dy| {
            dy.movedim(destination.clone(), source.clone())
        })
    }

    /// Stretched to a larger shape without copying: sizes of 1 stretch, −1 keeps a size, new dimensions go in front.
    ///
    /// Gradient: `dy` summed over what was stretched. Shapes, dtypes and errors are those of
    /// [`Tensor::expand`](gradus_tensor::Tensor::expand).
    #[doc = slope!("x.expand([2, -1])?" => "1.0, 2.0, 1.0, 2.0"; "x", "[1, 2]", "1.0, 2.0" => "2.0, 2.0")]
    pub fn expand(&self, shape: impl ReshapeTo) -> Result<Var> {
        let y = self.value().expand(shape)?;
        Op::new("expand")
            .inputs(&[self])
            .record(y, |ctx, dy| dy.sum_to(ctx.shape(0)))
    }

    /// The order along `dims` reversed.
    ///
    /// Gradient: `dy` flipped back. Shapes, dtypes and errors are those of
    /// [`Tensor::flip`](gradus_tensor::Tensor::flip).
    #[doc = slope!("x.flip(0)?" => "3.0, 2.0, 1.0"; "x", "[3]", "1.0, 2.0, 3.0" => "1.0, 1.0, 1.0")]
    pub fn flip(&self, dims: impl Into<Dims>) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().flip(dims.clone())?;
        Op::new("flip")
            .inputs(&[self])
            .record(y, move |_, dy| dy.flip(dims.clone()))
    }

    /// `len` elements from `start` along `dim`.
    ///
    /// Gradient: `dy` in its place, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::narrow`](gradus_tensor::Tensor::narrow).
    #[doc = slope!("x.narrow(0, 1, 2)?" => "2.0, 3.0"; "x", "[3]", "1.0, 2.0, 3.0" => "0.0, 1.0, 1.0")]
    pub fn narrow(&self, dim: isize, start: i64, len: usize) -> Result<Var> {
        part("narrow", self, Arc::new(move |x| x.narrow(dim, start, len)))
    }

    /// The elements with one index along `dim`, which disappears.
    ///
    /// Gradient: `dy` in its place, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::select`](gradus_tensor::Tensor::select).
    #[doc = slope!("x.select(0, -1)?" => "3.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "0.0, 0.0, 1.0, 1.0")]
    pub fn select(&self, dim: isize, index: i64) -> Result<Var> {
        part("select", self, Arc::new(move |x| x.select(dim, index)))
    }

    /// Every `step`-th element of `start..end` along `dim`, ends clamped and counted from the back when negative.
    ///
    /// Gradient: `dy` in its place, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::slice`](gradus_tensor::Tensor::slice).
    #[doc = slope!("x.slice(0, 1, None, 2)?" => "2.0, 4.0"; "x", "[4]", "1.0, 2.0, 3.0, 4.0" => "0.0, 1.0, 0.0, 1.0")]
    pub fn slice(
        &self,
        dim: isize,
        start: impl Into<Option<i64>>,
        end: impl Into<Option<i64>>,
        step: i64,
    ) -> Result<Var> {
        let (start, end) = (start.into(), end.into());
        part(
            "slice",
            self,
            Arc::new(move |x| x.slice(dim, start, end, step)),
        )
    }

    /// The elements whose indices along `dim1` and `dim2` differ by `offset`, as a last dimension.
    ///
    /// Gradient: `dy` on the diagonal, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::diagonal`](gradus_tensor::Tensor::diagonal).
    #[doc = slope!("x.diagonal(0, 0, 1)?" => "1.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 0.0, 0.0, 1.0")]
    pub fn diagonal(&self, offset: i64, dim1: isize, dim2: isize) -> Result<Var> {
        part(
            "diagonal",
            self,
            Arc::new(move |x| x.diagonal(offset, dim1, dim2)),
        )
    }

    /// Windows of `size` elements, every `step`, along `dim`; a last dimension runs within a window.
    ///
    /// Gradient: `dy` added where windows overlap. Shapes, dtypes and errors are those of
    /// [`Tensor::unfold`](gradus_tensor::Tensor::unfold).
    #[doc = slope!("x.unfold(0, 2, 1)?" => "1.0, 2.0, 2.0, 3.0"; "x", "[3]", "1.0, 2.0, 3.0" => "1.0, 2.0, 1.0")]
    pub fn unfold(&self, dim: isize, size: usize, step: usize) -> Result<Var> {
        part("unfold", self, Arc::new(move |x| x.unfold(dim, size, step)))
    }

    /// The storage under any shape, strides and offset (in elements, from the start of the storage; `None`: where this
    /// value starts).
    ///
    /// Gradient: that of a place goes to the elements of this value that lie there, evenly if several do; of a place that
    /// this value does not show it is lost.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let x = Var::leaf(Tensor::from_slice(&[1.0f32, 2.0, 3.0], [3])?)?;
    /// let windows = x.as_strided([2, 2], &[1, 1], None)?;
    /// let grads = windows.sum(.., false)?.backward()?;
    /// assert_eq!(grads.get(&x).unwrap().to_vec::<f32>()?, [1.0, 2.0, 1.0]); // the middle is shown twice
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::as_strided`].
    pub fn as_strided(
        &self,
        shape: impl Into<Shape>,
        strides: &[isize],
        offset: Option<usize>,
    ) -> Result<Var> {
        let y = self.value().as_strided(shape, strides, offset)?;
        // The piece of the storage that both lie in.
        let (from, to) = (self.value().layout(), y.layout());
        let ends = [from, to].map(|l| l.bounds().filter(|_| l.numel() > 0));
        let low = ends.iter().flatten().map(|b| b.0).min().unwrap_or(0);
        let high = ends.iter().flatten().map(|b| b.1 + 1).max().unwrap_or(0);
        let window = |layout: &Layout| -> View {
            let (shape, strides) = (layout.shape().clone(), layout.strides().to_vec());
            let offset = if layout.numel() > 0 {
                layout.offset() as isize - low
            } else {
                0
            };
            Arc::new(move |storage| {
                let storage = storage.contiguous()?;
                let offset = storage.layout().offset() + offset as usize;
                storage.as_strided(shape.clone(), &strides, Some(offset))
            })
        };
        let (read, write) = (window(from), window(to));
        let piece = Shape::from((high - low) as usize);
        Op::new("as_strided")
            .inputs(&[self])
            .record(y, move |ctx, dy| {
                let shown = part_grad(&piece, &dy, write.clone())?;
                // Where this value shows a place several times, each has a share.
                let ones = Tensor::ones(ctx.shape(0), &dy)?;
                let times = Tensor::zeros(&piece, &dy)?.add_to_view_(&*read, &ones)?;
                let times = times.clamp_min(1.0)?;
                part("as_strided", &shown.div(&times.into())?, read.clone())
            })
    }

    /// The same elements, row-major in memory.
    ///
    /// Gradient: `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::contiguous`](gradus_tensor::Tensor::contiguous).
    #[doc = slope!("x.t()?.contiguous()?" => "1.0, 3.0, 2.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn contiguous(&self) -> Result<Var> {
        if self.value().is_contiguous() {
            return Ok(self.clone());
        }
        let y = self.value().contiguous()?;
        Op::new("contiguous")
            .inputs(&[self])
            .record(y, |_, dy| Ok(dy))
    }
}
