//! Is a result the expected one?

use gradus_tensor::{DType, Device, Tensor};

/// `|got - expected| <= atol + rtol * |expected|`.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    pub rtol: f64,
    pub atol: f64,
}

impl Tolerance {
    /// For results computed in double precision.
    pub const F64: Self = Self {
        rtol: 1e-7,
        atol: 1e-8,
    };
    /// For results computed in single precision.
    pub const F32: Self = Self {
        rtol: 1.3e-6,
        atol: 1e-5,
    };
    /// To the last bit.
    pub const EXACT: Self = Self {
        rtol: 0.0,
        atol: 0.0,
    };

    /// Both parts times `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            rtol: self.rtol * factor,
            atol: self.atol * factor,
        }
    }

    /// NaN equals NaN; infinities must be the same.
    pub fn accepts(self, got: f64, expected: f64) -> bool {
        got == expected
            || (got.is_nan() && expected.is_nan())
            || (expected.is_finite()
                && (got - expected).abs() <= self.atol + self.rtol * expected.abs())
    }
}

/// As f64, row-major. (i64 beyond 2^53 does not occur in the vectors.)
pub fn numbers(x: &Tensor) -> Result<Vec<f64>, String> {
    x.to_device(&Device::Cpu)
        .and_then(|x| x.to_dtype(DType::F64)?.to_vec::<f64>())
        .map_err(|e| e.to_string())
}

/// Shapes and values. Whole numbers and bools must be equal, and the kind of dtype must be the expected one.
pub fn compare(got: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Result<(), String> {
    if got.dims() != expected.dims() {
        return Err(format!(
            "shape {}, expected {}",
            got.shape(),
            expected.shape()
        ));
    }
    let kind = |d: DType| (d == DType::Bool, d.is_float());
    if kind(got.dtype()) != kind(expected.dtype()) {
        return Err(format!(
            "dtype {}, expected {}",
            got.dtype(),
            expected.dtype()
        ));
    }
    let tolerance = if expected.dtype().is_float() {
        tolerance
    } else {
        Tolerance::EXACT
    };
    let (g, e) = (numbers(got)?, numbers(expected)?);
    let wrong: Vec<usize> = (0..g.len())
        .filter(|&i| !tolerance.accepts(g[i], e[i]))
        .collect();
    match wrong.first() {
        None => Ok(()),
        Some(&i) => Err(format!(
            "{} of {} elements differ; at {i}: {:e}, expected {:e}",
            wrong.len(),
            g.len(),
            g[i],
            e[i]
        )),
    }
}
