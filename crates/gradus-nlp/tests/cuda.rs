//! A small GPT learns on a GPU as on the CPU, step by step, and writes the same. Where there is no GPU, it is gradus-cuda's stand-in.

use std::path::Path;

use gradus_autograd::Var;
use gradus_autograd::functional::{Attention, scaled_dot_product_attention};
use gradus_nlp::generate::{CausalLm, Generation, tokens};
use gradus_nlp::models::{
    BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM,
    Pretrained as _, TextInput,
};
use gradus_nlp::next_token_loss;
use gradus_nn::optim::{AdamW, AdamWOptions, Optimizer as _};
use gradus_nn::{GRU, LSTM, Module as _, clip_grad_norm};
use gradus_tensor::random::{self, Rng};
use gradus_tensor::{DType, Device, Result, Tensor};

/// The losses of three steps on one random text; with dropout in both places.
fn losses(device: Device) -> Result<Vec<f64>> {
    random::manual_seed(7);
    let config = GPT2Config {
        vocab_size: 37,
        n_positions: 16,
        n_embd: 32,
        n_layer: 2,
        n_head: 4,
        resid_pdrop: 0.1,
        embd_pdrop: 0.1,
        attn_pdrop: 0.0,
        ..GPT2Config::default()
    };
    let mut model = GPT2LMHeadModel::new(&config)?;
    model.to_device(&device)?;
    let mut optimizer = AdamW::with(AdamWOptions {
        lr: 1e-2,
        ..AdamWOptions::default()
    });
    let mut all = Vec::new();
    let text = Tensor::randint(0, 37, [3, 17], (DType::I64, device), &mut Rng::new(1))?;
    for _ in 0..3 {
        let logits = model.forward(&text.narrow(1, 0, 16)?)?; // (B, T, V)
        let loss = next_token_loss(&logits, &text.narrow(1, 1, 16)?)?;
        all.push(loss.value().to_f64()?);
        let mut gradients = loss.backward_once()?;
        clip_grad_norm(&mut gradients, 1.0, 2.0)?;
        optimizer.step(&mut model, &gradients)?;
    }
    Ok(all)
}

#[test]
fn a_small_gpt() -> Result<()> {
    if gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))).is_none() {
        return Ok(());
    }
    let (here, there) = (losses(Device::Cpu)?, losses(Device::cuda(0)?)?);
    assert!(here[2] < here[0], "{here:?}");
    for (a, b) in here.iter().zip(&there) {
        assert!((a - b).abs() <= 1e-4 * a.abs(), "{here:?}\n{there:?}");
    }
    Ok(())
}

/// A small GPT-2 and a small Llama that read up to `context` ids, to write with.
fn writers(seed: u64, context: usize) -> Result<(GPT2LMHeadModel, LlamaForCausalLM)> {
    random::manual_seed(seed);
    let mut gpt = GPT2LMHeadModel::new(&GPT2Config {
        vocab_size: 11,
        n_positions: context,
        n_embd: 16,
        n_layer: 2,
        n_head: 2,
        ..GPT2Config::default()
    })?;
    let mut llama = LlamaForCausalLM::new(&LlamaConfig {
        vocab_size: 11,
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        max_position_embeddings: context,
        ..LlamaConfig::default()
    })?;
    gpt.eval();
    llama.eval();
    Ok((gpt, llama))
}

#[test]
fn it_writes_the_same() -> Result<()> {
    if gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))).is_none() {
        return Ok(());
    }
    let (mut gpt, mut llama) = writers(3, 12)?;
    let options = Generation {
        max_new_tokens: 8,
        ..Generation::default()
    };
    let write =
        |model: &dyn CausalLm| tokens(model, &[1, 2, 3], &options)?.collect::<Result<Vec<u32>>>();
    let here = [write(&gpt)?, write(&llama)?];
    let gpu = Device::cuda(0)?;
    gpt.to_device(&gpu)?;
    llama.to_device(&gpu)?;
    assert_eq!([write(&gpt)?, write(&llama)?], here);
    Ok(())
}

