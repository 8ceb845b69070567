//! The gradient of a weight by shifted loads: `backward_weight`'s dot products, reading im2col's rows where they lie.
//!
//! A row of im2col is the padded plane of a channel, read from another place (see `direct`). So a task copies the planes of its channels
//! once, and not once for every tap, and `dY` beside them with its pixels counted along the padded rows, zeros between them; then each
//! weight is the dot product of two lines. With few output channels im2col's copies took longer than the products.
//! The work goes in stages of some rows of an image, or of some images one after the other; a task is a block of weights over a part of
//! the batch, and the parts, which follow from the sizes, are added in order.
//!
//! Roofline (AVX-512): 4 × 6 products for 4 + 6 loads, of which the six cross a cache line and count twice: 12 cycles of multiply-adds,
//! 8 of loads. What stands between the rows is computed for nothing: one column of 33 with 3 × 3 kernels on rows of 32.
//! What it is not: right where an input is infinite and only a zero between the rows of `dY` meets it. That gives NaN, so whoever
//! finds one computes everything the other way.

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::backward_weight::{PARALLEL, dot_tiles};
use super::geometry::Geometry;
use super::planes::Planes;
use crate::gemm::{on, tiles};
use crate::parallel::{self, SharedMut};
use crate::scratch;

/// Output channels and rows of im2col of a task (whole channels, or one), whose sums are whole vectors: they take a sixth of L2.
const OUTPUTS: usize = 32;
const ROWS: usize = 160;
/// Positions of a stage.
const POSITIONS: usize = 1024;
/// Tasks wanted before the batch is left whole.
const TASKS: usize = 16;

/// How the work is cut, by the sizes alone.
#[derive(Clone, Copy, Debug)]
struct Cut {
    planes: Planes,
    /// Input channels a task, and blocks of them and of outputs.
    channels: usize,
    channel_blocks: usize,
    output_blocks: usize,
    /// Images of a part, and parts.
    images: usize,
    parts: usize,
    /// Images of a stage; or, if that is one, its output rows.
    together: usize,
    rows: usize,
}

impl Cut {
    /// `None` where shifted loads do not serve.
    fn new(g: &Geometry) -> Option<Self> {
        let planes = Planes::new(g)?;
        let mut channels = (ROWS / g.taps()).clamp(1, g.channels);
        let others = g.outputs.div_ceil(OUTPUTS) * g.groups * g.batch;
        while channels > 1 && g.channels.div_ceil(channels) * others < TASKS {
            channels = channels.div_ceil(2);
        }
        let (channel_blocks, output_blocks) =
            (g.channels.div_ceil(channels), g.outputs.div_ceil(OUTPUTS));
        let tasks = channel_blocks * output_blocks * g.groups;
        let images = g.batch.div_ceil(TASKS.div_ceil(tasks)).max(1);
        let image = planes.height.checked_mul(planes.width)?;
        let together = (POSITIONS / image.max(1)).clamp(1, images);
        let rows = if together > 1 {
            g.output[1]
        } else {
            let stages = (g.output[1] * planes.width).div_ceil(POSITIONS).max(1);
            g.output[1].div_ceil(stages)
        };
        Some(Self {
            planes,
            channels,
            channel_blocks,
            output_blocks,
            images,
            parts: g.batch.div_ceil(images),
            together,
            rows,
        })
    }

    /// Positions from one image of a stage to the next.
    fn image(&self) -> usize {
        self.planes.height * self.planes.width
    }

    /// Positions of a stage of so many images and rows: to the end of the last row of dY.
    fn span(&self, g: &Geometry, images: usize, rows: usize) -> usize {
        (images - 1) * self.image() + (rows - 1) * self.planes.width + g.output[2]
    }

    /// How far past a position the last tap reads.
    fn reach(&self) -> usize {
        self.planes.reach[0] * self.planes.width + self.planes.reach[1]
    }
}

/// Cycles that the whole takes; `None` if it cannot be done so.
pub(super) fn cost(g: &Geometry) -> Option<f64> {
    let cut = Cut::new(g)?;
    let stages = g.batch.div_ceil(cut.together) * g.output[1].div_ceil(cut.rows);
    let positions = (stages * cut.span(g, cut.together, cut.rows)) as f64;
    let copy = match g.stride[2] {
        1 => 0.4,
        2 => 1.0,
        _ => 2.0,
    };
    let planes = (cut.output_blocks * g.channels * cut.planes.count()) as f64 * copy;
    let gradients = (cut.channel_blocks * g.outputs) as f64 * 0.4;
    let sums = 2.0 * (g.outputs * g.depth() * stages) as f64;
    Some(
        positions * ((g.outputs * g.depth()) as f64 / tiles::vectors_rate() + planes + gradients)
            + sums,
    )
}

