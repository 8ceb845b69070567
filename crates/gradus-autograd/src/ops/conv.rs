//! Convolutions. Three operations, each linear in both operands, are each other's gradients: the convolution, the gradient of its
//! data (which is the transposed convolution) and the gradient of its weight.

use gradus_tensor::{Conv1dParams, Conv2dParams, Conv3dParams, ConvParams, Error, PadMode, Result};

use crate::autocast::lower;
use crate::op::Op;
use crate::var::Var;

impl Var {
    /// (B, C, T) or (C, T), weight (O, C / groups, K), bias (O), to (B, O, T').
    ///
    /// Gradient: for the input the transposed convolution of `dy`, for the weight a convolution of the input with
    /// `dy`, for the bias sums of `dy`. Shapes, dtypes are those of
    /// [`Tensor::conv1d`](gradus_tensor::Tensor::conv1d).
    ///
    /// # Errors
    /// If the shapes do not fit, a stride, dilation or kernel size is 0, or the kernel is larger than the padded input.
    #[doc = slope!("x.conv1d(&a, None, &gradus_tensor::ConvParams::default())?" => "21.0, 32.0"; "x", "[1, 1, 3]", "1.0, 2.0, 3.0" => "1.0, 11.0, 10.0"; "a", "[1, 1, 2]", "1.0, 10.0" => "3.0, 5.0")]
    pub fn conv1d(&self, weight: &Var, bias: Option<&Var>, params: &Conv1dParams) -> Result<Var> {
        batched(self, 1, |x| conv(x, weight, bias, *params))
    }

    /// (B, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O), to (B, O, H', W').
    ///
    /// Gradient: as [`Var::conv1d`]'s, over two dimensions. Shapes, dtypes are those of
    /// [`Tensor::conv2d`](gradus_tensor::Tensor::conv2d).
    ///
    /// # Errors
    /// As [`Var::conv1d`].
    #[doc = slope!("x.conv2d(&a, None, &gradus_tensor::ConvParams::default())?" => "4321.0"; "x", "[1, 1, 2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 10.0, 100.0, 1000.0"; "a", "[1, 1, 2, 2]", "1.0, 10.0, 100.0, 1000.0" => "1.0, 2.0, 3.0, 4.0")]
    pub fn conv2d(&self, weight: &Var, bias: Option<&Var>, params: &Conv2dParams) -> Result<Var> {
        batched(self, 2, |x| conv(x, weight, bias, *params))
    }

    /// (B, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O), to (B, O, D', H', W').
    ///
    /// Gradient: as [`Var::conv1d`]'s, over three dimensions. Shapes, dtypes are those of
    /// [`Tensor::conv3d`](gradus_tensor::Tensor::conv3d).
    ///
    /// # Errors
    /// As [`Var::conv1d`].
    #[doc = slope!("x.conv3d(&a, None, &gradus_tensor::ConvParams::default())?" => "21.0, 32.0"; "x", "[1, 1, 1, 1, 3]", "1.0, 2.0, 3.0" => "1.0, 11.0, 10.0"; "a", "[1, 1, 1, 1, 2]", "1.0, 10.0" => "3.0, 5.0")]
    pub fn conv3d(&self, weight: &Var, bias: Option<&Var>, params: &Conv3dParams) -> Result<Var> {
        batched(self, 3, |x| conv(x, weight, bias, *params))
    }

    /// A convolution over `D` dimensions whose output has the input's sizes: PyTorch's `padding="same"`. Where the zeros that
    /// takes are odd, one more stands behind than in front.
    ///
    /// Gradient: the transposed convolution of `dy`; to the weight and the bias, sums over the windows.
    ///
    /// # Errors
    /// As [`Var::conv1d`]; if a stride is not 1, or `params` has a padding of its own.
    #[doc = slope!("x.conv_same::<1>(&a, None, &gradus_tensor::ConvParams::default())?" => "21.0, 32.0, 3.0"; "x", "[1, 1, 3]", "1.0, 2.0, 3.0" => "1.0, 11.0, 11.0"; "a", "[1, 1, 2]", "1.0, 10.0" => "6.0, 5.0")]
    pub fn conv_same<const D: usize>(
        &self,
        weight: &Var,
        bias: Option<&Var>,
        params: &ConvParams<D>,
    ) -> Result<Var> {
        let fail = |why: &str| {
            let message = format!("weight {} and {params:?}: {why}", weight.shape());
            Err(Error::value("conv_same", message))
        };
        if params.stride != [1; D] || params.padding != [0; D] {
            return fail("it takes stride 1, and no other padding");
        }
        if weight.rank() != D + 2 || weight.dims()[2..].contains(&0) {
            return fail(&format!(
                "the weight takes {} dimensions, none of them empty",
                D + 2
            ));
        }
        let (mut even, mut odd) = (*params, Vec::with_capacity(2 * D));
        for d in (0..D).rev() {
            let reach = (weight.dims()[d + 2] - 1).saturating_mul(params.dilation[d]);
            even.padding[d] = reach / 2;
            odd.extend([0, (reach % 2) as isize]); // last dimension first
        }
        if odd.iter().all(|&n| n == 0) {
            return batched(self, D, |x| conv(x, weight, bias, even));
        }
        let x = self.pad(&odd, PadMode::Constant(0.0.into()))?;
        batched(&x, D, |x| conv(x, weight, bias, even))
    }

