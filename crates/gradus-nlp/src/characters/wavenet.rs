//! Characters joined two by two, the pairs two by two, and so on: a tree in the manner of WaveNet (van den Oord et al. 2016,
//! arXiv:1609.03499), as "makemore" has it in part 5.

use gradus_autograd::Var;
use gradus_nn::{Embedding, Layer, Linear, Module};
use gradus_tensor::random::TorchRng;
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use super::norm::CharNorm;
use super::window::Window;
use crate::generate::{CausalLm, Session};

/// Sizes of a [`CharWaveNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharWaveNetOptions {
    /// V
    pub vocab_size: usize,
    /// Levels of the tree: it sees 2^levels characters (3).
    pub levels: u32,
    /// Size of a character's vector (24).
    pub n_embd: usize,
    /// Hidden units (128).
    pub n_hidden: usize,
}

impl CharWaveNetOptions {
    /// The lecture's sizes, for this vocabulary.
    pub fn new(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            levels: 3,
            n_embd: 24,
            n_hidden: 128,
        }
    }
}

/// One level: neighbours side by side, a dense layer, a norm, tanh: (N, L, C) to (N, L/2, C').
#[derive(Clone, Debug, Module)]
struct Level {
    linear: Linear,
    norm: CharNorm,
}

impl Level {
    fn forward(&self, x: &Var) -> Result<Var> {
        let (l, c) = (x.dim(1)?, x.dim(2)?);
        let pairs = x.reshape([-1, l as isize / 2, 2 * c as isize])?; // (N, L/2, 2C)
        let pairs = if l == 2 { pairs.squeeze(1)? } else { pairs };
        self.norm.forward(&self.linear.forward(&pairs)?)?.tanh()
    }
}

/// The tree over the last 2^levels characters: i64 (N, T) to logits (N, V).
#[derive(Clone, Debug, Module)]
pub struct CharWaveNet {
    embedding: Embedding,
    levels: Vec<Level>,
    head: Linear,
    #[module(skip)]
    options: CharWaveNetOptions,
}

impl CharWaveNet {
    /// With first weights from `rng`, drawn in the notebook's order.
    ///
    /// # Errors
    /// When there are no levels or too many, or the memory cannot be had.
    pub fn new(options: CharWaveNetOptions, rng: &mut TorchRng) -> Result<Self> {
        let CharWaveNetOptions {
            vocab_size: v,
            levels,
            n_embd,
            n_hidden,
        } = options;
        if !(1..=16).contains(&levels) {
            let message = format!("{levels} levels: there must be 1 to 16");
            return Err(Error::value("CharWaveNet", message));
        }
        let embedding = Embedding::from_pretrained(rng.randn([v, n_embd], DType::F32)?)?;
        // The notebook's weights are (in, out), divided by √in.
        let mut dense = |inputs: usize, outputs: usize, bias: bool, scale: f64| {
            let mut layer = Linear::builder(inputs, outputs).bias(bias).build()?;
            let weight = rng.randn([inputs, outputs], DType::F32)?;
            let weight = weight.mul_scalar(scale / (inputs as f64).sqrt())?;
            layer.weight.set(weight.t()?.contiguous()?)?;
            if let Some(bias) = &mut layer.bias {
                bias.set(Tensor::zeros([outputs], DType::F32)?)?;
            }
            Ok::<Linear, Error>(layer)
        };
        let mut tree = Vec::new();
        for level in 0..levels {
            let inputs = if level == 0 { n_embd } else { n_hidden };
            tree.push(Level {
                linear: dense(inputs.saturating_mul(2), n_hidden, false, 1.0)?,
                norm: CharNorm::new(n_hidden, 0.1)?,
            });
        }
        Ok(Self {
            embedding,
            levels: tree,
            head: dense(n_hidden, v, true, 0.1)?,
            options,
        })
    }

    /// The sizes.
    pub fn options(&self) -> CharWaveNetOptions {
        self.options
    }

    /// How many characters it sees.
    pub fn block_size(&self) -> usize {
        1 << self.options.levels
    }

    /// Logits of what follows each window of characters, i64 (N, T): (N, V).
    ///
    /// # Errors
    /// When the windows have another length, or a character is not in the vocabulary.
    pub fn forward(&self, x: &Tensor) -> Result<Var> {
        if !matches!(x.dims(), &[_, t] if t == self.block_size()) {
            let message = format!("{} is not (N, {})", x.shape(), self.block_size());
            return Err(Error::shape("CharWaveNet", message));
        }
        let mut h = self.embedding.forward(x).in_layer("embedding")?; // (N, T, n_embd)
        for (i, level) in self.levels.iter().enumerate() {
            h = level
                .forward(&h)
                .map_err(|e| e.in_layer(format!("levels.{i}")))?;
        }
        self.head.forward(&h).in_layer("head") // (N, V)
    }
}

impl CausalLm for CharWaveNet {
    fn vocab_size(&self) -> usize {
        self.options.vocab_size
    }

    fn context(&self) -> Option<usize> {
        None
    }

    fn session(&self, batch: usize, _: usize) -> Result<Box<dyn Session + '_>> {
        let forward = |x: &Tensor| self.forward(x);
        Ok(Box::new(Window::new(forward, batch, self.block_size())))
    }
}
