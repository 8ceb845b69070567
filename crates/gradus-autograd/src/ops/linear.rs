//! Products of matrices.

use gradus_tensor::{Error, Result};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The matrix product, with `torch.matmul`'s rules: vectors are rows on the left and columns on the right, leading
    /// dimensions broadcast.
    ///
    /// Gradient: `dy bᵀ` and `aᵀ dy`, summed over broadcast batches. Shapes, dtypes and errors are those of
    /// [`Tensor::matmul`](gradus_tensor::Tensor::matmul).
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

impl Var {
    /// `x Wᵀ + b`, in one pass: this (…, in), weight (out, in), bias (out), to (…, out).
    ///
    /// Gradient: `dy W`, `dyᵀ x` and the sum of `dy` over all but the last dimension. Shapes, dtypes and errors are
    /// those of [`Tensor::linear`](gradus_tensor::Tensor::linear).
    pub fn linear(&self, weight: &Var, bias: Option<&Var>) -> Result<Var> {
        if weight.rank() == 1 && bias.is_none() {
            return self.matmul(weight); // one output feature, and no dimension for it
        }
        let y = self.value().linear(weight.value(), bias.map(Var::value))?;
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
    pub fn mm(&self, other: &Var) -> Result<Var> {
        ranks("mm", self, other, (2, 2))?.matmul(other)
    }

    /// The products of two batches of matrices of one size.
    ///
    /// Gradient: `dy bᵀ` and `aᵀ dy`, batch by batch. Shapes, dtypes and errors are those of
    /// [`Tensor::bmm`](gradus_tensor::Tensor::bmm).
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
    pub fn mv(&self, vector: &Var) -> Result<Var> {
        ranks("mv", self, vector, (2, 1))?.matmul(vector)
    }

    /// The inner product of two vectors.
    ///
    /// Gradient: `dy b` and `dy a`. Shapes, dtypes and errors are those of
    /// [`Tensor::dot`](gradus_tensor::Tensor::dot).
    pub fn dot(&self, other: &Var) -> Result<Var> {
        ranks("dot", self, other, (1, 1))?.matmul(other)
    }

    /// All products of elements of two vectors: (M), (N) to (M, N).
    ///
    /// Gradient: `dy b` and `dyᵀ a`. Shapes, dtypes and errors are those of
    /// [`Tensor::outer`](gradus_tensor::Tensor::outer).
    pub fn outer(&self, other: &Var) -> Result<Var> {
        ranks("outer", self, other, (1, 1))?
            .unsqueeze(1)?
            .mul(other)
    }

    /// Sums of products over the last dimension of both.
    ///
    /// Gradient: `dy` times the rows of the other, summed over its rows. Shapes, dtypes and errors are those of
    /// [`Tensor::inner`](gradus_tensor::Tensor::inner).
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

    /// Sums of products along `dim`; the operands broadcast.
    ///
    /// Gradient: `dy` times the other operand, summed over what was broadcast.
    ///
    /// # Errors
    /// If the shapes do not broadcast or there is no such dimension.
    pub fn vecdot(&self, other: &Var, dim: isize) -> Result<Var> {
        self.mul(other)?.sum(dim, false)
    }

    /// `beta · self + alpha · a b` of matrices.
    ///
    /// Gradient: `beta dy`, `alpha dy bᵀ` and `alpha aᵀ dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::addmm`](gradus_tensor::Tensor::addmm).
    pub fn addmm(&self, a: &Var, b: &Var, beta: f64, alpha: f64) -> Result<Var> {
        scaled_sum("addmm", self, &a.mm(b)?, beta, alpha)
    }

    /// `beta · self + alpha · a b` of batches of matrices.
    ///
    /// Gradient: `beta dy`, `alpha dy bᵀ` and `alpha aᵀ dy`, batch by batch. Shapes, dtypes and errors are those of
    /// [`Tensor::baddbmm`](gradus_tensor::Tensor::baddbmm).
    pub fn baddbmm(&self, a: &Var, b: &Var, beta: f64, alpha: f64) -> Result<Var> {
        scaled_sum("baddbmm", self, &a.bmm(b)?, beta, alpha)
    }

    /// `beta · self + alpha · a v` of a matrix and a vector.
    ///
    /// Gradient: `beta dy`, `alpha dy ⊗ v` and `alpha Aᵀ dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::addmv`](gradus_tensor::Tensor::addmv).
    pub fn addmv(&self, a: &Var, v: &Var, beta: f64, alpha: f64) -> Result<Var> {
        scaled_sum("addmv", self, &a.mv(v)?, beta, alpha)
    }

    /// Sums of products over dimensions `dims.0` of this and `dims.1` of the other, the rest side by side.
    ///
    /// Gradient: `dy` contracted with the other operand over its free dimensions.
    ///
    /// # Errors
    /// If the paired dimensions differ in number or size, or do not exist.
    pub fn tensordot(&self, other: &Var, dims: (&[isize], &[isize])) -> Result<Var> {
        let split = |x: &Var, over: &[isize]| -> Result<(Vec<isize>, Vec<isize>)> {
            let (mut out, rank) = (Vec::new(), x.rank() as isize);
            for &d in over {
                x.dim(d)?;
                out.push(d.rem_euclid(rank.max(1)));
            }
            Ok(((0..rank).filter(|d| !out.contains(d)).collect(), out))
        };
        let ((free_a, over_a), (free_b, over_b)) = (split(self, dims.0)?, split(other, dims.1)?);
        let size = |x: &Var, dims: &[isize]| {
            dims.iter()
                .map(|&d| x.dims()[d as usize])
                .collect::<Vec<_>>()
        };
        if size(self, &over_a) != size(other, &over_b) {
            return Err(unfit(
                "tensordot",
                self,
                other,
                &format!("dims {:?} and {:?} have different sizes", dims.0, dims.1),
            ));
        }
        let k: usize = size(self, &over_a).iter().product();
        let shape = [size(self, &free_a), size(other, &free_b)].concat();
        let (m, n): (usize, usize) = (
            size(self, &free_a).iter().product(),
            size(other, &free_b).iter().product(),
        );
        let a = self
            .permute(&[free_a, over_a].concat())?
            .reshape([m as isize, k as isize])?;
        let b = other
            .permute(&[over_b, free_b].concat())?
            .reshape([k as isize, n as isize])?;
        a.matmul(&b)?.reshape(super::sizes(&shape))
    }

    /// Every element of this times all of the other, in blocks.
    ///
    /// Gradient: for each operand the sum of `dy`'s blocks, weighted by the other.
    ///
    /// # Errors
    /// If the size of the result overflows.
    pub fn kron(&self, other: &Var) -> Result<Var> {
        let rank = self.rank().max(other.rank());
        let full = |x: &Var| [vec![1; rank - x.rank()], x.dims().to_vec()].concat();
        let (a, b) = (full(self), full(other));
        let alternate = |x: &[usize], first: bool| {
            x.iter()
                .flat_map(|&n| {
                    if first {
                        [n as isize, 1]
                    } else {
                        [1, n as isize]
                    }
                })
                .collect::<Vec<_>>()
        };
        let shape: Vec<isize> = a.iter().zip(&b).map(|(a, b)| (a * b) as isize).collect();
        self.reshape(alternate(&a, true))?
            .mul(&other.reshape(alternate(&b, false))?)?
            .reshape(shape)
    }

    /// The vector product along `dim`, which has size 3; the operands broadcast.
    ///
    /// Gradient: `b × dy` and `dy × a`.
    ///
    /// # Errors
    /// If `dim` has not size 3 in both, or the shapes do not broadcast.
    pub fn cross(&self, other: &Var, dim: isize) -> Result<Var> {
        if self.dim(dim)? != 3 || other.dim(dim)? != 3 {
            return Err(unfit(
                "cross",
                self,
                other,
                &format!("dimension {dim} must have size 3"),
            ));
        }
        let (a, b) = (
            |k: i64| self.roll(&[k], dim),
            |k: i64| other.roll(&[k], dim),
        );
        a(-1)?.mul(&b(-2)?)?.sub(&a(-2)?.mul(&b(-1)?)?)
    }

    /// The product of several matrices (the first and the last may be vectors), from the left.
    ///
    /// Gradient: for each factor the product of those before it, `dy`, and those after it, transposed.
    ///
    /// # Errors
    /// If there are fewer than two factors, or neighbours do not fit.
    pub fn multi_dot(vars: &[&Var]) -> Result<Var> {
        let [first, rest @ ..] = vars else {
            return Err(Error::value("multi_dot", "the list is empty"));
        };
        if rest.is_empty() {
            return Err(Error::value("multi_dot", "it takes at least 2 matrices"));
        }
        let inner = &vars[1..vars.len() - 1];
        let ends = [first.rank(), vars[vars.len() - 1].rank()];
        if inner.iter().any(|v| v.rank() != 2) || ends.iter().any(|&r| r != 1 && r != 2) {
            return Err(Error::shape(
                "multi_dot",
                "all must be matrices, but for the first and last, which may be vectors",
            ));
        }
        rest.iter()
            .try_fold((*first).clone(), |product, v| product.matmul(v))
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
