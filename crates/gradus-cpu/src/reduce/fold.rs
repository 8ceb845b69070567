//! Folds (sum, product, maximum, minimum) over any set of axes, in a fixed shape.
//!
//! The order of combination follows from the logical shape and the axes alone: not from strides, threads or the
//! instruction set. Blocks are folded lane by lane, blocks combined pairwise by halves (Higham, "The accuracy of
//! floating point summation", 1993: the error grows with log n). Several groups of axes are folded one after the other,
//! the innermost first.

use super::Accumulator;
use crate::parallel::{GRAIN, SharedMut, for_each_chunk, for_each_chunk_mut};
use crate::source::{BLOCK, Source};
use crate::{Element, Error, Result, View, cast};

/// What is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldOp {
    /// a + b, from 0.
    Sum,
    /// a·b, from 1.
    Prod,
    /// The larger, NaN if either is.
    Max,
    /// The smaller, NaN if either is.
    Min,
}

/// Rows combined one after the other before the tree begins.
const LEAF_ROWS: usize = 32;

/// An operand read in the accumulator's type.
pub(super) struct Reader<'a, T: Element, A: Accumulator> {
    source: Source<'a, T>,
    load: &'a Load<'a, T, A>,
    native: bool,
}

/// Converts the elements at a row-major position to the accumulator's type, perhaps as a function of them.
pub(super) type Load<'a, T, A> = dyn Fn(usize, &[T], &mut [A]) + Sync + 'a;

impl<'a, T: Element, A: Accumulator> Reader<'a, T, A> {
    /// `native` says that `load` only converts: not even that if `T` is `A`.
    pub(super) fn new(x: View<'a, T>, load: &'a Load<'a, T, A>, native: bool) -> Result<Self> {
        Ok(Self {
            source: Source::new(Some(x))?,
            load,
            native: native && T::KIND == A::KIND,
        })
    }

    fn slice(&self) -> Option<&[A]> {
        if self.native {
            self.source.as_slice().and_then(cast::same_ref)
        } else {
            None
        }
    }

    /// The elements at `position..position + n`, `n` at most [`BLOCK`].
    fn read<'b>(
        &'b self,
        position: usize,
        n: usize,
        raw: &'b mut [T; BLOCK],
        out: &'b mut [A; BLOCK],
    ) -> &'b [A] {
        let raw = self.source.read(position, &mut raw[..n]);
        if self.native
            && let Some(raw) = cast::same_ref(raw)
        {
            return raw;
        }
        (self.load)(position, raw, &mut out[..n]);
        &out[..n]
    }
}

/// Combines `leaf(lo, hi)` over `0..n` in a binary tree with leaves of `size`.
fn tree<R>(
    lo: usize,
    hi: usize,
    size: usize,
    leaf: &mut impl FnMut(usize, usize) -> R,
    combine: &impl Fn(R, R) -> R,
) -> R {
    if hi - lo <= size {
        return leaf(lo, hi);
    }
    let mid = lo + (hi - lo).div_ceil(size).div_ceil(2) * size;
    let left = tree(lo, mid, size, leaf, combine);
    combine(left, tree(mid, hi, size, leaf, combine))
}

/// The same for rows of at most [`BLOCK`] elements, in place.
fn tree_rows<A: Accumulator>(
    op: FoldOp,
    lo: usize,
    hi: usize,
    leaf: &mut impl FnMut(usize, usize, &mut [A]),
    acc: &mut [A],
) {
    if hi - lo <= LEAF_ROWS {
        return leaf(lo, hi, acc);
    }
    let mid = lo + (hi - lo).div_ceil(LEAF_ROWS).div_ceil(2) * LEAF_ROWS;
    tree_rows(op, lo, mid, leaf, acc);
    let mut right = [A::identity(op); BLOCK];
    let right = &mut right[..acc.len()];
    tree_rows(op, mid, hi, leaf, right);
    A::combine_rows(op, right, right.len(), 1, acc);
}

/// Checks the axes (in range, each once) and returns the mask of reduced dimensions.
pub(super) fn axis_mask(op: &'static str, shape: &[usize], axes: &[usize]) -> Result<Vec<bool>> {
    let mut mask = vec![false; shape.len()];
    for &axis in axes {
        match mask.get_mut(axis) {
            None => {
                return Err(Error::shape(
                    op,
                    format!("axis {axis} of a tensor of rank {}", shape.len()),
                ));
            }
            Some(true) => return Err(Error::shape(op, format!("axis {axis} appears twice"))),
            Some(slot) => *slot = true,
        }
    }
    Ok(mask)
}

/// The number of elements of the result of a reduction over the axes of `mask`.
pub(super) fn kept_len(shape: &[usize], mask: &[bool]) -> usize {
    shape
        .iter()
        .zip(mask)
        .filter(|(_, m)| !**m)
        .fold(1, |n, (&d, _)| n.saturating_mul(d))
}

