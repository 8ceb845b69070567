//! Matrix products: `C = act(alpha·A·B + bias + residual)` over batches, in any layout, on the best rung of the ladder that fits.
//!
//! The rungs (see `kernels/gemm.cuh`) are all kept: each teaches a step, and each is tested and can be timed by name ([`matmul_on`]).

use cudarc::driver::sys;

use super::{Dense, int};
use crate::error::check_len;
use crate::manifest::{self, Gemm, Ptr, TensorMap};
use crate::view::{layout, numel, same_device};
use crate::{Buffer, DType, Error, FloatElement, Result, Tf32, View, allow_tf32};

/// What is applied to an element of C last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// max(x, 0).
    Relu,
    /// x·Φ(x), by the error function.
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
}

/// What is added to C.
#[derive(Clone, Copy, Debug, Default)]
pub enum Bias<'a, T> {
    /// Nothing.
    #[default]
    None,
    /// One for each row of C, (M).
    Row(&'a Buffer<T>),
    /// One for each column of C, (N): the bias of a linear layer.
    Column(&'a Buffer<T>),
}

/// What happens to an element of C on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a, T> {
    /// The product's factor.
    pub alpha: f32,
    /// Added first.
    pub bias: Bias<'a, T>,
    /// Added second; laid out as C.
    pub residual: Option<&'a Buffer<T>>,
    /// Applied last.
    pub activation: Activation,
}

impl<T> Default for Epilogue<'_, T> {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            bias: Bias::None,
            residual: None,
            activation: Activation::None,
        }
    }
}

/// A rung of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// A thread an element. Any type, any layout.
    Naive,
    /// 32×32 tiles in shared memory. f32, any layout.
    Tiled,
    /// 128×128 tiles, 8×8 in registers. f32.
    Simt,
    /// Tensor cores of a warp. bf16, f16; f32 as TF32.
    Mma,
    /// Tensor cores of a warpgroup, TMA. On Hopper, one matrix of each: bf16, A and B with k along memory; f32 as TF32, of which rounded
    /// copies are made, if k is a multiple of 4.
    Wgmma,
}

/// `C[b] = act(alpha·A[b]·B[b] + bias + residual[b])`: `a` (…, M, K), `b` (…, K, N) with the same leading dimensions (broadcast by stride 0),
/// `c` (…, M, N). Sums are in f32, as are products of f32 unless TF32 is allowed
/// ([`crate::set_allow_tf32`]).
///
/// # Errors
/// If shapes or devices do not fit.
///
/// ```
/// # use gradus_cuda::{Device, ops::gemm::{Epilogue, matmul}};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let a = device.upload(&[1.0f32, 2.0, 3.0, 4.0])?;
/// let mut c = device.uninit(4)?;
/// matmul(&a.view(&[2, 2])?, &a.view(&[2, 2])?, &Epilogue::default(), &mut c)?;
/// assert_eq!(c.download()?, [7.0, 10.0, 15.0, 22.0]);
/// # Ok(())
/// # }
/// ```
pub fn matmul<T: FloatElement>(
    a: &View<'_, T>,
    b: &View<'_, T>,
    epilogue: &Epilogue<'_, T>,
    c: &mut Buffer<T>,
) -> Result<()> {
    run(None, a, b, epilogue, c)
}

/// [`matmul`] on a rung of the ladder.
///
/// # Errors
/// As [`matmul`]; [`Error::Unsupported`] if the rung cannot do it.
pub fn matmul_on<T: FloatElement>(
    rung: Rung,
    a: &View<'_, T>,
    b: &View<'_, T>,
    epilogue: &Epilogue<'_, T>,
    c: &mut Buffer<T>,
) -> Result<()> {
    run(Some(rung), a, b, epilogue, c)
}

