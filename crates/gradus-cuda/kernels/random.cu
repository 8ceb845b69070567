// Random numbers, dropout, and rotary positions.
//
// Philox4x32-10 (Salmon et al. 2011): block k of the stream of a seed is ten rounds on the counter (k, 0) with the key `seed`, four words,
// as gradus-tensor's `Rng` has it. So the same seed and offset give the same mask on the CPU and here, and a backward pass draws
// the forward's mask again in place of reading it.
#include "gr.cuh"

struct Words { u32 at[4]; };
GR_DEV Words philox(u64 block, u64 seed) {
  u32 c0 = (u32)block, c1 = (u32)(block >> 32), c2 = 0, c3 = 0, k0 = (u32)seed, k1 = (u32)(seed >> 32);
  GR_UNROLL
  for (int round = 0; round < 10; round++) {
    const u32 h0 = gr_mul_high(0xD2511F53u, c0), l0 = 0xD2511F53u * c0, h1 = gr_mul_high(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
    c0 = h1 ^ c1 ^ k0, c1 = l1, c2 = h0 ^ c3 ^ k1, c3 = l0;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  Words w = {{c0, c1, c2, c3}};
  return w;
}

// y = x·scale where the element is kept, else 0. Kept is a word below `threshold` = share·2^32. Of dy, the gradient.
GR_FLOAT_KERNELS(dropout,
  for (i64 i = grid_index() * 4; i < n; i += grid_size() * 4) {
    const Words w = philox(offset + (u64)i / 4, seed);
    const float s = widen(narrow<T>(scale)); // as the CPU has it: a mask of the type
    GR_UNROLL
    for (int k = 0; k < 4; k++)
      if (i + k < n) y[i + k] = narrow<T>(w.at[k] < threshold ? widen(x[i + k]) * s : 0.f);
  })

// Uniform in [0, 1), multiples of 2^-24.
GR_KERNEL(uniform) {
  for (i64 i = grid_index() * 4; i < n; i += grid_size() * 4) {
    const Words w = philox(offset + (u64)i / 4, seed);
    GR_UNROLL
    for (int k = 0; k < 4; k++)
      if (i + k < n) y[i + k] = (float)(w.at[k] >> 8) * (1.f / 16777216.f);
  }
}

// 1 where a word is below `threshold` = share·2^32, else 0. With a `base`, seed and offset begin there: a graph draws anew at each replay.
GR_KERNEL(bernoulli) {
  if (base) seed = base[0], offset += base[1];
  for (i64 i = grid_index() * 4; i < n; i += grid_size() * 4) {
    const Words w = philox(offset + (u64)i / 4, seed);
    GR_UNROLL
    for (int k = 0; k < 4; k++)
      if (i + k < n) y[i + k] = w.at[k] < threshold;
  }
}

// Rotary positions (Su et al. 2021): of each row of hs elements, pair (i, i + hs/2) turns by the angle of its position t = row / per % time.
// cosines and sines (time, hs/2); `direction` 1 forward, −1 the gradient.
GR_FLOAT_KERNELS(rope,
  const int half = hs / 2;
  for (i64 i = grid_index(); i < rows * half; i += grid_size()) {
    const i64 row = i / half; const int k = (int)(i % half);
    const i64 angle = row / per % time * half + k; const i64 at = row * hs + k;
    const float c = cosines[angle]; const float s = sines[angle] * direction;
    const float a = widen(x[at]); const float b = widen(x[at + half]);
    y[at] = narrow<T>(a * c - b * s);
    y[at + half] = narrow<T>(b * c + a * s);
  })
