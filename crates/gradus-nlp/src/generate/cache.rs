//! What attention remembers: keys and values of all that was read, so that a new token costs one step and not all of them.
//!
//! The memory for a whole text is taken at once, and new rows are written in place; nothing is copied as it grows. It knows no
//! positions and no masks (`models/causal.rs` does). While a token is read from a CUDA graph, all of the memory is given, with the place of the
//! token in memory of the GPU ([`Place`]), since a graph has the same shapes each time (Hugging Face's static cache does so too).

use std::sync::{Arc, OnceLock};

use gradus_autograd::Var;
use gradus_tensor::{DType, Device, Error, Result, Tensor};

/// Keys and values of one layer, for all sequences of a batch.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nlp::generate::KvCache;
/// use gradus_tensor::{DType, Tensor};
/// let mut cache = KvCache::new(16);
/// let row = |n| Tensor::ones([1, 2, n, 8], DType::F32).map(Var::from); // (B, nh, T, hs)
/// assert_eq!(cache.append(&row(3)?, &row(3)?)?.0.dims(), [1, 2, 3, 8]);
/// assert_eq!(cache.append(&row(1)?, &row(1)?)?.0.dims(), [1, 2, 4, 8]);
/// assert_eq!(cache.len(), 4);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct KvCache {
    rows: Option<[Tensor; 2]>, // (B, nh, capacity, hs): keys and values
    len: usize,
    capacity: usize,
    place: Option<Place>,
}

/// Where the token stands that is read now, known to the GPU alone.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// i64 (1)
    pub at: Tensor,
    /// 0, 1, …: i64 (capacity)
    pub columns: Tensor,
    /// What a model keeps there for all places.
    pub kept: Arc<OnceLock<(Tensor, Tensor)>>,
}

impl Place {
    /// Which columns the token sees, at most `window` of them: bool (1, capacity).
    pub fn seen(&self, window: Option<usize>) -> Result<Tensor> {
        let mut seen = self.columns.le(&self.at)?;
        if let Some(window) = window {
            let first = self.at.sub_scalar(window as i64)?;
            seen = seen.logical_and(&self.columns.gt(&first)?)?;
        }
        seen.unsqueeze(0)
    }
}

impl KvCache {
    /// An empty one that will hold `capacity` tokens; it grows if there are more.
    pub fn new(capacity: usize) -> Self {
        Self {
            rows: None,
            len: 0,
            capacity,
            place: None,
        }
    }

