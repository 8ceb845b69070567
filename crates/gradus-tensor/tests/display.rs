//! Printing: NumPy's own output for the same arrays (`print(x)`, NumPy 2), followed by our dtype and shape.

use gradus_tensor::{DType, Tensor, bf16, f16};

fn f64s(x: &[f64]) -> String {
    Tensor::from_slice(x, [x.len()]).unwrap().to_string()
}

#[test]
fn floats() {
    assert_eq!(f64s(&[1.0, 2.5, -3.25]), "[ 1.    2.5  -3.25] f64[3]");
    assert_eq!(f64s(&[1.0, 2.0]), "[1. 2.] f64[2]");
    assert_eq!(f64s(&[1.0 / 3.0, 2.0]), "[0.33333333 2.        ] f64[2]");
    assert_eq!(f64s(&[1e-5, 1.0]), "[1.e-05 1.e+00] f64[2]");
    assert_eq!(f64s(&[1e10, 1.5]), "[1.0e+10 1.5e+00] f64[2]");
    assert_eq!(f64s(&[1e100, -1e-100]), "[ 1.e+100 -1.e-100] f64[2]");
    assert_eq!(
        f64s(&[f64::NAN, 1.0, f64::NEG_INFINITY]),
        "[ nan   1. -inf] f64[3]"
    );
    assert_eq!(f64s(&[0.0, -0.0]), "[ 0. -0.] f64[2]");
    assert_eq!(
        f64s(&[1234.5678, 0.5]),
        "[1.2345678e+03 5.0000000e-01] f64[2]"
    );
    assert_eq!(f64s(&[]), "[] f64[0]");
    let x = Tensor::from_slice(&[0.1f32, 0.2, 1.0 / 3.0], [3]).unwrap();
    assert_eq!(x.to_string(), "[0.1        0.2        0.33333334] f32[3]");
    let x = Tensor::from_slice(&[f16::from_f32(0.1), f16::from_f32(2.0)], [2]).unwrap();
    assert_eq!(x.to_string(), "[0.1 2. ] f16[2]");
    let x = Tensor::from_slice(&[bf16::from_f32(0.1), bf16::from_f32(3.0)], [2]).unwrap();
    assert_eq!(x.to_string(), "[0.1 3. ] bf16[2]");
}

#[test]
fn the_rest() {
    let x = Tensor::arange(0, 6, 1, DType::I64)
        .unwrap()
        .reshape([2, 3])
        .unwrap();
    assert_eq!(x.to_string(), "[[0 1 2]\n [3 4 5]] i64[2,3]");
    assert_eq!(
        x.t().unwrap().to_string(),
        "[[0 3]\n [1 4]\n [2 5]] i64[3,2]"
    );
    assert_eq!(
        x.reshape([2, 1, 3]).unwrap().to_string(),
        "[[[0 1 2]]\n\n [[3 4 5]]] i64[2,1,3]"
    );
    assert_eq!(
        Tensor::from_slice(&[-1i32, 100], [2]).unwrap().to_string(),
        "[ -1 100] i32[2]"
    );
    assert_eq!(
        Tensor::from_slice(&[true, false], [2]).unwrap().to_string(),
        "[ True False] bool[2]"
    );
    assert_eq!(Tensor::scalar(3.5f32).to_string(), "3.5 f32");
    assert_eq!(Tensor::scalar(7u8).to_string(), "7 u8");
    assert_eq!(format!("{x:?}"), "Tensor(i64[2,3] 0 1 2 3 4 5)");
    assert_eq!(
        format!("{:?}", Tensor::zeros([3, 4], DType::F32).unwrap()),
        "Tensor(f32[3,4] 0. 0. 0. 0. 0. 0. 0. 0. …)"
    );
}

#[test]
fn long_lines_wrap_and_large_arrays_are_summarised() {
    let x = Tensor::arange(0, 40, 1, DType::I64).unwrap();
    assert_eq!(
        x.to_string(),
        "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39] i64[40]"
    );
    let x = Tensor::arange(0, 2000, 1, DType::I64).unwrap();
    assert_eq!(
        x.to_string(),
        "[   0    1    2 ... 1997 1998 1999] i64[2000]"
    );
    assert_eq!(
        x.reshape([40, 50]).unwrap().to_string(),
        "[[   0    1    2 ...   47   48   49]\n [  50   51   52 ...   97   98   99]\n [ 100  101  102 ...  147  148  149]\n ...\n [1850 1851 1852 ... 1897 1898 1899]\n [1900 1901 1902 ... 1947 1948 1949]\n [1950 1951 1952 ... 1997 1998 1999]] i64[40,50]"
    );
    // Cheap however large: only the corners are read.
    let huge = Tensor::zeros([1], DType::F32)
        .unwrap()
        .broadcast_to([1 << 20, 1 << 20])
        .unwrap();
    assert!(huge.to_string().len() < 400);
}
