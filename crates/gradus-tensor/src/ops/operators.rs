//! The operators `+ - * / ! -x` and their numbers. The only functions of this crate that panic: where the method
//! returns `Err`, with its text. An operand given by value lends its memory to the result.

use gradus_cpu::elementwise::BinaryOp;

use crate::error::{Error, Result};
use crate::ops::binary::operator;
use crate::ops::operand::Operand;
use crate::tensor::Tensor;

#[track_caller]
fn unwrap(result: Result<Tensor, Error>) -> Tensor {
    match result {
        Ok(x) => x,
        Err(e) => panic!("{e}"),
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident;)*) => {$(
        operators!(@ $trait $method, &Tensor, |a| Operand::Ref(a), &Tensor, |b| Operand::Ref(b));
        operators!(@ $trait $method, &Tensor, |a| Operand::Ref(a), Tensor, |b| Operand::Own(b));
        operators!(@ $trait $method, Tensor, |a| Operand::Own(a), &Tensor, |b| Operand::Ref(b));
        operators!(@ $trait $method, Tensor, |a| Operand::Own(a), Tensor, |b| Operand::Own(b));
        operators!(@ $trait $method, &Tensor, |a| Operand::Ref(a), f64, |b| Operand::Num(b.into()));
        operators!(@ $trait $method, Tensor, |a| Operand::Own(a), f64, |b| Operand::Num(b.into()));
        operators!(@ $trait $method, f64, |a| Operand::Num(a.into()), &Tensor, |b| Operand::Ref(b));
        operators!(@ $trait $method, f64, |a| Operand::Num(a.into()), Tensor, |b| Operand::Own(b));
    )*};
    (@ $trait:ident $method:ident, $A:ty, |$a:ident| $ea:expr, $B:ty, |$b:ident| $eb:expr) => {
        impl std::ops::$trait<$B> for $A {
            type Output = Tensor;
            #[doc = concat!("Panics where [`Tensor::", stringify!($method), "`] returns an error, with its text.")]
            #[track_caller]
            fn $method(self, other: $B) -> Tensor {
                let ($a, $b) = (self, other);
                unwrap(operator(BinaryOp::$trait, $ea, $eb))
            }
        }
    };
}

operators! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
}

impl std::ops::Neg for &Tensor {
    type Output = Tensor;
    /// Panics where [`Tensor::neg`] returns an error, with its text.
    #[track_caller]
    fn neg(self) -> Tensor {
        unwrap(Tensor::neg(self))
    }
}

impl std::ops::Neg for Tensor {
    type Output = Tensor;
    /// Panics where [`Tensor::neg_`] returns an error, with its text.
    #[track_caller]
    fn neg(self) -> Tensor {
        unwrap(self.neg_())
    }
}

impl std::ops::Not for &Tensor {
    type Output = Tensor;
    /// Panics where [`Tensor::bitwise_not`] returns an error (floats), with its text.
    #[track_caller]
    fn not(self) -> Tensor {
        unwrap(self.bitwise_not())
    }
}
