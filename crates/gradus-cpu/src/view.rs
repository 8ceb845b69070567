//! [`View`]: elements of a slice seen through a shape and signed strides, bounds-checked once, and [`Walk`]: the
//! walk over one or several views of one shape with their dimensions collapsed.
//!
//! It is not a tensor: it borrows data, shape and strides, and has no operations of its own.
//! The collapsing of dimensions is NumPy's and PyTorch's `TensorIterator` idea.

use crate::{Element, Error, Result};
use std::ops::Range;

/// The highest rank a view may have.
pub const MAX_RANK: usize = 32;

/// How the index of an element follows from its coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Strides<'a> {
    /// Row-major, no gaps.
    Contiguous,
    /// Every element is the same one.
    Scalar,
    /// In elements, one for each dimension; 0 and negative ones are fine.
    Given(&'a [isize]),
}

/// A strided view of a slice. The constructor proves every element to lie inside the slice.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    data: &'a [T],
    offset: usize,
    shape: &'a [usize],
    strides: Strides<'a>,
    len: usize,
}

/// The product of `shape`, or an error if it does not fit in `isize`.
pub fn numel(op: &'static str, shape: &[usize]) -> Result<usize> {
    if shape.contains(&0) {
        return Ok(0);
    }
    shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| isize::try_from(n).is_ok())
        .ok_or_else(|| Error::shape(op, format!("shape {shape:?} has too many elements")))
}

/// Checks that the elements of a strided shape lie inside `0..len`, and returns how many there are.
fn check(len: usize, offset: usize, shape: &[usize], strides: Strides<'_>) -> Result<usize> {
    let fail = |what: &str| {
        Err(Error::shape(
            "view",
            format!(
                "shape {shape:?} with {strides:?} at offset {offset} of {len} elements: {what}"
            ),
        ))
    };
    if shape.len() > MAX_RANK {
        return fail("the rank is above 32");
    }
    let n = numel("view", shape)?;
    if n == 0 {
        return match strides {
            Strides::Given(s) if s.len() != shape.len() => {
                fail("as many strides as dimensions are needed")
            }
            _ => Ok(0),
        };
    }
    let (mut low, mut high) = (offset as i128, offset as i128);
    match strides {
        Strides::Contiguous => high += n as i128 - 1,
        Strides::Scalar => {}
        Strides::Given(s) => {
            if s.len() != shape.len() {
                return fail("as many strides as dimensions are needed");
            }
            for (&d, &s) in shape.iter().zip(s) {
                let reach = (d as i128 - 1) * s as i128; // |reach| < 2^126
                if reach < 0 {
                    low += reach;
                } else {
                    high += reach;
                }
            }
        }
    }
    if low < 0 || high >= len as i128 {
        return fail("elements lie outside the data");
    }
    Ok(n)
}

impl<'a, T> View<'a, T> {
    /// The elements `data[offset + Σ index[d]·strides[d]]` of the given shape.
    ///
    /// # Errors
    /// If one of them lies outside `data`, the lengths of shape and strides differ, the rank is above [`MAX_RANK`] or
    /// the number of elements overflows.
    pub fn new(
        data: &'a [T],
        offset: usize,
        shape: &'a [usize],
        strides: &'a [isize],
    ) -> Result<Self> {
        let strides = Strides::Given(strides);
        Ok(Self {
            data,
            offset,
            shape,
            strides,
            len: check(data.len(), offset, shape, strides)?,
        })
    }

    /// The whole of `data`, row-major in `shape`.
    ///
    /// # Errors
    /// If `data` does not have exactly that many elements.
    pub fn contiguous(data: &'a [T], shape: &'a [usize]) -> Result<Self> {
        let len = check(data.len(), 0, shape, Strides::Contiguous)?;
        crate::error::check_len("view", "data", data.len(), len)?;
        Ok(Self {
            data,
            offset: 0,
            shape,
            strides: Strides::Contiguous,
            len,
        })
    }

