//! `torch.nn.functional`: layers as functions, by PyTorch's names, arguments and defaults.
