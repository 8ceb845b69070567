//! Builds the stand-in for `libcuda` and `libnvrtc` with g++, once for each state of the sources, and loads it.

use std::collections::hash_map::DefaultHasher;
use std::ffi::CString;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use gradus_cuda::{Device, compiler, library, manifest};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Plain, or with AddressSanitizer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    Plain,
    Asan,
}

impl Build {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["-O1"],
            Self::Asan => &[
                "-O1",
                "-g1",
                "-fsanitize=address",
                "-fsanitize-sections=gr_shared",
            ],
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

/// Whether there is a g++; says so if not.
pub fn has_compiler() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = cfg!(target_os = "linux")
            && Command::new("g++")
                .arg("--version")
                .output()
                .is_ok_and(|o| o.status.success());
        if !found {
            eprintln!("SKIPPED: the emulation needs g++ on Linux");
        }
        found
    })
}

fn compile(source: &Path, object: &Path, extra: &[&str], build: Build) {
    let mut command = Command::new("g++");
    command.args([
        "-std=c++20",
        "-x",
        "c++",
        "-fPIC",
        "-fvisibility=hidden",
        "-DGRADUS_CPU",
        "-c",
    ]);
    command
        .args(["-w", "-ffp-contract=off"])
        .args(build.flags())
        .args(extra);
    command
        .arg("-I")
        .arg(format!("{ROOT}/emulation"))
        .arg("-I")
        .arg(format!("{ROOT}/kernels"));
    if let Some(folder) = object.parent() {
        command.arg("-I").arg(folder);
    }
    run(command.arg(source).arg("-o").arg(object));
}

/// The text of a folder's files: what a build is a function of.
fn contents(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(format!("{ROOT}/{folder}"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|f| (f.clone(), std::fs::read_to_string(&f).unwrap()))
        .collect()
}

/// Compiles `source` unless an object of the same hash is there.
fn object(
    folder: &Path,
    name: &str,
    source: &Path,
    hash: u64,
    extra: &[&str],
    build: Build,
) -> PathBuf {
    let object = folder.join(format!("{name}-{hash:016x}.o"));
    if !object.exists() {
        let part = folder.join(format!("{name}-{hash:016x}.{}.o", std::process::id()));
        compile(source, &part, extra, build);
        std::fs::rename(&part, &object).unwrap();
    }
    object
}

/// The two libraries: the driver with all kernels, and the compiler. `extra` are options for the kernels (a planted bug).
pub fn build(build: Build, extra: &[&str]) -> (PathBuf, PathBuf) {
    let tag = if build == Build::Asan {
        "asan"
    } else {
        "plain"
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("emulation-{tag}"));
    std::fs::create_dir_all(&folder).unwrap();
    let table = manifest::header();
    std::fs::write(folder.join("manifest.cuh"), &table).unwrap();
    let (kernels, emulation) = (contents("kernels"), contents("emulation"));
    // A kernel is a function of its file, all headers, and its entries in the manifest (here: the whole of it).
    let mut common = DefaultHasher::new();
    (&table, build.flags()).hash(&mut common);
    for (path, text) in kernels.iter().chain(&emulation) {
        if path.extension().is_some_and(|e| e == "cuh" || e == "h") {
            text.hash(&mut common);
        }
    }
    let mut objects = Vec::new();
    let mut all = common.clone();
    for file in compiler::files() {
        let path = Path::new(ROOT).join("kernels").join(file);
        let wrapper = folder.join(format!("{file}.cpp"));
        let text = format!("#include \"{file}\"\n{}", manifest::emulation_table(file));
        if std::fs::read_to_string(&wrapper).is_ok_and(|t| t != text) || !wrapper.exists() {
            std::fs::write(&wrapper, &text).unwrap();
        }
        let mut hash = common.clone();
        // A planted bug touches the files that know its name.
        let body = std::fs::read_to_string(&path).unwrap();
        let concerned = extra.is_empty() || extra.iter().any(|e| knows(&body, &kernels, e));
        let extra = if concerned { extra } else { &[] };
        (&text, &body, extra).hash(&mut hash);
        hash.finish().hash(&mut all);
        objects.push(object(&folder, file, &wrapper, hash.finish(), extra, build));
    }
    for (path, text) in &emulation {
        if path.extension().is_some_and(|e| e == "cpp") && !path.ends_with("nvrtc.cpp") {
            let mut hash = common.clone();
            text.hash(&mut hash);
            hash.finish().hash(&mut all);
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            objects.push(object(&folder, &name, path, hash.finish(), &[], build));
        }
    }
    let driver = folder.join(format!("libcuda-{:016x}.so", all.finish()));
    link(&driver, "libcuda.so.1", &objects, build);
    let compiler_source = Path::new(ROOT).join("emulation/nvrtc.cpp");
    let compiler_object = object(
        &folder,
        "nvrtc",
        &compiler_source,
        common.finish(),
        &[],
        build,
    );
    let nvrtc = folder.join(format!("libnvrtc-{:016x}.so", common.finish()));
    link(&nvrtc, "libnvrtc.so.13", &[compiler_object], build);
    (driver, nvrtc)
}

/// Whether a file, or a header it includes, mentions the macro of `-Dmacro`.
fn knows(body: &str, kernels: &[(PathBuf, String)], define: &str) -> bool {
    let macro_name = define.trim_start_matches("-D");
    body.contains(macro_name)
        || kernels.iter().any(|(path, text)| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            name.ends_with(".cuh") && text.contains(macro_name) && body.contains(&name)
        })
}

