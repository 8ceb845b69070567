//! Interpolation, sampling, windows and regions as tensors: every float dtype, and arguments that must be refused quickly.

use gradus_tensor::*;

fn numbers(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let x = (0..n)
        .map(|i| ((i + 1) as f64 * 0.618_033_988_749_895).fract())
        .collect();
    Tensor::from_vec(x, shape).unwrap()
}

const MODES: [InterpolateMode; 8] = [
    InterpolateMode::Nearest,
    InterpolateMode::NearestExact,
    InterpolateMode::Linear,
    InterpolateMode::Bilinear,
    InterpolateMode::Trilinear,
    InterpolateMode::Bicubic,
    InterpolateMode::Lanczos,
    InterpolateMode::Area,
];

#[test]
fn sixteen_bits_are_computed_in_f32() -> Result<()> {
    let (x, grid) = (
        numbers(&[1, 2, 5, 6]),
        numbers(&[1, 3, 3, 2]).mul_scalar(1.6)?.sub_scalar(0.8)?,
    );
    let rois = Tensor::from_slice(&[0.0, 1.0, 1.0, 4.0, 3.0], [1, 5])?;
    let by = Interpolate {
        mode: InterpolateMode::Bicubic,
        ..Interpolate::size([7, 4])
    };
    let mode = RoiMode::Align {
        aligned: true,
        sampling_ratio: 0,
        position_sensitive: false,
    };
    let params = RoiParams {
        mode,
        output_size: [2, 2],
        spatial_scale: 1.0,
    };
    let all = |dtype| -> Result<Vec<Tensor>> {
        let (x, grid, rois) = (
            x.to_dtype(dtype)?,
            grid.to_dtype(dtype)?,
            rois.to_dtype(dtype)?,
        );
        Ok(vec![
            x.interpolate(&by)?,
            x.interpolate(&by)?
                .interpolate_backward(&by, &[1, 2, 5, 6])?,
            x.grid_sample(&grid, &GridSampleParams::default())?,
            x.im2col(&FoldParams::new([2, 3]))?,
            x.roi_mean(&rois, &params)?,
            x.roi_max(&rois, [2, 2], 1.0)?.0,
        ])
    };
    let exact = all(DType::F64)?;
    for (dtype, error) in [(DType::F32, 1e-5), (DType::F16, 3e-3), (DType::BF16, 3e-2)] {
        for (got, want) in all(dtype)?.iter().zip(&exact) {
            assert_eq!(got.dtype(), dtype);
            let apart = got
                .to_dtype(DType::F64)?
                .sub(want)?
                .abs()?
                .amax(.., false)?
                .to_f64()?;
            assert!(apart < error, "{dtype} {apart}");
        }
    }
    Ok(())
}

