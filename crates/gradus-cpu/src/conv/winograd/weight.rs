//! The gradient of the weights: `dU = Σ over tiles of (A dy Aᵀ) · (Bᵀ x B)ᵀ`, place by place, then `dw = Gᵀ dU G`.
//!
//! It is the forward pass turned over: what that multiplied, the transformed input, is multiplied here with the transformed gradient
//! of the output, and the tiles are summed over. So the lanes are channels, which lie together: the rows of an image are turned over
//! first, a quarter as many elements as come out of the transforms. Then each place is a product `(tiles × O)ᵀ·(tiles × C)` that GEMM
//! packs by copying. Where the weights are few, threads sum parts of the tiles, which do not leave their caches, and the sums are added up.
//! Else some hundred tiles at a time go through L3; threads share their rows, then the places.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel, MaskVec};

use super::{Cut, PLACES, allowed};
use crate::conv::geometry::Geometry;
use crate::gemm::{Epilogue, Job, MatMut, MatRef, Out, blocked, load, on, tiles};
use crate::parallel::{self, SharedMut};
use crate::scratch;

/// Tiles at a time: two blocks of K.
const TILES: usize = 512;
/// Elements that either side takes at most.
const MOST: usize = 8 << 20;
/// Rows of tiles that a thread transforms at a time, and outputs of a product.
const ROWS: usize = 4;
const OUTPUTS: usize = 128;

/// Parts of the tiles that are summed by themselves, each by one thread, at most, and fewest for which it pays; elements that all their
/// sums may take; and tiles at a time, both sides of which L2 holds.
const PARTS: usize = 16;
const FEWEST: usize = 4;
const SUMS: usize = 2 << 20;
const OWN_TILES: usize = 128;

/// Rows of tiles: of an image, of all images, of a part of them, of those taken at a time; and tiles in a row.
#[derive(Clone, Copy, Debug)]
struct Rows {
    image: usize,
    all: usize,
    part: usize,
    some: usize,
    width: usize,
}

impl Rows {
    /// `None` where the kernel is another, or a row of tiles too long.
    fn new(isa: IsaName, g: &Geometry) -> Option<Self> {
        let [image, width] = Cut::image(g).filter(|_| g.groups == 1)?;
        let all = g.batch * image;
        // Parts that can be added up cheaply, and have enough to do.
        let parts = SUMS.checked_div(PLACES * g.outputs * g.channels)?;
        let parts = parts.min(PARTS).min(all * width / OWN_TILES);
        let (parts, tiles) = if parts < FEWEST || isa == IsaName::Amx {
            (1, TILES)
        } else {
            (parts, OWN_TILES)
        };
        let part = all.div_ceil(parts);
        let channels = g.channels.max(g.outputs);
        let most = (MOST / PLACES).checked_div(channels * width)?;
        let some = (tiles / width).clamp(1, part);
        (most >= some).then_some(Self {
            image,
            all,
            part,
            some,
            width,
        })
    }

    /// Elements of a place: the sixteen do not meet in one set.
    fn place(&self, channels: usize) -> usize {
        self.some * self.width * channels + 16
    }
}

/// Cycles that the whole takes; `None` if it cannot be done so or may not.
pub(crate) fn cost<T: Float>(isa: IsaName, g: &Geometry) -> Option<f64> {
    let rows = Rows::new(isa, g).filter(|_| allowed::<T>())?;
    let (o, c, n) = (g.outputs, g.channels, rows.all * rows.width);
    let lines = (o + c) as f64 * n as f64;
    let vectors = o as f64 * c as f64 * n as f64 / tiles::vectors_rate() + 0.3 * lines;
    let product = tiles::cost::<T>(isa, (o, c, n), o + c).map_or(vectors, |cost| cost.min(vectors));
    let again = (rows.all.div_ceil(rows.some) + 3) as f64;
    let weights = (PLACES * o * c) as f64;
    Some(PLACES as f64 * product + 16.0 * lines + 0.5 * again * weights)
}

