//! Linear algebra. Samples are shifted towards well-conditioned matrices inside the functions, and what is arbitrary in a
//! decomposition (signs) is made not to matter.

use gradus_autograd::Var;
use gradus_tensor::{DType, NormOrd, Result, Tensor};

use super::sample::Case;

const SQUARE: [&[usize]; 5] = [&[3, 3], &[1, 1], &[2, 2, 2], &[0, 0], &[0, 2, 2]];
const OBLONG: [&[usize]; 5] = [&[2, 2], &[3, 2], &[2, 3], &[2, 1, 2], &[0, 2]];

fn one(
    name: &'static str,
    shape: &[usize],
    f: impl Fn(&Var) -> Result<Var> + Sync + 'static,
) -> Case {
    Case::new(name, &[(shape, -1.0, 1.0)], move |v| f(&v[0]))
}

fn two(
    name: &'static str,
    a: &[usize],
    b: &[usize],
    f: impl Fn(&Var, &Var) -> Result<Var> + Sync + 'static,
) -> Case {
    Case::new(name, &[(a, -1.0, 1.0), (b, -1.0, 1.0)], move |v| {
        f(&v[0], &v[1])
    })
}

/// Far from singular: 3 more on the diagonal, and a little more for each place on it, so that values are distinct.
fn regular(a: &Var) -> Result<Var> {
    let k = a.dim(-2)?.min(a.dim(-1)?);
    let steps = Tensor::arange(0, k as i64, 1, DType::F64)?.add_scalar(3)?;
    let diagonal = steps.diag_embed(0, 0, 1)?;
    let pad = [0, (a.dim(-1)? - k) as isize, 0, (a.dim(-2)? - k) as isize];
    let diagonal = diagonal.pad(&pad, gradus_tensor::PadMode::Constant(0.into()))?;
    a.add(&Var::from(diagonal))
}

