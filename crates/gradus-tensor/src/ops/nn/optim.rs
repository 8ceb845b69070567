//! One step of an optimiser on one parameter, in one pass over memory: PyTorch's rules.
//!
//! Parameter and state are changed in place when nobody else holds their memory, else copied first. A 16-bit parameter is
//! stepped in f32 and rounded once; its state may (and should) be f32. Which state a rule needs, and when, is the
//! business of `gradus-nn`.

use gradus_cpu::optim;
pub use gradus_cpu::optim::{Adagrad, Adam, RmsProp, Sgd};

pub use super::clip::{clip_norm_of_all, norm_of_all, sum_of_squares};

use super::{dispatch_native, is_half, same_float, wide};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Runs `step` on parameter, gradient and state that agree in shape and are f32 or f64, all exclusive and contiguous.
fn stepped(
    op: &'static str,
    param: &mut Tensor,
    grad: &Tensor,
    state: &mut [Option<&mut Tensor>],
    step: impl FnOnce(DType, &mut Tensor, &Tensor, &mut [Option<&mut Tensor>]) -> Result<()>,
) -> Result<()> {
    same_float(op, &[("the parameter", param), ("the gradient", grad)])?;
    let shapes = std::iter::once(grad.shape()).chain(state.iter().flatten().map(|s| s.shape()));
    if let Some(other) = shapes.into_iter().find(|s| *s != param.shape()) {
        return Err(Error::shape(
            op,
            format!(
                "the parameter has shape {} but its gradient or state {other}",
                param.shape()
            ),
        ));
    }
    let dtype = param.dtype();
    if is_half(dtype) {
        let mut p = wide(param)?;
        let mut own: Vec<Option<(Tensor, DType)>> = Vec::new();
        for s in state.iter() {
            own.push(
                s.as_ref()
                    .map(|s| Ok::<_, Error>((wide(s)?, s.dtype())))
                    .transpose()?,
            );
        }
        let mut refs: Vec<Option<&mut Tensor>> = own
            .iter_mut()
            .map(|s| s.as_mut().map(|s| &mut s.0))
            .collect();
        step(DType::F32, &mut p, &wide(grad)?, &mut refs)?;
        *param = p.to_dtype(dtype)?;
        for (s, own) in state.iter_mut().zip(own) {
            if let (Some(s), Some((value, dtype))) = (s, own) {
                **s = value.to_dtype(dtype)?;
            }
        }
        return Ok(());
    }
    if let Some(s) = state.iter().flatten().find(|s| s.dtype() != dtype) {
        return Err(Error::dtype(
            op,
            format!("the parameter is {dtype} but its state {}", s.dtype()),
        ));
    }
    step(dtype, param, &grad.contiguous()?, state)
}

/// A rule with its numbers: what all parameters of a group share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// [`sgd`]; its state is the velocity.
    Sgd(Sgd),
    /// [`adam`]; its state are the averages of the gradient and of its square, and for AMSGrad the largest of these.
    Adam(Adam),
    /// [`rmsprop`]; its state are the average of squares, the velocity, the average of the gradient.
    RmsProp(RmsProp),
    /// [`adagrad`]; its state is the sum of squares.
    Adagrad(Adagrad),
}

impl Rule {
    /// The name of its function.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "sgd",
            Self::Adam(_) => "adam",
            Self::RmsProp(_) => "rmsprop",
            Self::Adagrad(_) => "adagrad",
        }
    }
}

/// A parameter with its gradient and the state its rule keeps, in the rule's order.
#[derive(Debug)]
pub struct Step<'a> {
    /// The parameter.
    pub param: &'a mut Tensor,
    /// Its gradient.
    pub grad: &'a Tensor,
    /// Its state.
    pub state: [Option<&'a mut Tensor>; 3],
}

/// What a GPU keeps from one step of a group to the next: the list of where its tensors lie.
#[derive(Debug, Default)]
pub struct Kept {
    #[cfg(feature = "cuda")]
    list: gradus_cuda::ops::optim::Kept,
}

impl Kept {
    /// Gives a step that was recorded with this the numbers of its next replay: the rate, Adam's corrections. The rest of the rule is as
    /// it was recorded.
    ///
    /// ```
    /// use gradus_tensor::optim::{Kept, Rule, Sgd};
    /// let rule = Rule::Sgd(Sgd { lr: 0.5, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false, first: true });
    /// assert!(Kept::default().renumber(&rule).is_err()); // nothing was recorded
    /// ```
    ///
    /// # Errors
    /// When no step was recorded with it into a [`CudaGraph`](crate::CudaGraph).
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn renumber(&mut self, rule: &Rule) -> Result<()> {
        #[cfg(feature = "cuda")]
        return crate::cuda::optim::renumber(rule, &mut self.list);
        #[cfg(not(feature = "cuda"))]
        Err(Error::device("Kept::renumber", "no step was recorded"))
    }
}

