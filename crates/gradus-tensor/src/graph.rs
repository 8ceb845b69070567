//! Work of a GPU recorded once and launched again as one: [`CudaGraph`], after PyTorch's `torch.cuda.CUDAGraph`.
//!
//! A step of a small model is hundreds of kernels, each over before the host has launched the next. A graph launches them all at once. Its
//! replays use the same memory each time: inputs are written into with [`Tensor::copy_`], results are read where they were. What it
//! may not do, and why: `gradus-cuda`'s `graph.rs`.
//!
//! Random numbers: [`Tensor::bernoulli`] (and so dropout) from the thread's default generator draws anew at each replay, and the generator
//! moves on as if the work had been run; numbers that are drawn otherwise would be the same ones each time, which is an error.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Recorded work on a GPU.
///
/// ```
/// use gradus_tensor::{CudaGraph, DType, Device, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let Ok(device) = Device::cuda(0) else { return Ok(()) };
/// let mut x = Tensor::zeros(3, (DType::F32, device))?;
/// x.square()?.add_scalar(1)?; // once before: kernels are compiled and loaded
/// let (graph, y) = CudaGraph::capture(&device, || x.square()?.add_scalar(1))?; // nothing runs
/// for i in 0..3 {
///     x.copy_(&Tensor::full(3, f64::from(i), DType::F32)?)?;
///     graph.replay()?; // writes y
///     assert_eq!(y.to_vec::<f32>()?, [(i * i + 1) as f32; 3]);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CudaGraph {
    #[cfg(feature = "cuda")]
    recorded: crate::cuda::graph::Recorded,
}

impl CudaGraph {
    /// Records the work that `f` puts on `device`; it runs when it is replayed. What `f` returns is the graph's memory, which each replay
    /// writes: copy it where it must stay.
    ///
    /// # Errors
    /// Those of `f`; `device` is not a GPU; `f` read a result, waited, or drew random numbers on the host.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn capture<R>(device: &Device, f: impl FnOnce() -> Result<R>) -> Result<(Self, R)> {
        let op = "CudaGraph::capture";
        device.check(op)?;
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(index) => {
                let (recorded, out) = crate::cuda::graph::capture(*index, f)?;
                Ok((Self { recorded }, out))
            }
            _ => Err(Error::device(
                op,
                format!("{device} has no graphs: run the work itself"),
            )),
        }
    }

    /// Does the work; nobody waits for it.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn replay(&self) -> Result<()> {
        #[cfg(feature = "cuda")]
        self.recorded.replay()?;
        Ok(())
    }

    /// Whether the calling thread records one. Code that keeps something from call to call may need to know.
    ///
    /// ```
    /// assert!(!gradus_tensor::CudaGraph::is_capturing());
    /// ```
    pub fn is_capturing() -> bool {
        #[cfg(feature = "cuda")]
        return crate::cuda::graph::is_capturing();
        #[cfg(not(feature = "cuda"))]
        false
    }

    /// An error while one is recorded, for what would be the same at each replay and must not be.
    ///
    /// # Errors
    /// In a capture.
    pub(crate) fn refuse(op: &'static str, what: &str) -> Result<()> {
        if Self::is_capturing() {
            let text = format!("{what}: it would be the same at each replay of the graph");
            return Err(Error::device(op, text));
        }
        Ok(())
    }
}

impl Tensor {
    /// Where the elements lie in memory: a number to compare, the same as long as nobody moves them (PyTorch's `data_ptr`).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.data_ptr(), x.clone().data_ptr());
    /// assert_ne!(x.data_ptr(), x.copy()?.data_ptr());
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn data_ptr(&self) -> usize {
        let start = match &*self.storage {
            crate::storage::Storage::Cpu(buffer) => buffer.bytes().as_ptr() as usize,
            #[cfg(feature = "cuda")]
            crate::storage::Storage::Cuda(buffer) => buffer.data_ptr(),
        };
        start + self.layout.offset * self.dtype.size()
    }

    /// Does somebody else hold the same memory? Then writing moves this tensor to memory of its own.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert!(!x.is_shared());
    /// let y = x.clone();
    /// assert!(x.is_shared() && y.is_shared());
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn is_shared(&self) -> bool {
        std::sync::Arc::strong_count(&self.storage) > 1
    }

    /// [`Tensor::to_device`] beside the work that is under way on a GPU, for what is needed later: the next batch, prepared by another thread. What
    /// uses the copy first waits for it, on the device.
    ///
    /// ```
    /// # use gradus_tensor::{Device, Tensor};
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.to_device_ahead(&Device::Cpu)?.to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_device`].
    pub fn to_device_ahead(&self, device: &Device) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let (Device::Cuda(index), Device::Cpu) = (device, self.device()) {
            device.check("to_device_ahead")?;
            return crate::cuda::upload_ahead(self, *index);
        }
        self.to_device(device)
    }
}
