//! [`AxisMap`]: what one axis of an interpolation does, as a sparse matrix (outputs × inputs).
//!
//! Every mode of PyTorch's `interpolate` is linear and separable, so a mode is nothing but its rows: which inputs an output
//! is made of, and with which weights. The gradient is the transposed matrix. Positions and weights are worked out in
//! f64; the formulas, with their corner cases, are those of PyTorch's `UpSampleKernel.cpp`, and Pillow's for antialiasing.

use crate::{Error, Result};

/// How values between the elements of an axis are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The element at `floor(i · inputs / outputs)`, as OpenCV.
    Nearest,
    /// The element whose centre is closest, as Pillow and scikit-image.
    NearestExact,
    /// The two neighbours, by distance.
    Linear,
    /// Four neighbours on a cubic (a = −0.75).
    Cubic,
    /// A triangle as wide as an output is, when shrinking.
    LinearAntialias,
    /// A cubic (a = −0.5) as wide as an output is, when shrinking.
    CubicAntialias,
    /// A windowed sinc of six elements, as wide as an output is, when shrinking.
    LanczosAntialias,
}

/// A sparse matrix: row `o` says which inputs output `o` is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisMap {
    inputs: usize,
    /// Row `o` has the taps `starts[o]..starts[o + 1]`.
    starts: Vec<usize>,
    at: Vec<usize>,
    weights: Vec<f64>,
}

impl AxisMap {
    /// The map from an axis of `inputs` elements to one of `outputs`. `scale` is the factor the user gave, if positions
    /// are to follow it rather than the ratio of the sizes.
    ///
    /// # Errors
    /// If a size is 0, the scale is not a positive number, or the map does not fit in memory.
    pub fn new(
        filter: Filter,
        inputs: usize,
        outputs: usize,
        align_corners: bool,
        scale: Option<f64>,
    ) -> Result<Self> {
        let op = "interpolate";
        if inputs == 0 || outputs == 0 {
            let message = format!(
                "an axis of {inputs} elements cannot become {outputs}: both must be above 0"
            );
            return Err(Error::shape(op, message));
        }
        if scale.is_some_and(|s| !(s.is_finite() && s > 0.0)) {
            let message = format!("the scale {scale:?} is not a positive number");
            return Err(Error::shape(op, message));
        }
        let step = match (align_corners, scale) {
            (true, _) if outputs > 1 => (inputs - 1) as f64 / (outputs - 1) as f64,
            (true, _) => 0.0,
            (false, Some(scale)) => 1.0 / scale,
            (false, None) => inputs as f64 / outputs as f64,
        };
        let centred = |o: usize| {
            if align_corners {
                step * o as f64
            } else {
                step * (o as f64 + 0.5) - 0.5
            }
        };
        let last = inputs - 1;
        // Positions are rounded to f32 before they are cut off, as PyTorch does: 2.9999999999 is 3. (Beyond 2^24 that would
        // skip elements.)
        let floor = |x: f64| {
            if inputs < 1 << 24 {
                f64::from((x as f32).floor())
            } else {
                x.floor()
            }
        };
        let below = |x: f64| (floor(x) as usize).min(last);
        let same = inputs == outputs;
        let mut map = Self::with_room(op, inputs, outputs, 4)?;
        for o in 0..outputs {
            match filter {
                Filter::Nearest => map.tap(below(step * o as f64), 1.0),
                Filter::NearestExact => map.tap(below(centred(o).max(0.0) + 0.5), 1.0),
                Filter::Cubic => {
                    let x = centred(o);
                    let first = i64::min(floor(x) as i64, last as i64);
                    let t = (x - first as f64).clamp(0.0, 1.0);
                    for (k, w) in cubic(t, -0.75).into_iter().enumerate() {
                        map.tap((first - 1 + k as i64).clamp(0, last as i64) as usize, w);
                    }
                }
                // Equal sizes are copied, whatever the scale says.
                _ if same => map.tap(o, 1.0),
                Filter::Linear => {
                    let x = centred(o).max(0.0);
                    let first = (x as usize).min(last);
                    let t = (x - first as f64).clamp(0.0, 1.0);
                    map.tap(first, 1.0 - t);
                    map.tap((first + 1).min(last), t);
                }
                Filter::LinearAntialias => map.window(step, o, 1.0, |x| (1.0 - x.abs()).max(0.0)),
                Filter::CubicAntialias => map.window(step, o, 2.0, |x| cubic_at(x.abs(), -0.5)),
                Filter::LanczosAntialias => map.window(step, o, 3.0, lanczos),
            }
            map.starts.push(map.at.len());
        }
        Ok(map)
    }

