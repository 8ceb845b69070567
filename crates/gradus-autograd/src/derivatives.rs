//! Derivatives of a function as wholes: [`jvp`] (forward mode), [`jacobian`], [`hessian`] and [`hvp`].
//!
//! What it is: names and meanings of `torch.autograd.functional`. Forward mode has no rules of its own: the gradient
//! `Jᵀu` is linear in `u`, so its gradient by `u` along `v` is `Jv`, whatever `u` is (J. Townsend, "A new trick for
//! calculating Jacobian vector products", 2017). Each operation with a second derivative has it for free, at the price of two backward passes.
//! What it is not: dual numbers, which would cost one pass and a second rule for each operation.

use gradus_tensor::{Error, Result, Tensor};

use crate::grad::grad;
use crate::var::Var;

/// `f(inputs)` and `Σ ∂f/∂inputs[i] · tangents[i]`, the change of `f` where the inputs move along the tangents.
///
/// Constants among the inputs are fine; where one is tracked, the results can be differentiated further.
///
/// ```
/// use gradus_autograd::{Var, jvp};
/// use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0f64, 2.0, 3.0], 3)?);
/// let v = Var::from(Tensor::from_slice(&[1.0f64, 0.0, -1.0], 3)?);
/// let (y, dy) = jvp(|x| x[0].square(), &[x], &[v])?;
/// assert_eq!(y.value().to_vec::<f64>()?, [1.0, 4.0, 9.0]);
/// assert_eq!(dy.value().to_vec::<f64>()?, [2.0, 0.0, -6.0]); // 2x·v
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If a tangent has not its input's shape, `f` fails, or an operation in it has no second derivative.
pub fn jvp(
    f: impl Fn(&[Var]) -> Result<Var>,
    inputs: &[Var],
    tangents: &[Var],
) -> Result<(Var, Var)> {
    same_shapes("jvp", inputs, tangents)?;
    let create_graph = inputs.iter().any(Var::is_tracked);
    let x = tracked(inputs)?;
    let y = f(&x)?;
    let weight = Var::leaf(y.value().zeros_like()?)?;
    let mut pulled = Vec::new(); // Jᵀu for each input that matters
    let mut along = Vec::new();
    if y.is_tracked() {
        let grads = grad(&[&y], &refs(&x), Some(&[&weight]), true)?;
        for (g, v) in grads.into_iter().zip(tangents) {
            if let Some(g) = g.filter(Var::is_tracked) {
                along.push(v);
                pulled.push(g);
            }
        }
    }
    let dy = if pulled.is_empty() {
        None
    } else {
        grad(&refs(&pulled), &[&weight], Some(&along), create_graph)?.remove(0)
    };
    let dy = dy.map_or_else(|| y.zeros_like(), Ok)?;
    let y = if create_graph { y } else { y.detach() };
    Ok((y, dy))
}

/// `∂f/∂inputs[i]` for each input, of the shape of `f`'s output followed by the input's.
///
/// ```
/// use gradus_autograd::{Var, jacobian};
/// use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0f64, 2.0], 2)?);
/// let j = jacobian(|x| x[0].square(), &[x])?.remove(0); // (2, 2)
/// assert_eq!(j.to_vec::<f64>()?, [2.0, 0.0, 0.0, 4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If `f` fails or a rule does.
pub fn jacobian(f: impl Fn(&[Var]) -> Result<Var>, inputs: &[Var]) -> Result<Vec<Tensor>> {
    let x = tracked(inputs)?;
    let y = f(&x)?;
    rows(&y, &x)
}

/// The second derivatives of a function with one number as its output: `[i][j]` is by input `i` and then by input `j`, of the shape of the
/// first followed by the second's.
///
/// ```
/// use gradus_autograd::{Var, hessian};
/// use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0f64, 2.0], 2)?);
/// let h = hessian(|x| x[0].prod(.., false), &[x])?.remove(0).remove(0); // (2, 2)
/// assert_eq!(h.to_vec::<f64>()?, [0.0, 1.0, 1.0, 0.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the output has more than one element, `f` fails, or an operation in it has no second derivative.
pub fn hessian(f: impl Fn(&[Var]) -> Result<Var>, inputs: &[Var]) -> Result<Vec<Vec<Tensor>>> {
    let x = tracked(inputs)?;
    let y = one_number("hessian", f(&x)?)?;
    let firsts = gradients(&y, &x)?;
    firsts.iter().map(|dy| rows(dy, &x)).collect()
}

