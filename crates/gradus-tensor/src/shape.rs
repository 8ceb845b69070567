//! Shapes: a short list of sizes, kept inline up to rank 6. Also `Dims` (which dimensions an op works on),
//! broadcasting and the meaning of negative dimensions.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::error::{Error, Result};

const INLINE: usize = 6;

/// A list of at most six values without an allocation, longer with one.
#[derive(Clone)]
pub(crate) enum Small<T> {
    Inline(u8, [T; INLINE]),
    Heap(Vec<T>),
}

impl<T: Copy + Default> Small<T> {
    pub(crate) fn new(values: &[T]) -> Self {
        if values.len() <= INLINE {
            let mut a = [T::default(); INLINE];
            a[..values.len()].copy_from_slice(values);
            Small::Inline(values.len() as u8, a)
        } else {
            Small::Heap(values.to_vec())
        }
    }

    pub(crate) fn filled(value: T, n: usize) -> Self {
        if n <= INLINE {
            Small::Inline(n as u8, [value; INLINE])
        } else {
            Small::Heap(vec![value; n])
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        self.insert(self.len(), value);
    }

    pub(crate) fn insert(&mut self, at: usize, value: T) {
        match self {
            Small::Inline(n, a) if (*n as usize) < INLINE => {
                let len = *n as usize;
                a.copy_within(at..len, at + 1);
                a[at] = value;
                *n += 1;
            }
            Small::Inline(n, a) => {
                let mut v = a[..*n as usize].to_vec();
                v.insert(at, value);
                *self = Small::Heap(v);
            }
            Small::Heap(v) => v.insert(at, value),
        }
    }

    pub(crate) fn remove(&mut self, at: usize) -> T {
        let value = self[at];
        match self {
            Small::Inline(n, a) => {
                a.copy_within(at + 1..*n as usize, at);
                *n -= 1;
            }
            Small::Heap(v) => {
                v.remove(at);
            }
        }
        value
    }
}

impl<T> Deref for Small<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Small::Inline(n, a) => &a[..*n as usize],
            Small::Heap(v) => v,
        }
    }
}

impl<T> DerefMut for Small<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Small::Inline(n, a) => &mut a[..*n as usize],
            Small::Heap(v) => v,
        }
    }
}

impl<T: Copy + Default> FromIterator<T> for Small<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        let mut out = Small::new(&[]);
        iter.into_iter().for_each(|x| out.push(x));
        out
    }
}

impl<T: PartialEq> PartialEq for Small<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Small<T> {}

/// The sizes of a tensor's dimensions, outermost first. `()` or `[]` is a single number (rank 0).
#[derive(Clone, PartialEq, Eq)]
pub struct Shape(pub(crate) Small<usize>);

impl Shape {
    /// A shape from its sizes.
    #[must_use]
    pub fn new(dims: &[usize]) -> Self {
        Shape(Small::new(dims))
    }

    /// The sizes.
    #[must_use]
    #[inline]
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// How many dimensions.
    #[must_use]
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// How many elements, or an error when the product of the sizes overflows (zeros left aside, as in NumPy: then no
    /// product of some of the sizes overflows either).
    ///
    /// ```
    /// use gradus_tensor::Shape;
    /// assert_eq!(Shape::from([2, 0, 3]).numel().unwrap(), 0);
    /// assert!(Shape::from([usize::MAX, 2]).numel().is_err());
    /// ```
    ///
    /// # Errors
    /// The number of elements does not fit in an `isize`.
    pub fn numel(&self) -> Result<usize> {
        let product = self
            .0
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
        match product.filter(|&n| isize::try_from(n).is_ok()) {
            Some(n) => Ok(if self.0.contains(&0) { 0 } else { n }),
            None => Err(Error::shape(
                "shape",
                format!("{self}: the number of elements overflows"),
            )),
        }
    }

    /// Row-major strides, in elements.
    pub(crate) fn row_major_strides(&self) -> Small<isize> {
        let mut strides = Small::filled(0isize, self.rank());
        let mut step = 1isize;
        for i in (0..self.rank()).rev() {
            strides[i] = step;
            // A broadcast view may count more elements than memory: then no strides are the row-major ones.
            step = step.saturating_mul(self.0[i].max(1) as isize);
        }
        strides
    }

    /// The shape two operands broadcast to, sizes matched from the back, 1 stretching.
    ///
    /// # Errors
    /// Two sizes differ and neither is 1.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape> {
        let (long, short) = if self.rank() >= other.rank() {
            (self, other)
        } else {
            (other, self)
        };
        let mut out = long.clone();
        let lead = long.rank() - short.rank();
        for (o, &s) in out.0[lead..].iter_mut().zip(short.iter()) {
            if *o == 1 {
                *o = s;
            } else if s != 1 && s != *o {
                let message = format!(
                    "{self} and {other} do not broadcast: {o} against {s} (sizes are matched from the back; one must be 1)"
                );
                return Err(Error::shape("broadcast", message));
            }
        }
        Ok(out)
    }
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape::new(&dims)
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(dims: &[usize; N]) -> Self {
        Shape::new(dims)
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape::new(dims)
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape::new(&dims)
    }
}

impl From<&Vec<usize>> for Shape {
    fn from(dims: &Vec<usize>) -> Self {
        Shape::new(dims)
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape::new(&[])
    }
}

