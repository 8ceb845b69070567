//! The traits a kernel is written against: an `Isa` token and its vectors.
//!
//! What it is: the whole vocabulary of the layers above. A kernel generic over `S: Isa` and `T: Float` compiles to
//! scalar, AVX2, AVX-512 and NEON code, and reads like the maths it computes because vectors have operators.
//! What it is not: a portable-SIMD library with every shuffle; it holds what deep-learning kernels need.
//! Idea: zero-sized proof tokens as in `pulp` and rten's `rten-simd`; the API here is our own.
//!
//! Every arithmetic operation is IEEE-754 correctly rounded and `mul_add` is fused on every ISA, so a lane-wise
//! kernel gives **the same bits on every ISA** (NaN payloads excepted), whatever the lane count.

use std::fmt::Debug;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

use crate::float::Float;

/// 32 rows of eight numbers, by rows and by columns: what [`FloatVec::rows`] looks up.
#[derive(Debug)]
#[repr(align(64))]
pub struct Table<E> {
    pub(crate) rows: [[E; 8]; 32],
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // AVX-512 looks up whole columns
    pub(crate) columns: [[E; 32]; 8],
}

impl<E: Copy> Table<E> {
    /// The table with these columns.
    pub const fn new(columns: [[E; 32]; 8]) -> Self {
        let mut rows = [[columns[0][0]; 8]; 32];
        let mut i = 0;
        while i < 32 * 8 {
            rows[i / 8][i % 8] = columns[i % 8][i / 8];
            i += 1;
        }
        Self { rows, columns }
    }
}

/// A zero-sized token: holding one proves that the processor has the instructions.
pub trait Isa: Copy + Debug + Send + Sync + 'static {
    /// `"scalar"`, `"avx2"`, `"avx512"` or `"neon"`.
    const NAME: &'static str;
    /// Architectural vector registers, for kernels that tile by them.
    const REGISTERS: usize;
    /// The vector of `f32` lanes.
    type F32: FloatVec<Self, f32>;
    /// The vector of `f64` lanes.
    type F64: FloatVec<Self, f64>;

    /// Converts `f32` lanes to `f64`: the low half and the high half. Where `F64` has as many lanes as `F32` (scalar),
    /// both results are the same vector.
    fn widen(self, x: Self::F32) -> (Self::F64, Self::F64);
    /// The inverse of [`Isa::widen`], rounding each lane once to `f32`.
    fn narrow(self, low: Self::F64, high: Self::F64) -> Self::F32;
    /// Asks for the cache line at `p` early. A hint: it never faults, and does nothing on some ISAs.
    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        let _ = p;
    }
    /// `LANES` bf16 from `p`, given as their bits, as `f32`.
    ///
    /// # Safety
    /// They are readable.
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> Self::F32 {
        let mut lanes = Self::F32::zero(self).to_array();
        for (i, lane) in lanes.as_mut().iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *lane = f32::from_bits(u32::from(unsafe { *p.add(i) }) << 16);
        }
        Self::F32::load(self, lanes.as_ref())
    }
    /// Stores the lanes as bf16, rounded to the nearest, halves to even; NaN stays NaN.
    ///
    /// # Safety
    /// `LANES` of them are writable at `p`.
    #[inline(always)]
    unsafe fn store_bf16(self, x: Self::F32, p: *mut u16) {
        for (i, &x) in x.to_array().as_ref().iter().enumerate() {
            let bits = x.to_bits();
            let half = if x.is_nan() {
                bits >> 16 | 0x40
            } else {
                (bits + 0x7fff + (bits >> 16 & 1)) >> 16
            };
            // SAFETY: the caller's promise.
            unsafe { *p.add(i) = half as u16 };
        }
    }
    /// Rows and columns of what [`Isa::transpose_tile`] turns over.
    const TILE: usize = 8;
    /// `dst[i·dst_step + j] = src[j·src_step + i]` for i and j below [`Isa::TILE`]; the words are moved, whatever they mean. Stores
    /// past the cache, where the ISA can and a row is a whole line, if asked to (see [`Isa::fence`]).
    ///
    /// # Safety
    /// Every element named above must be readable, or writable; to `stream`, every row of `dst` must begin on a line of 64 bytes.
    #[inline(always)]
    unsafe fn transpose_tile(
        self,
        src: *const f32,
        src_step: usize,
        dst: *mut f32,
        dst_step: usize,
        stream: bool,
    ) {
        let _ = stream;
        for i in 0..Self::TILE {
            for j in 0..Self::TILE {
                // SAFETY: the caller's promise.
                unsafe { *dst.add(i * dst_step + j) = *src.add(j * src_step + i) };
            }
        }
    }
    /// Orders the stores of [`FloatVec::stream_ptr`] before what follows; call it once after a streaming loop.
    #[inline(always)]
    fn fence(self) {}
}

