//! Adding into a part of a tensor: the transpose of every op that only looks at a part.
//!
//! Not an assignment by index (that is `index_put` and its family): the part is given by a view.

use crate::element::Element;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

impl Tensor {
    /// This tensor with `src` added to the elements that `view` shows of it; an element shown twice receives twice.
    /// Reuses the memory when nobody else holds it. `src` has the view's shape, and is converted to this dtype.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let ones = Tensor::ones([2], DType::F32)?;
    /// let x = Tensor::zeros([2, 3], DType::F32)?.add_to_view_(|x| x.select(1, -1), &ones)?;
    /// assert_eq!(x.to_vec::<f32>()?, [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `view` fails or gives something other than a view of its argument, or the shapes differ.
    pub fn add_to_view_(
        self,
        view: impl FnOnce(&Tensor) -> Result<Tensor>,
        src: &Tensor,
    ) -> Result<Tensor> {
        const OP: &str = "add_to_view";
        let mut out = if self.is_contiguous() {
            self
        } else {
            self.copy()?
        };
        let shown = view(&out)?;
        if !shown.shares_storage(&out) || shown.dtype() != out.dtype() {
            return Err(Error::value(
                OP,
                "the function gave a tensor of its own, not a view",
            ));
        }
        if shown.dims() != src.dims() {
            let message = format!(
                "the view has shape {}, what is added {}",
                shown.shape(),
                src.shape()
            );
            return Err(Error::shape(OP, message));
        }
        // Where the view starts and steps, counted from the first element of `out`, wherever that ends up.
        let start = shown.layout().offset() as isize - out.layout().offset() as isize;
        on_cuda!([out, src] => {
            let (part, src) = (shown.layout().clone(), src.to_dtype(out.dtype())?);
            if cuda::index::overlaps(&part) {
                return cuda::index::add_at(OP, &out, &part, start, &src);
            }
            let sum = shown.add(&src)?;
            drop(shown);
            crate::ops::copy::replaced(OP, out, &sum, |l| {
                let offset = (l.offset as isize + start) as usize;
                Ok(crate::layout::Layout { offset, ..part })
            })
        });
        let (dims, strides) = (shown.dims().to_vec(), shown.strides().to_vec());
        drop(shown);
        let src = src.to_dtype(out.dtype())?.contiguous()?;
        dispatch!(out.dtype(), T => {
            let src = src.as_slice::<T>().unwrap_or(&[]);
            out.with_mut_slice::<T, _>(|y| add_strided(y, start, &dims, &strides, src))?;
        });
        Ok(out)
    }
}

/// Adds `src`, row-major in `dims`, to the elements of `y` at `start` and `strides`.
fn add_strided<T: Element>(
    y: &mut [T],
    start: isize,
    dims: &[usize],
    strides: &[isize],
    src: &[T],
) {
    let (Some((&len, outer)), Some((&step, outer_strides))) =
        (dims.split_last(), strides.split_last())
    else {
        if let [x] = src {
            y[start as usize] = add(y[start as usize], *x);
        }
        return;
    };
    if src.is_empty() {
        return;
    }
    let mut index = vec![0usize; outer.len()];
    let mut at = start;
    for row in src.chunks_exact(len) {
        if step == 1 {
            for (y, &x) in y[at as usize..][..len].iter_mut().zip(row) {
                *y = add(*y, x);
            }
        } else {
            for (i, &x) in row.iter().enumerate() {
                let y = &mut y[(at + i as isize * step) as usize];
                *y = add(*y, x);
            }
        }
        // The next row: an odometer over the outer dimensions.
        for d in (0..outer.len()).rev() {
            index[d] += 1;
            at += outer_strides[d];
            if index[d] < outer[d] {
                break;
            }
            at -= outer_strides[d] * outer[d] as isize;
            index[d] = 0;
        }
    }
}

fn add<T: Element>(a: T, b: T) -> T {
    if T::DTYPE.is_float() {
        T::from_f64(a.to_f64() + b.to_f64())
    } else {
        T::from_i64(a.to_i64().wrapping_add(b.to_i64()))
    }
}
