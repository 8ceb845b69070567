//! One step of an optimiser as one fused pass over parameter, gradient and state.
//!
//! Formulas, their order and their defaults are PyTorch's (torch/optim/{sgd,adam,adamw,rmsprop,adagrad}.py, the
//! single-tensor path), so trajectories agree. Scalars are computed in `f64` and rounded once. Learning-rate schedules,
//! parameter groups and the step count belong to the caller.

use crate::elementwise::Real;
use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::{FloatElement, Result, error::check_len, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch};

/// Stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The learning rate.
    pub lr: f64,
    /// The decay of the velocity; 0 for none (then there is no state).
    pub momentum: f64,
    /// How much less of the gradient enters the velocity.
    pub dampening: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Nesterov's look-ahead.
    pub nesterov: bool,
    /// Go up instead of down.
    pub maximize: bool,
    /// Whether this is the first step: the velocity then becomes the gradient.
    pub first: bool,
}

/// Adam, and AdamW with `decoupled`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub lr: f64,
    /// The decay rates of the averages of the gradient and of its square.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub eps: f64,
    /// L2 penalty: added to the gradient, or taken from the parameter if `decoupled`.
    pub weight_decay: f64,
    /// AdamW's decoupled weight decay.
    pub decoupled: bool,
    /// Go up instead of down.
    pub maximize: bool,
    /// The number of this step, from 1.
    pub step: u64,
}

/// RMSprop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// The learning rate.
    pub lr: f64,
    /// The decay of the averages.
    pub alpha: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// The decay of the velocity; 0 for none.
    pub momentum: f64,
    /// Go up instead of down.
    pub maximize: bool,
}

/// Adagrad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// The learning rate.
    pub lr: f64,
    /// How the learning rate falls: lr / (1 + (step − 1)·lr_decay).
    pub lr_decay: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Go up instead of down.
    pub maximize: bool,
    /// The number of this step, from 1.
    pub step: u64,
}

/// The sum of the squares, added up in f64: the norm that gradients are clipped by. One pass, 4 bytes a number.
#[inline(never)]
pub fn sum_of_squares<T: FloatElement>(x: &[T]) -> f64 {
    // Chunks of a fixed size, each in a fixed tree of lanes, added in order: the same for any number of threads.
    let parts = crate::parallel::map(x.len().div_ceil(GRAIN), |i| {
        let chunk = &x[i * GRAIN..x.len().min((i + 1) * GRAIN)];
        let mut lanes = [0.0f64; 16];
        for group in chunk.chunks(lanes.len()) {
            for (lane, x) in lanes.iter_mut().zip(group) {
                let x = x.cast::<f64>();
                *lane += x * x;
            }
        }
        lanes.iter().sum::<f64>()
    });
    parts.iter().sum()
}

/// A rule for one vector of each slice: slice 0 is the parameter, the others the state; the gradient comes apart.
trait Rule<const K: usize>: Copy + Sync {
    fn step<S: Isa, T: Float>(self, isa: S, grad: T::V<S>, state: [T::V<S>; K]) -> [T::V<S>; K];
}

/// Elements that are asked for ahead of their use: 512 bytes of `f32`.
const AHEAD: usize = 128;

struct Fused<'a, R, T, const K: usize> {
    rule: R,
    grad: &'a [T],
    state: [*mut T; K],
}

impl<R: Rule<K>, T: Float, const K: usize> Kernel for Fused<'_, R, T, K> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let zero = T::ZERO;
        lanes::for_each::<S, T>(
            self.grad.len(),
            #[inline(always)]
            |i, m| {
                // SAFETY: `i + m` is at most the length of the gradient, and so is each state's (`fused`).
                unsafe {
                    // Four or five streams are more than the processor follows by itself; asking ahead is a sixth faster.
                    isa.prefetch(self.grad.as_ptr().wrapping_add(i + AHEAD));
                    for p in self.state {
                        isa.prefetch(p.cast_const().wrapping_add(i + AHEAD));
                    }
                    let grad = lanes::load::<S, T>(isa, self.grad.as_ptr().add(i), m, zero);
                    let mut vectors = [grad; K];
                    for (v, p) in vectors.iter_mut().zip(self.state) {
                        *v = lanes::load::<S, T>(isa, p.add(i), m, zero);
                    }
                    let vectors = self.rule.step::<S, T>(isa, grad, vectors);
                    for (v, p) in vectors.into_iter().zip(self.state) {
                        lanes::store::<S, T>(v, p.add(i), m);
                    }
                }
            },
        );
    }
}

