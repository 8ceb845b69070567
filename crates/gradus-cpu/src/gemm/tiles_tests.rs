//! The AMX engine against the reference, on every tail and layout; its error beside that of fused multiply-adds; what it leaves to
//! vectors; and the same bits for any number of threads. Without AMX these tests say so and pass.

use gradus_simd::{IsaName, available};

use super::blocked::{Job, blocked_by};
use super::tests::{LAYOUTS, Layout, assert_close, numbers, operand};
use super::tiling::Engine;
use super::*;

fn no_tiles() -> bool {
    let missing = !available().contains(&IsaName::Amx);
    if missing {
        eprintln!("skipped: no AMX");
    }
    missing
}

/// `C = epilogue(alpha·A·B + beta·C)` by one engine; C is row-major.
fn product(
    engine: Engine,
    (a, b): (MatRef<'_, f32>, MatRef<'_, f32>),
    (alpha, beta): (f32, f32),
    c: &mut [f32],
    epilogue: &Epilogue<'_, f32>,
) {
    let mut c = MatMut::row_major(c, a.rows(), b.cols()).unwrap();
    let out = Out::matrix(&mut c);
    let isa = IsaName::Amx;
    blocked_by(
        engine,
        &Job {
            a,
            b: &b,
            alpha,
            beta,
            out: &out,
            epilogue,
            isa,
            done: None,
        },
    );
}

fn case((m, n, k): (usize, usize, usize), layouts: (Layout, Layout), mode: usize) {
    let (x, y) = (numbers(3 * m * k + 3, 1), numbers(3 * n * k + 3, 2));
    let (a, b) = (operand(&x, m, k, layouts.0), operand(&y, k, n, layouts.1));
    let (bias, residual) = (numbers::<f32>(n, 5), numbers::<f32>(m * n, 6));
    let scale = [(1.0, 0.0), (1.0, 1.0), (0.5, -2.0)][mode % 3];
    let epilogue = match mode % 2 {
        0 => Epilogue::default(),
        _ => Epilogue {
            bias: Bias::Column(&bias),
            residual: Some(&residual),
            activation: Activation::Gelu,
        },
    };
    let old = if scale.1 == 0.0 {
        vec![f32::NAN; m * n]
    } else {
        numbers(m * n, 3)
    };
    let (mut got, mut want) = (old.clone(), old);
    product(Engine::Tiles, (a, b), scale, &mut got, &epilogue);
    let c = MatMut::row_major(&mut want, m, n).unwrap();
    gemm_reference(scale.0, a, b, scale.1, c, &epilogue).unwrap();
    assert_close(
        &got,
        &want,
        k,
        &format!("{m}x{n}x{k} {layouts:?} mode {mode}"),
    );
}

#[test]
fn every_tail_and_layout() {
    if no_tiles() {
        return;
    }
    for m in [1, 15, 16, 17, 32, 33, 65] {
        for n in [1, 16, 31, 32, 33, 48, 70] {
            for k in [1, 2, 15, 31, 32, 33, 63, 65] {
                case((m, n, k), (Layout::Rows, Layout::Rows), m + n + k);
            }
        }
    }
    for la in LAYOUTS {
        for lb in LAYOUTS {
            case((37, 50, 71), (la, lb), 0);
            case((50, 21, 33), (la, lb), 5);
        }
    }
    // Several blocks of k, tiles and stripes.
    case((300, 520, 1100), (Layout::Rows, Layout::Rows), 0);
    case((290, 100, 600), (Layout::Columns, Layout::Columns), 1);
    case((70, 1100, 530), (Layout::Rows, Layout::Columns), 5);
}

/// A standard normal number from two uniform ones in [-1, 1).
fn normal(u: f64, v: f64) -> f64 {
    (-2.0 * (u.abs() + 1e-12).ln()).sqrt() * (std::f64::consts::PI * v).cos()
}

/// A kind of numbers: what element `p` of a line of k is made of.
type Made = fn(p: usize, k: usize, [f64; 4]) -> f64;

const KINDS: [(&str, Made); 6] = [
    ("normal", |_, _, [u, v, ..]| normal(u, v)),
    ("uniform in 0..1", |_, _, [u, ..]| u.abs()),
    ("after ReLU", |_, _, [u, v, ..]| normal(u, v).max(0.0)),
    ("normal, scaled by exp(normal)", |_, _, [u, v, s, t]| {
        normal(u, v) * normal(s, t).exp()
    }),
    ("normal, scaled by exp(3 normal)", |_, _, [u, v, s, t]| {
        normal(u, v) * (3.0 * normal(s, t)).exp()
    }),
    ("falling along k by exp(20)", |p, k, [u, v, ..]| {
        normal(u, v) * (-20.0 * p as f64 / k as f64).exp()
    }),
];

