//! The three sandwiches of F(2 × 2, 3 × 3): Bᵀ d B of the input, G g Gᵀ of the weights, Aᵀ m A of the products.
//!
//! ```text
//!          1  0 −1  0          1   0   0
//!     Bᵀ = 0  1  1  0     G =  ½   ½   ½     Aᵀ = 1  1  1  0
//!          0 −1  1  0          ½  −½   ½          0  1 −1 −1
//!          0  1  0 −1          0   0   1
//! ```
//!
//! Lanes are tiles (of weights: output channels), so nothing moves between lanes but where columns of an image become tiles and back: a
//! tile is two columns further than the one before, which is `deinterleave`. Bᵀ d B is done by rows first, once for each row of the
//! image, though each belongs to two rows of tiles.

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel, MaskVec};

use super::{PLACES, Task};
use crate::gemm::{Epilogue, Out, Scale, activate, finish};
use crate::scratch;

/// The transformed input of a task: of each place, a line of tiles a channel.
pub(super) struct Input<'a, T> {
    pub task: &'a Task<'a>,
    /// The whole input, and the group's first channel in it.
    pub x: &'a [T],
    pub channel: usize,
    /// `PLACES` of `cut.place(channels)`.
    pub v: &'a mut [T],
}

impl<T: Float> Kernel for Input<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self {
            task,
            x,
            channel,
            v,
        } = self;
        let (g, cut, lanes) = (task.g, &task.cut, T::V::<S>::LANES);
        let (width, tiles) = (cut.image[1], task.tiles());
        let place = cut.place(g.channels);
        let [_, height, columns] = g.input;
        let (top, left) = (g.padding[1], g.padding[2]);
        // The rows of the image that some rows of tiles see, between their zeros.
        let stride = 2 * width.next_multiple_of(lanes) + 2;
        let mut image_rows = scratch::buffer::<T>((2 * task.rows.len() + 2) * stride + 2 * lanes);
        let image_rows = &mut *image_rows;
        image_rows.fill(T::ZERO);
        // d B: of each place of a row, the even and the odd rows of the image, as lines of tiles.
        let span = (task.rows.len() + 1) * width + lanes;
        let mut lines = scratch::buffer::<T>(8 * span);
        let lines = lines.as_mut_ptr();
        assert!(v.len() == PLACES * place && cut.line >= tiles.next_multiple_of(16));
        assert!(cut.line >= tiles + lanes && left + columns <= stride);
        for c in 0..g.channels {
            let mut at = c * cut.line;
            for (image, first, count) in task.images() {
                let plane = (image * g.groups * g.channels + channel + c) * g.plane();
                let plane = &x[plane..][..g.plane()];
                for r in 0..2 * count + 2 {
                    let to = &mut image_rows[r * stride + left..][..columns];
                    match (2 * first + r).checked_sub(top).filter(|&y| y < height) {
                        Some(y) => copy(isa, &plane[y * columns..][..columns], to),
                        None => to.fill(T::ZERO),
                    }
                }
                // SAFETY: a row of the image has two columns for each lane of `width` tiles in whole vectors, and two more, the last one
                // 2 · lanes more behind it. A line of d B has room for count + 1 rows of tiles and a vector; so has one of v (asserted).
                unsafe {
                    for r in 0..2 * count + 2 {
                        let from = image_rows.as_ptr().add(r * stride);
                        // What is written past a row's end, the next row of its kind writes again.
                        let to = lines.add(r % 2 * span + r / 2 * width);
                        for j in (0..width).step_by(lanes) {
                            let (e0, o0) = halves::<S, T>(isa, from.add(2 * j));
                            let (e1, o1) = halves::<S, T>(isa, from.add(2 * j + 2));
                            (e0 - e1).store_ptr(to.add(j));
                            (o0 + e1).store_ptr(to.add(j + 2 * span));
                            (e1 - o0).store_ptr(to.add(j + 4 * span));
                            (o0 - o1).store_ptr(to.add(j + 6 * span));
                        }
                    }
                    // Bᵀ (d B): rows 2i, 2i + 2 of the image are the even ones i and i + 1.
                    for k in 0..4 {
                        let even = lines.add(2 * k * span);
                        let odd = even.add(span);
                        let to = v.as_mut_ptr().add(k * place + at);
                        for t in (0..count * width).step_by(lanes) {
                            let e0 = T::V::<S>::load_ptr(isa, even.add(t));
                            let e1 = T::V::<S>::load_ptr(isa, even.add(t + width));
                            let o0 = T::V::<S>::load_ptr(isa, odd.add(t));
                            let o1 = T::V::<S>::load_ptr(isa, odd.add(t + width));
                            (e0 - e1).store_ptr(to.add(t));
                            (o0 + e1).store_ptr(to.add(t + 4 * place));
                            (e1 - o0).store_ptr(to.add(t + 8 * place));
                            (o0 - o1).store_ptr(to.add(t + 12 * place));
                        }
                    }
                }
                at += count * width;
            }
            // Whole tiles of AMX and whole vectors read no further than here.
            for p in 0..PLACES {
                let line = &mut v[p * place + c * cut.line..][..tiles.next_multiple_of(16)];
                zero(isa, &mut line[tiles..]);
            }
        }
    }
}

