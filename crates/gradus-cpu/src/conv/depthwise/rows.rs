//! The correlation of a line with the taps of a kernel, a few rows of outputs at a time.
//!
//! Output (r, c) is `Σ over taps of w[tap]·x[at[tap] + r·pitch + c]`. A register tile is R rows of one vector each. Taps that stand below
//! one another, at, at + pitch, at + 2·pitch, are a [`Chain`]: what one loads for a row is what the next needs for the row above, so R
//! rows take R + 2 loads for their 3·R multiply-adds. With a load an operand the loads would be the limit, as nearly all of them cross
//! a cache line and count twice. Roofline of 3 × 3 and R = 7: 63 multiply-adds (32 cycles), 27 such loads and 9 broadcasts (32 cycles).
//!
//! The gradient of the weight reads the same chains: there the rows of dy are what is kept in registers, and the taps are the sums.
//! What it is not: clever about rows shorter than a vector, whose other lanes are computed and dropped.

use gradus_simd::{Float, FloatVec, Isa};

use super::line::Row;
use crate::gemm::Activation;
use crate::unroll::{Registers, unroll};

/// N taps, one below the other: the first reads `at`, the next `at + pitch`, ….
#[derive(Clone, Copy, Debug)]
struct Chain<W, const N: usize> {
    at: usize,
    w: [W; N],
}

/// The taps of a kernel in chains; W is the place of a weight, or the weight.
#[derive(Clone, Debug)]
pub(super) struct Chains<W> {
    threes: Vec<Chain<W, 3>>,
    twos: Vec<Chain<W, 2>>,
    ones: Vec<Chain<W, 1>>,
    /// The furthest place that a tap reads for the first output.
    last: usize,
    /// One past the last place of a weight.
    weights: usize,
}

impl Chains<usize> {
    /// Of taps as (place of the weight, where it reads).
    pub(super) fn new(mut taps: Vec<(usize, usize)>, pitch: usize) -> Self {
        taps.sort_by_key(|&(_, at)| at);
        let mut chains = Self {
            threes: Vec::new(),
            twos: Vec::new(),
            ones: Vec::new(),
            last: taps.last().map_or(0, |tap| tap.1),
            weights: taps.iter().map(|tap| tap.0 + 1).max().unwrap_or(0),
        };
        while !taps.is_empty() {
            let (first, at) = taps.remove(0);
            let mut chain = vec![first];
            while chain.len() < 3 {
                let below = at + chain.len() * pitch;
                let Some(i) = taps.iter().position(|tap| tap.1 == below) else {
                    break;
                };
                chain.push(taps.remove(i).0);
            }
            match chain[..] {
                [a, b, c] => chains.threes.push(Chain { at, w: [a, b, c] }),
                [a, b] => chains.twos.push(Chain { at, w: [a, b] }),
                _ => chains.ones.push(Chain { at, w: [first] }),
            }
        }
        chains
    }

    /// The same chains, with room for weights.
    pub(super) fn unweighted<T: Float>(&self) -> Chains<T> {
        Chains {
            threes: unweighted(&self.threes),
            twos: unweighted(&self.twos),
            ones: unweighted(&self.ones),
            last: self.last,
            weights: self.weights,
        }
    }

    /// Puts the weights themselves into what [`Chains::unweighted`] gave.
    #[inline(always)]
    pub(super) fn weigh<T: Float>(&self, w: &[T], weighted: &mut Chains<T>) {
        let w = &w[..self.weights];
        weigh(&self.threes, w, &mut weighted.threes);
        weigh(&self.twos, w, &mut weighted.twos);
        weigh(&self.ones, w, &mut weighted.ones);
    }
}

fn unweighted<T: Float, const N: usize>(chains: &[Chain<usize, N>]) -> Vec<Chain<T, N>> {
    let zero = |chain: &Chain<usize, N>| Chain {
        at: chain.at,
        w: [T::ZERO; N],
    };
    chains.iter().map(zero).collect()
}

