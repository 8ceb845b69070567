//! The one error type: which operation, and what was wrong, or what this machine lacks.

use std::fmt;

use crate::DType;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done on a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is no NVIDIA driver: `libcuda` was not found.
    NoDriver,
    /// There is a driver, but not so many devices.
    NoDevice {
        /// The device that was asked for.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },
    /// The driver is older than what the compiler makes.
    OldDriver {
        /// The CUDA version the driver supports, 1000·major + 10·minor.
        driver: i32,
        /// The one it must support at least.
        needed: i32,
    },
    /// The device is older than what the kernels are written for.
    OldDevice {
        /// Its name.
        name: String,
        /// Its compute capability.
        capability: (i32, i32),
    },
    /// There is no run-time compiler: `libnvrtc` was not found.
    NoCompiler {
        /// Where it was looked for, and what went wrong there.
        detail: String,
    },
    /// The compiler refused a file of kernels.
    Compile {
        /// The file.
        file: &'static str,
        /// The architecture.
        arch: String,
        /// What the compiler said.
        log: String,
    },
    /// Device memory is full, even after everything kept for reuse was given back.
    OutOfMemory {
        /// Bytes that were asked for.
        wanted: usize,
        /// Bytes free on the device.
        free: usize,
        /// Bytes of the device.
        total: usize,
    },
    /// The driver refused a call, or an earlier kernel failed.
    Driver {
        /// What was being done.
        call: String,
        /// The driver's name for the error.
        code: String,
    },
    /// Shapes, lengths, axes or values that do not fit.
    Shape {
        /// The operation.
        op: &'static str,
        /// What does not fit.
        message: String,
    },
    /// The operation has no kernel for this element type or this device.
    Unsupported {
        /// The operation.
        op: &'static str,
        /// What is not supported.
        what: String,
    },
    /// A kernel found an index outside of what it points into. Learnt when the host next waits for the device.
    Index {
        /// The operation, which ran before.
        op: &'static str,
    },
    /// Something that a capture of a graph cannot have, such as waiting for the device.
    Capture {
        /// The operation.
        op: &'static str,
        /// What it would have done.
        what: String,
    },
    /// Buffers of two devices met in one operation.
    Devices {
        /// The operation.
        op: &'static str,
    },
}

impl Error {
    pub(crate) fn shape(op: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Shape { op, message }
    }

    /// The error of an operation whose result would not be that of a later replay.
    pub fn capture(op: &'static str, what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Capture { op, what }
    }

    pub(crate) fn dtype(op: &'static str, dtype: DType) -> Self {
        let what = format!("no kernel for {dtype}");
        Self::Unsupported { op, what }
    }
}

/// `13020` as `13.2`.
struct Version(i32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDriver => f.write_str(
                "cuda: no NVIDIA driver on this machine (libcuda was not found); use the CPU, or install the driver",
            ),
            Self::NoDevice { count: 0, .. } => f.write_str("cuda: the driver finds no GPU"),
            Self::NoDevice { ordinal, count } => write!(f, "cuda:{ordinal}: there are {count} devices, from cuda:0 on"),
            Self::OldDriver { driver, needed } => write!(
                f,
                "cuda: the driver supports CUDA {}, the compiler makes code for {}: update the driver, or point GRADUS_NVRTC at an \
                 older NVRTC",
                Version(*driver),
                Version(*needed)
            ),
            Self::OldDevice { name, capability: (major, minor) } => write!(
                f,
                "cuda: {name} has compute capability {major}.{minor}; the kernels need 8.0 (Ampere) or newer"
            ),
            Self::NoCompiler { detail } => write!(
                f,
                "cuda: no run-time compiler ({detail}); `pip install nvidia-cuda-nvrtc` and set GRADUS_NVRTC to the folder with \
                 libnvrtc"
            ),
            Self::Compile { file, arch, log } => write!(f, "cuda: {file} does not compile for {arch}:\n{log}"),
            Self::OutOfMemory { wanted, free, total } => {
                write!(f, "cuda: out of memory: {wanted} bytes asked for, {free} of {total} free")
            }
            Self::Driver { call, code } => write!(f, "cuda: {call}: {code}"),
            Self::Shape { op, message } => write!(f, "{op}: {message}"),
            Self::Unsupported { op, what } => write!(f, "{op} (cuda): {what}"),
            Self::Index { op } => write!(f, "{op}: an index is out of range; the GPU found it in an earlier call"),
            Self::Capture { op, what } => write!(f, "{op}: {what}, which a CUDA graph cannot record: do it outside of the capture"),
            Self::Devices { op } => write!(f, "{op}: operands on different devices"),
        }
    }
}

impl std::error::Error for Error {}

/// `Err` unless `got == want` elements; `what` names the buffer.
pub(crate) fn check_len(op: &'static str, what: &str, got: usize, want: usize) -> Result<()> {
    if got == want {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!("{what} has {got} elements, expected {want}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lack_has_its_own_words() {
        let all = [
            Error::NoDriver,
            Error::NoDevice {
                ordinal: 0,
                count: 0,
            },
            Error::NoDevice {
                ordinal: 3,
                count: 1,
            },
            Error::OldDriver {
                driver: 12040,
                needed: 13000,
            },
            Error::NoCompiler { detail: "x".into() },
            Error::OutOfMemory {
                wanted: 3,
                free: 2,
                total: 5,
            },
        ];
        let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        for (i, a) in texts.iter().enumerate() {
            assert!(texts[i + 1..].iter().all(|b| a != b), "{a}");
        }
        assert!(
            texts[3].contains("12.4") && texts[3].contains("13.0"),
            "{}",
            texts[3]
        );
    }
}
