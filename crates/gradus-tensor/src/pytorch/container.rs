//! Where the bytes are: the zip archive of PyTorch 1.6 and later, and the legacy file before it.
//!
//! ```text
//! zip      NAME/data.pkl, NAME/byteorder, NAME/data/KEY for each storage (stored, 64-byte aligned: a view of the map serves)
//! legacy   pickles: magic number, protocol 1001, facts of the system, THE VALUE, list of keys; then for each key 8 bytes
//!          of count and the elements
//! ```

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use rawzip::{CompressionMethod, ZipArchive, ZipSliceEntry};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::file::Bytes;
use crate::tensor::Tensor;

use super::pickle::{Machine, Node};
use super::{OP, refuse};

/// A pickle of the number 0x1950a86a20f9469cfc6c: how legacy files begin.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
const PROTOCOL: i64 = 1001;

type Shared = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A file with its pickle found.
pub(super) struct Container {
    /// The whole file, if the pickle or a storage lies in it as it is.
    file: Shared,
    pickle: Place,
    storages: Storages,
}

/// Bytes within the file, or unpacked.
enum Place {
    File(std::ops::Range<usize>),
    Own(Shared),
}

enum Storages {
    Zip(HashMap<String, Place>),
    /// First byte of the elements, and their count as the file says it.
    Legacy(HashMap<String, (usize, usize)>),
}

impl Container {
    pub fn open(bytes: Bytes) -> Result<Self> {
        let file: Shared = Arc::new(bytes);
        let data = (*file).as_ref();
        if data.starts_with(b"PK") {
            return Self::zip(Arc::clone(&file));
        }
        if data.starts_with(LEGACY) {
            return Self::legacy(Arc::clone(&file));
        }
        Err(refuse(
            "it is neither a zip archive nor a legacy PyTorch file (what torch.save writes)".into(),
        ))
    }

    /// The pickle of the value.
    pub fn pickle(&self) -> &[u8] {
        self.bytes(&self.pickle)
    }

    fn bytes<'a>(&'a self, place: &'a Place) -> &'a [u8] {
        match place {
            Place::File(range) => &(*self.file).as_ref()[range.clone()],
            Place::Own(bytes) => (**bytes).as_ref(),
        }
    }

    /// A storage as a flat tensor: a view of the file where alignment allows.
    pub fn storage(&self, key: &str, dtype: DType, numel: usize) -> Result<Tensor> {
        let missing = || {
            refuse(format!(
                "the elements of storage {key:?} are not in the file"
            ))
        };
        let (owner, at) = match &self.storages {
            Storages::Zip(entries) => match entries.get(key).ok_or_else(missing)? {
                Place::File(range) => {
                    let bytes = numel.checked_mul(dtype.size());
                    if bytes.is_none_or(|bytes| bytes > range.len()) {
                        return Err(missing());
                    }
                    (&self.file, range.start)
                }
                Place::Own(bytes) => (bytes, 0),
            },
            Storages::Legacy(places) => {
                let &(at, count) = places.get(key).ok_or_else(missing)?;
                if count != numel {
                    let text = format!("storage {key:?} has {count} elements, not {numel}");
                    return Err(refuse(text));
                }
                (&self.file, at)
            }
        };
        Tensor::from_shared_bytes(owner, at, [numel], dtype)
            .map_err(|e| refuse(format!("storage {key:?}: {e}")))
    }

    fn zip(file: Shared) -> Result<Self> {
        let broken = |e: rawzip::Error| refuse(format!("a damaged zip archive: {e}"));
        let data = (*file).as_ref();
        let archive = ZipArchive::from_slice(data).map_err(broken)?;
        let (mut pickle, mut storages, mut script) = (None, HashMap::new(), false);
        // What compressed entries may unpack to in all: several may lie in the same place.
        let mut room = (data.len() as u64).saturating_mul(MOST_INFLATED);
        let mut entries = archive.entries();
        while let Some(header) = entries.next_entry().map_err(broken)? {
            let name = String::from_utf8_lossy(header.file_path().as_ref()).into_owned();
            let inner = name.split_once('/').map_or("", |(_, inner)| inner);
            script |= inner.starts_with("code/") || inner == "constants.pkl";
            let key = inner.strip_prefix("data/");
            if key.is_none() && inner != "byteorder" && inner != "data.pkl" {
                continue;
            }
            let entry = archive.get_entry(header.wayfinder()).map_err(broken)?;
            let method = header.compression_method();
            if let Some(key) = key {
                storages.insert(
                    key.to_owned(),
                    place(data, &name, method, &entry, &mut room)?,
                );
            } else if inner == "data.pkl" {
                pickle = Some(place(data, &name, method, &entry, &mut room)?);
            } else if (*unpack(&name, method, &entry, &mut room)?).as_ref() != b"little" {
                return Err(Error::unsupported(OP, "a file of a big-endian machine"));
            }
        }
        let Some(pickle) = pickle else {
            return Err(refuse(
                "a zip archive without data.pkl: torch.save did not write it".into(),
            ));
        };
        if script {
            return Err(Error::unsupported(
                OP,
                "a TorchScript program; save its state_dict() in Python and read that",
            ));
        }
        Ok(Self {
            file,
            pickle,
            storages: Storages::Zip(storages),
        })
    }

