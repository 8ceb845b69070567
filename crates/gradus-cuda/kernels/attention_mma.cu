// Flash attention by tensor cores: forward, and the gradients in two passes, for bf16 and f16 and widths of 64 and 128.
//
// A block of 4 warps has 64 rows, a warp 16 of them. Forward: 64 queries stay in shared memory, tiles of 64 keys and values come by (the
// next under way while one is used); a tile's scores stay in registers, where their exponentials are already the left operand
// of the product with the values. Backward: dk and dv by blocks of keys that walk the queries, dq by blocks of queries that walk the
// keys. That computes the scores twice, and in return no block adds to another's result: the same bits at every run, no atomics.
#include "attention.cuh"

#define ROWS 64
// Rows of queries that walk by in the pass for dk and dv: fewer at width 128, where two sums of 16×128 fill the registers.
template <int D> struct Walk { static const int Q = D == 64 ? 64 : 32; };

template <int D, class T>
GR_DEV void forward(const T* q, const T* k, const T* v, T* y, float* lse, const Attention& a, u8* shared) {
  const int TILE = ROWS * D * 2;
  u8 *q_tile = shared, *k_tiles = shared + TILE, *v_tiles = shared + 3 * TILE;
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  // Later blocks of a causal triangle have more to do: they go first.
  const int block = a.causal ? gridDim.x - 1 - blockIdx.x : blockIdx.x, first = block * ROWS;
  const int h = blockIdx.y % a.heads, b = blockIdx.y / a.heads, kh = h / (a.heads / a.key_heads);
  q += row_of(a.q, b, h, 0), k += row_of(a.k, b, kh, 0), v += row_of(a.v, b, kh, 0);
  int tiles = (a.keys + ROWS - 1) / ROWS;
  if (a.causal && block + 1 < tiles) tiles = block + 1;

  float out[D / 8][4], max[2] = {-GR_INFINITY, -GR_INFINITY}, sum[2] = {0.f, 0.f};
  clear(out);
  const float scale2 = a.scale * LOG2E;
  load_rows<D, ROWS>(q_tile, q, a.q[2], first, a.queries);
  load_rows<D, ROWS>(k_tiles, k, a.k[2], 0, a.keys);
  load_rows<D, ROWS>(v_tiles, v, a.v[2], 0, a.keys);
  gr_copy_commit();
  for (int tile = 0; tile < tiles; tile++) {
    if (tile + 1 < tiles) {
      load_rows<D, ROWS>(k_tiles + (tile + 1 & 1) * TILE, k, a.k[2], (tile + 1) * ROWS, a.keys);
      load_rows<D, ROWS>(v_tiles + (tile + 1 & 1) * TILE, v, a.v[2], (tile + 1) * ROWS, a.keys);
    }
    gr_copy_commit();
    gr_copy_wait<1>();
    gr_sync();
    float s[ROWS / 8][4];
    clear(s);
    product_along<D, ROWS / 8, T>(s, q_tile, warp * 16, k_tiles + (tile & 1) * TILE);
    const int row0 = first + warp * 16 + lane / 4;
    if ((a.causal && tile == block) || (tile + 1) * ROWS > a.keys) {
      GR_UNROLL
      for (int n = 0; n < ROWS / 8; n++)
        GR_UNROLL
        for (int e = 0; e < 4; e++) {
          const int column = tile * ROWS + n * 8 + lane % 4 * 2 + (e & 1), row = row0 + (e >> 1) * 8;
          if (column >= a.keys || (a.causal && column > row)) s[n][e] = -GR_INFINITY;
        }
    }
    GR_UNROLL
    for (int half = 0; half < 2; half++) { // the lane's two rows; a row's columns are in four neighbouring lanes
      float m = max[half];
      GR_UNROLL
      for (int n = 0; n < ROWS / 8; n++) m = gr_max(m, gr_max(s[n][2 * half], s[n][2 * half + 1]));
      m = gr_max(m, gr_shuffle_xor(m, 1));
      m = gr_max(m, gr_shuffle_xor(m, 2));
      const float shift = m == -GR_INFINITY ? 0.f : m * scale2, keep = gr_exp2(max[half] * scale2 - shift);
      sum[half] *= keep;
      max[half] = m;
      GR_UNROLL
      for (int n = 0; n < D / 8; n++) { out[n][2 * half] *= keep; out[n][2 * half + 1] *= keep; }
      GR_UNROLL
      for (int n = 0; n < ROWS / 8; n++)
        GR_UNROLL
        for (int e = 2 * half; e < 2 * half + 2; e++) {
          s[n][e] = gr_exp2(fmaf(s[n][e], scale2, -shift));
          sum[half] += s[n][e];
        }
    }
    product_across<D, ROWS / 8, T>(out, s, v_tiles + (tile & 1) * TILE);
    gr_sync(); // the tile may be overwritten
  }
  float inverse[2];
  GR_UNROLL
  for (int half = 0; half < 2; half++) {
    sum[half] += gr_shuffle_xor(sum[half], 1);
    sum[half] += gr_shuffle_xor(sum[half], 2);
    inverse[half] = tiles == 0 ? 0.f : 1.f / sum[half];
    const int row = first + warp * 16 + lane / 4 + half * 8;
    if (lane % 4 == 0 && row < a.queries) lse[(i64)blockIdx.y * a.queries + row] = max[half] * a.scale + logf(sum[half]);
  }
  store_rows<D>(out, inverse[0], inverse[1], y + out_row(b, h, 0, a.heads, a.queries, D), (i64)a.heads * D, first + warp * 16, a.queries);
}

