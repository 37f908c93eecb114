// Operations over the rows of a matrix: norms, log-softmax, picked log-probabilities, rotation, scattering.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensorflow-op.h"
#include "threads.h"
#include "vector-math.h"

namespace fdiv_ops {
namespace {

/** Into how many parts the rows are cut for sums over rows, whatever the threads: so the sums are the same for any number. */
constexpr int64_t parts = 16;

/** Runs part(p, from, to) for each part of the rows, then adds up what each left in its `width` numbers, in the parts' order. */
template <typename Part>
void sumOverRows(int64_t rows, int64_t width, float* sums, const Part& part) {
  std::vector<float> partial(static_cast<size_t>(parts * width), 0.0f);
  const int64_t step = (rows + parts - 1) / parts;
  forEachTask(parts, [&](int64_t p) {
    const int64_t from = std::min(rows, p * step), to = std::min(rows, from + step);
    part(partial.data() + p * width, from, to);
  });
  std::memset(sums, 0, sizeof(float) * static_cast<size_t>(width));
  for (int64_t p = 0; p < parts; p++) {
    const float* from = partial.data() + p * width;
#pragma omp simd
    for (int64_t i = 0; i < width; i++) sums[i] += from[i];
  }
}

const Signature rmsNormSignature{
    "FdivRmsNorm", {"x: float", "weight: float"}, {"y: float", "inverse: float"}, {"epsilon: float"}};
void rmsNorm(Call& call) {
  const float *x = call.floats(0), *weight = call.floats(1);
  const int64_t m = call.dim(0, 0), n = call.dim(0, 1);
  const float epsilon = call.attributes.real(0);
  float *y = call.output(0, {m, n}), *inverse = call.output(1, {m});
  if (!call.ok()) return;
  forEachSpan(m, rowsPerTask(n), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* __restrict row = x + r * n;
      float* __restrict out = y + r * n;
      float square = 0;
#pragma omp simd reduction(+ : square)
      for (int64_t i = 0; i < n; i++) square += row[i] * row[i];
      const float factor = 1.0f / std::sqrt(square / static_cast<float>(n) + epsilon);
      inverse[r] = factor;
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] = row[i] * factor * weight[i];
    }
  });
}

const Signature rmsNormGradSignature{"FdivRmsNormGrad",
                                     {"dy: float", "x: float", "weight: float", "inverse: float"},
                                     {"dx: float", "dweight: float"},
                                     {}};
void rmsNormGrad(Call& call) {
  const float *dy = call.floats(0), *x = call.floats(1), *weight = call.floats(2), *inverse = call.floats(3);
  const int64_t m = call.dim(1, 0), n = call.dim(1, 1);
  float *dx = call.output(0, {m, n}), *dweight = call.output(1, {n});
  if (!call.ok()) return;
  sumOverRows(m, n, dweight, [&](float* __restrict sums, int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float *__restrict d = dy + r * n, *__restrict row = x + r * n;
      float* __restrict out = dx + r * n;
      const float factor = inverse[r];
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t i = 0; i < n; i++) dot += d[i] * weight[i] * row[i];
      const float projection = dot * factor * factor / static_cast<float>(n);
#pragma omp simd
      for (int64_t i = 0; i < n; i++) {
        sums[i] += d[i] * row[i] * factor;
        out[i] = (d[i] * weight[i] - row[i] * projection) * factor;
      }
    }
  });
}

const Signature layerNormSignature{"FdivLayerNorm",
                                   {"x: float", "weight: float", "bias: float"},
                                   {"y: float", "mean: float", "inverse: float"},
                                   {"epsilon: float"}};
