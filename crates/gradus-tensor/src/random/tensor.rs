//! Random tensors from [`Rng`] (fast, parallel), as associated functions of [`Tensor`]. From PyTorch's generator: `torch_tensor.rs`.

use super::Rng;
use super::fill::Fill;
use crate::device::{Device, Options};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::CudaGraph;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// On its device, what was drawn on the host.
fn placed(op: &'static str, x: Tensor, device: &Device) -> Result<Tensor> {
    if *device != Device::Cpu {
        CudaGraph::refuse(op, "its numbers are drawn on the host")?;
    }
    x.to_device(device)
}

pub(super) fn not_float(op: &'static str, dtype: DType) -> Error {
    Error::dtype(op, format!("needs a float dtype, not {dtype}"))
}

/// From [`Rng`].
impl Tensor {
    /// Uniform in [0, 1). Any `shape`; a float dtype.
    ///
    /// ```
    /// use gradus_tensor::{DType, Tensor, random::Rng};
    /// let x = Tensor::rand([2, 3], DType::F32, &mut Rng::new(0))?;
    /// assert!(x.to_vec::<f32>()?.iter().all(|x| (0.0..1.0).contains(x)));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The dtype is not a float type, or the memory cannot be had.
    pub fn rand(
        shape: impl Into<Shape>,
        options: impl Into<Options>,
        rng: &mut Rng,
    ) -> Result<Tensor> {
        let options = options.into();
        options.device.check("rand")?;
        let x = dispatch!(float options.dtype, T => Tensor::build::<T>("rand", shape, |y| T::fill_uniform(rng, y)),
            else Err(not_float("rand", options.dtype)));
        placed("rand", x?, &options.device)
    }

