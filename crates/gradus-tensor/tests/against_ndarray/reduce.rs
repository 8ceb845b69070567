//! Reductions over one dimension and over several.

use gradus_tensor::{Dims, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};
use proptest::prelude::*;

use super::common::{any_case, close};

proptest! {
    #![proptest_config(super::common::config())]

    #[test]
    fn reductions_over_one_dimension(c in any_case(), which in any::<usize>(), keepdim in any::<bool>()) {
        prop_assume!(c.x.rank() > 0);
        let d = which % c.x.rank();
        let n = c.x.dims()[d];
        let dim = if keepdim { d as isize } else { d as isize - c.x.rank() as isize };
        let check = |y: Tensor, a: ArrayD<f64>| close(&y, &if keepdim { a.insert_axis(Axis(d)) } else { a });
        let fold = |start: f64, f: fn(f64, f64) -> f64| c.a.map_axis(Axis(d), |row| row.iter().fold(start, |s, &x| f(s, x)));
        check(c.x.sum(dim, keepdim).unwrap(), fold(0.0, |a, b| a + b));
        check(c.x.prod(dim, keepdim).unwrap(), fold(1.0, |a, b| a * b));
        check(c.x.nansum(dim, keepdim).unwrap(), fold(0.0, |a, b| a + b));
        check(c.x.mean(dim, keepdim).unwrap(), fold(0.0, |a, b| a + b) / n as f64);
        check(c.x.all(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| f64::from(u8::from(r.iter().all(|&x| x != 0.0)))));
        check(c.x.any(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| f64::from(u8::from(r.iter().any(|&x| x != 0.0)))));
        check(c.x.norm(2.0, dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| r.iter().map(|x| x * x).sum::<f64>().sqrt()));
        check(c.x.norm(3.0, dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| r.iter().map(|x| x.abs().powi(3)).sum::<f64>().cbrt()));
        if n > 0 {
            check(c.x.amax(dim, keepdim).unwrap(), fold(f64::NEG_INFINITY, f64::max));
            check(c.x.amin(dim, keepdim).unwrap(), fold(f64::INFINITY, f64::min));
            check(c.x.logsumexp(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| r.iter().map(|x| x.exp()).sum::<f64>().ln()));
            let (values, indices) = c.x.max(dim, true).unwrap();
            prop_assert!(c.x.gather(d as isize, &indices).unwrap().equal(&values).unwrap());
            check(c.x.argmax(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| {
                r.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (i, &x)| if x > best.1 { (i, x) } else { best }).0 as f64
            }));
            check(c.x.argmin(dim, keepdim).unwrap(), c.a.map_axis(Axis(d), |r| {
                r.iter().enumerate().fold((0, f64::INFINITY), |best, (i, &x)| if x < best.1 { (i, x) } else { best }).0 as f64
            }));
            check(c.x.median_dim(dim, keepdim).unwrap().0, c.a.map_axis(Axis(d), |r| {
                let mut v = r.to_vec();
                v.sort_by(f64::total_cmp);
                v[(n - 1) / 2]
            }));
        }
        if n > 1 {
            check(c.x.var(dim, 1.0, keepdim).unwrap(), c.a.var_axis(Axis(d), 1.0));
            check(c.x.std(dim, 0.0, keepdim).unwrap(), c.a.std_axis(Axis(d), 0.0));
        }
    }

    #[test]
    fn reductions_over_many(c in any_case(), mask in any::<u8>()) {
        let dims: Vec<isize> = (0..c.x.rank()).filter(|d| mask >> d & 1 == 1).map(|d| d as isize).collect();
        let mut a = c.a.clone();
        let all = dims.is_empty();
        for d in (0..c.x.rank()).rev().filter(|d| all || mask >> d & 1 == 1) {
            a = a.sum_axis(Axis(d));
        }
        close(&c.x.sum(Dims::List(dims), false).unwrap(), &a);
        close(&c.x.count_nonzero(..).unwrap(), &ArrayD::from_elem(IxDyn(&[]), c.a.iter().filter(|x| **x != 0.0).count() as f64));
    }
}
