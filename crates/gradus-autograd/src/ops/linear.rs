//! Products of matrices, and `linear`, which adds a bias in the same pass.

use gradus_tensor::{Error, Result};

use crate::autocast::lower;
use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The matrix product, with `torch.matmul`'s rules: vectors are rows on the left and columns on the right, leading
    /// dimensions broadcast.
    ///
    /// Gradient: `dy bᵀ` and `aᵀ dy`, summed over broadcast batches. Shapes, dtypes and errors are those of
    /// [`Tensor::matmul`](gradus_tensor::Tensor::matmul).
    #[doc = slope!("a.matmul(&b)?" => "17.0, 39.0"; "a", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "5.0, 6.0, 5.0, 6.0"; "b", "[2]", "5.0, 6.0" => "4.0, 6.0")]
    pub fn matmul(&self, other: &Var) -> Result<Var> {
        if let Some([a, b]) = lower([self, other])? {
            return a.matmul(&b);
        }
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

impl Var {
    /// `x Wᵀ + b`, in one pass: this (…, in), weight (out, in), bias (out), to (…, out); or weight (in) and no bias, to (…).
    ///
    /// Gradient: `dy W`, `dyᵀ x` and the sum of `dy` over all but the last dimension. Shapes, dtypes and errors are
    /// those of [`Tensor::linear`](gradus_tensor::Tensor::linear).
    #[doc = slope!("x.linear(&a, Some(&b))?" => "16.0"; "x", "[1, 2]", "1.0, 2.0" => "3.0, 4.0"; "a", "[1, 2]", "3.0, 4.0" => "1.0, 2.0"; "b", "[1]", "5.0" => "1.0")]
    pub fn linear(&self, weight: &Var, bias: Option<&Var>) -> Result<Var> {
        if weight.rank() == 1 && bias.is_none() {
            return self.matmul(weight).map_err(|e| e.in_op("linear"));
        }
        if let Some([x, w]) = lower([self, weight])? {
            let bias = bias.map(|bias| bias.to_dtype(x.dtype())).transpose()?;
            return x.linear(&w, bias.as_ref());
        }
        let (w, b) = (weight.value(), bias.map(Var::value));
        let y = if weight.is_fixed() {
            self.value().linear_keeping(w, b)?
        } else {
            self.value().linear(w, b)?
        };
        let mut inputs = vec![self, weight];
        inputs.extend(bias);
        let has_bias = bias.is_some();
        let op = Op::new("linear")
            .inputs(&inputs)
            .saves_for(0, 1)
            .saves_for(1, 0);
        op.record(y, move |ctx, dy| {
            let dx = ctx.grad(0, || dy.matmul(ctx.input(1)?))?; // (…, in)
            let dy = rows(&dy)?; // (N, out)
            let dw = ctx.grad(1, || dy.t()?.matmul(&rows(ctx.input(0)?)?))?; // (out, in)
            let mut grads = vec![dx, dw];
            if has_bias {
                grads.push(ctx.grad(2, || dy.sum(0, false)?.sum_to(ctx.shape(2)))?);
            }
            Ok(grads)
        })
    }

    /// The product of two matrices.
    ///
    /// Gradient: `dy bᵀ` and `aᵀ dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::mm`](gradus_tensor::Tensor::mm).
    #[doc = slope!("a.mm(&b)?" => "11.0"; "a", "[1, 2]", "1.0, 2.0" => "3.0, 4.0"; "b", "[2, 1]", "3.0, 4.0" => "1.0, 2.0")]
    pub fn mm(&self, other: &Var) -> Result<Var> {
        ranks("mm", self, other, (2, 2))?.matmul(other)
    }

    /// The products of two batches of matrices of one size.
    ///
    /// Gradient: `dy bᵀ` and `aᵀ dy`, batch by batch. Shapes, dtypes and errors are those of
    /// [`Tensor::bmm`](gradus_tensor::Tensor::bmm).
    #[doc = slope!("a.bmm(&b)?" => "11.0"; "a", "[1, 1, 2]", "1.0, 2.0" => "3.0, 4.0"; "b", "[1, 2, 1]", "3.0, 4.0" => "1.0, 2.0")]
    pub fn bmm(&self, other: &Var) -> Result<Var> {
        if self.dims().first() != other.dims().first() {
            return Err(unfit("bmm", self, other, "the batch sizes differ"));
        }
        ranks("bmm", self, other, (3, 3))?.matmul(other)
    }

    /// A matrix by a vector.
    ///
    /// Gradient: `dy ⊗ v` and `Aᵀ dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::mv`](gradus_tensor::Tensor::mv).
    #[doc = slope!("a.mv(&b)?" => "11.0"; "a", "[1, 2]", "1.0, 2.0" => "3.0, 4.0"; "b", "[2]", "3.0, 4.0" => "1.0, 2.0")]
    pub fn mv(&self, vector: &Var) -> Result<Var> {
        ranks("mv", self, vector, (2, 1))?.matmul(vector)
    }

    /// The inner product of two vectors.
    ///
    /// Gradient: `dy b` and `dy a`. Shapes, dtypes and errors are those of
    /// [`Tensor::dot`](gradus_tensor::Tensor::dot).
    #[doc = slope!("a.dot(&b)?" => "11.0"; "a", "[2]", "1.0, 2.0" => "3.0, 4.0"; "b", "[2]", "3.0, 4.0" => "1.0, 2.0")]
    pub fn dot(&self, other: &Var) -> Result<Var> {
        ranks("dot", self, other, (1, 1))?.matmul(other)
    }

    /// All products of elements of two vectors: (M), (N) to (M, N).
    ///
    /// Gradient: `dy b` and `dyᵀ a`. Shapes, dtypes and errors are those of
    /// [`Tensor::outer`](gradus_tensor::Tensor::outer).
    #[doc = slope!("a.outer(&b)?" => "3.0, 4.0, 6.0, 8.0"; "a", "[2]", "1.0, 2.0" => "7.0, 7.0"; "b", "[2]", "3.0, 4.0" => "3.0, 3.0")]
    pub fn outer(&self, other: &Var) -> Result<Var> {
        ranks("outer", self, other, (1, 1))?
            .unsqueeze(1)?
            .mul(other)
    }

    /// Sums of products over the last dimension of both.
    ///
    /// Gradient: `dy` times the rows of the other, summed over its rows. Shapes, dtypes and errors are those of
    /// [`Tensor::inner`](gradus_tensor::Tensor::inner).
    #[doc = slope!("a.inner(&b)?" => "11.0"; "a", "[2]", "1.0, 2.0" => "3.0, 4.0"; "b", "[2]", "3.0, 4.0" => "1.0, 2.0")]
    pub fn inner(&self, other: &Var) -> Result<Var> {
        if self.rank() == 0 || other.rank() == 0 {
            return self.mul(other);
        }
        if self.dims().last() != other.dims().last() {
            return Err(unfit("inner", self, other, "the last sizes differ"));
        }
        let shape = [
            &self.dims()[..self.rank() - 1],
            &other.dims()[..other.rank() - 1],
        ]
        .concat();
        rows(self)?
            .matmul(&rows(other)?.t()?)?
            .reshape(super::sizes(&shape))
    }

    /// `beta · self + alpha · a b` of matrices.
    ///
    /// Gradient: `beta dy`, `alpha dy bᵀ` and `alpha aᵀ dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::addmm`](gradus_tensor::Tensor::addmm).
    #[doc = slope!("x.addmm(&a, &b, 1.0, 0.5)?" => "6.5"; "x", "[1, 1]", "1.0" => "1.0"; "a", "[1, 2]", "1.0, 2.0" => "1.5, 2.0"; "b", "[2, 1]", "3.0, 4.0" => "0.5, 1.0")]
    pub fn addmm(&self, a: &Var, b: &Var, beta: f64, alpha: f64) -> Result<Var> {
        let product = a.mm(b).map_err(|e| e.in_op("addmm"))?;
        scaled_sum("addmm", self, &product, beta, alpha)
    }

    /// `beta · self + alpha · a b` of batches of matrices.
    ///
    /// Gradient: `beta dy`, `alpha dy bᵀ` and `alpha aᵀ dy`, batch by batch. Shapes, dtypes and errors are those of
    /// [`Tensor::baddbmm`](gradus_tensor::Tensor::baddbmm).
    #[doc = slope!("x.baddbmm(&a, &b, 1.0, 0.5)?" => "6.5"; "x", "[1, 1, 1]", "1.0" => "1.0"; "a", "[1, 1, 2]", "1.0, 2.0" => "1.5, 2.0"; "b", "[1, 2, 1]", "3.0, 4.0" => "0.5, 1.0")]
    pub fn baddbmm(&self, a: &Var, b: &Var, beta: f64, alpha: f64) -> Result<Var> {
        let product = a.bmm(b).map_err(|e| e.in_op("baddbmm"))?;
        scaled_sum("baddbmm", self, &product, beta, alpha)
    }

    /// `beta · self + alpha · a v` of a matrix and a vector.
    ///
    /// Gradient: `beta dy`, `alpha dy ⊗ v` and `alpha Aᵀ dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::addmv`](gradus_tensor::Tensor::addmv).
    #[doc = slope!("x.addmv(&a, &b, 1.0, 0.5)?" => "6.5"; "x", "[1]", "1.0" => "1.0"; "a", "[1, 2]", "1.0, 2.0" => "1.5, 2.0"; "b", "[2]", "3.0, 4.0" => "0.5, 1.0")]
    pub fn addmv(&self, a: &Var, v: &Var, beta: f64, alpha: f64) -> Result<Var> {
        let product = a.mv(v).map_err(|e| e.in_op("addmv"))?;
        scaled_sum("addmv", self, &product, beta, alpha)
    }

    /// `beta · self + alpha · Σ aᵢ bᵢ` over batches of matrices.
    ///
    /// Gradient: `beta dy`, `alpha dy bᵢᵀ` and `alpha aᵢᵀ dy`. Shapes, dtypes and errors are
    /// those of [`Tensor::addbmm`](gradus_tensor::Tensor::addbmm).
    #[doc = slope!("x.addbmm(&a, &b, 1.0, 0.5)?" => "6.5"; "x", "[1, 1]", "1.0" => "1.0"; "a", "[1, 1, 2]", "1.0, 2.0" => "1.5, 2.0"; "b", "[1, 2, 1]", "3.0, 4.0" => "0.5, 1.0")]
    pub fn addbmm(&self, a: &Var, b: &Var, beta: f64, alpha: f64) -> Result<Var> {
        if (a.rank(), b.rank()) != (3, 3) || a.dims()[0] != b.dims()[0] {
            return Err(unfit(
                "addbmm",
                a,
                b,
                "it takes batches of matrices, of one size",
            ));
        }
        // All batches side by side: one product.
        let product = a
            .tensordot(b, ([0, 2], [0, 1]))
            .map_err(|e| e.in_op("addbmm"))?;
        scaled_sum("addbmm", self, &product, beta, alpha)
    }

    /// `beta · self + alpha · u vᵀ` of vectors.
    ///
    /// Gradient: `beta dy`, `alpha dy v` and `alpha dyᵀ u`. Shapes, dtypes and errors are
    /// those of [`Tensor::addr`](gradus_tensor::Tensor::addr).
    #[doc = slope!("x.addr(&a, &b, 1.0, 0.5)?" => "4.0"; "x", "[1, 1]", "1.0" => "1.0"; "a", "[1]", "2.0" => "1.5"; "b", "[1]", "3.0" => "1.0")]
    pub fn addr(&self, u: &Var, v: &Var, beta: f64, alpha: f64) -> Result<Var> {
        let product = u.outer(v).map_err(|e| e.in_op("addr"))?;
        scaled_sum("addr", self, &product, beta, alpha)
    }
}

fn scaled_sum(op: &'static str, x: &Var, product: &Var, beta: f64, alpha: f64) -> Result<Var> {
    let product = if alpha == 1.0 {
        product.clone()
    } else {
        product.mul_scalar(alpha)?
    };
    // With beta 0 what x holds does not count, NaN included.
    if x.shape().broadcast(product.shape()).ok().as_ref() != Some(product.shape()) {
        return Err(unfit(
            op,
            x,
            &product,
            "the first does not broadcast to the product",
        ));
    }
    match beta {
        0.0 => Ok(product),
        1.0 => x.add(&product),
        _ => x.mul_scalar(beta)?.add(&product),
    }
}

fn ranks<'a>(op: &'static str, a: &'a Var, b: &Var, want: (usize, usize)) -> Result<&'a Var> {
    if (a.rank(), b.rank()) == want {
        return Ok(a);
    }
    Err(unfit(
        op,
        a,
        b,
        &format!("it takes ranks {} and {}", want.0, want.1),
    ))
}

fn unfit(op: &'static str, a: &Var, b: &Var, why: &str) -> Error {
    Error::shape(op, format!("{} x {}: {why}", a.shape(), b.shape()))
}
