//! Rprop: each element has a step of its own that grows while its gradient keeps its sign and shrinks when it turns; how
//! large the gradient is does not matter. For full batches. Source: Riedmiller and Braun 1993; `torch.optim.Rprop`.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, fused, not_negative, require};
use super::{Optim, ParamState, Rule};

/// Resilient propagation; see [`RpropOptions`].
pub type Rprop = Optim<RpropOptions>;

/// Options of [`Rprop`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RpropOptions {
    /// Learning rate (1e-2).
    pub lr: f64,
    /// By how much a step shrinks and grows (0.5, 1.2).
    pub etas: (f64, f64),
    /// The smallest and the largest step (1e-6, 50).
    pub step_sizes: (f64, f64),
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for RpropOptions {
    fn default() -> Self {
        Self {
            lr: 1e-2,
            etas: (0.5, 1.2),
            step_sizes: (1e-6, 50.0),
            maximize: false,
        }
    }
}

struct Step<'a> {
    options: &'a RpropOptions,
    first: bool,
}

impl Update<2> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [previous, size]: [T; 2]) -> (T, [T; 2]) {
        let o = self.options;
        let zero = T::of(0.0);
        let g = if o.maximize { -g } else { g };
        let size = if self.first { T::of(o.lr) } else { size };
        let agree = g * previous;
        let factor = if agree > zero {
            o.etas.1
        } else if agree < zero {
            o.etas.0
        } else {
            1.0
        };
        let (least, most) = (T::of(o.step_sizes.0), T::of(o.step_sizes.1));
        let size = size * T::of(factor);
        let size = if size < least {
            least
        } else if size > most {
            most
        } else {
            size
        };
        let g = if agree < zero { zero } else { g };
        let p = if g > zero {
            p - size
        } else if g < zero {
            p + size
        } else {
            p
        };
        (p, [g, size])
    }
}

impl Rule for RpropOptions {
    const NAME: &'static str = "Rprop";
    const SLOTS: &'static [&'static str] = &["prev", "step_size"];

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        require(
            0.0 < self.etas.0 && self.etas.0 < 1.0,
            "etas.0",
            self.etas.0,
            "in (0, 1)",
        )?;
        require(self.etas.1 > 1.0, "etas.1", self.etas.1, "more than 1")?;
        require(
            self.step_sizes.0 <= self.step_sizes.1,
            "step_sizes.0",
            self.step_sizes.0,
            "no more than step_sizes.1",
        )
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        fused::<2>(
            param,
            grad,
            &mut state.slots,
            &Step {
                options: self,
                first: state.step == 1,
            },
        )
    }
}
