//! Element types on the device, and which Rust type each is.

use std::fmt;

use half::{bf16, f16};

/// An element type of device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DType {
    F32,
    BF16,
    F16,
    I64,
    I32,
    U8,
    Bool,
    F64,
}

impl DType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::F32,
        Self::BF16,
        Self::F16,
        Self::I64,
        Self::I32,
        Self::U8,
        Self::Bool,
        Self::F64,
    ];
    /// The floating-point ones.
    pub const FLOATS: [Self; 4] = [Self::F32, Self::BF16, Self::F16, Self::F64];

    /// Its name: `"f32"`; also the suffix of a kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::BF16 => "bf16",
            Self::F16 => "f16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::U8 => "u8",
            Self::Bool => "bool",
            Self::F64 => "f64",
        }
    }

    /// Bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Self::I64 | Self::F64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::BF16 | Self::F16 => 2,
            Self::U8 | Self::Bool => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that lies in device memory as it lies in the host's. Sealed.
pub trait Element:
    sealed::Sealed + Copy + Send + Sync + Default + PartialEq + fmt::Debug + 'static
{
    /// Which one.
    const DTYPE: DType;
}

/// `f32`, `bf16` or `f16`, computed in `f32` and rounded once at the store; or `f64`, which fewer kernels have.
pub trait FloatElement: Element {}

macro_rules! elements {
    ($($t:ty => $d:ident),*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$d;
        }
    )*};
}
elements!(f32 => F32, bf16 => BF16, f16 => F16, i64 => I64, i32 => I32, u8 => U8, bool => Bool, f64 => F64);
impl FloatElement for f32 {}
impl FloatElement for bf16 {}
impl FloatElement for f16 {}
impl FloatElement for f64 {}
