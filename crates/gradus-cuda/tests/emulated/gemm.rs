//! Every rung of the ladder of matrix products, against the CPU's.

use gradus_cpu::gemm as cpu;
use gradus_cuda::ops::gemm::{Activation, Bias, Epilogue, Rung, matmul, matmul_on};
use gradus_cuda::{Device, Error, View, bf16};

use crate::standin::{device, for_orders, orders};
use crate::support::{Numbers, Real, close, each_float, garbage, tf32};

/// A batch of matrices (count, rows, columns), with each way a matrix may lie.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Rows,
    Columns,
    /// One matrix for the whole batch.
    Shared,
    /// A part of a wider matrix, not at its start: nothing is aligned.
    Part,
}

struct Operand<T> {
    data: Vec<T>,
    shape: [usize; 3],
    strides: [isize; 3],
    offset: usize,
}

impl<T: Real> Operand<T> {
    fn new(lie: Lie, count: usize, rows: usize, columns: usize, numbers: &mut Numbers) -> Self {
        let (r, c) = (rows as isize, columns as isize);
        let (strides, offset, len) = match lie {
            Lie::Rows => ([r * c, c, 1], 0, count * rows * columns),
            Lie::Columns => ([r * c, 1, r], 0, count * rows * columns),
            Lie::Shared => ([0, c, 1], 0, rows * columns),
            Lie::Part => ([r * (c + 3), c + 3, 1], 1, count * rows * (columns + 3) + 1),
        };
        Self {
            data: numbers.floats(len, 1.0),
            shape: [count, rows, columns],
            strides,
            offset,
        }
    }

    /// The elements as f32, row-major.
    fn dense(&self) -> Vec<f32> {
        let view =
            gradus_cpu::View::new(&self.data, self.offset, &self.shape, &self.strides).unwrap();
        view.iter().map(Real::real).collect()
    }

    fn cuda<'a>(&self, buffer: &'a gradus_cuda::Buffer<T>) -> View<'a, T> {
        View::new(buffer, self.offset, &self.shape, &self.strides).unwrap()
    }
}

fn check<T: Real>(
    device: &Device,
    rung: Option<Rung>,
    [count, m, n, k]: [usize; 4],
    (lie_a, lie_b): (Lie, Lie),
    full: bool,
) {
    let mut numbers = Numbers::new((m * 7 + n * 3 + k) as u64);
    let a = Operand::<T>::new(lie_a, count, m, k, &mut numbers);
    let b = Operand::<T>::new(lie_b, count, k, n, &mut numbers);
    let (bias, residual) = (
        numbers.floats::<T>(n, 1.0),
        numbers.floats::<T>(count * m * n, 1.0),
    );
    let (mut wide_a, mut wide_b) = (a.dense(), b.dense());
    if T::EPSILON < 1e-5 && matches!(rung, Some(Rung::Mma | Rung::Wgmma)) {
        wide_a
            .iter_mut()
            .chain(&mut wide_b)
            .for_each(|x| *x = tf32(*x));
    }
    let (wide_bias, wide_residual) = (
        bias.iter().map(|x| x.real()).collect::<Vec<_>>(),
        residual.iter().map(|x| x.real()).collect::<Vec<_>>(),
    );
    let mut want = vec![0f32; count * m * n];
    let epilogue = if full {
        cpu::Epilogue {
            bias: cpu::Bias::Column(&wide_bias),
            residual: Some(&wide_residual),
            activation: cpu::Activation::Gelu,
        }
    } else {
        cpu::Epilogue::default()
    };
    let (sa, sb) = ([count, m, k], [count, k, n]);
    let (va, vb) = (
        gradus_cpu::View::contiguous(&wide_a, &sa).unwrap(),
        gradus_cpu::View::contiguous(&wide_b, &sb).unwrap(),
    );
    cpu::matmul(va, vb, &epilogue, &mut want).unwrap();
    let want: Vec<T> = want.into_iter().map(T::of).collect();

    let (a_d, b_d) = (
        device.upload(&a.data).unwrap(),
        device.upload(&b.data).unwrap(),
    );
    let (bias_d, residual_d) = (
        device.upload(&bias).unwrap(),
        device.upload(&residual).unwrap(),
    );
    let mut c = garbage::<T>(device, count * m * n);
    let mut epilogue = Epilogue::default();
    if full {
        epilogue = Epilogue {
            bias: Bias::Column(&bias_d),
            residual: Some(&residual_d),
            activation: Activation::Gelu,
            ..epilogue
        };
    }
    let (va, vb) = (a.cuda(&a_d), b.cuda(&b_d));
    match rung {
        Some(rung) => matmul_on(rung, &va, &vb, &epilogue, &mut c).unwrap(),
        None => matmul(&va, &vb, &epilogue, &mut c).unwrap(),
    }
    let what = format!("{rung:?} {count}x{m}x{n}x{k} {lie_a:?} {lie_b:?}");
    let ulps = if T::EPSILON > 1e-5 { 1.5 } else { 64.0 };
    close(&what, &c.download().unwrap(), &want, ulps, 1.0);
}

const LIES: [(Lie, Lie); 6] = [
    (Lie::Rows, Lie::Rows),
    (Lie::Rows, Lie::Columns),
    (Lie::Columns, Lie::Rows),
    (Lie::Columns, Lie::Columns),
    (Lie::Part, Lie::Shared),
    (Lie::Shared, Lie::Part),
];

fn naive<T: Real>(device: &Device) {
    for lies in LIES {
        check::<T>(device, Some(Rung::Naive), [2, 19, 35, 23], lies, true);
    }
}

