// What the rungs of convolution share: the problem. conv.cu fetches elements one by one, of any type and groups; conv_mma.cu moves
// sixteen bytes of channels at a time to the tensor cores.
#pragma once

struct Conv {
  int batch, groups, channels, outputs; // of a group
  int in[2], kernel[2], out[2], stride[2], padding[2], dilation[2];
  int pieces; // of the sum of the weight's gradient
};
