//! Einstein's summation, and `tensordot`, which is one pair of it.
//!
//! Every dimension has a label. Operands are multiplied two at a time, the pair with the smallest result first; what a
//! pair sums over goes through the GEMM: (batch, M, K) x (batch, K, N). Labels, broadcasting and the order of an implicit
//! output are `torch.einsum`'s.

use super::algebra::Algebra;
use crate::error::{Error, Result};
use crate::shape::{Shape, resolve_dim};
use crate::tensor::Tensor;

/// A letter of the equation (A–Z then a–z), or from `ELLIPSIS` on a dimension of `...`, counted from the back.
type Label = usize;
const ELLIPSIS: Label = 52;
/// Only so many operands are looked at for the best pair: with more the search would cost more than it saves.
const NEAR: usize = 24;

/// An operand, or a product of some: a label for each dimension.
struct Term<T> {
    labels: Vec<Label>,
    x: T,
}

impl<T: Algebra> Term<T> {
    fn size(&self, label: Label) -> Option<usize> {
        let at = self.labels.iter().position(|&l| l == label)?;
        Some(self.x.value().dims()[at])
    }

    /// The dimensions in the order of `labels`, which are the same ones.
    fn arranged(self, labels: Vec<Label>) -> Result<Term<T>> {
        if self.labels == labels {
            return Ok(self);
        }
        let at = |l: &Label| self.labels.iter().position(|x| x == l).unwrap_or(0) as isize;
        let x = self.x.permute(&labels.iter().map(at).collect::<Vec<_>>())?;
        Ok(Term { labels, x })
    }

    /// Without the dimensions that `gone` names: summed.
    fn summed(self, gone: impl Fn(Label) -> bool) -> Result<Term<T>> {
        let dims: Vec<isize> = (0..self.labels.len())
            .filter(|&i| gone(self.labels[i]))
            .map(|i| i as isize)
            .collect();
        if dims.is_empty() {
            return Ok(self);
        }
        let x = self.x.sum(&dims, false)?;
        let labels = self.labels.into_iter().filter(|&l| !gone(l)).collect();
        Ok(Term { labels, x })
    }

    /// Without the size-1 dimensions that `gone` names.
    fn squeezed(self, gone: impl Fn(Label) -> bool) -> Result<Term<T>> {
        if !self.labels.iter().any(|&l| gone(l)) {
            return Ok(self);
        }
        let kept = (0..self.labels.len()).filter(|&i| !gone(self.labels[i]));
        let shape: Vec<isize> = kept.map(|i| self.x.value().dims()[i] as isize).collect();
        let x = self.x.reshape(&shape)?;
        let labels = self.labels.into_iter().filter(|&l| !gone(l)).collect();
        Ok(Term { labels, x })
    }

    /// Each label once: where one repeats, only the diagonal counts.
    fn diagonals(mut self) -> Result<Term<T>> {
        while let Some((i, j)) = repeated(&self.labels) {
            self.x = self.x.diagonal(0, i as isize, j as isize)?;
            let label = self.labels.remove(j);
            self.labels.remove(i);
            self.labels.push(label);
        }
        Ok(self)
    }
}

/// The first two equal ones.
fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (1..labels.len()).find_map(|j| Some((labels[..j].iter().position(|&l| l == labels[j])?, j)))
}

