//! Products of matrices, by PyTorch's names.

use gradus_autograd::Var;

use super::registry::Registry;

pub fn register(r: &mut Registry) {
    r.binary("matmul", Var::matmul);
    // One function does these three here.
    r.binary("mm", Var::matmul);
    r.binary("bmm", Var::matmul);
    r.binary("mv", Var::matmul);
}
