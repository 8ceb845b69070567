//! gradus-simd
