//! `cargo xtask conformance`: the library against values that PyTorch and others computed.
//!
//! The cases are frozen files (see the README beside them) in the directory `--vectors` or `GRADUS_VECTORS`. Each file's runner
//! is a module here; the five families of ops look their ops up in the [`registry`]. A file without a runner is reported as
//! unsupported by its name: nothing is skipped in silence.

#![allow(clippy::match_bool)] // in the families' one-line registrations a match reads best

mod args;
mod bad_files;
mod cases;
mod compare;
mod coverage;
mod elementwise;
mod embed;
mod layouts;
mod linalg;
mod manifest;
mod models;
mod models_hf;
mod nn;
mod nn_loss;
mod nn_spatial;
mod optim;
mod reduce;
mod registry;
mod report;
mod shape;
mod special;
mod tokenizers;
mod train;
mod ulp;
mod vision;

use std::path::{Path, PathBuf};

use gradus_tensor::{DType, Device};
use manifest::Vectors;
use registry::Registry;
use report::{FileReport, Verdict};

/// The families of op cases.
const FAMILIES: [&str; 5] = ["elementwise", "reduce", "shape", "linalg", "nn"];

/// Compare with frozen values of PyTorch and others
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where the vectors are [default: the environment variable GRADUS_VECTORS]
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
    /// Also write the full report here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the table of operations here; for a whole run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["op", "names"])]
    markdown: Option<PathBuf>,
    /// On this device: cpu, cuda, cuda:1, stand-in (a GPU's kernels where there is none); on a GPU the op families, what it does not have
    /// counted as unsupported [default: cpu]
    #[arg(long, value_name = "DEVICE", conflicts_with = "markdown")]
    device: Option<String>,
    /// On a GPU in this dtype: f32, compared with the vectors, or bf16 (or f16), compared with the CPU in the same dtype [default: f32]
    #[arg(long, value_name = "DTYPE", requires = "device")]
    dtype: Option<String>,
    /// Only these ops (of the op families)
    #[arg(long, value_name = "NAME")]
    op: Vec<String>,
    /// Which files: elementwise, reduce, … [default: all]
    names: Vec<String>,
}

/// Runs and prints; `Ok(true)` when nothing failed.
pub fn main(options: &Options) -> Result<bool, String> {
    let directory = options
        .vectors
        .clone()
        .or_else(|| std::env::var_os("GRADUS_VECTORS").map(PathBuf::from))
        .ok_or("where are the vectors? Give --vectors DIR or set GRADUS_VECTORS")?;
    let device = device(options.device.as_deref().unwrap_or("cpu"))?;
    let place = Place {
        device,
        dtype: dtype(options.dtype.as_deref().unwrap_or("f32"), &device)?,
    };
    let reports = run(&directory, &options.names, &options.op, &place)?;
    for report in &reports {
        println!("{report}");
    }
    let sum = |f: fn(&FileReport) -> usize| reports.iter().map(f).sum::<usize>();
    let of_ops = |f: fn(&FileReport) -> usize| {
        reports
            .iter()
            .filter(|r| FAMILIES.contains(&r.name.as_str()))
            .map(f)
            .sum::<usize>()
    };
    println!(
        "total: {} passed, {} failed, {} unsupported, {} not applicable; {} of {} ops pass",
        sum(|r| r.passed),
        sum(|r| r.failed),
        sum(|r| r.unsupported),
        sum(|r| r.not_applicable),
        of_ops(FileReport::ops_passing),
        of_ops(|r| r.ops.len()),
    );
    let write = |path: &Path, text: Vec<u8>| {
        std::fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
    };
    if let Some(path) = &options.json {
        write(
            path,
            serde_json::to_vec_pretty(&reports).map_err(|e| e.to_string())?,
        )?;
    }
    if let Some(path) = &options.markdown {
        write(path, coverage::markdown(&reports).into_bytes())?;
    }
    Ok(sum(|r| r.failed) == 0)
}

/// The name of gradus-cuda's GPU for machines that have none.
pub const STAND_IN: &str = "stand-in";

