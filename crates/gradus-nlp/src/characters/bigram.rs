//! Two bigram language models: each character guessed from the one before it, by counting and by gradient descent.
//!
//! They are the same model reached by two roads, and end at the same loss: the counts, normalised, are the best a bigram can do,
//! and the network's `exp(W)` becomes those counts. Both follow A. Karpathy's "makemore" (part 1), down to its random numbers.

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_tensor::random::TorchRng;
use gradus_tensor::{DType, Error, Result, Tensor};

use super::names::Names;

/// How many characters a sampled name may have: a model may be so bad that it never ends one.
const LONGEST_SAMPLE: usize = 1000;

/// A bigram model by counting.
#[derive(Clone, Debug)]
pub struct CountBigram {
    vocabulary: usize,
    counts: Vec<f32>, // (V, V): row what stands first, column what follows
}

impl CountBigram {
    /// Counts every pair, and `smoothing` more of each (0 for none).
    ///
    /// ```
    /// use gradus_nlp::{CountBigram, Names};
    /// let names = Names::from_text("anna\nada")?;
    /// let model = CountBigram::fit(&names, 0.0)?;
    /// assert_eq!(model.count(0, 1), 2.0); // both begin with a
    /// assert!(model.nll(&names)? < 1.0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn fit(names: &Names, smoothing: f32) -> Result<Self> {
        let v = names.vocabulary();
        let (first, second) = names.bigrams()?;
        let mut counts = vec![smoothing; v * v];
        for (a, b) in first
            .to_vec::<i64>()?
            .into_iter()
            .zip(second.to_vec::<i64>()?)
        {
            counts[a as usize * v + b as usize] += 1.0;
        }
        Ok(Self {
            vocabulary: v,
            counts,
        })
    }

    /// How often `second` followed `first`, smoothing included (0 outside the vocabulary).
    pub fn count(&self, first: usize, second: usize) -> f32 {
        let v = self.vocabulary;
        if first < v && second < v {
            self.counts[first * v + second]
        } else {
            0.0
        }
    }

    /// The probabilities of what follows, f32 (V, V), each row summing to 1.
    pub fn probabilities(&self) -> Result<Tensor> {
        let v = self.vocabulary;
        let counts = Tensor::from_slice(&self.counts, [v, v])?;
        counts.div(&counts.sum(1, true)?)
    }

    /// The mean negative log-likelihood of a pair of neighbouring characters of `names`.
    ///
    /// Errors when the vocabulary is another.
    pub fn nll(&self, names: &Names) -> Result<f64> {
        if names.vocabulary() != self.vocabulary {
            return Err(Error::value(
                "CountBigram::nll",
                format!(
                    "names of {} characters, but the model knows {}",
                    names.vocabulary(),
                    self.vocabulary
                ),
            ));
        }
        let p = self.probabilities()?.to_vec::<f32>()?; // (V, V)
        let (first, second) = names.bigrams()?;
        let (first, second) = (first.to_vec::<i64>()?, second.to_vec::<i64>()?);
        let log =
            |(a, b): (&i64, &i64)| (p[*a as usize * self.vocabulary + *b as usize] as f64).ln();
        let sum: f64 = first.iter().zip(&second).map(log).sum();
        Ok(-sum / first.len() as f64)
    }

    /// A name, drawn as `torch.multinomial` draws.
    pub fn sample(&self, names: &Names, rng: &mut TorchRng) -> Result<String> {
        sample(&self.probabilities()?.to_vec::<f32>()?, names, rng)
    }
}

/// A bigram model by gradient descent: logits are the row of `W` that belongs to the character before.
pub struct NeuralBigram {
    weight: Tensor, // (V, V)
}

impl NeuralBigram {
    /// `W` from the standard normal distribution, as `torch.randn((V, V), generator=g)`.
    pub fn new(vocabulary: usize, rng: &mut TorchRng) -> Result<Self> {
        let mut weight = vec![0f32; vocabulary * vocabulary];
        rng.fill_normal(&mut weight, 0.0, 1.0);
        Ok(Self {
            weight: Tensor::from_vec(weight, [vocabulary, vocabulary])?,
        })
    }

    /// The weights, f32 (V, V).
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The loss on pairs of (one-hot first, f32 (N, V)) and (second, i64 (N)), plus `decay` times the mean square of the weights.
    ///
    /// One-hot rows times `W` pick rows of `W`, but the gradient of picking adds 228,146 rows one by one, and that of a
    /// matrix product adds them in blocks: only so do five digits of PyTorch's losses come out.
    fn loss(weight: &Var, first: &Tensor, second: &Tensor, decay: f64) -> Result<Var> {
        let logits = Var::from(first.clone()).matmul(weight)?; // (N, V)
        let nll = cross_entropy(&logits, second, &CrossEntropy::default())?;
        nll.add(&weight.square()?.mean(.., false)?.mul_scalar(decay)?)
    }

    /// One step of gradient descent on all pairs at once; returns the loss before it.
    ///
    /// `first` is one-hot, f32 (N, V), from [`one_hot`](gradus_autograd::functional::one_hot); `second` is i64 (N).
    pub fn step(&mut self, first: &Tensor, second: &Tensor, lr: f64, decay: f64) -> Result<f64> {
        let weight = Var::leaf(self.weight.clone())?;
        let loss = Self::loss(&weight, first, second, decay)?;
        let value = loss.value().to_dtype(DType::F64)?.item::<f64>()?;
        let gradients = loss.backward_once()?;
        if let Some(dw) = gradients.get(&weight) {
            self.weight = self.weight.sub(&dw.mul_scalar(lr)?)?;
        }
        Ok(value)
    }

    /// A name, drawn as `torch.multinomial` draws.
    pub fn sample(&self, names: &Names, rng: &mut TorchRng) -> Result<String> {
        sample(&self.weight.softmax(1)?.to_vec::<f32>()?, names, rng)
    }
}

/// Draws characters from the rows of `p` (V, V) until a name ends.
fn sample(p: &[f32], names: &Names, rng: &mut TorchRng) -> Result<String> {
    let v = names.vocabulary();
    if p.len() != v * v {
        return Err(Error::value(
            "sample",
            "the model and the names have different vocabularies",
        ));
    }
    let mut drawn = Vec::new();
    let mut at = 0;
    while drawn.len() < LONGEST_SAMPLE {
        let row = &p[at * v..(at + 1) * v];
        let next = rng
            .multinomial_row(row, 1, true)
            .and_then(|draws| draws.first().copied());
        let next =
            next.ok_or_else(|| Error::value("sample", "the probabilities do not sum to 1"))?;
        at = next as usize;
        if at == 0 {
            break;
        }
        drawn.push(at);
    }
    names
        .decode(&drawn)
        .ok_or_else(|| Error::value("sample", "a character outside the vocabulary"))
}
