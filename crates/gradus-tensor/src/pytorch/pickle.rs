//! A pickle, read as data: the machine that Python's `pickle` module runs, without the part that can do anything.
//!
//! A pickle is a program for a stack machine. Most of its instructions push values and put them together; two name a Python
//! class or function and call it, which is how a malicious file runs code. Here such a name is looked up in a list of the
//! few that PyTorch writes for tensors and plain containers ([`Class`]), each of which is a value and nothing that runs; any other name
//! is an error. The instructions are those of protocols 2 to 5, in binary; PyTorch writes protocol 2.
//!
//! Values live in an arena and refer to each other by number, since a pickle may change a list after it stored it elsewhere.
//! Source: Python's `pickletools`, whose names the instructions have here; `torch/_weights_only_unpickler.py` for the list.

use std::collections::HashMap;

use crate::error::Result;

use super::class::Class;
use super::{DType, MAX_VALUES, refuse, short};

/// The number of a value in the arena.
pub(super) type Id = usize;

/// What a pickle is made of.
#[derive(Clone, Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    /// Lists, tuples, sets and `torch.Size`.
    List(Vec<Id>),
    /// Dictionaries, and the fields of plain objects.
    Dict(Vec<(Id, Id)>),
    Class(Class),
    Storage(StorageRef),
    View {
        storage: StorageRef,
        offset: i64,
        size: Vec<i64>,
        stride: Vec<i64>,
    },
}

/// A run of numbers elsewhere in the file.
#[derive(Clone, Debug)]
pub(super) struct StorageRef {
    pub key: String,
    /// Not known for untyped storages: their views say it.
    pub dtype: Option<DType>,
    /// Elements, bytes if the dtype is not known.
    pub numel: i64,
}

/// The machine: a stack, the marks on it, what was stored for later, and the arena.
pub(super) struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    pub arena: Vec<Node>,
    /// How much more may be copied: a file can ask for the same long list again and again.
    left: usize,
}

impl<'a> Machine<'a> {
    /// Runs the pickle at the start of `input`; returns the machine, the value's number and the pickle's length.
    pub fn run(input: &'a [u8]) -> Result<(Self, Id, usize)> {
        let mut machine = Self {
            input,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            arena: Vec::new(),
            left: MAX_VALUES,
        };
        loop {
            let at = machine.at;
            let op = machine.byte()?;
            if op == b'.' {
                let value = machine.pop()?;
                let length = machine.at;
                return Ok((machine, value, length));
            }
            machine
                .step(op)
                .map_err(|e| e.in_layer(format!("pickle, byte {at}")))?;
        }
    }

    pub fn node(&self, id: Id) -> &Node {
        &self.arena[id]
    }

