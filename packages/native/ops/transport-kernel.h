// One problem of entropic transport: half-steps by logarithms, exact at any λ, and the same iterates by products where scalings allow.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "lanes.h"
#include "vector-math.h"

namespace fdiv_ops {

/** Numbers that all problems of a call share; as SinkhornAttributes of tensor-core has them. */
struct TransportSettings {
  int64_t n, m;
  float lambda, rowDamping, columnDamping, relaxation;
  bool isPlain() const { return rowDamping == 1 && columnDamping == 1 && relaxation == 1; }
};

/** Scalings may grow to this power of e between two looks at the potentials: what float32 lost of the kernel by then weighs nothing. */
constexpr float mostExponent = 20;

const float mostScaling = std::exp(mostExponent), leastScaling = std::exp(-mostExponent);

/** Below this mass of a point, what float32 loses of the kernel could count. */
constexpr float leastMass = 1e-10f;

/** exp((f_i + g_j − C_ij)/λ) of one row. */
inline void planRow(const float* __restrict cost, float f, const float* __restrict g, float scale, int64_t m,
                    float* __restrict out) {
#pragma omp simd
  for (int64_t j = 0; j < m; j++) out[j] = exponential((f + g[j] - cost[j]) * scale);
}

/** What a row of a plan moves, and what that costs. */
struct RowSums {
  float mass, cost;
};

/** Writes a row of a plan, entry(j) each, and adds it to the columns' sums. */
template <typename Entry>
inline RowSums finishRow(const float* __restrict cost, int64_t m, float* __restrict out, float* __restrict columns,
                         const Entry& entry) {
  float mass = 0, total = 0;
#pragma omp simd reduction(+ : mass, total)
  for (int64_t j = 0; j < m; j++) {
    const float x = entry(j);
    out[j] = x;
    columns[j] += x;
    mass += x;
    total += x * cost[j];
  }
  return {mass, total};
}

inline float dot(const float* __restrict x, const float* __restrict y, int64_t size) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; i++) sum += x[i] * y[i];
  return sum;
}

inline void addScaled(float* __restrict sum, const float* __restrict x, float factor, int64_t size) {
#pragma omp simd
  for (int64_t i = 0; i < size; i++) sum[i] += factor * x[i];
}

/** Rows of a kernel that are taken together: each vector of what they meet is then read once for all of them. */
constexpr int rowsTogether = widest == 16 ? 8 : 4;

/** Products of `count` rows, one after the other, with the same vector. */
template <int count>
inline void dots(const float* rows, const float* y, int64_t size, float* out) {
  typedef typename VectorOf<widest>::Type Vector;
  Vector sums[count] = {};
  int64_t j = 0;
  for (; j + widest <= size; j += widest) {
    const Vector right = load<widest>(y + j);
    for (int r = 0; r < count; r++) sums[r] += load<widest>(rows + r * size + j) * right;
  }
  for (int r = 0; r < count; r++) out[r] = laneSum<widest>(sums[r]);
  for (; j < size; j++)
    for (int r = 0; r < count; r++) out[r] += rows[r * size + j] * y[j];
}

/** sum += u·rows of `count` rows. */
template <int count>
inline void addRows(float* sum, const float* rows, const float* u, int64_t size) {
  typedef typename VectorOf<widest>::Type Vector;
  int64_t j = 0;
  for (; j + widest <= size; j += widest) {
    Vector total = load<widest>(sum + j);
    for (int r = 0; r < count; r++) total += load<widest>(rows + r * size + j) * u[r];
    store<widest>(sum + j, total);
  }
  for (; j < size; j++)
    for (int r = 0; r < count; r++) sum[j] += u[r] * rows[r * size + j];
}

/**
 * One pass over a kernel [n, m]: rows' products with v, what factors u `scale` makes of them, and sum += uᵀ·kernel. Whether all factors were
 * good.
 *
 * @param scale (first row, rows, products) → whether the factors that it left in u are good
 */
