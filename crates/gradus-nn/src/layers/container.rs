//! Layers in a row ([`Sequential`]), in a list ([`ModuleList`]), under names ([`ModuleDict`]); and parameters likewise. None computes
//! anything of its own.
//! Names are PyTorch's: `0`, `1`, … or those given.

use std::ops::{Index, IndexMut};

use gradus_autograd::Var;
use gradus_tensor::Result;

use crate::layer::Layer;
use crate::module::{Module, Param, Part, PartMut, Path, Visit};
use crate::record::named;

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

    /// The row with `layer` at its end under a name. Names should differ, or one hides the other in the state dict; an empty
    /// name adds no level, so that the parts of `layer` stand in the row itself.
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
        let mut x = named(name, || first.forward(x))?;
        for (name, layer) in layers {
            x = named(name, || layer.forward(&x))?;
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

/// Modules of one type under names, in the order they were put in; `Box<dyn Layer>` holds layers of several types.
///
/// ```
/// use gradus_nn::{Linear, Module, ModuleDict};
/// # fn main() -> gradus_tensor::Result<()> {
/// let mut heads = ModuleDict::default();
/// heads.insert("colour", Linear::new(4, 3)?);
/// heads.insert("shape", Linear::new(4, 2)?);
/// assert!(heads.get("colour").is_some() && heads.get("size").is_none());
/// assert!(heads.state_dict().contains_key("shape.bias"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ModuleDict<M>(Vec<(String, M)>);

/// Parameters in a list, named by their index.
///
/// ```
/// use gradus_nn::{Module, Param, ParameterList};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let scales = ParameterList(vec![Param::new(Tensor::ones([2], DType::F32)?)?, Param::new(Tensor::ones([3], DType::F32)?)?]);
/// assert_eq!(scales.state_dict().into_keys().collect::<Vec<_>>(), ["0", "1"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ParameterList(pub Vec<Param>);

/// Parameters under names, in the order they were put in.
pub type ParameterDict = ModuleDict<Param>;

impl<M> Default for ModuleDict<M> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<M> ModuleDict<M> {
    /// Puts a module under a name, in place of the one that was there, which comes back.
    pub fn insert(&mut self, name: impl Into<String>, module: M) -> Option<M> {
        let name = name.into();
        if let Some(old) = self.get_mut(&name) {
            return Some(std::mem::replace(old, module));
        }
        self.0.push((name, module));
        None
    }

    /// The module of that name.
    pub fn get(&self, name: &str) -> Option<&M> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, m)| m)
    }

    /// The module of that name, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut M> {
        self.0.iter_mut().find(|(n, _)| n == name).map(|(_, m)| m)
    }

    /// Takes the module of that name out.
    pub fn remove(&mut self, name: &str) -> Option<M> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    /// Names and modules in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &M)> {
        self.0.iter().map(|(name, module)| (name.as_str(), module))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<M: Visit> Visit for ModuleDict<M> {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        f(path, Part::Module("ModuleDict"));
        for (name, module) in &self.0 {
            module.visit(&mut path.enter(name), f);
        }
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        for (name, module) in &mut self.0 {
            module.visit_mut(&mut path.enter(name), f);
        }
    }
}

impl Visit for ParameterList {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        f(path, Part::Module("ParameterList"));
        self.0.visit(path, f);
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        self.0.visit_mut(path, f);
    }
}

impl<M: Visit> Module for ModuleDict<M> {}
impl Module for ParameterList {}