/// Runs the rule over all elements, in parallel.
fn fused<R: Rule<K>, T: Real, const K: usize>(
    op: &'static str,
    rule: R,
    grad: &[T],
    state: [&mut [T]; K],
) -> Result<()> {
    for s in &state {
        check_len(op, "the parameter or a state", s.len(), grad.len())?;
    }
    let state = state.map(SharedMut::new);
    for_each_chunk(grad.len(), GRAIN, |range| {
        // SAFETY: the ranges of different chunks do not overlap.
        let parts = std::array::from_fn(|k| unsafe { state[k].slice(range.clone()) }.as_mut_ptr());
        dispatch(Fused {
            rule,
            grad: &grad[range],
            state: parts,
        });
    });
    Ok(())
}

/// The constant in every lane.
#[inline(always)]
fn c<S: Isa, T: Float>(isa: S, x: f64) -> T::V<S> {
    T::V::<S>::splat(isa, T::from_f64(x))
}

/// The gradient with its sign and the L2 penalty.
#[inline(always)]
fn penalised<S: Isa, T: Float>(
    isa: S,
    grad: T::V<S>,
    p: T::V<S>,
    maximize: bool,
    decay: f64,
) -> T::V<S> {
    let grad = if maximize { -grad } else { grad };
    if decay == 0.0 {
        grad
    } else {
        c::<S, T>(isa, decay).mul_add(p, grad)
    }
}

#[derive(Clone, Copy)]
struct SgdRule(Sgd);

impl Rule<1> for SgdRule {
    #[inline(always)]
    fn step<S: Isa, T: Float>(self, isa: S, grad: T::V<S>, [p]: [T::V<S>; 1]) -> [T::V<S>; 1] {
        let g = penalised::<S, T>(isa, grad, p, self.0.maximize, self.0.weight_decay);
        [c::<S, T>(isa, self.0.lr).neg_mul_add(g, p)]
    }
}

impl Rule<2> for SgdRule {
    #[inline(always)]
    fn step<S: Isa, T: Float>(
        self,
        isa: S,
        grad: T::V<S>,
        [p, velocity]: [T::V<S>; 2],
    ) -> [T::V<S>; 2] {
        let o = self.0;
        let g = penalised::<S, T>(isa, grad, p, o.maximize, o.weight_decay);
        let momentum = c::<S, T>(isa, o.momentum);
        let velocity = if o.first {
            g
        } else {
            momentum.mul_add(velocity, c::<S, T>(isa, 1.0 - o.dampening) * g)
        };
        let g = if o.nesterov {
            momentum.mul_add(velocity, g)
        } else {
            velocity
        };
        [c::<S, T>(isa, o.lr).neg_mul_add(g, p), velocity]
    }
}

/// One step of SGD. `velocity` is the momentum's state, needed if `momentum` is not 0.
///
/// # Errors
/// If the slices are not equally long, or momentum has no state.
#[inline(never)]
pub fn sgd<T: Real>(
    options: Sgd,
    param: &mut [T],
    grad: &[T],
    velocity: Option<&mut [T]>,
) -> Result<()> {
    match velocity {
        Some(velocity) if options.momentum != 0.0 => {
            fused::<_, _, 2>("sgd", SgdRule(options), grad, [param, velocity])
        }
        None if options.momentum != 0.0 => {
            Err(crate::Error::shape("sgd", "momentum needs a velocity"))
        }
        _ => fused::<_, _, 1>("sgd", SgdRule(options), grad, [param]),
    }
}

#[derive(Clone, Copy)]
struct AdamRule {
    options: Adam,
    step_size: f64,
    root_correction: f64,
}

impl AdamRule {
    fn new(options: Adam) -> Self {
        let step = options.step.max(1) as f64;
        let correction = 1.0 - options.betas.0.powf(step);
        Self {
            options,
            step_size: options.lr / correction,
            root_correction: (1.0 - options.betas.1.powf(step)).sqrt(),
        }
    }

