//! Operations that consume their operand, for rules: a gradient that nobody else holds is overwritten.
//!
//! When the operation is to be recorded (`create_graph`), they are the ordinary ones.

use gradus_tensor::{Result, Scalar, Tensor};

use crate::mode::is_grad_enabled;
use crate::var::Var;

impl Var {
    /// Would an operation on these be recorded?
    fn recorded(&self, other: Option<&Var>) -> bool {
        is_grad_enabled() && (self.is_tracked() || other.is_some_and(Var::is_tracked))
    }

    pub(crate) fn add_(self, other: &Var) -> Result<Var> {
        if self.recorded(Some(other)) {
            self.add(other)
        } else {
            self.into_value().add_(other.value()).map(Var::from)
        }
    }

    pub(crate) fn mul_(self, other: &Var) -> Result<Var> {
        if self.recorded(Some(other)) {
            self.mul(other)
        } else {
            self.into_value().mul_(other.value()).map(Var::from)
        }
    }

    pub(crate) fn div_(self, other: &Var) -> Result<Var> {
        if self.recorded(Some(other)) {
            self.div(other)
        } else {
            self.into_value().div_(other.value()).map(Var::from)
        }
    }

    pub(crate) fn neg_(self) -> Result<Var> {
        if self.recorded(None) {
            self.neg()
        } else {
            self.into_value().neg_().map(Var::from)
        }
    }

    pub(crate) fn add_scalar_(self, c: impl Into<Scalar>) -> Result<Var> {
        if self.recorded(None) {
            self.add_scalar(c)
        } else {
            self.into_value().add_scalar_(c).map(Var::from)
        }
    }

    pub(crate) fn mul_scalar_(self, c: impl Into<Scalar>) -> Result<Var> {
        if self.recorded(None) {
            self.mul_scalar(c)
        } else {
            self.into_value().mul_scalar_(c).map(Var::from)
        }
    }

    pub(crate) fn div_scalar_(self, c: impl Into<Scalar>) -> Result<Var> {
        if self.recorded(None) {
            self.div_scalar(c)
        } else {
            self.into_value().div_scalar_(c).map(Var::from)
        }
    }

    pub(crate) fn masked_fill_(self, mask: &Tensor, value: impl Into<Scalar>) -> Result<Var> {
        if self.recorded(None) {
            self.masked_fill(mask, value)
        } else {
            self.into_value().masked_fill_(mask, value).map(Var::from)
        }
    }

    pub(crate) fn square_(self) -> Result<Var> {
        if self.recorded(None) {
            self.square()
        } else {
            self.into_value().square_().map(Var::from)
        }
    }

    pub(crate) fn exp_(self) -> Result<Var> {
        if self.recorded(None) {
            self.exp()
        } else {
            self.into_value().exp_().map(Var::from)
        }
    }
}
