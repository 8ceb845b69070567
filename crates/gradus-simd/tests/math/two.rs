//! `pow` and `atan2` against the standard library's in `f64`: special values with each other, and arguments over all exponents.
use crate::common::{Two, bits, spread, ulps};
use gradus_simd::{Float, IsaName, available, dispatch_on};

fn two<T: Float>(isa: IsaName, is_pow: bool, x: &[T], y: &[T]) -> Vec<T> {
    let mut z = vec![T::ZERO; x.len()];
    dispatch_on(isa, Two(is_pow, x, y, &mut z)).unwrap();
    z
}

fn pow_and_atan2<T: Float>(exact: impl Fn(bool, f64, f64) -> f64, bound: f64) {
    let specials = [
        0.0,
        1.0,
        0.5,
        2.0,
        3.0,
        2.5,
        1e30,
        1e-30,
        7e-46,
        33.0,
        1e9 + 1.0,
        0.999,
        f64::INFINITY,
        f64::NAN,
    ];
    let specials: Vec<f64> = specials.iter().flat_map(|&x| [x, -x]).collect();
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for &x in &specials {
        for &y in &specials {
            xs.push(T::from_f64(x));
            ys.push(T::from_f64(y));
        }
    }
    let wide = spread::<T>(40_000);
    for i in 0..20_000 {
        xs.push(wide[i]);
        ys.push(wide[i + 20_000]);
        xs.push(wide[i].abs()); // powers that neither overflow nor vanish
        ys.push(T::from_f64(
            ((i % 400) as f64 - 200.0) / (wide[i].abs().to_f64().ln().abs() + 0.01),
        ));
    }
    for is_pow in [true, false] {
        let scalar = two(IsaName::Scalar, is_pow, &xs, &ys);
        for &isa in available() {
            assert!(
                bits(&two(isa, is_pow, &xs, &ys)) == bits(&scalar),
                "{isa} differs from scalar"
            );
        }
        let mut largest = (0.0, 0);
        for i in 0..xs.len() {
            let want = exact(is_pow, xs[i].to_f64(), ys[i].to_f64());
            let error = ulps(scalar[i], want, 0.0);
            let signs =
                want != 0.0 || scalar[i].to_f64().is_sign_negative() == want.is_sign_negative();
            assert!(signs, "({}, {}) = {}, not {want}", xs[i], ys[i], scalar[i]);
            if error > largest.0 {
                largest = (error, i);
            }
        }
        let (error, i) = largest;
        let name = if is_pow { "pow" } else { "atan2" };
        println!(
            "{name:9} {} bits: {error:.3} ULP at {:e}, {:e}",
            T::MANTISSA_BITS,
            xs[i],
            ys[i]
        );
        assert!(
            error <= bound,
            "{name}: {error} ULP at {:e}, {:e}: {:e}",
            xs[i],
            ys[i],
            scalar[i]
        );
    }
}

#[test]
fn two_arguments() {
    let exact = |is_pow: bool, x: f64, y: f64| if is_pow { x.powf(y) } else { x.atan2(y) };
    pow_and_atan2::<f32>(exact, 1.0);
    // The reference itself is only within an ULP here.
    pow_and_atan2::<f64>(exact, 1.0);
}
