//! The five loops all normalisations are made of, over one segment (a row, a channel of an image, …).
//!
//! x̂ = (x − mean)·rstd; y = x̂·w + b. Each of mean, rstd, w and b is one number for the segment, or one for each element.

use crate::lanes;
use gradus_simd::{Float, FloatVec, Isa, Kernel};

/// One value for the whole segment, or one for each of its elements.
#[derive(Clone, Copy)]
pub(super) enum Param<'a, T> {
    One(T),
    Each(&'a [T]),
}

impl<'a, T: Float> Param<'a, T> {
    /// The parameters of a slice, or `default` without one.
    pub(super) fn each(slice: Option<&'a [T]>, default: T) -> Self {
        slice.map_or(Self::One(default), Self::Each)
    }

    /// The lanes from `i` on. `Each` must be as long as the segment.
    #[inline(always)]
    unsafe fn at<S: Isa>(self, isa: S, i: usize, m: usize) -> T::V<S> {
        match self {
            Self::One(x) => T::V::<S>::splat(isa, x),
            // SAFETY: the caller's.
            Self::Each(x) => unsafe { lanes::load::<S, T>(isa, x.as_ptr().add(i), m, T::ZERO) },
        }
    }

    fn fits(self, n: usize) -> bool {
        matches!(self, Self::One(_)) || matches!(self, Self::Each(x) if x.len() == n)
    }
}

#[inline(always)]
fn add<S: Isa, T: Float>(a: T::V<S>, b: T::V<S>) -> T::V<S> {
    a + b
}

/// Mean (0 if not `centre`) and mean square deviation from it.
pub(super) struct Moments<'a, T> {
    pub(super) x: &'a [T],
    pub(super) centre: bool,
}

impl<T: Float> Kernel for Moments<'_, T> {
    type Output = (T, T);
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> (T, T) {
        let (n, x) = (self.x.len(), self.x.as_ptr());
        let count = T::from_f64(n as f64);
        // SAFETY (both blocks): `i + m <= n`.
        let mean = if self.centre {
            let sum = lanes::fold::<S, T>(
                isa,
                n,
                T::ZERO,
                #[inline(always)]
                |i, m| unsafe { lanes::load::<S, T>(isa, x.add(i), m, T::ZERO) },
                add::<S, T>,
                #[inline(always)]
                |a, b| a + b,
            );
            sum / count
        } else {
            T::ZERO
        };
        let centre = T::V::<S>::splat(isa, mean);
        let squares = lanes::fold::<S, T>(
            isa,
            n,
            T::ZERO,
            #[inline(always)]
            |i, m| {
                let d = unsafe { lanes::load::<S, T>(isa, x.add(i), m, mean) } - centre;
                d * d
            },
            add::<S, T>,
            #[inline(always)]
            |a, b| a + b,
        );
        (mean, squares / count)
    }
}

/// y = x̂·w + b.
pub(super) struct Normalise<'a, T> {
    pub(super) x: &'a [T],
    pub(super) mean: Param<'a, T>,
    pub(super) rstd: Param<'a, T>,
    pub(super) w: Param<'a, T>,
    pub(super) b: Param<'a, T>,
    pub(super) y: &'a mut [T],
}

impl<T: Float> Kernel for Normalise<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let n = self.x.len();
        assert!(
            self.y.len() == n
                && [self.mean, self.rstd, self.w, self.b]
                    .iter()
                    .all(|p| p.fits(n))
        );
        let (x, y) = (self.x.as_ptr(), self.y.as_mut_ptr());
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            // SAFETY: `i + m <= n`, the length of everything (asserted).
            |i, m| unsafe {
                let xhat = (lanes::load::<S, T>(isa, x.add(i), m, T::ZERO)
                    - self.mean.at(isa, i, m))
                    * self.rstd.at(isa, i, m);
                let v = xhat.mul_add(self.w.at(isa, i, m), self.b.at(isa, i, m));
                lanes::store::<S, T>(v, y.add(i), m);
            },
        );
    }
}

/// Σ dy·w and Σ dy·w·x̂.
pub(super) struct Sums<'a, T> {
    pub(super) dy: &'a [T],
    pub(super) x: &'a [T],
    pub(super) mean: T,
    pub(super) rstd: T,
    pub(super) w: Param<'a, T>,
}

