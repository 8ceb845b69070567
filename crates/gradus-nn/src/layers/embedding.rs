//! Tables of vectors, looked up by index: [`Embedding`] one by one, [`EmbeddingBag`] joined by the bag. Source: `torch.nn`.

use gradus_autograd::Var;
use gradus_autograd::functional::{self as F, BagMode};
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
    /// Rows that are looked up count as if shortened to this norm. The table itself is shortened by [`Embedding::renorm`] only,
    /// as `forward` cannot change it.
    pub max_norm: Option<f64>,
    /// Which norm (2).
    pub norm_type: f64,
    /// Divide each row's gradient by how often the row was looked up (no).
    pub scale_grad_by_freq: bool,
}

impl Embedding {
    fn of(weight: Param, padding_idx: Option<usize>) -> Self {
        Self {
            weight,
            padding_idx,
            max_norm: None,
            norm_type: 2.0,
            scale_grad_by_freq: false,
        }
    }

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
        Ok(Self::of(weight, None))
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
        Ok(Self::of(Param::new(table)?, Some(padding_idx)))
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
        Ok(Self::of(Param::new(table)?, None))
    }

    /// The vectors of these indices: whole numbers (..) to (.., dim).
    ///
    /// # Errors
    /// When an index is outside the table, or they are not whole numbers.
    pub fn forward(&self, indices: &Tensor) -> Result<Var> {
        let look_up = if self.scale_grad_by_freq {
            F::embedding_scale_grad_by_freq
        } else {
            F::embedding
        };
        let y = look_up(indices, self.weight.var(), self.padding_idx)?; // (.., dim)
        let Some(max_norm) = self.max_norm else {
            return Ok(y);
        };
        // The shortened rows; the gradient is that of the rows as they are, as PyTorch shortens before it looks up.
        let short = F::embedding_renorm(self.weight.data(), indices, max_norm, self.norm_type)?;
        y.add(&Var::from(short.embedding(indices)?.sub_(y.value())?))
    }

    /// Shortens the rows of these indices to `max_norm`, if there is one: what PyTorch does to the table at each look-up.
    ///
    /// # Errors
    /// When an index is outside the table.
    pub fn renorm(&mut self, indices: &Tensor) -> Result<()> {
        let Some(max_norm) = self.max_norm else {
            return Ok(());
        };
        let table = F::embedding_renorm(self.weight.data(), indices, max_norm, self.norm_type)?;
        self.weight.set(table)
    }
}

/// Sums, means or maxima of bags of rows of a table, which are not formed one by one in the result.
///
/// ```
/// use gradus_nn::EmbeddingBag;
/// use gradus_tensor::Tensor;
/// # fn main() -> gradus_tensor::Result<()> {
/// let bag = EmbeddingBag::new(10, 3)?;
/// let ids = Tensor::from_slice(&[1_i64, 2, 4, 5, 4], 5)?;
/// let starts = Tensor::from_slice(&[0_i64, 2], 2)?; // bags [1, 2] and [4, 5, 4]
/// assert_eq!(bag.forward(&ids, Some(&starts), None)?.dims(), [2, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct EmbeddingBag {
    /// (num, dim)
    pub weight: Param,
    /// How the rows of a bag are joined (mean).
    #[module(skip)]
    pub mode: BagMode,
    /// Indices of this row do not count.
    pub padding_idx: Option<usize>,
    /// The last offset is the end of the last bag (no).
    pub include_last_offset: bool,
}

impl EmbeddingBag {
    /// A table of `num_embeddings` vectors of size `embedding_dim`, standard normal, in f32; bags are means.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Result<Self> {
        let table = Embedding::new(num_embeddings, embedding_dim)?;
        Ok(Self {
            weight: table.weight,
            mode: BagMode::Mean,
            padding_idx: None,
            include_last_offset: false,
        })
    }

    /// The bags: a matrix of indices holds one in each row, a vector those that start at `offsets`. Weights for the indices, of
    /// their shape, go with sums. To (bags, dim).
    ///
    /// # Errors
    /// When the shapes do not fit, an index is outside the table, or offsets do not ascend.
    pub fn forward(
        &self,
        indices: &Tensor,
        offsets: Option<&Tensor>,
        per_sample_weights: Option<&Var>,
    ) -> Result<Var> {
        let options = F::EmbeddingBag {
            offsets: offsets.cloned(),
            mode: self.mode,
            per_sample_weights: per_sample_weights.cloned(),
            include_last_offset: self.include_last_offset,
            padding_idx: self.padding_idx,
        };
        F::embedding_bag(indices, self.weight.var(), &options)
    }
}