/// One step of a rule for several parameters of one shape of state: in one launch where they are f32 and on one GPU, else one after the other.
///
/// ```
/// use gradus_tensor::{Tensor, optim::{Kept, Rule, Sgd, Step, step_all}};
/// let options = Sgd { lr: 0.5, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false, first: true };
/// let (mut a, mut b) = (Tensor::from_slice(&[1f32], 1)?, Tensor::from_slice(&[2f32, 3.0], 2)?);
/// let (da, db) = (Tensor::from_slice(&[2f32], 1)?, Tensor::from_slice(&[2f32, 4.0], 2)?);
/// let mut steps = [
///     Step { param: &mut a, grad: &da, state: [None, None, None] },
///     Step { param: &mut b, grad: &db, state: [None, None, None] },
/// ];
/// step_all(&Rule::Sgd(options), &mut steps, &mut Kept::default())?;
/// assert_eq!((a.to_vec::<f32>()?, b.to_vec::<f32>()?), (vec![0.0], vec![1.0, 1.0]));
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Shapes or dtypes differ, or a state is missing.
#[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
pub fn step_all(rule: &Rule, steps: &mut [Step<'_>], kept: &mut Kept) -> Result<()> {
    #[cfg(feature = "cuda")]
    if steps
        .iter()
        .all(|s| s.param.is_cuda() && s.param.dtype() == DType::F32)
        && !steps.is_empty()
    {
        for s in steps.iter() {
            let shapes = s.state.iter().flatten().map(|s| s.shape());
            if let Some(other) = shapes
                .chain([s.grad.shape()])
                .find(|&x| x != s.param.shape())
            {
                let message = format!(
                    "the parameter has shape {} but its gradient or state {other}",
                    s.param.shape()
                );
                return Err(Error::shape(rule.name(), message));
            }
        }
        return crate::cuda::optim::all(rule, steps, &mut kept.list);
    }
    for Step { param, grad, state } in steps.iter_mut() {
        let [first, second, third] = state.each_mut().map(|s| s.as_mut().map(|s| &mut **s));
        match (*rule, first, second) {
            (Rule::Sgd(o), first, _) => sgd(o, param, grad, first)?,
            (Rule::Adam(o), Some(mean), Some(square)) => adam(o, param, grad, mean, square, third)?,
            (Rule::RmsProp(o), Some(square), velocity) => {
                rmsprop(o, param, grad, square, velocity, third)?;
            }
            (Rule::Adagrad(o), Some(sum), _) => adagrad(o, param, grad, sum)?,
            _ => return Err(Error::memory(rule.name(), "a state is missing")),
        }
    }
    Ok(())
}

/// One parameter's step on a GPU.
#[cfg(feature = "cuda")]
fn on_gpu(
    rule: Rule,
    param: &mut Tensor,
    grad: &Tensor,
    state: &mut [Option<&mut Tensor>],
) -> Result<()> {
    let mut state = state.iter_mut().map(|s| s.as_mut().map(|s| &mut **s));
    let mut next = || state.next().flatten();
    let state = [next(), next(), next()];
    let mut kept = Kept::default();
    crate::cuda::optim::all(&rule, &mut [Step { param, grad, state }], &mut kept.list)
}

/// The elements of each state, to write.
macro_rules! slices {
    ($op:expr, $T:ident, $state:expr) => {{
        for s in $state.iter_mut().flatten() {
            if !s.is_exclusive() {
                **s = s.copy()?;
            }
        }
        $state
            .iter_mut()
            .map(|s| s.as_mut().and_then(|s| s.as_mut_slice::<$T>()))
    }};
}

/// A step of SGD, with the velocity where there is momentum.
///
/// ```
/// use gradus_tensor::{Tensor, optim::{Sgd, sgd}};
/// let mut w = Tensor::from_slice(&[1f32, 2.0], 2)?;
/// let grad = Tensor::from_slice(&[10f32, -10.0], 2)?;
/// let options = Sgd { lr: 0.5, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false, first: true };
/// sgd(options, &mut w, &grad, None)?;
/// assert_eq!(w.to_vec::<f32>()?, [-4.0, 7.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Shapes or dtypes differ, or momentum has no state.
pub fn sgd(
    options: Sgd,
    param: &mut Tensor,
    grad: &Tensor,
    velocity: Option<&mut Tensor>,
) -> Result<()> {
    let op = "sgd";
    stepped(
        op,
        param,
        grad,
        &mut [velocity],
        |dtype, param, grad, state| {
            on_cuda!([param, grad] => on_gpu(Rule::Sgd(options), param, grad, state));
            dispatch_native!(op, dtype, T => {
                let mut s = slices!(op, T, state);
                let velocity = s.next().flatten();
                Ok(param.with_mut_slice::<T, _>(|p| optim::sgd(options, p, grad.data::<T>(op)?, velocity).map_err(Error::from))??)
            })
        },
    )
}

/// A step of Adam or AdamW, with `max` for AMSGrad.
///
/// ```
/// use gradus_tensor::{Tensor, optim::{Adam, adam}};
/// let mut w = Tensor::from_slice(&[1.0, 2.0], 2)?;
/// let grad = Tensor::from_slice(&[10.0, -0.1], 2)?;
/// let (mut mean, mut square) = (w.zeros_like()?, w.zeros_like()?);
/// let options = Adam { lr: 0.5, betas: (0.9, 0.999), eps: 0.0, weight_decay: 0.0, decoupled: false, maximize: false, step: 1 };
/// adam(options, &mut w, &grad, &mut mean, &mut square, None)?;
/// let expected = Tensor::from_slice(&[0.5, 2.5], 2)?; // the first step is lr, whatever the gradient
/// assert!(w.allclose(&expected, 1e-9, 1e-9, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Shapes or dtypes differ.
pub fn adam(
    options: Adam,
    param: &mut Tensor,
    grad: &Tensor,
    exp_avg: &mut Tensor,
    exp_avg_sq: &mut Tensor,
    max: Option<&mut Tensor>,
) -> Result<()> {
    let op = "adam";
    stepped(
        op,
        param,
        grad,
        &mut [Some(exp_avg), Some(exp_avg_sq), max],
        |dtype, param, grad, state| {
            on_cuda!([param, grad] => on_gpu(Rule::Adam(options), param, grad, state));
            dispatch_native!(op, dtype, T => {
                let mut s = slices!(op, T, state);
                let (Some(Some(m)), Some(Some(v)), max) = (s.next(), s.next(), s.next().flatten()) else {
                    return Err(Error::memory(op, "the state is shared"));
                };
                Ok(param.with_mut_slice::<T, _>(|p| optim::adam(options, p, grad.data::<T>(op)?, m, v, max).map_err(Error::from))??)
            })
        },
    )
}

/// A step of RMSprop, with the velocity where there is momentum and `grad_avg` where it is centered.
///
/// ```
/// use gradus_tensor::{Tensor, optim::{RmsProp, rmsprop}};
/// let mut w = Tensor::from_slice(&[1.0], 1)?;
/// let (grad, mut square) = (Tensor::from_slice(&[4.0], 1)?, w.zeros_like()?);
/// let options = RmsProp { lr: 0.5, alpha: 0.75, eps: 0.0, weight_decay: 0.0, momentum: 0.0, maximize: false };
/// rmsprop(options, &mut w, &grad, &mut square, None, None)?;
/// assert_eq!(w.to_vec::<f64>()?, [0.0]); // 1 - 0.5 · 4 / √(0.25 · 16)
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Shapes or dtypes differ, or momentum has no state.
pub fn rmsprop(
    options: RmsProp,
    param: &mut Tensor,
    grad: &Tensor,
    square_avg: &mut Tensor,
    velocity: Option<&mut Tensor>,
    grad_avg: Option<&mut Tensor>,
) -> Result<()> {
    let op = "rmsprop";
    stepped(
        op,
        param,
        grad,
        &mut [Some(square_avg), velocity, grad_avg],
        |dtype, param, grad, state| {
            on_cuda!([param, grad] => on_gpu(Rule::RmsProp(options), param, grad, state));
            dispatch_native!(op, dtype, T => {
                let mut s = slices!(op, T, state);
                let (Some(Some(avg)), velocity, grad_avg) = (s.next(), s.next().flatten(), s.next().flatten()) else {
                    return Err(Error::memory(op, "the state is shared"));
                };
                Ok(param.with_mut_slice::<T, _>(|p| optim::rmsprop(options, p, grad.data::<T>(op)?, avg, velocity, grad_avg).map_err(Error::from))??)
            })
        },
    )
}

/// A step of Adagrad.
///
/// ```
/// use gradus_tensor::{Tensor, optim::{Adagrad, adagrad}};
/// let mut w = Tensor::from_slice(&[1.0], 1)?;
/// let (grad, mut sum) = (Tensor::from_slice(&[4.0], 1)?, w.zeros_like()?);
/// let options = Adagrad { lr: 0.5, lr_decay: 0.0, weight_decay: 0.0, eps: 0.0, maximize: false, step: 1 };
/// adagrad(options, &mut w, &grad, &mut sum)?;
/// assert_eq!(w.to_vec::<f64>()?, [0.5]); // 1 - 0.5 · 4 / √16
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Shapes or dtypes differ.
pub fn adagrad(
    options: Adagrad,
    param: &mut Tensor,
    grad: &Tensor,
    sum: &mut Tensor,
) -> Result<()> {
    let op = "adagrad";
    stepped(
        op,
        param,
        grad,
        &mut [Some(sum)],
        |dtype, param, grad, state| {
            on_cuda!([param, grad] => on_gpu(Rule::Adagrad(options), param, grad, state));
            dispatch_native!(op, dtype, T => {
                let mut s = slices!(op, T, state);
                let Some(Some(sum)) = s.next() else {
                    return Err(Error::memory(op, "the state is shared"));
                };
                Ok(param.with_mut_slice::<T, _>(|p| optim::adagrad(options, p, grad.data::<T>(op)?, sum).map_err(Error::from))??)
            })
        },
    )
}
