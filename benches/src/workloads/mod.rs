//! What is measured, by family. Names, shapes and defaults are those of the scripts in `benches/peers`.

mod conv;
mod gemm;
mod gemm_shapes;
mod language;
mod models;
mod ops;
mod optim;
mod small;

use crate::measure::Workload;
use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Result, Tensor};

/// Everything that can be measured in this dtype.
pub fn all(dtype: DType) -> Vec<Workload> {
    let mut all = gemm::all(dtype);
    all.extend(models::all(dtype));
    all.extend(language::all(dtype));
    if dtype == DType::F32 {
        all.extend(conv::all());
        all.extend(ops::all());
        all.extend(optim::all());
        all.extend(small::all());
    }
    all
}

/// Numbers in [0, 1), as the peers' `rand`.
fn rand(shape: &[usize]) -> Result<Tensor> {
    Tensor::rand(shape, DType::F32, &mut Rng::new(1))
}
