//! IDX, the file format of MNIST: a tiny header and raw bytes, usually gzipped.
//!
//! Bytes 0 0, a type byte (8: unsigned bytes, the only type here), the number of dimensions, each dimension as a big-endian u32,
//! then the values in row-major order. The reader trusts nothing: the sizes in the header are checked against each other and
//! against what the file could hold before any memory is asked for, and a file too short or too long is an error.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use gradus_train::Result;
use gradus_train::error::{bad_file, file_error};

/// Unsigned bytes in up to four dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The size of each dimension.
    pub dims: Vec<usize>,
    /// The values, row-major; as many as the product of `dims`.
    pub data: Vec<u8>,
}

/// Deflate never packs better than 1032 to 1; a header that claims more than this of its file is lying.
const MOST_PACKED: u64 = 1040;
/// MNIST has 1 (labels) and 3 (images).
const MOST_DIMS: u8 = 4;

impl Idx {
    /// Reads an `.idx` or `.idx.gz` file (told apart by content, not by name).
    ///
    /// ```no_run
    /// let images = gradus_vision::idx::Idx::read("train-images-idx3-ubyte.gz")?;
    /// assert_eq!(images.dims, [60_000, 28, 28]);
    /// # Ok::<(), gradus_train::Error>(())
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| file_error("open", path, e))?;
        let size = file
            .metadata()
            .map_err(|e| file_error("open", path, e))?
            .len();
        Self::from_reader(BufReader::new(file), size).map_err(|problem| match problem {
            Problem::Io(e) => file_error("read", path, e),
            Problem::Format(text) => bad_file(path, text),
        })
    }

    /// The same from memory; `name` stands for the file in errors.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        Self::from_reader(bytes, bytes.len() as u64).map_err(|problem| match problem {
            Problem::Io(e) => file_error("read", name, e),
            Problem::Format(text) => bad_file(name, text),
        })
    }

    fn from_reader(mut reader: impl std::io::BufRead, size: u64) -> Result<Self, Problem> {
        let packed = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        if packed {
            Self::parse(
                MultiGzDecoder::new(reader),
                size.saturating_mul(MOST_PACKED),
            )
        } else {
            Self::parse(reader, size)
        }
    }

    /// Parses a stream that can hold at most `capacity` bytes.
    fn parse(mut stream: impl Read, capacity: u64) -> Result<Self, Problem> {
        let mut magic = [0u8; 4];
        fill(&mut stream, &mut magic, "its first four bytes")?;
        let [0, 0, kind, rank] = magic else {
            return Err(format!("not an IDX file: it starts with {magic:02x?}").into());
        };
        if kind != 8 {
            let name = match kind {
                0x09 => "signed bytes",
                0x0b => "16-bit integers",
                0x0c => "32-bit integers",
                0x0d => "32-bit floats",
                0x0e => "64-bit floats",
                _ => return Err(format!("not an IDX file: unknown type 0x{kind:02x}").into()),
            };
            return Err(format!("an IDX file of {name}; only unsigned bytes are read").into());
        }
        if rank == 0 || rank > MOST_DIMS {
            return Err(
                format!("an IDX file of {rank} dimensions; 1 to {MOST_DIMS} are read").into(),
            );
        }
        let mut dims = Vec::with_capacity(rank as usize);
        let mut total = Some(1u64);
        for _ in 0..rank {
            let mut dim = [0u8; 4];
            fill(&mut stream, &mut dim, "its dimensions")?;
            let dim = u32::from_be_bytes(dim);
            total = total.and_then(|t| t.checked_mul(dim as u64));
            dims.push(dim as usize);
        }
        let total = total
            .filter(|&t| t <= capacity && usize::try_from(t).is_ok())
            .ok_or_else(|| {
                format!("the header says {dims:?} values, more than the file can hold")
            })?;
        // The header passed, but memory still grows only with what really comes.
        let mut data = Vec::new();
        stream.by_ref().take(total).read_to_end(&mut data)?;
        if (data.len() as u64) < total {
            return Err(format!("cut short: {} of {total} values are there", data.len()).into());
        }
        if stream.read(&mut [0u8; 1])? != 0 {
            return Err(format!("more bytes than the {total} values the header says").into());
        }
        Ok(Self { dims, data })
    }
}

enum Problem {
    Io(std::io::Error),
    Format(String),
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            // What the decompressor says about bad gzip data.
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                Self::Format(format!("damaged gzip data: {error}"))
            }
            std::io::ErrorKind::UnexpectedEof => Self::Format("cut short".into()),
            _ => Self::Io(error),
        }
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Format(text)
    }
}

fn fill(stream: &mut impl Read, buffer: &mut [u8], what: &str) -> Result<(), Problem> {
    stream.read_exact(buffer).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Problem::Format(format!("not an IDX file: it ends within {what}"))
        }
        _ => e.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        bytes.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn problem(bytes: &[u8]) -> String {
        Idx::from_bytes(bytes, "x").unwrap_err().to_string()
    }

    #[test]
    fn reads_plain_and_gzip() {
        let plain = file(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let idx = Idx::from_bytes(&plain, "x").unwrap();
        assert_eq!(
            (idx.dims.as_slice(), idx.data[5]),
            ([2, 1, 3].as_slice(), 6)
        );
        assert_eq!(Idx::from_bytes(&gzip(&plain), "x").unwrap(), idx);
        assert!(
            Idx::from_bytes(&file(&[0, 28, 28], &[]), "x")
                .unwrap()
                .data
                .is_empty()
        );
    }

    #[test]
    fn hostile_files_are_errors() {
        assert!(problem(b"").contains("ends within"));
        assert!(problem(b"PK\x03\x04 zip").contains("not an IDX"));
        assert!(problem(&[0, 0, 0x0d, 1, 0, 0, 0, 0]).contains("32-bit floats"));
        assert!(problem(&[0, 0, 8, 0]).contains("0 dimensions"));
        assert!(problem(&[0, 0, 8, 200]).contains("200 dimensions"));
        assert!(problem(&file(&[u32::MAX; 4], &[])).contains("can hold"));
        assert!(problem(&file(&[u32::MAX, u32::MAX], &[])).contains("can hold"));
        assert!(problem(&gzip(&file(&[u32::MAX], &[]))).contains("can hold"));
        assert!(problem(&gzip(&file(&[9], &[1; 8]))).contains("8 of 9"));
        assert!(problem(&file(&[3], &[1; 4])).contains("more bytes"));
        let good = gzip(&file(&[1000], &[7; 1000]));
        for cut in 0..good.len() {
            assert!(Idx::from_bytes(&good[..cut], "x").is_err(), "cut at {cut}");
        }
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0x55;
            let _ = Idx::from_bytes(&bad, "x"); // an error or harmless (a flag or the time stamp), never a panic
        }
    }
}
