//! Products, normalisations, losses, convolutions, pooling, attention and optimisers.

use gradus_tensor::optim::{self, Adagrad, Adam, RmsProp, Sgd};
use gradus_tensor::{
    AttentionOptions, AvgPoolParams, ConvParams, CrossEntropyOptions, DType, FoldParams,
    Interpolate, InterpolateMode, MaxPoolParams, Reduction, Result, Tensor,
};

use crate::support::{Close, SUMS, compare, gpu, numbers, same, same_one};

#[test]
fn products() -> Result<()> {
    let (a, b, c) = (
        numbers(1, [2, 9, 12]),
        numbers(2, [2, 12, 7]),
        numbers(3, [7, 12]),
    );
    let bias = numbers(4, [7]);
    same_one("batches", SUMS, &[&a, &b], |x| x[0].matmul(&x[1]));
    same_one("a matrix for all", SUMS, &[&a, &c], |x| {
        x[0].matmul(&x[1].t()?)
    });
    same_one("vectors", SUMS, &[&a, &b], |x| {
        x[0].select(0, 0)?.select(0, 1)?.matmul(&x[1].select(0, 0)?)
    });
    same_one("linear", SUMS, &[&a, &c, &bias], |x| {
        x[0].linear(&x[1], Some(&x[2]))
    });
    same_one("addmm", SUMS, &[&a, &b, &bias], |x| {
        x[2].addmm(&x[0].select(0, 0)?, &x[1].select(0, 1)?, 2, 0.5)
    });
    Ok(())
}

#[test]
fn normalisations() -> Result<()> {
    let x = numbers(5, [4, 6, 10]);
    let (w, b) = (numbers(6, [10]), numbers(7, [10]));
    let (cw, cb) = (numbers(8, [6]), numbers(9, [6]));
    let close = Close(1e-5, 0.03);
    let gradients = |g: gradus_tensor::NormGradients| {
        [
            vec![g.dx],
            g.dweight.into_iter().collect(),
            g.dbias.into_iter().collect(),
        ]
        .concat()
    };
    same("layer_norm", close, &[&x, &w, &b], |x| {
        let y = x[0].layer_norm(&[10], Some(&x[1]), Some(&x[2]), 1e-5)?;
        let g = x[0]
            .square()?
            .layer_norm_backward(&x[0], &[10], Some(&x[1]), &y)?;
        Ok([vec![y.y, y.mean, y.rstd], gradients(g)].concat())
    });
    same("rms_norm", close, &[&x, &w], |x| {
        let y = x[0].rms_norm(&[10], Some(&x[1]), 1e-5)?;
        let g = x[0]
            .square()?
            .rms_norm_backward(&x[0], &[10], Some(&x[1]), &y)?;
        Ok([vec![y.y, y.rstd], gradients(g)].concat())
    });
    same("group_norm", close, &[&x, &cw, &cb], |x| {
        let y = x[0].group_norm(3, Some(&x[1]), Some(&x[2]), 1e-5)?;
        let g = x[0]
            .square()?
            .group_norm_backward(&x[0], 3, Some(&x[1]), &y)?;
        Ok([vec![y.y], gradients(g)].concat())
    });
    same("batch_norm", close, &[&x, &cw, &cb], |x| {
        let (mean, var) = x[0].batch_norm_stats()?;
        let rstd = var.add_scalar(1e-5)?.rsqrt()?;
        let y = x[0].batch_norm(&mean, &rstd, Some(&x[1]), Some(&x[2]))?;
        let mut all = vec![y, mean.clone(), var];
        for training in [true, false] {
            all.extend(gradients(x[0].square()?.batch_norm_backward(
                &x[0],
                &mean,
                &rstd,
                Some(&x[1]),
                training,
            )?));
        }
        Ok(all)
    });
    Ok(())
}

