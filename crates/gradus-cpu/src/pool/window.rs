//! Where pooling windows lie: computed once for each axis, so that the kernels are loops over ranges.

use crate::error::sizes;
use crate::{Error, Result, numel};

/// One window on one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first element of the input in it.
    pub start: usize,
    /// One past the last; not above `start` if the window lies in the padding.
    pub end: usize,
    /// Its size with padding counted (but not what `ceil_mode` lets it stand out beyond that).
    pub size: usize,
}

/// The windows of a plane and its sizes; `[_; 3]` are depth, height, width.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    pub planes: usize,
    pub input: [usize; 3],
    pub output: [usize; 3],
    pub axes: [Vec<Window>; 3],
    /// Steps between the elements of a window.
    pub dilation: [usize; 3],
}

impl Windows {
    /// Elements of an input plane.
    pub(crate) fn plane(&self) -> usize {
        self.input.iter().product()
    }

    /// Elements of an output plane.
    pub(crate) fn pixels(&self) -> usize {
        self.output.iter().product()
    }

    /// Whether every window is 2 × 2 on its own: no overlap, no padding, no gaps, one depth.
    pub(crate) fn is_two_by_two(&self) -> bool {
        let pairs = |d: usize| {
            self.axes[d]
                .iter()
                .enumerate()
                // Its size says whether padding was cut off: that still counts in an average.
                .all(|(i, w)| (w.start, w.end, w.size) == (2 * i, 2 * i + 2, 2))
        };
        self.input[0] == 1 && self.output[0] == 1 && self.dilation == [1; 3] && pairs(1) && pairs(2)
    }
}

/// The arguments of a pooling over `D` dimensions, as far as they say where windows lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<const D: usize> {
    pub kernel: [usize; D],
    pub stride: [usize; D],
    pub padding: [usize; D],
    pub dilation: [usize; D],
    pub ceil_mode: bool,
}

/// PyTorch's `pooling_output_shape`: `None` if a size is 0, the padding is more than half the kernel, something overflows or no
/// window fits.
fn output_size(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    ceil_mode: bool,
) -> Option<usize> {
    let reach = kernel
        .checked_sub(1)?
        .checked_mul(dilation)?
        .checked_add(1)?;
    if input == 0
        || stride == 0
        || dilation == 0
        || isize::try_from(reach).is_err()
        || padding > reach / 2
    {
        return None;
    }
    let padded = padding.checked_mul(2)?.checked_add(input)?;
    isize::try_from(padded.checked_add(stride)?).ok()?;
    let extra = if ceil_mode { stride - 1 } else { 0 };
    let n = (padded + extra).checked_sub(reach)? / stride + 1;
    // The last window must begin inside the input or its left padding.
    Some(if ceil_mode && (n - 1) * stride >= input + padding {
        n - 1
    } else {
        n
    })
    .filter(|&n| n > 0)
}

/// The last `D` sizes of a shape as three, and the product of those before.
fn split<const D: usize>(op: &'static str, shape: &[usize]) -> Result<(usize, [usize; 3])> {
    const { assert!(D >= 1 && D <= 3, "1, 2 or 3 spatial dimensions") }
    let Some(at) = shape.len().checked_sub(D) else {
        return Err(Error::shape(
            op,
            format!("input {shape:?} has fewer than {D} dimensions"),
        ));
    };
    numel(op, shape)?;
    let mut spatial = [1; 3];
    spatial[3 - D..].copy_from_slice(&shape[at..]);
    Ok((numel(op, &shape[..at])?, spatial))
}

