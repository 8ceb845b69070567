//! Gated recurrent units (Cho et al. 2014) over a sequence, with the reset gate after the matrix:
//! n = tanh(xn + σ(r) hn), h' = n + σ(z) (h − n).

use super::{Sizes, Weight, for_rows, read, weight_gradient};
use crate::parallel::SharedMut;
use crate::scratch::buffer;
use crate::{Result, error::check_len, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch, math};

/// A sequence of steps. `gates` (T, B, 3H) holds what the input gives, with its bias, and then the gates as they opened (σ r, σ z,
/// tanh n); `bias` (3H) goes with the state, and `kept` (T, B, H) receives what the state gave to n. `h` (T, B, H) is the state
/// after each step, `h0` (B, H) the one before the first.
///
/// # Errors
/// If lengths do not fit.
#[inline(never)]
pub fn gru<T: Float>(
    n: Sizes,
    gates: &mut [T],
    (weight, bias): (&[T], &[T]),
    h0: &[T],
    h: &mut [T],
    kept: &mut [T],
) -> Result<()> {
    let op = "gru";
    n.check(
        op,
        &[("gates", gates.len(), 3 * n.steps), ("h0", h0.len(), 1)],
    )?;
    n.check(
        op,
        &[("h", h.len(), n.steps), ("kept", kept.len(), n.steps)],
    )?;
    n.check_weight(op, weight.len(), 3)?;
    check_len(op, "the bias", bias.len(), 3 * n.hidden)?;
    let (size, hidden) = (n.state(), n.hidden);
    let weight = Weight::new(weight, n);
    let (gates, h, kept) = (
        SharedMut::new(gates),
        SharedMut::new(h),
        SharedMut::new(kept),
    );
    for_rows(n.batch, &|rows| {
        let part = rows.start * hidden..rows.end * hidden;
        let mut of_state = buffer::<T>(3 * part.len()); // (rows, 3H)
        for t in 0..n.steps {
            let at = t * size + part.start..t * size + part.end;
            // SAFETY: these rows are this task's, and a step's state is written in that step alone.
            let (gates, now, kept) = unsafe {
                let gates = gates.slice(3 * at.start..3 * at.end);
                (gates, h.slice(at.clone()), kept.slice(at.clone()))
            };
            let before: &[T] = match at.start.checked_sub(size) {
                None => &h0[part.clone()],
                // SAFETY: as above; nothing else of this task holds it now.
                Some(from) => unsafe { h.slice(from..at.end - size) },
            };
            for row in of_state.chunks_mut(3 * hidden.max(1)) {
                row.copy_from_slice(bias);
            }
            let product = weight.add(before, &mut of_state);
            product.expect("the lengths were checked");
            for b in 0..rows.len() {
                let row = b * hidden..(b + 1) * hidden;
                let wide = 3 * row.start..3 * row.end;
                dispatch(Forward {
                    gates: &mut gates[wide.clone()],
                    of_state: &of_state[wide],
                    before: &before[row.clone()],
                    kept: &mut kept[row.clone()],
                    h: &mut now[row],
                });
            }
        }
    });
    Ok(())
}

/// The gates of one sequence at one step.
struct Forward<'a, T> {
    gates: &'a mut [T],
    of_state: &'a [T],
    before: &'a [T],
    kept: &'a mut [T],
    h: &'a mut [T],
}

impl<T: Float> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let n = self.h.len();
        let (gates, of_state, before) = (
            self.gates.as_mut_ptr(),
            self.of_state.as_ptr(),
            self.before.as_ptr(),
        );
        let (kept, h) = (self.kept.as_mut_ptr(), self.h.as_mut_ptr());
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            // SAFETY: `j + m <= n`, the length of the states; gates and what the state gives are three times as long.
            |j, m| unsafe {
                let r = math::sigmoid::<S, T>(
                    isa,
                    read::<S, T>(isa, gates, j, m) + read::<S, T>(isa, of_state, j, m),
                );
                let z = math::sigmoid::<S, T>(
                    isa,
                    read::<S, T>(isa, gates.add(n), j, m)
                        + read::<S, T>(isa, of_state.add(n), j, m),
                );
                let hn = read::<S, T>(isa, of_state.add(2 * n), j, m);
                let new =
                    math::tanh::<S, T>(isa, read::<S, T>(isa, gates.add(2 * n), j, m) + r * hn);
                for (k, v) in [r, z, new].into_iter().enumerate() {
                    lanes::store::<S, T>(v, gates.add(k * n + j), m);
                }
                lanes::store::<S, T>(hn, kept.add(j), m);
                lanes::store::<S, T>(
                    new + z * (read::<S, T>(isa, before, j, m) - new),
                    h.add(j),
                    m,
                );
            },
        );
    }
}

/// Where a GRU's gradients go.
#[derive(Debug)]
pub struct GruGradients<'a, T> {
    /// By what the input gave to the gates, (T, B, 3H).
    pub gates: &'a mut [T],
    /// (3H, H)
    pub weight: &'a mut [T],
    /// (3H)
    pub bias: &'a mut [T],
    /// (B, H)
    pub h0: &'a mut [T],
}

