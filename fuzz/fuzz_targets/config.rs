//! `config.json` of language models: the JSON, and the settings of every family that reads one. (What is built from sound settings is as
//! large as they say: no target of its own.)
#![no_main]

use gradus_nlp::models::{
    BertConfig, Config, DistilBertConfig, GPT2Config, LlamaConfig, MarianConfig, ModelConfig,
    T5Config, ViTConfig,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(config) = Config::from_json(text) else { return };
    let _ = config.model_type();
    let _ = BertConfig::from_config(&config);
    let _ = DistilBertConfig::from_config(&config);
    let _ = GPT2Config::from_config(&config);
    let _ = LlamaConfig::from_config(&config);
    let _ = MarianConfig::from_config(&config);
    let _ = T5Config::from_config(&config);
    let _ = ViTConfig::from_config(&config);
});
