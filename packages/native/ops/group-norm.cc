// Group normalisation of images [batch, pixels, channels]: an example is a task, its statistics those of its groups of channels.
#include <cmath>
#include <vector>

#include "tensorflow-op.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

/** Adds up each channel's values over pixels: sums[c] += f(pixel, c). */
template <typename Value>
inline void overPixels(int64_t pixels, int64_t channels, float* __restrict sums, const Value& value) {
  for (int64_t p = 0; p < pixels; p++) {
    const int64_t at = p * channels;
#pragma omp simd
    for (int64_t c = 0; c < channels; c++) sums[c] += value(at + c, c);
  }
}

const Signature groupNormSignature{"FdivGroupNorm",
                                   {"x: float", "weight: float", "bias: float"},
                                   {"y: float", "mean: float", "inverse: float"},
                                   {"groups: int", "epsilon: float"}};
void groupNorm(Call& call) {
  const float *x = call.floats(0), *weight = call.floats(1), *bias = call.floats(2);
  const int64_t batch = call.dim(0, 0), pixels = call.dim(0, 1), channels = call.dim(0, 2);
  const int64_t groups = call.attributes.integer(0), wide = channels / groups;
  const float epsilon = call.attributes.real(1);
  float *y = call.output(0, {batch, pixels, channels}), *means = call.output(1, {batch, groups});
  float* inverses = call.output(2, {batch, groups});
  if (!call.ok()) return;
  forEachTask(batch, [&](int64_t b) {
    const float* __restrict in = x + b * pixels * channels;
    float* __restrict out = y + b * pixels * channels;
    std::vector<float> room(static_cast<size_t>(4 * channels), 0.0f);
    float *__restrict sums = room.data(), *__restrict squares = sums + channels;
    float *__restrict scale = squares + channels, *__restrict shift = scale + channels;
    const float count = static_cast<float>(pixels * wide);
    overPixels(pixels, channels, sums, [&](int64_t at, int64_t) { return in[at]; });
    for (int64_t g = 0; g < groups; g++) {
      float sum = 0;
      for (int64_t c = g * wide; c < (g + 1) * wide; c++) sum += sums[c];
      means[b * groups + g] = sum / count;
      for (int64_t c = g * wide; c < (g + 1) * wide; c++) shift[c] = sum / count;
    }
    // About the mean, which E[x²] − mean² in float32 would lose where it is large.
    overPixels(pixels, channels, squares,
               [&](int64_t at, int64_t c) { return (in[at] - shift[c]) * (in[at] - shift[c]); });
    for (int64_t g = 0; g < groups; g++) {
      float square = 0;
      for (int64_t c = g * wide; c < (g + 1) * wide; c++) square += squares[c];
      const float inverse = 1.0f / std::sqrt(square / count + epsilon);
      inverses[b * groups + g] = inverse;
      for (int64_t c = g * wide; c < (g + 1) * wide; c++) {
        scale[c] = inverse * weight[c];
        shift[c] = bias[c] - shift[c] * scale[c];
      }
    }
    for (int64_t p = 0; p < pixels; p++) {
      const int64_t at = p * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) out[at + c] = in[at + c] * scale[c] + shift[c];
    }
  });
}

const Signature groupNormGradSignature{"FdivGroupNormGrad",
                                       {"dy: float", "x: float", "weight: float", "mean: float", "inverse: float"},
                                       {"dx: float", "dweight: float", "dbias: float"},
                                       {"groups: int"}};
void groupNormGrad(Call& call) {
  const float *dy = call.floats(0), *x = call.floats(1), *weight = call.floats(2);
  const float *means = call.floats(3), *inverses = call.floats(4);
  const int64_t batch = call.dim(1, 0), pixels = call.dim(1, 1), channels = call.dim(1, 2);
  const int64_t groups = call.attributes.integer(0), wide = channels / groups;
  float *dx = call.output(0, {batch, pixels, channels}), *dweight = call.output(1, {channels});
  float* dbias = call.output(2, {channels});
  if (!call.ok()) return;
  // Each example's parts of dweight and dbias, added up at the end in the examples' order.
  std::vector<float> parts(static_cast<size_t>(2 * batch * channels), 0.0f);
  forEachTask(batch, [&](int64_t b) {
    const float *__restrict d = dy + b * pixels * channels, *__restrict in = x + b * pixels * channels;
    float* __restrict out = dx + b * pixels * channels;
    float *__restrict biases = parts.data() + 2 * b * channels, *__restrict weights = biases + channels;
    std::vector<float> room(static_cast<size_t>(3 * channels));
    float *__restrict ofDy = room.data(), *__restrict ofX = ofDy + channels, *__restrict constant = ofX + channels;
    for (int64_t c = 0; c < channels; c++) constant[c] = means[b * groups + c / wide];
    overPixels(pixels, channels, biases, [&](int64_t at, int64_t) { return d[at]; });
    overPixels(pixels, channels, weights, [&](int64_t at, int64_t c) { return d[at] * (in[at] - constant[c]); });
    for (int64_t g = 0; g < groups; g++) {
      const float mean = means[b * groups + g], r = inverses[b * groups + g];
      const float count = static_cast<float>(pixels * wide);
      float level = 0, slope = 0;
      for (int64_t c = g * wide; c < (g + 1) * wide; c++) {
        weights[c] *= r;
        level += weight[c] * biases[c];
        slope += weight[c] * weights[c];
      }
      level /= count;
      slope /= count;
      for (int64_t c = g * wide; c < (g + 1) * wide; c++) {
        ofDy[c] = r * weight[c];
        ofX[c] = -r * r * slope;
        constant[c] = -r * level - mean * ofX[c];
      }
    }
    for (int64_t p = 0; p < pixels; p++) {
      const int64_t at = p * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) out[at + c] = d[at + c] * ofDy[c] + in[at + c] * ofX[c] + constant[c];
    }
  });
  for (int64_t c = 0; c < channels; c++) dweight[c] = dbias[c] = 0;
  for (int64_t b = 0; b < batch; b++)
    for (int64_t c = 0; c < channels; c++) {
      dbias[c] += parts[static_cast<size_t>(2 * b * channels + c)];
      dweight[c] += parts[static_cast<size_t>((2 * b + 1) * channels + c)];
    }
}

}  // namespace

std::string registerGroupNormOperations() {
  return Operation<groupNormSignature, groupNorm>::registered() +
         Operation<groupNormGradSignature, groupNormGrad>::registered();
}

}  // namespace fdiv_ops