/// `dw` of checked, contiguous arguments. `false` if a number is not finite: then what is in `dw` is of no use.
///
/// # Panics
/// If [`cost`] says `None`.
pub(crate) fn run<T: Float>(isa: IsaName, g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) -> bool {
    let rows = Rows::new(isa, g).expect("`cost` found them");
    let (size, parts) = (
        PLACES * g.outputs * g.channels,
        rows.all.div_ceil(rows.part),
    );
    let mut sums = scratch::buffer::<T>(parts * size);
    let of_parts = SharedMut::new(&mut sums);
    parallel::for_each(parts, &|part| {
        let first = part * rows.part;
        // SAFETY: each part has its own sums.
        let u = unsafe { of_parts.slice(part * size..(part + 1) * size) };
        let some = first..rows.all.min(first + rows.part);
        sum_rows(isa, g, &rows, (x, dy), some, u);
    });
    let (u, others) = sums.split_at_mut(size);
    parallel::for_each_chunk_mut(u, parallel::GRAIN, |i, u| {
        for other in others.chunks_exact(size) {
            let other = &other[i * parallel::GRAIN..][..u.len()];
            u.iter_mut().zip(other).for_each(|(u, &x)| *u += x);
        }
    });
    let (u, outputs, finite) = (&*u, g.outputs, AtomicBool::new(true));
    parallel::for_each_chunk_mut(dw, g.depth(), |o, dw| {
        if !on(isa, Back { u, o, outputs, dw }) {
            finite.store(false, Ordering::Relaxed);
        }
    });
    finite.into_inner()
}

/// The sums `u` (place, O, C) over some rows of tiles. Who is one of several parts does it alone.
fn sum_rows<T: Float>(
    isa: IsaName,
    g: &Geometry,
    rows: &Rows,
    (x, dy): (&[T], &[T]),
    all: Range<usize>,
    u: &mut [T],
) {
    let (input, output) = (rows.place(g.channels), rows.place(g.outputs));
    let mut v = scratch::buffer::<T>(PLACES * input);
    let mut m = scratch::buffer::<T>(PLACES * output);
    let (v, m) = (&mut *v, &mut *m);
    for first in all.clone().step_by(rows.some) {
        let end = all.end.min(first + rows.some);
        let mut runs = Vec::new();
        let mut row = first;
        while row < end {
            let (image, at) = (row / rows.image, row % rows.image);
            let count = ROWS.min(rows.image - at).min(end - row);
            runs.push((image, at, count, (row - first) * rows.width));
            row += count;
        }
        {
            let (v, m) = (&SharedMut::new(v), &SharedMut::new(m));
            parallel::for_each(2 * runs.len(), &|i| {
                let (image, row, count, tile) = runs[i / 2];
                let (of_input, from, to) = if i % 2 == 0 {
                    (true, x, v)
                } else {
                    (false, dy, m)
                };
                let tiles = Transform {
                    g,
                    rows,
                    of_input,
                    from,
                    image,
                    row,
                    count,
                    tile,
                    to,
                };
                on(isa, tiles);
            });
        }
        let (v, m, sums) = (&*v, &*m, &SharedMut::new(u));
        let (k, parts) = ((end - first) * rows.width, g.outputs.div_ceil(OUTPUTS));
        parallel::for_each(PLACES * parts, &|i| {
            let (place, o) = (i / parts, i % parts * OUTPUTS);
            let (count, n) = (OUTPUTS.min(g.outputs - o), g.channels);
            let at = (place * g.outputs + o) * n;
            // SAFETY: each place and part has its own rows.
            let sums = unsafe { sums.slice(at..at + count * n) };
            let strides = (1, g.outputs as isize);
            let a = MatRef::new(m, place * output + o, (count, k), strides).expect("tiles × O");
            let b = MatRef::new(v, place * input, (k, n), (n as isize, 1)).expect("tiles × C");
            blocked(&Job {
                a,
                b: &b,
                alpha: T::ONE,
                beta: if first == all.start { T::ZERO } else { T::ONE },
                out: &Out::matrix(&mut MatMut::row_major(sums, count, n).expect("cut to size")),
                epilogue: &Epilogue::default(),
                isa,
                done: None,
            });
        });
    }
}

/// `Bᵀ x B` or `A dy Aᵀ` of some rows of tiles of an image: of each place, (tile, channel).
struct Transform<'a, T> {
    g: &'a Geometry,
    rows: &'a Rows,
    of_input: bool,
    from: &'a [T],
    image: usize,
    /// The first row of tiles and how many, and the tile that it begins with.
    row: usize,
    count: usize,
    tile: usize,
    /// `PLACES` of `rows.place(channels)`.
    to: &'a SharedMut<'a, T>,
}

