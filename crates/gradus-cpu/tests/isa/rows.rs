//! Softmax, losses, normalisation and optimisers: kernels over whole rows.
use crate::common::{Placed, number, same_bits};
use gradus_cpu::loss::{CrossEntropy, Reduction, cross_entropy, cross_entropy_backward};
use gradus_cpu::norm::{
    Affine, Gradients, batch_norm, batch_norm_backward, batch_norm_stats, group_norm,
    group_norm_backward, layer_norm, layer_norm_backward, rms_norm, rms_norm_backward,
};
use gradus_cpu::optim::{Adagrad, Adam, RmsProp, Sgd, adagrad, adam, rmsprop, sgd};
use gradus_cpu::softmax::{log_softmax, log_softmax_backward, softmax, softmax_backward};
use gradus_cpu::{Element, FloatElement, bf16, f16};

fn softmaxes<T: FloatElement>() {
    same_bits(&format!("softmax {}", T::NAME), |n, offset| {
        let shape = [3, n];
        let x = Placed::<T>::new(3 * n, offset, number);
        let dy = Placed::<T>::new(3 * n, 3 * offset, |i| number(i + 50));
        let mut all = Vec::new();
        for axis in [1, 0] {
            let [mut y, mut dx] = [(); 2].map(|()| Placed::<T>::output(3 * n, 5 * offset));
            softmax(x.view(&shape), axis, y.get_mut()).unwrap();
            softmax_backward(dy.view(&shape), y.view(&shape), axis, dx.get_mut()).unwrap();
            all.extend([y.bits(), dx.bits()].concat());
            log_softmax(x.view(&shape), axis, y.get_mut()).unwrap();
            log_softmax_backward(dy.view(&shape), y.view(&shape), axis, dx.get_mut()).unwrap();
            all.extend([y.bits(), dx.bits()].concat());
        }
        all
    });
}

fn losses<T: FloatElement>() {
    same_bits(&format!("cross-entropy {}", T::NAME), |n, offset| {
        let (shape, classes) = ([4, n + 1], n + 1);
        let x = Placed::<T>::new(4 * classes, offset, number);
        let weight = Placed::<T>::new(classes, 3 * offset, |i| number(i % 7 + 500));
        let target = [0, n as i64, -100, n as i64 / 2];
        let mut all = Vec::new();
        for (weight, label_smoothing, reduction) in [
            (None, 0.0, Reduction::Mean),
            (Some(weight.get()), 0.1, Reduction::None),
            (None, 0.3, Reduction::Sum),
        ] {
            let options = CrossEntropy {
                weight,
                label_smoothing,
                reduction,
                ..CrossEntropy::default()
            };
            let outputs = if reduction == Reduction::None { 4 } else { 1 };
            let mut y = Placed::<T>::output(outputs, offset);
            let mut lse = Placed::<T::Compute>::output(4, offset);
            let mut dx = Placed::<T>::output(4 * classes, 5 * offset);
            let view = x.view(&shape);
            let total = cross_entropy(view, &target, &options, y.get_mut(), lse.get_mut()).unwrap();
            let dy = vec![T::from_f64(1.5); outputs];
            cross_entropy_backward(&dy, view, &target, &options, lse.get(), total, dx.get_mut())
                .unwrap();
            all.extend([y.bits(), lse.bits(), dx.bits(), vec![total.to_bits()]].concat());
        }
        all
    });
}

/// What a normalisation reads and writes, for an input of `len` elements, `params` weights and `stats` statistics.
struct Norm<T: FloatElement> {
    x: Placed<T>,
    dy: Placed<T>,
    weight: Placed<T>,
    bias: Placed<T>,
    y: Placed<T>,
    mean: Placed<T::Compute>,
    rstd: Placed<T::Compute>,
    dx: Placed<T>,
    dweight: Placed<T>,
    dbias: Placed<T>,
}

impl<T: FloatElement> Norm<T> {
    fn new(len: usize, params: usize, stats: usize, offset: usize) -> Self {
        Self {
            x: Placed::new(len, offset, number),
            dy: Placed::new(len, 3 * offset, |i| number(i + 50)),
            weight: Placed::new(params, 7 * offset, |i| number(i + 100)),
            bias: Placed::new(params, offset, |i| number(i + 150)),
            y: Placed::output(len, 5 * offset),
            mean: Placed::output(stats, offset),
            rstd: Placed::output(stats, offset),
            dx: Placed::output(len, 5 * offset),
            dweight: Placed::output(params, 3 * offset),
            dbias: Placed::output(params, 9 * offset),
        }
    }

