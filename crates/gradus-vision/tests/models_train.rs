//! Every family learns: each parameter gets a gradient that is not zero, and one batch is learnt by heart.

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nn::Module;
use gradus_nn::optim::{Adam, Optimizer};
use gradus_tensor::random::{Rng, manual_seed};
use gradus_tensor::{DType, Result, Tensor};
use gradus_vision::models::{Classifier, Options, build};

const BATCH: usize = 4;

/// The sum of the losses of the logits and, less, of those of the auxiliary heads.
fn loss(model: &Classifier, x: &Var, labels: &Tensor) -> Result<Var> {
    let (logits, auxiliary) = model.forward_with_auxiliary(x)?;
    let mut loss = cross_entropy(&logits, labels, &CrossEntropy::default())?;
    for logits in auxiliary {
        let more = cross_entropy(&logits, labels, &CrossEntropy::default())?;
        loss = loss.add(&more.mul_scalar(0.3)?)?;
    }
    Ok(loss)
}

/// Learns four images of noise and their classes, at most in 60 steps.
fn learns(name: &str, size: usize, lr: f64, options: Options) {
    manual_seed(1);
    let mut model = build(name, &options).unwrap();
    // SqueezeNet ends in a ReLU: a class whose logits all start below 0 is never heard of again, so start above.
    for (parameter, param) in model.named_parameters_mut() {
        if name.starts_with("squeezenet") && parameter == "classifier.1.bias" {
            param.set(Tensor::ones([4], DType::F32).unwrap()).unwrap();
        }
    }
    let x = Tensor::randn([BATCH, 3, size, size], DType::F32, &mut Rng::new(3)).unwrap();
    let (x, labels) = (
        Var::from(x),
        Tensor::from_slice(&[0_i64, 1, 2, 3], [BATCH]).unwrap(),
    );
    let mut optimizer = Adam::new(lr);
    let mut losses = Vec::new();
    for step in 0..60 {
        let loss = loss(&model, &x, &labels).unwrap();
        losses.push(loss.item::<f32>().unwrap());
        let gradients = loss.backward_once().unwrap();
        // The vision transformer's head starts as zeros and lets nothing through at first.
        if step == 1 {
            for (parameter, param) in model.named_parameters() {
                let gradient = gradients
                    .get(param.var())
                    .unwrap_or_else(|| panic!("{name}: none for {parameter}"));
                let numbers = gradient.to_vec::<f32>().unwrap();
                assert!(
                    numbers.iter().all(|g| g.is_finite()),
                    "{name}: {parameter} is not finite"
                );
                assert!(
                    numbers.iter().any(|&g| g != 0.0),
                    "{name}: {parameter} is zero"
                );
            }
        }
        optimizer.step(&mut model, &gradients).unwrap();
        if step > 1 && losses[step] < 0.1 * losses[0] {
            return;
        }
    }
    panic!("{name} did not learn: {losses:?}");
}

/// A test for each: name, size of the images, learning rate, arguments.
macro_rules! learn {
    ($($name:ident $size:literal $lr:literal $([$($argument:ident $value:expr),*])?;)*) => {$(
        #[test]
        fn $name() {
            let options = Options::classes(4)$($(.with(stringify!($argument), $value))*)?;
            learns(stringify!($name), $size, $lr, options);
        }
    )*};
}

learn! {
    alexnet 64 0.0001 [dropout 0.0];
    vgg11 32 0.0001 [dropout 0.0];
    resnet18 48 0.001;
    resnext50_32x4d 48 0.001;
    cifar_resnet20 16 0.01;
    squeezenet1_1 64 0.0003 [dropout 0.0];
    densenet121 48 0.001;
    googlenet 64 0.001 [dropout 0.0, dropout_aux 0.0];
    inception_v3 75 0.001 [dropout 0.0, aux_logits false];
    mobilenet_v2 64 0.001 [dropout 0.0];
    mobilenet_v3_small 64 0.001 [dropout 0.0];
    shufflenet_v2_x0_5 64 0.001;
    mnasnet0_5 64 0.001 [dropout 0.0];
    efficientnet_b0 64 0.001 [dropout 0.0, stochastic_depth_prob 0.0];
    efficientnet_lite0 64 0.001 [dropout 0.0, drop_connect_rate 0.0];
    regnet_x_400mf 64 0.001;
    regnet_y_400mf 64 0.001;
    convnext_tiny 32 0.0003 [stochastic_depth_prob 0.0];
    vit_b_16 32 0.001 [image_size 32_usize, patch_size 8_usize, num_layers 2_usize, num_heads 4_usize, hidden_dim 64_usize, mlp_dim 128_usize];
}
