//! Random tensors from [`TorchRng`], as methods with PyTorch's names: a notebook's `torch.randn(…, generator=g)` reads `g.randn(…)`.

use half::{bf16, f16};

use super::TorchRng;
use super::tensor::{check_interval, multinomial, not_float};
use crate::device::Options;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Tensors with PyTorch's names and PyTorch's numbers.
impl TorchRng {
    /// `torch.rand(shape, generator=g)`.
    ///
    /// # Errors
    /// The dtype is not a float type.
    pub fn rand(&mut self, shape: impl Into<Shape>, options: impl Into<Options>) -> Result<Tensor> {
        self.uniform(0.0, 1.0, shape, options)
    }

    /// `torch.empty(shape).uniform_(from, to, generator=g)`.
    ///
    /// # Errors
    /// The dtype is not a float type.
    pub fn uniform(
        &mut self,
        from: f64,
        to: f64,
        shape: impl Into<Shape>,
        options: impl Into<Options>,
    ) -> Result<Tensor> {
        let options = options.into();
        options.device.check("rand")?;
        let x = dispatch!(float options.dtype, T => Tensor::build::<T>("rand", shape, |y| self.fill_uniform(y, from, to)),
            else Err(not_float("rand", options.dtype)));
        x?.to_device(&options.device)
    }

    /// `torch.randn(shape, generator=g)`.
    ///
    /// # Errors
    /// The dtype is not a float type.
    pub fn randn(
        &mut self,
        shape: impl Into<Shape>,
        options: impl Into<Options>,
    ) -> Result<Tensor> {
        self.normal(0.0, 1.0, shape, options)
    }

    /// `torch.empty(shape).normal_(mean, std, generator=g)`.
    ///
    /// # Errors
    /// The dtype is not a float type.
    pub fn normal(
        &mut self,
        mean: f64,
        std: f64,
        shape: impl Into<Shape>,
        options: impl Into<Options>,
    ) -> Result<Tensor> {
        let options = options.into();
        options.device.check("randn")?;
        let x = dispatch!(float options.dtype, T => Tensor::build::<T>("randn", shape, |y| self.fill_normal(y, mean, std)),
            else Err(not_float("randn", options.dtype)));
        x?.to_device(&options.device)
    }

    /// `torch.randint(low, high, shape, generator=g)`, as i64.
    ///
    /// # Errors
    /// The interval is empty.
    pub fn randint(&mut self, low: i64, high: i64, shape: impl Into<Shape>) -> Result<Tensor> {
        check_interval(low, high)?;
        Tensor::build::<i64>("randint", shape, |y| self.fill_int(y, low, high))
    }

    /// `torch.randperm(n, generator=g)`.
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn randperm(&mut self, n: usize) -> Result<Tensor> {
        Tensor::from_vec(self.permutation(n), n)
    }

    /// `torch.multinomial(weights, draws, replacement, generator=g)`: (n) or (rows, n) to (`draws`) or (rows, `draws`).
    ///
    /// ```
    /// use gradus_tensor::{Tensor, random::TorchRng};
    /// let mut g = TorchRng::manual_seed(2147483647);
    /// let p = Tensor::from_slice(&[0.6064f32, 0.3033, 0.0903], [3])?;
    /// assert_eq!(g.multinomial(&p, 5, true)?.dims(), [5]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::multinomial`].
    pub fn multinomial(
        &mut self,
        weights: &Tensor,
        draws: usize,
        replacement: bool,
    ) -> Result<Tensor> {
        match weights.dtype() {
            DType::F64 => multinomial(weights, draws, |row| {
                self.multinomial_row(row, draws, replacement)
            }),
            DType::F32 => multinomial(weights, draws, |row| {
                self.multinomial_row(&narrow(row, |w| w as f32), draws, replacement)
            }),
            DType::F16 => multinomial(weights, draws, |row| {
                self.multinomial_row(&narrow(row, f16::from_f64), draws, replacement)
            }),
            DType::BF16 => multinomial(weights, draws, |row| {
                self.multinomial_row(&narrow(row, bf16::from_f64), draws, replacement)
            }),
            other => Err(not_float("multinomial", other)),
        }
    }
}

/// Back to the weights' own type, exactly.
fn narrow<T>(row: &[f64], f: impl Fn(f64) -> T) -> Vec<T> {
    row.iter().map(|&w| f(w)).collect()
}