    fn legacy(file: Shared) -> Result<Self> {
        let data = (*file).as_ref();
        let mut at = LEGACY.len();
        let (machine, version, length) = Machine::run(&data[at..])?;
        if !matches!(machine.node(version), Node::Int(PROTOCOL)) {
            let text = format!("protocol {:?}, not {PROTOCOL}", machine.node(version));
            return Err(refuse(text));
        }
        at += length;
        let (machine, facts, length) = Machine::run(&data[at..])?;
        if let Node::Dict(facts) = machine.node(facts) {
            let big = facts.iter().any(|&(key, value)| {
                matches!(machine.node(key), Node::Str(s) if s == "little_endian")
                    && matches!(machine.node(value), Node::Bool(false))
            });
            if big {
                return Err(Error::unsupported(OP, "a file of a big-endian machine"));
            }
        }
        at += length;
        let start = at;
        let (value, _, length) = Machine::run(&data[at..])?;
        at += length;
        let pickle = Place::File(start..at);
        // How long each storage's elements are: the file does not say it where they lie.
        let mut dtypes = HashMap::new();
        for node in &value.arena {
            if let Node::Storage(storage) = node {
                dtypes.insert(storage.key.as_str(), storage.dtype.unwrap_or(DType::U8));
            }
        }
        let (machine, keys, length) = Machine::run(&data[at..])?;
        at += length;
        let Node::List(keys) = machine.node(keys) else {
            return Err(refuse("no list of storages after the value".into()));
        };
        let mut places = HashMap::new();
        for &key in keys {
            let Node::Str(key) = machine.node(key) else {
                return Err(refuse("a storage without a name".into()));
            };
            let cut = || refuse(format!("the file ends before storage {key:?} does"));
            let dtype = dtypes.get(key.as_str());
            let dtype = dtype.ok_or_else(|| refuse(format!("storage {key:?} is of no tensor")))?;
            let count = at.checked_add(8).and_then(|end| data.get(at..end));
            let count = i64::from_le_bytes(count.ok_or_else(cut)?.try_into().map_err(|_| cut())?);
            let count = usize::try_from(count).map_err(|_| cut())?;
            at += 8;
            places.insert(key.clone(), (at, count));
            let end = count
                .checked_mul(dtype.size())
                .and_then(|n| at.checked_add(n));
            at = end.filter(|&end| end <= data.len()).ok_or_else(cut)?;
        }
        Ok(Self {
            pickle,
            storages: Storages::Legacy(places),
            file: Arc::clone(&file),
        })
    }
}

/// An entry of the archive: where it lies, if it is stored as it is.
fn place(
    file: &[u8],
    name: &str,
    method: CompressionMethod,
    entry: &ZipSliceEntry<'_>,
    room: &mut u64,
) -> Result<Place> {
    if method != CompressionMethod::STORE {
        return Ok(Place::Own(unpack(name, method, entry, room)?));
    }
    let bytes = entry.data();
    let start = bytes.as_ptr().addr().checked_sub(file.as_ptr().addr());
    let range = start.and_then(|at| Some(at..at.checked_add(bytes.len())?));
    let range = range.filter(|range| range.end <= file.len());
    let range = range.ok_or_else(|| refuse(format!("{name:?} reaches beyond the file")))?;
    Ok(Place::File(range))
}

/// How many bytes one byte of a deflated stream makes at most.
const MOST_INFLATED: u64 = 1032;

/// An entry's bytes, decompressed: at most as many as can come of what it takes, and as there is room for.
fn unpack(
    name: &str,
    method: CompressionMethod,
    entry: &ZipSliceEntry<'_>,
    room: &mut u64,
) -> Result<Shared> {
    let packed = entry.data();
    let limit = (packed.len() as u64).saturating_mul(MOST_INFLATED) + 64;
    let too_much = || refuse(format!("{name:?} unpacks to more than can be in the file"));
    let mut bytes = Vec::new();
    let read = match method {
        CompressionMethod::STORE => entry.verifying_reader(packed).read_to_end(&mut bytes),
        CompressionMethod::DEFLATE => {
            let inflater = flate2::bufread::DeflateDecoder::new(packed).take(limit.min(*room + 1));
            entry.verifying_reader(inflater).read_to_end(&mut bytes)
        }
        other => {
            return Err(Error::unsupported(
                OP,
                format!("{name:?} is packed by method {other}; torch.save stores or deflates"),
            ));
        }
    };
    read.map_err(|e| Error::io(OP, format!("cannot unpack {name:?}"), e))?;
    *room = room.checked_sub(bytes.len() as u64).ok_or_else(too_much)?;
    Ok(Arc::new(bytes))
}
