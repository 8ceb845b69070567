//! One file per instruction set, each implementing the traits of [`crate::isa`].

pub(crate) mod scalar;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_moves;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_moves;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

/// Implements the listed operators of a vector newtype by one intrinsic each: `operators!(F32x8: Add::add = _mm256_add_ps, …)`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! operators {
    ($t:ident: $($op:ident::$method:ident = $intrinsic:path),* $(,)?) => {$(
        impl std::ops::$op for $t {
            type Output = Self;
            #[inline(always)]
            fn $method(self, o: Self) -> Self {
                // SAFETY: a value of this type exists only where its token did, so the instruction exists.
                Self(unsafe { $intrinsic(self.0, o.0) })
            }
        }
    )*};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use operators;

/// Methods of a vector newtype that are one intrinsic each, by what they give: `methods!(Self: sqrt() = _mm256_sqrt_ps, …;
/// M32x8: eq(o) = …;)`. The vectors named are the arguments after `self`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! methods {
    ($($out:ident: $($method:ident($($arg:ident),*) = $intrinsic:expr),+;)+) => {$($(
        #[inline(always)]
        fn $method(self $(, $arg: Self)*) -> $out {
            // SAFETY: a value of this type exists only where its token did, so the instruction exists.
            $out(unsafe { $intrinsic(self.0 $(, $arg.0)*) })
        }
    )+)+};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use methods;
