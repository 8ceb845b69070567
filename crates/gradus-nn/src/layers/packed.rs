//! Batches of sequences of different lengths: padded to one length, or packed so that no step is spent on padding. Functions and
//! fields of `torch.nn.utils.rnn`. It computes nothing; the recurrent layers read [`PackedSequence`] by `forward_packed`.

use gradus_autograd::Var;
use gradus_tensor::{Error, PadMode, Result, Tensor};

/// Sequences, longest first, laid out step by step: all first steps, then all second steps of those that have one, and so on.
#[derive(Clone, Debug)]
pub struct PackedSequence {
    data: Var,
    batch_sizes: Vec<usize>,
    sorted: Option<[Tensor; 2]>,
}

impl PackedSequence {
    /// (sum of the lengths, …): the steps.
    pub fn data(&self) -> &Var {
        &self.data
    }

    /// How many sequences have a first step, a second, …
    pub fn batch_sizes(&self) -> &[usize] {
        &self.batch_sizes
    }

    /// Where each of the sorted sequences stood before, if they were sorted: i64 (B).
    pub fn sorted_indices(&self) -> Option<&Tensor> {
        self.sorted.as_ref().map(|s| &s[0])
    }

    /// Where each sequence stands now, if they were sorted: i64 (B).
    pub fn unsorted_indices(&self) -> Option<&Tensor> {
        self.sorted.as_ref().map(|s| &s[1])
    }

    /// The same lengths with other contents, of as many steps.
    pub(super) fn with_data(&self, data: Var) -> Self {
        Self {
            data,
            ..self.clone()
        }
    }

    /// How many sequences there are.
    pub fn batch(&self) -> usize {
        self.batch_sizes.first().copied().unwrap_or(0)
    }
}

fn positions(index: Vec<usize>) -> Result<Tensor> {
    let n = index.len();
    Tensor::from_vec(index.into_iter().map(|i| i as i64).collect(), n)
}

/// Packs padded sequences (T, B, …), or (B, T, …) if `batch_first`, of these lengths. With `enforce_sorted` they must come longest
/// first; without, they are sorted and the order is kept.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{pack_padded_sequence, pad_packed_sequence};
/// use gradus_tensor::Tensor;
/// # fn main() -> gradus_tensor::Result<()> {
/// let x = Var::from(Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0, 0.0, 0.0], [2, 3, 1])?); // (B, T, C)
/// let packed = pack_padded_sequence(&x, &[3, 1], true, true)?;
/// assert_eq!(packed.data().value().to_vec::<f32>()?, [1.0, 4.0, 2.0, 3.0]);
/// assert_eq!(packed.batch_sizes(), [2, 1, 1]);
/// let (y, lengths) = pad_packed_sequence(&packed, true, 0.0, None)?;
/// assert_eq!((y.value().to_vec::<f32>()?, lengths), (x.value().to_vec::<f32>()?, vec![3, 1]));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When there is not one length for each sequence, a length is 0 or beyond T, or they do not descend though they should.
pub fn pack_padded_sequence(
    x: &Var,
    lengths: &[usize],
    batch_first: bool,
    enforce_sorted: bool,
) -> Result<PackedSequence> {
    const OP: &str = "pack_padded_sequence";
    let ((&[batch, time, ..], true) | (&[time, batch, ..], false)) = (x.dims(), batch_first) else {
        let message = format!("{} is not a batch of sequences", x.shape());
        return Err(Error::shape(OP, message));
    };
    if lengths.len() != batch || batch == 0 {
        let message = format!(
            "{} lengths for {batch} sequences {}",
            lengths.len(),
            x.shape()
        );
        return Err(Error::shape(OP, message));
    }
    if let Some(bad) = lengths.iter().find(|&&n| n == 0 || n > time) {
        let message = format!(
            "length {bad} is not in 1..={time}, the steps of {}",
            x.shape()
        );
        return Err(Error::value(OP, message));
    }
    let mut order: Vec<usize> = (0..batch).collect();
    order.sort_by_key(|&b| std::cmp::Reverse(lengths[b])); // stable
    let descending = lengths.windows(2).all(|w| w[0] >= w[1]);
    if enforce_sorted && !descending {
        let message = format!(
            "lengths {lengths:?} do not descend; sort the sequences, or give enforce_sorted = false"
        );
        return Err(Error::value(OP, message));
    }
    let (mut index, mut batch_sizes) = (Vec::new(), Vec::new());
    for t in 0..lengths[order[0]] {
        let now = order.iter().take_while(|&&b| lengths[b] > t);
        let before = index.len();
        index.extend(now.map(|b| {
            if batch_first {
                b * time + t
            } else {
                t * batch + b
            }
        }));
        batch_sizes.push(index.len() - before);
    }
    let data = x.flatten(0, 1)?.index_select(0, &positions(index)?)?;
    let sorted = if enforce_sorted {
        None
    } else {
        let mut back = vec![0; batch];
        order.iter().enumerate().for_each(|(now, &b)| back[b] = now);
        Some([positions(order)?, positions(back)?])
    };
    Ok(PackedSequence {
        data,
        batch_sizes,
        sorted,
    })
}