/// One boolean per lane.
pub trait MaskVec<S: Isa>:
    Copy
    + Debug
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    /// Lanes as bits, lane 0 lowest.
    fn to_bits(self) -> u32;
    /// True if any lane is.
    #[inline(always)]
    fn any(self) -> bool {
        self.to_bits() != 0
    }
    /// True if every lane is.
    fn all(self) -> bool;
}

/// A vector of floating-point lanes. Operators are safe: a value exists only where its token did.
pub trait FloatVec<S: Isa, E: Float>:
    Copy
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Signed integers of the same width and lane count.
    type Int: IntVec<S, E::Int, Mask = Self::Mask>;
    /// One boolean per lane.
    type Mask: MaskVec<S>;
    /// The lanes as an array.
    type Array: Copy + Debug + AsRef<[E]> + AsMut<[E]>;
    /// Number of lanes.
    const LANES: usize;

    /// Every lane is `x`.
    fn splat(isa: S, x: E) -> Self;
    /// Every lane is 0.
    #[inline(always)]
    fn zero(isa: S) -> Self {
        Self::splat(isa, E::ZERO)
    }
    /// Loads the first `LANES` elements.
    ///
    /// # Panics
    /// If `x` is shorter.
    #[inline(always)]
    fn load(isa: S, x: &[E]) -> Self {
        assert!(
            x.len() >= Self::LANES,
            "load: {} elements, {} lanes",
            x.len(),
            Self::LANES
        );
        // SAFETY: the slice holds at least LANES elements.
        unsafe { Self::load_ptr(isa, x.as_ptr()) }
    }
    /// Stores into the first `LANES` elements.
    ///
    /// # Panics
    /// If `y` is shorter.
    #[inline(always)]
    fn store(self, y: &mut [E]) {
        assert!(
            y.len() >= Self::LANES,
            "store: {} elements, {} lanes",
            y.len(),
            Self::LANES
        );
        // SAFETY: the slice holds at least LANES elements.
        unsafe { self.store_ptr(y.as_mut_ptr()) }
    }
    /// Loads `LANES` elements from `p`, aligned or not.
    ///
    /// # Safety
    /// `p` must be valid for reading `LANES` elements.
    unsafe fn load_ptr(isa: S, p: *const E) -> Self;
    /// Stores `LANES` elements at `p`, aligned or not.
    ///
    /// # Safety
    /// `p` must be valid for writing `LANES` elements.
    unsafe fn store_ptr(self, p: *mut E);
    /// Stores past the cache where the ISA can, for large outputs not read again soon. See [`Isa::fence`].
    ///
    /// # Safety
    /// As [`FloatVec::store_ptr`], and `p` must be aligned to the size of the vector.
    #[inline(always)]
    unsafe fn stream_ptr(self, p: *mut E) {
        // SAFETY: the caller's promise includes store_ptr's.
        unsafe { self.store_ptr(p) }
    }
    /// Loads the first `n <= LANES` elements from `p` and fills the other lanes with `fill`.
    ///
    /// # Safety
    /// `n <= LANES`, and `p` must be valid for reading `n` elements; nothing past them is touched.
    unsafe fn load_tail_ptr(isa: S, p: *const E, n: usize, fill: E) -> Self;
    /// Stores the first `n <= LANES` lanes at `p`.
    ///
    /// # Safety
    /// `n <= LANES`, and `p` must be valid for writing `n` elements; nothing past them is touched.
    unsafe fn store_tail_ptr(self, p: *mut E, n: usize);
    /// Loads up to `LANES` elements: all of `x` if it is shorter, with `fill` in the lanes past its end.
    #[inline(always)]
    fn load_tail(isa: S, x: &[E], fill: E) -> Self {
        // SAFETY: reads min(len, LANES) elements of the slice.
        unsafe { Self::load_tail_ptr(isa, x.as_ptr(), x.len().min(Self::LANES), fill) }
    }
    /// Stores as many lanes as `y` has room for.
    #[inline(always)]
    fn store_tail(self, y: &mut [E]) {
        // SAFETY: writes min(len, LANES) elements of the slice.
        unsafe { self.store_tail_ptr(y.as_mut_ptr(), y.len().min(Self::LANES)) }
    }
    /// The lanes as an array, lane 0 first.
    fn to_array(self) -> Self::Array;

    /// `self * b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `c - self * b`, rounded once.
    fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// `self * b - c`, rounded once.
    fn mul_sub(self, b: Self, c: Self) -> Self;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Absolute value: clears the sign bit, of NaN too.
    fn abs(self) -> Self;
    /// The largest integer not above.
    fn floor(self) -> Self;
    /// The smallest integer not below.
    fn ceil(self) -> Self;
    /// The integer part.
    fn trunc(self) -> Self;
    /// The nearest integer, halves to even.
    fn round_ties_even(self) -> Self;
    /// The smaller; **NaN if either is NaN** (as `torch.minimum`); of equal values (so of ±0) the second.
    fn min(self, o: Self) -> Self;
    /// The larger; **NaN if either is NaN** (as `torch.maximum`); of equal values (so of ±0) the second.
    fn max(self, o: Self) -> Self;
    /// No less than `low`, which is not NaN: `self` where they are equal, and NaN stays NaN.
    fn at_least(self, low: Self) -> Self;
    /// No more than `high`, which is not NaN: `self` where they are equal, and NaN stays NaN.
    fn at_most(self, high: Self) -> Self;
    /// Between `low` and `high`, which are not NaN; NaN stays NaN.
    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        self.at_least(low).at_most(high)
    }
    /// `self · 2^n` for integral n, rounded once, if there is an instruction for it.
    #[inline(always)]
    fn times_power_of_two(self, _n: Self) -> Option<Self> {
        None
    }
    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;

    /// Lane-wise `==`; false where either is NaN.
    fn eq(self, o: Self) -> Self::Mask;
    /// Lane-wise `!=`; true where either is NaN.
    fn ne(self, o: Self) -> Self::Mask;
    /// Lane-wise `<`; false where either is NaN.
    fn lt(self, o: Self) -> Self::Mask;
    /// Lane-wise `<=`; false where either is NaN.
    fn le(self, o: Self) -> Self::Mask;
    /// Lane-wise `>`; false where either is NaN.
    #[inline(always)]
    fn gt(self, o: Self) -> Self::Mask {
        o.lt(self)
    }
    /// Lane-wise `>=`; false where either is NaN.
    #[inline(always)]
    fn ge(self, o: Self) -> Self::Mask {
        o.le(self)
    }
    /// True in the lanes that hold NaN.
    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        self.ne(self)
    }
    /// `a` where the mask is true, `b` elsewhere.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;

    /// The IEEE-754 bits.
    fn to_bits(self) -> Self::Int;
    /// The float with these IEEE-754 bits.
    fn from_bits(bits: Self::Int) -> Self;
    /// To the nearest integer, halves to even. Right for |x| < 2^31 (`f32`) or 2^51 (`f64`), unspecified beyond and for NaN.
    fn to_int_round(self) -> Self::Int;
    /// From an integer, |i| < 2^51 for `f64` lanes; rounded to nearest for `f32` lanes.
    fn from_int(i: Self::Int) -> Self;
    /// `table[index mod 16]` of each lane: a table in registers where the ISA can.
    fn lookup(isa: S, table: &[E; 16], index: Self::Int) -> Self;

    /// Row `index mod 32` of each lane: vector k of the result holds the lanes' numbers k.
    #[inline(always)]
    fn rows(isa: S, table: &Table<E>, index: Self::Int) -> [Self; 8] {
        let index = Self::from_int(index & Self::Int::splat(isa, E::int(31))).to_array();
        let mut y = [Self::zero(isa); 8];
        let mut k = 0;
        while k < 8 {
            let mut lanes = y[k].to_array();
            for (lane, &i) in lanes.as_mut().iter_mut().zip(index.as_ref()) {
                *lane = table.rows[i.to_f64() as usize & 31][k];
            }
            y[k] = Self::load(isa, lanes.as_ref());
            k += 1;
        }
        y
    }

    /// Whether there is [`FloatVec::dot_pairs`] for these lanes; whether this processor has it is what [`multiplies_bf16`] says.
    ///
    /// [`multiplies_bf16`]: crate::multiplies_bf16
    const DOTS: bool = false;
    /// `c` and the two products of `self` and `b`, whose lanes are the bits of two bf16 each. Denormal numbers count as 0.
    ///
    /// # Safety
    /// The processor has it.
    ///
    /// # Panics
    /// If [`FloatVec::DOTS`] is false.
    #[inline(always)]
    unsafe fn dot_pairs(self, _b: Self, _c: Self) -> Self {
        unreachable!("not among this instruction set's")
    }

    /// The even and the odd of the elements of `self` and then `o`, each in their order.
    fn deinterleave(self, o: Self) -> (Self, Self);
    /// And back: the elements of `self` and `o` by turns, as two vectors.
    fn interleave(self, o: Self) -> (Self, Self);

    /// Applies `f` to the lanes where `mask` is true, one at a time: the road for rare, hard arguments.
    #[inline(always)]
    fn map_where(self, isa: S, mask: Self::Mask, f: impl Fn(E) -> E) -> Self {
        let bits = mask.to_bits();
        let mut lanes = self.to_array();
        for (i, x) in lanes.as_mut().iter_mut().enumerate() {
            if bits >> i & 1 == 1 {
                *x = f(*x);
            }
        }
        Self::load(isa, lanes.as_ref())
    }
    /// Folds the lanes by halves, `f(x[i], x[i + n/2])`, until one is left: a tree whose shape depends on `LANES` alone.
    #[inline(always)]
    fn reduce(self, f: impl Fn(E, E) -> E) -> E {
        let mut lanes = self.to_array();
        let lanes = lanes.as_mut();
        let mut half = Self::LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] = f(lanes[i], lanes[i + half]);
            }
            half /= 2;
        }
        lanes[0]
    }
    /// The sum of the lanes, by the fixed tree of [`FloatVec::reduce`].
    #[inline(always)]
    fn reduce_sum(self) -> E {
        self.reduce(|a, b| a + b)
    }
    /// The largest lane; NaN if any lane is NaN.
    #[inline(always)]
    fn reduce_max(self) -> E {
        self.reduce(E::maximum)
    }
    /// The smallest lane; NaN if any lane is NaN.
    #[inline(always)]
    fn reduce_min(self) -> E {
        self.reduce(E::minimum)
    }
}

