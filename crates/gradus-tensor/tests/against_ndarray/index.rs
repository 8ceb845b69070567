//! Reading and writing by position.

use gradus_tensor::{DType, Tensor};
use ndarray::{ArrayD, Dimension, IxDyn};
use proptest::prelude::*;

use super::common::{any_case, case, close};

proptest! {
    #![proptest_config(super::common::config())]

    #[test]
    fn scatter_undoes_gather(c in any_case(), which in any::<usize>(), seed in any::<u64>()) {
        prop_assume!(c.x.rank() > 0 && c.x.numel() > 0);
        let d = which % c.x.rank();
        let dim = d as isize;
        let index = case(c.x.dims(), seed).x.abs().unwrap().mul_scalar(1000).unwrap().to_dtype(DType::I64).unwrap()
            .remainder_scalar(c.x.dims()[d]).unwrap();
        let gathered = c.x.gather(dim, &index).unwrap();
        let mut expected = c.a.clone();
        let at = index.to_vec::<i64>().unwrap();
        let flat: Vec<Vec<usize>> = ndarray::indices(c.a.raw_dim()).into_iter().map(|i| i.slice().to_vec()).collect();
        let place = |k: usize| { let mut i = flat[k].clone(); i[d] = at[k] as usize; i };
        expected.iter_mut().enumerate().for_each(|(k, y)| *y = c.a[IxDyn(&place(k))]);
        close(&gathered, &expected);
        let mut sums = ArrayD::<f64>::zeros(c.a.raw_dim());
        c.a.iter().enumerate().for_each(|(k, x)| sums[IxDyn(&place(k))] += x);
        close(&Tensor::zeros(c.x.dims(), DType::F64).unwrap().scatter_add(dim, &index, &c.x).unwrap(), &sums);
    }

    #[test]
    fn lists_of_positions(c in any_case(), which in any::<usize>(), seed in any::<u64>(), k in 0usize..6) {
        prop_assume!(c.x.rank() > 0);
        let d = which % c.x.rank();
        let (dim, n) = (d as isize, c.x.dims()[d]);
        prop_assume!(n > 0);
        let at: Vec<usize> = (0..k).map(|i| (seed.rotate_left(7 * i as u32) % n as u64) as usize).collect();
        let index = Tensor::from_vec(at.iter().map(|&i| i as i64).collect(), k).unwrap();
        let mut shape = c.x.dims().to_vec();
        shape[d] = k;
        let s = case(&shape, seed);
        close(&c.x.index_select(dim, &index).unwrap(), &c.a.select(ndarray::Axis(d), &at));
        let (mut added, mut filled) = (c.a.clone(), c.a.clone());
        for (j, &i) in at.iter().enumerate() {
            let row = s.a.index_axis(ndarray::Axis(d), j);
            added.index_axis_mut(ndarray::Axis(d), i).scaled_add(0.5, &row);
            filled.index_axis_mut(ndarray::Axis(d), i).fill(7.0);
        }
        close(&c.x.index_add(dim, &index, &s.x, 0.5).unwrap(), &added);
        close(&c.x.index_fill(dim, &index, 7).unwrap(), &filled);
        let mut copied = c.a.clone();
        let each: std::collections::BTreeMap<usize, usize> = at.iter().enumerate().map(|(j, &i)| (i, j)).collect();
        let (to, from): (Vec<i64>, Vec<i64>) = each.iter().map(|(&i, &j)| (i as i64, j as i64)).unzip();
        for (&i, &j) in &each {
            copied.index_axis_mut(ndarray::Axis(d), i).assign(&s.a.index_axis(ndarray::Axis(d), j));
        }
        let (m, list) = (to.len(), |v: Vec<i64>| { let n = v.len(); Tensor::from_vec(v, n).unwrap() });
        prop_assert_eq!(m, from.len());
        let rows = s.x.index_select(dim, &list(from)).unwrap();
        close(&c.x.index_copy(dim, &list(to), &rows).unwrap(), &copied);
    }

    #[test]
    fn masks(c in any_case(), seed in any::<u64>()) {
        let m = case(c.x.dims(), seed);
        let mask = m.x.gt_scalar(0.0).unwrap();
        let picked: Vec<f64> = c.a.iter().zip(m.a.iter()).filter(|(_, m)| **m > 0.0).map(|(x, _)| *x).collect();
        let n = picked.len();
        close(&c.x.masked_select(&mask).unwrap(), &ArrayD::from_shape_vec(IxDyn(&[n]), picked).unwrap());
        let mut filled = c.a.clone();
        filled.zip_mut_with(&m.a, |x, m| if *m > 0.0 { *x = -2.5 });
        close(&c.x.masked_fill(&mask, -2.5).unwrap(), &filled);
        let s = case(&[n + 2], seed ^ 5);
        let (mut scattered, mut next) = (c.a.clone(), s.a.iter());
        scattered.zip_mut_with(&m.a, |x, m| if *m > 0.0 { *x = *next.next().unwrap() });
        close(&c.x.masked_scatter(&mask, &s.x).unwrap(), &scattered);
        let mut places = Vec::new();
        for (at, x) in m.a.indexed_iter() {
            if *x > 0.0 {
                places.extend(at.slice().iter().map(|&i| i as f64));
            }
        }
        close(&mask.nonzero().unwrap(), &ArrayD::from_shape_vec(IxDyn(&[n, c.x.rank()]), places).unwrap());
    }

    #[test]
    fn flat_positions(c in any_case(), seed in any::<u64>(), k in 0usize..7) {
        let n = c.a.len();
        prop_assume!(n > 0);
        let at: Vec<usize> = (0..k).map(|i| (seed.rotate_left(9 * i as u32) % n as u64) as usize).collect();
        // Half of them counted from the back.
        let signed = at.iter().map(|&i| if i % 2 == 1 { i as i64 - n as i64 } else { i as i64 }).collect();
        let index = Tensor::from_vec(signed, k).unwrap();
        let flat: Vec<f64> = c.a.iter().copied().collect();
        let taken = at.iter().map(|&i| flat[i]).collect();
        close(&c.x.take(&index).unwrap(), &ArrayD::from_shape_vec(IxDyn(&[k]), taken).unwrap());
        let s = case(&[k], seed ^ 3);
        let mut sums = flat;
        at.iter().zip(s.a.iter()).for_each(|(&i, x)| sums[i] += x);
        close(&c.x.put(&index, &s.x, true).unwrap(), &ArrayD::from_shape_vec(c.a.raw_dim(), sums).unwrap());
    }
}
