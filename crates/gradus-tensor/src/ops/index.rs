//! Indexing as in NumPy: numbers, ranges with steps, new axes, an ellipsis, and tensors of indices or masks.
//!
//! Numbers and ranges give views. Tensors of indices ("advanced") give copies; they broadcast together, and their shape
//! stands where they stood when they are adjacent, else in front.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::copy::write_view;
use crate::ops::operand::broadcast_all;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// A new dimension of size 1, in an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewAxis;

/// As many full ranges as the other items leave, in an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ellipsis;

/// One item of an index.
#[derive(Clone)]
pub enum Index {
    /// One position; the dimension disappears.
    At(i64),
    /// `start..end` every `step`, as in Python.
    Slice(Option<i64>, Option<i64>, i64),
    /// A new dimension of size 1.
    NewAxis,
    /// As many full ranges as are missing.
    Ellipsis,
    /// Positions along one dimension (whole numbers), or a mask over as many dimensions as it has (bool).
    Tensor(Tensor),
}

/// A range of positions; only a range takes a step in [`s!`](crate::s).
pub trait RangeItem: Into<Index> {
    /// The same range, every `step`-th position of it.
    fn every(self, step: i64) -> Index {
        match self.into() {
            Index::Slice(start, end, _) => Index::Slice(start, end, step),
            item => item,
        }
    }
}

macro_rules! index_from {
    ($($t:ty => |$x:ident| $e:expr;)*) => {$(
        impl From<$t> for Index {
            fn from($x: $t) -> Self {
                $e
            }
        }
        impl IntoIndex for $t {
            fn into_index(self) -> Vec<Index> {
                vec![self.into()]
            }
        }
    )*};
}

fn wide(i: usize) -> i64 {
    i64::try_from(i).unwrap_or(i64::MAX)
}

index_from! {
    i32 => |i| Index::At(i64::from(i));
    i64 => |i| Index::At(i);
    isize => |i| Index::At(i as i64);
    usize => |i| Index::At(wide(i));
    NewAxis => |_x| Index::NewAxis;
    Ellipsis => |_x| Index::Ellipsis;
    Tensor => |x| Index::Tensor(x);
    &Tensor => |x| Index::Tensor(x.clone());
    RangeFull => |_x| Index::Slice(None, None, 1);
}

impl RangeItem for RangeFull {}

macro_rules! index_from_ranges {
    ($($t:ty, $wide:expr;)*) => {
        index_from! {$(
            Range<$t> => |r| Index::Slice(Some($wide(r.start)), Some($wide(r.end)), 1);
            RangeFrom<$t> => |r| Index::Slice(Some($wide(r.start)), None, 1);
            RangeTo<$t> => |r| Index::Slice(None, Some($wide(r.end)), 1);
            RangeInclusive<$t> => |r| Index::Slice(Some($wide(*r.start())), after($wide(*r.end())), 1);
            RangeToInclusive<$t> => |r| Index::Slice(None, after($wide(r.end)), 1);
        )*}
        $(
            impl RangeItem for Range<$t> {}
            impl RangeItem for RangeFrom<$t> {}
            impl RangeItem for RangeTo<$t> {}
            impl RangeItem for RangeInclusive<$t> {}
            impl RangeItem for RangeToInclusive<$t> {}
        )*
    };
}

/// The end after an included one; after -1, the last, there is none.
fn after(end: i64) -> Option<i64> {
    if end == -1 {
        None
    } else {
        Some(end.saturating_add(1))
    }
}

index_from_ranges! {
    i32, i64::from;
    i64, std::convert::identity;
    isize, |i| i as i64;
    usize, wide;
}

/// What [`Tensor::index`] takes: one item, a tuple of up to six, or the `Vec` that [`s!`](crate::s) makes.
pub trait IntoIndex {
    /// The items.
    fn into_index(self) -> Vec<Index>;
}

impl IntoIndex for Vec<Index> {
    fn into_index(self) -> Vec<Index> {
        self
    }
}

impl IntoIndex for &[Index] {
    fn into_index(self) -> Vec<Index> {
        self.to_vec()
    }
}

macro_rules! tuples {
    ($(($($T:ident)+))*) => {$(
        impl<$($T: Into<Index>),+> IntoIndex for ($($T,)+) {
            #[allow(non_snake_case)]
            fn into_index(self) -> Vec<Index> {
                let ($($T,)+) = self;
                vec![$($T.into()),+]
            }
        }
    )*};
}
tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

