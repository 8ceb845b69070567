//! State dicts: loading strictly or not, its report, and what other programs put before names.

use gradus_nn::{BatchNorm2d, Linear, Module, Sequential, StateDict};
use gradus_tensor::{DType, Tensor};

fn mlp() -> Sequential {
    Sequential::new()
        .then(Linear::new(2, 3).unwrap())
        .then(Linear::new(3, 1).unwrap())
}

#[test]
fn state_dicts_round_trip_in_any_dtype() {
    let (a, mut b) = (mlp(), mlp());
    let mut state = a.state_dict();
    for tensor in state.values_mut() {
        *tensor = tensor.to_dtype(DType::F64).unwrap();
    }
    let report = b.load_state_dict(&state, true).unwrap();
    assert!(report.is_exact());
    assert_eq!(report.loaded.len(), 4);
    for (name, tensor) in b.state_dict() {
        assert_eq!(tensor.dtype(), DType::F32);
        assert_eq!(
            tensor.to_vec::<f32>().unwrap(),
            a.state_dict()[&name].to_vec::<f32>().unwrap()
        );
    }
}

#[test]
fn a_strict_load_that_fails_changes_nothing_and_says_all() {
    let mut model = mlp();
    let before = model.state_dict();
    let mut state: StateDict = mlp().state_dict();
    state.remove("1.bias");
    state.insert("2.weight".into(), Tensor::zeros([1], DType::F32).unwrap());
    state.insert(
        "0.weight".into(),
        Tensor::zeros([3, 5], DType::F32).unwrap(),
    );
    let error = model.load_state_dict(&state, true).unwrap_err().to_string();
    for part in [
        "1 missing: 1.bias",
        "1 unexpected: 2.weight",
        "0.weight is [3, 2] here, [3, 5] there",
        "strict = false",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    for (name, tensor) in model.state_dict() {
        assert_eq!(
            tensor.to_vec::<f32>().unwrap(),
            before[&name].to_vec::<f32>().unwrap()
        );
    }

    let report = model.load_state_dict(&state, false).unwrap();
    assert_eq!(report.loaded, ["0.bias", "1.weight"]);
    assert_eq!(
        (
            report.missing.len(),
            report.unexpected.len(),
            report.mismatched.len()
        ),
        (1, 1, 1)
    );
    assert_eq!(
        model.state_dict()["0.bias"].to_vec::<f32>().unwrap(),
        state["0.bias"].to_vec::<f32>().unwrap()
    );
}

/// The names of a state dict, each with something before it.
fn under(prefix: &str, state: StateDict) -> StateDict {
    let named = |(name, tensor)| (format!("{prefix}{name}"), tensor);
    state.into_iter().map(named).collect()
}

#[test]
fn what_wrappers_put_before_names_is_taken_off() {
    let (source, mut model) = (mlp(), mlp());
    for (prefix, known) in [
        ("module.", true),
        ("_orig_mod.module.", true),
        ("net.", false),
    ] {
        let state = under(prefix, source.state_dict());
        let loaded = model.load_state_dict(&state, true);
        if known {
            let report = loaded.unwrap();
            assert_eq!((report.prefix.as_str(), report.loaded.len()), (prefix, 4));
            assert_eq!(
                report.to_string(),
                format!("loaded 4 (names without {prefix:?})")
            );
        } else {
            let error = loaded.unwrap_err().to_string();
            assert!(error.contains("begin with \"net.\""), "{error}");
        }
    }
    // Not where only some names have it, nor where the model has it itself.
    let mut some = under("module.", source.state_dict());
    some.extend(source.state_dict());
    assert_eq!(
        model
            .load_state_dict(&some, false)
            .unwrap()
            .unexpected
            .len(),
        4
    );
    let mut wrapped = Sequential::new().then_named("module", mlp());
    let report = wrapped.load_state_dict(&under("module.", source.state_dict()), true);
    assert_eq!(report.unwrap().prefix, "");
    assert!(model.load_state_dict(&StateDict::new(), true).is_err());
}

#[test]
fn a_report_reads_in_a_line_or_in_full() {
    let mut model = mlp();
    let state = StateDict::from([
        ("0.bias".to_owned(), Tensor::zeros([3], DType::F32).unwrap()),
        (
            "0.weight".to_owned(),
            Tensor::zeros([3, 5], DType::F32).unwrap(),
        ),
        (
            "fc.weight".to_owned(),
            Tensor::zeros([1], DType::F32).unwrap(),
        ),
    ]);
    let report = model.load_state_dict(&state, false).unwrap();
    assert_eq!(
        format!("{report:#}"),
        "loaded 1\n2 missing:\n  1.bias\n  1.weight\n1 unexpected:\n  fc.weight\n1 of another shape:\n  \
         0.weight is [3, 2] here, [3, 5] there"
    );
    assert_eq!(report.to_string().lines().count(), 1);
}

/// Checkpoints from before PyTorch 0.4.1 have no counter of batches; those that have one bring it.
#[test]
fn old_files_lack_batch_norms_counter() {
    let mut norm = BatchNorm2d::new(2).unwrap();
    let mut state = norm.state_dict();
    state.insert("num_batches_tracked".into(), Tensor::scalar(7i64));
    norm.load_state_dict(&state, true).unwrap();
    state.remove("num_batches_tracked");
    assert!(norm.load_state_dict(&state, true).unwrap().is_exact());
    assert_eq!(
        norm.state_dict()["num_batches_tracked"]
            .item::<i64>()
            .unwrap(),
        7
    );
    state.remove("running_mean");
    assert!(norm.load_state_dict(&state, true).is_err());
}
