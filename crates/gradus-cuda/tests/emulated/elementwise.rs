//! Elementwise operations, copies and casts.

use gradus_cpu::elementwise as cpu;
use gradus_cuda::manifest::{BinaryOp, CompareOp, TernaryOp, UnaryOp};
use gradus_cuda::ops::{copy, elementwise};
use gradus_cuda::{Device, Element, Error, View};

use crate::standin::{device, for_orders};
use crate::support::{Numbers, Real, close, each_float, garbage, layouts};

/// The CPU's operation, and the constants both are given.
pub fn on_cpu(op: UnaryOp) -> (cpu::UnaryOp, [f64; 2]) {
    use cpu::UnaryOp as C;
    let (p, q) = (0.75, 1.5);
    let plain = |op| (op, [0.0, 0.0]);
    match op {
        UnaryOp::LeakyRelu => (C::LeakyRelu(p), [p, q]),
        UnaryOp::Elu => (C::Elu(p), [p, q]),
        UnaryOp::Softplus => (
            C::Softplus {
                beta: p,
                threshold: q,
            },
            [p, q],
        ),
        UnaryOp::Clamp => (C::Clamp { min: p, max: q }, [p, q]),
        UnaryOp::PowScalar => (C::PowScalar(q), [q, 0.0]),
        UnaryOp::Affine => (C::Affine { scale: p, shift: q }, [p, q]),
        UnaryOp::Neg => plain(C::Neg),
        UnaryOp::Abs => plain(C::Abs),
        UnaryOp::Sign => plain(C::Sign),
        UnaryOp::Square => plain(C::Square),
        UnaryOp::Reciprocal => plain(C::Reciprocal),
        UnaryOp::Sqrt => plain(C::Sqrt),
        UnaryOp::Rsqrt => plain(C::Rsqrt),
        UnaryOp::Exp => plain(C::Exp),
        UnaryOp::Exp2 => plain(C::Exp2),
        UnaryOp::Expm1 => plain(C::Expm1),
        UnaryOp::Log => plain(C::Log),
        UnaryOp::Log1p => plain(C::Log1p),
        UnaryOp::Log2 => plain(C::Log2),
        UnaryOp::Log10 => plain(C::Log10),
        UnaryOp::Sin => plain(C::Sin),
        UnaryOp::Cos => plain(C::Cos),
        UnaryOp::Tan => plain(C::Tan),
        UnaryOp::Asin => plain(C::Asin),
        UnaryOp::Acos => plain(C::Acos),
        UnaryOp::Atan => plain(C::Atan),
        UnaryOp::Sinh => plain(C::Sinh),
        UnaryOp::Cosh => plain(C::Cosh),
        UnaryOp::Tanh => plain(C::Tanh),
        UnaryOp::Asinh => plain(C::Asinh),
        UnaryOp::Acosh => plain(C::Acosh),
        UnaryOp::Atanh => plain(C::Atanh),
        UnaryOp::Erf => plain(C::Erf),
        UnaryOp::Erfc => plain(C::Erfc),
        UnaryOp::Erfinv => plain(C::Erfinv),
        UnaryOp::Lgamma => plain(C::Lgamma),
        UnaryOp::Digamma => plain(C::Digamma),
        UnaryOp::Sinc => plain(C::Sinc),
        UnaryOp::Sigmoid => plain(C::Sigmoid),
        UnaryOp::LogSigmoid => plain(C::LogSigmoid),
        UnaryOp::Floor => plain(C::Floor),
        UnaryOp::Ceil => plain(C::Ceil),
        UnaryOp::Round => plain(C::Round),
        UnaryOp::Trunc => plain(C::Trunc),
        UnaryOp::Frac => plain(C::Frac),
        UnaryOp::Relu => plain(C::Relu),
        UnaryOp::Relu6 => plain(C::Relu6),
        UnaryOp::Selu => plain(C::Selu),
        UnaryOp::Gelu => plain(C::Gelu),
        UnaryOp::GeluTanh => plain(C::GeluTanh),
        UnaryOp::Silu => plain(C::Silu),
        UnaryOp::Mish => plain(C::Mish),
        UnaryOp::Softsign => plain(C::Softsign),
        UnaryOp::Hardswish => plain(C::Hardswish),
        UnaryOp::Hardsigmoid => plain(C::Hardsigmoid),
    }
}

