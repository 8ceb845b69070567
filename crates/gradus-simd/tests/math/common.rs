//! What the tests of the maths share: a kernel per function, arguments, ULP distances, a reader for the reference vectors.

use gradus_simd::{Float, Isa, IsaName, Kernel, dispatch_on, map, math, zip_map};

macro_rules! functions {
    ($($variant:ident => $function:ident),* $(,)?) => {
        /// A function of one argument.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum Function { $($variant),* }

        impl Function {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// As the reference vectors spell it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($function)),* }
            }
        }

        impl<T: Float> Kernel for Apply<'_, T> {
            type Output = ();
            #[inline(always)]
            fn run<S: Isa>(self, isa: S) {
                let Self(f, x, y) = self;
                match f {
                    $(Function::$variant => map::<S, T>(isa, x, y, #[inline(always)] |x| math::$function::<S, T>(isa, x)),)*
                }
            }
        }
    };
}

/// `y = f(x)`.
pub struct Apply<'a, T>(pub Function, pub &'a [T], pub &'a mut [T]);

functions! {
    Exp => exp, Exp2 => exp2, Expm1 => expm1, Ln => ln, Log2 => log2, Log10 => log10, Log1p => log1p,
    Tanh => tanh, Sinh => sinh, Cosh => cosh, Asinh => asinh, Acosh => acosh, Atanh => atanh,
    Sigmoid => sigmoid, Silu => silu, Softplus => softplus, GeluTanh => gelu_tanh, Mish => mish,
    Erf => erf, Erfc => erfc, Gelu => gelu, Rsqrt => rsqrt,
    Sin => sin, Cos => cos, Tan => tan, Asin => asin, Acos => acos, Atan => atan,
    Lgamma => lgamma, Digamma => digamma, Erfinv => erfinv,
    GeluSlope => gelu_slope, GeluTanhSlope => gelu_tanh_slope, SiluSlope => silu_slope,
}

impl Function {
    /// The largest error there may be beside 1 where the function crosses 0.
    pub fn floor(self) -> f64 {
        match self {
            Self::GeluSlope | Self::GeluTanhSlope | Self::SiluSlope => 1.5e-7,
            _ => 0.0,
        }
    }
    /// The largest error the issue allows, in ULP.
    pub fn bound(self) -> f64 {
        match self {
            Self::Exp
            | Self::Exp2
            | Self::Expm1
            | Self::Ln
            | Self::Log2
            | Self::Log10
            | Self::Log1p
            | Self::Tanh
            | Self::Erf => 1.0,
            _ => 2.0,
        }
    }
}

/// `f(x)` on one instruction set.
pub fn apply<T: Float>(isa: IsaName, f: Function, x: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    dispatch_on(isa, Apply(f, x, &mut y)).unwrap();
    y
}

/// `z = pow(x, y)`, or `atan2`.
pub struct Two<'a, T>(pub bool, pub &'a [T], pub &'a [T], pub &'a mut [T]);

impl<T: Float> Kernel for Two<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self(is_pow, x, y, z) = self;
        if is_pow {
            zip_map::<S, T>(
                isa,
                x,
                y,
                z,
                #[inline(always)]
                |x, y| math::pow::<S, T>(isa, x, y),
            );
        } else {
            zip_map::<S, T>(
                isa,
                x,
                y,
                z,
                #[inline(always)]
                |x, y| math::atan2::<S, T>(isa, x, y),
            );
        }
    }
}

/// The error of `got` in units of the last place of the exact value `hi + lo`, a double-double.
pub fn ulps<T: Float>(got: T, hi: f64, lo: f64) -> f64 {
    let got = got.to_f64();
    if got == hi && lo == 0.0 || got.is_nan() && hi.is_nan() {
        return 0.0;
    }
    let max = T::MAX.to_f64();
    if hi.abs() > max || got.is_infinite() {
        // Past the largest value, infinity is right; next to it, it is an ULP off.
        let rounded = T::from_f64(hi).to_f64();
        let next_to_it = hi.abs() > max * (1.0 - 2.0 * T::EPSILON.to_f64());
        return if got == rounded {
            0.0
        } else if next_to_it {
            1.0
        } else {
            f64::INFINITY
        };
    }
    if hi.is_nan() || got.is_nan() {
        return f64::INFINITY;
    }
    let exponent = ((hi.abs().to_bits() >> 52) as i32 - 1023).max(1 - T::EXPONENT_BIAS);
    // error / 2^(exponent - mantissa bits), in two steps that neither overflow nor underflow
    let shift = T::MANTISSA_BITS as i32 - exponent;
    let power = |n: i32| f64::from_bits(((n + 1023) as u64) << 52);
    ((got - hi) - lo).abs() * power(shift / 2) * power(shift - shift / 2)
}

/// Bits, with one NaN for all.
pub fn bits<T: Float>(y: &[T]) -> Vec<u64> {
    y.iter()
        .map(|y| {
            if y.is_nan() {
                u64::MAX
            } else {
                y.to_f64().to_bits()
            }
        })
        .collect()
}

/// Arguments over all exponents, both signs.
pub fn spread<T: Float>(n: u64) -> Vec<T> {
    let width = if T::MANTISSA_BITS == 23 { 32 } else { 64 };
    (0..n)
        .map(|i| {
            let bits = i
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(17)
                .wrapping_mul(0xBF58_476D_1CE4_E5B9)
                >> (64 - width);
            let x = if width == 32 {
                f64::from(f32::from_bits(bits as u32))
            } else {
                f64::from_bits(bits)
            };
            // half of them where the functions bend
            T::from_f64(if i % 2 == 0 {
                x
            } else {
                (bits % 2_000_003) as f64 / 50_000.0 - 20.0
            })
        })
        .collect()
}

/// Reads one tensor's bytes out of a safetensors file: enough of a parser for the reference vectors.
pub fn tensor<'a>(file: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let text = std::str::from_utf8(&file[8..8 + header]).unwrap();
    let entry = &text[text.find(&format!("\"{name}\":"))?..];
    let offsets = &entry[entry.find("\"data_offsets\"")?..];
    let offsets = &offsets[offsets.find('[')? + 1..offsets.find(']')?];
    let (from, to) = offsets.split_once(',')?;
    let (from, to): (usize, usize) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    Some(&file[8 + header + from..8 + header + to])
}

/// Little-endian f32s.
pub fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// Little-endian f64s.
pub fn f64s(bytes: &[u8]) -> Vec<f64> {
    bytes
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// The file of the reference vectors, or a line that says it is skipped.
pub fn vectors(file: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("GRADUS_VECTORS") else {
        println!("skipped: no GRADUS_VECTORS");
        return None;
    };
    Some(std::fs::read(std::path::Path::new(&folder).join(file)).unwrap())
}
