//! What the peers written in Rust have in common: arguments, timing and the line of JSON, as `gradus-bench` has them.

use std::time::Instant;

/// The arguments of a bench, and its name.
pub struct Bench {
    peer: &'static str,
    filter: String,
    pub threads: usize,
    seconds: f64,
}

/// What a step does, for the share of the roofline.
#[derive(Clone, Copy)]
pub enum Work {
    Flops(f64),
    Bytes(f64),
    Unsaid,
}

impl Bench {
    /// Reads `[FILTER] --threads N --seconds S --dtype f32`.
    pub fn new(peer: &'static str) -> Self {
        let mut bench = Self {
            peer,
            filter: String::new(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            seconds: 1.0,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_default();
            match arg.as_str() {
                "--threads" => bench.threads = value().parse().expect("a number of threads"),
                "--seconds" => bench.seconds = value().parse().expect("a number of seconds"),
                "--dtype" => assert_eq!(value(), "f32", "this peer is measured in f32"),
                _ => bench.filter = arg,
            }
        }
        bench
    }

    /// Measures what `start` returns, if the filter names it, and prints the line.
    pub fn run<E: std::fmt::Display, F: FnMut() -> Result<(), E>>(
        &self,
        (suite, group): (&str, &str),
        name: &str,
        work: Work,
        start: impl FnOnce() -> Result<F, E>,
    ) {
        self.run_many(suite, group, name, work, 1, start);
    }

    /// As `run`, for a step of so many operations that is told in microseconds an operation.
    pub fn micro<E: std::fmt::Display, F: FnMut() -> Result<(), E>>(
        &self,
        name: &str,
        per_step: usize,
        start: impl FnOnce() -> Result<F, E>,
    ) {
        self.run_many("fw", "small", name, Work::Unsaid, per_step, start);
    }

    fn run_many<E: std::fmt::Display, F: FnMut() -> Result<(), E>>(
        &self,
        suite: &str,
        group: &str,
        name: &str,
        work: Work,
        per_step: usize,
        start: impl FnOnce() -> Result<F, E>,
    ) {
        let is_wanted = |part: &str| part == suite || part == group || name.contains(part);
        if !self.filter.split(',').any(is_wanted) {
            return;
        }
        let micro = name.ends_with("_us");
        let scale = if micro { 1e3 } else { 1.0 } / per_step as f64;
        let what = match start().and_then(|step| times(step, self.seconds)) {
            Ok(mut ms) => {
                ms.sort_by(f64::total_cmp);
                let at = |q: f64| ms[((q * ms.len() as f64) as usize).min(ms.len() - 1)] * scale;
                let unit = if micro { ",\"unit\":\"us\"" } else { "" };
                format!(
                    "\"med_ms\":{:.6},\"p10_ms\":{:.6},\"p90_ms\":{:.6},\"reps\":{}{unit}",
                    at(0.5),
                    at(0.1),
                    at(0.9),
                    ms.len()
                )
            }
            Err(error) => format!("\"error\":{:?}", error.to_string()),
        };
        let work = match work {
            Work::Flops(n) => format!(",\"flops\":{n}"),
            Work::Bytes(n) => format!(",\"bytes\":{n}"),
            Work::Unsaid => String::new(),
        };
        println!(
            "{{\"suite\":\"{suite}\",\"peer\":\"{}\",\"work\":\"{name}\",\"threads\":{},\"dtype\":\"f32\",\
             \"group\":\"{group}\",{what},\"rss_mb\":{:.1}{work}}}",
            self.peer,
            self.threads,
            peak_rss_mb()
        );
    }
}

fn times<E>(mut step: impl FnMut() -> Result<(), E>, seconds: f64) -> Result<Vec<f64>, E> {
    step()?;
    step()?;
    let start = Instant::now();
    step()?;
    let one = start.elapsed().as_secs_f64().max(1e-7);
    let inner = ((2e-3 / one) as usize).max(1);
    let samples = ((seconds / (one * inner as f64)) as usize).clamp(5, 200);
    let mut out = Vec::new();
    for _ in 0..samples {
        let start = Instant::now();
        for _ in 0..inner {
            step()?;
        }
        out.push(start.elapsed().as_secs_f64() / inner as f64 * 1e3);
    }
    Ok(out)
}

fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