/// Back to padded sequences (T, B, …), or (B, T, …), in the order they were packed from, and their lengths. T is the longest
/// length, or `total_length`; what is beyond a sequence's end is `padding_value`.
///
/// # Errors
/// When `total_length` is less than the longest.
pub fn pad_packed_sequence(
    packed: &PackedSequence,
    batch_first: bool,
    padding_value: f64,
    total_length: Option<usize>,
) -> Result<(Var, Vec<usize>)> {
    let (batch, longest) = (packed.batch(), packed.batch_sizes.len());
    let time = total_length.unwrap_or(longest);
    if time < longest {
        let message = format!("total_length {time} is less than the longest sequence, {longest}");
        return Err(Error::value("pad_packed_sequence", message));
    }
    let place = match packed.unsorted_indices() {
        Some(back) => back
            .to_vec::<i64>()?
            .into_iter()
            .map(|i| i as usize)
            .collect(),
        None => (0..batch).collect::<Vec<_>>(),
    };
    let rows = packed.data.dims()[0]; // the row after them is the padding
    let mut index = vec![rows; batch * time];
    let (mut lengths, mut first) = (vec![0; batch], 0);
    for (t, &size) in packed.batch_sizes.iter().enumerate() {
        for (b, &now) in place.iter().enumerate().filter(|&(_, &now)| now < size) {
            index[if batch_first {
                b * time + t
            } else {
                t * batch + b
            }] = first + now;
            lengths[b] = t + 1;
        }
        first += size;
    }
    let mut pad = vec![0; 2 * packed.data.rank()];
    if let Some(last) = pad.last_mut() {
        *last = 1; // one row more
    }
    let data = packed
        .data
        .pad(&pad, PadMode::Constant(padding_value.into()))?;
    let sizes = if batch_first {
        [batch, time]
    } else {
        [time, batch]
    }
    .map(|n| n as isize);
    let y = data.index_select(0, &positions(index)?)?;
    Ok((y.unflatten(0, sizes)?, lengths))
}

/// Sequences (T_i, …) of different lengths as one, (T, B, …) or (B, T, …), filled up with `padding_value`.
///
/// # Errors
/// When there is none, or they differ in more than the first dimension.
pub fn pad_sequence(sequences: &[&Var], batch_first: bool, padding_value: f64) -> Result<Var> {
    let longest = sequences
        .iter()
        .map(|x| x.dims().first().copied().unwrap_or(0));
    let longest = longest.max().unwrap_or(0);
    let padded = sequences.iter().map(|x| {
        let mut pad = vec![0; 2 * x.rank()];
        if let Some(last) = pad.last_mut() {
            *last = (longest - x.dims()[0]) as isize;
        }
        x.pad(&pad, PadMode::Constant(padding_value.into()))
    });
    let padded = padded.collect::<Result<Vec<_>>>()?;
    let all: Vec<&Var> = padded.iter().collect();
    Var::stack(&all, isize::from(!batch_first)).map_err(|e| e.in_op("pad_sequence"))
}

/// The sequences (T_i, …) that [`pad_sequence`] made one of.
///
/// # Errors
/// When there is not one length for each sequence or one is beyond T.
pub fn unpad_sequence(x: &Var, lengths: &[usize], batch_first: bool) -> Result<Vec<Var>> {
    let sequences = x.unbind(isize::from(!batch_first))?;
    if sequences.len() != lengths.len() {
        let message = format!(
            "{} lengths for {} sequences",
            lengths.len(),
            sequences.len()
        );
        return Err(Error::shape("unpad_sequence", message));
    }
    let cut = |(x, &n): (&Var, &usize)| x.narrow(0, 0, n);
    sequences.iter().zip(lengths).map(cut).collect()
}

/// Packs sequences (T_i, …), as [`pack_padded_sequence`].
///
/// # Errors
/// As [`pad_sequence`] and [`pack_padded_sequence`].
pub fn pack_sequence(sequences: &[&Var], enforce_sorted: bool) -> Result<PackedSequence> {
    let lengths: Vec<usize> = sequences
        .iter()
        .map(|x| x.dims().first().copied().unwrap_or(0))
        .collect();
    let padded = pad_sequence(sequences, false, 0.0)?;
    pack_padded_sequence(&padded, &lengths, false, enforce_sorted)
}

/// The sequences (T_i, …) of a packed one, in the order they were packed from.
///
/// # Errors
/// When the memory cannot be had.
pub fn unpack_sequence(packed: &PackedSequence) -> Result<Vec<Var>> {
    let (padded, lengths) = pad_packed_sequence(packed, false, 0.0, None)?;
    unpad_sequence(&padded, &lengths, false)
}
