//! `Image`: one picture as floats, the thing transforms work on.
//!
//! Channels first, like the tensors a network takes: values in `0..=1`, `channels * height * width` of them. It is not a
//! `Tensor`: a transform wants plain loops over pixels, and a batch is assembled from thousands of these.

use gradus_tensor::Tensor;
use gradus_train::Result;
use gradus_train::error::invalid;

/// A picture of floats, (C, H, W).
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    channels: usize,
    height: usize,
    width: usize,
    pixels: Vec<f32>, // (C, H, W)
}

impl Image {
    /// An image from its values, (C, H, W). Errors when their number is not `channels * height * width`.
    pub fn new(channels: usize, height: usize, width: usize, pixels: Vec<f32>) -> Result<Self> {
        let numel = channels
            .checked_mul(height)
            .and_then(|n| n.checked_mul(width));
        if numel != Some(pixels.len()) {
            return Err(invalid(format!(
                "an image of [{channels}, {height}, {width}] cannot have {} values",
                pixels.len()
            )));
        }
        Ok(Self {
            channels,
            height,
            width,
            pixels,
        })
    }

    /// An image of one value. Errors when the size overflows.
    pub fn filled(channels: usize, height: usize, width: usize, value: f32) -> Result<Self> {
        let numel = channels
            .checked_mul(height)
            .and_then(|n| n.checked_mul(width))
            .filter(|&n| n <= isize::MAX as usize / 4)
            .ok_or_else(|| {
                invalid(format!(
                    "an image of [{channels}, {height}, {width}] is too large"
                ))
            })?;
        Ok(Self {
            channels,
            height,
            width,
            pixels: vec![value; numel],
        })
    }

