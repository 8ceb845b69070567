//! Sums and extremes of whole numbers, running results, order, writing by index, and f64.

use gradus_tensor::{DType, Result, ScatterReduce, Tensor, s};

use crate::support::{Close, SUMS, gpu, numbers, same, same_one, same_wide};

const EXACT: Close = Close(0.0, 0.0);

/// Whole numbers from −5 to 5, of which many are equal.
fn whole<const R: usize>(seed: u64, shape: [usize; R]) -> Tensor {
    let x = numbers(seed, shape).mul_scalar(2.5).unwrap();
    x.clamp(-5.0, 5.0).unwrap().to_dtype(DType::I64).unwrap()
}

#[test]
fn whole_numbers_are_reduced() -> Result<()> {
    for dtype in [DType::I64, DType::I32, DType::U8, DType::Bool] {
        let x = whole(1, [4, 3, 7]).to_dtype(dtype)?;
        same(&format!("{dtype}"), EXACT, &[&x], |x| {
            let x = &x[0];
            Ok(vec![
                x.sum(.., false)?,
                x.sum(1, true)?,
                x.prod([0, 2], false)?,
                x.amax(1, false)?,
                x.amin(.., false)?,
                x.max(2, false)?.0,
                x.min(0, false)?.1,
                x.argmax(None, false)?,
                x.argmin(1, true)?,
                x.count_nonzero(1)?,
                x.cumsum(2)?,
                x.cumprod(0)?,
                x.cummax(1)?.0,
                x.cummin(1)?.1,
                x.sort(1, false)?.1,
                x.sort(-1, true)?.0,
                x.unique()?.0,
                x.unique()?.1,
                x.unique()?.2,
            ])
        });
    }
    Ok(())
}

#[test]
fn running_results() {
    let x = numbers(2, [3, 70, 5]).mul_scalar(0.3).unwrap();
    same("sums", SUMS, &[&x], |x| {
        let x = &x[0];
        Ok(vec![
            x.cumsum(1)?,
            x.cumsum(-1)?,
            x.exp()?.cumprod(2)?,
            x.logcumsumexp(1)?,
        ])
    });
    same("extremes", EXACT, &[&x], |x| {
        let ((a, b), (c, d)) = (x[0].cummax(1)?, x[0].cummin(0)?);
        Ok(vec![a, b, c, d])
    });
    same_one("of one number", EXACT, &[&Tensor::scalar(3f32)], |x| {
        x[0].cumsum(0)
    });
}

#[test]
fn order() -> Result<()> {
    let x = numbers(3, [4, 33, 3]);
    let x = Tensor::where_(&x.gt_scalar(2.0)?, &Tensor::scalar(f32::NAN), &x)?;
    same("order", EXACT, &[&x], |x| {
        let x = &x[0];
        let mut all = Vec::new();
        for (a, b) in [
            x.sort(1, false)?,
            x.sort(0, true)?,
            x.topk(5, 1, true)?,
            x.topk(2, -1, false)?,
            x.kthvalue(4, 1, true)?,
            x.median_dim(1, false)?,
        ] {
            all.extend([a, b]);
        }
        all.extend([
            x.argsort(2, false)?,
            x.msort()?,
            x.nan_to_num(0.0, None, None)?.median()?,
        ]);
        Ok(all)
    });
    same(
        "searches",
        EXACT,
        &[&numbers(4, [2, 30]), &numbers(5, [2, 9])],
        |x| {
            let (sorted, values) = (x[0].sort(-1, false)?.0, &x[1]);
            let order = x[0].argsort(-1, false)?;
            Ok(vec![
                sorted.searchsorted(values, false, None)?,
                x[0].searchsorted(values, true, Some(&order))?,
                values.bucketize(&sorted.select(0, 1)?, true)?,
            ])
        },
    );
    same_one("long rows", EXACT, &[&numbers(6, [2, 2100])], |x| {
        x[0].argsort(1, true)
    });
    Ok(())
}

