//! Recurrent layers: [`RNN`], [`LSTM`], [`GRU`], in one or both directions, one above the other. Names
//! (`weight_ih_l0_reverse`), layouts (gates i f g o; r z n) and defaults are `torch.nn`'s.
//!
//! They are written with ordinary operations, step by step: T steps are a graph of T cells (`cell.rs`), so gradients of any order
//! exist.
//! It is not one fused kernel for the whole sequence.

use gradus_autograd::Var;
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use super::cell::CellWeights;
use super::dropout::drop;
use crate::module::{Mode, Module, Part, PartMut, Path, Visit};

/// Options of a recurrent layer.
#[derive(Clone, Debug)]
pub struct RecurrentOptions {
    /// Layers one above the other (1).
    pub num_layers: usize,
    /// With the two bias vectors (they are).
    pub bias: bool,
    /// Input and output are (B, T, C) rather than (T, B, C) (they are not).
    pub batch_first: bool,
    /// Dropout between the layers (0).
    pub dropout: f64,
    /// Read the sequence in both directions (no).
    pub bidirectional: bool,
    /// f32.
    pub dtype: DType,
}

impl Default for RecurrentOptions {
    fn default() -> Self {
        Self {
            num_layers: 1,
            bias: true,
            batch_first: false,
            dropout: 0.0,
            bidirectional: false,
            dtype: DType::F32,
        }
    }
}

/// What the three have in common: the parameters of all layers and directions, and the way through them.
#[derive(Clone, Debug)]
struct Stack {
    /// Of layer `l` and direction `d` at `l * directions + d`.
    weights: Vec<CellWeights>,
    hidden: usize,
    directions: usize,
    batch_first: bool,
    dropout: f64,
    mode: Mode,
}

impl Stack {
    fn new(gates: usize, input: usize, hidden: usize, options: &RecurrentOptions) -> Result<Self> {
        let directions = if options.bidirectional { 2 } else { 1 };
        if options.num_layers == 0 {
            return Err(Error::value(
                "recurrent",
                "num_layers is 0, and must be 1 or more",
            ));
        }
        let mut weights = Vec::new();
        for layer in 0..options.num_layers {
            let input = if layer == 0 {
                input
            } else {
                hidden.saturating_mul(directions)
            };
            for _ in 0..directions {
                weights.push(CellWeights::new(
                    gates,
                    input,
                    hidden,
                    options.bias,
                    options.dtype,
                )?);
            }
        }
        Ok(Self {
            weights,
            hidden,
            directions,
            batch_first: options.batch_first,
            dropout: options.dropout,
            mode: Mode::Training,
        })
    }

    /// All states at the start, zero: (B, H) for each layer and direction.
    fn zeros(&self, x: &Var) -> Result<Vec<Var>> {
        let batch = match (x.dims(), self.batch_first) {
            (&[batch, _, _], true) | (&[_, batch, _], false) => batch,
            _ => 1,
        };
        let zero = Var::from(Tensor::zeros([batch, self.hidden], x.dtype())?);
        Ok(vec![zero; self.weights.len()])
    }

    /// A given state (layers · directions, B, H), or without B, as one (B, H) for each layer and direction.
    fn split(&self, state: &Var) -> Result<Vec<Var>> {
        let states = state.unbind(0)?;
        if states.len() != self.weights.len() {
            let message = format!(
                "the state {} is not for {} layers and directions",
                state.shape(),
                self.weights.len()
            );
            return Err(Error::shape("recurrent", message));
        }
        states
            .into_iter()
            .map(|s| if s.rank() == 1 { s.unsqueeze(0) } else { Ok(s) })
            .collect()
    }

    /// The states as one, (layers · directions, B, H).
    fn join(states: &[Var], batched: bool) -> Result<Var> {
        let stacked = Var::stack(&states.iter().collect::<Vec<_>>(), 0)?;
        if batched {
            Ok(stacked)
        } else {
            stacked.squeeze(1)
        }
    }

    /// Through all layers and steps: the outputs of the last layer, (T, B, directions · H) or as the input was laid out, and the
    /// last state of each layer and direction. `S` is a cell's state, `out` the part of it that is seen.
    fn run<S: Clone>(
        &self,
        x: &Var,
        mut states: Vec<S>,
        step: impl Fn(&CellWeights, &Var, &S) -> Result<S>,
        out: impl Fn(&S) -> &Var,
    ) -> Result<(Var, Vec<S>)> {
        let batched = x.rank() == 3;
        if !batched && x.rank() != 2 {
            return Err(Error::shape(
                "recurrent",
                format!(
                    "{} is not a sequence: it takes (T, B, C), (B, T, C) or (T, C)",
                    x.shape()
                ),
            ));
        }
        let time = isize::from(batched && self.batch_first);
        // The sequence stays a list of steps from layer to layer; a (T, C) one gets a batch of 1.
        let mut sequence = x.unbind(time)?; // T of (B, C)
        if !batched {
            sequence = sequence
                .iter()
                .map(|x| x.unsqueeze(0))
                .collect::<Result<_>>()?;
        }
        if sequence.is_empty() {
            return Err(Error::shape(
                "recurrent",
                format!("{} has no steps", x.shape()),
            ));
        }
        let layers = self.weights.len() / self.directions;
        for layer in 0..layers {
            if layer > 0 && self.dropout > 0.0 {
                sequence = sequence
                    .iter()
                    .map(|x| drop(x, x.dims(), self.dropout, self.mode))
                    .collect::<Result<_>>()?;
            }
            let mut outputs: Vec<Vec<Var>> = Vec::new();
            for direction in 0..self.directions {
                let at = layer * self.directions + direction;
                let (weights, state) = (&self.weights[at], &mut states[at]);
                let mut seen = Vec::with_capacity(sequence.len());
                let mut advance = |x: &Var| -> Result<()> {
                    *state = step(weights, x, state).in_layer(format!("l{layer}"))?;
                    seen.push(out(state).clone());
                    Ok(())
                };
                if direction == 0 {
                    sequence.iter().try_for_each(&mut advance)?;
                } else {
                    sequence.iter().rev().try_for_each(&mut advance)?;
                    seen.reverse();
                }
                outputs.push(seen);
            }
            sequence = match outputs.as_slice() {
                [forward, backward] => {
                    forward
                        .iter()
                        .zip(backward)
                        .map(|(f, b)| Var::cat(&[f, b], -1))
                        .collect::<Result<_>>()? // T of (B, 2H)
                }
                _ => outputs.swap_remove(0),
            };
        }
        let y = Var::stack(&sequence.iter().collect::<Vec<_>>(), time)?;
        Ok((if batched { y } else { y.squeeze(1)? }, states))
    }
}

