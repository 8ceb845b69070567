//! Arguments nobody should pass: every call returns, with `Err` or a value. Nothing panics, nothing aborts.

use gradus_tensor::{
    AvgPool2dParams, Conv2dParams, DType, Device, Dims, Index, MaxPool2dParams, PadMode, Result,
    ScatterReduce, Tensor,
};
use proptest::prelude::*;

/// Numbers that are small, or so large that what they ask for is refused (not merely slow).
const ODD: [i64; 17] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    -7,
    1 << 40,
    -(1 << 40),
    (1 << 40) + 1,
    (1 << 41) - 3,
    1 << 62,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
    i64::MAX - 1,
];

fn odd() -> impl Strategy<Value = i64> {
    prop::sample::select(&ODD[..])
}

fn tensors() -> Vec<Tensor> {
    let x = Tensor::arange(0, 24, 1, DType::F32)
        .unwrap()
        .reshape([2, 3, 4])
        .unwrap();
    let huge = Tensor::zeros(1, DType::F32)
        .unwrap()
        .expand([1i64 << 40])
        .unwrap();
    vec![
        x.clone(),
        x.permute(&[2, 0, 1]).unwrap(),
        x.flip(..).unwrap().slice(2, 0, None, 2).unwrap(),
        Tensor::scalar(1.5f32),
        Tensor::zeros([3, 0, 2], DType::I64).unwrap(),
        Tensor::zeros(0, DType::F64).unwrap(),
        Tensor::zeros([0, 1 << 40, 1 << 20], DType::Bool).unwrap(),
        huge.clone(),
        huge.unsqueeze(0).unwrap(),
        x.as_strided([1, 2], &[isize::MAX, 1], Some(3)).unwrap(),
        x.gt_scalar(3).unwrap(),
        x.to_dtype(DType::BF16).unwrap(),
    ]
}

