//! Products.

use gradus_autograd::Var;
use gradus_tensor::Result;

use super::sample::Case;

fn matmul(a: &[usize], b: &[usize]) -> Case {
    Case::new("matmul", &[(a, -2.0, 2.0), (b, -2.0, 2.0)], |v| {
        v[0].matmul(&v[1])
    })
}

fn two(name: &'static str, a: &[usize], b: &[usize], f: fn(&Var, &Var) -> Result<Var>) -> Case {
    Case::new(name, &[(a, -2.0, 2.0), (b, -2.0, 2.0)], move |v| {
        f(&v[0], &v[1])
    })
}

pub fn cases() -> Vec<Case> {
    vec![
        matmul(&[2, 3], &[3, 4]),
        matmul(&[3], &[3]),
        matmul(&[3], &[3, 2]),
        matmul(&[2, 3], &[3]),
        matmul(&[3], &[2, 3, 2]),
        matmul(&[2, 2, 3], &[3]),
        matmul(&[2, 2, 3], &[3, 2]),
        matmul(&[2, 3], &[2, 3, 2]),
        matmul(&[2, 1, 2, 3], &[3, 3, 2]),
        matmul(&[0, 3], &[3, 2]),
        matmul(&[2, 0], &[0, 3]),
        matmul(&[2, 0, 3], &[3, 2]),
        two("mm", &[2, 3], &[3, 2], Var::mm),
        two("bmm", &[2, 2, 3], &[2, 3, 2], Var::bmm),
        two("mv", &[2, 3], &[3], Var::mv),
        two("dot", &[3], &[3], Var::dot),
        two("outer", &[3], &[2], Var::outer),
        two("inner", &[2, 3], &[2, 2, 3], Var::inner),
        two("vecdot", &[2, 3], &[3], |a, b| a.vecdot(b, -1)),
        two("addmm", &[2, 3], &[3, 3], |a, b| a.addmm(a, b, 0.5, 2.0)),
        two("baddbmm", &[2, 3, 3], &[2, 3, 3], |a, b| {
            a.baddbmm(a, b, 1.0, 1.0)
        }),
        two("addmv", &[3], &[3, 3], |a, b| a.addmv(b, a, 0.0, 2.0)),
        two("tensordot", &[2, 3, 4], &[4, 2], |a, b| {
            a.tensordot(b, (&[0, -1], &[1, 0]))
        }),
        two("kron", &[2, 3], &[2], Var::kron),
        two("cross", &[2, 3], &[3, 1], |a, b| a.cross(&b.t()?, 1)),
        two("multi_dot", &[2, 3], &[3, 2], |a, b| {
            Var::multi_dot(&[a, b, a])
        }),
    ]
}
