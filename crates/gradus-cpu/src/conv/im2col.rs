//! im2col without the matrix: rows of it are made where they are needed, in packing.
//!
//! Column `j` of the im2col matrix is an output pixel, row `k` a (channel, tap); the element is the input that the tap sees,
//! 0 in the padding. Along a row of output pixels the input moves by the stride, so a row of the matrix is made of runs that
//! are copied, not gathered. (Chetlur et al., *cuDNN*, 2014: the tiles of an implicit GEMM.)

use std::ops::Range;

use gradus_simd::{Float, FloatVec, Isa};

use super::geometry::Geometry;
use crate::gemm::Columns;

/// The im2col matrix of one group: `(channels·taps) × (batch·pixels)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Im2col<'a, T> {
    /// The whole input, (B, C, D, H, W).
    pub x: &'a [T],
    pub g: &'a Geometry,
    /// The first channel of the group.
    pub channel: usize,
}

/// Output pixels side by side in a row of one image.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    image: usize,
    /// Depth, row and column of the first.
    at: [usize; 3],
    len: usize,
}

/// The most runs in one panel: each has at least one column.
const MAX_RUNS: usize = 64;

/// Zeros to elements `from..end`, and up to a vector past them.
///
/// # Safety
/// `to` is writable up to there.
#[inline(always)]
unsafe fn fill<S: Isa, T: Float>(isa: S, to: *mut T, from: usize, end: usize) {
    let mut i = from;
    while i < end {
        // SAFETY: at most a vector past `end`.
        unsafe { T::V::<S>::zero(isa).store_ptr(to.add(i)) };
        i += T::V::<S>::LANES;
    }
}

impl<T: Float> Im2col<'_, T> {
    /// The run that column `j` begins, of at most `most` columns.
    #[inline(always)]
    fn run(&self, j: usize, most: usize) -> Run {
        let pixels = self.g.pixels();
        let [_, h, w] = self.g.output;
        let (image, p) = (j / pixels, j % pixels);
        Run {
            image,
            at: [p / (h * w), p / w % h, p % w],
            len: most.min(w - p % w),
        }
    }

    /// Writes the run of row (channel, tap) to `to`. Up to one vector past its end may be overwritten.
    ///
    /// # Safety
    /// The run and the row exist, and `to` is writable for `run.len` elements and a vector more.
    #[inline(always)]
    unsafe fn write<S: Isa>(&self, isa: S, run: &Run, channel: usize, tap: [usize; 3], to: *mut T) {
        let g = self.g;
        // Indices into the padded input, where everything is positive, then back; below 0 wraps to above the size.
        let index = |d: usize| {
            (run.at[d] * g.stride[d] + tap[d] * g.dilation[d]).wrapping_sub(g.padding[d])
        };
        let (depth, row) = (index(0), index(1));
        let lanes = T::V::<S>::LANES;
        // SAFETY: the caller's promise about `to`; reads stay inside x as computed.
        unsafe {
            if depth >= g.input[0] || row >= g.input[1] {
                fill(isa, to, 0, run.len);
                return;
            }
            let width = g.input[2] as isize;
            let stride = g.stride[2];
            let first = index(2) as isize;
            // Which of the run's pixels see the input and not the padding.
            let (low, high) = if stride == 1 {
                (-first, width - first)
            } else if stride == 2 {
                ((-first + 1) >> 1, (width - first + 1) >> 1)
            } else {
                let s = stride as isize;
                (
                    (-first + s - 1).div_euclid(s),
                    (width - first + s - 1).div_euclid(s),
                )
            };
            let low = low.clamp(0, run.len as isize) as usize;
            let high = high.clamp(low as isize, run.len as isize) as usize;
            let plane = (run.image * g.groups * g.channels + self.channel + channel) * g.plane();
            let line = plane + (depth * g.input[1] + row) * g.input[2];
            fill(isa, to, 0, low);
            if low < high {
                let start = line + (first + (low * stride) as isize) as usize;
                let from = self.x.as_ptr().add(start);
                let readable = self.x.len() - start;
                let (into, n) = (to.add(low), high - low);
                if stride == 1 {
                    let mut i = 0;
                    while i < n {
                        let v = if i + lanes <= readable {
                            T::V::<S>::load_ptr(isa, from.add(i))
                        } else {
                            T::V::<S>::load_tail_ptr(isa, from.add(i), n - i, T::ZERO)
                        };
                        v.store_ptr(into.add(i));
                        i += lanes;
                    }
                } else if stride == 2 {
                    for i in 0..n {
                        *into.add(i) = *from.add(2 * i);
                    }
                } else {
                    for i in 0..n {
                        *into.add(i) = *from.add(i * stride);
                    }
                }
            }
            fill(isa, to, high, run.len);
        }
    }

    /// The (channel, tap) of row `k`.
    #[inline(always)]
    fn row(&self, k: usize) -> (usize, [usize; 3]) {
        let [_, kh, kw] = self.g.kernel;
        let taps = self.g.taps();
        let t = k % taps;
        (k / taps, [t / (kh * kw), t / kw % kh, t % kw])
    }

    /// The (channel, tap) of the next row.
    #[inline(always)]
    fn next_row(&self, channel: &mut usize, tap: &mut [usize; 3]) {
        for d in (0..3).rev() {
            tap[d] += 1;
            if tap[d] < self.g.kernel[d] {
                return;
            }
            tap[d] = 0;
        }
        *channel += 1;
    }

    /// Writes rows `ks` of the matrix, columns `cols`, each row contiguous and `stride` elements apart.
    #[inline(always)]
    pub(crate) fn rows<S: Isa>(
        &self,
        isa: S,
        ks: Range<usize>,
        cols: Range<usize>,
        stride: usize,
        dst: &mut [T],
    ) {
        let lanes = T::V::<S>::LANES;
        if ks.is_empty() || cols.is_empty() {
            return;
        }
        self.check(&ks, &cols);
        assert!(stride >= cols.len() && dst.len() >= (ks.len() - 1) * stride + cols.len() + lanes);
        let mut to = dst.as_mut_ptr();
        let (mut channel, mut tap) = self.row(ks.start);
        for _ in ks {
            let mut j = cols.start;
            let mut run = self.run(j, cols.len());
            loop {
                // SAFETY: the run ends at cols.end at the latest; what is written past it is the next run's or row's, written
                // later, or the vector past the end that dst has.
                unsafe { self.write(isa, &run, channel, tap, to.add(j - cols.start)) };
                j += run.len;
                if j >= cols.end {
                    break;
                }
                run = self.run(j, cols.end - j);
            }
            // SAFETY: the next row begins inside dst, or is not written.
            to = to.wrapping_add(stride);
            self.next_row(&mut channel, &mut tap);
        }
    }

    fn check(&self, ks: &Range<usize>, cols: &Range<usize>) {
        let g = self.g;
        assert!(
            ks.end <= g.depth()
                && cols.end <= g.batch * g.pixels()
                && self.channel + g.channels <= g.groups * g.channels
        );
        assert!(self.x.len() == g.lens().0);
    }
}

