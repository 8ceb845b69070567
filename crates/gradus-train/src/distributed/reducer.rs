//! `Reducer`: gradients averaged over all ranks, while the backward that makes them still runs.
//!
//! Parameters stand in buckets in reverse order, because the last layer's gradients come first. The backward tells each
//! gradient as it is complete ([`Var::backward_each`]); the bucket whose last gradient has come is flattened and its exchange begun, and
//! the backward goes on. Buckets are exchanged in the same order on all ranks, whatever order their gradients come in. At the end the
//! exchanges are waited for, and the gradients are views of the buckets.
//! Source: PyTorch's `reducer.cpp` and its paper, Li et al., "PyTorch Distributed" (2020).

use std::collections::HashMap;
use std::sync::Arc;

use gradus_autograd::{Gradients, Var};
use gradus_nn::Module;
use gradus_tensor::{DType, Device, Tensor};

use super::flat::{broadcast_buffers, broadcast_parameters, flatten, unflatten, verify_same};
use super::{Communicator, ReduceOp, Work};
use crate::error::{Result, ResultExt as _, invalid};

/// The options of [`DistributedDataParallel`](super::DistributedDataParallel), with PyTorch's names and defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataParallelOptions {
    /// MiB of gradients in a bucket; one that reaches it is full. The first has 1 MiB at most, so that exchanges begin early.
    pub bucket_cap_mb: f64,
    /// Whether buffers (batch norm's running statistics) are made rank 0's before every forward.
    pub broadcast_buffers: bool,
    /// Whether a parameter may have no gradient on some ranks; costs an exchange more. Without it that is an error.
    pub find_unused_parameters: bool,
}

impl Default for DataParallelOptions {
    fn default() -> Self {
        Self {
            bucket_cap_mb: 25.0,
            broadcast_buffers: true,
            find_unused_parameters: false,
        }
    }
}

/// Bytes of the first bucket, as in DDP.
const FIRST_BUCKET: f64 = (1 << 20) as f64;

/// A parameter that is trained.
struct Member {
    name: String,
    like: Tensor, // zeros of its shape, dtype and device: one number, expanded
}

/// Averages gradients over ranks. For a training loop that owns its model otherwise; else
/// [`DistributedDataParallel`](super::DistributedDataParallel) has one inside.
pub struct Reducer {
    ranks: Arc<dyn Communicator>,
    options: DataParallelOptions,
    /// Parameters by bucket, in the order in which gradients come.
    buckets: Vec<Vec<Member>>,
}

impl Reducer {
    /// Checks that all ranks have the same parameters and buffers, makes them rank 0's, and plans the buckets.
    ///
    /// # Errors
    /// On every rank, when names, shapes or dtypes differ between ranks; the message says where. When the exchange fails.
    pub fn new(
        ranks: Arc<dyn Communicator>,
        model: &mut dyn Module,
        options: DataParallelOptions,
    ) -> Result<Self> {
        let cap = options.bucket_cap_mb * FIRST_BUCKET;
        if cap.is_nan() || cap <= 0.0 {
            let text = format!(
                "bucket_cap_mb is {}, and must be above 0",
                options.bucket_cap_mb
            );
            return Err(invalid(text));
        }
        verify_same(&*ranks, "parameters", &describe(model))?;
        broadcast_parameters(&*ranks, model)?;
        broadcast_buffers(&*ranks, model)?;
        Ok(Self {
            buckets: plan(model, cap)?,
            ranks,
            options,
        })
    }

    /// The ranks.
    pub fn communicator(&self) -> &Arc<dyn Communicator> {
        &self.ranks
    }

    /// The names of the parameters in each bucket, in the order of exchange.
    pub fn buckets(&self) -> Vec<Vec<&str>> {
        let buckets = self.buckets.iter();
        buckets
            .map(|bucket| bucket.iter().map(|m| m.name.as_str()).collect())
            .collect()
    }

    /// Makes the buffers rank 0's, where the options say so: before each forward in training.
    ///
    /// # Errors
    /// When the exchange fails.
    pub fn sync_buffers(&self, model: &dyn Module) -> Result<()> {
        match self.options.broadcast_buffers {
            true => broadcast_buffers(&*self.ranks, model),
            false => Ok(()),
        }
    }

