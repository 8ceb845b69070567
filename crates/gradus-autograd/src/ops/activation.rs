//! Activations with a kernel of their own. Those that are compositions are in `functional`.

use gradus_tensor::Result;

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// `max(x, 0)`; gradient 0 at 0.
    pub fn relu(&self) -> Result<Var> {
        let y = self.value().relu()?;
        Op::new("relu")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                let open = ctx.output()?.value().gt_scalar(0)?.to_dtype(dy.dtype())?;
                dy.mul(&Var::from(open))
            })
    }

    /// `1/(1 + e⁻ˣ)`.
    pub fn sigmoid(&self) -> Result<Var> {
        let y = self.value().sigmoid()?;
        Op::new("sigmoid")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                let y = ctx.output()?;
                dy.mul(&y.rsub_scalar(1)?.mul(&y)?)
            })
    }
}