impl<T: Float> Kernel for Sums<'_, T> {
    type Output = (T, T);
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> (T, T) {
        let n = self.x.len();
        assert!(self.dy.len() == n && self.w.fits(n));
        let (dy, x) = (self.dy.as_ptr(), self.x.as_ptr());
        let mean = T::V::<S>::splat(isa, self.mean);
        // SAFETY (both blocks): `i + m <= n`, the length of everything (asserted). Lanes past the end have dy = 0.
        let sum = lanes::fold::<S, T>(
            isa,
            n,
            T::ZERO,
            #[inline(always)]
            |i, m| unsafe {
                lanes::load::<S, T>(isa, dy.add(i), m, T::ZERO) * self.w.at(isa, i, m)
            },
            add::<S, T>,
            #[inline(always)]
            |a, b| a + b,
        );
        let dot = lanes::fold::<S, T>(
            isa,
            n,
            T::ZERO,
            #[inline(always)]
            |i, m| unsafe {
                let g = lanes::load::<S, T>(isa, dy.add(i), m, T::ZERO) * self.w.at(isa, i, m);
                g * (lanes::load::<S, T>(isa, x.add(i), m, self.mean) - mean)
            },
            add::<S, T>,
            #[inline(always)]
            |a, b| a + b,
        );
        (sum, dot * self.rstd)
    }
}

/// dx = rstd·(dy·w − c1 − x̂·c2).
pub(super) struct InputGrad<'a, T> {
    pub(super) dy: &'a [T],
    pub(super) x: &'a [T],
    pub(super) mean: Param<'a, T>,
    pub(super) rstd: Param<'a, T>,
    pub(super) w: Param<'a, T>,
    pub(super) c1: Param<'a, T>,
    pub(super) c2: Param<'a, T>,
    pub(super) dx: &'a mut [T],
}

impl<T: Float> Kernel for InputGrad<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let n = self.x.len();
        let params = [self.mean, self.rstd, self.w, self.c1, self.c2];
        assert!(self.dy.len() == n && self.dx.len() == n && params.iter().all(|p| p.fits(n)));
        let (dy, x, dx) = (self.dy.as_ptr(), self.x.as_ptr(), self.dx.as_mut_ptr());
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            // SAFETY: `i + m <= n`, the length of everything (asserted).
            |i, m| unsafe {
                let rstd = self.rstd.at(isa, i, m);
                let xhat = (lanes::load::<S, T>(isa, x.add(i), m, T::ZERO)
                    - self.mean.at(isa, i, m))
                    * rstd;
                let g = lanes::load::<S, T>(isa, dy.add(i), m, T::ZERO) * self.w.at(isa, i, m);
                let d = xhat.neg_mul_add(self.c2.at(isa, i, m), g - self.c1.at(isa, i, m));
                lanes::store::<S, T>(rstd * d, dx.add(i), m);
            },
        );
    }
}

/// dw += dy·x̂ and db += dy, element by element.
pub(super) struct ParamGrads<'a, T> {
    pub(super) dy: &'a [T],
    pub(super) x: &'a [T],
    pub(super) mean: Param<'a, T>,
    pub(super) rstd: Param<'a, T>,
    pub(super) dw: &'a mut [T],
    pub(super) db: &'a mut [T],
}

impl<T: Float> Kernel for ParamGrads<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let n = self.x.len();
        assert!(self.dy.len() == n && self.dw.len() == n && self.db.len() == n);
        assert!(self.mean.fits(n) && self.rstd.fits(n));
        let (dy, x) = (self.dy.as_ptr(), self.x.as_ptr());
        let (dw, db) = (self.dw.as_mut_ptr(), self.db.as_mut_ptr());
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            // SAFETY: `i + m <= n`, the length of everything (asserted).
            |i, m| unsafe {
                let g = lanes::load::<S, T>(isa, dy.add(i), m, T::ZERO);
                let xhat = (lanes::load::<S, T>(isa, x.add(i), m, T::ZERO)
                    - self.mean.at(isa, i, m))
                    * self.rstd.at(isa, i, m);
                lanes::store::<S, T>(
                    g.mul_add(xhat, lanes::load::<S, T>(isa, dw.add(i), m, T::ZERO)),
                    dw.add(i),
                    m,
                );
                lanes::store::<S, T>(
                    lanes::load::<S, T>(isa, db.add(i), m, T::ZERO) + g,
                    db.add(i),
                    m,
                );
            },
        );
    }
}
