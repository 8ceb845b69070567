//! The gradient of the weight: `dW[o, k] = Σ over batch and pixels of dy[o, p]·im2col[k, p]`.
//!
//! The sum runs over the long axis, along which both operands are contiguous, so it is computed as dot products in register
//! tiles (`gemm::dot`): rows of the im2col matrix are copied to L2, `dy` is read in place, and each accumulator is a whole
//! vector until the very end. Where the planes of the input can be read in place, `weight_shifted` does the same without the copies. A
//! task owns some (output channel, channel, tap) for all pixels. Where the weight is too small to
//! make enough tasks, the batch is cut too: into parts that follow from the sizes alone, whose sums are added in order.

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::batch_last::BatchLast;
use super::depthwise;
use super::geometry::Geometry;
use super::im2col::Im2col;
use super::weight_product;
use super::weight_shifted;
use super::weight_tiles;
use super::winograd;
use crate::gemm::{dot_tile, on, tiles};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::unroll::{Registers, unroll};

/// Output channels and rows of im2col that one task has, and pixels it takes at a time: the block of dy and that of im2col
/// together fill half of L2, the four + six rows of a register tile fit L1.
const OUTPUTS: usize = 64;
const ROWS: usize = 48;
const PIXELS: usize = 1024;
/// Tasks wanted before the batch is left whole.
const TASKS: usize = 16;

/// Products below which a second thread does not pay.
pub(super) const PARALLEL: usize = 1 << 19;

/// How the work is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Rows of im2col a task.
    rows: usize,
    row_blocks: usize,
    output_blocks: usize,
    /// Images a part, and how many parts.
    images: usize,
    parts: usize,
}

impl Cut {
    fn new(g: &Geometry) -> Self {
        // Whole channels, unless one has more taps than that.
        let rows = (ROWS / g.taps() * g.taps()).min(g.depth());
        let rows = if rows == 0 { ROWS } else { rows };
        let (row_blocks, output_blocks) = (g.depth().div_ceil(rows), g.outputs.div_ceil(OUTPUTS));
        let tasks = row_blocks * output_blocks * g.groups;
        let images = g.batch.div_ceil(TASKS.div_ceil(tasks)).max(1);
        Self {
            rows,
            row_blocks,
            output_blocks,
            images,
            parts: g.batch.div_ceil(images),
        }
    }
}

/// Whether rows of im2col need no copy: they are rows of the input, long ones.
pub(super) fn in_place(g: &Geometry) -> bool {
    g.is_pointwise() && g.pixels() >= PIXELS / 2
}

/// `dw` of checked, contiguous arguments.
pub(crate) fn run<T: Float>(isa: IsaName, g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) {
    if dw.is_empty() {
        return;
    }
    if dy.is_empty() || x.is_empty() {
        return dw.fill(T::ZERO);
    }
    if depthwise::suits_weight(g) {
        return depthwise::backward_weight(isa, g, x, dy, dw);
    }
    let fewer = winograd::weight_cost::<T>(isa, g).is_some_and(|cost| {
        let others = [weight_tiles::cost::<T>(isa, g), weight_shifted::cost(g)];
        let others = others.into_iter().flatten();
        cost < others.fold(other_cost::<T>(isa, g), f64::min)
    });
    if fewer && winograd::backward_weight(isa, g, x, dy, dw) {
        return;
    }
    if let Some(seen) = BatchLast::new(g) {
        return seen.backward_weight(isa, x, dy, dw);
    }
    let flat = g.flattened();
    let g = &flat;
    let other = other_cost::<T>(isa, g);
    let shifted = weight_shifted::cost(g).filter(|&cost| cost < other);
    let tiled = weight_tiles::cost::<T>(isa, g);
    if tiled.is_some_and(|cost| cost < shifted.unwrap_or(other)) && weight_tiles::run(g, x, dy, dw)
    {
        return;
    }
    if shifted.is_some() {
        weight_shifted::run(isa, g, x, dy, dw);
        // Perhaps only because a zero between rows of dy met an infinity.
        if !dw.iter().any(|dw| dw.is_nan()) {
            return;
        }
    }
    if weight_product::suits(g) {
        return weight_product::run(isa, g, x, dy, dw);
    }
    let cut = Cut::new(g);
    let blocks = cut.row_blocks * cut.output_blocks * g.groups;
    let size = dw.len();
    let work = g.pixels().saturating_mul(g.batch).saturating_mul(size);
    let each = |sums: &SharedMut<'_, T>| {
        let task = |i: usize| {
            let (part, block) = (i / blocks, i % blocks);
            let (group, rest) = (
                block / (cut.row_blocks * cut.output_blocks),
                block % (cut.row_blocks * cut.output_blocks),
            );
            let (output, row) = (
                rest / cut.row_blocks * OUTPUTS,
                rest % cut.row_blocks * cut.rows,
            );
            let task = Task {
                g,
                x,
                dy,
                group,
                outputs: (output, OUTPUTS.min(g.outputs - output)),
                rows: (row, cut.rows.min(g.depth() - row)),
                images: (
                    part * cut.images,
                    cut.images.min(g.batch - part * cut.images),
                ),
                sums,
                at: part * size,
            };
            on(isa, task);
        };
        if work >= PARALLEL {
            parallel::for_each(blocks * cut.parts, &task);
        } else {
            (0..blocks * cut.parts).for_each(task);
        }
    };
    if cut.parts == 1 {
        return each(&SharedMut::new(dw));
    }
    let mut sums = scratch::buffer::<T>(cut.parts * size);
    let sums = &mut *sums;
    each(&SharedMut::new(sums));
    let (first, rest) = sums.split_at(size);
    dw.copy_from_slice(first);
    for part in rest.chunks_exact(size) {
        dw.iter_mut().zip(part).for_each(|(sum, &x)| *sum += x);
    }
}

