//! The gradient of a weight by shifted loads on AMX: `dWᵀ[tap] (C × O) = X[tap] (C × pixels) · dYᵀ (pixels × O)`, tap by tap.
//!
//! The sum runs over pixels, along which an image's rows lie as a tile's rows of A want them: 32 neighbours side by side, 16 channels
//! a plane apart. So the padded planes (`direct::Planes`) are split into three bf16 once, and a tap is an offset in them; `dY`
//! is packed once as B, its pixels counted along the padded rows, with zeros at their ends. No im2col is written.
//!
//! The work goes in stages: some rows of an image, or some images whose planes lie one after the other, as many as the caches hold.
//! In each, all channels are split, then 32 × 32 weights of all taps are a task. The stages follow from the sizes, and each
//! weight is summed in their order.
//!
//! Roofline: as `gemm::tiles`, 384 cycles for 32 × 32 weights of one tap and 32 pixels. A pixel is split once for all weights, at about
//! 1.5 cycles a channel, so three taps or a hundred channels hide it. What tiles cannot compute (see `Exponents`) vectors do: `run` says so.

use gradus_simd::{Float, IsaName};

use super::geometry::Geometry;
use super::planes::Planes;
use crate::gemm::tiles;

/// Bytes of planes and gradients in a stage: what two cores keep in L2.
const STAGE: usize = 2 << 20;

/// Cycles, as a multiply-add of vectors counts them, that the whole takes; `None` if it cannot be done so.
pub(super) fn cost<T: Float>(isa: IsaName, g: &Geometry) -> Option<f64> {
    if isa != IsaName::Amx || std::any::TypeId::of::<T>() != std::any::TypeId::of::<f32>() {
        return None;
    }
    let planes = Planes::new(g)?;
    let stage = Stage::new(g, &planes)?;
    let span = stage.span(&planes) as f64 / (stage.images * stage.rows) as f64;
    let positions = (g.batch * g.output[1]) as f64 * span;
    let (c, o) = (
        g.channels.next_multiple_of(16),
        g.outputs.next_multiple_of(16),
    );
    let split = (g.channels * planes.count()) as f64 * 2.2 + g.outputs as f64 * 2.8;
    let strided = if g.stride[2] > 1 { 1.5 } else { 0.0 };
    let weights = (g.outputs * g.depth()) as f64;
    Some(
        positions * ((c * o * g.taps()) as f64 / tiles::RATE + split + strided * g.channels as f64)
            + 3.0 * weights,
    )
}

/// What is summed at a time: so many images, or so many rows of one.
#[derive(Clone, Copy, Debug)]
struct Stage {
    images: usize,
    rows: usize,
}

impl Stage {
    /// `None` if even one row is too much.
    fn new(g: &Geometry, planes: &Planes) -> Option<Self> {
        let channels = g.channels.checked_mul(planes.count())? + g.outputs;
        let most = STAGE / (6 * channels).max(1);
        let image = planes.height.checked_mul(planes.width)?;
        let rows = (most / planes.width).min(g.output[1]);
        if rows < g.output[1] {
            // Several stages an image, equally high.
            let rows = g.output[1].div_ceil(g.output[1].div_ceil(rows.max(1)));
            return (rows >= 1 && planes.reach[0] <= 4 * rows).then_some(Self { images: 1, rows });
        }
        let images = (most / image).clamp(1, g.batch.max(1));
        Some(Self { images, rows })
    }

