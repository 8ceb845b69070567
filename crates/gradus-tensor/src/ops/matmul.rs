//! Products of vectors and matrices: `matmul` and its stricter relatives. Whole numbers wrap; f16 and bf16 are computed
//! in f32 and rounded once.

use gradus_cpu::bf16;
use gradus_cpu::gemm::{self, Bias, Epilogue};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::{Tensor, view};

/// An error that names both shapes.
fn fail(op: &'static str, a: &Tensor, b: &Tensor, why: &str) -> Error {
    Error::shape(op, format!("{} x {}: {why}", a.shape(), b.shape()))
}

/// Checks ranks and dtypes before a strict product.
fn expect_ranks(op: &'static str, a: &Tensor, b: &Tensor, ranks: (usize, usize)) -> Result<()> {
    if (a.rank(), b.rank()) != ranks {
        return Err(fail(
            op,
            a,
            b,
            &format!(
                "it takes ranks {} and {}; use matmul for others",
                ranks.0, ranks.1
            ),
        ));
    }
    Ok(())
}

impl Tensor {
    /// The matrix product, by PyTorch's rules: a vector counts as one row (left) or one column (right), leading
    /// dimensions broadcast. `[.., M, K] x [.., K, N] -> [.., M, N]`.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::ones([8, 197, 768], DType::F32)?;
    /// let w = Tensor::ones([768, 10], DType::F32)?;
    /// assert_eq!(x.matmul(&w)?.dims(), [8, 197, 10]);
    /// let e = x.matmul(&w.narrow(0, 0, 512)?).unwrap_err();
    /// assert_eq!(e.to_string(), "matmul: [8,197,768] x [512,10]: inner 768 != 512");
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Inner sizes or dtypes differ, a side has rank 0, or leading dimensions do not broadcast.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        self.product("matmul", other, None)
    }

    /// The product, with `bias` `[N]` added to each row in the same pass.
    pub(super) fn product(
        &self,
        op: &'static str,
        other: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.product_keeping(op, other, bias, false)
    }

    /// The same; what is packed of `other` is kept beside its memory, if it is asked for.
    pub(super) fn product_keeping(
        &self,
        op: &'static str,
        other: &Tensor,
        bias: Option<&Tensor>,
        keep: bool,
    ) -> Result<Tensor> {
        if self.rank() == 0 || other.rank() == 0 {
            return Err(fail(
                op,
                self,
                other,
                "both sides need at least 1 dimension; use mul for a number",
            ));
        }
        if self.dtype() != other.dtype() {
            let message = format!(
                "{} x {}: dtypes {} and {} differ; convert one with to_dtype",
                self.shape(),
                other.shape(),
                self.dtype(),
                other.dtype()
            );
            return Err(Error::dtype(op, message));
        }
        let a = if self.rank() == 1 {
            self.unsqueeze(0)?
        } else {
            self.clone()
        };
        let b = if other.rank() == 1 {
            other.unsqueeze(1)?
        } else {
            other.clone()
        };
        let (m, k, n) = (
            a.dims()[a.rank() - 2],
            a.dims()[a.rank() - 1],
            b.dims()[b.rank() - 1],
        );
        let k2 = b.dims()[b.rank() - 2];
        if k != k2 {
            let hint = if other.rank() == 2 && n == k {
                "; transpose the right side (.t()) if it is stored [N,K]"
            } else {
                ""
            };
            return Err(fail(op, self, other, &format!("inner {k} != {k2}{hint}")));
        }
        let lead = |t: &Tensor| Shape::new(&t.dims()[..t.rank() - 2]);
        let batch = lead(&a)
            .broadcast(&lead(&b))
            .map_err(|_| fail(op, self, other, "leading dimensions do not broadcast"))?;
        let full = |x: usize, y: usize| {
            let mut s = batch.clone();
            s.0.push(x);
            s.0.push(y);
            s
        };
        let (a, b) = if batch.0.is_empty() {
            (a, b)
        } else {
            let (la, lb) = (
                a.layout.broadcast_to(&full(m, k))?,
                b.layout.broadcast_to(&full(k, n))?,
            );
            (a.with_layout(la), b.with_layout(lb))
        };
        let mut of_rank = batch.clone();
        (self.rank() > 1).then(|| of_rank.0.push(m));
        (other.rank() > 1).then(|| of_rank.0.push(n));
        on_cuda!([a, b] => cuda::matmul::product(op, &a, &b, bias, &full(m, n))?.reshape_to(&of_rank));
        let out = match self.dtype() {
            DType::F32 => product_f32(op, &a, &b, bias, keep, full(m, n))?,
            DType::F64 => product_f64(op, &a, &b, bias, keep, full(m, n))?,
            half @ (DType::F16 | DType::BF16) => {
                let wide = |x: &Tensor| x.to_dtype(DType::F32);
                let bias = bias.map(wide).transpose()?;
                let fast = match half {
                    DType::BF16 => product_bf16(op, &a, &b, bias.as_ref(), keep, full(m, n))?,
                    _ => None,
                };
                match fast {
                    Some(product) => product,
                    None => {
                        let (a, b) = (wide(&a)?, wide(&b)?);
                        product_f32(op, &a, &b, bias.as_ref(), false, full(m, n))?.to_dtype(half)?
                    }
                }
            }
            DType::Bool => {
                return Err(Error::dtype(
                    op,
                    "not defined for bool; convert with to_dtype first",
                ));
            }
            whole => {
                let wide = |x: &Tensor| x.to_dtype(DType::I64)?.contiguous();
                let out = whole_product(op, &wide(&a)?, &wide(&b)?, full(m, n), (m, k, n))?
                    .to_dtype(whole)?;
                match bias {
                    Some(bias) => out.add_(bias)?,
                    None => out,
                }
            }
        };
        if out.shape() == &of_rank {
            return Ok(out);
        }
        out.reshape_to(&of_rank)
    }

    /// The product of two matrices: `[M, K] x [K, N] -> [M, N]`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.mm(&Tensor::from_slice(&[1.0, 0.0, 1.0, 1.0], [2, 2])?)?.to_vec::<f64>()?, [3.0, 2.0, 7.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A side is not a matrix, or inner sizes or dtypes differ.
    pub fn mm(&self, other: &Tensor) -> Result<Tensor> {
        expect_ranks("mm", self, other, (2, 2))?;
        self.product("mm", other, None)
    }

    /// The products of two batches of matrices: `[B, M, K] x [B, K, N] -> [B, M, N]`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?.unsqueeze(0)?; // (1, 2, 2)
    /// assert_eq!(x.bmm(&x)?.to_vec::<f64>()?, [7.0, 10.0, 15.0, 22.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A side has not rank 3, or batch sizes, inner sizes or dtypes differ.
    pub fn bmm(&self, other: &Tensor) -> Result<Tensor> {
        expect_ranks("bmm", self, other, (3, 3))?;
        if self.dims()[0] != other.dims()[0] {
            return Err(fail("bmm", self, other, "the batch sizes differ"));
        }
        self.product("bmm", other, None)
    }

    /// The product of a matrix and a vector: `[M, K] x [K] -> [M]`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.mv(&Tensor::from_slice(&[1.0, 10.0], 2)?)?.to_vec::<f64>()?, [21.0, 43.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The ranks are not 2 and 1, or sizes or dtypes differ.
    pub fn mv(&self, vector: &Tensor) -> Result<Tensor> {
        expect_ranks("mv", self, vector, (2, 1))?;
        self.product("mv", vector, None)
    }

    /// The inner product of two vectors: `[K] x [K] -> []`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.dot(&Tensor::from_slice(&[4.0, 5.0, 6.0], 3)?)?.to_vec::<f64>()?, [32.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A side is not a vector, or sizes or dtypes differ.
    pub fn dot(&self, other: &Tensor) -> Result<Tensor> {
        expect_ranks("dot", self, other, (1, 1))?;
        self.product("dot", other, None)
    }

    /// All products of elements of two vectors: `[M] x [N] -> [M, N]`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.outer(&Tensor::from_slice(&[3.0, 4.0], 2)?)?.to_vec::<f64>()?, [3.0, 4.0, 6.0, 8.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A side is not a vector.
    pub fn outer(&self, other: &Tensor) -> Result<Tensor> {
        expect_ranks("outer", self, other, (1, 1))?;
        self.unsqueeze(1)?.mul(other)
    }

    /// Sums of products over the last dimension of both: `[.., K] x [.., K]`, the result having both leading shapes.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.inner(&Tensor::from_slice(&[1.0, 10.0], 2)?)?.to_vec::<f64>()?, [21.0, 43.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The last sizes or dtypes differ.
    pub fn inner(&self, other: &Tensor) -> Result<Tensor> {
        if self.rank() == 0 || other.rank() == 0 {
            return self.mul(other);
        }
        let (k, k2) = (self.dim(-1)?, other.dim(-1)?);
        if k != k2 {
            return Err(fail("inner", self, other, &format!("last {k} != {k2}")));
        }
        let rows =
            |x: &Tensor| x.reshape_to(&Shape::from([x.dims()[..x.rank() - 1].iter().product(), k]));
        let mut shape = self.dims()[..self.rank() - 1].to_vec();
        shape.extend_from_slice(&other.dims()[..other.rank() - 1]);
        rows(self)?
            .product("inner", &rows(other)?.t()?, None)?
            .reshape_to(&Shape::from(shape))
    }

    /// `beta·self + alpha·(a x b)` of matrices, `self` broadcasting.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.addmm(&x, &x, 10, 1)?.to_vec::<f64>()?, [17.0, 30.0, 45.0, 62.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The sizes do not fit.
    pub fn addmm(
        &self,
        a: &Tensor,
        b: &Tensor,
        beta: impl Into<Scalar>,
        alpha: impl Into<Scalar>,
    ) -> Result<Tensor> {
        expect_ranks("addmm", a, b, (2, 2))?;
        self.scaled_sum(
            "addmm",
            a.product("addmm", b, None)?,
            beta.into(),
            alpha.into(),
        )
    }

    /// `beta·self + alpha·(a x b)` of batches of matrices.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?.unsqueeze(0)?; // (1, 2, 2)
    /// assert_eq!(x.baddbmm(&x, &x, 10, 1)?.to_vec::<f64>()?, [17.0, 30.0, 45.0, 62.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The sizes do not fit.
    pub fn baddbmm(
        &self,
        a: &Tensor,
        b: &Tensor,
        beta: impl Into<Scalar>,
        alpha: impl Into<Scalar>,
    ) -> Result<Tensor> {
        let product = a.bmm(b).map_err(|e| e.in_op("baddbmm"))?;
        self.scaled_sum("baddbmm", product, beta.into(), alpha.into())
    }

    /// `beta·self + alpha·(matrix x vector)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.addmv(&Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?, &Tensor::from_slice(&[1.0, 1.0], 2)?, 10, 1)?.to_vec::<f64>()?, [13.0, 27.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The sizes do not fit.
    pub fn addmv(
        &self,
        matrix: &Tensor,
        vector: &Tensor,
        beta: impl Into<Scalar>,
        alpha: impl Into<Scalar>,
    ) -> Result<Tensor> {
        let product = matrix.mv(vector).map_err(|e| e.in_op("addmv"))?;
        self.scaled_sum("addmv", product, beta.into(), alpha.into())
    }

    pub(crate) fn scaled_sum(
        &self,
        op: &'static str,
        product: Tensor,
        beta: Scalar,
        alpha: Scalar,
    ) -> Result<Tensor> {
        if self.dtype() != product.dtype() {
            return Err(Error::dtype(
                op,
                format!(
                    "{} is added to a product of {}; convert one with to_dtype",
                    self.dtype(),
                    product.dtype()
                ),
            ));
        }
        let whole = !self.dtype().is_float();
        if whole && (matches!(alpha, Scalar::Float(_)) || matches!(beta, Scalar::Float(_))) {
            return Err(Error::value(
                op,
                format!("alpha and beta must be whole numbers for {}", self.dtype()),
            ));
        }
        let me = self
            .broadcast_to(product.shape())
            .map_err(|e| e.in_op(op))?;
        let scaled = if alpha.to_f64() == 1.0 {
            product
        } else {
            product.mul_scalar_(alpha)?
        };
        match beta {
            beta if beta.to_f64() == 0.0 => Ok(scaled), // even NaN counts for nothing
            beta if beta.to_f64() == 1.0 => scaled.add_(&me),
            beta => scaled.add_(&me.mul_scalar(beta)?),
        }
    }
}

