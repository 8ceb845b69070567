//! [`Source`]: an operand of any strides, read a block at a time.
//!
//! Contiguous operands are read where they are; others are gathered into a buffer that stays in L1, so that one kernel
//! for contiguous blocks serves every layout. Large transposed operands are first copied in tiles.

use crate::copy::{copy, transposed_dim};
use crate::walk::Walk;
use crate::{Element, Result, View};

/// Elements in a staging buffer: 4 KiB of `f32`.
pub(crate) const BLOCK: usize = 1024;

/// Below this many elements a transposed operand is staged and not copied first.
const COPY_FROM: usize = 4096;

/// How an operand's blocks are had.
#[allow(clippy::large_enum_variant)] // a handful, on the stack
pub(crate) enum Source<'a, T> {
    /// A slice: blocks are parts of it.
    Slice(&'a [T]),
    /// A copy of a transposed operand.
    Copied(Vec<T>),
    /// One value.
    Scalar(T),
    /// Any strides: blocks are gathered, or read in place where a row is contiguous.
    Strided(View<'a, T>, Walk<1>),
    /// The output's own previous contents.
    Output,
}

impl<'a, T: Element> Source<'a, T> {
    pub(crate) fn new(view: Option<View<'a, T>>) -> Result<Self> {
        let Some(view) = view else {
            return Ok(Self::Output);
        };
        if let Some(slice) = view.as_slice() {
            return Ok(Self::Slice(slice));
        }
        let walk = view.walk();
        let (data, origin) = view.origin();
        Ok(if walk.is_scalar(0) {
            Self::Scalar(data[origin as usize])
        } else if view.len() >= COPY_FROM && transposed_dim(&walk).is_some() {
            let mut buffer = vec![T::ZERO; view.len()];
            copy(view, &mut buffer)?;
            Self::Copied(buffer)
        } else {
            Self::Strided(view, walk)
        })
    }

    /// The largest block that can be had at `position` (at most `n`).
    pub(crate) fn block(&self, position: usize, n: usize) -> usize {
        match self {
            Self::Slice(_) | Self::Copied(_) | Self::Output => n,
            Self::Scalar(_) => n.min(BLOCK),
            Self::Strided(_, walk) => match walk.inner(0) {
                (row, 1) if row >= 256 => n.min(row - position % row),
                _ => n.min(BLOCK),
            },
        }
    }

    /// A pointer to the elements at `position..position + n`, in `buffer` if they had to be gathered; `n` is at most
    /// what [`block`](Self::block) returned. `output` is where the output's block is.
    pub(crate) fn at(
        &self,
        position: usize,
        n: usize,
        buffer: &mut [T; BLOCK],
        output: *const T,
    ) -> *const T {
        match self {
            Self::Slice(slice) => slice[position..position + n].as_ptr(),
            Self::Copied(slice) => slice[position..position + n].as_ptr(),
            Self::Output => output,
            Self::Scalar(_) => buffer.as_ptr(), // filled by `prepare`
            Self::Strided(view, walk) => {
                if let (row, 1) = walk.inner(0)
                    && row >= 256
                {
                    let (data, origin) = view.origin();
                    let mut at = data.as_ptr();
                    walk.for_each_run(position..position + n, |_, [start], run| {
                        debug_assert_eq!(run, n);
                        at = data[(origin + start) as usize..][..run].as_ptr();
                    });
                    return at;
                }
                view.stage(walk, position, &mut buffer[..n]);
                buffer.as_ptr()
            }
        }
    }

    pub(crate) fn prepare(&self, buffer: &mut [T; BLOCK]) {
        if let Self::Scalar(value) = self {
            buffer.fill(*value);
        }
    }

    /// The elements at `position..position + buffer.len()`, in place or in `buffer`.
    pub(crate) fn read<'b>(&'b self, position: usize, buffer: &'b mut [T]) -> &'b [T] {
        let n = buffer.len();
        match self {
            Self::Slice(slice) => return &slice[position..position + n],
            Self::Copied(slice) => return &slice[position..position + n],
            Self::Scalar(value) => buffer.fill(*value),
            Self::Strided(view, walk) => view.stage(walk, position, buffer),
            Self::Output => unreachable!("only elementwise operations work in place"),
        }
        buffer
    }

    /// All elements, if they lie in one slice.
    pub(crate) fn as_slice(&self) -> Option<&[T]> {
        match self {
            Self::Slice(slice) => Some(slice),
            Self::Copied(slice) => Some(slice),
            _ => None,
        }
    }
}
