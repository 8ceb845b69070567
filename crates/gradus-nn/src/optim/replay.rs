//! Steps of an optimiser inside of a CUDA graph: what was recorded, and the numbers each replay is given. It is not the graph, which is
//! `gradus_tensor::CudaGraph`'s.
//!
//! A recorded launch reads the numbers that change from step to step from memory of the GPU (PyTorch's `capturable`). They are computed here, as
//! for a step that is made at once, so both make the same bits of the weights.

use gradus_tensor::{Error, Result, optim};

use super::{Optim, ParamState, Rule};

/// A launch that was recorded: parameters of one group with one count of steps.
pub(super) struct Recorded {
    pub(super) kept: optim::Kept,
    group: Option<usize>,
    names: Vec<String>,
    /// Where the state lies.
    places: Vec<usize>,
}

fn places(state: &ParamState) -> impl Iterator<Item = usize> + '_ {
    state.slots.iter().map(gradus_tensor::Tensor::data_ptr)
}

impl Recorded {
    pub(super) fn of(group: Option<usize>) -> Self {
        Self {
            kept: optim::Kept::default(),
            group,
            names: Vec::new(),
            places: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, name: &str, state: &ParamState) {
        self.names.push(name.to_owned());
        self.places.extend(places(state));
    }
}

impl<R: Rule> Optim<R> {
    /// Counts the steps of a replay, and gives it their numbers.
    pub(super) fn replay_recorded(&mut self) -> Result<()> {
        if self.recorded.is_empty() {
            let why = "no step was recorded: call `step` in the capture of a graph";
            return Err(Error::value(R::NAME, why));
        }
        let mut recorded = std::mem::take(&mut self.recorded);
        let done = recorded.iter_mut().try_for_each(|r| self.replay_one(r));
        self.recorded = recorded;
        done
    }

    fn replay_one(&mut self, recorded: &mut Recorded) -> Result<()> {
        let states = || recorded.names.iter().map_while(|name| self.state.get(name));
        let alone = |s: &ParamState| !s.slots.iter().any(gradus_tensor::Tensor::is_shared);
        let there = states()
            .flat_map(places)
            .eq(recorded.places.iter().copied());
        if states().count() != recorded.names.len() || !there || !states().all(alone) {
            let why = "what it remembers has moved or is held by somebody else since its step was recorded: record it again";
            return Err(Error::value(R::NAME, why));
        }
        for name in &recorded.names {
            if let Some(state) = self.state.get_mut(name) {
                state.step += 1;
            }
        }
        let first = recorded.names.first().and_then(|name| self.state.get(name));
        let rule = first.and_then(|s| self.options_of(recorded.group).together(s));
        match rule {
            Some((rule, _)) => recorded.kept.renumber(&rule),
            None => Ok(()), // of no parameter
        }
    }
}