/// Cycles that the ways through im2col take.
fn other_cost<T: Float>(isa: IsaName, g: &Geometry) -> f64 {
    let (m, n, k) = (g.outputs, g.depth(), g.batch * g.pixels());
    let vectors = tiles::vectors_cost((m, n, k), m + n);
    if weight_product::suits(g) {
        return tiles::cost::<T>(isa, (m, n, k), m + n).map_or(vectors, |cost| cost.min(vectors));
    }
    let copies = if in_place(g) { 0 } else { m.div_ceil(OUTPUTS) };
    let copied = copies as f64 * n as f64 * k as f64;
    // A run of a row costs beside its elements.
    let element = 0.6 + 30.0 / g.output[2] as f64;
    m as f64 * n as f64 * k as f64 / tiles::vectors_rate() + element * copied
}

/// A block of `dW`, summed over some images.
struct Task<'a, 'b, T> {
    g: &'a Geometry,
    x: &'a [T],
    dy: &'a [T],
    group: usize,
    /// First and count: output channels of the group, rows of im2col, images.
    outputs: (usize, usize),
    rows: (usize, usize),
    images: (usize, usize),
    /// The sums of all parts, each laid out as dW; `at` is where this part begins.
    sums: &'a SharedMut<'b, T>,
    at: usize,
}

impl<T: Float> Kernel for Task<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let g = self.g;
        let lanes = T::V::<S>::LANES;
        let pixels = g.pixels();
        let ((o, outputs), (k, rows), (first, images)) = (self.outputs, self.rows, self.images);
        // Long rows are cut, short ones put together over several images.
        let together = if pixels >= PIXELS / 2 {
            1
        } else {
            (PIXELS / pixels).clamp(1, images)
        };
        let step = if together == 1 {
            pixels.min(PIXELS)
        } else {
            pixels * together
        };
        let stride = step.next_multiple_of(lanes);
        let acc_len = outputs * rows * lanes;
        let mut space = scratch::buffer::<T>(acc_len + rows * stride + outputs * stride);
        let space = &mut *space;
        let (acc, space) = space.split_at_mut(acc_len);
        let (cols, copied) = space.split_at_mut(rows * stride);
        acc.fill(T::ZERO);
        let channel = self.group * g.channels;
        let im2col = Im2col {
            x: self.x,
            g,
            channel,
        };
        let end = (first + images) * pixels;
        let mut places = Vec::with_capacity(rows);
        let mut p = first * pixels;
        while p < end {
            // Up to the end of the image, or of all.
            let n = if together == 1 {
                step.min(pixels - p % pixels)
            } else {
                step.min(end - p)
            };
            let (cols, ldb) = if in_place(g) {
                let first = p / pixels * g.groups * g.channels + channel + k;
                (&self.x[first * pixels + p % pixels..], pixels)
            } else {
                im2col.rows(isa, k..k + rows, p..p + n, stride, cols);
                (&*cols, stride)
            };
            let dy_row =
                |image: usize, o: usize| ((image * g.groups + self.group) * g.outputs + o) * pixels;
            let (dy, lda) = if together == 1 {
                (&self.dy[dy_row(p / pixels, o) + p % pixels..], pixels)
            } else {
                for i in 0..n / pixels {
                    for q in 0..outputs {
                        let from = &self.dy[dy_row(p / pixels + i, o + q)..][..pixels];
                        copied[q * stride + i * pixels..][..pixels].copy_from_slice(from);
                    }
                }
                (&*copied, stride)
            };
            assert!(dy.len() >= (outputs - 1) * lda + n && acc.len() == outputs * rows * lanes);
            assert!(cols.len() >= (rows - 1) * ldb + n);
            // SAFETY: dy has `outputs` rows of n elements lda apart, cols `rows` of n ldb apart, acc that many vectors (asserted).
            unsafe {
                places.clear();
                places.extend((0..rows).map(|row| row * ldb));
                let (a, b) = ((dy, lda, outputs), (cols, &places[..]));
                if S::REGISTERS >= 32 {
                    dot_tiles::<S, T, 4, 6>(isa, n, a, b, acc);
                } else {
                    dot_tiles::<S, T, 3, 3>(isa, n, a, b, acc);
                }
            }
            p += n;
        }
        for q in 0..outputs {
            let at = self.at + ((self.group * g.outputs + o + q) * g.depth()) + k;
            // SAFETY: these rows of this part of dW belong to this task.
            let sums = unsafe { self.sums.slice(at..at + rows) };
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = T::V::<S>::load(isa, &acc[(q * rows + r) * lanes..]).reduce_sum();
            }
        }
    }
}

