//! Attention in tiles, forward and backward: the T×S scores are never all there at once.

use gradus_cpu::View;
use gradus_cpu::attention::{self as kernel, AttentionGradients};

use super::{dispatch_native, same_float};
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// What attention takes besides q, k and v.
#[derive(Clone, Debug, Default)]
pub struct AttentionOptions {
    /// Broadcast to (…, T, S): bool, true where attention is allowed; or a float that is added to the scores.
    pub mask: Option<Tensor>,
    /// Position t attends to positions up to t only.
    pub is_causal: bool,
    /// What scores are multiplied by (`None`: 1/√E).
    pub scale: Option<f64>,
}

/// What [`Tensor::attention`] gives.
#[derive(Clone, Debug)]
pub struct AttentionOutput {
    /// (…, T, F); of rank 4 a view of (B, T, H, F), so that putting the heads side by side moves nothing.
    pub y: Tensor,
    /// The logarithm of each row's sum of exponentials, (B, H, T): what the gradients are computed from.
    pub lse: Tensor,
}

const OP: &str = "attention";

/// As (B, H, T, E): a rank of 2 is one head, of 3 a batch of one head each.
fn four(x: &Tensor) -> Result<Tensor> {
    match x.rank() {
        2 => x.unsqueeze(0)?.unsqueeze(0),
        3 => x.unsqueeze(1),
        4 => Ok(x.clone()),
        rank => Err(Error::shape(
            OP,
            format!(
                "{} has rank {rank}; it takes (T, E), (B, T, E) or (B, H, T, E)",
                x.shape()
            ),
        )),
    }
}

/// (B, T, H, E) as what came in: (B, H, T, E), or without the dimensions it did not have.
fn back(x: Tensor, rank: usize) -> Result<Tensor> {
    let x = x.transpose(1, 2)?;
    match rank {
        2 => x.squeeze(0)?.squeeze(0),
        3 => x.squeeze(1),
        _ => Ok(x),
    }
}

/// Operands of one shape and dtype, ready for the kernel.
struct Operands {
    q: Tensor,
    k: Tensor,
    v: Tensor,
    /// Added to the scores, (B, H, T, S).
    mask: Option<Tensor>,
    scale: f64,
    blind_is_zero: bool,
}

impl Operands {
    fn new(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions) -> Result<Self> {
        let dtype = same_float(OP, &[("q", q), ("k", k), ("v", v)])?;
        if k.rank() != q.rank() || v.rank() != q.rank() {
            let message = format!(
                "q {}, k {}, v {}: the ranks differ",
                q.shape(),
                k.shape(),
                v.shape()
            );
            return Err(Error::shape(OP, message));
        }
        let rank = q.rank();
        let (q, k, v) = (four(q)?, four(k)?, four(v)?);
        let (dims, keys) = (q.dims(), k.dims()[2]);
        let scores = [dims[0], dims[1], dims[2], keys];
        let mut blind_is_zero = options.is_causal;
        let mask = match &options.mask {
            None => None,
            Some(_) if options.is_causal => {
                return Err(Error::value(OP, "give a mask or is_causal, not both"));
            }
            Some(mask) => {
                let mask = if mask.dtype() == DType::Bool {
                    blind_is_zero = true;
                    let zero = Tensor::zeros(mask.shape(), (dtype, mask.device()))?;
                    zero.masked_fill_(&mask.logical_not()?, f64::NEG_INFINITY)?
                } else {
                    mask.to_dtype(dtype)?
                };
                // In the rank it was given for, then with the head's dimension.
                let mask = match rank {
                    3 => mask
                        .broadcast_to([scores[0], scores[2], scores[3]])?
                        .unsqueeze(1)?,
                    2 => mask.broadcast_to([scores[2], scores[3]])?,
                    _ => mask,
                };
                Some(mask.broadcast_to(scores)?)
            }
        };
        let scale = options.scale.unwrap_or(1.0 / (dims[3] as f64).sqrt());
        Ok(Self {
            q,
            k,
            v,
            mask,
            scale,
            blind_is_zero,
        })
    }

    fn options<T: Element>(&self, is_causal: bool) -> Result<kernel::Attention<'_, T>> {
        let mask = self.mask.as_ref().map(Tensor::kernel_view::<T>);
        Ok(kernel::Attention {
            scale: self.scale,
            causal: is_causal,
            mask: mask.transpose()?,
            blind_is_zero: self.blind_is_zero,
        })
    }

    /// The same for the arm of a GPU.
    #[cfg(feature = "cuda")]
    fn on_gpu(&self, causal: bool) -> crate::cuda::attention::Inputs<'_> {
        crate::cuda::attention::Inputs {
            q: &self.q,
            k: &self.k,
            v: &self.v,
            mask: self.mask.as_ref(),
            scale: self.scale,
            causal,
            blind_is_zero: self.blind_is_zero,
        }
    }

    fn views<T: Element>(&self) -> Result<[View<'_, T>; 3]> {
        Ok([
            self.q.kernel_view()?,
            self.k.kernel_view()?,
            self.v.kernel_view()?,
        ])
    }
}