void layerNorm(Call& call) {
  const float *x = call.floats(0), *weight = call.floats(1), *bias = call.floats(2);
  const int64_t m = call.dim(0, 0), n = call.dim(0, 1);
  const float epsilon = call.attributes.real(0);
  float *y = call.output(0, {m, n}), *means = call.output(1, {m}), *inverse = call.output(2, {m});
  if (!call.ok()) return;
  forEachSpan(m, rowsPerTask(n), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* __restrict row = x + r * n;
      float* __restrict out = y + r * n;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < n; i++) sum += row[i];
      const float mean = sum / static_cast<float>(n);
      float square = 0;
#pragma omp simd reduction(+ : square)
      for (int64_t i = 0; i < n; i++) square += (row[i] - mean) * (row[i] - mean);
      const float factor = 1.0f / std::sqrt(square / static_cast<float>(n) + epsilon);
      means[r] = mean;
      inverse[r] = factor;
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] = (row[i] - mean) * factor * weight[i] + bias[i];
    }
  });
}

const Signature layerNormGradSignature{"FdivLayerNormGrad",
                                       {"dy: float", "x: float", "weight: float", "mean: float", "inverse: float"},
                                       {"dx: float", "dweight: float", "dbias: float"},
                                       {}};
void layerNormGrad(Call& call) {
  const float *dy = call.floats(0), *x = call.floats(1), *weight = call.floats(2);
  const float *means = call.floats(3), *inverse = call.floats(4);
  const int64_t m = call.dim(1, 0), n = call.dim(1, 1);
  float *dx = call.output(0, {m, n}), *dweight = call.output(1, {n}), *dbias = call.output(2, {n});
  if (!call.ok()) return;
  std::vector<float> both(static_cast<size_t>(2 * n));
  sumOverRows(m, 2 * n, both.data(), [&](float* sums, int64_t from, int64_t to) {
    float *__restrict weights = sums, *__restrict biases = sums + n;
    for (int64_t r = from; r < to; r++) {
      const float *__restrict d = dy + r * n, *__restrict row = x + r * n;
      float* __restrict out = dx + r * n;
      const float mean = means[r], factor = inverse[r];
      float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
      for (int64_t i = 0; i < n; i++) {
        const float scaled = d[i] * weight[i];
        sum += scaled;
        dot += scaled * (row[i] - mean);
      }
      const float average = sum / static_cast<float>(n);
      const float projection = dot * factor * factor / static_cast<float>(n);
#pragma omp simd
      for (int64_t i = 0; i < n; i++) {
        const float centred = row[i] - mean;
        weights[i] += d[i] * centred * factor;
        biases[i] += d[i];
        out[i] = (d[i] * weight[i] - average - centred * projection) * factor;
      }
    }
  });
  std::copy_n(both.data(), n, dweight);
  std::copy_n(both.data() + n, n, dbias);
}

const Signature sumRowsSignature{"FdivSumRows", {"x: float"}, {"y: float"}, {}};
void sumRows(Call& call) {
  const float* x = call.floats(0);
  const int64_t n = call.dim(0, call.rank(0) - 1), m = n == 0 ? 0 : call.size(0) / n;
  float* y = call.output(0, {n});
  if (!call.ok()) return;
  sumOverRows(m, n, y, [&](float* __restrict sums, int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* __restrict row = x + r * n;
#pragma omp simd
      for (int64_t i = 0; i < n; i++) sums[i] += row[i];
    }
  });
}

/** log Σ exp of one row; −∞ entries are choices that don't exist, and a row without any gives −∞. */
float rowLogSumExp(const float* __restrict row, int64_t n) {
  float most = -INFINITY;
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < n; i++) most = row[i] > most ? row[i] : most;
  if (std::isinf(most)) {
    // All −∞, or one +∞; a NaN among them must still come out.
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += row[i] * 0.0f == 0.0f || std::isinf(row[i]) ? 0.0f : row[i];
    return sum != sum ? sum : most < 0 ? most : NAN;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += exponential(row[i] - most);
  return most + std::log(sum);
}

const Signature logSoftmaxSignature{"FdivLogSoftmax", {"x: float"}, {"y: float"}, {}};
void logSoftmax(Call& call) {
  const float* x = call.floats(0);
  const int64_t m = call.dim(0, 0), n = call.dim(0, 1);
  float* y = call.output(0, {m, n});
  if (!call.ok()) return;
  forEachSpan(m, rowsPerTask(n), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* __restrict row = x + r * n;
      float* __restrict out = y + r * n;
      const float shift = rowLogSumExp(row, n);
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] = row[i] - shift;
    }
  });
}

