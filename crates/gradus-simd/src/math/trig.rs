//! `sin`, `cos` and `tan` over the whole range of arguments.
//!
//! x = n π/2 + r with |r| <= π/4, π/2 in three parts that a fused multiply-add takes off exactly (Cody and Waite); r is a
//! pair, so arguments next to a multiple of π/2 lose nothing. Past 2^16 (f32) or 2^30 (f64), lanes go one by one through
//! `payne_hanek.rs`. Then the usual polynomials (fdlibm's `k_sin.c`, `k_cos.c`): about 0.6 ULP.

use super::double::{Exact, Pair, polynomial};
use super::payne_hanek;
use crate::float::Float;
use crate::isa::{FloatVec, IntVec, Isa, MaskVec};

/// Coefficients from `tools/minimax.py`.
pub trait Trig: Sized + 'static {
    /// 2/π.
    const TWO_OVER_PI: Self;
    /// π/2 in three parts, each the nearest to what the ones before leave.
    const HALF_PI: [Self; 3];
    /// Past this, π/2 in three parts is not enough.
    const TRIG_FAR: Self;
    /// P of sin r = r + r³ P(r²) on |r| <= π/4.
    const SIN: &'static [Self];
    /// P of cos r = 1 - r²/2 + r⁴ P(r²) on |r| <= π/4.
    const COS: &'static [Self];
}

impl Trig for f32 {
    const TWO_OVER_PI: f32 = std::f32::consts::FRAC_2_PI;
    const HALF_PI: [f32; 3] = [std::f32::consts::FRAC_PI_2, -4.371139e-08, -1.7151245e-15];
    const TRIG_FAR: f32 = 65536.0;
    const SIN: &'static [f32] = &[-0.16666667, 0.008333332, -0.00019840083, 2.7249314e-06];
    const COS: &'static [f32] = &[0.041666664, -0.00138883, 2.4547437e-05];
}

impl Trig for f64 {
    const TWO_OVER_PI: f64 = std::f64::consts::FRAC_2_PI;
    const HALF_PI: [f64; 3] = [
        std::f64::consts::FRAC_PI_2,
        6.123233995736766e-17,
        -1.4973849048591698e-33,
    ];
    const TRIG_FAR: f64 = 1073741824.0;
    const SIN: &'static [f64] = &[
        -0.16666666666666666,
        0.008333333333333331,
        -0.00019841269841265017,
        2.755731921930192e-06,
        -2.5052106219521895e-08,
        1.6058529572267877e-10,
        -7.586576588171073e-13,
    ];
    const COS: &'static [f64] = &[
        0.041666666666666664,
        -0.0013888888888888887,
        2.4801587301584618e-05,
        -2.7557319221382114e-07,
        2.087675578389404e-09,
        -1.1470459749675607e-11,
        4.745804889760674e-14,
    ];
}

/// An argument less its multiple of π/2.
struct Reduced<S: Isa, T: Float> {
    /// n modulo 4, in the low bits.
    quadrant: <T::V<S> as FloatVec<S, T>>::Int,
    /// |r| <= π/4.
    r: Pair<T::V<S>>,
}

#[inline(always)]
fn reduce<S: Isa, T: Float>(isa: S, x: T::V<S>) -> Reduced<S, T> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let far = x.abs().gt(c(T::TRIG_FAR));
    let near = T::V::<S>::select(far, c(T::ZERO), x);
    let n = (near * c(T::TWO_OVER_PI)).round_ties_even();
    let first = n.neg_mul_add(c(T::HALF_PI[0]), near); // exact
    let second = n.two_product(c(T::HALF_PI[1]));
    let sum = first.two_sum(-second.hi);
    let lo = n.neg_mul_add(c(T::HALF_PI[2]), sum.lo - second.lo);
    let near = Reduced {
        quadrant: n.to_int_round(),
        r: sum.hi.fast_two_sum(lo),
    };
    if far.any() {
        reduce_far(isa, x, far.to_bits(), &near)
    } else {
        near
    }
}

