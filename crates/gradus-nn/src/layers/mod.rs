//! The layers, by PyTorch's names. Each file is one family.

mod activation;
mod attention;
mod batch_norm;
mod cell;
mod container;
mod conv;
mod distance;
mod dropout;
mod embedding;
mod instance_norm;
mod linear;
mod norm;
mod packed;
mod padding;
mod pool;
mod recurrent;
mod resample;
mod shape;
mod softmax;
mod stack;
mod transformer;
mod transformer_layer;

pub use activation::*;
pub use attention::{AttentionMask, AttentionOptions, MultiheadAttention};
pub use batch_norm::{BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormOptions};
pub use cell::{CellWeights, GRUCell, LSTMCell, RNNCell};
pub use container::{ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential};
pub use conv::{
    Conv1d, Conv2d, Conv3d, ConvBuilder, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Edge,
    IntoSize, Padding, PaddingMode,
};
pub use distance::{CosineSimilarity, PairwiseDistance};
pub use dropout::{AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout};
pub use embedding::{Embedding, EmbeddingBag};
pub use gradus_autograd::functional::BagMode;
pub use instance_norm::{InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, InstanceNormOptions};
pub use linear::{Bilinear, Linear, LinearBuilder};
pub use norm::{GroupNorm, LayerNorm, LocalResponseNorm, RMSNorm};
pub use packed::*;
pub use padding::*;
pub use pool::*;
pub use recurrent::{GRU, LSTM, RNN};
pub use resample::{Fold, Unfold, Upsample};
pub use shape::{ChannelShuffle, Flatten, Identity, PixelShuffle, PixelUnshuffle, Unflatten};
pub use softmax::*;
pub use stack::RecurrentOptions;
pub use transformer::{Transformer, TransformerDecoder, TransformerEncoder};
pub use transformer_layer::{
    FeedForward, TransformerDecoderLayer, TransformerEncoderLayer, TransformerOptions,
};
