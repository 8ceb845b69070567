// Element types: how each is read as f32 (or f64) and written back, and how 16 bytes of them move at once.
//
// bf16 and f16 are storage only: they are computed in f32 and rounded once, at the store, as on the CPU. `Compute<T>` is what T is computed in.
#pragma once

struct Bf16 { u16 bits; };
struct F16 { u16 bits; };

GR_DEV float widen(float x) { return x; }
GR_DEV double widen(double x) { return x; }
GR_DEV i64 widen(i64 x) { return x; }
GR_DEV float widen(Bf16 x) { return gr_from_bf16(x.bits); }
GR_DEV float widen(F16 x) { return gr_from_f16(x.bits); }
template <class T> struct Narrow;
template <> struct Narrow<float> { GR_DEV static float of(float x) { return x; } };
template <> struct Narrow<Bf16> { GR_DEV static Bf16 of(float x) { Bf16 r = {gr_to_bf16(x)}; return r; } };
template <> struct Narrow<F16> { GR_DEV static F16 of(float x) { F16 r = {gr_to_f16(x)}; return r; } };
template <> struct Narrow<double> { GR_DEV static double of(double x) { return x; } };
template <> struct Narrow<i64> { GR_DEV static i64 of(i64 x) { return x; } };
template <class T, class C> GR_DEV T narrow(C x) { return Narrow<T>::of(x); }
template <class T> struct ComputeOf { typedef float Type; };
template <> struct ComputeOf<double> { typedef double Type; };
template <> struct ComputeOf<i64> { typedef i64 Type; };
template <class T> using Compute = typename ComputeOf<T>::Type;

GR_DEV void mma(const Bf16*, float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) { gr_mma_bf16(c, a, b0, b1); }
GR_DEV void mma(const F16*, float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) { gr_mma_f16(c, a, b0, b1); }
GR_DEV void mma(const float*, float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) { gr_mma_tf32(c, a, b0, b1); }

// Two elements of 16 bits in a register, `low` in the low half.
template <class T> struct Pack2;
template <> struct Pack2<Bf16> { GR_DEV static u32 of(float low, float high) { return gr_pack_bf16(low, high); } };
template <> struct Pack2<F16> {
  GR_DEV static u32 of(float low, float high) { return gr_to_f16(low) | (u32)gr_to_f16(high) << 16; }
};
template <class T> GR_DEV u32 pack2(float low, float high) { return Pack2<T>::of(low, high); }

// As many elements as 16 bytes hold, moved by one instruction.
template <class T> struct __align__(16) Pack {
  static const int N = 16 / sizeof(T);
  T at[N];
};
template <class T> GR_DEV bool is_aligned16(const T* p) { return ((u64)p & 15) == 0; }
// Read once: not kept in L1.
template <class T> GR_DEV Pack<T> load_pack(const T* p) {
  union { uint4 raw; Pack<T> pack; } u;
  u.raw = gr_load_once((const uint4*)p);
  return u.pack;
}
template <class T> GR_DEV void store_pack(T* p, const Pack<T>& v) { *(Pack<T>*)p = v; }
// The first `n` of the pack that begins at `p`, the rest `fill`.
template <class T> GR_DEV Pack<T> load_pack_bounded(const T* p, i64 n, T fill) {
  Pack<T> v;
  GR_UNROLL
  for (int i = 0; i < Pack<T>::N; i++) v.at[i] = i < n ? p[i] : fill;
  return v;
}

// ---- rows: a block's threads walk the elements of a row, 16 bytes each where the row allows it --------------------------------------------

template <class T> GR_DEV bool has_packs(const T* row, int n) { return is_aligned16(row) && n % Pack<T>::N == 0; }
// Calls f(i, x[i]) for this thread's share of a row.
template <class T, class F> GR_DEV void each_of_row(const T* __restrict__ x, int n, F f) {
  if (has_packs(x, n)) {
    for (int i = threadIdx.x * Pack<T>::N; i < n; i += blockDim.x * Pack<T>::N) {
      const Pack<T> v = load_pack(x + i);
      GR_UNROLL
      for (int k = 0; k < Pack<T>::N; k++) f(i + k, widen(v.at[k]));
    }
  } else {
    for (int i = threadIdx.x; i < n; i += blockDim.x) f(i, widen(x[i]));
  }
}
// y[i] = f(i, x[i]).
template <class T, class F> GR_DEV void map_row(const T* __restrict__ x, T* __restrict__ y, int n, F f) {
  if (has_packs(x, n) && is_aligned16(y)) {
    for (int i = threadIdx.x * Pack<T>::N; i < n; i += blockDim.x * Pack<T>::N) {
      Pack<T> v = load_pack(x + i);
      GR_UNROLL
      for (int k = 0; k < Pack<T>::N; k++) v.at[k] = narrow<T>(f(i + k, widen(v.at[k])));
      store_pack(y + i, v);
    }
  } else {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = narrow<T>(f(i, widen(x[i])));
  }
}
// Calls f(i, a[i], b[i]), and y[i] = f(i, a[i], b[i]), for two rows.
template <class T, class F> GR_DEV void each_of_rows(const T* __restrict__ a, const T* __restrict__ b, int n, F f) {
  if (has_packs(a, n) && is_aligned16(b)) {
    for (int i = threadIdx.x * Pack<T>::N; i < n; i += blockDim.x * Pack<T>::N) {
      const Pack<T> u = load_pack(a + i), v = load_pack(b + i);
      GR_UNROLL
      for (int k = 0; k < Pack<T>::N; k++) f(i + k, widen(u.at[k]), widen(v.at[k]));
    }
  } else {
    for (int i = threadIdx.x; i < n; i += blockDim.x) f(i, widen(a[i]), widen(b[i]));
  }
}
template <class T, class F> GR_DEV void map_rows(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ y, int n, F f) {
  if (has_packs(a, n) && is_aligned16(b) && is_aligned16(y)) {
    for (int i = threadIdx.x * Pack<T>::N; i < n; i += blockDim.x * Pack<T>::N) {
      const Pack<T> u = load_pack(a + i);
      Pack<T> v = load_pack(b + i);
      GR_UNROLL
      for (int k = 0; k < Pack<T>::N; k++) v.at[k] = narrow<T>(f(i + k, widen(u.at[k]), widen(v.at[k])));
      store_pack(y + i, v);
    }
  } else {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = narrow<T>(f(i, widen(a[i]), widen(b[i])));
  }
}

// How one to three operands of a common shape lie: sizes from the slowest dimension on, strides in elements.
struct Layout {
  int rank;
  u32 sizes[8];
  i64 strides[3][8];
};
// The offsets of element `i` (row-major in the common shape) in each of K operands.
template <int K> GR_DEV void offsets(const Layout& layout, i64 i, i64 (&at)[K]) {
  GR_UNROLL
  for (int k = 0; k < K; k++) at[k] = 0;
  for (int d = layout.rank - 1; d >= 0; d--) {
    u32 size = layout.sizes[d];
    i64 rest = i / size, index = i - rest * size;
    GR_UNROLL
    for (int k = 0; k < K; k++) at[k] += index * layout.strides[k][d];
    i = rest;
  }
}
// A piece of a parameter, its gradient and the optimiser's state of it: device addresses and a length.
struct Chunk {
  u64 parameter, gradient, first, second, third;
  u32 length;
};
// This thread's number in the grid, and the number of threads: loops over elements start and step by them.
GR_DEV i64 grid_index() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
GR_DEV i64 grid_size() { return (i64)gridDim.x * blockDim.x; }
