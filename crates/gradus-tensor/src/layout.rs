//! Layout: which element of the storage stands at which index. Shape, signed strides and an offset, in elements.
//!
//! Every view is a new layout over the same storage; nothing here touches memory. Strides may be 0 (a broadcast
//! dimension) or negative (a flipped one). Invariant: every index of the shape lands inside the storage.

use crate::error::{Error, Result};
use crate::shape::{Shape, Small, resolve_dim, resolve_index};

/// Shape, strides and offset, all in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(crate) shape: Shape,
    pub(crate) strides: Small<isize>,
    pub(crate) offset: usize,
}

impl std::fmt::Debug for Small<isize> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Layout {
    /// Row-major from the start of a storage.
    #[must_use]
    pub fn contiguous(shape: Shape) -> Self {
        let strides = shape.row_major_strides();
        Self {
            shape,
            strides,
            offset: 0,
        }
    }

    /// Sizes of the dimensions.
    #[must_use]
    #[inline]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Elements to skip per step of each dimension.
    #[must_use]
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Position of the first element.
    #[must_use]
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Number of elements (checked when the layout was made).
    #[must_use]
    #[inline]
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Are the elements one row-major run? Sizes 1 and empty tensors do not mind their strides.
    #[must_use]
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1isize;
        for (&d, &s) in self.shape.iter().zip(self.strides.iter()).rev() {
            if d == 0 {
                return true;
            }
            if d != 1 {
                if s != expected {
                    return self.shape.contains(&0);
                }
                expected *= d as isize;
            }
        }
        true
    }

    /// Lowest and highest element position used; `None` when empty or when the arithmetic overflows.
    pub fn bounds(&self) -> Option<(isize, isize)> {
        let (mut low, mut high) = (
            isize::try_from(self.offset).ok()?,
            isize::try_from(self.offset).ok()?,
        );
        for (&d, &s) in self.shape.iter().zip(self.strides.iter()) {
            let reach = s.checked_mul(isize::try_from(d.checked_sub(1)?).ok()?)?;
            if reach < 0 {
                low = low.checked_add(reach)?;
            } else {
                high = high.checked_add(reach)?;
            }
        }
        Some((low, high))
    }

    fn with_dim(&self, dim: usize, size: usize, stride: isize, skip: usize) -> Self {
        let mut out = self.clone();
        // An empty result reads nothing; keep its offset where it was, inside the storage.
        if size > 0 && !out.shape.contains(&0) {
            out.offset = (self.offset as isize + skip as isize * self.strides[dim]) as usize;
        }
        out.shape.0[dim] = size;
        out.strides[dim] = stride;
        out
    }

    /// `[start, start + len)` of a dimension.
    pub fn narrow(&self, dim: isize, start: i64, len: usize) -> Result<Self> {
        let d = self.real_dim("narrow", dim)?;
        let size = self.shape[d];
        let from = if start < 0 {
            start.checked_add(size as i64)
        } else {
            Some(start)
        };
        let end = from
            .and_then(|f| usize::try_from(f).ok())
            .and_then(|f| f.checked_add(len).filter(|&e| e <= size).map(|_| f));
        let Some(from) = end else {
            let message = format!(
                "start {start} and length {len} do not fit in dim {dim} of size {size} (shape {})",
                self.shape
            );
            return Err(Error::index("narrow", message));
        };
        Ok(self.with_dim(d, len, self.strides[d], from))
    }

    /// One index of a dimension, which disappears.
    pub fn select(&self, dim: isize, index: i64) -> Result<Self> {
        let d = self.real_dim("select", dim)?;
        let i = resolve_index("select", index, self.shape[d])?;
        let mut out = self.with_dim(d, 1, self.strides[d], i);
        out.shape.0.remove(d);
        out.strides.remove(d);
        Ok(out)
    }

    /// Every `step`-th element of `start..end`; out-of-range ends clamp, as in Python. A negative step walks back
    /// (`end` `None` then means past the first element).
    pub fn slice(
        &self,
        dim: isize,
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    ) -> Result<Self> {
        let d = self.real_dim("slice", dim)?;
        if step == 0 {
            return Err(Error::value("slice", "the step is 0; it must not be"));
        }
        let n = self.shape[d] as i64;
        let wrap = |x: i64, low: i64, high: i64| {
            if x < 0 { x.saturating_add(n) } else { x }.clamp(low, high)
        };
        let (from, count) = if step > 0 {
            let from = start.map_or(0, |x| wrap(x, 0, n));
            let to = end.map_or(n, |x| wrap(x, 0, n));
            (from, (to - from).max(0) as u64)
        } else {
            let from = start.map_or(n - 1, |x| wrap(x, -1, n - 1));
            let to = end.map_or(-1, |x| wrap(x, -1, n - 1));
            (from, (from - to).max(0) as u64)
        };
        let count = count.div_ceil(step.unsigned_abs()) as usize;
        let stride = if count > 1 {
            self.strides[d].wrapping_mul(step as isize)
        } else {
            self.strides[d]
        };
        Ok(self.with_dim(d, count, stride, from.max(0) as usize))
    }

    /// Dimensions in a new order; `dims` names each exactly once.
    pub fn permute(&self, dims: &[isize]) -> Result<Self> {
        let rank = self.shape.rank();
        let fail = || {
            Error::value(
                "permute",
                format!(
                    "{dims:?} does not name each of the {rank} dimensions of {} once",
                    self.shape
                ),
            )
        };
        if dims.len() != rank {
            return Err(fail());
        }
        let mut seen = vec![false; rank];
        let mut out = self.clone();
        for (i, &dim) in dims.iter().enumerate() {
            let d = resolve_dim("permute", dim, &self.shape)?;
            if std::mem::replace(&mut seen[d], true) {
                return Err(fail());
            }
            out.shape.0[i] = self.shape[d];
            out.strides[i] = self.strides[d];
        }
        Ok(out)
    }

    /// Two dimensions exchanged.
    pub fn transpose(&self, d0: isize, d1: isize) -> Result<Self> {
        let (a, b) = (
            resolve_dim("transpose", d0, &self.shape)?,
            resolve_dim("transpose", d1, &self.shape)?,
        );
        let mut out = self.clone();
        if a != b {
            out.shape.0.swap(a, b);
            out.strides.swap(a, b);
        }
        Ok(out)
    }

    /// Stretched to `shape` by broadcasting: new leading dimensions and sizes of 1 get stride 0.
    pub fn broadcast_to(&self, shape: &Shape) -> Result<Self> {
        let fail = || {
            let message = format!(
                "{} does not broadcast to {shape}: sizes are matched from the back and only 1 stretches; repeat copies",
                self.shape
            );
            Error::shape("broadcast_to", message)
        };
        let lead = shape
            .rank()
            .checked_sub(self.shape.rank())
            .ok_or_else(fail)?;
        shape.numel().map_err(|e| e.in_op("broadcast_to"))?;
        let mut strides = Small::filled(0isize, shape.rank());
        for (i, (&from, &s)) in self.shape.iter().zip(self.strides.iter()).enumerate() {
            match shape[lead + i] {
                to if to == from => strides[lead + i] = s,
                _ if from == 1 => {}
                _ => return Err(fail()),
            }
        }
        Ok(Self {
            shape: shape.clone(),
            strides,
            offset: self.offset,
        })
    }

    /// Dimensions reversed (negative strides; no copy).
    pub fn flip(&self, dims: &[usize]) -> Self {
        let mut out = self.clone();
        for &d in dims {
            if out.shape[d] > 1 && !out.shape.contains(&0) {
                out.offset =
                    (out.offset as isize + (out.shape[d] as isize - 1) * out.strides[d]) as usize;
                out.strides[d] = -out.strides[d];
            }
        }
        out
    }

    /// A new dimension of size 1 at `dim` (0..=rank).
    pub fn unsqueeze(&self, dim: isize) -> Result<Self> {
        let rank = self.shape.rank() as isize + 1;
        if dim < -rank || dim >= rank {
            let message = format!(
                "dim {dim} is out of range for shape {}: expected {}..={}",
                self.shape,
                -rank,
                rank - 1
            );
            return Err(Error::index("unsqueeze", message));
        }
        let d = if dim < 0 { dim + rank } else { dim } as usize;
        let mut out = self.clone();
        let stride = self
            .shape
            .get(d)
            .map_or(1, |&n| self.strides[d].wrapping_mul(n as isize));
        out.shape.0.insert(d, 1);
        out.strides.insert(d, stride);
        Ok(out)
    }

    /// The same elements under another shape, if strides can say it; `None` when a copy is needed.
    /// The caller has checked that the numbers of elements agree.
    pub(crate) fn view(&self, shape: &Shape) -> Option<Self> {
        if self.is_contiguous() {
            return Some(Self {
                shape: shape.clone(),
                strides: shape.row_major_strides(),
                offset: self.offset,
            });
        }
        // Old dimensions grouped into runs that are contiguous within (outermost first): (size, innermost stride).
        let mut runs: Vec<(usize, isize)> = Vec::new();
        for (&d, &s) in self
            .shape
            .iter()
            .zip(self.strides.iter())
            .filter(|(d, _)| **d != 1)
        {
            match runs.last_mut() {
                Some(last) if last.1 == s * d as isize => *last = (last.0 * d, s),
                _ => runs.push((d, s)),
            }
        }
        // New dimensions are taken from the back, each run being used up exactly.
        let mut strides = Small::filled(0isize, shape.rank());
        let mut run = runs.pop().unwrap_or((1, 1));
        let (mut left, mut step) = run;
        for i in (0..shape.rank()).rev() {
            if shape[i] == 1 {
                strides[i] = step;
                continue;
            }
            if left == 1 {
                run = runs.pop()?;
                (left, step) = run;
            }
            if !left.is_multiple_of(shape[i]) {
                return None;
            }
            strides[i] = step;
            step *= shape[i] as isize;
            left /= shape[i];
        }
        Some(Self {
            shape: shape.clone(),
            strides,
            offset: self.offset,
        })
    }

    /// Positions of all elements in row-major order.
    pub(crate) fn positions(&self) -> Positions<'_> {
        let numel = self.numel();
        Positions {
            layout: self,
            index: Small::filled(0, self.shape.rank()),
            at: self.offset as isize,
            left: numel,
        }
    }

    fn real_dim(&self, op: &'static str, dim: isize) -> Result<usize> {
        if self.shape.rank() == 0 {
            return Err(Error::index(
                op,
                "a rank-0 tensor has no dimensions to index",
            ));
        }
        resolve_dim(op, dim, &self.shape)
    }
}

/// Iterator over storage positions in row-major order of the index.
pub(crate) struct Positions<'a> {
    layout: &'a Layout,
    index: Small<usize>,
    at: isize,
    left: usize,
}

impl Iterator for Positions<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let here = self.at as usize;
        for d in (0..self.index.len()).rev() {
            let stride = self.layout.strides[d];
            self.index[d] += 1;
            self.at = self.at.wrapping_add(stride);
            if self.index[d] < self.layout.shape[d] {
                break;
            }
            self.at = self
                .at
                .wrapping_sub(stride.wrapping_mul(self.index[d] as isize));
            self.index[d] = 0;
        }
        Some(here)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
impl ExactSizeIterator for Positions<'_> {}
