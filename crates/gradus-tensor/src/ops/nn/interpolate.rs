//! Interpolation to another size: PyTorch's `interpolate`, all modes, and its gradient.
//!
//! Input `(B, C, ..)` with one to three axes to resize. Here sizes and options are checked and become one
//! [`AxisMap`] per axis; the arithmetic is `gradus_cpu::resample`. 16-bit floats are computed in f32.

use gradus_cpu::resample::{self, AxisMap, Filter};

use super::{dispatch_native, is_half, same_float, wide};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

const OP: &str = "interpolate";

/// How [`Tensor::interpolate`] finds values between elements; PyTorch's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InterpolateMode {
    /// The element at `floor(i · input / output)`, as OpenCV does.
    #[default]
    Nearest,
    /// The element whose centre is closest, as Pillow does.
    NearestExact,
    /// By distance, over one axis.
    Linear,
    /// By distance, over two axes.
    Bilinear,
    /// By distance, over three axes.
    Trilinear,
    /// On a cubic, over two axes.
    Bicubic,
    /// By a windowed sinc, over two axes, and with `antialias` only.
    Lanczos,
    /// The mean of what an output covers: adaptive average pooling.
    Area,
}

/// The arguments of [`Tensor::interpolate`] after the input: PyTorch's names, meaning and defaults. Give `size` or
/// `scale_factor`, each with one number for all axes or one for each.
///
/// ```
/// # use gradus_tensor::{DType, Interpolate, InterpolateMode, Tensor};
/// let x = Tensor::arange(0, 4, 1, DType::F32)?.reshape([1, 1, 2, 2])?;
/// let double = Interpolate { mode: InterpolateMode::Bilinear, ..Interpolate::scale_factor([2.0]) };
/// assert_eq!(x.interpolate(&double)?.dims(), [1, 1, 4, 4]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interpolate {
    /// Sizes of the output's last axes.
    pub size: Option<Vec<usize>>,
    /// Factors; the sizes are rounded down.
    pub scale_factor: Option<Vec<f64>>,
    /// How values between elements are found.
    pub mode: InterpolateMode,
    /// Do the outermost elements' centres (true) or edges stay in place? Of the linear and cubic modes only.
    pub align_corners: Option<bool>,
    /// Do positions follow the ratio of the sizes rather than `scale_factor`?
    pub recompute_scale_factor: bool,
    /// Filters as wide as an output is, when shrinking: no aliasing. Of bilinear, bicubic and Lanczos only.
    pub antialias: bool,
}

impl Interpolate {
    /// To these sizes, nearest. As [`Interpolate`] with `size` alone.
    pub fn size(size: impl Into<Vec<usize>>) -> Self {
        Self {
            size: Some(size.into()),
            ..Self::default()
        }
    }

    /// By these factors, nearest. As [`Interpolate`] with `scale_factor` alone.
    pub fn scale_factor(scale_factor: impl Into<Vec<f64>>) -> Self {
        Self {
            scale_factor: Some(scale_factor.into()),
            ..Self::default()
        }
    }

    /// The sizes that the last axes of an input of shape `x` get.
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// assert_eq!(Interpolate::scale_factor([1.5]).output_size(&[1, 3, 5, 4])?, [7, 6]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank does not fit the mode, options contradict each other, or a size would be 0.
    pub fn output_size(&self, x: &[usize]) -> Result<Vec<usize>> {
        let fail = |why: &str| {
            Err(Error::value(
                OP,
                format!("input {x:?} with {self:?}: {why}"),
            ))
        };
        let axes = x.len().saturating_sub(2);
        let (fits, aligns) = match self.mode {
            InterpolateMode::Linear => (axes == 1, true),
            InterpolateMode::Bilinear | InterpolateMode::Bicubic => (axes == 2, true),
            InterpolateMode::Lanczos => (axes == 2, false),
            InterpolateMode::Trilinear => (axes == 3, true),
            InterpolateMode::Nearest | InterpolateMode::NearestExact | InterpolateMode::Area => {
                ((1..=3).contains(&axes), false)
            }
        };
        if !fits {
            return fail(
                "the mode does not take this many dimensions; they are (B, C, ..), with linear one, bilinear and bicubic two, trilinear three",
            );
        }
        if self
            .align_corners
            .is_some_and(|a| a || self.mode != InterpolateMode::Lanczos)
            && !aligns
        {
            return fail("align_corners is for the modes linear, bilinear, bicubic and trilinear");
        }
        let may_antialias = matches!(
            self.mode,
            InterpolateMode::Bilinear | InterpolateMode::Bicubic | InterpolateMode::Lanczos
        );
        if self.antialias && !may_antialias {
            return fail("antialias is for the modes bilinear, bicubic and lanczos");
        }
        if self.mode == InterpolateMode::Lanczos && !self.antialias {
            return fail("lanczos takes antialias");
        }
        let size = match (&self.size, &self.scale_factor) {
            (Some(_), Some(_)) => return fail("give size or scale_factor, not both"),
            (None, None) => return fail("give size or scale_factor"),
            (Some(_), None) if self.recompute_scale_factor => {
                return fail("recompute_scale_factor needs a scale_factor");
            }
            (Some(size), None) => match size.len() {
                1 => vec![size[0]; axes],
                n if n == axes => size.clone(),
                _ => return fail("size takes one number for each axis"),
            },
            (None, Some(scales)) => {
                if scales.len() != 1 && scales.len() != axes {
                    return fail("scale_factor takes one number for each axis");
                }
                let scaled = |d: usize| x[d + 2] as f64 * scales[d % scales.len()];
                // The largest whole numbers that f64 has.
                let sizes = (0..axes).map(|d| Some(scaled(d)).filter(|s| (0.0..9e15).contains(s)));
                match sizes.collect::<Option<Vec<f64>>>() {
                    Some(sizes) => sizes.into_iter().map(|s| s as usize).collect(),
                    None => return fail("the factors are not positive numbers, or too large"),
                }
            }
        };
        if size.contains(&0) || x[2..].contains(&0) {
            return fail(&format!(
                "input and output sizes must be above 0, and the output would be {size:?}"
            ));
        }
        if x[1] == 0 {
            return fail("there are no channels");
        }
        Ok(size)
    }

