//! Matrices as the kernels see them: [`MatRef`] and [`MatMut`], and [`Out`], where a kernel writes.
//!
//! A [`MatRef`] has any strides: a transpose, a broadcast row (stride 0) and a flipped axis (negative) cost nothing
//! before the packing, which reads them in place. Nothing here computes.

use std::marker::PhantomData;

use super::kept::Kept;
use crate::{Error, Result, View};

/// Elements that are worth an entry.
const SMALLEST_KEPT: usize = 4096;

/// A read-only matrix: element `(i, j)` is `data[offset + i·row_stride + j·col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, T> {
    data: &'a [T],
    offset: usize,
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
    kept: Option<&'a Kept>,
}

impl<'a, T> MatRef<'a, T> {
    /// A matrix with any strides (in elements; 0 and negative ones are fine).
    ///
    /// # Errors
    /// If an element lies outside `data` or `rows · cols` overflows.
    pub fn new(
        data: &'a [T],
        offset: usize,
        (rows, cols): (usize, usize),
        (row_stride, col_stride): (isize, isize),
    ) -> Result<Self> {
        View::new(data, offset, &[rows, cols], &[row_stride, col_stride])?;
        Ok(Self {
            data,
            offset,
            rows,
            cols,
            row_stride,
            col_stride,
            kept: None,
        })
    }

    /// All of `data` as a row-major `rows × cols` matrix.
    ///
    /// # Errors
    /// If `data` has another length.
    pub fn row_major(data: &'a [T], rows: usize, cols: usize) -> Result<Self> {
        View::contiguous(data, &[rows, cols])?;
        Ok(Self {
            data,
            offset: 0,
            rows,
            cols,
            row_stride: cols as isize,
            col_stride: 1,
            kept: None,
        })
    }

    /// A view of rank 2 as a matrix.
    ///
    /// # Errors
    /// If the rank is not 2.
    pub fn from_view(view: &View<'a, T>) -> Result<Self> {
        let &[rows, cols] = view.shape() else {
            return Err(Error::shape(
                "gemm",
                format!("a matrix has rank 2, not the shape {:?}", view.shape()),
            ));
        };
        let (data, offset) = view.origin();
        Ok(Self {
            data,
            offset: offset as usize,
            rows,
            cols,
            row_stride: view.stride(0),
            col_stride: view.stride(1),
            kept: None,
        })
    }

    /// The same matrix as a weight, which does not change from one product to the next: what a product packs of it is kept there.
    /// `kept` must be cleared before the elements change.
    #[must_use]
    pub fn keeping(self, kept: &'a Kept) -> Self {
        Self {
            kept: Some(kept),
            ..self
        }
    }

    /// Where it is kept, unless it is too small for that.
    pub(crate) fn keeper(&self) -> Option<&'a Kept> {
        self.kept.filter(|_| self.rows * self.cols >= SMALLEST_KEPT)
    }

    /// The transpose, without moving anything.
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The distance in elements from a row to the next.
    pub fn row_stride(&self) -> isize {
        self.row_stride
    }

    /// The distance in elements from a column to the next.
    pub fn col_stride(&self) -> isize {
        self.col_stride
    }

    /// Where the first element lies.
    pub(crate) fn address(&self) -> usize {
        self.data.as_ptr().addr() + self.offset * size_of::<T>()
    }

    /// Where element `(i, j)` lies; in bounds for an element of the matrix.
    #[inline(always)]
    pub(crate) fn ptr(&self, i: usize, j: usize) -> *const T {
        debug_assert!(
            i < self.rows && j < self.cols,
            "({i}, {j}) of {} x {}",
            self.rows,
            self.cols
        );
        let at = self.offset as isize + i as isize * self.row_stride + j as isize * self.col_stride;
        // SAFETY: every element of the matrix lies inside `data`, which the constructors checked.
        unsafe { self.data.as_ptr().offset(at) }
    }

    /// A matrix of the same strides and the shape `(rows, cols)`, beginning `offset` elements further on: one of a
    /// batch. Checked like [`MatRef::new`].
    pub(crate) fn moved(self, offset: isize) -> Self {
        Self {
            offset: (self.offset as isize + offset) as usize,
            ..self
        }
    }
}

impl<T: Copy> MatRef<'_, T> {
    /// Element `(i, j)`: for references and tests.
    ///
    /// # Panics
    /// If there is no such element.
    pub fn at(&self, i: usize, j: usize) -> T {
        assert!(i < self.rows && j < self.cols);
        // SAFETY: in bounds by the assert and the constructors.
        unsafe { *self.ptr(i, j) }
    }
}

/// A matrix to write to: rows of contiguous elements, `row_stride` elements apart.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    pub(crate) data: &'a mut [T],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
}

