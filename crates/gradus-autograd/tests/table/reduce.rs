//! Reductions, scans, order.

use gradus_autograd::Var;
use gradus_tensor::{Dims, Result, Tensor};

use super::sample::Case;

/// A reduction over one, two and all dimensions, with and without keeping them, of a cube, a number, and nothing.
fn reduction(name: &'static str, f: fn(&Var, Dims, bool) -> Result<Var>) -> Vec<Case> {
    let case = |shape: &[usize], dims: Dims, keep: bool| {
        Case::new(name, &[(shape, 0.4, 2.0)], move |v| {
            f(&v[0], dims.clone(), keep)?.square()
        })
    };
    vec![
        case(&[2, 3, 2], Dims::from(1), false),
        case(&[2, 3, 2], Dims::from([0, -1]), true),
        case(&[2, 3, 2], Dims::from(..), false),
        case(&[], Dims::from(..), false),
        case(&[2, 0, 2], Dims::from(0), false),
    ]
}

/// A reduction that a single number or nothing does not have.
fn full(name: &'static str, f: fn(&Var, Dims, bool) -> Result<Var>) -> Vec<Case> {
    reduction(name, f).into_iter().take(3).collect()
}

fn one(
    name: &'static str,
    shape: &[usize],
    f: impl Fn(&Var) -> Result<Var> + Sync + 'static,
) -> Case {
    Case::new(name, &[(shape, -2.0, 2.0)], move |v| f(&v[0])?.square())
}

/// Quantiles by the elements and by q.
fn quantile(name: &'static str, shape: &[usize], dim: isize, interpolation: &'static str) -> Case {
    Case::new(name, &[(shape, -2.0, 2.0), (&[3], 0.1, 0.9)], move |v| {
        let y = match name {
            "quantile" => v[0].quantile(&v[1], dim, false, interpolation)?,
            _ => v[0].nanquantile(&v[1], dim, false, interpolation)?,
        };
        y.square()
    })
}

