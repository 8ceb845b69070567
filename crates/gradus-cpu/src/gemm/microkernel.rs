//! The innermost loop: a register tile of C, `MR × NV` vectors, and one rank-1 update a step.
//!
//! The idea (Goto & van de Geijn 2008, BLIS): keep a tile of C in registers; each step loads NV vectors of B and
//! broadcasts MR elements of A for MR·NV fused multiply-adds. AVX-512 has 32 registers: 14 × 2 accumulators, two of B, one
//! broadcast; that is 28 FMAs for 16 loads, so the two FMA ports are the limit, not the two load ports. AVX2 has 16
//! registers: 6 × 2. NEON, 32 registers of 4 lanes: 8 × 3.
//!
//! Heights below MR exist for every height, so a matrix of 15 rows is computed as 8 + 7 and not as 14 + 14. The order of
//! the sum over k is the same in all of them, and on every ISA: one fused multiply-add after the other.

use gradus_simd::{Float, FloatVec, Isa};

use super::epilogue::{Epilogue, Scale, finish};
use super::matrix::Out;
use crate::unroll::{Registers, unroll};
use gradus_simd::Kernel;

/// The tallest and widest register tile of any ISA, in elements: room for one on the stack.
const MAX_TILE: usize = 14 * 32;

/// The register tile of an ISA: rows, and vectors a row.
#[inline(always)]
pub(crate) const fn register_tile<S: Isa, T: Float>() -> (usize, usize) {
    match (S::REGISTERS, T::V::<S>::LANES * size_of::<T>()) {
        (32.., 64) => (14, 2),
        (32.., 16) => (8, 3),
        (_, 32) => (6, 2),
        _ => (4, 4),
    }
}

/// Where the columns of B lie: a place for each step of k, from which on `width` elements are read.
pub(crate) trait Steps<T>: Copy {
    /// # Safety
    /// Step `p` exists.
    unsafe fn at(self, p: usize, width: usize) -> *const T;
}

/// A packed panel: one step after the other.
#[derive(Clone, Copy)]
pub(crate) struct Packed<T>(*const T);

impl<T: Copy> Steps<T> for Packed<T> {
    #[inline(always)]
    unsafe fn at(self, p: usize, width: usize) -> *const T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(p * width) }
    }
}

/// Steps that lie anywhere: `steps[p]` elements after `from`.
#[derive(Clone, Copy)]
pub(crate) struct Shifted<T> {
    pub from: *const T,
    pub steps: *const usize,
}

impl<T: Copy> Steps<T> for Shifted<T> {
    #[inline(always)]
    unsafe fn at(self, p: usize, _: usize) -> *const T {
        // SAFETY: the caller's promise.
        unsafe { self.from.add(*self.steps.add(p)) }
    }
}

/// `tile (MR × NV vectors) = A·B`, or `+=` with `add`. `a` steps by MR a step. With `PAIRS` an element is the bits of two bf16, which are
/// two steps of k.
///
/// # Safety
/// For `PAIRS` the processor multiplies them. `a` holds `k·MR` elements, each of the k steps of `b` `NV·LANES`, and the tile's rows
/// (`stride` apart) are writable.
#[inline(always)]
unsafe fn outer_product<
    S: Isa,
    T: Float,
    B: Steps<T>,
    const PAIRS: bool,
    const MR: usize,
    const NV: usize,
>(
    isa: S,
    k: usize,
    mut a: *const T,
    b: B,
    tile: *mut T,
    stride: usize,
    add: bool,
) {
    let lanes = T::V::<S>::LANES;
    let mut acc = Registers::<T::V<S>, MR, NV>::new(T::V::<S>::zero(isa));
    // SAFETY: k steps of MR elements of A and NV vectors of B, as the caller promises; the tile is writable.
    unsafe {
        for p in 0..k {
            let b = b.at(p, NV * lanes);
            let mut row = Registers::<T::V<S>, 1, NV>::new(T::V::<S>::zero(isa));
            unroll!(V in 0..NV (0 1 2 3) {
                row.set(0, V, T::V::<S>::load_ptr(isa, b.add(V * lanes)));
            });
            unroll!(I in 0..MR (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
                let x = T::V::<S>::splat(isa, *a.add(I));
                unroll!(V in 0..NV (0 1 2 3) {
                    let (b, c) = (row.get(0, V), acc.get(I, V));
                    acc.set(I, V, if PAIRS { x.dot_pairs(b, c) } else { x.mul_add(b, c) });
                });
            });
            a = a.add(MR);
        }
        if add {
            unroll!(I in 0..MR (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
                unroll!(V in 0..NV (0 1 2 3) {
                    let c = T::V::<S>::load_ptr(isa, tile.add(I * stride + V * lanes));
                    acc.set(I, V, c + acc.get(I, V));
                });
            });
        }
        unroll!(I in 0..MR (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
            unroll!(V in 0..NV (0 1 2 3) {
                acc.get(I, V).store_ptr(tile.add(I * stride + V * lanes));
            });
        });
    }
}

