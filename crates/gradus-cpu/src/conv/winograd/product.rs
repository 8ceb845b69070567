//! The sixteen products of a task, `(O × C)·(C × tiles)`, by the register tile of GEMM or, split in three, by AMX tiles.
//!
//! Nothing of B is packed: a line of tiles is what the register tile reads, and a pair of split lines what an AMX tile reads, as in
//! `direct` and `direct_tiles`. The weights are transformed and packed once, place by place.

use std::sync::Arc;

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel};

use super::transform::Kernels;
use super::{PLACES, Task};
use crate::conv::direct;
use crate::conv::geometry::Geometry;
use crate::gemm::kept::{self, Key};
use crate::gemm::{MatRef, PackA, Shifted, on, register_tile, tile, tiles};
use crate::parallel::{self, SharedMut};
use crate::scratch;

/// What multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Fused multiply-adds of vectors.
    Vectors,
    /// AMX tiles, where they are.
    Tiles,
}

impl Engine {
    /// Output channels in a panel of weights.
    pub(super) fn height<T: Float>(self, isa: IsaName, g: &Geometry) -> usize {
        match self {
            Self::Vectors => direct::panel_height::<T>(isa, g.outputs),
            Self::Tiles => tiles::PANEL,
        }
    }

    /// Elements of a place of packed weights.
    pub(super) fn place(self, g: &Geometry) -> usize {
        match self {
            Self::Vectors => g.outputs * g.channels,
            Self::Tiles => by_tiles::place(g),
        }
    }
}

/// The transformed weights, packed for an engine: one place after the other.
pub(super) enum Weights<T> {
    /// In an earlier call.
    Kept(Arc<kept::Packed<T>>),
    /// For this one.
    Own(scratch::Buffer<T>),
}

impl<T: Float> Weights<T> {
    /// Transforms and packs them, unless they were kept.
    pub fn new(isa: IsaName, engine: Engine, g: &Geometry, w: super::Weights<'_, T>) -> Self {
        let (height, len) = (engine.height::<T>(isa, g), PLACES * engine.place(g));
        let pack = |to: &mut [T]| match engine {
            Engine::Vectors => pack(isa, g, w.all, height, to),
            Engine::Tiles => by_tiles::pack(isa, g, w.all, to),
        };
        let kept = w.kept.and_then(|kept| {
            let cut = [usize::MAX, engine as usize, height, g.channels];
            let key = Key::of_convolution(w.all, [g.outputs, g.depth()], cut);
            kept.get(key, len, pack)
        });
        kept.map_or_else(
            || {
                let mut own = scratch::buffer::<T>(len);
                pack(&mut own);
                Self::Own(own)
            },
            Self::Kept,
        )
    }

    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::Kept(kept) => kept.as_slice(),
            Self::Own(own) => own,
        }
    }
}

impl Engine {
    /// `m = u v` of one place for the channels of a task; `false` if the numbers do not suit the engine.
    pub(super) fn product<T: Float>(
        self,
        isa: IsaName,
        task: &Task<'_>,
        u: &[T],
        v: &[T],
        m: &mut [T],
    ) -> bool {
        match self {
            Self::Vectors => {
                let mr = self.height::<T>(isa, task.g);
                on(isa, Vectors { task, u, mr, v, m });
                true
            }
            Self::Tiles => by_tiles::product(task, u, v, m),
        }
    }
}

/// Calls `f` with each panel of `height` output channels: the first of them, how many, and their weights, packed as (C, 9, height).
fn for_each_panel<T: Float>(
    isa: IsaName,
    g: &Geometry,
    w: &[T],
    height: usize,
    f: impl Fn(usize, usize, &[T]) + Sync,
) {
    let a = MatRef::row_major(w, g.outputs, g.depth()).expect("the slice was cut to size");
    parallel::for_each(g.outputs.div_ceil(height), &|i| {
        let (first, mr) = (i * height, height.min(g.outputs - i * height));
        let mut panel = scratch::buffer::<T>(mr * g.depth());
        let pack = PackA {
            a: &a,
            rows: first..first + mr,
            ks: 0..g.depth(),
            mr,
            dst: &mut panel,
        };
        on(isa, pack);
        f(first, mr, &panel);
    });
}

fn pack<T: Float>(isa: IsaName, g: &Geometry, w: &[T], mr: usize, to: &mut [T]) {
    let (k, size) = (g.channels, g.outputs * g.channels);
    assert!(to.len() == PLACES * size);
    let to = SharedMut::new(to);
    for_each_panel(isa, g, w, mr, |first, height, w| {
        let u = std::array::from_fn(|place| {
            let at = place * size + first * k;
            // SAFETY: each panel has its own part of a place.
            unsafe { to.slice(at..at + height * k) }
        });
        on(isa, Kernels { w, height, u });
    });
}

