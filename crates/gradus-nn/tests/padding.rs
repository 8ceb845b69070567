//! Padding of convolution layers: by name, of other things than zeros, and uneven; resizing and windows as layers.

use gradus_autograd::Var;
use gradus_nn::{
    Conv1d, Conv2d, Conv3d, ConvTranspose2d, Fold, Layer, Padding, PaddingMode, Param, Unfold,
    Upsample,
};
use gradus_tensor::{DType, InterpolateMode, PadMode, Result, Tensor};

fn input(shape: &[usize]) -> Var {
    let n: usize = shape.iter().product();
    let x = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
    Var::from(Tensor::from_vec(x, shape).unwrap())
}

#[test]
fn a_mode_is_the_padding_done_before() -> Result<()> {
    let x = input(&[2, 3, 6, 7]);
    let modes = [
        (PaddingMode::Zeros, PadMode::Constant(0.0.into())),
        (PaddingMode::Reflect, PadMode::Reflect),
        (PaddingMode::Replicate, PadMode::Replicate),
        (PaddingMode::Circular, PadMode::Circular),
    ];
    for (mode, pad) in modes {
        let build = |padding: Padding<2>| {
            let options = Conv2d::builder(3, 4, (4, 3)).dilation((1, 2));
            options.padding(padding).padding_mode(mode).build()
        };
        // 3 rows (1 before, 2 after) and 4 columns (2 on each side).
        let same = build(Padding::Same)?;
        let y = same.forward(&x)?;
        assert_eq!(y.dims(), [2, 4, 6, 7]);
        let bias = same.bias.as_ref().map(Param::var);
        let padded = x.pad(&[2, 2, 1, 2], pad)?;
        let want = padded.conv2d(same.weight.var(), bias, &same.params)?;
        assert_eq!(
            y.value().to_vec::<f32>()?,
            want.value().to_vec::<f32>()?,
            "{mode:?}"
        );
        let both = build(Padding::from([2, 1]))?;
        let bias = both.bias.as_ref().map(Param::var);
        let mut params = both.params;
        params.padding = [0, 0];
        let want = x
            .pad(&[1, 1, 2, 2], pad)?
            .conv2d(both.weight.var(), bias, &params)?;
        let got = both.forward(&x)?;
        let difference = got.sub(&want)?.abs()?.amax(.., false)?.item::<f32>()?;
        assert!(difference < 1e-5, "{mode:?} {difference}");
        assert_eq!(build(Padding::Valid)?.forward(&x)?.dims(), [2, 4, 3, 3]);
    }
    // One and three dimensions, without a batch.
    let one = Conv1d::builder(3, 5, 3)
        .padding(Padding::Same)
        .padding_mode(PaddingMode::Circular);
    assert_eq!(one.build()?.forward(&input(&[3, 8]))?.dims(), [5, 8]);
    let three = Conv3d::builder(2, 4, 2).padding(Padding::Same).build()?;
    assert_eq!(
        three.forward(&input(&[1, 2, 3, 4, 5]))?.dims(),
        [1, 4, 3, 4, 5]
    );
    Ok(())
}

#[test]
fn what_cannot_be_padded_is_refused() {
    let same = |stride| {
        Conv2d::builder(3, 4, 3)
            .stride(stride)
            .padding(Padding::Same)
            .build()
    };
    assert!(same(1).is_ok() && same(2).is_err());
    let transposed = ConvTranspose2d::builder(3, 4, 3);
    assert!(transposed.clone().padding(Padding::Same).build().is_err());
    assert!(
        transposed
            .clone()
            .padding_mode(PaddingMode::Reflect)
            .build()
            .is_err()
    );
    assert!(transposed.padding(1).build().is_ok());
    // A mirror shorter than what it has to fill.
    let wide = Conv2d::builder(3, 4, 3)
        .padding(9)
        .padding_mode(PaddingMode::Reflect)
        .build()
        .unwrap();
    assert!(wide.forward(&input(&[1, 3, 6, 7])).is_err());
    let vast = Conv2d::builder(3, 4, 3)
        .padding(usize::MAX)
        .padding_mode(PaddingMode::Replicate);
    assert!(
        vast.build()
            .unwrap()
            .forward(&input(&[1, 3, 6, 7]))
            .is_err()
    );
}

#[test]
fn resizing_and_windows() -> Result<()> {
    let x = input(&[1, 2, 4, 6]);
    let resized = Upsample::size([8, 3])
        .mode(InterpolateMode::Bicubic)
        .align_corners(true);
    assert_eq!(resized.forward(&x)?.dims(), [1, 2, 8, 3]);
    assert!(
        Upsample::size([8])
            .mode(InterpolateMode::Trilinear)
            .forward(&x)
            .is_err()
    );
    // Windows side by side: what was taken apart is put together.
    let columns = Unfold::new(2).stride(2).forward(&x)?;
    assert_eq!(columns.dims(), [1, 8, 6]);
    let back = Fold::new((4, 6), 2).stride(2).forward(&columns)?;
    assert_eq!(back.value().to_vec::<f32>()?, x.value().to_vec::<f32>()?);
    assert!(
        Fold::new((5, 6), 2)
            .stride(2)
            .dilation(3)
            .padding(0)
            .forward(&columns)
            .is_err()
    );
    assert_eq!(x.dtype(), DType::F32);
    Ok(())
}