/// What every operation meets: numbers of all sizes, and the special ones.
fn hard_values<T: Real>() -> Vec<T> {
    let mut x: Vec<f32> = vec![
        0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, -3.0, 6.0, 7.25, -7.25, 20.0, -20.0,
        88.0, 100.0, -100.0,
    ];
    x.extend([
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e-6,
        -1e-6,
        1e4,
        -1e4,
    ]);
    let mut numbers = Numbers::new(1);
    x.extend((0..75).map(|_| numbers.unit() * 4.0));
    x.into_iter().map(T::of).collect()
}

fn unary_values<T: Real>(device: &Device) {
    let x = hard_values::<T>();
    let n = x.len();
    let on_device = device.upload(&x).unwrap();
    for &op in UnaryOp::ALL {
        let (c, constants) = on_cpu(op);
        let mut want = vec![T::of(0.0); n];
        cpu::unary(
            c,
            gradus_cpu::View::contiguous(&x, &[n]).unwrap(),
            &mut want,
        )
        .unwrap();
        let mut y = garbage::<T>(device, n);
        elementwise::unary_with(op, constants, &on_device.view(&[n]).unwrap(), &mut y).unwrap();
        // 8 places of f32; 1 of a half, which may round to the other side.
        // Near its zeros the digamma function is a difference of larger numbers, near its poles a tangent enlarges rounding.
        let (places, floor) = match op {
            UnaryOp::Digamma => (64.0, 1.0),
            _ => (8.0, 1e-3),
        };
        let ulps = if T::EPSILON > 1e-5 { 1.0 } else { places };
        close(op.name(), &y.download().unwrap(), &want, ulps, floor);
    }
}

#[test]
fn every_unary_operation() {
    for_orders(&["f"], |device| each_float!(unary_values(device)));
}

fn unary_layouts<T: Real>(device: &Device) {
    for case in layouts() {
        let x = Numbers::new(2).floats::<T>(case.len, 3.0);
        let mut want = vec![T::of(0.0); case.numel()];
        cpu::unary(cpu::UnaryOp::Square, case.cpu(&x), &mut want).unwrap();
        let (x, mut y) = (
            device.upload(&x).unwrap(),
            garbage::<T>(device, case.numel()),
        );
        elementwise::unary(UnaryOp::Square, &case.cuda(&x), &mut y).unwrap();
        close(case.name, &y.download().unwrap(), &want, 0.0, 0.0);
        copy::copy(&case.cuda(&x), &mut y).unwrap();
        let want: Vec<T> = case.cpu(&x.download().unwrap()).iter().collect();
        close(case.name, &y.download().unwrap(), &want, 0.0, 0.0);
    }
}

#[test]
fn unary_and_copies_of_any_layout() {
    for_orders(&["f", "r"], |device| each_float!(unary_layouts(device)));
}

pub const BINARY: [(BinaryOp, cpu::BinaryOp); 23] = [
    (BinaryOp::Add, cpu::BinaryOp::Add),
    (BinaryOp::Sub, cpu::BinaryOp::Sub),
    (BinaryOp::Mul, cpu::BinaryOp::Mul),
    (BinaryOp::Maximum, cpu::BinaryOp::Maximum),
    (BinaryOp::Minimum, cpu::BinaryOp::Minimum),
    (BinaryOp::Div, cpu::BinaryOp::Div),
    (BinaryOp::FloorDiv, cpu::BinaryOp::FloorDiv),
    (BinaryOp::Remainder, cpu::BinaryOp::Remainder),
    (BinaryOp::Fmod, cpu::BinaryOp::Fmod),
    (BinaryOp::Pow, cpu::BinaryOp::Pow),
    (BinaryOp::Atan2, cpu::BinaryOp::Atan2),
    (BinaryOp::Hypot, cpu::BinaryOp::Hypot),
    (BinaryOp::Xlogy, cpu::BinaryOp::Xlogy),
    (BinaryOp::LogAddExp, cpu::BinaryOp::LogAddExp),
    (BinaryOp::Copysign, cpu::BinaryOp::Copysign),
    (BinaryOp::Heaviside, cpu::BinaryOp::Heaviside),
    (BinaryOp::TanhBackward, cpu::BinaryOp::TanhBackward),
    (BinaryOp::SigmoidBackward, cpu::BinaryOp::SigmoidBackward),
    (BinaryOp::ReluBackward, cpu::BinaryOp::ReluBackward),
    (BinaryOp::Relu6Backward, cpu::BinaryOp::Relu6Backward),
    (BinaryOp::GeluBackward, cpu::BinaryOp::GeluBackward),
    (BinaryOp::GeluTanhBackward, cpu::BinaryOp::GeluTanhBackward),
    (BinaryOp::SiluBackward, cpu::BinaryOp::SiluBackward),
];

