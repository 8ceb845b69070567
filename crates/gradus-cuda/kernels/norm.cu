// Layer, RMS and batch normalisation, forward beside backward.
//
// x̂ = (x − mean)·rstd, y = x̂·w + b. With g = dy·w, over the n elements that share their statistics:
// dx = rstd·(g − mean(g) − x̂·mean(g·x̂)), dw = Σ dy·x̂, db = Σ dy. Variances are taken in two passes (the mean first): the second pass
// finds the row in L2, and a large mean costs no digits. Sums are in f32, in a fixed order.
#include "reduce.cuh"

template <class T> GR_DEV float or_else(const T* p, i64 i, float otherwise) { return p ? widen(p[i]) : otherwise; }

// ---- rows: layer norm, and RMS norm where `mean` is null -----------------------------------------------------------------------

GR_FLOAT_KERNELS(norm_rows,
  __shared__ float scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* p = x + row * n;
    float mu = 0.f; float square = 0.f;
    if (mean) {
      each_of_row(p, n, [&](int, float v) { mu += v; });
      mu = block_reduce<Sum>(mu, scratch) / (float)n;
    }
    each_of_row(p, n, [&](int, float v) { square += (v - mu) * (v - mu); });
    const float r = 1.f / sqrtf(block_reduce<Sum>(square, scratch) / (float)n + eps);
    if (threadIdx.x == 0) {
      if (mean) mean[row] = mu;
      rstd[row] = r;
    }
    map_row(p, y + row * n, n, [&](int i, float v) { return (v - mu) * r * or_else(w, i, 1.f) + or_else(b, i, 0.f); });
  })

GR_FLOAT_KERNELS(norm_rows_backward,
  __shared__ float scratch[32];
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const i64 at = row * n;
    const float mu = mean ? mean[row] : 0.f; const float r = rstd[row];
    float sum = 0.f; float dot = 0.f;
    each_of_rows(dy + at, x + at, n, [&](int i, float d, float v) {
      const float g = d * or_else(w, i, 1.f);
      sum += g;
      dot += g * (v - mu) * r;
    });
    sum = block_reduce<Sum>(sum, scratch);
    dot = block_reduce<Sum>(dot, scratch) / (float)n;
    const float shift = mean ? sum / (float)n : 0.f;
    map_rows(dy + at, x + at, dx + at, n, [&](int i, float d, float v) {
      return r * (d * or_else(w, i, 1.f) - shift - (v - mu) * r * dot);
    });
  })

// Sums for w and b of a piece of the rows: dw (pieces, n), db (pieces, n). A thread has a column; the pieces are added up after.
GR_FLOAT_KERNELS(norm_rows_parameters,
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    const i64 first = rows * blockIdx.y / gridDim.y; const i64 last = rows * (blockIdx.y + 1) / gridDim.y;
    float sum = 0.f; float dot = 0.f;
    for (i64 row = first; row < last; row++) {
      float g = widen(dy[row * n + i]);
      sum += g;
      dot += g * (widen(x[row * n + i]) - (mean ? mean[row] : 0.f)) * rstd[row];
    }
    dw[(i64)blockIdx.y * n + i] = dot;
    db[(i64)blockIdx.y * n + i] = sum;
  })

// ---- channels: batch norm of x (N, C, S) -------------------------------------------------------------------------------------

// Element k of channel c, 0 ≤ k < N·S, in the order of memory.
GR_DEV i64 in_channel(i64 k, int c, int channels, i64 s) { return (k / s * channels + c) * s + k % s; }

GR_FLOAT_KERNELS(batch_norm_statistics,
  __shared__ float scratch[32];
  const i64 n = batch * s; const int c = blockIdx.x;
  float mu = 0.f; float square = 0.f;
  for (i64 k = threadIdx.x; k < n; k += blockDim.x) mu += widen(x[in_channel(k, c, channels, s)]);
  mu = block_reduce<Sum>(mu, scratch) / (float)n;
  for (i64 k = threadIdx.x; k < n; k += blockDim.x) {
    float d = widen(x[in_channel(k, c, channels, s)]) - mu;
    square += d * d;
  }
  square = block_reduce<Sum>(square, scratch) / (float)n;
  if (threadIdx.x == 0) { mean[c] = mu; var[c] = square; })

GR_FLOAT_KERNELS(batch_norm,
  for (i64 i = grid_index(); i < batch * channels * s; i += grid_size()) {
    const int c = (int)(i / s % channels);
    y[i] = narrow<T>((widen(x[i]) - mean[c]) * rstd[c] * or_else(w, c, 1.f) + or_else(b, c, 0.f));
  })

