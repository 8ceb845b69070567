//! Losses: `torch.nn`'s structs, and `torch.nn.functional`'s functions, which do the work, by the same names.
//!
//! A struct holds what is fixed and has one method, `forward(&prediction, &target)`. What may have a gradient is a `Var`; class
//! numbers are a `Tensor`.
//!
//! ```
//! use gradus_autograd::Var;
//! use gradus_nn::loss::CrossEntropyLoss;
//! use gradus_tensor::Tensor;
//! # fn main() -> gradus_tensor::Result<()> {
//! let criterion = CrossEntropyLoss { label_smoothing: 0.1, ..CrossEntropyLoss::default() };
//! let logits = Var::from(Tensor::from_slice(&[2.0_f32, 0.0, 0.0, 2.0], [2, 2])?); // (B, C)
//! let classes = Tensor::from_slice(&[0_i64, 1], [2])?; // (B)
//! assert!(criterion.forward(&logits, &classes)?.item::<f32>()? < 0.3);
//! # Ok(())
//! # }
//! ```

pub use gradus_autograd::functional::{
    CrossEntropy, Ctc, Reduction, TripletMargin, binary_cross_entropy,
    binary_cross_entropy_with_logits, cosine_embedding_loss, cross_entropy, cross_entropy_soft,
    ctc_loss, gaussian_nll_loss, hinge_embedding_loss, huber_loss, kl_div, l1_loss,
    margin_ranking_loss, mse_loss, multi_margin_loss, multilabel_margin_loss,
    multilabel_soft_margin_loss, nll_loss, poisson_nll_loss, smooth_l1_loss, soft_margin_loss,
    triplet_margin_loss, triplet_margin_with_distance_loss,
};

use gradus_autograd::Var;
use gradus_tensor::{Result, Tensor};

/// The struct of a loss, its defaults, and `forward`.
macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty = $default:expr),* $(,)? }
        ($self_:ident $(, $arg:ident: $arg_type:ty)*) $forward:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl $name {
            /// The loss of these operands.
            ///
            /// # Errors
            /// When their shapes do not fit, or a class is out of range.
            pub fn forward(&self $(, $arg: $arg_type)*) -> Result<Var> {
                let $self_ = self;
                $forward
            }
        }
    )*};
}

