//! [`gradcheck`]: are the gradients of a function what its values say? Central differences in f64.
//!
//! As PyTorch's `torch.autograd.gradcheck` (slow mode): every entry of the Jacobian, one by one.

use gradus_tensor::{DType, Error, Result, Tensor};

use crate::grad::grad;
use crate::var::Var;

/// How close is close enough: `|analytic − numeric| ≤ atol + rtol·|numeric|`. Defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gradcheck {
    /// Half the step of the central difference.
    pub eps: f64,
    /// Absolute tolerance.
    pub atol: f64,
    /// Relative tolerance.
    pub rtol: f64,
}

impl Default for Gradcheck {
    fn default() -> Gradcheck {
        Gradcheck {
            eps: 1e-6,
            atol: 1e-5,
            rtol: 1e-3,
        }
    }
}

/// Compares every entry of the Jacobian of `f` at `inputs` with central differences. Inputs may be views of any layout
/// and are used as they are.
///
/// # Errors
/// If an input is not f64, `f` fails, or an entry differs: the message says which input and output element, and both
/// numbers, for the worst of them, and how many differ.
///
/// ```
/// use gradus_autograd::{Gradcheck, Op, Var, gradcheck};
/// use gradus_tensor::Tensor;
/// let x = Tensor::from_vec(vec![0.5, 1.0, 2.0], [3])?;
/// gradcheck(|v| v[0].log()?.mul(&v[0]), &[x.clone()], Gradcheck::default())?;
///
/// let wrong = |v: &[Var]| Op::new("cube").inputs(&[&v[0]]).record(v[0].value().pow_scalar(3)?, |_, dy| Ok(dy));
/// let error = gradcheck(wrong, &[x], Gradcheck::default()).unwrap_err();
/// assert!(error.to_string().contains("3 of 9 entries differ"), "{error}");
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub fn gradcheck(
    f: impl Fn(&[Var]) -> Result<Var>,
    inputs: &[Tensor],
    options: Gradcheck,
) -> Result<()> {
    let leaves = inputs
        .iter()
        .enumerate()
        .map(|(i, x)| leaf(i, x))
        .collect::<Result<Vec<Var>>>()?;
    let y = f(&leaves)?;
    if y.dtype() != DType::F64 {
        return Err(Error::dtype(
            "gradcheck",
            format!("the output is {}, not f64", y.dtype()),
        ));
    }
    let outputs = y.numel();
    // Analytic, a row for each output element: analytic[input][output][element].
    let mut analytic: Vec<Vec<Vec<f64>>> = vec![Vec::new(); inputs.len()];
    for j in 0..outputs {
        let mut one = vec![0.0; outputs];
        one[j] = 1.0;
        let one = Var::from(Tensor::from_vec(one, y.dims())?);
        let row = if y.is_tracked() {
            grad(
                &[&y],
                &leaves.iter().collect::<Vec<_>>(),
                Some(&[&one]),
                false,
            )?
        } else {
            vec![None; leaves.len()]
        };
        for ((x, grad), rows) in inputs.iter().zip(row).zip(&mut analytic) {
            rows.push(match grad {
                Some(grad) => grad.value().to_vec::<f64>()?,
                None => vec![0.0; x.numel()],
            });
        }
    }
    // Numeric, a column for each input element.
    let values = inputs
        .iter()
        .map(Tensor::to_vec::<f64>)
        .collect::<Result<Vec<_>>>()?;
    let mut report = Report::default();
    for (i, x) in inputs.iter().enumerate() {
        for e in 0..x.numel() {
            let at = |value: f64| -> Result<Vec<f64>> {
                let mut moved = values[i].clone();
                moved[e] = value;
                let mut vars: Vec<Var> = inputs.iter().map(Var::from).collect();
                vars[i] = Var::from(Tensor::from_vec(moved, x.dims())?);
                let y = f(&vars)?;
                if y.numel() != outputs {
                    return Err(Error::shape(
                        "gradcheck",
                        "the output's shape depends on the input's values",
                    ));
                }
                y.value().to_vec::<f64>()
            };
            let (up, down) = (values[i][e] + options.eps, values[i][e] - options.eps);
            let (high, low) = (at(up)?, at(down)?);
            for j in 0..outputs {
                let numeric = (high[j] - low[j]) / (up - down);
                report.compare(options, (i, e, j), analytic[i][j][e], numeric);
            }
        }
    }
    let Some(worst) = report.worst else {
        return Ok(());
    };
    let (i, e, j) = worst.at;
    Err(Error::value(
        "gradcheck",
        format!(
            "{} of {} entries differ; the worst is the derivative of output{:?} by input {i}{:?}: analytic {}, numeric {}",
            report.differ,
            report.all,
            index_of(j, y.dims()),
            index_of(e, inputs[i].dims()),
            worst.analytic,
            worst.numeric,
        ),
    ))
}

