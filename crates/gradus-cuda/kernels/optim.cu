// One step of an optimiser over all parameters of a model in one launch; the norm of all gradients, and clipping by it.
//
// A model has hundreds of tensors, most of them small: a launch each would be mostly launches. So the host writes a list of chunks, each
// with its addresses and length, and a block takes a chunk. Formulas and their order are PyTorch's (torch/optim, single tensor).
// The norm stays on the device: clipping needs no answer from it. What changes from step to step is read from `numbers` where they are
// given: so a graph replays a step with the rate and the corrections of another (PyTorch's `capturable`).
#include "reduce.cuh"

// `third` is the largest average of squares so far, or null without it (AMSGrad).
GR_KERNEL(adam_chunks) {
  if (numbers) step_size = numbers[0], root_correction = numbers[1], shrink = numbers[2];
  const Chunk c = chunks[blockIdx.x];
  float* p = (float*)c.parameter;
  const float* g_of = (const float*)c.gradient;
  float *m_of = (float*)c.first, *v_of = (float*)c.second, *top_of = (float*)c.third;
  for (u32 i = threadIdx.x; i < c.length; i += blockDim.x) {
    float g = maximize ? -g_of[i] : g_of[i], x = p[i], m = m_of[i], v = v_of[i];
    g = fmaf(penalty, x, g); // L2
    x *= shrink;             // or decoupled
    m = fmaf(1.f - beta1, g - m, m);
    v = fmaf((1.f - beta2) * g, g, beta2 * v);
    float top = v;
    if (top_of) top_of[i] = top = gr_max(top_of[i], v);
    const float denominator = sqrtf(top) / root_correction + eps;
    p[i] = fmaf(-step_size, m / denominator, x);
    m_of[i] = m;
    v_of[i] = v;
  }
}

// `first` is the momentum's state, or null without momentum.
GR_KERNEL(sgd_chunks) {
  if (numbers) lr = numbers[0];
  const Chunk c = chunks[blockIdx.x];
  float* p = (float*)c.parameter;
  const float* g_of = (const float*)c.gradient;
  float* velocity = (float*)c.first;
  for (u32 i = threadIdx.x; i < c.length; i += blockDim.x) {
    float g = maximize ? -g_of[i] : g_of[i], x = p[i];
    g = fmaf(penalty, x, g);
    if (velocity) {
      const float v = first_step ? g : fmaf(momentum, velocity[i], (1.f - dampening) * g);
      velocity[i] = v;
      g = nesterov ? fmaf(momentum, v, g) : v;
    }
    p[i] = fmaf(-lr, g, x);
  }
}

// `first` is the average of the gradient's square, `second` the momentum's state and `third` the average of the gradient, or null.
GR_KERNEL(rmsprop_chunks) {
  if (numbers) lr = numbers[0];
  const Chunk c = chunks[blockIdx.x];
  float* p = (float*)c.parameter;
  const float* g_of = (const float*)c.gradient;
  float *square_of = (float*)c.first, *velocity = (float*)c.second, *mean_of = (float*)c.third;
  for (u32 i = threadIdx.x; i < c.length; i += blockDim.x) {
    float g = maximize ? -g_of[i] : g_of[i], x = p[i];
    g = fmaf(penalty, x, g);
    const float square = fmaf(rest * g, g, alpha * square_of[i]);
    square_of[i] = square;
    float variance = square;
    if (mean_of) {
      const float mean = fmaf(rest, g - mean_of[i], mean_of[i]);
      mean_of[i] = mean;
      variance = fmaf(-mean, mean, square);
    }
    float step = g / (sqrtf(variance) + eps);
    if (velocity) velocity[i] = step = fmaf(momentum, velocity[i], step);
    p[i] = fmaf(-lr, step, x);
  }
}

// `first` is the sum of the gradient's squares.
GR_KERNEL(adagrad_chunks) {
  if (numbers) lr = numbers[0];
  const Chunk c = chunks[blockIdx.x];
  float *p = (float*)c.parameter, *sum_of = (float*)c.first;
  const float* g_of = (const float*)c.gradient;
  for (u32 i = threadIdx.x; i < c.length; i += blockDim.x) {
    float g = maximize ? -g_of[i] : g_of[i];
    g = fmaf(penalty, p[i], g);
    const float sum = fmaf(g, g, sum_of[i]);
    sum_of[i] = sum;
    p[i] = fmaf(-lr, g / (sqrtf(sum) + eps), p[i]);
  }
}

// parts[block] = Σ g² of a chunk.
GR_KERNEL(norm_chunks) {
  __shared__ float scratch[32];
  const Chunk c = chunks[blockIdx.x];
  const float* g = (const float*)c.gradient;
  float sum = 0.f;
  for (u32 i = threadIdx.x; i < c.length; i += blockDim.x) sum = fmaf(g[i], g[i], sum);
  sum = block_reduce<Sum>(sum, scratch);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// norm = √Σ parts, by one block.
GR_KERNEL(norm_total) {
  __shared__ float scratch[32];
  float sum = 0.f;
  for (i64 i = threadIdx.x; i < n; i += blockDim.x) sum += parts[i];
  sum = block_reduce<Sum>(sum, scratch);
  if (threadIdx.x == 0) *norm = sqrtf(sum);
}

// Gradients ·= min(1, most / (norm + 1e-6)).
GR_KERNEL(clip_chunks) {
  const Chunk c = chunks[blockIdx.x];
  float* g = (float*)c.gradient;
  const float scale = gr_min(most / (*norm + 1e-6f), 1.f);
  for (u32 i = threadIdx.x; i < c.length; i += blockDim.x) g[i] *= scale;
}
