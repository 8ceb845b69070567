//! The stand-in for `libcuda` and `libnvrtc` ([`gradus_cuda::standin`]), with the planted bugs and the orders of threads.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gradus_cuda::standin::{self, Plant, is_real};
pub use gradus_cuda::standin::{Build, has_compiler};
use gradus_cuda::{Device, compiler, library};

use crate::planted::BUGS;

/// Where everything is built.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The two libraries, with the bug of this number planted, if there is one.
pub fn build(build: Build, bug: Option<usize>) -> (PathBuf, PathBuf) {
    let plant = bug.map(|number| Plant {
        number,
        file: BUGS[number].file,
        from: BUGS[number].from,
        to: BUGS[number].to,
    });
    standin::build(target(), build, plant)
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
    standin::cache(target())
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
    set(b"gr_cpu_order", order);
}

/// Runs `f` once for each order of streams (`emulation/streams.cpp`).
pub fn for_streams(f: impl Fn(&Device)) {
    let Some(device) = device() else { return };
    if is_real() {
        return f(&device);
    }
    for order in ["late", "first", "now"] {
        set(b"gr_cpu_streams", order);
        f(&device);
    }
    set(b"gr_cpu_streams", "late");
}

/// Calls a function of the stand-in that takes a text.
fn set(function: &[u8], text: &str) {
    let (driver, _) = paths();
    let text = CString::new(text).unwrap();
    // SAFETY: the library is loaded and stays so; the function copies the text.
    unsafe {
        let library = libloading::Library::new(driver).unwrap();
        let set = library
            .get::<unsafe extern "C" fn(*const std::ffi::c_char)>(function)
            .unwrap();
        set(text.as_ptr());
    }
}
