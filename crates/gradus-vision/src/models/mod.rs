//! Models for images.

mod digits;

pub use digits::{ARTICLE, Article, DIGIT_MODELS, SMALL, Small, digit_model};
