//! Products of bf16 matrices: bf16 in, sums in f32, bf16 out.
//!
//! What it is: the operands of `blocked` whose elements are bf16, and the entry that takes them. AMX tiles read them as they are; vectors that
//! multiply pairs of them (AMD's, with AVX512_BF16) read two steps of k as one element of the same register tile, at twice the speed of f32;
//! all others widen them to f32 in the packing, and so write and read no f32 matrix. Sums stay in an f32 matrix until their tile is final; then
//! the tile, still in L2, is rounded to bf16 once. For AMX and pairs, denormal numbers count as 0.
//!
//! Roofline of the tiles: 512 multiply-adds a cycle. A step of 32 k for 32 × 32 of C takes 64 cycles and loads 4 kB: 64 bytes a cycle, at
//! the limit of L2, so it is a panel of B staying in L1 that decides, and two thirds of the peak is what one can have.

use std::ops::Range;

use gradus_simd::{FloatVec, IntVec, Isa, IsaName, Kernel, multiplies_bf16};
use half::bf16;

use super::batch::{folded_stride, offsets, one, weight};
use super::blocked::{Job, blocked_by, on};
use super::kept::{Kept, Key};
use super::matrix::{MatMut, MatRef, Out};
use super::pack::{Columns, Panels, Rows, pack_panels};
use super::tiling::{Engine, Tiling};
use super::{Bias, Epilogue};
use crate::parallel::SharedMut;
use crate::scratch;
use crate::{Error, Result, View, numel};

/// Multiply-adds from which it pays.
const LEAST: usize = 32 * 1024;

/// `C[b] = act(A[b]·B[b] + bias + residual[b])` of bf16 matrices, shapes as in [`matmul`](super::matmul), if the product is worth packing;
/// says whether it was computed. Sums are f32, rounded once to bf16. Of a B that does not
/// change, what is packed is kept, if there is a place for it.
///
/// # Errors
/// If the shapes do not fit together, or `c` or the epilogue do not fit the result.
pub fn try_matmul_bf16(
    a: View<'_, bf16>,
    b: View<'_, bf16>,
    kept: Option<&Kept>,
    epilogue: &Epilogue<'_, f32>,
    c: &mut [bf16],
) -> Result<bool> {
    let (rank, shapes) = (a.rank(), (a.shape(), b.shape()));
    let fail = |what: &str| {
        let message = format!("{:?} x {:?}: {what}", shapes.0, shapes.1);
        Err(Error::shape("matmul", message))
    };
    if rank < 2 || b.rank() != rank || a.shape()[..rank - 2] != b.shape()[..rank - 2] {
        return fail("both need the same rank, 2 or more, and the same leading dimensions");
    }
    let batch = &a.shape()[..rank - 2];
    let (m, k, n) = (
        a.shape()[rank - 2],
        a.shape()[rank - 1],
        b.shape()[rank - 1],
    );
    let count = numel("matmul", batch)?;
    let size = numel("matmul", &[count, m, n])?;
    if b.shape()[rank - 2] != k || c.len() != size {
        return fail("the inner sizes differ, or the output has another size");
    }
    let bias_fits = match epilogue.bias {
        Bias::None => true,
        Bias::Row(bias) => bias.len() == m,
        Bias::Column(bias) => bias.len() == n,
    };
    if !bias_fits || epilogue.residual.is_some_and(|r| r.len() != size) {
        return fail("bias or residual do not fit the result");
    }
    let worth = m.saturating_mul(n).saturating_mul(k) >= LEAST && k >= 16;
    let isa = gradus_simd::current();
    if !worth || size == 0 {
        return Ok(false);
    }
    let foldable = (0..rank - 2).all(|d| batch[d] == 1 || b.stride(d) == 0)
        && !matches!(epilogue.bias, Bias::Row(_));
    if let (true, Some(stride)) = (foldable, folded_stride(&a)) {
        let (data, offset) = a.origin();
        let strides = (stride, a.stride(rank - 1));
        let tall = MatRef::new(data, offset as usize, (count * m, k), strides)?;
        product(isa, tall, weight(&b, kept)?, epilogue, c);
        return Ok(true);
    }
    let (first_a, first_b) = (one(&a)?, one(&b)?);
    for (i, c) in c.chunks_exact_mut(m * n).enumerate() {
        let (at_a, at_b) = offsets(&a, &b, i);
        let residual = epilogue.residual.map(|r| &r[i * m * n..(i + 1) * m * n]);
        let epilogue = Epilogue {
            residual,
            ..*epilogue
        };
        product(isa, first_a.moved(at_a), first_b.moved(at_b), &epilogue, c);
    }
    Ok(true)
}

