//! Elementwise operations on every element type that has them.
use crate::common::{Placed, same_bits};
use crate::ops::{BINARY, TERNARY, UNARY, value};
use gradus_cpu::elementwise::{
    BinaryOp, CompareOp, PredicateOp, UnaryOp, binary, binary_in_place, binary_in_place_right,
    compare, predicate, ternary, unary, unary_in_place, where_, where_in_place,
};
use gradus_cpu::{Element, View, bf16, f16};

/// Ordinary and special floats; integers of both signs, and never 0 in a second operand.
fn operand<T: Element>(i: usize, nonzero: bool) -> T {
    if T::KIND.is_float() {
        return T::from_f64(value(if nonzero { i * 3 + 11 } else { i }));
    }
    let x = T::from_i64((i as i64 * 7919 + 13) % 2003 - 1000);
    if nonzero && x == T::ZERO { T::ONE } else { x }
}

fn unary_operations<T: Element>() {
    let extra = [UnaryOp::PowScalar(0.5), UnaryOp::BitwiseNot];
    for &op in UNARY.iter().chain(&extra) {
        if unary::<T>(op, View::contiguous(&[], &[0]).unwrap(), &mut []).is_err() {
            continue; // not of this type
        }
        same_bits(&format!("{op:?} {}", T::NAME), |n, offset| {
            let x = Placed::<T>::new(n, offset, |i| operand(i, false));
            let mut y = Placed::output(n, 5 * offset);
            unary(op, x.view(&[n]), y.get_mut()).unwrap();
            let mut z = x;
            unary_in_place(op, z.get_mut()).unwrap();
            assert_eq!(z.bits(), y.bits(), "{op:?} in place");
            y.bits()
        });
    }
}

fn binary_operations<T: Element>() {
    use BinaryOp::*;
    let extra = [BitwiseAnd, BitwiseOr, BitwiseXor, ShiftLeft, ShiftRight];
    for &op in BINARY.iter().chain(&extra) {
        let none = View::contiguous(&[], &[0]).unwrap();
        if binary::<T>(op, none, none, &mut []).is_err() {
            continue;
        }
        same_bits(&format!("{op:?} {}", T::NAME), |n, offset| {
            let a = Placed::<T>::new(n, offset, |i| operand(i, false));
            let b = Placed::<T>::new(n, 3 * offset, |i| operand(i, true));
            let mut y = Placed::output(n, 5 * offset);
            binary(op, a.view(&[n]), b.view(&[n]), y.get_mut()).unwrap();
            let (mut left, mut right) = (a.clone(), b.clone());
            binary_in_place(op, left.get_mut(), b.view(&[n])).unwrap();
            binary_in_place_right(op, a.view(&[n]), right.get_mut()).unwrap();
            assert_eq!(left.bits(), y.bits(), "{op:?} into the left");
            assert_eq!(right.bits(), y.bits(), "{op:?} into the right");
            y.bits()
        });
    }
}

fn ternary_operations<T: Element>() {
    for &op in TERNARY {
        same_bits(&format!("{op:?} {}", T::NAME), |n, offset| {
            let a = Placed::<T>::new(n, offset, |i| operand(i, false));
            let b = Placed::<T>::new(n, 3 * offset, |i| operand(i, true));
            let c = Placed::<T>::new(n, 7 * offset, |i| operand(i + 5, true));
            let mut y = Placed::output(n, 5 * offset);
            ternary(op, a.view(&[n]), b.view(&[n]), c.view(&[n]), y.get_mut()).unwrap();
            y.bits()
        });
    }
}

fn decisions<T: Element>() {
    use CompareOp::*;
    use PredicateOp::*;
    for op in [Eq, Ne, Lt, Le, Gt, Ge, LogicalAnd, LogicalOr, LogicalXor] {
        same_bits(&format!("{op:?} {}", T::NAME), |n, offset| {
            let a = Placed::<T>::new(n, offset, |i| operand(i, false));
            let b = Placed::<T>::new(n, 3 * offset, |i| operand(i / 2 * 2, false));
            let mut y = Placed::output(n, 5 * offset);
            compare(op, a.view(&[n]), b.view(&[n]), y.get_mut()).unwrap();
            // `where` takes what was decided.
            let (mut z, mut w) = (Placed::output(n, 5 * offset), b.clone());
            where_(y.view(&[n]), a.view(&[n]), b.view(&[n]), z.get_mut()).unwrap();
            where_in_place(y.view(&[n]), a.view(&[n]), w.get_mut()).unwrap();
            assert_eq!(z.bits(), w.bits(), "where in place");
            [y.bits(), z.bits()].concat()
        });
    }
    for op in [
        IsNan, IsInf, IsFinite, IsPosInf, IsNegInf, Signbit, IsZero, IsNonzero,
    ] {
        same_bits(&format!("{op:?} {}", T::NAME), |n, offset| {
            let x = Placed::<T>::new(n, offset, |i| operand(i, false));
            let mut y = Placed::output(n, 5 * offset);
            predicate(op, x.view(&[n]), y.get_mut()).unwrap();
            y.bits()
        });
    }
}

fn all<T: Element>() {
    unary_operations::<T>();
    binary_operations::<T>();
    decisions::<T>();
    if T::KIND.is_float() {
        ternary_operations::<T>();
    }
}

#[test]
fn f32_operations() {
    all::<f32>();
}

#[test]
fn f64_operations() {
    all::<f64>();
}

#[test]
fn half_operations() {
    all::<f16>();
    all::<bf16>();
}

#[test]
fn integer_operations() {
    all::<u8>();
    all::<i32>();
    all::<i64>();
    all::<bool>();
}
