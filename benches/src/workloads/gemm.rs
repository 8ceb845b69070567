//! Bare matrix products into an existing output, over the shapes of the peers' scripts: `sq512`.
//!
//! A suffix says how the operands lie: `TN` has A stored (K, M), `NT` has B stored (N, K), as the weight of a linear layer.

use super::gemm_shapes::{SHAPES, Shape};
use super::rand;
use crate::measure::{Step, Work, Workload};
use gradus_cpu::View;
use gradus_cpu::gemm::{Epilogue, matmul};
use gradus_tensor::{DType, Result, Tensor};

pub fn all(dtype: DType) -> Vec<Workload> {
    SHAPES
        .into_iter()
        .map(|shape| {
            let (name, batch, m, n, k, ..) = shape;
            let flops = Work::Flops(2.0 * (batch * m * n * k) as f64);
            let mut workload = Workload::new("gemm", name, flops, move || match dtype {
                DType::F32 => single(shape),
                dtype => half(shape, dtype),
            });
            workload.suite = "gemm";
            workload
        })
        .collect()
}

/// The kernel, into memory that is there.
fn single(shape: Shape) -> Result<Step> {
    let (_, batch, m, n, k, ta, tb) = shape;
    // Numbers in [0, 1) that do not repeat soon.
    let numbers = |n: usize| -> Vec<f32> {
        let number = |i: usize| (i * 7919 % 10007) as f32 / 10007.0;
        (0..n).map(number).collect()
    };
    let (a, b) = (numbers(batch * m * k), numbers(batch * k * n));
    let mut c = numbers(batch * m * n);
    // Strides of (batch, row, column).
    let strides = |rows: usize, cols: usize, transposed: bool| {
        let size = (rows * cols) as isize;
        if transposed {
            [size, 1, rows as isize]
        } else {
            [size, cols as isize, 1]
        }
    };
    let (sa, sb) = (strides(m, k, ta), strides(k, n, tb));
    Ok(Box::new(move || {
        let (shape_a, shape_b) = ([batch, m, k], [batch, k, n]);
        let x = View::new(&a, 0, &shape_a, &sa)?;
        let y = View::new(&b, 0, &shape_b, &sb)?;
        Ok(matmul(x, y, &Epilogue::default(), &mut c)?)
    }))
}

/// Tensors of 16 bits a number.
fn half(shape: Shape, dtype: DType) -> Result<Step> {
    let (_, batch, m, n, k, ta, tb) = shape;
    let operand = |rows: usize, cols: usize, transposed: bool| -> Result<Tensor> {
        let (rows, cols) = if transposed {
            (cols, rows)
        } else {
            (rows, cols)
        };
        let x = rand(&[batch, rows, cols])?.to_dtype(dtype)?;
        let x = if transposed { x.transpose(-2, -1)? } else { x };
        if batch == 1 { x.squeeze(0) } else { Ok(x) }
    };
    let (a, b) = (operand(m, k, ta)?, operand(k, n, tb)?);
    Ok(Box::new(move || a.matmul(&b).map(drop)))
}