GR_FLOAT_KERNELS(batch_norm_sums,
  __shared__ float scratch[32];
  const i64 n = batch * s; const int c = blockIdx.x;
  float sum = 0.f; float dot = 0.f;
  for (i64 k = threadIdx.x; k < n; k += blockDim.x) {
    const i64 at = in_channel(k, c, channels, s);
    float g = widen(dy[at]);
    sum += g;
    dot += g * (widen(x[at]) - mean[c]) * rstd[c];
  }
  sum = block_reduce<Sum>(sum, scratch);
  dot = block_reduce<Sum>(dot, scratch);
  if (threadIdx.x == 0) { db[c] = sum; dw[c] = dot; })

// In evaluation the statistics do not depend on x, and the sums' share is 0.
GR_FLOAT_KERNELS(batch_norm_backward,
  const float share = training ? 1.f / (float)(batch * s) : 0.f;
  for (i64 i = grid_index(); i < batch * channels * s; i += grid_size()) {
    const int c = (int)(i / s % channels);
    const float r = rstd[c];
    dx[i] = narrow<T>(r * or_else(w, c, 1.f) * (widen(dy[i]) - db[c] * share - (widen(x[i]) - mean[c]) * r * dw[c] * share));
  })

// ---- channels fastest in memory: x (rows, C), a row for each pixel -----------------------------------------------------------------
//
// A block has 32 channels, a lane each, and a piece of the rows, which its eight warps share; the pieces are joined after, in order.

GR_DEV float over_warps(float v, float (*scratch)[32]) {
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  scratch[warp][lane] = v;
  gr_sync();
  float sum = 0.f;
  GR_UNROLL
  for (int w = 0; w < 8; w++) sum += scratch[w][lane];
  gr_sync(); // the scratch may be used again
  return sum;
}
GR_DEV i64 piece_begin(i64 rows, int piece, int pieces) { return rows * piece / pieces; }

// parts (pieces, 2, C): the mean of a piece, and Σ (x − mean)².
GR_FLOAT_KERNELS(channel_statistics,
  __shared__ float scratch[8][32];
  const int c = blockIdx.x * 32 + (threadIdx.x & 31);
  const i64 first = piece_begin(rows, blockIdx.y, gridDim.y); const i64 last = piece_begin(rows, blockIdx.y + 1, gridDim.y);
  const i64 end = c < channels ? last : first;
  float mu = 0.f; float square = 0.f;
  for (i64 r = first + (threadIdx.x >> 5); r < end; r += 8) mu += widen(x[r * channels + c]);
  mu = over_warps(mu, scratch) / (float)(last - first);
  for (i64 r = first + (threadIdx.x >> 5); r < end; r += 8) {
    const float d = widen(x[r * channels + c]) - mu;
    square += d * d;
  }
  square = over_warps(square, scratch);
  if (c < channels && threadIdx.x < 32) {
    parts[2 * (i64)blockIdx.y * channels + c] = mu;
    parts[(2 * (i64)blockIdx.y + 1) * channels + c] = square;
  })
// Chan, Golub and LeVeque: two groups of n and m numbers have together the squares of both, and n·m/(n + m) times the means' distance squared.
GR_KERNEL(channel_statistics_join) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  float n = 0.f, mu = 0.f, square = 0.f;
  for (int p = 0; p < pieces; p++) {
    const float m = (float)(piece_begin(rows, p + 1, pieces) - piece_begin(rows, p, pieces));
    const float apart = parts[2 * (i64)p * channels + c] - mu, share = m / (n + m);
    mu += apart * share;
    square += parts[(2 * (i64)p + 1) * channels + c] + apart * apart * n * share;
    n += m;
  }
  mean[c] = mu;
  var[c] = square / (float)rows;
}
// dw (pieces, C) = Σ dy·x̂, db (pieces, C) = Σ dy of a piece.
GR_FLOAT_KERNELS(channel_sums,
  __shared__ float scratch[8][32];
  const int c = blockIdx.x * 32 + (threadIdx.x & 31);
  const i64 last = c < channels ? piece_begin(rows, blockIdx.y + 1, gridDim.y) : 0;
  const float mu = c < channels ? mean[c] : 0.f; const float r = c < channels ? rstd[c] : 0.f;
  float sum = 0.f; float dot = 0.f;
  for (i64 row = piece_begin(rows, blockIdx.y, gridDim.y) + (threadIdx.x >> 5); row < last; row += 8) {
    const float g = widen(dy[row * channels + c]);
    sum += g;
    dot += g * (widen(x[row * channels + c]) - mu) * r;
  }
  sum = over_warps(sum, scratch);
  dot = over_warps(dot, scratch);
  if (c < channels && threadIdx.x < 32) {
    dw[(i64)blockIdx.y * channels + c] = dot;
    db[(i64)blockIdx.y * channels + c] = sum;
  })
