//! `GradScaler` against `torch.amp.GradScaler("cpu")` (PyTorch 2.15): the same scales, the same steps left out, the same weights
//! on a scripted sequence of gradients; what f16 loses without it; its state; its refusals.

use gradus_autograd::{Gradients, Var, autocast};
use gradus_nn::optim::{SGD, SgdOptions};
use gradus_nn::{GradScaler, GradScalerOptions, Layer, Linear, Module, Param, clip_grad_norm};
use gradus_tensor::{DType, Result, Tensor};

#[derive(Module)]
struct Two {
    w: Param,
    b: Param,
}

fn two() -> Result<Two> {
    Ok(Two {
        w: Param::new(Tensor::from_slice(&[1.0f32, -2.0], 2)?)?,
        b: Param::new(Tensor::from_slice(&[0.5f32], 1)?)?,
    })
}

/// `(w · [g, 1]).sum() + b.sum() / 2`: the gradients are [g, 1] and [0.5].
fn loss(model: &Two, g: f32) -> Result<Var> {
    let g = Var::from(Tensor::from_slice(&[g, 1.0], 2)?);
    let b = model.b.var().sum(.., false)?.mul_scalar(0.5)?;
    model.w.var().mul(&g)?.sum(.., false)?.add(&b)
}

fn options() -> GradScalerOptions {
    GradScalerOptions {
        init_scale: 1024.0,
        growth_factor: 3.0,
        backoff_factor: 0.3,
        growth_interval: 3,
        enabled: true,
    }
}

fn sgd() -> SGD {
    SGD::with(SgdOptions {
        lr: 0.1,
        momentum: 0.9,
        ..SgdOptions::default()
    })
}

const INF: f32 = f32::INFINITY;
const GRADIENTS: [f32; 14] = [
    1.0,
    0.5,
    INF,
    2.0,
    -1.0,
    0.25,
    3.0,
    -INF,
    f32::NAN,
    1.0,
    1.0,
    1.0,
    -2.0,
    4.0,
];
/// PyTorch's scale, weights and growth tracker after each of them.
const WANTED: [(f64, [f32; 3], u64); 14] = [
    (
        1024.0,
        [0.8999999761581421, -2.0999999046325684, 0.44999998807907104],
        1,
    ),
    (
        1024.0,
        [0.7599999904632568, -2.2899999618530273, 0.35499998927116394],
        2,
    ),
    (
        307.20001220703125,
        [0.7599999904632568, -2.2899999618530273, 0.35499998927116394],
        0,
    ),
    (
        307.20001220703125,
        [0.503069281578064, -2.52646541595459, 0.23676732182502747],
        1,
    ),
    (
        307.20001220703125,
        [0.3718316853046417, -2.8392841815948486, 0.08035792410373688],
        2,
    ),
    (
        921.6000366210938,
        [
            0.2287178486585617,
            -3.2208211421966553,
            -0.11041053384542465,
        ],
        0,
    ),
    (
        921.6000366210938,
        [
            -0.2000845968723297,
            -3.6642043590545654,
            -0.3321021497249603,
        ],
        1,
    ),
    (
        276.4800109863281,
        [
            -0.2000845968723297,
            -3.6642043590545654,
            -0.3321021497249603,
        ],
        0,
    ),
    (
        82.94400024414062,
        [
            -0.2000845968723297,
            -3.6642043590545654,
            -0.3321021497249603,
        ],
        0,
    ),
    (
        82.94400024414062,
        [
            -0.6860067248344421,
            -4.1632490158081055,
            -0.5816245675086975,
        ],
        1,
    ),
    (
        82.94400024414062,
        [
            -1.2233366966247559,
            -4.7123894691467285,
            -0.8561947345733643,
        ],
        2,
    ),
    (
        248.83200073242188,
        [-1.8069335222244263, -5.306615829467773, -1.1533079147338867],
        0,
    ),
    (
        248.83200073242188,
        [-2.1321706771850586, -5.94141960144043, -1.4707096815109253],
        1,
    ),
    (
        248.83200073242188,
        [-2.5693471431732178, -6.548858642578125, -1.774429202079773],
        2,
    ),
];

