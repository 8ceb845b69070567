//! A step of an optimiser over all parameters in one launch, and clipping of all gradients by their norm. PyTorch's formulas.

use crate::error::check_len;
use crate::manifest;
use crate::{Buffer, DType, Device, Error, Result};

/// Elements of a chunk: a block's work.
const CHUNK: usize = 1 << 15;

/// A parameter with what its step needs.
#[derive(Debug)]
pub struct Step<'a> {
    /// The parameter.
    pub parameter: &'a mut Buffer<f32>,
    /// Its gradient.
    pub gradient: &'a Buffer<f32>,
    /// The optimiser's first state: Adam's average, SGD's velocity.
    pub first: Option<&'a mut Buffer<f32>>,
    /// The second: Adam's average of squares.
    pub second: Option<&'a mut Buffer<f32>>,
}

/// Adam, and AdamW with `decoupled`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub lr: f64,
    /// The decay rates of the averages of the gradient and of its square.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub eps: f64,
    /// L2 penalty: added to the gradient, or taken from the parameter if `decoupled`.
    pub weight_decay: f64,
    /// AdamW's decoupled weight decay.
    pub decoupled: bool,
    /// Go up instead of down.
    pub maximize: bool,
    /// The number of this step, from 1.
    pub step: u64,
}

/// Stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The learning rate.
    pub lr: f64,
    /// The decay of the velocity; 0 for none.
    pub momentum: f64,
    /// How much less of the gradient enters the velocity.
    pub dampening: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Nesterov's look-ahead.
    pub nesterov: bool,
    /// Go up instead of down.
    pub maximize: bool,
    /// Whether this is the first step: the velocity then becomes the gradient.
    pub first: bool,
}

/// `Chunk` of element.cuh.
#[repr(C)]
#[derive(Clone, Copy)]
struct Chunk {
    parameter: u64,
    gradient: u64,
    first: u64,
    second: u64,
    length: u32,
    padding: u32,
}

/// The list of chunks on the device, and how many.
struct Chunks {
    list: Buffer<u8>,
    count: u32,
}

impl Chunks {
    /// Cuts tensors, given by their addresses (0 for none) and lengths.
    fn new(device: &Device, tensors: impl Iterator<Item = ([u64; 4], usize)>) -> Result<Self> {
        let mut bytes = Vec::new();
        let mut count = 0u32;
        for (addresses, len) in tensors {
            for start in (0..len).step_by(CHUNK) {
                let at = addresses.map(|a| if a == 0 { 0 } else { a + 4 * start as u64 });
                let [parameter, gradient, first, second] = at;
                let length = CHUNK.min(len - start) as u32;
                let chunk = Chunk {
                    parameter,
                    gradient,
                    first,
                    second,
                    length,
                    padding: 0,
                };
                for word in [chunk.parameter, chunk.gradient, chunk.first, chunk.second] {
                    bytes.extend(word.to_le_bytes());
                }
                bytes.extend(chunk.length.to_le_bytes());
                bytes.extend(chunk.padding.to_le_bytes());
                count += 1;
            }
        }
        debug_assert_eq!(bytes.len(), count as usize * size_of::<Chunk>());
        Ok(Self {
            list: device.upload(&bytes)?,
            count,
        })
    }
}

/// The device all of them are on; `None` of nothing.
fn device_of<'a>(
    op: &'static str,
    mut buffers: impl Iterator<Item = &'a Buffer<f32>>,
) -> Result<Option<Device>> {
    let Some(first) = buffers.next() else {
        return Ok(None);
    };
    if buffers.any(|b| b.device() != first.device()) {
        return Err(Error::Devices { op });
    }
    Ok(Some(first.device().clone()))
}

