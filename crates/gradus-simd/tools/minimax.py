#!/usr/bin/env python3
"""Fits the polynomials of gradus-simd's vector maths and prints them as Rust arrays, lowest coefficient first.

What it is: Chebyshev interpolation (near-minimax) in 60 digits, then rounding to f32 or f64; `bits` is the error the
rounded polynomial adds to the function's leading part, as -log2 of a relative error.
What it is not: a Remez exchange; for these smooth functions that gains less than one bit.

    python3 minimax.py            needs mpmath
"""
import struct
from mpmath import mp, mpf, mpi, exp, log, sin, cos, atan, asin, sinh, erf, erfc, loggamma, sqrt, pi, log as ln, chebyfit, polyval

mp.dps = 60


def rounded(x, bits):
    return float(x) if bits == 53 else struct.unpack("f", struct.pack("f", float(x)))[0]


def rust(x, bits):
    if bits == 53:
        return repr(x)
    for digits in range(6, 12):
        text = f"{x:.{digits}g}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == x:
            break
    text = repr(float(text))
    return text


def fit(name, f, low, high, bits, n, share, split=False):
    """f on [low, high] by n coefficients; share(z) is the weight of the polynomial in the whole result, relative.
    With split, coefficient 0 comes as high and low part."""
    coefficients = chebyfit(f, [mpf(low), mpf(high)], n)
    first = [coefficients[-1] - rounded(coefficients[-1], bits)] if split else []
    coefficients = [rounded(c, bits) for c in coefficients]
    worst = mpf(0)
    for i in range(401):
        z = mpf(low) + (mpf(high) - mpf(low)) * i / 400
        worst = max(worst, abs((polyval(coefficients, z) + sum(first) - f(z)) * share(z)))
    if split:
        coefficients.insert(-1, rounded(first[0], bits))
    body = ", ".join(rust(c, bits) for c in reversed(coefficients))
    print(f"// {name}: {n} coefficients, {float(-log(worst, 2)):.1f} bits\n[{body}]")


def near_zero(f, limit):
    """f with its limit at 0, where the quotient is 0/0."""
    return lambda z: limit if abs(z) < mpf(10) ** -25 else f(z)


def pair(name, x, bits, high_bits=None):
    """x as high + low, the high part cut to high_bits."""
    parts, rest = [], mpf(x)
    if high_bits:
        scale = mpf(2) ** (high_bits - 1 - mp.floor(log(abs(rest), 2)))
        parts.append(rounded(mp.nint(rest * scale) / scale, bits))
        rest -= parts[0]
    while len(parts) < 3:
        parts.append(rounded(rest, bits))
        rest -= mpf(parts[-1])
    print(f"// {name}: " + ", ".join(rust(p, bits) for p in parts))


def erfcx(x):
    """exp(x^2) erfc(x)."""
    if x > 13:  # the asymptotic series, to its smallest term
        total = term = mpf(1)
        for k in range(1, 150):
            term *= -(2 * k - 1) / (2 * x * x)
            total += term
        return total / (x * sqrt(pi))
    mp.dps = 60 + int(x * x)
    try:
        return exp(x * x) * erfc(x)
    finally:
        mp.dps = 60


def tail(scale, k, slope):
    """p(t) = (1 + slope x) erfcx(x scale) at x = k (1 + t) / (1 - t)."""
    def f(t):
        x = k * (1 + t) / (1 - t)
        return (1 + slope * x) * erfcx(x * scale)
    return f