#[inline(always)]
fn weigh<T: Float, const N: usize>(from: &[Chain<usize, N>], w: &[T], to: &mut [Chain<T, N>]) {
    for (from, to) in from.iter().zip(to) {
        for (&place, to) in from.w.iter().zip(&mut to.w) {
            *to = w[place];
        }
    }
}

/// Rows of one length, evenly apart on the line and in the tensor they belong to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub at: usize,
    pub pitch: usize,
    pub from: usize,
    pub step: usize,
    pub rows: usize,
    pub width: usize,
}

impl Area {
    /// Covers all rows, in their order, by areas with this pitch.
    pub(super) fn cover<'a>(rows: impl Iterator<Item = &'a Row>, pitch: usize) -> Vec<Self> {
        let mut areas: Vec<Self> = Vec::new();
        for row in rows {
            if let Some(area) = areas.last_mut()
                && area.width == row.n
                && area.at + area.rows * pitch == row.at
                && (area.rows == 1 || area.from + area.rows * area.step == row.from)
                && row.from > area.from
            {
                area.step = (row.from - area.from) / area.rows;
                area.rows += 1;
                continue;
            }
            areas.push(Self {
                at: row.at,
                pitch,
                from: row.from,
                step: 0,
                rows: 1,
                width: row.n,
            });
        }
        areas
    }

    /// One past its last element in the tensor, and on the line.
    // Kernels are instantiated in other crates: a call for each plane, of code that knows no wide vectors, cost a third of a small one.
    #[inline(always)]
    pub(super) fn ends(&self) -> (usize, usize) {
        let below = self.rows - 1;
        (
            self.from + below * self.step + self.width,
            self.at + below * self.pitch + self.width,
        )
    }

    /// Calls `f(row, column, rows, columns)` for tiles that cover the area: up to 7 rows, as even as may be, a vector's columns or
    /// fewer.
    #[inline(always)]
    pub(super) fn tiles(&self, lanes: usize, mut f: impl FnMut(usize, usize, usize, usize)) {
        let mut row = 0;
        while row < self.rows {
            let rest = self.rows - row;
            let rows = match rest.div_ceil(rest.div_ceil(7)) {
                5 if rest > 5 => 6,
                5 => 4,
                rows => rows,
            };
            let mut column = 0;
            while column < self.width {
                f(row, column, rows, lanes.min(self.width - column));
                column += lanes;
            }
            row += rows;
        }
    }
}

/// What is done to a sum: a bias is added, and perhaps ReLU.
pub(super) type After<T> = (T, Activation);

/// A tile of as many rows as there are, of those heights that [`Area::tiles`] makes.
macro_rules! by_height {
    ($rows:expr, $tile:ident($($argument:expr),*)) => {
        match $rows {
            7 => $tile::<S, T, 7>($($argument),*),
            6 => $tile::<S, T, 6>($($argument),*),
            4 => $tile::<S, T, 4>($($argument),*),
            3 => $tile::<S, T, 3>($($argument),*),
            2 => $tile::<S, T, 2>($($argument),*),
            _ => $tile::<S, T, 1>($($argument),*),
        }
    };
}

/// Writes `out[from + r·step + c] = Σ w·x[at + tap + r·pitch + c]` for an area.
#[inline(always)]
pub(super) fn correlate<S: Isa, T: Float>(
    isa: S,
    x: &[T],
    taps: &Chains<T>,
    area: &Area,
    after: After<T>,
    out: &mut [T],
) {
    let lanes = T::V::<S>::LANES;
    let (written, read) = area.ends();
    assert!(read + taps.last + lanes <= x.len() && written <= out.len());
    let (x, out) = (x[area.at..].as_ptr(), out[area.from..].as_mut_ptr());
    area.tiles(
        lanes,
        #[inline(always)]
        |row, column, rows, m| {
            // SAFETY: rows and columns of the area, which can be read, moved by each tap, and written (asserted).
            unsafe {
                let x = x.add(row * area.pitch + column);
                let out = (out.add(row * area.step + column), area.step, m);
                by_height!(rows, tile(isa, (x, area.pitch), taps, after, out));
            }
        },
    );
}

