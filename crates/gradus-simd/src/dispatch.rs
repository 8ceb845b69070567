//! Run-time choice of the instruction set.
//!
//! What it is: detection once per process, `GRADUS_ISA` to force a lower one (or [`with_isa`] for a while), and the
//! `#[target_feature]` functions in which a kernel is instantiated and inlined. What it is not: a per-function
//! multiversioning macro: a [`Kernel`] is a plain struct with a generic `run`.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::backend::scalar::Scalar;
use crate::isa::Isa;

#[cfg(target_arch = "aarch64")]
use crate::backend::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::backend::{avx2::Avx2, avx512::Avx512};

/// A computation written once for every ISA. Mark `run`, and all it calls, `#[inline(always)]`: only what is inlined
/// into the dispatcher's `#[target_feature]` function is compiled with the ISA's instructions.
pub trait Kernel {
    /// What the computation gives back.
    type Output;
    /// Runs on `isa`.
    fn run<S: Isa>(self, isa: S) -> Self::Output;
}

/// The name of an instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IsaName {
    /// One lane, plain Rust.
    Scalar,
    /// x86-64 AVX2 with FMA.
    Avx2,
    /// x86-64 AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX-512, and AMX tiles for bf16 and `f32` matrix products (see the module `amx`, on x86-64). What is no matrix
    /// product runs as on [`IsaName::Avx512`].
    Amx,
    /// AArch64 Advanced SIMD.
    Neon,
}

impl IsaName {
    /// As `GRADUS_ISA` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
            Self::Neon => "neon",
        }
    }
}

impl fmt::Display for IsaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IsaName {
    type Err = IsaError;
    fn from_str(s: &str) -> Result<Self, IsaError> {
        [
            Self::Scalar,
            Self::Avx2,
            Self::Avx512,
            Self::Amx,
            Self::Neon,
        ]
        .into_iter()
        .find(|isa| isa.as_str().eq_ignore_ascii_case(s.trim()))
        .ok_or_else(|| IsaError::Unknown(s.to_owned()))
    }
}

/// The instruction set asked for is not on this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnavailableIsa(pub IsaName);

impl fmt::Display for UnavailableIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let have: Vec<_> = available().iter().map(|isa| isa.as_str()).collect();
        write!(
            f,
            "instruction set `{}` is not available on this processor; available: {}",
            self.0,
            have.join(", ")
        )
    }
}

impl std::error::Error for UnavailableIsa {}

/// What is wrong with the value of `GRADUS_ISA`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsaError {
    /// Not the name of an instruction set.
    Unknown(String),
    /// A name, but of one this processor lacks.
    Unavailable(UnavailableIsa),
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(
                    f,
                    "GRADUS_ISA: unknown instruction set `{name}`; use scalar, avx2, avx512, amx or neon"
                )
            }
            Self::Unavailable(e) => write!(f, "GRADUS_ISA: {e}"),
        }
    }
}

impl std::error::Error for IsaError {}

/// The instruction sets of this processor, the lowest first; the scalar one is always there.
pub fn available() -> &'static [IsaName] {
    static AVAILABLE: OnceLock<Vec<IsaName>> = OnceLock::new();
    AVAILABLE.get_or_init(|| {
        #[allow(unused_mut)] // where scalar is all there is
        let mut isas = vec![IsaName::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            isas.extend(Avx2::new().map(|_| IsaName::Avx2));
            isas.extend(Avx512::new().map(|_| IsaName::Avx512));
            let amx = Avx512::new().is_some() && crate::amx::is_available();
            isas.extend(amx.then_some(IsaName::Amx));
        }
        #[cfg(target_arch = "aarch64")]
        isas.push(IsaName::Neon);
        isas
    })
}

/// Reads `GRADUS_ISA` and picks the instruction set of every later [`dispatch`]. Commands call it first, so that a bad
/// value is an error and not a silent fallback; calling it again, or not at all, is fine.
///
/// # Errors
/// If `GRADUS_ISA` is set to an unknown name or to one this processor lacks.
pub fn init() -> Result<IsaName, IsaError> {
    choice().clone()
}

/// What [`dispatch`] uses now: an [`IsaName`] plus one, 0 before it was asked for the first time.
static CURRENT: AtomicU8 = AtomicU8::new(0);

/// The instruction set [`dispatch`] uses: that of `GRADUS_ISA` if it is good, else the highest available; inside
/// [`with_isa`], the one given there.
#[inline]
pub fn current() -> IsaName {
    match CURRENT.load(Ordering::Relaxed) {
        1 => IsaName::Scalar,
        2 => IsaName::Avx2,
        3 => IsaName::Avx512,
        4 => IsaName::Amx,
        5 => IsaName::Neon,
        _ => first_choice(),
    }
}

#[cold]
fn first_choice() -> IsaName {
    let isa = choice().clone().unwrap_or_else(|_| best());
    // If another thread was faster, what it stored stays.
    let stored = CURRENT.compare_exchange(0, isa as u8 + 1, Ordering::Relaxed, Ordering::Relaxed);
    if stored.is_ok() { isa } else { current() }
}

