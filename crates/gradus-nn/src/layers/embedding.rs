//! Embedding: a table of vectors, looked up by index. Source: `torch.nn.Embedding`.

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{DType, Error, Result, Tensor};

use crate::init;
use crate::module::{Module, Param};

/// Rows of a table: indices (..) to vectors (.., dim).
///
/// The table starts as standard normal numbers; the row of `padding_idx` starts as zeros and gets no gradient.
///
/// ```
/// use gradus_nn::Embedding;
/// use gradus_tensor::Tensor;
/// # fn main() -> gradus_tensor::Result<()> {
/// let embedding = Embedding::new(10, 4)?;
/// let ids = Tensor::from_slice(&[1_i64, 9, 1], [1, 3])?;
/// assert_eq!(embedding.forward(&ids)?.dims(), [1, 3, 4]);
/// assert!(embedding.forward(&Tensor::from_slice(&[10_i64], [1])?).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct Embedding {
    /// (num, dim)
    pub weight: Param,
    /// The row that stands for nothing.
    pub padding_idx: Option<usize>,
}

impl Embedding {
    /// A table of `num_embeddings` vectors of size `embedding_dim`, in f32.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Result<Self> {
        let weight = Param::new(init::normal(
            [num_embeddings, embedding_dim],
            0.0,
            1.0,
            DType::F32,
        )?)?;
        Ok(Self {
            weight,
            padding_idx: None,
        })
    }

    /// A table whose row `padding_idx` is zero and stays so.
    ///
    /// # Errors
    /// When there is no such row, or the memory cannot be had.
    pub fn with_padding(
        num_embeddings: usize,
        embedding_dim: usize,
        padding_idx: usize,
    ) -> Result<Self> {
        if padding_idx >= num_embeddings {
            return Err(Error::index(
                "Embedding",
                format!("padding_idx {padding_idx} in a table of {num_embeddings}"),
            ));
        }
        let mut table = init::normal([num_embeddings, embedding_dim], 0.0, 1.0, DType::F32)?;
        table.with_mut_slice::<f32, _>(|x| {
            x[padding_idx * embedding_dim..][..embedding_dim].fill(0.0);
        })?;
        Ok(Self {
            weight: Param::new(table)?,
            padding_idx: Some(padding_idx),
        })
    }

    /// A table of given vectors (num, dim).
    ///
    /// # Errors
    /// When `table` is not a matrix of floats.
    pub fn from_pretrained(table: Tensor) -> Result<Self> {
        if table.rank() != 2 {
            return Err(Error::shape(
                "Embedding",
                format!("{} is not a table (num, dim)", table.shape()),
            ));
        }
        Ok(Self {
            weight: Param::new(table)?,
            padding_idx: None,
        })
    }

    /// The vectors of these indices: whole numbers (..) to (.., dim).
    ///
    /// # Errors
    /// When an index is outside the table, or they are not whole numbers.
    pub fn forward(&self, indices: &Tensor) -> Result<Var> {
        F::embedding(indices, self.weight.var(), self.padding_idx)
    }
}
