//! `gradus_vision::ops`: gradients by differences, torchvision's conventions, errors.

use gradus_autograd::functional::Reduction;
use gradus_autograd::{Gradcheck, Var, grad, gradcheck, gradgradcheck};
use gradus_tensor::{DType, Result, Tensor};
use gradus_vision::ops::*;

/// Numbers in `low..high`, evenly spread, none alike.
fn numbers(shape: &[usize], low: f64, high: f64) -> Tensor {
    let n: usize = shape.iter().product();
    let at = |i: usize| ((i + 1) as f64 * 0.618_033_988_749_895).fract();
    Tensor::from_vec((0..n).map(|i| low + (high - low) * at(i)).collect(), shape).unwrap()
}

fn rois() -> Tensor {
    let rois = [
        0.0, 1.2, 0.7, 5.1, 4.4, 1.0, -3.0, -2.5, 12.0, 9.0, 1.0, 2.0, 2.0, 3.1, 2.4, 0.0, 3.9,
        2.9, 9.0, 9.0,
    ];
    Tensor::from_slice(&rois, [4, 5]).unwrap()
}

#[test]
fn means_over_regions_have_both_derivatives() -> Result<()> {
    let x = numbers(&[2, 4, 5, 6], -1.0, 1.0);
    for (samples, aligned, scale) in [(-1, false, 1.0), (2, true, 0.6), (3, false, 1.0)] {
        let align =
            |v: &[Var]| roi_align(&v[0], &rois(), [2, 3], scale, samples, aligned)?.square();
        gradcheck(align, std::slice::from_ref(&x), Gradcheck::default())?;
        let small = [x.narrow(1, 0, 1)?];
        gradgradcheck(align, &small, Gradcheck::default())?;
        let sensitive = |v: &[Var]| ps_roi_align(&v[0], &rois(), [2, 2], scale, samples)?.square();
        gradcheck(sensitive, std::slice::from_ref(&x), Gradcheck::default())?;
    }
    let pool = |v: &[Var]| ps_roi_pool(&v[0], &rois(), [2, 2], 0.8)?.square();
    gradcheck(pool, std::slice::from_ref(&x), Gradcheck::default())?;
    let max = |v: &[Var]| roi_pool(&v[0], &rois(), [2, 3], 0.9)?.square();
    gradcheck(max, std::slice::from_ref(&x), Gradcheck::default())?;
    gradgradcheck(max, &[x.narrow(1, 0, 1)?], Gradcheck::default())
}

#[test]
fn deformable_convolutions_have_a_gradient_by_every_operand() -> Result<()> {
    // Two groups of channels, two of offsets.
    let inputs = [
        numbers(&[2, 4, 4, 3], -1.0, 1.0),
        numbers(&[2, 16, 3, 3], -1.3, 1.3),
        numbers(&[4, 2, 2, 2], -1.0, 1.0),
        numbers(&[2, 8, 3, 3], 0.0, 1.0),
        numbers(&[4], -1.0, 1.0),
    ];
    let f = |v: &[Var]| {
        let options = DeformConv2d {
            bias: v.get(4),
            stride: [2, 1],
            padding: [1, 1],
            dilation: [1, 2],
            mask: v.get(3),
        };
        deform_conv2d(&v[0], &v[1], &v[2], &options)
    };
    gradcheck(f, &inputs, Gradcheck::default())?;
    gradcheck(f, &inputs[..3], Gradcheck::default())?;
    // As in torchvision there is no second derivative, and it says so.
    let leaves = inputs
        .iter()
        .map(|x| Var::leaf(x.clone()))
        .collect::<Result<Vec<_>>>()?;
    let dx = grad(&[&f(&leaves)?.sum(.., false)?], &[&leaves[0]], None, true)?
        .remove(0)
        .unwrap();
    let error = dx.square()?.sum(.., false)?.backward().unwrap_err();
    assert!(error.to_string().contains("second derivative"), "{error}");
    Ok(())
}

