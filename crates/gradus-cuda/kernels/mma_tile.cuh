// A block's product by the tensor cores of its warps, for whatever brings the tiles: gemm_mma.cu and conv_mma.cu.
//
// A block of 8 warps has 128×128 sums in f32, a warp 64×32 of them in registers. A step is 64 bytes of k: 32 elements of bf16 and f16,
// 16 of f32, which the tensor cores take as TF32 (rounded to ten bits of fraction when they leave shared memory). Tiles go from memory
// to shared memory without passing registers (cp.async), three steps of them under way; from there ldmatrix gives each lane the
// fragments mma wants, and transposes on the way where the operand lies the other way (of f32 single loads do).
// Sources: PTX ISA 9.7.14.5; NVIDIA's CUTLASS for the pipeline's shape.
#pragma once
#include "gr.cuh"

#define STAGES 3
#define TILE_BYTES 8192 // 128 lines of 64 bytes, or 64 bytes' worth of k in lines of 128 elements

// Elements of k in a step.
template <class T> struct StepOf { static const int K = 4 * Pack<T>::N; };

// Where 16-byte chunk `chunk` of a line lies: lines of 64 bytes (along k), or of 128 elements (along the outer dimension), with the
// chunks turned so that what a warp reads at once lies in different banks: eight rows of ldmatrix, or of f32 four lines of eight.
template <class T> GR_DEV u8* place(u8* tile, bool along_k, int line, int chunk) {
  if (along_k) return tile + line * 64 + ((chunk ^ (line >> 1 & 3)) << 4);
  if (sizeof(T) == 2) return tile + line * 256 + ((chunk ^ (line & 7)) << 4);
  return tile + line * 512 + ((chunk ^ (line & 3) << 1) << 4);
}

// A tile has 512 chunks, two a thread: the line and the chunk in it of this thread's number `i`.
template <class T> GR_DEV void chunk_of_thread(bool along_k, int i, int& line, int& chunk) {
  const int t = threadIdx.x + i * 256, per_line = along_k ? 4 : 128 / Pack<T>::N;
  line = t / per_line;
  chunk = t % per_line;
}

// A tile of 128 (outer) × a step of k of a matrix, from (outer0, k0) on; zeros outside of `outers` and `ks`.
template <class T>
GR_DEV void load_tile(u8* tile, const T* __restrict__ x, bool along_k, bool aligned, i64 stride, int outer0, int k0, int outers, int ks) {
  const int N = Pack<T>::N;
  GR_UNROLL
  for (int i = 0; i < 2; i++) {
    int line, chunk;
    chunk_of_thread<T>(along_k, i, line, chunk);
    const int o = outer0 + (along_k ? line : chunk * N), k = k0 + (along_k ? chunk * N : line);
    const int left = along_k ? (o < outers ? ks - k : 0) : (k < ks ? outers - o : 0);
    const int valid = left < 0 ? 0 : left < N ? left : N;
    const T* p = valid ? x + (along_k ? o * stride + k : k * stride + o) : x;
    u8* to = place<T>(tile, along_k, line, chunk);
    if (aligned) gr_copy_async16(to, p, valid * (int)sizeof(T));
    else {
      Pack<T> v;
      GR_UNROLL
      for (int e = 0; e < N; e++) v.at[e] = e < valid ? p[e] : narrow<T>(0.f);
      *(Pack<T>*)to = v;
    }
  }
}

