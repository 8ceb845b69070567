//! The one error type of the kernels: which operation, and what was wrong with what it was given.

use std::fmt;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a kernel refused its arguments. Each names the operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Shapes, lengths or axes that do not fit together, or are too large.
    Shape {
        /// The operation.
        op: &'static str,
        /// What does not fit.
        message: String,
    },
    /// The operation does not exist for this element type (as in PyTorch).
    Unsupported {
        /// The operation.
        op: &'static str,
        /// The element type's name.
        dtype: &'static str,
    },
    /// An integer division or remainder by zero.
    DivisionByZero {
        /// The operation.
        op: &'static str,
    },
    /// An index outside `0..size`.
    Index {
        /// The operation.
        op: &'static str,
        /// The offending index.
        index: i64,
        /// The size of the indexed axis.
        size: usize,
    },
}

impl Error {
    /// A [`Error::Shape`].
    pub fn shape(op: &'static str, message: impl Into<String>) -> Self {
        Self::Shape {
            op,
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { op, message } => write!(f, "{op}: {message}"),
            Self::Unsupported { op, dtype } => write!(f, "{op}: not defined for {dtype}"),
            Self::DivisionByZero { op } => write!(f, "{op}: integer division by zero"),
            Self::Index { op, index, size } => {
                write!(f, "{op}: index {index} is out of range for size {size}")
            }
        }
    }
}

impl std::error::Error for Error {}

/// A shape as errors print it: `[2,3]`.
pub(crate) fn sizes(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", sizes.join(","))
}

/// `Err` unless `got == want` elements; `what` names the slice.
pub(crate) fn check_len(op: &'static str, what: &str, got: usize, want: usize) -> Result<()> {
    if got == want {
        Ok(())
    } else {
        Err(Error::shape(
            op,
            format!("{what} has {got} elements, expected {want}"),
        ))
    }
}
