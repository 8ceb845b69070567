//! Attention and its gradients: a warp a row, and by tensor cores.

use gradus_cpu::attention as cpu;
use gradus_cuda::ops::attention::{Attention, AttentionGradients, attention, attention_backward};
use gradus_cuda::{Device, View, bf16, f16};

use crate::standin::{device, for_orders, orders};
use crate::support::{Numbers, Real, close, each_float, garbage, largest};

#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    causal: bool,
    masked: bool,
    /// q, k, v as parts of one (B, T, heads + 2·key heads, E), as a model's one projection leaves them.
    packed: bool,
}

fn check<T: Real>(device: &Device, c: Case) {
    let mut numbers = Numbers::new(18);
    let (q_shape, k_shape) = (
        [c.batch, c.heads, c.queries, c.width],
        [c.batch, c.key_heads, c.keys, c.width],
    );
    let all = c.heads + 2 * c.key_heads;
    let line = (all * c.width) as isize;
    let wide = [
        c.queries.max(c.keys) as isize * line,
        c.width as isize,
        line,
        1,
    ];
    let data = numbers.floats::<T>(
        if c.packed {
            c.batch * c.queries.max(c.keys) * all * c.width
        } else {
            0
        },
        1.0,
    );
    let own = |numbers: &mut Numbers, s: [usize; 4]| numbers.floats::<T>(s.iter().product(), 1.0);
    let dense = |s: [usize; 4]| {
        [
            (s[1] * s[2] * s[3]) as isize,
            (s[2] * s[3]) as isize,
            s[3] as isize,
            1,
        ]
    };
    // (elements, offset, strides) of each.
    let (q, k, v) = if c.packed {
        let part = |head: usize| (data.clone(), head * c.width, wide);
        (part(0), part(c.heads), part(c.heads + c.key_heads))
    } else {
        (
            (own(&mut numbers, q_shape), 0, dense(q_shape)),
            (own(&mut numbers, k_shape), 0, dense(k_shape)),
            (own(&mut numbers, k_shape), 0, dense(k_shape)),
        )
    };
    let dy = own(&mut numbers, q_shape);
    // A mask for all heads of a batch: bits of −∞, never a whole row.
    let mask: Vec<T> = (0..c.batch * c.queries * c.keys)
        .map(|i| {
            T::of(if i % c.keys != 0 && numbers.below(3) == 0 {
                f32::NEG_INFINITY
            } else {
                numbers.unit()
            })
        })
        .collect();
    let mask_shape = [c.batch, c.heads, c.queries, c.keys];
    let mask_strides = [(c.queries * c.keys) as isize, 0, c.keys as isize, 1];

    let f = |x: &[T]| x.iter().map(|x| x.real()).collect::<Vec<f32>>();
    let (qf, kf, vf, dyf, mf) = (f(&q.0), f(&k.0), f(&v.0), f(&dy), f(&mask));
    let qv = gradus_cpu::View::new(&qf, q.1, &q_shape, &q.2).unwrap();
    let kv = gradus_cpu::View::new(&kf, k.1, &k_shape, &k.2).unwrap();
    let vv = gradus_cpu::View::new(&vf, v.1, &k_shape, &v.2).unwrap();
    let scale = 1.0 / (c.width as f64).sqrt();
    let options = cpu::Attention {
        scale,
        causal: c.causal,
        mask: c
            .masked
            .then(|| gradus_cpu::View::new(&mf, 0, &mask_shape, &mask_strides).unwrap()),
        blind_is_zero: false,
    };
    let (count, k_count) = (
        q_shape.iter().product::<usize>(),
        k_shape.iter().product::<usize>(),
    );
    let (mut y, mut lse) = (vec![0f32; count], vec![0f32; count / c.width]);
    cpu::attention(qv, kv, vv, &options, &mut y, &mut lse).unwrap();
    let (mut dq, mut dk, mut dv) = (vec![0f32; count], vec![0f32; k_count], vec![0f32; k_count]);
    let y_strides = [
        (c.queries * c.heads * c.width) as isize,
        c.width as isize,
        (c.heads * c.width) as isize,
        1,
    ];
    let yv = gradus_cpu::View::new(&y, 0, &q_shape, &y_strides).unwrap();
    let dyv = gradus_cpu::View::contiguous(&dyf, &q_shape).unwrap();
    let out = cpu::AttentionGradients {
        dq: &mut dq,
        dk: &mut dk,
        dv: &mut dv,
    };
    cpu::attention_backward((dyv, yv), qv, kv, vv, &options, &lse, out).unwrap();

    let up = |x: &[T]| device.upload(x).unwrap();
    let (q_d, k_d, v_d, dy_d, m_d) = (up(&q.0), up(&k.0), up(&v.0), up(&dy), up(&mask));
    let qv = View::new(&q_d, q.1, &q_shape, &q.2).unwrap();
    let kv = View::new(&k_d, k.1, &k_shape, &k.2).unwrap();
    let vv = View::new(&v_d, v.1, &k_shape, &v.2).unwrap();
    let mask = View::new(&m_d, 0, &mask_shape, &mask_strides).unwrap();
    let options = Attention {
        scale: scale as f32,
        causal: c.causal,
        mask: c.masked.then_some(&mask),
    };
    let (mut y_d, mut lse_d) = (
        garbage::<T>(device, count),
        device.zeros::<f32>(lse.len()).unwrap(),
    );
    attention(&qv, &kv, &vv, &options, &mut y_d, &mut lse_d).unwrap();
    let half = T::EPSILON > 1e-5;
    let n = |x: &[f32]| x.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
    // The halves round the weights before the second product: a place of the largest.
    let places = if half { 1.5 } else { 64.0 };
    close(
        &format!("{c:?} y"),
        &y_d.download().unwrap(),
        &n(&y),
        places,
        largest(&n(&y)),
    );
    close(
        &format!("{c:?} lse"),
        &lse_d.download().unwrap(),
        &lse,
        64.0,
        1.0,
    );
    let (mut dq_d, mut dk_d, mut dv_d) = (
        garbage(device, count),
        garbage(device, k_count),
        garbage(device, k_count),
    );
    let out = AttentionGradients {
        dq: &mut dq_d,
        dk: &mut dk_d,
        dv: &mut dv_d,
    };
    attention_backward(
        &dy_d.view(&q_shape).unwrap(),
        (&y_d, &lse_d),
        &qv,
        &kv,
        &vv,
        &options,
        out,
    )
    .unwrap();
    for (what, got, want) in [("dq", dq_d, dq), ("dk", dk_d, dk), ("dv", dv_d, dv)] {
        let want = n(&want);
        close(
            &format!("{c:?} {what}"),
            &got.download().unwrap(),
            &want,
            if half { 2.5 } else { 128.0 },
            largest(&want),
        );
    }
}

