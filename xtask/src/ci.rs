//! `cargo xtask ci`: formatting, lints, tests; counts the tests that ran and those that were skipped.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Everything that has to pass before a merge: format, lints, tests
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Run only these steps: fmt, clippy, test, plain, doc
    steps: Vec<String>,
}

/// Runs the steps, all of them even if one fails; `Ok(true)` when all passed.
pub fn main(options: &Options) -> Result<bool, String> {
    let steps: [(&str, &[&str]); 5] = [
        ("fmt", &["fmt", "--all", "--check"]),
        (
            "clippy",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        (
            "test",
            &[
                "test",
                "--workspace",
                "--no-fail-fast",
                "--",
                "--show-output",
            ],
        ),
        // Tests are built with the GPU's arms, on the stand-in for one; the command as users build it is not.
        ("plain", &["check", "--package", "gradus"]),
        ("doc", &["doc", "--workspace", "--no-deps"]),
    ];
    let unknown = options
        .steps
        .iter()
        .find(|s| !steps.iter().any(|(name, _)| name == s));
    if let Some(unknown) = unknown {
        return Err(format!(
            "no step {unknown:?}; there are fmt, clippy, test, plain and doc"
        ));
    }
    let nvrtc = crate::nvrtc::provide();
    if let Err(why) = &nvrtc {
        println!(
            "no NVRTC or no nvdisasm, so kernels are not compiled for real GPUs, or not looked at: {why}"
        );
    }
    let mut lines = Vec::new();
    let mut good = true;
    for (name, arguments) in steps {
        if !options.steps.is_empty() && !options.steps.iter().any(|s| s == name) {
            continue;
        }
        println!("== cargo {}", arguments.join(" "));
        let started = Instant::now();
        let mut counts = Counts::default();
        let is_test = name == "test";
        let passed = step(arguments, is_test, &mut counts)?;
        good &= passed;
        let word = if passed { "passed" } else { "FAILED" };
        let tail = if is_test {
            format!(": {counts}")
        } else {
            String::new()
        };
        lines.push(format!(
            "{name}: {word} in {:.0} s{tail}",
            started.elapsed().as_secs_f64()
        ));
    }
    println!("== summary\n{}", lines.join("\n"));
    Ok(good)
}

/// Tests as libtest and our own "skipped: why" lines count them.
#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    /// Names of failed tests, and cargo's of the targets they were in (or of one that died and could name no test).
    failures: Vec<String>,
    ignored: Vec<String>,
    skipped: Vec<String>,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let run = self.passed + self.failed - self.skipped.len().min(self.passed);
        let skipped = self.skipped.len() + self.ignored.len();
        write!(
            f,
            "{run} tests ran ({} failed), {skipped} skipped",
            self.failed
        )?;
        for failure in &self.failures {
            write!(f, "\n  FAILED: {failure}")?;
        }
        for (how, all) in [("skipped", &self.skipped), ("ignored", &self.ignored)] {
            let mut reasons: Vec<_> = all.iter().collect();
            reasons.sort();
            for same in reasons.chunk_by(|a, b| a == b) {
                write!(f, "\n  {} {how}: {}", same.len(), same[0])?;
            }
        }
        Ok(())
    }
}

impl Counts {
    fn line(&mut self, line: &str) {
        // "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …"
        if let Some(result) = line.strip_prefix("test result:") {
            let number = |word: &str| {
                let before = result.split(word).next().filter(|_| result.contains(word));
                before
                    .and_then(|s| s.split_whitespace().last()?.parse::<usize>().ok())
                    .unwrap_or(0)
            };
            self.passed += number(" passed");
            self.failed += number(" failed");
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|test| test.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_string());
        } else if let Some((_, why)) = line
            .strip_prefix("test ")
            .and_then(|test| test.split_once(" ... ignored"))
        {
            // "test path::name ... ignored, its reason"
            let why = why.strip_prefix(", ").unwrap_or("no reason is given");
            self.ignored.push(why.trim().to_string());
        } else if let Some(reason) = line.strip_prefix("skipped: ") {
            self.skipped.push(reason.trim().to_string());
        }
    }

    /// Cargo's own words, which come by the other stream: "error: 2 targets failed:", then "    `-p crate --test name`".
    fn cargo_line(&mut self, line: &str) {
        let target = line.strip_prefix("    `-p ");
        if let Some(target) = target.and_then(|t| t.strip_suffix('`')) {
            self.failures.push(format!("-p {target}"));
        } else if line.contains("process didn't exit successfully") && line.contains("(signal: ") {
            self.failures.push(line.trim().to_string());
        }
    }
}

/// One cargo call. With `count`, its output is read on the way; of a passing test's output the counts and skip lines are kept.
fn step(arguments: &[&str], count: bool, counts: &mut Counts) -> Result<bool, String> {
    let fail = |e: std::io::Error| format!("cannot run cargo {}: {e}", arguments.join(" "));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments);
    if arguments[0] == "doc" {
        command.env("RUSTDOCFLAGS", "-D warnings");
    }
    if !count {
        return Ok(command.status().map_err(fail)?.success());
    }
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(fail)?;
    let said = child.stderr.take().map(|err| {
        std::thread::spawn(move || {
            let lines = BufReader::new(err).lines().map_while(Result::ok);
            lines.inspect(|line| eprintln!("{line}")).collect()
        })
    });
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line.map_err(fail)?;
            counts.line(&line);
            println!("{line}");
        }
    }
    let said: Vec<String> = said.map_or(Vec::new(), |t| t.join().unwrap_or_default());
    said.iter().for_each(|line| counts.cargo_line(line));
    Ok(child.wait().map_err(fail)?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_libtest_prints() {
        let mut counts = Counts::default();
        counts.line("test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        counts.line("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        counts.line("test layers::linear ... FAILED");
        counts.cargo_line("error: 1 target failed:");
        counts.cargo_line("    `-p gradus-nn --test layers`");
        counts.line("skipped: no GRADUS_VECTORS");
        counts.line("test accuracy::all ... ignored, runs all 2^32 inputs");
        counts.line("test src/lib.rs - f (line 3) ... ignored");
        assert_eq!(
            counts.to_string(),
            "15 tests ran (1 failed), 3 skipped\n  FAILED: layers::linear\n  FAILED: -p gradus-nn --test layers\n  1 skipped: no GRADUS_VECTORS\n  1 ignored: no reason is given\n  1 ignored: runs all 2^32 inputs"
        );
    }
}
