// The primitives of kernels/gr.cuh on a CPU, for tests on machines with no GPU: what a kernel's file sees.
//
// A kernel is compiled as C++20; each thread of a block is a fiber (fibers.cpp) and the blocks of a grid run one after the
// other. What can be seen: races between barriers (by running threads in several orders), memory out of bounds (under
// AddressSanitizer), uninitialised shared memory (it is full of NaN), divergent barriers, deadlocks, asynchronous copies that
// are read too early. What cannot: missing memory fences, bank conflicts, time, approximate units of the hardware, clusters.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
typedef uint32_t u32;
typedef unsigned long long u64;
typedef long long i64;
typedef uint16_t u16;
typedef uint8_t u8;

#define __device__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static const
#define __shared__ static __attribute__((section("gr_shared"))) // one block runs at a time; filled with NaN before each
#define GR_DEV inline
#define GR_CALLED static
#define GR_GLOBAL extern "C"
#define GR_UNROLL
#define GR_UNROLL_2
#define GR_DYNAMIC_SHARED(name) u8* name = gr::dynamic_shared()

struct uint3 { u32 x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) uint4 { u32 x, y, z, w; };
struct alignas(8) uint2 { u32 x, y; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }

namespace gr {
struct Place { uint3 thread, block, block_size, grid_size; u32 lane; };
extern Place* here;                 // of the fiber that runs
u8* dynamic_shared();
[[noreturn]] void fail(const char* why);
void barrier();                     // __syncthreads
void meet_warp(u32 mask);           // all lanes of the mask
void sync_warp();                   // all lanes, and what they wrote is seen
void post(const void* value, u32 bytes);       // this lane's value, for the others of its warp
void peek(u32 lane, void* value, u32 bytes);
float atomic_add(float* p, float v);
u32 atomic_inc(u32* p, u32 wrap);
void atomic_max(u64* p, u64 v);
u32 atomic_swap(u32* p, u32 old, u32 next);
u64 atomic_swap(u64* p, u64 old, u64 next);
void copy_async(void* to, const void* from, int bytes);
void copy_commit();
void copy_wait(u32 groups);
void mbarrier_init(u64* b, u32 arrivals);
void mbarrier_arrive(u64* b, u32 bytes);
void mbarrier_wait(u64* b, u32 parity);
void tensor_load(void* tile, const void* map, int x, int y, u64* barrier);
u64 tile_address(const void* tile);
void wgmma(float* d, u32 n, u64 a, u64 b, int accumulate, bool tf32);
void wgmma_commit();
void wgmma_wait(u32 groups);
void wgmma_fence();
template <class V> V exchange(u32 mask, V v, u32 from) {
  V r = v;
  post(&v, sizeof v);
  meet_warp(mask);
  if (mask >> from & 1) peek(from, &r, sizeof r);
  meet_warp(mask);
  return r;
}
} // namespace gr
#define threadIdx (gr::here->thread)
#define blockIdx (gr::here->block)
#define blockDim (gr::here->block_size)
#define gridDim (gr::here->grid_size)

