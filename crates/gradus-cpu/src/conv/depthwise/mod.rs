//! Depthwise convolution, one input channel a group: direct, nothing packed.
//!
//! There is no reduction over channels, so a GEMM would have K = taps and waste its tiles. Instead each padded plane becomes a
//! [`Line`] in L1: its rows one after the other, a whole number of cache lines apart, once for each phase of the stride. Then output c
//! of row r is `Σ over taps of w[tap]·x[at[tap] + r·pitch + c]`, whatever stride, padding and kernel are, and `rows` computes that for
//! a few rows of a vector at a time.
//!
//! All three are that: forward reads a line of x; the gradient of x reads a line of dy backwards, once for each phase (with
//! stride 1 and one output a channel `backward_data` calls forward instead, with the kernel turned around); the gradient of the
//! weight is the product of dy and the line of x, a sum a tap. In these two, zeros between the rows of dy stand for nothing, which is
//! so as long as what they are multiplied with is finite; the reference computes the rest.
//!
//! Roofline of 3 × 3 over 56 × 56: 28 K multiply-adds, 0.9 K cycles at 32 a cycle, for 25 KB that come from the last cache and go
//! there. Measured: 1.0 µs a plane in L2, a fifth of it the copy to the line; from the last cache 1.5 µs.

mod line;
mod rows;
#[cfg(test)]
mod tests;

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::geometry::Geometry;
use super::reference::for_each_product;
use crate::gemm::{Activation, Bias, Epilogue, Out, activate, on};
use crate::parallel::{self, SharedMut};
use crate::scratch::{self, Buffer};
use line::{ALIGN, Line, Row, SLACK, copy, fill, read};
use rows::{Area, Chains, correlate, products};

/// Lines of more than this many elements take the general path.
const MAX_LINE: usize = 1 << 20;
/// The largest stride.
const MAX_STRIDE: usize = 8;
/// Products that a task computes at least, and how many a plane costs beside its own.
const GRAIN: usize = 64 * 1024;
const PLANE: usize = 512;

/// Whether this file's paths apply.
pub(crate) fn suits(g: &Geometry) -> bool {
    if g.channels != 1 || g.groups == 1 || g.stride.iter().any(|&stride| stride > MAX_STRIDE) {
        return false;
    }
    let len: Option<usize> = (0..3).try_fold(1, |n: usize, d| {
        let padded = g.padding[d].checked_mul(2)?.checked_add(g.input[d])?;
        let apart = if d == 2 { ALIGN } else { 1 };
        n.checked_mul(padded.checked_next_multiple_of(g.stride[d] * apart)?)
    });
    len.is_some_and(|n| n <= MAX_LINE)
}

/// Planes a task takes.
fn group(g: &Geometry) -> usize {
    (GRAIN / (g.pixels() * g.taps() + PLANE)).max(1)
}

/// This convolution of one image and one channel.
fn single(g: &Geometry) -> Geometry {
    Geometry {
        batch: 1,
        groups: 1,
        ..*g
    }
}

/// Where the rows of x, of the padded line and of y are, and what the taps read: the same for each plane.
struct Plan {
    line: Line,
    /// Rows of x, by phases; with stride 1 also as areas.
    inputs: Vec<Row>,
    areas: Vec<Area>,
    /// Rows of y, on the line.
    outputs: Vec<Area>,
    chains: Chains<usize>,
}

impl Plan {
    fn new(g: &Geometry) -> Self {
        let line = Line::new(g);
        let place = |(t, (phase, shift))| (t, phase * line.phase() + shift);
        let taps = line.taps(g).into_iter().enumerate().map(place).collect();
        let inputs = line.input_rows(g);
        Self {
            areas: Area::cover(inputs.iter(), line.pitch()),
            inputs,
            outputs: Area::cover(line.output_rows(g).iter(), line.pitch()),
            chains: Chains::new(taps, line.pitch()),
            line,
        }
    }

