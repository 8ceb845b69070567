//! What this machine can do at most, measured: the FMA peak and the memory bandwidth every
//! benchmark is held against. Not a model of the machine: two loops that do nothing else.
//!
//! The idea is Williams, Waterman and Patterson, "Roofline" (2009): a kernel is bounded by
//! arithmetic or by memory, and the better of its two shares tells how far it is from the bound.

use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch};
use std::hint::black_box;
use std::time::Instant;

/// The two bounds of a machine, for a number of threads working together.
#[derive(Clone, Copy, Debug)]
pub struct Roofline {
    /// Fused multiply-adds in f32, counted as two operations each, per second.
    pub flops: f64,
    /// Bytes per second of a triad (two arrays read, one written) far larger than the caches.
    pub bytes: f64,
}

/// Measures both bounds with `threads` threads at once; takes about two seconds.
pub fn measure(threads: usize) -> Roofline {
    // Each worker reports its own rate, so that setting up its arrays does not count.
    let best = |work: fn() -> f64| {
        let round = || -> f64 {
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                workers.into_iter().map(|w| w.join().unwrap_or(0.0)).sum()
            })
        };
        (0..5).map(|_| round()).fold(0.0, f64::max)
    };
    Roofline {
        flops: best(|| dispatch(FmaLoop { rounds: 2_000_000 })),
        bytes: best(triad),
    }
}

/// Sixteen independent chains of fused multiply-adds, enough to hide their latency.
struct FmaLoop {
    rounds: usize,
}

impl Kernel for FmaLoop {
    /// Operations per second.
    type Output = f64;

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> f64 {
        const CHAINS: usize = 16;
        let splat = |x| <f32 as Float>::V::<S>::splat(isa, x);
        let (a, b) = (splat(black_box(0.999_999)), splat(black_box(1e-6)));
        let mut acc = [splat(1.0); CHAINS];
        let start = Instant::now();
        for _ in 0..self.rounds {
            for x in &mut acc {
                *x = x.mul_add(a, b);
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        black_box(acc.into_iter().fold(splat(0.0), |s, x| s + x).reduce_sum());
        (2 * CHAINS * <f32 as Float>::V::<S>::LANES * self.rounds) as f64 / seconds
    }
}

/// `z = x + 2 y` over 3 x 64 MiB; bytes that have to move per second.
fn triad() -> f64 {
    const N: usize = 16 << 20;
    const ROUNDS: usize = 3;
    let (x, y, mut z) = (vec![1.0_f32; N], vec![2.0_f32; N], vec![3.0_f32; N]);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        for ((z, x), y) in z.iter_mut().zip(&x).zip(&y) {
            *z = x + 2.0 * y;
        }
        black_box(&mut z);
    }
    (3 * size_of::<f32>() * N * ROUNDS) as f64 / start.elapsed().as_secs_f64()
}