/// The product of two, summed over what `keep` does not name.
fn pair<T: Algebra>(a: Term<T>, b: Term<T>, keep: impl Fn(Label) -> bool) -> Result<Term<T>> {
    // A size of 1 that broadcasts needs no dimension.
    let stretched = |x: &Term<T>, y: &Term<T>| -> Vec<Label> {
        let wider = |l: &&Label| x.size(**l) == Some(1) && y.size(**l).is_some_and(|n| n != 1);
        x.labels.iter().filter(wider).copied().collect()
    };
    let (in_a, in_b) = (stretched(&a, &b), stretched(&b, &a));
    let a = a.squeezed(|l| in_a.contains(&l))?;
    let b = b.squeezed(|l| in_b.contains(&l))?;
    // What only one has and nobody wants is summed before.
    let (la, lb) = (a.labels.clone(), b.labels.clone());
    let a = a.summed(|l| !lb.contains(&l) && !keep(l))?;
    let b = b.summed(|l| !la.contains(&l) && !keep(l))?;
    let both = |l: &Label| lb.contains(l);
    let batch: Vec<Label> = la
        .iter()
        .filter(|l| both(l) && keep(**l))
        .copied()
        .collect();
    let over: Vec<Label> = la
        .iter()
        .filter(|l| both(l) && !keep(**l))
        .copied()
        .collect();
    let rows: Vec<Label> = a.labels.iter().filter(|l| !both(l)).copied().collect();
    let cols: Vec<Label> = b
        .labels
        .iter()
        .filter(|l| !la.contains(l))
        .copied()
        .collect();
    let sizes = |x: &Term<T>, labels: &[Label]| -> Vec<isize> {
        labels
            .iter()
            .map(|&l| x.size(l).unwrap_or(1) as isize)
            .collect()
    };
    let (nb, nr, nc, nk) = (
        sizes(&a, &batch),
        sizes(&a, &rows),
        sizes(&b, &cols),
        sizes(&a, &over),
    );
    let all = |sizes: &[isize]| sizes.iter().product::<isize>();
    let a = a.arranged([&batch[..], &rows, &over].concat())?.x;
    let b = b.arranged([&batch[..], &over, &cols].concat())?.x;
    let x = if over.is_empty() {
        // (batch, rows, 1…) times (batch, 1…, cols)
        let ones = |n: usize| vec![1; n];
        a.reshape(&[&nb[..], &nr, &ones(cols.len())].concat())?
            .mul(&b.reshape(&[&nb[..], &ones(rows.len()), &nc].concat())?)?
    } else {
        let a = a.reshape(&[all(&nb), all(&nr), all(&nk)])?; // (batch, M, K)
        let b = b.reshape(&[all(&nb), all(&nk), all(&nc)])?; // (batch, K, N)
        a.matmul(&b)?.reshape(&[&nb[..], &nr, &nc].concat())?
    };
    let labels = [batch, rows, cols].concat();
    Ok(Term { labels, x })
}

/// An equation taken apart: the labels of each operand and of the output.
struct Equation {
    inputs: Vec<Vec<Label>>,
    output: Vec<Label>,
}

fn wrong(equation: &str, why: impl std::fmt::Display) -> Error {
    Error::value("einsum", format!("\"{equation}\": {why}"))
}

