// The formulas of the elementwise operations, in f32 or f64 (C). Names and meanings are gradus-cpu's (`elementwise/scalar.rs`), which are PyTorch's.
//
// In a loop over many elements the operation is a template's argument, and the compiler decides the chain of branches.
#pragma once
#include "special.cuh"

template <class C> GR_DEV C sigmoid(C x) {
  // e^x in place of 1/(1 + e^-x) below 0, so that the tail does not become 0 early.
  if (x >= C(0)) return C(1) / (C(1) + exp(-x));
  C e = exp(x);
  return e / (C(1) + e);
}
template <class C> GR_DEV C softplus(C x) { return x != x ? x : fmax(x, C(0)) + log1p(exp(-fabs(x))); }
template <class C> GR_DEV C normal_density(C x) { return exp(-C(0.5) * x * x) * C(0.3989422804014327); }
template <class C> GR_DEV C normal_share(C x) { return C(0.5) * erfc(-x * C(0.7071067811865476)); } // Φ
template <class C> GR_DEV C gelu_tanh_inner(C x) { return C(1.5957691216057308) * x * (C(1) + C(0.044715) * x * x); } // 2·√(2/π)·(x + 0.044715·x³)

template <int OP, class C> GR_DEV C unary_value(C x, C p, C q) {
  if (OP == GR_UNARY_neg) return -x;
  if (OP == GR_UNARY_abs) return fabs(x);
  if (OP == GR_UNARY_sign) return x > C(0) ? C(1) : x < C(0) ? -C(1) : C(0);
  if (OP == GR_UNARY_square) return x * x;
  if (OP == GR_UNARY_reciprocal) return C(1) / x;
  if (OP == GR_UNARY_sqrt) return sqrt(x);
  if (OP == GR_UNARY_rsqrt) return C(1) / sqrt(x);
  if (OP == GR_UNARY_exp) return exp(x);
  if (OP == GR_UNARY_exp2) return exp2(x);
  if (OP == GR_UNARY_expm1) return expm1(x);
  if (OP == GR_UNARY_log) return log(x);
  if (OP == GR_UNARY_log1p) return log1p(x);
  if (OP == GR_UNARY_log2) return log2(x);
  if (OP == GR_UNARY_log10) return log10(x);
  if (OP == GR_UNARY_sin) return sin(x);
  if (OP == GR_UNARY_cos) return cos(x);
  if (OP == GR_UNARY_tan) return tan(x);
  if (OP == GR_UNARY_asin) return asin(x);
  if (OP == GR_UNARY_acos) return acos(x);
  if (OP == GR_UNARY_atan) return atan(x);
  if (OP == GR_UNARY_sinh) return sinh(x);
  if (OP == GR_UNARY_cosh) return cosh(x);
  if (OP == GR_UNARY_tanh) return tanh(x);
  if (OP == GR_UNARY_asinh) return asinh(x);
  if (OP == GR_UNARY_acosh) return acosh(x);
  if (OP == GR_UNARY_atanh) return atanh(x);
  if (OP == GR_UNARY_erf) return erf(x);
  if (OP == GR_UNARY_erfc) return erfc(x);
  if (OP == GR_UNARY_erfinv) return inverse_erf(x);
  if (OP == GR_UNARY_lgamma) return lgamma(x);
  if (OP == GR_UNARY_digamma) return digamma(x);
  if (OP == GR_UNARY_sinc) return sinc(x);
  if (OP == GR_UNARY_sigmoid) return sigmoid(x);
  if (OP == GR_UNARY_logsigmoid) return -softplus(-x);
  if (OP == GR_UNARY_floor) return floor(x);
  if (OP == GR_UNARY_ceil) return ceil(x);
  if (OP == GR_UNARY_round) return rint(x);
  if (OP == GR_UNARY_trunc) return trunc(x);
  if (OP == GR_UNARY_frac) return x - trunc(x);
  if (OP == GR_UNARY_relu) return gr_max(x, C(0));
  if (OP == GR_UNARY_relu6) return gr_min(gr_max(x, C(0)), C(6));
  if (OP == GR_UNARY_leaky_relu) return x > C(0) ? x : p * x;
  if (OP == GR_UNARY_elu) return x > C(0) ? x : p * expm1(x);
  if (OP == GR_UNARY_selu) return x > C(0) ? C(1.0507009873554805) * x : C(1.7580993408473766) * expm1(x);
  if (OP == GR_UNARY_gelu) return x * normal_share(x);
  if (OP == GR_UNARY_gelu_tanh) return x * sigmoid(gelu_tanh_inner(x));
  if (OP == GR_UNARY_silu) return x * sigmoid(x);
  if (OP == GR_UNARY_mish) return x * tanh(softplus(x));
  if (OP == GR_UNARY_softplus) return x * p > q ? x : softplus(x * p) / p;
  if (OP == GR_UNARY_softsign) return x / (C(1) + fabs(x));
  if (OP == GR_UNARY_hardswish) return x * gr_min(gr_max(x + C(3), C(0)), C(6)) / C(6);
  if (OP == GR_UNARY_hardsigmoid) return gr_min(gr_max(x + C(3), C(0)), C(6)) / C(6);
  if (OP == GR_UNARY_clamp) return gr_min(gr_max(x, p), q);
  if (OP == GR_UNARY_pow_scalar) return pow(x, p);
  if (OP == GR_UNARY_affine) return fma(x, p, q);
  return C(GR_NAN);
}

