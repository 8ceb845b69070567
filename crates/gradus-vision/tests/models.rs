//! The classifiers of the registry: sizes as published, names, arguments, first weights, refusals. That they learn is tested in
//! `models_train.rs`; that they give torchvision's logits, in `cargo xtask conformance models_tv`.

use gradus_autograd::{Var, no_grad};
use gradus_nn::{Layer, Module};
use gradus_tensor::random::{Rng, manual_seed};
use gradus_tensor::{DType, Result, Tensor, clear_pool};
use gradus_vision::models::{Classifier, Options, build, names};

/// Parameters of each network with 1000 classes (the CIFAR ones with 10), as its authors and torchvision publish them.
const PUBLISHED: [(&str, usize); 83] = [
    ("alexnet", 61_100_840),
    ("vgg11", 132_863_336),
    ("vgg11_bn", 132_868_840),
    ("vgg13", 133_047_848),
    ("vgg13_bn", 133_053_736),
    ("vgg16", 138_357_544),
    ("vgg16_bn", 138_365_992),
    ("vgg19", 143_667_240),
    ("vgg19_bn", 143_678_248),
    ("resnet18", 11_689_512),
    ("resnet34", 21_797_672),
    ("resnet50", 25_557_032),
    ("resnet101", 44_549_160),
    ("resnet152", 60_192_808),
    ("resnext50_32x4d", 25_028_904),
    ("resnext101_32x8d", 88_791_336),
    ("resnext101_64x4d", 83_455_272),
    ("wide_resnet50_2", 68_883_240),
    ("wide_resnet101_2", 126_886_696),
    ("cifar_resnet20", 269_722),
    ("cifar_resnet32", 464_154),
    ("cifar_resnet44", 658_586),
    ("cifar_resnet56", 853_018),
    ("cifar_resnet110", 1_727_962),
    ("squeezenet1_0", 1_248_424),
    ("squeezenet1_1", 1_235_496),
    ("densenet121", 7_978_856),
    ("densenet161", 28_681_000),
    ("densenet169", 14_149_480),
    ("densenet201", 20_013_928),
    ("googlenet", 6_624_904),
    ("inception_v3", 27_161_264),
    ("mobilenet_v2", 3_504_872),
    ("mobilenet_v3_large", 5_483_032),
    ("mobilenet_v3_small", 2_542_856),
    ("shufflenet_v2_x0_5", 1_366_792),
    ("shufflenet_v2_x1_0", 2_278_604),
    ("shufflenet_v2_x1_5", 3_503_624),
    ("shufflenet_v2_x2_0", 7_393_996),
    ("mnasnet0_5", 2_218_512),
    ("mnasnet0_75", 3_170_208),
    ("mnasnet1_0", 4_383_312),
    ("mnasnet1_3", 6_282_256),
    ("efficientnet_b0", 5_288_548),
    ("efficientnet_b1", 7_794_184),
    ("efficientnet_b2", 9_109_994),
    ("efficientnet_b3", 12_233_232),
    ("efficientnet_b4", 19_341_616),
    ("efficientnet_b5", 30_389_784),
    ("efficientnet_b6", 43_040_704),
    ("efficientnet_b7", 66_347_960),
    ("efficientnet_v2_l", 118_515_272),
    ("efficientnet_v2_m", 54_139_356),
    ("efficientnet_v2_s", 21_458_488),
    ("efficientnet_lite0", 4_652_008),
    ("efficientnet_lite1", 5_416_680),
    ("efficientnet_lite2", 6_092_072),
    ("efficientnet_lite3", 8_197_096),
    ("efficientnet_lite4", 13_006_568),
    ("regnet_x_16gf", 54_278_536),
    ("regnet_x_1_6gf", 9_190_136),
    ("regnet_x_32gf", 107_811_560),
    ("regnet_x_3_2gf", 15_296_552),
    ("regnet_x_400mf", 5_495_976),
    ("regnet_x_800mf", 7_259_656),
    ("regnet_x_8gf", 39_572_648),
    ("regnet_y_128gf", 644_812_894),
    ("regnet_y_16gf", 83_590_140),
    ("regnet_y_1_6gf", 11_202_430),
    ("regnet_y_32gf", 145_046_770),
    ("regnet_y_3_2gf", 19_436_338),
    ("regnet_y_400mf", 4_344_144),
    ("regnet_y_800mf", 6_432_512),
    ("regnet_y_8gf", 39_381_472),
    ("convnext_base", 88_591_464),
    ("convnext_large", 197_767_336),
    ("convnext_small", 50_223_688),
    ("convnext_tiny", 28_589_128),
    ("vit_b_16", 86_567_656),
    ("vit_b_32", 88_224_232),
    ("vit_h_14", 632_045_800),
    ("vit_l_16", 304_326_632),
    ("vit_l_32", 306_535_400),
];

