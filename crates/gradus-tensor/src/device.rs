//! Where a tensor's memory is. Only the CPU is built; the CUDA arm says so clearly.

use std::fmt;
use std::str::FromStr;

use crate::dtype::DType;
use crate::error::{Error, Result};

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
    /// # Errors
    /// Always for now: the CUDA backend is not built yet.
    pub fn cuda(index: usize) -> Result<Self> {
        Device::Cuda(index).check("Device::cuda")
    }

    /// This device if this build can use it.
    pub(crate) fn check(self, op: &'static str) -> Result<Self> {
        match self {
            Device::Cpu => Ok(self),
            Device::Cuda(_) => Err(Error::device(
                op,
                format!("{self}: the CUDA backend is not built yet; use Device::Cpu"),
            )),
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

impl From<(DType, Device)> for Options {
    fn from((dtype, device): (DType, Device)) -> Self {
        Self { dtype, device }
    }
}
