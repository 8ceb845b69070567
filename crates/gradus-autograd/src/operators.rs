//! `+ - * /` and unary minus for [`Var`] and `f64`, by value or by reference.
//!
//! # Panics
//! Where the method of the same name gives `Err`, with its text: shapes that do not broadcast, dtypes that do not mix.
//! In code that must not panic use the methods: `a.add(&b)?`.

use std::ops::{Add, Div, Mul, Neg, Sub};

use gradus_tensor::Result;

use crate::var::Var;

#[track_caller]
fn unwrap(result: Result<Var>) -> Var {
    result.unwrap_or_else(|e| panic!("{e}"))
}

macro_rules! operator {
    ($Op:ident, $method:ident, $scalar:ident) => {
        operator!(@ $Op, $method, Var, Var, |a, b| Var::$method(&a, &b));
        operator!(@ $Op, $method, Var, &Var, |a, b| Var::$method(&a, b));
        operator!(@ $Op, $method, &Var, Var, |a, b| Var::$method(a, &b));
        operator!(@ $Op, $method, &Var, &Var, |a, b| Var::$method(a, b));
        operator!(@ $Op, $method, Var, f64, |a, b| Var::$scalar(&a, b));
        operator!(@ $Op, $method, &Var, f64, |a, b| Var::$scalar(a, b));
    };
    (@ $Op:ident, $method:ident, $A:ty, $B:ty, |$a:ident, $b:ident| $call:expr) => {
        impl $Op<$B> for $A {
            type Output = Var;
            #[track_caller]
            fn $method(self, other: $B) -> Var {
                let ($a, $b) = (self, other);
                unwrap($call)
            }
        }
    };
}

operator!(Add, add, add_scalar);
operator!(Sub, sub, sub_scalar);
operator!(Mul, mul, mul_scalar);
operator!(Div, div, div_scalar);

impl Neg for Var {
    type Output = Var;
    #[track_caller]
    fn neg(self) -> Var {
        unwrap(Var::neg(&self))
    }
}

impl Neg for &Var {
    type Output = Var;
    #[track_caller]
    fn neg(self) -> Var {
        unwrap(Var::neg(self))
    }
}