// Probabilities and score gradients of a 16 × 8·N tile, in place: s becomes p, dp becomes p·(dp − delta)·scale. `row` and `column` say where
// element (n, e) is in terms of query and key; rows and keys past the ends give 0.
template <int N, bool KEYS_ARE_ROWS>
GR_DEV void to_gradients(float (&s)[N][4], float (&dp)[N][4], const float* lse, const float* delta, int row0, int column0, const Attention& a) {
  const int lane = threadIdx.x & 31;
  GR_UNROLL
  for (int n = 0; n < N; n++)
    GR_UNROLL
    for (int e = 0; e < 4; e++) {
      const int r = row0 + lane / 4 + (e >> 1) * 8, c = column0 + n * 8 + lane % 4 * 2 + (e & 1);
      const int t = KEYS_ARE_ROWS ? c : r, key = KEYS_ARE_ROWS ? r : c;
      const bool seen = t < a.queries && key < a.keys && !(a.causal && key > t);
      const float p = seen ? gr_exp2((s[n][e] * a.scale - lse[t]) * LOG2E) : 0.f;
      s[n][e] = p;
      dp[n][e] = seen ? p * (dp[n][e] - delta[t]) * a.scale : 0.f;
    }
}

template <int D, class T>
GR_DEV void backward_q(const T* dy, const T* q, const T* k, const T* v, const float* lse, const float* delta, T* dq, const Attention& a,
                       u8* shared) {
  const int TILE = ROWS * D * 2, N = ROWS / 8;
  u8 *q_tile = shared, *g_tile = shared + TILE, *k_tile = shared + 2 * TILE, *v_tile = shared + 3 * TILE;
  const int warp = threadIdx.x >> 5, block = a.causal ? gridDim.x - 1 - blockIdx.x : blockIdx.x, first = block * ROWS;
  const int h = blockIdx.y % a.heads, b = blockIdx.y / a.heads, kh = h / (a.heads / a.key_heads);
  q += row_of(a.q, b, h, 0), k += row_of(a.k, b, kh, 0), v += row_of(a.v, b, kh, 0), dy += row_of(a.dy, b, h, 0);
  lse += (i64)blockIdx.y * a.queries, delta += (i64)blockIdx.y * a.queries;
  int tiles = (a.keys + ROWS - 1) / ROWS;
  if (a.causal && block + 1 < tiles) tiles = block + 1;
  float sum[D / 8][4];
  clear(sum);
  load_rows<D, ROWS>(q_tile, q, a.q[2], first, a.queries);
  load_rows<D, ROWS>(g_tile, dy, a.dy[2], first, a.queries);
  for (int tile = 0; tile < tiles; tile++) {
    load_rows<D, ROWS>(k_tile, k, a.k[2], tile * ROWS, a.keys);
    load_rows<D, ROWS>(v_tile, v, a.v[2], tile * ROWS, a.keys);
    gr_copy_commit();
    gr_copy_wait<0>();
    gr_sync();
    float s[N][4], dp[N][4];
    clear(s);
    clear(dp);
    product_along<D, N, T>(s, q_tile, warp * 16, k_tile);
    product_along<D, N, T>(dp, g_tile, warp * 16, v_tile);
    to_gradients<N, false>(s, dp, lse, delta, first + warp * 16, tile * ROWS, a);
    product_across<D, N, T>(sum, dp, k_tile);
    gr_sync();
  }
  gr_copy_commit();
  gr_copy_wait<0>();
  store_rows<D>(sum, 1.f, 1.f, dq + out_row(b, h, 0, a.heads, a.queries, D), (i64)a.heads * D, first + warp * 16, a.queries);
}

