//! Transposes of 4-byte numbers whose source is contiguous along the dimension that becomes the outer one.
//!
//! Tiles of 16x16 (AVX-512) go through registers: 16 loads, 64 shuffles, 16 stores for 256 numbers, so memory is the bound: 8 bytes
//! a number, 0.9 ms for 4096x1024 at 36 GB/s. A strip of the source is 64 rows wide: each line of it is read once, four lines of a row
//! of the output are written one after the other, past the cache if the output is large.

use crate::Element;
use crate::parallel::{SharedMut, for_each_chunk};
use crate::view::MAX_RANK;
use crate::walk::Walk;
use gradus_simd::{Isa, Kernel, dispatch};

/// Columns of the output in a strip: four lines.
const STRIP: usize = 64;
/// Rows of the output in a task.
const ROWS: usize = 512;
/// Outputs of at least so many bytes are stored past the cache.
const STREAM_FROM: usize = 4 << 20;

pub(super) fn fits<T: Element>() -> bool {
    size_of::<T>() == size_of::<f32>()
}

/// Copies with the planes of dimension `dim`, of stride 1, and the innermost one turned over.
pub(super) fn over<T: Element>(data: &[T], origin: isize, walk: &Walk<1>, dim: usize, y: &mut [T]) {
    let (shape, strides) = (walk.shape(), walk.strides(0));
    let last = shape.len() - 1;
    let (rows, cols) = (shape[dim], shape[last]);
    let mut y_strides = [1usize; MAX_RANK];
    for d in (0..last).rev() {
        y_strides[d] = y_strides[d + 1] * shape[d + 1];
    }
    let (strips, bands) = (cols.div_ceil(STRIP), rows.div_ceil(ROWS));
    let planes = y.len() / (rows * cols);
    // Every row of every plane begins on a line, or none is streamed.
    let stream = size_of_val(y) >= STREAM_FROM
        && (y.as_ptr() as usize).is_multiple_of(64)
        && cols.is_multiple_of(16);
    let y = SharedMut::new(y);
    let per_task = (ROWS / rows).max(1);
    for_each_chunk(planes * bands * strips, per_task, |items| {
        for item in items {
            let (mut plane, band, strip) =
                (item / strips / bands, item / strips % bands, item % strips);
            let (mut from, mut to) = (origin, 0usize);
            for d in (0..last).rev().filter(|&d| d != dim) {
                let i = plane % shape[d];
                plane /= shape[d];
                from += i as isize * strides[d];
                to += i * y_strides[d];
            }
            let (i0, j0) = (band * ROWS, strip * STRIP);
            let (height, width) = (ROWS.min(rows - i0), STRIP.min(cols - j0));
            from += i0 as isize + j0 as isize * strides[last];
            to += i0 * y_strides[dim] + j0;
            // The corners of what is read: the walk proved them, and this says so once more.
            let end = from + (width as isize - 1) * strides[last];
            assert!(from.min(end) >= 0 && from.max(end) + height as isize <= data.len() as isize);
            assert!(to + (height - 1) * y_strides[dim] + width <= planes * rows * cols);
            dispatch(Strip {
                // SAFETY: inside the slices by the asserts.
                src: unsafe { data.as_ptr().offset(from) }.cast(),
                src_step: strides[last],
                // SAFETY: as above; strips do not overlap.
                dst: unsafe { y.as_mut_ptr().add(to) }.cast(),
                dst_step: y_strides[dim],
                height,
                width,
                stream,
            });
        }
    });
}

/// `dst[i·dst_step + j] = src[j·src_step + i]` for i below `height`, j below `width`.
struct Strip {
    src: *const f32,
    src_step: isize,
    dst: *mut f32,
    dst_step: usize,
    height: usize,
    width: usize,
    stream: bool,
}

impl Kernel for Strip {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let tile = S::TILE;
        // Rows of the source that go backwards are moved one by one.
        let whole = if self.src_step > 0 {
            (self.height / tile, self.width / tile)
        } else {
            (0, 0)
        };
        for i in 0..whole.0 {
            for j in 0..whole.1 {
                // SAFETY: tiles inside the strip, whose elements the caller has proved; a tile begins on a line if its strip
                // does (the steps are whole lines then).
                unsafe {
                    let src = self
                        .src
                        .offset((j * tile) as isize * self.src_step)
                        .add(i * tile);
                    let dst = self.dst.add(i * tile * self.dst_step + j * tile);
                    isa.transpose_tile(
                        src,
                        self.src_step as usize,
                        dst,
                        self.dst_step,
                        self.stream,
                    );
                }
            }
        }
        let (done_i, done_j) = (whole.0 * tile, whole.1 * tile);
        for i in 0..self.height {
            for j in if i < done_i { done_j } else { 0 }..self.width {
                // SAFETY: as above.
                unsafe {
                    *self.dst.add(i * self.dst_step + j) =
                        *self.src.offset(j as isize * self.src_step).add(i);
                }
            }
        }
        if self.stream {
            isa.fence();
        }
    }
}
