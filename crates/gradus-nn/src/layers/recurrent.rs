//! Recurrent layers: [`RNN`], [`LSTM`], [`GRU`], in one or both directions, one above the other. Names
//! (`weight_ih_l0_reverse`), layouts (gates i f g o; r z n) and defaults are `torch.nn`'s.
//!
//! LSTM and GRU layers over padded sequences are one operation each (`functional::lstm_sequence`); plain layers, packed sequences and
//! projections go step by step: T steps are a graph of T cells (`cell.rs`). Gradients of any order exist either way.

use gradus_autograd::Var;
use gradus_tensor::Result;

use super::cell::CellWeights;
use super::packed::PackedSequence;
use super::stack::{RecurrentOptions, Stack, Step, Whole};
use crate::module::Module;

/// `h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`, or ReLU in place of tanh.
#[derive(Clone, Debug, Module)]
pub struct RNN {
    #[module(flatten)]
    stack: Stack,
    relu: bool,
}

/// Gated recurrent units (Cho et al. 2014), gates in the order r z n, with the reset gate after the matrix.
#[derive(Clone, Debug, Module)]
pub struct GRU {
    #[module(flatten)]
    stack: Stack,
}

/// Long short-term memory (Hochreiter and Schmidhuber 1997), gates in the order i f g o.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{LSTM, RecurrentOptions};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let options = RecurrentOptions { num_layers: 2, bidirectional: true, batch_first: true, ..RecurrentOptions::default() };
/// let lstm = LSTM::with(6, 8, &options)?;
/// let x = Var::from(Tensor::ones([10, 7, 6], DType::F32)?); // (B, T, C)
/// let (y, (h, c)) = lstm.forward(&x, None)?;
/// assert_eq!((y.dims(), h.dims(), c.dims()), (&[10, 7, 16][..], &[4, 10, 8][..], &[4, 10, 8][..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct LSTM {
    #[module(flatten)]
    stack: Stack,
}

/// The way through a layer whose state is one vector.
fn of_padded(
    stack: &Stack,
    x: &Var,
    h: Option<&Var>,
    step: Step<Var>,
    whole: Option<Whole<Var>>,
) -> Result<(Var, Var)> {
    let states = stack.start(h, stack.batch(x), stack.out, x)?;
    let (y, states) = stack.padded(x, states, step, whole)?;
    Ok((y, Stack::join(&states, x.rank() == 3)?))
}

/// The same for packed sequences.
fn of_packed(
    stack: &Stack,
    x: &PackedSequence,
    h: Option<&Var>,
    step: Step<Var>,
) -> Result<(PackedSequence, Var)> {
    let h = sorted(h, x)?;
    let states = stack.start(h.as_ref(), x.batch(), stack.out, x.data())?;
    let (y, states) = stack.packed(x, states, step)?;
    Ok((y, unsorted(&states, x)?))
}

/// A state (layers · directions, B, H) in the order of the packed sequences.
fn sorted(state: Option<&Var>, x: &PackedSequence) -> Result<Option<Var>> {
    match (state, x.sorted_indices()) {
        (Some(state), Some(order)) => state.index_select(1, order).map(Some),
        (state, _) => Ok(state.cloned()),
    }
}

/// The states (B, H) as one, in the order the sequences were packed from.
fn unsorted(states: &[Var], x: &PackedSequence) -> Result<Var> {
    let state = Stack::join(states, true)?;
    match x.unsorted_indices() {
        Some(order) => state.index_select(1, order),
        None => Ok(state),
    }
}

impl RNN {
    /// One layer, one direction, (T, B, input).
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(input_size: usize, hidden_size: usize) -> Result<Self> {
        Self::with(input_size, hidden_size, &RecurrentOptions::default())
    }

    /// With a choice of options.
    ///
    /// # Errors
    /// When an option does not fit, or the memory cannot be had.
    pub fn with(input_size: usize, hidden_size: usize, options: &RecurrentOptions) -> Result<Self> {
        Ok(Self {
            stack: Stack::new("RNN", 1, input_size, hidden_size, options)?,
            relu: false,
        })
    }

    /// With ReLU in place of tanh.
    #[must_use]
    pub fn relu(mut self) -> Self {
        self.relu = true;
        self
    }

