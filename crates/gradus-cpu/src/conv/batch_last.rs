//! Convolutions of many small images: the batch becomes the last axis, along which everything is then contiguous.
//!
//! Rows of 2 or 4 pixels are runs too short for vectors: packing, epilogue and im2col would spend their time on the ends of rows.
//! Seen as one volume H × W × B under a kernel of depth kh, height kw and width 1, the same convolution has rows of B elements that no
//! padding cuts. It costs a transpose of input and output, (B) × (C·H·W) matrices. Taps that see nothing but padding, eight of nine in a
//! 3 × 3 kernel over single pixels, are left out.

use std::any::TypeId;
use std::borrow::Cow;
use std::ops::Range;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use gradus_simd::{Float, IsaName};

use super::depthwise;
use super::geometry::Geometry;
use super::{Weights, backward_data, backward_weight, forward};
use crate::copy::copy_into;
use crate::gemm::Epilogue;
use crate::scratch;
use crate::{Element, View, ViewMut};

/// Rows of fewer pixels, and batches of no fewer images, and products that make it worth the transposes.
const PIXELS: usize = 16;
const BATCH: usize = 16;
const WORK: usize = 1 << 20;

/// The convolution so seen.
pub(super) struct BatchLast {
    g: Geometry,
    batch: usize,
    /// All taps, and those that see some input: rows and columns of the kernel.
    all: [usize; 2],
    taps: [Range<usize>; 2],
}

/// The taps along an axis that see some input.
fn useful(g: &Geometry, d: usize) -> Range<usize> {
    let sees = |tap: usize| {
        let at = |o: usize| (o * g.stride[d] + tap * g.dilation[d]).wrapping_sub(g.padding[d]);
        (0..g.output[d]).any(|o| at(o) < g.input[d])
    };
    let mut taps = 0..g.kernel[d];
    // What is cut off the front comes off the padding.
    while taps.len() > 1 && !sees(taps.start) && (taps.start + 1) * g.dilation[d] <= g.padding[d] {
        taps.start += 1;
    }
    while taps.len() > 1 && !sees(taps.end - 1) {
        taps.end -= 1;
    }
    taps
}

impl BatchLast {
    /// If it pays.
    pub(super) fn new(g: &Geometry) -> Option<Self> {
        let flat = g.kernel[0] == 1 && g.input[0] == 1 && g.padding[0] == 0 && g.stride[0] == 1;
        let run = if g.is_pointwise() {
            g.pixels()
        } else {
            g.output[2]
        };
        let work = [g.batch, g.pixels(), g.outputs, g.depth()];
        let work = work.into_iter().fold(1, usize::saturating_mul);
        if !flat || run >= PIXELS || g.batch < BATCH || work < WORK || depthwise::suits(g) {
            return None;
        }
        let taps = [useful(g, 1), useful(g, 2)];
        let turned = |of: [usize; 3], last: usize| [of[1], of[2], last];
        let mut padding = turned(g.padding, 0);
        for d in 0..2 {
            padding[d] -= taps[d].start * g.dilation[d + 1];
        }
        Some(Self {
            g: Geometry {
                batch: 1,
                input: turned(g.input, g.batch),
                output: turned(g.output, g.batch),
                kernel: [taps[0].len(), taps[1].len(), 1],
                stride: turned(g.stride, 1),
                dilation: turned(g.dilation, 1),
                padding,
                ..*g
            },
            batch: g.batch,
            all: [g.kernel[1], g.kernel[2]],
            taps,
        })
    }

    /// `f(from)`, with the batch of `x` last.
    fn turned<T: Float, R>(&self, x: &[T], f: impl FnOnce(&[T]) -> R) -> R {
        let mut turned = scratch::buffer::<T>(x.len());
        let turned = &mut *turned;
        transpose(x, self.batch, turned);
        f(turned)
    }

    /// `y = f`, which writes with the batch last.
    fn back<T: Float>(&self, y: &mut [T], f: impl FnOnce(&mut [T])) {
        let mut turned = scratch::buffer::<T>(y.len());
        let turned = &mut *turned;
        f(turned);
        transpose(turned, y.len() / self.batch, y);
    }

