//! Convolution by shifted loads: the register tile of GEMM, reading its columns where they lie instead of from im2col.
//!
//! With stride 1 a vector of neighbouring output pixels sees, through each tap, a vector of neighbouring inputs: row (channel,
//! tap) of the im2col matrix *is* the padded plane, read from another place. So a task copies the few input rows it needs once,
//! with their padding, and the micro-kernel looks up where each row begins. A stride of s is stride 1 in each of s × s planes of
//! every s-th row and column, which is how the rows are copied then.
//!
//! Output pixels are counted along the padded rows, the padding on the right of a row being that on the left of the next. If whole
//! vectors do not fill a row evenly, tiles run on over the ends of the rows and what they compute there is dropped.
//!
//! What it is not: the way by AMX tiles, which shares its planes (`direct_tiles`).
//!
//! Roofline (AVX-512): 14·32 multiply-adds a step for 14 + 32 elements from L1 or L2, as in GEMM. im2col would write and read
//! each input `taps` times, which for 16 output channels takes as long as the products; the copy here touches it once.

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::Weights;
use super::geometry::Geometry;
use super::planes::{Places, Planes};
use crate::gemm::kept::Key;
use crate::gemm::{
    Epilogue, KC, MatRef, Out, PackA, RegisterTile, Scale, Shifted, activate, finish, on,
    register_tile, tile, tiles,
};
use crate::parallel::{self, SharedMut};
use crate::scratch;

/// Elements of the input that a task copies, and of the weights that it uses before it comes back to the first: both fit L2.
pub(super) const BLOCK: usize = 96 * 1024;
const WEIGHTS: usize = 128 * 1024;
/// Multiply-adds that make a part of an image worth a task.
const TASK: usize = 1 << 20;
/// Room for one register tile.
const MAX_TILE: usize = 14 * 32;

/// How the work is cut, by the sizes alone: output rows and panels of output channels a task.
pub(super) struct Cut {
    pub rows: usize,
    pub panels: usize,
    pub bands: usize,
    pub parts: usize,
}

impl Cut {
    /// Panels are `mr` channels high; a task copies at most `most` elements if it can.
    pub(super) fn new(g: &Geometry, planes: &Planes, mr: usize, most: usize) -> Self {
        let all = g.outputs.div_ceil(mr);
        let (mut rows, mut panels) = (g.output[1], all);
        while rows > 1 && g.channels * planes.count() * planes.len(rows) > most {
            rows = rows.div_ceil(2);
        }
        while g.batch * g.output[1].div_ceil(rows) * all.div_ceil(panels) < 16
            && (rows > 1 || panels > 1)
            && rows * g.output[2] * panels * mr * g.depth() > TASK
        {
            if rows > 4 || panels == 1 {
                rows = rows.div_ceil(2);
            } else {
                panels = panels.div_ceil(2);
            }
        }
        Self {
            rows,
            panels,
            bands: g.output[1].div_ceil(rows),
            parts: all.div_ceil(panels),
        }
    }
}

/// A few rows of an image's output, in some channels.
#[derive(Clone, Copy)]
pub(super) struct Band<'a, T> {
    pub g: &'a Geometry,
    pub planes: Planes,
    pub x: &'a [T],
    /// The first input channel, counted over the whole batch.
    pub channel: usize,
    pub image: usize,
    /// First output row, and how many.
    pub rows: (usize, usize),
    /// First output channel, and how many.
    pub channels: (usize, usize),
    pub epilogue: &'a Epilogue<'a, T>,
    pub out: &'a Out<'a, T>,
}

