//! Convolution by shifted loads on AMX: `direct`, with planes of bf16.
//!
//! A tile of B is 16 pairs of channels by 16 pixels, and in planes that hold two channels side by side its rows lie one plane
//! apart: `tileloadd` with the plane as its stride reads it from any pixel on, so a tap is an offset here, too. Each input is split
//! into its three bf16 once, and not once for every tap as in the packing of im2col. K runs over blocks of 32 channels, and
//! over the taps of each.
//!
//! Roofline: as `gemm::tiles`, 384 cycles for 32 × 32 of C and 32 channels of one tap. Rows of B are not aligned to cache lines, so its
//! tile loads take twice as long, which the products hide. What tiles cannot compute (see `Exponents`) vectors do, band by band.

use gradus_simd::{Float, IsaName};

use super::Weights;
use super::geometry::Geometry;
use super::planes::Planes;
use crate::gemm::{Epilogue, Out, tiles};

/// Cycles, as a multiply-add of vectors counts them, that the whole takes; `None` if it cannot be done so.
pub(crate) fn cost<T: Float>(isa: IsaName, g: &Geometry, kept: bool) -> Option<f64> {
    if isa != IsaName::Amx || std::any::TypeId::of::<T>() != std::any::TypeId::of::<f32>() {
        return None;
    }
    let planes = Planes::new(g)?;
    let waste = planes.width as f64 / g.output[2] as f64;
    let (m, c) = (
        g.outputs.next_multiple_of(16),
        g.channels.next_multiple_of(32),
    );
    let pixels = (g.batch * g.pixels()) as f64;
    let products = m as f64 * (c * g.taps()) as f64 * pixels * waste;
    let pack = if kept { 0.0 } else { 4.0 };
    let overhead = planes.overhead(g, 2.5 * c as f64 / g.channels as f64, pack, 6);
    Some(products / tiles::RATE + overhead + 0.3 * m as f64 * pixels)
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::run;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use gradus_simd::amx::{self, Exponents, PANEL, STEP, Tiles};
    use gradus_simd::{Isa, Kernel};

    use super::*;
    use crate::conv::direct::{self, BLOCK, Band, Vectors};
    use crate::conv::planes::Places;
    use crate::gemm::kept::Key;
    use crate::gemm::{MatRef, on};
    use crate::scratch;

    /// Steps between two visits of C: 512 products, as in `gemm::tiles`.
    const STEPS: usize = tiles::KC / STEP;

    /// The weights for the tiles, split: blocks of steps, in each a panel for every 32 output channels.
    struct Split<'a> {
        panels: usize,
        /// All steps, and those of a block.
        steps: usize,
        block: usize,
        data: &'a [f32],
        /// As they came, for bands that vectors compute.
        raw: &'a [f32],
    }

    impl Split<'_> {
        /// Blocks of steps.
        fn blocks(&self) -> usize {
            self.steps.div_ceil(self.block)
        }

        fn panel(&self, block: usize, panel: usize) -> &[f32] {
            let before = block * self.panels * tiles::panel_len(3, self.block * STEP);
            let steps = self.block.min(self.steps - block * self.block);
            let len = tiles::panel_len(3, steps * STEP);
            &self.data[before + panel * len..][..len]
        }
    }

    /// As [`direct::run`].
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
        let (taps, blocks_of_channels) = (g.taps(), g.channels.div_ceil(STEP));
        let steps = blocks_of_channels * taps;
        let k = steps * STEP;
        let block = steps.div_ceil(steps.div_ceil(STEPS));
        let panels = g.outputs.div_ceil(PANEL);
        let raw = tiles::as_f32(w.all);
        let len = tiles::packed_len(3, g.outputs, k, block * STEP);
        let pack = |data: &mut [f32]| split(raw, g, (steps, block), data);
        let kept = w.kept.and_then(|kept| {
            let cut = [taps, g.channels, block, 3];
            kept.get(
                Key::of_convolution(raw, [g.outputs, g.depth()], cut),
                len,
                pack,
            )
        });
        let mut data = scratch::buffer::<f32>(if kept.is_none() { len } else { 0 });
        let data = match &kept {
            Some(kept) => kept.as_slice(),
            None => {
                pack(&mut data);
                &*data
            }
        };
        let weights = Split {
            panels,
            steps,
            block,
            data,
            raw,
        };
        let (x, cut) = ((x, channel), (PANEL, BLOCK / 2));
        Band::for_each(isa, (g, planes), x, epilogue, out, cut, &|band| {
            if on(
                isa,
                Tiled {
                    band,
                    weights: &weights,
                },
            ) {
                return;
            }
            let (m, k) = (g.outputs, g.depth());
            let mut packed = scratch::buffer::<T>(m * k);
            let packed = &mut *packed;
            let mr = direct::panel_height::<T>(isa, m);
            direct::pack(isa, tiles::of_f32(weights.raw), (m, k), mr, packed);
            let weights = &*packed;
            on(isa, Vectors { band, weights, mr });
        });
    }

    /// Splits the weights, as blocks of so many of all steps.
    fn split(raw: &[f32], g: &Geometry, (steps, block): (usize, usize), data: &mut [f32]) {
        let (taps, k, panels) = (g.taps(), steps * STEP, g.outputs.div_ceil(PANEL));
        // (O, block of channels, tap, 32 channels).
        let mut turned = scratch::buffer::<f32>(g.outputs * k);
        let turned = &mut *turned;
        crate::parallel::for_each_chunk_mut(turned, k, |o, turned| {
            let w = &raw[o * g.depth()..][..g.depth()];
            for (i, to) in turned.chunks_exact_mut(STEP).enumerate() {
                let (first, tap) = (i / taps * STEP, i % taps);
                let count = STEP.min(g.channels - first);
                for (c, to) in to[..count].iter_mut().enumerate() {
                    *to = w[(first + c) * taps + tap];
                }
                to[count..].fill(0.0);
            }
        });
        let whole = MatRef::row_major(&*turned, g.outputs, k).expect("made to size");
        let mut rest = data;
        for first in (0..steps).step_by(block) {
            let ks = first * STEP..(first + block).min(steps) * STEP;
            let (now, later) = rest.split_at_mut(panels * tiles::panel_len(3, ks.len()));
            let len = tiles::panel_len(3, ks.len());
            crate::parallel::for_each_chunk_mut(now, len, |i, panel| {
                let rows = i * PANEL..((i + 1) * PANEL).min(g.outputs);
                tiles::pack(whole, rows, ks.clone(), true, panel);
            });
            rest = later;
        }
    }

    /// A band by tiles, unless its numbers do not suit them; says whether.
    struct Tiled<'a, T> {
        band: Band<'a, T>,
        weights: &'a Split<'a>,
    }

    #[repr(align(64))]
    struct Tile([f32; PANEL * PANEL]);

    impl<T: Float> Kernel for Tiled<'_, T> {
        type Output = bool;

        #[inline(always)]
        fn run<S: Isa>(self, isa: S) -> bool {
            if const { !tiles::is_served::<S, T>() } {
                unreachable!("`cost` takes tiles for no other");
            }
            let Self { band, weights } = self;
            let (g, planes, (first, channels)) = (band.g, band.planes, band.channels);
            let (count, len) = (planes.count(), planes.len(band.rows.1));
            // Rows of a tile are a plane apart: an odd number of cache lines, so that they do not meet in one set.
            let plane = (len.div_ceil(16) | 1) * 16;
            let groups = g.channels.div_ceil(STEP);
            // (block of channels, plane, part, pair of channels, pixel): a pair of bf16 is as large as an f32.
            let part = STEP / 2 * plane;
            let mut block = scratch::buffer::<f32>(groups * count * 3 * part + PANEL);
            let block = &mut *block;
            let mut lines = scratch::buffer::<f32>(2 * len);
            let lines = &mut *lines;
            let mut exponents = Exponents::NONE;
            let mut largest = vec![0u32; len];
            for (i, to) in block
                .chunks_exact_mut(3 * part)
                .take(groups * count)
                .enumerate()
            {
                largest.fill(0);
                for pair in 0..STEP / 2 {
                    let c = i / count * STEP + 2 * pair;
                    let (even, odd) = lines.split_at_mut(len);
                    let [even, odd] = [(c, even), (c + 1, odd)].map(|(c, room)| {
                        if c < g.channels {
                            let x = &band.x[(band.channel + c) * g.plane()..][..g.plane()];
                            planes.line(g, tiles::as_f32(x), band.rows.0, i % count, room)
                        } else {
                            room.fill(0.0);
                            room
                        }
                    });
                    let parts =
                        [0, 1, 2].map(|p| to[p * part + pair * plane..][..len].as_mut_ptr().cast());
                    // SAFETY: AMX is there (`cost`); both lines and the three places have `len` elements of 4 bytes.
                    unsafe {
                        let (even, odd) = (even.as_ptr(), odd.as_ptr());
                        amx::split_pairs(even, odd, len, parts, &mut largest);
                    }
                }
                exponents = exponents.and(Exponents::of(&largest));
            }
            let blocks = weights.blocks();
            let panels = first / PANEL..(first + channels).div_ceil(PANEL);
            for b in 0..blocks {
                if !panels
                    .clone()
                    .all(|p| tiles::exponents(weights.panel(b, p)).fit(exponents))
                {
                    return false;
                }
            }
            // Bytes from the first pair of a step.
            let table: Vec<usize> = (0..weights.steps)
                .map(|s| {
                    let tap = s % g.taps();
                    let (n, from) = planes.tap(g, [tap / g.kernel[2], tap % g.kernel[2]]);
                    4 * ((s / g.taps() * count + n) * 3 * part + from)
                })
                .collect();
            let registers = Tiles::new().expect("`cost` found them");
            let places = Places::new(g, &planes, band.rows.1, PANEL);
            let (mut sums, mut more) = (Tile([0.0; PANEL * PANEL]), Tile([0.0; PANEL * PANEL]));
            // Panels whose blocks stay in L2 while the pixels pass by.
            let at_once = (BLOCK * 2 / (weights.steps * STEP * PANEL)).max(1);
            for some in panels.clone().step_by(at_once) {
                for i in 0..places.count {
                    let (q, cols) = places.at(i);
                    for panel in some..panels.end.min(some + at_once) {
                        let c = panel * PANEL;
                        let rows = PANEL.min(first + channels - c);
                        for b in 0..blocks {
                            let table = &table[b * weights.block..];
                            let steps = table.len().min(weights.block);
                            let a = weights.panel(b, panel);
                            let to = if b == 0 { &mut sums } else { &mut more };
                            // SAFETY: the panel has `steps` steps, and so the table; its last entry, the last row of its tile and PANEL
                            // elements from `q` on are inside the block; the sums are 32 × 32.
                            unsafe {
                                registers.split_shifted(
                                    steps,
                                    a.as_ptr().add(tiles::HEAD).cast(),
                                    (block.as_ptr().add(q).cast(), 4 * plane, 4 * part),
                                    table.as_ptr(),
                                    (to.0.as_mut_ptr(), PANEL),
                                    (rows, cols),
                                );
                            }
                            if b > 0 {
                                for (sum, more) in sums.0.iter_mut().zip(&more.0) {
                                    *sum += more;
                                }
                            }
                        }
                        // SAFETY: the sums are there; these outputs are this task's.
                        unsafe {
                            let sums = tiles::of_f32::<T>(&sums.0).as_ptr();
                            band.write(isa, (sums, PANEL), (rows, cols), (c, q));
                        }
                    }
                }
            }
            true
        }
    }
}

/// Where there are no tiles: [`cost`] says so, and this is not reached.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn run<T: Float>(
    _: IsaName,
    _: &Geometry,
    _: &[T],
    _: usize,
    _: Weights<'_, T>,
    _: &Epilogue<'_, T>,
    _: &Out<'_, T>,
) {
    unreachable!("no tiles")
}
