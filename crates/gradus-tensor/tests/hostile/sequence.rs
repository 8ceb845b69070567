//! What reads sequences: attention whose heads, keys and masks do not belong together, recurrent nets with foreign states and widths,
//! fused formulas of operands that do not broadcast.

use gradus_tensor::{
    AttentionOptions, AttentionOutput, DType, Expr, GruOutput, LstmOutput, Tensor,
};

use crate::draw::Draw;
use crate::look::look;
use crate::table::Op;

/// q, k and v that fit each other, mostly.
fn attention(g: &Draw) -> ([Tensor; 3], AttentionOptions) {
    let dtype = if g.odds(90) { DType::F32 } else { g.dtype() };
    let heads = g.below(5);
    let key_heads = if g.odds(70) { heads } else { g.below(4) };
    let (t, s, e, f) = (g.below(6), g.below(6), g.below(5), g.below(5));
    let lead = |heads: usize| match g.below(3) {
        0 if g.odds(10) => vec![g.size()],
        _ => vec![2, heads],
    };
    let of = |lead: &[usize], last: [usize; 2]| {
        if g.odds(4) {
            g.x()
        } else {
            g.of(dtype, &[lead, &last].concat())
        }
    };
    let (q, k) = (lead(heads), lead(key_heads));
    let x = [of(&q, [t, e]), of(&k, [s, e]), of(&k, [s, f])];
    let mask = g.maybe(|| {
        let rows = g.pick(&[1, t, s]);
        let mask = g.of(DType::F32, &[rows, s]);
        if g.flag() { g.mask(&mask) } else { mask }
    });
    let options = AttentionOptions {
        mask,
        is_causal: g.odds(30),
        scale: g.maybe(|| g.real()),
    };
    (x, options)
}

/// Gates, weight, bias and states of so many gates, that fit mostly.
fn recurrent(g: &Draw, gates: usize) -> [Tensor; 5] {
    let (t, b, h) = (g.below(4), g.below(4), g.below(5));
    let of = |shape: &[usize]| {
        if g.odds(5) {
            g.x()
        } else {
            g.of(DType::F64, shape)
        }
    };
    [
        of(&[t, b, gates * h]),
        of(&[gates * h, h]),
        of(&[gates * h]),
        of(&[b, h]),
        of(&[b, h]),
    ]
}

pub fn ops() -> Vec<Op> {
    vec![
        Op {
            name: "attention",
            call: |g| {
                let ([q, k, v], options) = attention(g);
                look(q.attention(&k, &v, &options).map(|out| (out.y, out.lse)))
            },
        },
        Op {
            name: "attention_backward",
            call: |g| {
                let ([q, k, v], options) = attention(g);
                let forward = match q.attention(&k, &v, &options) {
                    Ok(out) if g.odds(80) => out,
                    _ => AttentionOutput {
                        y: g.x(),
                        lse: g.x(),
                    },
                };
                let dy = if g.odds(85) {
                    g.like(&forward.y)
                } else {
                    g.x()
                };
                let grads = dy.attention_backward([&q, &k, &v], &options, &forward);
                look(grads.map(Vec::from))
            },
        },
        Op {
            name: "lstm_sequence",
            call: |g| {
                let [gates, weight, _, h, c] = recurrent(g, 4);
                look(
                    gates
                        .lstm_sequence(&weight, &h, &c)
                        .map(|out| (out.h, out.c)),
                )
            },
        },
        Op {
            name: "lstm_sequence_backward",
            call: |g| {
                let [gates, weight, _, h, c] = recurrent(g, 4);
                let forward = match gates.lstm_sequence(&weight, &h, &c) {
                    Ok(out) if g.odds(80) => out,
                    _ => LstmOutput {
                        h: g.x(),
                        c: g.x(),
                        gates: g.x(),
                    },
                };
                let (dh, dc) = (g.like(&forward.h), g.like(&forward.c));
                let grads = dh.lstm_sequence_backward(&dc, &weight, (&h, &c), &forward);
                look(grads.map(Vec::from))
            },
        },
        Op {
            name: "gru_sequence",
            call: |g| {
                let [gates, weight, bias, h, _] = recurrent(g, 3);
                look(
                    gates
                        .gru_sequence(&weight, &bias, &h)
                        .map(|out| (out.h, out.kept)),
                )
            },
        },
        Op {
            name: "gru_sequence_backward",
            call: |g| {
                let [gates, weight, bias, h, _] = recurrent(g, 3);
                let forward = match gates.gru_sequence(&weight, &bias, &h) {
                    Ok(out) if g.odds(80) => out,
                    _ => GruOutput {
                        h: g.x(),
                        gates: g.x(),
                        kept: g.x(),
                    },
                };
                let dh = g.like(&forward.h);
                look(
                    dh.gru_sequence_backward(&weight, &h, &forward)
                        .map(Vec::from),
                )
            },
        },
        Op {
            name: "add_rows_",
            call: |g| {
                let table = g.x();
                let rows = table.dims().first().copied().unwrap_or(1);
                let index = g.positions(rows, &g.shape());
                let mut shape = index.dims().to_vec();
                shape.push(table.dims().last().copied().unwrap_or(1).min(64));
                let rows = if g.odds(85) {
                    g.of(table.dtype(), &shape)
                } else {
                    g.x()
                };
                look(table.add_rows_(&index, &rows))
            },
        },
        Op {
            name: "fused",
            call: |g| {
                fn formula<'p>(x: &[Expr<'p>]) -> Expr<'p> {
                    let last = x[x.len() - 1];
                    (x[0] * last - x[0].exp())
                        .maximum(last.affine(2.0, 1.0))
                        .tanh()
                }
                let a = g.float();
                let b = if g.flag() { g.like(&a) } else { g.x() };
                match g.below(3) {
                    0 => look(Tensor::fused(&[&a, &b], formula)),
                    1 => look(Tensor::fused(&[&a], formula)),
                    _ => look(Tensor::fused(&[&b, &a, &b], formula)),
                }
            },
        },
    ]
}
