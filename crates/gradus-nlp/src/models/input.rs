//! What an encoder reads: [`TextInput`], ids of tokens with what a tokenizer says about them, and the masks made from it.

use gradus_tensor::{DType, Device, Error, Result, Tensor};

use crate::tokenizers::Encoding;

/// A batch of texts as ids of tokens, all filled to one length. Optional parts are as in Hugging Face: without an attention mask
/// every token is looked at, without token types all are of the first text, without positions they are counted.
///
/// ```
/// use gradus_nlp::models::TextInput;
/// use gradus_tensor::Tensor;
/// let ids = Tensor::from_slice(&[5_i64, 6, 7, 5, 6, 0], [2, 3])?; // the second text has two tokens
/// let mask = Tensor::from_slice(&[1_i64, 1, 1, 1, 1, 0], [2, 3])?;
/// let input = TextInput::new(ids).with_attention_mask(mask);
/// assert_eq!(input.input_ids.dims(), [2, 3]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TextInput {
    /// (B, T) whole numbers.
    pub input_ids: Tensor,
    /// (B, T): 0 where a token is padding and not looked at; whole numbers, floats or bools.
    pub attention_mask: Option<Tensor>,
    /// (B, T): which text a token is of.
    pub token_type_ids: Option<Tensor>,
    /// (B, T) or (1, T): where a token stands.
    pub position_ids: Option<Tensor>,
}

impl TextInput {
    /// Ids alone (B, T).
    pub fn new(input_ids: Tensor) -> Self {
        Self {
            input_ids,
            attention_mask: None,
            token_type_ids: None,
            position_ids: None,
        }
    }

    /// With the places that are looked at (B, T).
    #[must_use]
    pub fn with_attention_mask(mut self, mask: Tensor) -> Self {
        self.attention_mask = Some(mask);
        self
    }

    /// With the text each token is of (B, T).
    #[must_use]
    pub fn with_token_type_ids(mut self, types: Tensor) -> Self {
        self.token_type_ids = Some(types);
        self
    }

    /// With the place of each token (B, T).
    #[must_use]
    pub fn with_position_ids(mut self, positions: Tensor) -> Self {
        self.position_ids = Some(positions);
        self
    }

