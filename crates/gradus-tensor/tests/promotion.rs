//! Whole numbers, bools and mixed dtypes against PyTorch: the dtype and the values of every op of two operands, of functions of one,
//! of reductions and scans, for every pair of our dtypes. The expected answers are in `data/promotion.txt`, computed by PyTorch 2.15.
//! Where we answer otherwise on purpose, [`DIFFERENT`] says so and why; everything else must agree, refusals included.
//!
//! The file's lines: `types OP = ` the dtype for each of 8 × 8 pairs; `pair OP A B = ` values for two dtypes of whole numbers; `rank0 OP = `
//! dtypes when the second operand has rank 0 (bool, i64, f64); `scalar OP A NUMBER = `; `zero OP A = ` a divisor of 0; `unary` and `reduce`.

use gradus_tensor::{DType, Error, Result, Scalar, Tensor, f16};

/// Lines (by their beginning) where we do not follow PyTorch, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "types sub",
        "a bool beside a number counts as 0 or 1; bool − bool is refused, as there",
    ),
    ("rank0 sub", "the same"),
    ("scalar sub", "the same"),
    (
        "types hypot",
        "whole numbers become f32, as in every function of reals",
    ),
    ("rank0 hypot", "the same"),
    ("types logaddexp", "the same"),
    ("rank0 logaddexp", "the same"),
    ("unary silu", "the same"),
    ("unary gelu", "the same"),
    ("unary leaky_relu", "the same"),
    ("unary elu", "the same"),
    ("unary softplus", "the same"),
    (
        "types heaviside",
        "mixed dtypes are promoted; bools are refused",
    ),
    ("pair heaviside bool bool", "bools are refused"),
    ("rank0 heaviside", "mixed dtypes are promoted"),
    ("types pow", "a bool counts as a whole number"),
    ("rank0 pow", "the same"),
    ("scalar pow bool true", "the same"),
    ("scalar lt u8 -2", "PyTorch wraps −2 to 254 first"),
    ("scalar ge u8 -2", "the same"),
    ("unary square bool", "refused"),
    ("reduce argmax bool", "PyTorch has no kernel"),
    ("reduce argmin bool", "the same"),
    ("reduce topk bool", "the same"),
    ("reduce kthvalue bool", "the same"),
    ("reduce median bool", "the same"),
    ("reduce trace bool", "the same"),
    ("reduce any u8", "bool, as of every other dtype"),
    ("reduce all u8", "the same"),
    (
        "types masked_fill",
        "a value of a higher kind is refused, as PyTorch refuses it when it is a plain number",
    ),
    ("pair masked_fill bool", "the same"),
    ("types lerp", "mixed dtypes are promoted"),
    ("types addcmul", "bools count as whole numbers"),
    (
        "types searchsorted",
        "both must have one dtype: refused with a suggestion",
    ),
    ("pair searchsorted", "the same"),
];

const EXPECTED: &str = include_str!("data/promotion.txt");

fn first(dtype: DType) -> Result<Tensor> {
    operand(
        dtype,
        [1, 0, 1, 0, 1, 1],
        [7, 200, 0, 3, 255, 17],
        [7, -7, 0, -3, 2_147_483_647, 17],
        [-7, 7, 0, 5, -9, 9_000_000_000],
        [1.5, -2.5, 0.0, 3.0, -0.75, 2.0],
    )
}

fn second(dtype: DType) -> Result<Tensor> {
    operand(
        dtype,
        [1, 1, 0, 0, 1, 1],
        [2, 3, 5, 7, 100, 1],
        [2, -3, 5, 7, -2, 1],
        [3, -2, 4, -7, 2, 1],
        [2.0, 0.5, -1.5, 4.0, 3.0, -2.0],
    )
}

fn operand(
    dtype: DType,
    bools: [i64; 6],
    bytes: [i64; 6],
    ints: [i64; 6],
    longs: [i64; 6],
    reals: [f64; 6],
) -> Result<Tensor> {
    let whole = match dtype {
        DType::Bool => bools,
        DType::U8 => bytes,
        DType::I32 => ints,
        DType::I64 => longs,
        _ => return Tensor::from_slice(&reals, 6)?.to_dtype(dtype),
    };
    Tensor::from_slice(&whole, 6)?.to_dtype(dtype)
}

