//! Crash drills with the real program: killed at random moments, stopped by signals, spread over threads. Whatever happens on
//! the way, the run must end with the same bits.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use gradus_tensor::{DType, Tensor};
use gradus_train::{Checkpoint, Draw};

fn gradus(arguments: &str, out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradus"));
    command
        .args(arguments.split_whitespace())
        .arg("--out")
        .arg(out);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(arguments: &str, out: &Path) -> Output {
    let output = gradus(arguments, out).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "gradus {arguments}: {}: {error}",
        output.status
    );
    output
}

fn last(out: &Path) -> Checkpoint {
    Checkpoint::load(out.join("last.safetensors")).unwrap()
}

/// A tensor's values as bits, whatever its dtype.
fn bits(tensor: &Tensor) -> Vec<u64> {
    if tensor.dtype().is_float() {
        let values = tensor
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec::<f64>()
            .unwrap();
        values.into_iter().map(f64::to_bits).collect()
    } else {
        let values = tensor
            .to_dtype(DType::I64)
            .unwrap()
            .to_vec::<i64>()
            .unwrap();
        values.into_iter().map(|v| v as u64).collect()
    }
}

/// Everything but the seconds must agree to the last bit.
fn assert_same(a: &Checkpoint, b: &Checkpoint, what: &str) {
    for (kind, a, b) in [
        ("weights", &a.model, &b.model),
        ("optimiser", &a.optimizer, &b.optimizer),
    ] {
        assert!(!a.is_empty(), "{what}: no {kind}");
        assert!(a.keys().eq(b.keys()), "{what}: other {kind}");
        for (name, tensor) in a {
            assert_eq!(tensor.dims(), b[name].dims(), "{what}: {kind}: {name}");
            assert!(
                bits(tensor) == bits(&b[name]),
                "{what}: {kind}: {name} differs"
            );
        }
    }
    assert_eq!(
        (a.rng, &a.identity),
        (b.rng, &b.identity),
        "{what}: generator or batches"
    );
    let position = |c: &Checkpoint| (c.progress.epoch, c.progress.batch, c.progress.step);
    assert_eq!(position(a), position(b), "{what}: position");
    let rows = |c: &Checkpoint| -> Vec<Vec<u64>> {
        let rows = &c.progress.history.rows;
        rows.iter()
            .map(|row| row.values()[..7].iter().map(|v| v.to_bits()).collect())
            .collect()
    };
    assert_eq!(rows(a), rows(b), "{what}: history");
}

const EPOCHS: u64 = 3;
/// To be followed by the number of epochs.
const TINY: &str = "train mnist --limit 480 --validation 60 --batch-size 20 --seed 5 --epochs";

#[test]
fn killed_at_100_random_moments_while_saving() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let arguments = format!("{TINY} {EPOCHS} --model article --threads 1");
    run(&arguments, &whole);
    let want = last(&whole);

    let mut dice = Draw::new(2024);
    let (mut kills, mut runs, mut mid_epoch) = (0, 0, 0);
    // A hundred kills, and as many more as it takes until enough of them fell into an epoch.
    let go_on = |kills: usize, mid_epoch: usize| kills < 100 || (mid_epoch <= 10 && kills < 400);
    while go_on(kills, mid_epoch) {
        // A run that saves after every step, killed and resumed until all is learnt; then it may evaluate and end.
        let out = folder.path().join(format!("killed{runs}"));
        runs += 1;
        let mut learnt = false;
        loop {
            let resume = if out.join("last.safetensors").is_file() {
                "--resume"
            } else {
                ""
            };
            let mut child = gradus(&format!("{arguments} --save-every 1 {resume}"), &out)
                .spawn()
                .unwrap();
            let mut ended = None;
            let kill = !learnt && go_on(kills, mid_epoch);
            if kill {
                std::thread::sleep(Duration::from_micros(dice.below(300_000)));
                ended = child.try_wait().unwrap();
            }
            if ended.is_none() && kill {
                child.kill().unwrap(); // SIGKILL
                child.wait().unwrap();
                kills += 1;
                for name in ["last.safetensors", "best.safetensors"] {
                    let file = out.join(name);
                    if file.exists() {
                        let checkpoint =
                            Checkpoint::load(&file).expect("a file that loads after every kill");
                        if name.starts_with("last") {
                            mid_epoch += usize::from(checkpoint.progress.batch > 0);
                            learnt = checkpoint.progress.epoch >= EPOCHS;
                        }
                    }
                }
                continue;
            }
            let status = ended.unwrap_or_else(|| child.wait().unwrap());
            assert!(status.success(), "run {runs}: {}", failure(child));
            break;
        }
        assert_same(
            &want,
            &last(&out),
            &format!("run {runs} after {kills} kills"),
        );
    }
    println!("{kills} kills in {runs} runs, {mid_epoch} of them within an epoch");
    assert!(
        mid_epoch > 10,
        "the kills must fall into training: {mid_epoch} did"
    );
}

fn failure(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["small", "article"] {
        let mut first: Option<Checkpoint> = None;
        for threads in [1, 2, 3, 8] {
            let out = folder.path().join(format!("{model}{threads}"));
            run(
                &format!("{TINY} 2 --model {model} --threads {threads}"),
                &out,
            );
            let this = last(&out);
            match &first {
                Some(first) => assert_same(first, &this, &format!("{model}, {threads} threads")),
                None => first = Some(this),
            }
        }
    }
}

#[test]
fn signals_save_and_leave_with_130_and_the_run_resumes_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    run(&format!("{TINY} 3"), &whole); // the small network: batch norm, dropout, augmentation, one-cycle
    let want = last(&whole);
    for (i, signal) in ["-INT", "-TERM", "-INT", "-INT"].into_iter().enumerate() {
        let out = folder.path().join(format!("stopped{i}"));
        let mut stops = 0;
        loop {
            let resume = if out.exists() { "--resume" } else { "" };
            let child = gradus(&format!("{TINY} 3 {resume}"), &out).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(150 + 130 * i as u64));
            let pid = child.id().to_string();
            let _ = Command::new("kill").args([signal, &pid]).status().unwrap();
            let output = child.wait_with_output().unwrap();
            match output.status.code() {
                Some(130) => {
                    let text = String::from_utf8_lossy(&output.stdout).into_owned();
                    assert!(
                        text.contains("go on with: gradus train mnist --resume --out"),
                        "{text}"
                    );
                    stops += 1;
                }
                Some(0) => break,
                // A signal before the program listens ends it like any other; nothing was begun then.
                None if !out.join("last.safetensors").exists() => {}
                other => panic!(
                    "{signal}: {other:?}: {}",
                    String::from_utf8_lossy(&output.stderr)
                ),
            }
            if stops == 3 {
                run(&format!("{TINY} 3 --resume"), &out);
                break;
            }
        }
        assert_same(
            &want,
            &last(&out),
            &format!("stopped {stops} times by {signal}"),
        );
    }
}
