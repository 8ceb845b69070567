//! A parameter: the tensor a layer learns, as a leaf of the graph. It has no name (its place in the module names it)
//! and no gradient slot: gradients come back in a `Gradients` map, keyed by the leaf.
//! The idea is PyTorch's `nn.Parameter`; what differs is that only `&mut` changes one.

use gradus_autograd::Var;
use gradus_tensor::{DType, Error, Result, Shape, Tensor};

/// A learnable tensor.
///
/// Cloning gives an independent parameter: the data is shared until one of the two is changed.
///
/// ```
/// # fn main() -> gradus_tensor::Result<()> {
/// use gradus_nn::Param;
/// use gradus_tensor::{DType, Tensor};
/// let mut weight = Param::new(Tensor::zeros([2, 3], DType::F32)?)?;
/// weight.set(Tensor::ones([2, 3], DType::F32)?)?;
/// assert_eq!(weight.data().sum(.., false)?.item::<f32>()?, 6.0);
/// assert!(weight.set(Tensor::ones([3, 2], DType::F32)?).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Param {
    var: Var,
    frozen: bool,
}

impl Param {
    /// A parameter that starts as `data`, of any shape.
    ///
    /// # Errors
    /// When `data` is not of a float dtype.
    pub fn new(data: Tensor) -> Result<Self> {
        Ok(Self {
            var: Var::leaf(data)?,
            frozen: false,
        })
    }

    /// The parameter as a differentiable value: tracked, or a constant when it is frozen.
    pub fn var(&self) -> &Var {
        &self.var
    }

    /// The values.
    pub fn data(&self) -> &Tensor {
        self.var.value()
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        self.data().shape()
    }

    /// Its dtype.
    pub fn dtype(&self) -> DType {
        self.data().dtype()
    }

    /// How many numbers it holds.
    pub fn numel(&self) -> usize {
        self.data().numel()
    }

    /// Replaces the values. The dtype may change, the shape may not.
    ///
    /// # Errors
    /// When the shapes differ or the dtype is not a float.
    pub fn set(&mut self, data: Tensor) -> Result<()> {
        if data.dims() != self.data().dims() {
            return Err(Error::shape(
                "Param::set",
                format!("{} in place of {}", data.shape(), self.shape()),
            ));
        }
        if !self.frozen && data.dtype() == self.dtype() {
            return self.update(|value| {
                *value = data;
                Ok(())
            });
        }
        self.replace(data)
    }

    /// Changes the values through `f`, in place when nobody else holds them; a graph that does keeps what it saw.
    /// The parameter stays the same leaf: gradients computed before still belong to it.
    ///
    /// # Errors
    /// When `f` fails or changes shape or dtype.
    pub fn update(&mut self, f: impl FnOnce(&mut Tensor) -> Result<()>) -> Result<()> {
        if self.frozen {
            let mut data = self.data().clone();
            f(&mut data)?;
            return self.set(data);
        }
        self.var.update_leaf(f)
    }

    fn replace(&mut self, data: Tensor) -> Result<()> {
        self.var = if self.frozen {
            Var::from(data)
        } else {
            Var::leaf(data)?
        };
        Ok(())
    }

    /// Is it held still? Then its [`var`](Self::var) is a constant, so no gradient is computed for it.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Holds it still (`true`) or lets it be trained (`false`).
    pub fn set_frozen(&mut self, frozen: bool) {
        if self.frozen != frozen {
            self.frozen = frozen;
            let data = self.data().clone();
            // A parameter's dtype is a float already, which is all that `leaf` could object to.
            let _ = self.replace(data);
        }
    }
}

impl Clone for Param {
    fn clone(&self) -> Self {
        let mut copy = Self {
            var: Var::from(self.data().clone()),
            frozen: true,
        };
        copy.set_frozen(self.frozen);
        copy
    }
}
