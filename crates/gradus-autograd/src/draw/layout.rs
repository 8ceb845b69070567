//! Where the boxes go: layers by longest path, fewer crossings by sorting each layer by the average of its neighbours.
//!
//! Edges over several layers pass through a point in each, which takes part in the sorting.

use super::Drawing;

pub(super) const WIDTH: f64 = 150.0;
pub(super) const LINE: f64 = 16.0;
const GAP_X: f64 = 24.0;
const GAP_Y: f64 = 42.0;

/// Boxes first, then the points that long edges pass through.
pub(super) struct Layout {
    /// Middle of the top, for each box and point.
    pub(super) at: Vec<(f64, f64)>,
    /// Each edge as the boxes and points it runs through, downwards.
    pub(super) edges: Vec<Vec<usize>>,
    pub(super) size: (f64, f64),
}

pub(super) fn arrange(drawing: &Drawing) -> Layout {
    let boxes = &drawing.boxes;
    // Layers: one below the lowest input; leaves as low as what they feed allows.
    let mut layer = vec![0usize; boxes.len()];
    for (i, b) in boxes.iter().enumerate() {
        layer[i] = b
            .inputs
            .iter()
            .map(|&input| layer[input] + 1)
            .max()
            .unwrap_or(0);
    }
    let mut lowest = vec![usize::MAX; boxes.len()];
    for (i, b) in boxes.iter().enumerate() {
        for &input in &b.inputs {
            lowest[input] = lowest[input].min(layer[i] - 1);
        }
    }
    for (i, b) in boxes.iter().enumerate() {
        if b.leaf && lowest[i] != usize::MAX {
            layer[i] = lowest[i];
        }
    }
    // Points for long edges.
    let mut edges = Vec::new();
    for (i, b) in boxes.iter().enumerate() {
        for &input in &b.inputs {
            let mut way = vec![input];
            for between in layer[input] + 1..layer[i] {
                way.push(layer.len());
                layer.push(between);
            }
            way.push(i);
            edges.push(way);
        }
    }
    let count = layer.iter().max().map_or(0, |&last| last + 1);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); count];
    (0..layer.len()).for_each(|i| rows[layer[i]].push(i));
    let mut neighbours = vec![[Vec::new(), Vec::new()]; layer.len()]; // above, below
    for way in &edges {
        for pair in way.windows(2) {
            neighbours[pair[0]][1].push(pair[1]);
            neighbours[pair[1]][0].push(pair[0]);
        }
    }
    // Sweeps down and up: order a row by the average place of its neighbours in the row before.
    let mut x: Vec<f64> = vec![0.0; layer.len()];
    let spread =
        |row: &[usize], x: &mut [f64]| row.iter().enumerate().for_each(|(k, &i)| x[i] = k as f64);
    for row in &rows {
        spread(row, &mut x);
    }
    for sweep in 0..12 {
        let side = sweep % 2;
        for r in 0..count {
            let r = if side == 0 { r } else { count - 1 - r };
            let key: Vec<f64> = rows[r]
                .iter()
                .map(|&i| average(&neighbours[i][side], &x).unwrap_or(x[i]))
                .collect();
            let mut order: Vec<usize> = (0..key.len()).collect();
            order.sort_by(|&a, &b| key[a].total_cmp(&key[b]));
            rows[r] = order.iter().map(|&k| rows[r][k]).collect();
            spread(&rows[r], &mut x);
        }
    }
    // Coordinates: towards the neighbours, never closer than a box and a gap.
    let step = WIDTH + GAP_X;
    for x in &mut x {
        *x *= step;
    }
    for sweep in 0..8 {
        for row in &rows {
            let wish = |&i: &usize| average(&neighbours[i][sweep % 2], &x).unwrap_or(x[i]);
            let mut want: Vec<f64> = row.iter().map(wish).collect();
            for k in 1..want.len() {
                want[k] = want[k].max(want[k - 1] + step);
            }
            // What the pushing to the right added on average is taken back.
            let drift = row.iter().zip(&want).map(|(i, w)| w - wish(i)).sum::<f64>()
                / row.len().max(1) as f64;
            row.iter().zip(want).for_each(|(&i, w)| x[i] = w - drift);
        }
    }
    let left = x.iter().copied().fold(f64::INFINITY, f64::min) - WIDTH / 2.0 - 12.0;
    let right = x.iter().copied().fold(f64::NEG_INFINITY, f64::max) + WIDTH / 2.0 + 12.0;
    // Rows as high as their highest box.
    let height = |i: usize| {
        boxes
            .get(i)
            .map_or(0.0, |b| b.lines.len() as f64 * LINE + 12.0)
    };
    let mut at = vec![(0.0, 0.0); layer.len()];
    let mut y = 12.0;
    for row in &rows {
        for &i in row {
            at[i] = (x[i] - left, y);
        }
        y += row.iter().map(|&i| height(i)).fold(0.0, f64::max) + GAP_Y;
    }
    Layout {
        at,
        edges,
        size: (right - left, y - GAP_Y + 12.0),
    }
}

fn average(of: &[usize], x: &[f64]) -> Option<f64> {
    (!of.is_empty()).then(|| of.iter().map(|&i| x[i]).sum::<f64>() / of.len() as f64)
}
