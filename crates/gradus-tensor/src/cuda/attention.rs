//! Attention in tiles on a GPU, and its gradients.

use gradus_cuda::Buffer;
use gradus_cuda::ops::attention::{self, Attention, AttentionGradients};

use super::{build, solid, tensor, together};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// What attention is given, in four dimensions: q (B, H, T, E), k and v (B, K, S, E), the mask (B, H, T, S).
pub(crate) struct Inputs<'a> {
    pub q: &'a Tensor,
    pub k: &'a Tensor,
    pub v: &'a Tensor,
    pub mask: Option<&'a Tensor>,
    pub scale: f64,
    pub causal: bool,
    /// Queries that see no key give 0 instead of NaN.
    pub blind_is_zero: bool,
}

impl Inputs<'_> {
    fn gpu(&self, op: &'static str, others: &[&Tensor]) -> Result<gradus_cuda::Device> {
        let mut all = vec![self.q, self.k, self.v];
        all.extend(self.mask);
        all.extend(others);
        together(op, &all)
    }
}

/// `y` (B, T, H, E) and the logarithm of each query's sum of exponentials (B, H, T).
pub(crate) fn forward(x: &Inputs<'_>, shape: &Shape) -> Result<(Tensor, Tensor)> {
    let op = "attention";
    let gpu = x.gpu(op, &[])?;
    let rows = Shape::from(&x.q.dims()[..3]);
    let mut lse: Buffer<f32> = gpu.uninit(rows.numel()?)?;
    let y = dispatch_cuda!(float op, x.q.dtype(), T => {
        let (q, k, v) = (x.q.cuda_view::<T>()?, x.k.cuda_view::<T>()?, x.v.cuda_view::<T>()?);
        let mask = x.mask.map(Tensor::cuda_view::<T>).transpose()?;
        let options = Attention { scale: x.scale as f32, causal: x.causal, mask: mask.as_ref() };
        build::<T>(&gpu, shape, x.q.dtype(), |y| attention::attention(&q, &k, &v, &options, y, &mut lse))
    })?;
    let lse = tensor(lse, &rows, DType::F32);
    if x.mask.is_none() || !x.blind_is_zero {
        return Ok((y, lse));
    }
    // A row with nothing to see: 0, and a sum that makes its probabilities 0 in the backward too.
    let blind = lse.eq_scalar(f64::NEG_INFINITY)?; // (B, H, T)
    let y = y.masked_fill_(&blind.transpose(1, 2)?.unsqueeze(-1)?, 0)?;
    Ok((y, lse.masked_fill_(&blind, 0)?))
}

/// The gradients by q (B, T, H, E), k and v (B, S, K, E).
pub(crate) fn backward(
    x: &Inputs<'_>,
    (dy, y): (&Tensor, &Tensor),
    lse: &Tensor,
    [of_q, of_k, of_v]: [&Shape; 3],
) -> Result<[Tensor; 3]> {
    let op = "attention_backward";
    let gpu = x.gpu(op, &[dy, y, lse])?;
    // As the kernel wrote it: heads of a position side by side.
    let (y, lse) = (solid(&y.transpose(1, 2)?)?, solid(lse)?);
    dispatch_cuda!(float op, x.q.dtype(), T => {
        let (q, k, v) = (x.q.cuda_view::<T>()?, x.k.cuda_view::<T>()?, x.v.cuda_view::<T>()?);
        let mask = x.mask.map(Tensor::cuda_view::<T>).transpose()?;
        let options = Attention { scale: x.scale as f32, causal: x.causal, mask: mask.as_ref() };
        let (mut dk, mut dv) = (gpu.uninit::<T>(of_k.numel()?)?, gpu.uninit::<T>(of_v.numel()?)?);
        let saved = (y.cuda_solid::<T>()?, lse.cuda_solid::<f32>()?);
        let dy = dy.cuda_view::<T>()?;
        let dq = build::<T>(&gpu, of_q, x.q.dtype(), |dq| {
            let out = AttentionGradients { dq, dk: &mut dk, dv: &mut dv };
            attention::attention_backward(&dy, saved, &q, &k, &v, &options, out)
        })?;
        let dtype = x.q.dtype();
        Ok([dq, tensor(dk, of_k, dtype), tensor(dv, of_v, dtype)])
    })
}
