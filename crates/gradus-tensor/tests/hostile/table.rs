//! One line for each operation, how it is run, and what the sources say there is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, Once, mpsc};
use std::time::{Duration, Instant};

use crate::draw::Draw;
use crate::guard;

/// An operation, and a call of it with drawn arguments that says whether it gave a value.
#[derive(Clone, Copy)]
pub struct Op {
    pub name: &'static str,
    pub call: fn(&Draw) -> bool,
}

/// `op!(g => narrow(g.dim(), g.int(), g.size()))`: a method on any tensor; `op!(g, x: g.float() => …)` on one made so;
/// `op!(g => Tensor::cat(…))` an associated function.
macro_rules! op {
    ($g:ident => Tensor::$name:ident($($args:tt)*)) => {
        $crate::table::Op { name: stringify!($name), call: |$g| $crate::look::look(gradus_tensor::Tensor::$name($($args)*)) }
    };
    ($g:ident => $name:ident($($args:tt)*)) => {
        $crate::table::Op { name: stringify!($name), call: |$g| $crate::look::look($g.x().$name($($args)*)) }
    };
    ($g:ident, $x:ident: $make:expr => $name:ident($($args:tt)*)) => {
        $crate::table::Op { name: stringify!($name), call: |$g| {
            let $x = $make;
            $crate::look::look($x.$name($($args)*))
        } }
    };
}
pub(crate) use op;

/// Where the newest panic was.
static PLACE: Mutex<String> = Mutex::new(String::new());

fn calls() -> u64 {
    std::env::var("GRADUS_HOSTILE")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(300)
}

/// Each operation `calls()` times. A call that has not returned after a minute has hung.
pub fn run(family: &'static str, ops: &[Op]) {
    gradus_tensor::set_allocation_limit(guard::TENSOR);
    if std::env::var_os("GRADUS_POOL").is_some_and(|v| v == "0") {
        gradus_tensor::set_pool_limit(0);
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string);
            *PLACE.lock().unwrap() = place.unwrap_or_default();
        }));
    });
    let (sender, receiver) = mpsc::channel();
    let ops = ops.to_vec();
    let worker = std::thread::spawn(move || {
        let mut failures = Vec::new();
        for op in ops {
            guard::CALLING.set(op.name);
            let (mut accepted, start) = (0, Instant::now());
            for call in 0..calls() {
                if call % 50 == 0 {
                    let _ = sender.send(op.name);
                }
                let draw = Draw::new(seed(op.name, call));
                match catch_unwind(AssertUnwindSafe(|| (op.call)(&draw))) {
                    Ok(value) => accepted += u64::from(value),
                    Err(panic) => {
                        failures.push(format!(
                            "{} (call {call}): {} at {}",
                            op.name,
                            text(&*panic),
                            PLACE.lock().unwrap()
                        ));
                        break;
                    }
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "{}: {} calls, {accepted} gave a value, {seconds:.2} s",
                op.name,
                calls()
            );
            if accepted == 0 && failures.is_empty() {
                failures.push(format!("{}: no call gave a value", op.name));
            }
        }
        failures
    });
    let mut last = "nothing";
    loop {
        match receiver.recv_timeout(Duration::from_mins(1)) {
            Ok(name) => last = name,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                println!("{family}: {last} does not return");
                panic!("{family}: {last} does not return");
            }
        }
    }
    let failures = worker.join().unwrap();
    if !failures.is_empty() {
        println!(
            "{family}: {} failed:\n{}",
            failures.len(),
            failures.join("\n")
        );
        panic!("{family}: {} operations failed", failures.len());
    }
}

/// FNV-1a of the name, so that an operation's calls do not depend on its place in the table.
fn seed(name: &str, call: u64) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ call.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

fn text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("?")
}

/// The names of all public operations: what the sources under `src/ops` and `src/creation.rs` define.
pub fn public_operations() -> Vec<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = Vec::new();
    let mut folders = vec![src.join("ops")];
    let mut files = vec![src.join("creation.rs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    for file in files {
        scan(&std::fs::read_to_string(file).unwrap(), &mut names);
    }
    assert!(names.len() > 300, "the sources are not read rightly");
    names.sort();
    names.dedup();
    names
}

/// `pub fn name`, and the names a macro's call starts its lines with (`neg neg_ () SAME …;`).
fn scan(text: &str, names: &mut Vec<String>) {
    let word = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let (mut inside, mut tests, mut of_tensor) = (false, false, false);
    for line in text.lines() {
        if line.starts_with("impl") {
            of_tensor = line == "impl Tensor {";
        }
        tests |= line.starts_with("mod tests");
        if tests {
            return;
        }
        let trimmed = line.trim_start();
        if let Some(rest) = trimmed.strip_prefix("pub fn ") {
            let name = rest.split(['(', '<']).next().unwrap();
            // What is generic over tensors and variables is a method's own inside; methods of other types are not operations.
            let generic = rest.starts_with(&format!("{name}<T: Algebra>"));
            if word(name) && !generic && (of_tensor || line.starts_with("pub")) {
                names.push(name.to_owned());
            }
        }
        let opens = line.strip_suffix("! {").is_some_and(word);
        let known = ["unary", "binary", "compare", "logic", "predicates"];
        if opens {
            inside = known.contains(&&line[..line.len() - 3]);
        } else if line == "}" {
            inside = false;
        } else if inside && !trimmed.starts_with("//") {
            names.extend(
                trimmed
                    .split(' ')
                    .take_while(|s| word(s))
                    .map(str::to_owned),
            );
        }
    }
}

#[test]
fn the_sources_are_read_as_they_are_written() {
    let mut names = Vec::new();
    scan(
        "impl Tensor {\n    pub fn plain(&self) {}\n    pub(crate) fn hidden() {}\n}\nunary! {\n    /// Doc.\n    neg neg_ () SAME X;\n}\n",
        &mut names,
    );
    assert_eq!(names, ["plain", "neg", "neg_"]);
}
