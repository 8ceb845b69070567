//! What all optimisers share: groups, state that resumes bit for bit, half precision, refusals; EMA and schedules with them.

use gradus_autograd::{Gradients, Var};
use gradus_nn::optim::*;
use gradus_nn::schedule::{
    ChainedScheduler, ConstantLR, ExponentialLR, LrScheduler, OneCycleLR, Schedule, SequentialLR,
};
use gradus_nn::{Ema, Layer, Linear, Module, Sequential, StateDict};
use gradus_tensor::{DType, Result, Tensor};

fn model(dtype: DType) -> Sequential {
    gradus_tensor::random::manual_seed(3);
    let mut model = Sequential::new()
        .then(Linear::new(3, 4).unwrap())
        .then(Linear::new(4, 2).unwrap());
    model.to_dtype(dtype).unwrap();
    model
}

fn gradients(model: &Sequential) -> Result<Gradients> {
    let x = Tensor::from_slice(&[0.5_f32, -1.0, 2.0, 1.0, 0.25, -0.75], [2, 3])?
        .to_dtype(DType::F64)?;
    let dtype = model.named_parameters()[0].1.dtype();
    let y = model.forward(&Var::from(x.to_dtype(dtype)?))?;
    y.square()?.sum(.., false)?.backward_once()
}

fn bits(state: &StateDict) -> Vec<(String, Vec<u64>)> {
    let numbers = |t: &Tensor| t.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
    state
        .iter()
        .map(|(name, t)| {
            (
                name.clone(),
                numbers(t).into_iter().map(f64::to_bits).collect(),
            )
        })
        .collect()
}

/// Every optimiser, with all the state it can have.
fn all() -> Vec<Box<dyn Optimizer>> {
    vec![
        Box::new(SGD::with(SgdOptions {
            momentum: 0.9,
            nesterov: true,
            ..SgdOptions {
                lr: 0.01,
                ..SgdOptions::default()
            }
        })),
        Box::new(Adam::with(AdamOptions {
            amsgrad: true,
            ..AdamOptions::default()
        })),
        Box::new(AdamW::new(0.01)),
        Box::new(RMSprop::with(RMSpropOptions {
            momentum: 0.5,
            centered: true,
            ..RMSpropOptions::default()
        })),
        Box::new(Adagrad::new(0.01)),
        Box::new(Adadelta::new(1.0)),
        Box::new(Adamax::new(0.01)),
        Box::new(NAdam::new(0.01)),
        Box::new(RAdam::new(0.01)),
        Box::new(ASGD::new(0.01)),
        Box::new(Rprop::new(0.01)),
    ]
}

#[test]
fn state_resumes_bit_for_bit() -> Result<()> {
    for dtype in [DType::F32, DType::F64, DType::BF16] {
        for (mut straight, mut resumed) in all().into_iter().zip(all()) {
            let mut a = model(dtype);
            for _ in 0..7 {
                let g = gradients(&a)?;
                straight.step(&mut a, &g)?;
            }
            let saved = (a.state_dict(), straight.state_dict()?);
            let copied = bits(&saved.0);
            for _ in 0..5 {
                let g = gradients(&a)?;
                straight.step(&mut a, &g)?;
            }
            assert_eq!(
                bits(&saved.0),
                copied,
                "a saved state must not change under later steps"
            );

            let mut b = model(dtype);
            b.load_state_dict(&saved.0, true)?;
            resumed.load_state_dict(&saved.1)?;
            for _ in 0..5 {
                let g = gradients(&b)?;
                resumed.step(&mut b, &g)?;
            }
            assert_eq!(bits(&a.state_dict()), bits(&b.state_dict()));
            assert_eq!(bits(&straight.state_dict()?), bits(&resumed.state_dict()?));
        }
    }
    Ok(())
}

