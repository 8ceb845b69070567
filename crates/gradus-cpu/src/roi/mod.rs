//! Pooling over regions of interest: torchvision's `roi_align`, `ps_roi_align`, `ps_roi_pool` and `roi_pool`.
//!
//! What it is: `x` (B, C, H, W), regions `rois` (K, 5) as (which sample, x1, y1, x2, y2), an output (K, C', PH, PW). The
//! three means are one kernel, linear in `x`: the weights of a bin's rows times those of its columns ([`RoiParams`]),
//! however many samples a bin has. Its gradient is added up by planes, region after region, so threads cannot change it.
//! What it is not: differentiable by the regions; torchvision's are not either.

mod region;
#[cfg(test)]
mod tests;

use gradus_simd::Float;

use region::Bins;
pub use region::{RoiMode, RoiParams};

use crate::conv::contiguous;
use crate::error::check_len;
use crate::parallel::{self, SharedMut};
use crate::{Error, Result, View};

/// Channels that one task of the gradient takes: the weights of a region are worked out once for all of them.
const CHANNELS: usize = 8;

/// Sizes of a call, and the regions.
struct Geometry {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    /// Bins, down and across.
    bins: [usize; 2],
    /// Of each region its sample, and where it starts and ends on each axis: x, then y.
    regions: Vec<(usize, [[f64; 2]; 2])>,
}

impl Geometry {
    fn new<T: Float>(
        op: &'static str,
        x_shape: &[usize],
        rois: &View<'_, T>,
        bins: [usize; 2],
    ) -> Result<Self> {
        let fail = |why: &str| {
            let message = format!(
                "input {x_shape:?}, regions {:?}, {bins:?} bins: {why}",
                rois.shape()
            );
            Err(Error::shape(op, message))
        };
        let (&[batch, channels, height, width], &[count, 5]) = (x_shape, rois.shape()) else {
            return fail(
                "the input is (B, C, H, W), the regions (K, 5): which sample, x1, y1, x2, y2",
            );
        };
        if bins.contains(&0) {
            return fail("an output size is 0");
        }
        crate::numel(op, x_shape)?;
        if count > 0 && (height == 0 || width == 0) {
            return fail("the input has an empty dimension");
        }
        let numbers = contiguous(rois);
        let mut regions = Vec::with_capacity(count);
        for r in numbers.chunks_exact(5) {
            let at: [f64; 5] = std::array::from_fn(|i| r[i].to_f64());
            let sample = at[0].trunc();
            if !(sample >= 0.0 && sample < batch as f64) {
                let (index, size) = (sample as i64, batch);
                return Err(Error::Index { op, index, size });
            }
            regions.push((sample as usize, [[at[1], at[3]], [at[2], at[4]]]));
        }
        Ok(Self {
            batch,
            channels,
            height,
            width,
            bins,
            regions,
        })
    }

    fn plane(&self) -> usize {
        self.height * self.width
    }

    fn pixels(&self) -> usize {
        self.bins[0].saturating_mul(self.bins[1])
    }

    /// Channels of the output: all, or one for every bin's own.
    fn outputs(&self, op: &'static str, position_sensitive: bool) -> Result<usize> {
        let (outputs, pixels) = (self.channels, self.pixels());
        let outputs = match position_sensitive {
            false => outputs,
            true if outputs.is_multiple_of(pixels) => outputs / pixels,
            true => {
                let message = format!("{outputs} channels are not a multiple of the {pixels} bins");
                return Err(Error::shape(op, message));
            }
        };
        crate::numel(
            op,
            &[self.regions.len(), outputs, self.bins[0], self.bins[1]],
        )?;
        Ok(outputs)
    }
}

