//! One step of a recurrent network: the parameters of a cell and its formulas, and the cells as layers of their own. Names
//! (`weight_ih`), layouts (gates i f g o; r z n) and defaults are `torch.nn`'s. Whole sequences are `recurrent.rs`.
//! Sources: Elman 1990; Hochreiter and Schmidhuber 1997; Cho et al. 2014 (arXiv:1406.1078).

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use crate::init::default_uniform;
use crate::module::{Module, Param};

/// The parameters of one cell; G is 1 (plain), 4 (LSTM) or 3 (GRU) gates.
#[derive(Clone, Debug, Module)]
pub struct CellWeights {
    /// (G·H, input)
    pub weight_ih: Param,
    /// (G·H, H)
    pub weight_hh: Param,
    /// (G·H)
    pub bias_ih: Option<Param>,
    /// (G·H)
    pub bias_hh: Option<Param>,
    /// (P, H), where an LSTM's output is projected to a smaller width.
    pub weight_hr: Option<Param>,
}

impl CellWeights {
    pub(super) fn new(
        gates: usize,
        input: usize,
        hidden: usize,
        proj: Option<usize>,
        bias: bool,
        dtype: DType,
    ) -> Result<Self> {
        let rows = gates.saturating_mul(hidden);
        let draw = |shape: &[usize]| Param::new(default_uniform(shape, hidden, dtype)?);
        Ok(Self {
            weight_ih: draw(&[rows, input])?,
            weight_hh: draw(&[rows, proj.unwrap_or(hidden)])?,
            bias_ih: bias.then(|| draw(&[rows])).transpose()?,
            bias_hh: bias.then(|| draw(&[rows])).transpose()?,
            weight_hr: proj.map(|proj| draw(&[proj, hidden])).transpose()?,
        })
    }

    /// A state of zeros for an input (B, C) or (C): (B, H) or (H).
    fn zeros(&self, x: &Var) -> Result<Var> {
        let mut shape = x.dims()[..x.rank().saturating_sub(1)].to_vec();
        shape.push(self.weight_hh.shape()[1]);
        Ok(Var::from(Tensor::zeros(shape, x)?))
    }

    /// Refuses an input (B, input) or a state (B, H) of a cell that do not fit it and each other.
    fn check(&self, op: &'static str, x: &Var, states: &[&Var]) -> Result<()> {
        let (input, hidden) = (self.weight_ih.shape()[1], self.weight_hh.shape()[1]);
        let lead = &x.dims()[..x.rank().saturating_sub(1)];
        let fits = |v: &Var, width: usize| v.dims().split_last() == Some((&width, lead));
        if (1..=2).contains(&x.rank()) && fits(x, input) && states.iter().all(|s| fits(s, hidden)) {
            return Ok(());
        }
        let given: Vec<String> = states.iter().map(|s| s.shape().to_string()).collect();
        let message = format!(
            "input {} and state {}: it takes (B, {input}) and (B, {hidden}), or both without B",
            x.shape(),
            given.join(", ")
        );
        Err(Error::shape(op, message))
    }

    /// What the input contributes to the gates: (B, G·H).
    fn of_input(&self, x: &Var) -> Result<Var> {
        F::linear(
            x,
            self.weight_ih.var(),
            self.bias_ih.as_ref().map(Param::var),
        )
        .in_layer("weight_ih")
    }

    /// What the state contributes to the gates: (B, G·H).
    fn of_state(&self, h: &Var) -> Result<Var> {
        F::linear(
            h,
            self.weight_hh.var(),
            self.bias_hh.as_ref().map(Param::var),
        )
        .in_layer("weight_hh")
    }

    /// `h'` of the plain cell.
    pub(super) fn rnn_tanh(&self, x: &Var, h: &Var) -> Result<Var> {
        self.of_input(x)?.add(&self.of_state(h)?)?.tanh()
    }

    /// `h'` of the plain cell with ReLU.
    pub(super) fn rnn_relu(&self, x: &Var, h: &Var) -> Result<Var> {
        self.of_input(x)?.add(&self.of_state(h)?)?.relu()
    }

    /// The sum of both biases, where there are any.
    fn bias(&self) -> Result<Option<Var>> {
        match (&self.bias_ih, &self.bias_hh) {
            (Some(a), Some(b)) => a.var().add(b.var()).map(Some),
            (a, b) => Ok(a.as_ref().or(b.as_ref()).map(|bias| bias.var().clone())),
        }
    }

    /// An LSTM over a whole sequence (T, B, C), as one operation: the outputs (T, B, H) and the last state. Not with a projection.
    pub(super) fn lstm_sequence(&self, x: &Var, (h, c): &(Var, Var)) -> Result<(Var, (Var, Var))> {
        let gates =
            F::linear(x, self.weight_ih.var(), self.bias()?.as_ref()).in_layer("weight_ih")?; // (T, B, 4H)
        let states = F::lstm_sequence(&gates, self.weight_hh.var(), h, c).in_layer("weight_hh")?; // (T, 2, B, H)
        let last = states.select(0, -1)?; // (2, B, H)
        Ok((
            states.select(1, 0)?,
            (last.select(0, 0)?, last.select(0, 1)?),
        ))
    }

