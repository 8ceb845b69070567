//! `Image`: one picture, the thing transforms work on.
//!
//! Channels first, like the tensors a network takes, and one of two kinds, as torchvision's: bytes (0 to 255, what files hold) or
//! floats (0 to 1). Transforms of bytes give Pillow's bytes; what only floats can say (normalising) makes floats of them first.
//! It is not a `Tensor`: a transform wants plain loops over pixels, and a batch is assembled from thousands of these.

use std::borrow::Cow;

use gradus_tensor::Tensor;
use gradus_train::Result;
use gradus_train::error::invalid;

use crate::transforms::functional::{Interpolation, resize};

/// A picture of bytes or floats, (C, H, W).
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    channels: usize,
    height: usize,
    width: usize,
    pixels: Pixels, // (C, H, W)
}

/// The values of an image.
#[derive(Clone, Debug, PartialEq)]
enum Pixels {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl Image {
    /// An image of floats, (C, H, W). Errors when their number is not `channels * height * width`.
    pub fn new(channels: usize, height: usize, width: usize, pixels: Vec<f32>) -> Result<Self> {
        check(channels, height, width, pixels.len())?;
        Ok(Self {
            channels,
            height,
            width,
            pixels: Pixels::Floats(pixels),
        })
    }

    /// An image of bytes, (C, H, W). Errors when their number is not `channels * height * width`.
    ///
    /// ```
    /// use gradus_vision::Image;
    /// let image = Image::from_bytes(1, 1, 2, vec![0, 255])?;
    /// assert_eq!(image.bytes(), Some(&[0, 255][..]));
    /// assert_eq!(image.pixels()[..], [0.0, 1.0]); // the same as floats
    /// # Ok::<(), gradus_train::Error>(())
    /// ```
    pub fn from_bytes(
        channels: usize,
        height: usize,
        width: usize,
        pixels: Vec<u8>,
    ) -> Result<Self> {
        check(channels, height, width, pixels.len())?;
        Ok(Self {
            channels,
            height,
            width,
            pixels: Pixels::Bytes(pixels),
        })
    }

    /// An image of one float. Errors when the size overflows.
    pub fn filled(channels: usize, height: usize, width: usize, value: f32) -> Result<Self> {
        let numel = numel(channels, height, width)?;
        Self::new(channels, height, width, vec![value; numel])
    }

    /// A grey image of floats from bytes, 0 to 255 becoming 0 to 1 (`to_tensor` of torchvision).
    pub fn from_gray8(height: usize, width: usize, bytes: &[u8]) -> Result<Self> {
        Self::new(1, height, width, floats_of(bytes))
    }

    /// The colours of a decoded picture as bytes (3, H, W), its transparency left out: what `convert("RGB")` of Pillow gives.
    ///
    /// ```
    /// use gradus_vision::{Image, decode::Rgba};
    /// let picture = Rgba { height: 1, width: 2, pixels: vec![[1, 2, 3, 255], [4, 5, 6, 0]] };
    /// assert_eq!(Image::from_rgba(&picture)?.bytes(), Some(&[1, 4, 2, 5, 3, 6][..]));
    /// # Ok::<(), gradus_train::Error>(())
    /// ```
    pub fn from_rgba(picture: &crate::decode::Rgba) -> Result<Self> {
        let mut pixels = Vec::with_capacity(3 * picture.pixels.len());
        for c in 0..3 {
            pixels.extend(picture.pixels.iter().map(|p| p[c]));
        }
        Self::from_bytes(3, picture.height, picture.width, pixels)
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

    /// The values as floats, (C, H, W); those of an image of bytes are computed.
    pub fn pixels(&self) -> Cow<'_, [f32]> {
        match &self.pixels {
            Pixels::Bytes(bytes) => Cow::Owned(floats_of(bytes)),
            Pixels::Floats(floats) => Cow::Borrowed(floats),
        }
    }

