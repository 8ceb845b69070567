//! Initialisers: bounds, moments and structure; the same numbers in any dtype; refusals.

use gradus_nn::init::{self, Fan, Nonlinearity};
use gradus_nn::{
    BatchNorm2d, Conv2d, ConvTranspose2d, Embedding, LSTM, LayerNorm, Linear, Module,
    MultiheadAttention, PReLU,
};
use gradus_tensor::random::{manual_seed, with_default};
use gradus_tensor::{DType, Result, Tensor};

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec::<f64>()
        .unwrap()
}

/// Mean and standard deviation.
fn moments(x: &[f64]) -> (f64, f64) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (
        mean,
        (x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64).sqrt(),
    )
}

#[track_caller]
fn near(actual: f64, expected: f64, tolerance: f64) {
    assert!(
        (actual - expected).abs() <= tolerance,
        "{actual} is not {expected} ± {tolerance}"
    );
}

#[test]
fn uniform_and_normal_have_their_moments() -> Result<()> {
    let x = numbers(&init::uniform([100, 1000], -2.0, 4.0, DType::F32)?);
    let (mean, std) = moments(&x);
    near(mean, 1.0, 0.02);
    near(std, 6.0 / 12.0_f64.sqrt(), 0.02);
    assert!(x.iter().all(|x| (-2.0..=4.0).contains(x)));
    let (mean, std) = moments(&numbers(&init::normal([100, 1000], 3.0, 0.5, DType::F64)?));
    near(mean, 3.0, 0.01);
    near(std, 0.5, 0.01);
    Ok(())
}

#[test]
fn truncated_normals_stay_inside_and_have_their_shape() -> Result<()> {
    // Mean and deviation by Φ and φ: one case for each way of drawing.
    for (low, high, mean, std) in [
        (-2.0, 2.0, 0.0, 0.879_626),       // narrow: uniform tries
        (-0.5, 8.0, 0.509_160, 0.697_256), // wide around the peak: normal tries
        (2.0, 9.0, 2.373_216, 0.338_052),  // a tail: exponential tries
        (-9.0, -2.0, -2.373_216, 0.338_052),
    ] {
        let x = numbers(&init::trunc_normal(
            [100, 1000],
            0.0,
            1.0,
            low,
            high,
            DType::F64,
        )?);
        assert!(x.iter().all(|x| (low..=high).contains(x)));
        let (m, s) = moments(&x);
        near(m, mean, 0.01);
        near(s, std, 0.01);
    }
    Ok(())
}

#[test]
fn fans_and_gains_set_the_spread() -> Result<()> {
    let shape = [64, 32, 3, 3]; // fan in 288, fan out 576
    assert_eq!(init::fans(shape)?, (288, 576));
    let std = |x: Result<Tensor>| x.map(|x| moments(&numbers(&x)).1);
    near(
        std(init::xavier_uniform(shape, 2.0, DType::F32))?,
        2.0 * (2.0 / 864.0_f64).sqrt(),
        1e-3,
    );
    near(
        std(init::xavier_normal(shape, 1.0, DType::F32))?,
        (2.0 / 864.0_f64).sqrt(),
        1e-3,
    );
    near(
        std(init::kaiming_uniform(
            shape,
            Fan::In,
            Nonlinearity::ReLU,
            DType::F32,
        ))?,
        (2.0 / 288.0_f64).sqrt(),
        1e-3,
    );
    near(
        std(init::kaiming_normal(
            shape,
            Fan::Out,
            Nonlinearity::Tanh,
            DType::F32,
        ))?,
        5.0 / 3.0 / 24.0,
        1e-3,
    );
    // PyTorch's default for linear layers, said in two ways.
    let x = numbers(&init::kaiming_uniform(
        [50, 100],
        Fan::In,
        Nonlinearity::LeakyReLU(5.0_f64.sqrt()),
        DType::F32,
    )?);
    near(x.iter().fold(0.0, |m: f64, x| m.max(x.abs())), 0.1, 1e-3);
    let layer = Linear::new(100, 50)?;
    for param in [&layer.weight, layer.bias.as_ref().unwrap()] {
        let x = numbers(param.data());
        assert!(x.iter().all(|x| x.abs() <= 0.1));
        near(moments(&x).1, 0.1 / 3.0_f64.sqrt(), 0.015);
    }
    Ok(())
}

#[test]
fn structured_initialisers_have_their_structure() -> Result<()> {
    assert_eq!(
        numbers(&init::eye([2, 3], DType::F32)?),
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    );
    let dirac = numbers(&init::dirac([4, 2, 3], 2, DType::F32)?); // channels 0, 1 and again 0, 1
    let ones: Vec<usize> = (0..24).filter(|&i| dirac[i] == 1.0).collect();
    assert_eq!(ones, [1, 10, 13, 22]);
    for (rows, columns) in [(5, 9), (9, 5), (4, 4)] {
        let x = numbers(&init::orthogonal([rows, columns], 2.0, DType::F64)?);
        let short = rows.min(columns);
        let at = |i: usize, k: usize| {
            if rows <= columns {
                x[i * columns + k]
            } else {
                x[k * columns + i]
            }
        };
        for (i, j) in (0..short).flat_map(|i| (0..short).map(move |j| (i, j))) {
            let dot: f64 = (0..rows.max(columns)).map(|k| at(i, k) * at(j, k)).sum();
            near(dot, if i == j { 4.0 } else { 0.0 }, 1e-12);
        }
    }
    let x = numbers(&init::sparse([10, 7], 0.25, 1.0, DType::F32)?);
    for column in 0..7 {
        assert_eq!((0..10).filter(|row| x[row * 7 + column] == 0.0).count(), 3);
    }
    Ok(())
}

