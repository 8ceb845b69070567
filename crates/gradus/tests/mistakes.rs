//! Typical mistakes and what Gradus says to each: every message names the op or the layer, the shapes or values, and what to do.
//! `docs/errors.md` is the table; it is generated here, and a stale one fails this test.
//! `GRADUS_WRITE=1 cargo test -p gradus --test mistakes` writes it.

use std::fmt::{Display, Write};
use std::path::Path;
use std::process::Command;

use gradus::autograd::Var;
use gradus::nn::loss::*;
use gradus::nn::optim::*;
use gradus::nn::*;
use gradus::tensor::random::Rng;
use gradus::tensor::{
    AvgPoolParams, ConvParams, DType, Device, MaxPoolParams, PadMode, Result, Tensor, safetensors,
};
use gradus::train::{DataLoader, Subset, load_weights};
use gradus::vision::datasets::ImageSet;

/// One line of the table.
struct Mistake {
    title: &'static str,
    call: String,
    message: String,
}

/// The mistakes of one kind.
#[derive(Default)]
struct Section {
    title: &'static str,
    mistakes: Vec<Mistake>,
    /// What is wrong with the messages.
    problems: Vec<String>,
}

impl Section {
    fn new(title: &'static str) -> Self {
        Self {
            title,
            ..Self::default()
        }
    }

    /// Keeps the message, which must hold all of `parts`: the op or layer, shapes or values, and the way out.
    fn add<T, E: Display>(
        &mut self,
        title: &'static str,
        parts: &[&str],
        call: &str,
        result: Result<T, E>,
    ) {
        let message = match result {
            Ok(_) => "it is accepted".to_string(),
            Err(e) => e.to_string(),
        };
        for part in parts.iter().filter(|part| !message.contains(**part)) {
            self.problems
                .push(format!("{title}: {message:?} lacks {part:?}"));
        }
        // What rustc makes of the tokens, on one line.
        let call = call.split_whitespace().collect::<Vec<_>>().join(" ");
        self.mistakes.push(Mistake {
            title,
            call,
            message,
        });
    }
}

/// `mistake!(section, "title", ["part", …], expression)`: the expression is shown as it stands.
macro_rules! mistake {
    ($section:ident, $title:literal, [$($part:literal),*], $call:expr) => {
        $section.add($title, &[$($part),*], stringify!($call), $call)
    };
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32).unwrap()
}

fn whole(numbers: &[i64]) -> Tensor {
    Tensor::from_slice(numbers, numbers.len()).unwrap()
}

fn var(shape: &[usize]) -> Var {
    Var::from(zeros(shape))
}

