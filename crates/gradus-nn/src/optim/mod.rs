//! Optimisers: `step(&mut model, &gradients)` changes the parameters a little. Each file is one algorithm: its options with
//! PyTorch's names and defaults, and its update of one element. The rest (groups, state, names, dtypes) is [`Optim`], once
//! for all. It is not where rates change over time (`schedule`) nor where gradients are clipped (`clip`).
//!
//! ```
//! use gradus_autograd::functional as F;
//! use gradus_nn::optim::{AdamW, AdamWOptions, Optimizer};
//! use gradus_nn::{Layer, Linear, Module};
//! # use gradus_autograd::Var;
//! # use gradus_tensor::{DType, Tensor};
//! # fn main() -> gradus_tensor::Result<()> {
//! let mut model = Linear::new(2, 1)?;
//! let mut optimizer = AdamW::new(0.1)
//!     // no decay for biases: the last group that fits is the one that counts
//!     .group_where(|name, _| name.ends_with("bias"), AdamWOptions { lr: 0.1, weight_decay: 0.0, ..AdamWOptions::default() });
//! let x = Var::from(Tensor::ones([4, 2], DType::F32)?);
//! for _ in 0..100 {
//!     let y = model.forward(&x)?; // (4, 1), should become 3
//!     let loss = y.sub(&Var::from(y.value().full_like(3.0)?))?.square()?.mean(.., false)?;
//!     let gradients = loss.backward_once()?;
//!     optimizer.step(&mut model, &gradients)?;
//! }
//! assert!((model.forward(&x)?.value().to_vec::<f32>()?[0] - 3.0).abs() < 0.1);
//! # Ok(())
//! # }
//! ```

mod adadelta;
mod adagrad;
mod adam;
mod adamax;
mod asgd;
mod element;
mod engine;
mod lbfgs;
mod line_search;
mod nadam;
mod radam;
mod replay;
mod rmsprop;
mod rprop;
mod sgd;

pub use adadelta::{Adadelta, AdadeltaOptions};
pub use adagrad::{Adagrad, AdagradOptions};
pub use adam::{Adam, AdamOptions, AdamW, AdamWOptions};
pub use adamax::{Adamax, AdamaxOptions};
pub use asgd::{ASGD, AsgdOptions};
pub use engine::{Optim, ParamState, Rule};
pub use lbfgs::{LBFGS, LbfgsOptions, LineSearch};
pub use nadam::{NAdam, NAdamOptions};
pub use radam::{RAdam, RAdamOptions};
pub use rmsprop::{RMSprop, RMSpropOptions};
pub use rprop::{Rprop, RpropOptions};
pub use sgd::{SGD, SgdOptions};

use gradus_autograd::Gradients;
use gradus_tensor::Result;

use crate::module::{Module, StateDict};

/// Whatever can change a model by its gradients.
pub trait Optimizer {
    /// Changes every parameter that has a gradient and is not frozen.
    ///
    /// # Errors
    /// When an option makes no sense (a negative rate), or a gradient has another shape than its parameter; the message
    /// names the parameter.
    fn step(&mut self, model: &mut dyn Module, gradients: &Gradients) -> Result<()>;

    /// Counts one step more of those that a [`CudaGraph`](gradus_tensor::CudaGraph) was recorded with, and gives the graph this step's numbers:
    /// rates, bias corrections. Call it before each replay. A step that was recorded has not been made.
    ///
    /// # Errors
    /// When no step was recorded, what it remembers has moved since, or the algorithm has no step that can be recorded.
    fn replay(&mut self) -> Result<()> {
        Err(gradus_tensor::Error::value(
            "Optimizer::replay",
            "this optimiser has no step that a graph can replay; on a GPU Adam, AdamW, SGD, RMSprop and Adagrad have",
        ))
    }

    /// The learning rate of each group: the rest of the model first, then the groups in the order they were added.
    fn lrs(&self) -> Vec<f64>;

    /// Sets the rate of each group, in the order of [`lrs`](Self::lrs); groups beyond the end keep theirs.
    fn set_lrs(&mut self, lrs: &[f64]);

    /// The learning rate of the first group.
    fn lr(&self) -> f64 {
        self.lrs().first().copied().unwrap_or(0.0)
    }

    /// Sets one learning rate for all groups.
    fn set_lr(&mut self, lr: f64) {
        let lrs = vec![lr; self.lrs().len()];
        self.set_lrs(&lrs);
    }

    /// Sets the momentum of all groups (the first beta of Adam and its kin); nothing where there is none.
    fn set_momentum(&mut self, momentum: f64);

    /// What it remembers, by parameter: `fc1.weight.exp_avg`, `fc1.weight.step`; and `param_groups.0.lr`.
    /// Options other than the rate are not state: they are in the program.
    ///
    /// # Errors
    /// Only when memory for a scalar cannot be had.
    fn state_dict(&self) -> Result<StateDict>;

    /// Takes back what [`state_dict`](Self::state_dict) gave; what it remembered before is forgotten.
    ///
    /// # Errors
    /// When a name is not one that this optimiser writes, or a parameter's state is incomplete.
    fn load_state_dict(&mut self, state: &StateDict) -> Result<()>;
}
