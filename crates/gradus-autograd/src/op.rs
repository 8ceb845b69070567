//! The record/rule unit: how one operation becomes differentiable.
//!
//! ```text
//! pub fn tanh(&self) -> Result<Var> {
//!     let y = self.value().tanh()?;                                 // compute,
//!     Op::new("tanh").inputs(&[self]).saves_output()                // say what to save,
//!         .record(y, |ctx, dy| ctx.output()?.square()?.neg()?.add_scalar(1.0)?.mul(&dy))   // give the rule
//! }
//! ```
//!
//! A rule is written in `Var` operations, so it can itself be recorded: derivatives of any order come for free. Under a
//! plain `backward` it runs unrecorded. When no input is tracked, or inside `no_grad`, nothing is saved or allocated.

use std::cell::RefCell;
use std::sync::Arc;

use gradus_tensor::{DType, Error, Result, Shape, Tensor};

use crate::mode::is_grad_enabled;
use crate::node::{Node, Rule, Saved};
use crate::var::Var;

/// An operation about to be recorded.
#[derive(Debug)]
pub struct Op<'a> {
    name: &'static str,
    inputs: &'a [&'a Var],
    saves: u64,
    saves_output: bool,
}

impl<'a> Op<'a> {
    /// The operation called `name` in error messages and drawings.
    pub fn new(name: &'static str) -> Op<'a> {
        Op {
            name,
            inputs: &[],
            saves: 0,
            saves_output: false,
        }
    }

    /// What it is computed from: the rule returns one gradient for each, in this order.
    pub fn inputs(self, inputs: &'a [&'a Var]) -> Op<'a> {
        Op { inputs, ..self }
    }

    /// Keeps input `i` for the rule ([`Ctx::input`]); only the first 64 inputs can be kept.
    pub fn saves(mut self, i: usize) -> Op<'a> {
        self.saves |= 1 << i;
        self
    }

    /// Keeps input `i` only if input `wanted` will have a gradient: `a * b` needs `b` just for `a`'s sake.
    pub fn saves_for(self, i: usize, wanted: usize) -> Op<'a> {
        if self.inputs.get(wanted).is_some_and(|v| v.is_tracked()) {
            self.saves(i)
        } else {
            self
        }
    }

    /// Keeps the output for the rule ([`Ctx::output`]).
    pub fn saves_output(mut self) -> Op<'a> {
        self.saves_output = true;
        self
    }

    /// Would [`Op::record`] record anything?
    pub fn is_tracked(&self) -> bool {
        is_grad_enabled() && self.inputs.iter().any(|v| v.is_tracked())
    }

    /// Makes the operation's output from its computed `value`, with the rule that turns the output's gradient into the
    /// inputs' gradients. A constant, and `rule` is dropped, if there is nothing to record.
    pub fn record<G: IntoGrads>(
        self,
        value: Tensor,
        rule: impl Fn(&Ctx, Var) -> Result<G> + Send + Sync + 'static,
    ) -> Result<Var> {
        // What does not depend on the rule is compiled once, in these two, and not for every rule.
        if !self.records(&value) {
            return Ok(Var::from(value));
        }
        Ok(self.record_erased(value, Box::new(erase(rule))))
    }

    fn records(&self, value: &Tensor) -> bool {
        self.is_tracked() && value.dtype().is_float()
    }

    fn record_erased(self, value: Tensor, rule: Box<Rule>) -> Var {
        let inputs = self.inputs.iter().map(|v| v.node().cloned()).collect();
        let keep =
            |(i, v): (usize, &&Var)| (i < 64 && self.saves >> i & 1 == 1).then(|| (*v).clone());
        let saved = Saved {
            inputs: if self.saves == 0 {
                Box::default()
            } else {
                self.inputs.iter().enumerate().map(keep).collect()
            },
            output: self.saves_output.then(|| value.clone()),
            rule,
        };
        let node = Node::new(self.name, &value, inputs, Some(Arc::new(saved)));
        Var::with_node(value, node)
    }
}

/// A rule in the engine's form.
fn erase<G: IntoGrads>(
    rule: impl Fn(&Ctx, Var) -> Result<G> + Send + Sync + 'static,
) -> impl Fn(&Ctx, Var) -> Result<Vec<Option<Var>>> + Send + Sync + 'static {
    move |ctx, dy| rule(ctx, dy).map(IntoGrads::into_grads)
}

