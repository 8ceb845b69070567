//! The floating-point operations in vector code: one loop per operation, written once for every instruction set.
//!
//! An operand may be the output itself. An element's result does not depend on its place: the last, partial vector goes
//! through the same loop, by way of a buffer. The few operations without a vector form (rare, or with loops inside) take the scalar
//! definitions of `scalar.rs`; so do those vector functions that are the reference elsewhere.

use super::ops::{BinaryOp, TernaryOp, UnaryOp};
use super::scalar;
use gradus_simd::{Float, FloatVec, Isa, Kernel, math};

/// `y[i] = op(x[i])` for `n` elements. The pointers must be valid for them, and equal or not overlap.
pub(super) struct Unary<T> {
    pub(super) op: UnaryOp,
    pub(super) x: *const T,
    pub(super) y: *mut T,
    pub(super) n: usize,
    /// Past the cache: `y` is aligned to a line, and the caller fences.
    pub(super) stream: bool,
}

/// `y[i] = op(a[i], b[i])`, as [`Unary`].
pub(super) struct Binary<T> {
    pub(super) op: BinaryOp,
    pub(super) a: *const T,
    pub(super) b: *const T,
    pub(super) y: *mut T,
    pub(super) n: usize,
    pub(super) stream: bool,
}

/// `y[i] = op(a[i], b[i], c[i])`, as [`Unary`].
pub(super) struct Ternary<T> {
    pub(super) op: TernaryOp,
    pub(super) operands: [*const T; 3],
    pub(super) y: *mut T,
    pub(super) n: usize,
    pub(super) stream: bool,
}

/// The most lanes a vector has: 16 of f32 with AVX-512.
const MAX_LANES: usize = 16;

/// Vectors of constants.
#[derive(Clone, Copy)]
struct Constants<S>(S);

impl<S: Isa> Constants<S> {
    #[inline(always)]
    fn c<T: Float>(self, x: f64) -> T::V<S> {
        T::V::<S>::splat(self.0, T::from_f64(x))
    }
}

/// `a` where the mask is true, else `b`.
#[inline(always)]
fn choose<S: Isa, T: Float>(
    mask: <T::V<S> as FloatVec<S, T>>::Mask,
    a: T::V<S>,
    b: T::V<S>,
) -> T::V<S> {
    T::V::<S>::select(mask, a, b)
}

