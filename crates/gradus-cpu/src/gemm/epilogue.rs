//! What happens to a tile of the result before it leaves the cache: bias, residual, activation.
//!
//! `y = act(x + bias + residual)`, so that `linear + GELU` or `conv + BN + residual + ReLU` write their output once and
//! read nothing twice. It is applied to tiles in L1 right after the last product was added.

use std::hint::black_box;

use gradus_simd::{Float, FloatVec, Isa, IsaName, Kernel, Scalar, math};

use super::blocked::on;
use super::matrix::Out;

/// A vector added to the product.
#[derive(Clone, Copy, Debug, Default)]
pub enum Bias<'a, T> {
    /// Nothing.
    #[default]
    None,
    /// One for each row of C, `(M)`: the bias of a convolution.
    Row(&'a [T]),
    /// One for each column of C, `(N)`: the bias of a linear layer.
    Column(&'a [T]),
}

/// A function applied to each element of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`; NaN stays NaN.
    Relu,
    /// `x·Φ(x)`, by erf: PyTorch's `gelu`.
    Gelu,
    /// Its approximation by tanh: `gelu(approximate='tanh')`.
    GeluTanh,
}

impl Activation {
    /// ReLU, which is done where the bias is added. The dearer ones are [`activate`]'s.
    #[inline(always)]
    pub(crate) fn relu<S: Isa, T: Float>(self, isa: S, x: T::V<S>) -> T::V<S> {
        if self == Self::Relu {
            x.max(T::V::<S>::zero(isa))
        } else {
            x
        }
    }
}

/// Applies GELU, if that is the activation, to `rows × cols` of C from `(row, col)` on, which are still in the cache.
/// It is a pass of its own because its constants would take the registers of the loops around it.
pub(crate) fn activate<T: Float>(
    isa: IsaName,
    activation: Activation,
    out: &Out<'_, T>,
    at: (usize, usize),
    size: (usize, usize),
) {
    if matches!(activation, Activation::Gelu | Activation::GeluTanh) {
        on(
            isa,
            Activate {
                tanh: activation == Activation::GeluTanh,
                out,
                at,
                size,
            },
        );
    }
}

struct Activate<'a, T> {
    tanh: bool,
    out: &'a Out<'a, T>,
    at: (usize, usize),
    size: (usize, usize),
}

impl<T: Float> Kernel for Activate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        if self.tanh {
            self.each(
                isa,
                #[inline(always)]
                |x| math::gelu_tanh::<S, T>(isa, x),
            );
        } else {
            self.each(
                isa,
                #[inline(always)]
                |x| math::gelu::<S, T>(isa, x),
            );
        }
    }
}

impl<T: Float> Activate<'_, T> {
    #[inline(always)]
    fn each<S: Isa>(&self, isa: S, f: impl Fn(T::V<S>) -> T::V<S>) {
        let (lanes, (rows, cols)) = (T::V::<S>::LANES, self.size);
        assert!(self.at.0 + rows <= self.out.rows() && self.at.1 + cols <= self.out.cols());
        let mut j = 0;
        while j < cols {
            let (first, room) = self.out.locate(self.at.0, self.at.1 + j);
            let n = lanes.min(room).min(cols - j);
            for i in 0..rows {
                let c = self.out.at(first + i * self.out.row_stride());
                // SAFETY: n elements of C side by side, inside it by the assert; this thread alone has them.
                unsafe { f(load::<S, T>(isa, c, n)).store_tail_ptr(c, n) };
            }
            j += n;
        }
    }
}

/// `act(x + bias + residual)`, applied to each element of C on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a, T> {
    /// Added first.
    pub bias: Bias<'a, T>,
    /// Added second. Laid out exactly as C's slice: the same index means the same element.
    pub residual: Option<&'a [T]>,
    /// Applied last.
    pub activation: Activation,
}

impl<T> Default for Epilogue<'_, T> {
    fn default() -> Self {
        Self {
            bias: Bias::None,
            residual: None,
            activation: Activation::None,
        }
    }
}

impl<'a, T: Float> Epilogue<'a, T> {
    /// Only a bias.
    pub fn bias(bias: Bias<'a, T>) -> Self {
        Self {
            bias,
            ..Self::default()
        }
    }

    /// Whether there is nothing to do.
    pub fn is_identity(&self) -> bool {
        matches!(self.bias, Bias::None)
            && self.residual.is_none()
            && self.activation == Activation::None
    }