/// `dw` of checked, contiguous, non-empty arguments; it may hold NaN where another way gives numbers or infinities.
///
/// # Panics
/// If [`cost`] says `None`.
pub(super) fn run<T: Float>(isa: IsaName, g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) {
    let cut = Cut::new(g).expect("shifted loads serve");
    let blocks = cut.channel_blocks * cut.output_blocks * g.groups;
    let size = dw.len();
    let mut more = scratch::buffer::<T>((cut.parts - 1) * size);
    let (first, rest) = (SharedMut::new(dw), SharedMut::new(&mut more));
    let task = |i: usize| {
        let (part, block) = (i / blocks, i % blocks);
        let (group, rest_of) = (
            block / (cut.channel_blocks * cut.output_blocks),
            block % (cut.channel_blocks * cut.output_blocks),
        );
        let (output, channel) = (
            rest_of / cut.channel_blocks * OUTPUTS,
            rest_of % cut.channel_blocks * cut.channels,
        );
        let image = part * cut.images;
        let (sums, at) = match part.checked_sub(1) {
            None => (&first, 0),
            Some(part) => (&rest, part * size),
        };
        let task = Task {
            g,
            cut: &cut,
            x,
            dy,
            group,
            outputs: (output, OUTPUTS.min(g.outputs - output)),
            channels: (channel, cut.channels.min(g.channels - channel)),
            images: (image, cut.images.min(g.batch - image)),
            sums,
            at,
        };
        on(isa, task);
    };
    let tasks = blocks * cut.parts;
    if (g.pixels() * g.batch).saturating_mul(size) >= PARALLEL {
        parallel::for_each(tasks, &task);
    } else {
        (0..tasks).for_each(task);
    }
    for part in more.chunks_exact(size) {
        dw.iter_mut().zip(part).for_each(|(sum, &x)| *sum += x);
    }
}

/// A block of `dW`, summed over some images.
struct Task<'a, 'b, T> {
    g: &'a Geometry,
    cut: &'a Cut,
    x: &'a [T],
    dy: &'a [T],
    group: usize,
    /// First and count: output and input channels of the group, images.
    outputs: (usize, usize),
    channels: (usize, usize),
    images: (usize, usize),
    /// Laid out as dW from `at` on.
    sums: &'a SharedMut<'b, T>,
    at: usize,
}

