//! Tensors on a GPU against tensors on the CPU: every op with an arm there, over several layouts, in f32 and bf16. Where there is no GPU,
//! the GPU is gradus-cuda's stand-in. What has no arm says so.

mod elementwise;
mod memory;
mod moving;
mod nn;
mod order;
mod refused;
mod support;
mod together;