/// One product of checked arguments; C is row-major.
fn product(
    isa: IsaName,
    a: MatRef<'_, bf16>,
    b: MatRef<'_, bf16>,
    epilogue: &Epilogue<'_, f32>,
    c: &mut [bf16],
) {
    let (rows, cols) = (a.rows(), b.cols());
    // Rows a power of two apart would all fall into one set of L1. (A residual is laid out as C is.)
    let row_stride = cols + if epilogue.residual.is_some() { 0 } else { 16 };
    let mut sums = scratch::buffer::<f32>(rows * row_stride);
    let mut matrix = MatMut {
        data: &mut sums,
        rows,
        cols,
        row_stride,
    };
    let out = Out::matrix(&mut matrix);
    let c = SharedMut::new(c);
    let done = |rows: Range<usize>, columns: Range<usize>| {
        for i in rows {
            let part = i * cols + columns.start..i * cols + columns.end;
            // SAFETY: the tiles of different tasks do not overlap, here as in the sums, which this task is done with.
            let (from, to) = unsafe {
                let (from, _) = out.locate(i, columns.start);
                (
                    std::slice::from_raw_parts(out.at(from), part.len()),
                    c.slice(part),
                )
            };
            on(isa, Narrow { from, to });
        }
    };
    let by = Product {
        isa,
        out: &out,
        epilogue,
        done: &done,
    };
    if isa == IsaName::Amx {
        by.run::<false>(Engine::Tiles, a, b);
    } else if multiplies_bf16(isa) {
        by.run::<true>(Engine::Pairs, a, b);
    } else {
        by.run::<false>(Engine::Vectors, a, b);
    }
}

/// A product but for its operands.
struct Product<'a> {
    isa: IsaName,
    out: &'a Out<'a, f32>,
    epilogue: &'a Epilogue<'a, f32>,
    done: &'a (dyn Fn(Range<usize>, Range<usize>) + Sync),
}

impl Product<'_> {
    fn run<const PAIRS: bool>(&self, engine: Engine, a: MatRef<'_, bf16>, b: MatRef<'_, bf16>) {
        let job = Job {
            a: Half::<PAIRS>(a),
            b: &Half::<PAIRS>(b),
            alpha: 1.0,
            beta: 0.0,
            out: self.out,
            epilogue: self.epilogue,
            isa: self.isa,
            done: Some(self.done),
        };
        blocked_by(engine, &job);
    }
}

/// Rounds to bf16.
struct Narrow<'a> {
    from: &'a [f32],
    to: &'a mut [bf16],
}

impl Kernel for Narrow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self { from, to } = self;
        assert!(from.len() == to.len());
        let whole = from.len() - from.len() % S::F32::LANES;
        for i in (0..whole).step_by(S::F32::LANES) {
            let x = S::F32::load(isa, &from[i..]);
            // SAFETY: as many lie from i on in both; bf16 is its 16 bits.
            unsafe { isa.store_bf16(x, to.as_mut_ptr().add(i).cast()) };
        }
        for (to, &x) in to.iter_mut().zip(from).skip(whole) {
            *to = bf16::from_f32(x);
        }
    }
}

/// A matrix of bf16 as an operand: for AMX as it is, for vectors widened to f32 when it is packed. With `PAIRS` steps of k are taken two by
/// two: K is half as long, and an element the bits of two, the earlier one below.
struct Half<'a, const PAIRS: bool>(MatRef<'a, bf16>);

