// Max and average pooling over images, forward beside backward; adaptive averages are averages whose windows differ.
//
// A thread has an element of the result, forward and backward: a backward thread looks at the few windows its element lies in, so
// nothing is added by two threads, and results are the same bits at every run.
#include "reduce.cuh"

struct Pool {
  int planes;
  int in[2], out[2], kernel[2], stride[2], padding[2], dilation[2];
  int adaptive, include_padding;
  float divisor; // 0: counted
};

// Window `o` of an axis, for averages: [start, end) inside the input, and its size with padding counted.
GR_DEV void window(const Pool& g, int d, int o, int& start, int& end, int& size) {
  if (g.adaptive) {
    start = (int)((i64)o * g.in[d] / g.out[d]);
    end = (int)(((i64)(o + 1) * g.in[d] + g.out[d] - 1) / g.out[d]);
    size = end - start;
    return;
  }
  const int first = o * g.stride[d] - g.padding[d];
  int last = first + g.kernel[d];
  if (last > g.in[d] + g.padding[d]) last = g.in[d] + g.padding[d];
  size = last - first;
  start = first > 0 ? first : 0;
  end = last < g.in[d] ? last : g.in[d];
}
GR_DEV float divisor(const Pool& g, int count, int size) { return g.divisor != 0.f ? g.divisor : (float)(g.include_padding ? size : count); }
// The windows element i of an axis may lie in: [low, high).
GR_DEV void windows_of(const Pool& g, int d, int i, int reach, int& low, int& high) {
  if (g.adaptive) {
    low = (int)((i64)i * g.out[d] / g.in[d]);
    high = (int)(((i64)(i + 1) * g.out[d] + g.in[d] - 1) / g.in[d]);
  } else {
    const int from = i + g.padding[d] - reach + 1;
    low = from > 0 ? (from + g.stride[d] - 1) / g.stride[d] : 0;
    high = (i + g.padding[d]) / g.stride[d] + 1;
  }
  if (high > g.out[d]) high = g.out[d];
}

// NaN counts as the largest and of several the last; of equals the first. A window outside the input is −∞ with index −1.
GR_FLOAT_KERNELS(max_pool,
  const i64 pixels = (i64)g.out[0] * g.out[1];
  for (i64 i = grid_index(); i < g.planes * pixels; i += grid_size()) {
    const int oh = (int)(i % pixels / g.out[1]); const int ow = (int)(i % g.out[1]);
    const T* plane = x + i / pixels * g.in[0] * g.in[1];
    float best = -GR_INFINITY; i64 place = -1;
    for (int r = 0; r < g.kernel[0]; r++) {
      const int h = oh * g.stride[0] - g.padding[0] + r * g.dilation[0];
      if (h < 0 || h >= g.in[0]) continue;
      for (int s = 0; s < g.kernel[1]; s++) {
        const int w = ow * g.stride[1] - g.padding[1] + s * g.dilation[1];
        if (w < 0 || w >= g.in[1]) continue;
        const float v = widen(plane[h * g.in[1] + w]);
        if (v > best || v != v || place < 0) { best = v; place = (i64)h * g.in[1] + w; }
      }
    }
    y[i] = narrow<T>(best);
    if (indices) indices[i] = place;
  })

GR_FLOAT_KERNELS(max_pool_backward,
  const i64 area = (i64)g.in[0] * g.in[1]; const i64 pixels = (i64)g.out[0] * g.out[1];
  for (i64 i = grid_index(); i < g.planes * area; i += grid_size()) {
    const i64 place = i % area; const i64 plane = i / area * pixels;
    int h0; int h1; int w0; int w1;
    windows_of(g, 0, (int)(place / g.in[1]), (g.kernel[0] - 1) * g.dilation[0] + 1, h0, h1);
    windows_of(g, 1, (int)(place % g.in[1]), (g.kernel[1] - 1) * g.dilation[1] + 1, w0, w1);
    float sum = 0.f;
    for (int oh = h0; oh < h1; oh++)
      for (int ow = w0; ow < w1; ow++) {
        const i64 at = plane + (i64)oh * g.out[1] + ow;
        if (indices[at] == place) sum += widen(dy[at]);
      }
    dx[i] = narrow<T>(sum);
  })

GR_FLOAT_KERNELS(avg_pool,
  const i64 pixels = (i64)g.out[0] * g.out[1];
  for (i64 i = grid_index(); i < g.planes * pixels; i += grid_size()) {
    int h0; int h1; int w0; int w1; int sh; int sw;
    window(g, 0, (int)(i % pixels / g.out[1]), h0, h1, sh);
    window(g, 1, (int)(i % g.out[1]), w0, w1, sw);
    const T* plane = x + i / pixels * g.in[0] * g.in[1];
    float sum = 0.f;
    for (int h = h0; h < h1; h++)
      for (int w = w0; w < w1; w++) sum += widen(plane[h * g.in[1] + w]);
    y[i] = narrow<T>(sum / divisor(g, (h1 - h0) * (w1 - w0), sh * sw));
  })

GR_FLOAT_KERNELS(avg_pool_backward,
  const i64 area = (i64)g.in[0] * g.in[1]; const i64 pixels = (i64)g.out[0] * g.out[1];
  for (i64 i = grid_index(); i < g.planes * area; i += grid_size()) {
    const int h = (int)(i % area / g.in[1]); const int w = (int)(i % g.in[1]);
    const T* plane = dy + i / area * pixels;
    int oh0; int oh1; int ow0; int ow1;
    windows_of(g, 0, h, g.kernel[0], oh0, oh1);
    windows_of(g, 1, w, g.kernel[1], ow0, ow1);
    float sum = 0.f;
    for (int oh = oh0; oh < oh1; oh++)
      for (int ow = ow0; ow < ow1; ow++) {
        int h0; int h1; int w0; int w1; int sh; int sw;
        window(g, 0, oh, h0, h1, sh);
        window(g, 1, ow, w0, w1, sw);
        if (h >= h0 && h < h1 && w >= w0 && w < w1) sum += widen(plane[oh * g.out[1] + ow]) / divisor(g, (h1 - h0) * (w1 - w0), sh * sw);
      }
    dx[i] = narrow<T>(sum);
  })