    /// The gradients of `loss` by the parameters of `model`, averaged over ranks; exchanges overlap with the backward.
    ///
    /// # Errors
    /// When a parameter has no gradient and [`DataParallelOptions::find_unused_parameters`] is off, the parameters are not those the
    /// reducer was made for, or a rank has failed.
    pub fn backward(&self, model: &dyn Module, loss: Var) -> Result<Gradients> {
        let places = self.places(model)?;
        let mut pass = Pass::new(self);
        let mut gradients =
            loss.backward_each(|id, grad| pass.ready(places.get(&id).copied(), grad))?;
        pass.finish(&places, &mut gradients)?;
        Ok(gradients)
    }

    /// Averages gradients that are there already, such as the sum of several backwards (PyTorch's `no_sync`).
    ///
    /// # Errors
    /// As [`backward`](Self::backward).
    pub fn reduce(&self, model: &dyn Module, gradients: &mut Gradients) -> Result<()> {
        let places = self.places(model)?;
        let mut pass = Pass::new(self);
        for (id, grad) in gradients.iter() {
            pass.ready(places.get(&id).copied(), grad)?;
        }
        pass.finish(&places, gradients)
    }

    /// The bucket and the place in it of each leaf.
    fn places(&self, model: &dyn Module) -> Result<HashMap<u64, (usize, usize)>> {
        let parameters = model.named_parameters();
        let leaves: HashMap<&str, u64> = parameters
            .iter()
            .filter_map(|(name, param)| Some((name.as_str(), param.var().id()?)))
            .collect();
        let mut places = HashMap::new();
        for (b, bucket) in self.buckets.iter().enumerate() {
            for (m, member) in bucket.iter().enumerate() {
                let Some(&id) = leaves.get(member.name.as_str()) else {
                    let text = format!(
                        "{} was trained when the reducer was made, and is frozen or gone now: make a new one",
                        member.name
                    );
                    return Err(invalid(text));
                };
                places.insert(id, (b, m));
            }
        }
        if places.len() != leaves.len() {
            let known: Vec<&str> = self.buckets.iter().flatten().map(|m| &*m.name).collect();
            let new = leaves.keys().find(|name| !known.contains(name));
            return Err(invalid(format!(
                "{} is trained now and was not when the reducer was made: make a new one",
                new.unwrap_or(&"a parameter")
            )));
        }
        Ok(places)
    }
}

/// A line for each parameter and buffer.
fn describe(model: &dyn Module) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (name, param) in model.named_parameters() {
        let frozen = if param.is_frozen() { " (frozen)" } else { "" };
        lines.push(format!("{name} {}{}{frozen}", param.dtype(), param.shape()));
    }
    for (name, buffer) in model.named_buffers() {
        let value = buffer.get();
        lines.push(format!("buffer {name} {}{}", value.dtype(), value.shape()));
    }
    lines
}

/// Trained parameters in reverse order, in buckets of one dtype and device that are full at `cap` bytes.
fn plan(model: &dyn Module, cap: f64) -> Result<Vec<Vec<Member>>> {
    let mut full: Vec<Vec<Member>> = Vec::new();
    let mut open: Vec<((DType, Device), f64, Vec<Member>)> = Vec::new();
    for (name, param) in model.named_parameters().into_iter().rev() {
        if param.is_frozen() {
            continue;
        }
        let like = Tensor::zeros((), param.data())?.expand(param.shape())?;
        let kind = (param.dtype(), param.data().device());
        let at = match open.iter().position(|(k, ..)| *k == kind) {
            Some(at) => at,
            None => {
                open.push((kind, 0.0, Vec::new()));
                open.len() - 1
            }
        };
        let (_, bytes, members) = &mut open[at];
        *bytes += (param.numel() * kind.0.size()) as f64;
        members.push(Member { name, like });
        let limit = if full.is_empty() {
            cap.min(FIRST_BUCKET)
        } else {
            cap
        };
        if *bytes >= limit {
            full.push(open.remove(at).2);
        }
    }
    full.extend(open.into_iter().map(|(_, _, members)| members));
    Ok(full)
}

