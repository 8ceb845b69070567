//! The gradients of a piece of the network by computing it again: for [`crate::checkpoint`], and for the second
//! derivatives of operations whose kernels are fused.

use std::collections::{BTreeMap, HashSet};

use gradus_tensor::Result;

use crate::engine::{Walk, on_the_way};
use crate::mode::enable_grad;
use crate::op::{Ctx, Op};
use crate::var::Var;

/// The gradients of `f` at the operation's inputs (all of them saved), and at the nodes `outside` that `f` also uses,
/// from that of its output. Recorded if the backward is.
pub(crate) fn recompute(
    ctx: &Ctx,
    dy: Var,
    outside: &[u64],
    f: impl FnOnce(&[Var]) -> Result<Var>,
) -> Result<Vec<Option<Var>>> {
    // A stand-in for each input, behind which the walk does not go: what is behind is the outer walk's.
    let stand_in = |v: &Var| {
        if ctx.create_graph() {
            enable_grad(|| identity(v))
        } else {
            leaf_like(v)
        }
    };
    let inside = ctx
        .inputs()
        .iter()
        .flatten()
        .map(stand_in)
        .collect::<Result<Vec<Var>>>()?;
    let y = enable_grad(|| f(&inside))?;
    let ids: Vec<Option<u64>> = inside
        .iter()
        .map(Var::id)
        .chain(outside.iter().copied().map(Some))
        .collect();
    let Some(node) = y.node().cloned() else {
        return Ok(vec![None; ids.len()]);
    };
    drop(y);
    let targets: HashSet<u64> = ids.iter().flatten().copied().collect();
    let only = on_the_way(std::slice::from_ref(&node), &targets);
    let walk = Walk {
        create_graph: ctx.create_graph(),
        free: !ctx.create_graph(),
        only: Some(only),
        capture: Some(targets),
        stop: true,
        ..Walk::default()
    };
    let mut found: BTreeMap<u64, Var> = walk.run(vec![(node, dy)])?.into_iter().collect();
    Ok(ids
        .iter()
        .map(|id| id.and_then(|id| found.remove(&id)))
        .collect())
}

/// A leaf with the same value, if `v` is tracked.
pub(crate) fn leaf_like(v: &Var) -> Result<Var> {
    if v.is_tracked() {
        Var::leaf(v.value().clone())
    } else {
        Ok(v.clone())
    }
}

/// The same value with a node of its own.
fn identity(v: &Var) -> Result<Var> {
    Op::new("identity")
        .inputs(&[v])
        .record(v.value().clone(), |_, dy| Ok(dy))
}
