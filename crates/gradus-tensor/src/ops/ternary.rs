//! Functions of three operands, and choosing between two by a mask.

use gradus_cpu::elementwise::{TernaryOp, ternary, where_, where_in_place};

use crate::dtype::DType;
use crate::element::Element as _;
use crate::error::{Error, Result};
use crate::ops::operand::{Operand, broadcast_all, stretched};
use crate::ops::promote::result_type_of;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, view};

fn apply(op: TernaryOp, a: &Tensor, b: &Tensor, c: &Tensor) -> Result<Tensor> {
    let name = op.name();
    let shape = broadcast_all(
        name,
        &[a.shape().clone(), b.shape().clone(), c.shape().clone()],
    )?;
    let dtype = result_type_of(&[&Operand::Ref(a), &Operand::Ref(b), &Operand::Ref(c)]);
    let (a, b, c) = (a.to_dtype(dtype)?, b.to_dtype(dtype)?, c.to_dtype(dtype)?);
    on_cuda!([a, b, c] => cuda::elementwise::ternary(op, &shape, &a, &b, &c));
    let (la, lb, lc) = (
        stretched(&a, &shape)?,
        stretched(&b, &shape)?,
        stretched(&c, &shape)?,
    );
    dispatch!(float dtype, T => {
        let (a, b, c) = (view::<T>(&a, &la)?, view::<T>(&b, &lb)?, view::<T>(&c, &lc)?);
        Tensor::try_build::<T>(name, &shape, |y| Ok(ternary(op, a, b, c, y)?))
    }, else Err(Error::dtype(name, format!("not defined for {dtype}; convert with to_dtype(DType::F32) first"))))
}

impl Tensor {
    /// a + weight·(end − a).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 10.0], 2)?;
    /// assert_eq!(x.lerp(&Tensor::from_slice(&[10.0, 20.0], 2)?, &Tensor::from_slice(&[0.5, 0.25], 2)?)?.to_vec::<f64>()?, [5.0, 12.5]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast, or the dtype is not a float.
    pub fn lerp(&self, end: &Tensor, weight: &Tensor) -> Result<Tensor> {
        apply(TernaryOp::Lerp, self, end, weight)
    }

    /// As [`Tensor::lerp`] with a plain weight.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// let y = x.lerp_scalar(&Tensor::from_slice(&[5.0, 10.0], 2)?, 0.25)?;
    /// assert_eq!(y.to_vec::<f64>()?, [2.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::lerp`].
    pub fn lerp_scalar(&self, end: &Tensor, weight: f64) -> Result<Tensor> {
        apply(
            TernaryOp::Lerp,
            self,
            end,
            &Tensor::scalar_of(weight, self.dtype().to_float())?,
        )
    }

    /// a + value·b·c.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 1.0], 2)?;
    /// assert_eq!(x.addcmul(&Tensor::from_slice(&[2.0, 3.0], 2)?, &Tensor::from_slice(&[4.0, 5.0], 2)?, 0.5)?.to_vec::<f64>()?, [5.0, 8.5]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast, or a whole result would need a real `value`.
    pub fn addcmul(&self, b: &Tensor, c: &Tensor, value: impl Into<Scalar>) -> Result<Tensor> {
        let value = value.into();
        let dtype = result_type_of(&[&Operand::Ref(self), &Operand::Ref(b), &Operand::Ref(c)]);
        if dtype.is_float() {
            return apply(TernaryOp::Addcmul(value.to_f64()), self, b, c);
        }
        // In the common dtype: the product of two narrow ones must not wrap on the way.
        let product = b.to_dtype(dtype)?.mul(&c.to_dtype(dtype)?);
        product
            .and_then(|product| self.add_scaled(&product, value))
            .map_err(|e| e.in_op("addcmul"))
    }

    /// a + value·b/c.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 1.0], 2)?;
    /// assert_eq!(x.addcdiv(&Tensor::from_slice(&[2.0, 3.0], 2)?, &Tensor::from_slice(&[4.0, 6.0], 2)?, 2)?.to_vec::<f64>()?, [2.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast, or the dtype is not a float.
    pub fn addcdiv(&self, b: &Tensor, c: &Tensor, value: impl Into<Scalar>) -> Result<Tensor> {
        apply(TernaryOp::Addcdiv(value.into().to_f64()), self, b, c)
    }

    /// x clamped between tensors, either of which may be `None`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 5.0, 9.0], 3)?;
    /// assert_eq!(x.clamp_tensor(Some(&Tensor::from_slice(&[2.0, 2.0, 2.0], 3)?), Some(&Tensor::from_slice(&[8.0], 1)?))?.to_vec::<f64>()?, [2.0, 5.0, 8.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Both bounds are `None`, or the shapes do not broadcast.
    pub fn clamp_tensor(&self, min: Option<&Tensor>, max: Option<&Tensor>) -> Result<Tensor> {
        match (min, max) {
            (None, None) => Err(Error::value(
                "clamp",
                "at least one of min and max must be given",
            )),
            (Some(min), None) => self.maximum(min).map_err(|e| e.in_op("clamp")),
            (None, Some(max)) => self.minimum(max).map_err(|e| e.in_op("clamp")),
            (Some(min), Some(max)) => self
                .maximum(min)
                .and_then(|x| x.minimum_(max))
                .map_err(|e| e.in_op("clamp")),
        }
    }

