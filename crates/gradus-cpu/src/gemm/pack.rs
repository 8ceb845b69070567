//! Packing: from any strides to panels the micro-kernel reads front to back.
//!
//! A panel of A is `k × height`: for each k the elements of `height` rows side by side. A panel of B is `k × width`: for
//! each k, `width` columns. One is the transpose of the other, so one function packs both. Packing pays three times:
//! contiguous loads, no cache conflicts, and one place where layout is dealt with (transposes here; im2col in
//! `conv`, which is another [`Columns`]).

use std::marker::PhantomData;
use std::ops::Range;

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::blocked::on;
use super::kept::{Kept, Key};
use super::matrix::MatRef;
use super::microkernel::RegisterTile;
use super::tiles;
use super::tiling::Tiling;
use crate::scratch;

/// The left-hand operand of a product, `M × K`, as something that can be packed.
pub(crate) trait Rows<T: Float>: Sync {
    /// How many bf16 an element is packed as, here and on the right-hand side, for the AMX engine: three are an `f32`.
    const PARTS: usize = 3;
    /// M.
    fn rows(&self) -> usize;
    /// K.
    fn cols(&self) -> usize;
    /// Where what is packed of it is kept for the next time, if it is, and as what.
    fn kept(&self, _: &Tiling) -> Option<(&Kept, Key)> {
        None
    }
    /// Whether it is.
    fn is_kept(&self) -> bool {
        false
    }
    /// Packs rows `rows` and columns `ks` as panels of `mr` rows, one after the other, each `k × height`; the last has what is left.
    fn pack<S: Isa>(&self, isa: S, rows: Range<usize>, ks: Range<usize>, mr: usize, dst: &mut [T]);
    /// Packs them for the AMX engine.
    fn pack_tiles(&self, rows: Range<usize>, ks: Range<usize>, dst: &mut [T]);
}

impl<T: Float> Rows<T> for MatRef<'_, T> {
    fn rows(&self) -> usize {
        MatRef::rows(self)
    }

    fn cols(&self) -> usize {
        MatRef::cols(self)
    }

    fn kept(&self, t: &Tiling) -> Option<(&Kept, Key)> {
        Some((self.keeper()?, Key::of_matrix(self, true, t)))
    }

    fn is_kept(&self) -> bool {
        self.keeper().is_some()
    }

    #[inline(always)]
    fn pack<S: Isa>(&self, isa: S, rows: Range<usize>, ks: Range<usize>, mr: usize, dst: &mut [T]) {
        pack_panels(isa, *self, rows, ks, mr, 1, dst);
    }

    fn pack_tiles(&self, rows: Range<usize>, ks: Range<usize>, dst: &mut [T]) {
        tiles::pack(*self, rows, ks, true, dst);
    }
}

/// The right-hand operand of a product, `K × N`, as something that can be packed.
pub(crate) trait Columns<T: Float>: Sync {
    /// Where what is packed of it is kept for the next time, if it is, and as what.
    fn kept(&self, _: &Tiling) -> Option<(&Kept, Key)> {
        None
    }
    /// Whether it is.
    fn is_kept(&self) -> bool {
        false
    }

    /// Packs rows `ks` and columns `cols` as panels of `nr` columns, one after the other, each `k × width`; the last is as
    /// wide as what is left, rounded up to whole vectors with zeros. Nothing past that is written.
    fn pack<S: Isa>(&self, isa: S, ks: Range<usize>, cols: Range<usize>, nr: usize, dst: &mut [T]);

    /// Packs rows `ks` and columns `cols` for the AMX engine, through the panels of [`Columns::pack`] if there is no shorter way.
    fn pack_tiles(&self, isa: IsaName, ks: Range<usize>, cols: Range<usize>, dst: &mut [T])
    where
        Self: Sized,
    {
        let nr = tiles::PANEL;
        let mut panel = scratch::buffer::<T>(nr * ks.len());
        let size = tiles::packed_len(3, 1, ks.len(), ks.len().max(1));
        for (i, dst) in dst
            .chunks_exact_mut(size)
            .take(cols.len().div_ceil(nr))
            .enumerate()
        {
            let first = cols.start + i * nr;
            let cols = first..cols.end.min(first + nr);
            let width = if cols.len() == nr {
                nr
            } else {
                on(isa, RegisterTile::<T>(PhantomData)).2
            };
            let width = cols.len().next_multiple_of(width);
            let pack = PackB {
                b: self,
                ks: ks.clone(),
                cols: cols.clone(),
                nr,
                dst: &mut panel,
            };
            on(isa, pack);
            let lines = MatRef::new(&panel, 0, (cols.len(), ks.len()), (1, width as isize));
            let lines = lines.expect("the panel was made so large");
            tiles::pack(lines, 0..cols.len(), 0..ks.len(), false, dst);
        }
    }
}

