//! Convolution by shifted loads: the register tile of GEMM, reading its columns where they lie instead of from im2col.
//!
//! With stride 1 a vector of neighbouring output pixels sees, through each tap, a vector of neighbouring inputs: row (channel,
//! tap) of the im2col matrix *is* the padded plane, read from another place. So a task copies the few input rows it needs once,
//! with their padding, and the micro-kernel looks up where each row begins. A stride of s is stride 1 in each of s × s planes of
//! every s-th row and column, which is how the rows are copied then.
//!
//! Output pixels are counted along the padded rows. If whole vectors do not fill a row evenly, tiles run on over the ends of the
//! rows and what they compute there is dropped: `reach` of every `width + reach` columns.
//!
//! Roofline (AVX-512): 14·32 multiply-adds a step for 14 + 32 elements from L1 or L2, as in GEMM. im2col would write and read
//! each input `taps` times, which for 16 output channels takes as long as the products; the copy here touches it once.

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::geometry::Geometry;
use crate::gemm::{
    Epilogue, KC, MatRef, Out, PackA, RegisterTile, Scale, Shifted, activate, finish, on,
    register_tile, tile,
};
use crate::parallel::{self, SharedMut};
use crate::scratch;

/// Elements of the input that a task copies, and of the weights that it uses before it comes back to the first: both fit L2.
const BLOCK: usize = 96 * 1024;
const WEIGHTS: usize = 128 * 1024;
/// Multiply-adds that make a part of an image worth a task.
const TASK: usize = 1 << 20;
/// Room for one register tile.
const MAX_TILE: usize = 14 * 32;

/// The planes a convolution's input is copied into.
#[derive(Clone, Copy, Debug)]
struct Planes {
    /// Phases that some tap reads, of the stride: rows and columns.
    phases: [usize; 2],
    /// Rows and columns that a kernel reaches past the pixel it begins at, in a phase.
    reach: [usize; 2],
    /// Columns of a plane.
    width: usize,
}

impl Planes {
    fn new(g: &Geometry) -> Self {
        let last = |d: usize| (g.kernel[d] - 1) * g.dilation[d];
        let phases = |d: usize| {
            if g.kernel[d] == 1 {
                1
            } else {
                g.stride[d].min(last(d) + 1)
            }
        };
        let reach = [last(1) / g.stride[1], last(2) / g.stride[2]];
        Self {
            phases: [phases(1), phases(2)],
            reach,
            width: g.output[2] + reach[1],
        }
    }

    /// Elements of `rows` output rows: all channels and phases.
    fn len(&self, g: &Geometry, rows: usize) -> usize {
        g.channels * self.phases[0] * self.phases[1] * (rows + self.reach[0]) * self.width
    }
}

/// Cycles of a multiply-add that the whole takes, for a choice between this way and others; `None` if it cannot be done so.
pub(crate) fn cost(g: &Geometry) -> Option<f64> {
    let flat = g.kernel[0] == 1 && g.input[0] == 1 && g.padding[0] == 0 && g.stride[0] == 1;
    if !flat || g.is_pointwise() || g.depth() == 0 || g.taps() > 256 {
        return None;
    }
    let planes = Planes::new(g);
    // Phases copied beyond what is used, and rows much longer than their pixels, make another way the better one.
    if planes.len(g, 1) > 8 * BLOCK || planes.width > 2 * g.output[2] {
        return None;
    }
    let products = g.batch as f64 * g.outputs as f64 * g.depth() as f64;
    let copied = g.batch as f64 * planes.len(g, g.output[1]) as f64;
    let waste = planes.width as f64 / g.output[2] as f64;
    Some(products * g.pixels() as f64 * waste / 27.0 + 0.5 * copied)
}

