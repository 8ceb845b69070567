//! gradus-autograd
