// Moving elements: strided copies, transposes, fills, and casts between any two types.
//
// A copy does not look at the elements: four kernels for 1, 2, 4 and 8 bytes serve every type.
#include "gr.cuh"

template <class T> GR_DEV void copy_loop(const T* __restrict__ x, T* __restrict__ y, i64 n, const Layout& layout) {
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    i64 at[1];
    offsets<1>(layout, i, at);
    y[i] = x[at[0]];
  }
}
// The other way round: elements of x, as the layout's first strides say, to places of y by its second.
template <class T> GR_DEV void paste_loop(const T* __restrict__ x, T* __restrict__ y, i64 n, const Layout& layout) {
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    i64 at[2];
    offsets<2>(layout, i, at);
    y[at[1]] = x[at[0]];
  }
}
// x (B, R, C) -> y (B, C, R). Tiles of 32 × 32 through shared memory, so that both sides are touched along their rows; the odd row
// length puts a column's elements into different banks.
template <class T> GR_DEV void transpose_tile(const T* __restrict__ x, T* __restrict__ y, int rows, int columns, T (*tile)[33]) {
  const int column0 = blockIdx.x * 32, row0 = blockIdx.y * 32, lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const i64 matrix = (i64)blockIdx.z * rows * columns;
  for (int r = warp; r < 32; r += 8)
    if (row0 + r < rows && column0 + lane < columns) tile[r][lane] = x[matrix + (i64)(row0 + r) * columns + column0 + lane];
  gr_sync();
  for (int c = warp; c < 32; c += 8)
    if (column0 + c < columns && row0 + lane < rows) y[matrix + (i64)(column0 + c) * rows + row0 + lane] = tile[lane][c];
}
template <class T> GR_DEV void fill_loop(T* __restrict__ y, i64 n, T value) {
  for (i64 i = grid_index(); i < n; i += grid_size()) y[i] = value;
}
GR_DEV Bf16 two_bytes(u64 value) { Bf16 r = {(u16)value}; return r; }

GR_KERNEL_OF(copy, f32, float) { copy_loop((const u32*)x, (u32*)y, n, layout); }
GR_KERNEL_OF(copy, bf16, Bf16) { copy_loop(x, y, n, layout); }
GR_KERNEL_OF(copy, i64, i64) { copy_loop(x, y, n, layout); }
GR_KERNEL_OF(copy, u8, u8) { copy_loop(x, y, n, layout); }
GR_KERNEL_OF(paste, f32, float) { paste_loop((const u32*)x, (u32*)y, n, layout); }
GR_KERNEL_OF(paste, bf16, Bf16) { paste_loop(x, y, n, layout); }
GR_KERNEL_OF(paste, i64, i64) { paste_loop(x, y, n, layout); }
GR_KERNEL_OF(paste, u8, u8) { paste_loop(x, y, n, layout); }
GR_KERNEL_OF(transpose, f32, float) { __shared__ u32 tile[32][33]; transpose_tile((const u32*)x, (u32*)y, rows, columns, tile); }
GR_KERNEL_OF(transpose, bf16, Bf16) { __shared__ u16 tile[32][33]; transpose_tile((const u16*)x, (u16*)y, rows, columns, tile); }
GR_KERNEL_OF(transpose, i64, i64) { __shared__ i64 tile[32][33]; transpose_tile(x, y, rows, columns, tile); }
GR_KERNEL_OF(transpose, u8, u8) { __shared__ u8 tile[32][33]; transpose_tile(x, y, rows, columns, tile); }
GR_KERNEL_OF(fill, f32, float) { fill_loop((u32*)y, n, (u32)value); }
GR_KERNEL_OF(fill, bf16, Bf16) { fill_loop(y, n, two_bytes(value)); }
GR_KERNEL_OF(fill, i64, i64) { fill_loop(y, n, (i64)value); }
GR_KERNEL_OF(fill, u8, u8) { fill_loop(y, n, (u8)value); }

// ---- casts: the rules are gradus-cpu's (`Element::cast`) --------------------------------------------------------------------------------

GR_DEV i64 widen(int x) { return x; }
GR_DEV i64 widen(u8 x) { return x; }
GR_DEV i64 widen(bool x) { return x; }
// Truncated and saturating; NaN is 0.
GR_DEV i64 to_integer(double d, double low, double high) {
  if (d != d) return 0;
  // `high` is a power of two: not itself in the type.
  return d <= low ? (i64)low : d >= high ? (i64)(high - 1.0) : (i64)d;
}
GR_DEV i64 to_i64(double x) { return x >= 9.2233720368547758e18f ? 0x7fffffffffffffffll : to_integer(x, -9.2233720368547758e18, 9.3e18); }
GR_DEV i64 to_i64(i64 x) { return x; }
GR_DEV int to_i32(double x) { return (int)to_integer(x, -2147483648.0, 2147483648.0); }
GR_DEV int to_i32(i64 x) { return (int)x; }
GR_DEV u8 to_u8(double x) { return (u8)to_integer(x, 0.0, 256.0); }
GR_DEV u8 to_u8(i64 x) { return (u8)x; }

// `to` is the number of a type in DType::ALL: f32, bf16, f16, i64, i32, u8, bool, f64.
template <class T> GR_DEV void cast_loop(const T* __restrict__ x, u8* __restrict__ y, i64 n, int to) {
  for (i64 i = grid_index(); i < n; i += grid_size()) {
    auto v = widen(x[i]);
    if (to == 0) ((float*)y)[i] = (float)v;
    else if (to == 1) ((Bf16*)y)[i] = narrow<Bf16>((float)v);
    else if (to == 2) ((F16*)y)[i] = narrow<F16>((float)v);
    else if (to == 3) ((i64*)y)[i] = to_i64(v);
    else if (to == 4) ((int*)y)[i] = to_i32(v);
    else if (to == 5) y[i] = to_u8(v);
    else if (to == 6) y[i] = v != 0;
    else ((double*)y)[i] = (double)v;
  }
}
GR_ALL_FLOAT_KERNELS(cast, cast_loop(x, y, n, to);)
GR_KERNEL_OF(cast, i64, i64) { cast_loop(x, y, n, to); }
GR_KERNEL_OF(cast, i32, int) { cast_loop(x, y, n, to); }
GR_KERNEL_OF(cast, u8, u8) { cast_loop(x, y, n, to); }
GR_KERNEL_OF(cast, bool, bool) { cast_loop((const u8*)x, y, n, to); }