impl RoiParams {
    /// The output's shape (K, C', PH, PW).
    ///
    /// # Errors
    /// If the shapes do not fit together, an output size is 0, the spatial scale is not a positive number, or the
    /// channels do not divide among the bins that read one each.
    pub fn output_shape(&self, x_shape: &[usize], rois: &[usize]) -> Result<[usize; 4]> {
        let op = "roi_align";
        self.check(op)?;
        let none = View::<f32>::contiguous(&[], &[0, 5])?;
        let (&[_, channels, ..], &[count, 5]) = (x_shape, rois) else {
            let message = format!(
                "the input {x_shape:?} is not (B, C, H, W) or the regions {rois:?} not (K, 5)"
            );
            return Err(Error::shape(op, message));
        };
        let g = Geometry::new(op, x_shape, &none, self.output_size)?;
        let outputs = g.outputs(op, self.mode.is_position_sensitive())?;
        debug_assert!(outputs <= channels);
        let shape = [count, outputs, self.output_size[0], self.output_size[1]];
        crate::numel(op, &shape)?;
        Ok(shape)
    }
}

/// The mean over each bin of each region: `x` (B, C, H, W), `rois` (K, 5), `y` (K, C', PH, PW) row-major.
///
/// # Errors
/// As [`RoiParams::output_shape`]; if a region names no sample of the batch, or `y` has another size.
#[inline(never)]
pub fn roi_mean<T: Float>(
    x: View<'_, T>,
    rois: View<'_, T>,
    params: &RoiParams,
    y: &mut [T],
) -> Result<()> {
    let op = "roi_align";
    params.check(op)?;
    let g = Geometry::new(op, x.shape(), &rois, params.output_size)?;
    let sensitive = params.mode.is_position_sensitive();
    let outputs = g.outputs(op, sensitive)?;
    let (pixels, plane) = (g.pixels(), g.plane());
    check_len(
        op,
        "the output",
        y.len(),
        g.regions.len() * outputs * pixels,
    )?;
    if y.is_empty() {
        return Ok(());
    }
    let x = contiguous(&x);
    parallel::for_each_chunk_mut(y, outputs * pixels, |k, y| {
        let (sample, [across, down]) = g.regions[k];
        let (mut rows, mut cols) = (Bins::default(), Bins::default());
        params.bins(down, g.height, g.bins[0], &mut rows);
        params.bins(across, g.width, g.bins[1], &mut cols);
        for (i, y) in y.iter_mut().enumerate() {
            let (c, bin) = (i / pixels, i % pixels);
            let channel = if sensitive { i } else { c };
            let x = &x[(sample * g.channels + channel) * plane..][..plane];
            let (top, down) = rows.get(bin / g.bins[1]);
            let (left, across) = cols.get(bin % g.bins[1]);
            let mut sum = 0.0;
            for (r, &v) in down.iter().enumerate() {
                let row = &x[(top + r) * g.width + left..][..across.len()];
                let line: f64 = row.iter().zip(across).map(|(x, &w)| x.to_f64() * w).sum();
                sum += v * line;
            }
            *y = T::from_f64(sum);
        }
    });
    Ok(())
}

/// The gradient of [`roi_mean`]'s input: `dx`, row-major in `x_shape`, from `dy` (K, C', PH, PW).
///
/// # Errors
/// As [`roi_mean`].
#[inline(never)]
pub fn roi_mean_backward<T: Float>(
    dy: View<'_, T>,
    rois: View<'_, T>,
    params: &RoiParams,
    x_shape: &[usize],
    dx: &mut [T],
) -> Result<()> {
    let op = "roi_align_backward";
    params.check(op)?;
    let g = Geometry::new(op, x_shape, &rois, params.output_size)?;
    let sensitive = params.mode.is_position_sensitive();
    let outputs = g.outputs(op, sensitive)?;
    let (pixels, plane) = (g.pixels(), g.plane());
    check_len(
        op,
        "the output's gradient",
        dy.len(),
        g.regions.len() * outputs * pixels,
    )?;
    check_len(op, "the gradient", dx.len(), crate::numel(op, x_shape)?)?;
    if dx.is_empty() {
        return Ok(());
    }
    let dy = contiguous(&dy);
    let groups = g.channels.div_ceil(CHANNELS);
    let dx = SharedMut::new(dx);
    parallel::for_each(g.batch * groups, &|task| {
        let (b, first) = (task / groups, task % groups * CHANNELS);
        let channels = first..g.channels.min(first + CHANNELS);
        let line = b * g.channels + first;
        // SAFETY: every task has channels of its own.
        let dx = unsafe { dx.slice(line * plane..(line + channels.len()) * plane) };
        dx.fill(T::ZERO);
        let (mut rows, mut cols) = (Bins::default(), Bins::default());
        for (k, &(sample, [across, down])) in g.regions.iter().enumerate() {
            if sample != b {
                continue;
            }
            params.bins(down, g.height, g.bins[0], &mut rows);
            params.bins(across, g.width, g.bins[1], &mut cols);
            let dy = &dy[k * outputs * pixels..][..outputs * pixels];
            for (channel, dx) in channels.clone().zip(dx.chunks_exact_mut(plane)) {
                // The outputs that read this channel: those of all bins, or of one.
                let read = if sensitive {
                    channel..channel + 1
                } else {
                    channel * pixels..(channel + 1) * pixels
                };
                for i in read {
                    let bin = i % pixels;
                    let (top, down) = rows.get(bin / g.bins[1]);
                    let (left, across) = cols.get(bin % g.bins[1]);
                    for (r, &v) in down.iter().enumerate() {
                        let g_row = dy[i].to_f64() * v;
                        let row = &mut dx[(top + r) * g.width + left..][..across.len()];
                        for (x, &w) in row.iter_mut().zip(across) {
                            *x += T::from_f64(g_row * w);
                        }
                    }
                }
            }
        }
    });
    Ok(())
}

