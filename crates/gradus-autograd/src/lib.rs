//! Reverse-mode differentiation of any order for Gradus tensors.
//!
//! A [`Var`] is a tensor that remembers how it was computed. [`Var::backward`] walks that memory and gives the
//! [`Gradients`] of its leaves; [`grad`] gives gradients that can be differentiated again.
//!
//! ```
//! use gradus_autograd::Var;
//! use gradus_tensor::Tensor;
//!
//! let x = Var::leaf(Tensor::from_vec(vec![1.0f32, 2.0, 3.0], [3])?)?;
//! let loss = x.square()?.sum(.., false)?; // x1² + x2² + x3²
//! let grads = loss.backward()?;
//! assert_eq!(grads.get(&x).unwrap().to_vec::<f32>()?, [2.0, 4.0, 6.0]);
//! # Ok::<(), gradus_tensor::Error>(())
//! ```
//!
//! Reading order: [`Var`] (`var.rs`), the graph (`node.rs`), one operation and its rule ([`Op`], `op.rs`), the walk
//! (`engine.rs`); then `ops/`, where each operation stands beside its rule, and [`functional`].
//!
//! It is not a tape to be cleared, not a compiler, and does not differentiate with respect to integers.
#![forbid(unsafe_code)]

/// A doctest: leaves of a shape and their numbers, an expression, its value and the gradients of its sum, to six digits.
macro_rules! slope {
    ($call:literal => $y:literal $(; $name:literal, $shape:literal, $x:literal => $dx:literal)+) => {
        concat!(
            "\n```\n# use gradus_autograd::Var;\n# use gradus_tensor::Tensor;\n",
            "# let close = |a: &Tensor, b: Vec<f64>| {\n",
            "#     a.reshape([-1])?.allclose(&Tensor::from_vec(b.clone(), b.len())?, 1e-5, 1e-6, true)\n# };\n",
            $("let ", $name, " = Var::leaf(Tensor::from_vec(vec![", $x, "], ", $shape, ")?)?;\n",)+
            "let y = ", $call, ";\n",
            "assert!(close(y.value(), vec![", $y, "])?);\n",
            "let gradients = y.sum(.., false)?.backward()?;\n",
            $("assert!(close(gradients.get(&", $name, ").unwrap(), vec![", $dx, "])?);\n",)+
            "# Ok::<(), gradus_tensor::Error>(())\n```"
        )
    };
}

mod autocast;
mod checkpoint;
mod derivatives;
pub mod draw;
mod engine;
pub mod functional;
mod grad;
mod gradcheck;
mod gradients;
mod hooks;
mod mode;
mod node;
mod op;
mod operators;
mod ops;
mod recompute;
mod var;

pub use autocast::{autocast, autocast_dtype};
pub use checkpoint::checkpoint;
pub use derivatives::{hessian, hvp, jacobian, jvp};
pub use grad::grad;
pub use gradcheck::{Gradcheck, gradcheck, gradgradcheck};
pub use gradients::Gradients;
pub use hooks::HookHandle;
pub use mode::{GradMode, enable_grad, is_grad_enabled, no_grad};
pub use op::{Ctx, IntoGrads, Op};
pub use var::Var;
