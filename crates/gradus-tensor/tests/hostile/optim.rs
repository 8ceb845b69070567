//! Steps of optimisers: rates and decays beyond reason, gradients and state of other shapes and dtypes.

use gradus_tensor::{Tensor, optim};

use crate::draw::Draw;
use crate::look::look;
use crate::table::Op;

/// A parameter, its gradient and three tensors of state, alike most of the time.
fn optimised(g: &Draw) -> [Tensor; 5] {
    let p = g.float();
    let other = || {
        if g.odds(93) {
            g.of(p.dtype(), p.dims())
        } else {
            g.like(&p)
        }
    };
    let (a, b, c, d) = (other(), other(), other(), other());
    [p, a, b, c, d]
}

fn steps(g: &Draw) -> u64 {
    g.int() as u64
}

pub fn ops() -> Vec<Op> {
    vec![
        Op {
            name: "sum_of_squares",
            call: |g| look(optim::sum_of_squares(&g.x())),
        },
        Op {
            name: "norm_of_all",
            call: |g| look(optim::norm_of_all(&[&g.x(), &g.float()])),
        },
        Op {
            name: "clip_norm_of_all",
            call: |g| {
                let (mut a, mut b) = (g.x(), g.float());
                let norm = optim::clip_norm_of_all(&mut [&mut a, &mut b], g.real());
                look(norm.map(|norm| (norm, a, b)))
            },
        },
        Op {
            name: "step_all",
            call: |g| {
                let [mut p, dp, mut a, mut b, mut c] = optimised(g);
                let rule = optim::Rule::RmsProp(optim::RmsProp {
                    lr: g.real(),
                    alpha: g.real(),
                    eps: g.real(),
                    weight_decay: g.real(),
                    momentum: g.real(),
                    maximize: g.flag(),
                });
                let state = [Some(&mut a), Some(&mut b), Some(&mut c)];
                let state = state.map(|s| s.filter(|_| g.odds(80)));
                let (param, grad) = (&mut p, &dp);
                let mut steps = [optim::Step { param, grad, state }];
                let kept = &mut optim::Kept::default();
                look(optim::step_all(&rule, &mut steps, kept).map(|()| p))
            },
        },
        Op {
            name: "sgd",
            call: |g| {
                let [mut p, dp, mut v, ..] = optimised(g);
                let options = optim::Sgd {
                    lr: g.real(),
                    momentum: g.real(),
                    dampening: g.real(),
                    weight_decay: g.real(),
                    nesterov: g.flag(),
                    maximize: g.flag(),
                    first: g.flag(),
                };
                look(optim::sgd(options, &mut p, &dp, g.flag().then_some(&mut v)).map(|()| (p, v)))
            },
        },
        Op {
            name: "adam",
            call: |g| {
                let [mut p, dp, mut a, mut b, mut c] = optimised(g);
                let options = optim::Adam {
                    lr: g.real(),
                    betas: (g.real(), g.real()),
                    eps: g.real(),
                    weight_decay: g.real(),
                    decoupled: g.flag(),
                    maximize: g.flag(),
                    step: steps(g),
                };
                let max = g.flag().then_some(&mut c);
                look(optim::adam(options, &mut p, &dp, &mut a, &mut b, max).map(|()| (p, a, b)))
            },
        },
        Op {
            name: "rmsprop",
            call: |g| {
                let [mut p, dp, mut a, mut b, mut c] = optimised(g);
                let options = optim::RmsProp {
                    lr: g.real(),
                    alpha: g.real(),
                    eps: g.real(),
                    weight_decay: g.real(),
                    momentum: g.real(),
                    maximize: g.flag(),
                };
                let (velocity, average) = (g.flag().then_some(&mut b), g.flag().then_some(&mut c));
                look(
                    optim::rmsprop(options, &mut p, &dp, &mut a, velocity, average)
                        .map(|()| (p, a)),
                )
            },
        },
        Op {
            name: "adagrad",
            call: |g| {
                let [mut p, dp, mut a, ..] = optimised(g);
                let options = optim::Adagrad {
                    lr: g.real(),
                    lr_decay: g.real(),
                    weight_decay: g.real(),
                    eps: g.real(),
                    maximize: g.flag(),
                    step: steps(g),
                };
                look(optim::adagrad(options, &mut p, &dp, &mut a).map(|()| (p, a)))
            },
        },
    ]
}
