//! Products with at most four rows (or one column): one pass over B at the speed of memory, nothing packed.
//!
//! Each element of B is used at most four times, so the limit is bandwidth: 768 × 50257 in f32 is 154 MB, 4.3 ms at
//! 36 GB/s. If the columns of B are contiguous (`x·Wᵀ`, a linear layer) each result is a dot product, several at a time so
//! that several streams are in flight; if its rows are (`x·W`), rows are added up, eight at a time, by each thread others.

use std::ops::Range;

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::blocked::on;
use super::dot::dot_tile;
use super::epilogue::{Bias, Epilogue, Scale, activate, finish};
use super::matrix::{MatMut, MatRef, Out};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::unroll::{Registers, unroll};

/// The most rows these paths take.
const MAX_ROWS: usize = 4;
/// Rows of B shorter than this are cut between them and not along them, into so many parts: then what a task reads lies together.
const WIDE: usize = 8192;
const PARTS: usize = 8;
/// Elements of B below which a second thread does not pay.
const PARALLEL: usize = 128 * 1024;

/// Computes the product if it has one of the shapes served here; says whether it did.
pub(crate) fn try_run<T: Float>(
    isa: IsaName,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: &mut MatMut<'_, T>,
    epilogue: &Epilogue<'_, T>,
) -> bool {
    let (m, n, k) = (a.rows(), b.cols(), a.cols());
    if m == 0 || n == 0 || k == 0 {
        return false;
    }
    if n == 1 && m > 1 && c.row_stride == 1 {
        // A column is the row Cᵀ = Bᵀ·Aᵀ, in the same memory.
        let bias = match epilogue.bias {
            Bias::None => Bias::None,
            Bias::Row(bias) => Bias::Column(bias),
            Bias::Column(bias) => Bias::Row(bias),
        };
        let (needed, data) = (m, &mut *c.data);
        let mut row = MatMut {
            data: &mut data[..needed],
            rows: 1,
            cols: m,
            row_stride: m,
        };
        return try_run(
            isa,
            alpha,
            b.t(),
            a.t(),
            beta,
            &mut row,
            &Epilogue { bias, ..*epilogue },
        );
    }
    if m > MAX_ROWS || (b.row_stride() != 1 && b.col_stride() != 1 && k > 1) {
        return false;
    }
    let by_dots = b.row_stride() == 1 || k == 1;
    if m > 1 && !by_dots && n < 16 {
        return false;
    }
    // Four rows of A at most: made contiguous, they stay in L1 or L2.
    let mut rows = scratch::buffer::<T>(m * k);
    let rows = &mut *rows;
    for i in 0..m {
        for p in 0..k {
            rows[i * k + p] = a.at(i, p);
        }
    }
    let out = Out::matrix(c);
    let job = Rows {
        a: rows,
        m,
        k,
        b,
        cols: (0, n),
        out: &out,
        scale: Scale { alpha, beta },
        epilogue,
    };
    let large = n.saturating_mul(k) >= PARALLEL;
    let each = |tasks: usize, task: &(dyn Fn(usize) + Sync)| {
        if large {
            parallel::for_each(tasks, task);
        } else {
            (0..tasks).for_each(task);
        }
    };
    let finished = |cols: (usize, usize)| {
        activate(isa, epilogue.activation, &out, (0, cols.0), (m, cols.1));
    };
    if !by_dots && large && n < WIDE && k >= PARTS * 8 {
        // Some rows of B a task, which lie together; their sums are added in order.
        let some = k.div_ceil(PARTS).next_multiple_of(8);
        let parts = k.div_ceil(some);
        let mut sums = scratch::buffer::<T>(parts * m * n);
        let sums = &mut *sums;
        let all = SharedMut::new(sums);
        each(parts, &|i| {
            // SAFETY: each task has its own sums.
            let to = unsafe { all.slice(i * m * n..(i + 1) * m * n) };
            let ks = i * some..k.min((i + 1) * some);
            on(isa, Axpys { job, ks, to });
        });
        on(isa, Finish { job, sums });
        finished((0, n));
        return true;
    }
    let step = if by_dots {
        (65536 / k).clamp(8, 512).next_multiple_of(8)
    } else {
        (n / 8).clamp(128, 1024)
    };
    each(n.div_ceil(step), &|i| {
        let cols = (i * step, step.min(n - i * step));
        let job = Rows { cols, ..job };
        if by_dots {
            on(isa, Dots(job));
        } else {
            let mut sums = scratch::buffer::<T>(m * cols.1);
            let (ks, sums) = (0..k, &mut *sums);
            on(isa, Axpys { job, ks, to: sums });
            on(isa, Finish { job, sums });
        }
        finished(cols);
    });
    true
}