    /// Positions that are summed: along the padded rows, from image to image.
    fn span(&self, planes: &Planes) -> usize {
        if self.images == 1 {
            self.rows * planes.width
        } else {
            self.images * planes.height * planes.width
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::run;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use gradus_simd::amx::{self, Exponents, Order, PANEL, PART, STEP, Tiles};

    use super::*;
    use crate::parallel::{self, SharedMut};
    use crate::scratch;

    /// Steps of a sum whose small products are added up first, as in `gemm::tiles`.
    const STEPS: usize = tiles::KC / STEP;
    /// Elements of a tile of C, and bytes of a panel's step of dY.
    const TILE: usize = PANEL * PANEL;
    const PANEL_STEP: usize = 3 * PART;

    /// Where everything of a stage lies.
    struct Layout {
        planes: Planes,
        /// Steps of 32 positions.
        steps: usize,
        /// Elements of a plane: positions, what the last tap reaches past them, and so on to an odd number of cache lines, so that rows of
        /// tiles do not meet in one set.
        plane: usize,
        /// Bytes of a part of all planes, and of a panel of dY.
        part: usize,
        panel: usize,
    }

    /// `dw` of checked, contiguous, non-empty arguments; `false` if tiles cannot compute it.
    ///
    /// # Panics
    /// If [`cost`] says `None`.
    pub(in crate::conv) fn run<T: Float>(g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) -> bool {
        let planes = Planes::new(g).expect("shifted loads serve");
        let stage = Stage::new(g, &planes).expect("a row fits");
        let steps = stage.span(&planes).div_ceil(STEP);
        let reach = planes.reach[0] * planes.width + planes.reach[1];
        let plane = ((steps * STEP + reach).div_ceil(32) | 1) * 32;
        // A tile reads 16 channels, if they are there or not.
        let channels = g.channels.next_multiple_of(16);
        let layout = Layout {
            planes,
            steps,
            plane,
            part: channels * planes.count() * plane * 2,
            panel: steps * PANEL_STEP,
        };
        let (rows, columns) = (g.channels.div_ceil(PANEL), g.outputs.div_ceil(PANEL));
        let mut split = scratch::buffer::<f32>(3 * layout.part / 4);
        let mut packed = scratch::buffer::<f32>(columns * layout.panel / 4);
        let mut sums = scratch::buffer::<f32>(rows * columns * g.taps() * TILE);
        let bands = g.output[1].div_ceil(stage.rows);
        for group in 0..g.groups {
            for at in 0..g.batch.div_ceil(stage.images) * bands {
                let image = at / bands * stage.images;
                let here = Here {
                    g,
                    layout: &layout,
                    group,
                    images: (image, stage.images.min(g.batch - image)),
                    rows: (
                        at % bands * stage.rows,
                        stage.rows.min(g.output[1] - at % bands * stage.rows),
                    ),
                };
                let inputs = here.split(tiles::as_f32(x), &mut split);
                let gradients = here.pack(tiles::as_f32(dy), &mut packed);
                if !inputs.fit(gradients) {
                    return false;
                }
                here.add(&split, &packed, at == 0, &mut sums);
            }
            let weights = g.outputs * g.depth();
            spread(g, &sums, &mut dw[group * weights..][..weights]);
        }
        true
    }

    /// One stage.
    struct Here<'a> {
        g: &'a Geometry,
        layout: &'a Layout,
        group: usize,
        /// First and count: images, output rows of each.
        images: (usize, usize),
        rows: (usize, usize),
    }

    impl Here<'_> {
        /// The parts high, middle, low of all planes: (part, channel, plane, position).
        fn split(&self, x: &[f32], split: &mut [f32]) -> Exponents {
            let Self { g, layout, .. } = *self;
            let Layout { planes, plane, .. } = *layout;
            let (count, part) = (planes.count(), layout.part / 4);
            let all = SharedMut::new(split);
            let channel = |c: usize| {
                // SAFETY: this channel's planes, in each part.
                let mut to = [0, 1, 2].map(|p| unsafe {
                    let len = count * plane / 2;
                    all.slice(p * part + c * len..p * part + (c + 1) * len)
                });
                if c >= g.channels {
                    to.iter_mut().for_each(|to| to.fill(0.0));
                    return 0;
                }
                let mut room = scratch::buffer::<f32>(plane);
                let mut largest = 0;
                for n in 0..count {
                    let line = self.line(x, c, n, &mut room);
                    let to = to.each_mut().map(|to| {
                        let to = to[n * plane / 2..][..plane / 2].as_mut_ptr();
                        to.cast::<u16>()
                    });
                    // SAFETY: AMX is there (`cost`); the three places have `plane` elements, the line as many or fewer.
                    unsafe {
                        largest = largest.max(amx::split_line(line.as_ptr(), line.len(), to));
                        for to in to {
                            to.add(line.len()).write_bytes(0, plane - line.len());
                        }
                    }
                }
                largest
            };
            Exponents::of(&parallel::map(g.channels.next_multiple_of(16), channel))
        }

        /// Plane `n` of channel `c`, image after image.
        fn line<'a>(&self, x: &'a [f32], c: usize, n: usize, room: &'a mut [f32]) -> &'a [f32] {
            let Self { g, layout, .. } = *self;
            let planes = &layout.planes;
            let (first, count) = self.images;
            let of = |image: usize| {
                let channel = (image * g.groups + self.group) * g.channels + c;
                &x[channel * g.plane()..][..g.plane()]
            };
            if count == 1 {
                let room = &mut room[..planes.len(self.rows.1)];
                return planes.line(g, of(first), self.rows.0, n, room);
            }
            // The rows under an image are those above the next one.
            let len = planes.height * planes.width;
            for (i, to) in room.chunks_exact_mut(len).take(count).enumerate() {
                planes.copy(g, of(first + i), self.rows.0, n, to);
            }
            &room[..count * len]
        }

        /// The panels of dY, low, middle and high: columns are output channels, steps of k positions.
        fn pack(&self, dy: &[f32], packed: &mut [f32]) -> Exponents {
            let Self { g, layout, .. } = *self;
            let (planes, ks) = (&layout.planes, layout.steps * STEP);
            let (width, pixels) = (g.output[2], g.pixels());
            let (first, count) = self.images;
            let image = planes.height * planes.width;
            let all = SharedMut::new(packed);
            // Half a panel is a task: 16 channels.
            let exponents = parallel::map(g.outputs.div_ceil(16), |half| {
                let outputs = 16.min(g.outputs - half * 16);
                let mut lines = scratch::buffer::<f32>(outputs * ks);
                let lines = &mut *lines;
                for (o, line) in lines.chunks_exact_mut(ks).enumerate() {
                    line.fill(0.0);
                    for i in 0..count {
                        let channel =
                            ((first + i) * g.groups + self.group) * g.outputs + half * 16 + o;
                        let dy = &dy[channel * pixels + self.rows.0 * width..];
                        let rows = dy.chunks_exact(width).take(self.rows.1);
                        for (row, to) in rows.zip(line[i * image..].chunks_mut(planes.width)) {
                            to[..width].copy_from_slice(row);
                        }
                    }
                }
                let panel = half / 2 * layout.panel / 4;
                // SAFETY: AMX is there; the lines are `outputs` × `ks`; this half of the panel is written by no other task.
                let exponents = unsafe {
                    let to = all.as_mut_ptr().add(panel).cast();
                    let strides = (ks as isize, 1);
                    let size = (outputs, ks);
                    amx::split(Order::Pairs, lines.as_ptr(), strides, size, to, half % 2)
                };
                (exponents.smallest, exponents.largest)
            });
            let all = exponents.into_iter();
            all.map(|(smallest, largest)| Exponents { smallest, largest })
                .fold(Exponents::NONE, Exponents::and)
        }

        /// Adds the stage's products to `sums`, (panel of channels, panel of outputs, tap, 32 × 32), or begins them.
        fn add(&self, split: &[f32], packed: &[f32], begin: bool, sums: &mut [f32]) {
            let Self { g, layout, .. } = *self;
            let Layout { planes, plane, .. } = *layout;
            let columns = g.outputs.div_ceil(PANEL);
            let apart = planes.count() * plane * 2;
            parallel::for_each_chunk_mut(sums, g.taps() * TILE, |i, sums| {
                let registers = Tiles::new().expect("`cost` found them");
                let mut room = Tile([0.0; TILE]);
                let (c, o) = (i / columns * PANEL, i % columns * PANEL);
                let size = (PANEL.min(g.channels - c), PANEL.min(g.outputs - o));
                for step in (0..layout.steps).step_by(STEPS) {
                    let steps = STEPS.min(layout.steps - step);
                    let b = &packed[(i % columns * layout.panel + step * PANEL_STEP) / 4..];
                    for (tap, sum) in sums.chunks_exact_mut(TILE).enumerate() {
                        let (n, from) = planes.tap(g, [tap / g.kernel[2], tap % g.kernel[2]]);
                        let at = c * apart + 2 * (n * plane + from + step * STEP);
                        let first = begin && step == 0;
                        let to = if first { &mut *sum } else { &mut room.0[..] };
                        // SAFETY: 16 or 32 channels from `c` on are there, `steps` steps and the tap's offset inside their planes, and
                        // of the panel; the tile is 32 × 32.
                        unsafe {
                            let a = split.as_ptr().cast::<u8>().add(at);
                            registers.split_sliding(
                                steps,
                                (a, apart, layout.part),
                                b.as_ptr().cast(),
                                (to.as_mut_ptr(), PANEL),
                                size,
                            );
                        }
                        if !first {
                            sum.iter_mut().zip(&room.0).for_each(|(sum, x)| *sum += x);
                        }
                    }
                }
            });
        }
    }

    #[repr(align(64))]
    struct Tile([f32; TILE]);

    /// `dw`, (O, C, taps), from the sums of tiles.
    fn spread<T: Float>(g: &Geometry, sums: &[f32], dw: &mut [T]) {
        let (taps, columns) = (g.taps(), g.outputs.div_ceil(PANEL));
        parallel::for_each_chunk_mut(dw, g.depth(), |o, dw| {
            for (c, dw) in dw.chunks_exact_mut(taps).enumerate() {
                let panel = (c / PANEL * columns + o / PANEL) * taps * TILE;
                let sums = &sums[panel + c % PANEL * PANEL + o % PANEL..];
                let sums = tiles::of_f32::<T>(sums).iter().step_by(TILE);
                dw.iter_mut().zip(sums).for_each(|(w, &sum)| *w = sum);
            }
        });
    }
}

/// Where there are no tiles: [`cost`] says so, and this is not reached.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run<T: Float>(_: &Geometry, _: &[T], _: &[T], _: &mut [T]) -> bool {
    false
}
