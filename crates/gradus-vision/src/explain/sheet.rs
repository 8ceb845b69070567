//! Sheets: many small pictures in rows. [`filters`] shows what a convolution looks for, [`maps`] what a layer makes of one picture.

use gradus_tensor::{DType, Error, Result, Tensor};

use super::grad_cam;
use super::paint::{self, balance, colours, enlarged, heat, scaled};
use crate::decode::Rgba;

/// Between tiles and around them.
const GAP: usize = 2;
const GROUND: [u8; 4] = [24, 24, 28, 255];
/// Tiles on a sheet at most: 16 rows of 16.
const MOST: usize = 256;
/// How wide a tile is at least, small ones being enlarged by a whole number.
const TILE: usize = 28;

/// Pictures of one size in rows of so many.
///
/// # Errors
/// When there is none, or their sizes differ.
pub fn sheet(tiles: &[Rgba], columns: usize) -> Result<Rgba> {
    let wrong = |text: &str| Error::value("sheet", text);
    let first = tiles.first().ok_or_else(|| wrong("no tiles"))?;
    let (height, width) = (first.height, first.width);
    if tiles.iter().any(|t| (t.height, t.width) != (height, width)) {
        return Err(wrong("tiles of different sizes"));
    }
    let columns = columns.clamp(1, tiles.len());
    let rows = tiles.len().div_ceil(columns);
    let full_width = columns * (width + GAP) + GAP;
    let full_height = rows * (height + GAP) + GAP;
    let mut pixels = vec![GROUND; full_width * full_height];
    for (i, tile) in tiles.iter().enumerate() {
        let (top, left) = (
            i / columns * (height + GAP) + GAP,
            i % columns * (width + GAP) + GAP,
        );
        for (y, row) in tile.pixels.chunks(width.max(1)).enumerate() {
            pixels[(top + y) * full_width + left..][..width].copy_from_slice(row);
        }
    }
    Ok(Rgba {
        height: full_height,
        width: full_width,
        pixels,
    })
}

/// The filters of a convolution's weight (O, I, kh, kw), each in a tile: of three input channels in colours, grey where a weight is 0;
/// else one tile for each input and output, blue where negative and red where positive. At most 256.
///
/// # Errors
/// When the weight is not of a two-dimensional convolution.
pub fn filters(weight: &Tensor) -> Result<Rgba> {
    let [outputs, inputs, _, kw] = *weight.dims() else {
        let text = format!("the weight is {}, not (O, I, kh, kw)", weight.shape());
        return Err(Error::shape("filters", text));
    };
    let times = TILE.div_ceil(kw.max(1));
    let weight = weight.to_dtype(DType::F32)?;
    let mut tiles = Vec::new();
    let mut columns = wide(outputs.min(MOST));
    if inputs == 3 {
        for o in 0..outputs.min(MOST) {
            let filter = weight.select(0, o as i64)?; // (3, kh, kw)
            let largest = f64::from(filter.abs()?.amax(.., false)?.item::<f32>()?);
            let scale = 0.5 / largest.max(f64::MIN_POSITIVE);
            tiles.push(paint::picture(&filter.mul_scalar(scale)?.add_scalar(0.5)?)?);
        }
    } else {
        let shown = inputs.min(16);
        columns = if shown == 1 { columns } else { shown };
        for o in 0..outputs.min(MOST / shown.max(1)) {
            for i in 0..shown {
                let filter = weight.select(0, o as i64)?.select(0, i as i64)?; // (kh, kw)
                tiles.push(colours(&scaled(&filter, 1.0)?, balance)?);
            }
        }
    }
    let tiles: Vec<Rgba> = tiles.iter().map(|tile| enlarged(tile, times)).collect();
    sheet(&tiles, columns)
}

/// What a layer put out for one picture, (1, C, h, w) or tokens (1, 1 + h w, C), each map in a tile with its own scale. At most 256.
///
/// # Errors
/// When the output has no maps.
pub fn maps(output: &Tensor) -> Result<Rgba> {
    let Some((_, width)) = grad_cam::places(output.dims()) else {
        let text = format!("{} are no maps (1, C, h, w)", output.shape());
        return Err(Error::shape("maps", text));
    };
    let maps = grad_cam::maps(output)?.to_dtype(DType::F32)?; // (C, h, w)
    let count = maps.dims()[0].min(MOST);
    let times = TILE.div_ceil(width);
    let tile = |c: usize| -> Result<Rgba> {
        let map = maps.select(0, c as i64)?; // (h, w)
        // From its smallest value to its largest.
        let low = f64::from(map.amin(.., false)?.item::<f32>()?);
        let map = scaled(&map.add_scalar(-low)?, 1.0)?;
        Ok(enlarged(&colours(&map, heat)?, times))
    };
    let tiles = (0..count).map(tile).collect::<Result<Vec<Rgba>>>()?;
    sheet(&tiles, wide(count))
}

/// Columns with which a sheet of so many tiles is twice as wide as high, as screens are.
fn wide(count: usize) -> usize {
    (2 * count).isqrt().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_lie_in_rows() {
        let tile = |v: u8| Rgba {
            height: 1,
            width: 2,
            pixels: vec![[v; 4]; 2],
        };
        let made = sheet(&[tile(1), tile(2), tile(3)], 2).unwrap();
        assert_eq!(
            (made.height, made.width),
            (2 * (1 + GAP) + GAP, 2 * (2 + GAP) + GAP)
        );
        let at = |y: usize, x: usize| made.pixels[y * made.width + x];
        assert_eq!((at(GAP, GAP), at(GAP, 2 * GAP + 2)), ([1; 4], [2; 4]));
        assert_eq!((at(2 * GAP + 1, GAP), at(0, 0)), ([3; 4], GROUND));
        assert_eq!(at(2 * GAP + 1, 2 * GAP + 2), GROUND);
        assert!(sheet(&[], 2).is_err());
        let other = Rgba {
            height: 2,
            width: 1,
            pixels: vec![[0; 4]; 2],
        };
        assert!(sheet(&[tile(1), other], 1).is_err());
    }

    #[test]
    fn filters_and_maps_of_every_shape() {
        let ramp = |shape: &[usize]| {
            let n: usize = shape.iter().product();
            Tensor::arange(0, n as i64, 1, DType::F32)
                .unwrap()
                .reshape(shape)
                .unwrap()
        };
        for shape in [[64, 3, 7, 7], [24, 1, 3, 3], [512, 300, 1, 1], [1, 1, 1, 1]] {
            let made = filters(&ramp(&shape)).unwrap();
            assert_eq!(made.pixels.len(), made.height * made.width);
            assert!(made.width < 1200 && made.height < 1200, "{shape:?}");
        }
        for shape in [&[1, 512, 7, 7][..], &[1, 16, 112, 100], &[1, 197, 768]] {
            let made = maps(&ramp(shape)).unwrap();
            assert_eq!(made.pixels.len(), made.height * made.width);
        }
        assert!(filters(&ramp(&[2, 3])).is_err());
        assert!(maps(&ramp(&[1, 10, 1, 1])).is_err());
        let nothing = maps(&Tensor::zeros([1, 1, 2, 2], DType::F32).unwrap()).unwrap();
        assert!(
            nothing
                .pixels
                .iter()
                .filter(|p| **p != GROUND)
                .all(|p| p[..3] == heat(0.0))
        );
    }
}