impl<T: Float> Kernel for Transform<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (g, width, lanes) = (self.g, self.rows.width, T::V::<S>::LANES);
        let (channels, [_, height, columns], padding, more) = if self.of_input {
            (g.channels, g.input, [g.padding[1], g.padding[2]], 2)
        } else {
            (g.outputs, g.output, [0, 0], 0)
        };
        let plane = height * columns;
        let planes = &self.from[self.image * channels * plane..][..channels * plane];
        // The pixels that these tiles see, (row, column, channel), between zeros.
        let line = (2 * width + more) * channels;
        let mut pixels = scratch::buffer::<T>((2 * self.count + more) * line);
        let pixels = &mut *pixels;
        for (r, line) in pixels.chunks_exact_mut(line).enumerate() {
            let y = (2 * self.row + r).wrapping_sub(padding[0]);
            if y < height {
                let (left, rest) = line.split_at_mut(padding[1] * channels);
                let (inside, right) = rest.split_at_mut(columns * channels);
                left.fill(T::ZERO);
                turn(
                    isa,
                    &planes[y * columns..],
                    plane,
                    (channels, columns),
                    inside,
                );
                right.fill(T::ZERO);
            } else {
                line.fill(T::ZERO);
            }
        }
        let place = self.rows.place(channels);
        let end = (self.tile + self.count * width) * channels;
        assert!(self.to.len() == PLACES * place && end <= place);
        for i in 0..self.count {
            for j in 0..width {
                let from = &pixels[2 * (i * line + j * channels)..];
                let to = (self.tile + i * width + j) * channels;
                assert!(from.len() >= (1 + more) * line + (2 + more) * channels);
                for c in (0..channels).step_by(lanes) {
                    let n = lanes.min(channels - c);
                    // SAFETY: n channels of 2 or 4 pixels of as many rows (asserted), and of each place's tile, which is this thread's.
                    unsafe {
                        let (from, to) = (from.as_ptr().add(c), self.to.as_mut_ptr().add(to + c));
                        if self.of_input {
                            input::<S, T>(isa, from, (line, channels), to, place, n);
                        } else {
                            gradient::<S, T>(isa, from, (line, channels), to, place, n);
                        }
                    }
                }
            }
        }
    }
}

/// `to (columns × channels)` of planes' rows, (channels × columns), `plane` elements apart.
#[inline(always)]
fn turn<S: Isa, T: Float>(
    isa: S,
    from: &[T],
    plane: usize,
    (channels, columns): (usize, usize),
    to: &mut [T],
) {
    assert!(from.len() >= (channels - 1) * plane + columns && to.len() >= columns * channels);
    let tile = if size_of::<T>() == 4 { S::TILE } else { 1 };
    let whole = [channels - channels % tile, columns - columns % tile];
    for c in (0..whole[0]).step_by(tile) {
        for w in (0..whole[1]).step_by(tile) {
            // SAFETY: `tile` channels and columns are there, on both sides (asserted), of a type as large as f32.
            unsafe {
                let from = from.as_ptr().add(c * plane + w).cast();
                let to = to.as_mut_ptr().add(w * channels + c).cast();
                isa.transpose_tile(from, plane, to, channels, false);
            }
        }
    }
    for c in 0..channels {
        let first = if c < whole[0] { whole[1] } else { 0 };
        for w in first..columns {
            to[w * channels + c] = from[c * plane + w];
        }
    }
}

/// Four places of a row, `place` elements apart.
///
/// # Safety
/// They are writable for `n` elements.
#[inline(always)]
unsafe fn store<S: Isa, T: Float>(row: [T::V<S>; 4], to: *mut T, place: usize, n: usize) {
    for (k, v) in row.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            if n == T::V::<S>::LANES {
                v.store_ptr(to.add(k * place));
            } else {
                v.store_tail_ptr(to.add(k * place), n);
            }
        }
    }
}

