//! `gradus finetune cifar_resnet20 --weights FILE --data …`: a network of pictures that has learnt elsewhere learns these.
//!
//! Where it knew other classes its last layer is new. What it knew learns slowly, the last layer fast (discriminative rates, Howard
//! and Ruder 2018, arXiv:1801.06146), or not at all (`--freeze`).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gradus_nn::optim::{AdamW, AdamWOptions, Optimizer, SGD, SgdOptions};
use gradus_nn::schedule::CosineWarmup;
use gradus_nn::{Linear, Module as _, is_under};
use gradus_tensor::{Error, Result, Tensor};
use gradus_train::load_weights;
use gradus_train::progress::say;
use gradus_vision::models::{Classifier, Options, build};
use gradus_vision::presets::Preset;

use super::checkpoint_file;
use super::facts::{ARGUMENTS_KEY, PRESET_KEY, options_for, preset_from_json};
use super::images::{ImageArgs, Images};
use super::network::with_new_names;
use super::run::{Run, RunArgs};
use super::settings::Settings;

/// The options of `gradus finetune MODEL`.
#[derive(Parser)]
#[command(bin_name = "gradus finetune MODEL", max_term_width = 110, after_help = EXAMPLES)]
pub struct FinetuneImagesArgs {
    /// The network: cifar_resnet20 (or resnet20) to 110, efficientnet_lite0 to 4, or one of torchvision's names.
    #[arg(value_name = "MODEL")]
    model: String,
    /// Its weights: a .safetensors, .pth, .pt or .th file, or the checkpoint (or folder) of a run.
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    weights: Option<PathBuf>,
    /// Leave these parts as they are, by the beginning of their names, as in layer1; all but the last layer where nothing is named. May
    /// be repeated.
    #[arg(long, value_name = "PREFIX", num_args = 0..=1, default_missing_value = "")]
    freeze: Vec<String>,
    /// The learning rate of all but the last layer [a tenth of --lr].
    #[arg(long, value_name = "RATE")]
    body_lr: Option<f64>,
    #[command(flatten)]
    images: ImageArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// Shown after the options.
pub const EXAMPLES: &str = "\
Examples:
  gradus finetune resnet20 --weights resnet20.th --data cifar10
      the published CIFAR network gets used to other pictures of the same classes
  gradus finetune efficientnet_lite0 --weights efficientnet-lite0.pth --data cifar10 --size 96 --epochs 1
    --optimizer adamw --lr 1e-3 --body-lr 5e-4
      a network that knows 1,000 classes of ImageNet learns ten others
  gradus finetune efficientnet_lite0 --weights efficientnet-lite0.pth --data ~/flowers --freeze
      only the last layer, on pictures of one's own
  gradus finetune resnet20 --resume
      go on with the run in runs/resnet20

Recipe: 3 epochs of batches of 64, label smoothing 0.1, SGD with Nesterov's momentum and decay
0.0001; the last layer learns at 0.05, the rest at a tenth of it, rising over the first 5 % of the steps,
then falling along a cosine.";

/// The network meant by a name: the published CIFAR ResNets also go by their own names.
pub fn network(name: &str) -> &str {
    match name {
        "resnet20" => "cifar_resnet20",
        "resnet32" => "cifar_resnet32",
        "resnet44" => "cifar_resnet44",
        "resnet56" => "cifar_resnet56",
        "resnet110" => "cifar_resnet110",
        name => name,
    }
}

pub fn run(args: &FinetuneImagesArgs) -> Result<ExitCode> {
    let name = network(&args.model);
    let given = args
        .images
        .given()?
        .with(
            "weights",
            args.weights.as_ref().map(|p| p.display().to_string()),
        )
        .with(
            "freeze",
            (!args.freeze.is_empty()).then(|| args.freeze.join(" ")),
        )
        .with("body-lr", args.body_lr);
    let mut run = Run::begin(
        &args.run,
        &format!("finetune {}", args.model),
        given,
        |given| {
            let adam = given.text("optimizer") == Some("adamw");
            Settings::default()
                .with("epochs", Some(3u64))
                .with("batch-size", Some(64u64))
                .with("optimizer", Some("sgd"))
                .with("lr", Some(if adam { 1e-3 } else { 0.05 }))
                .with("weight-decay", Some(if adam { 0.01 } else { 1e-4 }))
        },
    )?;

    // A resumed run has all it knew in its own checkpoint.
    let source = match args.run.resume {
        true => run.out.join("last.safetensors"),
        false => PathBuf::from(run.settings.text("weights").unwrap_or_default()),
    };
    let known = Known::read(name, &source)?;
    let images = Images::open(&run, &known.preset)?;
    let arguments = match run.settings.text("arguments") {
        Some(arguments) => arguments.to_owned(),
        None => known.arguments.clone(),
    };
    let mut options = options_for(name, &arguments, images.size)?;
    options.num_classes = Some(images.classes.len());
    let mut model = known.into_model(name, &options, &source)?;
    freeze(&mut model, run.settings.text("freeze"))?;
    images.introduce(name, &options, &model);
    run.introduce();

    let mut optimizer = optimizer(&run, &model)?;
    let steps = images.train.batches() * run.epochs as usize;
    let schedule = CosineWarmup {
        warmup: steps / 20,
        total: steps,
        cycles: 0.5,
    };
    let title = format!("{name} fine-tuned on {}", run.settings.data_name());
    images.learn(
        &mut run,
        (name, &options, &title),
        &mut model,
        &mut *optimizer,
        Box::new(schedule),
    )
}

/// Weights that are there already.
struct Known {
    state: gradus_nn::StateDict,
    /// How their pictures were prepared.
    preset: Preset,
    /// What their network was built with.
    arguments: String,
}

impl Known {
    fn read(name: &str, source: &std::path::Path) -> Result<Self> {
        let published = Preset::of(name).unwrap_or_else(|| unreachable!("a known network"));
        let file = checkpoint_file(source)?;
        let (state, metadata) = load_weights(&file)?;
        let said = |key: &str| metadata.get(key).map(String::as_str);
        let preset = said(PRESET_KEY)
            .and_then(preset_from_json)
            .unwrap_or(published);
        let arguments = said(ARGUMENTS_KEY).unwrap_or_default().to_owned();
        let mut state = with_new_names(name, state);
        state.retain(|key, _| !key.to_lowercase().starts_with("aux")); // heads that only helped to train
        Ok(Self {
            state,
            preset,
            arguments,
        })
    }