/// Strides of the batch as at most two dimensions, if they are so few: (outer, inner) sizes and the strides of A and B.
fn batch_of(shape: &[usize], a: &[isize], b: &[isize]) -> Option<([usize; 2], [i64; 2], [i64; 2])> {
    let l = layout("matmul", shape, &[a, b]).ok()?;
    let (s, t) = (l.strides[0], l.strides[1]);
    match l.rank {
        0 => Some(([1, 1], [0, 0], [0, 0])),
        1 => Some(([1, l.sizes[0] as usize], [0, s[0]], [0, t[0]])),
        2 => Some((
            [l.sizes[0] as usize, l.sizes[1] as usize],
            [s[0], s[1]],
            [t[0], t[1]],
        )),
        _ => None,
    }
}

/// Whether the kernels with tiles can read a matrix of these strides as it lies: one dimension along memory, lines apart.
fn has_lines(rows: usize, columns: usize, row: isize, column: isize) -> bool {
    (column == 1 || columns == 1) && row >= 0 || (row == 1 || rows == 1) && column >= 0
}

fn run<T: FloatElement>(
    rung: Option<Rung>,
    a: &View<'_, T>,
    b: &View<'_, T>,
    epilogue: &Epilogue<'_, T>,
    c: &mut Buffer<T>,
) -> Result<()> {
    let op = "matmul";
    let fail = |what: String| {
        Err(Error::shape(
            op,
            format!("{:?} x {:?}: {what}", a.shape(), b.shape()),
        ))
    };
    let (&[ref batch @ .., m, k], &[ref b_batch @ .., k2, n]) = (a.shape(), b.shape()) else {
        return fail("both need rank 2 or more".into());
    };
    if batch != b_batch {
        return fail("the leading dimensions differ".into());
    }
    if k != k2 {
        return fail(format!("inner {k} != {k2}"));
    }
    let count = numel(op, batch)?;
    check_len(op, "the result", c.len(), numel(op, &[count, m, n])?)?;
    same_device(op, a.buffer(), b.buffer())?;
    same_device(op, a.buffer(), c)?;
    let (bias, bias_kind) = match epilogue.bias {
        Bias::None => (Ptr::NULL, 0),
        Bias::Row(bias) => (
            bias.into(),
            check_len(op, "the bias", bias.len(), m).map(|()| 1)?,
        ),
        Bias::Column(bias) => (
            bias.into(),
            check_len(op, "the bias", bias.len(), n).map(|()| 2)?,
        ),
    };
    if let Some(residual) = epilogue.residual {
        check_len(op, "the residual", residual.len(), c.len())?;
    }
    if c.is_empty() {
        return Ok(());
    }
    // What no kernel reads as it lies is copied: more than two dimensions of batches, neither dimension along memory.
    let rank = batch.len();
    let (sa, sb) = (a.strides(), b.strides());
    let readable = batch_of(batch, &sa[..rank], &sb[..rank]).is_some()
        && has_lines(m, k, sa[rank], sa[rank + 1])
        && has_lines(k, n, sb[rank], sb[rank + 1]);
    if !readable && k > 0 {
        let (dense_a, dense_b) = (Dense::new(a)?, Dense::new(b)?);
        let (va, vb) = (dense_a.view(a.shape())?, dense_b.view(b.shape())?);
        if !(a.is_contiguous() && b.is_contiguous()) {
            return run(rung, &va, &vb, epilogue, c);
        }
    }
    let Some(([outer, inner], a_batch, b_batch)) = batch_of(batch, &sa[..rank], &sb[..rank]) else {
        return fail("too many dimensions".into());
    };
    let along = |unit: isize, size: usize| if size == 1 { 1 } else { unit as i64 };
    let g = Gemm {
        m: int(op, m)?,
        n: int(op, n)?,
        k: int(op, k)?,
        inner_batch: int(op, inner)?,
        a_row: sa[rank] as i64,
        a_column: along(sa[rank + 1], k),
        b_row: along(sb[rank], k),
        b_column: sb[rank + 1] as i64,
        a_batch,
        b_batch,
        alpha: epilogue.alpha,
        activation: epilogue.activation as i32,
        bias: bias_kind,
    };
    let job = Job {
        a: a.ptr(),
        b: b.ptr(),
        bias,
        residual: epilogue.residual.map_or(Ptr::NULL, Into::into),
        c: (&mut *c).into(),
        g,
    };
    let z = outer * inner;
    let rung = rung.unwrap_or_else(|| job.best::<T>(c.device().is_hopper(), z));
    if rung == Rung::Wgmma && T::DTYPE == DType::F32 && job.fits_tf32(z) {
        // Both with k along memory, rounded: the tensor cores read shared memory themselves.
        let (a, b) = (
            rounded(&a.matrix())?,
            rounded(&b.matrix().permuted(&[1, 0]))?,
        );
        let line = i64::from(g.k);
        let g = Gemm {
            a_row: line,
            a_column: 1,
            b_row: 1,
            b_column: line,
            ..g
        };
        let job = Job {
            a: (&a).into(),
            b: (&b).into(),
            g,
            ..job
        };
        return job.launch::<T>(rung, z, c);
    }
    job.launch::<T>(rung, z, c)
}

