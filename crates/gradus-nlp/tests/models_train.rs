//! Every encoder and encoder-decoder learns: each parameter gets a gradient that is not zero, and one batch is learnt by heart.

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nlp::models::*;
use gradus_nn::Module;
use gradus_nn::optim::{Adam, Optimizer};
use gradus_tensor::random::manual_seed;
use gradus_tensor::{Result, Tensor};

/// Four texts of seven tokens, the last two filled up.
fn input() -> TextInput {
    let ids: Vec<i64> = (0..28).map(|i| 2 + (i * 37 + i / 7) % 95).collect();
    let mut mask = vec![1_i64; 28];
    mask[26..].fill(0);
    TextInput::new(Tensor::from_vec(ids, [4, 7]).unwrap())
        .with_attention_mask(Tensor::from_vec(mask, [4, 7]).unwrap())
}

fn labels(shape: &[usize], classes: usize) -> Tensor {
    let n = shape.iter().product();
    let labels: Vec<i64> = (0..n).map(|i: usize| (i * 5 % classes) as i64).collect();
    Tensor::from_vec(labels, shape).unwrap()
}

/// Cross-entropy of logits (…, classes).
fn loss(logits: &Var, classes: usize) -> Result<Var> {
    let lead: Vec<usize> = logits.dims()[..logits.rank() - 1].to_vec();
    let logits = logits.reshape([-1, classes as isize])?;
    let labels = labels(&[lead.iter().product()], classes);
    cross_entropy(&logits, &labels, &CrossEntropy::default())
}

/// Learns one batch by heart, at most in 150 steps.
fn learns<M: Module>(mut model: M, lr: f64, loss: impl Fn(&M) -> Result<Var>) {
    let mut optimizer = Adam::new(lr);
    let mut losses = Vec::new();
    for step in 0..150 {
        let loss = loss(&model).unwrap();
        losses.push(loss.item::<f32>().unwrap());
        let gradients = loss.backward_once().unwrap();
        if step == 1 {
            for (name, param) in model.named_parameters() {
                if param.is_frozen() {
                    continue;
                }
                let gradient = gradients.get(param.var());
                let gradient = gradient.unwrap_or_else(|| panic!("none for {name}"));
                let numbers = gradient.to_vec::<f32>().unwrap();
                assert!(numbers.iter().all(|g| g.is_finite()), "{name}");
                assert!(numbers.iter().any(|&g| g != 0.0), "{name} is zero");
            }
        }
        optimizer.step(&mut model, &gradients).unwrap();
        if step > 1 && losses[step] < 0.1 * losses[0] {
            return;
        }
    }
    panic!("it did not learn: {losses:?}");
}

fn bert() -> BertConfig {
    BertConfig {
        vocab_size: 97,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 64,
        max_position_embeddings: 16,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        num_labels: 4,
        ..BertConfig::default()
    }
}

/// A test for each class: model, learning rate, logits, classes.
macro_rules! learn {
    ($($name:ident $model:expr, $lr:literal, $classes:literal, $logits:expr;)*) => {$(
        #[test]
        fn $name() {
            manual_seed(1);
            let (model, logits) = ($model.unwrap(), $logits);
            learns(model, $lr, |model| loss(&logits(model)?, $classes));
        }
    )*};
}

fn roberta() -> RobertaConfig {
    RobertaConfig(BertConfig {
        pad_token_id: Some(1),
        ..bert()
    })
}

fn distilbert() -> DistilBertConfig {
    DistilBertConfig {
        vocab_size: 97,
        dim: 32,
        n_layers: 2,
        n_heads: 4,
        hidden_dim: 64,
        max_position_embeddings: 16,
        dropout: 0.0,
        attention_dropout: 0.0,
        seq_classif_dropout: 0.0,
        num_labels: 4,
        ..DistilBertConfig::default()
    }
}

fn t5(gated: bool) -> T5Config {
    T5Config {
        vocab_size: 97,
        d_model: 32,
        d_kv: 8,
        d_ff: 64,
        num_layers: 2,
        num_decoder_layers: 2,
        num_heads: 4,
        dropout_rate: 0.0,
        is_gated_act: gated,
        tie_word_embeddings: !gated,
        scale_decoder_outputs: !gated,
        ..T5Config::default()
    }
}

fn marian() -> MarianConfig {
    MarianConfig {
        vocab_size: 97,
        decoder_vocab_size: 97,
        d_model: 32,
        encoder_layers: 2,
        decoder_layers: 2,
        encoder_ffn_dim: 64,
        decoder_ffn_dim: 64,
        encoder_attention_heads: 4,
        decoder_attention_heads: 4,
        max_position_embeddings: 16,
        pad_token_id: Some(96),
        dropout: 0.0,
        scale_embedding: true,
        ..MarianConfig::default()
    }
}

