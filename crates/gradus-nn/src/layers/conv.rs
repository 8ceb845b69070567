//! Convolutions and transposed convolutions over one and two dimensions. Layout (OIHW; IOHW when transposed), options,
//! defaults and initialisation are PyTorch's. The arithmetic is `Var`'s.

use std::marker::PhantomData;

use gradus_autograd::Var;
use gradus_tensor::{ConvParams, DType, Error, Result};

use crate::init::default_uniform;
use crate::layer::Layer;
use crate::module::{Module, Param};

/// A size in `N` dimensions: `3`, `[3, 5]`, or for two dimensions `(3, 5)`.
pub trait IntoSize<const N: usize> {
    /// The size of each dimension.
    fn into_size(self) -> [usize; N];
}

impl<const N: usize> IntoSize<N> for usize {
    fn into_size(self) -> [usize; N] {
        [self; N]
    }
}

impl<const N: usize> IntoSize<N> for [usize; N] {
    fn into_size(self) -> [usize; N] {
        self
    }
}

impl IntoSize<2> for (usize, usize) {
    fn into_size(self) -> [usize; 2] {
        [self.0, self.1]
    }
}

/// Options of a convolution layer `L` in `N` dimensions.
#[derive(Clone, Debug)]
pub struct ConvBuilder<L, const N: usize> {
    in_channels: usize,
    out_channels: usize,
    kernel: [usize; N],
    params: ConvParams<N>,
    output_padding: [usize; N],
    bias: bool,
    dtype: DType,
    layer: PhantomData<fn() -> L>,
}

impl<L, const N: usize> ConvBuilder<L, N> {
    fn new(in_channels: usize, out_channels: usize, kernel: impl IntoSize<N>) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: kernel.into_size(),
            params: ConvParams::default(),
            output_padding: [0; N],
            bias: true,
            dtype: DType::F32,
            layer: PhantomData,
        }
    }

    /// Step of the kernel (1).
    #[must_use]
    pub fn stride(mut self, stride: impl IntoSize<N>) -> Self {
        self.params.stride = stride.into_size();
        self
    }

    /// Zeros on both sides (0).
    #[must_use]
    pub fn padding(mut self, padding: impl IntoSize<N>) -> Self {
        self.params.padding = padding.into_size();
        self
    }

    /// Step within the kernel (1).
    #[must_use]
    pub fn dilation(mut self, dilation: impl IntoSize<N>) -> Self {
        self.params.dilation = dilation.into_size();
        self
    }

    /// Independent groups of channels (1); as many as there are inputs makes it depthwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.params.groups = groups;
        self
    }

    /// Rows added to one side of the output; of a transposed convolution only (0).
    #[must_use]
    pub fn output_padding(mut self, padding: impl IntoSize<N>) -> Self {
        self.output_padding = padding.into_size();
        self
    }

    /// With a bias (it is) or without.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Of this dtype (f32).
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = dtype;
        self
    }

    /// Weight and bias, uniform within `1/sqrt(fan_in)`, where PyTorch counts the fan-in of a transposed weight by its second
    /// dimension too.
    fn parts(&self, op: &'static str, transposed: bool) -> Result<(Param, Option<Param>)> {
        let Self {
            in_channels,
            out_channels,
            params,
            ..
        } = self;
        let groups = params.groups;
        if groups == 0
            || !in_channels.is_multiple_of(groups)
            || !out_channels.is_multiple_of(groups)
        {
            return Err(Error::value(
                op,
                format!(
                    "{in_channels} inputs and {out_channels} outputs do not divide into {groups} groups"
                ),
            ));
        }
        if params.stride.contains(&0) || params.dilation.contains(&0) || self.kernel.contains(&0) {
            let message = format!(
                "kernel {:?}, stride {:?} and dilation {:?} must be 1 or more",
                self.kernel, params.stride, params.dilation
            );
            return Err(Error::value(op, message));
        }
        if !transposed && self.output_padding != [0; N] {
            return Err(Error::value(
                op,
                "output_padding is for transposed convolutions",
            ));
        }
        let (first, second) = if transposed {
            (*in_channels, out_channels / groups)
        } else {
            (*out_channels, in_channels / groups)
        };
        let fan_in = self
            .kernel
            .iter()
            .fold(second, |product, &k| product.saturating_mul(k));
        let shape: Vec<usize> = [first, second].into_iter().chain(self.kernel).collect();
        let weight = Param::new(default_uniform(shape, fan_in, self.dtype)?)?;
        let bias = if self.bias {
            Some(Param::new(default_uniform(
                [*out_channels],
                fan_in,
                self.dtype,
            )?)?)
        } else {
            None
        };
        Ok((weight, bias))
    }
}

