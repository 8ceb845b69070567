//! The bench's pictures, as SVG by hand: kernels under the roofline, models as bars beside their peers.
//!
//! Not a plotting library. The roofline has one axis less than the textbook's: a workload says its operations or its bytes, never
//! both, so each is a point at the bound that holds it, and its height is the share it reaches.

use crate::bench::{Row, time};
use crate::roofline::Roofline;
use std::fmt::Write as _;

const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:12px;fill:#1f2328}\
.paper{fill:#fff}.title{font-size:18px;font-weight:600}.sub{fill:#59636e}\
.roof{stroke:#8c959f;stroke-width:1.5;stroke-dasharray:4 3}.p0,.b0{fill:#0969da}.p1{fill:#d1570c}\
.b1{fill:#d1570c}.b2{fill:#1a7f37}.b3{fill:#8250df}.b4{fill:#8c959f}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.sub{fill:#9198a1}}";

fn open(width: f64, height: f64, title: &str, subtitle: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"24\" y=\"34\">{title}</text>\n<text class=\"sub\" x=\"24\" y=\"54\">{subtitle}</text>\n"
    )
}

/// Every workload that says its work, as a bar up to the roof: arithmetic first, then memory.
pub fn roofline(rows: &[Row], roof: Roofline) -> String {
    const LEFT: f64 = 230.0;
    const WIDTH: f64 = 520.0; // from 0 to 125 %
    let mut rows: Vec<(bool, String, String, f64)> = rows
        .iter()
        .filter_map(|row| {
            let line = row.ours.first()?;
            let (rate, share) = row.share(roof)?;
            Some((line.flops.is_none(), line.work.clone(), rate, share))
        })
        .collect();
    rows.sort_by_key(|row| row.0);
    let height = 96.0 + 20.0 * rows.len() as f64;
    let subtitle = format!(
        "the line: {:.0} GFLOP/s of f32 FMA (blue), {:.1} GB/s of memory (orange; beyond it the data lay in a cache)",
        roof.flops * 1e-9,
        roof.bytes * 1e-9
    );
    let mut svg = open(900.0, height, "Kernels under the roofline", &subtitle);
    let x = |share: f64| LEFT + WIDTH * share.min(1.25) / 1.25;
    let _ = writeln!(
        svg,
        "<line class=\"roof\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"68\" y2=\"{1:.1}\"/>",
        x(1.0),
        height - 12.0
    );
    for (i, (memory, work, rate, share)) in rows.iter().enumerate() {
        let y = 84.0 + 20.0 * i as f64;
        let _ = writeln!(
            svg,
            "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{work}</text>\
             <circle class=\"p{}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>\
             <text class=\"sub\" x=\"{:.1}\" y=\"{:.1}\">{rate}, {:.0} %</text>",
            LEFT - 10.0,
            y + 4.0,
            u8::from(*memory),
            x(*share),
            x(*share) + 10.0,
            y + 4.0,
            share * 100.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// One group of bars a model: ours and the peers', as times relative to the slowest.
pub fn bars(rows: &[Row]) -> String {
    const LEFT: f64 = 270.0;
    const WIDTH: f64 = 420.0;
    let mut body = String::new();
    let mut y = 76.0;
    let models = rows
        .iter()
        .filter(|row| row.ours.first().is_some_and(|line| line.group == "models"));
    for row in models {
        let Some(ours) = Row::seconds(&row.ours) else {
            continue;
        };
        let mut all = vec![("gradus", ours)];
        all.extend(
            row.peers
                .iter()
                .filter_map(|(peer, lines)| Some((peer.as_str(), Row::seconds(lines)?))),
        );
        let most = all.iter().map(|(_, s)| *s).fold(0.0, f64::max);
        let _ = writeln!(
            body,
            "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 14.0,
            y + 11.0,
            row.ours[0].work
        );
        for (i, (peer, seconds)) in all.iter().enumerate() {
            let width = WIDTH * seconds / most;
            let _ = writeln!(
                body,
                "<rect class=\"b{}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"13\" rx=\"2\"/>\
                 <text class=\"sub\" x=\"{:.1}\" y=\"{:.1}\">{peer} {}</text>",
                i.min(4),
                LEFT + width + 8.0,
                y + 11.0,
                time(*seconds)
            );
            y += 17.0;
        }
        y += 12.0;
    }
    let mut svg = open(
        900.0,
        y + 12.0,
        "Whole models",
        "time of a step; shorter is better",
    );
    svg += &body;
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tests::row;

    #[test]
    fn pictures_show_every_row() {
        let rows = [row("resnet18_224_fwd_b1", [1.0, 1.0], [2.0, 2.0])];
        let roof = Roofline {
            flops: 2e12,
            bytes: 1e10,
        };
        let points = roofline(&rows, roof);
        assert!(points.contains("resnet18_224_fwd_b1") && points.contains("1000.0 GFLOP/s, 50 %"));
        let bars = bars(&rows);
        assert!(bars.contains("gradus 1.00 ms") && bars.contains("torch 2.00 ms"));
        assert!(bars.contains("width=\"210.0\"") && bars.contains("width=\"420.0\""));
    }
}
