//! Long short-term memory (Hochreiter and Schmidhuber 1997) over a sequence: c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c').

use super::{Sizes, Weight, for_rows, read, weight_gradient};
use crate::parallel::SharedMut;
use crate::scratch::buffer;
use crate::{Result, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch, math};

/// A sequence of steps. `gates` (T, B, 4H) holds what the input gives, biases included, and then the gates as they opened (σ i, σ f,
/// tanh g, σ o); `h` and `c` (T, B, H) are the states after each step, `h0` and `c0` (B, H) those before the first.
///
/// # Errors
/// If lengths do not fit.
#[inline(never)]
pub fn lstm<T: Float>(
    n: Sizes,
    gates: &mut [T],
    weight: &[T],
    (h0, c0): (&[T], &[T]),
    (h, c): (&mut [T], &mut [T]),
) -> Result<()> {
    let op = "lstm";
    n.check(
        op,
        &[
            ("gates", gates.len(), 4 * n.steps),
            ("h0", h0.len(), 1),
            ("c0", c0.len(), 1),
        ],
    )?;
    n.check(op, &[("h", h.len(), n.steps), ("c", c.len(), n.steps)])?;
    n.check_weight(op, weight.len(), 4)?;
    let (size, hidden) = (n.state(), n.hidden);
    let weight = Weight::new(weight, n);
    let (gates, h, c) = (SharedMut::new(gates), SharedMut::new(h), SharedMut::new(c));
    for_rows(n.batch, &|rows| {
        let part = rows.start * hidden..rows.end * hidden;
        for t in 0..n.steps {
            let at = t * size + part.start..t * size + part.end;
            // SAFETY: these rows are this task's, and a step's state is written in that step alone.
            let (gates, h_now, c_now) = unsafe {
                let gates = gates.slice(4 * at.start..4 * at.end);
                (gates, h.slice(at.clone()), c.slice(at.clone()))
            };
            let (h_before, c_before): (&[T], &[T]) = match at.start.checked_sub(size) {
                None => (&h0[part.clone()], &c0[part.clone()]),
                // SAFETY: as above; nothing else of this task holds them now.
                Some(from) => unsafe {
                    let before = from..at.end - size;
                    (h.slice(before.clone()), c.slice(before))
                },
            };
            let product = weight.add(h_before, gates);
            product.expect("the lengths were checked");
            for b in 0..rows.len() {
                let row = b * hidden..(b + 1) * hidden;
                dispatch(Forward {
                    gates: &mut gates[4 * row.start..4 * row.end],
                    before: &c_before[row.clone()],
                    c: &mut c_now[row.clone()],
                    h: &mut h_now[row],
                });
            }
        }
    });
    Ok(())
}

/// The gates of one sequence at one step.
struct Forward<'a, T> {
    gates: &'a mut [T],
    before: &'a [T],
    c: &'a mut [T],
    h: &'a mut [T],
}

impl<T: Float> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let n = self.h.len();
        let gates = self.gates.as_mut_ptr();
        let (before, c, h) = (
            self.before.as_ptr(),
            self.c.as_mut_ptr(),
            self.h.as_mut_ptr(),
        );
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            // SAFETY: `j + m <= n`, the length of the states; the gates are four times as long.
            |j, m| unsafe {
                let i = math::sigmoid::<S, T>(isa, read::<S, T>(isa, gates, j, m));
                let f = math::sigmoid::<S, T>(isa, read::<S, T>(isa, gates.add(n), j, m));
                let g = math::tanh::<S, T>(isa, read::<S, T>(isa, gates.add(2 * n), j, m));
                let o = math::sigmoid::<S, T>(isa, read::<S, T>(isa, gates.add(3 * n), j, m));
                let now = f * read::<S, T>(isa, before, j, m) + i * g;
                for (k, v) in [i, f, g, o].into_iter().enumerate() {
                    lanes::store::<S, T>(v, gates.add(k * n + j), m);
                }
                lanes::store::<S, T>(now, c.add(j), m);
                lanes::store::<S, T>(o * math::tanh::<S, T>(isa, now), h.add(j), m);
            },
        );
    }
}

/// Where an LSTM's gradients go.
#[derive(Debug)]
pub struct LstmGradients<'a, T> {
    /// By what the input gave to the gates, (T, B, 4H).
    pub gates: &'a mut [T],
    /// (4H, H)
    pub weight: &'a mut [T],
    /// (B, H)
    pub h0: &'a mut [T],
    /// (B, H)
    pub c0: &'a mut [T],
}