#[test]
fn losses() -> Result<()> {
    let (x, weight) = (numbers(10, [6, 5]), numbers(11, [5]).abs()?);
    let target = Tensor::from_slice(&[0i64, 4, -100, 2, 2, 1], 6)?;
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        for smoothing in [0.0, 0.1] {
            same(
                "cross_entropy",
                Close(1e-5, 0.03),
                &[&x, &target, &weight],
                |x| {
                    let options = CrossEntropyOptions {
                        weight: Some(x[2].clone()),
                        label_smoothing: smoothing,
                        reduction,
                        ..Default::default()
                    };
                    let y = x[0].cross_entropy(&x[1], &options)?;
                    let dy = y.loss.ones_like()?;
                    let dx = dy.cross_entropy_backward(&x[0], &x[1], &options, &y)?;
                    Ok(vec![y.loss, y.lse, dx])
                },
            );
        }
    }
    let (images, classes) = (
        numbers(12, [2, 3, 4]),
        Tensor::from_slice(&[0i64, 2, 1, 1, 0, 2, 2, 0], [2, 4])?,
    );
    same_one("of images", Close(1e-5, 0.03), &[&images, &classes], |x| {
        Ok(x[0]
            .cross_entropy(&x[1], &CrossEntropyOptions::default())?
            .loss)
    });
    Ok(())
}

#[test]
fn convolutions() -> Result<()> {
    let (x, w, b) = (
        numbers(13, [2, 4, 9, 8]),
        numbers(14, [6, 2, 3, 3]),
        numbers(15, [6]),
    );
    let params = ConvParams {
        stride: [2, 1],
        padding: [1, 1],
        dilation: [1, 2],
        groups: 2,
    };
    same("conv2d", Close(1e-5, 0.03), &[&x, &w, &b], |x| {
        let y = x[0].conv2d(&x[1], Some(&x[2]), &params)?;
        let dx = y.conv_backward_data(&x[1], &params, x[0].dims())?;
        let dw = x[0].conv_backward_weight(&y, &params, x[1].dims())?;
        let db = y.conv_backward_bias()?;
        Ok(vec![y, dx, dw, db])
    });
    let (x, w) = (numbers(16, [2, 3, 11]), numbers(17, [4, 3, 3]));
    let params = ConvParams {
        stride: [2],
        padding: [1],
        dilation: [1],
        groups: 1,
    };
    same("conv1d", Close(1e-5, 0.03), &[&x, &w], |x| {
        let y = x[0].conv1d(&x[1], None, &params)?;
        let dx = y.conv_backward_data(&x[1], &params, x[0].dims())?;
        let dw = x[0].conv_backward_weight(&y, &params, x[1].dims())?;
        let t = y.conv_transpose(&x[1], None, &params, [0])?;
        Ok(vec![y, dx, dw, t])
    });
    Ok(())
}

#[test]
fn pooling() -> Result<()> {
    let x = numbers(18, [2, 3, 9, 8]);
    let max = MaxPoolParams {
        stride: [2, 2],
        padding: [1, 1],
        ..MaxPoolParams::new([3, 3])
    };
    let avg = AvgPoolParams {
        stride: [2, 1],
        padding: [1, 0],
        count_include_pad: false,
        ..AvgPoolParams::new([3, 2])
    };
    same("pooling", Close(1e-6, 0.02), &[&x], |x| {
        let x = &x[0];
        let (y, at) = x.max_pool_with_indices(&max)?;
        let dx = y.max_pool_backward::<2>(&at, x.dims())?;
        let mean = x.avg_pool(&avg)?;
        let dmean = mean.avg_pool_backward(&avg, x.dims())?;
        let even = x.adaptive_avg_pool([2, 3])?;
        let deven = even.adaptive_avg_pool_backward::<2>(x.dims())?;
        let line = x.flatten(1, 2)?.max_pool(&MaxPoolParams::new([2]))?;
        Ok(vec![y, at, dx, mean, dmean, even, deven, line])
    });
    Ok(())
}