impl<T: Float> Columns<T> for MatRef<'_, T> {
    fn kept(&self, t: &Tiling) -> Option<(&Kept, Key)> {
        Some((self.keeper()?, Key::of_matrix(self, false, t)))
    }

    fn is_kept(&self) -> bool {
        self.keeper().is_some()
    }

    #[inline(always)]
    fn pack<S: Isa>(&self, isa: S, ks: Range<usize>, cols: Range<usize>, nr: usize, dst: &mut [T]) {
        pack_panels(isa, self.t(), cols, ks, nr, T::V::<S>::LANES, dst);
    }

    fn pack_tiles(&self, _: IsaName, ks: Range<usize>, cols: Range<usize>, dst: &mut [T]) {
        tiles::pack(self.t(), cols, ks, false, dst);
    }
}

/// Packs `m[rows, ks]` as panels of `height` rows; the last has what is left rounded up to a multiple of `round`.
#[inline(always)]
pub(crate) fn pack_panels<S: Isa, T: Float>(
    isa: S,
    m: MatRef<'_, T>,
    rows: Range<usize>,
    ks: Range<usize>,
    height: usize,
    round: usize,
    dst: &mut [T],
) {
    if rows.is_empty() || ks.is_empty() {
        return;
    }
    let k = ks.len();
    assert!(
        rows.end <= m.rows()
            && ks.end <= m.cols()
            && dst.len() >= rows.len().next_multiple_of(round) * k
    );
    let (row_stride, k_stride) = (m.row_stride(), m.col_stride());
    if row_stride == 1 {
        let panels = Panels::new(dst, height, k, rows.len(), round);
        for p in 0..k {
            // SAFETY: elements (rows, ks) of m exist, side by side, and so does each step of the panels.
            unsafe {
                let from = m.ptr(rows.start, ks.start + p);
                panels.deal(isa, p, 0, from, rows.len(), k_stride);
            }
        }
        return;
    }
    let mut first = rows.start;
    let mut panel = dst.as_mut_ptr();
    while first < rows.end {
        let n = height.min(rows.end - first);
        let padded = if n == height {
            n
        } else {
            n.next_multiple_of(round)
        };
        let src = m.ptr(first, ks.start);
        // SAFETY: elements (first.., ks) of m exist; the panel's k × padded elements lie inside dst, as asserted.
        unsafe {
            let tiled = turn_tiles(isa, m, (first, ks.start), (n, k), (panel, padded));
            turn(src, (row_stride, k_stride), (n, tiled..k), (panel, padded));
            for p in 0..k {
                for i in n..padded {
                    *panel.add(p * padded + i) = T::ZERO;
                }
            }
            panel = panel.add(padded * k);
        }
        first += n;
    }
}

/// Panels that are packed a step at a time, where the lines of a step lie side by side: it is read from left to right through all of them, so
/// that cache lines come in their order, and those of a later step are asked for.
#[derive(Clone, Copy)]
pub(crate) struct Panels<T> {
    to: *mut T,
    height: usize,
    steps: usize,
    lines: usize,
    round: usize,
}

/// Steps ahead that are asked for.
const AHEAD: isize = 2;

impl<T: Float> Panels<T> {
    /// As [`pack_panels`] lays them out in `dst`.
    ///
    /// # Panics
    /// If it is too short.
    pub fn new(dst: &mut [T], height: usize, steps: usize, lines: usize, round: usize) -> Self {
        assert!(dst.len() >= lines.next_multiple_of(round) * steps);
        Self {
            to: dst.as_mut_ptr(),
            height,
            steps,
            lines,
            round,
        }
    }

    /// Writes lines `first..first + n` of a step, and with the last of all the zeros after it; before that, up to a vector past them. The
    /// next step lies `stride` elements further on.
    ///
    /// # Safety
    /// There are these lines and this step, and `n` elements to read.
    #[inline(always)]
    pub unsafe fn deal<S: Isa>(
        self,
        isa: S,
        step: usize,
        first: usize,
        from: *const T,
        n: usize,
        stride: isize,
    ) {
        let end = first + n;
        let mut panel = if first == 0 {
            0
        } else {
            first / self.height * self.height
        };
        let mut line = first;
        // Steps that follow one another in memory need no asking for.
        let apart = stride.unsigned_abs() > n;
        while line < end {
            let left = self.lines - panel;
            let width = if left >= self.height {
                self.height
            } else {
                left.next_multiple_of(self.round)
            };
            let next = end.min(panel + self.height);
            let (count, done) = (next - line, line - first);
            let soon = from.wrapping_offset(AHEAD * stride + done as isize);
            if apart {
                for i in (0..count).step_by(64 / size_of::<T>()) {
                    isa.prefetch(soon.wrapping_add(i));
                }
            }
            // SAFETY: the caller's promise; the panel's step is `width` elements wide.
            unsafe {
                let to = self.to.add(panel * self.steps + step * width);
                let (within, room) = (to.add(line - panel), width - (line - panel));
                copy(isa, from.add(done), n - done, within, count, room);
                if next == self.lines {
                    for i in next - panel..width {
                        *to.add(i) = T::ZERO;
                    }
                }
            }
            (panel, line) = (panel + self.height, next);
        }
    }
}

