//! Depthwise convolution, one input channel a group: direct, nothing packed.
//!
//! There is no reduction over channels, so a GEMM would have K = taps and waste its tiles. Instead each padded plane becomes a
//! [`Line`]: its rows one after the other, once for each phase of the stride. Then output `f` of a line is
//! `Σ over taps of w[tap]·x[at[tap] + f]` for every f alike, a correlation in one dimension, whatever stride, padding and
//! rows are; its vectors are full however short the rows. What falls between the rows is computed with the rest and dropped.
//!
//! All three are that: forward reads a line of x; the gradient of x reads a line of dy backwards, once for each phase (with
//! stride 1 and one output a channel `backward_data` calls forward instead, with the kernel turned around); the gradient of the
//! weight is the product of the two lines, a sum a tap. In these two, zeros between the rows of dy stand for nothing, which is so
//! as long as what they are multiplied with is finite; the reference computes the rest.

mod line;
#[cfg(test)]
mod tests;

use std::ops::Range;

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::geometry::Geometry;
use super::reference::for_each_product;
use crate::gemm::{Activation, Bias, Epilogue, Out, activate, on};
use crate::lanes;
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::unroll::{Registers, unroll};
use line::{Line, SLACK, correlate, fill, fill_output, read};

/// Lines of more than this many elements take the general path.
const MAX_LINE: usize = 1 << 20;
/// The largest stride.
const MAX_STRIDE: usize = 8;
/// Elements that a task reads at least.
const GRAIN: usize = 32 * 1024;

/// Whether this file's paths apply.
pub(crate) fn suits(g: &Geometry) -> bool {
    let len: Option<usize> = (0..3).try_fold(1, |n: usize, d| {
        let padded = g.padding[d].checked_mul(2)?.checked_add(g.input[d])?;
        n.checked_mul(padded.checked_next_multiple_of(g.stride[d])?)
    });
    let strides = g.stride.iter().all(|&stride| stride <= MAX_STRIDE);
    g.channels == 1 && g.groups > 1 && strides && len.is_some_and(|n| n <= MAX_LINE)
}

/// Planes a task takes.
fn group(g: &Geometry) -> usize {
    (GRAIN / (g.pixels() * g.taps()).max(1)).max(1)
}

/// This convolution of one image and one channel.
fn single(g: &Geometry) -> Geometry {
    Geometry {
        batch: 1,
        groups: 1,
        ..*g
    }
}

/// Forward, with bias by rows and activation.
pub(crate) fn forward<T: Float>(
    isa: IsaName,
    g: &Geometry,
    x: &[T],
    w: &[T],
    epilogue: &Epilogue<'_, T>,
    y: &mut [T],
) {
    let planes = g.batch * g.groups;
    let part = g.outputs * g.pixels();
    let y = SharedMut::new(y);
    let group = group(g);
    parallel::for_each(planes.div_ceil(group), &|task| {
        let range = task * group..planes.min((task + 1) * group);
        // SAFETY: the planes of different tasks do not overlap.
        let y = unsafe { y.slice(range.start * part..range.end * part) };
        let first = range.start;
        on(
            isa,
            Forward {
                g,
                x,
                w,
                epilogue,
                first,
                y: &mut *y,
            },
        );
        let len = y.len();
        let row = Out::segmented(y, 1, len, (1, len, len));
        activate(isa, epilogue.activation, &row, (0, 0), (1, len));
    });
}

struct Forward<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    w: &'a [T],
    epilogue: &'a Epilogue<'a, T>,
    /// The first input plane, (image, channel).
    first: usize,
    /// Its output planes, and those of the following ones.
    y: &'a mut [T],
}

impl<T: Float> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (g, line) = (self.g, Line::new(self.g));
        let (span, width) = (line.span(g), g.output[2]);
        let place = |&(phase, shift): &(usize, usize)| (T::ZERO, phase * line.phase() + shift);
        let mut taps: Vec<(T, usize)> = line.taps(g).iter().map(place).collect();
        let mut padded = scratch::buffer::<T>(line.len());
        let padded = &mut *padded;
        padded.fill(T::ZERO);
        let mut sums = scratch::buffer::<T>(span + SLACK);
        let sums = &mut *sums;
        let (inputs, outputs) = (line.input_rows(g), line.output_rows(g));
        for (i, y) in self.y.chunks_exact_mut(g.outputs * g.pixels()).enumerate() {
            let index = self.first + i;
            let x = &self.x[index * g.plane()..][..g.plane()];
            fill(isa, &inputs, g.stride[2], x, padded);
            for (o, y) in y.chunks_exact_mut(g.pixels()).enumerate() {
                let channel = index % g.groups * g.outputs + o;
                let w = &self.w[channel * g.taps()..][..g.taps()];
                taps.iter_mut().zip(w).for_each(|(tap, &w)| tap.0 = w);
                correlate(isa, padded, &taps, span, sums);
                let bias = match self.epilogue.bias {
                    Bias::Row(bias) => bias[channel],
                    _ => T::ZERO,
                };
                let after = (bias, self.epilogue.activation);
                for (y, &at) in y.chunks_exact_mut(width).zip(&outputs) {
                    finish(isa, &sums[at..][..width], after, y);
                }
            }
        }
    }
}

