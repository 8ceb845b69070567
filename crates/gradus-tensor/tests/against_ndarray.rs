//! Every family against `ndarray` in f64: ranks 0 to 5, sizes 0 to 4, and operands that are permuted, flipped, stepped,
//! offset or broadcast. What `ndarray` lacks is written out on its iterators.

use gradus_tensor::{DType, Dims, Result, Tensor};
use ndarray::{ArrayD, Axis, Dimension, IxDyn, Slice, Zip};
use proptest::prelude::*;

/// A tensor with odd strides and the same values in an `ndarray`.
#[derive(Clone, Debug)]
struct Case {
    x: Tensor,
    a: ArrayD<f64>,
}

fn array(x: &Tensor) -> ArrayD<f64> {
    ArrayD::from_shape_vec(
        IxDyn(x.dims()),
        x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap(),
    )
    .unwrap()
}

/// Values of `shape` with a layout drawn from `seed`.
fn case(shape: &[usize], seed: u64) -> Case {
    let rank = shape.len();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % n
    };
    // A base tensor twice as long in each dimension, its dimensions in another order, then cut down to the shape.
    let mut order: Vec<usize> = (0..rank).collect();
    for i in (1..rank).rev() {
        order.swap(i, draw(i as u64 + 1) as usize);
    }
    let base: Vec<usize> = order.iter().map(|&d| shape[d] * 2 + 1).collect();
    let values: Vec<f64> = (0..base.iter().product::<usize>())
        .map(|_| draw(4001) as f64 / 500.0 - 4.0)
        .collect();
    let mut x = Tensor::from_vec(values, base).unwrap();
    let back: Vec<isize> = (0..rank)
        .map(|d| order.iter().position(|&o| o == d).unwrap() as isize)
        .collect();
    x = x.permute(&back).unwrap();
    for d in 0..rank {
        let n = shape[d] as i64;
        let dim = d as isize;
        x = match draw(4) {
            0 => x.slice(dim, 0, 2 * n, 2),
            1 => x.slice(dim, n, n + n, 1),
            2 => x.slice(dim, 0, n, 1).and_then(|x| x.flip(dim)),
            _ => x.slice(dim, 1, n + 1, 1),
        }
        .unwrap();
    }
    assert_eq!(x.dims(), shape);
    Case { a: array(&x), x }
}

prop_compose! {
    fn any_case()(shape in prop::collection::vec(0usize..5, 0..6), seed in any::<u64>()) -> Case {
        case(&shape, seed)
    }
}

prop_compose! {
    /// Two operands that broadcast: sizes of the second are those of the first or 1, leading ones may be missing.
    fn any_pair()(
        shape in prop::collection::vec(0usize..5, 0..6),
        ones in any::<u8>(),
        missing in 0usize..3,
        seed in any::<u64>(),
    ) -> (Case, Case) {
        let a: Vec<usize> = shape.iter().enumerate().map(|(i, &d)| if ones >> i & 1 == 1 { 1 } else { d }).collect();
        let b: Vec<usize> = shape.iter().enumerate().map(|(i, &d)| if ones >> i & 3 == 2 { 1 } else { d }).collect();
        let b = b[missing.min(b.len())..].to_vec();
        (case(&a, seed), case(&b, seed ^ 0xABCD))
    }
}

/// Equal shapes and values to 1e-12 relative, NaN equal to NaN.
fn close(x: &Tensor, a: &ArrayD<f64>) {
    assert_eq!(x.dims(), a.shape());
    let xs = x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
    for (x, a) in xs.iter().zip(a.iter()) {
        assert!(
            (x - a).abs() <= 1e-12 * a.abs().max(1.0) || x == a || (x.is_nan() && a.is_nan()),
            "{x} is not {a}"
        );
    }
}

