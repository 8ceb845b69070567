//! Every path of the product against the reference, on every ISA, and the same bits for any number of threads.

use gradus_simd::{IsaName, available};
use proptest::prelude::*;

use super::*;
use crate::View;

/// Numbers in [-1, 1), the same every time.
pub(crate) fn numbers<T: Float>(n: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Products that were summed in another order differ by no more than this.
pub(crate) fn assert_close<T: Float>(got: &[T], want: &[T], k: usize, what: &str) {
    assert_eq!(got.len(), want.len());
    let bound = T::EPSILON.to_f64() * 4.0 * (k as f64 + 4.0).sqrt() * 4.0;
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let (g, w) = (g.to_f64(), w.to_f64());
        assert!(
            (g - w).abs() <= bound * (1.0 + w.abs()),
            "{what}: [{i}] {g} != {w}"
        );
    }
}

/// The memory layouts of an operand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    Rows,
    Columns,
    Gaps,
    Flipped,
    Broadcast,
}

pub(super) const LAYOUTS: [Layout; 5] = [
    Layout::Rows,
    Layout::Columns,
    Layout::Gaps,
    Layout::Flipped,
    Layout::Broadcast,
];

pub(super) fn operand<T: Float>(
    data: &[T],
    rows: usize,
    cols: usize,
    layout: Layout,
) -> MatRef<'_, T> {
    let (r, c) = (rows as isize, cols as isize);
    let (offset, strides) = match layout {
        Layout::Rows => (0, (c, 1)),
        Layout::Columns => (0, (1, r)),
        Layout::Gaps => (1, (2 * c + 1, 2)),
        Layout::Flipped => ((rows * cols).saturating_sub(1), (-c, -1)),
        Layout::Broadcast => (0, (0, 1)),
    };
    MatRef::new(data, offset, (rows, cols), strides).unwrap()
}

fn case<T: Float>(
    isa: IsaName,
    (m, n, k): (usize, usize, usize),
    layouts: (Layout, Layout),
    mode: usize,
) {
    let a = numbers::<T>(3 * m * k + 3, 1);
    let b = numbers::<T>(3 * n * k + 3, 2);
    let (a, b) = (operand(&a, m, k, layouts.0), operand(&b, k, n, layouts.1));
    let stride = n + mode % 2 * 3;
    let old = numbers::<T>(m * stride, 3);
    let (row, column, residual) = (
        numbers::<T>(m, 4),
        numbers::<T>(n, 5),
        numbers::<T>(m * stride, 6),
    );
    let (alpha, beta) = [(1.0, 0.0), (1.0, 1.0), (0.5, -2.0), (1.0, 0.0)][mode % 4];
    let (alpha, beta) = (T::from_f64(alpha), T::from_f64(beta));
    let epilogue = match mode % 5 {
        0 => Epilogue::default(),
        1 => Epilogue {
            bias: Bias::Row(&row),
            activation: Activation::Relu,
            ..Default::default()
        },
        2 => Epilogue {
            bias: Bias::Column(&column),
            residual: Some(&residual),
            ..Default::default()
        },
        3 => Epilogue {
            bias: Bias::Column(&column),
            residual: None,
            activation: Activation::GeluTanh,
        },
        _ => Epilogue {
            bias: Bias::None,
            residual: Some(&residual),
            activation: Activation::Gelu,
        },
    };
    let start = || {
        if beta == T::ZERO {
            vec![T::NAN; old.len()]
        } else {
            old.clone()
        }
    };
    let (mut got, mut want) = (start(), start());
    gemm_on(
        isa,
        alpha,
        a,
        b,
        beta,
        MatMut::new(&mut got, m, n, stride).unwrap(),
        &epilogue,
    );
    gemm_reference(
        alpha,
        a,
        b,
        beta,
        MatMut::new(&mut want, m, n, stride).unwrap(),
        &epilogue,
    )
    .unwrap();
    let what = format!("{isa} {m}x{n}x{k} {layouts:?} mode {mode}");
    for i in 0..m {
        assert_close(&got[i * stride..][..n], &want[i * stride..][..n], k, &what);
        // Between the rows nothing is written.
        let gap = i * stride + n..((i + 1) * stride).min(got.len());
        assert!(
            got[gap.clone()]
                .iter()
                .zip(&start()[gap])
                .all(|(g, s)| g == s || s.is_nan()),
            "{what}: gap"
        );
    }
}

#[test]
fn every_isa_every_tail() {
    for &isa in available() {
        for m in [1, 2, 3, 4, 5, 7, 8, 13, 14, 15, 16, 29] {
            for n in [1, 2, 3, 8, 15, 16, 17, 31, 32, 33, 48, 65] {
                for k in [0, 1, 2, 9, 40] {
                    let mode = m + n + k;
                    case::<f32>(isa, (m, n, k), (Layout::Rows, Layout::Rows), mode);
                    case::<f64>(isa, (m, n, k), (Layout::Rows, Layout::Columns), mode);
                }
            }
        }
    }
}

