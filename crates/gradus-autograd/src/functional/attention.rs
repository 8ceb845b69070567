//! Attention (Vaswani et al., "Attention Is All You Need", 2017): in tiles where the kernel takes it, by other operations where not
//! (dropout, a learned bias, 16-bit floats, batches that broadcast).

use gradus_tensor::{AttentionOptions, DType, Device, Error, Result, Tensor};

use super::dropout::dropout;
use crate::autocast::{is_low, raise};
use crate::op::Op;
use crate::recompute::recompute;
use crate::var::Var;

/// Optional arguments of [`scaled_dot_product_attention`].
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// Broadcast to (…, T, S): bool, true where attention is allowed; or a float that is added to the scores.
    pub mask: Option<Tensor>,
    /// Broadcast to (…, T, S) and added to the scores, with a gradient: a learned position bias. Not together with `mask`.
    pub bias: Option<Var>,
    /// Probability of dropping a weight (0).
    pub dropout_p: f64,
    /// Position t attends to positions up to t only (false).
    pub is_causal: bool,
    /// What scores are multiplied by (`None`: 1/√E).
    pub scale: Option<f64>,
    /// Query heads (dimension −3) share key and value heads in groups (false).
    pub enable_gqa: bool,
}

/// `softmax(q kᵀ scale + mask) v`: q (…, T, E), k (…, S, E), v (…, S, F), to (…, T, F).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let q = Var::from(Tensor::from_slice(&[1.0, 0.0], [1, 2])?);
/// let k = Var::from(Tensor::from_slice(&[1.0, 0.0, 0.0, 1.0], [2, 2])?);
/// let v = Var::from(Tensor::from_slice(&[10.0, 20.0], [2, 1])?);
/// let y = F::scaled_dot_product_attention(&q, &k, &v, &F::Attention::default())?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[13.302385], 1)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit, or more than one of a mask, a bias and `is_causal` is given.
pub fn scaled_dot_product_attention(q: &Var, k: &Var, v: &Var, options: &Attention) -> Result<Var> {
    const OP: &str = "scaled_dot_product_attention";
    if q.rank() < 2
        || k.rank() < 2
        || v.rank() < 2
        || q.dim(-1)? != k.dim(-1)?
        || k.dim(-2)? != v.dim(-2)?
    {
        let message = format!(
            "q {}, k {}, v {}: it takes (…, T, E), (…, S, E), (…, S, F)",
            q.shape(),
            k.shape(),
            v.shape()
        );
        return Err(Error::shape(OP, message));
    }
    let masks = [
        options.mask.is_some(),
        options.bias.is_some(),
        options.is_causal,
    ];
    if masks.iter().filter(|given| **given).count() > 1 {
        let message = "give one of a mask, a bias and is_causal, not several";
        return Err(Error::value(OP, message));
    }
    let on_gpu = q.device() != Device::Cpu;
    if is_low(q) && !(on_gpu && is_tiled(q, k, v, options)) {
        // The products of attention are made in f32 in any case: what it saves is memory, and its sums want the digits.
        let wide = [raise(q)?, raise(k)?, raise(v)?];
        let y = scaled_dot_product_attention(&wide[0], &wide[1], &wide[2], options)?;
        return y.to_dtype(q.dtype());
    }
    if is_tiled(q, k, v, options) {
        return tiled(q, k, v, options);
    }
    composed(q, k, v, options)
}

/// Does the kernel take it: no dropout and no learned bias, one native dtype, and batches that are the same for all three?
fn is_tiled(q: &Var, k: &Var, v: &Var, options: &Attention) -> bool {
    let lead = |x: &Var| {
        let kept = x.rank()
            - if options.enable_gqa {
                3.min(x.rank())
            } else {
                2
            };
        x.dims()[..kept].to_vec()
    };
    let heads = |x: &Var| x.rank().checked_sub(3).map_or(1, |at| x.dims()[at]);
    let fits = heads(k) == heads(v) && heads(k) > 0 && heads(q).is_multiple_of(heads(k));
    options.bias.is_none()
        && options.dropout_p == 0.0
        && (matches!(q.dtype(), DType::F32 | DType::F64) || q.device() != Device::Cpu)
        && (k.dtype(), v.dtype()) == (q.dtype(), q.dtype())
        && q.numel() > 0
        && (2..=4).contains(&q.rank())
        && (k.rank(), v.rank()) == (q.rank(), q.rank())
        && (lead(k), lead(v)) == (lead(q), lead(q))
        && (!options.enable_gqa || q.rank() == 4 && fits)
        && options.mask.as_ref().is_none_or(|mask| {
            let scores = [&q.dims()[..q.rank() - 1], &[k.dims()[k.rank() - 2]]].concat();
            mask.shape()
                .broadcast(&scores.as_slice().into())
                .is_ok_and(|s| s.dims() == scores)
        })
}

