//! New text piece by piece, as the model writes it.

use gradus_tensor::{Error, Result};

use super::tokens::{Tokens, tokens};
use super::{CausalLm, Generation};
use crate::tokenizers::{DecodeStream, Tokenizer};

/// Pieces of text that follow a prompt. Made by [`text`].
#[derive(Debug)]
pub struct Text<'m, 't> {
    tokens: Tokens<'m>,
    /// `None` once it is over.
    stream: Option<DecodeStream<'t>>,
    stop: Vec<String>,
    /// Text that may turn out to be the beginning of one that stops.
    held: String,
}

/// Text that follows `prompt`, in pieces of whole characters. It ends where [`tokens`] ends, and before any of the `stop` texts.
/// Special tokens are not shown.
///
/// ```
/// use gradus_nlp::generate::{Generation, text};
/// use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, Pretrained};
/// use gradus_nlp::tokenizers::Tokenizer;
/// use gradus_nn::Module;
/// let tokenizer = Tokenizer::characters("to be, or not to be")?;
/// let v = tokenizer.vocab_size();
/// let config = GPT2Config { vocab_size: v, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 2, ..GPT2Config::default() };
/// let mut model = GPT2LMHeadModel::new(&config)?;
/// model.eval();
/// let options = Generation { max_new_tokens: 5, do_sample: true, ..Generation::default() };
/// let pieces = text(&model, &tokenizer, "to ", &options, &[])?.collect::<Result<String, _>>()?;
/// assert_eq!(pieces.chars().count(), 5);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`tokens`], and when a stop text is empty.
pub fn text<'m, 't>(
    model: &'m dyn CausalLm,
    tokenizer: &'t Tokenizer,
    prompt: &str,
    options: &Generation,
    stop: &[&str],
) -> Result<Text<'m, 't>> {
    if stop.iter().any(|stop| stop.is_empty()) {
        return Err(Error::value("text", "a stop text is empty"));
    }
    let prompt = tokenizer.encode(prompt)?.ids;
    let tokens = tokens(model, &prompt, options)?;
    // The decoder has seen the prompt, so what comes is not taken for a beginning, where a space may be dropped.
    let mut stream = tokenizer.decode_stream(true);
    for id in prompt {
        stream.push(id)?;
    }
    Ok(Text {
        tokens,
        stream: Some(stream),
        stop: stop.iter().map(|&stop| stop.to_owned()).collect(),
        held: String::new(),
    })
}

impl Text<'_, '_> {
    /// The ids so far, the prompt's and the new ones.
    pub fn seen(&self) -> &[u32] {
        self.tokens.seen()
    }

    /// Takes new text and gives what can be shown; the flag says that a stop text has come.
    fn show(&mut self, new: &str) -> (String, bool) {
        self.held.push_str(new);
        let found = self
            .stop
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()))
            .min();
        if let Some(at) = found {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        // The longest end of the text that begins a stop text is held back.
        let begins = |at: &usize| {
            self.stop
                .iter()
                .any(|stop| stop.starts_with(&self.held[*at..]))
        };
        let hold = self.held.char_indices().map(|(at, _)| at).find(begins);
        let held = self.held.split_off(hold.unwrap_or(self.held.len()));
        (std::mem::replace(&mut self.held, held), false)
    }

    fn step(&mut self) -> Result<Option<String>> {
        while let Some(stream) = &mut self.stream {
            let Some(id) = self.tokens.next() else {
                let rest = self
                    .stream
                    .take()
                    .map_or(Ok(String::new()), DecodeStream::finish)?;
                let (mut shown, stopped) = self.show(&rest);
                if !stopped {
                    shown.push_str(&std::mem::take(&mut self.held));
                }
                return Ok(Some(shown).filter(|text| !text.is_empty()));
            };
            let new = stream.push(id?)?;
            let (shown, stopped) = self.show(&new);
            if stopped {
                self.stream = None;
            }
            if !shown.is_empty() {
                return Ok(Some(shown));
            }
        }
        Ok(None)
    }
}

impl Iterator for Text<'_, '_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        let piece = self.step();
        if piece.is_err() {
            self.stream = None;
        }
        piece.transpose()
    }
}
