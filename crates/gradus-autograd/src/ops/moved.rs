//! One rule for every operation that only moves elements: copies some of them, to new places, perhaps several times.
//!
//! Where each element came from is asked of the operation itself, by running it on the numbers 0, 1, 2, …; the gradient
//! is added back to those places. (Views do the same without a list of places: see `shape.rs`.)

use gradus_tensor::{DType, Result, Tensor};

use crate::op::Op;
use crate::ops::reduce::sizes;
use crate::var::Var;

/// The elements of `x`, moved by `f`.
pub(crate) fn moved(
    op: &'static str,
    x: &Var,
    f: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Var> {
    let y = f(x.value())?;
    Op::new(op).inputs(&[x]).record(y, move |ctx, dy| {
        let shape = ctx.shape(0);
        let numbers = Tensor::arange(0, shape.numel()? as i64, 1, (DType::I64, dy.device()))?
            .reshape(sizes(shape))?;
        let from = f(&numbers)?;
        Var::from(Tensor::zeros(shape, &dy)?).put(&from, &dy, true)
    })
}