    /// (B, in, T) or (in, T), weight (in, out / groups, K), bias (out), to (B, out, T').
    ///
    /// Gradient: for the input the convolution of `dy`; for the weight one of `dy` with the input.
    ///
    /// # Errors
    /// If the shapes do not fit, or the output would be empty.
    #[doc = slope!("x.conv_transpose1d(&a, None, &gradus_tensor::ConvParams::default(), [0])?" => "1.0, 12.0, 20.0"; "x", "[1, 1, 2]", "1.0, 2.0" => "11.0, 11.0"; "a", "[1, 1, 2]", "1.0, 10.0" => "3.0, 3.0")]
    pub fn conv_transpose1d(
        &self,
        weight: &Var,
        bias: Option<&Var>,
        params: &Conv1dParams,
        output_padding: [usize; 1],
    ) -> Result<Var> {
        batched(self, 1, |x| {
            transposed(x, weight, bias, *params, output_padding)
        })
    }

    /// (B, in, H, W) or (in, H, W), weight (in, out / groups, KH, KW), bias (out), to (B, out, H', W').
    ///
    /// Gradient: as [`Var::conv_transpose1d`]'s, over two dimensions.
    ///
    /// # Errors
    /// As [`Var::conv_transpose1d`].
    #[doc = slope!("x.conv_transpose2d(&a, None, &gradus_tensor::ConvParams::default(), [0; 2])?" => "1.0, 12.0, 20.0"; "x", "[1, 1, 1, 2]", "1.0, 2.0" => "11.0, 11.0"; "a", "[1, 1, 1, 2]", "1.0, 10.0" => "3.0, 3.0")]
    pub fn conv_transpose2d(
        &self,
        weight: &Var,
        bias: Option<&Var>,
        params: &Conv2dParams,
        output_padding: [usize; 2],
    ) -> Result<Var> {
        batched(self, 2, |x| {
            transposed(x, weight, bias, *params, output_padding)
        })
    }

    /// (B, in, D, H, W) or (in, D, H, W), weight (in, out / groups, KD, KH, KW), bias (out), to (B, out, D', H', W').
    ///
    /// Gradient: as [`Var::conv_transpose1d`]'s, over three dimensions.
    ///
    /// # Errors
    /// As [`Var::conv_transpose1d`].
    #[doc = slope!("x.conv_transpose3d(&a, None, &gradus_tensor::ConvParams::default(), [0; 3])?" => "1.0, 12.0, 20.0"; "x", "[1, 1, 1, 1, 2]", "1.0, 2.0" => "11.0, 11.0"; "a", "[1, 1, 1, 1, 2]", "1.0, 10.0" => "3.0, 3.0")]
    pub fn conv_transpose3d(
        &self,
        weight: &Var,
        bias: Option<&Var>,
        params: &Conv3dParams,
        output_padding: [usize; 3],
    ) -> Result<Var> {
        batched(self, 3, |x| {
            transposed(x, weight, bias, *params, output_padding)
        })
    }
}

/// A sample without a batch dimension gets one, and gives it back.
fn batched(x: &Var, dims: usize, f: impl FnOnce(&Var) -> Result<Var>) -> Result<Var> {
    if x.rank() == dims + 1 {
        f(&x.unsqueeze(0)?)?.squeeze(0)
    } else {
        f(x)
    }
}

/// `y[b, o] = bias[o] + Σ x[b, c] ⋆ w[o, c]`
fn conv<const D: usize>(
    x: &Var,
    w: &Var,
    bias: Option<&Var>,
    params: ConvParams<D>,
) -> Result<Var> {
    if let Some([x, w]) = lower([x, w])? {
        let bias = bias.map(|bias| bias.to_dtype(x.dtype())).transpose()?;
        return conv(&x, &w, bias.as_ref(), params);
    }
    let (weight, b) = (w.value(), bias.map(Var::value));
    let y = if w.is_fixed() {
        x.value().conv_keeping(weight, b, &params)?
    } else {
        x.value().conv(weight, b, &params)?
    };
    let (x_shape, w_shape) = (x.dims().to_vec(), w.dims().to_vec());
    let inputs: Vec<&Var> = [x, w].into_iter().chain(bias).collect();
    let has_bias = bias.is_some();
    Op::new("conv")
        .inputs(&inputs)
        .saves_for(0, 1)
        .saves_for(1, 0)
        .record(y, move |ctx, dy| {
            let dx = ctx.grad(0, || {
                backward_data(&dy, ctx.input(1)?, params, x_shape.clone())
            })?;
            let dw = ctx.grad(1, || {
                backward_weight(ctx.input(0)?, &dy, params, w_shape.clone())
            })?;
            let mut grads = vec![dx, dw];
            if has_bias {
                grads.push(ctx.grad(2, || over_channels(&dy))?);
            }
            Ok(grads)
        })
}