#[test]
fn losses_and_overlaps_have_both_derivatives() -> Result<()> {
    // Boxes that meet, and boxes that do not.
    let corners = |seed: f64| -> Result<Tensor> {
        let at = numbers(&[4, 2], seed, seed + 6.0);
        Tensor::cat(&[&at, &at.add(&numbers(&[4, 2], 1.0, 4.0))?], 1)
    };
    let pair = [corners(0.0)?, corners(1.7)?];
    let check = |f: &dyn Fn(&[Var]) -> Result<Var>| {
        gradcheck(f, &pair, Gradcheck::default())?;
        gradgradcheck(f, &pair, Gradcheck::default())
    };
    check(&|v| generalized_box_iou_loss(&v[0], &v[1], Reduction::None, 1e-7))?;
    check(&|v| distance_box_iou_loss(&v[0], &v[1], Reduction::Mean, 1e-7))?;
    check(&|v| box_iou(&v[0], &v[1], BoxFormat::Xyxy))?;
    check(&|v| box_iou(&v[0], &v[1], BoxFormat::Cxcywh))?;
    check(&|v| generalized_box_iou(&v[0], &v[1]))?;
    check(&|v| distance_box_iou(&v[0], &v[1], 1e-7))?;
    check(&|v| box_area(&v[0], BoxFormat::Xyxy)?.mul(&box_area(&v[1], BoxFormat::Xywh)?))?;
    let targets = Var::from(Tensor::from_slice(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0], [2, 3])?);
    for (alpha, gamma) in [(0.25, 2.0), (-1.0, 0.5), (1.0, 1.5)] {
        let f = |v: &[Var]| sigmoid_focal_loss(&v[0], &targets, alpha, gamma, Reduction::None);
        let logits = [numbers(&[2, 3], -2.0, 2.0)];
        gradcheck(f, &logits, Gradcheck::default())?;
        gradgradcheck(f, &logits, Gradcheck::default())?;
    }
    Ok(())
}

#[test]
fn the_factor_of_complete_iou_is_constant() -> Result<()> {
    // Equal boxes, so only the proportions' term is left to differ: its factor has no gradient.
    let a = Tensor::from_slice(&[0.0, 0.0, 2.0, 4.0], [1, 4])?;
    let b = Tensor::from_slice(&[0.0, 0.0, 3.0, 3.0], [1, 4])?;
    let x = Var::leaf(a.clone())?;
    let loss = complete_box_iou_loss(&x, &b.clone().into(), Reduction::Sum, 1e-7)?;
    let distance = distance_box_iou_loss(&x, &b.clone().into(), Reduction::Sum, 1e-7)?;
    let term = loss.sub(&distance)?;
    let v = 4.0 / std::f64::consts::PI.powi(2) * (1.0f64.atan() - 0.5f64.atan()).powi(2);
    let iou = 6.0 / (8.0 + 9.0 - 6.0);
    let alpha = v / (1.0 - iou + v + 1e-7);
    assert!((term.item::<f64>()? - alpha * v).abs() < 1e-7);
    let complete = complete_box_iou(&x, &b.into(), 1e-7)?.item::<f64>()?;
    assert!((1.0 - loss.item::<f64>()? - complete).abs() < 1e-6);
    // d v / d (width) = 8 / π² (atan(w / h) − atan(w' / h')) · h / (w² + h²)
    let slope = 8.0 / std::f64::consts::PI.powi(2) * (0.5f64.atan() - 1.0f64.atan()) * 4.0 / 20.0;
    let got = term.backward()?.get(&x).unwrap().to_vec::<f64>()?[2];
    assert!(
        (got - alpha * slope).abs() < 1e-6,
        "{got} {}",
        alpha * slope
    );
    Ok(())
}

