//! im2col without the matrix: rows of it are made where they are needed, in packing.
//!
//! Column `j` of the im2col matrix is an output pixel, row `k` a (channel, tap); the element is the input that the tap sees,
//! 0 in the padding. Along a row of output pixels the input moves by the stride, so a row of the matrix is made of runs that
//! are copied, not gathered. (Chetlur et al., *cuDNN*, 2014: the tiles of an implicit GEMM.)

use std::ops::Range;

use gradus_simd::{Float, FloatVec, Isa};

use super::geometry::Geometry;
use crate::gemm::{Columns, Panels, copy};

/// The im2col matrix of one group: `(channels·taps) × (batch·pixels)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Im2col<'a, T> {
    /// The whole input, (B, C, D, H, W).
    pub x: &'a [T],
    pub g: &'a Geometry,
    /// The first channel of the group.
    pub channel: usize,
}

/// Output pixels side by side in a row of one image, and where in the input their tap (0, 0, 0) looks: coordinates may be
/// negative, that is padding.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub len: usize,
    at: [isize; 3],
    /// Index of `at` in the input, of the group's first channel.
    index: isize,
}

/// A row of the matrix: a tap of a channel, relative to a run's first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    channel: usize,
    tap: [usize; 3],
    at: [isize; 3],
    index: isize,
}

/// The most runs in one panel: each has at least one column.
const MAX_RUNS: usize = 64;
/// The most pairs of a tap and a run whose view of the input is worked out once for all channels.
const MAX_VIEWS: usize = 256;

/// Zeros to `n` elements; up to a vector past them while `room` lasts.
///
/// # Safety
/// `to` is writable for `room >= n` elements.
#[inline(always)]
unsafe fn fill<S: Isa, T: Float>(isa: S, to: *mut T, n: usize, room: usize) {
    let (lanes, zero) = (T::V::<S>::LANES, T::V::<S>::zero(isa));
    let mut i = 0;
    while i < n {
        // SAFETY: inside room, or just n.
        unsafe {
            if i + lanes <= room {
                zero.store_ptr(to.add(i));
            } else {
                zero.store_tail_ptr(to.add(i), n - i);
            }
        }
        i += lanes;
    }
}

