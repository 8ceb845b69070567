//! Pooling over windows. The maximum's gradient goes to where the maximum was, and that of the gradient is read from there; means
//! are linear, so their two operations are each other's gradients.

use gradus_tensor::{AvgPoolParams, MaxPoolParams, Result, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The largest of each window over the last dimension: (B, C, T) or (C, T).
    ///
    /// Gradient: `dy` added at each window's largest element.
    ///
    /// # Errors
    /// If a size is 0, the padding is more than half the window, or the window is larger than the padded input.
    #[doc = slope!("x.max_pool1d(&gradus_tensor::MaxPoolParams::new([2]))?" => "3.0, 4.0"; "x", "[1, 1, 4]", "1.0, 3.0, 2.0, 4.0" => "0.0, 1.0, 0.0, 1.0")]
    pub fn max_pool1d(&self, params: &MaxPoolParams<1>) -> Result<Var> {
        max_pool(self, params)
    }

    /// The largest of each window over the last two dimensions: (B, C, H, W) or (C, H, W).
    ///
    /// Gradient: `dy` added at each window's largest element.
    ///
    /// # Errors
    /// As [`Var::max_pool1d`].
    #[doc = slope!("x.max_pool2d(&gradus_tensor::MaxPoolParams::new([1, 2]))?" => "3.0, 4.0"; "x", "[1, 1, 2, 2]", "1.0, 3.0, 2.0, 4.0" => "0.0, 1.0, 0.0, 1.0")]
    pub fn max_pool2d(&self, params: &MaxPoolParams<2>) -> Result<Var> {
        max_pool(self, params)
    }

    /// The largest of each window over the last three dimensions: (B, C, D, H, W) or (C, D, H, W).
    ///
    /// Gradient: `dy` added at each window's largest element.
    ///
    /// # Errors
    /// As [`Var::max_pool1d`].
    #[doc = slope!("x.max_pool3d(&gradus_tensor::MaxPoolParams::new([1, 1, 2]))?" => "3.0, 4.0"; "x", "[1, 1, 1, 2, 2]", "1.0, 3.0, 2.0, 4.0" => "0.0, 1.0, 0.0, 1.0")]
    pub fn max_pool3d(&self, params: &MaxPoolParams<3>) -> Result<Var> {
        max_pool(self, params)
    }

    /// The mean of each window over the last dimension: (B, C, T) or (C, T).
    ///
    /// Gradient: `dy` spread evenly over each window.
    ///
    /// # Errors
    /// As [`Var::max_pool1d`].
    #[doc = slope!("x.avg_pool1d(&gradus_tensor::AvgPoolParams::new([2]))?" => "2.0, 3.0"; "x", "[1, 1, 4]", "1.0, 3.0, 2.0, 4.0" => "0.5, 0.5, 0.5, 0.5")]
    pub fn avg_pool1d(&self, params: &AvgPoolParams<1>) -> Result<Var> {
        avg_pool(self, params)
    }

    /// The mean of each window over the last two dimensions: (B, C, H, W) or (C, H, W).
    ///
    /// Gradient: `dy` spread evenly over each window.
    ///
    /// # Errors
    /// As [`Var::max_pool1d`].
    #[doc = slope!("x.avg_pool2d(&gradus_tensor::AvgPoolParams::new([1, 2]))?" => "2.0, 3.0"; "x", "[1, 1, 2, 2]", "1.0, 3.0, 2.0, 4.0" => "0.5, 0.5, 0.5, 0.5")]
    pub fn avg_pool2d(&self, params: &AvgPoolParams<2>) -> Result<Var> {
        avg_pool(self, params)
    }

    /// The mean of each window over the last three dimensions: (B, C, D, H, W) or (C, D, H, W).
    ///
    /// Gradient: `dy` spread evenly over each window.
    ///
    /// # Errors
    /// As [`Var::max_pool1d`].
    #[doc = slope!("x.avg_pool3d(&gradus_tensor::AvgPoolParams::new([1, 1, 2]))?" => "2.0, 3.0"; "x", "[1, 1, 1, 2, 2]", "1.0, 3.0, 2.0, 4.0" => "0.5, 0.5, 0.5, 0.5")]
    pub fn avg_pool3d(&self, params: &AvgPoolParams<3>) -> Result<Var> {
        avg_pool(self, params)
    }

    /// The mean over windows chosen so that the last dimension comes out with this size.
    ///
    /// Gradient: `dy` spread evenly over each window.
    ///
    /// # Errors
    /// If the rank is too low.
    #[doc = slope!("x.adaptive_avg_pool1d([2])?" => "2.0, 2.5"; "x", "[1, 1, 3]", "1.0, 3.0, 2.0" => "0.5, 1.0, 0.5")]
    pub fn adaptive_avg_pool1d(&self, sizes: [usize; 1]) -> Result<Var> {
        adaptive_avg_pool(self, sizes)
    }

    /// The mean over windows chosen so that the last two dimensions come out with these sizes.
    ///
    /// Gradient: `dy` spread evenly over each window.
    ///
    /// # Errors
    /// If the rank is too low.
    #[doc = slope!("x.adaptive_avg_pool2d([1, 2])?" => "2.0, 2.5"; "x", "[1, 1, 1, 3]", "1.0, 3.0, 2.0" => "0.5, 1.0, 0.5")]
    pub fn adaptive_avg_pool2d(&self, sizes: [usize; 2]) -> Result<Var> {
        adaptive_avg_pool(self, sizes)
    }

    /// The mean over windows chosen so that the last three dimensions come out with these sizes.
    ///
    /// Gradient: `dy` spread evenly over each window.
    ///
    /// # Errors
    /// If the rank is too low.
    #[doc = slope!("x.adaptive_avg_pool3d([1, 1, 2])?" => "2.0, 2.5"; "x", "[1, 1, 1, 1, 3]", "1.0, 3.0, 2.0" => "0.5, 1.0, 0.5")]
    pub fn adaptive_avg_pool3d(&self, sizes: [usize; 3]) -> Result<Var> {
        adaptive_avg_pool(self, sizes)
    }

    /// The largest over windows chosen so that the last dimension comes out with this size.
    ///
    /// Gradient: `dy` added at each window's largest element.
    ///
    /// # Errors
    /// If the rank is too low or the input is empty.
    #[doc = slope!("x.adaptive_max_pool1d([2])?" => "3.0, 3.0"; "x", "[1, 1, 3]", "1.0, 3.0, 2.0" => "0.0, 2.0, 0.0")]
    pub fn adaptive_max_pool1d(&self, sizes: [usize; 1]) -> Result<Var> {
        adaptive_max_pool(self, sizes)
    }

    /// The largest over windows chosen so that the last two dimensions come out with these sizes.
    ///
    /// Gradient: `dy` added at each window's largest element.
    ///
    /// # Errors
    /// As [`Var::adaptive_max_pool1d`].
    #[doc = slope!("x.adaptive_max_pool2d([1, 2])?" => "3.0, 3.0"; "x", "[1, 1, 1, 3]", "1.0, 3.0, 2.0" => "0.0, 2.0, 0.0")]
    pub fn adaptive_max_pool2d(&self, sizes: [usize; 2]) -> Result<Var> {
        adaptive_max_pool(self, sizes)
    }

    /// The largest over windows chosen so that the last three dimensions come out with these sizes.
    ///
    /// Gradient: `dy` added at each window's largest element.
    ///
    /// # Errors
    /// As [`Var::adaptive_max_pool1d`].
    #[doc = slope!("x.adaptive_max_pool3d([1, 1, 2])?" => "3.0, 3.0"; "x", "[1, 1, 1, 1, 3]", "1.0, 3.0, 2.0" => "0.0, 2.0, 0.0")]
    pub fn adaptive_max_pool3d(&self, sizes: [usize; 3]) -> Result<Var> {
        adaptive_max_pool(self, sizes)
    }
}

