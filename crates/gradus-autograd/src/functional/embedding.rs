//! Rows of a table by number.

use gradus_tensor::{DType, Error, Result, Tensor};

use crate::op::Op;
use crate::var::Var;

/// The rows of `weight` (V, C) that `indices` (any shape) name, to (…, C). The row `padding_idx` gets no gradient.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let table = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 2])?);
/// let ids = Tensor::from_slice(&[2i64, 0], 2)?;
/// assert_eq!(F::embedding(&ids, &table, None)?.value().to_vec::<f64>()?, [5.0, 6.0, 1.0, 2.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the table is not a matrix, the indices are not whole numbers, or one is out of range.
pub fn embedding(indices: &Tensor, weight: &Var, padding_idx: Option<usize>) -> Result<Var> {
    if weight.rank() != 2 {
        return Err(Error::shape(
            "embedding",
            format!("the table has shape {}; it takes (V, C)", weight.shape()),
        ));
    }
    if let Some(i) = padding_idx
        && i >= weight.dims()[0]
    {
        return Err(Error::index(
            "embedding",
            format!("padding_idx {i} in a table of {} rows", weight.dims()[0]),
        ));
    }
    let y = weight.value().embedding(indices)?; // (…, C)
    let indices = indices.clone();
    Op::new("embedding")
        .inputs(&[weight])
        .record(y, move |ctx, dy| {
            let rows = ctx.shape(0)[0];
            if ctx.create_graph() || padding_idx.is_some() || dy.dtype() != ctx.dtype(0) {
                return Ok([Some(table_grad(&dy, &indices, rows, padding_idx)?)]);
            }
            // Rows added where they belong: a table that also is the last layer has a gradient already, and no other is made.
            let (dy, indices) = (dy.into_value(), indices.clone());
            ctx.add_to(0, move |before| match before {
                Some(table) => table.add_rows_(&indices, &dy),
                None => dy.embedding_backward(&indices, rows, None),
            });
            Ok([None])
        })
}

/// The gradient of a table of `rows` rows: each row of `dy` is added to the one its index names.
fn table_grad(dy: &Var, indices: &Tensor, rows: usize, padding_idx: Option<usize>) -> Result<Var> {
    let dw = dy
        .value()
        .embedding_backward(indices, rows, padding_idx.map(|i| i as i64))?;
    let indices = indices.clone();
    Op::new("embedding_backward")
        .inputs(&[dy])
        .record(dw, move |_, d| {
            let d = embedding(&indices, &d, None)?;
            match padding_idx {
                Some(i) => d.masked_fill(&indices.eq_scalar(i)?.unsqueeze(-1)?, 0),
                None => Ok(d),
            }
        })
}

/// [`embedding`] whose gradient divides each row's by how often the row is named: PyTorch's `scale_grad_by_freq`.
///
/// ```
/// # use gradus_autograd::{Var, functional::embedding_scale_grad_by_freq};
/// # use gradus_tensor::{DType, Tensor};
/// let table = Var::leaf(Tensor::zeros([2, 1], DType::F32)?)?; // (V, C)
/// let y = embedding_scale_grad_by_freq(&Tensor::from_slice(&[1i64, 1, 0], 3)?, &table, None)?;
/// let dy = y.sum(.., false)?.backward()?;
/// assert_eq!(dy.get(&table).unwrap().to_vec::<f32>()?, [1.0, 1.0]); // not 2 for row 1
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`embedding`].
pub fn embedding_scale_grad_by_freq(
    indices: &Tensor,
    weight: &Var,
    padding_idx: Option<usize>,
) -> Result<Var> {
    let y = embedding(indices, &weight.detach(), padding_idx)?.into_value(); // (…, C)
    let flat = indices.to_dtype(DType::I64)?.flatten(0, -1)?;
    let ones = Tensor::ones(flat.shape(), &y)?;
    let counts = Tensor::zeros(weight.dims()[0], &y)?.index_add(0, &flat, &ones, 1)?; // (V)
    let share = counts.index_select(0, &flat)?.reciprocal_()?;
    let share = Var::from(share.reshape(indices.shape())?.unsqueeze(-1)?); // (…, 1)
    let indices = indices.clone();
    Op::new("embedding")
        .inputs(&[weight])
        .record(y, move |ctx, dy| {
            table_grad(&dy.mul(&share)?, &indices, ctx.shape(0)[0], padding_idx)
        })
}

/// The table with the rows that `indices` name shortened to `max_norm` where their p-norm is above it: what PyTorch's `max_norm`
/// does to the table before a look-up.
///
/// ```
/// # use gradus_autograd::functional::embedding_renorm;
/// # use gradus_tensor::Tensor;
/// let table = Tensor::from_slice(&[3f64, 4.0, 3.0, 4.0], [2, 2])?;
/// let table = embedding_renorm(&table, &Tensor::from_slice(&[1i64], 1)?, 1.0, 2.0)?;
/// let y = table.to_vec::<f64>()?;
/// assert!(y[..2] == [3.0, 4.0] && (y[2] - 0.6).abs() < 1e-6 && (y[3] - 0.8).abs() < 1e-6);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the table is not a matrix or an index is out of range.
pub fn embedding_renorm(
    table: &Tensor,
    indices: &Tensor,
    max_norm: f64,
    norm_type: f64,
) -> Result<Tensor> {
    let flat = indices.flatten(0, -1)?;
    let rows = table
        .embedding(&flat)
        .map_err(|e| e.in_op("embedding_renorm"))?;
    let norm = rows.norm(norm_type, -1, true)?; // (N, 1)
    let scale = norm
        .add_scalar(1e-7)?
        .reciprocal_()?
        .mul_scalar_(max_norm)?;
    let scale = scale.masked_fill(&norm.le_scalar(max_norm)?, 1)?;
    table.index_copy(0, &flat, &rows.mul(&scale)?)
}