/// Folds over the axes of `mask`; `y` has the shape of what is kept.
pub(super) fn fold<T: Element, A: Accumulator>(
    op: FoldOp,
    x: View<'_, T>,
    mask: &[bool],
    load: &Load<'_, T, A>,
    native: bool,
    y: &mut [A],
) -> Result<()> {
    if y.is_empty() {
        return Ok(());
    }
    if x.is_empty() {
        y.fill(A::identity(op));
        return Ok(());
    }
    // Neighbouring dimensions of one kind are one; those of size 1 are none.
    let mut groups: Vec<(usize, bool)> = Vec::new();
    for (&size, &reduced) in x.shape().iter().zip(mask).filter(|(size, _)| **size != 1) {
        match groups.last_mut() {
            Some(last) if last.1 == reduced => last.0 *= size,
            _ => groups.push((size, reduced)),
        }
    }
    if !groups.iter().any(|g| g.1) {
        groups.push((1, true)); // nothing to combine: one pass that loads
    }
    let mut passes = groups.iter().filter(|g| g.1).count();
    let mut next = |groups: &mut Vec<(usize, bool)>| {
        let at = groups.iter().rposition(|g| g.1).unwrap_or(0);
        let product = |g: &[(usize, bool)]| g.iter().map(|g| g.0).product::<usize>();
        let sizes = (
            product(&groups[..at]),
            groups[at].0,
            product(&groups[at + 1..]),
        );
        groups.remove(at);
        passes -= 1;
        (sizes, passes == 0)
    };
    let reader = Reader::new(x, load, native)?;
    let ((outer, n, inner), mut last) = next(&mut groups);
    if last {
        fold3(op, &reader, outer, n, inner, y);
        return Ok(());
    }
    let mut current = vec![A::ZERO; outer * inner];
    fold3(op, &reader, outer, n, inner, &mut current);
    while !last {
        let ((outer, n, inner), done) = next(&mut groups);
        last = done;
        let shape = [current.len()];
        let reader = Reader::new(
            View::contiguous(&current, &shape)?,
            &|_, x: &[A], y| y.copy_from_slice(x),
            true,
        )?;
        if last {
            fold3(op, &reader, outer, n, inner, y);
        } else {
            let mut out = vec![A::ZERO; outer * inner];
            fold3(op, &reader, outer, n, inner, &mut out);
            current = out;
        }
    }
    Ok(())
}

/// (outer, n, inner) → (outer, inner).
fn fold3<T: Element, A: Accumulator>(
    op: FoldOp,
    x: &Reader<'_, T, A>,
    outer: usize,
    n: usize,
    inner: usize,
    y: &mut [A],
) {
    debug_assert_eq!(y.len(), outer * inner);
    if inner > 1 {
        vertical(op, x, outer, n, inner, y);
    } else if n <= BLOCK {
        // Many short rows to a block.
        let rows = (BLOCK / n).max(1);
        for_each_chunk_mut(y, (GRAIN / n).max(1), |task, y| {
            let mut position = task * (GRAIN / n).max(1) * n;
            if let Some(x) = x.slice() {
                return A::fold_rows(op, &x[position..position + y.len() * n], n, y);
            }
            let (mut raw, mut buffer) = ([T::ZERO; BLOCK], [A::ZERO; BLOCK]);
            for y in y.chunks_mut(rows) {
                let block = x.read(position, y.len() * n, &mut raw, &mut buffer);
                A::fold_rows(op, block, n, y);
                position += y.len() * n;
            }
        });
    } else {
        // Each row in pieces of GRAIN, each piece a tree of blocks, and a tree of the pieces.
        let pieces = n.div_ceil(GRAIN);
        let mut partial = vec![A::ZERO; if pieces == 1 { 0 } else { outer * pieces }];
        let out = if pieces == 1 {
            &mut *y
        } else {
            &mut partial[..]
        };
        let per_task = (GRAIN / n).max(1);
        let piece_of = |item: usize| {
            let (row, piece) = (item / pieces, item % pieces);
            (row, piece * GRAIN, n.min((piece + 1) * GRAIN))
        };
        for_each_chunk_mut(out, per_task, |task, out| {
            if let Some(x) = x.slice() {
                for (i, out) in out.iter_mut().enumerate() {
                    let (row, lo, hi) = piece_of(task * per_task + i);
                    *out = fold_blocks(op, &x[row * n + lo..row * n + hi]);
                }
                return;
            }
            let (mut raw, mut buffer) = ([T::ZERO; BLOCK], [A::ZERO; BLOCK]);
            for (i, out) in out.iter_mut().enumerate() {
                let (row, lo, hi) = piece_of(task * per_task + i);
                let mut leaf = |lo: usize, hi: usize| {
                    let mut value = [A::ZERO];
                    let block = x.read(row * n + lo, hi - lo, &mut raw, &mut buffer);
                    A::fold_rows(op, block, hi - lo, &mut value);
                    value[0]
                };
                *out = tree(lo, hi, BLOCK, &mut leaf, &|a, b| A::combine(op, a, b));
            }
        });
        if pieces > 1 {
            for (y, partial) in y.iter_mut().zip(partial.chunks(pieces)) {
                *y = tree(0, pieces, 1, &mut |i, _| partial[i], &|a, b| {
                    A::combine(op, a, b)
                });
            }
        }
    }
}

