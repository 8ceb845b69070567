//! Tiles against plain sums: the split is exact, both orders and memory directions give the same panels, products are right.
#![cfg(target_arch = "x86_64")]

use gradus_simd::amx::{self, Exponents, Order, PANEL, PART, STEP, Tiles};

#[repr(align(64))]
#[derive(Clone)]
struct Bytes([u8; 3 * PART]);

/// Panels of `steps` steps of up to three parts.
struct Panel(Vec<Bytes>);

impl Panel {
    fn new(steps: usize) -> Self {
        Self(vec![Bytes([0xff; 3 * PART]); steps])
    }

    fn ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    /// Part `q` of element `(line, p)`.
    fn at(&self, order: Order, parts: usize, q: usize, line: usize, p: usize) -> f32 {
        let (step, p) = (p / STEP, p % STEP);
        let (tile, line) = (line / 16, line % 16);
        let in_tile = match order {
            Order::Lines => line * 64 + p * 2,
            Order::Pairs => p / 2 * 64 + line * 4 + p % 2 * 2,
        };
        let place = if order == Order::Pairs {
            parts - 1 - q
        } else {
            q
        };
        let at = (step * parts + place) * PART + tile * 1024 + in_tile;
        let bytes = &self.0[at / (3 * PART)].0[at % (3 * PART)..][..2];
        f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16)
    }
}

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state as i32) as f32 / 7e8 * [1.0, 1e-9, 1e12][state as usize % 3]
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// A panel of `lines` lines of `ks` elements, which lie along k or along the lines.
fn split(
    order: Order,
    x: &[f32],
    (lines, ks): (usize, usize),
    along_k: bool,
) -> (Panel, Exponents) {
    let mut panel = Panel::new(ks.div_ceil(STEP));
    let mut exponents = Exponents::NONE;
    let transposed: Vec<f32> = (0..lines * ks)
        .map(|i| x[i % lines * ks + i / lines])
        .collect();
    for tile in 0..lines.div_ceil(16) {
        let count = (lines - tile * 16).min(16);
        let (src, strides) = if along_k {
            (&x[tile * 16 * ks..], (ks as isize, 1))
        } else {
            (&transposed[tile * 16..], (1, lines as isize))
        };
        // SAFETY: `count` lines of ks elements; the panel has all steps; AMX was asked for.
        exponents = exponents.and(unsafe {
            amx::split(order, src.as_ptr(), strides, (count, ks), panel.ptr(), tile)
        });
    }
    (panel, exponents)
}

#[test]
fn three_parts_are_the_number() {
    if !amx::is_available() {
        return eprintln!("skipped: no AMX");
    }
    for order in [Order::Lines, Order::Pairs] {
        for along_k in [false, true] {
            for (lines, ks) in [
                (1, 1),
                (2, 5),
                (16, 32),
                (17, 33),
                (31, 15),
                (32, 64),
                (29, 50),
                (20, 17),
            ] {
                let x = numbers(lines * ks, 7);
                let (panel, exponents) = split(order, &x, (lines, ks), along_k);
                let mut wanted = Exponents::NONE;
                for line in 0..lines.next_multiple_of(16) {
                    for p in 0..ks.next_multiple_of(STEP) {
                        let parts = [0, 1, 2].map(|q| panel.at(order, 3, q, line, p));
                        let inside = line < lines && p < ks;
                        let want = if inside { x[line * ks + p] } else { 0.0 };
                        let what = format!("{order:?} {along_k} {lines}x{ks} ({line}, {p})");
                        assert_eq!(parts[0] + (parts[1] + parts[2]), want, "{what}");
                        assert!(parts[1].abs() <= parts[0].abs() / 255.0, "{what}");
                        assert!(parts[2].abs() <= parts[0].abs() / 65000.0, "{what}");
                    }
                    if line < lines {
                        let largest = x[line * ks..][..ks]
                            .iter()
                            .map(|x| x.abs().to_bits())
                            .max()
                            .unwrap();
                        wanted = wanted.and(Exponents {
                            smallest: largest - 1,
                            largest,
                        });
                    }
                }
                assert_eq!(exponents, wanted);
            }
        }
    }
}

