// Attention without tensor cores: any float type, any width up to 256, with a mask. A warp has a query (or, for dk and dv, a key) and
// walks the other side. This is the readable form, what f32 runs on, and what the tensor-core kernels are tested beside.
#include "attention.cuh"

#define SLOTS 8 // elements of a row a lane holds: 32·8 = 256

template <class T> GR_DEV void load_row(float (&r)[SLOTS], const T* p, int width) {
  const int lane = threadIdx.x & 31;
  GR_UNROLL
  for (int i = 0; i < SLOTS; i++) r[i] = lane + 32 * i < width ? widen(p[lane + 32 * i]) : 0.f;
}
GR_DEV float dot(const float (&a)[SLOTS], const float (&b)[SLOTS]) {
  float s = 0.f;
  GR_UNROLL
  for (int i = 0; i < SLOTS; i++) s = fmaf(a[i], b[i], s);
  return warp_reduce<Sum>(s);
}
template <class T> GR_DEV void store_row(T* p, const float (&r)[SLOTS], float scale, int width) {
  const int lane = threadIdx.x & 31;
  GR_UNROLL
  for (int i = 0; i < SLOTS; i++)
    if (lane + 32 * i < width) p[lane + 32 * i] = narrow<T>(r[i] * scale);
}
template <class T> GR_DEV float score(float product, const T* mask, const Attention& a, int b, int h, int t, int s) {
  return product * a.scale + (mask ? widen(mask[b * a.mask[0] + h * a.mask[1] + t * a.mask[2] + s * a.mask[3]]) : 0.f);
}
#define CLEAR(r) GR_UNROLL for (int i = 0; i < SLOTS; i++) r[i] = 0.f;

GR_FLOAT_KERNELS(attention_simt,
  const i64 row = ((i64)blockIdx.x * blockDim.x + threadIdx.x) >> 5; // of (B, H, T)
  if (row >= (i64)a.batch * a.heads * a.queries) return;
  const int t = (int)(row % a.queries); const int h = (int)(row / a.queries % a.heads); const int b = (int)(row / a.queries / a.heads);
  const int kh = h / (a.heads / a.key_heads); const int seen = a.causal && t + 1 < a.keys ? t + 1 : a.keys;
  float qr[SLOTS]; float other[SLOTS]; float out[SLOTS];
  CLEAR(out)
  load_row(qr, q + row_of(a.q, b, h, t), a.width);
  float max = -GR_INFINITY; float sum = 0.f;
  for (int s = 0; s < seen; s++) {
    load_row(other, k + row_of(a.k, b, kh, s), a.width);
    const float x = score(dot(qr, other), mask, a, b, h, t, s); const float m = gr_max(max, x);
    const float keep = max == -GR_INFINITY ? 0.f : expf(max - m); const float p = m == -GR_INFINITY ? 0.f : expf(x - m);
    load_row(other, v + row_of(a.v, b, kh, s), a.width);
    sum = sum * keep + p;
    GR_UNROLL
    for (int i = 0; i < SLOTS; i++) out[i] = out[i] * keep + p * other[i];
    max = m;
  }
  // No key at all gives 0; keys that are all hidden give NaN, as in PyTorch.
  store_row(y + out_row(b, h, t, a.heads, a.queries, a.width), out, seen == 0 ? 0.f : 1.f / sum, a.width);
  if ((threadIdx.x & 31) == 0) lse[row] = max + logf(sum);)

// delta (B, H, T) = Σ dy·y of each row.
GR_FLOAT_KERNELS(attention_delta,
  const i64 row = ((i64)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
  if (row >= (i64)a.batch * a.heads * a.queries) return;
  const int t = (int)(row % a.queries); const int h = (int)(row / a.queries % a.heads); const int b = (int)(row / a.queries / a.heads);
  float g[SLOTS]; float o[SLOTS];
  load_row(g, dy + row_of(a.dy, b, h, t), a.width);
  load_row(o, y + out_row(b, h, t, a.heads, a.queries, a.width), a.width);
  const float d = dot(g, o);
  if ((threadIdx.x & 31) == 0) delta[row] = d;)

// dq = Σ_s ds·k, ds = p·(dy·v − delta)·scale: a warp a query.
GR_FLOAT_KERNELS(attention_simt_dq,
  const i64 row = ((i64)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
  if (row >= (i64)a.batch * a.heads * a.queries) return;
  const int t = (int)(row % a.queries); const int h = (int)(row / a.queries % a.heads); const int b = (int)(row / a.queries / a.heads);
  const int kh = h / (a.heads / a.key_heads); const int seen = a.causal && t + 1 < a.keys ? t + 1 : a.keys;
  float qr[SLOTS]; float g[SLOTS]; float kr[SLOTS]; float vr[SLOTS]; float sum[SLOTS];
  CLEAR(sum)
  load_row(qr, q + row_of(a.q, b, h, t), a.width);
  load_row(g, dy + row_of(a.dy, b, h, t), a.width);
  for (int s = 0; s < seen; s++) {
    load_row(kr, k + row_of(a.k, b, kh, s), a.width);
    load_row(vr, v + row_of(a.v, b, kh, s), a.width);
    const float p = expf(score(dot(qr, kr), mask, a, b, h, t, s) - lse[row]); const float ds = p * (dot(g, vr) - delta[row]) * a.scale;
    GR_UNROLL
    for (int i = 0; i < SLOTS; i++) sum[i] = fmaf(ds, kr[i], sum[i]);
  }
  store_row(dq + out_row(b, h, t, a.heads, a.queries, a.width), sum, 1.f, a.width);)

// dk = Σ ds·q, dv = Σ p·dy over the queries of all heads that share the key: a warp a key.
GR_FLOAT_KERNELS(attention_simt_dkv,
  const i64 row = ((i64)blockIdx.x * blockDim.x + threadIdx.x) >> 5; // of (B, K, S)
  if (row >= (i64)a.batch * a.key_heads * a.keys) return;
  const int s = (int)(row % a.keys); const int kh = (int)(row / a.keys % a.key_heads); const int b = (int)(row / a.keys / a.key_heads);
  const int shared_by = a.heads / a.key_heads;
  float kr[SLOTS]; float vr[SLOTS]; float qr[SLOTS]; float g[SLOTS]; float sum_k[SLOTS]; float sum_v[SLOTS];
  CLEAR(sum_k)
  CLEAR(sum_v)
  load_row(kr, k + row_of(a.k, b, kh, s), a.width);
  load_row(vr, v + row_of(a.v, b, kh, s), a.width);
  for (int h = kh * shared_by; h < (kh + 1) * shared_by; h++)
    for (int t = a.causal ? s : 0; t < a.queries; t++) {
      const i64 at = ((i64)b * a.heads + h) * a.queries + t;
      load_row(qr, q + row_of(a.q, b, h, t), a.width);
      load_row(g, dy + row_of(a.dy, b, h, t), a.width);
      const float p = expf(score(dot(qr, kr), mask, a, b, h, t, s) - lse[at]); const float ds = p * (dot(g, vr) - delta[at]) * a.scale;
      GR_UNROLL
      for (int i = 0; i < SLOTS; i++) {
        sum_k[i] = fmaf(ds, qr[i], sum_k[i]);
        sum_v[i] = fmaf(p, g[i], sum_v[i]);
      }
    }
  const i64 to = out_row(b, kh, s, a.key_heads, a.keys, a.width);
  store_row(dk + to, sum_k, 1.f, a.width);
  store_row(dv + to, sum_v, 1.f, a.width);)
