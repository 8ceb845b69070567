// Convolution and its two gradients as matrix products whose matrices are not there (implicit GEMM).
//
// All three sum products w(o, c, r, s)·x(n, c, h, w)·y(n, o, h', w') over one of three sets, so each is a product left (I, K) · right (K, J):
//   forward   y  (o; n, oh, ow) = Σ over c, r, s      w (o; c, r, s)   · x  (c, r, s; n, oh, ow)
//   data      dx (c; n, ih, iw) = Σ over o, r, s      w (c; o, r, s)   · dy (o, r, s; n, ih, iw)
//   weight    dw (o; c, r, s)   = Σ over n, oh, ow    dy (o; n, oh, ow) · x (n, oh, ow; c, r, s)
// The elements are fetched from where they lie (NCHW) when a tile is filled; what falls into the padding is 0. f32 is multiplied by the
// 8×8-register scheme of gemm_simt.cu (4×4 here), bf16 and f16 by mma.sync. blockIdx.z is group × piece: the weight's long sum is cut
// into pieces whose results are added up afterwards, in order.
// What it is not: fast where tensor cores are, since it fetches element by element; that is conv_mma.cu, the rung above.
#include "conv.cuh"
#include "reduce.cuh"

struct Triple { int p, q, r; };
GR_DEV Triple triple(i64 i, int q, int r) {
  const i64 rest = i / r;
  Triple t = {(int)(rest / q), (int)(rest % q), (int)(i % r)};
  return t;
}
GR_DEV void advance(Triple& t, int q, int r) { // the next one in order
  if (++t.r < r) return;
  t.r = 0;
  if (++t.q < q) return;
  t.q = 0;
  t.p++;
}
enum { FORWARD, DATA, WEIGHT };

// Which element of x (its index, or −1 in the padding) tap (r, s) of output pixel (oh, ow) meets.
GR_DEV i64 x_at(const Conv& g, int group, int n, int c, int oh, int ow, int r, int s) {
  const int h = oh * g.stride[0] - g.padding[0] + r * g.dilation[0], w = ow * g.stride[1] - g.padding[1] + s * g.dilation[1];
  if (h < 0 || h >= g.in[0] || w < 0 || w >= g.in[1]) return -1;
  return ((((i64)n * g.groups + group) * g.channels + c) * g.in[0] + h) * g.in[1] + w;
}
// Which element of y meets input pixel (ih, iw) by tap (r, s).
GR_DEV i64 y_at(const Conv& g, int group, int n, int o, int ih, int iw, int r, int s) {
  const int h = ih + g.padding[0] - r * g.dilation[0], w = iw + g.padding[1] - s * g.dilation[1];
  if (h < 0 || w < 0 || h % g.stride[0] || w % g.stride[1]) return -1;
  const int oh = h / g.stride[0], ow = w / g.stride[1];
  if (oh >= g.out[0] || ow >= g.out[1]) return -1;
  return ((((i64)n * g.groups + group) * g.outputs + o) * g.out[0] + oh) * g.out[1] + ow;
}

// The product of one kind: its sizes, and where its elements are.
template <int KIND> struct Implicit {
  const Conv& g;
  int group;
  GR_DEV int rows() const { return KIND == DATA ? g.channels : g.outputs; }
  GR_DEV i64 columns() const {
    return KIND == FORWARD ? (i64)g.batch * g.out[0] * g.out[1] : KIND == DATA ? (i64)g.batch * g.in[0] * g.in[1]
                                                                                 : (i64)g.channels * g.kernel[0] * g.kernel[1];
  }
  GR_DEV i64 depth() const {
    return KIND == WEIGHT ? (i64)g.batch * g.out[0] * g.out[1] : (i64)(KIND == FORWARD ? g.channels : g.outputs) * g.kernel[0] * g.kernel[1];
  }
  GR_DEV Triple column(i64 j) const {
    return KIND == FORWARD ? triple(j, g.out[0], g.out[1]) : KIND == DATA ? triple(j, g.in[0], g.in[1]) : triple(j, g.kernel[0], g.kernel[1]);
  }
  GR_DEV Triple along(i64 k) const { return KIND == WEIGHT ? triple(k, g.out[0], g.out[1]) : triple(k, g.kernel[0], g.kernel[1]); }
  GR_DEV void next(Triple& k) const {
    if (KIND == WEIGHT) advance(k, g.out[0], g.out[1]);
    else advance(k, g.kernel[0], g.kernel[1]);
  }
  GR_DEV i64 left(int i, Triple k) const {
    if (KIND == WEIGHT) return ((((i64)k.p * g.groups + group) * g.outputs + i) * g.out[0] + k.q) * g.out[1] + k.r;
    const int o = KIND == FORWARD ? i : k.p, c = KIND == FORWARD ? k.p : i;
    return ((((i64)group * g.outputs + o) * g.channels + c) * g.kernel[0] + k.q) * g.kernel[1] + k.r;
  }
  GR_DEV i64 right(Triple k, Triple j) const {
    if (KIND == FORWARD) return x_at(g, group, j.p, k.p, j.q, j.r, k.q, k.r);
    if (KIND == DATA) return y_at(g, group, j.p, k.p, j.q, j.r, k.q, k.r);
    return x_at(g, group, k.p, j.p, k.q, k.r, j.q, j.r);
  }
  GR_DEV i64 result(int i, Triple j) const {
    if (KIND == FORWARD) return ((((i64)j.p * g.groups + group) * g.outputs + i) * g.out[0] + j.q) * g.out[1] + j.r;
    if (KIND == DATA) return ((((i64)j.p * g.groups + group) * g.channels + i) * g.in[0] + j.q) * g.in[1] + j.r;
    return ((((i64)group * g.outputs + i) * g.channels + j.p) * g.kernel[0] + j.q) * g.kernel[1] + j.r;
  }
};

