//! Explanations against what is known of the model: exact shares of linear ones, completeness, derivatives by differences, maps by hand.

use gradus_autograd::{Var, no_grad};
use gradus_nn::{Conv2d, Flatten, Layer, Linear, Module, ReLU, Sequential, Tanh};
use gradus_tensor::random::{Rng, manual_seed};
use gradus_tensor::{DType, Result, Tensor};
use gradus_vision::explain::{grad_cam, integrated_gradients, saliency};
use gradus_vision::models::{Options, SMALL, build, digit_model};

fn noise(shape: &[usize], seed: u64) -> Tensor {
    Tensor::randn(shape, DType::F64, &mut Rng::new(seed)).unwrap()
}

/// A smooth network on images (2, 6, 6) in f64.
fn smooth() -> Sequential {
    manual_seed(3);
    let mut model = Sequential::new()
        .then_named("conv", Conv2d::new(2, 4, 3).unwrap())
        .then(Tanh)
        .then(Flatten::new())
        .then(Linear::new(4 * 4 * 4, 3).unwrap());
    model.to_dtype(DType::F64).unwrap();
    model.eval();
    model
}

fn score(model: &dyn Layer, image: &Tensor, class: usize) -> f64 {
    let x = Var::from(image.unsqueeze(0).unwrap());
    let y = no_grad(|| model.forward(&x)).unwrap();
    y.value()
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec::<f64>()
        .unwrap()[class]
}

fn values(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap()
}

#[test]
fn shares_of_a_linear_model_are_its_weights_times_the_way() -> Result<()> {
    let mut model = Sequential::new()
        .then(Flatten::new())
        .then_named("fc", Linear::new(12, 3)?);
    model.to_dtype(DType::F64)?;
    let (image, baseline) = (noise(&[3, 2, 2], 1), noise(&[3, 2, 2], 2));
    let parts = integrated_gradients(&model, &image, &baseline, 1, 3)?;
    let weight = model.state_dict()["fc.weight"].select(0, 1)?; // (12)
    let exact = values(&weight.mul(&image.sub(&baseline)?.reshape([12])?)?);
    for (got, want) in values(&parts.shares).into_iter().zip(exact) {
        assert!((got - want).abs() < 1e-12, "{got} {want}");
    }
    assert!(parts.error() < 1e-12);
    assert_eq!(parts.pixels()?.dims(), [2, 2]);
    Ok(())
}

#[test]
fn shares_add_up_to_the_gain() -> Result<()> {
    let model = smooth();
    let (image, baseline) = (noise(&[2, 6, 6], 1), noise(&[2, 6, 6], 2));
    let parts = integrated_gradients(&model, &image, &baseline, 2, 200)?;
    let gain = score(&model, &image, 2) - score(&model, &baseline, 2);
    assert!((parts.gain - gain).abs() < 1e-12);
    assert!((parts.sum - values(&parts.shares).iter().sum::<f64>()).abs() < 1e-12);
    assert!(parts.error() < 2e-3, "{parts:?}");
    let coarse = integrated_gradients(&model, &image, &baseline, 2, 1)?.error();
    assert!(parts.error() < coarse / 10.0, "{coarse} {}", parts.error());

    // With kinks and norms: the network of the registry, in f32.
    manual_seed(1);
    let mut model = build("cifar_resnet20", &Options::default())?;
    model.eval();
    let image = noise(&[3, 32, 32], 5).to_dtype(DType::F32)?;
    let black = Tensor::zeros([3, 32, 32], DType::F32)?;
    let parts = integrated_gradients(&model, &image, &black, 7, 128)?;
    let gain = score(&model, &image, 7) - score(&model, &black, 7);
    assert!((parts.gain - gain).abs() < 1e-4 * gain.abs().max(1.0));
    assert!(parts.error() < 0.02, "{} of {}", parts.sum, parts.gain);
    Ok(())
}