    /// The network with these weights; its last layer is new where it told other classes apart. All else must fit.
    fn into_model(
        mut self,
        name: &str,
        options: &Options,
        source: &std::path::Path,
    ) -> Result<Classifier> {
        let mut model = build(name, options)?;
        let head = model.head_name();
        let new = model.state_dict();
        let other = |(key, tensor): (&String, &Tensor)| {
            is_under(key, head)
                && new
                    .get(key)
                    .is_some_and(|here| here.dims() != tensor.dims())
        };
        if self.state.iter().any(other) {
            let there = self
                .state
                .get(&format!("{head}.weight"))
                .map_or(0, |t| t.dims()[0]);
            say(&format!(
                "the weights tell {there} classes apart: the last layer ({head}) begins anew"
            ));
            self.state.retain(|key, _| !is_under(key, head));
            let dense = match new.get(&format!("{head}.weight")).map(Tensor::dims) {
                Some(&[classes, features]) => Linear::new(features, classes)?.state_dict(),
                _ => gradus_nn::StateDict::default(),
            };
            let fresh = new.into_iter().filter(|(key, _)| is_under(key, head));
            self.state.extend(fresh);
            // As if a new `Linear` were put there: a network's own first weights may be made for a thousand classes.
            // EfficientNet's are as large as 1 / √classes.
            let dense = dense.into_iter();
            self.state
                .extend(dense.map(|(key, tensor)| (format!("{head}.{key}"), tensor)));
        }
        model
            .load_state_dict(&self.state, true)
            .map_err(|e| Error::value("", format!("{}: {e}", source.display())))?;
        Ok(model)
    }
}

/// Stops the named parts from learning.
fn freeze(model: &mut Classifier, prefixes: Option<&str>) -> Result<()> {
    let Some(prefixes) = prefixes else {
        return Ok(());
    };
    let head = model.head_name();
    if prefixes.is_empty() {
        model.freeze("");
        model.unfreeze(head);
    }
    for prefix in prefixes.split_whitespace() {
        if model.freeze(prefix) == 0 {
            let names = model.named_parameters();
            let first = names
                .iter()
                .map(|(name, _)| name.split('.').next().unwrap_or_default());
            let mut parts: Vec<&str> = first.collect();
            parts.dedup();
            let text = format!(
                "--freeze {prefix}: the network has no such part; it has {}",
                parts.join(", ")
            );
            return Err(Error::value("", text));
        }
    }
    Ok(())
}

/// Two rates, for the last layer and the rest; no decay for biases and norms.
fn optimizer(run: &Run, model: &Classifier) -> Result<Box<dyn Optimizer>> {
    let weight_decay = run.settings.rate("weight-decay").unwrap_or(0.0);
    let body = match run.settings.has("body-lr") {
        true => run.settings.positive("body-lr")?,
        false => run.lr / 10.0,
    };
    let head = model.head_name();
    let in_head = move |name: &str| is_under(name, head);
    if run.settings.text("optimizer") == Some("adamw") {
        let with = |lr, weight_decay| AdamWOptions {
            lr,
            weight_decay,
            ..AdamWOptions::default()
        };
        return Ok(Box::new(
            AdamW::with(with(run.lr, weight_decay))
                .group_where(
                    move |name, p| in_head(name) && p.shape().len() < 2,
                    with(run.lr, 0.0),
                )
                .group_where(move |name, _| !in_head(name), with(body, weight_decay))
                .group_where(
                    move |name, p| !in_head(name) && p.shape().len() < 2,
                    with(body, 0.0),
                ),
        ));
    }
    let with = |lr, weight_decay| SgdOptions {
        lr,
        momentum: 0.9,
        nesterov: true,
        weight_decay,
        ..SgdOptions::default()
    };
    Ok(Box::new(
        SGD::with(with(run.lr, weight_decay))
            .group_where(
                move |name, p| in_head(name) && p.shape().len() < 2,
                with(run.lr, 0.0),
            )
            .group_where(move |name, _| !in_head(name), with(body, weight_decay))
            .group_where(
                move |name, p| !in_head(name) && p.shape().len() < 2,
                with(body, 0.0),
            ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EfficientNet draws its last layer from ±1/√classes, here ±0.32; `Linear` from ±1/√features, ±0.028.
    #[test]
    fn a_new_last_layer_is_drawn_as_linear_is() -> Result<()> {
        let name = "efficientnet_lite0";
        let options = |classes| {
            let mut options = options_for(name, "", 32)?;
            options.num_classes = Some(classes);
            Ok::<_, Error>(options)
        };
        let there = build(name, &options(3)?)?;
        let known = || Known {
            state: there.state_dict(),
            preset: Preset::of(name).expect("a known network"),
            arguments: String::new(),
        };
        let largest = |model: &Classifier| -> Result<f32> {
            let weight = model.state_dict()[&format!("{}.weight", model.head_name())].clone();
            Ok(weight
                .to_vec::<f32>()?
                .iter()
                .fold(0.0, |m, w| m.max(w.abs())))
        };
        let new = known().into_model(name, &options(10)?, "weights".as_ref())?;
        assert!(largest(&build(name, &options(10)?)?)? > 0.3);
        assert!((0.02..0.03).contains(&largest(&new)?), "{}", largest(&new)?);
        let same = known().into_model(name, &options(3)?, "weights".as_ref())?;
        assert_eq!(largest(&same)?, largest(&there)?);
        Ok(())
    }
}
