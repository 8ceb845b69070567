//! Optimisers over several parameters at once, and clipping.

use gradus_cpu::optim as cpu;
use gradus_cuda::Buffer;
use gradus_cuda::ops::optim::{
    self, Adam, Kept, Sgd, Step, adam, clip_gradients, gradient_norm, sgd,
};

use crate::standin::{device, orders};
use crate::support::{Numbers, close};

/// Small, odd, of several chunks, and empty.
const SIZES: [usize; 4] = [1, 1000, 70_001, 0];

#[test]
fn adam_over_all_parameters() {
    orders(|device| {
        for (decoupled, maximize) in [(true, false), (false, true)] {
            let mut numbers = Numbers::new(15);
            let grads = SIZES.map(|n| numbers.floats::<f32>(n, 1.0));
            let mut want =
                SIZES.map(|n| [numbers.floats::<f32>(n, 1.0), vec![0.0; n], vec![0.0; n]]);
            let mut on_device: Vec<[Buffer<f32>; 3]> = want
                .iter()
                .map(|s| [0, 1, 2].map(|i| device.upload(&s[i]).unwrap()))
                .collect();
            let grads_d = grads.each_ref().map(|g| device.upload(g).unwrap());
            let mut kept = Kept::default();
            for step in 1..4 {
                let (lr, betas, eps, weight_decay) = (0.01, (0.9, 0.99), 1e-8, 0.1);
                for ([p, m, v], g) in want.iter_mut().zip(&grads) {
                    let options = cpu::Adam {
                        lr,
                        betas,
                        eps,
                        weight_decay,
                        decoupled,
                        maximize,
                        step,
                    };
                    cpu::adam(options, p, g, m, v, None).unwrap();
                }
                let mut steps: Vec<Step<'_>> = on_device
                    .iter_mut()
                    .zip(&grads_d)
                    .map(|([p, m, v], gradient)| Step {
                        parameter: p,
                        gradient,
                        first: Some(m),
                        second: Some(v),
                        third: None,
                    })
                    .collect();
                adam(
                    Adam {
                        lr,
                        betas,
                        eps,
                        weight_decay,
                        decoupled,
                        maximize,
                        step,
                    },
                    &mut steps,
                    &mut kept,
                )
                .unwrap();
            }
            for (got, want) in on_device.iter().zip(&want) {
                for (got, want) in got.iter().zip(want) {
                    close("adam", &got.download().unwrap(), want, 16.0, 0.1);
                }
            }
        }
    });
}

#[test]
fn sgd_over_all_parameters() {
    orders(|device| {
        for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
            let mut numbers = Numbers::new(16);
            let grads = SIZES.map(|n| numbers.floats::<f32>(n, 1.0));
            let mut want = SIZES.map(|n| [numbers.floats::<f32>(n, 1.0), vec![0.0; n]]);
            let mut on_device: Vec<[Buffer<f32>; 2]> = want
                .iter()
                .map(|s| [0, 1].map(|i| device.upload(&s[i]).unwrap()))
                .collect();
            let grads_d = grads.each_ref().map(|g| device.upload(g).unwrap());
            let mut kept = Kept::default();
            for step in 0..3 {
                let (lr, dampening, weight_decay, first) = (0.1, 0.0, 0.01, step == 0);
                let with = momentum != 0.0;
                for ([p, v], g) in want.iter_mut().zip(&grads) {
                    let options = cpu::Sgd {
                        lr,
                        momentum,
                        dampening,
                        weight_decay,
                        nesterov,
                        maximize: false,
                        first,
                    };
                    cpu::sgd(options, p, g, with.then_some(&mut v[..])).unwrap();
                }
                let mut steps: Vec<Step<'_>> = on_device
                    .iter_mut()
                    .zip(&grads_d)
                    .map(|([p, v], gradient)| Step {
                        parameter: p,
                        gradient,
                        first: with.then_some(v),
                        second: None,
                        third: None,
                    })
                    .collect();
                let options = Sgd {
                    lr,
                    momentum,
                    dampening,
                    weight_decay,
                    nesterov,
                    maximize: false,
                    first,
                };
                sgd(options, &mut steps, &mut kept).unwrap();
            }
            for (got, want) in on_device.iter().zip(&want) {
                close("sgd", &got[0].download().unwrap(), &want[0], 16.0, 0.1);
            }
        }
    });
}