impl<T: Float> Im2col<'_, T> {
    /// The run that column `j` begins, of at most `most` columns.
    #[inline(always)]
    pub(crate) fn run(&self, j: usize, most: usize) -> Run {
        let g = self.g;
        let pixels = g.pixels();
        let [_, h, w] = g.output;
        let (image, p) = (j / pixels, j % pixels);
        let pixel = [p / (h * w), p / w % h, p % w];
        let mut at = [0; 3];
        for d in 0..3 {
            at[d] = (pixel[d] * g.stride[d]) as isize - g.padding[d] as isize;
        }
        let channel = image * g.groups * g.channels + self.channel;
        Run {
            len: most.min(w - pixel[2]),
            at,
            index: (channel * g.plane()) as isize + self.index(at),
        }
    }

    /// The index of coordinates in a plane. They may lie outside; wrapping, it is right again when added to what is inside.
    #[inline(always)]
    fn index(&self, at: [isize; 3]) -> isize {
        let [_, h, w] = self.g.input;
        at[0]
            .wrapping_mul(h as isize)
            .wrapping_add(at[1])
            .wrapping_mul(w as isize)
            .wrapping_add(at[2])
    }

    /// Row `k` of the matrix.
    #[inline(always)]
    pub(crate) fn row(&self, k: usize) -> Row {
        let g = self.g;
        let [_, kh, kw] = g.kernel;
        let t = k % g.taps();
        self.row_of(k / g.taps(), [t / (kh * kw), t / kw % kh, t % kw])
    }

    #[inline(always)]
    fn row_of(&self, channel: usize, tap: [usize; 3]) -> Row {
        let mut at = [0; 3];
        for d in 0..3 {
            at[d] = (tap[d] * self.g.dilation[d]) as isize;
        }
        let index = ((channel * self.g.plane()) as isize).wrapping_add(self.index(at));
        Row {
            channel,
            tap,
            at,
            index,
        }
    }

    /// The row after.
    #[inline(always)]
    pub(crate) fn next_row(&self, row: Row) -> Row {
        let Row {
            mut channel,
            mut tap,
            ..
        } = row;
        for d in (0..3).rev() {
            tap[d] += 1;
            if tap[d] < self.g.kernel[d] {
                return self.row_of(channel, tap);
            }
            tap[d] = 0;
        }
        channel += 1;
        self.row_of(channel, tap)
    }

    /// Which pixels of a run, `low..high`, see the input in this row and not the padding, and what the first of them sees.
    #[inline(always)]
    pub(crate) fn seen(&self, run: &Run, row: &Row) -> (usize, usize, usize) {
        let [depth, height, width] = self.g.input;
        let outside = |at: isize, size: usize| at as usize >= size;
        if outside(run.at[0] + row.at[0], depth) || outside(run.at[1] + row.at[1], height) {
            return (0, 0, 0);
        }
        let (first, stride) = (run.at[2] + row.at[2], self.g.stride[2]);
        let last = ((run.len - 1) * stride) as isize;
        let (low, high) = if first >= 0 && first + last < width as isize {
            (0, run.len)
        } else {
            // The first pixel at or past column `c`.
            let s = stride as isize;
            let pixel = |c: isize| match s {
                1 => c - first,
                2 => (c - first + 1) >> 1,
                _ => (c - first + s - 1).div_euclid(s),
            };
            let low = pixel(0).clamp(0, run.len as isize);
            (
                low as usize,
                pixel(width as isize).clamp(low, run.len as isize) as usize,
            )
        };
        (
            low,
            high,
            run.index
                .wrapping_add(row.index)
                .wrapping_add((low * stride) as isize) as usize,
        )
    }

    /// Writes a run of a row to `to`; up to a vector past it while `room` lasts.
    ///
    /// # Safety
    /// The run and the row exist, and `to` is writable for `room >= run.len` elements.
    #[inline(always)]
    unsafe fn write<S: Isa>(&self, isa: S, run: &Run, row: &Row, to: *mut T, room: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.write_seen(isa, run.len, self.seen(run, row), to, room) }
    }

    /// [`Im2col::write`] for a run of `len` pixels of which [`Im2col::seen`] is known.
    ///
    /// # Safety
    /// `seen` is what that function says of a run and a row that exist, and `to` is writable for `room >= len` elements.
    #[inline(always)]
    unsafe fn write_seen<S: Isa>(
        &self,
        isa: S,
        len: usize,
        (low, high, start): (usize, usize, usize),
        to: *mut T,
        room: usize,
    ) {
        let stride = self.g.stride[2];
        // SAFETY: the caller's promise about `to`; what is read is inside the input, as `seen` says.
        unsafe {
            if low > 0 {
                fill(isa, to, low, room);
            }
            if low < high {
                debug_assert!(start + (high - low - 1) * stride < self.x.len());
                let (from, into, n) = (self.x.as_ptr().add(start), to.add(low), high - low);
                match stride {
                    1 => copy(isa, from, self.x.len() - start, into, n, room - low),
                    2 => (0..n).for_each(|i| *into.add(i) = *from.add(2 * i)),
                    _ => (0..n).for_each(|i| *into.add(i) = *from.add(i * stride)),
                }
            }
            if high < len {
                fill(isa, to.add(high), len - high, room - high);
            }
        }
    }

    /// Writes rows `ks` of the matrix, columns `cols`, each row contiguous and `stride` elements apart. Elements between the rows
    /// may be overwritten.
    #[inline(always)]
    pub(crate) fn rows<S: Isa>(
        &self,
        isa: S,
        ks: Range<usize>,
        cols: Range<usize>,
        stride: usize,
        dst: &mut [T],
    ) {
        if ks.is_empty() || cols.is_empty() {
            return;
        }
        self.check(&ks, &cols);
        assert!(stride >= cols.len() && dst.len() >= (ks.len() - 1) * stride + cols.len());
        let mut row = self.row(ks.start);
        for i in 0..ks.len() {
            let mut j = cols.start;
            while j < cols.end {
                let run = self.run(j, cols.end - j);
                let at = i * stride + j - cols.start;
                // SAFETY: the run ends at cols.end at the latest; what is written past it is the next run or row, written later.
                unsafe { self.write(isa, &run, &row, dst.as_mut_ptr().add(at), dst.len() - at) };
                j += run.len;
            }
            row = self.next_row(row);
        }
    }

    /// [`Columns::pack`] where the matrix is the input itself, image by image; of checked arguments.
    #[inline(always)]
    fn pack_pointwise<S: Isa>(
        &self,
        isa: S,
        ks: Range<usize>,
        cols: Range<usize>,
        nr: usize,
        dst: &mut [T],
    ) {
        let (g, pixels) = (self.g, self.g.pixels());
        let panels = Panels::new(dst, nr, ks.len(), cols.len(), T::V::<S>::LANES);
        let mut first = cols.start;
        while first < cols.end {
            let (image, pixel) = (first / pixels, first % pixels);
            let n = (cols.end - first).min(pixels - pixel);
            let (at, channel) = (
                first - cols.start,
                image * g.groups * g.channels + self.channel,
            );
            for (step, k) in ks.clone().enumerate() {
                let from = &self.x[(channel + k) * pixels + pixel..][..n];
                // SAFETY: these columns exist in this step of the panels, and n elements to read.
                unsafe { panels.deal(isa, step, at, from.as_ptr(), n, pixels as isize) };
            }
            first += n;
        }
    }

    pub(crate) fn check(&self, ks: &Range<usize>, cols: &Range<usize>) {
        let g = self.g;
        assert!(ks.end <= g.depth() && cols.end <= g.batch * g.pixels());
        assert!(self.x.len() == g.lens().0 && self.channel + g.channels <= g.groups * g.channels);
    }
}

