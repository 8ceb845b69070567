//! Whole sequences of LSTM and GRU cells on tensors, forward and backward.
//!
//! What the input gives to the gates comes in ready made, (T, B, G·H): one product for all steps, which the caller makes.

use gradus_cpu::recurrent::{self as kernel, GruGradients, LstmGradients, Sizes};

use super::{dispatch_native, same_float};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// What [`Tensor::lstm_sequence`] gives.
#[derive(Clone, Debug)]
pub struct LstmOutput {
    /// The state after each step, (T, B, H).
    pub h: Tensor,
    /// The cell after each step, (T, B, H).
    pub c: Tensor,
    /// The gates as they opened, (T, B, 4H): what the gradients are computed from.
    pub gates: Tensor,
}

/// What [`Tensor::gru_sequence`] gives.
#[derive(Clone, Debug)]
pub struct GruOutput {
    /// The state after each step, (T, B, H).
    pub h: Tensor,
    /// The gates as they opened, (T, B, 3H).
    pub gates: Tensor,
    /// What the state gave to the new state, (T, B, H).
    pub kept: Tensor,
}

/// The sizes, if gates (T, B, G·H), weight (G·H, H) and states (B, H) fit.
fn sizes(
    op: &'static str,
    count: usize,
    gates: &Tensor,
    weight: &Tensor,
    states: &[&Tensor],
) -> Result<Sizes> {
    let fits = match (gates.dims(), weight.dims()) {
        (&[steps, batch, wide], &[rows, hidden]) => {
            let whole = hidden.checked_mul(count) == Some(rows) && wide == rows;
            let same = states.iter().all(|s| s.dims() == [batch, hidden]);
            (whole && same).then_some(Sizes {
                steps,
                batch,
                hidden,
            })
        }
        _ => None,
    };
    fits.ok_or_else(|| {
        let states: Vec<String> = states.iter().map(|s| s.shape().to_string()).collect();
        let message = format!(
            "gates {}, weight {}, states {}: it takes (T, B, {count} H), ({count} H, H) and (B, H)",
            gates.shape(),
            weight.shape(),
            states.join(", ")
        );
        Error::shape(op, message)
    })
}

