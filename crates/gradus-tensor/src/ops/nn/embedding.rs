//! Rows of a table by their numbers, and the gradient of the table.

use gradus_cpu::embedding::{gather_rows, scatter_add_rows};

use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

impl Tensor {
    /// The rows of this table that `index` names: `(V, C)` and any shape `(..)` give `(.., C)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let table = Tensor::from_slice(&[0f32, 1., 2., 3.], [2, 2])?;
    /// let y = table.embedding(&Tensor::from_slice(&[1i64, 1, 0], 3)?)?;
    /// assert_eq!(y.to_vec::<f32>()?, [2., 3., 2., 3., 0., 1.]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The table is not a matrix, `index` is not of whole numbers, or one is not a row.
    pub fn embedding(&self, index: &Tensor) -> Result<Tensor> {
        let op = "embedding";
        let &[rows, width] = self.dims() else {
            return Err(Error::shape(
                op,
                format!(
                    "the table has shape {}; it takes 2 dimensions (rows, width)",
                    self.shape()
                ),
            ));
        };
        let mut shape = index.shape().clone();
        shape.0.push(width);
        on_cuda!([self, index] => cuda::index::embedding(self, index, &shape));
        let indices = index.whole_numbers(op)?;
        let table = self.contiguous()?;
        dispatch!(self.dtype(), T => {
            let table = table.data::<T>(op)?;
            Tensor::try_build::<T>(op, shape, |y| Ok(gather_rows(table, rows, width, &indices, y)?))
        })
    }

    /// This table `(V, C)` with the rows of `rows` `(.., C)` added to those `index` names, in place where nobody else holds it.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let table = Tensor::ones([3, 1], DType::F32)?;
    /// let rows = Tensor::from_slice(&[1f32, 2.0], [2, 1])?;
    /// let table = table.add_rows_(&Tensor::from_slice(&[2i64, 2], 2)?, &rows)?;
    /// assert_eq!(table.to_vec::<f32>()?, [1.0, 1.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or an index is not a row.
    pub fn add_rows_(self, index: &Tensor, rows: &Tensor) -> Result<Tensor> {
        let op = "add_rows_";
        let fits = rows.rank() == index.rank() + 1
            && rows.dims().starts_with(index.dims())
            && self.rank() == 2
            && rows.dims().last() == self.dims().last();
        if !fits || rows.dtype() != self.dtype() {
            let message = format!(
                "table {} {}, index {}, rows {} {}: it takes (V, C), (..) and (.., C)",
                self.dtype(),
                self.shape(),
                index.shape(),
                rows.dtype(),
                rows.shape()
            );
            return Err(Error::shape(op, message));
        }
        on_cuda!([self, index, rows] => {
            let added = cuda::index::embedding_backward(op, rows, index, self.dims()[0])?;
            self.add_(&added)
        });
        let (indices, rows) = (index.whole_numbers(op)?, rows.contiguous()?);
        let (count, width) = (self.dims()[0], self.dims()[1]);
        let mut table = self;
        dispatch!(table.dtype(), T => {
            let rows = rows.data::<T>(op)?;
            table.with_mut_slice::<T, _>(|table| scatter_add_rows(rows, &indices, count, width, table))??;
        });
        Ok(table)
    }

    /// The gradient of a table `(rows, C)` from that of [`Tensor::embedding`]'s output (`self`, `(.., C)`): each row is
    /// added to the one its index names. The row `padding_idx` gets nothing.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.embedding_backward(&Tensor::from_slice(&[0i64, 0], 2)?, 2, None)?.to_vec::<f64>()?, [4.0, 6.0, 0.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes do not fit, or an index is not a row.
    pub fn embedding_backward(
        &self,
        index: &Tensor,
        rows: usize,
        padding_idx: impl Into<Option<i64>>,
    ) -> Result<Tensor> {
        let op = "embedding_backward";
        let (Some(&width), true) = (
            self.dims().last(),
            self.rank() == index.rank() + 1 && self.dims().starts_with(index.dims()),
        ) else {
            return Err(Error::shape(
                op,
                format!(
                    "gradient {} and index {} do not belong together",
                    self.shape(),
                    index.shape()
                ),
            ));
        };
        let dw = self.summed_rows(op, index, rows, width)?;
        match padding_idx.into() {
            Some(i) if i < rows as i64 && i >= -(rows as i64) => {
                let row = Tensor::zeros(width, (self.dtype(), self.device()))?;
                crate::ops::copy::replaced(op, dw, &row, |l| l.select(0, i))
            }
            Some(i) => Err(Error::index(
                op,
                format!("padding_idx {i} is not a row of {rows}"),
            )),
            None => Ok(dw),
        }
    }

    /// A table of zeros with the rows of this tensor added where `index` says.
    fn summed_rows(
        &self,
        op: &'static str,
        index: &Tensor,
        rows: usize,
        width: usize,
    ) -> Result<Tensor> {
        on_cuda!([self, index] => cuda::index::embedding_backward(op, self, index, rows));
        let indices = index.whole_numbers(op)?;
        let dy = self.contiguous()?;
        let mut dw = Tensor::zeros(Shape::from([rows, width]), self.dtype())?;
        dispatch!(self.dtype(), T => {
            let dy = dy.data::<T>(op)?;
            dw.with_mut_slice::<T, _>(|dw| scatter_add_rows(dy, &indices, rows, width, dw))??;
        });
        Ok(dw)
    }
}
