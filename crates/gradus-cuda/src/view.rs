//! A strided look at a buffer: shape, signed strides, offset. What kernels read; they write whole buffers.

use crate::manifest::{Layout, Ptr};
use crate::{Buffer, Element, Error, Result};

/// The number of elements of a shape.
///
/// # Errors
/// If it overflows.
pub fn numel(op: &'static str, shape: &[usize]) -> Result<usize> {
    let product = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    product
        .filter(|&n| isize::try_from(n).is_ok())
        .ok_or_else(|| Error::shape(op, format!("shape {shape:?} has too many elements")))
}

/// The strides of a row-major shape.
pub(crate) fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d].wrapping_mul(shape[d] as isize);
    }
    strides
}

/// How images (B, C, H, W) lie in memory; PyTorch's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryFormat {
    /// Row-major.
    #[default]
    Contiguous,
    /// The channels of a pixel side by side: (B, H, W, C) in memory.
    ChannelsLast,
}

impl MemoryFormat {
    /// How a view lies, if it is one of the two without gaps. What is both at once (one channel, or one pixel) is `Contiguous`.
    pub fn of<T: Element>(x: &View<'_, T>) -> Option<Self> {
        if x.is_contiguous() {
            return Some(Self::Contiguous);
        }
        (x.rank() == 4 && x.permuted(&[0, 2, 3, 1]).is_contiguous()).then_some(Self::ChannelsLast)
    }

    /// The first elements of a buffer as images of this shape that lie so.
    pub(crate) fn view<T: Element>(
        self,
        buffer: &Buffer<T>,
        [b, c, h, w]: [usize; 4],
    ) -> Result<View<'_, T>> {
        match self {
            Self::Contiguous => View::contiguous(buffer, &[b, c, h, w]),
            Self::ChannelsLast => {
                Ok(View::contiguous(buffer, &[b, h, w, c])?.permuted(&[0, 3, 1, 2]))
            }
        }
    }
}

/// The elements `buffer[offset + Σ index[d]·strides[d]]` of a shape.
#[derive(Clone, Debug)]
pub struct View<'a, T> {
    buffer: &'a Buffer<T>,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<isize>,
}

impl<'a, T: Element> View<'a, T> {
    /// Any strides, negative and zero ones included.
    ///
    /// # Errors
    /// If an element lies outside the buffer, or shape and strides differ in length.
    pub fn new(
        buffer: &'a Buffer<T>,
        offset: usize,
        shape: &[usize],
        strides: &[isize],
    ) -> Result<Self> {
        let fail = |what: &str| {
            let message = format!(
                "shape {shape:?} with strides {strides:?} at {offset} of {} elements: {what}",
                buffer.len()
            );
            Err(Error::shape("view", message))
        };
        if shape.len() != strides.len() {
            return fail("as many strides as dimensions are needed");
        }
        if numel("view", shape)? > 0 {
            let (mut low, mut high) = (offset as i128, offset as i128);
            for (&d, &s) in shape.iter().zip(strides) {
                let reach = (d as i128 - 1) * s as i128;
                *(if reach < 0 { &mut low } else { &mut high }) += reach;
            }
            if low < 0 || high >= buffer.len() as i128 {
                return fail("elements lie outside the buffer");
            }
        }
        Ok(Self {
            buffer,
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        })
    }

    /// The first elements, row-major.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn contiguous(buffer: &'a Buffer<T>, shape: &[usize]) -> Result<Self> {
        Self::new(buffer, 0, shape, &row_major(shape))
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The strides, in elements.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer it looks at.
    pub fn buffer(&self) -> &'a Buffer<T> {
        self.buffer
    }

    /// Whether the elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1isize;
        self.shape.iter().zip(&self.strides).rev().all(|(&d, &s)| {
            let fits = d == 1 || s == expected;
            expected = expected.wrapping_mul(d as isize);
            fits
        }) || self.is_empty()
    }

    /// The address of the element at coordinates 0.
    pub(crate) fn ptr(&self) -> Ptr {
        Ptr(self
            .buffer
            .address()
            .wrapping_add((self.offset * size_of::<T>()) as u64))
    }

    /// The first matrix of a batch: the last two dimensions.
    pub(crate) fn matrix(&self) -> Self {
        let first = self.rank() - 2;
        Self {
            buffer: self.buffer,
            offset: self.offset,
            shape: self.shape[first..].to_vec(),
            strides: self.strides[first..].to_vec(),
        }
    }

    /// The same elements, which lie in row-major order, in another shape.
    pub(crate) fn flattened(&self, shape: &[usize]) -> Result<Self> {
        debug_assert!(self.is_contiguous());
        Self::new(self.buffer, self.offset, shape, &row_major(shape))
    }

    /// The same elements with the dimensions in another order.
    pub(crate) fn permuted(&self, order: &[usize]) -> Self {
        Self {
            buffer: self.buffer,
            offset: self.offset,
            shape: order.iter().map(|&d| self.shape[d]).collect(),
            strides: order.iter().map(|&d| self.strides[d]).collect(),
        }
    }
}

