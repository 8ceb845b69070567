//! Each primitive of the kernels by itself, against arithmetic on the host: what to run first on a device nobody has seen.
//!
//! The kernels' tests on the emulation show that kernels and emulation agree. Whether the emulation agrees with the hardware is shown
//! here, on the hardware: `cargo run -p gradus-cuda --example conformance`.

use half::{bf16, f16};

use crate::manifest::{self, Ptr};
use crate::ops::gemm::tensor_map;
use crate::{DType, Device, FloatElement, Result};

/// A primitive, and how far its results are from what they should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What was tried.
    pub name: &'static str,
    /// The largest difference, in the terms of the probe; 0 is exact.
    pub error: f64,
    /// What is allowed.
    pub allowed: f64,
}

impl Probe {
    /// Whether the primitive does what the kernels take for granted.
    pub fn passed(&self) -> bool {
        self.error <= self.allowed // false for NaN
    }
}

/// Small integers with a pattern: their products and sums are exact in every type and order.
fn pattern(n: usize, step: usize) -> Vec<f32> {
    (0..n).map(|i| (i * step % 7) as f32 - 3.0).collect()
}

fn difference(got: impl IntoIterator<Item = f64>, want: impl IntoIterator<Item = f64>) -> f64 {
    let one = |(g, w): (f64, f64)| {
        if g == w || g.is_nan() && w.is_nan() {
            0.0
        } else {
            (g - w).abs()
        }
    };
    got.into_iter()
        .zip(want)
        .map(one)
        .fold(0.0, |m, d| if d.is_nan() || d > m { d } else { m })
}

/// Runs all probes the device has hardware for.
///
/// # Errors
/// If a kernel cannot be compiled or launched.
///
/// ```
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = gradus_cuda::Device::new(0) else { return Ok(()) };
/// assert!(gradus_cuda::probe::run(&device)?.iter().all(|p| p.passed()));
/// # Ok(())
/// # }
/// ```
pub fn run(device: &Device) -> Result<Vec<Probe>> {
    let mut probes = numbers(device)?;
    probes.extend(block(device)?);
    probes.push(copies(device)?);
    probes.push(mma(
        device,
        "mma.sync bf16, ldmatrix both ways",
        bf16::from_f32,
    )?);
    probes.push(mma(
        device,
        "mma.sync f16, ldmatrix both ways",
        f16::from_f32,
    )?);
    probes.push(tf32(device)?);
    if device.is_hopper() {
        probes.push(wgmma(device)?);
        probes.push(wgmma_tf32(device)?);
    }
    Ok(probes)
}