impl From<usize> for Shape {
    fn from(n: usize) -> Self {
        Shape::new(&[n])
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        **self == *other
    }
}

/// The dimension a possibly negative number means: -1 is the last. A rank-0 tensor takes 0 and -1, as in PyTorch.
pub(crate) fn resolve_dim(op: &'static str, dim: isize, shape: &Shape) -> Result<usize> {
    let rank = shape.rank().max(1) as isize;
    if dim < -rank || dim >= rank {
        let message = format!(
            "dim {dim} is out of range for shape {shape}: expected {}..={}",
            -rank,
            rank - 1
        );
        return Err(Error::index(op, message));
    }
    Ok(if dim < 0 { dim + rank } else { dim } as usize)
}

/// The index a possibly negative number means along a dimension of `size`.
pub(crate) fn resolve_index(op: &'static str, index: i64, size: usize) -> Result<usize> {
    let n = size as i64;
    if index < -n || index >= n {
        return Err(Error::index(op, outside(index, size, true)));
    }
    Ok(if index < 0 { index + n } else { index } as usize)
}

/// What an error says of an index outside its dimension; `wrap`: negative ones count from the back.
pub(crate) fn outside(index: i64, size: usize, wrap: bool) -> String {
    let hint = match (size, wrap) {
        (0, _) => "the dimension is empty".into(),
        (_, true) => format!("expected -{size}..={}", size - 1),
        (_, false) => format!("expected 0..={}", size - 1),
    };
    format!("index {index} is out of range for a dimension of size {size}: {hint}")
}

/// Which dimensions an op works on: `..` (all), `1`, `-1`, `[0, 2]`, a slice or a `Vec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dims {
    /// Every dimension.
    All,
    /// These, negative ones counted from the back.
    List(Vec<isize>),
}

impl Dims {
    /// The dimensions in ascending order. An explicit empty list means all, as PyTorch's reductions take it.
    pub(crate) fn resolve(&self, op: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        let list = match self {
            Dims::List(list) if !list.is_empty() => list,
            _ => return Ok((0..shape.rank()).collect()),
        };
        let mut axes = list
            .iter()
            .map(|&d| resolve_dim(op, d, shape))
            .collect::<Result<Vec<_>>>()?;
        axes.sort_unstable();
        let twice = (1..axes.len()).find(|&i| axes[i] == axes[i - 1]);
        if let Some(i) = twice {
            let message = format!(
                "dim {} appears twice in {list:?} for shape {shape}",
                axes[i]
            );
            return Err(Error::value(op, message));
        }
        if shape.rank() == 0 {
            axes.clear();
        }
        Ok(axes)
    }
}

impl From<std::ops::RangeFull> for Dims {
    fn from(_: std::ops::RangeFull) -> Self {
        Dims::All
    }
}

impl From<isize> for Dims {
    fn from(d: isize) -> Self {
        Dims::List(vec![d])
    }
}

impl From<i32> for Dims {
    fn from(d: i32) -> Self {
        Dims::List(vec![d as isize])
    }
}

impl<const N: usize> From<[isize; N]> for Dims {
    fn from(d: [isize; N]) -> Self {
        Dims::List(d.to_vec())
    }
}

impl From<&[isize]> for Dims {
    fn from(d: &[isize]) -> Self {
        Dims::List(d.to_vec())
    }
}

impl From<Vec<isize>> for Dims {
    fn from(d: Vec<isize>) -> Self {
        Dims::List(d)
    }
}

impl From<&Vec<isize>> for Dims {
    fn from(d: &Vec<isize>) -> Self {
        Dims::List(d.clone())
    }
}

impl From<Option<isize>> for Dims {
    fn from(d: Option<isize>) -> Self {
        d.map_or(Dims::All, Dims::from)
    }
}

impl From<&Dims> for Dims {
    fn from(d: &Dims) -> Self {
        d.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_list_grows_onto_the_heap_and_back() {
        let mut s: Small<usize> = (0..6).collect();
        s.insert(2, 99);
        assert_eq!(&*s, &[0, 1, 99, 2, 3, 4, 5]);
        assert_eq!(s.remove(2), 99);
        assert_eq!(&*s, &[0, 1, 2, 3, 4, 5]);
        assert!(s == Small::new(&[0, 1, 2, 3, 4, 5]));
    }

    #[test]
    fn broadcasts_like_numpy() {
        let b =
            |a: &[usize], b: &[usize]| Shape::new(a).broadcast(&Shape::new(b)).map(|s| s.to_vec());
        assert_eq!(b(&[2, 1, 3], &[4, 1]).unwrap(), [2, 4, 3]);
        assert_eq!(b(&[], &[5]).unwrap(), [5]);
        assert_eq!(b(&[0], &[1]).unwrap(), [0]);
        assert!(b(&[0], &[2]).is_err());
    }

    #[test]
    fn negative_dims_count_from_the_back() {
        let s = Shape::from([2, 3]);
        assert_eq!(resolve_dim("x", -1, &s).unwrap(), 1);
        assert!(resolve_dim("x", 2, &s).is_err());
        assert!(resolve_dim("x", isize::MIN, &s).is_err());
        assert_eq!(resolve_dim("x", -1, &Shape::from(())).unwrap(), 0);
        assert!(Dims::from([0, -2]).resolve("x", &s).is_err());
    }
}