fn binary_values<T: Real>(device: &Device) {
    let special = [
        0.0,
        -0.0,
        1.0,
        -2.5,
        3.0,
        7.0,
        -0.3,
        f32::INFINITY,
        f32::NAN,
    ]
    .map(T::of);
    let pairs: Vec<(T, T)> = special
        .iter()
        .flat_map(|&a| special.map(|b| (a, b)))
        .collect();
    let (a, b): (Vec<T>, Vec<T>) = pairs.into_iter().unzip();
    let n = a.len();
    let (da, db) = (device.upload(&a).unwrap(), device.upload(&b).unwrap());
    for (op, c) in BINARY {
        let mut want = vec![T::of(0.0); n];
        let view = |x| gradus_cpu::View::contiguous(x, std::slice::from_ref(&n)).unwrap();
        cpu::binary(c, view(&a), view(&b), &mut want).unwrap();
        let mut y = garbage::<T>(device, n);
        elementwise::binary(op, &da.view(&[n]).unwrap(), &db.view(&[n]).unwrap(), &mut y).unwrap();
        let ulps = if T::EPSILON > 1e-5 { 1.0 } else { 8.0 };
        close(op.name(), &y.download().unwrap(), &want, ulps, 1e-3);
    }
}

#[test]
fn every_binary_operation() {
    assert_eq!(BINARY.len(), BinaryOp::ALL.len());
    for_orders(&["f"], |device| each_float!(binary_values(device)));
}

fn with_layouts<T: Real>(device: &Device) {
    for case in layouts() {
        let n = case.numel();
        let mut numbers = Numbers::new(3);
        let (a, b) = (
            numbers.floats::<T>(case.len, 3.0),
            numbers.floats::<T>(n, 3.0),
        );
        let rows = gradus_cpu::View::contiguous(&b, &case.shape).unwrap();
        let (da, db) = (device.upload(&a).unwrap(), device.upload(&b).unwrap());
        let (va, vb) = (case.cuda(&da), db.view(&case.shape).unwrap());
        let mut y = garbage::<T>(device, n);
        let mut want = vec![T::of(0.0); n];
        cpu::binary(cpu::BinaryOp::Sub, case.cpu(&a), rows, &mut want).unwrap();
        elementwise::binary(BinaryOp::Sub, &va, &vb, &mut y).unwrap();
        close(case.name, &y.download().unwrap(), &want, 0.0, 0.0);

        let (mut less, mut bools) = (vec![false; n], device.zeros::<bool>(n).unwrap());
        cpu::compare(cpu::CompareOp::Lt, case.cpu(&a), rows, &mut less).unwrap();
        elementwise::compare(CompareOp::Lt, &va, &vb, &mut bools).unwrap();
        assert_eq!(bools.download().unwrap(), less, "{}", case.name);

        let condition = gradus_cpu::View::contiguous(&less, &case.shape).unwrap();
        cpu::where_(condition, case.cpu(&a), rows, &mut want).unwrap();
        elementwise::where_(&bools.view(&case.shape).unwrap(), &va, &vb, &mut y).unwrap();
        close(case.name, &y.download().unwrap(), &want, 0.0, 0.0);

        for (op, c) in [
            (TernaryOp::Lerp, cpu::TernaryOp::Lerp),
            (TernaryOp::Addcmul, cpu::TernaryOp::Addcmul(0.5)),
            (TernaryOp::Addcdiv, cpu::TernaryOp::Addcdiv(0.5)),
            (TernaryOp::Clamp, cpu::TernaryOp::Clamp),
        ] {
            cpu::ternary(c, case.cpu(&a), rows, case.cpu(&a), &mut want).unwrap();
            elementwise::ternary(op, 0.5, &va, &vb, &va, &mut y).unwrap();
            close(op.name(), &y.download().unwrap(), &want, 4.0, 4.0);
        }
    }
}

