//! Which dtype two operands are computed in: PyTorch's `torch.result_type`.
//!
//! Tensors with dimensions decide; rank-0 tensors and plain numbers only matter when their category (bool, whole,
//! real) is higher, and then bring their own dtype (a plain real brings f32, the default).

use crate::dtype::DType;
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
    let (da, db) = (a.dtype(), b.dtype());
    match (a.rank() == 0, b.rank() == 0) {
        (false, true) if da.category() >= db.category() => da,
        (true, false) if db.category() >= da.category() => db,
        (false, true) => db,
        (true, false) => da,
        _ => da.promote(db),
    }
}

/// The dtype of an arithmetic op on a tensor and a plain number.
pub fn result_type_scalar(a: &Tensor, s: Scalar) -> DType {
    if a.dtype().category() >= s.dtype().category() {
        a.dtype()
    } else {
        s.dtype()
    }
}
