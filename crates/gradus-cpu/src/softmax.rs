//! Softmax and log-softmax along one axis, and their gradients.
//!
//! Three passes over a row that is then in L1 or L2: the maximum, the exponentials and their sum, the division. The
//! last axis is fast; any other is brought to the back first. Of a row of −∞ the result is NaN, as in PyTorch.

use crate::rows::map_rows;
use crate::{FloatElement, Result, View, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch, math};

struct Forward<'a, T> {
    log: bool,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (n, x, y) = (self.x.len(), self.x.as_ptr(), self.y.as_mut_ptr());
        let low = -T::INFINITY;
        // SAFETY (all blocks): `i + m <= n`, the length of both slices (the caller's rows).
        let max = lanes::fold::<S, T>(
            isa,
            n,
            low,
            #[inline(always)]
            |i, m| unsafe { lanes::load::<S, T>(isa, x.add(i), m, low) },
            FloatVec::max,
            T::maximum,
        );
        let shift = T::V::<S>::splat(isa, max);
        let log = self.log;
        let sum = lanes::fold::<S, T>(
            isa,
            n,
            T::ZERO,
            #[inline(always)]
            |i, m| {
                let d = unsafe { lanes::load::<S, T>(isa, x.add(i), m, low) } - shift;
                let e = math::exp::<S, T>(isa, d);
                unsafe { lanes::store::<S, T>(if log { d } else { e }, y.add(i), m) };
                e
            },
            #[inline(always)]
            |a, b| a + b,
            #[inline(always)]
            |a, b| a + b,
        );
        let scale = T::V::<S>::splat(
            isa,
            if log {
                T::from_f64(sum.to_f64().ln())
            } else {
                sum
            },
        );
        // v / scale, correctly rounded but for underflow (Markstein 1990): a division takes as long as an exponential.
        let inverse = T::V::<S>::splat(isa, T::ONE) / scale;
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            |i, m| unsafe {
                let v = lanes::load::<S, T>(isa, y.add(i), m, T::ZERO);
                let q = v * inverse;
                let quotient = q.neg_mul_add(scale, v).mul_add(inverse, q);
                lanes::store::<S, T>(if log { v - scale } else { quotient }, y.add(i), m);
            },
        );
    }
}

struct Backward<'a, T> {
    log: bool,
    dy: &'a [T],
    y: &'a [T],
    dx: &'a mut [T],
}

impl<T: Float> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (n, dy, y, dx) = (
            self.dx.len(),
            self.dy.as_ptr(),
            self.y.as_ptr(),
            self.dx.as_mut_ptr(),
        );
        let zero = T::ZERO;
        let log = self.log;
        // SAFETY (all blocks): `i + m <= n`, the length of the three slices (the caller's rows).
        let sum = lanes::fold::<S, T>(
            isa,
            n,
            zero,
            #[inline(always)]
            |i, m| unsafe {
                let g = lanes::load::<S, T>(isa, dy.add(i), m, zero);
                if log {
                    g
                } else {
                    g * lanes::load::<S, T>(isa, y.add(i), m, zero)
                }
            },
            #[inline(always)]
            |a, b| a + b,
            #[inline(always)]
            |a, b| a + b,
        );
        let sum = T::V::<S>::splat(isa, sum);
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            |i, m| unsafe {
                let g = lanes::load::<S, T>(isa, dy.add(i), m, zero);
                let p = lanes::load::<S, T>(isa, y.add(i), m, zero);
                let d = if log {
                    math::exp::<S, T>(isa, p).neg_mul_add(sum, g)
                } else {
                    p * (g - sum)
                };
                lanes::store::<S, T>(d, dx.add(i), m);
            },
        );
    }
}

/// y_i = e^x_i / Σ_j e^x_j along `axis`; `y` has the shape of `x`.
///
/// # Errors
/// If the axis is out of range or `y` is not as long as `x`.
///
/// ```
/// use gradus_cpu::{View, softmax::softmax};
/// let x = [0.0f64, 0.0, 0.0, 0.0];
/// let mut y = [0.0; 4];
/// softmax(View::contiguous(&x, &[2, 2])?, 1, &mut y)?;
/// assert_eq!(y, [0.5; 4]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
#[inline(never)]
pub fn softmax<T: FloatElement>(x: View<'_, T>, axis: usize, y: &mut [T]) -> Result<()> {
    map_rows("softmax", [x], axis, y, &|_, [x], y| {
        dispatch(Forward { log: false, x, y });
    })
}

/// dx = y·(dy − Σ dy·y) along `axis`, given the output `y`.
///
/// # Errors
/// As [`softmax`], and if the shapes differ.
#[inline(never)]
pub fn softmax_backward<T: FloatElement>(
    dy: View<'_, T>,
    y: View<'_, T>,
    axis: usize,
    dx: &mut [T],
) -> Result<()> {
    map_rows("softmax_backward", [dy, y], axis, dx, &|_, [dy, y], dx| {
        dispatch(Backward {
            log: false,
            dy,
            y,
            dx,
        });
    })
}

/// y_i = x_i − ln Σ_j e^x_j along `axis`; `y` has the shape of `x`.
///
/// # Errors
/// As [`softmax`].
#[inline(never)]
pub fn log_softmax<T: FloatElement>(x: View<'_, T>, axis: usize, y: &mut [T]) -> Result<()> {
    map_rows("log_softmax", [x], axis, y, &|_, [x], y| {
        dispatch(Forward { log: true, x, y });
    })
}

/// dx = dy − e^y·Σ dy along `axis`, given the output `y`.
///
/// # Errors
/// As [`softmax_backward`].
#[inline(never)]
pub fn log_softmax_backward<T: FloatElement>(
    dy: View<'_, T>,
    y: View<'_, T>,
    axis: usize,
    dx: &mut [T],
) -> Result<()> {
    map_rows(
        "log_softmax_backward",
        [dy, y],
        axis,
        dx,
        &|_, [dy, y], dx| {
            dispatch(Backward {
                log: true,
                dy,
                y,
                dx,
            });
        },
    )
}
