//! Matrix products: `C = act(alpha·A·B + beta·C + bias + residual)`.
//!
//! What it is: our GEMM, BLIS's five loops written once over an ISA, for `f32` and `f64`, any strides of A and B, with an
//! epilogue that adds bias and residual and applies an activation before a tile leaves the cache. Read `blocked` for the
//! loops, `microkernel` for the innermost one, `pack` for how layouts disappear, `matvec` for products with one row, and
//! `reference` for what all of it must equal.
//! With AMX, large `f32` products are computed by tiles of bf16 (`tiles`), three of which hold an `f32`: no less exact and
//! about twice as fast; and bf16 products ([`try_matmul_bf16`]) by the same tiles as they are (`half`).
//! What it is not: a BLAS. There is one entry, no triangular or symmetric kinds, and C is row-major.
//!
//! Results are the same, bit for bit, for any number of threads.

mod batch;
mod blocked;
mod dot;
mod epilogue;
mod half;
pub mod kept;
mod matrix;
mod matvec;
mod microkernel;
mod pack;
mod reference;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tiles;
#[cfg(test)]
mod tiles_tests;
mod tiling;

use gradus_simd::{Float, IsaName};

pub use batch::{matmul, matmul_keeping};
pub use epilogue::{Activation, Bias, Epilogue};
pub use half::try_matmul_bf16;
pub use kept::Kept;
pub use matrix::{MatMut, MatRef};
pub use reference::gemm as gemm_reference;

pub(crate) use blocked::{Job, blocked, on};
pub(crate) use dot::dot_tile;
pub(crate) use epilogue::{Scale, activate, finish, load};
pub(crate) use matrix::Out;
pub(crate) use microkernel::{RegisterTile, Shifted, register_tile, tile};
pub(crate) use pack::{Columns, PackA, Panels, copy};
pub(crate) use tiling::KC;

use crate::{Error, Result};

/// `C = act(alpha·A·B + beta·C + bias + residual)`: A is (M, K), B is (K, N), C is (M, N).
///
/// With `beta = 0`, C is written and never read, so it may hold NaN. With K = 0 the product is 0.
/// Products are accumulated in the element type by fused multiply-adds, in blocks of at most 256; on AMX, large `f32` ones
/// by tiles, in blocks of at most 512, with an error below that. There, sums and products under 2⁻¹²⁶ count as 0: of an
/// element of C at most 2⁻¹¹⁴ a block is lost. NaN and infinities are what they are without.
///
/// ```
/// use gradus_cpu::gemm::{Activation, Bias, Epilogue, MatMut, MatRef, gemm};
///
/// let x = MatRef::row_major(&[1.0f32, 2.0, 3.0, 4.0], 2, 2)?;
/// let weight = MatRef::row_major(&[1.0, 0.0, 1.0, -1.0, 0.0, 5.0], 3, 2)?; // (out, in), as PyTorch's Linear
/// let mut y = [0.0; 6];
/// let epilogue = Epilogue { bias: Bias::Column(&[0.5, 0.0, -30.0]), activation: Activation::Relu, ..Default::default() };
/// gemm(1.0, x, weight.t(), 0.0, MatMut::row_major(&mut y, 2, 3)?, &epilogue)?;
/// assert_eq!(y, [1.5, 0.0, 0.0, 3.5, 0.0, 0.0]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit together, or bias or residual do not fit C.
#[inline(never)]
pub fn gemm<T: Float>(
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    epilogue: &Epilogue<'_, T>,
) -> Result<()> {
    check(&a, &b, &c, epilogue)?;
    gemm_on(gradus_simd::current(), alpha, a, b, beta, c, epilogue);
    Ok(())
}

/// [`gemm`] of checked arguments, on a given ISA.
pub(crate) fn gemm_on<T: Float>(
    isa: IsaName,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    mut c: MatMut<'_, T>,
    epilogue: &Epilogue<'_, T>,
) {
    if matvec::try_run(isa, alpha, a, b, beta, &mut c, epilogue) {
        return;
    }
    let out = Out::matrix(&mut c);
    blocked(&Job {
        a,
        b: &b,
        alpha,
        beta,
        out: &out,
        epilogue,
        isa,
        done: None,
    });
}

/// Checks that A, B, C and the epilogue fit together.
fn check<T>(
    a: &MatRef<'_, T>,
    b: &MatRef<'_, T>,
    c: &MatMut<'_, T>,
    epilogue: &Epilogue<'_, T>,
) -> Result<()> {
    let shapes = || {
        format!(
            "({}, {}) x ({}, {}) -> ({}, {})",
            a.rows(),
            a.cols(),
            b.rows(),
            b.cols(),
            c.rows,
            c.cols
        )
    };
    if a.cols() != b.rows() || a.rows() != c.rows || b.cols() != c.cols {
        return Err(Error::shape("gemm", shapes()));
    }
    let (bias, wanted) = match epilogue.bias {
        Bias::None => (0, 0),
        Bias::Row(bias) => (bias.len(), c.rows),
        Bias::Column(bias) => (bias.len(), c.cols),
    };
    if bias != wanted {
        return Err(Error::shape(
            "gemm",
            format!("{}: a bias of {bias} where {wanted} are needed", shapes()),
        ));
    }
    if let Some(residual) = epilogue.residual {
        let needed = if c.rows == 0 {
            0
        } else {
            (c.rows - 1) * c.row_stride + c.cols
        };
        if residual.len() < needed {
            let message = format!(
                "{}: a residual of {}, {needed} are needed",
                shapes(),
                residual.len()
            );
            return Err(Error::shape("gemm", message));
        }
    }
    Ok(())
}