fn mask() -> Result<Tensor> {
    Tensor::from_slice(&[true, false, true, false, true, false], 6)
}

fn positions(at: &[i64]) -> Result<Tensor> {
    Tensor::from_slice(at, at.len())
}

fn pair(op: &str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match op {
        "add" => a.add(b),
        "sub" => a.sub(b),
        "mul" => a.mul(b),
        "div" => a.div(b),
        "floor_divide" => a.floor_divide(b),
        "trunc_divide" => a.trunc_divide(b),
        "remainder" => a.remainder(b),
        "fmod" => a.fmod(b),
        "maximum" => a.maximum(b),
        "minimum" => a.minimum(b),
        "fmax" => a.fmax(b),
        "fmin" => a.fmin(b),
        "atan2" => a.atan2(b),
        "hypot" => a.hypot(b),
        "xlogy" => a.xlogy(b),
        "logaddexp" => a.logaddexp(b),
        "copysign" => a.copysign(b),
        "heaviside" => a.heaviside(b),
        "pow" => a.pow(b),
        "float_power" => a.float_power(b),
        "bitwise_and" => a.bitwise_and(b),
        "bitwise_or" => a.bitwise_or(b),
        "bitwise_xor" => a.bitwise_xor(b),
        "bitwise_left_shift" => a.bitwise_left_shift(b),
        "bitwise_right_shift" => a.bitwise_right_shift(b),
        "eq" => a.eq(b),
        "ne" => a.ne(b),
        "lt" => a.lt(b),
        "le" => a.le(b),
        "gt" => a.gt(b),
        "ge" => a.ge(b),
        "logical_and" => a.logical_and(b),
        "logical_or" => a.logical_or(b),
        "logical_xor" => a.logical_xor(b),
        "where" => Tensor::where_(&mask()?, a, b),
        "cat" => Tensor::cat(&[a, b], 0),
        "stack" => Tensor::stack(&[a, b], 0),
        "matmul" => a.reshape([2, 3])?.matmul(&b.reshape([3, 2])?),
        "isclose" => a.isclose(b, 1e-5, 1e-8, false),
        "masked_fill" => a.masked_fill_tensor(&mask()?, &b.select(0, 1)?),
        "clamp" => a.clamp_tensor(Some(b), None),
        "lerp" => a.lerp_scalar(b, 0.5),
        "outer" => a.outer(b),
        "addcmul" => a.addcmul(b, b, 1),
        "scatter" => a.scatter(0, &positions(&[1, 2])?, b),
        "index_add" => a.index_add(0, &positions(&[0, 1, 2, 3, 4, 0])?, b, 1),
        "searchsorted" => a.sort(0, false)?.0.searchsorted(b, false, None),
        _ => panic!("{op} of two operands is not in the test"),
    }
}

fn with_number(op: &str, a: &Tensor, b: Scalar) -> Result<Tensor> {
    match op {
        "add" => a.add_scalar(b),
        "sub" => a.sub_scalar(b),
        "mul" => a.mul_scalar(b),
        "div" => a.div_scalar(b),
        "floor_divide" => a.floor_divide_scalar(b),
        "remainder" => a.remainder_scalar(b),
        "fmod" => a.fmod_scalar(b),
        "pow" => a.pow_scalar(b),
        "eq" => a.eq_scalar(b),
        "lt" => a.lt_scalar(b),
        "ge" => a.ge_scalar(b),
        "bitwise_and" => a.bitwise_and_scalar(b),
        "bitwise_or" => a.bitwise_or_scalar(b),
        "bitwise_left_shift" => a.bitwise_left_shift_scalar(b),
        "xlogy" => a.xlogy_scalar(b),
        "copysign" => a.copysign_scalar(b),
        "float_power" => a.float_power_scalar(b),
        _ => panic!("{op} with a number is not in the test"),
    }
}

