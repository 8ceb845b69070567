//! A padded plane as a line, and how it is filled and read.

use gradus_simd::{Float, FloatVec, Isa};

use super::rows::Area;
use crate::conv::geometry::Geometry;
use crate::lanes;

/// Elements past the end of a line that vectors may touch.
pub(super) const SLACK: usize = 64;
/// Rows are so many elements apart, or a multiple: where one begins at a cache line, all do.
pub(super) const ALIGN: usize = 16;

/// A padded plane as a line: for each phase (d, h, w) of the strides, what has that phase, rows one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Depth, rows and width of a phase, with what makes the rows begin alike.
    size: [usize; 3],
    stride: [usize; 3],
    lead: usize,
}

impl Line {
    pub(super) fn new(g: &Geometry) -> Self {
        let size = |d: usize| (g.input[d] + 2 * g.padding[d]).div_ceil(g.stride[d]);
        Self {
            size: [size(0), size(1), size(2).next_multiple_of(ALIGN)],
            stride: g.stride,
            lead: (g.padding[2] / g.stride[2]).next_multiple_of(ALIGN) - g.padding[2] / g.stride[2],
        }
    }

    /// Elements of an aligned buffer before the line, so that the rows of the input begin at a cache line.
    #[inline]
    pub(super) fn lead(&self) -> usize {
        self.lead
    }

    /// Elements of a phase.
    pub(super) fn phase(&self) -> usize {
        self.size.iter().product()
    }

    pub(super) fn phases(&self) -> usize {
        self.stride.iter().product()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.phases() * self.phase() + SLACK
    }

    /// How far (d, h, w) is from (0, 0, 0) in a phase.
    #[inline(always)]
    fn shift(&self, [d, h, w]: [usize; 3]) -> usize {
        (d * self.size[1] + h) * self.size[2] + w
    }

    /// The phase of a padded position, and where it is there.
    #[inline(always)]
    fn place(&self, at: [usize; 3]) -> (usize, usize) {
        let s = self.stride;
        let phase = (at[0] % s[0] * s[1] + at[1] % s[1]) * s[2] + at[2] % s[2];
        (
            phase,
            self.shift([at[0] / s[0], at[1] / s[1], at[2] / s[2]]),
        )
    }

    /// Of each tap of the kernel: the phase it reads, and its shift there.
    pub(super) fn taps(&self, g: &Geometry) -> Vec<(usize, usize)> {
        let [_, kh, kw] = g.kernel;
        let position = |t: usize| [t / (kh * kw), t / kw % kh, t % kw];
        (0..g.taps())
            .map(|t| {
                let k = position(t);
                self.place([0, 1, 2].map(|d| k[d] * g.dilation[d]))
            })
            .collect()
    }

    /// From a row of a phase to the next.
    pub(super) fn pitch(&self) -> usize {
        self.size[2]
    }

    /// The rows of an output: where they begin on the line, and in the plane.
    pub(super) fn output_rows(&self, g: &Geometry) -> Vec<Row> {
        let [depth, rows, width] = g.output;
        (0..depth * rows)
            .map(|row| Row {
                at: self.shift([row / rows, row % rows, 0]),
                from: row * width,
                n: width,
            })
            .collect()
    }

    /// Each row and phase of the input.
    pub(super) fn input_rows(&self, g: &Geometry) -> Vec<Row> {
        let ([depth, rows, width], stride) = (g.input, self.stride[2]);
        let mut all = Vec::with_capacity(depth * rows * stride);
        for d in 0..depth {
            for h in 0..rows {
                for first in 0..stride.min(width) {
                    let at = [d + g.padding[0], h + g.padding[1], first + g.padding[2]];
                    let (phase, shift) = self.place(at);
                    all.push(Row {
                        at: phase * self.phase() + shift,
                        from: (d * rows + h) * width + first,
                        n: (width - first).div_ceil(stride),
                    });
                }
            }
        }
        all
    }
}

/// What a row of the input has of one phase: its elements `from, from + stride, …` lie at `at, at + 1, …` of the line.
pub(super) struct Row {
    pub at: usize,
    pub from: usize,
    pub n: usize,
}

