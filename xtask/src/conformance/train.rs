//! Whole training runs against PyTorch's: six small nets from the same weights; the first gradients, the loss at every step and
//! the weights at the end. Sizes are read from the tensors; the kinds of layers and optimisers are those the manifest describes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gradus_autograd::{Gradients, Var};
use gradus_nn::loss::{BCELoss, CrossEntropyLoss};
use gradus_nn::optim::*;
use gradus_nn::*;
use gradus_tensor::{DType, Error, Result as TensorResult, Tensor};
use serde_json::Value;

use super::cases::quietly;
use super::compare::numbers;
use super::manifest::{Vectors, tensor};
use super::report::{FileReport, Verdict};

/// Runs `train.json`.
pub fn run(vectors: &Vectors) -> Result<FileReport, String> {
    let manifest: Value = vectors.json("train")?;
    let tensors = vectors.tensors("train")?;
    let mut report = FileReport::new("train");
    for case in manifest["cases"]
        .as_array()
        .ok_or("train.json has no cases")?
    {
        let name = case["name"].as_str().ok_or("a case without a name")?;
        for dtype in [DType::F64, DType::F32] {
            let case = Case {
                name,
                manifest: case,
                tensors: &tensors,
                dtype,
            };
            let verdict = match quietly(|| net(&case)) {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(why)) => Verdict::Failed(why),
                Err(panic) => Verdict::Failed(format!("panicked: {panic}")),
            };
            report.add(name, &format!("{name} in {dtype}"), verdict);
        }
    }
    Ok(report)
}

/// One case in a dtype.
struct Case<'a> {
    name: &'a str,
    manifest: &'a Value,
    tensors: &'a BTreeMap<String, Tensor>,
    dtype: DType,
}

fn said(e: Error) -> String {
    e.to_string()
}

impl Case<'_> {
    fn float(&self, key: &str) -> Result<Var, String> {
        let x = tensor(self.tensors, &format!("{}.{key}", self.name))?;
        x.to_dtype(self.dtype).map(Var::from).map_err(said)
    }

    fn whole(&self, key: &str) -> Result<Tensor, String> {
        tensor(self.tensors, &format!("{}.{key}", self.name)).cloned()
    }

    /// The sizes of an initial weight.
    fn sizes<const N: usize>(&self, key: &str) -> Result<[usize; N], String> {
        let key = format!("{}.init.{key}", self.name);
        let dims = tensor(self.tensors, &key)?.dims();
        dims.try_into()
            .map_err(|_| format!("{key} has shape {dims:?}"))
    }

    fn linear(&self, key: &str) -> Result<Linear, String> {
        let [outputs, inputs] = self.sizes(&format!("{key}.weight"))?;
        let bias = self
            .tensors
            .contains_key(&format!("{}.init.{key}.bias", self.name));
        Linear::builder(inputs, outputs)
            .bias(bias)
            .build()
            .map_err(said)
    }

    /// The tensors under `part`: `init`, `grad0` or `final`.
    fn part(&self, part: &str) -> StateDict {
        let prefix = format!("{}.{part}.", self.name);
        let strip = |(name, x): (&String, &Tensor)| {
            Some((name.strip_prefix(&prefix)?.to_string(), x.clone()))
        };
        self.tensors.iter().filter_map(strip).collect()
    }

    /// The number after `letter` in the description: 3 of `H3`.
    fn described(&self, letter: char) -> Option<usize> {
        let words = self.manifest["spec"].as_str()?.split(' ');
        words
            .filter_map(|word| word.strip_prefix(letter))
            .find_map(|digits| digits.parse().ok())
    }
}

