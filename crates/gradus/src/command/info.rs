//! `gradus info`: what is in a safetensors file.

use std::process::ExitCode;

use gradus_tensor::Result;
use gradus_tensor::safetensors::SafeTensors;
use gradus_train::progress::{say, thousands};

use super::{InfoArgs, checkpoint_file};

pub fn run(args: &InfoArgs) -> Result<ExitCode> {
    let path = checkpoint_file(&args.file)?;
    let file = SafeTensors::open(&path)?;
    let shown = |name: &str| args.all || !name.starts_with('@');
    let rows: Vec<(&str, &str, String, u64)> = file
        .infos()
        .filter(|(name, _)| shown(name))
        .map(|(name, info)| {
            let numbers = info
                .shape
                .iter()
                .fold(1u64, |n, &d| n.saturating_mul(d as u64));
            (
                name,
                info.dtype.as_str(),
                format!("{:?}", info.shape),
                numbers,
            )
        })
        .collect();
    let width = |header: &str, cells: &mut dyn Iterator<Item = usize>| {
        cells.max().unwrap_or(0).max(header.len())
    };
    let name_width = width("tensor", &mut rows.iter().map(|r| r.0.chars().count()));
    let type_width = width("dtype", &mut rows.iter().map(|r| r.1.len()));
    let shape_width = width("shape", &mut rows.iter().map(|r| r.2.len()));
    say(&path.display().to_string());
    say(&format!(
        "{:name_width$}  {:type_width$}  {:shape_width$}  {:>14}",
        "tensor", "dtype", "shape", "numbers"
    ));
    let mut total = 0u64;
    for (name, dtype, shape, numbers) in &rows {
        say(&format!(
            "{name:name_width$}  {dtype:type_width$}  {shape:shape_width$}  {:>14}",
            thousands(*numbers)
        ));
        total = total.saturating_add(*numbers);
    }
    let bytes: u64 = file
        .infos()
        .filter(|(name, _)| shown(name))
        .map(|(_, info)| info.bytes as u64)
        .sum();
    say(&format!(
        "{} tensors, {} numbers, {} bytes",
        rows.len(),
        thousands(total),
        thousands(bytes)
    ));
    let hidden = file.infos().count() - rows.len();
    if hidden > 0 {
        say(&format!(
            "and {hidden} tensors of the trainer's (--all lists them)"
        ));
    }
    for (key, value) in file.metadata() {
        say(&format!("{key}: {value}"));
    }
    Ok(ExitCode::SUCCESS)
}
