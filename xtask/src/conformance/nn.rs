//! Layers and losses as functions, by PyTorch's names.

use gradus_autograd::Var;

use super::registry::Registry;

pub fn register(r: &mut Registry) {
    r.unary("nn.functional.relu", Var::relu);
}
