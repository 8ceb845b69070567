//! Mistakes with layers and losses.

use super::*;

pub fn layers() -> Result<Section> {
    let mut s = Section::new("Layers");
    let conv = Conv2d::new(3, 8, 3)?;
    mistake!(
        s,
        "A convolution of a matrix",
        ["conv2d", "[5,5]", "(B, C, H, W)"],
        conv.forward(&var(&[5, 5]))
    );
    mistake!(
        s,
        "Channels last",
        ["conv2d", "[1,32,32,3]", "permute"],
        conv.forward(&var(&[1, 32, 32, 3]))
    );
    mistake!(
        s,
        "A kernel larger than the padded input",
        ["conv2d", "[1,3,2,2]", "padding"],
        conv.forward(&var(&[1, 3, 2, 2]))
    );
    mistake!(
        s,
        "Groups that do not divide the channels",
        ["Conv2d", "4", "3 groups"],
        Conv2d::builder(4, 6, 3).groups(3).build()
    );
    mistake!(
        s,
        "A weight of other channels",
        ["conv2d", "[1,3,8,8]", "[8,4,3,3]"],
        var(&[1, 3, 8, 8]).conv2d(&var(&[8, 4, 3, 3]), None, &ConvParams::default())
    );
    let params = MaxPoolParams {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [2, 2],
        dilation: [1, 1],
        ceil_mode: false,
    };
    mistake!(
        s,
        "Padding beyond half a window",
        ["max_pool", "[1,1,8,8]", "padding"],
        var(&[1, 1, 8, 8]).max_pool2d(&params)
    );
    let params = AvgPoolParams {
        kernel: [9, 9],
        stride: [9, 9],
        padding: [0, 0],
        ceil_mode: false,
        count_include_pad: true,
        divisor_override: None,
    };
    mistake!(
        s,
        "A window larger than the picture",
        ["avg_pool", "[1,1,8,8]", "9"],
        var(&[1, 1, 8, 8]).avg_pool2d(&params)
    );
    mistake!(
        s,
        "A linear layer of another width",
        ["linear", "[5,9]", "[2,8]"],
        Linear::new(8, 2)?.forward(&var(&[5, 9]))
    );
    let model = Sequential::new()
        .then(Linear::new(8, 4)?)
        .then_named("head", Sequential::new().then(Linear::new(3, 2)?));
    mistake!(
        s,
        "Layers that do not fit each other",
        ["head.0: linear", "[5,4]", "[2,3]"],
        model.forward(&var(&[5, 8]))
    );
    mistake!(
        s,
        "A norm over other sizes",
        ["layer_norm", "[5,8]", "[4]"],
        LayerNorm::new([4])?.forward(&var(&[5, 8]))
    );
    mistake!(
        s,
        "A batch norm of pictures fed vectors",
        ["BatchNorm2d", "[5,8]", "(B, C, H, W)"],
        BatchNorm2d::new(8)?.forward(&var(&[5, 8]))
    );
    mistake!(
        s,
        "One value for each channel in training",
        ["batch_norm", "[1,8]", "eval"],
        BatchNorm1d::new(8)?.forward(&var(&[1, 8]))
    );
    mistake!(
        s,
        "Groups that do not divide the channels of a norm",
        ["GroupNorm", "6", "4"],
        GroupNorm::new(4, 6)
    );
    mistake!(
        s,
        "Dropout beyond 1",
        ["Dropout", "1.5", "0..=1"],
        Dropout::new(1.5).forward(&var(&[3]))
    );
    let words = Embedding::new(10, 4)?;
    mistake!(
        s,
        "A word beyond the table",
        ["embedding", "10", "0..=9"],
        words.forward(&whole(&[3, 10]))
    );
    mistake!(
        s,
        "Words as floats",
        ["embedding", "f32", "to_dtype"],
        words.forward(&zeros(&[2]))
    );
    mistake!(
        s,
        "Heads that do not divide the width",
        ["MultiheadAttention", "10", "3"],
        MultiheadAttention::new(10, 3)
    );
    let attention = MultiheadAttention::new(8, 2)?.batch_first(true);
    let x = var(&[2, 5, 8]);
    let ids = Tensor::zeros([2, 5], DType::I64)?;
    let padding = AttentionMask {
        key_padding_mask: Some(&ids),
        ..AttentionMask::default()
    };
    mistake!(
        s,
        "A mask of whole numbers",
        ["key_padding_mask", "i64", "bool"],
        attention.forward(&x, &x, &x, padding)
    );
    let square = Tensor::zeros([4, 4], DType::Bool)?;
    let mask = AttentionMask {
        attn_mask: Some(&square),
        ..AttentionMask::default()
    };
    mistake!(
        s,
        "A mask of another length",
        ["attn_mask", "[4,4]", "[5,5]"],
        attention.forward(&x, &x, &x, mask)
    );
    let model = TransformerEncoder::new(8, 2, 2, &TransformerOptions::default())?;
    mistake!(
        s,
        "A sequence of another width, deep in a model",
        ["layers.0.self_attn", "[2,5,6]", "8"],
        model.forward(&var(&[2, 5, 6]), AttentionMask::default())
    );
    let gru = GRU::new(8, 4)?;
    mistake!(
        s,
        "A recurrent layer's state of another size",
        ["GRU", "[1,2,5]", "[1,2,4]"],
        gru.forward(&var(&[5, 2, 8]), Some(&var(&[1, 2, 5])))
    );
    mistake!(
        s,
        "A recurrent layer fed another width",
        ["GRU", "[5,2,7]", "8"],
        gru.forward(&var(&[5, 2, 7]), None)
    );
    mistake!(
        s,
        "Lengths that do not descend",
        ["pack_padded_sequence", "[2, 5]", "enforce_sorted"],
        pack_padded_sequence(&x, &[2, 5], true, true)
    );
    Ok(s)
}

