//! Line charts as SVG, by hand: a few panels side by side, lines labelled where they end.
//!
//! It is not a plotting library. It draws what a training run has to show, readable at a glance, in the light and in the
//! dark, with no dependency. Ticks follow Heckbert, "Nice numbers for graph labels" (Graphics Gems, 1990).

use std::fmt::Write as _;
use std::path::Path;

use crate::error::Result;
use crate::files;

/// A titled row of panels.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The headline.
    pub title: String,
    /// A line of facts under it.
    pub subtitle: String,
    /// The panels, left to right.
    pub panels: Vec<Panel>,
}

/// One pair of axes with its lines.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What the vertical axis shows.
    pub title: String,
    /// What the horizontal axis shows.
    pub x_title: String,
    /// Written after values, as in `%`.
    pub unit: String,
    /// The lines; empty ones are left out.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its label.
    pub name: String,
    /// Its points (x, y), x ascending.
    pub points: Vec<(f64, f64)>,
}

const PANEL_WIDTH: f64 = 505.0;
const PANEL_HEIGHT: f64 = 300.0;
const TOP: f64 = 92.0; // title and subtitle
const LEFT: f64 = 58.0; // tick labels
const RIGHT: f64 = 140.0; // line labels
const BOTTOM: f64 = 58.0;