/// R rows of a vector, m of whose lanes are written.
///
/// # Safety
/// They can be read, moved by each tap, and written.
#[inline(always)]
unsafe fn tile<S: Isa, T: Float, const R: usize>(
    isa: S,
    (x, pitch): (*const T, usize),
    taps: &Chains<T>,
    (bias, activation): After<T>,
    (out, step, m): (*mut T, usize, usize),
) {
    let mut sums = Registers::<T::V<S>, R, 1>::new(T::V::<S>::zero(isa));
    // SAFETY: the caller's promise.
    unsafe {
        for chain in &taps.threes {
            add::<S, T, 3, R>(isa, (x, pitch), chain, &mut sums);
        }
        for chain in &taps.twos {
            add::<S, T, 2, R>(isa, (x, pitch), chain, &mut sums);
        }
        for chain in &taps.ones {
            add::<S, T, 1, R>(isa, (x, pitch), chain, &mut sums);
        }
        let bias = T::V::<S>::splat(isa, bias);
        unroll!(I in 0..R (0 1 2 3 4 5 6) {
            sums.set(I, 0, sums.get(I, 0) + bias);
        });
        if activation == Activation::Relu {
            unroll!(I in 0..R (0 1 2 3 4 5 6) {
                sums.set(I, 0, activation.relu::<S, T>(isa, sums.get(I, 0)));
            });
        }
        // One branch for all rows: a branch a row would fill the window that the next tile's loads are to fit into.
        if m == T::V::<S>::LANES {
            unroll!(I in 0..R (0 1 2 3 4 5 6) {
                sums.get(I, 0).store_ptr(out.add(I * step));
            });
        } else {
            unroll!(I in 0..R (0 1 2 3 4 5 6) {
                sums.get(I, 0).store_tail_ptr(out.add(I * step), m);
            });
        }
    }
}

/// Whether what row `i` below a chain's place holds meets its tap `j` in one of so many rows.
const fn meets(i: usize, j: usize, rows: usize) -> bool {
    i >= j && i - j < rows
}

/// Adds a chain's products to R rows.
///
/// # Safety
/// R + N − 1 vectors from the chain's place on, a pitch apart, can be read.
#[inline(always)]
unsafe fn add<S: Isa, T: Float, const N: usize, const R: usize>(
    isa: S,
    (x, pitch): (*const T, usize),
    chain: &Chain<T, N>,
    sums: &mut Registers<T::V<S>, R, 1>,
) {
    let mut w = Registers::<T::V<S>, N, 1>::new(T::V::<S>::zero(isa));
    unroll!(J in 0..N (0 1 2) {
        w.set(J, 0, T::V::<S>::splat(isa, chain.w[J]));
    });
    unroll!(I in 0..(R + N - 1) (0 1 2 3 4 5 6 7 8) {
        // SAFETY: the caller's promise.
        let x = unsafe { T::V::<S>::load_ptr(isa, x.add(chain.at + I * pitch)) };
        unroll!(J in 0..N (0 1 2) {
            if const { meets(I, J, R) } {
                let row = I.wrapping_sub(J);
                sums.set(row, 0, w.get(J, 0).mul_add(x, sums.get(row, 0)));
            }
        });
    });
}

