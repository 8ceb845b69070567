//! [`TextClassifier`]: a pretrained encoder, pooled, with dropout and a dense layer on it; what one fine-tunes. It can be trained
//! whole, from a layer upwards ([`Module::freeze`]), with smaller rates deeper down ([`layer_wise`]; Howard and Ruder 2018,
//! arXiv:1801.06146), or by adapters alone ([`TextEncoder::adapt`]). With BERT and its pooler it has the names of
//! `BertForSequenceClassification`, and its checkpoints are that model's.

use gradus_autograd::Var;
use gradus_nn::optim::{AdamW, AdamWOptions};
use gradus_nn::{Dropout, Layer, Linear, Module, Part, PartMut, Path, Visit, init};
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use super::encoder::TextEncoder;
use super::input::TextInput;
use super::sentence::Pooling;

/// An encoder with a head.
#[derive(Clone, Debug)]
pub struct TextClassifier {
    /// The encoder.
    pub encoder: TextEncoder,
    /// How states become one vector.
    pub pooling: Pooling,
    /// Dropout of that vector.
    pub dropout: Dropout,
    /// (classes, C)
    pub classifier: Linear,
}

impl TextClassifier {
    /// A new head for so many classes on an encoder, in training mode: weights normal with deviation 0.02, biases 0.
    ///
    /// # Errors
    /// When there is no class, or the memory cannot be had.
    pub fn new(
        encoder: TextEncoder,
        pooling: Pooling,
        dropout: f64,
        classes: usize,
    ) -> Result<Self> {
        if classes == 0 {
            let text = "a classifier needs at least one class";
            return Err(Error::value("TextClassifier", text));
        }
        let width = encoder.width();
        let mut classifier = init::skip(|| Linear::new(width, classes))?;
        let weight = init::normal([classes, width], 0.0, 0.02, DType::F32)?;
        classifier.weight.set(weight)?;
        Ok(Self {
            encoder,
            pooling,
            dropout: Dropout::new(dropout),
            classifier,
        })
    }

    /// Logits (B, classes).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let states = self.encoder.forward(input)?; // (B, T, C)
        let pooled = self.pooling.forward(&self.encoder, &states, input)?; // (B, C)
        let x = self.dropout.forward(&pooled)?;
        self.classifier.forward(&x).in_layer("classifier")
    }

    /// The likeliest class of each text and how sure the model is of it.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn predict(&self, input: &TextInput) -> Result<Vec<(usize, f64)>> {
        let shares = gradus_autograd::no_grad(|| self.forward(input)?.softmax(-1))?; // (B, classes)
        let shares: &Tensor = shares.value();
        let classes = shares.argmax(Some(-1), false)?.to_vec::<i64>()?;
        let surest = shares
            .amax(-1, false)?
            .to_dtype(DType::F64)?
            .to_vec::<f64>()?;
        Ok(classes
            .into_iter()
            .map(|class| class as usize)
            .zip(surest)
            .collect())
    }

    /// Freezes the embeddings and the first `layers` layers, which know most about language and least about the task.
    pub fn freeze_below(&mut self, layers: usize) {
        let encoder = &self.encoder;
        let names: Vec<String> = self
            .named_parameters()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| encoder.depth(name) <= layers)
            .collect();
        for name in names {
            self.freeze(&name);
        }
    }
}

/// The encoder under the name it has in models with heads.
impl Visit for TextClassifier {
    fn visit<'a>(&'a self, path: &mut Path, f: &mut dyn FnMut(&Path, Part<'a>)) {
        f(path, Part::Module("TextClassifier"));
        self.encoder.visit(&mut path.enter(self.encoder.base()), f);
        self.dropout.visit(&mut path.enter("dropout"), f);
        self.classifier.visit(&mut path.enter("classifier"), f);
    }

    fn visit_mut<'a>(&'a mut self, path: &mut Path, f: &mut dyn FnMut(&Path, PartMut<'a>)) {
        let base = self.encoder.base();
        self.encoder.visit_mut(&mut path.enter(base), f);
        self.dropout.visit_mut(&mut path.enter("dropout"), f);
        self.classifier.visit_mut(&mut path.enter("classifier"), f);
    }
}

impl Module for TextClassifier {}

/// AdamW with a rate for each layer: `options.lr` for the head and pooler, times `decay` for the last layer, times `decay` again for
/// the one below it, down to the embeddings. With `decay` 1 it is AdamW.
pub fn layer_wise(model: &TextClassifier, options: &AdamWOptions, decay: f64) -> AdamW {
    let mut optimizer = AdamW::with(options.clone());
    if decay == 1.0 {
        return optimizer;
    }
    let top = model.encoder.layers() + 1;
    for depth in 0..top {
        let names: std::collections::BTreeSet<String> = model
            .named_parameters()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| model.encoder.depth(name) == depth)
            .collect();
        let lr = options.lr * decay.powi((top - depth) as i32);
        let options = AdamWOptions {
            lr,
            ..options.clone()
        };
        optimizer = optimizer.group_where(move |name, _| names.contains(name), options);
    }
    optimizer
}