impl Equation {
    /// `shapes` are the operands'.
    fn parse(equation: &str, shapes: &[&Shape]) -> Result<Equation> {
        let (left, right) = match equation.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (equation, None),
        };
        let parts: Vec<&str> = left.split(',').collect();
        if shapes.is_empty() || parts.len() != shapes.len() {
            return Err(wrong(
                equation,
                format!(
                    "it is for {} operands, and there are {}",
                    parts.len(),
                    shapes.len()
                ),
            ));
        }
        let (mut inputs, mut widest) = (Vec::new(), 0);
        for (i, (part, shape)) in parts.iter().zip(shapes).enumerate() {
            let (letters, dots) = letters(equation, part)?;
            let spare = shape.rank().checked_sub(letters.len());
            let spare = spare
                .filter(|&spare| spare == 0 || dots.is_some())
                .ok_or_else(|| {
                    let count = letters.len();
                    wrong(
                        equation,
                        format!("operand {i} has shape {shape}, and {count} labels"),
                    )
                })?;
            widest = widest.max(spare);
            let mut labels = letters;
            if let Some(at) = dots {
                labels.splice(at..at, (ELLIPSIS..ELLIPSIS + spare).rev());
            }
            inputs.push(labels);
        }
        let ellipsis = || (ELLIPSIS..ELLIPSIS + widest).rev();
        let output = if let Some(right) = right {
            let (mut labels, dots) = letters(equation, right)?;
            if let Some((_, j)) = repeated(&labels) {
                let twice = letter(labels[j]);
                return Err(wrong(equation, format!("the output has {twice} twice")));
            }
            let unknown = labels
                .iter()
                .find(|l| !inputs.iter().any(|x| x.contains(l)));
            if let Some(&l) = unknown {
                let unknown = letter(l);
                return Err(wrong(
                    equation,
                    format!("no operand has the output's {unknown}"),
                ));
            }
            if let Some(at) = dots {
                labels.splice(at..at, ellipsis());
            }
            labels
        } else {
            // The ellipsis, then what is there just once, in order.
            let once = |l: &Label| inputs.iter().flatten().filter(|x| *x == l).count() == 1;
            ellipsis().chain((0..ELLIPSIS).filter(once)).collect()
        };
        let parsed = Equation { inputs, output };
        parsed.check(equation, shapes)?;
        Ok(parsed)
    }

    /// Sizes under one label are equal, or 1 in some operands.
    fn check(&self, equation: &str, shapes: &[&Shape]) -> Result<()> {
        let mut known: Vec<Option<usize>> = Vec::new();
        for (i, (labels, shape)) in self.inputs.iter().zip(shapes).enumerate() {
            let mut own: Vec<Option<usize>> = Vec::new();
            for (&l, &size) in labels.iter().zip(shape.iter()) {
                own.resize(own.len().max(l + 1), None);
                known.resize(known.len().max(l + 1), None);
                if let Some(other) = own[l].replace(size).filter(|&other| other != size) {
                    let why = format!(
                        "operand {i} ({shape}) has {} twice, of sizes {other} and {size}",
                        letter(l)
                    );
                    return Err(wrong(equation, why));
                }
                match known[l] {
                    Some(other) if other != size && other != 1 && size != 1 => {
                        let why = format!(
                            "{} has size {size} in operand {i} ({shape}) and {other} before",
                            letter(l)
                        );
                        return Err(wrong(equation, why));
                    }
                    Some(other) if other != 1 => {}
                    _ => known[l] = Some(size),
                }
            }
        }
        Ok(())
    }
}

fn letter(label: Label) -> String {
    match u8::try_from(label) {
        Ok(l @ 0..26) => char::from(b'A' + l).to_string(),
        Ok(l @ 26..52) => char::from(b'a' + l - 26).to_string(),
        _ => "...".into(),
    }
}

/// The labels of one operand, and where among them its ellipsis is.
fn letters(equation: &str, part: &str) -> Result<(Vec<Label>, Option<usize>)> {
    let (mut labels, mut dots, mut rest) = (Vec::new(), None, part);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            ' ' => {}
            'A'..='Z' => labels.push(c as usize - 'A' as usize),
            'a'..='z' => labels.push(c as usize - 'a' as usize + 26),
            '.' => {
                rest = rest.strip_prefix("..").ok_or_else(|| {
                    wrong(equation, "a dot that is not part of an ellipsis (...)")
                })?;
                if dots.replace(labels.len()).is_some() {
                    return Err(wrong(equation, "more than one ellipsis in an operand"));
                }
            }
            c => return Err(wrong(equation, format!("{c:?} is not a letter"))),
        }
    }
    Ok((labels, dots))
}