impl<T: Float> Kernel for Task<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (g, cut) = (self.g, self.cut);
        let (planes, lanes) = (&cut.planes, T::V::<S>::LANES);
        let ((o, outputs), (c, channels), (first, images)) =
            (self.outputs, self.channels, self.images);
        let (count, taps) = (planes.count(), g.taps());
        let rows = channels * taps;
        let span = cut.span(g, cut.together, cut.rows);
        let line = span.next_multiple_of(lanes);
        let plane = (line + cut.reach()).next_multiple_of(lanes);
        let acc_len = outputs * rows * lanes;
        let mut space = scratch::buffer::<T>(acc_len + channels * count * plane + outputs * line);
        space.fill(T::ZERO);
        let (acc, space) = space.split_at_mut(acc_len);
        let (block, lines) = space.split_at_mut(channels * count * plane);
        // Where in the block each row of the im2col matrix begins: (channel, tap).
        let mut places = Vec::with_capacity(rows);
        for c in 0..channels {
            for tap in 0..taps {
                let (n, from) = planes.tap(g, [tap / g.kernel[2], tap % g.kernel[2]]);
                places.push((c * count + n) * plane + from);
            }
        }
        assert!(places.iter().all(|&from| from + line <= block.len()));
        let (width, pixels) = (g.output[2], g.pixels());
        for image in (first..first + images).step_by(cut.together) {
            let together = cut.together.min(first + images - image);
            for row in (0..g.output[1]).step_by(cut.rows) {
                let high = cut.rows.min(g.output[1] - row);
                let n = cut.span(g, together, high);
                for (i, block) in block.chunks_exact_mut(plane).enumerate() {
                    for j in 0..together {
                        let channel = ((image + j) * g.groups + self.group) * g.channels + c;
                        let x = &self.x[(channel + i / count) * g.plane()..][..g.plane()];
                        let len = if together == 1 {
                            planes.len(high)
                        } else {
                            cut.image()
                        };
                        let to = &mut block[j * cut.image()..][..len];
                        planes.copy(g, x, row, i % count, to);
                    }
                }
                for (q, line) in lines.chunks_exact_mut(line).enumerate() {
                    for j in 0..together {
                        let channel = ((image + j) * g.groups + self.group) * g.outputs + o;
                        let dy = &self.dy[(channel + q) * pixels + row * width..];
                        let to = line[j * cut.image()..].chunks_mut(planes.width);
                        for (dy, to) in dy.chunks_exact(width).take(high).zip(to) {
                            to[..width].copy_from_slice(dy);
                        }
                    }
                }
                // SAFETY: `outputs` lines of n elements and more, and n from each place on (asserted); acc has a vector for each.
                unsafe {
                    let (a, b) = ((&*lines, line, outputs), (&*block, &places[..]));
                    if S::REGISTERS >= 32 {
                        dot_tiles::<S, T, 4, 6>(isa, n, a, b, acc);
                    } else {
                        dot_tiles::<S, T, 3, 3>(isa, n, a, b, acc);
                    }
                }
            }
        }
        for q in 0..outputs {
            let at = self.at + ((self.group * g.outputs + o + q) * g.channels + c) * taps;
            // SAFETY: these rows of this part of dW belong to this task.
            let sums = unsafe { self.sums.slice(at..at + rows) };
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = T::V::<S>::load(isa, &acc[(q * rows + r) * lanes..]).reduce_sum();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gradus_simd::available;

    use super::*;
    use crate::conv::tests::case;
    use crate::conv::{Conv2dParams, ConvParams, backward_weight, reference};
    use crate::gemm::tests::numbers;

    fn params(stride: usize, groups: usize) -> Conv2dParams {
        ConvParams {
            stride: [stride; 2],
            padding: [1, 1],
            dilation: [1, 1],
            groups,
        }
    }

    #[test]
    fn stages_parts_and_blocks() {
        // Many images a stage, some left over; rows of one image, some left over; groups; more outputs and channels than a task has.
        let cases = [
            ([37, 3, 9, 7], [5, 3, 3, 3], params(1, 1)),
            ([19, 4, 12, 11], [6, 2, 3, 3], params(2, 2)),
            ([2, 3, 61, 67], [9, 3, 5, 5], params(1, 1)),
            ([3, 23, 14, 17], [70, 23, 3, 3], params(1, 1)),
            ([2, 3, 63, 65], [33, 3, 7, 7], params(2, 1)),
        ];
        for (x, w, params) in cases {
            let g = Geometry::new("test", &x, &w, &params).unwrap();
            assert!(cost(&g).is_some(), "{x:?}");
            for &isa in available() {
                case::<f32, 2>(isa, &x, &w, &params);
                case::<f64, 2>(isa, &x, &w, &params);
            }
        }
    }

    #[test]
    fn infinities_spread_no_further_than_in_the_reference() {
        let (xs, ws) = ([4, 3, 33, 32], [16, 3, 3, 3]);
        let g = Geometry::new("test", &xs, &ws, &params(1, 1)).unwrap();
        let (nx, nw, ny) = g.lens();
        let (mut x, dy) = (numbers::<f32>(nx, 1), numbers::<f32>(ny, 3));
        x[33 * 32 + 32 * 5] = f32::INFINITY; // the first of a row of channel 1
        let mut want = vec![0.0; nw];
        reference::backward_weight((&x, &xs), &dy, &params(1, 1), (&mut want, &ws)).unwrap();
        assert!(want.iter().any(|x| x.is_infinite()) && want.iter().all(|x| !x.is_nan()));
        for &isa in available() {
            let mut got = vec![0.0; nw];
            run(isa, &g, &x, &dy, &mut got);
            assert!(got.iter().any(|x| x.is_nan()), "what this is a test of");
            backward_weight::run(isa, &g, &x, &dy, &mut got);
            let kinds = |x: &f32| (x.is_nan(), x.is_infinite());
            assert!(got.iter().map(kinds).eq(want.iter().map(kinds)), "{isa}");
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let g = Geometry::new("test", &[40, 16, 15, 15], &[16, 16, 3, 3], &params(1, 1)).unwrap();
        let (nx, nw, ny) = g.lens();
        let (x, dy) = (numbers::<f32>(nx, 1), numbers::<f32>(ny, 3));
        for &isa in available() {
            let bits = |threads| {
                let mut dw = vec![0.0; nw];
                parallel::with_threads(threads, || run(isa, &g, &x, &dy, &mut dw));
                dw.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let one = bits(1);
            assert!([2, 3, 7].iter().all(|&n| bits(n) == one), "{isa}");
        }
    }
}