/// How operands of one shape lie, for a kernel: dimensions that lie together in all of them are made one.
///
/// # Errors
/// If more than eight dimensions are left, or one is longer than a `u32`.
pub(crate) fn layout(op: &'static str, shape: &[usize], strides: &[&[isize]]) -> Result<Layout> {
    // From the fastest dimension: sizes and strides of what is left.
    let mut sizes: Vec<usize> = Vec::new();
    let mut steps: Vec<Vec<isize>> = Vec::new();
    for d in (0..shape.len()).rev() {
        if shape[d] == 1 {
            continue;
        }
        let step: Vec<isize> = strides.iter().map(|s| s[d]).collect();
        let continues = match (sizes.last(), steps.last()) {
            (Some(&size), Some(last)) => {
                let joined = step
                    .iter()
                    .zip(last)
                    .all(|(&s, &l)| l.checked_mul(size as isize) == Some(s));
                joined
                    && size
                        .checked_mul(shape[d])
                        .is_some_and(|n| u32::try_from(n).is_ok())
            }
            _ => false,
        };
        if continues {
            if let Some(size) = sizes.last_mut() {
                *size *= shape[d];
            }
        } else {
            sizes.push(shape[d]);
            steps.push(step);
        }
    }
    if sizes.len() > 8 || sizes.iter().any(|&s| u32::try_from(s).is_err()) {
        return Err(Error::shape(
            op,
            format!("shape {shape:?}: the kernel walks at most eight dimensions of at most 2^32"),
        ));
    }
    let mut layout = Layout {
        rank: sizes.len() as i32,
        ..Layout::default()
    };
    for (i, (&size, step)) in sizes.iter().rev().zip(steps.iter().rev()).enumerate() {
        layout.sizes[i] = size as u32;
        for (k, &s) in step.iter().enumerate() {
            layout.strides[k][i] = s as i64;
        }
    }
    Ok(layout)
}

/// `Err` unless two views have one shape and lie on one device.
pub(crate) fn same<A: Element, B: Element>(
    op: &'static str,
    a: &View<'_, A>,
    b: &View<'_, B>,
) -> Result<()> {
    if a.shape() != b.shape() {
        return Err(Error::shape(
            op,
            format!("shapes {:?} and {:?} differ", a.shape(), b.shape()),
        ));
    }
    same_device(op, a.buffer(), b.buffer())
}

/// `Err` unless two buffers lie on one device.
pub(crate) fn same_device<A: Element, B: Element>(
    op: &'static str,
    a: &Buffer<A>,
    b: &Buffer<B>,
) -> Result<()> {
    if a.device() == b.device() {
        Ok(())
    } else {
        Err(Error::Devices { op })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_joined() {
        let shape = [2, 3, 1, 4];
        let contiguous = row_major(&shape);
        let one = layout("t", &shape, &[&contiguous]).unwrap();
        assert_eq!((one.rank, one.sizes[0], one.strides[0][0]), (1, 24, 1));
        // A bias along the last dimension: two dimensions are left.
        let bias = [0, 0, 0, 1];
        let two = layout("t", &shape, &[&contiguous, &bias]).unwrap();
        assert_eq!((two.rank, &two.sizes[..2]), (2, &[6, 4][..]));
        assert_eq!(
            (&two.strides[0][..2], &two.strides[1][..2]),
            (&[4, 1][..], &[0, 1][..])
        );
        assert_eq!(layout("t", &[1, 1], &[&[7, 7]]).unwrap().rank, 0);
        assert!(layout("t", &[2; 9], &[&[1; 9], &[0; 9]]).is_err());
    }
}
