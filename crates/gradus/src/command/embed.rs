//! `gradus embed`: sentences as vectors, and how near their meanings are.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gradus_nlp::models::SentenceEncoder;
use gradus_nn::Module as _;
use gradus_tensor::{Error, Result, Tensor, safetensors};
use gradus_train::progress::say;

use super::DeviceArgs;

/// The options of `gradus embed`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus embed --weights minilm \"A cat sleeps.\" \"A kitten naps.\" \"Shares fell.\"
      how near each sentence is to each other: 1 is the same, 0 unrelated
  gradus embed --weights minilm --file faq.txt --query \"where is my parcel?\"
      the lines of a file, those nearest to the question first
  gradus embed --weights minilm --file faq.txt --out faq.safetensors
      the vectors themselves, one row for each line")]
pub struct EmbedArgs {
    /// The sentences; without any and without --file, the lines of standard input.
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// The folder of the encoder: config.json, its weights, its tokenizer.
    #[arg(long, value_name = "DIR")]
    weights: PathBuf,
    /// A file, each line of which is a sentence (may be repeated).
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Put the sentences in order of how near they are to this.
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// Show so many of them.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "query")]
    top: usize,
    /// Print each sentence's vector as a line of JSON.
    #[arg(long, conflicts_with = "query")]
    json: bool,
    /// Save the vectors (N, C) as `embeddings` in a .safetensors file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sentences computed at a time.
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch_size: usize,
    /// How many heads, where config.json does not say.
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Threads to compute with; by default as many as there are cores. The result does not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &EmbedArgs) -> Result<ExitCode> {
    super::set_threads(args.threads)?;
    let texts = texts(args)?;
    let device = args.device.open()?;
    let mut encoder = SentenceEncoder::with_heads(&args.weights, args.heads)?;
    encoder.to(&device)?;
    let vectors = encoder.embed(&texts, args.batch_size)?; // (N, C)
    if let Some(out) = &args.out {
        safetensors::save(out, [("embeddings", &vectors)], &Default::default())?;
        say(&format!(
            "{} vectors of {} numbers: {}",
            texts.len(),
            vectors.dims()[1],
            out.display()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        for i in 0..texts.len() {
            let row = vectors.select(0, i as i64)?.to_vec::<f32>()?;
            say(&serde_json::json!({ "text": texts[i], "embedding": row }).to_string());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(note) = encoder.note() {
        say(&format!("note: {note}"));
    }
    match &args.query {
        Some(query) => {
            let query = encoder.embed(std::slice::from_ref(query), 1)?; // (1, C)
            nearest(&vectors, &query, &texts, args.top)
        }
        None => similarities(&vectors, &texts),
    }
}

/// The sentences nearest to a question, the nearest first.
fn nearest(vectors: &Tensor, query: &Tensor, texts: &[String], top: usize) -> Result<ExitCode> {
    let near = vectors
        .matmul(&query.t()?)?
        .flatten(0, -1)?
        .to_vec::<f32>()?;
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by(|&a, &b| near[b].total_cmp(&near[a]));
    for &i in order.iter().take(top) {
        say(&format!("{:>6.3}  {}", near[i], texts[i]));
    }
    Ok(ExitCode::SUCCESS)
}

/// How near each sentence is to each other.
fn similarities(vectors: &Tensor, texts: &[String]) -> Result<ExitCode> {
    let n = texts.len();
    for (i, text) in texts.iter().enumerate() {
        say(&format!("{:>3}  {text}", i + 1));
    }
    if n == 1 {
        let start = vectors.flatten(0, -1)?.to_vec::<f32>()?;
        let start: Vec<String> = start.iter().take(8).map(|x| format!("{x:.4}")).collect();
        say(&format!(
            "\n[{}, …], {} numbers",
            start.join(", "),
            vectors.dims()[1]
        ));
        return Ok(ExitCode::SUCCESS);
    }
    if n > 20 {
        say("\nmore than 20 sentences: give --query TEXT, --out FILE or --json");
        return Ok(ExitCode::SUCCESS);
    }
    let near = vectors
        .matmul(&vectors.t()?)?
        .flatten(0, -1)?
        .to_vec::<f32>()?;
    let header = (1..=n)
        .map(|i| format!("{i:>7}"))
        .collect::<Vec<_>>()
        .concat();
    say(&format!("\n   {header}"));
    for (i, row) in near.chunks_exact(n).enumerate() {
        let cells = row
            .iter()
            .map(|x| format!("{x:>7.3}"))
            .collect::<Vec<_>>()
            .concat();
        say(&format!("{:>3}{cells}", i + 1));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the command line, the files or standard input give.
fn texts(args: &EmbedArgs) -> Result<Vec<String>> {
    let mut texts = args.texts.clone();
    let lines = |text: String| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(str::to_owned).collect()
    };
    for path in &args.file {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io("", format!("cannot read {}: {e}", path.display()), e))?;
        texts.extend(lines(text));
    }
    if args.texts.is_empty() && args.file.is_empty() {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|e| Error::io("", "cannot read standard input", e))?;
        texts = lines(text);
    }
    if texts.is_empty() {
        return Err(Error::value("", "there is no sentence to embed"));
    }
    Ok(texts)
}
