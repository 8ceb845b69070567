//! Every backend against plain Rust, operation by operation, and the slice helpers for every tail length.

use gradus_simd::{
    Float, FloatVec, IntVec, Isa, Kernel, MaskVec, Table, available, dispatch_on, slices,
};

/// Interesting arguments: zeros, infinities, NaN, subnormals, halves, large and small.
fn points<T: Float>() -> Vec<T> {
    let mut points = vec![
        0.0,
        1.0,
        0.5,
        1.5,
        2.5,
        3.49,
        1e-3,
        0.1,
        1e30,
        7.0,
        123_456.7,
        2_147_483.0,
        1e-40,
        5e-324,
    ];
    points.extend([
        f64::INFINITY,
        T::MAX.to_f64(),
        T::MIN_POSITIVE.to_f64(),
        T::EPSILON.to_f64(),
        8_388_607.5,
    ]);
    let mut points: Vec<T> = points
        .iter()
        .flat_map(|&x| [T::from_f64(x), T::from_f64(-x)])
        .collect();
    points.push(T::NAN);
    points
}

/// Equal bits, or both NaN.
fn same<T: Float>(a: T, b: T) -> bool {
    (a.is_nan() && b.is_nan()) || (a == b && (T::ONE / a == T::ONE / b || a != T::ZERO))
}

struct Lanewise<'a, T>(&'a [T], &'a [T], &'a [T]);

impl<T: Float> Kernel for Lanewise<'_, T> {
    /// One row per operation.
    type Output = Vec<Vec<T>>;
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> Self::Output {
        let Self(a, b, c) = self;
        let lanes = T::V::<S>::LANES;
        let table: [T; 16] = std::array::from_fn(|i| T::from_f64(i as f64 * 1.5));
        let columns =
            std::array::from_fn(|k| std::array::from_fn(|i| T::from_f64((32 * k + i) as f64)));
        let columns = Table::new(columns);
        let mut rows = Vec::new();
        let mut at = 0;
        while at < a.len() {
            let end = (at + lanes).min(a.len());
            let load = |x: &[T]| T::V::<S>::load_tail(isa, &x[at..end], T::ONE);
            let (a, b, c) = (load(a), load(b), load(c));
            let (one, zero) = (T::V::<S>::splat(isa, T::ONE), T::V::<S>::zero(isa));
            let flag = |m| T::V::<S>::select(m, one, zero);
            let small =
                T::V::<S>::select(a.abs().lt(T::V::<S>::splat(isa, T::from_f64(1e6))), a, one);
            let seven = <T::V<S> as FloatVec<S, T>>::Int::splat(isa, T::int(7));
            let bits = a.to_bits();
            type V<S, T> = <T as Float>::V<S>;
            let results = [
                a + b,
                a - b,
                a * b,
                a / b,
                -a,
                a.mul_add(b, c),
                a.neg_mul_add(b, c),
                a.mul_sub(b, c),
                a.abs().sqrt(),
                a.abs(),
                a.floor(),
                a.ceil(),
                a.trunc(),
                a.round_ties_even(),
                a.min(b),
                a.max(b),
                a.copysign(b),
                flag(a.eq(b)),
                flag(a.ne(b)),
                flag(a.lt(b)),
                flag(a.le(b)),
                flag(a.gt(b)),
                flag(a.ge(b)),
                flag(a.is_nan()),
                V::<S, T>::from_int(small.to_int_round()),
                V::<S, T>::from_int((bits.shr_logical(24) + seven).shr(2)),
                V::<S, T>::from_int(bits.shr(25)),
                V::<S, T>::from_bits(bits.shl(3) ^ (bits & seven)),
                V::<S, T>::from_bits(!(bits | seven) - seven),
                flag(bits.gt(b.to_bits())),
                flag(bits.eq(b.to_bits())),
                a.map_where(isa, a.lt(b) & !a.eq(c), |x| x + T::ONE),
                V::<S, T>::lookup(isa, &table, bits.shr_logical(20)),
                a.at_least(b),
                a.at_most(b),
            ];
            rows.resize(results.len() + 8, Vec::new());
            let looked_up = V::<S, T>::rows(isa, &columns, bits.shr_logical(20));
            for (row, r) in rows.iter_mut().zip(results.into_iter().chain(looked_up)) {
                row.extend_from_slice(&r.to_array().as_ref()[..end - at]);
            }
            at = end;
        }
        rows
    }
}

