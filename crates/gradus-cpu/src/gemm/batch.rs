//! Batches of products: folded into one where the layout allows, else spread over threads, matrix by matrix.

use gradus_simd::Float;

use super::{Bias, Epilogue, Kept, MatMut, MatRef, gemm_on};
use crate::parallel::{self, SharedMut};
use crate::{Error, Result, View, numel};

/// Multiply-adds that one task computes at least.
const GRAIN: usize = 256 * 1024;

/// `C[b] = act(A[b]·B[b] + bias + residual[b])` for each index `b` of the batch.
///
/// `a` is (…, M, K), `b` is (…, K, N) with the same leading dimensions (a broadcast one has stride 0) and `c` is (…, M, N),
/// row-major. The bias is the same for each matrix; `residual` is laid out as `c`. If B is the same for the whole batch
/// and A's rows are evenly spaced, the batch is one product of taller matrices: `(B, T, C) × (C, D)` costs one GEMM.
///
/// # Errors
/// If the shapes do not fit together, or `c` or the epilogue do not fit the result.
#[inline(never)]
pub fn matmul<T: Float>(
    a: View<'_, T>,
    b: View<'_, T>,
    epilogue: &Epilogue<'_, T>,
    c: &mut [T],
) -> Result<()> {
    matmul_keeping(a, b, None, epilogue, c)
}

/// [`matmul`] with a B that does not change from one call to the next: what is packed of it, if it is one for the whole batch, is kept
/// there, and must be cleared before B changes.
///
/// # Errors
/// As [`matmul`].
#[inline(never)]
pub fn matmul_keeping<T: Float>(
    a: View<'_, T>,
    b: View<'_, T>,
    kept: Option<&Kept>,
    epilogue: &Epilogue<'_, T>,
    c: &mut [T],
) -> Result<()> {
    let isa = gradus_simd::current();
    let rank = a.rank();
    let fail = |what: &str| {
        Err(Error::shape(
            "matmul",
            format!("{:?} x {:?}: {what}", a.shape(), b.shape()),
        ))
    };
    if rank < 2 || b.rank() != rank {
        return fail("both need the same rank, 2 or more");
    }
    let (batch, &[m, k]) = (&a.shape()[..rank - 2], &a.shape()[rank - 2..]) else {
        return fail("rank");
    };
    let &[k2, n] = &b.shape()[rank - 2..] else {
        return fail("rank");
    };
    if k != k2 {
        return fail(&format!("inner {k} != {k2}"));
    }
    if &b.shape()[..rank - 2] != batch {
        return fail("the leading dimensions differ");
    }
    let count = numel("matmul", batch)?;
    let size = numel("matmul", &[count, m, n])?;
    if c.len() != size {
        return fail(&format!(
            "the result has {size} elements, the output {}",
            c.len()
        ));
    }
    let bias_fits = match epilogue.bias {
        Bias::None => true,
        Bias::Row(bias) => bias.len() == m,
        Bias::Column(bias) => bias.len() == n,
    };
    if !bias_fits || epilogue.residual.is_some_and(|r| r.len() != size) {
        return fail("bias or residual do not fit the result");
    }
    if size == 0 {
        return Ok(());
    }
    // One B for all, and each step of the batch continues A's rows: one tall product.
    let foldable = (0..rank - 2).all(|d| batch[d] == 1 || b.stride(d) == 0)
        && !matches!(epilogue.bias, Bias::Row(_))
        && folded_stride(&a).is_some();
    if foldable && k > 0 {
        let rows = count * m;
        let (data, offset) = a.origin();
        let stride = folded_stride(&a).unwrap_or(0);
        let tall = MatRef::new(
            data,
            offset as usize,
            (rows, k),
            (stride, a.stride(rank - 1)),
        )?;
        gemm_on(
            isa,
            T::ONE,
            tall,
            weight(&b, kept)?,
            T::ZERO,
            MatMut::row_major(c, rows, n)?,
            epilogue,
        );
        return Ok(());
    }

    let (first_a, first_b) = (one(&a)?, one(&b)?);
    let group = (GRAIN / (m * n).saturating_mul(k.max(1))).max(1);
    let c = SharedMut::new(c);
    parallel::for_each(count.div_ceil(group), &|task| {
        for i in task * group..count.min((task + 1) * group) {
            let (at_a, at_b) = offsets(&a, &b, i);
            let (a, b) = if k == 0 {
                (first_a, first_b)
            } else {
                (first_a.moved(at_a), first_b.moved(at_b))
            };
            // SAFETY: the matrices of the batch do not overlap in C.
            let data = unsafe { c.slice(i * m * n..(i + 1) * m * n) };
            let c = MatMut {
                data,
                rows: m,
                cols: n,
                row_stride: n,
            };
            let residual = epilogue.residual.map(|r| &r[i * m * n..(i + 1) * m * n]);
            gemm_on(
                isa,
                T::ONE,
                a,
                b,
                T::ZERO,
                c,
                &Epilogue {
                    residual,
                    ..*epilogue
                },
            );
        }
    });
    Ok(())
}

/// The stride between rows when all leading dimensions and the rows are seen as one, if it is always the same.
pub(super) fn folded_stride<T>(a: &View<'_, T>) -> Option<isize> {
    let rows = a.rank() - 2;
    let mut stride = None;
    let mut step = 0isize;
    for d in (0..=rows).rev() {
        if a.shape()[d] == 1 {
            continue;
        }
        if stride.is_none() {
            stride = Some(a.stride(d));
            step = a.stride(d);
        } else if a.stride(d) != step {
            return None;
        }
        step = step.checked_mul(a.shape()[d] as isize)?;
    }
    Some(stride.unwrap_or(0))
}

/// How far matrix `i` of the batch is from the first, in A and in B.
pub(super) fn offsets<T>(a: &View<'_, T>, b: &View<'_, T>, i: usize) -> (isize, isize) {
    let (mut rest, mut at_a, mut at_b) = (i, 0, 0);
    for d in (0..a.rank() - 2).rev() {
        let index = (rest % a.shape()[d]) as isize;
        rest /= a.shape()[d];
        at_a += index * a.stride(d);
        at_b += index * b.stride(d);
    }
    (at_a, at_b)
}

/// The first matrix of the batch.
pub(super) fn one<'a, T>(view: &View<'a, T>) -> Result<MatRef<'a, T>> {
    let (data, offset) = view.origin();
    let (r, c) = (view.rank() - 2, view.rank() - 1);
    let (shape, strides) = (
        (view.shape()[r], view.shape()[c]),
        (view.stride(r), view.stride(c)),
    );
    MatRef::new(data, offset as usize, shape, strides)
}

/// The only matrix of the batch, and where what is packed of it is kept.
pub(super) fn weight<'a, T>(view: &View<'a, T>, kept: Option<&'a Kept>) -> Result<MatRef<'a, T>> {
    let matrix = one(view)?;
    Ok(match kept {
        Some(kept) => matrix.keeping(kept),
        None => matrix,
    })
}