    /// Uniform in [`low`, `high`).
    ///
    /// # Errors
    /// As [`Tensor::rand`], or the bounds are not finite.
    pub fn uniform(
        low: f64,
        high: f64,
        shape: impl Into<Shape>,
        options: impl Into<Options>,
        rng: &mut Rng,
    ) -> Result<Tensor> {
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(Error::value(
                "uniform",
                format!("[{low}, {high}) is not an interval"),
            ));
        }
        let options = options.into();
        options.device.check("uniform")?;
        let mut x = Tensor::rand(shape, options.dtype, rng).map_err(|e| e.in_op("uniform"))?;
        dispatch!(float x.dtype(), T => x.with_mut_slice::<T, _>(|y| {
            for y in y {
                let x = T::affine(*y, high - low, low);
                *y = if x == T::affine(T::default(), 0.0, high) { T::affine(T::default(), 0.0, low) } else { x };
            }
        })?, else ());
        placed("uniform", x, &options.device)
    }

    /// Standard normal. Any `shape`; a float dtype.
    ///
    /// # Errors
    /// As [`Tensor::rand`].
    pub fn randn(
        shape: impl Into<Shape>,
        options: impl Into<Options>,
        rng: &mut Rng,
    ) -> Result<Tensor> {
        Tensor::normal(0.0, 1.0, shape, options, rng).map_err(|e| e.in_op("randn"))
    }

    /// Normal with the given mean and standard deviation.
    ///
    /// # Errors
    /// As [`Tensor::rand`], or `std` is negative.
    pub fn normal(
        mean: f64,
        std: f64,
        shape: impl Into<Shape>,
        options: impl Into<Options>,
        rng: &mut Rng,
    ) -> Result<Tensor> {
        let options = options.into();
        options.device.check("normal")?;
        if std.is_nan() || std < 0.0 {
            return Err(Error::value(
                "normal",
                format!("the standard deviation is {std}; it must not be negative"),
            ));
        }
        let x = dispatch!(float options.dtype, T => Tensor::build::<T>("normal", shape, |y| {
            T::fill_normal(rng, y);
            if (mean, std) != (0.0, 1.0) {
                for y in y {
                    *y = T::affine(*y, std, mean);
                }
            }
        }), else Err(not_float("normal", options.dtype)));
        placed("normal", x?, &options.device)
    }

    /// Whole numbers in [`low`, `high`), of any dtype but bool.
    ///
    /// # Errors
    /// The interval is empty, or the dtype is bool.
    pub fn randint(
        low: i64,
        high: i64,
        shape: impl Into<Shape>,
        options: impl Into<Options>,
        rng: &mut Rng,
    ) -> Result<Tensor> {
        let options = options.into();
        options.device.check("randint")?;
        check_interval(low, high)?;
        let x = Tensor::build::<i64>("randint", shape, |y| rng.fill_int(y, low, high))?;
        placed("randint", x.to_dtype(options.dtype)?, &options.device)
    }

    /// 1 (true) with probability `p`, else 0 (false), of any dtype.
    ///
    /// # Errors
    /// `p` is not in [0, 1].
    pub fn bernoulli(
        p: f64,
        shape: impl Into<Shape>,
        options: impl Into<Options>,
        rng: &mut Rng,
    ) -> Result<Tensor> {
        let options = options.into();
        options.device.check("bernoulli")?;
        if !(0.0..=1.0).contains(&p) {
            return Err(Error::value(
                "bernoulli",
                format!("the probability is {p}; it must lie in 0..=1"),
            ));
        }
        #[cfg(feature = "cuda")]
        if let Device::Cuda(index) = options.device {
            return crate::cuda::random::bernoulli(p, &shape.into(), index, rng)?
                .to_dtype(options.dtype);
        }
        let x = Tensor::build::<bool>("bernoulli", shape, |y| rng.fill_bernoulli(y, p))?;
        x.to_dtype(options.dtype)?.to_device(&options.device)
    }

    /// A permutation of 0..`n`, as i64.
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn randperm(n: usize, rng: &mut Rng) -> Result<Tensor> {
        Tensor::build::<i64>("randperm", n, |y| {
            for (i, y) in y.iter_mut().enumerate() {
                *y = i as i64;
            }
            rng.shuffle(y);
        })
    }

    /// Draws indices with probability proportional to the weights: (n) or (rows, n) float to (`draws`) or (rows, `draws`) i64.
    ///
    /// # Errors
    /// The weights are not rank 1 or 2, or a row is negative, not finite or all zero, or has fewer positive weights than draws without replacement.
    pub fn multinomial(&self, draws: usize, replacement: bool, rng: &mut Rng) -> Result<Tensor> {
        multinomial(self, draws, |weights| {
            let mut w: Vec<f64> = weights.to_vec();
            let mut total: f64 = w.iter().sum();
            let positive = w.iter().filter(|&&w| w > 0.0).count();
            if !total.is_finite()
                || total <= 0.0
                || w.iter().any(|&w| w < 0.0)
                || (!replacement && draws > positive)
            {
                return None;
            }
            let mut draw = || {
                let mut left = rng.next_f64() * total;
                let mut last = 0;
                for (i, &w) in w.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                    last = i;
                    left -= w;
                    if left < 0.0 {
                        break;
                    }
                }
                if !replacement {
                    total -= std::mem::take(&mut w[last]);
                }
                last as i64
            };
            Some((0..draws).map(|_| draw()).collect())
        })
    }
}

pub(super) fn check_interval(low: i64, high: i64) -> Result<()> {
    if low < high {
        Ok(())
    } else {
        Err(Error::value(
            "randint",
            format!("[{low}, {high}) holds no number"),
        ))
    }
}

