// Reductions: over rows, over the middle of three dimensions, over everything; and where the extremes are.
//
// Any set of axes becomes one of the first two after a copy that brings the reduced axes together. Sums of floats are in f32 (of f64 in f64), in an order that
// depends on sizes alone: the same bits at every run.
#include "reduce.cuh"

struct SumOfSquares : Sum {
  template <class V> static GR_DEV V element(V x) { return x * x; }
};
template <class Op> struct Plain : Op {
  template <class V> static GR_DEV V element(V x) { return x; }
};

// Threads first, first + step, … fold n elements, 16 bytes at a time as far as they go; every thread of a block has the block's result.
template <class Op, class T> GR_DEV Compute<T> fold(const T* __restrict__ x, i64 n, i64 first, i64 step, Compute<T>* scratch) {
  Compute<T> v = Op::template identity<Compute<T>>();
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
// A mean is a sum divided once; of whole numbers there is none.
template <class V> GR_DEV V finished(V v, i64 n, int op) { return op == GR_REDUCE_mean ? v / (V)n : v; }
#define GR_REDUCE_KERNELS(name, ...) \
  GR_ALL_FLOAT_KERNELS(name, __VA_ARGS__) \
  GR_KERNEL_OF(name, i64, i64) { typedef i64 T; __VA_ARGS__ }

GR_REDUCE_KERNELS(reduce_rows,
  __shared__ Compute<T> scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    Compute<T> v = 0;
    WITH_OP(v = fold<Op>(x + row * columns, columns, threadIdx.x, blockDim.x, scratch);)
    if (threadIdx.x == 0) y[row] = narrow<T>(finished(v, columns, op));
  })

// Neighbouring threads have neighbouring `inner`: every load of the warp is one or two lines.
GR_REDUCE_KERNELS(reduce_middle,
  for (i64 i = grid_index(); i < outer * inner; i += grid_size()) {
    const T* p = x + i / inner * middle * inner + i % inner;
    Compute<T> v = 0;
    WITH_OP(v = Op::template identity<Compute<T>>(); for (i64 m = 0; m < middle; m++) v = Op::combine(v, Op::element(widen(p[m * inner])));)
    y[i] = narrow<T>(finished(v, middle, op));
  })

// The pieces are kept in the type of the sum.
GR_REDUCE_KERNELS(reduce_parts,
  __shared__ Compute<T> scratch[32];
  WITH_OP(
    Compute<T> v = fold<Op>(x, n, grid_index(), grid_size(), scratch);
    if (threadIdx.x == 0) ((Compute<T>*)parts)[blockIdx.x] = v;
  ))

// A candidate for the extreme: a value and its place. NaN is beyond everything; of equals the first counts.
template <class V> struct Best { V value; i64 place; };
template <class V> GR_DEV Best<V> better(Best<V> a, Best<V> b, int smallest) {
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  bool b_wins;
  if (a_nan || b_nan) b_wins = b_nan && (!a_nan || b.place < a.place);
  else if (a.value == b.value) b_wins = b.place < a.place;
  else b_wins = smallest ? b.value < a.value : b.value > a.value;
  return b_wins ? b : a;
}
template <class V> GR_DEV Best<V> warp_best(Best<V> v, int smallest) {
  GR_UNROLL
  for (int lanes = 16; lanes > 0; lanes >>= 1) {
    Best<V> other;
    other.value = gr_shuffle_xor(v.value, lanes);
    other.place = gr_shuffle_xor(v.place, lanes);
    v = better(v, other, smallest);
  }
  return v;
}
#define NO_PLACE 0x7fffffffffffffffll
template <class T>
GR_DEV void arg_row(const T* __restrict__ x, i64* y, i64 columns, int smallest, Compute<T>* values, i64* places) {
  typedef Compute<T> V;
  Best<V> none = {smallest ? gr_highest<V>() : gr_lowest<V>(), NO_PLACE}, v = none;
  for (i64 i = threadIdx.x; i < columns; i += blockDim.x) {
    Best<V> one = {widen(x[i]), i};
    v = better(v, one, smallest);
  }
  v = warp_best(v, smallest);
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  if (lane == 0) { values[warp] = v.value; places[warp] = v.place; }
  gr_sync();
  Best<V> mine = none;
  if (lane < (int)blockDim.x >> 5) { mine.value = values[lane]; mine.place = places[lane]; }
  v = warp_best(mine, smallest);
  if (threadIdx.x == 0) *y = v.place;
  gr_sync();
}
GR_REDUCE_KERNELS(arg_rows,
  __shared__ Compute<T> values[32]; __shared__ i64 places[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x)
    arg_row(x + row * columns, y + row, columns, smallest, values, places);)
