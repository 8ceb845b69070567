//! Windows of images as columns, and back: PyTorch's `unfold` (im2col) and `fold` (col2im), each the other's gradient.
//!
//! `x` is (B, C, H, W), its columns (B, C·KH·KW, L): L windows, in row-major order. `fold` adds where windows overlap,
//! plane by plane in the order of the kernel's elements, so threads cannot change a sum.
//! What it is not: what a convolution does; that packs its windows as it multiplies (`conv`).

use gradus_simd::Float;

use crate::conv::contiguous;
use crate::error::check_len;
use crate::{Error, Result, View, parallel};

/// The windows; PyTorch's names and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldParams {
    /// The size of a window.
    pub kernel: [usize; 2],
    /// Steps between the elements of a window.
    pub dilation: [usize; 2],
    /// Zeros on all sides.
    pub padding: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
}

impl FoldParams {
    /// Windows side by side in every position: no dilation, no padding, stride 1.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self {
            kernel,
            dilation: [1; 2],
            padding: [0; 2],
            stride: [1; 2],
        }
    }

    /// How many windows an image of `sizes` (H, W) has, down and across.
    ///
    /// # Errors
    /// If a kernel size, dilation or stride is 0, a size overflows, or no window fits.
    pub fn windows(&self, op: &'static str, sizes: [usize; 2]) -> Result<[usize; 2]> {
        let fail = |why: &str| {
            let message = format!(
                "an image of {} x {} with {self:?}: {why}",
                sizes[0], sizes[1]
            );
            Err(Error::shape(op, message))
        };
        let mut windows = [0; 2];
        for d in 0..2 {
            let (k, step, pad) = (self.kernel[d], self.dilation[d], self.padding[d]);
            if k == 0 || step == 0 || self.stride[d] == 0 {
                return fail("kernel, dilation and stride must be above 0");
            }
            let limit = isize::MAX as usize / 4;
            let reach = (k - 1).checked_mul(step).filter(|&r| r < limit);
            let (Some(reach), true) = (reach, pad < limit && sizes[d] < limit) else {
                return fail("a size overflows");
            };
            match (sizes[d] + 2 * pad).checked_sub(reach + 1) {
                Some(room) => windows[d] = room / self.stride[d] + 1,
                None => return fail("no window fits"),
            }
        }
        Ok(windows)
    }
}

/// Sizes of a call.
struct Geometry {
    planes: usize,
    sizes: [usize; 2],
    windows: [usize; 2],
    params: FoldParams,
}

impl Geometry {
    fn new(op: &'static str, params: &FoldParams, x_shape: &[usize]) -> Result<Self> {
        let &[batch, channels, height, width] = x_shape else {
            let message = format!("the images have shape {x_shape:?}, not (B, C, H, W)");
            return Err(Error::shape(op, message));
        };
        crate::numel(op, x_shape)?;
        let sizes = [height, width];
        let windows = params.windows(op, sizes)?;
        let planes = crate::numel(op, &[batch, channels])?;
        for planes in [1, planes] {
            crate::numel(
                op,
                &[
                    planes,
                    params.kernel[0],
                    params.kernel[1],
                    windows[0],
                    windows[1],
                ],
            )?;
        }
        Ok(Self {
            planes,
            sizes,
            windows,
            params: *params,
        })
    }

    fn taps(&self) -> usize {
        self.params.kernel[0] * self.params.kernel[1]
    }

    fn blocks(&self) -> usize {
        self.windows[0] * self.windows[1]
    }

    /// Calls `f(x, y, n)` for the runs of one element of the kernel: `n` windows from `y` on take the elements from `x`
    /// on, a stride apart. Windows whose element is padding are left out.
    #[inline]
    fn for_each_run(&self, tap: usize, mut f: impl FnMut(usize, usize, usize)) {
        let p = &self.params;
        let [height, width] = self.sizes;
        let tap = [tap / p.kernel[1], tap % p.kernel[1]];
        // The windows along an axis whose element lies inside.
        let inside = |d: usize, n: usize| {
            let shift = tap[d] * p.dilation[d];
            let first = p.padding[d].saturating_sub(shift).div_ceil(p.stride[d]);
            let end = (n + p.padding[d])
                .saturating_sub(shift)
                .div_ceil(p.stride[d]);
            first..end.min(self.windows[d])
        };
        let cols = inside(1, width);
        if cols.is_empty() {
            return;
        }
        for row in inside(0, height) {
            let r = row * p.stride[0] + tap[0] * p.dilation[0] - p.padding[0];
            let c = cols.start * p.stride[1] + tap[1] * p.dilation[1] - p.padding[1];
            f(
                r * width + c,
                row * self.windows[1] + cols.start,
                cols.len(),
            );
        }
    }
}

