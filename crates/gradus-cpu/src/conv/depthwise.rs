//! Depthwise convolution, one input channel a group: direct, nothing packed.
//!
//! There is no reduction over channels, so a GEMM would have K = taps and waste its tiles. Instead each input plane is copied
//! once into a padded plane whose columns are split by their phase modulo the stride; then every tap of every output row
//! is a plain vector load, whatever the stride and padding, and an output vector is a few fused multiply-adds.
//! The gradient of the input runs the same plane backwards: add into it, then gather from it.

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::geometry::Geometry;
use crate::gemm::{Activation, Bias, Epilogue, Out, activate, on};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::unroll::{Registers, unroll};

/// Padded planes above this many elements take the general path.
const MAX_PLANE: usize = 1 << 20;
/// Elements that a task reads at least.
const GRAIN: usize = 32 * 1024;
/// Elements past the end of a plane that vectors may touch.
const SLACK: usize = 64;

/// Whether this file's paths apply.
pub(crate) fn suits(g: &Geometry) -> bool {
    let padded: Option<usize> = (0..3).try_fold(1, |n: usize, d| {
        n.checked_mul(g.input[d] + 2 * g.padding[d])
    });
    g.channels == 1 && g.groups > 1 && g.stride[2] <= 8 && padded.is_some_and(|n| n <= MAX_PLANE)
}

/// The padded plane: depth, then phase of the column, then row, then column / stride.
#[derive(Clone, Copy, Debug)]
struct Plane {
    rows: usize,
    /// Elements of a row of one phase.
    width: usize,
    depth: usize,
}

impl Plane {
    fn new(g: &Geometry) -> Self {
        let padded = |d: usize| g.input[d] + 2 * g.padding[d];
        Self {
            depth: padded(0),
            rows: padded(1),
            width: padded(2).div_ceil(g.stride[2]),
        }
    }

    fn len(&self, g: &Geometry) -> usize {
        self.depth * g.stride[2] * self.rows * self.width + SLACK
    }

    /// Where the tap begins for output row 0, column 0.
    #[inline(always)]
    fn tap(&self, g: &Geometry, [d, h, w]: [usize; 3]) -> usize {
        let column = w * g.dilation[2];
        let phase = column % g.stride[2];
        ((d * g.dilation[0] * g.stride[2] + phase) * self.rows + h * g.dilation[1]) * self.width
            + column / g.stride[2]
    }

    /// How far output row (d, h) is from output row (0, 0).
    #[inline(always)]
    fn row(&self, g: &Geometry, d: usize, h: usize) -> usize {
        (d * g.stride[0] * g.stride[2] * self.rows + h * g.stride[1]) * self.width
    }

    /// Calls `f(at, x)` for each row and phase of the input: the elements `x, x + stride, … < x's row end` of the input lie
    /// at `at, at + 1, …` of the plane.
    #[inline(always)]
    fn for_each_line(&self, g: &Geometry, mut f: impl FnMut(usize, usize, usize)) {
        let [depth, rows, width] = g.input;
        let stride = g.stride[2];
        for d in 0..depth {
            for h in 0..rows {
                for first in 0..stride.min(width) {
                    let column = g.padding[2] + first;
                    let line = (d + g.padding[0]) * stride + column % stride;
                    let at = (line * self.rows + h + g.padding[1]) * self.width + column / stride;
                    f(
                        at,
                        (d * rows + h) * width + first,
                        (width - first).div_ceil(stride),
                    );
                }
            }
        }
    }
}

/// Where each tap begins, tap by tap.
#[inline(always)]
fn offsets(g: &Geometry, plane: &Plane, mut f: impl FnMut(usize, usize)) {
    let [kd, kh, kw] = g.kernel;
    for t in 0..kd * kh * kw {
        f(t, plane.tap(g, [t / (kh * kw), t / kw % kh, t % kw]));
    }
}

