//! The names and shapes in the state dict of each layer are PyTorch's, which `pytorch_names.txt` lists; so is their order.

use std::collections::BTreeMap;

use gradus_nn::*;
use gradus_tensor::Result;

/// Names and shapes in the order of the walk: parameters of a module, then its buffers, as PyTorch lists them.
fn listed(module: &dyn Module) -> Vec<(String, Vec<usize>)> {
    let mut found: Vec<(String, Vec<usize>)> = Vec::new();
    module.visit(&mut Path::default(), &mut |path, part| match part {
        Part::Param(param) => found.push((path.to_string(), param.shape().to_vec())),
        Part::Buffer(buffer) if buffer.is_persistent() => {
            found.push((path.to_string(), buffer.get().dims().to_vec()));
        }
        _ => {}
    });
    found
}

#[test]
fn every_layer_has_pytorchs_names_and_shapes() -> Result<()> {
    let transformer = TransformerOptions {
        dim_feedforward: 8,
        ..TransformerOptions::default()
    };
    let recurrent = RecurrentOptions {
        num_layers: 2,
        bidirectional: true,
        ..RecurrentOptions::default()
    };
    let plain = BatchNormOptions {
        affine: false,
        track_running_stats: false,
        ..BatchNormOptions::default()
    };
    let kv = AttentionOptions {
        kdim: Some(5),
        vdim: Some(4),
        add_bias_kv: true,
        ..AttentionOptions::default()
    };
    let projected = RecurrentOptions {
        proj_size: 2,
        ..RecurrentOptions::default()
    };
    let running = InstanceNormOptions {
        affine: true,
        track_running_stats: true,
        ..InstanceNormOptions::default()
    };
    let layers: Vec<(&str, Box<dyn Module>)> = vec![
        ("Linear", Box::new(Linear::new(3, 2)?)),
        ("Bilinear", Box::new(Bilinear::new(2, 3, 4, true)?)),
        (
            "Conv1d",
            Box::new(Conv1d::builder(4, 6, 3).groups(2).build()?),
        ),
        (
            "Conv2d",
            Box::new(Conv2d::builder(4, 6, (3, 5)).groups(2).build()?),
        ),
        (
            "ConvTranspose1d",
            Box::new(ConvTranspose1d::builder(4, 6, 3).groups(2).build()?),
        ),
        (
            "ConvTranspose2d",
            Box::new(ConvTranspose2d::builder(4, 6, [3, 5]).groups(2).build()?),
        ),
        ("BatchNorm1d", Box::new(BatchNorm1d::new(5)?)),
        ("BatchNorm2d_plain", Box::new(BatchNorm2d::with(5, plain)?)),
        ("LayerNorm", Box::new(LayerNorm::new([2, 3])?)),
        ("RMSNorm", Box::new(RMSNorm::new([3])?)),
        ("GroupNorm", Box::new(GroupNorm::new(2, 6)?)),
        ("Embedding", Box::new(Embedding::with_padding(7, 3, 1)?)),
        ("PReLU", Box::new(PReLU::new(3)?)),
        ("LSTM", Box::new(LSTM::with(3, 4, &recurrent)?)),
        ("GRU", Box::new(GRU::new(3, 4)?)),
        (
            "RNN",
            Box::new(RNN::with(
                3,
                4,
                &RecurrentOptions {
                    bias: false,
                    ..RecurrentOptions::default()
                },
            )?),
        ),
        (
            "MultiheadAttention",
            Box::new(MultiheadAttention::new(6, 2)?),
        ),
        (
            "TransformerEncoderLayer",
            Box::new(TransformerEncoderLayer::new(6, 2, &transformer)?),
        ),
        (
            "TransformerDecoderLayer",
            Box::new(TransformerDecoderLayer::new(6, 2, &transformer)?),
        ),
        (
            "TransformerEncoder",
            Box::new(TransformerEncoder::new(6, 2, 2, &transformer)?),
        ),
        (
            "MultiheadAttention_kv",
            Box::new(MultiheadAttention::with_options(6, 2, &kv)?),
        ),
        ("LSTM_proj", Box::new(LSTM::with(3, 4, &projected)?)),
        (
            "InstanceNorm2d_running",
            Box::new(InstanceNorm2d::with(3, running)?),
        ),
        (
            "Transformer",
            Box::new(Transformer::new(6, 2, 1, 1, &transformer)?),
        ),
        ("EmbeddingBag", Box::new(EmbeddingBag::new(7, 3)?)),
    ];
    let mut expected: BTreeMap<&str, Vec<(String, Vec<usize>)>> = BTreeMap::new();
    for line in include_str!("pytorch_names.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let mut words = line.split(' ');
        let (layer, name, shape) = (
            words.next().unwrap(),
            words.next().unwrap(),
            words.next().unwrap(),
        );
        let shape = shape
            .split('x')
            .filter(|d| *d != "-")
            .map(|d| d.parse().unwrap())
            .collect();
        expected
            .entry(layer)
            .or_default()
            .push((name.to_string(), shape));
    }
    let count = layers.len();
    for (name, module) in layers {
        let expected = expected.remove(name).unwrap_or_default();
        assert_eq!(listed(module.as_ref()), expected, "{name}");
    }
    assert!(expected.is_empty(), "not tested: {:?}", expected.keys());
    println!("{count} layers");
    Ok(())
}
