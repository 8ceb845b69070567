//! The five loops around the micro-kernel (Van Zee & van de Geijn, *BLIS*, 2015), cut into tasks.
//!
//! ```text
//! for jc in N by NC            a stripe of columns whose packed B is bounded
//!   for pc in K by KC          B[pc, jc] is packed: panels of NR columns
//!     for ic in M by MC        A[ic, pc] is packed: panels of MR rows, a block in L2
//!       for jr in NC by NR     a panel of B in L1
//!         for ir in MC by MR   the micro-kernel: MR × NR of C in registers, KC steps
//! ```
//!
//! The tasks are tiles of C. A tile's loop over `pc` runs inside the task, so K is never split between threads and each
//! element is summed in the same order however many there are. An operand that several tiles read is packed once, in
//! parallel, before them (in chunks of K that bound the memory); one that a single row or column of tiles reads is
//! packed by the tile itself, while its cache is warm. All sizes follow from M, N, K and the ISA alone.
//!
//! Roofline (AVX-512, f32): a register tile does 14·32·256 multiply-adds for 14·256 elements of A from L2, 8 a byte: at 32 a
//! cycle that is 4 bytes a cycle, and L2 gives 32 or more. The FMA ports are the limit as long as packing, one or two cycles an
//! element, is small beside the N/32 (for A) or M/32 (for B) cycles that an element is used for.

use std::ops::Range;

use gradus_simd::{Float, IsaName, Kernel, dispatch_on, dispatch_pairs};

use super::epilogue::{Epilogue, Scale, activate};
use super::matrix::Out;
use super::microkernel::{MacroKernel, OfPairs};
use super::pack::{Columns, Rows};
use super::tiles::{self, TileKernel};
use super::tiling::{Engine, Tiling, run_tasks};
use crate::scratch;

/// Columns of B packed at once when tiles share them, and rows of A.
const NC: usize = 4096;
const MC: usize = 4096;
/// Elements packed at once of an operand that tiles share.
const SHARED: usize = 2 << 20;
/// Multiply-adds below which a second thread does not pay.
const PARALLEL: usize = 1 << 20;

/// Runs a kernel on an ISA that is known to be available. A product asks for its ISA once: packing and micro-kernel must
/// agree on it.
pub(crate) fn on<K: Kernel>(isa: IsaName, kernel: K) -> K::Output {
    dispatch_on(isa, kernel).expect("the caller chose an available instruction set")
}

/// One product: `out = epilogue(alpha·A·B + beta·out)`.
pub(crate) struct Job<'a, T, A, B> {
    pub a: A,
    pub b: &'a B,
    pub alpha: T,
    pub beta: T,
    pub out: &'a Out<'a, T>,
    pub epilogue: &'a Epilogue<'a, T>,
    pub isa: IsaName,
    /// Called with each tile's rows and columns when they are final, and still in the cache.
    pub done: Option<&'a (dyn Fn(Range<usize>, Range<usize>) + Sync)>,
}

/// Computes the product.
pub(crate) fn blocked<T: Float, A: Rows<T>, B: Columns<T>>(job: &Job<'_, T, A, B>) {
    let (m, n, k) = (job.a.rows(), job.out.cols(), job.a.cols());
    let lines = if job.a.is_kept() { 0 } else { m } + if job.b.is_kept() { 0 } else { n };
    let engine = if tiles::pay::<T>(job.isa, (m, n, k), lines) {
        Engine::Tiles
    } else {
        Engine::Vectors
    };
    blocked_by(engine, job);
}

/// [`blocked`] by a given engine.
pub(crate) fn blocked_by<T: Float, A: Rows<T>, B: Columns<T>>(
    engine: Engine,
    job: &Job<'_, T, A, B>,
) {
    let (m, n, k) = (job.a.rows(), job.out.cols(), job.a.cols());
    if m == 0 || n == 0 {
        return;
    }
    let t = Tiling::new::<T>((engine, A::PARTS), job.isa, (m, n, k));
    let parallel = m.saturating_mul(n).saturating_mul(k) >= PARALLEL;
    let repack = if t.engine == Engine::Tiles {
        tiles::REPACK
    } else {
        1
    };
    // What is kept was packed whole; of the rest, what several tiles read is packed before them.
    let kept_a = job.a.kept(&t).and_then(|(kept, key)| {
        let pack = |to: &mut [T]| t.pack_all_a((job.isa, &job.a), parallel, (0, k), (0, m), to);
        kept.get(key, t.a_len(m, k), pack)
    });
    let kept_b = job.b.kept(&t).and_then(|(kept, key)| {
        let pack = |to: &mut [T]| t.pack_all_b((job.isa, job.b), parallel, (0, k), (0, n), to);
        kept.get(key, t.b_len(n, k), pack)
    });
    let share_a = kept_a.is_none() && n > repack * t.nt;
    let share_b = kept_b.is_none() && m > t.mt;
    // The stripes and blocks that bound shared packing, in whole tiles.
    let whole = |size: usize, tile: usize, share: bool, total: usize| {
        if share {
            size.next_multiple_of(tile).min(total)
        } else {
            total
        }
    };
    let (nc, mc) = (whole(NC, t.nt, share_b, n), whole(MC, t.mt, share_a, m));
    let chunk = if share_a || share_b {
        let widest = if share_a { mc } else { 0 }.max(if share_b { nc } else { 0 });
        (SHARED / (widest * t.kc)).max(1) * t.kc
    } else {
        k.max(1)
    };
    let a_len = if share_a {
        t.a_len(mc, chunk.min(k))
    } else {
        0
    };
    let b_len = if share_b {
        t.b_len(nc, chunk.min(k))
    } else {
        0
    };

    let mut packed_b = scratch::buffer::<T>(b_len);
    let packed_b = &mut *packed_b;
    let mut packed_a = scratch::buffer::<T>(a_len);
    let packed_a = &mut *packed_a;
    for jc in (0..n).step_by(nc) {
        let cols = nc.min(n - jc);
        for pc in (0..k.max(1)).step_by(chunk) {
            let ks = chunk.min(k - pc);
            if share_b {
                t.pack_all_b((job.isa, job.b), parallel, (pc, ks), (jc, cols), packed_b);
            }
            for ic in (0..m).step_by(mc) {
                let rows = mc.min(m - ic);
                if share_a {
                    t.pack_all_a((job.isa, &job.a), parallel, (pc, ks), (ic, rows), packed_a);
                }
                let block = Block {
                    rows: (ic, rows),
                    cols: (jc, cols),
                    ks: (pc, ks),
                    a: match &kept_a {
                        Some(kept) => Some(&kept.as_slice()[t.a_len(m, pc)..]),
                        None => share_a.then_some(&*packed_a),
                    },
                    b: match &kept_b {
                        Some(kept) => Some(&kept.as_slice()[t.b_len(n, pc)..]),
                        None => share_b.then_some(&*packed_b),
                    },
                };
                let row_tiles = rows.div_ceil(t.mt);
                run_tasks(parallel, row_tiles * cols.div_ceil(t.nt), &|i| {
                    compute_tile(job, &t, &block, i % row_tiles * t.mt, i / row_tiles * t.nt);
                });
            }
        }
    }
}

