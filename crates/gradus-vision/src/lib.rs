//! gradus-vision
#![forbid(unsafe_code)]
pub mod datasets;
pub mod decode;
pub mod digit;
pub mod idx;
mod image;
pub mod transforms;
pub use image::Image;
