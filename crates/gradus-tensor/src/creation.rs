//! New tensors: from Rust data, constant, and evenly spaced. (Random ones are in `random`.)

use std::sync::Arc;

use gradus_cpu::Element as _;

use crate::device::Options;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::storage::CpuBuffer;
use crate::tensor::Tensor;

impl Tensor {
    /// The elements of `data`, row-major, in `shape`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from_vec(vec![1f64, 2.0, 3.0], 3)?.to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The length is not the product of the shape.
    pub fn from_vec<T: Element>(data: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
        Tensor::from_slice(&data, shape)
    }

    /// A copy of the elements of `data`, row-major, in `shape`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1i64, 2, 3, 4], [2, 2])?;
    /// assert_eq!(x.dims(), [2, 2]);
    /// assert!(Tensor::from_slice(&[1i64, 2, 3], [2, 2]).is_err());
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The length is not the product of the shape.
    pub fn from_slice<T: Element>(data: &[T], shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        let numel = shape.numel().map_err(|e| e.in_op("from_slice"))?;
        if numel != data.len() {
            let message = format!(
                "{} elements do not fill shape {shape}, which has {numel}",
                data.len()
            );
            return Err(Error::shape("from_slice", message));
        }
        Tensor::build::<T>("from_slice", shape, |y| y.copy_from_slice(data))
    }

    /// Elements that lie in bytes owned by `owner` (a memory map, a file read whole), starting at byte `at`.
    /// No copy when they are aligned; a copy when they are not. bool bytes must be 0 or 1.
    ///
    /// # Errors
    /// The bytes are not all there, or a bool is neither 0 nor 1.
    pub(crate) fn from_shared_bytes(
        owner: &Arc<dyn AsRef<[u8]> + Send + Sync>,
        at: usize,
        shape: impl Into<Shape>,
        dtype: DType,
    ) -> Result<Tensor> {
        let shape = shape.into();
        let len = shape.numel()?.checked_mul(dtype.size());
        let bytes = len.and_then(|len| (**owner).as_ref().get(at..at.checked_add(len)?));
        let Some(bytes) = bytes else {
            return Err(Error::format(
                "from_bytes",
                format!("{dtype} {shape} at byte {at} is not all there"),
            ));
        };
        if dtype == DType::Bool && bytes.iter().any(|&b| b > 1) {
            return Err(Error::format(
                "from_bytes",
                format!("bool {shape} at byte {at} holds a byte other than 0 and 1"),
            ));
        }
        if let Some(buffer) = CpuBuffer::shared(Arc::clone(owner), at, bytes.len(), dtype.size()) {
            return Ok(Tensor::from_buffer(
                buffer,
                Layout::contiguous(shape),
                dtype,
            ));
        }
        let mut buffer = CpuBuffer::new("from_bytes", shape.numel()?, dtype, false)?;
        buffer.words_mut::<u8>().copy_from_slice(bytes);
        Ok(Tensor::from_buffer(
            buffer,
            Layout::contiguous(shape),
            dtype,
        ))
    }

    /// One number, rank 0.
    ///
    /// # Panics
    /// Only if the machine cannot give 64 bytes.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::scalar(2.5f64).item::<f64>()?, 2.5);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    #[must_use]
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor::build::<T>("scalar", (), |y| y[0] = value).expect("64 bytes of memory")
    }

    /// One number of a given dtype, rank 0.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::scalar_of(3, DType::F64)?.item::<f64>()?, 3.0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn scalar_of(value: impl Into<Scalar>, dtype: DType) -> Result<Tensor> {
        Tensor::full((), value, dtype)
    }

    /// Every element 0.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::zeros(2, DType::F64)?.to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shape overflows or the memory cannot be had.
    pub fn zeros(shape: impl Into<Shape>, options: impl Into<Options>) -> Result<Tensor> {
        let (shape, options) = (shape.into(), options.into());
        options.device.check("zeros")?;
        #[cfg(feature = "cuda")]
        if let crate::Device::Cuda(index) = options.device {
            return crate::cuda::copy::zeros(&shape, options.dtype, index);
        }
        let numel = shape.numel().map_err(|e| e.in_op("zeros"))?;
        let buffer = CpuBuffer::new("zeros", numel, options.dtype, true)?;
        Ok(Tensor::from_buffer(
            buffer,
            Layout::contiguous(shape),
            options.dtype,
        ))
    }

    /// Every element 1.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::ones(2, DType::F64)?.to_vec::<f64>()?, [1.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::zeros`].
    pub fn ones(shape: impl Into<Shape>, options: impl Into<Options>) -> Result<Tensor> {
        Tensor::full(shape, 1i64, options)
    }

    /// Every element `value`.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::full(2, 7, DType::F64)?.to_vec::<f64>()?, [7.0, 7.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::zeros`].
    pub fn full(
        shape: impl Into<Shape>,
        value: impl Into<Scalar>,
        options: impl Into<Options>,
    ) -> Result<Tensor> {
        filled(shape.into(), value.into(), options.into())
    }

    /// Zeros of this tensor's shape and dtype, where it is.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.zeros_like()?.to_vec::<f64>()?, [0.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn zeros_like(&self) -> Result<Tensor> {
        Tensor::zeros(self.shape(), (self.dtype(), self.device()))
    }

    /// Ones of this tensor's shape and dtype, where it is.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[5.0, 2.0], 2)?;
    /// assert_eq!(x.ones_like()?.to_vec::<f64>()?, [1.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn ones_like(&self) -> Result<Tensor> {
        Tensor::ones(self.shape(), (self.dtype(), self.device()))
    }

    /// `value` in this tensor's shape and dtype, where it is.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.full_like(9)?.to_vec::<f64>()?, [9.0, 9.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn full_like(&self, value: impl Into<Scalar>) -> Result<Tensor> {
        Tensor::full(self.shape(), value, (self.dtype(), self.device()))
    }

    /// `start, start + step, …` below `end` (above it for a negative step).
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::arange(5, 0, -2, DType::I64)?;
    /// assert_eq!(x.to_vec::<i64>()?, [5, 3, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The step is 0, or points away from `end`, or a bound is not finite.
    pub fn arange(
        start: impl Into<Scalar>,
        end: impl Into<Scalar>,
        step: impl Into<Scalar>,
        options: impl Into<Options>,
    ) -> Result<Tensor> {
        arange(start.into(), end.into(), step.into(), options.into())
    }

    /// `steps` numbers from `start` to `end`, both included, evenly spaced.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::linspace(0, 1, 5, DType::F64)?.to_vec::<f64>()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn linspace(
        start: impl Into<Scalar>,
        end: impl Into<Scalar>,
        steps: usize,
        options: impl Into<Options>,
    ) -> Result<Tensor> {
        linspace(
            start.into().to_f64(),
            end.into().to_f64(),
            steps,
            options.into(),
        )
    }

    /// The `n` by `n` identity.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::eye(2, DType::F64)?.to_vec::<f64>()?, [1.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn eye(n: usize, options: impl Into<Options>) -> Result<Tensor> {
        Tensor::eye_rect(n, n, options)
    }

    /// `n` by `m` with ones on the main diagonal.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::eye_rect(2, 3, DType::F64)?.to_vec::<f64>()?, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn eye_rect(n: usize, m: usize, options: impl Into<Options>) -> Result<Tensor> {
        let options = options.into();
        let mut out = Tensor::zeros([n, m], options.dtype)?;
        dispatch!(out.dtype, T => out.with_mut_slice::<T, _>(|y| {
            (0..n.min(m)).for_each(|i| y[i * m + i] = T::from_i64(1));
        }))?;
        out.to_device(&options.device)
    }
}

