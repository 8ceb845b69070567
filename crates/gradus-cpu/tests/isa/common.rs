//! Operands at chosen places, and the comparison of instruction sets.
use gradus_cpu::{Element, View};
use gradus_simd::{IsaName, available, with_isa};

/// The longest tail: four vectors of the widest ISA, the 64 virtual lanes of a fold, and one.
pub const LONGEST: usize = 257;

/// Elements that begin `offset` elements past a 64-byte boundary, between guards.
pub struct Placed<T> {
    room: Vec<T>,
    len: usize,
    offset: usize,
}

const PADDING: usize = 64;

impl<T: Element> Clone for Placed<T> {
    /// In the same place of other memory, which begins elsewhere between two boundaries.
    fn clone(&self) -> Self {
        Self::new(self.len, self.offset, |i| self.get()[i])
    }
}

impl<T: Element> Placed<T> {
    /// `f(0), f(1), …`
    pub fn new(len: usize, offset: usize, f: impl Fn(usize) -> T) -> Self {
        let mut placed = Self {
            room: vec![Self::guard(); len + offset + 2 * PADDING],
            len,
            offset,
        };
        let inside = placed.inside();
        placed.room[inside]
            .iter_mut()
            .enumerate()
            .for_each(|(i, x)| *x = f(i));
        placed
    }

    /// Room for a result.
    pub fn output(len: usize, offset: usize) -> Self {
        Self::new(len, offset, |_| Self::guard())
    }

    fn guard() -> T {
        T::from_i64(77)
    }

    fn inside(&self) -> std::ops::Range<usize> {
        let start = self.room.as_ptr().align_offset(64) + self.offset;
        start..start + self.len
    }

    pub fn get(&self) -> &[T] {
        &self.room[self.inside()]
    }

    pub fn get_mut(&mut self) -> &mut [T] {
        let inside = self.inside();
        &mut self.room[inside]
    }

    pub fn view<'a>(&'a self, shape: &'a [usize]) -> View<'a, T> {
        View::contiguous(self.get(), shape).unwrap()
    }

    /// The elements as bits, after a look at the guards.
    pub fn bits(&self) -> Vec<u64> {
        let inside = self.inside();
        let mut beside = self.room[..inside.start]
            .iter()
            .chain(&self.room[inside.end..]);
        assert!(
            beside.all(|&x| x == Self::guard()),
            "written beside the output"
        );
        bits(self.get())
    }
}

/// Elements as bits, with one NaN for all.
pub fn bits<T: Element>(x: &[T]) -> Vec<u64> {
    let one = |&x: &T| match T::KIND.is_float() {
        true if x.to_f64().is_nan() => u64::MAX,
        true => x.to_f64().to_bits(),
        false => x.to_i64() as u64,
    };
    x.iter().map(one).collect()
}

/// A number in about −3.3 … 3.4, another for each `i`.
pub fn number<T: Element>(i: usize) -> T {
    T::from_f64(((i * 7919 + 13) % 2003) as f64 / 300.0 - 3.3)
}

/// `case(length, offset)` gives the same bits on every instruction set, at every place.
pub fn same_bits(what: &str, case: impl Fn(usize, usize) -> Vec<u64>) {
    let on = |isa: IsaName| {
        let all = || {
            (0..=LONGEST)
                .map(|n| [0, 1].map(|offset| case(n, offset)))
                .collect::<Vec<_>>()
        };
        with_isa(isa, all).unwrap()
    };
    let want = on(IsaName::Scalar);
    for &isa in available() {
        let got = if isa == IsaName::Scalar {
            want.clone()
        } else {
            on(isa)
        };
        for (n, (got, want)) in got.iter().zip(&want).enumerate() {
            for (offset, got) in got.iter().enumerate() {
                let want = &want[0];
                assert_eq!(got.len(), want.len(), "{isa}: {what} of {n}");
                let differs = (0..got.len()).find(|&i| got[i] != want[i]);
                if let Some(i) = differs {
                    let (got, want) = (got[i], want[i]);
                    panic!(
                        "{isa}: {what} of {n}, offset {offset}: [{i}] is {got:x} ({:e}), on scalar {want:x} ({:e})",
                        f64::from_bits(got),
                        f64::from_bits(want)
                    );
                }
            }
        }
    }
}

/// `case(length, offset, absolute)` gives sums of `terms(length)` products, of absolute values if `absolute`. They agree
/// between instruction sets within k·ε·Σ|aᵢ·bᵢ|.
pub fn same_sums<T: Element>(
    what: &str,
    epsilon: f64,
    terms: impl Fn(usize) -> usize,
    case: impl Fn(usize, usize, bool) -> Vec<T>,
) {
    for n in 0..=LONGEST {
        let on = |isa, offset, absolute| with_isa(isa, || case(n, offset, absolute)).unwrap();
        let (want, sizes) = (on(IsaName::Scalar, 0, false), on(IsaName::Scalar, 0, true));
        for &isa in available() {
            for offset in [0, 1] {
                let got = on(isa, offset, false);
                assert_eq!(got.len(), want.len(), "{isa}: {what} of {n}");
                for i in 0..got.len() {
                    let (g, w) = (got[i].to_f64(), want[i].to_f64());
                    let bound = terms(n) as f64 * epsilon * sizes[i].to_f64();
                    assert!(
                        (g - w).abs() <= bound,
                        "{isa}: {what} of {n}, offset {offset}: [{i}] is {g:e}, on scalar {w:e}, bound {bound:e}"
                    );
                }
            }
        }
    }
}
