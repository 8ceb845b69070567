//! Elementwise ops on a GPU. An op of the CPU and its kernel's number have one name; an op without such a twin is an error.

use gradus_cpu::elementwise::{self as cpu, Step, Value};
use gradus_cuda::manifest::{BinaryOp, CompareOp, TernaryOp, UnaryOp};
use gradus_cuda::ops::elementwise;

use super::copy::like;
use super::order::Order;
use super::{together, view};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ops::operand::{broadcast_all, stretched};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The error of an op that the kernels do not know.
fn unknown(op: &'static str, x: &Tensor) -> Error {
    super::not_here(op, x.device())
}

/// An op's twin among the kernels' numbers: the variant of the same name, so that none can become another.
macro_rules! twins {
    ($op:expr, $cpu:ident => $cuda:ident: $($variant:ident)*) => {
        match $op {
            $(cpu::$cpu::$variant => Some($cuda::$variant),)*
            #[allow(unreachable_patterns)] // where all have a twin
            _ => None,
        }
    };
}

/// The operands' layouts, stretched to `shape` and looked at in the order that the result shall have.
fn looks<const K: usize>(operands: [&Tensor; K], shape: &Shape) -> Result<(Order, [Layout; K])> {
    let mut all = Vec::with_capacity(K);
    for x in operands {
        all.push(stretched(x, shape)?);
    }
    let order = Order::of(&all.iter().map(|l| &**l).collect::<Vec<_>>());
    let mut out = std::array::from_fn(|_| Layout::contiguous(Shape::from(0)));
    for (out, layout) in out.iter_mut().zip(&all) {
        *out = order.look(layout)?;
    }
    Ok((order, out))
}

/// The kernel's number of an op, and its constants.
pub(crate) fn unary_twin(op: cpu::UnaryOp) -> Option<(UnaryOp, [f64; 2])> {
    use cpu::UnaryOp as U;
    let (twin, [p, q]) = match op {
        U::LeakyRelu(slope) => (UnaryOp::LeakyRelu, [slope, 0.0]),
        U::Elu(alpha) => (UnaryOp::Elu, [alpha, 0.0]),
        U::PowScalar(exponent) => (UnaryOp::PowScalar, [exponent, 0.0]),
        U::Softplus { beta, threshold } => (UnaryOp::Softplus, [beta, threshold]),
        U::Clamp { min, max } => (UnaryOp::Clamp, [min, max]),
        U::Affine { scale, shift } => (UnaryOp::Affine, [scale, shift]),
        plain => (
            twins!(plain, UnaryOp => UnaryOp:
                Neg Abs Sign Square Reciprocal Sqrt Rsqrt Exp Exp2 Expm1 Log Log1p Log2 Log10 Sin Cos Tan Asin Acos Atan Sinh Cosh
                Tanh Asinh Acosh Atanh Erf Erfc Erfinv Lgamma Digamma Sinc Sigmoid LogSigmoid Floor Ceil Round Trunc Frac Relu Relu6 Selu Gelu GeluTanh Silu
                Mish Softsign Hardswish Hardsigmoid)?,
            [0.0; 2],
        ),
    };
    Some((twin, [p, q]))
}

/// The kernel's number of an op.
pub(crate) fn binary_twin(op: cpu::BinaryOp) -> Option<BinaryOp> {
    twins!(op, BinaryOp => BinaryOp:
        Add Sub Mul Maximum Minimum Div FloorDiv Remainder Fmod Pow Atan2 Hypot Xlogy LogAddExp Copysign Heaviside TanhBackward SigmoidBackward
        ReluBackward Relu6Backward GeluBackward GeluTanhBackward SiluBackward)
}

/// The kernel's number of a comparison.
pub(crate) fn compare_twin(op: cpu::CompareOp) -> Option<CompareOp> {
    twins!(op, CompareOp => CompareOp: Eq Ne Lt Le Gt Ge LogicalAnd LogicalOr LogicalXor)
}