/// [`gradcheck`] of the gradient itself: is the second derivative right?
///
/// # Errors
/// As [`gradcheck`]; also if an operation in `f` has no second derivative.
pub fn gradgradcheck(
    f: impl Fn(&[Var]) -> Result<Var>,
    inputs: &[Tensor],
    options: Gradcheck,
) -> Result<()> {
    let constants: Vec<Var> = inputs.iter().map(Var::from).collect();
    let y = f(&constants)?;
    // A fixed weight for each output element, none alike, of either sign.
    let weights = (0..y.numel())
        .map(|i| (1.7 * i as f64 + 0.6).sin() + 0.1)
        .collect();
    let mut all = inputs.to_vec();
    all.push(Tensor::from_vec::<f64>(weights, y.dims())?);
    // Which inputs have a gradient at all does not depend on the values.
    for k in 0..inputs.len() {
        let first = |v: &[Var]| -> Result<Var> {
            // The differences are taken on constants, so make what is differentiated inside a leaf of its own.
            let x = v[..inputs.len()]
                .iter()
                .map(tracked)
                .collect::<Result<Vec<Var>>>()?;
            let y = f(&x)?;
            let zero = || Ok(Var::from(x[k].value().zeros_like()?));
            if !y.is_tracked() {
                return zero();
            }
            match grad(&[&y], &[&x[k]], Some(&[&v[inputs.len()]]), true)?.remove(0) {
                Some(grad) => Ok(grad),
                None => zero(),
            }
        };
        gradcheck(first, &all, options)?;
    }
    Ok(())
}

fn tracked(v: &Var) -> Result<Var> {
    if v.is_tracked() {
        Ok(v.clone())
    } else {
        Var::leaf(v.value().clone())
    }
}

fn leaf(i: usize, x: &Tensor) -> Result<Var> {
    if x.dtype() != DType::F64 {
        return Err(Error::dtype(
            "gradcheck",
            format!("input {i} is {}; differences need f64", x.dtype()),
        ));
    }
    Var::leaf(x.clone())
}

/// Position `flat` in row-major order, as an index: `[1, 2]`.
fn index_of(mut flat: usize, dims: &[usize]) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (i, &size) in index.iter_mut().zip(dims).rev() {
        *i = flat % size.max(1);
        flat /= size.max(1);
    }
    index
}

#[derive(Default)]
struct Report {
    all: usize,
    differ: usize,
    worst: Option<Worst>,
}

struct Worst {
    at: (usize, usize, usize), // input, its element, output element
    analytic: f64,
    numeric: f64,
    excess: f64,
}

impl Report {
    fn compare(
        &mut self,
        options: Gradcheck,
        at: (usize, usize, usize),
        analytic: f64,
        numeric: f64,
    ) {
        self.all += 1;
        let excess = (analytic - numeric).abs() - (options.atol + options.rtol * numeric.abs());
        let same = analytic == numeric || excess <= 0.0 || analytic.is_nan() && numeric.is_nan();
        if !same {
            self.differ += 1;
            let excess = if excess.is_nan() {
                f64::INFINITY
            } else {
                excess
            };
            if self.worst.as_ref().is_none_or(|w| excess > w.excess) {
                self.worst = Some(Worst {
                    at,
                    analytic,
                    numeric,
                    excess,
                });
            }
        }
    }
}
