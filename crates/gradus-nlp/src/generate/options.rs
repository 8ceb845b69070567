//! How to write: the options of `generate`.

use gradus_tensor::{Error, Result};

/// Options, with Hugging Face's names and defaults (`GenerationConfig`).
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// At most so many new tokens (20).
    pub max_new_tokens: usize,
    /// At least so many: until then no token ends the text (0).
    pub min_new_tokens: usize,
    /// Draw tokens at random rather than take the likeliest (no).
    pub do_sample: bool,
    /// Scores are divided by this before drawing: below 1 bold tokens win more often, above 1 less (1).
    pub temperature: f64,
    /// Draw from the so many likeliest only (50; 0: from all).
    pub top_k: usize,
    /// Draw from the fewest likeliest that have this probability together (1: from all).
    pub top_p: f64,
    /// Scores of tokens that have been there are made worse by this factor (1: left as they are). Keskar et al. 2019
    /// (arXiv:1909.05858).
    pub repetition_penalty: f64,
    /// How many texts are kept going (1: no beam search).
    pub num_beams: usize,
    /// Beams are compared by score / length^this (1): more favours longer texts.
    pub length_penalty: f64,
    /// When beam search stops.
    pub early_stopping: EarlyStopping,
    /// When the text outgrows what the model can read, forget its older half and go on (no: stop). Not with beams; not in Hugging Face's.
    pub context_shift: bool,
    /// Read each new token by replaying a CUDA graph: the same ids, sooner. For a model on a GPU, without beams (no).
    pub cuda_graph: bool,
    /// Ids that end a text. The id is part of what is given.
    pub eos_token_id: Vec<u32>,
    /// What draws.
    pub seed: u64,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            max_new_tokens: 20,
            min_new_tokens: 0,
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            repetition_penalty: 1.0,
            num_beams: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Heuristic,
            context_shift: false,
            cuda_graph: false,
            eos_token_id: Vec::new(),
            seed: 0,
        }
    }
}

/// When beam search stops, once as many texts have ended as there are beams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EarlyStopping {
    /// When those still going are unlikely to become better (`False`).
    #[default]
    Heuristic,
    /// At once (`True`).
    AtOnce,
    /// When those still going cannot become better (`"never"`).
    Never,
}

impl Generation {
    /// Refuses numbers that make no sense.
    pub(super) fn check(&self) -> Result<()> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let wrong = [
            (!positive(self.temperature), "temperature must be positive"),
            (
                !(self.top_p > 0.0 && self.top_p <= 1.0),
                "top_p must be above 0, and at most 1",
            ),
            (
                !positive(self.repetition_penalty),
                "repetition_penalty must be positive",
            ),
            (self.num_beams == 0, "num_beams must be 1 or more"),
            (
                !self.length_penalty.is_finite(),
                "length_penalty must be a number",
            ),
            (
                self.num_beams > 1 && self.cuda_graph,
                "beams are not read by a graph: cuda_graph goes with num_beams = 1",
            ),
            (
                self.num_beams > 1 && self.do_sample,
                "beams are not drawn: do_sample goes with num_beams = 1",
            ),
        ];
        match wrong.into_iter().find(|(is, _)| *is) {
            Some((_, why)) => Err(Error::value("generate", why)),
            None => Ok(()),
        }
    }
}