fn empty(name: &str) -> Classifier {
    build(name, &Options::default().uninitialised()).unwrap()
}

fn noise(shape: [usize; 4]) -> Var {
    Tensor::randn(shape, DType::F32, &mut Rng::new(7))
        .unwrap()
        .into()
}

#[test]
fn every_network_has_the_published_size() {
    let known = names();
    for (name, expected) in PUBLISHED {
        let options = Options::default().uninitialised();
        // The published sizes leave out GoogLeNet's auxiliary heads and count Inception's.
        let options = match name {
            "googlenet" => options.with("aux_logits", false),
            _ => options,
        };
        assert_eq!(
            build(name, &options).unwrap().num_params(),
            expected,
            "{name}"
        );
        assert!(known.contains(&name), "{name}");
        clear_pool();
    }
    assert_eq!(known.len(), PUBLISHED.len());
}

#[test]
fn names_are_the_references() {
    for (model, expected) in [
        ("alexnet", "features.10.bias"),
        ("vgg16_bn", "features.41.running_var"),
        ("resnet50", "layer1.0.downsample.1.num_batches_tracked"),
        ("cifar_resnet20", "layer3.2.bn2.running_mean"),
        ("squeezenet1_0", "features.12.expand3x3.weight"),
        (
            "densenet169",
            "features.denseblock4.denselayer32.conv2.weight",
        ),
        ("googlenet", "inception4e.branch3.1.conv.weight"),
        ("googlenet", "aux2.fc2.bias"),
        ("inception_v3", "Mixed_7c.branch3x3dbl_3b.bn.running_var"),
        ("inception_v3", "AuxLogits.conv1.conv.weight"),
        ("mobilenet_v2", "features.2.conv.1.0.weight"),
        ("mobilenet_v3_large", "features.15.block.2.fc2.bias"),
        ("shufflenet_v2_x1_5", "stage4.0.branch1.2.weight"),
        ("mnasnet0_75", "layers.12.3.layers.7.bias"),
        ("efficientnet_b1", "features.7.1.block.2.fc1.weight"),
        ("efficientnet_v2_s", "features.3.3.block.1.1.weight"),
        ("efficientnet_lite0", "_blocks.15._project_conv.weight"),
        ("efficientnet_lite0", "_fc.bias"),
        (
            "regnet_y_800mf",
            "trunk_output.block3.block3-0.f.se.fc1.weight",
        ),
        (
            "regnet_x_400mf",
            "trunk_output.block1.block1-0.proj.0.weight",
        ),
        ("convnext_small", "features.5.26.layer_scale"),
        (
            "vit_b_32",
            "encoder.layers.encoder_layer_11.self_attention.in_proj_weight",
        ),
        ("vit_b_32", "class_token"),
    ] {
        let state = empty(model).state_dict();
        assert!(state.contains_key(expected), "{model} has no {expected}");
    }
}

#[test]
fn the_head_has_the_name_it_gives_and_as_many_outputs_as_classes() {
    for name in names() {
        let model = build(name, &Options::classes(7).uninitialised()).unwrap();
        let weight = format!("{}.weight", model.head_name());
        let parameters = model.named_parameters();
        let found = parameters.iter().find(|(name, _)| *name == weight);
        assert_eq!(
            found.map(|(_, p)| p.shape()[0]),
            Some(7),
            "{name}: {weight}"
        );
        clear_pool();
    }
}

#[test]
fn features_and_head_make_the_whole() -> Result<()> {
    for (name, shape) in [
        ("cifar_resnet20", vec![2, 64, 8, 8]),
        ("densenet121", vec![2, 1024, 1, 1]),
        ("efficientnet_lite0", vec![2, 1280, 1, 1]),
    ] {
        let mut model = build(name, &Options::classes(3))?;
        model.eval();
        let x = noise([2, 3, 32, 32]);
        let features = model.features(&x)?;
        assert_eq!(features.dims(), shape, "{name}");
        let (a, b) = (model.classify(&features)?, model.forward(&x)?);
        assert_eq!(a.value().to_vec::<f32>()?, b.value().to_vec::<f32>()?);
        assert_eq!(b.dims(), [2, 3]);
    }
    Ok(())
}