fn tensors() -> Result<Section> {
    let mut s = Section::new("Tensors");
    let (x, y) = (zeros(&[2, 3]), zeros(&[4, 5]));
    mistake!(
        s,
        "The inner dimensions of a matrix product differ",
        ["matmul", "[2,3]", "[4,5]", "3 != 4"],
        x.matmul(&y)
    );
    mistake!(
        s,
        "A matrix product of different dtypes",
        ["matmul", "f32", "i64", "to_dtype"],
        x.matmul(&whole(&[1, 2, 3]))
    );
    mistake!(
        s,
        "Shapes do not broadcast",
        ["add", "[2,3]", "[4,5]", "broadcast"],
        x.add(&y)
    );
    mistake!(
        s,
        "Another number of elements",
        ["reshape", "[2,3]", "[4, 2]", "8"],
        x.reshape([4, 2])
    );
    mistake!(
        s,
        "Two sizes left open",
        ["reshape", "-1"],
        x.reshape([-1, -1])
    );
    mistake!(
        s,
        "A view that strides cannot say",
        ["view", "reshape"],
        x.transpose(0, 1)?.view(6)
    );
    mistake!(
        s,
        "Joining tensors that differ elsewhere",
        ["cat", "[2,3]", "[4,5]", "dim"],
        Tensor::cat(&[&x, &y], 0)
    );
    mistake!(
        s,
        "Stacking tensors of two shapes",
        ["stack", "[2,3]", "[4,5]", "cat"],
        Tensor::stack(&[&x, &y], 0)
    );
    mistake!(
        s,
        "A dimension that does not exist",
        ["sum", "2", "[2,3]", "-2"],
        x.sum(2, false)
    );
    mistake!(
        s,
        "A permutation that leaves one out",
        ["permute", "[0]", "[2,3]"],
        x.permute(&[0])
    );
    mistake!(
        s,
        "Expanding a dimension that is not 1",
        ["expand", "[2,3]", "[2,4]", "repeat"],
        x.expand([2, 4])
    );
    mistake!(
        s,
        "An index outside its dimension",
        ["select", "5", "3"],
        x.select(1, 5)
    );
    mistake!(
        s,
        "An index tensor of floats",
        ["index_select", "f32", "to_dtype(DType::I64)"],
        x.index_select(0, &zeros(&[2]))
    );
    mistake!(
        s,
        "An index outside in a tensor of indices",
        ["gather", "7", "3"],
        x.gather(1, &whole(&[7]).reshape([1, 1])?)
    );
    mistake!(
        s,
        "Writing floats into whole numbers",
        ["scatter", "i64", "f32", "to_dtype"],
        whole(&[1, 2]).scatter(0, &whole(&[0]), &zeros(&[1]))
    );
    mistake!(
        s,
        "A mask that is not bool",
        ["masked_fill", "i64", "bool"],
        x.masked_fill(&whole(&[1, 0, 1]), 0)
    );
    mistake!(
        s,
        "A condition that is not bool",
        ["where", "f32", "bool"],
        Tensor::where_(&x, &x, &x)
    );
    mistake!(
        s,
        "More parts than fit",
        ["split_sizes", "[1, 1]", "3"],
        x.split_sizes(&[1, 1], 1)
    );
    mistake!(
        s,
        "More of the largest than there are",
        ["topk", "4", "3"],
        x.topk(4, -1, true)
    );
    mistake!(
        s,
        "A mirror wider than the picture",
        ["pad", "[2,3]", "3"],
        x.pad(&[3, 3], PadMode::Reflect)
    );
    mistake!(
        s,
        "Softmax of whole numbers",
        ["softmax", "i64", "to_dtype"],
        whole(&[1, 2]).softmax(0)
    );
    mistake!(
        s,
        "Dividing whole numbers by zero",
        ["floor_divide", "zero"],
        whole(&[1]).floor_divide(&whole(&[0]))
    );
    mistake!(
        s,
        "Reading another element type",
        ["to_vec", "f32", "i64"],
        x.to_vec::<i64>()
    );
    mistake!(s, "One number of many", ["item", "[2,3]"], x.item::<f32>());
    mistake!(
        s,
        "Values that do not fill a shape",
        ["3", "[2,2]"],
        Tensor::from_slice(&[1f32, 2.0, 3.0], [2, 2])
    );
    mistake!(
        s,
        "A shape beyond all memory",
        ["zeros"],
        Tensor::zeros([usize::MAX, 2], DType::F32)
    );
    mistake!(
        s,
        "An empty interval",
        ["randint", "[3, 3)"],
        Tensor::randint(3, 3, [2], DType::I64, &mut Rng::new(0))
    );
    mistake!(
        s,
        "A step of zero",
        ["arange", "step"],
        Tensor::arange(0, 5, 0, DType::I64)
    );
    mistake!(
        s,
        "A dtype there is not",
        ["dtype", "float33", "f32"],
        "float33".parse::<DType>()
    );
    mistake!(
        s,
        "A device there is not",
        ["device", "gpu", "cuda:N"],
        "gpu".parse::<Device>()
    );
    mistake!(
        s,
        "CUDA, which is not built",
        ["cuda:0", "Device::Cpu"],
        Device::cuda(0)
    );
    Ok(s)
}

