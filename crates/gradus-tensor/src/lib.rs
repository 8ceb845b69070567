//! gradus-tensor

pub mod random;
