//! A training run from the command line: its options, its settings, its folder, and what happens to it: progress, history,
//! picture, checkpoints, Ctrl-C and `--resume`. A command that trains says what it trains; the rest is here.
//!
//! ```text
//! let run = Run::begin(&args.run, "mnist", given, |given| recipe(given))?;   // settings, folder, signals
//! let (model, data, optimizer) = …;                                         // by run.settings
//! let Some(checkpoint) = run.train(…)? else { return Ok(Run::interrupted()) }; // one line an epoch
//! … judge the model …
//! run.farewell(&checkpoint);                                                 // where everything lies
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradus_nn::optim::Optimizer;
use gradus_nn::schedule::Schedule;
use gradus_nn::{GradScaler, Module};
use gradus_tensor::{DType, Device, Error, Result, random};
use gradus_train::callback::{ChartLog, Console, CsvLog, TensorBoardLog};
use gradus_train::progress::{clock, say};
use gradus_train::{
    Checkpoint, DataLoader, Dataset, End, Saving, StopFlag, Task, Trainer, load_weights,
};

use super::DeviceArgs;
use super::settings::{SETTINGS_KEY, Settings};

/// The options of every command that trains.
#[derive(Args, Clone, Default)]
pub struct RunArgs {
    /// How often every sample is seen.
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Samples per step.
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u64>,
    /// The learning rate, or the peak of its schedule.
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Where all randomness starts: the same seed gives the same network to the last bit [42].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Stop when so many epochs in a row were no better, and use the best one.
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<u64>,
    /// Scale gradients down to this norm.
    #[arg(long, value_name = "NORM")]
    pub clip_norm: Option<f64>,
    /// What products are made in: f32, or 16 bits (parameters stay f32; losses are scaled for f16) [f32].
    #[arg(long, value_name = "DTYPE", value_parser = ["f32", "bf16", "f16"])]
    pub precision: Option<String>,
    /// Where everything is saved [runs/NAME].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the output folder.
    #[arg(long)]
    pub resume: bool,
    /// Also save every so many steps (otherwise after every epoch, and every 30 seconds within one).
    #[arg(long, value_name = "STEPS")]
    pub save_every: Option<u64>,
    /// Threads to compute with; by default as many as there are cores. The result does not depend on it.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Record a step into a CUDA graph and make the others by one launch each; the result is the same. Needs --device cuda.
    #[arg(long)]
    pub cuda_graph: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
}

impl RunArgs {
    fn given(&self) -> Settings {
        Settings::default()
            .with("epochs", self.epochs)
            .with("batch-size", self.batch_size)
            .with("lr", self.lr)
            .with("seed", self.seed)
            .with("patience", self.patience)
            .with("clip-norm", self.clip_norm)
            .with("precision", self.precision.clone())
    }
}

/// A run that was begun or is resumed.
pub struct Run {
    /// What its result depends on.
    pub settings: Settings,
    /// The folder everything is saved in.
    pub out: PathBuf,
    /// Epochs in all.
    pub epochs: u64,
    /// Samples per step.
    pub batch_size: usize,
    /// The learning rate, or the peak of its schedule.
    pub lr: f64,
    /// The seed of everything.
    pub seed: u64,
    /// Where it computes.
    pub device: Device,
    cuda_graph: bool,
    resume: bool,
    saving: Saving,
    stop: StopFlag,
    again: String,
}

/// How a run shows itself.
pub struct Show<'a> {
    /// What a sample is, in the plural: `images`.
    pub noun: &'static str,
    /// The headline of the picture.
    pub title: &'a str,
}

impl Run {
    /// Begins a run, or goes on with one. `words` is the command without `gradus` ("train mnist"), its last word the name of the
    /// folder in `runs/`; `given` what this command's own options say; `recipe` the values of all that is left open. The default
    /// generator starts at the seed.
    pub fn begin(
        args: &RunArgs,
        words: &str,
        given: Settings,
        recipe: impl FnOnce(&Settings) -> Settings,
    ) -> Result<Self> {
        super::set_threads(args.threads)?;
        let device = args.device.open()?;
        super::check_graph(args.cuda_graph, &device)?;
        let name = words.rsplit(' ').next().unwrap_or(words);
        let out = args
            .out
            .clone()
            .unwrap_or_else(|| Path::new("runs").join(name));
        let mut saving = Saving::new(&out);
        saving.every_steps = args.save_every;
        let given = given.or(args.given());
        let settings = if args.resume {
            given.resumed(stored(&saving.last())?)?
        } else {
            let recipe = recipe(&given)
                .with("seed", Some(42u64))
                .with("precision", Some("f32"));
            given.or(recipe)
        };
        let run = Self {
            epochs: settings.count("epochs")?,
            batch_size: usize::try_from(settings.count("batch-size")?).unwrap_or(usize::MAX),
            lr: settings.positive("lr")?,
            seed: settings.number("seed").unwrap_or(42),
            again: match &args.out {
                Some(out) => format!("gradus {words} --resume --out {}", out.display()),
                None => format!("gradus {words} --resume"),
            },
            device,
            cuda_graph: args.cuda_graph,
            resume: args.resume,
            stop: StopFlag::on_signals()?,
            settings,
            out,
            saving,
        };
        if run.settings.has("clip-norm") {
            run.settings.positive("clip-norm")?;
        }
        random::manual_seed(run.seed);
        Ok(run)
    }

