//! Other arrangements of the same elements, and parts of them.

use super::sample::Case;

fn case(
    name: &'static str,
    shape: &[usize],
    f: impl Fn(&gradus_autograd::Var) -> gradus_tensor::Result<gradus_autograd::Var> + Sync + 'static,
) -> Case {
    // Squared, so that there is a second derivative to get right.
    Case::new(name, &[(shape, -2.0, 2.0)], move |v| f(&v[0])?.square())
}

pub fn cases() -> Vec<Case> {
    vec![
        case("broadcast_to", &[2, 1, 3], |x| x.broadcast_to([4, 2, 5, 3])),
        case("broadcast_to", &[], |x| x.broadcast_to([2, 2])),
        case("broadcast_to", &[1, 0], |x| x.broadcast_to([3, 0])),
        case("sum_to", &[4, 2, 3], |x| x.sum_to([2, 1])),
        case("sum_to", &[2, 2], |x| x.sum_to(())),
        case("sum_to", &[3, 0], |x| x.sum_to([1, 0])),
        case("sum_to", &[3, 0], |x| x.sum_to([3, 1])),
        case("expand", &[2, 1], |x| x.expand([3, -1, 4])),
        case("reshape", &[2, 6], |x| x.reshape([3, -1])),
        case("reshape", &[], |x| x.reshape([1, 1])),
        case("reshape", &[0, 3], |x| x.reshape([3, 0])),
        case("view", &[2, 6], |x| x.contiguous()?.view([4, 3])),
        case("flatten", &[2, 3, 2], |x| x.flatten(1, -1)),
        case("flatten", &[], |x| x.flatten(0, -1)),
        case("unflatten", &[2, 6], |x| x.unflatten(1, [2, 3])),
        case("squeeze", &[1, 3, 1], |x| x.squeeze(..)),
        case("squeeze", &[1, 3, 1], |x| x.squeeze(-1)),
        case("unsqueeze", &[2, 3], |x| x.unsqueeze(1)),
        case("permute", &[2, 3, 4], |x| x.permute(&[2, 0, -2])),
        case("permute", &[], |x| x.permute(&[])),
        case("transpose", &[2, 3, 4], |x| x.transpose(0, -1)),
        case("t", &[2, 3], |x| x.t()),
        case("mt", &[2, 3, 2], |x| x.mt()),
        case("movedim", &[2, 3, 4], |x| x.movedim([0, 1], [2, 0])),
        case("flip", &[2, 3], |x| x.flip([0, 1])),
        case("flip", &[0, 3], |x| x.flip(1)),
        case("narrow", &[4, 3], |x| x.narrow(0, 1, 2)),
        case("narrow", &[4, 3], |x| x.narrow(1, 0, 0)),
        case("select", &[4, 3], |x| x.select(0, -1)),
        case("select", &[4], |x| x.select(0, 2)),
        case("slice", &[7, 2], |x| x.slice(0, 1, -1, 2)),
        case("slice", &[0, 2], |x| x.slice(0, None, None, 3)),
        case("diagonal", &[3, 4], |x| x.diagonal(1, 0, 1)),
        case("diagonal", &[2, 3, 3], |x| x.diagonal(-1, -2, -1)),
        case("unfold", &[7, 2], |x| x.unfold(0, 3, 2)),
        case("unfold", &[6], |x| x.unfold(0, 4, 1)),
        case("unbind", &[3, 2], |x| x.unbind(0)?[1].mul(&x.unbind(0)?[2])),
        // Of storage that it makes itself, so that every layout of the samples has the same places.
        case("as_strided", &[5], |x| {
            x.mul_scalar(1.0)?.as_strided([3, 2], &[1, 2], Some(0))
        }),
        case("as_strided", &[2, 3], |x| {
            let wide = x.mul_scalar(1.0)?.expand([2, 2, 3])?;
            wide.as_strided([2, 2], &[3, 0], Some(1))
        }),
        case("as_strided", &[2, 3], |x| {
            x.mul_scalar(1.0)?.select(1, 2)?.as_strided([2], &[3], None)
        }),
        case("contiguous", &[3, 2], |x| x.t()?.contiguous()),
    ]
}