const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:#1f2328}\
.paper{fill:#fff}.title{font-size:20px;font-weight:600}.sub{font-size:13px;fill:#59636e}\
.head{font-size:14px;font-weight:600}.tick{font-size:12px;fill:#59636e;font-variant-numeric:tabular-nums}\
.grid{stroke:#e4e7eb;stroke-width:1}.axis{stroke:#8c959f;stroke-width:1}\
.line{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}\
.label{font-size:12.5px;font-weight:600;font-variant-numeric:tabular-nums}\
.s0{stroke:#0969da}.f0{fill:#0969da}.s1{stroke:#d1570c}.f1{fill:#d1570c}\
.s2{stroke:#1a7f37}.f2{fill:#1a7f37}.s3{stroke:#8250df}.f3{fill:#8250df}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.sub,.tick{fill:#9198a1}\
.grid{stroke:#21262d}.axis{stroke:#59636e}.s0{stroke:#4493f8}.f0{fill:#4493f8}.s1{stroke:#f0883e}.f1{fill:#f0883e}\
.s2{stroke:#3fb950}.f2{fill:#3fb950}.s3{stroke:#ab7df8}.f3{fill:#ab7df8}}";

impl Chart {
    /// The picture as an SVG document.
    pub fn to_svg(&self) -> String {
        let width = PANEL_WIDTH * self.panels.len().max(1) as f64 + 24.0;
        let height = TOP + PANEL_HEIGHT + BOTTOM;
        let mut svg = String::new();
        // Writing to a String never fails.
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\n\
             <style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n\
             <text class=\"title\" x=\"24\" y=\"36\">{title}</text>\n\
             <text class=\"sub\" x=\"24\" y=\"57\">{subtitle}</text>\n",
            label = escape(&self.title),
            title = escape(&self.title),
            subtitle = escape(&self.subtitle),
        );
        for (i, panel) in self.panels.iter().enumerate() {
            panel.draw(&mut svg, PANEL_WIDTH * i as f64);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Writes [`Chart::to_svg`] to a file, all or nothing.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write(path.as_ref(), self.to_svg().as_bytes())
    }
}

impl Panel {
    fn draw(&self, svg: &mut String, x0: f64) {
        let (left, right) = (x0 + LEFT, x0 + PANEL_WIDTH - RIGHT);
        let (top, bottom) = (TOP + 16.0, TOP + PANEL_HEIGHT);
        let (x_axis, y_axis) = self.axes();
        let px = |x: f64| left + (x - x_axis.low) / (x_axis.high - x_axis.low) * (right - left);
        let py = |y: f64| bottom - (y - y_axis.low) / (y_axis.high - y_axis.low) * (bottom - top);

        let title = escape(&self.title);
        let _ = writeln!(
            svg,
            "<text class=\"head\" x=\"{left:.1}\" y=\"{y:.1}\">{title}</text>",
            y = top - 14.0
        );
        for y in y_axis.ticks() {
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>\
                 <text class=\"tick\" text-anchor=\"end\" x=\"{1:.1}\" y=\"{2:.1}\">{3}{4}</text>",
                py(y),
                left - 9.0,
                py(y) + 4.0,
                y_axis.label(y),
                escape(&self.unit),
            );
        }
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{bottom:.1}\" y2=\"{bottom:.1}\"/>"
        );
        for x in x_axis.ticks() {
            let _ = writeln!(
                svg,
                "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                px(x),
                bottom + 19.0,
                x_axis.label(x),
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            f64::midpoint(left, right),
            bottom + 40.0,
            escape(&self.x_title),
        );

        // Lines, then their labels at the right, pushed apart where they would overlap.
        let mut labels: Vec<(f64, usize, String)> = Vec::new();
        for (i, series) in self.series.iter().enumerate() {
            let Some(&(last_x, last_y)) = series.points.last() else {
                continue;
            };
            let mut path = String::new();
            for (j, &(x, y)) in series.points.iter().enumerate() {
                let pen = if j == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{pen}{:.1} {:.1}", px(x), py(y));
            }
            let color = i % 4;
            let _ = writeln!(
                svg,
                "<path class=\"line s{color}\" d=\"{path}\"/>\
                 <circle class=\"f{color}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>",
                px(last_x),
                py(last_y),
            );
            let name = escape(&series.name);
            let text = format!("{name} {}{}", significant(last_y), escape(&self.unit));
            labels.push((py(last_y) + 4.0, color, text));
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        for i in 1..labels.len() {
            labels[i].0 = labels[i].0.max(labels[i - 1].0 + 16.0);
        }
        // If that pushed the last one below the axis, push the others up from there.
        let mut floor = bottom + 4.0;
        for label in labels.iter_mut().rev() {
            label.0 = label.0.min(floor);
            floor = label.0 - 16.0;
        }
        for (y, color, text) in labels {
            let _ = writeln!(
                svg,
                "<text class=\"label f{color}\" x=\"{:.1}\" y=\"{y:.1}\">{text}</text>",
                right + 9.0
            );
        }
    }

    fn axes(&self) -> (Axis, Axis) {
        let points = || self.series.iter().flat_map(|s| s.points.iter());
        let range = |value: fn(&(f64, f64)) -> f64| {
            points()
                .map(value)
                .filter(|v| v.is_finite())
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                    (low.min(v), high.max(v))
                })
        };
        let (x_low, x_high) = range(|p| p.0);
        let (mut y_low, y_high) = range(|p| p.1);
        // A loss belongs on an axis from zero; percentages show where they differ.
        if self.unit != "%" && y_low > 0.0 {
            y_low = 0.0;
        }
        let mut y_axis = Axis::new(y_low, y_high, 6, 0.0, true);
        if self.unit == "%" {
            y_axis.high = y_axis.high.min(100.0);
        }
        (Axis::new(x_low, x_high, 8, 1.0, false), y_axis)
    }
}

/// A range and the distance of its ticks.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// About `count` ticks at 1, 2 or 5 times a power of ten, no closer than `least`; `round` widens the range to whole ticks.
    fn new(low: f64, high: f64, count: usize, least: f64, round: bool) -> Self {
        let (mut low, mut high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if high - low <= 1e-12 * high.abs().max(1e-300) {
            // One point (or a flat line): room around it.
            let room = (high.abs() * 0.05).max(0.5);
            (low, high) = (low - room, high + room);
        }
        let raw = ((high - low) / count as f64).max(least);
        let power = 10f64.powf(raw.log10().floor());
        let step = power
            * match raw / power {
                r if r <= 1.0 => 1.0,
                r if r <= 2.0 => 2.0,
                r if r <= 5.0 => 5.0,
                _ => 10.0,
            };
        if round {
            (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        }
        Self { low, high, step }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let first = (self.low / self.step - 1e-9).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        let step = self.step;
        (first..=last).map(move |i| i as f64 * step)
    }

    fn label(&self, value: f64) -> String {
        let digits = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        format!("{value:.digits$}")
    }
}

/// Three significant digits without an exponent where that reads well.
fn significant(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 10.0 {
        format!("{value:.2}")
    } else if magnitude >= 1e-3 || magnitude == 0.0 {
        format!("{value:.4}")
    } else {
        format!("{value:.2e}")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_nice_and_cover_the_range() {
        let axis = Axis::new(0.0, 2.31, 6, 0.0, true);
        let ticks: Vec<String> = axis.ticks().map(|t| axis.label(t)).collect();
        assert_eq!(ticks, ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        let epochs = Axis::new(1.0, 3.0, 8, 1.0, false);
        assert_eq!(epochs.ticks().collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
        assert!(Axis::new(f64::INFINITY, f64::NEG_INFINITY, 6, 0.0, true).high > 0.0);
        let point = Axis::new(1.0, 1.0, 8, 1.0, false);
        assert_eq!(point.ticks().collect::<Vec<_>>(), [1.0]);
    }

    #[test]
    fn awkward_input_still_draws() {
        let panel = |points: Vec<(f64, f64)>| Panel {
            title: "a<b".into(),
            x_title: "epoch".into(),
            unit: "%".into(),
            series: vec![Series {
                name: "x".into(),
                points,
            }],
        };
        for points in [vec![], vec![(1.0, 0.0)], vec![(1.0, 97.5), (2.0, 99.0)]] {
            let chart = Chart {
                title: "t & t".into(),
                subtitle: String::new(),
                panels: vec![panel(points)],
            };
            let svg = chart.to_svg();
            assert!(svg.contains("t &amp; t") && svg.contains("a&lt;b"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
    }
}
