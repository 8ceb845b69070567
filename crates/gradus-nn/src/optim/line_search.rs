//! The search along a direction for a point that satisfies the strong Wolfe conditions: the loss falls enough, and the slope
//! is flat enough. Sources: Nocedal and Wright, *Numerical Optimization*, algorithms 3.5 and 3.6, in the form of
//! `torch.optim.lbfgs._strong_wolfe` (Schmidt's minFunc), whose bounds and order of evaluations are followed.

use gradus_tensor::Result;

/// A point along the direction: its distance, the loss there, the slope along the direction, the gradient.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub t: f64,
    pub f: f64,
    pub slope: f64,
    pub g: Vec<f64>,
}

/// How much of the fall the slope promises is enough.
const ENOUGH_FALL: f64 = 1e-4;
/// How much of the slope may be left.
const SLOPE_LEFT: f64 = 0.9;

/// The point found, and how many times `at` was called. `here` is the point at 0, `t` the first try, `d_largest` the largest
/// element of the direction.
pub(super) fn strong_wolfe(
    mut at: impl FnMut(f64) -> Result<Point>,
    here: Point,
    t: f64,
    d_largest: f64,
    tolerance: f64,
    max_evaluations: usize,
) -> Result<(Point, usize)> {
    let falls = |p: &Point| p.f <= here.f + ENOUGH_FALL * p.t * here.slope;
    let is_flat = |p: &Point| p.slope.abs() <= -SLOPE_LEFT * here.slope;

    // Bracket: go on, further each time, until an interval must hold a good point.
    let mut new = at(t)?;
    let mut evaluations = 1;
    let mut searches = 0;
    let mut previous = here.clone();
    let mut bracket = loop {
        if searches >= max_evaluations {
            break [here.clone(), new];
        }
        if !falls(&new) || (searches > 1 && new.f >= previous.f) {
            break [previous, new];
        }
        if is_flat(&new) {
            return Ok((new, evaluations));
        }
        if new.slope >= 0.0 {
            break [previous, new];
        }
        let (least, most) = (new.t + 0.01 * (new.t - previous.t), new.t * 10.0);
        let t = cubic_minimum(&previous, &new, least, most);
        previous = new;
        new = at(t)?;
        evaluations += 1;
        searches += 1;
    };

    // Zoom: make the interval smaller, keeping a good point in it.
    let mut stuck = false;
    let mut low = usize::from(bracket[0].f > bracket[1].f);
    while searches < max_evaluations {
        let (least, most) = (
            bracket[0].t.min(bracket[1].t),
            bracket[0].t.max(bracket[1].t),
        );
        if (most - least) * d_largest < tolerance {
            break;
        }
        let mut t = cubic_minimum(&bracket[0], &bracket[1], least, most);
        // A try too close to an end makes no progress: the second time, or at the end itself, go a tenth in.
        let tenth = 0.1 * (most - least);
        if (most - t).min(t - least) < tenth {
            if stuck || t >= most || t <= least {
                t = if (t - most).abs() < (t - least).abs() {
                    most - tenth
                } else {
                    least + tenth
                };
                stuck = false;
            } else {
                stuck = true;
            }
        } else {
            stuck = false;
        }
        let new = at(t)?;
        evaluations += 1;
        searches += 1;
        if !falls(&new) || new.f >= bracket[low].f {
            bracket[1 - low] = new;
            low = usize::from(bracket[0].f > bracket[1].f);
        } else {
            let done = is_flat(&new);
            if !done && new.slope * (bracket[1 - low].t - bracket[low].t) >= 0.0 {
                bracket[1 - low] = bracket[low].clone();
            }
            bracket[low] = new;
            if done {
                break;
            }
        }
    }
    let [first, second] = bracket;
    Ok((if low == 0 { first } else { second }, evaluations))
}

/// The minimum of the cubic through two points and their slopes, within bounds.
fn cubic_minimum(a: &Point, b: &Point, least: f64, most: f64) -> f64 {
    let d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t);
    let square = d1 * d1 - a.slope * b.slope;
    if square < 0.0 || square.is_nan() {
        return f64::midpoint(least, most);
    }
    let d2 = square.sqrt();
    let t = if a.t <= b.t {
        b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2))
    } else {
        a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2.0 * d2))
    };
    t.max(least).min(most)
}
