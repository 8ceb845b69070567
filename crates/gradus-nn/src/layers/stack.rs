//! What the recurrent layers have in common: the parameters of all layers and directions, and the way of a sequence through them.
//! It knows no formula of a cell (`cell.rs`) and no name of a layer (`recurrent.rs`).
//!
//! A sequence is a list of steps, each (b, C). In a padded one every b is the batch; in a packed one it falls from step to step,
//! as the shorter sequences end: their states are set aside, and a backward reader takes them up again.

use gradus_autograd::Var;
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use super::cell::CellWeights;
use super::dropout::{check_p, drop};
use super::packed::PackedSequence;
use crate::module::{Mode, Part, PartMut, Path, Visit};

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
    /// Width P that an LSTM's outputs are projected to; 0 is none (0).
    pub proj_size: usize,
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
            proj_size: 0,
            dtype: DType::F32,
        }
    }
}

/// A cell's state for some sequences of the batch: h, or h and c.
pub(super) trait State: Clone {
    /// That of `len` sequences from `start` on.
    fn rows(&self, start: usize, len: usize) -> Result<Self>;
    /// Those of one group of sequences after those of another.
    fn join(parts: &[Self]) -> Result<Self>;
    /// h: (b, H).
    fn seen(&self) -> &Var;
}

impl State for Var {
    fn rows(&self, start: usize, len: usize) -> Result<Self> {
        if (start, len) == (0, self.dims()[0]) {
            return Ok(self.clone());
        }
        self.narrow(0, start as i64, len)
    }
    fn join(parts: &[Self]) -> Result<Self> {
        Var::cat(&parts.iter().collect::<Vec<_>>(), 0)
    }
    fn seen(&self) -> &Var {
        self
    }
}

impl State for (Var, Var) {
    fn rows(&self, start: usize, len: usize) -> Result<Self> {
        Ok((self.0.rows(start, len)?, self.1.rows(start, len)?))
    }
    fn join(parts: &[Self]) -> Result<Self> {
        let (h, c): (Vec<Var>, Vec<Var>) = parts.iter().cloned().unzip();
        Ok((Var::join(&h)?, Var::join(&c)?))
    }
    fn seen(&self) -> &Var {
        &self.0
    }
}

/// A cell's formula: parameters, input (b, C) and state to the next state.
pub(super) type Step<S> = fn(&CellWeights, &Var, &S) -> Result<S>;

/// A cell's formula over a whole sequence: parameters, input (T, B, C) and state to the outputs (T, B, H) and the last state.
pub(super) type Whole<S> = fn(&CellWeights, &Var, &S) -> Result<(Var, S)>;

/// Layers and directions of cells.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    /// The layer's name, for errors.
    name: &'static str,
    /// Of layer `l` and direction `d` at `l * directions + d`.
    weights: Vec<CellWeights>,
    /// Width of h.
    pub out: usize,
    /// Width of c.
    pub hidden: usize,
    directions: usize,
    batch_first: bool,
    dropout: f64,
    mode: Mode,
}

impl Stack {
    pub fn new(
        name: &'static str,
        gates: usize,
        input: usize,
        hidden: usize,
        options: &RecurrentOptions,
    ) -> Result<Self> {
        let directions = if options.bidirectional { 2 } else { 1 };
        let proj = (options.proj_size > 0).then_some(options.proj_size);
        if options.num_layers == 0 {
            return Err(Error::value(name, "num_layers is 0, and must be 1 or more"));
        }
        if proj.is_some_and(|proj| name != "LSTM" || proj >= hidden) {
            let message = format!(
                "proj_size {} is for LSTM only and must be below the hidden size {hidden}",
                options.proj_size
            );
            return Err(Error::value(name, message));
        }
        check_p(name, options.dropout)?;
        let out = proj.unwrap_or(hidden);
        let mut weights = Vec::new();
        for layer in 0..options.num_layers {
            let input = if layer == 0 {
                input
            } else {
                out.saturating_mul(directions)
            };
            for _ in 0..directions {
                let (bias, dtype) = (options.bias, options.dtype);
                weights.push(CellWeights::new(gates, input, hidden, proj, bias, dtype)?);
            }
        }
        Ok(Self {
            name,
            weights,
            out,
            hidden,
            directions,
            batch_first: options.batch_first,
            dropout: options.dropout,
            mode: Mode::Training,
        })
    }

    /// How many sequences (B, T, C), (T, B, C) or (T, C) holds.
    pub fn batch(&self, x: &Var) -> usize {
        match (x.dims(), self.batch_first) {
            (&[batch, _, _], true) | (&[_, batch, _], false) => batch,
            _ => 1,
        }
    }

