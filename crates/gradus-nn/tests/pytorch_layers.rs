//! Layers against values computed by PyTorch in f64 (`pytorch_layers.json`): masks, both directions, initial states, running
//! statistics, padding. Parameters and inputs are sines and cosines, so nothing but results had to be stored.

mod common;

use common::{distance, numbers};
use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::{DType, Result, Tensor};
use serde_json::Value;

/// Element `k` of the parameter `name` is `0.4 sin(0.7 k + s)` with a phase from the name; variances are above 1.
fn filled<M: Module>(mut module: M) -> Result<M> {
    module.to_dtype(DType::F64)?;
    let mut state = module.state_dict();
    for (name, tensor) in &mut state {
        if name.ends_with("num_batches_tracked") {
            continue;
        }
        let phase = (name.bytes().map(usize::from).sum::<usize>() % 97) as f64;
        let wave = |k: usize| (0.7 * k as f64 + phase).sin() * 0.4;
        let value = |k: usize| {
            if name.ends_with("running_var") {
                1.0 + wave(k).abs()
            } else {
                wave(k)
            }
        };
        *tensor = Tensor::from_vec(
            (0..tensor.numel()).map(value).collect::<Vec<f64>>(),
            tensor.shape(),
        )?;
    }
    module.load_state_dict(&state, true)?;
    Ok(module)
}

fn input(shape: &[usize], phase: f64) -> Var {
    let n = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|k| (k as f64 * 0.9 + phase).cos()).collect();
    Var::from(Tensor::from_vec(values, shape).unwrap())
}

fn mask(shape: [usize; 2], ones: &[usize]) -> Tensor {
    let values: Vec<bool> = (0..shape[0] * shape[1])
        .map(|i| ones.contains(&i))
        .collect();
    Tensor::from_vec(values, shape).unwrap()
}

fn listed(module: &dyn Module) -> Vec<String> {
    module
        .named_parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

#[track_caller]
fn check(name: &str, actual: &[&Var]) {
    let all: Value = serde_json::from_str(include_str!("pytorch_layers.json")).unwrap();
    let expected = all[name].as_array().unwrap();
    assert_eq!(actual.len(), expected.len(), "{name}");
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let shape: Vec<usize> = common::list(&expected["shape"])
            .into_iter()
            .map(|d| d as usize)
            .collect();
        assert_eq!(actual.dims(), shape, "{name}: output {i}");
        let far = distance(
            &numbers(actual.value()),
            &common::list(&expected["v"]),
            1e-10,
            1e-12,
        );
        assert!(far <= 1.0, "{name}: output {i} is {far} tolerances away");
    }
}

#[test]
fn attention_and_its_masks() -> Result<()> {
    let mut attention = filled(MultiheadAttention::with(6, 2, 0.3, true)?)?;
    attention.eval();
    let (q, k, v) = (
        input(&[4, 2, 6], 0.3),
        input(&[3, 2, 6], 0.5),
        input(&[3, 2, 6], 0.8),
    );
    let (y, weights) = attention.forward_with_weights(&q, &k, &v, AttentionMask::default())?;
    check("mha_cross", &[&y, &weights]);
    let (attn, padding) = (mask([4, 3], &[1, 5, 9]), mask([2, 3], &[2, 4]));
    let masks = AttentionMask {
        attn_mask: Some(&attn),
        key_padding_mask: Some(&padding),
        is_causal: false,
    };
    check("mha_masks", &[&attention.forward(&q, &k, &v, masks)?]);
    let alone = input(&[3, 2, 6], 1.0).select(1, 0)?;
    check(
        "mha_unbatched",
        &[&attention.forward(&alone, &alone, &alone, AttentionMask::default())?],
    );

    // A mask for each head, and one of numbers, say the same.
    let per_head = attn.unsqueeze(0)?.broadcast_to([4, 4, 3])?;
    let as_numbers = Tensor::zeros([4, 3], DType::F64)?.masked_fill(&attn, f64::NEG_INFINITY)?;
    for other in [&per_head, &as_numbers] {
        let masks = AttentionMask {
            attn_mask: Some(other),
            ..masks
        };
        check("mha_masks", &[&attention.forward(&q, &k, &v, masks)?]);
    }
    assert!(
        attention
            .forward(&q, &k, &input(&[5, 2, 6], 0.0), AttentionMask::default())
            .is_err()
    );
    assert!(
        attention
            .forward(&q, &k, &input(&[3, 2, 5], 0.0), AttentionMask::default())
            .is_err()
    );
    assert!(MultiheadAttention::new(6, 4).is_err() && MultiheadAttention::new(6, 0).is_err());
    Ok(())
}

