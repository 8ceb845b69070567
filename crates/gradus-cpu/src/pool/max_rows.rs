//! Max pooling by rows: as many windows side by side as a vector has lanes, tap by tap.
//!
//! A tap of neighbouring windows is a row of the input from some place on, every element of it or every second one: a load, or two
//! loads taken apart. Comparisons choose the larger element and where its tap stands, so nothing branches on the data (one window after
//! the other, the processor guesses wrong at every other element). What it is not: pooling over depth, and other strides than 1 and 2 along
//! a row; that is [`any`](super::max::any), the reference.

use gradus_simd::{Float, FloatVec, IntVec, Isa, Kernel, MaskVec};

use super::max::{MaxPoolParams, taps};
use super::window::Windows;

/// How windows lie along a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Along {
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
}

impl Along {
    /// If rows are all there is to it.
    pub(super) fn of<const D: usize>(w: &Windows, params: &MaxPoolParams<D>) -> Option<Self> {
        let along = Self {
            kernel: params.kernel[D - 1],
            stride: params.stride[D - 1],
            padding: params.padding[D - 1],
            dilation: params.dilation[D - 1],
        };
        let flat = w.input[0] == 1 && w.output[0] == 1;
        let steps = along.stride == 1 || (along.stride == 2 && along.dilation == 1);
        // Positions are lanes of 32 bits; padded rows are copied.
        let small = i32::try_from(w.plane()).is_ok() && along.padding <= w.input[2];
        // Every window has an element: then the first is what is left where all are −∞.
        let full = w.axes.iter().flatten().all(|w| w.start < w.end);
        (flat && steps && small && full).then_some(along)
    }
}

/// The windows of some planes.
pub(super) struct Rows<'a, T> {
    pub windows: &'a Windows,
    pub along: Along,
    pub x: &'a [T],
    pub y: &'a mut [T],
    pub indices: Option<&'a mut [i64]>,
}

impl<T: Float> Kernel for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(mut self, isa: S) {
        let (w, padding) = (self.windows, self.along.padding);
        let width = w.input[2];
        let line = padding + width;
        let mut padded = vec![-T::INFINITY; if padding > 0 { w.input[1] * line } else { 0 }];
        let mut at = 0;
        for x in self.x.chunks_exact(w.plane()) {
            let mut source = x;
            if padding > 0 {
                let lines = padded.chunks_exact_mut(line).zip(x.chunks_exact(width));
                lines.for_each(|(to, from)| to[padding..].copy_from_slice(from));
                source = &padded;
            }
            for row in 0..w.axes[1].len() {
                self.row(isa, source, line, row, at);
                at += w.output[2];
            }
        }
    }
}

impl<T: Float> Rows<'_, T> {
    /// The windows of one row, whose outputs begin at `at`; `source` is the plane in lines of `line`.
    #[inline(always)]
    fn row<S: Isa>(&mut self, isa: S, source: &[T], line: usize, row: usize, at: usize) {
        type Int<S, T> = <<T as Float>::V<S> as FloatVec<S, T>>::Int;
        let (w, along, lanes) = (self.windows, self.along, T::V::<S>::LANES);
        let (rows, width, cols) = (&w.axes[1][row], w.input[2], w.output[2]);
        for first in (0..cols).step_by(lanes) {
            let n = lanes.min(cols - first);
            let mut max = T::V::<S>::splat(isa, -T::INFINITY);
            // Where the largest stands: from the place in the plane where the window would begin in its first row, −1 for nowhere.
            let mut place = Int::<S, T>::splat(isa, T::int(-1));
            for r in taps(rows, w.dilation[1]) {
                let pixels = &source[r * line..][..line];
                let from = |at: usize| {
                    T::V::<S>::load_tail(isa, pixels.get(at..).unwrap_or_default(), -T::INFINITY)
                };
                let mut take = |x: T::V<S>, tap: usize| {
                    let better = x.gt(max) | x.is_nan();
                    max = T::V::<S>::select(better, x, max);
                    let here = T::int((r * width + tap) as i64);
                    place = Int::<S, T>::select(better, Int::<S, T>::splat(isa, here), place);
                };
                if along.stride == 1 {
                    for tap in (0..along.kernel).map(|k| k * along.dilation) {
                        take(from(first + tap), tap);
                    }
                    continue;
                }
                for tap in (0..along.kernel).step_by(2) {
                    let begin = 2 * first + tap;
                    let (even, odd) = from(begin).deinterleave(from(begin + lanes));
                    take(even, tap);
                    if tap + 1 < along.kernel {
                        take(odd, tap + 1);
                    }
                }
            }
            let out = at + first..at + first + n;
            max.store_tail(&mut self.y[out.clone()]);
            let Some(indices) = &mut self.indices else {
                continue;
            };
            let mut places = [T::int(0); 16];
            place.store(&mut places);
            let nowhere = place.lt(Int::<S, T>::splat(isa, T::int(0))).any();
            for (j, index) in indices[out].iter_mut().enumerate() {
                let place: i64 = places[j].into();
                let begin = ((first + j) * along.stride) as i64 - along.padding as i64;
                *index = place + begin;
                if nowhere && place < 0 {
                    *index = (rows.start * width + w.axes[2][first + j].start) as i64;
                }
            }
        }
    }
}
