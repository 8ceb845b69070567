// Matrix products without tensor cores: three rungs of a ladder, each 5 to 10 times as fast as the one before on a real device.
//
// Rung 1, naive: a thread has an element of C and reads a row of A and a column of B for it. 2 loads for each multiply-add.
// Rung 2, tiled: a block brings 32×32 tiles of A and B into shared memory, from where each element is used 32 times.
// Rung 3, vectorised: a block has 128×128 of C, a thread 8×8 in registers: 16 loads from shared memory for 64 multiply-adds, and the
// next tile is under way to registers while this one is multiplied (double buffering).
#include "gemm.cuh"

// ---- rung 1: any type, any strides ------------------------------------------------------------------------------------------

GR_ALL_FLOAT_KERNELS(gemm_naive,
  const int i = blockIdx.y * 16 + threadIdx.x / 16; const int j = blockIdx.x * 16 + threadIdx.x % 16;
  if (i < g.m && j < g.n) {
    const T* pa = matrix_a(a, g) + i * g.a_row; const T* pb = matrix_b(b, g) + j * g.b_column;
    Compute<T> sum = 0;
    for (int k = 0; k < g.k; k++) sum = fma(widen(pa[k * g.a_column]), widen(pb[k * g.b_row]), sum);
    finish(sum, i, j, g, bias, residual, c);
  })

// ---- rung 2 -----------------------------------------------------------------------------------------------------------------

GR_KERNEL(gemm_tiled) {
  __shared__ float a_tile[32][33], b_tile[32][33]; // the odd length keeps columns out of one bank
  const float *pa = matrix_a(a, g), *pb = matrix_b(b, g);
  const int column = threadIdx.x & 31, row0 = threadIdx.x >> 5; // a thread has rows row0, row0 + 8, … of a column
  const int i0 = blockIdx.y * 32, j0 = blockIdx.x * 32;
  float sum[4] = {0.f, 0.f, 0.f, 0.f};
  for (int k0 = 0; k0 < g.k; k0 += 32) {
    for (int r = row0; r < 32; r += 8) {
      const bool in_a = i0 + r < g.m && k0 + column < g.k, in_b = k0 + r < g.k && j0 + column < g.n;
      a_tile[r][column] = in_a ? pa[(i0 + r) * g.a_row + (k0 + column) * g.a_column] : 0.f;
      b_tile[r][column] = in_b ? pb[(k0 + r) * g.b_row + (j0 + column) * g.b_column] : 0.f;
    }
    gr_sync();
    for (int k = 0; k < 32; k++) {
      const float v = b_tile[k][column];
      GR_UNROLL
      for (int r = 0; r < 4; r++) sum[r] = fmaf(a_tile[row0 + 8 * r][k], v, sum[r]);
    }
    gr_sync();
  }
  for (int r = 0; r < 4; r++) finish(sum[r], i0 + row0 + 8 * r, j0 + column, g, bias, residual, c);
}

// ---- rung 3 -----------------------------------------------------------------------------------------------------------------

// A tile of an operand is 16 of k by 128 of the other dimension ("outer": rows of A, columns of B), with k outermost in shared memory.
// A thread moves 8 elements that lie together in memory: along k, or along the outer dimension.
typedef float Tile[16][132];

GR_DEV void fetch(float (&v)[8], const float* __restrict__ x, bool along_k, i64 line, int outer0, int k0, int outers, int ks) {
  const int t = threadIdx.x;
  const int o = outer0 + (along_k ? t >> 1 : (t & 15) * 8), k = k0 + (along_k ? (t & 1) * 8 : t >> 4);
  const float* p = x + (along_k ? o * line + k : k * line + o);
  const int valid = along_k ? (o < outers ? ks - k : 0) : (k < ks ? outers - o : 0);
  if (valid >= 8 && is_aligned16(p)) {
    const float4 low = *(const float4*)p, high = *(const float4*)(p + 4);
    v[0] = low.x, v[1] = low.y, v[2] = low.z, v[3] = low.w, v[4] = high.x, v[5] = high.y, v[6] = high.z, v[7] = high.w;
  } else {
    GR_UNROLL
    for (int i = 0; i < 8; i++) v[i] = i < valid ? p[i] : 0.f;
  }
}
GR_DEV void stow(Tile& tile, const float (&v)[8], bool along_k) {
  const int t = threadIdx.x;
  if (along_k) {
    GR_UNROLL
    for (int i = 0; i < 8; i++) tile[(t & 1) * 8 + i][t >> 1] = v[i];
  } else {
    *(float4*)&tile[t >> 4][(t & 15) * 8] = make_float4(v[0], v[1], v[2], v[3]);
    *(float4*)&tile[t >> 4][(t & 15) * 8 + 4] = make_float4(v[4], v[5], v[6], v[7]);
  }
}

GR_KERNEL(gemm_simt) {
  __shared__ __align__(16) Tile a_tiles[2];
  __shared__ __align__(16) Tile b_tiles[2];
  const float *pa = matrix_a(a, g), *pb = matrix_b(b, g);
  const bool a_along = g.a_column == 1, b_along = g.b_row == 1;
  const i64 a_line = a_along ? g.a_row : g.a_column, b_line = b_along ? g.b_column : g.b_row;
  const int i0 = blockIdx.y * 128, j0 = blockIdx.x * 128;
  // 16×16 threads; each has rows ty..ty+4 and 64 further, columns tx..tx+4 and 64 further: neighbours read neighbouring banks.
  const int tx = (threadIdx.x & 15) * 4, ty = (threadIdx.x >> 4) * 4;
  float sum[8][8], next_a[8], next_b[8];
  GR_UNROLL
  for (int i = 0; i < 8; i++)
    GR_UNROLL
    for (int j = 0; j < 8; j++) sum[i][j] = 0.f;

  const int steps = (g.k + 15) / 16;
  fetch(next_a, pa, a_along, a_line, i0, 0, g.m, g.k);
  fetch(next_b, pb, b_along, b_line, j0, 0, g.n, g.k);
  stow(a_tiles[0], next_a, a_along);
  stow(b_tiles[0], next_b, b_along);
  gr_sync();
  for (int step = 0; step < steps; step++) {
    const bool more = step + 1 < steps;
    if (more) {
      fetch(next_a, pa, a_along, a_line, i0, (step + 1) * 16, g.m, g.k);
      fetch(next_b, pb, b_along, b_line, j0, (step + 1) * 16, g.n, g.k);
    }
    const Tile &at = a_tiles[step & 1], &bt = b_tiles[step & 1];
    GR_UNROLL
    for (int k = 0; k < 16; k++) {
      const float4 a0 = *(const float4*)&at[k][ty], a1 = *(const float4*)&at[k][ty + 64];
      const float4 b0 = *(const float4*)&bt[k][tx], b1 = *(const float4*)&bt[k][tx + 64];
      const float u[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w}, v[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
      GR_UNROLL
      for (int i = 0; i < 8; i++)
        GR_UNROLL
        for (int j = 0; j < 8; j++) sum[i][j] = fmaf(u[i], v[j], sum[i][j]);
    }
    if (more) {
      stow(a_tiles[(step + 1) & 1], next_a, a_along);
      stow(b_tiles[(step + 1) & 1], next_b, b_along);
    }
    gr_sync(); // the next tiles are there, and these may be overwritten
  }
  GR_UNROLL
  for (int i = 0; i < 8; i++)
    GR_UNROLL
    for (int j = 0; j < 8; j++)
      finish(sum[i][j], i0 + ty + (i & 3) + (i >> 2) * 64, j0 + tx + (j & 3) + (j >> 2) * 64, g, bias, residual, c);
}
