//! The networks by name: one list of each family, joined. A family's file has its members and what they are built from.

use gradus_nn::init;
use gradus_tensor::{Error, Result};

use super::classifier::Classifier;
use super::options::{Arguments, Options};
use super::{
    alexnet, cifar_resnet, convnext, densenet, efficientnet, efficientnet_lite, googlenet,
    inception, mnasnet, mobilenet_v2, mobilenet_v3, regnet, resnet, shufflenet_v2, squeezenet, vgg,
    vit,
};

/// A name and what builds it.
pub(super) type Member = (&'static str, fn(&Arguments) -> Result<Classifier>);

const FAMILIES: [&[Member]; 17] = [
    alexnet::MEMBERS,
    vgg::MEMBERS,
    resnet::MEMBERS,
    cifar_resnet::MEMBERS,
    squeezenet::MEMBERS,
    densenet::MEMBERS,
    googlenet::MEMBERS,
    inception::MEMBERS,
    mobilenet_v2::MEMBERS,
    mobilenet_v3::MEMBERS,
    shufflenet_v2::MEMBERS,
    mnasnet::MEMBERS,
    efficientnet::MEMBERS,
    efficientnet_lite::MEMBERS,
    regnet::MEMBERS,
    convnext::MEMBERS,
    vit::MEMBERS,
];

/// The names [`build`] knows, family by family.
pub fn names() -> Vec<&'static str> {
    let members = FAMILIES.iter().flat_map(|family| family.iter());
    members.map(|(name, _)| *name).collect()
}

/// A new network by torchvision's name for it (the CIFAR networks by `cifar_resnet20` to `cifar_resnet110`), in training mode, with
/// first weights drawn from the thread's default generator.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, Module};
/// use gradus_tensor::{DType, Tensor};
/// use gradus_vision::models::{Options, build};
/// # fn main() -> gradus_tensor::Result<()> {
/// let model = build("mobilenet_v3_small", &Options::classes(3))?;
/// let x = Var::from(Tensor::zeros([2, 3, 64, 64], DType::F32)?);
/// assert_eq!(model.forward(&x)?.dims(), [2, 3]);
/// assert!(model.state_dict().contains_key("features.1.block.1.fc1.weight")); // torchvision's names
///
/// let huge = build("vit_h_14", &Options::default().uninitialised())?; // for weights that are loaded next
/// assert_eq!(huge.num_params(), 632_045_800);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When there is no such name, or the network takes no such argument or value; the message lists those there are.
pub fn build(name: &str, options: &Options) -> Result<Classifier> {
    let mut members = FAMILIES.iter().flat_map(|family| family.iter());
    let Some((_, member)) = members.find(|(known, _)| *known == name) else {
        let known = names().join(", ");
        return Err(Error::value(
            "",
            format!("there is no model {name:?}; there are: {known}"),
        ));
    };
    let arguments = Arguments::new(name, options);
    if options.initialise {
        member(&arguments)
    } else {
        init::skip(|| member(&arguments))
    }
}
