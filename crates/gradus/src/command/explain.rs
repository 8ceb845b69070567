//! `gradus explain`: what in a picture a network's answer hangs on, and what its layers make of it, as pictures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradus_autograd::{Var, no_grad};
use gradus_nn::{Layer as _, Module as _, record};
use gradus_tensor::{Device, Error, Interpolate, InterpolateMode, Result, Tensor};
use gradus_train::error::{bad_file, file_error};
use gradus_train::progress::say;
use gradus_vision::decode::{self, Rgba};
use gradus_vision::explain::paint::{self, balance, enlarged, heat, overlay, scaled};
use gradus_vision::explain::{grad_cam, integrated_gradients, saliency, sheet};
use gradus_vision::{Image, encode};

use super::DeviceArgs;
use super::bars;
use super::network::{Network, NetworkArgs};

/// The options of `gradus explain`.
#[derive(Args)]
#[command(
    override_usage = "gradus explain [OPTIONS] CHECKPOINT IMAGE…\n       gradus explain [OPTIONS] --weights FILE --model NAME IMAGE…",
    after_help = "\
Examples:
  gradus explain runs/mnist seven.png
  gradus explain --model efficientnet_lite0 --weights efficientnet-lite0.pth cat.jpg
  gradus explain --model efficientnet_lite0 --weights efficientnet-lite0.pth cat.jpg --class lynx
  gradus explain --model resnet18 --weights resnet18.safetensors dog.jpg --layer layer3

For each picture:
  NAME.png                        the four below in a row
  NAME.grad-cam.png               where the last maps saw the class
  NAME.integrated-gradients.png   what each pixel had in the score: red for, blue against
  NAME.saliency.png               which pixels move the score at once
  NAME.activations.png            what the first layer makes of the picture
