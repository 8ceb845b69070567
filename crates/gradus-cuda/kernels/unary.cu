// y = op(x), element by element.
//
// Light operations are bound by memory: two elements moved for each computed, so they are moved 16 bytes at a time, each byte once,
// in a loop of the operation's own. Heavy ones (tan, powf, …) are bound by arithmetic, strided operands by their addresses: for those
// one function that knows all operations is called, so that its code exists once and not in every loop. The branch is the same
// for every thread of the grid.
#include "math.cuh"

template <class C> GR_CALLED C unary_any(int op, C x, C p, C q) {
#define X(name) case GR_UNARY_##name: return unary_value<GR_UNARY_##name>(x, p, q);
  switch (op) { GR_UNARY_ALL(X) }
#undef X
  return C(GR_NAN);
}

template <int OP, class T> GR_DEV void light_loop(const T* __restrict__ x, T* __restrict__ y, i64 packs, Compute<T> p, Compute<T> q) {
  for (i64 i = grid_index(); i < packs; i += grid_size()) {
    Pack<T> v = load_pack(x + i * Pack<T>::N);
    GR_UNROLL
    for (int k = 0; k < Pack<T>::N; k++) v.at[k] = narrow<T>(unary_value<OP>(widen(v.at[k]), p, q));
    store_pack(y + i * Pack<T>::N, v);
  }
}

#define LIGHT(X) \
  X(neg) X(abs) X(square) X(reciprocal) X(sqrt) X(exp) X(log) X(tanh) X(sigmoid) X(relu) X(leaky_relu) X(gelu) X(gelu_tanh) X(silu) \
  X(clamp) X(affine)
#define X(name) case GR_UNARY_##name: light_loop<GR_UNARY_##name>(x, y, packs, Compute<T>(p), Compute<T>(q)); break;
GR_ALL_FLOAT_KERNELS(unary,
  i64 packs = is_aligned16(x) && is_aligned16(y) ? n / Pack<T>::N : 0;
  switch (op) { LIGHT(X) default: packs = 0; }
  for (i64 i = packs * Pack<T>::N + grid_index(); i < n; i += grid_size()) y[i] = narrow<T>(unary_any(op, widen(x[i]), Compute<T>(p), Compute<T>(q)));)

GR_ALL_FLOAT_KERNELS(unary_strided,
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    i64 at[1];
    offsets<1>(layout, i, at);
    y[i] = narrow<T>(unary_any(op, widen(x[at[0]]), Compute<T>(p), Compute<T>(q)));
  })