/// The kernel's number of an op of three operands, and its constant.
pub(crate) fn ternary_twin(op: cpu::TernaryOp) -> Option<(TernaryOp, f64)> {
    let (twin, p) = match op {
        cpu::TernaryOp::Addcmul(p) => (TernaryOp::Addcmul, p),
        cpu::TernaryOp::Addcdiv(p) => (TernaryOp::Addcdiv, p),
        plain => (twins!(plain, TernaryOp => TernaryOp: Lerp Clamp)?, 0.0),
    };
    Some((twin, p))
}

/// `op(x)` in the dtype of `x`.
pub(crate) fn unary(op: cpu::UnaryOp, x: &Tensor) -> Result<Tensor> {
    let gpu = together(op.name(), &[x])?;
    if let cpu::UnaryOp::Neg | cpu::UnaryOp::Square = op
        && x.dtype().is_int()
    {
        // Whole numbers wrap in the binary kernels, which they have.
        return match op {
            cpu::UnaryOp::Neg => x.zeros_like()?.sub(x),
            _ => x.mul(x),
        };
    }
    let Some((twin, constants)) = unary_twin(op) else {
        return super::composed::unary(op, x)?.ok_or_else(|| unknown(op.name(), x));
    };
    let order = Order::of(&[&x.layout]);
    let look = order.look(&x.layout)?;
    dispatch_cuda!(float op.name(), x.dtype(), T => {
        let v = view::<T>(x, &look)?;
        order.build::<T>(&gpu, x.shape(), x.dtype(), |y| elementwise::unary_with(twin, constants, &v, y))
    })
}

/// `op(a, b)` of operands of one dtype, which broadcast to `shape`.
pub(crate) fn binary(op: cpu::BinaryOp, shape: &Shape, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let name = op.name();
    let (a, b) = pair(name, a, b)?;
    let gpu = together(name, &[&a, &b])?;
    let Some(twin) = binary_twin(op) else {
        return super::composed::binary(op, &a, &b)?.ok_or_else(|| unknown(name, &a));
    };
    let (order, [la, lb]) = looks([&a, &b], shape)?;
    dispatch_cuda!(name, a.dtype(), T => {
        let (va, vb) = (view::<T>(&a, &la)?, view::<T>(&b, &lb)?);
        order.build::<T>(&gpu, shape, a.dtype(), |y| elementwise::binary(twin, &va, &vb, y))
    })
}

/// Both where one of them is: the other may be a number of the CPU.
fn pair(op: &'static str, a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    if a.is_cuda() {
        Ok((a.clone(), like(op, a, b)?))
    } else {
        Ok((like(op, b, a)?, b.clone()))
    }
}

/// `op(a, b)` as bool.
pub(crate) fn compare(op: cpu::CompareOp, shape: &Shape, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let name = op.name();
    let (a, b) = pair(name, a, b)?;
    let gpu = together(name, &[&a, &b])?;
    let twin = compare_twin(op).ok_or_else(|| unknown(name, &a))?;
    let (order, [la, lb]) = looks([&a, &b], shape)?;
    dispatch_cuda!(name, a.dtype(), T => {
        let (va, vb) = (view::<T>(&a, &la)?, view::<T>(&b, &lb)?);
        order.build::<bool>(&gpu, shape, DType::Bool, |y| elementwise::compare(twin, &va, &vb, y))
    })
}

/// What a predicate asks, as comparisons: `x ≠ x`, `|x| = ∞`, …
pub(crate) fn predicate(op: cpu::PredicateOp, name: &'static str, x: &Tensor) -> Result<Tensor> {
    use cpu::PredicateOp as P;
    let infinite = f64::INFINITY;
    match op {
        P::IsZero => x.eq_scalar(0),
        P::IsNonzero => no(&x.eq_scalar(0)?),
        P::IsNan if x.dtype().is_float() => x.ne(x),
        P::IsInf if x.dtype().is_float() => x.abs()?.eq_scalar(infinite),
        P::IsFinite if x.dtype().is_float() => x.abs()?.lt_scalar(infinite),
        P::IsPosInf if x.dtype().is_float() => x.eq_scalar(infinite),
        P::IsNegInf if x.dtype().is_float() => x.eq_scalar(-infinite),
        P::IsFinite => x.eq(x),
        P::IsNan | P::IsInf | P::IsPosInf | P::IsNegInf => x.ne(x),
        P::Signbit => Err(unknown(name, x)),
    }
}

