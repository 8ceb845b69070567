//! What every first-order optimiser has in common: groups of parameters with their options, state by parameter name, the
//! walk over the model. One algorithm is a [`Rule`]; `Optim<R>` makes an optimiser of it.
//! The idea is PyTorch's `Optimizer` with its `param_groups`; a group here is a predicate on names, not a list of tensors,
//! so it survives reloading and copying of the model.

use std::collections::BTreeMap;

use gradus_autograd::Gradients;
use gradus_tensor::{CudaGraph, DType, Device, Error, Result, Tensor, optim};

use super::Optimizer;
use super::replay::Recorded;
use crate::module::{Module, Param, StateDict, is_under};

/// One algorithm: its options, the state it keeps per parameter, and the update.
pub trait Rule: Clone + Default + Send + Sync {
    /// PyTorch's name of it.
    const NAME: &'static str;

    /// Names of all state tensors it may keep, each of the parameter's shape.
    const SLOTS: &'static [&'static str];

    /// Names of those it keeps with these options.
    fn slots(&self) -> &'static [&'static str] {
        Self::SLOTS
    }

    /// Names of the state numbers.
    const NUMBERS: &'static [&'static str] = &[];

    /// What the state tensors are filled with at first.
    fn initial(&self) -> f64 {
        0.0
    }

    /// What state number `index` is at first.
    fn initial_number(&self, index: usize) -> f64 {
        let _ = index;
        0.0
    }

    /// The learning rate.
    fn lr(&self) -> f64;

    /// Sets the learning rate.
    fn set_lr(&mut self, lr: f64);

    /// Sets the momentum, if there is one.
    fn set_momentum(&mut self, momentum: f64) {
        let _ = momentum;
    }

    /// Do the options make sense? The error says which does not.
    fn check(&self) -> Result<(), String>;

    /// One step of one parameter. `state.step` counts from 1; `grad` has the parameter's shape and dtype, f32 or f64.
    ///
    /// # Errors
    /// When memory cannot be had.
    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()>;

    /// The same as a rule that a device steps all parameters of a group by in one launch, if it is one of these, and the
    /// place that each of the state's tensors has in it. `None`: parameters are stepped one by one.
    fn together(&self, state: &ParamState) -> Option<(optim::Rule, &'static [usize])> {
        let _ = state;
        None
    }
}

/// What an optimiser remembers of one parameter.
#[derive(Clone, Debug)]
pub struct ParamState {
    /// Steps taken, this one included.
    pub step: u64,
    /// Names of the tensors, those of [`Rule::slots`].
    pub names: Vec<&'static str>,
    /// The tensors, in the same order.
    pub slots: Vec<Tensor>,
    /// The numbers, in the order of [`Rule::NUMBERS`]. PyTorch keeps them in f32 whatever the model's dtype, so here too
    /// each is rounded to f32 when it is stored (`single`).
    pub numbers: Vec<f64>,
}

/// A number as f32 holds it.
pub(super) fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

/// Which parameters a group takes.
type Predicate = Box<dyn Fn(&str, &Param) -> bool + Send + Sync>;

/// An optimiser: an algorithm, its groups and its state.
pub struct Optim<R> {
    options: R,
    groups: Vec<(Predicate, R)>,
    pub(super) state: BTreeMap<String, ParamState>,
    /// What a GPU keeps of each launch of a step, in their order.
    kept: Vec<optim::Kept>,
    /// The launches that a graph was recorded with.
    pub(super) recorded: Vec<Recorded>,
}

/// A parameter taken out of its model, to be stepped together with others.
struct Taken<'a> {
    name: String,
    param: &'a mut Param,
    data: Tensor,
    grad: Tensor,
    state: ParamState,
    rule: optim::Rule,
    order: &'static [usize],
    /// The group whose options it has; `None` for those that are in none.
    group: Option<usize>,
}

impl<R: Rule> Optim<R> {
    /// The algorithm with PyTorch's defaults and this learning rate.
    pub fn new(lr: f64) -> Self {
        let mut options = R::default();
        options.set_lr(lr);
        Self::with(options)
    }

