//! Elementwise operations, reductions and normalisations, in bytes each number would have to move once: `softmax_4096x1024`.
//!
//! `_alloc` makes a new tensor, as an operation of a framework does; `_out` writes to memory that is there.

use super::rand;
use crate::measure::{Step, Work, Workload};
use gradus_autograd::{Var, functional as F};
use gradus_cpu::View;
use gradus_cpu::elementwise::{BinaryOp, UnaryOp, binary, unary};
use gradus_tensor::{Error, Result, Tensor};

const N: usize = 8 << 20;

fn bytes(numbers: usize) -> Work {
    Work::Bytes(4.0 * numbers as f64)
}

/// A function of one tensor.
fn of_one(
    name: &'static str,
    shape: &'static [usize],
    moved: usize,
    f: fn(&Tensor) -> Result<Tensor>,
) -> Workload {
    Workload::new("ops", name, bytes(moved), move || {
        let x = rand(shape)?;
        Ok(Box::new(move || f(&x).map(drop)))
    })
}

/// A function of two tensors.
fn of_two(
    name: &'static str,
    shape: &'static [usize],
    moved: usize,
    f: fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Workload {
    Workload::new("ops", name, bytes(moved), move || {
        let (a, b) = (rand(shape)?, rand(shape)?);
        Ok(Box::new(move || f(&a, &b).map(drop)))
    })
}

/// The elements of a tensor made here.
fn slice(x: &Tensor) -> Result<&[f32]> {
    x.as_slice()
        .ok_or_else(|| Error::value("bench", "not a slice of f32"))
}

/// Memory to write to that begins on a cache line, as a tensor's does.
struct Output {
    room: Vec<f32>,
    skip: usize,
    len: usize,
}

impl Output {
    fn new(len: usize) -> Self {
        let room = vec![0.0; len + 16];
        let skip = room.as_ptr().align_offset(64);
        Self { room, skip, len }
    }

    fn slice(&mut self) -> &mut [f32] {
        &mut self.room[self.skip..self.skip + self.len]
    }
}

/// `y = op(x)` into memory that is there.
fn unary_out(name: &'static str, n: usize, op: UnaryOp) -> Workload {
    Workload::new("ops", name, bytes(2 * n), move || {
        let (x, mut y) = (rand(&[n])?, Output::new(n));
        let shape = [n];
        let step: Step =
            Box::new(move || Ok(unary(op, View::contiguous(slice(&x)?, &shape)?, y.slice())?));
        Ok(step)
    })
}

/// `y = a + b` into memory that is there.
fn add_out(name: &'static str, n: usize) -> Workload {
    Workload::new("ops", name, bytes(3 * n), move || {
        let (a, b, mut y) = (rand(&[n])?, rand(&[n])?, Output::new(n));
        let shape = [n];
        let step: Step = Box::new(move || {
            let a = View::contiguous(slice(&a)?, &shape)?;
            let b = View::contiguous(slice(&b)?, &shape)?;
            Ok(binary(BinaryOp::Add, a, b, y.slice())?)
        });
        Ok(step)
    })
}

fn layer_norm(x: &Tensor) -> Result<Tensor> {
    let c = x.dim(-1)?;
    let weight = Tensor::ones([c], x.dtype())?;
    let bias = Tensor::zeros([c], x.dtype())?;
    Ok(x.layer_norm(&[c], Some(&weight), Some(&bias), 1e-5)?.y)
}

/// Forward, and backward from a gradient that is given.
fn both(
    name: &'static str,
    shape: &'static [usize],
    f: fn(&Var, &[Var]) -> Result<Var>,
) -> Workload {
    let moved = 5 * shape.iter().product::<usize>();
    Workload::new("ops", name, bytes(moved), move || {
        let (x, dy) = (Var::leaf(rand(shape)?)?, rand(shape)?);
        let c = [shape[1]];
        let affine = [Var::leaf(rand(&c)?)?, Var::leaf(rand(&c)?)?];
        Ok(Box::new(move || {
            f(&x, &affine)?.backward_with(&dy).map(drop)
        }))
    })
}

pub fn all() -> Vec<Workload> {
    const S: usize = 4096 * 1024;
    const L: usize = 4096 * 768;
    const G: usize = 4096 * 3072;
    vec![
        of_two("add_8M_alloc", &[N], 3 * N, Tensor::add),
        add_out("add_8M_out", N),
        Workload::new("ops", "add_8M_inplace", bytes(3 * N), || {
            let (mut a, b) = (Some(rand(&[N])?), rand(&[N])?);
            Ok(Box::new(move || {
                a = a.take().map(|a| a.add_(&b)).transpose()?;
                Ok(())
            }))
        }),
        unary_out("relu_8M_out", N, UnaryOp::Relu),
        of_one("relu_8M_alloc", &[N], 2 * N, Tensor::relu),
        unary_out("exp_8M_out", N, UnaryOp::Exp),
        unary_out("tanh_8M_out", N, UnaryOp::Tanh),
        of_one("gelu_8M_alloc", &[N], 2 * N, Tensor::gelu),
        of_one("gelutanh_8M_alloc", &[N], 2 * N, Tensor::gelu_tanh),
        of_two("chain_mul_add_relu_8M", &[N], 3 * N, |a, b| {
            Tensor::fused(&[a, b], |x| (x[0] * x[1] + x[0]).relu())
        }),
        of_one("sum_8M", &[N], N, |x| x.sum(.., false)),
        of_one("sum_dim1_4096x1024", &[4096, 1024], S, |x| x.sum(1, false)),
        of_one("sum_dim0_4096x1024", &[4096, 1024], S, |x| x.sum(0, false)),
        of_one("argmax_dim1_4096x1024", &[4096, 1024], S, |x| {
            x.argmax(1, false)
        }),
        of_one("softmax_4096x1024", &[4096, 1024], 2 * S, |x| x.softmax(-1)),
        of_one("logsoftmax_4096x1024", &[4096, 1024], 2 * S, |x| {
            x.log_softmax(-1)
        }),
        of_one("layernorm_4096x768", &[4096, 768], 2 * L, layer_norm),
        of_one(
            "gelutanh_4096x3072",
            &[4096, 3072],
            2 * G,
            Tensor::gelu_tanh,
        ),
        of_one("transpose_copy_4096x1024", &[4096, 1024], 2 * S, |x| {
            x.t()?.contiguous()
        }),
        add_out("add_64K_out", 1 << 16),
        unary_out("exp_64K_out", 1 << 16, UnaryOp::Exp),
        of_one(
            "softmax_12x128x128",
            &[12, 128, 128],
            2 * 12 * 128 * 128,
            |x| x.softmax(-1),
        ),
        of_one("layernorm_128x768", &[128, 768], 2 * 128 * 768, layer_norm),
        of_one(
            "gelutanh_128x3072",
            &[128, 3072],
            2 * 128 * 3072,
            Tensor::gelu_tanh,
        ),
        both("softmax_fb_4096x1024", &[4096, 1024], |x, _| x.softmax(-1)),
        both("layernorm_fb_4096x768", &[4096, 768], |x, affine| {
            F::layer_norm(x, &[768], Some(&affine[0]), Some(&affine[1]), 1e-5)
        }),
    ]
}
