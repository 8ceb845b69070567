// Cross-entropy of logits (rows, classes) and class indices, fused: log-softmax, choice, smoothing and reduction, and its gradient.
//
// The probabilities are never written: the forward keeps one number a row (lse = ln Σ e^x), from which the backward makes them again.
// A target outside the classes (and not `ignore`) makes its row's loss NaN and is counted in `fault`: nothing is read out of bounds, and
// the host learns of it when it next waits.
#include "reduce.cuh"

template <class T> GR_DEV float class_weight(const T* weight, i64 c) { return weight ? widen(weight[c]) : 1.f; }

GR_FLOAT_KERNELS(cross_entropy,
  __shared__ float scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* x = logits + row * classes;
    float max = -GR_INFINITY; float sum = 0.f; float smooth = 0.f;
    each_of_row(x, classes, [&](int, float v) { max = gr_max(max, v); });
    max = block_reduce<Max>(max, scratch);
    each_of_row(x, classes, [&](int i, float v) {
      sum += expf(v - max);
      if (smoothing > 0.f) smooth += v * class_weight(weight, i);
    });
    sum = block_reduce<Sum>(sum, scratch);
    smooth = block_reduce<Sum>(smooth, scratch);
    if (threadIdx.x == 0) {
      const i64 c = target[row]; const float l = max + logf(sum);
      float loss = 0.f; float w = 0.f;
      if (c != ignore) {
        if (c < 0 || c >= classes) {
          loss = GR_NAN;
          gr_atomic_inc(fault, ~0u);
        } else {
          w = class_weight(weight, c);
          loss = w * (l - widen(x[c]));
          if (smoothing > 0.f) {
            const float total = weight_sum ? *weight_sum : (float)classes;
            loss = (1.f - smoothing) * loss + smoothing / (float)classes * (total * l - smooth);
          }
        }
      }
      lse[row] = l;
      losses[row] = loss;
      weights[row] = w;
    }
  })

// One block: total = Σ weights; y = Σ losses, divided by the total for the mean.
GR_FLOAT_KERNELS(cross_entropy_total,
  __shared__ float scratch[32];
  float loss = 0.f; float w = 0.f;
  for (i64 i = threadIdx.x; i < rows; i += blockDim.x) {
    loss += losses[i];
    w += weights[i];
  }
  loss = block_reduce<Sum>(loss, scratch);
  w = block_reduce<Sum>(w, scratch);
  if (threadIdx.x == 0) {
    *total = w;
    *y = narrow<T>(mean ? loss / w : loss);
  })

// dx = g·((hard + soft·Σw)·softmax − soft·w − hard at the target), g the loss's gradient. reduction: 0 none, 1 mean, 2 sum.
GR_FLOAT_KERNELS(cross_entropy_backward,
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* x = logits + row * classes; T* out = dx + row * classes;
    const i64 c = target[row];
    const bool known = c >= 0 && c < classes;
    const float g = c == ignore ? 0.f : !known ? GR_NAN : widen(dy[reduction == 0 ? row : 0]) / (reduction == 1 ? *total : 1.f);
    const float hard = known ? (1.f - smoothing) * class_weight(weight, c) : 0.f; const float soft = smoothing / (float)classes;
    const float all = weight_sum ? *weight_sum : (float)classes;
    const float l = lse[row]; const float scale = g * (hard + soft * all);
    map_row(x, out, classes, [&](int i, float v) {
      return c == ignore ? 0.f : expf(v - l) * scale - g * soft * class_weight(weight, i) - (i == c ? g * hard : 0.f);
    });
  })