/// A score that jumps up where the way is an eighth done: steps of one length would miss it, halving finds it.
#[test]
fn the_way_is_halved_where_the_score_jumps() -> Result<()> {
    let mut model = Sequential::new()
        .then(Flatten::new())
        .then_named("up", Linear::new(4, 2)?)
        .then(Tanh)
        .then_named("sum", Linear::new(2, 1)?);
    model.to_dtype(DType::F64)?;
    let mut state = model.state_dict();
    for (name, tensor) in &mut state {
        let value = match name.as_str() {
            "up.weight" => 2000.0,
            "up.bias" => -1000.0,
            _ => 1.0,
        };
        *tensor = Tensor::full(tensor.dims(), value, DType::F64)?;
    }
    model.load_state_dict(&state, true)?;
    let image = Tensor::ones([1, 2, 2], DType::F64)?;
    let parts = integrated_gradients(
        &model,
        &image,
        &Tensor::zeros([1, 2, 2], DType::F64)?,
        0,
        128,
    )?;
    assert!((parts.gain - 4.0).abs() < 1e-9, "{}", parts.gain);
    assert!(parts.error() < 0.02, "{} of {}", parts.sum, parts.gain);
    Ok(())
}

#[test]
fn saliency_is_the_largest_derivative_of_a_pixel() -> Result<()> {
    let (model, image) = (smooth(), noise(&[2, 6, 6], 4));
    let map = values(&saliency(&model, &image, 0)?);
    let (flat, step) = (values(&image), 1e-5);
    for pixel in [0, 7, 20, 35] {
        let derivative = |channel: usize| {
            let at = |change: f64| {
                let mut moved = flat.clone();
                moved[channel * 36 + pixel] += change;
                score(&model, &Tensor::from_slice(&moved, [2, 6, 6]).unwrap(), 0)
            };
            ((at(step) - at(-step)) / (2.0 * step)).abs()
        };
        let largest = derivative(0).max(derivative(1));
        assert!(
            (map[pixel] - largest).abs() < 1e-7,
            "{} {largest}",
            map[pixel]
        );
    }
    Ok(())
}

#[test]
fn a_cam_is_the_maps_weighted_by_their_mean_gradients() -> Result<()> {
    let (model, image) = (smooth(), noise(&[2, 6, 6], 4));
    let cam = grad_cam(&model, &image, 1, Some("1"))?;
    let (maps, weight) = {
        let x = Var::from(image.unsqueeze(0)?);
        let (_, outputs) = gradus_nn::record(|| model.forward(&x));
        (
            outputs[1].1.value().squeeze(0)?,
            model.state_dict()["3.weight"].select(0, 1)?,
        )
    };
    // The score is linear in these maps: the gradient is the weight itself.
    let means = weight
        .reshape([4, 16])?
        .mean(1, false)?
        .reshape([4, 1, 1])?;
    let by_hand = maps.mul(&means)?.sum(0, false)?.relu()?; // (4, 4)
    for (got, want) in values(&cam.map).into_iter().zip(values(&by_hand)) {
        assert!((got - want).abs() < 1e-12);
    }
    assert_eq!(grad_cam(&model, &image, 1, None)?.layer, "1"); // the last with places
    Ok(())
}

