//! Positions as rotations (RoPE): pairs of numbers of queries and keys turn by an angle that grows with the position, so their
//! products know only how far apart two tokens are. Su et al. 2021 (arXiv:2104.09864).
//!
//! The pairs are (i, i + hs/2), as in Hugging Face's `rotate_half`, not neighbours as in the paper and llama2.c. Frequencies,
//! angles, cosines and sines are rounded to f32 as there, whatever the model computes in.

use gradus_autograd::Var;
use gradus_tensor::{DType, Error, Result, Tensor};

use super::config::Config;
use super::single;
use crate::generate::Place;

/// How far positions beyond the training context are squeezed: `rope_parameters`, or `rope_scaling` in older files.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeParameters {
    /// The slowest wave is about 2π times as long (10,000).
    pub rope_theta: f64,
    /// `default`, `linear`, `dynamic`, `yarn` or `llama3`.
    pub rope_type: String,
    /// How many times longer the context becomes.
    pub factor: f64,
    /// llama3: waves longer than the old context divided by this are stretched.
    pub low_freq_factor: f64,
    /// llama3: waves shorter than the old context divided by this are kept.
    pub high_freq_factor: f64,
    /// llama3 and yarn: the context before it was made longer.
    pub original_max_position_embeddings: Option<usize>,
    /// yarn: turns within the context from which a wave is kept (32).
    pub beta_fast: f64,
    /// yarn: turns within the context below which a wave is stretched (1).
    pub beta_slow: f64,
    /// yarn: what cosines and sines are multiplied by (`None`: 0.1 ln(factor) + 1).
    pub attention_factor: Option<f64>,
    /// yarn: round the bounds between kept and stretched waves to whole ones (yes).
    pub truncate: bool,
    /// yarn: another way to give the attention factor, with `mscale_all_dim`.
    pub mscale: Option<f64>,
    /// See `mscale`.
    pub mscale_all_dim: Option<f64>,
    /// The share of each head that is turned (all of it).
    pub partial_rotary_factor: Option<f64>,
}

impl Default for RopeParameters {
    fn default() -> Self {
        Self {
            rope_theta: 10_000.0,
            rope_type: "default".into(),
            factor: 1.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: None,
            beta_fast: 32.0,
            beta_slow: 1.0,
            attention_factor: None,
            truncate: true,
            mscale: None,
            mscale_all_dim: None,
            partial_rotary_factor: None,
        }
    }
}

impl RopeParameters {
    /// What a model's configuration says, under its newer or older names.
    ///
    /// # Errors
    /// When a value is of the wrong kind.
    pub fn from_config(config: &Config) -> Result<Self> {
        let rope = match config.object("rope_parameters")? {
            Some(rope) => Some(rope),
            None => config.object("rope_scaling")?,
        };
        let old = |name: &str| config.optional_number(name);
        let default = Self::default();
        let theta = old("rope_theta")?.unwrap_or(default.rope_theta);
        let share = old("partial_rotary_factor")?;
        let Some(rope) = rope else {
            return Ok(Self {
                rope_theta: theta,
                partial_rotary_factor: share,
                ..default
            });
        };
        let older = rope.text("type", &default.rope_type)?;
        Ok(Self {
            rope_theta: rope.number("rope_theta", theta)?,
            rope_type: rope.text("rope_type", older)?.to_owned(),
            factor: rope.number("factor", default.factor)?,
            low_freq_factor: rope.number("low_freq_factor", default.low_freq_factor)?,
            high_freq_factor: rope.number("high_freq_factor", default.high_freq_factor)?,
            original_max_position_embeddings: rope
                .optional_size("original_max_position_embeddings")?,
            beta_fast: rope.number("beta_fast", default.beta_fast)?,
            beta_slow: rope.number("beta_slow", default.beta_slow)?,
            attention_factor: rope.optional_number("attention_factor")?,
            truncate: rope.flag("truncate", default.truncate)?,
            mscale: rope.optional_number("mscale")?,
            mscale_all_dim: rope.optional_number("mscale_all_dim")?,
            partial_rotary_factor: rope.optional_number("partial_rotary_factor")?.or(share),
        })
    }
}

