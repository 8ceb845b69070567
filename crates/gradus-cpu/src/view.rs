//! [`View`] and [`ViewMut`]: elements of a slice seen through a shape and signed strides, bounds-checked once.
//!
//! It is not a tensor: it borrows data, shape and strides, and has no operations of its own. How kernels walk over one is
//! in `walk.rs`.

use crate::walk::Walk;
use crate::{Error, Result};

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
    // Zeros left aside, as in NumPy: then no product of some of the sizes overflows either.
    let n = shape
        .iter()
        .filter(|&&d| d != 0)
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| isize::try_from(n).is_ok())
        .ok_or_else(|| Error::shape(op, format!("shape {shape:?} has too many elements")))?;
    Ok(if shape.contains(&0) { 0 } else { n })
}

/// The number of elements, 1 or more, if they lie in row-major order without gaps.
fn row_major_len(shape: &[usize], strides: Strides<'_>) -> Option<usize> {
    let mut n = 1usize;
    match strides {
        Strides::Contiguous => {
            for &d in shape {
                n = n.checked_mul(d)?;
            }
        }
        Strides::Scalar => return None,
        Strides::Given(strides) => {
            if strides.len() != shape.len() {
                return None;
            }
            for (&d, &s) in shape.iter().zip(strides).rev() {
                if d != 1 && s as usize != n {
                    return None;
                }
                n = n.checked_mul(d)?;
            }
        }
    }
    (n > 0 && isize::try_from(n).is_ok()).then_some(n)
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
    // What nearly every operand is, without the wide arithmetic: row-major and inside.
    if let Some(n) = row_major_len(shape, strides)
        && offset.checked_add(n).is_some_and(|end| end <= len)
    {
        return Ok(n);
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
    #[inline]
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
    #[inline]
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
    #[inline]
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
    #[inline]
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The number of dimensions.
    #[inline]
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements as a slice, if they lie in row-major order without gaps.
    pub fn as_slice(&self) -> Option<&'a [T]> {
        if self.len <= 1 {
            let at = if self.len == 0 { 0 } else { self.offset };
            return Some(&self.data[at..at + self.len]);
        }
        row_major_len(self.shape, self.strides)?;
        Some(&self.data[self.offset..self.offset + self.len])
    }

    /// The stride of dimension `d` in elements.
    pub fn stride(&self, d: usize) -> isize {
        match self.strides {
            Strides::Given(s) => s[d],
            Strides::Scalar => 0,
            Strides::Contiguous => self.stride_array()[d],
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
    #[inline]
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
    #[inline]
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[inline]
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
        // Nor may what has no elements have dimensions whose product does not exist.
        assert!(View::contiguous(&data[..0], &[0, 1 << 40, 1 << 40]).is_err());
        let empty = View::contiguous(&data[..0], &[0, 1 << 40]).unwrap();
        crate::reduce::sort(empty, 1, false, &mut [], &mut []).unwrap();
    }
}