    /// Gated recurrent units over a whole sequence (T, B, C), as one operation: the outputs (T, B, H) and the last state.
    pub(super) fn gru_sequence(&self, x: &Var, h: &Var) -> Result<(Var, Var)> {
        let gates = self.of_input(x)?; // (T, B, 3H)
        let bias = match &self.bias_hh {
            Some(bias) => bias.var().clone(),
            None => Var::from(Tensor::zeros([self.weight_hh.shape()[0]], x)?),
        };
        let y = F::gru_sequence(&gates, self.weight_hh.var(), &bias, h).in_layer("weight_hh")?;
        let last = y.select(0, -1)?;
        Ok((y, last))
    }

    /// `(h', c')`, gates in the order i f g o.
    pub(super) fn lstm(&self, x: &Var, state: &(Var, Var)) -> Result<(Var, Var)> {
        if self.weight_hr.is_none() && x.rank() == 2 {
            let gates = F::linear(x, self.weight_ih.var(), self.bias()?.as_ref())
                .in_layer("weight_ih")?
                .unsqueeze(0)?; // (1, B, 4H)
            let states = F::lstm_sequence(&gates, self.weight_hh.var(), &state.0, &state.1)
                .in_layer("weight_hh")?
                .squeeze(0)?; // (2, B, H)
            return Ok((states.select(0, 0)?, states.select(0, 1)?));
        }
        let (h, c) = state;
        let gates = self.of_input(x)?.add(&self.of_state(h)?)?.chunk(4, -1)?; // 4 of (B, H)
        let [i, f, g, o] = gates.as_slice() else {
            return Err(Error::shape("LSTM", "the gates do not divide by 4"));
        };
        let c = f.sigmoid()?.mul(c)?.add(&i.sigmoid()?.mul(&g.tanh()?)?)?; // (B, H)
        let h = o.sigmoid()?.mul(&c.tanh()?)?; // (B, H)
        match &self.weight_hr {
            Some(weight) => Ok((F::linear(&h, weight.var(), None)?, c)), // (B, P)
            None => Ok((h, c)),
        }
    }

    /// `h'`, gates in the order r z n, with the reset gate after the matrix.
    pub(super) fn gru(&self, x: &Var, h: &Var) -> Result<Var> {
        let (of_x, of_h) = (
            self.of_input(x)?.chunk(3, -1)?,
            self.of_state(h)?.chunk(3, -1)?,
        ); // 3 of (B, H) each
        let ([xr, xz, xn], [hr, hz, hn]) = (of_x.as_slice(), of_h.as_slice()) else {
            return Err(Error::shape("GRU", "the gates do not divide by 3"));
        };
        let r = xr.add(hr)?.sigmoid()?;
        let z = xz.add(hz)?.sigmoid()?;
        let n = xn.add(&r.mul(hn)?)?.tanh()?;
        n.add(&z.mul(&h.sub(&n)?)?) // (1 - z) n + z h
    }
}

/// `h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`, or ReLU in place of tanh: (B, input) and (B, H) to (B, H), or without B.
#[derive(Clone, Debug, Module)]
pub struct RNNCell {
    /// (H, …)
    #[module(flatten)]
    pub weights: CellWeights,
    relu: bool,
}

impl RNNCell {
    /// In f32, with or without biases.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(input_size: usize, hidden_size: usize, bias: bool) -> Result<Self> {
        Ok(Self {
            weights: CellWeights::new(1, input_size, hidden_size, None, bias, DType::F32)?,
            relu: false,
        })
    }

    /// With ReLU in place of tanh.
    #[must_use]
    pub fn relu(mut self) -> Self {
        self.relu = true;
        self
    }

    /// The next state; from zeros if there is none.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, h: Option<&Var>) -> Result<Var> {
        self.weights.check("RNNCell", x, h.as_slice())?;
        let step = |h: &Var| match self.relu {
            true => self.weights.rnn_relu(x, h),
            false => self.weights.rnn_tanh(x, h),
        };
        step(h.unwrap_or(&self.weights.zeros(x)?))
    }
}

/// One step of long short-term memory: (B, input) and two of (B, H) to two of (B, H), or without B.
#[derive(Clone, Debug, Module)]
pub struct LSTMCell {
    /// (4 H, …)
    #[module(flatten)]
    pub weights: CellWeights,
}

impl LSTMCell {
    /// In f32, with or without biases.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(input_size: usize, hidden_size: usize, bias: bool) -> Result<Self> {
        Ok(Self {
            weights: CellWeights::new(4, input_size, hidden_size, None, bias, DType::F32)?,
        })
    }

    /// The next state and cell; from zeros if there are none.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, state: Option<&(Var, Var)>) -> Result<(Var, Var)> {
        let given = state.map(|(h, c)| [h, c]);
        self.weights
            .check("LSTMCell", x, given.as_ref().map_or(&[], |s| s))?;
        match state {
            Some(state) => self.weights.lstm(x, state),
            None => self
                .weights
                .lstm(x, &(self.weights.zeros(x)?, self.weights.zeros(x)?)),
        }
    }
}

/// One step of gated recurrent units: (B, input) and (B, H) to (B, H), or without B.
#[derive(Clone, Debug, Module)]
pub struct GRUCell {
    /// (3 H, …)
    #[module(flatten)]
    pub weights: CellWeights,
}

impl GRUCell {
    /// In f32, with or without biases.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(input_size: usize, hidden_size: usize, bias: bool) -> Result<Self> {
        Ok(Self {
            weights: CellWeights::new(3, input_size, hidden_size, None, bias, DType::F32)?,
        })
    }

    /// The next state; from zeros if there is none.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Var, h: Option<&Var>) -> Result<Var> {
        self.weights.check("GRUCell", x, h.as_slice())?;
        self.weights.gru(x, h.unwrap_or(&self.weights.zeros(x)?))
    }
}