template <int D, class T>
GR_DEV void backward_kv(const T* dy, const T* q, const T* k, const T* v, const float* lse, const float* delta, T* dk, T* dv,
                        const Attention& a, u8* shared) {
  const int TILE = ROWS * D * 2, Q = Walk<D>::Q, Q_TILE = Q * D * 2, N = Q / 8;
  u8 *k_tile = shared, *v_tile = shared + TILE, *q_tile = shared + 2 * TILE, *g_tile = q_tile + Q_TILE;
  const int warp = threadIdx.x >> 5, first = blockIdx.x * ROWS, kh = blockIdx.y % a.key_heads, b = blockIdx.y / a.key_heads;
  const int shared_by = a.heads / a.key_heads, tiles = (a.queries + Q - 1) / Q, start = a.causal ? first / Q : 0;
  float sum_k[D / 8][4], sum_v[D / 8][4];
  clear(sum_k);
  clear(sum_v);
  load_rows<D, ROWS>(k_tile, k + row_of(a.k, b, kh, 0), a.k[2], first, a.keys);
  load_rows<D, ROWS>(v_tile, v + row_of(a.v, b, kh, 0), a.v[2], first, a.keys);
  for (int h = kh * shared_by; h < (kh + 1) * shared_by; h++) {
    const i64 rows = ((i64)b * a.heads + h) * a.queries;
    for (int tile = start; tile < tiles; tile++) {
      load_rows<D, Q>(q_tile, q + row_of(a.q, b, h, 0), a.q[2], tile * Q, a.queries);
      load_rows<D, Q>(g_tile, dy + row_of(a.dy, b, h, 0), a.dy[2], tile * Q, a.queries);
      gr_copy_commit();
      gr_copy_wait<0>();
      gr_sync();
      float s[N][4], dp[N][4]; // keys are the rows here
      clear(s);
      clear(dp);
      product_along<D, N, T>(s, k_tile, warp * 16, q_tile);
      product_along<D, N, T>(dp, v_tile, warp * 16, g_tile);
      to_gradients<N, true>(s, dp, lse + rows, delta + rows, first + warp * 16, tile * Q, a);
      product_across<D, N, T>(sum_v, s, g_tile);
      product_across<D, N, T>(sum_k, dp, q_tile);
      gr_sync();
    }
  }
  gr_copy_commit();
  gr_copy_wait<0>();
  const i64 to = out_row(b, kh, 0, a.key_heads, a.keys, D), stride = (i64)a.key_heads * D;
  store_rows<D>(sum_k, 1.f, 1.f, dk + to, stride, first + warp * 16, a.keys);
  store_rows<D>(sum_v, 1.f, 1.f, dv + to, stride, first + warp * 16, a.keys);
}

#define KERNELS(D, suffix, type) \
  GR_KERNEL_OF(attention_mma_##D, suffix, type) { GR_DYNAMIC_SHARED(shared); forward<D, type>(q, k, v, y, lse, a, shared); } \
  GR_KERNEL_OF(attention_mma_dq_##D, suffix, type) { GR_DYNAMIC_SHARED(shared); backward_q<D, type>(dy, q, k, v, lse, delta, dq, a, shared); } \
  GR_KERNEL_OF(attention_mma_dkv_##D, suffix, type) { GR_DYNAMIC_SHARED(shared); backward_kv<D, type>(dy, q, k, v, lse, delta, dk, dv, a, shared); }
KERNELS(64, bf16, Bf16)
KERNELS(64, f16, F16)
KERNELS(128, bf16, Bf16)
KERNELS(128, f16, F16)
