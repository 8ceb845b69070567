//! Random numbers, dropout, rotary positions.

use gradus_cuda::ops::random::{Stream, bernoulli, dropout, rope, uniform};
use gradus_cuda::{Device, Error};

use crate::standin::{device, orders};
use crate::support::{Numbers, Real, close, each_float, garbage};

/// Philox4x32-10 in Rust, as gradus-tensor's `random/philox.rs` lays it out; its known answers are Random123's.
fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    for _ in 0..10 {
        let (p0, p1) = (
            0xD251_1F53u64 * u64::from(c0),
            0xCD9E_8D57u64 * u64::from(c2),
        );
        (c0, c1, c2, c3) = (
            (p1 >> 32) as u32 ^ c1 ^ k0,
            p1 as u32,
            (p0 >> 32) as u32 ^ c3 ^ k1,
            p0 as u32,
        );
        (k0, k1) = (k0.wrapping_add(0x9E37_79B9), k1.wrapping_add(0xBB67_AE85));
    }
    [c0, c1, c2, c3]
}

fn word(stream: Stream, i: usize) -> u32 {
    let block = stream.offset.wrapping_add(i as u64 / 4);
    let words = philox(
        [block as u32, (block >> 32) as u32, 0, 0],
        [stream.seed as u32, (stream.seed >> 32) as u32],
    );
    words[i % 4]
}

const STREAM: Stream = Stream {
    seed: 0x1234_5678_9abc_def0,
    offset: (1 << 32) - 3,
};

fn dropped<T: Real>(device: &Device) {
    let n = 1001;
    let x = Numbers::new(13).floats::<T>(n, 2.0);
    let x_d = device.upload(&x).unwrap();
    let mut y = garbage::<T>(device, n);
    for p in [0.0, 0.1, 0.5, 0.9] {
        dropout(&x_d.view(&[n]).unwrap(), p, STREAM, &mut y).unwrap();
        let threshold = ((1.0 - p) * 4_294_967_296.0) as u64;
        let scale = T::of((1.0 / (1.0 - p)) as f32).real();
        let kept = |i| u64::from(word(STREAM, i)) < threshold;
        let want: Vec<T> = (0..n)
            .map(|i| T::of(if kept(i) { x[i].real() * scale } else { 0.0 }))
            .collect();
        close("dropout", &y.download().unwrap(), &want, 0.0, 0.0);
    }
}

#[test]
fn dropout_has_the_mask_of_the_cpu() {
    let known = philox(
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        [0xa409_3822, 0x299f_31d0],
    );
    assert_eq!(known, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    orders(|device| each_float!(dropped(device)));
}

#[test]
fn uniform_numbers() {
    let Some(device) = device() else { return };
    let mut y = device.uninit::<f32>(777).unwrap();
    uniform(STREAM, &mut y).unwrap();
    let want: Vec<f32> = (0..777)
        .map(|i| (word(STREAM, i) >> 8) as f32 / 16_777_216.0)
        .collect();
    assert_eq!(y.download().unwrap(), want);
    let x = device.zeros::<f32>(3).unwrap();
    let error = dropout(
        &x.view(&[3]).unwrap(),
        1.0,
        STREAM,
        &mut device.zeros(3).unwrap(),
    )
    .unwrap_err();
    assert!(matches!(error, Error::Shape { op: "dropout", .. }));
}

fn turned<T: Real>(device: &Device) {
    let (batch, heads, time, hs) = (2, 3, 5, 6);
    let mut numbers = Numbers::new(14);
    let x = numbers.floats::<T>(batch * heads * time * hs, 1.0);
    let angles: Vec<f32> = (0..time * hs / 2).map(|_| numbers.unit() * 3.0).collect();
    let (cosines, sines): (Vec<f32>, Vec<f32>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
    let (c_d, s_d, x_d) = (
        device.upload(&cosines).unwrap(),
        device.upload(&sines).unwrap(),
        device.upload(&x).unwrap(),
    );
    for inside in [false, true] {
        let shape = if inside {
            [batch, time, heads, hs]
        } else {
            [batch, heads, time, hs]
        };
        let mut want = vec![T::of(0.0); x.len()];
        for row in 0..x.len() / hs {
            let t = if inside {
                row / heads % time
            } else {
                row % time
            };
            for k in 0..hs / 2 {
                let (a, b) = (x[row * hs + k].real(), x[row * hs + k + hs / 2].real());
                let (c, s) = (cosines[t * hs / 2 + k], sines[t * hs / 2 + k]);
                want[row * hs + k] = T::of(a * c - b * s);
                want[row * hs + k + hs / 2] = T::of(b * c + a * s);
            }
        }
        let (mut y, mut back) = (garbage::<T>(device, x.len()), garbage::<T>(device, x.len()));
        rope(
            &x_d.view(&shape).unwrap(),
            &c_d,
            &s_d,
            inside,
            false,
            &mut y,
        )
        .unwrap();
        close("rope", &y.download().unwrap(), &want, 1.0, 1.0);
        rope(
            &y.view(&shape).unwrap(),
            &c_d,
            &s_d,
            inside,
            true,
            &mut back,
        )
        .unwrap();
        close("rope and back", &back.download().unwrap(), &x, 4.0, 1.0);
    }
    assert!(
        rope(
            &x_d.view(&[x.len()]).unwrap(),
            &c_d,
            &s_d,
            false,
            false,
            &mut garbage::<T>(device, x.len())
        )
        .is_err()
    );
}

#[test]
fn rotary_positions() {
    orders(|device| each_float!(turned(device)));
}

#[test]
fn bernoulli_has_the_bits_of_the_cpu() {
    orders(|device| {
        let n = 1003;
        for p in [0.0, 0.3, 1.0] {
            let threshold = (p * 4_294_967_296.0) as u64;
            let want: Vec<bool> = (0..n)
                .map(|i| u64::from(word(STREAM, i)) < threshold)
                .collect();
            let mut y = device.upload(&vec![true; n]).unwrap();
            bernoulli(p, STREAM, None, &mut y).unwrap();
            assert_eq!(y.download().unwrap(), want);
            // From a base on the device.
            let base = [STREAM.seed as i64, STREAM.offset as i64 - 5];
            let (base, rest) = (device.upload(&base).unwrap(), Stream { seed: 1, offset: 5 });
            bernoulli(p, rest, Some(&base), &mut y).unwrap();
            assert_eq!(y.download().unwrap(), want);
        }
        let mut y = device.uninit::<bool>(3).unwrap();
        assert!(bernoulli(1.5, STREAM, None, &mut y).is_err());
        let short = device.zeros::<i64>(1).unwrap();
        assert!(bernoulli(0.5, STREAM, Some(&short), &mut y).is_err());
    });
}