type Unary = (&'static str, fn(&Tensor) -> Result<Tensor>, fn(f64) -> f64);

const UNARY: &[Unary] = &[
    ("neg", |x| x.neg(), |x| -x),
    ("abs", |x| x.abs(), f64::abs),
    ("square", |x| x.square(), |x| x * x),
    ("exp", |x| x.exp(), f64::exp),
    ("exp2", |x| x.exp2(), f64::exp2),
    ("expm1", |x| x.expm1(), f64::exp_m1),
    ("log", |x| x.log(), f64::ln),
    ("log1p", |x| x.log1p(), f64::ln_1p),
    ("log2", |x| x.log2(), f64::log2),
    ("log10", |x| x.log10(), f64::log10),
    ("sqrt", |x| x.sqrt(), f64::sqrt),
    ("rsqrt", |x| x.rsqrt(), |x| 1.0 / x.sqrt()),
    ("reciprocal", |x| x.reciprocal(), f64::recip),
    ("sin", |x| x.sin(), f64::sin),
    ("cos", |x| x.cos(), f64::cos),
    ("tan", |x| x.tan(), f64::tan),
    ("asin", |x| x.asin(), f64::asin),
    ("acos", |x| x.acos(), f64::acos),
    ("atan", |x| x.atan(), f64::atan),
    ("sinh", |x| x.sinh(), f64::sinh),
    ("cosh", |x| x.cosh(), f64::cosh),
    ("tanh", |x| x.tanh(), f64::tanh),
    ("asinh", |x| x.asinh(), f64::asinh),
    ("acosh", |x| x.acosh(), f64::acosh),
    ("atanh", |x| x.atanh(), f64::atanh),
    ("sigmoid", |x| x.sigmoid(), |x| 1.0 / (1.0 + (-x).exp())),
    ("silu", |x| x.silu(), |x| x / (1.0 + (-x).exp())),
    ("relu", |x| x.relu(), |x| x.max(0.0)),
    ("relu6", |x| x.relu6(), |x| x.clamp(0.0, 6.0)),
    (
        "leaky_relu",
        |x| x.leaky_relu(0.01),
        |x| if x > 0.0 { x } else { 0.01 * x },
    ),
    (
        "elu",
        |x| x.elu(1.5),
        |x| if x > 0.0 { x } else { 1.5 * x.exp_m1() },
    ),
    ("softplus", |x| x.softplus(1.0, 20.0), |x| x.exp().ln_1p()),
    ("softsign", |x| x.softsign(), |x| x / (1.0 + x.abs())),
    ("floor", |x| x.floor(), f64::floor),
    ("ceil", |x| x.ceil(), f64::ceil),
    ("round", |x| x.round(), f64::round_ties_even),
    ("trunc", |x| x.trunc(), f64::trunc),
    ("frac", |x| x.frac(), |x| x - x.trunc()),
    (
        "sign",
        |x| x.sign(),
        |x| if x == 0.0 { 0.0 } else { x.signum() },
    ),
    ("clamp", |x| x.clamp(-1.0, 2.0), |x| x.clamp(-1.0, 2.0)),
    ("add_scalar", |x| x.add_scalar(1.5), |x| x + 1.5),
    ("mul_scalar", |x| x.mul_scalar(-3), |x| x * -3.0),
    ("pow_scalar", |x| x.pow_scalar(3), |x| x * x * x),
    ("rdiv_scalar", |x| x.rdiv_scalar(2.0), |x| 2.0 / x),
    (
        "isnan",
        |x| x.log()?.isnan(),
        |x| f64::from(u8::from(x < 0.0)),
    ),
    (
        "gt_scalar",
        |x| x.gt_scalar(0.5),
        |x| f64::from(u8::from(x > 0.5)),
    ),
];

type Binary = (
    &'static str,
    fn(&Tensor, &Tensor) -> Result<Tensor>,
    fn(f64, f64) -> f64,
);

const BINARY: &[Binary] = &[
    ("add", |a, b| a.add(b), |a, b| a + b),
    ("sub", |a, b| a.sub(b), |a, b| a - b),
    ("mul", |a, b| a.mul(b), |a, b| a * b),
    ("div", |a, b| a.div(b), |a, b| a / b),
    ("add_", |a, b| a.copy()?.add_(b), |a, b| a + b),
    ("operator -", |a, b| Ok(a - b.copy()?), |a, b| a - b),
    (
        "floor_divide",
        |a, b| a.floor_divide(b),
        |a, b| (a / b).floor(),
    ),
    ("fmod", |a, b| a.fmod(b), |a, b| a % b),
    ("atan2", |a, b| a.atan2(b), f64::atan2),
    ("hypot", |a, b| a.hypot(b), f64::hypot),
    ("maximum", |a, b| a.maximum(b), f64::max),
    ("minimum", |a, b| a.minimum(b), f64::min),
    ("fmax", |a, b| a.fmax(b), f64::max),
    ("fmin", |a, b| a.fmin(b), f64::min),
    ("pow", |a, b| a.abs()?.pow(b), |a, b| a.abs().powf(b)),
    ("copysign", |a, b| a.copysign(b), f64::copysign),
    ("eq", |a, b| a.eq(b), |a, b| f64::from(u8::from(a == b))),
    ("lt", |a, b| a.lt(b), |a, b| f64::from(u8::from(a < b))),
    ("ge", |a, b| a.ge(b), |a, b| f64::from(u8::from(a >= b))),
    ("where_", |a, b| Tensor::where_(&a.gt(b)?, a, b), f64::max),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn unary(c in any_case()) {
        for (name, ours, theirs) in UNARY {
            let y = ours(&c.x).unwrap_or_else(|e| panic!("{name}: {e}"));
            close(&y, &c.a.mapv(theirs));
        }
    }

    #[test]
    fn binary((p, q) in any_pair()) {
        let shape = p.x.shape().broadcast(q.x.shape()).unwrap();
        let (a, b) = (p.a.broadcast(IxDyn(&shape)).unwrap(), q.a.broadcast(IxDyn(&shape)).unwrap());
        for (name, ours, theirs) in BINARY {
            let y = ours(&p.x, &q.x).unwrap_or_else(|e| panic!("{name}: {e}"));
            close(&y, &Zip::from(&a).and(&b).map_collect(|a, b| theirs(*a, *b)));
        }
    }

    #[test]
    fn reductions_over_one_dimension(c in any_case(), which in any::<usize>(), keepdim in any::<bool>()) {
        prop_assume!(c.x.rank() > 0);
        let d = which % c.x.rank();
        let n = c.x.dims()[d];
        let dim = if keepdim { d as isize } else { d as isize - c.x.rank() as isize };
        let check = |y: Tensor, a: ArrayD<f64>| close(&y, &if keepdim { a.insert_axis(Axis(d)) } else { a });
        let fold = |start: f64, f: fn(f64, f64) -> f64| c.a.map_axis(Axis(d), |row| row.iter().fold(start, |s, &x| f(s, x)));
        check(c.x.sum(dim, keepdim).unwrap(), fold(0.0, |a, b| a + b));
        check(c.x.prod(dim, keepdim).unwrap(), fold(1.0, |a, b| a * b));
        check(c.x.nansum(dim, keepdim).unwrap(), fold(0.0, |a, b| a + b));
        check(c.x.mean(dim, keepdim).unwrap(), fold(0.0, |a, b| a + b) / n as f64);
        check(c.x.all(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| f64::from(u8::from(r.iter().all(|&x| x != 0.0)))));
        check(c.x.any(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| f64::from(u8::from(r.iter().any(|&x| x != 0.0)))));
        check(c.x.norm(2.0, dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| r.iter().map(|x| x * x).sum::<f64>().sqrt()));
        check(c.x.norm(3.0, dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| r.iter().map(|x| x.abs().powi(3)).sum::<f64>().cbrt()));
        if n > 0 {
            check(c.x.amax(dim, keepdim).unwrap(), fold(f64::NEG_INFINITY, f64::max));
            check(c.x.amin(dim, keepdim).unwrap(), fold(f64::INFINITY, f64::min));
            check(c.x.logsumexp(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| r.iter().map(|x| x.exp()).sum::<f64>().ln()));
            let (values, indices) = c.x.max(dim, true).unwrap();
            prop_assert!(c.x.gather(d as isize, &indices).unwrap().equal(&values).unwrap());
            check(c.x.argmax(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| {
                r.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (i, &x)| if x > best.1 { (i, x) } else { best }).0 as f64
            }));
            check(c.x.argmin(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| {
                r.iter().enumerate().fold((0, f64::INFINITY), |best, (i, &x)| if x < best.1 { (i, x) } else { best }).0 as f64
            }));
            check(c.x.median_dim(dim, keepdim).unwrap().0, c.a.map_axis(Axis(d), |r| {
                let mut v = r.to_vec();
                v.sort_by(f64::total_cmp);
                v[(n - 1) / 2]
            }));
        }
        if n > 1 {
            check(c.x.var(dim, 1.0, keepdim).unwrap(), c.a.var_axis(Axis(d), 1.0));
            check(c.x.std(dim, 0.0, keepdim).unwrap(), c.a.std_axis(Axis(d), 0.0));
        }
    }

    #[test]
    fn reductions_over_many(c in any_case(), mask in any::<u8>()) {
        let dims: Vec<isize> = (0..c.x.rank()).filter(|d| mask >> d & 1 == 1).map(|d| d as isize).collect();
        let mut a = c.a.clone();
        let all = dims.is_empty();
        for d in (0..c.x.rank()).rev().filter(|d| all || mask >> d & 1 == 1) {
            a = a.sum_axis(Axis(d));
        }
        close(&c.x.sum(Dims::List(dims), false).unwrap(), &a);
        close(&c.x.count_nonzero(..).unwrap(), &ArrayD::from_elem(IxDyn(&[]), c.a.iter().filter(|x| **x != 0.0).count() as f64));
    }

    #[test]
    fn scans_and_order(c in any_case(), which in any::<usize>()) {
        prop_assume!(c.x.rank() > 0);
        let d = which % c.x.rank();
        let dim = d as isize;
        let scan = |start: f64, f: fn(f64, f64) -> f64| {
            let mut a = c.a.clone();
            a.lanes_mut(Axis(d)).into_iter().for_each(|mut lane| {
                let mut s = start;
                lane.iter_mut().for_each(|x| { s = f(s, *x); *x = s; });
            });
            a
        };
        close(&c.x.cumsum(dim).unwrap(), &scan(0.0, |a, b| a + b));
        close(&c.x.cumprod(dim).unwrap(), &scan(1.0, |a, b| a * b));
        close(&c.x.cummax(dim).unwrap().0, &scan(f64::NEG_INFINITY, f64::max));
        close(&c.x.cummin(dim).unwrap().0, &scan(f64::INFINITY, f64::min));
        let mut sorted = c.a.clone();
        sorted.lanes_mut(Axis(d)).into_iter().for_each(|mut lane| {
            let mut v = lane.to_vec();
            v.sort_by(f64::total_cmp);
            lane.iter_mut().zip(v).for_each(|(x, v)| *x = v);
        });
        let (values, indices) = c.x.sort(dim, false).unwrap();
        close(&values, &sorted);
        prop_assert!(c.x.gather(dim, &indices).unwrap().equal(&values).unwrap());
        let k = c.x.dims()[d] / 2;
        let (top, _) = c.x.topk(k, dim, true).unwrap();
        close(&top, &sorted.slice_axis(Axis(d), Slice::from((c.x.dims()[d] - k) as isize..)).slice_axis(Axis(d), Slice::new(0, None, -1)).to_owned());
    }

    #[test]
    fn views_show_the_same_elements(c in any_case(), which in any::<usize>(), start in -6i64..6, end in -6i64..6, step in 1i64..4) {
        close(&c.x.contiguous().unwrap(), &c.a);
        close(&c.x.reshape([c.x.numel()]).unwrap(), &ArrayD::from_shape_vec(IxDyn(&[c.a.len()]), c.a.iter().copied().collect()).unwrap());
        close(&c.x.flip(..).unwrap(), &{
            let mut a = c.a.view();
            (0..a.ndim()).for_each(|d| a.invert_axis(Axis(d)));
            a.to_owned()
        });
        prop_assume!(c.x.rank() > 0);
        let d = which % c.x.rank();
        let dim = d as isize;
        close(&c.x.transpose(dim, 0).unwrap(), &{ let mut a = c.a.view(); a.swap_axes(d, 0); a.to_owned() });
        close(&c.x.unsqueeze(dim).unwrap().squeeze(dim).unwrap(), &c.a);
        // Python's slice of a dimension, by indices.
        let n = c.x.dims()[d] as i64;
        let wrap = |i: i64| if i < 0 { i + n } else { i }.clamp(0, n);
        let picked: Vec<usize> = (wrap(start)..wrap(end)).step_by(step as usize).map(|i| i as usize).collect();
        close(&c.x.slice(dim, start, end, step).unwrap(), &c.a.select(Axis(d), &picked));
        if n > 0 {
            let at: Vec<usize> = (0..5).map(|i| (i * 7 + which) % n as usize).collect();
            let index = Tensor::from_vec(at.iter().map(|&i| i as i64).collect(), 5).unwrap();
            close(&c.x.index_select(dim, &index).unwrap(), &c.a.select(Axis(d), &at));
            let shift = start;
            let rolled: Vec<usize> = (0..n).map(|i| (i - shift).rem_euclid(n) as usize).collect();
            close(&c.x.roll(&[shift], dim).unwrap(), &c.a.select(Axis(d), &rolled));
            let repeated: Vec<usize> = (0..n as usize).flat_map(|i| [i, i]).collect();
            close(&c.x.repeat_interleave(2, dim).unwrap(), &c.a.select(Axis(d), &repeated));
            close(&Tensor::cat(&[&c.x, &c.x], dim).unwrap(), &ndarray::concatenate(Axis(d), &[c.a.view(), c.a.view()]).unwrap());
            close(&Tensor::stack(&[&c.x, &c.x], dim).unwrap(), &ndarray::stack(Axis(d), &[c.a.view(), c.a.view()]).unwrap());
            let parts = c.x.chunk(3, dim).unwrap();
            close(&Tensor::cat(&parts, dim).unwrap(), &c.a);
        }
    }

    #[test]
    fn matrix_products((b, m, k, n) in (0usize..4, 0usize..9, 0usize..9, 0usize..9), seed in any::<u64>()) {
        let (p, q) = (case(&[b, m, k], seed), case(&[k, n], seed ^ 1));
        let mut expected = ArrayD::zeros(IxDyn(&[b, m, n]));
        for (mut y, x) in expected.outer_iter_mut().zip(p.a.outer_iter()) {
            let x = x.into_dimensionality::<ndarray::Ix2>().unwrap();
            y.assign(&x.dot(&q.a.view().into_dimensionality::<ndarray::Ix2>().unwrap()));
        }
        close(&p.x.matmul(&q.x).unwrap(), &expected);
        close(&p.x.linear(&q.x.t().unwrap(), None).unwrap(), &expected);
        // The same in whole numbers.
        let whole = |x: &Tensor| x.mul_scalar(10).unwrap().to_dtype(DType::I32).unwrap();
        let (x, y) = (whole(&p.x), whole(&q.x));
        let exact = x.to_dtype(DType::F64).unwrap().matmul(&y.to_dtype(DType::F64).unwrap()).unwrap();
        close(&x.matmul(&y).unwrap(), &array(&exact));
    }

    #[test]
    fn scatter_undoes_gather(c in any_case(), which in any::<usize>(), seed in any::<u64>()) {
        prop_assume!(c.x.rank() > 0 && c.x.numel() > 0);
        let d = which % c.x.rank();
        let dim = d as isize;
        let index = case(c.x.dims(), seed).x.abs().unwrap().mul_scalar(1000).unwrap().to_dtype(DType::I64).unwrap()
            .remainder_scalar(c.x.dims()[d]).unwrap();
        let gathered = c.x.gather(dim, &index).unwrap();
        let mut expected = c.a.clone();
        let at = index.to_vec::<i64>().unwrap();
        let flat: Vec<Vec<usize>> = ndarray::indices(c.a.raw_dim()).into_iter().map(|i| i.slice().to_vec()).collect();
        let place = |k: usize| { let mut i = flat[k].clone(); i[d] = at[k] as usize; i };
        expected.iter_mut().enumerate().for_each(|(k, y)| *y = c.a[IxDyn(&place(k))]);
        close(&gathered, &expected);
        let mut sums = ArrayD::<f64>::zeros(c.a.raw_dim());
        c.a.iter().enumerate().for_each(|(k, x)| sums[IxDyn(&place(k))] += x);
        close(&Tensor::zeros(c.x.dims(), DType::F64).unwrap().scatter_add(dim, &index, &c.x).unwrap(), &sums);
    }
}
