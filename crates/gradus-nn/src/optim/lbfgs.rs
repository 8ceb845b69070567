//! L-BFGS: a quasi-Newton method that remembers the last steps instead of a matrix. It evaluates the model several times per
//! step, so it takes a closure and not gradients, and does not fit [`Optimizer`](super::Optimizer).
//! Sources: Nocedal and Wright, *Numerical Optimization*, algorithm 7.4; `torch.optim.LBFGS`, whose conditions and order of
//! operations are followed. All its vectors are f64, whatever the model's dtype.

use std::collections::VecDeque;

use gradus_autograd::Var;
use gradus_tensor::{DType, Error, Result, Tensor};

use super::element::{not_negative, require};
use super::line_search::{Point, strong_wolfe};
use crate::module::{Module, StateDict};

/// How the length of a step is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSearch {
    /// The learning rate.
    Fixed,
    /// A search for a point that satisfies the strong Wolfe conditions, starting from the learning rate.
    StrongWolfe,
}

/// Options of [`LBFGS`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct LbfgsOptions {
    /// Length of a step, or where the search for it starts (1).
    pub lr: f64,
    /// Iterations in one `step` (20).
    pub max_iter: usize,
    /// Evaluations in one `step`; `None` is 5/4 of the iterations.
    pub max_eval: Option<usize>,
    /// No gradient is larger: done (1e-7).
    pub tolerance_grad: f64,
    /// Neither the loss nor a parameter changes by more: done (1e-9).
    pub tolerance_change: f64,
    /// How many steps are remembered (100).
    pub history_size: usize,
    /// How the length of a step is chosen.
    pub line_search: LineSearch,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for LbfgsOptions {
    fn default() -> Self {
        Self {
            lr: 1.0,
            max_iter: 20,
            max_eval: None,
            tolerance_grad: 1e-7,
            tolerance_change: 1e-9,
            history_size: 100,
            line_search: LineSearch::Fixed,
            maximize: false,
        }
    }
}

/// A remembered step: the change of the gradient, the step, and one over their product.
#[derive(Clone, Debug)]
struct Pair {
    y: Vec<f64>,
    s: Vec<f64>,
    rho: f64,
}

/// The L-BFGS optimiser.
///
/// ```
/// use gradus_nn::optim::{LBFGS, LbfgsOptions, LineSearch};
/// use gradus_nn::{Layer, Linear};
/// # use gradus_autograd::Var;
/// # use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let mut model = Linear::new(1, 1)?;
/// let x = Var::from(Tensor::from_slice(&[0.0_f32, 1.0, 2.0], [3, 1])?);
/// let y = Var::from(Tensor::from_slice(&[1.0_f32, 3.0, 5.0], [3, 1])?); // 2 x + 1
/// let mut optimizer = LBFGS::with(LbfgsOptions { line_search: LineSearch::StrongWolfe, ..LbfgsOptions::default() });
/// let loss = optimizer.step(&mut model, |model| model.forward(&x)?.sub(&y)?.square()?.mean(.., false))?;
/// assert!(loss > 0.0); // the loss before the step
/// assert!((model.weight.data().item::<f32>()? - 2.0).abs() < 1e-2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LBFGS {
    options: LbfgsOptions,
    history: VecDeque<Pair>,
    direction: Vec<f64>,
    length: f64,
    scale: f64,
    previous_grad: Vec<f64>,
    iterations: u64,
}

impl LBFGS {
    /// PyTorch's defaults and this learning rate.
    pub fn new(lr: f64) -> Self {
        Self::with(LbfgsOptions {
            lr,
            ..LbfgsOptions::default()
        })
    }

    /// These options.
    pub fn with(options: LbfgsOptions) -> Self {
        Self {
            options,
            history: VecDeque::new(),
            direction: Vec::new(),
            length: 0.0,
            scale: 1.0,
            previous_grad: Vec::new(),
            iterations: 0,
        }
    }

    /// The options.
    pub fn options_mut(&mut self) -> &mut LbfgsOptions {
        &mut self.options
    }