#[test]
fn two_and_three_operands_of_any_layout() {
    for_orders(&["f", "s"], |device| each_float!(with_layouts(device)));
}

#[test]
fn integers_wrap() {
    let Some(device) = device() else { return };
    let (a, b) = ([i32::MAX, -7, 0, i32::MIN, 5], [1, 2, -3, -1, i32::MAX]);
    let (da, db) = (device.upload(&a).unwrap(), device.upload(&b).unwrap());
    let (da, db) = (da.view(&[5]).unwrap(), db.view(&[5]).unwrap());
    let mut y = device.zeros::<i32>(5).unwrap();
    for (op, f) in [
        (BinaryOp::Add, i32::wrapping_add as fn(i32, i32) -> i32),
        (BinaryOp::Sub, i32::wrapping_sub),
        (BinaryOp::Mul, i32::wrapping_mul),
        (BinaryOp::Maximum, i32::max),
        (BinaryOp::Minimum, i32::min),
    ] {
        elementwise::binary(op, &da, &db, &mut y).unwrap();
        let want: Vec<i32> = a.iter().zip(b).map(|(&a, b)| f(a, b)).collect();
        assert_eq!(y.download().unwrap(), want, "{}", op.name());
    }
    let error = elementwise::binary(BinaryOp::Div, &da, &db, &mut y).unwrap_err();
    assert!(
        matches!(error, Error::Unsupported { op: "div", .. }),
        "{error}"
    );
    let long = device.upload(&[i64::MAX, 1 << 40, -1]).unwrap();
    let mut z = device.zeros::<i64>(3).unwrap();
    elementwise::binary(
        BinaryOp::Mul,
        &long.view(&[3]).unwrap(),
        &long.view(&[3]).unwrap(),
        &mut z,
    )
    .unwrap();
    assert_eq!(z.download().unwrap(), [1, 0, 1]);
    let bytes = device.upload(&[250u8, 3]).unwrap();
    let mut z = device.zeros::<u8>(2).unwrap();
    elementwise::binary(
        BinaryOp::Add,
        &bytes.view(&[2]).unwrap(),
        &bytes.view(&[2]).unwrap(),
        &mut z,
    )
    .unwrap();
    assert_eq!(z.download().unwrap(), [244, 6]);
}

#[test]
fn comparisons() {
    let Some(device) = device() else { return };
    let (a, b) = ([0i64, 1, 5, -3, 0], [0i64, 0, 7, -4, 2]);
    let (da, db) = (device.upload(&a).unwrap(), device.upload(&b).unwrap());
    let mut y = device.zeros::<bool>(5).unwrap();
    for (op, f) in [
        (CompareOp::Eq, (|a, b| a == b) as fn(i64, i64) -> bool),
        (CompareOp::Ne, |a, b| a != b),
        (CompareOp::Lt, |a, b| a < b),
        (CompareOp::Le, |a, b| a <= b),
        (CompareOp::Gt, |a, b| a > b),
        (CompareOp::Ge, |a, b| a >= b),
        (CompareOp::LogicalAnd, |a, b| a != 0 && b != 0),
        (CompareOp::LogicalOr, |a, b| a != 0 || b != 0),
        (CompareOp::LogicalXor, |a, b| (a != 0) != (b != 0)),
    ] {
        elementwise::compare(op, &da.view(&[5]).unwrap(), &db.view(&[5]).unwrap(), &mut y).unwrap();
        let want: Vec<bool> = a.iter().zip(b).map(|(&a, b)| f(a, b)).collect();
        assert_eq!(y.download().unwrap(), want, "{}", op.name());
    }
}

#[test]
fn parts_are_pasted() {
    for_orders(&["f", "l"], |device| {
        let (rows, columns) = (5usize, 37usize);
        let x: Vec<i64> = (0..rows as i64 * columns as i64).collect();
        let at = device.upload(&x).unwrap();
        // The transposed matrix into every second column of a wider one, the last rows first.
        let view = View::new(&at, 0, &[columns, rows], &[1, columns as isize]).unwrap();
        let width = 2 * rows as isize + 3;
        let mut y = device
            .upload(&vec![-1i64; columns * width as usize])
            .unwrap();
        let offset = (columns - 1) * width as usize + 1;
        copy::paste(&view, &mut y, offset, &[-width, 2]).unwrap();
        let mut want = vec![-1i64; y.len()];
        for (c, r) in (0..columns).flat_map(|c| (0..rows).map(move |r| (c, r))) {
            want[(columns - 1 - c) * width as usize + 1 + 2 * r] = x[r * columns + c];
        }
        assert_eq!(y.download().unwrap(), want);
        assert!(copy::paste(&view, &mut y, offset, &[width, 2]).is_err());
    });
}

