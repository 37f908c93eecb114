// AdamW in one pass over memory, and the norms that clip a gradient: of any number of tensors at once, as a small network's many parameters take
// longer to be asked for one by one than to be changed.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tensorflow-op.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

constexpr int64_t span = 16384;

/** Numbers [from, to) of a tensor. */
struct Stretch {
  int64_t tensor, from, to;
};

/** Stretches of the first `count` inputs, none longer than a span, and where each task's begin: as many as make a span. */
struct Stretches {
  std::vector<Stretch> all;
  std::vector<size_t> starts{0};

  Stretches(const Call& call, int64_t count) {
    int64_t numbers = 0;
    for (int64_t t = 0; t < count; t++)
      for (int64_t from = 0, size = call.size(static_cast<int>(t)); from < size; from += span) {
        const int64_t to = std::min(from + span, size);
        if (numbers > 0 && numbers + to - from > span) {
          starts.push_back(all.size());
          numbers = 0;
        }
        numbers += to - from;
        all.push_back({t, from, to});
      }
    starts.push_back(all.size());
  }

  /** Runs f(i, stretch) of the i-th of all stretches. */
  template <typename F>
  void forEach(const F& f) const {
    forEachTask(static_cast<int64_t>(starts.size()) - 1, [&](int64_t task) {
      for (size_t i = starts[task]; i < starts[task + 1]; i++) f(i, all[i]);
    });
  }
};

/**
 * p ← p·decay − rate·m / (√v·deviation + ε), in place, with
 * settings = [rate = η/(1 − β₁ᵗ), β₁, β₂, ε, deviation = 1/√(1 − β₂ᵗ), gradientScale, then each parameter's decay = 1 − ηλ].
 * A tensor, not attributes: TensorFlow keeps a kernel for every set of attributes that it has seen.
 */
const Signature adamWSignature{
    "FdivAdamW",
    {"parameters: N * float", "gradients: N * float", "m: N * float", "v: N * float", "settings: float"},
    {},
    {"N: int >= 1"}};
void adamW(Call& call) {
  const int64_t count = call.attributes.integer(0);
  const int last = static_cast<int>(4 * count);
  const float* settings = call.floats(last);
  if (call.size(last) != 6 + count) return call.fail("FdivAdamW: six settings and a decay a parameter are due.");
  const float rate = settings[0], beta1 = settings[1], beta2 = settings[2], epsilon = settings[3];
  const float deviation = settings[4], scale = settings[5];
  const float rest1 = 1.0f - beta1, rest2 = 1.0f - beta2;
  Stretches(call, count).forEach([&](size_t, const Stretch& stretch) {
    const auto at = [&](int64_t which) { return static_cast<int>(which * count + stretch.tensor); };
    float* __restrict p = call.changed(at(0));
    const float* __restrict gradient = call.floats(at(1));
    float* __restrict first = call.changed(at(2));
    float* __restrict second = call.changed(at(3));
    const float decay = settings[6 + stretch.tensor];
#pragma omp simd
    for (int64_t i = stretch.from; i < stretch.to; i++) {
      const float g = gradient[i] * scale;
      const float nextM = beta1 * first[i] + rest1 * g;
      const float nextV = beta2 * second[i] + rest2 * (g * g);
      first[i] = nextM;
      second[i] = nextV;
      p[i] = p[i] * decay - rate * nextM / (std::sqrt(nextV) * deviation + epsilon);
    }
  });
}

const Signature squaredNormsSignature{"FdivSquaredNorms", {"x: N * float"}, {"y: float"}, {"N: int >= 1"}};
void squaredNorms(Call& call) {
  const int64_t count = call.attributes.integer(0);
  float* y = call.output(0, {count});
  if (!call.ok()) return;
  const Stretches stretches(call, count);
  std::vector<double> squares(stretches.all.size(), 0.0);
  stretches.forEach([&](size_t i, const Stretch& stretch) {
    const float* x = call.floats(static_cast<int>(stretch.tensor));
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = stretch.from; k < stretch.to; k++) sum += static_cast<double>(x[k]) * x[k];
    squares[i] = sum;
  });
  std::vector<double> totals(static_cast<size_t>(count), 0.0);
  for (size_t i = 0; i < squares.size(); i++) totals[static_cast<size_t>(stretches.all[i].tensor)] += squares[i];
  std::copy(totals.begin(), totals.end(), y);
}

}  // namespace

std::string registerOptimiserOperations() {
  return Operation<adamWSignature, adamW>::registered() + Operation<squaredNormsSignature, squaredNorms>::registered();
}

}  // namespace fdiv_ops