/// Writes a row of sums with bias and ReLU.
#[inline(always)]
fn finish<S: Isa, T: Float>(isa: S, sums: &[T], (bias, activation): (T, Activation), y: &mut [T]) {
    assert_eq!(sums.len(), y.len());
    let bias = T::V::<S>::splat(isa, bias);
    let (n, mut i) = (y.len(), 0);
    while i < n {
        let m = T::V::<S>::LANES.min(n - i);
        // SAFETY: elements i..i + m of both.
        unsafe {
            let sum = lanes::load::<S, T>(isa, sums.as_ptr().add(i), m, T::ZERO);
            let r = activation.relu::<S, T>(isa, sum + bias);
            lanes::store::<S, T>(r, y.as_mut_ptr().add(i), m);
        }
        i += m;
    }
}

/// The gradient of the input.
pub(crate) fn backward_data<T: Float>(isa: IsaName, g: &Geometry, dy: &[T], w: &[T], dx: &mut [T]) {
    let (planes, part) = (g.batch * g.groups, g.plane());
    if dx.is_empty() {
        return;
    }
    let dx = SharedMut::new(dx);
    let group = group(g);
    parallel::for_each(planes.div_ceil(group), &|task| {
        let range = task * group..planes.min((task + 1) * group);
        // SAFETY: the planes of different tasks do not overlap.
        let dx = unsafe { dx.slice(range.start * part..range.end * part) };
        let first = range.start;
        on(
            isa,
            BackwardData {
                g,
                dy,
                w,
                first,
                dx,
            },
        );
    });
}

struct BackwardData<'a, T> {
    g: &'a Geometry,
    dy: &'a [T],
    w: &'a [T],
    first: usize,
    dx: &'a mut [T],
}

impl<T: Float> Kernel for BackwardData<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (g, line) = (self.g, Line::new(self.g));
        let (places, phase) = (line.taps(g), line.phase());
        // A line of dy for each output, with so many zeros before it that a tap's shift reads nothing else.
        let before = places.iter().map(|place| place.1).max().unwrap_or(0);
        let each = before + phase + SLACK;
        let mut lines = scratch::buffer::<T>(g.outputs * each);
        let lines = &mut *lines;
        lines.fill(T::ZERO);
        let mut sums = scratch::buffer::<T>(line.len());
        let sums = &mut *sums;
        let (inputs, outputs) = (line.input_rows(g), line.output_rows(g));
        // Of each phase: what of it is read, and the taps that write it, as (place among the weights, where they read).
        let mut parts: Vec<(Range<usize>, Vec<(usize, usize)>)> = Vec::new();
        for p in 0..line.phases() {
            let rows = inputs.iter().filter(|row| row.at / phase == p);
            let ends = rows.map(|row| (row.at, row.at + row.n));
            let Some(range) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
                continue;
            };
            let mut taps = Vec::new();
            for o in 0..g.outputs {
                let start = o * each + before + range.0 - p * phase;
                let here = places.iter().enumerate().filter(|(_, place)| place.0 == p);
                taps.extend(here.map(|(t, place)| (o * g.taps() + t, start - place.1)));
            }
            parts.push((range.0..range.1, taps));
        }
        let mut taps = Vec::new();
        for (i, dx) in self.dx.chunks_exact_mut(g.plane()).enumerate() {
            let index = self.first + i;
            let dy = &self.dy[index * g.outputs * g.pixels()..][..g.outputs * g.pixels()];
            let w = &self.w[index % g.groups * g.outputs * g.taps()..][..g.outputs * g.taps()];
            if w.iter().any(|&w| (w * T::ZERO).is_nan()) {
                dx.fill(T::ZERO);
                for_each_product(&single(g), |x, j, y| dx[x] = dy[y].mul_add(w[j], dx[x]));
                continue;
            }
            for (o, dy) in dy.chunks_exact(g.pixels()).enumerate() {
                fill_output(
                    isa,
                    &outputs,
                    g.output[2],
                    dy,
                    &mut lines[o * each + before..],
                );
            }
            for (range, places) in &parts {
                taps.clear();
                taps.extend(places.iter().map(|&(j, at)| (w[j], at)));
                correlate(isa, lines, &taps, range.len(), &mut sums[range.start..]);
            }
            read(isa, &inputs, (g.stride[2], g.input[2]), sums, dx);
        }
    }
}

