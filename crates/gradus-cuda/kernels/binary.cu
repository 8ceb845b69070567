// Elementwise operations of two and three operands, comparisons and choices.
//
// Operands of one contiguous shape go 16 bytes at a time. Anything else (a bias along rows, a scalar, a transposed operand) is a layout:
// strides for each operand, 0 where it is broadcast. Dimensions that lie together were joined on the host, so few are left to walk.
// As in unary.cu, what is not bound by memory calls one function that knows all operations.
#include "math.cuh"

template <class C> GR_CALLED C binary_any(int op, C a, C b) {
#define X(name) case GR_BINARY_##name: return binary_value<GR_BINARY_##name>(a, b);
  switch (op) { GR_BINARY_ALL(X) }
#undef X
  return C(GR_NAN);
}
// Integers wrap, as on the CPU: computed without sign, where that is defined.
template <class T> GR_DEV T integer_value(int op, T a, T b) {
  switch (op) {
    case GR_BINARY_add: return (T)((u64)a + (u64)b);
    case GR_BINARY_sub: return (T)((u64)a - (u64)b);
    case GR_BINARY_mul: return (T)((u64)a * (u64)b);
    case GR_BINARY_maximum: return a > b ? a : b;
    default: return a < b ? a : b; // minimum
  }
}
GR_DEV float any(int op, float a, float b) { return binary_any(op, a, b); }
GR_DEV double any(int op, double a, double b) { return binary_any(op, a, b); }
GR_DEV Bf16 any(int op, Bf16 a, Bf16 b) { return narrow<Bf16>(binary_any(op, widen(a), widen(b))); }
GR_DEV F16 any(int op, F16 a, F16 b) { return narrow<F16>(binary_any(op, widen(a), widen(b))); }
GR_DEV i64 any(int op, i64 a, i64 b) { return integer_value(op, a, b); }
GR_DEV int any(int op, int a, int b) { return integer_value(op, a, b); }
GR_DEV u8 any(int op, u8 a, u8 b) { return integer_value(op, a, b); }

template <int OP, class T> GR_DEV void light_loop(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ y, i64 packs) {
  for (i64 i = grid_index(); i < packs; i += grid_size()) {
    Pack<T> u = load_pack(a + i * Pack<T>::N), v = load_pack(b + i * Pack<T>::N);
    GR_UNROLL
    for (int k = 0; k < Pack<T>::N; k++) u.at[k] = narrow<T>(binary_value<OP>(widen(u.at[k]), widen(v.at[k])));
    store_pack(y + i * Pack<T>::N, u);
  }
}
template <class T> GR_DEV i64 packs_of(const T* a, const T* b, const T* y, i64 n) {
  return is_aligned16(a) && is_aligned16(b) && is_aligned16(y) ? n / Pack<T>::N : 0;
}

#define LIGHT(X) \
  X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(tanh_backward) X(sigmoid_backward) X(relu_backward) X(relu6_backward) \
  X(gelu_backward) X(gelu_tanh_backward) X(silu_backward)
#define X(name) case GR_BINARY_##name: light_loop<GR_BINARY_##name>(a, b, y, packs); break;
GR_ALL_FLOAT_KERNELS(binary,
  i64 packs = packs_of(a, b, y, n);
  switch (op) { LIGHT(X) default: packs = 0; }
  for (i64 i = packs * Pack<T>::N + grid_index(); i < n; i += grid_size()) y[i] = any(op, a[i], b[i]);)
#undef X

