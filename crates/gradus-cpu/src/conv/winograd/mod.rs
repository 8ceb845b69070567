//! Convolution with 3 × 3 kernels and stride 1 by Winograd's F(2 × 2, 3 × 3): 16 multiplications where there would be 36.
//!
//! The idea (Winograd 1980; Lavin & Gray, "Fast algorithms for convolutional neural networks", 2016): four neighbouring outputs see
//! 4 × 4 inputs d through 3 × 3 taps g, and are Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, where Bᵀ and Aᵀ only add and G also halves. The
//! products of one place of the 4 × 4 are summed over the channels, so there are 16 matrix products `(O × C)·(C × tiles)`.
//! `transform` has the three sandwiches, `product` the matrix products by vectors or AMX tiles, `weight` the gradient of the weights. A task takes some rows of tiles from
//! the input to the output, so that what lies between stays in its caches.
//!
//! What it is not: exact where the direct sum is. Each term of an output is rounded beside the largest of its 4 × 4 inputs times the
//! largest of its taps: the error is bounded by that, and not by the sum of the products' magnitudes. Over numbers of one scale it is no
//! larger than that of the direct sum (`tests` has the table). NaN and infinities spread over a tile; so where one comes out, or numbers do
//! not suit the AMX tiles, [`run`] says so and the convolution is computed in another way, from the start. [`set_enabled`]
//! switches it off. `f32` alone: who takes `f64` asks for its accuracy.
//!
//! Roofline: 4 multiply-adds an output and channel instead of 9, and for each tile and channel some 10 instructions of a vector to
//! transform the input (and 12 to split it for AMX), for each tile and output 4: from about 32 channels on it pays.

mod product;
#[cfg(test)]
mod tests;
mod transform;
mod weight;

use std::any::TypeId;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use gradus_simd::{Float, IsaName};

use super::Weights;
use super::geometry::Geometry;
use crate::gemm::{Epilogue, Out, on, tiles};
use crate::parallel;
use crate::scratch;
pub(crate) use product::Engine;
use transform::{Input, Output};
pub(crate) use weight::{cost as weight_cost, run as backward_weight};

/// Places of a tile's 4 × 4 inputs.
const PLACES: usize = 16;
/// Tiles a task: so many that a place's weights, read from L3, are used often enough, and few enough for L2.
const TILES: usize = 128;
/// Cycles that a channel of an image costs, beside its tiles.
const IMAGE: f64 = 250.0;
/// Elements that all a task's transformed inputs and products may take.
const MOST: usize = 8 << 20;

static ENABLED: AtomicBool = AtomicBool::new(true);

/// Whether convolutions of `f32` with 3 × 3 kernels may be computed by Winograd's algorithm, where it is faster. At first they may; in the
/// whole process. An output's error is then bounded by the largest input times the largest weight in its window, and not by the
/// sum of their products' magnitudes; over numbers of one scale both are alike.
///
/// ```
/// use gradus_cpu::conv::{set_winograd, winograd_enabled};
///
/// set_winograd(false);
/// assert!(!winograd_enabled());
/// ```
pub fn set_enabled(on: bool) {
    ENABLED.store(on, Ordering::Relaxed);
}

/// Whether they may.
#[must_use]
pub fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Whether they may for this type.
fn allowed<T: Float>() -> bool {
    TypeId::of::<T>() == TypeId::of::<f32>() && enabled()
}

/// How the outputs are cut into tiles, and these into tasks; by the sizes alone.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Tiles of an image: rows, and tiles in one.
    image: [usize; 2],
    /// Rows of tiles in all images, and those of a task.
    all: usize,
    rows: usize,
    /// Output channels of a task: it computes them for all of its tiles.
    channels: usize,
    /// Elements between two lines of tiles: an odd number of cache lines, so that lines do not meet in one set.
    line: usize,
}

impl Cut {
    /// A task's channels are panels of the engine's. `None` where the kernel is another, or a row of tiles too long.
    fn new<T: Float>(isa: IsaName, engine: Engine, g: &Geometry) -> Option<Self> {
        let image = Self::image(g)?;
        let height = engine.height::<T>(isa, g);
        let all = g.batch * image[0];
        let mut rows = (TILES / image[1]).clamp(1, all);
        while all.div_ceil(rows) < 8 && rows > 1 && rows * image[1] > 64 {
            rows = rows.div_ceil(2);
        }
        let rows = all.div_ceil(all.div_ceil(rows));
        let mut channels = g.outputs;
        while all.div_ceil(rows) * g.outputs.div_ceil(channels) < 4 && channels > 64 {
            channels = channels.div_ceil(2).next_multiple_of(height);
        }
        let line = ((rows * image[1] + 16).div_ceil(16) | 1) * 16;
        let size = (g.channels + channels)
            .checked_mul(line)?
            .checked_mul(PLACES)?;
        (size <= MOST).then_some(Self {
            image,
            all,
            rows,
            channels,
            line,
        })
    }

    /// Rows of tiles of an image, and tiles in a row; `None` where the kernel is another.
    fn image(g: &Geometry) -> Option<[usize; 2]> {
        let serves = g.kernel == [1, 3, 3]
            && g.stride == [1; 3]
            && g.dilation == [1; 3]
            && g.input[0] == 1
            && g.padding[0] == 0
            && g.padding[1..].iter().all(|&p| p <= 2)
            && g.channels > 0
            && g.outputs > 0
            && g.batch > 0;
        serves.then_some([g.output[1].div_ceil(2), g.output[2].div_ceil(2)])
    }

