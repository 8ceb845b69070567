//! Error-free transformations: an unevaluated sum of two vectors carries twice the precision.
//!
//! What it is: the few operations the vector maths need to stay within an ULP. What it is not: an arithmetic type
//! with operators; every use is spelled out, since most can skip a normalisation.
//! Source: Dekker, "A floating-point technique for extending the available precision" (1971); Shewchuk (1997).

use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// `hi + lo`, with |lo| no more than a few ULP of `hi` unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<V> {
    pub hi: V,
    pub lo: V,
}

/// Sums and products of vectors with their rounding errors.
pub(crate) trait Exact<S: Isa, T: Float>: FloatVec<S, T> {
    /// `self + b` exactly, where |self| >= |b| or self = 0.
    #[inline(always)]
    fn fast_two_sum(self, b: Self) -> Pair<Self> {
        let hi = self + b;
        Pair {
            hi,
            lo: b - (hi - self),
        }
    }
    /// `self + b` exactly.
    #[inline(always)]
    fn two_sum(self, b: Self) -> Pair<Self> {
        let hi = self + b;
        let b_part = hi - self;
        Pair {
            hi,
            lo: (self - (hi - b_part)) + (b - b_part),
        }
    }
    /// `self * b` exactly (but for underflow).
    #[inline(always)]
    fn two_product(self, b: Self) -> Pair<Self> {
        let hi = self * b;
        Pair {
            hi,
            lo: self.mul_sub(b, hi),
        }
    }
}

impl<S: Isa, T: Float, V: FloatVec<S, T>> Exact<S, T> for V {}

impl<V> Pair<V> {
    /// The product of two pairs.
    #[inline(always)]
    pub(crate) fn times<S: Isa, T: Float>(self, b: Self) -> Self
    where
        V: FloatVec<S, T>,
    {
        let p = self.hi.two_product(b.hi);
        Self {
            hi: p.hi,
            lo: self.hi.mul_add(b.lo, self.lo.mul_add(b.hi, p.lo)),
        }
    }
    /// The quotient of two pairs by one division: a first quotient, and its remainder over `b`.
    #[inline(always)]
    pub(crate) fn over<S: Isa, T: Float>(self, isa: S, b: Self) -> Self
    where
        V: FloatVec<S, T>,
    {
        let inverse = V::splat(isa, T::ONE) / b.hi;
        let hi = self.hi * inverse;
        let remainder = hi.neg_mul_add(b.lo, hi.neg_mul_add(b.hi, self.hi) + self.lo);
        Self {
            hi,
            lo: remainder * inverse,
        }
    }
    /// The same value with `hi` the nearest vector to it; wants |hi| >= |lo|.
    #[inline(always)]
    pub(crate) fn normalised<S: Isa, T: Float>(self) -> Self
    where
        V: FloatVec<S, T>,
    {
        self.hi.fast_two_sum(self.lo)
    }
    /// `a` where the mask is true, `b` elsewhere.
    #[inline(always)]
    pub(crate) fn select<S: Isa, T: Float>(mask: V::Mask, a: Self, b: Self) -> Self
    where
        V: FloatVec<S, T>,
    {
        Self {
            hi: V::select(mask, a.hi, b.hi),
            lo: V::select(mask, a.lo, b.lo),
        }
    }
}

/// `c[0] + c[1] x + …` by Horner's rule.
#[inline(always)]
pub(crate) fn polynomial<S: Isa, T: Float>(isa: S, x: T::V<S>, c: &'static [T]) -> T::V<S> {
    let mut y = T::V::<S>::splat(isa, c[c.len() - 1]);
    for &c in c[..c.len() - 1].iter().rev() {
        y = y.mul_add(x, T::V::<S>::splat(isa, c));
    }
    y
}