#[test]
fn volumes_windows_and_sizes() -> Result<()> {
    let (x, w, b) = (
        numbers(31, [2, 4, 5, 6, 7]),
        numbers(32, [6, 2, 2, 3, 2]),
        numbers(33, [6]),
    );
    let params = ConvParams::<3> {
        stride: [1, 2, 1],
        padding: [1, 0, 1],
        dilation: [1, 1, 2],
        groups: 2,
    };
    same("conv3d", SUMS, &[&x, &w, &b], |v| {
        let (x, w) = (&v[0], &v[1]);
        let y = x.conv3d(w, Some(&v[2]), &params)?;
        Ok(vec![
            y.conv_backward_data(w, &params, x.dims())?,
            x.conv_backward_weight(&y, &params, w.dims())?,
            y,
        ])
    });
    same("pool3d", SUMS, &[&x], |v| {
        let x = &v[0];
        let max = MaxPoolParams::<3> {
            padding: [1, 1, 0],
            stride: [2, 1, 2],
            ..MaxPoolParams::new([2, 3, 2])
        };
        let avg = AvgPoolParams::<3> {
            padding: [1, 1, 0],
            count_include_pad: false,
            ..AvgPoolParams::new([2, 3, 2])
        };
        let ((y, at), mean) = (x.max_pool_with_indices(&max)?, x.avg_pool(&avg)?);
        let (even, largest) = (
            x.adaptive_avg_pool([2, 3, 4])?,
            x.adaptive_max_pool([2, 3, 4])?,
        );
        let flat = x.select(2, 0)?.adaptive_max_pool([3, 2])?;
        Ok(vec![
            y.max_pool_backward::<3>(&at, x.dims())?,
            mean.avg_pool_backward(&avg, x.dims())?,
            even.adaptive_avg_pool_backward::<3>(x.dims())?,
            y,
            at,
            mean,
            even,
            largest.0,
            largest.1,
            flat.0,
            flat.1,
        ])
    });
    let image = numbers(34, [2, 3, 7, 5]);
    for mode in [
        InterpolateMode::Nearest,
        InterpolateMode::Bilinear,
        InterpolateMode::Bicubic,
        InterpolateMode::Area,
    ] {
        let options = Interpolate {
            mode,
            ..Interpolate::size([4, 11])
        };
        same("interpolate", SUMS, &[&image], |v| {
            let y = v[0].interpolate(&options)?;
            Ok(vec![y.interpolate_backward(&options, v[0].dims())?, y])
        });
    }
    let fold = FoldParams {
        dilation: [2, 1],
        padding: [1, 1],
        stride: [1, 2],
        ..FoldParams::new([2, 3])
    };
    same("windows as columns", SUMS, &[&image], |v| {
        let y = v[0].im2col(&fold)?;
        Ok(vec![y.col2im([7, 5], &fold)?, y])
    });
    same(
        "distances",
        SUMS,
        &[&numbers(35, [2, 5, 3]), &numbers(36, [4, 3])],
        |v| {
            Ok(vec![
                v[0].cdist(&v[1], 2.0)?,
                v[0].cdist(&v[1], 1.0)?,
                v[0].cdist(&v[1], f64::INFINITY)?,
            ])
        },
    );
    Ok(())
}

