//! Products.

use super::sample::Case;

fn matmul(a: &[usize], b: &[usize]) -> Case {
    Case::new("matmul", &[(a, -2.0, 2.0), (b, -2.0, 2.0)], |v| {
        v[0].matmul(&v[1])
    })
}

pub fn cases() -> Vec<Case> {
    vec![
        matmul(&[2, 3], &[3, 4]),
        matmul(&[3], &[3]),
        matmul(&[3], &[3, 2]),
        matmul(&[2, 3], &[3]),
        matmul(&[3], &[2, 3, 2]),
        matmul(&[2, 2, 3], &[3]),
        matmul(&[2, 2, 3], &[3, 2]),
        matmul(&[2, 3], &[2, 3, 2]),
        matmul(&[2, 1, 2, 3], &[3, 3, 2]),
        matmul(&[0, 3], &[3, 2]),
        matmul(&[2, 0], &[0, 3]),
        matmul(&[2, 0, 3], &[3, 2]),
    ]
}