impl<T: Float> Columns<T> for Im2col<'_, T> {
    const SLACK: usize = 64;

    #[inline(always)]
    fn pack<S: Isa>(&self, isa: S, ks: Range<usize>, cols: Range<usize>, nr: usize, dst: &mut [T]) {
        let lanes = T::V::<S>::LANES;
        self.check(&ks, &cols);
        assert!(nr <= MAX_RUNS && lanes <= <Self as Columns<T>>::SLACK);
        assert!(
            dst.len()
                >= cols.len().next_multiple_of(lanes) * ks.len() + <Self as Columns<T>>::SLACK
        );
        let mut to = dst.as_mut_ptr();
        let mut first = cols.start;
        while first < cols.end {
            let n = nr.min(cols.end - first);
            let width = if n == nr {
                nr
            } else {
                n.next_multiple_of(lanes)
            };
            let mut runs = [Run::default(); MAX_RUNS];
            let mut count = 0;
            let mut j = 0;
            while j < n {
                runs[count] = self.run(first + j, n - j);
                j += runs[count].len;
                count += 1;
            }
            let (mut channel, mut tap) = self.row(ks.start);
            for _ in ks.clone() {
                let mut j = 0;
                for run in &runs[..count] {
                    // SAFETY: runs fill the panel's row from left to right; what is written past a run is written again by the
                    // next run, row or panel, or is slack.
                    unsafe { self.write(isa, run, channel, tap, to.add(j)) };
                    j += run.len;
                }
                while j < width {
                    // SAFETY: inside the panel's row.
                    unsafe { *to.add(j) = T::ZERO };
                    j += 1;
                }
                // SAFETY: the panels' `width · k` elements lie inside dst, as asserted.
                to = unsafe { to.add(width) };
                self.next_row(&mut channel, &mut tap);
            }
            first += n;
        }
    }
}
