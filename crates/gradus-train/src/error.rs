//! What can go wrong while training: one error type for files, data and tensors.
//!
//! Every message is one line, names the file or value it is about and, where there is one, the way out.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that went wrong while loading data, training or saving.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A tensor operation failed (shapes, dtypes, devices).
    Tensor(gradus_tensor::Error),
    /// Reading or writing a file failed.
    Io {
        /// What was being done, as in "read" or "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A file was read but is not what it should be.
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An argument or a data set does not make sense.
    Invalid(String),
    /// The user asked to stop (Ctrl-C or SIGTERM).
    Interrupted,
}

impl Error {
    /// An input/output error with the path it happened on.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// A file that is not what it should be.
    pub fn format(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Format {
            path: path.as_ref().to_owned(),
            problem: problem.into(),
        }
    }

    /// An argument that does not make sense.
    pub fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid(problem.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor(error) => error.fmt(f),
            Self::Io {
                action,
                path,
                source,
            } => write!(f, "cannot {action} {}: {source}", path.display()),
            Self::Format { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::Invalid(problem) => f.write_str(problem),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<gradus_tensor::Error> for Error {
    fn from(error: gradus_tensor::Error) -> Self {
        Self::Tensor(error)
    }
}