    /// The state to start from, (b, width) for each layer and direction: zeros, or the parts of the one given,
    /// (layers · directions, B, width) or without B.
    pub fn start(
        &self,
        state: Option<&Var>,
        batch: usize,
        width: usize,
        like: &Var,
    ) -> Result<Vec<Var>> {
        let count = self.weights.len();
        let Some(state) = state else {
            let zero = Var::from(Tensor::zeros([batch, width], like)?);
            return Ok(vec![zero; count]);
        };
        let unbatched = batch == 1 && state.dims() == [count, width];
        if !unbatched && state.dims() != [count, batch, width] {
            let message = format!(
                "the state is {} but must be [{count},{batch},{width}]: layers x directions, batch, width",
                state.shape()
            );
            return Err(Error::shape(self.name, message));
        }
        let states = state.unbind(0)?.into_iter();
        let row = |s: Var| if unbatched { s.unsqueeze(0) } else { Ok(s) };
        states.map(row).collect()
    }

    /// The states as one, (layers · directions, B, H), or without B.
    pub fn join(states: &[Var], batched: bool) -> Result<Var> {
        let stacked = Var::stack(&states.iter().collect::<Vec<_>>(), 0)?;
        if batched {
            Ok(stacked)
        } else {
            stacked.squeeze(1)
        }
    }

    /// A padded sequence through all layers: the outputs of the last one, laid out as the input, and the last state of each layer
    /// and direction.
    pub fn padded<S: State>(
        &self,
        x: &Var,
        states: Vec<S>,
        step: Step<S>,
        whole: Option<Whole<S>>,
    ) -> Result<(Var, Vec<S>)> {
        let batched = x.rank() == 3;
        let input = self.weights[0].weight_ih.shape()[1];
        let order = if self.batch_first {
            "(B, T, C)"
        } else {
            "(T, B, C)"
        };
        let fail = |why: &str| {
            let message = format!(
                "the input {} {why}: it takes {order} or (T, C), C {input}",
                x.shape()
            );
            Err(Error::shape(self.name, message))
        };
        if !batched && x.rank() != 2 {
            return fail("is not a sequence");
        }
        if x.dim(-1)? != input {
            return fail("has another width");
        }
        let time = isize::from(batched && self.batch_first);
        if x.dims()[time as usize] == 0 {
            return fail("has no steps");
        }
        if let Some(whole) = whole {
            let sequence = match (batched, time) {
                (false, _) => x.unsqueeze(1)?,
                (true, 1) => x.transpose(0, 1)?,
                _ => x.clone(),
            };
            let (y, states) = self.run_whole(sequence, states, whole)?; // (T, B, H)
            let y = match (batched, time) {
                (false, _) => y.squeeze(1)?,
                (true, 1) => y.transpose(0, 1)?,
                _ => y,
            };
            return Ok((y, states));
        }
        let mut steps = x.unbind(time)?; // T of (B, C)
        if !batched {
            let row = |x: &Var| x.unsqueeze(0);
            steps = steps.iter().map(row).collect::<Result<_>>()?;
        }
        let (steps, states) = self.run(steps, states, step)?;
        let y = Var::stack(&steps.iter().collect::<Vec<_>>(), time)?;
        Ok((if batched { y } else { y.squeeze(1)? }, states))
    }

    /// A packed sequence through all layers.
    pub fn packed<S: State>(
        &self,
        x: &PackedSequence,
        states: Vec<S>,
        step: Step<S>,
    ) -> Result<(PackedSequence, Vec<S>)> {
        let input = self.weights[0].weight_ih.shape()[1];
        if x.data().rank() != 2 || x.data().dim(-1)? != input {
            let message = format!("packed steps {} are not of width {input}", x.data().shape());
            return Err(Error::shape(self.name, message));
        }
        let steps = x.data().split_sizes(x.batch_sizes(), 0)?; // T of (b, C)
        let (steps, states) = self.run(steps, states, step)?;
        let y = Var::cat(&steps.iter().collect::<Vec<_>>(), 0)?;
        Ok((x.with_data(y), states))
    }