/// The windows of `x` (B, C, H, W) as columns: `y` (B, C·KH·KW, L) row-major.
///
/// ```
/// use gradus_cpu::View;
/// use gradus_cpu::fold::{FoldParams, unfold};
///
/// let x = View::contiguous(&[1.0f32, 2.0, 3.0], &[1, 1, 1, 3])?;
/// let mut y = [0.0; 4];
/// unfold(x, &FoldParams::new([1, 2]), &mut y)?;
/// assert_eq!(y, [1.0, 2.0, 2.0, 3.0]); // the windows (1, 2) and (2, 3) are its columns
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
///
/// # Errors
/// As [`FoldParams::windows`]; if `x` has not four dimensions or `y` another size.
#[inline(never)]
pub fn unfold<T: Float>(x: View<'_, T>, params: &FoldParams, y: &mut [T]) -> Result<()> {
    let op = "unfold";
    let g = Geometry::new(op, params, x.shape())?;
    let (taps, blocks, plane) = (g.taps(), g.blocks(), g.sizes[0] * g.sizes[1]);
    check_len(op, "the output", y.len(), g.planes * taps * blocks)?;
    if y.is_empty() {
        return Ok(());
    }
    let x = contiguous(&x);
    let stride = params.stride[1];
    let rows = (parallel::GRAIN / blocks).max(1);
    parallel::for_each_chunk_mut(y, rows * blocks, |i, y| {
        for (r, y) in y.chunks_exact_mut(blocks).enumerate() {
            let row = i * rows + r;
            let x = &x[row / taps * plane..][..plane];
            y.fill(T::ZERO);
            g.for_each_run(row % taps, |from, to, n| {
                let y = &mut y[to..][..n];
                if stride == 1 {
                    y.copy_from_slice(&x[from..][..n]);
                } else {
                    for (y, &x) in y.iter_mut().zip(x[from..].iter().step_by(stride)) {
                        *y = x;
                    }
                }
            });
        }
    });
    Ok(())
}

/// Columns `y` (B, C·KH·KW, L) added up where they came from: `x`, row-major in `x_shape` (B, C, H, W).
///
/// # Errors
/// As [`unfold`] of such images.
#[inline(never)]
pub fn fold<T: Float>(
    y: View<'_, T>,
    params: &FoldParams,
    x_shape: &[usize],
    x: &mut [T],
) -> Result<()> {
    let op = "fold";
    let g = Geometry::new(op, params, x_shape)?;
    let (taps, blocks, plane) = (g.taps(), g.blocks(), g.sizes[0] * g.sizes[1]);
    check_len(op, "the columns", y.len(), g.planes * taps * blocks)?;
    check_len(op, "the output", x.len(), g.planes * plane)?;
    if x.is_empty() {
        return Ok(());
    }
    let y = contiguous(&y);
    let stride = params.stride[1];
    let group = (parallel::GRAIN / plane).max(1);
    parallel::for_each_chunk_mut(x, group * plane, |i, x| {
        for (p, x) in x.chunks_exact_mut(plane).enumerate() {
            x.fill(T::ZERO);
            let columns = &y[(i * group + p) * taps * blocks..][..taps * blocks];
            for (tap, y) in columns.chunks_exact(blocks).enumerate() {
                g.for_each_run(tap, |from, to, n| {
                    let y = &y[to..][..n];
                    for (x, &y) in x[from..].iter_mut().step_by(stride).zip(y) {
                        *x += y;
                    }
                });
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gemm::tests::numbers;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
        #[test]
        fn columns_are_windows_and_fold_is_the_transpose(
            planes in 0usize..3, h in 0usize..9, w in 1usize..20, k in (1usize..4, 1usize..4), d in (1usize..3, 1usize..4),
            p in (0usize..3, 0usize..5), s in (1usize..4, 1usize..3),
        ) {
            let params = FoldParams { kernel: k.into(), dilation: d.into(), padding: p.into(), stride: s.into() };
            let Ok([oh, ow]) = params.windows("test", [h, w]) else { return Ok(()) };
            let shape = [1, planes, h, w];
            let x: Vec<f64> = numbers(planes * h * w, 1);
            let (taps, blocks) = (k.0 * k.1, oh * ow);
            let mut y = vec![f64::NAN; planes * taps * blocks];
            unfold(View::contiguous(&x, &shape).unwrap(), &params, &mut y).unwrap();
            for (i, &y) in y.iter().enumerate() {
                let (plane, tap, block) = (i / blocks / taps, i / blocks % taps, i % blocks);
                let r = (block / ow * s.0 + tap / k.1 * d.0).wrapping_sub(p.0);
                let c = (block % ow * s.1 + tap % k.1 * d.1).wrapping_sub(p.1);
                let want = if r < h && c < w { x[(plane * h + r) * w + c] } else { 0.0 };
                prop_assert_eq!(y, want);
            }
            let dy: Vec<f64> = numbers(y.len(), 2);
            let mut dx = vec![f64::NAN; x.len()];
            let columns = [1, planes * taps, blocks];
            fold(View::contiguous(&dy, &columns).unwrap(), &params, &shape, &mut dx).unwrap();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            prop_assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-10);
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let refused = |params: FoldParams| params.windows("test", [5, 5]).is_err();
        let plain = FoldParams::new([2, 2]);
        assert!(!refused(plain));
        assert!(refused(FoldParams {
            kernel: [0, 2],
            ..plain
        }));
        assert!(refused(FoldParams {
            stride: [1, 0],
            ..plain
        }));
        assert!(refused(FoldParams {
            dilation: [usize::MAX, 1],
            ..plain
        }));
        assert!(refused(FoldParams {
            padding: [usize::MAX, 1],
            ..plain
        }));
        assert!(refused(FoldParams {
            kernel: [7, 2],
            ..plain
        }));
        let x = View::contiguous(&[0.0f32; 25], &[1, 1, 5, 5]).unwrap();
        assert!(unfold(x, &plain, &mut [0.0; 3]).is_err());
        // Windows without end, though of nothing.
        let wide = FoldParams {
            padding: [1 << 40, 1 << 40],
            ..plain
        };
        let x = View::contiguous(&[0.0f32; 0], &[0, 1, 5, 5]).unwrap();
        assert!(unfold(x, &wide, &mut []).is_err());
    }
}
