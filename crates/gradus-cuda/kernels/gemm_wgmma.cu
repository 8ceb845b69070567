// Rung 5: matrix products of Hopper: tensor copies (TMA) and the tensor cores of a warpgroup (wgmma), bf16 and TF32, for sm_90a.
//
// C (M, N) = A (M, K) · B (N, K)ᵀ, both with k along memory, as a linear layer has them: x·Wᵀ. A block has 128×256 of C and three
// warpgroups. The first is the producer: one of its threads tells TMA to bring tiles of 128 bytes of k into a ring of four stages. The other
// two multiply 64×256 each, straight from shared memory. Two barriers a stage: "full" turns when the bytes have come, "empty" when all
// warps of the consumers are done. One product stays under way while the next one's tiles are waited for. Edges are TMA's: what lies outside reads 0.
// Sources: PTX ISA 9.7.15; NVIDIA's CUTLASS (warp-specialised kernels); P. Yadav, "Outperforming cuBLAS on H100" (2024).
#include "gemm.cuh"
#include "hopper.cuh"

#define STAGES 4
#define A_BYTES 16384  // 128 rows of 128 bytes
#define B_BYTES 32768  // 256

// Blocks that run at the same time share rows and columns of tiles, so that they find them in L2: columns of eight tiles' height.
GR_DEV void tile_of_block(int tiles_m, int tiles_n, int& tile_m, int& tile_n) {
  const int per_group = 8 * tiles_n, group = blockIdx.x / per_group, first = group * 8;
  const int height = tiles_m - first < 8 ? tiles_m - first : 8, within = blockIdx.x % per_group;
  tile_m = first + within % height;
  tile_n = within / height;
}

GR_DEV void wgmma(const Bf16*, float (&d)[128], u64 a, u64 b) { gr_wgmma_64x256(d, a, b, 1); }
GR_DEV void wgmma(const float*, float (&d)[128], u64 a, u64 b) { gr_wgmma_64x256_tf32(d, a, b, 1); }

template <class T>
GR_DEV void gemm_wgmma_body(const TensorMap& a_map, const TensorMap& b_map, const T* __restrict__ bias, const T* __restrict__ residual,
                            T* __restrict__ c, const Gemm& g, u8* shared) {
  u8 *a_tiles = shared, *b_tiles = shared + STAGES * A_BYTES;
  u64 *full = (u64*)(shared + STAGES * (A_BYTES + B_BYTES)), *empty = full + STAGES;
  int tile_m, tile_n;
  tile_of_block((g.m + 127) / 128, (g.n + 255) / 256, tile_m, tile_n);
  const int i0 = tile_m * 128, j0 = tile_n * 256, steps = (g.k * (int)sizeof(T) + 127) / 128, group = threadIdx.x >> 7;
  if (threadIdx.x == 0) {
    for (int s = 0; s < STAGES; s++) {
      gr_barrier_init(full + s, 1);
      gr_barrier_init(empty + s, 8); // every warp of the two consumers: one that is ahead must not speak for one that is behind
    }
    gr_barrier_init_done();
  }
  gr_sync();
  if (group == 0) { // the producer
    gr_registers_release<40>();
    if (threadIdx.x == 0)
      for (int step = 0; step < steps; step++) {
        const int s = step % STAGES;
        gr_barrier_wait(empty + s, (step / STAGES & 1) ^ 1); // the first time round, at once
        gr_barrier_expect(full + s, A_BYTES + B_BYTES);
        gr_tensor_load(a_tiles + s * A_BYTES, &a_map, step * 64, i0, full + s); // a map counts two bytes as one
        gr_tensor_load(b_tiles + s * B_BYTES, &b_map, step * 64, j0, full + s);
      }
    return;
  }
  gr_registers_acquire<232>();
  const int consumer = group - 1, t = threadIdx.x & 127;
  float sum[128];
  GR_UNROLL
  for (int i = 0; i < 128; i++) sum[i] = 0.f;
  for (int step = 0; step < steps; step++) {
    const int s = step % STAGES;
    gr_barrier_wait(full + s, step / STAGES & 1);
    const u64 a_tile = gr_wgmma_tile(a_tiles + s * A_BYTES + consumer * (A_BYTES / 2)), b_tile = gr_wgmma_tile(b_tiles + s * B_BYTES);
    gr_wgmma_fence();
    GR_UNROLL
    for (int k = 0; k < 4; k++) wgmma((const T*)0, sum, gr_wgmma_advance(a_tile, k), gr_wgmma_advance(b_tile, k));
    gr_wgmma_commit();
    gr_wgmma_wait<1>(); // the step before is done: its tiles may be overwritten
    if (t % 32 == 0 && step > 0) gr_barrier_arrive(empty + (step - 1) % STAGES);
  }
  gr_wgmma_wait<0>();
  const int row = i0 + consumer * 64 + t / 32 * 16 + t % 32 / 4;
  GR_UNROLL
  for (int j = 0; j < 32; j++)
    GR_UNROLL
    for (int e = 0; e < 4; e++) finish(sum[j * 4 + e], row + e / 2 * 8, j0 + j * 8 + t % 4 * 2 + e % 2, g, bias, residual, c);
}

GR_KERNEL(gemm_wgmma) { GR_DYNAMIC_SHARED(shared); gemm_wgmma_body(a_map, b_map, bias, residual, c, g, shared); }
GR_KERNEL(gemm_wgmma_tf32) { GR_DYNAMIC_SHARED(shared); gemm_wgmma_body(a_map, b_map, bias, residual, c, g, shared); }
// What goes to gemm_wgmma_tf32: the tensor cores read it from shared memory themselves, and cut off what is not rounded.
GR_KERNEL(round_tf32) {
  for (i64 i = grid_index(); i < n; i += grid_size()) y[i] = gr_float(gr_to_tf32(x[i]));
}