/// The opposite of a mask.
fn no(mask: &Tensor) -> Result<Tensor> {
    mask.eq_scalar(false)
}

/// `op(a, b, c)` of operands of one dtype.
pub(crate) fn ternary(
    op: cpu::TernaryOp,
    shape: &Shape,
    a: &Tensor,
    b: &Tensor,
    c: &Tensor,
) -> Result<Tensor> {
    let name = op.name();
    let model = if a.is_cuda() {
        a
    } else if b.is_cuda() {
        b
    } else {
        c
    };
    let place = |x: &Tensor| like(name, model, x);
    let (a, b, c) = (place(a)?, place(b)?, place(c)?);
    let gpu = together(name, &[&a, &b, &c])?;
    let (twin, p) = ternary_twin(op).ok_or_else(|| unknown(name, &a))?;
    let (order, [la, lb, lc]) = looks([&a, &b, &c], shape)?;
    dispatch_cuda!(float name, a.dtype(), T => {
        let (va, vb, vc) = (view::<T>(&a, &la)?, view::<T>(&b, &lb)?, view::<T>(&c, &lc)?);
        order.build::<T>(&gpu, shape, a.dtype(), |y| elementwise::ternary(twin, p, &va, &vb, &vc, y))
    })
}

/// `a` where the mask holds, else `b`; `a` and `b` of one dtype.
pub(crate) fn where_(shape: &Shape, mask: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let op = "where";
    let (a, b) = match (a.is_cuda(), b.is_cuda()) {
        (false, false) => (like(op, mask, a)?, like(op, mask, b)?),
        _ => pair(op, a, b)?,
    };
    let gpu = together(op, &[mask, &a, &b])?;
    let (order, [lm, la, lb]) = looks([mask, &a, &b], shape)?;
    let m = view::<bool>(mask, &lm)?;
    dispatch_cuda!(op, a.dtype(), T => {
        let (va, vb) = (view::<T>(&a, &la)?, view::<T>(&b, &lb)?);
        order.build::<T>(&gpu, shape, a.dtype(), |y| elementwise::where_(&m, &va, &vb, y))
    })
}

