//! Large blocks: cut from segments of memory, and joined again with their free neighbours.
//!
//! In a step of training, activations are freed while gradients of other sizes come to be, and gradients before the next activations.
//! Lists by size would keep memory for all of them at once; here what one leaves is cut anew for the other. A block is
//! cut from the smallest hole that it fits in, so that large holes stay whole for large blocks, and those of whole tables of words for
//! such tables. What is not here: small blocks, which
//! would leave crumbs between large ones (`pool.rs` has them), and moving what is in use. The idea is PyTorch's caching allocator.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks are multiples of a page.
const PAGE: usize = 4096;
const HUGE_PAGE: usize = 2 << 20;
/// Segments of at least so many bytes begin on a huge page and ask for more of them.
const HUGE_FROM: usize = 4 * HUGE_PAGE;
/// What is asked of the system at once, unless a block is larger.
const SEGMENT: usize = 32 << 20;

static SEGMENTS: Mutex<Vec<Segment>> = Mutex::new(Vec::new());
/// Bytes of holes that were given out before; written only while the list is locked.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Memory of the system, whole pages of it: blocks and, between them, holes.
struct Segment {
    allocated: NonNull<u8>,
    layout: Layout,
    start: NonNull<u8>, // the first page's
    size: usize,        // whole pages
    /// Where holes begin and end, in order; no two touch.
    holes: Vec<(usize, usize)>,
    /// Nothing from here on was ever given out: still zero, and perhaps not even backed by memory.
    fresh: usize,
}

// SAFETY: plain memory with one owner, the list it is in.
unsafe impl Send for Segment {}

/// A block cut from a segment.
pub(super) struct Piece {
    pub ptr: NonNull<u8>,
    pub size: usize,
    /// Whether it was never given out before, so that all of it is zero.
    pub fresh: bool,
}

/// Bytes waiting for reuse.
pub(super) fn waiting() -> usize {
    WAITING.load(Relaxed)
}

fn lock() -> MutexGuard<'static, Vec<Segment>> {
    SEGMENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A block of at least so many bytes out of the smallest hole that has them, if one has. Holes larger than usual segments are only for
/// blocks of more than half of their size.
pub(super) fn take(bytes: usize) -> Option<Piece> {
    let size = bytes.checked_next_multiple_of(PAGE)?;
    let mut segments = lock();
    let mut best: Option<(usize, usize, usize)> = None; // (size of the hole, its segment, its number there)
    for (s, segment) in segments.iter().enumerate() {
        for (h, hole) in segment.holes.iter().enumerate() {
            let room = hole.1 - hole.0;
            let fits = room >= size && (room <= SEGMENT || room / 2 < size);
            if fits && best.is_none_or(|(least, ..)| room < least) {
                best = Some((room, s, h));
            }
        }
    }
    let (_, s, h) = best?;
    Some(segments[s].cut(h, size))
}

/// A block out of a new segment; `None` if the system has no memory. Segments are no larger than `most`, but for larger blocks.
pub(super) fn take_new(bytes: usize, most: usize) -> Option<Piece> {
    let size = bytes.checked_next_multiple_of(PAGE)?;
    let wish = size.max(SEGMENT.min(most).next_multiple_of(PAGE));
    let mut segment = Segment::new(wish).or_else(|| Segment::new(size))?;
    let piece = segment.cut(0, size);
    lock().push(segment);
    Some(piece)
}

/// Takes a block back. If nothing of its segment is in use then, and more than `limit` bytes wait, the system gets the segment.
pub(super) fn give(ptr: NonNull<u8>, size: usize, limit: usize) {
    let mut segments = lock();
    let address = ptr.addr().get();
    let owner = segments.iter_mut().enumerate().find(|(_, s)| {
        let start = s.start.addr().get();
        (start..start + s.size).contains(&address)
    });
    let Some((s, segment)) = owner else {
        debug_assert!(false, "a block of no segment");
        return;
    };
    let at = address - segment.start.addr().get();
    segment.join(at, at + size);
    if segment.is_free() && waiting() > limit {
        let segment = segments.remove(s);
        WAITING.fetch_sub(segment.fresh, Relaxed);
        drop(segments); // the system may take its time
    }
}

/// Gives the system every segment of which nothing is in use.
pub(super) fn clear() {
    let mut segments = lock();
    let free: Vec<Segment> = segments.extract_if(.., |s| s.is_free()).collect();
    WAITING.fetch_sub(free.iter().map(|s| s.fresh).sum(), Relaxed);
    drop(segments);
}

