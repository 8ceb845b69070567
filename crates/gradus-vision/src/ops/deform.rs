//! Deformable convolution: a convolution whose windows read where an offset says (Dai et al. 2017), each element by a factor
//! if there is a mask (Zhu et al. 2018). Its columns are a kernel with a gradient for each operand; the product with the
//! weight is an ordinary one. As in torchvision there is no second derivative.

use gradus_autograd::{Op, Var};
use gradus_tensor::{Error, FoldParams, Result, Tensor};

const OP: &str = "deform_conv2d";

/// The options of [`deform_conv2d`]; torchvision's names and defaults.
#[derive(Clone, Copy, Debug)]
pub struct DeformConv2d<'a> {
    /// (O).
    pub bias: Option<&'a Var>,
    /// Steps between windows (1).
    pub stride: [usize; 2],
    /// Zeros on all sides (0).
    pub padding: [usize; 2],
    /// Steps between the elements of a window (1).
    pub dilation: [usize; 2],
    /// Factors (B, G·KH·KW, OH, OW).
    pub mask: Option<&'a Var>,
}

impl Default for DeformConv2d<'_> {
    fn default() -> Self {
        Self {
            bias: None,
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            mask: None,
        }
    }
}

/// `input` (B, C, H, W), `offset` (B, G·2·KH·KW, OH, OW): how far down and across each element of a window is moved, for each of
/// G groups of channels; `weight` (O, C / groups, KH, KW) to (B, O, OH, OW).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::{DType, Tensor};
/// use gradus_vision::ops::{DeformConv2d, deform_conv2d};
/// let x = Var::from(Tensor::ones([4, 3, 10, 10], DType::F32)?);
/// let weight = Var::from(Tensor::ones([5, 3, 3, 3], DType::F32)?);
/// let offset = Var::from(Tensor::zeros([4, 18, 8, 8], DType::F32)?);
/// let mask = Var::from(Tensor::full([4, 9, 8, 8], 0.5, DType::F32)?);
/// let options = DeformConv2d { mask: Some(&mask), ..DeformConv2d::default() };
/// let y = deform_conv2d(&x, &offset, &weight, &options)?;
/// assert_eq!(y.dims(), [4, 5, 8, 8]);
/// assert_eq!(y.value().index((0, 0, 0, 0))?.item::<f32>()?, 13.5); // half of 27
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If shapes or dtypes do not fit, a stride, dilation or kernel size is 0, or no window fits.
pub fn deform_conv2d(
    input: &Var,
    offset: &Var,
    weight: &Var,
    options: &DeformConv2d<'_>,
) -> Result<Var> {
    let fail = |why: &str| {
        let message = format!(
            "input {} and weight {}: {why}",
            input.shape(),
            weight.shape()
        );
        Err(Error::shape(OP, message))
    };
    let (&[batch, channels, height, width], &[outputs, inner, kh, kw]) =
        (input.dims(), weight.dims())
    else {
        return fail("they take (B, C, H, W) and (O, C / groups, KH, KW)");
    };
    let groups = channels.checked_div(inner).unwrap_or(0);
    if groups == 0 || !channels.is_multiple_of(inner) || !outputs.is_multiple_of(groups) {
        return fail("the channels do not divide into groups");
    }
    if weight.dtype() != input.dtype() {
        let message = format!(
            "the input is {} but the weight {}",
            input.dtype(),
            weight.dtype()
        );
        return Err(Error::dtype(OP, message));
    }
    let params = FoldParams {
        kernel: [kh, kw],
        dilation: options.dilation,
        padding: options.padding,
        stride: options.stride,
    };
    let [oh, ow] = params.windows(OP, [height, width])?;
    let columns = columns(input, offset, options.mask, params)?; // (B, C·K, L)
    let columns = columns.reshape([batch, groups, inner * kh * kw, oh * ow])?;
    let weight = weight.reshape([groups, outputs / groups, inner * kh * kw])?;
    let y = weight.matmul(&columns)?.reshape([batch, outputs, oh, ow])?; // (B, G, O / G, L) before
    match options.bias {
        None => Ok(y),
        Some(bias) if bias.dims() == [outputs] => y.add(&bias.reshape([outputs, 1, 1])?),
        Some(bias) => fail(&format!(
            "the bias has shape {}, not ({outputs})",
            bias.shape()
        )),
    }
}

/// The windows as columns, (B, C·K, L).
fn columns(x: &Var, offset: &Var, mask: Option<&Var>, params: FoldParams) -> Result<Var> {
    let y = x
        .value()
        .deform_columns(offset.value(), mask.map(Var::value), &params)?;
    let (masked, x_shape) = (mask.is_some(), x.dims().to_vec());
    let inputs: Vec<&Var> = [x, offset].into_iter().chain(mask).collect();
    let mut op = Op::new("deform_columns").inputs(&inputs).saves(0).saves(1);
    if masked {
        op = op.saves(2);
    }
    op.record(y, move |ctx, dy| {
        let (x, offset) = (ctx.input(0)?, ctx.input(1)?);
        let mask = if masked { Some(ctx.input(2)?) } else { None };
        let (factors, dyv) = (mask.map(Var::value), dy.value());
        // A gradient depends on all operands, and cannot be differentiated by any.
        let once = |dx: Tensor| {
            let operands: Vec<&Var> = [&dy, x, offset].into_iter().chain(mask).collect();
            Op::new("deform_conv2d_backward")
                .inputs(&operands)
                .record(dx, |_, _| -> Result<Var> {
                    Err(Error::unsupported(
                        OP,
                        "it has no second derivative, as in torchvision",
                    ))
                })
        };
        let dx = ctx.grad(0, || {
            let dx =
                dyv.deform_columns_backward_input(offset.value(), factors, &params, &x_shape)?;
            once(dx)
        })?;
        let mut grads = vec![dx];
        if ctx.needs(1) || ctx.needs(2) {
            let (doffset, dmask) =
                dyv.deform_columns_backward_places(x.value(), offset.value(), factors, &params)?;
            grads.push(Some(once(doffset)?));
            grads.extend(dmask.map(|dmask| once(dmask).map(Some)).transpose()?);
        } else {
            grads.resize(2 + usize::from(masked), None);
        }
        Ok(grads)
    })
}
