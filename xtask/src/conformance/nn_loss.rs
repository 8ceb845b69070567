//! Losses and distances, by PyTorch's names.

use gradus_autograd::functional::{self as f, CrossEntropy, Reduction, TripletMargin};

use super::args::{Args, Ran, not_applicable};
use super::registry::Registry;

pub fn register(r: &mut Registry) {
    losses(r);
    distances(r);
}

/// The keyword `reduction`; a wrong word cannot be written with our type.
fn reduction(a: &Args) -> Ran<Reduction> {
    Ok(match a.str(99, "reduction", "mean")? {
        "none" => Reduction::None,
        "mean" => Reduction::Mean,
        "sum" => Reduction::Sum,
        "batchmean" => Reduction::BatchMean,
        _ => return not_applicable("the reduction is an enum"),
    })
}

fn class_options(a: &Args) -> Ran<CrossEntropy> {
    Ok(CrossEntropy {
        weight: a.tensor_opt(99, "weight")?,
        ignore_index: a.i64(99, "ignore_index", -100)?,
        reduction: reduction(a)?,
        label_smoothing: a.f64(99, "label_smoothing", 0.0)?,
    })
}

fn losses(r: &mut Registry) {
    r.op("nn.functional.cross_entropy", |a| {
        let options = class_options(a)?;
        match a.tensor(1)?.dtype().is_float() {
            true => Ok(f::cross_entropy_soft(&a.var(0)?, &a.var(1)?, &options)?),
            false => Ok(f::cross_entropy(&a.var(0)?, &a.tensor(1)?, &options)?),
        }
    });
    r.op("nn.functional.nll_loss", |a| {
        Ok(f::nll_loss(&a.var(0)?, &a.tensor(1)?, &class_options(a)?)?)
    });
    r.op("nn.functional.mse_loss", |a| {
        Ok(f::mse_loss(&a.var(0)?, &a.var(1)?, reduction(a)?)?)
    });
    r.op("nn.functional.l1_loss", |a| {
        Ok(f::l1_loss(&a.var(0)?, &a.var(1)?, reduction(a)?)?)
    });
    r.op("nn.functional.smooth_l1_loss", |a| {
        Ok(f::smooth_l1_loss(
            &a.var(0)?,
            &a.var(1)?,
            a.f64(99, "beta", 1.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.huber_loss", |a| {
        Ok(f::huber_loss(
            &a.var(0)?,
            &a.var(1)?,
            a.f64(99, "delta", 1.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.binary_cross_entropy", |a| {
        Ok(f::binary_cross_entropy(
            &a.var(0)?,
            &a.var(1)?,
            a.var_opt(2, "weight")?.as_ref(),
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.binary_cross_entropy_with_logits", |a| {
        let (weight, pos_weight) = (a.var_opt(2, "weight")?, a.var_opt(99, "pos_weight")?);
        Ok(f::binary_cross_entropy_with_logits(
            &a.var(0)?,
            &a.var(1)?,
            weight.as_ref(),
            pos_weight.as_ref(),
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.kl_div", |a| {
        Ok(f::kl_div(
            &a.var(0)?,
            &a.var(1)?,
            reduction(a)?,
            a.bool(99, "log_target", false)?,
        )?)
    });
    r.op("nn.functional.poisson_nll_loss", |a| {
        let (log_input, full) = (a.bool(99, "log_input", true)?, a.bool(99, "full", false)?);
        Ok(f::poisson_nll_loss(
            &a.var(0)?,
            &a.var(1)?,
            log_input,
            full,
            a.f64(99, "eps", 1e-8)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.gaussian_nll_loss", |a| {
        let full = a.bool(99, "full", false)?;
        Ok(f::gaussian_nll_loss(
            &a.var(0)?,
            &a.var(1)?,
            &a.var(2)?,
            full,
            a.f64(99, "eps", 1e-6)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.soft_margin_loss", |a| {
        Ok(f::soft_margin_loss(&a.var(0)?, &a.var(1)?, reduction(a)?)?)
    });
    r.op("nn.functional.margin_ranking_loss", |a| {
        Ok(f::margin_ranking_loss(
            &a.var(0)?,
            &a.var(1)?,
            &a.var(2)?,
            a.f64(99, "margin", 0.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.hinge_embedding_loss", |a| {
        Ok(f::hinge_embedding_loss(
            &a.var(0)?,
            &a.var(1)?,
            a.f64(99, "margin", 1.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.cosine_embedding_loss", |a| {
        Ok(f::cosine_embedding_loss(
            &a.var(0)?,
            &a.var(1)?,
            &a.tensor(2)?,
            a.f64(99, "margin", 0.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.triplet_margin_loss", |a| {
        let options = TripletMargin {
            margin: a.f64(99, "margin", 1.0)?,
            p: a.f64(99, "p", 2.0)?,
            eps: a.f64(99, "eps", 1e-6)?,
            swap: a.bool(99, "swap", false)?,
            reduction: reduction(a)?,
        };
        Ok(f::triplet_margin_loss(
            &a.var(0)?,
            &a.var(1)?,
            &a.var(2)?,
            &options,
        )?)
    });
    r.op("nn.functional.multi_margin_loss", |a| {
        let (p, weight) = (a.i64(99, "p", 1)? as u32, a.tensor_opt(99, "weight")?);
        Ok(f::multi_margin_loss(
            &a.var(0)?,
            &a.tensor(1)?,
            p,
            a.f64(99, "margin", 1.0)?,
            weight.as_ref(),
            reduction(a)?,
        )?)
    });
}

fn distances(r: &mut Registry) {
    r.op("nn.functional.cosine_similarity", |a| {
        Ok(f::cosine_similarity(
            &a.var(0)?,
            &a.var(1)?,
            a.i64(2, "dim", 1)? as isize,
            a.f64(3, "eps", 1e-8)?,
        )?)
    });
    r.op("nn.functional.pairwise_distance", |a| {
        let (p, eps) = (a.f64(2, "p", 2.0)?, a.f64(3, "eps", 1e-6)?);
        Ok(f::pairwise_distance(
            &a.var(0)?,
            &a.var(1)?,
            p,
            eps,
            a.bool(4, "keepdim", false)?,
        )?)
    });
    r.op("nn.functional.normalize", |a| {
        Ok(f::normalize(
            &a.var(0)?,
            a.f64(1, "p", 2.0)?,
            a.i64(2, "dim", 1)? as isize,
            a.f64(3, "eps", 1e-12)?,
        )?)
    });
}
