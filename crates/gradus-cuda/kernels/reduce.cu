// Reductions: over rows, over the middle of three dimensions, over everything; and where the extremes are.
//
// Any set of axes becomes one of the first two after a copy that brings the reduced axes together. Sums are in f32, in an order that
// depends on sizes alone: the same bits at every run.
#include "reduce.cuh"

struct SumOfSquares : Sum {
  static GR_DEV float element(float x) { return x * x; }
};
template <class Op> struct Plain : Op {
  static GR_DEV float element(float x) { return x; }
};

// Threads first, first + step, … fold n elements, 16 bytes at a time as far as they go; every thread of a block has the block's result.
template <class Op, class T> GR_DEV float fold(const T* __restrict__ x, i64 n, i64 first, i64 step, float* scratch) {
  float v = Op::identity();
  const i64 packs = is_aligned16(x) ? n / Pack<T>::N : 0;
  for (i64 i = first; i < packs; i += step) {
    const Pack<T> p = load_pack(x + i * Pack<T>::N);
    GR_UNROLL
    for (int k = 0; k < Pack<T>::N; k++) v = Op::combine(v, Op::element(widen(p.at[k])));
  }
  for (i64 i = packs * Pack<T>::N + first; i < n; i += step) v = Op::combine(v, Op::element(widen(x[i])));
  return block_reduce<Op>(v, scratch);
}
// The switch over operations, around a statement that uses `Op`.
#define WITH_OP(...) \
  switch (op) { \
    case GR_REDUCE_sum: case GR_REDUCE_mean: { typedef Plain<Sum> Op; __VA_ARGS__ } break; \
    case GR_REDUCE_prod: { typedef Plain<Product> Op; __VA_ARGS__ } break; \
    case GR_REDUCE_amax: { typedef Plain<Max> Op; __VA_ARGS__ } break; \
    case GR_REDUCE_amin: { typedef Plain<Min> Op; __VA_ARGS__ } break; \
    case GR_REDUCE_sum_of_squares: { typedef SumOfSquares Op; __VA_ARGS__ } break; \
  }

GR_FLOAT_KERNELS(reduce_rows,
  __shared__ float scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    float v = 0.f;
    WITH_OP(v = fold<Op>(x + row * columns, columns, threadIdx.x, blockDim.x, scratch);)
    if (threadIdx.x == 0) y[row] = narrow<T>(op == GR_REDUCE_mean ? v / (float)columns : v);
  })

// Neighbouring threads have neighbouring `inner`: every load of the warp is one or two lines.
GR_FLOAT_KERNELS(reduce_middle,
  for (i64 i = grid_index(); i < outer * inner; i += grid_size()) {
    const T* p = x + i / inner * middle * inner + i % inner;
    float v = 0.f;
    WITH_OP(v = Op::identity(); for (i64 m = 0; m < middle; m++) v = Op::combine(v, Op::element(widen(p[m * inner])));)
    y[i] = narrow<T>(op == GR_REDUCE_mean ? v / (float)middle : v);
  })

GR_FLOAT_KERNELS(reduce_parts,
  __shared__ float scratch[32];
  WITH_OP(
    float v = fold<Op>(x, n, grid_index(), grid_size(), scratch);
    if (threadIdx.x == 0) parts[blockIdx.x] = v;
  ))

// A candidate for the extreme: a value and its place. NaN is beyond everything; of equals the first counts.
struct Best { float value; i64 place; };
GR_DEV Best better(Best a, Best b, int smallest) {
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  bool b_wins;
  if (a_nan || b_nan) b_wins = b_nan && (!a_nan || b.place < a.place);
  else if (a.value == b.value) b_wins = b.place < a.place;
  else b_wins = smallest ? b.value < a.value : b.value > a.value;
  return b_wins ? b : a;
}
GR_DEV Best warp_best(Best v, int smallest) {
  GR_UNROLL
  for (int lanes = 16; lanes > 0; lanes >>= 1) {
    Best other;
    other.value = gr_shuffle_xor(v.value, lanes);
    other.place = gr_shuffle_xor(v.place, lanes);
    v = better(v, other, smallest);
  }
  return v;
}
#define NO_PLACE 0x7fffffffffffffffll
template <class T> GR_DEV void arg_row(const T* __restrict__ x, i64* y, i64 columns, int smallest, float* values, i64* places) {
  Best none = {smallest ? GR_INFINITY : -GR_INFINITY, NO_PLACE}, v = none;
  for (i64 i = threadIdx.x; i < columns; i += blockDim.x) {
    Best one = {widen(x[i]), i};
    v = better(v, one, smallest);
  }
  v = warp_best(v, smallest);
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  if (lane == 0) { values[warp] = v.value; places[warp] = v.place; }
  gr_sync();
  Best mine = none;
  if (lane < (int)blockDim.x >> 5) { mine.value = values[lane]; mine.place = places[lane]; }
  v = warp_best(mine, smallest);
  if (threadIdx.x == 0) *y = v.place;
  gr_sync();
}
GR_FLOAT_KERNELS(arg_rows,
  __shared__ float values[32]; __shared__ i64 places[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x)
    arg_row(x + row * columns, y + row, columns, smallest, values, places);)
