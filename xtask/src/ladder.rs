//! `cargo xtask bench --device cuda ladder`: matrix products rung by rung, from a thread an element to tensor cores fed by TMA. Each rung is
//! first compared with the one below, then timed by events of the device.
//!
//! On the device `stand-in` it runs where there is no GPU, small, and then the times say nothing.

use gradus_cuda::ops::gemm::{Epilogue, Rung, matmul_on};
use gradus_cuda::{Device, Error, Event, FloatElement, View, bf16};

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
    let mut product = || matmul_on(rung, &a, &b, &Epilogue::default(), &mut c);
    product()?; // compiled and warm
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let start = Event::record(device)?;
        product()?;
        times.push(start.milliseconds_to(&Event::record(device)?)?);
    }
    times.sort_by(f32::total_cmp);
    Ok((c.download()?, times[TIMES / 2]))
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
        (Rung::Mma, "tensor cores of a warp, mma.sync (bf16)"),
        (
            Rung::Wgmma,
            "tensor cores of a warpgroup, wgmma and TMA (bf16)",
        ),
    ];
    for (i, (rung, name)) in rungs.into_iter().enumerate() {
        let result = match rung {
            Rung::Mma | Rung::Wgmma => climb(&device, rung, n, bf16::from_f32)
                .map(|(c, ms)| (c.into_iter().map(bf16::to_f32).collect(), ms)),
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
        let mut line = format!("{}  {name:<52} {ms:>9.3} ms {rate:>8.2} TFLOP/s", i + 1);
        if let Some((want, slower)) = &below {
            let largest = want.iter().fold(1.0f32, |m, x| m.max(x.abs()));
            let far = |(a, b): (&f32, &f32)| (a - b).abs() > 0.02 * largest;
            if let Some(at) = c.iter().zip(want).position(far) {
                return Err(format!(
                    "{name}: element {at} is {}, a rung below {}",
                    c[at], want[at]
                ));
            }
            line += &format!("   {:>5.1} times the rung below", rate / slower);
        }
        println!("{line}");
        below = Some((c, rate));
    }
    Ok(())
}
