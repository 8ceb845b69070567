//! Numbers to colours, and colours over a picture.
//!
//! Two scales, both even to the eye: equal steps of the number are equal steps of lightness in OKLab (Ottosson 2020), so nothing stands
//! out that is not there, and in print or to eyes that see no colours the order is still right. [`heat`] runs from nearly black over
//! violet and orange to pale yellow; [`balance`] from blue (against) over white to red (for).

use std::sync::LazyLock;

use gradus_tensor::{DType, Error, Result, Tensor};

use crate::decode::Rgba;

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// The colour of a number from 0 to 1; what is beyond is cut, NaN is 0.
///
/// ```
/// use gradus_vision::explain::paint::heat;
/// let [dark, light] = [heat(0.0), heat(1.0)].map(|c| c.map(u32::from).iter().sum::<u32>());
/// assert!(dark < 100 && light > 600);
/// ```
pub fn heat(value: f32) -> Rgb {
    static COLOURS: LazyLock<Vec<Rgb>> = LazyLock::new(|| {
        let at = |i: u16| f32::from(i) / 255.0;
        (0..256)
            .map(|i| oklch(0.13 + 0.83 * at(i), 0.21, 295.0 + 170.0 * at(i)))
            .collect()
    });
    COLOURS[(value.clamp(0.0, 1.0) * 255.0).round() as usize]
}

/// The colour of a number from -1 (against) to 1 (for); what is beyond is cut, NaN is 0.
///
/// ```
/// use gradus_vision::explain::paint::balance;
/// let ([r, _, b], [_, _, blue]) = (balance(1.0), balance(-1.0));
/// assert!(r > b && blue > b && balance(0.0).iter().all(|&c| c > 235));
/// ```
pub fn balance(value: f32) -> Rgb {
    static COLOURS: LazyLock<Vec<Rgb>> = LazyLock::new(|| {
        let at = |i: i16| f32::from(i) / 127.0;
        (-127..=127)
            .map(|i| {
                let hue = if i > 0 { 27.0 } else { 257.0 };
                oklch(0.97 - 0.45 * at(i).abs(), 0.25 * at(i).abs(), hue)
            })
            .collect()
    });
    let value = if value.is_nan() { 0.0 } else { value };
    COLOURS[(value.clamp(-1.0, 1.0) * 127.0 + 127.0).round() as usize]
}

/// A colour by lightness (0 to 1), chroma and hue (degrees); a chroma no screen has is lowered to the largest one it has.
fn oklch(lightness: f32, chroma: f32, hue: f32) -> Rgb {
    let (mut low, mut high) = (0.0, chroma);
    if linear(lightness, chroma, hue).is_some() {
        low = chroma;
    }
    while high - low > 1e-4 {
        let middle = (low + high) / 2.0;
        match linear(lightness, middle, hue) {
            Some(_) => low = middle,
            None => high = middle,
        }
    }
    let colour = linear(lightness, low, hue).unwrap_or([0.0; 3]);
    colour.map(|c| {
        let c = c.clamp(0.0, 1.0);
        let c = if c <= 0.003_130_8 {
            12.92 * c
        } else {
            1.055 * c.powf(1.0 / 2.4) - 0.055
        };
        (255.0 * c).round() as u8
    })
}

/// OKLab to linear red, green and blue, if all are from 0 to 1.
fn linear(lightness: f32, chroma: f32, hue: f32) -> Option<[f32; 3]> {
    let (sin, cos) = hue.to_radians().sin_cos();
    let (a, b) = (chroma * cos, chroma * sin);
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let rgb = [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_38 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ];
    rgb.iter()
        .all(|c| (-1e-4..=1.0001).contains(c))
        .then_some(rgb)
}

/// The values of a map (h, w), divided by their largest absolute value; all 0 if that is 0. With `share` below 1 by the value that this
/// share of them does not exceed, for maps in which a few pixels outshine the rest.
///
/// # Errors
/// When the map is not (h, w).
pub fn scaled(map: &Tensor, share: f64) -> Result<Tensor> {
    if map.rank() != 2 {
        return Err(Error::shape(
            "scaled",
            format!("the map is {}, not (h, w)", map.shape()),
        ));
    }
    let map = map.to_dtype(DType::F32)?;
    let mut sizes: Vec<f32> = map.abs()?.to_vec::<f32>()?;
    sizes.retain(|size| size.is_finite());
    sizes.sort_unstable_by(f32::total_cmp);
    let last = sizes.len().saturating_sub(1);
    let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
    match sizes.get(at).filter(|&&size| size > 0.0).or(sizes.last()) {
        Some(&size) if size > 0.0 => map.mul_scalar(1.0 / f64::from(size)),
        _ => map.mul_scalar(0.0),
    }
}

/// A picture from an image (C, H, W) of floats from 0 to 1, of one channel or three.
///
/// # Errors
/// When it is neither.
pub fn picture(image: &Tensor) -> Result<Rgba> {
    let (channels, height, width) = match *image.dims() {
        [c @ (1 | 3), h, w] => (c, h, w),
        _ => {
            let text = format!("{} is not (1, H, W) or (3, H, W)", image.shape());
            return Err(Error::shape("picture", text));
        }
    };
    let values = image.to_dtype(DType::F32)?.to_vec::<f32>()?;
    let byte = |v: f32| (255.0 * v).round().clamp(0.0, 255.0) as u8;
    let plane = height * width;
    let colour = |i: usize| {
        let [r, g, b] = [0, 1, 2].map(|c| byte(values[(c % channels) * plane + i]));
        [r, g, b, 255]
    };
    Ok(Rgba {
        height,
        width,
        pixels: (0..plane).map(colour).collect(),
    })
}

