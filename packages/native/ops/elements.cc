// Operations element by element: activations, biases, the gated unit.
#include <cmath>

#include "activation.h"
#include "tensorflow-op.h"
#include "threads.h"
#include "vector-math.h"

namespace fdiv_ops {
namespace {

constexpr int64_t span = 16384;
constexpr float tanhScale = 0.7978845608028654f;  // √(2/π)
constexpr float tanhCubic = 0.044715f;

// The numbers that the caller gives the activations.
enum Kind { none = 0, gelu = 1, geluTanh = 2, silu = 3, relu = 4 };

template <int kind>
inline float value(float x) {
  if constexpr (kind == gelu) return 0.5f * x * (1.0f + errorFunction(x * 0.70710678f));
  // ½(1 + tanh u) = σ(2u), without the cancellation.
  if constexpr (kind == geluTanh) return x * sigmoid(2.0f * tanhScale * x * (1.0f + tanhCubic * x * x));
  if constexpr (kind == silu) return x * sigmoid(x);
  if constexpr (kind == relu) return x > 0.0f ? x : x != x ? x : 0.0f;
  return x;
}

template <int kind>
inline float slope(float x) {
  if constexpr (kind == gelu)
    return 0.5f * (1.0f + errorFunction(x * 0.70710678f)) + x * 0.39894228f * exponential(-0.5f * x * x);
  if constexpr (kind == geluTanh) {
    const float s = sigmoid(2.0f * tanhScale * x * (1.0f + tanhCubic * x * x));
    return s + 2.0f * x * s * (1.0f - s) * tanhScale * (1.0f + 3.0f * tanhCubic * x * x);
  }
  if constexpr (kind == silu) {
    const float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
  }
  if constexpr (kind == relu) return x > 0.0f ? 1.0f : x != x ? x : 0.0f;
  return 1.0f;
}

template <int kind>
void activateSpan(const float* __restrict x, float* __restrict y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) y[i] = value<kind>(x[i]);
}

template <int kind>
void slopeSpan(const float* __restrict dy, const float* __restrict x, float* __restrict dx, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) dx[i] = dy[i] * slope<kind>(x[i]);
}

template <int kind>
void activateSpanInPlace(float* x, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) x[i] = value<kind>(x[i]);
}

/** Runs the instance of a function template that belongs to an activation. */
#define FDIV_BY_KIND(kind, function, ...)            \
  switch (kind) {                                    \
    case gelu: return function<gelu>(__VA_ARGS__);   \
    case geluTanh: return function<geluTanh>(__VA_ARGS__); \
    case silu: return function<silu>(__VA_ARGS__);   \
    case relu: return function<relu>(__VA_ARGS__);   \
    default: return function<none>(__VA_ARGS__);     \
  }

void activateAny(int64_t kind, const float* x, float* y, int64_t count) {
  FDIV_BY_KIND(kind, activateSpan, x, y, count)
}

}  // namespace

void activateInPlace(int64_t kind, float* x, int64_t count) { FDIV_BY_KIND(kind, activateSpanInPlace, x, count) }
void activationSlope(int64_t kind, const float* dy, const float* x, float* dx, int64_t count) {
  FDIV_BY_KIND(kind, slopeSpan, dy, x, dx, count)
}