const Signature logSoftmaxGradSignature{"FdivLogSoftmaxGrad", {"dy: float", "y: float"}, {"dx: float"}, {}};
void logSoftmaxGrad(Call& call) {
  const float *dy = call.floats(0), *y = call.floats(1);
  const int64_t m = call.dim(1, 0), n = call.dim(1, 1);
  float* dx = call.output(0, {m, n});
  if (!call.ok()) return;
  forEachSpan(m, rowsPerTask(n), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float *__restrict d = dy + r * n, *__restrict row = y + r * n;
      float* __restrict out = dx + r * n;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < n; i++) sum += d[i];
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] = d[i] - exponential(row[i]) * sum;
    }
  });
}

/** sign·(logits[target] − log Σ exp logits) of each row, and the log-sum-exp; the sign is that of log-probability or of its negative. */
const Signature pickSignature{"FdivPickLogProb",
                              {"logits: float", "targets: int32"},
                              {"y: float", "log_sum_exp: float"},
                              {"sign: float"}};
void pick(Call& call) {
  const float* logits = call.floats(0);
  const int32_t* targets = call.integers(1);
  const int64_t m = call.dim(0, 0), n = call.dim(0, 1);
  const float sign = call.attributes.real(0);
  float *y = call.output(0, {m}), *logSumExp = call.output(1, {m});
  if (!call.ok()) return;
  for (int64_t r = 0; r < m; r++)
    if (targets[r] < 0 || targets[r] >= n)
      return call.fail("target " + std::to_string(targets[r]) + " of row " + std::to_string(r) + " is outside [0, " +
                       std::to_string(n) + ").");
  forEachSpan(m, rowsPerTask(n), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      logSumExp[r] = rowLogSumExp(logits + r * n, n);
      y[r] = sign * (logits[r * n + targets[r]] - logSumExp[r]);
    }
  });
}

void pickGradRow(const float* row, float* out, int64_t n, float d, float shift, int32_t target) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) out[i] = -d * exponential(row[i] - shift);
  out[target] += d;
}

/** The gradient of FdivPickLogProb, d·sign·(one-hot − softmax). */
const Signature pickGradSignature{"FdivPickLogProbGrad",
                                  {"dy: float", "logits: float", "targets: int32", "log_sum_exp: float"},
                                  {"dlogits: float"},
                                  {"sign: float"}};
void pickGrad(Call& call) {
  const float *dy = call.floats(0), *logits = call.floats(1), *logSumExp = call.floats(3);
  const int32_t* targets = call.integers(2);
  const int64_t m = call.dim(1, 0), n = call.dim(1, 1);
  const float sign = call.attributes.real(0);
  float* dlogits = call.output(0, {m, n});
  if (!call.ok()) return;
  forEachSpan(m, rowsPerTask(n), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++)
      pickGradRow(logits + r * n, dlogits + r * n, n, sign * dy[r], logSumExp[r], targets[r]);
  });
}

/** The same, over the logits: for logits that nobody else holds. */
const Signature pickGradInPlaceSignature{"FdivPickLogProbGradInPlace",
                                         {"dy: float", "logits: float", "targets: int32", "log_sum_exp: float"},
                                         {},
                                         {"sign: float"}};
void pickGradInPlace(Call& call) {
  const float *dy = call.floats(0), *logSumExp = call.floats(3);
  float* logits = call.changed(1);
  const int32_t* targets = call.integers(2);
  const int64_t m = call.dim(1, 0), n = call.dim(1, 1);
  const float sign = call.attributes.real(0);
  forEachSpan(m, rowsPerTask(n), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++)
      pickGradRow(logits + r * n, logits + r * n, n, sign * dy[r], logSumExp[r], targets[r]);
  });
}

/**
 * One draw a row by inverting the cumulative distribution of exp(logits/temperature), and the greatest at temperature 0:
 * [rows, 3] of id, its log-probability under that law, and under softmax(logits). The uniform number of a row is
 * (uniforms[r, 0]·2³² + uniforms[r, 1])/2⁵³, both halves unsigned.
 */