/// Calls everything cheap that takes numbers. Results are looked at only so far that lazily wrong views would show.
fn poke(x: &Tensor, a: i64, b: i64, c: i64) {
    let (d, e, f) = (a as isize, b as isize, c as isize);
    let (u, v) = (a as usize, b as usize);
    let look = |r: Result<Tensor>| {
        if let Ok(y) = r
            && y.numel() < 10_000
        {
            let y = y.to_dtype(DType::F64).unwrap();
            assert_eq!(y.to_vec::<f64>().unwrap().len(), y.numel());
        }
    };
    look(x.narrow(d, b, c as usize));
    look(x.select(d, b));
    look(x.slice(d, b, c, a));
    look(x.slice(0, b, None, c));
    look(x.reshape([d, e, f]));
    look(x.reshape([d, -1]));
    look(x.view([e, f]));
    look(x.expand([d, e, f]));
    look(x.expand([d, -1, -1, -1]));
    look(x.broadcast_to([u, v]));
    look(x.transpose(d, e));
    look(x.permute(&[d, e, f]));
    look(x.movedim([d, e], [e, f]));
    look(x.squeeze(d));
    look(x.unsqueeze(d));
    look(x.flip([d, e]));
    look(x.flatten(d, e));
    look(x.unflatten(d, [e, f]));
    look(x.unfold(d, v, c as usize));
    look(x.diagonal(a, e, f));
    look(x.diag(a));
    look(x.diag_embed(a % 1_000_000, e, f));
    look(x.diag_embed(a, -1, -2));
    look(x.as_strided([u % 4, v], &[e, f], Some(c as usize)));
    look(x.index((a, b)));
    look(x.index(vec![
        Index::Slice(Some(a), Some(b), c),
        Index::Ellipsis,
        Index::At(a),
    ]));
    look(x.pad(&[d, e], PadMode::Constant(a.into())));
    look(x.pad(&[d, e, f, d], PadMode::Reflect));
    look(x.pad(&[d, e], PadMode::Replicate));
    look(x.pad(&[d, e], PadMode::Circular));
    look(Tensor::zeros([u, v], DType::F32).and_then(|z| {
        if z.numel() > 1 << 20 {
            z.select(0, 0)
        } else {
            Ok(z)
        }
    }));
    look(Tensor::eye_rect(u % 1000, v % 1000, DType::U8));
    look(Tensor::full([u, v, 0], a, DType::I64));
    if a.unsigned_abs() < 1 << 20 && b.unsigned_abs() < 1 << 20 {
        look(Tensor::arange(a, b, c, DType::I32));
        look(Tensor::linspace(a, b, (c as usize).min(100), DType::F16));
    } else {
        assert!(Tensor::linspace(0, 1, usize::MAX, DType::F32).is_err());
    }
    let _ = Tensor::from_slice(&[1u8], [u, v]);
    let small = x.numel() < 1 << 20;
    for pieces in [
        x.split(u, e),
        x.chunk(u, e),
        x.tensor_split(u, e),
        x.unbind(d),
        x.split_sizes(&[u, v], f),
        x.tensor_split_at(&[a, b], f),
    ]
    .into_iter()
    .flatten()
    {
        pieces.into_iter().take(3).for_each(|p| look(Ok(p)));
    }
    if !small {
        return;
    }
    look(x.sum(d, false));
    look(x.repeat([u % 3, v]));
    look(x.tile([d, e]));
    look(x.repeat_interleave(u, e));
    look(x.roll(&[a, b], [e, f]));
    look(x.roll(&[a], ..));
    look(x.rot90(a, &[e, f]));
    look(x.tril(a));
    look(x.triu(a));
    look(x.select_scatter(&Tensor::scalar(0f32), d, b));
    look(x.slice_scatter(&Tensor::scalar(0f32), d, a, b, c));
    look(x.var([d, e], c as f64, true));
    look(x.norm(a as f64, e, false));
    look(x.amax(Dims::List(vec![d, e, f]), false));
    look(x.argmax(d, true));
    look(x.cumsum(d));
    look(x.diff(a.min(50), e, None, None));
    let _ = x.topk(u, e, true).map(|p| look(Ok(p.0)));
    let _ = x.kthvalue(u, e, true).map(|p| look(Ok(p.1)));
    let _ = x.unique_consecutive(d).map(|p| look(Ok(p.0)));
    look(x.softmax(d));
    look(x.round_decimals(a as i32));
    look(x.pow_scalar(a));
    look(x.floor_divide_scalar(a));
    look(x.remainder_scalar(b));
    look(x.bitwise_left_shift_scalar(c));
    look(x.add_scalar(a));
    look(x.clamp_scalars(Some(a.into()), Some(b.into())));
    let index = Tensor::from_slice(&[a, b, 0], 3).unwrap();
    look(x.index_select(e, &index));
    look(x.take(&index));
    look(x.gather(d, &index));
    look(x.index(&index));
    look(x.index((.., &index)));
    look(x.scatter_reduce(
        d,
        &index,
        &Tensor::ones(3, x.dtype()).unwrap(),
        ScatterReduce::Mean,
        false,
    ));
    look(x.index_put(&index, &Tensor::ones((), x.dtype()).unwrap(), true));
    look(x.index_add(d, &index, x, a));
    look(x.index_fill(d, &index, b));
    look(x.embedding(&index));
    look(x.embedding_backward(&index, v % 100, a));
    look(x.repeat_interleave_tensor(&index, e));
    let conv = Conv2dParams {
        stride: [u, v],
        padding: [v, c as usize],
        dilation: [c as usize, u],
        groups: (a as usize) % 5,
    };
    look(x.conv2d(
        &Tensor::ones([2, 1, 2, 2], DType::F32).unwrap(),
        None,
        &conv,
    ));
    look(x.conv2d(
        &Tensor::ones([2, 2, 0, 2], DType::F32).unwrap(),
        None,
        &conv,
    ));
    look(x.conv_transpose(
        &Tensor::ones([2, 1, 2, 2], DType::F32).unwrap(),
        None,
        &conv,
        [u, v],
    ));
    look(x.max_pool(&MaxPool2dParams {
        kernel: [u, v],
        stride: [v, c as usize],
        padding: [c as usize, u],
        dilation: [u, u],
        ceil_mode: a > 0,
    }));
    look(x.avg_pool(&AvgPool2dParams {
        divisor_override: Some(a),
        ..AvgPool2dParams::new([v, c as usize])
    }));
    look(x.adaptive_avg_pool([u, v]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn odd_numbers_never_panic(which in 0usize..12, a in odd(), b in odd(), c in odd()) {
        poke(&tensors()[which], a, b, c);
    }

    #[test]
    fn two_odd_tensors_never_panic(i in 0usize..12, j in 0usize..12, dim in -4isize..4) {
        let (x, y) = (&tensors()[i], &tensors()[j]);
        let small = |x: &Tensor| x.numel() < 1 << 20;
        let _ = Tensor::cat(&[x, y], dim);
        let _ = Tensor::stack(&[x, y], dim);
        if small(x) && small(y) {
            let _ = (x.add(y), x.matmul(y), x.mm(y), x.bmm(y), x.dot(y), x.outer(y), x.inner(y), x.linear(y, None));
            let _ = (x.eq(y), x.logical_and(y), x.isclose(y, 0.1, 0.1, true), x.pow(y), x.remainder(y), x.bitwise_and(y));
            let _ = (Tensor::where_(x, y, y), x.masked_fill(y, 1), x.masked_select(y), x.masked_scatter(y, x));
            let _ = (x.gather(dim, y), x.scatter(dim, y, x), x.scatter_add(dim, y, x), x.take_along_dim(y, dim), x.index(y), x.put(y, x, true));
            let _ = (x.searchsorted(y, true, None), x.bucketize(y, false), x.quantile(y, dim, true, "linear"));
            let _ = (x.embedding(y), x.cross_entropy(y, &gradus_tensor::CrossEntropyOptions::default()), x.softmax_backward(y, dim));
            let _ = (x.lerp(y, x), x.addcmul(y, y, 2), x.dist(y, 2.0), Tensor::meshgrid(&[x, y], "ij"));
        }
    }
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let huge = Tensor::zeros(1, DType::F64)
        .unwrap()
        .expand([1i64 << 50])
        .unwrap();
    assert!(
        huge.copy().is_err()
            && huge.to_vec::<f64>().is_err()
            && huge.add_scalar(1).is_err()
            && huge.nonzero().is_err()
    );
    assert!(Tensor::zeros([1 << 31, 1 << 31], DType::F64).is_err());
    assert!(Tensor::zeros([usize::MAX, usize::MAX], DType::U8).is_err());
    assert!(Tensor::ones([1 << 20, 1 << 20], DType::F32).is_err());
}

#[test]
fn messages_name_the_op_the_shapes_and_the_way_out() {
    let f = |shape: &[usize]| Tensor::zeros(shape, DType::F32).unwrap();
    let text = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert_eq!(
        text(f(&[2, 3]).add(&f(&[2, 4]))),
        "add: [2,3] and [2,4] do not broadcast: 3 against 4 (sizes are matched from the back; one must be 1)"
    );
    assert_eq!(
        text(f(&[8, 197, 768]).matmul(&f(&[512, 768]))),
        "matmul: [8,197,768] x [512,768]: inner 768 != 512; transpose the right side (.t()) if it is stored [N,K]"
    );
    assert_eq!(
        text(f(&[2, 3]).reshape([4, 2])),
        "reshape: [2,3] (6 elements) to [4, 2]: the new shape has 8 elements"
    );
    assert_eq!(
        text(f(&[2, 3]).sum(2, false)),
        "sum: dim 2 is out of range for shape [2,3]: expected -2..=1"
    );
    assert_eq!(
        text(f(&[2]).to_dtype(DType::I64).unwrap().mean(.., false)),
        "mean: i64 is not a float; convert with to_dtype(DType::F32) first"
    );
    assert_eq!(
        text(f(&[2]).masked_fill(&f(&[2]), 0)),
        "masked_fill: the mask is f32, not bool; compare first (x.gt_scalar(0)) or convert with to_dtype(DType::Bool)"
    );
    let index = Tensor::from_slice(&[5i64], 1).unwrap();
    assert_eq!(
        text(f(&[2, 3]).index_select(1, &index)),
        "index_select: index 5 is out of range for a dimension of size 3"
    );
    assert_eq!(
        Device::cuda(0).unwrap_err().to_string(),
        "Device::cuda: cuda:0: the CUDA backend is not built yet; use Device::Cpu"
    );
    assert_eq!(
        text(f(&[3]).bitwise_not()),
        "bitwise_not: not defined for f32; convert with to_dtype(DType::I64) first"
    );
}
