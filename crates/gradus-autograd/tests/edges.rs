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
fn a_bound_stops_nan() -> Result<()> {
    let x = leaf(&[f64::NAN, -1.0, 0.0, 1.0]);
    assert_eq!(
        gradients(&x.clamp(Some(0.0), None)?, &[&x]),
        [[0.0, 0.0, 1.0, 1.0]]
    );
    assert_eq!(
        gradients(&x.clamp(Some(-2.0), Some(0.0))?, &[&x]),
        [[0.0, 1.0, 1.0, 0.0]]
    );
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
