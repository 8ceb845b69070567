//! The AMX engine: `f32` products from split bf16 tiles, in the same loops as the vectors' (`blocked`).
//!
//! What it is: which products take it, how its panels are packed and stored, and the two inner loops over them. `gradus_simd::amx`
//! has the instructions, the split and the reason why its error is below that of fused multiply-adds; the table of
//! `tests/split.rs` is the evidence. What it is not: another GEMM. Tasks, blocks of K and epilogue are `blocked`'s, and a block whose
//! numbers do not suit the split (not finite, huge, or rows of tiny ones) is computed by vectors, alone.
//!
//! Roofline: six products of 8192 multiply-adds in 16 cycles each are 85 `f32` multiply-adds a cycle, against 32 of the FMA
//! ports. A step of 32 k for 32 × 32 of C takes 384 cycles and loads 12 kB, once, from L2: 32 bytes a cycle of the 50 there are.
//! A packed element costs about two cycles, most of them for six bytes written past L2, so the tiles pay from some
//! seventy rows and columns on; by the rate that the choice counts on (`RATE`), from two hundred.

use std::any::TypeId;
use std::ops::Range;

use gradus_simd::{Float, Isa, IsaName, Kernel, multiply_adds};

use super::epilogue::Scale;
use super::matrix::MatRef;
use super::microkernel::MacroKernel;

/// Rows of A and columns of B in a panel.
pub(crate) const PANEL: usize = 32;
/// Steps of k between two visits of C: the small products of a block are summed before the large ones.
pub(crate) const KC: usize = 512;
/// Panels of A and of B in a tile of C. Where B is packed beforehand and only streams by, a tile is wider.
pub(crate) const ROWS: usize = 8;
pub(crate) const COLUMNS: usize = 8;
pub(crate) const SHARED_COLUMNS: usize = 32;
/// Tiles in a row that rather pack A themselves, each anew, than have it written to L3 and read back: a packed element is six bytes.
pub(crate) const REPACK: usize = 2;
/// Tiles that are enough for a few threads.
pub(crate) const TASKS: usize = 8;

/// Elements that a panel of `ks` steps takes: so many halves each, and a line for its exponents.
pub(crate) const fn panel_len(parts: usize, ks: usize) -> usize {
    ks.next_multiple_of(32) / 2 * parts * PANEL + HEAD
}

/// Elements before a panel that hold its exponents.
pub(crate) const HEAD: usize = 16;

/// Elements that `lines` rows or columns of `ks` steps take, in blocks of `kc` steps.
pub(crate) fn packed_len(parts: usize, lines: usize, ks: usize, kc: usize) -> usize {
    let tail = if ks.is_multiple_of(kc) {
        0
    } else {
        panel_len(parts, ks % kc)
    };
    lines.div_ceil(PANEL) * (ks / kc * panel_len(parts, kc) + tail)
}

/// Multiply-adds a cycle that the choice between tiles and vectors counts on. Alone on its core the engine does 70 of them and more, but a
/// neighbour on the same core takes half of it: where the two ways would be close, vectors are the safer one.
pub(crate) const RATE: f64 = 45.0;

/// The same of vectors: what loops and loads leave of the processor's.
pub(crate) fn vectors_rate() -> f64 {
    multiply_adds() * 0.85
}

/// Cycles that a product (M, N, K) takes: computing, and packing `lines` rows and columns.
pub(crate) fn vectors_cost((m, n, k): (usize, usize, usize), lines: usize) -> f64 {
    products(m, n, k) / vectors_rate() + 0.7 * lines as f64 * k as f64
}

/// Cycles that it takes by tiles; `None` where there are none.
pub(crate) fn cost<T: Float>(
    isa: IsaName,
    (m, n, k): (usize, usize, usize),
    lines: usize,
) -> Option<f64> {
    if isa != IsaName::Amx || TypeId::of::<T>() != TypeId::of::<f32>() {
        return None;
    }
    let (mp, np, kp) = (
        m.next_multiple_of(16),
        n.next_multiple_of(16),
        k.next_multiple_of(32),
    );
    let packed = lines as f64 * k as f64;
    Some(products(mp, np, kp) / RATE + 2.2 * packed + 0.15 * (mp * np) as f64)
}

fn products(m: usize, n: usize, k: usize) -> f64 {
    m as f64 * n as f64 * k as f64
}