impl Visit for Stack {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        for (i, weights) in self.weights.iter().enumerate() {
            let name = suffix(i, self.directions);
            weights
                .weight_ih
                .visit(&mut path.enter(&format!("weight_ih_{name}")), f);
            weights
                .weight_hh
                .visit(&mut path.enter(&format!("weight_hh_{name}")), f);
            weights
                .bias_ih
                .visit(&mut path.enter(&format!("bias_ih_{name}")), f);
            weights
                .bias_hh
                .visit(&mut path.enter(&format!("bias_hh_{name}")), f);
        }
        self.mode.visit(&mut path.enter("mode"), f);
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        for (i, weights) in self.weights.iter_mut().enumerate() {
            let name = suffix(i, self.directions);
            weights
                .weight_ih
                .visit_mut(&mut path.enter(&format!("weight_ih_{name}")), f);
            weights
                .weight_hh
                .visit_mut(&mut path.enter(&format!("weight_hh_{name}")), f);
            weights
                .bias_ih
                .visit_mut(&mut path.enter(&format!("bias_ih_{name}")), f);
            weights
                .bias_hh
                .visit_mut(&mut path.enter(&format!("bias_hh_{name}")), f);
        }
        self.mode.visit_mut(&mut path.enter("mode"), f);
    }
}

/// `l0`, `l0_reverse`, `l1`, …
fn suffix(i: usize, directions: usize) -> String {
    let (layer, direction) = (i / directions, i % directions);
    if direction == 0 {
        format!("l{layer}")
    } else {
        format!("l{layer}_reverse")
    }
}

/// `h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`, or ReLU in place of tanh.
#[derive(Clone, Debug, Module)]
pub struct RNN {
    #[module(flatten)]
    stack: Stack,
    relu: bool,
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
    /// When the memory cannot be had.
    pub fn with(input_size: usize, hidden_size: usize, options: &RecurrentOptions) -> Result<Self> {
        Ok(Self {
            stack: Stack::new(1, input_size, hidden_size, options)?,
            relu: false,
        })
    }

    /// With ReLU in place of tanh.
    #[must_use]
    pub fn relu(mut self) -> Self {
        self.relu = true;
        self
    }

    /// All outputs (T, B, directions · H) and the last states (layers · directions, B, H); starts from `h`, or from zeros.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, h: Option<&Var>) -> Result<(Var, Var)> {
        let states = h.map_or_else(|| self.stack.zeros(x), |h| self.stack.split(h))?;
        let (y, states) = self
            .stack
            .run(x, states, |w, x, h| w.rnn(x, h, self.relu), |h| h)?;
        Ok((y, Stack::join(&states, x.rank() == 3)?))
    }
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
    /// When the memory cannot be had.
    pub fn with(input_size: usize, hidden_size: usize, options: &RecurrentOptions) -> Result<Self> {
        Ok(Self {
            stack: Stack::new(4, input_size, hidden_size, options)?,
        })
    }

    /// All outputs (T, B, directions · H) and the last states and cells, (layers · directions, B, H) each; starts from `state`,
    /// or from zeros.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, state: Option<(&Var, &Var)>) -> Result<(Var, (Var, Var))> {
        let (h, c) = match state {
            Some((h, c)) => (self.stack.split(h)?, self.stack.split(c)?),
            None => (self.stack.zeros(x)?, self.stack.zeros(x)?),
        };
        let states = h.into_iter().zip(c).collect();
        let (y, states) = self.stack.run(x, states, CellWeights::lstm, |(h, _)| h)?;
        let (h, c): (Vec<Var>, Vec<Var>) = states.into_iter().unzip();
        let batched = x.rank() == 3;
        Ok((y, (Stack::join(&h, batched)?, Stack::join(&c, batched)?)))
    }
}

/// Gated recurrent units (Cho et al. 2014), gates in the order r z n, with the reset gate after the matrix.
#[derive(Clone, Debug, Module)]
pub struct GRU {
    #[module(flatten)]
    stack: Stack,
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
    /// When the memory cannot be had.
    pub fn with(input_size: usize, hidden_size: usize, options: &RecurrentOptions) -> Result<Self> {
        Ok(Self {
            stack: Stack::new(3, input_size, hidden_size, options)?,
        })
    }

    /// All outputs (T, B, directions · H) and the last states (layers · directions, B, H); starts from `h`, or from zeros.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, h: Option<&Var>) -> Result<(Var, Var)> {
        let states = h.map_or_else(|| self.stack.zeros(x), |h| self.stack.split(h))?;
        let (y, states) = self.stack.run(x, states, CellWeights::gru, |h| h)?;
        Ok((y, Stack::join(&states, x.rank() == 3)?))
    }
}
