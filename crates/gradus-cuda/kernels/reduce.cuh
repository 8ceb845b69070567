// Sums and maxima over a warp and a block: butterflies of shuffles, then one exchange through shared memory.
//
// The order of additions depends on the block's size alone, so a result is the same bits at every run.
// NaN: gr_max keeps it, as PyTorch's amax does (the instruction's own fmax drops it).
#pragma once
#include "gr.cuh"

template <class V> GR_DEV V gr_max(V a, V b) { return (a != a || a > b) ? a : b; }
template <class V> GR_DEV V gr_min(V a, V b) { return (a != a || a < b) ? a : b; }
// Whole numbers wrap, as on the CPU: computed without sign, where that is defined.
template <class V> GR_DEV V gr_sum(V a, V b) { return a + b; }
template <> GR_DEV i64 gr_sum<i64>(i64 a, i64 b) { return (i64)((u64)a + (u64)b); }
template <class V> GR_DEV V gr_product(V a, V b) { return a * b; }
template <> GR_DEV i64 gr_product<i64>(i64 a, i64 b) { return (i64)((u64)a * (u64)b); }
// What is below and above everything.
template <class V> GR_DEV V gr_lowest() { return -GR_INFINITY; }
template <> GR_DEV i64 gr_lowest<i64>() { return (i64)(1ull << 63); }
template <class V> GR_DEV V gr_highest() { return GR_INFINITY; }
template <> GR_DEV i64 gr_highest<i64>() { return 0x7fffffffffffffffll; }

struct Sum {
  template <class V> static GR_DEV V identity() { return 0; }
  template <class V> static GR_DEV V combine(V a, V b) { return gr_sum(a, b); }
};
struct Product {
  template <class V> static GR_DEV V identity() { return 1; }
  template <class V> static GR_DEV V combine(V a, V b) { return gr_product(a, b); }
};
struct Max {
  template <class V> static GR_DEV V identity() { return gr_lowest<V>(); }
  template <class V> static GR_DEV V combine(V a, V b) { return gr_max(a, b); }
};
struct Min {
  template <class V> static GR_DEV V identity() { return gr_highest<V>(); }
  template <class V> static GR_DEV V combine(V a, V b) { return gr_min(a, b); }
};

// Every lane gets the whole warp's value.
template <class Op, class V> GR_DEV V warp_reduce(V v) {
  GR_UNROLL
  for (int lanes = 16; lanes > 0; lanes >>= 1) v = Op::combine(v, gr_shuffle_xor(v, lanes));
  return v;
}

// Every thread gets the whole block's value. `scratch` has a place for each warp (32); all threads must come here.
template <class Op, class V> GR_DEV V block_reduce(V v, V* scratch) {
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, warps = (blockDim.x + 31) >> 5;
  v = warp_reduce<Op>(v);
  if (lane == 0) scratch[warp] = v;
  gr_sync();
  v = warp_reduce<Op>(lane < warps ? scratch[lane] : Op::template identity<V>());
  gr_sync(); // the scratch may be used again
  return v;
}
