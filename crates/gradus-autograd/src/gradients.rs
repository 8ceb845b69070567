//! [`Gradients`]: what a backward gives, by the number of each leaf.

use gradus_tensor::{Result, Tensor};

use crate::var::Var;

/// The gradients found by a backward: of each leaf, and of values marked with [`Var::retain_grad`].
///
/// A list in order of number, searched by halving: a training step reads each entry once.
#[derive(Clone, Default)]
pub struct Gradients {
    entries: Vec<(u64, Tensor)>,
}

impl Gradients {
    pub(crate) fn from_walk(found: Vec<(u64, Var)>) -> Result<Gradients> {
        // A gradient may still be an expanded view of one number; what leaves the engine is an array of its own shape.
        let entries = found
            .into_iter()
            .map(|(id, grad)| Ok((id, grad.into_value().contiguous()?)));
        Ok(Gradients {
            entries: entries.collect::<Result<_>>()?,
        })
    }

    fn find(&self, id: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&id, |(id, _)| *id)
    }

    /// The gradient of `var`, if the backward reached it.
    pub fn get(&self, var: &Var) -> Option<&Tensor> {
        self.get_id(var.id()?)
    }

    /// The gradient of the value numbered `id` (see [`Var::id`]).
    pub fn get_id(&self, id: u64) -> Option<&Tensor> {
        self.find(id).ok().map(|at| &self.entries[at].1)
    }

    /// Takes the gradient of `var` out.
    pub fn remove(&mut self, var: &Var) -> Option<Tensor> {
        self.remove_id(var.id()?)
    }

    /// Takes the gradient of the value numbered `id` out.
    pub fn remove_id(&mut self, id: u64) -> Option<Tensor> {
        self.find(id).ok().map(|at| self.entries.remove(at).1)
    }

    /// Puts a gradient in, and gives back the one it replaces.
    pub fn insert_id(&mut self, id: u64, grad: Tensor) -> Option<Tensor> {
        match self.find(id) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at].1, grad)),
            Err(at) => {
                self.entries.insert(at, (id, grad));
                None
            }
        }
    }

    /// Adds the gradients of another backward, as PyTorch does when `zero_grad` is not called in between.
    ///
    /// # Errors
    /// If the two hold gradients of one leaf with different shapes, which two backwards never give.
    pub fn accumulate(&mut self, other: Gradients) -> Result<()> {
        for (id, grad) in other.entries {
            let sum = match self.remove_id(id) {
                Some(before) => before.add_(&grad)?,
                None => grad,
            };
            self.insert_id(id, sum);
        }
        Ok(())
    }

    /// How many gradients there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Numbers and gradients, numbers ascending (so: leaves in order of creation).
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Tensor)> {
        self.entries.iter().map(|(id, grad)| (*id, grad))
    }

    /// Numbers and gradients, to change them: clipping, scaling.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Tensor)> {
        self.entries.iter_mut().map(|(id, grad)| (*id, grad))
    }
}

impl std::fmt::Debug for Gradients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(id, grad)| (id, format!("{} {}", grad.dtype(), grad.shape()))),
            )
            .finish()
    }
}
