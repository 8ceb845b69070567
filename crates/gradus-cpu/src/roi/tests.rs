//! The means against samples taken one by one, the gradient against the transpose, hostile regions.

use super::*;
use crate::gemm::tests::{assert_close, numbers};

fn align(
    aligned: bool,
    sampling_ratio: usize,
    output_size: [usize; 2],
    spatial_scale: f64,
) -> RoiParams {
    let mode = RoiMode::Align {
        aligned,
        sampling_ratio,
        position_sensitive: false,
    };
    RoiParams {
        mode,
        output_size,
        spatial_scale,
    }
}

/// torchvision's loops: every sample of every bin.
fn reference(x: &[f64], shape: [usize; 4], rois: &[[f64; 5]], p: &RoiParams) -> Vec<f64> {
    let RoiMode::Align {
        aligned,
        sampling_ratio,
        position_sensitive,
    } = p.mode
    else {
        return vec![];
    };
    let [_, channels, h, w] = shape;
    let [ph, pw] = p.output_size;
    let outputs = if position_sensitive {
        channels / (ph * pw)
    } else {
        channels
    };
    let shift = if aligned || position_sensitive {
        0.5
    } else {
        0.0
    };
    let mut y = Vec::new();
    for r in rois {
        let at: Vec<f64> = r[1..].iter().map(|v| v * p.spatial_scale - shift).collect();
        let (mut rw, mut rh) = (at[2] - at[0], at[3] - at[1]);
        if !aligned && !position_sensitive {
            (rw, rh) = (rw.max(1.0), rh.max(1.0));
        }
        let (bh, bw) = (rh / ph as f64, rw / pw as f64);
        let grid = |b: f64| {
            if sampling_ratio > 0 {
                sampling_ratio
            } else {
                b.ceil() as usize
            }
        };
        let (gh, gw) = (grid(bh), grid(bw));
        for i in 0..outputs * ph * pw {
            let (c, by, bx) = (i / (ph * pw), i / pw % ph, i % pw);
            let channel = if position_sensitive { i } else { c };
            let plane = &x[(r[0] as usize * channels + channel) * h * w..][..h * w];
            let mut sum = 0.0;
            for sy in 0..gh {
                let py = at[1] + by as f64 * bh + (sy as f64 + 0.5) * bh / gh as f64;
                for sx in 0..gw {
                    let px = at[0] + bx as f64 * bw + (sx as f64 + 0.5) * bw / gw as f64;
                    if py < -1.0 || py > h as f64 || px < -1.0 || px > w as f64 {
                        continue;
                    }
                    let clamp = |v: f64, n: usize| v.clamp(0.0, n as f64 - 1.0);
                    let (py, px) = (clamp(py, h), clamp(px, w));
                    let (y0, x0) = (py as usize, px as usize);
                    let (y1, x1) = ((y0 + 1).min(h - 1), (x0 + 1).min(w - 1));
                    let (ty, tx) = (py - y0 as f64, px - x0 as f64);
                    sum += (1.0 - ty) * ((1.0 - tx) * plane[y0 * w + x0] + tx * plane[y0 * w + x1])
                        + ty * ((1.0 - tx) * plane[y1 * w + x0] + tx * plane[y1 * w + x1]);
                }
            }
            y.push(sum / (gh * gw).max(1) as f64);
        }
    }
    y
}

/// Regions inside, outside, empty and turned around.
fn regions() -> Vec<[f64; 5]> {
    vec![
        [0.0, 1.2, 0.7, 5.1, 4.4],
        [1.0, -3.0, -2.5, 12.0, 9.0],
        [1.0, 2.0, 2.0, 2.0, 2.0],
        [0.0, 5.0, 4.0, 1.0, 2.0],
        [1.0, 6.9, 5.9, 7.0, 6.0],
        [0.0, -9.0, -9.0, -5.0, -5.0],
    ]
}

