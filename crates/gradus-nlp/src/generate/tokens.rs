//! New ids one after another: [`tokens`] as they come, [`generate`] all at once.

use gradus_tensor::random::Rng;
use gradus_tensor::{Error, Result, Tensor};

use super::beam::beam_search;
use super::scores::{choose, process, rows};
use super::{CausalLm, Generation, Session};

/// Ids that follow a prompt, each as soon as it is known. Made by [`tokens`].
pub struct Tokens<'m> {
    model: &'m dyn CausalLm,
    session: Box<dyn Session + 'm>,
    options: Generation,
    rng: Rng,
    seen: Vec<u32>,
    /// Where in `seen` the session began.
    base: usize,
    /// How much of `seen` the session has read.
    read: usize,
    /// How many are still to come.
    left: usize,
    new: usize,
}

impl std::fmt::Debug for Tokens<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("seen", &self.seen)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// The prompt's length, if the model can read it and the options make sense.
pub(super) fn check(model: &dyn CausalLm, prompt: &[u32], options: &Generation) -> Result<usize> {
    const OP: &str = "generate";
    options.check()?;
    if prompt.is_empty() {
        let message =
            "the prompt is empty; give at least one token, such as the one that starts a text";
        return Err(Error::value(OP, message));
    }
    let v = model.vocab_size();
    if let Some(id) = prompt.iter().find(|&&id| id as usize >= v) {
        let message = format!(
            "the prompt has the id {id}, and the model knows {v}: is the tokenizer another model's?"
        );
        return Err(Error::value(OP, message));
    }
    let shift = options.context_shift && options.num_beams == 1;
    if let Some(most) = model
        .context()
        .filter(|&most| prompt.len() > most && !shift)
    {
        let message = format!(
            "a prompt of {} tokens, and the model reads {most} at most",
            prompt.len()
        );
        return Err(Error::value(OP, message));
    }
    Ok(prompt.len())
}

/// How many new tokens there is room for: the last one need not be read any more.
pub(super) fn room(model: &dyn CausalLm, prompt: usize, options: &Generation) -> usize {
    if options.context_shift && options.num_beams == 1 {
        return options.max_new_tokens;
    }
    let room = model.context().map_or(usize::MAX, |most| most + 1 - prompt);
    options.max_new_tokens.min(room)
}

/// Ids (B, T), row after row.
pub(super) fn ids(ids: &[u32], batch: usize) -> Result<Tensor> {
    let t = ids.len() / batch.max(1);
    Tensor::from_vec(ids.iter().map(|&id| i64::from(id)).collect(), [batch, t])
}

/// A session of one text.
fn open<'m>(
    model: &'m dyn CausalLm,
    capacity: usize,
    options: &Generation,
) -> Result<Box<dyn Session + 'm>> {
    let mut session = model.session(1, capacity)?;
    if options.cuda_graph {
        session.use_graph()?;
    }
    Ok(session)
}

/// Ids that follow `prompt`, one by one: the likeliest, or drawn. They end after `max_new_tokens`, after one of `eos_token_id`, or
/// (without `context_shift`) when the text is as long as the model can read.
///
/// ```
/// use gradus_nlp::generate::{Generation, tokens};
/// use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, Pretrained};
/// use gradus_nn::Module;
/// let config = GPT2Config { vocab_size: 9, n_positions: 8, n_embd: 8, n_layer: 1, n_head: 2, ..GPT2Config::default() };
/// let mut model = GPT2LMHeadModel::new(&config)?;
/// model.eval();
/// let options = Generation { max_new_tokens: 3, do_sample: true, seed: 1, ..Generation::default() };
/// let new = tokens(&model, &[1, 2], &options)?.collect::<Result<Vec<u32>, _>>()?;
/// assert_eq!(new.len(), 3);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// When the prompt is empty, too long, or has ids the model does not know; when an option makes no sense, or asks for beams.
pub fn tokens<'m>(
    model: &'m dyn CausalLm,
    prompt: &[u32],
    options: &Generation,
) -> Result<Tokens<'m>> {
    let len = check(model, prompt, options)?;
    if options.num_beams > 1 {
        let message = "beams are known at the end only: use generate or beam_search";
        return Err(Error::value("tokens", message));
    }
    let left = room(model, len, options);
    let capacity = len
        .saturating_add(left)
        .min(model.context().unwrap_or(usize::MAX));
    Ok(Tokens {
        model,
        session: open(model, capacity, options)?,
        options: options.clone(),
        rng: Rng::new(options.seed),
        seen: prompt.to_vec(),
        base: 0,
        read: 0,
        left,
        new: 0,
    })
}

impl Tokens<'_> {
    /// The prompt and all that has come.
    pub fn seen(&self) -> &[u32] {
        &self.seen
    }

    fn step(&mut self) -> Result<u32> {
        if let Some(most) = self
            .model
            .context()
            .filter(|&most| self.seen.len() - self.base > most)
        {
            self.base = self.seen.len() - most.div_ceil(2);
            self.read = self.base;
            self.session = open(self.model, most, &self.options)?;
        }
        let logits = self.session.read(&ids(&self.seen[self.read..], 1)?)?; // (1, V)
        self.read = self.seen.len();
        let mut scores = rows(&logits)?;
        process(&mut scores, &self.seen, self.new, &self.options);
        choose(&mut scores, &self.options, &mut self.rng)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Result<u32>> {
        self.left = self.left.checked_sub(1)?;
        let id = match self.step() {
            Ok(id) => id,
            Err(error) => {
                self.left = 0;
                return Some(Err(error));
            }
        };
        self.seen.push(id);
        self.new += 1;
        if self.options.eos_token_id.contains(&id) {
            self.left = 0;
        }
        Some(Ok(id))
    }
}

/// All new ids at once; the best text's where there are beams.
///
/// # Errors
/// As [`tokens`], and when the model fails on the way.
pub fn generate(model: &dyn CausalLm, prompt: &[u32], options: &Generation) -> Result<Vec<u32>> {
    if options.num_beams > 1 {
        let mut beams = beam_search(model, prompt, options)?;
        return Ok(beams.swap_remove(0).tokens);
    }
    tokens(model, prompt, options)?.collect()
}
