//! Rust's other matrix products on gradus-bench's shapes: the crate `gemm` (candle's), or `matrixmultiply` with PEER=matrixmultiply.

use gradus_peer::{Bench, Work};
use std::convert::Infallible;

const SHAPES: [(&str, usize, usize, usize, bool, bool); 17] = [
    ("sq64", 64, 64, 64, false, false),
    ("sq128", 128, 128, 128, false, false),
    ("sq256", 256, 256, 256, false, false),
    ("sq512", 512, 512, 512, false, false),
    ("sq1024", 1024, 1024, 1024, false, false),
    ("sq2048", 2048, 2048, 2048, false, false),
    ("sq512_TN", 512, 512, 512, true, false),
    ("sq512_NT", 512, 512, 512, false, true),
    ("sq1024_TN", 1024, 1024, 1024, true, false),
    ("sq1024_NT", 1024, 1024, 1024, false, true),
    ("proj128x768x768_NT", 128, 768, 768, false, true),
    ("mlp128x768x3072_NT", 128, 3072, 768, false, true),
    ("mlp128x3072x768_NT", 128, 768, 3072, false, true),
    ("wgrad768x3072x1024_TN", 768, 3072, 1024, true, false),
    ("gemv1x768x50257_NT", 1, 50257, 768, false, true),
    ("gemv1x768x3072_NT", 1, 3072, 768, false, true),
    ("lmhead64x768x50257_NT", 64, 50257, 768, false, true),
];

fn main() {
    let is_matrixmultiply = std::env::var("PEER").is_ok_and(|peer| peer == "matrixmultiply");
    let bench = Bench::new(if is_matrixmultiply { "matrixmultiply" } else { "gemm" });
    let threads = bench.threads;
    for (name, m, n, k, ta, tb) in SHAPES {
        bench.run(("gemm", "gemm"), name, Work::Flops(2.0 * (m * n * k) as f64), || {
            let numbers = |n: usize| -> Vec<f32> { (0..n).map(|i| (i * 7919 % 10007) as f32 / 10007.0).collect() };
            let (a, b, mut c) = (numbers(m * k), numbers(k * n), numbers(m * n));
            // Row and column strides.
            let (ar, ac) = if ta { (1, m as isize) } else { (k as isize, 1) };
            let (br, bc) = if tb { (1, k as isize) } else { (n as isize, 1) };
            Ok(move || -> Result<(), Infallible> {
                let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
                let row = n as isize;
                // SAFETY: the three matrices lie inside their vectors, with these strides.
                unsafe {
                    if is_matrixmultiply {
                        matrixmultiply::sgemm(m, k, n, 1.0, a, ar, ac, b, br, bc, 0.0, c, row, 1);
                    } else {
                        let threads = gemm::Parallelism::Rayon(threads);
                        gemm::gemm(m, n, k, c, 1, row, false, a, ac, ar, b, bc, br, 0.0, 1.0, false, false, false, threads);
                    }
                }
                Ok(())
            })
        });
    }
}
