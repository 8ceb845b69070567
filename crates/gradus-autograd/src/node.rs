//! The graph: one [`Node`] for each recorded operation, pointing back at the nodes of its inputs.
//!
//! A node holds no value of its own but what its rule asked to save, and never an arrow forwards: so the graph is
//! acyclic by construction, and reference counts free it. Numbers are given in order of creation, so a node's number
//! is larger than those of all it came from; the engine needs no other order.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gradus_tensor::{DType, Result, Shape, Tensor};

use crate::hooks::Hooks;
use crate::op::Ctx;
use crate::var::Var;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The next number. A node made after another (in the sense of happens-before) has a larger one.
pub(crate) fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A recorded operation, or a leaf.
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) op: &'static str,
    /// Shape and dtype of the value this node made, and so of its gradient.
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
    /// Where each input came from; `None` for a constant.
    pub(crate) inputs: Box<[Option<Arc<Node>>]>,
    /// The rule and what it saved. `None` for a leaf, and after `backward_once` has gone by.
    saved: Mutex<Option<Arc<Saved>>>,
    pub(crate) hooks: OnceLock<Hooks>,
    /// Keep this inner node's gradient too (leaves' are always kept).
    pub(crate) retain: AtomicBool,
}

/// A rule, as the engine sees it: the gradient of the output to the gradients of the inputs.
pub(crate) type Rule = dyn Fn(&Ctx, Var) -> Result<Vec<Option<Var>>> + Send + Sync;

/// What an operation keeps for its backward: freed together.
pub(crate) struct Saved {
    pub(crate) inputs: Box<[Option<Var>]>,
    pub(crate) output: Option<Tensor>,
    pub(crate) rule: Box<Rule>,
}

impl Node {
    pub(crate) fn new(
        op: &'static str,
        value: &Tensor,
        inputs: Box<[Option<Arc<Node>>]>,
        saved: Option<Arc<Saved>>,
    ) -> Arc<Node> {
        Arc::new(Node {
            id: next_id(),
            op,
            shape: value.shape().clone(),
            dtype: value.dtype(),
            inputs,
            saved: Mutex::new(saved),
            hooks: OnceLock::new(),
            retain: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The rule and what it saved, left in place.
    pub(crate) fn saved(&self) -> Option<Arc<Saved>> {
        self.saved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The rule and what it saved, taken out: the node cannot be walked again.
    pub(crate) fn take_saved(&self) -> Option<Arc<Saved>> {
        self.saved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

// Freeing a graph. What a node owns may own the last reference to other nodes, and those to others: a chain of a million
// would overflow the stack. So a dying node only hands its belongings to its thread's queue, and whoever finds the
// queue at rest empties it, in a loop.

#[allow(dead_code)] // held only to be dropped
enum Remains {
    Inputs(Box<[Option<Arc<Node>>]>),
    Saved(Arc<Saved>),
    Hooks(Hooks),
}

struct Graveyard {
    emptying: bool,
    // ManuallyDrop: a thread-local without destructor can be used until the thread's very end.
    queue: ManuallyDrop<Vec<Remains>>,
}

thread_local! {
    static GRAVEYARD: RefCell<Graveyard> =
        const { RefCell::new(Graveyard { emptying: false, queue: ManuallyDrop::new(Vec::new()) }) };
}

/// Ends the emptying of the queue even when something in it panics while being dropped.
struct Emptying;

impl Drop for Emptying {
    fn drop(&mut self) {
        GRAVEYARD.with_borrow_mut(|g| {
            g.emptying = false;
            // At rest the queue owns no memory, so a thread that ends leaves none behind.
            if g.queue.is_empty() {
                *g.queue = Vec::new();
            }
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let inputs = std::mem::take(&mut self.inputs);
        let saved = self
            .saved
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let hooks = self.hooks.take();
        let first = GRAVEYARD.with_borrow_mut(|g| {
            if !inputs.is_empty() {
                g.queue.push(Remains::Inputs(inputs));
            }
            g.queue.extend(saved.map(Remains::Saved));
            g.queue.extend(hooks.map(Remains::Hooks));
            !g.queue.is_empty() && !std::mem::replace(&mut g.emptying, true)
        });
        if first {
            let _end = Emptying;
            // The borrow ends before the remains are dropped, so that they can queue more.
            while let Some(remains) = GRAVEYARD.with_borrow_mut(|g| g.queue.pop()) {
                drop(remains);
            }
        }
    }
}
