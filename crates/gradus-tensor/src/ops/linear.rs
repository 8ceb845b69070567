//! Products with a weight, as layers have them.

use crate::error::{Error, Result};
use crate::tensor::Tensor;

impl Tensor {
    /// `x·wᵀ + bias`: `[.., K] x [N, K] (+ [N]) -> [.., N]`, PyTorch's `linear`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (x, w) = (Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?, Tensor::from_slice(&[1.0, 10.0, 0.0, 1.0], [2, 2])?);
    /// assert_eq!(x.linear(&w, Some(&Tensor::from_slice(&[100.0, 0.0], 2)?))?.to_vec::<f64>()?, [121.0, 2.0, 143.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `weight` is not a matrix, or sizes or dtypes differ.
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        self.linear_by(weight, bias, false)
    }

    /// [`Tensor::linear`] with a weight that the next calls have again, as in inference: what the product packs of it is kept beside its
    /// memory, from the second call on, until that is written ([`set_kept_limit`](crate::set_kept_limit) bounds the sum), and need not be packed again.
    /// With few inputs, that is half of the time. Results may differ from those of [`Tensor::linear`] by rounding.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], [1, 2])?;
    /// let w = Tensor::from_slice(&[3.0, 4.0], [1, 2])?;
    /// assert_eq!(x.linear_keeping(&w, None)?.to_vec::<f64>()?, [11.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::linear`].
    pub fn linear_keeping(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        self.linear_by(weight, bias, true)
    }

    fn linear_by(&self, weight: &Tensor, bias: Option<&Tensor>, keep: bool) -> Result<Tensor> {
        let op = "linear";
        let wrong = |why: String| {
            let bias = bias.map_or(String::new(), |b| format!(", bias {}", b.shape()));
            Error::shape(
                op,
                format!(
                    "input {} with weight {}{bias}: {why}",
                    self.shape(),
                    weight.shape()
                ),
            )
        };
        let (true, Some(&k)) = (
            weight.rank() == 2 || (weight.rank() == 1 && bias.is_none()),
            self.dims().last(),
        ) else {
            return Err(wrong(
                "it takes an input with at least 1 dimension and a weight [out, in]".into(),
            ));
        };
        if weight.rank() == 1 {
            return self.product(op, weight, None);
        }
        let (n, k2) = (weight.dims()[0], weight.dims()[1]);
        if k != k2 {
            return Err(wrong(format!(
                "the input has {k} features, the weight [out, in] takes {k2}"
            )));
        }
        if let Some(b) = bias {
            if b.rank() > 1 || (b.dims() != [n] && b.numel() != 1) {
                return Err(wrong(format!("the bias must have {n} elements")));
            }
            if b.dtype() != self.dtype() {
                return Err(Error::dtype(
                    op,
                    format!(
                        "the input is {} but the bias {}; convert one with to_dtype",
                        self.dtype(),
                        b.dtype()
                    ),
                ));
            }
        }
        let bias = bias.map(|b| b.broadcast_to(n)?.contiguous()).transpose()?;
        self.product_keeping(op, &weight.t()?, bias.as_ref(), keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv2dParams, DType, kept_bytes, random};

    /// Large enough to be kept, and computed by blocks.
    fn operands() -> Result<(Tensor, Tensor)> {
        let mut rng = random::TorchRng::manual_seed(7);
        Ok((
            rng.rand([12, 80], DType::F32)?,
            rng.rand([96, 80], DType::F32)?,
        ))
    }

    fn close(a: &Tensor, b: &Tensor) -> bool {
        a.allclose(b, 1e-5, 1e-5, false).unwrap()
    }

    #[test]
    fn what_is_kept_goes_when_the_weight_is_written() -> Result<()> {
        let (x, mut w) = operands()?;
        let before = x.linear_keeping(&w, None)?;
        x.linear_keeping(&w, None)?;
        assert!(kept_bytes() >= 4 * w.numel());
        assert!(close(&before, &x.linear(&w, None)?));
        let again = x.linear_keeping(&w, None)?;
        assert_eq!(
            again.to_vec::<f32>()?,
            before.to_vec::<f32>()?,
            "the same bits"
        );
        // Written in place, by each of the ways there are.
        w = w.mul_scalar_(2.0)?;
        assert!(close(
            &x.linear_keeping(&w, None)?,
            &before.mul_scalar(2.0)?
        ));
        w.with_mut_slice::<f32, _>(|w| w.fill(0.5))?;
        let sums = x.sum(1, true)?.mul_scalar(0.5)?.broadcast_to([12, 96])?;
        assert!(close(&x.linear_keeping(&w, None)?, &sums));
        w = w.masked_fill_(&Tensor::ones([96, 80], DType::Bool)?, 1.0)?;
        assert!(close(&x.linear_keeping(&w, None)?, &sums.mul_scalar(2.0)?));
        // Another holder of the old values keeps them: the write makes a copy.
        let old = w.clone();
        w = w.mul_scalar_(3.0)?;
        assert!(close(
            &x.linear_keeping(&old, None)?,
            &sums.mul_scalar(2.0)?
        ));
        assert!(close(&x.linear_keeping(&w, None)?, &sums.mul_scalar(6.0)?));
        Ok(())
    }

    #[test]
    fn parts_and_transposes_of_one_memory_are_told_apart() -> Result<()> {
        let (x, w) = operands()?;
        let square = w.narrow(0, 16, 80)?;
        for w in [w.clone(), square.clone(), square.t()?, w.narrow(0, 3, 80)?] {
            for _ in 0..3 {
                assert!(close(&x.linear_keeping(&w, None)?, &x.linear(&w, None)?));
            }
        }
        let (x, w) = (
            w.reshape([1, 8, 30, 32])?,
            w.narrow(0, 0, 72)?.reshape([80, 8, 3, 3])?,
        );
        for padding in [[0, 0], [1, 1]] {
            let params = Conv2dParams {
                padding,
                ..Default::default()
            };
            for _ in 0..3 {
                let y = x.conv_keeping(&w, None, &params)?;
                assert!(close(&y, &x.conv(&w, None, &params)?));
            }
        }
        Ok(())
    }
}
