//! Tensors summed over the GPUs of several ranks, by NCCL (feature `nccl`). What ranks are for is gradus-train's; here a tensor's memory is
//! handed over and taken back. Numbers of the CPU go through the device: a few, such as a loss.
//!
//! Status: compiled, and run on a stand-in for the library; not yet run on hardware.

use std::sync::{Arc, Mutex, PoisonError};

pub use gradus_cuda::nccl::ID_BYTES;
use gradus_cuda::nccl::{Comm, Exchange, Number};

use crate::cuda;
use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::shape::Shape;
use crate::storage::{CpuBuffer, Storage};
use crate::tensor::Tensor;

/// What one rank makes and tells the others, so that they find each other.
///
/// # Errors
/// When NCCL is not there, or refuses.
pub fn unique_id() -> Result<Vec<u8>> {
    Ok(gradus_cuda::nccl::unique_id()?.to_vec())
}

/// A rank's place among others, on its GPU.
pub struct Nccl {
    comm: Mutex<Comm>,
    device: Device,
}

impl Nccl {
    /// Joins the ranks that have this id; waits until all have come. Each has a GPU of its own.
    ///
    /// # Errors
    /// When `device` is no GPU or cannot be opened, the id is not [`unique_id`]'s, or NCCL is not there or refuses.
    pub fn new(device: &Device, id: &[u8], world_size: usize, rank: usize) -> Result<Self> {
        let Device::Cuda(index) = *device else {
            let text = "NCCL is for GPUs; ranks on CPUs have MPI";
            return Err(Error::device("nccl", text));
        };
        let id: &[u8; ID_BYTES] = id.try_into().map_err(|_| {
            let text = format!("an id has {ID_BYTES} bytes, this one {}", id.len());
            Error::value("nccl", text)
        })?;
        let gpu = cuda::device("nccl", index)?;
        Ok(Self {
            comm: Mutex::new(Comm::new(&gpu, id, world_size, rank)?),
            device: *device,
        })
    }

    /// Begins to put the sum (or mean) of all ranks' tensors in place of this one.
    ///
    /// # Errors
    /// When the dtype cannot be summed, the tensor is on another GPU, or NCCL refuses.
    pub fn all_reduce(&self, x: Tensor, mean: bool) -> Result<Pending> {
        if mean && !x.dtype().is_float() {
            let text = format!("a mean of {}: only floats have one", x.dtype());
            return Err(Error::dtype("all_reduce", text));
        }
        self.begin("all_reduce", x, |comm, buffer, number| {
            comm.all_reduce(buffer, number, mean)
        })
    }

    /// Begins to put rank `root`'s tensor in place of this one.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn broadcast(&self, x: Tensor, root: usize) -> Result<Pending> {
        self.begin("broadcast", x, |comm, buffer, number| {
            comm.broadcast(buffer, number, root)
        })
    }

    fn begin(
        &self,
        op: &'static str,
        x: Tensor,
        begin: impl FnOnce(&mut Comm, gradus_cuda::Buffer<u8>, Number) -> gradus_cuda::Result<Exchange>,
    ) -> Result<Pending> {
        let number = match x.dtype() {
            DType::U8 | DType::Bool => Number::U8,
            DType::I32 => Number::I32,
            DType::I64 => Number::I64,
            DType::F16 => Number::F16,
            DType::BF16 => Number::BF16,
            DType::F32 => Number::F32,
            DType::F64 => Number::F64,
        };
        let (on, shape, dtype) = (x.device(), x.shape().clone(), x.dtype());
        let mut comm = self.comm.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = if on == Device::Cpu {
            let x = x.contiguous()?;
            let size = x.dtype().size();
            let bytes = x.buffer(op)?.bytes();
            comm.device()
                .upload(&bytes[x.layout.offset * size..][..x.numel() * size])?
        } else if on == self.device {
            // Memory that nobody else sees, and nothing else in it.
            let alone = x.is_exclusive() && x.is_contiguous();
            let whole = x.storage_bytes() == x.numel() * dtype.size();
            let own = if alone && whole {
                x
            } else {
                cuda::copy::copy(&x)?
            };
            match Arc::try_unwrap(own.storage) {
                Ok(Storage::Cuda(buffer)) => buffer,
                _ => return Err(Error::memory(op, "the copy is shared")),
            }
        } else {
            let text = format!("the tensor is on {on}, this rank's GPU is {}", self.device);
            return Err(Error::device(op, text));
        };
        Ok(Pending {
            exchange: begin(&mut comm, buffer, number)?,
            shape,
            dtype,
            on,
        })
    }
}

/// An exchange under way.
pub struct Pending {
    exchange: Exchange,
    shape: Shape,
    dtype: DType,
    on: Device,
}

impl Pending {
    /// The result. On a GPU the host does not wait for it; what is computed with it does.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn wait(self) -> Result<Tensor> {
        let buffer = self.exchange.wait()?;
        let layout = Layout::contiguous(self.shape);
        if self.on != Device::Cpu {
            return Ok(Tensor {
                storage: Arc::new(Storage::Cuda(buffer)),
                layout,
                dtype: self.dtype,
            });
        }
        let mut here = CpuBuffer::new("nccl", layout.numel(), self.dtype, false)?;
        let bytes = here.words_mut::<u8>();
        buffer.download_into(bytes)?;
        if self.dtype == DType::Bool {
            bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
        }
        Ok(Tensor::from_buffer(here, layout, self.dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_an_error() {
        let error = |device: &Device, id: &[u8]| match Nccl::new(device, id, 1, 0) {
            Ok(_) => panic!("it was made"),
            Err(error) => error.to_string(),
        };
        assert!(error(&Device::Cpu, &[0; 128]).contains("NCCL is for GPUs"));
        assert!(error(&Device::Cuda(0), &[0; 7]).contains("an id has 128 bytes, this one 7"));
    }
}