    /// What happens to each axis of an input of shape `x`; its sizes are `size`.
    fn maps(&self, x: &[usize], size: &[usize]) -> Result<Vec<AxisMap>> {
        let filter = match (self.mode, self.antialias) {
            (InterpolateMode::Nearest | InterpolateMode::Area, _) => Filter::Nearest,
            (InterpolateMode::NearestExact, _) => Filter::NearestExact,
            (InterpolateMode::Bicubic, false) => Filter::Cubic,
            (InterpolateMode::Bicubic, true) => Filter::CubicAntialias,
            (InterpolateMode::Lanczos, _) => Filter::LanczosAntialias,
            (_, false) => Filter::Linear,
            (_, true) => Filter::LinearAntialias,
        };
        let scales = self
            .scale_factor
            .as_ref()
            .filter(|_| !self.recompute_scale_factor);
        let align = self.align_corners.unwrap_or(false);
        let axis = |d: usize| {
            let scale = scales.map(|s| s[d % s.len()]);
            Ok(AxisMap::new(filter, x[d + 2], size[d], align, scale)?)
        };
        (0..size.len()).map(axis).collect()
    }
}

impl Tensor {
    /// The last axes resized: `(B, C, ..) -> (B, C, ..)`, one to three of them. As PyTorch's `interpolate`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// # use gradus_tensor::Interpolate;
    /// let x = Tensor::from_slice(&[1.0, 2.0], [1, 1, 2])?;
    /// let y = x.interpolate(&Interpolate::size([4]))?; // each to the nearest
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 1.0, 2.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Interpolate::output_size`]; the input is not a float; the output does not fit in memory.
    pub fn interpolate(&self, options: &Interpolate) -> Result<Tensor> {
        let dtype = same_float(OP, &[("the input", self)])?;
        let size = options.output_size(self.dims())?;
        if is_half(dtype) {
            return wide(self)?.interpolate(options)?.to_dtype(dtype);
        }
        if options.mode == InterpolateMode::Area {
            return match size[..] {
                [t] => self.adaptive_avg_pool([t]),
                [h, w] => self.adaptive_avg_pool([h, w]),
                _ => self.adaptive_avg_pool([size[0], size[1], size[2]]),
            };
        }
        let shape = [&self.dims()[..2], &size].concat();
        on_cuda!([self] => cuda::resample::interpolate(OP, self, &options.maps(self.dims(), &size)?));
        dispatch_native!(OP, dtype, T => {
            let x = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(OP, shape, |y| {
                if y.is_empty() {
                    return Ok(());
                }
                Ok(resample::resample(x, &options.maps(self.dims(), &size)?, y)?)
            })
        })
    }

    /// The gradient of [`Tensor::interpolate`]'s input of shape `x_shape`, from that of its output (`self`).
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let dy = Tensor::ones([1, 1, 4], DType::F32)?;
    /// let dx = dy.interpolate_backward(&Interpolate::size([4]), &[1, 1, 2])?;
    /// assert_eq!(dx.to_vec::<f32>()?, [2.0, 2.0]); // each was read twice
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::interpolate`]; this is not of the output's shape.
    pub fn interpolate_backward(&self, options: &Interpolate, x_shape: &[usize]) -> Result<Tensor> {
        let op = "interpolate_backward";
        let dtype = same_float(op, &[("the gradient", self)])?;
        let size = options.output_size(x_shape)?;
        if self.dims() != [&x_shape[..2], &size].concat() {
            let message = format!(
                "the gradient {} is not of an output for {x_shape:?}",
                self.shape()
            );
            return Err(Error::shape(op, message));
        }
        if is_half(dtype) {
            return wide(self)?
                .interpolate_backward(options, x_shape)?
                .to_dtype(dtype);
        }
        if options.mode == InterpolateMode::Area {
            return match size.len() {
                1 => self.adaptive_avg_pool_backward::<1>(x_shape),
                2 => self.adaptive_avg_pool_backward::<2>(x_shape),
                _ => self.adaptive_avg_pool_backward::<3>(x_shape),
            };
        }
        on_cuda!([self] => {
            let maps = options.maps(x_shape, &size)?;
            let back = maps.iter().map(AxisMap::transposed).collect::<Result<Vec<_>, _>>()?;
            cuda::resample::interpolate(op, self, &back)
        });
        dispatch_native!(op, dtype, T => {
            let dy = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, x_shape, |dx| {
                if dx.is_empty() {
                    return Ok(());
                }
                let maps = options.maps(x_shape, &size)?;
                let back = maps.iter().map(AxisMap::transposed).collect::<Result<Vec<_>, _>>()?;
                Ok(resample::resample(dy, &back, dx)?)
            })
        })
    }
}
