//! A network with the weights of a file, and how pictures come to it: what `eval`, `classify` and `explain` begin with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use gradus_autograd::{Var, no_grad};
use gradus_nn::{Layer, Module as _, StateDict};
use gradus_tensor::{Error, Result, ResultExt as _, Tensor, weights};
use gradus_train::{Draw, load_weights};
use gradus_vision::datasets::{CIFAR10_CLASSES, FASHION_MNIST_CLASSES, MNIST_CLASSES};
use gradus_vision::decode::Rgba;
use gradus_vision::models::{Classifier, DIGIT_MODELS, build, digit_model, names};
use gradus_vision::presets::Preset;
use gradus_vision::transforms::{Compose, Transform as _};
use gradus_vision::{Image, classes, digit};

use super::checkpoint_file;
use super::facts::{
    ARGUMENTS_KEY, CLASSES_KEY, PRESET_KEY, classes_from_json, options, preset_from_json,
};
use super::train_digits::{DATASET_KEY, MODEL_KEY, prepare};

/// What may be said of a network beside its weights.
#[derive(Args, Clone, Default)]
pub struct NetworkArgs {
    /// The network, by torchvision's name (resnet18, vgg16, efficientnet_b0, …), cifar_resnet20 to 110, efficientnet_lite0 to 4, or
    /// small or article, those of the digits; a checkpoint made by gradus says it itself.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// A file with the names of the classes, one a line; known for ImageNet's 1,000, CIFAR-10 and the digits.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// Scale pictures until the smaller side is so long, instead of what the network was published with.
    #[arg(long, value_name = "PIXELS")]
    pub resize: Option<usize>,
    /// Cut a square of this side out of the middle, instead of what the network was published with.
    #[arg(long, value_name = "PIXELS")]
    pub crop: Option<usize>,
}

/// How pictures come to a network.
enum Input {
    /// The digit or garment in it, found, scaled and centred.
    Digit(fn(&Rgba) -> Result<Image>, Compose),
    Photograph(Preset),
}

/// A network with the weights of a file.
pub struct Network {
    /// Its name.
    pub name: String,
    /// The network, in evaluation mode, its parameters frozen.
    pub model: Box<dyn Layer>,
    /// The names of its classes.
    pub classes: Vec<String>,
    /// The data set it was made for, where the file says one.
    pub dataset: Option<String>,
    input: Input,
}

impl Network {
    /// The network of a file: by the name given, or by what the file says.
    pub fn load(path: &Path, args: &NetworkArgs) -> Result<Self> {
        let file = checkpoint_file(path)?;
        let (state, metadata) = load_weights(&file)?;
        let name = args.model.as_ref().or_else(|| metadata.get(MODEL_KEY));
        let name = name.cloned().ok_or_else(|| {
            let text = format!(
                "{} does not say which network it is of: give --model NAME, as in {}, resnet18 or efficientnet_b0",
                file.display(),
                DIGIT_MODELS.join(", ")
            );
            Error::value("", text)
        })?;
        let dataset = metadata.get(DATASET_KEY).cloned();
        let loaded = if DIGIT_MODELS.contains(&name.as_str()) {
            Self::of_digits(&name, &state, dataset)
        } else {
            Self::of_photographs(&name, state, dataset, &metadata)
        };
        let mut network = loaded.in_layer(file.display().to_string())?;
        network.model.eval();
        network.model.freeze("");
        network.adapt(args)?;
        Ok(network)
    }

    fn of_digits(name: &str, state: &StateDict, dataset: Option<String>) -> Result<Self> {
        let mut model = digit_model(name)?;
        model.load_state_dict(state, true)?;
        let fashion = dataset.as_deref() == Some("fashion-mnist");
        let names = if fashion {
            FASHION_MNIST_CLASSES
        } else {
            MNIST_CLASSES
        };
        let view = if fashion {
            digit::like_fashion_mnist
        } else {
            digit::like_mnist
        };
        let normalise = prepare(name, dataset.as_deref().unwrap_or("mnist"))?;
        Ok(Self {
            name: name.to_owned(),
            model,
            classes: names.map(str::to_owned).to_vec(),
            dataset,
            input: Input::Digit(view, normalise),
        })
    }

    fn of_photographs(
        name: &str,
        state: StateDict,
        dataset: Option<String>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let Some(published) = Preset::of(name) else {
            let known = [&DIGIT_MODELS[..], &names()].concat().join(", ");
            let text = format!("there is no model {name:?}; there are: {known}");
            return Err(Error::value("", text));
        };
        // A network that was trained here says what it was built with, how its pictures came to it, and what its classes are.
        let said = |key: &str| metadata.get(key).map(String::as_str);
        let preset = said(PRESET_KEY).and_then(preset_from_json);
        let classes = said(CLASSES_KEY).and_then(classes_from_json);
        let state = with_new_names(name, state);
        let mut model = fitting(name, &state, said(ARGUMENTS_KEY).unwrap_or_default())?;
        model.load_state_dict(&state, true)?;
        let count = outputs(&model, &state).unwrap_or(0);
        Ok(Self {
            name: name.to_owned(),
            model: Box::new(model),
            classes: match (classes, count) {
                (Some(names), count) if names.len() == count => names,
                (_, 1000) => classes::imagenet().into_iter().map(str::to_owned).collect(),
                (_, 10) if name.starts_with("cifar_") => {
                    CIFAR10_CLASSES.map(str::to_owned).to_vec()
                }
                _ => (0..count).map(|i| i.to_string()).collect(),
            },
            dataset,
            input: Input::Photograph(preset.unwrap_or(published)),
        })
    }

