//! Views, indexing, joining and creation, by PyTorch's names.

use super::registry::Registry;

pub fn register(r: &mut Registry) {
    r.op("reshape", |a| {
        Ok(a.var(0)?.reshape(&a.ints(1, "shape")?[..])?)
    });
}
