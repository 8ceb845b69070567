//! Text for Graphviz' `dot`.

use std::fmt::Write;

use super::Drawing;

pub(super) fn write(drawing: &Drawing) -> String {
    let mut text = String::from(
        "digraph gradus {\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n",
    );
    for (i, b) in drawing.boxes.iter().enumerate() {
        let label = b
            .lines
            .iter()
            .map(|line| quoted(line))
            .collect::<Vec<_>>()
            .join("\\n");
        let color = super::svg::color(drawing, i);
        let _ = writeln!(text, "  n{i} [label=\"{label}\", fillcolor=\"{color}\"];");
        for input in &b.inputs {
            let _ = writeln!(text, "  n{input} -> n{i};");
        }
    }
    text + "}\n"
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