/// The gradient of the data: `x_shape` is the shape of what comes out.
fn backward_data<const D: usize>(
    dy: &Var,
    w: &Var,
    params: ConvParams<D>,
    x_shape: Vec<usize>,
) -> Result<Var> {
    let dx = dy
        .value()
        .conv_backward_data(w.value(), &params, &x_shape)?;
    let w_shape = w.dims().to_vec();
    Op::new("conv_transpose")
        .inputs(&[dy, w])
        .saves_for(0, 1)
        .saves_for(1, 0)
        .record(dx, move |ctx, g| {
            let ddy = ctx.grad(0, || conv(&g, ctx.input(1)?, None, params))?;
            let dw = ctx.grad(1, || {
                backward_weight(&g, ctx.input(0)?, params, w_shape.clone())
            })?;
            Ok([ddy, dw])
        })
}

/// The gradient of the weight: `w_shape` is the shape of what comes out.
fn backward_weight<const D: usize>(
    x: &Var,
    dy: &Var,
    params: ConvParams<D>,
    w_shape: Vec<usize>,
) -> Result<Var> {
    let dw = x
        .value()
        .conv_backward_weight(dy.value(), &params, &w_shape)?;
    let x_shape = x.dims().to_vec();
    Op::new("conv_backward_weight")
        .inputs(&[x, dy])
        .saves_for(0, 1)
        .saves_for(1, 0)
        .record(dw, move |ctx, g| {
            let dx = ctx.grad(0, || {
                backward_data(ctx.input(1)?, &g, params, x_shape.clone())
            })?;
            let ddy = ctx.grad(1, || conv(ctx.input(0)?, &g, None, params))?;
            Ok([dx, ddy])
        })
}

/// The transposed convolution with a bias: the gradient of the data, and one number for each channel.
fn transposed<const D: usize>(
    x: &Var,
    w: &Var,
    bias: Option<&Var>,
    params: ConvParams<D>,
    mut output_padding: [usize; D],
) -> Result<Var> {
    if let Some([x, w]) = lower([x, w])? {
        let bias = bias.map(|bias| bias.to_dtype(x.dtype())).transpose()?;
        return transposed(&x, &w, bias.as_ref(), params, output_padding);
    }
    // A whole stride of output padding is one more input, of zeros: the convolution of dy then has the input's shape.
    let mut whole = [0isize; D];
    for i in 0..D {
        if let (Some(q), Some(r)) = (
            output_padding[i].checked_div(params.stride[i]),
            output_padding[i].checked_rem(params.stride[i]),
        ) && output_padding[i] < params.stride[i].max(params.dilation[i])
        {
            (whole[i], output_padding[i]) = (q as isize, r);
        }
    }
    if whole != [0; D] && x.rank() == D + 2 {
        let amounts: Vec<isize> = whole.iter().rev().flat_map(|&q| [0, q]).collect();
        let longer = x.pad(&amounts, PadMode::Constant(0.0.into()))?;
        return transposed(&longer, w, bias, params, output_padding);
    }
    let y = x
        .value()
        .conv_transpose(w.value(), bias.map(Var::value), &params, output_padding)?;
    let w_shape = w.dims().to_vec();
    let inputs: Vec<&Var> = [x, w].into_iter().chain(bias).collect();
    let has_bias = bias.is_some();
    Op::new("conv_transpose")
        .inputs(&inputs)
        .saves_for(0, 1)
        .saves_for(1, 0)
        .record(y, move |ctx, dy| {
            let dx = ctx.grad(0, || conv(&dy, ctx.input(1)?, None, params))?;
            let dw = ctx.grad(1, || {
                backward_weight(&dy, ctx.input(0)?, params, w_shape.clone())
            })?;
            let mut grads = vec![dx, dw];
            if has_bias {
                grads.push(ctx.grad(2, || over_channels(&dy))?);
            }
            Ok(grads)
        })
}

/// The sum over all dimensions but the second.
fn over_channels(dy: &Var) -> Result<Var> {
    let dims: Vec<isize> = (0..dy.rank() as isize).filter(|&d| d != 1).collect();
    dy.sum(dims, false)
}
