//! Products and linear algebra, by PyTorch's names.

use gradus_autograd::Var;
use gradus_tensor::{NormOrd, RankTolerance, Scalar, TensordotDims};

use super::args::{Args, Ran, not_applicable};
use super::registry::Registry;

pub fn register(r: &mut Registry) {
    products(r);
    solutions(r);
    decompositions(r);
    norms(r);
}

/// `beta` and `alpha` of the `add…` family, keywords only.
fn beta_alpha(a: &Args) -> Ran<(f64, f64)> {
    const KEYWORD: usize = usize::MAX;
    let number = |name| Ran::Ok(a.scalar_or(KEYWORD, name, Scalar::Int(1))?.to_f64());
    Ok((number("beta")?, number("alpha")?))
}

fn products(r: &mut Registry) {
    r.binary("matmul", Var::matmul);
    r.binary("mm", Var::mm);
    r.binary("bmm", Var::bmm);
    r.binary("mv", Var::mv);
    r.binary("dot", Var::dot);
    r.binary("outer", Var::outer);
    r.binary("inner", Var::inner);
    r.binary("kron", Var::kron);
    for (name, f) in [
        ("addmm", Var::addmm as fn(&Var, &Var, &Var, f64, f64) -> _),
        ("addmv", Var::addmv),
        ("baddbmm", Var::baddbmm),
        ("addbmm", Var::addbmm),
        ("addr", Var::addr),
    ] {
        r.op(name, move |a| {
            let (beta, alpha) = beta_alpha(a)?;
            Ok(f(&a.var(0)?, &a.var(1)?, &a.var(2)?, beta, alpha)?)
        });
    }
    r.op("einsum", |a| {
        let operands = a.vars(0)?;
        let equation = a.str(1, "equation", "")?;
        Ok(Var::einsum(equation, &operands.iter().collect::<Vec<_>>())?)
    });
    r.op("tensordot", |a| {
        let dims = match a.lists_opt(2, "dims")? {
            Some(lists) => match <[Vec<isize>; 2]>::try_from(lists) {
                Ok([x, y]) => TensordotDims::Pairs(x, y),
                Err(_) => return not_applicable("dims are two lists"),
            },
            None => TensordotDims::Count(a.usize(2, "dims", 2)?),
        };
        Ok(a.var(0)?.tensordot(&a.var(1)?, dims)?)
    });
    r.op("cross", |a| {
        let dim = a.i64_opt(2, "dim")?.map(|d| d as isize);
        Ok(a.var(0)?.cross(&a.var(1)?, dim)?)
    });
    r.op("linalg.cross", |a| {
        let dim = a.i64(2, "dim", -1)? as isize;
        Ok(a.var(0)?.linalg_cross(&a.var(1)?, dim)?)
    });
    r.op("linalg.vecdot", |a| {
        let dim = a.i64(2, "dim", -1)? as isize;
        Ok(a.var(0)?.linalg_vecdot(&a.var(1)?, dim)?)
    });
    r.op("linalg.multi_dot", |a| {
        let factors = a.vars(0)?;
        Ok(Var::linalg_multi_dot(&factors.iter().collect::<Vec<_>>())?)
    });
    r.op("linalg.matrix_power", |a| {
        Ok(a.var(0)?.linalg_matrix_power(a.i64(1, "n", 0)?)?)
    });
    r.op("linalg.vander", |a| {
        Ok(a.var(0)?.linalg_vander(a.usize_opt(1, "N")?)?)
    });
    r.op("cdist", |a| {
        a.get(3, "compute_mode"); // always by exact differences
        Ok(a.var(0)?.cdist(&a.var(1)?, a.f64(2, "p", 2.0)?)?)
    });
}

fn solutions(r: &mut Registry) {
    r.unary("linalg.inv", Var::linalg_inv);
    r.unary("linalg.det", Var::linalg_det);
    r.op("linalg.slogdet", |a| Ok(a.var(0)?.linalg_slogdet()?));
    r.op("linalg.solve", |a| {
        Ok(a.var(0)?
            .linalg_solve(&a.var(1)?, a.bool(2, "left", true)?)?)
    });
    r.op("linalg.solve_triangular", |a| {
        let upper = a.bool(2, "upper", false)?;
        let left = a.bool(3, "left", true)?;
        let unit = a.bool(4, "unitriangular", false)?;
        Ok(a.var(0)?
            .linalg_solve_triangular(&a.var(1)?, upper, left, unit)?)
    });
    r.op("linalg.pinv", |a| {
        let (tolerance, hermitian) = rank_arguments(a)?;
        Ok(a.var(0)?.linalg_pinv(&tolerance, hermitian)?)
    });
    r.op("linalg.matrix_rank", |a| {
        let (tolerance, hermitian) = rank_arguments(a)?;
        Ok(a.tensor(0)?.linalg_matrix_rank(&tolerance, hermitian)?)
    });
    r.unary("matrix_exp", Var::matrix_exp);
}

/// `atol`, `rtol` (numbers or tensors) and `hermitian`, keywords only.
fn rank_arguments(a: &Args) -> Ran<(RankTolerance, bool)> {
    const KEYWORD: usize = usize::MAX;
    let limit = |name| {
        if a.is_tensor(KEYWORD, name) {
            return a.tensor_opt(KEYWORD, name);
        }
        Ok(a.f64_opt(KEYWORD, name)?.map(gradus_tensor::Tensor::scalar))
    };
    let tolerance = RankTolerance {
        atol: limit("atol")?,
        rtol: limit("rtol")?,
    };
    Ok((tolerance, a.bool(KEYWORD, "hermitian", false)?))
}

fn decompositions(r: &mut Registry) {
    r.op("linalg.cholesky", |a| {
        Ok(a.var(0)?.linalg_cholesky(a.bool(1, "upper", false)?)?)
    });
    r.op("linalg.qr", |a| {
        Ok(a.var(0)?.linalg_qr(a.str(1, "mode", "reduced")?)?)
    });
    r.unary("linalg.svdvals", Var::linalg_svdvals);
    r.op("linalg.eigvalsh", |a| {
        Ok(a.var(0)?.linalg_eigvalsh(a.str(1, "UPLO", "L")?)?)
    });
}

fn norms(r: &mut Registry) {
    r.op("linalg.matrix_norm", |a| {
        let ord = norm_ord(a)?.unwrap_or(NormOrd::Fro);
        let dims = a.ints_opt(2, "dim")?.unwrap_or_else(|| vec![-2, -1]);
        let Ok(dims) = <[isize; 2]>::try_from(dims) else {
            return not_applicable("dim are two dimensions");
        };
        Ok(a.var(0)?
            .linalg_matrix_norm(ord, dims, a.bool(3, "keepdim", false)?)?)
    });
    r.op("linalg.cond", |a| {
        Ok(a.var(0)?.linalg_cond(norm_ord(a)?)?)
    });
}

/// A norm by name or number.
fn norm_ord(a: &Args) -> Ran<Option<NormOrd>> {
    let name = if a.get(1, "ord").is_some() {
        "ord"
    } else {
        "p"
    };
    if a.is_string(1, name) {
        return Ok(Some(a.str(1, name, "")?.parse()?));
    }
    Ok(a.f64_opt(1, name)?.map(NormOrd::P))
}
