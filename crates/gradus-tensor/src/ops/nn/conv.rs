//! Convolution in one to three dimensions, its gradients, and the transposed convolution (which is one of them).
//!
//! Layouts are PyTorch's: input `(B, C, H, W)`, weight `(O, C / groups, KH, KW)`, output `(B, O, OH, OW)`; without the
//! batch dimension one image is meant. 16-bit floats are computed in f32 and rounded once.

use gradus_cpu::conv::{self, ConvParams};
use gradus_cpu::gemm::{Bias, Epilogue};

use super::{dispatch_native, is_half, same_float, wide};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Is there a batch dimension? Input and weight must have rank D + 2, the input possibly one less.
fn batched<const D: usize>(op: &'static str, x: &Tensor, weight: &Tensor) -> Result<bool> {
    let fail = |why: &str| {
        Err(Error::shape(
            op,
            format!("input {} and weight {}: {why}", x.shape(), weight.shape()),
        ))
    };
    if weight.rank() != D + 2 {
        return fail(&format!(
            "the weight takes {} dimensions: out, in / groups, kernel",
            D + 2
        ));
    }
    match x.rank() {
        r if r == D + 2 => Ok(true),
        r if r == D + 1 => Ok(false),
        _ => {
            let space = match D {
                1 => "L",
                2 => "H, W",
                _ => "D, H, W",
            };
            fail(&format!("the input takes (B, C, {space}) or (C, {space})"))
        }
    }
}

/// A convolution over a number of dimensions known only at run time: so its kernels are compiled here, once, and not wherever
/// somebody chooses a `D`, in a build that may not optimise.
#[derive(Clone, Copy)]
enum Over {
    One(ConvParams<1>),
    Two(ConvParams<2>),
    Three(ConvParams<3>),
}

/// `$kernel` with the parameters, of whichever number of dimensions.
macro_rules! over {
    ($over:expr, $params:ident => $kernel:expr) => {
        match $over {
            Over::One($params) => $kernel,
            Over::Two($params) => $kernel,
            Over::Three($params) => $kernel,
        }
    };
}

impl Over {
    fn new<const D: usize>(params: &ConvParams<D>) -> Self {
        const { assert!(D >= 1 && D <= 3, "1, 2 or 3 spatial dimensions") }
        fn of<const D: usize, const N: usize>(params: &ConvParams<D>) -> ConvParams<N> {
            let of = |sizes: [usize; D]| std::array::from_fn(|d| sizes[d]);
            ConvParams {
                stride: of(params.stride),
                padding: of(params.padding),
                dilation: of(params.dilation),
                groups: params.groups,
            }
        }
        match D {
            1 => Self::One(of(params)),
            2 => Self::Two(of(params)),
            _ => Self::Three(of(params)),
        }
    }

