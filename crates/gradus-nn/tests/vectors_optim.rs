//! Optimisers, schedules and clipping against trajectories computed by PyTorch.

mod common;

use common::{distance, flag, list, number, numbers, vectors};
use gradus_autograd::{Gradients, Var};
use gradus_nn::optim::*;
use gradus_nn::schedule::*;
use gradus_nn::{Module, Param, clip_grad_norm, clip_grad_value};
use gradus_tensor::{DType, Tensor};
use serde_json::Value;

/// `0.5 w'Hw - b'w`
#[derive(Module)]
struct Quadratic {
    w: Param,
    #[module(skip)]
    h: Var,
    #[module(skip)]
    b: Var,
}

impl Quadratic {
    fn loss(&self) -> gradus_tensor::Result<Var> {
        let w = self.w.var();
        let bent = self.h.matmul(&w.unsqueeze(1)?)?.squeeze(1)?; // (6)
        w.mul(&bent)?
            .sum(.., false)?
            .mul_scalar(0.5)?
            .sub(&self.b.mul(w)?.sum(.., false)?)
    }
}

fn optimizer(name: &str, kw: &Value) -> Box<dyn Optimizer> {
    let n = |key: &str, default: f64| number(kw, key, default);
    let lr = n("lr", f64::NAN);
    let weight_decay = n("weight_decay", 0.0);
    let maximize = flag(kw, "maximize");
    let amsgrad = flag(kw, "amsgrad");
    let betas = kw
        .get("betas")
        .map_or((0.9, 0.999), |v| (list(v)[0], list(v)[1]));
    let eps = |default| n("eps", default);
    match name {
        "SGD" => Box::new(SGD::with(SgdOptions {
            lr,
            momentum: n("momentum", 0.0),
            dampening: n("dampening", 0.0),
            nesterov: flag(kw, "nesterov"),
            weight_decay,
            maximize,
        })),
        "Adam" => Box::new(Adam::with(AdamOptions {
            lr,
            betas,
            eps: eps(1e-8),
            weight_decay,
            amsgrad,
            maximize,
        })),
        "AdamW" => Box::new(AdamW::with(AdamWOptions {
            lr,
            betas,
            eps: eps(1e-8),
            weight_decay: n("weight_decay", 1e-2),
            amsgrad,
            maximize,
        })),
        "RMSprop" => Box::new(RMSprop::with(RMSpropOptions {
            lr,
            alpha: n("alpha", 0.99),
            eps: eps(1e-8),
            weight_decay,
            momentum: n("momentum", 0.0),
            centered: flag(kw, "centered"),
            maximize,
        })),
        "Adagrad" => Box::new(Adagrad::with(AdagradOptions {
            lr,
            lr_decay: n("lr_decay", 0.0),
            weight_decay,
            initial_accumulator_value: n("initial_accumulator_value", 0.0),
            eps: eps(1e-10),
            maximize,
        })),
        "Adadelta" => Box::new(Adadelta::with(AdadeltaOptions {
            lr,
            rho: n("rho", 0.9),
            eps: eps(1e-6),
            weight_decay,
            maximize,
        })),
        "Adamax" => Box::new(Adamax::with(AdamaxOptions {
            lr,
            betas,
            eps: eps(1e-8),
            weight_decay,
            maximize,
        })),
        "NAdam" => Box::new(NAdam::with(NAdamOptions {
            lr,
            betas,
            eps: eps(1e-8),
            weight_decay,
            momentum_decay: n("momentum_decay", 4e-3),
            decoupled_weight_decay: flag(kw, "decoupled_weight_decay"),
            maximize,
        })),
        "RAdam" => Box::new(RAdam::with(RAdamOptions {
            lr,
            betas,
            eps: eps(1e-8),
            weight_decay,
            decoupled_weight_decay: flag(kw, "decoupled_weight_decay"),
            maximize,
        })),
        "ASGD" => Box::new(ASGD::with(AsgdOptions {
            lr,
            lambd: n("lambd", 1e-4),
            alpha: n("alpha", 0.75),
            t0: n("t0", 1e6),
            weight_decay,
            maximize,
        })),
        "Rprop" => Box::new(Rprop::with(RpropOptions {
            lr,
            etas: kw
                .get("etas")
                .map_or((0.5, 1.2), |v| (list(v)[0], list(v)[1])),
            step_sizes: kw
                .get("step_sizes")
                .map_or((1e-6, 50.0), |v| (list(v)[0], list(v)[1])),
            maximize,
        })),
        other => panic!("no optimiser is called {other}"),
    }
}