    /// The algorithm with these options.
    pub fn with(options: R) -> Self {
        Self {
            options,
            groups: Vec::new(),
            state: BTreeMap::new(),
            kept: Vec::new(),
            recorded: Vec::new(),
        }
    }

    /// Other options for the parameters under `prefix` (`"encoder"`). Of several groups that fit, the last added counts.
    #[must_use]
    pub fn group(self, prefix: &str, options: R) -> Self {
        let prefix = prefix.to_string();
        self.group_where(move |name, _| is_under(name, &prefix), options)
    }

    /// Other options for the parameters that `fits` says yes to, such as all biases.
    #[must_use]
    pub fn group_where(
        mut self,
        fits: impl Fn(&str, &Param) -> bool + Send + Sync + 'static,
        options: R,
    ) -> Self {
        self.groups.push((Box::new(fits), options));
        self
    }

    /// The options of the parameters that are in no group.
    pub fn options(&self) -> &R {
        &self.options
    }

    /// The same, to change them.
    pub fn options_mut(&mut self) -> &mut R {
        &mut self.options
    }

    /// The state of a parameter, once it has been stepped.
    pub fn state(&self, name: &str) -> Option<&ParamState> {
        self.state.get(name)
    }

    /// The options of a group, or of those in none.
    pub(super) fn options_of(&self, group: Option<usize>) -> &R {
        group.map_or(&self.options, |i| &self.groups[i].1)
    }

    fn all_options(&mut self) -> impl Iterator<Item = &mut R> {
        std::iter::once(&mut self.options).chain(self.groups.iter_mut().map(|(_, options)| options))
    }