/// The largest element of each bin of each region, whole elements (torchvision's `roi_pool`): `y` (K, C, PH, PW), and
/// in `at` where in `x` it is, row-major; −1 and the value 0 for a bin without elements. NaN is larger than everything.
///
/// # Errors
/// As [`roi_mean`]; if `at` has another size.
#[inline(never)]
pub fn roi_max<T: Float>(
    x: View<'_, T>,
    rois: View<'_, T>,
    output_size: [usize; 2],
    spatial_scale: f64,
    y: &mut [T],
    at: &mut [i64],
) -> Result<()> {
    let op = "roi_pool";
    let params = RoiParams {
        mode: RoiMode::PositionSensitivePool,
        output_size,
        spatial_scale,
    };
    params.check(op)?;
    let g = Geometry::new(op, x.shape(), &rois, output_size)?;
    let (outputs, pixels, plane) = (g.outputs(op, false)?, g.pixels(), g.plane());
    check_len(
        op,
        "the output",
        y.len(),
        g.regions.len() * outputs * pixels,
    )?;
    check_len(op, "the positions", at.len(), y.len())?;
    if y.is_empty() {
        return Ok(());
    }
    let x = contiguous(&x);
    let y = SharedMut::new(y);
    let each = outputs * pixels;
    parallel::for_each_chunk_mut(at, each, |k, at| {
        // SAFETY: every region has outputs of its own.
        let y = unsafe { y.slice(k * each..(k + 1) * each) };
        let (sample, [across, down]) = g.regions[k];
        // The elements of bin `b` of an axis.
        let range = |[start, end]: [f64; 2], b: usize, bins: usize, size: usize| {
            let (start, end) = (
                (start * spatial_scale).round(),
                (end * spatial_scale).round(),
            );
            let bin = (end - start + 1.0).max(1.0) / bins as f64;
            let low = ((b as f64 * bin).floor() + start).clamp(0.0, size as f64);
            let high = (((b + 1) as f64 * bin).ceil() + start).clamp(0.0, size as f64);
            low as usize..high as usize
        };
        for i in 0..each {
            let (c, bin) = (i / pixels, i % pixels);
            let first = (sample * g.channels + c) * plane;
            let cols = range(across, bin % g.bins[1], g.bins[1], g.width);
            let mut best: Option<usize> = None;
            for r in range(down, bin / g.bins[1], g.bins[0], g.height) {
                for c in cols.clone() {
                    let j = first + r * g.width + c;
                    if best.is_none_or(|b| x[j] > x[b] || (x[j].is_nan() && !x[b].is_nan())) {
                        best = Some(j);
                    }
                }
            }
            (y[i], at[i]) = best.map_or((T::ZERO, -1), |j| (x[j], j as i64));
        }
    });
    Ok(())
}
