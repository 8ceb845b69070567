//! `gradus devices`: what the computations run on.

use std::process::ExitCode;

use gradus_tensor::{Device, Result};
use gradus_train::progress::say;

pub fn run() -> Result<ExitCode> {
    let names: Vec<String> = gradus_simd::available()
        .iter()
        .map(ToString::to_string)
        .collect();
    say(&format!(
        "cpu     {}, {} threads",
        std::env::consts::ARCH,
        gradus_cpu::parallel::threads()
    ));
    match gradus_simd::init() {
        Ok(isa) => say(&format!(
            "        instruction sets: {} (in use: {isa}; GRADUS_ISA picks another)",
            names.join(", ")
        )),
        Err(error) => {
            say(&format!("        instruction sets: {}", names.join(", ")));
            return Err(gradus_tensor::Error::value("", error.to_string()));
        }
    }
    for line in Device::gpus() {
        say(&format!("cuda    {}", line.trim_start_matches("cuda: ")));
    }
    Ok(ExitCode::SUCCESS)
}
