//! Linear algebra: matrices that are singular, not square, empty, full of NaN and of extremes; powers beyond reason.

use gradus_tensor::{DType, Lstsq, NormOrd, RankTolerance, Tensor};

use crate::draw::Draw;
use crate::look::Look;
use crate::table::{Op, op};

/// A batch of matrices, square most of the time.
fn matrix(g: &Draw) -> Tensor {
    if g.odds(10) {
        let x = g.x();
        // A matrix of 2⁶¹ rows and no columns is legal, and as slow as it is long.
        if x.dims().iter().all(|&n| n < 1000) {
            return x;
        }
    }
    let n = g.below(5);
    let mut shape = vec![n, if g.odds(85) { n } else { g.below(5) }];
    for _ in 0..g.pick(&[0, 0, 1, 2]) {
        shape.insert(0, g.below(3));
    }
    let dtype = if g.odds(90) {
        g.pick(&[DType::F32, DType::F64])
    } else {
        g.dtype()
    };
    g.of(dtype, &shape)
}

/// A symmetric matrix, if the drawn one allows.
fn symmetric(g: &Draw) -> Tensor {
    let a = matrix(g);
    let sum = a.mt().and_then(|t| a.add(&t));
    sum.unwrap_or(a)
}

/// A positive definite matrix, if the drawn one allows.
fn positive(g: &Draw) -> Tensor {
    let a = matrix(g);
    let square = a.mt().and_then(|t| a.matmul(&t));
    if g.odds(80) { square.unwrap_or(a) } else { a }
}

fn order(g: &Draw) -> NormOrd {
    match g.below(4) {
        0 => NormOrd::Fro,
        1 => NormOrd::Nuc,
        _ => NormOrd::P(g.pick(&[1.0, -1.0, 2.0, -2.0, f64::INFINITY, f64::NAN, 3.0])),
    }
}

fn triangle(g: &Draw) -> &'static str {
    g.pick(&["L", "U", "L", "U", "", "X"])
}

/// Relative and absolute limits, of a shape that broadcasts or not.
fn tolerance(g: &Draw) -> RankTolerance {
    RankTolerance {
        atol: g.maybe(|| Tensor::scalar(g.real())),
        rtol: g.maybe(|| {
            if g.flag() {
                Tensor::scalar(g.real())
            } else {
                g.float()
            }
        }),
    }
}

impl Look for Lstsq {
    fn look(&self) {
        let Lstsq {
            solution,
            residuals,
            rank,
            singular_values,
        } = self;
        for x in [solution, residuals, rank, singular_values] {
            x.look();
        }
    }
}

pub fn ops() -> Vec<Op> {
    vec![
        op!(g, a: matrix(g) => linalg_solve(&g.like(&a), g.flag())),
        op!(g, a: matrix(g) => linalg_inv()),
        op!(g, a: matrix(g) => linalg_det()),
        op!(g, a: matrix(g) => linalg_slogdet()),
        op!(g, a: positive(g) => linalg_cholesky(g.flag())),
        op!(g, a: matrix(g) => linalg_solve_triangular(&g.like(&a), g.flag(), g.flag(), g.flag())),
        op!(g, a: matrix(g) => linalg_qr(g.pick(&["reduced", "complete", "r", "raw", ""]))),
        op!(g, a: symmetric(g) => linalg_eigh(triangle(g))),
        op!(g, a: symmetric(g) => linalg_eigvalsh(triangle(g))),
        op!(g, a: matrix(g) => linalg_svd(g.flag())),
        op!(g, a: matrix(g) => linalg_svdvals()),
        op!(g, a: matrix(g) => linalg_pinv(&tolerance(g), g.flag())),
        op!(g, a: matrix(g) => linalg_matrix_rank(&tolerance(g), g.flag())),
        op!(g, a: matrix(g) => linalg_lstsq(&g.like(&a), g.maybe(|| g.real()))),
        op!(g, a: matrix(g) => linalg_matrix_norm(order(g), [g.dim(), g.dim()], g.flag())),
        op!(g, a: matrix(g) => linalg_cond(g.maybe(|| order(g)))),
        op!(g, a: matrix(g) => linalg_matrix_power(g.int())),
        op!(g, a: matrix(g) => matrix_exp()),
        op!(g, x: g.float() => linalg_vander(g.maybe(|| g.size()))),
    ]
}