impl<T: Float> Columns<T> for Im2col<'_, T> {
    #[inline(always)]
    fn pack<S: Isa>(&self, isa: S, ks: Range<usize>, cols: Range<usize>, nr: usize, dst: &mut [T]) {
        let lanes = T::V::<S>::LANES;
        if ks.is_empty() || cols.is_empty() {
            return;
        }
        self.check(&ks, &cols);
        let len = cols.len().next_multiple_of(lanes) * ks.len();
        assert!(nr <= MAX_RUNS && dst.len() >= len);
        if self.g.is_pointwise() {
            return self.pack_pointwise(isa, ks, cols, nr, dst);
        }
        let (taps, plane) = (self.g.taps(), self.g.plane());
        let [_, kh, kw] = self.g.kernel;
        let mut views = [(0, 0, 0); MAX_VIEWS];
        let mut at = 0;
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
            if count * taps <= MAX_VIEWS && ks.len() > taps {
                // What a run sees through a tap is the same in each channel, a plane further on.
                for (t, views) in views.chunks_exact_mut(count).take(taps).enumerate() {
                    let row = self.row_of(0, [t / (kh * kw), t / kw % kh, t % kw]);
                    for (view, run) in views.iter_mut().zip(&runs) {
                        *view = self.seen(run, &row);
                    }
                }
                let (mut channel, mut t) = (ks.start / taps * plane, ks.start % taps);
                for _ in ks.clone() {
                    // SAFETY: as below; where something is seen (low < high), channel and tap give its place.
                    unsafe {
                        let to = dst.as_mut_ptr().add(at);
                        let mut j = 0;
                        for (run, &(low, high, start)) in
                            runs[..count].iter().zip(&views[t * count..])
                        {
                            let seen = (low, high, start.wrapping_add(channel));
                            self.write_seen(isa, run.len, seen, to.add(j), len - at - j);
                            j += run.len;
                        }
                        for j in n..width {
                            *to.add(j) = T::ZERO;
                        }
                    }
                    at += width;
                    t += 1;
                    if t == taps {
                        (t, channel) = (0, channel + plane);
                    }
                }
                first += n;
                continue;
            }
            let mut row = self.row(ks.start);
            for _ in ks.clone() {
                // SAFETY: runs fill the panel's row from left to right; what is written past a run is the next run, row or panel,
                // written later, and stays within `len`.
                unsafe {
                    let to = dst.as_mut_ptr().add(at);
                    let mut j = 0;
                    for run in &runs[..count] {
                        self.write(isa, run, &row, to.add(j), len - at - j);
                        j += run.len;
                    }
                    for j in n..width {
                        *to.add(j) = T::ZERO;
                    }
                }
                at += width;
                row = self.next_row(row);
            }
            first += n;
        }
    }
}
