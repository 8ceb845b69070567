//! `Batch`: what a loader hands out, as far as it must know it: the tensors in it.

use gradus_tensor::{Device, Result, Tensor};

/// A batch of samples. The tensors in it are moved to the device of the model by the thread that prepares it, while the batches before it are
/// learnt from; what has none is left as it is.
///
/// Implemented for tensors, plain numbers, tuples and vectors; a type of your own names its tensors, in an order that does not change:
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_train::Batch;
///
/// struct Pictures {
///     pixels: Tensor,
///     names: Vec<String>,
/// }
/// impl Batch for Pictures {
///     fn tensors(&mut self) -> Vec<&mut Tensor> {
///         vec![&mut self.pixels]
///     }
/// }
/// ```
pub trait Batch: Send + 'static {
    /// The tensors in it.
    fn tensors(&mut self) -> Vec<&mut Tensor> {
        Vec::new()
    }
}

/// Moves a batch to a device; on a GPU its tensors are copied beside the work that is under way.
pub(crate) fn to_device<B: Batch>(mut batch: B, device: &Device) -> Result<B> {
    for tensor in batch.tensors() {
        *tensor = tensor.to_device_ahead(device)?;
    }
    Ok(batch)
}

impl Batch for Tensor {
    fn tensors(&mut self) -> Vec<&mut Tensor> {
        vec![self]
    }
}

impl<B: Batch> Batch for Vec<B> {
    fn tensors(&mut self) -> Vec<&mut Tensor> {
        self.iter_mut().flat_map(Batch::tensors).collect()
    }
}

impl<B: Batch> Batch for Option<B> {
    fn tensors(&mut self) -> Vec<&mut Tensor> {
        self.iter_mut().flat_map(Batch::tensors).collect()
    }
}

macro_rules! plain {
    ($($t:ty),*) => { $(impl Batch for $t {})* };
}
plain!(
    (),
    bool,
    u8,
    u32,
    u64,
    usize,
    i32,
    i64,
    f32,
    f64,
    char,
    String
);

macro_rules! tuples {
    ($(($($name:ident $at:tt),*))*) => {$(
        impl<$($name: Batch),*> Batch for ($($name,)*) {
            fn tensors(&mut self) -> Vec<&mut Tensor> {
                let mut all = Vec::new();
                $(all.extend(self.$at.tensors());)*
                all
            }
        }
    )*};
}
tuples! { (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) }