    /// The parameter and the averages after the step; `top` makes the square's average what stands in the denominator.
    #[inline(always)]
    fn update<S: Isa, T: Float>(
        self,
        isa: S,
        grad: T::V<S>,
        [p, m, v]: [T::V<S>; 3],
        top: impl Fn(T::V<S>) -> T::V<S>,
    ) -> [T::V<S>; 4] {
        let o = self.options;
        let (b1, b2) = o.betas;
        let g = penalised::<S, T>(
            isa,
            grad,
            p,
            o.maximize,
            if o.decoupled { 0.0 } else { o.weight_decay },
        );
        let p = if o.decoupled {
            p * c::<S, T>(isa, 1.0 - o.lr * o.weight_decay)
        } else {
            p
        };
        let m = c::<S, T>(isa, 1.0 - b1).mul_add(g - m, m);
        let v = (c::<S, T>(isa, 1.0 - b2) * g).mul_add(g, c::<S, T>(isa, b2) * v);
        let top = top(v);
        let denominator = top.sqrt() / c::<S, T>(isa, self.root_correction) + c::<S, T>(isa, o.eps);
        [
            c::<S, T>(isa, self.step_size).neg_mul_add(m / denominator, p),
            m,
            v,
            top,
        ]
    }
}

impl Rule<3> for AdamRule {
    #[inline(always)]
    fn step<S: Isa, T: Float>(self, isa: S, grad: T::V<S>, state: [T::V<S>; 3]) -> [T::V<S>; 3] {
        let [p, m, v, _] = self.update::<S, T>(isa, grad, state, |v| v);
        [p, m, v]
    }
}

impl Rule<4> for AdamRule {
    #[inline(always)]
    fn step<S: Isa, T: Float>(
        self,
        isa: S,
        grad: T::V<S>,
        [p, m, v, top]: [T::V<S>; 4],
    ) -> [T::V<S>; 4] {
        self.update::<S, T>(isa, grad, [p, m, v], |v| v.max(top))
    }
}

/// One step of Adam or AdamW: `exp_avg` and `exp_avg_sq` are the averages of the gradient and of its square, `max` the
/// largest of the latter so far (AMSGrad) if it is given.
///
/// # Errors
/// If the slices are not equally long.
///
/// ```
/// use gradus_cpu::optim::{Adam, adam};
/// let options = Adam { lr: 0.1, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, decoupled: false, maximize: false, step: 1 };
/// let (mut p, mut m, mut v) = ([1.0f64], [0.0], [0.0]);
/// adam(options, &mut p, &[3.0], &mut m, &mut v, None)?;
/// assert!((p[0] - 0.9).abs() < 1e-8); // the first step has the length of the learning rate
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
#[inline(never)]
pub fn adam<T: Real>(
    options: Adam,
    param: &mut [T],
    grad: &[T],
    exp_avg: &mut [T],
    exp_avg_sq: &mut [T],
    max: Option<&mut [T]>,
) -> Result<()> {
    let rule = AdamRule::new(options);
    match max {
        Some(max) => fused::<_, _, 4>("adam", rule, grad, [param, exp_avg, exp_avg_sq, max]),
        None => fused::<_, _, 3>("adam", rule, grad, [param, exp_avg, exp_avg_sq]),
    }
}

/// The parameter, then the average of the square, its velocity and the average, as far as they are there.
#[derive(Clone, Copy)]
struct RmsPropRule(RmsProp);

impl RmsPropRule {
    #[inline(always)]
    fn update<S: Isa, T: Float>(
        self,
        isa: S,
        grad: T::V<S>,
        p: T::V<S>,
        square: T::V<S>,
        velocity: Option<T::V<S>>,
        average: Option<T::V<S>>,
    ) -> [T::V<S>; 4] {
        let o = self.0;
        let g = penalised::<S, T>(isa, grad, p, o.maximize, o.weight_decay);
        let rest = c::<S, T>(isa, 1.0 - o.alpha);
        let square = (rest * g).mul_add(g, c::<S, T>(isa, o.alpha) * square);
        let average = average.map(|a| rest.mul_add(g - a, a));
        let variance = average.map_or(square, |a| a.neg_mul_add(a, square));
        let step = g / (variance.sqrt() + c::<S, T>(isa, o.eps));
        let velocity = velocity.map(|v| c::<S, T>(isa, o.momentum).mul_add(v, step));
        let p = c::<S, T>(isa, o.lr).neg_mul_add(velocity.unwrap_or(step), p);
        [p, square, velocity.unwrap_or(step), average.unwrap_or(step)]
    }
}

