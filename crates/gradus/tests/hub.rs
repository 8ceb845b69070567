//! Weights by name, from a server on this machine that does what the real one does, breaks off, lies, and has nothing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use gradus::hub::{Hub, Name};
use gradus::tensor::{Tensor, safetensors, weights};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A file of the server.
#[derive(Clone)]
struct File {
    bytes: Vec<u8>,
    tag: String,
    /// Large files are elsewhere: the answer leads there.
    large: bool,
    /// After so many bytes of a body the connection is gone, the next so many times.
    breaks: Vec<usize>,
    /// Gives everything, whatever range is asked for.
    no_ranges: bool,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn large(bytes: Vec<u8>) -> File {
    let tag = hex(&Sha256::digest(&bytes));
    File {
        bytes,
        tag,
        large: true,
        breaks: vec![],
        no_ranges: false,
    }
}

fn small(bytes: &[u8]) -> File {
    let mut blob = format!("blob {}\0", bytes.len()).into_bytes();
    blob.extend(bytes);
    let tag = hex(&sha1::Sha1::digest(&blob));
    File {
        bytes: bytes.to_vec(),
        tag,
        large: false,
        breaks: vec![],
        no_ranges: false,
    }
}

/// A server with the repository `someone/thing`, and the requests it was asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(files: impl IntoIterator<Item = (&'static str, File)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let files: BTreeMap<String, File> = files.into_iter().map(|(n, f)| (n.into(), f)).collect();
        let (log, files) = (Arc::clone(&asked), Arc::new(Mutex::new(files)));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, files) = (Arc::clone(&log), Arc::clone(&files));
                std::thread::spawn(move || answer(stream, &files, &log));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers one request and closes the connection.
