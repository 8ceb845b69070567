//! Printing tensors: `Display` as NumPy prints arrays, `Debug` on one line.
//!
//! Numbers get the fewest digits that tell them apart (at most 8 after the point), columns line up, scientific notation
//! appears when magnitudes call for it, more than 1,000 elements are summarised, and the dtype and shape follow. The rules are those of NumPy's
//! `arrayprint.py` with its default options.

use std::fmt::{self, Write};

use crate::element::Element;
use crate::tensor::Tensor;

/// NumPy's `precision`, `threshold`, `edgeitems`, `linewidth`.
const PRECISION: usize = 8;
const THRESHOLD: usize = 1000;
const EDGE: usize = 3;
const WIDTH: usize = 75;
/// Deeper nesting than this is not drawn.
const MAX_RANK: usize = 32;

/// `[[1. 2.]\n [3. 4.]] f32[2,2]`
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rank() > MAX_RANK {
            return fmt::Debug::fmt(self, f);
        }
        let summarise = self.numel() > THRESHOLD;
        if self.numel() == 0 {
            f.write_str("[]")?;
        } else {
            let Ok(x) = self.on_host() else {
                return f.write_str("(the device does not answer)");
            };
            let words = dispatch!(self.dtype(), T => words(&shown::<T>(&x, summarise)));
            let mut words = words.iter().map(String::as_str);
            f.write_str(&draw(self.dims(), summarise, " ", WIDTH, &mut words))?;
        }
        write!(f, " {}", self.dtype())?;
        if self.rank() > 0 {
            write!(f, "{}", self.shape())
        } else {
            Ok(())
        }
    }
}

/// `Tensor(f32[2,2] 1 2 3 4)`: dtype, shape and the first elements.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "Tensor({}{}", self.dtype(), self.shape())?;
        let Ok(x) = self.on_host() else {
            return f.write_str(" (the device does not answer))");
        };
        dispatch!(self.dtype(), T => {
            let data = x.buffer("debug").map_or(&[][..], |b| b.as_slice::<T>());
            for p in x.layout.positions().take(SHOWN) {
                write!(f, " {}", plain(data[p]))?;
            }
        });
        f.write_str(if self.numel() > SHOWN { " …)" } else { ")" })
    }
}

/// The indices shown along a dimension: all, or both ends.
fn indices(size: usize, summarise: bool) -> Vec<usize> {
    if summarise && size > 2 * EDGE {
        (0..EDGE).chain(size - EDGE..size).collect()
    } else {
        (0..size).collect()
    }
}

/// The elements that will be printed, in order.
fn shown<T: Element>(x: &Tensor, summarise: bool) -> Vec<T> {
    let data = x.buffer("display").map_or(&[][..], |b| b.as_slice::<T>());
    let mut positions = vec![x.layout.offset as isize];
    for (&size, &stride) in x.dims().iter().zip(x.strides()) {
        let steps: Vec<isize> = indices(size, summarise)
            .iter()
            .map(|&i| i as isize * stride)
            .collect();
        positions = positions
            .iter()
            .flat_map(|p| steps.iter().map(move |s| p + s))
            .collect();
    }
    positions.iter().map(|&p| data[p as usize]).collect()
}

/// The array as nested brackets; `words` gives the elements in order. (NumPy's `_formatArray`.)
fn draw<'a>(
    dims: &[usize],
    summarise: bool,
    indent: &str,
    width: usize,
    words: &mut impl Iterator<Item = &'a str>,
) -> String {
    let Some((&size, inner)) = dims.split_first() else {
        return words.next().unwrap_or_default().to_string();
    };
    let shown = indices(size, summarise).len();
    let gap_at = (shown < size).then_some(EDGE);
    let mut out = String::new();
    if inner.is_empty() {
        let mut line = indent.to_string();
        let mut add = |word: &str, last: bool| {
            if line.len() + word.len() > width - 1 {
                out.push_str(line.trim_end());
                out.push('\n');
                line = indent.to_string();
            }
            line.push_str(word);
            if !last {
                line.push(' ');
            }
        };
        for i in 0..shown {
            if gap_at == Some(i) {
                add("...", false);
            }
            add(words.next().unwrap_or_default(), i + 1 == shown);
        }
        out.push_str(&line);
    } else {
        let separator = "\n".repeat(inner.len());
        let deeper = format!("{indent} ");
        for i in 0..shown {
            if gap_at == Some(i) {
                let _ = write!(out, "{indent}...{separator}");
            }
            let nested = draw(
                inner,
                summarise,
                &deeper,
                width.saturating_sub(1).max(2),
                words,
            );
            let _ = write!(out, "{indent}{nested}");
            if i + 1 < shown {
                out.push_str(&separator);
            }
        }
    }
    format!("[{}]", &out[indent.len()..])
}