// What leaves shared memory, as the tensor cores take it.
GR_DEV void round_fragment(const Bf16*, u32 (&)[4]) {}
GR_DEV void round_fragment(const F16*, u32 (&)[4]) {}
GR_DEV void round_fragment(const float*, u32 (&r)[4]) {
  GR_UNROLL
  for (int i = 0; i < 4; i++) r[i] = gr_to_tf32(gr_float(r[i]));
}
// Four 8×8 matrices of a tile, or of f32 8×4: number m begins at outer + 8·o(m) and k + half·(m's other bit), transposed on the way.
template <class T> GR_DEV void across(u32 (&r)[4], u8* tile, int outer0, int step, bool outer_first) {
  const int l = threadIdx.x & 31, within = l & 7, which = l >> 3, low = which & 1, high = which >> 1;
  const int o = outer_first ? low : high, k = outer_first ? high : low;
  gr_load_matrix_transposed(r, place<T>(tile, false, step * 16 + k * 8 + within, outer0 / 8 + o));
}
template <> GR_DEV void across<float>(u32 (&r)[4], u8* tile, int outer0, int step, bool outer_first) {
  const int l = threadIdx.x & 31;
  GR_UNROLL
  for (int m = 0; m < 4; m++) {
    const int o = outer0 + (outer_first ? m & 1 : m >> 1) * 8 + l / 4, k = step * 8 + (outer_first ? m >> 1 : m & 1) * 4 + l % 4;
    r[m] = *(const u32*)(place<float>(tile, false, k, o / 4) + o % 4 * 4);
  }
}
// A fragment of A: rows row0 … + 16; of k the half `step` of the tile.
template <class T> GR_DEV void fragment_a(u32 (&r)[4], u8* tile, bool along_k, int row0, int step) {
  const int l = threadIdx.x & 31, within = l & 7, which = l >> 3;
  if (along_k) gr_load_matrix(r, place<T>(tile, true, row0 + (which & 1) * 8 + within, step * 2 + (which >> 1)));
  else across<T>(r, tile, row0, step, true);
  round_fragment((const T*)0, r);
}
// Two fragments of B: columns column0 … + 16; r[0], r[1] for the first eight, r[2], r[3] for the others.
template <class T> GR_DEV void fragments_b(u32 (&r)[4], u8* tile, bool along_k, int column0, int step) {
  const int l = threadIdx.x & 31, within = l & 7, which = l >> 3;
  if (along_k) gr_load_matrix(r, place<T>(tile, true, column0 + (which >> 1) * 8 + within, step * 2 + (which & 1)));
  else across<T>(r, tile, column0, step, false);
  round_fragment((const T*)0, r);
}

// Where this thread's sums lie in the block's 128×128: sum[i][j][e] in row i·16 + e/2·8, column j·8 + e%2 after these.
GR_DEV int first_row() { return (threadIdx.x >> 5 & 1) * 64 + (threadIdx.x & 31) / 4; }
GR_DEV int first_column() { return (threadIdx.x >> 6) * 32 + threadIdx.x % 4 * 2; }

// sum = Σ over steps of A's tile · B's. `load(step, a_tile, b_tile)` begins the copies of a step; it is called for each step in order.
template <class T, class Load>
GR_DEV void multiply_tiles(float (&sum)[4][4][4], bool a_along, bool b_along, int steps, u8* shared, Load load) {
  const int warp = threadIdx.x >> 5, row0 = (warp & 1) * 64, column0 = (warp >> 1) * 32;
  u8 *a_tiles = shared, *b_tiles = shared + STAGES * TILE_BYTES;
  auto begin = [&](int step) {
    const int stage = step % STAGES * TILE_BYTES;
    if (step < steps) load(step, a_tiles + stage, b_tiles + stage);
    gr_copy_commit(); // also an empty group: the count of groups stays that of the steps
  };
  GR_UNROLL
  for (int i = 0; i < 4; i++)
    GR_UNROLL
    for (int j = 0; j < 4; j++)
      GR_UNROLL
      for (int e = 0; e < 4; e++) sum[i][j][e] = 0.f;
  begin(0);
  begin(1);
  for (int step = 0; step < steps; step++) {
    gr_copy_wait<STAGES - 2>(); // this step's tiles have come, of this thread …
    gr_sync();                  // … and of all; and everybody is done with the tile that is loaded next
    begin(step + STAGES - 1);
    u8 *at = a_tiles + step % STAGES * TILE_BYTES, *bt = b_tiles + step % STAGES * TILE_BYTES;
    GR_UNROLL
    for (int half = 0; half < 2; half++) {
      u32 fa[2][4], fb[2][4]; // a fragment of A is under way while the one before is multiplied
      GR_UNROLL
      for (int j = 0; j < 2; j++) fragments_b<T>(fb[j], bt, b_along, column0 + j * 16, half);
      fragment_a<T>(fa[0], at, a_along, row0, half);
      GR_UNROLL
      for (int i = 0; i < 4; i++) {
        if (i < 3) fragment_a<T>(fa[(i + 1) & 1], at, a_along, row0 + (i + 1) * 16, half);
        GR_UNROLL
        for (int j = 0; j < 4; j++) mma((const T*)0, sum[i][j], fa[i & 1], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
      }
    }
  }
}
