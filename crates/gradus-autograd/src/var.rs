//! [`Var`]: a tensor that remembers how it was computed, and the calls that start a backward.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gradus_tensor::{DType, Device, Element, Error, Options, Result, Shape, Tensor};

use crate::engine::{Ready, Walk};
use crate::gradients::Gradients;
use crate::mode::is_grad_enabled;
use crate::node::Node;

/// A differentiable value: a [`Tensor`] and, if anything it came from is tracked, where it came from.
///
/// `Var::from(tensor)` is a constant, [`Var::leaf`] something to differentiate by. Operations have the names and
/// arguments of `Tensor`'s; an operation on constants gives a constant and records nothing. Cloning is cheap and gives
/// the same value in the same graph.
///
/// ```
/// # use gradus_autograd::Var;
/// # use gradus_tensor::Tensor;
/// let x = Var::leaf(Tensor::from_slice(&[3f32, 4.0], 2)?)?;
/// let y = x.square()?.rdiv_scalar(2)?; // 2/x²; what has no such form takes a number first as a constant of rank 0:
/// let z = Var::from(Tensor::scalar(9.0)).remainder(&x)?; // 9 mod x
/// assert_eq!(z.value().to_vec::<f32>()?, [0.0, 1.0]);
/// let gradients = y.add(&z)?.sum(.., false)?.backward()?;
/// assert_eq!(gradients.get(&x).unwrap().to_vec::<f32>()?[1], -4.0 / 64.0 - 2.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone)]
pub struct Var {
    value: Tensor,
    node: Option<Arc<Node>>,
}

impl Var {
    /// A value to differentiate by: gradients of what is computed from it will reach it.
    ///
    /// # Errors
    /// If the dtype is not a float: whole numbers have no gradient.
    pub fn leaf(value: Tensor) -> Result<Var> {
        if !value.dtype().is_float() {
            return Err(Error::dtype(
                "Var::leaf",
                format!(
                    "only floats have gradients, and this is {}; convert it with to_dtype",
                    value.dtype()
                ),
            ));
        }
        let node = Node::new("leaf", &value, Box::default(), None);
        Ok(Var {
            value,
            node: Some(node),
        })
    }

    /// Changes the value of a leaf, in place where nobody else holds it: how an optimiser steps. The leaf keeps its number
    /// and its hooks; a graph recorded before keeps the value it saw.
    ///
    /// # Errors
    /// If this is not a leaf, if `f` fails, or if it changes shape or dtype.
    pub fn update_leaf(&mut self, f: impl FnOnce(&mut Tensor) -> Result<()>) -> Result<()> {
        let Some(node) = self.node.as_ref().filter(|node| node.is_leaf()) else {
            return Err(Error::value(
                "Var::update_leaf",
                format!("this is not a leaf but {}", self.op()),
            ));
        };
        let layout = (self.value.shape().clone(), self.value.dtype());
        f(&mut self.value)?;
        if (self.value.shape(), self.value.dtype()) != (&layout.0, layout.1) {
            return Err(Error::shape(
                "Var::update_leaf",
                format!(
                    "{} {} became {} {}",
                    layout.0,
                    layout.1,
                    self.value.shape(),
                    self.value.dtype()
                ),
            ));
        }
        debug_assert_eq!(node.dtype, layout.1);
        Ok(())
    }