/// A program of elementwise ops, one kernel each: [`Tensor::fused`] on a GPU.
pub(crate) fn chain(
    op: &'static str,
    shape: &Shape,
    steps: &[Step],
    x: &[&Tensor],
) -> Result<Tensor> {
    together(op, x)?;
    let mut values: Vec<Tensor> = Vec::with_capacity(steps.len());
    for step in steps {
        let value = |v: Value| match v {
            Value::Input(i) => x[i].clone(),
            Value::Step(i) => values[i].clone(),
        };
        let common = |operands: &[Tensor]| -> Result<Shape> {
            let shapes: Vec<Shape> = operands.iter().map(|x| x.shape().clone()).collect();
            broadcast_all(op, &shapes)
        };
        let y = match *step {
            Step::Unary(op, a) => unary(op, &value(a))?,
            Step::Binary(op, operands) => {
                let [a, b] = operands.map(value);
                binary(op, &common(&[a.clone(), b.clone()])?, &a, &b)?
            }
            Step::Ternary(op, operands) => {
                let [a, b, c] = operands.map(value);
                let shape = common(&[a.clone(), b.clone(), c.clone()])?;
                ternary(op, &shape, &a, &b, &c)?
            }
        };
        values.push(y);
    }
    match values.pop() {
        Some(y) if y.shape() == shape => Ok(y),
        Some(y) => y.broadcast_to(shape)?.contiguous(),
        None => Err(Error::value(op, "the program is empty")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use gradus_cpu::elementwise::{BinaryOp as B, CompareOp as C, TernaryOp as T, UnaryOp as U};

    /// Each kernel's number is the twin of one op of the CPU, of its name; so none is missing and none is another's.
    fn covers<D: Copy + Ord>(twins: Vec<(&'static str, &'static str, D)>, all: usize) {
        let numbers: BTreeSet<D> = twins.iter().map(|t| t.2).collect();
        assert_eq!((numbers.len(), twins.len()), (all, all));
        for (cpu, cuda, _) in twins {
            // Two names that PyTorch has for one op.
            assert!(
                cpu == cuda || (cpu, cuda) == ("pow", "pow_scalar"),
                "{cpu} {cuda}"
            );
        }
    }

    #[test]
    fn every_kernel_is_the_twin_of_one_op() {
        let unary = [
            U::Neg,
            U::Abs,
            U::Sign,
            U::Square,
            U::Reciprocal,
            U::Sqrt,
            U::Rsqrt,
            U::Exp,
            U::Exp2,
            U::Expm1,
            U::Log,
            U::Log1p,
            U::Log2,
            U::Log10,
            U::Sin,
            U::Cos,
            U::Tan,
            U::Asin,
            U::Acos,
            U::Atan,
            U::Sinh,
            U::Cosh,
            U::Tanh,
            U::Asinh,
            U::Acosh,
            U::Atanh,
            U::Erf,
            U::Erfc,
            U::Erfinv,
            U::Lgamma,
            U::Digamma,
            U::Sinc,
            U::Sigmoid,
            U::Logit,
            U::LogSigmoid,
            U::Floor,
            U::Ceil,
            U::Round,
            U::Trunc,
            U::Frac,
            U::Relu,
            U::Relu6,
            U::LeakyRelu(0.1),
            U::Elu(1.0),
            U::Selu,
            U::Celu(1.0),
            U::Gelu,
            U::GeluTanh,
            U::Silu,
            U::Mish,
            U::Softplus {
                beta: 1.0,
                threshold: 20.0,
            },
            U::Softsign,
            U::Hardswish,
            U::Hardsigmoid,
            U::Hardshrink(0.5),
            U::Softshrink(0.5),
            U::Tanhshrink,
            U::Threshold {
                threshold: 0.0,
                value: 0.0,
            },
            U::Clamp { min: 0.0, max: 1.0 },
            U::NanToNum {
                nan: 0.0,
                posinf: 0.0,
                neginf: 0.0,
            },
            U::PowScalar(2.0),
            U::Affine {
                scale: 1.0,
                shift: 0.0,
            },
            U::BitwiseNot,
        ];
        let twin = |op: &U| unary_twin(*op).map(|(t, _)| (op.name(), t.name(), t as i32));
        covers(unary.iter().filter_map(twin).collect(), UnaryOp::ALL.len());
        let binary = [
            B::Add,
            B::Sub,
            B::Mul,
            B::Div,
            B::FloorDiv,
            B::TruncDiv,
            B::Remainder,
            B::Fmod,
            B::Pow,
            B::Atan2,
            B::Maximum,
            B::Minimum,
            B::Fmax,
            B::Fmin,
            B::Hypot,
            B::Xlogy,
            B::Xlog1py,
            B::LogAddExp,
            B::LogAddExp2,
            B::Copysign,
            B::Heaviside,
            B::BitwiseAnd,
            B::BitwiseOr,
            B::BitwiseXor,
            B::ShiftLeft,
            B::ShiftRight,
            B::TanhBackward,
            B::SigmoidBackward,
            B::ReluBackward,
            B::Relu6Backward,
            B::GeluBackward,
            B::GeluTanhBackward,
            B::SiluBackward,
        ];
        let twin = |op: &B| binary_twin(*op).map(|t| (op.name(), t.name(), t as i32));
        covers(
            binary.iter().filter_map(twin).collect(),
            BinaryOp::ALL.len(),
        );
        let compare = [
            C::Eq,
            C::Ne,
            C::Lt,
            C::Le,
            C::Gt,
            C::Ge,
            C::LogicalAnd,
            C::LogicalOr,
            C::LogicalXor,
        ];
        let twin = |op: &C| compare_twin(*op).map(|t| (op.name(), t.name(), t as i32));
        covers(
            compare.iter().filter_map(twin).collect(),
            CompareOp::ALL.len(),
        );
        let ternary = [T::Lerp, T::Addcmul(1.0), T::Addcdiv(1.0), T::Clamp];
        let twin = |op: &T| ternary_twin(*op).map(|(t, _)| (op.name(), t.name(), t as i32));
        covers(
            ternary.iter().filter_map(twin).collect(),
            TernaryOp::ALL.len(),
        );
    }
}
