//! Mixed precision: products in 16 bits, everything that sums or grows in f32, by PyTorch's policy.
//!
//! Inside [`autocast`] matrix products, linear layers and convolutions take their operands in the low dtype and give results in it;
//! normalisations, softmax and losses take theirs in f32; all other operations follow the usual promotion (bf16 and f32 make f32).
//! Parameters stay what they are: the conversion is recorded, so an f32 weight gets an f32 gradient, and an optimiser steps f32
//! numbers. It is not loss scaling, which bf16 does not need. Source: `torch.autocast` and its lists of operations.

use std::cell::Cell;

use gradus_tensor::{DType, Result};

use crate::var::Var;

thread_local! {
    static LOW: Cell<Option<DType>> = const { Cell::new(None) };
}

/// Runs `f` with products in `dtype`, bf16 (or f16); any other dtype switches the mode off in `f`.
///
/// The backward needs no mode: it follows the dtypes of the forward.
///
/// ```
/// use gradus_autograd::{Var, autocast};
/// use gradus_tensor::{DType, Tensor};
/// let x = Var::from(Tensor::ones([2, 3], DType::F32)?);
/// let w = Var::leaf(Tensor::ones([4, 3], DType::F32)?)?;
/// let y = autocast(DType::BF16, || x.linear(&w, None))?;
/// assert_eq!(y.dtype(), DType::BF16);
/// let dw = y.sum(.., false)?.backward()?;
/// assert_eq!(dw.get(&w).unwrap().dtype(), DType::F32); // the master weight's own dtype
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub fn autocast<R>(dtype: DType, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<DType>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LOW.set(self.0);
        }
    }
    let low = matches!(dtype, DType::BF16 | DType::F16).then_some(dtype);
    let _restore = Restore(LOW.replace(low));
    f()
}

/// The dtype products are made in on this thread, inside [`autocast`].
pub fn autocast_dtype() -> Option<DType> {
    LOW.get()
}

/// The operands of a product in the low dtype; `None` if they are to stay as they are: outside [`autocast`], f64, whole numbers, or
/// in it already.
pub(crate) fn lower<const N: usize>(operands: [&Var; N]) -> Result<Option<[Var; N]>> {
    let Some(low) = autocast_dtype() else {
        return Ok(None);
    };
    let single = |x: &&Var| matches!(x.dtype(), DType::F32 | DType::BF16 | DType::F16);
    if !operands.iter().all(single) || operands.iter().all(|x| x.dtype() == low) {
        return Ok(None);
    }
    let mut out = operands.map(Var::clone);
    for x in &mut out {
        *x = x.to_dtype(low)?;
    }
    Ok(Some(out))
}

/// The operand of a sum in f32, where [`autocast`] made it 16 bits.
pub(crate) fn raise(x: &Var) -> Result<Var> {
    if autocast_dtype().is_some() && matches!(x.dtype(), DType::BF16 | DType::F16) {
        return x.to_dtype(DType::F32);
    }
    Ok(x.clone())
}

/// Is `x` one that [`raise`] changes?
pub(crate) fn is_low(x: &Var) -> bool {
    autocast_dtype().is_some() && matches!(x.dtype(), DType::BF16 | DType::F16)
}
