//! Cross-entropy of logits and class indices, fused: log-softmax, choice and reduction in one pass, and its gradient.
//!
//! Class weights, `ignore_index` and label smoothing as in `torch.nn.functional.cross_entropy`; probabilities as targets
//! are composed above from log-softmax.

use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::reduce::{Accumulator, FoldOp};
use crate::rows::{Operand, widened, write};
use crate::{Element, Error, FloatElement, Result, View, error::check_len, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch, math};

/// How the losses of the rows become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// They do not: one loss per row.
    None,
    /// Their sum over the sum of the targets' weights.
    Mean,
    /// Their sum.
    Sum,
}

/// What cross-entropy depends on beside logits and targets.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<'a, T> {
    /// A weight for each class.
    pub weight: Option<&'a [T]>,
    /// The target of rows that do not count.
    pub ignore_index: i64,
    /// The share of the target spread over all classes.
    pub label_smoothing: f64,
    /// How the rows become one.
    pub reduction: Reduction,
}

impl<T> Default for CrossEntropy<'_, T> {
    fn default() -> Self {
        Self {
            weight: None,
            ignore_index: -100,
            label_smoothing: 0.0,
            reduction: Reduction::Mean,
        }
    }
}

/// ln Σ e^x of a row, and Σ w·x for smoothing.
struct Row<'a, T> {
    x: &'a [T],
    weight: Option<&'a [T]>,
    smooth: bool,
}

impl<T: Float> Kernel for Row<'_, T> {
    type Output = (T, T);
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> (T, T) {
        let (n, x) = (self.x.len(), self.x.as_ptr());
        let (zero, low) = (T::ZERO, -T::INFINITY);
        // SAFETY (all blocks): `i + m <= n`, the length of the row and of the weights (checked by the caller).
        let max = lanes::fold::<S, T>(
            isa,
            n,
            low,
            #[inline(always)]
            |i, m| unsafe { lanes::load::<S, T>(isa, x.add(i), m, low) },
            FloatVec::max,
            T::maximum,
        );
        let shift = T::V::<S>::splat(isa, max);
        let sum = lanes::fold::<S, T>(
            isa,
            n,
            zero,
            #[inline(always)]
            |i, m| {
                math::exp::<S, T>(
                    isa,
                    unsafe { lanes::load::<S, T>(isa, x.add(i), m, low) } - shift,
                )
            },
            #[inline(always)]
            |a, b| a + b,
            #[inline(always)]
            |a, b| a + b,
        );
        let smooth = if self.smooth {
            lanes::fold::<S, T>(
                isa,
                n,
                zero,
                #[inline(always)]
                |i, m| unsafe {
                    let v = lanes::load::<S, T>(isa, x.add(i), m, zero);
                    match self.weight {
                        Some(w) => v * lanes::load::<S, T>(isa, w.as_ptr().add(i), m, zero),
                        None => v,
                    }
                },
                #[inline(always)]
                |a, b| a + b,
                #[inline(always)]
                |a, b| a + b,
            )
        } else {
            zero
        };
        (max + T::from_f64(sum.to_f64().ln()), smooth)
    }
}

/// dx = scale·e^(x − lse) − smooth·w.
struct RowBackward<'a, T> {
    x: &'a [T],
    lse: T,
    scale: T,
    smooth: T,
    weight: Option<&'a [T]>,
    dx: &'a mut [T],
}

impl<T: Float> Kernel for RowBackward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (x, dx) = (self.x.as_ptr(), self.dx.as_mut_ptr());
        let [lse, scale, smooth] = [self.lse, self.scale, self.smooth].map(
            #[inline(always)]
            |v| T::V::<S>::splat(isa, v),
        );
        let zero = T::ZERO;
        lanes::for_each::<S, T>(
            self.x.len(),
            #[inline(always)]
            // SAFETY: `i + m` is at most the length of the row, of the output and of the weights (the caller's).
            |i, m| unsafe {
                let p = math::exp::<S, T>(isa, lanes::load::<S, T>(isa, x.add(i), m, zero) - lse)
                    * scale;
                let target = match self.weight {
                    Some(w) => smooth * lanes::load::<S, T>(isa, w.as_ptr().add(i), m, zero),
                    None => smooth,
                };
                lanes::store::<S, T>(p - target, dx.add(i), m);
            },
        );
    }
}

/// Checks the arguments, and returns the number of rows and classes.
fn check<T: Element>(
    op: &'static str,
    logits: &View<'_, T>,
    target: &[i64],
    options: &CrossEntropy<'_, T>,
) -> Result<(usize, usize)> {
    let &[rows, classes] = logits.shape() else {
        return Err(Error::shape(
            op,
            format!("the logits are (rows, classes), not {:?}", logits.shape()),
        ));
    };
    check_len(op, "the target", target.len(), rows)?;
    if let Some(weight) = options.weight {
        check_len(op, "the weight", weight.len(), classes)?;
    }
    if !(0.0..=1.0).contains(&options.label_smoothing) {
        return Err(Error::shape(
            op,
            format!(
                "label_smoothing is {}, not between 0 and 1",
                options.label_smoothing
            ),
        ));
    }
    match target
        .iter()
        .find(|&&t| t != options.ignore_index && (t < 0 || t as u64 >= classes as u64))
    {
        Some(&index) => Err(Error::Index {
            op,
            index,
            size: classes,
        }),
        None => Ok((rows, classes)),
    }
}

