//! Elementwise operations on `u8`, `i32`, `i64` (written once over [`Int`]) and `bool`.
//!
//! Integers wrap, as in PyTorch; division and remainder by zero are errors, where PyTorch raises too.

use super::ops::{BinaryOp, UnaryOp};
use crate::Element;

/// What the kernels need of an integer.
pub(crate) trait Int: Element + Ord {
    const BITS: i64;
    fn wadd(self, b: Self) -> Self;
    fn wsub(self, b: Self) -> Self;
    fn wmul(self, b: Self) -> Self;
    /// Rounded towards 0; `b` is not 0.
    fn wdiv(self, b: Self) -> Self;
    /// With the sign of `self`; `b` is not 0.
    fn wrem(self, b: Self) -> Self;
    fn and(self, b: Self) -> Self;
    fn or(self, b: Self) -> Self;
    fn xor(self, b: Self) -> Self;
    fn not(self) -> Self;
    fn shl(self, n: u32) -> Self;
    fn shr(self, n: u32) -> Self;
}

macro_rules! int {
    ($t:ident) => {
        impl Int for $t {
            const BITS: i64 = $t::BITS as i64;
            #[inline(always)]
            fn wadd(self, b: Self) -> Self {
                self.wrapping_add(b)
            }
            #[inline(always)]
            fn wsub(self, b: Self) -> Self {
                self.wrapping_sub(b)
            }
            #[inline(always)]
            fn wmul(self, b: Self) -> Self {
                self.wrapping_mul(b)
            }
            #[inline(always)]
            fn wdiv(self, b: Self) -> Self {
                self.wrapping_div(b)
            }
            #[inline(always)]
            fn wrem(self, b: Self) -> Self {
                self.wrapping_rem(b)
            }
            #[inline(always)]
            fn and(self, b: Self) -> Self {
                self & b
            }
            #[inline(always)]
            fn or(self, b: Self) -> Self {
                self | b
            }
            #[inline(always)]
            fn xor(self, b: Self) -> Self {
                self ^ b
            }
            #[inline(always)]
            fn not(self) -> Self {
                !self
            }
            #[inline(always)]
            fn shl(self, n: u32) -> Self {
                self << n
            }
            #[inline(always)]
            fn shr(self, n: u32) -> Self {
                self >> n
            }
        }
    };
}
int!(u8);
int!(i32);
int!(i64);

fn sign<I: Int>(x: I) -> I {
    match x.cmp(&I::ZERO) {
        std::cmp::Ordering::Less => I::ZERO.wsub(I::ONE),
        std::cmp::Ordering::Equal => I::ZERO,
        std::cmp::Ordering::Greater => I::ONE,
    }
}

/// aᵇ, wrapping; a negative exponent gives 0 except for the bases 1 and −1 (PyTorch's `powi`).
fn pow<I: Int>(a: I, b: I) -> I {
    if b < I::ZERO {
        let minus_one = I::ZERO.wsub(I::ONE);
        return if a == I::ONE {
            I::ONE
        } else if a == minus_one {
            if b.and(I::ONE) == I::ZERO {
                I::ONE
            } else {
                minus_one
            }
        } else {
            I::ZERO
        };
    }
    let (mut base, mut rest, mut result) = (a, b, I::ONE);
    while rest > I::ZERO {
        if rest.and(I::ONE) == I::ONE {
            result = result.wmul(base);
        }
        base = base.wmul(base);
        rest = rest.shr(1);
    }
    result
}

/// Whether the integers have this operation.
pub(crate) fn has_unary(op: UnaryOp) -> bool {
    #[allow(clippy::enum_glob_use)]
    use UnaryOp::*;
    matches!(
        op,
        Neg | Abs
            | Sign
            | Square
            | Floor
            | Ceil
            | Round
            | Trunc
            | Relu
            | Relu6
            | Threshold { .. }
            | Clamp { .. }
            | NanToNum { .. }
            | Affine { .. }
            | BitwiseNot
    )
}

/// Whether the integers have this operation.
pub(crate) fn has_binary(op: BinaryOp) -> bool {
    #[allow(clippy::enum_glob_use)]
    use BinaryOp::*;
    matches!(
        op,
        Add | Sub
            | Mul
            | FloorDiv
            | TruncDiv
            | Remainder
            | Fmod
            | Pow
            | Maximum
            | Minimum
            | Fmax
            | Fmin
            | Heaviside
            | BitwiseAnd
            | BitwiseOr
            | BitwiseXor
            | ShiftLeft
            | ShiftRight
            | ReluBackward
            | Relu6Backward
    )
}