/// Every element as text of one width.
fn words<T: Element>(values: &[T]) -> Vec<String> {
    if !T::DTYPE.is_float() {
        let words: Vec<String> = values.iter().map(|&v| plain(v)).collect();
        let width = words.iter().map(String::len).max().unwrap_or(0);
        // A lone number is not padded; NumPy pads True to the width of False even so.
        return words.iter().map(|w| format!("{w:>width$}")).collect();
    }
    floats(values)
}

/// One number in full: the shortest text that reads back the same.
fn plain<T: Element>(value: T) -> String {
    if T::DTYPE == crate::DType::Bool {
        return if value.to_f64() == 0.0 {
            "False".into()
        } else {
            "True".into()
        };
    }
    if !T::DTYPE.is_float() {
        return value.to_i64().to_string();
    }
    nonfinite(value.to_f64()).unwrap_or_else(|| shortest(value, false))
}

fn nonfinite(x: f64) -> Option<String> {
    match x {
        x if x.is_nan() => Some("nan".into()),
        f64::INFINITY => Some("inf".into()),
        f64::NEG_INFINITY => Some("-inf".into()),
        _ => None,
    }
}

/// The fewest digits that tell a float of its type from its neighbours, cut to `PRECISION`.
fn shortest<T: Element>(value: T, scientific: bool) -> String {
    let x = value.to_f64();
    // Halves have no shortest form in the standard library: try longer and longer ones.
    let digits = |n: usize| format!("{x:.n$e}");
    let unique = match T::DTYPE {
        crate::DType::F64 => format!("{x:e}"),
        crate::DType::F32 => format!("{:e}", x as f32),
        _ => (0..8)
            .map(digits)
            .find(|s| s.parse().is_ok_and(|y: f64| T::from_f64(y) == value))
            .unwrap_or_else(|| digits(8)),
    };
    let unique_digits = unique
        .split(['.', 'e'])
        .nth(1)
        .filter(|_| unique.contains('.'))
        .map_or(0, str::len);
    let exponent: i64 = unique
        .rsplit('e')
        .next()
        .and_then(|e| e.parse().ok())
        .unwrap_or(0);
    if scientific {
        return digits(unique_digits.min(PRECISION));
    }
    let after_point = (unique_digits as i64 - exponent).clamp(0, PRECISION as i64) as usize;
    let text = if after_point < PRECISION && exponent > 15 {
        format!("{:.0}", unique.parse::<f64>().unwrap_or(x)) // zeros, not noise, after the last significant digit
    } else {
        format!("{x:.after_point$}")
    };
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0')),
        None => format!("{text}."),
    }
}

/// Floats in columns. (NumPy's `FloatingFormat`.)
fn floats<T: Element>(values: &[T]) -> Vec<String> {
    let finite: Vec<T> = values
        .iter()
        .copied()
        .filter(|v| v.to_f64().is_finite())
        .collect();
    let magnitudes = finite
        .iter()
        .map(|v| v.to_f64().abs())
        .filter(|&m| m != 0.0);
    let (low, high) = magnitudes.fold((f64::INFINITY, 0f64), |(low, high), m| {
        (low.min(m), high.max(m))
    });
    let scientific = high > 0.0 && (high >= 1e8 || low < 1e-4 || high / low > 1000.0);
    // (whole part, fraction, exponent), the fraction and the exponent without their marks.
    let split = |text: String| {
        let (mantissa, exponent) = text
            .split_once('e')
            .map_or((text.as_str(), ""), |(m, e)| (m, e));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        (
            whole.to_string(),
            fraction.to_string(),
            exponent.to_string(),
        )
    };
    let parts: Vec<_> = finite
        .iter()
        .map(|&v| split(shortest(v, scientific)))
        .collect();
    let longest =
        |f: fn(&(String, String, String)) -> usize| parts.iter().map(f).max().unwrap_or(0);
    let fraction = longest(|p| p.1.len());
    let exponent = longest(|p| p.2.trim_start_matches('-').len()).max(2);
    let tail = if scientific {
        fraction + 1 + 2 + exponent
    } else {
        fraction + 1
    };
    let odd = values
        .iter()
        .filter_map(|v| nonfinite(v.to_f64()))
        .map(|s| s.len())
        .max()
        .unwrap_or(0);
    let width = (longest(|p| p.0.len()) + tail).max(odd);

    let mut parts = parts.into_iter();
    let mut word = |&v: &T| {
        if let Some(text) = nonfinite(v.to_f64()) {
            return format!("{text:>width$}");
        }
        let (whole, part, power) = parts.next().unwrap_or_default();
        let text = if scientific {
            let (sign, power) = power
                .strip_prefix('-')
                .map_or(('+', power.as_str()), |p| ('-', p));
            format!("{whole}.{part:0<fraction$}e{sign}{power:0>exponent$}")
        } else {
            format!("{whole}.{part:<fraction$}")
        };
        format!("{text:>width$}")
    };
    let words: Vec<String> = values.iter().map(&mut word).collect();
    // One number alone needs no column.
    if let [one] = &words[..] {
        vec![one.trim_end().to_string()]
    } else {
        words
    }
}