    /// Takes what the command line says instead of what is known.
    fn adapt(&mut self, args: &NetworkArgs) -> Result<()> {
        if let Some(file) = &args.classes {
            let text = std::fs::read_to_string(file)
                .map_err(|e| Error::io("", format!("cannot read {}", file.display()), e))?;
            let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
            if names.len() != self.classes.len() {
                let text = format!(
                    "{} has {} names; the network tells {} classes apart",
                    file.display(),
                    names.len(),
                    self.classes.len()
                );
                return Err(Error::value("", text));
            }
            self.classes = names;
        }
        let too_large = |side: &usize| *side == 0 || *side > 4096;
        if let Some(side) = args
            .resize
            .iter()
            .chain(&args.crop)
            .find(|side| too_large(side))
        {
            let text = format!("--resize and --crop take 1 to 4096 pixels, not {side}");
            return Err(Error::value("", text));
        }
        if let Input::Photograph(preset) = &mut self.input {
            preset.resize = args.resize.or(preset.resize);
            preset.crop = args.crop.or(preset.crop);
        } else if args.resize.or(args.crop).is_some() {
            let text = "--resize and --crop are for photographs, not for digits";
            return Err(Error::value("", text));
        }
        Ok(())
    }

    /// Does it look at single digits (or garments) rather than at photographs?
    pub fn takes_digits(&self) -> bool {
        matches!(self.input, Input::Digit(..))
    }

    /// The picture as the network gets to see it, values from 0 to 1.
    pub fn view(&self, picture: &Rgba) -> Result<Image> {
        match &self.input {
            Input::Digit(view, _) => view(picture),
            Input::Photograph(preset) => {
                let image = Image::from_rgba(picture)?;
                preset.view().apply(image, &mut Draw::new(0))
            }
        }
    }

    /// A view as numbers for the network: (C, H, W).
    pub fn input(&self, view: Image) -> Result<Tensor> {
        let normalised = match &self.input {
            Input::Digit(_, normalise) => normalise.apply(view, &mut Draw::new(0))?,
            Input::Photograph(preset) => preset.normalize()?.apply(view, &mut Draw::new(0))?,
        };
        normalised.to_tensor()
    }

    /// What the images of a data set go through, and how many of them go together.
    pub fn transform(self) -> Result<(Box<dyn Layer>, Compose, usize)> {
        Ok(match self.input {
            Input::Digit(_, normalise) => (self.model, normalise, 200),
            Input::Photograph(preset) => {
                let batch = if preset.crop.is_some() { 32 } else { 200 };
                (self.model, preset.transform()?, batch)
            }
        })
    }

    /// The probability of each class for an input (C, H, W).
    pub fn probabilities(&self, input: &Tensor) -> Result<Vec<f32>> {
        let input = input.to_device(&self.model.device())?;
        let x = Var::from(input.unsqueeze(0)?); // (1, C, H, W)
        let logits = no_grad(|| self.model.forward(&x))?; // (1, classes)
        logits.value().softmax(-1)?.to_vec::<f32>()
    }

    /// A class by its name or number.
    pub fn class(&self, text: &str) -> Result<usize> {
        let named = self
            .classes
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        let numbered = || {
            text.parse()
                .ok()
                .filter(|&i: &usize| i < self.classes.len())
        };
        named.or_else(numbered).ok_or_else(|| {
            let count = self.classes.len();
            let text =
                format!("there is no class {text:?}; give its name or a number below {count}");
            Error::value("", text)
        })
    }
}

/// The weights under the names their network has now: torchvision's DenseNets were saved when a dense layer still was `norm.1`, not `norm1`.
pub fn with_new_names(name: &str, state: StateDict) -> StateDict {
    let state = weights::without_prefix(state, "module.");
    if !name.starts_with("densenet") {
        return state;
    }
    let renamed = |(name, tensor): (String, Tensor)| {
        let name = ["norm", "relu", "conv"].iter().fold(name, |name, part| {
            let [one, two] = [1, 2].map(|i| (format!(".{part}.{i}."), format!(".{part}{i}.")));
            name.replace(&one.0, &one.1).replace(&two.0, &two.1)
        });
        (name, tensor)
    };
    state.into_iter().map(renamed).collect()
}

/// The empty network that the weights are of: with as many classes, and with auxiliary heads only if they are there.
fn fitting(name: &str, state: &StateDict, arguments: &str) -> Result<Classifier> {
    let mut options = options(arguments)?.uninitialised();
    if arguments.is_empty() && ["googlenet", "inception_v3"].contains(&name) {
        let auxiliary = state
            .keys()
            .any(|key| key.to_lowercase().starts_with("aux"));
        options = options
            .with("aux_logits", auxiliary)
            .with("transform_input", true);
    }
    let model = build(name, &options)?;
    match outputs(&model, state) {
        Some(classes) if classes > 0 => {
            options.num_classes = Some(classes);
            build(name, &options)
        }
        _ => Ok(model),
    }
}

/// How many classes the weights' head tells apart.
fn outputs(model: &Classifier, state: &StateDict) -> Option<usize> {
    let head = state.get(&format!("{}.weight", model.head_name()))?;
    head.dims().first().copied()
}
