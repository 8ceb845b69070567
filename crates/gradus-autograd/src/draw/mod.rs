//! Pictures of a graph: its operations, their shapes and, after [`Var::backward_all`], the gradients.
//!
//! [`dot`] gives text for Graphviz, [`svg`] a picture drawn here (layers of boxes, as Sugiyama, Tagawa and Toda, 1981).
//! For study: a graph of more than a few hundred operations is no picture.
//!
//! ```
//! use gradus_autograd::{Var, draw};
//! use gradus_tensor::Tensor;
//! let (w, x) = (Var::leaf(Tensor::scalar(3.0f64))?, Var::leaf(Tensor::scalar(2.0f64))?);
//! let loss = w.mul(&x)?.tanh()?;
//! let grads = loss.backward_all()?;
//! let picture = draw::Drawing::new(&loss)?.name(&w, "w").name(&x, "x").gradients(&grads)?;
//! assert!(picture.dot().contains("tanh") && picture.svg().starts_with("<svg"));
//! # Ok::<(), gradus_tensor::Error>(())
//! ```

mod dot;
mod layout;
mod svg;

use std::collections::BTreeMap;

use gradus_tensor::{Error, Result, Tensor};

use crate::gradients::Gradients;
use crate::node::Node;
use crate::var::Var;

/// More boxes than anyone can read.
const MOST: usize = 2000;

/// The graph of `root` as text for Graphviz.
///
/// # Errors
/// If `root` is a constant, or the graph has more than 2,000 operations.
pub fn dot(root: &Var) -> Result<String> {
    Ok(Drawing::new(root)?.dot())
}

/// The graph of `root` as an SVG picture, inputs at the top.
///
/// # Errors
/// As [`dot`].
pub fn svg(root: &Var) -> Result<String> {
    Ok(Drawing::new(root)?.svg())
}

/// A graph to be drawn.
#[derive(Debug)]
pub struct Drawing {
    /// In order of creation: what a box is made from comes before it.
    boxes: Vec<Box_>,
}

#[derive(Debug)]
struct Box_ {
    id: u64,
    op: &'static str,
    leaf: bool,
    lines: Vec<String>,
    /// Positions of its inputs in the list.
    inputs: Vec<usize>,
}

impl Drawing {
    /// The graph of `root`.
    ///
    /// # Errors
    /// As [`dot`].
    pub fn new(root: &Var) -> Result<Drawing> {
        let Some(node) = root.node() else {
            return Err(Error::value(
                "draw",
                "the value is constant: it has no graph",
            ));
        };
        let mut found: BTreeMap<u64, &Node> = BTreeMap::new();
        let mut stack: Vec<&Node> = vec![node];
        while let Some(node) = stack.pop() {
            if found.insert(node.id, node).is_none() {
                if found.len() > MOST {
                    return Err(Error::value(
                        "draw",
                        format!("the graph has more than {MOST} operations: too many to see"),
                    ));
                }
                stack.extend(node.inputs.iter().flatten().map(|input| &**input));
            }
        }
        let place: BTreeMap<u64, usize> =
            found.keys().enumerate().map(|(i, &id)| (id, i)).collect();
        let boxes = found.values().map(|node| Box_ {
            id: node.id,
            op: node.op,
            leaf: node.is_leaf(),
            lines: vec![node.op.to_owned(), format!("{} {}", node.dtype, node.shape)],
            inputs: node
                .inputs
                .iter()
                .flatten()
                .filter_map(|input| place.get(&input.id).copied())
                .collect(),
        });
        Ok(Drawing {
            boxes: boxes.collect(),
        })
    }

    /// Calls a value by a name.
    #[must_use]
    pub fn name(mut self, var: &Var, name: &str) -> Drawing {
        for b in self.boxes.iter_mut().filter(|b| Some(b.id) == var.id()) {
            b.lines[0] = if b.leaf {
                name.to_owned()
            } else {
                format!("{name} = {}", b.op)
            };
        }
        self
    }

    /// Writes the gradients that `grads` has into their boxes: the number, or smallest … largest.
    ///
    /// # Errors
    /// If a gradient cannot be read.
    pub fn gradients(mut self, grads: &Gradients) -> Result<Drawing> {
        for b in &mut self.boxes {
            if let Some(grad) = grads.get_id(b.id) {
                b.lines.push(summary(grad)?);
            }
        }
        Ok(self)
    }

    /// As text for Graphviz.
    pub fn dot(&self) -> String {
        dot::write(self)
    }

    /// As an SVG picture.
    pub fn svg(&self) -> String {
        svg::write(self)
    }
}

fn summary(grad: &Tensor) -> Result<String> {
    let number = |x: f64| {
        if x == 0.0 || (1e-3..1e4).contains(&x.abs()) {
            format!("{x:.4}")
        } else {
            format!("{x:.2e}")
        }
    };
    Ok(match grad.numel() {
        0 => "grad: empty".to_owned(),
        1 => format!(
            "grad {}",
            number(grad.reshape([1])?.select(0, 0)?.to_f64()?)
        ),
        _ => format!(
            "grad {} … {}",
            number(grad.amin(.., false)?.to_f64()?),
            number(grad.amax(.., false)?.to_f64()?)
        ),
    })
}
