//! What a published network's pictures went through: the size they were scaled to, the square that was cut out, mean and deviation.
//!
//! A network is only as good as on pictures prepared as in its training, and its weights file does not say how. Source: the `transforms()`
//! of torchvision's weights (its first weights, `IMAGENET1K_V1`, where there are several); for the CIFAR ResNets and EfficientNet-Lite,
//! whose pixels were (x - 127) / 128, the code their weights were published with.

use gradus_train::Result;

use crate::transforms::{CenterCrop, Compose, Interpolation, Normalize, Resize};

/// Mean and standard deviation of ImageNet's pixels, which most published networks were trained with, the CIFAR ResNets too.
pub const IMAGENET_MEAN_STD: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// How a network wants its pictures.
///
/// ```
/// use gradus_vision::presets::Preset;
/// let resnet = Preset::of("resnet50").unwrap();
/// assert_eq!((resnet.resize, resnet.crop), (Some(256), Some(224)));
/// assert_eq!(Preset::of("cifar_resnet20").unwrap().crop, None); // as they are, 32 x 32
/// assert!(Preset::of("resnet51").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// What the smaller side is scaled to; the other keeps the ratio.
    pub resize: Option<usize>,
    /// The side of the square that is cut out of the middle.
    pub crop: Option<usize>,
    /// How it is scaled.
    pub interpolation: Interpolation,
    /// Mean of red, green and blue, each from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f32; 3],
}

/// Sizes where they are not 256 and 224, for names that begin so; the first that fits counts.
const SIZES: [(&str, usize, usize); 28] = [
    ("inception_v3", 342, 299),
    ("mnasnet0_75", 232, 224),
    ("mnasnet1_3", 232, 224),
    ("shufflenet_v2_x1_5", 232, 224),
    ("shufflenet_v2_x2_0", 232, 224),
    ("resnext101_64x4d", 232, 224),
    ("convnext_tiny", 236, 224),
    ("convnext_small", 230, 224),
    ("convnext_base", 232, 224),
    ("convnext_large", 232, 224),
    ("regnet_y_128gf", 224, 224),
    ("vit_l_16", 242, 224),
    ("vit_h_14", 224, 224),
    ("efficientnet_b1", 256, 240),
    ("efficientnet_b2", 288, 288),
    ("efficientnet_b3", 320, 300),
    ("efficientnet_b4", 384, 380),
    ("efficientnet_b5", 456, 456),
    ("efficientnet_b6", 528, 528),
    ("efficientnet_b7", 600, 600),
    ("efficientnet_v2_s", 384, 384),
    ("efficientnet_v2_m", 480, 480),
    ("efficientnet_v2_l", 480, 480),
    // TensorFlow scales to 32 pixels more than it cuts out.
    ("efficientnet_lite1", 272, 240),
    ("efficientnet_lite2", 292, 260),
    ("efficientnet_lite3", 312, 280),
    ("efficientnet_lite4", 332, 300),
    ("efficientnet_lite0", 256, 224),
];

impl Preset {
    /// How the network of a name in [`models::names`](crate::models::names) wants its pictures.
    pub fn of(model: &str) -> Option<Self> {
        if !crate::models::names().contains(&model) {
            return None;
        }
        let (mean, std) = match model {
            name if name.starts_with("efficientnet_lite") => {
                ([127.0 / 255.0; 3], [128.0 / 255.0; 3])
            }
            "efficientnet_v2_l" => ([0.5; 3], [0.5; 3]),
            _ => IMAGENET_MEAN_STD,
        };
        let bicubic = !["efficientnet_v2_s", "efficientnet_v2_m"].contains(&model)
            && ["efficientnet", "vit_h_14", "regnet_y_128gf"]
                .iter()
                .any(|family| model.starts_with(family));
        let known = SIZES.iter().find(|(name, ..)| *name == model);
        let sizes = match known {
            _ if model.starts_with("cifar_") => None,
            Some(&(_, resize, crop)) => Some((resize, crop)),
            None => Some((256, 224)),
        };
        Some(Self {
            resize: sizes.map(|(resize, _)| resize),
            crop: sizes.map(|(_, crop)| crop),
            interpolation: if bicubic {
                Interpolation::Bicubic
            } else {
                Interpolation::Bilinear
            },
            mean,
            std,
        })
    }

    /// Scaling and cutting, without normalising: the picture as people see it.
    pub fn view(&self) -> Compose {
        let mut view = Compose::new();
        if let Some(side) = self.resize {
            view = view.then(Resize::shorter(side).interpolation(self.interpolation));
        }
        if let Some(side) = self.crop {
            view = view.then(CenterCrop {
                height: side,
                width: side,
            });
        }
        view
    }

    /// Mean and deviation taken out.
    ///
    /// # Errors
    /// When a deviation is not above 0.
    pub fn normalize(&self) -> Result<Normalize> {
        Normalize::new(&self.mean, &self.std)
    }

    /// All of it: pictures of bytes to what the network takes.
    ///
    /// # Errors
    /// When a deviation is not above 0.
    pub fn transform(&self) -> Result<Compose> {
        Ok(self.view().then(self.normalize()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use crate::transforms::Transform as _;
    use gradus_train::Draw;

    #[test]
    fn every_network_has_a_preset_and_every_size_a_network() {
        let names = crate::models::names();
        for name in &names {
            let preset = Preset::of(name).unwrap();
            assert!(preset.resize >= preset.crop, "{name}");
            assert_eq!(preset.crop.is_none(), name.starts_with("cifar_"), "{name}");
        }
        for (name, ..) in SIZES {
            assert!(names.contains(&name), "{name}");
        }
        let interpolation = |name| Preset::of(name).unwrap().interpolation;
        assert_eq!(interpolation("efficientnet_b0"), Interpolation::Bicubic);
        assert_eq!(interpolation("efficientnet_v2_s"), Interpolation::Bilinear);
    }

    #[test]
    fn pictures_of_any_shape_become_the_networks_square() {
        let preset = Preset::of("resnet18").unwrap();
        for (height, width) in [(300, 451), (451, 300), (20, 20), (1, 900)] {
            let picture =
                Image::from_bytes(3, height, width, vec![128; 3 * height * width]).unwrap();
            let view = preset
                .view()
                .apply(picture.clone(), &mut Draw::new(0))
                .unwrap();
            assert_eq!((view.height(), view.width()), (224, 224));
            let input = preset
                .transform()
                .unwrap()
                .apply(picture, &mut Draw::new(0))
                .unwrap();
            let middle = input.at(0, 112, 112, 0.0);
            assert!(
                (middle - (128.0 / 255.0 - 0.485) / 0.229).abs() < 1e-5,
                "{middle}"
            );
        }
        let small = Image::from_bytes(3, 32, 32, vec![0; 3072]).unwrap();
        let preset = Preset::of("cifar_resnet56").unwrap();
        assert_eq!(
            preset
                .view()
                .apply(small.clone(), &mut Draw::new(0))
                .unwrap(),
            small
        );
    }
}
