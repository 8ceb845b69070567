//! Sorting, and searching in what is sorted.

use gradus_cpu::reduce as cpu;
use gradus_cuda::Device;
use gradus_cuda::ops::sort;

use crate::standin::{device, for_orders};
use crate::support::{Numbers, Real, each_float};

fn sorted<T: Real>(device: &Device) {
    // Less than a tile, exactly one, a few with a rest, several rows.
    for (rows, columns) in [(3, 7), (2, 1024), (2, 2500), (1, 5000), (4, 1)] {
        let n = rows * columns;
        let mut numbers = Numbers::new(41);
        // Many equal ones, so that it shows whether they keep their order.
        let mut x: Vec<T> = (0..n)
            .map(|_| T::of(numbers.below(columns / 3 + 1) as f32 - 5.0))
            .collect();
        if n > 20 {
            for (i, v) in [
                (3, f32::NAN),
                (9, f32::NAN),
                (11, -0.0),
                (13, f32::INFINITY),
            ] {
                x[i] = T::of(v);
            }
            x[n - 2] = T::of(f32::NEG_INFINITY);
        }
        let shape = [rows, columns];
        let on_device = device.upload(&x).unwrap();
        for descending in [false, true] {
            let (mut values, mut want) = (x.clone(), vec![0i64; n]);
            let view = gradus_cpu::View::contiguous(&x, &shape).unwrap();
            cpu::sort(view, 1, descending, &mut values, &mut want).unwrap();
            let mut at = device.zeros::<i64>(n).unwrap();
            sort::argsort(&on_device.view(&shape).unwrap(), descending, &mut at).unwrap();
            assert_eq!(at.download().unwrap(), want, "{shape:?} {descending}");
        }
    }
}

#[test]
fn rows_are_sorted() {
    for_orders(&["f", "we"], |device| each_float!(sorted(device)));
}

#[test]
fn whole_numbers_are_sorted() {
    let Some(device) = device() else { return };
    let x = [3i64, i64::MIN, -1, i64::MAX, 0, -1];
    let (x_d, mut at) = (device.upload(&x).unwrap(), device.zeros(6).unwrap());
    sort::argsort(&x_d.view(&[6]).unwrap(), false, &mut at).unwrap();
    assert_eq!(at.download().unwrap(), [1, 2, 5, 4, 0, 3]);
    sort::argsort(&x_d.view(&[6]).unwrap(), true, &mut at).unwrap();
    assert_eq!(at.download().unwrap(), [3, 0, 4, 2, 5, 1]);
    let x_d = device.upload(&[true, false, true]).unwrap();
    let mut at = device.zeros(3).unwrap();
    sort::argsort(&x_d.view(&[3]).unwrap(), false, &mut at).unwrap();
    assert_eq!(at.download().unwrap(), [1, 0, 2]);
}

fn found<T: Real>(device: &Device) {
    let sequence = [-2.0, 0.0, 0.0, 1.5, 3.0, f32::NAN].map(T::of);
    let values = [-3.0, -2.0, -0.0, 0.0, 1.0, 3.0, 9.0, f32::NAN].map(T::of);
    let (s, v) = (
        device.upload(&sequence).unwrap(),
        device.upload(&values).unwrap(),
    );
    let mut y = device.zeros::<i64>(8).unwrap();
    let (s1, v1) = (s.view(&[6]).unwrap(), v.view(&[8]).unwrap());
    sort::search_sorted(&s1, &v1, false, &mut y).unwrap();
    assert_eq!(y.download().unwrap(), [0, 0, 1, 1, 3, 4, 5, 5]);
    sort::search_sorted(&s1, &v1, true, &mut y).unwrap();
    assert_eq!(y.download().unwrap(), [0, 1, 3, 3, 3, 5, 5, 6]);
    // Two rows of three, four values for each.
    let (s2, v2) = (s.view(&[2, 3]).unwrap(), v.view(&[2, 4]).unwrap());
    sort::search_sorted(&s2, &v2, false, &mut y).unwrap();
    assert_eq!(y.download().unwrap(), [0, 0, 1, 1, 0, 1, 2, 2]);
    assert!(sort::search_sorted(&s2, &v.view(&[4, 2]).unwrap(), false, &mut y).is_err());
}

#[test]
fn places_in_sorted_rows() {
    for_orders(&["s"], |device| each_float!(found(device)));
}
