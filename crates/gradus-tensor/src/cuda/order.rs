//! In which order the dimensions of results lie in memory: as those of their operands, where these agree. So images that have their
//! channels last keep them so through a whole network, and no kernel has to turn them; PyTorch's rule for its `channels_last`.
//!
//! An order is a way to look: kernels see all operands with their dimensions in that order, in which the result is row-major.

use super::tensor;
use crate::dtype::DType;
use crate::error::Result;
use crate::layout::Layout;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Dimensions from the slowest in memory to the fastest; `None` is row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order(Option<Vec<isize>>);

impl Order {
    /// Row-major.
    pub(crate) const ROWS: Self = Self(None);

    /// The channels, dimension 1 of `rank`, last.
    fn channels_last(rank: usize) -> Vec<isize> {
        let rank = rank as isize;
        [0].into_iter().chain(2..rank).chain([1]).collect()
    }

    /// The order of a layout without gaps or broadcast dimensions that is not row-major.
    fn of_one(layout: &Layout) -> Option<Vec<isize>> {
        if layout.is_contiguous() {
            return None;
        }
        let mut order: Vec<isize> = (0..layout.shape.rank() as isize).collect();
        order.sort_by_key(|&d| std::cmp::Reverse(layout.strides[d as usize]));
        is_in(layout, &order).then_some(order)
    }

    /// The order that all operands without gaps have. Where row-major ones are among those with channels last, these decide.
    pub(crate) fn of(operands: &[&Layout]) -> Self {
        let Some(order) = operands.iter().find_map(|l| Self::of_one(l)) else {
            return Self::ROWS;
        };
        let rank = order.len();
        let is_last = |l: &Layout| rank > 2 && is_in(l, &Self::channels_last(rank));
        let alike =
            |l: &&Layout| is_in(l, &order) || Self::of_one(l).is_none() && !l.is_contiguous();
        if operands.iter().all(alike) {
            return Self(Some(order));
        }
        let mut turned = operands.iter().filter(|l| Self::of_one(l).is_some());
        Self(
            turned
                .all(|l| is_last(l))
                .then(|| Self::channels_last(rank)),
        )
    }

    /// With channels last if the tensor (B, C, …) is so and not row-major as well, else row-major.
    pub(crate) fn of_images(x: &Tensor) -> Self {
        let rank = x.rank();
        if rank < 3 || x.is_contiguous() {
            return Self::ROWS;
        }
        let order = Self::channels_last(rank);
        Self(is_in(&x.layout, &order).then_some(order))
    }

    /// Is it row-major?
    pub(crate) fn is_rows(&self) -> bool {
        self.0.is_none()
    }

    /// An operand's layout, its dimensions in this order.
    pub(crate) fn look(&self, layout: &Layout) -> Result<Layout> {
        match &self.0 {
            None => Ok(layout.clone()),
            Some(order) => layout.permute(order),
        }
    }

    /// The layout of a result of `shape`.
    fn result(&self, shape: &Shape) -> Result<Layout> {
        let Some(order) = &self.0 else {
            return Ok(Layout::contiguous(shape.clone()));
        };
        let mut back = vec![0; order.len()];
        for (i, &d) in order.iter().enumerate() {
            back[d as usize] = i as isize;
        }
        let sizes: Vec<usize> = order.iter().map(|&d| shape[d as usize]).collect();
        Layout::contiguous(Shape::from(&sizes[..])).permute(&back)
    }

    /// The tensor whose elements lie in this order, with nothing else in its storage: itself, or a copy.
    pub(crate) fn solid(&self, x: &Tensor) -> Result<Tensor> {
        let look = Tensor {
            storage: x.storage.clone(),
            layout: self.look(&x.layout)?,
            dtype: x.dtype(),
        };
        Ok(Tensor {
            layout: self.result(x.shape())?,
            ..super::solid(&look)?
        })
    }

    /// A tensor of `shape` that a kernel fills in this order.
    pub(crate) fn build<T: gradus_cuda::Element>(
        &self,
        device: &gradus_cuda::Device,
        shape: &Shape,
        dtype: DType,
        kernel: impl FnOnce(&mut gradus_cuda::Buffer<T>) -> gradus_cuda::Result<()>,
    ) -> Result<Tensor> {
        let mut y = device.uninit::<T>(shape.numel()?)?;
        kernel(&mut y)?;
        self.tensor(y, shape, dtype)
    }

    /// A tensor of what a kernel wrote in this order.
    pub(crate) fn tensor<T: gradus_cuda::Element>(
        &self,
        y: gradus_cuda::Buffer<T>,
        shape: &Shape,
        dtype: DType,
    ) -> Result<Tensor> {
        let layout = self.result(shape)?;
        Ok(Tensor {
            layout,
            ..tensor(y, shape, dtype)
        })
    }
}

/// Are the elements one run in this order?
fn is_in(layout: &Layout, order: &[isize]) -> bool {
    layout.permute(order).is_ok_and(|l| l.is_contiguous())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], order: &[isize]) -> Layout {
        Order(Some(order.to_vec()))
            .result(&Shape::from(shape))
            .unwrap()
    }

    #[test]
    fn the_order_of_operands_is_kept() {
        let shape = [2, 3, 4, 5];
        let (rows, last) = (layout(&shape, &[0, 1, 2, 3]), layout(&shape, &[0, 2, 3, 1]));
        assert_eq!(&last.strides[..], [60, 1, 15, 3]);
        let turned = layout(&shape, &[1, 0, 2, 3]);
        let channels = Order(Some(vec![0, 2, 3, 1]));
        assert_eq!(Order::of(&[&rows]), Order::ROWS);
        assert_eq!(Order::of(&[&last]), channels);
        assert_eq!(Order::of(&[&last, &last]), channels);
        assert_eq!(Order::of(&[&rows, &last]), channels); // images decide
        assert_eq!(Order::of(&[&turned]), Order(Some(vec![1, 0, 2, 3])));
        assert_eq!(Order::of(&[&turned, &rows]), Order::ROWS);
        assert_eq!(Order::of(&[&turned, &last]), Order::ROWS);
        // One number a channel, broadcast; a part of something wider.
        let line = layout(&[1, 3, 1, 1], &[0, 1, 2, 3]);
        let line = line.broadcast_to(&Shape::from(&shape[..])).unwrap();
        assert_eq!(Order::of(&[&line, &last]), channels);
        let part = layout(&[2, 3, 4, 9], &[0, 1, 2, 3])
            .narrow(3, 1, 5)
            .unwrap();
        assert_eq!(Order::of(&[&part, &last]), channels);
        assert_eq!(Order::of(&[&part]), Order::ROWS);
    }
}