/// An index written as in Python: positions, ranges (`a..b`, `..;step`), `NewAxis`, `...` for an ellipsis, tensors.
///
/// ```
/// use gradus_tensor::{DType, NewAxis, Tensor, s};
/// let x = Tensor::arange(0, 24, 1, DType::I64)?.reshape([2, 3, 4])?;
/// assert_eq!(x.index(s![.., 1..3, -1])?.dims(), [2, 2]);
/// assert_eq!(x.index(s![..., ..;2])?.dims(), [2, 3, 2]);
/// assert_eq!(x.index(s![0, NewAxis, ..;-1])?.to_vec::<i64>()?[..4], [8, 9, 10, 11]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[macro_export]
macro_rules! s {
    (@ [$($done:expr,)*]) => { vec![$($done),*] };
    (@ [$($done:expr,)*] ... $(, $($rest:tt)*)?) => {
        $crate::s!(@ [$($done,)* $crate::Index::Ellipsis,] $($($rest)*)?)
    };
    (@ [$($done:expr,)*] $item:expr ; $step:expr $(, $($rest:tt)*)?) => {
        $crate::s!(@ [$($done,)* $crate::ops::RangeItem::every($item, $step),] $($($rest)*)?)
    };
    (@ [$($done:expr,)*] $item:expr $(, $($rest:tt)*)?) => {
        $crate::s!(@ [$($done,)* $crate::Index::from($item),] $($($rest)*)?)
    };
    ($($items:tt)*) => { $crate::s!(@ [] $($items)*) };
}

/// An index worked out on a tensor: a view by the numbers and ranges, and the tensors that index its dimensions.
struct Resolved {
    view: Tensor,
    advanced: Vec<(usize, Tensor)>, // dimension of `view`, positions along it
}

fn resolve(op: &'static str, x: &Tensor, items: &[Index]) -> Result<Resolved> {
    let consumed: usize = items
        .iter()
        .map(|item| match item {
            Index::NewAxis | Index::Ellipsis => 0,
            Index::Tensor(t) if t.dtype() == DType::Bool => t.rank(),
            _ => 1,
        })
        .sum();
    let missing = x.rank().checked_sub(consumed).ok_or_else(|| {
        Error::index(
            op,
            format!(
                "the index has items for {consumed} dimensions but shape {} has {}",
                x.shape(),
                x.rank()
            ),
        )
    })?;
    if items
        .iter()
        .filter(|i| matches!(i, Index::Ellipsis))
        .count()
        > 1
    {
        return Err(Error::index(op, "the index has more than one ellipsis"));
    }
    let (mut view, mut advanced, mut d) = (x.clone(), Vec::new(), 0usize);
    for item in items {
        match item {
            Index::At(i) => view = view.select(d as isize, *i).map_err(|e| e.in_op(op))?,
            Index::Slice(start, end, step) => {
                view = view
                    .slice(d as isize, *start, *end, *step)
                    .map_err(|e| e.in_op(op))?;
                d += 1;
            }
            Index::NewAxis => {
                view = view.unsqueeze(d as isize)?;
                d += 1;
            }
            Index::Ellipsis => d += missing,
            Index::Tensor(mask) if mask.dtype() == DType::Bool => {
                let here = view.dims().get(d..d + mask.rank()).unwrap_or(&[]);
                if here != mask.dims() {
                    let message = format!(
                        "a mask of shape {} does not fit dimensions {here:?} of shape {}",
                        mask.shape(),
                        x.shape()
                    );
                    return Err(Error::shape(op, message));
                }
                if mask.rank() == 0 {
                    // A single truth: a new dimension of size 1 (kept) or 0.
                    view = view.unsqueeze(d as isize)?;
                    let n = i64::from(mask.item::<bool>()?);
                    let zeros = Tensor::zeros(n as usize, (DType::I64, mask.device()))?;
                    advanced.push((d, zeros));
                    d += 1;
                    continue;
                }
                for positions in mask.nonzero_tuple()? {
                    advanced.push((d, positions));
                    d += 1;
                }
            }
            #[cfg(feature = "cuda")]
            Index::Tensor(t) if t.is_cuda() => {
                advanced.push((d, crate::cuda::index::wrapped_as(op, t, view.dims()[d])?));
                d += 1;
            }
            Index::Tensor(t) => {
                let at = t.indices(op, view.dims()[d], true)?;
                advanced.push((
                    d,
                    Tensor::from_vec(at.into_iter().map(|i| i as i64).collect(), t.shape())?,
                ));
                d += 1;
            }
        }
    }
    Ok(Resolved { view, advanced })
}

