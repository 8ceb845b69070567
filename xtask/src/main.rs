//! The project's chores: `cargo xtask conformance`, `cargo xtask ci`, `cargo xtask bench`, `cargo xtask asan`,
//! `cargo xtask nvrtc`.
//!
//! `ci` is what has to pass before anything is merged; `conformance` compares with PyTorch; `bench` measures;
//! `asan` makes hostile calls under AddressSanitizer; `nvrtc` fetches the compiler of the CUDA kernels.
#![forbid(unsafe_code)]

mod asan;
#[cfg(feature = "measure")]
mod bench;
mod ci;
#[cfg(feature = "measure")]
mod conformance;
#[cfg(feature = "measure")]
mod ladder;
mod nvrtc;
#[cfg(feature = "measure")]
mod picture;
#[cfg(feature = "measure")]
mod roofline;

use std::process::ExitCode;

use clap::Parser;

/// Chores of the Gradus workspace
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Command {
    #[cfg(feature = "measure")]
    Conformance(conformance::Options),
    Ci(ci::Options),
    #[cfg(feature = "measure")]
    Bench(bench::Options),
    Asan(asan::Options),
    Nvrtc(nvrtc::Options),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        #[cfg(feature = "measure")]
        Command::Conformance(options) => conformance::main(&options),
        Command::Ci(options) => ci::main(&options),
        #[cfg(feature = "measure")]
        Command::Bench(options) => bench::main(&options),
        Command::Asan(options) => asan::main(&options),
        Command::Nvrtc(options) => nvrtc::main(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