// N elements of k from k0 on, of row i of left and column j of right; 0 beyond `end`.
template <int N, int KIND, class T> GR_DEV void fetch_left(T (&v)[N], const T* __restrict__ x, const Implicit<KIND>& p, int i, i64 k0, i64 end) {
  Triple k = p.along(k0);
  GR_UNROLL
  for (int e = 0; e < N; e++) {
    v[e] = i < p.rows() && k0 + e < end ? x[p.left(i, k)] : narrow<T>(0.f);
    p.next(k);
  }
}
template <int N, int KIND, class T>
GR_DEV void fetch_right(T (&v)[N], const T* __restrict__ x, const Implicit<KIND>& p, i64 j, Triple column, i64 k0, i64 end) {
  Triple k = p.along(k0);
  GR_UNROLL
  for (int e = 0; e < N; e++) {
    const i64 at = j < p.columns() && k0 + e < end ? p.right(k, column) : -1;
    v[e] = at >= 0 ? x[at] : narrow<T>(0.f);
    p.next(k);
  }
}
template <int KIND, class T, class Out>
GR_DEV void store(float v, int i, i64 j, const Implicit<KIND>& p, const T* bias, Out* out) {
  if (i >= p.rows() || j >= p.columns()) return;
  if (KIND == FORWARD && bias) v += widen(bias[p.group * p.g.outputs + i]);
  out[p.result(i, p.column(j))] = narrow<Out>(v);
}

// ---- f32: 64×64 of the result, 16 of k, a thread 4×4 ------------------------------------------------------------------------------

struct Simt {
  float left[16][68], right[16][68];
};
template <int KIND> GR_DEV void simt(const float* left, const float* right, const float* bias, float* out, const Conv& g, Simt& tile) {
  const Implicit<KIND> p = {g, (int)blockIdx.z / g.pieces};
  const int t = threadIdx.x, piece = blockIdx.z % g.pieces, i0 = blockIdx.y * 64, tx = (t & 15) * 4, ty = (t >> 4) * 4;
  const i64 j0 = (i64)blockIdx.x * 64, begin = p.depth() * piece / g.pieces, end = p.depth() * (piece + 1) / g.pieces;
  const i64 j = j0 + (t & 63);
  const Triple column = p.column(j);
  float sum[4][4] = {}, a[4], b[4];
  for (i64 k0 = begin; k0 < end; k0 += 16) {
    fetch_left<4>(a, left, p, i0 + (t >> 2), k0 + (t & 3) * 4, end);
    fetch_right<4>(b, right, p, j, column, k0 + (t >> 6) * 4, end);
    gr_sync(); // everybody is done with the tile before
    GR_UNROLL
    for (int e = 0; e < 4; e++) {
      tile.left[(t & 3) * 4 + e][t >> 2] = a[e];
      tile.right[(t >> 6) * 4 + e][t & 63] = b[e];
    }
    gr_sync();
    GR_UNROLL
    for (int k = 0; k < 16; k++) {
      const float4 u = *(const float4*)&tile.left[k][ty], v = *(const float4*)&tile.right[k][tx];
      const float us[4] = {u.x, u.y, u.z, u.w}, vs[4] = {v.x, v.y, v.z, v.w};
      GR_UNROLL
      for (int x = 0; x < 4; x++)
        GR_UNROLL
        for (int y = 0; y < 4; y++) sum[x][y] = fmaf(us[x], vs[y], sum[x][y]);
    }
  }
  if (KIND == WEIGHT) out += (i64)piece * g.groups * g.outputs * p.columns();
  GR_UNROLL
  for (int x = 0; x < 4; x++)
    GR_UNROLL
    for (int y = 0; y < 4; y++) store(sum[x][y], i0 + ty + x, j0 + tx + y, p, bias, out);
}