/// The slices of `x`, whose first dimension is the indexed dimensions as one, at the positions that all indices together name.
fn positions(
    op: &'static str,
    x: &Tensor,
    advanced: &[(usize, Tensor)],
    sizes: &[usize],
    common: &Shape,
) -> Result<Tensor> {
    if x.is_cuda() || advanced.iter().any(|(_, t)| t.is_cuda()) {
        // Indices that the host knows go along, as in PyTorch.
        let mut at = Tensor::zeros(common, (DType::I64, x.device()))?;
        for ((_, t), &size) in advanced.iter().zip(sizes) {
            let t = match x.is_cuda() {
                true => t.to_device(&x.device())?,
                false => t.clone(),
            };
            at = at
                .mul_scalar_(size as i64)?
                .add_(&t.broadcast_to(common)?)?;
        }
        return x
            .index_select(0, &at.flatten(0, -1)?)
            .map_err(|e| e.in_op(op));
    }
    let mut at = crate::storage::try_vec(op, 0usize, common.numel()?)?;
    for ((_, t), &size) in advanced.iter().zip(sizes) {
        let t = t.broadcast_to(common)?.to_vec::<i64>()?;
        at.iter_mut()
            .zip(t)
            .for_each(|(at, i)| *at = *at * size + i as usize);
    }
    x.select_rows(op, 0, &at)
}

impl Tensor {
    /// The part that an index names: `x.index((0, 1..3))`, `x.index(s![.., -1])`, `x.index(&mask)`.
    /// A view, but a copy when the index has tensors.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.index((1, ..))?.to_vec::<f64>()?, [3.0, 4.0]);
    /// assert_eq!(x.index((.., 0))?.to_vec::<f64>()?, [1.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The index has too many items, a position is out of range, a step is 0, or a mask has another shape.
    pub fn index(&self, index: impl IntoIndex) -> Result<Tensor> {
        let op = "index";
        let Resolved { view, advanced } = resolve(op, self, &index.into_index())?;
        if advanced.is_empty() {
            return Ok(view);
        }
        // The indexed dimensions to the front, as one; a position in it from all the indices.
        let shapes: Vec<Shape> = advanced.iter().map(|(_, t)| t.shape().clone()).collect();
        let common = broadcast_all(op, &shapes)?;
        let dims: Vec<usize> = advanced.iter().map(|(d, _)| *d).collect();
        let rest: Vec<usize> = (0..view.rank()).filter(|d| !dims.contains(d)).collect();
        let order: Vec<isize> = dims.iter().chain(&rest).map(|&d| d as isize).collect();
        let moved = view.permute(&order)?;
        let sizes: Vec<usize> = dims.iter().map(|&d| view.dims()[d]).collect();
        let mut flat = vec![Shape::from(sizes.as_slice()).numel()?];
        flat.extend(rest.iter().map(|&d| view.dims()[d]));
        let moved = moved.reshape_to(&Shape::from(flat))?;
        let picked = positions(op, &moved, &advanced, &sizes, &common)?;
        let mut shape = common.to_vec();
        shape.extend_from_slice(&picked.dims()[1..]);
        let picked = picked.reshape_to(&Shape::from(shape))?;
        // Back to where the indices stood, when they stood together.
        let adjacent = dims.windows(2).all(|p| p[1] == p[0] + 1);
        let lead = if adjacent { dims[0] } else { 0 };
        let from: Vec<isize> = (0..common.rank() as isize).collect();
        let to: Vec<isize> = from.iter().map(|&d| d + lead as isize).collect();
        if lead == 0 || from.is_empty() {
            Ok(picked)
        } else {
            picked.movedim(from, to)
        }
    }

    /// A copy with the part that an index names replaced by `values`, which broadcast to it; with `accumulate`, added to
    /// it (an index that appears twice adds twice).
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor, s};
    /// let x = Tensor::zeros([2, 3], DType::F32)?;
    /// let y = x.index_put(s![.., 1], &Tensor::scalar(5f32), false)?;
    /// assert_eq!(y.to_vec::<f32>()?, [0., 5., 0., 0., 5., 0.]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::index`], or `values` do not broadcast, or dtypes differ.
    pub fn index_put(
        &self,
        index: impl IntoIndex,
        values: &Tensor,
        accumulate: bool,
    ) -> Result<Tensor> {
        let op = "index_put";
        let items = index.into_index();
        if values.dtype() != self.dtype() {
            return Err(Error::dtype(
                op,
                format!(
                    "the tensor is {} but the values {}; convert one with to_dtype",
                    self.dtype(),
                    values.dtype()
                ),
            ));
        }
        if !items.iter().any(|i| matches!(i, Index::Tensor(_))) {
            let mut out = self.copy()?;
            let layout = resolve(op, &out, &items)?.view.layout;
            let values = if accumulate {
                out.with_layout(layout.clone()).add(values)?
            } else {
                values.clone()
            };
            write_view(op, &mut out, &layout, &values)?;
            return Ok(out);
        }
        // Positions of the flattened tensor, indexed in the same way, say where to put.
        let at = Tensor::arange(0, wide(self.numel()), 1, (DType::I64, self.device()))?
            .reshape_to(self.shape())?
            .index(items)
            .map_err(|e| e.in_op(op))?;
        let values = values.broadcast_to(at.shape()).map_err(|e| e.in_op(op))?;
        self.put(&at, &values, accumulate).map_err(|e| e.in_op(op))
    }
}
