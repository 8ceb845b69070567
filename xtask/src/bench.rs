//! `cargo xtask bench`: runs `gradus-bench`, and beside it the peers asked for, and prints one table in which every workload
//! stands beside the other libraries and what the machine can do at most.
//!
//! Whole processes take turns: a thread pool that still spins would disturb whoever is measured next in the same process, and a
//! machine that grows slower or faster does so for all. A ratio is formed within a round; the table gives the median over the
//! rounds and the lowest and highest. Work is held against the FMA peak where a workload says its floating-point operations,
//! against the memory bandwidth where it says its bytes (above 100 % the data lay in a cache).

use crate::picture;
use crate::roofline::{self, Roofline};
use clap::Args;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Measures the workloads FILTER names, beside other libraries if asked for, as shares of the roofline.
#[derive(Debug, Args)]
pub struct Options {
    /// A suite, a group or a part of names: `gemm`, `conv`, `ops`, `small`, `models`, `resnet`; several separated by commas
    filter: Option<String>,
    /// Threads the kernels may use [default: every core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// `f32` or `bf16`
    #[arg(long, value_name = "DTYPE", default_value = "f32")]
    dtype: String,
    /// Also write the lines of all runs to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Other libraries to run in turn: torch, ort, candle, burn, gemm (benches/peers/README.md)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    peers: Vec<String>,
    /// Seconds spent on a workload in each process
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// How often the processes take turns [default: 3 with peers, 1 without]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Draw roofline.svg and models.svg into DIR
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Print the names of the workloads and stop
    #[arg(long)]
    list: bool,
    /// On this GPU: cuda, cuda:1; it has one filter, `ladder`: matrix products and convolutions rung by rung (with the feature `cuda`)
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
}

/// One line of a bench's output.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    pub peer: String,
    pub work: String,
    #[serde(default)]
    pub group: String,
    pub med_ms: Option<f64>,
    pub p10_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub rss_mb: Option<f64>,
    pub flops: Option<f64>,
    pub bytes: Option<f64>,
    pub unit: Option<String>,
    pub error: Option<String>,
}

/// A workload over all rounds.
#[derive(Debug)]
pub struct Row {
    pub ours: Vec<Line>,
    /// By peer, one entry a round.
    pub peers: BTreeMap<String, Vec<Line>>,
}

/// Runs the benches and prints the table.
pub fn main(options: &Options) -> Result<bool, String> {
    if let Some(device) = &options.device {
        return on_gpu(device, options.filter.as_deref()).map(|()| true);
    }
    run(options)
        .map(|()| true)
        .map_err(|error| error.to_string())
}

/// The benches of a GPU.
fn on_gpu(device: &str, filter: Option<&str>) -> Result<(), String> {
    if filter.is_some_and(|filter| filter != "ladder") {
        return Err(format!(
            "--device {device}: the benches of a GPU are: ladder"
        ));
    }
    crate::ladder::run(device)
}

fn run(args: &Options) -> Fallible<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(cores);
    let isa = gradus_simd::init()?;
    build(&["--package", "gradus-benches"], "bench", None)?;
    let ours = Program::new(target_dir().join("release/gradus-bench"), &[]);
    if args.list {
        ours.run(args, threads, true)?;
        return Ok(());
    }
    let peers = args
        .peers
        .iter()
        .map(|name| peer(name, &args.dtype))
        .collect::<Fallible<Vec<_>>>()?;
    let rounds = args
        .rounds
        .unwrap_or(if peers.is_empty() { 1 } else { 3 })
        .max(1);
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut order = Vec::new();
    let mut raw = String::new();
    for _ in 0..rounds {
        for line in read(&ours.run(args, threads, false)?, &mut raw)? {
            let row = rows.entry(line.work.clone()).or_insert_with(|| {
                order.push(line.work.clone());
                Row {
                    ours: Vec::new(),
                    peers: BTreeMap::new(),
                }
            });
            row.ours.push(line);
        }
        for program in &peers {
            for line in read(&program.run(args, threads, false)?, &mut raw)? {
                // What only a peer measures has no row.
                if let Some(row) = rows.get_mut(&line.work) {
                    row.peers.entry(line.peer.clone()).or_default().push(line);
                }
            }
        }
    }
    if rows.is_empty() {
        return Err("no workload has such a name; try `cargo xtask bench --list`".into());
    }
    let roof = roofline::measure(threads);
    println!(
        "\n{isa}, {threads} threads, {}; at most {:.0} GFLOP/s (f32 FMA), {:.1} GB/s (triad), measured now\n",
        args.dtype,
        roof.flops * 1e-9,
        roof.bytes * 1e-9
    );
    let rows: Vec<Row> = order.iter().filter_map(|work| rows.remove(work)).collect();
    print!("{}", table(&rows, roof));
    if let Some(path) = &args.json {
        fs::write(path, raw)?;
        println!("written: {}", path.display());
    }
    if let Some(dir) = &args.svg {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("roofline.svg"), picture::roofline(&rows, roof))?;
        fs::write(dir.join("models.svg"), picture::bars(&rows))?;
        println!("drawn: {}/roofline.svg, models.svg", dir.display());
    }
    Ok(())
}

