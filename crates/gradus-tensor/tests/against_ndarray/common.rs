//! Operands that lie oddly in memory, the same values in an `ndarray`, and what counts as equal.

use gradus_tensor::{DType, Tensor};
use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

/// 256 cases of each test.
pub fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    }
}

/// A tensor with odd strides and the same values in an `ndarray`.
#[derive(Clone, Debug)]
pub struct Case {
    pub x: Tensor,
    pub a: ArrayD<f64>,
}

pub fn array(x: &Tensor) -> ArrayD<f64> {
    ArrayD::from_shape_vec(
        IxDyn(x.dims()),
        x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap(),
    )
    .unwrap()
}

/// Values of `shape` with a layout drawn from `seed`.
pub fn case(shape: &[usize], seed: u64) -> Case {
    let rank = shape.len();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % n
    };
    // A base tensor twice as long in each dimension, its dimensions in another order, then cut down to the shape.
    let mut order: Vec<usize> = (0..rank).collect();
    for i in (1..rank).rev() {
        order.swap(i, draw(i as u64 + 1) as usize);
    }
    let base: Vec<usize> = order.iter().map(|&d| shape[d] * 2 + 1).collect();
    let values: Vec<f64> = (0..base.iter().product::<usize>())
        .map(|_| draw(4001) as f64 / 500.0 - 4.0)
        .collect();
    let mut x = Tensor::from_vec(values, base).unwrap();
    let back: Vec<isize> = (0..rank)
        .map(|d| order.iter().position(|&o| o == d).unwrap() as isize)
        .collect();
    x = x.permute(&back).unwrap();
    for d in 0..rank {
        let n = shape[d] as i64;
        let dim = d as isize;
        x = match draw(5) {
            // One of them repeated by stride 0.
            4 if n > 0 => x.narrow(dim, n, 1).and_then(|x| {
                let mut sizes = x.dims().to_vec();
                sizes[d] = shape[d];
                x.broadcast_to(sizes)
            }),
            0 => x.slice(dim, 0, 2 * n, 2),
            1 => x.slice(dim, n, n + n, 1),
            2 => x.slice(dim, 0, n, 1).and_then(|x| x.flip(dim)),
            _ => x.slice(dim, 1, n + 1, 1),
        }
        .unwrap();
    }
    assert_eq!(x.dims(), shape);
    Case { a: array(&x), x }
}

prop_compose! {
    pub fn any_case()(shape in prop::collection::vec(0usize..5, 0..6), seed in any::<u64>()) -> Case {
        case(&shape, seed)
    }
}

prop_compose! {
    /// Two operands that broadcast: sizes of the second are those of the first or 1, leading ones may be missing.
    pub fn any_pair()(
        shape in prop::collection::vec(0usize..5, 0..6),
        ones in any::<u8>(),
        missing in 0usize..3,
        seed in any::<u64>(),
    ) -> (Case, Case) {
        let a: Vec<usize> = shape.iter().enumerate().map(|(i, &d)| if ones >> i & 1 == 1 { 1 } else { d }).collect();
        let b: Vec<usize> = shape.iter().enumerate().map(|(i, &d)| if ones >> i & 3 == 2 { 1 } else { d }).collect();
        let b = b[missing.min(b.len())..].to_vec();
        (case(&a, seed), case(&b, seed ^ 0xABCD))
    }
}

/// Equal shapes and values to 1e-12 relative, NaN equal to NaN.
pub fn close(x: &Tensor, a: &ArrayD<f64>) {
    assert_eq!(x.dims(), a.shape());
    let xs = x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
    for (x, a) in xs.iter().zip(a.iter()) {
        assert!(
            (x - a).abs() <= 1e-12 * a.abs().max(1.0) || x == a || (x.is_nan() && a.is_nan()),
            "{x} is not {a}"
        );
    }
}
