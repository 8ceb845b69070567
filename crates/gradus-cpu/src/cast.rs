//! Conversion between element types; the rule for one element is [`Element::cast`].

use crate::parallel::{GRAIN, for_each_chunk_mut};
use crate::{Element, FloatElement, Kind, Result, View, error::check_len, source::BLOCK};

/// `y[i] = x[i]` in another element type, as PyTorch's `to(dtype)`; see [`Element::cast`].
///
/// # Errors
/// If `y` does not have as many elements as `x`.
///
/// ```
/// use gradus_cpu::{View, cast::cast};
/// let x = [1.9f32, -1.9, f32::NAN, 1e30];
/// let mut y = [0i32; 4];
/// cast(View::contiguous(&x, &[4])?, &mut y)?;
/// assert_eq!(y, [1, -1, 0, i32::MAX]); // truncated; NaN is 0; out of range saturates
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
#[inline(never)]
pub fn cast<A: Element, B: Element>(x: View<'_, A>, y: &mut [B]) -> Result<()> {
    check_len("cast", "the output", y.len(), x.len())?;
    if let Some(x) = x.as_slice() {
        for_each_chunk_mut(y, GRAIN, |i, part| {
            cast_slice(&x[i * GRAIN..][..part.len()], part);
        });
        return Ok(());
    }
    let walk = x.walk();
    for_each_chunk_mut(y, GRAIN, |i, part| {
        let mut buffer = [A::ZERO; BLOCK];
        for (j, out) in part.chunks_mut(BLOCK).enumerate() {
            let staged = &mut buffer[..out.len()];
            x.stage(&walk, i * GRAIN + j * BLOCK, staged);
            cast_slice(staged, out);
        }
    });
    Ok(())
}

/// The plain loop; half precision to and from `f32` takes the conversion instructions.
pub(crate) fn cast_slice<A: Element, B: Element>(x: &[A], y: &mut [B]) {
    fn to_f32<A: FloatElement<Compute = f32>, B: Element>(x: &[A], y: &mut [B]) -> bool {
        let Some(y) = same::<B, f32>(y) else {
            return false;
        };
        A::load(x, y);
        true
    }
    fn from_f32<A: Element, B: FloatElement<Compute = f32>>(x: &[A], y: &mut [B]) -> bool {
        let Some(x) = same_ref::<A, f32>(x) else {
            return false;
        };
        B::store(x, y);
        true
    }
    let done = match (A::KIND, B::KIND) {
        (Kind::F16, Kind::F32) => same_ref::<A, half::f16>(x).is_some_and(|x| to_f32(x, y)),
        (Kind::BF16, Kind::F32) => same_ref::<A, half::bf16>(x).is_some_and(|x| to_f32(x, y)),
        (Kind::F32, Kind::F16) => same::<B, half::f16>(y).is_some_and(|y| from_f32(x, y)),
        (Kind::F32, Kind::BF16) => same::<B, half::bf16>(y).is_some_and(|y| from_f32(x, y)),
        _ => false,
    };
    if !done {
        for (y, x) in y.iter_mut().zip(x) {
            *y = x.cast();
        }
    }
}

/// The slice as one of `B`, if `A` is `B`.
pub(crate) fn same_ref<A: Element, B: Element>(x: &[A]) -> Option<&[B]> {
    // SAFETY: the kinds are equal, so `A` and `B` are the same type.
    (A::KIND == B::KIND).then(|| unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) })
}

/// The slice as one of `B`, if `A` is `B`.
pub(crate) fn same<A: Element, B: Element>(x: &mut [A]) -> Option<&mut [B]> {
    // SAFETY: the kinds are equal, so `A` and `B` are the same type.
    (A::KIND == B::KIND)
        .then(|| unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    fn one<A: Element, B: Element>(x: A) -> B {
        let mut y = [B::ZERO];
        cast(View::contiguous(&[x], &[1]).unwrap(), &mut y).unwrap();
        y[0]
    }

    #[test]
    fn values() {
        assert_eq!(one::<i64, u8>(300), 44);
        assert_eq!(one::<i64, i32>(1 << 40), 0);
        assert_eq!(one::<i32, i64>(-5), -5);
        assert_eq!(one::<u8, i32>(200), 200);
        assert_eq!(one::<f64, i64>(f64::INFINITY), i64::MAX);
        assert_eq!(one::<f32, u8>(-3.0), 0);
        assert_eq!(one::<f64, f32>(1e300), f32::INFINITY);
        assert!(one::<f32, bool>(f32::NAN));
        assert!(one::<f16, bool>(f16::from_f32(0.5)));
        assert!(!one::<f32, bool>(-0.0));
        assert_eq!(one::<bool, f32>(true), 1.0);
        assert_eq!(one::<bool, bf16>(true), bf16::ONE);
        assert_eq!(one::<f32, bf16>(1.003_906_3), bf16::from_f32(1.003_906_3));
        assert_eq!(one::<f16, bf16>(f16::from_f32(2.5)).to_f32(), 2.5);
        assert_eq!(one::<i64, f16>(100_000), f16::INFINITY);
    }

    #[test]
    fn strided_casts() {
        let x: Vec<i32> = (0..10_000).collect();
        let (shape, strides) = ([100usize, 100], [1isize, 100]);
        let view = View::new(&x, 0, &shape, &strides).unwrap();
        let mut y = vec![0f32; 10_000];
        cast(view, &mut y).unwrap();
        assert!(y.iter().zip(view.iter()).all(|(&y, x)| y == x as f32));
        assert!(cast(view, &mut [0u8; 3]).is_err());
    }
}