impl Rule<2> for RmsPropRule {
    #[inline(always)]
    fn step<S: Isa, T: Float>(self, isa: S, grad: T::V<S>, [p, s]: [T::V<S>; 2]) -> [T::V<S>; 2] {
        let [p, s, ..] = self.update::<S, T>(isa, grad, p, s, None, None);
        [p, s]
    }
}

impl Rule<3> for RmsPropRule {
    #[inline(always)]
    fn step<S: Isa, T: Float>(
        self,
        isa: S,
        grad: T::V<S>,
        [p, s, v]: [T::V<S>; 3],
    ) -> [T::V<S>; 3] {
        let [p, s, v, _] = self.update::<S, T>(isa, grad, p, s, Some(v), None);
        [p, s, v]
    }
}

impl Rule<4> for RmsPropRule {
    #[inline(always)]
    fn step<S: Isa, T: Float>(
        self,
        isa: S,
        grad: T::V<S>,
        [p, s, v, a]: [T::V<S>; 4],
    ) -> [T::V<S>; 4] {
        self.update::<S, T>(isa, grad, p, s, Some(v), Some(a))
    }
}

/// One step of RMSprop: `square_avg` the average of the gradient's square, `velocity` the momentum's state,
/// `grad_avg` the gradient's average if the variance is centred. (Centred without momentum, give a velocity and
/// momentum 0.)
///
/// # Errors
/// If the slices are not equally long, or momentum or centring lack their state.
#[inline(never)]
pub fn rmsprop<T: Real>(
    options: RmsProp,
    param: &mut [T],
    grad: &[T],
    square_avg: &mut [T],
    velocity: Option<&mut [T]>,
    grad_avg: Option<&mut [T]>,
) -> Result<()> {
    let rule = RmsPropRule(options);
    match (velocity, grad_avg) {
        (None, _) if options.momentum != 0.0 => {
            Err(crate::Error::shape("rmsprop", "momentum needs a velocity"))
        }
        (None, None) => fused::<_, _, 2>("rmsprop", rule, grad, [param, square_avg]),
        (Some(v), None) => fused::<_, _, 3>("rmsprop", rule, grad, [param, square_avg, v]),
        (Some(v), Some(a)) => fused::<_, _, 4>("rmsprop", rule, grad, [param, square_avg, v, a]),
        (None, Some(a)) => {
            let mut velocity = vec![T::default(); param.len()];
            fused::<_, _, 4>("rmsprop", rule, grad, [param, square_avg, &mut velocity, a])
        }
    }
}

#[derive(Clone, Copy)]
struct AdagradRule(Adagrad);

impl Rule<2> for AdagradRule {
    #[inline(always)]
    fn step<S: Isa, T: Float>(self, isa: S, grad: T::V<S>, [p, sum]: [T::V<S>; 2]) -> [T::V<S>; 2] {
        let o = self.0;
        let g = penalised::<S, T>(isa, grad, p, o.maximize, o.weight_decay);
        let sum = g.mul_add(g, sum);
        let lr = o.lr / (1.0 + (o.step.max(1) - 1) as f64 * o.lr_decay);
        let step = g / (sum.sqrt() + c::<S, T>(isa, o.eps));
        [c::<S, T>(isa, lr).neg_mul_add(step, p), sum]
    }
}

/// One step of Adagrad: `sum` is the sum of the gradient's squares.
///
/// # Errors
/// If the slices are not equally long.
#[inline(never)]
pub fn adagrad<T: Real>(
    options: Adagrad,
    param: &mut [T],
    grad: &[T],
    sum: &mut [T],
) -> Result<()> {
    fused::<_, _, 2>("adagrad", AdagradRule(options), grad, [param, sum])
}
