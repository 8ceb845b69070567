//! The project's chores: `cargo xtask conformance`, `cargo xtask ci`, `cargo xtask bench`, `cargo xtask asan`.
//!
//! `ci` is what has to pass before anything is merged; `conformance` compares with PyTorch; `bench` measures;
//! `asan` makes hostile calls under AddressSanitizer.
#![forbid(unsafe_code)]

mod asan;
mod bench;
mod ci;
mod conformance;
mod picture;
mod roofline;

use std::process::ExitCode;

use clap::Parser;

/// Chores of the Gradus workspace
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Command {
    Conformance(conformance::Options),
    Ci(ci::Options),
    Bench(bench::Options),
    Asan(asan::Options),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Conformance(options) => conformance::main(&options),
        Command::Ci(options) => ci::main(&options),
        Command::Bench(options) => bench::main(&options),
        Command::Asan(options) => asan::main(&options),
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