/// A step; every second one is clipped in between.
fn step(
    model: &mut Two,
    optimizer: &mut SGD,
    scaler: &mut GradScaler,
    number: usize,
) -> Result<bool> {
    let loss = loss(model, GRADIENTS[number])?;
    let mut gradients = scaler.scale(&loss)?.backward_once()?;
    if number % 2 == 1 {
        scaler.unscale_(&mut gradients)?;
        clip_grad_norm(&mut gradients, 1.5, 2.0)?;
    }
    let made = scaler.step(optimizer, model, &mut gradients)?;
    assert_eq!(made, !scaler.found_inf());
    scaler.update(None)?;
    Ok(made)
}

#[test]
fn scales_skipped_steps_and_weights_are_pytorchs() -> Result<()> {
    let (mut model, mut optimizer) = (two()?, sgd());
    let mut scaler = GradScaler::with(options())?;
    for (i, (scale, weights, tracker)) in WANTED.into_iter().enumerate() {
        if i == 6 {
            // In the middle the scaler goes into a checkpoint and comes back, into one that had other options.
            let state = scaler.state_dict()?;
            scaler = GradScaler::new();
            scaler.load_state_dict(&state)?;
        }
        let made = step(&mut model, &mut optimizer, &mut scaler, i)?;
        assert_eq!(made, GRADIENTS[i].is_finite(), "step {i}");
        assert_eq!(scaler.get_scale(), scale, "step {i}");
        let state = scaler.state_dict()?;
        assert_eq!(state["_growth_tracker"].to_f64()?, tracker as f64);
        let mut values = model.w.data().to_vec::<f32>()?;
        values.extend(model.b.data().to_vec::<f32>()?);
        for (got, want) in values.iter().zip(weights) {
            assert!(
                (got - want).abs() <= 1e-6 * want.abs(),
                "step {i}: {got} and {want}"
            );
        }
    }
    let names: Vec<String> = scaler.state_dict()?.into_keys().collect();
    let pytorchs = [
        "_growth_tracker",
        "backoff_factor",
        "growth_factor",
        "growth_interval",
        "scale",
    ];
    assert_eq!(names, pytorchs);
    Ok(())
}

#[test]
fn f16_loses_small_gradients_without_it() -> Result<()> {
    // The loss is so small that what passes through the product in f16 is below its smallest number.
    let x = Var::from(Tensor::ones([4, 3], DType::F32)?);
    let model = Linear::new(3, 2)?;
    let loss = autocast(DType::F16, || model.forward(&x))?
        .to_dtype(DType::F32)?
        .sum(.., false)?
        .mul_scalar(1e-8)?;
    let weight = |gradients: &Gradients| -> Result<Vec<f32>> {
        gradients.get(model.weight.var()).unwrap().to_vec::<f32>()
    };
    assert_eq!(weight(&loss.backward()?)?, [0.0; 6]);
    let mut scaler = GradScaler::new();
    let mut gradients = scaler.scale(&loss)?.backward()?;
    scaler.unscale_(&mut gradients)?;
    for dw in weight(&gradients)? {
        assert!((dw - 4e-8).abs() < 4e-11, "{dw}"); // within f16's 2^-11
    }
    // In 16 bits itself, the scaled loss has to be f32: the scale alone is more than f16 can say.
    let low = loss.add_scalar(3)?.to_dtype(DType::F16)?;
    assert_eq!(scaler.scale(&low)?.item::<f32>()?, 3.0 * 65536.0);
    Ok(())
}

#[test]
fn bf16_parameters_are_unscaled_and_f16_ones_refused() -> Result<()> {
    let mut scaler = GradScaler::new();
    for dtype in [DType::BF16, DType::F64, DType::F16] {
        let w = Var::leaf(Tensor::ones([3], dtype)?)?;
        let mut gradients = w
            .mul_scalar(3)?
            .sum(.., false)?
            .mul_scalar(1024)?
            .backward()?;
        let result = scaler.unscale_(&mut gradients);
        if dtype == DType::F16 {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("a gradient is f16"), "{error}");
            continue;
        }
        result?;
        let dw = gradients.get(&w).unwrap().to_dtype(DType::F64)?;
        assert_eq!(dw.to_vec::<f64>()?, [3.0 / 64.0; 3]);
        assert_eq!(gradients.get(&w).unwrap().dtype(), dtype);
    }
    Ok(())
}

