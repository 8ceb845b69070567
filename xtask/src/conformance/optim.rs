//! Optimisers, schedules and gradient clipping against PyTorch's, step by step.

use std::collections::BTreeMap;

use gradus_autograd::{Gradients, Var};
use gradus_nn::optim::*;
use gradus_nn::schedule::*;
use gradus_nn::{Module, Param, clip_grad_norm, clip_grad_value};
use gradus_tensor::{DType, Result as TensorResult, Tensor};
use serde_json::Value;

use super::cases::quietly;
use super::compare::{Tolerance, numbers};
use super::manifest::{Vectors, tensor};
use super::report::{FileReport, Verdict};

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
    fn loss(&self) -> TensorResult<Var> {
        let w = self.w.var();
        let bent = self.h.matmul(&w.unsqueeze(1)?)?.squeeze(1)?; // (6)
        let linear = self.b.mul(w)?.sum(.., false)?;
        w.mul(&bent)?.sum(.., false)?.mul_scalar(0.5)?.sub(&linear)
    }
}

type Tensors = BTreeMap<String, Tensor>;

/// Runs `optim.json`.
pub fn run(vectors: &Vectors) -> Result<FileReport, String> {
    let manifest: Value = vectors.json("optim")?;
    let tensors = vectors.tensors("optim")?;
    let mut report = FileReport::new("optim");
    for case in manifest["cases"]
        .as_array()
        .ok_or("optim.json has no cases")?
    {
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let (name, judge): (&str, fn(&Value, &Tensors) -> Result<Verdict, String>) =
            match text("kind") {
                "optim" => (text("opt"), trajectory),
                "sched" => (text("sched"), rates),
                "clip" => (text("fn"), clipping),
                other => return Err(format!("optim.json: unknown kind {other:?}")),
            };
        let verdict = match quietly(|| judge(case, &tensors)) {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => Verdict::Failed(why),
            Err(panic) => Verdict::Failed(format!("panicked: {panic}")),
        };
        let id = if case["kw"].is_object() {
            format!("{name}#{}", case["kw"])
        } else {
            name.to_string()
        };
        report.add(name, &id, verdict);
    }
    Ok(report)
}

/// The keywords that [`optimizer`] and [`lbfgs`] look at; a case with another one is unsupported.
const KEYWORDS: &str = "lr momentum dampening nesterov weight_decay maximize betas eps amsgrad decoupled_weight_decay alpha \
    centered lr_decay initial_accumulator_value rho momentum_decay lambd t0 etas step_sizes max_iter \
    max_eval tolerance_grad tolerance_change history_size line_search_fn";

/// The weights after every step. f32 follows within the rounding that the steps pile up.
fn trajectory(case: &Value, tensors: &Tensors) -> Result<Verdict, String> {
    let fail = |e: gradus_tensor::Error| e.to_string();
    let (name, kw) = (case["opt"].as_str().unwrap_or_default(), &case["kw"]);
    let unknown = |key: &&String| !KEYWORDS.split(' ').any(|known| known == key.as_str());
    if let Some(key) = kw.as_object().and_then(|kw| kw.keys().find(unknown)) {
        return Ok(Verdict::Unsupported(format!("keyword {key}")));
    }
    let steps = case["steps"].as_u64().ok_or("no steps")?;
    let expected = numbers(tensor(tensors, case["out"].as_str().unwrap_or_default())?)?;
    let single = Tolerance {
        rtol: 2e-4,
        atol: 2e-5,
    };
    for (dtype, tolerance) in [
        (
            DType::F64,
            Tolerance {
                rtol: 1e-9,
                atol: 1e-12,
            },
        ),
        (DType::F32, single),
    ] {
        let get = |name: &str| tensor(tensors, name)?.to_dtype(dtype).map_err(fail);
        let w = Param::new(get("w0")?).map_err(fail)?;
        let mut model = Quadratic {
            w,
            h: Var::from(get("H")?),
            b: Var::from(get("b")?),
        };
        let mut got = Vec::new();
        if name == "LBFGS" {
            // Its search multiplies rounding errors: f32 cannot be followed step by step.
            if dtype == DType::F32 {
                continue;
            }
            let mut optimizer = lbfgs(kw);
            for _ in 0..steps {
                optimizer.step(&mut model, Quadratic::loss).map_err(fail)?;
                got.extend(numbers(model.w.data())?);
            }
        } else {
            let Some(mut optimizer) = optimizer(name, kw) else {
                return Ok(Verdict::Unsupported(format!(
                    "no optimiser is called {name}"
                )));
            };
            for _ in 0..steps {
                let gradients = model.loss().and_then(Var::backward_once).map_err(fail)?;
                optimizer.step(&mut model, &gradients).map_err(fail)?;
                got.extend(numbers(model.w.data())?);
            }
        }
        if let Some(why) = first_difference(&got, &expected, tolerance) {
            return Ok(Verdict::Failed(format!("{dtype}: {why}")));
        }
    }
    Ok(Verdict::Passed)
}

