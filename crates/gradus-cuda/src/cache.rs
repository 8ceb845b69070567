//! Compiled kernels on disk: a file for each (source, options, compiler, architecture), written once.
//!
//! What it is: a folder of cubins under the hash of everything they were made from, so an entry is never out of date and nothing is
//! ever invalidated. A file is written beside its place and renamed: another process sees the old state or the whole file.
//! `GRADUS_CUDA_CACHE` names the folder (`off` for none); otherwise it is `gradus/cubin` in the user's cache.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use crate::device::lock;

/// The user's cache folder, as the platforms define it.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let var = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    var("XDG_CACHE_HOME")
        .or_else(|| var("LOCALAPPDATA"))
        .or_else(|| var("HOME").map(|home| home.join(".cache")))
}

/// Who says where cubins are kept.
enum Kept {
    /// The environment.
    ByEnvironment,
    /// [`crate::compiler::keep_in`]: there, or nowhere.
    In(Option<PathBuf>),
}

static KEPT: Mutex<Kept> = Mutex::new(Kept::ByEnvironment);

/// Overrides the environment.
pub(crate) fn choose(folder: Option<PathBuf>) {
    *lock(&KEPT) = Kept::In(folder);
}

/// The folder cubins are kept in, if they are kept.
pub(crate) fn folder() -> Option<PathBuf> {
    if let Kept::In(folder) = &*lock(&KEPT) {
        return folder.clone();
    }
    match std::env::var_os("GRADUS_CUDA_CACHE") {
        Some(v) if v == "off" => None,
        Some(v) if !v.is_empty() => Some(PathBuf::from(v)),
        _ => user_cache().map(|c| c.join("gradus").join("cubin")),
    }
}

/// What a cubin is a function of, as a file name. Parts are kept apart by their lengths.
pub(crate) fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut name = String::new();
    for byte in &hash.finalize()[..16] {
        let _ = write!(name, "{byte:02x}");
    }
    name + ".cubin"
}

/// Every entry ends with the hash of what is before it, so a damaged file is compiled again and not run.
fn checksum(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// The entry, if it is there and whole.
pub(crate) fn read(folder: &Path, key: &str) -> Option<Vec<u8>> {
    let mut data = std::fs::read(folder.join(key)).ok()?;
    let body = data.len().checked_sub(32)?;
    let sum = data.split_off(body);
    (sum == checksum(&data)).then_some(data)
}

/// Writes an entry. A cache that cannot be written is no error: the next run compiles again.
pub(crate) fn write(folder: &Path, key: &str, cubin: &[u8]) {
    let temporary = folder.join(format!("{key}.{}.part", std::process::id()));
    let data = [cubin, &checksum(cubin)].concat();
    let done = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&temporary, data))
        .and_then(|()| std::fs::rename(&temporary, folder.join(key)));
    if done.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_and_a_damaged_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, name) = (folder.path().join("new"), key(&["a", "b"]));
        assert_eq!(read(&dir, &name), None);
        write(&dir, &name, b"cubin");
        assert_eq!(read(&dir, &name).as_deref(), Some(&b"cubin"[..]));
        let mut bytes = std::fs::read(dir.join(&name)).unwrap();
        bytes[2] ^= 1;
        std::fs::write(dir.join(&name), &bytes).unwrap();
        assert_eq!(read(&dir, &name), None);
        std::fs::write(dir.join(&name), b"short").unwrap();
        assert_eq!(read(&dir, &name), None);
        assert_eq!(
            std::fs::read_dir(&dir).unwrap().count(),
            1,
            "no part is left behind"
        );
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
    }
}
