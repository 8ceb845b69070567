//! `cargo xtask bench`: runs the criterion benches, reads what they measured and prints one table
//! in which every kernel stands beside what the machine can do at most.
//!
//! A bench says how much work one iteration is through criterion's throughput: *elements* are
//! floating-point operations (held against the FMA peak), *bytes* are bytes moved (held against
//! the memory bandwidth; a share above 100 % means the data lay in a cache).

use crate::roofline::{self, Roofline};
use clap::Args;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Runs the benchmarks whose name contains FILTER and prints each as a share of the roofline.
#[derive(Debug, Args)]
pub struct Options {
    /// Only benchmarks whose id contains this, e.g. `gemm` or `conv/3x3`
    filter: Option<String>,
    /// Threads the kernels may use [default: every core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Also write one JSON line per benchmark to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only this bench file of `benches/benches`, e.g. `gemm` (compiles less)
    #[arg(long, value_name = "NAME")]
    bench: Option<String>,
    /// Seconds spent measuring each benchmark
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
}

/// One benchmark as measured: seconds per iteration and the work in it.
#[derive(Debug)]
struct Row {
    id: String,
    median: f64,
    p10: f64,
    p90: f64,
    samples: usize,
    work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Flops(f64),
    Bytes(f64),
    Unsaid,
}

/// Runs the benches and prints the table.
pub fn main(options: &Options) -> Result<bool, String> {
    run(options)
        .map(|()| true)
        .map_err(|error| error.to_string())
}

fn run(args: &Options) -> Result<(), Box<dyn Error>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(cores);
    let isa = gradus_simd::init()?;
    let start = SystemTime::now();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "bench",
        "--quiet",
        "--package",
        "gradus-benches",
        "--features",
        "peers",
    ]);
    match &args.bench {
        Some(name) => cargo.args(["--bench", name]),
        None => cargo.arg("--benches"),
    };
    cargo.args([
        "--",
        "--noplot",
        "--warm-up-time",
        "0.5",
        "--measurement-time",
    ]);
    cargo.arg(args.seconds.to_string()).args(&args.filter);
    cargo.env("RAYON_NUM_THREADS", threads.to_string());
    if !cargo.status()?.success() {
        return Err("the benches did not run to their end".into());
    }

    let mut rows = Vec::new();
    collect(&target_dir().join("criterion"), start, &mut rows)?;
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    if rows.is_empty() {
        return Err("no benchmark has such a name; try `cargo xtask bench gemm`".into());
    }
    let roof = roofline::measure(threads);
    print_table(&rows, roof, threads, &isa.to_string());
    if let Some(path) = &args.json {
        fs::write(path, json_lines(&rows, roof, threads))?;
        println!("written: {}", path.display());
    }
    Ok(())
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    /// `{"Elements": 1000}` or `{"Bytes": 1000}`
    throughput: Option<BTreeMap<String, serde_json::Value>>,
}

impl Benchmark {
    fn work(&self) -> Work {
        let amount = |name: &str| self.throughput.as_ref()?.get(name)?.as_f64();
        match (amount("Elements"), amount("Bytes")) {
            (Some(n), _) => Work::Flops(n),
            (_, Some(n)) => Work::Bytes(n),
            _ => Work::Unsaid,
        }
    }
}

#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// Walks criterion's folder for results written since `start`.
fn collect(dir: &Path, start: SystemTime, rows: &mut Vec<Row>) -> Result<(), Box<dyn Error>> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let sample = path.join("sample.json");
        if path.ends_with("new") && sample.is_file() {
            if fs::metadata(&sample)?.modified()? >= start {
                rows.push(read_row(&path)?);
            }
        } else {
            collect(&path, start, rows)?;
        }
    }
    Ok(())
}

fn read_row(dir: &Path) -> Result<Row, Box<dyn Error>> {
    let bench: Benchmark = serde_json::from_slice(&fs::read(dir.join("benchmark.json"))?)?;
    let sample: Sample = serde_json::from_slice(&fs::read(dir.join("sample.json"))?)?;
    let mut seconds: Vec<f64> = sample
        .times
        .iter()
        .zip(&sample.iters)
        .map(|(ns, n)| ns / n * 1e-9)
        .collect();
    seconds.sort_by(f64::total_cmp);
    let at = |q: f64| seconds[((seconds.len() - 1) as f64 * q).round() as usize];
    if seconds.is_empty() {
        return Err(format!("{}: no samples", dir.display()).into());
    }
    Ok(Row {
        work: bench.work(),
        id: bench.full_id,
        median: at(0.5),
        p10: at(0.1),
        p90: at(0.9),
        samples: seconds.len(),
    })
}