    /// Minimises `loss(model)` for up to `max_iter` iterations; returns the loss before the first of them.
    ///
    /// # Errors
    /// When an option makes no sense, or `loss` fails or does not give a single number.
    pub fn step<M: Module>(
        &mut self,
        model: &mut M,
        mut loss: impl FnMut(&M) -> Result<Var>,
    ) -> Result<f64> {
        let options = self.options.clone();
        options.check().map_err(|why| Error::value("LBFGS", why))?;
        let sign = if options.maximize { -1.0 } else { 1.0 };
        let mut evaluate = |model: &mut M| -> Result<(f64, Vec<f64>)> {
            let loss = loss(model)?;
            let value = loss.value().to_f64()?;
            Ok((sign * value, flat_gradient(model, loss, sign)?))
        };
        let max_eval = options.max_eval.unwrap_or(options.max_iter * 5 / 4);

        let (mut f, mut g) = evaluate(model)?;
        let original = sign * f;
        let mut evaluations = 1;
        if largest(&g) <= options.tolerance_grad {
            return Ok(original);
        }
        if self.previous_grad.len() != g.len() {
            // Another model, or other parameters are frozen now: what is remembered says nothing about it.
            *self = Self::with(options.clone());
        }
        for iteration in 1..=options.max_iter {
            self.iterations += 1;
            self.next_direction(&g);
            self.previous_grad.clone_from(&g);
            let previous_loss = f;

            let sum: f64 = g.iter().map(|x| x.abs()).sum();
            self.length = if self.iterations == 1 {
                (1.0 / sum).min(1.0) * options.lr
            } else {
                options.lr
            };
            let slope = dot(&g, &self.direction);
            if slope > -options.tolerance_change {
                break;
            }

            let d = &self.direction;
            let start = flat_parameters(model)?;
            match options.line_search {
                LineSearch::StrongWolfe => {
                    let at = |t: f64| -> Result<Point> {
                        set_parameters(model, &start, t, d)?;
                        let (f, g) = evaluate(model)?;
                        Ok(Point {
                            t,
                            f,
                            slope: dot(&g, d),
                            g,
                        })
                    };
                    let here = Point {
                        t: 0.0,
                        f,
                        slope,
                        g,
                    };
                    let (found, used) = strong_wolfe(
                        at,
                        here,
                        self.length,
                        largest(d),
                        options.tolerance_change,
                        max_eval.saturating_sub(evaluations),
                    )?;
                    set_parameters(model, &start, found.t, d)?;
                    (f, g, self.length) = (found.f, found.g, found.t);
                    evaluations += used;
                }
                LineSearch::Fixed => {
                    set_parameters(model, &start, self.length, d)?;
                    // The value at the last point would not be used.
                    if iteration != options.max_iter {
                        (f, g) = evaluate(model)?;
                        evaluations += 1;
                    }
                }
            }

            let moved = largest(d) * self.length.abs();
            if evaluations >= max_eval
                || largest(&g) <= options.tolerance_grad
                || moved <= options.tolerance_change
                || (f - previous_loss).abs() < options.tolerance_change
            {
                break;
            }
        }
        Ok(original)
    }

    /// Minus the gradient, times the remembered approximation of the inverse Hessian (the two-loop recursion).
    fn next_direction(&mut self, g: &[f64]) {
        if self.iterations == 1 {
            self.direction = g.iter().map(|x| -x).collect();
            self.history.clear();
            self.scale = 1.0;
            return;
        }
        let y: Vec<f64> = g
            .iter()
            .zip(&self.previous_grad)
            .map(|(new, old)| new - old)
            .collect();
        let s: Vec<f64> = self.direction.iter().map(|d| d * self.length).collect();
        let ys = dot(&y, &s);
        if ys > 1e-10 && self.options.history_size > 0 {
            if self.history.len() >= self.options.history_size {
                self.history.pop_front();
            }
            self.scale = ys / dot(&y, &y);
            self.history.push_back(Pair {
                y,
                s,
                rho: 1.0 / ys,
            });
        }
        let mut q: Vec<f64> = g.iter().map(|x| -x).collect();
        let mut alphas = Vec::with_capacity(self.history.len());
        for pair in self.history.iter().rev() {
            let alpha = dot(&pair.s, &q) * pair.rho;
            add_scaled(&mut q, -alpha, &pair.y);
            alphas.push(alpha);
        }
        for x in &mut q {
            *x *= self.scale;
        }
        for (pair, alpha) in self.history.iter().zip(alphas.iter().rev()) {
            let beta = dot(&pair.y, &q) * pair.rho;
            add_scaled(&mut q, alpha - beta, &pair.s);
        }
        self.direction = q;
    }

