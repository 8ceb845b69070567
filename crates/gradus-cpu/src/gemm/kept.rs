//! Weights as a product reads them, kept from one call to the next.
//!
//! A product with few rows spends as much time on packing the other side as on multiplying: 45 % of 128 rows by tiles. Where that side
//! is a weight that does not change from call to call, as in inference, [`Kept`] holds what was packed of it. It belongs beside the
//! memory that the weight lies in, whose owner clears it whenever that memory is written.
//! What it is not: a cache that could be stale. An entry says where in that memory its operand lies, how it is strided and how it was
//! cut; another operand of the same memory, or one cut in another way, has an entry of its own.
//!
//! It takes memory: once the weight's, one and a half times for the AMX engine. So only what is asked for a second time is kept: a text
//! that is read once, to be continued token by token, leaves nothing. [`set_limit`] bounds the sum of all.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gradus_simd::Float;

use super::matrix::MatRef;
use super::tiling::Tiling;

/// Entries of one weight. A memory with more weights in it than this is packed anew rather than thrown out and kept by turns.
const MOST: usize = 4;

static LIMIT: AtomicUsize = AtomicUsize::new(1 << 30);
static USED: AtomicUsize = AtomicUsize::new(0);

/// Bounds the bytes that all of them hold together (1 GiB at first); 0 keeps nothing. What is kept already stays.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Bytes that all of them hold now.
#[must_use]
pub fn used() -> usize {
    USED.load(Ordering::Relaxed)
}

/// Stands where a product's key has its engine.
const CONVOLUTION: usize = usize::MAX;

/// What products have packed of a weight.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Vec<Entry>>);

/// Which operand, and how it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    first: usize,
    shape: [usize; 2],
    strides: [isize; 2],
    cut: [usize; 5],
}

impl Key {
    /// Lines `m` of a product that is cut in this way.
    pub fn of_matrix<T>(m: &MatRef<'_, T>, is_a: bool, t: &Tiling) -> Self {
        let height = if is_a { t.mr } else { t.nr };
        Self {
            first: m.address(),
            shape: [m.rows(), m.cols()],
            strides: [m.row_stride(), m.col_stride()],
            cut: [t.engine as usize, usize::from(is_a), height, t.kc, t.parts],
        }
    }

    /// The weights (O, depth) of a convolution by shifted loads.
    pub fn of_convolution<T>(w: &[T], shape: [usize; 2], cut: [usize; 4]) -> Self {
        Self {
            first: w.as_ptr().addr(),
            shape,
            strides: [0, 0],
            cut: [CONVOLUTION, cut[0], cut[1], cut[2], cut[3]],
        }
    }
}

#[derive(Debug)]
struct Entry {
    key: Key,
    /// `None` after a single use.
    packed: Option<Arc<dyn Any + Send + Sync>>,
}

impl Kept {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Forgets everything: the weight is about to be written. (What a product is reading meanwhile lives as long as it does.)
    pub fn clear(&mut self) {
        let entries = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        entries.clear();
    }

    /// The operand of this key, `len` elements as `pack` writes them, now or in an earlier call; `None` for one that is asked for the
    /// first time, and if there is no room for it.
    pub(crate) fn get<T: Float>(
        &self,
        key: Key,
        len: usize,
        pack: impl FnOnce(&mut [T]),
    ) -> Option<Arc<Packed<T>>> {
        let entries = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = entries();
        match known.iter().find(|entry| entry.key == key) {
            Some(Entry { packed: None, .. }) => {}
            Some(Entry {
                packed: Some(packed),
                ..
            }) => return Arc::clone(packed).downcast().ok(),
            None if known.len() >= MOST => return None,
            None => {
                known.push(Entry { key, packed: None });
                return None;
            }
        }
        drop(known);
        // Not under the lock: other threads pack other weights of this memory, and may help with this one.
        let mut packed = Packed::new(len)?;
        pack(packed.as_mut_slice());
        let packed = Arc::new(packed);
        if let Some(entry) = entries().iter_mut().find(|entry| entry.key == key) {
            entry.packed.get_or_insert(packed.clone());
        }
        Some(packed)
    }
}

/// Packed elements, aligned to cache lines.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    lines: Vec<Line<T>>,
    len: usize,
}

/// Elements of a cache line: one of `f32`, two of `f64`.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line<T>([T; LINE]);
const LINE: usize = 16;

