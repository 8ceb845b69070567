//! The walk back through the graph: reverse-mode differentiation, in a loop.
//!
//! Nodes wait for their gradient in a map ordered by creation number. The largest number is always complete: whatever
//! could still add to it would have been made later, has a larger number, and so has been walked already. One ordered
//! map is thus queue, visited set and accumulator at once; there is no pass to sort the graph and no recursion, and a
//! graph a million deep needs a map of one entry.
//!
//! Leaves are older than what is made of them, so they come last. Whoever wants a leaf's gradient as soon as it is complete
//! ([`Var::backward_each`]) pays for one look at the graph beforehand, which counts the uses of each leaf.

use std::collections::{BTreeMap, HashMap, HashSet};
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

/// Is told the number and the gradient of a leaf.
pub(crate) type Ready<'a> = dyn FnMut(u64, &Var) -> Result<()> + 'a;

struct Pending {
    node: Arc<Node>,
    grad: Var,
}

impl Walk {
    /// Walks back from `roots`, each with the gradient to start from. Gives (node number, gradient), numbers ascending.
    pub(crate) fn run(&self, roots: Vec<(Arc<Node>, Var)>) -> Result<Vec<(u64, Var)>> {
        self.run_each(roots, None)
    }

    /// [`Walk::run`]; `ready` is told each leaf's gradient once nothing more will be added to it, before the walk goes on.
    pub(crate) fn run_each(
        &self,
        roots: Vec<(Arc<Node>, Var)>,
        mut ready: Option<&mut Ready>,
    ) -> Result<Vec<(u64, Var)>> {
        let _mode = GradMode::set(self.create_graph);
        let mut uses = match ready {
            Some(_) => leaf_uses(&roots),
            None => HashMap::new(),
        };
        let mut pending = BTreeMap::new();
        for (node, grad) in roots {
            self.add(&mut pending, &node, grad)?;
        }
        let wanted = |node: &Node| self.only.as_ref().is_none_or(|set| set.contains(&node.id));
        let mut found = Vec::new();
        let mut complete: Vec<Pending> = Vec::new(); // leaves to which nothing more will be added
        while let Some(Pending { node, mut grad }) = complete
            .pop()
            .or_else(|| pending.pop_last().map(|(_, next)| next))
        {
            let id = node.id;
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
                if let Some(ready) = &mut ready {
                    ready(id, &grad)?;
                }
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
            if ready.is_some() {
                for input in node.inputs.iter().flatten() {
                    let Some(left) = uses.get_mut(&input.id) else {
                        continue;
                    };
                    *left -= 1;
                    if *left == 0 {
                        complete.extend(pending.remove(&input.id));
                    }
                }
            }
        }
        match ready {
            Some(_) => found.sort_unstable_by_key(|(id, _)| *id),
            None => found.reverse(),
        }
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

/// How often each leaf is an input of a node behind `roots`.
fn leaf_uses(roots: &[(Arc<Node>, Var)]) -> HashMap<u64, usize> {
    let mut uses = HashMap::new();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut stack: Vec<&Arc<Node>> = roots.iter().map(|(node, _)| node).collect();
    while let Some(node) = stack.pop() {
        if !seen.insert(node.id) {
            continue;
        }
        for input in node.inputs.iter().flatten() {
            if input.is_leaf() {
                *uses.entry(input.id).or_insert(0) += 1;
            } else {
                stack.push(input);
            }
        }
    }
    uses
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
