//! Views, joins and repeats.

use gradus_tensor::{PadMode, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};
use proptest::prelude::*;

use super::common::{any_case, close};

proptest! {
    #![proptest_config(super::common::config())]

    #[test]
    fn views_show_the_same_elements(c in any_case(), which in any::<usize>(), start in -6i64..6, end in -6i64..6, step in 1i64..4) {
        close(&c.x.contiguous().unwrap(), &c.a);
        close(&c.x.reshape([c.x.numel()]).unwrap(), &ArrayD::from_shape_vec(IxDyn(&[c.a.len()]), c.a.iter().copied().collect()).unwrap());
        close(&c.x.flip(..).unwrap(), &{
            let mut a = c.a.view();
            (0..a.ndim()).for_each(|d| a.invert_axis(Axis(d)));
            a.to_owned()
        });
        prop_assume!(c.x.rank() > 0);
        let d = which % c.x.rank();
        let dim = d as isize;
        close(&c.x.transpose(dim, 0).unwrap(), &{ let mut a = c.a.view(); a.swap_axes(d, 0); a.to_owned() });
        close(&c.x.unsqueeze(dim).unwrap().squeeze(dim).unwrap(), &c.a);
        // Python's slice of a dimension, by indices.
        let n = c.x.dims()[d] as i64;
        let wrap = |i: i64| if i < 0 { i + n } else { i }.clamp(0, n);
        let picked: Vec<usize> = (wrap(start)..wrap(end)).step_by(step as usize).map(|i| i as usize).collect();
        close(&c.x.slice(dim, start, end, step).unwrap(), &c.a.select(Axis(d), &picked));
        if n > 0 {
            let at: Vec<usize> = (0..5).map(|i| (i * 7 + which) % n as usize).collect();
            let index = Tensor::from_vec(at.iter().map(|&i| i as i64).collect(), 5).unwrap();
            close(&c.x.index_select(dim, &index).unwrap(), &c.a.select(Axis(d), &at));
            let shift = start;
            let rolled: Vec<usize> = (0..n).map(|i| (i - shift).rem_euclid(n) as usize).collect();
            close(&c.x.roll(&[shift], dim).unwrap(), &c.a.select(Axis(d), &rolled));
            let repeated: Vec<usize> = (0..n as usize).flat_map(|i| [i, i]).collect();
            close(&c.x.repeat_interleave(2, dim).unwrap(), &c.a.select(Axis(d), &repeated));
            close(&Tensor::cat(&[&c.x, &c.x], dim).unwrap(), &ndarray::concatenate(Axis(d), &[c.a.view(), c.a.view()]).unwrap());
            close(&Tensor::stack(&[&c.x, &c.x], dim).unwrap(), &ndarray::stack(Axis(d), &[c.a.view(), c.a.view()]).unwrap());
            let parts = c.x.chunk(3, dim).unwrap();
            close(&Tensor::cat(&parts, dim).unwrap(), &c.a);
        }
    }

    #[test]
    fn triangles_diagonals_and_windows(c in any_case(), k in -4i64..5, size in 1usize..4, step in 1usize..4) {
        if c.x.rank() >= 2 {
            let r = c.x.rank();
            let below = |keep: fn(i64, i64) -> bool| {
                let mut a = c.a.clone();
                a.indexed_iter_mut().for_each(|(at, x)| if !keep(at[r - 1] as i64 - at[r - 2] as i64, k) { *x = 0.0 });
                a
            };
            close(&c.x.tril(k).unwrap(), &below(|offset, k| offset <= k));
            close(&c.x.triu(k).unwrap(), &below(|offset, k| offset >= k));
            let (rows, cols) = (c.x.dims()[r - 2] as i64, c.x.dims()[r - 1] as i64);
            if -rows <= k && k <= cols {
                let (down, right) = ((-k).max(0), k.max(0));
                let n = (rows - down).min(cols - right).max(0) as usize;
                let mut shape = c.x.dims()[..r - 2].to_vec();
                shape.push(n);
                let diagonal = ArrayD::from_shape_fn(IxDyn(&shape), |at| {
                    let mut full: Vec<usize> = (0..r - 2).map(|i| at[i]).collect();
                    full.extend([at[r - 2] + down as usize, at[r - 2] + right as usize]);
                    c.a[IxDyn(&full)]
                });
                close(&c.x.diagonal(k, -2, -1).unwrap(), &diagonal);
            }
        }
        if let Some(&n) = c.x.dims().last() {
            let d = c.x.rank() - 1;
            if size <= n {
                let mut shape = c.x.dims().to_vec();
                shape[d] = (n - size) / step + 1;
                shape.push(size);
                let windows = ArrayD::from_shape_fn(IxDyn(&shape), |at| {
                    let mut full: Vec<usize> = (0..d).map(|i| at[i]).collect();
                    full.push(at[d] * step + at[d + 1]);
                    c.a[IxDyn(&full)]
                });
                close(&c.x.unfold(d as isize, size, step).unwrap(), &windows);
            }
            // Padding: where each element of the result comes from, if from anywhere.
            let (left, right) = (size as i64, step as i64);
            let padded = |from: &dyn Fn(i64) -> Option<i64>| {
                let mut shape = c.x.dims().to_vec();
                shape[d] += size + step;
                ArrayD::from_shape_fn(IxDyn(&shape), |at| {
                    let mut full: Vec<usize> = (0..=d).map(|i| at[i]).collect();
                    let Some(i) = from(at[d] as i64 - left) else { return 9.5 };
                    full[d] = i as usize;
                    c.a[IxDyn(&full)]
                })
            };
            let (n, pad) = (n as i64, [left as isize, right as isize]);
            close(&c.x.pad(&pad, PadMode::Constant(9.5.into())).unwrap(), &padded(&|i| (0..n).contains(&i).then_some(i)));
            if (2..=3).contains(&c.x.rank()) && c.x.numel() > 0 {
                close(&c.x.pad(&pad, PadMode::Replicate).unwrap(), &padded(&|i| Some(i.clamp(0, n - 1))));
                if left.max(right) < n {
                    let mirror = |i: i64| if i < 0 { -i } else if i >= n { 2 * (n - 1) - i } else { i };
                    close(&c.x.pad(&pad, PadMode::Reflect).unwrap(), &padded(&|i| Some(mirror(i))));
                }
                if left.max(right) <= n {
                    close(&c.x.pad(&pad, PadMode::Circular).unwrap(), &padded(&|i| Some(i.rem_euclid(n))));
                }
            }
        }
    }
}