/// Makes the stand-in this process's first GPU.
pub fn stand_in() -> Result<(), String> {
    if !gradus_tensor::standin::has_compiler() {
        return Err("the stand-in for a GPU needs g++, on Linux".into());
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tmp");
    gradus_tensor::standin::load(&target);
    Ok(())
}

/// The device of that name.
fn device(name: &str) -> Result<Device, String> {
    let parsed = if name == STAND_IN {
        stand_in()?;
        Device::cuda(0)
    } else {
        name.parse()
    };
    parsed.map_err(|e| format!("--device {name}: {}", e.message()))
}

/// Where cases run, and, on a GPU, in which dtype.
#[derive(Clone, Copy)]
struct Place {
    device: Device,
    dtype: DType,
}

impl Place {
    /// The CPU, which takes f64 and f32 both.
    #[cfg(test)]
    const CPU: Self = Self {
        device: Device::Cpu,
        dtype: DType::F32,
    };
}

/// The dtype of a run on a GPU.
fn dtype(name: &str, device: &Device) -> Result<DType, String> {
    match name.parse::<DType>() {
        Ok(dtype @ DType::F32) => Ok(dtype),
        Ok(dtype @ (DType::BF16 | DType::F16)) if *device != Device::Cpu => Ok(dtype),
        Ok(_) => Err(format!(
            "--dtype {name}: it takes f32, and on a GPU bf16 or f16"
        )),
        Err(e) => Err(format!("--dtype {name}: {}", e.message())),
    }
}

/// The reports of the named files, or of all in the directory.
fn run(
    directory: &Path,
    names: &[String],
    ops: &[String],
    place: &Place,
) -> Result<Vec<FileReport>, String> {
    let mut present = present(directory)?;
    if place.device != Device::Cpu {
        present.retain(|name| FAMILIES.contains(&name.as_str()));
    }
    let names: Vec<String> = if names.is_empty() {
        present
            .iter()
            .filter(|name| ops.is_empty() || FAMILIES.contains(&name.as_str()))
            .cloned()
            .collect()
    } else {
        // `models_tv` is short for `models/models_tv`.
        let whole = |name: &str| {
            let inside = format!("/{name}");
            let found = present.iter().find(|p| p.ends_with(&inside));
            found.map_or_else(|| name.to_string(), Clone::clone)
        };
        names
            .iter()
            .map(|n| whole(n.trim_end_matches(".json")))
            .collect()
    };
    // Panics are verdicts here; their traces would drown the report. Where a panic aborts, its trace is all there is.
    let hook = std::panic::take_hook();
    if cfg!(panic = "unwind") {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let vectors = Vectors(directory);
    let registry = Registry::all();
    let only = |op: &str| ops.is_empty() || ops.iter().any(|o| o == op);
    let reports = names
        .iter()
        .map(|name| match name.as_str() {
            name if !present.contains(&name.to_string()) => {
                Err(format!("{} has no {name}.json", directory.display()))
            }
            name if FAMILIES.contains(&name) => cases::run(&vectors, name, &registry, &only, place),
            "special" => special::run(&vectors, &registry),
            "optim" => optim::run(&vectors),
            "tokenizers" => tokenizers::run(&vectors),
            "bpe_train" => tokenizers::run_training(&vectors),
            "train" => train::run(&vectors),
            "ulp" => ulp::run(&vectors, &registry),
            "vision_ops" => vision::run(&vectors),
            "models/models_tv" => models::run(&vectors, name, models::torchvision),
            "models/models_hf" => models::run(&vectors, name, models_hf::hugging_face),
            "minilm_embed" => embed::run(&vectors),
            "bad_safetensors" => bad_files::run(&vectors),
            name => Ok(without_runner(name)),
        })
        .collect();
    std::panic::set_hook(hook);
    reports
}

/// Every `NAME.json` (in subdirectories as `DIR/NAME`): the op families first, then by name.
fn present(directory: &Path) -> Result<Vec<String>, String> {
    let fail = |e: std::io::Error| format!("cannot read {}: {e}", directory.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let stem = |p: &Path| Some(p.file_stem()?.to_string_lossy().into_owned());
        if path.is_dir() {
            let inner = std::fs::read_dir(&path)
                .map_err(fail)?
                .flatten()
                .map(|e| e.path());
            let outer = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            names.extend(
                inner
                    .filter(|p| p.extension().is_some_and(|x| x == "json"))
                    .filter_map(|p| Some(format!("{outer}/{}", stem(&p)?))),
            );
        } else if path.extension().is_some_and(|x| x == "json") {
            names.extend(stem(&path));
        }
    }
    let rank = |name: &String| {
        FAMILIES
            .iter()
            .position(|f| f == name)
            .unwrap_or(FAMILIES.len())
    };
    names.sort_by_key(|name| (rank(name), name.clone()));
    Ok(names)
}

/// A file nothing here can run yet.
fn without_runner(name: &str) -> FileReport {
    let mut report = FileReport::new(name);
    report.add(name, name, Verdict::Unsupported("no runner".into()));
    report
}

#[cfg(test)]
mod tests {
    use gradus_tensor::DType;

    use super::{Place, STAND_IN, device};

    /// With `GRADUS_VECTORS` set, `cargo test` runs the conformance too.
    fn nothing_fails(place: &Place) {
        let Some(directory) = std::env::var_os("GRADUS_VECTORS") else {
            println!("skipped: no GRADUS_VECTORS");
            return;
        };
        let reports = super::run(directory.as_ref(), &[], &[], place).unwrap();
        let failed: Vec<_> = reports
            .iter()
            .filter(|r| r.failed > 0)
            .map(ToString::to_string)
            .collect();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        assert!(reports.iter().map(|r| r.passed).sum::<usize>() > 1000);
    }

    #[test]
    fn on_the_cpu() {
        nothing_fails(&Place::CPU);
    }

    /// In f32 beside the vectors, in bf16 beside the CPU; one after the other, since a bad index is told to who reads next.
    #[test]
    fn on_the_stand_in_for_a_gpu() {
        if !gradus_tensor::standin::has_compiler() {
            return;
        }
        let device = device(STAND_IN).unwrap();
        for dtype in [DType::F32, DType::BF16] {
            nothing_fails(&Place { device, dtype });
        }
    }
}