    fn conv(
        self,
        (op, dtype): (&'static str, DType),
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        keep: bool,
        shape: Shape,
    ) -> Result<Tensor> {
        let kept = keep.then(|| weight.storage.kept()).flatten();
        dispatch_native!(op, dtype, T => {
            let (x, w) = (x.kernel_view::<T>()?, weight.kernel_view::<T>()?);
            let epilogue = match bias {
                Some(b) => Epilogue::bias(Bias::Row(b.data::<T>(op)?)),
                None => Epilogue::default(),
            };
            Tensor::try_build::<T>(op, shape, |y| {
                Ok(over!(self, params => conv::conv_keeping(x, w, kept, &epilogue, &params, y))?)
            })
        })
    }

    fn backward_data(
        self,
        (op, dtype): (&'static str, DType),
        dy: &Tensor,
        weight: &Tensor,
        shape: &[usize],
    ) -> Result<Tensor> {
        dispatch_native!(op, dtype, T => {
            let (dy, w) = (dy.kernel_view::<T>()?, weight.kernel_view::<T>()?);
            Tensor::try_build::<T>(op, shape, |dx| {
                Ok(over!(self, params => conv::conv_backward_data(dy, w, &params, shape, dx))?)
            })
        })
    }

    fn backward_weight(
        self,
        (op, dtype): (&'static str, DType),
        x: &Tensor,
        dy: &Tensor,
        shape: &[usize],
    ) -> Result<Tensor> {
        dispatch_native!(op, dtype, T => {
            let (x, dy) = (x.kernel_view::<T>()?, dy.kernel_view::<T>()?);
            Tensor::try_build::<T>(op, shape, |dw| {
                Ok(over!(self, params => conv::conv_backward_weight(x, dy, &params, shape, dw))?)
            })
        })
    }
}

impl Tensor {
    /// Convolution over `D` = 1, 2 or 3 dimensions: `(B, C, ..) * (O, C / groups, ..) + (O) -> (B, O, ..)`.
    ///
    /// ```
    /// # use gradus_tensor::{ConvParams, DType, Tensor};
    /// let x = Tensor::ones([1, 1, 5], DType::F64)?; // (B, C, T)
    /// let y = x.conv(&Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?.reshape([1, 1, 3])?, None, &ConvParams::<1>::default())?;
    /// assert_eq!(y.to_vec::<f64>()?, [6.0, 6.0, 6.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, the kernel is larger than the padded input, or a stride or dilation is 0.
    pub fn conv<const D: usize>(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        params: &ConvParams<D>,
    ) -> Result<Tensor> {
        self.conv_by(weight, bias, params, false)
    }

    /// [`Tensor::conv`] with a weight that the next calls have again, as in inference: what is packed of it is kept, as
    /// [`Tensor::linear_keeping`] does.
    ///
    /// ```
    /// # use gradus_tensor::{Conv2dParams, DType, Tensor};
    /// let (x, w) = (Tensor::ones([1, 3, 8, 8], DType::F32)?, Tensor::ones([16, 3, 3, 3], DType::F32)?);
    /// let y = x.conv_keeping(&w, None, &Conv2dParams::default())?;
    /// assert_eq!(y.index((0, 0, 4, 4))?.item::<f32>()?, 27.0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::conv`].
    pub fn conv_keeping<const D: usize>(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        params: &ConvParams<D>,
    ) -> Result<Tensor> {
        self.conv_by(weight, bias, params, true)
    }

    fn conv_by<const D: usize>(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        params: &ConvParams<D>,
        keep: bool,
    ) -> Result<Tensor> {
        let op = ["conv", "conv1d", "conv2d", "conv3d"][D.min(3)];
        if !batched::<D>(op, self, weight)? {
            let y = self.unsqueeze(0)?.conv_by(weight, bias, params, keep)?;
            return y.select(0, 0);
        }
        let operands: Vec<(&str, &Tensor)> = [("the input", self), ("the weight", weight)]
            .into_iter()
            .chain(bias.map(|b| ("the bias", b)))
            .collect();
        let dtype = same_float(op, &operands)?;
        if let Some(b) = bias
            && b.dims() != [weight.dims()[0]]
        {
            let message = format!(
                "the bias has shape {} but the weight {} has {} outputs",
                b.shape(),
                weight.shape(),
                weight.dims()[0]
            );
            return Err(Error::shape(op, message));
        }
        let shape = params
            .output_shape(self.dims(), weight.dims())
            .map_err(|e| Error::from(e).in_op(op))?;
        on_cuda!([self, weight] => cuda::conv::conv(op, self, weight, bias, params, &shape.into()));
        if is_half(dtype) {
            let bias = bias.map(wide).transpose()?;
            return wide(self)?
                .conv(&wide(weight)?, bias.as_ref(), params)?
                .to_dtype(dtype);
        }
        let bias = bias.map(Tensor::contiguous).transpose()?;
        Over::new(params).conv((op, dtype), self, weight, bias.as_ref(), keep, shape.into())
    }

    /// Convolution over time: `(B, C, T) * (O, C / groups, K) -> (B, O, OT)`. See [`Tensor::conv`].
    ///
    /// ```
    /// # use gradus_tensor::{ConvParams, Tensor};
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], 4)?.reshape([1, 1, 4])?; // (B, C, T)
    /// let w = Tensor::from_slice(&[1.0, -1.0], 2)?.reshape([1, 1, 2])?; // (O, C, K)
    /// assert_eq!(x.conv1d(&w, None, &ConvParams::default())?.to_vec::<f64>()?, [-1.0, -1.0, -1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::conv`].
    pub fn conv1d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        params: &ConvParams<1>,
    ) -> Result<Tensor> {
        self.conv(weight, bias, params)
    }