fn first_difference(got: &[f64], expected: &[f64], tolerance: Tolerance) -> Option<String> {
    if got.len() != expected.len() {
        return Some(format!(
            "{} numbers, expected {}",
            got.len(),
            expected.len()
        ));
    }
    let at = (0..got.len()).find(|&i| !tolerance.accepts(got[i], expected[i]))?;
    Some(format!(
        "number {at}: {:e}, expected {:e}",
        got[at], expected[at]
    ))
}

/// The learning rate of every step.
fn rates(case: &Value, _: &Tensors) -> Result<Verdict, String> {
    let (name, kw) = (case["sched"].as_str().unwrap_or_default(), &case["kw"]);
    let mut optimizer = SGD::new(case["base_lr"].as_f64().ok_or("no base_lr")?);
    let expected = list(&case["lr"]);
    let mut got = Vec::new();
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
            threshold_mode: if kw.get("threshold_mode").is_some_and(|m| m == "abs") {
                ThresholdMode::Absolute
            } else {
                ThresholdMode::Relative
            },
            eps: number(kw, "eps", 1e-8),
            ..ReduceLROnPlateau::default()
        };
        for metric in list(&case["metric"]) {
            plateau.step(metric, &mut optimizer);
            got.push(optimizer.lr());
        }
    } else {
        let Some(schedule) = schedule(name, kw) else {
            return Ok(Verdict::Unsupported(format!(
                "no schedule is called {name}"
            )));
        };
        let mut scheduler = LrScheduler::new(schedule, &mut optimizer);
        for _ in &expected {
            got.push(optimizer.lr());
            scheduler.step(&mut optimizer);
        }
    }
    let why = first_difference(
        &got,
        &expected,
        Tolerance {
            rtol: 1e-9,
            atol: 1e-12,
        },
    );
    Ok(why.map_or(Verdict::Passed, Verdict::Failed))
}

/// Clipped gradients. The limits are not in the manifest; the results say what they were.
fn clipping(case: &Value, tensors: &Tensors) -> Result<Verdict, String> {
    let fail = |e: gradus_tensor::Error| e.to_string();
    let name = case["fn"].as_str().unwrap_or_default();
    let (mut gradients, mut given, mut expected) = (Gradients::default(), Vec::new(), Vec::new());
    for i in 0..2 {
        let gradient = tensor(tensors, &format!("{name}.g{i}"))?
            .to_dtype(DType::F64)
            .map_err(fail)?;
        given.extend(numbers(&gradient)?);
        expected.extend(numbers(tensor(tensors, &format!("{name}.o{i}"))?)?);
        gradients.insert_id(i, gradient);
    }
    if let Some(total) = case["total"].as_f64() {
        let p = if name.ends_with("inf") {
            f64::INFINITY
        } else {
            2.0
        };
        let limit = expected[0] / given[0] * (total + 1e-6);
        let norm = clip_grad_norm(&mut gradients, limit, p).map_err(fail)?;
        if (norm - total).abs() > 1e-6 * total {
            return Ok(Verdict::Failed(format!(
                "the norm is {norm}, expected {total}"
            )));
        }
    } else {
        let limit = expected.iter().fold(0.0_f64, |m, x| x.abs().max(m));
        clip_grad_value(&mut gradients, limit).map_err(fail)?;
    }
    let mut got = Vec::new();
    for (_, gradient) in gradients.iter() {
        got.extend(numbers(gradient)?);
    }
    let why = first_difference(
        &got,
        &expected,
        Tolerance {
            rtol: 1e-6,
            atol: 1e-9,
        },
    );
    Ok(why.map_or(Verdict::Passed, Verdict::Failed))
}

fn number(kw: &Value, key: &str, default: f64) -> f64 {
    kw.get(key).and_then(Value::as_f64).unwrap_or(default)
}