fn gradients() -> Result<Section> {
    let mut s = Section::new("Gradients");
    let x = Var::leaf(zeros(&[3]))?;
    let loss = || x.square()?.sum(.., false);
    mistake!(
        s,
        "Whole numbers as something to differentiate by",
        ["Var::leaf", "i64", "to_dtype"],
        Var::leaf(whole(&[1, 2]))
    );
    mistake!(
        s,
        "A backward from many numbers",
        ["backward", "[3]", "sum"],
        x.square()?.backward()
    );
    mistake!(
        s,
        "A backward from what depends on nothing",
        ["backward", "leaf"],
        var(&[]).backward()
    );
    mistake!(
        s,
        "A backward with a gradient of another shape",
        ["backward_with", "[2]", "[3]"],
        x.square()?.backward_with(&zeros(&[2]))
    );
    let freed = loss()?;
    freed.clone().backward_once()?;
    mistake!(
        s,
        "A second backward through a freed graph",
        ["backward_once", "backward"],
        freed.backward()
    );
    mistake!(
        s,
        "A gradient for what is not in the graph",
        ["grad"],
        gradus::autograd::grad(&[&loss()?], &[&var(&[3])], None, false)
    );
    Ok(s)
}

fn layers() -> Result<Section> {
    let mut s = Section::new("Layers");
    let conv = Conv2d::new(3, 8, 3)?;
    mistake!(
        s,
        "A convolution of a matrix",
        ["conv2d", "[5,5]", "(B, C, H, W)"],
        conv.forward(&var(&[5, 5]))
    );
    mistake!(
        s,
        "Channels last",
        ["conv2d", "[1,32,32,3]", "permute"],
        conv.forward(&var(&[1, 32, 32, 3]))
    );
    mistake!(
        s,
        "A kernel larger than the padded input",
        ["conv2d", "[1,3,2,2]", "padding"],
        conv.forward(&var(&[1, 3, 2, 2]))
    );
    mistake!(
        s,
        "Groups that do not divide the channels",
        ["Conv2d", "4", "3 groups"],
        Conv2d::builder(4, 6, 3).groups(3).build()
    );
    mistake!(
        s,
        "A weight of other channels",
        ["conv2d", "[1,3,8,8]", "[8,4,3,3]"],
        var(&[1, 3, 8, 8]).conv2d(&var(&[8, 4, 3, 3]), None, &ConvParams::default())
    );
    let params = MaxPoolParams {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [2, 2],
        dilation: [1, 1],
        ceil_mode: false,
    };
    mistake!(
        s,
        "Padding beyond half a window",
        ["max_pool", "[1,1,8,8]", "padding"],
        var(&[1, 1, 8, 8]).max_pool2d(&params)
    );
    let params = AvgPoolParams {
        kernel: [9, 9],
        stride: [9, 9],
        padding: [0, 0],
        ceil_mode: false,
        count_include_pad: true,
        divisor_override: None,
    };
    mistake!(
        s,
        "A window larger than the picture",
        ["avg_pool", "[1,1,8,8]", "9"],
        var(&[1, 1, 8, 8]).avg_pool2d(&params)
    );
    mistake!(
        s,
        "A linear layer of another width",
        ["linear", "[5,9]", "[2,8]"],
        Linear::new(8, 2)?.forward(&var(&[5, 9]))
    );
    let model = Sequential::new()
        .then(Linear::new(8, 4)?)
        .then_named("head", Sequential::new().then(Linear::new(3, 2)?));
    mistake!(
        s,
        "Layers that do not fit each other",
        ["head.0: linear", "[5,4]", "[2,3]"],
        model.forward(&var(&[5, 8]))
    );
    mistake!(
        s,
        "A norm over other sizes",
        ["layer_norm", "[5,8]", "[4]"],
        LayerNorm::new([4])?.forward(&var(&[5, 8]))
    );
    mistake!(
        s,
        "A batch norm of pictures fed vectors",
        ["BatchNorm2d", "[5,8]", "(B, C, H, W)"],
        BatchNorm2d::new(8)?.forward(&var(&[5, 8]))
    );
    mistake!(
        s,
        "One value for each channel in training",
        ["batch_norm", "[1,8]", "eval"],
        BatchNorm1d::new(8)?.forward(&var(&[1, 8]))
    );
    mistake!(
        s,
        "Groups that do not divide the channels of a norm",
        ["GroupNorm", "6", "4"],
        GroupNorm::new(4, 6)
    );
    mistake!(
        s,
        "Dropout beyond 1",
        ["Dropout", "1.5", "0..=1"],
        Dropout::new(1.5).forward(&var(&[3]))
    );
    let words = Embedding::new(10, 4)?;
    mistake!(
        s,
        "A word beyond the table",
        ["embedding", "10", "size 10"],
        words.forward(&whole(&[3, 10]))
    );
    mistake!(
        s,
        "Words as floats",
        ["embedding", "f32", "to_dtype"],
        words.forward(&zeros(&[2]))
    );
    mistake!(
        s,
        "Heads that do not divide the width",
        ["MultiheadAttention", "10", "3"],
        MultiheadAttention::new(10, 3)
    );
    let attention = MultiheadAttention::new(8, 2)?.batch_first(true);
    let x = var(&[2, 5, 8]);
    let ids = Tensor::zeros([2, 5], DType::I64)?;
    let padding = AttentionMask {
        key_padding_mask: Some(&ids),
        ..AttentionMask::default()
    };
    mistake!(
        s,
        "A mask of whole numbers",
        ["key_padding_mask", "i64", "bool"],
        attention.forward(&x, &x, &x, padding)
    );
    let square = Tensor::zeros([4, 4], DType::Bool)?;
    let mask = AttentionMask {
        attn_mask: Some(&square),
        ..AttentionMask::default()
    };
    mistake!(
        s,
        "A mask of another length",
        ["attn_mask", "[4,4]", "[5,5]"],
        attention.forward(&x, &x, &x, mask)
    );
    let model = TransformerEncoder::new(8, 2, 2, &TransformerOptions::default())?;
    mistake!(
        s,
        "A sequence of another width, deep in a model",
        ["layers.0.self_attn", "[2,5,6]", "8"],
        model.forward(&var(&[2, 5, 6]), AttentionMask::default())
    );
    let gru = GRU::new(8, 4)?;
    mistake!(
        s,
        "A recurrent layer's state of another size",
        ["GRU", "[1,2,5]", "[1,2,4]"],
        gru.forward(&var(&[5, 2, 8]), Some(&var(&[1, 2, 5])))
    );
    mistake!(
        s,
        "A recurrent layer fed another width",
        ["GRU", "[5,2,7]", "8"],
        gru.forward(&var(&[5, 2, 7]), None)
    );
    mistake!(
        s,
        "Lengths that do not descend",
        ["pack_padded_sequence", "[2, 5]", "enforce_sorted"],
        pack_padded_sequence(&x, &[2, 5], true, true)
    );
    Ok(s)
}

