//! The published numbers of makemore, part 1, on the full list of names. Needs GRADUS_DATA.

use gradus_autograd::functional::one_hot;
use gradus_nlp::{CountBigram, Names, NeuralBigram};
use gradus_tensor::DType;
use gradus_tensor::random::TorchRng;

/// The list of names, or `None` (and a note) where there is no data folder.
fn names() -> Option<Names> {
    let Some(folder) = std::env::var_os("GRADUS_DATA") else {
        println!("skipped: no GRADUS_DATA");
        return None;
    };
    let path = std::path::Path::new(&folder).join("text/names.txt");
    Some(Names::read(path).expect("names.txt in GRADUS_DATA/text"))
}

#[test]
fn counting_gives_the_published_likelihood() {
    let Some(names) = names() else { return };
    assert_eq!((names.len(), names.vocabulary()), (32_033, 27));
    let (first, _) = names.bigrams().unwrap();
    assert_eq!(first.numel(), 228_146);
    let model = CountBigram::fit(&names, 0.0).unwrap();
    assert!((model.nll(&names).unwrap() - 2.454_014).abs() < 1e-6);
    let smooth = CountBigram::fit(&names, 1.0).unwrap();
    assert!((smooth.nll(&names).unwrap() - 2.454_577).abs() < 1e-6);
    let mut rng = TorchRng::manual_seed(2_147_483_647);
    let drawn: Vec<String> = (0..5)
        .map(|_| smooth.sample(&names, &mut rng).unwrap())
        .collect();
    assert_eq!(
        drawn,
        ["cexze", "momasurailezitynn", "konimittain", "llayn", "ka"]
    ); // what PyTorch draws
}

#[test]
fn the_network_learns_as_pytorch_does() {
    let Some(names) = names() else { return };
    let (first, second) = names.bigrams().unwrap();
    let mut rng = TorchRng::manual_seed(2_147_483_647);
    let mut model = NeuralBigram::new(27, &mut rng).unwrap();
    let ones = one_hot(&first, 27).unwrap().to_dtype(DType::F32).unwrap(); // (N, 27)
    let mut losses = Vec::new();
    for _ in 0..100 {
        losses.push(model.step(&ones, &second, 50.0, 0.01).unwrap());
    }
    for (step, want) in [
        (0, 3.768_619),
        (1, 3.378_807),
        (10, 2.696_505),
        (99, 2.490_130),
    ] {
        let got = losses[step];
        println!("step {step}: loss {got:.6}, PyTorch {want:.6}");
        assert!(
            (got - want).abs() < 5e-6,
            "step {step}: {got} and not {want}"
        );
    }
}