/// A bench to start: ours or a peer's. All take the same arguments and print the same lines.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    first: Vec<String>,
}

impl Program {
    fn new(path: PathBuf, first: &[&str]) -> Self {
        Self {
            path,
            first: first.iter().map(ToString::to_string).collect(),
        }
    }

    fn run(&self, args: &Options, threads: usize, list: bool) -> Fallible<String> {
        let mut command = Command::new(&self.path);
        let n = threads.to_string();
        command.args(&self.first).args(["--threads", &n]);
        command.args([
            "--dtype",
            &args.dtype,
            "--seconds",
            &args.seconds.to_string(),
        ]);
        command.args(&args.filter);
        for name in [
            "RAYON_NUM_THREADS",
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "MATMUL_NUM_THREADS",
        ] {
            command.env(name, &n);
        }
        command.stderr(Stdio::inherit());
        if list {
            command.arg("--list").status()?;
            return Ok(String::new());
        }
        let output = command
            .output()
            .map_err(|error| format!("{}: {error}", self.path.display()))?;
        if !output.status.success() {
            return Err(format!("{} did not run to its end", self.path.display()).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The peer of that name, built if it has to be.
fn peer(name: &str, dtype: &str) -> Fallible<Program> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/peers");
    let python = std::env::var_os("GRADUS_PEERS_PYTHON")
        .map_or_else(|| home.join("python/.venv/bin/python"), PathBuf::from);
    let script = |file: &str| home.join("python").join(file).display().to_string();
    match name {
        "torch" => Ok(Program::new(python, &[&script("bench_torch.py")])),
        "torch_compile" => Ok(Program::new(
            python,
            &[&script("bench_torch.py"), "--compile"],
        )),
        "ort" => Ok(Program::new(python, &[&script("bench_ort.py")])),
        "candle" | "burn" | "gemm" if dtype == "f32" => {
            let dir = home.join(name);
            let manifest = dir.join("Cargo.toml").display().to_string();
            let target = target_dir().join("peers");
            build(&["--manifest-path", &manifest], "release", Some(&target))?;
            let file = format!("release/gradus-peer-{name}");
            Ok(Program::new(target.join(file), &[]))
        }
        "candle" | "burn" | "gemm" => Err(format!("{name} is measured in f32 only").into()),
        _ => Err(format!(
            "no peer {name:?}: there are torch, torch_compile, ort, candle, burn and gemm"
        )
        .into()),
    }
}

fn build(what: &[&str], profile: &str, target: Option<&Path>) -> Fallible<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--profile", profile])
        .args(what);
    if let Some(target) = target {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    if cargo.status()?.success() {
        Ok(())
    } else {
        Err(format!("cargo build {} failed", what.join(" ")).into())
    }
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}

/// The lines of a bench's output, which are also kept as they are.
fn read(output: &str, raw: &mut String) -> Fallible<Vec<Line>> {
    let mut lines = Vec::new();
    for text in output.lines().filter(|l| l.starts_with('{')) {
        let line: Line = serde_json::from_str(text)?;
        if let Some(error) = &line.error {
            eprintln!("{} {}: {error}", line.peer, line.work);
        }
        raw.push_str(text);
        raw.push('\n');
        lines.push(line);
    }
    Ok(lines)
}

/// The middle of some numbers.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Row {
    /// The median over the rounds, in seconds.
    pub fn seconds(lines: &[Line]) -> Option<f64> {
        let of = |line: &Line| {
            let unit = if line.unit.as_deref() == Some("us") {
                1e-6
            } else {
                1e-3
            };
            line.med_ms.map(|t| t * unit)
        };
        median(lines.iter().filter_map(of).collect())
    }

    /// What it reaches of the roofline, with the rate as text.
    pub fn share(&self, roof: Roofline) -> Option<(String, f64)> {
        let seconds = Self::seconds(&self.ours)?;
        let line = self.ours.first()?;
        match (line.flops, line.bytes) {
            (Some(n), _) => {
                let rate = n / seconds;
                Some((format!("{:.1} GFLOP/s", rate * 1e-9), rate / roof.flops))
            }
            (_, Some(n)) => {
                let rate = n / seconds;
                Some((format!("{:.1} GB/s", rate * 1e-9), rate / roof.bytes))
            }
            _ => None,
        }
    }

    /// How many times faster than the peer: the median of the rounds, the lowest, the highest.
    fn ratio(&self, peer: &[Line]) -> Option<(f64, f64, f64)> {
        let pairs = self.ours.iter().zip(peer);
        let ratios: Vec<f64> = pairs
            .filter_map(|(ours, theirs)| Some(theirs.med_ms? / ours.med_ms?))
            .collect();
        let low = ratios.iter().copied().reduce(f64::min)?;
        let high = ratios.iter().copied().reduce(f64::max)?;
        Some((median(ratios)?, low, high))
    }
}

fn table(rows: &[Row], roof: Roofline) -> String {
    let name = |row: &Row| row.ours.first().map_or(String::new(), |l| l.work.clone());
    let width = rows.iter().map(|r| name(r).len()).max().unwrap_or(0).max(8);
    let mut out = format!(
        "{:width$}  {:>9}  {:>19}  {:>14}  {:>7}  {:>8}  beside (ratio, lowest .. highest)\n",
        "workload", "median", "p10 .. p90", "rate", "of peak", "RSS"
    );
    for row in rows {
        let Some(seconds) = Row::seconds(&row.ours) else {
            continue;
        };
        let line = &row.ours[0];
        let unit = if line.unit.as_deref() == Some("us") {
            1e-6
        } else {
            1e-3
        };
        let end = |t: Option<f64>| t.map_or("-".into(), |t| time(t * unit));
        let spread = format!("{} .. {}", end(line.p10_ms), end(line.p90_ms));
        let (rate, share) = row.share(roof).map_or_else(
            || ("-".into(), "-".into()),
            |(rate, share)| (rate, format!("{:.1} %", share * 100.0)),
        );
        let rss = line.rss_mb.map_or("-".into(), |mb| format!("{mb:.0} MB"));
        let beside: Vec<String> = row
            .peers
            .iter()
            .filter_map(|(peer, lines)| {
                let (middle, low, high) = row.ratio(lines)?;
                let theirs = time(Row::seconds(lines)?);
                Some(format!(
                    "{peer} {theirs} x{middle:.2} ({low:.2} .. {high:.2})"
                ))
            })
            .collect();
        out += &format!(
            "{:width$}  {:>9}  {spread:>19}  {rate:>14}  {share:>7}  {rss:>8}  {}\n",
            name(row),
            time(seconds),
            beside.join("; ")
        );
    }
    out
}

/// Seconds as a short text with three digits: `1.23 ms`.
pub fn time(seconds: f64) -> String {
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

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A row with one peer, measured twice.
    pub fn row(work: &str, ours: [f64; 2], theirs: [f64; 2]) -> Row {
        let line = |peer: &str, ms: f64| -> Line {
            let text = format!(
                r#"{{"suite":"fw","peer":"{peer}","work":"{work}","group":"models","threads":2,"med_ms":{ms},"flops":1e9}}"#
            );
            serde_json::from_str(&text).expect("a line")
        };
        Row {
            ours: ours.map(|ms| line("gradus", ms)).to_vec(),
            peers: [("torch".into(), theirs.map(|ms| line("torch", ms)).to_vec())].into(),
        }
    }

    #[test]
    fn times_read_well() {
        assert_eq!(time(1.234e-8), "12.3 ns");
        assert_eq!(time(2.5e-4), "250 µs");
        assert_eq!(time(1.5), "1.50 s");
    }

    #[test]
    fn ratios_are_formed_within_a_round() {
        let row = row("sq64", [1.0, 2.0], [3.0, 4.0]);
        assert_eq!(row.ratio(&row.peers["torch"]), Some((3.0, 2.0, 3.0)));
        let roof = Roofline {
            flops: 1e12,
            bytes: 1e9,
        };
        let (rate, share) = row.share(roof).expect("the work is said");
        assert_eq!(rate, "500.0 GFLOP/s");
        assert!((share - 0.5).abs() < 1e-12);
        let table = table(&[row], roof);
        assert!(table.contains("x3.00 (2.00 .. 3.00)"), "{table}");
    }

    #[test]
    fn lines_are_read_and_kept() {
        let mut raw = String::new();
        let output = "warning: something\n{\"peer\":\"torch\",\"work\":\"sq64\",\"med_ms\":1.5}\n";
        let lines = read(output, &mut raw).expect("a line of JSON");
        assert_eq!((lines.len(), lines[0].med_ms), (1, Some(1.5)));
        assert_eq!(raw.lines().count(), 1);
    }
}