/// The net of a case, trained.
fn net(case: &Case) -> Result<Verdict, String> {
    let cross_entropy = CrossEntropyLoss::default();
    match case.name {
        "mlp" => {
            let model = Sequential::new()
                .then(case.linear("0")?)
                .then(ReLU)
                .then(case.linear("2")?)
                .then(Tanh)
                .then(case.linear("4")?);
            let optimizer = SGD::with(SgdOptions {
                lr: 0.1,
                momentum: 0.9,
                ..SgdOptions::default()
            });
            let (x, y) = (case.float("X")?, case.whole("Y")?);
            follow(case, model, optimizer, |model| {
                cross_entropy.forward(&model.forward(&x)?, &y)
            })
        }
        "cnn" => {
            let ([c1, c0, k1, _], [c2, _, k2, _]) =
                (case.sizes("0.weight")?, case.sizes("4.weight")?);
            let model = Sequential::new()
                .then(
                    Conv2d::builder(c0, c1, k1)
                        .padding(1)
                        .build()
                        .map_err(said)?,
                )
                .then(BatchNorm2d::new(c1).map_err(said)?)
                .then(ReLU)
                .then(MaxPool2d::new(2))
                .then(
                    Conv2d::builder(c1, c2, k2)
                        .stride(2)
                        .build()
                        .map_err(said)?,
                )
                .then(GroupNorm::new(2, c2).map_err(said)?)
                .then(SiLU)
                .then(AdaptiveAvgPool2d::new(1))
                .then(Flatten::new())
                .then(case.linear("9")?);
            let (x, y) = (case.float("X")?, case.whole("Y")?);
            follow(case, model, Adam::new(0.01), |model| {
                cross_entropy.forward(&model.forward(&x)?, &y)
            })
        }
        "ae" => {
            let ([c1, c0, k1, _], [_, out, k2, _]) =
                (case.sizes("0.weight")?, case.sizes("2.weight")?);
            let model = Sequential::new()
                .then(
                    Conv2d::builder(c0, c1, k1)
                        .stride(2)
                        .padding(1)
                        .build()
                        .map_err(said)?,
                )
                .then(LeakyReLU {
                    negative_slope: 0.1,
                })
                .then(
                    ConvTranspose2d::builder(c1, out, k2)
                        .stride(2)
                        .padding(1)
                        .build()
                        .map_err(said)?,
                )
                .then(Sigmoid);
            let (x, y) = (case.float("X")?, case.float("Y")?);
            follow(case, model, NAdam::new(0.01), |model| {
                BCELoss::default().forward(&model.forward(&x)?, &y)
            })
        }
        "lstm" => {
            let ([words, width], [_, hidden]) =
                (case.sizes("emb.weight")?, case.sizes("rnn.weight_hh_l0")?);
            let options = RecurrentOptions {
                num_layers: 2,
                bidirectional: true,
                batch_first: true,
                ..RecurrentOptions::default()
            };
            let model = LstmNet {
                emb: Embedding::new(words, width).map_err(said)?,
                rnn: LSTM::with(width, hidden, &options).map_err(said)?,
                fc: case.linear("fc")?,
            };
            let (x, y) = (case.whole("X")?, case.whole("Y")?);
            follow(case, model, AdamW::new(0.02), |model| {
                let (out, _) = model.rnn.forward(&model.emb.forward(&x)?, None)?; // (B, T, 2H)
                cross_entropy.forward(&model.fc.forward(&out.select(1, -1)?)?, &y)
            })
        }
        "gru" => {
            let ([_, width], [_, hidden]) = (
                case.sizes("rnn.weight_ih_l0")?,
                case.sizes("rnn.weight_hh_l0")?,
            );
            let options = RecurrentOptions {
                batch_first: true,
                ..RecurrentOptions::default()
            };
            let model = GruNet {
                rnn: GRU::with(width, hidden, &options).map_err(said)?,
                fc: case.linear("fc")?,
            };
            let (x, y) = (case.float("X")?, case.whole("Y")?);
            follow(case, model, RMSprop::new(0.01), |model| {
                let (out, _) = model.rnn.forward(&x, None)?; // (B, T, H)
                cross_entropy.forward(&model.fc.forward(&out.select(1, -1)?)?, &y)
            })
        }
        "gpt" => {
            let model = Gpt::new(case)?;
            let options = AdamWOptions {
                lr: 0.01,
                betas: (0.9, 0.95),
                weight_decay: 0.1,
                ..AdamWOptions::default()
            };
            let (x, y) = (
                case.whole("X")?,
                case.whole("Y")?.flatten(0, 1).map_err(said)?,
            );
            follow(case, model, AdamW::with(options), |model| {
                cross_entropy.forward(&model.forward(&x)?.flatten(0, 1)?, &y)
            })
        }
        other => Ok(Verdict::Unsupported(format!("no net is called {other}"))),
    }
}

#[derive(Module)]
struct LstmNet {
    emb: Embedding,
    rnn: LSTM,
    fc: Linear,
}

#[derive(Module)]
struct GruNet {
    rnn: GRU,
    fc: Linear,
}

#[derive(Module)]
struct Block {
    ln_1: LayerNorm,
    attn: MultiheadAttention,
    ln_2: LayerNorm,
    fc: Linear,
    proj: Linear,
}

/// Norms first, causal attention, GELU.
#[derive(Module)]
struct Gpt {
    wte: Embedding,
    wpe: Embedding,
    h: ModuleList<Block>,
    ln_f: LayerNorm,
    head: Linear,
}

