//! `cargo xtask bench --device cuda ladder`: matrix products rung by rung, from a thread an element to tensor cores fed by TMA, and then
//! convolutions and their gradients. Each rung is first compared with the one below, then timed by events of the device.
//!
//! On the device `stand-in` it runs where there is no GPU, small, and then the times say nothing.

use gradus_cuda::ops::conv::{
    self, Conv2dParams, How, conv2d_as, conv2d_backward_data_as, conv2d_backward_weight_as,
};
use gradus_cuda::ops::gemm::{Epilogue, Rung, matmul_on};
use gradus_cuda::{Device, Error, Event, FloatElement, MemoryFormat, View, bf16};

/// How often a rung is timed; the median counts.
const TIMES: usize = 11;

/// A number of the operands that looks random.
fn number(i: usize) -> f32 {
    ((i.wrapping_mul(2_654_435_761) >> 8) % 2001) as f32 / 1000.0 - 1.0
}

/// A rung on square matrices of `n`: its result, and the median of its times in milliseconds. B is stored by columns, as TMA wants it.
fn climb<T: FloatElement>(
    device: &Device,
    rung: Rung,
    n: usize,
    of: impl Fn(f32) -> T,
) -> Result<(Vec<T>, f32), Error> {
    let numbers = |seed: usize| (0..n * n).map(|i| of(number(i + seed))).collect::<Vec<_>>();
    let (a, b) = (device.upload(&numbers(1))?, device.upload(&numbers(7))?);
    let mut c = device.uninit::<T>(n * n)?;
    let a = a.view(&[n, n])?;
    let b = View::new(&b, 0, &[n, n], &[1, n as isize])?;
    let ms = median(device, || {
        matmul_on(rung, &a, &b, &Epilogue::default(), &mut c)
    })?;
    Ok((c.download()?, ms))
}

/// The median of a launch's times in milliseconds.
fn median(device: &Device, mut launch: impl FnMut() -> Result<(), Error>) -> Result<f32, Error> {
    launch()?; // compiled and warm
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let start = Event::record(device)?;
        launch()?;
        times.push(start.milliseconds_to(&Event::record(device)?)?);
    }
    times.sort_by(f32::total_cmp);
    Ok(times[TIMES / 2])
}

/// A 3×3 convolution of a ResNet's middle, (B, C, H, W) to as many channels: y, dx, and dw, each with its time. The images lie as
/// `format` says, and so do y and dx; they are read back row-major.
fn convolve<T: FloatElement>(
    device: &Device,
    rung: conv::Rung,
    [b, c, s]: [usize; 3],
    format: MemoryFormat,
    of: impl Fn(f32) -> T,
) -> Result<[(Vec<T>, f32); 3], Error> {
    let params = Conv2dParams {
        padding: [1, 1],
        ..Conv2dParams::default()
    };
    let how = How {
        rung: Some(rung),
        format,
    };
    let (shape, w_shape, n) = ([b, c, s, s], [c, c, 3, 3], b * c * s * s);
    // Where the element of a place in memory stands in row-major order.
    let row_major = |i: usize| match format {
        MemoryFormat::Contiguous => i,
        MemoryFormat::ChannelsLast => (i / c / (s * s) * c + i % c) * s * s + i / c % (s * s),
    };
    let images = |seed: usize| {
        (0..n)
            .map(|i| of(number(row_major(i) + seed)))
            .collect::<Vec<_>>()
    };
    let (x, dy) = (device.upload(&images(1))?, device.upload(&images(5))?);
    let w: Vec<T> = (0..9 * c * c).map(|i| of(number(i + 7))).collect();
    let w = device.upload(&w)?;
    let (c_, s_) = (c as isize, s as isize);
    let strides = match format {
        MemoryFormat::Contiguous => [c_ * s_ * s_, s_ * s_, s_, 1],
        MemoryFormat::ChannelsLast => [c_ * s_ * s_, 1, s_ * c_, c_],
    };
    let (x, dy) = (
        View::new(&x, 0, &shape, &strides)?,
        View::new(&dy, 0, &shape, &strides)?,
    );
    let w = w.view(&w_shape)?;
    let (mut y, mut dx, mut dw) = (
        device.uninit::<T>(n)?,
        device.uninit::<T>(n)?,
        device.uninit::<T>(9 * c * c)?,
    );
    let times = [
        median(device, || conv2d_as(how, &x, &w, None, &params, &mut y))?,
        median(device, || {
            conv2d_backward_data_as(how, &dy, &w, &params, &shape, &mut dx)
        })?,
        median(device, || {
            conv2d_backward_weight_as(how, &x, &dy, &params, &w_shape, &mut dw)
        })?,
    ];
    let rows = |lain: Vec<T>| {
        let mut rows = lain.clone();
        lain.into_iter()
            .enumerate()
            .for_each(|(i, v)| rows[row_major(i)] = v);
        rows
    };
    Ok([
        (rows(y.download()?), times[0]),
        (rows(dx.download()?), times[1]),
        (dw.download()?, times[2]),
    ])
}