/// Root mean square of the error against f64, in units of `2⁻²⁴·Σ|aᵢ·bᵢ|/√k`.
fn error(c: &[f32], a: &[f32], b: &[f32], (m, n, k): (usize, usize, usize)) -> f64 {
    let mut sum = 0.0;
    for i in 0..m {
        for j in 0..n {
            let (mut exact, mut size) = (0.0f64, 0.0f64);
            for p in 0..k {
                let x = f64::from(a[i * k + p]) * f64::from(b[j * k + p]);
                exact += x;
                size += x.abs();
            }
            let off = (f64::from(c[i * n + j]) - exact) / (size / (k as f64).sqrt());
            sum += off * off;
        }
    }
    (sum / (m * n) as f64).sqrt() * 2f64.powi(24)
}

#[test]
fn the_error_is_below_that_of_fused_multiply_adds() {
    if no_tiles() {
        return;
    }
    println!(
        "{:34} {:>6} {:>8} {:>8}",
        "numbers", "K", "vectors", "tiles"
    );
    for (kind, made) in KINDS {
        for k in [32, 200, 512, 1024, 4096, 16384] {
            let (m, n) = (40, 40);
            let line = |seed: u64| -> Vec<f32> {
                let u = numbers::<f64>(4 * m * k, seed);
                (0..m * k)
                    .map(|i| {
                        made(
                            i % k,
                            k,
                            [u[4 * i], u[4 * i + 1], u[4 * i + 2], u[4 * i + 3]],
                        ) as f32
                    })
                    .collect()
            };
            let (x, y) = (line(11), line(12));
            let a = MatRef::row_major(&x, m, k).unwrap();
            let b = MatRef::row_major(&y, n, k).unwrap().t();
            let of = |engine| {
                let mut c = vec![0.0; m * n];
                product(engine, (a, b), (1.0, 0.0), &mut c, &Epilogue::default());
                error(&c, &x, &y, (m, n, k))
            };
            let (vectors, tiles) = (of(Engine::Vectors), of(Engine::Tiles));
            println!("{kind:34} {k:>6} {vectors:>8.3} {tiles:>8.3}");
            assert!(tiles <= vectors, "{kind}, K = {k}: {tiles} > {vectors}");
        }
    }
}

/// Both engines agree: the same NaN and infinities, finite numbers close.
fn assert_alike(x: &[f32], y: &[f32], (m, n, k): (usize, usize, usize), what: &str) {
    let a = MatRef::row_major(x, m, k).unwrap();
    let b = MatRef::row_major(y, k, n).unwrap();
    let of = |engine| {
        let mut c = vec![0.0; m * n];
        product(engine, (a, b), (1.0, 0.0), &mut c, &Epilogue::default());
        c
    };
    for (i, (t, v)) in of(Engine::Tiles)
        .iter()
        .zip(of(Engine::Vectors))
        .enumerate()
    {
        let same = t.is_nan() && v.is_nan()
            || *t == v
            || t.is_finite() && v.is_finite() && (t - v).abs() <= 1e-4 * v.abs().max(t.abs());
        assert!(same, "{what}: [{i}] tiles {t:e}, vectors {v:e}");
    }
}

#[test]
fn what_does_not_suit_the_split_is_left_to_vectors() {
    if no_tiles() {
        return;
    }
    let size = (40, 70, 600);
    let (m, n, k) = size;
    let positive = |n, seed| {
        numbers::<f32>(n, seed)
            .iter()
            .map(|x| x.abs() + 0.1)
            .collect::<Vec<_>>()
    };
    let (x, y) = (positive(m * k, 1), positive(k * n, 2));
    let largest = f32::MAX;
    for special in [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        largest,
        -largest,
        1e30,
        1e-38,
        1e-45,
        0.0,
    ] {
        let (mut a, mut b) = (x.clone(), y.clone());
        a[3 * k + 555] = special;
        assert_alike(&a, &y, size, &format!("A has {special:e}"));
        b[555 * n + 66] = special;
        assert_alike(&x, &b, size, &format!("B has {special:e}"));
        assert_alike(&a, &b, size, &format!("both have {special:e}"));
    }
    // Whole rows and columns of one scale, and products of the two: as small and as large as f32 goes.
    for (of_a, of_b) in [
        (-60, 0),
        (-110, 0),
        (-60, -60),
        (-126, 20),
        (100, -100),
        (60, 60),
        (63, 64),
        (126, 0),
        (0, -140),
    ] {
        let scaled = |x: &[f32], e: i32| {
            x.iter()
                .map(|x| (f64::from(*x) * 2f64.powi(e)) as f32)
                .collect::<Vec<_>>()
        };
        let (mut a, b) = (scaled(&x, of_a), scaled(&y, of_b));
        assert_alike(&a, &b, size, &format!("scales 2^{of_a}, 2^{of_b}"));
        // One row of that scale among others.
        let row = a[..k].to_vec();
        a.copy_from_slice(&x);
        a[5 * k..6 * k].copy_from_slice(&row);
        assert_alike(&a, &b, size, &format!("a row of scale 2^{of_a}, 2^{of_b}"));
    }
    // Zero times infinity.
    let mut b = y.clone();
    b[7] = f32::INFINITY;
    assert_alike(&vec![0.0; m * k], &b, size, "zero times infinity");
}

