//! Functions by 16 pieces: a polynomial of few terms on each, its coefficients looked up in registers.
//!
//! What it is: the fast road of f32 for `tanh`, which networks are full of. A piece has a point `a` in its middle half and
//! f(a + t) = f(a) + t P(t). At the points f is a number of the type for many bits more than it has (Gal's accurate tables), so that hardly
//! more than one rounding is left: that of the last sum. The piece is known by the highest bits of the argument, or of the argument
//! plus something. What it is not: f64, whose polynomials would be twice as long; its functions are made of pairs.
//! Source: P. Tang, "Table-lookup algorithms for elementary functions and their error analysis" (1991); S. Gal, "Computing elementary
//! functions: a new approach for achieving high accuracy and good performance" (1986).

use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// Of 16 pieces the points, the values there, and the `N` coefficients of P, lowest first; from `tools/minimax.py`.
pub struct Pieces<T, const N: usize> {
    point: [T; 16],
    value: [T; 16],
    slope: [[T; 16]; N],
}

/// `slope · t + value`.
pub(super) struct At<V> {
    pub t: V,
    pub value: V,
    pub slope: V,
}

impl<T: Float, const N: usize> Pieces<T, N> {
    /// Of piece `index` mod 16 at `x`.
    #[inline(always)]
    pub(super) fn at<S: Isa>(
        &self,
        isa: S,
        x: T::V<S>,
        index: <T::V<S> as FloatVec<S, T>>::Int,
    ) -> At<T::V<S>> {
        let of = |table| T::V::<S>::lookup(isa, table, index);
        let t = x - of(&self.point);
        let mut slope = of(&self.slope[N - 1]);
        for table in self.slope[..N - 1].iter().rev() {
            slope = slope.mul_add(t, of(table));
        }
        At {
            t,
            value: of(&self.value),
            slope,
        }
    }
}

/// tanh x of 0 <= x < 9.02: two pieces an octave from 1/16 on, and one below, with tanh t = t + t P(t). By the lowest bits of the
/// exponent and the highest of the mantissa.
#[rustfmt::skip]
pub(super) const TANH: Pieces<f32, 7> = Pieces {
    point: [2.4440918, 3.589508, 4.8988037, 7.0164185, 8.664368, 0.0, 0.07937908, 0.112192154, 0.15594101, 0.22551537, 0.31651497, 0.4464798, 0.62705994, 0.8958435, 1.2459488, 1.7174072],
    value: [0.9850425, 0.9984763, 0.99988884, 0.9999984, 0.99999994, 0.0, 0.07921278, 0.11172379, 0.15468915, 0.22176854, 0.30635235, 0.4190011, 0.55602443, 0.71426797, 0.8471437, 0.93755007],
    slope: [
        [0.029691245, 0.0030450246, 0.00022231953, 3.2186438e-06, 1.1920257e-07, 0.0, 0.99372536, 0.9875178, 0.97607124, 0.9508187, 0.90614825, 0.8244381, 0.69083685, 0.48982126, 0.28234753, 0.12099987],
        [-0.02924708, -0.0030403903, -0.00022234324, -3.2198855e-06, -1.1920206e-07, -3.3821587e-12, -0.07871574, -0.110329226, -0.15098764, -0.21086168, -0.27760065, -0.34544048, -0.38412216, -0.34986365, -0.23918897, -0.11344342],
        [0.018912954, 0.0020208473, 0.00014801232, 2.1465212e-06, 7.947443e-08, -0.33333334, -0.32500648, -0.3168462, -0.30200094, -0.2701771, -0.2170058, -0.13007276, -0.016697638, 0.086622745, 0.10851157, 0.06602587],
        [-0.008882925, -0.0010040292, -7.356536e-05, -1.0631773e-06, -3.9749946e-08, -7.941489e-08, 0.05198325, 0.07217567, 0.09704546, 0.130204, 0.15901344, 0.16964734, 0.137326, 0.054750424, -0.012191862, -0.024089908],
        [0.0030994408, 0.00039524288, 3.0032372e-05, 4.253957e-07, 1.5787657e-08, 0.13333677, 0.12630057, 0.11949661, 0.10734549, 0.08231458, 0.04376154, -0.009399561, -0.055437773, -0.05712048, -0.019568736, 0.0032497467],
        [-0.0007254515, -0.00013109502, -1.0930664e-05, -1.6202854e-07, -5.2526588e-09, -7.208096e-05, -0.029075745, -0.03985568, -0.05226536, -0.066319115, -0.07239654, -0.060209453, -0.023613762, 0.014580688, 0.015216453, 0.0025278968],
        [6.267825e-05, 4.0812934e-05, 2.5845754e-06, 4.6341466e-08, 2.0354396e-09, -0.05333534, -0.049243953, -0.04489549, -0.03639234, -0.022154596, 7.02558e-05, 0.022713864, 0.029545147, 0.010873848, -0.004484583, -0.001987843],
    ],
};