fn link(library: &Path, soname: &str, objects: &[PathBuf], build: Build) {
    if library.exists() {
        return;
    }
    let part = library.with_extension(format!("{}.part", std::process::id()));
    let mut command = Command::new("g++");
    command
        .args(["-shared", &format!("-Wl,-soname,{soname}")])
        .args(build.flags());
    run(command.args(objects).arg("-o").arg(&part));
    std::fs::rename(&part, library).unwrap();
}

/// The stand-in's device, or `None` (said aloud) if it cannot be built here.
pub fn device() -> Option<Device> {
    if !has_compiler() {
        return None;
    }
    load();
    Some(Device::new(0).unwrap())
}

/// Builds and loads the libraries this process shall have.
pub fn load() {
    static LOADED: OnceLock<()> = OnceLock::new();
    LOADED.get_or_init(|| {
        let (driver, nvrtc) = paths();
        library::preload(driver).unwrap();
        library::preload(nvrtc).unwrap();
    });
}

/// Runs `f` once for each order of threads.
pub fn orders(f: impl Fn(&Device)) {
    for_orders(&["f", "r", "s", "we"], f);
}

/// Runs `f` in these orders.
pub fn for_orders(orders: &[&str], f: impl Fn(&Device)) {
    let Some(device) = device() else { return };
    for order in orders {
        set_order(order);
        f(&device);
    }
    set_order("f");
}

fn set_order(order: &str) {
    let (driver, _) = paths();
    // SAFETY: the library is loaded; the function copies the text.
    unsafe {
        let library = libloading::Library::new(driver).unwrap();
        let set = library
            .get::<unsafe extern "C" fn(*const std::ffi::c_char)>(b"gr_cpu_order")
            .unwrap();
        let order = CString::new(order).unwrap();
        set(order.as_ptr());
    }
}

fn paths() -> &'static (PathBuf, PathBuf) {
    static PATHS: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    PATHS.get_or_init(|| {
        let kind = if std::env::var("GRADUS_EMULATION_BUILD").is_ok_and(|v| v == "asan") {
            Build::Asan
        } else {
            Build::Plain
        };
        let bug = std::env::var("GRADUS_EMULATION_BUG")
            .ok()
            .map(|b| format!("-D{b}"));
        let extra: Vec<&str> = bug.as_deref().into_iter().collect();
        build(kind, &extra)
    })
}