fn lanewise_agrees<T: Float>() {
    let points = points::<T>();
    let n = points.len();
    let mut args = [Vec::new(), Vec::new(), Vec::new()];
    for i in 0..n * n {
        args[0].push(points[i % n]);
        args[1].push(points[i / n]);
        args[2].push(points[(i * 7 + i / n) % n]);
    }
    let run = |isa| dispatch_on(isa, Lanewise(&args[0], &args[1], &args[2])).unwrap();
    let reference = run(available()[0]);
    for &isa in available() {
        for (op, (got, want)) in run(isa).iter().zip(&reference).enumerate() {
            assert_eq!(got.len(), n * n);
            for i in 0..n * n {
                let (a, b, c) = (args[0][i], args[1][i], args[2][i]);
                assert!(
                    same(got[i], want[i]),
                    "{isa}: op {op} of {a}, {b}, {c}: {} is not {}",
                    got[i],
                    want[i]
                );
            }
        }
    }
}

#[test]
fn every_backend_agrees_with_scalar_bit_for_bit() {
    lanewise_agrees::<f32>();
    lanewise_agrees::<f64>();
}

struct Reductions<T>(std::marker::PhantomData<T>);

impl<T: Float> Kernel for Reductions<T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let lanes = T::V::<S>::LANES;
        let x: Vec<T> = (0..lanes)
            .map(|i| T::from_f64((i * 5 % lanes) as f64 - 1.0))
            .collect();
        let v = T::V::<S>::load(isa, &x);
        let sum: f64 = x.iter().map(|x| x.to_f64()).sum();
        assert_eq!(v.reduce_sum().to_f64(), sum);
        assert_eq!(v.reduce_max().to_f64(), lanes as f64 - 2.0);
        assert_eq!(v.reduce_min().to_f64(), -1.0);
        for i in 0..lanes {
            let mut x = x.clone();
            x[i] = T::NAN;
            let v = T::V::<S>::load(isa, &x);
            assert!(v.reduce_max().is_nan() && v.reduce_min().is_nan() && v.reduce_sum().is_nan());
            assert_eq!(v.is_nan().to_bits(), 1 << i);
            assert!(v.is_nan().any() && (v.is_nan().all() == (lanes == 1)));
        }
        assert!(!v.is_nan().any() && v.eq(v).all());
        // Streaming stores need alignment; each f32 conversion to f64 and back is exact.
        let mut room = vec![T::ZERO; 64];
        let skip = room.as_ptr().align_offset(64);
        // SAFETY: 64-byte aligned, and at least 32 elements follow.
        unsafe { v.stream_ptr(room.as_mut_ptr().add(skip)) };
        isa.fence();
        isa.prefetch(room.as_ptr());
        assert!(x.iter().zip(&room[skip..]).all(|(a, b)| a == b));
        let f: Vec<f32> = (0..S::F32::LANES).map(|i| i as f32 * 1.1).collect();
        let (low, high) = isa.widen(S::F32::load(isa, &f));
        assert_eq!(isa.narrow(low, high).to_array().as_ref(), f);
        for (i, &x) in low.to_array().as_ref().iter().enumerate() {
            assert_eq!(x, f64::from(f[i]));
        }
    }
}

#[test]
fn reductions_masks_and_conversions() {
    for &isa in available() {
        dispatch_on(isa, Reductions::<f32>(std::marker::PhantomData)).unwrap();
        dispatch_on(isa, Reductions::<f64>(std::marker::PhantomData)).unwrap();
    }
}

struct Slices<'a, T>(&'a [T], &'a [T], &'a mut [T]);

impl<T: Float> Kernel for Slices<'_, T> {
    type Output = T;
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> T {
        let Self(a, b, y) = self;
        slices::zip_map::<S, T>(isa, a, b, y, |a, b| a * b);
        slices::map_in_place::<S, T>(isa, y, |y| -y);
        slices::zip_map_in_place::<S, T>(isa, y, a, |y, a| y + a);
        slices::fold::<S, T>(isa, y, T::ZERO, |s, x| s + x, |s, x| s + x)
    }
}

