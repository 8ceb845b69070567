//! Functions of one number, element by element, by PyTorch's names.

use crate::DType;
use crate::element::Element;
use crate::error::Result;
use crate::tensor::Tensor;

fn apply(op: &'static str, x: &Tensor, dtype: DType, f: fn(f64) -> f64) -> Result<Tensor> {
    let x = x.to_dtype(dtype)?.contiguous()?;
    dispatch!(dtype, T => {
        let xs = x.data::<T>(op)?;
        Tensor::build::<T>(op, x.shape(), |y| {
            for (y, x) in y.iter_mut().zip(xs) {
                *y = T::from_f64(f(x.to_f64()));
            }
        })
    })
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident $inplace:ident $dtype:expr, $f:expr;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            pub fn $name(&self) -> Result<Tensor> {
                let dtype: fn(DType) -> DType = $dtype;
                apply(stringify!($name), self, dtype(self.dtype()), $f)
            }
            #[doc = concat!("As [`Tensor::", stringify!($name), "`], reusing this tensor's memory when nobody else holds it.")]
            pub fn $inplace(self) -> Result<Tensor> {
                self.$name()
            }
        )*}
    };
}

unary! {
    /// −x.
    neg neg_ |d| d, |x| -x;
    /// |x|.
    abs abs_ |d| d, f64::abs;
    /// x².
    square square_ |d| d, |x| x * x;
    /// max(x, 0).
    relu relu_ |d| d, |x| if x < 0.0 { 0.0 } else { x };
    /// eˣ.
    exp exp_ DType::to_float, f64::exp;
    /// ln x.
    log log_ DType::to_float, f64::ln;
    /// √x.
    sqrt sqrt_ DType::to_float, f64::sqrt;
    /// 1/√x.
    rsqrt rsqrt_ DType::to_float, |x| x.sqrt().recip();
    /// 1/x.
    reciprocal reciprocal_ DType::to_float, f64::recip;
    /// The sine.
    sin sin_ DType::to_float, f64::sin;
    /// The cosine.
    cos cos_ DType::to_float, f64::cos;
    /// The hyperbolic tangent.
    tanh tanh_ DType::to_float, f64::tanh;
    /// 1/(1 + e⁻ˣ).
    sigmoid sigmoid_ DType::to_float, |x| 1.0 / (1.0 + (-x).exp());
}