    fn step(&mut self, op: u8) -> Result<()> {
        match op {
            0x80 => drop(self.byte()?),  // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let top = *self.stack.last().ok_or_else(underflow)?;
                self.stack.push(top);
            }
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'K' => {
                let x = self.byte()?;
                self.push(Node::Int(x.into()));
            }
            b'M' => {
                let x = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(x.into()));
            }
            b'J' => {
                let x = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(x.into()));
            }
            0x8a => {
                let n = self.byte()?.into();
                self.long(n)?; // LONG1
            }
            b'G' => {
                let x = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(x));
            }
            0x8c => self.string(1)?, // SHORT_BINUNICODE
            b'X' => self.string(4)?,
            0x8d => self.string(8)?, // BINUNICODE8
            b'U' | b'C' => self.bytes(1)?,
            b'T' | b'B' => self.bytes(4)?,
            0x8e => self.bytes(8)?, // BINBYTES8
            b']' | b')' | 0x8f => self.push(Node::List(Vec::new())),
            b't' | b'l' | 0x91 => {
                let items = self.since_mark()?;
                self.push(Node::List(items));
            }
            0x85..=0x87 => {
                let n = usize::from(op - 0x84); // TUPLE1 to TUPLE3
                let from = self.stack.len().checked_sub(n).ok_or_else(underflow)?;
                let items = self.stack.split_off(from);
                self.push(Node::List(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new())),
            b'd' => {
                let items = self.since_mark()?;
                self.push(Node::Dict(Vec::new()));
                self.set(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(items)?;
            }
            b'q' | b'r' | 0x94 => {
                let slot = match op {
                    b'q' => self.byte()?.into(),
                    b'r' => u32::from_le_bytes(self.array()?),
                    _ => self.memo.len() as u32, // MEMOIZE
                };
                let top = *self.stack.last().ok_or_else(underflow)?;
                self.memo.insert(slot, top);
            }
            b'h' | b'j' => {
                let slot = match op {
                    b'h' => self.byte()?.into(),
                    _ => u32::from_le_bytes(self.array()?),
                };
                let id = self.memo.get(&slot).copied();
                let id = id.ok_or_else(|| refuse(format!("nothing was stored under {slot}")))?;
                self.stack.push(id);
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Class(Class::find(&module, &name)?));
            }
            0x93 => {
                let (name, module) = (self.text()?, self.text()?); // STACK_GLOBAL
                self.push(Node::Class(Class::find(&module, &name)?));
            }
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?); // REDUCE, NEWOBJ
                let made = self.call(callee, arguments)?;
                self.spend(&made)?;
                self.push(made);
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.pop()?);
                self.build(object, state)?;
                self.stack.push(object);
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Node::Storage(storage));
            }
            _ => {
                return Err(refuse(format!(
                    "instruction 0x{op:02x} ({:?}) is none that PyTorch writes",
                    char::from(op)
                )));
            }
        }
        Ok(())
    }

    /// A known class called with arguments: always just a value.
    fn call(&self, callee: Id, arguments: Id) -> Result<Node> {
        let (Node::Class(class), Node::List(arguments)) = (self.node(callee), self.node(arguments))
        else {
            return Err(refuse("a call of something that is not a class".into()));
        };
        let argument = |i: usize| {
            let id = arguments.get(i).copied();
            id.ok_or_else(|| refuse(format!("{class:?} needs more than {i} arguments")))
        };
        Ok(match class {
            Class::OrderedDict => {
                let mut pairs = Vec::new();
                if let Some(Node::List(items)) = arguments.first().map(|&id| self.node(id)) {
                    for &item in items {
                        match self.node(item) {
                            Node::List(pair) if pair.len() == 2 => pairs.push((pair[0], pair[1])),
                            _ => return Err(refuse("a dictionary of things not in pairs".into())),
                        }
                    }
                }
                Node::Dict(pairs)
            }
            Class::Sequence => match arguments.first().map(|&id| self.node(id)) {
                Some(Node::List(items)) => Node::List(items.clone()),
                _ => Node::List(arguments.clone()),
            },
            Class::First => self.node(argument(0)?).clone(),
            Class::Plain => Node::Dict(Vec::new()),
            Class::RebuildTensor | Class::RebuildTensorV3 => {
                let Node::Storage(storage) = self.node(argument(0)?) else {
                    return Err(refuse("a tensor of something that is not a storage".into()));
                };
                let mut storage = storage.clone();
                if *class == Class::RebuildTensorV3 {
                    let Node::Class(Class::DType(dtype)) = self.node(argument(6)?) else {
                        return Err(refuse("a tensor of no known dtype".into()));
                    };
                    storage.numel /= dtype.size() as i64;
                    storage.dtype = Some(*dtype);
                }
                Node::View {
                    storage,
                    offset: self.int(argument(1)?)?,
                    size: self.ints(argument(2)?)?,
                    stride: self.ints(argument(3)?)?,
                }
            }
            Class::Storage(_) | Class::DType(_) => {
                return Err(refuse(format!("a call of {class:?}, which is a name only")));
            }
        })
    }

    /// The state of an object: the fields of plain ones; what PyTorch hangs on dictionaries and tensors says nothing here.
    fn build(&mut self, object: Id, state: Id) -> Result<()> {
        if let (Node::Dict(fields), Node::Dict(state)) = (self.node(object), self.node(state)) {
            let metadata = |id: &Id| matches!(self.node(*id), Node::Str(s) if s == "_metadata");
            if fields.is_empty() && !state.iter().any(|(key, _)| metadata(key)) {
                let fields = Node::Dict(state.clone());
                self.spend(&fields)?;
                self.arena[object] = fields;
            }
        }
        Ok(())
    }

    /// Counts a copy; an error when there were too many.
    fn spend(&mut self, copy: &Node) -> Result<()> {
        let size = match copy {
            Node::List(items) => items.len(),
            Node::Dict(pairs) => pairs.len(),
            Node::View { size, stride, .. } => size.len() + stride.len(),
            Node::Str(text) => text.len() / 16,
            Node::Bytes(bytes) => bytes.len() / 16,
            _ => 0,
        };
        let left = self.left.checked_sub(size + 1);
        self.left =
            left.ok_or_else(|| refuse(format!("it unfolds to more than {MAX_VALUES} values")))?;
        Ok(())
    }

    /// `('storage', class, key, place, elements)`, with a sixth for views of storages, which must be none.
    fn storage(&self, id: Id) -> Result<StorageRef> {
        let wrong = || refuse("a reference that is not to a storage".into());
        let Node::List(parts) = self.node(id) else {
            return Err(wrong());
        };
        let (Some(&kind), Some(&class), Some(&key), Some(&numel)) =
            (parts.first(), parts.get(1), parts.get(2), parts.get(4))
        else {
            return Err(wrong());
        };
        if !matches!(self.node(kind), Node::Str(s) if s == "storage") {
            return Err(wrong());
        }
        if let Some(&view) = parts.get(5)
            && !matches!(self.node(view), Node::None)
        {
            return Err(refuse("a storage that is a view of another".into()));
        }
        match (self.node(class), self.node(key)) {
            (Node::Class(Class::Storage(dtype)), Node::Str(key)) => Ok(StorageRef {
                key: key.clone(),
                dtype: *dtype,
                numel: self.int(numel)?,
            }),
            _ => Err(wrong()),
        }
    }

    fn int(&self, id: Id) -> Result<i64> {
        match self.node(id) {
            Node::Int(x) => Ok(*x),
            other => Err(refuse(format!("{} where a number is needed", short(other)))),
        }
    }

    fn ints(&self, id: Id) -> Result<Vec<i64>> {
        match self.node(id) {
            Node::List(items) => items.iter().map(|&id| self.int(id)).collect(),
            other => Err(refuse(format!("{} where numbers are needed", short(other)))),
        }
    }

    fn push(&mut self, node: Node) {
        self.arena.push(node);
        self.stack.push(self.arena.len() - 1);
    }

    fn pop(&mut self) -> Result<Id> {
        if self.marks.last() == Some(&self.stack.len()) {
            return Err(underflow());
        }
        self.stack.pop().ok_or_else(underflow)
    }

    /// What was pushed after the last mark.
    fn since_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop();
        let mark = mark.filter(|&mark| mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or_else(underflow)?))
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<()> {
        let &list = self.stack.last().ok_or_else(underflow)?;
        match &mut self.arena[list] {
            Node::List(list) => list.extend(items),
            _ => return Err(refuse("an element for something that is not a list".into())),
        }
        Ok(())
    }

    /// Keys and values, in turn, into the dictionary on top.
    fn set(&mut self, items: Vec<Id>) -> Result<()> {
        let &dict = self.stack.last().ok_or_else(underflow)?;
        match &mut self.arena[dict] {
            Node::Dict(pairs) if items.len().is_multiple_of(2) => {
                pairs.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
                Ok(())
            }
            _ => Err(refuse("a key without a dictionary or a value".into())),
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n);
        let bytes = end.and_then(|end| self.input.get(self.at..end));
        let bytes = bytes.ok_or_else(|| refuse("the file ends in the middle of it".into()))?;
        self.at += n;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        Ok(std::array::from_fn(|i| bytes[i]))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A length of `width` bytes, and as many bytes after it.
    fn counted(&mut self, width: usize) -> Result<&'a [u8]> {
        let mut length = [0; 8];
        length[..width].copy_from_slice(self.take(width)?);
        self.take(usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX))
    }

    fn string(&mut self, width: usize) -> Result<()> {
        let text = String::from_utf8_lossy(self.counted(width)?).into_owned();
        self.push(Node::Str(text));
        Ok(())
    }

    fn bytes(&mut self, width: usize) -> Result<()> {
        let bytes = self.counted(width)?.to_vec();
        self.push(Node::Bytes(bytes));
        Ok(())
    }

    /// A whole number in as few bytes as it needs, in two's complement; those past 64 bits are refused.
    fn long(&mut self, n: usize) -> Result<()> {
        let bytes = self.take(n)?;
        if n > 8 {
            return Err(refuse(format!("a whole number of {n} bytes")));
        }
        let negative = bytes.last().is_some_and(|&top| top >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..n].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(wide)));
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.input[self.at..];
        let end = rest.iter().position(|&b| b == b'\n');
        let end = end.ok_or_else(|| refuse("a name that does not end".into()))?;
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    fn text(&mut self) -> Result<String> {
        let id = self.pop()?;
        match self.node(id) {
            Node::Str(text) => Ok(text.clone()),
            other => Err(refuse(format!("{} where a name is needed", short(other)))),
        }
    }
}

fn underflow() -> crate::Error {
    refuse("it takes a value from an empty stack".into())
}
