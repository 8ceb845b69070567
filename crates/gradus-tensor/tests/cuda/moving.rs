//! There and back, creation, copies, parts, casts.

use gradus_tensor::{DType, Device, PadMode, Result, Tensor};

use crate::support::{Close, LAYOUTS, gpu, numbers, same, same_one};

const EXACT: Close = Close(0.0, 0.0);

#[test]
fn there_and_back() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    for dtype in DType::ALL {
        let x = Tensor::arange(-3, 21, 1, DType::F32)?
            .reshape([4, 6])?
            .to_dtype(dtype)?;
        for (layout, view) in LAYOUTS {
            let there = view(&x)?.to_device(&gpu)?;
            assert_eq!((there.device(), there.dtype()), (gpu, dtype), "{layout}");
            let there = view(&there)?;
            let back = there.to_device(&Device::Cpu)?;
            assert!(back.equal(&x)?, "{dtype} {layout}: {back} is not {x}");
            assert_eq!(there.to_string(), x.to_string());
            assert_eq!(
                there.select(0, 1)?.select(0, 2)?.to_f64()?,
                x.select(0, 1)?.select(0, 2)?.to_f64()?
            );
        }
    }
    let same = Tensor::zeros([2], (DType::F32, gpu))?;
    assert!(same.to_device(&gpu)?.shares_storage(&same));
    assert!(same.as_slice::<f32>().is_none());
    Ok(())
}