const CASE: Case = Case {
    batch: 2,
    heads: 2,
    key_heads: 2,
    queries: 9,
    keys: 13,
    width: 24,
    causal: false,
    masked: false,
    packed: false,
};

fn a_warp_a_row<T: Real>(device: &Device) {
    check::<T>(
        device,
        Case {
            heads: 4,
            masked: true,
            ..CASE
        },
    );
    check::<T>(
        device,
        Case {
            queries: 13,
            causal: true,
            packed: true,
            width: 40,
            ..CASE
        },
    );
}

#[test]
fn without_tensor_cores() {
    for_orders(&["f", "we"], |device| each_float!(a_warp_a_row(device)));
}

#[test]
fn by_tensor_cores_of_width_64() {
    orders(|device| {
        let case = Case {
            batch: 1,
            width: 64,
            queries: 70,
            keys: 130,
            ..CASE
        };
        check::<bf16>(
            device,
            Case {
                causal: true,
                queries: 150,
                keys: 150,
                packed: true,
                key_heads: 1,
                ..case
            },
        );
        check::<f16>(device, case);
    });
}

#[test]
fn by_tensor_cores_of_width_128() {
    for_orders(&["s", "we"], |device| {
        let case = Case {
            batch: 1,
            heads: 1,
            key_heads: 1,
            width: 128,
            queries: 66,
            keys: 66,
            ..CASE
        };
        check::<bf16>(
            device,
            Case {
                causal: true,
                ..case
            },
        );
        check::<f16>(
            device,
            Case {
                heads: 2,
                keys: 40,
                ..case
            },
        );
    });
}

#[test]
fn attention_that_does_not_fit_is_an_error() {
    let Some(device) = device() else { return };
    let x = device.zeros::<f32>(2 * 3 * 4 * 8).unwrap();
    let (q, k) = (
        x.view(&[2, 3, 4, 8]).unwrap(),
        x.view(&[2, 4, 3, 8]).unwrap(),
    );
    let options = Attention {
        scale: 1.0,
        causal: false,
        mask: None,
    };
    let (mut y, mut lse) = (device.zeros(192).unwrap(), device.zeros(24).unwrap());
    let error = attention(&q, &k, &k, &options, &mut y, &mut lse).unwrap_err();
    assert!(error.to_string().contains("do not divide"), "{error}");
    assert!(
        attention(
            &q,
            &q,
            &q,
            &options,
            &mut device.zeros(7).unwrap(),
            &mut lse
        )
        .is_err()
    );
}
