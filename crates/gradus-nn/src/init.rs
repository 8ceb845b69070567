//! Initialisers: PyTorch's `torch.nn.init`, each giving a new tensor. They draw from this thread's default generator
//! (`gradus_tensor::random::manual_seed` seeds it), always in f64 and rounded once, so one seed gives one model in any dtype.
//! They are not PyTorch's numbers for a seed: for these fill a tensor from `gradus_tensor::random::TorchRng`.
//!
//! ```
//! use gradus_nn::{Linear, init};
//! use gradus_tensor::DType;
//! # fn main() -> gradus_tensor::Result<()> {
//! let mut layer = Linear::new(64, 32)?;
//! layer.weight.set(init::xavier_uniform([32, 64], 1.0, DType::F32)?)?;
//! layer.bias.as_mut().unwrap().set(init::zeros([32], DType::F32)?)?;
//! # Ok(())
//! # }
//! ```

use gradus_tensor::random::with_default;
use gradus_tensor::{DType, Error, Options, Result, Shape, Tensor};

mod draw;
mod skip;

use draw::{draw, draw_pieces, write};
pub use skip::skip;

/// Every element `value`.
pub fn constant(
    shape: impl Into<Shape>,
    value: f64,
    options: impl Into<Options>,
) -> Result<Tensor> {
    Tensor::full(shape, value, options)
}

/// Every element 0.
pub fn zeros(shape: impl Into<Shape>, options: impl Into<Options>) -> Result<Tensor> {
    Tensor::zeros(shape, options)
}

/// Every element 1.
pub fn ones(shape: impl Into<Shape>, options: impl Into<Options>) -> Result<Tensor> {
    Tensor::ones(shape, options)
}

/// Uniform in [`low`, `high`).
///
/// # Errors
/// When a bound is not finite or `low > high`.
pub fn uniform(
    shape: impl Into<Shape>,
    low: f64,
    high: f64,
    options: impl Into<Options>,
) -> Result<Tensor> {
    if !(low <= high && (high - low).is_finite()) {
        return Err(Error::value(
            "init::uniform",
            format!("no numbers lie in [{low}, {high})"),
        ));
    }
    draw_pieces("init::uniform", shape, options, |_, x| {
        with_default(|rng| rng.fill_uniform_f64(x));
        for x in x {
            *x = low + (high - low) * *x;
        }
    })
}

/// Normal with this mean and standard deviation.
///
/// # Errors
/// When `std` is negative or one of the two is not finite.
pub fn normal(
    shape: impl Into<Shape>,
    mean: f64,
    std: f64,
    options: impl Into<Options>,
) -> Result<Tensor> {
    if !(std >= 0.0 && std.is_finite() && mean.is_finite()) {
        return Err(Error::value(
            "init::normal",
            format!("mean {mean} and standard deviation {std} make no distribution"),
        ));
    }
    draw_pieces("init::normal", shape, options, |_, x| {
        with_default(|rng| rng.fill_normal_f64(x));
        for x in x {
            *x = mean + std * *x;
        }
    })
}

/// Normal, of which only what lies in [`low`, `high`] is drawn. PyTorch's defaults are mean 0, std 1, from -2 to 2;
/// the bounds are values, not multiples of `std`.
///
/// # Errors
/// When the bounds are out of order, or hold nothing of the distribution (more than 30 deviations away), or `std` is not positive.
pub fn trunc_normal(
    shape: impl Into<Shape>,
    mean: f64,
    std: f64,
    low: f64,
    high: f64,
    options: impl Into<Options>,
) -> Result<Tensor> {
    let (a, b) = ((low - mean) / std, (high - mean) / std);
    if !(std > 0.0 && std.is_finite() && a < b && a < 30.0 && b > -30.0) {
        let message = format!(
            "nothing of the normal with mean {mean}, deviation {std} lies in [{low}, {high}]"
        );
        return Err(Error::value("init::trunc_normal", message));
    }
    draw_pieces("init::trunc_normal", shape, options, |_, x| {
        with_default(|rng| {
            for x in x {
                *x = mean + std * truncated(a, b, || rng.next_f64());
            }
        });
    })
}

/// A standard normal number in [a, b], by rejection (Robert 1995, arXiv:0907.4010).
fn truncated(a: f64, b: f64, mut uniform: impl FnMut() -> f64) -> f64 {
    if b <= 0.0 {
        return -truncated(-b, -a, uniform);
    }
    // Where the density is largest in the interval, so that a uniform try is kept with probability density / largest.
    let peak = if a <= 0.0 { 0.0 } else { a };
    if b - a <= 4.0 {
        loop {
            let x = a + (b - a) * uniform();
            if uniform() < ((peak * peak - x * x) / 2.0).exp() {
                return x;
            }
        }
    }
    if a <= 0.5 {
        loop {
            let (radius, angle) = (
                (-2.0 * (1.0 - uniform()).ln()).sqrt(),
                std::f64::consts::TAU * uniform(),
            );
            let x = radius * angle.cos();
            if (a..=b).contains(&x) {
                return x;
            }
        }
    }
    // A tail: an exponential from a, kept where it is under the normal.
    let rate = f64::midpoint(a, (a * a + 4.0).sqrt());
    loop {
        let x = a - (1.0 - uniform()).ln() / rate;
        if x <= b && uniform() < (-(x - rate) * (x - rate) / 2.0).exp() {
            return x;
        }
    }
}