#[test]
fn creation_on_the_device() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let f32s = (DType::F32, gpu);
    assert_eq!(Tensor::zeros([2, 3], f32s)?.to_vec::<f32>()?, [0.0; 6]);
    assert_eq!(
        Tensor::full(3, 2.5, (DType::BF16, gpu))?
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .to_vec::<f32>()?,
        [2.5; 3]
    );
    assert_eq!(
        Tensor::arange(0, 4, 1, (DType::I64, gpu))?.to_vec::<i64>()?,
        [0, 1, 2, 3]
    );
    assert_eq!(Tensor::eye(2, f32s)?.to_vec::<f32>()?, [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(
        Tensor::ones(2, (DType::Bool, gpu))?.to_vec::<bool>()?,
        [true; 2]
    );
    let mut rng = gradus_tensor::random::Rng::new(3);
    let (a, mut again) = (
        Tensor::randn([5], f32s, &mut rng)?,
        gradus_tensor::random::Rng::new(3),
    );
    assert_eq!(
        a.to_vec::<f32>()?,
        Tensor::randn([5], DType::F32, &mut again)?.to_vec::<f32>()?
    );
    for like in [a.zeros_like()?, a.ones_like()?, a.full_like(2)?] {
        assert_eq!((like.device(), like.dims()), (gpu, a.dims()));
    }
    assert_eq!(
        Tensor::zeros(2, (DType::F64, gpu))?.to_vec::<f64>()?,
        [0.0; 2]
    );
    Ok(())
}

#[test]
fn views_copies_and_casts() {
    let x = numbers(1, [3, 4, 5]);
    same_one("permuted", EXACT, &[&x], |x| {
        x[0].permute(&[2, 0, 1])?.contiguous()
    });
    same_one("flipped", EXACT, &[&x], |x| x[0].flip(1isize)?.contiguous());
    same_one("sliced", EXACT, &[&x], |x| {
        x[0].slice(2, 1, 5, 2)?.contiguous()
    });
    same_one("reshaped", EXACT, &[&x], |x| {
        x[0].transpose(0, 2)?.reshape([5, 12])
    });
    same_one("broadcast", EXACT, &[&x], |x| {
        x[0].unsqueeze(1)?.broadcast_to([3, 2, 4, 5])?.contiguous()
    });
    same("cast", EXACT, &[&x], |x| {
        let to = |d| x[0].mul_scalar(10)?.to_dtype(d);
        Ok(vec![
            to(DType::I64)?,
            to(DType::I32)?,
            to(DType::Bool)?,
            to(DType::F16)?,
        ])
    });
}

#[test]
fn joining_and_parts() {
    let (x, y) = (numbers(2, [3, 4]), numbers(3, [3, 2]));
    same_one("cat", EXACT, &[&x, &y], |x| {
        Tensor::cat(&[&x[0], &x[1], &x[0]], 1)
    });
    same_one("stack", EXACT, &[&x], |x| Tensor::stack(&[&x[0], &x[0]], 1));
    same_one("pad", EXACT, &[&x], |x| {
        x[0].pad(&[1, 2, -1, 1], PadMode::Constant(7.into()))
    });
    same("split", EXACT, &[&x], |x| x[0].split(3, 1));
    same_one("slice_scatter", EXACT, &[&x, &y], |x| {
        x[0].slice_scatter(&x[1], 1, 1, 3, 1)
    });
    same_one("select_scatter", EXACT, &[&x], |x| {
        x[0].select_scatter(&x[0].select(0, 2)?, 0, 0)
    });
    same_one("add_to_view_", EXACT, &[&x, &y], |x| {
        x[0].copy()?.add_to_view_(|x| x.narrow(1, 2, 2), &x[1])
    });
    same_one("tril", EXACT, &[&x], |x| x[0].tril(0));
    same_one("triu", EXACT, &[&x], |x| x[0].triu(1));
    same_one("diag_embed", EXACT, &[&x], |x| x[0].diag_embed(1, -2, -1));
    same_one("repeat", EXACT, &[&x], |x| x[0].repeat([2, 3]));
}

#[test]
fn windows_are_added_back_where_they_overlap() -> Result<()> {
    let x = numbers(7, [3, 6]);
    let dy = x.unfold(1, 3, 2)?; // (3, 2, 3): the middle elements are in two windows
    let close = Close(1e-6, 0.02);
    same_one("overlapping windows", close, &[&x, &dy], |x| {
        let base = x[0].copy()?;
        base.add_to_view_(|x| x.unfold(1, 3, 2), &x[1])
    });
    same("padding", EXACT, &[&x], |x| {
        let pad = |mode| x[0].pad(&[2, 1], mode);
        Ok(vec![
            pad(PadMode::Reflect)?,
            pad(PadMode::Replicate)?,
            pad(PadMode::Circular)?,
        ])
    });
    let at = Tensor::from_slice(&[0i64, -1, 0], 3)?;
    same_one("put", close, &[&x, &at], |x| {
        x[0].put(&x[1], &x[0].narrow(0, 0, 1)?.narrow(1, 0, 3)?, true)
    });
    Ok(())
}

#[test]
fn by_index() -> Result<()> {
    let x = numbers(4, [6, 4]);
    let rows = Tensor::from_slice(&[5i64, 0, 5, 2], 4)?;
    let at = Tensor::from_slice(&[1i64, 3, 0, 2, 2, 1], [3, 2])?;
    let src = numbers(5, [3, 2]);
    same_one("index_select 0", EXACT, &[&x, &rows], |x| {
        x[0].index_select(0, &x[1])
    });
    same_one("index_select 1", EXACT, &[&x, &at], |x| {
        x[0].index_select(1, &x[1].flatten(0, -1)?)
    });
    same_one("gather", EXACT, &[&x, &at], |x| x[0].gather(1, &x[1]));
    same_one("take", EXACT, &[&x, &at], |x| {
        x[0].take(&x[1].sub_scalar(2)?)
    });
    same_one("embedding", EXACT, &[&x, &at], |x| x[0].embedding(&x[1]));
    let close = Close(1e-6, 0.02);
    same_one("scatter_add 0", close, &[&x, &at, &src], |x| {
        x[0].scatter_add(0, &x[1], &x[2])
    });
    same_one("scatter_add 1", close, &[&x, &at, &src], |x| {
        x[0].scatter_add(1, &x[1], &x[2])
    });
    same_one("index_add", close, &[&x, &rows], |x| {
        x[0].index_add(0, &x[1], &x[0].narrow(0, 0, 4)?, 2)
    });
    let dy = numbers(6, [3, 2, 4]);
    same_one("embedding_backward", close, &[&dy, &at], |x| {
        x[0].embedding_backward(&x[1], 6, None)
    });
    same_one("with a padding index", close, &[&dy, &at], |x| {
        x[0].embedding_backward(&x[1], 6, Some(2))
    });
    same_one("add_rows_", close, &[&x, &at, &dy], |x| {
        x[0].copy()?.add_rows_(&x[1], &x[2])
    });
    Ok(())
}
