//! [`checkpoint`]: keep the inputs of a piece of the network, not what it computes; compute it again in the backward.
//!
//! Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016); behaviour as `torch.utils.checkpoint`, the
//! random numbers included: the second run draws the same ones.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use gradus_tensor::{Result, random};

use crate::mode::is_grad_enabled;
use crate::node::{Node, Saved, next_id};
use crate::op::Ctx;
use crate::recompute::{leaf_like, recompute};
use crate::var::Var;

/// Computes `f(inputs)`, saving for the backward only `inputs`; the backward runs `f` again.
///
/// `f` may use tracked values from outside, such as the weights of a layer: they get their gradients too. It must give
/// the same value each time; what it draws from the thread's default generator is the same both times.
///
/// # Errors
/// What `f` gives.
///
/// ```
/// use gradus_autograd::{Var, checkpoint};
/// use gradus_tensor::Tensor;
/// let x = Var::leaf(Tensor::scalar(2.0f64))?;
/// let w = Var::leaf(Tensor::scalar(3.0f64))?;
/// let weight = w.clone();
/// let y = checkpoint(move |v| v[0].square()?.mul(&weight), &[x.clone()])?;
/// let grads = y.backward()?;
/// assert_eq!(grads.get(&x).unwrap().item::<f64>()?, 12.0);
/// assert_eq!(grads.get(&w).unwrap().item::<f64>()?, 4.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub fn checkpoint(
    f: impl Fn(&[Var]) -> Result<Var> + Send + Sync + 'static,
    inputs: &[Var],
) -> Result<Var> {
    if !is_grad_enabled() {
        return f(inputs);
    }
    let random_state = random::with_default(|rng| rng.state());
    // The first run is recorded only to see which tracked values `f` uses besides its inputs: they are what was there
    // before it started. Its graph, and all that it saved, goes away here.
    let start = next_id();
    let fresh = inputs.iter().map(leaf_like).collect::<Result<Vec<Var>>>()?;
    let y = f(&fresh)?;
    let outside = older_than(start, &y);
    let y = y.into_value();

    let mut edges: Vec<Option<Arc<Node>>> = inputs.iter().map(|v| v.node().cloned()).collect();
    edges.extend(outside.iter().cloned().map(Some));
    if edges.iter().all(Option::is_none) || !y.dtype().is_float() {
        return Ok(Var::from(y));
    }
    let outside_ids: Vec<u64> = outside.iter().map(|n| n.id).collect();
    let rule = move |ctx: &Ctx, dy: Var| -> Result<Vec<Option<Var>>> {
        recompute(ctx, dy, &outside_ids, |inside| {
            let _same_numbers = Replay::new(random_state);
            f(inside)
        })
    };
    let saved = Saved {
        inputs: inputs.iter().cloned().map(Some).collect(),
        output: None,
        rule: Box::new(rule),
    };
    let node = Node::new("checkpoint", &y, edges.into(), Some(Arc::new(saved)));
    Ok(Var::with_node(y, node))
}

/// The nodes `y` depends on that were there before number `start` was given, nearest ones only.
fn older_than(start: u64, y: &Var) -> Vec<Arc<Node>> {
    let mut old = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut stack: Vec<Arc<Node>> = y.node().cloned().into_iter().collect();
    while let Some(node) = stack.pop() {
        if node.id < start {
            old.insert(node.id, node);
        } else if seen.insert(node.id) {
            stack.extend(node.inputs.iter().flatten().cloned());
        }
    }
    old.into_values().collect()
}

/// Puts the thread's generator back where it was for the first run, and afterwards where it is now.
struct Replay(random::RngState);

impl Replay {
    fn new(state: random::RngState) -> Replay {
        Replay(random::with_default(|rng| {
            let now = rng.state();
            rng.set_state(state);
            now
        }))
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        random::with_default(|rng| rng.set_state(self.0));
    }
}
