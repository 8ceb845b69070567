//! Values between elements: interpolation to another size, sampling at the points of a grid, windows as columns.
//!
//! Interpolation and columns are linear: each operation and its gradient are each other's rules. Sampling is not linear in
//! the grid; its first gradients are kernels, and higher ones come from the same sampling written in `Var` operations.

use gradus_tensor::{DType, FoldParams, GridMode, GridSampleParams, Interpolate, Result, Tensor};

use crate::op::Op;
use crate::recompute::recompute;
use crate::var::Var;

impl Var {
    /// The last axes resized: (B, C, ..) to (B, C, ..), one to three of them.
    ///
    /// Gradient: `dy` by the transposed weights.
    ///
    /// # Errors
    /// As [`Tensor::interpolate`].
    #[doc = slope!("x.interpolate(&gradus_tensor::Interpolate::size([4]))?" => "1.0, 1.0, 2.0, 2.0"; "x", "[1, 1, 2]", "1.0, 2.0" => "2.0, 2.0")]
    pub fn interpolate(&self, options: &Interpolate) -> Result<Var> {
        let y = self.value().interpolate(options)?;
        let (options, x_shape) = (options.clone(), self.dims().to_vec());
        Op::new("interpolate")
            .inputs(&[self])
            .record(y, move |_, dy| {
                interpolate_backward(&dy, &options, &x_shape)
            })
    }

    /// The values at the points of `grid`: (B, C, H, W) at (B, OH, OW, 2) gives (B, C, OH, OW), or one dimension more.
    ///
    /// Gradient: `dy` added at the elements that were read, by their weights; to the grid, by the slope there.
    ///
    /// # Errors
    /// As [`Tensor::grid_sample`].
    #[doc = slope!("x.grid_sample(&a, &gradus_tensor::GridSampleParams::default())?" => "2.0"; "x", "[1, 1, 1, 2]", "1.0, 3.0" => "0.5, 0.5"; "a", "[1, 1, 1, 2]", "0.0, 0.0" => "2.0, -1.0")]
    pub fn grid_sample(&self, grid: &Var, params: &GridSampleParams) -> Result<Var> {
        let y = self.value().grid_sample(grid.value(), params)?;
        let (params, x_shape) = (*params, self.dims().to_vec());
        Op::new("grid_sample")
            .inputs(&[self, grid])
            .saves(0)
            .saves(1)
            .record(y, move |ctx, dy| {
                if ctx.create_graph() {
                    return recompute(ctx, dy, &[], |v| composed(&v[0], &v[1], params));
                }
                let (x, grid, dy) = (ctx.input(0)?.value(), ctx.input(1)?.value(), dy.value());
                let dx = ctx.grad(0, || {
                    Ok(dy
                        .grid_sample_backward_input(grid, &params, &x_shape)?
                        .into())
                })?;
                let dgrid = ctx.grad(1, || {
                    Ok(dy.grid_sample_backward_grid(x, grid, &params)?.into())
                })?;
                Ok(vec![dx, dgrid])
            })
    }

    /// The windows of images as columns: (B, C, H, W) to (B, C·KH·KW, L); PyTorch's `nn.functional.unfold`.
    ///
    /// Gradient: [`Var::col2im`] of `dy`.
    ///
    /// # Errors
    /// As [`Tensor::im2col`].
    #[doc = slope!("x.im2col(&gradus_tensor::FoldParams::new([1, 2]))?" => "1.0, 2.0, 2.0, 3.0"; "x", "[1, 1, 1, 3]", "1.0, 2.0, 3.0" => "1.0, 2.0, 1.0")]
    pub fn im2col(&self, params: &FoldParams) -> Result<Var> {
        let y = self.value().im2col(params)?;
        let (params, rank) = (*params, self.rank());
        let size = [self.dims()[rank - 2], self.dims()[rank - 1]];
        Op::new("im2col")
            .inputs(&[self])
            .record(y, move |_, dy| dy.col2im(size, &params))
    }

    /// Columns added up where their windows are: (B, C·KH·KW, L) to (B, C, H, W); PyTorch's `nn.functional.fold`.
    ///
    /// Gradient: [`Var::im2col`] of `dy`.
    ///
    /// # Errors
    /// As [`Tensor::col2im`].
    #[doc = slope!("x.col2im([1, 3], &gradus_tensor::FoldParams::new([1, 2]))?" => "1.0, 5.0, 4.0"; "x", "[1, 2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn col2im(&self, output_size: [usize; 2], params: &FoldParams) -> Result<Var> {
        let x = self.value().col2im(output_size, params)?;
        let params = *params;
        Op::new("col2im")
            .inputs(&[self])
            .record(x, move |_, dx| dx.im2col(&params))
    }
}

fn interpolate_backward(dy: &Var, options: &Interpolate, x_shape: &[usize]) -> Result<Var> {
    let dx = dy.value().interpolate_backward(options, x_shape)?;
    let options = options.clone();
    Op::new("interpolate_backward")
        .inputs(&[dy])
        .record(dx, move |_, g| g.interpolate(&options))
}

/// An axis of [`composed`]: for each of its elements where it is, whether it exists, and its weight, all (B, points).
type AxisTaps = Vec<(Tensor, Tensor, Var)>;

