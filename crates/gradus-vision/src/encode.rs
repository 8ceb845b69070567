//! Pixels to PNG files, the counterpart of [`decode`](crate::decode).

use std::path::Path;

use gradus_train::Result;
use gradus_train::error::{bad_file, file_error};

use crate::decode::Rgba;

/// Writes a picture as a PNG file, without its transparency; the folder must be there.
///
/// ```
/// use gradus_vision::{decode, encode};
/// let folder = tempfile::tempdir().unwrap();
/// let picture = decode::Rgba { height: 1, width: 2, pixels: vec![[1, 2, 3, 255], [4, 5, 6, 255]] };
/// encode::write(&picture, folder.path().join("two.png"))?;
/// assert_eq!(decode::read(folder.path().join("two.png"))?, picture);
/// # Ok::<(), gradus_train::Error>(())
/// ```
///
/// # Errors
/// When the picture has no pixels or the file cannot be written; the message names it.
pub fn write(picture: &Rgba, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let bytes = png(picture).map_err(|problem| bad_file(path, problem))?;
    std::fs::write(path, bytes).map_err(|e| file_error("write", path, e))
}

/// The bytes of a PNG file; the error is the reason.
fn png(picture: &Rgba) -> Result<Vec<u8>, String> {
    let size = |n: usize| u32::try_from(n).map_err(|_| format!("{n} pixels a side are too many"));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size(picture.width)?, size(picture.height)?);
    encoder.set_color(png::ColorType::Rgb);
    let data: Vec<u8> = picture
        .pixels
        .iter()
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    let written = encoder
        .write_header()
        .and_then(|mut w| w.write_image_data(&data));
    written.map_err(|e| e.to_string())?;
    Ok(bytes)
}