/// Writes a plane of the input into a line; the padding stays what it is.
#[inline(always)]
pub(super) fn fill<S: Isa, T: Float>(
    isa: S,
    (rows, areas): (&[Row], &[Area]),
    (stride, width): (usize, usize),
    x: &[T],
    line: &mut [T],
) {
    match stride {
        1 => copy(isa, areas, x, line),
        2 if width > 1 => {
            for pair in rows.chunks_exact(2) {
                part(isa, (&pair[0], &pair[1]), x, line);
            }
        }
        stride => {
            for row in rows {
                let (to, from) = (&mut line[row.at..][..row.n], &x[row.from..]);
                for (to, &x) in to.iter_mut().zip(from.iter().step_by(stride)) {
                    *to = x;
                }
            }
        }
    }
}

/// Writes the areas' rows into a line; what is between them stays what it is.
#[inline(always)]
pub(super) fn copy<S: Isa, T: Float>(isa: S, areas: &[Area], x: &[T], line: &mut [T]) {
    let lanes = T::V::<S>::LANES;
    for area in areas {
        let (read, written) = area.ends();
        assert!(read <= x.len() && written <= line.len());
        let (x, line) = (x[area.from..].as_ptr(), line[area.at..].as_mut_ptr());
        let (whole, rest) = (area.width / lanes * lanes, area.width % lanes);
        for row in 0..area.rows {
            // SAFETY: a row of the area, in x and on the line (asserted).
            unsafe {
                let (x, line) = (x.add(row * area.step), line.add(row * area.pitch));
                let mut i = 0;
                while i < whole {
                    T::V::<S>::load_ptr(isa, x.add(i)).store_ptr(line.add(i));
                    i += lanes;
                }
                if rest > 0 {
                    let v = T::V::<S>::load_tail_ptr(isa, x.add(i), rest, T::ZERO);
                    v.store_tail_ptr(line.add(i), rest);
                }
            }
        }
    }
}

/// Writes a row's even and its odd elements to the rows of two phases.
#[inline(always)]
fn part<S: Isa, T: Float>(isa: S, (even, odd): (&Row, &Row), x: &[T], line: &mut [T]) {
    let lanes = T::V::<S>::LANES;
    let x = &x[even.from..][..even.n + odd.n];
    assert!(odd.n <= even.n && even.at.max(odd.at) + even.n <= line.len());
    let (width, x, line) = (x.len(), x.as_ptr(), line.as_mut_ptr());
    let mut i = 0;
    while i < even.n {
        let rest = width - 2 * i;
        let (first, second) = (lanes.min(rest), lanes.min(rest.saturating_sub(lanes)));
        // SAFETY: elements 2i.. of the row, and i.. of both phases, as many as there are (asserted).
        unsafe {
            let a = lanes::load::<S, T>(isa, x.add(2 * i), first, T::ZERO);
            let b = lanes::load::<S, T>(isa, x.wrapping_add(2 * i + lanes), second, T::ZERO);
            let (a, b) = a.deinterleave(b);
            lanes::store::<S, T>(a, line.add(even.at + i), lanes.min(even.n - i));
            lanes::store::<S, T>(b, line.add(odd.at + i), lanes.min(odd.n - odd.n.min(i)));
        }
        i += lanes;
    }
}

/// Writes a plane of the input, `width` a row, from a line: [`fill`] the other way, for strides above 1.
#[inline(always)]
pub(super) fn read<T: Float>(
    rows: &[Row],
    (stride, width): (usize, usize),
    line: &[T],
    x: &mut [T],
) {
    if stride == 2 && width > 1 {
        // Both phases of a row at once.
        for pair in rows.chunks_exact(2) {
            let (even, odd) = (
                &line[pair[0].at..][..pair[0].n],
                &line[pair[1].at..][..pair[1].n],
            );
            let x = &mut x[pair[0].from..][..even.len() + odd.len()];
            if even.len() > odd.len() {
                x[2 * odd.len()] = even[odd.len()];
            }
            for ((x, &a), &b) in x.chunks_exact_mut(2).zip(even).zip(odd) {
                x[0] = a;
                x[1] = b;
            }
        }
        return;
    }
    for row in rows {
        let (from, to) = (&line[row.at..][..row.n], &mut x[row.from..]);
        for (to, &x) in to.iter_mut().step_by(stride).zip(from) {
            *to = x;
        }
    }
}