// ---- bf16 and f16: 64×64 of the result, 32 of k, 8 warps of 32×16 ----------------------------------------------------------------

GR_DEV u8* place(u8* tile, int line, int chunk) { return tile + line * 64 + ((chunk ^ (line >> 1 & 3)) << 4); }

template <int KIND, class T, class Out> GR_DEV void tensor(const T* left, const T* right, const T* bias, Out* out, const Conv& g, u8* shared) {
  const Implicit<KIND> p = {g, (int)blockIdx.z / g.pieces};
  const int t = threadIdx.x, warp = t >> 5, lane = t & 31, piece = blockIdx.z % g.pieces, i0 = blockIdx.y * 64;
  const i64 j0 = (i64)blockIdx.x * 64, begin = p.depth() * piece / g.pieces, end = p.depth() * (piece + 1) / g.pieces;
  const i64 j = j0 + (t & 63);
  const Triple column = p.column(j);
  u8 *left_tile = shared, *right_tile = shared + 4096;
  const int row0 = (warp & 1) * 32, column0 = (warp >> 1) * 16;
  float sum[2][2][4];
  GR_UNROLL
  for (int i = 0; i < 2; i++)
    GR_UNROLL
    for (int n = 0; n < 2; n++)
      GR_UNROLL
      for (int e = 0; e < 4; e++) sum[i][n][e] = 0.f;
  for (i64 k0 = begin; k0 < end; k0 += 32) {
    Pack<T> a, b;
    fetch_left<8>(a.at, left, p, i0 + (t >> 2), k0 + (t & 3) * 8, end);
    fetch_right<8>(b.at, right, p, j, column, k0 + (t >> 6) * 8, end);
    gr_sync();
    store_pack((T*)place(left_tile, t >> 2, t & 3), a);
    store_pack((T*)place(right_tile, t & 63, t >> 6), b);
    gr_sync();
    GR_UNROLL
    for (int half = 0; half < 2; half++) {
      u32 fb[4];
      gr_load_matrix(fb, place(right_tile, column0 + (lane >> 4) * 8 + (lane & 7), half * 2 + (lane >> 3 & 1)));
      GR_UNROLL
      for (int i = 0; i < 2; i++) {
        u32 fa[4];
        gr_load_matrix(fa, place(left_tile, row0 + i * 16 + (lane & 15), half * 2 + (lane >> 4)));
        mma((const T*)0, sum[i][0], fa, fb[0], fb[1]);
        mma((const T*)0, sum[i][1], fa, fb[2], fb[3]);
      }
    }
  }
  if (KIND == WEIGHT) out += (i64)piece * g.groups * g.outputs * p.columns();
  GR_UNROLL
  for (int i = 0; i < 2; i++)
    GR_UNROLL
    for (int n = 0; n < 2; n++)
      GR_UNROLL
      for (int e = 0; e < 4; e++)
        store(sum[i][n][e], i0 + row0 + i * 16 + lane / 4 + e / 2 * 8, j0 + column0 + n * 8 + lane % 4 * 2 + e % 2, p, bias, out);
}

GR_KERNEL_OF(conv_forward, f32, float) { __shared__ __align__(16) Simt tile; simt<FORWARD>(w, x, bias, y, g, tile); }
GR_KERNEL_OF(conv_data, f32, float) { __shared__ __align__(16) Simt tile; simt<DATA>(w, dy, (const float*)0, dx, g, tile); }
GR_KERNEL_OF(conv_weight, f32, float) { __shared__ __align__(16) Simt tile; simt<WEIGHT>(dy, x, (const float*)0, parts, g, tile); }
#define TENSOR(suffix, type) \
  GR_KERNEL_OF(conv_forward, suffix, type) { __shared__ __align__(16) u8 tile[8192]; tensor<FORWARD>(w, x, bias, y, g, tile); } \
  GR_KERNEL_OF(conv_data, suffix, type) { __shared__ __align__(16) u8 tile[8192]; tensor<DATA>(w, dy, (const type*)0, dx, g, tile); } \
  GR_KERNEL_OF(conv_weight, suffix, type) { __shared__ __align__(16) u8 tile[8192]; tensor<WEIGHT>(dy, x, (const type*)0, parts, g, tile); }
TENSOR(bf16, Bf16)
TENSOR(f16, F16)