#[test]
fn every_layout() {
    for &isa in available() {
        for la in LAYOUTS {
            for lb in LAYOUTS {
                for (i, &shape) in [
                    (1, 70, 33),
                    (3, 40, 300),
                    (21, 1, 18),
                    (17, 19, 23),
                    (4, 9, 1),
                ]
                .iter()
                .enumerate()
                {
                    case::<f32>(isa, shape, (la, lb), i);
                    case::<f64>(isa, shape, (la, lb), i + 1);
                }
            }
        }
    }
}

#[test]
fn few_rows_by_parts_of_a_large_matrix() {
    for &isa in available() {
        for (i, &shape) in [
            (1, 197, 700),
            (3, 515, 300),
            (4, 130, 1029),
            (1, 9001, 65),
            (1, 40, 4096),
        ]
        .iter()
        .enumerate()
        {
            case::<f32>(isa, shape, (Layout::Rows, Layout::Rows), i);
            case::<f64>(isa, shape, (Layout::Rows, Layout::Rows), i + 1);
        }
    }
}

#[test]
fn several_blocks_and_tiles() {
    let isa = gradus_simd::current();
    for (i, &shape) in [
        (300, 520, 530),
        (70, 1030, 600),
        (600, 40, 513),
        (129, 257, 1),
    ]
    .iter()
    .enumerate()
    {
        case::<f32>(isa, shape, (Layout::Rows, Layout::Rows), i);
        case::<f32>(isa, shape, (Layout::Columns, Layout::Columns), i + 1);
    }
    case::<f64>(isa, (150, 270, 520), (Layout::Rows, Layout::Columns), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn any_shape(m in 1usize..80, n in 1usize..120, k in 0usize..90, la in 0usize..5, lb in 0usize..5, mode in 0usize..20) {
        let isa = gradus_simd::current();
        case::<f32>(isa, (m, n, k), (LAYOUTS[la], LAYOUTS[lb]), mode);
        case::<f64>(isa, (m, n, k), (LAYOUTS[la], LAYOUTS[lb]), mode);
    }
}

#[test]
fn agrees_with_matrixmultiply() {
    let (m, n, k) = (123, 234, 345);
    let (a, b) = (numbers::<f64>(m * k, 7), numbers::<f64>(k * n, 8));
    let (mut got, mut want) = (vec![0.0; m * n], vec![0.0; m * n]);
    let (x, y) = (
        MatRef::row_major(&a, m, k).unwrap(),
        MatRef::row_major(&b, k, n).unwrap(),
    );
    gemm(
        1.0,
        x,
        y,
        0.0,
        MatMut::row_major(&mut got, m, n).unwrap(),
        &Epilogue::default(),
    )
    .unwrap();
    let (k_, n_) = (k as isize, n as isize);
    // SAFETY: the strides are those of row-major matrices of these lengths.
    unsafe {
        matrixmultiply::dgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            k_,
            1,
            b.as_ptr(),
            n_,
            1,
            0.0,
            want.as_mut_ptr(),
            n_,
            1,
        );
    }
    assert_close(&got, &want, k, "matrixmultiply");
}

