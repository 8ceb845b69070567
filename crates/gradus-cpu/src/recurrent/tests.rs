//! Sequences against the formulas, one number at a time, and their gradients against differences of two values.

use super::*;
use crate::parallel::with_threads;

fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729) % 10_007) as f64 / 5003.5 - 1.0)
        .collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// What goes in: input's part of the gates, weight, bias, h0, c0.
type Input = [Vec<f64>; 5];

fn input(n: Sizes, gates: usize) -> Input {
    let state = n.batch * n.hidden;
    [
        numbers(gates * n.steps * state, 1),
        numbers(gates * n.hidden * n.hidden, 2),
        numbers(gates * n.hidden, 3),
        numbers(state, 4),
        numbers(state, 5),
    ]
}

/// Row `b` of the state's part of gate `g`, unit `j`.
fn of_state(n: Sizes, weight: &[f64], h: &[f64], b: usize, row: usize) -> f64 {
    (0..n.hidden)
        .map(|k| weight[row * n.hidden + k] * h[b * n.hidden + k])
        .sum()
}

/// The formulas: h and c of all steps.
fn lstm_by_hand(n: Sizes, [x, weight, _, h0, c0]: &Input) -> [Vec<f64>; 2] {
    let (mut h, mut c) = (h0.clone(), c0.clone());
    let (mut all_h, mut all_c) = (Vec::new(), Vec::new());
    for t in 0..n.steps {
        let (mut h_new, mut c_new) = (h.clone(), c.clone());
        for b in 0..n.batch {
            for j in 0..n.hidden {
                let gate = |g: usize| {
                    let row = g * n.hidden + j;
                    x[((t * n.batch + b) * 4) * n.hidden + row] + of_state(n, weight, &h, b, row)
                };
                let at = b * n.hidden + j;
                c_new[at] = sigmoid(gate(1)) * c[at] + sigmoid(gate(0)) * gate(2).tanh();
                h_new[at] = sigmoid(gate(3)) * c_new[at].tanh();
            }
        }
        (h, c) = (h_new, c_new);
        all_h.extend(&h);
        all_c.extend(&c);
    }
    [all_h, all_c]
}

fn gru_by_hand(n: Sizes, [x, weight, bias, h0, _]: &Input) -> Vec<f64> {
    let (mut h, mut all) = (h0.clone(), Vec::new());
    for t in 0..n.steps {
        let mut new = h.clone();
        for b in 0..n.batch {
            for j in 0..n.hidden {
                let of_x = |g: usize| x[((t * n.batch + b) * 3 + g) * n.hidden + j];
                let of_h = |g: usize| {
                    let row = g * n.hidden + j;
                    bias[row] + of_state(n, weight, &h, b, row)
                };
                let (r, z) = (sigmoid(of_x(0) + of_h(0)), sigmoid(of_x(1) + of_h(1)));
                let candidate = (of_x(2) + r * of_h(2)).tanh();
                let at = b * n.hidden + j;
                new[at] = candidate + z * (h[at] - candidate);
            }
        }
        h = new;
        all.extend(&h);
    }
    all
}

const SIZES: [Sizes; 6] = [
    Sizes {
        steps: 1,
        batch: 1,
        hidden: 1,
    },
    Sizes {
        steps: 3,
        batch: 2,
        hidden: 5,
    },
    Sizes {
        steps: 4,
        batch: 1,
        hidden: 17,
    },
    Sizes {
        steps: 3,
        batch: 37,
        hidden: 5,
    },
    Sizes {
        steps: 2,
        batch: 6,
        hidden: 33,
    },
    Sizes {
        steps: 0,
        batch: 2,
        hidden: 3,
    },
];

fn of<T: Float>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::from_f64(x)).collect()
}

fn to<T: Float>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.to_f64()).collect()
}

/// h and c, then the gradients of Σ dh·h + dc·c by gates, weight, (no bias,) h0, c0.
fn run_lstm<T: Float>(n: Sizes, input: &Input, [dh, dc]: &[Vec<f64>; 2]) -> Vec<Vec<f64>> {
    let [mut gates, weight, _, h0, c0] = input.each_ref().map(|x| of::<T>(x));
    let count = n.steps * n.state();
    let (mut h, mut c) = (vec![T::ZERO; count], vec![T::ZERO; count]);
    lstm(n, &mut gates, &weight, (&h0, &c0), (&mut h, &mut c)).unwrap();
    let mut d = input.each_ref().map(|x| vec![T::ONE; x.len()]);
    let [d_gates, d_weight, _, d_h0, d_c0] = &mut d;
    let out = LstmGradients {
        gates: d_gates,
        weight: d_weight,
        h0: d_h0,
        c0: d_c0,
    };
    lstm_backward(
        n,
        (&of(dh), &of(dc)),
        (&gates, &h, &c),
        &weight,
        (&h0, &c0),
        out,
    )
    .unwrap();
    d[2].fill(T::ZERO);
    [vec![to(&h), to(&c)], d.iter().map(|x| to(x)).collect()].concat()
}

