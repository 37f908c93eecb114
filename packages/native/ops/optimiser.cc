// AdamW in one pass over memory, and the norm that clips a gradient.
#include <cmath>

#include "tensorflow-op.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

constexpr int64_t span = 16384;

/**
 * p ← p·decay − rate·m / (√v·deviation + ε), in place, with
 * settings = [rate = η/(1 − β₁ᵗ), β₁, β₂, ε, decay = 1 − ηλ, deviation = 1/√(1 − β₂ᵗ), gradientScale].
 * A tensor, not attributes: TensorFlow keeps a kernel for every set of attributes that it has seen.
 */
const Signature adamWSignature{
    "FdivAdamW", {"parameter: float", "gradient: float", "m: float", "v: float", "settings: float"}, {}, {}};
void adamW(Call& call) {
  float *parameter = call.changed(0), *m = call.changed(2), *v = call.changed(3);
  const float *gradient = call.floats(1), *settings = call.floats(4);
  if (call.size(4) != 7) return call.fail("FdivAdamW: seven settings are due.");
  const float rate = settings[0], beta1 = settings[1], beta2 = settings[2], epsilon = settings[3];
  const float decay = settings[4], deviation = settings[5], scale = settings[6];
  const float rest1 = 1.0f - beta1, rest2 = 1.0f - beta2;
  forEachSpan(call.size(0), span, [&](int64_t from, int64_t to) {
    float* __restrict p = parameter;
    float* __restrict first = m;
    float* __restrict second = v;
#pragma omp simd
    for (int64_t i = from; i < to; i++) {
      const float g = gradient[i] * scale;
      const float nextM = beta1 * first[i] + rest1 * g;
      const float nextV = beta2 * second[i] + rest2 * (g * g);
      first[i] = nextM;
      second[i] = nextV;
      p[i] = p[i] * decay - rate * nextM / (std::sqrt(nextV) * deviation + epsilon);
    }
  });
}

const Signature squaredNormSignature{"FdivSquaredNorm", {"x: float"}, {"y: float"}, {}};
void squaredNorm(Call& call) {
  const float* x = call.floats(0);
  const int64_t size = call.size(0), parts = (size + span - 1) / span;
  float* y = call.output(0, {});
  if (!call.ok()) return;
  std::vector<double> squares(parts, 0.0);
  forEachSpan(size, span, [&](int64_t from, int64_t to) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = from; i < to; i++) sum += static_cast<double>(x[i]) * x[i];
    if (parts > 0) squares[from / span] = sum;
  });
  double total = 0;
  for (double square : squares) total += square;
  *y = static_cast<float>(total);
}

}  // namespace

std::string registerOptimiserOperations() {
  return Operation<adamWSignature, adamW>::registered() + Operation<squaredNormSignature, squaredNorm>::registered();
}

}  // namespace fdiv_ops
