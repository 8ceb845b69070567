//! Several elementwise operations in one pass: [`Tensor::fused`].
//!
//! The formula is written once, over expressions that stand for the operands; what it says is done a block at a time, so memory is read
//! and written once however long it is. Results are those of the operations one by one, bit for bit (but for f16 and bf16 with plain
//! numbers, which are there rounded less often).

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

use gradus_cpu::elementwise::{BinaryOp, Step, UnaryOp, Value, chain};

use super::operand::{broadcast_all, stretched};
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::{Tensor, view};

/// An operand of [`Tensor::fused`], or what has been computed from some.
#[derive(Clone, Copy, Debug)]
pub struct Expr<'p> {
    value: Value,
    program: &'p RefCell<Vec<Step>>,
}

impl<'p> Expr<'p> {
    fn step(self, step: Step) -> Expr<'p> {
        let mut steps = self.program.borrow_mut();
        steps.push(step);
        Expr {
            value: Value::Step(steps.len() - 1),
            program: self.program,
        }
    }

    fn unary(self, op: UnaryOp) -> Expr<'p> {
        self.step(Step::Unary(op, self.value))
    }

    fn binary(self, op: BinaryOp, other: Expr<'p>) -> Expr<'p> {
        self.step(Step::Binary(op, [self.value, other.value]))
    }

    /// x·scale + shift.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::arange(0, 3, 1, DType::F32)?;
    /// assert_eq!(Tensor::fused(&[&x], |x| x[0].affine(2.0, 1.0))?.to_vec::<f32>()?, [1.0, 3.0, 5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn affine(self, scale: f64, shift: f64) -> Expr<'p> {
        self.unary(UnaryOp::Affine { scale, shift })
    }

    /// The larger of both.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::arange(-1, 2, 1, DType::F32)?;
    /// assert_eq!(Tensor::fused(&[&x], |x| x[0].maximum(-x[0]))?.to_vec::<f32>()?, [1.0, 0.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn maximum(self, other: Expr<'p>) -> Expr<'p> {
        self.binary(BinaryOp::Maximum, other)
    }

    /// The smaller of both.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::arange(-1, 2, 1, DType::F32)?;
    /// assert_eq!(Tensor::fused(&[&x], |x| x[0].minimum(-x[0]))?.to_vec::<f32>()?, [-1.0, 0.0, -1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn minimum(self, other: Expr<'p>) -> Expr<'p> {
        self.binary(BinaryOp::Minimum, other)
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => {
        impl<'p> Expr<'p> {$(
            $(#[$doc])*
            pub fn $name(self) -> Expr<'p> {
                self.unary(UnaryOp::$op)
            }
        )*}
    };
}

functions! {
    /// max(x, 0).
    relu Relu;
    /// 1/(1 + e⁻ˣ).
    sigmoid Sigmoid;
    /// The hyperbolic tangent.
    tanh Tanh;
    /// x·Φ(x).
    gelu Gelu;
    /// x·Φ(x), Φ approximated with tanh.
    gelu_tanh GeluTanh;
    /// x·sigmoid(x).
    silu Silu;
    /// eˣ.
    exp Exp;
    /// The natural logarithm.
    log Log;
    /// √x.
    sqrt Sqrt;
    /// 1/√x.
    rsqrt Rsqrt;
    /// x².
    square Square;
    /// |x|.
    abs Abs;
    /// 1/x.
    reciprocal Reciprocal;
}

macro_rules! operators {
    ($($op:ident $method:ident $kernel:ident;)*) => {$(
        impl<'p> $op for Expr<'p> {
            type Output = Expr<'p>;
            fn $method(self, other: Expr<'p>) -> Expr<'p> {
                self.binary(BinaryOp::$kernel, other)
            }
        }
    )*};
}

operators! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
}

impl<'p> Neg for Expr<'p> {
    type Output = Expr<'p>;
    fn neg(self) -> Expr<'p> {
        self.unary(UnaryOp::Neg)
    }
}

