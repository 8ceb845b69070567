//! What a model must be able to do to write: read on from where it is.

use gradus_autograd::{Var, no_grad};
use gradus_tensor::{Error, Result, Tensor};

use super::KvCache;
use super::graphed::{Graphed, can_read};

/// A model that guesses the next token from all before it.
///
/// The models here compute in evaluation mode or not, as they are set: call [`eval`](gradus_nn::Module::eval) first.
pub trait CausalLm {
    /// V: ids are below this.
    fn vocab_size(&self) -> usize;

    /// The longest text it can read, if there is a limit.
    fn context(&self) -> Option<usize>;

    /// Ids that end a text, as its configuration says.
    fn eos_token_id(&self) -> Vec<u32> {
        Vec::new()
    }

    /// A fresh reader of `batch` texts at once, each of about `capacity` tokens.
    ///
    /// # Errors
    /// When the memory cannot be had.
    fn session(&self, batch: usize, capacity: usize) -> Result<Box<dyn Session + '_>>;
}

/// A model in the middle of a text.
pub trait Session {
    /// Reads the next ids, i64 (B, T), and gives the logits of what follows the last of them: (B, V).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, or the text becomes longer than the model can read.
    fn read(&mut self, ids: &Tensor) -> Result<Tensor>;

    /// Text i goes on from what text `order[i]` was so far.
    ///
    /// # Errors
    /// When there is no such text.
    fn select(&mut self, order: &[usize]) -> Result<()>;

    /// Forgets all but the first `len` tokens, to go on in another way from there.
    ///
    /// # Errors
    /// When fewer were read, or the model's session keeps no token apart from those before it, as recurrent ones.
    fn rewind(&mut self, len: usize) -> Result<()> {
        let why = format!("this model's session cannot go back to {len} tokens; transformers' can");
        Err(Error::value("Session::rewind", why))
    }

    /// Reads single ids by replaying a CUDA graph from here on: one launch a token. The texts then stay within the capacity they were begun
    /// with, or go on without it.
    ///
    /// # Errors
    /// When the model's session has none.
    fn use_graph(&mut self) -> Result<()> {
        let why =
            "this model's session cannot be recorded into a CUDA graph; GPT-2's and Llama's can";
        Err(Error::value("Session::use_graph", why))
    }
}

/// The session of a transformer: a cache for each layer. The function reads ids (B, T) that follow what the caches hold and gives
/// logits whose last step is the one that counts: (B, T, V) or (B, 1, V).
pub struct KvSession<F> {
    forward: F,
    batch: usize,
    caches: Vec<KvCache>,
    graphed: Option<Graphed>,
}

impl<F: Fn(&Tensor, &mut [KvCache]) -> Result<Var>> KvSession<F> {
    /// For `batch` texts of about `capacity` tokens.
    pub fn new(forward: F, batch: usize, layers: usize, capacity: usize) -> Self {
        let caches = (0..layers).map(|_| KvCache::new(capacity)).collect();
        Self {
            forward,
            batch,
            caches,
            graphed: None,
        }
    }
}

impl<F: Fn(&Tensor, &mut [KvCache]) -> Result<Var>> Session for KvSession<F> {
    fn read(&mut self, ids: &Tensor) -> Result<Tensor> {
        if !matches!(ids.dims(), &[batch, t] if batch == self.batch && t > 0) {
            let message = format!(
                "ids {}, and the session reads {} texts: it takes ({0}, T)",
                ids.shape(),
                self.batch
            );
            return Err(Error::shape("Session::read", message));
        }
        // (B, T, V), and of that (B, V).
        let read = |ids: &Tensor, caches: &mut [KvCache]| {
            let logits = no_grad(|| (self.forward)(ids, caches))?;
            logits.into_value().select(1, -1)
        };
        match &mut self.graphed {
            Some(graphed) if can_read(ids, &self.caches)? => {
                graphed.read(ids, &mut self.caches, read)
            }
            _ => read(ids, &mut self.caches),
        }
    }

    fn rewind(&mut self, len: usize) -> Result<()> {
        let caches = &mut self.caches;
        caches.iter_mut().try_for_each(|cache| cache.rewind(len))
    }

    fn use_graph(&mut self) -> Result<()> {
        self.graphed = Some(Graphed::default());
        Ok(())
    }

    fn select(&mut self, order: &[usize]) -> Result<()> {
        self.batch = order.len();
        self.caches
            .iter_mut()
            .try_for_each(|cache| cache.select(order))
    }
}
