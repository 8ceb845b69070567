//! The reference: three loops and a sum, what every fast path is tested against.

use gradus_simd::Float;

use super::{Epilogue, MatMut, MatRef};
use crate::Result;

/// `C = act(alpha·A·B + beta·C + bias + residual)`, one element at a time; the products are summed in order of `k` by
/// fused multiply-adds. With `beta = 0`, `C` is not read.
///
/// # Errors
/// If the shapes do not fit together (as [`gemm`](super::gemm)).
#[allow(clippy::needless_pass_by_value)] // the signature of `gemm`
pub fn gemm<T: Float>(
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    epilogue: &Epilogue<'_, T>,
) -> Result<()> {
    super::check(&a, &b, &c, epilogue)?;
    for i in 0..c.rows {
        for j in 0..c.cols {
            let at = i * c.row_stride + j;
            let mut sum = T::ZERO;
            for p in 0..a.cols() {
                sum = a.at(i, p).mul_add(b.at(p, j), sum);
            }
            let mut y = alpha * sum;
            if beta != T::ZERO {
                y = beta.mul_add(c.data[at], y);
            }
            c.data[at] = epilogue.reference(y, i, j, at);
        }
    }
    Ok(())
}
