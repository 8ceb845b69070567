// What the kernels of attention share: the problem, where rows lie, tiles in shared memory.
//
// softmax(q kᵀ·scale [+ mask]) v, without ever holding all T×S scores (Dao et al., "FlashAttention", 2022; "FlashAttention-2", 2023).
// q (B, H, T, E), k and v (B, K, S, E) in any layout whose last dimension lies along memory; H/K query heads share a key head. The output
// is (B, T, H, E), lse (B, H, T) the natural logarithm of each row's sum. Causal: query t sees keys up to t.
#pragma once
#include "reduce.cuh"

struct Attention {
  int batch, heads, key_heads, queries, keys, width;
  i64 q[3], k[3], v[3], dy[3]; // strides over batch, head, position
  i64 mask[4];                 // over batch, head, query, key
  float scale;
  int causal;
};
#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f

GR_DEV i64 row_of(const i64 (&strides)[3], int batch, int head, int position) {
  return batch * strides[0] + head * strides[1] + position * strides[2];
}
// Row `position` of a head of (B, T, H, E), contiguous: the output and the gradients.
GR_DEV i64 out_row(int batch, int head, int position, int heads, int positions, int width) {
  return (((i64)batch * positions + position) * heads + head) * width;
}

// ---- tiles: rows of D 16-bit elements, 16-byte chunks turned so that eight rows of ldmatrix lie in different banks -----------------------

template <int D> GR_DEV u8* place(u8* tile, int row, int chunk) { return tile + row * (2 * D) + ((chunk ^ (row & 7)) << 4); }

// ROWS rows from `first` on, of a matrix whose rows are `stride` apart; rows past the end are 0. By 128 threads.
template <int D, int ROWS, class T> GR_DEV void load_rows(u8* tile, const T* x, i64 stride, int first, int count) {
  GR_UNROLL
  for (int i = 0; i < ROWS * D / 8 / 128; i++) {
    const int c = threadIdx.x + i * 128, r = c / (D / 8), chunk = c % (D / 8);
    const bool inside = first + r < count;
    gr_copy_async16(place<D>(tile, r, chunk), inside ? x + (first + r) * stride + chunk * 8 : x, inside ? 16 : 0);
  }
}
// A: 16 rows from row0, columns 16·step … + 16 (row-major in the tile).
template <int D> GR_DEV void rows_fragment(u32 (&r)[4], u8* tile, int row0, int step) {
  const int l = threadIdx.x & 31;
  gr_load_matrix(r, place<D>(tile, row0 + (l & 15), step * 2 + (l >> 4)));
}
// B where the sum runs along the tile's rows' elements: columns of the product are tile rows n0 … + 16, k is 16·step … + 16.
template <int D> GR_DEV void along_fragments(u32 (&r)[4], u8* tile, int n0, int step) {
  const int l = threadIdx.x & 31;
  gr_load_matrix(r, place<D>(tile, n0 + (l & 7) + (l >> 4 << 3), step * 2 + (l >> 3 & 1)));
}
// B where the sum runs over the tile's rows: k is rows 16·step … + 16, columns of the product are elements 16·n … + 16.
template <int D> GR_DEV void across_fragments(u32 (&r)[4], u8* tile, int step, int n) {
  const int l = threadIdx.x & 31;
  gr_load_matrix_transposed(r, place<D>(tile, step * 16 + (l & 15), n * 2 + (l >> 4)));
}
// sum (16 × 8·N) += a (16 rows of a tile) · b (8·N rows of a tile)ᵀ, over all D.
template <int D, int N, class T> GR_DEV void product_along(float (&sum)[N][4], u8* a, int row0, u8* b) {
  GR_UNROLL_2
  for (int step = 0; step < D / 16; step++) {
    u32 fa[4];
    rows_fragment<D>(fa, a, row0, step);
    GR_UNROLL
    for (int n = 0; n < N / 2; n++) {
      u32 fb[4];
      along_fragments<D>(fb, b, n * 16, step);
      mma((const T*)0, sum[2 * n], fa, fb[0], fb[1]);
      mma((const T*)0, sum[2 * n + 1], fa, fb[2], fb[3]);
    }
  }
}
// sum (16 × D) += p (16 × 8·N, in registers as a product left it) · b (8·N rows of a tile).
template <int D, int N, class T> GR_DEV void product_across(float (&sum)[D / 8][4], const float (&p)[N][4], u8* b) {
  GR_UNROLL
  for (int step = 0; step < N / 2; step++) {
    const u32 fa[4] = {pack2<T>(p[2 * step][0], p[2 * step][1]), pack2<T>(p[2 * step][2], p[2 * step][3]),
                       pack2<T>(p[2 * step + 1][0], p[2 * step + 1][1]), pack2<T>(p[2 * step + 1][2], p[2 * step + 1][3])};
    GR_UNROLL
    for (int n = 0; n < D / 16; n++) {
      u32 fb[4];
      across_fragments<D>(fb, b, step, n);
      mma((const T*)0, sum[2 * n], fa, fb[0], fb[1]);
      mma((const T*)0, sum[2 * n + 1], fa, fb[2], fb[3]);
    }
  }
}
template <int N> GR_DEV void clear(float (&sum)[N][4]) {
  GR_UNROLL
  for (int n = 0; n < N; n++) { sum[n][0] = sum[n][1] = sum[n][2] = sum[n][3] = 0.f; }
}
// Stores a warp's 16 × D, times `scale[0]` and `scale[1]` for its two rows of a lane, as rows of T from `row0` on, those below `count`.
template <int D, class T>
GR_DEV void store_rows(const float (&sum)[D / 8][4], float scale0, float scale1, T* out, i64 stride, int row0, int count) {
  const int l = threadIdx.x & 31, r0 = row0 + l / 4, r1 = r0 + 8, column = l % 4 * 2;
  GR_UNROLL
  for (int n = 0; n < D / 8; n++) {
    if (r0 < count) *(u32*)(out + r0 * stride + n * 8 + column) = pack2<T>(sum[n][0] * scale0, sum[n][1] * scale0);
    if (r1 < count) *(u32*)(out + r1 * stride + n * 8 + column) = pack2<T>(sum[n][2] * scale1, sum[n][3] * scale1);
  }
}
