// The primitives every kernel of Gradus is written in. All PTX of the house stands in this file and in hopper.cuh.
//
// One set of names, two bodies. Here: CUDA C++ for NVRTC, inline PTX, no header of the toolkit. On a machine with no GPU
// (GRADUS_CPU) the same names come from emulation/gr_cpu.h, where a block's threads are fibers of one CPU thread.
//
// What it is not: a library of algorithms. Sums over warps and blocks are in reduce.cuh, element types in element.cuh.
// Where the instructions come from: the PTX ISA, sections 9.7.9 (cp.async), 9.7.14 (ldmatrix, mma), 9.7.15 (mbarrier, wgmma).
#pragma once
#ifdef GRADUS_CPU
#include "gr_cpu.h"
#else
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef unsigned short u16;
typedef unsigned char u8;

#define GR_DEV __device__ __forceinline__
#define GR_CALLED static __device__ __noinline__ // code that exists once, and is called
#define GR_GLOBAL extern "C" __global__
#define GR_UNROLL _Pragma("unroll")
#define GR_UNROLL_2 _Pragma("unroll 2") // where unrolling wholly would cost registers for addresses
// The dynamic shared memory of a launch, aligned as TMA's 128-byte swizzle wants it.
#define GR_DYNAMIC_SHARED(name) extern __shared__ __align__(1024) u8 name[]

// ---- numbers ---------------------------------------------------------------------------------------------------------

GR_DEV u32 gr_bits(float x) { return __float_as_uint(x); }
GR_DEV float gr_float(u32 x) { return __uint_as_float(x); }
// 2^x by the special function unit: 2 ulp, subnormal results are 0.
GR_DEV float gr_exp2(float x) { float r; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
// Round to nearest even, both of them.
GR_DEV u16 gr_to_bf16(float x) { u16 r; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x)); return r; }
GR_DEV u16 gr_to_f16(float x) { u16 r; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(x)); return r; }
// To the tensor cores' 19 bits (8 of exponent, 10 of fraction), ties away from 0; as the f32 with those bits.
GR_DEV u32 gr_to_tf32(float x) { u32 r; asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x)); return r; }
GR_DEV float gr_from_f16(u16 x) { float r; asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x)); return r; }
GR_DEV float gr_from_bf16(u16 x) { return __uint_as_float((u32)x << 16); }
// Two bf16 in a register, `low` in the low half.
GR_DEV u32 gr_pack_bf16(float low, float high) {
  u32 r; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low)); return r;
}
GR_DEV u32 gr_mul_high(u32 a, u32 b) { return __umulhi(a, b); }

// ---- the warp ----------------------------------------------------------------------------------------------------------

#define GR_FULL 0xffffffffu
template <class V> GR_DEV V gr_shuffle_xor(V v, int lanes) { return __shfl_xor_sync(GR_FULL, v, lanes); }
template <class V> GR_DEV V gr_shuffle(V v, int lane) { return __shfl_sync(GR_FULL, v, lane); }
GR_DEV void gr_sync() { __syncthreads(); }
GR_DEV void gr_sync_warp() { __syncwarp(); }

// ---- memory ------------------------------------------------------------------------------------------------------------