fn lbfgs(kw: &Value) -> LBFGS {
    let default = LbfgsOptions::default();
    LBFGS::with(LbfgsOptions {
        lr: number(kw, "lr", 1.0),
        max_iter: number(kw, "max_iter", 20.0) as usize,
        line_search: if kw.get("line_search_fn").is_some() {
            LineSearch::StrongWolfe
        } else {
            LineSearch::Fixed
        },
        ..default
    })
}

#[test]
fn every_optimiser_follows_pytorch() {
    let Some((manifest, tensors)) = vectors("optim") else {
        return;
    };
    let mut failures = Vec::new();
    let mut count = 0;
    for case in manifest["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["kind"] == "optim")
    {
        for (dtype, rtol, atol) in [(DType::F64, 1e-9, 1e-12), (DType::F32, 2e-4, 2e-5)] {
            let get = |name: &str| tensors[name].to_dtype(dtype).unwrap();
            let mut model = Quadratic {
                w: Param::new(get("w0")).unwrap(),
                h: Var::from(get("H")),
                b: Var::from(get("b")),
            };
            let (name, kw) = (case["opt"].as_str().unwrap(), &case["kw"]);
            let expected = numbers(&tensors[case["out"].as_str().unwrap()]);
            let mut actual = Vec::new();
            if name == "LBFGS" {
                let mut optimizer = lbfgs(kw);
                for _ in 0..case["steps"].as_u64().unwrap() {
                    optimizer.step(&mut model, Quadratic::loss).unwrap();
                    actual.extend(numbers(model.w.data()));
                }
                // The search multiplies rounding errors: f32 is not followed step by step.
                if dtype == DType::F32 {
                    continue;
                }
            } else {
                let mut optimizer = optimizer(name, kw);
                for _ in 0..case["steps"].as_u64().unwrap() {
                    let gradients = model.loss().unwrap().backward_once().unwrap();
                    optimizer.step(&mut model, &gradients).unwrap();
                    actual.extend(numbers(model.w.data()));
                }
            }
            let far = distance(&actual, &expected, rtol, atol);
            if far.is_nan() || far > 1.0 {
                failures.push(format!("{name} {kw} in {dtype}: {far:.3} tolerances away"));
            }
            count += 1;
        }
    }
    println!("{count} trajectories");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The schedules of the manifest, by PyTorch's names.
fn schedule(name: &str, kw: &Value) -> Box<dyn Schedule> {
    let n = |key: &str, default: f64| number(kw, key, default);
    let u = |key: &str, default: usize| {
        kw.get(key)
            .map_or(default, |v| v.as_u64().unwrap() as usize)
    };
    match name {
        "StepLR" => Box::new(StepLR {
            step_size: u("step_size", 1),
            gamma: n("gamma", 0.1),
        }),
        "MultiStepLR" => Box::new(MultiStepLR {
            milestones: list(&kw["milestones"])
                .into_iter()
                .map(|m| m as usize)
                .collect(),
            gamma: n("gamma", 0.1),
        }),
        "ExponentialLR" => Box::new(ExponentialLR {
            gamma: n("gamma", f64::NAN),
        }),
        "CosineAnnealingLR" => Box::new(CosineAnnealingLR {
            t_max: u("T_max", 0),
            eta_min: n("eta_min", 0.0),
        }),
        "CosineAnnealingWarmRestarts" => Box::new(CosineAnnealingWarmRestarts {
            t_0: u("T_0", 1),
            t_mult: u("T_mult", 1),
            eta_min: n("eta_min", 0.0),
        }),
        "LinearLR" => Box::new(LinearLR {
            start_factor: n("start_factor", 1.0 / 3.0),
            end_factor: n("end_factor", 1.0),
            total_iters: u("total_iters", 5),
        }),
        "ConstantLR" => Box::new(ConstantLR {
            factor: n("factor", 1.0 / 3.0),
            total_iters: u("total_iters", 5),
        }),
        "PolynomialLR" => Box::new(PolynomialLR {
            total_iters: u("total_iters", 5),
            power: n("power", 1.0),
        }),
        "OneCycleLR" => {
            let linear = kw.get("anneal_strategy").is_some_and(|v| v == "linear");
            let default = OneCycleLR::new(n("max_lr", f64::NAN), u("total_steps", 0));
            Box::new(OneCycleLR {
                pct_start: n("pct_start", default.pct_start),
                anneal_strategy: if linear {
                    Anneal::Linear
                } else {
                    Anneal::Cosine
                },
                div_factor: n("div_factor", default.div_factor),
                final_div_factor: n("final_div_factor", default.final_div_factor),
                three_phase: flag(kw, "three_phase"),
                ..default
            })
        }
        "CyclicLR" => Box::new(CyclicLR {
            step_size_down: kw
                .get("step_size_down")
                .map(|v| v.as_u64().unwrap() as usize),
            mode: match kw.get("mode").and_then(Value::as_str) {
                Some("triangular2") => CyclicMode::Triangular2,
                Some("exp_range") => CyclicMode::ExpRange(n("gamma", 1.0)),
                _ => CyclicMode::Triangular,
            },
            ..CyclicLR::new(
                n("base_lr", f64::NAN),
                n("max_lr", f64::NAN),
                u("step_size_up", 2000),
            )
        }),
        other => panic!("no schedule is called {other}"),
    }
}

#[test]
fn every_schedule_follows_pytorch() {
    let Some((manifest, _)) = vectors("optim") else {
        return;
    };
    for case in manifest["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["kind"] == "sched")
    {
        let (name, kw) = (case["sched"].as_str().unwrap(), &case["kw"]);
        let mut optimizer = SGD::new(case["base_lr"].as_f64().unwrap());
        let expected = list(&case["lr"]);
        let mut actual = Vec::new();
        if name == "ReduceLROnPlateau" {
            let mut plateau = ReduceLROnPlateau {
                patience: number(kw, "patience", 10.0) as usize,
                factor: number(kw, "factor", 0.1),
                cooldown: number(kw, "cooldown", 0.0) as usize,
                threshold: number(kw, "threshold", 1e-4),
                min_lr: number(kw, "min_lr", 0.0),
                mode: if kw.get("mode").is_some_and(|m| m == "max") {
                    PlateauMode::Max
                } else {
                    PlateauMode::Min
                },
                ..ReduceLROnPlateau::default()
            };
            for metric in list(&case["metric"]) {
                plateau.step(metric, &mut optimizer);
                actual.push(optimizer.lr());
            }
        } else {
            let mut scheduler = LrScheduler::new(schedule(name, kw), &mut optimizer);
            for _ in &expected {
                actual.push(optimizer.lr());
                scheduler.step(&mut optimizer);
            }
        }
        let far = distance(&actual, &expected, 1e-9, 1e-12);
        assert!(far <= 1.0, "{name} {kw}: {actual:?}\nis not {expected:?}");
    }
}

#[test]
fn clipping_follows_pytorch() {
    let Some((manifest, tensors)) = vectors("optim") else {
        return;
    };
    for case in manifest["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["kind"] == "clip")
    {
        let name = case["fn"].as_str().unwrap();
        let total = case["total"].as_f64();
        // The limits are not in the manifest; the results say what they were.
        let grads: Vec<_> = (0..2)
            .map(|i| {
                tensors[&format!("{name}.g{i}")]
                    .to_dtype(DType::F64)
                    .unwrap()
            })
            .collect();
        let expected: Vec<f64> = (0..2)
            .flat_map(|i| numbers(&tensors[&format!("{name}.o{i}")]))
            .collect();
        let mut gradients = Gradients::default();
        for (i, grad) in grads.iter().enumerate() {
            gradients.insert_id(i as u64, grad.clone());
        }
        let flat: Vec<f64> = grads.iter().flat_map(numbers).collect();
        if let Some(total) = total {
            let p = if name.ends_with("inf") {
                f64::INFINITY
            } else {
                2.0
            };
            let max_norm = expected[0] / flat[0] * (total + 1e-6);
            let norm = clip_grad_norm(&mut gradients, max_norm, p).unwrap();
            assert!(
                (norm - total).abs() < 1e-6 * total,
                "{name}: {norm} is not {total}"
            );
        } else {
            let limit = expected.iter().fold(0.0_f64, |m, x| x.abs().max(m));
            clip_grad_value(&mut gradients, limit).unwrap();
        }
        let actual: Vec<f64> = gradients
            .iter()
            .flat_map(|(_, grad)| numbers(grad))
            .collect();
        assert!(
            distance(&actual, &expected, 1e-6, 1e-9) <= 1.0,
            "{name}: {actual:?}\nis not {expected:?}"
        );
    }
}

#[test]
fn f64_and_tensor_of_f64_agree() {
    assert_eq!(
        numbers(&Tensor::full([2], 0.5, DType::F64).unwrap()),
        [0.5, 0.5]
    );
}