fn losses() -> Result<Section> {
    let mut s = Section::new("Losses");
    let (logits, options) = (var(&[2, 3]), CrossEntropy::default());
    mistake!(
        s,
        "A class out of range",
        ["cross_entropy", "3", "0..=2"],
        cross_entropy(&logits, &whole(&[0, 3]), &options)
    );
    mistake!(
        s,
        "Classes as floats",
        ["cross_entropy", "f32", "I64"],
        cross_entropy(&logits, &zeros(&[2]), &options)
    );
    mistake!(
        s,
        "Another number of classes than samples",
        ["cross_entropy", "[2,3]", "[3]"],
        cross_entropy(&logits, &whole(&[0, 1, 2]), &options)
    );
    mistake!(
        s,
        "Class weights for another number of classes",
        ["cross_entropy", "[2]", "3"],
        cross_entropy(
            &logits,
            &whole(&[0, 1]),
            &CrossEntropy {
                weight: Some(zeros(&[2])),
                ..CrossEntropy::default()
            }
        )
    );
    mistake!(
        s,
        "A target that does not broadcast",
        ["mse_loss", "[2,3]", "[2]"],
        mse_loss(&logits, &var(&[2]), Reduction::Mean)
    );
    let probabilities = Var::from(Tensor::full([2], 1.5, DType::F32)?);
    mistake!(
        s,
        "Logits where probabilities are wanted",
        ["binary_cross_entropy", "1.5", "with_logits"],
        binary_cross_entropy(&probabilities, &var(&[2]), None, Reduction::Mean)
    );
    mistake!(
        s,
        "A margin of zero",
        ["triplet_margin_loss", "0", "above 0"],
        triplet_margin_loss(
            &logits,
            &logits,
            &logits,
            &TripletMargin {
                margin: 0.0,
                ..TripletMargin::default()
            }
        )
    );
    mistake!(
        s,
        "A reduction there is not",
        ["reduction", "average", "mean"],
        "average".parse::<Reduction>()
    );
    Ok(s)
}

