//! Weights by name: files of a Hugging Face repository, fetched once and kept.
//!
//! [`hf_hub`] finds the files, fetches them and keeps them where every program of that family looks (`HF_HOME`, or the cache in the home
//! folder); `HF_ENDPOINT` names another server, `HF_TOKEN` a token. What it leaves open is done here: a download that broke off goes on
//! where it stopped, every file is checked against the hash the server names before anything reads it, what a server says of itself is
//! never taken for a path, and the progress bar is the house's. It is not a way to upload, and it asks for nothing that is there already.
//!
//! Only in builds with the feature `hub`: `cargo build --release --features hub`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use gradus_tensor::{Error, Result};
use gradus_train::progress::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Cache, Repo, RepoType};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The name under which errors appear.
const OP: &str = "hub";
/// How often a download that breaks off is taken up again, if nothing of it comes any more.
const TRIES: usize = 5;

/// `owner/name`, `owner/name@revision`, either with `/path/in/the/repository` behind it.
///
/// ```
/// use gradus::hub::Name;
/// let name: Name = "timm/resnet18.a1_in1k@main/model.safetensors".parse()?;
/// assert_eq!((name.repository.as_str(), name.revision.as_str()), ("timm/resnet18.a1_in1k", "main"));
/// assert_eq!(name.file.as_deref(), Some("model.safetensors"));
/// assert!("../../secret".parse::<Name>().is_err());
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Owner and name.
    pub repository: String,
    /// A branch, a tag or a commit: `main` where none is given.
    pub revision: String,
    /// One file; without it, the weights and what belongs to them.
    pub file: Option<String>,
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let wrong = || {
            let form = "owner/name, owner/name@revision or owner/name/file";
            Error::value(
                OP,
                format!("{text:?} is no name of a repository; give {form}"),
            )
        };
        let [owner, name, file @ ..] = &parts[..] else {
            return Err(wrong());
        };
        let (name, revision) = name.split_once('@').unwrap_or((*name, "main"));
        if ![*owner, name, revision]
            .into_iter()
            .chain(file.iter().copied())
            .all(plain)
        {
            return Err(wrong());
        }
        Ok(Self {
            repository: format!("{owner}/{name}"),
            revision: revision.to_owned(),
            file: (!file.is_empty()).then(|| file.join("/")),
        })
    }
}

/// May this be a part of a path?
fn plain(part: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    !part.is_empty() && part.chars().all(known) && part.chars().any(|c| c != '.')
}

/// A server and where its files are kept.
pub struct Hub {
    api: Api,
    cache: Cache,
    shown: bool,
}

impl Hub {
    /// The server and the folder that the environment names, with progress bars.
    ///
    /// # Errors
    /// When no client can be set up.
    pub fn from_env() -> Result<Self> {
        let token = std::env::var("HF_TOKEN")
            .ok()
            .filter(|token| !token.is_empty());
        let endpoint = std::env::var("HF_ENDPOINT").ok();
        Self::new(Cache::from_env(), endpoint.as_deref(), token, true)
    }

    /// A server, by its address, with a folder for its files and without progress bars.
    ///
    /// # Errors
    /// When no client can be set up.
    pub fn at(endpoint: &str, folder: impl Into<PathBuf>) -> Result<Self> {
        Self::new(Cache::new(folder.into()), Some(endpoint), None, false)
    }

