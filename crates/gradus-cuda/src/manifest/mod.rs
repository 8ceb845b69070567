//! The manifest: every kernel's name, parameters, block and limits, written once.
//!
//! From it come the structs that launch kernels (a field for each parameter, by name), the header that declares the kernels' parameters
//! to the compiler (a kernel's file writes only its body), the checks of what the compiler makes of them, and the emulation's table. So
//! the order of arguments exists in one place and cannot drift.
//!
//! An entry, `name [types] (parameters) block(threads, blocks) regs(cap) …`:
//! * `types`: a kernel for each, `name_f32`, …, whose parameters may say `T`; `[]` is one kernel, `name`.
//! * parameters: `In<T>`, `Out<T>`, `InOut<T>` are pointers, which alias nothing but for `InOut`; `Opt<T>` may be null; the others are values.
//! * `block`: threads of a block, and how many blocks a multiprocessor shall hold (which bounds registers).
//! * `regs`: registers a thread may take, on any architecture; checked, as are spills (never) and the stack (`stack(bytes)`, else none).
//!   `wide(registers, stack)`: those of the kernels for f64 and i64, where they take more.
//! * `shared(bytes)`: the most dynamic shared memory; `hopper`: for sm_90a only; `uses("…")`: instructions that must be found.

mod operations;
mod table;

use std::ffi::c_void;
use std::fmt::Write as _;

use crate::DType;

pub use operations::{BinaryOp, CompareOp, ReduceOp, ScanOp, TernaryOp, UnaryOp};
pub use table::KERNELS;
pub(crate) use table::*;

/// A device address as a kernel takes it; 0 is null.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ptr(pub u64);

impl Ptr {
    pub(crate) const NULL: Self = Self(0);
}

impl<T: crate::Element> From<&crate::Buffer<T>> for Ptr {
    fn from(buffer: &crate::Buffer<T>) -> Self {
        Self(buffer.address())
    }
}

impl<T: crate::Element> From<&mut crate::Buffer<T>> for Ptr {
    fn from(buffer: &mut crate::Buffer<T>) -> Self {
        Self(buffer.address())
    }
}

/// How one to three operands of a common shape lie: `Layout` of element.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub rank: i32,
    pub sizes: [u32; 8],
    pub strides: [[i64; 8]; 3],
}

/// A matrix product: `Gemm` of gemm.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gemm {
    pub m: i32,
    pub n: i32,
    pub k: i32,
    pub inner_batch: i32,
    pub a_row: i64,
    pub a_column: i64,
    pub b_row: i64,
    pub b_column: i64,
    pub a_batch: [i64; 2],
    pub b_batch: [i64; 2],
    pub alpha: f32,
    pub activation: i32,
    pub bias: i32,
}

/// Attention: `Attention` of attention.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attention {
    pub batch: i32,
    pub heads: i32,
    pub key_heads: i32,
    pub queries: i32,
    pub keys: i32,
    pub width: i32,
    pub q: [i64; 3],
    pub k: [i64; 3],
    pub v: [i64; 3],
    pub dy: [i64; 3],
    pub mask: [i64; 4],
    pub scale: f32,
    pub causal: i32,
}

/// A convolution over images: `Conv` of conv.cu. Channels and outputs are of a group.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conv {
    pub batch: i32,
    pub groups: i32,
    pub channels: i32,
    pub outputs: i32,
    pub input: [i32; 2],
    pub kernel: [i32; 2],
    pub output: [i32; 2],
    pub stride: [i32; 2],
    pub padding: [i32; 2],
    pub dilation: [i32; 2],
    pub pieces: i32,
}

/// A pooling over images: `Pool` of pool.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pool {
    pub planes: i32,
    pub inner: i32,
    pub input: [i32; 2],
    pub output: [i32; 2],
    pub kernel: [i32; 2],
    pub stride: [i32; 2],
    pub padding: [i32; 2],
    pub dilation: [i32; 2],
    pub adaptive: i32,
    pub include_padding: i32,
    pub divisor: f32,
}

/// Windows over volumes: `Volume` of resample.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Volume {
    pub planes: i32,
    pub input: [i32; 3],
    pub output: [i32; 3],
    pub kernel: [i32; 3],
    pub stride: [i32; 3],
    pub padding: [i32; 3],
    pub dilation: [i32; 3],
    pub adaptive: i32,
}