#[test]
fn two_models_are_looked_at_apart() -> Result<()> {
    let (mut good, mut bad) = (two()?, two()?);
    let (mut one, mut other) = (sgd(), sgd());
    let mut scaler = GradScaler::with(options())?;
    // One backward through both models.
    let both = loss(&good, 1.0)?.add(&loss(&bad, INF)?)?;
    let mut gradients = scaler.scale(&both)?.backward_once()?;
    assert!(scaler.step(&mut one, &mut good, &mut gradients)?);
    assert!(!scaler.step(&mut other, &mut bad, &mut gradients)?);
    scaler.update(None)?;
    assert_eq!(scaler.get_scale(), f64::from(307.2f32));
    assert_eq!(bad.w.data().to_vec::<f32>()?, [1.0, -2.0]);
    assert!((good.w.data().to_vec::<f32>()?[0] - 0.9).abs() < 1e-6);
    Ok(())
}

#[test]
fn mistakes_are_errors() -> Result<()> {
    let (mut model, mut optimizer) = (two()?, sgd());
    let mut scaler = GradScaler::new();
    let said = |result: Result<()>, text: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    };
    said(scaler.update(None), "no gradients were looked at");
    let mut gradients = scaler.scale(&loss(&model, 1.0)?)?.backward_once()?;
    scaler.unscale_(&mut gradients)?;
    said(
        scaler.unscale_(&mut gradients),
        "already since the last update",
    );
    assert!(scaler.step(&mut optimizer, &mut model, &mut gradients)?);
    said(
        scaler.unscale_(&mut gradients),
        "unscale_ is called after step",
    );
    let again = scaler.step(&mut optimizer, &mut model, &mut gradients);
    said(again.map(drop), "step has been called already");
    said(scaler.update(Some(0.0)), "positive number");
    scaler.update(Some(8.0))?;
    assert_eq!(scaler.get_scale(), 8.0);
    for (options, text) in [
        (
            GradScalerOptions {
                growth_factor: 1.0,
                ..options()
            },
            "growth_factor is 1",
        ),
        (
            GradScalerOptions {
                backoff_factor: 1.0,
                ..options()
            },
            "backoff_factor is 1",
        ),
        (
            GradScalerOptions {
                growth_interval: 0,
                ..options()
            },
            "growth_interval is 0",
        ),
        (
            GradScalerOptions {
                init_scale: f64::NAN,
                ..options()
            },
            "the scale is NaN",
        ),
    ] {
        said(GradScaler::with(options).map(drop), text);
    }
    let mut state = scaler.state_dict()?;
    state.remove("scale");
    said(scaler.load_state_dict(&state), "scale is missing");
    let off = GradScaler::with(GradScalerOptions {
        enabled: false,
        ..options()
    })?;
    assert!(off.state_dict()?.is_empty() && off.get_scale() == 1.0);
    said(
        scaler.load_state_dict(&off.state_dict()?),
        "the state is empty",
    );
    Ok(())
}

#[test]
fn switched_off_it_does_nothing() -> Result<()> {
    let (mut model, mut optimizer) = (two()?, sgd());
    let off = GradScalerOptions {
        enabled: false,
        ..options()
    };
    let mut scaler = GradScaler::with(off)?;
    let mut gradients = scaler.scale(&loss(&model, 1.0)?)?.backward_once()?;
    scaler.unscale_(&mut gradients)?;
    assert!(scaler.step(&mut optimizer, &mut model, &mut gradients)?);
    scaler.update(None)?;
    assert!((model.w.data().to_vec::<f32>()?[0] - 0.9).abs() < 1e-6);
    Ok(())
}
