//! Attention in tiles and its gradients: flash attention by tensor cores where type and width allow, a warp a row elsewhere.
//!
//! Shapes as in gradus-cpu: q (B, H, T, E), k and v (B, K, S, E) where K divides H; results (B, T, H, E), heads of a position side by side.

use super::int;
use crate::error::check_len;
use crate::manifest::{self, Ptr};
use crate::view::same_device;
use crate::{Buffer, DType, Error, FloatElement, Result, View};

/// What there is besides q, k and v.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a, T> {
    /// What scores are multiplied by.
    pub scale: f32,
    /// Query t sees keys up to t only.
    pub causal: bool,
    /// Added to the scores: (B, H, T, S), broadcast by stride 0.
    pub mask: Option<&'a View<'a, T>>,
}

/// Where the gradients go.
#[derive(Debug)]
pub struct AttentionGradients<'a, T> {
    /// (B, T, H, E)
    pub dq: &'a mut Buffer<T>,
    /// (B, S, K, E)
    pub dk: &'a mut Buffer<T>,
    /// (B, S, K, E)
    pub dv: &'a mut Buffer<T>,
}

/// Rows of a tile.
const ROWS: usize = 64;

/// The strides over batch, head and position.
fn outer<T: crate::Element>(x: &View<'_, T>) -> [i64; 3] {
    std::array::from_fn(|d| x.strides()[d] as i64)
}

/// The last dimension along memory: as it lies, or copied.
fn rows<'a, T: FloatElement>(
    x: &'a View<'a, T>,
    spare: &'a mut Option<Buffer<T>>,
) -> Result<View<'a, T>> {
    if x.strides()[3] == 1 || x.shape()[3] <= 1 {
        return Ok(x.clone());
    }
    let mut y = x.buffer().device().uninit(x.len())?;
    super::copy::copy(x, &mut y)?;
    spare.insert(y).view(x.shape())
}

fn problem<T: FloatElement>(
    op: &'static str,
    q: &View<'_, T>,
    k: &View<'_, T>,
    v: &View<'_, T>,
    options: &Attention<'_, T>,
) -> Result<manifest::Attention> {
    let fail = |what: &str| {
        let message = format!(
            "q {:?}, k {:?}, v {:?}: {what}",
            q.shape(),
            k.shape(),
            v.shape()
        );
        Err(Error::shape(op, message))
    };
    let (&[batch, heads, queries, width], &[b, key_heads, keys, e]) = (q.shape(), k.shape()) else {
        return fail("it takes (B, H, T, E), (B, K, S, E), (B, K, S, E)");
    };
    if (b, e) != (batch, width) || v.shape() != k.shape() {
        return fail("it takes (B, H, T, E), (B, K, S, E), (B, K, S, E)");
    }
    if key_heads == 0 || !heads.is_multiple_of(key_heads) {
        return fail("the key heads do not divide the query heads");
    }
    if width > 256 {
        return fail("the kernels hold rows of at most 256");
    }
    if let Some(mask) = options.mask
        && mask.shape() != [batch, heads, queries, keys]
    {
        return fail(&format!("the mask is {:?}, not (B, H, T, S)", mask.shape()));
    }
    same_device(op, q.buffer(), k.buffer())?;
    same_device(op, q.buffer(), v.buffer())?;
    Ok(manifest::Attention {
        batch: int(op, batch)?,
        heads: int(op, heads)?,
        key_heads: int(op, key_heads)?,
        queries: int(op, queries)?,
        keys: int(op, keys)?,
        width: int(op, width)?,
        q: outer(q),
        k: outer(k),
        v: outer(v),
        dy: [0; 3],
        mask: options
            .mask
            .map_or([0; 4], |m| std::array::from_fn(|d| m.strides()[d] as i64)),
        scale: options.scale,
        causal: i32::from(options.causal),
    })
}