#[test]
fn formats_go_there_and_back() -> Result<()> {
    use BoxFormat::*;
    let upright = Var::from(Tensor::from_slice(
        &[1.0, 2.0, 4.0, 8.0, 0.0, 0.0, 1.0, 1.0],
        [2, 4],
    )?);
    let rotated = Var::from(Tensor::from_slice(&[5.0, 6.0, 4.0, 2.0, 30.0], [1, 5])?);
    for (boxes, formats) in [
        (&upright, [Xyxy, Xywh, Cxcywh]),
        (&rotated, [Cxcywhr, Xywhr, Xyxyxyxy]),
    ] {
        for from in formats {
            let start = box_convert(boxes, formats[0], from)?;
            for to in formats {
                let there = box_convert(&start, from, to)?;
                let back = box_convert(&there, to, from)?;
                let error = back.sub(&start)?.abs()?.amax(.., false)?.item::<f64>()?;
                assert!(error < 1e-12, "{from:?} {to:?} {error}");
            }
        }
    }
    // torchvision's own numbers.
    let corners = box_convert(&rotated, Cxcywhr, Xyxyxyxy)?
        .value()
        .to_vec::<f64>()?;
    let want = [
        2.7679491924311224,
        6.133974596215561,
        6.232050807568877,
        4.133974596215561,
    ];
    assert!(
        corners.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12),
        "{corners:?}"
    );
    assert!(box_convert(&upright, Xyxy, Xywhr).is_err());
    assert!(box_convert(&rotated, Xyxy, Xywh).is_err());
    assert!("xyyx".parse::<BoxFormat>().is_err() && "cxcywh".parse::<BoxFormat>()? == Cxcywh);
    Ok(())
}

#[test]
fn suppression() -> Result<()> {
    let boxes = Tensor::from_slice(
        &[
            0.0f32, 0.0, 4.0, 4.0, 0.0, 0.0, 4.0, 3.9, 2.0, 0.0, 6.0, 4.0, 9.0, 9.0, 9.0, 9.0,
        ],
        [4, 4],
    )?;
    let scores = Tensor::from_slice(&[0.5f32, 0.9, 0.7, 0.5], 4)?;
    assert_eq!(nms(&boxes, &scores, 0.5)?.to_vec::<i64>()?, [1, 2, 3]);
    assert_eq!(nms(&boxes, &scores, 0.2)?.to_vec::<i64>()?, [1, 3]);
    // A threshold of 1 removes nothing, not even a copy.
    assert_eq!(nms(&boxes, &scores, 1.0)?.to_vec::<i64>()?, [1, 2, 0, 3]);
    let idxs = Tensor::from_slice(&[0i64, -7, 0, 0], 4)?;
    assert_eq!(
        batched_nms(&boxes, &scores, &idxs, 0.2)?.to_vec::<i64>()?,
        [1, 2, 3]
    );
    assert_eq!(remove_small_boxes(&boxes, 3.95)?.to_vec::<i64>()?, [0, 2]);
    let none = Tensor::zeros([0, 4], DType::F32)?;
    assert_eq!(
        nms(&none, &Tensor::zeros([0], DType::F32)?, 0.5)?.dims(),
        [0]
    );
    assert!(nms(&boxes, &scores.narrow(0, 0, 3)?, 0.5).is_err());
    assert!(nms(&boxes.narrow(1, 0, 3)?, &scores, 0.5).is_err());
    assert!(batched_nms(&boxes, &scores, &scores, 0.5).is_err());
    assert!(remove_small_boxes(&scores, 1.0).is_err());
    Ok(())
}

#[test]
fn regions_by_sample_and_without_any() -> Result<()> {
    let x = Var::leaf(numbers(&[2, 4, 5, 6], -1.0, 1.0))?;
    let all = rois();
    // A list of boxes for each sample is the same regions, in another order.
    let boxes = all.narrow(1, 1, 4)?;
    let row = |i: i64| boxes.narrow(0, i, 1);
    let list = vec![
        Tensor::cat(&[&row(0)?, &row(3)?], 0)?,
        Tensor::cat(&[&row(1)?, &row(2)?], 0)?,
    ];
    let a = roi_align(&x, &all, [2, 2], 1.0, -1, false)?;
    let b = roi_align(&x, &list, [2, 2], 1.0, -1, false)?;
    let order = Tensor::from_slice(&[0i64, 3, 1, 2], 4)?;
    assert_eq!(
        a.value().index_select(0, &order)?.to_vec::<f64>()?,
        b.value().to_vec::<f64>()?
    );
    let none = Tensor::zeros([0, 5], DType::F64)?;
    for y in [
        roi_align(&x, &none, [2, 2], 1.0, 2, true)?,
        roi_pool(&x, &none, [2, 2], 1.0)?,
    ] {
        assert_eq!(y.dims(), [0, 4, 2, 2]);
        let grads = y.sum(.., false)?.backward()?;
        assert!(
            grads
                .get(&x)
                .unwrap()
                .to_vec::<f64>()?
                .iter()
                .all(|g| *g == 0.0)
        );
    }
    Ok(())
}

