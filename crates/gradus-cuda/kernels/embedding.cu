// Rows by index, elements by index, and their gradients.
//
// An index out of range reads nothing: the result's bits are all ones (NaN in a float), and nothing is added; `fault` counts it, and the
// host learns of it when it next waits. Gradients are added with
// atomics, so where an index occurs more than once the order of the additions, and with it the last bit, may differ between runs.
#include "gr.cuh"

// y (n, width): row i is row indices[i] of the table (rows, width). A block has a row.
GR_EACH_SIZE(gather_rows,
  for (i64 i = blockIdx.x; i < n; i += gridDim.x) {
    const i64 row = indices[i]; const bool known = row >= 0 && row < rows;
    if (!known && threadIdx.x == 0) gr_atomic_inc(fault, ~0u);
    for (i64 j = threadIdx.x; j < width; j += blockDim.x) y[i * width + j] = known ? table[row * width + j] : (T)~(T)0;
  })

// table (rows, width): row indices[i] += row i of x (n, width).
GR_FLOAT_KERNELS(scatter_add_rows,
  for (i64 i = blockIdx.x; i < n; i += gridDim.x) {
    const i64 row = indices[i];
    if (row < 0 || row >= rows) {
      if (threadIdx.x == 0) gr_atomic_inc(fault, ~0u);
      continue;
    }
    for (i64 j = threadIdx.x; j < width; j += blockDim.x) gr_atomic_add(table + row * width + j, widen(x[i * width + j]));
  })

// y (outer, m, inner): element (o, i, k) is element (o, indices(o, i, k), k) of x (outer, n, inner).
GR_EACH_SIZE(gather,
  for (i64 i = grid_index(); i < outer * m * inner; i += grid_size()) {
    const i64 at = indices[i]; const i64 o = i / (m * inner);
    const bool known = at >= 0 && at < n;
    if (!known) gr_atomic_inc(fault, ~0u);
    y[i] = known ? x[(o * n + at) * inner + i % inner] : (T)~(T)0;
  })

// dx (outer, n, inner): element (o, indices(o, i, k), k) += dy (o, i, k).
GR_FLOAT_KERNELS(scatter_add,
  for (i64 i = grid_index(); i < outer * m * inner; i += grid_size()) {
    const i64 at = indices[i]; const i64 o = i / (m * inner);
    if (at < 0 || at >= n) gr_atomic_inc(fault, ~0u);
    else gr_atomic_add(dx + (o * n + at) * inner + i % inner, widen(dy[i]));
  })
