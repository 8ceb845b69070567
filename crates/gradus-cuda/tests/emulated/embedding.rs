//! Rows and elements by index.

use gradus_cpu::embedding as cpu;
use gradus_cuda::Device;
use gradus_cuda::ops::embedding;

use crate::standin::{device, orders};
use crate::support::{Numbers, Real, close, each_float, garbage};

fn rows_by_index<T: Real>(device: &Device) {
    let (rows, width, n) = (11, 133, 29);
    let mut numbers = Numbers::new(11);
    let (table, x) = (
        numbers.floats::<T>(rows * width, 1.0),
        numbers.floats::<T>(n * width, 1.0),
    );
    let indices: Vec<i64> = (0..n).map(|_| numbers.below(rows) as i64).collect();
    let mut want = vec![T::of(0.0); n * width];
    cpu::gather_rows(&table, rows, width, &indices, &mut want).unwrap();
    let (table_d, i_d) = (
        device.upload(&table).unwrap(),
        device.upload(&indices).unwrap(),
    );
    let mut y = garbage::<T>(device, n * width);
    embedding::gather_rows(&table_d, rows, width, &i_d, &mut y).unwrap();
    close("rows", &y.download().unwrap(), &want, 0.0, 0.0);

    let wide: Vec<f32> = x.iter().map(|x| x.real()).collect();
    let mut sums = vec![1f32; rows * width];
    cpu::scatter_add_rows(&wide, &indices, rows, width, &mut sums).unwrap();
    let mut sums_d = device.upload(&vec![1f32; rows * width]).unwrap();
    embedding::scatter_add_rows(&device.upload(&x).unwrap(), &i_d, rows, width, &mut sums_d)
        .unwrap();
    close(
        "their gradient",
        &sums_d.download().unwrap(),
        &sums,
        16.0,
        1.0,
    );
}

#[test]
fn rows_of_a_table() {
    orders(|device| each_float!(rows_by_index(device)));
}

fn along_an_axis<T: Real>(device: &Device) {
    let (outer, n, m, inner) = (3, 7, 5, 11);
    let mut numbers = Numbers::new(12);
    let (x, dy) = (
        numbers.floats::<T>(outer * n * inner, 1.0),
        numbers.floats::<T>(outer * m * inner, 1.0),
    );
    let indices: Vec<i64> = (0..outer * m * inner)
        .map(|_| numbers.below(n) as i64)
        .collect();
    let at = |i: usize| (i / (m * inner) * n + indices[i] as usize) * inner + i % inner;
    let want: Vec<T> = (0..indices.len()).map(|i| x[at(i)]).collect();
    let mut sums = vec![0f32; x.len()];
    for i in 0..indices.len() {
        sums[at(i)] += dy[i].real();
    }
    let (x_d, dy_d, i_d) = (
        device.upload(&x).unwrap(),
        device.upload(&dy).unwrap(),
        device.upload(&indices).unwrap(),
    );
    let mut y = garbage::<T>(device, want.len());
    embedding::gather(&x_d.view(&[outer, n, inner]).unwrap(), 1, &i_d, m, &mut y).unwrap();
    close("gather", &y.download().unwrap(), &want, 0.0, 0.0);
    let mut dx = device.zeros::<f32>(x.len()).unwrap();
    embedding::scatter_add(
        &dy_d.view(&[outer, m, inner]).unwrap(),
        &i_d,
        [outer, n, inner],
        &mut dx,
    )
    .unwrap();
    close("scatter_add", &dx.download().unwrap(), &sums, 8.0, 1.0);
}

#[test]
fn elements_along_an_axis() {
    orders(|device| each_float!(along_an_axis(device)));
}

#[test]
fn a_table_of_another_size_is_an_error() {
    let Some(device) = device() else { return };
    let table = device.upload(&[1.0f32, 2.0, 3.0, 4.0]).unwrap();
    let indices = device.upload(&[1, 0]).unwrap();
    assert!(embedding::gather_rows(&table, 3, 2, &indices, &mut device.zeros(4).unwrap()).is_err());
}
