//! `gradus_autograd::functional`, where it is more than a method's other name.

use gradus_autograd::functional::{
    self as f, Attention, BagMode, CrossEntropy, Ctc, EmbeddingBag, InProjection,
    MultiHeadAttention, Reduction, TripletMargin,
};
use gradus_autograd::{Var, checkpoint};
use gradus_tensor::{DType, Result, Tensor, random};

use super::sample::Case;

const S: f64 = 1.5;

fn case(
    name: &'static str,
    shapes: &[&[usize]],
    f: impl Fn(&[Var]) -> Result<Var> + Sync + 'static,
) -> Case {
    let inputs: Vec<(&[usize], f64, f64)> = shapes.iter().map(|&s| (s, -S, S)).collect();
    Case::new(name, &inputs, f)
}

fn i(values: &[i64], shape: &[usize]) -> Result<Tensor> {
    Tensor::from_slice(values, shape)
}

/// One target (±1, alternating) for each element.
fn signs(shape: &[usize]) -> Result<Tensor> {
    let n: usize = shape.iter().product();
    Tensor::from_vec(
        (0..n)
            .map(|i| if i % 3 == 0 { -1.0 } else { 1.0 })
            .collect(),
        shape,
    )
}

pub fn cases() -> Vec<Case> {
    let mut all = layers();
    all.extend(heads());
    all.extend(losses());
    all.extend(sets_of_classes());
    all.extend(classes());
    all
}

