//! Kernels from source to machine code: NVRTC to a cubin, with what the assembler says about it.
//!
//! The sources are in the binary (`include_str!`) and use no header of the toolkit. A file is compiled when one of its kernels is
//! first launched, to SASS of the device's own architecture, and kept on disk.

use std::ffi::{CStr, CString};

use cudarc::nvrtc::{result, sys};

use crate::{Error, Result, cache, library, manifest};

/// A header or a file of kernels.
pub(crate) struct Source {
    pub name: &'static str,
    pub text: &'static str,
}

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        &[$(Source { name: $name, text: include_str!(concat!("../kernels/", $name)) }),*]
    };
}

/// What kernels include.
pub(crate) const HEADERS: &[Source] = sources![
    "gr.cuh",
    "element.cuh",
    "hopper.cuh",
    "reduce.cuh",
    "special.cuh",
    "math.cuh",
    "gemm.cuh",
    "mma_tile.cuh",
    "conv.cuh",
    "attention.cuh",
];

/// The files of kernels.
pub(crate) const FILES: &[Source] = sources![
    "unary.cu",
    "binary.cu",
    "copy.cu",
    "reduce.cu",
    "softmax.cu",
    "norm.cu",
    "loss.cu",
    "embedding.cu",
    "scatter.cu",
    "scan.cu",
    "sort.cu",
    "random.cu",
    "optim.cu",
    "gemm_simt.cu",
    "gemm_mma.cu",
    "gemm_wgmma.cu",
    "attention_simt.cu",
    "attention_mma.cu",
    "conv.cu",
    "conv_mma.cu",
    "pool.cu",
    "resample.cu",
    "probe.cu",
    "probe_hopper.cu",
];

/// What the compiler is told. Division and roots are IEEE's, products and sums may be fused, and subnormal numbers are numbers, as on
/// the CPU; what may be approximate says so in the kernel (`gr_exp2`).
pub(crate) const OPTIONS: &[&str] = &["--std=c++17", "--ptxas-options=-v"];

/// A compiled file.
#[derive(Debug)]
pub struct Compiled {
    /// The machine code.
    pub cubin: Vec<u8>,
    /// What compiler and assembler said: warnings, registers, stack, spills. Empty if it came from the cache.
    pub log: String,
    /// The PTX it was made from. Empty if it came from the cache.
    pub ptx: String,
}

struct Program(sys::nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: made by nvrtcCreateProgram, and destroyed here only.
        let _ = unsafe { result::destroy_program(self.0) };
    }
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::NoCompiler {
        detail: "a source has a zero byte".into(),
    })
}

fn nvrtc(status: sys::nvrtcResult) -> Result<()> {
    status.result().map_err(|e| Error::NoCompiler {
        detail: format!("{e:?}"),
    })
}

fn find(file: &str) -> Result<&'static Source> {
    FILES
        .iter()
        .find(|s| s.name == file)
        .ok_or_else(|| Error::Unsupported {
            op: "compile",
            what: format!("there is no file {file}"),
        })
}

/// Compiles a file of kernels for an architecture (`sm_80`, `sm_90a`), without looking into the cache.
///
/// # Errors
/// [`Error::NoCompiler`], or [`Error::Compile`] with the compiler's words.
pub fn compile(file: &str, arch: &str, options: &[&str]) -> Result<Compiled> {
    library::compiler()?;
    let source = find(file)?;
    let text = c_string(source.text)?;
    let name = c_string(source.name)?;
    let table = manifest::header();
    let headers: Vec<(CString, CString)> = HEADERS
        .iter()
        .map(|h| (h.name, h.text))
        .chain([("manifest.cuh", table.as_str())])
        .map(|(n, t)| Ok((c_string(n)?, c_string(t)?)))
        .collect::<Result<_>>()?;
    let names: Vec<_> = headers.iter().map(|(n, _)| n.as_ptr()).collect();
    let texts: Vec<_> = headers.iter().map(|(_, t)| t.as_ptr()).collect();
    let mut program = std::ptr::null_mut();
    // SAFETY: all strings live until the program is destroyed (`program` below is dropped before them).
    nvrtc(unsafe {
        sys::nvrtcCreateProgram(
            &raw mut program,
            text.as_ptr(),
            name.as_ptr(),
            headers.len() as i32,
            texts.as_ptr(),
            names.as_ptr(),
        )
    })?;
    let program = Program(program);
    let arch_option = format!("--gpu-architecture={arch}");
    let all: Vec<&str> = OPTIONS
        .iter()
        .copied()
        .chain([arch_option.as_str()])
        .chain(options.iter().copied())
        .collect();
    // SAFETY (this and below): the program is alive.
    let compiled = unsafe { result::compile_program(program.0, &all) };
    let log = unsafe { result::get_program_log(program.0) }.unwrap_or_default();
    let log: Vec<u8> = log
        .iter()
        .map(|&c| c as u8)
        .take_while(|&c| c != 0)
        .collect();
    let log = String::from_utf8_lossy(&log).into_owned();
    if compiled.is_err() {
        return Err(Error::Compile {
            file: source.name,
            arch: arch.into(),
            log,
        });
    }
    let mut size = 0;
    nvrtc(unsafe { sys::nvrtcGetCUBINSize(program.0, &raw mut size) })?;
    let mut cubin = vec![0u8; size];
    // SAFETY: the buffer has the size NVRTC asked for.
    nvrtc(unsafe { sys::nvrtcGetCUBIN(program.0, cubin.as_mut_ptr().cast()) })?;
    let ptx = unsafe { result::get_ptx(program.0) }.unwrap_or_default();
    let ptx: Vec<u8> = ptx.iter().map(|&c| c as u8).collect();
    let ptx = CStr::from_bytes_until_nul(&ptx)
        .map(|c| c.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok(Compiled { cubin, log, ptx })
}

/// The option that compiles a file's kernels for f64 in place of the others.
pub const WIDE: &str = "--define-macro=GR_DOUBLE";

/// The cubin of a file for an architecture, all kernels but those for f64 or (`wide`) those: from the cache, or compiled and put there.
///
/// # Errors
/// As [`compile`].
pub fn cubin(file: &str, arch: &str, wide: bool) -> Result<Vec<u8>> {
    let options: &[&str] = if wide { &[WIDE] } else { &[] };
    let (major, minor) = library::compiler()?;
    let source = find(file)?;
    let version = format!("{major}.{minor}");
    let table = manifest::header();
    let mut parts: Vec<&str> = vec!["1", &version, arch, &table, source.text];
    parts.extend(OPTIONS);
    parts.extend(options);
    parts.extend(HEADERS.iter().map(|h| h.text));
    let key = cache::key(&parts);
    let folder = cache::folder();
    if let Some(cubin) = folder.as_deref().and_then(|f| cache::read(f, &key)) {
        return Ok(cubin);
    }
    let compiled = compile(file, arch, options)?;
    if let Some(folder) = folder {
        cache::write(&folder, &key, &compiled.cubin);
    }
    Ok(compiled.cubin)
}

/// Keeps compiled files in this folder from now on, or (`None`) nowhere; in place of `GRADUS_CUDA_CACHE` and the user's cache.
pub fn keep_in(folder: Option<std::path::PathBuf>) {
    cache::choose(folder);
}

/// What the compiler is told for every file, beside the architecture.
pub fn options() -> &'static [&'static str] {
    OPTIONS
}

/// The names of the files of kernels.
pub fn files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|s| s.name)
}