namespace {

const Signature activationSignature{"FdivActivation", {"x: float"}, {"y: float"}, {"kind: int"}};
void activation(Call& call) {
  const float* x = call.floats(0);
  float* y = call.output(0, call.shape(0));
  if (!call.ok()) return;
  const int64_t kind = call.attributes.integer(0);
  forEachSpan(call.size(0), span, [&](int64_t from, int64_t to) { activateAny(kind, x + from, y + from, to - from); });
}

const Signature activationGradSignature{"FdivActivationGrad", {"dy: float", "x: float"}, {"dx: float"}, {"kind: int"}};
void activationGrad(Call& call) {
  const float *dy = call.floats(0), *x = call.floats(1);
  float* dx = call.output(0, call.shape(1));
  if (!call.ok()) return;
  const int64_t kind = call.attributes.integer(0);
  forEachSpan(call.size(1), span,
              [&](int64_t from, int64_t to) { activationSlope(kind, dy + from, x + from, dx + from, to - from); });
}

void addBias(float* __restrict row, const float* __restrict bias, int64_t columns) {
#pragma omp simd
  for (int64_t i = 0; i < columns; i++) row[i] += bias[i];
}

/** Both change the product in place to product + bias; the first to f of that, the second gives f of that beside. */
const Signature addBiasSignature{"FdivAddBias", {"product: float", "bias: float"}, {}, {"kind: int"}};
void addBiasInPlace(Call& call) {
  const int64_t rows = call.dim(0, 0), columns = call.dim(0, 1), kind = call.attributes.integer(0);
  float* product = call.changed(0);
  const float* bias = call.size(1) > 0 ? call.floats(1) : nullptr;
  forEachSpan(rows, rowsPerTask(columns), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      float* row = product + r * columns;
      if (bias) addBias(row, bias, columns);
      if (kind != none) activateInPlace(kind, row, columns);
    }
  });
}

const Signature biasActivationSignature{
    "FdivBiasActivation", {"product: float", "bias: float"}, {"y: float"}, {"kind: int"}};
void biasActivation(Call& call) {
  const int64_t rows = call.dim(0, 0), columns = call.dim(0, 1), kind = call.attributes.integer(0);
  float* product = call.changed(0);
  const float* bias = call.size(1) > 0 ? call.floats(1) : nullptr;
  float* y = call.output(0, call.shape(0));
  if (!call.ok()) return;
  forEachSpan(rows, rowsPerTask(columns), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      float* row = product + r * columns;
      if (bias) addBias(row, bias, columns);
      activateAny(kind, row, y + r * columns, columns);
    }
  });
}

void swigluSpan(const float* __restrict gate, const float* __restrict up, float* __restrict y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) y[i] = value<silu>(gate[i]) * up[i];
}
const Signature swigluSignature{"FdivSwiglu", {"gate: float", "up: float"}, {"y: float"}, {}};
void swiglu(Call& call) {
  const float *gate = call.floats(0), *up = call.floats(1);
  float* y = call.output(0, call.shape(0));
  if (!call.ok()) return;
  forEachSpan(call.size(0), span,
              [&](int64_t from, int64_t to) { swigluSpan(gate + from, up + from, y + from, to - from); });
}

void swigluGradSpan(const float* __restrict dy, const float* __restrict gate, const float* __restrict up,
                    float* __restrict dgate, float* __restrict dup, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) {
    const float s = sigmoid(gate[i]);
    dgate[i] = dy[i] * up[i] * s * (1.0f + gate[i] * (1.0f - s));
    dup[i] = dy[i] * gate[i] * s;
  }
}
const Signature swigluGradSignature{
    "FdivSwigluGrad", {"dy: float", "gate: float", "up: float"}, {"dgate: float", "dup: float"}, {}};
void swigluGrad(Call& call) {
  const float *dy = call.floats(0), *gate = call.floats(1), *up = call.floats(2);
  float *dgate = call.output(0, call.shape(1)), *dup = call.output(1, call.shape(2));
  if (!call.ok()) return;
  forEachSpan(call.size(1), span, [&](int64_t from, int64_t to) {
    swigluGradSpan(dy + from, gate + from, up + from, dgate + from, dup + from, to - from);
  });
}

}  // namespace

std::string registerElementOperations() {
  std::string problem = Operation<activationSignature, activation>::registered();
  problem += Operation<activationGradSignature, activationGrad>::registered();
  problem += Operation<addBiasSignature, addBiasInPlace>::registered();
  problem += Operation<biasActivationSignature, biasActivation>::registered();
  problem += Operation<swigluSignature, swiglu>::registered();
  problem += Operation<swigluGradSignature, swigluGrad>::registered();
  return problem;
}

}  // namespace fdiv_ops