    /// One value seen as every element of `shape`.
    ///
    /// # Errors
    /// If the number of elements overflows or the rank is above [`MAX_RANK`].
    pub fn scalar(value: &'a T, shape: &'a [usize]) -> Result<Self> {
        let data = std::slice::from_ref(value);
        Ok(Self {
            data,
            offset: 0,
            shape,
            strides: Strides::Scalar,
            len: check(1, 0, shape, Strides::Scalar)?,
        })
    }

    /// The shape.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements as a slice, if they lie in row-major order without gaps.
    pub fn as_slice(&self) -> Option<&'a [T]> {
        let walk = self.walk();
        (self.len == 0 || walk.is_contiguous(0)).then(|| {
            let at = if self.len == 0 { 0 } else { self.offset };
            &self.data[at..at + self.len]
        })
    }

    /// The stride of dimension `d` in elements.
    pub fn stride(&self, d: usize) -> isize {
        match self.strides {
            Strides::Given(s) => s[d],
            Strides::Scalar => 0,
            Strides::Contiguous => self.shape[d + 1..].iter().product::<usize>() as isize,
        }
    }

    /// The strides in elements (the first [`rank`](Self::rank) of the array).
    pub(crate) fn stride_array(&self) -> [isize; MAX_RANK] {
        stride_array(self.shape, self.strides)
    }

    pub(crate) fn walk(&self) -> Walk<1> {
        Walk::new(self.shape, [self.stride_array()])
    }

    /// The slice and the index of the element at coordinates 0.
    pub(crate) fn origin(&self) -> (&'a [T], isize) {
        (self.data, self.offset as isize)
    }
}

impl<T: Copy> View<'_, T> {
    /// The elements in row-major order, one at a time: for references and tests, not for speed.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let strides = self.stride_array();
        (0..self.len).map(move |mut i| {
            let mut at = self.offset as isize;
            for d in (0..self.shape.len()).rev() {
                at += (i % self.shape[d]) as isize * strides[d];
                i /= self.shape[d];
            }
            self.data[at as usize]
        })
    }
}

/// A strided view to write to.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    data: &'a mut [T],
    offset: usize,
    shape: &'a [usize],
    strides: &'a [isize],
    len: usize,
}

impl<'a, T> ViewMut<'a, T> {
    /// The elements `data[offset + Σ index[d]·strides[d]]`. Elements may coincide (stride 0): the last write wins.
    ///
    /// # Errors
    /// As [`View::new`].
    pub fn new(
        data: &'a mut [T],
        offset: usize,
        shape: &'a [usize],
        strides: &'a [isize],
    ) -> Result<Self> {
        let len = check(data.len(), offset, shape, Strides::Given(strides))?;
        Ok(Self {
            data,
            offset,
            shape,
            strides,
            len,
        })
    }

    /// The shape.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn stride_array(&self) -> [isize; MAX_RANK] {
        stride_array(self.shape, Strides::Given(self.strides))
    }

    pub(crate) fn into_origin(self) -> (&'a mut [T], isize) {
        (self.data, self.offset as isize)
    }

    /// Whether no two coordinates are proven to share an element (sufficient, not necessary).
    pub(crate) fn is_injective(&self) -> bool {
        let mut dims: Vec<(u128, u128)> = (self.shape.iter().zip(self.strides))
            .filter(|&(&d, _)| d > 1)
            .map(|(&d, &s)| (s.unsigned_abs() as u128, d as u128))
            .collect();
        dims.sort_unstable();
        let mut reach = 0u128;
        dims.iter().all(|&(s, d)| {
            let ok = s > reach;
            reach += s * (d - 1);
            ok
        })
    }
}

fn stride_array(shape: &[usize], strides: Strides<'_>) -> [isize; MAX_RANK] {
    let mut out = [0; MAX_RANK];
    match strides {
        Strides::Given(s) => out[..s.len()].copy_from_slice(s),
        Strides::Scalar => {}
        Strides::Contiguous => {
            let mut step = 1isize;
            for d in (0..shape.len()).rev() {
                out[d] = step;
                step = step.wrapping_mul(shape[d] as isize);
            }
        }
    }
    out
}

