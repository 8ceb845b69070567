//! Layers against values computed by PyTorch in f64: running statistics, padding, distances, losses; and what layers refuse.

mod common;

use common::{check, filled, input};
use gradus_autograd::Var;
use gradus_nn::loss::*;
use gradus_nn::*;
use gradus_tensor::{DType, Result, Tensor};

#[test]
fn batch_norms_and_their_statistics() -> Result<()> {
    for (name, momentum) in [("batch_norm", Some(0.3)), ("batch_norm_mean", None)] {
        let mut norm = filled(BatchNorm1d::with(
            3,
            BatchNormOptions {
                momentum,
                ..BatchNormOptions::default()
            },
        )?)?;
        let (a, b) = (
            norm.forward(&input(&[4, 3, 2], 1.0))?,
            norm.forward(&input(&[4, 3, 2], 2.0))?,
        );
        norm.eval();
        let c = norm.forward(&input(&[4, 3, 2], 3.0))?;
        let state = norm.state_dict();
        assert_eq!(state["num_batches_tracked"].item::<i64>()?, 2);
        check(
            name,
            &[
                &a,
                &b,
                &c,
                &Var::from(&state["running_mean"]),
                &Var::from(&state["running_var"]),
            ],
        );
    }
    let plain = BatchNormOptions {
        affine: false,
        track_running_stats: false,
        ..BatchNormOptions::default()
    };
    let mut norm = BatchNorm2d::with(3, plain)?;
    norm.eval();
    check(
        "batch_norm_plain",
        &[&norm.forward(&input(&[2, 3, 2, 2], 1.0))?],
    );

    let norm = BatchNorm2d::new(3)?;
    for bad in [&[3][..], &[1, 3, 1, 1], &[2, 4, 2, 2], &[2, 3, 2]] {
        assert!(
            norm.forward(&input(bad, 0.0).to_dtype(DType::F32)?)
                .is_err(),
            "{bad:?}"
        );
    }
    assert_eq!(
        norm.state_dict()["num_batches_tracked"].item::<i64>()?,
        0,
        "a refused batch does not count"
    );
    Ok(())
}

#[test]
fn other_layers() -> Result<()> {
    check(
        "instance_norm",
        &[&filled(InstanceNorm2d::new(3, true)?)?.forward(&input(&[2, 3, 2, 2], 1.0))?],
    );
    check(
        "rms_norm",
        &[&filled(RMSNorm::new([2, 3])?)?.forward(&input(&[2, 2, 3], 1.0))?],
    );
    check(
        "prelu",
        &[&filled(PReLU::new(3)?)?.forward(&input(&[2, 3, 2], 1.0))?],
    );
    check(
        "bilinear",
        &[&filled(Bilinear::new(2, 3, 4, true)?)?
            .forward(&input(&[5, 2], 1.0), &input(&[5, 3], 0.4))?],
    );
    let conv = ConvTranspose1d::builder(4, 6, 3)
        .stride(2)
        .padding(1)
        .output_padding(1)
        .groups(2)
        .build()?;
    check(
        "conv_transpose1d",
        &[&filled(conv)?.forward(&input(&[2, 4, 5], 1.0))?],
    );

    let embedding = filled(Embedding::with_padding(5, 3, 2)?)?;
    let rows = embedding.forward(&Tensor::from_slice(&[1_i64, 2, 4, 2], [2, 2])?)?;
    let gradients = rows.square()?.sum(.., false)?.backward()?;
    check(
        "embedding",
        &[
            &rows,
            &Var::from(gradients.get(embedding.weight.var()).unwrap()),
        ],
    );
    Ok(())
}