#[test]
fn arguments_change_what_they_should() -> Result<()> {
    let size = |name: &str, options: Options| {
        build(name, &options.uninitialised()).map(|m| m.num_params())
    };
    // Sizes torchvision gives.
    for (name, options, expected) in [
        (
            "resnet50",
            Options::default()
                .with("groups", 2_usize)
                .with("width_per_group", 96_usize),
            83_916_328,
        ),
        (
            "mobilenet_v2",
            Options::default().with("width_mult", 0.35),
            1_677_128,
        ),
        (
            "mobilenet_v2",
            Options::default()
                .with("width_mult", 1.4)
                .with("round_nearest", 16_usize),
            6_106_600,
        ),
        (
            "mobilenet_v3_large",
            Options::default().with("width_mult", 0.75),
            3_377_576,
        ),
        (
            "mobilenet_v3_small",
            Options::default()
                .with("reduced_tail", true)
                .with("dilated", true),
            1_099_672,
        ),
        ("googlenet", Options::default(), 13_004_888),
        (
            "inception_v3",
            Options::default().with("aux_logits", false),
            23_834_568,
        ),
        (
            "vit_b_16",
            Options::default().with("image_size", 384_usize),
            86_859_496,
        ),
        (
            "vit_b_32",
            Options::default().with("representation_size", 64_usize),
            87_569_448,
        ),
    ] {
        assert_eq!(size(name, options)?, expected, "{name}");
    }
    // Dilated instead of stepping: the maps stay larger.
    let options = Options::classes(2).with("replace_stride_with_dilation", [false, true, true]);
    let x = noise([1, 3, 64, 64]);
    let maps = no_grad(|| build("resnet50", &options)?.features(&x))?;
    assert_eq!(maps.dims(), [1, 2048, 8, 8]);
    Ok(())
}

#[test]
fn auxiliary_heads_speak_in_training_only() -> Result<()> {
    let x = noise([2, 3, 75, 75]);
    for (name, heads) in [("googlenet", 2), ("inception_v3", 1), ("cifar_resnet20", 0)] {
        let mut model = build(name, &Options::classes(4).with_auxiliary(name))?;
        let x = if heads == 1 {
            noise([2, 3, 299, 299])
        } else {
            x.clone()
        };
        let (logits, auxiliary) = no_grad(|| model.forward_with_auxiliary(&x))?;
        assert_eq!(
            (logits.dims(), auxiliary.len()),
            ([2, 4].as_slice(), heads),
            "{name}"
        );
        assert!(auxiliary.iter().all(|a| a.dims() == [2, 4]));
        model.eval();
        assert!(no_grad(|| model.forward_with_auxiliary(&x))?.1.is_empty());
    }
    Ok(())
}

#[test]
fn first_weights_have_the_deviations_of_the_recipes() -> Result<()> {
    manual_seed(5);
    let deviation = |model: &Classifier, name: &str| -> f64 {
        let state = model.state_dict();
        let x = state[name].to_dtype(DType::F64).unwrap();
        x.std(.., 0.0, false).unwrap().item::<f64>().unwrap()
    };
    let (resnet, options) = (
        build("resnet18", &Options::classes(1000))?,
        Options::default(),
    );
    for (model, name, expected) in [
        (
            &resnet,
            "layer4.1.conv2.weight",
            (2.0_f64 / (512.0 * 9.0)).sqrt(),
        ),
        (&resnet, "fc.weight", (1.0_f64 / 512.0 / 3.0).sqrt()),
        (
            &build("densenet121", &options)?,
            "features.conv0.weight",
            (2.0_f64 / 147.0).sqrt(),
        ),
        (
            &build("mobilenet_v2", &options)?,
            "classifier.1.weight",
            0.01,
        ),
        (
            &build("efficientnet_b0", &options)?,
            "classifier.1.weight",
            1.0 / 3000.0_f64.sqrt(),
        ),
        (&build("googlenet", &options)?, "aux1.fc1.weight", 0.01),
        (
            &build("squeezenet1_1", &options)?,
            "classifier.1.weight",
            0.01,
        ),
        (
            &build("convnext_tiny", &options)?,
            "features.1.0.block.3.weight",
            0.02,
        ),
        (
            &build("mnasnet0_5", &options)?,
            "classifier.1.weight",
            1.0 / 1000.0_f64.sqrt(),
        ),
    ] {
        let got = deviation(model, name);
        assert!(
            (got / expected - 1.0).abs() < 0.03,
            "{name}: {got}, expected {expected}"
        );
    }
    assert_eq!(
        deviation(&build("mobilenet_v2", &options)?, "classifier.1.bias"),
        0.0
    );
    let silent = build(
        "resnet18",
        &Options::classes(2).with("zero_init_residual", true),
    )?;
    assert_eq!(
        silent.state_dict()["layer1.0.bn2.weight"].to_vec::<f32>()?,
        [0.0; 64]
    );
    let vit = build("vit_b_16", &Options::classes(2).with("num_layers", 1_usize))?;
    assert_eq!(
        vit.state_dict()["heads.head.weight"].to_vec::<f32>()?,
        [0.0; 2 * 768]
    );
    let position = deviation(&vit, "encoder.pos_embedding");
    assert!((position / 0.02 - 1.0).abs() < 0.03, "{position}");
    Ok(())
}