/// A convolution over one dimension: (B, in, L) or (in, L) to (B, out, L').
#[derive(Clone, Debug, Module)]
pub struct Conv1d {
    /// (out, in / groups, k)
    pub weight: Param,
    /// (out)
    pub bias: Option<Param>,
    /// Stride, padding, dilation, groups.
    #[module(skip)]
    pub params: ConvParams<1>,
}

/// A convolution over two dimensions: (B, in, H, W) or (in, H, W) to (B, out, H', W').
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Conv2d, Layer};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let conv = Conv2d::builder(3, 8, 3).stride(2).padding(1).bias(false).build()?;
/// let x = Var::from(Tensor::zeros([4, 3, 32, 32], DType::F32)?);
/// assert_eq!(conv.forward(&x)?.dims(), [4, 8, 16, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct Conv2d {
    /// (out, in / groups, kh, kw)
    pub weight: Param,
    /// (out)
    pub bias: Option<Param>,
    /// Stride, padding, dilation, groups.
    #[module(skip)]
    pub params: ConvParams<2>,
}

/// The transpose of a convolution over one dimension: (B, in, L) to (B, out, L').
#[derive(Clone, Debug, Module)]
pub struct ConvTranspose1d {
    /// (in, out / groups, k)
    pub weight: Param,
    /// (out)
    pub bias: Option<Param>,
    /// Stride, padding, dilation, groups: of the convolution it is the transpose of.
    #[module(skip)]
    pub params: ConvParams<1>,
    /// Rows added to one side of the output.
    pub output_padding: [usize; 1],
}

/// The transpose of a convolution over two dimensions, which goes from its output's size to its input's:
/// (B, in, H, W) to (B, out, H', W').
#[derive(Clone, Debug, Module)]
pub struct ConvTranspose2d {
    /// (in, out / groups, kh, kw)
    pub weight: Param,
    /// (out)
    pub bias: Option<Param>,
    /// Stride, padding, dilation, groups: of the convolution it is the transpose of.
    #[module(skip)]
    pub params: ConvParams<2>,
    /// Rows added to one side of the output.
    pub output_padding: [usize; 2],
}

/// The constructors of each, which differ in the number of dimensions, the layout of the weight and the output padding.
macro_rules! layers {
    ($($layer:ident, $n:literal, $transposed:literal, $function:ident $(, $extra:ident)?;)*) => {$(
        impl $layer {
            /// Stride 1, no padding, with a bias, in f32.
            ///
            /// # Errors
            /// When the kernel is 0 or the memory cannot be had.
            pub fn new(in_channels: usize, out_channels: usize, kernel: impl IntoSize<$n>) -> Result<Self> {
                Self::builder(in_channels, out_channels, kernel).build()
            }

            /// With a choice of options.
            pub fn builder(in_channels: usize, out_channels: usize, kernel: impl IntoSize<$n>) -> ConvBuilder<Self, $n> {
                ConvBuilder::new(in_channels, out_channels, kernel)
            }
        }

        impl ConvBuilder<$layer, $n> {
            /// The layer.
            ///
            /// # Errors
            /// When the groups do not divide the channels, a size is 0, or the memory cannot be had.
            pub fn build(self) -> Result<$layer> {
                let (weight, bias) = self.parts(stringify!($layer), $transposed)?;
                Ok($layer { weight, bias, params: self.params $(, $extra: self.$extra)? })
            }
        }

        impl Layer for $layer {
            fn forward(&self, x: &Var) -> Result<Var> {
                x.$function(self.weight.var(), self.bias.as_ref().map(Param::var), &self.params $(, self.$extra)?)
            }
        }
    )*};
}

layers! {
    Conv1d, 1, false, conv1d;
    Conv2d, 2, false, conv2d;
    ConvTranspose1d, 1, true, conv_transpose1d, output_padding;
    ConvTranspose2d, 2, true, conv_transpose2d, output_padding;
}
