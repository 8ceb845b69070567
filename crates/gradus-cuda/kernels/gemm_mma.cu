// Rung 4: matrix products by the tensor cores of a warp (mma.sync), for bf16 and f16 from sm_80 on.
//
// A block of 8 warps has 128×128 of C, a warp 64×32 of it in registers. Tiles of 32 of k go from memory to shared memory without passing
// registers (cp.async), three of them under way; from there ldmatrix gives each lane the fragments mma wants, and transposes on the way
// where the operand lies the other way. Sums are f32. Sources: PTX ISA 9.7.14.5; NVIDIA's CUTLASS for the pipeline's shape.
#include "gemm.cuh"

#define STAGES 3
#define TILE_BYTES 8192 // 128 × 32 elements of two bytes

// Where 16-byte chunk `chunk` of a line lies: lines of 64 bytes (along k) or 256 (along the outer dimension), with the chunks turned
// so that the eight rows ldmatrix reads at once lie in different banks.
GR_DEV u8* place(u8* tile, bool along_k, int line, int chunk) {
  return along_k ? tile + line * 64 + ((chunk ^ (line >> 1 & 3)) << 4) : tile + line * 256 + ((chunk ^ (line & 7)) << 4);
}

// A tile of 128 (outer) × 32 (k): 512 chunks of 8 elements, two a thread; zeros outside the matrix.
template <class T>
GR_DEV void load_tile(u8* tile, const T* __restrict__ x, bool along_k, bool aligned, i64 line, int outer0, int k0, int outers, int ks) {
  GR_UNROLL
  for (int i = 0; i < 2; i++) {
    const int t = threadIdx.x + i * 256, l = along_k ? t >> 2 : t >> 4, chunk = along_k ? t & 3 : t & 15;
    const int o = outer0 + (along_k ? l : chunk * 8), k = k0 + (along_k ? chunk * 8 : l);
    const int left = along_k ? (o < outers ? ks - k : 0) : (k < ks ? outers - o : 0);
    const int valid = left < 0 ? 0 : left < 8 ? left : 8;
    const T* p = valid ? x + (along_k ? o * line + k : k * line + o) : x;
    u8* to = place(tile, along_k, l, chunk);
    if (aligned) gr_copy_async16(to, p, valid * 2);
    else {
      Pack<T> v;
      GR_UNROLL
      for (int e = 0; e < 8; e++) v.at[e] = e < valid ? p[e] : narrow<T>(0.f);
      *(Pack<T>*)to = v;
    }
  }
}

// A fragment of A: rows row0 … row0 + 16, k 16·step … + 16 of the tile.
GR_DEV void fragment_a(u32 (&r)[4], u8* tile, bool along_k, int row0, int step) {
  const int l = threadIdx.x & 31, within = l & 7, which = l >> 3;
  if (along_k) gr_load_matrix(r, place(tile, true, row0 + (which & 1) * 8 + within, step * 2 + (which >> 1)));
  else gr_load_matrix_transposed(r, place(tile, false, step * 16 + (which >> 1) * 8 + within, row0 / 8 + (which & 1)));
}
// Two fragments of B: columns column0 … + 16; r[0], r[1] for the first eight, r[2], r[3] for the others.
GR_DEV void fragments_b(u32 (&r)[4], u8* tile, bool along_k, int column0, int step) {
  const int l = threadIdx.x & 31, within = l & 7, which = l >> 3;
  if (along_k) gr_load_matrix(r, place(tile, true, column0 + (which >> 1) * 8 + within, step * 2 + (which & 1)));
  else gr_load_matrix_transposed(r, place(tile, false, step * 16 + (which & 1) * 8 + within, column0 / 8 + (which >> 1)));
}

template <class T>
GR_DEV void gemm_mma_body(const T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ bias, const T* __restrict__ residual,
                          T* __restrict__ c, const Gemm& g, u8* shared) {
  const T *pa = matrix_a(a, g), *pb = matrix_b(b, g);
  const bool a_along = g.a_column == 1, b_along = g.b_row == 1;
  const i64 a_line = a_along ? g.a_row : g.a_column, b_line = b_along ? g.b_column : g.b_row;
  const bool a_aligned = is_aligned16(pa) && a_line % 8 == 0, b_aligned = is_aligned16(pb) && b_line % 8 == 0;
  const int i0 = blockIdx.y * 128, j0 = blockIdx.x * 128, steps = (g.k + 31) / 32;
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, row0 = (warp & 1) * 64, column0 = (warp >> 1) * 32;
  u8 *a_tiles = shared, *b_tiles = shared + STAGES * TILE_BYTES;
  auto load = [&](int step) {
    if (step < steps) {
      const int stage = step % STAGES * TILE_BYTES;
      load_tile(a_tiles + stage, pa, a_along, a_aligned, a_line, i0, step * 32, g.m, g.k);
      load_tile(b_tiles + stage, pb, b_along, b_aligned, b_line, j0, step * 32, g.n, g.k);
    }
    gr_copy_commit(); // also an empty group: the count of groups stays that of the steps
  };
  float sum[4][4][4];
  GR_UNROLL
  for (int i = 0; i < 4; i++)
    GR_UNROLL
    for (int j = 0; j < 4; j++)
      GR_UNROLL
      for (int e = 0; e < 4; e++) sum[i][j][e] = 0.f;

  load(0);
  load(1);
  for (int step = 0; step < steps; step++) {
    gr_copy_wait<STAGES - 2>(); // this step's tiles have come, of this thread …
    gr_sync();                  // … and of all; and everybody is done with the tile that is loaded next
    load(step + STAGES - 1);
    u8 *at = a_tiles + step % STAGES * TILE_BYTES, *bt = b_tiles + step % STAGES * TILE_BYTES;
    GR_UNROLL
    for (int half = 0; half < 2; half++) {
      u32 fa[4][4], fb[2][4];
      GR_UNROLL
      for (int i = 0; i < 4; i++) fragment_a(fa[i], at, a_along, row0 + i * 16, half);
      GR_UNROLL
      for (int j = 0; j < 2; j++) fragments_b(fb[j], bt, b_along, column0 + j * 16, half);
      GR_UNROLL
      for (int i = 0; i < 4; i++)
        GR_UNROLL
        for (int j = 0; j < 4; j++) mma((const T*)0, sum[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
    }
  }
  GR_UNROLL
  for (int i = 0; i < 4; i++)
    GR_UNROLL
    for (int j = 0; j < 4; j++)
      GR_UNROLL
      for (int e = 0; e < 4; e++)
        finish(sum[i][j][e], i0 + row0 + i * 16 + lane / 4 + e / 2 * 8, j0 + column0 + j * 8 + lane % 4 * 2 + e % 2, g, bias, residual, c);
}

GR_KERNEL_OF(gemm_mma, bf16, Bf16) { GR_DYNAMIC_SHARED(shared); gemm_mma_body(a, b, bias, residual, c, g, shared); }
GR_KERNEL_OF(gemm_mma, f16, F16) { GR_DYNAMIC_SHARED(shared); gemm_mma_body(a, b, bias, residual, c, g, shared); }