#[test]
fn attention() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let (q, k, v) = (
        numbers(19, [2, 4, 5, 8]),
        numbers(20, [2, 2, 6, 8]),
        numbers(21, [2, 2, 6, 8]),
    );
    // The CPU's is of f32; one row of the mask hides everything.
    let mask = Tensor::arange(0, 30, 1, DType::I64)?
        .reshape([5, 6])?
        .remainder_scalar(7)?
        .gt_scalar(2)?;
    let mask = mask.logical_and(
        &Tensor::arange(0, 5, 1, DType::I64)?
            .ne_scalar(3)?
            .unsqueeze(1)?,
    )?;
    for (causal, mask) in [(false, None), (true, None), (false, Some(mask))] {
        let run = |there: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<Vec<Tensor>> {
            let (q, k, v) = (there(&q)?, there(&k)?, there(&v)?);
            let options = AttentionOptions {
                mask: mask.as_ref().map(there).transpose()?,
                is_causal: causal,
                scale: None,
            };
            let y = q.attention(&k, &v, &options)?;
            let dy = y.y.add_scalar(0.5)?;
            let grads = dy.attention_backward([&q, &k, &v], &options, &y)?;
            Ok([vec![y.y], grads.to_vec()].concat())
        };
        let (want, got) = (run(&|x| Ok(x.clone()))?, run(&|x| x.to_device(&gpu))?);
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            compare(
                &format!(
                    "attention, causal {causal}, masked {}: result {i}",
                    mask.is_some()
                ),
                1e-5,
                got,
                want,
            );
        }
    }
    Ok(())
}

#[test]
fn optimisers() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let (p0, g) = (numbers(22, [7, 5]), numbers(23, [7, 5]));
    let run = |there: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<Vec<Tensor>> {
        let g = there(&g)?;
        let (mut p, mut v) = (there(&p0)?, there(&p0.zeros_like()?)?);
        let held = p.clone(); // somebody else holds it: it must not change
        for step in 1..=3 {
            let options = Sgd {
                lr: 0.1,
                momentum: 0.9,
                dampening: 0.0,
                weight_decay: 0.01,
                nesterov: true,
                maximize: false,
                first: step == 1,
            };
            optim::sgd(options, &mut p, &g, Some(&mut v))?;
        }
        let (mut q, mut m, mut s) = (
            there(&p0)?,
            there(&p0.zeros_like()?)?,
            there(&p0.zeros_like()?)?,
        );
        for step in 1..=3 {
            let options = Adam {
                lr: 0.1,
                betas: (0.9, 0.99),
                eps: 1e-8,
                weight_decay: 0.1,
                decoupled: true,
                maximize: false,
                step,
            };
            optim::adam(options, &mut q, &g, &mut m, &mut s, None)?;
        }
        let zero = || there(&p0.zeros_like()?);
        let (mut r, mut rs, mut rv, mut rm) = (there(&p0)?, zero()?, zero()?, zero()?);
        let (mut a, mut sum) = (there(&p0)?, zero()?);
        let (mut t, mut tm, mut ts, mut top) = (there(&p0)?, zero()?, zero()?, zero()?);
        for step in 1..=3 {
            let options = RmsProp {
                lr: 0.01,
                alpha: 0.9,
                eps: 1e-8,
                weight_decay: 0.1,
                momentum: 0.9,
                maximize: step == 2,
            };
            optim::rmsprop(options, &mut r, &g, &mut rs, Some(&mut rv), Some(&mut rm))?;
            let options = Adagrad {
                lr: 0.1,
                lr_decay: 0.1,
                weight_decay: 0.1,
                eps: 1e-10,
                maximize: false,
                step,
            };
            optim::adagrad(options, &mut a, &g, &mut sum)?;
            let options = Adam {
                lr: 0.1,
                betas: (0.9, 0.99),
                eps: 1e-8,
                weight_decay: 0.1,
                decoupled: false,
                maximize: step == 3,
                step,
            };
            let small = g.mul_scalar(1.0 / step as f64)?;
            optim::adam(options, &mut t, &small, &mut tm, &mut ts, Some(&mut top))?;
        }
        let norm = Tensor::scalar(optim::sum_of_squares(&g)?);
        let both = Tensor::scalar(optim::norm_of_all(&[&g, &p])?);
        Ok(vec![
            held, p, v, q, m, s, norm, r, rs, rv, rm, a, sum, t, tm, ts, top, both,
        ])
    };
    let (want, got) = (run(&|x| Ok(x.clone()))?, run(&|x| x.to_device(&gpu))?);
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        compare(&format!("optimisers: result {i}"), 1e-5, got, want);
    }
    Ok(())
}