/// Token by token from a CUDA graph: the logits of a session without one, also beyond the capacity, and after several ids at once.
#[test]
fn a_graph_reads_the_same() -> Result<()> {
    if gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))).is_none() {
        return Ok(());
    }
    let (mut gpt, mut llama) = writers(4, 24)?;
    let gpu = Device::cuda(0)?;
    let options = Generation {
        max_new_tokens: 3,
        cuda_graph: true,
        ..Generation::default()
    };
    let on_cpu = tokens(&gpt, &[1, 2, 3], &options)?.collect::<Result<Vec<u32>>>();
    assert!(on_cpu.unwrap_err().to_string().contains("no graphs"));
    gpt.to_device(&gpu)?;
    llama.to_device(&gpu)?;
    let pieces: [&[i64]; 13] = [
        &[1, 2, 3],
        &[4],
        &[5],
        &[6],
        &[7],
        &[8],
        &[9, 10],
        &[1],
        &[3],
        &[5],
        &[7],
        &[9],
        &[2],
    ];
    for model in [&gpt as &dyn CausalLm, &llama] {
        let read = |graph: bool| -> Result<Vec<Vec<f32>>> {
            let mut session = model.session(2, 13)?; // and 15 are read
            if graph {
                session.use_graph()?;
            }
            let one = |ids: &&[i64]| {
                let ids = [*ids, *ids].concat();
                let ids = Tensor::from_slice(&ids, [2, ids.len() / 2])?;
                session.read(&ids)?.to_vec::<f32>()
            };
            pieces.iter().map(one).collect()
        };
        for (a, b) in read(false)?
            .iter()
            .flatten()
            .zip(read(true)?.iter().flatten())
        {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(0.1), "{a} and {b}");
        }
        let write = |cuda_graph| {
            let options = Generation {
                max_new_tokens: 9,
                cuda_graph,
                ..Generation::default()
            };
            tokens(model, &[1, 2, 3], &options)?.collect::<Result<Vec<u32>>>()
        };
        assert_eq!(write(true)?, write(false)?);
    }
    Ok(())
}

#[test]
fn attention_in_16_bits_stays_in_16_bits() -> Result<()> {
    if gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))).is_none() {
        return Ok(());
    }
    let gpu = Device::cuda(0)?;
    let options = Attention {
        is_causal: true,
        ..Attention::default()
    };
    let run = |device: Device| -> Result<Vec<f32>> {
        let x = |seed| -> Result<Var> {
            let x = Tensor::randn([1, 2, 9, 64], DType::F32, &mut Rng::new(seed))?;
            Var::leaf(x.to_dtype(DType::BF16)?.to_device(&device)?)
        };
        let (q, k, v) = (x(1)?, x(2)?, x(3)?);
        let y = scaled_dot_product_attention(&q, &k, &v, &options)?;
        assert_eq!((y.dtype(), y.device()), (DType::BF16, device));
        let gradients = y.square()?.sum(.., false)?.backward()?;
        let mut all = y
            .value()
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .to_vec::<f32>()?;
        for x in [&q, &k, &v] {
            let g = gradients.get(x).unwrap().to_device(&Device::Cpu)?;
            all.extend(g.to_dtype(DType::F32)?.to_vec::<f32>()?);
        }
        Ok(all)
    };
    let (here, there) = (run(Device::Cpu)?, run(gpu)?);
    let largest = here.iter().fold(0f32, |m, x| m.max(x.abs()));
    for (a, b) in here.iter().zip(&there) {
        assert!((a - b).abs() <= 0.02 * largest, "{a} {b}");
    }
    Ok(())
}

#[test]
fn an_encoder_reads_the_same() -> Result<()> {
    if gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))).is_none() {
        return Ok(());
    }
    random::manual_seed(5);
    let config = BertConfig {
        vocab_size: 19,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 24,
        ..BertConfig::default()
    };
    let mut model = BertModel::new(&config)?;
    model.eval();
    let ids = Tensor::from_slice(&[2i64, 7, 3, 5, 11, 13, 0, 0], [2, 4])?;
    let seen = Tensor::from_slice(&[1i64, 1, 1, 1, 1, 1, 0, 0], [2, 4])?;
    let input = TextInput::new(ids).with_attention_mask(seen);
    let here = model.forward(&input)?.value().to_vec::<f32>()?;
    let gpu = Device::cuda(0)?;
    model.to_device(&gpu)?;
    let there = model.forward(&input.to_device(&gpu)?)?;
    for (a, b) in here.iter().zip(there.value().to_vec::<f32>()?) {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} {b}");
    }
    Ok(())
}

#[test]
fn recurrent_layers_learn_alike() -> Result<()> {
    if gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))).is_none() {
        return Ok(());
    }
    let run = |device: Device| -> Result<Vec<f32>> {
        random::manual_seed(3);
        let (mut lstm, mut gru) = (LSTM::new(5, 4)?, GRU::new(4, 3)?);
        lstm.to(&device)?;
        gru.to(&device)?;
        let x = Tensor::randn([3, 2, 5], DType::F32, &mut Rng::new(4))?; // (T, B, C)
        let x = Var::leaf(x.to(&device)?)?;
        let h = lstm.forward(&x, None)?.0; // (T, B, 4)
        let y = gru.forward(&h, None)?.0; // (T, B, 3)
        let gradients = y.square()?.sum(.., false)?.backward()?;
        let mut all = y.value().to_vec::<f32>()?;
        let parameters = [lstm.named_parameters(), gru.named_parameters()].concat();
        let vars = parameters.iter().map(|(_, p)| p.var()).chain([&x]);
        for var in vars {
            all.extend(gradients.get(var).unwrap().to_vec::<f32>()?);
        }
        Ok(all)
    };
    let (here, there) = (run(Device::Cpu)?, run(Device::cuda(0)?)?);
    assert!(here.len() > 100);
    for (a, b) in here.iter().zip(&there) {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(0.1), "{a} {b}");
    }
    Ok(())
}