/// The loop of one operation. (In a closure that is not inlined, SIMD would be compiled without the instructions.)
macro_rules! map {
    ($kernel:ident, $isa:ident, |$($x:ident),+| $y:expr) => {
        $kernel.map($isa, #[inline(always)] |$($x),+| $y)
    };
}

/// `y[i] = f(x[0][i], …)` for `n` elements, in whole vectors. The last elements, fewer than a vector, go through a buffer and the same
/// loop again, so that `f` (often long, and there are many of them) is compiled once, and that loop has no test in it.
///
/// # Safety
/// The pointers are valid for `n` elements, and equal or not overlapping; to `stream`, `y` is aligned to a vector.
#[inline(always)]
unsafe fn map_vectors<S: Isa, T: Float, const K: usize>(
    isa: S,
    mut x: [*const T; K],
    mut y: *mut T,
    n: usize,
    mut stream: bool,
    f: impl Fn([T::V<S>; K]) -> T::V<S>,
) {
    let lanes = T::V::<S>::LANES;
    let rest = n % lanes;
    let (mut whole, mut end) = (n - rest, rest == 0);
    let mut buffers = [[T::ONE; MAX_LANES]; K];
    let mut output = [T::ONE; MAX_LANES];
    // SAFETY: `i + lanes <= whole`, for which the pointers are valid, the second time those of the buffers; each vector is read before
    // it is written.
    unsafe {
        let out = y;
        loop {
            let mut i = 0;
            while i < whole {
                // A loop, because a closure given to `map` would not be compiled with the instructions.
                let mut operands = [T::V::<S>::splat(isa, T::ONE); K];
                let mut k = 0;
                while k < K {
                    operands[k] = T::V::<S>::load_ptr(isa, x[k].add(i));
                    k += 1;
                }
                let result = f(operands);
                if stream {
                    result.stream_ptr(y.add(i));
                } else {
                    result.store_ptr(y.add(i));
                }
                i += lanes;
            }
            if end {
                break;
            }
            for (x, buffer) in x.iter_mut().zip(&mut buffers) {
                std::ptr::copy_nonoverlapping(x.add(n - rest), buffer.as_mut_ptr(), rest);
                *x = buffer.as_ptr();
            }
            y = output.as_mut_ptr();
            (whole, end, stream) = (lanes, true, false);
        }
        if rest > 0 {
            std::ptr::copy_nonoverlapping(output.as_ptr(), out.add(n - rest), rest);
        }
    }
}

impl<T: Float> Unary<T> {
    #[inline(always)]
    fn map<S: Isa>(&self, isa: S, f: impl Fn(T::V<S>) -> T::V<S>) {
        // SAFETY: the struct's promise.
        unsafe {
            map_vectors::<S, T, 1>(
                isa,
                [self.x],
                self.y,
                self.n,
                self.stream,
                #[inline(always)]
                |[x]| f(x),
            );
        }
    }

    fn scalar(&self) {
        for i in 0..self.n {
            // SAFETY: as above.
            unsafe {
                *self.y.add(i) = T::from_f64(scalar::unary(self.op, (*self.x.add(i)).to_f64()));
            };
        }
    }
}

impl<T: Float> Kernel for Unary<T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let k = Constants(isa);
        let (zero, one) = (k.c::<T>(0.0), k.c::<T>(1.0));
        match self.op {
            UnaryOp::Neg => map!(self, isa, |x| -x),
            UnaryOp::Abs => self.map(isa, FloatVec::abs),
            UnaryOp::Sign => {
                map!(self, isa, |x| choose::<S, T>(
                    x.gt(zero),
                    one,
                    choose::<S, T>(x.lt(zero), -one, zero)
                ));
            }
            UnaryOp::Square => map!(self, isa, |x| x * x),
            UnaryOp::Reciprocal => map!(self, isa, |x| one / x),
            UnaryOp::Sqrt => self.map(isa, FloatVec::sqrt),
            UnaryOp::Rsqrt => map!(self, isa, |x| math::rsqrt::<S, T>(isa, x)),
            UnaryOp::Exp => map!(self, isa, |x| math::exp::<S, T>(isa, x)),
            UnaryOp::Exp2 => map!(self, isa, |x| math::exp2::<S, T>(isa, x)),
            UnaryOp::Expm1 => map!(self, isa, |x| math::expm1::<S, T>(isa, x)),
            UnaryOp::Log => map!(self, isa, |x| math::ln::<S, T>(isa, x)),
            UnaryOp::Log1p => map!(self, isa, |x| math::log1p::<S, T>(isa, x)),
            UnaryOp::Log2 => map!(self, isa, |x| math::log2::<S, T>(isa, x)),
            UnaryOp::Log10 => map!(self, isa, |x| math::log10::<S, T>(isa, x)),
            UnaryOp::Sin => map!(self, isa, |x| math::sin::<S, T>(isa, x)),
            UnaryOp::Cos => map!(self, isa, |x| math::cos::<S, T>(isa, x)),
            UnaryOp::Tan => map!(self, isa, |x| math::tan::<S, T>(isa, x)),
            UnaryOp::Asin => map!(self, isa, |x| math::asin::<S, T>(isa, x)),
            UnaryOp::Acos => map!(self, isa, |x| math::acos::<S, T>(isa, x)),
            UnaryOp::Atan => map!(self, isa, |x| math::atan::<S, T>(isa, x)),
            UnaryOp::Sinh => map!(self, isa, |x| math::sinh::<S, T>(isa, x)),
            UnaryOp::Cosh => map!(self, isa, |x| math::cosh::<S, T>(isa, x)),
            UnaryOp::Tanh => map!(self, isa, |x| math::tanh::<S, T>(isa, x)),
            UnaryOp::Asinh => map!(self, isa, |x| math::asinh::<S, T>(isa, x)),
            UnaryOp::Acosh => map!(self, isa, |x| math::acosh::<S, T>(isa, x)),
            UnaryOp::Atanh => map!(self, isa, |x| math::atanh::<S, T>(isa, x)),
            UnaryOp::Erf => map!(self, isa, |x| math::erf::<S, T>(isa, x)),
            UnaryOp::Erfc => map!(self, isa, |x| math::erfc::<S, T>(isa, x)),
            UnaryOp::Sigmoid => map!(self, isa, |x| math::sigmoid::<S, T>(isa, x)),
            UnaryOp::LogSigmoid => map!(self, isa, |x| -math::softplus::<S, T>(isa, -x)),
            UnaryOp::Floor => self.map(isa, FloatVec::floor),
            UnaryOp::Ceil => self.map(isa, FloatVec::ceil),
            UnaryOp::Round => self.map(isa, FloatVec::round_ties_even),
            UnaryOp::Trunc => self.map(isa, FloatVec::trunc),
            UnaryOp::Frac => map!(self, isa, |x| x - x.trunc()),
            UnaryOp::Relu => map!(self, isa, |x| x.max(zero)),
            UnaryOp::Relu6 => {
                let six = k.c::<T>(6.0);
                map!(self, isa, |x| x.max(zero).min(six));
            }
            UnaryOp::LeakyRelu(slope) => {
                let slope = k.c::<T>(slope);
                map!(self, isa, |x| choose::<S, T>(x.gt(zero), x, slope * x));
            }
            UnaryOp::Elu(_) | UnaryOp::Selu | UnaryOp::Celu(_) => {
                // scale·x above 0, slope·(e^(x/alpha) − 1) below.
                let (scale, slope, alpha) = match self.op {
                    UnaryOp::Elu(alpha) => (1.0, alpha, 1.0),
                    UnaryOp::Celu(alpha) => (1.0, alpha, alpha),
                    _ => (scalar::SELU.0, scalar::SELU.1, 1.0),
                };
                let (scale, slope, alpha) = (k.c::<T>(scale), k.c::<T>(slope), k.c::<T>(alpha));
                map!(self, isa, |x| {
                    choose::<S, T>(
                        x.gt(zero),
                        scale * x,
                        slope * math::expm1::<S, T>(isa, x / alpha),
                    )
                });
            }
            UnaryOp::Gelu => map!(self, isa, |x| math::gelu::<S, T>(isa, x)),
            UnaryOp::GeluTanh => map!(self, isa, |x| math::gelu_tanh::<S, T>(isa, x)),
            UnaryOp::Silu => map!(self, isa, |x| math::silu::<S, T>(isa, x)),
            UnaryOp::Mish => map!(self, isa, |x| math::mish::<S, T>(isa, x)),
            UnaryOp::Softplus { beta, threshold } => {
                let (beta, threshold) = (k.c::<T>(beta), k.c::<T>(threshold));
                map!(self, isa, |x| {
                    let z = x * beta;
                    choose::<S, T>(z.gt(threshold), x, math::softplus::<S, T>(isa, z) / beta)
                });
            }
            UnaryOp::Softsign => map!(self, isa, |x| x / (one + x.abs())),
            UnaryOp::Hardswish | UnaryOp::Hardsigmoid => {
                let (three, six) = (k.c::<T>(3.0), k.c::<T>(6.0));
                let swish = self.op == UnaryOp::Hardswish;
                map!(self, isa, |x| {
                    let gate = (x + three).max(zero).min(six);
                    (if swish { x * gate } else { gate }) / six
                });
            }
            UnaryOp::Hardshrink(lambda) => {
                let lambda = k.c::<T>(lambda);
                map!(self, isa, |x| choose::<S, T>(x.abs().le(lambda), zero, x));
            }
            UnaryOp::Softshrink(lambda) => {
                let lambda = k.c::<T>(lambda);
                map!(self, isa, |x| {
                    let low = choose::<S, T>(x.lt(-lambda), x + lambda, x * zero);
                    choose::<S, T>(x.gt(lambda), x - lambda, low)
                });
            }
            UnaryOp::Tanhshrink => map!(self, isa, |x| x - math::tanh::<S, T>(isa, x)),
            UnaryOp::Threshold { threshold, value } => {
                let (threshold, value) = (k.c::<T>(threshold), k.c::<T>(value));
                map!(self, isa, |x| choose::<S, T>(x.le(threshold), value, x));
            }
            UnaryOp::Clamp { min, max } => {
                let (low, high) = (k.c::<T>(min), k.c::<T>(max));
                map!(self, isa, |x| x.max(low).min(high));
            }
            UnaryOp::NanToNum {
                nan,
                posinf,
                neginf,
            } => {
                let (nan, posinf, neginf) = (k.c::<T>(nan), k.c::<T>(posinf), k.c::<T>(neginf));
                let infinity = k.c::<T>(f64::INFINITY);
                map!(self, isa, |x| {
                    let x = choose::<S, T>(x.is_nan(), nan, x);
                    choose::<S, T>(
                        x.eq(infinity),
                        posinf,
                        choose::<S, T>(x.eq(-infinity), neginf, x),
                    )
                });
            }
            UnaryOp::PowScalar(exponent) => {
                let e = k.c::<T>(exponent);
                if exponent == 2.0 {
                    map!(self, isa, |x| x * x);
                } else if exponent == 3.0 {
                    map!(self, isa, |x| x * x * x);
                } else if exponent == 0.5 {
                    self.map(isa, FloatVec::sqrt);
                } else if exponent == -1.0 {
                    map!(self, isa, |x| one / x);
                } else {
                    map!(self, isa, |x| math::pow::<S, T>(isa, x, e));
                }
            }
            UnaryOp::Affine { scale, shift } => {
                let (scale, shift) = (k.c::<T>(scale), k.c::<T>(shift));
                map!(self, isa, |x| x.mul_add(scale, shift));
            }
            UnaryOp::Erfinv => map!(self, isa, |x| math::erfinv::<S, T>(isa, x)),
            UnaryOp::Lgamma => map!(self, isa, |x| math::lgamma::<S, T>(isa, x)),
            UnaryOp::Digamma => map!(self, isa, |x| math::digamma::<S, T>(isa, x)),
            UnaryOp::Logit | UnaryOp::Sinc | UnaryOp::BitwiseNot => self.scalar(),
        }
    }
}