    /// The values as floats, for writing; an image of bytes becomes one of floats.
    pub fn pixels_mut(&mut self) -> &mut [f32] {
        if let Pixels::Bytes(bytes) = &self.pixels {
            self.pixels = Pixels::Floats(floats_of(bytes));
        }
        match &mut self.pixels {
            Pixels::Floats(floats) => floats,
            Pixels::Bytes(_) => &mut [],
        }
    }

    /// The values, (C, H, W), of an image of bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.pixels {
            Pixels::Bytes(bytes) => Some(bytes),
            Pixels::Floats(_) => None,
        }
    }

    /// The image as floats: bytes are divided by 255, floats stay (torchvision's `ToTensor`).
    pub fn into_floats(self) -> Self {
        let pixels = match self.pixels {
            Pixels::Bytes(bytes) => floats_of(&bytes),
            Pixels::Floats(floats) => floats,
        };
        Self {
            pixels: Pixels::Floats(pixels),
            ..self
        }
    }

    /// The image as bytes: floats are multiplied by 255, rounded, and cut at 0 and 255; bytes stay.
    pub fn into_bytes(self) -> Self {
        let pixels = match self.pixels {
            Pixels::Bytes(bytes) => bytes,
            Pixels::Floats(floats) => floats.into_iter().map(byte).collect(),
        };
        Self {
            pixels: Pixels::Bytes(pixels),
            ..self
        }
    }

    /// The values of the image as floats, (C, H, W), by value.
    pub fn into_pixels(self) -> Vec<f32> {
        match self.pixels {
            Pixels::Bytes(bytes) => floats_of(&bytes),
            Pixels::Floats(floats) => floats,
        }
    }

    /// One channel as floats, (H, W); empty when there is no such channel.
    pub fn channel(&self, c: usize) -> Cow<'_, [f32]> {
        let plane = self.height * self.width;
        let range = c.saturating_mul(plane)..c.saturating_add(1).saturating_mul(plane);
        match &self.pixels {
            Pixels::Bytes(bytes) => Cow::Owned(floats_of(bytes.get(range).unwrap_or(&[]))),
            Pixels::Floats(floats) => Cow::Borrowed(floats.get(range).unwrap_or(&[])),
        }
    }

    /// The value at (channel, row, column) as a float, or `fill` outside.
    pub fn at(&self, c: usize, y: isize, x: isize, fill: f32) -> f32 {
        let inside = c < self.channels
            && (0..self.height as isize).contains(&y)
            && (0..self.width as isize).contains(&x);
        if !inside {
            return fill;
        }
        let index = (c * self.height + y as usize) * self.width + x as usize;
        match &self.pixels {
            Pixels::Bytes(bytes) => f32::from(bytes[index]) / 255.0,
            Pixels::Floats(floats) => floats[index],
        }
    }

    /// The window of `height` x `width` whose corner is at (`top`, `left`); what lies outside the image is `fill` (0 to 1).
    pub fn window(
        &self,
        top: isize,
        left: isize,
        height: usize,
        width: usize,
        fill: f32,
    ) -> Result<Self> {
        numel(self.channels, height, width)?;
        let cut = Window {
            from: [self.channels, self.height, self.width],
            to: [height, width],
            corner: [top, left],
        };
        let pixels = match &self.pixels {
            Pixels::Bytes(bytes) => Pixels::Bytes(cut.of(bytes, byte(fill))),
            Pixels::Floats(floats) => Pixels::Floats(cut.of(floats, fill)),
        };
        Ok(Self {
            channels: self.channels,
            height,
            width,
            pixels,
        })
    }

    /// An image of the same channels whose pixel (y, x) is this one's pixel `source(y, x)`, which must be inside.
    pub(crate) fn rearranged(
        &self,
        height: usize,
        width: usize,
        source: impl Fn(usize, usize) -> (usize, usize),
    ) -> Self {
        fn gather<T: Copy>(from: &[T], plane: usize, places: &[usize]) -> Vec<T> {
            let planes = from.chunks_exact(plane.max(1));
            planes
                .flat_map(|p| places.iter().map(|&place| p[place]))
                .collect()
        }
        let mut places = Vec::with_capacity(height * width);
        for y in 0..height {
            places.extend((0..width).map(|x| {
                let (y, x) = source(y, x);
                y * self.width + x
            }));
        }
        let plane = self.height * self.width;
        let pixels = match &self.pixels {
            Pixels::Bytes(bytes) => Pixels::Bytes(gather(bytes, plane, &places)),
            Pixels::Floats(floats) => Pixels::Floats(gather(floats, plane, &places)),
        };
        Self {
            channels: self.channels,
            height,
            width,
            pixels,
        }
    }

    /// Scales to `height` x `width` bilinearly, averaging when shrinking (no aliasing), as torchvision's `resize(antialias=True)`.
    ///
    /// # Errors
    /// When one of the sizes is 0.
    pub fn resize(&self, height: usize, width: usize) -> Result<Self> {
        resize(self, height, width, Interpolation::Bilinear)
    }

    /// The image as a tensor of floats, f32 [C, H, W].
    pub fn to_tensor(&self) -> Result<Tensor> {
        let shape = [self.channels, self.height, self.width];
        Tensor::from_slice(&self.pixels(), shape)
    }
}