#[test]
fn what_cannot_be_built_or_run_is_an_error_that_helps() {
    let refused = |name: &str, options: Options| build(name, &options).err().unwrap().to_string();
    let text = refused("resnet19", Options::default());
    assert!(
        text.starts_with("there is no model \"resnet19\"; there are: alexnet, vgg11, "),
        "{text}"
    );
    assert!(text.contains("resnet18") && text.contains("vit_h_14"));
    for (name, options, expected) in [
        ("alexnet", Options::classes(0), "num_classes is 0"),
        (
            "alexnet",
            Options::default().with("dropout", 2.0),
            "dropout is 2; it must be a probability",
        ),
        (
            "vgg11",
            Options::default().with("depth", 2.0),
            "takes no argument depth; it takes: num_classes, dropout",
        ),
        (
            "resnet18",
            Options::default().with("groups", 2_usize),
            "networks of bottlenecks",
        ),
        (
            "vit_b_16",
            Options::default().with("image_size", 100_usize),
            "does not divide into patches of 16",
        ),
        (
            "vit_b_16",
            Options::default().with("num_heads", 7_usize),
            "7 heads",
        ),
        (
            "mnasnet1_0",
            Options::default().with("alpha", -1.0),
            "alpha is -1",
        ),
        (
            "densenet121",
            Options::default().with("block_config", [6_usize, 12]),
            "4 whole numbers",
        ),
    ] {
        let text = refused(name, options.uninitialised());
        assert!(text.contains(expected), "{name}: {text}");
    }
    // A class for each byte there could be: no memory holds it.
    assert!(build("resnet18", &Options::classes(usize::MAX).uninitialised()).is_err());

    let fails = |name: &str, shape: &[usize]| {
        let x = Var::from(Tensor::zeros(shape, DType::F32).unwrap());
        empty(name).forward(&x).unwrap_err().to_string()
    };
    let text = fails("resnet18", &[1, 1, 64, 64]);
    assert!(text.starts_with("conv1: conv2d: "), "{text}");
    assert!(fails("vit_b_16", &[1, 3, 64, 64]).contains("give image_size when it is built"));
    assert!(fails("vit_b_16", &[3]).contains("(B, 3, 224, 224)"));
    for (name, shape) in [
        ("alexnet", vec![1, 3, 16, 16]),
        ("vgg11", vec![1, 3, 8, 8]),
        ("inception_v3", vec![2, 3, 32, 32]),
        ("cifar_resnet20", vec![0]),
        ("efficientnet_lite0", vec![5]),
        ("shufflenet_v2_x0_5", vec![1, 2, 3]),
        ("convnext_tiny", vec![1, 3, 2, 2]),
        ("densenet121", vec![1, 3, 4, 4]),
    ] {
        assert!(!fails(name, &shape).is_empty());
    }
}

/// Small conveniences of these tests.
trait Auxiliary {
    fn with_auxiliary(self, name: &str) -> Self;
}

impl Auxiliary for Options {
    /// With auxiliary heads where the network has any.
    fn with_auxiliary(self, name: &str) -> Self {
        if name.starts_with("cifar") {
            self
        } else {
            self.with("aux_logits", true)
        }
    }
}