fn training() -> Result<Section> {
    let mut s = Section::new("Training");
    let mut model = Sequential::new().then(Linear::new(2, 1)?);
    let loss = |m: &Sequential| m.forward(&var(&[4, 2]))?.square()?.mean(.., false);
    let gradients = loss(&model)?.backward()?;
    mistake!(
        s,
        "A negative learning rate",
        ["Adam", "-0.1", "0 or more"],
        Adam::new(-0.1).step(&mut model, &gradients)
    );
    let momenta = AdamOptions {
        lr: 0.1,
        betas: (0.9, 1.0),
        ..AdamOptions::default()
    };
    mistake!(
        s,
        "A decay of 1",
        ["Adam", "betas.1", "[0, 1)"],
        Adam::with(momenta).step(&mut model, &gradients)
    );
    let mut other = Sequential::new().then(Linear::new(2, 1)?);
    mistake!(
        s,
        "Gradients of another model",
        ["SGD", "none of the 2", "this model"],
        SGD::new(0.1).step(&mut other, &gradients)
    );
    let mut clipped = loss(&model)?.backward()?;
    mistake!(
        s,
        "A negative norm to clip to",
        ["clip_grad_norm", "-1"],
        clip_grad_norm(&mut clipped, -1.0, 2.0)
    );
    let mut state = model.state_dict();
    let weight = state.remove("0.weight").unwrap();
    mistake!(
        s,
        "A key missing in a checkpoint",
        ["load_state_dict", "missing: 0.weight"],
        model.load_state_dict(&state, true)
    );
    state.insert("0.weight".into(), weight.clone());
    state.insert("1.weight".into(), weight);
    mistake!(
        s,
        "A key the model has not",
        ["load_state_dict", "unexpected: 1.weight"],
        model.load_state_dict(&state, true)
    );
    state.remove("1.weight");
    state.insert("0.weight".into(), zeros(&[1, 3]));
    mistake!(
        s,
        "A key of another shape",
        ["load_state_dict", "0.weight", "[1, 2]", "[1, 3]"],
        model.load_state_dict(&state, true)
    );
    let digits = || ImageSet::embedded_mnist(gradus::vision::datasets::Split::Test);
    mistake!(
        s,
        "Batches of nothing",
        ["batch_size", "0"],
        DataLoader::new(digits().map_err(said)?, 0)
    );
    mistake!(
        s,
        "A sample beyond the data",
        ["9999999", "2000"],
        Subset::new(digits().map_err(said)?, vec![9_999_999])
    );
    Ok(s)
}

fn said(e: impl Display) -> gradus::Error {
    gradus::Error::value("", e.to_string())
}

