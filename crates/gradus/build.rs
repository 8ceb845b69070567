//! Asks the linker to keep one copy of identical machine code (kernels for types of one width often are), where it can.
//!
//! Rust's own linker, lld, can; GNU ld has no such option, so a program of two words is linked first to see.

use std::process::Command;

const FOLD: &str = "-Wl,--icf=all";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let native = std::env::var("HOST").ok() == std::env::var("TARGET").ok();
    if release && native && linker_takes(FOLD) {
        println!("cargo::rustc-link-arg-bins={FOLD}");
    }
}

fn linker_takes(option: &str) -> bool {
    let Some(out) = std::env::var_os("OUT_DIR").map(std::path::PathBuf::from) else {
        return false;
    };
    let source = out.join("probe.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    std::fs::write(&source, "fn main() {}").is_ok()
        && Command::new(rustc)
            .arg(format!("-Clink-arg={option}"))
            .arg("-o")
            .arg(out.join("probe"))
            .arg(source)
            .output()
            .is_ok_and(|made| made.status.success())
}
