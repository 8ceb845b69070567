//! Progress: a bar on the terminal while an epoch runs, one plain line when it is over.
//!
//! Where there is no terminal (a log file, a pipe) the bar becomes a plain line now and then. Lines go to standard output, the
//! bar to standard error, so output that is piped on stays clean.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a plain line is written within an epoch when there is no bar.
const PLAIN_EVERY: Duration = Duration::from_secs(15);

/// Shows how far an epoch has come.
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    total: u64,
    last_line: Instant,
}

impl Progress {
    /// A bar of `total` steps where standard error is a terminal, else plain lines; silent when not `shown`.
    pub fn start(label: impl Into<String>, total: u64, done: u64, shown: bool) -> Self {
        let label = label.into();
        let bar = (shown && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total);
            let template = "{prefix}  {bar:24.cyan/dim} {percent:>3} %  {msg}  eta {eta}";
            // The template is a constant and well-formed; were it not, the plain style would do.
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─");
            bar.set_style(style);
            bar.set_prefix(label.clone());
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        let plain = shown && bar.is_none();
        let total = if plain { total } else { 0 };
        Self {
            bar,
            label,
            total,
            last_line: Instant::now(),
        }
    }

    /// `done` steps are over; `message` says how it goes.
    pub fn update(&mut self, done: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            // Drawn at most 20 times a second; formatting oftener would be for nobody.
            if self.last_line.elapsed() > Duration::from_millis(50) {
                bar.set_message(message());
                self.last_line = Instant::now();
            }
        } else if self.total > 0 && self.last_line.elapsed() > PLAIN_EVERY {
            let percent = 100 * done / self.total;
            say(&format!("{}  {percent:>3} %  {}", self.label, message()));
            self.last_line = Instant::now();
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line to standard output at once. A reader that has gone (`| head`) is no reason to stop training.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A whole number with commas, 12345 as `12,345`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Seconds as `4.2 s` or `3:07`.
pub fn clock(seconds: f64) -> String {
    if seconds < 100.0 {
        return format!("{seconds:.1} s");
    }
    let s = seconds.round() as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let numbers: Vec<String> = [0, 999, 1000, 1234567].map(thousands).into();
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [4.21, 187.0, 7322.0].map(clock),
            ["4.2 s", "3:07", "2:02:02"]
        );
    }
}
