//! Layers that read sequences against values computed by PyTorch in f64: attention and its masks, transformers, recurrent layers
//! with states, projections and packed sequences.

mod common;

use common::{check, filled, input, listed, mask, numbers};
use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::{DType, Result, Tensor};

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

    let wide = gru.forward(&input(&[5, 2, 3], 1.0), None).unwrap_err();
    assert_eq!(wide.op(), "GRU", "{wide}");
    assert!(gru.forward(&input(&[5], 1.0), None).is_err());
    assert!(gru.forward(&input(&[0, 2, 4], 1.0), None).is_err());
    assert!(
        gru.forward(&input(&[5, 2, 4], 1.0), Some(&input(&[2, 2, 3], 0.0)))
            .is_err()
    );
    Ok(())
}

#[test]
fn attention_of_other_widths_with_more_keys() -> Result<()> {
    let options = AttentionOptions {
        add_bias_kv: true,
        add_zero_attn: true,
        kdim: Some(5),
        vdim: Some(4),
        ..AttentionOptions::default()
    };
    let attention = filled(MultiheadAttention::with_options(6, 2, &options)?)?;
    let (q, k, v) = (
        input(&[4, 2, 6], 0.3),
        input(&[3, 2, 5], 0.5),
        input(&[3, 2, 4], 0.8),
    );
    let (attn, padding) = (mask([4, 3], &[1, 5, 9]), mask([2, 3], &[2, 4]));
    let masks = AttentionMask {
        attn_mask: Some(&attn),
        key_padding_mask: Some(&padding),
        is_causal: false,
    };
    let (y, weights) = attention.forward_with_weights(&q, &k, &v, masks)?;
    check("mha_dims", &[&y, &weights]);
    let (y, weights) = attention.forward_with_weights(&q, &k, &v, AttentionMask::default())?;
    check("mha_dims_mean", &[&y, &weights.mean(1, false)?]);

    let options = AttentionOptions {
        bias: false,
        batch_first: true,
        ..AttentionOptions::default()
    };
    let attention = filled(MultiheadAttention::with_options(6, 2, &options)?)?;
    let (x, padding) = (input(&[2, 3, 6], 1.0), input(&[2, 3], 0.1).into_value());
    let masks = |mask| AttentionMask {
        key_padding_mask: Some(mask),
        ..AttentionMask::default()
    };
    let (y, weights) = attention.forward_with_weights(&x, &x, &x, masks(&padding))?;
    check("mha_float_padding", &[&y, &weights.mean(1, false)?]);
    let ids = Tensor::zeros([2, 3], DType::I64)?;
    assert!(attention.forward(&x, &x, &x, masks(&ids)).is_err());
    Ok(())
}

#[test]
fn whole_transformers() -> Result<()> {
    let plain = TransformerOptions {
        dim_feedforward: 8,
        dropout: 0.0,
        ..TransformerOptions::default()
    };
    for norm_first in [false, true] {
        let options = TransformerOptions {
            activation: FeedForward::GELU,
            batch_first: true,
            norm_first,
            ..plain
        };
        let model = filled(Transformer::new(6, 2, 2, 2, &options)?)?;
        let (source, target) = (input(&[2, 4, 6], 1.0), input(&[2, 3, 6], 2.0));
        let padding = mask([2, 4], &[3, 6, 7]);
        let ahead = Transformer::generate_square_subsequent_mask(3)?;
        let seen = AttentionMask {
            key_padding_mask: Some(&padding),
            ..AttentionMask::default()
        };
        let before = AttentionMask {
            attn_mask: Some(&ahead),
            ..AttentionMask::default()
        };
        let y = model.forward(&source, &target, seen, before, seen)?;
        check(&format!("transformer_{}", u8::from(norm_first)), &[&y]);
        let y = model.forward(&source, &target, seen, AttentionMask::causal(), seen)?;
        check(&format!("transformer_{}", u8::from(norm_first)), &[&y]);
        let e = model
            .forward(&target, &source, seen, before, seen)
            .unwrap_err();
        assert!(e.layer().starts_with("encoder.layers.0.self_attn"), "{e}");
    }
    let options = TransformerOptions {
        bias: false,
        ..plain.clone()
    };
    let layer = filled(TransformerEncoderLayer::new(6, 2, &options)?)?;
    let y = layer.forward(&input(&[3, 2, 6], 1.0), AttentionMask::default())?;
    check("encoder_bias_free", &[&y]);
    let mut tower = TransformerDecoder::new(6, 2, 2, &plain)?;
    tower.norm = Some(LayerNorm::new([6])?);
    let (x, memory) = (input(&[3, 2, 6], 1.0), input(&[4, 2, 6], 2.0));
    let free = AttentionMask::default();
    check(
        "decoder_tower",
        &[&filled(tower)?.forward(&x, &memory, free, free)?],
    );
    Ok(())
}

