//! `gradus finetune bert --weights DIR --data FILE`: an encoder that has read much text learns to put texts into classes: pooled, with
//! dropout and a dense layer on it. Data, model and recipe stand here; the run itself is `run.rs`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_autograd::no_grad;
use gradus_nlp::models::{
    Config, Loaded, LoraOptions, Pooling, TextClassifier, TextEncoder, layer_wise, lora_state,
};
use gradus_nlp::tokenizers::{Tokenizer, Truncation};
use gradus_nlp::{EncodedTexts, LabelledTexts, TextBatch, part_in};
use gradus_nn::Module as _;
use gradus_nn::optim::AdamWOptions;
use gradus_nn::schedule::{LinearWarmup, Schedule};
use gradus_tensor::{Error, Result, safetensors};
use gradus_train::dataset::hold_out;
use gradus_train::metrics::ConfusionMatrix;
use gradus_train::progress::{say, thousands};
use gradus_train::{Count, DataLoader, Outcome};

use super::run::{Run, RunArgs, Show};
use super::settings::Settings;

/// Texts per batch where nothing is learnt.
const EVAL_BATCH: usize = 64;

/// The options of `gradus finetune bert`.
#[derive(Args, Clone, Default)]
#[command(after_help = "\
Examples:
  gradus finetune bert --weights minilm --data sst2
      a folder with train.tsv, dev.tsv and test.tsv: a text and its class in each line
  gradus finetune bert --weights roberta-base --data tickets.csv --epochs 5
      one file; a tenth of it is kept for the test
  gradus finetune bert --weights minilm --data sst2 --lora 8 --lr 0.001
      only thin matrices beside the layers learn
  gradus finetune bert --resume
      go on with the run in runs/bert

Recipe: pooler, dropout 0.1, a dense layer; 3 epochs of batches of 32 of like length, texts cut
at 128 tokens, AdamW at 0.00005, rising over the first tenth of the steps, then falling to 0.")]
pub struct FinetuneTextArgs {
    /// The folder of the encoder: config.json, its weights, its tokenizer.
    #[arg(long, value_name = "DIR", required_unless_present = "resume")]
    weights: Option<PathBuf>,
    /// Texts with classes: a .tsv or .csv file, or a folder with train, dev and test in it.
    #[arg(long, value_name = "PATH", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Texts each epoch is judged by [dev in the folder, or one in 20].
    #[arg(long, value_name = "FILE")]
    dev: Option<PathBuf>,
    /// Texts for the test at the end [test in the folder, or one in 10].
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Texts are cut to so many tokens [128].
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<u64>,
    /// What of a text the classes are read from: the pooler, the first token, or the mean or max of all
    /// [pooler; first for DistilBERT].
    #[arg(long, value_name = "NAME", value_parser = ["pooler", "first", "mean", "max"])]
    pooling: Option<String>,
    /// Dropout before the last layer [0.1].
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Leave the embeddings and so many of the first layers as they are.
    #[arg(long, value_name = "LAYERS")]
    freeze_below: Option<u64>,
    /// Leave parameters whose names begin so as they are, as bert.embeddings (may be repeated).
    #[arg(long, value_name = "PREFIX")]
    freeze: Vec<String>,
    /// Each layer's rate is that of the layer above times this.
    #[arg(long, value_name = "FACTOR")]
    layer_decay: Option<f64>,
    /// Only learn adapters of this width beside queries and values (LoRA).
    #[arg(long, value_name = "R")]
    lora: Option<u64>,
    /// How many heads, where config.json does not say.
    #[arg(long, value_name = "N")]
    heads: Option<u64>,
    #[command(flatten)]
    run: RunArgs,
}