/// The value of a unary operation the integers have (any other leaves `x`).
#[inline(always)]
pub(crate) fn unary<I: Int>(op: UnaryOp, x: I) -> I {
    let int = |value: f64| I::from_i64(value as i64);
    match op {
        UnaryOp::Neg => I::ZERO.wsub(x),
        UnaryOp::Abs => {
            if x < I::ZERO {
                I::ZERO.wsub(x)
            } else {
                x
            }
        }
        UnaryOp::Sign => sign(x),
        UnaryOp::Square => x.wmul(x),
        UnaryOp::Relu => x.max(I::ZERO),
        UnaryOp::Relu6 => x.max(I::ZERO).min(int(6.0)),
        UnaryOp::Threshold { threshold, value } => {
            if x.to_f64() <= threshold {
                int(value)
            } else {
                x
            }
        }
        UnaryOp::Clamp { min, max } => x.max(I::from_f64(min)).min(I::from_f64(max)),
        UnaryOp::Affine { scale, shift } => x.wmul(int(scale)).wadd(int(shift)),
        UnaryOp::BitwiseNot => x.not(),
        _ => x,
    }
}

/// The value of a binary operation the integers have, or `None` for a division by zero.
#[inline(always)]
pub(crate) fn binary<I: Int>(op: BinaryOp, a: I, b: I) -> Option<I> {
    let divides = matches!(
        op,
        BinaryOp::FloorDiv | BinaryOp::TruncDiv | BinaryOp::Remainder | BinaryOp::Fmod
    );
    if divides && b == I::ZERO {
        return None;
    }
    Some(match op {
        BinaryOp::Add => a.wadd(b),
        BinaryOp::Sub => a.wsub(b),
        BinaryOp::Mul => a.wmul(b),
        BinaryOp::TruncDiv => a.wdiv(b),
        BinaryOp::Fmod => a.wrem(b),
        BinaryOp::FloorDiv => {
            let (q, m) = (a.wdiv(b), a.wrem(b));
            if m != I::ZERO && (m < I::ZERO) != (b < I::ZERO) {
                q.wsub(I::ONE)
            } else {
                q
            }
        }
        BinaryOp::Remainder => {
            let m = a.wrem(b);
            if m != I::ZERO && (m < I::ZERO) != (b < I::ZERO) {
                m.wadd(b)
            } else {
                m
            }
        }
        BinaryOp::Pow => pow(a, b),
        BinaryOp::Maximum | BinaryOp::Fmax => a.max(b),
        BinaryOp::Minimum | BinaryOp::Fmin => a.min(b),
        BinaryOp::Heaviside => match a.cmp(&I::ZERO) {
            std::cmp::Ordering::Less => I::ZERO,
            std::cmp::Ordering::Equal => b,
            std::cmp::Ordering::Greater => I::ONE,
        },
        BinaryOp::BitwiseAnd => a.and(b),
        BinaryOp::BitwiseOr => a.or(b),
        BinaryOp::BitwiseXor => a.xor(b),
        BinaryOp::ShiftLeft => {
            if (0..I::BITS).contains(&b.to_i64()) {
                a.shl(b.to_i64() as u32)
            } else {
                I::ZERO
            }
        }
        BinaryOp::ShiftRight => {
            if (0..I::BITS).contains(&b.to_i64()) {
                a.shr(b.to_i64() as u32)
            } else if a < I::ZERO {
                I::ZERO.wsub(I::ONE)
            } else {
                I::ZERO
            }
        }
        BinaryOp::ReluBackward => {
            if b <= I::ZERO {
                I::ZERO
            } else {
                a
            }
        }
        BinaryOp::Relu6Backward => {
            if b > I::ZERO && b < I::from_i64(6) {
                a
            } else {
                I::ZERO
            }
        }
        _ => a,
    })
}

/// Whether `bool` has this operation.
pub(crate) fn bool_has_unary(op: UnaryOp) -> bool {
    matches!(
        op,
        UnaryOp::Sign | UnaryOp::BitwiseNot | UnaryOp::NanToNum { .. }
    )
}

/// Whether `bool` has this operation.
pub(crate) fn bool_has_binary(op: BinaryOp) -> bool {
    #[allow(clippy::enum_glob_use)]
    use BinaryOp::*;
    matches!(
        op,
        Add | Mul | Maximum | Minimum | Fmax | Fmin | BitwiseAnd | BitwiseOr | BitwiseXor
    )
}

/// The value of a unary operation `bool` has.
pub(crate) fn bool_unary(op: UnaryOp, x: bool) -> bool {
    (op == UnaryOp::BitwiseNot) ^ x
}

/// The value of a binary operation `bool` has.
pub(crate) fn bool_binary(op: BinaryOp, a: bool, b: bool) -> bool {
    #[allow(clippy::enum_glob_use)]
    use BinaryOp::*;
    match op {
        Add | Maximum | Fmax | BitwiseOr => a | b,
        BitwiseXor => a ^ b,
        _ => a & b,
    }
}
