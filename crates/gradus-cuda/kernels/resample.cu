// An axis whose elements become sums of a few of its elements: interpolation of any kind, averages over windows of any kind, and, with the
// table transposed, their gradients. And the largest of windows over volumes.
//
// Which elements, and how much of each, the host writes down in a table by rows; the kernels know nothing of filters. A thread has an element of
// the result, so nothing is added by two threads.
#include "reduce.cuh"

// y (outer, outputs, inner) from x (outer, inputs, inner): y[o] = Σ weights[k]·x[at[k]], k from starts[o] to starts[o + 1].
template <class T>
GR_DEV void resample_loop(const T* __restrict__ x, const int* __restrict__ starts, const int* __restrict__ at, const T* __restrict__ weights,
                          T* __restrict__ y, i64 outer, int inputs, int outputs, i64 inner) {
  for (i64 i = grid_index(); i < outer * outputs * inner; i += grid_size()) {
    const i64 row = i / inner;
    const int o = (int)(row % outputs);
    const T* line = x + row / outputs * inputs * inner + i % inner;
    T sum = 0;
    for (int k = starts[o]; k < starts[o + 1]; k++) sum = fma(weights[k], line[at[k] * inner], sum);
    y[i] = sum;
  }
}
GR_KERNEL_OF(resample, f32, float) { resample_loop(x, starts, at, weights, y, outer, inputs, outputs, inner); }
GR_DOUBLE_KERNEL(resample) { resample_loop(x, starts, at, weights, y, outer, inputs, outputs, inner); }

struct Volume {
  int planes;
  int in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  int adaptive; // windows as even as possible, in place of kernel, stride, padding and dilation
};
// The elements of window `o` of an axis: from `first` by `step`, before `end`.
GR_DEV void elements_of(const Volume& g, int d, int o, int& first, int& end, int& step) {
  if (g.adaptive) {
    first = (int)((i64)o * g.in[d] / g.out[d]);
    end = (int)(((i64)(o + 1) * g.in[d] + g.out[d] - 1) / g.out[d]);
    step = 1;
    return;
  }
  step = g.dilation[d];
  first = o * g.stride[d] - g.padding[d];
  end = first + (g.kernel[d] - 1) * step + 1;
  if (end > g.in[d]) end = g.in[d];
  if (first < 0) first += (-first + step - 1) / step * step;
}
// As max_pool: NaN counts as the largest and of several the last; of equals the first.
GR_ALL_FLOAT_KERNELS(max_pool_volume,
  const i64 pixels = (i64)g.out[0] * g.out[1] * g.out[2];
  for (i64 i = grid_index(); i < g.planes * pixels; i += grid_size()) {
    i64 rest = i % pixels;
    int first[3]; int end[3]; int step[3];
    for (int d = 2; d >= 0; d--) {
      elements_of(g, d, (int)(rest % g.out[d]), first[d], end[d], step[d]);
      rest /= g.out[d];
    }
    const T* plane = x + i / pixels * g.in[0] * g.in[1] * g.in[2];
    Compute<T> best = -GR_INFINITY; i64 place = -1;
    for (int a = first[0]; a < end[0]; a += step[0])
      for (int b = first[1]; b < end[1]; b += step[1])
        for (int c = first[2]; c < end[2]; c += step[2]) {
          const i64 at = ((i64)a * g.in[1] + b) * g.in[2] + c;
          const Compute<T> v = widen(plane[at]);
          if (v > best || v != v || place < 0) { best = v; place = at; }
        }
    y[i] = narrow<T>(best);
    indices[i] = place;
  })