/// Adds `Σ dy[from + r·step + c]·x[at + tap + r·pitch + c]` over an area to the vector of each tap's place among `sums`.
#[inline(always)]
pub(super) fn products<S: Isa, T: Float>(
    isa: S,
    x: &[T],
    taps: &Chains<usize>,
    area: &Area,
    dy: &[T],
    sums: &mut [T],
) {
    let lanes = T::V::<S>::LANES;
    let (dy_read, read) = area.ends();
    assert!(read + taps.last + lanes <= x.len() && dy_read <= dy.len());
    assert!(taps.weights * lanes <= sums.len());
    let sums = sums.as_mut_ptr();
    let (x, dy) = (x[area.at..].as_ptr(), dy[area.from..].as_ptr());
    area.tiles(
        lanes,
        #[inline(always)]
        |row, column, rows, m| {
            // SAFETY: rows and columns of the area, which can be read from dy, and from x moved by each tap (asserted).
            unsafe {
                let x = x.add(row * area.pitch + column);
                let dy = (dy.add(row * area.step + column), area.step, m);
                by_height!(rows, weight_tile(isa, (x, area.pitch), taps, dy, sums));
            }
        },
    );
}

/// The products of R rows of a vector of dy, m of whose lanes count.
///
/// # Safety
/// They can be read from dy, and whole vectors from x moved by each tap, which has a vector of `sums`.
#[inline(always)]
unsafe fn weight_tile<S: Isa, T: Float, const R: usize>(
    isa: S,
    (x, pitch): (*const T, usize),
    taps: &Chains<usize>,
    (dy, step, m): (*const T, usize, usize),
    sums: *mut T,
) {
    let mut rows = Registers::<T::V<S>, R, 1>::new(T::V::<S>::zero(isa));
    // SAFETY: the caller's promise.
    unsafe {
        if m == T::V::<S>::LANES {
            unroll!(I in 0..R (0 1 2 3 4 5 6) {
                rows.set(I, 0, T::V::<S>::load_ptr(isa, dy.add(I * step)));
            });
        } else {
            unroll!(I in 0..R (0 1 2 3 4 5 6) {
                rows.set(I, 0, T::V::<S>::load_tail_ptr(isa, dy.add(I * step), m, T::ZERO));
            });
        }
        for chain in &taps.threes {
            multiply::<S, T, 3, R>(isa, (x, pitch), chain, &rows, sums);
        }
        for chain in &taps.twos {
            multiply::<S, T, 2, R>(isa, (x, pitch), chain, &rows, sums);
        }
        for chain in &taps.ones {
            multiply::<S, T, 1, R>(isa, (x, pitch), chain, &rows, sums);
        }
    }
}

/// Adds R rows' products with what a chain reads to its sums.
///
/// # Safety
/// R + N − 1 vectors from the chain's place on, a pitch apart, can be read, and each of its taps has a vector of `sums`.
#[inline(always)]
unsafe fn multiply<S: Isa, T: Float, const N: usize, const R: usize>(
    isa: S,
    (x, pitch): (*const T, usize),
    chain: &Chain<usize, N>,
    dy: &Registers<T::V<S>, R, 1>,
    sums: *mut T,
) {
    let lanes = T::V::<S>::LANES;
    let mut acc = Registers::<T::V<S>, N, 1>::new(T::V::<S>::zero(isa));
    unroll!(J in 0..N (0 1 2) {
        // SAFETY: each tap has a vector (asserted in `products`).
        let sum = unsafe { T::V::<S>::load_ptr(isa, sums.add(chain.w[J] * lanes)) };
        acc.set(J, 0, sum);
    });
    unroll!(I in 0..(R + N - 1) (0 1 2 3 4 5 6 7 8) {
        // SAFETY: the caller's promise.
        let x = unsafe { T::V::<S>::load_ptr(isa, x.add(chain.at + I * pitch)) };
        unroll!(J in 0..N (0 1 2) {
            if const { meets(I, J, R) } {
                acc.set(J, 0, dy.get(I.wrapping_sub(J), 0).mul_add(x, acc.get(J, 0)));
            }
        });
    });
    unroll!(J in 0..N (0 1 2) {
        // SAFETY: as above.
        unsafe { acc.get(J, 0).store_ptr(sums.add(chain.w[J] * lanes)) };
    });
}