fn chunks_of(
    op: &'static str,
    steps: &[Step<'_>],
    states: usize,
) -> Result<Option<(Device, Chunks)>> {
    for step in steps {
        check_len(
            op,
            "the gradient",
            step.gradient.len(),
            step.parameter.len(),
        )?;
        for (i, state) in [&step.first, &step.second].into_iter().enumerate() {
            match state {
                Some(state) => check_len(op, "a state", state.len(), step.parameter.len())?,
                None if i < states => return Err(Error::shape(op, "a state is missing")),
                None => {}
            }
        }
    }
    let all = steps.iter().flat_map(|s| {
        let states = s.first.as_deref().into_iter().chain(s.second.as_deref());
        [&*s.parameter, s.gradient].into_iter().chain(states)
    });
    let Some(device) = device_of(op, all)? else {
        return Ok(None);
    };
    let address = |b: Option<&Buffer<f32>>| b.map_or(0, Buffer::address);
    let tensors = steps.iter().map(|s| {
        let states = [address(s.first.as_deref()), address(s.second.as_deref())];
        (
            [
                s.parameter.address(),
                s.gradient.address(),
                states[0],
                states[1],
            ],
            s.parameter.len(),
        )
    });
    let chunks = Chunks::new(&device, tensors)?;
    Ok(Some((device, chunks)))
}

/// One step of Adam or AdamW over all of `steps`.
///
/// # Errors
/// If lengths or devices differ, or a state is missing.
pub fn adam(options: Adam, steps: &mut [Step<'_>]) -> Result<()> {
    let Some((device, chunks)) = chunks_of("adam", steps, 2)? else {
        return Ok(());
    };
    let (b1, b2) = options.betas;
    let step = options.step.max(1) as f64;
    let decay = options.weight_decay;
    let kernel = manifest::adam_chunks {
        chunks: (&chunks.list).into(),
        step_size: (options.lr / (1.0 - b1.powf(step))) as f32,
        beta1: b1 as f32,
        beta2: b2 as f32,
        eps: options.eps as f32,
        root_correction: (1.0 - b2.powf(step)).sqrt() as f32,
        penalty: if options.decoupled { 0.0 } else { decay as f32 },
        shrink: if options.decoupled {
            (1.0 - options.lr * decay) as f32
        } else {
            1.0
        },
        maximize: i32::from(options.maximize),
    };
    // SAFETY: each chunk is a piece of four equally long buffers; those written are borrowed exclusively by `steps`.
    unsafe { device.launch(&kernel, DType::F32, (chunks.count, 1, 1), 0) }
}

/// One step of SGD over all of `steps`; `first` is the velocity, needed with momentum.
///
/// # Errors
/// As [`adam`].
pub fn sgd(options: Sgd, steps: &mut [Step<'_>]) -> Result<()> {
    let states = usize::from(options.momentum != 0.0);
    if states == 0 && steps.iter().any(|s| s.first.is_some()) {
        return Err(Error::shape("sgd", "a velocity without momentum"));
    }
    let Some((device, chunks)) = chunks_of("sgd", steps, states)? else {
        return Ok(());
    };
    let kernel = manifest::sgd_chunks {
        chunks: (&chunks.list).into(),
        lr: options.lr as f32,
        momentum: options.momentum as f32,
        dampening: options.dampening as f32,
        penalty: options.weight_decay as f32,
        nesterov: i32::from(options.nesterov),
        maximize: i32::from(options.maximize),
        first_step: i32::from(options.first),
    };
    // SAFETY: as in `adam`.
    unsafe { device.launch(&kernel, DType::F32, (chunks.count, 1, 1), 0) }
}

/// The norm of all gradients together, as one number on the device.
///
/// # Errors
/// If there are none, or devices differ.
pub fn gradient_norm(gradients: &[&Buffer<f32>]) -> Result<Buffer<f32>> {
    let op = "gradient_norm";
    let device = device_of(op, gradients.iter().copied())?
        .ok_or_else(|| Error::shape(op, "no gradients"))?;
    let chunks = Chunks::new(
        &device,
        gradients.iter().map(|g| ([0, g.address(), 0, 0], g.len())),
    )?;
    norm_of(&device, &chunks)
}

fn norm_of(device: &Device, chunks: &Chunks) -> Result<Buffer<f32>> {
    let mut parts = device.uninit::<f32>(chunks.count as usize)?;
    let kernel = manifest::norm_chunks {
        chunks: (&chunks.list).into(),
        parts: (&mut parts).into(),
    };
    // SAFETY: each chunk is a piece of a gradient; there is a part for each.
    unsafe { device.launch(&kernel, DType::F32, (chunks.count, 1, 1), 0) }?;
    let mut norm = device.uninit::<f32>(1)?;
    let kernel = manifest::norm_total {
        parts: (&parts).into(),
        norm: (&mut norm).into(),
        n: i64::from(chunks.count),
    };
    // SAFETY: so many parts, one norm.
    unsafe { device.launch(&kernel, DType::F32, (1, 1, 1), 0) }?;
    Ok(norm)
}

/// Scales all gradients so that their norm is at most `most`, and returns what it was; the host does not wait for it.
///
/// # Errors
/// As [`gradient_norm`].
pub fn clip_gradients(gradients: &mut [&mut Buffer<f32>], most: f32) -> Result<Buffer<f32>> {
    let op = "clip_gradients";
    let device = device_of(op, gradients.iter().map(|g| &**g))?
        .ok_or_else(|| Error::shape(op, "no gradients"))?;
    let chunks = Chunks::new(
        &device,
        gradients.iter().map(|g| ([0, g.address(), 0, 0], g.len())),
    )?;
    let norm = norm_of(&device, &chunks)?;
    let kernel = manifest::clip_chunks {
        chunks: (&chunks.list).into(),
        norm: (&norm).into(),
        most,
    };
    // SAFETY: each chunk is a piece of a gradient, all of which are borrowed exclusively.
    unsafe { device.launch(&kernel, DType::F32, (chunks.count, 1, 1), 0) }?;
    Ok(norm)
}
