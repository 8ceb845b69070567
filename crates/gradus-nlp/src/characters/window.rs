//! Reading with a model that sees a fixed number of characters: the window slides.

use gradus_autograd::{Var, no_grad};
use gradus_tensor::{Error, Result, Tensor};

use crate::generate::Session;

/// The session of a model that maps windows, i64 (B, T), to logits (B, V). Before the first character stand zeros, the boundary.
pub(super) struct Window<F> {
    forward: F,
    texts: Vec<Vec<i64>>, // (B, T)
}

impl<F: Fn(&Tensor) -> Result<Var>> Window<F> {
    pub fn new(forward: F, batch: usize, block: usize) -> Self {
        Self {
            forward,
            texts: vec![vec![0; block]; batch],
        }
    }
}

impl<F: Fn(&Tensor) -> Result<Var>> Session for Window<F> {
    fn read(&mut self, ids: &Tensor) -> Result<Tensor> {
        let batch = self.texts.len();
        let &[given, t] = ids.dims() else {
            let message = format!("ids are (B, T), and these {}", ids.shape());
            return Err(Error::shape("Session::read", message));
        };
        if given != batch || t == 0 {
            let message = format!("ids {}, and the session reads {batch} texts", ids.shape());
            return Err(Error::shape("Session::read", message));
        }
        for (text, new) in self
            .texts
            .iter_mut()
            .zip(ids.to_vec::<i64>()?.chunks_exact(t))
        {
            text.extend_from_slice(new);
            text.drain(..t);
        }
        let block = self.texts.first().map_or(0, Vec::len);
        let windows = Tensor::from_vec(self.texts.concat(), [batch, block])?;
        Ok(no_grad(|| (self.forward)(&windows))?.into_value()) // (B, V)
    }

    fn select(&mut self, order: &[usize]) -> Result<()> {
        let chosen = order.iter().map(|&i| self.texts.get(i).cloned());
        let chosen = chosen.collect::<Option<Vec<_>>>();
        self.texts = chosen.ok_or_else(|| {
            let message = format!("{order:?} of {} texts", self.texts.len());
            Error::index("Session::select", message)
        })?;
        Ok(())
    }
}