impl<'a, T> MatMut<'a, T> {
    /// Element `(i, j)` is `data[i·row_stride + j]`.
    ///
    /// # Errors
    /// If rows overlap (`row_stride < cols`) or `data` is too short.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize, row_stride: usize) -> Result<Self> {
        let needed = match rows {
            0 => Some(0),
            _ => (rows - 1)
                .checked_mul(row_stride)
                .and_then(|n| n.checked_add(cols)),
        };
        if (rows > 1 && row_stride < cols) || needed.is_none_or(|n| n > data.len()) {
            let message = format!(
                "{rows} rows of {cols}, {row_stride} apart, do not fit into {} elements",
                data.len()
            );
            return Err(Error::shape("gemm", message));
        }
        Ok(Self {
            data,
            rows,
            cols,
            row_stride,
        })
    }

    /// All of `data`, row-major.
    ///
    /// # Errors
    /// If `data` does not have `rows · cols` elements.
    pub fn row_major(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self> {
        View::contiguous(data, &[rows, cols])?;
        Ok(Self {
            data,
            rows,
            cols,
            row_stride: cols,
        })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
}

/// Where tiles of the result go. Row `i`, column `j` lies at `i·row_stride + (j / segment)·segment_stride + j % segment`:
/// a plain matrix is one segment; the output of a convolution, `(B, O, H·W)` seen as the matrix `O × (B·H·W)`, has one
/// segment per image.
#[derive(Debug)]
pub(crate) struct Out<'a, T> {
    ptr: *mut T,
    len: usize,
    rows: usize,
    cols: usize,
    row_stride: usize,
    segment: usize,
    segment_stride: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: threads write to disjoint tiles (the contract of `locate`'s callers).
unsafe impl<T: Send> Sync for Out<'_, T> {}
// SAFETY: as above; it is a `&mut [T]` in parts.
unsafe impl<T: Send> Send for Out<'_, T> {}

impl<'a, T> Out<'a, T> {
    pub(crate) fn matrix(c: &'a mut MatMut<'_, T>) -> Self {
        let (rows, cols, row_stride) = (c.rows, c.cols, c.row_stride);
        let segment = cols.max(1);
        Self {
            ptr: c.data.as_mut_ptr(),
            len: c.data.len(),
            rows,
            cols,
            row_stride,
            segment,
            segment_stride: 0,
            lifetime: PhantomData,
        }
    }

    /// `rows × (segments·segment)`; the constructor proves the last element to lie in `data`.
    ///
    /// # Panics
    /// If it does not, or parts could overlap.
    pub(crate) fn segmented(
        data: &'a mut [T],
        rows: usize,
        row_stride: usize,
        (segments, segment, segment_stride): (usize, usize, usize),
    ) -> Self {
        if rows > 0 && segments > 0 && segment > 0 {
            assert!(
                segment <= row_stride && (rows - 1) * row_stride + segment <= segment_stride
                    || segments == 1
            );
            assert!(
                (rows - 1) * row_stride + (segments - 1) * segment_stride + segment <= data.len()
            );
        }
        Self {
            ptr: data.as_mut_ptr(),
            len: data.len(),
            rows,
            cols: segments * segment,
            row_stride,
            segment: segment.max(1),
            segment_stride,
            lifetime: PhantomData,
        }
    }

    /// Rows `first..first + rows` of it. Parts that threads write to at the same time must not overlap.
    ///
    /// # Panics
    /// If there are no such rows.
    pub(crate) fn part(&self, first: usize, rows: usize) -> Out<'_, T> {
        assert!(first + rows <= self.rows);
        let offset = if rows == 0 || self.cols == 0 {
            0
        } else {
            first * self.row_stride
        };
        // SAFETY: the row exists, or the part is empty.
        Out {
            ptr: unsafe { self.ptr.add(offset) },
            len: self.len - offset,
            rows,
            ..*self
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// The index of `(i, j)`, and how many columns from `j` on lie side by side.
    #[inline(always)]
    pub(crate) fn locate(&self, i: usize, j: usize) -> (usize, usize) {
        debug_assert!(i < self.rows && j < self.cols);
        if self.segment == self.cols {
            return (i * self.row_stride + j, self.cols - j);
        }
        let (s, r) = (j / self.segment, j % self.segment);
        (
            i * self.row_stride + s * self.segment_stride + r,
            self.segment - r,
        )
    }

    /// The element at an index that [`Out::locate`] gave.
    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> *mut T {
        debug_assert!(index < self.len);
        // SAFETY: `locate` only gives indices of elements, which the constructors proved to lie inside.
        unsafe { self.ptr.add(index) }
    }
}
