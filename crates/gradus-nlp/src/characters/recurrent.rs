//! A recurrent network over characters, which reads them one by one and keeps what it needs in a state: A. Karpathy's "char-rnn" (2015),
//! with any of the three cells. Names are those of its PyTorch version: `encoder`, `rnn`, `decoder`.

use std::str::FromStr;

use gradus_autograd::{Var, no_grad};
use gradus_nn::{Dropout, Embedding, GRU, LSTM, Layer, Linear, Module, RNN, RecurrentOptions};
use gradus_tensor::{Error, Result, ResultExt, Tensor};
use serde_json::{Value, json};

use crate::generate::{CausalLm, Session};
use crate::models::Config;

/// The kind of cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cell {
    /// One tanh.
    Rnn,
    /// Long short-term memory.
    #[default]
    Lstm,
    /// Gated recurrent unit.
    Gru,
}

impl Cell {
    /// Its name: `rnn`, `lstm`, `gru`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rnn => "rnn",
            Self::Lstm => "lstm",
            Self::Gru => "gru",
        }
    }
}

impl FromStr for Cell {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Rnn, Self::Lstm, Self::Gru];
        let found = all.into_iter().find(|cell| cell.name() == text);
        found.ok_or_else(|| {
            Error::value(
                "",
                format!("there is no cell {text:?}; there are: rnn, lstm, gru"),
            )
        })
    }
}

/// Sizes of a [`CharRnn`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CharRnnOptions {
    /// V
    pub vocab_size: usize,
    /// The cell (LSTM).
    pub cell: Cell,
    /// Size of a character's vector and of the state (128).
    pub hidden_size: usize,
    /// How many, one above the other (2).
    pub num_layers: usize,
    /// Dropout between the layers and before the last (0).
    pub dropout: f64,
}

impl CharRnnOptions {
    /// char-rnn's sizes, for this vocabulary.
    pub fn new(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            cell: Cell::default(),
            hidden_size: 128,
            num_layers: 2,
            dropout: 0.0,
        }
    }
}

impl CharRnnOptions {
    /// From a `config.json` of the type `char-rnn`.
    ///
    /// # Errors
    /// When a value is of the wrong kind.
    pub fn from_config(config: &Config) -> Result<Self> {
        let d = Self::new(0);
        let vocab_size = config.optional_size("vocab_size")?;
        Ok(Self {
            vocab_size: vocab_size.ok_or_else(|| config.error("it has no vocab_size"))?,
            cell: config.text("cell", d.cell.name())?.parse()?,
            hidden_size: config.size("hidden_size", d.hidden_size)?,
            num_layers: config.depth("num_layers", d.num_layers)?,
            dropout: config.probability("dropout", d.dropout)?,
        })
    }

    /// As a `config.json`.
    pub fn to_json(&self) -> Value {
        json!({
            "model_type": "char-rnn",
            "vocab_size": self.vocab_size,
            "cell": self.cell.name(),
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "dropout": self.dropout,
        })
    }
}

#[derive(Clone, Debug, Module)]
enum Layers {
    Rnn(RNN),
    Lstm(LSTM),
    Gru(GRU),
}

/// What was read so far: h, and for LSTMs c, (layers, B, H) each.
type State = Vec<Var>;

impl Layers {
    fn forward(&self, x: &Var, state: Option<&State>) -> Result<(Var, State)> {
        let h = state.and_then(|state| state.first());
        match self {
            Self::Rnn(rnn) => rnn.forward(x, h).map(|(y, h)| (y, vec![h])),
            Self::Gru(gru) => gru.forward(x, h).map(|(y, h)| (y, vec![h])),
            Self::Lstm(lstm) => {
                let state = state.and_then(|state| Some((state.first()?, state.get(1)?)));
                lstm.forward(x, state).map(|(y, (h, c))| (y, vec![h, c]))
            }
        }
    }
}

