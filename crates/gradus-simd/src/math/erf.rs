//! The error function's family: `erf`, `erfc` and the exact `gelu`.
//!
//! Near 0 an odd polynomial. Further out erfc x = e^(-x²) · erfcx(x), where (1 + 2x) erfcx(x) is a polynomial in
//! t = (x - k) / (x + k), nearly constant and smooth (Shepherd and Laframboise, Math. Comp. 36, 1981), and e^(-x²) is
//! taken of the exact square as `2^n · value`. So the tails are right in the last place until they vanish: where
//! `x (1 + erf(x/√2)) / 2` cancels, `gelu` uses erfc; that of f32 is a gate (`gate.rs`) above -6. At -∞ `gelu` is NaN, as PyTorch's is.

use super::activation::{gate_ends, times_scaled};
use super::double::{Exact, Pair, polynomial};
use super::exp::{Scaled, exp_of_pair, power_of_two, scale};
use super::gate::{self, Gate};
use crate::float::Float;
use crate::isa::{FloatVec, Isa, MaskVec};

/// Coefficients from `tools/minimax.py`.
pub trait ErrorFunction: Sized + 'static {
    /// Of erf: erf x = x (c + x² P(x²)).
    const ERF: Near<Self>;
    /// Of erfc x.
    const ERFC: Tail<Self>;
    /// Of gelu.
    const GELU: Gelu<Self>;
}

/// How gelu is made.
pub enum Gelu<T: 'static> {
    /// Of a gate, and below it of Φ(-x) = erfc(x/√2) / 2.
    Gate(&'static Gate<T>, &'static Tail<T>),
    /// Of Φ(x) = ½ + x (c + x² P(x²)), and of erfc as above.
    Pairs(&'static Near<T>, &'static Tail<T>),
}

/// An odd function near 0: x (c + x² P(x²)), c in two parts.
#[derive(Clone, Copy)]
pub struct Near<T: 'static>(T, T, &'static [T]);

/// e^(-s x²) (first + first_low + t (…)) / (1 + slope x), t = (x - k) / (x + k).
#[derive(Clone, Copy)]
pub struct Tail<T: 'static> {
    /// s, 1 or ½.
    square: T,
    slope: T,
    k: T,
    /// Past this the function is 0.
    far: T,
    first: T,
    first_low: T,
    rest: &'static [T],
}

impl ErrorFunction for f32 {
    const ERF: Near<f32> = Near(
        std::f32::consts::FRAC_2_SQRT_PI,
        -5.8635383e-08,
        &[
            -0.37612638,
            0.11283787,
            -0.0268648,
            0.0052085333,
            -0.0007831128,
        ],
    );
    const GELU: Gelu<f32> = Gelu::Gate(
        &gate::GELU,
        &Tail {
            square: 0.5,
            slope: 1.5,
            k: 3.25,
            far: 14.6,
            first: 0.6665408,
            first_low: 1.4133696e-08,
            rest: &[
                -0.048110794,
                -0.072955124,
                0.089203954,
                -0.04666038,
                0.010437643,
            ],
        },
    );
    const ERFC: Tail<f32> = Tail {
        square: 1.0,
        slope: 2.0,
        k: 2.25,
        far: 10.3,
        first: 1.2709799,
        first_low: 4.1744933e-08,
        rest: &[
            -0.11025562,
            -0.13078012,
            0.16525671,
            -0.08313221,
            0.011437204,
            0.008089344,
            -0.0025979008,
            -0.0011498671,
            0.0003605675,
            0.00019198678,
        ],
    };
}

const PHI: Near<f64> = Near(
    0.3989422804014327,
    -2.49232720227773e-17,
    &[
        -0.06649038006690544,
        0.009973557010035794,
        -0.0011873282154792524,
        0.00011543468759144712,
        -9.444656004897339e-06,
        6.659678761935405e-07,
        -4.122164206640708e-08,
        2.2634900077468682e-09,
        -1.0210985640381729e-10,
    ],
);

