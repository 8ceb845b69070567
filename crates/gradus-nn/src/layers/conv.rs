//! Convolutions and transposed convolutions over one to three dimensions. Layout (OIHW; IOHW when transposed), options,
//! defaults and initialisation are PyTorch's. The arithmetic is `Var`'s.

use std::marker::PhantomData;

use gradus_autograd::Var;
use gradus_tensor::{ConvParams, DType, Error, PadMode, Result};

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

/// How much stands around the input of a convolution. Sizes convert to it: `.padding(1)`, `.padding([1, 2])`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding<const N: usize> {
    /// So many on both sides of each dimension.
    Both([usize; N]),
    /// As many as give the output the input's sizes; with stride 1 only. An odd one stands behind.
    Same,
    /// None.
    Valid,
}

impl<const N: usize> From<usize> for Padding<N> {
    fn from(n: usize) -> Self {
        Self::Both([n; N])
    }
}

impl<const N: usize> From<[usize; N]> for Padding<N> {
    fn from(sizes: [usize; N]) -> Self {
        Self::Both(sizes)
    }
}

impl From<(usize, usize)> for Padding<2> {
    fn from((height, width): (usize, usize)) -> Self {
        Self::Both([height, width])
    }
}

/// What stands around the input of a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The elements mirrored, the edge itself not repeated.
    Reflect,
    /// The edge, repeated.
    Replicate,
    /// The elements from the other end.
    Circular,
}

/// Padding that a layer does before its convolution: of other things than zeros, or more on one side than on the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Amounts before and after the last dimension, then the one before it, and so on.
    pub amounts: Vec<isize>,
    /// With what.
    pub mode: PadMode,
}

/// Options of a convolution layer `L` in `N` dimensions.
#[derive(Clone, Debug)]
pub struct ConvBuilder<L, const N: usize> {
    in_channels: usize,
    out_channels: usize,
    kernel: [usize; N],
    params: ConvParams<N>,
    padding: Padding<N>,
    padding_mode: PaddingMode,
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
            padding: Padding::Valid,
            padding_mode: PaddingMode::Zeros,
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