impl<'a, T: Float> Band<'a, T> {
    /// Calls `f` with each band of a convolution, on several threads if it is worth it, and does after it what is left to do.
    pub(super) fn for_each(
        isa: IsaName,
        (g, planes): (&'a Geometry, Planes),
        (x, channel): (&'a [T], usize),
        epilogue: &'a Epilogue<'a, T>,
        out: &'a Out<'a, T>,
        (mr, most): (usize, usize),
        f: &(dyn Fn(Self) + Sync),
    ) {
        let cut = Cut::new(g, &planes, mr, most);
        let task = |i: usize| {
            let (image, band, part) = (
                i / (cut.bands * cut.parts),
                i / cut.parts % cut.bands,
                i % cut.parts,
            );
            let (row, first) = (band * cut.rows, part * cut.panels * mr);
            let rows = cut.rows.min(g.output[1] - row);
            let channels = (cut.panels * mr).min(g.outputs - first);
            f(Band {
                g,
                planes,
                x,
                channel: image * g.groups * g.channels + channel,
                image,
                rows: (row, rows),
                channels: (first, channels),
                epilogue,
                out,
            });
            let column = image * g.pixels() + row * g.output[2];
            activate(
                isa,
                epilogue.activation,
                out,
                (first, column),
                (channels, rows * g.output[2]),
            );
        };
        let tasks = g.batch * cut.bands * cut.parts;
        if g.batch * g.pixels() * g.outputs * g.depth() >= TASK {
            parallel::for_each(tasks, &task);
        } else {
            (0..tasks).for_each(task);
        }
    }

    /// Column of C of the band's first pixel.
    fn column(&self) -> usize {
        self.image * self.g.pixels() + self.rows.0 * self.g.output[2]
    }

    /// Writes the pixels among `rows × cols` sums (rows `stride` apart), the first of which stands at `q` of a plane and channel `c`.
    ///
    /// # Safety
    /// The sums are readable, the outputs inside `out` and this thread's alone.
    #[inline(always)]
    pub(super) unsafe fn write<S: Isa>(
        &self,
        isa: S,
        (sums, stride): (*const T, usize),
        (rows, cols): (usize, usize),
        (c, q): (usize, usize),
    ) {
        let (width, pixels) = (self.planes.width, self.g.output[2]);
        let epilogue = (!self.epilogue.is_identity()).then_some(self.epilogue);
        let scale = Scale {
            alpha: T::ONE,
            beta: T::ZERO,
        };
        let mut j = 0;
        while j < cols {
            let (row, x) = ((q + j) / width, (q + j) % width);
            if x >= pixels {
                j += width - x;
                continue;
            }
            let n = (pixels - x).min(cols - j);
            let at = (c, self.column() + row * pixels + x);
            // SAFETY: the caller's promise.
            unsafe {
                let sums = sums.add(j);
                finish(isa, sums, stride, (rows, n), self.out, at, &scale, epilogue);
            }
            j += n;
        }
    }
}

/// Cycles that the whole takes; `None` if it cannot be done so, or is of no use: with a single tap the copy is read as often
/// as what packing writes, and less well.
pub(crate) fn cost(g: &Geometry, kept: bool) -> Option<f64> {
    if g.taps() == 1 {
        return None;
    }
    let planes = Planes::new(g)?;
    let waste = planes.width as f64 / g.output[2] as f64;
    let products = g.batch as f64 * g.outputs as f64 * g.depth() as f64 * g.pixels() as f64;
    Some(
        products * waste / tiles::vectors_rate()
            + planes.overhead(g, 0.5, if kept { 0.0 } else { 0.7 }, 4),
    )
}

/// `y = epilogue(conv(x, w))` of checked, contiguous arguments of one group: `w` is (O, C·taps), `out` O × (B·pixels), and
/// `channel` the group's first in the input.
///
/// # Panics
/// If [`cost`] says `None`.
pub(crate) fn run<T: Float>(
    isa: IsaName,
    g: &Geometry,
    x: &[T],
    channel: usize,
    w: Weights<'_, T>,
    epilogue: &Epilogue<'_, T>,
    out: &Out<'_, T>,
) {
    let planes = Planes::new(g).expect("shifted loads serve");
    let (m, k) = (g.outputs, g.depth());
    let mr = panel_height::<T>(isa, m);
    let pack = |to: &mut [T]| pack(isa, w.all, (m, k), mr, to);
    let kept = w.kept.and_then(|kept| {
        let key = Key::of_convolution(w.all, [m, k], [mr, 0, 0, 0]);
        kept.get(key, m * k, pack)
    });
    let mut weights = scratch::buffer::<T>(if kept.is_none() { m * k } else { 0 });
    let weights = &mut *weights;
    let weights = match &kept {
        Some(kept) => kept.as_slice(),
        None => {
            pack(weights);
            &*weights
        }
    };
    let (x, cut) = ((x, channel), (mr, BLOCK));
    Band::for_each(isa, (g, planes), x, epilogue, out, cut, &|band| {
        on(isa, Vectors { band, weights, mr });
    });
}

/// Output channels in a panel of weights.
pub(super) fn panel_height<T: Float>(isa: IsaName, m: usize) -> usize {
    let (max_mr, ..) = on(isa, RegisterTile::<T>(std::marker::PhantomData));
    m.div_ceil(m.div_ceil(max_mr))
}

/// The weights as panels of `mr` output channels.
pub(super) fn pack<T: Float>(
    isa: IsaName,
    w: &[T],
    (m, k): (usize, usize),
    mr: usize,
    dst: &mut [T],
) {
    let a = MatRef::row_major(w, m, k).expect("the slice was cut to size");
    let step = (BLOCK / (mr * k)).max(1) * mr;
    let dst = SharedMut::new(dst);
    parallel::for_each(m.div_ceil(step), &|i| {
        let rows = i * step..(i * step + step).min(m);
        // SAFETY: panels of different tasks do not overlap, and m·k elements hold all of them.
        let dst = unsafe { dst.slice(rows.start * k..rows.end * k) };
        let pack = PackA {
            a: &a,
            rows,
            ks: 0..k,
            mr,
            dst,
        };
        on(isa, pack);
    });
}

/// A band by vectors.
pub(super) struct Vectors<'a, T> {
    pub band: Band<'a, T>,
    /// All panels.
    pub weights: &'a [T],
    pub mr: usize,
}

#[repr(align(64))]
struct Tile<T>([T; MAX_TILE]);

impl<T: Float> Kernel for Vectors<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self { band, weights, mr } = self;
        let (g, planes, lanes) = (band.g, band.planes, T::V::<S>::LANES);
        let (max_mr, nv) = register_tile::<S, T>();
        let (k, nr, (first, channels)) = (g.depth(), nv * lanes, band.channels);
        let plane = planes.len(band.rows.1);
        let len = g.channels * planes.count() * plane;
        let mut block = scratch::buffer::<T>(len + nr);
        let block = &mut *block;
        for (i, to) in block[..len].chunks_exact_mut(plane).enumerate() {
            let x = &band.x[(band.channel + i / planes.count()) * g.plane()..][..g.plane()];
            planes.copy(g, x, band.rows.0, i % planes.count(), to);
        }
        block[len..].fill(T::ZERO);
        // Where in the block each row of the im2col matrix begins: (channel, tap).
        let mut steps = Vec::with_capacity(k);
        for c in 0..g.channels {
            for tap in 0..g.taps() {
                let (n, from) = planes.tap(g, [tap / g.kernel[2], tap % g.kernel[2]]);
                steps.push((c * planes.count() + n) * plane + from);
            }
        }
        assert!(mr <= max_mr && weights.len() >= (first + channels) * k);
        let places = Places::new(g, &planes, band.rows.1, nr);
        let straight = places.per_row.is_some() && band.epilogue.is_identity();
        let mut room = Tile([T::ZERO; MAX_TILE]);
        let kc = k.div_ceil(k.div_ceil(KC)); // as GEMM sums
        let at_once = (WEIGHTS / (mr * k)).max(1) * mr;
        for some in (0..channels).step_by(at_once) {
            for i in 0..places.count {
                let (q, cols) = places.at(i);
                for c in (some..channels.min(some + at_once)).step_by(mr) {
                    let c = first + c;
                    let height = mr.min(first + channels - c);
                    // SAFETY: every step + q is inside the block, and nr more elements are; the panel of weights is k × height
                    // (asserted); the outputs are inside `out`, and this task's alone.
                    unsafe {
                        let (to, stride) = if straight {
                            let column =
                                band.column() + q / planes.width * g.output[2] + q % planes.width;
                            let (index, _) = band.out.locate(c, column);
                            (band.out.at(index), band.out.row_stride())
                        } else {
                            (room.0.as_mut_ptr(), nr)
                        };
                        let size = (height, cols.div_ceil(lanes));
                        for p in (0..k).step_by(kc) {
                            let columns = Shifted {
                                from: block.as_ptr().add(q),
                                steps: steps.as_ptr().add(p),
                            };
                            let a = weights.as_ptr().add(c * k + p * height);
                            let k = kc.min(k - p);
                            tile::<S, T, _, false>(isa, size, k, a, columns, to, stride, p > 0);
                        }
                        if !straight {
                            band.write(isa, (to, stride), (height, cols), (c, q));
                        }
                    }
                }
            }
        }
    }
}