/// A block of the problem whose shared operands are packed: `(first, count)` of rows, columns and steps.
struct Block<'a, T> {
    rows: (usize, usize),
    cols: (usize, usize),
    ks: (usize, usize),
    a: Option<&'a [T]>,
    b: Option<&'a [T]>,
}

/// One tile of C: the loop over k, packing what is not packed yet.
fn compute_tile<T: Float, A: Rows<T>, B: Columns<T>>(
    job: &Job<'_, T, A, B>,
    t: &Tiling,
    block: &Block<'_, T>,
    row: usize,
    col: usize,
) {
    let (ic, all_rows) = block.rows;
    let (jc, all_cols) = block.cols;
    let (pc, ks) = block.ks;
    let (rows, cols) = (t.mt.min(all_rows - row), t.nt.min(all_cols - col));
    let k = job.a.cols();
    let kc = t.kc.min(ks);
    let (a_len, b_len) = (t.a_len(rows, kc), t.b_len(cols, kc));
    let mut own_a = scratch::buffer::<T>(if block.a.is_none() { a_len } else { 0 });
    let own_a = &mut *own_a;
    let mut own_b = scratch::buffer::<T>(if block.b.is_none() { b_len } else { 0 });
    let own_b = &mut *own_b;
    let (first_row, first_col) = (ic + row, jc + col);
    for p in (0..ks.max(1)).step_by(t.kc) {
        let k_block = t.kc.min(ks - p);
        let range = pc + p..pc + p + k_block;
        let (a_len, b_len) = (t.a_len(rows, k_block), t.b_len(cols, k_block));
        let b = if let Some(packed) = block.b {
            &packed[t.b_len(all_cols, p) + t.b_len(col, k_block)..][..b_len]
        } else {
            t.pack_b(
                job.isa,
                job.b,
                range.clone(),
                first_col..first_col + cols,
                own_b,
            );
            &own_b[..b_len]
        };
        let a = if let Some(packed) = block.a {
            &packed[t.a_len(all_rows, p) + t.a_len(row, k_block)..][..a_len]
        } else {
            t.pack_a(
                job.isa,
                &job.a,
                first_row..first_row + rows,
                range.clone(),
                own_a,
            );
            &own_a[..a_len]
        };
        if t.engine == Engine::Tiles && t.parts == 3 && !tiles::fit(a, b, k_block) {
            // Numbers that do not suit the split: this block of this tile by vectors.
            let block = Block {
                ks: (range.start, k_block),
                a: None,
                b: None,
                ..*block
            };
            compute_tile(job, &t.by_vectors::<T>(job.isa), &block, row, col);
            continue;
        }
        let beta = if range.start == 0 { job.beta } else { T::ONE };
        let last = range.end == k && !job.epilogue.is_identity();
        let scale = Scale {
            alpha: job.alpha,
            beta,
        };
        let epilogue = last.then_some(job.epilogue);
        let block = MacroKernel {
            a,
            b,
            mr: t.mr,
            k: k_block,
            rows,
            cols,
            out: job.out,
            row: first_row,
            col: first_col,
            scale,
            epilogue,
        };
        match t.engine {
            Engine::Vectors => on(job.isa, block),
            Engine::Pairs => {
                dispatch_pairs(OfPairs(block)).expect("the engine is chosen where it is");
            }
            Engine::Tiles => on(
                job.isa,
                TileKernel {
                    block,
                    parts: t.parts,
                },
            ),
        }
        if last {
            let activation = job.epilogue.activation;
            activate(
                job.isa,
                activation,
                job.out,
                (first_row, first_col),
                (rows, cols),
            );
        }
        if let (true, Some(done)) = (range.end == k, job.done) {
            done(first_row..first_row + rows, first_col..first_col + cols);
        }
    }
}