    pub(crate) fn with_node(value: Tensor, node: Arc<Node>) -> Var {
        Var {
            value,
            node: Some(node),
        }
    }

    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()
    }

    /// The tensor.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The tensor, forgetting where it came from.
    pub fn into_value(self) -> Tensor {
        self.value
    }

    /// The same value as a constant: no gradient goes through it.
    pub fn detach(&self) -> Var {
        Var {
            value: self.value.clone(),
            node: None,
        }
    }

    /// Does it depend on a leaf?
    pub fn is_tracked(&self) -> bool {
        self.node.is_some()
    }

    /// Will it be what it is in the next call, too, as far as one can tell? A weight is that where nothing learns: a constant, or a leaf
    /// while nothing is recorded. Products then keep what they pack of it.
    pub(crate) fn is_fixed(&self) -> bool {
        !self.is_tracked() || (self.is_leaf() && !is_grad_enabled())
    }

    /// Is it a leaf?
    pub fn is_leaf(&self) -> bool {
        self.node.as_ref().is_some_and(|n| n.is_leaf())
    }

    /// The number of a tracked value, by which [`Gradients`] knows it: never reused within a process.
    pub fn id(&self) -> Option<u64> {
        self.node.as_ref().map(|n| n.id)
    }

    /// The name of the operation that made it: `"leaf"` for a leaf, `"constant"` for what is not tracked.
    pub fn op(&self) -> &'static str {
        self.node.as_ref().map_or("constant", |n| n.op)
    }

    /// Sizes of the dimensions.
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// Sizes of the dimensions, as a slice.
    pub fn dims(&self) -> &[usize] {
        self.value.dims()
    }

    /// Size of dimension `dim`; a negative one counts from the back.
    ///
    /// # Errors
    /// If there is no such dimension.
    pub fn dim(&self, dim: isize) -> Result<usize> {
        self.value.dim(dim)
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.value.rank()
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.value.numel()
    }

    /// Type of the elements.
    pub fn dtype(&self) -> DType {
        self.value.dtype()
    }

    /// Where the elements are.
    pub fn device(&self) -> Device {
        self.value.device()
    }

    /// The one element of a value that has just one.
    ///
    /// # Errors
    /// If it has more or fewer, or another dtype.
    pub fn item<T: Element>(&self) -> Result<T> {
        self.value.item::<T>()
    }

    /// The gradients of the leaves this scalar was computed from. The graph stays: a second call gives the same again.
    ///
    /// # Errors
    /// If the value has more than one element (see [`Var::backward_with`]) or is constant; or a rule's error.
    pub fn backward(&self) -> Result<Gradients> {
        self.walk("backward", None, &Walk::default())
    }

    /// [`Var::backward`], freeing each operation's saved values as soon as they have been used: what training wants.
    /// The graph cannot be walked again.
    ///
    /// # Errors
    /// As [`Var::backward`]; also if an earlier `backward_once` went through part of this graph.
    pub fn backward_once(self) -> Result<Gradients> {
        let walk = Walk {
            free: true,
            ..Walk::default()
        };
        self.walk("backward_once", None, &walk)
    }

    /// [`Var::backward_once`] that tells `ready` the number ([`Var::id`]) and the gradient of each leaf as soon as nothing more will
    /// be added to it, while the rest of the graph is still to be walked: where data-parallel training begins to exchange
    /// gradients. The last layer's come first. PyTorch's `register_post_accumulate_grad_hook`, for all leaves at once.
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let (a, b) = (Var::leaf(Tensor::scalar(2f32))?, Var::leaf(Tensor::scalar(3f32))?);
    /// let y = a.mul(&a)?.mul(&b)?; // a² b
    /// let mut order = Vec::new();
    /// let gradients = y.backward_each(|id, grad| {
    ///     order.push((id, grad.item::<f32>()?));
    ///     Ok(())
    /// })?;
    /// assert_eq!(order, [(b.id().unwrap(), 4.0), (a.id().unwrap(), 12.0)]);
    /// assert_eq!(gradients.len(), 2);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Var::backward_once`]; or the error of `ready`, which ends the walk.
    pub fn backward_each(
        self,
        mut ready: impl FnMut(u64, &Tensor) -> Result<()>,
    ) -> Result<Gradients> {
        let walk = Walk {
            free: true,
            ..Walk::default()
        };
        let mut each = |id: u64, grad: &Var| ready(id, grad.value());
        self.walk_each("backward_each", None, &walk, Some(&mut each))
    }

    /// [`Var::backward`] from a given gradient of this value, which need then not be a scalar.
    ///
    /// # Errors
    /// If the shapes differ, or the value is constant.
    pub fn backward_with(&self, grad: &Tensor) -> Result<Gradients> {
        self.walk("backward_with", Some(grad), &Walk::default())
    }

    /// [`Var::backward`] that keeps the gradient of every value on the way, not just of leaves: for drawing and study.
    ///
    /// # Errors
    /// As [`Var::backward`].
    pub fn backward_all(&self) -> Result<Gradients> {
        let walk = Walk {
            keep_all: true,
            ..Walk::default()
        };
        self.walk("backward_all", None, &walk)
    }

    /// Has [`Gradients`] also keep the gradient of this value, though it is not a leaf. Does nothing to a constant.
    pub fn retain_grad(&self) {
        if let Some(node) = &self.node {
            node.retain.store(true, Ordering::Relaxed);
        }
    }

    fn walk(&self, call: &'static str, grad: Option<&Tensor>, walk: &Walk) -> Result<Gradients> {
        self.walk_each(call, grad, walk, None)
    }

    fn walk_each(
        &self,
        call: &'static str,
        grad: Option<&Tensor>,
        walk: &Walk,
        ready: Option<&mut Ready>,
    ) -> Result<Gradients> {
        let Some(node) = self.node.clone() else {
            return Err(Error::value(
                call,
                "this value does not depend on any leaf (or was computed inside no_grad), so it has no gradients",
            ));
        };
        let start = self.start(call, grad)?;
        let found = walk.run_each(vec![(node, start)], ready)?;
        Gradients::from_walk(found)
    }

    /// The gradient to start a walk from: `grad`, or one for a scalar.
    pub(crate) fn start(&self, call: &'static str, grad: Option<&Tensor>) -> Result<Var> {
        match grad {
            Some(grad) if grad.dims() == self.dims() => Ok(Var::from(grad.clone())),
            Some(grad) => Err(Error::shape(
                call,
                format!(
                    "the gradient given has shape {:?}, the value {:?}",
                    grad.dims(),
                    self.dims()
                ),
            )),
            None if self.numel() == 1 => Ok(Var::from(self.value.ones_like()?)),
            None => Err(Error::shape(
                call,
                format!(
                    "only a scalar has a gradient by itself, and this has shape {:?}; sum it, or give its gradient",
                    self.dims()
                ),
            )),
        }
    }
}

