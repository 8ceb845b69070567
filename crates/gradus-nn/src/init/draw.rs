//! Tensors whose elements are written in f64, and rounded once.

use gradus_tensor::{DType, Error, Options, Result, Shape, Tensor};

use super::skip;

/// Elements by index.
pub(super) fn write(
    op: &'static str,
    shape: Shape,
    options: impl Into<Options>,
    element: impl Fn(usize) -> f64,
) -> Result<Tensor> {
    draw_pieces(op, shape, options, |first, x| {
        for (i, x) in x.iter_mut().enumerate() {
            *x = element(first + i);
        }
    })
}

/// Elements of a piece: even, so that the generator, which gives two numbers at a time, wastes none between pieces.
const PIECE: usize = 1 << 18;

/// A tensor whose elements `fill` writes in f64, a piece after the other, so that no second copy of a large weight is ever in memory.
/// It is told the number of a piece's first element.
pub(super) fn draw_pieces(
    op: &'static str,
    shape: impl Into<Shape>,
    options: impl Into<Options>,
    mut fill: impl FnMut(usize, &mut [f64]),
) -> Result<Tensor> {
    let (shape, options) = (shape.into(), options.into());
    let numel = shape.numel()?;
    if numel <= PIECE || skip::skipped() || !options.dtype.is_float() {
        return draw(op, shape, options, |x| fill(0, x));
    }
    let mut tensor = Tensor::zeros(numel, options.dtype)?;
    for first in (0..numel).step_by(PIECE) {
        let len = PIECE.min(numel - first);
        let piece = draw(op, len, options.dtype, |x| fill(first, x))?;
        let (first, end) = (first as i64, (first + len) as i64);
        tensor = tensor.slice_scatter_(&piece, 0, first, end, 1)?;
    }
    tensor.reshape(shape)?.to_device(&options.device)
}

/// A tensor whose elements `fill` writes in f64, all at once.
pub(super) fn draw(
    op: &'static str,
    shape: impl Into<Shape>,
    options: impl Into<Options>,
    fill: impl FnOnce(&mut [f64]),
) -> Result<Tensor> {
    let options = options.into();
    if !options.dtype.is_float() {
        return Err(Error::dtype(
            op,
            format!(
                "only floats can be initialised so, and this is {}",
                options.dtype
            ),
        ));
    }
    if skip::skipped() {
        return Tensor::zeros(shape, options);
    }
    let mut tensor = Tensor::zeros(shape, DType::F64)?;
    tensor.with_mut_slice(fill)?;
    tensor.to_dtype(options.dtype)?.to_device(&options.device)
}
