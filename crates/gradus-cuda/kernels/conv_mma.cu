// Convolution and its two gradients on tensor cores, over images with channels fastest in memory (NHWC), from sm_80 on: bf16, f16,
// and f32 as TF32, where that is allowed.
//
// The same three products as in conv.cu, turned so that pixels are rows, and the sums run over channels first:
//   forward   y  (n, oh, ow; o) = Σ over r, s, c      x  (n, oh, ow; r, s, c) · w  (r, s, c; o)
//   data      dx (n, ih, iw; c) = Σ over r, s, o      dy (n, ih, iw; r, s, o) · w  (r, s, o; c)
//   weight    dw (o; r, s, c)   = Σ over n, oh, ow    dy (o; n, oh, ow)       · x  (n, oh, ow; r, s, c)
// x is (N, H, W, C), the weight (O, KH, KW, C): sixteen bytes of a row are channels of one pixel, and one cp.async brings them, or
// zeros where the tap meets the padding. What follows is the block's product of mma_tile.cuh.
//
// Of a data gradient with strides, a pixel meets only the taps of its phase (its place modulo the stride): a grid for each phase, in
// which no product is with a zero that is known before. Channels of both sides are whole chunks of 16 bytes, groups are one: what is
// otherwise is conv.cu's. Sources: NVIDIA's CUTLASS (implicit GEMM); Chetlur et al., "cuDNN" (2014).
#include "conv.cuh"
#include "mma_tile.cuh"

// The taps that a pixel meets along an axis: every `step`-th from `first` on; from one to the next, what they meet lies `move` further.
struct Taps { int first, step, count, move; };

GR_DEV Taps all_taps(const Conv& g, int d) {
  const Taps t = {0, 1, g.kernel[d], g.dilation[d]};
  return t;
}
// The first tap from r on by which the input at `phase` (plus any strides) meets an output.
GR_DEV int next_tap(const Conv& g, int d, int phase, int r) {
  while (r < g.kernel[d] && (phase + g.padding[d] - r * g.dilation[d]) % g.stride[d]) r++;
  return r;
}
GR_DEV Taps taps_of_phase(const Conv& g, int d, int phase) {
  Taps t = {next_tap(g, d, phase, 0), 1, 0, 0};
  if (t.first == g.kernel[d]) return t;
  t.step = next_tap(g, d, phase, t.first + 1) - t.first;
  t.count = (g.kernel[d] - t.first + t.step - 1) / t.step;
  t.move = -(t.step * g.dilation[d] / g.stride[d]);
  return t;
}

// A place along r, s and channels.
struct Cursor { int r, s, c; };
GR_DEV void advance(Cursor& k, int by, int channels, int columns) {
  k.c += by;
  while (k.c >= channels) {
    k.c -= channels;
    if (++k.s == columns) { k.s = 0; k.r++; }
  }
}
// Two neighbours of a row.
GR_DEV void store_two(float* p, float a, float b) { *(float2*)p = make_float2(a, b); }
GR_DEV void store_two(Bf16* p, float a, float b) { *(u32*)p = pack2<Bf16>(a, b); }
GR_DEV void store_two(F16* p, float a, float b) { *(u32*)p = pack2<F16>(a, b); }

