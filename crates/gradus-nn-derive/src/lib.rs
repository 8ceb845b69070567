//! gradus-nn-derive
