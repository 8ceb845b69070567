//! Integrated gradients: the class's score, shared out among the pixels. Gradients are averaged along the straight way from a baseline
//! to the image; by the fundamental theorem of calculus the shares add up to what the score gained on it ("completeness").
//!
//! That theorem also says where to look closer: on each piece of the way the shares must add up to what the score gained there. The way
//! is halved where they do not. Networks change most near the baseline and at the kinks of their units, so this reaches with a few
//! dozen gradients what steps of one length need hundreds for.

use gradus_autograd::{Var, no_grad};
use gradus_nn::Layer;
use gradus_tensor::{DType, Device, Error, Result, Tensor};

use super::{check_image, score, scores_and_gradients};

const OP: &str = "integrated_gradients";
/// Points of the way that go through the model together.
const TOGETHER: usize = 16;
/// Pieces that are off by so little of the gain, all together, are not halved any more.
const ENOUGH: f64 = 1e-3;

/// What each pixel had in the score.
#[derive(Clone, Debug)]
pub struct Integrated {
    /// Each value's share of the gain, negative where it spoke against the class: (C, H, W).
    pub shares: Tensor,
    /// The class's score of the image less that of the baseline.
    pub gain: f64,
    /// The sum of the shares: the gain, but for the pieces' size.
    pub sum: f64,
}

impl Integrated {
    /// How far the shares are from adding up, as a part of the gain. More steps make it smaller.
    pub fn error(&self) -> f64 {
        (self.sum - self.gain).abs() / self.gain.abs().max(f64::MIN_POSITIVE)
    }

    /// The share of each pixel, all its channels together: (H, W).
    ///
    /// # Errors
    /// There is none.
    pub fn pixels(&self) -> Result<Tensor> {
        self.shares.sum(0, false)
    }
}

/// The shares of `image` (C, H, W) in the class's score over that of `baseline` (the same shape: often a black picture, as the model
/// takes it), with at most so many gradients
/// (`steps`). 64 do for most pictures.
///
/// # Errors
/// When image or baseline do not fit the model or each other, there is no such class, or no step.
pub fn integrated_gradients(
    model: &dyn Layer,
    image: &Tensor,
    baseline: &Tensor,
    class: usize,
    steps: usize,
) -> Result<Integrated> {
    check_image(OP, image)?;
    if baseline.dims() != image.dims() {
        let (here, there) = (image.shape(), baseline.shape());
        let text = format!("the image is {here}, the baseline {there}");
        return Err(Error::shape(OP, text));
    }
    if steps == 0 {
        return Err(Error::value(OP, "0 steps; give 64 or more"));
    }
    let way = Way {
        model,
        class,
        baseline,
        whole: image.sub(baseline)?,
    };
    let first = steps.min(TOGETHER);
    let edges: Vec<f64> = (0..=first).map(|i| i as f64 / first as f64).collect();
    let scores = way.scores(&edges)?;
    let (start, end) = (scores[0], scores[first]);
    let spans = (0..first).map(|i| Span {
        ends: [edges[i], edges[i + 1]],
        scores: [scores[i], scores[i + 1]],
    });
    let mut pieces = way.pieces(spans.collect())?;
    let mut used = first;
    while used + 2 <= steps {
        // Those that are off most, and those nearly as much, are halved; it is enough when all together are off by little.
        pieces.sort_by(|a, b| b.off().total_cmp(&a.off()));
        let most = pieces[0].off();
        if pieces.iter().map(Piece::off).sum::<f64>() <= ENOUGH * (end - start).abs() {
            break;
        }
        let room = TOGETHER.min(steps - used) / 2;
        let bad = pieces
            .iter()
            .take(room)
            .take_while(|piece| piece.off() >= most / 8.0);
        let bad = bad.count().max(1);
        let spans: Vec<Span> = pieces
            .drain(..bad)
            .flat_map(|piece| piece.halves())
            .collect();
        used += spans.len();
        pieces.extend(way.pieces(spans)?);
    }
    let mut shares = image.zeros_like()?;
    for piece in &pieces {
        shares = shares.add(&piece.shares)?;
    }
    let sum = total(&shares)?;
    Ok(Integrated {
        shares,
        gain: end - start,
        sum,
    })
}

/// The straight line from the baseline, 0, to the image, 1.
struct Way<'a> {
    model: &'a dyn Layer,
    class: usize,
    baseline: &'a Tensor,
    /// Image less baseline: (C, H, W).
    whole: Tensor,
}

/// A part of the way, and the class's score at both of its ends.
#[derive(Clone, Copy)]
struct Span {
    ends: [f64; 2],
    scores: [f64; 2],
}

/// A part of the way with the shares of what the score gained on it, by the gradient in its middle.
struct Piece {
    span: Span,
    middle: f64,
    shares: Tensor,
    sum: f64,
}

impl Piece {
    /// By how much the shares do not add up.
    fn off(&self) -> f64 {
        let [from, to] = self.span.scores;
        (self.sum - (to - from)).abs()
    }

    fn halves(&self) -> [Span; 2] {
        let Span {
            ends: [from, to],
            scores: [first, last],
        } = self.span;
        let middle = (from + to) / 2.0;
        let half = |ends, scores| Span { ends, scores };
        [
            half([from, middle], [first, self.middle]),
            half([middle, to], [self.middle, last]),
        ]
    }
}

impl Way<'_> {
    /// The images at places on the way: (B, C, H, W).
    fn points(&self, places: &[f64]) -> Result<Tensor> {
        let places = Tensor::from_slice(places, [places.len(), 1, 1, 1])?;
        let places = places.to(self.whole.dtype())?.to(&self.whole.device())?; // (B, 1, 1, 1)
        self.whole.mul(&places)?.add(self.baseline)
    }

    /// The class's score at places on the way.
    fn scores(&self, places: &[f64]) -> Result<Vec<f64>> {
        let points = Var::from(self.points(places)?);
        let scores = no_grad(|| score(OP, &self.model.forward(&points)?, self.class))?; // (B)
        numbers(scores.value())
    }

    fn pieces(&self, spans: Vec<Span>) -> Result<Vec<Piece>> {
        let middle = |span: &Span| (span.ends[0] + span.ends[1]) / 2.0;
        let places: Vec<f64> = spans.iter().map(middle).collect();
        let points = self.points(&places)?;
        let (scores, gradients) = scores_and_gradients(OP, self.model, points, self.class)?;
        let scores = numbers(&scores)?;
        let piece = |(i, span): (usize, Span)| {
            let length = span.ends[1] - span.ends[0];
            let gradient = gradients.select(0, i as i64)?; // (C, H, W)
            let shares = gradient.mul(&self.whole)?.mul_scalar(length)?;
            Ok(Piece {
                span,
                middle: scores[i],
                sum: total(&shares)?,
                shares,
            })
        };
        spans.into_iter().enumerate().map(piece).collect()
    }
}

/// What a model gave, as numbers to compute with here.
fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    x.to(&Device::Cpu)?.to(DType::F64)?.to_vec::<f64>()
}

/// The sum of all values, in f64.
fn total(x: &Tensor) -> Result<f64> {
    let x = x.to(&Device::Cpu)?.to(DType::F64)?;
    x.sum(.., false)?.item::<f64>()
}