/// Groups from which [`backward_weight`] has enough tasks: one is a channel, with the whole batch.
const GROUPS: usize = 8;

/// Whether [`backward_weight`] applies.
pub(crate) fn suits_weight(g: &Geometry) -> bool {
    suits(g) && g.groups >= GROUPS
}

/// The gradient of the weight. Sums run along the vectors, and over the images in order.
pub(crate) fn backward_weight<T: Float>(
    isa: IsaName,
    g: &Geometry,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
) {
    parallel::for_each_chunk_mut(dw, g.outputs * g.taps(), |channel, dw| {
        let kernel = BackwardWeight {
            g,
            x,
            dy,
            channel,
            dw: &mut *dw,
        };
        on(isa, kernel);
        if dw.iter().any(|dw| dw.is_nan()) {
            // Perhaps only because a zero between rows of dy met an infinity.
            dw.fill(T::ZERO);
            for image in 0..g.batch {
                let index = image * g.groups + channel;
                let (x, dy) = (
                    &x[index * g.plane()..],
                    &dy[index * g.outputs * g.pixels()..],
                );
                for_each_product(&single(g), |i, w, y| dw[w] = dy[y].mul_add(x[i], dw[w]));
            }
        }
    });
}

struct BackwardWeight<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    dy: &'a [T],
    channel: usize,
    /// Of this channel: outputs × taps.
    dw: &'a mut [T],
}

impl<T: Float> Kernel for BackwardWeight<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (g, line) = (self.g, Line::new(self.g));
        let (lanes, taps, span) = (T::V::<S>::LANES, g.taps(), line.span(g));
        let place = |(phase, shift): (usize, usize)| phase * line.phase() + shift;
        let at: Vec<usize> = line.taps(g).into_iter().map(place).collect();
        let zeros = |n: usize| {
            let mut buffer = scratch::buffer::<T>(n);
            buffer.fill(T::ZERO);
            buffer
        };
        let (mut x_line, mut dy_line) = (zeros(line.len()), zeros(span + SLACK));
        let mut acc = zeros(self.dw.len() * lanes);
        let (inputs, outputs) = (line.input_rows(g), line.output_rows(g));
        for image in 0..g.batch {
            let index = image * g.groups + self.channel;
            let x = &self.x[index * g.plane()..][..g.plane()];
            fill(isa, &inputs, g.stride[2], x, &mut x_line);
            for (o, acc) in acc.chunks_exact_mut(taps * lanes).enumerate() {
                let dy = &self.dy[(index * g.outputs + o) * g.pixels()..][..g.pixels()];
                fill_output(isa, &outputs, g.output[2], dy, &mut dy_line);
                let mut t = 0;
                while t < taps {
                    let (at, acc) = (&at[t..], &mut acc[t * lanes..]);
                    let lines = (&*x_line, &dy_line[..span.next_multiple_of(lanes)]);
                    t += match taps - t {
                        13.. => tap_sums::<S, T, 13>(isa, lines, at, acc),
                        9.. => tap_sums::<S, T, 9>(isa, lines, at, acc),
                        5.. => tap_sums::<S, T, 5>(isa, lines, at, acc),
                        3.. => tap_sums::<S, T, 3>(isa, lines, at, acc),
                        _ => tap_sums::<S, T, 1>(isa, lines, at, acc),
                    };
                }
            }
        }
        for (dw, acc) in self.dw.iter_mut().zip(acc.chunks_exact(lanes)) {
            *dw = T::V::<S>::load(isa, acc).reduce_sum();
        }
    }
}

/// Adds the products of the line of dy and the line of x, moved by each of N taps, to N vectors; gives N.
#[inline(always)]
fn tap_sums<S: Isa, T: Float, const N: usize>(
    isa: S,
    (x, dy): (&[T], &[T]),
    at: &[usize],
    acc: &mut [T],
) -> usize {
    let lanes = T::V::<S>::LANES;
    let mut sums = Registers::<T::V<S>, N, 1>::new(T::V::<S>::zero(isa));
    unroll!(I in 0..N (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
        assert!(at[I] + dy.len() <= x.len());
        sums.set(I, 0, T::V::<S>::load(isa, &acc[I * lanes..]));
    });
    for (f, dy) in dy.chunks_exact(lanes).enumerate() {
        let dy = T::V::<S>::load(isa, dy);
        unroll!(I in 0..N (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
            // SAFETY: as long as dy from at[I] on (asserted).
            let x = unsafe { T::V::<S>::load_ptr(isa, x.as_ptr().add(at[I] + f * lanes)) };
            sums.set(I, 0, dy.mul_add(x, sums.get(I, 0)));
        });
    }
    unroll!(I in 0..N (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
        sums.get(I, 0).store(&mut acc[I * lanes..]);
    });
    N
}