fn casts<A: Element + gradus_cpu::Element, B: Element + gradus_cpu::Element>(
    device: &Device,
    x: &[A],
) {
    let n = x.len();
    let mut want = vec![<B as Default>::default(); n];
    gradus_cpu::cast::cast(gradus_cpu::View::contiguous(x, &[n]).unwrap(), &mut want).unwrap();
    let (x, mut y) = (device.upload(x).unwrap(), device.uninit::<B>(n).unwrap());
    copy::cast(&x.view(&[n]).unwrap(), &mut y).unwrap();
    let got = y.download().unwrap();
    for (g, w) in got.iter().zip(&want) {
        let (g, w) = (
            gradus_cpu::Element::to_f64(*g),
            gradus_cpu::Element::to_f64(*w),
        );
        assert!(
            g == w || g.is_nan() && w.is_nan(),
            "{} to {}: {got:?}, expected {want:?}",
            <A as Element>::DTYPE,
            <B as Element>::DTYPE
        );
    }
}

#[test]
fn casts_between_all_types() {
    let Some(device) = device() else { return };
    let reals = [
        0.0,
        -0.0,
        1.0,
        0.4,
        1.9,
        -1.9,
        255.0,
        256.5,
        3e9,
        -3e9,
        1e30,
        -1e30,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    let integers = [
        0i64,
        1,
        -1,
        300,
        -129,
        i64::MAX,
        i64::MIN,
        1 << 40,
        (1 << 24) + 1,
    ];
    macro_rules! to_all {
        ($a:ty, $x:expr) => {{
            let x: Vec<$a> = $x;
            casts::<$a, f32>(&device, &x);
            casts::<$a, gradus_cuda::bf16>(&device, &x);
            casts::<$a, gradus_cuda::f16>(&device, &x);
            casts::<$a, i64>(&device, &x);
            casts::<$a, i32>(&device, &x);
            casts::<$a, u8>(&device, &x);
            casts::<$a, bool>(&device, &x);
        }};
    }
    to_all!(f32, reals.to_vec());
    to_all!(gradus_cuda::bf16, reals.map(Real::of).to_vec());
    to_all!(gradus_cuda::f16, reals.map(Real::of).to_vec());
    to_all!(i64, integers.to_vec());
    to_all!(i32, integers.map(|x| x as i32).to_vec());
    to_all!(u8, integers.map(|x| x as u8).to_vec());
    to_all!(bool, vec![true, false]);
}

#[test]
fn fills() {
    let Some(device) = device() else { return };
    let mut x = device.uninit::<i64>(1000).unwrap();
    copy::fill(-5, &mut x).unwrap();
    assert_eq!(x.download().unwrap(), [-5; 1000]);
    let mut x = device.uninit::<gradus_cuda::f16>(77).unwrap();
    copy::fill(Real::of(1.5), &mut x).unwrap();
    assert!(x.download().unwrap().iter().all(|x| x.to_f32() == 1.5));
    let mut x = device.uninit::<bool>(3).unwrap();
    copy::fill(true, &mut x).unwrap();
    assert_eq!(x.download().unwrap(), [true; 3]);
}

#[test]
fn wrong_arguments_are_errors() {
    let Some(device) = device() else { return };
    let x = device.zeros::<f32>(6).unwrap();
    let mut y = device.zeros::<f32>(5).unwrap();
    let view = x.view(&[2, 3]).unwrap();
    assert!(elementwise::unary(UnaryOp::Exp, &view, &mut y).is_err());
    assert!(elementwise::binary(BinaryOp::Add, &view, &x.view(&[3, 2]).unwrap(), &mut y).is_err());
    assert!(x.view(&[7]).is_err() && x.view(&[usize::MAX, 4]).is_err());
    assert!(device.uninit::<f32>(usize::MAX).is_err());
}
