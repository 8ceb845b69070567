//! A multi-layer perceptron over the last few characters: Bengio et al. 2003, as "makemore" has it in part 2 and, with a batch norm and
//! smaller first weights, in part 3. Names and first weights are the notebooks'.

use gradus_autograd::{Var, functional as F};
use gradus_nn::{Layer, Module, Param};
use gradus_tensor::random::TorchRng;
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use super::norm::CharNorm;
use super::window::Window;
use crate::generate::{CausalLm, Session};

/// Sizes of a [`CharMlp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharMlpOptions {
    /// V
    pub vocab_size: usize,
    /// How many characters it sees (3).
    pub block_size: usize,
    /// Size of a character's vector (10).
    pub n_embd: usize,
    /// Hidden units (200).
    pub n_hidden: usize,
    /// With a batch norm and first weights to its measure, as in part 3 (yes); without, as in part 2.
    pub norm: bool,
}

impl CharMlpOptions {
    /// The lectures' sizes, for this vocabulary.
    pub fn new(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            block_size: 3,
            n_embd: 10,
            n_hidden: 200,
            norm: true,
        }
    }
}

/// `tanh(norm(emb · W1)) · W2 + b2` over the vectors of the last characters: i64 (N, T) to logits (N, V).
///
/// ```
/// use gradus_nlp::Names;
/// use gradus_nlp::characters::{CharMlp, CharMlpOptions};
/// use gradus_tensor::random::TorchRng;
/// let names = Names::from_text("emma\nolivia\nava\n")?;
/// let (before, _) = names.contexts(3)?;
/// let mlp = CharMlp::new(CharMlpOptions::new(names.vocabulary()), &mut TorchRng::manual_seed(2147483647))?;
/// assert_eq!(mlp.forward(&before)?.dims(), [16, 8]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct CharMlp {
    /// (V, n_embd)
    #[module(rename = "C")]
    pub c: Param,
    /// (T · n_embd, n_hidden)
    #[module(rename = "W1")]
    pub w1: Param,
    /// (n_hidden); a norm has its own.
    pub b1: Option<Param>,
    /// (n_hidden, V)
    #[module(rename = "W2")]
    pub w2: Param,
    /// (V)
    pub b2: Param,
    /// Between the first product and tanh.
    pub norm: Option<CharNorm>,
    #[module(skip)]
    options: CharMlpOptions,
}

impl CharMlp {
    /// With first weights from `rng`, drawn in the notebooks' order.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(options: CharMlpOptions, rng: &mut TorchRng) -> Result<Self> {
        let CharMlpOptions {
            vocab_size: v,
            block_size,
            n_embd,
            n_hidden,
            norm,
        } = options;
        let inputs = block_size.saturating_mul(n_embd);
        let mut draw = |dims: &[usize], scale: f64| {
            let normal = rng.randn(dims, DType::F32)?;
            Param::new(normal.mul_scalar(scale)?)
        };
        let c = draw(&[v, n_embd], 1.0)?;
        // With a norm: deviation (5/3)/√inputs, the gain for tanh, and almost nothing in the last layer, so that no class is
        // favoured at first.
        let (first, last, shift) = if norm {
            (5.0 / 3.0 / (inputs as f64).sqrt(), 0.01, 0.0)
        } else {
            (1.0, 1.0, 1.0)
        };
        let w1 = draw(&[inputs, n_hidden], first)?;
        let b1 = if norm {
            None
        } else {
            Some(draw(&[n_hidden], 1.0)?)
        };
        Ok(Self {
            c,
            w1,
            b1,
            w2: draw(&[n_hidden, v], last)?,
            b2: draw(&[v], shift)?,
            norm: norm.then(|| CharNorm::new(n_hidden, 0.001)).transpose()?,
            options,
        })
    }

    /// The sizes.
    pub fn options(&self) -> CharMlpOptions {
        self.options
    }

    /// Logits of what follows each window of characters, i64 (N, T): (N, V).
    ///
    /// # Errors
    /// When the windows have another length, or a character is not in the vocabulary.
    pub fn forward(&self, x: &Tensor) -> Result<Var> {
        if !matches!(x.dims(), &[_, t] if t == self.options.block_size) {
            let message = format!("{} is not (N, {})", x.shape(), self.options.block_size);
            return Err(Error::shape("CharMlp", message));
        }
        let emb = F::embedding(x, self.c.var(), None).in_layer("C")?; // (N, T, n_embd)
        let mut h = emb.flatten(1, 2)?.matmul(self.w1.var())?; // (N, n_hidden)
        if let Some(b1) = &self.b1 {
            h = h.add(b1.var())?;
        }
        let h = self.norm.forward(&h)?.tanh()?;
        h.matmul(self.w2.var())?.add(self.b2.var()) // (N, V)
    }
}

impl CausalLm for CharMlp {
    fn vocab_size(&self) -> usize {
        self.options.vocab_size
    }

    fn context(&self) -> Option<usize> {
        None
    }

    fn session(&self, batch: usize, _: usize) -> Result<Box<dyn Session + '_>> {
        let forward = |x: &Tensor| self.forward(x);
        Ok(Box::new(Window::new(
            forward,
            batch,
            self.options.block_size,
        )))
    }
}
