//! TensorBoard event files, by hand: scalars only.
//!
//! A file is a sequence of records (`TFRecord`): length, its checksum, data, its checksum; the checksum is CRC-32C (Castagnoli),
//! rotated and offset ("masked"). The data is an `Event` in protobuf's wire format: wall time (field 1, double), step (2, varint),
//! then a file version (3), a summary (5) of `tag` (1) and `simple_value` (2), or a session log (7).
//! Formats: `tensorflow/core/util/event.proto` and `summary.proto`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Result, file_error};

/// Appends scalars to an event file that TensorBoard reads.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let mut board = gradus_train::tensorboard::EventWriter::create(folder.path(), 0)?;
/// board.scalars(1, &[("loss/train", 0.25), ("lr", 1e-3)])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// A new file in `folder`, which is created when missing.
    ///
    /// A run that resumes passes its `first_step`: TensorBoard then forgets what an earlier file of the folder logged from there on.
    pub fn create(folder: impl AsRef<Path>, first_step: u64) -> Result<Self> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|e| file_error("create folder", folder, e))?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Nanoseconds and the process keep two runs within one second apart.
        let name = format!(
            "events.out.tfevents.{:010}.gradus.{}.{}",
            now.as_secs(),
            std::process::id(),
            now.subsec_nanos()
        );
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(|e| file_error("create", &path, e))?;
        let mut writer = Self { file, path };
        writer.event(0, |event| bytes_field(event, 3, b"brain.Event:2"))?;
        if first_step > 0 {
            const START: u64 = 1;
            writer.event(first_step, |event| {
                let mut log = Vec::new();
                varint_field(&mut log, 1, START);
                bytes_field(event, 7, &log);
            })?;
        }
        Ok(writer)
    }

    /// The file being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Logs values by name at a step.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        self.event(step, |event| {
            let mut summary = Vec::new();
            for (tag, value) in values {
                let mut entry = Vec::new();
                bytes_field(&mut entry, 1, tag.as_bytes());
                entry.push((2 << 3) | 5); // field 2, wire type 5: 4 bytes
                entry.extend((*value as f32).to_le_bytes());
                bytes_field(&mut summary, 1, &entry);
            }
            bytes_field(event, 5, &summary);
        })
    }

    fn event(&mut self, step: u64, what: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut event = vec![(1 << 3) | 1]; // field 1, wire type 1: 8 bytes
        event.extend(now.as_secs_f64().to_le_bytes());
        varint_field(&mut event, 2, step);
        what(&mut event);
        self.file
            .write_all(&record(&event))
            .map_err(|e| file_error("write", &self.path, e))
    }
}

/// One framed record: u64 length, u32 masked checksum of the length, data, u32 masked checksum of the data.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked(crc32c(&length)).to_le_bytes());
    out.extend(data);
    out.extend(masked(crc32c(data)).to_le_bytes());
    out
}

fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C, reflected polynomial 0x82f63b78, a bit at a time (events are small).
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= byte as u32;
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_field(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    varint(out, value);
}

fn bytes_field(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push((field << 3) | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_matches_the_published_vectors() {
        // RFC 3720, appendix B.4
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    #[test]
    fn the_first_record_is_tensorboards() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = EventWriter::create(folder.path(), 0).unwrap();
        board.scalars(300, &[("loss", 0.5)]).unwrap();
        let bytes = std::fs::read(board.path()).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let data = &bytes[12..12 + length];
        assert_eq!(data[0], 9); // wall_time: double
        assert_eq!(&data[9..11], [0x10, 0]); // step 0
        assert_eq!(&data[11..], b"\x1a\x0dbrain.Event:2");
        let second = &bytes[16 + length..];
        let length = u64::from_le_bytes(second[..8].try_into().unwrap()) as usize;
        let data = &second[12..12 + length];
        assert_eq!(&data[9..12], [0x10, 0xac, 0x02]); // step 300
        assert_eq!(
            &data[12..],
            b"\x2a\x0d\x0a\x0b\x0a\x04loss\x15\x00\x00\x00\x3f"
        );
        assert_eq!(second.len(), 16 + length);
        let sum = u32::from_le_bytes(second[12 + length..].try_into().unwrap());
        assert_eq!(sum, masked(crc32c(data)));
    }
}
