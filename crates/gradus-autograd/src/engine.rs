//! The walk back through the graph: reverse-mode differentiation, in a loop.
//!
//! Nodes wait for their gradient in a map ordered by creation number. The largest number is always complete: whatever
//! could still add to it would have been made later, has a larger number, and so has been walked already. One ordered
//! map is thus queue, visited set and accumulator at once; there is no pass to sort the graph and no recursion, and a
//! graph a million deep needs a map of one entry.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gradus_tensor::{Error, Result};

use crate::mode::GradMode;
use crate::node::Node;
use crate::op::Ctx;
use crate::var::Var;

/// What to do on the way.
#[derive(Default)]
pub(crate) struct Walk {
    /// Record the rules, so that the gradients can be differentiated.
    pub(crate) create_graph: bool,
    /// Free each node's saved values once used.
    pub(crate) free: bool,
    /// Keep the gradient of every node (for drawings).
    pub(crate) keep_all: bool,
    /// Only these nodes are walked (those some wanted input is reached through); `None`: all.
    pub(crate) only: Option<HashSet<u64>>,
    /// Give the gradients of these nodes, leaves or not; `None`: of all leaves and of those marked `retain_grad`.
    pub(crate) capture: Option<HashSet<u64>>,
    /// Do not go on behind captured nodes.
    pub(crate) stop: bool,
}

struct Pending {
    node: Arc<Node>,
    grad: Var,
}

impl Walk {
    /// Walks back from `roots`, each with the gradient to start from. Gives (node number, gradient), numbers ascending.
    pub(crate) fn run(&self, roots: Vec<(Arc<Node>, Var)>) -> Result<Vec<(u64, Var)>> {
        let _mode = GradMode::set(self.create_graph);
        let mut pending = BTreeMap::new();
        for (node, grad) in roots {
            self.add(&mut pending, &node, grad)?;
        }
        let wanted = |node: &Node| self.only.as_ref().is_none_or(|set| set.contains(&node.id));
        let mut found = Vec::new();
        while let Some((id, Pending { node, mut grad })) = pending.pop_last() {
            let captured = match &self.capture {
                Some(set) => set.contains(&id),
                None => node.is_leaf() || self.keep_all || node.retain.load(Ordering::Relaxed),
            };
            if captured && self.stop {
                found.push((id, grad));
                continue;
            }
            if let Some(hooks) = node.hooks.get() {
                grad = hooks.run(node.op, grad)?;
            }
            if node.is_leaf() {
                if captured {
                    found.push((id, grad));
                }
                continue;
            }
            if captured {
                found.push((id, grad.clone()));
            }
            let saved = if self.free {
                node.take_saved()
            } else {
                node.saved()
            };
            let Some(saved) = saved else {
                return Err(Error::value(
                    "backward",
                    format!(
                        "what {} saved was freed by an earlier backward_once; use backward to walk a graph twice",
                        node.op
                    ),
                ));
            };
            let ctx = Ctx::new(&node, &saved, &wanted);
            let grads = (saved.rule)(&ctx, grad)?;
            let additions = ctx.into_additions();
            drop(saved);
            if grads.len() != node.inputs.len() {
                return Err(Error::value(
                    node.op,
                    format!(
                        "the rule gave {} gradients for {} inputs",
                        grads.len(),
                        node.inputs.len()
                    ),
                ));
            }
            for (input, grad) in node.inputs.iter().zip(grads) {
                if let (Some(input), Some(grad)) = (input, grad)
                    && wanted(input)
                {
                    if grad.shape() != &input.shape {
                        return Err(Error::shape(
                            node.op,
                            format!(
                                "the rule gave a gradient of shape {:?} for an input of shape {:?}",
                                grad.dims(),
                                &input.shape[..]
                            ),
                        ));
                    }
                    self.add(&mut pending, input, grad)?;
                }
            }
            for (i, add) in additions {
                if let Some(Some(input)) = node.inputs.get(i)
                    && wanted(input)
                {
                    let before = pending
                        .remove(&input.id)
                        .map(|p: Pending| p.grad.into_value());
                    let sum = add(before)?;
                    if sum.shape() != &input.shape {
                        let message = format!(
                            "the rule added up to {} for an input of {}",
                            sum.shape(),
                            input.shape
                        );
                        return Err(Error::shape(node.op, message));
                    }
                    self.add(&mut pending, input, Var::from(sum))?;
                }
            }
        }
        found.reverse();
        Ok(found)
    }

    /// The first gradient to arrive is moved in; later ones are added to it, in place where nobody else holds it.
    fn add(&self, pending: &mut BTreeMap<u64, Pending>, node: &Arc<Node>, grad: Var) -> Result<()> {
        use std::collections::btree_map::Entry;
        let grad = if grad.dtype() == node.dtype {
            grad
        } else {
            grad.to_dtype(node.dtype)?
        };
        match pending.entry(node.id) {
            Entry::Vacant(slot) => {
                slot.insert(Pending {
                    node: node.clone(),
                    grad,
                });
            }
            Entry::Occupied(mut slot) => {
                let sum = if self.create_graph {
                    slot.get().grad.add(&grad)?
                } else {
                    let first = std::mem::replace(&mut slot.get_mut().grad, grad);
                    Var::from(first.into_value().add_(slot.get().grad.value())?)
                };
                slot.get_mut().grad = sum;
            }
        }
        Ok(())
    }
}

/// The numbers of the nodes on some way from `roots` back to one of `targets`, both included.
pub(crate) fn on_the_way(roots: &[Arc<Node>], targets: &HashSet<u64>) -> HashSet<u64> {
    // Everything reachable, in order of creation; nothing older than the oldest target can lead to one.
    let oldest = targets.iter().min().copied().unwrap_or(u64::MAX);
    let mut reachable: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
    let mut stack: Vec<Arc<Node>> = roots.to_vec();
    while let Some(node) = stack.pop() {
        if node.id >= oldest && !reachable.contains_key(&node.id) {
            stack.extend(node.inputs.iter().flatten().cloned());
            reachable.insert(node.id, node);
        }
    }
    // Inputs come before what is made of them, so one pass in order is enough.
    let mut on = HashSet::new();
    for (id, node) in &reachable {
        if targets.contains(id)
            || node
                .inputs
                .iter()
                .flatten()
                .any(|input| on.contains(&input.id))
        {
            on.insert(*id);
        }
    }
    on
}