/// A few columns of the result.
#[derive(Clone, Copy)]
struct Rows<'a, T> {
    /// `m × k`, contiguous.
    a: &'a [T],
    m: usize,
    k: usize,
    b: MatRef<'a, T>,
    /// First column and how many.
    cols: (usize, usize),
    out: &'a Out<'a, T>,
    scale: Scale<T>,
    epilogue: &'a Epilogue<'a, T>,
}

/// Results finished at once: they wait on the stack.
const BATCH: usize = 64;

/// Each element of C a dot product: the columns of B are contiguous.
struct Dots<'a, T>(Rows<'a, T>);

impl<T: Float> Kernel for Dots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Rows {
            a,
            m,
            k,
            b,
            cols: (first, cols),
            out,
            scale,
            epilogue,
        } = self.0;
        assert!(b.row_stride() == 1 || k == 1);
        assert!(a.len() == m * k && b.rows() == k && first + cols <= b.cols() && m <= MAX_ROWS);
        let mut tile = [T::ZERO; MAX_ROWS * BATCH];
        let mut done = 0;
        while done < cols {
            let batch = BATCH.min(cols - done);
            let mut j = 0;
            while j < batch {
                let from = (b.ptr(0, first + done + j), b.col_stride());
                let (left, to) = (batch - j, &mut tile[j..]);
                // SAFETY: a holds m rows of k; columns first + done + j .. + NJ of B exist and are contiguous along k.
                j += unsafe {
                    match (m, left) {
                        (1, 8..) => dots::<S, T, 1, 8>(isa, k, a, from, to),
                        (1, 4..) => dots::<S, T, 1, 4>(isa, k, a, from, to),
                        (1, _) => dots::<S, T, 1, 1>(isa, k, a, from, to),
                        (2, 4..) => dots::<S, T, 2, 4>(isa, k, a, from, to),
                        (2, _) => dots::<S, T, 2, 1>(isa, k, a, from, to),
                        (3, 4..) => dots::<S, T, 3, 4>(isa, k, a, from, to),
                        (3, _) => dots::<S, T, 3, 1>(isa, k, a, from, to),
                        (_, 4..) => dots::<S, T, 4, 4>(isa, k, a, from, to),
                        (_, _) => dots::<S, T, 4, 1>(isa, k, a, from, to),
                    }
                };
            }
            let epilogue = (!epilogue.is_identity()).then_some(epilogue);
            // SAFETY: m × batch products were written to the tile; these columns of C are this task's.
            unsafe {
                finish(
                    isa,
                    tile.as_ptr(),
                    BATCH,
                    (m, batch),
                    out,
                    (0, first + done),
                    &scale,
                    epilogue,
                );
            };
            done += batch;
        }
    }
}

/// `to[i·BATCH + j] = A[i, :]·B[:, j]` for NJ columns; returns NJ.
///
/// # Safety
/// As [`dot_tile`].
#[inline(always)]
unsafe fn dots<S: Isa, T: Float, const MI: usize, const NJ: usize>(
    isa: S,
    k: usize,
    a: &[T],
    (b, ldb): (*const T, isize),
    to: &mut [T],
) -> usize {
    let zero = Registers::new(T::V::<S>::zero(isa));
    let mut rows = [b; NJ];
    unroll!(J in 0..NJ (0 1 2 3 4 5 6 7) {
        rows[J] = b.wrapping_offset(J as isize * ldb);
    });
    // SAFETY: the caller's promise.
    let sums = unsafe { dot_tile::<S, T, MI, NJ>(isa, k, (a.as_ptr(), k as isize), rows, zero) };
    unroll!(I in 0..MI (0 1 2 3) {
        unroll!(J in 0..NJ (0 1 2 3 4 5 6 7) {
            to[I * BATCH + J] = sums.get(I, J).reduce_sum();
        });
    });
    NJ
}

