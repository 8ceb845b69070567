//! Max and average pooling over one, two and three spatial dimensions, and their gradients.
//!
//! What it is: `f32` and `f64`; the last `D` dimensions of the input are spatial, all before are planes, of which each is pooled on
//! its own (and several at the same time). Padding, dilation, `ceil_mode`, `count_include_pad` and `divisor_override` mean what
//! they mean in PyTorch. What it is not: a reduction over arbitrary axes; that is `reduce`.

mod avg;
mod max;
mod max_rows;
#[cfg(test)]
mod tests;
mod window;

pub use avg::{
    AvgPool2dParams, AvgPoolParams, adaptive_avg_pool, adaptive_avg_pool_backward, avg_pool,
    avg_pool_backward,
};
pub use max::{MaxPool2dParams, MaxPoolParams, max_pool, max_pool_backward};

use crate::conv::contiguous;

/// Elements of the input that one task pools at least.
const PLANES: usize = 32 * 1024;
