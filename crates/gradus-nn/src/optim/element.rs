//! One fused pass over a parameter, its gradient and its state: the update of an algorithm is written once, for one element,
//! and runs in f32 and f64. It is not parallel and knows no instruction set; the loop is plain enough for the compiler.
//! SGD, Adam, RMSprop and Adagrad do not come here: they have kernels of their own in `gradus_tensor::optim`.

use std::ops::{Add, Div, Mul, Neg, Sub};

use gradus_tensor::{DType, Device, Element, Error, Result, Tensor};

/// f32 or f64, with what the updates need.
pub(super) trait Real:
    Element
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + PartialOrd
{
    fn of(x: f64) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;

    /// The larger; NaN if either is (`torch.maximum`).
    fn maximum(self, other: Self) -> Self {
        if self > other || self.partial_cmp(&self).is_none() {
            self
        } else {
            other
        }
    }

    /// `self + (to - self) * t`.
    fn lerp(self, to: Self, t: f64) -> Self {
        self + (to - self) * Self::of(t)
    }
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as Self
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn abs(self) -> Self {
        self.abs()
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn abs(self) -> Self {
        self.abs()
    }
}

/// The update of one element with `N` numbers of state: new parameter, new state.
pub(super) trait Update<const N: usize> {
    fn update<T: Real>(&self, param: T, grad: T, state: [T; N]) -> (T, [T; N]);
}

/// Runs the update over every element. `param`, `grad` and `slots` have one shape and one dtype, f32 or f64.
pub(super) fn fused<const N: usize>(
    param: &mut Tensor,
    grad: &Tensor,
    slots: &mut [Tensor],
    update: &impl Update<N>,
) -> Result<()> {
    match param.dtype() {
        DType::F64 => fused_as::<f64, N>(param, grad, slots, update),
        _ => fused_as::<f32, N>(param, grad, slots, update),
    }
}

fn fused_as<T: Real, const N: usize>(
    param: &mut Tensor,
    grad: &Tensor,
    slots: &mut [Tensor],
    update: &impl Update<N>,
) -> Result<()> {
    if param.device() != Device::Cpu {
        let message = format!(
            "it has no kernel for {}; there are SGD and Adam(W), or move the model to the CPU",
            param.device()
        );
        return Err(Error::device("optimizer", message));
    }
    let grad = grad.contiguous()?;
    let Some(g) = grad.as_slice::<T>() else {
        return Err(Error::dtype("optimizer", "the gradient has another dtype"));
    };
    if slots.len() != N {
        return Err(wrong_state("optimizer", slots.len()));
    }
    // Copies whatever is shared (a graph that is still alive, a state dict in hand), so that all can be written together.
    param.with_mut_slice::<T, _>(|_| ())?;
    for slot in slots.iter_mut() {
        slot.with_mut_slice::<T, _>(|_| ())?;
    }
    let shared = || Error::memory("optimizer", "a tensor to be written is shared");
    let p = param.as_mut_slice::<T>().ok_or_else(shared)?;
    let mut rest = slots.iter_mut();
    let mut state: [&mut [T]; N] = std::array::from_fn(|_| Default::default());
    for slice in &mut state {
        *slice = rest
            .next()
            .and_then(Tensor::as_mut_slice::<T>)
            .ok_or_else(shared)?;
    }
    // One length for all lets the compiler drop the bounds checks and use vectors.
    let n = p.len();
    if g.len() != n || state.iter().any(|s| s.len() != n) {
        return Err(Error::shape(
            "optimizer",
            "parameter, gradient and state differ in size",
        ));
    }
    let (p, g) = (&mut p[..n], &g[..n]);
    for slice in &mut state {
        let whole = std::mem::take(slice);
        *slice = &mut whole[..n];
    }
    for i in 0..n {
        let old: [T; N] = std::array::from_fn(|k| state[k][i]);
        let (new, kept) = update.update(p[i], g[i], old);
        p[i] = new;
        for k in 0..N {
            state[k][i] = kept[k];
        }
    }
    Ok(())
}

/// For `Rule::check`: `ok`, or the name of the option with what it must be.
pub(super) fn require(ok: bool, name: &str, value: f64, wanted: &str) -> Result<(), String> {
    if ok {
        Ok(())
    } else {
        Err(format!("{name} is {value}, and must be {wanted}"))
    }
}

/// For `Rule::check`: a finite number, 0 or more.
pub(super) fn not_negative(name: &str, value: f64) -> Result<(), String> {
    require(
        value >= 0.0 && value.is_finite(),
        name,
        value,
        "a finite number, 0 or more",
    )
}

/// For `Rule::check`: from 0 up to, not including, 1.
pub(super) fn below_one(name: &str, value: f64) -> Result<(), String> {
    require((0.0..1.0).contains(&value), name, value, "in [0, 1)")
}

/// For `Rule::update`: a state that is not one of this algorithm's.
pub(super) fn wrong_state(name: &'static str, slots: usize) -> Error {
    Error::value(
        name,
        format!("a state of {slots} tensors is not one it keeps; load a state that fits"),
    )
}
