//! Axes resampled, and the largest of windows over volumes.

use gradus_cpu::resample::{AxisMap, Filter, resample};
use gradus_cuda::Device;
use gradus_cuda::ops::resample::{Taps, Windows, along, max_pool_volume};

use crate::standin::for_orders;
use crate::support::{Numbers, Real, close, each_float, garbage};

fn taps(map: &AxisMap) -> Taps {
    Taps::new(map.inputs(), (0..map.outputs()).map(|o| map.row(o))).unwrap()
}

#[test]
fn as_the_cpu_interpolates() {
    for_orders(&["f", "s"], |device| {
        for (filter, inputs, outputs) in [
            (Filter::Nearest, 7, 13),
            (Filter::Linear, 9, 4),
            (Filter::Cubic, 5, 11),
            (Filter::LinearAntialias, 31, 6),
        ] {
            let map = AxisMap::new(filter, inputs, outputs, false, None).unwrap();
            let back = map.transposed().unwrap();
            assert_eq!(taps(&map).transposed().unwrap().outputs(), inputs);
            for (map, taps) in [
                (&map, taps(&map)),
                (&back, taps(&map).transposed().unwrap()),
            ] {
                let x: Vec<f32> = Numbers::new(71).floats(3 * map.inputs(), 1.0);
                let mut want = vec![0f32; 3 * map.outputs()];
                let shape = [3, map.inputs()];
                let view = gradus_cpu::View::contiguous(&x, &shape).unwrap();
                resample(view, std::slice::from_ref(map), &mut want).unwrap();
                let x_d = device.upload(&x).unwrap();
                let mut y = garbage::<f32>(device, want.len());
                along(&x_d.view(&shape).unwrap(), 1, &taps, &mut y).unwrap();
                close("rows", &y.download().unwrap(), &want, 8.0, 0.1);
                // The same along the first axis of a transposed view.
                let columns = gradus_cuda::View::new(
                    &x_d,
                    0,
                    &[map.inputs(), 3],
                    &[1, map.inputs() as isize],
                );
                along(&columns.unwrap(), 0, &taps, &mut y).unwrap();
                let got = y.download().unwrap();
                let n = map.outputs();
                let turned: Vec<f32> = (0..3 * n).map(|i| got[i % n * 3 + i / n]).collect();
                close("columns", &turned, &want, 8.0, 0.1);
            }
        }
    });
    assert!(Taps::new(3, [vec![(3, 1.0)]]).is_err());
}

fn volumes<T: Real>(device: &Device) {
    let input = [5, 6, 7];
    let mut x = Numbers::new(72).floats::<T>(2 * 210, 1.0);
    x[17] = T::of(f32::NAN);
    let x_d = device.upload(&x).unwrap();
    let view = x_d.view(&[2, 5, 6, 7]).unwrap();
    let pooled = Windows {
        output: [3, 2, 3],
        kernel: [2, 3, 2],
        stride: [2, 2, 3],
        padding: [1, 0, 1],
        dilation: [1, 2, 2],
        adaptive: false,
    };
    for windows in [pooled, Windows::adaptive([2, 4, 3])] {
        let n = windows.output.iter().product::<usize>();
        let (mut want, mut want_at) = (Vec::new(), Vec::new());
        for i in 0..2 * n {
            let mut o = [0; 3];
            let mut rest = i % n;
            for d in (0..3).rev() {
                o[d] = rest % windows.output[d];
                rest /= windows.output[d];
            }
            let elements = |d: usize| -> Vec<usize> {
                if windows.adaptive {
                    return (o[d] * input[d] / windows.output[d]
                        ..((o[d] + 1) * input[d]).div_ceil(windows.output[d]))
                        .collect();
                }
                let all = (0..windows.kernel[d])
                    .map(|k| o[d] * windows.stride[d] + k * windows.dilation[d]);
                let inside = all.filter_map(|p| p.checked_sub(windows.padding[d]));
                inside.filter(|&p| p < input[d]).collect()
            };
            let mut best: Option<(f32, usize)> = None;
            for a in elements(0) {
                for b in elements(1) {
                    for c in elements(2) {
                        let at = (a * 6 + b) * 7 + c;
                        let v = x[i / n * 210 + at].real();
                        if best.is_none_or(|(old, _)| v > old || v.is_nan()) {
                            best = Some((v, at));
                        }
                    }
                }
            }
            let (value, at) = best.unwrap();
            want.push(T::of(value));
            want_at.push(at as i64);
        }
        let mut y = garbage::<T>(device, 2 * n);
        let mut at = device.zeros::<i64>(2 * n).unwrap();
        max_pool_volume(&view, &windows, &mut y, &mut at).unwrap();
        close("largest", &y.download().unwrap(), &want, 0.0, 0.0);
        assert_eq!(at.download().unwrap(), want_at);
    }
}

#[test]
fn the_largest_of_volumes() {
    for_orders(&["f", "we"], |device| each_float!(volumes(device)));
}