/// As [`Tensor::einsum`], of anything with an [`Algebra`].
///
/// # Errors
/// The equation cannot be read, or does not fit the operands.
pub fn einsum<T: Algebra>(equation: &str, operands: &[&T]) -> Result<T> {
    let shapes: Vec<&Shape> = operands.iter().map(|x| x.value().shape()).collect();
    let parsed = Equation::parse(equation, &shapes)?;
    let mut terms = Vec::new();
    for (labels, x) in parsed.inputs.into_iter().zip(operands) {
        let x = T::clone(x);
        terms.push(Term { labels, x }.diagonals()?);
    }
    let output = parsed.output;
    while terms.len() > 1 {
        let (i, j) = if terms.len() == 2 {
            (0, 1)
        } else {
            best(&terms, &output)
        };
        let b = terms.remove(j);
        let a = terms.remove(i);
        let wanted = |l: Label| output.contains(&l) || terms.iter().any(|t| t.labels.contains(&l));
        let product = pair(a, b, wanted).map_err(|e| e.in_op("einsum"))?;
        terms.insert(i, product);
    }
    let last = terms.pop().ok_or_else(|| wrong(equation, "no operands"))?;
    let gone = |l: Label| !output.contains(&l);
    Ok(last.summed(gone)?.arranged(output.clone())?.x)
}

/// The pair whose product adds least to what is in memory.
fn best<T: Algebra>(terms: &[Term<T>], output: &[Label]) -> (usize, usize) {
    let numel = |t: &Term<T>| t.x.value().numel() as f64;
    let near = terms.len().min(NEAR);
    let mut best = (f64::INFINITY, (0, 1));
    for j in 1..near {
        for i in 0..j {
            let (a, b) = (&terms[i], &terms[j]);
            let others = |l: &Label| {
                output.contains(l)
                    || (0..terms.len()).any(|k| k != i && k != j && terms[k].labels.contains(l))
            };
            let size = |l: &Label| a.size(*l).unwrap_or(1).max(b.size(*l).unwrap_or(1)) as f64;
            let mut labels = [&a.labels[..], &b.labels].concat();
            labels.sort_unstable();
            labels.dedup();
            let result: f64 = labels.iter().filter(|l| others(l)).map(size).product();
            let cost = result - numel(a) - numel(b);
            if cost < best.0 {
                best = (cost, (i, j));
            }
        }
    }
    best.1
}

/// Over which dimensions [`Tensor::tensordot`] sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensordotDims {
    /// So many of the last of the first operand with as many of the first of the second, in order.
    Count(usize),
    /// These of the first with those of the second, pair by pair.
    Pairs(Vec<isize>, Vec<isize>),
}

impl From<usize> for TensordotDims {
    fn from(count: usize) -> Self {
        TensordotDims::Count(count)
    }
}

impl<const N: usize, const M: usize> From<([isize; N], [isize; M])> for TensordotDims {
    fn from((a, b): ([isize; N], [isize; M])) -> Self {
        TensordotDims::Pairs(a.to_vec(), b.to_vec())
    }
}

impl From<(&[isize], &[isize])> for TensordotDims {
    fn from((a, b): (&[isize], &[isize])) -> Self {
        TensordotDims::Pairs(a.to_vec(), b.to_vec())
    }
}

impl From<(Vec<isize>, Vec<isize>)> for TensordotDims {
    fn from((a, b): (Vec<isize>, Vec<isize>)) -> Self {
        TensordotDims::Pairs(a, b)
    }
}

