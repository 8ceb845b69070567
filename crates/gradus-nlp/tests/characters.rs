//! The networks of the lectures start, and go on, with the losses their notebooks show.

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nlp::Names;
use gradus_nlp::characters::{
    Cell, CharMlp, CharMlpOptions, CharRnn, CharRnnOptions, CharWaveNet, CharWaveNetOptions,
};
use gradus_nlp::generate::{CausalLm, Generation, beam_search, generate};
use gradus_nn::Module;
use gradus_nn::optim::{Optimizer, SGD};
use gradus_tensor::random::TorchRng;
use gradus_tensor::{Result, Tensor};

/// The names of the lectures in the order the notebooks shuffle them to: the 80 % that are learnt from.
fn names() -> Option<Names> {
    let Some(data) = std::env::var_os("GRADUS_DATA") else {
        println!("skipped: no GRADUS_DATA");
        return None;
    };
    let all = Names::read(std::path::Path::new(&data).join("text/names.txt")).unwrap();
    let shuffled = all.shuffled(42);
    assert_eq!(shuffled.names()[..3], ["yuheng", "diondre", "xavien"]);
    Some(shuffled.range(0..all.len() * 8 / 10).unwrap())
}

/// The first losses of stochastic gradient descent at 0.1 on batches of 32.
fn losses<M: Module>(
    model: &mut M,
    forward: impl Fn(&M, &Tensor) -> Result<Var>,
    (x, y): (Tensor, Tensor),
    rng: &mut TorchRng,
    steps: usize,
) -> Result<Vec<f32>> {
    let mut optimizer = SGD::new(0.1);
    let mut losses = Vec::new();
    for _ in 0..steps {
        let batch = rng.randint(0, y.numel() as i64, [32])?;
        let (x, y) = (x.index_select(0, &batch)?, y.index_select(0, &batch)?);
        let loss = cross_entropy(&forward(model, &x)?, &y, &CrossEntropy::default())?;
        losses.push(loss.item::<f32>()?);
        let gradients = loss.backward_once()?;
        optimizer.step(model, &gradients)?;
    }
    Ok(losses)
}

fn close(got: &[f32], expected: &[f32]) {
    let all = got
        .iter()
        .zip(expected)
        .all(|(g, e)| (g - e).abs() < 5e-5 * e);
    assert!(
        all && got.len() == expected.len(),
        "{got:?}, expected {expected:?}"
    );
}

#[test]
fn part_2_and_part_3() -> Result<()> {
    let Some(names) = names() else { return Ok(()) };
    let contexts = || names.contexts(3);
    let rng = &mut TorchRng::manual_seed(2147483647);
    let options = CharMlpOptions::new(27);
    let mut plain = CharMlp::new(
        CharMlpOptions {
            norm: false,
            ..options
        },
        rng,
    )?;
    assert_eq!(plain.num_params(), 11_897);
    close(
        &losses(&mut plain, CharMlp::forward, contexts()?, rng, 1)?,
        &[27.881733],
    );
    let rng = &mut TorchRng::manual_seed(2147483647);
    let mut normed = CharMlp::new(options, rng)?;
    assert_eq!(normed.num_params(), 12_097);
    // PyTorch's, for the notebook's lines: 3.3239 is the first.
    close(
        &losses(&mut normed, CharMlp::forward, contexts()?, rng, 3)?,
        &[3.3238626, 3.2736192, 3.2063632],
    );
    Ok(())
}

#[test]
fn part_5() -> Result<()> {
    let Some(names) = names() else { return Ok(()) };
    let rng = &mut TorchRng::manual_seed(42);
    let mut tree = CharWaveNet::new(CharWaveNetOptions::new(27), rng)?;
    assert_eq!(tree.num_params(), 76_579);
    close(
        &losses(&mut tree, CharWaveNet::forward, names.contexts(8)?, rng, 1)?,
        &[3.3167155],
    );
    Ok(())
}

/// Names are written with any of them: they begin and end at the boundary.
#[test]
fn all_write() -> Result<()> {
    let rng = &mut TorchRng::manual_seed(1);
    let mlp = CharMlp::new(
        CharMlpOptions {
            norm: false,
            n_hidden: 8,
            ..CharMlpOptions::new(5)
        },
        rng,
    )?;
    let mut normed = CharMlp::new(
        CharMlpOptions {
            norm: true,
            ..mlp.options()
        },
        rng,
    )?;
    normed.eval();
    let mut tree = CharWaveNet::new(
        CharWaveNetOptions {
            n_hidden: 8,
            ..CharWaveNetOptions::new(5)
        },
        rng,
    )?;
    tree.eval();
    let rnn = |cell| {
        CharRnn::new(CharRnnOptions {
            cell,
            hidden_size: 8,
            ..CharRnnOptions::new(5)
        })
    };
    let (rnn, lstm, gru) = (rnn(Cell::Rnn)?, rnn(Cell::Lstm)?, rnn(Cell::Gru)?);
    let models: [&dyn CausalLm; 6] = [&mlp, &normed, &tree, &rnn, &lstm, &gru];
    for model in models {
        let options = Generation {
            do_sample: true,
            eos_token_id: vec![0],
            max_new_tokens: 30,
            ..Generation::default()
        };
        let name = generate(model, &[0], &options)?;
        assert!(name.len() == 30 || name.last() == Some(&0));
        // A session goes on from where it is: reading in one go or one by one is the same, and so with a beam that is picked.
        let ids = Tensor::from_slice(&[0_i64, 3, 1, 4], [1, 4])?;
        let whole = model.session(1, 4)?.read(&ids)?;
        let mut session = model.session(1, 4)?;
        session.read(&ids.narrow(1, 0, 3)?)?;
        session.select(&[0, 0])?;
        let last = session
            .read(&Tensor::from_slice(&[2_i64, 4], [2, 1])?)?
            .select(0, 1)?;
        assert!(last.allclose(&whole.select(0, 0)?, 1e-4, 1e-5, false)?);
        let beams = Generation {
            num_beams: 3,
            do_sample: false,
            ..options
        };
        assert!(beam_search(model, &[0], &beams)?[0].score < 0.0);
        assert!(generate(model, &[5], &beams).is_err());
    }
    Ok(())
}
