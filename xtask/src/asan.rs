//! `cargo xtask asan`: hostile calls under AddressSanitizer.
//!
//! What it is: the tests of `unsafe` code that random arguments can reach, built with `-Zsanitizer=address`: 10,000 calls of each operation of
//! gradus-tensor, or as many as are asked for. Buffers are not reused meanwhile, so that a read past the end of one is seen. Any compiler
//! will do: `RUSTC_BOOTSTRAP` opens the flag on a stable one.
//! What it is not: the fuzzing of file parsers (`fuzz/`).

use std::process::Command;

/// Make hostile calls of each operation under AddressSanitizer
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How many calls of each operation
    #[arg(long, default_value_t = 10_000)]
    calls: u64,
    /// Only the test of this family: creation, elementwise, views, reduce, index, join, products, linalg, nn, optim, spatial
    family: Option<String>,
}

/// Builds and runs; `Ok(true)` when nothing was found.
pub fn main(options: &Options) -> Result<bool, String> {
    let fail = |e: std::io::Error| format!("cannot run cargo: {e}");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    // With a target of its own, build scripts and macros stay as they are: only what runs in the test is instrumented.
    command.args([
        "test",
        "--package",
        "gradus-tensor",
        "--test",
        "hostile",
        "--target-dir",
        "target/asan",
    ]);
    command.args(["--target", &host()?]);
    command.args(["--", "--show-output"]).args(&options.family);
    command.env("RUSTC_BOOTSTRAP", "1");
    command.env("RUSTFLAGS", "-Zsanitizer=address");
    command.env("ASAN_OPTIONS", "allocator_may_return_null=1");
    command.env("GRADUS_HOSTILE", options.calls.to_string());
    command.env("GRADUS_POOL", "0");
    Ok(command.status().map_err(fail)?.success())
}

/// The machine's triple, as the compiler names it.
fn host() -> Result<String, String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let said = Command::new(rustc).arg("-vV").output();
    let said = said.map_err(|e| format!("cannot run rustc: {e}"))?.stdout;
    let said = String::from_utf8_lossy(&said);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not say what machine this is".into())
}
