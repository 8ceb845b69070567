//! Convolutions over images, and their gradients; one dimension is an image of height 1. PyTorch's layout: x (B, C, H, W),
//! weight (O, C / groups, KH, KW), y (B, O, OH, OW), in any memory format: the fast kernels read and write images with channels last.

mod mma;

use super::{Dense, int};
use crate::error::check_len;
use crate::manifest::{self, Ptr, ReduceOp};
use crate::view::{numel, same_device};
use crate::{Buffer, DType, Error, FloatElement, MemoryFormat, Result, Tf32, View, allow_tf32};

/// How the kernel moves over its input; PyTorch's names and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dParams {
    /// Steps between outputs.
    pub stride: [usize; 2],
    /// Zeros on both sides of the input.
    pub padding: [usize; 2],
    /// Steps between the taps of the kernel.
    pub dilation: [usize; 2],
    /// Channels are split into so many independent convolutions.
    pub groups: usize,
}

impl Default for Conv2dParams {
    fn default() -> Self {
        Self {
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }
}

impl Conv2dParams {
    /// The shape of the output for an input (B, C, H, W) and a weight (O, C / groups, KH, KW).
    ///
    /// # Errors
    /// If they do not fit together, a size or step is 0, or the kernel is larger than the padded input.
    pub fn output_shape(&self, x: &[usize], weight: &[usize]) -> Result<[usize; 4]> {
        let g = self.geometry("conv2d", x, weight)?;
        Ok([x[0], weight[0], g.output[0] as usize, g.output[1] as usize])
    }

    fn geometry(&self, op: &'static str, x: &[usize], weight: &[usize]) -> Result<manifest::Conv> {
        let fail = |what: &str| {
            Err(Error::shape(
                op,
                format!("input {x:?}, weight {weight:?}, {self:?}: {what}"),
            ))
        };
        let (&[batch, channels, h, w], &[outputs, per_group, kh, kw]) = (x, weight) else {
            return fail("both need rank 4");
        };
        if self.groups == 0
            || !outputs.is_multiple_of(self.groups)
            || per_group.checked_mul(self.groups) != Some(channels)
        {
            return fail(
                "groups times the weight's second size must be the input's channels, and groups divide the outputs",
            );
        }
        let mut g = manifest::Conv {
            batch: int(op, batch)?,
            groups: int(op, self.groups)?,
            channels: int(op, per_group)?,
            outputs: int(op, outputs / self.groups)?,
            pieces: 1,
            ..Default::default()
        };
        for (d, (input, kernel)) in [(h, kh), (w, kw)].into_iter().enumerate() {
            let (stride, padding, dilation) = (self.stride[d], self.padding[d], self.dilation[d]);
            let sizes = || {
                let reach = kernel
                    .checked_sub(1)?
                    .checked_mul(dilation)?
                    .checked_add(1)?;
                let padded = padding.checked_mul(2)?.checked_add(input)?;
                // Kernels add a kernel's reach to a padded position.
                i32::try_from(padded.checked_add(reach)?.checked_add(stride)?).ok()?;
                (stride > 0 && dilation > 0).then_some(())?;
                Some(padded.checked_sub(reach)? / stride + 1)
            };
            let Some(output) = sizes() else {
                return fail(
                    "the kernel must fit into the padded input, and no stride, dilation or kernel size be 0",
                );
            };
            (g.input[d], g.kernel[d], g.output[d]) = (input as i32, kernel as i32, output as i32);
            (g.stride[d], g.padding[d], g.dilation[d]) =
                (stride as i32, padding as i32, dilation as i32);
        }
        numel(op, x)?;
        numel(op, weight)?;
        numel(
            op,
            &[batch, outputs, g.output[0] as usize, g.output[1] as usize],
        )?;
        Ok(g)
    }
}

/// (x, weight, y) elements.
fn lens(g: &manifest::Conv) -> (usize, usize, usize) {
    let n = |of: i32| of as usize;
    let area = |a: [i32; 2]| n(a[0]) * n(a[1]);
    let (images, all_outputs) = (n(g.batch) * n(g.groups), n(g.groups) * n(g.outputs));
    (
        images * n(g.channels) * area(g.input),
        all_outputs * n(g.channels) * area(g.kernel),
        images * n(g.outputs) * area(g.output),
    )
}

/// Blocks of 64×64 of a product of `rows` by `columns`.
fn grid(op: &'static str, rows: usize, columns: usize, depth: i32) -> Result<(u32, u32, u32)> {
    let (x, y) = (columns.div_ceil(64), rows.div_ceil(64));
    if y > 65535 || depth > 65535 || i32::try_from(x).is_err() {
        return Err(Error::shape(
            op,
            format!("a product of {rows} by {columns} in {depth} is too large for a launch"),
        ));
    }
    Ok((x as u32, y as u32, depth as u32))
}

/// A kernel that convolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Elements fetched one by one from row-major images; any channels and groups.
    Gather,
    /// Sixteen bytes of channels at a time, from images with channels last, to tensor cores. bf16, f16, and f32 as TF32; one group,
    /// channels in multiples of 16 bytes.
    Mma,
}

