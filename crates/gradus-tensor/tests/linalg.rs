//! Decompositions put back together.

use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Result, Tensor};

fn close(a: &Tensor, b: &Tensor) -> bool {
    a.shape() == b.shape() && a.allclose(b, 1e-9, 1e-9, false).unwrap()
}

#[test]
fn decompositions_multiply_back() -> Result<()> {
    let mut rng = Rng::new(7);
    for (m, n) in [(4, 4), (5, 3), (3, 5), (1, 1), (0, 3), (3, 0)] {
        let a = Tensor::randn([2, m, n], DType::F64, &mut rng)?;
        let k = m.min(n);
        for mode in ["reduced", "complete"] {
            let (q, r) = a.linalg_qr(mode)?;
            assert!(close(&q.matmul(&r)?, &a), "qr {mode} {m} {n}");
            assert!(close(
                &q.mt()?.matmul(&q)?,
                &Tensor::eye(q.dim(-1)?, DType::F64)?.expand([2, -1, -1])?
            ));
        }
        let (u, s, vt) = a.linalg_svd()?;
        assert_eq!(
            (u.dims(), s.dims(), vt.dims()),
            (&[2, m, k][..], &[2, k][..], &[2, k, n][..])
        );
        assert!(
            close(&u.mul(&s.unsqueeze(-2)?)?.matmul(&vt)?, &a),
            "svd {m} {n}"
        );
        let pinv = a.linalg_pinv(None)?;
        assert!(close(&a.matmul(&pinv)?.matmul(&a)?, &a), "pinv {m} {n}");
        if m != n {
            continue;
        }
        assert!(close(
            &a.matmul(&a.linalg_inv()?)?,
            &Tensor::eye(n, DType::F64)?.expand([2, -1, -1])?
        ));
        let (sign, log) = a.linalg_slogdet()?;
        assert!(close(&sign.mul(&log.exp()?)?, &a.linalg_det()?));
        let spd = a.matmul(&a.mt()?)?.add(&Tensor::eye(n, DType::F64)?)?;
        let l = spd.linalg_cholesky(false)?;
        assert!(close(&l.matmul(&l.mt()?)?, &spd));
        let b = Tensor::randn([n, 2], DType::F64, &mut rng)?;
        assert!(close(
            &l.matmul(&l.linalg_solve_triangular(&b, false, true, false)?)?,
            &b.expand([2, -1, -1])?
        ));
        let (w, v) = spd.linalg_eigh()?;
        assert!(close(&v.mul(&w.unsqueeze(-2)?)?.matmul(&v.mt()?)?, &spd));
        let (plus, minus) = (a.matrix_exp()?, a.neg()?.matrix_exp()?);
        assert!(close(
            &plus.matmul(&minus)?,
            &Tensor::eye(n, DType::F64)?.expand([2, -1, -1])?
        ));
        assert!(close(
            &a.linalg_matrix_power(-2)?
                .matmul(&a.linalg_matrix_power(2)?)?,
            &Tensor::eye(n, DType::F64)?.expand([2, -1, -1])?
        ));
    }
    Ok(())
}

#[test]
fn singular_and_ill_shaped_matrices_are_refused() -> Result<()> {
    let ones = Tensor::ones([3, 3], DType::F64)?;
    assert!(ones.linalg_inv().is_err() && ones.linalg_cholesky(false).is_err());
    assert_eq!(ones.linalg_det()?.item::<f64>()?, 0.0);
    let (u, s, vt) = ones.linalg_svd()?; // rank 1: the other singular values are 0, U still orthonormal
    assert!(
        close(&u.mul(&s)?.matmul(&vt)?, &ones)
            && close(&u.t()?.matmul(&u)?, &Tensor::eye(3, DType::F64)?)
    );
    assert!(
        Tensor::ones([2, 3], DType::F64)?.linalg_det().is_err()
            && Tensor::ones(3, DType::F64)?.linalg_qr("reduced").is_err()
    );
    Ok(())
}
