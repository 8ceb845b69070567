//! Which dtype operands are computed in: PyTorch's `torch.result_type`.
//!
//! Tensors with dimensions decide; rank-0 tensors and plain numbers only matter when their category (bool, whole,
//! real) is higher, and then bring their own dtype (a plain real brings f32, the default).

use crate::dtype::DType;
use crate::ops::operand::Operand;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The dtype of an arithmetic op on two tensors.
///
/// ```
/// use gradus_tensor::{DType, Tensor, ops::result_type};
/// let x = Tensor::zeros([3], DType::F32)?;
/// let scalar = Tensor::zeros((), DType::F64)?;
/// assert_eq!(result_type(&x, &scalar), DType::F32); // a rank-0 tensor does not widen
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub fn result_type(a: &Tensor, b: &Tensor) -> DType {
    result_type_of(&[&Operand::Ref(a), &Operand::Ref(b)])
}

/// The dtype of an arithmetic op on a tensor and a plain number.
///
/// ```
/// use gradus_tensor::{DType, Tensor, ops::result_type_scalar};
/// let x = Tensor::zeros(2, DType::BF16)?;
/// assert_eq!(result_type_scalar(&x, 0.5.into()), DType::BF16);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub fn result_type_scalar(a: &Tensor, s: Scalar) -> DType {
    result_type_of(&[&Operand::Ref(a), &Operand::Num(s)])
}

/// The same for any operands: the three ranks of operand are joined, each higher one winning unless its category is lower.
pub(crate) fn result_type_of(operands: &[&Operand<'_>]) -> DType {
    let mut joined: [Option<DType>; 3] = [None; 3]; // with dimensions, rank 0, plain numbers
    for operand in operands {
        let (level, dtype) = match operand {
            Operand::Ref(x) => (usize::from(x.rank() == 0), x.dtype()),
            Operand::Own(x) => (usize::from(x.rank() == 0), x.dtype()),
            Operand::Num(s) => (2, s.dtype()),
        };
        joined[level] = Some(joined[level].map_or(dtype, |d| d.promote(dtype)));
    }
    let higher = |a: Option<DType>, b: Option<DType>| match (a, b) {
        (Some(a), Some(b)) => Some(if b.category() > a.category() { b } else { a }),
        (a, b) => a.or(b),
    };
    higher(higher(joined[0], joined[1]), joined[2]).unwrap_or(DType::F32)
}