/// Planes a task takes.
fn group(g: &Geometry) -> usize {
    (GRAIN / (g.pixels() * g.taps()).max(1)).max(1)
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
        let g = self.g;
        let (lanes, taps, plane) = (T::V::<S>::LANES, g.taps(), Plane::new(g));
        let [depth, rows, width] = g.output;
        let mut at = Vec::new();
        offsets(g, &plane, |_, from| at.push(from));
        let mut padded = scratch::buffer::<T>(plane.len(g));
        let padded = &mut *padded;
        padded.fill(T::ZERO);
        for (i, y) in self.y.chunks_exact_mut(g.outputs * g.pixels()).enumerate() {
            let index = self.first + i;
            let x = &self.x[index * g.plane()..][..g.plane()];
            // The padding stays zero; the inside is written anew.
            plane.for_each_line(g, |to, from, n| {
                copy_line(&mut padded[to..][..n], &x[from..], g.stride[2]);
            });
            for o in 0..g.outputs {
                let channel = index % g.groups * g.outputs + o;
                let w = &self.w[channel * taps..][..taps];
                let bias = if let Bias::Row(bias) = self.epilogue.bias {
                    bias[channel]
                } else {
                    T::ZERO
                };
                let y = &mut y[o * depth * rows * width..][..depth * rows * width];
                let after = (bias, self.epilogue.activation);
                let start = |row: usize| plane.row(g, row / rows, row % rows);
                let mut row = 0;
                while row < depth * rows {
                    // As many sums at once as use each weight four times: of four short rows, or along a long one.
                    if width <= lanes && row + 4 <= depth * rows {
                        let from = [start(row), start(row + 1), start(row + 2), start(row + 3)];
                        let sums = sums::<S, T, 4, 1>(isa, padded, from, w, &at);
                        let lines = y[row * width..].chunks_exact_mut(width).take(4);
                        for (i, y) in lines.enumerate() {
                            finish::<S, T>(isa, sums.get(i, 0), after, y);
                        }
                        row += 4;
                        continue;
                    }
                    let y = &mut y[row * width..][..width];
                    for (j, y) in y.chunks_mut(4 * lanes).enumerate() {
                        let from = start(row) + j * 4 * lanes;
                        if y.len() > 2 * lanes {
                            let sums = sums::<S, T, 1, 4>(isa, padded, [from], w, &at);
                            for (i, y) in y.chunks_mut(lanes).enumerate() {
                                finish::<S, T>(isa, sums.get(0, i), after, y);
                            }
                        } else {
                            let sums = sums::<S, T, 1, 2>(isa, padded, [from], w, &at);
                            for (i, y) in y.chunks_mut(lanes).enumerate() {
                                finish::<S, T>(isa, sums.get(0, i), after, y);
                            }
                        }
                    }
                    row += 1;
                }
            }
        }
    }
}

/// Writes as many sums as `y` has room for, with bias and ReLU.
#[inline(always)]
fn finish<S: Isa, T: Float>(
    isa: S,
    sum: T::V<S>,
    (bias, activation): (T, Activation),
    y: &mut [T],
) {
    let r = sum + T::V::<S>::splat(isa, bias);
    activation.relu::<S, T>(isa, r).store_tail(y);
}

/// `Σ over taps of w[tap]·x[from + at[tap]]` for R rows of V vectors.
#[inline(always)]
fn sums<S: Isa, T: Float, const R: usize, const V: usize>(
    isa: S,
    x: &[T],
    from: [usize; R],
    w: &[T],
    at: &[usize],
) -> Registers<T::V<S>, R, V> {
    let lanes = T::V::<S>::LANES;
    let mut sums = Registers::new(T::V::<S>::zero(isa));
    for (&w, &at) in w.iter().zip(at) {
        let w = T::V::<S>::splat(isa, w);
        unroll!(I in 0..R (0 1 2 3 4 5 6 7) {
            let x = &x[from[I] + at..][..V * lanes];
            unroll!(J in 0..V (0 1 2 3 4 5 6 7) {
                // SAFETY: V vectors, checked by the slice.
                let x = unsafe { T::V::<S>::load_ptr(isa, x.as_ptr().add(J * lanes)) };
                sums.set(I, J, w.mul_add(x, sums.get(I, J)));
            });
        });
    }
    sums
}

