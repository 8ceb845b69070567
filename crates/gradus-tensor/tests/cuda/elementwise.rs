//! Elementwise ops, comparisons and choices, reductions.

use gradus_tensor::{DType, Result, Tensor};

use crate::support::{Close, SUMS, gpu, numbers, same, same_one};

/// A few last places of the type.
const PLACES: Close = Close(4e-6, 0.016);

type Unary = fn(&Tensor) -> Result<Tensor>;

#[test]
fn functions_of_one_element() -> Result<()> {
    let any: [(&str, Unary); 33] = [
        ("neg", Tensor::neg),
        ("abs", Tensor::abs),
        ("sign", Tensor::sign),
        ("square", Tensor::square),
        ("reciprocal", Tensor::reciprocal),
        ("exp", Tensor::exp),
        ("exp2", Tensor::exp2),
        ("expm1", Tensor::expm1),
        ("sin", Tensor::sin),
        ("cos", Tensor::cos),
        ("atan", Tensor::atan),
        ("sinh", Tensor::sinh),
        ("cosh", Tensor::cosh),
        ("tanh", Tensor::tanh),
        ("asinh", Tensor::asinh),
        ("erf", Tensor::erf),
        ("erfc", Tensor::erfc),
        ("sigmoid", Tensor::sigmoid),
        ("logsigmoid", Tensor::logsigmoid),
        ("floor", Tensor::floor),
        ("ceil", Tensor::ceil),
        ("round", Tensor::round),
        ("trunc", Tensor::trunc),
        ("frac", Tensor::frac),
        ("relu", Tensor::relu),
        ("relu6", Tensor::relu6),
        ("selu", Tensor::selu),
        ("gelu", Tensor::gelu),
        ("gelu_tanh", Tensor::gelu_tanh),
        ("silu", Tensor::silu),
        ("mish", Tensor::mish),
        ("softsign", Tensor::softsign),
        ("hardswish", Tensor::hardswish),
    ];
    let x = numbers(1, [5, 7]).mul_scalar(2)?;
    for (name, f) in any {
        same_one(name, PLACES, &[&x], |x| f(&x[0]));
    }
    let inside = numbers(2, [5, 7]).sigmoid()?; // in 0..1
    let positive: [(&str, Unary); 9] = [
        ("sqrt", Tensor::sqrt),
        ("rsqrt", Tensor::rsqrt),
        ("log", Tensor::log),
        ("log1p", Tensor::log1p),
        ("log2", Tensor::log2),
        ("log10", Tensor::log10),
        ("asin", Tensor::asin),
        ("acos", Tensor::acos),
        ("atanh", Tensor::atanh),
    ];
    for (name, f) in positive {
        same_one(name, PLACES, &[&inside], |x| f(&x[0]));
    }
    same_one("acosh", PLACES, &[&inside.add_scalar(1.5)?], |x| {
        x[0].acosh()
    });
    same_one("tan", PLACES, &[&inside], |x| x[0].tan());
    same("with constants", PLACES, &[&x], |x| {
        let x = &x[0];
        Ok(vec![
            x.leaky_relu(0.1)?,
            x.elu(0.7)?,
            x.softplus(2.0, 1.5)?,
            x.clamp(-0.5, 1.0)?,
            x.affine(3.0, -1.0)?,
            x.pow_scalar(2)?,
            x.celu(0.7)?,
            x.hardshrink(0.5)?,
            x.softshrink(0.5)?,
            x.tanhshrink()?,
            x.threshold(0.5, 9.0)?,
            x.nan_to_num(0.0, None, None)?,
            x.sigmoid()?.logit(None)?,
            x.hardsigmoid()?,
            x.hardtanh(-1.0, 0.5)?,
            x.deg2rad()?,
            x.sinc()?,
            x.clamp(-0.99, 0.99)?.erfinv()?,
            x.abs()?.add_scalar(0.1)?.lgamma()?,
            x.abs()?.add_scalar(0.1)?.digamma()?,
            x.floor()?.heaviside(x)?,
        ])
    });
    Ok(())
}