template <typename Scale>
inline bool passOverRows(const float* kernel, int64_t n, int64_t m, const float* v, const float* u, float* sum, const Scale& scale) {
  bool isGood = true;
  for (int64_t from = 0; from < n; from += rowsTogether) {
    const int64_t count = std::min<int64_t>(rowsTogether, n - from);
    const float* rows = kernel + from * m;
    float products[rowsTogether] = {};
    if (count == rowsTogether)
      dots<rowsTogether>(rows, v, m, products);
    else
      for (int64_t r = 0; r < count; r++) dots<1>(rows + r * m, v, m, products + r);
    isGood &= scale(from, count, products);
    if (count == rowsTogether)
      addRows<rowsTogether>(sum, rows, u + from, m);
    else
      for (int64_t r = 0; r < count; r++) addRows<1>(sum, rows + r * m, u + from + r, m);
  }
  return isGood;
}

/** Whether every potential is within reach of another one: both at −∞, or so near that a scaling between them is harmless. */
inline bool isNear(const float* x, const float* reference, float scale, int64_t size) {
  bool near = true;
  for (int64_t i = 0; i < size; i++) {
    const float distance = (x[i] - reference[i]) * scale;
    near &= (x[i] == -INFINITY && reference[i] == -INFINITY) || std::fabs(distance) <= mostExponent;
  }
  return near;
}

/** exp((x − reference)/λ), 0 where both are −∞. */
inline void scalings(const float* x, const float* reference, float scale, int64_t size, float* out) {
  for (int64_t i = 0; i < size; i++) out[i] = x[i] == -INFINITY ? 0 : exponential((x[i] - reference[i]) * scale);
}

/** The largest g − C of a row. */
inline float largestOfRow(const float* __restrict cost, const float* __restrict g, int64_t m) {
  float top = -INFINITY;
#pragma omp simd reduction(max : top)
  for (int64_t j = 0; j < m; j++) {
    const float x = g[j] - cost[j];
    top = x > top ? x : top;
  }
  return top;
}

/** λ·LSE over the columns of (g − C)/λ for a row. */
inline float softRow(const float* __restrict cost, const float* __restrict g, float lambda, float scale, int64_t m) {
  const float top = largestOfRow(cost, g, m);
  if (!(std::fabs(top) < INFINITY)) return top;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < m; j++) sum += exponential((g[j] - cost[j] - top) * scale);
  return top + lambda * std::log(sum);
}

/** λ·LSE over the rows of (f − C)/λ for every column; `top` and `sum` are scratch [m]. */
inline void softColumns(const float* cost, const float* f, const TransportSettings& s, float* __restrict top,
                        float* __restrict sum, float* __restrict soft) {
  const float scale = 1 / s.lambda;
  for (int64_t j = 0; j < s.m; j++) top[j] = -INFINITY, sum[j] = 0;
  for (int64_t i = 0; i < s.n; i++) {
    const float* __restrict row = cost + i * s.m;
    const float at = f[i];
#pragma omp simd
    for (int64_t j = 0; j < s.m; j++) top[j] = at - row[j] > top[j] ? at - row[j] : top[j];
  }
  for (int64_t i = 0; i < s.n; i++) {
    const float* __restrict row = cost + i * s.m;
    const float at = f[i];
    if (at == -INFINITY) continue;
#pragma omp simd
    for (int64_t j = 0; j < s.m; j++) sum[j] += exponential((at - row[j] - top[j]) * scale);
  }
  for (int64_t j = 0; j < s.m; j++)
    soft[j] = std::fabs(top[j]) < INFINITY ? top[j] + s.lambda * std::log(sum[j]) : top[j];
}

/** A relaxed and damped half-step from the old potential; −∞ without mass. */
inline float halfStep(float old, float mass, float soft, float lambda, float relaxation, float damping) {
  if (!(mass > 0)) return -INFINITY;
  const float half = lambda * std::log(mass) - soft;
  return relaxation == 1 ? damping * half : (1 - relaxation) * old + relaxation * damping * half;
}

}  // namespace fdiv_ops
