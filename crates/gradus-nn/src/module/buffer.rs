//! What a layer keeps beside its parameters: buffers (running statistics: saved, never trained) and the mode switch.
//! Buffers change during `forward(&self)`, so each stands behind a lock, held only to swap one handle for another.
//! The idea is PyTorch's `register_buffer` and `Module.training`.

use std::sync::{Mutex, PoisonError};

use gradus_tensor::{Device, Tensor};

/// A tensor that is saved with the model and never trained.
#[derive(Debug)]
pub struct Buffer {
    value: Mutex<Tensor>,
    persistent: bool,
}

impl Buffer {
    /// A buffer that stands in the state dict.
    pub fn new(value: Tensor) -> Self {
        Self {
            value: Mutex::new(value),
            persistent: true,
        }
    }

    /// A buffer that is recomputed rather than saved, such as a causal mask.
    pub fn non_persistent(value: Tensor) -> Self {
        Self {
            value: Mutex::new(value),
            persistent: false,
        }
    }

    /// Its value now (a cheap handle).
    pub fn get(&self) -> Tensor {
        self.value
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Does somebody else hold its value's memory?
    pub fn is_shared(&self) -> bool {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        value.is_shared()
    }

    /// Replaces its value. On a GPU it stays in the memory it has, unless somebody else holds that: a graph that is replayed finds it there.
    pub fn set(&self, value: Tensor) {
        let mut now = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = now.device() == value.device()
            && now.dtype() == value.dtype()
            && now.dims() == value.dims();
        let stays = alike && value.device() != Device::Cpu && !now.is_shared();
        if !(stays && now.copy_(&value).is_ok()) {
            *now = value;
        }
    }

    /// Does it stand in the state dict?
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self {
            value: Mutex::new(self.get()),
            persistent: self.persistent,
        }
    }
}

/// The training-or-evaluation switch of a layer that behaves differently in the two (dropout, batch norm).
/// A new layer is in training mode, as in PyTorch; [`Module::train`](super::Module::train) and
/// [`Module::eval`](super::Module::eval) turn all of a model's at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Learn: drop units, use and update the statistics of the batch.
    #[default]
    Training,
    /// Predict: the layer is a fixed function.
    Evaluation,
}

impl Mode {
    /// Is this [`Mode::Training`]?
    pub fn is_training(self) -> bool {
        self == Self::Training
    }
}
