//! Linear algebra by its definitions: decompositions put back together over random shapes, inverses multiplied out, `einsum`
//! against a loop over all indices; and what is refused.

use gradus_tensor::random::Rng;
use gradus_tensor::{DType, NormOrd, RankTolerance, Result, Tensor};
use proptest::prelude::*;

/// Equal to the digits that `n`-term sums in `dtype` leave.
fn close(a: &Tensor, b: &Tensor) -> bool {
    let tolerance = if a.dtype() == DType::F64 { 1e-10 } else { 2e-4 };
    a.dims() == b.dims() && a.allclose(b, tolerance, tolerance, false).unwrap()
}

fn random(shape: &[usize], dtype: DType, seed: u64) -> Tensor {
    Tensor::randn(shape, DType::F64, &mut Rng::new(seed))
        .and_then(|x| x.to_dtype(dtype))
        .unwrap()
}

/// Well-conditioned: more on the diagonal than beside it.
fn regular(shape: &[usize], dtype: DType, seed: u64) -> Tensor {
    let n = shape[shape.len() - 1];
    let eye = Tensor::eye(n, dtype).and_then(|e| e.mul_scalar(3.0 * n as f64 + 6.0));
    random(shape, dtype, seed).add(&eye.unwrap()).unwrap()
}

fn eye_like(x: &Tensor) -> Tensor {
    let n = x.dim(-1).unwrap();
    Tensor::eye(n, x.dtype())
        .and_then(|e| e.broadcast_to(x.shape()))
        .unwrap()
}

/// QᵀQ = 1.
fn orthonormal(q: &Tensor) -> bool {
    let product = q.mt().and_then(|t| t.matmul(q)).unwrap();
    close(&product, &eye_like(&product))
}

fn dtypes() -> impl Strategy<Value = DType> {
    prop_oneof![Just(DType::F64), Just(DType::F32)]
}

/// Leading sizes, rows and columns, 0 and 1 among them, and a seed.
fn shapes() -> impl Strategy<Value = (Vec<usize>, usize, usize, u64)> {
    let lead = prop::collection::vec(0..3usize, 0..3);
    (lead, 0..7usize, 0..7usize, any::<u64>())
}