#[test]
fn nonsense_is_refused() {
    let x = input(&[2, 4, 5, 5], 0.0).to_dtype(DType::F32).unwrap();
    assert!(Conv2d::builder(4, 6, 3).groups(3).build().is_err());
    assert!(Conv2d::builder(4, 6, 3).stride(0).build().is_err());
    assert!(Conv2d::builder(4, 6, 0).build().is_err());
    assert!(Conv2d::builder(4, 6, 3).output_padding(1).build().is_err());
    assert!(Conv2d::new(usize::MAX, usize::MAX, usize::MAX).is_err());
    assert!(Conv2d::new(3, 6, 3).unwrap().forward(&x).is_err());
    assert!(Conv2d::new(4, 6, 6).unwrap().forward(&x).is_err());
    assert!(MaxPool2d::new(0).forward(&x).is_err());
    assert!(MaxPool2d::new(2).stride(0).forward(&x).is_err());
    assert!(MaxPool2d::new(2).padding(2).forward(&x).is_err());
    assert!(AvgPool2d::new(9).forward(&x).is_err());
    assert!(GroupNorm::new(0, 4).is_err() && GroupNorm::new(3, 4).is_err());
    assert!(LayerNorm::new([4]).unwrap().forward(&x).is_err());
    assert!(Linear::new(usize::MAX, usize::MAX).is_err());
    assert!(Dropout::new(1.5).forward(&x).is_err() && Dropout::new(f64::NAN).forward(&x).is_err());
    assert!(Embedding::with_padding(3, 2, 3).is_err());
    assert!(
        Flatten {
            start_dim: 7,
            end_dim: -1
        }
        .forward(&x)
        .is_err()
    );
    assert!(GLU { dim: 2 }.forward(&x).is_err());
    assert!(Linear::builder(2, 2).dtype(DType::I64).build().is_err());
}

#[test]
fn instance_norms_and_their_statistics() -> Result<()> {
    let options = InstanceNormOptions {
        momentum: 0.3,
        affine: true,
        track_running_stats: true,
        ..InstanceNormOptions::default()
    };
    let mut norm = filled(InstanceNorm1d::with(3, options)?)?;
    let a = norm.forward(&input(&[2, 3, 4], 1.0))?;
    let b = norm.forward(&input(&[3, 4], 2.0))?;
    norm.eval();
    let c = norm.forward(&input(&[2, 3, 4], 3.0))?;
    let state = norm.state_dict();
    let (mean, var) = (&state["running_mean"], &state["running_var"]);
    check(
        "instance_norm_running",
        &[&a, &b, &c, &Var::from(mean), &Var::from(var)],
    );
    let norm = InstanceNorm3d::new(3, false)?;
    check(
        "instance_norm_3d",
        &[&norm.forward(&input(&[2, 3, 2, 2, 2], 1.0))?],
    );
    assert!(norm.forward(&input(&[2, 4, 2, 2, 2], 1.0)).is_err());
    let norm = LocalResponseNorm {
        size: 3,
        alpha: 0.1,
        beta: 0.6,
        k: 2.0,
    };
    check(
        "local_response_norm",
        &[&norm.forward(&input(&[2, 5, 3], 1.0))?],
    );
    Ok(())
}

#[test]
fn distances_pools_pads_and_shuffles() -> Result<()> {
    let (a, b) = (input(&[2, 3], 1.0), input(&[2, 3], 2.0));
    let cosine = CosineSimilarity {
        dim: -1,
        ..CosineSimilarity::default()
    };
    check("cosine_similarity", &[&cosine.forward(&a, &b)?]);
    let distance = PairwiseDistance {
        p: 3.0,
        keepdim: true,
        ..PairwiseDistance::default()
    };
    check("pairwise_distance", &[&distance.forward(&a, &b)?]);

    let x = input(&[1, 2, 4, 4, 4], 1.0);
    check(
        "pools_3d",
        &[
            &MaxPool3d::new(2).stride(1).padding(1).forward(&x)?,
            &AvgPool3d::new(3).stride(2).padding(1).forward(&x)?,
            &AdaptiveAvgPool3d::new(3).forward(&x)?,
            &AdaptiveMaxPool3d::new([1, 2, 3]).forward(&x)?,
        ],
    );
    let (y, at) = MaxPool2d::new(2).forward_with_indices(&input(&[1, 2, 4, 4], 1.0))?;
    check(
        "max_pool_indices",
        &[&y, &Var::from(at.to_dtype(DType::F64)?)],
    );

    let x = input(&[1, 2, 3, 4], 1.0);
    check(
        "pads",
        &[
            &ReflectionPad2d::new([1, 2, 2, 0]).forward(&x)?,
            &ReplicationPad2d::new(1).forward(&x)?,
            &CircularPad2d::new([3, 1, 0, 2]).forward(&x)?,
            &ConstantPad2d::new([-1, 1, 0, 2], 0.5).forward(&x)?,
            &ZeroPad2d::new(1).forward(&x)?,
            &ReflectionPad1d::new(1).forward(&input(&[2, 4], 1.0))?,
            &ReplicationPad3d::new(1).forward(&input(&[1, 2, 2, 2], 1.0))?,
        ],
    );
    assert!(ZeroPad2d::new(1).forward(&input(&[3, 4], 1.0)).is_err());

    let x = input(&[2, 8, 2, 4], 1.0);
    check(
        "shuffles",
        &[
            &PixelShuffle { upscale_factor: 2 }.forward(&x)?,
            &PixelUnshuffle {
                downscale_factor: 2,
            }
            .forward(&x)?,
            &ChannelShuffle { groups: 4 }.forward(&x)?,
            &Softmax2d.forward(&x)?,
        ],
    );
    Ok(())
}