    /// Tiles of all images.
    fn tiles(&self) -> usize {
        self.all * self.image[1]
    }

    /// Elements of a place: `lines` of them, and a cache line more, so that the sixteen do not meet in one set.
    fn place(&self, lines: usize) -> usize {
        lines * self.line + 16
    }
}

/// Cycles that the whole takes; `None` if it cannot be done so or may not.
pub(crate) fn cost<T: Float>(
    isa: IsaName,
    g: &Geometry,
    engine: Engine,
    kept: bool,
) -> Option<f64> {
    if !allowed::<T>() || engine == Engine::Tiles && isa != IsaName::Amx {
        return None;
    }
    let cut = Cut::new::<T>(isa, engine, g)?;
    let (o, c, n) = (g.outputs as f64, g.channels as f64, cut.tiles() as f64);
    let parts = g.outputs.div_ceil(cut.channels) as f64;
    let tasks = cut.all.div_ceil(cut.rows) as f64;
    let (products, input, pack, bytes) = match engine {
        Engine::Vectors => (o * c * n / tiles::vectors_rate(), 8.0, 2.0, 4.0),
        Engine::Tiles => {
            let up = |n: usize| n.next_multiple_of(16) as f64;
            let c = g.channels.next_multiple_of(32) as f64;
            (up(g.outputs) * c * n / tiles::RATE, 24.0, 3.0, 6.0)
        }
    };
    let weights = PLACES as f64 * o * c;
    let anew = if weights * bytes > f64::from(1 << 20) {
        weights * bytes / 10.0 * tasks
    } else {
        0.0
    };
    let pack = if kept { 0.0 } else { pack };
    // A channel of an image costs something however small it is.
    let planes = IMAGE * (g.batch * g.channels) as f64 * parts;
    Some(
        PLACES as f64 * products
            + input * c * n * parts
            + planes
            + 8.0 * o * n
            + pack * weights
            + anew,
    )
}

/// `y = epilogue(conv(x, w))` of checked, contiguous arguments of one group, as `direct`'s. `false` if numbers do not suit the algorithm:
/// then what is in `out` is of no use.
///
/// # Panics
/// If [`cost`] says `None`.
pub(crate) fn run<T: Float>(
    isa: IsaName,
    engine: Engine,
    g: &Geometry,
    x: &[T],
    channel: usize,
    w: Weights<'_, T>,
    epilogue: &Epilogue<'_, T>,
    out: &Out<'_, T>,
) -> bool {
    let cut = Cut::new::<T>(isa, engine, g).expect("`cost` found it");
    let weights = product::Weights::new(isa, engine, g, w);
    let weights = weights.as_slice();
    let parts = g.outputs.div_ceil(cut.channels);
    let suits = AtomicBool::new(true);
    parallel::for_each(cut.all.div_ceil(cut.rows) * parts, &|task| {
        let (first, part) = (task / parts * cut.rows, task % parts * cut.channels);
        let task = Task {
            g,
            cut,
            rows: first..cut.all.min(first + cut.rows),
            channels: part..g.outputs.min(part + cut.channels),
        };
        if suits.load(Ordering::Relaxed)
            && !task.run(isa, engine, (x, channel), weights, epilogue, out)
        {
            suits.store(false, Ordering::Relaxed);
        }
    });
    suits.into_inner()
}

/// Some rows of tiles, in some output channels.
#[derive(Clone, Debug)]
struct Task<'a> {
    g: &'a Geometry,
    cut: Cut,
    rows: Range<usize>,
    channels: Range<usize>,
}

impl Task<'_> {
    /// Tiles of it.
    fn tiles(&self) -> usize {
        self.rows.len() * self.cut.image[1]
    }

    /// Its rows of tiles, as runs within an image: image, first row in it, and how many.
    fn images(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let (per, end) = (self.cut.image[0], self.rows.end);
        let mut row = self.rows.start;
        std::iter::from_fn(move || {
            let (image, first) = (row / per, row % per);
            let count = (per - first).min(end - row);
            row += count;
            (count > 0).then_some((image, first, count))
        })
    }

    fn run<T: Float>(
        &self,
        isa: IsaName,
        engine: Engine,
        (x, channel): (&[T], usize),
        weights: &[T],
        epilogue: &Epilogue<'_, T>,
        out: &Out<'_, T>,
    ) -> bool {
        let (input, output) = (
            self.cut.place(self.g.channels),
            self.cut.place(self.channels.len()),
        );
        let mut v = scratch::buffer::<T>(PLACES * input);
        let mut m = scratch::buffer::<T>(PLACES * output);
        let (v, m) = (&mut *v, &mut *m);
        on(
            isa,
            Input {
                task: self,
                x,
                channel,
                v: &mut *v,
            },
        );
        let places = v.chunks_exact(input).zip(m.chunks_exact_mut(output));
        for (u, (v, m)) in weights.chunks_exact(engine.place(self.g)).zip(places) {
            if !engine.product(isa, self, u, v, m) {
                return false;
            }
        }
        on(
            isa,
            Output {
                task: self,
                m,
                epilogue,
                out,
                isa,
            },
        )
    }
}
