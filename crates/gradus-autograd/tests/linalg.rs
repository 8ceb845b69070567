//! Linear algebra where it is singular, refused, or computed in less precision.

use gradus_autograd::{Gradcheck, Var, grad, gradcheck, gradgradcheck};
use gradus_tensor::{DType, Result, Tensor};

/// The determinant is a polynomial: its derivatives exist for every matrix.
#[test]
fn det_of_singular_matrices_has_two_derivatives() -> Result<()> {
    let matrices: [&[f64]; 4] = [
        &[1., 2., 2., 4.],                        // rank 1 of 2
        &[0., 0., 0., 0.],                        // rank 0 of 2
        &[1., 2., 3., 2., 4., 6., 1., 1., 1.],    // rank 2 of 3
        &[1., 2., 3., 2., 4., 6., -1., -2., -3.], // rank 1 of 3
    ];
    for matrix in matrices {
        let n = matrix.len().isqrt();
        let a = Tensor::from_slice(matrix, [n, n])?;
        let coarse = Gradcheck {
            eps: 1e-4,
            ..Gradcheck::default()
        };
        gradcheck(|v| v[0].linalg_det(), std::slice::from_ref(&a), coarse)?;
        gradgradcheck(|v| v[0].linalg_det(), std::slice::from_ref(&a), coarse)?;
    }
    // One singular matrix in a batch changes nothing for the other.
    let batch = Tensor::from_slice(&[1f64, 2., 2., 4., 2., 0., 0., 5.], [2, 2, 2])?;
    let a = Var::leaf(batch)?;
    let da = a.linalg_det()?.sum(.., false)?.backward()?;
    let expected = Tensor::from_slice(&[4f64, -2., -2., 1., 5., 0., 0., 2.], [2, 2, 2])?;
    assert!(
        da.get(&a)
            .unwrap()
            .allclose(&expected, 1e-12, 1e-12, false)?
    );
    Ok(())
}

#[test]
fn gradients_that_do_not_exist_are_errors() -> Result<()> {
    let singular = Var::leaf(Tensor::ones([2, 2], DType::F64)?)?;
    let (sign, log) = singular.linalg_slogdet()?;
    assert_eq!(
        (sign.item::<f64>()?, log.item::<f64>()?),
        (0.0, f64::NEG_INFINITY)
    );
    let message = log.backward().unwrap_err().to_string();
    assert!(
        message.starts_with("linalg_slogdet: ") && message.contains("singular"),
        "{message}"
    );
    let tall = Var::leaf(Tensor::ones([3, 2], DType::F64)?)?;
    for mode in ["r", "complete"] {
        let (_, r) = tall.linalg_qr(mode)?;
        let message = r.sum(.., false)?.backward().unwrap_err().to_string();
        assert!(message.contains(mode), "{message}");
    }
    Ok(())
}

/// Singular values of the identity repeat; what does not ask for vectors has a gradient all the same.
#[test]
fn values_have_gradients_where_vectors_have_none() -> Result<()> {
    let a = Var::leaf(Tensor::eye(3, DType::F64)?)?;
    let one = Tensor::eye(3, DType::F64)?;
    for y in [
        a.linalg_svdvals()?,
        a.linalg_eigvalsh("L")?,
        a.linalg_svd(true)?.1,
        a.linalg_matrix_norm(gradus_tensor::NormOrd::Nuc, [-2, -1], false)?,
    ] {
        let da = y.sum(.., false)?.backward()?;
        assert!(da.get(&a).unwrap().allclose(&one, 1e-12, 1e-12, false)?);
    }
    Ok(())
}

/// f32 is computed in f64 and rounded once, the gradient too.
#[test]
fn single_precision_is_rounded_once() -> Result<()> {
    let wide = Tensor::from_slice(&[1f32, 2., 3., 2., 5., 8., 3., 8., 14.5], [3, 3])?;
    type F = fn(&Var) -> Result<Var>;
    let functions: [F; 8] = [
        Var::linalg_inv,
        Var::linalg_det,
        |a| a.linalg_cholesky(false),
        |a| Ok(a.linalg_qr("reduced")?.1),
        |a| Ok(a.linalg_eigh("L")?.0),
        |a| Ok(a.linalg_svd(true)?.1),
        |a| a.linalg_pinv((), false),
        Var::matrix_exp,
    ];
    for f in functions {
        let mut found = Vec::new();
        for dtype in [DType::F64, DType::F32] {
            let a = Var::leaf(wide.to_dtype(dtype)?)?;
            let y = f(&a)?;
            let ones = Var::from(y.value().ones_like()?);
            let da = grad(&[&y], &[&a], Some(&[&ones]), false)?
                .remove(0)
                .unwrap();
            assert_eq!((y.dtype(), da.dtype()), (dtype, dtype));
            found.push([
                y.value().to_dtype(DType::F32)?,
                da.value().to_dtype(DType::F32)?,
            ]);
        }
        assert_eq!(found[0][0].to_vec::<f32>()?, found[1][0].to_vec::<f32>()?);
        assert_eq!(found[0][1].to_vec::<f32>()?, found[1][1].to_vec::<f32>()?);
    }
    Ok(())
}

/// At distance 0 the gradient is 0, as in PyTorch, for every p.
#[test]
fn cdist_of_equal_rows() -> Result<()> {
    let rows = Tensor::from_slice(&[1f64, 2., 3., -1., 0.5, 4.], [2, 3])?;
    for p in [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
        let (x, z) = (Var::leaf(rows.clone())?, Var::leaf(rows.narrow(0, 0, 1)?)?);
        let d = x.cdist(&z, p)?; // (2, 1): 0, and more
        assert_eq!(d.value().select(0, 0)?.item::<f64>()?, 0.0);
        let dx = d.sum(.., false)?.backward()?;
        assert_eq!(
            dx.get(&x).unwrap().select(0, 0)?.to_vec::<f64>()?,
            [0.0; 3],
            "p {p}"
        );
        assert!(
            dx.get(&z)
                .unwrap()
                .isfinite()?
                .all(.., false)?
                .item::<bool>()?,
            "p {p}"
        );
    }
    Ok(())
}
