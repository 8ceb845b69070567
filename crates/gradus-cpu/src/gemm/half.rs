//! Products of bf16 matrices on AMX tiles: bf16 in, sums in f32, bf16 out.
//!
//! What it is: the operands of `blocked` whose elements are packed as one bf16 and not three, and the entry that takes them. Sums
//! stay in an f32 matrix until their tile is final; then the tile, still in L2, is rounded to bf16 once. What it is not: a way for
//! other processors; they convert to f32, as the caller does when this file declines. Denormal numbers count as 0 here.
//!
//! Roofline: 512 multiply-adds a cycle. A step of 32 k for 32 × 32 of C takes 64 cycles and loads 4 kB: 64 bytes a cycle, at
//! the limit of L2, so it is a panel of B staying in L1 that decides, and two thirds of the peak is what one can have.

use std::ops::Range;

use gradus_simd::{Isa, IsaName};
use half::bf16;

use super::batch::{folded_stride, offsets, one, weight};
use super::blocked::{Job, blocked_by};
use super::kept::{Kept, Key};
use super::matrix::{MatMut, MatRef, Out};
use super::pack::{Columns, Rows};
use super::tiling::{Engine, Tiling};
use super::{Bias, Epilogue};
use crate::parallel::SharedMut;
use crate::scratch;
use crate::{Error, Result, View, numel};

/// Multiply-adds from which the tiles pay.
const LEAST: usize = 32 * 1024;

/// `C[b] = act(A[b]·B[b] + bias + residual[b])` of bf16 matrices, shapes as in [`matmul`](super::matmul), if the current instruction
/// set has AMX tiles and the product is worth them; says whether it was computed. Sums are f32, rounded once to bf16. Of a B that does not
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
    if gradus_simd::current() != IsaName::Amx || !worth || size == 0 {
        return Ok(false);
    }
    let foldable = (0..rank - 2).all(|d| batch[d] == 1 || b.stride(d) == 0)
        && !matches!(epilogue.bias, Bias::Row(_));
    if let (true, Some(stride)) = (foldable, folded_stride(&a)) {
        let (data, offset) = a.origin();
        let strides = (stride, a.stride(rank - 1));
        let tall = MatRef::new(data, offset as usize, (count * m, k), strides)?;
        product(tall, weight(&b, kept)?, epilogue, c);
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
        product(first_a.moved(at_a), first_b.moved(at_b), &epilogue, c);
    }
    Ok(true)
}

/// One product of checked arguments; C is row-major.
fn product(a: MatRef<'_, bf16>, b: MatRef<'_, bf16>, epilogue: &Epilogue<'_, f32>, c: &mut [bf16]) {
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
            narrow(from, to);
        }
    };
    blocked_by(
        Engine::Tiles,
        &Job {
            a: Half(a),
            b: &Half(b),
            alpha: 1.0,
            beta: 0.0,
            out: &out,
            epilogue,
            isa: IsaName::Amx,
            done: Some(&done),
        },
    );
}

/// A matrix of bf16 as an operand.
struct Half<'a>(MatRef<'a, bf16>);

impl Rows<f32> for Half<'_> {
    const PARTS: usize = 1;

    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn kept(&self, t: &Tiling) -> Option<(&Kept, Key)> {
        Some((self.0.keeper()?, Key::of_matrix(&self.0, true, t)))
    }

    #[inline(always)]
    fn pack<S: Isa>(&self, _: S, _: Range<usize>, _: Range<usize>, _: usize, _: &mut [f32]) {
        unreachable!("bf16 products are the tiles' alone")
    }

    fn pack_tiles(&self, rows: Range<usize>, ks: Range<usize>, dst: &mut [f32]) {
        pack(self.0, rows, ks, true, dst);
    }
}

impl Columns<f32> for Half<'_> {
    fn kept(&self, t: &Tiling) -> Option<(&Kept, Key)> {
        Some((self.0.keeper()?, Key::of_matrix(&self.0, false, t)))
    }

    #[inline(always)]
    fn pack<S: Isa>(&self, _: S, _: Range<usize>, _: Range<usize>, _: usize, _: &mut [f32]) {
        unreachable!("bf16 products are the tiles' alone")
    }

    fn pack_tiles(&self, _: IsaName, ks: Range<usize>, cols: Range<usize>, dst: &mut [f32]) {
        pack(self.0.t(), cols, ks, false, dst);
    }
}

#[cfg(target_arch = "x86_64")]
use x86::{narrow, pack};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use gradus_simd::amx::{self, Order};

    use super::*;
    use crate::gemm::tiles::{HEAD, PANEL, panel_len};

    /// Rounds to bf16.
    pub(super) fn narrow(from: &[f32], to: &mut [bf16]) {
        assert!(from.len() == to.len() && amx::is_available());
        // SAFETY: as many elements in both; bf16 is its 16 bits.
        unsafe { amx::narrow(from.as_ptr(), to.as_mut_ptr().cast(), from.len()) };
    }

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
fn narrow(_: &[f32], _: &mut [bf16]) {
    unreachable!("no tiles")
}

#[cfg(not(target_arch = "x86_64"))]
fn pack(_: MatRef<'_, bf16>, _: Range<usize>, _: Range<usize>, _: bool, _: &mut [f32]) {
    unreachable!("no tiles")
}
