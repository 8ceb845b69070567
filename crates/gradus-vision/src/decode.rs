//! PNG and JPEG files to pixels: 8-bit red, green, blue and alpha, the right way up.
//!
//! Told apart by content, not by name. Photographs are turned as their camera asks (EXIF orientation). Sizes are checked before
//! memory is asked for.

use std::path::Path;

use gradus_train::Result;
use gradus_train::error::{bad_file, file_error};
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Width and height beyond which a picture is refused.
pub const MOST_PIXELS_A_SIDE: usize = 16_384;
/// Pixels beyond which a picture is refused (a 100-megapixel camera passes).
pub const MOST_PIXELS: usize = 120_000_000;

/// A decoded picture: four bytes (red, green, blue, alpha) a pixel, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgba {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// (H, W, 4).
    pub pixels: Vec<[u8; 4]>,
}

/// Reads a PNG or JPEG file.
pub fn read(path: impl AsRef<Path>) -> Result<Rgba> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| file_error("open", path, e))?;
    decode(&bytes).map_err(|problem| bad_file(path, problem))
}

/// Decodes a PNG or JPEG from memory; the error is the reason.
pub fn decode(bytes: &[u8]) -> Result<Rgba, String> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        png(bytes)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        jpeg(bytes)
    } else if bytes.is_empty() {
        Err("the file is empty".into())
    } else {
        Err("neither a PNG nor a JPEG image; convert it to PNG first".into())
    }
}

fn check_size(width: usize, height: usize) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err("the image has no pixels".into());
    }
    let too_long = width.max(height) > MOST_PIXELS_A_SIDE;
    if too_long || width.saturating_mul(height) > MOST_PIXELS {
        return Err(format!(
            "an image of {width}x{height} is too large; scale it down first"
        ));
    }
    Ok(())
}

fn png(bytes: &[u8]) -> Result<Rgba, String> {
    use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba as Color4};
    let bad = |e: png::DecodingError| format!("a damaged PNG image: {e}");
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(bad)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    check_size(width, height)?;
    let size = reader
        .output_buffer_size()
        .ok_or("the PNG image is too large")?;
    let mut data = vec![0; size];
    let info = reader.next_frame(&mut data).map_err(bad)?;
    data.truncate(info.buffer_size());
    let pixels: Vec<[u8; 4]> = match info.color_type {
        Grayscale => data.iter().map(|&g| [g, g, g, 255]).collect(),
        GrayscaleAlpha => data
            .chunks_exact(2)
            .map(|p| [p[0], p[0], p[0], p[1]])
            .collect(),
        Rgb => data
            .chunks_exact(3)
            .map(|p| [p[0], p[1], p[2], 255])
            .collect(),
        Color4 => data
            .chunks_exact(4)
            .map(|p| [p[0], p[1], p[2], p[3]])
            .collect(),
        Indexed => return Err("a PNG image whose palette is missing".into()),
    };
    if pixels.len() != width * height {
        return Err("a damaged PNG image: pixels are missing".into());
    }
    Ok(Rgba {
        height,
        width,
        pixels,
    })
}

fn jpeg(bytes: &[u8]) -> Result<Rgba, String> {
    let bad = |e: zune_jpeg::errors::DecodeErrors| format!("a damaged JPEG image: {e}");
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(MOST_PIXELS_A_SIDE)
        .set_max_height(MOST_PIXELS_A_SIDE);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(bad)?;
    let (width, height) = decoder.dimensions().ok_or("a JPEG image without a size")?;
    check_size(width, height)?;
    let data = decoder.decode().map_err(bad)?;
    let pixels: Vec<[u8; 4]> = match decoder.output_colorspace().map(|c| c.num_components()) {
        Some(1) => data.iter().map(|&g| [g, g, g, 255]).collect(),
        Some(3) => data
            .chunks_exact(3)
            .map(|p| [p[0], p[1], p[2], 255])
            .collect(),
        _ => return Err("a JPEG image of unknown colours; convert it to PNG first".into()),
    };
    if pixels.len() != width * height {
        return Err("a damaged JPEG image: pixels are missing".into());
    }
    let upright = decoder
        .exif()
        .map_or(1, |exif| orientation(exif).unwrap_or(1));
    Ok(turn(
        Rgba {
            height,
            width,
            pixels,
        },
        upright,
    ))
}

