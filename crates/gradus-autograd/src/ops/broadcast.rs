//! Broadcasting and its transpose: what a size-1 dimension gave to many comes back as a sum.

use gradus_tensor::{Result, Shape, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// Repeats size-1 dimensions, and adds dimensions in front, without copying.
    ///
    /// Gradient: `dy` summed over what was stretched. Shapes, dtypes and errors are those of
    /// [`Tensor::broadcast_to`](gradus_tensor::Tensor::broadcast_to).
    #[doc = slope!("x.broadcast_to([2, 2])?" => "1.0, 2.0, 1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "2.0, 2.0")]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Var> {
        let shape = shape.into();
        if self.shape() == &shape {
            return Ok(self.clone());
        }
        let y = self.value().broadcast_to(shape)?;
        Op::new("broadcast_to")
            .inputs(&[self])
            .record(y, |ctx, dy| dy.sum_to(ctx.shape(0)))
    }

    /// The transpose of [`Var::broadcast_to`]: sums over the dimensions that broadcasting `shape` to this shape would
    /// repeat. What a broadcast operand's gradient needs.
    ///
    /// Gradient: `dy` stretched back.
    ///
    /// # Errors
    /// If this shape is not what `shape` broadcasts to.
    #[doc = slope!("x.sum_to([1, 2])?" => "4.0, 6.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn sum_to(&self, shape: impl Into<Shape>) -> Result<Var> {
        let shape = shape.into();
        if self.shape() == &shape {
            return Ok(self.clone());
        }
        let y = sum_to(self.value(), &shape)?;
        Op::new("sum_to")
            .inputs(&[self])
            .record(y, |ctx, dy| dy.broadcast_to(ctx.shape(0)))
    }
}

fn sum_to(x: &Tensor, shape: &Shape) -> Result<Tensor> {
    // [5, 2, 3] to [2, 1]: sum over dimension 0 (it is not in `shape`) and 2 (it has size 1 there).
    let lead = x.rank().saturating_sub(shape.len());
    let summed = |&i: &usize| i < lead || shape[i - lead] == 1 && x.dims()[i] != 1;
    let dims: Vec<isize> = (0..x.rank()).filter(summed).map(|i| i as isize).collect();
    let y = if dims.is_empty() {
        x.clone()
    } else {
        x.sum(dims, true)?
    };
    let wanted: Vec<isize> = shape.iter().map(|&n| n as isize).collect();
    y.reshape(&wanted)
}