/// Characters i64 (B, T) to logits (B, T, V).
///
/// ```
/// use gradus_nlp::characters::{Cell, CharRnn, CharRnnOptions};
/// use gradus_tensor::Tensor;
/// let options = CharRnnOptions { cell: Cell::Gru, hidden_size: 16, ..CharRnnOptions::new(27) };
/// let model = CharRnn::new(options)?;
/// let ids = Tensor::from_slice(&[0_i64, 5, 13, 13, 1], [1, 5])?;
/// assert_eq!(model.forward(&ids)?.dims(), [1, 5, 27]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct CharRnn {
    encoder: Embedding,
    rnn: Layers,
    dropout: Dropout,
    decoder: Linear,
    #[module(skip)]
    options: CharRnnOptions,
}

impl CharRnn {
    /// With PyTorch's first weights.
    ///
    /// # Errors
    /// When a size is 0, dropout is no probability, or the memory cannot be had.
    pub fn new(options: CharRnnOptions) -> Result<Self> {
        let CharRnnOptions {
            vocab_size: v,
            hidden_size: h,
            num_layers,
            dropout,
            ..
        } = options;
        let recurrent = RecurrentOptions {
            num_layers,
            dropout: if num_layers > 1 { dropout } else { 0.0 },
            batch_first: true,
            ..RecurrentOptions::default()
        };
        let rnn = match options.cell {
            Cell::Rnn => Layers::Rnn(RNN::with(h, h, &recurrent)?),
            Cell::Lstm => Layers::Lstm(LSTM::with(h, h, &recurrent)?),
            Cell::Gru => Layers::Gru(GRU::with(h, h, &recurrent)?),
        };
        Ok(Self {
            encoder: Embedding::new(v, h)?,
            rnn,
            dropout: Dropout::new(dropout),
            decoder: Linear::new(h, v)?,
            options,
        })
    }

    /// The sizes.
    pub fn options(&self) -> CharRnnOptions {
        self.options
    }

    /// Logits of what follows each of the characters i64 (B, T): (B, T, V).
    ///
    /// # Errors
    /// When a character is not in the vocabulary.
    pub fn forward(&self, ids: &Tensor) -> Result<Var> {
        Ok(self.read(ids, None)?.0)
    }

    fn read(&self, ids: &Tensor, state: Option<&State>) -> Result<(Var, State)> {
        let x = self.encoder.forward(ids).in_layer("encoder")?; // (B, T, H)
        let (y, state) = self.rnn.forward(&x, state).in_layer("rnn")?; // (B, T, H)
        let y = self.dropout.forward(&y)?;
        Ok((self.decoder.forward(&y).in_layer("decoder")?, state))
    }
}

/// A network in the middle of a text.
struct Reader<'m> {
    model: &'m CharRnn,
    batch: usize,
    state: Option<State>,
}

impl Session for Reader<'_> {
    fn read(&mut self, ids: &Tensor) -> Result<Tensor> {
        if !matches!(ids.dims(), &[batch, t] if batch == self.batch && t > 0) {
            let message = format!(
                "ids {}, and the session reads {} texts",
                ids.shape(),
                self.batch
            );
            return Err(Error::shape("Session::read", message));
        }
        let (logits, state) = no_grad(|| self.model.read(ids, self.state.as_ref()))?;
        self.state = Some(state);
        logits.into_value().select(1, -1) // (B, V)
    }

    fn select(&mut self, order: &[usize]) -> Result<()> {
        let index = order.iter().map(|&i| i as i64).collect();
        let index = Tensor::from_vec(index, [order.len()])?;
        if let Some(state) = &mut self.state {
            for part in state {
                *part = part.index_select(1, &index)?;
            }
        }
        self.batch = order.len();
        Ok(())
    }
}

impl CausalLm for CharRnn {
    fn vocab_size(&self) -> usize {
        self.options.vocab_size
    }

    fn context(&self) -> Option<usize> {
        None
    }

    fn session(&self, batch: usize, _: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Reader {
            model: self,
            batch,
            state: None,
        }))
    }
}
