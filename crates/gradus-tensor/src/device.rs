//! Where a tensor's memory is, and how an op turns to its arm for a GPU.

use std::fmt;
use std::str::FromStr;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Runs the arm of an op for GPUs and returns what it gives, if one of the operands is there: the first line of ops that have one.
macro_rules! on_cuda {
    ([$($x:expr),+] => $arm:expr) => {
        #[cfg(feature = "cuda")]
        if $($x.is_cuda())||+ {
            #[allow(unused_imports)] // an arm may do with other ops
            use $crate::cuda;
            return $arm;
        }
    };
}

#[cfg(not(feature = "cuda"))]
const OFF: &str =
    "this build has no CUDA: the feature `cuda` of gradus is off; use the CPU, or build with it";

/// A place for memory and computation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// This machine's processors.
    #[default]
    Cpu,
    /// The NVIDIA GPU with this number.
    Cuda(usize),
}

impl Device {
    /// The GPU with this number.
    ///
    /// ```
    /// use gradus_tensor::{DType, Device, Tensor};
    /// match Device::cuda(0) {
    ///     Ok(gpu) => println!("{}", Tensor::zeros([2, 3], (DType::F32, &gpu))?),
    ///     // No feature, no driver, no device, no compiler: each has its own words.
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The feature `cuda` is off, or there is no driver, no such device, or no compiler of kernels.
    pub fn cuda(index: usize) -> Result<Self> {
        Device::Cuda(index).check("Device::cuda")
    }

    /// The GPUs of this machine, one line each, or one line that says why there are none: for people to read.
    ///
    /// ```
    /// assert!(!gradus_tensor::Device::gpus().is_empty());
    /// ```
    pub fn gpus() -> Vec<String> {
        #[cfg(feature = "cuda")]
        let lines = crate::cuda::list();
        #[cfg(not(feature = "cuda"))]
        let lines = vec![OFF.to_owned()];
        lines
    }

    /// Waits until everything that was asked of the device is done; kernels report here, at the latest, what went wrong.
    ///
    /// # Errors
    /// A kernel failed.
    pub fn synchronize(&self) -> Result<()> {
        match self {
            #[cfg(feature = "cuda")]
            Device::Cuda(index) => crate::cuda::synchronize(*index),
            _ => Ok(()),
        }
    }

    /// This device if this build can use it.
    pub(crate) fn check(self, op: &'static str) -> Result<Self> {
        match self {
            Device::Cpu => Ok(self),
            #[cfg(feature = "cuda")]
            Device::Cuda(index) => crate::cuda::device(op, index).map(|_| self),
            #[cfg(not(feature = "cuda"))]
            Device::Cuda(_) => Err(Error::device(op, format!("{self}: {OFF}"))),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(i) => write!(f, "cuda:{i}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;
    /// `cpu`, `cuda` or `cuda:1`; a device this build cannot use is an error.
    fn from_str(s: &str) -> Result<Self> {
        let device = match s.split_once(':') {
            None if s == "cpu" => Some(Device::Cpu),
            None if s == "cuda" => Some(Device::Cuda(0)),
            Some(("cuda", n)) => n.parse().ok().map(Device::Cuda),
            _ => None,
        };
        device
            .ok_or_else(|| {
                Error::device(
                    "device",
                    format!("unknown device {s:?}; known: cpu, cuda:N"),
                )
            })?
            .check("device")
    }
}

/// What [`Tensor::to`] takes: a device, or a dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To that device.
    Device(Device),
    /// As that dtype.
    DType(DType),
}

impl From<&Device> for To {
    fn from(device: &Device) -> Self {
        To::Device(*device)
    }
}

impl From<DType> for To {
    fn from(dtype: DType) -> Self {
        To::DType(dtype)
    }
}

impl Tensor {
    /// On another device, or in another dtype, as `tensor.to` in PyTorch: [`Tensor::to_device`] or [`Tensor::to_dtype`], by what it is
    /// given.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Device, Tensor};
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// let device = Device::cuda(0).unwrap_or_default(); // the CPU where there is no GPU
    /// let y = x.to(DType::F32)?.to(&device)?;
    /// assert_eq!((y.dtype(), y.device()), (DType::F32, device));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As the two.
    pub fn to(&self, target: impl Into<To>) -> Result<Tensor> {
        match target.into() {
            To::Device(device) => self.to_device(&device),
            To::DType(dtype) => self.to_dtype(dtype),
        }
    }

    /// The tensor on a device: the same one when it is there already, else a contiguous copy. From one GPU to another it goes by the CPU.
    ///
    /// ```
    /// # use gradus_tensor::{Device, Tensor};
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.to_device(&Device::Cpu)?.to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The device is not available in this build or on this machine, or its memory is full.
    pub fn to_device(&self, device: &Device) -> Result<Tensor> {
        device.check("to_device")?;
        match device {
            _ if self.device() == *device => Ok(self.clone()),
            Device::Cpu => self.on_host(),
            #[cfg(feature = "cuda")]
            Device::Cuda(index) => crate::cuda::upload(&self.on_host()?, *index),
            #[cfg(not(feature = "cuda"))]
            Device::Cuda(_) => Ok(self.clone()), // refused above
        }
    }
}

/// What a creation function needs beyond the shape: dtype and device. `DType::F32.into()` is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Type of the elements.
    pub dtype: DType,
    /// Where to put them.
    pub device: Device,
}

impl Default for Options {
    /// f32 on the CPU.
    fn default() -> Self {
        Self {
            dtype: DType::F32,
            device: Device::Cpu,
        }
    }
}

impl From<DType> for Options {
    fn from(dtype: DType) -> Self {
        Self {
            dtype,
            device: Device::Cpu,
        }
    }
}

impl From<(DType, &Device)> for Options {
    fn from((dtype, device): (DType, &Device)) -> Self {
        Self {
            dtype,
            device: *device,
        }
    }
}

impl From<&Tensor> for Options {
    /// The dtype and the device of a tensor.
    fn from(like: &Tensor) -> Self {
        Self {
            dtype: like.dtype(),
            device: like.device(),
        }
    }
}

impl From<(DType, Device)> for Options {
    fn from((dtype, device): (DType, Device)) -> Self {
        Self { dtype, device }
    }
}