def pieces(name, f, edges, slot, n, near=None):
    """f by 16 pieces between edges: rows of 16 in the order of slot(x) & 15, of points a in their middle halves where f is an f32 for
    11 bits more than it has, f(a), and the n coefficients of (f(a + t) - f(a)) / t, lowest first.
    near(t), if there, is the polynomial of the lowest piece, with a and f(a) 0 and f(t) = t + t near(t)."""
    rows = [[0.0] * 16 for _ in range(2 + n)]
    worst = mpf(0)
    for low, high in zip(edges, edges[1:]):
        zero = near is not None and low == edges[0]
        point, value = mpf(0), mpf(0)
        if not zero:
            step = mpf(2) ** (mp.floor(log(high, 2)) - 17)
            best = None
            for i in range(-4000, 4001):
                x = mp.nint((low + high) / 2 / step + i) * step
                if low * mpf(3) / 4 + high / 4 <= x <= low / 4 + high * mpf(3) / 4:
                    y = f(x)
                    error = abs(y - mpf(rounded(y, 24))) / y
                    if best is None or error < best[0]:
                        best = error, x, mpf(rounded(y, 24))
            _, point, value = best
            slope = mp.diff(f, point)
        quotient = near if zero else lambda t: (f(point + t) - f(point)) / t if abs(t) > mpf(10) ** -25 else slope
        coefficients = chebyfit(quotient, [low - point, high - point], n)[::-1]
        if zero:
            coefficients[0] = mpf(0)
        coefficients = [rounded(c, 24) for c in coefficients]
        for i in range(200):
            t = low - point + (high - low) * (i + mpf(1) / 2) / 200
            got = polyval(coefficients[::-1], t) * t + (t if zero else value)
            worst = max(worst, abs(got / f(point + t) - 1))
        for row, x in zip(rows, [point, value, *coefficients]):
            row[slot(low if low else high * mpf("0.99")) & 15] = float(x)
    print(f"// {name}: {float(-log(worst, 2)):.1f} bits")
    for row in rows:
        print("[" + ", ".join(rust(x, 24) for x in row) + "],")


def bits_of(x):
    return struct.unpack("I", struct.pack("f", float(x)))[0]


def gate(name, f, edge, k, floor=0):
    """f by 31 pieces up to edge and one of 0: piece i is about where a (alpha a + beta) = i, beta = k alpha. Columns of 32: points in the
    middle halves of the pieces where f is an f32 for 4 bits more than it has, and f' as nearly one as can be; f there; the 6
    coefficients of (f(a + t) - f(a)) / t, lowest first. Errors are relative to |f| + floor."""
    mp.dps = 34
    alpha = rounded(mpf("30.5") / (edge * edge + k * edge), 24)
    beta = rounded(k * mpf("30.5") / (edge * edge + k * edge), 24)
    inverse = lambda u: (sqrt(mpf(beta) ** 2 + 4 * mpf(alpha) * u) - beta) / (2 * mpf(alpha))
    edges = [mpf(0)] + [inverse(i + mpf(1) / 2) for i in range(31)]
    columns = [[0.0] * 32 for _ in range(8)]
    worst = mpf(0)
    for i, (low, high) in enumerate(zip(edges, edges[1:])):
        point, value = mpf(0), f(mpf(0))
        step = mpf(2) ** (mp.floor(log(high, 2)) - 21)
        best = None
        for j in range(-1500, 1501) if i else ():
            x = mp.nint((low + high) / 2 / step + j) * step
            if low * 3 / 4 + high / 4 <= x <= low / 4 + high * 3 / 4:
                y = f(x)
                size = abs(y) + floor
                error = abs(y - mpf(rounded(y, 24))) / size * 2**24
                if error > mpf(1) / 16:
                    continue
                slope = mp.diff(f, x)
                error += abs((slope - mpf(rounded(slope, 24))) * (high - low) / 2 / size) * 2**24
                if best is None or error < best[0]:
                    best = error, x, mpf(rounded(y, 24))
        if i:
            _, point, value = best
        slope = mp.diff(f, point)
        quotient = lambda t: (f(point + t) - f(point)) / t if abs(t) > mpf(10) ** -14 else slope
        beside = (high - low) / 1000  # where rounding the index puts a neighbour's numbers
        coefficients = chebyfit(quotient, [low - point - (beside if i else 0), high - point + beside], 6)[::-1]
        coefficients = [rounded(c, 24) for c in coefficients]
        for j in range(60):
            t = low - point + (high - low) * (j + mpf(1) / 2) / 60
            error = polyval(coefficients[::-1], t) * t + value - f(point + t)
            worst = max(worst, abs(error) / (abs(f(point + t)) + floor))
        for column, x in zip(columns, [point, value, *coefficients]):
            column[i] = float(x)
    print(f"// {name}: alpha {rust(alpha, 24)}, beta {rust(beta, 24)}, to {float(edges[31])}, {float(-log(worst, 2)):.1f} bits")
    for column in columns:
        print("[" + ", ".join(rust(x, 24) for x in column) + "],")
    mp.dps = 60


