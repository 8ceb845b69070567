// Each primitive of gr.cuh and hopper.cuh by itself, on numbers small enough to check by hand. On a real device these run first: kernels and
// emulation have one author, so what he misread in the PTX ISA would pass every other test.
#include "hopper.cuh"
#include "reduce.cuh"

// Conversions and the approximate exponential. One block.
GR_KERNEL(probe_numbers) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    bf16[i] = narrow<Bf16>(x[i]);
    f16[i] = narrow<F16>(x[i]);
    tf32[i] = gr_to_tf32(x[i]);
    powers[i] = gr_exp2(x[i]);
    high[i] = gr_mul_high(gr_bits(x[i]), 0xD2511F53u);
  }
}
// Shuffles and reductions of 256 threads: y[0..256] the neighbour's value, [256..512] lane 5's, [512] the sum, [513] the maximum.
GR_KERNEL(probe_block) {
  __shared__ float scratch[32];
  const float v = x[threadIdx.x];
  y[threadIdx.x] = gr_shuffle_xor(v, 1);
  y[256 + threadIdx.x] = gr_shuffle(v, 5);
  const float sum = block_reduce<Sum>(v, scratch), max = block_reduce<Max>(v, scratch);
  if (threadIdx.x == 0) { y[512] = sum; y[513] = max; }
}
// Thread t copies t % 17 bytes of its 16: the rest is 0. Two groups; the second is waited for last.
GR_KERNEL(probe_copy) {
  __shared__ __align__(16) u8 tile[2][32 * 16];
  const int t = threadIdx.x;
  gr_copy_async16(tile[0] + t * 16, x + t * 16, t % 17);
  gr_copy_commit();
  gr_copy_async16(tile[1] + t * 16, x + 512 + t * 16, 16);
  gr_copy_commit();
  gr_copy_wait<1>();
  gr_sync();
  for (int i = 0; i < 16; i++) y[t * 16 + i] = tile[0][t * 16 + i];
  gr_copy_wait<0>();
  gr_sync();
  for (int i = 0; i < 16; i++) y[512 + t * 16 + i] = tile[1][t * 16 + i];
}
// One warp: c = a (16×16)·b (16×8) by both kinds of ldmatrix, and so for bf16 and f16. a is (m, k), at its transpose; b is (n, k), bt (k, n).
template <class T> GR_DEV void one_mma(const T* a, const T* at, const T* b, const T* bt, float* c, T (*tiles)[256]) {
  const int l = threadIdx.x;
  for (int i = l; i < 256; i += 32) { tiles[0][i] = a[i]; tiles[1][i] = at[i]; }
  for (int i = l; i < 128; i += 32) tiles[2][i] = b[i];
  for (int i = l; i < 256; i += 32) tiles[3][i] = i % 16 < 8 ? bt[i / 16 * 8 + i % 16] : narrow<T>(0.f); // rows of 16, half of them used
  gr_sync_warp();
  const int within = l & 7, which = l >> 3;
  u32 fa[4], fb[4];
  float sum[4] = {0.f, 0.f, 0.f, 0.f}, turned[4] = {0.f, 0.f, 0.f, 0.f};
  gr_load_matrix(fa, &tiles[0][(l & 15) * 16 + (l >> 4) * 8]);
  gr_load_matrix(fb, &tiles[2][within * 16 + (which & 1) * 8]);
  mma((const T*)0, sum, fa, fb[0], fb[1]);
  gr_load_matrix_transposed(fa, &tiles[1][((which >> 1) * 8 + within) * 16 + (which & 1) * 8]);
  gr_load_matrix_transposed(fb, &tiles[3][((which & 1) * 8 + within) * 16]);
  mma((const T*)0, turned, fa, fb[0], fb[1]);
  for (int e = 0; e < 4; e++) {
    const int at_c = (l / 4 + e / 2 * 8) * 8 + l % 4 * 2 + e % 2;
    c[at_c] = sum[e];
    c[128 + at_c] = turned[e];
  }
}
GR_KERNEL_OF(probe_mma, bf16, Bf16) { __shared__ __align__(16) Bf16 tiles[4][256]; one_mma(a, at, b, bt, c, tiles); }
GR_KERNEL_OF(probe_mma, f16, F16) { __shared__ __align__(16) F16 tiles[4][256]; one_mma(a, at, b, bt, c, tiles); }
// One warp: c (16×8) = a (16×8)·b (8×8, as (n, k)) in TF32. ldmatrix moves pairs of 16 bits: a row of eight of them is four numbers.
GR_KERNEL(probe_tf32) {
  __shared__ __align__(16) float tiles[2][128];
  const int l = threadIdx.x, within = l & 7, which = l >> 3;
  for (int i = l; i < 128; i += 32) { tiles[0][i] = a[i]; tiles[1][i] = b[i % 64]; }
  gr_sync_warp(); // all numbers are there
  u32 fa[4], fb[4];
  float sum[4] = {0.f, 0.f, 0.f, 0.f};
  gr_load_matrix(fa, &tiles[0][((which & 1) * 8 + within) * 8 + (which >> 1) * 4]);
  gr_load_matrix(fb, &tiles[1][within * 8 + (which & 1) * 4]);
  for (int i = 0; i < 4; i++) { fa[i] = gr_to_tf32(gr_float(fa[i])); fb[i] = gr_to_tf32(gr_float(fb[i])); }
  gr_mma_tf32(sum, fa, fb[0], fb[1]);
  for (int e = 0; e < 4; e++) c[(l / 4 + e / 2 * 8) * 8 + l % 4 * 2 + e % 2] = sum[e];
}