fn symmetric(a: &Var) -> Result<Var> {
    let a = regular(a)?;
    a.add(&a.mt()?)
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for shape in SQUARE {
        all.push(one("linalg_inv", shape, |a| regular(a)?.linalg_inv()));
        all.push(one("linalg_det", shape, |a| a.linalg_det()));
        all.push(one("linalg_slogdet", shape, |a| {
            let (sign, log) = regular(a)?.linalg_slogdet()?;
            sign.mul(&log)
        }));
        all.push(one("linalg_cholesky", shape, |a| {
            symmetric(a)?.linalg_cholesky(false)
        }));
        all.push(one("linalg_cholesky", shape, |a| {
            symmetric(a)?.linalg_cholesky(true)
        }));
        all.push(one("linalg_eigh", shape, |a| {
            let (w, v) = symmetric(a)?.linalg_eigh("L")?;
            v.abs()?.mul(&w.unsqueeze(-2)?)
        }));
        all.push(one("linalg_eigvalsh", shape, |a| {
            symmetric(a)?.linalg_eigvalsh("U")
        }));
        all.push(one("matrix_exp", shape, |a| a.matrix_exp()));
        for n in [-2, 0, 1, 3] {
            all.push(one("linalg_matrix_power", shape, move |a| {
                regular(a)?.linalg_matrix_power(n)
            }));
        }
    }
    for shape in OBLONG {
        all.push(one("linalg_qr", shape, |a| {
            let (q, r) = regular(a)?.linalg_qr("reduced")?;
            q.sum(-2, true)?.mul(&r.mt()?.sum(-2, true)?)
        }));
        all.push(one("linalg_qr", shape, |a| {
            regular(a)?.linalg_qr("reduced").map(|x| x.0)
        }));
        all.push(one("linalg_qr", shape, |a| {
            regular(a)?.linalg_qr("reduced").map(|x| x.1)
        }));
        for full in [false, true] {
            all.push(one("linalg_svd", shape, move |a| {
                let (u, s, vh) = regular(a)?.linalg_svd(full)?;
                let k = s.dim(-1)?;
                let (u, vh) = (u.narrow(-1, 0, k)?, vh.narrow(-2, 0, k)?);
                // Signs go away in U f(S) Vᵀ and in magnitudes.
                let product = u.mul(&s.square()?.unsqueeze(-2)?)?.matmul(&vh)?;
                product
                    .add(&u.abs()?.sum(-1, true)?)?
                    .add(&vh.abs()?.sum(-2, true)?)
            }));
        }
        all.push(one("linalg_svdvals", shape, |a| {
            regular(a)?.linalg_svdvals()
        }));
        all.push(one("linalg_pinv", shape, |a| {
            regular(a)?.linalg_pinv((), false)
        }));
        for ord in [
            NormOrd::Fro,
            NormOrd::Nuc,
            1.into(),
            (-1).into(),
            2.into(),
            (-2).into(),
            f64::INFINITY.into(),
        ] {
            let some = shape.iter().all(|&n| n > 0);
            if some || matches!(ord, NormOrd::Fro | NormOrd::Nuc) {
                all.push(one("linalg_matrix_norm", shape, move |a| {
                    regular(a)?.linalg_matrix_norm(ord, [-2, -1], false)
                }));
            }
        }
    }
    all.extend([
        one("linalg_qr", &[2, 3], |a| {
            regular(a)?.linalg_qr("complete").map(|x| x.1)
        }),
        one("linalg_pinv", &[2, 2], |a| {
            symmetric(a)?.linalg_pinv(1e-10, true)
        }),
        one("linalg_matrix_norm", &[2, 3, 2], |a| {
            a.linalg_matrix_norm(2, [-1, 0], true)
        }),
        one("linalg_matrix_norm", &[2, 3, 2], |a| {
            a.linalg_matrix_norm(f64::NEG_INFINITY, [0, 1], true)
        }),
        one("linalg_cond", &[2, 2], |a| regular(a)?.linalg_cond(None)),
        one("linalg_cond", &[3, 2], |a| {
            regular(a)?.linalg_cond(Some(NormOrd::P(-2.0)))
        }),
        one("linalg_cond", &[2, 2], |a| {
            regular(a)?.linalg_cond(Some(NormOrd::Fro))
        }),
        one("linalg_vander", &[2, 3], |x| x.linalg_vander(None)),
        one("linalg_vander", &[2], |x| x.linalg_vander(4)),
        one("linalg_vander", &[2], |x| x.linalg_vander(0)),
        two("linalg_solve", &[2, 2], &[2, 3], |a, b| {
            regular(a)?.linalg_solve(b, true)
        }),
        two("linalg_solve", &[2, 2], &[3, 2], |a, b| {
            regular(a)?.linalg_solve(b, false)
        }),
        two("linalg_solve", &[2, 2], &[2], |a, b| {
            regular(a)?.linalg_solve(b, true)
        }),
        two("linalg_solve", &[2, 2, 2], &[2, 2], |a, b| {
            regular(a)?.linalg_solve(b, true)
        }),
        two("linalg_solve", &[2, 2], &[3, 2, 1], |a, b| {
            regular(a)?.linalg_solve(b, true)
        }),
        two("linalg_solve", &[2, 1, 2, 2], &[2, 2, 1], |a, b| {
            regular(a)?.linalg_solve(b, true)
        }),
        two("linalg_solve", &[0, 0], &[0, 2], |a, b| {
            regular(a)?.linalg_solve(b, true)
        }),
        two("linalg_lstsq", &[3, 2], &[3, 2], |a, b| {
            regular(a)?.linalg_lstsq(b, None).map(|x| x.0)
        }),
        two("linalg_lstsq", &[2, 3, 2], &[3, 1], |a, b| {
            regular(a)?.linalg_lstsq(b, None).map(|x| x.1)
        }),
        two("linalg_lstsq", &[2, 3], &[2, 1], |a, b| {
            regular(a)?.linalg_lstsq(b, None).map(|x| x.0)
        }),
    ]);
    for (upper, left, unit) in [
        (true, true, false),
        (false, true, true),
        (true, false, true),
        (false, false, false),
    ] {
        all.push(two(
            "linalg_solve_triangular",
            &[2, 2],
            &[2, 2],
            move |a, b| regular(a)?.linalg_solve_triangular(b, upper, left, unit),
        ));
        all.push(two(
            "linalg_solve_triangular",
            &[3, 1, 2, 2],
            &[2, 2, 2],
            move |a, b| regular(a)?.linalg_solve_triangular(b, upper, left, unit),
        ));
    }
    all
}