fn with(lead: &[usize], tail: [usize; 2]) -> Vec<usize> {
    lead.iter().copied().chain(tail).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn oblong_matrices((lead, m, n, seed) in shapes(), dtype in dtypes(), deficient in any::<bool>()) {
        let k = m.min(n);
        let a = if deficient {
            // Rank 1 at most.
            random(&with(&lead, [m, 1]), dtype, seed).mul(&random(&with(&lead, [1, n]), dtype, !seed)).unwrap()
        } else {
            random(&with(&lead, [m, n]), dtype, seed)
        };
        for mode in ["reduced", "complete"] {
            let (q, r) = a.linalg_qr(mode).unwrap();
            let inner = if mode == "reduced" { k } else { m };
            prop_assert_eq!((q.dim(-1).unwrap(), r.dim(-2).unwrap()), (inner, inner));
            prop_assert!(close(&q.matmul(&r).unwrap(), &a) && orthonormal(&q), "qr {}", mode);
            prop_assert!(r.equal(&r.triu(0).unwrap()).unwrap());
        }
        let (q, r) = a.linalg_qr("r").unwrap();
        prop_assert!(q.numel() == 0 && close(&r, &a.linalg_qr("reduced").unwrap().1));
        for full in [false, true] {
            let (u, s, vh) = a.linalg_svd(full).unwrap();
            let sizes = if full { (m, n) } else { (k, k) };
            prop_assert_eq!((u.dim(-1).unwrap(), s.dim(-1).unwrap(), vh.dim(-2).unwrap()), (sizes.0, k, sizes.1));
            prop_assert!(orthonormal(&u) && orthonormal(&vh.mt().unwrap()), "svd vectors");
            let (u, vh) = (u.narrow(-1, 0, k).unwrap(), vh.narrow(-2, 0, k).unwrap());
            prop_assert!(close(&u.mul(&s.unsqueeze(-2).unwrap()).unwrap().matmul(&vh).unwrap(), &a), "svd");
            prop_assert!(close(&s, &s.sort(-1, true).unwrap().0) && close(&s, &a.linalg_svdvals().unwrap()));
        }
        // The four equations of Moore and Penrose.
        let p = a.linalg_pinv((), false).unwrap();
        let (ap, pa) = (a.matmul(&p).unwrap(), p.matmul(&a).unwrap());
        if dtype == DType::F64 {
            prop_assert!(close(&ap.matmul(&a).unwrap(), &a), "A P A");
        }
        let rank = a.linalg_matrix_rank((), false).unwrap();
        let most = if deficient { k.min(1) } else { k };
        if dtype == DType::F64 {
            let (p_again, expected) = (pa.matmul(&p).unwrap(), Tensor::full(rank.shape(), most as i64, DType::I64).unwrap());
            prop_assert!(p_again.allclose(&p, 1e-7, 1e-7, false).unwrap(), "P A P");
            prop_assert!(ap.allclose(&ap.mt().unwrap(), 1e-7, 1e-7, false).unwrap() && pa.allclose(&pa.mt().unwrap(), 1e-7, 1e-7, false).unwrap());
            prop_assert!(rank.equal(&expected).unwrap());
        }
    }

    #[test]
    fn square_matrices((lead, n, cols, seed) in shapes(), dtype in dtypes()) {
        let a = regular(&with(&lead, [n, n]), dtype, seed);
        let one = eye_like(&a);
        let inverse = a.linalg_inv().unwrap();
        prop_assert!(close(&a.matmul(&inverse).unwrap(), &one), "inv");
        let b = random(&with(&lead, [n, cols]), dtype, !seed);
        prop_assert!(close(&a.matmul(&a.linalg_solve(&b, true).unwrap()).unwrap(), &b), "solve");
        let x = a.linalg_solve(&b.mt().unwrap(), false).unwrap();
        prop_assert!(close(&x.matmul(&a).unwrap(), &b.mt().unwrap()), "solve from the right");
        let (det, (sign, log)) = (a.linalg_det().unwrap(), a.linalg_slogdet().unwrap());
        let product = sign.mul(&log.exp().unwrap()).unwrap();
        prop_assert!(product.allclose(&det, 1e-4, 0.0, false).unwrap());
        let inverse_det = inverse.linalg_det().unwrap().mul(&det).unwrap();
        prop_assert!(inverse_det.allclose(&det.ones_like().unwrap(), 1e-4, 0.0, false).unwrap());
        for (triangle, upper) in [(a.triu(0).unwrap(), true), (a.tril(0).unwrap(), false)] {
            let x = a.linalg_solve_triangular(&b, upper, true, false).unwrap();
            prop_assert!(close(&triangle.matmul(&x).unwrap(), &b), "triangular");
        }
        let symmetric = a.add(&a.mt().unwrap()).unwrap();
        let l = symmetric.linalg_cholesky(false).unwrap();
        prop_assert!(close(&l.matmul(&l.mt().unwrap()).unwrap(), &symmetric), "cholesky");
        prop_assert!(close(&symmetric.linalg_cholesky(true).unwrap(), &l.mt().unwrap()));
        for uplo in ["L", "U"] {
            let (w, v) = symmetric.linalg_eigh(uplo).unwrap();
            let back = v.mul(&w.unsqueeze(-2).unwrap()).unwrap().matmul(&v.mt().unwrap()).unwrap();
            prop_assert!(close(&back, &symmetric) && orthonormal(&v), "eigh");
            prop_assert!(close(&w, &w.sort(-1, false).unwrap().0) && close(&w, &symmetric.linalg_eigvalsh(uplo).unwrap()));
        }
        let small = a.div_scalar(n.max(1) as f64).unwrap();
        let (plus, minus) = (small.matrix_exp().unwrap(), small.neg().unwrap().matrix_exp().unwrap());
        prop_assert!(plus.matmul(&minus).unwrap().allclose(&one, 1e-3, 1e-3, false).unwrap(), "exp");
        let squares = a.linalg_matrix_power(-2).unwrap().matmul(&a.linalg_matrix_power(2).unwrap()).unwrap();
        prop_assert!(close(&squares, &one), "power");
    }

    /// Any equation over sizes 0 to 3, term by term.
    #[test]
    fn einsum_is_a_loop(
        labels in prop::collection::vec(prop::collection::vec(0..4usize, 0..4), 1..4),
        sizes in prop::collection::vec(0..4usize, 4),
        output in prop::sample::subsequence(vec![0usize, 1, 2, 3], 0..=4).prop_shuffle(),
        seed in any::<u64>(),
    ) {
        let output: Vec<usize> = output.into_iter().filter(|l| labels.iter().flatten().any(|x| x == l)).collect();
        let name = |ls: &[usize]| ls.iter().map(|&l| char::from(b'i' + l as u8)).collect::<String>();
        let parts: Vec<String> = labels.iter().map(|ls| name(ls)).collect();
        let equation = format!("{} -> {}", parts.join(", "), name(&output));
        let shape = |ls: &[usize]| ls.iter().map(|&l| sizes[l]).collect::<Vec<_>>();
        let operands: Vec<Tensor> = labels.iter().enumerate().map(|(i, ls)| random(&shape(ls), DType::F64, seed ^ i as u64)).collect();
        let y = Tensor::einsum(&equation, &operands.iter().collect::<Vec<_>>()).unwrap();
        // All values of all labels.
        let mut expected = vec![0.0; shape(&output).iter().product()];
        let values: Vec<Vec<f64>> = operands.iter().map(|x| x.to_vec().unwrap()).collect();
        let at = |ls: &[usize], index: &[usize]| ls.iter().fold(0, |at, &l| at * sizes[l] + index[l]);
        let used: Vec<usize> = (0..4).filter(|l| labels.iter().flatten().any(|x| x == l)).collect();
        for flat in 0..used.iter().map(|&l| sizes[l]).product::<usize>() {
            let (mut index, mut left) = ([0; 4], flat);
            for &l in &used {
                index[l] = left % sizes[l];
                left /= sizes[l];
            }
            let term: f64 = labels.iter().zip(&values).map(|(ls, v)| v[at(ls, &index)]).product();
            expected[at(&output, &index)] += term;
        }
        let expected = Tensor::from_vec(expected, shape(&output)).unwrap();
        prop_assert!(close(&y, &expected), "{equation} of {sizes:?}");
    }

    #[test]
    fn cdist_is_the_norm_of_differences((lead, p, r, seed) in shapes(), m in 0..5usize, order in prop::sample::select(vec![0.0, 0.5, 1.0, 1.7, 2.0, 3.0, f64::INFINITY])) {
        let x = random(&with(&lead, [p, m]), DType::F64, seed);
        let y = random(&with(&lead[lead.len().min(1)..], [r, m]), DType::F64, !seed);
        let d = x.cdist(&y, order).unwrap();
        let gaps = x.unsqueeze(-2).unwrap().sub(&y.unsqueeze(-3).unwrap()).unwrap();
        let expected = if m == 0 {
            Tensor::zeros(d.shape(), DType::F64).unwrap()
        } else {
            gaps.norm(order, -1, false).unwrap()
        };
        prop_assert!(close(&d, &expected));
    }
}