/// The rotations of a model.
#[derive(Clone, Debug)]
pub(super) struct Rope {
    inv_freq: Vec<f32>, // (rotated / 2): radians by position
    scale: f64,
    /// For `dynamic`, which slows down as the text outgrows the context: theta, factor, context.
    dynamic: Option<(f64, f64, usize)>,
}

/// Frequencies theta^(-2i/dim): each as f32, from exponents that are f32.
fn frequencies(theta: f64, dim: usize) -> Vec<f32> {
    (0..dim / 2)
        .map(|i| {
            let exponent = (2 * i) as f32 / dim as f32;
            1.0 / (theta.powf(f64::from(exponent)) as f32)
        })
        .collect()
}

impl Rope {
    /// For heads of this size and a context of `positions` tokens.
    pub fn new(head: usize, positions: usize, parameters: &RopeParameters) -> Result<Self> {
        let p = parameters;
        let wrong = |why: String| Error::value("rope_parameters", why);
        let theta = p.rope_theta;
        let dim = match p.partial_rotary_factor {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                return Err(wrong(format!("partial_rotary_factor {share} is no share")));
            }
            Some(share) => (head as f64 * share) as usize,
            None => head,
        };
        if dim == 0 || !dim.is_multiple_of(2) {
            return Err(wrong(format!(
                "{dim} of the {head} numbers of a head are turned in pairs; that must be an even number"
            )));
        }
        let positive = |name: &str, x: f64| {
            if x > 0.0 && x.is_finite() {
                Ok(x as f32)
            } else {
                Err(wrong(format!("{name} is {x}, and must be positive")))
            }
        };
        positive("rope_theta", theta)?;
        let factor = positive("factor", p.factor)?;
        let mut inv_freq = frequencies(theta, dim);
        let (mut scale, mut dynamic) = (1.0, None);
        let context = p.original_max_position_embeddings.unwrap_or(positions);
        match p.rope_type.as_str() {
            "default" => {}
            "linear" => inv_freq.iter_mut().for_each(|f| *f /= factor),
            "dynamic" => {
                if dim < 4 {
                    return Err(wrong("dynamic needs heads of more than 2".into()));
                }
                dynamic = Some((theta, p.factor, positions));
            }
            "llama3" => {
                let low = positive("low_freq_factor", p.low_freq_factor)?;
                let high = positive("high_freq_factor", p.high_freq_factor)?;
                for f in &mut inv_freq {
                    *f = llama3(*f, factor, low, high, context as f32);
                }
            }
            "yarn" => {
                yarn(&mut inv_freq, p, theta, dim, context);
                scale = yarn_scale(p);
            }
            other => {
                let known = "default, linear, dynamic, yarn, llama3";
                return Err(wrong(format!("rope_type {other:?} is not among {known}")));
            }
        }
        Ok(Self {
            inv_freq,
            scale,
            dynamic,
        })
    }

    /// Cosines and sines of the positions `start..start + t`: (T, rotated / 2) each.
    pub fn tables(&self, start: usize, t: usize, dtype: DType) -> Result<(Tensor, Tensor)> {
        let slower;
        let inv_freq = match self.dynamic {
            Some((theta, factor, context)) if start + t > context => {
                let dim = 2 * self.inv_freq.len();
                let longer = factor * (start + t) as f64 / context as f64 - (factor - 1.0);
                let power = dim as f64 / (dim as f64 - 2.0);
                slower = frequencies(theta * longer.powf(power), dim);
                &slower
            }
            _ => &self.inv_freq,
        };
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in start..start + t {
            for &f in inv_freq {
                let angle = position as f32 * f;
                cos.push(f64::from(single::cos(angle) * self.scale as f32));
                sin.push(f64::from(single::sin(angle) * self.scale as f32));
            }
        }
        let table = |x| Tensor::from_vec(x, [t, inv_freq.len()])?.to_dtype(dtype);
        Ok((table(cos)?, table(sin)?))
    }
}