/// Whether tiles compute this product faster than vectors.
pub(crate) fn pay<T: Float>(isa: IsaName, size: (usize, usize, usize), lines: usize) -> bool {
    cost::<T>(isa, size, lines).is_some_and(|cost| cost < vectors_cost(size, lines))
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{TileKernel, as_f32, exponents, fit, is_served, of_f32, pack};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use gradus_simd::FloatVec;
    use gradus_simd::amx::{self, Exponents, Order, Tiles};

    use super::*;
    use crate::gemm::epilogue::finish;
    use crate::scratch;

    /// Packs lines `lines` of `m` (rows of A; columns of B, transposed), steps `ks`, as panels split in three.
    ///
    /// # Panics
    /// If there are no such lines or steps, or `dst` is too short. `T` is `f32`: [`pay`] said so.
    pub(crate) fn pack<T: Float>(
        m: MatRef<'_, T>,
        lines: Range<usize>,
        ks: Range<usize>,
        of_a: bool,
        dst: &mut [T],
    ) {
        if lines.is_empty() || ks.is_empty() {
            return;
        }
        assert!(TypeId::of::<T>() == TypeId::of::<f32>() && amx::is_available());
        assert!(lines.end <= m.rows() && ks.end <= m.cols());
        let order = if of_a { Order::Lines } else { Order::Pairs };
        let (line_stride, k_stride) = (m.row_stride(), m.col_stride());
        // Neither direction is contiguous: through a copy of a tile's lines.
        let scattered = line_stride != 1 && k_stride != 1;
        let mut copy = scratch::buffer::<T>(if scattered { 16 * ks.len() } else { 0 });
        let size = panel_len(3, ks.len());
        assert!(dst.len() >= lines.len().div_ceil(PANEL) * size);
        for (i, panel) in dst
            .chunks_exact_mut(size)
            .take(lines.len().div_ceil(PANEL))
            .enumerate()
        {
            let mut exponents = Exponents::NONE;
            for tile in 0..2 {
                let first = lines.start + i * PANEL + tile * 16;
                let count = lines.end.saturating_sub(first).min(16);
                if count == 0 {
                    break; // never read
                }
                let (src, strides) = if scattered {
                    for l in 0..count {
                        for (to, p) in copy[l * ks.len()..].iter_mut().zip(ks.clone()) {
                            *to = m.at(first + l, p);
                        }
                    }
                    (copy.as_ptr(), (ks.len() as isize, 1))
                } else {
                    (m.ptr(first, ks.start), (line_stride, k_stride))
                };
                // SAFETY: T is f32; `count` lines of ks exist; the panel has room for the parts of all steps.
                exponents = exponents.and(unsafe {
                    let to = panel.as_mut_ptr().add(HEAD).cast();
                    amx::split(order, src.cast(), strides, (count, ks.len()), to, tile)
                });
            }
            set_exponents(panel, exponents);
        }
    }

    /// The exponents are kept as the bits of the first two elements.
    fn set_exponents<T: Float>(panel: &mut [T], exponents: Exponents) {
        let to = panel.as_mut_ptr().cast::<u32>();
        assert!(panel.len() >= 2);
        // SAFETY: T is f32, as large as u32; there are two.
        unsafe {
            to.write(exponents.smallest);
            to.add(1).write(exponents.largest);
        }
    }

    /// The exponents of a packed panel.
    pub(crate) fn exponents<T: Float>(panel: &[T]) -> Exponents {
        let panel = as_f32(panel);
        Exponents {
            smallest: panel[0].to_bits(),
            largest: panel[1].to_bits(),
        }
    }

    fn exponents_of_all<T: Float>(panels: &[T], size: usize) -> Exponents {
        let all = panels.chunks_exact(size).map(exponents);
        all.fold(Exponents::NONE, Exponents::and)
    }

    /// A slice of `T`, which is `f32`, as such.
    ///
    /// # Panics
    /// If it is another type.
    pub(crate) fn as_f32<T: Float>(x: &[T]) -> &[f32] {
        assert!(TypeId::of::<T>() == TypeId::of::<f32>());
        // SAFETY: the same type.
        unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
    }

    /// And back.
    ///
    /// # Panics
    /// As [`as_f32`].
    pub(crate) fn of_f32<T: Float>(x: &[f32]) -> &[T] {
        assert!(TypeId::of::<T>() == TypeId::of::<f32>());
        // SAFETY: the same type.
        unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
    }

    /// Whether the split product of these packed panels is an `f32` product.
    pub(crate) fn fit<T: Float>(a: &[T], b: &[T], ks: usize) -> bool {
        let size = panel_len(3, ks);
        exponents_of_all(a, size).fit(exponents_of_all(b, size))
    }

    /// Whether tiles go with vectors of this kind: 16 lanes has only `f32` on AVX-512. For the others nothing is compiled.
    pub(crate) const fn is_served<S: Isa, T: Float>() -> bool {
        T::V::<S>::LANES == 16
    }

    /// A block as the micro-kernel's, of panels that are packed for tiles.
    pub(crate) struct TileKernel<'a, T> {
        pub block: MacroKernel<'a, T>,
        /// Of an element: 1 or 3.
        pub parts: usize,
    }

    #[repr(align(64))]
    struct Tile<T>([T; PANEL * PANEL]);

    impl<T: Float> Kernel for TileKernel<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run<S: Isa>(self, isa: S) {
            if const { !is_served::<S, T>() } {
                unreachable!("`cost` takes tiles for no other");
            }
            let Self { block, parts } = self;
            let size = panel_len(parts, block.k);
            let tiles = Tiles::new().expect("`pay` found them");
            assert!(TypeId::of::<T>() == TypeId::of::<f32>());
            assert!(
                block.a.len() >= block.rows.div_ceil(PANEL) * size
                    && block.b.len() >= block.cols.div_ceil(PANEL) * size
            );
            assert!(
                block.row + block.rows <= block.out.rows()
                    && block.col + block.cols <= block.out.cols()
            );
            let mut tile = Tile([T::ZERO; PANEL * PANEL]);
            let lanes = T::V::<S>::LANES;
            let Scale { alpha, beta } = block.scale;
            let plain =
                block.epilogue.is_none() && alpha == T::ONE && (beta == T::ZERO || beta == T::ONE);
            let steps = block.k.div_ceil(32);
            for (j, b) in block.b.chunks_exact(size).enumerate() {
                let jr = j * PANEL;
                let cols = PANEL.min(block.cols - jr);
                for (i, a) in block.a.chunks_exact(size).enumerate() {
                    let ir = i * PANEL;
                    let rows = PANEL.min(block.rows - ir);
                    let at = (block.row + ir, block.col + jr);
                    let (index, room) = block.out.locate(at.0, at.1);
                    let whole = plain && cols == PANEL && room >= PANEL;
                    // A whole tile that is not added to goes straight to C, if there is little else to do.
                    let direct = whole && parts == 1 && beta == T::ZERO && rows == PANEL;
                    let (to, stride) = if direct {
                        (block.out.at(index), block.out.row_stride())
                    } else {
                        (tile.0.as_mut_ptr(), PANEL)
                    };
                    // SAFETY: the panels were packed for k steps; the tile is 32 × 32; this part of C is inside (asserted) and
                    // given to no other thread.
                    unsafe {
                        let (a, b) = (a.as_ptr().add(HEAD), b.as_ptr().add(HEAD));
                        // This panel of B is used once for each of A; meanwhile the next one comes nearer.
                        let soon = b
                            .cast::<u8>()
                            .wrapping_add(size * 4 + i * steps * 256 * parts);
                        let (a, b, c) = (a.cast(), b.cast(), (to.cast(), stride));
                        if parts == 3 {
                            tiles.split_product(steps, a, b, c, (rows, cols), soon);
                        } else {
                            tiles.product(steps, a, b, c, (rows, cols), soon);
                        }
                        if direct {
                            continue;
                        }
                        if whole {
                            for r in 0..rows {
                                let c = block.out.at(index + r * block.out.row_stride());
                                for v in (0..PANEL).step_by(lanes) {
                                    let mut y = T::V::<S>::load_ptr(isa, to.add(r * PANEL + v));
                                    if beta == T::ONE {
                                        y = T::V::<S>::load_ptr(isa, c.add(v)) + y;
                                    }
                                    y.store_ptr(c.add(v));
                                }
                            }
                            continue;
                        }
                        let (size, scale) = ((rows, cols), &block.scale);
                        finish(isa, to, PANEL, size, block.out, at, scale, block.epilogue);
                    }
                }
            }
        }
    }
}

/// Where there are no tiles: [`pay`] says so, and none of this is reached.
#[cfg(not(target_arch = "x86_64"))]
mod none {
    use super::*;

    pub(crate) fn pack<T: Float>(
        _: MatRef<'_, T>,
        _: Range<usize>,
        _: Range<usize>,
        _: bool,
        _: &mut [T],
    ) {
        unreachable!("no tiles")
    }

    pub(crate) fn fit<T: Float>(_: &[T], _: &[T], _: usize) -> bool {
        false
    }

    #[allow(dead_code)] // what is given is what tiles would need
    pub(crate) struct TileKernel<'a, T> {
        pub block: MacroKernel<'a, T>,
        /// Of an element: 1 or 3.
        pub parts: usize,
    }

    impl<T: Float> Kernel for TileKernel<'_, T> {
        type Output = ();
        fn run<S: Isa>(self, _: S) {
            unreachable!("no tiles")
        }
    }
}
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use none::{TileKernel, fit, pack};
