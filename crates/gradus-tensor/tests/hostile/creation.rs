//! Making tensors: sizes whose product overflows, steps of 0 and NaN, absurd counts.

use gradus_tensor::random::Rng;
use gradus_tensor::{Shape, Tensor};

use crate::draw::Draw;
use crate::look::look;
use crate::table::{Op, op};

fn shape(g: &Draw) -> Shape {
    Shape::from(g.sizes())
}

fn rng() -> Rng {
    Rng::new(1)
}

pub fn ops() -> Vec<Op> {
    vec![
        Op {
            name: "from_vec",
            call: |g| look(Tensor::from_vec(vec![1u8; g.below(7)], shape(g))),
        },
        Op {
            name: "from_slice",
            call: |g| look(Tensor::from_slice(&[1i64, 2, 3, 4][..g.below(5)], shape(g))),
        },
        Op {
            name: "scalar",
            call: |g| look(Ok(Tensor::scalar(g.real()))),
        },
        op!(g => Tensor::scalar_of(g.scalar(), g.dtype())),
        op!(g => Tensor::zeros(shape(g), g.dtype())),
        op!(g => Tensor::ones(shape(g), g.dtype())),
        op!(g => Tensor::full(shape(g), g.scalar(), g.dtype())),
        op!(g, x: g.vast() => zeros_like()),
        op!(g, x: g.vast() => ones_like()),
        op!(g, x: g.vast() => full_like(g.scalar())),
        op!(g => Tensor::arange(g.scalar(), g.scalar(), g.scalar(), g.dtype())),
        op!(g => Tensor::linspace(g.scalar(), g.scalar(), g.size(), g.dtype())),
        op!(g => Tensor::eye(g.size(), g.dtype())),
        op!(g => Tensor::eye_rect(g.size(), g.size(), g.dtype())),
        op!(g => Tensor::rand(shape(g), g.dtype(), &mut rng())),
        op!(g => Tensor::uniform(g.real(), g.real(), shape(g), g.dtype(), &mut rng())),
        op!(g => Tensor::randn(shape(g), g.dtype(), &mut rng())),
        op!(g => Tensor::normal(g.real(), g.real(), shape(g), g.dtype(), &mut rng())),
        op!(g => Tensor::randint(g.int(), g.int(), shape(g), g.dtype(), &mut rng())),
        op!(g => Tensor::bernoulli(g.real(), shape(g), g.dtype(), &mut rng())),
        op!(g => Tensor::randperm(g.size(), &mut rng())),
        op!(g, x: g.float().abs().unwrap_or_else(|_| g.float()) => multinomial(g.size(), g.flag(), &mut rng())),
    ]
}