    /// Steps a parameter, or takes it out to be stepped together with others.
    fn step_one<'a>(
        &mut self,
        name: &str,
        param: &'a mut Param,
        grad: &Tensor,
    ) -> Result<Option<Taken<'a>>> {
        let group = self.groups.iter().rposition(|(fits, _)| fits(name, param));
        // Of two fields, since the third changes below.
        let rule = group.map_or(&self.options, |i| &self.groups[i].1);
        if grad.dims() != param.data().dims() {
            return Err(Error::shape(
                R::NAME,
                format!(
                    "the gradient is {}, the parameter {}",
                    grad.shape(),
                    param.shape()
                ),
            ));
        }
        // f16 and bf16 are stepped in f32, with their state in f32, and rounded once.
        let dtype = if param.dtype() == DType::F64 {
            DType::F64
        } else {
            DType::F32
        };
        let grad = grad.to_dtype(dtype)?;
        let fits = |s: &ParamState| {
            s.names == rule.slots()
                && s.slots.iter().all(|slot| {
                    slot.dims() == grad.dims()
                        && slot.dtype() == dtype
                        && slot.device() == grad.device()
                })
        };
        if !self.state.get(name).is_some_and(fits) {
            if CudaGraph::is_capturing() {
                let why =
                    "its first step makes what it remembers: make some before one is recorded";
                return Err(Error::value(R::NAME, why));
            }
            let state = prepare(rule, self.state.get(name), &grad)?;
            self.state.insert(name.to_string(), state);
        }
        let Some(mut state) = self.state.remove(name) else {
            return Ok(None);
        };
        state.step += 1;
        let alone = grad.device() == Device::Cpu || param.dtype() != DType::F32;
        if !alone && let Some((rule, order)) = rule.together(&state) {
            // In its place stands a number that is seen in all of its shape, until it is put back.
            let mut data = Tensor::zeros((), param.data())?.broadcast_to(param.shape())?;
            param.update(|d| {
                std::mem::swap(d, &mut data);
                Ok(())
            })?;
            return Ok(Some(Taken {
                name: name.to_string(),
                param,
                data,
                grad,
                state,
                rule,
                order,
                group,
            }));
        }
        if CudaGraph::is_capturing() {
            state.step -= 1;
            self.state.insert(name.to_string(), state);
            let why = "this step cannot be recorded into a graph: on a GPU those of Adam, AdamW, SGD, RMSprop and Adagrad on f32 parameters can";
            return Err(Error::value(R::NAME, why));
        }
        let updated = param.update(|data| {
            if data.dtype() == dtype {
                return rule.update(data, &grad, &mut state);
            }
            let mut wide = data.to_dtype(dtype)?;
            rule.update(&mut wide, &grad, &mut state)?;
            *data = wide.to_dtype(data.dtype())?;
            Ok(())
        });
        self.state.insert(name.to_string(), state);
        updated?;
        Ok(None)
    }

    /// Steps what was taken, those of one rule in one launch, unless `so_far` is an error; and puts it back in any case.
    fn step_taken(&mut self, mut taken: Vec<Taken<'_>>, so_far: Result<()>) -> Result<()> {
        let capturing = CudaGraph::is_capturing();
        // Groups of one rule may differ by the time a recorded step is replayed.
        let key = |t: &Taken<'_>| (t.rule, t.state.slots.len(), t.group.filter(|_| capturing));
        let mut keys = Vec::new();
        for t in &taken {
            if !keys.contains(&key(t)) {
                keys.push(key(t));
            }
        }
        if self.kept.len() < keys.len() {
            self.kept.resize_with(keys.len(), Default::default);
        }
        if capturing {
            self.recorded = keys.iter().map(|key| Recorded::of(key.2)).collect();
        }
        let mut result = so_far;
        for (i, launch) in keys.iter().enumerate() {
            let mut steps = Vec::new();
            for t in &mut taken {
                if key(t) != *launch {
                    continue;
                }
                if capturing {
                    self.recorded[i].add(&t.name, &t.state);
                }
                let mut state = [None, None, None];
                for (slot, &at) in t.state.slots.iter_mut().zip(t.order) {
                    state[at] = Some(slot);
                }
                steps.push(optim::Step {
                    param: &mut t.data,
                    grad: &t.grad,
                    state,
                });
            }
            let kept = match capturing {
                true => &mut self.recorded[i].kept,
                false => &mut self.kept[i],
            };
            result = result.and_then(|()| optim::step_all(&launch.0, &mut steps, kept));
        }
        for Taken {
            name,
            param,
            data,
            mut state,
            ..
        } in taken
        {
            state.step -= u64::from(capturing); // it is made when it is replayed
            let put = param.update(|d| {
                *d = data;
                Ok(())
            });
            result = result.and(put.map_err(|e| e.in_layer(name.clone())));
            self.state.insert(name, state);
        }
        result
    }
}

/// The state a parameter with this gradient needs: what there is already, as far as it fits, and the rest as at first.
fn prepare<R: Rule>(rule: &R, old: Option<&ParamState>, grad: &Tensor) -> Result<ParamState> {
    let old = old.filter(|state| state.slots.iter().all(|slot| slot.dims() == grad.dims()));
    let kept = |name: &str| {
        old.and_then(|state| {
            state
                .slots
                .get(state.names.iter().position(|n| *n == name)?)
        })
    };
    let slot = |name: &&'static str| match kept(name) {
        Some(tensor) => tensor.to_dtype(grad.dtype())?.to_device(&grad.device()),
        None => Tensor::full(grad.shape(), rule.initial(), grad),
    };
    let names = rule.slots().to_vec();
    let numbers = || {
        (0..R::NUMBERS.len())
            .map(|i| single(rule.initial_number(i)))
            .collect()
    };
    Ok(ParamState {
        step: old.map_or(0, |state| state.step),
        slots: names.iter().map(slot).collect::<Result<_>>()?,
        names,
        numbers: old.map_or_else(numbers, |state| state.numbers.clone()),
    })
}