/// AMSGrad, RMSprop and Adagrad, each with all the state it can have.
#[test]
fn other_rules_over_all_parameters() {
    orders(|device| {
        let mut numbers = Numbers::new(17);
        let grads = SIZES.map(|n| numbers.floats::<f32>(n, 1.0));
        let grads_d = grads.each_ref().map(|g| device.upload(g).unwrap());
        let first = SIZES.map(|n| {
            [
                numbers.floats::<f32>(n, 1.0),
                vec![0.0; n],
                vec![0.0; n],
                vec![0.0; n],
            ]
        });
        let (lr, eps, weight_decay) = (0.01, 1e-8, 0.1);
        for (rule, name) in ["amsgrad", "rmsprop", "adagrad"].into_iter().enumerate() {
            let mut want = first.clone();
            let mut on_device: Vec<[Buffer<f32>; 4]> = want
                .iter()
                .map(|s| s.each_ref().map(|x| device.upload(x).unwrap()))
                .collect();
            let mut kept = Kept::default();
            for step in 1..4 {
                let maximize = step == 2;
                let (betas, alpha, momentum) = ((0.9, 0.99), 0.9, 0.9);
                for ([p, a, b, c], g) in want.iter_mut().zip(&grads) {
                    match rule {
                        0 => {
                            let decoupled = false;
                            let o = cpu::Adam {
                                lr,
                                betas,
                                eps,
                                weight_decay,
                                decoupled,
                                maximize,
                                step,
                            };
                            cpu::adam(o, p, g, a, b, Some(c)).unwrap();
                        }
                        1 => {
                            let o = cpu::RmsProp {
                                lr,
                                alpha,
                                eps,
                                weight_decay,
                                momentum,
                                maximize,
                            };
                            cpu::rmsprop(o, p, g, a, Some(b), Some(c)).unwrap();
                        }
                        _ => {
                            let o = cpu::Adagrad {
                                lr,
                                lr_decay: 0.0,
                                weight_decay,
                                eps,
                                maximize,
                                step,
                            };
                            cpu::adagrad(o, p, g, a).unwrap();
                        }
                    }
                }
                let mut steps: Vec<Step<'_>> = on_device
                    .iter_mut()
                    .zip(&grads_d)
                    .map(|([p, a, b, c], g)| Step {
                        first: Some(a),
                        second: Some(b),
                        third: Some(c),
                        ..Step::new(p, g)
                    })
                    .collect();
                let (steps, kept) = (&mut steps[..], &mut kept);
                match rule {
                    0 => {
                        let decoupled = false;
                        let o = Adam {
                            lr,
                            betas,
                            eps,
                            weight_decay,
                            decoupled,
                            maximize,
                            step,
                        };
                        adam(o, steps, kept).unwrap();
                    }
                    1 => {
                        let o = optim::RmsProp {
                            lr,
                            alpha,
                            eps,
                            weight_decay,
                            momentum,
                            maximize,
                        };
                        optim::rmsprop(o, steps, kept).unwrap();
                    }
                    _ => {
                        let o = optim::Adagrad {
                            lr,
                            weight_decay,
                            eps,
                            maximize,
                        };
                        optim::adagrad(o, steps, kept).unwrap();
                    }
                }
            }
            for (got, want) in on_device.iter().zip(&want) {
                for (i, (got, want)) in got.iter().zip(want).enumerate() {
                    close(
                        &format!("{name}: {i}"),
                        &got.download().unwrap(),
                        want,
                        32.0,
                        0.1,
                    );
                }
            }
        }
    });
}

#[test]
fn clipping_by_the_norm_of_all() {
    orders(|device| {
        let mut numbers = Numbers::new(17);
        let grads = SIZES.map(|n| numbers.floats::<f32>(n, 1.0));
        let norm = grads
            .iter()
            .map(|g| cpu::sum_of_squares(g))
            .sum::<f64>()
            .sqrt();
        let mut on_device = grads.each_ref().map(|g| device.upload(g).unwrap());
        let got = gradient_norm(&on_device.each_ref())
            .unwrap()
            .download()
            .unwrap()[0];
        assert!(
            (f64::from(got) / norm - 1.0).abs() < 1e-6,
            "{got}, expected {norm}"
        );
        for most in [1e9, 2.0] {
            let mut all: Vec<&mut Buffer<f32>> = on_device.iter_mut().collect();
            clip_gradients(&mut all, most).unwrap();
            let scale = (f64::from(most) / (norm + 1e-6)).min(1.0) as f32;
            for (got, want) in on_device.iter().zip(&grads) {
                let want: Vec<f32> = want.iter().map(|g| g * scale).collect();
                close("clipped", &got.download().unwrap(), &want, 8.0, 1e-4);
            }
        }
    });
}

#[test]
fn steps_that_do_not_fit_are_errors() {
    let Some(device) = device() else { return };
    let (mut p, g) = (
        device.zeros::<f32>(3).unwrap(),
        device.zeros::<f32>(2).unwrap(),
    );
    let options = Adam {
        lr: 0.1,
        betas: (0.9, 0.999),
        eps: 1e-8,
        weight_decay: 0.0,
        decoupled: true,
        maximize: false,
        step: 1,
    };
    assert!(
        adam(
            options,
            &mut [Step {
                parameter: &mut p,
                gradient: &g,
                first: None,
                second: None,
                third: None,
            }],
            &mut Kept::default(),
        )
        .is_err()
    );
    let g = device.zeros::<f32>(3).unwrap();
    assert!(
        adam(
            options,
            &mut [Step {
                parameter: &mut p,
                gradient: &g,
                first: None,
                second: None,
                third: None,
            }],
            &mut Kept::default(),
        )
        .is_err()
    );
    assert!(adam(options, &mut [], &mut Kept::default()).is_ok());
    assert!(gradient_norm(&[]).is_err());
}
