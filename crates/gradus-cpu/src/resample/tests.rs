//! Interpolation against its definition, the gradient against the transpose, and PyTorch's corner cases.

use proptest::prelude::*;

use super::*;
use crate::gemm::tests::{assert_close, numbers};

const FILTERS: [Filter; 7] = [
    Filter::Nearest,
    Filter::NearestExact,
    Filter::Linear,
    Filter::Cubic,
    Filter::LinearAntialias,
    Filter::CubicAntialias,
    Filter::LanczosAntialias,
];

/// The definition: every output of a plane is the sum over every input, weighted by the product of the axes' weights.
fn reference(x: &[f64], maps: &[AxisMap; 2]) -> Vec<f64> {
    let mut y = Vec::new();
    for plane in x.chunks_exact(maps[0].inputs() * maps[1].inputs()) {
        for o in 0..maps[0].outputs() {
            for p in 0..maps[1].outputs() {
                let terms = maps[0].row(o).flat_map(|(i, v)| {
                    maps[1]
                        .row(p)
                        .map(move |(j, w)| v * w * plane[i * maps[1].inputs() + j])
                });
                y.push(terms.sum());
            }
        }
    }
    y
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn any_size_and_its_gradient(
        planes in 1usize..4, h in (1usize..12, 1usize..12), w in (1usize..40, 1usize..40), filter in 0usize..7,
        align in any::<bool>(),
    ) {
        let align = align && !matches!(FILTERS[filter], Filter::Nearest | Filter::NearestExact);
        let map = |(i, o)| AxisMap::new(FILTERS[filter], i, o, align, None).unwrap();
        let maps = [map(h), map(w)];
        for map in &maps {
            prop_assert_eq!(&map.transposed().unwrap().transposed().unwrap().outputs(), &map.outputs());
            for o in 0..map.outputs() {
                prop_assert!((map.row(o).map(|(_, w)| w).sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        let x: Vec<f64> = numbers(planes * h.0 * w.0, 1);
        let shape = [planes, h.0, w.0];
        let mut y = vec![f64::NAN; planes * h.1 * w.1];
        resample(View::contiguous(&x, &shape).unwrap(), &maps, &mut y).unwrap();
        assert_close(&y, &reference(&x, &maps), 64, "resample");
        // <A x, dy> = <x, Aᵀ dy>
        let back = maps.each_ref().map(|m| m.transposed().unwrap());
        let dy: Vec<f64> = numbers(y.len(), 2);
        let mut dx = vec![f64::NAN; x.len()];
        resample(View::contiguous(&dy, &[planes, h.1, w.1]).unwrap(), &back, &mut dx).unwrap();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        prop_assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-10 * (1.0 + x.len() as f64));
    }
}

#[test]
fn positions_follow_pytorch() {
    let taps = |filter, inputs, outputs, align, scale| -> Vec<Vec<(usize, f64)>> {
        let map = AxisMap::new(filter, inputs, outputs, align, scale).unwrap();
        (0..outputs).map(|o| map.row(o).collect()).collect()
    };
    // The position 49 · (1 / 49) is 0.999… in f64, and means 1.
    let map = AxisMap::new(Filter::Nearest, 2, 98, false, None).unwrap();
    assert_eq!(map.row(49).next(), Some((1, 1.0)));
    // Equal sizes: nearest follows the scale that was given, linear does not.
    let at = |t: Vec<Vec<(usize, f64)>>| t.iter().map(|t| t[0].0).collect::<Vec<_>>();
    assert_eq!(
        at(taps(Filter::Nearest, 4, 4, false, Some(1.2))),
        [0, 0, 1, 2]
    );
    assert_eq!(
        at(taps(Filter::NearestExact, 4, 4, false, Some(1.2))),
        [0, 1, 2, 2]
    );
    assert_eq!(
        at(taps(Filter::Linear, 4, 4, false, Some(1.2))),
        [0, 1, 2, 3]
    );
    assert_eq!(
        taps(Filter::Linear, 3, 2, true, None),
        [vec![(0, 1.0), (1, 0.0)], vec![(2, 1.0), (2, 0.0)]]
    );
}

#[test]
fn between_the_axes_nothing_is_larger_than_both_ends() {
    // Widening first would need 10^12 elements.
    let n = 1_000_000;
    let x: Vec<f32> = numbers(n, 1);
    let maps = [
        AxisMap::new(Filter::Linear, n, 1, false, None).unwrap(),
        AxisMap::new(Filter::Nearest, 1, n, false, None).unwrap(),
    ];
    let mut y = vec![0.0; n];
    resample(View::contiguous(&x, &[n, 1]).unwrap(), &maps, &mut y).unwrap();
    assert!(y.iter().all(|v| *v == y[0]));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let x: Vec<f32> = numbers(3 * 200 * 150, 1);
    let maps = [
        AxisMap::new(Filter::Cubic, 200, 333, false, None).unwrap(),
        AxisMap::new(Filter::CubicAntialias, 150, 61, false, None).unwrap(),
    ];
    let run = |threads: usize| {
        let mut y = vec![0.0f32; 3 * 333 * 61];
        let x = View::contiguous(&x, &[3, 200, 150]).unwrap();
        parallel::with_threads(threads, || resample(x, &maps, &mut y)).unwrap();
        y.iter().map(|y| y.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn what_does_not_fit_is_an_error() {
    for (inputs, outputs, scale) in [
        (0, 3, None),
        (3, 0, None),
        (3, 3, Some(-1.0)),
        (3, 3, Some(f64::NAN)),
    ] {
        assert!(AxisMap::new(Filter::Linear, inputs, outputs, false, scale).is_err());
    }
    assert!(AxisMap::new(Filter::Linear, 3, usize::MAX, false, None).is_err());
    let map = [AxisMap::new(Filter::Nearest, 3, 2, false, None).unwrap()];
    let x = View::contiguous(&[0.0f32; 4], &[4]).unwrap();
    assert!(resample(x, &map, &mut [0.0; 2]).is_err());
    let x = View::contiguous(&[0.0f32; 3], &[3]).unwrap();
    assert!(resample(x, &map, &mut [0.0; 3]).is_err());
}
