//! Reading PyTorch's own files: `.pt`, `.pth`, `.th`, `.bin`, as `torch.save` writes them.
//!
//! What it is: [`load`] for the weights by name, [`Value::open`] for everything in the file (epochs, settings, optimiser state). Both containers are read: the
//! zip archive of PyTorch 1.6 and later, and the legacy run of pickles before it. Strides are honoured: a weight saved as a view of a larger or
//! transposed storage comes out as it was. Nothing is executed: see [`pickle`](self) for the machine, which knows tensors and containers and refuses every other name,
//! as `torch.load(weights_only=True)` does.
//! What it is not: a writer (write safetensors), or a reader of TorchScript programs or whole pickled models.
//!
//! Source: `torch/serialization.py`.

mod class;
mod container;
mod pickle;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

use container::Container;
use pickle::{Id, Machine, Node, StorageRef};

/// The name under which errors appear.
const OP: &str = "pytorch";
/// Values a file may unfold to, and how deep: shared containers count each time they are met.
const MAX_VALUES: usize = 10_000_000;
const MAX_DEPTH: usize = 64;

fn refuse(message: String) -> Error {
    Error::format(OP, message)
}

/// What a PyTorch file holds: plain data and tensors.
#[derive(Debug, Clone)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list, a tuple, a set or a `torch.Size`.
    List(Vec<Value>),
    /// A dictionary in its order, or the fields of a plain object.
    Dict(Vec<(Value, Value)>),
    /// A tensor or a parameter: a view of its storage, with the strides it was saved with.
    Tensor(Tensor),
}

/// Every tensor of the state dict in a file, by name.
///
/// The state dict is the file's value itself, or what lies under `state_dict`, `model_state_dict`, `model`, `net`, `weights` or `ema`
/// in it. Entries that are not tensors are left out. Names are as in the file; see [`without_prefix`](crate::weights::without_prefix) for those of `DataParallel`.
///
/// ```no_run
/// let weights = gradus_tensor::pytorch::load("resnet20.th")?;
/// println!("{}", weights["module.conv1.weight"].shape());
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// The file cannot be read, is none of PyTorch's, is damaged, asks for code to run, has a dtype that Gradus does not have, or holds no
/// state dict. The error names the file.
pub fn load(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor>> {
    let path = path.as_ref();
    let value = Value::open(path)?;
    value.into_state_dict().map_err(|e| in_file(e, path))
}

/// The beginning of how a value prints: a file's content is as long as its writer likes, a message is not.
fn short(value: &dyn fmt::Debug) -> String {
    struct Beginning(String);
    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for c in text.chars() {
                if self.0.len() >= 80 {
                    self.0.push('…');
                    return Err(fmt::Error);
                }
                self.0.push(c);
            }
            Ok(())
        }
    }
    let mut text = Beginning(String::new());
    let _ = fmt::write(&mut text, format_args!("{value:?}"));
    text.0
}

fn in_file(error: Error, path: &Path) -> Error {
    error.in_layer(path.display().to_string())
}

impl Value {
    /// Everything in a file.
    ///
    /// # Errors
    /// As [`load`], but that a state dict is not needed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = crate::file::read(path)
            .map_err(|e| Error::io(OP, format!("cannot read {}", path.display()), e))?;
        Self::read(bytes).map_err(|e| in_file(e, path))
    }

    /// Everything in a file that is already in memory.
    ///
    /// # Errors
    /// As [`Value::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::read(crate::file::Bytes::Owned(bytes))
    }

    fn read(bytes: crate::file::Bytes) -> Result<Self> {
        let container = Container::open(bytes)?;
        let (machine, root, _) = Machine::run(container.pickle())?;
        let mut unfold = Unfold {
            machine,
            container: &container,
            storages: HashMap::new(),
            left: MAX_VALUES,
        };
        unfold.value(root, 0)
    }

    /// What a dictionary holds under a text key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(pairs) = self else { return None };
        let found = pairs.iter().find(|(k, _)| k.is(key));
        found.map(|(_, value)| value)
    }

    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Str(s) if s == text)
    }

    /// The tensors of the state dict in this value: see [`load`].
    ///
    /// # Errors
    /// There is none.
    pub fn into_state_dict(self) -> Result<BTreeMap<String, Tensor>> {
        const PLACES: [&str; 6] = [
            "state_dict",
            "model_state_dict",
            "model",
            "net",
            "weights",
            "ema",
        ];
        let Self::Dict(pairs) = self else {
            let text = format!("it holds {} and no state dict", short(&self));
            return Err(refuse(text));
        };
        let (tensors, others): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .partition(|(key, value)| matches!((key, value), (Self::Str(_), Self::Tensor(_))));
        if !tensors.is_empty() {
            let named = tensors.into_iter().filter_map(|pair| match pair {
                (Self::Str(name), Self::Tensor(tensor)) => Some((name, tensor)),
                _ => None,
            });
            return Ok(named.collect());
        }
        let mut keys = Vec::new();
        for (key, value) in others {
            if PLACES.iter().any(|place| key.is(place)) && matches!(value, Self::Dict(_)) {
                return value.into_state_dict();
            }
            if keys.len() < 20 {
                keys.push(short(&key));
            }
        }
        Err(refuse(format!(
            "no state dict: the file has {} and a state dict is looked for under {PLACES:?}",
            keys.join(", ")
        )))
    }
}

