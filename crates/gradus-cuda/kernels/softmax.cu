// Softmax and log-softmax of rows, and their gradients.
//
// A block has a row. Pass 1 finds the maximum and the sum at once ("online softmax", Milakov and Gimelshein 2018): whenever the maximum
// grows, the sum so far is rescaled. Pass 2 writes. So a row is read twice, the second time from L2 as a rule.
// A row of −∞ gives NaN, as in PyTorch. Rows are summed in f32 whatever the type.
#include "reduce.cuh"

#define LOG2E 1.4426950408889634f

// e^(x − max), both finite or −∞; 0 where both are −∞ keeps a row's sum free of NaN until the end.
GR_DEV float shifted_exp(float x, float max) { return x == -GR_INFINITY ? 0.f : gr_exp2((x - max) * LOG2E); }
GR_DEV double shifted_exp(double x, double max) { return x == -GR_INFINITY ? 0. : exp(x - max); }

template <class C> GR_DEV C natural_log(C x) { return log(x); } // where a parameter has that name

// Maximum and Σ e^(x − max) of a row, to every thread.
template <class T> GR_DEV void row_statistics(const T* __restrict__ x, int columns, Compute<T>* scratch, Compute<T>& max, Compute<T>& sum) {
  typedef Compute<T> C;
  max = -GR_INFINITY, sum = 0;
  each_of_row(x, columns, [&](int, C v) {
    const C m = gr_max(max, v);
    sum = sum * shifted_exp(max, m) + (v == v ? shifted_exp(v, m) : v);
    max = m;
  });
  C m = block_reduce<Max>(max, scratch);
  sum = block_reduce<Sum>(sum * shifted_exp(max, m), scratch);
  max = m;
}

GR_ALL_FLOAT_KERNELS(softmax,
  typedef Compute<T> C; __shared__ C scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* p = x + row * columns; T* out = y + row * columns;
    C max; C sum;
    row_statistics(p, columns, scratch, max, sum);
    const C log_sum = natural_log(sum); const C inverse = C(1) / sum;
    if (log) map_row(p, out, columns, [&](int, C v) { return v - max - log_sum; });
    else map_row(p, out, columns, [&](int, C v) { return exp(v - max) * inverse; });
  })

// softmax: dx = y·(dy − Σ dy·y). log-softmax: dx = dy − e^y·Σ dy.
GR_ALL_FLOAT_KERNELS(softmax_backward,
  typedef Compute<T> C; __shared__ C scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const i64 at = row * columns;
    C sum = 0;
    if (log) each_of_row(dy + at, columns, [&](int, C g) { sum += g; });
    else each_of_rows(dy + at, y + at, columns, [&](int, C g, C v) { sum += g * v; });
    sum = block_reduce<Sum>(sum, scratch);
    if (log) map_rows(dy + at, y + at, dx + at, columns, [&](int, C g, C v) { return g - exp(v) * sum; });
    else map_rows(dy + at, y + at, dx + at, columns, [&](int, C g, C v) { return v * (g - sum); });
  })
