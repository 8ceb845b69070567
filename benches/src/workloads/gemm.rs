//! Bare matrix products into an existing output, over the shapes of the peers' scripts: `sq512`.
//!
//! A suffix says how the operands lie: `TN` has A stored (K, M), `NT` has B stored (N, K), as the weight of a linear layer.

use super::rand;
use crate::measure::{Step, Work, Workload};
use gradus_cpu::View;
use gradus_cpu::gemm::{Epilogue, matmul};
use gradus_tensor::{DType, Result, Tensor};

/// Name, batch, M, N, K, A transposed, B transposed.
type Shape = (&'static str, usize, usize, usize, usize, bool, bool);

const SHAPES: [Shape; 19] = [
    ("sq64", 1, 64, 64, 64, false, false),
    ("sq128", 1, 128, 128, 128, false, false),
    ("sq256", 1, 256, 256, 256, false, false),
    ("sq512", 1, 512, 512, 512, false, false),
    ("sq1024", 1, 1024, 1024, 1024, false, false),
    ("sq2048", 1, 2048, 2048, 2048, false, false),
    ("sq512_TN", 1, 512, 512, 512, true, false),
    ("sq512_NT", 1, 512, 512, 512, false, true),
    ("sq1024_TN", 1, 1024, 1024, 1024, true, false),
    ("sq1024_NT", 1, 1024, 1024, 1024, false, true),
    ("proj128x768x768_NT", 1, 128, 768, 768, false, true),
    ("mlp128x768x3072_NT", 1, 128, 3072, 768, false, true),
    ("mlp128x3072x768_NT", 1, 128, 768, 3072, false, true),
    ("wgrad768x3072x1024_TN", 1, 768, 3072, 1024, true, false),
    ("qk_b12_512x512x64_NT", 12, 512, 512, 64, false, true),
    ("av_b12_512x64x512", 12, 512, 64, 512, false, false),
    ("gemv1x768x50257_NT", 1, 1, 50257, 768, false, true),
    ("gemv1x768x3072_NT", 1, 1, 3072, 768, false, true),
    ("lmhead64x768x50257_NT", 1, 64, 50257, 768, false, true),
];

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