fn answer(mut stream: TcpStream, files: &Mutex<BTreeMap<String, File>>, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let mut range = None;
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        if let Some(value) = line.to_lowercase().strip_prefix("range: bytes=") {
            let (from, to) = value.split_once('-').unwrap();
            range = Some((from.parse::<usize>().unwrap(), to.parse::<usize>().ok()));
        }
    }
    log.lock().unwrap().push(format!("{path} {range:?}"));
    let mut files = files.lock().unwrap();
    if path == "/api/models/someone/thing/revision/main" {
        let names: Vec<_> = files
            .keys()
            .map(|name| format!("{{\"rfilename\":\"{name}\"}}"))
            .collect();
        let json = format!(
            "{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}",
            names.join(",")
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            json.len()
        );
        let _ = stream.write_all((head + &json).as_bytes());
        return;
    }
    let elsewhere = path.strip_prefix("/elsewhere/");
    let name = path
        .strip_prefix("/someone/thing/resolve/main/")
        .or(elsewhere);
    let Some(file) = name.and_then(|name| files.get_mut(name)) else {
        let _ = stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let facts = format!("X-Repo-Commit: {COMMIT}\r\nConnection: close\r\n");
    if file.large && elsewhere.is_none() {
        let head = format!(
            "HTTP/1.1 302 Found\r\n{facts}ETag: \"other\"\r\nX-Linked-ETag: \"{}\"\r\nX-Linked-Size: {}\r\nLocation: http://{}/elsewhere/{}\r\nContent-Length: 0\r\n\r\n",
            file.tag,
            file.bytes.len(),
            stream.local_addr().unwrap(),
            name.unwrap()
        );
        let _ = stream.write_all(head.as_bytes());
        return;
    }
    let all = file.bytes.len();
    let (from, to) = match range {
        Some((_, Some(0))) => (0, 1.min(all)),
        Some((from, _)) if !file.no_ranges => (from, all),
        _ => (0, all),
    };
    if from >= to {
        let _ = stream.write_all(
            b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        return;
    }
    let body = &file.bytes[from..to];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\n{facts}ETag: \"{}\"\r\nContent-Range: bytes {from}-{}/{all}\r\nContent-Length: {}\r\n\r\n",
        file.tag,
        to - 1,
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let whole = body.len() > 1;
    let end = match file.breaks.first() {
        Some(&at) if whole => {
            file.breaks.remove(0);
            at.min(body.len())
        }
        _ => body.len(),
    };
    let _ = stream.write_all(&body[..end]);
}

fn checkpoint() -> Vec<u8> {
    let x = Tensor::arange(0, 50_000, 1, gradus::tensor::DType::F32).unwrap();
    safetensors::to_bytes([("x", &x)], &BTreeMap::new()).unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn last_of_weights(folder: &Path) -> f32 {
    weights::load(folder).unwrap()["x"].to_vec::<f32>().unwrap()[49_999]
}

#[test]
fn a_repository_is_fetched_once() {
    let server = Server::start([
        ("model.safetensors", large(checkpoint())),
        ("config.json", small(b"{\"layers\": 2}")),
        ("README.md", small(b"a model")),
        ("pytorch_model.bin", small(b"the same again")),
    ]);
    let kept = tempfile::tempdir().unwrap();
    let hub = Hub::at(&server.address, kept.path()).unwrap();
    let folder = hub.fetch(&name("someone/thing")).unwrap();
    assert_eq!(last_of_weights(&folder), 49_999.0);
    assert_eq!(
        std::fs::read(folder.join("config.json")).unwrap(),
        b"{\"layers\": 2}"
    );
    assert!(!folder.join("pytorch_model.bin").exists() && !folder.join("README.md").exists());

    let asked = server.asked().len();
    assert_eq!(hub.fetch(&name("someone/thing")).unwrap(), folder);
    let file = hub.fetch(&name("someone/thing/model.safetensors")).unwrap();
    assert_eq!(file, folder.join("model.safetensors"));
    // What is here is not asked for again: only the list.
    assert_eq!(server.asked().len(), asked + 1);
    let nowhere = Hub::at("http://127.0.0.1:9", kept.path()).unwrap();
    assert_eq!(nowhere.fetch(&name("someone/thing")).unwrap(), folder);
}

/// The connection is gone twice in the middle: what has come stays, and the rest is asked for from there.
#[test]
fn a_download_goes_on_where_it_broke_off() {
    let mut file = large(checkpoint());
    file.breaks = vec![70_000, 1_000];
    let server = Server::start([("model.safetensors", file)]);
    let kept = tempfile::tempdir().unwrap();
    let hub = Hub::at(&server.address, kept.path()).unwrap();
    let path = hub.fetch(&name("someone/thing/model.safetensors")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), checkpoint());
    let starts: Vec<String> = server.asked();
    let starts = starts
        .iter()
        .filter(|line| line.starts_with("/elsewhere") && line.contains("None"));
    let starts: Vec<&str> = starts
        .map(|line| line.split(&['(', ','][..]).nth(2).unwrap())
        .collect();
    assert_eq!(starts, ["0", "70000", "71000"]);
}

/// A program that was stopped leaves a part, or a whole that was not renamed: both are taken up by the next one.
#[test]
fn what_an_earlier_program_left_is_used() {
    for left in [50_000, usize::MAX] {
        let file = large(checkpoint());
        let server = Server::start([("model.safetensors", file.clone())]);
        let kept = tempfile::tempdir().unwrap();
        let blobs = kept.path().join("models--someone--thing/blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        let part = &file.bytes[..left.min(file.bytes.len())];
        std::fs::write(blobs.join(format!("{}.part", file.tag)), part).unwrap();
        let hub = Hub::at(&server.address, kept.path()).unwrap();
        let path = hub.fetch(&name("someone/thing/model.safetensors")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), checkpoint());
        let from = part.len().min(file.bytes.len() - 1);
        assert!(
            server
                .asked()
                .iter()
                .any(|line| line.contains(&format!("({from}, None)")))
        );
    }
}

#[test]
fn what_is_not_what_the_server_says_is_thrown_away() {
    let mut other = large(checkpoint());
    other.bytes[1000] ^= 1;
    let mut small_one = small(b"{}");
    small_one.bytes = b"[]".to_vec();
    // A part of another file, and a server that begins at the start again.
    let mut stubborn = large(checkpoint());
    stubborn.no_ranges = true;
    stubborn.breaks = vec![70_000];
    for (file, at, always) in [
        (other, "model.safetensors", true),
        (small_one, "config.json", true),
        (stubborn, "model.safetensors", false),
    ] {
        let server = Server::start([(at, file)]);
        let kept = tempfile::tempdir().unwrap();
        let hub = Hub::at(&server.address, kept.path()).unwrap();
        let wanted = name(&format!("someone/thing/{at}"));
        let error = hub.fetch(&wanted).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        let folder = kept.path().join("models--someone--thing");
        let blobs = std::fs::read_dir(folder.join("blobs")).unwrap();
        let blobs: Vec<_> = blobs
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_none())
            .collect();
        assert!(blobs.is_empty(), "{blobs:?}");
        assert!(!folder.join("snapshots").join(COMMIT).join(at).exists());
        // Nor is it found in the cache; what broke off by chance comes whole the next time.
        assert_eq!(hub.fetch(&wanted).is_err(), always);
    }
}