/// `to[i] = from[i·stride]`.
#[inline(always)]
fn copy_line<T: Copy>(to: &mut [T], from: &[T], stride: usize) {
    if stride == 1 {
        to.copy_from_slice(&from[..to.len()]);
    } else {
        for (to, &x) in to.iter_mut().zip(from.iter().step_by(stride)) {
            *to = x;
        }
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
        on(
            isa,
            BackwardData {
                g,
                dy,
                w,
                first: range.start,
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
        let g = self.g;
        let (lanes, taps, plane) = (T::V::<S>::LANES, g.taps(), Plane::new(g));
        let [depth, rows, width] = g.output;
        let mut at = Vec::new();
        offsets(g, &plane, |_, from| at.push(from));
        let mut padded = scratch::buffer::<T>(plane.len(g));
        let padded = &mut *padded;
        for (i, dx) in self.dx.chunks_exact_mut(g.plane()).enumerate() {
            let index = self.first + i;
            padded.fill(T::ZERO);
            for o in 0..g.outputs {
                let channel = index % g.groups * g.outputs + o;
                let w = &self.w[channel * taps..][..taps];
                let dy = &self.dy[(index * g.outputs + o) * g.pixels()..][..g.pixels()];
                for row in 0..depth * rows {
                    let to = plane.row(g, row / rows, row % rows);
                    let dy = &dy[row * width..][..width];
                    for (&w, &at) in w.iter().zip(&at) {
                        let w = T::V::<S>::splat(isa, w);
                        let dx = &mut padded[to + at..][..width];
                        let mut j = 0;
                        while j < width {
                            let old = T::V::<S>::load_tail(isa, &dx[j..], T::ZERO);
                            let dy = T::V::<S>::load_tail(isa, &dy[j..], T::ZERO);
                            w.mul_add(dy, old).store_tail(&mut dx[j..]);
                            j += lanes;
                        }
                    }
                }
            }
            plane.for_each_line(g, |from, to, n| {
                for (q, &x) in padded[from..][..n].iter().enumerate() {
                    dx[to + q * g.stride[2]] = x;
                }
            });
        }
    }
}

/// Groups from which [`backward_weight`] has enough tasks: one is a channel, with the whole batch.
const GROUPS: usize = 8;

/// Whether [`backward_weight`] applies.
pub(crate) fn suits_weight(g: &Geometry) -> bool {
    suits(g) && g.groups >= GROUPS
}

/// The gradient of the weight: each tap's sum over the batch and the pixels of `dy` times the padded plane, moved by the tap.
/// Sums run along the vectors, and over the images in order.
pub(crate) fn backward_weight<T: Float>(
    isa: IsaName,
    g: &Geometry,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
) {
    let part = g.outputs * g.taps();
    parallel::for_each_chunk_mut(dw, part, |channel, dw| {
        on(
            isa,
            BackwardWeight {
                g,
                x,
                dy,
                channel,
                dw,
            },
        );
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
        let g = self.g;
        let (lanes, taps, plane) = (T::V::<S>::LANES, g.taps(), Plane::new(g));
        let mut at = Vec::new();
        offsets(g, &plane, |_, from| at.push(from));
        let mut padded = scratch::buffer::<T>(plane.len(g));
        let padded = &mut *padded;
        padded.fill(T::ZERO);
        let mut acc = scratch::buffer::<T>(self.dw.len() * lanes);
        let acc = &mut *acc;
        acc.fill(T::ZERO);
        for image in 0..g.batch {
            let index = image * g.groups + self.channel;
            let x = &self.x[index * g.plane()..][..g.plane()];
            plane.for_each_line(g, |to, from, n| {
                copy_line(&mut padded[to..][..n], &x[from..], g.stride[2]);
            });
            for (o, acc) in acc.chunks_exact_mut(taps * lanes).enumerate() {
                let dy = &self.dy[(index * g.outputs + o) * g.pixels()..][..g.pixels()];
                let mut t = 0;
                while t < taps {
                    let (at, acc) = (&at[t..], &mut acc[t * lanes..]);
                    t += match taps - t {
                        9.. => tap_sums::<S, T, 9>(isa, g, &plane, (padded, dy), at, acc),
                        5.. => tap_sums::<S, T, 5>(isa, g, &plane, (padded, dy), at, acc),
                        3.. => tap_sums::<S, T, 3>(isa, g, &plane, (padded, dy), at, acc),
                        _ => tap_sums::<S, T, 1>(isa, g, &plane, (padded, dy), at, acc),
                    };
                }
            }
        }
        for (dw, acc) in self.dw.iter_mut().zip(acc.chunks_exact(lanes)) {
            *dw = T::V::<S>::load(isa, acc).reduce_sum();
        }
    }
}

/// Adds the products of `dy` and the padded plane, moved by each of N taps, to N vectors; returns N.
#[inline(always)]
fn tap_sums<S: Isa, T: Float, const N: usize>(
    isa: S,
    g: &Geometry,
    plane: &Plane,
    (padded, dy): (&[T], &[T]),
    at: &[usize],
    acc: &mut [T],
) -> usize {
    let lanes = T::V::<S>::LANES;
    let [_, rows, width] = g.output;
    let mut sums = Registers::<T::V<S>, N, 1>::new(T::V::<S>::zero(isa));
    unroll!(I in 0..N (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
        sums.set(I, 0, T::V::<S>::load(isa, &acc[I * lanes..]));
    });
    for (row, dy) in dy.chunks_exact(width).enumerate() {
        let from = plane.row(g, row / rows, row % rows);
        for (j, dy) in dy.chunks(lanes).enumerate() {
            let n = dy.len();
            let dy = T::V::<S>::load_tail(isa, dy, T::ZERO);
            unroll!(I in 0..N (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
                let x = &padded[from + at[I] + j * lanes..][..n];
                sums.set(I, 0, dy.mul_add(T::V::<S>::load_tail(isa, x, T::ZERO), sums.get(I, 0)));
            });
        }
    }
    unroll!(I in 0..N (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
        sums.get(I, 0).store(&mut acc[I * lanes..]);
    });
    N
}
