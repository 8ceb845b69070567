//! The layers, by PyTorch's names. Each file is one family.

mod activation;
mod attention;
mod batch_norm;
mod cell;
mod container;
mod conv;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod pool;
mod recurrent;
mod shape;
mod softmax;
mod transformer;

pub use activation::*;
pub use attention::{AttentionMask, MultiheadAttention};
pub use batch_norm::{BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormOptions};
pub use cell::{CellWeights, GRUCell, LSTMCell, RNNCell};
pub use container::{ModuleList, Sequential};
pub use conv::{Conv1d, Conv2d, ConvBuilder, ConvTranspose1d, ConvTranspose2d, IntoSize};
pub use dropout::{Dropout, Dropout2d};
pub use embedding::Embedding;
pub use linear::{Bilinear, Linear, LinearBuilder};
pub use norm::{GroupNorm, InstanceNorm2d, LayerNorm, RMSNorm};
pub use pool::*;
pub use recurrent::{GRU, LSTM, RNN, RecurrentOptions};
pub use shape::{Flatten, Identity, Unflatten};
pub use softmax::*;
pub use transformer::{
    FeedForward, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
    TransformerOptions,
};