#[test]
fn means_are_their_samples_and_the_gradient_is_the_transpose() {
    let shape = [2, 12, 6, 7];
    let x: Vec<f64> = numbers(shape.iter().product(), 1);
    let (rois, flat) = (regions(), regions().concat());
    let rois_shape = [rois.len(), 5];
    for k in 0..64 {
        let mut params = align(
            k & 1 > 0,
            [0, 1, 2, 3][k / 2 % 4],
            [[1, 1], [3, 2], [2, 2], [1, 4]][k / 8 % 4],
            [1.0, 0.6][k / 32],
        );
        for sensitive in [false, true] {
            if sensitive {
                let RoiMode::Align { sampling_ratio, .. } = params.mode else {
                    continue;
                };
                params.mode = RoiMode::Align {
                    aligned: false,
                    sampling_ratio,
                    position_sensitive: true,
                };
            }
            let want = reference(&x, shape, &rois, &params);
            let mut y = vec![f64::NAN; want.len()];
            let rois = View::contiguous(&flat, &rois_shape).unwrap();
            let xv = View::contiguous(&x, &shape).unwrap();
            let shape_y = params.output_shape(&shape, &rois_shape).unwrap();
            assert_eq!(shape_y.iter().product::<usize>(), want.len());
            roi_mean(xv, rois, &params, &mut y).unwrap();
            assert_close(&y, &want, 64, &format!("{params:?}"));
            let dy: Vec<f64> = numbers(y.len(), 2);
            let mut dx = vec![f64::NAN; x.len()];
            roi_mean_backward(
                View::contiguous(&dy, &shape_y).unwrap(),
                rois,
                &params,
                &shape,
                &mut dx,
            )
            .unwrap();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-10, "{params:?}");
        }
    }
}

#[test]
fn pools_of_whole_elements() {
    let x: Vec<f32> = (0..32).map(|i| i as f32).collect(); // 2 channels of 4 x 4
    let xv = View::contiguous(&x, &[1, 2, 4, 4]).unwrap();
    let roi = [0.0f32, 1.0, 0.0, 2.0, 3.0];
    let rois = View::contiguous(&roi, &[1, 5]).unwrap();
    let (mut y, mut at) = ([0.0; 4], [0; 4]);
    roi_max(xv, rois, [2, 1], 1.0, &mut y, &mut at).unwrap();
    assert_eq!((y, at), ([6.0, 14.0, 22.0, 30.0], [6, 14, 22, 30]));
    let outside = [0.0f32, 50.0, 50.0, 60.0, 60.0];
    roi_max(
        xv,
        View::contiguous(&outside, &[1, 5]).unwrap(),
        [2, 1],
        1.0,
        &mut y,
        &mut at,
    )
    .unwrap();
    assert_eq!((y, at), ([0.0; 4], [-1; 4]));
    // Two bins, a channel each: rows 0 and 1 of the first, rows 1 and 2 (never the last) of the second.
    let params = RoiParams {
        mode: RoiMode::PositionSensitivePool,
        output_size: [2, 1],
        spatial_scale: 1.0,
    };
    let mut y = [0.0; 2];
    roi_mean(xv, rois, &params, &mut y).unwrap();
    assert_eq!(y, [3.0, 23.0]);
}

#[test]
fn hostile_regions_end() {
    let x = [1.0f64; 12];
    let xv = View::contiguous(&x, &[1, 1, 3, 4]).unwrap();
    let far = [0.0, -1e300, -1e18, 1e300, 1e18];
    let odd = [
        far,
        [0.0, f64::NEG_INFINITY, 0.0, f64::INFINITY, 2.0],
        [0.0, f64::NAN, 0.0, 1.0, f64::NAN],
        [0.0, -1e9, -1e9, 1e9, 1e9],
    ];
    for roi in odd {
        let rois = View::contiguous(&roi, &[1, 5]).unwrap();
        for aligned in [false, true] {
            let mut y = [f64::NAN; 4];
            roi_mean(xv, rois, &align(aligned, 0, [2, 2], 1.0), &mut y).unwrap();
            assert!(y.iter().all(|y| (0.0..=1.0).contains(y)), "{roi:?} {y:?}");
            roi_max(xv, rois, [2, 2], 1.0, &mut y, &mut [0; 4]).unwrap();
        }
    }
    let mut y = [0.0; 4];
    for sample in [-1.0, 1.0, f64::NAN] {
        let roi = [sample, 0.0, 0.0, 1.0, 1.0];
        let rois = View::contiguous(&roi, &[1, 5]).unwrap();
        assert!(roi_mean(xv, rois, &align(false, 0, [2, 2], 1.0), &mut y).is_err());
    }
    let rois = View::contiguous(&far, &[1, 5]).unwrap();
    for bad in [
        align(false, usize::MAX, [2, 2], 1.0),
        align(false, 0, [0, 2], 1.0),
        align(false, 0, [2, 2], -1.0),
        align(false, 0, [2, 2], f64::NAN),
        align(false, 0, [usize::MAX, usize::MAX], 1.0),
    ] {
        assert!(roi_mean(xv, rois, &bad, &mut y).is_err(), "{bad:?}");
        assert!(bad.output_shape(&[1, 1, 3, 4], &[1, 5]).is_err());
    }
}