#[test]
fn projections_and_cells() -> Result<()> {
    let options = RecurrentOptions {
        num_layers: 2,
        bidirectional: true,
        proj_size: 3,
        ..RecurrentOptions::default()
    };
    let lstm = filled(LSTM::with(4, 5, &options)?)?;
    let (h, c) = (input(&[4, 2, 3], 0.2), input(&[4, 2, 5], 0.7));
    let (y, (h, c)) = lstm.forward(&input(&[5, 2, 4], 1.0), Some((&h, &c)))?;
    check("lstm_proj", &[&y, &h, &c]);
    assert!(GRU::with(4, 5, &options).is_err(), "only an LSTM projects");
    assert!(LSTM::with(4, 3, &options).is_err(), "3 is not below 3");

    let (x, h, c) = (
        input(&[2, 4], 1.0),
        input(&[2, 3], 0.5),
        input(&[2, 3], 0.6),
    );
    let rnn = filled(RNNCell::new(4, 3, true)?.relu())?;
    check("rnn_cell", &[&rnn.forward(&x, Some(&h))?]);
    let gru = filled(GRUCell::new(4, 3, true)?)?;
    check("gru_cell", &[&gru.forward(&x, Some(&h))?]);
    let (h, c) = filled(LSTMCell::new(4, 3, true)?)?.forward(&x, Some(&(h, c)))?;
    check("lstm_cell", &[&h, &c]);
    assert!(gru.forward(&x, Some(&input(&[3, 3], 0.0))).is_err());
    assert!(gru.forward(&h, None).is_err());
    Ok(())
}

#[test]
fn packed_sequences() -> Result<()> {
    let x = input(&[3, 5, 4], 1.0);
    let options = RecurrentOptions {
        num_layers: 2,
        bidirectional: true,
        batch_first: true,
        ..RecurrentOptions::default()
    };
    let h = input(&[4, 3, 3], 0.4);
    let rnn = filled(RNN::with(4, 3, &options)?)?;
    let packed = pack_padded_sequence(&x, &[5, 3, 1], true, true)?;
    let (y, last) = rnn.forward_packed(&packed, Some(&h))?;
    let (padded, lengths) = pad_packed_sequence(&y, true, -1.0, Some(6))?;
    check("rnn_packed", &[packed.data(), y.data(), &padded, &last]);
    assert_eq!(lengths, [5, 3, 1]);

    let gru = filled(GRU::with(4, 3, &options)?)?;
    let packed = pack_padded_sequence(&x, &[2, 5, 3], true, false)?;
    let (y, last) = gru.forward_packed(&packed, Some(&h))?;
    let (padded, lengths) = pad_packed_sequence(&y, true, -1.0, Some(6))?;
    check("gru_packed", &[packed.data(), y.data(), &padded, &last]);
    assert_eq!(lengths, [2, 5, 3]);

    // Every sequence by itself gives the same, but for the order in which products of other sizes are summed.
    for (b, &n) in lengths.iter().enumerate() {
        let alone = x.narrow(0, b as i64, 1)?.narrow(1, 0, n)?;
        let (y, last_alone) = gru.forward(&alone, Some(&h.narrow(1, b as i64, 1)?))?;
        let same = |a: &Var, b: &Var| {
            let (a, b) = (numbers(a.value()), numbers(b.value()));
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6)
        };
        assert!(same(
            &y.squeeze(0)?,
            &padded.select(0, b as i64)?.narrow(0, 0, n)?
        ));
        assert!(same(&last_alone, &last.narrow(1, b as i64, 1)?));
    }

    let options = RecurrentOptions {
        bidirectional: true,
        proj_size: 3,
        ..RecurrentOptions::default()
    };
    let lstm = filled(LSTM::with(4, 5, &options)?)?;
    let x = Var::leaf(input(&[5, 3, 4], 1.0).into_value())?;
    let packed = pack_padded_sequence(&x, &[2, 5, 2], false, false)?;
    let (h, c) = (input(&[2, 3, 3], 0.4), input(&[2, 3, 5], 0.9));
    let (y, (h, c)) = lstm.forward_packed(&packed, Some((&h, &c)))?;
    let (y, _) = pad_packed_sequence(&y, false, 0.0, None)?;
    let loss = y.square()?.sum(.., false)?.add(&h.sum(.., false)?)?;
    let gradients = loss.add(&c.square()?.sum(.., false)?)?.backward()?;
    let weights = lstm.named_parameters();
    let (_, weight) = weights
        .iter()
        .find(|(n, _)| n == "weight_hh_l0_reverse")
        .unwrap();
    let (dx, dw) = (
        gradients.get(&x).unwrap(),
        gradients.get(weight.var()).unwrap(),
    );
    check("lstm_packed", &[&y, &h, &c, &Var::from(dx), &Var::from(dw)]);
    Ok(())
}

#[test]
fn sequences_there_and_back() -> Result<()> {
    let all = [
        input(&[2, 3], 0.0),
        input(&[4, 3], 1.0),
        input(&[1, 3], 2.0),
    ];
    let all: Vec<&Var> = all.iter().collect();
    let padded = pad_sequence(&all, true, 7.0)?;
    assert_eq!(padded.dims(), [3, 4, 3]);
    assert_eq!(numbers(padded.value())[11], 7.0);
    let same = |back: &[Var]| {
        let mut pairs = back.iter().zip(&all);
        pairs.all(|(a, b)| numbers(a.value()) == numbers(b.value()))
    };
    assert!(same(&unpad_sequence(&padded, &[2, 4, 1], true)?));
    let packed = pack_sequence(&all, false)?;
    assert_eq!(packed.batch_sizes(), [3, 2, 1, 1]);
    assert_eq!(numbers(packed.sorted_indices().unwrap()), [1.0, 0.0, 2.0]);
    assert!(same(&unpack_sequence(&packed)?));

    assert!(pack_sequence(&all, true).is_err(), "they do not descend");
    assert!(pad_sequence(&[], true, 0.0).is_err());
    for lengths in [&[2, 5, 1][..], &[2, 0, 1], &[2, 4]] {
        assert!(pack_padded_sequence(&padded, lengths, true, false).is_err());
    }
    assert!(pad_packed_sequence(&packed, true, 0.0, Some(3)).is_err());
    Ok(())
}
