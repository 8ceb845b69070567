//! The gradient of a weight with many output channels: one product, `dW (O × C·taps) = dY (O × B·pixels) · im2colᵀ`.
//!
//! `backward_weight`'s dot products copy a row of im2col for every 64 output channels. From 128 on it is better to transpose
//! im2col once, in the packing of the GEMM: an element costs one to two cycles there and is used O times at 32 a cycle. Small
//! images, whose rows are too short for dot products, gain most. `dY` is gathered so that its pixels of all images lie side by side.
//! K, the pixels of the batch, is summed in blocks in order, whatever the threads.

use std::ops::Range;

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::backward_weight;
use super::geometry::Geometry;
use super::im2col::Im2col;
use crate::gemm::{Columns, Epilogue, Job, MatMut, MatRef, Out, blocked, on, tiles};
use crate::parallel;
use crate::scratch;

/// Output channels from which this path wins.
const OUTPUTS: usize = 128;

/// Whether this path is the better one.
pub(crate) fn suits(g: &Geometry) -> bool {
    g.outputs >= OUTPUTS && g.depth() >= 32 && !backward_weight::in_place(g)
}

/// `dw` of checked, contiguous, non-empty arguments.
pub(crate) fn run<T: Float>(isa: IsaName, g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) {
    let (pixels, depth) = (g.pixels(), g.depth());
    let k = g.batch * pixels;
    let mut gathered = scratch::buffer::<T>(if g.batch > 1 { g.outputs * k } else { 0 });
    for (group, dw) in dw.chunks_exact_mut(g.outputs * depth).enumerate() {
        let from = |image: usize, o: usize| ((image * g.groups + group) * g.outputs + o) * pixels;
        let rows = if g.batch > 1 {
            parallel::for_each_chunk_mut(&mut gathered, k, |o, row| {
                for (image, part) in row.chunks_exact_mut(pixels).enumerate() {
                    part.copy_from_slice(&dy[from(image, o)..][..pixels]);
                }
            });
            &*gathered
        } else {
            &dy[from(0, 0)..][..g.outputs * pixels]
        };
        let mut c = MatMut {
            data: dw,
            rows: g.outputs,
            cols: depth,
            row_stride: depth,
        };
        blocked(&Job {
            a: MatRef::row_major(rows, g.outputs, k).expect("the rows were cut to size"),
            b: &Transposed(Im2col {
                x,
                g,
                channel: group * g.channels,
            }),
            alpha: T::ONE,
            beta: T::ZERO,
            out: &Out::matrix(&mut c),
            epilogue: &Epilogue::default(),
            isa,
            done: None,
        });
    }
}

/// The transpose of an im2col matrix: `(batch·pixels) × (channels·taps)`.
struct Transposed<'a, T>(Im2col<'a, T>);

/// Rows of an im2col matrix, each contiguous.
struct CopyRows<'a, T> {
    im2col: &'a Im2col<'a, T>,
    rows: Range<usize>,
    pixels: Range<usize>,
    dst: &'a mut [T],
}

impl<T: Float> Kernel for CopyRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let stride = self.pixels.len();
        self.im2col
            .rows(isa, self.rows, self.pixels, stride, self.dst);
    }
}

/// The most columns in one panel.
const MAX_COLUMNS: usize = 64;

impl<T: Float> Columns<T> for Transposed<'_, T> {
    #[inline(always)]
    fn pack<S: Isa>(&self, _: S, ks: Range<usize>, cols: Range<usize>, nr: usize, dst: &mut [T]) {
        let (lanes, stride) = (T::V::<S>::LANES, self.0.g.stride[2]);
        self.0.check(&cols, &ks);
        assert!(nr <= MAX_COLUMNS);
        let mut rest = dst;
        let mut first = cols.start;
        while first < cols.end {
            let n = nr.min(cols.end - first);
            let width = if n == nr {
                nr
            } else {
                n.next_multiple_of(lanes)
            };
            let (panel, after) = rest.split_at_mut(width * ks.len());
            rest = after;
            let mut rows = [self.0.row(first); MAX_COLUMNS];
            for j in 1..n {
                rows[j] = self.0.next_row(rows[j - 1]);
            }
            let mut p = ks.start;
            while p < ks.end {
                let run = self.0.run(p, ks.end - p);
                let part = &mut panel[(p - ks.start) * width..][..run.len * width];
                for j in 0..width {
                    // Pixels low..high of the run see the input, the others the padding.
                    let (low, high, start) = if j < n {
                        self.0.seen(&run, &rows[j])
                    } else {
                        (0, 0, 0)
                    };
                    let mut column = part[j..].iter_mut().step_by(width);
                    column.by_ref().take(low).for_each(|y| *y = T::ZERO);
                    if low < high {
                        let x = self.0.x[start..].iter().step_by(stride);
                        column
                            .by_ref()
                            .take(high - low)
                            .zip(x)
                            .for_each(|(y, &x)| *y = x);
                    }
                    column.for_each(|y| *y = T::ZERO);
                }
                p += run.len;
            }
            first += n;
        }
    }

    /// The columns of this matrix are rows of im2col, so they are copied and not transposed: the tiles' panels want lines.
    fn pack_tiles(&self, isa: IsaName, ks: Range<usize>, cols: Range<usize>, dst: &mut [T]) {
        let (nr, k) = (tiles::PANEL, ks.len());
        let mut copy = scratch::buffer::<T>(nr * k);
        let size = tiles::packed_len(3, 1, k, k.max(1));
        let panels = cols.len().div_ceil(nr);
        for (i, dst) in dst.chunks_exact_mut(size).take(panels).enumerate() {
            let first = cols.start + i * nr;
            let rows = first..cols.end.min(first + nr);
            let n = rows.len();
            on(
                isa,
                CopyRows {
                    im2col: &self.0,
                    rows,
                    pixels: ks.clone(),
                    dst: &mut copy,
                },
            );
            let lines = MatRef::new(&copy, 0, (n, k), (k as isize, 1));
            let lines = lines.expect("the copy was made so large");
            tiles::pack(lines, 0..n, 0..k, false, dst);
        }
    }
}
