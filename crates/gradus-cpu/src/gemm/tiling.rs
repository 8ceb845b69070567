//! How a product is cut into tiles and tasks, and how its operands are packed for them.
//!
//! All sizes follow from M, N, K, the ISA and the engine alone, so that results do not depend on the number of threads.

use std::marker::PhantomData;
use std::ops::Range;

use gradus_simd::{Float, IsaName};

use super::blocked::on;
use super::microkernel::RegisterTile;
use super::pack::{Columns, PackA, PackB, Rows};
use super::tiles;
use crate::parallel::{self, SharedMut};

/// Steps of k between two visits of C: a panel of B (NR columns) fills two thirds of a 48 KiB L1.
pub(crate) const KC: usize = 256;
/// Multiply-adds that make a tile worth cutting in two.
const TASK: usize = 1 << 20;
/// Panels that one packing task takes.
const PACK_PANELS: usize = 8;

/// What computes a tile of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Fused multiply-adds of vectors: `microkernel`.
    Vectors,
    /// The same of pairs of bf16, with sums in `f32` (see `half`).
    Pairs,
    /// AMX: `tiles`.
    Tiles,
}

/// How a problem is cut. `mt × nt` is a tile of C, in whole register tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    pub engine: Engine,
    pub mr: usize,
    pub nr: usize,
    pub lanes: usize,
    pub kc: usize,
    pub mt: usize,
    pub nt: usize,
    /// How many bf16 an element is packed as, for the tiles.
    pub parts: usize,
}

impl Tiling {
    pub(super) fn new<T: Float>(
        (engine, parts): (Engine, usize),
        isa: IsaName,
        (m, n, k): (usize, usize, usize),
    ) -> Self {
        if engine == Engine::Tiles {
            // A tile's panels of A, 96 kB each, stay in L2; one part of them takes a third.
            let rows = if parts == 1 { 2 } else { 1 } * tiles::ROWS;
            let columns = if m > rows * tiles::PANEL {
                tiles::SHARED_COLUMNS
            } else {
                tiles::COLUMNS
            };
            let kc = k
                .div_ceil(k.div_ceil(tiles::KC).max(1))
                .max(1)
                .next_multiple_of(32);
            let whole = Self {
                engine: Engine::Tiles,
                mr: tiles::PANEL,
                nr: tiles::PANEL,
                lanes: tiles::PANEL,
                kc,
                mt: rows * tiles::PANEL,
                nt: columns * tiles::PANEL,
                parts,
            };
            return whole.cut(m, n, k);
        }
        let (max_mr, nr, lanes) = on(isa, RegisterTile::<T>(PhantomData));
        // As many panels as the tallest register tile asks for, all about equally high.
        let mr = m.div_ceil(m.div_ceil(max_mr).max(1)).max(1);
        let kc = k.div_ceil(k.div_ceil(KC).max(1)).max(1);
        // Panels a tile: ten of A, a quarter of a megabyte of B, so that both fit L2. With a short k, C is what is long.
        let whole = Self {
            engine,
            mr,
            nr,
            lanes,
            kc,
            mt: 10 * mr,
            nt: (65536 / kc).next_multiple_of(nr),
            parts,
        };
        whole.cut(m, n, k)
    }

    /// Tiles at most as large as these, all about equally large, and enough for a few threads, as long as each is worth a task.
    fn cut(self, m: usize, n: usize, k: usize) -> Self {
        let Self { mr, nr, .. } = self;
        let (panels, stripes) = (m.div_ceil(mr).max(1), n.div_ceil(nr).max(1));
        let (mut rows, mut cols) = (panels.min(self.mt / mr), stripes.min(self.nt / nr));
        let wanted = if self.engine == Engine::Tiles {
            tiles::TASKS
        } else {
            16
        };
        while panels.div_ceil(rows) * stripes.div_ceil(cols) < wanted
            && rows * cols > 1
            && rows * mr * cols * nr * k > TASK
        {
            if rows == 1 || cols > 1 && rows * mr < cols * nr {
                cols = cols.div_ceil(2);
            } else {
                rows = rows.div_ceil(2);
            }
        }
        let even = |total: usize, size: usize| total.div_ceil(total.div_ceil(size));
        Self {
            mt: even(panels, rows) * mr,
            nt: even(stripes, cols) * nr,
            ..self
        }
    }