/// Channels that are summed one after the other. A direct sum has nine terms of each channel, in chains of 256; here a term is rounded to
/// about the same error and there are fewer, but longer chains would bring it back.
const CHAIN: usize = 64;

/// A product by vectors: `u` are panels of `mr` output channels, each `k × height`.
struct Vectors<'a, T> {
    task: &'a Task<'a>,
    u: &'a [T],
    mr: usize,
    v: &'a [T],
    m: &'a mut [T],
}

impl<T: Float> Kernel for Vectors<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self { task, u, mr, v, m } = self;
        let (k, line, lanes) = (task.g.channels, task.cut.line, T::V::<S>::LANES);
        let (max_mr, nv) = register_tile::<S, T>();
        let (nr, tiles) = (nv * lanes, task.tiles());
        let (first, end) = (task.channels.start, task.channels.end);
        let steps: Vec<usize> = (0..k).map(|c| c * line).collect();
        let kc = k.div_ceil(k.div_ceil(CHAIN));
        assert!(mr <= max_mr && first % mr == 0 && tiles.next_multiple_of(lanes) <= line);
        assert!(u.len() >= end * k && v.len() >= k * line && m.len() >= (end - first) * line);
        for j in (0..tiles).step_by(nr) {
            let width = nr.min(tiles - j).div_ceil(lanes);
            for channel in (first..end).step_by(mr) {
                let height = mr.min(end - channel);
                for p in (0..k).step_by(kc) {
                    let k_here = kc.min(k - p);
                    // SAFETY: the panel is k × height, for only the last of all is lower than mr; a line of v has `width` vectors from j on;
                    // `height` lines of m from this channel's on are there (all asserted).
                    unsafe {
                        let a = u.as_ptr().add(channel * k + p * height);
                        let b = Shifted {
                            from: v.as_ptr().add(j),
                            steps: steps.as_ptr().add(p),
                        };
                        let to = m.as_mut_ptr().add((channel - first) * line + j);
                        tile::<S, T, _, false>(isa, (height, width), k_here, a, b, to, line, p > 0);
                    }
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod by_tiles {
    use gradus_simd::amx::{self, Exponents, PANEL, STEP, Tiles};

    use super::*;

    /// Steps between two visits of a sum, as in `gemm::tiles`.
    const STEPS: usize = tiles::KC / STEP;

    /// Channels in blocks: how many blocks, and channels in one.
    fn blocks(g: &Geometry) -> (usize, usize) {
        let steps = g.channels.div_ceil(STEP);
        let blocks = steps.div_ceil(STEPS);
        (blocks, steps.div_ceil(blocks) * STEP)
    }

    /// Elements of the packed weights of a place: blocks of channels, in each a panel for every 32 output channels.
    pub fn place(g: &Geometry) -> usize {
        tiles::packed_len(3, g.outputs, g.channels, blocks(g).1)
    }

    pub fn pack<T: Float>(isa: IsaName, g: &Geometry, w: &[T], to: &mut [T]) {
        let (size, block) = (place(g), blocks(g).1);
        assert!(to.len() == PLACES * size);
        let to = SharedMut::new(to);
        for_each_panel(isa, g, w, PANEL, |first, height, w| {
            let len = height * g.channels;
            let mut u = scratch::buffer::<T>(PLACES * len);
            let mut places = u.chunks_exact_mut(len.max(1));
            let u_of = std::array::from_fn(|_| places.next().expect("sixteen"));
            on(isa, Kernels { w, height, u: u_of });
            for (place, u) in u.chunks_exact(len.max(1)).enumerate() {
                let size_of_u = (height, g.channels);
                let u = MatRef::new(u, 0, size_of_u, (1, height as isize)).expect("made to size");
                let mut at = place * size;
                for channel in (0..g.channels).step_by(block) {
                    let ks = channel..g.channels.min(channel + block);
                    let len = tiles::panel_len(3, ks.len());
                    let begin = at + first / PANEL * len;
                    // SAFETY: each panel has its own part of a block of a place.
                    let panel = unsafe { to.slice(begin..begin + len) };
                    tiles::pack(u, 0..height, ks, true, panel);
                    at += g.outputs.div_ceil(PANEL) * len;
                }
            }
        });
    }

    /// As [`Engine::product`].
    pub fn product<T: Float>(task: &Task<'_>, u: &[T], v: &[T], m: &mut [T]) -> bool {
        let (g, line, count) = (task.g, task.cut.line, task.tiles());
        let (u, v) = (tiles::as_f32(u), tiles::as_f32(v));
        let (steps, (_, block)) = (g.channels.div_ceil(STEP), blocks(g));
        let held = count.next_multiple_of(16);
        let channels = task.channels.clone();
        assert!(channels.start.is_multiple_of(PANEL) && held <= line);
        assert!(v.len() >= g.channels * line && m.len() >= channels.len() * line);
        // (step, part, pair of channels, tile): a pair of bf16 is as large as an f32.
        let part = STEP / 2 * line;
        let mut split = scratch::buffer::<f32>(steps * 3 * part);
        let split = &mut *split;
        let (zeros, mut largest) = (vec![0.0f32; held], vec![0u32; held]);
        let mut exponents = Exponents::NONE;
        for (step, to) in split.chunks_exact_mut(3 * part).enumerate() {
            largest.fill(0);
            for pair in 0..STEP / 2 {
                let [even, odd] = [0, 1].map(|i| {
                    let c = step * STEP + 2 * pair + i;
                    if c < g.channels {
                        &v[c * line..][..held]
                    } else {
                        &zeros
                    }
                });
                let parts =
                    [0, 1, 2].map(|p| to[p * part + pair * line..][..held].as_mut_ptr().cast());
                // SAFETY: AMX is there (`cost`); both lines and the three places have `held` elements of 4 bytes.
                unsafe {
                    amx::split_pairs(even.as_ptr(), odd.as_ptr(), held, parts, &mut largest);
                }
            }
            exponents = exponents.and(Exponents::of(&largest));
        }
        let table: Vec<usize> = (0..steps).map(|s| 4 * s * 3 * part).collect();
        let registers = Tiles::new().expect("`cost` found them");
        let mut more = Sums([0.0; PANEL * PANEL]);
        let mut u = u;
        for first in (0..g.channels).step_by(block) {
            let size = tiles::panel_len(3, block.min(g.channels - first));
            let (panels, later) = u.split_at(g.outputs.div_ceil(PANEL) * size);
            u = later;
            let table = &table[first / STEP..][..block.div_ceil(STEP).min(steps - first / STEP)];
            for channel in channels.clone().step_by(PANEL) {
                let panel = &panels[channel / PANEL * size..][..size];
                if !tiles::exponents(panel).fit(exponents) {
                    return false;
                }
                let rows = PANEL.min(channels.end - channel);
                for t in (0..count).step_by(PANEL) {
                    let cols = PANEL.min(count - t);
                    let to = (channel - channels.start) * line + t;
                    let (sums, stride) = if first == 0 && rows == PANEL {
                        (m[to..].as_mut_ptr().cast::<f32>(), line)
                    } else {
                        (more.0.as_mut_ptr(), PANEL)
                    };
                    // SAFETY: the panel has these steps, and the table; the last row of the last step has `held` elements; the sums are 32
                    // lines of m, 16 or 32 elements of each, which are there (asserted), or 32 × 32 on the stack.
                    unsafe {
                        registers.split_shifted(
                            table.len(),
                            panel.as_ptr().add(tiles::HEAD).cast(),
                            (split.as_ptr().add(t).cast(), 4 * line, 4 * part),
                            table.as_ptr(),
                            (sums, stride),
                            (rows, cols),
                        );
                    }
                    if first == 0 && rows == PANEL {
                        continue;
                    }
                    let cols = PANEL.min(held - t);
                    for (r, more) in more.0.chunks_exact(PANEL).take(rows).enumerate() {
                        let to = &mut m[to + r * line..][..cols];
                        for (to, &more) in to.iter_mut().zip(tiles::of_f32::<T>(more)) {
                            *to = if first == 0 { more } else { *to + more };
                        }
                    }
                }
            }
        }
        true
    }

    #[repr(align(64))]
    struct Sums([f32; PANEL * PANEL]);
}

/// Where there are no tiles: `cost` says so, and none of this is reached.
#[cfg(not(target_arch = "x86_64"))]
mod by_tiles {
    use super::*;

    pub fn place(_: &Geometry) -> usize {
        unreachable!("no tiles")
    }

    pub fn pack<T: Float>(_: IsaName, _: &Geometry, _: &[T], _: &mut [T]) {
        unreachable!("no tiles")
    }

    pub fn product<T: Float>(_: &Task<'_>, _: &[T], _: &[T], _: &mut [T]) -> bool {
        unreachable!("no tiles")
    }
}
