//! The gradient of the input, which is also the transposed convolution.
//!
//! With stride 1 it is a convolution: of `dy` with the kernel turned around and its two channel axes swapped, padding
//! `dilation·(kernel − 1) − padding`; it takes the forward path. With another stride, half or more of that would be products
//! with zero, so instead `cols = Wᵀ·dy` is computed for a bounded block of pixels and added to the places the taps came from
//! (col2im). A task owns whole planes of `dx`, so no two threads add to the same element and the order is fixed.

use gradus_simd::{Float, IsaName};

use super::Weights;
use super::batch_last::BatchLast;
use super::depthwise;
use super::forward;
use super::geometry::Geometry;
use super::im2col::Im2col;
use super::reference::for_each_product;
use crate::gemm::{Epilogue, Job, MatMut, MatRef, Out, blocked};
use crate::parallel::{self, SharedMut};
use crate::scratch;

/// Elements of the block of columns that a task works on: L2.
const BLOCK: usize = 128 * 1024;
/// One row of output pixels may need more than that, for kernels of thousands of taps, but not more than this.
const MAX_BLOCK: usize = 16 << 20;
/// Output pixels that make a product worth its packing; smaller images are taken together.
const PIXELS: usize = 512;

/// Input channels of a group from which im2col of `dy` costs less than col2im: an element of it is used once for each.
const CHANNELS: usize = 12;

/// `dx` of checked, contiguous arguments.
pub(crate) fn run<T: Float>(isa: IsaName, g: &Geometry, dy: &[T], w: &[T], dx: &mut [T]) {
    if dx.is_empty() {
        return;
    }
    if dy.is_empty() || g.depth() == 0 {
        dx.fill(T::ZERO);
    } else if depthwise::suits(g) {
        match turned(g) {
            // One output a channel, stride 1: the plane of dy under the kernel turned around.
            Some(turned) if g.outputs == 1 && depthwise::suits(&turned) => {
                let mut v = scratch::buffer::<T>(w.len());
                let v = &mut *v;
                turn(g, w, v);
                depthwise::forward(isa, &turned, dy, v, &Epilogue::default(), dx);
            }
            _ => depthwise::backward_data(isa, g, dy, w, dx),
        }
    } else if let Some(turned) = turned(g).filter(|_| g.channels >= CHANNELS) {
        let mut v = scratch::buffer::<T>(w.len());
        let v = &mut *v;
        turn(g, w, v);
        let v = Weights::from(&*v);
        forward::run(isa, &turned, dy, v, &Epilogue::default(), dx);
    } else if let Some(seen) = BatchLast::new(g) {
        seen.backward_data(isa, dy, w, dx);
    } else if g.taps().saturating_mul(g.output[2]) > MAX_BLOCK {
        dx.fill(T::ZERO);
        for_each_product(g, |i, j, k| dx[i] = dy[k].mul_add(w[j], dx[i]));
    } else {
        col2im(isa, g, dy, w, dx);
    }
}

/// The convolution of `dy` that gives `dx`, if the stride is 1.
fn turned(g: &Geometry) -> Option<Geometry> {
    let mut padding = [0; 3];
    for d in 0..3 {
        padding[d] = (g.dilation[d] * (g.kernel[d] - 1)).checked_sub(g.padding[d])?;
    }
    (g.stride == [1; 3]).then_some(Geometry {
        channels: g.outputs,
        outputs: g.channels,
        input: g.output,
        output: g.input,
        padding,
        ..*g
    })
}

/// Input channels whose kernels are turned together: those of an output channel lie side by side.
const TOGETHER: usize = 16;

/// `v[group][c][o][tap] = w[group][o][c][last − tap]`.
fn turn<T: Float>(g: &Geometry, w: &[T], v: &mut [T]) {
    let (taps, blocks) = (g.taps(), g.channels.div_ceil(TOGETHER));
    let (size, line) = (g.outputs * g.depth(), g.outputs * taps);
    let v = SharedMut::new(v);
    parallel::for_each(g.groups * blocks, &|i| {
        let (group, first) = (i / blocks, i % blocks * TOGETHER);
        let count = TOGETHER.min(g.channels - first);
        let at = group * size + first * line;
        // SAFETY: each block has its own input channels.
        let v = unsafe { v.slice(at..at + count * line) };
        for o in 0..g.outputs {
            let w = &w[group * size + o * g.depth() + first * taps..][..count * taps];
            for (c, w) in w.chunks_exact(taps).enumerate() {
                let v = &mut v[c * line + o * taps..][..taps];
                for (to, &x) in v.iter_mut().zip(w.iter().rev()) {
                    *to = x;
                }
            }
        }
    });
}

/// How the work is cut: `images × channels` of one group a task, and a few output rows at a time.
struct Cut {
    images: usize,
    channels: usize,
    /// Output rows (depth and height) of a block.
    rows: usize,
}

impl Cut {
    fn new(g: &Geometry) -> Self {
        let (pixels, width) = (g.pixels(), g.output[2]);
        let channels = (256 / g.taps()).clamp(1, g.channels);
        if pixels >= PIXELS {
            let rows = (BLOCK / (channels * g.taps() * width)).max(1);
            return Self {
                images: 1,
                channels,
                rows: rows.min(g.output[0] * g.output[1]),
            };
        }
        // Fewer images a task if there would be fewer than 16 tasks; never so many that the block grows.
        let most = (BLOCK / (channels * g.taps() * pixels)).max(1);
        let wanted = PIXELS.div_ceil(pixels).min(most);
        let tasks =
            |images: usize| g.batch.div_ceil(images) * g.groups * g.channels.div_ceil(channels);
        let images = (1..=wanted).rev().find(|&n| tasks(n) >= 16).unwrap_or(1);
        Self {
            images,
            channels,
            rows: g.output[0] * g.output[1],
        }
    }
}

