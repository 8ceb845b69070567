//! Errors are values: memory that cannot be had, and what messages say.

use gradus_tensor::{DType, Result, Tensor};

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
        "index_select: index 5 is out of range for a dimension of size 3: expected 0..=2"
    );
    assert_eq!(
        text(f(&[3]).bitwise_not()),
        "bitwise_not: not defined for f32; convert with to_dtype(DType::I64) first"
    );
}
