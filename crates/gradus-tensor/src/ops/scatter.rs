//! Adding or writing back through tensors of indices: `scatter`, `put`, … on a copy of the tensor. Whole slices are `slices.rs`, choosing
//! by indices is `gather.rs`.

use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::scalar::Scalar;
use crate::shape::{Shape, resolve_dim};
use crate::storage::{Word, dispatch_size};
use crate::tensor::Tensor;

/// How [`Tensor::scatter_reduce`] joins elements that land in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScatterReduce {
    /// Their sum.
    Sum,
    /// Their product.
    Prod,
    /// Their mean.
    Mean,
    /// The largest.
    Amax,
    /// The smallest.
    Amin,
}

impl std::str::FromStr for ScatterReduce {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Ok(match s {
            "sum" => Self::Sum,
            "prod" => Self::Prod,
            "mean" => Self::Mean,
            "amax" => Self::Amax,
            "amin" => Self::Amin,
            _ => {
                return Err(Error::value(
                    "scatter_reduce",
                    format!("unknown reduction {s:?}; known: sum prod mean amax amin"),
                ));
            }
        })
    }
}

impl Tensor {
    /// `out[index[i][j]][j] = src[i][j]` for dim 0, on a copy of this tensor. Where indices repeat, the last one wins.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 0.0, 0.0], 3)?;
    /// assert_eq!(x.scatter(0, &Tensor::from_slice(&[2i64, 0], 2)?, &Tensor::from_slice(&[8.0, 9.0], 2)?)?.to_vec::<f64>()?, [9.0, 0.0, 8.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Ranks or dtypes differ, `index` is larger than `src`, or an index is out of range.
    pub fn scatter(&self, dim: isize, index: &Tensor, src: &Tensor) -> Result<Tensor> {
        let op = "scatter";
        on_cuda!([self, index, src] => {
            let src = source(op, self, index, src)?;
            cuda::index::scatter(self, resolve_dim(op, dim, self.shape())?, index, &src)
        });
        let (mut out, src) = (self.copy()?, source(op, self, index, src)?);
        let place = Place::new(op, &out, dim, index)?;
        dispatch_size!(self.dtype(), W => {
            let src = src.word_slice::<W>(op)?;
            out.with_words_mut::<W>(op, |y| place.each(|k, at| y[at] = src[k]))
        })?;
        Ok(out)
    }