/// Bᵀ d B of `n` channels.
///
/// # Safety
/// 4 × 4 pixels are readable for `n` elements, and the places writable.
#[inline(always)]
unsafe fn input<S: Isa, T: Float>(
    isa: S,
    from: *const T,
    (line, pixel): (usize, usize),
    to: *mut T,
    place: usize,
    n: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut rows = [[T::V::<S>::zero(isa); 4]; 4];
        for (i, row) in rows.iter_mut().enumerate() {
            let d = from.add(i * line);
            let (d0, d1) = (load::<S, T>(isa, d, n), load::<S, T>(isa, d.add(pixel), n));
            let d2 = load::<S, T>(isa, d.add(2 * pixel), n);
            let d3 = load::<S, T>(isa, d.add(3 * pixel), n);
            *row = [d0 - d2, d1 + d2, d2 - d1, d1 - d3];
        }
        let [r0, r1, r2, r3] = rows;
        let mut v = rows;
        for k in 0..4 {
            v[0][k] = r0[k] - r2[k];
            v[1][k] = r1[k] + r2[k];
            v[2][k] = r2[k] - r1[k];
            v[3][k] = r1[k] - r3[k];
        }
        for (i, row) in v.into_iter().enumerate() {
            store::<S, T>(row, to.add(4 * i * place), place, n);
        }
    }
}

/// A dy Aᵀ of `n` channels.
///
/// # Safety
/// 2 × 2 pixels are readable for `n` elements, and the places writable.
#[inline(always)]
unsafe fn gradient<S: Isa, T: Float>(
    isa: S,
    from: *const T,
    (line, pixel): (usize, usize),
    to: *mut T,
    place: usize,
    n: usize,
) {
    let zero = T::V::<S>::zero(isa);
    // SAFETY: the caller's promise.
    unsafe {
        let (a, b) = (
            load::<S, T>(isa, from, n),
            load::<S, T>(isa, from.add(pixel), n),
        );
        let from = from.add(line);
        let (c, d) = (
            load::<S, T>(isa, from, n),
            load::<S, T>(isa, from.add(pixel), n),
        );
        let rows = [(a, b), (a + c, b + d), (a - c, b - d), (zero - c, zero - d)];
        for (i, (l, r)) in rows.into_iter().enumerate() {
            let row = [l, l + r, l - r, zero - r];
            store::<S, T>(row, to.add(4 * i * place), place, n);
        }
    }
}

/// `dw (C, 9) = Gᵀ dU G` of one output channel; says whether all of it is finite.
struct Back<'a, T> {
    /// (place, O, C).
    u: &'a [T],
    o: usize,
    outputs: usize,
    dw: &'a mut [T],
}

impl<T: Float> Kernel for Back<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> bool {
        let Self { u, o, outputs, dw } = self;
        let (channels, lanes) = (dw.len() / 9, T::V::<S>::LANES);
        let half = T::V::<S>::splat(isa, T::from_f64(0.5));
        let zero = T::V::<S>::zero(isa);
        let mut taps = scratch::buffer::<T>(9 * lanes);
        let taps = &mut *taps;
        let mut check = zero;
        for c in (0..channels).step_by(lanes) {
            let n = lanes.min(channels - c);
            let mut rows = [[zero; 4]; 3];
            for k in 0..4 {
                let mut column = [zero; 4];
                for (i, x) in column.iter_mut().enumerate() {
                    let from = ((4 * i + k) * outputs + o) * channels + c;
                    *x = T::V::<S>::load_tail(isa, &u[from..][..n], T::ZERO);
                }
                let [u0, u1, u2, u3] = column;
                let both = half * (u1 + u2);
                rows[0][k] = u0 + both;
                rows[1][k] = half * (u1 - u2);
                rows[2][k] = both + u3;
            }
            for (i, [u0, u1, u2, u3]) in rows.into_iter().enumerate() {
                let both = half * (u1 + u2);
                let row = [u0 + both, half * (u1 - u2), both + u3];
                for (j, tap) in row.into_iter().enumerate() {
                    check = tap.mul_add(zero, check);
                    tap.store(&mut taps[(3 * i + j) * lanes..]);
                }
            }
            for (l, dw) in dw[c * 9..][..n * 9].chunks_exact_mut(9).enumerate() {
                for (tap, dw) in dw.iter_mut().enumerate() {
                    *dw = taps[tap * lanes + l];
                }
            }
        }
        !check.is_nan().any()
    }
}
