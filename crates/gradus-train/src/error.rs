//! Errors about files and arguments, in the house's one error type: one line that names the file or value.

use std::path::Path;

pub use gradus_tensor::{Error, ErrorKind, Result, ResultExt};

/// "cannot `action` `path`: the system's answer", as in `cannot open data/x.gz: No such file or directory`.
pub fn file_error(action: &str, path: impl AsRef<Path>, source: std::io::Error) -> Error {
    Error::io(
        "",
        format!("cannot {action} {}", path.as_ref().display()),
        source,
    )
}

/// "`path`: `problem`": a file that was read but is not what it should be.
pub fn bad_file(path: impl AsRef<Path>, problem: impl std::fmt::Display) -> Error {
    Error::format("", format!("{}: {problem}", path.as_ref().display()))
}

/// An argument or a data set that does not make sense; the text says what would.
pub fn invalid(problem: impl Into<String>) -> Error {
    Error::value("", problem)
}
