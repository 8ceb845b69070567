//! Sample inputs: numbers in a range, none alike, stored in several ways.

use gradus_autograd::{Gradcheck, Var};
use gradus_tensor::{Result, Tensor};

/// How the samples lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major.
    Contiguous,
    /// Dimensions stored in reverse order.
    Permuted,
    /// Every second element of a larger tensor, from an offset.
    Stepped,
    /// The first dimension repeated by stride 0.
    Broadcast,
}

impl Layout {
    pub const ALL: [Layout; 4] = [
        Layout::Contiguous,
        Layout::Permuted,
        Layout::Stepped,
        Layout::Broadcast,
    ];
}

type F = Box<dyn Fn(&[Var]) -> Result<Var> + Sync>;

/// One row of the table: an operation with its sample inputs, each a shape and a range.
pub struct Case {
    pub name: &'static str,
    pub f: F,
    inputs: Vec<(Vec<usize>, f64, f64)>,
    /// Inputs may be broadcast views.
    pub elementwise: bool,
    /// Goes through f32, so that differences are coarse.
    pub coarse: bool,
    /// Has second derivatives worth checking.
    pub twice: bool,
}

impl Case {
    pub fn new(
        name: &'static str,
        inputs: &[(&[usize], f64, f64)],
        f: impl Fn(&[Var]) -> Result<Var> + Sync + 'static,
    ) -> Case {
        let inputs = inputs
            .iter()
            .map(|(shape, low, high)| (shape.to_vec(), *low, *high))
            .collect();
        Case {
            name,
            f: Box::new(f),
            inputs,
            elementwise: false,
            coarse: false,
            twice: true,
        }
    }

    /// Computed in f32 inside: a larger step and tolerance.
    pub fn loose(self) -> Case {
        Case {
            coarse: true,
            ..self
        }
    }

    pub fn options(&self) -> Gradcheck {
        if self.coarse {
            Gradcheck {
                eps: 1e-2,
                atol: 1e-3,
                rtol: 1e-3,
            }
        } else {
            Gradcheck::default()
        }
    }

    pub fn elementwise(self) -> Case {
        Case {
            elementwise: true,
            ..self
        }
    }

    pub fn shapes(&self) -> Vec<&[usize]> {
        self.inputs.iter().map(|(shape, ..)| &shape[..]).collect()
    }

    /// A direction for each input, none alike, of either sign.
    pub fn directions(&self) -> Result<Vec<Tensor>> {
        let direction = |(k, (shape, ..)): (usize, &(Vec<usize>, f64, f64))| {
            let n: usize = shape.iter().product();
            let values = (0..n)
                .map(|i| (1.3 * (i + 5 * k) as f64 + 0.4).sin())
                .collect();
            Tensor::from_vec::<f64>(values, &shape[..])
        };
        self.inputs.iter().enumerate().map(direction).collect()
    }

    pub fn inputs(&self, layout: Layout) -> Result<Vec<Tensor>> {
        let sample = |(k, (shape, low, high)): (usize, &(Vec<usize>, f64, f64))| {
            let n: usize = shape.iter().product();
            // Multiples of the golden ratio, modulo 1: evenly spread, never twice the same.
            let at = |i: usize| ((i + 17 * k + 1) as f64 * 0.618_033_988_749_895).fract();
            let values = (0..n).map(|i| low + (high - low) * at(i)).collect();
            stored(&Tensor::from_vec::<f64>(values, &shape[..])?, layout)
        };
        self.inputs.iter().enumerate().map(sample).collect()
    }
}

/// The same values (but for `Broadcast`, which repeats the first row), stored otherwise.
fn stored(x: &Tensor, layout: Layout) -> Result<Tensor> {
    let rank = x.rank() as isize;
    match layout {
        Layout::Contiguous => Ok(x.clone()),
        Layout::Permuted => {
            let back: Vec<isize> = (0..rank).rev().collect();
            x.permute(&back)?.copy()?.permute(&back)
        }
        Layout::Stepped if rank == 0 => Ok(x.clone()),
        Layout::Stepped => {
            let mut shape = x.dims().to_vec();
            shape[x.rank() - 1] *= 2;
            let view = |y: &Tensor| y.slice(-1, 1, None, 2);
            Tensor::full(shape, 7.5, x.dtype())?
                .add_to_view_(view, &x.sub_scalar(7.5)?)
                .and_then(|y| view(&y))
        }
        Layout::Broadcast if rank == 0 || x.dims()[0] == 0 => Ok(x.clone()),
        Layout::Broadcast => x.narrow(0, 0, 1)?.broadcast_to(x.dims()),
    }
}
