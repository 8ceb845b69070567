//! Values and gradients where formulas have edges: ties, ends of a domain, overflow on the way, NaN. Expected values are PyTorch's, or
//! from 40 digits.

use gradus_autograd::functional::{self as f, Attention, Reduction};
use gradus_autograd::{Var, grad};
use gradus_tensor::random::Rng;
use gradus_tensor::{ConvParams, DType, Result, Tensor};

fn leaf(numbers: &[f64]) -> Var {
    Var::leaf(Tensor::from_slice(numbers, numbers.len()).unwrap()).unwrap()
}

/// The gradients of the sum of `y`.
fn gradients(y: &Var, inputs: &[&Var]) -> Vec<Vec<f64>> {
    let sum = y.sum(.., false).unwrap();
    let zero = |x: &Var| vec![0.0; x.numel()];
    grad(&[&sum], inputs, None, false)
        .unwrap()
        .into_iter()
        .zip(inputs)
        .map(|(dx, x)| dx.map_or(zero(x), |dx| dx.value().to_vec::<f64>().unwrap()))
        .collect()
}

#[test]
fn differences_of_order_0_join_nothing() -> Result<()> {
    let (x, before) = (leaf(&[1.0, 4.0]), leaf(&[7.0]));
    let y = x.diff(0, 0, Some(&before), Some(&before))?;
    assert_eq!(y.value().to_vec::<f64>()?, [1.0, 4.0]);
    assert_eq!(gradients(&y, &[&x, &before]), [vec![1.0, 1.0], vec![0.0]]);
    assert!(
        x.diff(0, 3, None, None).is_ok(),
        "PyTorch does not look at the dimension either"
    );
    Ok(())
}

#[test]
fn ties_share_the_gradient() -> Result<()> {
    let (a, b) = (leaf(&[1.0, 2.0, 3.0]), leaf(&[2.0, 2.0, 2.0]));
    for y in [a.fmax(&b)?, a.clamp_tensor(Some(&b), None)?, a.maximum(&b)?] {
        assert_eq!(gradients(&y, &[&a, &b]), [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]]);
    }
    for y in [a.fmin(&b)?, a.clamp_tensor(None, Some(&b))?, a.minimum(&b)?] {
        assert_eq!(gradients(&y, &[&a, &b]), [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]);
    }
    let high = leaf(&[4.0, 4.0, 3.0]);
    let y = a.clamp_tensor(Some(&b), Some(&high))?;
    let expected = [[0.0, 0.5, 0.5], [1.0, 0.5, 0.0], [0.0, 0.0, 0.5]];
    assert_eq!(gradients(&y, &[&a, &b, &high]), expected);
    let y = a.clamp_tensor(Some(&a), Some(&a))?; // on both bounds at once
    assert_eq!(gradients(&y, &[&a]), [[1.0, 1.0, 1.0]]);
    Ok(())
}