/// Some rows of B added up, eight at a time, into rows of C that stay in L1.
struct Axpys<'a, T> {
    job: Rows<'a, T>,
    ks: Range<usize>,
    /// `m × cols`.
    to: &'a mut [T],
}

impl<T: Float> Kernel for Axpys<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self { job, ks, to } = self;
        let Rows { a, m, k, b, .. } = job;
        let (first, cols) = job.cols;
        assert!(b.col_stride() == 1 && a.len() == m * k && b.rows() == k && ks.end <= k);
        assert!(first + cols <= b.cols() && to.len() == m * cols);
        to.fill(T::ZERO);
        let mut p = ks.start;
        while p < ks.end {
            let from = (b.ptr(p, first), b.row_stride());
            let (x, to) = (a[p..].as_ptr(), to.as_mut_ptr());
            // SAFETY: rows p..p + N <= ks.end of B have cols elements from `first` on; `to` is m × cols.
            p += unsafe {
                match ks.end - p {
                    8.. => axpys::<S, T, 8>(isa, (m, cols), (x, k), from, to),
                    4.. => axpys::<S, T, 4>(isa, (m, cols), (x, k), from, to),
                    _ => axpys::<S, T, 1>(isa, (m, cols), (x, k), from, to),
                }
            };
        }
    }
}

/// The sums of one or several parts, `m × cols` each, become C.
struct Finish<'a, T> {
    job: Rows<'a, T>,
    sums: &'a mut [T],
}

impl<T: Float> Kernel for Finish<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Rows { m, out, scale, .. } = self.job;
        let (first, cols) = self.job.cols;
        let (sums, rest) = self.sums.split_at_mut(m * cols);
        let lanes = T::V::<S>::LANES;
        for part in rest.chunks_exact(m * cols) {
            for (to, part) in sums.chunks_mut(lanes).zip(part.chunks(lanes)) {
                let sum = T::V::<S>::load_tail(isa, to, T::ZERO);
                (sum + T::V::<S>::load_tail(isa, part, T::ZERO)).store_tail(to);
            }
        }
        let epilogue = self.job.epilogue;
        let epilogue = (!epilogue.is_identity()).then_some(epilogue);
        let size = (m, cols);
        // SAFETY: the sums are m × cols; these columns of C are this task's.
        unsafe {
            finish(
                isa,
                sums.as_ptr(),
                cols,
                size,
                out,
                (0, first),
                &scale,
                epilogue,
            );
        };
    }
}

/// `y[i, :] += Σ_q x[i, q]·B[q, :]` over N rows of B, in order; returns N.
///
/// # Safety
/// `y` is `m × cols`, `x` has N elements in each of m rows `x_stride` apart, B has N rows of `cols`.
#[inline(always)]
unsafe fn axpys<S: Isa, T: Float, const N: usize>(
    isa: S,
    (m, cols): (usize, usize),
    (x, x_stride): (*const T, usize),
    (b, ldb): (*const T, isize),
    y: *mut T,
) -> usize {
    let lanes = T::V::<S>::LANES;
    let mut j = 0;
    while j < cols {
        let n = lanes.min(cols - j);
        let mut rows = Registers::<T::V<S>, 1, N>::new(T::V::<S>::zero(isa));
        // SAFETY: n elements from column j of each row, as the caller promises.
        unsafe {
            unroll!(Q in 0..N (0 1 2 3 4 5 6 7) {
                let from = b.offset(Q as isize * ldb).add(j);
                isa.prefetch(from.wrapping_add(512 / size_of::<T>()));
                rows.set(0, Q, T::V::<S>::load_tail_ptr(isa, from, n, T::ZERO));
            });
            for i in 0..m {
                let to = y.add(i * cols + j);
                let mut sum = T::V::<S>::load_tail_ptr(isa, to, n, T::ZERO);
                unroll!(Q in 0..N (0 1 2 3 4 5 6 7) {
                    let x = T::V::<S>::splat(isa, *x.add(i * x_stride + Q));
                    sum = x.mul_add(rows.get(0, Q), sum);
                });
                sum.store_tail_ptr(to, n);
            }
        }
        j += lanes;
    }
    N
}
