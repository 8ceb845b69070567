//! An axis whose elements become sums of a few of its elements, and the largest of windows over volumes.

use super::{Dense, around, int};
use crate::error::check_len;
use crate::manifest;
use crate::view::{numel, same_device};
use crate::{Buffer, Error, FloatElement, Result, View};

/// What each element of the new axis is made of: elements of the old one, and how much of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taps {
    /// Elements of the old axis.
    inputs: usize,
    /// Row `o` has the taps from `starts[o]` to `starts[o + 1]`.
    starts: Vec<i32>,
    at: Vec<i32>,
    weights: Vec<f64>,
}

impl Taps {
    /// A table by rows: for each new element the old ones, with their weights.
    ///
    /// # Errors
    /// If an element lies outside of the axis, or there are too many.
    pub fn new<R: IntoIterator<Item = (usize, f64)>>(
        inputs: usize,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Self> {
        let op = "resample";
        int(op, inputs)?;
        let mut taps = Self {
            inputs,
            starts: vec![0],
            ..Self::default()
        };
        for row in rows {
            for (at, weight) in row {
                if at >= inputs {
                    return Err(Error::shape(
                        op,
                        format!("element {at} of an axis of {inputs}"),
                    ));
                }
                taps.at.push(at as i32);
                taps.weights.push(weight);
            }
            taps.starts.push(int(op, taps.at.len())?);
        }
        Ok(taps)
    }

    /// Elements of the new axis.
    pub fn outputs(&self) -> usize {
        self.starts.len() - 1
    }

    /// Elements of the old axis.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The table the other way round: that of the gradient.
    ///
    /// # Errors
    /// There is none.
    pub fn transposed(&self) -> Result<Self> {
        let mut rows = vec![Vec::new(); self.inputs];
        for o in 0..self.outputs() {
            for k in self.starts[o] as usize..self.starts[o + 1] as usize {
                rows[self.at[k] as usize].push((o, self.weights[k]));
            }
        }
        Self::new(self.outputs(), rows)
    }
}

/// `f32` or `f64`: a type that has sums.
pub trait Sum: FloatElement {
    /// A weight in the type.
    fn weight(x: f64) -> Self;
}

impl Sum for f32 {
    fn weight(x: f64) -> Self {
        x as f32
    }
}

impl Sum for f64 {
    fn weight(x: f64) -> Self {
        x
    }
}

/// y = `x` with an axis resampled, row-major.
///
/// # Errors
/// If the axis has not the inputs of the table, or lengths or devices do not fit.
///
/// ```
/// # use gradus_cuda::{Device, ops::resample::{Taps, along}};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.upload(&[1.0f32, 3.0])?;
/// let taps = Taps::new(2, [vec![(0, 1.0)], vec![(0, 0.5), (1, 0.5)], vec![(1, 1.0)]])?;
/// let mut y = device.uninit(3)?;
/// along(&x.view(&[2])?, 0, &taps, &mut y)?;
/// assert_eq!(y.download()?, [1.0, 2.0, 3.0]);
/// # Ok(())
/// # }
/// ```
pub fn along<T: Sum>(x: &View<'_, T>, axis: usize, taps: &Taps, y: &mut Buffer<T>) -> Result<()> {
    let op = "resample";
    let (outer, n, inner) = around(op, x.shape(), axis)?;
    if n != taps.inputs {
        let message = format!(
            "axis {axis} of shape {:?} has not {}",
            x.shape(),
            taps.inputs
        );
        return Err(Error::shape(op, message));
    }
    let outputs = taps.outputs();
    check_len(
        op,
        "the output",
        y.len(),
        numel(op, &[outer, outputs, inner])?,
    )?;
    same_device(op, x.buffer(), y)?;
    if y.is_empty() {
        return Ok(());
    }
    let (x, device) = (Dense::new(x)?, y.device().clone());
    let weights: Vec<T> = taps.weights.iter().map(|&w| T::weight(w)).collect();
    let (starts, at) = (device.upload(&taps.starts)?, device.upload(&taps.at)?);
    let weights = device.upload(&weights)?;
    let kernel = manifest::resample {
        x: x.ptr(),
        starts: (&starts).into(),
        at: (&at).into(),
        weights: (&weights).into(),
        y: y.into(),
        outer: outer as i64,
        inputs: n as i32,
        outputs: outputs as i32,
        inner: inner as i64,
    };
    let blocks = device.blocks(y.len(), 256);
    // SAFETY: x is (outer, n, inner), y (outer, outputs, inner) and borrowed exclusively; the table's places are within (`Taps::new`).
    unsafe { device.launch(&kernel, T::DTYPE, (blocks, 1, 1), 0) }
}

/// Windows over volumes, by axis; [`adaptive`](Self::adaptive) ones are as even as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Sizes of the result.
    pub output: [usize; 3],
    /// The size of a window.
    pub kernel: [usize; 3],
    /// Steps between windows.
    pub stride: [usize; 3],
    /// Elements that are not there, on both sides.
    pub padding: [usize; 3],
    /// Steps between a window's elements.
    pub dilation: [usize; 3],
    /// Windows that divide the input; only `output` counts then.
    pub adaptive: bool,
}

impl Windows {
    /// Windows that divide the input into `output`.
    pub fn adaptive(output: [usize; 3]) -> Self {
        Self {
            output,
            kernel: [1; 3],
            stride: [1; 3],
            padding: [0; 3],
            dilation: [1; 3],
            adaptive: true,
        }
    }
}

/// The largest of each window of `x` (…, D, H, W), and its row-major place in its volume. NaN is the largest, and of several the last
/// counts; of equals the first.
///
/// # Errors
/// If there are fewer than three dimensions, or lengths or devices do not fit.
pub fn max_pool_volume<T: FloatElement>(
    x: &View<'_, T>,
    windows: &Windows,
    y: &mut Buffer<T>,
    indices: &mut Buffer<i64>,
) -> Result<()> {
    let op = "max_pool";
    let Some((front, &[d, h, w])) = x.shape().split_last_chunk::<3>() else {
        return Err(Error::shape(op, format!("input {:?}", x.shape())));
    };
    let planes = numel(op, front)?;
    let whole = numel(op, &[planes, windows.output.iter().product()])?;
    check_len(op, "the output", y.len(), whole)?;
    check_len(op, "the indices", indices.len(), whole)?;
    same_device(op, x.buffer(), y)?;
    same_device(op, x.buffer(), indices)?;
    let all = |sizes: [usize; 3]| -> Result<[i32; 3]> {
        Ok([int(op, sizes[0])?, int(op, sizes[1])?, int(op, sizes[2])?])
    };
    let g = manifest::Volume {
        planes: int(op, planes)?,
        input: all([d, h, w])?,
        output: all(windows.output)?,
        kernel: all(windows.kernel)?,
        stride: all(windows.stride)?,
        padding: all(windows.padding)?,
        dilation: all(windows.dilation.map(|d| d.max(1)))?,
        adaptive: i32::from(windows.adaptive),
    };
    let (x, device) = (Dense::new(x)?, y.device().clone());
    let kernel = manifest::max_pool_volume {
        x: x.ptr(),
        y: y.into(),
        indices: indices.into(),
        g,
    };
    // SAFETY: x and the outputs have the sizes of the geometry; the kernel keeps windows within; outputs are borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(whole, 256), 1, 1), 0) }
}