fn numbers(device: &Device) -> Result<Vec<Probe>> {
    // Ties, subnormals, overflow, the special values.
    let mut x: Vec<f32> = (0..200)
        .map(|i| f32::from_bits(0x3f80_0000 + i * 0x2_1111))
        .collect();
    x.extend([
        0.0,
        -0.0,
        1.003_906_25,
        1.011_718_75,
        65504.0,
        65519.9,
        65520.0,
        6e-8,
        1e-7,
        -3e38,
        3.4e38,
        1e-40,
    ]);
    x.extend([f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
    let n = x.len();
    let input = device.upload(&x)?;
    let (mut b, mut f) = (device.zeros::<bf16>(n)?, device.zeros::<f16>(n)?);
    let (mut powers, mut high) = (device.zeros::<f32>(n)?, device.zeros::<i32>(n)?);
    let mut short = device.zeros::<f32>(n)?;
    let kernel = manifest::probe_numbers {
        x: (&input).into(),
        bf16: (&mut b).into(),
        f16: (&mut f).into(),
        tf32: (&mut short).into(),
        powers: (&mut powers).into(),
        high: (&mut high).into(),
        n: n as i32,
    };
    // SAFETY: all have n elements of the types the kernel says (a u32 is read back as the i32 or f32 of the same bits).
    unsafe { device.launch(&kernel, DType::F32, (1, 1, 1), 0) }?;
    let real = |x: &f32| f64::from(*x);
    let b = difference(
        b.download()?.iter().map(|x| x.to_f64()),
        x.iter().map(|&x| bf16::from_f32(x).to_f64()),
    );
    let f = difference(
        f.download()?.iter().map(|x| x.to_f64()),
        x.iter().map(|&x| f16::from_f32(x).to_f64()),
    );
    let t = difference(
        short.download()?.iter().map(real),
        x.iter().map(|&x| f64::from(to_tf32(x))),
    );
    // Relative, of numbers whose power is neither 0 nor infinite.
    let small: Vec<usize> = (0..n).filter(|&i| x[i].abs() < 120.0).collect();
    let powers = powers.download()?;
    let p = difference(
        small.iter().map(|&i| real(&powers[i]) / real(&x[i]).exp2()),
        small.iter().map(|_| 1.0),
    );
    let want = x
        .iter()
        .map(|x| ((u64::from(x.to_bits()) * 0xD251_1F53) >> 32) as u32 as i32);
    let h = difference(
        high.download()?.into_iter().map(f64::from),
        want.map(f64::from),
    );
    Ok(vec![
        Probe {
            name: "to bf16",
            error: b,
            allowed: 0.0,
        },
        Probe {
            name: "to f16",
            error: f,
            allowed: 0.0,
        },
        Probe {
            name: "to tf32",
            error: t,
            allowed: 0.0,
        },
        Probe {
            name: "ex2.approx",
            error: p,
            allowed: 4e-7,
        },
        Probe {
            name: "mul.hi",
            error: h,
            allowed: 0.0,
        },
    ])
}

/// The nearest number with ten bits of fraction; of two, the one further from 0.
fn to_tf32(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    f32::from_bits(x.to_bits().wrapping_add(0x1000) & !0x1fff)
}

fn block(device: &Device) -> Result<Vec<Probe>> {
    let x = pattern(256, 5);
    let (input, mut y) = (device.upload(&x)?, device.zeros::<f32>(514)?);
    let kernel = manifest::probe_block {
        x: (&input).into(),
        y: (&mut y).into(),
    };
    // SAFETY: 256 numbers in, 514 out.
    unsafe { device.launch(&kernel, DType::F32, (1, 1, 1), 0) }?;
    let y: Vec<f64> = y.download()?.into_iter().map(f64::from).collect();
    let want = (0..256)
        .map(|i| f64::from(x[i ^ 1]))
        .chain((0..256).map(|i| f64::from(x[i / 32 * 32 + 5])));
    let (sum, max) = (x.iter().map(|&x| f64::from(x)).sum::<f64>(), 3.0);
    Ok(vec![
        Probe {
            name: "shuffles",
            error: difference(y[..512].to_vec(), want),
            allowed: 0.0,
        },
        Probe {
            name: "block reductions",
            error: difference(y[512..].to_vec(), [sum, max]),
            allowed: 0.0,
        },
    ])
}

fn copies(device: &Device) -> Result<Probe> {
    let x: Vec<u8> = (0..1024).map(|i| (i * 37 % 251 + 1) as u8).collect();
    let (input, mut y) = (device.upload(&x)?, device.zeros::<u8>(1024)?);
    let kernel = manifest::probe_copy {
        x: (&input).into(),
        y: (&mut y).into(),
    };
    // SAFETY: 1024 bytes each.
    unsafe { device.launch(&kernel, DType::F32, (1, 1, 1), 0) }?;
    let want = (0..1024).map(|i| {
        if i < 512 && i % 16 >= i / 16 % 17 {
            0.0
        } else {
            f64::from(x[i])
        }
    });
    let error = difference(y.download()?.into_iter().map(f64::from), want);
    Ok(Probe {
        name: "cp.async, its zeros and its groups",
        error,
        allowed: 0.0,
    })
}

fn mma<T: FloatElement>(
    device: &Device,
    name: &'static str,
    of: impl Fn(f32) -> T,
) -> Result<Probe> {
    let (a, b) = (pattern(256, 3), pattern(128, 2)); // a (m, k), b (n, k)
    let at: Vec<f32> = (0..256).map(|i| a[i % 16 * 16 + i / 16]).collect();
    let bt: Vec<f32> = (0..128).map(|i| b[i % 8 * 16 + i / 8]).collect();
    let up = |x: &[f32]| device.upload(&x.iter().map(|&x| of(x)).collect::<Vec<T>>());
    let (a_d, at_d, b_d, bt_d, mut c) = (
        up(&a)?,
        up(&at)?,
        up(&b)?,
        up(&bt)?,
        device.zeros::<f32>(256)?,
    );
    let (pa, pat, pb, pbt) = (
        Ptr::from(&a_d),
        Ptr::from(&at_d),
        Ptr::from(&b_d),
        Ptr::from(&bt_d),
    );
    let kernel = manifest::probe_mma {
        a: pa,
        at: pat,
        b: pb,
        bt: pbt,
        c: (&mut c).into(),
    };
    // SAFETY: matrices of 16×16 and 16×8, two results of 16×8.
    unsafe { device.launch(&kernel, T::DTYPE, (1, 1, 1), 0) }?;
    let product = |i: usize| {
        (0..16)
            .map(|k| f64::from(a[i / 8 * 16 + k] * b[i % 8 * 16 + k]))
            .sum::<f64>()
    };
    let want = (0..128).map(product).chain((0..128).map(product));
    let error = difference(c.download()?.into_iter().map(f64::from), want);
    Ok(Probe {
        name,
        error,
        allowed: 0.0,
    })
}

fn tf32(device: &Device) -> Result<Probe> {
    let (a, b) = (pattern(128, 3), pattern(64, 5)); // a (m, k), b (n, k)
    let (a_d, b_d, mut c) = (
        device.upload(&a)?,
        device.upload(&b)?,
        device.zeros::<f32>(128)?,
    );
    let kernel = manifest::probe_tf32 {
        a: (&a_d).into(),
        b: (&b_d).into(),
        c: (&mut c).into(),
    };
    // SAFETY: matrices of 16×8 and 8×8, a result of 16×8.
    unsafe { device.launch(&kernel, DType::F32, (1, 1, 1), 0) }?;
    let want = (0..128).map(|i| {
        (0..8)
            .map(|k| f64::from(a[i / 8 * 8 + k] * b[i % 8 * 8 + k]))
            .sum::<f64>()
    });
    let error = difference(c.download()?.into_iter().map(f64::from), want);
    Ok(Probe {
        name: "mma.sync tf32",
        error,
        allowed: 0.0,
    })
}

fn wgmma(device: &Device) -> Result<Probe> {
    let (a, b) = (pattern(64 * 64, 3), pattern(256 * 64, 5)); // a (m, k), b (n, k)
    let up = |x: &[f32]| device.upload(&x.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>());
    let (a_d, b_d, mut c) = (up(&a)?, up(&b)?, device.zeros::<f32>(64 * 256)?);
    let a_map = tensor_map((&a_d).into(), 64, 64, 64, 64)?;
    let b_map = tensor_map((&b_d).into(), 256, 64, 64, 256)?;
    let kernel = manifest::probe_wgmma {
        a_map,
        b_map,
        c: (&mut c).into(),
    };
    // SAFETY: the maps are of the two matrices, c has 64×256.
    unsafe { device.launch(&kernel, DType::F32, (1, 1, 1), 8192 + 32768 + 64) }?;
    let want = (0..64 * 256).map(|i| {
        (0..64)
            .map(|k| f64::from(a[i / 256 * 64 + k] * b[i % 256 * 64 + k]))
            .sum::<f64>()
    });
    let error = difference(c.download()?.into_iter().map(f64::from), want);
    Ok(Probe {
        name: "TMA, mbarrier, wgmma",
        error,
        allowed: 0.0,
    })
}

fn wgmma_tf32(device: &Device) -> Result<Probe> {
    let (a, b) = (pattern(64 * 32, 3), pattern(256 * 32, 5)); // a (m, k), b (n, k)
    let (a_d, b_d, mut c) = (
        device.upload(&a)?,
        device.upload(&b)?,
        device.zeros::<f32>(64 * 256)?,
    );
    let a_map = tensor_map((&a_d).into(), 64, 64, 64, 64)?;
    let b_map = tensor_map((&b_d).into(), 256, 64, 64, 256)?;
    let kernel = manifest::probe_wgmma_tf32 {
        a_map,
        b_map,
        c: (&mut c).into(),
    };
    // SAFETY: the maps are of the two matrices, whose f32 count as two elements each; c has 64×256.
    unsafe { device.launch(&kernel, DType::F32, (1, 1, 1), 8192 + 32768 + 64) }?;
    let want = (0..64 * 256).map(|i| {
        (0..32)
            .map(|k| f64::from(a[i / 256 * 32 + k] * b[i % 256 * 32 + k]))
            .sum::<f64>()
    });
    let error = difference(c.download()?.into_iter().map(f64::from), want);
    Ok(Probe {
        name: "TMA, mbarrier, wgmma tf32",
        error,
        allowed: 0.0,
    })
}