    /// How many tokens it has seen.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has seen none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes keys (B, nh, T, hs) and values (B, nh, T, hs') of new tokens, and gives those of all, (B, nh, S, hs) and
    /// (B, nh, S, hs'): views of what it holds. Let go of them before the next call, or that call copies everything.
    ///
    /// # Errors
    /// When the shapes are others than before, or gradients are recorded: the past is constant. Read in
    /// [`no_grad`](gradus_autograd::no_grad).
    pub fn append(&mut self, k: &Var, v: &Var) -> Result<(Var, Var)> {
        const OP: &str = "KvCache::append";
        if k.is_tracked() || v.is_tracked() {
            let message = "no gradient flows through a cache; read with it inside no_grad";
            return Err(Error::value(OP, message));
        }
        let (&[_, _, t, _], &[_, _, t2, _]) = (k.dims(), v.dims()) else {
            let message = format!(
                "keys {} and values {}: both are (B, nh, T, hs)",
                k.shape(),
                v.shape()
            );
            return Err(Error::shape(OP, message));
        };
        if t != t2 {
            let message = format!("{t} keys and {t2} values");
            return Err(Error::shape(OP, message));
        }
        if let Some(place) = &self.place
            && let Some([keys, values]) = self.rows.take()
        {
            let write = |rows: Tensor, x: &Var| {
                let rows = rows.index_copy_(2, &place.at, x.value());
                rows.map_err(|e| e.in_op(OP))
            };
            let rows = [write(keys, k)?, write(values, v)?];
            let all = (Var::from(rows[0].clone()), Var::from(rows[1].clone()));
            self.rows = Some(rows);
            return Ok(all); // (B, nh, capacity, hs)
        }
        let (start, end) = (self.len, self.len + t);
        let rows = match self.rows.take() {
            Some(rows) if end <= self.capacity => rows,
            old => {
                if end > self.capacity {
                    self.capacity = if old.is_some() { 2 * end } else { end };
                }
                let room = |x: &Var, old: Option<&Tensor>| {
                    let mut dims = x.dims().to_vec();
                    dims[2] = self.capacity;
                    let rows = Tensor::zeros(dims, x)?;
                    match old {
                        Some(old) => {
                            let seen = old.narrow(2, 0, start)?;
                            rows.slice_scatter_(&seen, 2, 0, start as i64, 1)
                        }
                        None => Ok(rows),
                    }
                };
                let [old_k, old_v] = match &old {
                    Some([k, v]) => [Some(k), Some(v)],
                    None => [None, None],
                };
                [room(k, old_k)?, room(v, old_v)?]
            }
        };
        let write = |rows: Tensor, x: &Var| {
            rows.slice_scatter_(x.value(), 2, start as i64, end as i64, 1)
                .map_err(|e| e.in_op(OP))
        };
        let [all_k, all_v] = rows;
        let rows = [write(all_k, k)?, write(all_v, v)?];
        let seen = |x: &Tensor| x.narrow(2, 0, end).map(Var::from);
        let views = (seen(&rows[0])?, seen(&rows[1])?); // (B, nh, S, hs)
        self.rows = Some(rows);
        self.len = end;
        Ok(views)
    }

    /// Where the token stands that is read now, if only the GPU knows it.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Reads at a place of the GPU's from here on, or (`None`) at its end again.
    pub(crate) fn set_place(&mut self, place: Option<Place>) {
        self.place = place;
    }

    /// How many tokens there is room for, and where, once it holds something.
    pub(crate) fn room(&self) -> Option<(usize, Device)> {
        self.rows
            .as_ref()
            .map(|rows| (self.capacity, rows[0].device()))
    }

    /// Where its memory lies.
    pub(crate) fn places(&self) -> Option<[usize; 2]> {
        self.rows
            .as_ref()
            .map(|rows| rows.each_ref().map(Tensor::data_ptr))
    }

    /// Forgets all but the first `len` tokens.
    ///
    /// # Errors
    /// When it has seen fewer.
    pub fn rewind(&mut self, len: usize) -> Result<()> {
        if len > self.len {
            let message = format!(
                "{} tokens were read: there is no way back to {len}",
                self.len
            );
            return Err(Error::value("Session::rewind", message));
        }
        self.len = len;
        Ok(())
    }

    /// Counts a token that was written at the place after its last.
    pub(crate) fn grow(&mut self) {
        self.len += 1;
    }

    /// Sequence i goes on from what sequence `order[i]` has read; there may be fewer or more of them than before.
    ///
    /// # Errors
    /// When there is no such sequence.
    pub fn select(&mut self, order: &[usize]) -> Result<()> {
        let Some([k, v]) = self.rows.take() else {
            return Ok(());
        };
        let index: Vec<i64> = order.iter().map(|&i| i as i64).collect();
        let index = Tensor::from_vec(index, [order.len()])?.to_device(&k.device())?;
        let (len, capacity) = (self.len, self.capacity);
        // Only what was seen is copied.
        let pick = |x: &Tensor| {
            let seen = x.narrow(2, 0, len)?.index_select(0, &index)?;
            let mut dims = seen.dims().to_vec();
            dims[2] = capacity;
            Tensor::zeros(dims, &seen)?.slice_scatter_(&seen, 2, 0, len as i64, 1)
        };
        self.rows = Some([pick(&k)?, pick(&v)?]);
        Ok(())
    }

    /// The dtype of what it holds, once it holds something.
    pub fn dtype(&self) -> Option<DType> {
        self.rows.as_ref().map(|rows| rows[0].dtype())
    }
}