const Signature drawSignature{
    "FdivDrawTokens", {"logits: float", "uniforms: int32"}, {"draws: float"}, {"temperature: float"}};
void drawTokens(Call& call) {
  const float* logits = call.floats(0);
  const int32_t* uniforms = call.integers(1);
  const int64_t m = call.dim(0, 0), n = call.dim(0, 1);
  const float temperature = call.attributes.real(0);
  float* draws = call.output(0, {m, 3});
  if (!call.ok()) return;
  // Numbers whose order stays what it is: a block's sum is made by one task, the blocks are added in order.
  constexpr int64_t block = 256;
  forEachTask(m, [&](int64_t r) {
    const float* __restrict row = logits + r * n;
    float* draw = draws + 3 * r;
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
      if (row[i] > row[best]) best = i;
    const float policySum = rowLogSumExp(row, n);
    int64_t chosen = best;
    float logProb = 0;
    if (temperature > 0) {
      const float most = row[best], inverse = 1.0f / temperature;
      std::vector<double> sums(static_cast<size_t>((n + block - 1) / block));
      const auto weight = [&](int64_t i) { return exponential((row[i] - most) * inverse); };
      double total = 0;
      for (size_t b = 0; b < sums.size(); b++) {
        const int64_t from = static_cast<int64_t>(b) * block, to = std::min(n, from + block);
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = from; i < to; i++) sum += weight(i);
        total += sums[b] = sum;
      }
      const double high = static_cast<uint32_t>(uniforms[2 * r]), low = static_cast<uint32_t>(uniforms[2 * r + 1]);
      double rest = (high * 4294967296.0 + low) / 9007199254740992.0 * total;
      size_t b = 0;
      while (b + 1 < sums.size() && rest >= sums[b]) rest -= sums[b++];
      chosen = -1;
      for (int64_t i = static_cast<int64_t>(b) * block; i < n; i++) {
        const float w = weight(i);
        if (w == 0.0f) continue;
        chosen = i;
        rest -= w;
        if (rest < 0) break;
      }
      // Rounding may leave a rest behind the last block's last possible token.
      for (int64_t i = static_cast<int64_t>(b) * block - 1; chosen < 0 && i >= 0; i--)
        if (weight(i) > 0.0f) chosen = i;
      if (chosen < 0) chosen = best;
      logProb = (row[chosen] - most) * inverse - static_cast<float>(std::log(total));
    }
    draw[0] = static_cast<float>(chosen);
    draw[1] = logProb;
    draw[2] = row[chosen] - policySum;
  });
}

const Signature rotarySignature{"FdivRotary",
                                {"x: float", "cos: float", "sin: float", "positions: int32"},
                                {"y: float"},
                                {"heads: int", "interleaved: bool", "inverse: bool"}};
void rotary(Call& call) {
  const float *x = call.floats(0), *cosines = call.floats(1), *sines = call.floats(2);
  const int32_t* positions = call.integers(3);
  const int64_t tokens = call.dim(0, 0) * call.dim(0, 1), width = call.dim(0, 2), half = call.dim(1, 1);
  const int64_t heads = call.attributes.integer(0), size = width / heads, known = call.dim(1, 0);
  const bool interleaved = call.attributes.flag(1);
  const float turn = call.attributes.flag(2) ? -1.0f : 1.0f;
  float* y = call.output(0, call.shape(0));
  if (!call.ok()) return;
  for (int64_t t = 0; t < tokens; t++)
    if (positions[t] < 0 || positions[t] >= known)
      return call.fail("position " + std::to_string(positions[t]) + " is outside the rotary tables of " +
                       std::to_string(known) + ".");
  forEachSpan(tokens, rowsPerTask(width), [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
      const float *__restrict c = cosines + positions[t] * half, *__restrict s = sines + positions[t] * half;
      for (int64_t h = 0; h < heads; h++) {
        const float* __restrict in = x + t * width + h * size;
        float* __restrict out = y + t * width + h * size;
        if (interleaved) {
          for (int64_t i = 0; i < half; i++) {
            const float a = in[2 * i], b = in[2 * i + 1], sine = turn * s[i];
            out[2 * i] = a * c[i] - b * sine;
            out[2 * i + 1] = b * c[i] + a * sine;
          }
        } else {
#pragma omp simd
          for (int64_t i = 0; i < half; i++) {
            const float a = in[i], b = in[i + half], sine = turn * s[i];
            out[i] = a * c[i] - b * sine;
            out[i + half] = b * c[i] + a * sine;
          }
        }
        for (int64_t i = 2 * half; i < size; i++) out[i] = in[i];
      }
    }
  });
}

