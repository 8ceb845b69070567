//! Moving elements without knowing their type: strided to row-major.

use crate::layout::Layout;
use crate::storage::Word;

/// Copies the elements of `src` seen through `layout`, in row-major order, into `dst`.
pub(crate) fn strided_copy<W: Word>(src: &[W], layout: &Layout, dst: &mut [W]) {
    if layout.is_contiguous() {
        dst.copy_from_slice(&src[layout.offset..][..dst.len()]);
        return;
    }
    let rank = layout.shape.rank();
    let (inner, step) = (layout.shape[rank - 1], layout.strides[rank - 1]);
    let outer = Layout {
        shape: crate::Shape::new(&layout.shape[..rank - 1]),
        strides: crate::shape::Small::new(&layout.strides[..rank - 1]),
        offset: layout.offset,
    };
    for (start, row) in outer.positions().zip(dst.chunks_exact_mut(inner.max(1))) {
        match step {
            1 => row.copy_from_slice(&src[start..start + inner]),
            0 => row.fill(src[start]),
            _ => {
                let mut at = start as isize;
                for y in row {
                    *y = src[at as usize];
                    at = at.wrapping_add(step);
                }
            }
        }
    }
}
