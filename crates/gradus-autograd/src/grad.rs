//! [`grad`]: gradients of chosen outputs by chosen inputs, differentiable themselves if asked.

use std::collections::HashSet;

use gradus_tensor::{Error, Result};

use crate::engine::{Walk, on_the_way};
use crate::var::Var;

/// The gradients of `outputs` (summed, each weighted by its `grad_outputs`) by `inputs`, leaves or not: `None` for an
/// input that no output depends on. Like `torch.autograd.grad(…, allow_unused=True)`; the graph stays.
///
/// With `create_graph` the gradients remember how they were computed, and can be differentiated again. Without
/// `grad_outputs` every output must have one element, weighted by 1.
///
/// # Errors
/// If an input is constant, no output is tracked, shapes differ, or a rule fails.
///
/// ```
/// use gradus_autograd::{Var, grad};
/// use gradus_tensor::Tensor;
/// let x = Var::leaf(Tensor::scalar(2.0f64))?;
/// let y = x.square()?.mul(&x)?; // x³
/// let dy = grad(&[&y], &[&x], None, true)?.remove(0).unwrap();
/// let d2y = grad(&[&dy], &[&x], None, false)?.remove(0).unwrap();
/// assert_eq!((dy.item::<f64>()?, d2y.item::<f64>()?), (12.0, 12.0)); // 3x², 6x
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub fn grad(
    outputs: &[&Var],
    inputs: &[&Var],
    grad_outputs: Option<&[&Var]>,
    create_graph: bool,
) -> Result<Vec<Option<Var>>> {
    if let Some(grads) = grad_outputs
        && grads.len() != outputs.len()
    {
        return Err(Error::value(
            "grad",
            format!("{} grad_outputs for {} outputs", grads.len(), outputs.len()),
        ));
    }
    let mut ids = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.iter().enumerate() {
        let constant = || {
            Error::value(
                "grad",
                format!("input {i} is a constant; make it with Var::leaf"),
            )
        };
        ids.push(input.id().ok_or_else(constant)?);
    }
    let mut roots = Vec::with_capacity(outputs.len());
    for (i, output) in outputs.iter().enumerate() {
        if let Some(node) = output.node() {
            let given = grad_outputs.map(|grads| grads[i]);
            let start = output.start("grad", given.map(Var::value))?;
            roots.push((node.clone(), given.cloned().unwrap_or(start)));
        }
    }
    if roots.is_empty() {
        return Err(Error::value(
            "grad",
            "no output depends on any leaf (or they were computed inside no_grad)",
        ));
    }
    let targets: HashSet<u64> = ids.iter().copied().collect();
    let nodes: Vec<_> = roots.iter().map(|(node, _)| node.clone()).collect();
    let only = on_the_way(&nodes, &targets);
    roots.retain(|(node, _)| only.contains(&node.id));
    let walk = Walk {
        create_graph,
        only: Some(only),
        capture: Some(targets),
        ..Walk::default()
    };
    let found = walk.run(roots)?; // numbers ascending
    let get = |id: &u64| {
        found
            .binary_search_by_key(id, |(id, _)| *id)
            .ok()
            .map(|at| found[at].1.clone())
    };
    Ok(ids.iter().map(get).collect())
}