impl Rope {
    /// Those of one position that only the GPU knows, from tables that are kept there: (1, rotated / 2) each, like `x`.
    pub(super) fn tables_at(&self, place: &Place, x: &Tensor) -> Result<(Var, Var)> {
        if self.dynamic.is_some() {
            let why =
                "dynamic rotary positions change with the length, which a graph does not know";
            return Err(Error::value("rope", why));
        }
        if place.kept.get().is_none() {
            let (cos, sin) = self.tables(0, place.columns.numel(), x.dtype())?;
            let device = x.device();
            let _ = place
                .kept
                .set((cos.to_device(&device)?, sin.to_device(&device)?));
        }
        let Some((cos, sin)) = place.kept.get() else {
            return Err(Error::value("rope", "its tables are not there"));
        };
        let row = |table: &Tensor| table.index_select(0, &place.at).map(Var::from);
        Ok((row(cos)?, row(sin)?))
    }
}

/// Turns heads (B, nh, T, hs) by tables (T, rotated / 2); what lies beyond the rotated part stays.
pub(super) fn rotate(x: &Var, (cos, sin): &(Var, Var)) -> Result<Var> {
    let half = cos.dim(-1)?;
    let head = x.dim(-1)?;
    let first = x.narrow(-1, 0, half)?;
    let second = x.narrow(-1, half as i64, half)?;
    let turned_first = first.mul(cos)?.sub(&second.mul(sin)?)?;
    let turned_second = second.mul(cos)?.add(&first.mul(sin)?)?;
    if head == 2 * half {
        return Var::cat(&[&turned_first, &turned_second], -1);
    }
    let rest = x.narrow(-1, 2 * half as i64, head - 2 * half)?;
    Var::cat(&[&turned_first, &turned_second, &rest], -1)
}

/// A frequency of Llama 3: long waves are stretched, short ones kept, those between mixed.
fn llama3(f: f32, factor: f32, low: f32, high: f32, context: f32) -> f32 {
    let wave = (2.0 * std::f64::consts::PI) as f32 / f;
    if wave > context / low {
        f / factor
    } else if wave < context / high {
        f
    } else {
        let smooth = (context / wave - low) / (high - low);
        (1.0 - smooth) * (f / factor) + smooth * f
    }
}

/// YaRN (Peng et al. 2023, arXiv:2309.00071): a ramp over the waves, from kept to stretched.
fn yarn(inv_freq: &mut [f32], p: &RopeParameters, theta: f64, dim: usize, context: usize) {
    let at = |turns: f64| {
        let wave = context as f64 / (turns * 2.0 * std::f64::consts::PI);
        dim as f64 * wave.ln() / (2.0 * theta.ln())
    };
    let (mut low, mut high) = (at(p.beta_fast), at(p.beta_slow));
    if p.truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    let (low, mut high) = (low.max(0.0), high.min(dim as f64 - 1.0));
    if low == high {
        high += 0.001;
    }
    for (i, f) in inv_freq.iter_mut().enumerate() {
        let ramp = ((i as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
        let kept = 1.0 - ramp;
        *f = *f / p.factor as f32 * (1.0 - kept) + *f * kept;
    }
}

/// What YaRN multiplies cosines and sines by, so that attention stays as sharp over a longer text.
fn yarn_scale(p: &RopeParameters) -> f64 {
    let scale = |m: f64| {
        if p.factor <= 1.0 {
            1.0
        } else {
            0.1 * m * p.factor.ln() + 1.0
        }
    };
    if let Some(given) = p.attention_factor {
        return given;
    }
    match (p.mscale, p.mscale_all_dim) {
        (Some(m), Some(all)) if m != 0.0 && all != 0.0 => scale(m) / scale(all),
        _ => scale(1.0),
    }
}