    fn step(&self) -> Step<Var> {
        if self.relu {
            CellWeights::rnn_relu
        } else {
            CellWeights::rnn_tanh
        }
    }

    /// All outputs (T, B, directions · H) and the last states (layers · directions, B, H); starts from `h`, or from zeros.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, h: Option<&Var>) -> Result<(Var, Var)> {
        of_padded(&self.stack, x, h, self.step(), None)
    }

    /// The same for packed sequences: the last state of each is that of its own last step.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_packed(
        &self,
        x: &PackedSequence,
        h: Option<&Var>,
    ) -> Result<(PackedSequence, Var)> {
        of_packed(&self.stack, x, h, self.step())
    }
}

impl GRU {
    /// One layer, one direction, (T, B, input).
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(input_size: usize, hidden_size: usize) -> Result<Self> {
        Self::with(input_size, hidden_size, &RecurrentOptions::default())
    }

    /// With a choice of options.
    ///
    /// # Errors
    /// When an option does not fit, or the memory cannot be had.
    pub fn with(input_size: usize, hidden_size: usize, options: &RecurrentOptions) -> Result<Self> {
        Ok(Self {
            stack: Stack::new("GRU", 3, input_size, hidden_size, options)?,
        })
    }

    /// All outputs (T, B, directions · H) and the last states (layers · directions, B, H); starts from `h`, or from zeros.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, h: Option<&Var>) -> Result<(Var, Var)> {
        of_padded(
            &self.stack,
            x,
            h,
            CellWeights::gru,
            Some(CellWeights::gru_sequence),
        )
    }

    /// The same for packed sequences: the last state of each is that of its own last step.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_packed(
        &self,
        x: &PackedSequence,
        h: Option<&Var>,
    ) -> Result<(PackedSequence, Var)> {
        of_packed(&self.stack, x, h, CellWeights::gru)
    }
}

impl LSTM {
    /// One layer, one direction, (T, B, input).
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(input_size: usize, hidden_size: usize) -> Result<Self> {
        Self::with(input_size, hidden_size, &RecurrentOptions::default())
    }

    /// With a choice of options.
    ///
    /// # Errors
    /// When an option does not fit, or the memory cannot be had.
    pub fn with(input_size: usize, hidden_size: usize, options: &RecurrentOptions) -> Result<Self> {
        Ok(Self {
            stack: Stack::new("LSTM", 4, input_size, hidden_size, options)?,
        })
    }

    /// All outputs (T, B, directions · H) and the last states and cells, (layers · directions, B, H) each; starts from `state`,
    /// or from zeros. With `proj_size`, outputs and states have that width, cells still H.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, state: Option<(&Var, &Var)>) -> Result<(Var, (Var, Var))> {
        let (stack, batch) = (&self.stack, self.stack.batch(x));
        let h = stack.start(state.map(|s| s.0), batch, stack.out, x)?;
        let c = stack.start(state.map(|s| s.1), batch, stack.hidden, x)?;
        let states = h.into_iter().zip(c).collect();
        let whole: Option<Whole<(Var, Var)>> =
            (stack.out == stack.hidden).then_some(CellWeights::lstm_sequence);
        let (y, states) = stack.padded(x, states, CellWeights::lstm, whole)?;
        let (h, c): (Vec<Var>, Vec<Var>) = states.into_iter().unzip();
        let batched = x.rank() == 3;
        Ok((y, (Stack::join(&h, batched)?, Stack::join(&c, batched)?)))
    }

    /// The same for packed sequences: the last state and cell of each are those of its own last step.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_packed(
        &self,
        x: &PackedSequence,
        state: Option<(&Var, &Var)>,
    ) -> Result<(PackedSequence, (Var, Var))> {
        let (stack, batch) = (&self.stack, x.batch());
        let (h, c) = (
            sorted(state.map(|s| s.0), x)?,
            sorted(state.map(|s| s.1), x)?,
        );
        let h = stack.start(h.as_ref(), batch, stack.out, x.data())?;
        let c = stack.start(c.as_ref(), batch, stack.hidden, x.data())?;
        let states = h.into_iter().zip(c).collect();
        let (y, states) = stack.packed(x, states, CellWeights::lstm)?;
        let (h, c): (Vec<Var>, Vec<Var>) = states.into_iter().unzip();
        Ok((y, (unsorted(&h, x)?, unsorted(&c, x)?)))
    }
}
