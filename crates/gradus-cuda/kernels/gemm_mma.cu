// Rung 4: matrix products by the tensor cores of a warp (mma.sync), from sm_80 on: bf16, f16, and f32 as TF32, where that is allowed.
//
// The block's product is mma_tile.cuh's; here are where the tiles lie and what happens to the sums.
#include "gemm.cuh"
#include "mma_tile.cuh"

template <class T>
GR_DEV void gemm_mma_body(const T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ bias, const T* __restrict__ residual,
                          T* __restrict__ c, const Gemm& g, u8* shared) {
  const T *pa = matrix_a(a, g), *pb = matrix_b(b, g);
  const bool a_along = g.a_column == 1, b_along = g.b_row == 1;
  const i64 a_line = a_along ? g.a_row : g.a_column, b_line = b_along ? g.b_column : g.b_row;
  const bool a_aligned = is_aligned16(pa) && a_line % Pack<T>::N == 0, b_aligned = is_aligned16(pb) && b_line % Pack<T>::N == 0;
  const int i0 = blockIdx.y * 128, j0 = blockIdx.x * 128, K = StepOf<T>::K;
  float sum[4][4][4];
  multiply_tiles<T>(sum, a_along, b_along, (g.k + K - 1) / K, shared, [&](int step, u8* a_tile, u8* b_tile) {
    load_tile(a_tile, pa, a_along, a_aligned, a_line, i0, step * K, g.m, g.k);
    load_tile(b_tile, pb, b_along, b_aligned, b_line, j0, step * K, g.n, g.k);
  });
  GR_UNROLL
  for (int i = 0; i < 4; i++)
    GR_UNROLL
    for (int j = 0; j < 4; j++)
      GR_UNROLL
      for (int e = 0; e < 4; e++)
        finish(sum[i][j][e], i0 + first_row() + i * 16 + e / 2 * 8, j0 + first_column() + j * 8 + e % 2, g, bias, residual, c);
}

GR_FLOAT_KERNELS(gemm_mma, GR_DYNAMIC_SHARED(shared); gemm_mma_body<T>(a, b, bias, residual, c, g, shared);)
