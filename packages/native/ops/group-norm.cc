// Group normalisation of images [batch, ..., channels], and an activation of what comes out: an example is a task, its statistics those of
// its groups of channels. Weight and bias have a number a channel, or a number a channel of each example.
#include <algorithm>
#include <cmath>
#include <vector>

#include "activation.h"
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

/** out = in·scale + shift of some pixels. */
inline void scaleAndShift(int64_t pixels, int64_t channels, const float* __restrict in, const float* __restrict scale,
                          const float* __restrict shift, float* __restrict out) {
  for (int64_t p = 0; p < pixels; p++) {
    const int64_t at = p * channels;
#pragma omp simd
    for (int64_t c = 0; c < channels; c++) out[at + c] = in[at + c] * scale[c] + shift[c];
  }
}

/** The sizes of what is normalised, and how far apart examples' weights are: nothing where they share one. */
struct Sizes {
  int64_t batch, pixels, channels, groups, wide, affineStep;
  Sizes(const Call& call, int x, int weight, int64_t groups)
      : batch(call.dim(x, 0)), channels(call.dim(x, call.rank(x) - 1)), groups(groups), wide(channels / groups),
        affineStep(call.rank(weight) == 2 ? channels : 0) {
    pixels = batch * channels == 0 ? 0 : call.size(x) / (batch * channels);
  }
  /** Pixels that are activated while they are in the first cache. */
  int64_t few() const { return std::max<int64_t>(1, 2048 / channels); }
};

const Signature groupNormSignature{"FdivGroupNorm",
                                   {"x: float", "weight: float", "bias: float"},
                                   {"y: float", "mean: float", "inverse: float"},
                                   {"groups: int", "epsilon: float", "kind: int"}};
void groupNorm(Call& call) {
  const float *x = call.floats(0), *weight = call.floats(1), *bias = call.floats(2);
  const Sizes sizes(call, 0, 1, call.attributes.integer(0));
  const int64_t batch = sizes.batch, pixels = sizes.pixels, channels = sizes.channels;
  const int64_t groups = sizes.groups, wide = sizes.wide, affineStep = sizes.affineStep;
  const float epsilon = call.attributes.real(1);
  const int64_t kind = call.attributes.integer(2);
  float *y = call.output(0, call.shape(0)), *means = call.output(1, {batch, groups});
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
        scale[c] = inverse * weight[b * affineStep + c];
        shift[c] = bias[b * affineStep + c] - shift[c] * scale[c];
      }
    }
    for (int64_t p = 0; p < pixels; p += sizes.few()) {
      const int64_t count = std::min(sizes.few(), pixels - p), at = p * channels;
      scaleAndShift(count, channels, in + at, scale, shift, out + at);
      if (kind != 0) activateInPlace(kind, out + at, count * channels);
    }
  });
}

const Signature groupNormGradSignature{
    "FdivGroupNormGrad",
    {"dy: float", "x: float", "weight: float", "bias: float", "mean: float", "inverse: float"},
    {"dx: float", "dweight: float", "dbias: float"},
    {"groups: int", "kind: int"}};
void groupNormGrad(Call& call) {
  const float *dy = call.floats(0), *x = call.floats(1), *weight = call.floats(2), *bias = call.floats(3);
  const float *means = call.floats(4), *inverses = call.floats(5);
  const Sizes sizes(call, 1, 2, call.attributes.integer(0));
  const int64_t batch = sizes.batch, pixels = sizes.pixels, channels = sizes.channels;
  const int64_t groups = sizes.groups, wide = sizes.wide, affineStep = sizes.affineStep;
  const int64_t kind = call.attributes.integer(1);
  float *dx = call.output(0, call.shape(1)), *dweight = call.output(1, call.shape(2));
  float* dbias = call.output(2, call.shape(2));
  if (!call.ok()) return;
  // Each example's parts of dweight and dbias, which are what is asked where examples have their own, and else added up at the end in their order.
  std::vector<float> parts(affineStep > 0 ? 0 : static_cast<size_t>(2 * batch * channels));
  float* weightParts = affineStep > 0 ? dweight : parts.data();
  float* biasParts = affineStep > 0 ? dbias : parts.data() + batch * channels;
  std::fill_n(weightParts, batch * channels, 0.0f);
  std::fill_n(biasParts, batch * channels, 0.0f);
  forEachTask(batch, [&](int64_t b) {
    const float* __restrict in = x + b * pixels * channels;
    const float *own = weight + b * affineStep, *ownBias = bias + b * affineStep, *d = dy + b * pixels * channels;
    float* out = dx + b * pixels * channels;
    float *__restrict biases = biasParts + b * channels, *__restrict weights = weightParts + b * channels;
    std::vector<float> room(static_cast<size_t>((3 + (kind != 0 ? sizes.few() : 0)) * channels));
    float *__restrict ofDy = room.data(), *__restrict ofX = ofDy + channels, *__restrict constant = ofX + channels;
    if (kind != 0) {
      float *scale = ofDy, *shift = ofX, *before = constant + channels;
      for (int64_t c = 0; c < channels; c++) {
        scale[c] = inverses[b * groups + c / wide] * own[c];
        shift[c] = ownBias[c] - means[b * groups + c / wide] * scale[c];
      }
      for (int64_t p = 0; p < pixels; p += sizes.few()) {
        const int64_t count = std::min(sizes.few(), pixels - p), at = p * channels;
        scaleAndShift(count, channels, in + at, scale, shift, before);
        activationSlope(kind, d + at, before, out + at, count * channels);
      }
      d = out;
    }
    for (int64_t c = 0; c < channels; c++) constant[c] = means[b * groups + c / wide];
    overPixels(pixels, channels, biases, [&](int64_t at, int64_t) { return d[at]; });
    overPixels(pixels, channels, weights, [&](int64_t at, int64_t c) { return d[at] * (in[at] - constant[c]); });
    for (int64_t g = 0; g < groups; g++) {
      const float mean = means[b * groups + g], r = inverses[b * groups + g];
      const float count = static_cast<float>(pixels * wide);
      float level = 0, slope = 0;
      for (int64_t c = g * wide; c < (g + 1) * wide; c++) {
        weights[c] *= r;
        level += own[c] * biases[c];
        slope += own[c] * weights[c];
      }
      level /= count;
      slope /= count;
      for (int64_t c = g * wide; c < (g + 1) * wide; c++) {
        ofDy[c] = r * own[c];
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
  if (affineStep > 0) return;
  std::fill_n(dweight, channels, 0.0f);
  std::fill_n(dbias, channels, 0.0f);
  for (int64_t b = 0; b < batch; b++)
    for (int64_t c = 0; c < channels; c++) {
      dweight[c] += weightParts[b * channels + c];
      dbias[c] += biasParts[b * channels + c];
    }
}

}  // namespace

std::string registerGroupNormOperations() {
  return Operation<groupNormSignature, groupNorm>::registered() +
         Operation<groupNormGradSignature, groupNormGrad>::registered();
}

}  // namespace fdiv_ops