    /// The taps of `w` that count.
    fn cropped<'a, T: Float>(&self, w: &'a [T]) -> Cow<'a, [T]> {
        let [rows, columns] = &self.taps;
        if [rows.len(), columns.len()] == self.all {
            return Cow::Borrowed(w);
        }
        let mut out = Vec::with_capacity(w.len() / (self.all[0] * self.all[1]) * self.g.taps());
        for w in w.chunks_exact(self.all[0] * self.all[1]) {
            for row in rows.clone() {
                out.extend_from_slice(&w[row * self.all[1]..][columns.clone()]);
            }
        }
        Cow::Owned(out)
    }

    /// [`forward::run`]; the epilogue has no residual.
    pub(super) fn forward<T: Float>(
        &self,
        isa: IsaName,
        x: &[T],
        w: Weights<'_, T>,
        epilogue: &Epilogue<'_, T>,
        y: &mut [T],
    ) {
        let all = self.cropped(w.all);
        let kept = w.kept.filter(|_| matches!(all, Cow::Borrowed(_)));
        let w = Weights { all: &all, kept };
        self.turned(x, |x| {
            self.back(y, |y| forward::run(isa, &self.g, x, w, epilogue, y));
        });
    }

    /// [`backward_data::run`].
    pub(super) fn backward_data<T: Float>(&self, isa: IsaName, dy: &[T], w: &[T], dx: &mut [T]) {
        let w = self.cropped(w);
        self.turned(dy, |dy| {
            self.back(dx, |dx| backward_data::run(isa, &self.g, dy, &w, dx));
        });
    }

    /// [`backward_weight::run`].
    pub(super) fn backward_weight<T: Float>(&self, isa: IsaName, x: &[T], dy: &[T], dw: &mut [T]) {
        let [rows, columns] = &self.taps;
        self.turned(x, |x| {
            self.turned(dy, |dy| {
                if [rows.len(), columns.len()] == self.all {
                    return backward_weight::run(isa, &self.g, x, dy, dw);
                }
                let taps = self.all[0] * self.all[1];
                let mut some = vec![T::ZERO; dw.len() / taps * self.g.taps()];
                backward_weight::run(isa, &self.g, x, dy, &mut some);
                dw.fill(T::ZERO); // taps that saw nothing
                let mut lines = some.chunks_exact(columns.len());
                for dw in dw.chunks_exact_mut(taps) {
                    for (row, line) in rows.clone().zip(&mut lines) {
                        dw[row * self.all[1]..][columns.clone()].copy_from_slice(line);
                    }
                }
            });
        });
    }
}

/// `to`, (columns × rows), is the transpose of `from`, (rows × columns).
fn transpose<T: Float>(from: &[T], rows: usize, to: &mut [T]) {
    fn of<T: Element>(from: &[T], rows: usize, to: &mut [T]) {
        let columns = from.len() / rows;
        let shape = [columns, rows];
        let strides = ([1, columns as isize], [rows as isize, 1]);
        let from = View::new(from, 0, &shape, &strides.0);
        let to = ViewMut::new(to, 0, &shape, &strides.1);
        let copied = from.and_then(|from| copy_into(from, to?));
        copied.expect("both have rows × columns elements");
    }
    let (n, m, source, target) = (from.len(), to.len(), from.as_ptr(), to.as_mut_ptr());
    // SAFETY (both): the elements are of that type; `from` and `to` are borrowed all the while.
    unsafe {
        if TypeId::of::<T>() == TypeId::of::<f32>() {
            of::<f32>(
                from_raw_parts(source.cast(), n),
                rows,
                from_raw_parts_mut(target.cast(), m),
            );
        } else {
            assert!(TypeId::of::<T>() == TypeId::of::<f64>());
            of::<f64>(
                from_raw_parts(source.cast(), n),
                rows,
                from_raw_parts_mut(target.cast(), m),
            );
        }
    }
}