fn layers() -> Vec<Case> {
    let bag = |mode| EmbeddingBag {
        offsets: i(&[0, 2, 2], &[3]).ok(),
        mode,
        padding_idx: Some(3),
        ..EmbeddingBag::default()
    };
    vec![
        case("linear", &[&[2, 2, 3], &[4, 3], &[4]], |v| {
            f::linear(&v[0], &v[1], Some(&v[2]))
        }),
        case("linear", &[&[3], &[2, 3]], |v| {
            f::linear(&v[0], &v[1], None)
        }),
        case("linear", &[&[2, 3], &[3]], |v| {
            f::linear(&v[0], &v[1], None)
        }),
        case("bilinear", &[&[2, 3], &[2, 2], &[2, 3, 2], &[2]], |v| {
            f::bilinear(&v[0], &v[1], &v[2], Some(&v[3]))
        }),
        case("prelu", &[&[2, 3], &[3]], |v| f::prelu(&v[0], &v[1])),
        case("prelu", &[&[2, 3], &[1]], |v| f::prelu(&v[0], &v[1])),
        case("glu", &[&[2, 4]], |v| f::glu(&v[0], -1)),
        case("softmin", &[&[2, 3]], |v| f::softmin(&v[0], 1)),
        case("gelu", &[&[2, 3]], |v| {
            f::gelu(&v[0], true)?.add(&f::gelu(&v[0], false)?)
        }),
        case("dropout", &[&[2, 3]], |v| {
            random::manual_seed(3);
            f::dropout(&v[0].square()?, 0.4, true)
        }),
        case("rrelu", &[&[2, 3]], |v| {
            random::manual_seed(3);
            f::rrelu(&v[0], 0.1, 0.4, true)?.add(&f::rrelu(&v[0], 0.1, 0.4, false)?)
        }),
        case("alpha_dropout", &[&[2, 3]], |v| {
            random::manual_seed(3);
            f::alpha_dropout(&v[0].square()?, &[2, 3], 0.4, true)
        }),
        case("layer_norm", &[&[2, 2, 3], &[2, 3], &[2, 3]], |v| {
            f::layer_norm(&v[0], &[2, 3], Some(&v[1]), Some(&v[2]), 1e-5)
        }),
        case("rms_norm", &[&[2, 2, 3], &[3]], |v| {
            f::rms_norm(&v[0], &[3], Some(&v[1]), None)
        }),
        case("group_norm", &[&[2, 4, 3], &[4], &[4]], |v| {
            f::group_norm(&v[0], 2, Some(&v[1]), Some(&v[2]), 1e-5)
        }),
        case("instance_norm", &[&[2, 2, 3], &[2]], |v| {
            f::instance_norm(&v[0], None, Some(&v[1]), None, 1e-5)
        }),
        case("batch_norm", &[&[3, 2, 2], &[2], &[2]], |v| {
            f::batch_norm(&v[0], None, Some(&v[1]), Some(&v[2]), true, 1e-5)
        }),
        case("batch_norm", &[&[3, 2], &[2], &[2]], |v| {
            let (mean, var) = (
                Tensor::full([2], 0.3, DType::F64)?,
                Tensor::full([2], 1.7, DType::F64)?,
            );
            f::batch_norm(
                &v[0],
                Some((&mean, &var)),
                Some(&v[1]),
                Some(&v[2]),
                false,
                1e-5,
            )
        }),
        case("local_response_norm", &[&[2, 4, 2]], |v| {
            f::local_response_norm(&v[0], 3, 0.5, 0.75, 1.0)
        }),
        case("embedding", &[&[4, 2]], |v| {
            f::embedding(&i(&[1, 3, 1, 0], &[2, 2])?, &v[0], None)?.square()
        }),
        case("embedding_bag", &[&[4, 2]], move |v| {
            f::embedding_bag(&i(&[1, 3, 1, 0], &[4])?, &v[0], &bag(BagMode::Sum))?.square()
        }),
        case("embedding_bag", &[&[4, 2]], move |v| {
            f::embedding_bag(&i(&[1, 2, 1, 0], &[4])?, &v[0], &bag(BagMode::Mean))?.square()
        }),
        case("embedding_bag", &[&[4, 2]], move |v| {
            f::embedding_bag(&i(&[1, 2, 1, 0], &[4])?, &v[0], &bag(BagMode::Max))?.square()
        }),
        case("embedding_bag", &[&[4, 2], &[2, 2]], |v| {
            let options = EmbeddingBag {
                mode: BagMode::Sum,
                per_sample_weights: Some(v[1].clone()),
                ..EmbeddingBag::default()
            };
            f::embedding_bag(&i(&[1, 3, 1, 0], &[2, 2])?, &v[0], &options)
        }),
        case(
            "scaled_dot_product_attention",
            &[&[2, 3, 2], &[2, 4, 2], &[2, 4, 3]],
            |v| f::scaled_dot_product_attention(&v[0], &v[1], &v[2], &Attention::default()),
        ),
        case(
            "scaled_dot_product_attention",
            &[&[2, 3, 2], &[1, 3, 2], &[1, 3, 2]],
            |v| {
                let options = Attention {
                    is_causal: true,
                    enable_gqa: true,
                    scale: Some(0.7),
                    ..Attention::default()
                };
                f::scaled_dot_product_attention(&v[0], &v[1], &v[2], &options)
            },
        ),
        case(
            "scaled_dot_product_attention",
            &[&[2, 3, 2], &[2, 4, 2], &[2, 4, 3], &[3, 4]],
            |v| {
                let options = Attention {
                    bias: Some(v[3].clone()),
                    ..Attention::default()
                };
                f::scaled_dot_product_attention(&v[0], &v[1], &v[2], &options)
            },
        ),
        case(
            "scaled_dot_product_attention",
            &[&[2, 4, 3, 2], &[2, 2, 3, 2], &[2, 2, 3, 3]],
            |v| {
                let options = Attention {
                    is_causal: true,
                    enable_gqa: true,
                    ..Attention::default()
                };
                f::scaled_dot_product_attention(&v[0], &v[1], &v[2], &options)
            },
        ),
        case(
            "scaled_dot_product_attention",
            &[&[2, 2, 3, 2], &[2, 2, 4, 2], &[2, 2, 4, 3]],
            |v| {
                // One mask for all heads; the first query of the second batch sees nothing.
                let open = [
                    1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0,
                ];
                let mask = i(&open, &[2, 1, 3, 4])?.ne_scalar(0)?;
                let options = Attention {
                    mask: Some(mask),
                    ..Attention::default()
                };
                f::scaled_dot_product_attention(&v[0], &v[1], &v[2], &options)
            },
        ),
        case(
            "lstm_sequence",
            &[&[3, 2, 8], &[8, 2], &[2, 2], &[2, 2]],
            |v| f::lstm_sequence(&v[0], &v[1], &v[2], &v[3]),
        ),
        case("gru_sequence", &[&[3, 2, 6], &[6, 2], &[6], &[2, 2]], |v| {
            f::gru_sequence(&v[0], &v[1], &v[2], &v[3])
        }),
        case("cosine_similarity", &[&[2, 3], &[1, 3]], |v| {
            f::cosine_similarity(&v[0], &v[1], 1, 1e-8)
        }),
        case("pairwise_distance", &[&[2, 3], &[2, 3]], |v| {
            f::pairwise_distance(&v[0], &v[1], 2.0, 1e-6, false)
        }),
        case("normalize", &[&[2, 3]], |v| {
            f::normalize(&v[0], 2.0, 1, 1e-12)
        }),
        case("pixel_shuffle", &[&[1, 4, 2, 1]], |v| {
            f::pixel_shuffle(&v[0], 2)?.square()
        }),
        case("pixel_unshuffle", &[&[1, 1, 4, 2]], |v| {
            f::pixel_unshuffle(&v[0], 2)?.square()
        }),
        case("channel_shuffle", &[&[1, 4, 2]], |v| {
            f::channel_shuffle(&v[0], 2)?.square()
        }),
        case("checkpoint", &[&[2, 3]], |v| {
            checkpoint(|v| v[0].sin()?.mul(&v[0]), v)
        }),
    ]
}