/// `acc[i, j] += a[i, :]·b[j, :]`, lane by lane, in tiles of MI × NJ; what is left over in narrower ones.
///
/// # Safety
/// a has `m` rows of k elements `lda` apart, b has k elements from each of its n places on, acc has `m·n` vectors.
#[inline(always)]
pub(super) unsafe fn dot_tiles<S: Isa, T: Float, const MI: usize, const NJ: usize>(
    isa: S,
    k: usize,
    (a, lda, m): (&[T], usize, usize),
    (b, places): (&[T], &[usize]),
    acc: &mut [T],
) {
    let n = places.len();
    let mut j = 0;
    while j < n {
        let nj = if n - j >= NJ {
            NJ
        } else if n - j >= 3 {
            3
        } else {
            1
        };
        let mut i = 0;
        while i < m {
            let mi = if m - i >= MI { MI } else { 1 };
            // SAFETY: rows i..i + mi and j..j + nj exist.
            unsafe {
                let a = (a.as_ptr().add(i * lda), lda as isize);
                let b = (b.as_ptr(), places.as_ptr().add(j));
                let acc = (acc.as_mut_ptr().add((i * n + j) * T::V::<S>::LANES), n);
                match (mi == MI, nj) {
                    (true, 1) => tile::<S, T, MI, 1>(isa, k, a, b, acc),
                    (true, nj) if nj == NJ => tile::<S, T, MI, NJ>(isa, k, a, b, acc),
                    (true, _) => tile::<S, T, MI, 3>(isa, k, a, b, acc),
                    (false, 1) => tile::<S, T, 1, 1>(isa, k, a, b, acc),
                    (false, nj) if nj == NJ => tile::<S, T, 1, NJ>(isa, k, a, b, acc),
                    (false, _) => tile::<S, T, 1, 3>(isa, k, a, b, acc),
                }
            }
            i += mi;
        }
        j += nj;
    }
}

/// One register tile: its accumulators are loaded, added to and stored.
///
/// # Safety
/// As [`dot_tile`], b's rows being at NJ places; acc has MI rows of NJ vectors, `n` vectors apart.
#[inline(always)]
unsafe fn tile<S: Isa, T: Float, const MI: usize, const NJ: usize>(
    isa: S,
    k: usize,
    a: (*const T, isize),
    (b, places): (*const T, *const usize),
    (acc, n): (*mut T, usize),
) {
    let lanes = T::V::<S>::LANES;
    let mut sums = Registers::<T::V<S>, MI, NJ>::new(T::V::<S>::zero(isa));
    // SAFETY: the caller's promise.
    unsafe {
        unroll!(I in 0..MI (0 1 2 3) {
            unroll!(J in 0..NJ (0 1 2 3 4 5) {
                sums.set(I, J, T::V::<S>::load_ptr(isa, acc.add((I * n + J) * lanes)));
            });
        });
        let mut rows = [b; NJ];
        unroll!(J in 0..NJ (0 1 2 3 4 5) {
            rows[J] = b.add(*places.add(J));
        });
        sums = dot_tile::<S, T, MI, NJ>(isa, k, a, rows, sums);
        unroll!(I in 0..MI (0 1 2 3) {
            unroll!(J in 0..NJ (0 1 2 3 4 5) {
                sums.get(I, J).store_ptr(acc.add((I * n + J) * lanes));
            });
        });
    }
}

/// The gradient of the bias: `db[o] = Σ over batch and pixels of dy[., o, .]`.
pub(crate) fn bias<T: Float>(
    isa: IsaName,
    (batch, outputs, pixels): (usize, usize, usize),
    dy: &[T],
    db: &mut [T],
) {
    let group = (32 * 1024 / (batch * pixels).max(1)).max(1);
    parallel::for_each_chunk_mut(db, group, |i, db| {
        on(
            isa,
            Bias {
                batch,
                outputs,
                pixels,
                dy,
                first: i * group,
                db,
            },
        );
    });
}

struct Bias<'a, T> {
    batch: usize,
    outputs: usize,
    pixels: usize,
    dy: &'a [T],
    first: usize,
    db: &'a mut [T],
}

impl<T: Float> Kernel for Bias<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let lanes = T::V::<S>::LANES;
        for (o, db) in self.db.iter_mut().enumerate() {
            *db = T::ZERO;
            for image in 0..self.batch {
                // Four sums of lanes over a plane, added in a fixed order.
                let dy = &self.dy[(image * self.outputs + self.first + o) * self.pixels..]
                    [..self.pixels];
                let mut sums = [T::V::<S>::zero(isa); 4];
                let mut p = 0;
                while p < dy.len() {
                    for sum in &mut sums {
                        *sum = *sum + T::V::<S>::load_tail(isa, &dy[p.min(dy.len())..], T::ZERO);
                        p += lanes;
                    }
                }
                *db += ((sums[0] + sums[1]) + (sums[2] + sums[3])).reduce_sum();
            }
        }
    }
}
