//! Loading: folders as Hugging Face lays them out, under whichever names of old and new files; what does not belong together is an
//! error that says so. That the models learn is tested in `models_train.rs`; that they give the references' numbers, in
//! `cargo xtask conformance models_hf`.

use std::path::Path;

use gradus_autograd::no_grad;
use gradus_nlp::models::*;
use gradus_nn::{Module, StateDict};
use gradus_tensor::random::manual_seed;
use gradus_tensor::{DType, Result, Tensor, safetensors};

const TINY: &str = r#"{"model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 12}"#;

fn save(folder: &Path, config: &str, state: &StateDict) {
    std::fs::write(folder.join("config.json"), config).unwrap();
    safetensors::save(folder.join("model.safetensors"), state, &Default::default()).unwrap();
}

fn ids() -> TextInput {
    Tensor::from_slice(&[2_i64, 7, 9, 3], [1, 4])
        .unwrap()
        .into()
}

/// The same tensors under other names.
fn renamed(state: &StateDict, name: impl Fn(&str) -> String) -> StateDict {
    state.iter().map(|(n, x)| (name(n), x.clone())).collect()
}

fn states(model: &BertModel) -> Vec<f32> {
    no_grad(|| model.forward(&ids()))
        .unwrap()
        .value()
        .to_vec()
        .unwrap()
}

#[test]
fn a_checkpoint_loads_under_old_and_new_names() -> Result<()> {
    manual_seed(5);
    let folder = tempfile::tempdir().unwrap();
    let mut original = BertModel::from_config(&Config::from_json(TINY)?)?;
    original.eval();
    let state = original.state_dict();
    let with_prefix = |name: &str| format!("bert.{name}");
    let old = |name: &str| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        name.replace("LayerNorm.bias", "LayerNorm.beta")
    };
    for (what, mut state) in [
        ("as it is", state.clone()),
        ("with the prefix", renamed(&state, with_prefix)),
        ("old norms", renamed(&state, old)),
        ("both", renamed(&state, |name| old(&with_prefix(name)))),
    ] {
        let positions = Tensor::arange(0, 12, 1, DType::I64)?;
        state.insert("embeddings.position_ids".into(), positions); // a buffer of old files
        save(folder.path(), TINY, &state);
        let (mut model, report) = BertModel::from_pretrained(folder.path())?;
        model.eval();
        assert!(report.is_exact(), "{what}: {report}");
        assert_eq!(states(&model), states(&original), "{what}");
        assert!(
            BertModel::from_pretrained_strict(folder.path()).is_ok(),
            "{what}"
        );
        // Into a model with a head: the head is new, and drawn.
        let (model, report) = BertForSequenceClassification::from_pretrained(folder.path())?;
        assert_eq!(
            report.missing,
            ["classifier.bias", "classifier.weight"],
            "{what}"
        );
        let head = &model.state_dict()["classifier.weight"];
        assert!(head.to_vec::<f32>()?.iter().any(|&w| w != 0.0));
        let error =
            BertForSequenceClassification::from_pretrained_strict(folder.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("2 missing: classifier.bias, classifier.weight"),
            "{error}"
        );
        // And back out of it, by any encoder's door.
        save(folder.path(), TINY, &model.state_dict());
        let loaded = TextEncoder::from_pretrained(folder.path(), None)?;
        assert_eq!(
            loaded.report.unexpected,
            ["classifier.bias", "classifier.weight"]
        );
        let TextEncoder::Bert(mut again) = loaded.encoder else {
            panic!("not BERT");
        };
        again.eval();
        assert_eq!(states(&again), states(&original), "{what}");
    }
    Ok(())
}

#[test]
fn one_name_of_a_tied_table_is_enough() -> Result<()> {
    let config = Config::from_json(TINY)?;
    let mut model = BertForMaskedLM::from_config(&config)?;
    let mut state = model.state_dict();
    assert!(state.contains_key("cls.predictions.decoder.weight"));
    state.remove("cls.predictions.decoder.weight");
    state.remove("cls.predictions.decoder.bias");
    assert!(model.load_state_dict(&state, true)?.is_exact());
    Ok(())
}

