//! Interpolation: the last axes of a tensor resized, each by its own [`AxisMap`].
//!
//! One axis after the other, those that shrink first, so nothing in between is larger than both ends. Along the last
//! axis elements are gathered; along the others whole rows are added up by vectors. The gradient is the same function
//! with [`AxisMap::transposed`]: nothing is scattered, so the result cannot depend on threads.
//! What it is not: sampling at arbitrary points; that is [`grid_sample`](crate::grid_sample).

mod map;
#[cfg(test)]
mod tests;

use gradus_simd::{Float, Isa, Kernel, dispatch};

pub(crate) use map::cubic_at;
pub use map::{AxisMap, Filter};

use crate::conv::contiguous;
use crate::error::check_len;
use crate::{Error, Result, View, parallel, scratch};

/// `x` with its last axes resized: (…, inputs of each map) to `y` (…, outputs of each map), row-major.
///
/// ```
/// use gradus_cpu::View;
/// use gradus_cpu::resample::{AxisMap, Filter, resample};
///
/// let x = View::contiguous(&[0.0f32, 2.0], &[1, 2])?;
/// let map = AxisMap::new(Filter::Linear, 2, 3, true, None)?;
/// let mut y = [0.0; 3];
/// resample(x, std::slice::from_ref(&map), &mut y)?;
/// assert_eq!(y, [0.0, 1.0, 2.0]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
///
/// # Errors
/// If the last axes are not the maps' inputs, or `y` does not have the output's size.
#[inline(never)]
pub fn resample<T: Float>(x: View<'_, T>, maps: &[AxisMap], y: &mut [T]) -> Result<()> {
    let op = "interpolate";
    let Some(lead) = x.rank().checked_sub(maps.len()).filter(|&lead| {
        x.shape()[lead..]
            .iter()
            .eq(maps.iter().map(AxisMap::inputs).collect::<Vec<_>>().iter())
    }) else {
        let message = format!(
            "the input {:?} does not end in {:?}",
            x.shape(),
            maps.iter().map(AxisMap::inputs).collect::<Vec<_>>()
        );
        return Err(Error::shape(op, message));
    };
    let mut sizes = x.shape()[..lead].to_vec();
    sizes.extend(maps.iter().map(AxisMap::outputs));
    check_len(op, "the output", y.len(), crate::numel(op, &sizes)?)?;
    if y.is_empty() {
        return Ok(());
    }
    let x = contiguous(&x);
    let axes: Vec<Axis<'_, T>> = maps.iter().map(Axis::new).collect();
    let inputs: usize = maps.iter().map(AxisMap::inputs).product();
    let outputs: usize = maps.iter().map(AxisMap::outputs).product();
    let order = order_of_steps(maps);
    let group = (parallel::GRAIN / inputs.max(outputs)).max(1);
    parallel::for_each_chunk_mut(y, group * outputs, |i, y| {
        let planes = y.len() / outputs;
        let x = &x[i * group * inputs..][..planes * inputs];
        let mut sizes: Vec<usize> = maps.iter().map(AxisMap::inputs).collect();
        let mut now: Option<scratch::Buffer<T>> = None;
        for (step, &d) in order.iter().enumerate() {
            let outer = planes * sizes[..d].iter().product::<usize>();
            let inner = sizes[d + 1..].iter().product::<usize>();
            let from = now.as_deref().unwrap_or(x);
            if step + 1 == order.len() {
                axes[d].apply(from, inner, y);
            } else {
                let mut next = scratch::buffer(outer * maps[d].outputs() * inner);
                axes[d].apply(from, inner, &mut next);
                now = Some(next);
            }
            sizes[d] = maps[d].outputs();
        }
        if order.is_empty() {
            y.copy_from_slice(x);
        }
    });
    Ok(())
}