#[test]
fn written_by_index() -> Result<()> {
    let (x, src) = (numbers(7, [5, 6, 3]), numbers(8, [5, 8, 2]));
    let index = whole(9, [5, 8, 2]).abs()?;
    let rows = Tensor::from_slice(&[4i64, 0, 4], 3)?;
    same("scatter", EXACT, &[&x, &src, &index, &rows], |v| {
        let [x, src, index, rows] = v else {
            unreachable!()
        };
        let slices = src.narrow(1, 0, 6)?.narrow(0, 0, 3)?;
        Ok(vec![
            x.scatter(1, index, src)?,
            x.scatter_value(1, index, 7)?,
            x.index_fill(0, rows, 2)?,
            x.narrow(2, 0, 2)?.index_copy(0, rows, &slices)?,
            x.put(index, src, false)?,
            x.index_put(
                s![rows, 1],
                &src.select(1, 0)?.narrow(0, 0, 1)?.select(1, 0)?,
                false,
            )?,
        ])
    });
    for (by, name) in [
        (ScatterReduce::Sum, "sum"),
        (ScatterReduce::Mean, "mean"),
        (ScatterReduce::Prod, "prod"),
        (ScatterReduce::Amax, "amax"),
        (ScatterReduce::Amin, "amin"),
    ] {
        same(name, SUMS, &[&x, &src, &index], |v| {
            Ok(vec![
                v[0].scatter_reduce(1, &v[2], &v[1], by, true)?,
                v[0].scatter_reduce(1, &v[2], &v[1], by, false)?,
            ])
        });
        if by == ScatterReduce::Mean {
            continue; // whole numbers are not divided there
        }
        let (x, src) = (whole(10, [5, 6, 3]), whole(11, [5, 8, 2]));
        same_one(name, EXACT, &[&x, &src, &index], |v| {
            v[0].scatter_reduce(1, &v[2], &v[1], by, true)
        });
    }
    Ok(())
}

#[test]
fn where_a_mask_holds() -> Result<()> {
    let x = numbers(12, [4, 5]);
    let mask = numbers(13, [4, 5]).gt_scalar(0)?;
    let columns = Tensor::from_slice(&[4i64, -1, 0], 3)?;
    same("masks", EXACT, &[&x, &mask, &columns], |v| {
        let [x, mask, columns] = v else {
            unreachable!()
        };
        Ok(vec![
            mask.nonzero()?,
            x.masked_select(mask)?,
            x.masked_scatter(mask, &x.flip([0, 1])?)?,
            x.index(mask)?,
            x.index(s![1..3, columns])?,
            x.index_put(mask, &x.sum(.., false)?, false)?,
            x.index_put(s![.., columns], &x.select(1, 0)?.unsqueeze(1)?, true)?,
        ])
    });
    same_one("nothing holds", EXACT, &[&x.gt_scalar(99)?], |x| {
        x[0].nonzero()
    });
    Ok(())
}

#[test]
fn in_f64() -> Result<()> {
    let (x, y) = (
        numbers(14, [6, 9]),
        numbers(15, [6, 9]).abs()?.add_scalar(0.1)?,
    );
    same_wide("f64", 1e-13, &[&x, &y], |v| {
        let (x, y) = (&v[0], &v[1]);
        Ok(vec![
            x.add(y)?.mul_scalar(0.1)?.div(y)?.exp()?,
            x.gelu()?.tanh()?.sub(&y.log()?)?,
            y.pow_scalar(0.3)?.clamp(0.1, 0.7)?,
            x.sum(1, false)?,
            x.mean(.., false)?,
            x.var([0], 1.0, true)?,
            x.softmax(-1)?,
            x.log_softmax(0)?,
            x.matmul(&y.t()?)?,
            x.amax(0, false)?,
            x.cumsum(1)?,
            x.sort(1, true)?.0,
            x.gt(y)?,
            Tensor::where_(&x.gt_scalar(0)?, x, y)?,
            x.logsumexp(1, false)?,
            x.scatter_add(0, &x.zeros_like()?.to_dtype(DType::I64)?, y)?,
            x.to_dtype(DType::F32)?,
            x.embedding(&Tensor::zeros([2], (DType::I64, x.device()))?)?,
        ])
    });
    let Some(gpu) = gpu() else { return Ok(()) };
    // What has no kernel for it says so.
    let x = x.to(DType::F64)?.to(&gpu)?;
    let error = x.layer_norm(&[9], None, None, 1e-5).expect_err("no kernel");
    assert!(error.to_string().contains("f64"), "{error}");
    Ok(())
}
