//! Reductions.

use gradus_autograd::Var;
use gradus_tensor::{Dims, Result};

use super::sample::Case;

/// A reduction over one, two and all dimensions, with and without keeping them, of a cube, a number, and nothing.
fn reduction(name: &'static str, f: fn(&Var, Dims, bool) -> Result<Var>) -> Vec<Case> {
    let case = |shape: &[usize], dims: Dims, keep: bool| {
        Case::new(name, &[(shape, 0.4, 2.0)], move |v| {
            f(&v[0], dims.clone(), keep)?.square()
        })
    };
    vec![
        case(&[2, 3, 2], Dims::from(1), false),
        case(&[2, 3, 2], Dims::from([0, -1]), true),
        case(&[2, 3, 2], Dims::from(..), false),
        case(&[2, 0, 2], Dims::from(0), false),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(reduction("sum", |x, d, k| x.sum(d, k)));
    all.extend(reduction("mean", |x, d, k| x.mean(d, k)));
    all.extend(
        reduction("amax", |x, d, k| x.amax(d, k))
            .into_iter()
            .take(3),
    ); // nothing has no largest
    for (name, f) in [
        ("sum", Var::sum as fn(&Var, Dims, bool) -> Result<Var>),
        ("mean", Var::mean),
    ] {
        all.push(Case::new(name, &[(&[], 0.4, 2.0)], move |v| {
            f(&v[0], Dims::from(..), false)
        }));
    }
    all
}