/** Cut by columns, so that rows with the same id are added in one order by one thread. */
const Signature scatterAddSignature{"FdivScatterAdd", {"rows: float", "ids: int32"}, {"table: float"}, {"size: int"}};
void scatterAdd(Call& call) {
  const float* rows = call.floats(0);
  const int32_t* ids = call.integers(1);
  const int64_t m = call.dim(0, 0), n = call.dim(0, 1), size = call.attributes.integer(0);
  float* table = call.output(0, {size, n});
  if (!call.ok()) return;
  for (int64_t r = 0; r < m; r++)
    if (ids[r] < 0 || ids[r] >= size)
      return call.fail("id " + std::to_string(ids[r]) + " is outside [0, " + std::to_string(size) + ").");
  forEachSpan(size, rowsPerTask(n), [&](int64_t from, int64_t to) {
    std::memset(table + from * n, 0, sizeof(float) * static_cast<size_t>((to - from) * n));
  });
  forEachSpan(n, 64, [&](int64_t from, int64_t to) {
    for (int64_t r = 0; r < m; r++) {
      float* __restrict sum = table + ids[r] * n;
      const float* __restrict row = rows + r * n;
#pragma omp simd
      for (int64_t i = from; i < to; i++) sum[i] += row[i];
    }
  });
}

/** cache[b, layout[b, 0] + t, :] = rows[b, t, :], in place. */
const Signature cacheWriteSignature{"FdivCacheWrite", {"cache: float", "rows: float", "layout: int32"}, {}, {}};
void cacheWrite(Call& call) {
  float* cache = call.changed(0);
  const float* rows = call.floats(1);
  const int32_t* layout = call.integers(2);
  const int64_t batch = call.dim(0, 0), slots = call.dim(0, 1), width = call.dim(0, 2), time = call.dim(1, 1);
  for (int64_t b = 0; b < batch; b++)
    if (layout[3 * b] < 0 || layout[3 * b] + time > slots)
      return call.fail("row " + std::to_string(b) + " would end at slot " + std::to_string(layout[3 * b] + time) +
                       " of a cache of " + std::to_string(slots) + ".");
  for (int64_t b = 0; b < batch; b++)
    std::memcpy(cache + (b * slots + layout[3 * b]) * width, rows + b * time * width,
                sizeof(float) * static_cast<size_t>(time * width));
}

}  // namespace

std::string registerRowOperations() {
  std::string problem = Operation<rmsNormSignature, rmsNorm>::registered();
  problem += Operation<rmsNormGradSignature, rmsNormGrad>::registered();
  problem += Operation<layerNormSignature, layerNorm>::registered();
  problem += Operation<layerNormGradSignature, layerNormGrad>::registered();
  problem += Operation<sumRowsSignature, sumRows>::registered();
  problem += Operation<logSoftmaxSignature, logSoftmax>::registered();
  problem += Operation<logSoftmaxGradSignature, logSoftmaxGrad>::registered();
  problem += Operation<pickSignature, pick>::registered();
  problem += Operation<pickGradSignature, pickGrad>::registered();
  problem += Operation<pickGradInPlaceSignature, pickGradInPlace>::registered();
  problem += Operation<drawSignature, drawTokens>::registered();
  problem += Operation<rotarySignature, rotary>::registered();
  problem += Operation<scatterAddSignature, scatterAdd>::registered();
  problem += Operation<cacheWriteSignature, cacheWrite>::registered();
  return problem;
}

}  // namespace fdiv_ops