def tables():
    edges = [mpf(0)] + [mpf(2) ** e * m for e in range(-4, 3) for m in (1, mpf(3) / 2)] + [mpf(8), mpf("9.02")]
    near = lambda t: mp.tanh(t) / t - 1 if abs(t) > mpf(10) ** -15 else -t * t / 3
    pieces("tanh, two an octave", mp.tanh, edges, lambda x: bits_of(x) >> 22, 7, near=near)
    normal = lambda a: a * erfc(a / sqrt(mpf(2))) / 2
    by_tanh = lambda a: a / (1 + exp(2 * sqrt(2 / pi) * (a + mpf("0.044715") * a**3)))
    gate("gelu", normal, 6, 5)
    gate("gelu_tanh", by_tanh, mpf("5.4"), 5)
    gate("silu", lambda a: a / (1 + exp(a)), mpf("18.5"), -100)
    gate("sigmoid", lambda a: 1 / (1 + exp(a)), mpf("18.5"), -100)
    # The slopes at -a. All cross 0.
    density = lambda a: exp(-a * a / 2) / sqrt(2 * pi)
    gate("gelu's slope", lambda a: erfc(a / sqrt(mpf(2))) / 2 - a * density(a), 6, 5, mpf(1) / 32)

    def tanh_slope(a):
        c = 2 * sqrt(2 / pi)
        s = 1 / (1 + exp(c * (a + mpf("0.044715") * a**3)))
        return s - a * s * (1 - s) * c * (1 + 3 * mpf("0.044715") * a * a)

    gate("gelu_tanh's slope", tanh_slope, mpf("5.4"), 5, mpf(1) / 32)
    gate("silu's slope", lambda a: (1 + exp(a) * (1 - a)) / (1 + exp(a)) ** 2, mpf("18.5"), -100, mpf(1) / 32)


