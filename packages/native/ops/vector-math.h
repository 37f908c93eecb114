// Elementary functions in float32 that compilers vectorise: no branch, no call.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace fdiv_ops {

/** 2ⁿ for a whole n in [−126, 127]. */
inline float powerOfTwo(int32_t n) {
  const int32_t bits = (n + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return power;
}

/** eˣ to 2 units in the last place; 0 below −87.3, where float32 underflows, and ∞ above 88.7. */
inline float exponential(float x) {
  // Comparisons in this order let a NaN through; the library's minimum and maximum would not, nor vectorise.
  const float above = x < -87.33654f ? -87.33654f : x;
  const float clamped = above > 88.72283f ? 88.72283f : above;
  // x = n·ln 2 + r with |r| ≤ ln 2 / 2; adding 1.5·2²³ rounds to a whole number.
  const float n = (clamped * 1.44269504f + 12582912.0f) - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  // Taylor's series to the seventh power: its remainder is below half a unit in the last place.
  float p = 1.98412698e-4f;
  p = p * r + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  // Two factors, since 2ⁿ alone overflows at n = 128.
  const int32_t whole = static_cast<int32_t>(n);
  const int32_t half = whole >> 1;
  const float e = p * powerOfTwo(half) * powerOfTwo(whole - half);
  const float low = x < -87.33654f ? 0.0f : e;
  return x > 88.72283f ? INFINITY : low;
}

/** ln x of a normal x > 0, to 2 units in the last place or 1e-7 of ln 2, whichever is more; anything of what is none. */
inline float logarithm(float x) {
  int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  // x = m·2ⁿ with m in [√½, √2).
  const int32_t from = 0x3f3504f3;
  const int32_t n = (bits - from) >> 23;
  const int32_t rest = bits - (n << 23);
  float m;
  std::memcpy(&m, &rest, sizeof m);
  // ln m = 2·artanh t, |t| ≤ .172: what is cut off of the series is below 2e-9 of it.
  const float t = (m - 1.0f) / (m + 1.0f);
  const float s = t * t;
  float p = 0.222222222f;
  p = p * s + 0.285714286f;
  p = p * s + 0.4f;
  p = p * s + 0.666666667f;
  p = p * s * t + 2.0f * t;
  const float whole = static_cast<float>(n);
  return whole * 0.693359375f + (p - whole * 2.12194440e-4f);
}

/** 1/(1 + e⁻ˣ) */
inline float sigmoid(float x) {
  // Beyond 87 it is 0 or 1 to float32, and e⁻ˣ would overflow on the way.
  return 1.0f / (1.0f + exponential(x < -87.0f ? 87.0f : -x));
}

/**
 * The error function to 3e-7 relative: x times a rational function of x² that is ±1 to float32 beyond 4
 * (the coefficients are those of Eigen's generic float implementation).
 */
inline float errorFunction(float x) {
  const float above = x < -4.0f ? -4.0f : x;
  const float c = above > 4.0f ? 4.0f : above;
  const float s = c * c;
  float p = -2.72614225801306e-10f;
  p = p * s + 2.77068142495902e-08f;
  p = p * s - 2.10102402082508e-06f;
  p = p * s - 5.69250639462346e-05f;
  p = p * s - 7.34990630326855e-04f;
  p = p * s - 2.95459980854025e-03f;
  p = p * s - 1.60960333262415e-02f;
  float q = -1.45660718464996e-05f;
  q = q * s - 2.13374055278905e-04f;
  q = q * s - 1.68282697438203e-03f;
  q = q * s - 7.37332916720468e-03f;
  q = q * s - 1.42647390514189e-02f;
  return c * p / q;
}

}  // namespace fdiv_ops