impl<const PAIRS: bool> Rows<f32> for Half<'_, PAIRS> {
    const PARTS: usize = 1;

    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn cols(&self) -> usize {
        if PAIRS {
            self.0.cols().div_ceil(2)
        } else {
            self.0.cols()
        }
    }

    fn kept(&self, t: &Tiling) -> Option<(&Kept, Key)> {
        Some((self.0.keeper()?, Key::of_matrix(&self.0, true, t)))
    }

    #[inline(always)]
    fn pack<S: Isa>(
        &self,
        isa: S,
        rows: Range<usize>,
        ks: Range<usize>,
        mr: usize,
        dst: &mut [f32],
    ) {
        pack_vectors::<S, PAIRS>(isa, self.0, rows, ks, (mr, 1), dst);
    }

    fn pack_tiles(&self, rows: Range<usize>, ks: Range<usize>, dst: &mut [f32]) {
        pack(self.0, rows, ks, true, dst);
    }
}

impl<const PAIRS: bool> Columns<f32> for Half<'_, PAIRS> {
    fn kept(&self, t: &Tiling) -> Option<(&Kept, Key)> {
        Some((self.0.keeper()?, Key::of_matrix(&self.0, false, t)))
    }

    #[inline(always)]
    fn pack<S: Isa>(
        &self,
        isa: S,
        ks: Range<usize>,
        cols: Range<usize>,
        nr: usize,
        dst: &mut [f32],
    ) {
        pack_vectors::<S, PAIRS>(isa, self.0.t(), cols, ks, (nr, S::F32::LANES), dst);
    }

    fn pack_tiles(&self, _: IsaName, ks: Range<usize>, cols: Range<usize>, dst: &mut [f32]) {
        pack(self.0.t(), cols, ks, false, dst);
    }
}

/// Packs lines `lines` and steps `ks` of `m` (pairs of steps with `PAIRS`) as panels, as [`pack_panels`] does: widened to f32, or as pairs.
#[inline(always)]
fn pack_vectors<S: Isa, const PAIRS: bool>(
    isa: S,
    m: MatRef<'_, bf16>,
    lines: Range<usize>,
    ks: Range<usize>,
    (height, round): (usize, usize),
    dst: &mut [f32],
) {
    let (n, k, lanes, end) = (lines.len(), ks.len(), S::F32::LANES, m.cols());
    if n == 0 || k == 0 {
        return;
    }
    if PAIRS
        && let Some(m) = as_pairs(m)
        && ks.end <= m.cols()
    {
        return pack_panels(isa, m, lines, ks, height, round, dst);
    }
    let bits = |line: usize, step: usize| {
        if step < end {
            u32::from(m.at(line, step).to_bits())
        } else {
            0
        }
    };
    let single = |line: usize, step: usize| {
        f32::from_bits(if PAIRS {
            bits(line, 2 * step) | bits(line, 2 * step + 1) << 16
        } else {
            bits(line, step) << 16
        })
    };
    if m.row_stride() == 1 {
        // The lines of a step lie side by side: through a copy of it, which stays in L1.
        let mut copy = scratch::buffer::<f32>(n);
        let panels = Panels::new(dst, height, k, n, round);
        for (i, step) in ks.enumerate() {
            let first = if PAIRS { 2 * step } else { step };
            let from = m.ptr(lines.start, first).cast::<u16>();
            let next = from.wrapping_offset(m.col_stride());
            let whole = if PAIRS && first + 1 == end {
                0
            } else {
                n - n % lanes
            };
            for i in (0..whole).step_by(lanes) {
                // SAFETY: so many lines of the step are in m, and of the one after it; bf16 is its 16 bits.
                let mut x = unsafe { isa.load_bf16(from.add(i)) };
                if PAIRS {
                    let high = unsafe { isa.load_bf16(next.add(i)) };
                    x = S::F32::from_bits(x.to_bits().shr_logical(16) | high.to_bits());
                }
                x.store(&mut copy[i..]);
            }
            for (i, to) in copy.iter_mut().enumerate().skip(whole) {
                *to = single(lines.start + i, step);
            }
            // SAFETY: all lines of one of the k steps.
            unsafe { panels.deal(isa, i, 0, copy.as_ptr(), n, 0) };
        }
        return;
    }
    let mut copy = scratch::buffer::<f32>(n * k);
    for (line, to) in lines.zip(copy.chunks_exact_mut(k)) {
        let whole = if PAIRS || m.col_stride() != 1 {
            0
        } else {
            k - k % lanes
        };
        for i in (0..whole).step_by(lanes) {
            let from = m.ptr(line, ks.start + i).cast::<u16>();
            // SAFETY: so many steps of the line are in m.
            unsafe { isa.load_bf16(from) }.store(&mut to[i..]);
        }
        for (i, to) in to.iter_mut().enumerate().skip(whole) {
            *to = single(line, ks.start + i);
        }
    }
    let copy = MatRef::row_major(&copy, n, k).expect("made to size");
    pack_panels(isa, copy, 0..n, 0..k, height, round, dst);
}

