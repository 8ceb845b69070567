//! Products of matrices.

use gradus_tensor::{DType, Tensor};
use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

use super::common::{array, case, close};

proptest! {
    #![proptest_config(super::common::config())]

    #[test]
    fn matrix_products((b, m, k, n) in (0usize..4, 0usize..9, 0usize..9, 0usize..9), seed in any::<u64>()) {
        let (p, q) = (case(&[b, m, k], seed), case(&[k, n], seed ^ 1));
        let mut expected = ArrayD::zeros(IxDyn(&[b, m, n]));
        for (mut y, x) in expected.outer_iter_mut().zip(p.a.outer_iter()) {
            let x = x.into_dimensionality::<ndarray::Ix2>().unwrap();
            y.assign(&x.dot(&q.a.view().into_dimensionality::<ndarray::Ix2>().unwrap()));
        }
        close(&p.x.matmul(&q.x).unwrap(), &expected);
        close(&p.x.linear(&q.x.t().unwrap(), None).unwrap(), &expected);
        // The same in whole numbers.
        let whole = |x: &Tensor| x.mul_scalar(10).unwrap().to_dtype(DType::I32).unwrap();
        let (x, y) = (whole(&p.x), whole(&q.x));
        let exact = x.to_dtype(DType::F64).unwrap().matmul(&y.to_dtype(DType::F64).unwrap()).unwrap();
        close(&x.matmul(&y).unwrap(), &array(&exact));
    }
}
