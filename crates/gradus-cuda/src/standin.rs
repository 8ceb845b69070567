//! A GPU for tests where there is none: builds the stand-in for `libcuda` and `libnvrtc` with g++, once for each state of the sources,
//! and loads it. Its kernels are the `.cu` files, compiled for the CPU with the primitives of `emulation/`.
//!
//! Behind the feature `standin`, for the tests of this crate and of those above it: it needs the sources of the kernels where they were
//! when the crate was built, and it panics where a test would. With `GRADUS_TEST_DEVICE=real` nothing is built: tests run on the
//! machine's first GPU.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::{Device, compiler, library, manifest};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Plain, with AddressSanitizer, or with every access reported to `emulation/races.cpp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Build {
    Plain,
    Asan,
    Races,
}

/// A change of a kernel's text: a bug that tests must catch.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// Which, for the name of its folder.
    pub number: usize,
    /// The kernels' file.
    pub file: &'static str,
    /// What is there once.
    pub from: &'static str,
    /// What stands there instead.
    pub to: &'static str,
}

impl Build {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Asan => "asan",
            Self::Races => "races",
        }
    }

    /// Options for a kernel's file, or for the emulation's own.
    fn flags(self, kernel: bool) -> &'static [&'static str] {
        match self {
            Self::Plain => &["-O1"],
            Self::Asan => &[
                "-O1",
                "-g1",
                "-fsanitize=address",
                "-fsanitize-sections=gr_shared",
            ],
            Self::Races if kernel => &["-O1", "-DGR_RACES", "-fsanitize=thread"],
            Self::Races => &["-O1", "-DGR_RACES"],
        }
    }

    /// The build this process shall have.
    pub fn of_process() -> Self {
        match std::env::var("GRADUS_EMULATION_BUILD").as_deref() {
            Ok("asan") => Self::Asan,
            Ok("races") => Self::Races,
            _ => Self::Plain,
        }
    }
}

fn run(command: &mut Command) {
    let out = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        out.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Whether the tests shall run on a GPU.
pub fn is_real() -> bool {
    std::env::var("GRADUS_TEST_DEVICE").is_ok_and(|v| v == "real")
}

/// Whether the emulation can be built here; says so if not.
pub fn has_compiler() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    if is_real() {
        println!("skipped: a test of the emulation, on a real device");
        return false;
    }
    let found = *FOUND.get_or_init(|| {
        let version = Command::new("g++").arg("--version").output();
        cfg!(target_os = "linux") && version.is_ok_and(|o| o.status.success())
    });
    if !found {
        println!("skipped: no g++ for the emulation (on Linux)");
    }
    found
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Writes a file unless it has that text already; so that a build knows what is new.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).ok().as_deref() != Some(text) {
        let part = path.with_extension(format!("{}.part", std::process::id()));
        std::fs::write(&part, text).unwrap();
        std::fs::rename(part, path).unwrap();
    }
}

/// A folder's files by name.
fn contents(folder: &str) -> Vec<(String, String)> {
    let files = std::fs::read_dir(format!("{ROOT}/{folder}"))
        .unwrap()
        .map(|f| f.unwrap().path());
    let mut all: Vec<_> = files
        .map(|f| (name_of(&f), std::fs::read_to_string(&f).unwrap()))
        .collect();
    all.sort();
    all
}

/// Puts a file and all it includes into the hash.
fn hash_with_includes(
    name: &str,
    all: &[(String, String)],
    seen: &mut BTreeSet<String>,
    hash: &mut DefaultHasher,
) {
    let Some((_, text)) = all.iter().find(|(n, _)| n == name) else {
        return;
    };
    if !seen.insert(name.into()) {
        return;
    }
    text.hash(hash);
    for line in text.lines() {
        if let Some(included) = line.trim().strip_prefix("#include \"") {
            hash_with_includes(included.trim_end_matches('"'), all, seen, hash);
        }
    }
}

/// Compiles `source` unless an object of the same hash is there.
fn object(
    folder: &Path,
    name: &str,
    source: &Path,
    include: &Path,
    hash: u64,
    build: Build,
) -> PathBuf {
    let object = folder.join(format!("{name}-{hash:016x}.o"));
    if !object.exists() {
        let part = folder.join(format!("{name}-{hash:016x}.{}.part", std::process::id()));
        let mut command = Command::new("g++");
        command.args([
            "-std=c++20",
            "-x",
            "c++",
            "-fPIC",
            "-fvisibility=hidden",
            "-DGRADUS_CPU",
            "-c",
            "-w",
        ]);
        command
            .arg("-ffp-contract=off")
            .args(build.flags(name.ends_with(".cu")));
        command
            .arg("-I")
            .arg(include)
            .arg("-I")
            .arg(folder)
            .arg("-I")
            .arg(format!("{ROOT}/emulation"));
        run(command.arg(source).arg("-o").arg(&part));
        std::fs::rename(&part, &object).unwrap();
    }
    object
}

fn link(library: &Path, soname: &str, objects: &[PathBuf], build: Build) {
    if library.exists() {
        return;
    }
    let part = library.with_extension(format!("{}.part", std::process::id()));
    let mut command = Command::new("g++");
    command
        .args(["-shared", &format!("-Wl,-soname,{soname}")])
        .args(build.flags(false));
    run(command.args(objects).arg("-o").arg(&part));
    std::fs::rename(&part, library).unwrap();
}

