//! Several elementwise operations in one pass over memory.
//!
//! A chain is a list of steps, each an operation of inputs and of earlier steps. It runs a block of 1024 numbers at a time, step by
//! step, with what lies between in L1; the kernels are those of the single operations, so the result is theirs, bit for bit.
//! Roofline: relu(a·b + a) over 8M numbers moves 96 MiB once, instead of three times 64 to 96.
//! What it is not: a compiler. Each step still goes through L1, which costs a few per cent of what memory does.

use super::stream;
use super::{BinaryOp, TernaryOp, UnaryOp, supported};
use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::source::{BLOCK, Source};
use crate::{Element, Error, Result, View, error::check_len};

/// What a step works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Input number i.
    Input(usize),
    /// The result of step i, an earlier one.
    Step(usize),
}

/// One operation of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// `op(x)`
    Unary(UnaryOp, Value),
    /// `op(a, b)`
    Binary(BinaryOp, [Value; 2]),
    /// `op(a, b, c)`
    Ternary(TernaryOp, [Value; 3]),
}

impl Step {
    fn values(&self) -> &[Value] {
        match self {
            Step::Unary(_, x) => std::slice::from_ref(x),
            Step::Binary(_, x) => x,
            Step::Ternary(_, x) => x,
        }
    }

    fn check<T: Element>(&self) -> Result<()> {
        match self {
            Step::Unary(op, _) => supported::<T>(op.name(), T::has_unary(*op)),
            Step::Binary(op, _) => supported::<T>(op.name(), T::has_binary(*op)),
            Step::Ternary(op, _) => supported::<T>(op.name(), T::has_ternary()),
        }
    }
}

