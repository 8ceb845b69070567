//! A region of interest, cut into bins: which rows and columns of the image each bin takes, with which weights.
//!
//! The mean over a bin is separable, for `roi_align` (samples between the elements) as for position-sensitive pooling
//! (whole elements): a bin's row weights times its column weights. Positions are worked out in f64, with torchvision's
//! conventions.

use crate::{Error, Result};

/// How a region's mean is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoiMode {
    /// Bilinear samples: torchvision's `roi_align`. `aligned` shifts by half an element and allows regions below one
    /// element; `sampling_ratio` is the number of samples of a bin along each axis, 0 for as many as it has elements.
    Align {
        /// Shifted by half an element.
        aligned: bool,
        /// Samples along each axis of a bin; 0 for as many as the bin is long.
        sampling_ratio: usize,
        /// Does each bin read a channel of its own (`ps_roi_align`)?
        position_sensitive: bool,
    },
    /// Whole elements, each bin from a channel of its own: torchvision's `ps_roi_pool`.
    PositionSensitivePool,
}

impl RoiMode {
    /// Does each bin read a channel of its own?
    pub fn is_position_sensitive(self) -> bool {
        match self {
            Self::Align {
                position_sensitive, ..
            } => position_sensitive,
            Self::PositionSensitivePool => true,
        }
    }
}

/// The most samples a bin may have along an axis.
const MAX_SAMPLES: usize = 1 << 12;

/// A region that reaches further from the image than this, in elements, has no samples (they could not be told apart).
const FAR: f64 = (1u64 << 40) as f64;

/// The options of the means over regions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiParams {
    /// How the mean is taken.
    pub mode: RoiMode,
    /// Bins, down and across.
    pub output_size: [usize; 2],
    /// Boxes are multiplied by this to get places in the image.
    pub spatial_scale: f64,
}

impl RoiParams {
    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        if !self.spatial_scale.is_finite() || self.spatial_scale <= 0.0 {
            let message = format!(
                "the spatial scale {} is not a positive number",
                self.spatial_scale
            );
            return Err(Error::shape(op, message));
        }
        match self.mode {
            RoiMode::Align { sampling_ratio, .. } if sampling_ratio > MAX_SAMPLES => {
                let message =
                    format!("a sampling ratio of {sampling_ratio} is above {MAX_SAMPLES}");
                Err(Error::shape(op, message))
            }
            _ => Ok(()),
        }
    }

    /// The row weights of a region from `start` to `end` along an axis of `size` elements, for each of `bins`.
    pub(super) fn bins(&self, [start, end]: [f64; 2], size: usize, bins: usize, out: &mut Bins) {
        out.clear();
        match self.mode {
            RoiMode::Align {
                aligned,
                sampling_ratio,
                position_sensitive,
            } => {
                let shift = if aligned || position_sensitive {
                    0.5
                } else {
                    0.0
                };
                let (start, end) = (
                    start * self.spatial_scale - shift,
                    end * self.spatial_scale - shift,
                );
                let mut length = end - start;
                if !aligned && !position_sensitive {
                    length = length.max(1.0);
                }
                let bin = length / bins as f64;
                let samples = if sampling_ratio > 0 {
                    sampling_ratio as f64
                } else {
                    bin.ceil().max(0.0)
                };
                for b in 0..bins {
                    let first = out.weights.len();
                    if samples >= 1.0 && start.abs() < FAR && length.abs() < FAR {
                        out.sample(start + b as f64 * bin, bin / samples, samples, size);
                    }
                    out.close(first);
                }
            }
            RoiMode::PositionSensitivePool => {
                let (start, end) = (
                    (start * self.spatial_scale).round(),
                    (end * self.spatial_scale).round(),
                );
                let bin = (end - start).max(1.0) / bins as f64;
                let last = size as f64 - 1.0; // not `size`: torchvision leaves out the last element
                for b in 0..bins {
                    let first = out.weights.len();
                    let low = ((b as f64 * bin).floor() + start).clamp(0.0, last);
                    let high = (((b + 1) as f64 * bin).ceil() + start).clamp(0.0, last);
                    out.low = low as usize;
                    if high > low {
                        out.weights
                            .resize(first + (high - low) as usize, 1.0 / (high - low));
                    }
                    out.close(first);
                }
            }
        }
    }
}

/// The weights of the bins of a region along one axis: of each the first element, and weights from there on.
#[derive(Default)]
pub(super) struct Bins {
    /// Of each bin its first element and where its weights are.
    of: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<f64>,
    low: usize,
}

impl Bins {
    fn clear(&mut self) {
        self.of.clear();
        self.weights.clear();
    }

    fn close(&mut self, first: usize) {
        self.of.push((self.low, first..self.weights.len()));
    }

    /// Bin `b`: its first element, and the weights from there on.
    pub(super) fn get(&self, b: usize) -> (usize, &[f64]) {
        let (low, range) = &self.of[b];
        (*low, &self.weights[range.clone()])
    }

    /// Adds up `samples` samples in the middles of steps of length `step` from `start` on, each shared by two elements, divided
    /// by their number. Those further than one element outside count as 0; only the others are visited.
    fn sample(&mut self, start: f64, step: f64, samples: f64, size: usize) {
        let (n, first) = (size as f64, self.weights.len());
        let (mut from, mut to) = (0.0, samples);
        if step > 0.0 {
            // One more on both sides, against rounding; each is looked at again below.
            from = ((-1.0 - start) / step - 1.5).floor().max(0.0);
            to = ((n - start) / step + 1.5).ceil().min(samples);
        }
        self.low = size;
        let mut i = from;
        while i < to {
            let x = start + (i + 0.5) * step;
            i += 1.0;
            if !(-1.0..=n).contains(&x) {
                continue;
            }
            let x = x.max(0.0);
            let (low, high, t) = if x >= n - 1.0 {
                (size - 1, size - 1, 0.0)
            } else {
                (x as usize, x as usize + 1, x.fract())
            };
            if self.low == size {
                self.low = low;
            }
            // Samples may come in falling order (a region turned around): make room in front.
            if low < self.low {
                let more = self.low - low;
                self.weights
                    .splice(first..first, std::iter::repeat_n(0.0, more));
                self.low = low;
            }
            let reach = first + high - self.low + 1;
            if self.weights.len() < reach {
                self.weights.resize(reach, 0.0);
            }
            self.weights[first + low - self.low] += (1.0 - t) / samples;
            self.weights[first + high - self.low] += t / samples;
        }
        if self.low == size {
            self.low = 0;
        }
    }
}
