//! Whole sequences of LSTM and GRU cells as one operation each, instead of a graph of T cells.
//!
//! Both take what the input gives to the gates, (T, B, G·H), which one `linear` makes for all steps, and give the states of all steps.
//! Gradients that are to be differentiated again come from the cells composed of other operations, and so does everything on a GPU.

use gradus_tensor::{DType, Device, Result};

use crate::op::Op;
use crate::recompute::recompute;
use crate::var::Var;

/// An LSTM over a sequence, gates in the order i f g o: gates (T, B, 4H), biases included, weight (4H, H), states (B, H); gives h
/// and c of every step, (T, 2, B, H).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::{DType, Tensor};
/// let gates = Var::from(Tensor::zeros([3, 1, 4], DType::F64)?);
/// let (weight, h0) = (Var::from(Tensor::zeros([4, 1], DType::F64)?), Var::from(Tensor::zeros([1, 1], DType::F64)?));
/// let states = F::lstm_sequence(&gates, &weight, &h0, &Var::from(Tensor::ones([1, 1], DType::F64)?))?;
/// assert_eq!(states.select(1, 1)?.value().to_vec::<f64>()?, [0.5, 0.25, 0.125]); // the cell
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes or dtypes do not fit.
pub fn lstm_sequence(gates: &Var, weight: &Var, h0: &Var, c0: &Var) -> Result<Var> {
    if !is_native(&[gates, weight, h0, c0]) {
        return lstm_composed(gates, weight, h0, c0);
    }
    let forward = gates
        .value()
        .lstm_sequence(weight.value(), h0.value(), c0.value())?;
    let y = gradus_tensor::Tensor::stack(&[&forward.h, &forward.c], 1)?; // (T, 2, B, H)
    Op::new("lstm_sequence")
        .inputs(&[gates, weight, h0, c0])
        .saves(0)
        .saves(1)
        .saves(2)
        .saves(3)
        .record(y, move |ctx, dy| {
            if ctx.create_graph() {
                return recompute(ctx, dy, &[], |v| lstm_composed(&v[0], &v[1], &v[2], &v[3]));
            }
            let [weight, h0, c0] = [ctx.input(1)?, ctx.input(2)?, ctx.input(3)?].map(Var::value);
            let dy = dy.value();
            let (dh, dc) = (dy.select(1, 0)?, dy.select(1, 1)?);
            let grads = dh.lstm_sequence_backward(&dc, weight, (h0, c0), &forward)?;
            Ok(grads.map(|g| Some(Var::from(g))).into())
        })
}

/// The kernels are the CPU's, and take one dtype, f32 or f64, and something to work on.
fn is_native(inputs: &[&Var]) -> bool {
    let dtype = inputs[0].dtype();
    let fits = |v: &&Var| v.dtype() == dtype && v.numel() > 0 && v.value().device() == Device::Cpu;
    matches!(dtype, DType::F32 | DType::F64) && inputs.iter().all(fits)
}

fn lstm_composed(gates: &Var, weight: &Var, h0: &Var, c0: &Var) -> Result<Var> {
    let (mut h, mut c) = (h0.clone(), c0.clone());
    let mut states = Vec::new();
    for x in gates.unbind(0)? {
        let all = x.add(&h.linear(weight, None)?)?.chunk(4, -1)?; // 4 of (B, H)
        let (i, f) = (all[0].sigmoid()?, all[1].sigmoid()?);
        c = f.mul(&c)?.add(&i.mul(&all[2].tanh()?)?)?;
        h = all[3].sigmoid()?.mul(&c.tanh()?)?;
        states.push(Var::stack(&[&h, &c], 0)?);
    }
    Var::stack(&states.iter().collect::<Vec<_>>(), 0)
}

/// Gated recurrent units over a sequence, gates in the order r z n: gates (T, B, 3H), the input's bias included, weight (3H, H) and
/// bias (3H) of the state, h0 (B, H); gives the state after every step, (T, B, H).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::{DType, Tensor};
/// let gates = Var::from(Tensor::zeros([2, 1, 3], DType::F64)?);
/// let (weight, bias) = (Var::from(Tensor::zeros([3, 1], DType::F64)?), Var::from(Tensor::zeros([3], DType::F64)?));
/// let h = F::gru_sequence(&gates, &weight, &bias, &Var::from(Tensor::ones([1, 1], DType::F64)?))?;
/// assert_eq!(h.value().to_vec::<f64>()?, [0.5, 0.25]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes or dtypes do not fit.
pub fn gru_sequence(gates: &Var, weight: &Var, bias: &Var, h0: &Var) -> Result<Var> {
    if !is_native(&[gates, weight, bias, h0]) {
        return gru_composed(gates, weight, bias, h0);
    }
    let forward = gates
        .value()
        .gru_sequence(weight.value(), bias.value(), h0.value())?;
    let y = forward.h.clone();
    Op::new("gru_sequence")
        .inputs(&[gates, weight, bias, h0])
        .saves(0)
        .saves(1)
        .saves(2)
        .saves(3)
        .record(y, move |ctx, dy| {
            if ctx.create_graph() {
                return recompute(ctx, dy, &[], |v| gru_composed(&v[0], &v[1], &v[2], &v[3]));
            }
            let (weight, h0) = (ctx.input(1)?.value(), ctx.input(3)?.value());
            let grads = dy.value().gru_sequence_backward(weight, h0, &forward)?;
            Ok(grads.map(|g| Some(Var::from(g))).into())
        })
}

fn gru_composed(gates: &Var, weight: &Var, bias: &Var, h0: &Var) -> Result<Var> {
    let mut h = h0.clone();
    let mut states = Vec::new();
    for x in gates.unbind(0)? {
        let (of_x, of_h) = (x.chunk(3, -1)?, h.linear(weight, Some(bias))?.chunk(3, -1)?); // 3 of (B, H) each
        let r = of_x[0].add(&of_h[0])?.sigmoid()?;
        let z = of_x[1].add(&of_h[1])?.sigmoid()?;
        let n = of_x[2].add(&r.mul(&of_h[2])?)?.tanh()?;
        h = n.add(&z.mul(&h.sub(&n)?)?)?;
        states.push(h.clone());
    }
    Var::stack(&states.iter().collect::<Vec<_>>(), 0)
}
