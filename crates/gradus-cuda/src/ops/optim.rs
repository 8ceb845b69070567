//! A step of an optimiser over all parameters in one launch, and clipping of all gradients by their norm. PyTorch's formulas.

use crate::error::check_len;
use crate::manifest::{self, Ptr};
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
    /// The third: the largest of those so far, with which Adam is AMSGrad.
    pub third: Option<&'a mut Buffer<f32>>,
}

impl<'a> Step<'a> {
    /// A parameter and its gradient, without state.
    pub fn new(parameter: &'a mut Buffer<f32>, gradient: &'a Buffer<f32>) -> Self {
        Self {
            parameter,
            gradient,
            first: None,
            second: None,
            third: None,
        }
    }

    fn states(&self) -> [Option<&Buffer<f32>>; 3] {
        [
            self.first.as_deref(),
            self.second.as_deref(),
            self.third.as_deref(),
        ]
    }
}

/// The list of a step's pieces on the device, kept from one step to the next: where everything lies where it lay, nothing is uploaded.
#[derive(Debug, Default)]
pub struct Kept {
    bytes: Vec<u8>,
    list: Option<Buffer<u8>>,
    /// Of a step that was recorded into a graph: the numbers its replays read.
    numbers: Option<Buffer<f32>>,
}

/// What of an optimiser's options changes from step to step: the rate, and Adam's corrections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers([f32; 3]);

impl Kept {
    /// The numbers of the next replay of a step that was recorded with it ([`Device::capture`]): those in the recording are none.
    ///
    /// # Errors
    /// If no step was recorded; [`Error::Driver`].
    pub fn renumber(&mut self, numbers: impl Into<Numbers>) -> Result<()> {
        match &mut self.numbers {
            Some(there) => there.write(&numbers.into().0),
            None => Err(Error::shape("optim", "no step was recorded with this list")),
        }
    }

    /// In a capture, memory for the numbers of its replays; else none, and the launch's own count.
    fn numbers(&mut self, device: &Device) -> Result<Ptr> {
        if !device.is_capturing() {
            return Ok(Ptr::NULL);
        }
        self.numbers = None;
        Ok((&*self.numbers.insert(device.uninit_outside(3)?)).into())
    }
}

impl From<Adam> for Numbers {
    fn from(o: Adam) -> Self {
        let (b1, b2) = o.betas;
        let step = o.step.max(1) as f64;
        Self([
            (o.lr / (1.0 - b1.powf(step))) as f32,
            (1.0 - b2.powf(step)).sqrt() as f32,
            if o.decoupled {
                (1.0 - o.lr * o.weight_decay) as f32
            } else {
                1.0
            },
        ])
    }
}

/// Of those whose rate alone changes.
macro_rules! rates {
    ($($options:ident),*) => {$(
        impl From<$options> for Numbers {
            fn from(o: $options) -> Self {
                Self([o.lr as f32, 0.0, 0.0])
            }
        }
    )*};
}
rates!(Sgd, RmsProp, Adagrad);

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

/// RMSprop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// The learning rate.
    pub lr: f64,
    /// The decay of the averages.
    pub alpha: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// The decay of the velocity; 0 for none.
    pub momentum: f64,
    /// Go up instead of down.
    pub maximize: bool,
}

/// Adagrad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// The learning rate of this step.
    pub lr: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Go up instead of down.
    pub maximize: bool,
}

/// Bytes of a `Chunk` of element.cuh: five addresses, a length, four bytes to fill up.
const CHUNK_BYTES: usize = 5 * 8 + 4 + 4;

/// The list of chunks on the device, and how many.
struct Chunks<'a> {
    list: &'a Buffer<u8>,
    count: u32,
    /// [`Kept::numbers`].
    numbers: Ptr,
}