impl Row {
    /// The rate as text and the share of the roofline, where the bench says what its work is.
    fn rate(&self, roof: Roofline) -> Option<(String, f64)> {
        match self.work {
            Work::Flops(n) => {
                let rate = n / self.median;
                Some((format!("{:.1} GFLOP/s", rate * 1e-9), rate / roof.flops))
            }
            Work::Bytes(n) => {
                let rate = n / self.median;
                Some((format!("{:.1} GB/s", rate * 1e-9), rate / roof.bytes))
            }
            Work::Unsaid => None,
        }
    }
}

fn print_table(rows: &[Row], roof: Roofline, threads: usize, isa: &str) {
    println!(
        "\n{isa}, {threads} threads; at most {:.0} GFLOP/s (f32 FMA), {:.1} GB/s (triad), measured now\n",
        roof.flops * 1e-9,
        roof.bytes * 1e-9
    );
    let width = rows.iter().map(|r| r.id.len()).max().unwrap_or(0).max(9);
    println!(
        "{:width$}  {:>10}  {:>21}  {:>14}  {:>8}",
        "benchmark", "median", "p10 .. p90", "rate", "of peak"
    );
    for row in rows {
        let spread = format!("{} .. {}", time(row.p10), time(row.p90));
        let (rate, share) = row.rate(roof).map_or_else(
            || ("-".into(), "-".into()),
            |(rate, share)| (rate, format!("{:.1} %", share * 100.0)),
        );
        println!(
            "{:width$}  {:>10}  {spread:>21}  {rate:>14}  {share:>8}",
            row.id,
            time(row.median)
        );
    }
}

/// Seconds as a short text with three digits: `1.23 ms`.
fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// One line a benchmark, in the vocabulary the peers' scripts use.
fn json_lines(rows: &[Row], roof: Roofline, threads: usize) -> String {
    let mut out = String::new();
    for row in rows {
        let (suite, work) = row.id.split_once('/').unwrap_or(("other", &row.id));
        let mut line = serde_json::json!({
            "suite": suite, "peer": "gradus", "work": work, "threads": threads, "dtype": "f32",
            "med_ms": row.median * 1e3, "p10_ms": row.p10 * 1e3, "p90_ms": row.p90 * 1e3,
            "reps": row.samples,
            "peak_gflops": roof.flops * 1e-9, "peak_gbs": roof.bytes * 1e-9,
        });
        if let Some((_, share)) = row.rate(roof) {
            line["share_of_peak"] = share.into();
        }
        out += &line.to_string();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(time(1.234e-8), "12.3 ns");
        assert_eq!(time(2.5e-4), "250 µs");
        assert_eq!(time(1.5), "1.50 s");
    }

    #[test]
    fn rows_come_from_criterions_files() -> Result<(), Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let new = dir.path().join("gemm/sq64/new");
        fs::create_dir_all(&new)?;
        fs::write(
            new.join("benchmark.json"),
            r#"{"full_id":"gemm/sq64","throughput":{"Elements":1000}}"#,
        )?;
        fs::write(
            new.join("sample.json"),
            r#"{"iters":[1,2,3],"times":[1000,2000,3300]}"#,
        )?;
        let mut rows = Vec::new();
        collect(dir.path(), SystemTime::UNIX_EPOCH, &mut rows)?;
        assert_eq!(rows.len(), 1);
        let roof = Roofline {
            flops: 2e9,
            bytes: 1e9,
        };
        let (rate, share) = rows[0].rate(roof).ok_or("the work was said")?;
        assert_eq!(rate, "1.0 GFLOP/s");
        assert!((share - 0.5).abs() < 1e-12);
        assert!(json_lines(&rows, roof, 2).starts_with('{'));
        Ok(())
    }
}