/// One backward: what has come, and what is under way.
struct Pass<'a> {
    reducer: &'a Reducer,
    arrived: Vec<Vec<Option<Tensor>>>,
    missing: Vec<usize>,
    works: Vec<Work>, // of the first buckets, in order
}

impl<'a> Pass<'a> {
    fn new(reducer: &'a Reducer) -> Self {
        let sizes = || reducer.buckets.iter().map(Vec::len);
        Self {
            arrived: sizes().map(|n| vec![None; n]).collect(),
            missing: sizes().collect(),
            works: Vec::new(),
            reducer,
        }
    }

    /// Takes a gradient, and begins the exchange of the buckets whose turn it is.
    fn ready(&mut self, place: Option<(usize, usize)>, grad: &Tensor) -> Result<()> {
        let Some((b, m)) = place else {
            return Ok(()); // a leaf that is not a parameter of the model
        };
        if self.arrived[b][m].replace(grad.clone()).is_none() {
            self.missing[b] -= 1;
        }
        while self.missing.get(self.works.len()) == Some(&0) {
            self.exchange()?;
        }
        Ok(())
    }

    /// Begins the exchange of the next bucket. What has not come counts as 0.
    fn exchange(&mut self) -> Result<()> {
        let b = self.works.len();
        let members = &self.reducer.buckets[b];
        let parts: Vec<Tensor> = std::mem::take(&mut self.arrived[b])
            .into_iter()
            .zip(members)
            .map(|(grad, member)| grad.unwrap_or_else(|| member.like.clone()))
            .collect();
        let flat = flatten(&parts)?;
        let ranks = &self.reducer.ranks;
        let work = ranks.all_reduce_async(flat, ReduceOp::Mean);
        self.works
            .push(work.in_layer(format!("gradient bucket {b}"))?);
        Ok(())
    }

    /// Whether each parameter's gradient has come, bucket by bucket; an error where one has not and must.
    fn came(&self) -> Result<Vec<bool>> {
        let buckets = &self.reducer.buckets;
        let mut came = Vec::new();
        let mut unused = Vec::new();
        for (bucket, arrived) in buckets.iter().zip(&self.arrived) {
            for (m, member) in bucket.iter().enumerate() {
                // Nothing is left of a bucket under way: it was complete.
                came.push(arrived.get(m).is_none_or(Option::is_some));
                if came.last() == Some(&false) {
                    unused.push(member.name.as_str());
                }
            }
        }
        if unused.is_empty() || self.reducer.options.find_unused_parameters {
            return Ok(came);
        }
        Err(invalid(format!(
            "no gradient came to {} on rank {}: freeze what the loss does not use, or set find_unused_parameters",
            unused.join(", "),
            self.reducer.ranks.rank()
        )))
    }

    /// Exchanges what is left, waits, and puts the means in place of this rank's gradients.
    fn finish(
        mut self,
        places: &HashMap<u64, (usize, usize)>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let Reducer {
            ranks,
            options,
            buckets,
        } = self.reducer;
        let mut used = self.came()?;
        while self.works.len() < self.reducer.buckets.len() {
            self.exchange()?;
        }
        if options.find_unused_parameters {
            // Used on any rank? The buckets come before this on all ranks, whatever came when.
            let flags: Vec<f32> = used.iter().map(|used| f32::from(*used)).collect();
            let flags = Tensor::from_slice(&flags, flags.len())?;
            let flags = ranks.all_reduce(flags, ReduceOp::Sum)?.to_vec::<f32>()?;
            used = flags.iter().map(|n| *n > 0.0).collect();
        }
        let mut means = Vec::new(); // of each parameter, bucket by bucket
        let mut starts = Vec::new(); // of each bucket in them
        for (b, (work, bucket)) in self.works.into_iter().zip(buckets).enumerate() {
            let flat = work.wait().in_layer(format!("gradient bucket {b}"))?;
            let like: Vec<Tensor> = bucket.iter().map(|member| member.like.clone()).collect();
            starts.push(means.len());
            means.extend(unflatten(&flat, &like)?);
        }
        for (&id, &(b, m)) in places {
            let at = starts[b] + m;
            match used[at] {
                true => gradients.insert_id(id, means[at].clone()),
                false => gradients.remove_id(id),
            };
        }
        Ok(())
    }
}
