//! Hostile arguments, drawn from a seed: plausible ones most of the time, so that kernels run, and among them what broke
//! other frameworks: zeros, negatives, extremes, products that overflow, numbers beyond i32, NaN, empty and wrong tensors.

use std::cell::Cell;

use gradus_tensor::{DType, Dims, Scalar, Tensor};

/// Whole numbers nobody should pass. None asks for an amount of memory that could be had: what is legal but slow is not a
/// mistake of the library.
const ODD: [i64; 24] = [
    -1,
    -2,
    -7,
    31,
    33,
    64,
    257,
    65_537,
    i32::MAX as i64 - 1,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    i32::MIN as i64 - 1,
    u32::MAX as i64,
    u32::MAX as i64 + 2,
    1 << 40,
    -(1 << 40),
    (1 << 41) - 3,
    1 << 61,
    1 << 62,
    (1 << 62) + 1,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    i64::MIN + 1,
];

const REALS: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    1e-300,
    1e300,
    -1e300,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MIN_POSITIVE,
    9.3e18,
    -3e9,
    65_505.0,
];

const DTYPES: [DType; 7] = [
    DType::Bool,
    DType::U8,
    DType::I32,
    DType::I64,
    DType::F16,
    DType::BF16,
    DType::F64,
];

/// A stream of arguments.
pub struct Draw(Cell<u64>);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(Cell::new(seed))
    }

    /// SplitMix64.
    fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn odds(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn flag(&self) -> bool {
        self.odds(50)
    }

    pub fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub fn maybe<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        self.flag().then(f)
    }

    pub fn int(&self) -> i64 {
        if self.odds(70) {
            self.below(9) as i64 - 3
        } else {
            self.pick(&ODD)
        }
    }

    pub fn size(&self) -> usize {
        if self.odds(75) {
            self.below(5)
        } else {
            self.pick(&ODD) as usize
        }
    }

    /// A size that is seldom odd, for calls that need many of them to be right.
    pub fn few(&self) -> usize {
        if self.odds(93) {
            self.below(3) + usize::from(self.odds(90))
        } else {
            self.pick(&ODD) as usize
        }
    }

    pub fn dim(&self) -> isize {
        if self.odds(85) {
            self.below(6) as isize - 3
        } else {
            self.pick(&ODD) as isize
        }
    }

    pub fn dim_list(&self) -> Vec<isize> {
        (0..self.below(4)).map(|_| self.dim()).collect()
    }

    pub fn dims(&self) -> Dims {
        if self.odds(20) {
            Dims::from(..)
        } else {
            Dims::List(self.dim_list())
        }
    }

    pub fn ints(&self) -> Vec<i64> {
        (0..self.below(5)).map(|_| self.int()).collect()
    }

    pub fn sizes(&self) -> Vec<usize> {
        (0..self.below(5)).map(|_| self.size()).collect()
    }

    /// The arguments of a window: D of them.
    pub fn window<const D: usize>(&self) -> [usize; D] {
        [(); D].map(|()| self.few())
    }

    pub fn real(&self) -> f64 {
        if self.odds(50) {
            self.below(4001) as f64 / 1000.0 - 2.0
        } else {
            self.pick(&REALS)
        }
    }

    pub fn scalar(&self) -> Scalar {
        match self.below(8) {
            0 => Scalar::Bool(self.flag()),
            1..4 => Scalar::Int(self.int()),
            _ => Scalar::Float(self.real()),
        }
    }

    pub fn dtype(&self) -> DType {
        if self.odds(45) {
            DType::F32
        } else {
            self.pick(&DTYPES)
        }
    }

    pub fn float_dtype(&self) -> DType {
        if self.odds(90) {
            self.pick(&[DType::F32, DType::F64, DType::BF16, DType::F16, DType::F32])
        } else {
            self.dtype()
        }
    }

    /// A shape that is small, empty, of many dimensions, or empty and vast.
    pub fn shape(&self) -> Vec<usize> {
        match self.below(40) {
            0 => vec![1; self.pick(&[7, 31, 33, 40])],
            1 => vec![0, 1 << 32, 1 << 28],
            2 => vec![1, 0, 1 << 61],
            3 => vec![257],
            _ => {
                let rank = self.pick(&[0, 1, 1, 2, 2, 2, 3, 3, 4, 5]);
                let size = || self.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 5]);
                (0..rank).map(|_| size()).collect()
            }
        }
    }

    /// Any tensor small enough to be computed with.
    pub fn x(&self) -> Tensor {
        let shape = self.shape();
        self.of(self.dtype(), &shape)
    }

    /// A tensor of floats, most of the time.
    pub fn float(&self) -> Tensor {
        let shape = self.shape();
        self.of(self.float_dtype(), &shape)
    }

    /// A tensor that goes with `x`, most of the time: of its dtype, and of its shape or one that broadcasts.
    pub fn like(&self, x: &Tensor) -> Tensor {
        match self.below(20) {
            0..12 => self.of(x.dtype(), x.dims()),
            12..15 => {
                let shape = x.dims().iter().map(|&d| if self.flag() { 1 } else { d });
                let shape: Vec<usize> = shape.collect();
                self.of(x.dtype(), &shape[self.below(shape.len() + 1)..])
            }
            15..17 => self.of(self.dtype(), x.dims()),
            _ => self.x(),
        }
    }

    /// A mask for `x`, most of the time.
    pub fn mask(&self, x: &Tensor) -> Tensor {
        if self.odds(80) {
            self.of(DType::Bool, x.dims())
        } else {
            self.like(x)
        }
    }

    /// Whole numbers that are positions below `n` or nearly so, of some shape.
    pub fn positions(&self, n: usize, shape: &[usize]) -> Tensor {
        let all = shape.iter().fold(1usize, |a, &b| a.saturating_mul(b));
        if shape.iter().any(|&n| n > 99) || all > 4096 || self.odds(8) {
            return self.x();
        }
        let hostile = self.odds(25);
        let at = |_| {
            if hostile && self.odds(30) {
                self.int()
            } else {
                self.below(n.clamp(1, 1 << 20)) as i64
            }
        };
        let values: Vec<i64> = (0..all).map(at).collect();
        let index = Tensor::from_vec(values, all).unwrap();
        let dtype = if self.odds(15) {
            self.dtype()
        } else {
            DType::I64
        };
        index.to_dtype(dtype).and_then(|i| i.view(shape)).unwrap()
    }

    /// An index of `x`'s rank, for gather and scatter along `dim`.
    pub fn index(&self, x: &Tensor, dim: isize) -> Tensor {
        let d = dim.rem_euclid(x.rank().max(1) as isize) as usize;
        let size = |&n: &usize| if self.odds(30) { self.below(4) } else { n };
        let mut shape: Vec<usize> = x.dims().iter().map(size).collect();
        if let Some(s) = shape.get_mut(d) {
            *s = self.below(4);
        }
        self.positions(x.dims().get(d).copied().unwrap_or(1), &shape)
    }

    /// A list of positions along `dim` of `x`.
    pub fn list(&self, x: &Tensor, dim: isize) -> Tensor {
        let d = dim.rem_euclid(x.rank().max(1) as isize) as usize;
        self.positions(x.dims().get(d).copied().unwrap_or(1), &[self.below(4)])
    }

    /// Any tensor, among them views of far more elements than there is memory.
    pub fn vast(&self) -> Tensor {
        let one = self.of(self.dtype(), &[1]);
        match self.below(8) {
            0 => one.expand([1i64 << 40]).unwrap(),
            1 => one.expand([3i64, 1 << 31, 1 << 23]).unwrap(),
            2 => one
                .expand([1i64 << 62])
                .unwrap()
                .narrow(0, 1 << 61, 7)
                .unwrap(),
            3 => one
                .as_strided([1, 1], &[isize::MAX, isize::MIN + 1], Some(0))
                .unwrap(),
            _ => self.x(),
        }
    }

    /// A tensor of this dtype and shape with odd values, lying in memory in some way.
    pub fn of(&self, dtype: DType, shape: &[usize]) -> Tensor {
        let rank = shape.len();
        let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        let Some(count) = count.filter(|&n| n <= 10_000) else {
            return self.x();
        };
        if rank == 0 || rank > 5 || count == 0 || count > 1000 {
            return self.values(dtype, shape);
        }
        let d = self.below(rank);
        let dim = d as isize;
        match self.below(7) {
            0 => {
                let back: Vec<isize> = (0..rank as isize).rev().collect();
                let reversed: Vec<usize> = shape.iter().rev().copied().collect();
                self.values(dtype, &reversed).permute(&back).unwrap()
            }
            1 => self.values(dtype, shape).flip(dim).unwrap(),
            2 => {
                let mut wide = shape.to_vec();
                wide[d] = wide[d] * 2 + 1;
                self.values(dtype, &wide).slice(dim, 1, None, 2).unwrap()
            }
            3 => {
                let mut wide = shape.to_vec();
                wide[d] += 2;
                self.values(dtype, &wide).narrow(dim, 1, shape[d]).unwrap()
            }
            4 => {
                let mut narrow = shape.to_vec();
                narrow[d] = 1;
                self.values(dtype, &narrow).broadcast_to(shape).unwrap()
            }
            _ => self.values(dtype, shape),
        }
    }

    fn values(&self, dtype: DType, shape: &[usize]) -> Tensor {
        let count: usize = if shape.contains(&0) {
            0
        } else {
            shape.iter().product()
        };
        let tame = self.odds(60);
        let value = |_| {
            if tame {
                self.below(9) as f64 - 4.0
            } else {
                self.real()
            }
        };
        let values: Vec<f64> = (0..count).map(value).collect();
        let flat = Tensor::from_vec(values, count).unwrap();
        let flat = flat.to_dtype(dtype).unwrap();
        if count == 0 {
            return Tensor::zeros(shape, dtype).unwrap_or(flat);
        }
        flat.view(shape).unwrap()
    }
}