/// Options that contradict each other, the rank, or themselves.
#[test]
fn interpolations_that_cannot_be() {
    let x = numbers(&[1, 2, 4, 4]);
    let size = |s: &[usize]| Interpolate::size(s);
    let by = |s: &[f64]| Interpolate::scale_factor(s);
    let linear = |o: Interpolate| Interpolate {
        mode: InterpolateMode::Bilinear,
        ..o
    };
    let bad = [
        Interpolate::default(),
        Interpolate {
            scale_factor: Some(vec![2.0]),
            ..size(&[3, 3])
        },
        Interpolate {
            recompute_scale_factor: true,
            ..size(&[3, 3])
        },
        Interpolate {
            align_corners: Some(false),
            ..size(&[3, 3])
        },
        Interpolate {
            antialias: true,
            ..size(&[3, 3])
        },
        Interpolate {
            mode: InterpolateMode::Lanczos,
            ..size(&[3, 3])
        },
        Interpolate {
            mode: InterpolateMode::Linear,
            ..size(&[3])
        },
        Interpolate {
            mode: InterpolateMode::Trilinear,
            ..size(&[3])
        },
        size(&[]),
        size(&[3, 3, 3]),
        size(&[0, 3]),
        by(&[]),
        by(&[1.0, 1.0, 1.0]),
        by(&[-1.0]),
        by(&[0.1]),
        by(&[f64::NAN]),
        by(&[f64::INFINITY]),
        by(&[1e300]),
        linear(size(&[usize::MAX, 1])),
        linear(size(&[1 << 40, 1 << 40])),
        linear(by(&[1e12])),
    ];
    for options in bad {
        assert!(x.interpolate(&options).is_err(), "{options:?}");
        assert!(
            x.interpolate_backward(&options, &[1, 2, 4, 4]).is_err(),
            "{options:?}"
        );
    }
    for mode in MODES {
        let options = Interpolate { mode, ..size(&[2]) };
        for shape in [
            vec![],
            vec![3],
            vec![2, 3],
            vec![1, 2, 0, 3],
            vec![1, 0, 2, 3],
            vec![1; 6],
        ] {
            assert!(
                Tensor::zeros(&shape[..], DType::F32)
                    .unwrap()
                    .interpolate(&options)
                    .is_err()
            );
        }
        // No samples: nothing to do, however large.
        let none = Tensor::zeros([0, 2, 4, 4], DType::F32).unwrap();
        let vast = Interpolate {
            mode,
            ..size(&[1 << 20, 1 << 20])
        };
        if let Ok(y) = none.interpolate(&vast) {
            assert_eq!(y.dims(), [0, 2, 1 << 20, 1 << 20]);
        }
    }
    assert!(
        Tensor::zeros([1, 1, 2, 2], DType::I64)
            .unwrap()
            .interpolate(&size(&[2]))
            .is_err()
    );
    // Of another shape than the output.
    assert!(
        x.interpolate_backward(&size(&[4, 5]), &[1, 2, 4, 4])
            .is_err()
    );
}

#[test]
fn samples_and_windows_that_cannot_be() {
    let x = numbers(&[2, 2, 4, 4]);
    let params = GridSampleParams::default();
    for shape in [
        &[2, 3, 3, 3][..],
        &[1, 3, 3, 2],
        &[2, 3, 2],
        &[2, 3, 3, 3, 3],
        &[],
    ] {
        assert!(
            x.grid_sample(&numbers(shape), &params).is_err(),
            "{shape:?}"
        );
    }
    let grid = numbers(&[2, 3, 3, 2]);
    assert!(
        x.grid_sample(&grid.to_dtype(DType::F32).unwrap(), &params)
            .is_err()
    );
    assert!(
        x.grid_sample_backward_input(&grid, &params, &[2, 2, 4, 4])
            .is_err()
    );
    assert!(x.grid_sample_backward_grid(&x, &grid, &params).is_err());
    assert!(numbers(&[2, 2, 0, 4]).grid_sample(&grid, &params).is_err());
    let plain = FoldParams::new([2, 2]);
    let odd = [
        FoldParams::new([0, 1]),
        FoldParams::new([5, 1]),
        FoldParams::new([usize::MAX, usize::MAX]),
        FoldParams {
            stride: [0, 1],
            ..plain
        },
        FoldParams {
            dilation: [1, 0],
            ..plain
        },
        FoldParams {
            dilation: [usize::MAX, 1],
            ..plain
        },
        FoldParams {
            padding: [usize::MAX, 1],
            ..plain
        },
        FoldParams {
            padding: [1 << 45, 1 << 45],
            ..plain
        },
    ];
    for params in odd {
        assert!(x.im2col(&params).is_err(), "{params:?}");
        assert!(
            numbers(&[1, 8, 9]).col2im([4, 4], &params).is_err(),
            "{params:?}"
        );
    }
    assert!(numbers(&[4, 4]).im2col(&plain).is_err());
    assert!(numbers(&[2, 0, 4, 4]).im2col(&plain).is_err());
    for (shape, size) in [
        ([1, 8, 8], [4, 4]),
        ([1, 7, 9], [4, 4]),
        ([1, 8, 9], [4, 5]),
        ([1, 0, 9], [4, 4]),
    ] {
        assert!(numbers(&shape).col2im(size, &plain).is_err(), "{shape:?}");
    }
    assert_eq!(
        numbers(&[0, 2, 4, 4]).im2col(&plain).unwrap().dims(),
        [0, 8, 9]
    );
}