    /// A grey image from bytes, 0 to 255 becoming 0 to 1 (`to_tensor` of torchvision).
    pub fn from_gray8(height: usize, width: usize, bytes: &[u8]) -> Result<Self> {
        let pixels = bytes.iter().map(|&b| b as f32 / 255.0).collect();
        Self::new(1, height, width, pixels)
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The values, (C, H, W).
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The values for writing.
    pub fn pixels_mut(&mut self) -> &mut [f32] {
        &mut self.pixels
    }

    /// One channel, (H, W); empty when there is no such channel.
    pub fn channel(&self, c: usize) -> &[f32] {
        let plane = self.height * self.width;
        self.pixels.get(c * plane..(c + 1) * plane).unwrap_or(&[])
    }

    /// The value at (channel, row, column), or `fill` outside.
    pub fn at(&self, c: usize, y: isize, x: isize, fill: f32) -> f32 {
        let inside = c < self.channels
            && (0..self.height as isize).contains(&y)
            && (0..self.width as isize).contains(&x);
        if inside {
            self.pixels[(c * self.height + y as usize) * self.width + x as usize]
        } else {
            fill
        }
    }

    /// The window of `height` x `width` whose corner is at (`top`, `left`); what lies outside the image is `fill`.
    pub fn window(
        &self,
        top: isize,
        left: isize,
        height: usize,
        width: usize,
        fill: f32,
    ) -> Result<Self> {
        let mut out = Self::filled(self.channels, height, width, fill)?;
        // The columns of the window that fall on the image.
        let first = (-left).clamp(0, width as isize) as usize;
        let last = (self.width as isize - left).clamp(first as isize, width as isize) as usize;
        for c in 0..self.channels {
            for row in 0..height {
                let y = top + row as isize;
                if !(0..self.height as isize).contains(&y) || first == last {
                    continue;
                }
                let from =
                    (c * self.height + y as usize) * self.width + (left + first as isize) as usize;
                let to = (c * height + row) * width;
                out.pixels[to + first..to + last]
                    .copy_from_slice(&self.pixels[from..from + last - first]);
            }
        }
        Ok(out)
    }

    /// Scales to `height` x `width` with a triangle filter as wide as the larger of the two pixels: bilinear when enlarging,
    /// averaging (no aliasing) when shrinking, like torchvision's `resize(antialias=True)`.
    pub fn resize(&self, height: usize, width: usize) -> Result<Self> {
        if self.pixels.is_empty() || height == 0 || width == 0 {
            return Err(invalid(format!(
                "cannot resize an image of {}x{} to {height}x{width}",
                self.height, self.width
            )));
        }
        let (rows, columns) = (weights(self.height, height), weights(self.width, width));
        let mut narrow = Self::filled(self.channels, self.height, width, 0.0)?; // columns first: (C, H, width)
        for line in 0..self.channels * self.height {
            let from = &self.pixels[line * self.width..][..self.width];
            let to = &mut narrow.pixels[line * width..][..width];
            for (value, (start, taps)) in to.iter_mut().zip(&columns) {
                *value = taps.iter().zip(&from[*start..]).map(|(w, x)| w * x).sum();
            }
        }
        let mut out = Self::filled(self.channels, height, width, 0.0)?;
        for c in 0..self.channels {
            for (row, (start, taps)) in rows.iter().enumerate() {
                let to = &mut out.pixels[(c * height + row) * width..][..width];
                for (tap, weight) in taps.iter().enumerate() {
                    let from = &narrow.pixels[(c * self.height + start + tap) * width..][..width];
                    for (y, x) in to.iter_mut().zip(from) {
                        *y += weight * x;
                    }
                }
            }
        }
        Ok(out)
    }

    /// The image as a tensor, f32 [C, H, W].
    pub fn to_tensor(&self) -> Result<Tensor> {
        let shape = [self.channels, self.height, self.width];
        Tensor::from_slice(&self.pixels, shape)
    }
}

/// For every output position the first input it reads and the weights from there on (they sum to 1).
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    let radius = scale.max(1.0);
    (0..to)
        .map(|i| {
            let center = (i as f64 + 0.5) * scale;
            let first = (center - radius + 0.5).floor().max(0.0) as usize;
            let last = ((center + radius + 0.5).floor() as usize).clamp(first + 1, from);
            let first = first.min(last - 1);
            let taps: Vec<f64> = (first..last)
                .map(|j| (1.0 - ((j as f64 + 0.5 - center) / radius).abs()).max(0.0))
                .collect();
            let sum: f64 = taps.iter().sum();
            if sum <= 0.0 {
                return (first, vec![1.0]);
            }
            (first, taps.iter().map(|w| (w / sum) as f32).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(height: usize, width: usize) -> Image {
        let pixels = (0..height * width).map(|i| i as f32).collect();
        Image::new(1, height, width, pixels).unwrap()
    }

    #[test]
    fn windows_reach_over_the_edge() {
        let image = ramp(2, 3);
        assert_eq!(
            image.window(0, 1, 2, 2, 9.0).unwrap().pixels(),
            [1., 2., 4., 5.]
        );
        assert_eq!(
            image.window(-1, -1, 2, 2, 9.0).unwrap().pixels(),
            [9., 9., 9., 0.]
        );
        assert_eq!(
            image.window(1, 2, 2, 2, 9.0).unwrap().pixels(),
            [5., 9., 9., 9.]
        );
        assert_eq!(image.window(0, 50, 1, 2, 9.0).unwrap().pixels(), [9., 9.]);
        assert_eq!(image.window(0, -50, 1, 2, 9.0).unwrap().pixels(), [9., 9.]);
    }

    #[test]
    fn resize_keeps_constants_and_averages() {
        let flat = Image::filled(3, 7, 5, 0.25).unwrap();
        for (h, w) in [(1, 1), (3, 9), (14, 2), (7, 5)] {
            let scaled = flat.resize(h, w).unwrap();
            assert!(scaled.pixels().iter().all(|&v| (v - 0.25).abs() < 1e-6));
        }
        let image = ramp(4, 6);
        assert_eq!(image.resize(4, 6).unwrap(), image);
        // torch.nn.functional.interpolate(arange(4.)…, size=(1, 2), mode="bilinear", antialias=True) of the row 0 1 2 3
        let half = ramp(1, 4).resize(1, 2).unwrap();
        assert!((half.pixels()[0] - 5.0 / 7.0).abs() < 1e-6, "{half:?}");
        assert!(image.resize(0, 3).is_err());
        assert!(Image::new(1, 2, 2, vec![0.0; 3]).is_err());
        assert!(Image::filled(usize::MAX, 2, 2, 0.0).is_err());
    }
}
