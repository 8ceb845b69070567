//! What `reshape`, `view` and `expand` take as sizes: arrays, slices and vectors of several whole-number types, and [`Shape`].

use crate::error::{Error, Result};
use crate::shape::Shape;

/// What `reshape`, `view` and `expand` take: sizes, of which one may be -1. `[2, -1]`, `&[isize]`, `Vec`, `&[usize]`, `Shape`.
pub trait ReshapeTo {
    /// The sizes as given.
    fn sizes(&self) -> Vec<isize>;

    /// The shape, with -1 worked out from the number of elements.
    ///
    /// # Errors
    /// The number of elements does not match.
    fn resolve(&self, op: &'static str, from: &Shape) -> Result<Shape> {
        let sizes = self.sizes();
        let numel = from.numel()?;
        let fail =
            |why: &str| Error::shape(op, format!("{from} ({numel} elements) to {sizes:?}: {why}"));
        let mut unknown = None;
        let mut dims = Vec::with_capacity(sizes.len());
        for (i, &n) in sizes.iter().enumerate() {
            match usize::try_from(n) {
                Ok(n) => dims.push(n),
                Err(_) if n == -1 && unknown.is_none() => {
                    unknown = Some(i);
                    dims.push(1);
                }
                Err(_) => return Err(fail("only one size may be -1, and none below it")),
            }
        }
        let known = Shape::new(&dims).numel().map_err(|e| e.in_op(op))?;
        if let Some(i) = unknown {
            if known == 0 || !numel.is_multiple_of(known) {
                return Err(fail("the size for -1 cannot be worked out"));
            }
            dims[i] = numel / known;
        } else if known != numel {
            return Err(fail(&format!("the new shape has {known} elements")));
        }
        Ok(Shape::from(dims))
    }
}

macro_rules! reshape_to {
    ($($t:ty),*) => {$(
        impl ReshapeTo for $t {
            fn sizes(&self) -> Vec<isize> {
                self.iter().map(|&n| isize::try_from(n).unwrap_or(isize::MAX)).collect()
            }
        }
    )*};
}
reshape_to!(
    &[isize],
    &[usize],
    Vec<isize>,
    Vec<usize>,
    &Vec<usize>,
    &Vec<isize>,
    Shape,
    &Shape,
    &[i32],
    &[i64],
    Vec<i64>,
    &Vec<i64>
);

macro_rules! reshape_to_array {
    ($($t:ty),*) => {$(
        impl<const N: usize> ReshapeTo for [$t; N] {
            fn sizes(&self) -> Vec<isize> {
                self.iter().map(|&n| isize::try_from(n).unwrap_or(isize::MAX)).collect()
            }
        }
        impl<const N: usize> ReshapeTo for &[$t; N] {
            fn sizes(&self) -> Vec<isize> {
                self.iter().map(|&n| isize::try_from(n).unwrap_or(isize::MAX)).collect()
            }
        }
    )*};
}
reshape_to_array!(isize, usize, i32, i64);

impl ReshapeTo for () {
    fn sizes(&self) -> Vec<isize> {
        Vec::new()
    }
}

impl ReshapeTo for usize {
    fn sizes(&self) -> Vec<isize> {
        vec![isize::try_from(*self).unwrap_or(isize::MAX)]
    }
}