#[test]
fn sizes_are_read_off_the_weights_where_the_configuration_is_of_something_else() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let mut original = BertModel::from_config(&Config::from_json(TINY)?)?;
    original.eval();
    save(
        folder.path(),
        r#"{"word_embedding_dimension": 16}"#,
        &original.state_dict(),
    );
    let loaded = TextEncoder::from_pretrained(folder.path(), Some(2))?;
    assert!(
        loaded
            .note
            .unwrap()
            .contains("2 layers, width 16 by the weights, 2 heads as told")
    );
    let TextEncoder::Bert(mut model) = loaded.encoder else {
        panic!("not BERT");
    };
    model.eval();
    assert_eq!(states(&model), states(&original));
    Ok(())
}

#[test]
fn what_does_not_belong_together_is_an_error_that_helps() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let error = || {
        BertModel::from_pretrained(path)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(error().contains("config.json"), "{}", error());
    let state = BertModel::from_config(&Config::from_json(TINY)?)?.state_dict();
    for (config, state, expected) in [
        (
            TINY.replace("50", "60"),
            state.clone(),
            "embeddings.word_embeddings.weight is [50,16] in the checkpoint and [60,16] by the configuration",
        ),
        (
            TINY.replace(": 2,\n", ": 3,\n"),
            state.clone(),
            "a width of 16 does not divide into 3 heads",
        ),
        (
            TINY.replace("16", "\"wide\""),
            state.clone(),
            "hidden_size is \"wide\"; it must be a whole number",
        ),
        (
            TINY.replace("\"bert\"", "\"bert\", \"hidden_act\": \"gelo\""),
            state.clone(),
            "there is no activation \"gelo\"; there are: gelu, ",
        ),
        (
            TINY.to_string(),
            renamed(&state, |n| format!("other.{n}.x")),
            "none of the checkpoint's names is one of the model's",
        ),
    ] {
        save(path, &config, &state);
        let error = error();
        assert!(error.contains(expected), "{error}");
    }
    save(path, TINY, &state);
    let file = path.join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(error().contains("model.safetensors"), "{}", error());
    std::fs::remove_file(&file).unwrap();
    assert!(
        error().contains("has none of model.safetensors"),
        "{}",
        error()
    );

    // Ids, lengths, shapes.
    let model = BertModel::from_config(&Config::from_json(TINY)?)?;
    let fails = |ids: &[i64], shape: &[usize]| {
        let input = TextInput::new(Tensor::from_slice(ids, shape).unwrap());
        model.forward(&input).unwrap_err().to_string()
    };
    let error = fails(&[50, 1], &[1, 2]);
    assert!(error.starts_with("embeddings.word_embeddings: "), "{error}");
    let error = fails(&[1; 13], &[1, 13]);
    assert!(
        error.contains("texts of 13 tokens; the model has places for 12"),
        "{error}"
    );
    assert!(fails(&[1, 2], &[2]).contains("they must be (B, T)"));
    let input = ids().with_attention_mask(Tensor::ones([1, 3], DType::I64)?);
    let error = model.forward(&input).unwrap_err().to_string();
    assert!(
        error.contains("attention mask [1,3] beside ids [1,4]"),
        "{error}"
    );
    Ok(())
}

#[test]
fn padding_changes_nothing() -> Result<()> {
    manual_seed(9);
    let mut bert = BertModel::from_config(&Config::from_json(TINY)?)?;
    let roberta = TINY.replace("\"bert\"", "\"roberta\"");
    let mut roberta = RobertaModel::from_config(&Config::from_json(&roberta)?)?;
    let t5 = r#"{"vocab_size": 50, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 2}"#;
    let mut t5 = T5EncoderModel::from_config(&Config::from_json(t5)?)?;
    bert.eval();
    roberta.eval();
    t5.eval();
    let short = Tensor::from_slice(&[5_i64, 7, 9], [1, 3])?;
    let long = Tensor::from_slice(&[5_i64, 7, 9, 1, 1], [1, 5])?;
    let mask = Tensor::from_slice(&[1_i64, 1, 1, 0, 0], [1, 5])?;
    let long = TextInput::new(long).with_attention_mask(mask);
    for (a, b) in [
        (bert.forward(&short.clone().into())?, bert.forward(&long)?),
        (
            roberta.forward(&short.clone().into())?,
            roberta.forward(&long)?,
        ),
        (t5.forward(&short.into())?, t5.forward(&long)?),
    ] {
        assert!(
            b.narrow(1, 0, 3)?
                .value()
                .allclose(a.value(), 1e-5, 1e-5, false)?
        );
    }
    Ok(())
}