#[test]
fn tables_and_bags() -> Result<()> {
    let mut table = Embedding::with_padding(5, 3, 2)?;
    (table.max_norm, table.scale_grad_by_freq) = (Some(0.5), true);
    let mut table = filled(table)?;
    let ids = Tensor::from_slice(&[1_i64, 2, 4, 1, 0, 1], [2, 3])?;
    let y = table.forward(&ids)?;
    let gradients = y.square()?.sum(.., false)?.backward()?;
    let dw = Var::from(gradients.get(table.weight.var()).unwrap());
    table.renorm(&ids)?; // PyTorch has changed its table by now
    check("embedding_options", &[&y, &dw, table.weight.var()]);
    assert!(table.renorm(&Tensor::from_slice(&[5_i64], 1)?).is_err());

    let ids = Tensor::from_slice(&[1_i64, 2, 4, 5, 4, 3], 6)?;
    for (name, mode) in [
        ("sum", BagMode::Sum),
        ("mean", BagMode::Mean),
        ("max", BagMode::Max),
    ] {
        let mut bag = filled(EmbeddingBag::new(6, 3)?)?;
        (bag.mode, bag.padding_idx) = (mode, Some(1));
        let starts = Tensor::from_slice(&[0_i64, 2, 2], 3)?;
        let y = bag.forward(&ids, Some(&starts), None)?;
        let gradients = y.square()?.sum(.., false)?.backward()?;
        let dw = Var::from(gradients.get(bag.weight.var()).unwrap());
        check(&format!("embedding_bag_{name}"), &[&y, &dw]);
    }
    let mut bag = filled(EmbeddingBag::new(6, 3)?)?;
    (bag.mode, bag.include_last_offset) = (BagMode::Sum, true);
    let ends = Tensor::from_slice(&[0_i64, 2, 6], 3)?;
    let weights = input(&[6], 0.3);
    check(
        "embedding_bag_weighted",
        &[&bag.forward(&ids, Some(&ends), Some(&weights))?],
    );
    Ok(())
}

/// A loss and its gradient for `x`.
fn with_gradient(name: &str, x: &Var, loss: &Var) -> Result<()> {
    let gradients = loss.sum(.., false)?.backward()?;
    let dx = Var::from(gradients.get(x).unwrap());
    check(name, &[loss, &dx]);
    Ok(())
}

#[test]
fn losses_of_several_labels() -> Result<()> {
    let x = Var::leaf(input(&[3, 4], 1.0).into_value())?;
    let weight = Some(Tensor::from_slice(&[0.5, 1.0, 2.0, 0.25], 4)?);
    let criterion = MultiMarginLoss {
        p: 2,
        margin: 0.7,
        weight: weight.clone(),
        reduction: Reduction::None,
    };
    let classes = Tensor::from_slice(&[0_i64, 3, 2], 3)?;
    with_gradient("multi_margin", &x, &criterion.forward(&x, &classes)?)?;

    let criterion = MultiLabelMarginLoss {
        reduction: Reduction::None,
    };
    let labels = Tensor::from_slice(&[3_i64, 0, -1, 1, -1, 2, 0, 1, 0, 1, 2, 3], [3, 4])?;
    with_gradient("multilabel_margin", &x, &criterion.forward(&x, &labels)?)?;
    let beyond = labels.add_scalar(1)?;
    assert!(criterion.forward(&x, &beyond).is_err());

    let criterion = MultiLabelSoftMarginLoss {
        weight,
        ..MultiLabelSoftMarginLoss::default()
    };
    let truth = input(&[3, 4], 2.0).value().gt_scalar(0)?;
    let truth = Var::from(truth.to_dtype(DType::F64)?);
    with_gradient("multilabel_soft", &x, &criterion.forward(&x, &truth)?)?;

    let taxi = |p: &Var, q: &Var| p.sub(q)?.abs()?.sum(-1, false);
    let criterion = TripletMarginWithDistanceLoss {
        margin: 2.0,
        swap: true,
        ..TripletMarginWithDistanceLoss::new(taxi)
    };
    let (p, n) = (input(&[3, 4], 1.5), input(&[3, 4], 2.5));
    with_gradient("triplet_distance", &x, &criterion.forward(&x, &p, &n)?)
}

