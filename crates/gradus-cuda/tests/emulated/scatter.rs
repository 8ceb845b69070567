//! Writing by index: in place of what was there, or joined to it.

use gradus_cuda::manifest::ReduceOp;
use gradus_cuda::ops::scatter;
use gradus_cuda::{Device, Error};

use crate::standin::{device, orders};
use crate::support::{Numbers, Real, close, each_float};

const SIZES: [usize; 4] = [3, 7, 13, 5]; // outer, n, m, inner: indices repeat

/// Indices, and for each the place it points to.
fn places() -> (Vec<i64>, Vec<usize>) {
    let [outer, n, m, inner] = SIZES;
    let mut numbers = Numbers::new(51);
    let indices: Vec<i64> = (0..outer * m * inner)
        .map(|_| numbers.below(n) as i64)
        .collect();
    let at =
        |(i, &index): (usize, &i64)| (i / (m * inner) * n + index as usize) * inner + i % inner;
    let places = indices.iter().enumerate().map(at).collect();
    (indices, places)
}

fn overwritten<T: Real>(device: &Device) {
    let [outer, n, _, inner] = SIZES;
    let (indices, places) = places();
    let mut numbers = Numbers::new(52);
    let src = numbers.floats::<T>(indices.len(), 1.0);
    let x = numbers.floats::<T>(outer * n * inner, 1.0);
    let mut want = x.clone();
    places.iter().zip(&src).for_each(|(&at, &v)| want[at] = v);
    let (src_d, indices_d) = (
        device.upload(&src).unwrap(),
        device.upload(&indices).unwrap(),
    );
    let mut y = device.upload(&x).unwrap();
    let view = src_d.view(&[indices.len()]).unwrap();
    scatter::scatter(&view, &indices_d, [outer, n, inner], &mut y).unwrap();
    close("scatter", &y.download().unwrap(), &want, 0.0, 0.0);
}

#[test]
fn the_last_one_writes() {
    orders(|device| each_float!(overwritten(device)));
    let Some(device) = device() else { return };
    let (src, at) = (
        device.upload(&[true, false]).unwrap(),
        device.upload(&[1i64, 1]).unwrap(),
    );
    let mut y = device.upload(&[false, true, true]).unwrap();
    scatter::scatter(&src.view(&[2]).unwrap(), &at, [1, 3, 1], &mut y).unwrap();
    assert_eq!(y.download().unwrap(), [false, false, true]);
}

#[test]
fn elements_are_joined() {
    let [outer, n, _, inner] = SIZES;
    let shape = [outer, n, inner];
    let (indices, places) = places();
    orders(|device| {
        let at = device.upload(&indices).unwrap();
        for op in [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min] {
            let mut numbers = Numbers::new(53);
            let src: Vec<f32> = numbers.floats(indices.len(), 2.0);
            let mut want: Vec<f32> = numbers.floats(outer * n * inner, 2.0);
            let mut y = device.upload(&want).unwrap();
            for (&at, &v) in places.iter().zip(&src) {
                let old = want[at];
                want[at] = match op {
                    ReduceOp::Sum => old + v,
                    ReduceOp::Prod => old * v,
                    ReduceOp::Max => old.max(v),
                    _ => old.min(v),
                };
            }
            let src_d = device.upload(&src).unwrap();
            let view = src_d.view(&[src.len()]).unwrap();
            scatter::scatter_join(op, &view, &at, shape, &mut y).unwrap();
            close(op.name(), &y.download().unwrap(), &want, 16.0, 1.0);

            let src: Vec<i64> = (0..indices.len() as i64).map(|i| i * 7 % 5 - 2).collect();
            let mut want = vec![3i64; outer * n * inner];
            let mut y = device.upload(&want).unwrap();
            for (&at, &v) in places.iter().zip(&src) {
                let old = want[at];
                want[at] = match op {
                    ReduceOp::Sum => old + v,
                    ReduceOp::Prod => old * v,
                    ReduceOp::Max => old.max(v),
                    _ => old.min(v),
                };
            }
            let src_d = device.upload(&src).unwrap();
            let view = src_d.view(&[src.len()]).unwrap();
            scatter::scatter_join(op, &view, &at, shape, &mut y).unwrap();
            assert_eq!(y.download().unwrap(), want, "{}", op.name());
        }
    });
}

#[test]
fn what_cannot_be_written() {
    let Some(device) = device() else { return };
    let (src, at) = (
        device.upload(&[1.0f32, 2.0]).unwrap(),
        device.upload(&[0i64, 3]).unwrap(),
    );
    let view = src.view(&[2]).unwrap();
    let mut y = device.zeros::<f32>(3).unwrap();
    let error = scatter::scatter(&view, &at, [1, 4, 1], &mut y).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }));
    assert!(scatter::scatter_join(ReduceOp::Mean, &view, &at, [1, 3, 1], &mut y).is_err());
}

#[test]
fn rows_are_written_in_place() {
    orders(|device| {
        let [outer, n, m, inner] = [3, 7, 2, 5];
        let mut numbers = Numbers::new(31);
        let src: Vec<f32> = numbers.floats(outer * m * inner, 2.0);
        let mut want: Vec<f32> = numbers.floats(outer * n * inner, 2.0);
        let (src_d, mut y) = (device.upload(&src).unwrap(), device.upload(&want).unwrap());
        let view = src_d.view(&[outer, m, inner]).unwrap();
        let rows = device.upload(&[6i64, 2]).unwrap();
        scatter::write_rows(&view, &rows, [outer, n, inner], &mut y).unwrap();
        for o in 0..outer {
            for (i, row) in [6, 2].into_iter().enumerate() {
                for k in 0..inner {
                    want[(o * n + row) * inner + k] = src[(o * m + i) * inner + k];
                }
            }
        }
        assert_eq!(y.download().unwrap(), want);
        assert!(scatter::write_rows(&view, &rows, [outer, n, inner + 1], &mut y).is_err());
    });
}
