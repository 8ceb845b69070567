//! The arms of ops for NVIDIA GPUs: one file per family. Op files check their arguments, then turn here (`on_cuda!`); an arm makes
//! gradus-cuda's views of the operands and chooses its kernel. No kernels here, and nothing that waits for the device: only reading a
//! result does ([`download`]).
//!
//! Types are those the kernels have: f32, bf16, f16, f64 in the more common ones, and whole numbers where they make sense. What has no arm is an error
//! that names the op and the device ([`not_here`]); nothing is copied to the host behind the user's back.

use std::sync::{Mutex, PoisonError};

use gradus_cuda::{Buffer, View};

use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::shape::Shape;
use crate::storage::{CpuBuffer, Storage};
use crate::tensor::Tensor;

/// Runs `$body` with `$T` naming the Rust type of a dtype that kernels have; the first form floats, the second those sums are in, the third all.
macro_rules! dispatch_cuda {
    (float $op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            $crate::DType::F16 => {
                type $T = half::f16;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            dtype => Err($crate::cuda::no_kernel($op, dtype)),
        }
    };
    (sums $op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            dtype => dispatch_cuda!(float $op, dtype, $T => $body),
        }
    };
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            dtype => dispatch_cuda!(float $op, dtype, $T => $body),
        }
    };
}

pub(crate) mod attention;
mod composed;
pub(crate) mod conv;
pub(crate) mod copy;
pub(crate) mod elementwise;
pub(crate) mod graph;
pub(crate) mod index;
pub(crate) mod loss;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod optim;
mod order;
pub(crate) mod pool;
pub(crate) mod random;
pub(crate) mod reduce;
pub(crate) mod resample;
pub(crate) mod scan;
pub(crate) mod sort;
pub(crate) mod windows;

/// The opened devices of this process, by number. They stay open: their memory pools and kernels are worth keeping.
static DEVICES: Mutex<Vec<(usize, gradus_cuda::Device)>> = Mutex::new(Vec::new());

/// The GPU with this number, opened at its first use.
pub(crate) fn device(op: &'static str, index: usize) -> Result<gradus_cuda::Device> {
    let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, device)) = devices.iter().find(|(i, _)| *i == index) {
        return Ok(device.clone());
    }
    let device = gradus_cuda::Device::new(index).map_err(|e| Error::device(op, e.to_string()))?;
    devices.push((index, device.clone()));
    Ok(device)
}

/// A line for each GPU, or the reason why there are none.
pub(crate) fn list() -> Vec<String> {
    let count = match gradus_cuda::Device::count() {
        Ok(count) => count,
        Err(error) => return vec![error.to_string()],
    };
    let line = |i| match gradus_cuda::Device::new(i) {
        Ok(device) => device.to_string(),
        Err(error) => error.to_string(),
    };
    (0..count).map(line).collect()
}

/// Waits for a device.
pub(crate) fn synchronize(index: usize) -> Result<()> {
    Ok(device("synchronize", index)?.synchronize()?)
}

impl From<gradus_cuda::Error> for Error {
    /// A kernel's refusal, under the same op.
    fn from(e: gradus_cuda::Error) -> Self {
        use gradus_cuda::Error as E;
        match e {
            E::Shape { op, message } => Error::shape(op, message),
            E::Unsupported { op, what } => Error::device(op, format!("on a GPU: {what}")),
            E::Capture { op, .. } => {
                Error::device(op, e.to_string().replacen(&format!("{op}: "), "", 1))
            }
            E::Index { op } => Error::index(
                op,
                "an index or a class number is out of range; the GPU found it in an earlier call",
            ),
            E::Devices { op } => Error::device(op, "operands are on different devices"),
            E::OutOfMemory { .. } => Error::memory("", e.to_string()),
            other => Error::device("", other.to_string()),
        }
    }
}

/// The error of an op that a GPU does not have.
pub(crate) fn not_here(op: &'static str, device: Device) -> Error {
    let what = if op.is_empty() { "this op" } else { "it" };
    Error::device(
        op,
        format!(
            "{what} has no kernel for {device}; move its operands to the CPU first: .to(&Device::Cpu)"
        ),
    )
}

/// The error of a type that kernels do not have.
pub(crate) fn no_kernel(op: &'static str, dtype: DType) -> Error {
    let other = if dtype.is_float() {
        "F32"
    } else {
        "F32 or I64"
    };
    Error::device(
        op,
        format!(
            "no kernel for {dtype} on a GPU; convert with to_dtype (DType::{other}), or move to the CPU first"
        ),
    )
}