    /// Tiles of the same size, computed by vectors.
    pub(super) fn by_vectors<T: Float>(self, isa: IsaName) -> Self {
        let (mr, nr, lanes) = on(isa, RegisterTile::<T>(PhantomData));
        Self {
            engine: Engine::Vectors,
            mr,
            nr,
            lanes,
            ..self
        }
    }

    /// Elements of `rows` rows of A, `ks` steps, packed.
    pub(super) fn a_len(&self, rows: usize, ks: usize) -> usize {
        match self.engine {
            Engine::Vectors | Engine::Pairs => rows * ks,
            Engine::Tiles => tiles::packed_len(self.parts, rows, ks, self.kc),
        }
    }

    /// Elements of `cols` columns of B, `ks` steps, packed.
    pub(super) fn b_len(&self, cols: usize, ks: usize) -> usize {
        match self.engine {
            Engine::Vectors | Engine::Pairs => cols.next_multiple_of(self.lanes) * ks,
            Engine::Tiles => tiles::packed_len(self.parts, cols, ks, self.kc),
        }
    }

    /// Packs rows of A.
    pub(super) fn pack_a<T: Float, A: Rows<T>>(
        &self,
        isa: IsaName,
        a: &A,
        rows: Range<usize>,
        ks: Range<usize>,
        dst: &mut [T],
    ) {
        let mr = self.mr;
        match self.engine {
            Engine::Vectors | Engine::Pairs => on(
                isa,
                PackA {
                    a,
                    rows,
                    ks,
                    mr,
                    dst,
                },
            ),
            Engine::Tiles => a.pack_tiles(rows, ks, dst),
        }
    }

    /// Packs columns of B.
    pub(super) fn pack_b<T: Float, B: Columns<T>>(
        &self,
        isa: IsaName,
        b: &B,
        ks: Range<usize>,
        cols: Range<usize>,
        dst: &mut [T],
    ) {
        let nr = self.nr;
        match self.engine {
            Engine::Vectors | Engine::Pairs => on(
                isa,
                PackB {
                    b,
                    ks,
                    cols,
                    nr,
                    dst,
                },
            ),
            Engine::Tiles => b.pack_tiles(isa, ks, cols, dst),
        }
    }

    /// Packs `A[ic.., pc..]`: for each block of KC steps, all panels of rows.
    pub(super) fn pack_all_a<T: Float, A: Rows<T>>(
        &self,
        (isa, a): (IsaName, &A),
        parallel: bool,
        (pc, ks): (usize, usize),
        (ic, rows): (usize, usize),
        packed: &mut [T],
    ) {
        let group = PACK_PANELS * self.mr;
        let groups = rows.div_ceil(group);
        let packed = SharedMut::new(packed);
        run_tasks(parallel, groups * ks.div_ceil(self.kc), &|i| {
            let (p, r) = (i / groups * self.kc, i % groups * group);
            let (kc, n) = (self.kc.min(ks - p), group.min(rows - r));
            let (before, end) = (self.a_len(rows, p), self.a_len(r + n, kc));
            // SAFETY: the parts of different blocks and groups do not overlap.
            let dst = unsafe { packed.slice(before + self.a_len(r, kc)..before + end) };
            self.pack_a(isa, a, ic + r..ic + r + n, pc + p..pc + p + kc, dst);
        });
    }

    /// Packs `B[pc.., jc..]`: for each block of KC steps, all panels of columns.
    pub(super) fn pack_all_b<T: Float, B: Columns<T>>(
        &self,
        (isa, b): (IsaName, &B),
        parallel: bool,
        (pc, ks): (usize, usize),
        (jc, cols): (usize, usize),
        packed: &mut [T],
    ) {
        let group = PACK_PANELS * self.nr;
        let groups = cols.div_ceil(group);
        let packed = SharedMut::new(packed);
        run_tasks(parallel, groups * ks.div_ceil(self.kc), &|i| {
            let (p, c) = (i / groups * self.kc, i % groups * group);
            let (kc, n) = (self.kc.min(ks - p), group.min(cols - c));
            let (before, end) = (self.b_len(cols, p), self.b_len(c + n, kc));
            // SAFETY: the parts of different blocks and groups do not overlap.
            let dst = unsafe { packed.slice(before + self.b_len(c, kc)..before + end) };
            self.pack_b(isa, b, pc + p..pc + p + kc, jc + c..jc + c + n, dst);
        });
    }
}

/// Calls `f` for each task, on several threads if the work is worth it.
pub(super) fn run_tasks(parallel: bool, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
    if parallel {
        parallel::for_each(tasks, f);
    } else {
        (0..tasks).for_each(f);
    }
}