#[test]
fn one_seed_gives_one_model_in_any_dtype() -> Result<()> {
    manual_seed(7);
    let wide = init::normal([33], 0.0, 1.0, DType::F64)?;
    manual_seed(7);
    let single = init::normal([33], 0.0, 1.0, DType::F32)?;
    assert_eq!(
        wide.to_dtype(DType::F32)?.to_vec::<f32>()?,
        single.to_vec::<f32>()?
    );
    let next = init::normal([33], 0.0, 1.0, DType::F32)?;
    assert_ne!(next.to_vec::<f32>()?, single.to_vec::<f32>()?);
    Ok(())
}

#[test]
fn nonsense_is_refused() {
    for result in [
        init::uniform([2], 1.0, -1.0, DType::F32),
        init::uniform([2], f64::NAN, 1.0, DType::F32),
        init::uniform([2], 0.0, 1.0, DType::I64),
        init::normal([2], 0.0, -1.0, DType::F32),
        init::trunc_normal([2], 0.0, 1.0, 40.0, 41.0, DType::F32),
        init::trunc_normal([2], 0.0, 1.0, 2.0, -2.0, DType::F32),
        init::xavier_uniform([2], 1.0, DType::F32),
        init::eye([2], DType::F32),
        init::dirac([3, 1, 1], 2, DType::F32),
        init::orthogonal([3], 1.0, DType::F32),
        init::orthogonal([usize::MAX, 2, 2], 1.0, DType::F32),
        init::kaiming_normal(
            [usize::MAX, usize::MAX, 2],
            Fan::In,
            Nonlinearity::ReLU,
            DType::F32,
        ),
        init::sparse([3, 3], 2.0, 1.0, DType::F32),
    ] {
        assert!(result.is_err());
    }
}

/// Bound (or standard deviation, for normals) of every parameter of each layer, as PyTorch's `reset_parameters` has it.
#[test]
fn every_layer_starts_as_pytorchs_does() -> Result<()> {
    let padded = Embedding::with_padding(400, 50, 3)?;
    assert!(
        numbers(&padded.weight.data().narrow(0, 3, 1)?)
            .iter()
            .all(|&x| x == 0.0)
    );
    let layers: Vec<(Box<dyn Module>, Vec<(&str, f64)>)> = vec![
        (
            Box::new(Linear::new(400, 50)?),
            vec![("weight", 0.05), ("bias", 0.05)],
        ),
        (
            Box::new(Conv2d::builder(16, 32, 5).groups(4).build()?),
            vec![("weight", 0.1), ("bias", 0.1)],
        ), // fan in 4 * 25
        (
            Box::new(ConvTranspose2d::builder(32, 16, 5).groups(4).build()?),
            vec![("weight", 0.1), ("bias", 0.1)],
        ), // counted by out / groups
        (
            Box::new(LSTM::new(7, 64)?),
            vec![
                ("weight_ih_l0", 0.125),
                ("weight_hh_l0", 0.125),
                ("bias_ih_l0", 0.125),
                ("bias_hh_l0", 0.125),
            ],
        ),
        (
            Box::new(MultiheadAttention::new(64, 4)?),
            vec![
                ("in_proj_weight", (6.0_f64 / 256.0).sqrt()),
                ("in_proj_bias", 0.0),
                ("out_proj.weight", 0.125),
                ("out_proj.bias", 0.0),
            ],
        ),
    ];
    for (layer, bounds) in layers {
        let state = layer.state_dict();
        assert_eq!(state.len(), bounds.len());
        for (name, bound) in bounds {
            let x = numbers(&state[name]);
            let largest = x.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            assert!(largest <= bound, "{name}: {largest} is beyond {bound}");
            assert!(
                largest >= 0.8 * bound,
                "{name}: {largest} is far within {bound}"
            );
            near(moments(&x).1, bound / 3.0_f64.sqrt(), 0.15 * bound);
        }
    }
    let (mean, std) = moments(&numbers(Embedding::new(400, 50)?.weight.data()));
    near(mean, 0.0, 0.03);
    near(std, 1.0, 0.03);
    let ones_and_zeros: [(Box<dyn Module>, &str, &str); 2] = [
        (Box::new(BatchNorm2d::new(3)?), "weight", "bias"),
        (Box::new(LayerNorm::new([3])?), "weight", "bias"),
    ];
    for (layer, ones, zeros) in ones_and_zeros {
        assert_eq!(
            (
                numbers(&layer.state_dict()[ones]),
                numbers(&layer.state_dict()[zeros])
            ),
            (vec![1.0; 3], vec![0.0; 3])
        );
    }
    assert_eq!(numbers(PReLU::new(2)?.weight.data()), [0.25, 0.25]);
    Ok(())
}

#[test]
fn large_weights_are_drawn_in_pieces_of_the_same_stream() -> Result<()> {
    // More than two pieces, the last one of an odd size.
    let shape = [7, 87_381];
    let mut whole = vec![0.0; 7 * 87_381];
    manual_seed(11);
    let x = init::normal(shape, 3.0, 2.0, DType::F64)?;
    manual_seed(11);
    with_default(|rng| rng.fill_normal_f64(&mut whole));
    assert!(x.dims() == shape);
    assert!(
        numbers(&x)
            .iter()
            .zip(&whole)
            .all(|(x, z)| *x == 3.0 + 2.0 * z)
    );
    manual_seed(11);
    let x = init::uniform(shape, -1.0, 1.0, DType::F64)?;
    manual_seed(11);
    with_default(|rng| rng.fill_uniform_f64(&mut whole));
    assert!(
        numbers(&x)
            .iter()
            .zip(&whole)
            .all(|(x, u)| *x == -1.0 + 2.0 * u)
    );
    Ok(())
}