fn numel(channels: usize, height: usize, width: usize) -> Result<usize> {
    channels
        .checked_mul(height)
        .and_then(|n| n.checked_mul(width))
        .filter(|&n| n <= isize::MAX as usize / 4)
        .ok_or_else(|| {
            invalid(format!(
                "an image of [{channels}, {height}, {width}] is too large"
            ))
        })
}

fn check(channels: usize, height: usize, width: usize, values: usize) -> Result<()> {
    if numel(channels, height, width)? == values {
        return Ok(());
    }
    Err(invalid(format!(
        "an image of [{channels}, {height}, {width}] cannot have {values} values"
    )))
}

fn floats_of(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&b| f32::from(b) / 255.0).collect()
}

fn byte(value: f32) -> u8 {
    (value * 255.0).round() as u8 // saturates
}

/// A window on planes of pixels.
struct Window {
    from: [usize; 3], // channels, height, width
    to: [usize; 2],
    corner: [isize; 2],
}

impl Window {
    fn of<T: Copy>(&self, pixels: &[T], fill: T) -> Vec<T> {
        let ([channels, rows, columns], [height, width]) = (self.from, self.to);
        let [top, left] = self.corner;
        let mut out = vec![fill; channels * height * width];
        // The columns of the window that fall on the image.
        let first = left.saturating_neg().clamp(0, width as isize) as usize;
        let last = (columns as isize).saturating_sub(left);
        let last = last.clamp(first as isize, width as isize) as usize;
        if first == last {
            return out;
        }
        for c in 0..channels {
            for row in 0..height {
                let y = top.saturating_add(row as isize);
                if !(0..rows as isize).contains(&y) {
                    continue;
                }
                let from = (c * rows + y as usize) * columns + (left + first as isize) as usize;
                let to = (c * height + row) * width;
                out[to + first..to + last].copy_from_slice(&pixels[from..from + last - first]);
            }
        }
        out
    }
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
            image.window(0, 1, 2, 2, 9.0).unwrap().pixels()[..],
            [1., 2., 4., 5.]
        );
        assert_eq!(
            image.window(-1, -1, 2, 2, 9.0).unwrap().pixels()[..],
            [9., 9., 9., 0.]
        );
        assert_eq!(
            image.window(1, 2, 2, 2, 9.0).unwrap().pixels()[..],
            [5., 9., 9., 9.]
        );
        assert_eq!(
            image.window(0, 50, 1, 2, 9.0).unwrap().pixels()[..],
            [9., 9.]
        );
        assert_eq!(
            image.window(0, -50, 1, 2, 9.0).unwrap().pixels()[..],
            [9., 9.]
        );
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