/// Contiguous tensors of one dtype.
fn ready<const N: usize>(
    op: &'static str,
    tensors: [(&'static str, &Tensor); N],
) -> Result<Vec<Tensor>> {
    same_float(op, &tensors)?;
    tensors.iter().map(|(_, x)| x.contiguous()).collect()
}

/// The elements to write of a tensor made here.
fn slice<T: Element>(x: &mut Tensor) -> Result<&mut [T]> {
    x.as_mut_slice::<T>()
        .ok_or_else(|| Error::memory("recurrent", "a new tensor is shared"))
}

impl Tensor {
    /// An LSTM over a sequence, gates in the order i f g o: this tensor is what the input gives to the gates, biases included,
    /// (T, B, 4H); the weight of the state is (4H, H), the states before the first step are (B, H).
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let gates = Tensor::zeros([3, 1, 4], DType::F64)?; // i, f and o half open, g 0: the cell halves at each step
    /// let (weight, h0) = (Tensor::zeros([4, 1], DType::F64)?, Tensor::zeros([1, 1], DType::F64)?);
    /// let out = gates.lstm_sequence(&weight, &h0, &Tensor::ones([1, 1], DType::F64)?)?;
    /// assert_eq!(out.c.to_vec::<f64>()?, [0.5, 0.25, 0.125]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn lstm_sequence(&self, weight: &Tensor, h0: &Tensor, c0: &Tensor) -> Result<LstmOutput> {
        let op = "lstm_sequence";
        let n = sizes(op, 4, self, weight, &[h0, c0])?;
        let x = ready(
            op,
            [("gates", self), ("weight", weight), ("h0", h0), ("c0", c0)],
        )?;
        let shape = [n.steps, n.batch, n.hidden];
        let mut gates = self.copy()?;
        let (mut h, mut c) = (
            Tensor::zeros(shape, self.dtype())?,
            Tensor::zeros(shape, self.dtype())?,
        );
        dispatch_native!(op, self.dtype(), T => {
            let (weight, h0, c0) = (x[1].data::<T>(op)?, x[2].data(op)?, x[3].data(op)?);
            let states = (slice::<T>(&mut h)?, slice::<T>(&mut c)?);
            Ok(kernel::lstm(n, slice(&mut gates)?, weight, (h0, c0), states)?)
        })?;
        Ok(LstmOutput { h, c, gates })
    }

    /// The gradients of [`Tensor::lstm_sequence`] by gates, weight, h0 and c0, from those of its states, h's being this tensor.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64);
    /// let (gates, weight, h0) = (zeros(&[1, 1, 4])?, zeros(&[4, 1])?, zeros(&[1, 1])?);
    /// let c0 = Tensor::ones([1, 1], DType::F64)?;
    /// let out = gates.lstm_sequence(&weight, &h0, &c0)?;
    /// let (dh, dc) = (zeros(&[1, 1, 1])?, Tensor::ones([1, 1, 1], DType::F64)?);
    /// let gradients = dh.lstm_sequence_backward(&dc, &weight, (&h0, &c0), &out)?;
    /// assert_eq!(gradients[3].to_vec::<f64>()?, [0.5]); // by c0: f is half open
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn lstm_sequence_backward(
        &self,
        dc: &Tensor,
        weight: &Tensor,
        (h0, c0): (&Tensor, &Tensor),
        forward: &LstmOutput,
    ) -> Result<[Tensor; 4]> {
        let op = "lstm_sequence_backward";
        let n = sizes(op, 4, &forward.gates, weight, &[h0, c0])?;
        if [self, dc, &forward.h, &forward.c]
            .iter()
            .any(|x| x.dims() != [n.steps, n.batch, n.hidden])
        {
            return Err(Error::shape(
                op,
                format!(
                    "gradients {} and {} do not fit the states",
                    self.shape(),
                    dc.shape()
                ),
            ));
        }
        let x = ready(
            op,
            [
                ("dh", self),
                ("dc", dc),
                ("gates", &forward.gates),
                ("h", &forward.h),
                ("c", &forward.c),
                ("weight", weight),
                ("h0", h0),
                ("c0", c0),
            ],
        )?;
        let mut out = [
            forward.gates.zeros_like()?,
            weight.contiguous()?.zeros_like()?,
            h0.contiguous()?.zeros_like()?,
            c0.contiguous()?.zeros_like()?,
        ];
        dispatch_native!(op, self.dtype(), T => {
            let x = x.iter().map(|x| x.data::<T>(op)).collect::<Result<Vec<_>>>()?;
            let [gates, dw, dh0, dc0] = &mut out;
            let out = LstmGradients { gates: slice(gates)?, weight: slice(dw)?, h0: slice(dh0)?, c0: slice(dc0)? };
            Ok(kernel::lstm_backward(n, (x[0], x[1]), (x[2], x[3], x[4]), x[5], (x[6], x[7]), out)?)
        })?;
        Ok(out)
    }

    /// Gated recurrent units over a sequence, gates in the order r z n: this tensor is what the input gives to the gates, with its
    /// bias, (T, B, 3H); weight (3H, H) and bias (3H) are those of the state, h0 (B, H) is the one before the first step.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let gates = Tensor::zeros([2, 1, 3], DType::F64)?; // z half open, the new state 0: the state halves at each step
    /// let (weight, bias) = (Tensor::zeros([3, 1], DType::F64)?, Tensor::zeros([3], DType::F64)?);
    /// let out = gates.gru_sequence(&weight, &bias, &Tensor::ones([1, 1], DType::F64)?)?;
    /// assert_eq!(out.h.to_vec::<f64>()?, [0.5, 0.25]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn gru_sequence(&self, weight: &Tensor, bias: &Tensor, h0: &Tensor) -> Result<GruOutput> {
        let op = "gru_sequence";
        let n = sizes(op, 3, self, weight, &[h0])?;
        let x = ready(
            op,
            [
                ("gates", self),
                ("weight", weight),
                ("bias", bias),
                ("h0", h0),
            ],
        )?;
        let shape = [n.steps, n.batch, n.hidden];
        let mut gates = self.copy()?;
        let (mut h, mut kept) = (
            Tensor::zeros(shape, self.dtype())?,
            Tensor::zeros(shape, self.dtype())?,
        );
        dispatch_native!(op, self.dtype(), T => {
            let (weight, bias, h0) = (x[1].data::<T>(op)?, x[2].data::<T>(op)?, x[3].data(op)?);
            let (h, kept) = (slice::<T>(&mut h)?, slice::<T>(&mut kept)?);
            Ok(kernel::gru(n, slice(&mut gates)?, (weight, bias), h0, h, kept)?)
        })?;
        Ok(GruOutput { h, gates, kept })
    }

    /// The gradients of [`Tensor::gru_sequence`] by gates, weight, bias and h0, from that of its states, this tensor.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64);
    /// let (gates, weight, bias) = (zeros(&[1, 1, 3])?, zeros(&[3, 1])?, zeros(&[3])?);
    /// let h0 = Tensor::ones([1, 1], DType::F64)?;
    /// let out = gates.gru_sequence(&weight, &bias, &h0)?;
    /// let gradients = Tensor::ones([1, 1, 1], DType::F64)?.gru_sequence_backward(&weight, &h0, &out)?;
    /// assert_eq!(gradients[3].to_vec::<f64>()?, [0.5]); // by h0: z is half open
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn gru_sequence_backward(
        &self,
        weight: &Tensor,
        h0: &Tensor,
        forward: &GruOutput,
    ) -> Result<[Tensor; 4]> {
        let op = "gru_sequence_backward";
        let n = sizes(op, 3, &forward.gates, weight, &[h0])?;
        if [self, &forward.h, &forward.kept]
            .iter()
            .any(|x| x.dims() != [n.steps, n.batch, n.hidden])
        {
            return Err(Error::shape(
                op,
                format!("the gradient {} does not fit the states", self.shape()),
            ));
        }
        let x = ready(
            op,
            [
                ("dh", self),
                ("gates", &forward.gates),
                ("kept", &forward.kept),
                ("h", &forward.h),
                ("weight", weight),
                ("h0", h0),
            ],
        )?;
        let mut out = [
            forward.gates.zeros_like()?,
            weight.contiguous()?.zeros_like()?,
            Tensor::zeros([3 * n.hidden], self.dtype())?,
            h0.contiguous()?.zeros_like()?,
        ];
        dispatch_native!(op, self.dtype(), T => {
            let x = x.iter().map(|x| x.data::<T>(op)).collect::<Result<Vec<_>>>()?;
            let [gates, dw, db, dh0] = &mut out;
            let out = GruGradients { gates: slice(gates)?, weight: slice(dw)?, bias: slice(db)?, h0: slice(dh0)? };
            Ok(kernel::gru_backward(n, x[0], (x[1], x[2], x[3]), x[4], x[5], out)?)
        })?;
        Ok(out)
    }
}