#[test]
fn a_bound_stops_nan_and_what_lies_on_it() -> Result<()> {
    let inf = f64::INFINITY;
    let x = leaf(&[f64::NAN, -1.0, 0.0, 1.0, inf, -inf]);
    for (min, max, expected) in [
        (Some(0.0), None, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
        (None, Some(1.0), [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]),
        (Some(-2.0), Some(0.0), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
    ] {
        assert_eq!(gradients(&x.clamp(min, max)?, &[&x]), [expected]);
    }
    Ok(())
}

/// What PyTorch's vectors give; its elements left over at a row's end give `dy` at NaN instead.
#[test]
fn activations_at_nan_and_infinity() -> Result<()> {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = leaf(&[nan, inf, -inf]);
    let weight = Var::from(Tensor::from_slice(&[0.25], 1)?);
    type Row = (&'static str, Result<Var>, [f64; 3], [f64; 3]);
    let rows: [Row; 12] = [
        ("relu", x.relu(), [nan, inf, 0.0], [1.0, 1.0, 0.0]),
        ("relu6", x.relu6(), [nan, 6.0, 0.0], [0.0; 3]),
        (
            "hardtanh",
            x.hardtanh(-1.0, 1.0),
            [nan, 1.0, -1.0],
            [0.0; 3],
        ),
        ("hardsigmoid", x.hardsigmoid(), [nan, 1.0, 0.0], [0.0; 3]),
        ("hardswish", x.hardswish(), [nan, inf, nan], [nan, 1.0, 0.0]),
        (
            "hardshrink",
            x.hardshrink(0.5),
            [nan, inf, -inf],
            [0.0, 1.0, 1.0],
        ),
        (
            "softshrink",
            x.softshrink(0.5),
            [nan, inf, -inf],
            [0.0, 1.0, 1.0],
        ),
        ("elu", x.elu(1.0), [nan, inf, -1.0], [nan, 1.0, 0.0]),
        ("celu", x.celu(0.5), [nan, inf, -0.5], [nan, 1.0, 0.0]),
        (
            "leaky_relu",
            x.leaky_relu(0.25),
            [nan, inf, -inf],
            [0.25, 1.0, 0.25],
        ),
        (
            "prelu",
            f::prelu(&x, &weight),
            [nan, inf, -inf],
            [0.25, 1.0, 0.25],
        ),
        ("softsign", x.softsign(), [nan; 3], [nan; 3]),
    ];
    let same = |a: &[f64], b: &[f64]| {
        a.iter()
            .zip(b)
            .all(|(a, b)| a == b || a.is_nan() && b.is_nan())
    };
    for (name, y, value, slope) in rows {
        let y = y?;
        let got = y.value().to_vec::<f64>()?;
        assert!(same(&got, &value), "{name}: {got:?}, not {value:?}");
        let got = &gradients(&y, &[&x])[0];
        assert!(
            same(got, &slope),
            "the slope of {name}: {got:?}, not {slope:?}"
        );
    }
    let up = leaf(&[inf, 3.0]);
    let weight = leaf(&[0.25]);
    assert_eq!(gradients(&f::prelu(&up, &weight)?, &[&weight]), [[0.0]]);
    Ok(())
}

#[test]
fn losses_that_grow_straight_have_a_slope_at_infinity() -> Result<()> {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = leaf(&[inf, -inf, 0.5, nan]);
    let target = Var::from(Tensor::zeros(4, DType::F64)?);
    for y in [
        f::huber_loss(&x, &target, 1.0, Reduction::Sum)?,
        f::smooth_l1_loss(&x, &target, 1.0, Reduction::Sum)?,
    ] {
        let dx = &gradients(&y, &[&x])[0];
        assert!(dx[..3] == [1.0, -1.0, 0.5] && dx[3].is_nan(), "{dx:?}");
    }
    Ok(())
}

#[test]
fn nan_is_where_the_gradient_of_what_it_decides_goes() -> Result<()> {
    let nan = f64::NAN;
    let x = leaf(&[1.0, nan, -2.0]);
    let q = Var::from(Tensor::from_slice(&[0.5], ())?);
    let y = x.quantile(&q, 0, false, "linear")?;
    assert!(y.value().item::<f64>()?.is_nan());
    assert_eq!(gradients(&y, &[&x]), [[0.0, 1.0, 0.0]]);
    let y = x.norm(f64::NEG_INFINITY, .., false)?;
    assert!(y.value().item::<f64>()?.is_nan());
    assert_eq!(gradients(&y, &[&x])[0][0], 0.0);
    let all = gradients(&x.amax(.., false)?, &[&x]).concat();
    assert!(all.iter().all(|dx| dx.is_nan()), "{all:?}");
    let dx = gradients(&x.logit(Some(0.1))?, &[&x]);
    assert_eq!(dx, [[0.0; 3]]);
    Ok(())
}

#[test]
fn a_batch_norm_in_evaluation_passes_gradients_beside_nan() -> Result<()> {
    let x = Var::leaf(Tensor::from_slice(&[1.0, f64::NAN, 3.0], [3, 1])?)?;
    let (mean, var) = (
        Tensor::from_slice(&[1.0], 1)?,
        Tensor::from_slice(&[4.0], 1)?,
    );
    let y = f::batch_norm(&x, Some((&mean, &var)), None, None, false, 0.0)?;
    assert_eq!(gradients(&y, &[&x]), [[0.5; 3]]);
    Ok(())
}

#[test]
fn nan_reaches_both_operands_of_a_choice_and_the_value_between_two_bounds() -> Result<()> {
    let nan = f64::NAN;
    let (a, b) = (leaf(&[nan, 1.0, nan]), leaf(&[1.0, nan, nan]));
    for y in [
        a.maximum(&b)?,
        a.minimum(&b)?,
        a.clamp_tensor(Some(&b), None)?,
        a.clamp_tensor(None, Some(&b))?,
    ] {
        assert!(y.value().isnan()?.to_vec::<bool>()?.iter().all(|&n| n));
        assert_eq!(gradients(&y, &[&a, &b]), [[1.0; 3], [1.0; 3]]);
    }
    // x, min, max, and what torch.clamp gives each.
    let inf = f64::INFINITY;
    for (at, expected) in [
        ([nan, 0.0, 1.0], [1.0, 0.0, 0.0]),
        ([nan, 1.0, 0.0], [1.0, 0.0, 1.0]),
        ([3.0, nan, 1.0], [0.0, 0.0, 0.0]),
        ([1.0, nan, 1.0], [1.0, 0.0, 0.0]),
        ([-3.0, 0.0, nan], [0.0, 0.0, 0.0]),
        ([0.5, nan, nan], [1.0, 0.0, 0.0]),
        ([inf, 0.0, inf], [0.5, 0.0, 0.5]),
        ([-inf, -inf, 1.0], [0.5, 0.5, 0.0]),
        ([2.0, 1.0, 1.0], [0.0, 0.0, 1.0]),
        ([0.0, 1.0, 1.0], [0.0, 1.0, 0.0]),
        ([0.5, 1.0, 0.0], [0.0, 0.0, 1.0]),
    ] {
        let [x, min, max] = at.map(|v| leaf(&[v]));
        let y = x.clamp_tensor(Some(&min), Some(&max))?;
        let got = gradients(&y, &[&x, &min, &max]).concat();
        assert_eq!(got, expected, "{at:?}");
    }
    Ok(())
}

#[test]
fn logaddexp_of_infinities() -> Result<()> {
    let inf = f64::INFINITY;
    let (a, b) = (leaf(&[inf, 1.0, -inf, inf]), leaf(&[1.0, inf, 1.0, -inf]));
    let y = a.logaddexp(&b)?;
    assert_eq!(y.value().to_vec::<f64>()?, [inf, inf, 1.0, inf]);
    assert_eq!(
        gradients(&y, &[&a, &b]),
        [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]
    );
    let (a, b) = (leaf(&[inf, -inf]), leaf(&[inf, -inf]));
    let y = a.logaddexp(&b)?;
    assert_eq!(y.value().to_vec::<f64>()?, [inf, -inf]);
    for dx in gradients(&y, &[&a, &b]).concat() {
        assert!(dx.is_nan(), "∞ − ∞ has no slope: {dx}");
    }
    Ok(())
}

#[test]
fn logit_has_no_slope_beyond_its_domain() -> Result<()> {
    let x = leaf(&[-0.5, 0.25, 1.5]);
    let dx = &gradients(&x.logit(None)?, &[&x])[0];
    assert!(
        dx[0].is_nan() && (dx[1] - 16.0 / 3.0).abs() < 1e-12 && dx[2].is_nan(),
        "{dx:?}"
    );
    assert_eq!(gradients(&x.logit(Some(0.3))?, &[&x]), [[0.0, 0.0, 0.0]]);
    Ok(())
}

#[test]
fn powers_that_overflow_have_slopes_that_do_not() -> Result<()> {
    let x = leaf(&[1e200, 1e-200, f64::INFINITY, 0.0, 0.0]);
    let p = Var::from(Tensor::from_slice(&[2.0, 2.0, 2.0, 1.0, 0.0], 5)?);
    let dx = &gradients(&x.pow(&p)?, &[&x])[0];
    assert_eq!(dx[..], [2e200, 2e-200, f64::INFINITY, 1.0, 0.0]);
    let x = leaf(&[-1.0, 2.0]);
    let p = Var::from(Tensor::from_slice(&[f64::INFINITY; 2], 2)?);
    assert_eq!(gradients(&x.pow(&p)?, &[&x]), [[f64::INFINITY; 2]]);
    Ok(())
}

#[test]
fn the_slope_of_sinc_is_accurate_near_0() -> Result<()> {
    let at = [1e-3, 1e-5, 0.02, 0.3, 0.0];
    let exact = [
        -0.003_289_864_886_727_896_4,
        -3.289_868_133_371_756e-5,
        -0.065_771_390_578_487_27,
        -0.902_028_130_138_888_9,
        0.0,
    ];
    for (dtype, rtol) in [(DType::F64, 1e-14), (DType::F32, 1e-6)] {
        let x = Var::leaf(Tensor::from_slice(&at, 5)?.to_dtype(dtype)?)?;
        let y = x.sinc()?.sum(.., false)?;
        let dx = grad(&[&y], &[&x], None, false)?
            .remove(0)
            .expect("a gradient");
        let dx = dx.value().to_dtype(DType::F64)?.to_vec::<f64>()?;
        for (got, exact) in dx.iter().zip(exact) {
            assert!(
                (got - exact).abs() <= rtol * exact.abs(),
                "{dtype}: {got}, not {exact}"
            );
        }
    }
    Ok(())
}

#[test]
fn one_margin_loss_has_the_rank_of_its_target() -> Result<()> {
    let x = leaf(&[0.1, 0.7, 0.2]);
    for rank in [0, 1] {
        let target = Tensor::full(&vec![1; rank][..], 1, DType::I64)?;
        let y = f::multi_margin_loss(&x, &target, 1, 1.0, None, Reduction::None)?;
        assert_eq!(y.rank(), rank);
    }
    Ok(())
}

#[test]
fn same_padding_refuses_what_cannot_keep_the_size() -> Result<()> {
    let x = Var::from(Tensor::ones([1, 1, 5, 5], DType::F32)?);
    let weight = |dims: &[usize]| Tensor::ones(dims, DType::F32).map(Var::from);
    let params = ConvParams::<2>::default();
    let y = f::conv_same(&x, &weight(&[1, 1, 2, 3])?, None, &params)?;
    assert_eq!(y.dims(), x.dims());
    assert!(f::conv_same(&x, &weight(&[1, 1, 3])?, None, &params).is_err());
    let strided = ConvParams {
        stride: [2, 1],
        ..params
    };
    assert!(f::conv_same(&x, &weight(&[1, 1, 3, 3])?, None, &strided).is_err());
    Ok(())
}

#[test]
fn attention_takes_one_kind_of_mask() -> Result<()> {
    let x = Var::from(Tensor::ones([2, 3], DType::F32)?);
    let options = Attention {
        bias: Some(Var::from(Tensor::zeros([2, 2], DType::F32)?)),
        is_causal: true,
        ..Attention::default()
    };
    let refused = f::scaled_dot_product_attention(&x, &x, &x, &options);
    assert!(refused.unwrap_err().to_string().contains("not several"));
    Ok(())
}

/// A table that also is the last layer has a gradient from there when its rows' come: they are added to it, in place.
#[test]
fn a_tied_table_gets_both_gradients() -> Result<()> {
    let table = Var::leaf(Tensor::randn([7, 3], DType::F64, &mut Rng::new(1))?)?;
    let ids = Tensor::from_slice(&[2i64, 5, 2, 0], 4)?;
    for tied in [true, false] {
        let x = f::embedding(&ids, &table, None)?; // (4, 3)
        let y = if tied { x.matmul(&table.t()?)? } else { x };
        let loss = y.square()?.sum(.., false)?;
        // A gradient that is recorded takes the dense way.
        let dense = grad(&[&loss], &[&table], None, true)?;
        let rows = loss.backward()?;
        let (a, b) = (
            dense[0].as_ref().unwrap().value(),
            rows.get(&table).unwrap(),
        );
        assert!(a.allclose(b, 1e-12, 1e-12, false)?, "tied {tied}");
    }
    Ok(())
}
