//! Products made of others: `einsum`, `tensordot`, Kronecker's, the vector product, chains and powers of matrices.

use gradus_tensor::ops::{einsum, linalg, products};
use gradus_tensor::{Result, TensordotDims};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// Einstein's summation; the notation is [`Tensor::einsum`](gradus_tensor::Tensor::einsum)'s.
    ///
    /// Gradient: that of its products, sums and diagonals, step by step. Shapes, dtypes and errors are
    /// those of [`Tensor::einsum`](gradus_tensor::Tensor::einsum).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let a = Var::leaf(Tensor::from_vec(vec![1f32, 2., 3., 4.], [2, 2])?)?;
    /// let trace = Var::einsum("ii", &[&a])?;
    /// assert_eq!(trace.backward()?.get(&a).unwrap().to_vec::<f32>()?, [1.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn einsum(equation: &str, operands: &[&Var]) -> Result<Var> {
        einsum::einsum(equation, operands)
    }

    /// Sums of products over dimensions of both, the dimensions that are left side by side.
    ///
    /// Gradient: `dy` contracted with the other operand over its free dimensions. Shapes, dtypes and errors are
    /// those of [`Tensor::tensordot`](gradus_tensor::Tensor::tensordot).
    #[doc = slope!("a.tensordot(&b, 1)?" => "17.0, 39.0"; "a", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "5.0, 6.0, 5.0, 6.0"; "b", "[2]", "5.0, 6.0" => "4.0, 6.0")]
    pub fn tensordot(&self, other: &Var, dims: impl Into<TensordotDims>) -> Result<Var> {
        einsum::tensordot(self, other, &dims.into())
    }

    /// Every element of this times all of the other, in blocks.
    ///
    /// Gradient: `dy` times the other operand, summed over its elements. Shapes, dtypes and errors are
    /// those of [`Tensor::kron`](gradus_tensor::Tensor::kron).
    #[doc = slope!("a.kron(&b)?" => "3.0, 4.0, 6.0, 8.0"; "a", "[2]", "1.0, 2.0" => "7.0, 7.0"; "b", "[2]", "3.0, 4.0" => "3.0, 3.0")]
    pub fn kron(&self, other: &Var) -> Result<Var> {
        products::kron(self, other)
    }

    /// Sums of products along `dim`; the operands broadcast.
    ///
    /// Gradient: `dy` times the other operand, summed over what was broadcast. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_vecdot`](gradus_tensor::Tensor::linalg_vecdot).
    #[doc = slope!("a.linalg_vecdot(&b, -1)?" => "11.0"; "a", "[2]", "1.0, 2.0" => "3.0, 4.0"; "b", "[2]", "3.0, 4.0" => "1.0, 2.0")]
    pub fn linalg_vecdot(&self, other: &Var, dim: isize) -> Result<Var> {
        products::vecdot(self, other, dim)
    }

    /// The vector product along `dim` (`None`: the first dimension of size 3); the operands broadcast.
    ///
    /// Gradient: `b × dy` and `dy × a`, summed over what was broadcast. Shapes, dtypes and errors are
    /// those of [`Tensor::cross`](gradus_tensor::Tensor::cross).
    #[doc = slope!("a.cross(&b, 0)?" => "0.0, 0.0, 1.0"; "a", "[3]", "1.0, 0.0, 0.0" => "1.0, 0.0, -1.0"; "b", "[3]", "0.0, 1.0, 0.0" => "0.0, 1.0, -1.0")]
    pub fn cross(&self, other: &Var, dim: impl Into<Option<isize>>) -> Result<Var> {
        let dim = dim.into();
        let y = self.value().cross(other.value(), dim)?;
        cross(self, other, y, dim)
    }

    /// [`Var::cross`] along a dimension that is given.
    ///
    /// Gradient: as [`Var::cross`]. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_cross`](gradus_tensor::Tensor::linalg_cross).
    #[doc = slope!("a.linalg_cross(&b, -1)?" => "0.0, 0.0, 1.0"; "a", "[3]", "1.0, 0.0, 0.0" => "1.0, 0.0, -1.0"; "b", "[3]", "0.0, 1.0, 0.0" => "0.0, 1.0, -1.0")]
    pub fn linalg_cross(&self, other: &Var, dim: isize) -> Result<Var> {
        let y = self.value().linalg_cross(other.value(), dim)?;
        cross(self, other, y, Some(dim))
    }

    /// The product of several matrices in the order of fewest multiplications; vectors at the ends.
    ///
    /// Gradient: that of each product of two. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_multi_dot`](gradus_tensor::Tensor::linalg_multi_dot).
    #[doc = slope!("Var::linalg_multi_dot(&[&a, &b, &c])?" => "55.0"; "a", "[1, 2]", "1.0, 2.0" => "15.0, 20.0"; "b", "[2, 1]", "3.0, 4.0" => "5.0, 10.0"; "c", "[1, 1]", "5.0" => "11.0")]
    pub fn linalg_multi_dot(vars: &[&Var]) -> Result<Var> {
        linalg::multi_dot(vars)
    }

    /// Aⁿ of square matrices; a negative n inverts first.
    ///
    /// Gradient: that of its products, and of the inverse. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_matrix_power`](gradus_tensor::Tensor::linalg_matrix_power).
    #[doc = slope!("x.linalg_matrix_power(3)?" => "1.0, 3.0, 0.0, 1.0"; "x", "[2, 2]", "1.0, 1.0, 0.0, 1.0" => "6.0, 3.0, 10.0, 6.0")]
    pub fn linalg_matrix_power(&self, n: i64) -> Result<Var> {
        linalg::matrix_power(self, n)
    }

    /// Rows of powers of each element of the last dimension: (…, K) to (…, K, n), n = K if not given.
    ///
    /// Gradient: that of a cumulative product. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_vander`](gradus_tensor::Tensor::linalg_vander).
    #[doc = slope!("x.linalg_vander(3)?" => "1.0, 2.0, 4.0, 1.0, 3.0, 9.0"; "x", "[2]", "2.0, 3.0" => "5.0, 7.0")]
    pub fn linalg_vander(&self, n: impl Into<Option<usize>>) -> Result<Var> {
        linalg::vander(self, n.into())
    }
}

/// dy·(a × b) = a·(b × dy) = b·(dy × a).
fn cross(a: &Var, b: &Var, y: gradus_tensor::Tensor, dim: Option<isize>) -> Result<Var> {
    // The first of size 3 may be another one in operands that broadcast.
    let dim = dim.unwrap_or_else(|| y.dims().iter().position(|&n| n == 3).unwrap_or(0) as isize);
    Op::new("cross")
        .inputs(&[a, b])
        .saves_for(0, 1)
        .saves_for(1, 0)
        .record(y, move |ctx, dy| {
            Ok([
                ctx.grad(0, || ctx.input(1)?.cross(&dy, dim)?.sum_to(ctx.shape(0)))?,
                ctx.grad(1, || dy.cross(ctx.input(0)?, dim)?.sum_to(ctx.shape(1)))?,
            ])
        })
}
