//! Products of matrices.

use gradus_tensor::Result;

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The matrix product, with `torch.matmul`'s rules: vectors are rows on the left and columns on the right, leading
    /// dimensions broadcast.
    pub fn matmul(&self, other: &Var) -> Result<Var> {
        let y = self.value().matmul(other.value())?;
        let (vector_a, vector_b) = (self.rank() == 1, other.rank() == 1);
        Op::new("matmul")
            .inputs(&[self, other])
            .saves_for(0, 1)
            .saves_for(1, 0)
            .record(y, move |ctx, dy| {
                // dy as (…, M, N), a as (…, M, K), b as (…, K, N).
                let mut dy = dy;
                if vector_b {
                    dy = dy.unsqueeze(-1)?;
                }
                if vector_a {
                    dy = dy.unsqueeze(-2)?;
                }
                let da = ctx.grad(0, || {
                    let b = ctx.input(1)?;
                    let b = if vector_b {
                        b.unsqueeze(-1)?
                    } else {
                        b.clone()
                    };
                    let da = dy.matmul(&b.transpose(-2, -1)?)?; // (…, M, K)
                    let da = if vector_a { da.squeeze(-2)? } else { da };
                    da.sum_to(ctx.shape(0))
                })?;
                let db = ctx.grad(1, || {
                    let a = ctx.input(0)?;
                    let a = if vector_a {
                        a.unsqueeze(-2)?
                    } else {
                        a.clone()
                    };
                    let db = if ctx.shape(1).len() == 2 && a.rank() > 2 {
                        // One matrix for the whole batch: one product over all its rows, not one for each and a sum.
                        rows(&a)?.t()?.matmul(&rows(&dy)?)? // (K, N)
                    } else {
                        a.transpose(-2, -1)?.matmul(&dy)? // (…, K, N)
                    };
                    let db = if vector_b { db.squeeze(-1)? } else { db };
                    db.sum_to(ctx.shape(1))
                })?;
                Ok([da, db])
            })
    }
}

/// (…, K) as a matrix (rows, K).
fn rows(x: &Var) -> Result<Var> {
    let columns = x.dim(-1)?;
    let rows: usize = x.dims()[..x.rank() - 1].iter().product(); // not numel / K: K may be 0
    x.reshape([rows as isize, columns as isize])
}