#[test]
fn lbfgs_resumes_too() -> Result<()> {
    let (mut a, mut b) = (model(DType::F64), model(DType::F64));
    let x = Var::from(Tensor::ones([2, 3], DType::F64)?);
    let loss = |m: &Sequential| {
        m.forward(&x)?
            .sub(&Var::from(Tensor::ones([2, 2], DType::F64)?))?
            .square()?
            .sum(.., false)
    };
    let options = LbfgsOptions {
        max_iter: 2,
        lr: 0.1,
        ..LbfgsOptions::default()
    };
    let (mut straight, mut resumed) = (LBFGS::with(options.clone()), LBFGS::with(options));
    straight.step(&mut a, loss)?;
    b.load_state_dict(&a.state_dict(), true)?;
    resumed.load_state_dict(&straight.state_dict()?)?;
    let (first, second) = (straight.step(&mut a, loss)?, resumed.step(&mut b, loss)?);
    assert_eq!(first.to_bits(), second.to_bits());
    assert_eq!(bits(&a.state_dict()), bits(&b.state_dict()));
    assert!(resumed.load_state_dict(&StateDict::new()).is_err());
    Ok(())
}

#[test]
fn groups_choose_by_name_and_the_last_that_fits_counts() -> Result<()> {
    let mut m = model(DType::F32);
    let before = m.state_dict();
    let still = SgdOptions {
        lr: 0.0,
        ..SgdOptions::default()
    };
    let mut optimizer = SGD::new(0.1)
        .group("0", still.clone())
        .group_where(
            |name, _| name.ends_with("bias"),
            SgdOptions {
                lr: 0.1,
                ..still.clone()
            },
        )
        .group("1.bias", still);
    assert_eq!(optimizer.lrs(), [0.1, 0.0, 0.1, 0.0]);
    let g = gradients(&m)?;
    optimizer.step(&mut m, &g)?;
    let after = m.state_dict();
    let moved =
        |name: &str| before[name].to_vec::<f32>().unwrap() != after[name].to_vec::<f32>().unwrap();
    assert_eq!(
        ["0.weight", "0.bias", "1.weight", "1.bias"].map(moved),
        [false, true, true, false]
    );
    optimizer.set_lr(0.5);
    assert_eq!(optimizer.lrs(), [0.5; 4]);
    Ok(())
}

#[test]
fn nonsense_is_refused_with_a_name() -> Result<()> {
    let mut m = model(DType::F32);
    let g = gradients(&m)?;
    let before = bits(&m.state_dict());
    let error = SGD::new(-1.0).step(&mut m, &g).unwrap_err().to_string();
    assert!(error.contains("SGD: lr is -1"), "{error}");
    let error = Adam::with(AdamOptions {
        betas: (0.9, 1.0),
        ..AdamOptions::default()
    })
    .step(&mut m, &g)
    .unwrap_err()
    .to_string();
    assert!(error.contains("betas.1 is 1"), "{error}");
    let mut wrong = Gradients::default();
    wrong.insert_id(
        m.named_parameters()[1].1.var().id().unwrap(),
        Tensor::zeros([7], DType::F32)?,
    );
    let error = SGD::new(0.1).step(&mut m, &wrong).unwrap_err().to_string();
    assert!(error.starts_with("0.bias: SGD: "), "{error}");
    assert_eq!(bits(&m.state_dict()), before);

    let mut adam = Adam::new(0.1);
    adam.step(&mut m, &g)?;
    let good = adam.state_dict()?;
    for (remove, insert) in [
        ("0.weight.step", None),
        ("", Some("0.weight.nonsense")),
        ("", Some("nodot")),
    ] {
        let mut bad = good.clone();
        bad.remove(remove);
        if let Some(name) = insert {
            bad.insert(name.to_string(), Tensor::zeros([1], DType::F32)?);
        }
        assert!(Adam::new(0.1).load_state_dict(&bad).is_err());
    }
    Ok(())
}

#[test]
fn a_gradient_of_before_still_fits_the_parameter() -> Result<()> {
    let mut m = model(DType::F32);
    let g = gradients(&m)?;
    let mut optimizer = SGD::new(0.1);
    optimizer.step(&mut m, &g)?;
    let once = bits(&m.state_dict());
    optimizer.step(&mut m, &g)?;
    assert_ne!(bits(&m.state_dict()), once);
    Ok(())
}