/// All operands have the batch's leading dimensions (stride 0 where broadcast).
macro_rules! float_product {
    ($name:ident $t:ty) => {
        fn $name(
            op: &'static str,
            a: &Tensor,
            b: &Tensor,
            bias: Option<&Tensor>,
            keep: bool,
            shape: Shape,
        ) -> Result<Tensor> {
            let kept = keep.then(|| b.storage.kept()).flatten();
            let (va, vb) = (view::<$t>(a, &a.layout)?, view::<$t>(b, &b.layout)?);
            let epilogue = match bias {
                Some(bias) => Epilogue::bias(Bias::Column(bias.data::<$t>(op)?)),
                None => Epilogue::default(),
            };
            Tensor::try_build::<$t>(op, shape, |y| {
                Ok(gemm::matmul_keeping(va, vb, kept, &epilogue, y)?)
            })
        }
    };
}
float_product!(product_f32 f32);
float_product!(product_f64 f64);

/// The same of bf16, where the processor multiplies them itself; the bias is f32.
fn product_bf16(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    bias: Option<&Tensor>,
    keep: bool,
    shape: Shape,
) -> Result<Option<Tensor>> {
    let kept = keep.then(|| b.storage.kept()).flatten();
    let (va, vb) = (view::<bf16>(a, &a.layout)?, view::<bf16>(b, &b.layout)?);
    let epilogue = match bias {
        Some(bias) => Epilogue::bias(Bias::Column(bias.data::<f32>(op)?)),
        None => Epilogue::default(),
    };
    let mut computed = false;
    let y = Tensor::try_build::<bf16>(op, shape, |y| {
        computed = gemm::try_matmul_bf16(va, vb, kept, &epilogue, y)?;
        Ok(())
    })?;
    Ok(computed.then_some(y))
}

/// The plain triple loop, for whole numbers.
fn whole_product(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    shape: Shape,
    (m, k, n): (usize, usize, usize),
) -> Result<Tensor> {
    let (a, b) = (a.data::<i64>(op)?, b.data::<i64>(op)?);
    Tensor::build::<i64>(op, shape, |y| {
        y.fill(0);
        for (r, y) in y.chunks_exact_mut(n.max(1)).enumerate() {
            let b = &b[r / m.max(1) * k * n..];
            for (i, &a) in a[r * k..][..k].iter().enumerate() {
                y.iter_mut()
                    .zip(&b[i * n..][..n])
                    .for_each(|(y, &b)| *y = y.wrapping_add(a.wrapping_mul(b)));
            }
        }
    })
}