#[test]
fn products_of_tiles() {
    let Some(tiles) = Tiles::new() else {
        return eprintln!("skipped: no AMX");
    };
    for (rows, columns, ks) in [
        (32, 32, 64),
        (16, 32, 33),
        (20, 9, 100),
        (7, 16, 1),
        (16, 17, 32),
    ] {
        let small = |n, seed| {
            numbers(n, seed)
                .iter()
                .map(|x| (x.abs().ln() / 8.0).sin())
                .collect::<Vec<_>>()
        };
        let (x, y) = (small(rows * ks, 1), small(columns * ks, 2));
        let (mut a, _) = split(Order::Lines, &x, (rows, ks), true);
        let (mut b, _) = split(Order::Pairs, &y, (columns, ks), true);
        let (steps, nowhere) = (ks.div_ceil(STEP), std::ptr::null());
        let mut c = [f32::NAN; PANEL * PANEL];
        // SAFETY: both panels have these steps.
        unsafe {
            tiles.split_product(
                steps,
                a.ptr(),
                b.ptr(),
                (c.as_mut_ptr(), PANEL),
                (rows, columns),
                nowhere,
            );
        };
        // The same numbers rounded to bf16, as panels of one part.
        let half = |x: &[f32], panel: &Panel, order, lines: usize| -> (Vec<u16>, Vec<f32>) {
            let near: Vec<f32> = (0..x.len())
                .map(|i| panel.at(order, 3, 0, i / ks, i % ks))
                .collect();
            assert_eq!(near.len(), lines * ks);
            (
                near.iter().map(|x| (x.to_bits() >> 16) as u16).collect(),
                near,
            )
        };
        let (ah, xh) = half(&x, &a, Order::Lines, rows);
        let (bh, yh) = half(&y, &b, Order::Pairs, columns);
        let mut ch = [f32::NAN; PANEL * PANEL];
        for tile in 0..2 {
            let pack = |order, from: &[u16], lines: usize, panel: &mut Panel| {
                let count = lines.saturating_sub(16 * tile).min(16);
                if count > 0 {
                    let src = from[16 * tile * ks..].as_ptr();
                    // SAFETY: `count` lines of ks elements; the panel has all steps.
                    unsafe {
                        amx::copy(order, src, (ks as isize, 1), (count, ks), panel.ptr(), tile);
                    };
                }
            };
            pack(Order::Lines, &ah, rows, &mut a);
            pack(Order::Pairs, &bh, columns, &mut b);
        }
        // SAFETY: both panels have these steps.
        unsafe {
            tiles.product(
                steps,
                a.ptr(),
                b.ptr(),
                (ch.as_mut_ptr(), PANEL),
                (rows, columns),
                nowhere,
            );
        };
        for i in 0..rows {
            for j in 0..columns {
                let dot = |x: &[f32], y: &[f32]| -> f64 {
                    (0..ks)
                        .map(|p| f64::from(x[i * ks + p]) * f64::from(y[j * ks + p]))
                        .sum()
                };
                let near = |got: f32, want: f64| {
                    (f64::from(got) - want).abs() <= 3e-7 * (ks as f64).sqrt()
                };
                let at = i * PANEL + j;
                assert!(
                    near(c[at], dot(&x, &y)),
                    "f32 {rows}x{columns}x{ks} ({i}, {j})"
                );
                assert!(
                    near(ch[at], dot(&xh, &yh)),
                    "bf16 {rows}x{columns}x{ks} ({i}, {j})"
                );
            }
        }
    }
}

#[test]
fn narrowing_rounds_to_the_nearest() {
    if !amx::is_available() {
        return eprintln!("skipped: no AMX");
    }
    for n in [0, 1, 15, 16, 17, 40] {
        let mut x = numbers(n, 9);
        if n > 3 {
            x[..4].copy_from_slice(&[
                1.0 + 1.0 / 256.0,
                1.0 + 3.0 / 256.0,
                f32::INFINITY,
                f32::NAN,
            ]);
        }
        let mut y = vec![7u16; n];
        // SAFETY: n elements in both.
        unsafe { amx::narrow(x.as_ptr(), y.as_mut_ptr(), n) };
        for (&x, &y) in x.iter().zip(&y) {
            let got = f32::from_bits(u32::from(y) << 16);
            if x.is_nan() {
                assert!(got.is_nan());
            } else if x.is_infinite() {
                assert_eq!(got, x);
            } else {
                assert!((got - x).abs() <= x.abs() / 256.0, "{x} became {got}");
            }
        }
        if n > 3 {
            assert_eq!(&y[..2], &[0x3f80, 0x3f82]); // halves to even
        }
    }
}