/// A gradient that is added to what has come from elsewhere, if anything has: see [`Ctx::add_to`].
pub(crate) type Addition = Box<dyn FnOnce(Option<Tensor>) -> Result<Tensor>>;

/// What a rule sees besides the gradient of the output.
pub struct Ctx<'a> {
    node: &'a Arc<Node>,
    saved: &'a Saved,
    wanted: &'a dyn Fn(&Node) -> bool,
    additions: RefCell<Vec<(usize, Addition)>>,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(
        node: &'a Arc<Node>,
        saved: &'a Saved,
        wanted: &'a dyn Fn(&Node) -> bool,
    ) -> Ctx<'a> {
        Ctx {
            node,
            saved,
            wanted,
            additions: RefCell::default(),
        }
    }

    /// Instead of returning the gradient of input `i` (the rule returns `None` there): `add` is given the gradient that has come
    /// from elsewhere so far, if any, and returns it with this one added. For gradients that touch few numbers of a large
    /// tensor, such as some rows of a table. Only where [`Ctx::create_graph`] is false.
    pub(crate) fn add_to(
        &self,
        i: usize,
        add: impl FnOnce(Option<Tensor>) -> Result<Tensor> + 'static,
    ) {
        self.additions.borrow_mut().push((i, Box::new(add)));
    }

    /// What the rule asked to be added.
    pub(crate) fn into_additions(self) -> Vec<(usize, Addition)> {
        self.additions.into_inner()
    }

    /// The saved input `i`, with its history, so that the rule can be differentiated too.
    ///
    /// # Errors
    /// If the operation did not ask for it with [`Op::saves`].
    pub fn input(&self, i: usize) -> Result<&'a Var> {
        let input = self.saved.inputs.get(i).and_then(Option::as_ref);
        input.ok_or_else(|| {
            Error::value(
                self.node.op,
                format!("the rule uses input {i}, which was not saved"),
            )
        })
    }

    pub(crate) fn inputs(&self) -> &'a [Option<Var>] {
        &self.saved.inputs
    }

    /// The saved output, with its history (it is put together anew, so that the graph holds no cycle).
    ///
    /// # Errors
    /// If the operation did not ask for it with [`Op::saves_output`].
    pub fn output(&self) -> Result<Var> {
        let Some(output) = &self.saved.output else {
            return Err(Error::value(
                self.node.op,
                "the rule uses the output, which was not saved",
            ));
        };
        Ok(Var::with_node(output.clone(), self.node.clone()))
    }

    /// Does input `i` want a gradient?
    pub fn needs(&self, i: usize) -> bool {
        self.node
            .inputs
            .get(i)
            .and_then(Option::as_ref)
            .is_some_and(|n| (self.wanted)(n))
    }

    /// `Some(f())` if input `i` wants a gradient.
    pub fn grad(&self, i: usize, f: impl FnOnce() -> Result<Var>) -> Result<Option<Var>> {
        self.needs(i).then(f).transpose()
    }

    /// The shape of input `i`, known for inputs that want a gradient; that of the output otherwise.
    pub fn shape(&self, i: usize) -> &'a Shape {
        self.node
            .inputs
            .get(i)
            .and_then(Option::as_ref)
            .map_or(&self.node.shape, |n| &n.shape)
    }

    /// The dtype of input `i`, known for inputs that want a gradient; that of the output otherwise.
    pub fn dtype(&self, i: usize) -> DType {
        self.node
            .inputs
            .get(i)
            .and_then(Option::as_ref)
            .map_or(self.node.dtype, |n| n.dtype)
    }

    /// Is this backward itself being recorded (`create_graph`)? If not, a rule may take a fused short cut.
    pub fn create_graph(&self) -> bool {
        is_grad_enabled()
    }
}

/// What a rule may return: one gradient, or an array or vector of optional ones.
pub trait IntoGrads {
    /// As a vector with one entry for each input.
    fn into_grads(self) -> Vec<Option<Var>>;
}

impl IntoGrads for Var {
    fn into_grads(self) -> Vec<Option<Var>> {
        vec![Some(self)]
    }
}

impl<const N: usize> IntoGrads for [Option<Var>; N] {
    fn into_grads(self) -> Vec<Option<Var>> {
        self.into()
    }
}

impl IntoGrads for Vec<Option<Var>> {
    fn into_grads(self) -> Vec<Option<Var>> {
        self
    }
}
