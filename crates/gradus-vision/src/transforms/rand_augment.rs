//! RandAugment (Cubuk et al. 2019, arXiv:1909.13719): a few operations drawn from a list, all with one strength. The list, its order
//! and the strengths are torchvision's.

use gradus_train::error::invalid;
use gradus_train::{Draw, Result};

use super::Transform;
use super::functional::{
    Interpolation, Warp, adjust_brightness, adjust_contrast, adjust_saturation, adjust_sharpness,
    affine, autocontrast, equalize, posterize, rotate, solarize,
};
use crate::image::Image;

/// What may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

use Operation::*;

const OPERATIONS: [Operation; 14] = [
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
];

/// Some operations of one strength, drawn for each image.
#[derive(Clone, Copy, Debug)]
pub struct RandAugment {
    /// How many operations.
    pub num_ops: usize,
    /// The strength, below `num_magnitude_bins`.
    pub magnitude: usize,
    /// How many strengths there are, at least 2.
    pub num_magnitude_bins: usize,
    /// How values between pixels are found.
    pub interpolation: Interpolation,
    /// What comes in from outside, 0 to 1.
    pub fill: f32,
}

impl Default for RandAugment {
    /// Two operations of strength 9 of 31, nearest pixels, black outside.
    fn default() -> Self {
        Self {
            num_ops: 2,
            magnitude: 9,
            num_magnitude_bins: 31,
            interpolation: Interpolation::Nearest,
            fill: 0.0,
        }
    }
}

impl RandAugment {
    /// The strength of an operation on an image of a size, and whether its sign is drawn.
    fn strength(&self, operation: Operation, height: usize, width: usize) -> (f64, bool) {
        let part = self.magnitude as f64 / (self.num_magnitude_bins - 1) as f64;
        match operation {
            Identity | AutoContrast | Equalize => (0.0, false),
            ShearX | ShearY => (0.3 * part, true),
            TranslateX => (150.0 / 331.0 * width as f64 * part, true),
            TranslateY => (150.0 / 331.0 * height as f64 * part, true),
            Rotate => (30.0 * part, true),
            Brightness | Color | Contrast | Sharpness => (0.9 * part, true),
            Posterize => (8.0 - (4.0 * part).round_ties_even(), false),
            Solarize => (255.0 * (1.0 - part), false),
        }
    }

    fn operate(&self, operation: Operation, image: Image, strength: f64) -> Result<Image> {
        let warp = |warp: Warp| affine(&image, &warp, self.interpolation, self.fill);
        // The top left corner stays.
        let shear = |x: f64, y: f64| Warp {
            shear: [x.atan().to_degrees(), y.atan().to_degrees()],
            center: Some([0.0; 2]),
            ..Warp::default()
        };
        let translate = |x: f64, y: f64| Warp {
            translate: [x.trunc(), y.trunc()],
            ..Warp::default()
        };
        match operation {
            Identity => Ok(image),
            ShearX => warp(shear(strength, 0.0)),
            ShearY => warp(shear(0.0, strength)),
            TranslateX => warp(translate(strength, 0.0)),
            TranslateY => warp(translate(0.0, strength)),
            Rotate => rotate(&image, strength, self.interpolation, self.fill),
            Brightness => adjust_brightness(image, 1.0 + strength),
            Color => adjust_saturation(image, 1.0 + strength),
            Contrast => adjust_contrast(image, 1.0 + strength),
            Sharpness => adjust_sharpness(image, 1.0 + strength),
            Posterize => posterize(image, strength as u32),
            Solarize => solarize(image, strength),
            AutoContrast => autocontrast(image),
            Equalize => equalize(image),
        }
    }
}

impl Transform for RandAugment {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Result<Image> {
        if self.magnitude >= self.num_magnitude_bins || self.num_magnitude_bins < 2 {
            return Err(invalid(format!(
                "RandAugment: magnitude {} must be below num_magnitude_bins {}, which is at least 2",
                self.magnitude, self.num_magnitude_bins
            )));
        }
        for _ in 0..self.num_ops {
            let operation = OPERATIONS[draw.below(OPERATIONS.len() as u64) as usize];
            let (size, signed) = self.strength(operation, image.height(), image.width());
            let size = if signed && draw.chance(0.5) {
                -size
            } else {
                size
            };
            image = self.operate(operation, image, size)?;
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a of the bytes.
    fn sum(image: &Image) -> u64 {
        let step = |h: u64, &b: &u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        image
            .bytes()
            .unwrap()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, step)
    }

    fn picture() -> Image {
        // Smooth with noise on it, 3 x 37 x 53.
        let at = |i: usize| (i * i / 97 + i * 31 % 61 + (i / 53) * 2) as u8;
        Image::from_bytes(3, 37, 53, (0..3 * 37 * 53).map(at).collect()).unwrap()
    }

    /// Of torchvision 0.29 with Pillow 13: each operation with strength 9 of 31, and with that negated where the sign is drawn.
    const EXPECTED: [(Operation, u64, u64); 14] = [
        (Identity, 0x81573b16ce55db38, 0x81573b16ce55db38),
        (ShearX, 0x5be9dc2f007bed89, 0xf74e333969eae880),
        (ShearY, 0xf35cace866797083, 0x86b16024e52ecaa0),
        (TranslateX, 0x6e7fe377b2e82ffa, 0xbabfa73a20dd25b6),
        (TranslateY, 0x96ed7348039ce13f, 0xb9604e1941e65cb8),
        (Rotate, 0xada00d62b3bf3e2d, 0x28300794bab8e4c2),
        (Brightness, 0x6b134dcc3bc5d05c, 0xd1aead8454f6a638),
        (Color, 0xd9200fd9ffad67a8, 0x8856c2dec91eb003),
        (Contrast, 0xd05c7bc00aa7c51a, 0x1792ae19d0888761),
        (Sharpness, 0x23504bc9ca465cfd, 0x4338c4a31419e775),
        (Posterize, 0x16b1adc98a0185e7, 0x16b1adc98a0185e7),
        (Solarize, 0x7d9a91ef62cc87b8, 0x7d9a91ef62cc87b8),
        (AutoContrast, 0x81573b16ce55db38, 0x81573b16ce55db38),
        (Equalize, 0xcf788eb517659731, 0xcf788eb517659731),
    ];

    #[test]
    fn each_operation_is_torchvisions() {
        let augment = RandAugment::default();
        for (operation, plus, minus) in EXPECTED {
            let (strength, signed) = augment.strength(operation, 37, 53);
            let image = augment.operate(operation, picture(), strength).unwrap();
            assert_eq!(sum(&image), plus, "{operation:?}");
            let strength = if signed { -strength } else { strength };
            let image = augment.operate(operation, picture(), strength).unwrap();
            assert_eq!(sum(&image), minus, "{operation:?} the other way");
        }
    }

    #[test]
    fn draws_are_the_samples_own() {
        let augment = RandAugment::default();
        let apply = |seed| augment.apply(picture(), &mut Draw::new(seed)).unwrap();
        assert_eq!(apply(1), apply(1));
        let different: std::collections::BTreeSet<u64> = (0..50).map(|s| sum(&apply(s))).collect();
        assert!(different.len() > 40);
        let wrong = RandAugment {
            magnitude: 31,
            ..augment
        };
        assert!(wrong.apply(picture(), &mut Draw::new(1)).is_err());
    }
}