/// The even and the odd of the elements from `p` on.
///
/// # Safety
/// Two vectors are readable there.
#[inline(always)]
unsafe fn halves<S: Isa, T: Float>(isa: S, p: *const T) -> (T::V<S>, T::V<S>) {
    // SAFETY: the caller's promise.
    unsafe {
        let second = T::V::<S>::load_ptr(isa, p.add(T::V::<S>::LANES));
        T::V::<S>::load_ptr(isa, p).deinterleave(second)
    }
}

/// A short copy, without a call.
#[inline(always)]
fn copy<S: Isa, T: Float>(isa: S, from: &[T], to: &mut [T]) {
    let (lanes, n) = (T::V::<S>::LANES, from.len().min(to.len()));
    let whole = n / lanes * lanes;
    for i in (0..whole).step_by(lanes) {
        T::V::<S>::load(isa, &from[i..]).store(&mut to[i..]);
    }
    T::V::<S>::load_tail(isa, &from[whole..n], T::ZERO).store_tail(&mut to[whole..n]);
}

/// Zeros, fewer than 16.
#[inline(always)]
fn zero<S: Isa, T: Float>(isa: S, to: &mut [T]) {
    for to in to.chunks_mut(T::V::<S>::LANES) {
        T::V::<S>::zero(isa).store_tail(to);
    }
}

/// The weights of a panel of `height` output channels, packed as (C, 9, height), become (C, height) of each place.
pub(super) struct Kernels<'a, T> {
    pub w: &'a [T],
    pub height: usize,
    pub u: [&'a mut [T]; PLACES],
}

impl<T: Float> Kernel for Kernels<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self { w, height, u } = self;
        let lanes = T::V::<S>::LANES;
        let half = T::V::<S>::splat(isa, T::from_f64(0.5));
        for (c, taps) in w.chunks_exact(9 * height).enumerate() {
            for first in (0..height).step_by(lanes) {
                let n = lanes.min(height - first);
                let mut rows = [[T::V::<S>::zero(isa); 3]; 4];
                for j in 0..3 {
                    let tap = |i: usize| {
                        let tap = &taps[(3 * i + j) * height + first..][..n];
                        T::V::<S>::load_tail(isa, tap, T::ZERO)
                    };
                    let (g0, g1, g2) = (tap(0), tap(1), tap(2));
                    let both = g0 + g2;
                    rows[0][j] = g0;
                    rows[1][j] = half * (both + g1);
                    rows[2][j] = half * (both - g1);
                    rows[3][j] = g2;
                }
                for (i, [g0, g1, g2]) in rows.into_iter().enumerate() {
                    let both = g0 + g2;
                    let places = [g0, half * (both + g1), half * (both - g1), g2];
                    for (k, place) in places.into_iter().enumerate() {
                        place.store_tail(&mut u[4 * i + k][c * height + first..][..n]);
                    }
                }
            }
        }
    }
}