fn losses() -> Vec<Case> {
    let mut all = Vec::new();
    for r in [Reduction::None, Reduction::Mean, Reduction::Sum] {
        let pair: &[&[usize]] = &[&[2, 3], &[2, 3]];
        let probabilities = |name, f: Box<dyn Fn(&[Var]) -> Result<Var> + Sync>| {
            Case::new(name, &[(&[2, 3], 0.1, 0.9), (&[2, 3], 0.1, 0.9)], f)
        };
        all.extend([
            case("mse_loss", pair, move |v| f::mse_loss(&v[0], &v[1], r)),
            case("l1_loss", pair, move |v| f::l1_loss(&v[0], &v[1], r)),
            case("smooth_l1_loss", pair, move |v| {
                f::smooth_l1_loss(&v[0], &v[1], 0.7, r)
            }),
            case("huber_loss", pair, move |v| {
                f::huber_loss(&v[0], &v[1], 0.7, r)
            }),
            case("soft_margin_loss", &[&[2, 3]], move |v| {
                f::soft_margin_loss(&v[0], &Var::from(signs(&[2, 3])?), r)
            }),
            probabilities(
                "binary_cross_entropy",
                Box::new(move |v| {
                    f::binary_cross_entropy(
                        &v[0],
                        &v[1],
                        Some(&Var::from(Tensor::full([3], 1.5, DType::F64)?)),
                        r,
                    )
                }),
            ),
            case("binary_cross_entropy_with_logits", pair, move |v| {
                let weight = Var::from(Tensor::full([3], 1.5, DType::F64)?);
                f::binary_cross_entropy_with_logits(&v[0], &v[1], None, Some(&weight), r)
            }),
            probabilities(
                "kl_div",
                Box::new(move |v| f::kl_div(&v[0], &v[1], r, false)),
            ),
            case("kl_div", pair, move |v| f::kl_div(&v[0], &v[1], r, true)),
            Case::new(
                "poisson_nll_loss",
                &[(&[2, 3], 0.3, 2.0), (&[2, 3], 0.3, 4.0)],
                move |v| {
                    f::poisson_nll_loss(&v[0], &v[1], true, true, 1e-8, r)?
                        .add(&f::poisson_nll_loss(&v[0], &v[1], false, false, 1e-8, r)?)
                },
            ),
            Case::new(
                "gaussian_nll_loss",
                &[(&[2, 3], -S, S), (&[2, 3], -S, S), (&[2, 1], 0.5, 2.0)],
                move |v| f::gaussian_nll_loss(&v[0], &v[1], &v[2], true, 1e-6, r),
            ),
            case("margin_ranking_loss", pair, move |v| {
                f::margin_ranking_loss(&v[0], &v[1], &Var::from(signs(&[2, 3])?), 0.5, r)
            }),
            case("hinge_embedding_loss", &[&[2, 3]], move |v| {
                f::hinge_embedding_loss(&v[0], &Var::from(signs(&[2, 3])?), 1.0, r)
            }),
            case("cosine_embedding_loss", pair, move |v| {
                f::cosine_embedding_loss(&v[0], &v[1], &signs(&[2])?, 0.1, r)
            }),
            case(
                "triplet_margin_loss",
                &[&[2, 3], &[2, 3], &[2, 3]],
                move |v| {
                    f::triplet_margin_loss(
                        &v[0],
                        &v[1],
                        &v[2],
                        &TripletMargin {
                            swap: true,
                            reduction: r,
                            ..TripletMargin::default()
                        },
                    )
                },
            ),
            case("multi_margin_loss", &[&[2, 3]], move |v| {
                f::multi_margin_loss(&v[0], &i(&[2, 0], &[2])?, 2, 1.0, None, r)
            }),
        ]);
    }
    all
}

