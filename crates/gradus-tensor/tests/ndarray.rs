//! `ndarray` both ways.

use gradus_tensor::{DType, Tensor};
use ndarray::{Array, Array2, Array3, ShapeBuilder, array, s};

#[test]
fn owned_arrays_move_in_with_their_strides() {
    let a = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (i * 12 + j * 4 + k) as f32);
    let at = a.as_ptr();
    let x = Tensor::from_ndarray(a.clone()).unwrap();
    assert_eq!(
        x.to_vec::<f32>().unwrap(),
        (0..24).map(|i| i as f32).collect::<Vec<_>>()
    );
    let moved = Tensor::from_ndarray(a).unwrap();
    assert_eq!(moved.as_slice::<f32>().unwrap().as_ptr(), at, "no copy");
    let fortran = Array2::from_shape_vec((2, 2).f(), vec![1i64, 2, 3, 4]).unwrap();
    assert_eq!(
        Tensor::from_ndarray(fortran)
            .unwrap()
            .to_vec::<i64>()
            .unwrap(),
        [1, 3, 2, 4]
    );
    let mut backwards = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    backwards.invert_axis(ndarray::Axis(1));
    let cut = backwards.clone().slice_move(s![.., ..2]);
    assert_eq!(
        Tensor::from_ndarray(backwards)
            .unwrap()
            .to_vec::<f64>()
            .unwrap(),
        [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]
    );
    assert_eq!(
        Tensor::from_ndarray(cut).unwrap().to_vec::<f64>().unwrap(),
        [3.0, 2.0, 6.0, 5.0]
    );
    assert_eq!(
        Tensor::from_ndarray(Array::<f32, _>::zeros((0, 3)))
            .unwrap()
            .dims(),
        [0, 3]
    );
    assert_eq!(
        Tensor::from_ndarray(ndarray::arr0(5u8))
            .unwrap()
            .item::<u8>()
            .unwrap(),
        5
    );
    let mut mine = Tensor::from_ndarray(array![true, false]).unwrap();
    mine.as_mut_slice::<bool>().unwrap()[1] = true;
    assert_eq!(mine.to_vec::<bool>().unwrap(), [true, true]);
}

#[test]
fn views_and_copies_out() {
    let x = Tensor::arange(0, 24, 1, DType::F64)
        .unwrap()
        .reshape([2, 3, 4])
        .unwrap();
    let views = [
        x.clone(),
        x.permute(&[2, 0, 1]).unwrap(),
        x.flip([1]).unwrap(),
        x.flip([0, 2]).unwrap().transpose(0, 2).unwrap(),
        x.narrow(1, 1, 2).unwrap(),
        x.unsqueeze(1).unwrap().broadcast_to([2, 5, 3, 4]).unwrap(),
        x.narrow(0, 1, 0).unwrap(),
        Tensor::scalar(1.5f64),
    ];
    for x in views {
        let view = x.as_ndarray::<f64>().unwrap();
        assert_eq!(view.shape(), x.dims());
        assert_eq!(
            view.iter().copied().collect::<Vec<_>>(),
            x.to_vec::<f64>().unwrap()
        );
        assert_eq!(view, x.to_ndarray::<f64>().unwrap());
    }
    assert!(x.as_ndarray::<f32>().is_err() && x.to_ndarray::<i64>().is_err());
}
