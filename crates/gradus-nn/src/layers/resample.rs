//! Pictures resized, taken apart into windows and put together again: [`Upsample`], [`Unfold`], [`Fold`]. Options and
//! defaults are those of `torch.nn`. The arithmetic is `Var`'s.

use gradus_autograd::Var;
use gradus_tensor::{FoldParams, Interpolate, InterpolateMode, Result};

use super::conv::IntoSize;
use crate::layer::Layer;
use crate::module::Module;

/// Resizes the last axes: (B, C, ..) to (B, C, ..), one to three of them.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, Upsample};
/// use gradus_tensor::{DType, InterpolateMode, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let x = Var::from(Tensor::zeros([4, 8, 7, 7], DType::F32)?);
/// let double = Upsample::scale_factor([2.0]).mode(InterpolateMode::Bilinear);
/// assert_eq!(double.forward(&x)?.dims(), [4, 8, 14, 14]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct Upsample {
    /// To which size or by which factor, and how.
    #[module(skip)]
    pub options: Interpolate,
}

impl Upsample {
    /// To these sizes: one for all axes, or one for each.
    pub fn size(size: impl Into<Vec<usize>>) -> Self {
        Self {
            options: Interpolate::size(size),
        }
    }

    /// By these factors: one for all axes, or one for each.
    pub fn scale_factor(scale_factor: impl Into<Vec<f64>>) -> Self {
        Self {
            options: Interpolate::scale_factor(scale_factor),
        }
    }

    /// How values between elements are found (nearest).
    #[must_use]
    pub fn mode(mut self, mode: InterpolateMode) -> Self {
        self.options.mode = mode;
        self
    }

    /// Whether the outermost elements' centres stay in place, of the linear and cubic modes (no).
    #[must_use]
    pub fn align_corners(mut self, align_corners: bool) -> Self {
        self.options.align_corners = Some(align_corners);
        self
    }
}

impl Layer for Upsample {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.interpolate(&self.options)
    }
}

/// The setters that [`Unfold`] and [`Fold`] share.
macro_rules! windows {
    ($($name:ident),*) => {$(
        impl $name {
            /// Steps between the elements of a window (1).
            #[must_use]
            pub fn dilation(mut self, dilation: impl IntoSize<2>) -> Self {
                self.params.dilation = dilation.into_size();
                self
            }

            /// Zeros on all sides (0).
            #[must_use]
            pub fn padding(mut self, padding: impl IntoSize<2>) -> Self {
                self.params.padding = padding.into_size();
                self
            }

            /// Steps between windows (1).
            #[must_use]
            pub fn stride(mut self, stride: impl IntoSize<2>) -> Self {
                self.params.stride = stride.into_size();
                self
            }
        }
    )*};
}

windows!(Unfold, Fold);

/// The windows of images as columns: (B, C, H, W) to (B, C·KH·KW, L).
#[derive(Clone, Copy, Debug, Module)]
pub struct Unfold {
    /// The windows.
    #[module(skip)]
    pub params: FoldParams,
}

impl Unfold {
    /// Windows of this size, in every position.
    pub fn new(kernel_size: impl IntoSize<2>) -> Self {
        Self {
            params: FoldParams::new(kernel_size.into_size()),
        }
    }
}

impl Layer for Unfold {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.im2col(&self.params)
    }
}

/// Columns added up where their windows are in images: (B, C·KH·KW, L) to (B, C, H, W).
#[derive(Clone, Copy, Debug, Module)]
pub struct Fold {
    /// Height and width of the images.
    pub output_size: [usize; 2],
    /// The windows.
    #[module(skip)]
    pub params: FoldParams,
}

impl Fold {
    /// To images of this size, from windows of this size in every position.
    pub fn new(output_size: impl IntoSize<2>, kernel_size: impl IntoSize<2>) -> Self {
        Self {
            output_size: output_size.into_size(),
            params: FoldParams::new(kernel_size.into_size()),
        }
    }
}

impl Layer for Fold {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.col2im(self.output_size, &self.params)
    }
}
