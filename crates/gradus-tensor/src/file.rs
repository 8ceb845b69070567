//! A file's bytes, for the readers of weights: mapped into memory where that can be, else read.

use std::path::Path;

/// A file's contents.
pub(crate) enum Bytes {
    Owned(Vec<u8>),
    #[cfg(feature = "mmap")]
    Mapped(memmap2::Mmap),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            #[cfg(feature = "mmap")]
            Bytes::Mapped(map) => map,
        }
    }
}

/// A regular file's contents: mapped when it can be, else read.
pub(crate) fn read(path: &Path) -> std::io::Result<Bytes> {
    let file = std::fs::File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    #[cfg(feature = "mmap")]
    if meta.len() > 0 {
        // SAFETY: the map is read-only and private; a file changed underneath by another program is excluded in the module's
        // documentation, as for every program that maps files.
        if let Ok(map) = unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file) } {
            return Ok(Bytes::Mapped(map));
        }
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(meta.len()).unwrap_or(usize::MAX))?;
    std::io::Read::read_to_end(&mut &file, &mut bytes)?;
    Ok(Bytes::Owned(bytes))
}