    fn bits(&self) -> Vec<u64> {
        let Self {
            y,
            dx,
            dweight,
            dbias,
            mean,
            rstd,
            ..
        } = self;
        let outputs = [y, dx, dweight, dbias].map(Placed::bits).concat();
        [outputs, mean.bits(), rstd.bits()].concat()
    }
}

/// The parameters of a [`Norm`]; as the next one a macro, because a method would borrow all of it.
macro_rules! affine {
    ($norm:ident) => {
        Affine {
            weight: Some($norm.weight.get()),
            bias: Some($norm.bias.get()),
        }
    };
}

/// The parts of a [`Norm`] that a gradient is written to.
macro_rules! gradients {
    ($norm:ident) => {
        Gradients {
            dx: $norm.dx.get_mut(),
            dweight: Some($norm.dweight.get_mut()),
            dbias: Some($norm.dbias.get_mut()),
        }
    };
}

fn layer_norms<T: FloatElement>() {
    let eps = 1e-5;
    same_bits(&format!("layer_norm {}", T::NAME), |n, offset| {
        let mut k = Norm::<T>::new(3 * n, n, 3, offset);
        let shape = [3, n];
        let affine = affine!(k);
        let (y, mean, rstd) = (k.y.get_mut(), k.mean.get_mut(), k.rstd.get_mut());
        if layer_norm(k.x.view(&shape), n, affine, eps, y, mean, rstd).is_err() {
            return vec![0xBAD]; // rows of nothing
        }
        let (weight, mean, rstd) = (Some(k.weight.get()), k.mean.get(), k.rstd.get());
        let (dy, x) = (k.dy.view(&shape), k.x.view(&shape));
        layer_norm_backward(dy, x, n, weight, mean, rstd, gradients!(k)).unwrap();
        k.bits()
    });
    same_bits(&format!("rms_norm {}", T::NAME), |n, offset| {
        let mut k = Norm::<T>::new(3 * n, n, 3, offset);
        let shape = [3, n];
        let (y, rstd) = (k.y.get_mut(), k.rstd.get_mut());
        if rms_norm(k.x.view(&shape), n, Some(k.weight.get()), eps, y, rstd).is_err() {
            return vec![0xBAD];
        }
        let (weight, rstd) = (Some(k.weight.get()), k.rstd.get());
        let (dy, x) = (k.dy.view(&shape), k.x.view(&shape));
        rms_norm_backward(dy, x, n, weight, rstd, gradients!(k)).unwrap();
        k.bits()
    });
}

fn group_norms<T: FloatElement>() {
    same_bits(&format!("group_norm {}", T::NAME), |n, offset| {
        let mut k = Norm::<T>::new(2 * 4 * n, 4, 2 * 2, offset);
        let shape = [2, 4, n];
        let affine = affine!(k);
        let (y, mean, rstd) = (k.y.get_mut(), k.mean.get_mut(), k.rstd.get_mut());
        group_norm(k.x.view(&shape), 2, affine, 1e-5, y, mean, rstd).unwrap();
        let (weight, mean, rstd) = (Some(k.weight.get()), k.mean.get(), k.rstd.get());
        let (dy, x) = (k.dy.view(&shape), k.x.view(&shape));
        group_norm_backward(dy, x, 2, weight, mean, rstd, gradients!(k)).unwrap();
        k.bits()
    });
}

/// Over planes of n elements, and over n channels of one.
fn batch_norms<T: FloatElement>() {
    same_bits(&format!("batch_norm {}", T::NAME), |n, offset| {
        let mut all = Vec::new();
        for (shape, c) in [([3, 2, n], 2), ([3, n, 1], n)] {
            let mut k = Norm::<T>::new(shape.iter().product(), c, c, offset);
            let (mean, var) = (k.mean.get_mut(), k.rstd.get_mut());
            batch_norm_stats(k.x.view(&shape), mean, var).unwrap();
            for x in k.rstd.get_mut() {
                let rstd = 1.0 / (Element::cast::<f64>(*x) + 1e-5).sqrt();
                *x = Element::from_f64(rstd);
            }
            let affine = affine!(k);
            let (mean, rstd) = (k.mean.get(), k.rstd.get());
            batch_norm(k.x.view(&shape), mean, rstd, affine, k.y.get_mut()).unwrap();
            for training in [true, false] {
                let (weight, mean, rstd) = (Some(k.weight.get()), k.mean.get(), k.rstd.get());
                let (dy, x) = (k.dy.view(&shape), k.x.view(&shape));
                let out = gradients!(k);
                batch_norm_backward(dy, x, mean, rstd, weight, training, out).unwrap();
                all.extend(k.bits());
            }
        }
        all
    });
}