// y from x, or (DATA) dx from dy: the pixels of `out` gather from those of `source`.
template <bool DATA, class T>
GR_DEV void pixels(const T* __restrict__ source, const T* __restrict__ w, const T* __restrict__ bias, T* __restrict__ out, const Conv& g, u8* shared) {
  const int N = Pack<T>::N, K = StepOf<T>::K;
  const int channels = DATA ? g.outputs : g.channels, columns = DATA ? g.channels : g.outputs; // of the source; of the result
  const int height = DATA ? g.out[0] : g.in[0], width = DATA ? g.out[1] : g.in[1];             // of the source
  const int phase_h = DATA ? (int)blockIdx.y / g.stride[1] : 0, phase_w = DATA ? (int)blockIdx.y % g.stride[1] : 0;
  const int tall = DATA ? (g.in[0] - phase_h + g.stride[0] - 1) / g.stride[0] : g.out[0]; // pixels of the result, of this phase
  const int wide = DATA ? (g.in[1] - phase_w + g.stride[1] - 1) / g.stride[1] : g.out[1];
  const Taps th = DATA ? taps_of_phase(g, 0, phase_h) : all_taps(g, 0), tw = DATA ? taps_of_phase(g, 1, phase_w) : all_taps(g, 1);
  const int rows = g.batch * tall * wide, depth = th.count * tw.count * channels;
  // Blocks that run together share pixels, which are many, rather than the weight, which is small.
  const int tiles = (columns + 127) / 128, j0 = (int)(blockIdx.x % tiles) * 128, i0 = (int)(blockIdx.x / tiles) * 128;
  if (i0 >= rows) return;

  int image[2], h0[2], w0[2], line[2], chunk; // of the two rows whose chunks this thread brings: where the first tap lies
  GR_UNROLL
  for (int i = 0; i < 2; i++) {
    chunk_of_thread<T>(true, i, line[i], chunk);
    const int row = i0 + line[i], pixel = row % (tall * wide), a = pixel / wide, b = pixel % wide;
    image[i] = row < rows ? row / (tall * wide) * height : -1;
    h0[i] = DATA ? (phase_h + a * g.stride[0] + g.padding[0] - th.first * g.dilation[0]) / g.stride[0] : a * g.stride[0] - g.padding[0];
    w0[i] = DATA ? (phase_w + b * g.stride[1] + g.padding[1] - tw.first * g.dilation[1]) / g.stride[1] : b * g.stride[1] - g.padding[1];
  }
  // Of the weight, a thread brings two lines that are outputs of a tap, half a step apart.
  Cursor k = {0, 0, 0}, q = {0, 0, 0};
  int w_line, w_chunk;
  chunk_of_thread<T>(false, 0, w_line, w_chunk);
  advance(k, chunk * N, channels, tw.count);
  advance(q, w_line, channels, tw.count);

  float sum[4][4][4];
  multiply_tiles<T>(sum, true, !DATA, (depth + K - 1) / K, shared, [&](int step, u8* a_tile, u8* b_tile) {
    GR_UNROLL
    for (int i = 0; i < 2; i++) {
      const int h = h0[i] + k.r * th.move, v = w0[i] + k.s * tw.move;
      const bool inside = image[i] >= 0 && k.r < th.count && h >= 0 && h < height && v >= 0 && v < width;
      const T* p = inside ? source + ((i64)(image[i] + h) * width + v) * channels + k.c : source;
      gr_copy_async16(place<T>(a_tile, true, line[i], chunk), p, inside ? 16 : 0);
    }
    advance(k, K, channels, tw.count);
    GR_UNROLL
    for (int i = 0; DATA && i < 2; i++) {
      const int j = j0 + w_chunk * N, r = th.first + q.r * th.step, s = tw.first + q.s * tw.step;
      const bool inside = q.r < th.count && j < columns;
      const T* p = inside ? w + (((i64)q.c * g.kernel[0] + r) * g.kernel[1] + s) * columns + j : w;
      gr_copy_async16(place<T>(b_tile, false, w_line + i * (K / 2), w_chunk), p, inside ? 16 : 0);
      advance(q, K / 2, channels, tw.count);
    }
    if (!DATA) load_tile(b_tile, w, true, true, depth, j0, step * K, columns, depth);
  });

  GR_UNROLL
  for (int i = 0; i < 8; i++) {
    const int row = i0 + first_row() + i * 8;
    if (row >= rows) break;
    i64 pixel = row;
    if (DATA) {
      const int of = row / (tall * wide), rest = row % (tall * wide);
      pixel = ((i64)of * g.in[0] + phase_h + rest / wide * g.stride[0]) * g.in[1] + phase_w + rest % wide * g.stride[1];
    }
    GR_UNROLL
    for (int j = 0; j < 4; j++) {
      const int column = j0 + first_column() + j * 8;
      if (column >= columns) break;
      float a = sum[i / 2][j][i % 2 * 2], b = sum[i / 2][j][i % 2 * 2 + 1];
      if (!DATA && bias) { a += widen(bias[column]); b += column + 1 < columns ? widen(bias[column + 1]) : 0.f; }
      T* to = out + pixel * columns + column;
      if (columns % 2 == 0) store_two(to, a, b);
      else {
        *to = narrow<T>(a);
        if (column + 1 < columns) to[1] = narrow<T>(b);
      }
    }
  }
}