impl<T: Float> Binary<T> {
    #[inline(always)]
    fn map<S: Isa>(&self, isa: S, f: impl Fn(T::V<S>, T::V<S>) -> T::V<S>) {
        // SAFETY: the struct's promise.
        unsafe {
            map_vectors::<S, T, 2>(
                isa,
                [self.a, self.b],
                self.y,
                self.n,
                self.stream,
                #[inline(always)]
                |[a, b]| f(a, b),
            );
        }
    }

    fn scalar(&self) {
        for i in 0..self.n {
            // SAFETY: as above.
            unsafe {
                let (a, b) = ((*self.a.add(i)).to_f64(), (*self.b.add(i)).to_f64());
                *self.y.add(i) = T::from_f64(scalar::binary(self.op, a, b));
            }
        }
    }
}

impl<T: Float> Kernel for Binary<T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let k = Constants(isa);
        let (zero, one) = (k.c::<T>(0.0), k.c::<T>(1.0));
        match self.op {
            BinaryOp::Add => map!(self, isa, |a, b| a + b),
            BinaryOp::Sub => map!(self, isa, |a, b| a - b),
            BinaryOp::Mul => map!(self, isa, |a, b| a * b),
            BinaryOp::Div => map!(self, isa, |a, b| a / b),
            BinaryOp::TruncDiv => map!(self, isa, |a, b| (a / b).trunc()),
            BinaryOp::Pow => map!(self, isa, |a, b| math::pow::<S, T>(isa, a, b)),
            BinaryOp::Atan2 => map!(self, isa, |a, b| math::atan2::<S, T>(isa, a, b)),
            BinaryOp::Maximum => self.map(isa, FloatVec::max),
            BinaryOp::Minimum => self.map(isa, FloatVec::min),
            BinaryOp::Fmax => {
                map!(self, isa, |a, b| choose::<S, T>(
                    b.is_nan(),
                    a,
                    choose::<S, T>(a.is_nan(), b, a.max(b))
                ));
            }
            BinaryOp::Fmin => {
                map!(self, isa, |a, b| choose::<S, T>(
                    b.is_nan(),
                    a,
                    choose::<S, T>(a.is_nan(), b, a.min(b))
                ));
            }
            BinaryOp::Xlogy => map!(self, isa, |a, b| {
                let y = choose::<S, T>(a.eq(zero), zero, a * math::ln::<S, T>(isa, b));
                choose::<S, T>(b.is_nan(), b, y)
            }),
            BinaryOp::Xlog1py => map!(self, isa, |a, b| {
                let y = choose::<S, T>(a.eq(zero), zero, a * math::log1p::<S, T>(isa, b));
                choose::<S, T>(b.is_nan(), b, y)
            }),
            BinaryOp::LogAddExp => {
                let infinity = k.c::<T>(f64::INFINITY);
                map!(self, isa, |a, b| {
                    let d = -(a - b).abs();
                    let y = a.max(b) + math::log1p::<S, T>(isa, math::exp::<S, T>(isa, d));
                    // Equal infinities would give NaN in the difference.
                    choose::<S, T>(a.eq(b) & a.abs().eq(infinity), a, y)
                });
            }
            BinaryOp::Copysign => self.map(isa, FloatVec::copysign),
            BinaryOp::Heaviside => map!(self, isa, |a, b| choose::<S, T>(
                a.eq(zero),
                b,
                choose::<S, T>(a.gt(zero), one, zero)
            )),
            BinaryOp::TanhBackward => map!(self, isa, |a, b| a * b.neg_mul_add(b, one)),
            BinaryOp::SigmoidBackward => map!(self, isa, |a, b| a * b * (one - b)),
            BinaryOp::ReluBackward => map!(self, isa, |a, b| choose::<S, T>(b.le(zero), zero, a)),
            BinaryOp::Relu6Backward => {
                let six = k.c::<T>(6.0);
                map!(self, isa, |a, b| {
                    let below = choose::<S, T>(b.lt(six), a, zero);
                    choose::<S, T>(b.gt(zero), below, zero)
                });
            }
            BinaryOp::GeluBackward => {
                map!(self, isa, |a, b| a * math::gelu_slope::<S, T>(isa, b));
            }
            BinaryOp::GeluTanhBackward => {
                map!(self, isa, |a, b| a * math::gelu_tanh_slope::<S, T>(isa, b));
            }
            BinaryOp::SiluBackward => {
                map!(self, isa, |a, b| a * math::silu_slope::<S, T>(isa, b));
            }
            BinaryOp::FloorDiv
            | BinaryOp::Remainder
            | BinaryOp::Fmod
            | BinaryOp::Hypot
            | BinaryOp::LogAddExp2
            | BinaryOp::BitwiseAnd
            | BinaryOp::BitwiseOr
            | BinaryOp::BitwiseXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => self.scalar(),
        }
    }
}