/// A function of the samples moved so that those named by `at` are 0. Moved by what they are in the first call, so that a
/// difference still sees them change.
fn with_zeros(
    name: &'static str,
    shape: &[usize],
    at: &'static [i64],
    f: fn(&Var) -> Result<Var>,
) -> Case {
    let first = std::sync::OnceLock::new();
    one(name, shape, move |x| {
        let shift = first.get_or_init(|| -> Result<Tensor> {
            let mask = Tensor::zeros([x.numel()], x.dtype())?.scatter_value(
                0,
                &Tensor::from_slice(at, [at.len()])?,
                1,
            )?;
            mask.reshape(x.dims())?.mul(x.value())
        });
        let shift = shift
            .as_ref()
            .map_err(|e| gradus_tensor::Error::value("with_zeros", e.to_string()))?;
        f(&x.sub(&Var::from(shift))?)
    })
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(reduction("sum", |x, d, k| x.sum(d, k)));
    all.extend(reduction("mean", |x, d, k| x.mean(d, k)));
    all.extend(reduction("prod", |x, d, k| x.prod(d, k)));
    all.extend(
        reduction("logsumexp", |x, d, k| x.logsumexp(d, k))
            .into_iter()
            .take(4),
    );
    all.extend(reduction("nansum", |x, d, k| x.nansum(d, k)));
    all.extend(
        reduction("nanmean", |x, d, k| x.nanmean(d, k))
            .into_iter()
            .take(4),
    );
    all.extend(full("var", |x, d, k| x.var(d, 1.0, k)));
    all.extend(full("std", |x, d, k| x.std(d, 0.5, k)));
    all.extend(full("var_mean", |x, d, k| {
        let (v, m) = x.var_mean(d, 0.0, k)?;
        v.mul(&m)
    }));
    all.extend(full("std_mean", |x, d, k| {
        let (s, m) = x.std_mean(d, 1.0, k)?;
        s.mul(&m)
    }));
    all.extend(full("amax", |x, d, k| x.amax(d, k)));
    all.extend(full("amin", |x, d, k| x.amin(d, k)));
    for p in [
        0.0,
        0.5,
        1.0,
        1.5,
        2.0,
        3.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        all.push(one("norm", &[2, 3], move |x| x.norm(p, 1, false)));
        all.push(one("norm", &[2, 3], move |x| x.norm(p, .., true)));
    }
    all.extend([
        with_zeros("prod", &[2, 3], &[1], |x| x.prod(1, false)),
        with_zeros("prod", &[2, 2, 2], &[1, 3, 4], |x| x.prod([0, 2], true)),
        with_zeros("prod", &[4], &[1, 3], |x| x.prod(.., false)),
        one("aminmax", &[2, 3], |x| {
            let (a, b) = x.aminmax(1, false)?;
            a.mul(&b)
        }),
        one("max", &[2, 3], |x| Ok(x.max(1, false)?.0)),
        one("min", &[2, 3], |x| Ok(x.min(0, true)?.0)),
        one("max", &[], |x| Ok(x.max(0, false)?.0)),
        Case::new("dist", &[(&[2, 3], -2.0, 2.0), (&[3], -2.0, 2.0)], |v| {
            v[0].dist(&v[1], 2.0)
        }),
        one("cumsum", &[2, 3], |x| x.cumsum(1)),
        one("cumsum", &[], |x| x.cumsum(0)),
        one("cumprod", &[2, 3], |x| x.cumprod(1)),
        with_zeros("cumprod", &[2, 4], &[1, 4, 6], |x| x.cumprod(1)),
        with_zeros("cumprod", &[3, 2], &[1], |x| x.cumprod(0)),
        one("cummax", &[2, 4], |x| Ok(x.cummax(1)?.0)),
        one("cummin", &[2, 4], |x| Ok(x.cummin(0)?.0)),
        one("logcumsumexp", &[2, 4], |x| x.logcumsumexp(1)),
        one("logcumsumexp", &[3, 2], |x| x.logcumsumexp(0)),
        one("diff", &[2, 4], |x| x.diff(2, 1, None, None)),
        one("diff", &[2, 4], |x| {
            x.diff(1, 1, Some(&x.narrow(1, 0, 1)?), Some(x))
        }),
        one("sort", &[2, 4], |x| Ok(x.sort(1, true)?.0)),
        one("msort", &[4, 2], |x| x.msort()),
        one("topk", &[2, 4], |x| Ok(x.topk(2, 1, true)?.0)),
        one("kthvalue", &[2, 4], |x| Ok(x.kthvalue(2, 1, false)?.0)),
        one("median", &[2, 3], |x| x.median()),
        one("median_dim", &[2, 4], |x| Ok(x.median_dim(1, true)?.0)),
        quantile("quantile", &[2, 5], 1, "linear"),
        quantile("quantile", &[5, 2, 2], 0, "linear"),
        quantile("nanquantile", &[2, 5], 1, "linear"),
        one("quantile", &[2, 5], |x| {
            x.quantile(&Tensor::scalar(0.6f64).into(), None, true, "midpoint")
        }),
        one("quantile", &[4, 2], |x| {
            let q = Tensor::from_slice(&[0.0, 0.4, 1.0], 3)?;
            x.quantile(&q.into(), 0, true, "lower")
        }),
        one("quantile", &[4, 2], |x| {
            x.quantile(&Tensor::scalar(0.4).into(), -1, false, "higher")
        }),
        one("nanquantile", &[4, 2], |x| {
            let nan = x.value().gt_scalar(1.0)?;
            x.masked_fill(&nan, f64::NAN)?
                .nanquantile(&Tensor::scalar(0.3).into(), 0, true, "nearest")?
                .nan_to_num(Some(0.0), None, None)
        }),
        one("softmax", &[2, 3], |x| x.softmax(1)),
        one("softmax", &[3, 0], |x| x.softmax(0)),
        one("softmax", &[], |x| x.softmax(0)),
        one("log_softmax", &[3, 2], |x| x.log_softmax(0)),
        one("log_softmax", &[], |x| x.log_softmax(-1)),
    ]);
    all
}