/// `y = epilogue(conv(x, w))` of checked, contiguous arguments of one group: `w` is (O, C·taps), `out` O × (B·pixels), and
/// `channel` the group's first in the input.
pub(crate) fn run<T: Float>(
    isa: IsaName,
    g: &Geometry,
    x: &[T],
    channel: usize,
    w: &[T],
    epilogue: &Epilogue<'_, T>,
    out: &Out<'_, T>,
) {
    let (m, k) = (g.outputs, g.depth());
    let planes = Planes::new(g);
    let (max_mr, nr, _) = on(isa, RegisterTile::<T>(std::marker::PhantomData));
    let mr = m.div_ceil(m.div_ceil(max_mr));
    let panels = m.div_ceil(mr);

    let mut weights = scratch::buffer::<T>(m * k);
    let weights = &mut *weights;
    pack(isa, w, (m, k), mr, weights);
    let weights = &*weights;

    // Rows and output channels a task, by the sizes alone.
    let mut rows = g.output[1];
    while rows > 1 && planes.len(g, rows) > BLOCK {
        rows = rows.div_ceil(2);
    }
    let mut group = panels;
    while g.batch * g.output[1].div_ceil(rows) * panels.div_ceil(group) < 16
        && (rows > 1 || group > 1)
        && rows * g.output[2] * group * mr * k > TASK
    {
        if rows > 4 || group == 1 {
            rows = rows.div_ceil(2);
        } else {
            group = group.div_ceil(2);
        }
    }
    let (bands, groups) = (g.output[1].div_ceil(rows), panels.div_ceil(group));
    let task = |i: usize| {
        let (image, band, part) = (i / (bands * groups), i / groups % bands, i % groups);
        let first = band * rows;
        let panel = part * group;
        let height = (group * mr).min(m - panel * mr);
        let count = rows.min(g.output[1] - first);
        on(
            isa,
            Band {
                g,
                planes,
                x,
                channel: image * g.groups * g.channels + channel,
                image,
                rows: (first, count),
                weights,
                mr,
                channels: (panel * mr, height),
                aligned: g.output[2].is_multiple_of(nr),
                epilogue,
                out,
            },
        );
        let column = image * g.pixels() + first * g.output[2];
        activate(
            isa,
            epilogue.activation,
            out,
            (panel * mr, column),
            (height, count * g.output[2]),
        );
    };
    let tasks = g.batch * bands * groups;
    if tasks * rows * g.output[2] * group * mr * k >= TASK {
        parallel::for_each(tasks, &task);
    } else {
        (0..tasks).for_each(task);
    }
}

/// The weights as panels of `mr` output channels.
fn pack<T: Float>(isa: IsaName, w: &[T], (m, k): (usize, usize), mr: usize, dst: &mut [T]) {
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

/// A few rows of an image's output, in some channels.
struct Band<'a, T> {
    g: &'a Geometry,
    planes: Planes,
    x: &'a [T],
    /// The first input channel, counted over the whole batch.
    channel: usize,
    image: usize,
    /// First output row, and how many.
    rows: (usize, usize),
    /// All panels.
    weights: &'a [T],
    mr: usize,
    /// First output channel, and how many.
    channels: (usize, usize),
    /// Whether tiles begin with the rows and end with them.
    aligned: bool,
    epilogue: &'a Epilogue<'a, T>,
    out: &'a Out<'a, T>,
}

#[repr(align(64))]
struct Tile<T>([T; MAX_TILE]);

impl<T: Float> Kernel for Band<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let (g, planes, lanes) = (self.g, self.planes, T::V::<S>::LANES);
        let nr = register_tile::<S, T>().1 * lanes;
        let (k, mr, width) = (g.depth(), self.mr, planes.width);
        let (first_row, rows) = self.rows;
        let (first_channel, channels) = self.channels;
        let pixel_width = g.output[2];
        let len = planes.len(g, rows);
        let mut block = scratch::buffer::<T>(len + nr);
        let block = &mut *block;
        block[len..].fill(T::ZERO);
        self.copy_rows(block);
        let steps = self.steps();
        assert!(steps.len() == k && self.weights.len() >= (first_channel + channels) * k);
        assert!(mr <= register_tile::<S, T>().0);
        // Tiles: `per_row` a row if they fit it evenly, else one after the other.
        let per_row = pixel_width / nr;
        let last = (rows - 1) * width + pixel_width;
        let tiles = if self.aligned {
            rows * per_row
        } else {
            last.div_ceil(nr)
        };
        let epilogue = (!self.epilogue.is_identity()).then_some(self.epilogue);
        let scale = Scale {
            alpha: T::ONE,
            beta: T::ZERO,
        };
        let mut room = Tile([T::ZERO; MAX_TILE]);
        let kc = k.div_ceil(k.div_ceil(KC)); // as GEMM sums
        let at_once = (WEIGHTS / (mr * k)).max(1) * mr;
        for some in (0..channels).step_by(at_once) {
            for i in 0..tiles {
                let q = if self.aligned {
                    i / per_row * width + i % per_row * nr
                } else {
                    i * nr
                };
                let cols = nr.min(last - q);
                for c in (some..channels.min(some + at_once)).step_by(mr) {
                    let c = first_channel + c;
                    let height = mr.min(first_channel + channels - c);
                    let mut column = self.image * g.pixels() + first_row * pixel_width;
                    // SAFETY: steps[k - 1] + last is inside the block, and nr more elements are; the panel of weights is k × height
                    // (asserted); the outputs are inside `out`, and this task's alone.
                    unsafe {
                        let direct = self.aligned && epilogue.is_none();
                        let (to, stride) = if direct {
                            column += i / per_row * pixel_width + i % per_row * nr;
                            let (index, _) = self.out.locate(c, column);
                            (self.out.at(index), self.out.row_stride())
                        } else {
                            (room.0.as_mut_ptr(), nr)
                        };
                        let size = (height, cols.div_ceil(lanes));
                        let weights = self.weights.as_ptr().add(c * k);
                        for p in (0..k).step_by(kc) {
                            let columns = Shifted {
                                from: block.as_ptr().add(q),
                                steps: steps.as_ptr().add(p),
                            };
                            let (a, k) = (weights.add(p * height), kc.min(k - p));
                            tile::<S, T, _>(isa, size, k, a, columns, to, stride, p > 0);
                        }
                        if direct {
                            continue;
                        }
                        // The parts of rows that the tile covers.
                        let mut j = 0;
                        while j < cols {
                            let (row, x) = ((q + j) / width, (q + j) % width);
                            if x >= pixel_width {
                                j += width - x;
                                continue;
                            }
                            let n = (pixel_width - x).min(cols - j);
                            let at = (c, column + row * pixel_width + x);
                            finish(
                                isa,
                                to.add(j),
                                nr,
                                (height, n),
                                self.out,
                                at,
                                &scale,
                                epilogue,
                            );
                            j += n;
                        }
                    }
                }
            }
        }
    }
}

