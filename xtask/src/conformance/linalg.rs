//! Products and decompositions, by PyTorch's names.

use gradus_autograd::Var;

use super::registry::Registry;

pub fn register(r: &mut Registry) {
    r.binary("matmul", Var::matmul);
}