    fn new(
        cache: Cache,
        endpoint: Option<&str>,
        token: Option<String>,
        shown: bool,
    ) -> Result<Self> {
        let mut builder = ApiBuilder::from_cache(cache.clone()).with_progress(false);
        if let Some(endpoint) = endpoint.filter(|text| !text.is_empty()) {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        if token.is_some() {
            builder = builder.with_token(token);
        }
        let api = builder.build().map_err(|e| failed("the client", &e))?;
        Ok(Self { api, cache, shown })
    }

    /// Where the file, or the folder with the weights and what belongs to them, is on this machine; fetched if it is not there yet.
    ///
    /// Without a file in the name these are the repository's `.safetensors` (else `.bin`) weights under the names that
    /// [`weights::load`](gradus_tensor::weights::load) knows, and its `.json` and `.txt` files.
    ///
    /// # Errors
    /// There is no such repository or file, the connection fails again and again, or the file is not the one the server names.
    pub fn fetch(&self, name: &Name) -> Result<PathBuf> {
        let repo = || {
            let (repository, revision) = (name.repository.clone(), name.revision.clone());
            Repo::with_revision(repository, RepoType::Model, revision)
        };
        let remote = self.api.repo(repo());
        if let Some(file) = &name.file {
            return self.file(&remote, repo(), file);
        }
        // The list is asked for each time; without a connection what is here does.
        let info = match remote.info() {
            Ok(info) => info,
            Err(error) => {
                return self
                    .kept(repo())
                    .ok_or_else(|| failed(&name.repository, &error));
            }
        };
        let files: Vec<String> = info.siblings.into_iter().map(|s| s.rfilename).collect();
        let wanted = wanted(&files).ok_or_else(|| {
            let text = format!(
                "{} has no weights (model.safetensors, pytorch_model.bin)",
                name.repository
            );
            Error::value(OP, text)
        })?;
        // Weights last: when they are there, all is.
        let mut folder = None;
        for file in wanted {
            let path = self.file(&remote, repo(), file)?;
            let depth = file.split('/').count();
            folder = path.ancestors().nth(depth).map(Path::to_owned);
        }
        folder.ok_or_else(|| Error::value(OP, format!("{} is empty", name.repository)))
    }

    /// The folder of a repository whose weights were fetched before.
    fn kept(&self, repo: Repo) -> Option<PathBuf> {
        let cached = self.cache.repo(repo);
        let single = ["model.safetensors", "pytorch_model.bin"];
        let at = single.iter().find_map(|name| cached.get(name));
        if let Some(at) = at {
            return at.parent().map(Path::to_owned);
        }
        // Of several files the index is fetched before the others: all must be there.
        let index = [
            "model.safetensors.index.json",
            "pytorch_model.bin.index.json",
        ];
        let at = index.iter().find_map(|name| cached.get(name))?;
        let folder = at.parent()?.to_owned();
        let text = std::fs::read(&at).ok()?;
        let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let mut files = json.get("weight_map")?.as_object()?.values();
        files
            .all(|file| {
                file.as_str()
                    .is_some_and(|file| folder.join(file).is_file())
            })
            .then_some(folder)
    }

    /// One file: from the cache, or fetched and checked.
    fn file(&self, remote: &ApiRepo, repo: Repo, file: &str) -> Result<PathBuf> {
        if !file.split('/').all(plain) {
            return Err(Error::value(OP, format!("{file:?} is no name of a file")));
        }
        let cached = self.cache.repo(repo);
        if let Some(path) = cached.get(file) {
            return Ok(path);
        }
        let url = remote.url(file);
        let facts = self.api.metadata(&url).map_err(|e| failed(file, &e))?;
        let hash = Hash::of(&facts, file)?;
        let part = cached.blob_path(facts.etag()).with_extension("part");
        reopen(&part, facts.size() as u64).map_err(|e| broken(&part, e))?;

        let mut stuck = 0;
        let path = loop {
            let before = length(&part);
            let bar = Bar::new(file, self.shown);
            match remote.download_with_progress(file, bar) {
                Ok(path) => break path,
                Err(error) => {
                    let more = length(&part) > before;
                    stuck = if more { 0 } else { stuck + 1 };
                    if stuck >= TRIES || gives_up(&error) {
                        return Err(failed(file, &error));
                    }
                    std::thread::sleep(std::time::Duration::from_millis(100 << stuck.min(5)));
                }
            }
        };
        let whole = std::fs::canonicalize(&path).map_err(|e| broken(&path, e))?;
        let inside = std::fs::canonicalize(self.cache.path()).map_err(|e| broken(&path, e))?;
        if !whole.starts_with(inside) {
            return Err(Error::format(
                OP,
                format!("{file}: the server names a place outside the cache"),
            ));
        }
        let found = hash.same_of(&whole).map_err(|e| broken(&whole, e))?;
        if found == hash.hex {
            return Ok(path);
        }
        // Nobody shall read it, not even by way of the cache.
        let _ = std::fs::remove_file(&path);
        let _ = std::fs::remove_file(&whole);
        Err(Error::format(
            OP,
            format!(
                "{file} is damaged: its hash is {found}, the server says {}; it was removed, try again",
                hash.hex
            ),
        ))
    }
}

/// A part that is whole, but was not renamed any more: its last byte is fetched again, since a server gives no empty range.
fn reopen(part: &Path, size: u64) -> std::io::Result<()> {
    if size > 0 && length(part) >= size {
        std::fs::OpenOptions::new()
            .write(true)
            .open(part)?
            .set_len(size - 1)?;
    }
    Ok(())
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |facts| facts.len())
}

fn broken(path: &Path, source: std::io::Error) -> Error {
    Error::io(OP, format!("cannot read {}", path.display()), source)
}

fn failed(what: &str, error: &ApiError) -> Error {
    Error::value(OP, format!("{what}: {error}"))
}

/// Errors that trying again does not mend.
fn gives_up(error: &ApiError) -> bool {
    match error {
        // A status of 400 to 499 but for "too slow" and "too often": what was asked for is not there, or not ours.
        ApiError::RequestError(error) => match error.to_string().rsplit(' ').next() {
            Some(status) => status.starts_with('4') && !["408", "429"].contains(&status),
            None => false,
        },
        ApiError::IoError(error) => error.kind() == std::io::ErrorKind::StorageFull,
        _ => true,
    }
}