/// By the kernel, which never holds all scores; gradients that are to be differentiated again are composed.
fn tiled(q: &Var, k: &Var, v: &Var, options: &Attention) -> Result<Var> {
    let kernel = AttentionOptions {
        mask: options.mask.clone(),
        is_causal: options.is_causal,
        scale: options.scale,
    };
    let forward = q
        .value()
        .attention(k.value(), v.value(), &kernel)
        .map_err(|e| e.in_op("scaled_dot_product_attention"))?;
    let (y, options) = (forward.y.clone(), options.clone());
    Op::new("scaled_dot_product_attention")
        .inputs(&[q, k, v])
        .saves(0)
        .saves(1)
        .saves(2)
        .record(y, move |ctx, dy| {
            if ctx.create_graph() {
                return recompute(ctx, dy, &[], |x| composed(&x[0], &x[1], &x[2], &options));
            }
            let [q, k, v] = [ctx.input(0)?, ctx.input(1)?, ctx.input(2)?].map(Var::value);
            let grads = dy
                .value()
                .attention_backward([q, k, v], &kernel, &forward)?;
            Ok(grads.map(|g| Some(Var::from(g))).into())
        })
}

/// By other operations: the definition.
fn composed(q: &Var, k: &Var, v: &Var, options: &Attention) -> Result<Var> {
    const OP: &str = "scaled_dot_product_attention";
    let (t, s, e) = (q.dim(-2)?, k.dim(-2)?, q.dim(-1)?);
    let (k, v) = if options.enable_gqa {
        (shared_heads(OP, q, k)?, shared_heads(OP, q, v)?)
    } else {
        (k.clone(), v.clone())
    };
    let scale = options.scale.unwrap_or(1.0 / (e as f64).sqrt());
    // The scale is split over both factors, as PyTorch does it: scores never overflow before it is applied.
    let root = scale.abs().sqrt();
    let mut scores = q
        .mul_scalar(root * scale.signum())?
        .matmul(&k.mul_scalar(root)?.transpose(-2, -1)?)?; // (…, T, S)
    let causal = if options.is_causal {
        Some(Tensor::ones([t, s], (DType::Bool, q.device()))?.tril(0)?)
    } else {
        None
    };
    if let Some(bias) = &options.bias {
        scores = scores.add(bias)?;
    }
    let mut nothing = None;
    match causal.as_ref().or(options.mask.as_ref()) {
        Some(mask) if mask.dtype() == DType::Bool => {
            let hidden = mask.logical_not()?;
            scores = scores.masked_fill(&hidden, f64::NEG_INFINITY)?;
            // A row that may attend to nothing gives 0, not NaN.
            nothing = Some(hidden.all(-1, true)?);
        }
        Some(mask) => scores = scores.add(&Var::from(mask.to_dtype(q.dtype())?))?,
        None => {}
    }
    let mut weights = scores.softmax(-1)?;
    if let Some(nothing) = nothing {
        weights = weights.masked_fill(&nothing, 0)?;
    }
    dropout(&weights, options.dropout_p, true)?.matmul(&v)
}

/// Key or value heads (dimension −3) repeated to as many as the query has.
fn shared_heads(op: &'static str, q: &Var, x: &Var) -> Result<Var> {
    let (Ok(heads), Ok(own)) = (q.dim(-3), x.dim(-3)) else {
        return Err(Error::shape(
            op,
            format!("{} has no dimension of heads", x.shape()),
        ));
    };
    if own == 0 || heads % own != 0 {
        return Err(Error::shape(
            op,
            format!("{heads} query heads do not divide by {own}"),
        ));
    }
    if heads == own {
        Ok(x.clone())
    } else {
        x.repeat_interleave(heads / own, -3)
    }
}