/// Values for which the algorithms have special cases.
#[test]
fn awkward_matrices() -> Result<()> {
    let n = 12;
    let hilbert = |i: usize| 1.0 / (i / n + i % n + 1) as f64;
    let graded = |i: usize| {
        if i / n == i % n {
            10f64.powi(-3 * (i % n) as i32)
        } else {
            0.0
        }
    };
    let repeated = |i: usize| f64::from(u8::from(i / n == i % n)) * 2.0 + 1.0; // 3 beside 2 eleven times
    let band = |i: usize| f64::from(u8::from((i / n).abs_diff(i % n) == 1));
    for (name, f) in [
        ("hilbert", &hilbert as &dyn Fn(usize) -> f64),
        ("graded", &graded),
        ("repeated", &repeated),
        ("band", &band),
        ("zero", &|_| 0.0),
        ("large", &|i| 1e300 * hilbert(i)),
        ("small", &|i| 1e-300 * hilbert(i)),
        ("subnormal", &|i| 1e-310 * repeated(i)),
    ] {
        let a = Tensor::from_vec((0..n * n).map(f).collect::<Vec<f64>>(), [n, n])?;
        let size = a.abs()?.amax(.., false)?.to_f64()?;
        let same = |b: &Tensor| b.allclose(&a, 0.0, 1e-14 * size * n as f64 + 1e-320, false);
        let (w, v) = a.linalg_eigh("L")?;
        assert!(
            same(&v.mul(&w)?.matmul(&v.t()?)?)? && orthonormal(&v),
            "eigh {name}"
        );
        let (u, s, vh) = a.linalg_svd(true)?;
        assert!(same(&u.mul(&s)?.matmul(&vh)?)?, "svd {name}");
        assert!(orthonormal(&u) && orthonormal(&vh), "svd {name}");
        let (q, r) = a.linalg_qr("reduced")?;
        assert!(same(&q.matmul(&r)?)? && orthonormal(&q), "qr {name}");
    }
    // Jacobi's rotations find small singular values to all their digits.
    let a = Tensor::from_vec((0..n * n).map(graded).collect::<Vec<f64>>(), [n, n])?;
    let exact: Vec<f64> = (0..n).map(|i| 10f64.powi(-3 * i as i32)).collect();
    let q = random(&[n, n], DType::F64, 5).linalg_qr("reduced")?.0;
    let s = q.matmul(&a)?.linalg_svdvals()?;
    assert!(s.allclose(&Tensor::from_vec(exact, n)?, 1e-12, 0.0, false)?);
    // Rank 1: what is left of the other rows is rounding errors of rounding errors.
    for seed in 0..2000 {
        let a = random(&[5, 1], DType::F64, seed).mul(&random(&[1, 3], DType::F64, !seed))?;
        let (u, s, vh) = a.linalg_svd(true)?;
        let thin = u.narrow(-1, 0, 3)?;
        assert!(close(&thin.mul(&s)?.matmul(&vh)?, &a) && orthonormal(&u) && orthonormal(&vh));
    }
    // A matrix beyond the sizes of the random ones.
    let a = random(&[90, 70], DType::F64, 3);
    let (u, s, vh) = a.linalg_svd(false)?;
    assert!(close(&u.mul(&s)?.matmul(&vh)?, &a) && orthonormal(&u));
    let a = a.mt()?.matmul(&a)?;
    let (w, v) = a.linalg_eigh("L")?;
    assert!(close(&v.mul(&w)?.matmul(&v.t()?)?, &a) && orthonormal(&v));
    Ok(())
}