/// A detector that looks for brightness: the map is where the bright patch is.
#[test]
fn a_cam_lights_up_where_the_evidence_is() -> Result<()> {
    let conv = Conv2d::builder(1, 1, 3).padding(1).build()?;
    let mut model = Sequential::new().then(conv).then(ReLU).then(Flatten::new());
    model = model.then_named("fc", Linear::new(64, 2)?);
    let mut state = model.state_dict();
    for (name, tensor) in &mut state {
        *tensor = match name.as_str() {
            "0.bias" => Tensor::full([1], -4.0, DType::F32)?,
            "fc.bias" => Tensor::zeros([2], DType::F32)?,
            _ => Tensor::ones(tensor.dims(), DType::F32)?,
        };
    }
    model.load_state_dict(&state, true)?;
    let mut pixels = [0.0f32; 64];
    for (y, x) in [(1, 5), (1, 6), (2, 5), (2, 6), (1, 4), (2, 4)] {
        pixels[8 * y + x] = 1.0;
    }
    let cam = grad_cam(&model, &Tensor::from_slice(&pixels, [1, 8, 8])?, 0, None)?;
    let map = values(&cam.map);
    let brightest = (0..64).max_by(|&a, &b| map[a].total_cmp(&map[b])).unwrap();
    assert!([13, 21].contains(&brightest), "{brightest}: {map:?}");
    assert!(map[40..].iter().all(|&v| v == 0.0));
    Ok(())
}

/// One network of each family, small: a layer is found by itself, and its map is neither empty nor one value everywhere.
#[test]
fn every_family_has_a_layer_to_look_at() -> Result<()> {
    let small_vit = Options::classes(5)
        .with("image_size", 64_usize)
        .with("patch_size", 16_usize)
        .with("num_layers", 2_usize)
        .with("num_heads", 2_usize)
        .with("hidden_dim", 32_usize)
        .with("mlp_dim", 32_usize);
    for (name, layer, options) in [
        ("resnet18", "layer4", Options::classes(5)),
        ("cifar_resnet20", "layer3", Options::classes(5)),
        ("mobilenet_v3_small", "features", Options::classes(5)),
        ("efficientnet_lite0", "relu1", Options::classes(5)),
        ("densenet121", "relu", Options::classes(5)),
        ("vit_b_16", "encoder.layers.encoder_layer_0", small_vit),
    ] {
        manual_seed(2);
        let mut model = build(name, &options)?;
        model.eval();
        // A vision transformer's head begins with zeros, through which no gradient comes.
        let head = format!("{}.weight", model.head_name());
        for (name, weight) in model.named_parameters_mut() {
            if name == head {
                weight.set(noise(weight.shape(), 4).to_dtype(DType::F32)?)?;
            }
        }
        let image = noise(&[3, 64, 64], 9).to_dtype(DType::F32)?;
        let cam = grad_cam(&model, &image, 0, None)?;
        assert!(cam.layer.ends_with(layer), "{name}: {}", cam.layer);
        let map = values(&cam.map);
        let largest = map.iter().copied().fold(0.0, f64::max);
        assert!(largest.is_finite(), "{name}: {map:?}");
    }
    let mut model = digit_model(SMALL)?;
    model.eval();
    let image = noise(&[1, 28, 28], 9).to_dtype(DType::F32)?;
    let cam = grad_cam(&model, &image, 0, None)?;
    assert_eq!((cam.layer.as_str(), cam.map.dims()), ("bn2", &[7, 7][..]));
    Ok(())
}

#[test]
fn mistakes_are_errors() -> Result<()> {
    let (model, image) = (smooth(), noise(&[2, 6, 6], 4));
    let black = Tensor::zeros([2, 6, 6], DType::F64)?;
    let text = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert!(text(saliency(&model, &image, 3)).contains("no class 3; the model has 3"));
    assert!(text(saliency(&model, &image.unsqueeze(0)?, 0)).contains("(C, H, W)"));
    assert!(saliency(&model, &noise(&[3, 6, 6], 1), 0).is_err());
    let cam = |layer| grad_cam(&model, &image, 0, layer).map(|cam| cam.map);
    assert!(text(cam(Some("layer4"))).contains("there are: conv, 1"));
    let parts = |baseline: &Tensor, steps| {
        integrated_gradients(&model, &image, baseline, 0, steps).map(|parts| parts.shares)
    };
    assert!(text(parts(&black.narrow(2, 0, 3)?, 8)).contains("[2,6,3]"));
    assert!(text(parts(&black, 0)).contains("0 steps"));
    Ok(())
}