/// The fold of at most [`GRAIN`] elements: a tree of blocks.
fn fold_blocks<A: Accumulator>(op: FoldOp, x: &[A]) -> A {
    let mut values = [A::ZERO; GRAIN / BLOCK];
    let whole = x.len() / BLOCK;
    A::fold_rows(op, &x[..whole * BLOCK], BLOCK, &mut values[..whole]);
    let rest = &x[whole * BLOCK..];
    if !rest.is_empty() {
        A::fold_rows(op, rest, rest.len(), &mut values[whole..=whole]);
    }
    let blocks = whole + usize::from(!rest.is_empty());
    tree(0, blocks, 1, &mut |i, _| values[i], &|a, b| {
        A::combine(op, a, b)
    })
}

/// (outer, n, inner) → (outer, inner) for inner > 1: whole rows are combined, lane by lane.
fn vertical<T: Element, A: Accumulator>(
    op: FoldOp,
    x: &Reader<'_, T, A>,
    outer: usize,
    n: usize,
    inner: usize,
    y: &mut [A],
) {
    // Narrow rows are taken several at once, as one row `wide` elements long, and folded together at the end.
    let group = if inner < 128 { (256 / inner).min(n) } else { 1 };
    let (rows, rest) = (n / group, n % group);
    let wide = inner * group;
    let tile = wide.min(BLOCK);
    let tiles = wide.div_ceil(tile);
    let rows_of_piece = (GRAIN / tile).max(2 * LEAF_ROWS);
    let pieces = rows.div_ceil(rows_of_piece);
    let direct = pieces == 1 && group == 1;
    let mut partial = vec![A::ZERO; if direct { 0 } else { outer * pieces * wide }];
    let out = SharedMut::new(if direct { &mut *y } else { &mut partial[..] });
    let items = outer * pieces * tiles;
    let per_task = (GRAIN / (rows.min(rows_of_piece) * tile)).max(1);
    for_each_chunk(items, per_task, |range| {
        let (mut raw, mut buffer) = ([T::ZERO; BLOCK], [A::ZERO; BLOCK]);
        for item in range {
            let (o, piece, column) = (
                item / tiles / pieces,
                item / tiles % pieces,
                item % tiles * tile,
            );
            let width = tile.min(wide - column);
            let at = (o * pieces + piece) * wide + column;
            // SAFETY: items write to different tiles.
            let acc = unsafe { out.slice(at..at + width) };
            let base = o * n * inner + column;
            let mut leaf = |lo: usize, hi: usize, acc: &mut [A]| {
                acc.fill(A::identity(op));
                if let Some(x) = x.slice() {
                    A::combine_rows(op, &x[base + lo * wide..], wide, hi - lo, acc);
                } else {
                    for row in lo..hi {
                        let block = x.read(base + row * wide, width, &mut raw, &mut buffer);
                        A::combine_rows(op, block, width, 1, acc);
                    }
                }
            };
            tree_rows(
                op,
                piece * rows_of_piece,
                rows.min((piece + 1) * rows_of_piece),
                &mut leaf,
                acc,
            );
        }
    });
    if direct {
        return;
    }
    let (mut raw, mut buffer) = ([T::ZERO; BLOCK], [A::ZERO; BLOCK]);
    for (o, (y, partial)) in y
        .chunks_mut(inner)
        .zip(partial.chunks(pieces * wide))
        .enumerate()
    {
        // Every group of every piece is a row of `inner`.
        for (column, y) in y.chunks_mut(BLOCK).enumerate() {
            let column = column * BLOCK;
            let mut leaf = |lo: usize, hi: usize, acc: &mut [A]| {
                acc.fill(A::identity(op));
                A::combine_rows(op, &partial[lo * inner + column..], inner, hi - lo, acc);
            };
            tree_rows(op, 0, pieces * group, &mut leaf, y);
            for row in n - rest..n {
                let block = x.read(
                    (o * n + row) * inner + column,
                    y.len(),
                    &mut raw,
                    &mut buffer,
                );
                A::combine_rows(op, block, y.len(), 1, y);
            }
        }
    }
}