impl<R: Rule> Optimizer for Optim<R> {
    fn step(&mut self, model: &mut dyn Module, gradients: &Gradients) -> Result<()> {
        for options in self.all_options() {
            options.check().map_err(|why| Error::value(R::NAME, why))?;
        }
        let (mut trained, mut stepped) = (0, 0);
        let (mut taken, mut so_far) = (Vec::new(), Ok(()));
        for (name, param) in model.named_parameters_mut() {
            trained += usize::from(!param.is_frozen());
            if let Some(grad) = gradients.get(param.var()) {
                stepped += 1;
                match self.step_one(&name, param, grad) {
                    Ok(one) => taken.extend(one),
                    Err(e) => {
                        so_far = Err(e.in_layer(name));
                        break;
                    }
                }
            }
        }
        self.step_taken(taken, so_far)?;
        if trained > 0 && stepped == 0 {
            let message = format!(
                "none of the {trained} parameters has a gradient; were the gradients computed from this model, after it was \
                 last loaded or converted?"
            );
            return Err(Error::value(R::NAME, message));
        }
        Ok(())
    }

    fn replay(&mut self) -> Result<()> {
        self.replay_recorded()
    }

    fn lrs(&self) -> Vec<f64> {
        std::iter::once(&self.options)
            .chain(self.groups.iter().map(|(_, options)| options))
            .map(Rule::lr)
            .collect()
    }

    fn set_lrs(&mut self, lrs: &[f64]) {
        for (options, &lr) in self.all_options().zip(lrs) {
            options.set_lr(lr);
        }
    }

    fn set_momentum(&mut self, momentum: f64) {
        self.all_options()
            .for_each(|options| options.set_momentum(momentum));
    }

    fn state_dict(&self) -> Result<StateDict> {
        let mut dict = StateDict::new();
        for (i, lr) in self.lrs().into_iter().enumerate() {
            dict.insert(
                format!("param_groups.{i}.lr"),
                Tensor::full((), lr, DType::F64)?,
            );
        }
        for (name, state) in &self.state {
            dict.insert(
                format!("{name}.step"),
                Tensor::full((), state.step as i64, DType::I64)?,
            );
            for (slot, tensor) in state.names.iter().zip(&state.slots) {
                dict.insert(format!("{name}.{slot}"), tensor.clone());
            }
            for (key, &number) in R::NUMBERS.iter().zip(&state.numbers) {
                dict.insert(
                    format!("{name}.{key}"),
                    Tensor::full((), number, DType::F64)?,
                );
            }
        }
        Ok(dict)
    }

    fn load_state_dict(&mut self, dict: &StateDict) -> Result<()> {
        let fail = |message: String| Error::value(format!("{}::load_state_dict", R::NAME), message);
        let mut lrs = self.lrs();
        let mut states = BTreeMap::new();
        for (key, tensor) in dict {
            let Some((name, field)) = key.rsplit_once('.') else {
                return Err(fail(format!("{key:?} is not `parameter.field`")));
            };
            if let Some(group) = name.strip_prefix("param_groups.") {
                let at = group.parse().ok().and_then(|i: usize| lrs.get_mut(i));
                *at.ok_or_else(|| fail(format!("there is no group {group} here")))? =
                    tensor.to_f64()?;
            } else if field == "step" {
                let part = |field: &str| dict.get(&format!("{name}.{field}"));
                let number = |field: &&str| {
                    part(field)
                        .ok_or_else(|| fail(format!("{name}.{field} is missing")))?
                        .to_f64()
                };
                let names: Vec<_> = R::SLOTS
                    .iter()
                    .copied()
                    .filter(|slot| part(slot).is_some())
                    .collect();
                let state = ParamState {
                    step: u64::try_from(tensor.to_scalar()?.to_i64())
                        .map_err(|_| fail(format!("{key} is negative")))?,
                    slots: names
                        .iter()
                        .filter_map(|slot| part(slot).cloned())
                        .collect(),
                    names,
                    numbers: R::NUMBERS.iter().map(number).collect::<Result<_>>()?,
                };
                states.insert(name.to_string(), state);
            } else if !(R::SLOTS.contains(&field) || R::NUMBERS.contains(&field)) {
                return Err(fail(format!(
                    "{key:?} is not something it keeps: {}",
                    R::SLOTS.join(", ")
                )));
            } else if !dict.contains_key(&format!("{name}.step")) {
                return Err(fail(format!("{name}.step is missing")));
            }
        }
        self.state = states;
        self.set_lrs(&lrs);
        Ok(())
    }
}
