//! [`Walk`]: the row-major walk over one or several views of one shape with their dimensions collapsed, and the staging
//! of strided elements into a buffer.
//!
//! It knows sizes and strides, not data; bounds are the view's, which proved them. The collapsing of dimensions is NumPy's
//! and PyTorch's `TensorIterator` idea.

use crate::Element;
use crate::view::{MAX_RANK, View};
use std::ops::Range;

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
        debug_assert!(start + out.len() <= self.len());
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
