//! `gradus train`: data, network, recipe, the run, and what came of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gradus_nn::optim::{Adam, AdamW, Optimizer};
use gradus_nn::schedule::OneCycleLR;
use gradus_nn::{Layer, Module as _};
use gradus_tensor::{Error, Result, random};
use gradus_train::callback::{ChartLog, Console, CsvLog, TensorBoardLog};
use gradus_train::dataset::hold_out;
use gradus_train::metrics::ConfusionMatrix;
use gradus_train::progress::{clock, say, thousands};
use gradus_train::{
    Checkpoint, Classification, DataLoader, Dataset as _, End, Saving, StopFlag, Subset, Trainer,
    confusion,
};
use gradus_vision::datasets::{FASHION_MNIST_MEAN_STD, ImageSet, MNIST_MEAN_STD, Split};
use gradus_vision::models::{ARTICLE, digit_model};
use gradus_vision::transforms::{Compose, Normalize, RandomAffine};

use super::options::{SETTINGS_KEY, Settings, TrainArgs};

/// The metadata key of the network's name in checkpoints.
pub const MODEL_KEY: &str = "gradus.model";
/// The metadata key of the data set's name in checkpoints.
pub const DATASET_KEY: &str = "gradus.dataset";
/// Images per batch where nothing is learnt.
const EVAL_BATCH: usize = 200;

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    super::set_threads(args.threads)?;
    let out = args.out();
    let mut saving = Saving::new(&out);
    saving.every_steps = args.save_every;
    let settings = if args.resume {
        args.resumed(stored(&saving.last())?)?
    } else {
        args.settings()?
    };
    saving.metadata = [
        (MODEL_KEY.to_owned(), settings.model.clone()),
        (DATASET_KEY.to_owned(), settings.dataset.clone()),
        (SETTINGS_KEY.to_owned(), settings.to_json()),
    ]
    .into();
    let stop = StopFlag::on_signals()?;

    let data = Data::load(&settings, args.data.as_deref())?;
    random::manual_seed(settings.seed);
    let mut model = digit_model(&settings.model)?;
    introduce(&settings, &data, &*model, &out);
    if !args.resume {
        set_aside(&saving)?;
    }

    let steps = data.train.batches() as u64 * settings.epochs;
    let mut trainer = Trainer::new(settings.epochs)
        .save(saving.clone())
        .resume(args.resume)
        .stop_on(stop)
        .callback(Console::new("images"))
        .callback(CsvLog(out.join("history.csv")))
        .callback(ChartLog {
            path: out.join("history.svg"),
            title: format!("{} with the {} network", settings.dataset, settings.model),
            subtitle: format!(
                "batch {}, learning rate {}, seed {}",
                settings.batch_size, settings.lr, settings.seed
            ),
        })
        .callback(TensorBoardLog::new(out.join("tensorboard"), 20));
    let mut optimizer: Box<dyn Optimizer> = if settings.model == ARTICLE {
        Box::new(Adam::new(settings.lr)) // the recipe of the articles: Adam at a constant rate
    } else {
        trainer = trainer.schedule(OneCycleLR::new(settings.lr, steps as usize));
        Box::new(AdamW::new(settings.lr))
    };
    if let Some(patience) = settings.patience {
        trainer = trainer.patience(patience);
    }
    if let Some(norm) = settings.clip_norm {
        trainer = trainer.clip_norm(norm);
    }

    let task = Classification::default();
    let report = trainer.fit(
        &mut model,
        &mut *optimizer,
        &task,
        &data.train,
        data.validation.as_ref(),
    )?;
    if report.end == End::Interrupted {
        let out_option = args
            .out
            .as_ref()
            .map_or(String::new(), |out| format!(" --out {}", out.display()));
        say(&format!(
            "interrupted; saved in {}\ngo on with: gradus train {} --resume{out_option}",
            saving.last().display(),
            settings.dataset,
        ));
        return Ok(ExitCode::from(130));
    }
    if report.end == End::StoppedEarly {
        let best = Checkpoint::load(saving.best())?;
        model.load_state_dict(&best.model, true)?;
        say(&format!(
            "no better for {} epochs: the best one counts",
            settings.patience.unwrap_or(0)
        ));
    }

    let on_train = confusion(&mut model, &data.train_plain, data.classes())?.accuracy();
    let table = confusion(&mut model, &data.test, data.classes())?;
    say(&format!("trained in {}", clock(report.seconds)));
    show_table(&table);
    let used = if report.end == End::StoppedEarly {
        saving.best()
    } else {
        saving.last()
    };
    say(&format!("checkpoint: {}", used.display()));
    say(&format!(
        "picture:    {}",
        out.join("history.svg").display()
    ));
    say(&format!("training accuracy: {:.2} %", on_train.percent()));
    say(&format!(
        "test accuracy: {:.2} %",
        table.accuracy().percent()
    ));
    Ok(ExitCode::SUCCESS)
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
    let checkpoint = Checkpoint::load(last)?;
    let settings = checkpoint
        .metadata
        .get(SETTINGS_KEY)
        .and_then(|text| Settings::from_json(text));
    settings.ok_or_else(|| {
        Error::value(
            "",
            format!(
                "{} was not written by `gradus train`: it has no settings",
                last.display()
            ),
        )
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

/// What a run learns from and is judged by.
struct Data {
    train: DataLoader<Subset<ImageSet>>,
    validation: Option<DataLoader<Subset<ImageSet>>>,
    train_plain: DataLoader<Subset<ImageSet>>,
    test: DataLoader<ImageSet>,
    held_out: usize,
    source: String,
}

impl Data {
    fn load(settings: &Settings, folder: Option<&Path>) -> Result<Self> {
        let (raw_train, raw_test, source) = read(settings, folder)?;
        let plain = || prepare(&settings.model, &settings.dataset);
        let train_set = raw_train.with_transform(plain()?);
        let test_set = raw_test.with_transform(plain()?);
        // The article's network learns from the images as they are; the small one from images that wobble.
        let learn_from = if settings.model == ARTICLE {
            train_set.clone()
        } else {
            let wobble = RandomAffine {
                degrees: 10.0,
                shift: 2.0,
                scale: 0.1,
                shear: 0.0,
            };
            raw_train.with_transform(Compose::new().then(wobble).then(plain()?))
        };

        let all = train_set.len();
        let used = settings
            .limit
            .map_or(all, |limit| (limit as usize).clamp(1, all));
        let (_, chosen) = hold_out(all, used);
        let share = if settings.model == ARTICLE {
            0
        } else {
            used / 20
        };
        let held_out = settings.validation.map_or(share, |n| n as usize);
        if held_out >= used {
            let text = format!(
                "--validation {held_out} leaves nothing to learn from: there are {used} training images"
            );
            return Err(Error::value("", text));
        }
        let (learn, judge) = hold_out(used, held_out);
        let pick =
            |positions: Vec<usize>| positions.into_iter().map(|i| chosen[i]).collect::<Vec<_>>();
        let batch = usize::try_from(settings.batch_size).unwrap_or(usize::MAX);
        let train = DataLoader::new(Subset::new(learn_from, pick(learn))?, batch)?
            .shuffle(true)
            .seed(settings.seed);
        let validation = if held_out == 0 {
            None
        } else {
            Some(DataLoader::new(
                Subset::new(train_set.clone(), pick(judge))?,
                EVAL_BATCH,
            )?)
        };
        Ok(Self {
            train,
            validation,
            train_plain: DataLoader::new(Subset::new(train_set, chosen)?, EVAL_BATCH)?,
            test: DataLoader::new(test_set, EVAL_BATCH)?,
            held_out,
            source,
        })
    }

    fn classes(&self) -> &[String] {
        self.test.data().classes()
    }
}

/// The two parts of the data set, and where they are from.
fn read(settings: &Settings, folder: Option<&Path>) -> Result<(ImageSet, ImageSet, String)> {
    if !settings.full {
        let train = ImageSet::embedded_mnist(Split::Train)?;
        return Ok((
            train,
            ImageSet::embedded_mnist(Split::Test)?,
            "inside the program".into(),
        ));
    }
    let folder = data_folder(folder)?;
    let read = if settings.dataset == "mnist" {
        ImageSet::mnist
    } else {
        ImageSet::fashion_mnist
    };
    let source = format!("from {}", folder.display());
    Ok((
        read(folder.as_path(), Split::Train)?,
        read(folder.as_path(), Split::Test)?,
        source,
    ))
}

/// The folder of `--data`, or of GRADUS_DATA.
fn data_folder(folder: Option<&Path>) -> Result<PathBuf> {
    let from_environment = || {
        std::env::var_os("GRADUS_DATA")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    folder.map(Path::to_owned).or_else(from_environment).ok_or_else(|| {
        let text = "where are the images? give --data DIR (the folder of train-images-idx3-ubyte.gz …) or set GRADUS_DATA";
        Error::value("", text)
    })
}

/// What a network's images go through before it sees them: the article's takes pixels of 0 to 1 as they are, the small one
/// normalised.
pub fn prepare(model: &str, dataset: &str) -> Result<Compose> {
    if model == ARTICLE {
        return Ok(Compose::new());
    }
    let (mean, std) = if dataset == "fashion-mnist" {
        FASHION_MNIST_MEAN_STD
    } else {
        MNIST_MEAN_STD
    };
    Ok(Compose::new().then(Normalize::new(&[mean], &[std])?))
}

fn introduce(settings: &Settings, data: &Data, model: &dyn Layer, out: &Path) {
    let isa = gradus_simd::current();
    let threads = gradus_cpu::parallel::threads();
    let learnt = data.train.samples();
    let held = match data.held_out {
        0 => String::new(),
        n => format!(", {} to validate", thousands(n as u64)),
    };
    say(&format!(
        "data    {}: {} images to learn from{held}, {} to test ({})",
        settings.dataset,
        thousands(learnt as u64),
        thousands(data.test.samples() as u64),
        data.source
    ));
    let parameters = thousands(model.num_params() as u64);
    say(&format!(
        "model   {}: {parameters} parameters",
        settings.model
    ));
    say(&format!(
        "run     {} epochs, batch {}, learning rate {}, seed {}, on {isa} with {threads} thread{}, saved in {}",
        settings.epochs,
        settings.batch_size,
        settings.lr,
        settings.seed,
        if threads == 1 { "" } else { "s" },
        out.display()
    ));
}

/// The confusion table of the test images and its worst cells.
fn show_table(table: &ConfusionMatrix) {
    say("\ntest images: what they are (down) and what they were taken for (across)");
    say(table.to_string().trim_end());
    let worst: Vec<String> = table
        .confusions()
        .into_iter()
        .take(3)
        .map(|(count, truth, taken)| {
            format!("{} for {} {count}x", table.name(truth), table.name(taken))
        })
        .collect();
    if !worst.is_empty() {
        say(&format!("most often mistaken: {}", worst.join(", ")));
    }
    say("");
}