/// Turns the arena's values into a tree, with the storages behind the tensors.
struct Unfold<'a> {
    machine: Machine<'a>,
    container: &'a Container,
    /// Flat tensors by key; one key may be seen as several dtypes.
    storages: HashMap<(String, DType), Tensor>,
    left: usize,
}

impl Unfold<'_> {
    fn value(&mut self, id: Id, depth: usize) -> Result<Value> {
        let node = self.machine.node(id).clone();
        let size = match &node {
            Node::Str(text) => 1 + text.len() / 16,
            Node::Bytes(bytes) => 1 + bytes.len() / 16,
            _ => 1,
        };
        let left = self.left.checked_sub(size).filter(|_| depth <= MAX_DEPTH);
        self.left = left.ok_or_else(|| {
            refuse(format!(
                "it unfolds to more than {MAX_VALUES} values or deeper than {MAX_DEPTH}"
            ))
        })?;
        Ok(match node {
            Node::None => Value::None,
            Node::Bool(x) => Value::Bool(x),
            Node::Int(x) => Value::Int(x),
            Node::Float(x) => Value::Float(x),
            Node::Str(x) => Value::Str(x),
            Node::Bytes(x) => Value::Bytes(x),
            Node::Class(class) => Value::Str(format!("{class:?}")),
            Node::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|id| self.value(id, depth + 1))
                    .collect::<Result<_>>()?,
            ),
            Node::Dict(pairs) => Value::Dict(
                pairs
                    .into_iter()
                    .map(|(k, v)| Ok((self.value(k, depth + 1)?, self.value(v, depth + 1)?)))
                    .collect::<Result<_>>()?,
            ),
            Node::Storage(storage) => Value::Tensor(self.storage(&storage)?),
            Node::View {
                storage,
                offset,
                size,
                stride,
            } => {
                let flat = self.storage(&storage)?;
                let wrong = || refuse(format!("a tensor of size {size:?} at offset {offset}"));
                let size = size.iter().map(|&n| usize::try_from(n));
                let size: Vec<usize> = size.collect::<Result<_, _>>().map_err(|_| wrong())?;
                let stride: Vec<isize> = stride.iter().map(|&n| n as isize).collect();
                let offset = usize::try_from(offset).map_err(|_| wrong())?;
                Value::Tensor(flat.as_strided(size, &stride, Some(offset))?)
            }
        })
    }

    /// The whole of a storage, flat.
    fn storage(&mut self, storage: &StorageRef) -> Result<Tensor> {
        let dtype = storage.dtype.unwrap_or(DType::U8);
        let key = (storage.key.clone(), dtype);
        let numel = usize::try_from(storage.numel)
            .map_err(|_| refuse(format!("a storage of {} elements", storage.numel)))?;
        if let Some(flat) = self.storages.get(&key) {
            if flat.numel() != numel {
                let text = format!(
                    "storage {:?} has {numel} elements and {}",
                    key.0,
                    flat.numel()
                );
                return Err(refuse(text));
            }
            return Ok(flat.clone());
        }
        let flat = self.container.storage(&storage.key, dtype, numel)?;
        self.storages.insert(key, flat.clone());
        Ok(flat)
    }
}