/// `y` becomes the last step's result. The inputs are views of one shape, broadcast by stride 0.
///
/// ```
/// use gradus_cpu::elementwise::{BinaryOp, Step, UnaryOp, Value, chain};
/// use gradus_cpu::View;
/// let (a, b) = ([1.0f32, -2.0], [3.0f32, 4.0]);
/// let views = [View::contiguous(&a, &[2])?, View::contiguous(&b, &[2])?];
/// let steps = [
///     Step::Binary(BinaryOp::Mul, [Value::Input(0), Value::Input(1)]),
///     Step::Unary(UnaryOp::Relu, Value::Step(0)),
/// ];
/// let mut y = [0.0; 2];
/// chain(&steps, &views, &mut y)?;
/// assert_eq!(y, [3.0, 0.0]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
///
/// # Errors
/// If there is no step, a step names something that is not there, shapes or lengths differ, the type lacks an operation, or an
/// integer is divided by zero.
#[inline(never)]
pub fn chain<T: Element>(steps: &[Step], inputs: &[View<'_, T>], y: &mut [T]) -> Result<()> {
    let op = "chain";
    let Some((last, before)) = steps.split_last() else {
        return Err(Error::shape(op, "there are no steps"));
    };
    for (i, step) in steps.iter().enumerate() {
        step.check::<T>()?;
        let there = |value: &Value| match *value {
            Value::Input(j) => j < inputs.len(),
            Value::Step(j) => j < i,
        };
        if !step.values().iter().all(there) {
            return Err(Error::shape(
                op,
                format!("step {i}, {step:?}, names what is not there"),
            ));
        }
    }
    let mut sources = Vec::with_capacity(inputs.len());
    for view in inputs {
        super::same_shape(op, &inputs[0], view)?;
        check_len(op, "an input", view.len(), y.len())?;
        sources.push(Source::new(Some(*view))?);
    }
    let stream = stream::pays(y);
    let len = y.len();
    let out = SharedMut::new(y);
    let ok = std::sync::atomic::AtomicBool::new(true);
    for_each_chunk(len, GRAIN, |range| {
        let mut staged = vec![[T::ZERO; BLOCK]; sources.len()];
        let mut between = vec![[T::ZERO; BLOCK]; before.len()];
        let mut at = vec![std::ptr::null::<T>(); sources.len()];
        for (source, buffer) in sources.iter().zip(&mut staged) {
            source.prepare(buffer);
        }
        let mut position = range.start;
        while position < range.end {
            let most = (range.end - position).min(BLOCK);
            let n = sources
                .iter()
                .fold(most, |n, source| source.block(position, n));
            for ((at, source), buffer) in at.iter_mut().zip(&sources).zip(&mut staged) {
                *at = source.at(position, n, buffer, std::ptr::null());
            }
            // SAFETY: blocks of different positions do not overlap.
            let y = unsafe { out.slice(position..position + n) }.as_mut_ptr();
            let results = between.as_mut_ptr();
            let address = |value: Value| -> *const T {
                match value {
                    Value::Input(i) => at[i],
                    // SAFETY: an earlier step, so one of `between`.
                    Value::Step(i) => unsafe { results.add(i) }.cast_const().cast(),
                }
            };
            let run = |step: &Step, y: *mut T, stream: bool| -> bool {
                // SAFETY: every address holds `n` elements; a step's result is a buffer of its own.
                unsafe {
                    match *step {
                        Step::Unary(op, x) => T::unary(op, address(x), y, n, stream),
                        Step::Binary(op, x) => {
                            return T::binary(op, address(x[0]), address(x[1]), y, n, stream);
                        }
                        Step::Ternary(op, x) => {
                            let [a, b, c] = x.map(address);
                            T::ternary(op, a, b, c, y, n, stream);
                        }
                    }
                }
                true
            };
            let mut good = true;
            for (i, step) in before.iter().enumerate() {
                // SAFETY: `i` is one of `between`.
                good &= run(step, unsafe { results.add(i) }.cast(), false);
            }
            good &= if stream && stream::on_a_line(y) {
                stream::part::<T, T, 0>([], y, n, &|[], y, _, stream| run(last, y, stream))
            } else {
                run(last, y, false)
            };
            if !good {
                ok.store(false, std::sync::atomic::Ordering::Relaxed);
            }
            position += n;
        }
        if stream {
            stream::fence();
        }
    });
    if ok.into_inner() {
        Ok(())
    } else {
        Err(Error::DivisionByZero { op })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementwise::{binary, unary};

    /// relu(a·b + a) / exp(b) by single operations.
    fn one_by_one(a: View<'_, f32>, b: View<'_, f32>) -> Vec<f32> {
        let (shape, mut y, mut e) = ([a.len()], vec![0.0; a.len()], vec![0.0; a.len()]);
        binary(BinaryOp::Mul, a, b, &mut y).unwrap();
        let mut sum = vec![0.0; a.len()];
        let flat: Vec<f32> = a.iter().collect();
        fn view<'a>(x: &'a [f32], shape: &'a [usize]) -> View<'a, f32> {
            View::contiguous(x, shape).unwrap()
        }
        binary(
            BinaryOp::Add,
            view(&y, &shape),
            view(&flat, &shape),
            &mut sum,
        )
        .unwrap();
        unary(UnaryOp::Relu, view(&sum, &shape), &mut y).unwrap();
        let other: Vec<f32> = b.iter().collect();
        unary(UnaryOp::Exp, view(&other, &shape), &mut e).unwrap();
        binary(BinaryOp::Div, view(&y, &shape), view(&e, &shape), &mut sum).unwrap();
        sum
    }

    #[test]
    fn large_outputs_of_strided_rows_hold_what_small_ones_do() {
        // Large enough to be stored past the cache; blocks end where the rows of 301 do, off the lines.
        let (rows, row, step) = (4001, 301, 333);
        let a: Vec<f32> = (0..rows * step).map(|i| (i * 7 % 1013) as f32).collect();
        let (shape, strides) = ([rows, row], [step as isize, 1]);
        let strided = View::new(&a, 0, &shape, &strides).unwrap();
        let steps = [
            Step::Unary(UnaryOp::Square, Value::Input(0)),
            Step::Binary(BinaryOp::Sub, [Value::Step(0), Value::Input(0)]),
        ];
        let mut room = vec![0.0; rows * row + 16];
        let skip = room.as_ptr().align_offset(64);
        let y = &mut room[skip..skip + rows * row];
        assert!(stream::pays(y));
        chain(&steps, &[strided], y).unwrap();
        for (i, y) in y.iter().enumerate() {
            let x = a[i / row * step + i % row];
            assert_eq!(*y, x * x - x, "{i}");
        }
    }

    const STEPS: [Step; 5] = [
        Step::Binary(BinaryOp::Mul, [Value::Input(0), Value::Input(1)]),
        Step::Binary(BinaryOp::Add, [Value::Step(0), Value::Input(0)]),
        Step::Unary(UnaryOp::Relu, Value::Step(1)),
        Step::Unary(UnaryOp::Exp, Value::Input(1)),
        Step::Binary(BinaryOp::Div, [Value::Step(2), Value::Step(3)]),
    ];

    #[test]
    fn a_chain_is_its_steps_bit_for_bit() {
        for n in [0usize, 1, 5, 1023, 1024, 1025, 40_000, 1_100_000] {
            let a: Vec<f32> = (0..n)
                .map(|i| (i * 7 % 1009) as f32 / 100.0 - 5.0)
                .collect();
            let b: Vec<f32> = (0..n)
                .map(|i| (i * 11 % 1013) as f32 / 100.0 - 5.0)
                .collect();
            let shape = [n];
            let (a, b) = (
                View::contiguous(&a, &shape).unwrap(),
                View::contiguous(&b, &shape).unwrap(),
            );
            let mut y = vec![0.0; n];
            chain(&STEPS, &[a, b], &mut y).unwrap();
            assert!(y == one_by_one(a, b), "{n}");
        }
    }

    #[test]
    fn inputs_may_be_broadcast_and_turned() {
        let data: Vec<f32> = (0..90_000)
            .map(|i| (i % 977) as f32 / 300.0 - 1.0)
            .collect();
        let shape = [300, 300];
        for strides in [[1, 300], [0, 1], [1, 0], [0, 0], [300, 1]] {
            let a = View::new(&data, 0, &shape, &[300, 1]).unwrap();
            let b = View::new(&data, 0, &shape, &strides).unwrap();
            let flat = |x: View<'_, f32>| x.iter().collect::<Vec<f32>>();
            let (fa, fb) = (flat(a), flat(b));
            let len = [90_000];
            let want = one_by_one(
                View::contiguous(&fa, &len).unwrap(),
                View::contiguous(&fb, &len).unwrap(),
            );
            let mut y = vec![0.0; 90_000];
            chain(&STEPS, &[a, b], &mut y).unwrap();
            assert!(y == want, "{strides:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let data = [1.0f32; 4];
        let x = View::contiguous(&data, &[4]).unwrap();
        let mut y = [0.0; 4];
        assert!(chain(&[], &[x], &mut y).is_err());
        assert!(chain(&[Step::Unary(UnaryOp::Relu, Value::Input(1))], &[x], &mut y).is_err());
        assert!(chain(&[Step::Unary(UnaryOp::Relu, Value::Step(0))], &[x], &mut y).is_err());
        assert!(
            chain(
                &[Step::Unary(UnaryOp::Relu, Value::Input(0))],
                &[x],
                &mut y[..3]
            )
            .is_err()
        );
        let bools = [true; 4];
        let b = View::contiguous(&bools, &[4]).unwrap();
        assert!(
            chain(
                &[Step::Unary(UnaryOp::Exp, Value::Input(0))],
                &[b],
                &mut [false; 4]
            )
            .is_err()
        );
    }
}