def main():
    tables()
    for bits in (24, 53):
        print(f"\n// ---- f{32 if bits == 24 else 64}")
        single = bits == 24
        h = log(2) / 2 * mpf("1.0001")
        fit("exp: (e^r - 1 - r) / r^2", near_zero(lambda r: (exp(r) - 1 - r) / r**2, mpf(1) / 2), -h, h, bits, 6 if single else 11, lambda r: r * r)
        top = ((sqrt(2) - 1) / (sqrt(2) + 1)) ** 2 * mpf("1.0001")
        atanh_rest = near_zero(lambda z: (log((1 + sqrt(z)) / (1 - sqrt(z))) - 2 * sqrt(z)) / sqrt(z) ** 3, mpf(2) / 3)
        fit("log: (2 atanh(s) - 2 s) / s^3 in s^2", atanh_rest, 0, top, bits, 3 if single else 7, lambda z: z / 2)
        far_rest = near_zero(lambda z: (log((1 + sqrt(z)) / (1 - sqrt(z))) - 2 * sqrt(z) - mpf(2) / 3 * sqrt(z) ** 3) / sqrt(z) ** 5, mpf(2) / 5)
        fit("pow: (2 atanh(s) - 2 s - 2/3 s^3) / s^5 in s^2", far_rest, 0, top, bits, 4 if single else 9, lambda z: z * z / 2)
        pair("2/3", mpf(2) / 3, bits)
        q = (pi / 4 * mpf("1.001")) ** 2
        fit("sin: (sin r - r) / r^3 in r^2", near_zero(lambda z: (sin(sqrt(z)) - sqrt(z)) / sqrt(z) ** 3, mpf(-1) / 6), 0, q, bits, 4 if single else 7, lambda z: z)
        fit("cos: (cos r - 1 + r^2/2) / r^4 in r^2", near_zero(lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, mpf(1) / 24), 0, q, bits, 3 if single else 7, lambda z: z * z)
        a = ((sqrt(2) - 1) * mpf("1.001")) ** 2
        fit("atan: (atan q - q) / q^3 in q^2", near_zero(lambda z: (atan(sqrt(z)) - sqrt(z)) / sqrt(z) ** 3, mpf(-1) / 3), 0, a, bits, 5 if single else 12, lambda z: z)
        fit("asin: (asin x - x) / x^3 in x^2", near_zero(lambda z: (asin(sqrt(z)) - sqrt(z)) / sqrt(z) ** 3, mpf(1) / 6), 0, mpf("0.2501"), bits, 6 if single else 14, lambda z: z)
        fit("sinh: (sinh x - x) / x^3 in x^2", near_zero(lambda z: (sinh(sqrt(z)) - sqrt(z)) / sqrt(z) ** 3, mpf(1) / 6), 0, mpf("1.001"), bits, 4 if single else 8, lambda z: z)
        c = 2 / sqrt(pi)
        fit("erf: (erf x - c x) / x^3 in x^2", near_zero(lambda z: (erf(sqrt(z)) - c * sqrt(z)) / sqrt(z) ** 3, -c / 3), 0, mpf("0.2501"), bits, 5 if single else 9, lambda z: z / c)
        g = 1 / sqrt(2 * pi)
        phi_rest = near_zero(lambda z: (erf(sqrt(z / 2)) / 2 - g * sqrt(z)) / sqrt(z) ** 3, -g / 6)
        fit("gelu: (Phi(x) - 1/2 - g x) / x^3 in x^2", phi_rest, 0, mpf("0.5001"), bits, 5 if single else 9, lambda z: z / g / 3)
        k, far = (2.25, 10.3) if single else (3.75, 27.5)
        bounds = (mpf("0.4999") - k) / (mpf("0.4999") + k), (mpf(far) - k) / (mpf(far) + k)
        fit(f"erfc: (1 + 2x) erfcx(x) in t = (x - {k}) / (x + {k})", tail(mpf(1), k, 2), *bounds, bits, 11 if single else 24, lambda t: 1, split=True)
        k, least, far = (3.25, mpf("5.98"), 14.6) if single else (5.25, mpf("0.7069"), 39)
        bounds = (least - k) / (least + k), (mpf(far) - k) / (mpf(far) + k)
        fit(f"gelu: (1 + 1.5x) erfcx(x / sqrt 2) / 2 in t = (x - {k}) / (x + {k})", lambda t: tail(1 / sqrt(mpf(2)), k, mpf("1.5"))(t) / 2, *bounds, bits, 6 if single else 24, lambda t: 2, split=True)
        pair("1/sqrt(2 pi)", g, bits)
        pair("ln 2, the high part with room for a product by an exponent", log(2), bits, 15 if single else 41)
        pair("ln 2", log(2), bits)
        pair("log2 e", 1 / log(2), bits)
        pair("log10 e", 1 / log(10), bits)
        pair("log10 2, high part with room", log(2) / log(10), bits, 15 if single else 41)
        pair("pi/2", pi / 2, bits)
        pair("pi/4", pi / 4, bits)
        pair("2/pi", 2 / pi, bits)
        pair("2/sqrt pi", c, bits)
        pair("gelu_tanh 2 sqrt(2/pi)", 2 * sqrt(2 / pi), bits)
        pair("gelu_tanh 2 sqrt(2/pi) 0.044715", 2 * sqrt(2 / pi) * mpf("0.044715"), bits)
    print("\n// ---- f64 alone")
    for n, low, high, terms in ((1, "-0.31", "0.41", 24), (2, "-0.61", "0.51", 22)):
        slope = n - 1 - mp.euler
        q = near_zero(lambda t: loggamma(n + t).real / t, slope)
        fit(f"lgamma: lgamma({n} + t) / t", q, mpf(low), mpf(high), 53, terms, lambda t: 1 / q(t))



main()