pub fn run(args: &FinetuneTextArgs) -> Result<ExitCode> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
    let given = Settings::default()
        .with("weights", path(&args.weights))
        .with("data", path(&args.data))
        .with("dev", path(&args.dev))
        .with("test", path(&args.test))
        .with("max-length", args.max_length)
        .with("pooling", args.pooling.clone())
        .with("dropout", args.dropout)
        .with("freeze-below", args.freeze_below)
        .with(
            "freeze",
            (!args.freeze.is_empty()).then(|| args.freeze.join(" ")),
        )
        .with("layer-decay", args.layer_decay)
        .with("lora", args.lora)
        .with("heads", args.heads);
    let mut run = Run::begin(&args.run, "finetune bert", given, |_| {
        Settings::default()
            .with("epochs", Some(3u64))
            .with("batch-size", Some(32u64))
            .with("lr", Some(5e-5))
            .with("max-length", Some(128u64))
            .with("dropout", Some(0.1))
    })?;
    let settings = run.settings.clone();
    let folder = PathBuf::from(settings.text("weights").unwrap_or_default());
    let heads = settings.number("heads").map(|n| n as usize);
    let Loaded {
        encoder,
        report,
        padding,
        config,
        note,
    } = TextEncoder::from_pretrained(&folder, heads)?;
    let most = (settings.count("max-length")? as usize).min(encoder.longest());
    let mut tokenizer = Tokenizer::from_file(&folder)?;
    encoder.fits(&tokenizer)?;
    tokenizer.set_truncation(Some(Truncation::new(most)));
    tokenizer.set_padding(None);

    let texts = Texts::load(&settings)?;
    let classes = texts.train.classes.clone();
    let encode = |texts: &LabelledTexts| EncodedTexts::new(texts, &tokenizer, padding);
    let train = encode(&texts.train)?;
    let lengths = train.lengths();
    let train = DataLoader::new(train, run.batch_size)?
        .shuffle(true)
        .seed(run.seed)
        .group_by_length(lengths);
    let plain = |texts: &LabelledTexts| {
        let texts = encode(texts)?;
        let lengths = texts.lengths();
        Ok::<_, Error>(DataLoader::new(texts, EVAL_BATCH)?.group_by_length(lengths))
    };
    let (dev, test) = (plain(&texts.dev)?, plain(&texts.test)?);

    let pooling = match settings.text("pooling") {
        Some("pooler") => Pooling::Pooler,
        Some("mean") => Pooling::Mean,
        Some("max") => Pooling::Max,
        Some(_) => Pooling::First,
        None if matches!(encoder, TextEncoder::DistilBert(_)) => Pooling::First,
        None => Pooling::Pooler,
    };
    let dropout = settings.rate("dropout").unwrap_or(0.1);
    if !(0.0..1.0).contains(&dropout) {
        let text = format!("--dropout {dropout} must be from 0 to below 1");
        return Err(Error::value("", text));
    }
    let mut model = TextClassifier::new(encoder, pooling, dropout, classes.len())?;
    if let Some(r) = settings.number("lora") {
        model.encoder.adapt(&LoraOptions {
            r: r as usize,
            lora_alpha: 2.0 * r as f64,
            ..LoraOptions::default()
        })?;
    }
    if let Some(layers) = settings.number("freeze-below") {
        model.freeze_below(layers as usize);
    }
    for prefix in settings.text("freeze").unwrap_or_default().split(' ') {
        if !prefix.is_empty() && model.freeze(prefix) == 0 {
            let text = format!("--freeze {prefix}: no parameter's name begins so");
            return Err(Error::value("", text));
        }
    }

    let count = |texts: &LabelledTexts| thousands(texts.len() as u64);
    say(&format!(
        "data    {} texts to learn from, {} to judge epochs by, {} to test; {} classes: {}",
        count(&texts.train),
        count(&texts.dev),
        count(&texts.test),
        classes.len(),
        shown(&classes)
    ));
    let parameters = model.named_parameters();
    let learn = parameters.iter().filter(|(_, p)| !p.is_frozen());
    let learn: usize = learn.map(|(_, p)| p.numel()).sum();
    say(&format!(
        "model   {}: {} parameters, {} of them learn; from the checkpoint: {report}",
        folder.display(),
        thousands(model.num_params() as u64),
        thousands(learn as u64),
    ));
    if let Some(note) = note {
        say(&format!("note    {note}"));
    }
    run.introduce();

    let options = AdamWOptions {
        lr: run.lr,
        ..AdamWOptions::default()
    };
    let decay = settings.rate("layer-decay").unwrap_or(1.0);
    let mut optimizer = layer_wise(&model, &options, decay);
    let total = train.batches() * run.epochs as usize;
    let schedule: Box<dyn Schedule> = Box::new(LinearWarmup {
        warmup: total / 10,
        total,
    });
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let checkpoint = run.train(
        &Show {
            noun: "texts",
            title: &format!("{name} on {}", settings.data_name()),
        },
        &[
            ("gradus.model", &name),
            ("gradus.classes", &classes.join("\t")),
        ],
        &mut model,
        (&mut optimizer, Some(schedule)),
        &classify,
        &train,
        Some(&dev),
    )?;
    let Some(checkpoint) = checkpoint else {
        return Ok(Run::interrupted());
    };

    let table = confusion(&mut model, &test, &classes)?;
    if classes.len() <= 20 {
        say("\ntest texts: what they are (down) and what they were taken for (across)");
        say(table.to_string().trim_end());
    }
    if settings.has("lora") {
        let adapters = lora_state(&model);
        let file = run.out.join("adapter_model.safetensors");
        safetensors::save(&file, adapters.iter(), &Default::default())?;
        say(&format!("adapters:   {}", file.display()));
    }
    if !settings.has("lora") && matches!(pooling, Pooling::Pooler) {
        let saved = run.out.join("model");
        export(&saved, &folder, config, &model, &classes)?;
        say(&format!("model:      {}", saved.display()));
    }
    run.farewell(&checkpoint);
    say(&format!(
        "test accuracy: {:.2} %",
        table.accuracy().percent()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The model as Hugging Face lays one out: its `BertForSequenceClassification` reads it, and so does any command here.
fn export(
    saved: &Path,
    from: &Path,
    config: Config,
    model: &TextClassifier,
    classes: &[String],
) -> Result<()> {
    let wrong = |e: std::io::Error| Error::io("", format!("cannot write {}", saved.display()), e);
    std::fs::create_dir_all(saved).map_err(wrong)?;
    let class = match model.encoder {
        TextEncoder::Bert(_) => "BertForSequenceClassification",
        TextEncoder::Roberta(_) => "RobertaModel",
        TextEncoder::DistilBert(_) => "DistilBertModel",
    };
    let numbered = classes.iter().enumerate();
    let id2label: serde_json::Map<_, _> = numbered
        .map(|(i, class)| (i.to_string(), class.as_str().into()))
        .collect();
    let numbered = classes.iter().enumerate();
    let label2id: serde_json::Map<_, _> = numbered
        .map(|(i, class)| (class.clone(), i.into()))
        .collect();
    let config = config
        .with("architectures", vec![class])
        .with("id2label", id2label)
        .with("label2id", label2id);
    std::fs::write(saved.join("config.json"), config.to_json()).map_err(wrong)?;
    for name in [
        "tokenizer.json",
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ] {
        let file = from.join(name);
        if file.is_file() {
            std::fs::copy(file, saved.join(name)).map_err(wrong)?;
        }
    }
    let format = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::save(
        saved.join("model.safetensors"),
        &model.state_dict(),
        &format,
    )
}

/// Cross-entropy, and how many are right.
fn classify(model: &TextClassifier, batch: &TextBatch) -> Result<Outcome> {
    let device = model.device();
    let logits = model.forward(&batch.input.to_device(&device)?)?; // (B, classes)
    let labels = batch.labels.to_device(&device)?;
    let answers = logits.value().argmax(Some(-1), false)?;
    let right = answers.eq(&labels)?.count_nonzero(..)?;
    Ok(Outcome {
        loss: cross_entropy(&logits, &labels, &CrossEntropy::default())?,
        correct: Some(Count::There(right)),
        samples: labels.numel() as u64,
    })
}

/// Which class was taken for which.
fn confusion(
    model: &mut TextClassifier,
    data: &DataLoader<EncodedTexts>,
    classes: &[String],
) -> Result<ConfusionMatrix> {
    model.eval();
    let mut table = ConfusionMatrix::new(classes);
    for batch in data.epoch(0, 0) {
        let batch = batch?;
        let input = batch.input.to_device(&model.device())?;
        let logits = no_grad(|| model.forward(&input))?; // (B, classes)
        let answers = logits.value().argmax(Some(-1), false)?.to_vec::<i64>()?;
        for (truth, answer) in batch.labels.to_vec::<i64>()?.into_iter().zip(answers) {
            table.add(truth as usize, answer as usize);
        }
    }
    Ok(table)
}

/// What a run learns from and is judged by.
struct Texts {
    train: LabelledTexts,
    dev: LabelledTexts,
    test: LabelledTexts,
}

impl Texts {
    fn load(settings: &Settings) -> Result<Self> {
        let data = PathBuf::from(settings.text("data").unwrap_or_default());
        let file = if data.is_dir() {
            part_in(&data, "train").ok_or_else(|| {
                let text = format!("{} has no train.tsv or train.csv in it", data.display());
                Error::value("", text)
            })?
        } else {
            data.clone()
        };
        // Beside a file called train, the other parts are looked for too.
        let is_part = file.file_stem().is_some_and(|stem| stem == "train");
        let beside = |part: &str| match (settings.text(part), file.parent()) {
            (Some(path), _) => Some(PathBuf::from(path)),
            (None, Some(folder)) if is_part => part_in(folder, part),
            _ => None,
        };
        let mut train = LabelledTexts::read(&file)?;
        let classes = train.classes.clone();
        let mut part = |path: Option<PathBuf>, one_in: usize| match path {
            Some(path) => named(LabelledTexts::read(&path)?.numbered_as(&classes), &path),
            None => {
                let (rest, part) = hold_out(train.len(), train.len().div_ceil(one_in));
                let part = train.pick(&part)?;
                train = train.pick(&rest)?;
                Ok(part)
            }
        };
        let test = part(beside("test"), 10)?;
        let dev = part(beside("dev"), 20)?;
        if train.is_empty() || classes.len() < 2 {
            let text = format!(
                "{}: {} texts of {} classes are left to learn from; there must be two classes",
                file.display(),
                train.len(),
                classes.len()
            );
            return Err(Error::value("", text));
        }
        Ok(Self { train, dev, test })
    }
}

fn named<T>(result: Result<T>, path: &Path) -> Result<T> {
    result.map_err(|e| Error::value("", format!("{}: {e}", path.display())))
}

/// The first few names.
fn shown(classes: &[String]) -> String {
    let mut text = classes[..classes.len().min(8)].join(", ");
    if classes.len() > 8 {
        text.push_str(", …");
    }
    text
}
