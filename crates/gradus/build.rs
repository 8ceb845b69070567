//! Asks the linker for a smaller program, where it can: one copy of identical machine code (kernels for types of one width often are), the
//! addresses to be set at the start as a bitmap instead of a list, and no tables for unwinding, which a release that aborts on a panic
//! never reads (but a backtrace would: build with `--profile bench` for one).
//!
//! Rust's own linker, lld, can; another linker or C library may not. So a program of two words is linked, and run, to see.

use std::path::Path;
use std::process::Command;

/// Beside the linker's own script, not instead of it: that is what INSERT says.
const NO_TABLES: &str =
    "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table*) } } INSERT AFTER .text;";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |variable: &str, value: &str| std::env::var(variable).is_ok_and(|v| v == value);
    let native = std::env::var("HOST").ok() == std::env::var("TARGET").ok();
    let release = is("PROFILE", "release") && is("DEBUG", "false");
    let Some(out) = std::env::var_os("OUT_DIR").filter(|_| release && native) else {
        return;
    };
    let out = Path::new(&out);
    let script = out.join("no-tables.ld");
    let mut smaller = vec![
        vec!["-Wl,--icf=all".to_string()],
        vec!["-Wl,-z,pack-relative-relocs".to_string()],
    ];
    // `panic = "abort"` is in the profile, which a build script is not told.
    if std::fs::write(&script, NO_TABLES).is_ok() {
        let script = format!("-Wl,-T,{}", script.display());
        smaller.push(vec!["-Wl,--no-eh-frame-hdr".to_string(), script]);
    }
    for options in smaller {
        if works(&options, out) {
            for option in options {
                println!("cargo::rustc-link-arg-bins={option}");
            }
        }
    }
}

/// Whether a program linked so runs.
fn works(options: &[String], out: &Path) -> bool {
    let (source, program) = (out.join("probe.rs"), out.join("probe"));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let linked = std::fs::write(&source, "fn main() {}").is_ok()
        && Command::new(rustc)
            .arg("-Cpanic=abort")
            .args(options.iter().map(|option| format!("-Clink-arg={option}")))
            .arg("-o")
            .arg(&program)
            .arg(source)
            .output()
            .is_ok_and(|made| made.status.success());
    linked
        && Command::new(program)
            .status()
            .is_ok_and(|ran| ran.success())
}