fn flag(kw: &Value, key: &str) -> bool {
    kw.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn list(values: &Value) -> Vec<f64> {
    values
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect()
}

/// The optimisers of the manifest, by PyTorch's names.
fn optimizer(name: &str, kw: &Value) -> Option<Box<dyn Optimizer>> {
    let n = |key: &str, default: f64| number(kw, key, default);
    let weight_decay = n("weight_decay", 0.0);
    let maximize = flag(kw, "maximize");
    let amsgrad = flag(kw, "amsgrad");
    let betas = kw
        .get("betas")
        .map_or((0.9, 0.999), |v| (list(v)[0], list(v)[1]));
    let eps = |default| n("eps", default);
    Some(match name {
        "SGD" => Box::new(SGD::with(SgdOptions {
            lr: n("lr", SgdOptions::default().lr),
            momentum: n("momentum", 0.0),
            dampening: n("dampening", 0.0),
            nesterov: flag(kw, "nesterov"),
            weight_decay,
            maximize,
        })),
        // PyTorch's Adam with this flag is AdamW.
        "Adam" if flag(kw, "decoupled_weight_decay") => Box::new(AdamW::with(AdamWOptions {
            lr: n("lr", AdamWOptions::default().lr),
            betas,
            eps: eps(1e-8),
            weight_decay,
            amsgrad,
            maximize,
        })),
        "Adam" => Box::new(Adam::with(AdamOptions {
            lr: n("lr", AdamOptions::default().lr),
            betas,
            eps: eps(1e-8),
            weight_decay,
            amsgrad,
            maximize,
        })),
        "AdamW" => Box::new(AdamW::with(AdamWOptions {
            lr: n("lr", AdamWOptions::default().lr),
            betas,
            eps: eps(1e-8),
            weight_decay: n("weight_decay", 1e-2),
            amsgrad,
            maximize,
        })),
        "RMSprop" => Box::new(RMSprop::with(RMSpropOptions {
            lr: n("lr", RMSpropOptions::default().lr),
            alpha: n("alpha", 0.99),
            eps: eps(1e-8),
            weight_decay,
            momentum: n("momentum", 0.0),
            centered: flag(kw, "centered"),
            maximize,
        })),
        "Adagrad" => Box::new(Adagrad::with(AdagradOptions {
            lr: n("lr", AdagradOptions::default().lr),
            lr_decay: n("lr_decay", 0.0),
            weight_decay,
            initial_accumulator_value: n("initial_accumulator_value", 0.0),
            eps: eps(1e-10),
            maximize,
        })),
        "Adadelta" => Box::new(Adadelta::with(AdadeltaOptions {
            lr: n("lr", AdadeltaOptions::default().lr),
            rho: n("rho", 0.9),
            eps: eps(1e-6),
            weight_decay,
            maximize,
        })),
        "Adamax" => Box::new(Adamax::with(AdamaxOptions {
            lr: n("lr", AdamaxOptions::default().lr),
            betas,
            eps: eps(1e-8),
            weight_decay,
            maximize,
        })),
        "NAdam" => Box::new(NAdam::with(NAdamOptions {
            lr: n("lr", NAdamOptions::default().lr),
            betas,
            eps: eps(1e-8),
            weight_decay,
            momentum_decay: n("momentum_decay", 4e-3),
            decoupled_weight_decay: flag(kw, "decoupled_weight_decay"),
            maximize,
        })),
        "RAdam" => Box::new(RAdam::with(RAdamOptions {
            lr: n("lr", RAdamOptions::default().lr),
            betas,
            eps: eps(1e-8),
            weight_decay,
            decoupled_weight_decay: flag(kw, "decoupled_weight_decay"),
            maximize,
        })),
        "ASGD" => Box::new(ASGD::with(AsgdOptions {
            lr: n("lr", AsgdOptions::default().lr),
            lambd: n("lambd", 1e-4),
            alpha: n("alpha", 0.75),
            t0: n("t0", 1e6),
            weight_decay,
            maximize,
        })),
        "Rprop" => Box::new(Rprop::with(RpropOptions {
            lr: n("lr", RpropOptions::default().lr),
            etas: kw
                .get("etas")
                .map_or((0.5, 1.2), |v| (list(v)[0], list(v)[1])),
            step_sizes: kw
                .get("step_sizes")
                .map_or((1e-6, 50.0), |v| (list(v)[0], list(v)[1])),
            maximize,
        })),
        _ => return None,
    })
}

fn lbfgs(kw: &Value) -> LBFGS {
    let default = LbfgsOptions::default();
    LBFGS::with(LbfgsOptions {
        lr: number(kw, "lr", default.lr),
        max_iter: number(kw, "max_iter", 20.0) as usize,
        max_eval: kw
            .get("max_eval")
            .and_then(Value::as_u64)
            .map(|n| n as usize),
        tolerance_grad: number(kw, "tolerance_grad", default.tolerance_grad),
        tolerance_change: number(kw, "tolerance_change", default.tolerance_change),
        history_size: number(kw, "history_size", 100.0) as usize,
        line_search: if kw.get("line_search_fn").is_some() {
            LineSearch::StrongWolfe
        } else {
            LineSearch::Fixed
        },
        ..default
    })
}

/// The schedules of the manifest, by PyTorch's names.
fn schedule(name: &str, kw: &Value) -> Option<Box<dyn Schedule>> {
    let n = |key: &str, default: f64| number(kw, key, default);
    let u = |key: &str, default: usize| {
        kw.get(key)
            .map_or(default, |v| v.as_u64().unwrap_or_default() as usize)
    };
    Some(match name {
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
            let steps = u("total_steps", u("epochs", 0) * u("steps_per_epoch", 0));
            let default = OneCycleLR::new(n("max_lr", f64::NAN), steps);
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
                .map(|v| v.as_u64().unwrap_or_default() as usize),
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
        _ => return None,
    })
}