#[test]
fn rung_1_naive() {
    for_orders(&["f"], |device| each_float!(naive(device)));
}

#[test]
fn rung_2_tiled() {
    orders(|device| {
        for lies in LIES {
            check::<f32>(device, Some(Rung::Tiled), [2, 33, 65, 47], lies, true);
        }
        check::<f32>(device, Some(Rung::Tiled), [1, 3, 4, 5], LIES[0], false); // less than a tile of k
    });
}

#[test]
fn rung_3_vectorised() {
    orders(|device| {
        for lies in LIES {
            check::<f32>(device, Some(Rung::Simt), [2, 131, 70, 37], lies, true);
        }
        check::<f32>(device, Some(Rung::Simt), [1, 128, 256, 64], LIES[1], false);
        check::<f32>(device, Some(Rung::Simt), [1, 1, 1, 1], LIES[0], true);
    });
}

#[test]
fn rung_4_tensor_cores_of_a_warp() {
    orders(|device| {
        for lies in LIES {
            check::<bf16>(device, Some(Rung::Mma), [2, 131, 72, 75], lies, true);
        }
        check::<gradus_cuda::f16>(device, Some(Rung::Mma), [1, 128, 136, 128], LIES[1], false);
        check::<gradus_cuda::f16>(device, Some(Rung::Mma), [1, 40, 8, 96], LIES[2], false);
    });
}

#[test]
fn rung_4_with_tf32() {
    orders(|device| {
        for lies in LIES {
            check::<f32>(device, Some(Rung::Mma), [2, 131, 72, 37], lies, true);
        }
        check::<f32>(device, Some(Rung::Mma), [1, 128, 136, 64], LIES[1], false);
        check::<f32>(device, Some(Rung::Mma), [1, 40, 8, 48], LIES[2], false);
    });
}

#[test]
fn rung_5_tensor_cores_of_a_warpgroup() {
    for_orders(&["f", "r", "s", "we", "l", "l", "l", "l"], |device| {
        // Six steps of k: the ring of four stages goes round. Edges in every dimension.
        check::<bf16>(
            device,
            Some(Rung::Wgmma),
            [1, 130, 264, 360],
            (Lie::Rows, Lie::Columns),
            true,
        );
        check::<bf16>(
            device,
            Some(Rung::Wgmma),
            [1, 128, 256, 512],
            (Lie::Rows, Lie::Columns),
            false,
        );
    });
}

#[test]
fn rung_5_with_tf32() {
    for_orders(&["f", "we", "l", "l"], |device| {
        // Six steps of k, and edges; then B as it comes, which is turned on the way to being rounded.
        check::<f32>(
            device,
            Some(Rung::Wgmma),
            [1, 130, 264, 180],
            (Lie::Part, Lie::Columns),
            true,
        );
        check::<f32>(device, Some(Rung::Wgmma), [1, 40, 256, 64], LIES[2], false);
    });
}

#[test]
fn the_best_rung_is_found() {
    for_orders(&["f"], |device| {
        for lies in [LIES[1], LIES[4]] {
            check::<f32>(device, None, [1, 20, 30, 40], lies, true);
            check::<bf16>(device, None, [1, 20, 30, 40], lies, true);
            check::<bf16>(device, None, [1, 136, 256, 72], lies, true);
        }
        check::<f32>(device, None, [1, 3, 5, 0], LIES[0], true); // an empty sum
        check::<f32>(device, None, [0, 3, 5, 2], LIES[0], false);
    });
}

#[test]
fn operands_no_kernel_reads_are_copied() {
    let Some(device) = device() else { return };
    // Every second row and column: neither dimension lies along memory.
    let data: Vec<f32> = (0..64).map(|x| x as f32 * 0.25).collect();
    let (shape, strides) = ([4usize, 4], [16isize, 2]);
    let buffer = device.upload(&data).unwrap();
    let x = View::new(&buffer, 0, &shape, &strides).unwrap();
    let dense: Vec<f32> = gradus_cpu::View::new(&data, 0, &shape, &strides)
        .unwrap()
        .iter()
        .collect();
    let mut want = vec![0f32; 16];
    let v = gradus_cpu::View::contiguous(&dense, &shape).unwrap();
    cpu::matmul(v, v, &cpu::Epilogue::default(), &mut want).unwrap();
    let mut c = device.zeros::<f32>(16).unwrap();
    matmul(&x, &x, &Epilogue::default(), &mut c).unwrap();
    close("stepped", &c.download().unwrap(), &want, 4.0, 1.0);
}

#[test]
fn products_that_do_not_fit_are_errors() {
    let Some(device) = device() else { return };
    let x = device.zeros::<f32>(12).unwrap();
    let mut c = device.zeros::<f32>(9).unwrap();
    let none = Epilogue::default();
    let error = matmul(
        &x.view(&[3, 4]).unwrap(),
        &x.view(&[3, 4]).unwrap(),
        &none,
        &mut c,
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "matmul: [3, 4] x [3, 4]: inner 4 != 3");
    assert!(
        matmul(
            &x.view(&[12]).unwrap(),
            &x.view(&[3, 4]).unwrap(),
            &none,
            &mut c
        )
        .is_err()
    );
    let (a, b) = (x.view(&[3, 4]).unwrap(), x.view(&[4, 3]).unwrap());
    let odd = View::new(&x, 0, &[3, 3], &[3, 1]).unwrap();
    let error = matmul_on(Rung::Wgmma, &odd, &odd, &none, &mut c).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let short = device.zeros::<f32>(2).unwrap();
    let bias = Epilogue {
        bias: Bias::Column(&short),
        ..none
    };
    assert!(matmul(&a, &b, &bias, &mut c).is_err());
}
