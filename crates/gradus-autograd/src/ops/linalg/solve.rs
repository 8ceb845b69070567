//! Inverses and solutions of linear systems.

use gradus_tensor::Result;

use super::{in_f64, wide};
use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The inverse of square matrices.
    ///
    /// Gradient: `−A⁻ᵀ dy A⁻ᵀ`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_inv`](gradus_tensor::Tensor::linalg_inv).
    #[doc = slope!("x.linalg_inv()?" => "-2.0, 1.0, 1.5, -0.5"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "-0.5, 0.5, 0.5, -0.5")]
    pub fn linalg_inv(&self) -> Result<Var> {
        in_f64("linalg_inv", self, |a| {
            let y = a.value().linalg_inv()?;
            Op::new("linalg_inv")
                .inputs(&[a])
                .saves_output()
                .record(y, |ctx, dy| {
                    let yt = ctx.output()?.mt()?;
                    yt.matmul(&dy)?.matmul(&yt)?.neg() // −Y⁻ᵀ dY Y⁻ᵀ
                })
        })
    }

    /// X with A X = B (X A = B where not `left`): A (…, N, N), B (…, N, M) or a vector (…, N).
    ///
    /// Gradient: `dB = A⁻ᵀ dX` and `dA = −dB Xᵀ`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_solve`](gradus_tensor::Tensor::linalg_solve).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let a = Var::leaf(Tensor::from_vec(vec![2f64, 0., 0., 4.], [2, 2])?)?;
    /// let b = Var::from(Tensor::from_vec(vec![2f64, 4.], [2])?);
    /// let x = a.linalg_solve(&b, true)?; // 1, 1
    /// let da = x.sum(.., false)?.backward()?;
    /// assert_eq!(da.get(&a).unwrap().to_vec::<f64>()?, [-0.5, -0.5, -0.25, -0.25]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn linalg_solve(&self, b: &Var, left: bool) -> Result<Var> {
        let op = "linalg_solve";
        let dtype = b.dtype();
        if self.dtype() != dtype {
            self.value().linalg_solve(b.value(), left)?; // the error is Tensor's
        }
        let vector = b.rank() == 1
            || (b.rank() + 1 == self.rank() && *b.dims() == self.dims()[..self.rank() - 1]);
        let (a, b) = (wide(op, self)?, wide(op, b)?);
        let y = a.value().linalg_solve(b.value(), left)?;
        Op::new(op)
            .inputs(&[&a, &b])
            .saves(0)
            .saves_output()
            .record(y, move |ctx, dx| {
                let column = |x: Var| if vector { x.unsqueeze(-1) } else { Ok(x) };
                let (x, dx) = (column(ctx.output()?)?, column(dx)?);
                let db = ctx.input(0)?.mt()?.linalg_solve(&dx, left)?; // A⁻ᵀ dX
                let da = ctx.grad(0, || {
                    let da = if left {
                        db.matmul(&x.mt()?)?
                    } else {
                        x.mt()?.matmul(&db)?
                    };
                    da.neg()?.sum_to(ctx.shape(0))
                })?;
                let db = ctx.grad(1, || {
                    let db = if vector { db.squeeze(-1)? } else { db.clone() };
                    db.sum_to(ctx.shape(1))
                })?;
                Ok([da, db])
            })?
            .to_dtype(dtype)
    }

    /// X with A X = B (or X A = B), A triangular: its other triangle is not read and has no gradient, nor its diagonal with
    /// `unitriangular`.
    ///
    /// Gradient: `dB = A⁻ᵀ dX` and the triangle of `−dB Xᵀ`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_solve_triangular`](gradus_tensor::Tensor::linalg_solve_triangular).
    #[doc = slope!("a.linalg_solve_triangular(&b, false, true, false)?" => "1.0, 1.0"; "a", "[2, 2]", "2.0, 0.0, 1.0, 4.0" => "-0.375, 0.0, -0.25, -0.25"; "b", "[2, 1]", "2.0, 5.0" => "0.375, 0.25")]
    pub fn linalg_solve_triangular(
        &self,
        b: &Var,
        upper: bool,
        left: bool,
        unitriangular: bool,
    ) -> Result<Var> {
        let op = "linalg_solve_triangular";
        let dtype = b.dtype();
        if self.dtype() != dtype {
            self.value()
                .linalg_solve_triangular(b.value(), upper, left, unitriangular)?; // the error is Tensor's
        }
        let (a, b) = (wide(op, self)?, wide(op, b)?);
        let y = a
            .value()
            .linalg_solve_triangular(b.value(), upper, left, unitriangular)?;
        Op::new(op)
            .inputs(&[&a, &b])
            .saves(0)
            .saves_output()
            .record(y, move |ctx, dx| {
                let x = ctx.output()?;
                let db = ctx.input(0)?.mt()?.linalg_solve_triangular(
                    &dx,
                    !upper,
                    left,
                    unitriangular,
                )?;
                let da = ctx.grad(0, || {
                    let da = if left {
                        db.matmul(&x.mt()?)?
                    } else {
                        x.mt()?.matmul(&db)?
                    };
                    let off = i64::from(unitriangular);
                    let da = if upper { da.triu(off)? } else { da.tril(-off)? };
                    da.neg()?.sum_to(ctx.shape(0))
                })?;
                Ok([da, ctx.grad(1, || db.sum_to(ctx.shape(1)))?])
            })?
            .to_dtype(dtype)
    }
}
