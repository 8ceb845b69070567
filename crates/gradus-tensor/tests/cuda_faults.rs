//! An index out of range on a GPU is an error when something is read. One test in a process of its own: whoever reads first is told.

use std::path::Path;

use gradus_tensor::{Device, ErrorKind, Result, Tensor};

#[test]
fn a_bad_index_is_an_error_when_something_is_read() -> Result<()> {
    if gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))).is_none() {
        return Ok(());
    }
    let gpu = Device::cuda(0)?;
    let there = |x: &[i64]| Tensor::from_slice(x, x.len())?.to_device(&gpu);
    let x = Tensor::from_slice(&[0.5f32; 12], [3, 4])?.to_device(&gpu)?;
    let rows = x.index_select(0, &there(&[0, 3])?)?;
    let error = rows.to_vec::<f32>().expect_err("index 3 of 3");
    assert_eq!((error.kind(), error.op()), (ErrorKind::Index, "embedding"));
    x.sum(.., false)?.to_f64()?; // said once
    let written = x.index_fill(0, &there(&[3])?, 1)?;
    let error = written.to_vec::<f32>().expect_err("row 3 of 3");
    assert_eq!((error.kind(), error.op()), (ErrorKind::Index, "scatter"));
    let logits = x.cross_entropy(&there(&[0, 4, 1])?, &Default::default())?;
    let error = logits.loss.to_f64().expect_err("class 4 of 4");
    assert_eq!(
        (error.kind(), error.op()),
        (ErrorKind::Index, "cross_entropy")
    );
    Ok(())
}
