//! Products.

use gradus_autograd::Var;
use gradus_tensor::Result;

use super::sample::Case;

fn matmul(a: &[usize], b: &[usize]) -> Case {
    two("matmul", a, b, Var::matmul)
}

fn two(name: &'static str, a: &[usize], b: &[usize], f: fn(&Var, &Var) -> Result<Var>) -> Case {
    Case::new(name, &[(a, -2.0, 2.0), (b, -2.0, 2.0)], move |v| {
        f(&v[0], &v[1])
    })
}

fn three(
    name: &'static str,
    shapes: [&[usize]; 3],
    f: fn(&Var, &Var, &Var) -> Result<Var>,
) -> Case {
    let [x, a, b] = shapes.map(|s| (s, -2.0, 2.0));
    Case::new(name, &[x, a, b], move |v| f(&v[0], &v[1], &v[2]))
}

/// Squared, so that there is a second derivative to get right.
fn einsum(equation: &'static str, shapes: &[&[usize]]) -> Case {
    let inputs: Vec<_> = shapes.iter().map(|&s| (s, -2.0, 2.0)).collect();
    Case::new("einsum", &inputs, move |v| {
        Var::einsum(equation, &v.iter().collect::<Vec<_>>())?.square()
    })
}

fn cdist(p: f64, a: &[usize], b: &[usize]) -> Case {
    // Apart, so that no difference is near a kink; and of other widths, so that no two are equal.
    Case::new("cdist", &[(a, -2.0, 0.0), (b, 1.0, 3.7)], move |v| {
        v[0].cdist(&v[1], p)
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
        three("linear", [&[2, 3], &[4, 3], &[4]], |x, w, b| {
            x.linear(w, Some(b))
        }),
        three("linear", [&[3], &[4, 3], &[1]], |x, w, b| {
            x.linear(w, Some(b))
        }),
        two("linear", &[2, 1, 3], &[2, 3], |x, w| x.linear(w, None)),
        two("linear", &[2, 3], &[3], |x, w| x.linear(w, None)),
        two("linear", &[0, 3], &[2, 3], |x, w| x.linear(w, None)),
        two("mm", &[2, 3], &[3, 2], Var::mm),
        two("bmm", &[2, 2, 3], &[2, 3, 2], Var::bmm),
        two("mv", &[2, 3], &[3], Var::mv),
        two("dot", &[3], &[3], Var::dot),
        two("outer", &[3], &[2], Var::outer),
        two("inner", &[2, 3], &[2, 2, 3], Var::inner),
        two("inner", &[], &[2, 3], Var::inner),
        two("linalg_vecdot", &[2, 3], &[3], |a, b| {
            a.linalg_vecdot(b, -1)
        }),
        two("linalg_vecdot", &[2, 1], &[1, 3], |a, b| {
            a.linalg_vecdot(b, 0)
        }),
        three("addmm", [&[2, 3], &[2, 2], &[2, 3]], |x, a, b| {
            x.addmm(a, b, 0.5, 2.0)
        }),
        three("addmm", [&[1], &[2, 0], &[0, 3]], |x, a, b| {
            x.addmm(a, b, 1.0, 1.0)
        }),
        three(
            "baddbmm",
            [&[2, 1, 3], &[2, 3, 3], &[2, 3, 3]],
            |x, a, b| x.baddbmm(a, b, 1.0, 1.0),
        ),
        three("addbmm", [&[3], &[2, 2, 3], &[2, 3, 3]], |x, a, b| {
            x.addbmm(a, b, -1.0, 0.5)
        }),
        three("addmv", [&[2], &[2, 3], &[3]], |x, a, v| {
            x.addmv(a, v, 0.0, 2.0)
        }),
        three("addr", [&[], &[2], &[3]], |x, u, v| x.addr(u, v, 2.0, 3.0)),
        two("tensordot", &[2, 3, 2], &[2, 2], |a, b| {
            a.tensordot(b, ([0, -1], [1, 0]))
        }),
        two("tensordot", &[2, 3], &[3, 2], |a, b| {
            a.tensordot(b, 2).or_else(|_| a.tensordot(b, 1))
        }),
        two("tensordot", &[2, 1], &[3, 2], |a, b| a.tensordot(b, 1)),
        two("kron", &[2, 3], &[2], Var::kron),
        two("kron", &[], &[2, 2], Var::kron),
        two("cross", &[2, 3], &[1, 3], |a, b| a.cross(b, None)),
        two("linalg_cross", &[3, 2], &[3, 1], |a, b| {
            a.linalg_cross(b, 0)
        }),
        two("linalg_multi_dot", &[2, 3], &[3, 2], |a, b| {
            Var::linalg_multi_dot(&[a, b, a])
        }),
        two("linalg_multi_dot", &[3], &[3, 3], |a, b| {
            Var::linalg_multi_dot(&[a, b, b, a])
        }),
        einsum("ij,jk->ik", &[&[2, 3], &[3, 2]]),
        einsum("i,j,ij->", &[&[2], &[3], &[2, 3]]),
        einsum("bij,bjk,k", &[&[2, 2, 3], &[2, 3, 2], &[2]]),
        einsum("iji->j", &[&[2, 3, 2]]),
        einsum("...ij,...j->...i", &[&[2, 1, 2, 3], &[3, 3]]),
        einsum(" i j , k j -> i k ", &[&[2, 3], &[1, 3]]),
        einsum("ij,ij->ij", &[&[2, 1], &[2, 3]]),
        einsum("ij,jk->ik", &[&[2, 0], &[0, 3]]),
        einsum("->", &[&[]]),
        einsum("i...->...", &[&[2, 3]]),
        cdist(2.0, &[3, 2], &[2, 2]),
        cdist(2.0, &[2, 1, 2], &[3, 2]),
        cdist(1.0, &[2, 3], &[2, 3]),
        cdist(0.0, &[2, 3], &[2, 3]),
        cdist(0.5, &[2, 3], &[2, 3]),
        cdist(3.0, &[2, 3], &[2, 2, 3]),
        cdist(f64::INFINITY, &[2, 3], &[2, 3]),
        cdist(2.0, &[0, 3], &[2, 3]),
        cdist(1.5, &[2, 0], &[2, 0]),
    ]
}
