//! A kernel written once, run on every instruction set of this machine: the softmax of a row.
//!
//!     cargo run --release -p gradus-simd --example softmax
//!
//! Shapes: a row has V logits; softmax(x) = e^(x - max x) / Σ e^(x - max x).

use std::time::Instant;

use gradus_simd::{Float, FloatVec, Isa, Kernel, available, current, dispatch_on, math, slices};

/// `y = softmax(x)`.
struct Softmax<'a, T>(&'a [T], &'a mut [T]);

impl<T: Float> Kernel for Softmax<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self(x, y) = self; // (V), (V)
        let max = slices::fold::<S, T>(isa, x, -T::INFINITY, FloatVec::max, T::maximum);
        let max = T::V::<S>::splat(isa, max);
        slices::map::<S, T>(
            isa,
            x,
            y,
            #[inline(always)]
            |x| math::exp::<S, T>(isa, x - max),
        );
        let sum = slices::fold::<S, T>(isa, y, T::ZERO, |a, b| a + b, |a, b| a + b);
        let scale = T::V::<S>::splat(isa, T::ONE / sum);
        slices::map_in_place::<S, T>(isa, y, |y| y * scale);
    }
}

fn main() {
    let vocabulary = 50_257; // GPT-2's V
    let logits: Vec<f32> = (0..vocabulary)
        .map(|i| ((i * 7919) % 1000) as f32 / 100.0)
        .collect();
    println!(
        "softmax of {vocabulary} logits; dispatch() would use {}",
        current()
    );
    let mut first: Option<Vec<f32>> = None;
    for &isa in available() {
        let mut y = vec![0.0; vocabulary];
        let start = Instant::now();
        for _ in 0..10 {
            dispatch_on(isa, Softmax(&logits, &mut y)).expect("listed as available");
        }
        let time = start.elapsed().as_secs_f64() / 10.0;
        let sum: f64 = y.iter().map(|&y| f64::from(y)).sum();
        let first = first.get_or_insert_with(|| y.clone());
        let largest = y
            .iter()
            .zip(first)
            .map(|(a, b)| ((a - *b) / *b).abs())
            .fold(0.0, f32::max);
        println!(
            "{isa:>7}: {:8.1} µs   sum {sum:.7}   differs from scalar by {largest:.1e} at most",
            time * 1e6
        );
    }
}
