//! The reference: one loop nest over every product of a convolution, what all fast paths are tested against.
//!
//! A convolution is linear in both operands, so its three kinds, forward and the two gradients, visit the same triples
//! (x, w, y) and differ only in which of the three is the sum.

use gradus_simd::Float;

use super::geometry::{ConvParams, Geometry};
use crate::Result;

/// Calls `f(x, w, y)` with the indices of every product `x·w` that is part of `y`.
pub(super) fn for_each_product(g: &Geometry, mut f: impl FnMut(usize, usize, usize)) {
    let taps = g.taps();
    for n in 0..g.batch {
        for group in 0..g.groups {
            for o in 0..g.outputs {
                for pixel in 0..g.pixels() {
                    for c in 0..g.channels {
                        for tap in 0..taps {
                            let (mut at, mut inside) = (0, true);
                            let (mut rest_p, mut rest_t) = (pixel, tap);
                            let mut step = 1;
                            for d in (0..3).rev() {
                                let (out, k) = (rest_p % g.output[d], rest_t % g.kernel[d]);
                                (rest_p, rest_t) = (rest_p / g.output[d], rest_t / g.kernel[d]);
                                let i = (out * g.stride[d] + k * g.dilation[d])
                                    .wrapping_sub(g.padding[d]);
                                inside &= i < g.input[d];
                                at += i.wrapping_mul(step);
                                step *= g.input[d];
                                if !inside {
                                    break;
                                }
                            }
                            if inside {
                                let x = ((n * g.groups + group) * g.channels + c) * g.plane() + at;
                                let w = ((group * g.outputs + o) * g.channels + c) * taps + tap;
                                let y =
                                    ((n * g.groups + group) * g.outputs + o) * g.pixels() + pixel;
                                f(x, w, y);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `y = conv(x, w)`, one product after the other; `x` (B, C, …), `w` (O, C / groups, …), all row-major.
///
/// # Errors
/// If the shapes do not fit together.
///
/// # Panics
/// If a slice is shorter than its shape.
pub fn conv<T: Float, const D: usize>(
    (x, x_shape): (&[T], &[usize]),
    (w, w_shape): (&[T], &[usize]),
    params: &ConvParams<D>,
    y: &mut [T],
) -> Result<()> {
    y.fill(T::ZERO);
    for_each_product(
        &Geometry::new("conv", x_shape, w_shape, params)?,
        |i, j, k| y[k] = x[i].mul_add(w[j], y[k]),
    );
    Ok(())
}

/// The gradient of the input: `dx` (B, C, …) from `dy` (B, O, …).
///
/// # Errors
/// If the shapes do not fit together.
///
/// # Panics
/// If a slice is shorter than its shape.
pub fn backward_data<T: Float, const D: usize>(
    dy: &[T],
    (w, w_shape): (&[T], &[usize]),
    params: &ConvParams<D>,
    (dx, x_shape): (&mut [T], &[usize]),
) -> Result<()> {
    dx.fill(T::ZERO);
    let g = Geometry::new("conv_backward_data", x_shape, w_shape, params)?;
    for_each_product(&g, |i, j, k| dx[i] = dy[k].mul_add(w[j], dx[i]));
    Ok(())
}

/// The gradient of the weight: `dw` (O, C / groups, …) from `x` and `dy`.
///
/// # Errors
/// If the shapes do not fit together.
///
/// # Panics
/// If a slice is shorter than its shape.
pub fn backward_weight<T: Float, const D: usize>(
    (x, x_shape): (&[T], &[usize]),
    dy: &[T],
    params: &ConvParams<D>,
    (dw, w_shape): (&mut [T], &[usize]),
) -> Result<()> {
    dw.fill(T::ZERO);
    let g = Geometry::new("conv_backward_weight", x_shape, w_shape, params)?;
    for_each_product(&g, |i, j, k| dw[j] = x[i].mul_add(dy[k], dw[j]));
    Ok(())
}
