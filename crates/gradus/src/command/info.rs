//! `gradus info`: what is in a file of weights.

use std::path::Path;
use std::process::ExitCode;

use gradus_tensor::safetensors::{Metadata, SafeTensors};
use gradus_tensor::{Result, weights};
use gradus_train::progress::{say, thousands};

use super::{InfoArgs, checkpoint_file};

/// What is said of a tensor.
struct Row {
    name: String,
    dtype: String,
    shape: String,
    numbers: u64,
    bytes: u64,
}

pub fn run(args: &InfoArgs) -> Result<ExitCode> {
    let path = checkpoint_file(&args.file)?;
    let (mut rows, metadata) = read(&path)?;
    let all = rows.len();
    rows.retain(|row| args.all || !row.name.starts_with('@'));
    let width = |header: &str, cell: fn(&Row) -> &str| {
        let cells = rows.iter().map(|row| cell(row).chars().count());
        cells.max().unwrap_or(0).max(header.len())
    };
    let name_width = width("tensor", |row| &row.name);
    let type_width = width("dtype", |row| &row.dtype);
    let shape_width = width("shape", |row| &row.shape);
    say(&path.display().to_string());
    say(&format!(
        "{:name_width$}  {:type_width$}  {:shape_width$}  {:>14}",
        "tensor", "dtype", "shape", "numbers"
    ));
    let (mut total, mut bytes) = (0u64, 0u64);
    for row in &rows {
        say(&format!(
            "{:name_width$}  {:type_width$}  {:shape_width$}  {:>14}",
            row.name,
            row.dtype,
            row.shape,
            thousands(row.numbers)
        ));
        total = total.saturating_add(row.numbers);
        bytes = bytes.saturating_add(row.bytes);
    }
    say(&format!(
        "{} tensors, {} numbers, {} bytes",
        rows.len(),
        thousands(total),
        thousands(bytes)
    ));
    let hidden = all - rows.len();
    if hidden > 0 {
        say(&format!(
            "and {hidden} tensors of the trainer's (--all lists them)"
        ));
    }
    for (key, value) in &metadata {
        say(&format!("{key}: {value}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The tensors of a file and the strings beside them. Of a single safetensors file only the header is read, so that element types
/// that Gradus does not have are listed too.
fn read(path: &Path) -> Result<(Vec<Row>, Metadata)> {
    let row = |name: &str, dtype: &str, shape: &[usize], bytes: usize| Row {
        name: name.to_owned(),
        dtype: dtype.to_owned(),
        shape: format!("{shape:?}"),
        numbers: shape.iter().fold(1, |n, &d| n.saturating_mul(d as u64)),
        bytes: bytes as u64,
    };
    if let Ok(file) = SafeTensors::open(path) {
        let rows = file
            .infos()
            .map(|(name, info)| row(name, &info.dtype, &info.shape, info.bytes));
        return Ok((rows.collect(), file.metadata().clone()));
    }
    let tensors = weights::load(path)?;
    let rows = tensors.iter().map(|(name, tensor)| {
        let bytes = tensor.numel() * tensor.dtype().size();
        row(
            name,
            &tensor.dtype().name().to_uppercase(),
            tensor.dims(),
            bytes,
        )
    });
    Ok((rows.collect(), Metadata::new()))
}
