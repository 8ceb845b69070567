//! The kernels for every element type, compiled in this crate and nowhere else.
//!
//! A generic function is compiled where it is used: each crate above would make its own, with its own options, and all of
//! gradus-tensor would have to be built for speed. But one marked `#[inline(never)]` that a crate below has compiled for these types is
//! taken from there. So every public generic function that computes is marked so, and named here, for whatever types `gradus-tensor`
//! asks for (the test below sees to both). The linker leaves out what a program does not use.

use half::{bf16, f16};

use crate::elementwise::Real;
use crate::{
    Element, FloatElement, attention, cast, conv, copy, deform, elementwise, embedding, fold, gemm,
    grid_sample, loss, norm, optim, pool, recurrent, reduce, resample, roi, softmax,
};

/// Where the functions are: to be had for no other reason than that they must be compiled for it.
#[doc(hidden)]
pub fn instances() -> Vec<*const ()> {
    [
        real::<f32>(),
        real::<f64>(),
        float::<f16>(),
        float::<bf16>(),
        float::<f32>(),
        float::<f64>(),
        element::<bool>(),
        element::<u8>(),
        element::<i32>(),
        element::<i64>(),
        element::<f16>(),
        element::<bf16>(),
        element::<f32>(),
        element::<f64>(),
        word::<u8>(),
        word::<f16>(),
        word::<i32>(),
        word::<i64>(),
    ]
    .concat()
}

macro_rules! addresses {
    ($($function:path,)*) => {
        vec![$($function as *const ()),*]
    };
}

/// What moves elements, for each size of them.
fn word<T: Element>() -> Vec<*const ()> {
    addresses![
        copy::copy::<T>,
        copy::copy_into::<T>,
        copy::fill::<T>,
        copy::fill_into::<T>,
        copy::cat::<T>,
    ]
}

fn element<T: Element>() -> Vec<*const ()> {
    addresses![
        cast::cast::<T, bool>,
        cast::cast::<T, u8>,
        cast::cast::<T, i32>,
        cast::cast::<T, i64>,
        cast::cast::<T, f16>,
        cast::cast::<T, bf16>,
        cast::cast::<T, f32>,
        cast::cast::<T, f64>,
        elementwise::chain::<T>,
        elementwise::unary::<T>,
        elementwise::unary_in_place::<T>,
        elementwise::binary::<T>,
        elementwise::binary_in_place::<T>,
        elementwise::binary_in_place_right::<T>,
        elementwise::ternary::<T>,
        elementwise::compare::<T>,
        elementwise::predicate::<T>,
        elementwise::where_::<T>,
        elementwise::where_in_place::<T>,
        embedding::gather_rows::<T>,
        embedding::scatter_add_rows::<T>,
        reduce::max_with_index::<T>,
        reduce::min_with_index::<T>,
        reduce::argmax::<T>,
        reduce::argmin::<T>,
        reduce::sum::<T>,
        reduce::prod::<T>,
        reduce::max::<T>,
        reduce::min::<T>,
        reduce::any::<T>,
        reduce::all::<T>,
        reduce::count_nonzero::<T>,
        reduce::cumsum::<T>,
        reduce::cumprod::<T>,
        reduce::cummax::<T>,
        reduce::cummin::<T>,
        reduce::sort::<T>,
        reduce::topk::<T>,
        reduce::kthvalue::<T>,
    ]
}

fn float<T: FloatElement>() -> Vec<*const ()> {
    addresses![
        loss::cross_entropy::<T>,
        loss::cross_entropy_backward::<T>,
        norm::batch_norm_stats::<T>,
        norm::batch_norm::<T>,
        norm::batch_norm_backward::<T>,
        norm::group_norm::<T>,
        norm::group_norm_backward::<T>,
        norm::layer_norm::<T>,
        norm::layer_norm_backward::<T>,
        norm::rms_norm::<T>,
        norm::rms_norm_backward::<T>,
        optim::sum_of_squares::<T>,
        reduce::logcumsumexp::<T>,
        reduce::mean::<T>,
        reduce::var::<T>,
        reduce::norm::<T>,
        reduce::logsumexp::<T>,
        softmax::softmax::<T>,
        softmax::softmax_backward::<T>,
        softmax::log_softmax::<T>,
        softmax::log_softmax_backward::<T>,
    ]
}

/// What `f16` and `bf16` take by way of `f32`.
fn real<T: Real>() -> Vec<*const ()> {
    [
        dimensions::<T, 1>(),
        dimensions::<T, 2>(),
        dimensions::<T, 3>(),
        addresses![
            attention::attention::<T>,
            attention::attention_backward::<T>,
            conv::conv_backward_bias::<T>,
            conv::conv2d::<T>,
            conv::conv2d_backward_data::<T>,
            conv::conv2d_backward_weight::<T>,
            deform::deform_columns::<T>,
            deform::deform_columns_backward_input::<T>,
            deform::deform_columns_backward_places::<T>,
            fold::unfold::<T>,
            fold::fold::<T>,
            gemm::gemm::<T>,
            gemm::matmul::<T>,
            gemm::matmul_keeping::<T>,
            optim::sgd::<T>,
            optim::adam::<T>,
            optim::rmsprop::<T>,
            optim::adagrad::<T>,
            pool::max_pool_backward::<T>,
            recurrent::gru::<T>,
            recurrent::gru_backward::<T>,
            recurrent::lstm::<T>,
            recurrent::lstm_backward::<T>,
            resample::resample::<T>,
            roi::roi_mean::<T>,
            roi::roi_mean_backward::<T>,
            roi::roi_max::<T>,
            grid_sample::grid_sample::<T, 2>,
            grid_sample::grid_sample::<T, 3>,
            grid_sample::grid_sample_backward_input::<T, 2>,
            grid_sample::grid_sample_backward_input::<T, 3>,
            grid_sample::grid_sample_backward_grid::<T, 2>,
            grid_sample::grid_sample_backward_grid::<T, 3>,
        ],
    ]
    .concat()
}

/// Windows over `D` dimensions.
fn dimensions<T: Real, const D: usize>() -> Vec<*const ()> {
    addresses![
        conv::conv::<T, D>,
        conv::conv_keeping::<T, D>,
        conv::conv_backward_data::<T, D>,
        conv::conv_backward_weight::<T, D>,
        pool::max_pool::<T, D>,
        pool::avg_pool::<T, D>,
        pool::avg_pool_backward::<T, D>,
        pool::adaptive_avg_pool::<T, D>,
        pool::adaptive_avg_pool_backward::<T, D>,
    ]
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_public_generic_function_is_compiled_here() {
        let mut files = Vec::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        sources(&source, &mut files);
        let named = include_str!("instances.rs");
        let mut count = 0;
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let place = file.strip_prefix(&source).unwrap().display().to_string();
            // The naive versions are for tests, and closures are compiled where they are written.
            if place.contains("reference") || place.contains("parallel") {
                continue;
            }
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2) {
                let name = pair[1].strip_prefix("pub fn ").and_then(|rest| {
                    let (name, _) = rest.split_once('<')?;
                    (!name.contains('(')).then_some(name)
                });
                if let Some(name) = name {
                    assert_eq!(pair[0], "#[inline(never)]", "{place}: {name}");
                    assert!(named.contains(&format!("::{name}::<T")), "{place}: {name}");
                    count += 1;
                }
            }
        }
        assert!(count > 90, "{count}");
        assert!(super::instances().len() > count);
    }
}