/// How [`embedding_bag`] joins the rows of a bag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BagMode {
    /// Their sum.
    Sum,
    /// Their mean (PyTorch's default).
    #[default]
    Mean,
    /// The largest of each column.
    Max,
}

/// Optional arguments of [`embedding_bag`].
#[derive(Clone, Debug, Default)]
pub struct EmbeddingBag {
    /// Where each bag starts in a vector of indices; not given when `indices` is a matrix with a bag in each row.
    pub offsets: Option<Tensor>,
    /// How rows are joined.
    pub mode: BagMode,
    /// A weight for each index; only with the sum.
    pub per_sample_weights: Option<Var>,
    /// The last offset is the end of the last bag.
    pub include_last_offset: bool,
    /// Indices of this row do not count.
    pub padding_idx: Option<usize>,
}

/// Sums, means or maxima of bags of rows of `weight` (V, C), to (bags, C); an empty bag gives zeros.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let table = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 2])?);
/// let bags = Tensor::from_slice(&[0i64, 1, 2, 2], [2, 2])?;
/// assert_eq!(F::embedding_bag(&bags, &table, &F::EmbeddingBag::default())?.value().to_vec::<f64>()?, [2.0, 3.0, 5.0, 6.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If shapes do not fit, an index is out of range, or offsets do not ascend.
pub fn embedding_bag(indices: &Tensor, weight: &Var, options: &EmbeddingBag) -> Result<Var> {
    const OP: &str = "embedding_bag";
    let starts: Vec<i64> = match (indices.rank(), &options.offsets) {
        (2, None) => (0..=indices.dims()[0])
            .map(|i| (i * indices.dims()[1]) as i64)
            .collect(),
        (1, Some(offsets)) => {
            let mut starts = offsets.to_dtype(DType::I64)?.to_vec::<i64>()?;
            if !options.include_last_offset {
                starts.push(indices.numel() as i64);
            }
            starts
        }
        _ => {
            return Err(Error::shape(
                OP,
                "it takes a matrix of indices, or a vector with offsets",
            ));
        }
    };
    let sorted = starts.windows(2).all(|w| w[0] <= w[1]);
    if !sorted
        || starts.first().is_some_and(|&s| s != 0)
        || starts.last().is_some_and(|&s| s > indices.numel() as i64)
    {
        return Err(Error::value(
            OP,
            "the offsets must start at 0, ascend, and stay within the indices",
        ));
    }
    if options.per_sample_weights.is_some() && options.mode != BagMode::Sum {
        return Err(Error::value(OP, "per_sample_weights go with mode Sum"));
    }
    let bags = starts.len().saturating_sub(1);
    let flat = indices.flatten(0, -1)?;
    // What does not count is left out; the rest knows its bag.
    let padding = options.padding_idx.map(|i| i as i64);
    let numbers = match padding {
        Some(_) => flat.to_dtype(DType::I64)?.to_vec::<i64>()?,
        None => Vec::new(), // need not be known
    };
    let (mut kept, mut bag_of) = (Vec::new(), Vec::new());
    for bag in 0..bags {
        for at in starts[bag]..starts[bag + 1] {
            if padding.is_none() || padding != numbers.get(at as usize).copied() {
                kept.push(at);
                bag_of.push(bag as i64);
            }
        }
    }
    let count = kept.len();
    let here = weight.value().device();
    let (kept, bag_of) = (
        Tensor::from_vec(kept, [count])?.to_device(&here)?,
        Tensor::from_vec(bag_of, [count])?.to_device(&here)?,
    );
    let mut rows = weight.index_select(0, &flat.index_select(0, &kept)?)?; // (count, C)
    if let Some(w) = &options.per_sample_weights {
        if w.dims() != indices.dims() {
            return Err(Error::shape(
                OP,
                format!("weights {} for indices {}", w.shape(), indices.shape()),
            ));
        }
        rows = rows.mul(&w.reshape([-1])?.index_select(0, &kept)?.unsqueeze(1)?)?;
    }
    let zeros = Var::from(Tensor::zeros([bags, weight.dims()[1]], weight)?);
    match options.mode {
        BagMode::Sum => zeros.index_add(0, &bag_of, &rows, 1.0),
        BagMode::Mean => {
            let ones = Tensor::ones([count], weight)?;
            let sizes = Tensor::zeros([bags], weight)?
                .index_add(0, &bag_of, &ones, 1.0)?
                .clamp_min(1)?;
            zeros
                .index_add(0, &bag_of, &rows, 1.0)?
                .div(&Var::from(sizes.unsqueeze(1)?))
        }
        BagMode::Max => {
            let place = bag_of.unsqueeze(1)?.broadcast_to(rows.shape())?;
            zeros.scatter_reduce(0, &place, &rows, gradus_tensor::ScatterReduce::Amax, false)
        }
    }
}
