//! `Checkpoint`: everything a run needs to go on, in one safetensors file.
//!
//! One file, written atomically: there is no moment at which weights are of one step and the optimiser's memory of another.
//! The weights stand under their plain names, so the file is also an ordinary weights file that other programs open; what only
//! the trainer needs begins with `@`. Numbers that must come back to the last bit are tensors, not text.

use std::collections::BTreeMap;
use std::path::Path;

use gradus_nn::StateDict;
use gradus_tensor::random::RngState;
use gradus_tensor::{DType, Tensor, safetensors, weights};
use serde_json::{Value, json};

use crate::error::{Result, bad_file};
use crate::history::{COLUMNS, History, Row};
use crate::task::Score;

/// The metadata key of the trainer's own facts.
const KEY: &str = "gradus.training";
const VERSION: u64 = 1;
const OPTIMIZER: &str = "@optimizer.";
const SCALER: &str = "@scaler.";
const RNGS: &str = "@rng";

/// Where a run stands.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The epoch that is under way (or next), counted from 0.
    pub epoch: u64,
    /// How many of its batches are done.
    pub batch: u64,
    /// Optimiser steps since the start of the run.
    pub step: u64,
    /// The learning rate of the newest step.
    pub lr: f64,
    /// What the epoch's batches have measured so far.
    pub score: Score,
    /// Seconds spent on the epoch so far.
    pub seconds: f64,
    /// The epochs that are over.
    pub history: History,
}

/// What must be the same for a run to be resumed: otherwise the batches would be others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The loader's seed.
    pub seed: u64,
    /// The loader's batch size.
    pub batch_size: u64,
    /// Samples per epoch.
    pub samples: u64,
}

/// The state of a training run.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Parameters and buffers.
    pub model: StateDict,
    /// The optimiser's memory.
    pub optimizer: StateDict,
    /// The loss scale's, where losses are scaled; else empty.
    pub scaler: StateDict,
    /// Where the run stands.
    pub progress: Progress,
    /// The default generator's state (dropout); of a run on several ranks, that of rank 0.
    pub rng: RngState,
    /// Of a run on several ranks, all their generators' states: i64 (ranks, 2), seed and offset.
    pub rngs: Option<Tensor>,
    /// What batches the run is made of.
    pub identity: Identity,
    /// What the program wrote beside it, such as the name of the model.
    pub metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Writes the file, all or nothing: a crash at any moment leaves the previous file or the new one.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let Progress {
            epoch,
            batch,
            step,
            lr,
            score,
            seconds,
            history,
        } = &self.progress;
        let numbers = [
            score.loss.sum,
            score.loss.weight,
            score.accuracy.correct as f64,
            score.accuracy.total as f64,
            *seconds,
            *lr,
        ];
        let rows: Vec<f64> = history.rows.iter().flat_map(Row::values).collect();
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        tensors.extend(self.model.iter().map(|(k, v)| (k.clone(), v.clone())));
        for (prefix, state) in [(OPTIMIZER, &self.optimizer), (SCALER, &self.scaler)] {
            let named = state
                .iter()
                .map(|(k, v)| (format!("{prefix}{k}"), v.clone()));
            tensors.extend(named);
        }
        tensors.push((
            "@epoch".into(),
            Tensor::from_slice(&numbers, [numbers.len()])?,
        ));
        tensors.extend(self.rngs.clone().map(|rngs| (RNGS.into(), rngs)));
        let shape = [history.rows.len(), COLUMNS.len()];
        tensors.push(("@history".into(), Tensor::from_slice(&rows, shape)?)); // (epochs, columns)

        let facts = json!({
            "version": VERSION,
            "epoch": epoch,
            "batch": batch,
            "step": step,
            "rng": { "seed": self.rng.seed, "offset": self.rng.offset },
            "seed": self.identity.seed,
            "batch_size": self.identity.batch_size,
            "samples": self.identity.samples,
        });
        let mut metadata = self.metadata.clone();
        metadata.insert(KEY.into(), facts.to_string());
        crate::files::create_folder_of(path.as_ref())?;
        safetensors::save(path, tensors.iter().map(|(k, v)| (k, v)), &metadata)
    }

    /// Reads what [`Checkpoint::save`] wrote.
    ///
    /// Errors when the file cannot be read, is damaged, or holds weights only.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (tensors, mut metadata) = safetensors::load_with_metadata(path)?;
        let facts = metadata.remove(KEY).ok_or_else(|| {
            bad_file(
                path,
                "holds weights but no training state, so there is nothing to resume",
            )
        })?;
        let damaged = || bad_file(path, "its training state is damaged or of another version");
        let facts: Value = serde_json::from_str(&facts).map_err(|_| damaged())?;
        let number = |name: &str| facts[name].as_u64().ok_or_else(damaged);
        if number("version")? != VERSION {
            return Err(damaged());
        }
        let rng = RngState {
            seed: facts["rng"]["seed"].as_u64().ok_or_else(damaged)?,
            offset: facts["rng"]["offset"].as_u64().ok_or_else(damaged)?,
        };

        let (mut model, mut optimizer) = (StateDict::new(), StateDict::new());
        let mut scaler = StateDict::new();
        let (mut numbers, mut rows, mut rngs) = (None, None, None);
        for (name, tensor) in tensors {
            if let Some(name) = name.strip_prefix(OPTIMIZER) {
                optimizer.insert(name.to_owned(), tensor);
            } else if let Some(name) = name.strip_prefix(SCALER) {
                scaler.insert(name.to_owned(), tensor);
            } else if name == "@epoch" {
                numbers = Some(tensor.to_vec::<f64>()?);
            } else if name == RNGS {
                rngs = Some(tensor);
            } else if name == "@history" {
                rows = Some(tensor.to_vec::<f64>()?);
            } else {
                model.insert(name, tensor);
            }
        }
        let Some([sum, weight, correct, total, seconds, lr]) = numbers.as_deref() else {
            return Err(damaged());
        };
        let (rows, rest) = rows
            .as_deref()
            .ok_or_else(damaged)?
            .as_chunks::<{ COLUMNS.len() }>();
        if !rest.is_empty() {
            return Err(damaged());
        }
        let fits =
            |rngs: &Tensor| rngs.dtype() == DType::I64 && rngs.rank() == 2 && rngs.dims()[1] == 2;
        if !rngs.as_ref().is_none_or(fits) {
            return Err(damaged());
        }
        let mut score = Score::default();
        (score.loss.sum, score.loss.weight) = (*sum, *weight);
        score.accuracy.add(*correct as u64, *total as u64);
        Ok(Self {
            model,
            optimizer,
            scaler,
            progress: Progress {
                epoch: number("epoch")?,
                batch: number("batch")?,
                step: number("step")?,
                score,
                seconds: *seconds,
                lr: *lr,
                history: History {
                    rows: rows.iter().map(|r| Row::from_values(*r)).collect(),
                },
            },
            rng,
            rngs,
            identity: Identity {
                seed: number("seed")?,
                batch_size: number("batch_size")?,
                samples: number("samples")?,
            },
            metadata,
        })
    }
}

/// The weights of a file and its metadata, without the trainer's own entries. The file is a checkpoint, or whatever
/// [`gradus_tensor::weights`] reads: safetensors, in one file or several, and PyTorch's own format, which has no metadata.
pub fn load_weights(path: impl AsRef<Path>) -> Result<(StateDict, BTreeMap<String, String>)> {
    let (mut tensors, mut metadata) = weights::load_with_metadata(path)?;
    tensors.retain(|name, _| !name.starts_with('@'));
    metadata.remove(KEY);
    Ok((tensors, metadata))
}