/// The gradients of [`gru`], from that of all states: `dh` (T, B, H). `gates`, `kept` and `h` are what it left.
///
/// # Errors
/// If lengths do not fit.
#[inline(never)]
pub fn gru_backward<T: Float>(
    n: Sizes,
    dh: &[T],
    (gates, kept, h): (&[T], &[T], &[T]),
    weight: &[T],
    h0: &[T],
    out: GruGradients<'_, T>,
) -> Result<()> {
    let op = "gru_backward";
    n.check(
        op,
        &[
            ("dh", dh.len(), n.steps),
            ("gates", gates.len(), 3 * n.steps),
            ("kept", kept.len(), n.steps),
        ],
    )?;
    n.check(
        op,
        &[
            ("h", h.len(), n.steps),
            ("h0", h0.len(), 1),
            ("dgates", out.gates.len(), 3 * n.steps),
            ("dh0", out.h0.len(), 1),
        ],
    )?;
    n.check_weight(op, weight.len(), 3)?;
    n.check_weight(op, out.weight.len(), 3)?;
    check_len(op, "the bias", out.bias.len(), 3 * n.hidden)?;
    let (size, hidden) = (n.state(), n.hidden);
    let weight = Weight::new(weight, n);
    // The gradient by what the state gave: that of the gates, but for n, where the reset gate stands between.
    let mut of_state = buffer::<T>(3 * n.steps * size); // (T, B, 3H)
    out.h0.fill(T::ZERO);
    let (dgates, of_states, dh0) = (
        SharedMut::new(out.gates),
        SharedMut::new(&mut of_state),
        SharedMut::new(out.h0),
    );
    for_rows(n.batch, &|rows| {
        let part = rows.start * hidden..rows.end * hidden;
        // SAFETY: these rows are this task's.
        let dh0 = unsafe { dh0.slice(part.clone()) };
        for t in (0..n.steps).rev() {
            let at = t * size + part.start..t * size + part.end;
            for (later, &own) in dh0.iter_mut().zip(&dh[at.clone()]) {
                *later += own;
            }
            let before = match at.start.checked_sub(size) {
                None => &h0[part.clone()],
                Some(from) => &h[from..at.end - size],
            };
            let all = 3 * at.start..3 * at.end;
            // SAFETY: these rows of this step are this task's.
            let (dgates, of_state) =
                unsafe { (dgates.slice(all.clone()), of_states.slice(all.clone())) };
            for b in 0..rows.len() {
                let row = b * hidden..(b + 1) * hidden;
                let wide = 3 * row.start..3 * row.end;
                dispatch(Backward {
                    gates: &gates[all.clone()][wide.clone()],
                    kept: &kept[at.clone()][row.clone()],
                    before: &before[row.clone()],
                    dh: &mut dh0[row],
                    dgates: &mut dgates[wide.clone()],
                    of_state: &mut of_state[wide],
                });
            }
            let product = weight.add_back(of_state, dh0);
            product.expect("the lengths were checked");
        }
    });
    let mut before = buffer::<T>(n.steps * size);
    if n.steps > 0 {
        before[..size].copy_from_slice(h0);
        before[size..].copy_from_slice(&h[..(n.steps - 1) * size]);
    }
    out.weight.fill(T::ZERO);
    weight_gradient(
        &of_state,
        &before,
        (n.steps * n.batch, 3 * hidden, hidden),
        out.weight,
    )?;
    out.bias.fill(T::ZERO);
    for row in of_state.chunks(3 * hidden.max(1)) {
        for (sum, &d) in out.bias.iter_mut().zip(row) {
            *sum += d;
        }
    }
    Ok(())
}

/// One sequence at one step: `dh` comes in as the gradient by the new state and leaves as what goes past the gates to the old one.
struct Backward<'a, T> {
    gates: &'a [T],
    kept: &'a [T],
    before: &'a [T],
    dh: &'a mut [T],
    dgates: &'a mut [T],
    of_state: &'a mut [T],
}

impl<T: Float> Kernel for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let n = self.dh.len();
        let (gates, kept, before) = (
            self.gates.as_ptr(),
            self.kept.as_ptr(),
            self.before.as_ptr(),
        );
        let (dh, dgates, of_state) = (
            self.dh.as_mut_ptr(),
            self.dgates.as_mut_ptr(),
            self.of_state.as_mut_ptr(),
        );
        let one = T::V::<S>::splat(isa, T::ONE);
        lanes::for_each::<S, T>(
            n,
            #[inline(always)]
            // SAFETY: `j + m <= n`, the length of the states; gates and their gradients are three times as long.
            |j, m| unsafe {
                let (r, z, new) = (
                    read::<S, T>(isa, gates, j, m),
                    read::<S, T>(isa, gates.add(n), j, m),
                    read::<S, T>(isa, gates.add(2 * n), j, m),
                );
                let d = read::<S, T>(isa, dh, j, m);
                let dn = d * (one - z) * (one - new * new);
                let dz = d * (read::<S, T>(isa, before, j, m) - new) * (z * (one - z));
                let dr = dn * read::<S, T>(isa, kept, j, m) * (r * (one - r));
                for (to, of) in [(dgates, dn), (of_state, dn * r)] {
                    lanes::store::<S, T>(dr, to.add(j), m);
                    lanes::store::<S, T>(dz, to.add(n + j), m);
                    lanes::store::<S, T>(of, to.add(2 * n + j), m);
                }
                lanes::store::<S, T>(d * z, dh.add(j), m);
            },
        );
    }
}
