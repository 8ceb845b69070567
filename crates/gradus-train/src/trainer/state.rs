//! A run to its checkpoint and back: what the [`Trainer`] writes, and how it finds itself again.

use gradus_nn::optim::Optimizer;
use gradus_nn::{Module, StateDict};
use gradus_tensor::random::{default_state, set_default_state};

use super::Trainer;
use crate::checkpoint::{Checkpoint, Identity, Progress};
use crate::distributed::Ranks;
use crate::error::{Result, ResultExt as _, bad_file, invalid};

impl Trainer<'_> {
    /// Writes the state of the run into these files of its folder; rank 0 does, for all ranks.
    pub(super) fn write<M: Module>(
        &self,
        files: &[&str],
        model: &M,
        optimizer: &dyn Optimizer,
        at: &Progress,
        identity: &Identity,
        ranks: Option<&Ranks>,
    ) -> Result<()> {
        let rng = default_state();
        let rngs = ranks.map(|ranks| ranks.generators(rng)).transpose()?;
        if ranks.is_some_and(|ranks| !ranks.is_first()) {
            return Ok(()); // rank 0 writes for all
        }
        let Some(saving) = &self.saving else {
            return Ok(());
        };
        let checkpoint = Checkpoint {
            model: model.state_dict(),
            optimizer: optimizer.state_dict()?,
            scaler: match &self.scaler {
                Some(scaler) => scaler.state_dict()?,
                None => StateDict::new(),
            },
            progress: at.clone(),
            rng,
            rngs,
            identity: identity.clone(),
            metadata: saving.metadata.clone(),
        };
        for file in files {
            checkpoint.save(saving.folder.join(format!("{file}.safetensors")))?;
        }
        Ok(())
    }

    /// Puts model, optimiser and generator where the last checkpoint left them.
    pub(super) fn restore<M: Module>(
        &mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        identity: &Identity,
        ranks: Option<&Ranks>,
    ) -> Result<Progress> {
        let saving = self.saving.as_ref();
        let path = saving
            .ok_or_else(|| invalid("to resume, say where the run is saved (Trainer::save)"))?
            .last();
        let checkpoint = Checkpoint::load(&path)?;
        let there = &checkpoint.identity;
        if there != identity {
            return Err(bad_file(
                &path,
                format!(
                    "this checkpoint is of a run with seed {}, batch size {} and {} samples; now they are {}, {} and {}",
                    there.seed,
                    there.batch_size,
                    there.samples,
                    identity.seed,
                    identity.batch_size,
                    identity.samples
                ),
            ));
        }
        let ranks_there = checkpoint.rngs.as_ref().map_or(1, |rngs| rngs.dims()[0]);
        let ranks_here = ranks.map_or(1, Ranks::world_size);
        if ranks_there != ranks_here {
            let text = format!(
                "this checkpoint is of a run on {ranks_there} ranks; now there are {ranks_here}"
            );
            return Err(bad_file(&path, text));
        }
        let name = path.display().to_string();
        model
            .load_state_dict(&checkpoint.model, true)
            .in_layer(name.as_str())?;
        optimizer
            .load_state_dict(&checkpoint.optimizer)
            .in_layer(name.as_str())?;
        match &mut self.scaler {
            Some(scaler) => scaler.load_state_dict(&checkpoint.scaler).in_layer(name)?,
            None if checkpoint.scaler.is_empty() => {}
            None => {
                return Err(bad_file(
                    &path,
                    "this checkpoint is of a run that scales its losses (Trainer::grad_scaler)",
                ));
            }
        }
        set_default_state(match (ranks, &checkpoint.rngs) {
            (Some(ranks), Some(rngs)) => ranks.generator(rngs)?,
            _ => checkpoint.rng,
        });
        Ok(checkpoint.progress)
    }
}