/// What a caller may say of how a convolution is computed; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// The kernel; `None` is the best that can.
    pub rung: Option<Rung>,
    /// How the result shall lie in memory (of the weight's gradient: row-major always).
    pub format: MemoryFormat,
}

impl How {
    /// The kernel to run, of which [`Rung::Mma`] can do it if `fits`.
    fn choose<T: FloatElement>(self, op: &'static str, fits: bool) -> Result<Rung> {
        let wanted = match T::DTYPE {
            DType::BF16 | DType::F16 => true,
            DType::F32 => allow_tf32(Tf32::Conv),
            _ => false,
        };
        match self.rung {
            Some(Rung::Mma) if !fits || T::DTYPE == DType::F64 => Err(Error::Unsupported {
                op,
                what: "Mma: one group, channels in multiples of 16 bytes, not f64".into(),
            }),
            Some(rung) => Ok(rung),
            None if fits && wanted => Ok(Rung::Mma),
            None => Ok(Rung::Gather),
        }
    }
}

/// Has `kernel` write images of `shape` that lie as `written`, and `y` receive them as `wanted`.
fn write<T: FloatElement>(
    y: &mut Buffer<T>,
    shape: [usize; 4],
    written: MemoryFormat,
    wanted: MemoryFormat,
    kernel: impl FnOnce(&mut Buffer<T>) -> Result<()>,
) -> Result<()> {
    let one_order = shape[1] == 1 || shape[2] * shape[3] == 1;
    if written == wanted || one_order {
        return kernel(y);
    }
    let mut images = y.device().uninit(y.len())?;
    kernel(&mut images)?;
    let images = written.view(&images, shape)?;
    match wanted {
        MemoryFormat::Contiguous => super::copy::copy(&images, y),
        MemoryFormat::ChannelsLast => super::copy::copy(&images.permuted(&[0, 2, 3, 1]), y),
    }
}

/// The sizes of images as an array.
fn four(shape: &[usize]) -> [usize; 4] {
    [shape[0], shape[1], shape[2], shape[3]]
}

/// `y = conv(x, weight) + bias`, a cross-correlation; `y` is row-major. Neither rung nor result depends on how `x` lies in memory.
///
/// # Errors
/// As [`Conv2dParams::output_shape`]; if `y` or `bias` have another size, or devices differ.
pub fn conv2d<T: FloatElement>(
    x: &View<'_, T>,
    weight: &View<'_, T>,
    bias: Option<&Buffer<T>>,
    params: &Conv2dParams,
    y: &mut Buffer<T>,
) -> Result<()> {
    conv2d_as(How::default(), x, weight, bias, params, y)
}

