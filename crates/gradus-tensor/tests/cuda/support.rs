//! The device, layouts, and how results are compared.

use std::path::Path;

use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Device, Result, Tensor};

/// The device to test on, if there is one.
pub fn gpu() -> Option<Device> {
    gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    Some(Device::cuda(0).unwrap())
}

/// Normal numbers that are the same at every run.
pub fn numbers<const R: usize>(seed: u64, shape: [usize; R]) -> Tensor {
    Tensor::randn(shape, DType::F32, &mut Rng::new(seed)).unwrap()
}

/// The same elements in another layout.
type View = fn(&Tensor) -> Result<Tensor>;

/// Contiguous; the last two dimensions swapped in memory; every second element; from an offset; with channels last.
pub const LAYOUTS: [(&str, View); 5] = [
    ("contiguous", |x| Ok(x.clone())),
    ("transposed", |x| match x.rank() {
        0 | 1 => Ok(x.clone()),
        _ => x.transpose(-1, -2)?.contiguous()?.transpose(-1, -2),
    }),
    ("stepped", |x| Tensor::stack(&[x, x], -1)?.select(-1, 1)),
    ("offset", |x| match x.rank() {
        0 => Ok(x.clone()),
        _ => Tensor::cat(&[x, x], 0)?.narrow(0, x.dims()[0] as i64, x.dims()[0]),
    }),
    ("channels last", |x| match x.rank() {
        0..3 => Ok(x.clone()),
        _ => x.channels_last(),
    }),
];

/// How far results may be apart, relative to the largest: in f32, in 16 bits.
#[derive(Clone, Copy)]
pub struct Close(pub f64, pub f64);

/// Sums of some length.
pub const SUMS: Close = Close(2e-6, 0.02);

/// `f` gives the same on the CPU and on the GPU, of operands in every layout, in f32 and bf16.
#[track_caller]
pub fn same(
    what: &str,
    close: Close,
    operands: &[&Tensor],
    f: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>,
) {
    let dtypes = [(DType::F32, close.0), (DType::BF16, close.1)];
    same_in(what, &dtypes, operands, &f);
}

/// As [`same`] in f64.
#[track_caller]
pub fn same_wide(
    what: &str,
    close: f64,
    operands: &[&Tensor],
    f: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>,
) {
    same_in(what, &[(DType::F64, close)], operands, &f);
}

#[track_caller]
fn same_in(
    what: &str,
    dtypes: &[(DType, f64)],
    operands: &[&Tensor],
    f: &dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>,
) {
    let Some(gpu) = gpu() else { return };
    for &(dtype, tolerance) in dtypes {
        let cast = |x: &Tensor| {
            if x.dtype().is_float() {
                x.to_dtype(dtype).unwrap()
            } else {
                x.clone()
            }
        };
        let host: Vec<Tensor> = operands.iter().map(|x| cast(x)).collect();
        let want = f(&host).unwrap_or_else(|e| panic!("{what} on the CPU: {e}"));
        for (layout, view) in LAYOUTS {
            if layout == "channels last" && host.iter().all(|x| x.rank() < 3) {
                continue;
            }
            let there = host
                .iter()
                .map(|x| view(&x.to_device(&gpu).unwrap()).unwrap());
            let there: Vec<Tensor> = there.collect();
            let got = f(&there).unwrap_or_else(|e| panic!("{what} ({dtype}, {layout}): {e}"));
            assert_eq!(got.len(), want.len());
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_eq!(got.device(), gpu, "{what} ({dtype}, {layout}): result {i}");
                assert_eq!(got.dtype(), want.dtype(), "{what} ({layout}): result {i}");
                compare(
                    &format!("{what} ({dtype}, {layout}): result {i}"),
                    tolerance,
                    got,
                    want,
                );
            }
        }
    }
}

/// As [`same`] of one result.
#[track_caller]
pub fn same_one(
    what: &str,
    close: Close,
    operands: &[&Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    same(what, close, operands, |x| Ok(vec![f(x)?]));
}

/// Two tensors, wherever they are, element by element.
#[track_caller]
pub fn compare(what: &str, tolerance: f64, got: &Tensor, want: &Tensor) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let numbers = |x: &Tensor| -> Vec<f64> {
        let x = x.to_device(&Device::Cpu).unwrap();
        x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap()
    };
    let (got, want) = (numbers(got), numbers(want));
    let largest = want
        .iter()
        .filter(|w| w.is_finite())
        .fold(0.0, |m: f64, w| m.max(w.abs()));
    for (i, (&g, &w)) in got.iter().zip(&want).enumerate() {
        let close =
            g == w || g.is_nan() && w.is_nan() || (g - w).abs() <= tolerance * largest.max(1e-3);
        assert!(
            close,
            "{what}: element {i} is {g}, expected {w} (largest {largest})"
        );
    }
}