impl<T: Float> Ternary<T> {
    #[inline(always)]
    fn map<S: Isa>(&self, isa: S, f: impl Fn(T::V<S>, T::V<S>, T::V<S>) -> T::V<S>) {
        // SAFETY: the struct's promise.
        unsafe {
            map_vectors::<S, T, 3>(
                isa,
                self.operands,
                self.y,
                self.n,
                self.stream,
                #[inline(always)]
                |[a, b, c]| f(a, b, c),
            );
        }
    }
}

impl<T: Float> Kernel for Ternary<T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let k = Constants(isa);
        let (half, one) = (k.c::<T>(0.5), k.c::<T>(1.0));
        match self.op {
            TernaryOp::Lerp => map!(self, isa, |a, b, c| {
                let d = b - a;
                choose::<S, T>(c.abs().lt(half), c.mul_add(d, a), d.neg_mul_add(one - c, b))
            }),
            TernaryOp::Addcmul(value) => {
                let value = k.c::<T>(value);
                map!(self, isa, |a, b, c| (value * b).mul_add(c, a));
            }
            TernaryOp::Addcdiv(value) => {
                let value = k.c::<T>(value);
                map!(self, isa, |a, b, c| a + value * b / c);
            }
            TernaryOp::Clamp => map!(self, isa, |a, b, c| a.max(b).min(c)),
        }
    }
}
