//! Merging pairs: the loop at the heart of byte-pair encoding.
//!
//! A piece starts as single bytes (or characters); the pair of neighbours with the lowest rank becomes one, the leftmost of equals
//! first, until no pair has a rank. For short pieces the next pair is found by looking at all of them, which is quadratic and
//! fastest; long ones (a megabyte without a space) go through a linked list and a heap in n log n. Both give the same tokens.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No rank, no neighbour, no token.
pub const NONE: u32 = u32::MAX;

/// A token as it stands between merges.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The id, or [`NONE`] for what no token stands for.
    pub id: u32,
    /// Where it begins in the piece, in bytes.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    rank: u32, // of the merge with the part after it
    into: u32, // the token that makes
    next: u32, // in the linked list; in the short loop unused
    previous: u32,
}

impl Part {
    /// A part that has not met its neighbours.
    pub fn new(id: u32, start: usize, end: usize) -> Self {
        Self {
            id,
            start: start as u32,
            end: end as u32,
            rank: NONE,
            into: NONE,
            next: NONE,
            previous: NONE,
        }
    }
}

/// What merging needs room for; kept from piece to piece.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The parts of the piece at hand: single ones before [`merge`], the tokens after it.
    pub parts: Vec<Part>,
    heap: BinaryHeap<Reverse<(u32, u32)>>, // (rank, index)
}

/// Pieces of more parts than this go through the heap.
const SHORT: usize = 64;

/// Merges all that can be merged in `scratch.parts`. `pair` gives rank and token of a pair of neighbours.
#[inline]
pub fn merge(scratch: &mut Scratch, pair: impl Fn(&Part, &Part) -> Option<(u32, u32)>) {
    match scratch.parts.len() {
        0 | 1 => {}
        2..=SHORT => merge_short(&mut scratch.parts, pair),
        _ => merge_long(scratch, pair),
    }
}

#[inline]
fn rank(
    parts: &mut [Part],
    left: usize,
    right: usize,
    pair: &impl Fn(&Part, &Part) -> Option<(u32, u32)>,
) -> u32 {
    let (rank, into) = pair(&parts[left], &parts[right]).unwrap_or((NONE, NONE));
    parts[left].rank = rank;
    parts[left].into = into;
    rank
}

fn merge_short(parts: &mut Vec<Part>, pair: impl Fn(&Part, &Part) -> Option<(u32, u32)>) {
    for i in 0..parts.len() - 1 {
        rank(parts, i, i + 1, &pair);
    }
    loop {
        let (mut best, mut at) = (NONE, 0);
        for (i, part) in parts.iter().enumerate() {
            if part.rank < best {
                (best, at) = (part.rank, i);
            }
        }
        if best == NONE {
            return;
        }
        let right = parts.remove(at + 1);
        let left = &mut parts[at];
        left.id = left.into;
        left.end = right.end;
        left.rank = NONE;
        if at + 1 < parts.len() {
            rank(parts, at, at + 1, &pair);
        }
        if at > 0 {
            rank(parts, at - 1, at, &pair);
        }
    }
}

fn merge_long(scratch: &mut Scratch, pair: impl Fn(&Part, &Part) -> Option<(u32, u32)>) {
    let Scratch { parts, heap } = scratch;
    heap.clear();
    let n = parts.len();
    for i in 0..n {
        parts[i].previous = i.checked_sub(1).map_or(NONE, |p| p as u32);
        if i + 1 < n {
            parts[i].next = i as u32 + 1;
            let rank = rank(parts, i, i + 1, &pair);
            if rank != NONE {
                heap.push(Reverse((rank, i as u32)));
            }
        }
    }
    while let Some(Reverse((best, at))) = heap.pop() {
        let left = parts[at as usize];
        if left.rank != best {
            continue; // the part has changed, or is gone, since this was noted
        }
        let right = parts[left.next as usize];
        parts[left.next as usize].rank = NONE;
        parts[left.next as usize].start = NONE; // gone
        let merged = &mut parts[at as usize];
        merged.id = left.into;
        merged.end = right.end;
        merged.next = right.next;
        merged.rank = NONE;
        if right.next != NONE {
            parts[right.next as usize].previous = at;
            let rank = rank(parts, at as usize, right.next as usize, &pair);
            if rank != NONE {
                heap.push(Reverse((rank, at)));
            }
        }
        if left.previous != NONE {
            let rank = rank(parts, left.previous as usize, at as usize, &pair);
            if rank != NONE {
                heap.push(Reverse((rank, left.previous)));
            }
        }
    }
    parts.retain(|part| part.start != NONE);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merges of equal neighbours: n, n → n + 1, the small ones first, and 1, 0 → 9.
    fn pair(left: &Part, right: &Part) -> Option<(u32, u32)> {
        match (left.id, right.id) {
            (1, 0) => Some((3, 9)),
            (l, r) if l == r && l < 4 => Some((2 * l, l + 1)),
            _ => None,
        }
    }

    #[test]
    fn short_and_long_agree() {
        let mut state = 1u32;
        for n in 2..200 {
            let parts: Vec<Part> = (0..n)
                .map(|i| {
                    state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                    Part::new(state >> 30, i, i + 1)
                })
                .collect();
            let mut short = parts.clone();
            merge_short(&mut short, pair);
            let mut long = Scratch {
                parts,
                heap: BinaryHeap::new(),
            };
            merge_long(&mut long, pair);
            let ids = |parts: &[Part]| -> Vec<_> {
                parts.iter().map(|p| (p.id, p.start, p.end)).collect()
            };
            assert_eq!(ids(&short), ids(&long.parts));
            assert_eq!(short.last().unwrap().end as usize, n);
        }
    }
}