/// One row by one column, neither of them contiguous: a product of size 1 x 1 has strides of its own.
#[test]
fn stepped_vectors_multiply() -> Result<()> {
    for dtype in [DType::F64, DType::F32] {
        let spread = random(&[2, 5, 2], dtype, 4).select(-1, 0)?; // every other element
        let (x, y) = (spread.select(0, 0)?, spread.select(0, 1)?);
        let expected = x.mul(&y)?.sum(.., false)?;
        assert!(close(&x.inner(&y)?, &expected) && close(&x.dot(&y)?, &expected));
        let product = x.unsqueeze(0)?.matmul(&y.unsqueeze(1)?)?;
        assert!(close(&product.squeeze(..)?, &expected));
    }
    Ok(())
}

#[test]
fn norms_by_hand() -> Result<()> {
    let a = Tensor::from_slice(&[3f64, 0., -4., 0., 5., 0.], [2, 3])?; // singular values 5, 5
    let norm = |ord: NormOrd| a.linalg_matrix_norm(ord, [-2, -1], false)?.item::<f64>();
    for (ord, expected) in [
        ("fro", 50f64.sqrt()),
        ("nuc", 10.0),
        ("inf", 7.0),
        ("-inf", 5.0),
        ("1", 5.0),
        ("-1", 3.0),
        ("2", 5.0),
        ("-2", 5.0),
    ] {
        assert!((norm(ord.parse()?)? - expected).abs() < 1e-12, "{ord}");
    }
    assert!("max".parse::<NormOrd>().is_err() && norm(NormOrd::P(3.0)).is_err());
    let empty = Tensor::zeros([2, 0, 3], DType::F64)?;
    for ord in ["fro", "nuc", "inf", "1", "2"] {
        let y = empty.linalg_matrix_norm(ord.parse::<NormOrd>()?, [-2, -1], false)?;
        assert_eq!(y.to_vec::<f64>()?, [0.0, 0.0], "{ord}");
    }
    assert!(empty.linalg_matrix_norm(-2, [-2, -1], false).is_err());
    let cond = Tensor::from_slice(&[2f64, 0., 0., 8.], [2, 2])?;
    assert_eq!(cond.linalg_cond(None)?.item::<f64>()?, 4.0);
    assert_eq!(cond.linalg_cond(Some(NormOrd::P(1.0)))?.item::<f64>()?, 4.0);
    Ok(())
}

