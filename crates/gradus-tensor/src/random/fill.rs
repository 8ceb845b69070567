//! How [`Rng`] fills each float type with uniform and normal numbers.

use half::{bf16, f16};

use super::Rng;

/// How [`Rng`] fills each float type.
pub(super) trait Fill: Copy + Default + PartialEq {
    fn fill_uniform(rng: &mut Rng, out: &mut [Self]);
    fn fill_normal(rng: &mut Rng, out: &mut [Self]);
    /// `x * scale + shift`, rounded to this type.
    fn affine(x: Self, scale: f64, shift: f64) -> Self;
}

impl Fill for f32 {
    fn fill_uniform(rng: &mut Rng, out: &mut [Self]) {
        rng.fill_uniform_f32(out);
    }
    fn fill_normal(rng: &mut Rng, out: &mut [Self]) {
        rng.fill_normal_f32(out);
    }
    fn affine(x: Self, scale: f64, shift: f64) -> Self {
        (f64::from(x) * scale + shift) as f32
    }
}

impl Fill for f64 {
    fn fill_uniform(rng: &mut Rng, out: &mut [Self]) {
        rng.fill_uniform_f64(out);
    }
    fn fill_normal(rng: &mut Rng, out: &mut [Self]) {
        rng.fill_normal_f64(out);
    }
    fn affine(x: Self, scale: f64, shift: f64) -> Self {
        x * scale + shift
    }
}

/// The halves: through f32, a chunk at a time. Uniform numbers are cut to the bits the type has, so that none rounds up to 1.
macro_rules! half {
    ($($t:ty),*) => {$(
        impl Fill for $t {
            fn fill_uniform(rng: &mut Rng, out: &mut [Self]) {
                let steps = (1u32 << <$t>::MANTISSA_DIGITS) as f32;
                through_f32(out, |x| rng.fill_uniform_f32(x), |x| <$t>::from_f32((x * steps).floor() / steps));
            }
            fn fill_normal(rng: &mut Rng, out: &mut [Self]) {
                through_f32(out, |x| rng.fill_normal_f32(x), <$t>::from_f32);
            }
            fn affine(x: Self, scale: f64, shift: f64) -> Self {
                <$t>::from_f64(x.to_f64() * scale + shift)
            }
        }
    )*};
}
half!(f16, bf16);

fn through_f32<T>(out: &mut [T], mut fill: impl FnMut(&mut [f32]), round: impl Fn(f32) -> T) {
    let mut buffer = [0f32; 4096];
    for out in out.chunks_mut(buffer.len()) {
        let x = &mut buffer[..out.len()];
        fill(x);
        for (y, x) in out.iter_mut().zip(x) {
            *y = round(*x);
        }
    }
}