impl Segment {
    /// So many bytes, whole pages, all of it a hole.
    fn new(size: usize) -> Option<Self> {
        let align = if size >= HUGE_FROM { HUGE_PAGE } else { PAGE };
        // Aligned here: the system's zeroed pages stay lazy only where it is asked for no alignment of note.
        let layout = Layout::from_size_align(size.checked_add(align)?, 16).ok()?;
        // SAFETY: the layout has a size above 0.
        let allocated = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let skip = allocated.align_offset(align);
        // SAFETY: `skip` < `align` bytes, and the allocation has so many bytes more than `size`.
        let start = unsafe { allocated.add(skip) };
        if align == HUGE_PAGE {
            ask_for_huge_pages(start, size);
        }
        Some(Self {
            allocated,
            layout,
            start,
            size,
            holes: vec![(0, size)],
            fresh: 0,
        })
    }

    fn is_free(&self) -> bool {
        self.holes == [(0, self.size)]
    }

    /// Cuts a block from the front of a hole.
    fn cut(&mut self, hole: usize, size: usize) -> Piece {
        let (begin, end) = self.holes[hole];
        debug_assert!(end - begin >= size);
        if end - begin == size {
            self.holes.remove(hole);
        } else {
            self.holes[hole].0 += size;
        }
        let used = self.fresh.clamp(begin, begin + size) - begin;
        WAITING.fetch_sub(used, Relaxed);
        self.fresh = self.fresh.max(begin + size);
        Piece {
            // SAFETY: a hole is within the segment.
            ptr: unsafe { self.start.add(begin) },
            size,
            fresh: used == 0,
        }
    }

    /// Makes a hole of begin..end, one with those it touches.
    fn join(&mut self, mut begin: usize, mut end: usize) {
        WAITING.fetch_add(end - begin, Relaxed);
        let mut at = self.holes.partition_point(|hole| hole.0 < begin);
        if let Some(next) = self.holes.get(at).filter(|next| next.0 == end) {
            end = next.1;
            self.holes.remove(at);
        }
        if at > 0 && self.holes[at - 1].1 == begin {
            at -= 1;
            begin = self.holes[at].0;
            self.holes.remove(at);
        }
        self.holes.insert(at, (begin, end));
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; whoever drops it has seen that nothing of it is in use.
        unsafe { dealloc(self.allocated.as_ptr(), self.layout) }
    }
}

/// Asks the system to back memory with huge pages, before it is touched: a 2 MiB page is one fault instead of 512
/// (1.7 µs each), and reading through few of them is a third faster. A refusal changes nothing.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(start: NonNull<u8>, size: usize) {
    unsafe extern "C" {
        fn madvise(address: *mut std::ffi::c_void, length: usize, advice: i32) -> i32;
    }
    const MADV_HUGEPAGE: i32 = 14;
    // SAFETY: the bytes are the segment's own, and begin on a page; the advice changes none of them.
    unsafe { madvise(start.as_ptr().cast(), size, MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_: NonNull<u8>, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_join_in_any_order_and_fresh_bytes_are_known() {
        let orders = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        for order in orders {
            let mut segment = Segment::new(8 * PAGE).unwrap();
            let pieces = [1, 2, 3].map(|pages| segment.cut(0, pages * PAGE));
            assert!(pieces.iter().all(|p| p.fresh));
            for i in order {
                let at = pieces[i].ptr.addr().get() - segment.start.addr().get();
                segment.join(at, at + pieces[i].size);
            }
            assert!(segment.is_free(), "{order:?}: {:?}", segment.holes);
            let again = segment.cut(0, 7 * PAGE);
            assert!(!again.fresh && segment.fresh == 7 * PAGE, "{order:?}");
        }
    }

    #[test]
    fn the_smallest_hole_that_fits_is_cut() {
        let mut segment = Segment::new(10 * PAGE).unwrap();
        let (a, _b, c) = (
            segment.cut(0, 4 * PAGE),
            segment.cut(0, PAGE),
            segment.cut(0, 2 * PAGE),
        );
        assert_eq!(segment.holes, [(7 * PAGE, 10 * PAGE)]);
        segment.join(0, a.size);
        segment.join(5 * PAGE, 5 * PAGE + c.size);
        assert_eq!(segment.holes, [(0, 4 * PAGE), (5 * PAGE, 10 * PAGE)]);
        // Through the list of all segments, which other tests use too: sizes that only this one has.
        let first = take_new(SEGMENT + PAGE, usize::MAX).unwrap();
        give(first.ptr, first.size, usize::MAX);
        let again = take(SEGMENT / 2 + PAGE).unwrap();
        give(again.ptr, again.size, usize::MAX);
    }
}
