//! Tied parameters: one tensor under two names.

use gradus_nn::{Linear, Module, StateDict, Tied};
use gradus_tensor::{DType, Tensor};

/// A parameter with a second name: counted once, saved under both, loaded from either; of both, the second counts.
#[test]
fn tied_parameters_have_two_names() {
    #[derive(Module)]
    struct Head {
        table: Linear,
        #[module(flatten)]
        tied: Option<Tied>,
    }
    #[derive(Module)]
    struct Model {
        inner: Head,
    }
    let mut model = Model {
        inner: Head {
            table: Linear::builder(2, 3).bias(false).build().unwrap(),
            tied: Some(Tied::new("decoder.weight", "table.weight")),
        },
    };
    assert_eq!(model.num_params(), 6);
    assert_eq!(model.named_parameters().len(), 1);
    let full = model.state_dict();
    let names: Vec<&str> = full.keys().map(String::as_str).collect();
    assert_eq!(names, ["inner.decoder.weight", "inner.table.weight"]);
    assert!(
        model
            .summary()
            .to_string()
            .contains("decoder.weight = table.weight")
    );

    let value = |x: f32| Tensor::full([3, 2], x, DType::F32).unwrap();
    for (state, expected) in [
        (vec![("inner.table.weight", 1.0)], 1.0),
        (vec![("inner.decoder.weight", 2.0)], 2.0),
        (
            vec![("inner.table.weight", 3.0), ("inner.decoder.weight", 4.0)],
            4.0,
        ),
    ] {
        let state: StateDict = state
            .into_iter()
            .map(|(name, x)| (name.to_owned(), value(x)))
            .collect();
        model.load_state_dict(&state, true).unwrap();
        let weight = model.inner.table.weight.data().to_vec::<f32>().unwrap();
        assert_eq!(weight, [expected; 6]);
    }
    let error = model.load_state_dict(&StateDict::new(), true).unwrap_err();
    assert!(
        error.to_string().contains("1 missing: inner.table.weight"),
        "{error}"
    );
}