impl<T: Float> Packed<T> {
    /// This many, zero, if they are within the limit and there is memory for them.
    fn new(len: usize) -> Option<Self> {
        let (bytes, limit) = (len * size_of::<T>(), LIMIT.load(Ordering::Relaxed));
        let within = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= limit);
        USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .ok()?;
        let mut packed = Self {
            lines: Vec::new(),
            len, // given back when it is dropped
        };
        let lines = len.div_ceil(LINE);
        packed.lines.try_reserve_exact(lines).ok()?;
        packed.lines.resize(lines, Line([T::ZERO; LINE]));
        Some(packed)
    }

    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        const { assert!(size_of::<Line<T>>() == LINE * size_of::<T>()) }
        // SAFETY: the lines have no padding, and hold `len` elements and more.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        const { assert!(size_of::<Line<T>>() == LINE * size_of::<T>()) }
        // SAFETY: as above; borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<T> Drop for Packed<T> {
    fn drop(&mut self) {
        USED.fetch_sub(self.len * size_of::<T>(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use gradus_simd::{IsaName, available};

    use super::*;
    use crate::gemm::blocked::{Job, blocked_by};
    use crate::gemm::tests::numbers;
    use crate::gemm::tiling::Engine;
    use crate::gemm::{Bias, Epilogue, MatMut, Out};

    fn product(
        (engine, isa): (Engine, IsaName),
        a: MatRef<'_, f32>,
        b: MatRef<'_, f32>,
        bias: &[f32],
    ) -> Vec<f32> {
        let mut y = vec![f32::NAN; a.rows() * b.cols()];
        let mut c = MatMut::row_major(&mut y, a.rows(), b.cols()).unwrap();
        let (alpha, beta) = (1.0, 0.0);
        let (b, out, epilogue) = (
            &b,
            &Out::matrix(&mut c),
            &Epilogue::bias(Bias::Column(bias)),
        );
        blocked_by(
            engine,
            &Job {
                a,
                b,
                alpha,
                beta,
                out,
                epilogue,
                isa,
                done: None,
            },
        );
        y
    }

    /// Sizes with one and several tiles, stripes and blocks of K, and ends of each.
    const SIZES: [(usize, usize, usize); 5] = [
        (7, 64, 96),
        (40, 70, 1100),
        (300, 33, 520),
        (9, 4200, 300),
        (4200, 65, 64),
    ];

    #[test]
    fn what_is_kept_gives_the_same_bits() {
        for &isa in available() {
            for engine in [Engine::Vectors, Engine::Tiles] {
                if engine == Engine::Tiles && isa != IsaName::Amx {
                    continue;
                }
                for (m, n, k) in SIZES {
                    let (x, w, bias) = (numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3));
                    let x = MatRef::row_major(&x, m, k).unwrap();
                    let rows = MatRef::row_major(&w, k, n).unwrap();
                    let columns = MatRef::row_major(&w, n, k).unwrap().t();
                    let (left, right) = (Kept::new(), Kept::new());
                    for w in [rows, columns] {
                        let fresh = product((engine, isa), x, w, &bias);
                        for round in 0..3 {
                            let of_b = product((engine, isa), x, w.keeping(&right), &bias);
                            let of_a = product((engine, isa), x.keeping(&left), w, &bias);
                            let both =
                                product((engine, isa), x.keeping(&left), w.keeping(&right), &bias);
                            let what = format!("{engine:?} on {isa}, {m} x {n} x {k}, {round}");
                            assert!(of_b == fresh && of_a == fresh && both == fresh, "{what}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_that_tiles_cannot_split_are_computed_from_the_weight_itself() {
        let (m, n, k) = (40, 64, 128);
        let (mut x, w, bias) = (numbers(m * k, 1), numbers(n * k, 2), vec![0.0; n]);
        x[5] = 1e38;
        x[k + 1] = f32::INFINITY;
        let x = MatRef::row_major(&x, m, k).unwrap();
        let (w, kept) = (MatRef::row_major(&w, k, n).unwrap(), Kept::new());
        if available().contains(&IsaName::Amx) {
            let by = (Engine::Tiles, IsaName::Amx);
            let fresh = product(by, x, w, &bias);
            for _ in 0..2 {
                assert_eq!(product(by, x, w.keeping(&kept), &bias), fresh);
            }
            assert!(fresh.iter().any(|y| y.is_infinite()));
        }
    }

    #[test]
    fn parts_of_a_weight_are_told_apart() {
        let isa = gradus_simd::current();
        let (x, bias) = (numbers(8 * 64, 1), numbers(64, 2));
        let x = MatRef::row_major(&x, 8, 64).unwrap();
        let mut kept = Kept::new();
        let mut w = numbers::<f32>(6 * 64 * 64, 3);
        for round in 0..2 {
            for part in w.chunks_exact(64 * 64) {
                let part = MatRef::row_major(part, 64, 64).unwrap();
                for part in [part, part.t()] {
                    let by = (Engine::Vectors, isa);
                    let fresh = product(by, x, part, &bias);
                    for _ in 0..3 {
                        assert_eq!(product(by, x, part.keeping(&kept), &bias), fresh, "{round}");
                    }
                }
            }
            assert_eq!(kept.0.get_mut().unwrap().len(), MOST);
            // The weight changes, and its owner says so.
            kept.clear();
            w.iter_mut().for_each(|w| *w *= -2.0);
        }
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let packed = Packed::<f32>::new(100).unwrap();
        assert!(used() >= 400 && packed.as_slice().len() == 100);
        assert!(packed.as_slice().as_ptr().addr().is_multiple_of(64));
        assert!(
            Packed::<f32>::new(usize::MAX / 8).is_none(),
            "more than the limit"
        );
        drop(packed);
    }
}