/// Copies `n` elements; up to a vector past them while both rooms last.
///
/// # Safety
/// `from` is readable for `readable >= n` elements, `to` writable for `room >= n`.
#[inline(always)]
pub(crate) unsafe fn copy<S: Isa, T: Float>(
    isa: S,
    from: *const T,
    readable: usize,
    to: *mut T,
    n: usize,
    room: usize,
) {
    let lanes = T::V::<S>::LANES;
    let whole = readable.min(room);
    let mut i = 0;
    while i < n {
        // SAFETY: inside both rooms, or just n.
        unsafe {
            if i + lanes <= whole {
                T::V::<S>::load_ptr(isa, from.add(i)).store_ptr(to.add(i));
            } else {
                let left = lanes.min(n - i);
                T::V::<S>::load_tail_ptr(isa, from.add(i), left, T::ZERO)
                    .store_tail_ptr(to.add(i), left);
            }
        }
        i += lanes;
    }
}

/// The largest tile of any ISA, whole.
const MAX_TILE: usize = 16 * 16;

/// `to[p·padded + i] = m[first + i, k + p]` for i below `n`, by tiles turned over in registers, as far as those go: for p below the
/// number it returns, 0 where tiles do not serve. Rows that a tile has too many are read if `m` has them, and dropped.
///
/// # Safety
/// Rows from `first` on, `n` of them, and `ks` columns from `k` on are in `m`; `to` is writable for `ks × padded`.
#[inline(always)]
unsafe fn turn_tiles<S: Isa, T: Float>(
    isa: S,
    m: MatRef<'_, T>,
    (first, k): (usize, usize),
    (n, ks): (usize, usize),
    (to, padded): (*mut T, usize),
) -> usize {
    let tile = S::TILE;
    let there = first + n.next_multiple_of(tile) <= m.rows() || n.is_multiple_of(tile);
    if size_of::<T>() != 4 || m.col_stride() != 1 || m.row_stride() < 0 || !there {
        return 0;
    }
    let step = m.row_stride() as usize;
    let whole = ks - ks % tile;
    let mut room = [T::ZERO; MAX_TILE];
    for p in (0..whole).step_by(tile) {
        for i in (0..n).step_by(tile) {
            let from = m.ptr(first + i, k + p).cast::<f32>();
            // SAFETY: `tile` rows and columns are there; those of `to` are, too, or else `room` is as large as a tile. T is as large as f32.
            unsafe {
                let to = to.add(p * padded + i);
                if i + tile <= n {
                    isa.transpose_tile(from, step, to.cast(), padded, false);
                    continue;
                }
                isa.transpose_tile(from, step, room.as_mut_ptr().cast(), tile, false);
                for q in 0..tile {
                    for j in (0..n - i).step_by(T::V::<S>::LANES) {
                        let from = room.as_ptr().add(q * tile + j);
                        T::V::<S>::load_tail_ptr(isa, from, n - i - j, T::ZERO)
                            .store_tail_ptr(to.add(q * padded + j), n - i - j);
                    }
                }
            }
        }
    }
    whole
}

/// `to[p·padded + i] = from[i, p]` for i below `n` and the `ks` given, eight steps of k at a time: the lines read stay in L1 until they
/// are used up.
///
/// # Safety
/// Those elements can be read and written.
#[inline(always)]
unsafe fn turn<T: Float>(
    from: *const T,
    (row_stride, k_stride): (isize, isize),
    (n, ks): (usize, Range<usize>),
    (to, padded): (*mut T, usize),
) {
    let mut p = ks.start;
    while p < ks.end {
        let steps = 8.min(ks.end - p);
        for i in 0..n {
            // SAFETY: the caller's promise.
            unsafe {
                let from = from.offset(i as isize * row_stride + p as isize * k_stride);
                let to = to.add(p * padded + i);
                if steps == 8 {
                    for q in 0..8 {
                        *to.add(q * padded) = *from.offset(q as isize * k_stride);
                    }
                } else {
                    for q in 0..steps {
                        *to.add(q * padded) = *from.offset(q as isize * k_stride);
                    }
                }
            }
        }
        p += steps;
    }
}

/// [`Rows::pack`] for a block of A.
pub(crate) struct PackA<'a, T, A> {
    pub a: &'a A,
    pub rows: Range<usize>,
    pub ks: Range<usize>,
    pub mr: usize,
    pub dst: &'a mut [T],
}

impl<T: Float, A: Rows<T>> Kernel for PackA<'_, T, A> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        self.a.pack(isa, self.rows, self.ks, self.mr, self.dst);
    }
}

/// [`Columns::pack`] for a block of B.
pub(crate) struct PackB<'a, T, B> {
    pub b: &'a B,
    pub ks: Range<usize>,
    pub cols: Range<usize>,
    pub nr: usize,
    pub dst: &'a mut [T],
}

impl<T: Float, B: Columns<T>> Kernel for PackB<'_, T, B> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        self.b.pack(isa, self.ks, self.cols, self.nr, self.dst);
    }
}