GR_DEV u32 gr_shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
// Read once, not to be kept in L1 (.nc needs memory that nobody writes during the kernel).
GR_DEV uint4 gr_load_once(const uint4* p) {
  uint4 v;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
GR_DEV float gr_atomic_add(float* p, float v) { return atomicAdd(p, v); }
GR_DEV u32 gr_atomic_inc(u32* p, u32 wrap) { return atomicInc(p, wrap); }
GR_DEV void gr_atomic_max(u64* p, u64 v) { atomicMax(p, v); }
// Writes `next` if `old` is there; returns what was.
GR_DEV u32 gr_atomic_swap(u32* p, u32 old, u32 next) { return atomicCAS(p, old, next); }
GR_DEV u64 gr_atomic_swap(u64* p, u64 old, u64 next) { return atomicCAS(p, old, next); }
GR_DEV void gr_fence() { __threadfence(); }

// 16 bytes of shared memory, asynchronously: the first `bytes` from global memory, zeros after (of 0, nothing is read).
GR_DEV void gr_copy_async16(void* shared, const void* global, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
    :: "r"(gr_shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}
GR_DEV void gr_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most N groups of this thread are under way.
template <int N> GR_DEV void gr_copy_wait() { asm volatile("cp.async.wait_group %0;" :: "n"(N) : "memory"); }

// ---- tensor cores of sm_80: the warp's 16×8 tile ---------------------------------------------------------------------------

// Four 8×8 matrices of 16-bit elements; lane l gives the address of row l%8 of matrix l/8.
GR_DEV void gr_load_matrix(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
    : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(gr_shared_address(row)) : "memory");
}
GR_DEV void gr_load_matrix_transposed(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
    : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(gr_shared_address(row)) : "memory");
}
// c (16×8, f32) += a (16×16) · b (16×8), bf16.
GR_DEV void gr_mma_bf16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
GR_DEV void gr_mma_f16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// c (16×8, f32) += a (16×8) · b (8×8), TF32: what gr_to_tf32 gave. The fragments lie as those of 16 bits do, with one element for two.
GR_DEV void gr_mma_tf32(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

#define GR_INFINITY gr_float(0x7f800000u)
#define GR_NAN gr_float(0x7fc00000u)

// Kernels are declared by the manifest (src/manifest): GR_PARAMETERS_name, GR_BOUNDS_name. A kernel's file writes its body only,
// so that the order of arguments exists once.
#include "manifest.cuh"
//
// Kernels of f64 are compiled apart, with GR_DOUBLE: few need them, and those who do not should not wait for them. There the others
// are functions that nobody calls.
#define GR_LAUNCHED(name, symbol, type) GR_GLOBAL void __launch_bounds__(GR_BOUNDS_##name) symbol(GR_PARAMETERS_##name(type, __grid_constant__))
#define GR_UNUSED(name, symbol, type) GR_DEV void symbol(GR_PARAMETERS_##name(type, ))
#ifdef GR_DOUBLE
#define GR_KERNEL(name) GR_UNUSED(name, name, void)
#define GR_KERNEL_OF(name, suffix, type) GR_UNUSED(name, name##_##suffix, type)
#define GR_DOUBLE_KERNEL(name) GR_LAUNCHED(name, name##_f64, double)
#else
#define GR_KERNEL(name) GR_LAUNCHED(name, name, void)
#define GR_KERNEL_OF(name, suffix, type) GR_LAUNCHED(name, name##_##suffix, type)
#define GR_DOUBLE_KERNEL(name) GR_UNUSED(name, name##_f64, double)
#endif
#include "element.cuh"
// One body for f32, bf16 and f16: `T` is the type.
#define GR_FLOAT_KERNELS(name, ...) \
  GR_KERNEL_OF(name, f32, float) { typedef float T; __VA_ARGS__ } \
  GR_KERNEL_OF(name, bf16, Bf16) { typedef Bf16 T; __VA_ARGS__ } \
  GR_KERNEL_OF(name, f16, F16) { typedef F16 T; __VA_ARGS__ }
// And for f64.
#define GR_ALL_FLOAT_KERNELS(name, ...) \
  GR_FLOAT_KERNELS(name, __VA_ARGS__) \
  GR_DOUBLE_KERNEL(name) { typedef double T; __VA_ARGS__ }
// For what only moves elements: a body for each size of them, under the name of a type that has it.
#define GR_EACH_SIZE(name, ...) \
  GR_KERNEL_OF(name, f32, u32) { typedef u32 T; __VA_ARGS__ } \
  GR_KERNEL_OF(name, bf16, u16) { typedef u16 T; __VA_ARGS__ } \
  GR_KERNEL_OF(name, i64, i64) { typedef i64 T; __VA_ARGS__ } \
  GR_KERNEL_OF(name, u8, u8) { typedef u8 T; __VA_ARGS__ }
