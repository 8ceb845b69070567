//! Layers in a row ([`Sequential`]) and in a list ([`ModuleList`]). Neither computes anything of its own.
//! Names are PyTorch's: `0`, `1`, … or those given.

use std::ops::{Index, IndexMut};

use gradus_autograd::Var;
use gradus_tensor::{Result, ResultExt};

use crate::layer::Layer;
use crate::module::{Module, Part, PartMut, Path, Visit};

/// Layers one after the other.
///
/// ```
/// use gradus_nn::{Linear, Module, ReLU, Sequential};
/// # fn main() -> gradus_tensor::Result<()> {
/// let mlp = Sequential::new()
///     .then(Linear::new(8, 16)?) // "0"
///     .then(ReLU)                // "1"
///     .then_named("head", Linear::new(16, 3)?);
/// let names: Vec<_> = mlp.state_dict().into_keys().collect();
/// assert_eq!(names, ["0.bias", "0.weight", "head.bias", "head.weight"]);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Sequential {
    layers: Vec<(String, Box<dyn Layer>)>,
}

impl Sequential {
    /// An empty row, which passes its input on.
    pub fn new() -> Self {
        Self::default()
    }

    /// The row with `layer` at its end, named by its index.
    #[must_use]
    pub fn then(self, layer: impl Layer + 'static) -> Self {
        let name = self.layers.len().to_string();
        self.then_named(name, layer)
    }

    /// The row with `layer` at its end under a name. Names should differ, or one hides the other in the state dict.
    #[must_use]
    pub fn then_named(mut self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        self.layers.push((name.into(), Box::new(layer)));
        self
    }

    /// Puts a layer at the end, named by its index: for layers built in a loop.
    pub fn push(&mut self, layer: impl Layer + 'static) {
        let name = self.layers.len().to_string();
        self.layers.push((name, Box::new(layer)));
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &dyn Layer)> {
        self.layers
            .iter()
            .map(|(name, layer)| (name.as_str(), layer.as_ref()))
    }
}

impl FromIterator<Box<dyn Layer>> for Sequential {
    fn from_iter<I: IntoIterator<Item = Box<dyn Layer>>>(layers: I) -> Self {
        Self {
            layers: layers
                .into_iter()
                .enumerate()
                .map(|(i, layer)| (i.to_string(), layer))
                .collect(),
        }
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Var) -> Result<Var> {
        let mut layers = self.layers.iter();
        let Some((name, first)) = layers.next() else {
            return Ok(x.clone());
        };
        let mut x = first.forward(x).in_layer(name.as_str())?;
        for (name, layer) in layers {
            x = layer.forward(&x).in_layer(name.as_str())?;
        }
        Ok(x)
    }
}

impl Visit for Sequential {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        f(path, Part::Module("Sequential"));
        for (name, layer) in &self.layers {
            layer.visit(&mut path.enter(name), f);
        }
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        for (name, layer) in &mut self.layers {
            layer.visit_mut(&mut path.enter(name), f);
        }
    }
}

impl Module for Sequential {}

/// Modules of one type in a list, named by their index; the model that holds it says how they are used.
/// A plain `Vec` does as well; this one prints as what it is.
///
/// ```
/// use gradus_nn::{Linear, Module, ModuleList};
/// # fn main() -> gradus_tensor::Result<()> {
/// #[derive(Module)]
/// struct Tower {
///     layers: ModuleList<Linear>,
/// }
/// let tower = Tower { layers: (0..3).map(|_| Linear::new(4, 4)).collect::<gradus_tensor::Result<_>>()? };
/// assert!(tower.state_dict().contains_key("layers.2.weight"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ModuleList<M>(pub Vec<M>);

impl<M> ModuleList<M> {
    /// The modules in order.
    pub fn iter(&self) -> std::slice::Iter<'_, M> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a module at the end.
    pub fn push(&mut self, module: M) {
        self.0.push(module);
    }
}

impl<M> FromIterator<M> for ModuleList<M> {
    fn from_iter<I: IntoIterator<Item = M>>(modules: I) -> Self {
        Self(modules.into_iter().collect())
    }
}

impl<'a, M> IntoIterator for &'a ModuleList<M> {
    type Item = &'a M;
    type IntoIter = std::slice::Iter<'a, M>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<M> Index<usize> for ModuleList<M> {
    type Output = M;
    fn index(&self, index: usize) -> &M {
        &self.0[index]
    }
}

impl<M> IndexMut<usize> for ModuleList<M> {
    fn index_mut(&mut self, index: usize) -> &mut M {
        &mut self.0[index]
    }
}

impl<M: Visit> Visit for ModuleList<M> {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        f(path, Part::Module("ModuleList"));
        self.0.visit(path, f);
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        self.0.visit_mut(path, f);
    }
}

impl<M: Visit> Module for ModuleList<M> {}