pub fn losses() -> Result<Section> {
    let mut s = Section::new("Losses");
    let (logits, options) = (var(&[2, 3]), CrossEntropy::default());
    mistake!(
        s,
        "A class out of range",
        ["cross_entropy", "3", "0..=2"],
        cross_entropy(&logits, &whole(&[0, 3]), &options)
    );
    mistake!(
        s,
        "Classes as floats",
        ["cross_entropy", "f32", "I64"],
        cross_entropy(&logits, &zeros(&[2]), &options)
    );
    mistake!(
        s,
        "Another number of classes than samples",
        ["cross_entropy", "[2,3]", "[3]"],
        cross_entropy(&logits, &whole(&[0, 1, 2]), &options)
    );
    mistake!(
        s,
        "Class weights for another number of classes",
        ["cross_entropy", "[2]", "3"],
        cross_entropy(
            &logits,
            &whole(&[0, 1]),
            &CrossEntropy {
                weight: Some(zeros(&[2])),
                ..CrossEntropy::default()
            }
        )
    );
    mistake!(
        s,
        "A target that does not broadcast",
        ["mse_loss", "[2,3]", "[2]"],
        mse_loss(&logits, &var(&[2]), Reduction::Mean)
    );
    let probabilities = Var::from(Tensor::full([2], 1.5, DType::F32)?);
    mistake!(
        s,
        "Logits where probabilities are wanted",
        ["binary_cross_entropy", "1.5", "with_logits"],
        binary_cross_entropy(&probabilities, &var(&[2]), None, Reduction::Mean)
    );
    mistake!(
        s,
        "A margin of zero",
        ["triplet_margin_loss", "0", "above 0"],
        triplet_margin_loss(
            &logits,
            &logits,
            &logits,
            &TripletMargin {
                margin: 0.0,
                ..TripletMargin::default()
            }
        )
    );
    mistake!(
        s,
        "A reduction there is not",
        ["reduction", "average", "mean"],
        "average".parse::<Reduction>()
    );
    Ok(s)
}