/// [`conv2d`] on a rung, to a format. Images that lie with channels last are read in place where the kernel wants them so.
///
/// # Errors
/// As [`conv2d`]; [`Error::Unsupported`] if the rung cannot do it.
///
/// ```
/// # use gradus_cuda::{Device, MemoryFormat, bf16, ops::conv::{Conv2dParams, How, conv2d_as}};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.upload(&[bf16::ONE; 2 * 4 * 4 * 8])?;
/// let w = device.upload(&[bf16::ONE; 3 * 8])?;
/// let mut y = device.uninit(2 * 4 * 4 * 3)?; // (2, 3, 4, 4) with channels last
/// let how = How { format: MemoryFormat::ChannelsLast, ..How::default() };
/// conv2d_as(how, &x.view(&[2, 8, 4, 4])?, &w.view(&[3, 8, 1, 1])?, None, &Conv2dParams::default(), &mut y)?;
/// assert_eq!(y.download()?[0].to_f32(), 8.0);
/// # Ok(())
/// # }
/// ```
pub fn conv2d_as<T: FloatElement>(
    how: How,
    x: &View<'_, T>,
    weight: &View<'_, T>,
    bias: Option<&Buffer<T>>,
    params: &Conv2dParams,
    y: &mut Buffer<T>,
) -> Result<()> {
    let op = "conv2d";
    let g = params.geometry(op, x.shape(), weight.shape())?;
    check_len(op, "the output", y.len(), lens(&g).2)?;
    if let Some(bias) = bias {
        check_len(op, "the bias", bias.len(), (g.groups * g.outputs) as usize)?;
    }
    same_device(op, x.buffer(), weight.buffer())?;
    same_device(op, x.buffer(), y)?;
    let shape = params.output_shape(x.shape(), weight.shape())?;
    if how.choose::<T>(op, mma::fits::<T>(&g, g.channels))? == Rung::Mma {
        return write(y, shape, MemoryFormat::ChannelsLast, how.format, |y| {
            mma::forward(how.rung.is_none(), x, weight, bias, &g, y)
        });
    }
    write(y, shape, MemoryFormat::Contiguous, how.format, |y| {
        let (x, w, device) = (Dense::new(x)?, Dense::new(weight)?, y.device().clone());
        let pixels = (g.output[0] * g.output[1]) as usize * g.batch as usize;
        let grid = grid(op, g.outputs as usize, pixels, g.groups)?;
        let kernel = manifest::conv_forward {
            x: x.ptr(),
            w: w.ptr(),
            bias: bias.map_or(Ptr::NULL, Into::into),
            y: y.into(),
            g,
        };
        // SAFETY: x, w and y have the sizes of the geometry; y is borrowed exclusively.
        unsafe { device.launch(&kernel, T::DTYPE, grid, 0) }
    })
}

/// The gradient of `x`: `dx`, row-major in `x_shape`, from `dy` (B, O, OH, OW). Also the transposed convolution.
///
/// # Errors
/// As [`conv2d`].
pub fn conv2d_backward_data<T: FloatElement>(
    dy: &View<'_, T>,
    weight: &View<'_, T>,
    params: &Conv2dParams,
    x_shape: &[usize],
    dx: &mut Buffer<T>,
) -> Result<()> {
    conv2d_backward_data_as(How::default(), dy, weight, params, x_shape, dx)
}

/// [`conv2d_backward_data`] on a rung, to a format.
///
/// # Errors
/// As [`conv2d_as`].
pub fn conv2d_backward_data_as<T: FloatElement>(
    how: How,
    dy: &View<'_, T>,
    weight: &View<'_, T>,
    params: &Conv2dParams,
    x_shape: &[usize],
    dx: &mut Buffer<T>,
) -> Result<()> {
    let op = "conv2d_backward_data";
    let g = params.geometry(op, x_shape, weight.shape())?;
    check_shape(op, "dy", dy, params.output_shape(x_shape, weight.shape())?)?;
    check_len(op, "the gradient", dx.len(), lens(&g).0)?;
    same_device(op, dy.buffer(), weight.buffer())?;
    same_device(op, dy.buffer(), dx)?;
    let shape = four(x_shape);
    let fits = mma::fits::<T>(&g, g.channels) && mma::fits::<T>(&g, g.outputs);
    if how.choose::<T>(op, fits)? == Rung::Mma {
        return write(dx, shape, MemoryFormat::ChannelsLast, how.format, |dx| {
            mma::backward_data(how.rung.is_none(), dy, weight, &g, dx)
        });
    }
    write(dx, shape, MemoryFormat::Contiguous, how.format, |dx| {
        let (dy, w, device) = (Dense::new(dy)?, Dense::new(weight)?, dx.device().clone());
        let pixels = (g.input[0] * g.input[1]) as usize * g.batch as usize;
        let grid = grid(op, g.channels as usize, pixels, g.groups)?;
        let kernel = manifest::conv_data {
            dy: dy.ptr(),
            w: w.ptr(),
            dx: dx.into(),
            g,
        };
        // SAFETY: dy, w and dx have the sizes of the geometry; dx is borrowed exclusively.
        unsafe { device.launch(&kernel, T::DTYPE, grid, 0) }
    })
}

