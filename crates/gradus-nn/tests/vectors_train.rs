//! Whole training runs against PyTorch's: six small nets from the same weights, the first gradients, the loss at every step, the
//! weights at the end.

mod common;

use common::{distance, numbers, vectors};
use gradus_autograd::{Gradients, Var};
use gradus_nn::loss::{BCELoss, CrossEntropyLoss};
use gradus_nn::optim::*;
use gradus_nn::*;
use gradus_tensor::{DType, Result, ResultExt, Tensor};
use serde_json::Value;

/// One case: its tensors, in a dtype.
struct Case<'a> {
    name: &'a str,
    manifest: &'a Value,
    tensors: &'a StateDict,
    dtype: DType,
}

impl Case<'_> {
    fn float(&self, key: &str) -> Var {
        Var::from(
            self.tensors[&format!("{}.{key}", self.name)]
                .to_dtype(self.dtype)
                .unwrap(),
        )
    }

    fn whole(&self, key: &str) -> Tensor {
        self.tensors[&format!("{}.{key}", self.name)].clone()
    }

    /// All tensors under `part`: `init`, `grad0` or `final`.
    fn part(&self, part: &str) -> StateDict {
        let prefix = format!("{}.{part}.", self.name);
        let strip = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix(&prefix)?.to_string(), tensor.clone()))
        };
        self.tensors.iter().filter_map(strip).collect()
    }

    /// Trains from the given weights; every loss, the first gradients and the last weights must be PyTorch's.
    fn run<M: Module>(
        &self,
        mut model: M,
        mut optimizer: impl Optimizer,
        loss: impl Fn(&M) -> Result<Var>,
    ) {
        let exact = self.dtype == DType::F64;
        model.to_dtype(self.dtype).unwrap();
        let report = model.load_state_dict(&self.part("init"), true).unwrap();
        assert!(report.is_exact());
        let expected = common::list(&self.manifest["loss"]);
        for (step, expected) in
            expected
                .iter()
                .enumerate()
                .take(if exact { usize::MAX } else { 10 })
        {
            let now = loss(&model).unwrap();
            let value = now.value().to_f64().unwrap();
            let rtol = if exact { 1e-9 } else { 1e-4 };
            assert!(
                (value - expected).abs() <= rtol * expected.abs(),
                "{} in {}: the loss at step {step} is {value}, and should be {expected}",
                self.name,
                self.dtype
            );
            let gradients = now.backward_once().unwrap();
            if step == 0 && exact {
                self.check_gradients(&model, &gradients);
            }
            optimizer.step(&mut model, &gradients).unwrap();
        }
        if exact {
            let last = model.state_dict();
            for (name, expected) in self.part("final") {
                let far = distance(&numbers(&last[&name]), &numbers(&expected), 1e-7, 1e-9);
                assert!(
                    far <= 1.0,
                    "{}: {name} is {far} tolerances away at the end",
                    self.name
                );
            }
        }
    }

    fn check_gradients<M: Module>(&self, model: &M, gradients: &Gradients) {
        let expected = self.part("grad0");
        for (name, param) in model.named_parameters() {
            let actual = gradients
                .get(param.var())
                .unwrap_or_else(|| panic!("{}: {name} has no gradient", self.name));
            let far = distance(&numbers(actual), &numbers(&expected[&name]), 1e-8, 1e-12);
            assert!(
                far <= 1.0,
                "{}: the first gradient of {name} is {far} tolerances away",
                self.name
            );
        }
    }
}

