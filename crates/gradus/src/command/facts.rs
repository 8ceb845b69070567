//! What the checkpoint of a network for pictures says of it beside its weights: what it was built with, how its pictures are prepared, what
//! its classes are called. Written by `train` and `finetune`, read by every command that uses the network.

use gradus_tensor::{Error, Result};
use gradus_vision::models::{Argument, Options};
use gradus_vision::presets::Preset;
use gradus_vision::transforms::Interpolation;
use serde_json::{Value, json};

/// The metadata key of the names of the classes in checkpoints: a JSON list.
pub const CLASSES_KEY: &str = "gradus.classes";
/// The metadata key of how pictures are prepared: [`preset_to_json`].
pub const PRESET_KEY: &str = "gradus.preset";
/// The metadata key of what the network was built with: `NAME=VALUE`, separated by blanks.
pub const ARGUMENTS_KEY: &str = "gradus.arguments";

/// A network's options from `NAME=VALUE NAME=VALUE`.
pub fn options(arguments: &str) -> Result<Options> {
    arguments
        .split_whitespace()
        .try_fold(Options::default(), |options, word| {
            let (name, value) = word.split_once('=').ok_or_else(|| {
                let text = format!("--argument {word}: give NAME=VALUE, as in dropout=0.3");
                Error::value("", text)
            })?;
            Ok(options.with(name, value.parse::<Argument>()?))
        })
}

/// The options a network of a name is built with for pictures of a size: the run's arguments, and what only a size can say.
pub fn options_for(name: &str, arguments: &str, size: usize) -> Result<Options> {
    let mut options = options(arguments)?;
    if name.starts_with("vit_") && !options.arguments.contains_key("image_size") {
        options = options.with("image_size", size);
    }
    if ["googlenet", "inception_v3"].contains(&name)
        && !options.arguments.contains_key("aux_logits")
    {
        options = options.with("aux_logits", false); // what trains here is the last head
    }
    Ok(options)
}

/// Options as `NAME=VALUE NAME=VALUE`.
pub fn arguments(options: &Options) -> String {
    let word = |(name, value): (&String, &Argument)| {
        let value: String = value.to_string().split_whitespace().collect();
        format!("{name}={value}")
    };
    options
        .arguments
        .iter()
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// How pictures are prepared, for the checkpoint.
pub fn preset_to_json(preset: &Preset) -> String {
    json!({
        "resize": preset.resize,
        "crop": preset.crop,
        "bicubic": preset.interpolation == Interpolation::Bicubic,
        "mean": preset.mean,
        "std": preset.std,
    })
    .to_string()
}

/// What [`preset_to_json`] wrote.
pub fn preset_from_json(text: &str) -> Option<Preset> {
    let json: Value = serde_json::from_str(text).ok()?;
    let side = |name: &str| match &json[name] {
        Value::Null => Some(None),
        value => value.as_u64().map(|v| Some(v as usize)),
    };
    let three = |name: &str| -> Option<[f32; 3]> {
        let values: Vec<f32> = json[name]
            .as_array()?
            .iter()
            .map(|v| v.as_f64().map(|v| v as f32))
            .collect::<Option<_>>()?;
        values.try_into().ok()
    };
    Some(Preset {
        resize: side("resize")?,
        crop: side("crop")?,
        interpolation: match json["bicubic"].as_bool()? {
            true => Interpolation::Bicubic,
            false => Interpolation::Bilinear,
        },
        mean: three("mean")?,
        std: three("std")?,
    })
}

/// The names of the classes in a checkpoint.
pub fn classes_from_json(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_survive_json() {
        let preset = Preset {
            resize: None,
            ..Preset::of("efficientnet_lite0").unwrap()
        };
        assert_eq!(preset_from_json(&preset_to_json(&preset)), Some(preset));
        assert_eq!(preset_from_json("{}"), None);
        assert_eq!(preset_from_json("[1"), None);
    }
}