/// A row-major walk over `K` views of one shape at once, with dimensions that are contiguous in all of them merged
/// and those of size 1 dropped. There is always at least one dimension.
#[derive(Clone, Debug)]
pub(crate) struct Walk<const K: usize> {
    rank: usize,
    len: usize,
    shape: [usize; MAX_RANK],
    strides: [[isize; MAX_RANK]; K],
}

impl<const K: usize> Walk<K> {
    pub(crate) fn new(shape: &[usize], strides: [[isize; MAX_RANK]; K]) -> Self {
        let len = if shape.contains(&0) {
            0
        } else {
            shape.iter().product()
        };
        let mut walk = Self {
            rank: 0,
            len,
            shape: [1; MAX_RANK],
            strides: [[1; MAX_RANK]; K],
        };
        if len <= 1 {
            walk.rank = 1;
            walk.shape[0] = len;
            return walk;
        }
        for (d, &size) in shape.iter().enumerate().filter(|&(_, &size)| size > 1) {
            let r = walk.rank;
            let joins = r > 0
                && (0..K)
                    .all(|k| walk.strides[k][r - 1] == strides[k][d].wrapping_mul(size as isize));
            let r = if joins { r - 1 } else { r };
            walk.shape[r] = if joins { walk.shape[r] * size } else { size };
            for k in 0..K {
                walk.strides[k][r] = strides[k][d];
            }
            walk.rank = r + 1;
        }
        walk
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The collapsed shape.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape[..self.rank]
    }

    /// The collapsed strides of operand `k`.
    pub(crate) fn strides(&self, k: usize) -> &[isize] {
        &self.strides[k][..self.rank]
    }

    /// The length and the stride (of operand `k`) of the innermost dimension.
    pub(crate) fn inner(&self, k: usize) -> (usize, isize) {
        (self.shape[self.rank - 1], self.strides[k][self.rank - 1])
    }

    /// Whether operand `k` is one contiguous run.
    pub(crate) fn is_contiguous(&self, k: usize) -> bool {
        self.rank == 1 && self.strides[k][0] == 1
    }

    /// Whether operand `k` is one element repeated.
    pub(crate) fn is_scalar(&self, k: usize) -> bool {
        self.len > 0 && self.strides(k).iter().all(|&s| s == 0)
    }

    /// Calls `f(position, offsets, n)` for the maximal runs along the innermost dimension that cover the row-major
    /// positions in `range`: the run's first position, where each operand's run begins (relative to its origin; the
    /// steps are those of [`inner`](Self::inner)), and its length.
    pub(crate) fn for_each_run(
        &self,
        range: Range<usize>,
        mut f: impl FnMut(usize, [isize; K], usize),
    ) {
        if range.is_empty() {
            return;
        }
        let last = self.rank - 1;
        let mut index = [0usize; MAX_RANK];
        let mut at = [0isize; K];
        let mut rest = range.start;
        for d in (0..self.rank).rev() {
            index[d] = rest % self.shape[d];
            rest /= self.shape[d];
            for k in 0..K {
                at[k] += index[d] as isize * self.strides[k][d];
            }
        }
        let mut position = range.start;
        loop {
            let n = (self.shape[last] - index[last]).min(range.end - position);
            f(position, at, n);
            position += n;
            if position >= range.end {
                return;
            }
            // The run ended at the end of the row: back to its beginning, and on to the next one.
            for k in 0..K {
                at[k] -= index[last] as isize * self.strides[k][last];
            }
            index[last] = 0;
            for d in (0..last).rev() {
                index[d] += 1;
                for k in 0..K {
                    at[k] += self.strides[k][d];
                }
                if index[d] < self.shape[d] {
                    break;
                }
                for k in 0..K {
                    at[k] -= self.shape[d] as isize * self.strides[k][d];
                }
                index[d] = 0;
            }
        }
    }
}

