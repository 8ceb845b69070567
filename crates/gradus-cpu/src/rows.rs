//! Kernels over whole rows: strided inputs read as slices of the compute type, rows shared out over threads.

use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::source::{BLOCK, Source};
use crate::{Error, FloatElement, Result, View, ViewMut, cast, copy, error::check_len};

/// An operand of any strides whose parts can be had as slices of the compute type.
pub(crate) struct Operand<'a, T>(Source<'a, T>);

impl<'a, T: FloatElement> Operand<'a, T> {
    pub(crate) fn new(x: View<'a, T>) -> Result<Self> {
        Source::new(Some(x)).map(Self)
    }

    /// The elements at `position..position + n`: where they are, or converted into `scratch`.
    pub(crate) fn get<'b>(
        &'b self,
        position: usize,
        n: usize,
        scratch: &'b mut Vec<T::Compute>,
    ) -> &'b [T::Compute] {
        if T::NATIVE
            && let Some(slice) = self.0.as_slice().and_then(cast::same_ref)
        {
            return &slice[position..position + n];
        }
        scratch.resize(n, T::Compute::default());
        if T::NATIVE {
            if let Some(scratch) = cast::same::<T::Compute, T>(scratch) {
                self.0.read(position, scratch);
            }
            return scratch;
        }
        let mut raw = [T::ZERO; BLOCK];
        for (i, out) in scratch.chunks_mut(BLOCK).enumerate() {
            T::load(
                self.0.read(position + i * BLOCK, &mut raw[..out.len()]),
                out,
            );
        }
        scratch
    }
}

/// Calls `f` with `out` as a slice of the compute type, and rounds what it leaves there.
pub(crate) fn write<T: FloatElement>(
    out: &mut [T],
    scratch: &mut Vec<T::Compute>,
    f: impl FnOnce(&mut [T::Compute]),
) {
    if T::NATIVE
        && let Some(out) = cast::same::<T, T::Compute>(out)
    {
        return f(out);
    }
    scratch.resize(out.len(), T::Compute::default());
    f(scratch);
    T::store(scratch, out);
}

/// A slice of parameters in the compute type, borrowed if it is one already.
pub(crate) fn widened<T: FloatElement>(x: &[T]) -> std::borrow::Cow<'_, [T::Compute]> {
    match cast::same_ref::<T, T::Compute>(x) {
        Some(x) => x.into(),
        None => x.iter().map(|x| x.widen()).collect::<Vec<_>>().into(),
    }
}

/// Runs `kernel(row, inputs, output)` for every line along `axis`; `y` has the shape of the inputs.
pub(crate) fn map_rows<T: FloatElement, const K: usize>(
    op: &'static str,
    inputs: [View<'_, T>; K],
    axis: usize,
    y: &mut [T],
    kernel: &(dyn Fn(usize, [&[T::Compute]; K], &mut [T::Compute]) + Sync),
) -> Result<()> {
    let shape = inputs[0].shape();
    if axis >= shape.len() {
        return Err(Error::shape(
            op,
            format!("axis {axis} of a tensor of rank {}", shape.len()),
        ));
    }
    for x in &inputs {
        if x.shape() != shape {
            return Err(Error::shape(
                op,
                format!("shapes {shape:?} and {:?} differ", x.shape()),
            ));
        }
    }
    check_len(op, "the output", y.len(), inputs[0].len())?;
    if y.is_empty() {
        return Ok(());
    }
    let n = shape[axis];
    if shape[axis + 1..].iter().all(|&d| d == 1) {
        return run(&inputs, n, y, kernel);
    }
    // Bring the axis to the back, run, and put the result back in its place.
    let order: Vec<usize> = (0..shape.len())
        .filter(|&d| d != axis)
        .chain([axis])
        .collect();
    let moved: Vec<usize> = order.iter().map(|&d| shape[d]).collect();
    let strides: Vec<Vec<isize>> = inputs
        .iter()
        .map(|x| order.iter().map(|&d| x.stride(d)).collect())
        .collect();
    let mut views = inputs;
    for ((view, x), strides) in views.iter_mut().zip(&inputs).zip(&strides) {
        let (data, offset) = x.origin();
        *view = View::new(data, offset as usize, &moved, strides)?;
    }
    let mut out = vec![T::ZERO; y.len()];
    run(&views, n, &mut out, kernel)?;
    let mut step = 1;
    let mut contiguous = vec![0isize; shape.len()];
    for d in (0..shape.len()).rev() {
        contiguous[d] = step;
        step *= shape[d] as isize;
    }
    let strides: Vec<isize> = order.iter().map(|&d| contiguous[d]).collect();
    copy::copy_into(
        View::contiguous(&out, &moved)?,
        ViewMut::new(y, 0, &moved, &strides)?,
    )
}

fn run<T: FloatElement, const K: usize>(
    inputs: &[View<'_, T>; K],
    n: usize,
    y: &mut [T],
    kernel: &(dyn Fn(usize, [&[T::Compute]; K], &mut [T::Compute]) + Sync),
) -> Result<()> {
    let mut operands = Vec::with_capacity(K);
    for &x in inputs {
        operands.push(Operand::new(x)?);
    }
    let rows = y.len() / n;
    let y = SharedMut::new(y);
    for_each_chunk(rows, (GRAIN / n).max(1), |range| {
        let mut scratch = [const { Vec::new() }; K];
        let mut out_scratch = Vec::new();
        for row in range {
            let mut slices: [&[T::Compute]; K] = [&[]; K];
            for ((slice, operand), scratch) in slices.iter_mut().zip(&operands).zip(&mut scratch) {
                *slice = operand.get(row * n, n, scratch);
            }
            // SAFETY: rows do not overlap.
            let out = unsafe { y.slice(row * n..(row + 1) * n) };
            write::<T>(out, &mut out_scratch, |out| kernel(row, slices, out));
        }
    });
    Ok(())
}