impl<T: Element> From<T> for Tensor {
    fn from(value: T) -> Self {
        Tensor::scalar(value)
    }
}

/// [`Tensor::full`], compiled once and not for each kind of argument.
fn filled(shape: Shape, value: Scalar, options: Options) -> Result<Tensor> {
    options.device.check("full")?;
    #[cfg(feature = "cuda")]
    if let crate::Device::Cuda(index) = options.device {
        return crate::cuda::copy::full("full", &shape, value, options.dtype, index);
    }
    dispatch!(options.dtype, T => Tensor::build::<T>("full", shape, |y| y.fill(T::from_scalar(value))))
}

/// [`Tensor::arange`], as [`filled`].
fn arange(start: Scalar, end: Scalar, step: Scalar, options: Options) -> Result<Tensor> {
    options.device.check("arange")?;
    let (a, b, s) = (start.to_f64(), end.to_f64(), step.to_f64());
    let fail = |why: &str| Error::value("arange", format!("start {a}, end {b}, step {s}: {why}"));
    if !(a.is_finite() && b.is_finite() && s.is_finite()) {
        return Err(fail("every bound must be finite"));
    }
    if s == 0.0 {
        return Err(fail("the step must not be 0"));
    }
    if (b - a) * s.signum() < 0.0 {
        return Err(fail("the step points away from the end"));
    }
    let whole = [start, end, step]
        .iter()
        .all(|s| !matches!(s, Scalar::Float(_)));
    let count = if whole {
        let (i, j, s) = (
            i128::from(start.to_i64()),
            i128::from(end.to_i64()),
            i128::from(step.to_i64()),
        );
        (j - i).unsigned_abs().div_ceil(s.unsigned_abs()) as f64
    } else {
        ((b - a) / s).ceil()
    };
    if count > isize::MAX as f64 / 16.0 {
        return Err(fail("too many elements"));
    }
    let n = count as usize;
    let (i0, di) = (start.to_i64(), step.to_i64());
    let x = dispatch!(options.dtype, T => Tensor::build::<T>("arange", n, |y| {
        for (i, y) in y.iter_mut().enumerate() {
            *y = if whole {
                T::from_i64(i0.wrapping_add(di.wrapping_mul(i as i64)))
            } else {
                T::from_f64(a + s * i as f64)
            };
        }
    }));
    x?.to_device(&options.device)
}

/// [`Tensor::linspace`], as [`filled`].
fn linspace(a: f64, b: f64, steps: usize, options: Options) -> Result<Tensor> {
    options.device.check("linspace")?;
    let step = if steps > 1 {
        (b - a) / (steps - 1) as f64
    } else {
        0.0
    };
    let x = dispatch!(options.dtype, T => Tensor::build::<T>("linspace", steps, |y| {
        // From both ends to the middle, as PyTorch: the last element is exactly `end`.
        for (i, y) in y.iter_mut().enumerate() {
            *y = T::from_f64(if i < steps / 2 || steps == 1 { a + step * i as f64 } else { b - step * (steps - 1 - i) as f64 });
        }
    }));
    x?.to_device(&options.device)
}