/// The identity matrix, cut or padded with zeros to (rows, columns).
///
/// # Errors
/// When the shape is not of rank 2.
pub fn eye(shape: impl Into<Shape>, options: impl Into<Options>) -> Result<Tensor> {
    let shape = shape.into();
    let [_, columns] = shape[..] else {
        return Err(Error::shape(
            "init::eye",
            format!("{shape} is not a matrix"),
        ));
    };
    write("init::eye", shape, options, |i| {
        if i / columns == i % columns { 1.0 } else { 0.0 }
    })
}

/// A convolution's weight (out, in/groups, k...) that passes its input on: channel `i` of each group to channel `i`.
///
/// # Errors
/// When the rank is not 3, 4 or 5, or `out` is not a multiple of `groups`.
pub fn dirac(
    shape: impl Into<Shape>,
    groups: usize,
    options: impl Into<Options>,
) -> Result<Tensor> {
    let shape = shape.into();
    let dims = shape.to_vec();
    shape.numel()?;
    if !(3..=5).contains(&dims.len()) || groups == 0 || !dims[0].is_multiple_of(groups) {
        return Err(Error::shape(
            "init::dirac",
            format!("{shape} is not a convolution's weight in {groups} groups"),
        ));
    }
    let (per_group, inputs) = (dims[0] / groups, dims[1]);
    let kernel: usize = dims[2..].iter().product();
    let centre = dims[2..].iter().fold(0, |at, &k| at * k + k / 2);
    write("init::dirac", shape, options, |i| {
        let (out, input, at) = (i / (kernel * inputs), i / kernel % inputs, i % kernel);
        if out % per_group == input && at == centre {
            1.0
        } else {
            0.0
        }
    })
}

/// Xavier Glorot's uniform: variance `gain² · 2 / (fan_in + fan_out)`. Source: Glorot and Bengio 2010.
///
/// # Errors
/// When the shape has no fans (rank below 2).
pub fn xavier_uniform(
    shape: impl Into<Shape>,
    gain: f64,
    options: impl Into<Options>,
) -> Result<Tensor> {
    let shape = shape.into();
    let bound = xavier_std(&shape, gain)? * 3.0_f64.sqrt();
    uniform(shape, -bound, bound, options)
}

/// Xavier Glorot's normal.
///
/// # Errors
/// As [`xavier_uniform`].
pub fn xavier_normal(
    shape: impl Into<Shape>,
    gain: f64,
    options: impl Into<Options>,
) -> Result<Tensor> {
    let shape = shape.into();
    let std = xavier_std(&shape, gain)?;
    normal(shape, 0.0, std, options)
}

fn xavier_std(shape: &Shape, gain: f64) -> Result<f64> {
    let (fan_in, fan_out) = fans(shape)?;
    Ok(gain * (2.0 / (fan_in as f64 + fan_out as f64).max(1.0)).sqrt())
}

/// Which fan the Kaiming initialisers keep the variance along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fan {
    /// Of the activations, going forward.
    #[default]
    In,
    /// Of the gradients, going back.
    Out,
}

/// Kaiming He's uniform: variance `gain² / fan`. Source: He, Zhang, Ren and Sun 2015 (arXiv:1502.01852).
///
/// # Errors
/// When the shape has no fans (rank below 2).
pub fn kaiming_uniform(
    shape: impl Into<Shape>,
    fan: Fan,
    after: Nonlinearity,
    options: impl Into<Options>,
) -> Result<Tensor> {
    let shape = shape.into();
    let bound = kaiming_std(&shape, fan, after)? * 3.0_f64.sqrt();
    uniform(shape, -bound, bound, options)
}

/// Kaiming He's normal.
///
/// # Errors
/// As [`kaiming_uniform`].
pub fn kaiming_normal(
    shape: impl Into<Shape>,
    fan: Fan,
    after: Nonlinearity,
    options: impl Into<Options>,
) -> Result<Tensor> {
    let shape = shape.into();
    let std = kaiming_std(&shape, fan, after)?;
    normal(shape, 0.0, std, options)
}

fn kaiming_std(shape: &Shape, fan: Fan, after: Nonlinearity) -> Result<f64> {
    let (fan_in, fan_out) = fans(shape)?;
    let fan = if fan == Fan::In { fan_in } else { fan_out };
    Ok(calculate_gain(after) / (fan.max(1) as f64).sqrt())
}

/// What stands after the layer that is initialised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nonlinearity {
    /// Nothing, or a convolution.
    Linear,
    /// The logistic function.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// The rectifier.
    ReLU,
    /// The leaky rectifier, of this slope; `sqrt(5)` is what PyTorch's layers use by default.
    LeakyReLU(f64),
    /// The scaled exponential unit.
    SELU,
}