/// The ladder of convolutions.
fn convolutions(device: &Device, emulated: bool) -> Result<(), String> {
    let sizes @ [b, c, s] = if emulated { [1, 16, 12] } else { [64, 256, 14] };
    println!("{device}: convolution 3 × 3, ({b}, {c}, {s}, {s})");
    let wide = |of: [(Vec<bf16>, f32); 3]| {
        of.map(|(x, ms)| (x.into_iter().map(bf16::to_f32).collect(), ms))
    };
    let (first, last) = (MemoryFormat::Contiguous, MemoryFormat::ChannelsLast);
    let (gather, mma) = (conv::Rung::Gather, conv::Rung::Mma);
    let f32_on = |rung, format| convolve(device, rung, sizes, format, |x| x);
    let bf16_on = |rung, format| convolve(device, rung, sizes, format, bf16::from_f32).map(wide);
    let rungs = [
        ("element by element, NCHW (f32)", f32_on(gather, first)),
        ("the same, to tensor cores (bf16)", bf16_on(gather, first)),
        (
            "16 bytes of NHWC to tensor cores (f32 as TF32)",
            f32_on(mma, last),
        ),
        (
            "16 bytes of NHWC to tensor cores (bf16)",
            bf16_on(mma, last),
        ),
        (
            "the same, turned from NCHW and back (bf16)",
            bf16_on(mma, first),
        ),
    ];
    let operations = 2.0 * 9.0 * (b * c * c * s * s) as f64;
    let mut below: Option<[(Vec<f32>, f32); 3]> = None;
    for (i, (name, results)) in rungs.into_iter().enumerate() {
        let results = results.map_err(|e| e.to_string())?;
        let mut line = format!("{}  {name:<52}", i + 1);
        for (k, what) in ["y", "dx", "dw"].into_iter().enumerate() {
            let (got, ms) = &results[k];
            line += &format!(
                " {what} {ms:>8.3} ms {:>7.2} TFLOP/s",
                operations / (f64::from(*ms) * 1e9)
            );
            if let Some(below) = &below {
                agree(&format!("{name}: {what}"), got, &below[k].0)?;
            }
        }
        println!("{line}");
        below = Some(results);
    }
    Ok(())
}

/// `Err` where two rungs are apart.
fn agree(name: &str, got: &[f32], want: &[f32]) -> Result<(), String> {
    let largest = want.iter().fold(1.0f32, |m, x| m.max(x.abs()));
    let far = |(a, b): (&f32, &f32)| (a - b).abs() > 0.02 * largest;
    match got.iter().zip(want).position(far) {
        None => Ok(()),
        Some(at) => Err(format!(
            "{name}: element {at} is {}, a rung below {}",
            got[at], want[at]
        )),
    }
}

/// Climbs the ladder and prints a line for each rung.
pub fn run(device: &str) -> Result<(), String> {
    let emulated = device == crate::conformance::STAND_IN;
    let index = match device.split_once(':') {
        _ if emulated => {
            crate::conformance::stand_in()?;
            0
        }
        None if device == "cuda" => 0,
        Some(("cuda", n)) => n.parse().map_err(|_| format!("--device {device}"))?,
        _ => {
            return Err(format!(
                "--device {device}: the ladder is of GPUs: cuda, cuda:1, stand-in"
            ));
        }
    };
    let device = Device::new(index).map_err(|e| e.to_string())?;
    let n = if emulated { 128 } else { 4096 };
    println!("{device}: C = A·B, {n} × {n}");
    if emulated {
        println!("on the stand-in: that the rungs agree is checked, what their times are is not");
    }
    let mut below: Option<(Vec<f32>, f64)> = None;
    let rungs = [
        (Rung::Naive, "a thread an element (f32)"),
        (Rung::Tiled, "32 × 32 tiles in shared memory (f32)"),
        (Rung::Simt, "8 × 8 in registers (f32)"),
        (Rung::Mma, "tensor cores of a warp, mma.sync (f32 as TF32)"),
        (Rung::Mma, "tensor cores of a warp, mma.sync (bf16)"),
        (
            Rung::Wgmma,
            "tensor cores of a warpgroup, wgmma and TMA (f32 as TF32)",
        ),
        (
            Rung::Wgmma,
            "tensor cores of a warpgroup, wgmma and TMA (bf16)",
        ),
    ];
    for (i, (rung, name)) in rungs.into_iter().enumerate() {
        let result = match rung {
            Rung::Mma | Rung::Wgmma if name.ends_with("(bf16)") => {
                climb(&device, rung, n, bf16::from_f32)
                    .map(|(c, ms)| (c.into_iter().map(bf16::to_f32).collect(), ms))
            }
            _ => climb(&device, rung, n, |x| x),
        };
        let (c, ms) = match result {
            Ok(done) => done,
            Err(Error::Unsupported { what, .. }) => {
                println!("{}  {name}: {what}", i + 1);
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let rate = 2.0 * (n as f64).powi(3) / (f64::from(ms) * 1e-3) / 1e12;
        let mut line = format!("{}  {name:<56} {ms:>9.3} ms {rate:>8.2} TFLOP/s", i + 1);
        if let Some((want, slower)) = &below {
            agree(name, &c, want)?;
            line += &format!("   {:>5.1} times the rung below", rate / slower);
        }
        println!("{line}");
        below = Some((c, rate));
    }
    convolutions(&device, emulated)
}
