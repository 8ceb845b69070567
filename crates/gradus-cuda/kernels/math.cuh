// The formulas of the elementwise operations, in f32. Names and meanings are gradus-cpu's (`elementwise/scalar.rs`), which are PyTorch's.
//
// In a loop over many elements the operation is a template's argument, and the compiler decides the chain of branches.
#pragma once
#include "reduce.cuh"

GR_DEV float sigmoid(float x) {
  // e^x in place of 1/(1 + e^-x) below 0, so that the tail does not become 0 early.
  if (x >= 0.f) return 1.f / (1.f + expf(-x));
  float e = expf(x);
  return e / (1.f + e);
}
GR_DEV float softplus(float x) { return x != x ? x : fmaxf(x, 0.f) + log1pf(expf(-fabsf(x))); }
GR_DEV float normal_density(float x) { return expf(-0.5f * x * x) * 0.3989422804f; }
GR_DEV float normal_share(float x) { return 0.5f * erfcf(-x * 0.7071067812f); } // Φ
GR_DEV float gelu_tanh_inner(float x) { return 1.595769122f * x * (1.f + 0.044715f * x * x); } // 2·√(2/π)·(x + 0.044715·x³)

template <int OP> GR_DEV float unary_value(float x, float p, float q) {
  if (OP == GR_UNARY_neg) return -x;
  if (OP == GR_UNARY_abs) return fabsf(x);
  if (OP == GR_UNARY_sign) return x > 0.f ? 1.f : x < 0.f ? -1.f : 0.f;
  if (OP == GR_UNARY_square) return x * x;
  if (OP == GR_UNARY_reciprocal) return 1.f / x;
  if (OP == GR_UNARY_sqrt) return sqrtf(x);
  if (OP == GR_UNARY_rsqrt) return 1.f / sqrtf(x);
  if (OP == GR_UNARY_exp) return expf(x);
  if (OP == GR_UNARY_exp2) return exp2f(x);
  if (OP == GR_UNARY_expm1) return expm1f(x);
  if (OP == GR_UNARY_log) return logf(x);
  if (OP == GR_UNARY_log1p) return log1pf(x);
  if (OP == GR_UNARY_log2) return log2f(x);
  if (OP == GR_UNARY_log10) return log10f(x);
  if (OP == GR_UNARY_sin) return sinf(x);
  if (OP == GR_UNARY_cos) return cosf(x);
  if (OP == GR_UNARY_tan) return tanf(x);
  if (OP == GR_UNARY_asin) return asinf(x);
  if (OP == GR_UNARY_acos) return acosf(x);
  if (OP == GR_UNARY_atan) return atanf(x);
  if (OP == GR_UNARY_sinh) return sinhf(x);
  if (OP == GR_UNARY_cosh) return coshf(x);
  if (OP == GR_UNARY_tanh) return tanhf(x);
  if (OP == GR_UNARY_asinh) return asinhf(x);
  if (OP == GR_UNARY_acosh) return acoshf(x);
  if (OP == GR_UNARY_atanh) return atanhf(x);
  if (OP == GR_UNARY_erf) return erff(x);
  if (OP == GR_UNARY_erfc) return erfcf(x);
  if (OP == GR_UNARY_sigmoid) return sigmoid(x);
  if (OP == GR_UNARY_logsigmoid) return -softplus(-x);
  if (OP == GR_UNARY_floor) return floorf(x);
  if (OP == GR_UNARY_ceil) return ceilf(x);
  if (OP == GR_UNARY_round) return rintf(x);
  if (OP == GR_UNARY_trunc) return truncf(x);
  if (OP == GR_UNARY_frac) return x - truncf(x);
  if (OP == GR_UNARY_relu) return gr_max(x, 0.f);
  if (OP == GR_UNARY_relu6) return gr_min(gr_max(x, 0.f), 6.f);
  if (OP == GR_UNARY_leaky_relu) return x > 0.f ? x : p * x;
  if (OP == GR_UNARY_elu) return x > 0.f ? x : p * expm1f(x);
  if (OP == GR_UNARY_selu) return x > 0.f ? 1.0507009874f * x : 1.7580993408f * expm1f(x);
  if (OP == GR_UNARY_gelu) return x * normal_share(x);
  if (OP == GR_UNARY_gelu_tanh) return x * sigmoid(gelu_tanh_inner(x));
  if (OP == GR_UNARY_silu) return x * sigmoid(x);
  if (OP == GR_UNARY_mish) return x * tanhf(softplus(x));
  if (OP == GR_UNARY_softplus) return x * p > q ? x : softplus(x * p) / p;
  if (OP == GR_UNARY_softsign) return x / (1.f + fabsf(x));
  if (OP == GR_UNARY_hardswish) return x * gr_min(gr_max(x + 3.f, 0.f), 6.f) / 6.f;
  if (OP == GR_UNARY_hardsigmoid) return gr_min(gr_max(x + 3.f, 0.f), 6.f) / 6.f;
  if (OP == GR_UNARY_clamp) return gr_min(gr_max(x, p), q);
  if (OP == GR_UNARY_pow_scalar) return powf(x, p);
  if (OP == GR_UNARY_affine) return fmaf(x, p, q);
  return GR_NAN;
}

