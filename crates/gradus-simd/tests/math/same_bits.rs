//! Every function of the vector maths on every instruction set, for every tail length, aligned and not: bit for bit what the
//! scalar path gives (NaN payloads aside), and nothing written beside the output.
use crate::common::{Apply, Function, Two, bits, spread};
use gradus_simd::{Float, IsaName, available, dispatch_on};

/// How many elements of `data` to skip so that what follows lies `offset` elements past a 64-byte boundary.
fn place<T>(data: &[T], offset: usize) -> usize {
    data.as_ptr().align_offset(64) + offset
}

/// `data` again, `offset` elements past a boundary; the second value says where it begins.
fn placed<T: Float>(data: &[T], offset: usize) -> (Vec<T>, usize) {
    let mut room = vec![T::ZERO; data.len() + 64];
    let at = place(&room, offset);
    room[at..at + data.len()].copy_from_slice(data);
    (room, at)
}

/// `run(isa, x, y, z)` computes `z[i]` from `x[i]` and `y[i]`.
fn agrees<T: Float>(name: &str, x: &[T], y: &[T], run: &dyn Fn(IsaName, &[T], &[T], &mut [T])) {
    let guard = T::from_f64(-99.0);
    let mut scalar = vec![T::ZERO; x.len()];
    run(IsaName::Scalar, x, y, &mut scalar);
    let scalar = bits(&scalar);
    for &isa in available() {
        let mut z = vec![T::ZERO; x.len()];
        run(isa, x, y, &mut z);
        let differs = bits(&z).iter().zip(&scalar).position(|(a, b)| a != b);
        assert_eq!(differs.map(|i| (x[i], y[i])), None, "{isa} {name}");
        // Inputs and output both on a boundary, both off it, and each at a place of its own.
        for (from, to) in [(0, 0), (1, 1), (3, 5)] {
            let ((x, ax), (y, ay)) = (placed(&x[..257], from), placed(&y[..257], from));
            let mut z = vec![guard; 257 + 2 * 64];
            let at = place(&z, to);
            for n in 0..=257 {
                z.fill(guard);
                run(isa, &x[ax..ax + n], &y[ay..ay + n], &mut z[at..at + n]);
                assert_eq!(
                    bits(&z[at..at + n]),
                    scalar[..n],
                    "{isa} {name}: length {n}, places {from} and {to}"
                );
                let beside = z[..at].iter().chain(&z[at + n..]);
                assert!(
                    beside.copied().all(|z| z == guard),
                    "{isa} {name}: length {n} wrote beside its output"
                );
            }
        }
    }
}

fn every_function<T: Float>() {
    let (x, y) = (spread::<T>(20_000), spread::<T>(40_000));
    let y = &y[20_000..];
    for &f in Function::ALL {
        agrees(f.name(), &x, y, &|isa, x, _, z| {
            dispatch_on(isa, Apply(f, x, z)).unwrap();
        });
    }
    for (name, is_pow) in [("pow", true), ("atan2", false)] {
        agrees(name, &x, y, &|isa, x, y, z| {
            dispatch_on(isa, Two(is_pow, x, y, z)).unwrap();
        });
    }
}

#[test]
fn f32_on_every_isa_tail_and_alignment() {
    every_function::<f32>();
}

#[test]
fn f64_on_every_isa_tail_and_alignment() {
    every_function::<f64>();
}
