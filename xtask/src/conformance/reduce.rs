//! Reductions, scans and sorts, by PyTorch's names.

use super::registry::Registry;

pub fn register(r: &mut Registry) {
    r.op("sum", |a| {
        Ok(a.var(0)?
            .sum(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
}
