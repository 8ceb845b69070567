//! The walk over what a module is made of: dotted names, and at the end of each a parameter, a buffer or a mode.
//!
//! `Visit` is all that `#[derive(Module)]` writes and all that a hand-written container must write. It is not the
//! interface one uses: that is [`Module`](super::Module), whose methods are built on the two walks here.
//! The names are those PyTorch's `named_parameters` and `named_buffers` give the same tree of attributes.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::{Buffer, Mode, Param, Tied};

/// A dotted path into a module: `encoder.layers.3.attn`. Empty at the root.
///
/// ```
/// let mut path = gradus_nn::Path::default();
/// assert_eq!(path.enter("layers").enter("3").to_string(), "layers.3");
/// assert_eq!(path.enter("layers").enter("").to_string(), "layers");
/// assert_eq!(path.as_str(), "");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One name deeper, for as long as the guard lives. An empty name adds no level.
    pub fn enter(&mut self, name: &str) -> PathGuard<'_> {
        let parent = self.0.len();
        if parent > 0 && !name.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        PathGuard { path: self, parent }
    }

    /// One index deeper (`layers.3`), for as long as the guard lives.
    pub fn enter_index(&mut self, index: usize) -> PathGuard<'_> {
        self.enter(&index.to_string())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A [`Path`] one level deeper; dropping it goes back up.
pub struct PathGuard<'a> {
    path: &'a mut Path,
    parent: usize,
}

impl Deref for PathGuard<'_> {
    type Target = Path;
    fn deref(&self) -> &Path {
        self.path
    }
}

impl DerefMut for PathGuard<'_> {
    fn deref_mut(&mut self) -> &mut Path {
        self.path
    }
}

impl Drop for PathGuard<'_> {
    fn drop(&mut self) {
        self.path.0.truncate(self.parent);
    }
}

/// What the walk meets.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Part<'a> {
    /// A module begins; the path is its own. Carries the type's name (`"Linear"`).
    Module(&'static str),
    /// A parameter.
    Param(&'a Param),
    /// A buffer: saved with the model, never trained.
    Buffer(&'a Buffer),
    /// The training-or-evaluation switch of a layer that behaves differently in the two.
    Mode(&'a Mode),
    /// A second name of a parameter; the path is that of the module that says so.
    Tied(&'a Tied),
}

/// What the walk by `&mut` meets.
#[non_exhaustive]
pub enum PartMut<'a> {
    /// A parameter.
    Param(&'a mut Param),
    /// A buffer.
    Buffer(&'a mut Buffer),
    /// The training-or-evaluation switch.
    Mode(&'a mut Mode),
}

/// Whatever may stand as a field of a module.
///
/// These may: [`Param`], [`Buffer`], [`Mode`], every `#[derive(Module)]` type; `Option`, `Vec`, `Box`, arrays and tuples
/// of such; and, so that settings need no attribute, plain numbers, `bool`, `char`, strings and `PhantomData`,
/// in which the walk finds nothing. Any other type wants `#[module(skip)]`: a field is never passed over in silence.
///
/// ```compile_fail
/// #[derive(gradus_nn::Module)]
/// struct Model {
///     layers: std::collections::HashMap<String, gradus_nn::Linear>, // error: cannot be a field of a module
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a module",
    label = "neither a part of a module nor a plain value",
    note = "if it holds parameters, put `#[derive(Module)]` on it",
    note = "if it holds none (a setting, a cache), write `#[module(skip)]` above the field"
)]
pub trait Visit {
    /// Calls `f` with the path and the part, for each part, in the order of the fields.
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>));

    /// The same walk, by `&mut`.
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>));
}

/// The three leaves: the walk ends here and reports them.
macro_rules! leaf {
    ($($type:ident),*) => {$(
        impl Visit for $type {
            fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
                f(path, Part::$type(self));
            }
            fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
                f(path, PartMut::$type(self));
            }
        }
    )*};
}
leaf!(Param, Buffer, Mode);

/// Plain values: the walk finds nothing in them.
macro_rules! nothing {
    ($($type:ty),*) => {$(
        impl Visit for $type {
            fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn FnMut(&Path, Part<'a>)) {}
            fn visit_mut<'a>(&'a mut self, _: &mut Path, _: &mut dyn FnMut(&Path, PartMut<'a>)) {}
        }
    )*};
}
nothing!(
    (),
    bool,
    char,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    String,
    &'static str
);
nothing!(gradus_tensor::DType, gradus_tensor::Device);

impl<T: ?Sized> Visit for std::marker::PhantomData<T> {
    fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn FnMut(&Path, Part<'a>)) {}
    fn visit_mut<'a>(&'a mut self, _: &mut Path, _: &mut dyn FnMut(&Path, PartMut<'a>)) {}
}

/// An absent field has no name; a present one is itself.
impl<T: Visit> Visit for Option<T> {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        if let Some(part) = self {
            part.visit(path, f);
        }
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        if let Some(part) = self {
            part.visit_mut(path, f);
        }
    }
}

/// A box is what is in it.
impl<T: Visit + ?Sized> Visit for Box<T> {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        (**self).visit(path, f);
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        (**self).visit_mut(path, f);
    }
}

/// Elements are named by their index, as in `ModuleList`.
impl<T: Visit> Visit for [T] {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        for (i, part) in self.iter().enumerate() {
            part.visit(&mut path.enter_index(i), f);
        }
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        for (i, part) in self.iter_mut().enumerate() {
            part.visit_mut(&mut path.enter_index(i), f);
        }
    }
}

impl<T: Visit> Visit for Vec<T> {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        self.as_slice().visit(path, f);
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        self.as_mut_slice().visit_mut(path, f);
    }
}

impl<T: Visit, const N: usize> Visit for [T; N] {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        self.as_slice().visit(path, f);
    }
    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        self.as_mut_slice().visit_mut(path, f);
    }
}

/// Fields of a tuple are named by their index.
macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        impl<$($name: Visit),*> Visit for ($($name,)*) {
            fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
                $(self.$index.visit(&mut path.enter(stringify!($index)), f);)*
            }
            fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
                $(self.$index.visit_mut(&mut path.enter(stringify!($index)), f);)*
            }
        }
    };
}
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
