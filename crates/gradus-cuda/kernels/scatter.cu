// Writing elements by index: in place of what was there, or joined to it.
//
// Where an index occurs more than once, the last one writes, as on the CPU. That takes two kernels: each place first learns who is the
// last that wants it, by a maximum of numbers, and then it alone writes. Joining is by compare-and-swap: maxima and whole numbers are the same
// in any order, the last bit of a float's product or sum may differ between runs.
#include "reduce.cuh"

GR_DEV i64 place_of(i64 i, i64 at, i64 n, i64 m, i64 inner) { return (i / (m * inner) * n + at) * inner + i % inner; }

// owner (outer, n, inner), 0 at first: one more than the number of the last element of indices (outer, m, inner) that points there.
GR_KERNEL(scatter_owner) {
  for (i64 i = grid_index(); i < outer * m * inner; i += grid_size()) {
    const i64 at = indices[i];
    if (at < 0 || at >= n) gr_atomic_inc(fault, ~0u);
    else gr_atomic_max((u64*)owner + place_of(i, at, n, m, inner), (u64)i + 1);
  }
}
GR_EACH_SIZE(scatter_write,
  for (i64 i = grid_index(); i < outer * m * inner; i += grid_size()) {
    const i64 at = indices[i];
    if (at < 0 || at >= n) continue;
    const i64 place = place_of(i, at, n, m, inner);
    if (owner[place] == i + 1) y[place] = src[i];
  })

// y (outer, n, inner): y[o, rows[i], k] = src[o, i, k], in one kernel: whole rows, to places that differ.
GR_EACH_SIZE(write_rows,
  for (i64 i = grid_index(); i < outer * m * inner; i += grid_size()) {
    const i64 at = rows[i / inner % m];
    if (at >= 0 && at < n) y[place_of(i, at, n, m, inner)] = src[i];
    else if (i % inner == 0) gr_atomic_inc(fault, ~0u);
  })

template <class V> GR_DEV V joined(int op, V a, V b) {
  switch (op) {
    case GR_REDUCE_prod: return gr_product(a, b);
    case GR_REDUCE_amax: return gr_max(a, b);
    case GR_REDUCE_amin: return gr_min(a, b);
    default: return gr_sum(a, b);
  }
}
// Until nobody wrote between reading and writing. Word has the bits of V.
template <class Word, class V> GR_DEV void join_at(V* place, V v, int op) {
  union Bits { V value; Word word; } old, next;
  old.value = *place;
  for (;;) {
    next.value = joined(op, old.value, v);
    const Word seen = gr_atomic_swap((Word*)place, old.word, next.word);
    if (seen == old.word) return;
    old.word = seen;
  }
}
template <class Word, class V>
GR_DEV void join_loop(const V* __restrict__ src, const i64* __restrict__ indices, V* y, u32* fault, i64 outer, i64 n, i64 m, i64 inner, int op) {
  for (i64 i = grid_index(); i < outer * m * inner; i += grid_size()) {
    const i64 at = indices[i];
    if (at < 0 || at >= n) gr_atomic_inc(fault, ~0u);
    else join_at<Word>(y + place_of(i, at, n, m, inner), src[i], op);
  }
}
GR_KERNEL_OF(scatter_join, f32, float) { join_loop<u32>(src, indices, y, fault, outer, n, m, inner, op); }
GR_KERNEL_OF(scatter_join, i64, i64) { join_loop<u64>(src, indices, y, fault, outer, n, m, inner, op); }
GR_DOUBLE_KERNEL(scatter_join) { join_loop<u64>(src, indices, y, fault, outer, n, m, inner, op); }
