//! Models for images: two small ones for digits, and torchvision's classifiers by name.
//!
//! [`build`] gives a [`Classifier`] for any of [`names`]; names of parameters, constructor arguments, defaults and first weights are
//! torchvision's, so its checkpoints load with no mapping. Each family is a file that reads from its table of members down to its
//! block; what families share is in `blocks.rs`, first weights are data for `weights.rs`.

mod alexnet;
mod blocks;
mod cifar_resnet;
mod classifier;
mod convnext;
mod densenet;
mod digits;
mod efficientnet;
mod efficientnet_lite;
mod googlenet;
mod inception;
mod mnasnet;
mod mobilenet_v2;
mod mobilenet_v3;
mod options;
mod registry;
mod regnet;
mod resnet;
mod shufflenet_v2;
mod squeezenet;
mod vgg;
mod vit;
mod weights;

pub use blocks::StochasticDepth;
pub use classifier::Classifier;
pub use digits::{ARTICLE, Article, DIGIT_MODELS, SMALL, Small, digit_model};
pub use options::{Argument, Options};
pub use registry::{build, names};
