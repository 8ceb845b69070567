//! What has no arm says so, naming op and device, and nothing comes back to the host by itself.

use gradus_tensor::{DType, ErrorKind, Interpolate, Result, Tensor};

use crate::support::{gpu, numbers};

#[test]
fn an_op_without_an_arm_is_an_error_with_its_name() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let x = numbers(1, [4, 4]).to_device(&gpu)?;
    let i = Tensor::zeros([4], (DType::I64, gpu))?;
    type Op = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let ops: [(&str, Op); 22] = [
        ("erfinv", |x, _| x.erfinv()),
        ("lgamma", |x, _| x.lgamma()),
        ("sinc", |x, _| x.sinc()),
        ("heaviside", |x, _| x.heaviside(x)),
        ("bitwise_and", |_, i| i.bitwise_and(i)),
        ("signbit", |x, _| x.signbit()),
        ("sum", |_, i| i.sum(.., false)),
        ("cumsum", |x, _| x.cumsum(0)),
        ("cummax", |x, _| Ok(x.cummax(0)?.0)),
        ("logcumsumexp", |x, _| x.logcumsumexp(0)),
        ("sort", |x, _| Ok(x.sort(0, false)?.0)),
        ("topk", |x, _| Ok(x.topk(2, 0, true)?.0)),
        ("kthvalue", |x, _| Ok(x.kthvalue(1, 0, false)?.0)),
        ("nonzero", |x, _| x.nonzero()),
        ("nonzero", |x, _| x.masked_select(&x.gt_scalar(0)?)),
        ("scatter", |x, i| x.scatter(0, &i.unsqueeze(0)?, x)),
        ("conv3d", |x, _| {
            let (x, w) = (x.reshape([1, 1, 4, 2, 2])?, x.reshape([2, 1, 2, 2, 2])?);
            x.conv3d(&w, None, &Default::default())
        }),
        ("adaptive_max_pool", |x, _| {
            Ok(x.unsqueeze(0)?.adaptive_max_pool([2, 2])?.0)
        }),
        ("interpolate", |x, _| {
            x.reshape([1, 1, 4, 4])?
                .interpolate(&Interpolate::size([8, 8]))
        }),
        ("linalg_cholesky", |x, _| x.linalg_cholesky(false)),
        ("cdist", |x, _| x.cdist(x, 2.0)),
        ("to_dtype", |x, _| x.to_dtype(DType::F64)),
    ];
    for (name, op) in ops {
        let error = op(&x, &i).expect_err(name);
        assert_eq!(
            (error.kind(), error.op()),
            (ErrorKind::Device, name),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("cuda:0") || text.contains("GPU"),
            "{name}: {text}"
        );
    }
    Ok(())
}

#[test]
fn mixed_devices_are_named() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let (here, there) = (numbers(2, [3, 3]), numbers(3, [3, 3]).to_device(&gpu)?);
    let all = [
        here.add(&there),
        there.add(&here),
        there.matmul(&here),
        here.matmul(&there),
        Tensor::cat(&[&here, &there], 0),
        there.gt(&here),
        there.index_select(0, &Tensor::zeros(1, DType::I64)?),
        Tensor::where_(&there.gt_scalar(0)?, &here, &here),
        there.linear(&here, None),
    ];
    for (i, result) in all.into_iter().enumerate() {
        let error = result.expect_err("mixed");
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Device, "{i}: {text}");
        assert!(
            text.contains("cuda:0") && text.contains("cpu"),
            "{i}: {text}"
        );
    }
    Ok(())
}
