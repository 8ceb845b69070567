// TMA, mbarriers and wgmma by themselves: one tile of 64 rows times one of 256, of 128 bytes of k, by one warpgroup.
#include "hopper.cuh"

template <class F> GR_DEV void one_wgmma(const TensorMap& a_map, const TensorMap& b_map, float* c, u8* shared, F multiply) {
  u8 *a_tile = shared, *b_tile = shared + 8192;
  u64* full = (u64*)(shared + 8192 + 32768);
  const int t = threadIdx.x;
  if (t == 0) {
    gr_barrier_init(full, 1);
    gr_barrier_init_done();
  }
  gr_sync();
  if (t == 0) {
    gr_barrier_expect(full, 8192 + 32768);
    gr_tensor_load(a_tile, &a_map, 0, 0, full);
    gr_tensor_load(b_tile, &b_map, 0, 0, full);
  }
  gr_barrier_wait(full, 0);
  float sum[128];
  GR_UNROLL
  for (int i = 0; i < 128; i++) sum[i] = 7.f; // not accumulated: must not be seen
  const u64 a = gr_wgmma_tile(a_tile), b = gr_wgmma_tile(b_tile);
  gr_wgmma_fence();
  GR_UNROLL
  for (int k = 0; k < 4; k++) multiply(sum, gr_wgmma_advance(a, k), gr_wgmma_advance(b, k), k > 0);
  gr_wgmma_commit();
  gr_wgmma_wait<0>();
  GR_UNROLL
  for (int j = 0; j < 32; j++)
    GR_UNROLL
    for (int e = 0; e < 4; e++) c[(t / 32 * 16 + t % 32 / 4 + e / 2 * 8) * 256 + j * 8 + t % 4 * 2 + e % 2] = sum[j * 4 + e];
}

GR_KERNEL(probe_wgmma) {
  GR_DYNAMIC_SHARED(shared);
  one_wgmma(a_map, b_map, c, shared, [](float (&d)[128], u64 a, u64 b, int accumulate) { gr_wgmma_64x256(d, a, b, accumulate); });
}
GR_KERNEL(probe_wgmma_tf32) {
  GR_DYNAMIC_SHARED(shared);
  one_wgmma(a_map, b_map, c, shared, [](float (&d)[128], u64 a, u64 b, int accumulate) { gr_wgmma_64x256_tf32(d, a, b, accumulate); });
}
