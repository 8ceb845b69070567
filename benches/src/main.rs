//! `gradus-bench`: measures Gradus on the workloads the peers' scripts in `benches/peers` measure too, under the same names.
//!
//! One line of JSON a workload on standard output; `cargo xtask bench` builds it, runs it beside the peers and prints the table.
//! What it is not: a statistics package. Every workload is warmed up, then repeated for a while; what counts is the median, and the
//! 10th and 90th percentile say how far to trust it.

mod measure;
mod workloads;

use clap::Parser;
use std::process::ExitCode;

/// Measures the workloads whose suite, group or name FILTER says; all without one.
#[derive(Debug, Parser)]
#[command(name = "gradus-bench")]
struct Options {
    /// `gemm`, `conv`, `ops`, … or a part of names, several separated by commas
    filter: Option<String>,
    /// Threads the kernels may use [default: every core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// `f32` or `bf16`
    #[arg(long, value_name = "DTYPE", default_value = "f32")]
    dtype: String,
    /// Seconds spent on a workload
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Print the names and stop
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or(cores);
    gradus_cpu::parallel::set_threads(threads)?;
    let dtype = match options.dtype.as_str() {
        "f32" => gradus_tensor::DType::F32,
        "bf16" => gradus_tensor::DType::BF16,
        other => return Err(format!("dtype {other:?}: it is f32 or bf16")),
    };
    let wanted: Vec<&str> = options.filter.as_deref().unwrap_or("").split(',').collect();
    for workload in workloads::all(dtype) {
        if !wanted.iter().any(|part| workload.is_called(part)) {
            continue;
        }
        if options.list {
            println!("{}", workload.name);
            continue;
        }
        println!(
            "{}",
            workload.measure(threads, &options.dtype, options.seconds)
        );
    }
    Ok(())
}