    /// One element, plainly: `(i, j)` of C, at index `at` of its slice.
    pub(crate) fn reference(&self, x: T, i: usize, j: usize, at: usize) -> T {
        let mut y = x;
        match self.bias {
            Bias::None => {}
            Bias::Row(bias) => y += bias[i],
            Bias::Column(bias) => y += bias[j],
        }
        if let Some(residual) = self.residual {
            y += residual[at];
        }
        match self.activation {
            Activation::None => y,
            Activation::Relu => y.maximum(T::ZERO),
            Activation::Gelu => {
                math::gelu::<Scalar, T>(Scalar, T::V::<Scalar>::splat(Scalar, y)).reduce_sum()
            }
            Activation::GeluTanh => {
                math::gelu_tanh::<Scalar, T>(Scalar, T::V::<Scalar>::splat(Scalar, y)).reduce_sum()
            }
        }
    }

    /// The first `n` lanes of `x` stand at `(i, j..j + n)` of C, at indices `at..at + n` of its slice.
    ///
    /// # Safety
    /// Those are elements of C, and `bias` and `residual` were checked to be as long as C needs.
    #[inline(always)]
    unsafe fn apply<S: Isa>(
        &self,
        isa: S,
        x: T::V<S>,
        i: usize,
        j: usize,
        at: usize,
        n: usize,
    ) -> T::V<S> {
        let mut y = x;
        // SAFETY: the caller promises that i, j + n and at + n are inside what the slices cover.
        unsafe {
            match self.bias {
                Bias::None => {}
                Bias::Row(bias) => y = y + T::V::<S>::splat(isa, *bias.get_unchecked(i)),
                Bias::Column(bias) => {
                    y = y + T::V::<S>::load_tail_ptr(isa, bias.as_ptr().add(j), n, T::ZERO);
                }
            }
            if let Some(residual) = self.residual {
                y = y + T::V::<S>::load_tail_ptr(isa, residual.as_ptr().add(at), n, T::ZERO);
            }
        }
        self.activation.relu::<S, T>(isa, y)
    }
}

/// How a tile of products becomes a tile of C.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale<T> {
    pub alpha: T,
    /// 0 means that C is not read.
    pub beta: T,
}

/// `n` elements, which are all lanes more often than not.
///
/// # Safety
/// As [`FloatVec::load_tail_ptr`].
#[inline(always)]
pub(crate) unsafe fn load<S: Isa, T: Float>(isa: S, p: *const T, n: usize) -> T::V<S> {
    // SAFETY: the caller's promise.
    unsafe {
        if n == T::V::<S>::LANES {
            T::V::<S>::load_ptr(isa, p)
        } else {
            T::V::<S>::load_tail_ptr(isa, p, n, T::ZERO)
        }
    }
}

/// Writes a `rows × cols` tile of products (rows `stride` apart) to C at `(row, col)`:
/// `C = epilogue(alpha·tile + beta·C)`. The tile may be C itself.
///
/// # Safety
/// The tile is readable and its place in C inside `out`, written by this thread alone. `epilogue` fits C.
#[inline(always)]
pub(crate) unsafe fn finish<S: Isa, T: Float>(
    isa: S,
    tile: *const T,
    stride: usize,
    (rows, cols): (usize, usize),
    out: &Out<'_, T>,
    (row, col): (usize, usize),
    scale: &Scale<T>,
    epilogue: Option<&Epilogue<'_, T>>,
) {
    let lanes = T::V::<S>::LANES;
    // Read from memory here, and not kept in registers throughout: the micro-kernel needs 31 of 32.
    let Scale { alpha, beta } = *black_box(scale);
    let reads = beta != T::ZERO;
    let (alpha, beta) = (T::V::<S>::splat(isa, alpha), T::V::<S>::splat(isa, beta));
    let mut j = 0;
    while j < cols {
        // Where a column lies costs a division, so it is asked once for all rows.
        let (first, room) = out.locate(row, col + j);
        let n = lanes.min(room).min(cols - j);
        for i in 0..rows {
            let at = first + i * out.row_stride();
            // SAFETY: n elements from (i, j) on are inside the tile, and side by side inside C.
            unsafe {
                let (x, c) = (tile.add(i * stride + j), out.at(at));
                let mut y = alpha * load::<S, T>(isa, x, n);
                if reads {
                    y = beta.mul_add(load::<S, T>(isa, c, n), y);
                }
                if let Some(epilogue) = epilogue {
                    y = epilogue.apply(isa, y, row + i, col + j, at, n);
                }
                if n == lanes {
                    y.store_ptr(c);
                } else {
                    y.store_tail_ptr(c, n);
                }
            }
        }
        j += n;
    }
}
