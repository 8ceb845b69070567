//! Pixels against torchvision 0.29 with Pillow 13: sums of the bytes that they give for one small picture. A wrong bit anywhere is
//! another sum.

use gradus_vision::Image;
use gradus_vision::transforms::functional::Interpolation::*;
use gradus_vision::transforms::functional::*;

/// FNV-1a of the bytes, (C, H, W).
fn sum(image: &Image) -> u64 {
    let bytes = image.bytes().expect("an image of bytes");
    let step = |h: u64, &b: &u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Smooth with noise on it, 3 x 37 x 53.
fn picture() -> Image {
    let at = |i: usize| (i * i / 97 + i * 31 % 61 + (i / 53) * 2) as u8;
    Image::from_bytes(3, 37, 53, (0..3 * 37 * 53).map(at).collect()).unwrap()
}

const RESIZED: [(Interpolation, usize, usize, u64); 27] = [
    (Nearest, 37, 53, 0x81573b16ce55db38),
    (Nearest, 20, 53, 0xfbd0aadd79033d42),
    (Nearest, 37, 20, 0x94377b6270256f01),
    (Nearest, 16, 16, 0x380532d1079fc136),
    (Nearest, 80, 100, 0xef43a1b274ccda80),
    (Nearest, 5, 120, 0x861e25fe8b7a0b21),
    (Nearest, 1, 1, 0xeeb1231c700814e0),
    (Nearest, 64, 31, 0x023dcfee9ec5b947),
    (Nearest, 224, 224, 0x1805b6cf2b1481f7),
    (Bilinear, 37, 53, 0x81573b16ce55db38),
    (Bilinear, 20, 53, 0xd2e0dd611b29696b),
    (Bilinear, 37, 20, 0xd4fe978b5e4223b7),
    (Bilinear, 16, 16, 0x806b4346d2fe4d68),
    (Bilinear, 80, 100, 0x2a288a588675c3f5),
    (Bilinear, 5, 120, 0x725966b16aca45a2),
    (Bilinear, 1, 1, 0xa2b009196ea47b1e),
    (Bilinear, 64, 31, 0x44590630b419d334),
    (Bilinear, 224, 224, 0x45c127a86abe2902),
    (Bicubic, 37, 53, 0x81573b16ce55db38),
    (Bicubic, 20, 53, 0xa2c851e44f71794b),
    (Bicubic, 37, 20, 0xdd0ccec06bfe3650),
    (Bicubic, 16, 16, 0xeec196938fde91f4),
    (Bicubic, 80, 100, 0x5f0265ad529bf16d),
    (Bicubic, 5, 120, 0x753dba126dc23aa0),
    (Bicubic, 1, 1, 0xa2b009196ea47b1e),
    (Bicubic, 64, 31, 0x147dc2822c655040),
    (Bicubic, 224, 224, 0xa1f1cd3018e64af4),
];

#[test]
fn resize_is_pillows() {
    for (how, height, width, want) in RESIZED {
        let image = resize(&picture(), height, width, how).unwrap();
        assert_eq!(sum(&image), want, "{how:?} to {height}x{width}");
    }
    for (size, shape, want) in [
        (20, [20, 28], 0x042106e4c4d27102),
        (64, [64, 91], 0x418a5200f7dadcd9),
        (37, [37, 53], 0x81573b16ce55db38),
    ] {
        let image = resize_shorter(&picture(), size, Bicubic).unwrap();
        assert_eq!([image.height(), image.width()], shape);
        assert_eq!(sum(&image), want, "shorter side {size}");
    }
    let hostile = resize(&picture(), usize::MAX, 2, Bilinear);
    assert!(hostile.is_err() && resize(&picture(), 0, 2, Bicubic).is_err());
}

#[test]
fn floats_are_resized_as_torch_does() {
    // torch.nn.functional.interpolate(picture / 255, size=(16, 80), mode=…, antialias=True): the first four, the last three, the sum.
    let cases = [
        (
            Bilinear,
            [
                0.2884620726,
                0.2758433521,
                0.2689450979,
                0.2945543528,
                0.6253509521,
                0.4628034532,
                0.2462051362,
            ],
            1917.3030929,
        ),
        (
            Bicubic,
            [
                0.2941127121,
                0.2613055706,
                0.2407314032,
                0.2961873412,
                0.6801896096,
                0.4741389155,
                0.1982083172,
            ],
            1918.0130177,
        ),
    ];
    for (how, want, total) in cases {
        let image = resize(&picture().into_floats(), 16, 80, how).unwrap();
        let pixels = image.pixels();
        let ends = [&pixels[..4], &pixels[pixels.len() - 3..]].concat();
        for (got, want) in ends.iter().zip(want) {
            assert!(
                (f64::from(*got) - want).abs() < 2e-6,
                "{how:?}: {got} {want}"
            );
        }
        let sum: f64 = pixels.iter().map(|&v| f64::from(v)).sum();
        assert!((sum - total).abs() < 1e-3, "{how:?}: {sum}");
    }
}

const ROTATED: [(Interpolation, f64, u64); 24] = [
    (Nearest, 0.0, 0x81573b16ce55db38),
    (Nearest, 13.5, 0x68ed7f5952f15a01),
    (Nearest, -30.0, 0x8a5193b819c667ce),
    (Nearest, 90.0, 0xf27bfe37dc8ee5b1),
    (Nearest, 180.0, 0x32c393784ba3dbe4),
    (Nearest, 270.0, 0xd7fc317c361e3815),
    (Nearest, 77.7, 0x782740d1ed4aa7ce),
    (Nearest, 359.0, 0x81573b16ce55db38),
    (Bilinear, 0.0, 0x81573b16ce55db38),
    (Bilinear, 13.5, 0x5dac953fbf8b528e),
    (Bilinear, -30.0, 0xcc31d3a2635e2b2d),
    (Bilinear, 90.0, 0xf27bfe37dc8ee5b1),
    (Bilinear, 180.0, 0x32c393784ba3dbe4),
    (Bilinear, 270.0, 0xd7fc317c361e3815),
    (Bilinear, 77.7, 0xf8d69b3a6516fd2f),
    (Bilinear, 359.0, 0x588d335aece2e716),
    (Bicubic, 0.0, 0x81573b16ce55db38),
    (Bicubic, 13.5, 0x45bff65dfa718a19),
    (Bicubic, -30.0, 0x17c6204d9e8b11b6),
    (Bicubic, 90.0, 0xf27bfe37dc8ee5b1),
    (Bicubic, 180.0, 0x32c393784ba3dbe4),
    (Bicubic, 270.0, 0xd7fc317c361e3815),
    (Bicubic, 77.7, 0x861905f909a0a5e3),
    (Bicubic, 359.0, 0x8e00ebc53992be5a),
];

type Warped = (Interpolation, f64, [f64; 2], f64, [f64; 2], u64);

const WARPED: [Warped; 12] = [
    (
        Nearest,
        0.0,
        [3.0, -2.0],
        1.0,
        [0.0, 0.0],
        0x91bca2854c680bf6,
    ),
    (
        Nearest,
        20.0,
        [0.0, 0.0],
        1.3,
        [0.0, 0.0],
        0x7bff8edee5221efe,
    ),
    (
        Nearest,
        -10.0,
        [4.0, 5.0],
        0.6,
        [12.0, -7.0],
        0xe7ea6393fc5f536d,
    ),
    (
        Nearest,
        0.0,
        [0.0, 0.0],
        2.0,
        [0.0, 0.0],
        0x42d49a6ae40f4941,
    ),
    (
        Bilinear,
        0.0,
        [3.0, -2.0],
        1.0,
        [0.0, 0.0],
        0x91bca2854c680bf6,
    ),
    (
        Bilinear,
        20.0,
        [0.0, 0.0],
        1.3,
        [0.0, 0.0],
        0x582f17ecda0247a5,
    ),
    (
        Bilinear,
        -10.0,
        [4.0, 5.0],
        0.6,
        [12.0, -7.0],
        0x98803030fea54a17,
    ),
    (
        Bilinear,
        0.0,
        [0.0, 0.0],
        2.0,
        [0.0, 0.0],
        0xa1b39cc8213f388a,
    ),
    (
        Bicubic,
        0.0,
        [3.0, -2.0],
        1.0,
        [0.0, 0.0],
        0x91bca2854c680bf6,
    ),
    (
        Bicubic,
        20.0,
        [0.0, 0.0],
        1.3,
        [0.0, 0.0],
        0x7b5e8c16f9f65fcc,
    ),
    (
        Bicubic,
        -10.0,
        [4.0, 5.0],
        0.6,
        [12.0, -7.0],
        0x34fd7c11a41cfe47,
    ),
    (
        Bicubic,
        0.0,
        [0.0, 0.0],
        2.0,
        [0.0, 0.0],
        0x90fde468da009185,
    ),
];

#[test]
fn turns_and_warps_are_pillows() {
    for (how, degrees, want) in ROTATED {
        let image = rotate(&picture(), degrees, how, 0.0).unwrap();
        assert_eq!(sum(&image), want, "{how:?} by {degrees}");
    }
    let square = picture().window(0, 0, 30, 30, 0.0).unwrap();
    for (degrees, want) in [
        (90.0, 0x8501f8e5e76cf181),
        (180.0, 0x4262e7874064f53f),
        (270.0, 0xc878c0a2c43449f1),
        (45.0, 0x14cbc64006979a05),
    ] {
        let image = rotate(&square, degrees, Nearest, 128.0 / 255.0).unwrap();
        assert_eq!(sum(&image), want, "a square by {degrees}");
    }
    for (how, angle, translate, scale, shear, want) in WARPED {
        let warp = Warp {
            angle,
            translate,
            scale,
            shear,
            center: None,
        };
        let image = affine(&picture(), &warp, how, 0.0).unwrap();
        assert_eq!(sum(&image), want, "{how:?} {warp:?}");
    }
    // Floats are found at the same places.
    let (bytes, floats) = (picture(), picture().into_floats());
    let turned = rotate(&floats, 13.5, Nearest, 0.0).unwrap();
    assert_eq!(
        turned.into_bytes(),
        rotate(&bytes, 13.5, Nearest, 0.0).unwrap()
    );
    let turned = rotate(&floats, 13.5, Bilinear, 0.0).unwrap();
    let cut = rotate(&bytes, 13.5, Bilinear, 0.0).unwrap();
    for (a, b) in turned.pixels().iter().zip(cut.bytes().unwrap()) {
        assert!((a * 255.0 - f32::from(*b) - 0.5).abs() < 0.501, "{a} {b}");
    }
}

type Adjust = fn(Image, f64) -> gradus_train::Result<Image>;

#[test]
fn colours_are_pillows() {
    let cases: [(Adjust, f64, u64); 27] = [
        (adjust_brightness, 0.0, 0x28e64c5fde1472d7),
        (adjust_brightness, 0.3, 0xf16c6f57bc7e1ca9),
        (adjust_brightness, 1.0, 0x81573b16ce55db38),
        (adjust_brightness, 1.7, 0x85f1d7e527b77cbb),
        (adjust_brightness, 4.0, 0x87994f951f936f0e),
        (adjust_contrast, 0.0, 0x37d11e3c48d7279c),
        (adjust_contrast, 0.3, 0x54330c729350171d),
        (adjust_contrast, 1.0, 0x81573b16ce55db38),
        (adjust_contrast, 1.7, 0xf1d7718f8e4297f0),
        (adjust_contrast, 4.0, 0x3c3b2d7f6a29035b),
        (adjust_saturation, 0.0, 0x0e31c890634039f7),
        (adjust_saturation, 0.3, 0x0b8b91dd8111329c),
        (adjust_saturation, 1.0, 0x81573b16ce55db38),
        (adjust_saturation, 1.7, 0xcd586f79d2dedaab),
        (adjust_saturation, 4.0, 0xf1f6ba7a465fb317),
        (adjust_sharpness, 0.0, 0x28ccd7fab61b0cd6),
        (adjust_sharpness, 0.3, 0x60e35e1b559a978b),
        (adjust_sharpness, 1.0, 0x81573b16ce55db38),
        (adjust_sharpness, 1.7, 0xac9979c83ddbd81b),
        (adjust_sharpness, 4.0, 0xeb8df421f07a638d),
        (adjust_hue, -0.5, 0x118532bf77dc99ee),
        (adjust_hue, -0.2, 0xcf7a6b41fd46e752),
        (adjust_hue, -0.003, 0x50de78ed5c65c45a),
        (adjust_hue, 0.0, 0x50de78ed5c65c45a),
        (adjust_hue, 0.1, 0x71691c1393b2ab7a),
        (adjust_hue, 0.37, 0x067c9becffcc27c3),
        (adjust_hue, 0.5, 0x3af5eae24d428128),
    ];
    for (i, (adjust, factor, want)) in cases.into_iter().enumerate() {
        let image = adjust(picture(), factor).unwrap();
        assert_eq!(sum(&image), want, "case {i}: {factor}");
    }
    assert_eq!(sum(&grayscale(picture(), 3).unwrap()), 0x0e31c890634039f7);
    assert_eq!(sum(&grayscale(picture(), 1).unwrap()), 0x5cd7e1ccf422976f);
    assert!(adjust_hue(picture(), 0.6).is_err() && adjust_contrast(picture(), -1.0).is_err());
    let four = Image::from_bytes(4, 1, 1, vec![0; 4]).unwrap();
    assert!(adjust_brightness(four, 1.0).is_err());
}

#[test]
fn every_colour_turns_as_pillows_does() {
    // One image of all 2^24 colours; the sum weighs each by its place.
    let all = |shift: u32| (0..1u32 << 24).map(move |i| (i >> shift) as u8);
    let bytes: Vec<u8> = all(0).chain(all(8)).chain(all(16)).collect();
    let image = Image::from_bytes(3, 4096, 4096, bytes).unwrap();
    for (part, want) in [(0.1, 5051893908307599294u64), (-0.37, 4762829610798679509)] {
        let turned = adjust_hue(image.clone(), part).unwrap();
        let bytes = turned.bytes().unwrap();
        let plane = 1 << 24;
        let value = |i: usize| {
            [0, 1, 2]
                .map(|c| u64::from(bytes[c * plane + i]) << (8 * c))
                .iter()
                .sum::<u64>()
        };
        let sum = (0..plane).fold(0u64, |sum, i| {
            sum.wrapping_add(value(i).wrapping_mul(i as u64 % 65521 + 1))
        });
        assert_eq!(sum, want, "hue turned by {part}");
    }
}

#[test]
fn tables_are_pillows() {
    assert_eq!(sum(&invert(picture()).unwrap()), 0x5a88c0f517572507);
    assert_eq!(sum(&posterize(picture(), 3).unwrap()), 0xc6a3ed21aa61ae37);
    assert_eq!(
        sum(&solarize(picture(), 100.0).unwrap()),
        0x72468dec24464871
    );
    assert_eq!(sum(&equalize(picture()).unwrap()), 0xcf788eb517659731);
    let dim = picture()
        .bytes()
        .unwrap()
        .iter()
        .map(|b| b / 3 + 40)
        .collect();
    let dim = Image::from_bytes(3, 37, 53, dim).unwrap();
    assert_eq!(sum(&autocontrast(dim.clone()).unwrap()), 0x765e9bc5c6d49aac);
    assert_eq!(sum(&equalize(dim).unwrap()), 0x82bb332109d380ae);
    let flat = || Image::from_bytes(1, 1, 3, vec![9; 3]).unwrap();
    assert_eq!(autocontrast(flat()).unwrap(), flat());
    assert_eq!(equalize(flat()).unwrap(), flat());
    assert!(posterize(flat(), 9).is_err() && solarize(flat(), f64::NAN).is_err());
}

const CROPPED: [(usize, usize, u64); 6] = [
    (10, 10, 0x46385ea4bb6100de),
    (11, 12, 0x73cb8734b10708eb),
    (40, 60, 0x449baaab04648480),
    (20, 60, 0x929ab985058b8e91),
    (37, 53, 0x81573b16ce55db38),
    (38, 54, 0x8ef4bd9f092cbd66),
];

#[test]
fn crops_are_torchvisions() {
    for (height, width, want) in CROPPED {
        let image = center_crop(&picture(), height, width).unwrap();
        assert_eq!(sum(&image), want, "{height}x{width}");
    }
    let image = resized_crop(&picture(), [3, 5, 20, 31], [24, 24], Bilinear).unwrap();
    assert_eq!(sum(&image), 0x17a72cd074fcc36c);
}