/// Runs a case in f64 and in f32.
fn each_dtype(name: &str, run: impl Fn(&Case)) {
    let Some((manifest, tensors)) = vectors("train") else {
        return;
    };
    let case = manifest["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|case| case["name"] == name);
    for dtype in [DType::F64, DType::F32] {
        run(&Case {
            name,
            manifest: case.expect("the case"),
            tensors: &tensors,
            dtype,
        });
    }
}

#[test]
fn mlp() {
    each_dtype("mlp", |case| {
        let model = Sequential::new()
            .then(Linear::new(8, 16).unwrap())
            .then(ReLU)
            .then(Linear::new(16, 16).unwrap())
            .then(Tanh)
            .then(Linear::new(16, 3).unwrap());
        let optimizer = SGD::with(SgdOptions {
            lr: 0.1,
            momentum: 0.9,
            ..SgdOptions::default()
        });
        let (x, y) = (case.float("X"), case.whole("Y"));
        case.run(model, optimizer, |model| {
            CrossEntropyLoss::default().forward(&model.forward(&x)?, &y)
        });
    });
}

#[test]
fn cnn() {
    each_dtype("cnn", |case| {
        let model = Sequential::new()
            .then(Conv2d::builder(1, 4, 3).padding(1).build().unwrap())
            .then(BatchNorm2d::new(4).unwrap())
            .then(ReLU)
            .then(MaxPool2d::new(2))
            .then(Conv2d::builder(4, 6, 3).stride(2).build().unwrap())
            .then(GroupNorm::new(2, 6).unwrap())
            .then(SiLU)
            .then(AdaptiveAvgPool2d::new(1))
            .then(Flatten::new())
            .then(Linear::new(6, 3).unwrap());
        let (x, y) = (case.float("X"), case.whole("Y"));
        case.run(model, Adam::new(0.01), |model| {
            CrossEntropyLoss::default().forward(&model.forward(&x)?, &y)
        });
    });
}

#[test]
fn autoencoder() {
    each_dtype("ae", |case| {
        let model = Sequential::new()
            .then(
                Conv2d::builder(1, 3, 3)
                    .stride(2)
                    .padding(1)
                    .build()
                    .unwrap(),
            )
            .then(LeakyReLU {
                negative_slope: 0.1,
            })
            .then(
                ConvTranspose2d::builder(3, 1, 4)
                    .stride(2)
                    .padding(1)
                    .build()
                    .unwrap(),
            )
            .then(Sigmoid);
        let (x, y) = (case.float("X"), case.float("Y"));
        case.run(model, NAdam::new(0.01), |model| {
            BCELoss::default().forward(&model.forward(&x)?, &y)
        });
    });
}

#[derive(Module)]
struct LstmNet {
    emb: Embedding,
    rnn: LSTM,
    fc: Linear,
}

#[test]
fn lstm() {
    each_dtype("lstm", |case| {
        let options = RecurrentOptions {
            num_layers: 2,
            bidirectional: true,
            batch_first: true,
            ..RecurrentOptions::default()
        };
        let model = LstmNet {
            emb: Embedding::new(13, 6).unwrap(),
            rnn: LSTM::with(6, 8, &options).unwrap(),
            fc: Linear::new(16, 4).unwrap(),
        };
        let (x, y) = (case.whole("X"), case.whole("Y"));
        case.run(model, AdamW::new(0.02), |model| {
            let (out, _) = model.rnn.forward(&model.emb.forward(&x)?, None)?; // (B, T, 2H)
            CrossEntropyLoss::default().forward(&model.fc.forward(&out.select(1, -1)?)?, &y)
        });
    });
}

#[derive(Module)]
struct GruNet {
    rnn: GRU,
    fc: Linear,
}

#[test]
fn gru() {
    each_dtype("gru", |case| {
        let options = RecurrentOptions {
            batch_first: true,
            ..RecurrentOptions::default()
        };
        let model = GruNet {
            rnn: GRU::with(5, 7, &options).unwrap(),
            fc: Linear::new(7, 4).unwrap(),
        };
        let (x, y) = (case.float("X"), case.whole("Y"));
        case.run(model, RMSprop::new(0.01), |model| {
            let (out, _) = model.rnn.forward(&x, None)?;
            CrossEntropyLoss::default().forward(&model.fc.forward(&out.select(1, -1)?)?, &y)
        });
    });
}

#[derive(Module)]
struct Block {
    ln_1: LayerNorm,
    attn: MultiheadAttention,
    ln_2: LayerNorm,
    fc: Linear,
    proj: Linear,
}

#[derive(Module)]
struct Gpt {
    wte: Embedding,
    wpe: Embedding,
    h: ModuleList<Block>,
    ln_f: LayerNorm,
    head: Linear,
}

impl Gpt {
    fn forward(&self, ids: &Tensor) -> Result<Var> {
        let t = ids.dim(1)? as i64;
        let positions = Tensor::arange(0, t, 1, DType::I64)?;
        let mut x = self.wte.forward(ids)?.add(&self.wpe.forward(&positions)?)?; // (B, T, C)
        for (i, block) in self.h.iter().enumerate() {
            let path = |name: &str| format!("h.{i}.{name}");
            let n = block.ln_1.forward(&x).in_layer(path("ln_1"))?;
            x = x.add(
                &block
                    .attn
                    .forward(&n, &n, &n, AttentionMask::causal())
                    .in_layer(path("attn"))?,
            )?;
            let n = block.ln_2.forward(&x).in_layer(path("ln_2"))?;
            let f = block.fc.forward(&n).in_layer(path("fc"))?.gelu()?;
            x = x.add(&block.proj.forward(&f).in_layer(path("proj"))?)?;
        }
        self.head.forward(&self.ln_f.forward(&x)?) // (B, T, V)
    }
}

#[test]
fn gpt() {
    each_dtype("gpt", |case| {
        let block = || -> Result<Block> {
            Ok(Block {
                ln_1: LayerNorm::new([12])?,
                attn: MultiheadAttention::new(12, 3)?.batch_first(true),
                ln_2: LayerNorm::new([12])?,
                fc: Linear::new(12, 48)?,
                proj: Linear::new(48, 12)?,
            })
        };
        let model = Gpt {
            wte: Embedding::new(17, 12).unwrap(),
            wpe: Embedding::new(8, 12).unwrap(),
            h: (0..2).map(|_| block()).collect::<Result<_>>().unwrap(),
            ln_f: LayerNorm::new([12]).unwrap(),
            head: Linear::builder(12, 17).bias(false).build().unwrap(),
        };
        let optimizer = AdamW::with(AdamWOptions {
            lr: 0.01,
            betas: (0.9, 0.95),
            weight_decay: 0.1,
            ..AdamWOptions::default()
        });
        let (x, y) = (case.whole("X"), case.whole("Y").flatten(0, 1).unwrap());
        case.run(model, optimizer, |model| {
            CrossEntropyLoss::default().forward(&model.forward(&x)?.flatten(0, 1)?, &y)
        });
    });
}