impl<'a> Chunks<'a> {
    /// Cuts tensors, given by their addresses (0 for none) and lengths.
    fn new(
        device: &Device,
        tensors: impl Iterator<Item = ([u64; 5], usize)>,
        kept: &'a mut Kept,
    ) -> Result<Self> {
        let mut bytes = Vec::with_capacity(kept.bytes.len());
        for (addresses, len) in tensors {
            for start in (0..len).step_by(CHUNK) {
                for address in addresses {
                    let at = if address == 0 {
                        0
                    } else {
                        address + 4 * start as u64
                    };
                    bytes.extend(at.to_le_bytes());
                }
                let length = CHUNK.min(len - start) as u32;
                bytes.extend(length.to_le_bytes());
                bytes.extend([0; 4]);
            }
        }
        let count = (bytes.len() / CHUNK_BYTES) as u32;
        if device.is_capturing() {
            kept.list = None; // a list of the graph's own, uploaded by each replay
        }
        let numbers = kept.numbers(device)?;
        let here = kept.list.as_ref().is_some_and(|l| l.device() == device);
        if !here || bytes != kept.bytes {
            kept.list = Some(device.upload(&bytes)?);
            kept.bytes = bytes;
        }
        match &kept.list {
            Some(list) => Ok(Self {
                list,
                count,
                numbers,
            }),
            None => Err(Error::shape("optim", "the list is not there")),
        }
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

fn chunks_of<'a>(
    op: &'static str,
    steps: &[Step<'_>],
    states: usize,
    kept: &'a mut Kept,
) -> Result<Option<(Device, Chunks<'a>)>> {
    for step in steps {
        let len = step.parameter.len();
        check_len(op, "the gradient", step.gradient.len(), len)?;
        for (i, state) in step.states().into_iter().enumerate() {
            match state {
                Some(state) => check_len(op, "a state", state.len(), len)?,
                None if i < states => return Err(Error::shape(op, "a state is missing")),
                None => {}
            }
        }
    }
    let all = steps.iter().flat_map(|s| {
        let states = s.states().into_iter().flatten();
        [&*s.parameter, s.gradient].into_iter().chain(states)
    });
    let Some(device) = device_of(op, all)? else {
        return Ok(None);
    };
    let tensors = steps.iter().map(|s| {
        let [first, second, third] = s.states().map(|b| b.map_or(0, Buffer::address));
        let (parameter, gradient) = (s.parameter.address(), s.gradient.address());
        (
            [parameter, gradient, first, second, third],
            s.parameter.len(),
        )
    });
    let chunks = Chunks::new(&device, tensors, kept)?;
    Ok(Some((device, chunks)))
}

/// One step of Adam or AdamW over all of `steps`.
///
/// # Errors
/// If lengths or devices differ, or a state is missing.
pub fn adam(options: Adam, steps: &mut [Step<'_>], kept: &mut Kept) -> Result<()> {
    let Some((device, chunks)) = chunks_of("adam", steps, 2, kept)? else {
        return Ok(());
    };
    let (b1, b2) = options.betas;
    let Numbers([step_size, root_correction, shrink]) = options.into();
    let kernel = manifest::adam_chunks {
        chunks: chunks.list.into(),
        numbers: chunks.numbers,
        step_size,
        beta1: b1 as f32,
        beta2: b2 as f32,
        eps: options.eps as f32,
        root_correction,
        penalty: match options.decoupled {
            true => 0.0,
            false => options.weight_decay as f32,
        },
        shrink,
        maximize: i32::from(options.maximize),
    };
    // SAFETY: each chunk is a piece of equally long buffers; those written are borrowed exclusively by `steps`.
    unsafe { device.launch(&kernel, DType::F32, (chunks.count, 1, 1), 0) }
}

/// One step of SGD over all of `steps`; `first` is the velocity, needed with momentum.
///
/// # Errors
/// As [`adam`].
pub fn sgd(options: Sgd, steps: &mut [Step<'_>], kept: &mut Kept) -> Result<()> {
    let states = usize::from(options.momentum != 0.0);
    if states == 0 && steps.iter().any(|s| s.first.is_some()) {
        return Err(Error::shape("sgd", "a velocity without momentum"));
    }
    let Some((device, chunks)) = chunks_of("sgd", steps, states, kept)? else {
        return Ok(());
    };
    if options.first && states > 0 {
        let what = "the first step sets the velocity in place of following it";
        device.not_in_capture("sgd", what)?;
    }
    let kernel = manifest::sgd_chunks {
        chunks: chunks.list.into(),
        numbers: chunks.numbers,
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

/// One step of RMSprop over all of `steps`: `first` is the average of squares, `second` the velocity, needed with momentum, `third` the
/// average, if the variance is to be centred.
///
/// # Errors
/// As [`adam`].
pub fn rmsprop(options: RmsProp, steps: &mut [Step<'_>], kept: &mut Kept) -> Result<()> {
    let states = 1 + usize::from(options.momentum != 0.0);
    let Some((device, chunks)) = chunks_of("rmsprop", steps, states, kept)? else {
        return Ok(());
    };
    let kernel = manifest::rmsprop_chunks {
        chunks: chunks.list.into(),
        numbers: chunks.numbers,
        lr: options.lr as f32,
        alpha: options.alpha as f32,
        rest: (1.0 - options.alpha) as f32,
        eps: options.eps as f32,
        momentum: options.momentum as f32,
        penalty: options.weight_decay as f32,
        maximize: i32::from(options.maximize),
    };
    // SAFETY: as in `adam`.
    unsafe { device.launch(&kernel, DType::F32, (chunks.count, 1, 1), 0) }
}

/// One step of Adagrad over all of `steps`: `first` is the sum of squares.
///
/// # Errors
/// As [`adam`].
pub fn adagrad(options: Adagrad, steps: &mut [Step<'_>], kept: &mut Kept) -> Result<()> {
    let Some((device, chunks)) = chunks_of("adagrad", steps, 1, kept)? else {
        return Ok(());
    };
    let kernel = manifest::adagrad_chunks {
        chunks: chunks.list.into(),
        numbers: chunks.numbers,
        lr: options.lr as f32,
        eps: options.eps as f32,
        penalty: options.weight_decay as f32,
        maximize: i32::from(options.maximize),
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
    let mut kept = Kept::default();
    let all = gradients
        .iter()
        .map(|g| ([0, g.address(), 0, 0, 0], g.len()));
    let chunks = Chunks::new(&device, all, &mut kept)?;
    norm_of(&device, &chunks)
}

fn norm_of(device: &Device, chunks: &Chunks<'_>) -> Result<Buffer<f32>> {
    let mut parts = device.uninit::<f32>(chunks.count as usize)?;
    let kernel = manifest::norm_chunks {
        chunks: chunks.list.into(),
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
    let mut kept = Kept::default();
    let all = gradients
        .iter()
        .map(|g| ([0, g.address(), 0, 0, 0], g.len()));
    let chunks = Chunks::new(&device, all, &mut kept)?;
    let norm = norm_of(&device, &chunks)?;
    let kernel = manifest::clip_chunks {
        chunks: chunks.list.into(),
        norm: (&norm).into(),
        most,
    };
    // SAFETY: each chunk is a piece of a gradient, all of which are borrowed exclusively.
    unsafe { device.launch(&kernel, DType::F32, (chunks.count, 1, 1), 0) }?;
    Ok(norm)
}