#[cfg(feature = "threads")]
#[test]
fn the_same_bits_for_any_number_of_threads() {
    use crate::parallel::with_threads;
    if no_tiles() {
        return;
    }
    for (m, n, k) in [
        (200, 300, 400),
        (600, 600, 1100),
        (64, 3000, 70),
        (3000, 40, 300),
    ] {
        let (x, y) = (numbers::<f32>(m * k, 12), numbers::<f32>(k * n, 13));
        let a = MatRef::row_major(&x, m, k).unwrap();
        let b = MatRef::row_major(&y, k, n).unwrap();
        let run = |threads| {
            let mut c = vec![0.0f32; m * n];
            let none = Epilogue::default();
            with_threads(threads, || {
                product(Engine::Tiles, (a, b), (1.0, 0.0), &mut c, &none);
            });
            c.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        let want = run(1);
        for threads in [2, 3, 8] {
            assert!(run(threads) == want, "{m}x{n}x{k} on {threads} threads");
        }
    }
}

#[test]
fn products_of_bf16() {
    use crate::View;
    use crate::bf16;
    let narrow = |x: Vec<f32>| x.into_iter().map(bf16::from_f32).collect::<Vec<_>>();
    // (batch, M, N, K), A and B stored transposed, B the same for the batch.
    for ((batch, m, n, k), ta, tb, shared) in [
        ((1, 33, 70, 40), false, false, false),
        ((1, 65, 31, 100), true, true, false),
        ((1, 1, 300, 200), false, true, false),
        ((3, 17, 40, 65), false, true, false),
        ((3, 17, 40, 65), true, false, true),
        ((2, 20, 48, 64), false, false, true),
        ((1, 300, 530, 1100), false, false, false),
        ((1, 300, 530, 1101), true, true, false),
        ((1, 1, 1000, 1001), false, false, false),
    ] {
        let (x, y) = (
            narrow(numbers(batch * m * k, 1)),
            narrow(numbers(batch * k * n, 2)),
        );
        let bias = numbers::<f32>(n, 3);
        let strides = |rows: usize, cols: usize, transposed: bool, step: usize| {
            let (r, c) = (rows as isize, cols as isize);
            if transposed {
                [step as isize, 1, r]
            } else {
                [step as isize, c, 1]
            }
        };
        let (shape_a, shape_b) = ([batch, m, k], [batch, k, n]);
        let sa = strides(m, k, ta, m * k);
        let sb = strides(k, n, tb, if shared { 0 } else { k * n });
        let a = View::new(&x, 0, &shape_a, &sa).unwrap();
        let b = View::new(&y, 0, &shape_b, &sb).unwrap();
        let epilogue = Epilogue {
            bias: Bias::Column(&bias),
            activation: Activation::Relu,
            ..Default::default()
        };
        let wide = |v: &View<'_, bf16>| v.iter().map(bf16::to_f32).collect::<Vec<_>>();
        let (x, y) = (wide(&a), wide(&b));
        let mut want = vec![0.0; batch * m * n];
        for (i, want) in want.chunks_exact_mut(m * n).enumerate() {
            let a = MatRef::row_major(&x[i * m * k..][..m * k], m, k).unwrap();
            let b = MatRef::row_major(&y[i * k * n..][..k * n], k, n).unwrap();
            let want = MatMut::row_major(want, m, n).unwrap();
            gemm_reference(1.0, a, b, 0.0, want, &epilogue).unwrap();
        }
        for &isa in available() {
            let mut c = vec![bf16::NAN; batch * m * n];
            let run = || try_matmul_bf16(a, b, None, &epilogue, &mut c).unwrap();
            assert!(gradus_simd::with_isa(isa, run).unwrap());
            for (j, (got, want)) in c.iter().zip(&want).enumerate() {
                let off = (got.to_f32() - want).abs();
                // Half a unit in the last place of a bf16, and the order of the sum.
                assert!(
                    off <= want.abs() * 0.00391 + 1e-4,
                    "{isa}: {m}x{n}x{k} [{j}] {got} != {want}"
                );
            }
        }
    }
}