/// The orientation (1 to 8) from EXIF data: tag 0x0112 of the first directory of a TIFF header.
fn orientation(exif: &[u8]) -> Option<u16> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let b: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(b)
        } else {
            u16::from_be_bytes(b)
        })
    };
    let long = |at: usize| -> Option<usize> {
        let (a, b) = (short(at)? as usize, short(at + 2)? as usize);
        Some(if little { a | b << 16 } else { a << 16 | b })
    };
    let directory = long(4)?;
    let entries = short(directory)? as usize;
    (0..entries)
        .map(|i| directory + 2 + 12 * i)
        .find(|&at| short(at) == Some(0x0112))
        .and_then(|at| short(at + 8))
}

/// Turns a picture upright from an EXIF orientation.
fn turn(image: Rgba, orientation: u16) -> Rgba {
    let (h, w) = (image.height, image.width);
    // Where pixel (y, x) of the upright picture lies in the stored one.
    let source: fn(usize, usize, usize, usize) -> (usize, usize) = match orientation {
        2 => |y, x, _, w| (y, w - 1 - x),         // mirrored
        3 => |y, x, h, w| (h - 1 - y, w - 1 - x), // upside down
        4 => |y, x, h, _| (h - 1 - y, x),         // mirrored upside down
        5 => |y, x, _, _| (x, y),                 // transposed
        6 => |y, x, h, _| (h - 1 - x, y),         // to be turned 90° clockwise
        7 => |y, x, h, w| (h - 1 - x, w - 1 - y), // transposed along the other diagonal
        8 => |y, x, _, w| (x, w - 1 - y),         // to be turned 90° counter-clockwise
        _ => return image,
    };
    let (height, width) = if orientation >= 5 { (w, h) } else { (h, w) };
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for y in 0..height {
        for x in 0..width {
            let (sy, sx) = source(y, x, h, w);
            pixels.push(image.pixels[sy * w + sx]);
        }
    }
    Rgba {
        height,
        width,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_like_a_camera() {
        let pixels: Vec<[u8; 4]> = (0..6).map(|i| [i, 0, 0, 255]).collect();
        let image = Rgba {
            height: 2,
            width: 3,
            pixels,
        }; // 0 1 2 / 3 4 5
        let red = |o| -> Vec<u8> { turn(image.clone(), o).pixels.iter().map(|p| p[0]).collect() };
        assert_eq!(red(1), [0, 1, 2, 3, 4, 5]);
        assert_eq!(red(2), [2, 1, 0, 5, 4, 3]);
        assert_eq!(red(3), [5, 4, 3, 2, 1, 0]);
        assert_eq!(red(4), [3, 4, 5, 0, 1, 2]);
        assert_eq!(red(5), [0, 3, 1, 4, 2, 5]);
        assert_eq!(red(6), [3, 0, 4, 1, 5, 2]);
        assert_eq!(red(7), [5, 2, 4, 1, 3, 0]);
        assert_eq!(red(8), [2, 5, 1, 4, 0, 3]);
        let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        assert_eq!(orientation(exif), Some(6));
        for cut in 0..exif.len() {
            let _ = orientation(&exif[..cut]);
        }
    }

    #[test]
    fn every_kind_of_png() {
        use png::{BitDepth, ColorType};
        let encode = |color, depth, palette: Option<Vec<u8>>, data: &[u8]| {
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
            encoder.set_color(color);
            encoder.set_depth(depth);
            if let Some(palette) = palette {
                encoder.set_palette(palette);
            }
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(data).unwrap();
            writer.finish().unwrap();
            bytes
        };
        let two = |bytes: &[u8]| decode(bytes).unwrap().pixels;
        let black_white = vec![[0, 0, 0, 255], [255, 255, 255, 255]];
        assert_eq!(
            two(&encode(
                ColorType::Grayscale,
                BitDepth::One,
                None,
                &[0b0100_0000]
            )),
            black_white
        );
        assert_eq!(
            two(&encode(
                ColorType::Grayscale,
                BitDepth::Sixteen,
                None,
                &[0, 0, 255, 255]
            )),
            black_white
        );
        let palette = Some(vec![0, 0, 0, 255, 255, 255]);
        assert_eq!(
            two(&encode(
                ColorType::Indexed,
                BitDepth::Eight,
                palette,
                &[0, 1]
            )),
            black_white
        );
        let rgba = encode(
            ColorType::Rgba,
            BitDepth::Eight,
            None,
            &[1, 2, 3, 4, 5, 6, 7, 8],
        );
        assert_eq!(two(&rgba), [[1, 2, 3, 4], [5, 6, 7, 8]]);
        for cut in 0..rgba.len() - 12 {
            assert!(decode(&rgba[..cut]).is_err(), "cut at {cut}");
        }
        assert!(decode(b"GIF89a").unwrap_err().contains("convert it to PNG"));
    }
}