impl<const D: usize> Layout<D> {
    /// The spatial sizes of the output for an input whose last `D` dimensions are spatial.
    pub(crate) fn output(
        &self,
        op: &'static str,
        x_shape: &[usize],
    ) -> Result<(usize, [usize; 3], [usize; 3])> {
        let (planes, input) = split::<D>(op, x_shape)?;
        let mut output = [1; 3];
        for d in 0..D {
            let at = 3 - D + d;
            let (k, s, p, dilation) = (
                self.kernel[d],
                self.stride[d],
                self.padding[d],
                self.dilation[d],
            );
            let Some(n) = output_size(input[at], k, s, p, dilation, self.ceil_mode) else {
                let (k, s, p, d) = (self.kernel, self.stride, self.padding, self.dilation);
                let how = format!("kernel {k:?}, stride {s:?}, padding {p:?}, dilation {d:?}");
                let what = "sizes and steps must not be 0, padding at most half the kernel, and a window must fit into the padded input";
                return Err(Error::shape(
                    op,
                    format!("input {}, {how}: {what}", sizes(x_shape)),
                ));
            };
            output[at] = n;
        }
        numel(op, &[planes, output[0], output[1], output[2]])?;
        Ok((planes, input, output))
    }

    /// The windows, for an output of `len` elements.
    pub(crate) fn windows(
        &self,
        op: &'static str,
        x_shape: &[usize],
        len: usize,
    ) -> Result<Windows> {
        let (planes, input, output) = self.output(op, x_shape)?;
        check_output(op, x_shape, planes, output, len)?;
        let mut axes = [const { Vec::new() }; 3];
        let mut dilations = [1; 3];
        for (at, axis) in axes.iter_mut().enumerate() {
            let Some(d) = at.checked_sub(3 - D) else {
                axis.push(Window {
                    start: 0,
                    end: 1,
                    size: 1,
                });
                continue;
            };
            let (p, dilation, size) = (self.padding[d], self.dilation[d], input[at]);
            dilations[at] = dilation;
            let reach = (self.kernel[d] - 1) * dilation + 1;
            // Nothing to write: no windows either, however many there would be.
            let count = if len == 0 { 0 } else { output[at] };
            axis.extend((0..count).map(|i| {
                // In the padded input; the first tap not in the padding, and one past the last not beyond the input.
                let first = i * self.stride[d];
                let end = (first + reach).min(size + 2 * p);
                let start = if first >= p {
                    first - p
                } else {
                    (p - first).next_multiple_of(dilation) - (p - first)
                };
                Window {
                    start,
                    end: end.saturating_sub(p).min(size),
                    size: end.saturating_sub(first),
                }
            }));
        }
        Ok(Windows {
            planes,
            input,
            output,
            axes,
            dilation: dilations,
        })
    }
}

/// The windows of adaptive pooling: output `i` covers `⌊i·in/out⌋ .. ⌈(i + 1)·in/out⌉`.
pub(crate) fn adaptive<const D: usize>(
    op: &'static str,
    x_shape: &[usize],
    sizes: &[usize; D],
    len: usize,
) -> Result<Windows> {
    let (planes, input) = split::<D>(op, x_shape)?;
    let mut output = [1; 3];
    output[3 - D..].copy_from_slice(sizes);
    if (0..3).any(|d| input[d] == 0 && output[d] > 0) {
        return Err(Error::shape(
            op,
            format!("input {x_shape:?} has no elements to average"),
        ));
    }
    check_output(op, x_shape, planes, output, len)?;
    let mut axes = [const { Vec::new() }; 3];
    for (d, axis) in axes.iter_mut().enumerate() {
        let count = if len == 0 { 0 } else { output[d] };
        let scaled = |i: usize| i as u128 * input[d] as u128;
        axis.extend((0..count).map(|i| {
            let (start, end) = (
                scaled(i) / count as u128,
                scaled(i + 1).div_ceil(count as u128),
            );
            Window {
                start: start as usize,
                end: end as usize,
                size: (end - start) as usize,
            }
        }));
    }
    Ok(Windows {
        planes,
        input,
        output,
        axes,
        dilation: [1; 3],
    })
}

fn check_output(
    op: &'static str,
    x_shape: &[usize],
    planes: usize,
    output: [usize; 3],
    len: usize,
) -> Result<()> {
    let wanted = numel(op, &[planes, output[0], output[1], output[2]])?;
    if wanted == len {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!("input {x_shape:?} gives {wanted} elements, the output has {len}"),
    ))
}