impl Var {
    /// The largest of each window over the last `D` dimensions, and where it was: its row-major position among them, i64.
    ///
    /// Gradient: `dy` added at the indices; they have none. Shapes, dtypes are those of
    /// [`Tensor::max_pool_with_indices`](gradus_tensor::Tensor::max_pool_with_indices).
    ///
    /// # Errors
    /// As [`Var::max_pool1d`].
    #[doc = slope!("x.max_pool_with_indices(&gradus_tensor::MaxPoolParams::new([2]))?.0" => "3.0, 4.0"; "x", "[1, 1, 4]", "1.0, 3.0, 2.0, 4.0" => "0.0, 1.0, 0.0, 1.0")]
    pub fn max_pool_with_indices<const D: usize>(
        &self,
        params: &MaxPoolParams<D>,
    ) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().max_pool_with_indices(params)?;
        Ok((picked::<D>("max_pool", self, y, at.clone())?, at))
    }

    /// The largest over windows chosen so that the last `D` dimensions come out with these sizes, and where it was: its
    /// row-major position among them, i64.
    ///
    /// Gradient: `dy` added at each window's largest element.
    ///
    /// # Errors
    /// As [`Var::adaptive_max_pool1d`].
    #[doc = slope!("x.adaptive_max_pool_with_indices([2])?.0" => "3.0, 3.0"; "x", "[1, 1, 3]", "1.0, 3.0, 2.0" => "0.0, 2.0, 0.0")]
    pub fn adaptive_max_pool_with_indices<const D: usize>(
        &self,
        sizes: [usize; D],
    ) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().adaptive_max_pool(sizes)?;
        let y = picked::<D>("adaptive_max_pool", self, y, at.clone())?;
        Ok((y, at))
    }
}