fn run_gru<T: Float>(n: Sizes, input: &Input, dh: &[f64]) -> Vec<Vec<f64>> {
    let [mut gates, weight, bias, h0, _] = input.each_ref().map(|x| of::<T>(x));
    let count = n.steps * n.state();
    let (mut h, mut kept) = (vec![T::ZERO; count], vec![T::ZERO; count]);
    gru(n, &mut gates, (&weight, &bias), &h0, &mut h, &mut kept).unwrap();
    let mut d = input.each_ref().map(|x| vec![T::ONE; x.len()]);
    let [d_gates, d_weight, d_bias, d_h0, _] = &mut d;
    let out = GruGradients {
        gates: d_gates,
        weight: d_weight,
        bias: d_bias,
        h0: d_h0,
    };
    gru_backward(n, &of(dh), (&gates, &kept, &h), &weight, &h0, out).unwrap();
    d[4].fill(T::ZERO);
    [vec![to(&h)], d.iter().map(|x| to(x)).collect()].concat()
}

fn close(got: &[f64], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= tolerance * (1.0 + w.abs()),
            "{what}[{i}]: {g} and not {w}"
        );
    }
}

/// The gradient by every number of the input, as the difference of two values of `f`.
fn differences(input: &Input, f: impl Fn(&Input) -> f64) -> Vec<Vec<f64>> {
    const STEP: f64 = 1e-6;
    let mut all = Vec::new();
    for part in 0..5 {
        let each = (0..input[part].len()).map(|i| {
            let at = |by: f64| {
                let mut moved = input.clone();
                moved[part][i] += by;
                f(&moved)
            };
            (at(STEP) - at(-STEP)) / (2.0 * STEP)
        });
        all.push(each.collect());
    }
    all
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn an_lstm_is_its_formulas_and_its_gradients_their_slopes() {
    for n in SIZES {
        let input = input(n, 4);
        let d = [
            numbers(n.steps * n.state(), 6),
            numbers(n.steps * n.state(), 7),
        ];
        let [h, c] = lstm_by_hand(n, &input);
        let slopes = differences(&input, |x| {
            let [h, c] = lstm_by_hand(n, x);
            dot(&h, &d[0]) + dot(&c, &d[1])
        });
        for &isa in gradus_simd::available() {
            let run = || {
                (
                    run_lstm::<f64>(n, &input, &d),
                    run_lstm::<f32>(n, &input, &d),
                )
            };
            let (wide, single) = gradus_simd::with_isa(isa, run).unwrap();
            for (got, (states, slope)) in [(wide, (1e-12, 1e-7)), (single, (1e-5, 1e-4))] {
                close(&got[0], &h, states, &format!("h {isa} {n:?}"));
                close(&got[1], &c, states, &format!("c {isa} {n:?}"));
                for part in [0, 1, 3, 4] {
                    close(
                        &got[2 + part],
                        &slopes[part],
                        slope,
                        &format!("d{part} {isa} {n:?}"),
                    );
                }
            }
        }
    }
}

#[test]
fn a_gru_is_its_formulas_and_its_gradients_their_slopes() {
    for n in SIZES {
        let input = input(n, 3);
        let dh = numbers(n.steps * n.state(), 6);
        let h = gru_by_hand(n, &input);
        let slopes = differences(&input, |x| dot(&gru_by_hand(n, x), &dh));
        for &isa in gradus_simd::available() {
            let run = || {
                (
                    run_gru::<f64>(n, &input, &dh),
                    run_gru::<f32>(n, &input, &dh),
                )
            };
            let (wide, single) = gradus_simd::with_isa(isa, run).unwrap();
            for (got, (states, slope)) in [(wide, (1e-12, 1e-7)), (single, (1e-5, 1e-4))] {
                close(&got[0], &h, states, &format!("h {isa} {n:?}"));
                for part in 0..4 {
                    close(
                        &got[1 + part],
                        &slopes[part],
                        slope,
                        &format!("d{part} {isa} {n:?}"),
                    );
                }
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let n = Sizes {
        steps: 3,
        batch: 40,
        hidden: 96,
    };
    let d = [
        numbers(n.steps * n.state(), 6),
        numbers(n.steps * n.state(), 7),
    ];
    let (four, three) = (input(n, 4), input(n, 3));
    let run = |threads| {
        with_threads(threads, || {
            (
                run_lstm::<f32>(n, &four, &d),
                run_gru::<f32>(n, &three, &d[0]),
            )
        })
    };
    let want = run(1);
    assert!(run(2) == want && run(5) == want);
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let n = Sizes {
        steps: 1,
        batch: 1,
        hidden: 2,
    };
    let (mut gates, mut h, mut c) = ([0f32; 8], [0f32; 2], [0f32; 2]);
    let zero = [0f32; 2];
    assert!(lstm(n, &mut gates, &[0.0; 16], (&zero, &zero), (&mut h, &mut c)).is_ok());
    assert!(lstm(n, &mut gates, &[0.0; 15], (&zero, &zero), (&mut h, &mut c)).is_err());
    assert!(
        lstm(
            n,
            &mut gates[..7],
            &[0.0; 16],
            (&zero, &zero),
            (&mut h, &mut c)
        )
        .is_err()
    );
    assert!(
        gru(
            n,
            &mut gates[..6],
            (&[0.0; 12], &[0.0; 6]),
            &zero,
            &mut h,
            &mut c
        )
        .is_ok()
    );
    assert!(
        gru(
            n,
            &mut gates[..6],
            (&[0.0; 12], &[0.0; 5]),
            &zero,
            &mut h,
            &mut c
        )
        .is_err()
    );
}