    /// Trains, saving as it goes, with `metadata` in the checkpoints beside the settings. Returns the checkpoint of the weights
    /// the model then has, or `None` when it was interrupted; then everything is saved. The model has the last epoch's weights, or the best epoch's where patience ended the run.
    pub fn train<M, D, T, V>(
        &mut self,
        show: &Show,
        metadata: &[(&str, &str)],
        model: &mut M,
        (optimizer, schedule): (&mut dyn Optimizer, Option<Box<dyn Schedule>>),
        task: &T,
        train: &DataLoader<D>,
        validation: Option<&DataLoader<V>>,
    ) -> Result<Option<PathBuf>>
    where
        M: Module,
        D: Dataset + 'static,
        V: Dataset<Batch = D::Batch> + 'static,
        T: Task<M, D::Batch> + ?Sized,
    {
        self.saving.metadata = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self.saving
            .metadata
            .insert(SETTINGS_KEY.into(), self.settings.to_json());
        if !self.resume {
            set_aside(&self.saving)?;
        }
        let mut trainer = Trainer::new(self.epochs)
            .save(self.saving.clone())
            .resume(self.resume)
            .stop_on(self.stop.clone())
            .callback(Console::new(show.noun))
            .callback(CsvLog(self.out.join("history.csv")))
            .callback(ChartLog {
                path: self.picture(),
                title: show.title.to_owned(),
                subtitle: format!(
                    "batch {}, learning rate {}, seed {}",
                    self.batch_size, self.lr, self.seed
                ),
            })
            .callback(TensorBoardLog::new(self.out.join("tensorboard"), 20));
        if let Some(schedule) = schedule {
            trainer = trainer.schedule(schedule);
        }
        if let Some(patience) = self.settings.number("patience") {
            trainer = trainer.patience(patience);
        }
        if let Some(norm) = self.settings.rate("clip-norm") {
            trainer = trainer.clip_norm(norm);
        }
        trainer = match self.settings.text("precision") {
            Some("bf16") => trainer.autocast(DType::BF16),
            Some("f16") => trainer.autocast(DType::F16).grad_scaler(GradScaler::new()),
            _ => trainer,
        };
        trainer = trainer.cuda_graph(self.cuda_graph);
        model.to_device(&self.device)?;
        let report = trainer.fit(model, optimizer, task, train, validation)?;
        if report.end == End::Interrupted {
            say(&format!(
                "interrupted; saved in {}\ngo on with: {}",
                self.saving.last().display(),
                self.again
            ));
            return Ok(None);
        }
        let mut checkpoint = self.saving.last();
        if report.end == End::StoppedEarly {
            checkpoint = self.saving.best();
            model.load_state_dict(&Checkpoint::load(&checkpoint)?.model, true)?;
            say(&format!(
                "no better for {} epochs: the best one counts",
                self.settings.number("patience").unwrap_or(0)
            ));
        }
        say(&format!("trained in {}", clock(report.seconds)));
        Ok(Some(checkpoint))
    }

    /// The exit code of an interrupted run.
    pub fn interrupted() -> ExitCode {
        ExitCode::from(130)
    }

    /// Says how long, how, where, and on what, before the first step.
    pub fn introduce(&self) {
        let threads = gradus_cpu::parallel::threads();
        let on = match self.device {
            Device::Cpu => {
                let many = if threads == 1 { "" } else { "s" };
                format!("{} with {threads} thread{many}", gradus_simd::current())
            }
            gpu => gpu.to_string(),
        };
        let precision = match self.settings.text("precision") {
            None | Some("f32") => String::new(),
            Some(low) => format!(", products in {low}"),
        };
        say(&format!(
            "run     {} epochs, batch {}, learning rate {}, seed {}{precision}, on {on}, saved in {}",
            self.epochs,
            self.batch_size,
            self.lr,
            self.seed,
            self.out.display()
        ));
    }

    /// Says where everything lies.
    pub fn farewell(&self, checkpoint: &Path) {
        say(&format!("checkpoint: {}", checkpoint.display()));
        say(&format!("picture:    {}", self.picture().display()));
    }

    fn picture(&self) -> PathBuf {
        self.out.join("history.svg")
    }
}

/// The settings of the run a checkpoint belongs to.
fn stored(last: &Path) -> Result<Settings> {
    if !last.is_file() {
        let text = format!(
            "nothing to resume: there is no {}; leave out --resume to start a run",
            last.display()
        );
        return Err(Error::value("", text));
    }
    let (_, metadata): (_, BTreeMap<String, String>) = load_weights(last)?;
    let settings = metadata
        .get(SETTINGS_KEY)
        .and_then(|text| Settings::from_json(text));
    settings.ok_or_else(|| {
        let text = format!(
            "{} was not written by `gradus train`: it has no settings",
            last.display()
        );
        Error::value("", text)
    })
}

/// Keeps the newest weights of an earlier run in the same folder from being overwritten.
fn set_aside(saving: &Saving) -> Result<()> {
    let (last, previous) = (saving.last(), saving.folder.join("previous.safetensors"));
    if last.is_file() {
        std::fs::rename(&last, &previous)
            .map_err(|e| Error::io("", format!("cannot rename {}", last.display()), e))?;
        say(&format!(
            "(the weights of the run before are kept in {})",
            previous.display()
        ));
    }
    match std::fs::remove_file(saving.best()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(
            "",
            format!("cannot remove {}", saving.best().display()),
            e,
        )),
        _ => Ok(()),
    }
}