/// The products of a task become outputs; says whether all of them are finite.
pub(super) struct Output<'a, T> {
    pub task: &'a Task<'a>,
    /// `PLACES` of `cut.place(channels)`: a line of tiles an output channel.
    pub m: &'a [T],
    pub epilogue: &'a Epilogue<'a, T>,
    pub out: &'a Out<'a, T>,
    pub isa: IsaName,
}

/// Output channels that are finished together.
const CHANNELS: usize = 16;

impl<T: Float> Kernel for Output<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> bool {
        let Self {
            task,
            m,
            epilogue,
            out,
            isa: name,
        } = self;
        let (g, cut, lanes) = (task.g, &task.cut, T::V::<S>::LANES);
        let (tiles, width) = (task.tiles(), cut.image[1]);
        let place = cut.place(task.channels.len());
        // Of each channel the upper and the lower rows of all tiles, two columns a tile.
        let row = 2 * tiles.next_multiple_of(16) + 16;
        let mut rows = scratch::buffer::<T>(CHANNELS * 2 * row);
        let rows = &mut *rows;
        let nothing = T::V::<S>::zero(isa);
        let mut check = nothing;
        let scale = Scale {
            alpha: T::ONE,
            beta: T::ZERO,
        };
        let applied = (!epilogue.is_identity()).then_some(epilogue);
        assert!(m.len() == PLACES * place && task.channels.end <= out.rows());
        assert!(cut.line >= tiles.next_multiple_of(lanes));
        for some in (0..task.channels.len()).step_by(CHANNELS) {
            let count = CHANNELS.min(task.channels.len() - some);
            for (c, rows) in rows.chunks_exact_mut(2 * row).take(count).enumerate() {
                let (upper, lower) = rows.split_at_mut(row);
                let line = (some + c) * cut.line;
                for t in (0..tiles).step_by(lanes) {
                    // Aᵀ m, then times A: two rows of four become two of two.
                    let mut sums = [[nothing; 4]; 2];
                    for k in 0..4 {
                        // SAFETY: the line of each place has whole vectors up to its last tile (asserted).
                        let (m0, m1, m2, m3) = unsafe {
                            let m = m.as_ptr().add(k * place + line + t);
                            (
                                T::V::<S>::load_ptr(isa, m),
                                T::V::<S>::load_ptr(isa, m.add(4 * place)),
                                T::V::<S>::load_ptr(isa, m.add(8 * place)),
                                T::V::<S>::load_ptr(isa, m.add(12 * place)),
                            )
                        };
                        sums[0][k] = m0 + m1 + m2;
                        sums[1][k] = m1 - m2 - m3;
                    }
                    for ([s0, s1, s2, s3], to) in sums.into_iter().zip([&mut *upper, &mut *lower]) {
                        let (left, right) = (s0 + s1 + s2, s1 - s2 - s3);
                        check = left.mul_add(nothing, right.mul_add(nothing, check));
                        let (first, second) = left.interleave(right);
                        first.store(&mut to[2 * t..]);
                        second.store(&mut to[2 * t + lanes..]);
                    }
                }
            }
            let channel = task.channels.start + some;
            let mut from = 0;
            for (image, first, tall) in task.images() {
                for y in 2 * first..g.output[1].min(2 * (first + tall)) {
                    let at = (channel, image * g.pixels() + y * g.output[2]);
                    let size = (count, g.output[2]);
                    let sums = &rows[y % 2 * row + from + (y / 2 - first) * 2 * width..];
                    assert!(sums.len() >= (count - 1) * 2 * row + g.output[2]);
                    // SAFETY: `count` rows of sums are there (asserted), 2 · row apart; these outputs are this task's.
                    unsafe {
                        finish(isa, sums.as_ptr(), 2 * row, size, out, at, &scale, applied);
                    }
                    activate(name, epilogue.activation, out, at, size);
                }
                from += tall * 2 * width;
            }
        }
        !check.is_nan().any()
    }
}