#[test]
fn averages_follow_and_swap() -> Result<()> {
    let mut m = model(DType::F32);
    let start = m.state_dict()["0.bias"].to_vec::<f32>()?;
    let mut ema = Ema::new(&m, 0.75);
    let g = gradients(&m)?;
    SGD::new(0.1).step(&mut m, &g)?;
    let trained = m.state_dict()["0.bias"].to_vec::<f32>()?;
    ema.update(&m)?;
    ema.swap(&mut m)?;
    for ((average, a), b) in m.state_dict()["0.bias"]
        .to_vec::<f32>()?
        .iter()
        .zip(&start)
        .zip(&trained)
    {
        assert!((average - (0.75 * a + 0.25 * b)).abs() < 1e-6);
    }
    ema.swap(&mut m)?;
    assert_eq!(m.state_dict()["0.bias"].to_vec::<f32>()?, trained);
    Ok(())
}

#[test]
fn schedules_compose_resume_and_move_the_momentum() {
    let mut optimizer = SGD::with(SgdOptions {
        lr: 1.0,
        momentum: 0.9,
        ..SgdOptions::default()
    })
    .group(
        "head",
        SgdOptions {
            lr: 0.1,
            momentum: 0.9,
            ..SgdOptions::default()
        },
    );
    let schedule = || {
        SequentialLR::new(ConstantLR {
            factor: 0.5,
            total_iters: 100,
        })
        .then(3, ExponentialLR { gamma: 0.1 })
    };
    let mut scheduler = LrScheduler::new(schedule(), &mut optimizer);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(optimizer.lrs());
        scheduler.step(&mut optimizer);
    }
    assert_eq!(seen[0], [0.5, 0.05]);
    assert_eq!(seen[3], [1.0, 0.1]);
    assert!((seen[4][0] - 0.1).abs() < 1e-15);
    assert_eq!(
        (scheduler.current_step(), scheduler.base_lrs()),
        (5, &[1.0, 0.1][..])
    );

    let mut again = SGD::new(1.0);
    let mut resumed = LrScheduler::new(schedule(), &mut again);
    resumed.set_step(5, &mut again);
    assert_eq!(again.lr(), optimizer.lr());

    let _ = LrScheduler::new(OneCycleLR::new(1.0, 10), &mut optimizer);
    assert_eq!(optimizer.options().momentum, 0.95);
    let chained = ChainedScheduler(vec![
        Box::new(ConstantLR {
            factor: 0.5,
            total_iters: 2,
        }),
        Box::new(ExponentialLR { gamma: 0.1 }),
    ]);
    assert!((chained.lr(1.0, 1) - 0.05).abs() < 1e-15);
}

/// PyTorch 2.15 keeps NAdam's running product in f32; after five steps that shows in the tenth digit.
#[test]
fn nadam_follows_pytorch_to_the_last_digits() -> Result<()> {
    let mut model = Sequential::new().then(Linear::builder(2, 1).bias(false).build()?);
    model.to_dtype(DType::F64)?;
    let start = Tensor::from_slice(&[1.0, -2.0], [1, 2])?;
    model.load_state_dict(&StateDict::from([("0.weight".into(), start)]), true)?;
    let mut optimizer = NAdam::with(NAdamOptions {
        lr: 0.02,
        betas: (0.7, 0.9),
        momentum_decay: 0.02,
        ..NAdamOptions::default()
    });
    for _ in 0..5 {
        let gradients = model.named_parameters()[0]
            .1
            .var()
            .square()?
            .sum(.., false)?
            .backward_once()?;
        optimizer.step(&mut model, &gradients)?;
    }
    let end = model.named_parameters()[0].1.data().to_vec::<f64>()?;
    for (got, expected) in end
        .iter()
        .zip([0.904_691_423_934_755_2, -1.904_010_771_836_992_7])
    {
        assert!((got - expected).abs() < 1e-14, "{got}, not {expected}");
    }
    Ok(())
}