/// A vector of `i32` or `i64` lanes: exponent tricks and index work. Arithmetic wraps.
pub trait IntVec<S: Isa, E: Copy>:
    Copy
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    /// One boolean per lane.
    type Mask: MaskVec<S>;
    /// Number of lanes.
    const LANES: usize;
    /// Every lane is `x`.
    fn splat(isa: S, x: E) -> Self;
    /// Loads the first `LANES` elements.
    ///
    /// # Panics
    /// If `x` is shorter.
    #[inline(always)]
    fn load(isa: S, x: &[E]) -> Self {
        assert!(
            x.len() >= Self::LANES,
            "load: {} elements, {} lanes",
            x.len(),
            Self::LANES
        );
        // SAFETY: the slice holds at least LANES elements.
        unsafe { Self::load_ptr(isa, x.as_ptr()) }
    }
    /// Stores into the first `LANES` elements.
    ///
    /// # Panics
    /// If `y` is shorter.
    #[inline(always)]
    fn store(self, y: &mut [E]) {
        assert!(
            y.len() >= Self::LANES,
            "store: {} elements, {} lanes",
            y.len(),
            Self::LANES
        );
        // SAFETY: the slice holds at least LANES elements.
        unsafe { self.store_ptr(y.as_mut_ptr()) }
    }
    /// Loads `LANES` elements from `p`, aligned or not.
    ///
    /// # Safety
    /// `p` must be valid for reading `LANES` elements.
    unsafe fn load_ptr(isa: S, p: *const E) -> Self;
    /// Stores `LANES` elements at `p`, aligned or not.
    ///
    /// # Safety
    /// `p` must be valid for writing `LANES` elements.
    unsafe fn store_ptr(self, p: *mut E);
    /// Shifts left by `n` < width bits.
    fn shl(self, n: u32) -> Self;
    /// Shifts right by `n` < width bits, copying the sign.
    fn shr(self, n: u32) -> Self;
    /// Shifts right by `n` < width bits, filling with 0.
    fn shr_logical(self, n: u32) -> Self;
    /// Lane-wise `==`.
    fn eq(self, o: Self) -> Self::Mask;
    /// Lane-wise signed `>`.
    fn gt(self, o: Self) -> Self::Mask;
    /// Lane-wise signed `<`.
    #[inline(always)]
    fn lt(self, o: Self) -> Self::Mask {
        o.gt(self)
    }
    /// `a` where the mask is true, `b` elsewhere.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;
}
