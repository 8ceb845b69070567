//! Pictures resized, sampled at arbitrary points, taken apart into windows and put together again.

use gradus_tensor::{
    DType, Error, FoldParams, GridSampleParams, Interpolate, InterpolateMode, Result, Tensor,
};

use crate::var::Var;

/// The last axes resized: x (B, C, ..) to (B, C, ..), one to three of them, to a size or by a factor.
///
/// ```
/// use gradus_autograd::{Var, functional as f};
/// use gradus_tensor::{DType, Interpolate, InterpolateMode, Tensor};
/// let x = Var::from(Tensor::ones([1, 3, 8, 8], DType::F32)?);
/// let small = Interpolate {
///     mode: InterpolateMode::Bicubic,
///     antialias: true,
///     ..Interpolate::size([5, 7])
/// };
/// assert_eq!(f::interpolate(&x, &small)?.dims(), [1, 3, 5, 7]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the mode does not take this rank, options contradict each other, or a size is or would be 0.
pub fn interpolate(x: &Var, options: &Interpolate) -> Result<Var> {
    x.interpolate(options)
}

/// The older name of [`interpolate`].
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0], [1, 1, 2])?);
/// let y = F::upsample(&x, &Interpolate::size([4]))?;
/// assert_eq!(y.value().to_vec::<f64>()?, [1.0, 1.0, 3.0, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`interpolate`].
pub fn upsample(x: &Var, options: &Interpolate) -> Result<Var> {
    x.interpolate(options).map_err(|e| e.in_op("upsample"))
}

/// [`interpolate`] to the nearest element.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0], [1, 1, 2])?);
/// let y = F::upsample_nearest(&x, &Interpolate::scale_factor([1.5]))?;
/// assert_eq!(y.value().to_vec::<f64>()?, [1.0, 1.0, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`interpolate`].
pub fn upsample_nearest(x: &Var, options: &Interpolate) -> Result<Var> {
    let mode = InterpolateMode::Nearest;
    upsample(
        x,
        &Interpolate {
            mode,
            ..options.clone()
        },
    )
}

/// [`interpolate`] by distance over two axes, with the corners aligned.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0], [1, 1, 1, 2])?);
/// let y = F::upsample_bilinear(&x, &Interpolate::size([1, 3]))?;
/// assert_eq!(y.value().to_vec::<f64>()?, [1.0, 2.0, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`interpolate`].
pub fn upsample_bilinear(x: &Var, options: &Interpolate) -> Result<Var> {
    let options = Interpolate {
        mode: InterpolateMode::Bilinear,
        align_corners: Some(true),
        ..options.clone()
    };
    upsample(x, &options)
}

/// x's values at the points of `grid`, whose numbers go from −1 to 1: (B, C, H, W) at (B, OH, OW, 2), where the last
/// dimension is (x, y), gives (B, C, OH, OW); (B, C, D, H, W) at (B, OD, OH, OW, 3) likewise.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 6.0], [1, 1, 2, 2])?);
/// let middle = Var::from(Tensor::zeros([1, 1, 1, 2], DType::F64)?);
/// assert_eq!(F::grid_sample(&x, &middle, &GridSampleParams::default())?.item::<f64>()?, 3.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit, or x has an empty axis.
pub fn grid_sample(x: &Var, grid: &Var, params: &GridSampleParams) -> Result<Var> {
    x.grid_sample(grid, params)
}

/// The grid for [`grid_sample`] that applies affine maps: theta (B, 2, 3) and `size` (B, C, H, W) give (B, H, W, 2),
/// theta (B, 3, 4) and (B, C, D, H, W) give (B, D, H, W, 3).
///
/// ```
/// use gradus_autograd::{Var, functional as f};
/// use gradus_tensor::{DType, GridSampleParams, Tensor};
/// let x = Var::from(Tensor::arange(0, 6, 1, DType::F32)?.reshape([1, 1, 2, 3])?);
/// let mirror = Var::from(Tensor::from_slice(&[-1.0f32, 0.0, 0.0, 0.0, 1.0, 0.0], [1, 2, 3])?);
/// let grid = f::affine_grid(&mirror, &[1, 1, 2, 3], false)?;
/// let y = f::grid_sample(&x, &grid, &GridSampleParams::default())?;
/// assert_eq!(y.value().to_vec::<f32>()?, [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If theta does not have such a shape, or a size is 0.
pub fn affine_grid(theta: &Var, size: &[usize], align_corners: bool) -> Result<Var> {
    let op = "affine_grid";
    let axes = size.len().saturating_sub(2);
    let fits = matches!(axes, 2 | 3)
        && theta.dims() == [size[0], axes, axes + 1]
        && !size.contains(&0)
        && theta.dtype().is_float();
    if !fits {
        let message = format!(
            "theta {} {} for size {size:?}: they are (B, 2, 3) and (B, C, H, W), or (B, 3, 4) and (B, C, D, H, W), floats, \
             without an empty dimension",
            theta.dtype(),
            theta.shape()
        );
        return Err(Error::shape(op, message));
    }
    // The points' coordinates, last axis first, and a 1: (H, W, 3).
    let sizes = &size[2..];
    let mut columns = Vec::with_capacity(axes + 1);
    for (d, &n) in sizes.iter().enumerate().rev() {
        let end = match (n, align_corners) {
            (1, _) => 0.0,
            (_, true) => 1.0,
            (_, false) => (n - 1) as f64 / n as f64,
        };
        let mut line = vec![1; axes];
        line[d] = n;
        let numbers = Tensor::linspace(-end, end, n, DType::F64)?.reshape(line)?;
        columns.push(numbers.broadcast_to(sizes)?);
    }
    columns.push(Tensor::ones(sizes, DType::F64)?);
    let columns: Vec<&Tensor> = columns.iter().collect();
    let base = Tensor::stack(&columns, -1)?.to_dtype(theta.dtype())?;
    let points = base.numel() / (axes + 1);
    let base = Var::from(base.reshape([1, points, axes + 1])?);
    let grid = base.matmul(&theta.mt()?)?; // (B, points, axes)
    grid.reshape([&[size[0]], sizes, &[axes]].concat())
}

/// The windows of x as columns: (B, C, H, W) to (B, C·KH·KW, L), or both without the batch dimension.
///
/// ```
/// use gradus_autograd::{Var, functional as f};
/// use gradus_tensor::{DType, FoldParams, Tensor};
/// let x = Var::from(Tensor::ones([2, 3, 6, 6], DType::F32)?);
/// let patches = FoldParams { stride: [2, 2], ..FoldParams::new([2, 2]) };
/// let columns = f::unfold(&x, &patches)?;
/// assert_eq!(columns.dims(), [2, 12, 9]);
/// assert_eq!(f::fold(&columns, [6, 6], &patches)?.dims(), [2, 3, 6, 6]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is not 3 or 4, a dimension but the batch is empty, a kernel size, dilation or stride is 0, or no window fits.
pub fn unfold(x: &Var, params: &FoldParams) -> Result<Var> {
    x.im2col(params)
}

/// Columns added up where their windows are in images of `output_size`: (B, C·KH·KW, L) to (B, C, H, W).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let windows = Var::from(Tensor::ones([1, 2, 2], DType::F64)?); // (1, 2) and (2, 3), all ones
/// let y = F::fold(&windows, [1, 3], &FoldParams::new([1, 2]))?;
/// assert_eq!(y.value().to_vec::<f64>()?, [1.0, 2.0, 1.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the columns are not those of such images.
pub fn fold(x: &Var, output_size: [usize; 2], params: &FoldParams) -> Result<Var> {
    x.col2im(output_size, params)
}