#[test]
fn nonsense_is_refused() -> Result<()> {
    let x = Var::from(numbers(&[2, 4, 5, 6], -1.0, 1.0));
    let rois = rois();
    let align = |size, scale, samples| roi_align(&x, &rois, size, scale, samples, false);
    assert!(align([0, 2], 1.0, 2).is_err());
    assert!(align([2, 2], -1.0, 2).is_err());
    assert!(align([2, 2], 1.0, i64::MAX).is_err());
    assert!(align([usize::MAX, 1], 1.0, 2).is_err());
    assert!(align([1 << 30, 1 << 30], 1.0, 2).is_err());
    assert!(roi_pool(&x, &rois, [1 << 40, 2], 1.0).is_err());
    assert!(roi_align(&x, &rois.narrow(1, 0, 4)?, [2, 2], 1.0, 2, false).is_err());
    assert!(roi_align(&x, &rois.to_dtype(DType::F32)?, [2, 2], 1.0, 2, false).is_err());
    assert!(roi_align(&x, &rois.add_scalar(2.0)?, [2, 2], 1.0, 2, false).is_err());
    assert!(ps_roi_pool(&x, &rois, [3, 1], 1.0).is_err());
    let list: Vec<Tensor> = vec![];
    assert!(roi_align(&x, &list, [2, 2], 1.0, 2, false).is_err());
    let (a, b) = (
        Var::from(numbers(&[3, 4], 0.0, 1.0)),
        Var::from(numbers(&[2, 5], 0.0, 1.0)),
    );
    assert!(box_iou(&a, &b, BoxFormat::Xyxy).is_err());
    assert!(box_iou(&a.select(0, 0)?, &a, BoxFormat::Xyxy).is_err());
    assert!(box_iou(&b, &b, BoxFormat::Xywhr).is_err());
    assert!(generalized_box_iou_loss(&a, &a.narrow(0, 0, 2)?, Reduction::Sum, 1e-7).is_err());
    assert!(generalized_box_iou_loss(&a, &a, Reduction::BatchMean, 1e-7).is_err());
    assert!(sigmoid_focal_loss(&a, &a, 1.5, 2.0, Reduction::Sum).is_err());
    assert!(sigmoid_focal_loss(&a, &b, 0.5, 2.0, Reduction::Sum).is_err());
    let weight = Var::from(numbers(&[3, 4, 2, 2], 0.0, 1.0));
    let deform = |offset: &[usize], options: &DeformConv2d| {
        deform_conv2d(&x, &Var::from(numbers(offset, 0.0, 1.0)), &weight, options)
    };
    let plain = DeformConv2d::default();
    assert!(deform(&[2, 8, 4, 5], &plain).is_ok());
    assert!(deform(&[2, 8, 4, 4], &plain).is_err());
    assert!(deform(&[2, 4, 4, 5], &plain).is_err());
    assert!(deform(&[2, 24, 4, 5], &plain).is_err());
    assert!(
        deform(
            &[2, 8, 4, 5],
            &DeformConv2d {
                stride: [0, 1],
                ..plain
            }
        )
        .is_err()
    );
    assert!(
        deform(
            &[2, 8, 4, 5],
            &DeformConv2d {
                bias: Some(&a),
                ..plain
            }
        )
        .is_err()
    );
    assert!(
        deform(
            &[2, 8, 4, 5],
            &DeformConv2d {
                mask: Some(&a),
                ..plain
            }
        )
        .is_err()
    );
    Ok(())
}
