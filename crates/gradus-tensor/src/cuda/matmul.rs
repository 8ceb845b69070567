//! Products of matrices on a GPU.

use gradus_cuda::ops::gemm::{Bias, Epilogue, matmul};

use super::{build, solid_option, together};
use crate::error::Result;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// `a` (…, M, K) times `b` (…, K, N), both broadcast to one batch, plus a bias for each column.
pub(crate) fn product(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    bias: Option<&Tensor>,
    shape: &Shape,
) -> Result<Tensor> {
    let gpu = match bias {
        Some(bias) => together(op, &[a, b, bias])?,
        None => together(op, &[a, b])?,
    };
    let bias = solid_option(bias)?;
    dispatch_cuda!(float op, a.dtype(), T => {
        let (va, vb) = (a.cuda_view::<T>()?, b.cuda_view::<T>()?);
        let bias = match &bias {
            Some(bias) => Bias::Column(bias.cuda_solid::<T>()?),
            None => Bias::None,
        };
        let epilogue = Epilogue { bias, ..Default::default() };
        build::<T>(&gpu, shape, a.dtype(), |y| matmul(&va, &vb, &epilogue, y))
    })
}
