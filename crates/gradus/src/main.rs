//! The `gradus` command: train, evaluate, predict, look into files and at the machine.
//!
//! Errors are one line on standard error. Exit codes: 0 all went well, 1 it did not, 2 wrong usage, 130 interrupted.
#![forbid(unsafe_code)]

mod command;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = command::Cli::parse(); // wrong usage ends here, with code 2
    match command::run(arguments) {
        Ok(code) => code,
        Err(error) => {
            // One line, whatever the error says.
            let text = error.to_string().replace('\n', " ");
            eprintln!("gradus: {text}");
            ExitCode::FAILURE
        }
    }
}
