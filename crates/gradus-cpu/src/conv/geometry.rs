//! The sizes of a convolution: checked once, then three spatial dimensions whatever there were.
//!
//! A convolution over fewer dimensions is one over three whose first are 1 wide, so the kernels know only `D × H × W`.

use crate::error::sizes;
use crate::{Error, Result, numel};

/// How a kernel of `D` spatial dimensions moves over its input; PyTorch's names and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvParams<const D: usize> {
    /// Steps between outputs.
    pub stride: [usize; D],
    /// Zeros on both sides of the input.
    pub padding: [usize; D],
    /// Steps between the taps of the kernel.
    pub dilation: [usize; D],
    /// Channels are split into so many independent convolutions.
    pub groups: usize,
}

/// Over time: (B, C, T).
pub type Conv1dParams = ConvParams<1>;
/// Over images: (B, C, H, W).
pub type Conv2dParams = ConvParams<2>;
/// Over volumes: (B, C, D, H, W).
pub type Conv3dParams = ConvParams<3>;

impl<const D: usize> Default for ConvParams<D> {
    fn default() -> Self {
        Self {
            stride: [1; D],
            padding: [0; D],
            dilation: [1; D],
            groups: 1,
        }
    }
}

impl<const D: usize> ConvParams<D> {
    /// The shape of the output, (B, O, …), for an input (B, C, …) and a weight (O, C / groups, …).
    ///
    /// # Errors
    /// If the shapes do not fit together, a stride, dilation or kernel size is 0, the kernel is larger than the padded
    /// input, or a size overflows.
    pub fn output_shape(&self, x: &[usize], weight: &[usize]) -> Result<Vec<usize>> {
        let g = Geometry::new("conv", x, weight, self)?;
        Ok([&[g.batch, g.groups * g.outputs], &g.output[3 - D..]].concat())
    }
}

/// A checked convolution. `[usize; 3]` are depth, height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub batch: usize,
    pub groups: usize,
    /// Input channels of a group.
    pub channels: usize,
    /// Output channels of a group.
    pub outputs: usize,
    pub input: [usize; 3],
    pub kernel: [usize; 3],
    pub output: [usize; 3],
    pub stride: [usize; 3],
    pub padding: [usize; 3],
    pub dilation: [usize; 3],
}

/// `sizes` as the last of three, with ones before.
fn three<const D: usize>(sizes: &[usize; D], fill: usize) -> [usize; 3] {
    let mut out = [fill; 3];
    out[3 - D..].copy_from_slice(sizes);
    out
}

/// How many steps of `stride` a window of `kernel` taps takes in `input` plus padding; `None` if it does not fit, a size
/// is 0 or something overflows `isize`.
pub(crate) fn steps(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Option<usize> {
    let padded = padding.checked_mul(2)?.checked_add(input)?;
    let reach = kernel
        .checked_sub(1)?
        .checked_mul(dilation)?
        .checked_add(1)?;
    // Kernels add up to a stride to a position in the padded input.
    let fits = isize::try_from(padded.checked_add(stride)?).is_ok() && dilation > 0 && stride > 0;
    if fits {
        Some(padded.checked_sub(reach)? / stride + 1)
    } else {
        None
    }
}

impl Geometry {
    pub(crate) fn new<const D: usize>(
        op: &'static str,
        x: &[usize],
        weight: &[usize],
        params: &ConvParams<D>,
    ) -> Result<Self> {
        const { assert!(D >= 1 && D <= 3, "1, 2 or 3 spatial dimensions") }
        let fail = |what: &str| {
            let (s, p, d, g) = (
                params.stride,
                params.padding,
                params.dilation,
                params.groups,
            );
            let how = format!("stride {s:?}, padding {p:?}, dilation {d:?}, groups {g}");
            Err(Error::shape(
                op,
                format!(
                    "input {}, weight {}, {how}: {what}",
                    sizes(x),
                    sizes(weight)
                ),
            ))
        };
        if x.len() != D + 2 || weight.len() != D + 2 {
            return fail(&format!("both need rank {}", D + 2));
        }
        let (groups, channels, outputs) = (params.groups, weight[1], weight[0]);
        if groups == 0
            || !outputs.is_multiple_of(groups)
            || channels.checked_mul(groups) != Some(x[1])
        {
            let takes = channels.saturating_mul(groups);
            let hint = if x.last() == Some(&takes) && takes != x[1] {
                "; is it channels last? permute it to (B, C, ..) first"
            } else {
                ""
            };
            return fail(&format!(
                "the input has {} channels, the weight takes {takes} (groups times its second size) and gives {outputs}, which \
                 groups must divide{hint}",
                x[1]
            ));
        }
        let mut g = Self {
            batch: x[0],
            groups,
            channels,
            outputs: outputs / groups,
            input: three::<D>(x[2..].try_into().unwrap_or(&[0; D]), 1),
            kernel: three::<D>(weight[2..].try_into().unwrap_or(&[0; D]), 1),
            output: [1; 3],
            stride: three(&params.stride, 1),
            padding: three(&params.padding, 0),
            dilation: three(&params.dilation, 1),
        };
        for d in 3 - D..3 {
            match steps(
                g.input[d],
                g.kernel[d],
                g.stride[d],
                g.padding[d],
                g.dilation[d],
            ) {
                Some(n) => g.output[d] = n,
                None => {
                    return fail(
                        "the kernel must fit into the padded input (a larger padding or a smaller kernel helps), and no stride, \
                         dilation or kernel size be 0",
                    );
                }
            }
        }
        numel(op, x)?;
        numel(op, weight)?;
        // `lens` multiplies with the groups apart from the channels, which may be 0 beside any number of groups.
        let all = |of: [usize; 3], sizes: [usize; 3]| numel(op, &[of, sizes].concat()).map(|_| ());
        all([g.batch, groups, channels], g.input)?;
        all([groups, g.outputs, channels], g.kernel)?;
        all([g.batch, groups, g.outputs], g.output)?;
        // What one column of an im2col matrix is indexed by must not overflow either.
        numel(op, &[channels, g.kernel[0], g.kernel[1], g.kernel[2]])?;
        Ok(g)
    }

    /// Elements of an input plane.
    #[inline]
    pub(crate) fn plane(&self) -> usize {
        self.input.iter().product()
    }

    /// Elements of an output plane.
    #[inline]
    pub(crate) fn pixels(&self) -> usize {
        self.output.iter().product()
    }

    /// Taps of the kernel.
    #[inline]
    pub(crate) fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Products an output element sums: (channel, tap).
    #[inline]
    pub(crate) fn depth(&self) -> usize {
        self.channels * self.taps()
    }

    /// Elements of the whole input, the weight and the output.
    pub(crate) fn lens(&self) -> (usize, usize, usize) {
        let x = self.batch * self.groups * self.channels * self.plane();
        let w = self.groups * self.outputs * self.depth();
        (
            x,
            w,
            self.batch * self.groups * self.outputs * self.pixels(),
        )
    }

    /// Whether each output is its input times a weight: 1 × 1, no stride, no padding.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [0; 3]
    }

    /// The same convolution over fewer, longer rows where that is possible.
    pub(crate) fn flattened(self) -> Self {
        if !self.is_pointwise() {
            return self;
        }
        let plane = [1, 1, self.plane()];
        Self {
            input: plane,
            output: plane,
            dilation: [1; 3],
            ..self
        }
    }
}
