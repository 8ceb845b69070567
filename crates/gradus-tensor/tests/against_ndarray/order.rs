//! Scans and sorting.

use ndarray::{Axis, Slice};
use proptest::prelude::*;

use super::common::{any_case, close};

proptest! {
    #![proptest_config(super::common::config())]

    #[test]
    fn scans_and_order(c in any_case(), which in any::<usize>()) {
        prop_assume!(c.x.rank() > 0);
        let d = which % c.x.rank();
        let dim = d as isize;
        let scan = |start: f64, f: fn(f64, f64) -> f64| {
            let mut a = c.a.clone();
            a.lanes_mut(Axis(d)).into_iter().for_each(|mut lane| {
                let mut s = start;
                lane.iter_mut().for_each(|x| { s = f(s, *x); *x = s; });
            });
            a
        };
        close(&c.x.cumsum(dim).unwrap(), &scan(0.0, |a, b| a + b));
        close(&c.x.cumprod(dim).unwrap(), &scan(1.0, |a, b| a * b));
        close(&c.x.cummax(dim).unwrap().0, &scan(f64::NEG_INFINITY, f64::max));
        close(&c.x.cummin(dim).unwrap().0, &scan(f64::INFINITY, f64::min));
        let mut sorted = c.a.clone();
        sorted.lanes_mut(Axis(d)).into_iter().for_each(|mut lane| {
            let mut v = lane.to_vec();
            v.sort_by(f64::total_cmp);
            lane.iter_mut().zip(v).for_each(|(x, v)| *x = v);
        });
        let (values, indices) = c.x.sort(dim, false).unwrap();
        close(&values, &sorted);
        prop_assert!(c.x.gather(dim, &indices).unwrap().equal(&values).unwrap());
        let k = c.x.dims()[d] / 2;
        let (top, _) = c.x.topk(k, dim, true).unwrap();
        close(&top, &sorted.slice_axis(Axis(d), Slice::from((c.x.dims()[d] - k) as isize..)).slice_axis(Axis(d), Slice::new(0, None, -1)).to_owned());
    }
}