/// Attention in heads: both results, with a key and a value of its own and one of zeros; and without a batch.
fn heads() -> Vec<Case> {
    let both = |(y, weights): (Var, Var)| y.sum(.., false)?.add(&weights.square()?.sum(.., false)?);
    let (t, b, e) = (2, 1, 2);
    vec![
        case(
            "multi_head_attention_forward",
            &[
                &[t, b, e],
                &[3, b, e],
                &[3 * e, e],
                &[3 * e],
                &[e, e],
                &[1, 1, e],
                &[1, 1, e],
            ],
            move |v| {
                let options = MultiHeadAttention {
                    in_proj_bias: Some(&v[3]),
                    bias_kv: Some([&v[5], &v[6]]),
                    add_zero_attn: true,
                    ..MultiHeadAttention::new(2, &v[2], &v[4])
                };
                both(f::multi_head_attention_forward(
                    &v[0], &v[1], &v[1], &options,
                )?)
            },
        ),
        case(
            "multi_head_attention_forward",
            &[&[t, e], &[e, e], &[e, e], &[e, e], &[e, e]],
            move |v| {
                let options = MultiHeadAttention {
                    in_proj_weight: InProjection::Separate([&v[1], &v[2], &v[3]]),
                    is_causal: true,
                    ..MultiHeadAttention::new(1, &v[1], &v[4])
                };
                both(f::multi_head_attention_forward(
                    &v[0], &v[0], &v[0], &options,
                )?)
            },
        ),
    ]
}

/// Several classes for an element, sequences of classes, and distances of one's own.
fn sets_of_classes() -> Vec<Case> {
    let mut all = Vec::new();
    for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
        all.extend([
            case("multilabel_soft_margin_loss", &[&[2, 3]], move |v| {
                let target = Var::from(Tensor::from_slice(&[1., 0., 1., 0., 0., 1.], [2, 3])?);
                let weight = Tensor::from_slice(&[0.5, 1.5, 1.0], 3)?;
                f::multilabel_soft_margin_loss(&v[0], &target, Some(&weight), reduction)
            }),
            case("multilabel_margin_loss", &[&[2, 3]], move |v| {
                let target = i(&[2, 0, -1, 1, -1, -1], &[2, 3])?;
                f::multilabel_margin_loss(&v[0].mul_scalar(0.3)?, &target, reduction)
            }),
            case(
                "triplet_margin_with_distance_loss",
                &[&[2, 3], &[2, 3], &[2, 3]],
                move |v| {
                    let far = |a: &Var, b: &Var| a.sub(b)?.square()?.sum(-1, false);
                    f::triplet_margin_with_distance_loss(
                        &v[0], &v[1], &v[2], far, 20.0, true, reduction,
                    )
                },
            ),
            case("ctc_loss", &[&[4, 2, 3]], move |v| {
                let options = Ctc {
                    reduction,
                    ..Ctc::default()
                };
                let targets = i(&[1, 1, 2, 1], &[2, 2])?;
                f::ctc_loss(&v[0].log_softmax(-1)?, &targets, &[4, 3], &[2, 1], &options)
            }),
        ]);
    }
    all
}

fn classes() -> Vec<Case> {
    let weight = || Tensor::from_slice(&[0.5, 1.5, 1.0], 3).ok();
    let mut all = Vec::new();
    for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
        for label_smoothing in [0.0, 0.2] {
            let options = CrossEntropy {
                weight: weight(),
                ignore_index: 1,
                reduction,
                label_smoothing,
            };
            let (a, b) = (options.clone(), options.clone());
            all.extend([
                case("cross_entropy", &[&[4, 3]], move |v| {
                    f::cross_entropy(&v[0], &i(&[2, 1, 0, 2], &[4])?, &options)
                }),
                case("cross_entropy", &[&[2, 3, 2]], move |v| {
                    f::cross_entropy(&v[0], &i(&[2, 1, 0, 2], &[2, 2])?, &a)
                }),
                case("cross_entropy_soft", &[&[2, 3], &[2, 3]], move |v| {
                    f::cross_entropy_soft(&v[0], &v[1].softmax(1)?, &b)
                }),
            ]);
        }
        let options = CrossEntropy {
            weight: weight(),
            ignore_index: 1,
            reduction,
            label_smoothing: 0.0,
        };
        all.push(case("nll_loss", &[&[4, 3]], move |v| {
            f::nll_loss(&v[0], &i(&[2, 1, 0, 2], &[4])?, &options)
        }));
    }
    all
}
