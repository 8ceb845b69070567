//! Indices out of range: nothing is read or written there, and the next wait for the device says so, once.
//!
//! One test in a process of its own: whoever waits first is told.

use std::path::Path;

use gradus_cuda::ops::embedding;
use gradus_cuda::ops::loss::{CrossEntropy, Reduction, cross_entropy};
use gradus_cuda::ops::scatter;
use gradus_cuda::{Error, standin};

#[test]
fn an_index_out_of_range_is_nan_touches_nothing_and_is_reported() {
    let Some(device) = standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))) else {
        return;
    };
    let table = device.upload(&[1.0f32, 2.0, 3.0, 4.0]).unwrap();
    let indices = device.upload(&[1, 2, -1, i64::MAX]).unwrap();
    let mut y = device.zeros::<f32>(8).unwrap();
    embedding::gather_rows(&table, 2, 2, &indices, &mut y).unwrap();
    assert_eq!(y.download().unwrap_err(), Error::Index { op: "embedding" });
    let y = y.download().unwrap(); // it is said once
    assert!(
        y[..2] == [3.0, 4.0] && y[2..].iter().all(|y| y.is_nan()),
        "{y:?}"
    );
    let ones = device.upload(&[1.0f32; 8]).unwrap();
    let mut sums = device.zeros::<f32>(4).unwrap();
    embedding::scatter_add_rows(&ones, &indices, 2, 2, &mut sums).unwrap();
    assert!(device.synchronize().is_err());
    assert_eq!(sums.download().unwrap(), [0.0, 0.0, 1.0, 1.0]);

    let (x, bad) = (
        table.view(&[2, 2]).unwrap(),
        device.upload(&[0, 7]).unwrap(),
    );
    let mut y = device.zeros::<f32>(2).unwrap();
    embedding::gather(&x, 0, &bad, 1, &mut y).unwrap();
    assert_eq!(y.download().unwrap_err(), Error::Index { op: "gather" });

    let logits = device.zeros::<f32>(3 * 4).unwrap();
    let view = logits.view(&[3, 4]).unwrap();
    let options = CrossEntropy {
        reduction: Reduction::None,
        ..Default::default()
    };
    let mut y = device.zeros(3).unwrap();
    let target = device.upload(&[1, 4, -1]).unwrap();
    cross_entropy(&view, &target, &options, &mut y).unwrap();
    let error = y.download().unwrap_err();
    assert_eq!(
        error,
        Error::Index {
            op: "cross_entropy"
        }
    );
    let y = y.download().unwrap();
    assert!(
        (y[0] - 4f32.ln()).abs() < 1e-6 && y[1].is_nan() && y[2].is_nan(),
        "{y:?}"
    );

    // Rows that are written in place: the one outside is not.
    let rows = device.upload(&[0i64, 2]).unwrap();
    let mut y = device.zeros::<f32>(4).unwrap();
    scatter::write_rows(&x, &rows, [1, 2, 2], &mut y).unwrap();
    assert_eq!(device.synchronize(), Err(Error::Index { op: "scatter" }));
    assert_eq!(y.download().unwrap(), [1.0, 2.0, 0.0, 0.0]);

    // A graph counts at each replay, and not when it is recorded.
    let mut rows = device.upload(&[1i64, 7]).unwrap();
    let record = || {
        let mut y = device.uninit::<f32>(4)?;
        embedding::gather_rows(&table, 2, 2, &rows, &mut y)?;
        Ok::<_, Error>(y)
    };
    let (y, graph) = device.capture(record).unwrap();
    device.synchronize().unwrap();
    for _ in 0..2 {
        graph.replay().unwrap();
        let error = device.synchronize();
        assert_eq!(error, Err(Error::Index { op: "embedding" }));
    }
    rows.write(&[1, 0]).unwrap();
    graph.replay().unwrap();
    assert_eq!(y.download().unwrap(), [3.0, 4.0, 1.0, 2.0]);
}
