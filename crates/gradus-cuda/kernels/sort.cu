// Sorting of rows, and searching in sorted ones.
//
// Elements become whole numbers of the same order (as on the CPU: −0 = 0, NaN the largest), which are sorted with the places they come from,
// so that equal elements keep their order. Tiles of 1024 are sorted in shared memory (bitonic, Batcher 1968); then runs are merged two by
// two: an element's place in the result is its place in its own run plus the number of elements of the other run before it, which a
// search finds. A thread has an element, and no element waits for another.
#include "reduce.cuh"

#define TILE 1024
GR_DEV u64 key_of(double x) {
  if (x != x) return ~0ull;
  union { double value; u64 bits; } u;
  u.value = x + 0.;
  return u.bits >> 63 ? ~u.bits : u.bits | 1ull << 63;
}
GR_DEV u64 key_of(i64 x) { return (u64)x ^ 1ull << 63; }
GR_DEV u64 key_of(float x) { return key_of((double)x); }
GR_DEV u64 key_of(int x) { return key_of((i64)x); }
GR_DEV u64 key_of(u8 x) { return key_of((i64)x); }
GR_DEV u64 key_of(Bf16 x) { return key_of((double)widen(x)); }
GR_DEV u64 key_of(F16 x) { return key_of((double)widen(x)); }
#define GR_KEY_KERNELS(name, ...) \
  GR_ALL_FLOAT_KERNELS(name, __VA_ARGS__) \
  GR_KERNEL_OF(name, i64, i64) { __VA_ARGS__ } \
  GR_KERNEL_OF(name, i32, int) { __VA_ARGS__ } \
  GR_KERNEL_OF(name, u8, u8) { __VA_ARGS__ }

GR_KEY_KERNELS(sort_keys,
  for (i64 i = grid_index(); i < n; i += grid_size()) keys[i] = (i64)(descending ? ~key_of(x[i]) : key_of(x[i]));)

// keys (rows, columns), in place: each tile of a row in order; places: where each came from.
GR_KERNEL(sort_tiles) {
  __shared__ u64 key[TILE];
  __shared__ int from[TILE];
  const i64 tiles = (columns + TILE - 1) / TILE;
  for (i64 tile = blockIdx.x; tile < rows * tiles; tile += gridDim.x) {
    const i64 first = tile % tiles * TILE, start = tile / tiles * columns + first;
    const int n = (int)(columns - first < TILE ? columns - first : TILE);
    for (int i = threadIdx.x; i < TILE; i += blockDim.x) {
      key[i] = i < n ? (u64)keys[start + i] : ~0ull; // what fills up comes last, also after equal keys
      from[i] = i < n ? (int)(first + i) : 0x7fffffff;
    }
    gr_sync();
    for (int size = 2; size <= TILE; size <<= 1) {
      for (int apart = size >> 1; apart > 0; apart >>= 1) {
        for (int pair = threadIdx.x; pair < TILE / 2; pair += blockDim.x) {
          const int a = pair / apart * 2 * apart + pair % apart, b = a + apart;
          const bool up = (a & size) == 0, in_order = key[a] < key[b] || key[a] == key[b] && from[a] < from[b];
          if (in_order != up) {
            const u64 k = key[a];
            const int f = from[a];
            key[a] = key[b], from[a] = from[b];
            key[b] = k, from[b] = f;
          }
        }
        gr_sync();
      }
    }
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
      keys[start + i] = (i64)key[i];
      places[start + i] = from[i];
    }
    gr_sync();
  }
}

// How many of n sorted keys are below one, or below or equal to it.
GR_DEV i64 count_before(const i64* __restrict__ sorted, i64 n, u64 key, bool or_equal) {
  i64 low = 0, high = n;
  while (low < high) {
    const i64 middle = (low + high) >> 1;
    const u64 k = (u64)sorted[middle];
    if (k < key || or_equal && k == key) low = middle + 1;
    else high = middle;
  }
  return low;
}
// Runs of `run` merged to runs of twice the length.
GR_KERNEL(sort_merge) {
  for (i64 i = grid_index(); i < rows * columns; i += grid_size()) {
    const i64 row = i / columns * columns, column = i - row;
    const i64 pair = column / (2 * run) * 2 * run, middle = pair + run;
    const bool in_second = column >= middle;
    const i64 other = in_second ? pair : middle;
    i64 length = in_second ? run : columns - middle;
    length = length > run ? run : length < 0 ? 0 : length;
    const i64 before = count_before(keys + row + other, length, (u64)keys[i], in_second);
    const i64 to = row + (in_second ? column - run : column) + before;
    keys_out[to] = keys[i];
    places_out[to] = places[i];
  }
}

// Where values would go into sorted rows of n (or, if `per` is 0, into the one row), before equals or (`right`) after.
GR_KEY_KERNELS(search_sorted,
  for (i64 i = grid_index(); i < count; i += grid_size()) {
    const u64 key = key_of(values[i]);
    i64 low = per ? i / per * n : 0; const i64 start = low; i64 high = low + n;
    while (low < high) {
      const i64 middle = (low + high) >> 1; const u64 k = key_of(sequence[middle]);
      if (k < key || right && k == key) low = middle + 1;
      else high = middle;
    }
    y[i] = low - start;
  })