impl Gpt {
    fn new(case: &Case) -> Result<Self, String> {
        let ([words, width], [time, _]) = (case.sizes("wte.weight")?, case.sizes("wpe.weight")?);
        let heads = case.described('H').ok_or("how many heads?")?;
        let layers = case.described('L').ok_or("how many layers?")?;
        let norm = || LayerNorm::new([width]).map_err(said);
        let block = |i: usize| {
            Ok(Block {
                ln_1: norm()?,
                attn: MultiheadAttention::new(width, heads)
                    .map_err(said)?
                    .batch_first(true),
                ln_2: norm()?,
                fc: case.linear(&format!("h.{i}.fc"))?,
                proj: case.linear(&format!("h.{i}.proj"))?,
            })
        };
        Ok(Self {
            wte: Embedding::new(words, width).map_err(said)?,
            wpe: Embedding::new(time, width).map_err(said)?,
            h: (0..layers).map(block).collect::<Result<_, String>>()?,
            ln_f: norm()?,
            head: case.linear("head")?,
        })
    }

    fn forward(&self, ids: &Tensor) -> TensorResult<Var> {
        let positions = Tensor::arange(0, ids.dim(1)? as i64, 1, DType::I64)?;
        let mut x = self.wte.forward(ids)?.add(&self.wpe.forward(&positions)?)?; // (B, T, C)
        for block in &self.h {
            let n = block.ln_1.forward(&x)?;
            x = x.add(&block.attn.forward(&n, &n, &n, AttentionMask::causal())?)?;
            let f = block.fc.forward(&block.ln_2.forward(&x)?)?.gelu()?;
            x = x.add(&block.proj.forward(&f)?)?;
        }
        self.head.forward(&self.ln_f.forward(&x)?) // (B, T, V)
    }
}

/// Trains from the given weights. In f64 everything must agree; in f32 the first ten losses, to 1e-4.
fn follow<M: Module>(
    case: &Case,
    mut model: M,
    mut optimizer: impl Optimizer,
    loss: impl Fn(&M) -> TensorResult<Var>,
) -> Result<Verdict, String> {
    let exact = case.dtype == DType::F64;
    model.to_dtype(case.dtype).map_err(said)?;
    model
        .load_state_dict(&case.part("init"), true)
        .map_err(said)?;
    let expected = case.manifest["loss"].as_array().ok_or("no losses")?;
    let (steps, rtol) = if exact {
        (expected.len(), 1e-9)
    } else {
        (10, 1e-4)
    };
    for (step, expected) in expected.iter().enumerate().take(steps) {
        let expected = expected.as_f64().ok_or("a loss that is no number")?;
        let now = loss(&model).map_err(said)?;
        let value = now.value().to_f64().map_err(said)?;
        let close = (value - expected).abs() <= rtol * expected.abs();
        if !close {
            return Ok(Verdict::Failed(format!(
                "the loss at step {step} is {value}, expected {expected}"
            )));
        }
        let gradients = now.backward_once().map_err(said)?;
        if step == 0
            && exact
            && let Some(why) = first_gradients(case, &model, &gradients)?
        {
            return Ok(Verdict::Failed(why));
        }
        optimizer.step(&mut model, &gradients).map_err(said)?;
    }
    if exact {
        let last = model.state_dict();
        for (name, expected) in case.part("final") {
            if let Some(why) = difference(tensor(&last, &name)?, &expected, 1e-7, 1e-9)? {
                return Ok(Verdict::Failed(format!("{name} at the end: {why}")));
            }
        }
    }
    Ok(Verdict::Passed)
}

fn first_gradients<M: Module>(
    case: &Case,
    model: &M,
    gradients: &Gradients,
) -> Result<Option<String>, String> {
    let expected = case.part("grad0");
    for (name, param) in model.named_parameters() {
        let Some(grad) = gradients.get(param.var()) else {
            return Ok(Some(format!("{name} has no gradient")));
        };
        if let Some(why) = difference(grad, tensor(&expected, &name)?, 1e-8, 1e-12)? {
            return Ok(Some(format!("the first gradient of {name}: {why}")));
        }
    }
    Ok(None)
}

/// Where two tensors first differ by more than `atol + rtol |expected|`.
fn difference(
    got: &Tensor,
    expected: &Tensor,
    rtol: f64,
    atol: f64,
) -> Result<Option<String>, String> {
    if got.dims() != expected.dims() {
        return Ok(Some(format!(
            "shape {}, expected {}",
            got.shape(),
            expected.shape()
        )));
    }
    let (got, expected) = (numbers(got)?, numbers(expected)?);
    let far = |(a, e): &(f64, f64)| {
        (a - e)
            .abs()
            .partial_cmp(&(atol + rtol * e.abs()))
            .is_none_or(Ordering::is_gt)
    };
    Ok(got
        .into_iter()
        .zip(expected)
        .find(far)
        .map(|(a, e)| format!("{a}, expected {e}")))
}