/// Cross-entropy of `logits` (rows, classes) and `target` (rows).
///
/// `y` has one element, or one for each row with [`Reduction::None`]. `lse` (rows) receives ln Σ e^x of each row, and the
/// returned number is the sum of the targets' weights: [`cross_entropy_backward`] wants both.
///
/// # Errors
/// If a target is neither a class nor `ignore_index`, or shapes do not fit.
#[inline(never)]
pub fn cross_entropy<T: FloatElement>(
    logits: View<'_, T>,
    target: &[i64],
    options: &CrossEntropy<'_, T>,
    y: &mut [T],
    lse: &mut [T::Compute],
) -> Result<f64> {
    let op = "cross_entropy";
    let (rows, classes) = check(op, &logits, target, options)?;
    check_len(op, "lse", lse.len(), rows)?;
    check_len(
        op,
        "the output",
        y.len(),
        if options.reduction == Reduction::None {
            rows
        } else {
            1
        },
    )?;
    let weight = options.weight.map(widened);
    let weight = weight.as_deref();
    let weight_sum = weight.map_or(classes as f64, |w| w.iter().map(|w| w.cast::<f64>()).sum());
    let eps = options.label_smoothing;
    let x = Operand::new(logits)?;
    let mut losses = vec![T::Compute::default(); rows];
    let (out, out_lse) = (SharedMut::new(&mut losses), SharedMut::new(lse));
    for_each_chunk(rows, (GRAIN / classes.max(1)).max(1), |range| {
        let mut scratch = Vec::new();
        // SAFETY: the ranges of different tasks do not overlap.
        let (losses, lses) = unsafe { (out.slice(range.clone()), out_lse.slice(range.clone())) };
        for (i, row) in range.enumerate() {
            let x = x.get(row * classes, classes, &mut scratch);
            let (lse, smooth) = dispatch(Row {
                x,
                weight,
                smooth: eps > 0.0,
            });
            lses[i] = lse;
            if target[row] == options.ignore_index {
                continue;
            }
            let class = target[row] as usize;
            let lse = lse.cast::<f64>();
            let w = weight.map_or(1.0, |w| w[class].cast::<f64>());
            let mut loss = w * (lse - x[class].cast::<f64>());
            if eps > 0.0 {
                let uniform = weight_sum * lse - smooth.cast::<f64>();
                loss = (1.0 - eps) * loss + eps / classes as f64 * uniform;
            }
            losses[i] = <T::Compute as Element>::from_f64(loss);
        }
    });
    let counted = target.iter().filter(|&&t| t != options.ignore_index);
    let total: f64 = match weight {
        None => counted.count() as f64,
        Some(w) => counted.map(|&t| w[t as usize].cast::<f64>()).sum(),
    };
    if options.reduction == Reduction::None {
        T::store(&losses, y);
        return Ok(total);
    }
    let mut sum = [T::Compute::default()];
    crate::reduce::sum(View::contiguous(&losses, &[rows])?, &[0], &mut sum)?;
    let sum = if options.reduction == Reduction::Mean {
        sum[0] / <T::Compute as Element>::from_f64(total)
    } else {
        sum[0]
    };
    y[0] = T::narrow(sum);
    Ok(total)
}

/// The gradient of [`cross_entropy`] by the logits; `dy` has the shape of its output, `lse` and `total_weight` are what it
/// gave.
///
/// # Errors
/// As [`cross_entropy`].
#[inline(never)]
pub fn cross_entropy_backward<T: FloatElement>(
    dy: &[T],
    logits: View<'_, T>,
    target: &[i64],
    options: &CrossEntropy<'_, T>,
    lse: &[T::Compute],
    total_weight: f64,
    dx: &mut [T],
) -> Result<()> {
    let op = "cross_entropy_backward";
    let (rows, classes) = check(op, &logits, target, options)?;
    check_len(op, "lse", lse.len(), rows)?;
    check_len(
        op,
        "the output's gradient",
        dy.len(),
        if options.reduction == Reduction::None {
            rows
        } else {
            1
        },
    )?;
    check_len(op, "the gradient", dx.len(), logits.len())?;
    let weight = options.weight.map(widened);
    let weight = weight.as_deref();
    let weight_sum = weight.map_or(classes as f64, |w| w.iter().map(|w| w.cast::<f64>()).sum());
    let eps = options.label_smoothing;
    let x = Operand::new(logits)?;
    let out = SharedMut::new(dx);
    for_each_chunk(rows, (GRAIN / classes.max(1)).max(1), |range| {
        let (mut scratch, mut out_scratch) = (Vec::new(), Vec::new());
        for row in range {
            // SAFETY: rows do not overlap.
            let dx = unsafe { out.slice(row * classes..(row + 1) * classes) };
            if target[row] == options.ignore_index {
                dx.fill(T::ZERO);
                continue;
            }
            let class = target[row] as usize;
            let g = match options.reduction {
                Reduction::None => dy[row].cast::<f64>(),
                Reduction::Sum => dy[0].cast::<f64>(),
                Reduction::Mean => dy[0].cast::<f64>() / total_weight,
            };
            let hard = (1.0 - eps) * weight.map_or(1.0, |w| w[class].cast::<f64>());
            let soft = eps / classes as f64;
            let real = |v: f64| <T::Compute as Element>::from_f64(v);
            let x = x.get(row * classes, classes, &mut scratch);
            write::<T>(dx, &mut out_scratch, |dx| {
                let (scale, smooth) = (real(g * (hard + soft * weight_sum)), real(g * soft));
                dispatch(RowBackward {
                    x,
                    lse: lse[row],
                    scale,
                    smooth,
                    weight,
                    dx,
                });
                dx[class] = Accumulator::combine(FoldOp::Sum, dx[class], real(-g * hard));
            });
        }
    });
    Ok(())
}