/// The gain that keeps the variance through a nonlinearity (`torch.nn.init.calculate_gain`).
///
/// ```
/// use gradus_nn::init::{Nonlinearity, calculate_gain};
/// assert_eq!(calculate_gain(Nonlinearity::ReLU), 2.0_f64.sqrt());
/// ```
pub fn calculate_gain(after: Nonlinearity) -> f64 {
    match after {
        Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
        Nonlinearity::Tanh => 5.0 / 3.0,
        Nonlinearity::ReLU => 2.0_f64.sqrt(),
        Nonlinearity::LeakyReLU(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
        Nonlinearity::SELU => 0.75,
    }
}

/// How many inputs each output of a weight (out, in, k...) has, and how many outputs each input.
///
/// # Errors
/// When the rank is below 2.
pub fn fans(shape: impl Into<Shape>) -> Result<(usize, usize)> {
    let shape = shape.into();
    let [outputs, inputs, kernel @ ..] = &shape[..] else {
        return Err(Error::shape(
            "init::fans",
            format!("{shape} has no fan-in and fan-out; these need two dimensions or more"),
        ));
    };
    // Saturating: a shape too large to exist is refused where its memory is asked for.
    let kernel = kernel
        .iter()
        .fold(1, |product: usize, &k| product.saturating_mul(k));
    Ok((
        inputs.saturating_mul(kernel),
        outputs.saturating_mul(kernel),
    ))
}

/// A matrix with orthonormal rows or columns (whichever are fewer), times `gain`; further dimensions count as columns.
/// Source: Saxe, McClelland and Ganguli 2013 (arXiv:1312.6120).
///
/// # Errors
/// When the rank is below 2.
pub fn orthogonal(
    shape: impl Into<Shape>,
    gain: f64,
    options: impl Into<Options>,
) -> Result<Tensor> {
    let shape = shape.into();
    if shape.len() < 2 {
        return Err(Error::shape(
            "init::orthogonal",
            format!("{shape} is not a matrix"),
        ));
    }
    shape.numel()?; // that of the whole does not overflow, so nor does that of the columns
    let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
    let (n, length) = (rows.min(columns), rows.max(columns));
    draw("init::orthogonal", shape, options, |y| {
        // n normal vectors, each made orthogonal to those before it (Gram and Schmidt, twice for accuracy).
        let mut vectors = vec![0.0; n * length];
        with_default(|rng| rng.fill_normal_f64(&mut vectors));
        for i in 0..n {
            let (before, rest) = vectors.split_at_mut(i * length);
            let v = &mut rest[..length];
            for u in before
                .chunks_exact(length)
                .chain(before.chunks_exact(length))
            {
                let along: f64 = u.iter().zip(v.iter()).map(|(u, v)| u * v).sum();
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
            }
            let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            for v in v {
                *v *= 1.0 / norm;
            }
        }
        for (i, y) in y.iter_mut().enumerate() {
            let (row, column) = (i / columns, i % columns);
            *y = gain
                * if rows <= columns {
                    vectors[row * length + column]
                } else {
                    vectors[column * length + row]
                };
        }
    })
}

/// A matrix (rows, columns) of normal numbers in which a share `sparsity` of each column is 0. Source: Martens 2010.
///
/// # Errors
/// When the shape is not of rank 2, or `sparsity` not in [0, 1].
pub fn sparse(
    shape: impl Into<Shape>,
    sparsity: f64,
    std: f64,
    options: impl Into<Options>,
) -> Result<Tensor> {
    let shape = shape.into();
    let [rows, columns] = shape[..] else {
        return Err(Error::shape(
            "init::sparse",
            format!("{shape} is not a matrix"),
        ));
    };
    if !(0.0..=1.0).contains(&sparsity) {
        return Err(Error::value(
            "init::sparse",
            format!("sparsity {sparsity} is not in [0, 1]"),
        ));
    }
    let zeros = (sparsity * rows as f64).ceil() as usize;
    draw("init::sparse", shape, options, |x| {
        with_default(|rng| {
            rng.fill_normal_f64(x);
            for x in x.iter_mut() {
                *x *= std;
            }
            for column in 0..columns {
                for &row in rng.permutation(rows).iter().take(zeros) {
                    x[row * columns + column] = 0.0;
                }
            }
        });
    })
}

/// The default of PyTorch's linear and convolution layers: uniform within `1/sqrt(fan_in)`, for weight and bias alike
/// (what `kaiming_uniform` gives with a leaky slope of `sqrt(5)`).
pub(crate) fn default_uniform(
    shape: impl Into<Shape>,
    fan_in: usize,
    dtype: DType,
) -> Result<Tensor> {
    let bound = if fan_in > 0 {
        1.0 / (fan_in as f64).sqrt()
    } else {
        0.0
    };
    uniform(shape, -bound, bound, dtype)
}
