//! `cargo xtask nvrtc`: NVIDIA's run-time compiler and its disassembler from their Python wheels, into the folders of the user's cache where
//! gradus-cuda and its tests look for them.
//!
//! A wheel is a zip; nothing is installed, and pip serves only to find and check it. With them, the tests compile
//! every kernel for real GPUs on a machine that has none, and look at the machine code.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Fetch NVIDIA's run-time compiler for the tests of gradus-cuda
#[derive(Debug, clap::Args)]
pub struct Options {}

/// What is fetched.
struct Wheel {
    name: &'static str,
    /// The folder in it that is kept.
    inside: &'static str,
    /// Its name in the cache.
    folder: &'static str,
    /// Names another folder that has it.
    variable: &'static str,
}

/// The registers in gradus-cuda's manifest are what this version needs.
const COMPILER: Wheel = Wheel {
    name: "nvidia-cuda-nvrtc==13.0.88",
    inside: "nvidia/cu13/lib",
    folder: "nvrtc",
    variable: "GRADUS_NVRTC",
};
const DISASSEMBLER: Wheel = Wheel {
    name: "nvidia-cuda-nvdisasm==13.2.86",
    inside: "nvidia/cu13/bin",
    folder: "nvdisasm",
    variable: "GRADUS_NVDISASM",
};

/// Fetches them unless they are there.
pub fn main(_: &Options) -> Result<bool, String> {
    for (what, folder) in provide()? {
        println!("{what}: {}", folder.display());
    }
    Ok(true)
}

/// The folders with NVRTC and with nvdisasm.
///
/// # Errors
/// As [`Wheel::provide`].
pub fn provide() -> Result<[(&'static str, PathBuf); 2], String> {
    Ok([
        ("NVRTC", COMPILER.provide()?),
        ("nvdisasm", DISASSEMBLER.provide()?),
    ])
}

impl Wheel {
    /// The folder with it: what the variable says, else that of the user's cache, filled if it is not there.
    ///
    /// # Errors
    /// Where there is no wheel for this machine, no pip or no network.
    fn provide(&self) -> Result<PathBuf, String> {
        if let Some(folder) = std::env::var_os(self.variable) {
            return Ok(folder.into());
        }
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
            .ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
        let folder = cache.join("gradus").join(self.folder);
        if !folder.is_dir() {
            let fresh =
                cache
                    .join("gradus")
                    .join(format!("{}.{}", self.folder, std::process::id()));
            let fetched = self.fetch(&fresh, &folder);
            let _ = std::fs::remove_dir_all(&fresh); // what a failure left, or what was around the libraries
            fetched?;
        }
        Ok(folder)
    }

    /// Downloads and unpacks the wheel in `fresh`, and moves what is wanted of it to `folder`.
    fn fetch(&self, fresh: &Path, folder: &Path) -> Result<(), String> {
        std::fs::create_dir_all(fresh).map_err(|e| format!("{}: {e}", fresh.display()))?;
        let options = [
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
        ];
        let mut download = Command::new("python3");
        download.args(["-m", "pip", "download"]).args(options);
        run(download.arg("--dest").arg(fresh).arg(self.name))?;
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
        let wanted = unpacked.join(self.inside);
        executable(&wanted).map_err(|e| format!("{}: {e}", wanted.display()))?;
        std::fs::rename(wanted, folder).map_err(|e| format!("{}: {e}", folder.display()))
    }
}

/// Lets the files of a folder be run, which unpacking forgets.
fn executable(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    for entry in std::fs::read_dir(folder)? {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(entry?.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
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
