//! The derive and what stands on it: names, freezing, modes, dtypes. State dicts are `state_dicts.rs`.

use gradus_autograd::Var;
use gradus_nn::optim::{Optimizer, SGD};
use gradus_nn::{
    Buffer, Dropout, Dropout2d, Identity, Layer, Linear, Mode, Module, ModuleList, Param, Part,
    Path, Sequential, Visit,
};
use gradus_tensor::{DType, Result, ResultExt, Tensor};

fn param(shape: &[usize]) -> Param {
    Param::new(Tensor::ones(shape, DType::F32).unwrap()).unwrap()
}

fn names(module: &dyn Module) -> Vec<String> {
    module
        .named_parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

/// Every kind of field at once.
#[derive(Module)]
struct Everything {
    weight: Param,
    bias: Option<Param>,
    absent: Option<Param>,
    running: Buffer,
    #[module(rename = "LayerNorm")]
    norm: Linear,
    r#type: Param,
    layers: ModuleList<Linear>,
    list: Vec<Linear>,
    array: [Linear; 2],
    pair: (Linear, Param),
    boxed: Box<dyn Layer>,
    sequence: Sequential,
    maybe: Option<Box<dyn Layer>>,
    #[module(flatten)]
    inner: Inner,
    choice: Choice,
    drop: Dropout,
    mode: Mode,
    heads: usize,
    scale: f64,
    name: String,
    shape: Vec<usize>,
    #[module(skip)]
    #[allow(dead_code)]
    cache: std::collections::HashMap<usize, Linear>,
}

#[derive(Module)]
struct Inner {
    gamma: Param,
}

#[derive(Module)]
enum Choice {
    #[allow(dead_code)]
    Nothing,
    One(Linear),
    #[allow(dead_code)]
    Named {
        left: Param,
        right: Param,
    },
    #[allow(dead_code)]
    Two(Param, Param),
}

#[derive(Module)]
struct Pair(Linear, Param);

#[derive(Module)]
struct Wrapper<M> {
    inner: M,
    more: Vec<M>,
}

#[derive(Module)]
struct Unit;

#[derive(Module)]
enum Never {}

fn everything() -> Everything {
    let linear = || Linear::new(2, 3).unwrap();
    Everything {
        weight: param(&[2]),
        bias: Some(param(&[2])),
        absent: None,
        running: Buffer::new(Tensor::zeros([2], DType::F32).unwrap()),
        norm: linear(),
        r#type: param(&[1]),
        layers: (0..2).map(|_| linear()).collect(),
        list: vec![linear()],
        array: [linear(), linear()],
        pair: (linear(), param(&[1])),
        boxed: Box::new(linear()),
        sequence: Sequential::new().then(Identity).then_named("fc", linear()),
        maybe: Some(Box::new(linear())),
        inner: Inner { gamma: param(&[4]) },
        choice: Choice::One(linear()),
        drop: Dropout::new(0.5),
        mode: Mode::Training,
        heads: 2,
        scale: 1.0,
        name: String::from("everything"),
        shape: vec![1, 2],
        cache: [(0, linear())].into(),
    }
}

#[test]
fn every_kind_of_field_has_pytorchs_name() {
    let module = everything();
    let expected = [
        "weight",
        "bias",
        "LayerNorm.weight",
        "LayerNorm.bias",
        "type",
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
        "list.0.weight",
        "list.0.bias",
        "array.0.weight",
        "array.0.bias",
        "array.1.weight",
        "array.1.bias",
        "pair.0.weight",
        "pair.0.bias",
        "pair.1",
        "boxed.weight",
        "boxed.bias",
        "sequence.fc.weight",
        "sequence.fc.bias",
        "maybe.weight",
        "maybe.bias",
        "gamma",
        "choice.weight",
        "choice.bias",
    ];
    assert_eq!(names(&module), expected);
    assert_eq!(module.named_buffers()[0].0, "running");
    assert_eq!(module.state_dict().len(), expected.len() + 1);
    assert_eq!(module.num_params(), 2 + 2 + 1 + 1 + 4 + 11 * 9);
}

#[test]
fn both_walks_meet_the_same() {
    let mut module = everything();
    let there: Vec<String> = names(&module);
    let back: Vec<String> = module
        .named_parameters_mut()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(there, back);
    let mut kinds = Vec::new();
    module.visit(&mut Path::default(), &mut |path, part| {
        if let Part::Module(kind) = part {
            kinds.push(format!("{path}:{kind}"));
        }
    });
    assert_eq!(kinds[0], ":Everything");
    assert!(kinds.contains(&"sequence.0:Identity".to_string()));
}

#[test]
fn tuples_enums_generics_and_empty_types() {
    assert_eq!(
        names(&Pair(Linear::new(1, 1).unwrap(), param(&[1]))),
        ["0.weight", "0.bias", "1"]
    );
    assert_eq!(names(&Choice::Nothing), [""; 0]);
    assert_eq!(
        names(&Choice::Named {
            left: param(&[1]),
            right: param(&[1])
        }),
        ["left", "right"]
    );
    assert_eq!(names(&Choice::Two(param(&[1]), param(&[1]))), ["0", "1"]);
    let wrapped = Wrapper {
        inner: Inner { gamma: param(&[1]) },
        more: vec![Inner { gamma: param(&[1]) }],
    };
    assert_eq!(names(&wrapped), ["inner.gamma", "more.0.gamma"]);
    assert_eq!(Unit.num_params(), 0);
    fn is_module<M: Module>() {}
    is_module::<Never>();
    is_module::<Wrapper<Wrapper<Linear>>>();
}

#[test]
fn modes_reach_every_layer() {
    let mut module = everything();
    module.eval();
    assert_eq!(module.mode, Mode::Evaluation);
    let x = Var::from(Tensor::ones([64], DType::F32).unwrap());
    assert_eq!(
        module
            .drop
            .forward(&x)
            .unwrap()
            .value()
            .to_vec::<f32>()
            .unwrap(),
        [1.0; 64]
    );
    module.train();
    assert_ne!(
        module
            .drop
            .forward(&x)
            .unwrap()
            .value()
            .to_vec::<f32>()
            .unwrap(),
        [1.0; 64]
    );
}

fn mlp() -> Sequential {
    Sequential::new()
        .then(Linear::new(2, 3).unwrap())
        .then(Linear::new(3, 1).unwrap())
}

#[test]
fn frozen_parameters_get_no_gradient_and_stay() {
    let mut model = mlp();
    assert_eq!(model.freeze("0"), 2);
    let before = model.state_dict();
    let x = Var::from(Tensor::ones([4, 2], DType::F32).unwrap());
    let gradients = model
        .forward(&x)
        .unwrap()
        .sum(.., false)
        .unwrap()
        .backward_once()
        .unwrap();
    assert_eq!(gradients.len(), 2);
    SGD::new(0.1).step(&mut model, &gradients).unwrap();
    let after = model.state_dict();
    let same =
        |name: &str| before[name].to_vec::<f32>().unwrap() == after[name].to_vec::<f32>().unwrap();
    assert!(same("0.weight") && same("0.bias") && !same("1.weight") && !same("1.bias"));

    assert_eq!(model.freeze(""), 4);
    assert!(!model.forward(&x).unwrap().is_tracked());
    assert_eq!(model.unfreeze("1.weight"), 1);
    assert_eq!(model.freeze("nothing"), 0);
    assert_eq!(model.summary().trained, 3);
}

#[test]
fn a_prefix_is_whole_names() {
    let mut model: Sequential = (0..12)
        .map(|_| Box::new(Linear::new(1, 1).unwrap()) as Box<dyn Layer>)
        .collect();
    assert_eq!(model.freeze("1"), 2); // not those of 10 and 11
    assert_eq!(model.freeze("1."), 2);
}

#[test]
fn dtypes_change_together_and_counters_stay() {
    let mut module = everything();
    module.running.set(Tensor::zeros([2], DType::I64).unwrap());
    module.to_dtype(DType::F64).unwrap();
    assert!(
        module
            .named_parameters()
            .iter()
            .all(|(_, param)| param.dtype() == DType::F64)
    );
    assert_eq!(module.running.get().dtype(), DType::I64);
    assert!(
        module
            .to_dtype(DType::I64)
            .unwrap_err()
            .to_string()
            .starts_with("weight: ")
    );
}

#[test]
fn errors_carry_the_path() {
    #[derive(Module)]
    struct Model {
        encoder: Sequential,
    }
    let model = Model {
        encoder: Sequential::new()
            .then(Identity)
            .then_named("fc", Linear::new(2, 3).unwrap()),
    };
    let x = Var::from(Tensor::ones([4, 5], DType::F32).unwrap());
    let error = model.encoder.forward(&x).in_layer("encoder").unwrap_err();
    assert_eq!(error.layer(), "encoder.fc");
    assert!(
        error.to_string().contains("[4,5]") || error.to_string().contains("[4, 5]"),
        "{error}"
    );
}

#[test]
fn a_copied_parameter_is_its_own() -> Result<()> {
    let first = param(&[2]);
    let mut second = first.clone();
    assert_ne!(first.var().id(), second.var().id());
    second.set(Tensor::zeros([2], DType::F32)?)?;
    assert_eq!(first.data().to_vec::<f32>()?, [1.0, 1.0]);
    let id = second.var().id();
    second.update(|data| {
        *data = data.add_scalar(1.0)?;
        Ok(())
    })?;
    assert_eq!(
        (second.var().id(), second.data().to_vec::<f32>()?),
        (id, vec![1.0, 1.0])
    );
    assert!(Param::new(Tensor::zeros([2], DType::I64)?).is_err());
    Ok(())
}

#[test]
fn a_parameter_in_a_live_graph_is_copied_not_overwritten() -> Result<()> {
    let mut weight = param(&[2]);
    let loss = weight.var().square()?.sum(.., false)?;
    weight.update(|data| data.with_mut_slice::<f32, _>(|x| x.fill(5.0)))?;
    assert_eq!(
        loss.backward()?
            .get(weight.var())
            .unwrap()
            .to_vec::<f32>()?,
        [2.0, 2.0]
    );
    assert_eq!(weight.data().to_vec::<f32>()?, [5.0, 5.0]);
    Ok(())
}

#[test]
fn dropout_keeps_the_mean_and_drops_whole_channels() -> Result<()> {
    gradus_tensor::random::manual_seed(5);
    let x = Var::from(Tensor::ones([8, 64, 6, 6], DType::F32)?);
    let y = Dropout::new(0.25).forward(&x)?.value().to_vec::<f32>()?;
    assert!(y.iter().all(|&y| y == 0.0 || (y - 4.0 / 3.0).abs() < 1e-6));
    assert!((y.iter().sum::<f32>() / y.len() as f32 - 1.0).abs() < 0.02);
    let y = Dropout2d::new(0.5).forward(&x)?.value().to_vec::<f32>()?;
    let channels: Vec<f32> = y.chunks(36).map(|channel| channel[0]).collect();
    assert!(
        y.chunks(36)
            .zip(&channels)
            .all(|(channel, first)| channel.iter().all(|y| y == first))
    );
    let dropped = channels.iter().filter(|&&y| y == 0.0).count();
    assert!((200..312).contains(&dropped), "{dropped} of 512");

    // The same seed drops the same; the gradient is the mask.
    let drop = Dropout::new(0.5);
    let run = || -> Result<_> {
        gradus_tensor::random::manual_seed(6);
        let x = Var::leaf(Tensor::ones([100], DType::F64)?)?;
        let y = drop.forward(&x)?;
        let gradients = y.sum(.., false)?.backward()?;
        Ok((
            y.value().to_vec::<f64>()?,
            gradients.get(&x).unwrap().to_vec::<f64>()?,
        ))
    };
    let (y, dx) = run()?;
    assert_eq!(y, dx);
    assert_eq!(run()?, (y, dx));
    assert_eq!(
        Dropout::new(1.0)
            .forward(&x)?
            .value()
            .amax(.., false)?
            .item::<f32>()?,
        0.0
    );
    Ok(())
}
