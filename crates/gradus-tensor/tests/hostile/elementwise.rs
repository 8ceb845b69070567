//! Functions of one, two and three elements: every dtype, NaN and extremes, shapes that do not broadcast, views beyond memory.

use gradus_tensor::Tensor;

use crate::look::look;
use crate::table::{Op, op};

/// Operations that take no argument.
macro_rules! unary {
    ($($name:ident)*) => { [$(op!(g, x: g.vast() => $name())),*] };
}

/// Operations that take as many reals.
macro_rules! with_reals {
    ($($name:ident($($real:ident)*))*) => { [$(op!(g, x: g.vast() => $name($({ let $real = g.real(); $real }),*))),*] };
}

/// `name(&Tensor)`, on an operand that goes with `x` most of the time.
macro_rules! binary {
    ($($name:ident)*) => { [$(Op {
        name: stringify!($name),
        call: |g| {
            let x = g.vast();
            let other = if x.numel() < 5000 { g.like(&x) } else { g.vast() };
            look(x.$name(&other))
        },
    }),*] };
}

macro_rules! with_scalar {
    ($($name:ident)*) => { [$(op!(g, x: g.vast() => $name(g.scalar()))),*] };
}

pub fn ops() -> Vec<Op> {
    let mut all = Vec::new();
    all.extend(unary! {
        neg abs sign square reciprocal sqrt rsqrt exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh
        asinh acosh atanh erf erfc erfinv lgamma digamma sinc sigmoid logsigmoid floor ceil round trunc frac bitwise_not relu
        relu6 selu gelu gelu_tanh silu mish softsign hardswish hardsigmoid tanhshrink deg2rad rad2deg
        neg_ abs_ sign_ square_ reciprocal_ sqrt_ rsqrt_ exp_ exp2_ expm1_ log_ log1p_ log2_ log10_ sin_ cos_ tan_ asin_ acos_
        atan_ sinh_ cosh_ tanh_ asinh_ acosh_ atanh_ erf_ erfc_ erfinv_ lgamma_ digamma_ sinc_ sigmoid_ logsigmoid_ floor_ ceil_
        round_ trunc_ frac_ bitwise_not_ relu_ relu6_ selu_ gelu_ gelu_tanh_ silu_ mish_ softsign_ hardswish_ hardsigmoid_
        tanhshrink_ deg2rad_ rad2deg_
        isnan isinf isfinite isposinf isneginf signbit logical_not
    });
    all.extend(with_reals! {
        leaky_relu(a) elu(a) celu(a) softplus(a b) hardshrink(a) threshold(a b) hardtanh(a b) softshrink(a) affine(a b)
        leaky_relu_(a) elu_(a) celu_(a) softplus_(a b) hardshrink_(a) threshold_(a b) hardtanh_(a b) softshrink_(a)
    });
    all.extend(binary! {
        add sub mul div floor_divide trunc_divide remainder fmod maximum minimum fmax fmin atan2 hypot xlogy xlog1py logaddexp
        logaddexp2 copysign heaviside bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift tanh_backward
        sigmoid_backward relu_backward relu6_backward gelu_backward gelu_tanh_backward silu_backward pow float_power rsub
        add_ sub_ mul_ div_ floor_divide_ trunc_divide_ remainder_ fmod_ maximum_ minimum_ fmax_ fmin_ atan2_ hypot_ xlogy_
        xlog1py_ logaddexp_ logaddexp2_ copysign_ heaviside_ bitwise_and_ bitwise_or_ bitwise_xor_ bitwise_left_shift_
        bitwise_right_shift_ tanh_backward_ sigmoid_backward_ relu_backward_ relu6_backward_ gelu_backward_ gelu_tanh_backward_ silu_backward_
        pow_ eq ne lt le gt ge logical_and logical_or logical_xor equal type_as
    });
    all.extend(with_scalar! {
        add_scalar sub_scalar mul_scalar div_scalar floor_divide_scalar trunc_divide_scalar remainder_scalar fmod_scalar
        maximum_scalar minimum_scalar fmax_scalar fmin_scalar atan2_scalar hypot_scalar xlogy_scalar xlog1py_scalar
        logaddexp_scalar logaddexp2_scalar copysign_scalar heaviside_scalar bitwise_and_scalar bitwise_or_scalar
        bitwise_xor_scalar bitwise_left_shift_scalar bitwise_right_shift_scalar tanh_backward_scalar sigmoid_backward_scalar
        relu_backward_scalar relu6_backward_scalar gelu_backward_scalar gelu_tanh_backward_scalar silu_backward_scalar pow_scalar rpow_scalar
        float_power_scalar rsub_scalar rdiv_scalar
        add_scalar_ sub_scalar_ mul_scalar_ div_scalar_ floor_divide_scalar_ trunc_divide_scalar_ remainder_scalar_ fmod_scalar_
        maximum_scalar_ minimum_scalar_ fmax_scalar_ fmin_scalar_ atan2_scalar_ hypot_scalar_ xlogy_scalar_ xlog1py_scalar_
        logaddexp_scalar_ logaddexp2_scalar_ copysign_scalar_ heaviside_scalar_ bitwise_and_scalar_ bitwise_or_scalar_
        bitwise_xor_scalar_ bitwise_left_shift_scalar_ bitwise_right_shift_scalar_ tanh_backward_scalar_
        sigmoid_backward_scalar_ relu_backward_scalar_ relu6_backward_scalar_ gelu_backward_scalar_ gelu_tanh_backward_scalar_ silu_backward_scalar_
        pow_scalar_ eq_scalar ne_scalar lt_scalar le_scalar gt_scalar ge_scalar clamp_min clamp_max
    });
    all.extend([
        op!(g, x: g.vast() => logit(g.maybe(|| g.real()))),
        op!(g, x: g.vast() => clamp(g.maybe(|| g.real()), g.maybe(|| g.real()))),
        op!(g, x: g.vast() => clamp_scalars(g.maybe(|| g.scalar()), g.maybe(|| g.scalar()))),
        op!(g, x: g.vast() => nan_to_num(g.maybe(|| g.real()), g.maybe(|| g.real()), g.maybe(|| g.real()))),
        op!(g, x: g.vast() => round_decimals(g.int() as i32)),
        op!(g, x: g.vast() => to_dtype(g.dtype())),
        op!(g, x: g.x() => isclose(&g.like(&x), g.real(), g.real(), g.flag())),
        op!(g, x: g.x() => allclose(&g.like(&x), g.real(), g.real(), g.flag())),
        op!(g, x: g.x() => add_scaled(&g.like(&x), g.scalar())),
        op!(g, x: g.x() => sub_scaled(&g.like(&x), g.scalar())),
        op!(g, x: g.x() => lerp(&g.like(&x), &g.like(&x))),
        op!(g, x: g.x() => lerp_scalar(&g.like(&x), g.real())),
        op!(g, x: g.x() => addcmul(&g.like(&x), &g.like(&x), g.scalar())),
        op!(g, x: g.x() => addcdiv(&g.like(&x), &g.like(&x), g.scalar())),
        op!(g, x: g.x() => clamp_tensor(g.maybe(|| g.like(&x)).as_ref(), g.maybe(|| g.like(&x)).as_ref())),
        op!(g, x: g.x() => masked_fill(&g.mask(&x), g.scalar())),
        Op {
            name: "masked_fill_",
            call: |g| {
                let x = g.x();
                let mask = g.mask(&x);
                look(x.masked_fill_(&mask, g.scalar()))
            },
        },
        op!(g, x: g.x() => masked_fill_tensor(&g.mask(&x), &g.like(&x))),
        Op {
            name: "where_",
            call: |g| {
                let x = g.x();
                look(Tensor::where_(&g.mask(&x), &g.like(&x), &x))
            },
        },
        Op {
            name: "result_type",
            call: |g| look(Ok(gradus_tensor::ops::result_type(&g.vast(), &g.vast()))),
        },
        Op {
            name: "result_type_scalar",
            call: |g| look(Ok(gradus_tensor::ops::result_type_scalar(&g.vast(), g.scalar()))),
        },
    ]);
    all
}