    /// What it remembers, as tensors; n is the number of parameters, k of remembered steps.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn state_dict(&self) -> Result<StateDict> {
        let (k, n) = (self.history.len(), self.direction.len());
        let rows = |row: fn(&Pair) -> &Vec<f64>| {
            Tensor::from_vec(
                self.history
                    .iter()
                    .flat_map(row)
                    .copied()
                    .collect::<Vec<f64>>(),
                [k, n],
            )
        };
        Ok(StateDict::from([
            ("d".into(), Tensor::from_slice(&self.direction, [n])?),
            ("t".into(), Tensor::full((), self.length, DType::F64)?),
            ("old_dirs".into(), rows(|pair| &pair.y)?),
            ("old_stps".into(), rows(|pair| &pair.s)?),
            (
                "ro".into(),
                Tensor::from_vec(
                    self.history
                        .iter()
                        .map(|pair| pair.rho)
                        .collect::<Vec<f64>>(),
                    [k],
                )?,
            ),
            ("H_diag".into(), Tensor::full((), self.scale, DType::F64)?),
            (
                "prev_flat_grad".into(),
                Tensor::from_slice(&self.previous_grad, [n])?,
            ),
            (
                "n_iter".into(),
                Tensor::full((), self.iterations as i64, DType::I64)?,
            ),
        ]))
    }

    /// Takes back what [`state_dict`](Self::state_dict) gave.
    ///
    /// # Errors
    /// When a tensor is missing, or their shapes do not fit together.
    pub fn load_state_dict(&mut self, state: &StateDict) -> Result<()> {
        let fail = |message: String| Error::value("LBFGS::load_state_dict", message);
        let get = |name: &str| {
            state
                .get(name)
                .ok_or_else(|| fail(format!("{name} is missing")))
        };
        let vector = |name: &str| get(name)?.to_dtype(DType::F64)?.to_vec::<f64>();
        let (direction, previous_grad, rho) =
            (vector("d")?, vector("prev_flat_grad")?, vector("ro")?);
        let (y, s) = (vector("old_dirs")?, vector("old_stps")?);
        let n = direction.len();
        if previous_grad.len() != n || y.len() != n * rho.len() || s.len() != n * rho.len() {
            return Err(fail(format!(
                "the sizes do not fit together: d has {n} elements, ro {}",
                rho.len()
            )));
        }
        let row = |data: &[f64], i: usize| data[i * n..(i + 1) * n].to_vec();
        self.history = rho
            .iter()
            .enumerate()
            .map(|(i, &rho)| Pair {
                y: row(&y, i),
                s: row(&s, i),
                rho,
            })
            .collect();
        self.length = get("t")?.to_f64()?;
        self.scale = get("H_diag")?.to_f64()?;
        self.iterations = u64::try_from(get("n_iter")?.to_scalar()?.to_i64())
            .map_err(|_| fail("n_iter is negative".into()))?;
        (self.direction, self.previous_grad) = (direction, previous_grad);
        Ok(())
    }
}

impl LbfgsOptions {
    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("tolerance_grad", self.tolerance_grad)?;
        not_negative("tolerance_change", self.tolerance_change)?;
        require(
            self.max_iter > 0,
            "max_iter",
            self.max_iter as f64,
            "1 or more",
        )
    }
}

/// All gradients, end to end; 0 where there is none. `sign` is -1 to climb.
fn flat_gradient<M: Module>(model: &M, loss: Var, sign: f64) -> Result<Vec<f64>> {
    let gradients = loss.backward_once()?;
    let mut flat = Vec::new();
    for (name, param) in model
        .named_parameters()
        .into_iter()
        .filter(|(_, param)| !param.is_frozen())
    {
        match gradients.get(param.var()) {
            Some(grad) => {
                let grad = grad
                    .to_dtype(DType::F64)
                    .map_err(|e| e.in_layer(name.as_str()))?;
                flat.extend(
                    grad.to_vec::<f64>()
                        .map_err(|e| e.in_layer(name))?
                        .into_iter()
                        .map(|g| sign * g),
                );
            }
            None => flat.resize(flat.len() + param.numel(), 0.0),
        }
    }
    Ok(flat)
}

/// All parameters that are not frozen, end to end.
fn flat_parameters<M: Module>(model: &M) -> Result<Vec<f64>> {
    let mut flat = Vec::new();
    for (_, param) in model
        .named_parameters()
        .into_iter()
        .filter(|(_, param)| !param.is_frozen())
    {
        flat.extend(param.data().to_dtype(DType::F64)?.to_vec::<f64>()?);
    }
    Ok(flat)
}

/// The parameters become `start + t d`.
fn set_parameters<M: Module>(model: &mut M, start: &[f64], t: f64, d: &[f64]) -> Result<()> {
    let mut at = 0;
    for (name, param) in model
        .named_parameters_mut()
        .into_iter()
        .filter(|(_, param)| !param.is_frozen())
    {
        let range = at..at + param.numel();
        at = range.end;
        let (Some(start), Some(d)) = (start.get(range.clone()), d.get(range)) else {
            return Err(
                Error::value("LBFGS", "the parameters changed during the step").in_layer(name),
            );
        };
        let values: Vec<f64> = start.iter().zip(d).map(|(x, d)| x + t * d).collect();
        param.set(Tensor::from_vec(values, param.shape())?.to_dtype(param.dtype())?)?;
    }
    Ok(())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |most, x| x.abs().max(most))
}

fn add_scaled(x: &mut [f64], scale: f64, y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += scale * y);
}