#[test]
fn batches_fold_broadcast_and_check() {
    let a = numbers::<f32>(4000, 9);
    let b = numbers::<f32>(4000, 10);
    // (shape a, strides a, shape b, strides b): plain, broadcast B (folded), broadcast A, permuted batch, flipped.
    let cases: [(&[usize], &[isize], &[usize], &[isize], usize); 7] = [
        (
            &[2, 3, 5, 7],
            &[105, 35, 7, 1],
            &[2, 3, 7, 4],
            &[84, 28, 4, 1],
            0,
        ),
        (
            &[2, 3, 5, 7],
            &[105, 35, 7, 1],
            &[2, 3, 7, 4],
            &[0, 0, 1, 7],
            0,
        ),
        (
            &[2, 3, 5, 7],
            &[0, 35, 7, 1],
            &[2, 3, 7, 4],
            &[28, 0, 4, 1],
            0,
        ),
        (
            &[3, 2, 5, 7],
            &[35, 105, 1, 5],
            &[3, 2, 7, 4],
            &[56, 28, 4, 1],
            0,
        ),
        (
            &[2, 3, 5, 7],
            &[-105, 35, 7, 1],
            &[2, 3, 7, 4],
            &[0, 0, 4, 1],
            105,
        ),
        (&[5, 7], &[7, 1], &[7, 4], &[4, 1], 0),
        (&[2, 3, 0], &[0, 0, 1], &[2, 0, 4], &[0, 4, 1], 0),
    ];
    for (sa, ta, sb, tb, offset) in cases {
        let (va, vb) = (
            View::new(&a, offset, sa, ta).unwrap(),
            View::new(&b, 0, sb, tb).unwrap(),
        );
        let rank = sa.len();
        let (m, k, n) = (sa[rank - 2], sa[rank - 1], sb[rank - 1]);
        let count: usize = sa[..rank - 2].iter().product();
        let residual = numbers::<f32>(count * m * n, 11);
        for (bias, residual) in [
            (Bias::None, None),
            (Bias::Row(&a[..m]), None),
            (Bias::Column(&a[..n]), Some(&residual[..])),
        ] {
            let epilogue = Epilogue {
                bias,
                residual,
                activation: Activation::Relu,
            };
            let mut got = vec![f32::NAN; count * m * n];
            matmul(va, vb, &epilogue, &mut got).unwrap();
            let (la, lb): (Vec<_>, Vec<_>) = (va.iter().collect(), vb.iter().collect());
            let mut want = vec![0.0; count * m * n];
            for i in 0..count {
                let x = MatRef::row_major(&la[i * m * k..][..m * k], m, k).unwrap();
                let y = MatRef::row_major(&lb[i * k * n..][..k * n], k, n).unwrap();
                let part = i * m * n..(i + 1) * m * n;
                let epilogue = Epilogue {
                    residual: residual.map(|r| &r[part.clone()]),
                    ..epilogue
                };
                let c = MatMut::row_major(&mut want[part.clone()], m, n).unwrap();
                gemm_reference(1.0, x, y, 0.0, c, &epilogue).unwrap();
            }
            assert_close(&got, &want, k, &format!("{sa:?} x {sb:?}"));
        }
        assert!(
            matmul(
                va,
                vb,
                &Epilogue::default(),
                &mut vec![0.0; count * m * n + 1]
            )
            .is_err()
        );
        assert!(matmul(va, va, &Epilogue::default(), &mut [0.0; 9]).is_err());
    }
}

#[test]
fn wrong_arguments_are_errors() {
    let data = [0.0f32; 24];
    let m = |r, c| MatRef::row_major(&data[..r * c], r, c).unwrap();
    let mut out = [0.0f32; 24];
    let none = Epilogue::default();
    assert!(
        gemm(
            1.0,
            m(2, 3),
            m(4, 5),
            0.0,
            MatMut::row_major(&mut out[..10], 2, 5).unwrap(),
            &none
        )
        .is_err()
    );
    assert!(
        gemm(
            1.0,
            m(2, 3),
            m(3, 5),
            0.0,
            MatMut::row_major(&mut out[..8], 2, 4).unwrap(),
            &none
        )
        .is_err()
    );
    let bias = Epilogue::bias(Bias::Row(&data[..5]));
    assert!(
        gemm(
            1.0,
            m(2, 3),
            m(3, 5),
            0.0,
            MatMut::row_major(&mut out[..10], 2, 5).unwrap(),
            &bias
        )
        .is_err()
    );
    assert!(MatMut::new(&mut out, 3, 9, 8).is_err());
    assert!(MatMut::new(&mut out, usize::MAX, 9, 9).is_err());
    assert!(MatRef::new(&data, 0, (usize::MAX, usize::MAX), (1, 1)).is_err());
    assert!(MatRef::row_major(&data, usize::MAX, 2).is_err());
    assert!(MatRef::new(&data, 0, (2, 2), (isize::MIN, isize::MAX)).is_err());
}

#[cfg(feature = "threads")]
#[test]
fn the_same_bits_for_any_number_of_threads() {
    for (m, n, k) in [
        (200, 300, 400),
        (1, 5000, 200),
        (3, 4000, 100),
        (64, 3000, 70),
        (3000, 20, 300),
    ] {
        let (a, b) = (numbers::<f32>(m * k, 12), numbers::<f32>(k * n, 13));
        let run = |threads, transposed: bool| {
            let mut c = vec![0.0f32; m * n];
            let x = MatRef::row_major(&a, m, k).unwrap();
            let y = if transposed {
                MatRef::row_major(&b, n, k).unwrap().t()
            } else {
                MatRef::row_major(&b, k, n).unwrap()
            };
            let out = MatMut::row_major(&mut c, m, n).unwrap();
            crate::parallel::with_threads(threads, || {
                gemm(1.0, x, y, 0.0, out, &Epilogue::default())
            })
            .unwrap();
            c.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        for transposed in [false, true] {
            let want = run(1, transposed);
            for threads in [2, 3, 8] {
                assert!(
                    run(threads, transposed) == want,
                    "{m}x{n}x{k} on {threads} threads"
                );
            }
        }
    }
}