const PHI_TAIL: Tail<f64> = Tail {
    square: 0.5,
    slope: 1.5,
    k: 5.25,
    far: 39.0,
    first: 0.6522080488176493,
    first_low: -2.0616515446288648e-17,
    rest: &[
        -0.06602542790568025,
        -0.006032249551786691,
        0.0497735069631801,
        -0.061343463596454983,
        0.05033410583095443,
        -0.031111709274348878,
        0.014537624679729043,
        -0.004733819661429663,
        0.0007214237370280222,
        0.0002063212980429269,
        -0.00014739816194815646,
        1.800643394402959e-05,
        1.382863385155525e-05,
        -5.17980563450314e-06,
        -1.0087972462982712e-06,
        8.743518286221478e-07,
        5.740414451499606e-08,
        -1.3699380797898157e-07,
        -2.2350858682219554e-09,
        2.04584805379215e-08,
        2.0553068186509494e-10,
        -2.178509558394081e-09,
        -5.3613775945029413e-11,
    ],
};

impl ErrorFunction for f64 {
    const GELU: Gelu<f64> = Gelu::Pairs(&PHI, &PHI_TAIL);
    const ERF: Near<f64> = Near(
        std::f64::consts::FRAC_2_SQRT_PI,
        1.533545961316588e-17,
        &[
            -0.37612638903183754,
            0.112837916709551,
            -0.026866170645104014,
            0.0052239776243227015,
            -0.0008548326792781157,
            0.00012055306252594572,
            -1.4923827486228955e-05,
            1.6389390291205426e-06,
            -1.4786787853202602e-07,
        ],
    );
    const ERFC: Tail<f64> = Tail {
        square: 1.0,
        slope: 2.0,
        k: 3.75,
        far: 27.5,
        first: 1.2375126308378275,
        first_low: 1.0533542282216282e-16,
        rest: &[
            -0.14024059858554702,
            0.0035854154854637124,
            0.08227673849015105,
            -0.10880393014170996,
            0.09230432116019842,
            -0.05869339859045005,
            0.02836227742149616,
            -0.009746579549463471,
            0.0017556258328275936,
            0.00029371361461485047,
            -0.0002901539833360947,
            5.164927595983906e-05,
            2.238393567008058e-05,
            -1.1444479981604563e-05,
            -9.729368035864136e-07,
            1.7518169777713747e-06,
            -5.805381217887273e-08,
            -2.580822341601974e-07,
            2.3966332489373706e-08,
            3.728330153865321e-08,
            -4.079077530257713e-09,
            -3.9282348898184374e-09,
            3.794655814212192e-10,
        ],
    };
}

/// x (c + x² P(x²)) as a pair.
#[inline(always)]
fn near<S: Isa, T: Float>(isa: S, x: T::V<S>, near: Near<T>) -> Pair<T::V<S>> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let Near(first, first_low, rest) = near;
    let square = x * x;
    let linear = x.two_product(c(first));
    let rest = square.mul_add(polynomial::<S, T>(isa, square, rest), c(first_low));
    Pair {
        hi: linear.hi,
        lo: x.mul_add(rest, linear.lo),
    }
}

/// The tail at x from ½ (√½ for Φ) to `far`, as 2^n (hi + lo).
#[inline(always)]
fn tail<S: Isa, T: Float>(isa: S, x: T::V<S>, tail: Tail<T>) -> (T::V<S>, Pair<T::V<S>>) {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let square = x.two_product(x);
    let minus = c(-tail.square); // ±1 or ±½: exact
    let e = exp_of_pair::<S, T>(
        isa,
        Pair {
            hi: square.hi * minus,
            lo: square.lo * minus,
        },
    );
    let t = (x - c(tail.k)) / (x + c(tail.k));
    let curve = t.mul_add(polynomial::<S, T>(isa, t, tail.rest), c(tail.first_low));
    let above = c(tail.first).fast_two_sum(curve).times(e.value);
    let slope = x.two_product(c(tail.slope));
    let under = c(T::ONE).two_sum(slope.hi);
    (
        e.n,
        above.over(
            isa,
            Pair {
                hi: under.hi,
                lo: under.lo + slope.lo,
            },
        ),
    )
}

/// 1 - 2^n p, for n from -1022 (-126) up.
#[inline(always)]
fn one_minus<S: Isa, T: Float>(isa: S, n: T::V<S>, p: Pair<T::V<S>>) -> Pair<T::V<S>> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let power = power_of_two::<S, T>(
        isa,
        n.clamp(c(T::from_f64(f64::from(1 - T::EXPONENT_BIAS))), c(T::ONE)),
    );
    let sum = c(T::ONE).fast_two_sum(-(p.hi * power));
    Pair {
        hi: sum.hi,
        lo: p.lo.neg_mul_add(power, sum.lo),
    }
}