#[test]
fn ctc() -> Result<()> {
    let x = Var::leaf(input(&[6, 3, 4], 0.4).into_value())?; // (T, B, C)
    let log_probs = x.log_softmax(-1)?;
    let targets = Tensor::from_slice(&[1_i64, 1, 3, 2, 0, 0, 3, 2, 1], [3, 3])?;
    for (name, reduction) in [
        ("none", Reduction::None),
        ("mean", Reduction::Mean),
        ("sum", Reduction::Sum),
    ] {
        let options = Ctc {
            reduction,
            zero_infinity: true,
            ..Ctc::default()
        };
        let loss = CTCLoss { options }.forward(&log_probs, &targets, &[6, 4, 2], &[3, 1, 3])?;
        with_gradient(&format!("ctc_{name}"), &x, &loss)?;
    }
    let options = Ctc {
        blank: 2,
        reduction: Reduction::None,
        zero_infinity: false,
    };
    let joined = Tensor::from_slice(&[1_i64, 0, 3, 3], 4)?;
    let loss = CTCLoss { options }.forward(&log_probs, &joined, &[6, 6, 2], &[1, 3, 0])?;
    with_gradient("ctc_joined", &x, &loss)?;
    let short = ctc_loss(
        &log_probs,
        &targets,
        &[6, 4, 2],
        &[3, 1, 3],
        &Ctc::default(),
    )?;
    assert_eq!(short.item::<f64>()?, f64::INFINITY);
    assert!(ctc_loss(&log_probs, &targets, &[7, 4, 2], &[3, 1, 3], &options).is_err());
    assert!(ctc_loss(&log_probs, &joined, &[6, 4, 2], &[3, 1, 3], &options).is_err());
    Ok(())
}

#[test]
fn what_only_training_does() -> Result<()> {
    gradus_tensor::random::manual_seed(3);
    let x = input(&[4, 50, 6], 0.2);
    let mut drop = Dropout1d::new(0.5);
    let y = drop.forward(&x)?.value().to_vec::<f64>()?;
    let whole = |row: &[f64]| row.iter().all(|&y| y == 0.0) || row.iter().all(|&y| y != 0.0);
    assert!(y.chunks(6).all(whole), "channels are dropped whole");
    let dropped = y.chunks(6).filter(|row| row[0] == 0.0).count();
    assert!((70..130).contains(&dropped), "{dropped} of 200");
    drop.eval();
    assert_eq!(
        drop.forward(&x)?.value().to_vec::<f64>()?,
        x.value().to_vec::<f64>()?
    );

    // SELU's fixed point: mean 0 and variance 1 stay.
    let noise =
        gradus_tensor::random::with_default(|rng| Tensor::randn([20_000], DType::F64, rng))?;
    let y = AlphaDropout::new(0.2)
        .forward(&Var::from(noise))?
        .into_value();
    assert!(y.mean(.., false)?.item::<f64>()?.abs() < 0.05);
    assert!((y.var(.., 1.0, false)?.item::<f64>()? - 1.0).abs() < 0.05);
    assert!(Dropout3d::new(0.5).forward(&x).is_err());

    let mut slopes = RReLU::default();
    let minus = Var::from(Tensor::full([100], -1.0, DType::F64)?);
    let y = slopes.forward(&minus)?.value().to_vec::<f64>()?;
    assert!(y.iter().all(|y| (-1.0 / 3.0..=-0.125).contains(y)) && y[0] != y[1]);
    slopes.eval();
    let y = slopes.forward(&minus)?.value().to_vec::<f64>()?;
    assert!(y.iter().all(|y| (y + 11.0 / 48.0).abs() < 1e-12));
    Ok(())
}
