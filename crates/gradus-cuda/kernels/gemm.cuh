// What all rungs of the ladder of matrix products share: the problem, and what happens to an element on its way out.
//
// C[b] = act(alpha·A[b]·B[b] + bias + residual): A (M, K), B (K, N), C (M, N) row-major, for each b of up to two batch dimensions.
// The rungs: naive → tiled → vectorised (gemm_simt.cu), tensor cores of a warp (gemm_mma.cu), of a warpgroup with TMA (gemm_wgmma.cu).
#pragma once
#include "math.cuh"

struct Gemm {
  int m, n, k;
  int inner_batch;                       // blockIdx.z = outer·inner_batch + inner
  i64 a_row, a_column, b_row, b_column;  // strides in elements
  i64 a_batch[2], b_batch[2];
  float alpha;
  int activation;                        // 0 none, 1 relu, 2 gelu, 3 gelu by tanh
  int bias;                              // 0 none, 1 one a row, 2 one a column
};

template <class T> GR_DEV const T* matrix_a(const T* a, const Gemm& g) {
  return a + blockIdx.z / g.inner_batch * g.a_batch[0] + blockIdx.z % g.inner_batch * g.a_batch[1];
}
template <class T> GR_DEV const T* matrix_b(const T* b, const Gemm& g) {
  return b + blockIdx.z / g.inner_batch * g.b_batch[0] + blockIdx.z % g.inner_batch * g.b_batch[1];
}
GR_DEV i64 matrix_c(const Gemm& g) { return (i64)blockIdx.z * g.m * g.n; }

// An activation is called, not inlined: an epilogue has dozens of elements, and an error function each is more code than the product.
template <class C> GR_CALLED C activated(int activation, C x) {
  if (activation == 1) return gr_max(x, C(0));
  return activation == 2 ? x * normal_share(x) : x * sigmoid(gelu_tanh_inner(x));
}
// Stores element (i, j) of C, whose sum is `v`, if there is one.
template <class T>
GR_DEV void finish(Compute<T> v, int i, int j, const Gemm& g, const T* __restrict__ bias, const T* __restrict__ residual, T* __restrict__ c) {
  if (i >= g.m || j >= g.n) return;
  const i64 at = matrix_c(g) + (i64)i * g.n + j;
  v *= g.alpha;
  if (g.bias) v += widen(bias[g.bias == 1 ? i : j]);
  if (residual) v += widen(residual[at]);
  if (g.activation) v = activated(g.activation, v);
  c[at] = narrow<T>(v);
}
