//! An exponential moving average of a model's weights, which often predicts better than the weights themselves.
//! It is not an optimiser: it watches one. Source: Polyak averaging as in `torch.optim.swa_utils.AveragedModel` with
//! `get_ema_multi_avg_fn`; buffers are copied, not averaged, as there.

use gradus_tensor::{Error, Result};

use crate::module::{Module, StateDict};

/// Average weights by name.
///
/// ```
/// use gradus_nn::{Ema, Linear, Module};
/// # fn main() -> gradus_tensor::Result<()> {
/// let mut model = Linear::new(2, 2)?;
/// let mut ema = Ema::new(&model, 0.999);
/// // after each optimizer step:
/// ema.update(&model)?;
/// // to predict with the averages, and then train on:
/// ema.swap(&mut model)?;
/// ema.swap(&mut model)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Ema {
    /// How much of the average is kept at each update.
    pub decay: f64,
    average: StateDict,
}

impl Ema {
    /// Starts from the model's weights of now. `decay` is in [0, 1), 0.999 say.
    pub fn new(model: &dyn Module, decay: f64) -> Self {
        Self {
            decay,
            average: model.state_dict(),
        }
    }

    /// Moves each average towards the model's weight by `1 - decay`. Names that are new are taken as they are.
    ///
    /// # Errors
    /// When a weight has changed its shape.
    pub fn update(&mut self, model: &dyn Module) -> Result<()> {
        let mut new = model.state_dict();
        for (name, param) in model.named_parameters() {
            let Some(old) = self.average.remove(&name) else {
                continue;
            };
            if old.dims() != param.data().dims() {
                return Err(Error::shape(
                    "Ema::update",
                    format!("{} became {}", old.shape(), param.shape()),
                )
                .in_layer(name));
            }
            // average + (weight - average) (1 - decay), in place where the average is ours alone
            let step = param
                .data()
                .to_dtype(old.dtype())?
                .sub(&old)?
                .mul_scalar_(1.0 - self.decay)?;
            new.insert(name, old.add_(&step)?);
        }
        self.average = new;
        Ok(())
    }

    /// Exchanges the averages with the model's weights.
    ///
    /// # Errors
    /// When names or shapes no longer agree.
    pub fn swap(&mut self, model: &mut dyn Module) -> Result<()> {
        let current = model.state_dict();
        model.load_state_dict(&self.average, true)?;
        self.average = current;
        Ok(())
    }

    /// The averages, for a checkpoint.
    pub fn state_dict(&self) -> &StateDict {
        &self.average
    }

    /// Takes averages back from a checkpoint.
    ///
    /// # Errors
    /// When a name is missing or of another shape; the averages are then what they were.
    pub fn load_state_dict(&mut self, state: StateDict) -> Result<()> {
        for (name, old) in &self.average {
            match state.get(name) {
                None => {
                    return Err(Error::value(
                        "Ema::load_state_dict",
                        format!("{name} is missing"),
                    ));
                }
                Some(new) if new.dims() != old.dims() => {
                    let message = format!("it is {} here, {} there", old.shape(), new.shape());
                    return Err(
                        Error::shape("Ema::load_state_dict", message).in_layer(name.as_str())
                    );
                }
                Some(_) => {}
            }
        }
        self.average = state;
        Ok(())
    }
}
