//! Pooling: the largest or the mean of each window. Options and defaults are PyTorch's; sizes are (B, C, H, W) or (C, H, W),
//! and without the last dimension for the layers over one.

use gradus_autograd::{Var, functional as F};
use gradus_tensor::Result;

use super::conv::IntoSize;
use crate::layer::Layer;
use crate::module::Module;

/// Pooling layers with a window: the struct, `new`, and a setter for each option.
macro_rules! windowed {
    ($($(#[$doc:meta])* $name:ident, $n:literal { $($(#[$fdoc:meta])* $field:ident: $type:ty = $default:expr),* } |$s:ident, $x:ident| $forward:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Module)]
        pub struct $name {
            /// Size of the window.
            pub kernel_size: [usize; $n],
            /// Step of the window (its size).
            pub stride: [usize; $n],
            /// Rows added on both sides: minus infinity for a maximum, zeros for a mean (0).
            pub padding: [usize; $n],
            /// Let the last window reach beyond the edge.
            pub ceil_mode: bool,
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl $name {
            /// Windows of this size, side by side.
            pub fn new(kernel_size: impl IntoSize<$n>) -> Self {
                let kernel_size = kernel_size.into_size();
                Self { kernel_size, stride: kernel_size, padding: [0; $n], ceil_mode: false, $($field: $default),* }
            }

            /// Step of the window.
            #[must_use]
            pub fn stride(mut self, stride: impl IntoSize<$n>) -> Self {
                self.stride = stride.into_size();
                self
            }

            /// Rows added on both sides.
            #[must_use]
            pub fn padding(mut self, padding: impl IntoSize<$n>) -> Self {
                self.padding = padding.into_size();
                self
            }

            /// Let the last window reach beyond the edge.
            #[must_use]
            pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
                self.ceil_mode = ceil_mode;
                self
            }
        }

        impl Layer for $name {
            fn forward(&self, $x: &Var) -> Result<Var> {
                let $s = self;
                $forward
            }
        }
    )*};
}

windowed! {
    /// The largest of each window over one dimension.
    MaxPool1d, 1 {
        /// Step within the window (1).
        dilation: [usize; 1] = [1]
    } |s, x| F::max_pool1d(x, s.kernel_size[0], s.stride[0], s.padding[0], s.dilation[0], s.ceil_mode);
    /// The largest of each window: `MaxPool2d::new(2)` takes (B, C, H, W) to (B, C, H/2, W/2).
    MaxPool2d, 2 {
        /// Step within the window (1).
        dilation: [usize; 2] = [1, 1]
    } |s, x| F::max_pool2d(x, s.kernel_size, s.stride, s.padding, s.dilation, s.ceil_mode);
    /// The mean of each window over one dimension.
    AvgPool1d, 1 {
        /// Count the padding's zeros in the mean (they are).
        count_include_pad: bool = true
    } |s, x| F::avg_pool1d(x, s.kernel_size[0], s.stride[0], s.padding[0], s.ceil_mode, s.count_include_pad);
    /// The mean of each window.
    AvgPool2d, 2 {
        /// Count the padding's zeros in the mean (they are).
        count_include_pad: bool = true
    } |s, x| F::avg_pool2d(x, s.kernel_size, s.stride, s.padding, s.ceil_mode, s.count_include_pad);
}

/// The mean over windows chosen so that the output has this size: `AdaptiveAvgPool2d::new(1)` is the mean of each channel.
#[derive(Clone, Debug, Module)]
pub struct AdaptiveAvgPool2d {
    /// (H', W')
    pub output_size: [usize; 2],
}

impl AdaptiveAvgPool2d {
    /// To this size.
    pub fn new(output_size: impl IntoSize<2>) -> Self {
        Self { output_size: output_size.into_size() }
    }
}

impl Layer for AdaptiveAvgPool2d {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::adaptive_avg_pool2d(x, self.output_size)
    }
}

/// The mean over windows chosen so that the output has this length.
#[derive(Clone, Debug, Module)]
pub struct AdaptiveAvgPool1d {
    /// L'
    pub output_size: usize,
}

impl AdaptiveAvgPool1d {
    /// To this length.
    pub fn new(output_size: usize) -> Self {
        Self { output_size }
    }
}

impl Layer for AdaptiveAvgPool1d {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::adaptive_avg_pool1d(x, self.output_size)
    }
}