/// [`outer_product`] for a height and a width known only now.
///
/// # Safety
/// As [`outer_product`]; the tile is at most the ISA's [`register_tile`].
#[inline(always)]
pub(crate) unsafe fn tile<S: Isa, T: Float, B: Steps<T>, const PAIRS: bool>(
    isa: S,
    (height, width): (usize, usize),
    k: usize,
    a: *const T,
    b: B,
    out: *mut T,
    stride: usize,
    add: bool,
) {
    // `const`: what is larger than the ISA's tile is not even compiled.
    macro_rules! heights {
        ($nv:literal: $($h:literal)*) => {
            match height {
                $($h if const { $h <= register_tile::<S, T>().0 } => {
                    unsafe { outer_product::<S, T, B, PAIRS, $h, $nv>(isa, k, a, b, out, stride, add) }
                })*
                _ => debug_assert!(false, "a tile of height {height}"),
            }
        };
    }
    macro_rules! widths {
        ($($w:literal)*) => {
            match width {
                $($w if const { $w <= register_tile::<S, T>().1 } => heights!($w: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),)*
                _ => debug_assert!(false, "a tile of {width} vectors"),
            }
        };
    }
    widths!(1 2 3 4);
}

/// The two inner loops of the five, over one packed block of A and one of B: `C[row.., col..] (rows × cols)`.
pub(crate) struct MacroKernel<'a, T> {
    /// Panels of `mr` rows (the last has what is left), each `k × height`.
    pub a: &'a [T],
    /// Panels of NR columns (the last is rounded up to whole vectors), each `k × width`.
    pub b: &'a [T],
    pub mr: usize,
    pub k: usize,
    pub rows: usize,
    pub cols: usize,
    pub out: &'a Out<'a, T>,
    pub row: usize,
    pub col: usize,
    pub scale: Scale<T>,
    /// Given with the last block of k.
    pub epilogue: Option<&'a Epilogue<'a, T>>,
}

#[repr(align(64))]
struct Tile<T>([T; MAX_TILE]);

impl<T: Float> Kernel for MacroKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        self.run_as::<S, false>(isa);
    }
}

/// The same of packed pairs of bf16, on a processor that multiplies them.
pub(crate) struct OfPairs<'a, T>(pub MacroKernel<'a, T>);

impl<T: Float> Kernel for OfPairs<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        self.0.run_as::<S, true>(isa);
    }
}

impl<T: Float> MacroKernel<'_, T> {
    #[inline(always)]
    fn run_as<S: Isa, const PAIRS: bool>(self, isa: S) {
        if const { PAIRS && !T::V::<S>::DOTS } {
            unreachable!("the engine is chosen only where it is");
        }
        let lanes = T::V::<S>::LANES;
        let (max_mr, nv) = register_tile::<S, T>();
        let nr = nv * lanes;
        let (k, mr) = (self.k, self.mr);
        assert!(
            mr <= max_mr
                && self.a.len() >= self.rows * k
                && self.b.len() >= self.cols.next_multiple_of(lanes) * k
        );
        assert!(self.row + self.rows <= self.out.rows() && self.col + self.cols <= self.out.cols());
        let mut scratch = Tile([T::ZERO; MAX_TILE]);
        // Straight to C: whole vectors, no scaling.
        let plain =
            self.scale.alpha == T::ONE && (self.scale.beta == T::ZERO || self.scale.beta == T::ONE);
        let accumulate = self.scale.beta == T::ONE;
        let identity = Scale {
            alpha: T::ONE,
            beta: T::ZERO,
        };
        let mut jr = 0;
        while jr < self.cols {
            let cols = nr.min(self.cols - jr);
            let width = cols.div_ceil(lanes);
            let mut ir = 0;
            while ir < self.rows {
                let rows = mr.min(self.rows - ir);
                let at = (self.row + ir, self.col + jr);
                // SAFETY: the panels lie inside a and b (asserted: all panels before have mr rows, nr columns), the tile
                // inside C (asserted), and the caller gives no other thread these rows and columns.
                unsafe {
                    let a = self.a.as_ptr().add(ir * k);
                    let b = Packed(self.b.as_ptr().add(jr * k));
                    let (index, room) = self.out.locate(at.0, at.1);
                    let c = self.out.at(index);
                    let direct = plain && room >= cols && width * lanes == cols;
                    let (to, stride, add, scale) = if direct {
                        (c, self.out.row_stride(), accumulate, &identity)
                    } else {
                        (scratch.0.as_mut_ptr(), nr, false, &self.scale)
                    };
                    tile::<S, T, _, PAIRS>(isa, (rows, width), k, a, b, to, stride, add);
                    if !direct || self.epilogue.is_some() {
                        finish(
                            isa,
                            to,
                            stride,
                            (rows, cols),
                            self.out,
                            at,
                            scale,
                            self.epilogue,
                        );
                    }
                }
                ir += mr;
            }
            jr += nr;
        }
    }
}

/// The register tile of the ISA it runs on, in elements, and its lanes: `(MR, NR, LANES)`.
pub(crate) struct RegisterTile<T>(pub std::marker::PhantomData<T>);

impl<T: Float> Kernel for RegisterTile<T> {
    type Output = (usize, usize, usize);

    #[inline(always)]
    fn run<S: Isa>(self, _: S) -> (usize, usize, usize) {
        let (mr, nv) = register_tile::<S, T>();
        (mr, nv * T::V::<S>::LANES, T::V::<S>::LANES)
    }
}