    /// Convolution over images: `(B, C, H, W) * (O, C / groups, KH, KW) -> (B, O, OH, OW)`. See [`Tensor::conv`].
    ///
    /// ```
    /// # use gradus_tensor::{Conv2dParams, DType, Tensor};
    /// let x = Tensor::ones([1, 3, 8, 8], DType::F32)?;
    /// let w = Tensor::ones([16, 3, 3, 3], DType::F32)?;
    /// let y = x.conv2d(&w, None, &Conv2dParams { padding: [1, 1], ..Default::default() })?;
    /// assert_eq!(y.dims(), [1, 16, 8, 8]);
    /// assert_eq!(y.index((0, 0, 4, 4))?.item::<f32>()?, 27.0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::conv`].
    pub fn conv2d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        params: &ConvParams<2>,
    ) -> Result<Tensor> {
        self.conv(weight, bias, params)
    }

    /// Convolution over volumes: `(B, C, D, H, W) * (O, C / groups, KD, KH, KW)`. See [`Tensor::conv`].
    ///
    /// ```
    /// # use gradus_tensor::{ConvParams, DType, Tensor};
    /// let x = Tensor::ones([1, 1, 2, 2, 2], DType::F64)?; // (B, C, D, H, W)
    /// assert_eq!(x.conv3d(&x, None, &ConvParams::default())?.to_vec::<f64>()?, [8.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::conv`].
    pub fn conv3d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        params: &ConvParams<3>,
    ) -> Result<Tensor> {
        self.conv(weight, bias, params)
    }

    /// The gradient of a convolution's input, of shape `x_shape`, from that of its output (`self`): `dx`.
    ///
    /// ```
    /// # use gradus_tensor::{ConvParams, Tensor};
    /// let (dy, w) = (Tensor::from_slice(&[1.0, 0.0], 2)?.reshape([1, 1, 2])?, Tensor::from_slice(&[5.0, 7.0], 2)?.reshape([1, 1, 2])?);
    /// assert_eq!(dy.conv_backward_data(&w, &ConvParams::<1>::default(), &[1, 1, 3])?.to_vec::<f64>()?, [5.0, 7.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn conv_backward_data<const D: usize>(
        &self,
        weight: &Tensor,
        params: &ConvParams<D>,
        x_shape: &[usize],
    ) -> Result<Tensor> {
        let op = "conv_backward_data";
        if !batched::<D>(op, self, weight)? {
            let mut shape = vec![1];
            shape.extend_from_slice(x_shape);
            return self
                .unsqueeze(0)?
                .conv_backward_data(weight, params, &shape)?
                .select(0, 0);
        }
        let dtype = same_float(op, &[("the gradient", self), ("the weight", weight)])?;
        on_cuda!([self, weight] => cuda::conv::backward_data(op, self, weight, params, x_shape));
        if is_half(dtype) {
            return wide(self)?
                .conv_backward_data(&wide(weight)?, params, x_shape)?
                .to_dtype(dtype);
        }
        Over::new(params).backward_data((op, dtype), self, weight, x_shape)
    }

    /// The gradient of a convolution's weight, of shape `weight_shape`, from its input (`self`) and that of its output: `dw`.
    ///
    /// ```
    /// # use gradus_tensor::{ConvParams, Tensor};
    /// let (x, dy) = (Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?.reshape([1, 1, 3])?, Tensor::from_slice(&[1.0, 0.0], 2)?.reshape([1, 1, 2])?);
    /// assert_eq!(x.conv_backward_weight(&dy, &ConvParams::<1>::default(), &[1, 1, 2])?.to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn conv_backward_weight<const D: usize>(
        &self,
        dy: &Tensor,
        params: &ConvParams<D>,
        weight_shape: &[usize],
    ) -> Result<Tensor> {
        let op = "conv_backward_weight";
        if self.rank() == D + 1 && dy.rank() == D + 1 {
            return self.unsqueeze(0)?.conv_backward_weight(
                &dy.unsqueeze(0)?,
                params,
                weight_shape,
            );
        }
        let dtype = same_float(op, &[("the input", self), ("the gradient", dy)])?;
        on_cuda!([self, dy] => cuda::conv::backward_weight(op, self, dy, params, weight_shape));
        if is_half(dtype) {
            return wide(self)?
                .conv_backward_weight(&wide(dy)?, params, weight_shape)?
                .to_dtype(dtype);
        }
        Over::new(params).backward_weight((op, dtype), self, dy, weight_shape)
    }

    /// The gradient of a convolution's bias from that of its output `(B, O, ..)`: the sum over all but the channels, `(O)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.reshape([1, 1, 3])?.conv_backward_bias()?.to_vec::<f64>()?, [6.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no channel dimension.
    pub fn conv_backward_bias(&self) -> Result<Tensor> {
        let op = "conv_backward_bias";
        let dtype = same_float(op, &[("the gradient", self)])?;
        if self.rank() < 2 {
            return Err(Error::shape(
                op,
                format!(
                    "the gradient has shape {}; it takes (B, O, ..)",
                    self.shape()
                ),
            ));
        }
        on_cuda!([self] => cuda::conv::backward_bias(self));
        if is_half(dtype) {
            return wide(self)?.conv_backward_bias()?.to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let dy = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, self.dims()[1], |db| Ok(conv::conv_backward_bias(dy, db)?))
        })
    }

    /// The transposed convolution over `D` dimensions: `(B, C, ..) * (C, O / groups, ..) + (O) -> (B, O, ..)`, where each
    /// size becomes `(n - 1)·stride - 2·padding + dilation·(kernel - 1) + output_padding + 1`.
    ///
    /// ```
    /// # use gradus_tensor::{ConvParams, Tensor};
    /// let (x, w) = (Tensor::from_slice(&[1.0, 2.0], 2)?.reshape([1, 1, 2])?, Tensor::from_slice(&[1.0, 10.0], 2)?.reshape([1, 1, 2])?);
    /// assert_eq!(x.conv_transpose(&w, None, &ConvParams::<1>::default(), [0])?.to_vec::<f64>()?, [1.0, 12.0, 20.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, a size would be 0 or less, or `output_padding` is not below stride or dilation.
    pub fn conv_transpose<const D: usize>(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        params: &ConvParams<D>,
        output_padding: [usize; D],
    ) -> Result<Tensor> {
        let op = [
            "conv_transpose",
            "conv_transpose1d",
            "conv_transpose2d",
            "conv_transpose3d",
        ][D.min(3)];
        if !batched::<D>(op, self, weight)? {
            return self
                .unsqueeze(0)?
                .conv_transpose(weight, bias, params, output_padding)?
                .select(0, 0);
        }
        let operands: Vec<(&str, &Tensor)> = [("the input", self), ("the weight", weight)]
            .into_iter()
            .chain(bias.map(|b| ("the bias", b)))
            .collect();
        same_float(op, &operands)?;
        let shape = transposed_shape(op, self, weight, params, output_padding)?;
        let outputs = shape[1];
        let y = self
            .conv_backward_data(weight, params, &shape)
            .map_err(|e| e.in_op(op))?;
        match bias {
            None => Ok(y),
            Some(b) if b.dims() != [outputs] => Err(Error::shape(
                op,
                format!(
                    "the bias has shape {} but there are {outputs} outputs",
                    b.shape()
                ),
            )),
            Some(b) => {
                let mut line = vec![outputs];
                line.resize(D + 1, 1);
                y.add_(&b.reshape(line)?)
            }
        }
    }
}

