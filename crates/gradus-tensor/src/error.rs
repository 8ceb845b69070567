//! The one error type: what went wrong, in which op, in which layer, and what to do about it.
//!
//! Not a backtrace and not an enum of a hundred cases: a *kind* (for programs) and a sentence (for people).
//! The sentence names the op and the shapes; [`ResultExt::in_layer`] adds the path of the layer as the error
//! travels up: `encoder.layers.3.attn: matmul: [8,197,768] x [512,768]: inner 768 != 512`.

use std::borrow::Cow;
use std::fmt;

/// `Result` with this crate's [`Error`] by default.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of mistake an [`Error`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Shapes, ranks or dimensions that do not fit together.
    Shape,
    /// An element type the op does not accept.
    DType,
    /// Tensors on different or unavailable devices.
    Device,
    /// An index outside its dimension.
    Index,
    /// An argument with a value the op does not accept.
    Value,
    /// An allocation that failed or can never succeed.
    Memory,
    /// The operating system refused a read or a write.
    Io,
    /// A file that is not what it should be.
    Format,
    /// Something asked for that this build does not do.
    Unsupported,
}

/// An error of any Gradus crate. Printing it gives one line: layer path, op, and what is wrong.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    layers: Vec<String>, // innermost first
    op: Cow<'static, str>,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(op: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, op, message)
        }
    )*};
}

impl Error {
    /// An error of the given kind from `op`; an empty `op` is not printed.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        op: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            layers: Vec::new(),
            op: op.into(),
            message: message.into(),
            source: None,
        }))
    }

    constructors! {
        /// Shapes do not fit.
        shape => Shape;
        /// An element type does not fit.
        dtype => DType;
        /// A device is missing or differs.
        device => Device;
        /// An index is out of range.
        index => Index;
        /// An argument's value is not accepted.
        value => Value;
        /// Memory could not be had.
        memory => Memory;
        /// A file's contents are wrong.
        format => Format;
        /// Not available in this build.
        unsupported => Unsupported;
    }

    /// An input/output error, with the path or the action in `message`.
    #[must_use]
    pub fn io(
        op: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        source: std::io::Error,
    ) -> Self {
        Self::new(ErrorKind::Io, op, message).with_source(source)
    }

    /// Attaches the error that caused this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Prefixes the name of a layer; called again further up it builds the path from the root.
    #[must_use]
    pub fn in_layer(mut self, layer: impl Into<String>) -> Self {
        self.0.layers.push(layer.into());
        self
    }

    /// Replaces the op's name, for ops that are written with other ops.
    #[must_use]
    pub fn in_op(mut self, op: impl Into<Cow<'static, str>>) -> Self {
        self.0.op = op.into();
        self
    }

    /// The sort of mistake.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The op that refused, as a user calls it.
    #[must_use]
    pub fn op(&self) -> &str {
        &self.0.op
    }

    /// The sentence, without op and layer.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The path of the layer, outermost first, joined by dots; empty outside any layer.
    #[must_use]
    pub fn layer(&self) -> String {
        let parts: Vec<&str> = self
            .0
            .layers
            .iter()
            .rev()
            .map(String::as_str)
            .filter(|s| !s.is_empty())
            .collect();
        parts.join(".")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = self.layer();
        if !layer.is_empty() {
            write!(f, "{layer}: ")?;
        }
        if !self.0.op.is_empty() {
            write!(f, "{}: ", self.0.op)?;
        }
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|e| e as &(dyn std::error::Error + 'static))
    }
}

impl From<gradus_cpu::Error> for Error {
    /// A kernel's refusal, under the same op.
    fn from(e: gradus_cpu::Error) -> Self {
        use gradus_cpu::Error as E;
        match e {
            E::Shape { op, message } => Error::shape(op, message),
            E::Unsupported { op, dtype } => {
                let other = if matches!(dtype, "f16" | "bf16" | "f32" | "f64") {
                    "I64"
                } else {
                    "F32"
                };
                Error::dtype(
                    op,
                    format!("not defined for {dtype}; convert with to_dtype(DType::{other}) first"),
                )
            }
            E::DivisionByZero { op } => Error::value(
                op,
                "whole numbers divided by zero; as floats (to_dtype(DType::F32)) the quotient is infinite",
            ),
            E::Index { op, index, size } if op.starts_with("cross_entropy") => Error::index(
                op,
                format!(
                    "target {index} is not one of {size} classes (0..={})",
                    size.saturating_sub(1)
                ),
            ),
            E::Index { op, index, size } if op.starts_with("embedding") => Error::index(
                op,
                format!(
                    "index {index} is not a row of the table, which has {size} (0..={})",
                    size.saturating_sub(1)
                ),
            ),
            E::Index { op, index, size } => {
                Error::index(op, crate::shape::outside(index, size, false))
            }
            other => Error::value("", other.to_string()),
        }
    }
}

/// Adds context to a `Result` on its way up.
pub trait ResultExt<T> {
    /// Prefixes the layer's name to the error, if there is one.
    fn in_layer(self, layer: impl Into<String>) -> Result<T>;
    /// Replaces the name of the op in the error, if there is one.
    fn in_op(self, op: &'static str) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn in_layer(self, layer: impl Into<String>) -> Result<T> {
        self.map_err(|e| e.in_layer(layer))
    }
    fn in_op(self, op: &'static str) -> Result<T> {
        self.map_err(|e| e.in_op(op))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_layer_op_and_message() {
        let e: Result<()> = Err(Error::shape(
            "matmul",
            "[8,768] x [512,768]: inner 768 != 512",
        ));
        let e = e
            .in_layer("attn")
            .in_layer("3")
            .in_layer("layers")
            .unwrap_err();
        assert_eq!(
            e.to_string(),
            "layers.3.attn: matmul: [8,768] x [512,768]: inner 768 != 512"
        );
        assert_eq!((e.kind(), e.op()), (ErrorKind::Shape, "matmul"));
    }

    #[test]
    fn is_one_word_and_thread_safe() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