    /// All layers, each one operation over the whole sequence (T, B, C).
    fn run_whole<S: State>(
        &self,
        mut x: Var,
        mut states: Vec<S>,
        whole: Whole<S>,
    ) -> Result<(Var, Vec<S>)> {
        for layer in 0..self.weights.len() / self.directions {
            if layer > 0 && self.dropout > 0.0 {
                x = drop(&x, x.dims(), self.dropout, self.mode)?;
            }
            let mut outputs = Vec::new();
            for direction in 0..self.directions {
                let at = layer * self.directions + direction;
                let run = |x: &Var| {
                    whole(&self.weights[at], x, &states[at]).in_layer(format!("l{layer}"))
                };
                let (y, last) = if direction == 1 {
                    let (y, last) = run(&x.flip(0)?)?;
                    (y.flip(0)?, last)
                } else {
                    run(&x)?
                };
                states[at] = last;
                outputs.push(y);
            }
            x = match outputs.as_slice() {
                [forward, backward] => Var::cat(&[forward, backward], -1)?, // (T, B, 2H)
                _ => outputs.swap_remove(0),
            };
        }
        Ok((x, states))
    }

    /// All layers, each over the whole sequence, step by step.
    fn run<S: State>(
        &self,
        mut steps: Vec<Var>,
        mut states: Vec<S>,
        step: Step<S>,
    ) -> Result<(Vec<Var>, Vec<S>)> {
        for layer in 0..self.weights.len() / self.directions {
            if layer > 0 && self.dropout > 0.0 {
                let dropped = |x: &Var| drop(x, x.dims(), self.dropout, self.mode);
                steps = steps.iter().map(dropped).collect::<Result<_>>()?;
            }
            let mut outputs = Vec::new();
            for direction in 0..self.directions {
                let at = layer * self.directions + direction;
                let weights = &self.weights[at];
                let (seen, last) = one_way(weights, &steps, &states[at], direction == 1, step)
                    .in_layer(format!("l{layer}"))?;
                states[at] = last;
                outputs.push(seen);
            }
            steps = match outputs.as_slice() {
                [forward, backward] => {
                    let both = forward.iter().zip(backward);
                    both.map(|(f, b)| Var::cat(&[f, b], -1))
                        .collect::<Result<_>>()? // T of (b, 2H)
                }
                _ => outputs.swap_remove(0),
            };
        }
        Ok((steps, states))
    }
}

/// One layer in one direction: the outputs, in the order of the steps, and the last state of every sequence.
fn one_way<S: State>(
    weights: &CellWeights,
    steps: &[Var],
    start: &S,
    backwards: bool,
    step: Step<S>,
) -> Result<(Vec<Var>, S)> {
    let mut seen = Vec::with_capacity(steps.len());
    let mut ended = Vec::new(); // the last states of the shorter sequences, shortest first
    let size = |i: usize| steps[i].dims()[0];
    let order = |i: usize| if backwards { steps.len() - 1 - i } else { i };
    let mut state = start.rows(0, size(order(0)))?;
    for i in (0..steps.len()).map(order) {
        let (now, next) = (state.seen().dims()[0], size(i));
        if next < now {
            ended.push(state.rows(next, now - next)?);
            state = state.rows(0, next)?;
        } else if next > now {
            state = S::join(&[state, start.rows(now, next - now)?])?;
        }
        state = step(weights, &steps[i], &state)?;
        seen.push(state.seen().clone());
    }
    if backwards {
        seen.reverse();
    }
    if !ended.is_empty() {
        ended.push(state);
        ended.reverse();
        state = S::join(&ended)?;
    }
    Ok((seen, state))
}

impl Visit for Stack {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        for (i, w) in self.weights.iter().enumerate() {
            let name = |part: &str| format!("{part}_{}", suffix(i, self.directions));
            w.weight_ih.visit(&mut path.enter(&name("weight_ih")), f);
            w.weight_hh.visit(&mut path.enter(&name("weight_hh")), f);
            w.bias_ih.visit(&mut path.enter(&name("bias_ih")), f);
            w.bias_hh.visit(&mut path.enter(&name("bias_hh")), f);
            w.weight_hr.visit(&mut path.enter(&name("weight_hr")), f);
        }
        self.mode.visit(&mut path.enter("mode"), f);
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        for (i, w) in self.weights.iter_mut().enumerate() {
            let name = |part: &str| format!("{part}_{}", suffix(i, self.directions));
            w.weight_ih
                .visit_mut(&mut path.enter(&name("weight_ih")), f);
            w.weight_hh
                .visit_mut(&mut path.enter(&name("weight_hh")), f);
            w.bias_ih.visit_mut(&mut path.enter(&name("bias_ih")), f);
            w.bias_hh.visit_mut(&mut path.enter(&name("bias_hh")), f);
            w.weight_hr
                .visit_mut(&mut path.enter(&name("weight_hr")), f);
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
