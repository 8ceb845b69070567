//! Connectionist temporal classification: the probability of a sequence of labels that is shorter than its input, summed over all
//! ways to stretch it. Source: Graves et al. 2006; arguments of `torch.nn.functional.ctc_loss`.
//!
//! It is the forward recursion over alpha, step by step in ordinary operations, so gradients of any order exist; it is not a fused
//! kernel. The gradient is that of the log-probabilities themselves; PyTorch's adds their exponential, which vanishes behind a
//! log-softmax.

use gradus_tensor::{DType, Error, PadMode, Result, Tensor};

use super::loss::Reduction;
use crate::var::Var;

/// The logarithm of a probability of nothing: far below all others, yet finite, so that no gradient becomes NaN.
const NEVER: f64 = -1e30;

/// Options of [`ctc_loss`]; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ctc {
    /// The class that stands for no label (0).
    pub blank: usize,
    /// Mean divides each loss by its target's length first.
    pub reduction: Reduction,
    /// An input too short for its target costs 0 instead of infinity, and has no gradient (no).
    pub zero_infinity: bool,
}

/// Minus the log-probability of each target: log_probs (T, B, C), of a log-softmax; targets i64 (B, S), or all of them end to end
/// (sum of the lengths); a length for each input and target.
///
/// ```
/// # use gradus_autograd::{Var, functional::{Ctc, ctc_loss}};
/// # use gradus_tensor::{DType, Tensor};
/// let uniform = Var::from(Tensor::zeros([2, 1, 2], DType::F64)?).log_softmax(-1)?; // (T, B, C)
/// let target = Tensor::from_slice(&[1i64], [1, 1])?;
/// // Of the four ways through two steps, "1 1", "1 -" and "- 1" read as "1".
/// let loss = ctc_loss(&uniform, &target, &[2], &[1], &Ctc::default())?;
/// assert!((loss.item::<f64>()? - (4.0f64 / 3.0).ln()).abs() < 1e-12);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If shapes and lengths do not fit, a label is out of range or the blank.
pub fn ctc_loss(
    log_probs: &Var,
    targets: &Tensor,
    input_lengths: &[usize],
    target_lengths: &[usize],
    options: &Ctc,
) -> Result<Var> {
    const OP: &str = "ctc_loss";
    let &[time, batch, classes] = log_probs.dims() else {
        let message = format!("log-probabilities {} are not (T, B, C)", log_probs.shape());
        return Err(Error::shape(OP, message));
    };
    let fail = |why: String| Err(Error::shape(OP, why));
    if input_lengths.len() != batch || target_lengths.len() != batch || batch == 0 {
        return fail(format!(
            "{} input lengths and {} target lengths for {batch} sequences",
            input_lengths.len(),
            target_lengths.len()
        ));
    }
    if let Some(n) = input_lengths.iter().find(|&&n| n == 0 || n > time) {
        return fail(format!("input length {n} is not in 1..={time}, the steps"));
    }
    if options.blank >= classes {
        return fail(format!("blank {} of {classes} classes", options.blank));
    }
    if !targets.dtype().is_int() {
        let message = format!(
            "targets are {}; convert with to_dtype(DType::I64)",
            targets.dtype()
        );
        return Err(Error::dtype(OP, message));
    }
    let labels = targets.to_dtype(DType::I64)?.to_vec::<i64>()?;
    let longest = target_lengths.iter().copied().max().unwrap_or(0);
    let starts: Vec<usize> = match *targets.dims() {
        [b, s] if b == batch && longest <= s => (0..batch).map(|b| b * s).collect(),
        [n] if target_lengths.iter().sum::<usize>() == n => target_lengths
            .iter()
            .scan(0, |at, n| Some(std::mem::replace(at, *at + n)))
            .collect(),
        _ => {
            return fail(format!(
                "targets {} for lengths {target_lengths:?}: it takes ({batch}, S) or all end to end",
                targets.shape()
            ));
        }
    };
    // Labels with a blank before, between and after: 2 S + 1 places; a label may follow another unless they are the same.
    let places = 2 * longest + 1;
    let mut symbols = vec![options.blank as i64; batch * places];
    let mut skips = vec![false; batch * places];
    for b in 0..batch {
        for j in 0..target_lengths[b] {
            let label = labels[starts[b] + j];
            if !(0..classes as i64).contains(&label) || label == options.blank as i64 {
                let message = format!(
                    "label {label} is out of range for {classes} classes, or the blank ({})",
                    options.blank
                );
                return Err(Error::index(OP, message));
            }
            let at = b * places + 2 * j + 1;
            symbols[at] = label;
            skips[at] = j > 0 && label != labels[starts[b] + j - 1];
        }
    }
    let symbols = Tensor::from_vec(symbols, [1, batch, places])?;
    let symbols = symbols.broadcast_to([time, batch, places])?;
    let stays = Tensor::from_vec(skips, [batch, places])?.logical_not()?;
    let emitted = log_probs.gather(2, &symbols)?; // (T, B, L)

    let never = PadMode::Constant(NEVER.into());
    let first = emitted.select(0, 0)?; // (B, L)
    let begun = Tensor::arange(0, places, 1, DType::I64)?.ge_scalar(2)?;
    let mut alpha = first.masked_fill(&begun, NEVER)?;
    for t in 1..time {
        let moved = |by: isize| alpha.pad(&[by, -by], never); // every place's probability, `by` places on
        let ways = [
            alpha.clone(),
            moved(1)?,
            moved(2)?.masked_fill(&stays, NEVER)?,
        ];
        let ways = Var::stack(&ways.each_ref(), 0)?; // (3, B, L)
        let next = ways
            .logsumexp(0, false)?
            .add(&emitted.select(0, t as i64)?)?;
        let running: Vec<bool> = input_lengths.iter().map(|&n| t < n).collect();
        alpha = Var::where_(&Tensor::from_vec(running, [batch, 1])?, &next, &alpha)?;
    }
    // The target ends with its last label or with the blank after it.
    let ends = |back: usize| {
        let at: Vec<i64> = target_lengths
            .iter()
            .map(|&n| (2 * n).saturating_sub(back) as i64)
            .collect();
        alpha
            .gather(1, &Tensor::from_vec(at, [batch, 1])?)?
            .squeeze(1) // (B)
    };
    let empty: Vec<bool> = target_lengths.iter().map(|&n| n == 0).collect();
    let label = ends(1)?.masked_fill(&Tensor::from_vec(empty, batch)?, NEVER)?;
    let losses = Var::stack(&[&ends(0)?, &label], 0)?
        .logsumexp(0, false)?
        .neg()?; // (B)
    let impossible = losses.value().ge_scalar(-NEVER / 10.0)?;
    let cost = if options.zero_infinity {
        0.0
    } else {
        f64::INFINITY
    };
    let losses = losses.masked_fill(&impossible, cost)?;
    if options.reduction != Reduction::Mean {
        return options.reduction.apply(&losses);
    }
    let lengths: Vec<f64> = target_lengths.iter().map(|&n| n.max(1) as f64).collect();
    let lengths = Tensor::from_vec(lengths, batch)?.to_dtype(log_probs.dtype())?;
    losses.div(&Var::from(lengths))?.mean(.., false)
}