and once filters.png, what the first convolution looks for."
)]
pub struct ExplainArgs {
    /// A checkpoint made by gradus, or the folder of one (not with --weights), and then the pictures.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The weights of the network named by --model, in any format.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    /// The class whose score is explained, by name or number; without it the likeliest of each picture.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The layer whose maps are looked at [Grad-CAM: the last with maps; activations and filters: the first].
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Steps of integrated gradients; more are more exact.
    #[arg(long, value_name = "N", default_value_t = 64)]
    steps: usize,
    /// The folder the pictures go to.
    #[arg(long, value_name = "DIR", default_value = "explained")]
    out: PathBuf,
    /// Threads to compute with; by default as many as there are cores. The result does not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// How wide and high the pictures are at least.
const SIDE: usize = 400;
/// The share of pixels whose values set the colours' scale: a few outshine all others.
const SHARE: f64 = 0.995;

pub fn run(args: &ExplainArgs) -> Result<ExitCode> {
    super::set_threads(args.threads)?;
    let (weights, images) = match (&args.weights, args.paths.split_first()) {
        (Some(weights), _) => (weights, &args.paths[..]),
        (None, Some((checkpoint, images))) => (checkpoint, images),
        (None, None) => return Err(Error::value("", "give a checkpoint and a picture")),
    };
    if images.is_empty() {
        let text = format!(
            "no picture after {}: gradus explain CHECKPOINT IMAGE…",
            weights.display()
        );
        return Err(Error::value("", text));
    }
    let device = args.device.open()?;
    let mut network = Network::load(weights, &args.network)?;
    network.model.to_device(&device)?;
    let class = args.class.as_ref().map(|class| network.class(class));
    let class = class.transpose()?;
    std::fs::create_dir_all(&args.out).map_err(|e| file_error("create", &args.out, e))?;
    if let Some((name, filters)) = filters(&network, args.layer.as_deref())? {
        let path = args.out.join("filters.png");
        encode::write(&filters, &path)?;
        say(&format!("{}: the filters of {name}", path.display()));
    }
    let mut code = ExitCode::SUCCESS;
    for path in images {
        // One bad picture is no reason not to look at the others.
        if let Err(error) = explain(args, &network, path, class) {
            eprintln!("gradus: {error}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// The filters of the first convolution, or of the layer named if it has any.
fn filters(network: &Network, layer: Option<&str>) -> Result<Option<(String, Rgba)>> {
    let wanted = layer.map(|layer| format!("{layer}.weight"));
    let mut parameters = network.model.named_parameters().into_iter();
    let found = parameters.find(|(name, parameter)| {
        parameter.data().rank() == 4 && wanted.as_ref().is_none_or(|wanted| wanted == name)
    });
    found
        .map(|(name, parameter)| Ok((name, sheet::filters(parameter.data())?)))
        .transpose()
}

fn explain(args: &ExplainArgs, network: &Network, path: &Path, class: Option<usize>) -> Result<()> {
    let picture = decode::read(path)?;
    let view = network.view(&picture).map_err(|e| bad_file(path, e))?;
    let black = Image::filled(view.channels(), view.height(), view.width(), 0.0)?;
    let there = network.model.device();
    let (seen, input) = (view.to_tensor()?, network.input(view)?.to(&there)?); // (C, H, W)
    let black = network.input(black)?.to(&there)?;
    let probabilities = network.probabilities(&input)?;
    let class = class.unwrap_or_else(|| bars::order(&probabilities)[0]);
    say(&path.display().to_string());
    bars::show(&probabilities, &network.classes, 3);
    say(&format!("  why {}?", network.classes[class]));

    let out = Out::new(args, path, &seen)?;
    let model = &*network.model;
    let cam = grad_cam(model, &input, class, args.layer.as_deref())?;
    let smooth = out.smooth(&scaled(&cam.map, 1.0)?)?;
    let cam_picture = overlay(&out.picture, &smooth, heat)?;
    out.write(
        "grad-cam",
        &cam_picture,
        &format!("Grad-CAM at {}", cam.layer),
    )?;

    let parts = integrated_gradients(model, &input, &black, class, args.steps)?;
    let shares = out.pixels(&scaled(&parts.pixels()?, SHARE)?)?;
    let shares_picture = overlay(&out.picture, &shares, balance)?;
    let sum = format!(
        "integrated gradients: shares of {:.3} in all, of a gain of {:.3} over black",
        parts.sum, parts.gain
    );
    out.write("integrated-gradients", &shares_picture, &sum)?;

    let map = out.pixels(&scaled(&saliency(model, &input, class)?, SHARE)?)?;
    let saliency_picture = overlay(&out.picture, &map, heat)?;
    out.write("saliency", &saliency_picture, "saliency")?;

    let (layer, maps) = activations(network, &input, args.layer.as_deref())?;
    out.write("activations", &maps, &format!("activations of {layer}"))?;
    let row = [
        out.picture.clone(),
        cam_picture,
        shares_picture,
        saliency_picture,
    ];
    out.write(
        "",
        &sheet::sheet(&row, 4)?,
        "picture, Grad-CAM, integrated gradients, saliency",
    )
}

/// The maps of the first layer that has any, or of the one named.
fn activations(network: &Network, input: &Tensor, layer: Option<&str>) -> Result<(String, Rgba)> {
    let x = Var::from(input.unsqueeze(0)?); // (1, C, H, W)
    let (logits, outputs) = record(|| no_grad(|| network.model.forward(&x)));
    logits?;
    for (name, output) in &outputs {
        if layer.is_none_or(|layer| layer == name)
            && let Ok(maps) = sheet::maps(output.value())
        {
            return Ok((name.clone(), maps));
        }
    }
    Err(Error::value("", "the network tells of no maps"))
}

/// Where the pictures of one image go, and how large they are.
struct Out {
    stem: PathBuf,
    picture: Rgba,
}

impl Out {
    fn new(args: &ExplainArgs, path: &Path, seen: &Tensor) -> Result<Self> {
        let small = paint::picture(seen)?;
        let times = SIDE.div_ceil(small.height.max(small.width).max(1));
        Ok(Self {
            stem: args.out.join(path.file_stem().unwrap_or(path.as_os_str())),
            picture: enlarged(&small, times),
        })
    }

    /// A map (h, w) as large as the picture, its values flowing into each other.
    fn smooth(&self, map: &Tensor) -> Result<Tensor> {
        self.resized(map, InterpolateMode::Bilinear)
    }

    /// A map with a value for each pixel, as large as the picture.
    fn pixels(&self, map: &Tensor) -> Result<Tensor> {
        self.resized(map, InterpolateMode::Nearest)
    }

    fn resized(&self, map: &Tensor, mode: InterpolateMode) -> Result<Tensor> {
        let options = Interpolate {
            mode,
            ..Interpolate::size([self.picture.height, self.picture.width])
        };
        let map = map.to(&Device::Cpu)?.unsqueeze(0)?.unsqueeze(0)?; // (1, 1, h, w)
        map.interpolate(&options)?.squeeze([0, 1])
    }

    fn write(&self, what: &str, picture: &Rgba, said: &str) -> Result<()> {
        let mut name = self.stem.clone().into_os_string();
        if !what.is_empty() {
            name.push(".");
        }
        name.push(what);
        name.push(".png");
        encode::write(picture, Path::new(&name))?;
        say(&format!("  {}: {said}", Path::new(&name).display()));
        Ok(())
    }
}
