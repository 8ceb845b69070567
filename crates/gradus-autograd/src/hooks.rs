//! Hooks: functions called with a gradient as it passes, which may replace it.
//!
//! Like PyTorch's `Tensor.register_hook`: called once per backward with the whole (accumulated) gradient of the value.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use gradus_tensor::{Error, Result};

use crate::node::{Node, next_id};
use crate::var::Var;

type Hook = Arc<dyn Fn(&Var) -> Result<Option<Var>> + Send + Sync>;

/// The hooks of one node, in order of registration.
#[derive(Default)]
pub(crate) struct Hooks(Mutex<Vec<(u64, Hook)>>);

impl Hooks {
    /// Passes `grad` through every hook.
    pub(crate) fn run(&self, op: &str, mut grad: Var) -> Result<Var> {
        // Cloned, so that a hook may add or remove hooks.
        let hooks = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (_, hook) in &hooks {
            if let Some(new) = hook(&grad)? {
                if new.dims() != grad.dims() {
                    return Err(Error::shape(
                        "register_hook",
                        format!(
                            "the hook on the output of {op} turned a gradient of shape {:?} into {:?}",
                            grad.dims(),
                            new.dims()
                        ),
                    ));
                }
                grad = if new.dtype() == grad.dtype() {
                    new
                } else {
                    new.to_dtype(grad.dtype())?
                };
            }
        }
        Ok(grad)
    }
}

/// Takes a hook away again; dropping the handle leaves the hook in place.
#[derive(Clone)]
pub struct HookHandle {
    node: Weak<Node>,
    id: u64,
}

impl HookHandle {
    /// Removes the hook. Does nothing if it is gone already.
    pub fn remove(&self) {
        if let Some(node) = self.node.upgrade()
            && let Some(hooks) = node.hooks.get()
        {
            let mut list = hooks.0.lock().unwrap_or_else(PoisonError::into_inner);
            let removed: Vec<_> = list.extract_if(.., |(id, _)| *id == self.id).collect();
            drop(list); // what the hook owns is dropped with the lock open
            drop(removed);
        }
    }
}

impl std::fmt::Debug for HookHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HookHandle({})", self.id)
    }
}

impl Var {
    /// Calls `hook` with this value's gradient in every backward that reaches it. What the hook returns, if anything,
    /// goes on in its place: it must have the same shape.
    ///
    /// # Errors
    /// If the value is constant, so that no gradient will ever reach it.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let x = Var::leaf(Tensor::scalar(3.0f64))?;
    /// let half = x.register_hook(|g| Ok(Some(g.mul_scalar(0.5)?)))?;
    /// let y = x.square()?;
    /// assert_eq!(y.backward()?.get(&x).unwrap().item::<f64>()?, 3.0);
    /// half.remove();
    /// assert_eq!(y.backward()?.get(&x).unwrap().item::<f64>()?, 6.0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn register_hook(
        &self,
        hook: impl Fn(&Var) -> Result<Option<Var>> + Send + Sync + 'static,
    ) -> Result<HookHandle> {
        let Some(node) = self.node() else {
            return Err(Error::value(
                "register_hook",
                "the value is constant: no gradient will reach it",
            ));
        };
        let id = next_id();
        let hooks = node.hooks.get_or_init(Hooks::default);
        hooks
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((id, Arc::new(hook)));
        Ok(HookHandle {
            node: Arc::downgrade(node),
            id,
        })
    }
}