/// What cuTensorMapEncodeTiled fills: `TensorMap` of hopper.cuh.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct TensorMap(pub [u64; 16]);

/// The Rust types behind the words of the table.
pub(crate) mod kinds {
    #![allow(non_camel_case_types)]
    pub type In = super::Ptr;
    pub type Out = super::Ptr;
    pub type InOut = super::Ptr;
    pub type Opt = super::Ptr;
    pub type OptOut = super::Ptr;
    pub type Attention = super::Attention;
    pub type Conv = super::Conv;
    pub type Gemm = super::Gemm;
    pub type Pool = super::Pool;
    pub type Layout = super::Layout;
    pub type Volume = super::Volume;
    pub type TensorMap = super::TensorMap;
    pub type i32 = core::primitive::i32;
    pub type i64 = core::primitive::i64;
    pub type u64 = core::primitive::u64;
    pub type f32 = core::primitive::f32;
    pub type f64 = core::primitive::f64;
}

/// A parameter of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// `In`, `Out`, …, or the type of a value.
    pub kind: &'static str,
    /// Of a pointer: what it points to; `T` is the kernel's type.
    pub element: &'static str,
}

impl Parameter {
    /// Its declaration.
    fn declaration(&self) -> String {
        let element = match self.element {
            "f32" => "float",
            "i32" => "int",
            "Byte" => "u8",
            other => other,
        };
        let value = match self.kind {
            "i32" => "int",
            "f32" => "float",
            "f64" => "double",
            other => other,
        };
        let name = self.name;
        match self.kind {
            "In" | "Opt" => format!("const {element}* __restrict__ {name}"),
            "Out" | "OptOut" => format!("{element}* __restrict__ {name}"),
            "InOut" => format!("{element}* {name}"),
            "Attention" | "Conv" | "Gemm" | "Layout" | "Pool" | "TensorMap" | "Volume" => {
                format!("const GRID {value} {name}")
            }
            _ => format!("{value} {name}"),
        }
    }
}

/// An entry of the table.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Its name, without the type's.
    pub name: &'static str,
    /// The file that has its body.
    pub file: &'static str,
    /// The types it exists for; none for one that has no type.
    pub dtypes: &'static [DType],
    /// Its parameters, in order.
    pub parameters: &'static [Parameter],
    /// Threads of a block.
    pub block: u32,
    /// Blocks a multiprocessor shall hold.
    pub blocks: u32,
    /// Registers a thread may take.
    pub registers: u32,
    /// Bytes of stack a thread may take.
    pub stack: u32,
    /// Registers and stack that the kernels for f64 and i64 may take.
    pub wide: (u32, u32),
    /// The most dynamic shared memory of a launch.
    pub shared: u32,
    /// Whether it is for sm_90a only.
    pub hopper: bool,
    /// Instructions that must be in its code.
    pub uses: &'static [&'static str],
}

impl Info {
    /// The name of the kernel for a type.
    pub fn symbol(&self, dtype: DType) -> Option<String> {
        match self.dtypes {
            [] => Some(self.name.into()),
            all if all.contains(&dtype) => Some(format!("{}_{dtype}", self.name)),
            _ => None,
        }
    }

    /// The names of all its kernels.
    pub fn symbols(&self) -> Vec<String> {
        [false, true].map(|wide| self.part(wide)).concat()
    }

    /// The names of those that are compiled with the file, or (`wide`) those for f64, which are compiled apart.
    pub fn part(&self, wide: bool) -> Vec<String> {
        match self.dtypes {
            [] if wide => Vec::new(),
            [] => vec![self.name.into()],
            all => {
                let part = all.iter().filter(|d| (**d == DType::F64) == wide);
                part.map(|d| format!("{}_{d}", self.name)).collect()
            }
        }
    }
}

/// A kernel with its arguments.
pub(crate) trait Kernel {
    const INFO: &'static Info;
    /// Pointers to the arguments, in order.
    fn arguments(&self) -> Vec<*mut c_void>;
}

