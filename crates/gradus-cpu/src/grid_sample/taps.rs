//! Where a point of the grid lies in the input, which elements it is made of, and how that changes as it moves.
//!
//! An axis at a time: a point takes one element (nearest), two (linear) or four (cubic) of each axis, with a weight and
//! the weight's derivative; the product over the axes is the sampling. Positions and weights are worked out in f64.
//! Conventions, with the derivative at the border and at a reflection, are those of PyTorch's `GridSampler.h`.

use gradus_simd::Float;

use crate::resample::cubic_at;

/// How values between elements are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridMode {
    /// The neighbours by distance: two of each axis (also called bilinear in three dimensions).
    #[default]
    Bilinear,
    /// The closest element.
    Nearest,
    /// Four neighbours of each axis on a cubic (a = −0.75).
    Bicubic,
}

/// What lies outside the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridPadding {
    /// Zeros.
    #[default]
    Zeros,
    /// The edge, repeated.
    Border,
    /// The elements mirrored, again and again.
    Reflection,
}

/// The options of `grid_sample`; PyTorch's names, meaning and defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GridSampleParams {
    /// How values between elements are found.
    pub mode: GridMode,
    /// What lies outside the input.
    pub padding: GridPadding,
    /// Do −1 and 1 mean the centres of the outermost elements (true) or their outer edges?
    pub align_corners: bool,
}

/// The elements that one axis of a point takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct AxisTaps {
    /// Which elements; `None` outside the input. The first `len` count.
    pub at: [Option<usize>; 4],
    /// Their weights.
    pub weight: [f64; 4],
    /// The derivatives of the weights by the grid's number.
    pub slope: [f64; 4],
    /// How many.
    pub len: usize,
}

impl GridSampleParams {
    /// The elements that an axis of `size` elements gives to the number `g` of a grid (−1 and 1 are the ends).
    pub fn taps(&self, g: f64, size: usize) -> AxisTaps {
        let mut taps = AxisTaps::default();
        match self.mode {
            GridMode::Bilinear => {
                let (x, slope) = self.place(g, size);
                let first = x.floor();
                let t = x - first;
                taps.push(element(first, size), 1.0 - t, -slope);
                taps.push(element(first + 1.0, size), t, slope);
            }
            GridMode::Nearest => {
                let (x, _) = self.place(g, size);
                taps.push(element(x.round_ties_even(), size), 1.0, 0.0);
            }
            GridMode::Bicubic => {
                let (x, slope) = self.unnormalized(g, size);
                let first = x.floor();
                let t = x - first;
                for k in 0..4 {
                    // The distance to this neighbour, and on which side it is.
                    let distance = t + 1.0 - k as f64;
                    let side = if distance < 0.0 { -1.0 } else { 1.0 };
                    let (at, _) = self.padded(first - 1.0 + k as f64, size);
                    taps.push(
                        element(at.trunc(), size),
                        cubic_at(distance.abs(), A),
                        cubic_slope(distance.abs(), A) * side * slope,
                    );
                }
            }
        }
        taps
    }

    /// The place on the axis that `g` means, in elements and after padding, and how fast it moves with `g`.
    pub fn place(&self, g: f64, size: usize) -> (f64, f64) {
        let (x, scale) = self.unnormalized(g, size);
        let (x, slope) = self.padded(x, size);
        (x, scale * slope)
    }

    /// The place before padding, and how fast it moves with `g`.
    pub fn unnormalized(&self, g: f64, size: usize) -> (f64, f64) {
        let n = size as f64;
        if self.align_corners {
            (f64::midpoint(g, 1.0) * (n - 1.0), (n - 1.0) / 2.0)
        } else {
            (((g + 1.0) * n - 1.0) / 2.0, n / 2.0)
        }
    }

    /// The place that stands in for `x`, and how fast it moves with `x`: 1, −1 where mirrored, 0 where held at the edge.
    pub fn padded(&self, x: f64, size: usize) -> (f64, f64) {
        match self.padding {
            GridPadding::Zeros => (x, 1.0),
            GridPadding::Border => clipped(x, size),
            GridPadding::Reflection => {
                let (low, span) = if self.align_corners {
                    (0.0, size as f64 - 1.0)
                } else {
                    (-0.5, size as f64)
                };
                if span <= 0.0 {
                    return (0.0, 0.0);
                }
                let sign = if x < low { -1.0 } else { 1.0 };
                let from = (x - low).abs();
                let extra = from % span;
                let (x, slope) = if (from / span).floor() % 2.0 == 0.0 {
                    (extra + low, sign)
                } else {
                    (span - extra + low, -sign)
                };
                let (x, kept) = clipped(x, size);
                (x, slope * kept)
            }
        }
    }
}

/// PyTorch's cubic for sampling.
const A: f64 = -0.75;

/// The derivative of the cubic at distance `x`, 0 or more.
fn cubic_slope(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        (3.0 * (a + 2.0) * x - 2.0 * (a + 3.0)) * x
    } else if x < 2.0 {
        ((3.0 * x - 10.0) * x + 8.0) * a
    } else {
        0.0
    }
}

fn clipped(x: f64, size: usize) -> (f64, f64) {
    let last = size as f64 - 1.0;
    if x <= 0.0 {
        (0.0, 0.0)
    } else if x >= last {
        (last, 0.0)
    } else {
        (x, 1.0) // NaN too: it is no element
    }
}

/// The element at a whole place, if there is one.
fn element(x: f64, size: usize) -> Option<usize> {
    (x >= 0.0 && x < size as f64).then_some(x as usize)
}

impl AxisTaps {
    fn push(&mut self, at: Option<usize>, weight: f64, slope: f64) {
        self.at[self.len] = at;
        self.weight[self.len] = weight;
        self.slope[self.len] = slope;
        self.len += 1;
    }
}

/// The elements a point is made of, those that exist: at most 4² or 4³.
pub(super) struct Taps<T, const D: usize> {
    /// Where in the plane.
    pub at: Vec<usize>,
    pub weight: Vec<T>,
    /// The derivatives of the weights, by each axis.
    pub slope: [Vec<f64>; D],
}

impl<T: Float, const D: usize> Taps<T, D> {
    pub fn new() -> Self {
        Self {
            at: Vec::new(),
            weight: Vec::new(),
            slope: std::array::from_fn(|_| Vec::new()),
        }
    }

    /// Those of the point `g`, in the order of the axes of `sizes` (a grid's numbers come last axis first).
    pub fn find(&mut self, params: GridSampleParams, g: [f64; D], sizes: [usize; D]) {
        let axes: [AxisTaps; D] = std::array::from_fn(|d| params.taps(g[d], sizes[d]));
        let all: usize = axes.iter().map(|a| a.len).product();
        self.at.clear();
        self.weight.clear();
        self.slope.iter_mut().for_each(Vec::clear);
        'taps: for k in 0..all {
            let (mut rest, mut at, mut stride) = (k, 0, 1);
            let mut which = [0; D];
            for d in (0..D).rev() {
                which[d] = rest % axes[d].len;
                rest /= axes[d].len;
                let Some(i) = axes[d].at[which[d]] else {
                    continue 'taps;
                };
                at += i * stride;
                stride *= sizes[d];
            }
            let weight = |d: usize| axes[d].weight[which[d]];
            self.at.push(at);
            self.weight.push(T::from_f64((0..D).map(weight).product()));
            for (d, slope) in self.slope.iter_mut().enumerate() {
                let factor = |e: usize| {
                    if e == d {
                        axes[e].slope[which[e]]
                    } else {
                        weight(e)
                    }
                };
                slope.push((0..D).map(factor).product());
            }
        }
    }
}
