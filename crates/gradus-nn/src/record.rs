//! What layers put out on the way: [`record`] runs a model and gives, with its result, the output of every layer by its name. It is
//! for looking inside; nothing is kept, and next to nothing costs time, where nobody records.
//!
//! [`Sequential`](crate::Sequential) tells each of its layers' outputs; a layer that computes with fields of its own tells theirs with
//! [`named`]. In PyTorch forward hooks serve for this.

use std::cell::RefCell;

use gradus_autograd::Var;
use gradus_tensor::{Result, ResultExt};

/// Outputs so far, and where in the model the computation is.
#[derive(Default)]
struct Record {
    path: String,
    outputs: Vec<(String, Var)>,
}

thread_local! {
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

/// Ends the recording also when `f` panics.
struct Recording(Option<Record>);

impl Drop for Recording {
    fn drop(&mut self) {
        RECORD.with_borrow_mut(|now| *now = self.0.take());
    }
}

/// The result of `f` and the outputs of the layers that ran in it on this thread: dotted names, in the order the layers ended.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, Linear, ReLU, Sequential, record};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let inner = Sequential::new().then(Linear::new(3, 4)?).then(ReLU);
/// let model = Sequential::new().then_named("body", inner).then_named("head", Linear::new(4, 2)?);
/// let x = Var::from(Tensor::ones([1, 3], DType::F32)?);
/// let (y, outputs) = record(|| model.forward(&x));
/// let names: Vec<_> = outputs.iter().map(|(name, output)| (name.as_str(), output.dims().to_vec())).collect();
/// assert_eq!(names, [("body.0", vec![1, 4]), ("body.1", vec![1, 4]), ("body", vec![1, 4]), ("head", vec![1, 2])]);
/// assert_eq!(y?.dims(), [1, 2]);
/// # Ok(())
/// # }
/// ```
pub fn record<T>(f: impl FnOnce() -> T) -> (T, Vec<(String, Var)>) {
    let outer = RECORD.with_borrow_mut(|now| now.replace(Record::default()));
    let recording = Recording(outer);
    let result = f();
    let record = RECORD.with_borrow_mut(Option::take).unwrap_or_default();
    drop(recording);
    (result, record.outputs)
}

/// The output of the layer that `f` runs, recorded if somebody does; an error in it says that it was in `name`.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, Linear, Module, named};
/// use gradus_tensor::Result;
///
/// #[derive(Module)]
/// struct Twice {
///     fc: Linear,
/// }
/// impl Layer for Twice {
///     fn forward(&self, x: &Var) -> Result<Var> {
///         let h = named("fc", || self.fc.forward(x))?;
///         named("fc", || self.fc.forward(&h))
///     }
/// }
/// ```
///
/// # Errors
/// That of `f`.
pub fn named(name: &str, f: impl FnOnce() -> Result<Var>) -> Result<Var> {
    let parent = RECORD.with_borrow_mut(|now| {
        let path = &mut now.as_mut()?.path;
        let parent = path.len();
        if parent > 0 && !name.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        Some(parent)
    });
    let output = f().in_layer(name);
    if let Some(parent) = parent {
        RECORD.with_borrow_mut(|now| {
            let Some(record) = now else { return };
            // An empty name adds no level: what it stands for has told its outputs itself.
            if let (Ok(output), false) = (&output, name.is_empty()) {
                record.outputs.push((record.path.clone(), output.clone()));
            }
            record.path.truncate(parent);
        });
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Linear, Sequential};
    use gradus_tensor::{DType, Tensor};

    #[test]
    fn recordings_nest_and_end() {
        let model = Sequential::new().then(Linear::new(2, 2).unwrap());
        let x = Var::from(Tensor::ones([1, 2], DType::F32).unwrap());
        let wrong = Var::from(Tensor::ones([1, 3], DType::F32).unwrap());
        let ((), outer) = record(|| {
            let (_, inner) = record(|| model.forward(&x));
            assert_eq!(inner.len(), 1);
            assert!(model.forward(&wrong).is_err()); // not recorded, and the path is as before
            model.forward(&x).unwrap();
        });
        assert_eq!(outer.len(), 1);
        assert_eq!(outer[0].0, "0");
        assert!(std::panic::catch_unwind(|| record(|| panic!("stop"))).is_err());
        RECORD.with_borrow(|now| assert!(now.is_none()));
    }
}
