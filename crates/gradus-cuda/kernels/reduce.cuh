// Sums and maxima over a warp and a block: butterflies of shuffles, then one exchange through shared memory.
//
// The order of additions depends on the block's size alone, so a result is the same bits at every run.
// NaN: gr_max keeps it, as PyTorch's amax does (the instruction's own fmax drops it).
#pragma once
#include "gr.cuh"

GR_DEV float gr_max(float a, float b) { return (a != a || a > b) ? a : b; }
GR_DEV float gr_min(float a, float b) { return (a != a || a < b) ? a : b; }

struct Sum {
  static GR_DEV float identity() { return 0.f; }
  static GR_DEV float combine(float a, float b) { return a + b; }
};
struct Product {
  static GR_DEV float identity() { return 1.f; }
  static GR_DEV float combine(float a, float b) { return a * b; }
};
struct Max {
  static GR_DEV float identity() { return -GR_INFINITY; }
  static GR_DEV float combine(float a, float b) { return gr_max(a, b); }
};
struct Min {
  static GR_DEV float identity() { return GR_INFINITY; }
  static GR_DEV float combine(float a, float b) { return gr_min(a, b); }
};

// Every lane gets the whole warp's value.
template <class Op> GR_DEV float warp_reduce(float v) {
  GR_UNROLL
  for (int lanes = 16; lanes > 0; lanes >>= 1) v = Op::combine(v, gr_shuffle_xor(v, lanes));
  return v;
}

// Every thread gets the whole block's value. `scratch` has a place for each warp (32); all threads must come here.
template <class Op> GR_DEV float block_reduce(float v, float* scratch) {
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, warps = (blockDim.x + 31) >> 5;
  v = warp_reduce<Op>(v);
  if (lane == 0) scratch[warp] = v;
  gr_sync();
  v = warp_reduce<Op>(lane < warps ? scratch[lane] : Op::identity());
  gr_sync(); // the scratch may be used again
  return v;
}