    /// x not below `min`: [`Tensor::clamp`] with one bound.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[-1.0, 2.0], 2)?;
    /// assert_eq!(x.clamp_min(0)?.to_vec::<f64>()?, [0.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The tensor is bool.
    pub fn clamp_min(&self, min: impl Into<Scalar>) -> Result<Tensor> {
        self.clamp_scalars(Some(min.into()), None)
    }

    /// x not above `max`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[-1.0, 2.0], 2)?;
    /// assert_eq!(x.clamp_max(0)?.to_vec::<f64>()?, [-1.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The tensor is bool.
    pub fn clamp_max(&self, max: impl Into<Scalar>) -> Result<Tensor> {
        self.clamp_scalars(None, Some(max.into()))
    }

    /// `a` where `condition` holds, else `b`; all three broadcast, `a` and `b` promote.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[-1f32, 2.0, -3.0], 3)?;
    /// let y = Tensor::where_(&x.gt_scalar(0)?, &x, &Tensor::scalar(0f32))?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast, or `condition` is not bool.
    pub fn where_(condition: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        condition.expect_bool("where")?;
        let shape = broadcast_all(
            "where",
            &[
                condition.shape().clone(),
                a.shape().clone(),
                b.shape().clone(),
            ],
        )?;
        let dtype = result_type_of(&[&Operand::Ref(a), &Operand::Ref(b)]);
        let (a, b) = (a.to_dtype(dtype)?, b.to_dtype(dtype)?);
        on_cuda!([condition, a, b] => cuda::elementwise::where_(&shape, condition, &a, &b));
        let (lm, la, lb) = (
            stretched(condition, &shape)?,
            stretched(&a, &shape)?,
            stretched(&b, &shape)?,
        );
        let mask = view::<bool>(condition, &lm)?;
        dispatch!(dtype, T => {
            let (a, b) = (view::<T>(&a, &la)?, view::<T>(&b, &lb)?);
            Tensor::try_build::<T>("where", &shape, |y| Ok(where_(mask, a, b, y)?))
        })
    }

    /// `value` where `mask` holds, else this tensor's element; the mask broadcasts to this shape or stretches it.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.masked_fill(&x.gt_scalar(2)?, 0)?.to_vec::<f64>()?, [1.0, 2.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast, `mask` is not bool, or a real is written into whole numbers.
    pub fn masked_fill(&self, mask: &Tensor, value: impl Into<Scalar>) -> Result<Tensor> {
        self.clone().masked_fill_(mask, value)
    }

    /// As [`Tensor::masked_fill`], reusing this tensor's memory when nobody else holds it.
    ///
    /// # Errors
    /// As [`Tensor::masked_fill`].
    pub fn masked_fill_(self, mask: &Tensor, value: impl Into<Scalar>) -> Result<Tensor> {
        self.fill_where(mask, value.into())
    }

    /// The same, compiled once and not for every kind of number.
    fn fill_where(self, mask: &Tensor, value: Scalar) -> Result<Tensor> {
        mask.expect_bool("masked_fill")?;
        if value.dtype().category() > self.dtype().category() {
            let message = format!(
                "{value:?} cannot be written into a tensor of {}; convert with to_dtype first",
                self.dtype()
            );
            return Err(Error::dtype("masked_fill", message));
        }
        let shape = broadcast_all("masked_fill", &[self.shape().clone(), mask.shape().clone()])?;
        let mut out = if *self.shape() == shape {
            self
        } else {
            self.broadcast_to(&shape)?
        };
        on_cuda!([out, mask] => {
            let value = Tensor::scalar_of(value, out.dtype())?;
            cuda::elementwise::where_(&shape, mask, &value, &out).map_err(|e| e.in_op("masked_fill"))
        });
        let layout = stretched(mask, &shape)?;
        let mask = view::<bool>(mask, &layout)?;
        dispatch!(out.dtype(), T => {
            let value = T::from_scalar(value);
            let value = gradus_cpu::View::scalar(&value, &shape)?;
            out.with_mut_slice::<T, _>(|y| where_in_place(mask, value, y))??;
        });
        Ok(out)
    }

    /// As [`Tensor::masked_fill`] with the value in a rank-0 tensor.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, -2.0], 2)?;
    /// let y = x.masked_fill_tensor(&x.lt_scalar(0)?, &Tensor::scalar(9.0))?;
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 9.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::masked_fill`], or the value has dimensions.
    pub fn masked_fill_tensor(&self, mask: &Tensor, value: &Tensor) -> Result<Tensor> {
        if value.rank() != 0 {
            return Err(Error::shape(
                "masked_fill",
                format!(
                    "the value has shape {}; it takes a number (rank 0)",
                    value.shape()
                ),
            ));
        }
        self.masked_fill(mask, value.to_scalar()?)
    }

    pub(crate) fn expect_bool(&self, op: &'static str) -> Result<()> {
        if self.dtype() == DType::Bool {
            return Ok(());
        }
        Err(Error::dtype(
            op,
            format!(
                "the mask is {}, not bool; compare first (x.gt_scalar(0)) or convert with to_dtype(DType::Bool)",
                self.dtype()
            ),
        ))
    }
}