fn col2im<T: Float>(isa: IsaName, g: &Geometry, dy: &[T], w: &[T], dx: &mut [T]) {
    let cut = Cut::new(g);
    let (image_blocks, channel_blocks) = (
        g.batch.div_ceil(cut.images),
        g.channels.div_ceil(cut.channels),
    );
    let (plane, all) = (g.plane(), g.groups * g.channels);
    let dx = SharedMut::new(dx);
    parallel::for_each(image_blocks * g.groups * channel_blocks, &|task| {
        let (block, rest) = (
            task / (g.groups * channel_blocks),
            task % (g.groups * channel_blocks),
        );
        let (group, c) = (rest / channel_blocks, rest % channel_blocks * cut.channels);
        let channels = cut.channels.min(g.channels - c);
        let first = block * cut.images;
        let images = first..g.batch.min(first + cut.images);
        let planes = |image: usize| {
            let at = (image * all + group * g.channels + c) * plane;
            // SAFETY: each task has its own images and channels.
            unsafe { dx.slice(at..at + channels * plane) }
        };
        for image in images.clone() {
            planes(image).fill(T::ZERO);
        }
        let (taps, pixels, width) = (g.taps(), g.pixels(), g.output[2]);
        let all_rows = g.output[0] * g.output[1];
        // Wᵀ of these channels: (channels·taps) × outputs.
        let weights = &w[(group * g.outputs * g.channels + c) * taps..];
        let weights = MatRef::new(
            weights,
            0,
            (channels * taps, g.outputs),
            (1, g.depth() as isize),
        )
        .expect("the channels are inside the weight");
        for row in (0..all_rows).step_by(cut.rows) {
            let rows = cut.rows.min(all_rows - row);
            let count = rows * width;
            let cols = count * images.len();
            let mut block = scratch::buffer::<T>(channels * taps * cols);
            let block = &mut *block;
            let mut c = MatMut {
                data: block,
                rows: channels * taps,
                cols,
                row_stride: cols,
            };
            let out = Out::matrix(&mut c);
            let epilogue = &Epilogue::default();
            if images.len() == 1 {
                let from = (first * g.groups + group) * g.outputs * pixels + row * width;
                let b = MatRef::new(dy, from, (g.outputs, count), (pixels as isize, 1))
                    .expect("rows of dy");
                blocked(&Job {
                    a: weights,
                    b: &b,
                    alpha: T::ONE,
                    beta: T::ZERO,
                    out: &out,
                    epilogue,
                    isa,
                    done: None,
                });
            } else {
                // Several images: dy as the im2col matrix of a 1 × 1 kernel.
                let pointwise = Geometry {
                    batch: images.len(),
                    channels: g.outputs,
                    input: [1, 1, pixels],
                    output: [1, 1, pixels],
                    kernel: [1; 3],
                    stride: [1; 3],
                    padding: [0; 3],
                    dilation: [1; 3],
                    ..*g
                };
                let size = g.groups * g.outputs * pixels;
                let x = &dy[images.start * size..images.end * size];
                let b = Im2col {
                    x,
                    g: &pointwise,
                    channel: group * g.outputs,
                };
                blocked(&Job {
                    a: weights,
                    b: &b,
                    alpha: T::ONE,
                    beta: T::ZERO,
                    out: &out,
                    epilogue,
                    isa,
                    done: None,
                });
            }
            for (i, image) in images.clone().enumerate() {
                let dx = planes(image);
                for (k, cols) in block.chunks_exact(cols).enumerate() {
                    let dx = &mut dx[k / taps * plane..][..plane];
                    add_row(g, k % taps, row, &cols[i * count..][..count], dx);
                }
            }
        }
    });
}

/// Adds the columns of one tap, output rows from `row` on, to the input plane they came from.
fn add_row<T: Float>(g: &Geometry, tap: usize, row: usize, cols: &[T], dx: &mut [T]) {
    let [_, kh, kw] = g.kernel;
    let tap = [tap / (kh * kw), tap / kw % kh, tap % kw];
    let [_, out_h, out_w] = g.output;
    let index = |d: usize, at: usize| {
        (at * g.stride[d] + tap[d] * g.dilation[d]).wrapping_sub(g.padding[d])
    };
    // Output columns whose input column exists: first..end.
    let (stride, width) = (g.stride[2] as isize, g.input[2] as isize);
    let start = index(2, 0) as isize;
    let first = (-start + stride - 1)
        .div_euclid(stride)
        .clamp(0, out_w as isize);
    let end = (width - start + stride - 1)
        .div_euclid(stride)
        .clamp(first, out_w as isize);
    if first == end {
        return;
    }
    let from = (start + first * stride) as usize;
    for (r, cols) in cols.chunks_exact(out_w).enumerate() {
        let (depth, line) = (index(0, (row + r) / out_h), index(1, (row + r) % out_h));
        if depth >= g.input[0] || line >= g.input[1] {
            continue;
        }
        let dx = &mut dx[(depth * g.input[1] + line) * g.input[2]..][..g.input[2]][from..];
        let cols = &cols[first as usize..end as usize];
        match g.stride[2] {
            1 => dx.iter_mut().zip(cols).for_each(|(x, &c)| *x += c),
            2 => dx
                .iter_mut()
                .step_by(2)
                .zip(cols)
                .for_each(|(x, &c)| *x += c),
            s => dx
                .iter_mut()
                .step_by(s)
                .zip(cols)
                .for_each(|(x, &c)| *x += c),
        }
    }
}