/// The error function, 2/√π ∫₀ˣ e^(-t²) dt. At most 0.8 ULP, 1 next to the subnormals.
#[inline(always)]
pub fn erf<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let half = c(T::from_f64(0.5));
    let a = x.abs();
    let inner = near::<S, T>(isa, x, T::ERF);
    let inner = (inner.hi + inner.lo).copysign(x); // -0 + 0 is 0
    let outside = a.ge(half);
    if !outside.any() {
        return inner;
    }
    let (n, p) = tail::<S, T>(isa, a.clamp(half, c(T::from_f64(7.0))), T::ERFC); // past 7, erf rounds to 1
    let outer = one_minus::<S, T>(isa, n, p);
    T::V::<S>::select(outside, (outer.hi + outer.lo).copysign(x), inner)
}

/// The complementary error function, 1 - erf x, without its cancellation. At most 1 ULP, the tail included.
#[inline(always)]
pub fn erfc<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let half = c(T::from_f64(0.5));
    let a = x.abs();
    let inner = near::<S, T>(isa, x, T::ERF);
    let sum = c(T::ONE).fast_two_sum(-inner.hi);
    let inner = sum.hi + (sum.lo - inner.lo);
    let (n, p) = tail::<S, T>(isa, a.clamp(half, c(T::ERFC.far)), T::ERFC);
    let right = scale::<S, T>(isa, p.hi + p.lo, n);
    let left = one_minus::<S, T>(isa, n, p);
    let two = c(T::ONE).fast_two_sum(left.hi); // 2 - erfc |x| = 1 + (1 - erfc |x|)
    let outer = T::V::<S>::select(x.lt(c(T::ZERO)), two.hi + (two.lo + left.lo), right);
    T::V::<S>::select(a.lt(half), inner, outer)
}

/// GELU, x Φ(x) = x (1 + erf(x/√2)) / 2 (Hendrycks and Gimpel, 2016). At most 1 ULP of f64, 2 of f32 (1.63 over all), the tail included.
#[inline(always)]
pub fn gelu<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    match T::GELU {
        Gelu::Gate(gate, far_out) => gate.times_x(
            isa,
            x,
            #[inline(always)]
            || gelu_far_out(isa, far_out, x),
        ),
        Gelu::Pairs(near, tail) => gelu_by_pairs(isa, near, tail, x),
    }
}

/// x Φ(x) of x < -√½.
#[inline(always)]
fn gelu_far_out<S: Isa, T: Float>(isa: S, far_out: &Tail<T>, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let near = x.clamp(c(-far_out.far), c(T::from_f64(-0.707)));
    let (n, value) = tail::<S, T>(isa, -near, *far_out);
    let y = times_scaled(isa, near, &Scaled::<S, T> { n, value });
    gate_ends::<S, T>(isa, x, far_out.far, y)
}

/// By the polynomial near 0, and Φ(-|x|) as a pair further out.
#[inline(always)]
fn gelu_by_pairs<S: Isa, T: Float>(
    isa: S,
    near_zero: &Near<T>,
    far_out: &Tail<T>,
    x: T::V<S>,
) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (zero, half, edge, far) = (
        c(T::ZERO),
        c(T::from_f64(0.5)),
        c(T::from_f64(0.707)),
        c(far_out.far),
    );
    let clamped = x.clamp(-far, far);
    let a = clamped.abs();
    let rise = near::<S, T>(isa, clamped, *near_zero); // Φ(x) - ½
    let sum = half.fast_two_sum(rise.hi);
    let inner = Pair {
        hi: sum.hi,
        lo: sum.lo + rise.lo,
    };
    let (n, p) = tail::<S, T>(isa, a.clamp(edge, far), *far_out); // Φ(-|x|)
    let negative = x.lt(zero);
    let outer = Pair::select(negative, p, one_minus::<S, T>(isa, n, p));
    let inside = a.lt(edge);
    let phi = Pair::select(inside, inner, outer);
    let n = T::V::<S>::select(inside, zero, T::V::<S>::select(negative, n, zero));
    gate_ends::<S, T>(
        isa,
        x,
        far_out.far,
        times_scaled(isa, clamped, &Scaled::<S, T> { n, value: phi }),
    )
}