learn! {
    bert_for_masked_lm BertForMaskedLM::new(&bert()), 0.01, 97, |m: &BertForMaskedLM| m.forward(&input());
    bert_for_sequences BertForSequenceClassification::new(&bert()), 0.003, 4, |m: &BertForSequenceClassification| m.forward(&input());
    bert_for_tokens BertForTokenClassification::new(&bert()), 0.01, 4, |m: &BertForTokenClassification| m.forward(&input());
    roberta_for_masked_lm RobertaForMaskedLM::new(&roberta()), 0.01, 97, |m: &RobertaForMaskedLM| m.forward(&input());
    roberta_for_sequences RobertaForSequenceClassification::new(&roberta()), 0.003, 4, |m: &RobertaForSequenceClassification| m.forward(&input());
    distilbert_for_sequences DistilBertForSequenceClassification::new(&distilbert()), 0.003, 4, |m: &DistilBertForSequenceClassification| m.forward(&input());
    t5_that_writes T5ForConditionalGeneration::new(&t5(false)), 0.01, 97, |m: &T5ForConditionalGeneration| m.forward(&input(), &input());
    t5_of_version_1_1 T5ForConditionalGeneration::new(&t5(true)), 0.01, 97, |m: &T5ForConditionalGeneration| m.forward(&input(), &input());
    marian_that_writes MarianMTModel::new(&marian()), 0.01, 97, |m: &MarianMTModel| m.forward(&input(), &input());
    vit_for_images ViTForImageClassification::new(&vit()), 0.003, 4, |m: &ViTForImageClassification| m.forward(&images());
}

fn vit() -> ViTConfig {
    ViTConfig {
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 64,
        image_size: [16, 16],
        patch_size: [4, 4],
        pooler_output_size: 32,
        num_labels: 4,
        ..ViTConfig::default()
    }
}

fn images() -> Var {
    let mut rng = gradus_tensor::random::Rng::new(3);
    let images = Tensor::randn([4, 3, 16, 16], gradus_tensor::DType::F32, &mut rng);
    Var::from(images.unwrap())
}

fn classifier() -> Result<TextClassifier> {
    let encoder = TextEncoder::Bert(BertModel::new(&bert())?);
    TextClassifier::new(encoder, Pooling::Mean, 0.0, 4)
}

/// Every way to fine-tune: whole with the mean instead of the pooler, a part, adapters.
#[test]
fn a_head_of_ones_own_learns_and_what_is_frozen_stays() -> Result<()> {
    manual_seed(2);
    let input = input();
    let data = |model: &TextClassifier, name: &str| {
        let parameters = model.named_parameters();
        let (_, param) = parameters.into_iter().find(|(n, _)| n == name).unwrap();
        param.data().to_vec::<f32>().unwrap()
    };
    let low = "bert.encoder.layer.0.attention.self.query.weight";
    let high = "bert.encoder.layer.1.attention.self.query.weight";
    let fit = |model: &mut TextClassifier, optimizer: &mut dyn Optimizer| -> Result<(f32, f32)> {
        let (mut first, mut last) = (0.0, 0.0);
        for step in 0..60 {
            let loss = loss(&model.forward(&input)?, 4)?;
            last = loss.item::<f32>()?;
            if step == 0 {
                first = last;
            }
            optimizer.step(model, &loss.backward_once()?)?;
        }
        Ok((first, last))
    };

    let mut model = classifier()?;
    model.freeze_below(1);
    let before = (data(&model, low), data(&model, high));
    let (first, last) = fit(&mut model, &mut Adam::new(0.003))?;
    assert!(last < 0.2 * first, "{first} to {last}");
    assert_eq!(data(&model, low), before.0);
    assert_ne!(data(&model, high), before.1);

    let mut model = classifier()?;
    let options = LoraOptions {
        r: 4,
        lora_alpha: 8.0,
        ..LoraOptions::default()
    };
    assert_eq!(model.encoder.adapt(&options)?, 4);
    let before = data(&model, low);
    let (first, last) = fit(&mut model, &mut Adam::new(0.01))?;
    assert!(last < 0.5 * first, "{first} to {last}");
    assert_eq!(data(&model, low), before);
    let saved = lora_state(&model);
    assert_eq!(saved.len(), 8);
    assert!(
        saved.contains_key(
            "base_model.model.bert.encoder.layer.1.attention.self.value.lora_B.weight"
        )
    );
    // Into a copy that starts alike, and from there into the weights.
    let expected = model.forward(&input)?;
    let mut other = model.clone();
    for (name, param) in other.named_parameters_mut() {
        if is_lora(&name) {
            let zeros = Tensor::zeros(param.shape(), param.dtype())?;
            param.set(zeros)?;
        }
    }
    assert!(
        !other
            .forward(&input)?
            .value()
            .allclose(expected.value(), 1e-4, 1e-4, false)?
    );
    load_lora(&mut other, saved)?;
    assert!(
        other
            .forward(&input)?
            .value()
            .allclose(expected.value(), 1e-6, 1e-6, false)?
    );
    other.encoder.merge()?;
    assert!(
        other
            .forward(&input)?
            .value()
            .allclose(expected.value(), 1e-4, 1e-4, false)?
    );
    assert!(
        !other
            .named_parameters()
            .iter()
            .any(|(name, _)| is_lora(name))
    );
    Ok(())
}

#[test]
fn deeper_layers_learn_more_slowly() -> Result<()> {
    let model = classifier()?;
    let options = gradus_nn::optim::AdamWOptions {
        lr: 1e-3,
        ..Default::default()
    };
    let optimizer = layer_wise(&model, &options, 0.5);
    // The head and pooler, the embeddings, the first layer, the second.
    assert_eq!(optimizer.lrs(), [1e-3, 1.25e-4, 2.5e-4, 5e-4]);
    assert_eq!(layer_wise(&model, &options, 1.0).lrs(), [1e-3]);
    Ok(())
}