template <class C> GR_DEV C remainder_of(C a, C b) { // the sign of b
  C m = fmod(a, b);
  return m != C(0) && (b < C(0)) != (m < C(0)) ? m + b : m;
}
template <class C> GR_DEV C floor_divide(C a, C b) { // exact where a/b is: CPython's
  if (b == C(0)) return a / b;
  C m = fmod(a, b), q = (a - m) / b;
  if (m != C(0) && (b < C(0)) != (m < C(0))) q -= C(1);
  if (q == C(0)) return copysign(C(0), a / b);
  C f = floor(q);
  return q - f > C(0.5) ? f + C(1) : f;
}

template <int OP, class C> GR_DEV C binary_value(C a, C b) {
  if (OP == GR_BINARY_add) return a + b;
  if (OP == GR_BINARY_sub) return a - b;
  if (OP == GR_BINARY_mul) return a * b;
  if (OP == GR_BINARY_maximum) return b != b ? b : gr_max(a, b);
  if (OP == GR_BINARY_minimum) return b != b ? b : gr_min(a, b);
  if (OP == GR_BINARY_div) return a / b;
  if (OP == GR_BINARY_floor_divide) return floor_divide(a, b);
  if (OP == GR_BINARY_remainder) return remainder_of(a, b);
  if (OP == GR_BINARY_fmod) return fmod(a, b);
  if (OP == GR_BINARY_pow) return pow(a, b);
  if (OP == GR_BINARY_atan2) return atan2(a, b);
  if (OP == GR_BINARY_hypot) return hypot(a, b);
  if (OP == GR_BINARY_xlogy) return b != b ? b : a == C(0) ? C(0) : a * log(b);
  if (OP == GR_BINARY_logaddexp) return a == b && fabs(a) == C(GR_INFINITY) ? a : gr_max(a, b) + log1p(exp(-fabs(a - b)));
  if (OP == GR_BINARY_copysign) return copysign(a, b);
  if (OP == GR_BINARY_heaviside) return a == C(0) ? b : a > C(0) ? C(1) : C(0);
  if (OP == GR_BINARY_tanh_backward) return a * (C(1) - b * b);
  if (OP == GR_BINARY_sigmoid_backward) return a * b * (C(1) - b);
  if (OP == GR_BINARY_relu_backward) return b <= C(0) ? C(0) : a;
  if (OP == GR_BINARY_relu6_backward) return b > C(0) && b < C(6) ? a : C(0);
  if (OP == GR_BINARY_gelu_backward) return a * (normal_share(b) + b * normal_density(b));
  if (OP == GR_BINARY_gelu_tanh_backward) {
    C slope = C(1.5957691216057308) * (C(1) + C(3) * C(0.044715) * b * b), s = sigmoid(gelu_tanh_inner(b));
    return a * (s + b * s * (C(1) - s) * slope);
  }
  if (OP == GR_BINARY_silu_backward) {
    C s = sigmoid(b);
    return a * s * (C(1) + b * (C(1) - s));
  }
  return C(GR_NAN);
}

template <class C> GR_DEV C ternary_value(int op, C a, C b, C c, C p) {
  if (op == GR_TERNARY_lerp) return fabs(c) < C(0.5) ? a + c * (b - a) : b - (b - a) * (C(1) - c);
  if (op == GR_TERNARY_addcmul) return a + p * b * c;
  if (op == GR_TERNARY_addcdiv) return a + p * b / c;
  if (op == GR_TERNARY_clamp) return gr_min(gr_max(a, b), c);
  return C(GR_NAN);
}
