//! Numbers to compute with, and how results are compared.

use gradus_cuda::{Buffer, Device, Element, MemoryFormat, View, bf16, f16};

/// Numbers that look random and are the same at every run.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between −1 and 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn floats<T: Real>(&mut self, n: usize, scale: f32) -> Vec<T> {
        (0..n).map(|_| T::of(self.unit() * scale)).collect()
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 20) as usize % n.max(1)
    }
}

/// The three floating-point types of both crates.
pub trait Real: gradus_cuda::FloatElement + gradus_cpu::FloatElement<Compute = f32> {
    /// The distance between 1 and the next number.
    const EPSILON: f32;
    fn of(x: f32) -> Self;
    fn real(self) -> f32;
}

impl Real for f32 {
    const EPSILON: f32 = f32::EPSILON;
    fn of(x: f32) -> Self {
        x
    }
    fn real(self) -> f32 {
        self
    }
}

impl Real for bf16 {
    const EPSILON: f32 = 1.0 / 128.0;
    fn of(x: f32) -> Self {
        bf16::from_f32(x)
    }
    fn real(self) -> f32 {
        self.to_f32()
    }
}

impl Real for f16 {
    const EPSILON: f32 = 1.0 / 1024.0;
    fn of(x: f32) -> Self {
        f16::from_f32(x)
    }
    fn real(self) -> f32 {
        self.to_f32()
    }
}

/// Each element within `ulps` of the type's last places of the expected, where places are of the larger of it and `floor`.
#[track_caller]
pub fn close<T: Real>(what: &str, got: &[T], want: &[T], ulps: f32, floor: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let (g, w) = (g.real(), w.real());
        let same = g == w
            || g.is_nan() && w.is_nan()
            || (g - w).abs() <= ulps * T::EPSILON * w.abs().max(floor);
        assert!(
            same,
            "{what} ({}): element {i} is {g}, expected {w}",
            <T as Element>::DTYPE
        );
    }
}

/// As the tensor cores take a number of f32: with ten bits of fraction, ties away from 0.
pub fn tf32(x: f32) -> f32 {
    f32::from_bits(x.to_bits().wrapping_add(0x1000) & !0x1fff)
}

/// Elements of (B, C, H, W) in the order of (B, H, W, C).
pub fn channels_last<T: Copy>(x: &[T], [b, c, h, w]: [usize; 4]) -> Vec<T> {
    let at = |i: usize| (i / c / (h * w) * c + i % c) * h * w + i / c % (h * w);
    (0..b * c * h * w).map(|i| x[at(i)]).collect()
}

/// Images (B, C, H, W) whose elements lie as `format` says.
pub fn images<T: Element>(
    x: &Buffer<T>,
    [b, c, h, w]: [usize; 4],
    format: MemoryFormat,
) -> View<'_, T> {
    let [c_, h_, w_] = [c, h, w].map(|n| n as isize);
    let strides = match format {
        MemoryFormat::Contiguous => [c_ * h_ * w_, h_ * w_, w_, 1],
        MemoryFormat::ChannelsLast => [c_ * h_ * w_, 1, w_ * c_, c_],
    };
    View::new(x, 0, &[b, c, h, w], &strides).unwrap()
}

/// The largest element, for a `floor` of [`close`].
pub fn largest<T: Real>(x: &[T]) -> f32 {
    x.iter()
        .map(|x| x.real().abs())
        .filter(|x| x.is_finite())
        .fold(0.0, f32::max)
}

/// One layout of a shape, and data that fills it.
pub struct Case {
    pub name: &'static str,
    pub shape: Vec<usize>,
    pub strides: Vec<isize>,
    pub offset: usize,
    /// Elements the data must have.
    pub len: usize,
}

/// Contiguous, permuted, stepped, reversed, broadcast and misaligned layouts of small odd shapes.
pub fn layouts() -> Vec<Case> {
    let case = |name, shape: &[usize], strides: &[isize], offset, len| Case {
        name,
        shape: shape.to_vec(),
        strides: strides.to_vec(),
        offset,
        len,
    };
    vec![
        case("one", &[1], &[1], 0, 1),
        case("rank 0", &[], &[], 0, 1),
        case("empty", &[3, 0], &[0, 1], 0, 0),
        case("contiguous", &[7, 149], &[149, 1], 0, 7 * 149),
        case("misaligned", &[1031], &[1], 1, 1032),
        case("transposed", &[37, 41], &[1, 37], 0, 37 * 41),
        case("permuted", &[3, 5, 7], &[1, 21, 3], 0, 105),
        case("stepped", &[5, 11], &[44, 2], 3, 220),
        case("reversed", &[6, 9], &[-9, -1], 53, 54),
        case("broadcast", &[4, 1, 33], &[0, 7, 1], 0, 40),
    ]
}

impl Case {
    pub fn cuda<'a, T: Element>(&self, buffer: &'a Buffer<T>) -> View<'a, T> {
        View::new(buffer, self.offset, &self.shape, &self.strides).unwrap()
    }

    pub fn cpu<'a, T>(&'a self, data: &'a [T]) -> gradus_cpu::View<'a, T> {
        gradus_cpu::View::new(data, self.offset, &self.shape, &self.strides).unwrap()
    }

    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A result's buffer, full of what it must not keep.
pub fn garbage<T: Real>(device: &Device, n: usize) -> Buffer<T> {
    device.upload(&vec![T::of(f32::NAN); n]).unwrap()
}

/// `close` for every float type: `each!(check(device, …))` calls `check::<f32>`, `check::<bf16>`, `check::<f16>`.
macro_rules! each_float {
    ($f:ident ($($arg:expr),*)) => {{
        $f::<f32>($($arg),*);
        $f::<gradus_cuda::bf16>($($arg),*);
        $f::<gradus_cuda::f16>($($arg),*);
    }};
}
pub(crate) use each_float;