/// `f32` and `f64` have optimisers; half-precision parameters have a copy in `f32`.
macro_rules! optimisers {
    ($t:ident) => {
        same_bits(concat!("optimisers ", stringify!($t)), |n, offset| {
            let grad = Placed::<$t>::new(n, offset, number);
            let state = |k: usize| Placed::<$t>::new(n, k * offset, |i| number::<$t>(i + k).abs());
            let mut all = Vec::new();
            let rule = Sgd {
                lr: 0.1,
                momentum: 0.0,
                dampening: 0.1,
                weight_decay: 0.01,
                nesterov: true,
                maximize: false,
                first: false,
            };
            let [mut p, mut v, mut s, mut a] = [3, 5, 7, 9].map(state);
            sgd(rule, p.get_mut(), grad.get(), None).unwrap();
            let rule = Sgd {
                momentum: 0.9,
                ..rule
            };
            sgd(rule, p.get_mut(), grad.get(), Some(v.get_mut())).unwrap();
            all.extend([p.bits(), v.bits()].concat());
            let rule = Adam {
                lr: 0.05,
                betas: (0.9, 0.99),
                eps: 1e-8,
                weight_decay: 0.1,
                decoupled: true,
                maximize: true,
                step: 3,
            };
            let g = grad.get();
            adam(rule, p.get_mut(), g, v.get_mut(), s.get_mut(), None).unwrap();
            let max = Some(a.get_mut());
            adam(rule, p.get_mut(), g, v.get_mut(), s.get_mut(), max).unwrap();
            all.extend([&p, &v, &s, &a].map(Placed::bits).concat());
            let rule = RmsProp {
                lr: 0.02,
                alpha: 0.9,
                eps: 1e-8,
                weight_decay: 0.01,
                momentum: 0.0,
                maximize: false,
            };
            let [mut p, mut v, mut s, mut a] = [3, 5, 7, 9].map(state);
            rmsprop(rule, p.get_mut(), g, s.get_mut(), None, None).unwrap();
            let average = Some(a.get_mut());
            rmsprop(rule, p.get_mut(), g, s.get_mut(), None, average).unwrap();
            let rule = RmsProp {
                momentum: 0.9,
                ..rule
            };
            rmsprop(rule, p.get_mut(), g, s.get_mut(), Some(v.get_mut()), None).unwrap();
            let (velocity, average) = (Some(v.get_mut()), Some(a.get_mut()));
            rmsprop(rule, p.get_mut(), g, s.get_mut(), velocity, average).unwrap();
            all.extend([&p, &v, &s, &a].map(Placed::bits).concat());
            let rule = Adagrad {
                lr: 0.1,
                lr_decay: 0.01,
                weight_decay: 0.01,
                eps: 1e-10,
                maximize: false,
                step: 4,
            };
            adagrad(rule, p.get_mut(), g, s.get_mut()).unwrap();
            all.extend([p.bits(), s.bits()].concat());
            all
        });
    };
}

#[test]
fn softmax_and_its_gradients() {
    softmaxes::<f32>();
    softmaxes::<f64>();
    softmaxes::<f16>();
    softmaxes::<bf16>();
}

#[test]
fn cross_entropy_and_its_gradient() {
    losses::<f32>();
    losses::<f64>();
    losses::<bf16>();
}

#[test]
fn normalisations_and_their_gradients() {
    fn all<T: FloatElement>() {
        layer_norms::<T>();
        group_norms::<T>();
        batch_norms::<T>();
    }
    all::<f32>();
    all::<f64>();
    all::<f16>();
    all::<bf16>();
}

#[test]
fn optimiser_steps() {
    optimisers!(f32);
    optimisers!(f64);
}