#[test]
fn transformer_layers_in_both_orders() -> Result<()> {
    for norm_first in [false, true] {
        let encoder = TransformerOptions {
            dim_feedforward: 8,
            dropout: 0.0,
            activation: FeedForward::GELU,
            batch_first: true,
            norm_first,
            ..TransformerOptions::default()
        };
        let layer = filled(TransformerEncoderLayer::new(6, 2, &encoder)?)?;
        let name = |stem: &str| format!("{stem}_{}", u8::from(norm_first));
        check(
            &name("encoder"),
            &[&layer.forward(&input(&[2, 3, 6], 1.0), AttentionMask::default())?],
        );

        let decoder = TransformerOptions {
            activation: FeedForward::ReLU,
            batch_first: false,
            ..encoder
        };
        let layer = filled(TransformerDecoderLayer::new(6, 2, &decoder)?)?;
        let (x, memory) = (input(&[3, 2, 6], 1.0), input(&[4, 2, 6], 2.0));
        let y = layer.forward(
            &x,
            &memory,
            AttentionMask::causal(),
            AttentionMask::default(),
        )?;
        check(&name("decoder"), &[&y]);
    }
    Ok(())
}

#[test]
fn recurrent_layers_with_states() -> Result<()> {
    let both = RecurrentOptions {
        num_layers: 2,
        bidirectional: true,
        ..RecurrentOptions::default()
    };
    let rnn = filled(RNN::with(4, 3, &both)?.relu())?;
    let (y, h) = rnn.forward(&input(&[5, 2, 4], 1.0), Some(&input(&[4, 2, 3], 0.2)))?;
    check("rnn", &[&y, &h]);
    let lstm = filled(LSTM::with(
        4,
        3,
        &RecurrentOptions {
            batch_first: true,
            ..both
        },
    )?)?;
    let state = (input(&[4, 2, 3], 0.2), input(&[4, 2, 3], 0.7));
    let (y, (h, c)) = lstm.forward(&input(&[2, 5, 4], 1.0), Some((&state.0, &state.1)))?;
    check("lstm", &[&y, &h, &c]);
    let (y, (h, c)) = lstm.forward(&input(&[5, 4], 1.0), None)?;
    check("lstm_unbatched", &[&y, &h, &c]);

    // A cell is one step of its layer.
    let (cell, mut layer) = (LSTMCell::new(4, 3, true)?, LSTM::new(4, 3)?);
    assert_eq!(
        listed(&cell),
        ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    );
    assert_eq!(
        listed(&layer),
        ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    );
    let state = cell
        .state_dict()
        .into_iter()
        .map(|(name, tensor)| (format!("{name}_l0"), tensor))
        .collect();
    layer.load_state_dict(&state, true)?;
    let x = input(&[1, 2, 4], 1.0).to_dtype(DType::F32)?;
    let (h, c) = cell.forward(&x.select(0, 0)?, None)?;
    let (_, (layer_h, layer_c)) = layer.forward(&x, None)?;
    assert_eq!(
        (numbers(h.value()), numbers(c.value())),
        (numbers(layer_h.value()), numbers(layer_c.value()))
    );
    let both = (h, c);
    assert_eq!(
        cell.forward(&x.select(0, 0)?, Some(&both))?.0.dims(),
        [2, 3]
    );
    assert_eq!(
        GRUCell::new(4, 3, true)?
            .forward(&x.select(0, 0)?, Some(&both.0))?
            .dims(),
        [2, 3]
    );
    assert_eq!(
        RNNCell::new(4, 3, false)?
            .forward(&x.select(0, 0)?.select(0, 0)?, None)?
            .dims(),
        [3]
    );
    assert!(
        GRU::with(
            4,
            3,
            &RecurrentOptions {
                num_layers: 0,
                ..RecurrentOptions::default()
            }
        )
        .is_err()
    );

    let gru = filled(GRU::new(4, 3)?)?;
    let (y, h) = gru.forward(&input(&[5, 2, 4], 1.0), None)?;
    check("gru", &[&y, &h]);

    assert!(
        gru.forward(&input(&[5, 2, 3], 1.0), None)
            .unwrap_err()
            .layer()
            .starts_with("l0")
    );
    assert!(gru.forward(&input(&[5], 1.0), None).is_err());
    assert!(gru.forward(&input(&[0, 2, 4], 1.0), None).is_err());
    assert!(
        gru.forward(&input(&[5, 2, 4], 1.0), Some(&input(&[2, 2, 3], 0.0)))
            .is_err()
    );
    Ok(())
}