/// Sampling in `Var` operations: what any derivative of it can be taken of. Gathers each of the elements that points are made
/// of, once for all points, and adds them up with their weights.
fn composed(x: &Var, grid: &Var, params: GridSampleParams) -> Result<Var> {
    let sizes = &x.dims()[2..];
    let (batch, channels) = (x.dims()[0], x.dims()[1]);
    let out = &grid.dims()[1..grid.rank() - 1];
    let points: usize = out.iter().product();
    let flat = x.reshape([batch, channels, sizes.iter().product()])?;
    let grid = grid.reshape([batch, points, sizes.len()])?;
    let axes = sizes
        .iter()
        .enumerate()
        .map(|(d, &size)| {
            axis_taps(
                &grid.select(-1, (sizes.len() - 1 - d) as i64)?,
                size,
                params,
            )
        })
        .collect::<Result<Vec<AxisTaps>>>()?;
    let mut y = Var::from(Tensor::zeros([batch, channels, points], x)?);
    let all: usize = axes.iter().map(Vec::len).product();
    for k in 0..all {
        let (mut rest, mut stride) = (k, 1);
        let mut found: Option<(Tensor, Tensor, Var)> = None;
        for (axis, &size) in axes.iter().zip(sizes).rev() {
            let (at, inside, weight) = &axis[rest % axis.len()];
            rest /= axis.len();
            let at = at.mul_scalar(stride as i64)?;
            found = Some(match found {
                None => (at, inside.clone(), weight.clone()),
                Some((a, i, w)) => (a.add(&at)?, i.logical_and(inside)?, w.mul(weight)?),
            });
            stride *= size;
        }
        let Some((at, inside, weight)) = found else {
            continue;
        };
        let wide = [batch, channels, points];
        let outside = inside.logical_not()?.unsqueeze(1)?.broadcast_to(wide)?;
        let picked = flat.gather(-1, &at.unsqueeze(1)?.broadcast_to(wide)?)?;
        y = y.add(
            &picked
                .mul(&weight.unsqueeze(1)?)?
                .masked_fill(&outside, 0.0)?,
        )?;
    }
    y.reshape([&[batch, channels], out].concat())
}

/// The elements that the numbers `g` (B, points) of a grid take of an axis of `size` elements. Which they are is constant
/// around a point, the weights are functions of `g`.
fn axis_taps(g: &Var, size: usize, params: GridSampleParams) -> Result<AxisTaps> {
    let (shape, dtype) = (g.dims().to_vec(), g.dtype());
    let numbers = g.value().to_dtype(DType::F64)?.to_vec::<f64>()?;
    let found: Vec<_> = numbers.iter().map(|&g| params.taps(g, size)).collect();
    // Between which whole places the point is: t = 0 at the first, with its slope by g.
    let (t, slope): (Vec<f64>, Vec<f64>) = numbers
        .iter()
        .map(|&g| {
            let (x, slope) = match params.mode {
                GridMode::Bicubic => params.unnormalized(g, size),
                _ => params.place(g, size),
            };
            (x - x.floor(), slope)
        })
        .unzip();
    let constant = |v: Vec<f64>| Tensor::from_vec(v, &shape[..])?.to_dtype(dtype);
    let t = Var::from(constant(t)?).add(&g.sub(&g.detach())?.mul(&constant(slope)?.into())?)?;
    let len = found.first().map_or(0, |taps| taps.len);
    (0..len)
        .map(|k| {
            let at = found.iter().map(|taps| taps.at[k].unwrap_or(0) as i64);
            let inside = found.iter().map(|taps| taps.at[k].is_some());
            let weight = match (params.mode, k) {
                (GridMode::Nearest, _) => Var::from(Tensor::ones(&shape[..], dtype)?),
                (GridMode::Bilinear, 0) => t.rsub_scalar(1.0)?,
                (GridMode::Bilinear, _) => t.clone(),
                // The distance to this neighbour, 0 or more.
                (GridMode::Bicubic, 0 | 1) => cubic(&t.add_scalar(1.0 - k as f64)?, k == 1)?,
                (GridMode::Bicubic, _) => cubic(&t.rsub_scalar(k as f64 - 1.0)?, k == 2)?,
            };
            Ok((
                Tensor::from_vec(at.collect::<Vec<i64>>(), &shape[..])?,
                Tensor::from_vec(inside.collect::<Vec<bool>>(), &shape[..])?,
                weight,
            ))
        })
        .collect()
}

/// The cubic (a = −0.75) at distances of at most 1 (`near`), or between 1 and 2.
fn cubic(x: &Var, near: bool) -> Result<Var> {
    const A: f64 = -0.75;
    if near {
        // ((a + 2) x − (a + 3)) x² + 1
        let y = x.mul_scalar(A + 2.0)?.sub_scalar(A + 3.0)?;
        y.mul(x)?.mul(x)?.add_scalar(1.0)
    } else {
        // (((x − 5) x + 8) x − 4) a
        let y = x.sub_scalar(5.0)?.mul(x)?.add_scalar(8.0)?;
        y.mul(x)?.sub_scalar(4.0)?.mul_scalar(A)
    }
}
