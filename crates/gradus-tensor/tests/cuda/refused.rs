//! What has no arm says so, naming op and device, and nothing comes back to the host by itself.

use gradus_tensor::{DType, ErrorKind, Result, Tensor};

use crate::support::{gpu, numbers};

#[test]
fn an_op_without_an_arm_is_an_error_with_its_name() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let x = numbers(1, [4, 4]).to_device(&gpu)?;
    let i = Tensor::zeros([4], (DType::I64, gpu))?;
    type Op = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let ops: [(&str, Op); 6] = [
        ("bitwise_and", |_, i| i.bitwise_and(i)),
        ("signbit", |x, _| x.signbit()),
        ("floor_divide", |_, i| i.floor_divide(i)),
        ("grid_sample", |x, _| {
            let (x, grid) = (x.reshape([1, 1, 4, 4])?, x.reshape([1, 2, 4, 2])?);
            x.grid_sample(&grid, &Default::default())
        }),
        ("linalg_inv", |x, _| x.linalg_inv()),
        ("linalg_cholesky", |x, _| x.linalg_cholesky(false)),
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
