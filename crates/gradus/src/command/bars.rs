//! The likeliest classes as bars.

use gradus_train::progress::say;

/// Says the `most` likeliest classes: name, bar, percentage.
pub fn show<S: AsRef<str>>(probabilities: &[f32], classes: &[S], most: usize) {
    const WIDTH: f32 = 40.0;
    let order = order(probabilities);
    let shown = &order[..order.len().min(classes.len()).min(most)];
    let name = |class: usize| classes.get(class).map_or("", AsRef::as_ref);
    let width = shown.iter().map(|&class| name(class).chars().count()).max();
    let width = width.unwrap_or(1);
    for &class in shown {
        let p = probabilities[class];
        say(&format!(
            "  {:>width$}  {:40}  {:5.1} %",
            name(class),
            bar(p * WIDTH),
            100.0 * p
        ));
    }
}

/// The classes from the likeliest down.
pub fn order(probabilities: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    order
}

/// A bar so many characters long, to an eighth of one.
fn bar(length: f32) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (length * 8.0).round().max(0.0) as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(PARTS[eighths % 8]);
    if bar.is_empty() { "▏".into() } else { bar }
}
