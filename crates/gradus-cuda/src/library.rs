//! Which shared libraries stand behind the crate: the driver (`libcuda`) and the run-time compiler (`libnvrtc`).
//!
//! Neither is linked: `cudarc` opens them when they are first needed, and panics if they are absent; so everything here asks first.
//! NVRTC need not be installed in the system: `GRADUS_NVRTC` names a folder that holds it (the one of its PyPI wheel, say), else
//! the `gradus/nvrtc` folder of the user's cache is looked into, else the system's own path.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cudarc::{driver, nvrtc};

use crate::{Error, Result};

/// Opens a library by its path and keeps it open. A later search by name finds it, since its SONAME is then loaded.
///
/// # Errors
/// If the loader refuses it.
pub fn preload(path: &Path) -> Result<()> {
    let fail = |e: libloading::Error| Error::NoCompiler {
        detail: format!("{}: {e}", path.display()),
    };
    #[cfg(unix)]
    {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // SAFETY: the initialisers of NVIDIA's libraries have no requirements; the caller vouches for any other.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }.map_err(fail)?;
        std::mem::forget(library);
    }
    #[cfg(not(unix))]
    {
        // SAFETY: as above.
        let library = unsafe { libloading::Library::new(path) }.map_err(fail)?;
        std::mem::forget(library);
    }
    Ok(())
}

/// Whether the driver's library can be opened.
///
/// # Errors
/// [`Error::NoDriver`] if not.
pub fn driver() -> Result<()> {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    // SAFETY: opens and closes the library.
    let present = *PRESENT.get_or_init(|| unsafe { driver::sys::is_culib_present() });
    if present {
        Ok(())
    } else {
        Err(Error::NoDriver)
    }
}

/// The folders NVRTC is looked for in, before the system's path.
fn compiler_folders() -> Vec<PathBuf> {
    let cache = crate::cache::user_cache().map(|c| c.join("gradus").join("nvrtc"));
    std::env::var_os("GRADUS_NVRTC")
        .map(PathBuf::from)
        .into_iter()
        .chain(cache)
        .collect()
}

/// Opens NVRTC of a folder: its table of built-in functions first, which it would otherwise look for by name. False if the folder
/// has none.
fn preload_compiler(folder: &Path) -> Result<bool> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(false);
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.sort();
    let named = |prefix: &str| {
        files.iter().find(|f| {
            let name = f
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            name.starts_with(prefix) && !name.contains(".alt.")
        })
    };
    let Some(compiler) = named("libnvrtc.so").or_else(|| named("nvrtc64")) else {
        return Ok(false);
    };
    if let Some(builtins) = named("libnvrtc-builtins.so").or_else(|| named("nvrtc-builtins64")) {
        preload(builtins)?;
    }
    preload(compiler)?;
    Ok(true)
}

/// Finds NVRTC and returns its version, (major, minor).
///
/// # Errors
/// [`Error::NoCompiler`] if there is none.
pub fn compiler() -> Result<(i32, i32)> {
    static FOUND: OnceLock<Result<(i32, i32)>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            // SAFETY: opens and closes the library.
            let in_system = || unsafe { nvrtc::sys::is_culib_present() };
            // A library that is loaded already, by whomever, is the one to use.
            let mut looked = Vec::new();
            let mut found = false;
            for folder in compiler_folders() {
                found = preload_compiler(&folder)?;
                if found {
                    break;
                }
                looked.push(folder.display().to_string());
            }
            if !found && !in_system() {
                looked.push("the system's library path".into());
                return Err(Error::NoCompiler {
                    detail: format!("libnvrtc is in none of: {}", looked.join(", ")),
                });
            }
            let (mut major, mut minor) = (0, 0);
            // SAFETY: both point to integers.
            let status = unsafe { nvrtc::sys::nvrtcVersion(&raw mut major, &raw mut minor) };
            status.result().map_err(|e| Error::NoCompiler {
                detail: format!("{e:?}"),
            })?;
            Ok((major, minor))
        })
        .clone()
}
