//! TF32 is off until it is allowed. A process of its own: the switches are the process's.

use std::path::Path;

use gradus_cuda::ops::conv::{Conv2dParams, conv2d};
use gradus_cuda::ops::gemm::{Epilogue, matmul};
use gradus_cuda::{Device, Tf32, allow_tf32, set_allow_tf32, standin};

/// What the tensor cores take for 1.
const ALMOST: f32 = 1.0 + 1.0 / 4096.0;

/// An element of a product of matrices, and of a convolution: 1 in TF32, more in f32.
fn products(device: &Device) -> [f32; 2] {
    let x = device.upload(&[ALMOST, 0.0, 0.0, 1.0]).unwrap();
    let one = device.upload(&[1.0f32, 0.0, 0.0, 0.0]).unwrap();
    let mut c = device.zeros::<f32>(4).unwrap();
    let (x, w) = (x.view(&[2, 2]).unwrap(), one.view(&[2, 2]).unwrap());
    matmul(&x, &w, &Epilogue::default(), &mut c).unwrap();
    let of_matrices = c.download().unwrap()[0];
    let x = device.upload(&[ALMOST; 4]).unwrap();
    let (x, w) = (
        x.view(&[1, 4, 1, 1]).unwrap(),
        one.view(&[1, 4, 1, 1]).unwrap(),
    );
    let mut y = device.zeros::<f32>(1).unwrap();
    conv2d(&x, &w, None, &Conv2dParams::default(), &mut y).unwrap();
    [of_matrices, y.download().unwrap()[0]]
}

#[test]
fn tf32_is_used_when_it_is_allowed() {
    let Some(device) = standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))) else {
        return;
    };
    if std::env::var_os("GRADUS_CUDA_TF32").is_some() {
        println!("skipped: GRADUS_CUDA_TF32 says something else");
        return;
    }
    assert!(!allow_tf32(Tf32::Matmul) && !allow_tf32(Tf32::Conv));
    assert_eq!(products(&device), [ALMOST; 2]);
    set_allow_tf32(Tf32::Matmul, true);
    assert_eq!(products(&device), [1.0, ALMOST]);
    set_allow_tf32(Tf32::Matmul, false);
    set_allow_tf32(Tf32::Conv, true);
    assert_eq!(products(&device), [ALMOST, 1.0]);
}