impl<T: Element> View<'_, T> {
    /// Copies the elements at row-major positions `start..start + out.len()` to `out`; `walk` is this view's own.
    pub(crate) fn stage(&self, walk: &Walk<1>, start: usize, out: &mut [T]) {
        debug_assert!(start + out.len() <= self.len);
        let (data, origin) = self.origin();
        let (_, step) = walk.inner(0);
        walk.for_each_run(start..start + out.len(), |position, [at], n| {
            let out = &mut out[position - start..][..n];
            gather(data, origin + at, step, out);
        });
    }
}

/// `out[i] = data[at + i·step]`.
#[inline]
pub(crate) fn gather<T: Copy>(data: &[T], at: isize, step: isize, out: &mut [T]) {
    match step {
        1 => out.copy_from_slice(&data[at as usize..][..out.len()]),
        0 => out.fill(data[at as usize]),
        _ => {
            if out.is_empty() {
                return;
            }
            let end = at + step * (out.len() as isize - 1);
            assert!(at >= 0 && end >= 0 && at.max(end) < data.len() as isize);
            for (i, y) in out.iter_mut().enumerate() {
                // SAFETY: the index lies between `at` and `end`, both inside `data` by the assert.
                *y = unsafe { *data.get_unchecked((at + i as isize * step) as usize) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_checked() {
        let data = [0i32; 12];
        assert!(View::new(&data, 0, &[3, 4], &[4, 1]).is_ok());
        assert!(View::new(&data, 1, &[3, 4], &[4, 1]).is_err());
        assert!(View::new(&data, 11, &[3, 4], &[-4, -1]).is_ok());
        assert!(View::new(&data, 10, &[3, 4], &[-4, -1]).is_err());
        assert!(View::new(&data, 0, &[3], &[4, 1]).is_err());
        assert!(View::new(&data, 99, &[0, 4], &[4, 1]).is_ok());
        assert!(View::new(&data, 0, &[usize::MAX, 2], &[0, 0]).is_err());
        assert!(View::new(&data, 0, &[2, 2], &[isize::MAX, isize::MAX]).is_err());
        assert!(View::new(&data, 0, &[2, 2], &[isize::MIN, isize::MAX]).is_err());
        assert!(View::new(&data, 0, &[1; 33], &[1; 33]).is_err());
        assert!(View::contiguous(&data, &[5]).is_err());
        assert!(View::scalar(&1u8, &[1 << 40, 1 << 40]).is_err());
    }

    #[test]
    fn walks_visit_in_row_major_order() {
        let data: Vec<i32> = (0..120).collect();
        for (shape, strides, offset) in [
            (vec![2, 3, 4], vec![12isize, 4, 1], 0usize),
            (vec![4, 3, 2], vec![1, 4, 12], 5),
            (vec![2, 3, 4], vec![0, 4, 0], 0),
            (vec![3, 1, 5], vec![-10, 7, 2], 50),
            (vec![], vec![], 3),
            (vec![1, 1], vec![9, 9], 3),
            (vec![0, 3], vec![3, 1], 0),
        ] {
            let view = View::new(&data, offset, &shape, &strides).unwrap();
            let want: Vec<i32> = view.iter().collect();
            let walk = view.walk();
            for start in 0..=want.len() {
                for end in start..=want.len() {
                    let mut got = vec![-1; end - start];
                    view.stage(&walk, start, &mut got);
                    assert_eq!(got, want[start..end], "{shape:?} {strides:?}");
                }
            }
        }
    }

    #[test]
    fn collapsing_merges_what_is_contiguous() {
        let data = [0u8; 120];
        let view = View::new(&data, 0, &[2, 3, 4, 5], &[60, 20, 5, 1]).unwrap();
        assert_eq!(view.walk().shape(), [120]);
        assert!(view.as_slice().is_some());
        let view = View::new(&data, 0, &[2, 3, 4], &[40, 1, 5]).unwrap();
        assert_eq!(view.walk().shape(), [2, 3, 4]);
        assert!(view.as_slice().is_none());
    }
}
