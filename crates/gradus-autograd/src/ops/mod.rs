//! Every differentiable operation, one short unit each: the value, what to save, the rule.
//!
//! Names, arguments and errors are those of the method of the same name on `Tensor`. Formulas and conventions where a
//! function has no derivative (at a kink, at a tie, at 0) are PyTorch's, from its `derivatives.yaml`.
//! An operation without a rule does not exist here.

mod activation;
mod algebra;
mod arithmetic;
mod broadcast;
mod cdist;
mod choose;
mod conv;
mod in_place;
mod index;
mod join;
mod linalg;
mod linear;
mod moved;
mod parts;
mod pool;
mod power;
mod products;
mod quantile;
mod reduce;
mod resample;
mod scan;
mod shape;
mod softmax;
mod sort;
mod trigonometry;
mod unary;
mod with_number;

pub(crate) use reduce::sizes;
