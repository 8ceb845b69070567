//! The language model that a folder holds, whichever family it is of.

use std::path::Path;

use gradus_nn::{Module, StateDict, init};
use gradus_tensor::{Device, Error, Result, weights};

use super::config::Config;
use super::gpt2::GPT2LMHeadModel;
use super::llama::LlamaForCausalLM;
use super::pretrained::{ModelConfig, Pretrained};
use crate::characters::{CharRnn, CharRnnOptions};
use crate::generate::CausalLm;

/// The `model_type`s that [`causal_lm`] knows.
pub const CAUSAL_LM: [&str; 6] = ["gpt2", "llama", "mistral", "qwen2", "qwen3", "char-rnn"];

/// The model of a configuration with these weights, in evaluation mode: Hugging Face's `AutoModelForCausalLM`.
///
/// ```
/// use gradus_nlp::models::{Config, GPT2Config, GPT2LMHeadModel, Pretrained, causal_lm};
/// use gradus_nn::Module;
/// let tiny = GPT2Config { vocab_size: 9, n_positions: 8, n_embd: 8, n_layer: 1, n_head: 2, ..GPT2Config::default() };
/// let state = GPT2LMHeadModel::new(&tiny)?.state_dict();
/// let model = causal_lm(&Config::from_value(tiny.to_json())?, state)?;
/// assert_eq!(model.vocab_size(), 9);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// When the family is another, or a name or shape of the weights is not the model's.
pub fn causal_lm(config: &Config, state: StateDict) -> Result<Box<dyn CausalLm>> {
    causal_lm_on(config, state, &Device::Cpu)
}

/// As [`causal_lm`], on a device.
///
/// # Errors
/// As [`causal_lm`], and when the model does not fit into the device's memory.
pub fn causal_lm_on(
    config: &Config,
    state: StateDict,
    device: &Device,
) -> Result<Box<dyn CausalLm>> {
    fn of<M: Pretrained + CausalLm + 'static>(
        config: &Config,
        state: StateDict,
        device: &Device,
    ) -> Result<Box<dyn CausalLm>> {
        let settings = M::Config::from_config(config)?;
        let mut model = init::skip(|| M::build(&settings))?;
        let report = model.take(state, false)?;
        if !report.missing.is_empty() {
            let text = format!("the weights are not all there: {report}");
            return Err(Error::value("", text));
        }
        model.eval();
        model.to_device(device)?;
        Ok(Box::new(model))
    }
    match config.model_type()? {
        "gpt2" => of::<GPT2LMHeadModel>(config, state, device),
        "llama" | "mistral" | "qwen2" | "qwen3" => of::<LlamaForCausalLM>(config, state, device),
        "char-rnn" => {
            let options = CharRnnOptions::from_config(config)?;
            let mut model = init::skip(|| CharRnn::new(options))?;
            model.load_state_dict(&state, true)?;
            model.eval();
            model.to_device(device)?;
            Ok(Box::new(model))
        }
        other => {
            let known = CAUSAL_LM.join(", ");
            Err(config.error(format_args!(
                "a model of the type {other:?} does not write from left to right here; these do: {known}"
            )))
        }
    }
}

/// The model in a folder as Hugging Face lays it out, `config.json` beside the weights, or in a file of llama2.c (`.bin`); in
/// evaluation mode.
///
/// # Errors
/// When a file is missing or damaged, or the family is another.
pub fn load_causal_lm(path: impl AsRef<Path>) -> Result<Box<dyn CausalLm>> {
    load_causal_lm_on(path, &Device::Cpu)
}

/// As [`load_causal_lm`], on a device.
///
/// # Errors
/// As [`load_causal_lm`], and when the model does not fit into the device's memory.
pub fn load_causal_lm_on(path: impl AsRef<Path>, device: &Device) -> Result<Box<dyn CausalLm>> {
    let path = path.as_ref();
    if path.is_file() && path.extension().is_some_and(|kind| kind == "bin") {
        let mut model = LlamaForCausalLM::read_llama2c(path)?;
        model.eval();
        model.to_device(device)?;
        return Ok(Box::new(model));
    }
    let config = Config::load(path)?;
    causal_lm_on(&config, weights::load(path)?, device)
}