impl<T: Float> Band<'_, T> {
    /// Where in the block each row of the im2col matrix begins: (channel, tap), taps of a channel first.
    fn steps(&self) -> Vec<usize> {
        let (g, p) = (self.g, &self.planes);
        let [_, kh, kw] = g.kernel;
        let plane = (self.rows.1 + p.reach[0]) * p.width;
        // Phase and place of a tap along an axis.
        let split = |d: usize, tap: usize| {
            let at = tap * g.dilation[d];
            (at % g.stride[d], at / g.stride[d])
        };
        let mut steps = Vec::with_capacity(g.depth());
        for c in 0..g.channels {
            for dy in 0..kh {
                let (phase_y, y) = split(1, dy);
                for dx in 0..kw {
                    let (phase_x, x) = split(2, dx);
                    let n = (c * p.phases[0] + phase_y) * p.phases[1] + phase_x;
                    steps.push(n * plane + y * p.width + x);
                }
            }
        }
        steps
    }

    /// Copies the input rows that the band sees, phase by phase, zeros where there is padding.
    #[inline(always)]
    fn copy_rows(&self, block: &mut [T]) {
        let (g, p) = (self.g, &self.planes);
        let [_, height, width] = g.input;
        let (stride, padding) = (g.stride[2], g.padding[2]);
        let mut lines = block.chunks_exact_mut(p.width);
        for c in 0..g.channels {
            let plane = &self.x[(self.channel + c) * g.plane()..][..g.plane()];
            for phase in 0..p.phases[0] {
                for phase_x in 0..p.phases[1] {
                    // Columns whose input exists: low..high.
                    let low = padding
                        .saturating_sub(phase_x)
                        .div_ceil(stride)
                        .min(p.width);
                    let high = (width + padding)
                        .saturating_sub(phase_x)
                        .div_ceil(stride)
                        .clamp(low, p.width);
                    for y in 0..self.rows.1 + p.reach[0] {
                        let line = lines.next().expect("the block has a line for each");
                        let at = (self.rows.0 + y) * g.stride[1] + phase;
                        let Some(at) = at.checked_sub(g.padding[1]).filter(|&at| at < height)
                        else {
                            line.fill(T::ZERO);
                            continue;
                        };
                        line[..low].fill(T::ZERO);
                        line[high..].fill(T::ZERO);
                        if low == high {
                            continue;
                        }
                        let from = &plane[at * width..][..width];
                        let from = &from[low * stride + phase_x - padding..];
                        let to = &mut line[low..high];
                        if stride == 1 {
                            to.copy_from_slice(&from[..to.len()]);
                        } else {
                            for (to, &x) in to.iter_mut().zip(from.iter().step_by(stride)) {
                                *to = x;
                            }
                        }
                    }
                }
            }
        }
    }
}