/// A matrix of f32 in row-major order, rounded to TF32.
fn rounded<T: FloatElement>(x: &View<'_, T>) -> Result<Buffer<T>> {
    let device = x.buffer().device();
    let x = Dense::new(x)?;
    let n = x.len();
    let mut y = device.uninit(n)?;
    let kernel = manifest::round_tf32 {
        x: x.ptr(),
        y: (&mut y).into(),
        n: n as i64,
    };
    // SAFETY: x and y have n elements of f32.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(n, 256), 1, 1), 0) }?;
    Ok(y)
}

struct Job {
    a: Ptr,
    b: Ptr,
    bias: Ptr,
    residual: Ptr,
    c: Ptr,
    g: Gemm,
}

impl Job {
    /// Whether TMA can read both operands: k along memory, lines at multiples of 16 bytes.
    fn fits_tma<T>(&self, batch: usize) -> bool {
        let chunk = 16 / size_of::<T>() as i64;
        let line =
            |stride: i64, at: Ptr| stride > 0 && stride % chunk == 0 && at.0.is_multiple_of(16);
        let g = &self.g;
        batch == 1
            && g.k > 0
            && g.a_column == 1
            && g.b_row == 1
            && line(g.a_row, self.a)
            && line(g.b_column, self.b)
    }

    /// Whether copies with k along memory can be read by TMA.
    fn fits_tf32(&self, batch: usize) -> bool {
        batch == 1 && self.g.k > 0 && self.g.k % 4 == 0
    }

    fn best<T: FloatElement>(&self, hopper: bool, batch: usize) -> Rung {
        let large = i64::from(self.g.m) * i64::from(self.g.n) >= 128 * 256 && self.g.k >= 64;
        match T::DTYPE {
            DType::BF16 if hopper && large && self.fits_tma::<T>(batch) => Rung::Wgmma,
            DType::BF16 | DType::F16 => Rung::Mma,
            DType::F32 if allow_tf32(Tf32::Matmul) => {
                match hopper && large && self.fits_tf32(batch) {
                    true => Rung::Wgmma,
                    false => Rung::Mma,
                }
            }
            DType::F64 => Rung::Naive,
            _ => Rung::Simt,
        }
    }

