// Max and average pooling over images, forward beside backward; adaptive averages are averages whose windows differ.
//
// A thread has an element of the result, forward and backward: a backward thread looks at the few windows its element lies in, so
// nothing is added by two threads, and results are the same bits at every run.
#include "reduce.cuh"

// Images are (planes, H, W, inner) in memory: planes are batch × channels and inner 1, or with channels last the batch and the channels.
struct Pool {
  int planes, inner;
  int in[2], out[2], kernel[2], stride[2], padding[2], dilation[2];
  int adaptive, include_padding;
  float divisor; // 0: counted
};

// Element i of (planes, h, w, inner): its pixel, and where in memory its plane of `other` pixels begins; a pixel is `inner` further.
struct Pixel { int h, w; i64 plane; };
GR_DEV Pixel pixel_of(const Pool& g, i64 i, const int (&size)[2], const int (&other)[2]) {
  const i64 pixel = i / g.inner, row = pixel / size[1], plane = row / size[0];
  Pixel p = {(int)(row - plane * size[0]), (int)(pixel - row * size[1]), plane * other[0] * other[1] * g.inner + (i - pixel * g.inner)};
  return p;
}
GR_DEV i64 elements(const Pool& g, const int (&size)[2]) { return (i64)g.planes * g.inner * size[0] * size[1]; }

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
  for (i64 i = grid_index(); i < elements(g, g.out); i += grid_size()) {
    const Pixel o = pixel_of(g, i, g.out, g.in);
    const T* plane = x + o.plane;
    float best = -GR_INFINITY; i64 place = -1;
    for (int r = 0; r < g.kernel[0]; r++) {
      const int h = o.h * g.stride[0] - g.padding[0] + r * g.dilation[0];
      if (h < 0 || h >= g.in[0]) continue;
      for (int s = 0; s < g.kernel[1]; s++) {
        const int w = o.w * g.stride[1] - g.padding[1] + s * g.dilation[1];
        if (w < 0 || w >= g.in[1]) continue;
        const float v = widen(plane[((i64)h * g.in[1] + w) * g.inner]);
        if (v > best || v != v || place < 0) { best = v; place = (i64)h * g.in[1] + w; }
      }
    }
    y[i] = narrow<T>(best);
    if (indices) indices[i] = place;
  })

GR_FLOAT_KERNELS(max_pool_backward,
  for (i64 i = grid_index(); i < elements(g, g.in); i += grid_size()) {
    const Pixel p = pixel_of(g, i, g.in, g.out);
    const i64 place = (i64)p.h * g.in[1] + p.w;
    int h0; int h1; int w0; int w1;
    windows_of(g, 0, p.h, (g.kernel[0] - 1) * g.dilation[0] + 1, h0, h1);
    windows_of(g, 1, p.w, (g.kernel[1] - 1) * g.dilation[1] + 1, w0, w1);
    float sum = 0.f;
    for (int oh = h0; oh < h1; oh++)
      for (int ow = w0; ow < w1; ow++) {
        const i64 at = p.plane + ((i64)oh * g.out[1] + ow) * g.inner;
        if (indices[at] == place) sum += widen(dy[at]);
      }
    dx[i] = narrow<T>(sum);
  })

GR_FLOAT_KERNELS(avg_pool,
  for (i64 i = grid_index(); i < elements(g, g.out); i += grid_size()) {
    const Pixel o = pixel_of(g, i, g.out, g.in);
    int h0; int h1; int w0; int w1; int sh; int sw;
    window(g, 0, o.h, h0, h1, sh);
    window(g, 1, o.w, w0, w1, sw);
    const T* plane = x + o.plane;
    float sum = 0.f;
    for (int h = h0; h < h1; h++)
      for (int w = w0; w < w1; w++) sum += widen(plane[((i64)h * g.in[1] + w) * g.inner]);
    y[i] = narrow<T>(sum / divisor(g, (h1 - h0) * (w1 - w0), sh * sw));
  })

GR_FLOAT_KERNELS(avg_pool_backward,
  for (i64 i = grid_index(); i < elements(g, g.in); i += grid_size()) {
    const Pixel p = pixel_of(g, i, g.in, g.out);
    const T* plane = dy + p.plane;
    int oh0; int oh1; int ow0; int ow1;
    windows_of(g, 0, p.h, g.kernel[0], oh0, oh1);
    windows_of(g, 1, p.w, g.kernel[1], ow0, ow1);
    float sum = 0.f;
    for (int oh = oh0; oh < oh1; oh++)
      for (int ow = ow0; ow < ow1; ow++) {
        int h0; int h1; int w0; int w1; int sh; int sw;
        window(g, 0, oh, h0, h1, sh);
        window(g, 1, ow, w0, w1, sw);
        if (p.h >= h0 && p.h < h1 && p.w >= w0 && p.w < w1) sum += widen(plane[((i64)oh * g.out[1] + ow) * g.inner]) / divisor(g, (h1 - h0) * (w1 - w0), sh * sw);
      }
    dx[i] = narrow<T>(sum);
  })
