//! A workload and its timing: as `benches/peers/python/common.py` times the peers, so that the numbers compare.

use gradus_tensor::Result;
use std::time::Instant;

/// What a step does, for the share of the roofline.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// Floating-point operations.
    Flops(f64),
    /// Bytes read and written, each once.
    Bytes(f64),
    /// Both, or hard to say.
    Unsaid,
}

/// The step that is timed.
pub type Step = Box<dyn FnMut() -> Result<()>>;

/// Something to measure.
pub struct Workload {
    /// `gemm` for bare products, `fw` for what a framework does.
    pub suite: &'static str,
    /// The family it is chosen by.
    pub group: &'static str,
    /// The peers' name of it.
    pub name: String,
    pub work: Work,
    /// Operations in one step: times are given for one of them.
    pub per_step: usize,
    /// Microseconds instead of milliseconds (names ending in `_us`).
    pub micro: bool,
    /// Makes operands and model; the step it returns is timed.
    pub start: Box<dyn FnOnce() -> Result<Step>>,
}

impl Workload {
    /// One of the framework suite, timed as it is.
    pub fn new(
        group: &'static str,
        name: impl Into<String>,
        work: Work,
        start: impl FnOnce() -> Result<Step> + 'static,
    ) -> Self {
        Self {
            suite: "fw",
            group,
            name: name.into(),
            work,
            per_step: 1,
            micro: false,
            start: Box::new(start),
        }
    }

    /// Is it one of those `part` names?
    pub fn is_called(&self, part: &str) -> bool {
        self.suite == part || self.group == part || self.name.contains(part)
    }

    /// Runs it for about `seconds` and returns the line of JSON.
    pub fn measure(self, threads: usize, dtype: &str, seconds: f64) -> String {
        let (suite, work, group) = (self.suite, self.name.clone(), self.group);
        let mut line = serde_json::json!({
            "suite": suite, "peer": "gradus", "work": work, "threads": threads, "dtype": dtype, "group": group,
        });
        match self.work {
            Work::Flops(n) => line["flops"] = n.into(),
            Work::Bytes(n) => line["bytes"] = n.into(),
            Work::Unsaid => {}
        }
        let scale = if self.micro { 1e3 } else { 1.0 } / self.per_step as f64;
        match (self.start)().and_then(|step| times(step, seconds)) {
            Ok(mut ms) => {
                ms.sort_by(f64::total_cmp);
                let at = |q: f64| {
                    let i = (q * ms.len() as f64) as usize;
                    let exact = ms[i.min(ms.len() - 1)] * scale;
                    (exact * 1e6).round() / 1e6
                };
                line["med_ms"] = at(0.5).into();
                line["p10_ms"] = at(0.1).into();
                line["p90_ms"] = at(0.9).into();
                line["reps"] = ms.len().into();
                if self.micro {
                    line["unit"] = "us".into();
                }
            }
            Err(error) => line["error"] = error.to_string().into(),
        }
        if let Some(rss) = peak_rss_mb() {
            line["rss_mb"] = rss.into();
        }
        line.to_string()
    }
}

/// Milliseconds of a step: two to warm up, one to choose how many make 2 ms, then at least 5 such samples.
fn times(mut step: Step, seconds: f64) -> Result<Vec<f64>> {
    step()?;
    step()?;
    let start = Instant::now();
    step()?;
    let one = start.elapsed().as_secs_f64().max(1e-7);
    let inner = ((2e-3 / one) as usize).max(1);
    let samples = ((seconds / (one * inner as f64)) as usize).clamp(5, 200);
    let mut out = Vec::with_capacity(samples);
    for _ in 0..samples {
        let start = Instant::now();
        for _ in 0..inner {
            step()?;
        }
        out.push(start.elapsed().as_secs_f64() / inner as f64 * 1e3);
    }
    Ok(out)
}

/// The most memory this process ever held, in MiB, where the system says.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some((kib / 102.4).round() / 10.0)
}