/// `Err` unless a gradient has the shape of what it is the gradient of.
fn check_shape<T: FloatElement>(
    op: &'static str,
    what: &str,
    x: &View<'_, T>,
    shape: [usize; 4],
) -> Result<()> {
    if x.shape() == shape {
        return Ok(());
    }
    let message = format!("{what} has the shape {:?}, not {shape:?}", x.shape());
    Err(Error::shape(op, message))
}

/// The gradient of the weight: `dw`, row-major in `weight_shape`, from `x` and `dy`.
///
/// # Errors
/// As [`conv2d`].
pub fn conv2d_backward_weight<T: FloatElement>(
    x: &View<'_, T>,
    dy: &View<'_, T>,
    params: &Conv2dParams,
    weight_shape: &[usize],
    dw: &mut Buffer<T>,
) -> Result<()> {
    conv2d_backward_weight_as(How::default(), x, dy, params, weight_shape, dw)
}

/// [`conv2d_backward_weight`] on a rung.
///
/// # Errors
/// As [`conv2d_as`].
pub fn conv2d_backward_weight_as<T: FloatElement>(
    how: How,
    x: &View<'_, T>,
    dy: &View<'_, T>,
    params: &Conv2dParams,
    weight_shape: &[usize],
    dw: &mut Buffer<T>,
) -> Result<()> {
    let op = "conv2d_backward_weight";
    let mut g = params.geometry(op, x.shape(), weight_shape)?;
    check_shape(op, "dy", dy, params.output_shape(x.shape(), weight_shape)?)?;
    check_len(op, "the gradient", dw.len(), lens(&g).1)?;
    same_device(op, x.buffer(), dy.buffer())?;
    same_device(op, x.buffer(), dw)?;
    if dw.is_empty() {
        return Ok(());
    }
    let device = dw.device().clone();
    let fits = mma::fits::<T>(&g, g.channels) && mma::fits::<T>(&g, g.outputs);
    let rung = how.choose::<T>(op, fits)?;
    let tile = if rung == Rung::Mma { 128 } else { 64 };
    let (rows, columns) = (
        g.outputs as usize,
        (g.channels * g.kernel[0] * g.kernel[1]) as usize,
    );
    // The sum runs over all pixels of the batch: in pieces of at least 512, as many as fill the device; added up in their order.
    let depth = g.batch as usize * (g.output[0] * g.output[1]) as usize;
    let tiles = rows.div_ceil(tile) * columns.div_ceil(tile) * g.groups as usize;
    let wanted = (device.multiprocessors() as usize * 2).div_ceil(tiles.max(1));
    g.pieces = (depth / 512).clamp(1, wanted.clamp(1, 64)) as i32;
    let mut parts = device.uninit::<f32>(g.pieces as usize * dw.len())?;
    if rung == Rung::Mma {
        mma::backward_weight(x, dy, &g, &mut parts)?;
    } else {
        let (x, dy) = (Dense::new(x)?, Dense::new(dy)?);
        let kernel = manifest::conv_weight {
            x: x.ptr(),
            dy: dy.ptr(),
            parts: (&mut parts).into(),
            g,
        };
        let grid = grid(op, rows, columns, g.groups * g.pieces)?;
        // SAFETY: x and dy have the sizes of the geometry, `parts` those of the weight for each piece.
        unsafe { device.launch(&kernel, T::DTYPE, grid, 0) }?;
    }
    let mut sum = device.uninit::<f32>(dw.len())?;
    super::reduce::reduce(
        ReduceOp::Sum,
        &parts.view(&[g.pieces as usize, dw.len()])?,
        &[0],
        &mut sum,
    )?;
    let format = match rung {
        Rung::Mma => MemoryFormat::ChannelsLast,
        Rung::Gather => MemoryFormat::Contiguous,
    };
    super::copy::cast(&format.view(&sum, four(weight_shape))?, dw)
}