/// Replaces the lanes named in `far` by the exact reduction.
#[inline(always)]
fn reduce_far<S: Isa, T: Float>(
    isa: S,
    x: T::V<S>,
    far: u32,
    near: &Reduced<S, T>,
) -> Reduced<S, T> {
    let (x, mut hi, mut lo) = (x.to_array(), near.r.hi.to_array(), near.r.lo.to_array());
    // The quadrant travels as a float: 0 to 3.
    let three = <T::V<S> as FloatVec<S, T>>::Int::splat(isa, T::int(3));
    let mut quadrant = T::V::<S>::from_int(near.quadrant & three).to_array();
    for (i, &x) in x.as_ref().iter().enumerate() {
        if far >> i & 1 == 1 {
            let (q, r_hi, r_lo) = payne_hanek::reduce(x.to_f64());
            let high = T::from_f64(r_hi);
            quadrant.as_mut()[i] = T::from_f64(q.into());
            hi.as_mut()[i] = high;
            lo.as_mut()[i] = T::from_f64((r_hi - high.to_f64()) + r_lo);
        }
    }
    let load = |lanes: &[T]| T::V::<S>::load(isa, lanes);
    Reduced {
        quadrant: load(quadrant.as_ref()).to_int_round(),
        r: Pair {
            hi: load(hi.as_ref()),
            lo: load(lo.as_ref()),
        },
    }
}

/// sin r as a pair.
#[inline(always)]
fn sin_near<S: Isa, T: Float>(isa: S, r: Pair<T::V<S>>) -> Pair<T::V<S>> {
    let half = T::V::<S>::splat(isa, T::from_f64(0.5));
    let z = r.hi * r.hi;
    // r.lo cos r, as far as it counts
    let low = (half * z).neg_mul_add(r.lo, r.lo);
    Pair {
        hi: r.hi,
        lo: (r.hi * z).mul_add(polynomial::<S, T>(isa, z, T::SIN), low),
    }
}

/// cos r as a pair.
#[inline(always)]
fn cos_near<S: Isa, T: Float>(isa: S, r: Pair<T::V<S>>) -> Pair<T::V<S>> {
    let (half, one) = (
        T::V::<S>::splat(isa, T::from_f64(0.5)),
        T::V::<S>::splat(isa, T::ONE),
    );
    let square = r.hi.two_product(r.hi);
    let z = square.hi;
    let top = one.fast_two_sum(-(half * z));
    // -r.hi r.lo and the error of z are what the square of the pair adds
    let low = r.hi.mul_add(r.lo, half * square.lo);
    Pair {
        hi: top.hi,
        lo: top.lo + (z * z).mul_add(polynomial::<S, T>(isa, z, T::COS), -low),
    }
}

/// True where bit `bit` of the quadrant is set.
#[inline(always)]
fn bit<S: Isa, T: Float>(
    isa: S,
    quadrant: <T::V<S> as FloatVec<S, T>>::Int,
    bit: i64,
) -> <T::V<S> as FloatVec<S, T>>::Mask {
    let mask = <T::V<S> as FloatVec<S, T>>::Int::splat(isa, T::int(bit));
    (quadrant & mask).eq(mask)
}

/// sin of the reduced argument `quadrants` further on.
#[inline(always)]
fn sin_shifted<S: Isa, T: Float>(isa: S, x: T::V<S>, quadrants: i64) -> T::V<S> {
    let Reduced { quadrant, r } = reduce::<S, T>(isa, x);
    let quadrant = quadrant + <T::V<S> as FloatVec<S, T>>::Int::splat(isa, T::int(quadrants));
    let y = Pair::select(
        bit::<S, T>(isa, quadrant, 1),
        cos_near::<S, T>(isa, r),
        sin_near::<S, T>(isa, r),
    );
    let y = y.hi + y.lo;
    T::V::<S>::select(bit::<S, T>(isa, quadrant, 2), -y, y)
}

/// The sine of x radians; NaN at ±∞. At most 0.8 ULP for every x.
#[inline(always)]
pub fn sin<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let y = sin_shifted::<S, T>(isa, x, 0);
    T::V::<S>::select(x.abs().lt(T::V::<S>::splat(isa, super::tiny::<T>())), x, y)
}

/// The cosine of x radians; NaN at ±∞. At most 0.8 ULP for every x.
#[inline(always)]
pub fn cos<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    sin_shifted::<S, T>(isa, x, 1)
}

/// The tangent of x radians; NaN at ±∞. At most 0.9 ULP for every x.
#[inline(always)]
pub fn tan<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let Reduced { quadrant, r } = reduce::<S, T>(isa, x);
    let (sin, cos) = (
        sin_near::<S, T>(isa, r).normalised(),
        cos_near::<S, T>(isa, r).normalised(),
    );
    let odd = bit::<S, T>(isa, quadrant, 1); // tan(r + π/2) = -cos r / sin r
    let above = Pair::select(
        odd,
        Pair {
            hi: -cos.hi,
            lo: -cos.lo,
        },
        sin,
    );
    let y = above.over(isa, Pair::select(odd, sin, cos));
    T::V::<S>::select(
        x.abs().lt(T::V::<S>::splat(isa, super::tiny::<T>())),
        x,
        y.hi + y.lo,
    )
}
