//! A tiny BERT, from nothing, learns to tell good from bad reviews. With the folder of real weights (all-MiniLM-L6-v2, say) it starts from those.
//!
//!     cargo run --release -p gradus-nlp --example classify_texts [DIR]

use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nlp::models::{
    BertConfig, BertModel, Loaded, Pooling, Pretrained, TextClassifier, TextEncoder, layer_wise,
};
use gradus_nlp::tokenizers::*;
use gradus_nlp::{EncodedTexts, LabelledTexts};
use gradus_nn::Module;
use gradus_nn::optim::{AdamWOptions, Optimizer};
use gradus_tensor::Result;
use gradus_tensor::random::manual_seed;
use gradus_train::{Dataset, Dice};

const REVIEWS: &str = "\
a moving and funny film\tgood
dull from start to end\tbad
funny and warm\tgood
a film without a heart\tbad
warm and moving from start to end\tgood
a dull film without end\tbad";

/// A vocabulary of the words there are, cut as BERT cuts.
fn words() -> Result<Tokenizer> {
    let mut vocab = vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    for word in REVIEWS.split_whitespace() {
        if !vocab.contains(&word) {
            vocab.push(word);
        }
    }
    let model = WordPiece::new(
        Vocab::new(vocab.into_iter().zip(0..))?,
        WordPieceOptions::default(),
    )?;
    Ok(Tokenizer::new(Model::WordPiece(model))
        .with_pre_tokenizers(vec![PreTokenizer::Bert])
        .with_post_processor(PostProcessor::bert(("[CLS]", 2), ("[SEP]", 3))))
}

fn main() -> Result<()> {
    manual_seed(0);
    let (encoder, tokenizer) = match std::env::args().nth(1) {
        Some(folder) => {
            let Loaded {
                encoder, report, ..
            } = TextEncoder::from_pretrained(&folder, None)?;
            println!("{folder}: {report}");
            let mut tokenizer = Tokenizer::from_file(&folder)?;
            tokenizer.set_padding(None);
            tokenizer.set_truncation(None);
            (encoder, tokenizer)
        }
        None => {
            let tokenizer = words()?;
            let config = BertConfig {
                vocab_size: tokenizer.vocab_size(),
                hidden_size: 32,
                num_hidden_layers: 2,
                num_attention_heads: 4,
                intermediate_size: 64,
                ..BertConfig::default()
            };
            (TextEncoder::Bert(BertModel::new(&config)?), tokenizer)
        }
    };
    let data = LabelledTexts::parse(REVIEWS, false)?;
    let texts = EncodedTexts::new(&data, &tokenizer, 0)?;
    let dice = Dice { seed: 0, epoch: 0 };
    let batch = texts.batch(&(0..texts.len()).collect::<Vec<_>>(), dice)?;

    let mut model = TextClassifier::new(encoder, Pooling::Pooler, 0.1, data.classes.len())?;
    let options = AdamWOptions::default(); // at 0.001
    let mut optimizer = layer_wise(&model, &options, 0.9); // deeper layers learn more slowly
    for step in 0..40 {
        let logits = model.forward(&batch.input)?; // (B, classes)
        let loss = cross_entropy(&logits, &batch.labels, &CrossEntropy::default())?;
        if step % 10 == 0 {
            println!("step {step:2}  loss {:.4}", loss.item::<f32>()?);
        }
        let gradients = loss.backward_once()?;
        optimizer.step(&mut model, &gradients)?;
    }

    model.eval();
    for (text, (class, sure)) in data.texts.iter().zip(model.predict(&batch.input)?) {
        println!("{:4} {:5.1} %  {text}", data.classes[class], 100.0 * sure);
    }
    let names: Vec<String> = model.state_dict().into_keys().collect();
    println!(
        "{} tensors, the last of them {}",
        names.len(),
        names[names.len() - 1]
    );
    let answers = model.predict(&batch.input)?;
    let wrong = batch.labels.to_vec::<i64>()?.into_iter().zip(answers);
    let wrong = wrong.filter(|(truth, (class, _))| *truth != *class as i64);
    assert_eq!(wrong.count(), 0, "six reviews are not that many");
    Ok(())
}