/// Writes the structs and the list; see the module's words.
macro_rules! kernels {
    ($($file:literal: $(
        $(#[$doc:meta])*
        $name:ident [$($dtype:ident),*] ($($p:ident: $kind:ident $(<$element:ident>)?),* $(,)?)
        block($block:literal, $blocks:literal) regs($regs:literal)
        $(stack($stack:literal))? $(wide($wide:literal, $wide_stack:literal))? $(shared($shared:literal))? $(hopper($hopper:literal))? $(uses($($uses:literal),*))?;
    )*)*) => {
        $($(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            #[allow(non_camel_case_types, non_snake_case)]
            pub(crate) struct $name { $(pub $p: $crate::manifest::kinds::$kind),* }

            impl $crate::manifest::Kernel for $name {
                const INFO: &'static $crate::manifest::Info = &$crate::manifest::Info {
                    name: stringify!($name),
                    file: $file,
                    dtypes: &[$($crate::DType::$dtype),*],
                    parameters: &[$($crate::manifest::Parameter {
                        name: stringify!($p),
                        kind: stringify!($kind),
                        element: concat!($(stringify!($element))?),
                    }),*],
                    block: $block,
                    blocks: $blocks,
                    registers: $regs,
                    stack: 0 $(+ $stack)?,
                    wide: {
                        #[allow(unused_mut, unused_assignments)]
                        let mut wide = ($regs, 0 $(+ $stack)?);
                        $(wide = ($wide, $wide_stack);)?
                        wide
                    },
                    shared: 48 * 1024 $(- 48 * 1024 + $shared)?,
                    hopper: false $(|| $hopper)?,
                    uses: &[$($($uses),*)?],
                };
                fn arguments(&self) -> Vec<*mut std::ffi::c_void> {
                    vec![$((&raw const self.$p).cast_mut().cast()),*]
                }
            }
        )*)*
        /// Every kernel there is.
        pub const KERNELS: &[&$crate::manifest::Info] = &[$($(<$name as $crate::manifest::Kernel>::INFO),*),*];
    };
}
pub(crate) use kernels;

/// The header `manifest.cuh`: parameters and bounds of every kernel, and the numbers of the operations.
pub fn header() -> String {
    let mut out = String::from("// Written by src/manifest.\n#pragma once\n");
    operations::declare(&mut out);
    for info in KERNELS {
        let parameters: Vec<String> = info.parameters.iter().map(Parameter::declaration).collect();
        let _ = writeln!(
            out,
            "#define GR_PARAMETERS_{}(T, GRID) {}",
            info.name,
            parameters.join(", ")
        );
        let _ = writeln!(
            out,
            "#define GR_BOUNDS_{} {}, {}",
            info.name, info.block, info.blocks
        );
    }
    out
}

/// Whether a file has kernels for f64.
pub fn has_wide(file: &str) -> bool {
    let mut kernels = KERNELS.iter().filter(|k| k.file == file);
    kernels.any(|k| k.dtypes.contains(&DType::F64))
}

/// The lines that put a file's kernels into the emulation's table: all but those for f64, or (`wide`) those.
pub fn emulation_table(file: &str, wide: bool) -> String {
    let mut out = String::new();
    for info in KERNELS.iter().filter(|k| k.file == file) {
        for symbol in info.part(wide) {
            let _ = writeln!(out, "GR_ENLIST({symbol}, {})", info.block);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_files_exist() {
        let mut names = HashSet::new();
        for info in KERNELS {
            assert!(
                crate::compiler::files().any(|f| f == info.file),
                "{}",
                info.file
            );
            for symbol in info.symbols() {
                assert!(names.insert(symbol.clone()), "{symbol} twice");
            }
            assert!(info.block % 32 == 0 && info.block <= 1024, "{}", info.name);
        }
        for file in crate::compiler::files() {
            assert!(
                KERNELS.iter().any(|k| k.file == file),
                "{file} has no kernel"
            );
        }
    }

    #[test]
    fn parameters_are_declared_in_order() {
        let text = header();
        let line = text
            .lines()
            .find(|l| l.contains("GR_PARAMETERS_softmax("))
            .unwrap();
        assert!(
            line.ends_with(
                "const T* __restrict__ x, T* __restrict__ y, i64 rows, int columns, int log"
            ),
            "{line}"
        );
    }
}