/// What the server says a file's hash is: of large files their SHA-256, of small ones git's SHA-1 of a blob.
struct Hash {
    hex: String,
    size: usize,
}

impl Hash {
    fn of(facts: &Metadata, file: &str) -> Result<Self> {
        let hex = facts.etag().to_lowercase();
        let is_hex = hex.chars().all(|c| c.is_ascii_hexdigit());
        if !(is_hex && [40, 64].contains(&hex.len())) {
            let text = format!(
                "{file}: the server's tag {:?} is no hash to check it by",
                facts.etag()
            );
            return Err(Error::format(OP, text));
        }
        if !plain(facts.commit_hash()) {
            let text = format!("{file}: {:?} is no commit", facts.commit_hash());
            return Err(Error::format(OP, text));
        }
        Ok(Self {
            hex,
            size: facts.size(),
        })
    }

    /// The hash of the same kind of a file here.
    fn same_of(&self, path: &Path) -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        Ok(if self.hex.len() == 64 {
            let mut sha = Sha256::new();
            std::io::copy(&mut file, &mut Hashing(&mut sha))?;
            hex(sha.finalize().as_slice())
        } else {
            let mut sha = Sha1::new();
            sha.update(format!("blob {}\0", self.size));
            std::io::copy(&mut file, &mut Hashing(&mut sha))?;
            hex(sha.finalize().as_slice())
        })
    }
}

/// A hash that is written to.
struct Hashing<'a, D: Digest>(&'a mut D);

impl<D: Digest> std::io::Write for Hashing<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What of a repository's files belongs to its weights, these last; `None` if there are none.
fn wanted(files: &[String]) -> Option<Vec<&String>> {
    let has = |name: &str| files.iter().any(|file| file == name);
    let (stem, ending) = [("model", ".safetensors"), ("pytorch_model", ".bin")]
        .into_iter()
        .find(|(stem, ending)| {
            has(&format!("{stem}{ending}")) || has(&format!("{stem}{ending}.index.json"))
        })?;
    let single = format!("{stem}{ending}");
    let weights = |file: &String| match has(&single) {
        true => *file == single,
        false => file.starts_with(&format!("{stem}-")) && file.ends_with(ending),
    };
    let beside = |file: &String| {
        let known = file.ends_with(".json") || file.ends_with(".txt");
        known && !file.contains('/') && !file.ends_with(".index.json")
    };
    let index = |file: &String| !has(&single) && *file == format!("{single}.index.json");
    let mut wanted: Vec<&String> = files.iter().filter(|f| beside(f) || index(f)).collect();
    wanted.extend(files.iter().filter(|f| weights(f)));
    Some(wanted)
}

/// The house's progress bar, fed by the client.
struct Bar {
    label: String,
    shown: bool,
    progress: Option<Progress>,
    done: u64,
    size: u64,
}

impl Bar {
    fn new(file: &str, shown: bool) -> Self {
        Self {
            label: file.rsplit('/').next().unwrap_or(file).to_owned(),
            shown,
            progress: None,
            done: 0,
            size: 0,
        }
    }
}

impl hf_hub::api::Progress for Bar {
    fn init(&mut self, size: usize, _: &str) {
        (self.size, self.done) = (size as u64, 0);
        self.progress = Some(Progress::start(
            self.label.clone(),
            self.size,
            0,
            self.shown,
        ));
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        let (done, size) = (self.done, self.size);
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        if let Some(progress) = &mut self.progress {
            progress.update(done, || {
                format!("{:.1} of {:.1} MB", megabytes(done), megabytes(size))
            });
        }
    }

    fn finish(&mut self) {
        self.progress = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        let name = |text: &str| text.parse::<Name>();
        let full = name("a/b@v1.0/sub/model.safetensors").unwrap();
        assert_eq!(
            (full.revision.as_str(), full.file.as_deref()),
            ("v1.0", Some("sub/model.safetensors"))
        );
        assert_eq!(name("a/b").unwrap().revision, "main");
        for bad in [
            "", "a", "a/", "/b", "../b", "a/..", "a/b/../c", "a/b@", "a/b@../x", "a/b?x=1",
            "a/b/c%2f",
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_a_repository_the_weights_and_what_belongs_to_them() {
        let files = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let all = files(&[
            "README.md",
            "config.json",
            "model.safetensors",
            "pytorch_model.bin",
            "vocab.txt",
            "onnx/config.json",
        ]);
        assert_eq!(
            wanted(&all).unwrap(),
            ["config.json", "vocab.txt", "model.safetensors"]
        );
        let several = files(&[
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "model-00001-of-00002.safetensors",
        ]);
        let found = wanted(&several).unwrap();
        assert_eq!(
            (found.len(), found[0].as_str()),
            (3, "model.safetensors.index.json")
        );
        assert!(wanted(&files(&["README.md", "flax_model.msgpack"])).is_none());
    }
}
