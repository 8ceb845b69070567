//! Affine maps.

use gradus_tensor::{Error, Result};

use crate::var::Var;

/// `x Wᵀ + b`: x (…, in), weight (out, in), bias (out), to (…, out).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0], [1, 2])?);
/// let w = Var::from(Tensor::from_slice(&[1.0, 10.0, 0.0, 1.0], [2, 2])?);
/// assert_eq!(F::linear(&x, &w, None)?.value().to_vec::<f64>()?, [21.0, 2.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the sizes do not fit.
pub fn linear(x: &Var, weight: &Var, bias: Option<&Var>) -> Result<Var> {
    x.linear(weight, bias)
}

/// `x1ᵀ W x2 + b`: x1 (…, in1), x2 (…, in2), weight (out, in1, in2), bias (out), to (…, out).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0], [1, 2])?);
/// let w = Var::from(Tensor::from_slice(&[1.0, 10.0, 0.0, 1.0], [1, 2, 2])?);
/// assert_eq!(F::bilinear(&x, &x, &w, None)?.value().to_vec::<f64>()?, [25.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the sizes do not fit.
pub fn bilinear(x1: &Var, x2: &Var, weight: &Var, bias: Option<&Var>) -> Result<Var> {
    let lead = |x: &Var| x.dims()[..x.rank().saturating_sub(1)].to_vec();
    let fits = weight.rank() == 3
        && x1.rank() > 0
        && lead(x1) == lead(x2)
        && x1.dims().last() == weight.dims().get(1)
        && x2.dims().last() == weight.dims().get(2);
    if !fits {
        let message = format!(
            "inputs {} and {}, weight {}: it takes (…, in1), (…, in2), (out, in1, in2)",
            x1.shape(),
            x2.shape(),
            weight.shape()
        );
        return Err(Error::shape("bilinear", message));
    }
    let (out, in1, in2) = (
        weight.dims()[0] as isize,
        weight.dims()[1] as isize,
        weight.dims()[2] as isize,
    );
    let mut shape: Vec<isize> = lead(x1).iter().map(|&n| n as isize).collect();
    shape.push(out);
    let rows: usize = lead(x1).iter().product();
    let x1 = x1.reshape([rows as isize, in1])?;
    let x2 = x2.reshape([rows as isize, 1, in2])?; // (N, 1, in2)
    let w = weight.permute(&[1, 0, 2])?.reshape([in1, out * in2])?;
    let y = x1
        .matmul(&w)?
        .reshape([rows as isize, out, in2])?
        .mul(&x2)?
        .sum(-1, false)?; // (N, out)
    let y = match bias {
        Some(bias) => y.add(bias)?,
        None => y,
    };
    y.reshape(shape)
}