/// `f(inputs)`, and the Hessian of `f` times `tangents`, one part for each input; the Hessian itself is never formed.
///
/// ```
/// use gradus_autograd::{Var, hvp};
/// use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0f64, 2.0], 2)?);
/// let v = Var::from(Tensor::from_slice(&[1.0f64, -1.0], 2)?);
/// let (_, hv) = hvp(|x| x[0].pow_scalar(3)?.sum(.., false), &[x], &[v])?;
/// assert_eq!(hv[0].to_vec::<f64>()?, [6.0, -12.0]); // 6x·v
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If a tangent has not its input's shape, the output has more than one element, `f` fails, or an operation in it has no second
/// derivative.
pub fn hvp(
    f: impl Fn(&[Var]) -> Result<Var>,
    inputs: &[Var],
    tangents: &[Var],
) -> Result<(Tensor, Vec<Tensor>)> {
    same_shapes("hvp", inputs, tangents)?;
    let x = tracked(inputs)?;
    let y = one_number("hvp", f(&x)?)?;
    let firsts = gradients(&y, &x)?;
    let (firsts, along): (Vec<&Var>, Vec<&Var>) = firsts
        .iter()
        .zip(tangents)
        .filter(|(dy, _)| dy.is_tracked())
        .unzip();
    let seconds = if firsts.is_empty() {
        vec![None; x.len()]
    } else {
        grad(&firsts, &refs(&x), Some(&along), false)?
    };
    let whole = |(x, d): (&Var, Option<Var>)| match d {
        Some(d) => Ok(d.value().clone()),
        None => x.value().zeros_like(),
    };
    let parts = x.iter().zip(seconds).map(whole).collect::<Result<_>>()?;
    Ok((y.value().clone(), parts))
}

/// The gradient by each input, zero where there is none; it remembers how it was computed.
fn gradients(y: &Var, x: &[Var]) -> Result<Vec<Var>> {
    if !y.is_tracked() {
        return x.iter().map(Var::zeros_like).collect();
    }
    let grads = grad(&[y], &refs(x), None, true)?;
    let whole = |(x, d): (&Var, Option<Var>)| d.map_or_else(|| x.zeros_like(), Ok);
    x.iter().zip(grads).map(whole).collect()
}

/// The Jacobian of `y` by each of `x`, a row (one backward pass) for each element of `y`.
fn rows(y: &Var, x: &[Var]) -> Result<Vec<Tensor>> {
    let mut all: Vec<Vec<Tensor>> = vec![Vec::new(); x.len()];
    let flat = y.reshape(y.numel())?;
    for j in 0..y.numel() {
        let grads = if y.is_tracked() {
            grad(&[&flat.select(0, j as i64)?], &refs(x), None, false)?
        } else {
            vec![None; x.len()]
        };
        for ((rows, x), d) in all.iter_mut().zip(x).zip(grads) {
            rows.push(match d {
                Some(d) => d.value().clone(),
                None => x.value().zeros_like()?,
            });
        }
    }
    let join = |(rows, x): (Vec<Tensor>, &Var)| {
        let shape: Vec<usize> = y.dims().iter().chain(x.dims()).copied().collect();
        if rows.is_empty() {
            return Tensor::zeros(shape, x);
        }
        let shape: Vec<isize> = shape.iter().map(|&d| d as isize).collect();
        Tensor::stack(&rows.iter().collect::<Vec<_>>(), 0)?.reshape(&shape[..])
    };
    all.into_iter().zip(x).map(join).collect()
}

fn refs(vars: &[Var]) -> Vec<&Var> {
    vars.iter().collect()
}

/// The inputs, leaves in place of constants.
fn tracked(inputs: &[Var]) -> Result<Vec<Var>> {
    let leaf = |x: &Var| match x.is_tracked() {
        true => Ok(x.clone()),
        false => Var::leaf(x.value().clone()),
    };
    inputs.iter().map(leaf).collect()
}

fn same_shapes(op: &'static str, inputs: &[Var], tangents: &[Var]) -> Result<()> {
    let shapes =
        |vars: &[Var]| -> Vec<String> { vars.iter().map(|v| v.shape().to_string()).collect() };
    let (x, v) = (shapes(inputs), shapes(tangents));
    if x == v {
        return Ok(());
    }
    let text = format!(
        "inputs of shapes [{}] have tangents of [{}]; give one of its shape for each",
        x.join(", "),
        v.join(", ")
    );
    Err(Error::shape(op, text))
}

fn one_number(op: &'static str, y: Var) -> Result<Var> {
    if y.numel() == 1 {
        return Ok(y);
    }
    let text = format!(
        "the output has shape {}; second derivatives are of one number, so sum it first",
        y.shape()
    );
    Err(Error::shape(op, text))
}
