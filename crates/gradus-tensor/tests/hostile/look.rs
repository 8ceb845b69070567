//! Looking at a result: all of its elements are read, so that a view beyond its storage would show.

use gradus_tensor::{CrossEntropyOutput, DType, NormGradients, Normalized, Result, Tensor};

pub trait Look {
    fn look(&self);
}

impl Look for Tensor {
    fn look(&self) {
        assert_eq!(self.dims().len(), self.strides().len());
        // Kernels take at most 32 dimensions, and say so.
        if self.numel() <= 4096 && self.rank() <= 32 {
            let values = self.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
            assert_eq!(values.len(), self.numel());
        }
    }
}

impl<T: Look> Look for Option<T> {
    fn look(&self) {
        self.iter().for_each(Look::look);
    }
}

impl<T: Look> Look for Vec<T> {
    fn look(&self) {
        self.iter().take(5).for_each(Look::look);
    }
}

impl<A: Look, B: Look> Look for (A, B) {
    fn look(&self) {
        self.0.look();
        self.1.look();
    }
}

impl<A: Look, B: Look, C: Look> Look for (A, B, C) {
    fn look(&self) {
        self.0.look();
        self.1.look();
        self.2.look();
    }
}

impl Look for Normalized {
    fn look(&self) {
        (self.y.clone(), self.mean.clone(), self.rstd.clone()).look();
    }
}

impl Look for NormGradients {
    fn look(&self) {
        self.dx.look();
        self.dweight.look();
        self.dbias.look();
    }
}

impl Look for CrossEntropyOutput {
    fn look(&self) {
        (self.loss.clone(), self.lse.clone()).look();
    }
}

macro_rules! plain {
    ($($t:ty)*) => {$(
        impl Look for $t {
            fn look(&self) {}
        }
    )*};
}
plain!(() bool usize f64 DType);

/// Reads what there is; was there anything?
pub fn look<T: Look>(result: Result<T>) -> bool {
    match result {
        Ok(value) => {
            value.look();
            true
        }
        Err(e) => {
            assert!(!e.to_string().is_empty());
            false
        }
    }
}
