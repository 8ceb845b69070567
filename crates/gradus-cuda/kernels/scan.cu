// Running results along rows: sums, products, log-sums of exponentials, extremes; and from running sums, where a condition holds.
//
// A block has a row and takes as many of its elements at a time as it has threads: each warp scans by shuffles (Hillis and Steele 1986),
// the warps' totals are combined in order, and what came before is carried on. The order of operations depends on sizes alone.
#include "math.cuh"

// A candidate for the extreme so far: of equals the last counts, and NaN wins from the first NaN on. `place` −1: none.
template <class V> struct Extreme { V value; i64 place; };

template <class V> GR_DEV V of_lane(V v, int lane) { return gr_shuffle(v, lane); }
template <class V> GR_DEV Extreme<V> of_lane(Extreme<V> v, int lane) {
  Extreme<V> r = {gr_shuffle(v.value, lane), gr_shuffle(v.place, lane)};
  return r;
}

struct LogSum {
  template <class V> static GR_DEV V identity() { return -GR_INFINITY; }
  template <class V> static GR_DEV V combine(V a, V b) { return binary_value<GR_BINARY_logaddexp>(a, b); }
};
template <bool SMALLEST> struct Last {
  template <class E> static GR_DEV E combine(E a, E b) {
    if (a.place < 0 || b.place < 0) return a.place < 0 ? b : a;
    const bool better = SMALLEST ? b.value <= a.value : b.value >= a.value;
    return b.value != b.value || better ? b : a;
  }
};

// Each thread gets the combination of the values of the threads up to it, in their order; `total` that of all.
template <class Op, class V> GR_DEV V block_scan(V v, V* scratch, V& total) {
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, warps = blockDim.x >> 5;
  GR_UNROLL
  for (int back = 1; back < 32; back <<= 1) {
    const V before = of_lane(v, lane - back);
    if (lane >= back) v = Op::combine(before, v);
  }
  if (lane == 31) scratch[warp] = v;
  gr_sync();
  total = scratch[0];
  for (int w = 1; w < warps; w++) {
    if (w == warp) v = Op::combine(total, v);
    total = Op::combine(total, scratch[w]);
  }
  gr_sync(); // the scratch may be used again
  return v;
}

template <class Op, class T>
GR_DEV void scan_row(const T* __restrict__ x, T* __restrict__ y, i64 columns, Compute<T>* scratch) {
  typedef Compute<T> C;
  C carry = Op::template identity<C>();
  for (i64 first = 0; first < columns; first += blockDim.x) {
    const i64 i = first + threadIdx.x;
    C total, v = i < columns ? widen(x[i]) : Op::template identity<C>();
    v = block_scan<Op>(v, scratch, total);
    if (i < columns) y[i] = narrow<T>(Op::combine(carry, v));
    carry = Op::combine(carry, total);
  }
}
GR_ALL_FLOAT_KERNELS(scan_rows,
  __shared__ Compute<T> scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const i64 at = row * columns;
    if (op == GR_SCAN_cumsum) scan_row<Sum>(x + at, y + at, columns, scratch);
    else if (op == GR_SCAN_cumprod) scan_row<Product>(x + at, y + at, columns, scratch);
    else scan_row<LogSum>(x + at, y + at, columns, scratch);
  })
GR_KERNEL_OF(scan_rows, i64, i64) {
  __shared__ i64 scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const i64 at = row * columns;
    if (op == GR_SCAN_cumsum) scan_row<Sum>(x + at, y + at, columns, scratch);
    else scan_row<Product>(x + at, y + at, columns, scratch);
  }
}

template <class Op, class T>
GR_DEV void extreme_row(const T* __restrict__ x, T* __restrict__ y, i64* __restrict__ places, i64 columns, Extreme<Compute<T>>* scratch) {
  typedef Extreme<Compute<T>> E;
  E carry = {0, -1};
  for (i64 first = 0; first < columns; first += blockDim.x) {
    const i64 i = first + threadIdx.x;
    E total, v = {0, -1};
    if (i < columns) { v.value = widen(x[i]); v.place = i; }
    v = Op::combine(carry, block_scan<Op>(v, scratch, total));
    if (i < columns) { y[i] = narrow<T>(v.value); places[i] = v.place; }
    carry = Op::combine(carry, total);
  }
}
template <class T>
GR_DEV void extreme_rows(const T* __restrict__ x, T* __restrict__ y, i64* __restrict__ places, i64 rows, i64 columns, int smallest,
                         Extreme<Compute<T>>* scratch) {
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const i64 at = row * columns;
    if (smallest) extreme_row<Last<true>>(x + at, y + at, places + at, columns, scratch);
    else extreme_row<Last<false>>(x + at, y + at, places + at, columns, scratch);
  }
}
GR_ALL_FLOAT_KERNELS(scan_extremes,
  __shared__ Extreme<Compute<T>> scratch[32];
  extreme_rows(x, y, places, rows, columns, smallest, scratch);)
GR_KERNEL_OF(scan_extremes, i64, i64) {
  __shared__ Extreme<i64> scratch[32];
  extreme_rows(x, y, places, rows, columns, smallest, scratch);
}

// y (count, rank): the coordinates, in a shape of `layout`'s sizes, of the elements that hold; `sums` (n) counts them up to each.
GR_KERNEL(nonzero_write) {
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    if (!mask[i]) continue;
    i64* row = y + (sums[i] - 1) * layout.rank;
    i64 rest = i;
    for (int d = layout.rank - 1; d >= 0; d--) {
      row[d] = rest % layout.sizes[d];
      rest /= layout.sizes[d];
    }
  }
}