inline u32 gr_bits(float x) { u32 r; memcpy(&r, &x, 4); return r; }
inline float gr_float(u32 x) { float r; memcpy(&r, &x, 4); return r; }
inline float gr_exp2(float x) { float r = exp2f(x); return fabsf(r) < 1.17549435e-38f ? 0.f : r; }
inline u16 gr_to_bf16(float x) {
  u32 u = gr_bits(x);
  if ((u & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return (u16)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
inline float gr_from_bf16(u16 x) { return gr_float((u32)x << 16); }
inline u32 gr_pack_bf16(float low, float high) { return gr_to_bf16(low) | (u32)gr_to_bf16(high) << 16; }
inline u16 gr_to_f16(float x) { _Float16 h = (_Float16)x; u16 r; memcpy(&r, &h, 2); return r; }
inline float gr_from_f16(u16 x) { _Float16 h; memcpy(&h, &x, 2); return (float)h; }
inline u32 gr_to_tf32(float x) { return x != x ? 0x7fffffffu : (gr_bits(x) + 0x1000u) & ~0x1fffu; }
inline u32 gr_mul_high(u32 a, u32 b) { return (u32)((u64)a * b >> 32); }
inline float rsqrtf(float x) { return 1.f / sqrtf(x); }
inline double rsqrt(double x) { return 1. / sqrt(x); }

#define GR_FULL 0xffffffffu
template <class V> V gr_shuffle_xor(V v, int lanes) { return gr::exchange(GR_FULL, v, gr::here->lane ^ lanes); }
template <class V> V gr_shuffle(V v, int lane) { return gr::exchange(GR_FULL, v, (u32)lane & 31); }
inline void gr_sync() { gr::barrier(); }
inline void gr_sync_warp() { gr::sync_warp(); }

inline void check_aligned(const void* p, u32 n, const char* what) { if ((uintptr_t)p & (n - 1)) gr::fail(what); }
inline uint4 gr_load_once(const uint4* p) { check_aligned(p, 16, "16-byte load: misaligned"); return *p; }
inline float gr_atomic_add(float* p, float v) { return gr::atomic_add(p, v); }
inline u32 gr_atomic_inc(u32* p, u32 wrap) { return gr::atomic_inc(p, wrap); }
inline void gr_atomic_max(u64* p, u64 v) { gr::atomic_max(p, v); }
inline u32 gr_atomic_swap(u32* p, u32 old, u32 next) { return gr::atomic_swap(p, old, next); }
inline u64 gr_atomic_swap(u64* p, u64 old, u64 next) { return gr::atomic_swap(p, old, next); }
inline void gr_fence() {}

inline void gr_copy_async16(void* to, const void* from, int bytes) {
  check_aligned(to, 16, "cp.async: misaligned destination");
  check_aligned(from, 16, "cp.async: misaligned source");
  gr::copy_async(to, from, bytes);
}
inline void gr_copy_commit() { gr::copy_commit(); }
template <int N> void gr_copy_wait() { gr::copy_wait(N); }

inline void load_matrix(u32 (&r)[4], const void* row, bool transposed) {
  check_aligned(row, 16, "ldmatrix: misaligned row");
  gr::post(&row, sizeof row);
  gr::meet_warp(GR_FULL);
  const u32 l = gr::here->lane;
  for (u32 i = 0; i < 4; i++) {
    if (!transposed) {
      const u8* p;
      gr::peek(i * 8 + l / 4, &p, sizeof p);
      memcpy(&r[i], p + l % 4 * 4, 4);
    } else {
      const u16 *even, *odd;
      gr::peek(i * 8 + l % 4 * 2, &even, sizeof even);
      gr::peek(i * 8 + l % 4 * 2 + 1, &odd, sizeof odd);
      r[i] = even[l / 4] | (u32)odd[l / 4] << 16;
    }
  }
  gr::meet_warp(GR_FULL);
}
inline void gr_load_matrix(u32 (&r)[4], const void* row) { load_matrix(r, row, false); }
inline void gr_load_matrix_transposed(u32 (&r)[4], const void* row) { load_matrix(r, row, true); }

// Of the fragments of the PTX ISA, figure "mma .m16n8k16": lane 4·g + t holds rows g and g + 8 of a, column g of b.
// A register is two elements of 16 bits, or one of TF32 (figure "mma .m16n8k8"; then `high` is 0).
template <class Low, class High> void mma_fragments(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1, Low low, High high) {
  struct Fragment { u32 a[4], b[2]; } mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}}, of_a, even, odd;
  gr::post(&mine, sizeof mine);
  gr::meet_warp(GR_FULL);
  const u32 g = gr::here->lane / 4, t = gr::here->lane % 4;
  auto dot = [&](u32 x, u32 y) { return low(x) * low(y) + high(x) * high(y); };
  float sum[4] = {c[0], c[1], c[2], c[3]};
  for (u32 q = 0; q < 4; q++) {
    gr::peek(g * 4 + q, &of_a, sizeof of_a);
    gr::peek(2 * t * 4 + q, &even, sizeof even);
    gr::peek((2 * t + 1) * 4 + q, &odd, sizeof odd);
    for (u32 half = 0; half < 2; half++) {
      sum[0] += dot(of_a.a[2 * half], even.b[half]);
      sum[1] += dot(of_a.a[2 * half], odd.b[half]);
      sum[2] += dot(of_a.a[2 * half + 1], even.b[half]);
      sum[3] += dot(of_a.a[2 * half + 1], odd.b[half]);
    }
  }
  gr::meet_warp(GR_FULL);
  for (u32 i = 0; i < 4; i++) c[i] = sum[i];
}

inline void gr_mma_bf16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  mma_fragments(c, a, b0, b1, [](u32 x) { return gr_float(x << 16); }, [](u32 x) { return gr_float(x & 0xffff0000u); });
}
inline void gr_mma_f16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  mma_fragments(c, a, b0, b1, [](u32 x) { return gr_from_f16((u16)x); }, [](u32 x) { return gr_from_f16((u16)(x >> 16)); });
}
// The hardware reads 19 bits: what was not rounded before is cut off.
inline void gr_mma_tf32(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  mma_fragments(c, a, b0, b1, [](u32 x) { return gr_float(x & ~0x1fffu); }, [](u32) { return 0.f; });
}