#[test]
fn servers_that_lie_and_files_that_are_not_there_are_errors() {
    for tag in ["../../../../outside", "no-hash", ""] {
        let mut file = small(b"{}");
        file.tag = tag.into();
        let server = Server::start([("config.json", file)]);
        let kept = tempfile::tempdir().unwrap();
        let hub = Hub::at(&server.address, kept.path()).unwrap();
        let error = hub
            .fetch(&name("someone/thing/config.json"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no hash"), "{error}");
    }
    let server = Server::start([("README.md", small(b"only words"))]);
    let kept = tempfile::tempdir().unwrap();
    let hub = Hub::at(&server.address, kept.path()).unwrap();
    let error = |text: &str| hub.fetch(&name(text)).unwrap_err().to_string();
    assert!(error("someone/thing").contains("has no weights"));
    assert!(error("someone/thing/absent.bin").contains("404"));
    assert!(error("nobody/nothing").contains("404"));
    let nowhere = Hub::at("http://127.0.0.1:9", kept.path()).unwrap();
    assert!(nowhere.fetch(&name("someone/thing/x.bin")).is_err());
}

#[test]
fn several_files_are_one_checkpoint() {
    let part = |name: &'static str, value: f32| {
        let bytes = safetensors::to_bytes([(name, &Tensor::scalar(value))], &BTreeMap::new());
        large(bytes.unwrap())
    };
    let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let server = Server::start([
        ("model.safetensors.index.json", small(index)),
        ("model-00001-of-00002.safetensors", part("a", 1.0)),
        ("model-00002-of-00002.safetensors", part("b", 2.0)),
    ]);
    let kept = tempfile::tempdir().unwrap();
    let hub = Hub::at(&server.address, kept.path()).unwrap();
    let folder = hub.fetch(&name("someone/thing")).unwrap();
    assert_eq!(
        weights::load(&folder).unwrap()["b"].item::<f32>().unwrap(),
        2.0
    );
    let asked = server.asked().len();
    hub.fetch(&name("someone/thing")).unwrap();
    assert_eq!(server.asked().len(), asked + 1);
    let nowhere = Hub::at("http://127.0.0.1:9", kept.path()).unwrap();
    assert_eq!(nowhere.fetch(&name("someone/thing")).unwrap(), folder);
}

/// The command finds server and folder in the environment.
#[test]
fn the_command_takes_names() {
    let server = Server::start([("model.safetensors", large(checkpoint()))]);
    let home = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gradus"))
        .args(["info", "hf:someone/thing"])
        .env("HF_ENDPOINT", &server.address)
        .env("HF_HOME", home.path())
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("50,000"), "{text}");
    assert!(home.path().join("hub/models--someone--thing").is_dir());
}
