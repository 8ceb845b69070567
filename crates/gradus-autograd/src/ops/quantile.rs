//! Quantiles, by the elements and by `q`: PyTorch's formulas, in operations that have their own rules.

use gradus_tensor::{DType, Error, Result, Tensor};

use crate::var::Var;

impl Var {
    /// The quantiles `q` (one number or a vector, in `0..=1`) along `dim` (`None`: of all elements); a vector gives a
    /// first dimension. `interpolation` is one of linear, lower, higher, midpoint, nearest. NaN if any element is.
    ///
    /// Gradient: `dy` shared by the two neighbours as they were weighted; to `q`, how fast the quantile moves between them.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let x = Var::from(Tensor::from_slice(&[3.0f32, 1.0, 2.0, 4.0], [4])?);
    /// let q = Var::leaf(Tensor::scalar(0.5f32))?;
    /// let y = x.quantile(&q, None, false, "linear")?;
    /// assert_eq!(y.item::<f32>()?, 2.5);
    /// assert_eq!(y.backward()?.get(&q).unwrap().item::<f32>()?, 3.0); // three steps of 1 between q = 0 and q = 1
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A `q` is outside `0..=1`, dtypes differ or are not f32 or f64, or there are no elements along the dimension.
    pub fn quantile(
        &self,
        q: &Var,
        dim: impl Into<Option<isize>>,
        keepdim: bool,
        interpolation: &str,
    ) -> Result<Var> {
        quantiles(
            "quantile",
            self,
            q,
            dim.into(),
            keepdim,
            interpolation,
            false,
        )
    }

    /// [`Var::quantile`] of the elements that are not NaN; NaN where all are.
    ///
    /// Gradient: `dy` shared by the two neighbours.
    ///
    /// # Errors
    /// As [`Var::quantile`].
    #[doc = slope!("x.nanquantile(&b, 0, false, \"linear\")?" => "1.5"; "x", "[3]", "1.0, 3.0, 2.0" => "0.5, 0.0, 0.5"; "b", "()", "0.25" => "2.0")]
    pub fn nanquantile(
        &self,
        q: &Var,
        dim: impl Into<Option<isize>>,
        keepdim: bool,
        interpolation: &str,
    ) -> Result<Var> {
        quantiles(
            "nanquantile",
            self,
            q,
            dim.into(),
            keepdim,
            interpolation,
            true,
        )
    }
}

fn quantiles(
    op: &'static str,
    x: &Var,
    q: &Var,
    dim: Option<isize>,
    keepdim: bool,
    interpolation: &str,
    ignore_nan: bool,
) -> Result<Var> {
    let (rank, dtype) = (x.rank(), x.dtype());
    if !matches!(dtype, DType::F32 | DType::F64) || q.dtype() != dtype || q.rank() > 1 {
        let message = format!(
            "the input is {dtype}, q {} of shape {}: it takes f32 or f64, both the same, and one q or a vector",
            q.dtype(),
            q.shape()
        );
        return Err(Error::value(op, message));
    }
    if !matches!(
        interpolation,
        "linear" | "lower" | "higher" | "midpoint" | "nearest"
    ) {
        let message = format!(
            "unknown interpolation {interpolation:?}; known: linear lower higher midpoint nearest"
        );
        return Err(Error::value(op, message));
    }
    for q in q.value().to_dtype(DType::F64)?.to_vec::<f64>()? {
        if !(0.0..=1.0).contains(&q) {
            return Err(Error::value(op, format!("q {q} is outside 0..=1")));
        }
    }
    // The elements to the last dimension, in order; NaN comes last.
    let rows = match dim {
        Some(dim) if rank > 0 => x.movedim(dim, -1).map_err(|e| e.in_op(op))?,
        Some(dim) if !(-1..=0).contains(&dim) => {
            return Err(Error::index(op, format!("dim {dim} of a rank-0 tensor")));
        }
        _ => x.reshape([x.numel()])?,
    };
    let n = rows.dim(-1)?;
    if n == 0 {
        let message = format!("shape {} has no elements along the dimension", x.shape());
        return Err(Error::shape(op, message));
    }
    let (sorted, _) = rows.sort(-1, false)?; // (…, n)
    let nan = rows.value().isnan()?;
    let q_dims = q.dims().to_vec();
    let count = q.numel();
    let q = q.reshape([count])?;
    // Which place among the elements each q means: (…, Q).
    let lead = rows.dims()[..rows.rank() - 1].to_vec();
    let full = [&lead[..], &[count]].concat();
    let place = if ignore_nan {
        let valid = nan.logical_not()?.sum(-1, true)?.to_dtype(dtype)?;
        let last = valid.sub_scalar(1)?.clamp_min(0.0)?;
        q.mul(&last.into())?
    } else {
        q.mul_scalar((n - 1) as f64)?.broadcast_to(full.clone())?
    };
    // A row with NaN has its last place for every q, and that is NaN.
    let place = if ignore_nan {
        place
    } else {
        let any = nan.any(-1, true)?.broadcast_to(full.clone())?;
        place.masked_fill(&any, (n - 1) as f64)?
    };
    let place = match interpolation {
        "lower" => place.floor()?,
        "higher" => place.ceil()?,
        "nearest" => place.round()?,
        _ => place,
    };
    let at = |place: Tensor| sorted.gather(-1, &place.to_dtype(DType::I64)?);
    let low = at(place.value().floor()?)?;
    let y = match interpolation {
        "linear" | "midpoint" => {
            let high = at(place.value().ceil()?)?;
            let between = match interpolation {
                "midpoint" => Var::from(Tensor::full(&full[..], 0.5, dtype)?),
                _ => place.sub(&place.value().floor()?.into())?,
            };
            low.lerp(&high, &between)?
        }
        _ => low,
    };
    // (…, Q) to (Q, …), with the dimension kept in its place if asked, and without Q for a single number.
    let y = y.movedim(-1, 0)?;
    let kept = match dim {
        Some(dim) if rank > 0 && keepdim => {
            let d = dim.rem_euclid(rank as isize) as usize;
            let mut kept = lead;
            kept.insert(d, 1);
            kept
        }
        Some(_) => lead,
        None if keepdim => vec![1; rank],
        None => vec![],
    };
    y.reshape([q_dims, kept].concat())
}
