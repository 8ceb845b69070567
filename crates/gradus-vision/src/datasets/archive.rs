//! Files within files: a zip read at any place by any thread, and what is wanted of a `.tar.gz`, read once from front to back.
//!
//! Sizes that an archive claims are never trusted: what is unpacked is counted, and beyond a limit it is an error.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::{DeflateDecoder, GzDecoder};
use gradus_train::Result;
use gradus_train::error::{bad_file, file_error};
use rawzip::{
    CompressionMethod, FileReader, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipArchiveEntryWayfinder,
};

/// Bytes beyond which a file in an archive is refused.
pub(super) const MOST_FILE_BYTES: u64 = 256 << 20;

/// A zip, read at any place by any number of threads.
pub(super) struct Zip {
    archive: ZipArchive<FileReader>,
    entries: Vec<(String, ZipArchiveEntryWayfinder, CompressionMethod)>,
}

impl Zip {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| file_error("open", path, e))?;
        let bad = |e: rawzip::Error| bad_file(path, format!("not a zip of images: {e}"));
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_file(file, &mut buffer).map_err(bad)?;
        let mut entries = Vec::new();
        let mut headers = archive.entries(&mut buffer);
        while let Some(header) = headers.next_entry().map_err(bad)? {
            let name = String::from_utf8_lossy(header.file_path().as_ref()).into_owned();
            entries.push((name, header.wayfinder(), header.compression_method()));
        }
        Ok(Self { archive, entries })
    }

    /// The names of all entries, by their numbers; those of folders end in `/`.
    pub fn names(&self) -> Vec<String> {
        self.entries.iter().map(|(name, ..)| name.clone()).collect()
    }

    /// The bytes of an entry; the error is the reason.
    pub fn read(&self, index: usize) -> Result<Vec<u8>, String> {
        let (_, at, method) = self.entries.get(index).ok_or("no such entry")?;
        let entry = self.archive.get_entry(*at).map_err(|e| e.to_string())?;
        match *method {
            CompressionMethod::STORE => unpack(entry.verifying_reader(entry.reader())),
            CompressionMethod::DEFLATE => {
                unpack(entry.verifying_reader(DeflateDecoder::new(entry.reader())))
            }
            other => Err(format!(
                "packed by method {other}; stored and deflated files are read"
            )),
        }
    }
}

/// Everything a reader gives, if it is not too much.
fn unpack(source: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut limited = source.take(MOST_FILE_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(format!("more than {} MiB", MOST_FILE_BYTES >> 20));
    }
    Ok(bytes)
}

/// The files of a gzipped tar whose names (without folders) are wanted, in the archive's order.
///
/// Blocks of 512 bytes: a header with the name (100 bytes), the size in octal (at 124) and the kind (at 156), then the content.
pub(super) fn tar_gz(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Vec<u8>)>> {
    let file = File::open(path).map_err(|e| file_error("open", path, e))?;
    let mut tar = BufReader::new(GzDecoder::new(BufReader::new(file)));
    let bad = |problem: String| bad_file(path, problem);
    let mut files = Vec::new();
    loop {
        let mut header = [0u8; 512];
        match tar.read_exact(&mut header) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            other => other.map_err(|e| bad(format!("a damaged archive: {e}")))?,
        }
        if header == [0; 512] {
            break; // two empty blocks end it
        }
        let text = |range: std::ops::Range<usize>| {
            let field = header[range].split(|&b| b == 0).next().unwrap_or_default();
            String::from_utf8_lossy(field).trim().to_owned()
        };
        let name = text(0..100);
        let size = u64::from_str_radix(&text(124..136), 8)
            .map_err(|_| bad(format!("not a tar archive: {name:?} has no size")))?;
        let short = name.rsplit('/').next().unwrap_or_default().to_owned();
        let is_file = matches!(header[156], b'0' | 0);
        let padding = size.next_multiple_of(512) - size;
        if is_file && wanted(&short) {
            let content = unpack((&mut tar).take(size)).map_err(|e| bad(format!("{name}: {e}")))?;
            if content.len() as u64 != size {
                return Err(bad(format!("the archive ends within {name}")));
            }
            files.push((short, content));
            skip(&mut tar, padding).map_err(|e| bad(format!("{name}: {e}")))?;
        } else {
            let whole = size.saturating_add(padding);
            skip(&mut tar, whole).map_err(|e| bad(format!("{name}: {e}")))?;
        }
    }
    Ok(files)
}

fn skip(source: &mut impl Read, bytes: u64) -> std::io::Result<()> {
    std::io::copy(&mut source.take(bytes), &mut std::io::sink()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn packed(entries: &[(&str, &[u8])], lie: Option<&str>) -> tempfile::NamedTempFile {
        let mut tar = Vec::new();
        for (name, content) in entries {
            let mut header = [0u8; 512];
            header[..name.len()].copy_from_slice(name.as_bytes());
            let size = lie.map_or(format!("{:011o}", content.len()), str::to_owned);
            header[124..124 + size.len()].copy_from_slice(size.as_bytes());
            header[156] = b'0';
            tar.extend(header);
            tar.extend(*content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut gz = flate2::write::GzEncoder::new(&file, flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        gz.finish().unwrap();
        file
    }

    #[test]
    fn wanted_files_of_a_tar() {
        let entries: [(&str, &[u8]); 3] = [("d/a.bin", b"one"), ("d/x", &[7; 600]), ("b.bin", b"")];
        let file = packed(&entries, None);
        let found = tar_gz(file.path(), |name| name.ends_with(".bin")).unwrap();
        let want = [
            ("a.bin".to_owned(), b"one".to_vec()),
            ("b.bin".to_owned(), vec![]),
        ];
        assert_eq!(found, want);
        for lie in ["77777777777", "12x", "9"] {
            let file = packed(&entries[..1], Some(lie));
            let error = tar_gz(file.path(), |_| true).unwrap_err().to_string();
            assert!(error.contains("a.bin"), "{error}");
        }
        let plain = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(plain.path(), [1; 600]).unwrap();
        assert!(tar_gz(plain.path(), |_| true).is_err());
    }
}
