//! Every decoder and character model learns: each parameter gets a gradient that is not zero, one batch is learnt by heart, and 200
//! steps take no more memory than 20.

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nlp::Names;
use gradus_nlp::characters::{
    Cell, CharMlp, CharMlpOptions, CharRnn, CharRnnOptions, CharWaveNet, CharWaveNetOptions,
};
use gradus_nlp::models::{
    Activation, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Pretrained,
};
use gradus_nn::Module;
use gradus_nn::optim::{Adam, Optimizer};
use gradus_tensor::random::{TorchRng, manual_seed};
use gradus_tensor::{Result, Tensor};

/// Learns (inputs, targets) by heart, at most in 150 steps.
fn learns<M: Module>(
    name: &str,
    mut model: M,
    forward: impl Fn(&M, &Tensor) -> Result<Var>,
    x: &Tensor,
    y: &Tensor,
) {
    let mut optimizer = Adam::new(0.01);
    let mut losses = Vec::new();
    let y = y.flatten(0, -1).unwrap();
    for step in 0..150 {
        let logits = forward(&model, x).unwrap();
        let logits = if logits.rank() == 3 {
            logits.flatten(0, 1).unwrap()
        } else {
            logits
        };
        let loss = cross_entropy(&logits, &y, &CrossEntropy::default()).unwrap();
        losses.push(loss.item::<f32>().unwrap());
        let gradients = loss.backward_once().unwrap();
        if step == 0 {
            for (parameter, param) in model.named_parameters() {
                let gradient = gradients
                    .get(param.var())
                    .unwrap_or_else(|| panic!("{name}: none for {parameter}"));
                let numbers = gradient.to_vec::<f32>().unwrap();
                assert!(
                    numbers.iter().all(|g| g.is_finite()),
                    "{name}: {parameter} is not finite"
                );
                assert!(
                    numbers.iter().any(|&g| g != 0.0),
                    "{name}: {parameter} is zero"
                );
            }
        }
        optimizer.step(&mut model, &gradients).unwrap();
        if losses[step] < 0.1 * losses[0] {
            return;
        }
    }
    panic!("{name} did not learn: {losses:?}");
}

/// Texts (2, 8) and what follows each of their tokens.
fn texts() -> (Tensor, Tensor) {
    let all = [3_i64, 1, 4, 1, 5, 9, 2, 6, 5, 2, 7, 1, 8, 2, 8, 1, 8, 2];
    let pick = |start: usize| {
        let rows = [&all[start..start + 8], &all[9 + start..9 + start + 8]].concat();
        Tensor::from_vec(rows, [2, 8]).unwrap()
    };
    (pick(0), pick(1))
}

fn gpt2() -> GPT2Config {
    GPT2Config {
        vocab_size: 10,
        n_positions: 8,
        n_embd: 16,
        n_layer: 2,
        n_head: 4,
        embd_pdrop: 0.0,
        attn_pdrop: 0.0,
        resid_pdrop: 0.0,
        ..GPT2Config::default()
    }
}

#[test]
fn gpt2_learns() {
    let (x, y) = texts();
    manual_seed(1);
    for (name, config) in [
        ("gpt2", gpt2()),
        (
            "nanogpt",
            GPT2Config {
                bias: false,
                activation_function: Activation::Gelu,
                ..gpt2()
            },
        ),
        (
            "untied",
            GPT2Config {
                tie_word_embeddings: false,
                ..gpt2()
            },
        ),
        (
            "dropout",
            GPT2Config {
                attn_pdrop: 0.1,
                resid_pdrop: 0.1,
                embd_pdrop: 0.1,
                n_embd: 32,
                ..gpt2()
            },
        ),
    ] {
        let model = GPT2LMHeadModel::new(&config).unwrap();
        let biases = model.state_dict().keys().any(|name| name.ends_with("bias"));
        assert_eq!(biases, config.bias);
        learns(name, model, GPT2LMHeadModel::forward, &x, &y);
    }
}

#[test]
fn llama_learns() {
    let (x, y) = texts();
    manual_seed(1);
    let config = LlamaConfig {
        vocab_size: 10,
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        max_position_embeddings: 8,
        ..LlamaConfig::default()
    };
    for (name, config) in [
        ("llama", config.clone()),
        (
            "tied, with all options",
            LlamaConfig {
                tie_word_embeddings: true,
                qk_norm: true,
                o_bias: true,
                mlp_bias: true,
                sliding_windows: vec![Some(3)],
                ..config.clone()
            },
        ),
    ] {
        let model = LlamaForCausalLM::new(&config).unwrap();
        learns(name, model, LlamaForCausalLM::forward, &x, &y);
    }
    // A bias of the keys moves all scores of a query alike, so its gradient is nothing but rounding; qkv_bias is not tried here.
}

#[test]
fn character_models_learn() {
    let (x, y) = texts();
    manual_seed(1);
    for cell in [Cell::Rnn, Cell::Lstm, Cell::Gru] {
        let options = CharRnnOptions {
            cell,
            hidden_size: 16,
            ..CharRnnOptions::new(10)
        };
        learns(
            cell.name(),
            CharRnn::new(options).unwrap(),
            CharRnn::forward,
            &x,
            &y,
        );
    }
    // One name: what follows each window of three is certain.
    let names = Names::from_text("olivia\n").unwrap();
    let rng = &mut TorchRng::manual_seed(1);
    let v = names.vocabulary();
    let (x, y) = names.contexts(3).unwrap();
    for norm in [false, true] {
        let options = CharMlpOptions {
            norm,
            n_hidden: 20,
            ..CharMlpOptions::new(v)
        };
        learns(
            "mlp",
            CharMlp::new(options, rng).unwrap(),
            CharMlp::forward,
            &x,
            &y,
        );
    }
    let (x, y) = names.contexts(8).unwrap();
    let options = CharWaveNetOptions {
        n_hidden: 20,
        ..CharWaveNetOptions::new(v)
    };
    learns(
        "wavenet",
        CharWaveNet::new(options, rng).unwrap(),
        CharWaveNet::forward,
        &x,
        &y,
    );
}