/// As [`Tensor::tensordot`], of anything with an [`Algebra`].
///
/// # Errors
/// There are no such dimensions, or their sizes differ and none is 1.
pub fn tensordot<T: Algebra>(a: &T, b: &T, dims: &TensordotDims) -> Result<T> {
    let op = "tensordot";
    let (sa, sb) = (a.value().shape(), b.value().shape());
    let wrong = |why: String| Error::shape(op, format!("{sa} and {sb}: {why}"));
    let (over_a, over_b): (Vec<usize>, Vec<usize>) = match dims {
        TensordotDims::Count(n) if *n > sa.rank().min(sb.rank()) => {
            return Err(wrong(format!("there are not {n} dimensions to sum over")));
        }
        TensordotDims::Count(n) => ((sa.rank() - n..sa.rank()).collect(), (0..*n).collect()),
        TensordotDims::Pairs(x, y) => {
            let resolve = |dims: &[isize], shape: &Shape| -> Result<Vec<usize>> {
                let rank_0 = shape.rank() == 0 && !dims.is_empty();
                if rank_0 {
                    return Err(wrong("a number has no dimension to sum over".into()));
                }
                dims.iter().map(|&d| resolve_dim(op, d, shape)).collect()
            };
            (resolve(x, sa)?, resolve(y, sb)?)
        }
    };
    if over_a.len() != over_b.len() || repeated(&over_a).is_some() || repeated(&over_b).is_some() {
        return Err(wrong(format!(
            "{over_a:?} and {over_b:?} are not pairs of dimensions"
        )));
    }
    for (&i, &j) in over_a.iter().zip(&over_b) {
        if sa[i] != sb[j] && sa[i] != 1 && sb[j] != 1 {
            return Err(wrong(format!(
                "dimension {i} has size {}, dimension {j} of the other {}",
                sa[i], sb[j]
            )));
        }
    }
    let first: Vec<Label> = (0..sa.rank()).collect();
    let mut second: Vec<Label> = (sa.rank()..sa.rank() + sb.rank()).collect();
    over_a
        .iter()
        .zip(&over_b)
        .for_each(|(&i, &j)| second[j] = i);
    let (a, b) = (
        Term {
            labels: first,
            x: a.clone(),
        },
        Term {
            labels: second,
            x: b.clone(),
        },
    );
    pair(a, b, |l| !over_a.contains(&l))
        .map(|term| term.x)
        .map_err(|e| e.in_op(op))
}

impl Tensor {
    /// Einstein's summation, with `torch.einsum`'s notation: a letter for each dimension, operands apart by commas, `...` for
    /// any number of dimensions that broadcast, the output's letters after `->` (without it: those that occur once, in
    /// alphabetical order). A letter twice in an operand takes its diagonal; letters the output lacks are summed over; a
    /// size of 1 broadcasts. Spaces do not count.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let a = Tensor::arange(0, 6, 1, DType::F32)?.reshape([2, 3])?;
    /// let b = Tensor::ones([4, 3, 5], DType::F32)?;
    /// assert_eq!(Tensor::einsum("ij,bjk->bik", &[&a, &b])?.dims(), [4, 2, 5]);
    /// assert_eq!(Tensor::einsum("ij->j", &[&a])?.to_vec::<f32>()?, [3.0, 5.0, 7.0]);
    /// assert_eq!(Tensor::einsum("...jk,kj->...", &[&b, &b.select(0, 0)?.t()?])?.to_vec::<f32>()?, [15.0; 4]);
    /// assert!(Tensor::einsum("ij,ij->", &[&a, &a.t()?]).is_err());
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The equation cannot be read, or does not fit the operands; or dtypes differ.
    pub fn einsum(equation: &str, operands: &[&Tensor]) -> Result<Tensor> {
        einsum(equation, operands)
    }

    /// Sums of products over dimensions of both, the dimensions that are left side by side. `dims`: a number n (the last n
    /// with the first n; PyTorch's default is 2), or the dimensions of each. A size of 1 broadcasts.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let (a, b) = (Tensor::ones([2, 3, 4], DType::F32)?, Tensor::ones([4, 3, 5], DType::F32)?);
    /// let y = a.tensordot(&b, ([1, 2], [1, 0]))?;
    /// assert_eq!((y.dims(), y.to_vec::<f32>()?[0]), (&[2, 5][..], 12.0));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are no such dimensions, or their sizes differ and none is 1; or dtypes differ.
    pub fn tensordot(&self, other: &Tensor, dims: impl Into<TensordotDims>) -> Result<Tensor> {
        tensordot(self, other, &dims.into())
    }
}
