//! Padding as layers: more elements around the last one, two or three dimensions. Names and order (before and after the last
//! dimension, then the one before it) are `torch.nn`'s; the arithmetic is `functional::pad`.

use gradus_autograd::Var;
use gradus_tensor::{Error, PadMode, Result};

use crate::layer::Layer;
use crate::module::Module;

/// Amounts of padding on `N` sides: one for all, or one for each. Negative ones cut off.
pub trait IntoPadding<const N: usize> {
    /// The amount on each side.
    fn into_padding(self) -> [isize; N];
}

impl<const N: usize> IntoPadding<N> for isize {
    fn into_padding(self) -> [isize; N] {
        [self; N]
    }
}

impl<const N: usize> IntoPadding<N> for [isize; N] {
    fn into_padding(self) -> [isize; N] {
        self
    }
}

/// A layer for each mode and number of dimensions, with twice as many sides.
macro_rules! pads {
    ($($(#[$doc:meta])* $name:ident $(($value:ident))?, $n:literal, $sides:literal, $mode:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Module)]
        pub struct $name {
            /// Before and after the last dimension, then the one before it.
            #[module(skip)]
            pub padding: [isize; $sides],
            $(
                /// What stands outside.
                pub $value: f64,
            )?
        }

        impl $name {
            /// With this much on all sides, or on each.
            pub fn new(padding: impl IntoPadding<$sides> $(, $value: f64)?) -> Self {
                Self { padding: padding.into_padding() $(, $value)? }
            }
        }

        impl Layer for $name {
            fn forward(&self, x: &Var) -> Result<Var> {
                if x.rank() != $n + 1 && x.rank() != $n + 2 {
                    let message = format!("{}: it takes {} sizes after (B, C) or (C)", x.shape(), $n);
                    return Err(Error::shape(stringify!($name), message));
                }
                $(let $value = self.$value;)?
                x.pad(&self.padding, $mode)
            }
        }
    )*};
}

pads! {
    /// A number around the last dimension.
    ConstantPad1d(value), 1, 2, PadMode::Constant(value.into());
    /// A number around the last two dimensions.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{ConstantPad2d, Layer};
    /// use gradus_tensor::{DType, Tensor};
    /// # fn main() -> gradus_tensor::Result<()> {
    /// let x = Var::from(Tensor::ones([1, 1, 2], DType::F32)?); // (C, H, W)
    /// let y = ConstantPad2d::new([1, 0, 0, 1], 5.0).forward(&x)?; // left, right, top, bottom
    /// assert_eq!(y.value().to_vec::<f32>()?, [5.0, 1.0, 1.0, 5.0, 5.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    ConstantPad2d(value), 2, 4, PadMode::Constant(value.into());
    /// A number around the last three dimensions.
    ConstantPad3d(value), 3, 6, PadMode::Constant(value.into());
    /// Zeros around the last dimension.
    ZeroPad1d, 1, 2, PadMode::Constant(0.into());
    /// Zeros around the last two dimensions.
    ZeroPad2d, 2, 4, PadMode::Constant(0.into());
    /// Zeros around the last three dimensions.
    ZeroPad3d, 3, 6, PadMode::Constant(0.into());
    /// The elements mirrored at the edges of the last dimension.
    ReflectionPad1d, 1, 2, PadMode::Reflect;
    /// The elements mirrored at the edges of the last two dimensions.
    ReflectionPad2d, 2, 4, PadMode::Reflect;
    /// The elements mirrored at the edges of the last three dimensions.
    ReflectionPad3d, 3, 6, PadMode::Reflect;
    /// The edges of the last dimension, repeated.
    ReplicationPad1d, 1, 2, PadMode::Replicate;
    /// The edges of the last two dimensions, repeated.
    ReplicationPad2d, 2, 4, PadMode::Replicate;
    /// The edges of the last three dimensions, repeated.
    ReplicationPad3d, 3, 6, PadMode::Replicate;
    /// The last dimension as if it were a circle.
    CircularPad1d, 1, 2, PadMode::Circular;
    /// The last two dimensions as if each were a circle.
    CircularPad2d, 2, 4, PadMode::Circular;
    /// The last three dimensions as if each were a circle.
    CircularPad3d, 3, 6, PadMode::Circular;
}