impl Tensor {
    /// A formula of several tensors, element by element, in one pass over memory. They broadcast, and have one float dtype.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[1f32, -2.0, 3.0, -4.0], [2, 2])?;
    /// let b = Tensor::from_slice(&[10f32, 0.5], 2)?;
    /// let y = Tensor::fused(&[&a, &b], |x| (x[0] * x[1] + x[0]).relu())?;
    /// assert_eq!(y.to_vec::<f32>()?, [11.0, 0.0, 33.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no operand, the shapes do not broadcast, or the dtypes are not one float dtype.
    pub fn fused(
        operands: &[&Tensor],
        formula: impl for<'p> FnOnce(&[Expr<'p>]) -> Expr<'p>,
    ) -> Result<Tensor> {
        let op = "fused";
        let Some(first) = operands.first() else {
            return Err(Error::value(op, "there are no operands"));
        };
        let dtype = first.dtype();
        if let Some(other) = operands.iter().find(|x| x.dtype() != dtype) {
            let message = format!(
                "{dtype} and {}: convert to one float dtype first",
                other.dtype()
            );
            return Err(Error::dtype(op, message));
        }
        let program = RefCell::new(Vec::new());
        let inputs: Vec<Expr<'_>> = (0..operands.len())
            .map(|i| Expr {
                value: Value::Input(i),
                program: &program,
            })
            .collect();
        let mut steps = {
            let result = formula(&inputs);
            match result.value {
                // Steps after the one that counts do not.
                Value::Step(i) => program.borrow()[..=i].to_vec(),
                Value::Input(i) => vec![Step::Unary(
                    UnaryOp::Affine {
                        scale: 1.0,
                        shift: -0.0,
                    },
                    Value::Input(i),
                )],
            }
        };
        forget_unused(&mut steps);
        let shapes: Vec<Shape> = operands.iter().map(|x| x.shape().clone()).collect();
        let shape = broadcast_all(op, &shapes)?;
        on_cuda!([operands.iter().find(|x| x.is_cuda()).unwrap_or(first)] => {
            cuda::elementwise::chain(op, &shape, &steps, operands)
        });
        let layouts = operands
            .iter()
            .map(|x| stretched(x, &shape))
            .collect::<Result<Vec<_>>>()?;
        dispatch!(float dtype, T => {
            let pairs = operands.iter().zip(&layouts);
            let views = pairs.map(|(x, layout)| view::<T>(x, layout)).collect::<Result<Vec<_>>>()?;
            Tensor::try_build::<T>(op, &shape, |y| Ok(chain(&steps, &views, y)?))
        }, else Err(Error::dtype(op, format!("{dtype} is not a float"))))
    }
}

/// Takes out steps nobody uses.
fn forget_unused(steps: &mut Vec<Step>) {
    let mut used = vec![false; steps.len()];
    if let Some(last) = used.last_mut() {
        *last = true;
    }
    let values = |step: &Step| match *step {
        Step::Unary(_, x) => vec![x],
        Step::Binary(_, x) => x.to_vec(),
        Step::Ternary(_, x) => x.to_vec(),
    };
    for i in (0..steps.len()).rev() {
        if used[i] {
            for value in values(&steps[i]) {
                if let Value::Step(j) = value {
                    used[j] = true;
                }
            }
        }
    }
    let mut place = vec![0; steps.len()];
    let mut kept = Vec::with_capacity(steps.len());
    for (i, step) in steps.iter().enumerate().filter(|(i, _)| used[*i]) {
        let moved = |value: Value| match value {
            Value::Step(j) => Value::Step(place[j]),
            input => input,
        };
        let step = match *step {
            Step::Unary(op, x) => Step::Unary(op, moved(x)),
            Step::Binary(op, x) => Step::Binary(op, x.map(moved)),
            Step::Ternary(op, x) => Step::Ternary(op, x.map(moved)),
        };
        place[i] = kept.len();
        kept.push(step);
    }
    *steps = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;

    #[test]
    fn formulas_are_their_operations() -> Result<()> {
        let a = Tensor::arange(-3.0, 3.0, 0.25, DType::F32)?.reshape([4, 6])?;
        let b = Tensor::arange(0.5, 3.5, 0.5, DType::F32)?; // (6)
        for dtype in [DType::F32, DType::F64, DType::BF16] {
            let (a, b) = (a.to_dtype(dtype)?, b.to_dtype(dtype)?);
            let fused = Tensor::fused(&[&a, &b], |x| {
                let _unused = x[0].exp();
                let s = (x[0] / x[1]).sigmoid();
                -(s * x[0]) + s.square() - x[1].sqrt()
            })?;
            let s = Tensor::div(&a, &b)?.sigmoid()?;
            let left = Tensor::neg(&Tensor::mul(&s, &a)?)?;
            let left = Tensor::add(&left, &s.square()?)?;
            let want = Tensor::sub(&left, &b.sqrt()?)?;
            assert!(fused.equal(&want)?, "{dtype}: {fused} {want}");
        }
        assert!(Tensor::fused(&[&a, &b], |x| x[1])?.equal(&b.broadcast_to([4, 6])?)?);
        assert!(Tensor::fused(&[&a, &b.to_dtype(DType::F64)?], |x| x[0] + x[1]).is_err());
        assert!(Tensor::fused(&[&a, &a.t()?], |x| x[0] + x[1]).is_err());
        assert!(Tensor::fused(&[], |x| x[0]).is_err());
        Ok(())
    }
}