#[test]
fn two_operands() -> Result<()> {
    let (a, b) = (numbers(3, [5, 7]), numbers(4, [5, 7]));
    let row = numbers(5, [7]).abs()?.add_scalar(0.5)?;
    type Binary = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let ops: [(&str, Binary); 17] = [
        ("add", Tensor::add),
        ("sub", Tensor::sub),
        ("mul", Tensor::mul),
        ("div", Tensor::div),
        ("maximum", Tensor::maximum),
        ("minimum", Tensor::minimum),
        ("atan2", Tensor::atan2),
        ("hypot", Tensor::hypot),
        ("xlogy", Tensor::xlogy),
        ("logaddexp", Tensor::logaddexp),
        ("copysign", Tensor::copysign),
        ("tanh_backward", Tensor::tanh_backward),
        ("sigmoid_backward", Tensor::sigmoid_backward),
        ("relu_backward", Tensor::relu_backward),
        ("gelu_backward", Tensor::gelu_backward),
        ("gelu_tanh_backward", Tensor::gelu_tanh_backward),
        ("silu_backward", Tensor::silu_backward),
    ];
    for (name, f) in ops {
        same_one(name, PLACES, &[&a, &row], |x| f(&x[0], &x[1]));
        same_one(name, PLACES, &[&b, &row.unsqueeze(0)?], |x| f(&x[0], &x[1]));
    }
    let (big, small) = (a.mul_scalar(9)?.round()?, row.add_scalar(1)?.round()?);
    same("divisions", PLACES, &[&big, &small], |x| {
        Ok(vec![
            x[0].floor_divide(&x[1])?,
            x[0].remainder(&x[1])?,
            x[0].fmod(&x[1])?,
        ])
    });
    same_one("pow", PLACES, &[&row, &a], |x| x[0].pow(&x[1]));
    same("plain numbers", PLACES, &[&a], |x| {
        let x = &x[0];
        Ok(vec![
            x.add_scalar(1.5)?,
            x.mul_scalar(-2)?,
            x.div_scalar(3)?,
            x.rsub_scalar(1)?,
            x.maximum_scalar(0.1)?,
            Tensor::scalar(2.0).mul(x)?,
            x.add(&Tensor::scalar(1i64))?,
            x.to_dtype(DType::I64)?.add_scalar(7)?,
        ])
    });
    same("reusing memory", PLACES, &[&a, &b], |x| {
        Ok(vec![
            x[0].copy()?.add_(&x[1])?,
            x[0].copy()?.mul_scalar_(3)?,
            x[0].copy()?.relu_()?,
        ])
    });
    same("whole numbers", PLACES, &[&a, &b], |x| {
        let (a, b) = (
            x[0].mul_scalar(99)?.to_dtype(DType::I64)?,
            x[1].mul_scalar(9)?.to_dtype(DType::I64)?,
        );
        Ok(vec![
            a.add(&b)?,
            a.sub(&b)?,
            a.mul(&b)?,
            a.maximum(&b)?,
            a.minimum(&b)?,
            a.neg()?,
            a.square()?,
        ])
    });
    same_one("fused", PLACES, &[&a, &row], |x| {
        Tensor::fused(&[&x[0], &x[1]], |x| (x[0] * x[1]).sigmoid() - x[1].square())
    });
    Ok(())
}

#[test]
fn comparisons_and_choices() -> Result<()> {
    let (a, row) = (
        numbers(6, [4, 6]).mul_scalar(2)?.round()?,
        numbers(7, [6]).round()?,
    );
    same("comparisons", PLACES, &[&a, &row], |x| {
        let (a, b) = (&x[0], &x[1]);
        Ok(vec![
            a.eq(b)?,
            a.ne(b)?,
            a.lt(b)?,
            a.le(b)?,
            a.gt(b)?,
            a.ge(b)?,
            a.logical_and(b)?,
            a.logical_or(b)?,
            a.logical_xor(b)?,
            a.eq_scalar(1)?,
            a.logical_not()?,
            a.gt_scalar(0.5)?.logical_not()?,
            a.div(b)?.isnan()?,
            a.div(b)?.isfinite()?,
        ])
    });
    same("choices", PLACES, &[&a, &row], |x| {
        let mask = x[0].gt_scalar(0)?;
        Ok(vec![
            Tensor::where_(&mask, &x[0], &x[1])?,
            x[0].masked_fill(&mask, -1)?,
            x[0].lerp_scalar(&x[1], 0.25)?,
            x[0].addcmul(&x[1], &x[0], 0.5)?,
            x[0].addcdiv(&x[1], &x[0].abs()?.add_scalar(1)?, 2)?,
            x[0].clamp_tensor(Some(&x[1].neg()?.minimum(&x[1])?), Some(&x[1].abs()?))?,
        ])
    });
    Ok(())
}

#[test]
fn reductions() -> Result<()> {
    let x = numbers(8, [3, 5, 11]);
    for dims in [
        vec![0isize],
        vec![1],
        vec![2],
        vec![0, 2],
        vec![0, 1, 2],
        vec![-1, 1],
    ] {
        same(&format!("over {dims:?}"), SUMS, &[&x], |x| {
            let (x, d) = (&x[0], &dims[..]);
            Ok(vec![
                x.sum(d, false)?,
                x.mean(d, true)?,
                x.amax(d, false)?,
                x.amin(d, true)?,
                x.norm(2.0, d, false)?,
                x.norm(f64::INFINITY, d, false)?,
                x.logsumexp(d, false)?,
                x.var(d, 1.0, false)?,
            ])
        });
    }
    same_one("prod", SUMS, &[&x], |x| {
        x[0].mul_scalar(0.5)?.add_scalar(1)?.prod(1, false)
    });
    same("extremes and their places", SUMS, &[&x], |x| {
        let (max, at) = x[0].max(1, false)?;
        let (min, low) = x[0].min(-1, true)?;
        Ok(vec![
            max,
            at,
            min,
            low,
            x[0].argmax(None, false)?,
            x[0].argmin(0, true)?,
        ])
    });
    same("masks", SUMS, &[&x], |x| {
        let mask = x[0].gt_scalar(1.5)?;
        Ok(vec![
            mask.sum(.., false)?,
            mask.any(2, false)?,
            mask.logical_not()?.all(2, false)?,
            mask.count_nonzero(0)?,
        ])
    });
    same("softmax", SUMS, &[&x], |x| {
        let (y, l) = (x[0].softmax(-1)?, x[0].log_softmax(1)?);
        let (dy, dl) = (
            x[0].softmax_backward(&y, -1)?,
            x[0].log_softmax_backward(&l, 1)?,
        );
        Ok(vec![y, l, dy, dl])
    });
    let Some(gpu) = gpu() else { return Ok(()) };
    let empty = Tensor::zeros([0, 3], (DType::F32, gpu))?;
    assert_eq!(empty.sum(0, false)?.to_vec::<f32>()?, [0.0; 3]);
    assert!(empty.amax(0, false).is_err());
    Ok(())
}