    #[inline(always)]
    fn fill<S: Isa, T: Float>(&self, isa: S, g: &Geometry, x: &[T], line: &mut [T]) {
        let rows = (&self.inputs[..], &self.areas[..]);
        fill(isa, rows, (g.stride[2], g.input[2]), x, line);
    }
}

/// Two lines of zeros, taken in turn.
struct TwoLines<T> {
    buffer: Buffer<T>,
    lead: usize,
    each: usize,
}

impl<T: Float> TwoLines<T> {
    #[inline(always)]
    fn new(line: &Line) -> Self {
        let (lead, each) = (line.lead(), line.len().next_multiple_of(ALIGN));
        let mut buffer = scratch::buffer::<T>(lead + 2 * each);
        buffer.fill(T::ZERO);
        Self { buffer, lead, each }
    }

    #[inline(always)]
    fn line(&mut self, i: usize) -> &mut [T] {
        &mut self.buffer[self.lead + i % 2 * self.each..][..self.each]
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
    let (group, plan) = (group(g), Plan::new(g));
    parallel::for_each(planes.div_ceil(group), &|task| {
        let range = task * group..planes.min((task + 1) * group);
        // SAFETY: the planes of different tasks do not overlap.
        let y = unsafe { y.slice(range.start * part..range.end * part) };
        let first = range.start;
        on(
            isa,
            Forward {
                g,
                plan: &plan,
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
    plan: &'a Plan,
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
        let (g, plan) = (self.g, self.plan);
        let mut taps = plan.chains.unweighted();
        // Two lines: a plane is copied while the one before it is read. Loads that follow a copy at once wait until its stores are in
        // L1, and those stand in line behind the last plane's outputs, wherever they go.
        let mut lines = TwoLines::new(&plan.line);
        let plane = |i: usize| &self.x[(self.first + i) * g.plane()..][..g.plane()];
        let planes = self.y.len() / (g.outputs * g.pixels());
        plan.fill(isa, g, plane(0), lines.line(0));
        for (i, y) in self.y.chunks_exact_mut(g.outputs * g.pixels()).enumerate() {
            let index = self.first + i;
            if i + 1 < planes {
                plan.fill(isa, g, plane(i + 1), lines.line(i + 1));
            }
            let padded = lines.line(i);
            for (o, y) in y.chunks_exact_mut(g.pixels()).enumerate() {
                let channel = index % g.groups * g.outputs + o;
                let w = &self.w[channel * g.taps()..][..g.taps()];
                plan.chains.weigh(w, &mut taps);
                let bias = match self.epilogue.bias {
                    Bias::Row(bias) => bias[channel],
                    _ => T::ZERO,
                };
                let after = (bias, self.epilogue.activation);
                for area in &plan.outputs {
                    correlate(isa, padded, &taps, area, after, y);
                }
            }
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
    let (group, plan) = (group(g), BackwardPlan::new(g));
    parallel::for_each(planes.div_ceil(group), &|task| {
        let range = task * group..planes.min((task + 1) * group);
        // SAFETY: the planes of different tasks do not overlap.
        let dx = unsafe { dx.slice(range.start * part..range.end * part) };
        let first = range.start;
        on(
            isa,
            BackwardData {
                g,
                plan: &plan,
                dy,
                w,
                first,
                dx,
            },
        );
    });
}

/// As [`Plan`], the other way: a line of dy for each output, and the rows of x, or of its line, each phase by the taps that write it.
struct BackwardPlan {
    line: Line,
    inputs: Vec<Row>,
    outputs: Vec<Area>,
    /// So many zeros before a line of dy that a tap's shift reads nothing else.
    before: usize,
    /// Elements from one output's line to the next.
    each: usize,
    /// Of each phase: its rows, and the taps.
    phases: Vec<(Vec<Area>, Chains<usize>)>,
}

impl BackwardPlan {
    fn new(g: &Geometry) -> Self {
        let line = Line::new(g);
        let (places, phase) = (line.taps(g), line.phase());
        let before = places.iter().map(|place| place.1).max().unwrap_or(0);
        let before = before.next_multiple_of(ALIGN);
        let each = before + phase + SLACK;
        let inputs = line.input_rows(g);
        let phases = (0..line.phases()).map(|p| {
            let rows = inputs.iter().filter(|row| row.at / phase == p);
            let mut areas = Area::cover(rows, line.pitch());
            for area in &mut areas {
                if g.stride[2] > 1 {
                    (area.from, area.step) = (area.at, area.pitch);
                }
                area.at -= p * phase;
            }
            let taps = (0..g.outputs).flat_map(|o| {
                let here = places.iter().enumerate().filter(|(_, place)| place.0 == p);
                here.map(move |(t, place)| (o * g.taps() + t, o * each + before - place.1))
            });
            let chains = Chains::new(taps.collect(), line.pitch());
            (areas, chains)
        });
        Self {
            before,
            each,
            phases: phases.collect(),
            outputs: Area::cover(line.output_rows(g).iter(), line.pitch()),
            inputs,
            line,
        }
    }
}

struct BackwardData<'a, T> {
    g: &'a Geometry,
    plan: &'a BackwardPlan,
    dy: &'a [T],
    w: &'a [T],
    first: usize,
    dx: &'a mut [T],
}

impl<T: Float> Kernel for BackwardData<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (g, plan) = (self.g, self.plan);
        let mut lines = scratch::buffer::<T>(g.outputs * plan.each);
        let lines = &mut *lines;
        lines.fill(T::ZERO);
        let mut sums = scratch::buffer::<T>(plan.line.len());
        let sums = &mut *sums;
        let after = (T::ZERO, Activation::None);
        let chains = plan.phases.iter().map(|(_, chains)| chains.unweighted());
        let mut taps: Vec<Chains<T>> = chains.collect();
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
                let line = &mut lines[o * plan.each + plan.before..];
                copy(isa, &plan.outputs, dy, line);
            }
            let to = if g.stride[2] > 1 {
                &mut *sums
            } else {
                &mut *dx
            };
            for ((areas, chains), taps) in plan.phases.iter().zip(&mut taps) {
                chains.weigh(w, taps);
                for area in areas {
                    correlate(isa, lines, taps, area, after, to);
                }
            }
            if g.stride[2] > 1 {
                read(&plan.inputs, (g.stride[2], g.input[2]), sums, dx);
            }
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
    let plan = Plan::new(g);
    parallel::for_each_chunk_mut(dw, g.outputs * g.taps(), |channel, dw| {
        let kernel = BackwardWeight {
            g,
            plan: &plan,
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
    plan: &'a Plan,
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
        let (g, plan) = (self.g, self.plan);
        let (lanes, taps) = (T::V::<S>::LANES, g.taps());
        let zeros = |n: usize| {
            let mut buffer = scratch::buffer::<T>(n);
            buffer.fill(T::ZERO);
            buffer
        };
        let (mut lines, mut acc) = (TwoLines::new(&plan.line), zeros(self.dw.len() * lanes));
        let plane =
            |image: usize| &self.x[(image * g.groups + self.channel) * g.plane()..][..g.plane()];
        plan.fill(isa, g, plane(0), lines.line(0));
        for image in 0..g.batch {
            let index = image * g.groups + self.channel;
            if image + 1 < g.batch {
                plan.fill(isa, g, plane(image + 1), lines.line(image + 1));
            }
            let x_line = &*lines.line(image);
            for (o, acc) in acc.chunks_exact_mut(taps * lanes).enumerate() {
                let dy = &self.dy[(index * g.outputs + o) * g.pixels()..][..g.pixels()];
                for area in &plan.outputs {
                    products(isa, x_line, &plan.chains, area, dy, acc);
                }
            }
        }
        for (dw, acc) in self.dw.iter_mut().zip(acc.chunks_exact(lanes)) {
            *dw = T::V::<S>::load(isa, acc).reduce_sum();
        }
    }
}