impl From<&Var> for Options {
    /// The dtype and the device of a value.
    fn from(like: &Var) -> Self {
        like.value().into()
    }
}

impl From<Tensor> for Var {
    /// A constant.
    fn from(value: Tensor) -> Var {
        Var { value, node: None }
    }
}

impl From<&Tensor> for Var {
    /// A constant, sharing the tensor's storage.
    fn from(value: &Tensor) -> Var {
        Var {
            value: value.clone(),
            node: None,
        }
    }
}

/// As the tensor prints; a tracked value says after it which operation made it, as PyTorch's `grad_fn` does:
/// `[2. 3.] f32[2] by add_scalar`.
///
/// ```
/// # use gradus_autograd::Var;
/// # use gradus_tensor::Tensor;
/// let x = Var::leaf(Tensor::from_slice(&[1f32, 2.0], 2)?)?;
/// assert_eq!(x.to_string(), "[1. 2.] f32[2] leaf");
/// assert_eq!(x.add_scalar(1)?.to_string(), "[2. 3.] f32[2] by add_scalar");
/// assert_eq!(x.detach().to_string(), "[1. 2.] f32[2]");
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
impl std::fmt::Display for Var {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.value)?;
        match &self.node {
            None => Ok(()),
            Some(node) if node.is_leaf() => f.write_str(" leaf"),
            Some(node) => write!(f, " by {}", node.op),
        }
    }
}

impl std::fmt::Debug for Var {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Var({}, {:?}, {})", self.op(), self.dims(), self.dtype())
    }
}