impl Tensor {
    /// softmax(q kᵀ · scale + mask) v of q (…, T, E), this tensor, with k (…, S, E) and v (…, S, F), in f32 or f64. Of rank 4, key
    /// heads may be fewer than query heads and are then shared in groups.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let q = Tensor::from_slice(&[1.0, 0.0], [1, 2])?;
    /// let k = Tensor::from_slice(&[1.0, 0.0, 0.0, 1.0], [2, 2])?;
    /// let v = Tensor::from_slice(&[10.0, 20.0], [2, 1])?;
    /// let y = q.attention(&k, &v, &Default::default())?.y;
    /// assert!((y.item::<f64>()? - 13.302385).abs() < 1e-6);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Ranks, shapes or dtypes do not fit.
    pub fn attention(
        &self,
        k: &Tensor,
        v: &Tensor,
        options: &AttentionOptions,
    ) -> Result<AttentionOutput> {
        let x = Operands::new(self, k, v, options)?;
        let &[batch, heads, queries, _] = x.q.dims() else {
            return Err(Error::shape(OP, "not of rank 4"));
        };
        let shape = Shape::from([batch, queries, heads, x.v.dims()[3]]);
        on_cuda!([self, k, v] => {
            let (y, lse) = cuda::attention::forward(&x.on_gpu(options.is_causal), &shape)?;
            Ok(AttentionOutput { y: back(y, self.rank())?, lse })
        });
        let mut lse = Tensor::zeros([batch, heads, queries], self.dtype())?;
        let y = dispatch_native!(OP, self.dtype(), T => {
            let [q, k, v] = x.views::<T>()?;
            let options = x.options::<T>(options.is_causal)?;
            lse.with_mut_slice::<T, _>(|lse| {
                Tensor::try_build::<T>(OP, shape, |y| Ok(kernel::attention(q, k, v, &options, y, lse)?))
            })?
        })?;
        Ok(AttentionOutput {
            y: back(y, self.rank())?,
            lse,
        })
    }

    /// The gradients of [`Tensor::attention`] by q, k and v, from that of its output, this tensor.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let q = Tensor::from_slice(&[1.0, 0.0], [1, 2])?;
    /// let v = Tensor::from_slice(&[10.0], [1, 1])?;
    /// let forward = q.attention(&q, &v, &Default::default())?; // one key: its weight is 1 whatever the score
    /// let dy = Tensor::from_slice(&[3.0], [1, 1])?;
    /// let [dq, _, dv] = dy.attention_backward([&q, &q, &v], &Default::default(), &forward)?;
    /// assert_eq!((dq.to_vec::<f64>()?, dv.to_vec::<f64>()?), (vec![0.0, 0.0], vec![3.0]));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Ranks, shapes or dtypes do not fit.
    pub fn attention_backward(
        &self,
        [q, k, v]: [&Tensor; 3],
        options: &AttentionOptions,
        forward: &AttentionOutput,
    ) -> Result<[Tensor; 3]> {
        let op = "attention_backward";
        same_float(
            op,
            &[("the gradient", self), ("q", q), ("the output", &forward.y)],
        )?;
        let (rank, x) = (q.rank(), Operands::new(q, k, v, options)?);
        if self.dims() != forward.y.dims() {
            let message = format!(
                "gradient {} and output {} differ",
                self.shape(),
                forward.y.shape()
            );
            return Err(Error::shape(op, message));
        }
        let (dy, y) = (four(self)?, four(&forward.y)?);
        // (B, T, H, E) of each.
        let place = |x: &Tensor| -> Result<Shape> {
            let &[b, h, t, e] = x.dims() else {
                return Err(Error::shape(op, "not of rank 4"));
            };
            Ok(Shape::from([b, t, h, e]))
        };
        let (shape_k, shape_v) = (place(&x.k)?, place(&x.v)?);
        on_cuda!([self, q] => {
            let of = [&place(&x.q)?, &shape_k, &shape_v];
            let inputs = x.on_gpu(options.is_causal);
            let [dq, dk, dv] = cuda::attention::backward(&inputs, (&dy, &y), &forward.lse, of)?;
            Ok([back(dq, rank)?, back(dk, rank)?, back(dv, rank)?])
        });
        let (mut dk, mut dv) = (
            Tensor::zeros(shape_k, self.dtype())?,
            Tensor::zeros(shape_v, self.dtype())?,
        );
        let dq = dispatch_native!(op, self.dtype(), T => {
            let [q, k, v] = x.views::<T>()?;
            let options = x.options::<T>(options.is_causal)?;
            let (dy, y) = (dy.kernel_view::<T>()?, y.kernel_view::<T>()?);
            let lse = forward.lse.data::<T>(op)?;
            dk.with_mut_slice::<T, _>(|dk| dv.with_mut_slice::<T, _>(|dv| {
                Tensor::try_build::<T>(op, place(&x.q)?, |dq| {
                    let out = AttentionGradients { dq, dk, dv };
                    Ok(kernel::attention_backward((dy, y), q, k, v, &options, lse, out)?)
                })
            }))??
        })?;
        Ok([back(dq, rank)?, back(dk, rank)?, back(dv, rank)?])
    }
}