// Integers: the operations are light enough to choose at each element.
template <class T> GR_DEV void integer_loop(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ y, i64 n, int op) {
  const i64 packs = packs_of(a, b, y, n);
  for (i64 i = grid_index(); i < packs; i += grid_size()) {
    Pack<T> u = load_pack(a + i * Pack<T>::N), v = load_pack(b + i * Pack<T>::N);
    GR_UNROLL
    for (int k = 0; k < Pack<T>::N; k++) u.at[k] = integer_value(op, u.at[k], v.at[k]);
    store_pack(y + i * Pack<T>::N, u);
  }
  for (i64 i = packs * Pack<T>::N + grid_index(); i < n; i += grid_size()) y[i] = integer_value(op, a[i], b[i]);
}
GR_KERNEL_OF(binary, i64, i64) { integer_loop(a, b, y, n, op); }
GR_KERNEL_OF(binary, i32, int) { integer_loop(a, b, y, n, op); }
GR_KERNEL_OF(binary, u8, u8) { integer_loop(a, b, y, n, op); }

template <class T>
GR_DEV void strided_loop(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ y, i64 n, const Layout& layout, int op) {
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    i64 at[2];
    offsets<2>(layout, i, at);
    y[i] = any(op, a[at[0]], b[at[1]]);
  }
}
GR_ALL_FLOAT_KERNELS(binary_strided, strided_loop(a, b, y, n, layout, op);)
GR_KERNEL_OF(binary_strided, i64, i64) { strided_loop(a, b, y, n, layout, op); }
GR_KERNEL_OF(binary_strided, i32, int) { strided_loop(a, b, y, n, layout, op); }
GR_KERNEL_OF(binary_strided, u8, u8) { strided_loop(a, b, y, n, layout, op); }

// ---- comparisons ---------------------------------------------------------------------------------------------------------

GR_DEV int widen(int x) { return x; }
GR_DEV int widen(u8 x) { return x; }
template <class C> GR_DEV bool compare_value(int op, C a, C b) {
  switch (op) {
    case GR_COMPARE_eq: return a == b;
    case GR_COMPARE_ne: return a != b;
    case GR_COMPARE_lt: return a < b;
    case GR_COMPARE_le: return a <= b;
    case GR_COMPARE_gt: return a > b;
    case GR_COMPARE_ge: return a >= b;
    case GR_COMPARE_logical_and: return a != 0 && b != 0;
    case GR_COMPARE_logical_or: return a != 0 || b != 0;
    default: return (a != 0) != (b != 0); // logical_xor
  }
}
template <class T>
GR_DEV void compare_loop(const T* __restrict__ a, const T* __restrict__ b, u8* __restrict__ y, i64 n, const Layout& layout, int op) {
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    i64 at[2];
    offsets<2>(layout, i, at);
    y[i] = compare_value(op, widen(a[at[0]]), widen(b[at[1]]));
  }
}
GR_ALL_FLOAT_KERNELS(compare, compare_loop(a, b, y, n, layout, op);)
GR_KERNEL_OF(compare, i64, i64) { compare_loop(a, b, y, n, layout, op); }
GR_KERNEL_OF(compare, i32, int) { compare_loop(a, b, y, n, layout, op); }
GR_KERNEL_OF(compare, u8, u8) { compare_loop(a, b, y, n, layout, op); }

// ---- three operands --------------------------------------------------------------------------------------------------------

GR_ALL_FLOAT_KERNELS(ternary,
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    i64 at[3];
    offsets<3>(layout, i, at);
    y[i] = narrow<T>(ternary_value(op, widen(a[at[0]]), widen(b[at[1]]), widen(c[at[2]]), Compute<T>(p)));
  })

template <class T>
GR_DEV void select_loop(const u8* __restrict__ condition, const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ y, i64 n,
                        const Layout& layout) {
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    i64 at[3];
    offsets<3>(layout, i, at);
    y[i] = condition[at[0]] ? a[at[1]] : b[at[2]];
  }
}
GR_ALL_FLOAT_KERNELS(select, select_loop(condition, a, b, y, n, layout);)
GR_KERNEL_OF(select, i64, i64) { select_loop(condition, a, b, y, n, layout); }
GR_KERNEL_OF(select, i32, int) { select_loop(condition, a, b, y, n, layout); }
GR_KERNEL_OF(select, u8, u8) { select_loop(condition, a, b, y, n, layout); }