    /// Zeros on both sides (0), or [`Padding::Same`].
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Padding<N>>) -> Self {
        self.padding = padding.into();
        self
    }

    /// What stands around the input (zeros); not of a transposed convolution.
    #[must_use]
    pub fn padding_mode(mut self, mode: PaddingMode) -> Self {
        self.padding_mode = mode;
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

    /// The convolution's own padding, and what has to be done before it.
    fn around(&self, op: &'static str, transposed: bool) -> Result<(ConvParams<N>, Option<Edge>)> {
        let mut params = self.params;
        if transposed && (self.padding == Padding::Same || self.padding_mode != PaddingMode::Zeros)
        {
            let message = "a transposed convolution takes zeros, the same number on both sides";
            return Err(Error::value(op, message));
        }
        if self.padding == Padding::Same && params.stride != [1; N] {
            let message = format!("padding \"same\" takes stride 1, not {:?}", params.stride);
            return Err(Error::value(op, message));
        }
        let sides: [[usize; 2]; N] = std::array::from_fn(|d| match self.padding {
            Padding::Valid => [0; 2],
            Padding::Both(sizes) => [sizes[d]; 2],
            Padding::Same => {
                let reach = (self.kernel[d].saturating_sub(1)).saturating_mul(params.dilation[d]);
                [reach / 2, reach - reach / 2]
            }
        });
        let mode = match self.padding_mode {
            PaddingMode::Zeros => PadMode::Constant(0.0.into()),
            PaddingMode::Reflect => PadMode::Reflect,
            PaddingMode::Replicate => PadMode::Replicate,
            PaddingMode::Circular => PadMode::Circular,
        };
        if self.padding_mode == PaddingMode::Zeros && sides.iter().all(|[a, b]| a == b) {
            params.padding = sides.map(|[a, _]| a);
            return Ok((params, None));
        }
        let amount = |n: usize| isize::try_from(n).unwrap_or(isize::MAX);
        let amounts: Vec<isize> = sides.iter().rev().flatten().map(|&n| amount(n)).collect();
        let edge = Edge { amounts, mode };
        Ok((
            params,
            Some(edge).filter(|e| e.amounts.iter().any(|&n| n != 0)),
        ))
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
                    "{in_channels} inputs and {out_channels} outputs do not divide into {groups} groups; choose groups that divides both"
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

/// The structs, constructors and forward passes: of the convolutions, and of their transposes.
macro_rules! layers {
    (@build $layer:ident, $n:literal, $transposed:literal, |$self:ident, $weight:ident, $bias:ident, $params:ident, $edge:ident| $value:expr) => {
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
            /// When the groups do not divide the channels, a size is 0, the padding does not fit the layer, or the memory
            /// cannot be had.
            pub fn build($self) -> Result<$layer> {
                let ($weight, $bias) = $self.parts(stringify!($layer), $transposed)?;
                let ($params, $edge) = $self.around(stringify!($layer), $transposed)?;
                Ok($value)
            }
        }
    };
    (convolutions: $($(#[$doc:meta])* $layer:ident, $n:literal, $shape:literal, $function:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Module)]
        pub struct $layer {
            #[doc = $shape]
            pub weight: Param,
            /// (out)
            pub bias: Option<Param>,
            /// Stride, padding with the same number of zeros on both sides, dilation, groups.
            #[module(skip)]
            pub params: ConvParams<$n>,
            /// Any other padding.
            #[module(skip)]
            pub edge: Option<Edge>,
        }

        layers! {@build $layer, $n, false, |self, weight, bias, params, edge| $layer { weight, bias, params, edge }}

        impl Layer for $layer {
            fn forward(&self, x: &Var) -> Result<Var> {
                let bias = self.bias.as_ref().map(Param::var);
                match &self.edge {
                    None => x.$function(self.weight.var(), bias, &self.params),
                    Some(Edge { amounts, mode }) => {
                        x.pad(amounts, *mode)?.$function(self.weight.var(), bias, &self.params)
                    }
                }
            }
        }
    )*};
    (transposed: $($(#[$doc:meta])* $layer:ident, $n:literal, $shape:literal, $function:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Module)]
        pub struct $layer {
            #[doc = $shape]
            pub weight: Param,
            /// (out)
            pub bias: Option<Param>,
            /// Stride, padding, dilation, groups: of the convolution it is the transpose of.
            #[module(skip)]
            pub params: ConvParams<$n>,
            /// Rows added to one side of the output.
            pub output_padding: [usize; $n],
        }

        layers! {@build $layer, $n, true, |self, weight, bias, params, _edge| {
            $layer { weight, bias, params, output_padding: self.output_padding }
        }}

        impl Layer for $layer {
            fn forward(&self, x: &Var) -> Result<Var> {
                let bias = self.bias.as_ref().map(Param::var);
                x.$function(self.weight.var(), bias, &self.params, self.output_padding)
            }
        }
    )*};
}

layers! { convolutions:
    /// A convolution over one dimension: (B, in, L) or (in, L) to (B, out, L').
    Conv1d, 1, "(out, in / groups, k)", conv1d;
    /// A convolution over two dimensions: (B, in, H, W) or (in, H, W) to (B, out, H', W').
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{Conv2d, Layer, Padding, PaddingMode};
    /// use gradus_tensor::{DType, Tensor};
    /// # fn main() -> gradus_tensor::Result<()> {
    /// let x = Var::from(Tensor::zeros([4, 3, 32, 32], DType::F32)?);
    /// let conv = Conv2d::builder(3, 8, 3).stride(2).padding(1).bias(false).build()?;
    /// assert_eq!(conv.forward(&x)?.dims(), [4, 8, 16, 16]);
    /// let conv = Conv2d::builder(3, 8, 4).padding(Padding::Same).padding_mode(PaddingMode::Reflect).build()?;
    /// assert_eq!(conv.forward(&x)?.dims(), [4, 8, 32, 32]);
    /// # Ok(())
    /// # }
    /// ```
    Conv2d, 2, "(out, in / groups, kh, kw)", conv2d;
    /// A convolution over three dimensions: (B, in, D, H, W) or (in, D, H, W) to (B, out, D', H', W').
    Conv3d, 3, "(out, in / groups, kd, kh, kw)", conv3d;
}

layers! { transposed:
    /// The transpose of a convolution over one dimension: (B, in, L) to (B, out, L').
    ConvTranspose1d, 1, "(in, out / groups, k)", conv_transpose1d;
    /// The transpose of a convolution over two dimensions, which goes from its output's size to its input's:
    /// (B, in, H, W) to (B, out, H', W').
    ConvTranspose2d, 2, "(in, out / groups, kh, kw)", conv_transpose2d;
    /// The transpose of a convolution over three dimensions: (B, in, D, H, W) to (B, out, D', H', W').
    ConvTranspose3d, 3, "(in, out / groups, kd, kh, kw)", conv_transpose3d;
}