GR_DEV float remainder_of(float a, float b) { // the sign of b
  float m = fmodf(a, b);
  return m != 0.f && (b < 0.f) != (m < 0.f) ? m + b : m;
}
GR_DEV float floor_divide(float a, float b) { // exact where a/b is: CPython's
  if (b == 0.f) return a / b;
  float m = fmodf(a, b), q = (a - m) / b;
  if (m != 0.f && (b < 0.f) != (m < 0.f)) q -= 1.f;
  if (q == 0.f) return copysignf(0.f, a / b);
  float f = floorf(q);
  return q - f > 0.5f ? f + 1.f : f;
}

template <int OP> GR_DEV float binary_value(float a, float b) {
  if (OP == GR_BINARY_add) return a + b;
  if (OP == GR_BINARY_sub) return a - b;
  if (OP == GR_BINARY_mul) return a * b;
  if (OP == GR_BINARY_maximum) return b != b ? b : gr_max(a, b);
  if (OP == GR_BINARY_minimum) return b != b ? b : gr_min(a, b);
  if (OP == GR_BINARY_div) return a / b;
  if (OP == GR_BINARY_floor_divide) return floor_divide(a, b);
  if (OP == GR_BINARY_remainder) return remainder_of(a, b);
  if (OP == GR_BINARY_fmod) return fmodf(a, b);
  if (OP == GR_BINARY_pow) return powf(a, b);
  if (OP == GR_BINARY_atan2) return atan2f(a, b);
  if (OP == GR_BINARY_hypot) return hypotf(a, b);
  if (OP == GR_BINARY_xlogy) return b != b ? b : a == 0.f ? 0.f : a * logf(b);
  if (OP == GR_BINARY_logaddexp) return a == b && fabsf(a) == GR_INFINITY ? a : gr_max(a, b) + log1pf(expf(-fabsf(a - b)));
  if (OP == GR_BINARY_copysign) return copysignf(a, b);
  if (OP == GR_BINARY_tanh_backward) return a * (1.f - b * b);
  if (OP == GR_BINARY_sigmoid_backward) return a * b * (1.f - b);
  if (OP == GR_BINARY_relu_backward) return b <= 0.f ? 0.f : a;
  if (OP == GR_BINARY_relu6_backward) return b > 0.f && b < 6.f ? a : 0.f;
  if (OP == GR_BINARY_gelu_backward) return a * (normal_share(b) + b * normal_density(b));
  if (OP == GR_BINARY_gelu_tanh_backward) {
    float slope = 1.595769122f * (1.f + 3.f * 0.044715f * b * b), s = sigmoid(gelu_tanh_inner(b));
    return a * (s + b * s * (1.f - s) * slope);
  }
  if (OP == GR_BINARY_silu_backward) {
    float s = sigmoid(b);
    return a * s * (1.f + b * (1.f - s));
  }
  return GR_NAN;
}

GR_DEV float ternary_value(int op, float a, float b, float c, float p) {
  if (op == GR_TERNARY_lerp) return fabsf(c) < 0.5f ? a + c * (b - a) : b - (b - a) * (1.f - c);
  if (op == GR_TERNARY_addcmul) return a + p * b * c;
  if (op == GR_TERNARY_addcdiv) return a + p * b / c;
  if (op == GR_TERNARY_clamp) return gr_min(gr_max(a, b), c);
  return GR_NAN;
}
