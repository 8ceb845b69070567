//! Builds the stand-in for `libcuda` and `libnvrtc` with g++, once for each state of the sources, and loads it.
//!
//! With `GRADUS_TEST_DEVICE=real` nothing is built: the tests run on the machine's first GPU.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::ffi::CString;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use gradus_cuda::{Device, compiler, library, manifest};

use crate::planted::BUGS;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Plain, with AddressSanitizer, or with every access reported to `emulation/races.cpp`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    Plain,
    Asan,
    Races,
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
    fn of_process() -> Self {
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

fn is_real() -> bool {
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

/// The two libraries: the driver with all kernels, and the compiler; with the bug of this number planted, if there is one.
pub fn build(build: Build, bug: Option<usize>) -> (PathBuf, PathBuf) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("emulation-{}", build.name()));
    let sources = bug.map_or_else(
        || folder.join("kernels"),
        |n| folder.join(format!("bug-{n}")),
    );
    std::fs::create_dir_all(&sources).unwrap();
    let mut kernels = contents("kernels");
    if let Some(bug) = bug.map(|n| &BUGS[n]) {
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
        let wrapper = format!("#include \"{file}\"\n{}", manifest::emulation_table(file));
        let path = sources.join(format!("{file}.cpp"));
        write(&path, &wrapper);
        objects.push(object(
            &folder,
            file,
            &path,
            &sources,
            hash_of(file, &wrapper),
            build,
        ));
    }
    let parts = emulation.iter().filter(|(name, _)| name.ends_with(".cpp"));
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

/// The libraries this process shall have, by its environment.
fn paths() -> &'static (PathBuf, PathBuf) {
    static PATHS: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    PATHS.get_or_init(|| {
        let bug = std::env::var("GRADUS_EMULATION_BUG")
            .ok()
            .map(|b| b.parse().unwrap());
        build(Build::of_process(), bug)
    })
}

/// Where the stand-in's compiler keeps what it "compiled": not with the user's.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cubin")
}

/// Builds and loads the libraries.
pub fn load() {
    static LOADED: OnceLock<()> = OnceLock::new();
    LOADED.get_or_init(|| {
        let (driver, nvrtc) = paths();
        compiler::keep_in(Some(cache()));
        library::preload(driver).unwrap();
        library::preload(nvrtc).unwrap();
    });
}

/// The device to test on, or `None` (said aloud) if there is none.
pub fn device() -> Option<Device> {
    if is_real() {
        return Some(Device::new(0).unwrap());
    }
    if !has_compiler() {
        return None;
    }
    load();
    Some(Device::new(0).unwrap())
}

/// Runs `f` once for each order of threads.
pub fn orders(f: impl Fn(&Device)) {
    for_orders(&["f", "s", "we", "l"], f);
}

/// Runs `f` in these orders of threads; once on a real device, which has its own.
pub fn for_orders(orders: &[&str], f: impl Fn(&Device)) {
    let Some(device) = device() else { return };
    if is_real() {
        return f(&device);
    }
    // Races and accesses out of bounds are seen in any order.
    let all = if Build::of_process() == Build::Plain {
        orders
    } else {
        &orders[..1]
    };
    for order in all {
        set_order(order);
        f(&device);
    }
    set_order("f");
}

fn set_order(order: &str) {
    let (driver, _) = paths();
    let order = CString::new(order).unwrap();
    // SAFETY: the library is loaded and stays so; the function copies the text.
    unsafe {
        let library = libloading::Library::new(driver).unwrap();
        let set = library
            .get::<unsafe extern "C" fn(*const std::ffi::c_char)>(b"gr_cpu_order")
            .unwrap();
        set(order.as_ptr());
    }
}
