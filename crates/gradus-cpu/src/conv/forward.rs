//! Forward: `W (O × C·taps)` times the im2col matrix `(C·taps) × (B·pixels)`, by the GEMM whose packing of B is im2col, or
//! without packing, by vectors (`direct`) or tiles (`direct_tiles`), or by fewer products (`winograd`), whichever costs least. Many small images are seen in another way
//! first (`batch_last`).
//!
//! The batch is part of the columns, so small images share the packed weights; the columns of one image are one segment of
//! the output. Roofline: a packed element costs about a tenth of a cycle where rows are copied, and is used O times at 32 a
//! cycle, so packing shows only below some 16 output channels; there `depthwise` takes over where it can.

use gradus_simd::{Float, IsaName};

use super::Weights;
use super::batch_last::BatchLast;
use super::depthwise;
use super::direct;
use super::direct_tiles;
use super::geometry::Geometry;
use super::im2col::Im2col;
use super::winograd::{self, Engine};
use crate::gemm::{Bias, Epilogue, Job, Out, blocked, tiles};
use crate::parallel;

/// `y = epilogue(conv(x, w))` of checked, contiguous arguments. The bias is by rows (output channels), the residual laid out
/// as `y`.
pub(crate) fn run<T: Float>(
    isa: IsaName,
    g: &Geometry,
    x: &[T],
    w: Weights<'_, T>,
    epilogue: &Epilogue<'_, T>,
    y: &mut [T],
) {
    if y.is_empty() {
        return;
    }
    if epilogue.residual.is_none() && depthwise::suits(g) {
        return depthwise::forward(isa, g, x, w.all, epilogue, y);
    }
    // Each group's weights would be an entry of their own.
    let kept = w.kept.filter(|_| g.groups == 1);
    let (w, way) = (
        Weights { kept, ..w },
        Way::cheapest::<T>(&Way::ALL, isa, g, kept.is_some()),
    );
    if !matches!(way, Way::Winograd(_))
        && epilogue.residual.is_none()
        && let Some(seen) = BatchLast::new(g)
    {
        return seen.forward(isa, x, w, epilogue, y);
    }
    run_by(way, isa, g, x, w, epilogue, y);
}

/// How the product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// im2col in the packing, by vectors or tiles.
    Packed,
    /// `direct`.
    Shifted,
    /// `direct_tiles`.
    ShiftedTiles,
    /// `winograd`.
    Winograd(Engine),
}

impl Way {
    /// What it costs, in cycles; `None` where it does not serve.
    /// Weights that are kept need no packing.
    pub(crate) fn cost<T: Float>(self, isa: IsaName, g: &Geometry, kept: bool) -> Option<f64> {
        match self {
            Self::Packed => {
                let (m, n, k) = (g.outputs, g.batch * g.pixels(), g.depth());
                let (size, lines) = ((m, n, k), n + if kept { 0 } else { m });
                let vectors = tiles::vectors_cost(size, lines);
                // Weights that L2 does not hold come from L3, six bytes each.
                let bytes = (6 * m * k) as f64;
                let read = if bytes > f64::from(1 << 20) {
                    bytes / 14.0
                } else {
                    0.0
                };
                let by_tiles = tiles::cost::<T>(isa, size, lines).map(|cost| cost + read);
                Some(by_tiles.map_or(vectors, |cost| cost.min(vectors)))
            }
            Self::Shifted => direct::cost(g, kept),
            Self::ShiftedTiles => direct_tiles::cost::<T>(isa, g, kept),
            Self::Winograd(engine) => winograd::cost::<T>(isa, g, engine, kept),
        }
    }

    /// All of them; the first ones sum the products as they are.
    pub(crate) const ALL: [Self; 5] = [
        Self::Packed,
        Self::Shifted,
        Self::ShiftedTiles,
        Self::Winograd(Engine::Vectors),
        Self::Winograd(Engine::Tiles),
    ];
    const PLAIN: usize = 3;

    fn cheapest<T: Float>(ways: &[Self], isa: IsaName, g: &Geometry, kept: bool) -> Self {
        let cost = |way: &Self| way.cost::<T>(isa, g, kept).unwrap_or(f64::INFINITY);
        let cheapest = ways.iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        *cheapest.unwrap_or(&Self::Packed)
    }
}

/// [`run`] in a given way, which serves.
pub(crate) fn run_by<T: Float>(
    way: Way,
    isa: IsaName,
    g: &Geometry,
    x: &[T],
    w: Weights<'_, T>,
    epilogue: &Epilogue<'_, T>,
    y: &mut [T],
) {
    let (pixels, depth, outputs) = (g.pixels(), g.depth(), g.groups * g.outputs);
    let flat = g.flattened();
    let out = Out::segmented(y, outputs, pixels, (g.batch, pixels, outputs * pixels));
    parallel::for_each(g.groups, &|group| {
        let first = group * g.outputs;
        let rows = w.part(first * depth..(first + g.outputs) * depth);
        let bias = match epilogue.bias {
            Bias::Row(bias) => Bias::Row(&bias[first..][..g.outputs]),
            other => other,
        };
        let epilogue = Epilogue {
            bias,
            residual: epilogue.residual.map(|r| &r[first * pixels..]),
            ..*epilogue
        };
        let (channel, out) = (group * g.channels, out.part(first, g.outputs));
        let way = match way {
            Way::Winograd(engine) => {
                if winograd::run(isa, engine, g, x, channel, rows, &epilogue, &out) {
                    return;
                }
                Way::cheapest::<T>(&Way::ALL[..Way::PLAIN], isa, g, rows.kept.is_some())
            }
            way => way,
        };
        match way {
            Way::Shifted => return direct::run(isa, g, x, channel, rows, &epilogue, &out),
            Way::ShiftedTiles => {
                return direct_tiles::run(isa, g, x, channel, rows, &epilogue, &out);
            }
            Way::Packed | Way::Winograd(_) => {}
        }
        blocked(&Job {
            a: rows.matrix(g.outputs, depth),
            b: &Im2col {
                x,
                g: &flat,
                channel,
            },
            alpha: T::ONE,
            beta: T::ZERO,
            out: &out,
            epilogue: &epilogue,
            isa,
            done: None,
        });
    });
}
