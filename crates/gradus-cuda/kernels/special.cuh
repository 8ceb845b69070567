// Special functions that C++ does not have, in f32 or f64 (C). The methods are gradus-cpu's (`elementwise/special.rs`).
#pragma once
#include "reduce.cuh"

#define GR_PI 3.14159265358979323846

// The inverse of the error function: a rational function (the start of Giles 2010's family), then Newton's method, near ±1 on the side
// of erfc, which does not round to 1.
template <class C> GR_DEV C inverse_erf(C y) {
  const C a = fabs(y);
  if (!(a <= C(1))) return C(GR_NAN);
  if (a == C(1)) return copysign(C(GR_INFINITY), y);
  C x;
  if (a <= C(0.7)) {
    const C z = y * y;
    x = y * (((C(-0.140543331) * z + C(0.914624893)) * z + C(-1.645349621)) * z + C(0.886226899)) /
        ((((C(0.012229801) * z + C(-0.329097515)) * z + C(1.442710462)) * z + C(-2.118377725)) * z + C(1));
  } else {
    const C z = sqrt(-log((C(1) - a) * C(0.5)));
    x = copysign((((C(1.641345311) * z + C(3.429567803)) * z + C(-1.624906493)) * z + C(-1.970840454)), y) /
        ((C(1.637067800) * z + C(3.543889200)) * z + C(1));
  }
  for (int step = 0; step < 3; step++) {
    const C off = a <= C(0.7) ? erf(x) - y : (C(1) - a - erfc(fabs(x))) * copysign(C(1), y);
    x -= off / (C(1.1283791670955126) * exp(-x * x));
  }
  return x;
}

// The derivative of ln Γ: up to 10 by ψ(x) = ψ(x + 1) − 1/x, then its asymptotic series; below 0 by reflection.
template <class C> GR_DEV C digamma(C x) {
  if (x == C(0)) return copysign(C(GR_INFINITY), -x);
  C sum = C(0);
  if (x < C(0)) {
    if (x == floor(x)) return C(GR_NAN);
    sum = C(-GR_PI) / tan(C(GR_PI) * (x - rint(x)));
    x = C(1) - x;
  }
  for (; x < C(10); x += C(1)) sum -= C(1) / x;
  if (x == C(GR_INFINITY) || x != x) return x;
  const C r = C(1) / (x * x);
  const C series = r * (C(1. / 12) - r * (C(1. / 120) - r * (C(1. / 252) - r * (C(1. / 240) - r * (C(1. / 132) - r * C(691. / 32760))))));
  return sum + log(x) - C(0.5) / x - series;
}

// sin(πx) / πx, of x less the nearest whole number, so that it is 0 where it should be.
template <class C> GR_DEV C sinc(C x) {
  const C whole = rint(x), sine = sin(C(GR_PI) * (x - whole));
  return x == C(0) ? C(1) : (fmod(whole, C(2)) == C(0) ? sine : -sine) / (C(GR_PI) * x);
}