/// The gradients of [`lstm`], from those of all states: `dh` and `dc` (T, B, H). `gates`, `h` and `c` are what it left.
///
/// # Errors
/// If lengths do not fit.
#[inline(never)]
pub fn lstm_backward<T: Float>(
    n: Sizes,
    (dh, dc): (&[T], &[T]),
    (gates, h, c): (&[T], &[T], &[T]),
    weight: &[T],
    (h0, c0): (&[T], &[T]),
    out: LstmGradients<'_, T>,
) -> Result<()> {
    let op = "lstm_backward";
    n.check(
        op,
        &[
            ("dh", dh.len(), n.steps),
            ("dc", dc.len(), n.steps),
            ("gates", gates.len(), 4 * n.steps),
        ],
    )?;
    n.check(
        op,
        &[
            ("h", h.len(), n.steps),
            ("c", c.len(), n.steps),
            ("h0", h0.len(), 1),
            ("c0", c0.len(), 1),
        ],
    )?;
    n.check(
        op,
        &[
            ("dgates", out.gates.len(), 4 * n.steps),
            ("dh0", out.h0.len(), 1),
            ("dc0", out.c0.len(), 1),
        ],
    )?;
    n.check_weight(op, weight.len(), 4)?;
    n.check_weight(op, out.weight.len(), 4)?;
    let (size, hidden) = (n.state(), n.hidden);
    let weight = Weight::new(weight, n);
    // What the step after gives to this one's state; at the end, the gradients by h0 and c0.
    out.h0.fill(T::ZERO);
    out.c0.fill(T::ZERO);
    let (dgates, dh0, dc0) = (
        SharedMut::new(&mut *out.gates),
        SharedMut::new(out.h0),
        SharedMut::new(out.c0),
    );
    for_rows(n.batch, &|rows| {
        let part = rows.start * hidden..rows.end * hidden;
        // SAFETY: these rows are this task's.
        let (dh0, dc0) = unsafe { (dh0.slice(part.clone()), dc0.slice(part.clone())) };
        for t in (0..n.steps).rev() {
            let at = t * size + part.start..t * size + part.end;
            for (later, &own) in dh0.iter_mut().zip(&dh[at.clone()]) {
                *later += own;
            }
            let c_before = match at.start.checked_sub(size) {
                None => &c0[part.clone()],
                Some(from) => &c[from..at.end - size],
            };
            // SAFETY: these rows of this step are this task's.
            let dgates = unsafe { dgates.slice(4 * at.start..4 * at.end) };
            let gates = &gates[4 * at.start..4 * at.end];
            for b in 0..rows.len() {
                let row = b * hidden..(b + 1) * hidden;
                dispatch(Backward {
                    gates: &gates[4 * row.start..4 * row.end],
                    before: &c_before[row.clone()],
                    c: &c[at.clone()][row.clone()],
                    dh: &dh0[row.clone()],
                    own: &dc[at.clone()][row.clone()],
                    dc: &mut dc0[row.clone()],
                    dgates: &mut dgates[4 * row.start..4 * row.end],
                });
            }
            dh0.fill(T::ZERO);
            let product = weight.add_back(dgates, dh0);
            product.expect("the lengths were checked");
        }
    });
    // The states before each step: h0, then all but the last.
    let mut before = buffer::<T>(n.steps * size);
    if n.steps > 0 {
        before[..size].copy_from_slice(h0);
        before[size..].copy_from_slice(&h[..(n.steps - 1) * size]);
    }
    out.weight.fill(T::ZERO);
    weight_gradient(
        out.gates,
        &before,
        (n.steps * n.batch, 4 * hidden, hidden),
        out.weight,
    )
}

/// One sequence at one step: `dc` comes in as what later steps give and leaves as what this one gives to the one before.
struct Backward<'a, T> {
    gates: &'a [T],
    before: &'a [T],
    c: &'a [T],
    dh: &'a [T],
    own: &'a [T],
    dc: &'a mut [T],
    dgates: &'a mut [T],
}

impl<T: Float> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let n = self.dc.len();
        let (gates, dgates, dc) = (
            self.gates.as_ptr(),
            self.dgates.as_mut_ptr(),
            self.dc.as_mut_ptr(),
        );
        let (before, c, dh, own) = (
            self.before.as_ptr(),
            self.c.as_ptr(),
            self.dh.as_ptr(),
            self.own.as_ptr(),
        );
        let one = T::V::<S>::splat(isa, T::ONE);
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            // SAFETY: `j + m <= n`, the length of the states; the gates are four times as long.
            |j, m| unsafe {
                let (i, f) = (
                    read::<S, T>(isa, gates, j, m),
                    read::<S, T>(isa, gates.add(n), j, m),
                );
                let (g, o) = (
                    read::<S, T>(isa, gates.add(2 * n), j, m),
                    read::<S, T>(isa, gates.add(3 * n), j, m),
                );
                let (dh, t) = (
                    read::<S, T>(isa, dh, j, m),
                    math::tanh::<S, T>(isa, read::<S, T>(isa, c, j, m)),
                );
                let d = read::<S, T>(isa, dc, j, m)
                    + read::<S, T>(isa, own, j, m)
                    + dh * o * (one - t * t);
                let out = [
                    d * g * (i * (one - i)),
                    d * read::<S, T>(isa, before, j, m) * (f * (one - f)),
                    d * i * (one - g * g),
                    dh * t * (o * (one - o)),
                ];
                for (k, v) in out.into_iter().enumerate() {
                    lanes::store::<S, T>(v, dgates.add(k * n + j), m);
                }
                lanes::store::<S, T>(d * f, dc.add(j), m);
            },
        );
    }
}