    /// As [`Tensor::scatter`] with one number.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// let y = x.scatter_value(0, &Tensor::from_slice(&[2i64], 1)?, 9)?;
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 2.0, 9.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::scatter`].
    pub fn scatter_value(
        &self,
        dim: isize,
        index: &Tensor,
        value: impl Into<Scalar>,
    ) -> Result<Tensor> {
        let value = Tensor::scalar_of(value, self.dtype())?.to_device(&self.device())?;
        let value = value.broadcast_to(index.shape())?;
        self.scatter(dim, index, &value)
    }

    /// As [`Tensor::scatter`], adding: `out[index[i][j]][j] += src[i][j]`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// let index = Tensor::from_slice(&[2i64, 2], 2)?;
    /// let y = x.scatter_add(0, &index, &Tensor::from_slice(&[10.0, 20.0], 2)?)?;
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 2.0, 33.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::scatter`].
    pub fn scatter_add(&self, dim: isize, index: &Tensor, src: &Tensor) -> Result<Tensor> {
        let op = "scatter_add";
        on_cuda!([self, index, src] => {
            let src = source(op, self, index, src)?;
            cuda::index::scatter_add(self, resolve_dim(op, dim, self.shape())?, index, &src)
        });
        let (out, src) = (self.copy()?, source(op, self, index, src)?);
        let place = Place::new(op, &out, dim, index)?;
        accumulate(op, out, &src, &place, |a, b| a + b, i64::wrapping_add)
    }

    /// As [`Tensor::scatter`], joining what lands in one place; with `include_self`, also what stood there.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// # use gradus_tensor::ScatterReduce;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// let index = Tensor::from_slice(&[2i64, 2], 2)?;
    /// let src = Tensor::from_slice(&[10.0, 20.0], 2)?;
    /// let y = x.scatter_reduce(0, &index, &src, ScatterReduce::Mean, true)?;
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 2.0, 11.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::scatter`].
    pub fn scatter_reduce(
        &self,
        dim: isize,
        index: &Tensor,
        src: &Tensor,
        reduce: ScatterReduce,
        include_self: bool,
    ) -> Result<Tensor> {
        let op = "scatter_reduce";
        on_cuda!([self, index, src] => {
            let (d, src) = (resolve_dim(op, dim, self.shape())?, source(op, self, index, src)?);
            cuda::index::scatter_reduce(self, d, index, &src, reduce, include_self)
        });
        let (mut out, src) = (self.copy()?, source(op, self, index, src)?);
        let place = Place::new(op, &out, dim, index)?;
        if !include_self {
            // Places that something lands in start from the neutral element.
            let start = match reduce {
                ScatterReduce::Sum | ScatterReduce::Mean => Tensor::zeros((), self.dtype())?,
                ScatterReduce::Prod => Tensor::ones((), self.dtype())?,
                ScatterReduce::Amax => extreme(self.dtype(), false)?,
                ScatterReduce::Amin => extreme(self.dtype(), true)?,
            };
            dispatch_size!(self.dtype(), W => {
                let start = start.word_slice::<W>(op)?[0];
                out.with_words_mut::<W>(op, |y| place.each(|_, at| y[at] = start))
            })?;
        }
        let larger = |a: f64, b: f64| if a > b || a.is_nan() { a } else { b };
        let smaller = |a: f64, b: f64| if a < b || a.is_nan() { a } else { b };
        let out = match reduce {
            ScatterReduce::Sum | ScatterReduce::Mean => {
                accumulate(op, out, &src, &place, |a, b| a + b, i64::wrapping_add)
            }
            ScatterReduce::Prod => {
                accumulate(op, out, &src, &place, |a, b| a * b, i64::wrapping_mul)
            }
            ScatterReduce::Amax => accumulate(op, out, &src, &place, larger, i64::max),
            ScatterReduce::Amin => accumulate(op, out, &src, &place, smaller, i64::min),
        }?;
        if reduce != ScatterReduce::Mean {
            return Ok(out);
        }
        let mut counts = vec![i64::from(include_self); out.numel()];
        place.each(|_, at| counts[at] += 1);
        for c in &mut counts {
            *c = (*c).max(1);
        }
        let counts = Tensor::from_vec(counts, out.shape())?;
        if out.dtype().is_float() {
            out.div(&counts.to_dtype(self.dtype())?)
        } else {
            out.floor_divide(&counts.to_dtype(self.dtype())?)
        }
    }

    /// A copy with the elements at positions of the flattened tensor replaced, or added to with `accumulate`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.put(&Tensor::from_slice(&[3i64], 1)?, &Tensor::from_slice(&[10.0], 1)?, true)?.to_vec::<f64>()?, [1.0, 2.0, 3.0, 14.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `source` has another number of elements than `index`, dtypes differ, or an index is out of range.
    pub fn put(&self, index: &Tensor, source: &Tensor, accumulate: bool) -> Result<Tensor> {
        on_cuda!([self, index, source] => cuda::index::put(self, index, source, accumulate));
        let at = Tensor::from_vec(
            index
                .indices("put", self.numel(), true)?
                .into_iter()
                .map(|i| i as i64)
                .collect(),
            index.numel(),
        )?;
        let (x, src) = (self.flatten(0, -1)?, source.flatten(0, -1)?);
        let out = if accumulate {
            x.scatter_add(0, &at, &src)
        } else {
            x.scatter(0, &at, &src)
        };
        out.map_err(|e| e.in_op("put"))?.reshape_to(self.shape())
    }

    /// The words of an exclusive, contiguous tensor, to write.
    fn with_words_mut<W: Word>(
        &mut self,
        op: &'static str,
        f: impl FnOnce(&mut [W]),
    ) -> Result<()> {
        match std::sync::Arc::get_mut(&mut self.storage) {
            Some(crate::storage::Storage::Cpu(buffer)) => {
                f(buffer.words_mut::<W>());
                Ok(())
            }
            _ => Err(Error::memory(op, "the result's storage is shared")),
        }
    }
}

/// Where each element of an index tensor points: positions in the storage of the indexed tensor.
pub(super) struct Place {
    layout: Layout, // of the indexed tensor, in the index's shape, standing still along the dimension
    stride: isize,
    index: Vec<usize>,
}

impl Place {
    pub(super) fn new(op: &'static str, x: &Tensor, dim: isize, index: &Tensor) -> Result<Place> {
        let d = resolve_dim(op, dim, x.shape())?;
        if !index.dtype().is_int() {
            index.whole_numbers(op)?;
        }
        if x.rank().max(1) != index.rank().max(1) && index.numel() > 0 {
            return Err(Error::shape(
                op,
                format!(
                    "{} and the index {} differ in rank",
                    x.shape(),
                    index.shape()
                ),
            ));
        }
        let (mut layout, mut stride, mut size) = (x.layout.clone(), 1, 1);
        if index.numel() == 0 {
            layout = Layout::contiguous(index.shape().clone());
        } else if x.rank() == 0 || index.rank() == 0 {
            // One element, or a vector indexed by one number.
            if x.rank() > 0 {
                (stride, size) = (x.strides()[0], x.dims()[0]);
            }
            layout = Layout {
                shape: Shape::from(index.numel()),
                strides: crate::shape::Small::new(&[0]),
                offset: x.layout.offset,
            };
        } else {
            (stride, size) = (x.strides()[d], x.dims()[d]);
            for (i, (&n, &m)) in index.dims().iter().zip(x.dims()).enumerate() {
                if i != d && n > m {
                    let message = format!(
                        "the index {} is larger than {} in dim {i}: {n} > {m}",
                        index.shape(),
                        x.shape()
                    );
                    return Err(Error::shape(op, message));
                }
            }
            layout.shape = index.shape().clone();
            layout.strides[d] = 0;
        }
        Ok(Place {
            layout,
            stride,
            index: index.indices(op, size, false)?,
        })
    }

    /// Calls `f(number of the index element, position it points to)` in row-major order.
    pub(super) fn each(&self, mut f: impl FnMut(usize, usize)) {
        for (k, (at, &i)) in self.layout.positions().zip(&self.index).enumerate() {
            f(k, (at as isize + i as isize * self.stride) as usize);
        }
    }
}

/// The part of `src` that a scatter reads: as large as `index`, contiguous.
fn source(op: &'static str, x: &Tensor, index: &Tensor, src: &Tensor) -> Result<Tensor> {
    if x.dtype() != src.dtype() {
        return Err(Error::dtype(
            op,
            format!(
                "the tensor is {} but the source {}; convert one with to_dtype",
                x.dtype(),
                src.dtype()
            ),
        ));
    }
    if index.numel() == 0 {
        return Tensor::zeros(index.shape(), src);
    }
    if src.rank().max(1) != index.rank().max(1) {
        return Err(Error::shape(
            op,
            format!(
                "the source {} and the index {} differ in rank",
                src.shape(),
                index.shape()
            ),
        ));
    }
    let mut part = src.reshape_to(&if src.rank() == index.rank() {
        src.shape().clone()
    } else {
        Shape::new(&vec![1; index.rank()])
    })?;
    for (i, &n) in index.dims().iter().enumerate() {
        if n > part.dims()[i] {
            return Err(Error::shape(
                op,
                format!(
                    "the index {} is larger than the source {} in dim {i}",
                    index.shape(),
                    src.shape()
                ),
            ));
        }
        part = part.narrow(i as isize, 0, n)?;
    }
    part.contiguous()
}

/// `y[at] = f(y[at], src[k])`: floats in f64 by `f`, whole numbers by `g`.
fn accumulate(
    op: &'static str,
    mut out: Tensor,
    src: &Tensor,
    place: &Place,
    f: fn(f64, f64) -> f64,
    g: fn(i64, i64) -> i64,
) -> Result<Tensor> {
    fn run<T: Element>(
        y: &mut [T],
        src: &[T],
        place: &Place,
        f: fn(f64, f64) -> f64,
        g: fn(i64, i64) -> i64,
    ) {
        if T::DTYPE.is_float() {
            // Sums of many 16-bit floats must not round at every step: gather them in f64 first.
            if T::DTYPE.size() == 2 {
                let mut wide: Vec<f64> = y.iter().map(|y| y.to_f64()).collect();
                place.each(|k, at| wide[at] = f(wide[at], src[k].to_f64()));
                y.iter_mut()
                    .zip(wide)
                    .for_each(|(y, w)| *y = T::from_f64(w));
            } else {
                place.each(|k, at| y[at] = T::from_f64(f(y[at].to_f64(), src[k].to_f64())));
            }
        } else {
            place.each(|k, at| y[at] = T::from_i64(g(y[at].to_i64(), src[k].to_i64())));
        }
    }
    dispatch!(out.dtype(), T => {
        let src = src.data::<T>(op)?;
        out.with_mut_slice::<T, _>(|y| run(y, src, place, f, g))
    })?;
    Ok(out)
}

/// The smallest or largest value of a dtype, rank 0.
pub(crate) fn extreme(dtype: DType, largest: bool) -> Result<Tensor> {
    let whole = |min: i64, max: i64| Scalar::Int(if largest { max } else { min });
    let value = match dtype {
        DType::Bool => Scalar::Bool(largest),
        DType::U8 => whole(0, 255),
        DType::I32 => whole(i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::I64 => whole(i64::MIN, i64::MAX),
        _ => Scalar::Float(if largest {
            f64::INFINITY
        } else {
            f64::NEG_INFINITY
        }),
    };
    Tensor::scalar_of(value, dtype)
}