    /// The same on a device.
    ///
    /// # Errors
    /// When the device cannot be used, or its memory is full.
    ///
    /// ```
    /// # use gradus_nlp::models::TextInput;
    /// # use gradus_tensor::{Device, Tensor};
    /// let input = TextInput::new(Tensor::from_slice(&[5i64, 6], [1, 2])?);
    /// assert_eq!(input.to_device(&Device::Cpu)?.input_ids.dims(), [1, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let there = |x: &Option<Tensor>| x.as_ref().map(|x| x.to_device(device)).transpose();
        Ok(Self {
            input_ids: self.input_ids.to_device(device)?,
            attention_mask: there(&self.attention_mask)?,
            token_type_ids: there(&self.token_type_ids)?,
            position_ids: there(&self.position_ids)?,
        })
    }

    /// What a tokenizer made, the shorter ones filled up with `padding`. A mask that hides nothing and types that are all 0 are left
    /// out: they are the defaults, and computed faster.
    ///
    /// # Errors
    /// When there is no encoding.
    ///
    /// ```
    /// use gradus_nlp::models::TextInput;
    /// use gradus_nlp::tokenizers::Encoding;
    /// let text = |ids: &[u32]| Encoding { ids: ids.to_vec(), type_ids: vec![0; ids.len()], ..Encoding::default() };
    /// let input = TextInput::from_encodings(&[&text(&[5, 6, 7]), &text(&[8])], 0)?;
    /// assert_eq!(input.input_ids.to_vec::<i64>()?, [5, 6, 7, 8, 0, 0]);
    /// assert_eq!(input.attention_mask.unwrap().to_vec::<i64>()?, [1, 1, 1, 1, 0, 0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn from_encodings(encodings: &[&Encoding], padding: u32) -> Result<Self> {
        let longest = encodings.iter().map(|e| e.len()).max();
        let Some(longest) = longest else {
            return Err(Error::shape("TextInput", "there is no encoding"));
        };
        let shape = [encodings.len(), longest];
        let filled = |list: fn(&Encoding) -> &[u32], filling: u32| {
            let mut all = Vec::with_capacity(shape[0] * longest);
            for encoding in encodings {
                let list = list(encoding);
                all.extend(list.iter().map(|&n| i64::from(n)));
                all.resize(all.len() + longest - list.len(), i64::from(filling));
            }
            Tensor::from_vec(all, shape) // (B, T)
        };
        let mut input = Self::new(filled(|e| &e.ids, padding)?);
        if encodings.iter().any(|e| e.len() < longest) {
            let mut mask = vec![0_i64; shape[0] * longest];
            for (row, encoding) in mask.chunks_exact_mut(longest.max(1)).zip(encodings) {
                row[..encoding.len()].fill(1);
            }
            input.attention_mask = Some(Tensor::from_vec(mask, shape)?);
        }
        if encodings.iter().any(|e| e.type_ids.iter().any(|&t| t != 0)) {
            input.token_type_ids = Some(filled(|e| &e.type_ids, 0)?);
        }
        Ok(input)
    }

    /// B and T.
    ///
    /// # Errors
    /// When the ids are not (B, T), or another part is not of their shape.
    pub(super) fn sizes(&self) -> Result<(usize, usize)> {
        let &[b, t] = self.input_ids.dims() else {
            let text = format!("ids {}; they must be (B, T)", self.input_ids.shape());
            return Err(Error::shape("", text));
        };
        for (what, part) in [
            ("attention mask", &self.attention_mask),
            ("token types", &self.token_type_ids),
            ("positions", &self.position_ids),
        ] {
            if let Some(part) = part
                && !(part.dims() == [b, t] || (what == "positions" && part.dims() == [1, t]))
            {
                let text = format!("{what} {} beside ids [{b},{t}]", part.shape());
                return Err(Error::shape("", text));
            }
        }
        Ok((b, t))
    }
}

impl From<Tensor> for TextInput {
    fn from(input_ids: Tensor) -> Self {
        Self::new(input_ids)
    }
}

impl From<&Tensor> for TextInput {
    fn from(input_ids: &Tensor) -> Self {
        Self::new(input_ids.clone())
    }
}

/// What is added to scores of attention where a key is not to be seen: the least number there is, as the reference does it. A row
/// that may see nothing then sees everything alike, and no NaN arises.
fn least(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::MIN,
        DType::F16 => -65504.0,
        DType::BF16 => -3.389_531_389_251_535_5e38,
        _ => f64::from(f32::MIN),
    }
}

/// 0 where the mask is true or not 0 and the least number elsewhere: (B, S) to (B, 1, 1, S), of this dtype.
pub(super) fn padding_mask(mask: &Tensor, dtype: DType) -> Result<Tensor> {
    let &[b, s] = mask.dims() else {
        let text = format!("attention mask {}; it must be (B, T)", mask.shape());
        return Err(Error::shape("", text));
    };
    let hidden = match mask.dtype() {
        DType::Bool => mask.logical_not()?,
        _ => mask.eq_scalar(0)?,
    };
    let zeros = Tensor::zeros([b, s], (dtype, mask.device()))?;
    zeros
        .masked_fill(&hidden, least(dtype))?
        .reshape([b, 1, 1, s])
}

/// The same for positions that see themselves and what was before them: (T, T + past), the least number above the diagonal.
pub(super) fn causal_mask(t: usize, past: usize, of: (DType, Device)) -> Result<Tensor> {
    let (dtype, device) = of;
    let seen = Tensor::ones([t, t + past], (DType::U8, device))?.tril(past as i64)?;
    let zeros = Tensor::zeros([t, t + past], of)?;
    zeros.masked_fill(&seen.eq_scalar(0)?, least(dtype))
}

/// Two masks as one: where either hides, the result hides.
pub(super) fn both(a: Tensor, b: Option<Tensor>) -> Result<Tensor> {
    match b {
        Some(b) => a.minimum(&b),
        None => Ok(a),
    }
}