#[test]
fn batch_norms_and_their_statistics() -> Result<()> {
    for (name, momentum) in [("batch_norm", Some(0.3)), ("batch_norm_mean", None)] {
        let mut norm = filled(BatchNorm1d::with(
            3,
            BatchNormOptions {
                momentum,
                ..BatchNormOptions::default()
            },
        )?)?;
        let (a, b) = (
            norm.forward(&input(&[4, 3, 2], 1.0))?,
            norm.forward(&input(&[4, 3, 2], 2.0))?,
        );
        norm.eval();
        let c = norm.forward(&input(&[4, 3, 2], 3.0))?;
        let state = norm.state_dict();
        assert_eq!(state["num_batches_tracked"].item::<i64>()?, 2);
        check(
            name,
            &[
                &a,
                &b,
                &c,
                &Var::from(&state["running_mean"]),
                &Var::from(&state["running_var"]),
            ],
        );
    }
    let plain = BatchNormOptions {
        affine: false,
        track_running_stats: false,
        ..BatchNormOptions::default()
    };
    let mut norm = BatchNorm2d::with(3, plain)?;
    norm.eval();
    check(
        "batch_norm_plain",
        &[&norm.forward(&input(&[2, 3, 2, 2], 1.0))?],
    );

    let norm = BatchNorm2d::new(3)?;
    for bad in [&[3][..], &[1, 3, 1, 1], &[2, 4, 2, 2], &[2, 3, 2]] {
        assert!(
            norm.forward(&input(bad, 0.0).to_dtype(DType::F32)?)
                .is_err(),
            "{bad:?}"
        );
    }
    assert_eq!(
        norm.state_dict()["num_batches_tracked"].item::<i64>()?,
        0,
        "a refused batch does not count"
    );
    Ok(())
}

#[test]
fn other_layers() -> Result<()> {
    check(
        "instance_norm",
        &[&filled(InstanceNorm2d::new(3, true)?)?.forward(&input(&[2, 3, 2, 2], 1.0))?],
    );
    check(
        "rms_norm",
        &[&filled(RMSNorm::new([2, 3])?)?.forward(&input(&[2, 2, 3], 1.0))?],
    );
    check(
        "prelu",
        &[&filled(PReLU::new(3)?)?.forward(&input(&[2, 3, 2], 1.0))?],
    );
    check(
        "bilinear",
        &[&filled(Bilinear::new(2, 3, 4, true)?)?
            .forward(&input(&[5, 2], 1.0), &input(&[5, 3], 0.4))?],
    );
    let conv = ConvTranspose1d::builder(4, 6, 3)
        .stride(2)
        .padding(1)
        .output_padding(1)
        .groups(2)
        .build()?;
    check(
        "conv_transpose1d",
        &[&filled(conv)?.forward(&input(&[2, 4, 5], 1.0))?],
    );

    let embedding = filled(Embedding::with_padding(5, 3, 2)?)?;
    let rows = embedding.forward(&Tensor::from_slice(&[1_i64, 2, 4, 2], [2, 2])?)?;
    let gradients = rows.square()?.sum(.., false)?.backward()?;
    check(
        "embedding",
        &[
            &rows,
            &Var::from(gradients.get(embedding.weight.var()).unwrap()),
        ],
    );
    Ok(())
}

#[test]
fn nonsense_is_refused() {
    let x = input(&[2, 4, 5, 5], 0.0).to_dtype(DType::F32).unwrap();
    assert!(Conv2d::builder(4, 6, 3).groups(3).build().is_err());
    assert!(Conv2d::builder(4, 6, 3).stride(0).build().is_err());
    assert!(Conv2d::builder(4, 6, 0).build().is_err());
    assert!(Conv2d::builder(4, 6, 3).output_padding(1).build().is_err());
    assert!(Conv2d::new(usize::MAX, usize::MAX, usize::MAX).is_err());
    assert!(Conv2d::new(3, 6, 3).unwrap().forward(&x).is_err());
    assert!(Conv2d::new(4, 6, 6).unwrap().forward(&x).is_err());
    assert!(MaxPool2d::new(0).forward(&x).is_err());
    assert!(MaxPool2d::new(2).stride(0).forward(&x).is_err());
    assert!(MaxPool2d::new(2).padding(2).forward(&x).is_err());
    assert!(AvgPool2d::new(9).forward(&x).is_err());
    assert!(GroupNorm::new(0, 4).is_err() && GroupNorm::new(3, 4).is_err());
    assert!(LayerNorm::new([4]).unwrap().forward(&x).is_err());
    assert!(Linear::new(usize::MAX, usize::MAX).is_err());
    assert!(Dropout::new(1.5).forward(&x).is_err() && Dropout::new(f64::NAN).forward(&x).is_err());
    assert!(Embedding::with_padding(3, 2, 3).is_err());
    assert!(
        Flatten {
            start_dim: 7,
            end_dim: -1
        }
        .forward(&x)
        .is_err()
    );
    assert!(GLU { dim: 2 }.forward(&x).is_err());
    assert!(Linear::builder(2, 2).dtype(DType::I64).build().is_err());
}
