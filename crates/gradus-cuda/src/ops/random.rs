//! Random numbers of the CPU's Philox stream, dropout, and rotary positions.

use super::{Dense, int};
use crate::error::check_len;
use crate::manifest;
use crate::view::same_device;
use crate::{Buffer, Error, FloatElement, Result, View};

/// Where the stream stands: gradus-tensor's `RngState`. A fill of `n` elements uses `n.div_ceil(4)` blocks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Which stream.
    pub seed: u64,
    /// The blocks of four words that are used up.
    pub offset: u64,
}

/// y = x/(1 − p) with probability 1 − p, else 0: the mask is the one the CPU draws from the same place of the stream. Applied to the
/// output's gradient with the same `stream`, it is the gradient.
///
/// # Errors
/// If `p` is not in 0..1, or lengths or devices differ.
///
/// ```
/// # use gradus_cuda::{Device, ops::random::{Stream, dropout}};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.upload(&[1.0f32; 100])?;
/// let mut y = device.uninit(100)?;
/// dropout(&x.view(&[100])?, 0.5, Stream { seed: 7, offset: 0 }, &mut y)?;
/// assert!(y.download()?.iter().all(|&y| y == 0.0 || y == 2.0));
/// # Ok(())
/// # }
/// ```
pub fn dropout<T: FloatElement>(
    x: &View<'_, T>,
    p: f64,
    stream: Stream,
    y: &mut Buffer<T>,
) -> Result<()> {
    let op = "dropout";
    if !(0.0..1.0).contains(&p) {
        return Err(Error::shape(op, format!("p {p} is not in 0..1")));
    }
    check_len(op, "the output", y.len(), x.len())?;
    same_device(op, x.buffer(), y)?;
    let (n, x, device) = (x.len(), Dense::new(x)?, y.device().clone());
    let kernel = manifest::dropout {
        x: x.ptr(),
        y: y.into(),
        n: n as i64,
        seed: stream.seed,
        offset: stream.offset,
        threshold: ((1.0 - p) * 4_294_967_296.0) as u64,
        scale: (1.0 / (1.0 - p)) as f32,
    };
    // SAFETY: both have n elements; y is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            T::DTYPE,
            (device.blocks(n.div_ceil(4), 256), 1, 1),
            0,
        )
    }
}

/// Uniform numbers in [0, 1), those of the CPU's stream.
///
/// # Errors
/// [`Error::Driver`].
pub fn uniform(stream: Stream, y: &mut Buffer<f32>) -> Result<()> {
    let (n, device) = (y.len(), y.device().clone());
    let kernel = manifest::uniform {
        y: y.into(),
        n: n as i64,
        seed: stream.seed,
        offset: stream.offset,
    };
    // SAFETY: y has n elements and is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            crate::DType::F32,
            (device.blocks(n.div_ceil(4), 256), 1, 1),
            0,
        )
    }
}

/// True with probability `p`: the bits the CPU draws from the same place of the stream. With `base`, two numbers on the device, the stream
/// is that of seed `base[0]` from block `base[1] + stream.offset` on: a graph that is replayed reads them anew.
///
/// # Errors
/// If `p` is not in 0..=1, or `base` is not two numbers of the same device.
///
/// ```
/// # use gradus_cuda::{Device, ops::random::{Stream, bernoulli}};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let mut y = device.uninit::<bool>(1000)?;
/// bernoulli(0.25, Stream { seed: 7, offset: 0 }, None, &mut y)?;
/// let drawn = y.download()?.into_iter().filter(|&y| y).count();
/// assert!((200..300).contains(&drawn));
/// # Ok(())
/// # }
/// ```
pub fn bernoulli(
    p: f64,
    stream: Stream,
    base: Option<&Buffer<i64>>,
    y: &mut Buffer<bool>,
) -> Result<()> {
    let op = "bernoulli";
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::shape(op, format!("p {p} is not in 0..=1")));
    }
    if let Some(base) = base {
        check_len(op, "the base", base.len(), 2)?;
        same_device(op, base, y)?;
    }
    let (n, device) = (y.len(), y.device().clone());
    let kernel = manifest::bernoulli {
        y: y.into(),
        base: base.map_or(manifest::Ptr::NULL, Into::into),
        n: n as i64,
        seed: stream.seed,
        offset: stream.offset,
        threshold: (p * 4_294_967_296.0) as u64,
    };
    // SAFETY: y has n bytes and is borrowed exclusively; the base has two numbers.
    unsafe {
        device.launch(
            &kernel,
            crate::DType::Bool,
            (device.blocks(n.div_ceil(4), 256), 1, 1),
            0,
        )
    }
}

/// Rotary positions: pair (i, i + hs/2) of each row of `x` (…, hs) turns by the angle of the row's position t. `cosines` and `sines` are
/// (time, hs/2). With `heads_inside` x is (…, time, heads, hs), otherwise (…, time, hs); `backward` turns back, which is the gradient.
///
/// # Errors
/// If shapes or devices do not fit, or hs is odd.
pub fn rope<T: FloatElement>(
    x: &View<'_, T>,
    cosines: &Buffer<f32>,
    sines: &Buffer<f32>,
    heads_inside: bool,
    backward: bool,
    y: &mut Buffer<T>,
) -> Result<()> {
    let op = "rope";
    let shape = x.shape();
    let (time, per, hs) = match (heads_inside, shape) {
        (true, [.., t, heads, hs]) => (*t, *heads, *hs),
        (false, [.., t, hs]) => (*t, 1, *hs),
        _ => {
            return Err(Error::shape(
                op,
                format!("x is (…, time, hs), not {shape:?}"),
            ));
        }
    };
    if hs % 2 != 0 {
        return Err(Error::shape(op, format!("hs {hs} is odd")));
    }
    check_len(op, "the cosines", cosines.len(), time * hs / 2)?;
    check_len(op, "the sines", sines.len(), time * hs / 2)?;
    check_len(op, "the output", y.len(), x.len())?;
    same_device(op, x.buffer(), y)?;
    same_device(op, cosines, y)?;
    if y.is_empty() {
        return Ok(());
    }
    let (n, x, device) = (x.len(), Dense::new(x)?, y.device().clone());
    let kernel = manifest::rope {
        x: x.ptr(),
        cosines: cosines.into(),
        sines: sines.into(),
        y: y.into(),
        rows: (n / hs) as i64,
        per: per as i64,
        time: time as i64,
        hs: int(op, hs)?,
        direction: if backward { -1.0 } else { 1.0 },
    };
    // SAFETY: x and y have `rows` rows of hs; a row's position is below `time`; y is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(n / 2, 256), 1, 1), 0) }
}
