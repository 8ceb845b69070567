//! `gradus train resnet18 --data cifar10`: any network of `gradus_vision::models` from first weights, on pictures.

use std::process::ExitCode;

use clap::Parser;
use gradus_nn::optim::{AdamW, AdamWOptions, Optimizer, SGD, SgdOptions};
use gradus_nn::schedule::OneCycleLR;
use gradus_tensor::Result;
use gradus_vision::datasets::CIFAR10_MEAN_STD;
use gradus_vision::models::build;
use gradus_vision::presets::Preset;

use super::facts::options_for;
use super::images::{ImageArgs, Images};
use super::run::{Run, RunArgs};
use super::settings::Settings;

/// The options of `gradus train MODEL`.
#[derive(Parser)]
#[command(bin_name = "gradus train MODEL", max_term_width = 110, after_help = EXAMPLES)]
pub struct TrainImagesArgs {
    /// The network, by torchvision's name: resnet18, vgg11_bn, mobilenet_v3_small, …; or cifar_resnet20 to 110, efficientnet_lite0 to 4.
    #[arg(value_name = "MODEL")]
    model: String,
    #[command(flatten)]
    images: ImageArgs,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  gradus train resnet18 --data cifar10
      from first weights on the 50,000 pictures of CIFAR-10, which lie in GRADUS_DATA
  gradus train resnet18 --data cifar10 --stem 7/2+pool
      the same with torchvision's own first layers
  gradus train mobilenet_v3_small --data ~/flowers --size 96 --augment strong
      pictures of one's own: ~/flowers/rose/1.jpg, ~/flowers/tulip/2.png, …
  gradus train resnet18 --resume
      go on with the run in runs/resnet18

Recipe: 10 epochs of batches of 128, label smoothing 0.1, SGD with Nesterov's momentum and
decay 0.0005, one cycle of the learning rate up to 0.1 (transformers and ConvNeXt: AdamW,
decay 0.05, up to 0.001). A ResNet for pictures of 64 pixels and less begins with --stem 3/2+pool;
3/2, which keeps twice as many pixels a side, takes about three times as long.

What is saved: last.safetensors (the newest state), best.safetensors (the best
epoch), history.csv, history.svg, tensorboard/ (tensorboard --logdir runs).";

/// Does its attention or its norms want Adam?
fn wants_adam(name: &str) -> bool {
    name.starts_with("vit_") || name.starts_with("convnext_")
}

pub fn run(args: &TrainImagesArgs) -> Result<ExitCode> {
    let name = args.model.as_str();
    let given = args.images.given()?;
    let mut run = Run::begin(&args.run, &format!("train {name}"), given, |given| {
        let adam = match given.text("optimizer") {
            Some(optimizer) => optimizer == "adamw",
            None => wants_adam(name),
        };
        Settings::default()
            .with("epochs", Some(10u64))
            .with("batch-size", Some(128u64))
            .with("optimizer", Some(if adam { "adamw" } else { "sgd" }))
            .with("lr", Some(if adam { 1e-3 } else { 0.1 }))
            .with("weight-decay", Some(if adam { 0.05 } else { 5e-4 }))
    })?;

    // Nothing is known of the network but what it will be shown: CIFAR-10's mean and deviation serve any photographs.
    let (mean, std) = CIFAR10_MEAN_STD;
    let published = Preset::of(name).map(|preset| Preset {
        mean,
        std,
        ..preset
    });
    let images = Images::open(
        &run,
        &published.unwrap_or_else(|| unreachable!("a known network")),
    )?;
    let mut arguments = run
        .settings
        .text("arguments")
        .unwrap_or_default()
        .to_owned();
    let is_resnet = name.starts_with("resn") || name.starts_with("wide_resnet");
    if is_resnet && images.size <= 64 && !arguments.contains("stem_") {
        arguments.push_str(" stem_kernel=3 stem_stride=2 stem_pool=true");
    }
    let mut options = options_for(name, &arguments, images.size)?;
    options.num_classes = Some(images.classes.len());
    let mut model = build(name, &options)?;
    images.introduce(name, &options, &model);
    run.introduce();

    let weight_decay = run.settings.rate("weight-decay").unwrap_or(0.0);
    let mut optimizer: Box<dyn Optimizer> = if run.settings.text("optimizer") == Some("adamw") {
        let with = |weight_decay| AdamWOptions {
            lr: run.lr,
            weight_decay,
            ..AdamWOptions::default()
        };
        Box::new(AdamW::with(with(weight_decay)).group_where(|_, p| p.shape().len() < 2, with(0.0)))
    } else {
        let with = |weight_decay| SgdOptions {
            lr: run.lr,
            momentum: 0.9,
            nesterov: true,
            weight_decay,
            ..SgdOptions::default()
        };
        Box::new(SGD::with(with(weight_decay)).group_where(|_, p| p.shape().len() < 2, with(0.0)))
    };
    let steps = images.train.batches() * run.epochs as usize;
    let schedule = OneCycleLR::new(run.lr, steps);
    let title = format!("{name} on {}", run.settings.data_name());
    images.learn(
        &mut run,
        (name, &options, &title),
        &mut model,
        &mut *optimizer,
        Box::new(schedule),
    )
}
