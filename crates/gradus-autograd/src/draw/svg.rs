//! The picture: rounded boxes, curves between them, everything in one SVG element.

use std::fmt::Write;

use super::Drawing;
use super::layout::{LINE, WIDTH, arrange};

/// Green for leaves, orange for the result, blue between.
pub(super) fn color(drawing: &Drawing, i: usize) -> &'static str {
    match &drawing.boxes[i] {
        b if b.leaf => "#dff2df",
        _ if i + 1 == drawing.boxes.len() => "#ffe6cc",
        _ => "#e3edfa",
    }
}

pub(super) fn write(drawing: &Drawing) -> String {
    let layout = arrange(drawing);
    let (width, height) = layout.size;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let tall = |i: usize| {
        drawing
            .boxes
            .get(i)
            .map_or(0.0, |b| b.lines.len() as f64 * LINE + 12.0)
    };
    for way in &layout.edges {
        let mut path = String::new();
        for pair in way.windows(2) {
            let ((x0, y0), (x1, y1)) = (layout.at[pair[0]], layout.at[pair[1]]);
            let y0 = y0 + tall(pair[0]);
            let bend = (y1 - y0) / 2.0;
            if path.is_empty() {
                let _ = write!(path, "M{x0:.1},{y0:.1}");
            }
            let _ = write!(
                path,
                " C{x0:.1},{:.1} {x1:.1},{:.1} {x1:.1},{y1:.1}",
                y0 + bend,
                y1 - bend
            );
            if drawing.boxes.get(pair[1]).is_some() {
                // The arrow's head.
                let _ = write!(
                    path,
                    " M{:.1},{:.1} L{x1:.1},{y1:.1} L{:.1},{:.1}",
                    x1 - 4.0,
                    y1 - 7.0,
                    x1 + 4.0,
                    y1 - 7.0
                );
            }
        }
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"#667788\"/>");
    }
    for (i, b) in drawing.boxes.iter().enumerate() {
        let (x, y) = layout.at[i];
        let (left, tall, color) = (x - WIDTH / 2.0, tall(i), color(drawing, i));
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{tall}\" rx=\"6\" fill=\"{color}\" stroke=\"#667788\"/>"
        );
        for (k, line) in b.lines.iter().enumerate() {
            let weight = if k == 0 { " font-weight=\"bold\"" } else { "" };
            let baseline = y + 6.0 + LINE * (k as f64 + 0.75);
            let text = line
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{baseline:.1}\" text-anchor=\"middle\"{weight}>{text}</text>"
            );
        }
    }
    svg + "</svg>\n"
}
