//! Which of our functions answers to which name of PyTorch's.
//!
//! A family's file (`elementwise.rs`, …) has one `register` function with a line per op. An op is a closure from [`Args`] to its outputs:
//! differentiable ones as `Var`, the others (comparisons, indices) as `Tensor`.

use std::collections::BTreeMap;

use gradus_autograd::Var;
use gradus_tensor::{Device, Result as TensorResult, Tensor};

use super::args::{Args, Ran};

/// One output.
#[derive(Debug)]
pub enum Output {
    Var(Var),
    Tensor(Tensor),
}

/// The outputs of a call, in PyTorch's order.
pub struct Outputs(pub Vec<Output>);

impl Outputs {
    /// Waits for the values, which a GPU may not have yet.
    pub fn read(&self) -> TensorResult<()> {
        self.0.iter().try_for_each(|output| {
            let x = match output {
                Output::Var(x) => x.value(),
                Output::Tensor(x) => x,
            };
            x.to_device(&Device::Cpu).map(|_| ())
        })
    }
}

impl From<Var> for Outputs {
    fn from(v: Var) -> Self {
        Outputs(vec![Output::Var(v)])
    }
}

impl From<Tensor> for Outputs {
    fn from(t: Tensor) -> Self {
        Outputs(vec![Output::Tensor(t)])
    }
}

impl From<(Var, Tensor)> for Outputs {
    fn from((v, t): (Var, Tensor)) -> Self {
        Outputs(vec![Output::Var(v), Output::Tensor(t)])
    }
}

impl From<(Var, Var)> for Outputs {
    fn from((a, b): (Var, Var)) -> Self {
        Outputs(vec![Output::Var(a), Output::Var(b)])
    }
}

impl From<Vec<Var>> for Outputs {
    fn from(v: Vec<Var>) -> Self {
        Outputs(v.into_iter().map(Output::Var).collect())
    }
}

impl From<Vec<Tensor>> for Outputs {
    fn from(t: Vec<Tensor>) -> Self {
        Outputs(t.into_iter().map(Output::Tensor).collect())
    }
}

type Run = Box<dyn Fn(&Args) -> Ran<Outputs>>;

/// A registered op.
pub struct Entry {
    pub run: Run,
    /// The f32 tolerance is multiplied by this.
    pub slack: f64,
}

/// Every registered op by PyTorch's name.
#[derive(Default)]
pub struct Registry {
    entries: BTreeMap<&'static str, Entry>,
}

impl Registry {
    /// All families.
    pub fn all() -> Self {
        let mut r = Self::default();
        super::elementwise::register(&mut r);
        super::reduce::register(&mut r);
        super::shape::register(&mut r);
        super::linalg::register(&mut r);
        super::nn::register(&mut r);
        super::nn_loss::register(&mut r);
        super::nn_spatial::register(&mut r);
        r
    }

    pub fn get(&self, op: &str) -> Option<&Entry> {
        self.entries.get(op)
    }

    /// The general form: `r.op("lerp", |a| Ok(a.var(0)?.lerp(&a.var(1)?, a.f64(2, "weight", 0.0)?)?))`.
    pub fn op<T: Into<Outputs>>(
        &mut self,
        name: &'static str,
        run: impl Fn(&Args) -> Ran<T> + 'static,
    ) -> &mut Entry {
        let entry = Entry {
            run: Box::new(move |a| run(a).map(Into::into)),
            slack: 1.0,
        };
        let previous = self.entries.insert(name, entry);
        assert!(previous.is_none(), "{name} is registered twice");
        self.entries.entry(name).or_insert_with(|| unreachable!())
    }

    /// `f(x)`, differentiable.
    pub fn unary(&mut self, name: &'static str, f: fn(&Var) -> TensorResult<Var>) -> &mut Entry {
        self.op(name, move |a| Ok(f(&a.var(0)?)?))
    }

    /// `f(x, y)`, differentiable.
    pub fn binary(
        &mut self,
        name: &'static str,
        f: fn(&Var, &Var) -> TensorResult<Var>,
    ) -> &mut Entry {
        self.op(name, move |a| Ok(f(&a.var(0)?, &a.var(1)?)?))
    }

    /// `f(x)` of tensors.
    pub fn tensor_unary(
        &mut self,
        name: &'static str,
        f: fn(&Tensor) -> TensorResult<Tensor>,
    ) -> &mut Entry {
        self.op(name, move |a| Ok(f(&a.tensor(0)?)?))
    }

    /// `f(x, y)` of tensors.
    pub fn tensor_binary(
        &mut self,
        name: &'static str,
        f: fn(&Tensor, &Tensor) -> TensorResult<Tensor>,
    ) -> &mut Entry {
        self.op(name, move |a| Ok(f(&a.tensor(0)?, &a.tensor(1)?)?))
    }
}

impl Entry {
    /// Widens the f32 tolerance of an ill-conditioned op; say why beside the call.
    pub fn slack(&mut self, factor: f64) {
        self.slack = factor;
    }
}