fn tails<T: Float>() {
    let a: Vec<T> = (0..400).map(|i| T::from_f64(f64::from(i))).collect();
    let b: Vec<T> = (0..400)
        .map(|i| T::from_f64(f64::from(i % 7) - 3.0))
        .collect();
    let boundary = a.as_ptr().align_offset(64);
    for &isa in available() {
        for n in 0..=257 {
            for offset in [0, 1, 3] {
                let skip = boundary + offset;
                let guard = T::from_f64(-99.0);
                let mut y = vec![guard; n + skip + 1];
                let sum = dispatch_on(
                    isa,
                    Slices(
                        &a[skip..skip + n],
                        &b[skip..skip + n],
                        &mut y[skip..skip + n],
                    ),
                )
                .unwrap();
                let mut want = 0.0;
                for i in skip..skip + n {
                    let y_i = a[i].to_f64() - a[i].to_f64() * b[i].to_f64();
                    assert_eq!(
                        y[i].to_f64(),
                        y_i,
                        "{isa} length {n} offset {offset} at {i}"
                    );
                    want += y_i;
                }
                assert_eq!(sum.to_f64(), want, "{isa} length {n}");
                assert!(
                    y[..skip].iter().chain(&y[skip + n..]).all(|&x| x == guard),
                    "{isa}: wrote outside"
                );
            }
        }
    }
}

#[test]
fn slice_helpers_for_every_tail_length() {
    tails::<f32>();
    tails::<f64>();
}

#[test]
fn an_isa_can_be_forced_for_a_while() {
    use gradus_simd::{IsaName, current, dispatch, with_isa};
    struct Name;
    impl Kernel for Name {
        type Output = &'static str;
        #[inline(always)]
        fn run<S: Isa>(self, _: S) -> &'static str {
            S::NAME
        }
    }
    for &isa in available() {
        let seen = with_isa(isa, || {
            // On other threads too.
            let other = std::thread::spawn(|| dispatch(Name)).join().unwrap();
            (current(), dispatch(Name), other)
        });
        // The vectors beside AMX's tiles are those of AVX-512.
        let name = match isa {
            IsaName::Amx => "avx512",
            _ => isa.as_str(),
        };
        assert_eq!(seen, Ok((isa, name, name)));
        // A panic inside leaves things as they were, and the next turn works.
        assert!(std::panic::catch_unwind(|| with_isa(isa, || panic!("on purpose"))).is_err());
    }
    let best = *available().last().unwrap();
    assert_eq!(with_isa(best, || ()), Ok(()));
    // Nobody else in this binary forces one, so this is what the environment chose.
    assert_eq!(current(), gradus_simd::init().unwrap_or(best));
}

#[test]
fn the_choice_of_isa_is_checked() {
    use gradus_simd::{IsaName, UnavailableIsa, current, with_isa};
    assert_eq!(available()[0], IsaName::Scalar);
    assert!(available().contains(&current()));
    assert!(
        "sse9"
            .parse::<IsaName>()
            .unwrap_err()
            .to_string()
            .contains("scalar, avx2, avx512, amx or neon")
    );
    let missing = if cfg!(target_arch = "aarch64") {
        IsaName::Avx2
    } else {
        IsaName::Neon
    };
    let error = dispatch_on(missing, Reductions::<f32>(std::marker::PhantomData)).unwrap_err();
    assert_eq!(error, UnavailableIsa(missing));
    assert_eq!(with_isa(missing, || ()), Err(UnavailableIsa(missing)));
    assert!(error.to_string().contains("available: scalar"));
}

/// Turns over one tile and says whether every element came where it belongs and nothing else was touched.
struct Transpose {
    stream: bool,
}

