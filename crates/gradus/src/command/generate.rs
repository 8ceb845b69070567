//! `gradus generate`: a language model goes on with a text.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use gradus_nlp::generate::{CausalLm, Generation, generate, text, tokens};
use gradus_nlp::models::{Config, causal_lm_on, load_causal_lm_on};
use gradus_nlp::tokenizers::Tokenizer;
use gradus_tensor::{Device, Error, Result};
use gradus_train::load_weights;
use gradus_train::progress::say;

use super::DeviceArgs;

/// The options of `gradus generate`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus generate --weights runs/gpt --prompt \"ROMEO:\"
  gradus generate --weights smollm2/ --prompt \"The capital of France is\" --greedy
  gradus generate --weights gpt2/ --prompt \"Once upon a time\" --temperature 0.8 --top-p 0.9 --stop \"\\n\\n\"
  gradus generate --weights gpt2/ --prompt \"A haiku:\" --beams 4
  gradus generate --weights stories260K.bin --tokenizer tok512.bin --prompt \"Once upon a time\"
  gradus generate --weights stories260K.bin --ids 1 403 407 --greedy

A model is a folder with config.json and weights as Hugging Face has them (GPT-2,
Llama, Mistral, Qwen 2 and 3), a run of `gradus train gpt` or `gradus train char-rnn`,
or a file of llama2.c. Its tokenizer lies in the folder, or is named.")]
pub struct GenerateArgs {
    /// The model: a folder, or a file of llama2.c.
    #[arg(long, value_name = "PATH")]
    weights: PathBuf,
    /// The text to go on with.
    #[arg(
        long,
        value_name = "TEXT",
        required_unless_present = "ids",
        conflicts_with = "ids"
    )]
    prompt: Option<String>,
    /// Ids instead of a text; what comes are ids too.
    #[arg(long, value_name = "ID", num_args = 1..)]
    ids: Vec<u32>,
    /// The tokenizer's file or folder, where it is not with the model.
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// At most so many new tokens.
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_new_tokens: usize,
    /// Take the likeliest token each time, rather than draw.
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "seed"])]
    greedy: bool,
    /// Below 1 bolder draws, above 1 wilder ones.
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f64,
    /// Draw from the K likeliest tokens (0: all).
    #[arg(long, value_name = "K", default_value_t = 50)]
    top_k: usize,
    /// Draw from the likeliest tokens that have this probability together.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f64,
    /// Above 1, tokens that were there become less likely.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    repetition_penalty: f64,
    /// Beam search with so many texts at once.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["temperature", "top_k", "top_p", "seed"])]
    beams: usize,
    /// Above 1, beam search prefers longer texts.
    #[arg(long, value_name = "POWER", default_value_t = 1.0, requires = "beams")]
    length_penalty: f64,
    /// End before this text (may be repeated); \\n is a new line.
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// What draws: the same seed, the same text.
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Threads to compute with; by default as many as there are cores. The result does not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Read each token by one launch of a CUDA graph; the text is the same. Needs --device cuda.
    #[arg(long, conflicts_with = "beams")]
    cuda_graph: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &GenerateArgs) -> Result<ExitCode> {
    super::set_threads(args.threads)?;
    let device = args.device.open()?;
    super::check_graph(args.cuda_graph, &device)?;
    let model = load(&args.weights, &device)?;
    let model = &*model;
    let options = Generation {
        max_new_tokens: args.max_new_tokens,
        do_sample: !args.greedy && args.beams == 1,
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        repetition_penalty: args.repetition_penalty,
        num_beams: args.beams,
        length_penalty: args.length_penalty,
        context_shift: args.beams == 1,
        cuda_graph: args.cuda_graph,
        eos_token_id: model.eos_token_id(),
        seed: args.seed,
        ..Generation::default()
    };
    let started = Instant::now();
    let (prompt, seen) = match &args.prompt {
        None => (args.ids.len(), by_ids(model, &args.ids, &options)?),
        Some(prompt) => {
            let tokenizer = tokenizer(args)?;
            let stop: Vec<String> = args
                .stop
                .iter()
                .map(|stop| stop.replace("\\n", "\n"))
                .collect();
            let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
            let ids = tokenizer.encode(prompt)?.ids;
            (
                ids.len(),
                by_text(model, &tokenizer, prompt, &ids, &options, &stop)?,
            )
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let new = seen.saturating_sub(prompt);
    say(&format!(
        "({prompt} tokens read, {new} written, {:.0} tokens a second)",
        (prompt + new) as f64 / seconds.max(1e-9)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Shows ids as they come; returns how many there are with the prompt's.
fn by_ids(model: &dyn CausalLm, prompt: &[u32], options: &Generation) -> Result<usize> {
    let shown: Vec<String> = prompt.iter().map(u32::to_string).collect();
    show(&shown.join(" "))?;
    if options.num_beams > 1 {
        let new = generate(model, prompt, options)?;
        let shown: Vec<String> = new.iter().map(|id| format!(" {id}")).collect();
        show(&format!("{}\n", shown.concat()))?;
        return Ok(prompt.len() + new.len());
    }
    let mut new = tokens(model, prompt, options)?;
    for id in new.by_ref() {
        show(&format!(" {}", id?))?;
    }
    show("\n")?;
    Ok(new.seen().len())
}

/// Shows text as it comes; returns how many tokens there are with the prompt's.
fn by_text(
    model: &dyn CausalLm,
    tokenizer: &Tokenizer,
    prompt: &str,
    ids: &[u32],
    options: &Generation,
    stop: &[&str],
) -> Result<usize> {
    if options.num_beams > 1 {
        let new = generate(model, ids, options)?;
        let all = tokenizer.decode(&[ids, &new].concat(), true)?;
        let shown = all.strip_prefix(prompt).unwrap_or(&all);
        let end = stop
            .iter()
            .filter_map(|stop| shown.find(stop))
            .min()
            .unwrap_or(shown.len());
        show(&format!("{prompt}{}\n", &shown[..end]))?;
        return Ok(ids.len() + new.len());
    }
    let mut pieces = text(model, tokenizer, prompt, options, stop)?;
    show(prompt)?;
    for piece in pieces.by_ref() {
        show(&piece?)?;
    }
    show("\n")?;
    Ok(pieces.seen().len())
}

/// Writes to standard output at once. A reader that has gone is no error.
fn show(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("", "cannot write to standard output", e))
        }
        _ => Ok(()),
    }
}

/// Hugging Face's folders and llama2.c's files, and the runs of `gradus train`, whose weights have the trainer's things beside them.
fn load(path: &Path, device: &Device) -> Result<Box<dyn CausalLm>> {
    let last = path.join("last.safetensors");
    if !last.is_file() {
        return load_causal_lm_on(path, device);
    }
    let best = path.join("best.safetensors");
    let (state, _) = load_weights(if best.is_file() { &best } else { &last })?;
    causal_lm_on(&Config::load(path)?, state, device)
}

fn tokenizer(args: &GenerateArgs) -> Result<Tokenizer> {
    match &args.tokenizer {
        Some(path) => Tokenizer::from_file(path),
        None if args.weights.is_dir() => Tokenizer::from_file(&args.weights),
        None => {
            let text = "the model is a single file: name its tokenizer with --tokenizer, or give --ids instead of --prompt";
            Err(Error::value("", text))
        }
    }
}
