//! A padded plane as a line, and the correlation of a line with the taps of a kernel.

use gradus_simd::{Float, FloatVec, Isa};

use crate::conv::geometry::Geometry;
use crate::lanes;
use crate::unroll::{Registers, unroll};

/// Elements past the end of a line that vectors may touch.
pub(super) const SLACK: usize = 64;

/// A padded plane as a line: for each phase (d, h, w) of the strides, what has that phase, rows one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Depth, rows and width of a phase.
    size: [usize; 3],
    stride: [usize; 3],
}

impl Line {
    pub(super) fn new(g: &Geometry) -> Self {
        let size = |d: usize| (g.input[d] + 2 * g.padding[d]).div_ceil(g.stride[d]);
        Self {
            size: [size(0), size(1), size(2)],
            stride: g.stride,
        }
    }

    /// Elements of a phase.
    pub(super) fn phase(&self) -> usize {
        self.size.iter().product()
    }

    pub(super) fn phases(&self) -> usize {
        self.stride.iter().product()
    }

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

    /// From the first output to the last, on the line.
    pub(super) fn span(&self, g: &Geometry) -> usize {
        self.shift(g.output.map(|n| n - 1)) + 1
    }

    /// Where each row of outputs begins.
    pub(super) fn output_rows(&self, g: &Geometry) -> Vec<usize> {
        let [depth, rows, _] = g.output;
        (0..depth * rows)
            .map(|row| self.shift([row / rows, row % rows, 0]))
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
pub(super) fn fill<S: Isa, T: Float>(isa: S, rows: &[Row], stride: usize, x: &[T], line: &mut [T]) {
    for row in rows {
        let (to, from) = (&mut line[row.at..][..row.n], &x[row.from..]);
        match stride {
            1 => copy(isa, &from[..row.n], to),
            2 => every_second(from, to),
            stride => {
                for (to, &x) in to.iter_mut().zip(from.iter().step_by(stride)) {
                    *to = x;
                }
            }
        }
    }
}

/// Writes a plane of dy into a line; what is between its rows stays what it is.
#[inline(always)]
pub(super) fn fill_output<S: Isa, T: Float>(
    isa: S,
    rows: &[usize],
    width: usize,
    dy: &[T],
    line: &mut [T],
) {
    for (dy, &at) in dy.chunks_exact(width).zip(rows) {
        copy(isa, dy, &mut line[at..][..width]);
    }
}

/// A short copy, without a call.
#[inline(always)]
fn copy<S: Isa, T: Float>(isa: S, from: &[T], to: &mut [T]) {
    assert_eq!(from.len(), to.len());
    let (n, mut i) = (from.len(), 0);
    while i < n {
        let m = T::V::<S>::LANES.min(n - i);
        // SAFETY: elements i..i + m of both.
        unsafe {
            let v = lanes::load::<S, T>(isa, from.as_ptr().add(i), m, T::ZERO);
            lanes::store::<S, T>(v, to.as_mut_ptr().add(i), m);
        }
        i += m;
    }
}

/// `to[i] = from[2i]`, in a form the compiler makes vectors of.
#[inline(always)]
fn every_second<T: Copy>(from: &[T], to: &mut [T]) {
    let Some((last, most)) = to.split_last_mut() else {
        return;
    };
    *last = from[2 * most.len()];
    for (to, pair) in most.iter_mut().zip(from.chunks_exact(2)) {
        *to = pair[0];
    }
}

/// Writes a plane of the input, `width` a row, from a line: [`fill`] the other way.
#[inline(always)]
pub(super) fn read<S: Isa, T: Float>(
    isa: S,
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
        if stride == 1 {
            copy(isa, from, &mut to[..row.n]);
        } else {
            for (to, &x) in to.iter_mut().step_by(stride).zip(from) {
                *to = x;
            }
        }
    }
}

/// `out[f] = Σ w·x[at + f]` over the taps (w, at), for whole vectors until at least n are there.
#[inline(always)]
pub(super) fn correlate<S: Isa, T: Float>(
    isa: S,
    x: &[T],
    taps: &[(T, usize)],
    n: usize,
    out: &mut [T],
) {
    let lanes = T::V::<S>::LANES;
    let n = n.next_multiple_of(lanes);
    assert!(out.len() >= n && taps.iter().all(|&(_, at)| at + n <= x.len()));
    let (x, out) = (x.as_ptr(), out.as_mut_ptr());
    let mut f = 0;
    while f < n {
        // SAFETY: vectors f.. below n, which lie in `out` and, moved by each tap, in x (asserted).
        let vectors = unsafe {
            match (n - f) / lanes {
                8.. => block::<S, T, 8>(isa, x.add(f), taps, out.add(f)),
                4.. => block::<S, T, 4>(isa, x.add(f), taps, out.add(f)),
                2.. => block::<S, T, 2>(isa, x.add(f), taps, out.add(f)),
                _ => block::<S, T, 1>(isa, x.add(f), taps, out.add(f)),
            }
        };
        f += vectors * lanes;
    }
}

/// N vectors of [`correlate`]; gives N.
///
/// # Safety
/// They can be read, moved by each tap, and written.
#[inline(always)]
unsafe fn block<S: Isa, T: Float, const N: usize>(
    isa: S,
    x: *const T,
    taps: &[(T, usize)],
    out: *mut T,
) -> usize {
    let lanes = T::V::<S>::LANES;
    let mut sums = Registers::<T::V<S>, 1, N>::new(T::V::<S>::zero(isa));
    // SAFETY: the caller's promise.
    unsafe {
        for &(w, at) in taps {
            let (w, x) = (T::V::<S>::splat(isa, w), x.add(at));
            unroll!(J in 0..N (0 1 2 3 4 5 6 7) {
                let x = T::V::<S>::load_ptr(isa, x.add(J * lanes));
                sums.set(0, J, w.mul_add(x, sums.get(0, J)));
            });
        }
        unroll!(J in 0..N (0 1 2 3 4 5 6 7) {
            sums.get(0, J).store_ptr(out.add(J * lanes));
        });
    }
    N
}
