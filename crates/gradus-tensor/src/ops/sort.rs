//! Order: `sort`, `topk`, `median`, `quantile`, `unique`, `searchsorted`. NaN is larger than everything, equal elements
//! keep their order.

use gradus_cpu::{Element as _, reduce};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::reduce::{pair, plan_one};
use crate::shape::Shape;
use crate::tensor::Tensor;

impl Tensor {
    /// The elements in order along `dim`, and where they were: `(values, i64 indices)`. Stable.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (values, indices) = Tensor::from_slice(&[3f32, 1., 2.], 3)?.sort(-1, false)?;
    /// assert_eq!(values.to_vec::<f32>()?, [1., 2., 3.]);
    /// assert_eq!(indices.to_vec::<i64>()?, [1, 2, 0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn sort(&self, dim: isize, descending: bool) -> Result<(Tensor, Tensor)> {
        let (x, d, _) = plan_one("sort", self, dim, true)?;
        on_cuda!([x] => {
            let (values, at) = cuda::sort::sorted("sort", &x, d, descending, None)?;
            Ok((values.reshape_to(self.shape())?, at.reshape_to(self.shape())?))
        });
        dispatch!(x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            pair::<T>("sort", self.shape(), |values, indices| Ok(reduce::sort(v, d, descending, values, indices)?))
        })
    }

    /// Where the elements in order are: the indices of [`Tensor::sort`].
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[3.0, 1.0, 2.0], 3)?;
    /// assert_eq!(x.argsort(0, false)?.to_vec::<i64>()?, [1, 2, 0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn argsort(&self, dim: isize, descending: bool) -> Result<Tensor> {
        Ok(self.sort(dim, descending)?.1)
    }

    /// Sorted along the first dimension.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[3.0, 1.0, 2.0], 3)?;
    /// assert_eq!(x.msort()?.to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn msort(&self) -> Result<Tensor> {
        Ok(self.sort(0, false)?.0)
    }

    /// The `k` largest (or smallest) along `dim`, in order, and where they are: `(values, i64 indices)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (values, at) = Tensor::from_slice(&[3.0, 1.0, 2.0], 3)?.topk(2, 0, true)?;
    /// assert_eq!(values.to_vec::<f64>()?, [3.0, 2.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [0, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, or it has fewer than `k` elements.
    pub fn topk(&self, k: usize, dim: isize, largest: bool) -> Result<(Tensor, Tensor)> {
        let (x, d, _) = plan_one("topk", self, dim, true)?;
        if k > x.dims()[d] {
            return Err(Error::value(
                "topk",
                format!(
                    "k {k} is larger than dim {dim} of size {} in shape {}",
                    x.dims()[d],
                    self.shape()
                ),
            ));
        }
        let mut shape = self.shape().clone();
        if self.rank() > 0 {
            shape.0[d] = k;
        } else if k == 0 {
            shape = Shape::from(0);
        }
        on_cuda!([x] => {
            let (values, at) = cuda::sort::sorted("topk", &x, d, largest, Some(k))?;
            Ok((values.reshape_to(&shape)?, at.reshape_to(&shape)?))
        });
        dispatch!(x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            pair::<T>("topk", &shape, |values, indices| Ok(reduce::topk(v, d, k, largest, values, indices)?))
        })
    }

    /// The `k`-th smallest along `dim` (from 1) and where it is: `(values, i64 indices)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (value, at) = Tensor::from_slice(&[3.0, 1.0, 2.0], 3)?.kthvalue(2, 0, false)?;
    /// assert_eq!(value.to_vec::<f64>()?, [2.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, or `k` is 0 or larger than it.
    pub fn kthvalue(&self, k: usize, dim: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let (x, d, shape) = plan_one("kthvalue", self, dim, keepdim)?;
        let size = x.dims()[d];
        if k == 0 || k > size {
            return Err(Error::value(
                "kthvalue",
                format!("k {k} is out of range for dim {dim} of size {size}; it counts from 1"),
            ));
        }
        on_cuda!([x] => {
            let (values, at) = cuda::sort::kth("kthvalue", &x, d, k - 1)?;
            Ok((values.reshape_to(&shape)?, at.reshape_to(&shape)?))
        });
        dispatch!(x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            pair::<T>("kthvalue", &shape, |values, indices| Ok(reduce::kthvalue(v, d, k, values, indices)?))
        })
    }

    /// The median of all elements (the lower of two), NaN if any is NaN.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[3.0, 1.0, 2.0, 9.0], 4)?;
    /// assert_eq!(x.median()?.to_vec::<f64>()?, [2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn median(&self) -> Result<Tensor> {
        if self.numel() == 0 {
            return Tensor::full((), f64::NAN, self.dtype());
        }
        Ok(self.flatten(0, -1)?.median_dim(0, false)?.0)
    }

    /// The median along `dim` (the lower of two) and where it is; NaN if any is NaN.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (value, at) = Tensor::from_slice(&[3.0, 1.0, 2.0], 3)?.median_dim(0, false)?;
    /// assert_eq!(value.to_vec::<f64>()?, [2.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, or it is empty.
    pub fn median_dim(&self, dim: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let (x, d, _) = plan_one("median", self, dim, keepdim)?;
        let size = x.dims()[d];
        if size == 0 {
            return Err(Error::shape(
                "median",
                format!("dim {dim} of shape {} is empty", self.shape()),
            ));
        }
        let (values, indices) = self.kthvalue(size.div_ceil(2), dim, keepdim)?;
        let nan = self.isnan()?.any(dim, keepdim)?;
        if !self.dtype().is_float() || !nan.any(.., false)?.item::<bool>()? {
            return Ok((values, indices));
        }
        let (largest, at) = self.max(dim, keepdim)?; // NaN is the largest
        Ok((
            Tensor::where_(&nan, &largest, &values)?,
            Tensor::where_(&nan, &at, &indices)?,
        ))
    }

    /// The `q`-quantiles (0..=1, one or a vector of them, which becomes the first dimension) along `dim`, or of the
    /// flattened tensor. `interpolation`: "linear", "lower", "higher", "midpoint" or "nearest".
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let q = Tensor::from_slice(&[0.25, 0.5], 2)?;
    /// let x = Tensor::from_slice(&[0.0, 1.0, 2.0, 3.0, 4.0], 5)?;
    /// assert_eq!(x.quantile(&q, 0, false, "linear")?.to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A `q` is outside 0..=1, dtypes differ or are not f32 or f64, or there are no elements.
    pub fn quantile(
        &self,
        q: &Tensor,
        dim: impl Into<Option<isize>>,
        keepdim: bool,
        interpolation: &str,
    ) -> Result<Tensor> {
        let op = "quantile";
        let dim = dim.into();
        if !matches!(self.dtype(), DType::F32 | DType::F64) || q.rank() > 1 {
            let message = format!(
                "the tensor is {} and q has shape {}: it takes f32 or f64, and one q or a vector",
                self.dtype(),
                q.shape()
            );
            return Err(Error::value(op, message));
        }
        let flat = if dim.is_none() {
            self.flatten(0, -1)?
        } else {
            self.clone()
        };
        let (x, d, shape) = plan_one(op, &flat, dim.unwrap_or(0), keepdim)?;
        let shape = if dim.is_none() && keepdim {
            Shape::new(&vec![1; self.rank()])
        } else {
            shape
        };
        let size = x.dims()[d];
        if size == 0 {
            return Err(Error::shape(
                op,
                format!("shape {} has no elements along the dimension", self.shape()),
            ));
        }
        let sorted = x.sort(d as isize, false)?.0;
        let nan = x.isnan()?.any(d as isize, true)?;
        let mut results = Vec::new();
        for q in q.to_dtype(DType::F64)?.to_vec::<f64>()? {
            if !(0.0..=1.0).contains(&q) {
                return Err(Error::value(op, format!("q {q} is outside 0..=1")));
            }
            let at = q * (size - 1) as f64;
            let pick = |i: f64| sorted.narrow(d as isize, i as i64, 1);
            let value = match interpolation {
                "lower" => pick(at.floor())?,
                "higher" => pick(at.ceil())?,
                "nearest" => pick(at.round_ties_even())?,
                "midpoint" => pick(at.floor())?
                    .lerp_scalar(&pick(at.ceil())?, if at.fract() == 0.0 { 0.0 } else { 0.5 })?,
                "linear" => pick(at.floor())?.lerp_scalar(&pick(at.ceil())?, at.fract())?,
                _ => {
                    return Err(Error::value(
                        op,
                        format!(
                            "unknown interpolation {interpolation:?}; known: linear lower higher midpoint nearest"
                        ),
                    ));
                }
            };
            results.push(value.masked_fill(&nan, f64::NAN)?.reshape_to(&shape)?);
        }
        if q.rank() == 0 {
            return results.pop().ok_or_else(|| Error::value(op, "q is empty"));
        }
        if results.is_empty() {
            let mut dims = vec![0];
            dims.extend_from_slice(&shape);
            return Tensor::zeros(dims, self.dtype());
        }
        Tensor::stack(&results, 0)
    }

    /// Runs of equal neighbours made one: `(values, inverse, counts)`, of the flattened tensor or of slices along `dim`.
    /// `inverse` says for each element which value it is, `counts` how long each run is; both i64.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (values, inverse, counts) = Tensor::from_slice(&[1.0, 1.0, 2.0, 1.0], 4)?.unique_consecutive(None)?;
    /// assert_eq!(values.to_vec::<f64>()?, [1.0, 2.0, 1.0]);
    /// assert_eq!(inverse.to_vec::<i64>()?, [0, 0, 1, 2]);
    /// assert_eq!(counts.to_vec::<i64>()?, [2, 1, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn unique_consecutive(
        &self,
        dim: impl Into<Option<isize>>,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let op = "unique_consecutive";
        let dim = dim.into();
        let (x, d) = match dim {
            None => (self.flatten(0, -1)?, 0),
            Some(dim) => {
                let (x, d, _) = plan_one(op, self, dim, true)?;
                (x, d)
            }
        };
        let n = x.dims()[d];
        if x.numel() == 0 && n > 1 << 24 {
            return Err(Error::value(
                op,
                format!("{n} empty slices in shape {}", self.shape()),
            ));
        }
        // Does slice i + 1 differ from slice i?
        let differs = if n > 1 && x.numel() > 0 {
            let others: Vec<isize> = (0..x.rank() as isize)
                .filter(|&i| i != d as isize)
                .collect();
            let differs = x
                .narrow(d as isize, 1, n - 1)?
                .ne(&x.narrow(d as isize, 0, n - 1)?)?;
            let differs = if others.is_empty() {
                differs
            } else {
                differs.any(others, false)?
            };
            differs.to_vec::<bool>()?
        } else {
            vec![false; n.saturating_sub(1)]
        };
        let (mut starts, mut inverse) = (Vec::new(), Vec::with_capacity(n));
        for i in 0..n {
            if i == 0 || differs[i - 1] {
                starts.push(i);
            }
            inverse.push(starts.len() as i64 - 1);
        }
        let ends = starts.iter().skip(1).copied().chain([n]);
        let counts: Vec<i64> = starts
            .iter()
            .zip(ends)
            .map(|(&a, b)| (b - a) as i64)
            .collect();
        let here = self.device();
        let counts = Tensor::from_slice(&counts, counts.len())?.to_device(&here)?;
        let inverse = Tensor::from_slice(&inverse, n)?.to_device(&here)?;
        let inverse = if dim.is_none() {
            inverse.reshape_to(self.shape())?
        } else {
            inverse
        };
        Ok((x.select_rows(op, d, &starts)?, inverse, counts))
    }

    /// The different elements of the flattened tensor, in order: `(values, inverse, counts)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (values, inverse, counts) = Tensor::from_slice(&[3.0, 1.0, 3.0], 3)?.unique()?;
    /// assert_eq!(values.to_vec::<f64>()?, [1.0, 3.0]);
    /// assert_eq!(inverse.to_vec::<i64>()?, [1, 0, 1]);
    /// assert_eq!(counts.to_vec::<i64>()?, [1, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn unique(&self) -> Result<(Tensor, Tensor, Tensor)> {
        let (sorted, order) = self.flatten(0, -1)?.sort(0, false)?;
        let (values, inverse, counts) = sorted.unique_consecutive(None)?;
        let inverse = order
            .zeros_like()?
            .scatter(0, &order, &inverse)?
            .reshape_to(self.shape())?;
        Ok((values, inverse, counts))
    }

    /// Where each of `values` would be inserted to keep this sorted tensor in order: the first place that fits, or with
    /// `right` the last. Leading dimensions agree, or this is one sequence for all. i64, of the shape of `values`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let sorted = Tensor::from_slice(&[1.0, 3.0, 5.0], 3)?;
    /// assert_eq!(sorted.searchsorted(&Tensor::from_slice(&[3.0, 4.0], 2)?, false, None)?.to_vec::<i64>()?, [1, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Leading dimensions or dtypes differ, or `sorter` (the order of this tensor) has another shape.
    pub fn searchsorted(
        &self,
        values: &Tensor,
        right: bool,
        sorter: Option<&Tensor>,
    ) -> Result<Tensor> {
        let op = "searchsorted";
        let fail = |why: &str| {
            Error::shape(
                op,
                format!(
                    "sequence {} and values {}: {why}",
                    self.shape(),
                    values.shape()
                ),
            )
        };
        if self.rank() == 0 {
            return Err(fail("the sequence takes at least one dimension"));
        }
        if self.dtype() != values.dtype() {
            return Err(Error::dtype(
                op,
                format!(
                    "the sequence is {} but the values {}; convert one with to_dtype",
                    self.dtype(),
                    values.dtype()
                ),
            ));
        }
        let one = self.rank() == 1;
        if !one
            && (self.rank() != values.rank()
                || self.dims()[..self.rank() - 1] != values.dims()[..values.rank() - 1])
        {
            return Err(fail("leading sizes must agree"));
        }
        let sequence = match sorter {
            Some(order) if order.shape() != self.shape() => {
                return Err(fail(&format!("the sorter has shape {}", order.shape())));
            }
            Some(order) => self
                .gather(-1, order)
                .map_err(|e| e.in_op(op))?
                .contiguous()?,
            None => self.contiguous()?,
        };
        let values = values.contiguous()?;
        on_cuda!([sequence, values] => cuda::sort::search(op, &sequence, &values, right));
        let n = self.dims()[self.rank() - 1];
        let per_row = if one {
            values.numel()
        } else {
            values.dims()[values.rank() - 1]
        };
        dispatch!(self.dtype(), T => {
            let (sequence, values_) = (sequence.data::<T>(op)?, values.data::<T>(op)?);
            Tensor::build::<i64>(op, values.shape(), |y| {
                for (i, (y, v)) in y.iter_mut().zip(values_).enumerate() {
                    let row = &sequence[if one { 0 } else { i / per_row * n }..][..n];
                    let v = v.to_f64();
                    // NaN is larger than everything.
                    *y = row.partition_point(|x| {
                        let x = x.to_f64();
                        if right { x <= v || v.is_nan() } else { x < v || (v.is_nan() && !x.is_nan()) }
                    }) as i64;
                }
            })
        })
    }

    /// Into which bucket each element falls: [`Tensor::searchsorted`] of these values in `boundaries`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let edges = Tensor::from_slice(&[1.0, 3.0, 5.0], 3)?;
    /// let x = Tensor::from_slice(&[0.0, 3.0, 9.0], 3)?;
    /// assert_eq!(x.bucketize(&edges, false)?.to_vec::<i64>()?, [0, 1, 3]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `boundaries` is not a vector.
    pub fn bucketize(&self, boundaries: &Tensor, right: bool) -> Result<Tensor> {
        if boundaries.rank() != 1 {
            return Err(Error::shape(
                "bucketize",
                format!(
                    "the boundaries have shape {}; they take 1 dimension",
                    boundaries.shape()
                ),
            ));
        }
        let dtype = self.dtype().promote(boundaries.dtype());
        boundaries
            .to_dtype(dtype)?
            .searchsorted(&self.to_dtype(dtype)?, right, None)
            .map_err(|e| e.in_op("bucketize"))
    }
}
