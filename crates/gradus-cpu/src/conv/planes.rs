//! The planes that convolution by shifted loads reads (`direct`, `direct_tiles`): where a tap of a pixel lies in them, how an input is
//! copied into them, and where register tiles stand along them.

use gradus_simd::Float;

use super::direct::BLOCK;
use super::geometry::Geometry;

/// The planes a convolution's input is copied into: of each channel and phase, the rows that some output rows see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    /// Phases of the stride that some tap reads: rows and columns.
    pub phases: [usize; 2],
    /// Rows and columns that a kernel reaches past the pixel it begins at, in a phase.
    pub reach: [usize; 2],
    /// Rows of a whole image's plane that is followed by another, and columns of a row that is.
    pub height: usize,
    pub width: usize,
    /// What the last row has more.
    pub tail: usize,
}

impl Planes {
    /// `None` where shifted loads do not serve.
    pub(super) fn new(g: &Geometry) -> Option<Self> {
        let flat = g.kernel[0] == 1 && g.input[0] == 1 && g.padding[0] == 0 && g.stride[0] == 1;
        if !flat || g.depth() == 0 || g.taps() > 256 {
            return None;
        }
        let last = |d: usize| (g.kernel[d] - 1) * g.dilation[d];
        let phases = |d: usize| g.stride[d].min(last(d) + 1);
        let reach = [last(1) / g.stride[1], last(2) / g.stride[2]];
        let sizes = |d: usize| {
            // Columns some pixel reads; of those past the last input, as many as all phases have before the first are the next row's.
            let all = g.output[d].checked_add(reach[d - 1])?;
            let input = g.input[d] + g.padding[d];
            let before = g.padding[d]
                .saturating_sub(phases(d) - 1)
                .div_ceil(g.stride[d]);
            let seen = all.min(input.div_ceil(g.stride[d])).max(g.output[d]);
            Some(all.saturating_sub(before).max(seen))
        };
        let planes = Self {
            phases: [phases(1), phases(2)],
            reach,
            height: sizes(1)?,
            width: sizes(2)?,
            tail: (g.output[2] + reach[1]) - sizes(2)?,
        };
        // Planes much wider than their pixels, or too large for the caches, make another way the better one.
        let row = g
            .channels
            .checked_mul(planes.count())?
            .checked_mul((1 + reach[0]).checked_mul(planes.width)?)?;
        (planes.width <= 2 * g.output[2] && row <= 8 * BLOCK).then_some(planes)
    }

    /// Planes of a channel.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.phases[0] * self.phases[1]
    }

    /// Elements of a plane for `rows` output rows.
    #[inline]
    pub(super) fn len(&self, rows: usize) -> usize {
        (rows + self.reach[0]) * self.width + self.tail
    }

    /// The plane a tap reads, and from where on.
    #[inline]
    pub(super) fn tap(&self, g: &Geometry, tap: [usize; 2]) -> (usize, usize) {
        let at = [tap[0] * g.dilation[1], tap[1] * g.dilation[2]];
        let (sy, sx) = (g.stride[1], g.stride[2]);
        (
            at[0] % sy * self.phases[1] + at[1] % sx,
            at[0] / sy * self.width + at[1] / sx,
        )
    }

    /// Copies one plane of a channel, `x`: the rows that output rows `first..` see, zeros where there is padding and for what is no row.
    #[inline(always)]
    pub(super) fn copy<T: Float>(
        &self,
        g: &Geometry,
        x: &[T],
        first: usize,
        plane: usize,
        to: &mut [T],
    ) {
        let phase = [plane / self.phases[1], plane % self.phases[1]];
        let [_, height, width] = g.input;
        let (stride, padding) = (g.stride[2], g.padding[2]);
        // Columns whose input exists: low..high.
        let low = padding
            .saturating_sub(phase[1])
            .div_ceil(stride)
            .min(self.width);
        let high = (width + padding)
            .saturating_sub(phase[1])
            .div_ceil(stride)
            .clamp(low, self.width);
        let mut lines = to.chunks_exact_mut(self.width);
        for (y, line) in lines.by_ref().enumerate() {
            let at = (first + y) * g.stride[1] + phase[0];
            let row = at.checked_sub(g.padding[1]).filter(|&at| at < height);
            let (Some(row), true) = (row, low < high) else {
                line.fill(T::ZERO);
                continue;
            };
            line[..low].fill(T::ZERO);
            line[high..].fill(T::ZERO);
            let from = &x[row * width..][..width][low * stride + phase[1] - padding..];
            let line = &mut line[low..high];
            if stride == 1 {
                line.copy_from_slice(&from[..line.len()]);
            } else if stride == 2 {
                // In a form the compiler makes vectors of.
                let (to, last) = line.split_at_mut(line.len() - 1);
                last[0] = from[2 * to.len()];
                for (to, pair) in to.iter_mut().zip(from.chunks_exact(2)) {
                    *to = pair[0];
                }
            } else {
                for (to, &x) in line.iter_mut().zip(from.iter().step_by(stride)) {
                    *to = x;
                }
            }
        }
        lines.into_remainder().fill(T::ZERO);
    }

    /// That plane of a channel: `x` itself where it is that already, or its copy in `room`.
    #[inline(always)]
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // `direct_tiles` reads it
    pub(super) fn line<'a, T: Float>(
        &self,
        g: &Geometry,
        x: &'a [T],
        first: usize,
        plane: usize,
        room: &'a mut [T],
    ) -> &'a [T] {
        let same = self.width == g.input[2] && g.stride[1..] == [1; 2] && g.padding == [0; 3];
        if same {
            return &x[first * self.width..][..room.len()];
        }
        self.copy(g, x, first, plane, room);
        room
    }

    /// What both ways cost beside the products, in cycles: copying, at `copy` an element or more with a stride, packing
    /// the weights, at `pack`, and reading them anew for each band, `bytes` an element, where L2 does not hold them.
    pub(super) fn overhead(&self, g: &Geometry, copy: f64, pack: f64, bytes: usize) -> f64 {
        let copied = g.batch * g.channels * self.count() * self.len(g.output[1]);
        let copy = copy + if g.stride[2] > 1 { 1.5 } else { 0.0 };
        let weights = bytes * g.outputs * g.depth();
        let rows = (BLOCK / (g.channels * self.count() * self.width)).max(1);
        let bands = g.batch * g.output[1].div_ceil(rows);
        let anew = if weights > 1 << 20 {
            weights as f64 / 14.0 * bands as f64
        } else {
            0.0
        };
        copy * copied as f64 + pack * (g.outputs * g.depth()) as f64 + anew
    }
}

/// Where the tiles of a band stand, `nr` columns each: in rows that they fill evenly, or one after the other along the planes.
pub(super) struct Places {
    pub per_row: Option<usize>,
    pub count: usize,
    width: usize,
    last: usize,
    nr: usize,
}

impl Places {
    pub(super) fn new(g: &Geometry, planes: &Planes, rows: usize, nr: usize) -> Self {
        let pixels = g.output[2];
        let per_row = pixels.is_multiple_of(nr).then_some(pixels / nr);
        let last = (rows - 1) * planes.width + pixels;
        Self {
            per_row,
            count: per_row.map_or(last.div_ceil(nr), |n| rows * n),
            width: planes.width,
            last,
            nr,
        }
    }

    /// The first element of tile `i` in a plane, and how many columns count.
    #[inline(always)]
    pub(super) fn at(&self, i: usize) -> (usize, usize) {
        let q = match self.per_row {
            Some(n) => i / n * self.width + i % n * self.nr,
            None => i * self.nr,
        };
        (q, self.nr.min(self.last - q))
    }
}