/// The steps in order: those that shrink most first; of equals the last axis, whose gathering is dearest.
fn order_of_steps(maps: &[AxisMap]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..maps.len())
        .rev()
        .filter(|&d| !maps[d].is_identity())
        .collect();
    order.sort_by(|&a, &b| {
        let ratio = |d: usize, e: usize| maps[d].outputs() as u128 * maps[e].inputs() as u128;
        ratio(a, b).cmp(&ratio(b, a))
    });
    order
}

/// A map with its weights in the element type.
struct Axis<'a, T> {
    map: &'a AxisMap,
    weights: Vec<T>,
}

impl<'a, T: Float> Axis<'a, T> {
    fn new(map: &'a AxisMap) -> Self {
        let weights = map.parts().2.iter().map(|&w| T::from_f64(w)).collect();
        Self { map, weights }
    }

    /// `x` (outer, inputs, inner) to `y` (outer, outputs, inner).
    fn apply(&self, x: &[T], inner: usize, y: &mut [T]) {
        let (inputs, outputs) = (self.map.inputs(), self.map.outputs());
        let (starts, at, _) = self.map.parts();
        let line = if inner == 1 { outputs } else { inner };
        let lines = (parallel::GRAIN / line).max(1);
        parallel::for_each_chunk_mut(y, lines * line, |i, y| {
            let first = i * lines;
            let (weights, dispatched) = (&self.weights, (starts, at));
            if inner == 1 {
                let x = &x[first * inputs..];
                dispatch(Gather {
                    taps: dispatched,
                    weights,
                    inputs,
                    outputs,
                    x,
                    y,
                });
            } else {
                dispatch(Rows {
                    taps: dispatched,
                    weights,
                    inputs,
                    outputs,
                    inner,
                    first,
                    x,
                    y,
                });
            }
        });
    }
}

/// The last axis: every output picks its inputs from one row.
struct Gather<'a, T> {
    taps: (&'a [usize], &'a [usize]),
    weights: &'a [T],
    inputs: usize,
    outputs: usize,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel for Gather<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, _: S) {
        let (starts, at) = self.taps;
        let rows = self.x.chunks_exact(self.inputs);
        for (x, y) in rows.zip(self.y.chunks_exact_mut(self.outputs)) {
            for (o, y) in y.iter_mut().enumerate() {
                let taps = starts[o]..starts[o + 1];
                let mut sum = T::ZERO;
                for (&i, &w) in at[taps.clone()].iter().zip(&self.weights[taps]) {
                    sum += w * x[i];
                }
                *y = sum;
            }
        }
    }
}

/// Another axis: every row of the output is a sum of rows.
struct Rows<'a, T> {
    taps: (&'a [usize], &'a [usize]),
    weights: &'a [T],
    inputs: usize,
    outputs: usize,
    inner: usize,
    /// The number of the first row of `y`.
    first: usize,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, _: S) {
        let (starts, at) = self.taps;
        for (r, y) in self.y.chunks_exact_mut(self.inner).enumerate() {
            let (outer, o) = (
                (self.first + r) / self.outputs,
                (self.first + r) % self.outputs,
            );
            let plane = &self.x[outer * self.inputs * self.inner..][..self.inputs * self.inner];
            let taps = starts[o]..starts[o + 1];
            let row = |i: usize| &plane[i * self.inner..][..self.inner];
            match (&at[taps.clone()], &self.weights[taps]) {
                ([], _) => y.fill(T::ZERO),
                ([i], [w]) if *w == T::ONE => y.copy_from_slice(row(*i)),
                ([i, j], [v, w]) => {
                    for ((y, &a), &b) in y.iter_mut().zip(row(*i)).zip(row(*j)) {
                        *y = *v * a + *w * b;
                    }
                }
                (at, weights) => {
                    for (k, (&i, &w)) in at.iter().zip(weights).enumerate() {
                        for (y, &x) in y.iter_mut().zip(row(i)) {
                            *y = if k == 0 { w * x } else { *y + w * x };
                        }
                    }
                }
            }
        }
    }
}