/// Runs `f` while every [`dispatch`] of the process, on any thread, uses `isa`: how tests and benches compare whole
/// kernels between instruction sets. Calls take turns, so a call inside another one would wait for ever. Work that other
/// threads do meanwhile runs on `isa` too, which is as right and perhaps slower.
///
/// ```
/// use gradus_simd::{IsaName, current, with_isa};
/// let before = current();
/// assert_eq!(with_isa(IsaName::Scalar, current), Ok(IsaName::Scalar));
/// assert_eq!(current(), before);
/// ```
///
/// # Errors
/// If the processor lacks it; `f` is then not called.
pub fn with_isa<R>(isa: IsaName, f: impl FnOnce() -> R) -> Result<R, UnavailableIsa> {
    static TURN: Mutex<()> = Mutex::new(());
    struct Restore(IsaName);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.store(self.0 as u8 + 1, Ordering::Relaxed);
        }
    }
    if !available().contains(&isa) {
        return Err(UnavailableIsa(isa));
    }
    // A turn that ended in a panic has still restored what was.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _restore = Restore(current());
    CURRENT.store(isa as u8 + 1, Ordering::Relaxed);
    Ok(f())
}

fn choice() -> &'static Result<IsaName, IsaError> {
    static CHOICE: OnceLock<Result<IsaName, IsaError>> = OnceLock::new();
    CHOICE.get_or_init(|| match std::env::var_os("GRADUS_ISA") {
        Some(name) if !name.is_empty() => parse(&name.to_string_lossy()),
        _ => Ok(best()),
    })
}

fn best() -> IsaName {
    available().last().copied().unwrap_or(IsaName::Scalar)
}

/// The available instruction set called `name`.
fn parse(name: &str) -> Result<IsaName, IsaError> {
    let isa: IsaName = name.parse()?;
    if available().contains(&isa) {
        Ok(isa)
    } else {
        Err(IsaError::Unavailable(UnavailableIsa(isa)))
    }
}

/// Runs the kernel on the [`current`] instruction set. Never panics of itself.
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match current() {
        // SAFETY: the token was detected.
        #[cfg(target_arch = "x86_64")]
        IsaName::Amx | IsaName::Avx512 if let Some(isa) = Avx512::new() => unsafe {
            run_avx512(isa, kernel)
        },
        // SAFETY: the token was detected.
        #[cfg(target_arch = "x86_64")]
        IsaName::Avx2 if let Some(isa) = Avx2::new() => unsafe { run_avx2(isa, kernel) },
        #[cfg(target_arch = "aarch64")]
        IsaName::Neon => kernel.run(Neon::new()),
        // `current` gives only what is available: this is the scalar one.
        _ => kernel.run(Scalar),
    }
}

/// Runs the kernel on the given instruction set, for callers that choose it once for several kernels, and for tests.
///
/// # Errors
/// If the processor lacks it.
pub fn dispatch_on<K: Kernel>(isa: IsaName, kernel: K) -> Result<K::Output, UnavailableIsa> {
    match isa {
        IsaName::Scalar => Ok(kernel.run(Scalar)),
        // SAFETY: the token was detected.
        #[cfg(target_arch = "x86_64")]
        IsaName::Amx
            if let Some(isa) = Avx512::new()
                && crate::amx::is_available() =>
        {
            Ok(unsafe { run_avx512(isa, kernel) })
        }
        // SAFETY: the token was detected.
        #[cfg(target_arch = "x86_64")]
        IsaName::Avx512 if let Some(isa) = Avx512::new() => Ok(unsafe { run_avx512(isa, kernel) }),
        // SAFETY: the token was detected.
        #[cfg(target_arch = "x86_64")]
        IsaName::Avx2 if let Some(isa) = Avx2::new() => Ok(unsafe { run_avx2(isa, kernel) }),
        #[cfg(target_arch = "aarch64")]
        IsaName::Neon => Ok(kernel.run(Neon::new())),
        _ => Err(UnavailableIsa(isa)),
    }
}

/// # Safety
/// The token is the proof that the features are there.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(isa: Avx2, kernel: K) -> K::Output {
    kernel.run(isa)
}

/// Runs a kernel by AVX-512 with the instruction behind `dot_pairs`; `None` where [`multiplies_bf16`] says no.
///
/// [`multiplies_bf16`]: crate::multiplies_bf16
pub fn dispatch_pairs<K: Kernel>(kernel: K) -> Option<K::Output> {
    #[cfg(target_arch = "x86_64")]
    if crate::multiplies_bf16(IsaName::Avx512)
        && let Some(isa) = Avx512::new()
    {
        // SAFETY: the token proves AVX-512, and `multiplies_bf16` its dot product.
        return Some(unsafe { run_avx512_pairs(isa, kernel) });
    }
    let _ = kernel;
    None
}

/// # Safety
/// The processor has these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn run_avx512_pairs<K: Kernel>(isa: Avx512, kernel: K) -> K::Output {
    kernel.run(isa)
}

/// # Safety
/// The token is the proof that the features are there.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run_avx512<K: Kernel>(isa: Avx512, kernel: K) -> K::Output {
    kernel.run(isa)
}