/// Row by row; `draw` gives `None` for weights that are not a distribution.
pub(super) fn multinomial(
    weights: &Tensor,
    draws: usize,
    mut draw: impl FnMut(&[f64]) -> Option<Vec<i64>>,
) -> Result<Tensor> {
    if !weights.dtype().is_float() {
        return Err(not_float("multinomial", weights.dtype()));
    }
    let (rows, n, shape) = match *weights.dims() {
        [n] => (1, n, Shape::from([draws])),
        [rows, n] => (rows, n, Shape::from([rows, draws])),
        _ => {
            return Err(Error::shape(
                "multinomial",
                format!("weights of shape {}: expected rank 1 or 2", weights.shape()),
            ));
        }
    };
    if draws == 0 || n == 0 {
        return Err(Error::value(
            "multinomial",
            format!("{draws} draws from {n} categories: both must be positive"),
        ));
    }
    let all = weights.to_dtype(DType::F64)?.to_vec::<f64>()?;
    let count = rows
        .checked_mul(draws)
        .ok_or_else(|| Error::memory("multinomial", format!("{rows} rows of {draws} draws")))?;
    // Refused here if it does not fit in memory, before anything is drawn.
    let mut out = crate::storage::try_vec("multinomial", 0i64, count)?;
    out.clear();
    for row in all.chunks_exact(n) {
        out.extend(draw(row).ok_or_else(|| {
            let why = "weights must be finite, not negative, not all zero, and enough for draws without replacement";
            Error::value("multinomial", format!("cannot make {draws} draws from {n} categories: {why}"))
        })?);
    }
    Tensor::from_vec(out, shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::TorchRng;

    #[test]
    fn every_float_dtype() {
        for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
            let mut rng = Rng::new(1);
            let x = Tensor::rand([10_000], dtype, &mut rng)
                .unwrap()
                .to_dtype(DType::F64)
                .unwrap()
                .to_vec::<f64>()
                .unwrap();
            assert!(x.iter().all(|x| (0.0..1.0).contains(x)), "{dtype}");
            assert!((x.iter().sum::<f64>() / 1e4 - 0.5).abs() < 0.02, "{dtype}");
            let x = Tensor::normal(3.0, 2.0, [10_000], dtype, &mut rng).unwrap();
            let x = x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
            assert!((x.iter().sum::<f64>() / 1e4 - 3.0).abs() < 0.1, "{dtype}");
            let x = Tensor::uniform(-2.0, -1.0, [10_000], dtype, &mut rng).unwrap();
            let x = x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
            assert!(x.iter().all(|x| (-2.0..-1.0).contains(x)), "{dtype}");
        }
        assert!(Tensor::rand([2], DType::I64, &mut Rng::new(0)).is_err());
    }

    #[test]
    fn hostile_arguments_are_errors() {
        let rng = &mut Rng::new(0);
        assert!(Tensor::rand([usize::MAX, 2], DType::F32, rng).is_err());
        assert!(Tensor::randint(3, 3, [2], DType::I64, rng).is_err());
        assert!(Tensor::bernoulli(1.5, [2], DType::Bool, rng).is_err());
        assert!(Tensor::bernoulli(f64::NAN, [2], DType::Bool, rng).is_err());
        assert!(Tensor::normal(0.0, -1.0, [2], DType::F32, rng).is_err());
        assert!(Tensor::uniform(0.0, f64::INFINITY, [2], DType::F32, rng).is_err());
        let zero = Tensor::zeros([3], DType::F32).unwrap();
        assert!(zero.multinomial(1, true, rng).is_err());
        assert!(
            TorchRng::manual_seed(0)
                .multinomial(&zero, 1, true)
                .is_err()
        );
        assert!(
            Tensor::ones([3], DType::F32)
                .unwrap()
                .multinomial(4, false, rng)
                .is_err()
        );
        assert!(
            Tensor::ones([2, 2, 2], DType::F32)
                .unwrap()
                .multinomial(1, true, rng)
                .is_err()
        );
    }

    #[test]
    fn multinomial_follows_the_weights() {
        let w = Tensor::from_slice(&[0f32, 1.0, 3.0], [3]).unwrap();
        let x = w
            .multinomial(8000, true, &mut Rng::new(2))
            .unwrap()
            .to_vec::<i64>()
            .unwrap();
        assert!(x.iter().all(|&x| x > 0));
        let twos = x.iter().filter(|&&x| x == 2).count();
        assert!((5800..6200).contains(&twos), "{twos}");
        let mut both = w
            .multinomial(2, false, &mut Rng::new(3))
            .unwrap()
            .to_vec::<i64>()
            .unwrap();
        both.sort_unstable();
        assert_eq!(both, [1, 2]);
    }

    /// Philox numbers are part of our format: a saved seed must mean the same numbers tomorrow.
    #[test]
    fn frozen() {
        let x = Tensor::randn([5], DType::F32, &mut Rng::new(42))
            .unwrap()
            .to_vec::<f32>()
            .unwrap();
        let y = Tensor::randint(0, 1000, [5], DType::I64, &mut Rng::new(42))
            .unwrap()
            .to_vec::<i64>()
            .unwrap();
        assert_eq!(
            x,
            [-0.9701898, 0.19401887, -1.2356203, 1.9239273, -0.073181495]
        );
        assert_eq!(y, [468, 340, 327, 454, 658]);
    }
}