/// The width of the tensor-core kernels that fit, if one does: rows at multiples of 16 bytes, no mask.
fn tensor_cores<T: FloatElement>(
    a: &manifest::Attention,
    views: &[&View<'_, T>],
    masked: bool,
) -> Option<i32> {
    let aligned = views
        .iter()
        .all(|x| x.ptr().0.is_multiple_of(16) && x.strides()[..3].iter().all(|s| s % 8 == 0));
    let blocks = a.batch.checked_mul(a.heads).is_some_and(|n| n <= 65535);
    let fits =
        !masked && T::DTYPE != DType::F32 && aligned && blocks && matches!(a.width, 64 | 128);
    fits.then_some(a.width)
}

/// `y` (B, T, H, E) and `lse` (B, H, T), the logarithm of each query's sum of exponentials.
///
/// # Errors
/// If shapes or devices do not fit, or E is above 256.
pub fn attention<T: FloatElement>(
    q: &View<'_, T>,
    k: &View<'_, T>,
    v: &View<'_, T>,
    options: &Attention<'_, T>,
    y: &mut Buffer<T>,
    lse: &mut Buffer<f32>,
) -> Result<()> {
    let op = "attention";
    problem(op, q, k, v, options)?; // the shapes, before anything is copied
    let (mut spare_q, mut spare_k, mut spare_v) = (None, None, None);
    let (q, k, v) = (
        &rows(q, &mut spare_q)?,
        &rows(k, &mut spare_k)?,
        &rows(v, &mut spare_v)?,
    );
    let a = problem(op, q, k, v, options)?;
    let count = a.batch as usize * a.heads as usize * a.queries as usize;
    check_len(op, "the output", y.len(), count * a.width as usize)?;
    check_len(op, "lse", lse.len(), count)?;
    same_device(op, q.buffer(), y)?;
    if count == 0 {
        return Ok(());
    }
    let device = y.device().clone();
    let grid = (
        (a.queries as usize).div_ceil(ROWS) as u32,
        (a.batch * a.heads) as u32,
        1,
    );
    let tile = (ROWS * a.width as usize * 2) as u32;
    let (qp, kp, vp, yp, lp) = (q.ptr(), k.ptr(), v.ptr(), Ptr::from(y), Ptr::from(lse));
    // SAFETY (all launches): the rows the strides name lie in the views' buffers; y and lse have the sizes checked above.
    match tensor_cores(&a, &[q, k, v], options.mask.is_some()) {
        Some(64) => {
            let kernel = manifest::attention_mma_64 {
                q: qp,
                k: kp,
                v: vp,
                y: yp,
                lse: lp,
                a,
            };
            unsafe { device.launch(&kernel, T::DTYPE, grid, 5 * tile) }
        }
        Some(_) => {
            let kernel = manifest::attention_mma_128 {
                q: qp,
                k: kp,
                v: vp,
                y: yp,
                lse: lp,
                a,
            };
            unsafe { device.launch(&kernel, T::DTYPE, grid, 5 * tile) }
        }
        None => {
            let mask = options.mask.map_or(Ptr::NULL, View::ptr);
            let kernel = manifest::attention_simt {
                q: qp,
                k: kp,
                v: vp,
                mask,
                y: yp,
                lse: lp,
                a,
            };
            unsafe { device.launch(&kernel, T::DTYPE, (count.div_ceil(4) as u32, 1, 1), 0) }
        }
    }
}

/// The gradients of [`attention`] from that of its output, `dy` (B, H, T, E) in any layout; `y` and `lse` are what it gave.
///
/// # Errors
/// As [`attention`].
pub fn attention_backward<T: FloatElement>(
    dy: &View<'_, T>,
    (y, lse): (&Buffer<T>, &Buffer<f32>),
    q: &View<'_, T>,
    k: &View<'_, T>,
    v: &View<'_, T>,
    options: &Attention<'_, T>,
    out: AttentionGradients<'_, T>,
) -> Result<()> {
    let op = "attention_backward";
    problem(op, q, k, v, options)?;
    if dy.shape() != q.shape() {
        return Err(Error::shape(
            op,
            format!("the gradient is {:?}, not {:?}", dy.shape(), q.shape()),
        ));
    }
    let (mut spare_q, mut spare_k, mut spare_v, mut spare_g) = (None, None, None, None);
    let (q, k, v) = (
        &rows(q, &mut spare_q)?,
        &rows(k, &mut spare_k)?,
        &rows(v, &mut spare_v)?,
    );
    let dy = &rows(dy, &mut spare_g)?;
    let mut a = problem(op, q, k, v, options)?;
    a.dy = outer(dy);
    let (batch, heads, queries) = (a.batch as usize, a.heads as usize, a.queries as usize);
    let (key_heads, keys, width) = (a.key_heads as usize, a.keys as usize, a.width as usize);
    let count = batch * heads * queries;
    check_len(op, "the output", y.len(), count * width)?;
    check_len(op, "lse", lse.len(), count)?;
    check_len(op, "dq", out.dq.len(), count * width)?;
    check_len(op, "dk", out.dk.len(), batch * key_heads * keys * width)?;
    check_len(op, "dv", out.dv.len(), batch * key_heads * keys * width)?;
    for buffer in [y, &*out.dq, &*out.dk, &*out.dv, dy.buffer()] {
        same_device(op, q.buffer(), buffer)?;
    }
    if batch * heads * width == 0 {
        return Ok(());
    }
    let device = q.buffer().device().clone();
    let mut delta = device.uninit::<f32>(count)?;
    let kernel = manifest::attention_delta {
        dy: dy.ptr(),
        y: y.into(),
        delta: (&mut delta).into(),
        a,
    };
    // SAFETY (all launches): the rows the strides name lie in the views' buffers; all else has the sizes checked above.
    unsafe { device.launch(&kernel, T::DTYPE, (count.div_ceil(4) as u32, 1, 1), 0) }?;
    let (dyp, qp, kp, vp) = (dy.ptr(), q.ptr(), k.ptr(), v.ptr());
    let (lse, delta) = (Ptr::from(lse), Ptr::from(&delta));
    let (dq, dk, dv) = (Ptr::from(out.dq), Ptr::from(out.dk), Ptr::from(out.dv));
    let q_grid = (queries.div_ceil(ROWS) as u32, (batch * heads) as u32, 1);
    let k_grid = (keys.div_ceil(ROWS) as u32, (batch * key_heads) as u32, 1);
    let tile = (ROWS * width * 2) as u32;
    match tensor_cores(&a, &[q, k, v, dy], options.mask.is_some()) {
        Some(64) => {
            let kernel = manifest::attention_mma_dq_64 {
                dy: dyp,
                q: qp,
                k: kp,
                v: vp,
                lse,
                delta,
                dq,
                a,
            };
            unsafe { device.launch(&kernel, T::DTYPE, q_grid, 4 * tile) }?;
            let kernel = manifest::attention_mma_dkv_64 {
                dy: dyp,
                q: qp,
                k: kp,
                v: vp,
                lse,
                delta,
                dk,
                dv,
                a,
            };
            unsafe { device.launch(&kernel, T::DTYPE, k_grid, 4 * tile) }
        }
        Some(_) => {
            let kernel = manifest::attention_mma_dq_128 {
                dy: dyp,
                q: qp,
                k: kp,
                v: vp,
                lse,
                delta,
                dq,
                a,
            };
            unsafe { device.launch(&kernel, T::DTYPE, q_grid, 4 * tile) }?;
            let kernel = manifest::attention_mma_dkv_128 {
                dy: dyp,
                q: qp,
                k: kp,
                v: vp,
                lse,
                delta,
                dk,
                dv,
                a,
            };
            unsafe { device.launch(&kernel, T::DTYPE, k_grid, 3 * tile) }
        }
        None => {
            let mask = options.mask.map_or(Ptr::NULL, View::ptr);
            let kernel = manifest::attention_simt_dq {
                dy: dyp,
                q: qp,
                k: kp,
                v: vp,
                mask,
                lse,
                delta,
                dq,
                a,
            };
            unsafe { device.launch(&kernel, T::DTYPE, (count.div_ceil(4) as u32, 1, 1), 0) }?;
            let kernel = manifest::attention_simt_dkv {
                dy: dyp,
                q: qp,
                k: kp,
                v: vp,
                mask,
                lse,
                delta,
                dk,
                dv,
                a,
            };
            let grid = ((batch * key_heads * keys).div_ceil(4) as u32, 1, 1);
            unsafe { device.launch(&kernel, T::DTYPE, grid, 0) }
        }
    }
}