    fn with_room(op: &'static str, inputs: usize, outputs: usize, taps: usize) -> Result<Self> {
        let too_large = || Error::shape(op, format!("{outputs} outputs do not fit in memory"));
        let (mut starts, mut at, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let room = outputs.checked_mul(taps).ok_or_else(too_large)?;
        starts
            .try_reserve_exact(outputs.saturating_add(1))
            .and_then(|()| at.try_reserve(room))
            .and_then(|()| weights.try_reserve(room))
            .map_err(|_| too_large())?;
        starts.push(0);
        Ok(Self {
            inputs,
            starts,
            at,
            weights,
        })
    }

    fn tap(&mut self, at: usize, weight: f64) {
        self.at.push(at);
        self.weights.push(weight);
    }

    /// The inputs within `reach` (in steps of an output when shrinking, of an input otherwise) of output `o`, weighted by
    /// `filter` and adding up to 1.
    fn window(&mut self, step: f64, o: usize, reach: f64, filter: impl Fn(f64) -> f64) {
        let width = step.max(1.0);
        let (centre, reach) = (step * (o as f64 + 0.5), reach * width);
        let low = (centre - reach + 0.5).max(0.0) as usize;
        let high = ((centre + reach + 0.5) as usize).min(self.inputs);
        let first = self.weights.len();
        for i in low..high {
            self.tap(i, filter((i as f64 - centre + 0.5) / width));
        }
        let total: f64 = self.weights[first..].iter().sum();
        if total != 0.0 {
            for w in &mut self.weights[first..] {
                *w /= total;
            }
        }
    }

    /// The other way: what each input is part of.
    ///
    /// # Errors
    /// If it does not fit in memory.
    pub fn transposed(&self) -> Result<Self> {
        let taps = self.at.len();
        let mut map = Self::with_room("interpolate", self.outputs(), self.inputs, 0)?;
        map.starts.resize(self.inputs + 1, 0);
        for &i in &self.at {
            map.starts[i + 1] += 1;
        }
        for i in 0..self.inputs {
            map.starts[i + 1] += map.starts[i];
        }
        map.at.resize(taps, 0);
        map.weights.resize(taps, 0.0);
        let mut next = map.starts.clone();
        for o in 0..self.outputs() {
            for (i, w) in self.row(o) {
                (map.at[next[i]], map.weights[next[i]]) = (o, w);
                next[i] += 1;
            }
        }
        Ok(map)
    }

    /// Elements of the axis it starts from.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Elements of the axis it leads to.
    pub fn outputs(&self) -> usize {
        self.starts.len() - 1
    }

    /// What output `o` is made of: inputs and their weights.
    pub fn row(&self, o: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let taps = self.starts[o]..self.starts[o + 1];
        self.at[taps.clone()]
            .iter()
            .copied()
            .zip(self.weights[taps].iter().copied())
    }

    pub(super) fn parts(&self) -> (&[usize], &[usize], &[f64]) {
        (&self.starts, &self.at, &self.weights)
    }

    /// Does it change nothing?
    pub(super) fn is_identity(&self) -> bool {
        self.inputs == self.outputs()
            && self.at.len() == self.inputs
            && self.at.iter().enumerate().all(|(o, &i)| o == i)
            && self.weights.iter().all(|&w| w == 1.0)
    }
}

/// The weights of the four neighbours of a point `t` of the way between the second and the third: the cubic convolution
/// of Keys, with its parameter `a`.
pub(crate) fn cubic(t: f64, a: f64) -> [f64; 4] {
    [t + 1.0, t, 1.0 - t, 2.0 - t].map(|x| cubic_at(x, a))
}

/// The cubic at distance `x`, 0 or more.
pub(crate) fn cubic_at(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| {
        let x = x * std::f64::consts::PI;
        if x == 0.0 { 1.0 } else { x.sin() / x }
    };
    if (-3.0..3.0).contains(&x) {
        sinc(x) * sinc(x / 3.0)
    } else {
        0.0
    }
}