fn files(folder: &Path) -> Result<Section> {
    let mut s = Section::new("Files");
    let at = |name: &str| folder.join(name);
    let put = |name: &str, bytes: &[u8]| std::fs::write(at(name), bytes).unwrap();
    mistake!(
        s,
        "A file that is not there",
        ["safetensors", "none.safetensors", "No such file"],
        safetensors::load(at("none.safetensors"))
    );
    put("text.safetensors", b"these are no tensors");
    mistake!(
        s,
        "A file that is something else",
        ["safetensors", "text.safetensors"],
        safetensors::load(at("text.safetensors"))
    );
    let weights = zeros(&[4]);
    safetensors::save(
        at("cut.safetensors"),
        [("w", &weights)],
        &std::collections::BTreeMap::new(),
    )?;
    let bytes = std::fs::read(at("cut.safetensors")).unwrap();
    put("cut.safetensors", &bytes[..bytes.len() - 5]);
    mistake!(
        s,
        "A file that was cut off",
        ["safetensors", "cut.safetensors"],
        safetensors::load(at("cut.safetensors"))
    );
    mistake!(
        s,
        "Weights that are not there",
        ["none.safetensors"],
        load_weights(at("none.safetensors"))
    );
    put("digit.png", b"GIF89a");
    mistake!(
        s,
        "A picture that is not one",
        ["digit.png", "PNG"],
        gradus::vision::decode::read(at("digit.png"))
    );
    put("images.idx", &[0, 0, 8, 3, 0, 0, 0, 9]);
    mistake!(
        s,
        "A data set that was cut off",
        ["images.idx"],
        gradus::vision::idx::Idx::read(at("images.idx"))
    );
    Ok(s)
}

/// The command: its last line on standard error.
fn commands(folder: &Path) -> Section {
    let mut s = Section::new("The command");
    std::fs::write(folder.join("junk.safetensors"), b"junk").unwrap();
    for (title, parts, arguments) in [
        ("A command there is not", &["trian", "train"][..], "trian"),
        (
            "A data set there is not",
            &["cifar", "mnist"],
            "train cifar",
        ),
        (
            "A model there is not",
            &["resnet", "small"],
            "train --model resnet",
        ),
        (
            "A number that is none",
            &["--epochs", "many"],
            "train --epochs many",
        ),
        (
            "A learning rate of zero",
            &["--lr", "above 0"],
            "train --lr 0",
        ),
        (
            "Resuming what never began",
            &["--resume"],
            "train --resume --out runs",
        ),
        (
            "Weights that are not weights",
            &["junk.safetensors"],
            "eval --weights junk.safetensors",
        ),
        (
            "A digit without weights",
            &["train first"],
            "predict . digit.png",
        ),
        (
            "A file that is not there",
            &["none", "No such file"],
            "info none",
        ),
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_gradus"))
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        let text = String::from_utf8(run.stderr).unwrap();
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
        let useful = lines.filter(|l| !l.starts_with("Usage:") && !l.starts_with("For more"));
        let text = useful.collect::<Vec<_>>().join(" ");
        let result: Result<(), String> = if run.status.success() {
            Ok(())
        } else {
            Err(text)
        };
        s.add(title, parts, &format!("gradus {arguments}"), result);
    }
    s
}

/// The page, without the temporary folder's name.
fn page(sections: &[Section], folder: &Path) -> String {
    let mut text = String::from(
        "# What Gradus says to typical mistakes\n\n\
         Generated by `GRADUS_WRITE=1 cargo test -p gradus --test mistakes`; do not edit. The test fails when a message changes and this \
         page does not, or when a message names neither the op, the shapes nor the way out.\n",
    );
    let cell = |s: &str| {
        let s = s.replace(&format!("{}/", folder.display()), "");
        s.replace('|', "\\|").replace('\n', " ")
    };
    for section in sections {
        let _ = write!(
            text,
            "\n## {}\n\n| mistake | call | message |\n|---|---|---|\n",
            section.title
        );
        for m in &section.mistakes {
            let (call, message) = (cell(&m.call), cell(&m.message));
            let _ = writeln!(text, "| {} | `{call}` | {message} |", m.title);
        }
    }
    text
}

#[test]
fn every_message_says_what_and_where_and_what_to_do() -> Result<()> {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let sections = [
        tensors()?,
        gradients()?,
        layers()?,
        losses()?,
        training()?,
        files(folder)?,
        commands(folder),
    ];
    let count: usize = sections.iter().map(|s| s.mistakes.len()).sum();
    assert!(count >= 40, "{count} mistakes");
    let problems: Vec<&str> = sections
        .iter()
        .flat_map(|s| &s.problems)
        .map(String::as_str)
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let page = page(&sections, folder);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    if std::env::var_os("GRADUS_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/errors.md is stale; run GRADUS_WRITE=1 cargo test -p gradus --test mistakes"
    );
    Ok(())
}