/// The two libraries, in `target`: the driver with all kernels, and the compiler; with a bug planted, if there is one.
///
/// # Panics
/// If something does not compile.
pub fn build(target: &Path, build: Build, bug: Option<Plant>) -> (PathBuf, PathBuf) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = target.join(format!("emulation-{}", build.name()));
    let sources = bug.map_or_else(
        || folder.join("kernels"),
        |bug| folder.join(format!("bug-{}", bug.number)),
    );
    std::fs::create_dir_all(&sources).unwrap();
    let mut kernels = contents("kernels");
    if let Some(bug) = bug {
        let (_, text) = kernels
            .iter_mut()
            .find(|(name, _)| name == bug.file)
            .unwrap();
        assert_eq!(
            text.matches(bug.from).count(),
            1,
            "{}: {:?} must be there once",
            bug.file,
            bug.from
        );
        *text = text.replace(bug.from, bug.to);
    }
    kernels.push(("manifest.cuh".into(), manifest::header()));
    for (name, text) in &kernels {
        write(&sources.join(name), text);
    }
    let emulation = contents("emulation");
    let all_files: Vec<_> = kernels.iter().chain(&emulation).cloned().collect();
    let hash_of = |name: &str, wrapper: &str| {
        let mut hash = DefaultHasher::new();
        (build.flags(name.ends_with(".cu")), wrapper).hash(&mut hash);
        hash_with_includes(name, &all_files, &mut BTreeSet::new(), &mut hash);
        hash.finish()
    };
    let mut objects = Vec::new();
    for file in compiler::files() {
        for wide in [false, true] {
            if wide && !manifest::has_wide(file) {
                continue;
            }
            let (define, name) = match wide {
                true => ("#define GR_DOUBLE\n", format!("f64-{file}")),
                false => ("", file.to_owned()),
            };
            let table = manifest::emulation_table(file, wide);
            let wrapper = format!("{define}#include \"{file}\"\n{table}");
            let path = sources.join(format!("{name}.cpp"));
            write(&path, &wrapper);
            let hash = hash_of(file, &wrapper);
            objects.push(object(&folder, &name, &path, &sources, hash, build));
        }
    }
    let parts = emulation
        .iter()
        .filter(|(name, _)| name.ends_with(".cpp") && name != "nccl.cpp");
    let (compilers, drivers): (Vec<_>, Vec<_>) = parts.partition(|(name, _)| name == "nvrtc.cpp");
    let part = |name: &str| {
        let path = Path::new(ROOT).join("emulation").join(name);
        object(&folder, name, &path, &sources, hash_of(name, ""), build)
    };
    objects.extend(drivers.iter().map(|(name, _)| part(name)));
    let compiler_objects: Vec<_> = compilers.iter().map(|(name, _)| part(name)).collect();
    let named = |objects: &[PathBuf]| {
        let mut hash = DefaultHasher::new();
        objects.hash(&mut hash);
        hash.finish()
    };
    let driver = folder.join(format!("libcuda-{:016x}.so", named(&objects)));
    link(&driver, "libcuda.so.1", &objects, build);
    let nvrtc = folder.join(format!("libnvrtc-{:016x}.so", named(&compiler_objects)));
    link(&nvrtc, "libnvrtc.so.13", &compiler_objects, build);
    (driver, nvrtc)
}

/// Builds the plain libraries in `target` (a test's `CARGO_TARGET_TMPDIR`) and loads them into this process.
///
/// # Panics
/// If something does not compile.
pub fn load(target: &Path) {
    static LOADED: OnceLock<()> = OnceLock::new();
    LOADED.get_or_init(|| {
        let (driver, nvrtc) = build(target, Build::of_process(), None);
        compiler::keep_in(Some(cache(target)));
        library::preload(&driver).unwrap();
        library::preload(&nvrtc).unwrap();
    });
}

/// Builds the stand-in for NCCL in `target` and loads it: ranks are threads of this process.
///
/// # Panics
/// If it does not compile.
#[cfg(feature = "nccl")]
pub fn load_nccl(target: &Path) {
    static LOADED: OnceLock<()> = OnceLock::new();
    LOADED.get_or_init(|| {
        let build = Build::of_process();
        let folder = target.join(format!("emulation-{}", build.name()));
        std::fs::create_dir_all(&folder).unwrap();
        let source = Path::new(ROOT).join("emulation").join("nccl.cpp");
        let mut hash = DefaultHasher::new();
        (build.flags(false), std::fs::read(&source).unwrap()).hash(&mut hash);
        let hash = hash.finish();
        let object = object(&folder, "nccl.cpp", &source, &folder, hash, build);
        let library = folder.join(format!("libnccl-{hash:016x}.so"));
        link(&library, "libnccl.so.2", &[object], build);
        library::preload(&library).unwrap();
    });
}

/// Where the stand-in's compiler keeps what it "compiled": not with the user's.
pub fn cache(target: &Path) -> PathBuf {
    target.join("cubin")
}

/// The device to test on, the stand-in in `target` or a real one; `None` (said aloud) if there is none.
///
/// # Panics
/// If there should be one and is not.
pub fn device(target: &Path) -> Option<Device> {
    if !is_real() {
        if !has_compiler() {
            return None;
        }
        load(target);
    }
    Some(Device::new(0).unwrap())
}