fn transposed_shape<const D: usize>(
    op: &'static str,
    x: &Tensor,
    weight: &Tensor,
    params: &ConvParams<D>,
    output_padding: [usize; D],
) -> Result<Shape> {
    let fail = |why: &str| {
        Error::shape(
            op,
            format!(
                "input {}, weight {}, {params:?}, output_padding {output_padding:?}: {why}",
                x.shape(),
                weight.shape()
            ),
        )
    };
    if x.dims()[1] != weight.dims()[0] {
        return Err(fail(
            "the channels of input and weight differ (the weight is stored in, out / groups, kernel)",
        ));
    }
    let outputs = weight.dims()[1]
        .checked_mul(params.groups)
        .ok_or_else(|| fail("the channels overflow"))?;
    let mut shape = vec![x.dims()[0], outputs];
    for d in 0..D {
        if output_padding[d] >= params.stride[d].max(params.dilation[d]) {
            return Err(fail(
                "output_padding must be smaller than the stride or the dilation",
            ));
        }
        let size = |n: usize| i128::try_from(n).unwrap_or(i128::MAX / 4);
        let n = (size(x.dims()[d + 2]) - 1) * size(params.stride[d]) - 2 * size(params.padding[d])
            + size(params.dilation[d]) * (size(weight.dims()[d + 2]) - 1)
            + size(output_padding[d])
            + 1;
        shape.push(
            usize::try_from(n)
                .ok()
                .filter(|&n| n > 0)
                .ok_or_else(|| fail("an output size is not above 0"))?,
        );
    }
    Ok(Shape::from(shape))
}