losses! {
    /// The square of the difference.
    MSELoss {
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Var) mse_loss(x, target, s.reduction);

    /// The absolute difference.
    L1Loss {
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Var) l1_loss(x, target, s.reduction);

    /// The absolute difference, and below `beta` its square over `2 beta`, moved to meet it.
    SmoothL1Loss {
        /// Where it turns (1).
        beta: f64 = 1.0,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Var) smooth_l1_loss(x, target, s.beta, s.reduction);

    /// Half the square of the difference, and beyond `delta` the straight line that goes on from there.
    HuberLoss {
        /// Where it turns (1).
        delta: f64 = 1.0,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Var) huber_loss(x, target, s.delta, s.reduction);

    /// Cross-entropy of probabilities against truths between 0 and 1.
    BCELoss {
        /// A weight for each element; broadcasts.
        weight: Option<Tensor> = None,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, p: &Var, target: &Var) {
        let weight = s.weight.as_ref().map(Var::from);
        binary_cross_entropy(p, target, weight.as_ref(), s.reduction)
    };

    /// Cross-entropy of logits against truths between 0 and 1.
    BCEWithLogitsLoss {
        /// A weight for each element; broadcasts.
        weight: Option<Tensor> = None,
        /// A weight for the positive part; broadcasts.
        pos_weight: Option<Tensor> = None,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, logits: &Var, target: &Var) {
        let (weight, pos_weight) = (s.weight.as_ref().map(Var::from), s.pos_weight.as_ref().map(Var::from));
        binary_cross_entropy_with_logits(logits, target, weight.as_ref(), pos_weight.as_ref(), s.reduction)
    };

    /// Cross-entropy of logits (B, C) or (B, C, …) against classes (B) or (B, …), or probabilities of the logits' shape.
    CrossEntropyLoss {
        /// A weight for each class: (C).
        weight: Option<Tensor> = None,
        /// Targets of this value do not count (-100).
        ignore_index: i64 = -100,
        /// Mean of those that count (weighted, if there are weights), sum, or none.
        reduction: Reduction = Reduction::Mean,
        /// This much of the target is spread evenly over the classes (0).
        label_smoothing: f64 = 0.0,
    }
    (s, logits: &Var, target: &Tensor) {
        let weight = s.weight.clone();
        let (ignore_index, reduction, label_smoothing) = (s.ignore_index, s.reduction, s.label_smoothing);
        cross_entropy(logits, target, &CrossEntropy { weight, ignore_index, reduction, label_smoothing })
    };

    /// Minus the log-probability of the right class: log-probabilities (B, C) or (B, C, …), classes (B) or (B, …).
    NLLLoss {
        /// A weight for each class: (C).
        weight: Option<Tensor> = None,
        /// Targets of this value do not count (-100).
        ignore_index: i64 = -100,
        /// Mean of those that count (weighted, if there are weights), sum, or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, log_p: &Var, target: &Tensor) {
        let (weight, ignore_index, reduction) = (s.weight.clone(), s.ignore_index, s.reduction);
        nll_loss(log_p, target, &CrossEntropy { weight, ignore_index, reduction, label_smoothing: 0.0 })
    };

    /// Kullback and Leibler's divergence of the target from log-probabilities.
    KLDivLoss {
        /// Mean over elements (PyTorch's default), sum, none, or `BatchMean`, which is the divergence proper.
        reduction: Reduction = Reduction::Mean,
        /// The target is log-probabilities too (no).
        log_target: bool = false,
    }
    (s, log_p: &Var, target: &Var) kl_div(log_p, target, s.reduction, s.log_target);

    /// Minus the log-likelihood of counts under Poisson distributions.
    PoissonNLLLoss {
        /// The prediction is the logarithm of the rate (it is).
        log_input: bool = true,
        /// With Stirling's approximation of the term that does not depend on the prediction (no).
        full: bool = false,
        /// Added to the rate within the logarithm, when the prediction is the rate (1e-8).
        eps: f64 = 1e-8,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Var) poisson_nll_loss(x, target, s.log_input, s.full, s.eps, s.reduction);

    /// Minus the log-likelihood under normal distributions of these means and variances.
    GaussianNLLLoss {
        /// With the constant term (no).
        full: bool = false,
        /// The least variance (1e-6).
        eps: f64 = 1e-6,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, mean: &Var, target: &Var, var: &Var) gaussian_nll_loss(mean, target, var, s.full, s.eps, s.reduction);

    /// `log(1 + exp(-y x))` for truths -1 and 1.
    SoftMarginLoss {
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Var) soft_margin_loss(x, target, s.reduction);

    /// How far `x1` is from being larger than `x2` by a margin, or smaller where the target is -1.
    MarginRankingLoss {
        /// The margin (0).
        margin: f64 = 0.0,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x1: &Var, x2: &Var, target: &Var) margin_ranking_loss(x1, x2, target, s.margin, s.reduction);

    /// The distance where the target is 1; how far it is from being a margin where it is -1.
    HingeEmbeddingLoss {
        /// The margin (1).
        margin: f64 = 1.0,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Var) hinge_embedding_loss(x, target, s.margin, s.reduction);

    /// One minus the cosine where the target is 1; what the cosine is above a margin where it is -1: (B, C), (B, C), (B).
    CosineEmbeddingLoss {
        /// The margin (0).
        margin: f64 = 0.0,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x1: &Var, x2: &Var, target: &Tensor) cosine_embedding_loss(x1, x2, target, s.margin, s.reduction);

    /// How far the negative is from being further from the anchor than the positive, by a margin: (B, C) each.
    TripletMarginLoss {
        /// Margin, norm and the rest.
        options: TripletMargin = TripletMargin::default(),
    }
    (s, anchor: &Var, positive: &Var, negative: &Var) triplet_margin_loss(anchor, positive, negative, &s.options);

    /// How far the right class is from being above each other one by a margin: (B, C) or (C), classes (B) or one.
    MultiMarginLoss {
        /// Power of each distance, 1 or 2 (1).
        p: u32 = 1,
        /// The margin (1).
        margin: f64 = 1.0,
        /// A weight for each class: (C).
        weight: Option<Tensor> = None,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Tensor) multi_margin_loss(x, target, s.p, s.margin, s.weight.as_ref(), s.reduction);

    /// How far each right label is from being above each wrong one by 1: (B, C) or (C), labels of that shape ended by -1.
    MultiLabelMarginLoss {
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Tensor) multilabel_margin_loss(x, target, s.reduction);

    /// Cross-entropy of each class for itself, the mean over classes: (B, C) or (C) against truths 0 and 1 of that shape.
    MultiLabelSoftMarginLoss {
        /// A weight for each class: (C).
        weight: Option<Tensor> = None,
        /// Mean, sum or none.
        reduction: Reduction = Reduction::Mean,
    }
    (s, x: &Var, target: &Var) multilabel_soft_margin_loss(x, target, s.weight.as_ref(), s.reduction);

    /// Connectionist temporal classification: log-probabilities (T, B, C), targets (B, S) or end to end, and the length of each.
    CTCLoss {
        /// Blank, reduction and what an impossible target costs.
        options: Ctc = Ctc::default(),
    }
    (s, log_probs: &Var, targets: &Tensor, input_lengths: &[usize], target_lengths: &[usize])
        ctc_loss(log_probs, targets, input_lengths, target_lengths, &s.options);
}

/// [`TripletMarginLoss`] with a distance of one's own.
#[derive(Clone, Debug)]
pub struct TripletMarginWithDistanceLoss<D> {
    /// The distance between two inputs, one for each sample.
    pub distance: D,
    /// The margin (1).
    pub margin: f64,
    /// The negative's distance to the positive counts where it is smaller (no).
    pub swap: bool,
    /// Mean, sum or none.
    pub reduction: Reduction,
}

impl<D: Fn(&Var, &Var) -> Result<Var>> TripletMarginWithDistanceLoss<D> {
    /// With this distance and PyTorch's defaults.
    pub fn new(distance: D) -> Self {
        Self {
            distance,
            margin: 1.0,
            swap: false,
            reduction: Reduction::Mean,
        }
    }

    /// The loss of these operands.
    ///
    /// # Errors
    /// The distance's, or when the margin is not above 0.
    pub fn forward(&self, anchor: &Var, positive: &Var, negative: &Var) -> Result<Var> {
        let (margin, swap) = (self.margin, self.swap);
        triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            &self.distance,
            margin,
            swap,
            self.reduction,
        )
    }
}