fn unary(op: &str, x: &Tensor) -> Result<Tensor> {
    match op {
        "abs" => x.abs(),
        "neg" => x.neg(),
        "sign" => x.sign(),
        "square" => x.square(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "round" => x.round(),
        "trunc" => x.trunc(),
        "frac" => x.frac(),
        "exp" => x.exp(),
        "log" => x.log(),
        "sqrt" => x.sqrt(),
        "rsqrt" => x.rsqrt(),
        "reciprocal" => x.reciprocal(),
        "sin" => x.sin(),
        "tanh" => x.tanh(),
        "sigmoid" => x.sigmoid(),
        "erf" => x.erf(),
        "lgamma" => x.lgamma(),
        "logical_not" => x.logical_not(),
        "bitwise_not" => x.bitwise_not(),
        "nan_to_num" => x.nan_to_num(None, None, None),
        "sinc" => x.sinc(),
        "relu" => x.relu(),
        "relu6" => x.relu6(),
        "silu" => x.silu(),
        "gelu" => x.gelu(),
        "leaky_relu" => x.leaky_relu(0.01),
        "elu" => x.elu(1.0),
        "hardtanh" => x.hardtanh(-1.0, 1.0),
        "softplus" => x.softplus(1.0, 20.0),
        _ => panic!("{op} of one operand is not in the test"),
    }
}

/// Along the second of two dimensions.
fn reduce(op: &str, x: &Tensor) -> Result<Tensor> {
    match op {
        "sum" => x.sum(1, false),
        "prod" => x.prod(1, false),
        "mean" => x.mean(1, false),
        "var" => x.var(1, 1.0, false),
        "std" => x.std(1, 1.0, false),
        "amax" => x.amax(1, false),
        "amin" => x.amin(1, false),
        "argmax" => x.argmax(1, false),
        "argmin" => x.argmin(1, false),
        "max" => Ok(x.max(1, false)?.0),
        "min" => Ok(x.min(1, false)?.0),
        "any" => x.any(1, false),
        "all" => x.all(1, false),
        "count_nonzero" => x.count_nonzero(1),
        "logsumexp" => x.logsumexp(1, false),
        "nansum" => x.nansum(1, false),
        "nanmean" => x.nanmean(1, false),
        "norm" => x.norm(2.0, 1, false),
        "softmax" => x.softmax(1),
        "log_softmax" => x.log_softmax(1),
        "cumsum" => x.cumsum(1),
        "cumprod" => x.cumprod(1),
        "cummax" => Ok(x.cummax(1)?.0),
        "cummin" => Ok(x.cummin(1)?.0),
        "logcumsumexp" => x.logcumsumexp(1),
        "sort" => Ok(x.sort(1, false)?.0),
        "argsort" => x.argsort(1, false),
        "topk" => Ok(x.topk(2, 1, true)?.0),
        "kthvalue" => Ok(x.kthvalue(2, 1, false)?.0),
        "median" => Ok(x.median_dim(1, false)?.0),
        "diff" => x.diff(1, 1, None, None),
        "trace" => x.trace(),
        "unique" => Ok(x.unique()?.0),
        "aminmax" => Ok(x.aminmax(1, false)?.0),
        "quantile" => x.quantile(&Tensor::scalar(0.5f32), 1, false, "linear"),
        _ => panic!("{op} along a dimension is not in the test"),
    }
}

fn dtype(name: &str) -> DType {
    name.parse().expect("a dtype")
}

fn number(text: &str) -> Scalar {
    match text.parse::<i64>() {
        Ok(i) => Scalar::Int(i),
        Err(_) if text == "true" => Scalar::Bool(true),
        Err(_) => Scalar::Float(text.parse().expect("a number")),
    }
}

/// A result in the words of the file: the dtype and, if asked for, the values; or `error`.
fn said(result: Result<Tensor>, values: bool) -> String {
    let Ok(y) = result else {
        return "error".into();
    };
    let mut words = vec![y.dtype().to_string()];
    if values {
        words.extend(numbers(&y).expect("numbers"));
    }
    words.join(" ")
}

fn numbers(y: &Tensor) -> Result<Vec<String>> {
    if y.dtype().is_float() {
        let list = y.to_dtype(DType::F64)?.to_vec::<f64>()?;
        return Ok(list.iter().map(ToString::to_string).collect());
    }
    let list = y.to_dtype(DType::I64)?.to_vec::<i64>()?;
    Ok(list.iter().map(ToString::to_string).collect())
}

/// Equal, but for how a real is written and for the last digit of one.
fn same(got: &str, expected: &str) -> bool {
    let close = |(g, e): (&str, &str)| {
        g == e
            || match (g.parse::<f64>(), e.parse::<f64>()) {
                (Ok(g), Ok(e)) if e.fract() != 0.0 || !e.is_finite() || e.abs() > 1e19 => {
                    (g - e).abs() <= 3e-7 * e.abs() || g == e || (g.is_nan() && e.is_nan())
                }
                (Ok(g), Ok(e)) => g == e && e.abs() < 9e15, // beyond, whole numbers must be the same text
                _ => false,
            }
    };
    got.split(' ').count() == expected.split(' ').count()
        && got.split(' ').zip(expected.split(' ')).all(close)
}

/// What we answer to the question that a line asks.
fn answer(question: &[&str], expected: &str) -> Result<String> {
    let values = expected.contains(' ');
    Ok(match *question {
        ["types", op] => {
            let mut words = Vec::new();
            for a in DType::ALL {
                for b in DType::ALL {
                    words.push(said(pair(op, &first(a)?, &second(b)?), false));
                }
            }
            words.join(" ")
        }
        ["rank0", op] => {
            let mut words = Vec::new();
            for a in DType::ALL {
                for b in [DType::Bool, DType::I64, DType::F64] {
                    let b = second(b)?.select(0, 1)?;
                    words.push(said(pair(op, &first(a)?, &b), false));
                }
            }
            words.join(" ")
        }
        ["pair", op, a, b] => {
            let y = pair(op, &first(dtype(a))?, &second(dtype(b))?)?;
            numbers(&y)?.join(" ")
        }
        ["scalar", op, a, s] => said(with_number(op, &first(dtype(a))?, number(s)), values),
        ["zero", op, a] => {
            let a = first(dtype(a))?;
            said(pair(op, &a, &a.zeros_like()?), values)
        }
        ["unary", op, a] => said(unary(op, &first(dtype(a))?), values),
        ["reduce", op, a] => said(reduce(op, &first(dtype(a))?.reshape([2, 3])?), values),
        _ => return Err(Error::value("promotion", format!("{question:?}"))),
    })
}

#[test]
fn as_pytorch_has_it() {
    let mut wrong = Vec::new();
    let mut used = vec![false; DIFFERENT.len()];
    for line in EXPECTED.lines() {
        let (question, expected) = line.split_once(" = ").expect("a question and an answer");
        let words: Vec<&str> = question.split(' ').collect();
        let got = answer(&words, expected).unwrap_or_else(|e| format!("error: {e}"));
        if same(&got, expected) {
            continue;
        }
        let known = DIFFERENT.iter().position(|(start, _)| {
            question == *start || question.starts_with(&format!("{start} "))
        });
        match known {
            Some(i) => used[i] = true,
            None => wrong.push(format!("{question}\n   got {got}\n   not {expected}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    for (used, (start, _)) in used.iter().zip(DIFFERENT) {
        assert!(used, "{start} agrees now: take it off the list");
    }
}

/// A plain number beside f16 is not rounded to 16 bits first.
#[test]
fn numbers_beside_half_precision_keep_their_digits() {
    let x = Tensor::from_slice(&[f16::from_f32(2048.0)], 1).unwrap();
    let y = x.mul_scalar(1.000_5).unwrap(); // 2049.02, which rounds to 2050; 1.0005 alone would round to 1.0010, giving 2050 too
    assert_eq!(y.dtype(), DType::F16);
    let z = x.add_scalar(2049.0).unwrap(); // 2049 is no f16: 2048 + 2048 would be 4096, 2048 + 2049 is 4097 → 4096
    assert_eq!(
        z.to_dtype(DType::F32).unwrap().to_vec::<f32>().unwrap(),
        [4096.0]
    );
    let z = x.add_scalar(2050.9).unwrap(); // 4098.9 → 4100; with 2050.9 rounded to 2050, 4098 → 4096 (a tie to even)
    assert_eq!(
        z.to_dtype(DType::F32).unwrap().to_vec::<f32>().unwrap(),
        [4100.0]
    );
}