// A piece of dw, from x and dy: the sum runs over pixels, and both operands lie across it.
template <class T> GR_DEV void weights(const T* __restrict__ x, const T* __restrict__ dy, float* __restrict__ parts, const Conv& g, u8* shared) {
  const int N = Pack<T>::N, K = StepOf<T>::K, columns = g.kernel[0] * g.kernel[1] * g.channels, all = g.batch * g.out[0] * g.out[1];
  const int begin = (int)((i64)all * blockIdx.z / g.pieces), end = (int)((i64)all * (blockIdx.z + 1) / g.pieces);
  const int i0 = blockIdx.y * 128, j0 = blockIdx.x * 128;
  // This thread's chunk is of one tap and the same channels in every step; its lines are pixels, half a step apart.
  int line, chunk;
  chunk_of_thread<T>(false, 0, line, chunk);
  const int area = g.out[0] * g.out[1], half = K / 2, on_w = half % g.out[1], on_h = half / g.out[1] % g.out[0], on_n = half / area;
  int pixel = begin + line, image = pixel / area, oh = pixel % area / g.out[1], ow = pixel % g.out[1];
  const int j = j0 + chunk * N, tap = j / g.channels;
  const int h0 = tap / g.kernel[1] * g.dilation[0] - g.padding[0], w0 = tap % g.kernel[1] * g.dilation[1] - g.padding[1];
  float sum[4][4][4];
  multiply_tiles<T>(sum, false, false, (end - begin + K - 1) / K, shared, [&](int step, u8* a_tile, u8* b_tile) {
    load_tile(a_tile, dy, false, true, g.outputs, i0, begin + step * K, g.outputs, end);
    GR_UNROLL
    for (int i = 0; i < 2; i++) {
      const int h = oh * g.stride[0] + h0, v = ow * g.stride[1] + w0;
      const bool inside = pixel < end && j < columns && h >= 0 && h < g.in[0] && v >= 0 && v < g.in[1];
      const T* p = inside ? x + (((i64)image * g.in[0] + h) * g.in[1] + v) * g.channels + j % g.channels : x;
      gr_copy_async16(place<T>(b_tile, false, line + i * half, chunk), p, inside ? 16 : 0);
      pixel += half;
      ow += on_w;
      oh += on_h;
      image += on_n;
      if (ow >= g.out[1]) { ow -= g.out[1]; oh++; }
      if (oh >= g.out[0]) { oh -= g.out[0]; image++; }
    }
  });
  parts += (i64)blockIdx.z * g.outputs * columns;
  GR_UNROLL
  for (int i = 0; i < 8; i++) {
    const int row = i0 + first_row() + i * 8;
    if (row >= g.outputs) break;
    GR_UNROLL
    for (int n = 0; n < 4; n++) {
      const int column = j0 + first_column() + n * 8;
      if (column < columns) store_two(parts + (i64)row * columns + column, sum[i / 2][n][i % 2 * 2], sum[i / 2][n][i % 2 * 2 + 1]);
    }
  }
}

GR_FLOAT_KERNELS(conv_mma_forward, GR_DYNAMIC_SHARED(shared); pixels<false>(x, w, bias, y, g, shared);)
GR_FLOAT_KERNELS(conv_mma_data, GR_DYNAMIC_SHARED(shared); pixels<true>(dy, w, (const T*)0, dx, g, shared);)
GR_FLOAT_KERNELS(conv_mma_weight, GR_DYNAMIC_SHARED(shared); weights(x, dy, parts, g, shared);)