fn max_pool<const D: usize>(x: &Var, params: &MaxPoolParams<D>) -> Result<Var> {
    if !Op::new("max_pool").inputs(&[x]).is_tracked() {
        return Ok(Var::from(x.value().max_pool(params)?));
    }
    let (y, at) = x.value().max_pool_with_indices(params)?;
    picked::<D>("max_pool", x, y, at)
}

fn adaptive_max_pool<const D: usize>(x: &Var, sizes: [usize; D]) -> Result<Var> {
    Ok(x.adaptive_max_pool_with_indices(sizes)?.0)
}

/// `y` is `x` at the positions `at` among its last `D` dimensions.
fn picked<const D: usize>(op: &'static str, x: &Var, y: Tensor, at: Tensor) -> Result<Var> {
    let x_shape = x.dims().to_vec();
    Op::new(op)
        .inputs(&[x])
        .record(y, move |_, dy| put::<D>(&dy, &at, &x_shape))
}

/// `dx` is `dy` added at the positions `at`, and 0 elsewhere.
fn put<const D: usize>(dy: &Var, at: &Tensor, x_shape: &[usize]) -> Result<Var> {
    let dx = dy.value().max_pool_backward::<D>(at, x_shape)?;
    let at = at.clone();
    Op::new("max_pool_backward")
        .inputs(&[dy])
        .record(dx, move |_, g| {
            let from = -(D as isize);
            let picked = g
                .value()
                .flatten(from, -1)?
                .gather(-1, &at.flatten(from, -1)?)?;
            self::picked::<D>(
                "max_pool_backward_backward",
                &g,
                picked.reshape(at.shape())?,
                at.clone(),
            )
        })
}

fn avg_pool<const D: usize>(x: &Var, params: &AvgPoolParams<D>) -> Result<Var> {
    let y = x.value().avg_pool(params)?;
    let (params, x_shape) = (*params, x.dims().to_vec());
    Op::new("avg_pool")
        .inputs(&[x])
        .record(y, move |_, dy| avg_pool_backward(&dy, params, &x_shape))
}

fn avg_pool_backward<const D: usize>(
    dy: &Var,
    params: AvgPoolParams<D>,
    x_shape: &[usize],
) -> Result<Var> {
    let dx = dy.value().avg_pool_backward(&params, x_shape)?;
    Op::new("avg_pool_backward")
        .inputs(&[dy])
        .record(dx, move |_, g| avg_pool(&g, &params))
}

fn adaptive_avg_pool<const D: usize>(x: &Var, sizes: [usize; D]) -> Result<Var> {
    let y = x.value().adaptive_avg_pool(sizes)?;
    let x_shape = x.dims().to_vec();
    Op::new("adaptive_avg_pool")
        .inputs(&[x])
        .record(y, move |_, dy| {
            adaptive_avg_pool_backward(&dy, sizes, &x_shape)
        })
}

fn adaptive_avg_pool_backward<const D: usize>(
    dy: &Var,
    sizes: [usize; D],
    x_shape: &[usize],
) -> Result<Var> {
    let dx = dy.value().adaptive_avg_pool_backward::<D>(x_shape)?;
    Op::new("adaptive_avg_pool_backward")
        .inputs(&[dy])
        .record(dx, move |_, g| adaptive_avg_pool(&g, sizes))
}
