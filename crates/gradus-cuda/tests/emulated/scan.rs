//! Running results, and where a mask holds.

use gradus_cpu::reduce as cpu;
use gradus_cuda::Device;
use gradus_cuda::manifest::{ReduceOp, ScanOp};
use gradus_cuda::ops::{copy, reduce, scan};

use crate::standin::{device, for_orders};
use crate::support::{Numbers, Real, close, each_float, garbage};

/// (shape, axis): rows shorter and longer than a block, the middle, the front, one element, none.
const CASES: [(&[usize], usize); 7] = [
    (&[3, 37], 1),
    (&[2, 701], 1),
    (&[3, 33, 5], 1),
    (&[41, 3], 0),
    (&[1], 0),
    (&[0, 4], 1),
    (&[513], 0),
];

fn running<T: Real>(device: &Device) {
    for (shape, axis) in CASES {
        let n: usize = shape.iter().product();
        let mut x = Numbers::new(31).floats::<T>(n, 1.0);
        // Products stay in range, and a NaN goes on to the end of its row.
        x.iter_mut().for_each(|x| *x = T::of(1.0 + 0.02 * x.real()));
        if n > 100 {
            x[40] = T::of(f32::NAN);
        }
        let view = gradus_cpu::View::contiguous(&x, shape).unwrap();
        let on_device = device.upload(&x).unwrap();
        let ulps = if T::EPSILON > 1e-5 { 1.0 } else { 64.0 };
        for &op in ScanOp::ALL {
            let mut want = vec![T::of(0.0); n];
            match op {
                ScanOp::Sum => cpu::cumsum(view, axis, &mut want).unwrap(),
                ScanOp::Prod => cpu::cumprod(view, axis, &mut want).unwrap(),
                ScanOp::LogSumExp => cpu::logcumsumexp(view, axis, &mut want).unwrap(),
            }
            let mut y = garbage::<T>(device, n);
            scan::scan(op, &on_device.view(shape).unwrap(), axis, &mut y).unwrap();
            let what = format!("{} {shape:?} {axis}", op.name());
            close(&what, &y.download().unwrap(), &want, ulps, 0.1);
        }
        for smallest in [false, true] {
            let (mut want, mut want_at) = (vec![T::of(0.0); n], vec![0i64; n]);
            let kernel = if smallest { cpu::cummin } else { cpu::cummax };
            kernel(view, axis, &mut want, &mut want_at).unwrap();
            let (mut y, mut at) = (garbage::<T>(device, n), device.zeros::<i64>(n).unwrap());
            let view = on_device.view(shape).unwrap();
            scan::scan_extremes(&view, axis, smallest, &mut y, &mut at).unwrap();
            let what = format!("extremes {shape:?} {axis} {smallest}");
            close(&what, &y.download().unwrap(), &want, 0.0, 0.0);
            assert_eq!(at.download().unwrap(), want_at, "{what}");
        }
    }
}

#[test]
fn running_results() {
    for_orders(&["s", "we"], |device| each_float!(running(device)));
}

#[test]
fn whole_numbers_wrap() {
    for_orders(&["f", "l"], |device| {
        let (shape, n) = ([5, 67], 5 * 67);
        let mut numbers = Numbers::new(32);
        let x: Vec<i64> = (0..n)
            .map(|i| (numbers.below(9) as i64 - 4).wrapping_add(if i == 70 { i64::MAX } else { 0 }))
            .collect();
        let view = gradus_cpu::View::contiguous(&x, &shape).unwrap();
        let buffer = device.upload(&x).unwrap();
        let (on_device, mut y) = (buffer.view(&shape).unwrap(), device.zeros(n).unwrap());
        let mut want = vec![0i64; n];
        cpu::cumsum(view, 1, &mut want).unwrap();
        scan::scan(ScanOp::Sum, &on_device, 1, &mut y).unwrap();
        assert_eq!(y.download().unwrap(), want);
        cpu::cumprod(view, 0, &mut want).unwrap();
        scan::scan(ScanOp::Prod, &on_device, 0, &mut y).unwrap();
        assert_eq!(y.download().unwrap(), want);
        assert!(scan::scan(ScanOp::LogSumExp, &on_device, 0, &mut y).is_err());
        for axes in [&[1][..], &[0], &[0, 1], &[]] {
            let kept = [5, 67].iter().enumerate();
            let kept: usize = kept
                .filter(|(d, _)| !axes.contains(d))
                .map(|(_, n)| n)
                .product();
            for op in [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min] {
                let mut want = vec![0i64; kept];
                match op {
                    ReduceOp::Sum => cpu::sum(view, axes, &mut want).unwrap(),
                    ReduceOp::Prod => cpu::prod(view, axes, &mut want).unwrap(),
                    ReduceOp::Max => cpu::max(view, axes, &mut want).unwrap(),
                    _ => cpu::min(view, axes, &mut want).unwrap(),
                }
                let mut y = device.zeros(kept).unwrap();
                reduce::reduce(op, &on_device, axes, &mut y).unwrap();
                assert_eq!(y.download().unwrap(), want, "{} {axes:?}", op.name());
            }
        }
        let mut want = vec![0i64; 67];
        let mut at = device.zeros(67).unwrap();
        cpu::argmax(view, Some(0), &mut want).unwrap();
        reduce::argmax(&on_device, 0, &mut at).unwrap();
        assert_eq!(at.download().unwrap(), want);
        // More than one block: 2⁵³ + 1 is no f64.
        let mut long = vec![1i64; 70_001];
        long[9] = 1 << 53;
        let (long_d, mut sum) = (device.upload(&long).unwrap(), device.zeros(1).unwrap());
        let all = long_d.view(&[70_001]).unwrap();
        reduce::reduce(ReduceOp::Sum, &all, &[0], &mut sum).unwrap();
        assert_eq!(sum.download().unwrap(), [70_000 + (1 << 53)]);
    });
}

#[test]
fn places_that_hold() {
    let Some(device) = device() else { return };
    let shape = [3, 1, 7, 5];
    let mut numbers = Numbers::new(33);
    let mask: Vec<bool> = (0..105).map(|_| numbers.below(3) == 0).collect();
    let mut want = Vec::new();
    for (i, _) in mask.iter().enumerate().filter(|(_, m)| **m) {
        want.extend([i / 35, 0, i / 5 % 7, i % 5].map(|c| c as i64));
    }
    let mask_d = device.upload(&mask).unwrap();
    let view = mask_d.view(&[105]).unwrap();
    let (mut ones, mut sums) = (
        device.zeros::<i64>(105).unwrap(),
        device.zeros(105).unwrap(),
    );
    copy::cast(&view, &mut ones).unwrap();
    scan::scan(ScanOp::Sum, &ones.view(&[105]).unwrap(), 0, &mut sums).unwrap();
    let mut y = device.zeros::<i64>(want.len()).unwrap();
    scan::nonzero(&view, &sums, &shape, &mut y).unwrap();
    assert_eq!(y.download().unwrap(), want);
    assert!(scan::nonzero(&view, &sums, &[7, 7], &mut y).is_err());
}