/// A limit for each matrix of a batch.
#[test]
fn tolerances_decide_the_rank() -> Result<()> {
    let a = Tensor::from_slice(&[4f64, 0., 0., 1., 4., 0., 0., 1.], [2, 2, 2])?;
    let rank = |t: RankTolerance| a.linalg_matrix_rank(t, false)?.to_vec::<i64>();
    assert_eq!(rank(().into())?, [2, 2]);
    assert_eq!(rank(0.5.into())?, [1, 1]);
    assert_eq!(rank(RankTolerance::atol(1.0))?, [1, 1]);
    let each = RankTolerance {
        atol: None,
        rtol: Some(Tensor::from_slice(&[0.5f64, 0.1], 2)?),
    };
    assert_eq!(rank(each.clone())?, [1, 2]);
    let p = a.linalg_pinv(&each, true)?;
    assert_eq!(p.to_vec::<f64>()?, [0.25, 0., 0., 0., 0.25, 0., 0., 1.]);
    Ok(())
}

#[test]
fn least_squares() -> Result<()> {
    let (a, b) = (
        random(&[2, 5, 3], DType::F64, 1),
        random(&[5, 2], DType::F64, 2),
    );
    let fit = a.linalg_lstsq(&b, None)?;
    let off = a.matmul(&fit.solution)?.sub(&b)?;
    // What is left is orthogonal to the columns.
    assert!(a.mt()?.matmul(&off)?.abs()?.amax(.., false)?.to_f64()? < 1e-12);
    assert!(close(&fit.residuals, &off.square()?.sum(-2, false)?));
    assert_eq!(fit.rank.to_vec::<i64>()?, [3, 3]);
    // More unknowns than equations: the shortest of the solutions.
    let wide = a.mt()?;
    let b = random(&[3, 1], DType::F64, 2);
    let fit = wide.linalg_lstsq(&b, None)?;
    assert!(close(&wide.matmul(&fit.solution)?, &b.expand([2, 3, 1])?));
    assert!(close(
        &fit.solution,
        &wide.linalg_pinv((), false)?.matmul(&b)?
    ));
    assert_eq!(fit.residuals.numel(), 0);
    Ok(())
}