/// A map (h, w) in colours.
///
/// # Errors
/// When it is not (h, w).
pub fn colours(map: &Tensor, colour: fn(f32) -> Rgb) -> Result<Rgba> {
    let [height, width] = *map.dims() else {
        return Err(Error::shape(
            "colours",
            format!("the map is {}, not (h, w)", map.shape()),
        ));
    };
    let values = map.to_dtype(DType::F32)?.to_vec::<f32>()?;
    let opaque = |v: f32| {
        let [r, g, b] = colour(v);
        [r, g, b, 255]
    };
    Ok(Rgba {
        height,
        width,
        pixels: values.into_iter().map(opaque).collect(),
    })
}

/// The picture in grey with colours over it, the more of them the farther the map's value (of the same size) is from 0.
///
/// # Errors
/// When the sizes differ.
pub fn overlay(picture: &Rgba, map: &Tensor, colour: fn(f32) -> Rgb) -> Result<Rgba> {
    if map.dims() != [picture.height, picture.width] {
        let text = format!(
            "the map is {}, the picture [{}, {}]",
            map.shape(),
            picture.height,
            picture.width
        );
        return Err(Error::shape("overlay", text));
    }
    let values = map.to_dtype(DType::F32)?.to_vec::<f32>()?;
    let mixed = picture.pixels.iter().zip(values).map(|(pixel, value)| {
        let [r, g, b, _] = pixel.map(f32::from);
        let grey = 0.299 * r + 0.587 * g + 0.114 * b;
        let over = 0.25 + 0.6 * value.abs().min(1.0);
        let [r, g, b] = colour(value).map(|c| (grey + (f32::from(c) - grey) * over).round() as u8);
        [r, g, b, 255]
    });
    Ok(Rgba {
        height: picture.height,
        width: picture.width,
        pixels: mixed.collect(),
    })
}

/// Each pixel `times` times as high and wide.
pub fn enlarged(picture: &Rgba, times: usize) -> Rgba {
    let times = times.max(1);
    let mut pixels = Vec::with_capacity(picture.pixels.len() * times * times);
    for row in picture.pixels.chunks(picture.width.max(1)) {
        for _ in 0..times {
            pixels.extend(
                row.iter()
                    .flat_map(|&pixel| std::iter::repeat_n(pixel, times)),
            );
        }
    }
    Rgba {
        height: picture.height * times,
        width: picture.width * times,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OKLab's lightness of a colour.
    fn lightness(rgb: Rgb) -> f32 {
        let [r, g, b] = rgb.map(|c| {
            let c = f32::from(c) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        });
        let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s
    }

    #[test]
    fn equal_steps_are_equal_steps_of_lightness() {
        for i in 0..=255u8 {
            let t = f32::from(i) / 255.0;
            assert!(
                (lightness(heat(t)) - (0.13 + 0.83 * t)).abs() < 0.006,
                "{t}"
            );
            for sign in [-1.0, 1.0] {
                assert!(
                    (lightness(balance(sign * t)) - (0.97 - 0.45 * t)).abs() < 0.006,
                    "{t}"
                );
            }
        }
        assert_eq!(heat(f32::NAN), heat(0.0));
        assert_eq!(balance(f32::NAN), balance(0.0));
        assert_eq!(heat(7.0), heat(1.0));
    }

    #[test]
    fn maps_are_scaled_by_their_largest_or_by_a_share() {
        let map = Tensor::from_slice(&[0.0f32, -1.0, 2.0, 8.0], [2, 2]).unwrap();
        let of = |map: &Tensor, share| scaled(map, share).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(of(&map, 1.0), [0.0, -0.125, 0.25, 1.0]);
        assert_eq!(of(&map, 0.67), [0.0, -0.5, 1.0, 4.0]);
        assert_eq!(of(&map.mul_scalar(0.0).unwrap(), 1.0), [0.0; 4]);
        assert!(scaled(&map.unsqueeze(0).unwrap(), 1.0).is_err());
    }

    #[test]
    fn pictures_enlarge_and_take_colours_of_their_size() {
        let grey = Tensor::from_slice(&[0.0f32, 1.0], [1, 1, 2]).unwrap();
        let small = picture(&grey).unwrap();
        assert_eq!(small.pixels, [[0, 0, 0, 255], [255; 4]]);
        let large = enlarged(&small, 2);
        assert_eq!((large.height, large.width), (2, 4));
        assert_eq!(
            large.pixels[..4],
            [small.pixels[0], small.pixels[0], [255; 4], [255; 4]]
        );
        let map = Tensor::from_slice(&[0.0f32, 1.0], [1, 2]).unwrap();
        let over = overlay(&small, &map, balance).unwrap();
        assert!(over.pixels[1][0] > over.pixels[1][2], "{:?}", over.pixels);
        assert!(overlay(&small, &map.transpose(0, 1).unwrap(), heat).is_err());
        assert!(picture(&Tensor::zeros([2, 1, 1], DType::F32).unwrap()).is_err());
    }
}
