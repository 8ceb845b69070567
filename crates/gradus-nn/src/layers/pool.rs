//! Pooling: the largest or the mean of each window. Options and defaults are PyTorch's; sizes are (B, C, H, W) or (C, H, W),
//! and without the last dimension for the layers over one. The arithmetic is `Var`'s.

use gradus_autograd::Var;
use gradus_tensor::{AvgPoolParams, MaxPoolParams, Result, Tensor};

use super::conv::IntoSize;
use crate::layer::Layer;
use crate::module::Module;

/// What every layer with a window has: `new` and the setters of its options.
macro_rules! windowed {
    ($($(#[$doc:meta])* $name:ident, $n:literal, $params:ident { $($field:ident: $value:expr),* }, $function:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Module)]
        pub struct $name {
            /// Window, step, padding and the rest.
            #[module(skip)]
            pub params: $params<$n>,
        }

        impl $name {
            /// Windows of this size, side by side.
            pub fn new(kernel_size: impl IntoSize<$n>) -> Self {
                let kernel = kernel_size.into_size();
                Self { params: $params { kernel, stride: kernel, padding: [0; $n], ceil_mode: false, $($field: $value),* } }
            }

            /// Step of the window (its size).
            #[must_use]
            pub fn stride(mut self, stride: impl IntoSize<$n>) -> Self {
                self.params.stride = stride.into_size();
                self
            }

            /// Rows added on both sides, minus infinity for a maximum and zeros for a mean (0).
            #[must_use]
            pub fn padding(mut self, padding: impl IntoSize<$n>) -> Self {
                self.params.padding = padding.into_size();
                self
            }

            /// Let the last window reach beyond the edge (no).
            #[must_use]
            pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
                self.params.ceil_mode = ceil_mode;
                self
            }
        }

        impl Layer for $name {
            fn forward(&self, x: &Var) -> Result<Var> {
                x.$function(&self.params)
            }
        }
    )*};
}

windowed! {
    /// The largest of each window over one dimension.
    MaxPool1d, 1, MaxPoolParams { dilation: [1] }, max_pool1d;
    /// The largest of each window: `MaxPool2d::new(2)` takes (B, C, H, W) to (B, C, H/2, W/2).
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{Layer, MaxPool2d};
    /// use gradus_tensor::Tensor;
    /// # fn main() -> gradus_tensor::Result<()> {
    /// let x = Var::from(Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0], [1, 1, 2, 2])?);
    /// assert_eq!(MaxPool2d::new(2).forward(&x)?.item::<f32>()?, 4.0);
    /// # Ok(())
    /// # }
    /// ```
    MaxPool2d, 2, MaxPoolParams { dilation: [1; 2] }, max_pool2d;
    /// The mean of each window over one dimension.
    AvgPool1d, 1, AvgPoolParams { count_include_pad: true, divisor_override: None }, avg_pool1d;
    /// The mean of each window.
    AvgPool2d, 2, AvgPoolParams { count_include_pad: true, divisor_override: None }, avg_pool2d;
    /// The largest of each window over three dimensions: (B, C, D, H, W).
    MaxPool3d, 3, MaxPoolParams { dilation: [1; 3] }, max_pool3d;
    /// The mean of each window over three dimensions.
    AvgPool3d, 3, AvgPoolParams { count_include_pad: true, divisor_override: None }, avg_pool3d;
}

/// Layers whose windows are chosen by the size of the output.
macro_rules! adaptive {
    ($($(#[$doc:meta])* $name:ident, $n:literal, $function:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Module)]
        pub struct $name {
            /// The size of the output.
            pub output_size: [usize; $n],
        }

        impl $name {
            /// To this size.
            pub fn new(output_size: impl IntoSize<$n>) -> Self {
                Self { output_size: output_size.into_size() }
            }
        }

        impl Layer for $name {
            fn forward(&self, x: &Var) -> Result<Var> {
                x.$function(self.output_size)
            }
        }
    )*};
}

adaptive! {
    /// The mean over windows chosen so that the output has this length.
    AdaptiveAvgPool1d, 1, adaptive_avg_pool1d;
    /// The mean over windows chosen so that the output has this size: `AdaptiveAvgPool2d::new(1)` is the mean of each channel.
    AdaptiveAvgPool2d, 2, adaptive_avg_pool2d;
    /// The largest over windows chosen so that the output has this length.
    AdaptiveMaxPool1d, 1, adaptive_max_pool1d;
    /// The largest over windows chosen so that the output has this size.
    AdaptiveMaxPool2d, 2, adaptive_max_pool2d;
    /// The mean over windows chosen so that the output has this size (D, H, W).
    AdaptiveAvgPool3d, 3, adaptive_avg_pool3d;
    /// The largest over windows chosen so that the output has this size (D, H, W).
    AdaptiveMaxPool3d, 3, adaptive_max_pool3d;
}

/// Maximum pools that say where they found it.
macro_rules! indexed {
    ($($name:ident),*) => {$(
        impl $name {
            /// The maxima, and the position of each in the flattened last dimensions: PyTorch's `return_indices`.
            ///
            /// # Errors
            /// When the window does not fit.
            pub fn forward_with_indices(&self, x: &Var) -> Result<(Var, Tensor)> {
                x.max_pool_with_indices(&self.params)
            }
        }
    )*};
}

indexed!(MaxPool1d, MaxPool2d, MaxPool3d);