/// The dtype in which sums and functions of a float are computed.
pub(crate) fn compute(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// The device all operands are on.
pub(crate) fn together(op: &'static str, operands: &[&Tensor]) -> Result<gradus_cuda::Device> {
    let mut found: Option<&gradus_cuda::Device> = None;
    for x in operands {
        match (&*x.storage, found) {
            (Storage::Cuda(buffer), None) => found = Some(buffer.device()),
            (Storage::Cuda(buffer), Some(device)) if buffer.device() == device => {}
            _ => return Err(apart(op, operands)),
        }
    }
    found.cloned().ok_or_else(|| apart(op, operands))
}

/// The error of operands in different places: it names the first two.
pub(crate) fn apart(op: &'static str, operands: &[&Tensor]) -> Error {
    let mut places: Vec<String> = operands.iter().map(|x| x.device().to_string()).collect();
    places.dedup();
    Error::device(
        op,
        format!(
            "the operands are on different devices ({}); bring them together with .to(&device)",
            places.join(" and ")
        ),
    )
}

impl Tensor {
    /// The memory on a GPU.
    fn cuda_buffer(&self) -> Result<&Buffer<u8>> {
        match &*self.storage {
            Storage::Cuda(buffer) => Ok(buffer),
            Storage::Cpu(_) => Err(Error::device(
                "",
                "an operand is on cpu, the others on a GPU; bring them together with .to(&device)",
            )),
        }
    }

    /// The elements as a kernel's operand.
    pub(crate) fn cuda_view<T: gradus_cuda::Element>(&self) -> Result<View<'_, T>> {
        view(self, &self.layout)
    }

    /// A tensor of [`solid`] memory as a kernel's operand without strides.
    pub(crate) fn cuda_solid<T: gradus_cuda::Element>(&self) -> Result<&Buffer<T>> {
        Ok(self.cuda_buffer()?.typed::<T>()?)
    }
}

/// A tensor's memory as a kernel's operand, through any layout over it.
pub(crate) fn view<'a, T: gradus_cuda::Element>(
    x: &'a Tensor,
    layout: &Layout,
) -> Result<View<'a, T>> {
    Ok(View::new(
        x.cuda_buffer()?.typed::<T>()?,
        layout.offset,
        &layout.shape,
        &layout.strides,
    )?)
}

/// The tensor with storage that holds its elements and nothing else, row-major: itself, or a copy.
pub(crate) fn solid(x: &Tensor) -> Result<Tensor> {
    let alone = x.storage_bytes() == x.numel() * x.dtype().size();
    if x.is_contiguous() && alone {
        Ok(x.clone())
    } else {
        copy::copy(x)
    }
}

/// As [`solid`], of an operand that need not be there.
pub(crate) fn solid_option(x: Option<&Tensor>) -> Result<Option<Tensor>> {
    x.map(solid).transpose()
}

/// A row-major tensor of what a kernel wrote.
pub(crate) fn tensor<T: gradus_cuda::Element>(
    buffer: Buffer<T>,
    shape: &Shape,
    dtype: DType,
) -> Tensor {
    debug_assert_eq!(T::DTYPE.name(), dtype.name());
    Tensor {
        storage: std::sync::Arc::new(Storage::Cuda(buffer.into_bytes())),
        layout: Layout::contiguous(shape.clone()),
        dtype,
    }
}

/// A tensor of `shape` that a kernel fills.
pub(crate) fn build<T: gradus_cuda::Element>(
    device: &gradus_cuda::Device,
    shape: &Shape,
    dtype: DType,
    kernel: impl FnOnce(&mut Buffer<T>) -> gradus_cuda::Result<()>,
) -> Result<Tensor> {
    let mut y = device.uninit::<T>(shape.numel()?)?;
    kernel(&mut y)?;
    Ok(tensor(y, shape, dtype))
}

/// A copy of a tensor of the CPU on a GPU.
pub(crate) fn upload(x: &Tensor, index: usize) -> Result<Tensor> {
    upload_by(x, index, gradus_cuda::Device::upload)
}

/// The same beside the work that is under way.
pub(crate) fn upload_ahead(x: &Tensor, index: usize) -> Result<Tensor> {
    upload_by(x, index, gradus_cuda::Device::upload_ahead)
}

fn upload_by(
    x: &Tensor,
    index: usize,
    upload: impl Fn(&gradus_cuda::Device, &[u8]) -> gradus_cuda::Result<Buffer<u8>>,
) -> Result<Tensor> {
    let device = device("to_device", index)?;
    let x = x.contiguous()?;
    let buffer = upload(&device, host_bytes(&x)?)?;
    Ok(Tensor {
        storage: std::sync::Arc::new(Storage::Cuda(buffer)),
        layout: Layout::contiguous(x.shape().clone()),
        dtype: x.dtype(),
    })
}

/// The bytes of a contiguous tensor of the CPU.
fn host_bytes(x: &Tensor) -> Result<&[u8]> {
    let size = x.dtype().size();
    let (start, len) = (x.layout.offset * size, x.numel() * size);
    Ok(&x.buffer("to_device")?.bytes()[start..start + len])
}

/// A copy of a tensor of a GPU on the CPU; waits for everything before.
pub(crate) fn download(x: &Tensor) -> Result<Tensor> {
    let x = solid(x)?;
    let mut buffer = CpuBuffer::new("to_device", x.numel(), x.dtype(), false)?;
    let bytes = buffer.words_mut::<u8>();
    x.cuda_buffer()?.download_into(bytes)?;
    if x.dtype() == DType::Bool {
        bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
    Ok(Tensor::from_buffer(
        buffer,
        Layout::contiguous(x.shape().clone()),
        x.dtype(),
    ))
}