impl Kernel for Transpose {
    type Output = bool;
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> bool {
        let (n, src_step, dst_step) = (S::TILE, 37, 48);
        let src: Vec<f32> = (0..n * src_step).map(|i| i as f32).collect();
        let mut room = vec![-1.0f32; n * dst_step + 16];
        let skip = room.as_ptr().align_offset(64);
        let dst = &mut room[skip..skip + n * dst_step];
        // SAFETY: the last row of each begins below its length by more than a tile, and rows of `dst` begin on lines.
        unsafe {
            isa.transpose_tile(
                src.as_ptr(),
                src_step,
                dst.as_mut_ptr(),
                dst_step,
                self.stream,
            );
        }
        isa.fence();
        (0..n).all(|i| {
            (0..dst_step).all(|j| {
                let want = if j < n { src[j * src_step + i] } else { -1.0 };
                dst[i * dst_step + j] == want
            })
        })
    }
}

#[test]
fn tiles_are_turned_over() {
    for &isa in available() {
        for stream in [false, true] {
            assert_eq!(dispatch_on(isa, Transpose { stream }), Ok(true), "{isa}");
        }
    }
}

struct Halves<'a, T>(&'a [T]);

impl<T: Float> Kernel for Halves<'_, T> {
    type Output = [Vec<T>; 4];
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> Self::Output {
        let lanes = T::V::<S>::LANES;
        let load = |at: usize| T::V::<S>::load(isa, &self.0[at..]);
        let (even, odd) = load(0).deinterleave(load(lanes));
        let (first, second) = even.interleave(odd);
        [even, odd, first, second].map(|x| x.to_array().as_ref().to_vec())
    }
}

fn deinterleaves<T: Float>() {
    let x: Vec<T> = (0..32).map(|i| T::from_f64(f64::from(i))).collect();
    for &isa in available() {
        let [even, odd, first, second] = dispatch_on(isa, Halves(&x)).unwrap();
        for (i, (&even, &odd)) in even.iter().zip(&odd).enumerate() {
            assert_eq!((even, odd), (x[2 * i], x[2 * i + 1]), "{isa}");
        }
        let both = [first, second].concat();
        assert_eq!(both, x[..both.len()], "{isa}");
    }
}

#[test]
fn even_and_odd_elements_come_apart_and_together() {
    deinterleaves::<f32>();
    deinterleaves::<f64>();
}

/// All bf16 widened, and some `f32` rounded to bf16.
struct Sixteens<'a>(&'a [u16], &'a [f32]);

impl Kernel for Sixteens<'_> {
    type Output = (Vec<u32>, Vec<u16>);
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> Self::Output {
        let Self(halves, floats) = self;
        let lanes = S::F32::LANES;
        let (mut wide, mut near) = (vec![0.0; halves.len()], vec![0; floats.len()]);
        assert!(halves.len().is_multiple_of(lanes) && floats.len().is_multiple_of(lanes));
        // SAFETY: whole vectors fill both.
        unsafe {
            for i in (0..halves.len()).step_by(lanes) {
                isa.load_bf16(halves.as_ptr().add(i)).store(&mut wide[i..]);
            }
            for i in (0..floats.len()).step_by(lanes) {
                isa.store_bf16(S::F32::load(isa, &floats[i..]), near.as_mut_ptr().add(i));
            }
        }
        (wide.into_iter().map(f32::to_bits).collect(), near)
    }
}

#[test]
fn bf16_is_widened_and_rounded() {
    let halves: Vec<u16> = (0..=u16::MAX).collect();
    // Around every bf16: itself, just below and above half way to the next, and half way.
    let around = |h: &u16| {
        let bits = u32::from(*h) << 16;
        [0, 0x7fff, 0x8000, 0x8001].map(|low| f32::from_bits(bits | low))
    };
    let floats: Vec<f32> = halves.iter().flat_map(around).collect();
    let nearest = |x: &f32| {
        let (bits, high) = (x.to_bits(), (x.to_bits() >> 16) as u16);
        let low = bits & 0xffff;
        let up = low > 0x8000 || low == 0x8000 && high & 1 == 1;
        if x.is_nan() {
            high | 0x40
        } else {
            high + u16::from(up)
        }
    };
    let wide: Vec<u32> = halves.iter().map(|&h| u32::from(h) << 16).collect();
    let near: Vec<u16> = floats.iter().map(nearest).collect();
    for &isa in available() {
        let (w, n) = dispatch_on(isa, Sixteens(&halves, &floats)).unwrap();
        assert!(w == wide && n == near, "{isa}");
    }
}