/// The same matrix as whole pairs, if they lie side by side as an `f32` may: a last step of an odd number is left out.
fn as_pairs(m: MatRef<'_, bf16>) -> Option<MatRef<'_, f32>> {
    let (rows, pairs) = (m.rows(), m.cols() / 2);
    let stride = usize::try_from(m.row_stride()).ok()?;
    #[expect(clippy::cast_ptr_alignment, reason = "it is asked for below")]
    let from = m.ptr(0, 0).cast::<f32>();
    let fits = m.col_stride() == 1 && stride.is_multiple_of(2) && from.is_aligned() && pairs > 0;
    if !fits {
        return None;
    }
    let len = (rows - 1) * (stride / 2) + pairs;
    // SAFETY: rows of 2 · pairs bf16, `stride` apart, lie in m, and all bits are an f32.
    let data = unsafe { std::slice::from_raw_parts(from, len) };
    MatRef::new(data, 0, (rows, pairs), (stride as isize / 2, 1)).ok()
}

#[cfg(target_arch = "x86_64")]
use x86::pack;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use gradus_simd::amx::{self, Order};

    use super::*;
    use crate::gemm::tiles::{HEAD, PANEL, panel_len};

    /// Packs lines `lines` of `m` (rows of A; columns of B, transposed), steps `ks`, as panels of one part.
    pub(super) fn pack(
        m: MatRef<'_, bf16>,
        lines: Range<usize>,
        ks: Range<usize>,
        of_a: bool,
        dst: &mut [f32],
    ) {
        if lines.is_empty() || ks.is_empty() {
            return;
        }
        assert!(lines.end <= m.rows() && ks.end <= m.cols() && amx::is_available());
        let order = if of_a { Order::Lines } else { Order::Pairs };
        let (line_stride, k_stride) = (m.row_stride(), m.col_stride());
        // Neither direction is contiguous: through a copy of a tile's lines.
        let scattered = line_stride != 1 && k_stride != 1;
        let mut copy = vec![bf16::ZERO; if scattered { 16 * ks.len() } else { 0 }];
        let (size, panels) = (panel_len(1, ks.len()), lines.len().div_ceil(PANEL));
        assert!(dst.len() >= panels * size);
        for (i, panel) in dst.chunks_exact_mut(size).take(panels).enumerate() {
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
                // SAFETY: `count` lines of ks exist; the panel has room for one part of all steps.
                unsafe {
                    let to = panel.as_mut_ptr().add(HEAD).cast();
                    amx::copy(order, src.cast(), strides, (count, ks.len()), to, tile);
                }
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn pack(_: MatRef<'_, bf16>, _: Range<usize>, _: Range<usize>, _: bool, _: &mut [f32]) {
    unreachable!("no tiles")
}