/// Which op, which matrix of the batch, and why.
#[test]
fn refusals_say_what_is_wrong() -> Result<()> {
    let batch = Tensor::stack(
        &[
            Tensor::eye(2, DType::F64)?,
            Tensor::ones([2, 2], DType::F64)?,
        ],
        0,
    )?;
    let message = |y: Result<Tensor>| y.unwrap_err().to_string();
    assert_eq!(
        message(batch.linalg_inv()),
        "linalg_inv: 2 x 2 matrix [1] of the batch is singular: pivot 2 of its elimination is 0; linalg_pinv or linalg_lstsq take it"
    );
    assert_eq!(
        message(batch.linalg_cholesky(false)),
        "linalg_cholesky: 2 x 2 matrix [1] of the batch is not positive definite: its leading minor of order 2 is not positive"
    );
    let nan = Tensor::full([2, 2], f64::NAN, DType::F64)?;
    for y in [
        nan.linalg_svdvals(),
        nan.linalg_eigvalsh("L"),
        nan.linalg_pinv((), false),
    ] {
        assert!(message(y).contains("the 2 x 2 matrix holds NaN"));
    }
    assert!(
        nan.linalg_det()?.item::<f64>()?.is_nan()
            && nan.matrix_exp()?.isnan()?.all(.., false)?.item::<bool>()?
    );
    let (ones, wide) = (
        Tensor::ones([2, 2], DType::F64)?,
        Tensor::ones([2, 3], DType::F64)?,
    );
    let whole = Tensor::ones([2, 2], DType::I64)?;
    let vector = Tensor::ones(2, DType::F64)?;
    for y in [
        wide.linalg_det(),
        wide.linalg_inv(),
        wide.matrix_exp(),
        wide.linalg_matrix_power(2),
        vector.linalg_svdvals(),
        whole.linalg_inv(),
        ones.linalg_inv(),
        ones.linalg_matrix_power(-1),
        ones.linalg_eigvalsh("X"),
        ones.linalg_qr("full").map(|x| x.0),
        ones.linalg_solve(&Tensor::ones(3, DType::F64)?, true),
        ones.linalg_solve(&vector, false),
        ones.linalg_solve(&vector.to_dtype(DType::F32)?, true),
        Tensor::zeros([2, 2], DType::F64)?.linalg_solve_triangular(&ones, true, true, false),
        ones.linalg_matrix_norm(2, [0, 0], false),
        vector.linalg_matrix_norm(2, [-2, -1], false),
        ones.linalg_lstsq(&vector, None).map(|x| x.solution),
        Tensor::linalg_multi_dot(&[&ones]),
        Tensor::linalg_multi_dot(&[&ones, &vector, &ones]),
        Tensor::linalg_multi_dot(&[&wide, &wide]),
        ones.cdist(&wide, 2.0),
        ones.cdist(&ones, -1.0),
        ones.cdist(&ones, f64::NAN),
        wide.cross(&ones, None),
        ones.cross(&ones, None),
        ones.linalg_cross(&Tensor::ones([1, 2, 2], DType::F64)?, -1),
        ones.tensordot(&wide, 3),
        wide.tensordot(&wide, 1),
        wide.tensordot(&wide, ([0, 0], [0, 0])),
        wide.tensordot(&wide, ([0], [])),
        Tensor::scalar(1.0).linalg_vander(None),
        Tensor::einsum("ij,jk", &[&ones]),
        Tensor::einsum("ij", &[&vector]),
        Tensor::einsum("i", &[&ones]),
        Tensor::einsum("ij->ik", &[&ones]),
        Tensor::einsum("ij->ii", &[&ones]),
        Tensor::einsum("ii", &[&wide]),
        Tensor::einsum("ij,jk", &[&wide, &ones]),
        Tensor::einsum("i..j", &[&ones]),
        Tensor::einsum("...i...", &[&ones]),
        Tensor::einsum("i1", &[&ones]),
        Tensor::einsum("ij->j->i", &[&ones]),
        Tensor::einsum("", &[]),
    ] {
        assert!(!message(y).is_empty());
    }
    // Too large to be held, and nothing to be done.
    let huge = Tensor::zeros([1 << 40, 0, 0], DType::F32)?;
    assert!(huge.linalg_det().is_err() && huge.linalg_inv()?.numel() == 0);
    assert!(
        Tensor::zeros([1 << 40, 3, 0], DType::F32)?
            .linalg_qr("complete")
            .is_ok()
    );
    assert!(
        Tensor::zeros(1 << 22, DType::F32)?
            .outer(&Tensor::zeros(1 << 22, DType::F32)?)
            .is_err()
    );
    assert!(
        Tensor::zeros([1 << 22, 1], DType::F32)?
            .linalg_svd(true)
            .is_err()
    );
    Ok(())
}
