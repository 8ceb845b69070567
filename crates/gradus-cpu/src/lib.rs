//! gradus-cpu