// ---- hopper.cuh -----------------------------------------------------------------------------------------------------------
struct alignas(64) TensorMap { u64 opaque[16]; }; // as async.cpp's cuTensorMapEncodeTiled fills it
inline void gr_barrier_init(u64* b, u32 arrivals) { gr::mbarrier_init(b, arrivals); }
inline void gr_barrier_init_done() {}
inline void gr_barrier_expect(u64* b, u32 bytes) { gr::mbarrier_arrive(b, bytes); }
inline void gr_barrier_arrive(u64* b) { gr::mbarrier_arrive(b, 0); }
inline void gr_barrier_wait(u64* b, u32 parity) { gr::mbarrier_wait(b, parity); }
inline void gr_tensor_load(void* tile, const TensorMap* map, int x, int y, u64* b) { gr::tensor_load(tile, map, x, y, b); }
inline u64 gr_wgmma_tile(const void* tile) { return gr::tile_address(tile) >> 4; }
inline u64 gr_wgmma_advance(u64 tile, int steps) { return tile + 2 * steps; }
inline void gr_wgmma_fence() { gr::wgmma_fence(); }
inline void gr_wgmma_commit() { gr::wgmma_commit(); }
template <int N> void gr_wgmma_wait() { gr::wgmma_wait(N); }
template <int N> void gr_registers_release() {}
template <int N> void gr_registers_acquire() {}
inline void gr_wgmma_64x256(float (&d)[128], u64 a, u64 b, int accumulate) { gr::wgmma(d, 256, a, b, accumulate, false); }
inline void gr_wgmma_64x256_tf32(float (&d)[128], u64 a, u64 b, int accumulate) { gr::wgmma(d, 256, a, b, accumulate, true); }

// ---- the table of kernels ---------------------------------------------------------------------------------------------------
namespace gr {
typedef void (*Thunk)(void** arguments);
void enlist(const char* name, Thunk thunk, u32 count, const u32* sizes, u32 block);
template <u32... I> struct Indices {};
template <u32 N, u32... I> struct Count : Count<N - 1, N - 1, I...> {};
template <u32... I> struct Count<0, I...> { typedef Indices<I...> Type; };
template <class A> struct Plain { typedef A Type; };
template <class A> struct Plain<const A> { typedef A Type; };
template <auto F, class... A, u32... I> void call(void** a, void (*)(A...), Indices<I...>) { F(*(typename Plain<A>::Type*)a[I]...); }
template <auto F, class... A> void thunk_of(void** a, void (*f)(A...)) { call<F>(a, f, typename Count<sizeof...(A)>::Type()); }
template <class... A> u32 sizes_of(void (*)(A...), const u32*& sizes) {
  static const u32 all[] = {(u32)sizeof(A)..., 0};
  sizes = all;
  return sizeof...(A);
}
struct Enlist {
  template <class F> Enlist(const char* name, Thunk thunk, F f, u32 block) {
    const u32* sizes;
    u32 count = sizes_of(f, sizes);
    enlist(name, thunk, count, sizes, block);
  }
};
} // namespace gr
#define GR_ENLIST(kernel, block) \
  static gr::Enlist enlist_##kernel(#kernel, [](void** a) { gr::thunk_of<&kernel>(a, &kernel); }, &kernel, block);