    fn launch<T: FloatElement>(&self, rung: Rung, batch: usize, output: &Buffer<T>) -> Result<()> {
        let device = output.device();
        let Self {
            a,
            b,
            bias,
            residual,
            c,
            g,
        } = *self;
        let grid = |tile_m: usize, tile_n: usize| -> Result<(u32, u32, u32)> {
            let (rows, columns) = (
                (g.m as usize).div_ceil(tile_m),
                (g.n as usize).div_ceil(tile_n),
            );
            if rows > 65535 || batch > 65535 {
                return Err(Error::shape(
                    "matmul",
                    format!("{} rows in {batch} matrices are too many for a launch", g.m),
                ));
            }
            Ok((columns as u32, rows as u32, batch as u32))
        };
        let unsupported = |what: &str| {
            Err(Error::Unsupported {
                op: "matmul",
                what: format!("{rung:?}: {what}"),
            })
        };
        let is_f32 = T::DTYPE == DType::F32;
        // SAFETY (all launches): the matrices lie in the buffers of the views (their strides are the views'), C, bias and residual have
        // the sizes of the product (checked by `run`); C is borrowed exclusively by `run`'s caller.
        match rung {
            Rung::Naive => {
                let kernel = manifest::gemm_naive {
                    a,
                    b,
                    bias,
                    residual,
                    c,
                    g,
                };
                unsafe { device.launch(&kernel, T::DTYPE, grid(16, 16)?, 0) }
            }
            Rung::Tiled | Rung::Simt if !is_f32 => unsupported("f32 only"),
            Rung::Tiled => {
                let kernel = manifest::gemm_tiled {
                    a,
                    b,
                    bias,
                    residual,
                    c,
                    g,
                };
                unsafe { device.launch(&kernel, T::DTYPE, grid(32, 32)?, 0) }
            }
            Rung::Simt => {
                let kernel = manifest::gemm_simt {
                    a,
                    b,
                    bias,
                    residual,
                    c,
                    g,
                };
                unsafe { device.launch(&kernel, T::DTYPE, grid(128, 128)?, 0) }
            }
            Rung::Mma if T::DTYPE == DType::F64 => unsupported("f32, bf16 and f16 only"),
            Rung::Mma => {
                let kernel = manifest::gemm_mma {
                    a,
                    b,
                    bias,
                    residual,
                    c,
                    g,
                };
                unsafe { device.launch(&kernel, T::DTYPE, grid(128, 128)?, 48 * 1024) }
            }
            Rung::Wgmma if T::DTYPE != DType::BF16 && !is_f32 => unsupported("bf16 and f32 only"),
            Rung::Wgmma if is_f32 && !self.fits_tf32(batch) => {
                unsupported("k a multiple of 4, one matrix")
            }
            Rung::Wgmma if !self.fits_tma::<T>(batch) => {
                unsupported("k along memory, lines of 16 bytes, one matrix")
            }
            Rung::Wgmma => {
                // A map counts two bytes as one element.
                let pairs = size_of::<T>() as i32 / 2;
                let (k, wide) = (g.k * pairs, i64::from(pairs));
                let a_map = tensor_map(a, g.m, k, g.a_row * wide, 128)?;
                let b_map = tensor_map(b, g.n, k, g.b_column * wide, 256)?;
                let tiles = (g.m as u32).div_ceil(128) * (g.n as u32).div_ceil(256);
                let (grid, shared) = ((tiles, 1, 1), 4 * (16384 + 32768) + 64);
                if is_f32 {
                    let kernel = manifest::gemm_wgmma_tf32 {
                        a_map,
                        b_map,
                        bias,
                        residual,
                        c,
                        g,
                    };
                    return unsafe { device.launch(&kernel, T::DTYPE, grid, shared) };
                }
                let kernel = manifest::gemm_wgmma {
                    a_map,
                    b_map,
                    bias,
                    residual,
                    c,
                    g,
                };
                unsafe { device.launch(&kernel, T::DTYPE, grid, shared) }
            }
        }
    }
}

/// A matrix of elements of two bytes (rows, k), k along memory, as TMA reads it: boxes of `box_rows` × 64, in the 128-byte swizzle.
pub(crate) fn tensor_map(
    at: Ptr,
    rows: i32,
    k: i32,
    line: i64,
    box_rows: u32,
) -> Result<TensorMap> {
    let mut map = TensorMap([0; 16]);
    let (sizes, strides) = ([k as u64, rows as u64], [line as u64 * 2]);
    let (boxes, steps) = ([64u32, box_rows], [1u32, 1]);
    // SAFETY: the arrays have `rank` (2) elements, the strides one fewer; the map is 128 bytes at a multiple of 64.
    let status = unsafe {
        sys::cuTensorMapEncodeTiled(
            (&raw mut map).cast(),
            sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
            2,
            at.0 as *mut _,
            sizes.as_ptr(),
            strides.as_ptr(),
            boxes.as_ptr(),
            steps.as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    };
    crate::device::check("cuTensorMapEncodeTiled", status.result())?;
    Ok(map)
}
