//! gradus-tensor
