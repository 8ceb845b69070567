//! Replacing a file as a whole or not at all.
//!
//! What it is: write a temporary file in the same directory, fsync it, rename it over the target, fsync the directory. After a crash at
//! any moment the target holds its old contents or all of the new ones. What it is not: a lock between writers (the
//! last rename wins, and each file is whole). The recipe is the one of SQLite's and LevelDB's authors; see also
//! T. Pillai et al., "All file systems are not created equal", OSDI 2014.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Replaces `path` by what `write` writes. On an error (of `write`, too) the old file stays as it was and the temporary is removed.
///
/// A process that is killed leaves its temporary behind (`.NAME.PID-N.tmp`); the next write of the same file removes it.
///
/// # Errors
/// The file cannot be written; the error names it.
pub fn atomic_write(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    replace(path, write)
        .map_err(|e| Error::io("save", format!("cannot write {}: {e}", path.display()), e))
}

fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("the path names no file"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    remove_leftovers(directory, &prefix);
    let (file, temporary) = create(directory, &prefix)?;
    let result = fill(&file, write).and_then(|()| {
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        fs::rename(&temporary, path)
    });
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
        return result;
    }
    // The rename itself must reach the disk. Only Unix opens directories; elsewhere the file system journals the rename.
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

fn fill(file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(&mut out)?;
    out.flush()?;
    file.sync_all()
}

/// A new file that no other process or thread uses, locked for as long as it is open.
fn create(directory: &Path, prefix: &str) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    for _ in 0..1000 {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = directory.join(format!("{prefix}{}-{n}.tmp", std::process::id()));
        let file = match File::options()
            .write(true)
            .create_new(true)
            .open(&temporary)
        {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e),
        };
        // The lock tells other writers that this is no leftover; a file system without locks has no cleaning either. Between creation and
        // lock another writer may have taken it for one: then it is gone, and the next name is tried.
        let _ = file.lock();
        if temporary.exists() {
            return Ok((file, temporary));
        }
    }
    Err(io::Error::other("cannot create a temporary file beside it"))
}

/// Removes temporaries of the same target whose writers are dead: nobody holds their lock.
fn remove_leftovers(directory: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some(middle) = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(".tmp"))
        else {
            continue;
        };
        if !middle.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            continue;
        }
        if let Ok(file) = File::options().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}
