//! Attention in several heads as one function, `multi_head_attention_forward`. It is not a fused kernel: the scores (B, nh, T, S) are
//! formed. Source: Vaswani et al. 2017 (arXiv:1706.03762); arguments of `torch.nn.functional`.

use gradus_tensor::{DType, Error, PadMode, Result, ResultExt, Tensor};

use super::dropout::dropout;
use super::linear::linear;
use crate::var::Var;

/// The matrices that make queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub enum InProjection<'a> {
    /// (3 E, E): one above the other, in the order q, k, v.
    Packed(&'a Var),
    /// (E, E), (E, kdim), (E, vdim): for keys and values of other widths.
    Separate([&'a Var; 3]),
}

/// Arguments of [`multi_head_attention_forward`] besides queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub struct MultiHeadAttention<'a> {
    /// nh: it divides the width E.
    pub num_heads: usize,
    /// What makes queries, keys and values.
    pub in_proj_weight: InProjection<'a>,
    /// (3 E)
    pub in_proj_bias: Option<&'a Var>,
    /// (1, 1, E): one more key and one more value, the same for every sequence. Both or none.
    pub bias_kv: Option<[&'a Var; 2]>,
    /// One more key and value of zeros: a query may look at nothing (false).
    pub add_zero_attn: bool,
    /// Probability of dropping a weight while `training` (0).
    pub dropout_p: f64,
    /// (E, E), over the joined heads.
    pub out_proj_weight: &'a Var,
    /// (E)
    pub out_proj_bias: Option<&'a Var>,
    /// Dropout drops (true).
    pub training: bool,
    /// (B, S), or (S) without a batch: true where a key is padding, or numbers added to its scores.
    pub key_padding_mask: Option<&'a Tensor>,
    /// (T, S), (B, T, S) or (B nh, T, S): true where a query may not look, or numbers added to the scores.
    pub attn_mask: Option<&'a Tensor>,
    /// A query sees itself and what came before it (false).
    pub is_causal: bool,
    /// The weights that come back are the mean of the heads' (true).
    pub average_attn_weights: bool,
    /// (B, T, E) rather than (T, B, E) (false). PyTorch's function has only the latter.
    pub batch_first: bool,
}

impl<'a> MultiHeadAttention<'a> {
    /// With PyTorch's defaults, without biases.
    ///
    /// ```
    /// # use gradus_autograd::{Var, functional as F};
    /// # use gradus_tensor::{DType, Tensor};
    /// let (w, out) = (Var::from(Tensor::zeros([12, 4], DType::F32)?), Var::from(Tensor::zeros([4, 4], DType::F32)?));
    /// let options = F::MultiHeadAttention::new(2, &w, &out);
    /// assert!(options.training && !options.is_causal && options.average_attn_weights);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn new(num_heads: usize, in_proj_weight: &'a Var, out_proj_weight: &'a Var) -> Self {
        Self {
            num_heads,
            in_proj_weight: InProjection::Packed(in_proj_weight),
            in_proj_bias: None,
            bias_kv: None,
            add_zero_attn: false,
            dropout_p: 0.0,
            out_proj_weight,
            out_proj_bias: None,
            training: true,
            key_padding_mask: None,
            attn_mask: None,
            is_causal: false,
            average_attn_weights: true,
            batch_first: false,
        }
    }
}

const OP: &str = "multi_head_attention";

/// Attention of queries (T, B, E) to keys (S, B, kdim) and values (S, B, vdim), in heads: to (T, B, E) and the weights (B, T, S),
/// or (B, nh, T, S) where they are not averaged. Without B it takes and gives (T, E). Floats of one dtype.
///
/// A query that may look at nothing gives NaN, as in PyTorch; [`MultiHeadAttention::add_zero_attn`] prevents it.
///
/// ```
/// # use gradus_autograd::{Var, functional::{MultiHeadAttention, multi_head_attention_forward}};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1f64, 0.0, 0.0, 1.0], [2, 2])?); // (T, E)
/// let identity = x.clone();
/// let w = Var::from(Tensor::from_slice(&[1f64, 0., 0., 1., 1., 0., 0., 1., 1., 0., 0., 1.], [6, 2])?);
/// let options = MultiHeadAttention { is_causal: true, ..MultiHeadAttention::new(1, &w, &identity) };
/// let (y, weights) = multi_head_attention_forward(&x, &x, &x, &options)?;
/// assert_eq!(y.dims(), [2, 2]);
/// let weights = weights.value().to_vec::<f64>()?; // the first step sees only itself
/// assert_eq!(weights[..2], [1.0, 0.0]);
/// assert!((weights[3] - 0.6698).abs() < 1e-4); // 1 / (1 + exp(-1/√2))
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the heads do not divide the width, or widths, lengths, batches or masks do not fit.
pub fn multi_head_attention_forward(
    query: &Var,
    key: &Var,
    value: &Var,
    options: &MultiHeadAttention,
) -> Result<(Var, Var)> {
    let batched = query.rank() == 3;
    let width = options.out_proj_weight.dims().first().copied().unwrap_or(0); // E
    let heads = options.num_heads;
    if heads == 0 || width % heads != 0 {
        let message = format!("a width of {width} does not divide into {heads} heads");
        return Err(Error::value(OP, message));
    }
    let together = |x: &Var| match (batched, options.batch_first) {
        (false, _) => x.unsqueeze(0),
        (true, true) => Ok(x.clone()),
        (true, false) => x.transpose(0, 1),
    }; // (B, T, E)
    check_inputs(query, key, value, options)?;
    let (q, k, v) = project(query, key, value, width, options)?;
    let (q, mut k, mut v) = (together(&q)?, together(&k)?, together(&v)?);
    let mut extra = 0; // keys beyond those of `key`, which no mask hides
    if let Some([bias_k, bias_v]) = options.bias_kv {
        let more = |x: &Var, bias: &Var| -> Result<Var> {
            let bias = bias.reshape([1, 1, -1])?;
            let shape = [x.dims()[0], 1, width].map(|n| n as isize);
            Var::cat(&[x, &bias.expand(shape)?], 1)
        };
        (k, v) = (
            more(&k, bias_k).in_op("bias_k")?,
            more(&v, bias_v).in_op("bias_v")?,
        );
        extra += 1;
    }
    if options.add_zero_attn {
        let more = |x: &Var| x.pad(&[0, 0, 0, 1], PadMode::Constant(0.into()));
        (k, v) = (more(&k)?, more(&v)?);
        extra += 1;
    }
    let split = |x: &Var| -> Result<Var> {
        let shape = [x.dims()[0], x.dims()[1], heads, width / heads].map(|n| n as isize);
        x.reshape(shape)?.transpose(1, 2)
    }; // (B, nh, T, hs)
    let (q, k, v) = (split(&q)?, split(&k)?, split(&v)?);
    let hs = (width / heads) as f64;

    let scores = q.mul_scalar(1.0 / hs.sqrt())?.matmul(&k.mt()?)?; // (B, nh, T, S)
    let weights = masked(&scores, extra, options)?.softmax(-1)?;
    let y = dropout(&weights, options.dropout_p, options.training)?.matmul(&v)?; // (B, nh, T, hs)
    let y = y.transpose(1, 2)?.flatten(2, 3)?; // (B, T, E)
    let y = match (batched, options.batch_first) {
        (false, _) => y.squeeze(0)?,
        (true, true) => y,
        (true, false) => y.transpose(0, 1)?,
    };
    let y = linear(&y, options.out_proj_weight, options.out_proj_bias).in_layer("out_proj")?;
    let weights = if options.average_attn_weights {
        weights.mean(1, false)?
    } else {
        weights
    };
    let weights = if batched {
        weights
    } else {
        weights.squeeze(0)?
    };
    Ok((y, weights))
}

fn check_inputs(query: &Var, key: &Var, value: &Var, options: &MultiHeadAttention) -> Result<()> {
    let order = if options.batch_first {
        "(B, T, E)"
    } else {
        "(T, B, E)"
    };
    let fail = |why: &str| {
        let message = format!(
            "queries {}, keys {}, values {}: {why}; it takes {order} each, or (T, E)",
            query.shape(),
            key.shape(),
            value.shape()
        );
        Err(Error::shape(OP, message))
    };
    let rank = query.rank();
    if !(2..=3).contains(&rank) || key.rank() != rank || value.rank() != rank {
        return fail("these are not three sequences, all with or all without a batch");
    }
    if key.dims()[..rank - 1] != value.dims()[..rank - 1] {
        return fail("there must be one value for each key");
    }
    let batch = usize::from(!options.batch_first);
    if rank == 3 && query.dims()[batch] != key.dims()[batch] {
        return fail("queries and keys differ in the batch");
    }
    let [wq, wk, wv] = match options.in_proj_weight {
        InProjection::Packed(w) => [w; 3],
        InProjection::Separate(weights) => weights,
    }
    .map(|w| w.dims().last().copied());
    for (name, x, w) in [("query", query, wq), ("key", key, wk), ("value", value, wv)] {
        if x.dims().last().copied() != w {
            let w = w.unwrap_or(0);
            return fail(&format!("the {name}'s width is not {w}, the layer's"));
        }
    }
    Ok(())
}

/// Queries, keys and values: one matrix product when all come from the same sequence.
fn project(
    query: &Var,
    key: &Var,
    value: &Var,
    width: usize,
    options: &MultiHeadAttention,
) -> Result<(Var, Var, Var)> {
    let bias = options.in_proj_bias;
    let same = |a: &Var, b: &Var| {
        let (x, y) = (a.value(), b.value());
        a.id() == b.id() && x.shares_storage(y) && x.layout() == y.layout()
    };
    let weights = match options.in_proj_weight {
        InProjection::Packed(w) if w.dims().first() != Some(&(3 * width)) => {
            let message = format!("in_proj_weight {} is not (3 E, E), E {width}", w.shape());
            return Err(Error::shape(OP, message));
        }
        InProjection::Packed(w) if same(query, key) && same(key, value) => {
            let parts = linear(query, w, bias).in_layer("in_proj")?;
            let part = |i: usize| parts.narrow(-1, (i * width) as i64, width); // (.., E)
            return Ok((part(0)?, part(1)?, part(2)?));
        }
        InProjection::Packed(w) => {
            let part = |i: usize| w.narrow(0, (i * width) as i64, width);
            [part(0)?, part(1)?, part(2)?]
        }
        InProjection::Separate(weights) => weights.map(Var::clone),
    };
    let one = |x: &Var, i: usize| {
        let bias = bias.map(|b| b.narrow(0, (i * width) as i64, width));
        linear(x, &weights[i], bias.transpose()?.as_ref()).in_layer("in_proj")
    };
    Ok((one(query, 0)?, one(key, 1)?, one(value, 2)?))
}

/// The scores (B, nh, T, S + extra) under all masks.
fn masked(scores: &Var, extra: isize, options: &MultiHeadAttention) -> Result<Var> {
    let (t, s) = (scores.dims()[2], scores.dims()[3] - extra as usize);
    let (batch, heads) = (scores.dims()[0], scores.dims()[1]);
    let seen = PadMode::Constant(0.into());
    let hide = |scores: &Var, mask: &Tensor, name: &'static str| -> Result<Var> {
        let mask = mask.pad(&[0, extra], seen)?;
        match mask.dtype() {
            DType::Bool => scores.masked_fill(&mask, f64::NEG_INFINITY),
            dtype if dtype.is_float() => scores.add(&Var::from(mask.to_dtype(scores.dtype())?)),
            dtype => {
                let message = format!(
                    "the mask is {dtype}; it takes bool (true hides) or a float that is added; convert with to_dtype"
                );
                Err(Error::dtype(name, message))
            }
        }
    };
    let mut scores = scores.clone();
    if options.is_causal {
        let row = Tensor::arange(0, t as i64, 1, DType::I64)?.unsqueeze(1)?; // (T, 1)
        let column = Tensor::arange(0, s as i64, 1, DType::I64)?; // (S)
        scores = hide(&scores, &column.gt(&row)?, "is_causal")?;
    }
    if let Some(mask) = options.attn_mask {
        let mask = match *mask.dims() {
            [a, b] if (a, b) == (t, s) => mask.clone(),
            [n, a, b] if (n, a, b) == (batch * heads, t, s) => {
                mask.unflatten(0, [batch as isize, heads as isize])?
            }
            [n, a, b] if (n, a, b) == (batch, t, s) => mask.unsqueeze(1)?, // (B, 1, T, S)
            _ => {
                let message = format!(
                    "{} for {batch} sequences, {heads} heads, {t} queries and {s} keys: it takes [{t},{s}], \
                     [{batch},{t},{s}] or [{},{t},{s}]",
                    mask.shape(),
                    batch * heads
                );
                return Err(Error::shape("attn_mask", message));
            }
        };
        scores = hide(&scores, &mask, "attn_mask")?;
    }
    if let Some(mask) = options.key_padding_mask {
        if mask.numel() != batch * s || mask.dims().last() != Some(&s) {
            let message = format!(
                "{}: it takes [{batch},{s}], a flag for each key",
                mask.shape()
            );
            return Err(Error::shape("key_padding_mask", message));
        }
        let shape = [batch, 1, 1, s].map(|n| n as isize);
        scores = hide(&scores, &mask.reshape(shape)?, "key_padding_mask")?;
    }
    Ok(scores)
}
