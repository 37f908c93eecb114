// Convolution of images [batch, height, width, channels] and both its gradients. Nothing is unrolled into columns: a band of an image is copied once
// with its zeros around it, and a tile of neighbouring pixels reads it where it lies.
#include <algorithm>
#include <cstring>
#include <memory>

#include "lanes.h"
#include "pixel-tile.h"
#include "room.h"
#include "tensorflow-op.h"
#include "threads.h"
#include "window.h"
#include "winograd.h"

namespace fdiv_ops {
namespace {

thread_local std::vector<float> bandBuffer, rowsBuffer;

/** A weight as panels of columns: element (tap·channels + c, j) of one at (tap·channels + c)·panel + j. */
struct PackedWeight {
  std::unique_ptr<float[]> numbers;
  int64_t depth, columns;
  const float* at(int64_t column) const { return numbers.get() + column * depth; }

  PackedWeight(const float* weight, const WeightOrder& order, int64_t channels, int64_t outputs)
      : depth(order.taps * channels), columns(outputs) {
    const int64_t panels = (outputs + panel - 1) / panel;
    numbers.reset(new float[static_cast<size_t>(panels * panel * depth)]);
    forEachTask(panels, [&](int64_t p) {
      float* to = numbers.get() + p * panel * depth;
      const int64_t count = std::min(panel, outputs - p * panel);
      for (int64_t tap = 0; tap < order.taps; tap++)
        for (int64_t c = 0; c < channels; c++, to += panel)
          for (int64_t j = 0; j < panel; j++) to[j] = j < count ? weight[order.at(tap, c, p * panel + j)] : 0.0f;
    });
  }
};

/** So few outputs that a panel would be mostly empty. */
constexpr int64_t narrow = 2;

/** One output of one pixel, a vector of channels at a time; w [taps, channels] is the output's own. */
inline float convolveOne(const Window& g, const float* x, const float* w) {
  const int64_t line = g.bandWidth() * g.channels, run = g.kernelWidth * g.channels;
  Vector sum = {};
  float rest = 0;
  for (int64_t ky = 0; ky < g.kernelHeight; ky++, w += run) {
    const float* from = x + ky * line;
    int64_t l = 0;
    for (; l + widest <= run; l += widest) sum += load<widest>(from + l) * load<widest>(w + l);
    for (; l < run; l++) rest += from[l] * w[l];
  }
  return laneSum<widest>(sum) + rest;
}

/** y [batch, outHeight, outWidth, outputs]. */
void convolve(const Window& g, const float* x, const float* weight, const WeightOrder& order, int64_t outputs,
              const float* bias, float* y) {
  if (suitsWinograd(g, outputs)) return winogradConvolve(g, x, weight, order, outputs, bias, y);
  const bool isNarrow = outputs <= narrow && g.channels * g.kernelWidth >= widest;
  std::vector<float> own;
  if (isNarrow)
    for (int64_t j = 0; j < outputs; j++)
      for (int64_t tap = 0; tap < g.taps(); tap++)
        for (int64_t c = 0; c < g.channels; c++) own.push_back(weight[order.at(tap, c, j)]);
  const PackedWeight packed(weight, order, g.channels, isNarrow ? 0 : outputs);
  const int64_t rows = evenly(g.outHeight, g.bandRows()), bands = (g.outHeight + rows - 1) / rows;
  const int64_t group = evenly(g.outWidth, tilePixels), step = g.stride * g.channels;
  forEachTask(g.batch * bands, [&](int64_t task) {
    const int64_t b = task / bands, first = task % bands * rows, count = std::min(rows, g.outHeight - first);
    float* from = room(bandBuffer, g.bandHeight(count) * g.bandWidth() * g.channels);
    copyBand(g, x + b * g.height * g.width * g.channels, first, count, from);
    float* to = y + (b * g.outHeight + first) * g.outWidth * outputs;
    const int64_t line = g.bandWidth() * g.channels * g.stride;
    if (isNarrow) {
      for (int64_t r = 0; r < count; r++)
        for (int64_t i = 0; i < g.outWidth; i++)
          for (int64_t j = 0; j < outputs; j++)
            to[(r * g.outWidth + i) * outputs + j] =
                convolveOne(g, from + r * line + i * step, own.data() + j * packed.depth) + (bias ? bias[j] : 0.0f);
      return;
    }
    for (int64_t j = 0; j < outputs; j += panel)
      for (int64_t r = 0; r < count; r++)
        for (int64_t i = 0; i < g.outWidth; i += group)
          convolvePixels(std::min(group, g.outWidth - i), g, from + r * line + i * step, step, packed.at(j),
                         bias ? bias + j : nullptr, std::min(panel, outputs - j), to + (r * g.outWidth + i) * outputs + j, outputs);
  });
}

/** Rows of `width` numbers, filled up to whole vectors. */
const float* widenedRows(const float* from, int64_t rows, int64_t width, int64_t whole) {
  if (width == whole) return from;
  float* to = room(rowsBuffer, rows * whole);
  for (int64_t r = 0; r < rows; r++) {
    std::copy_n(from + r * width, width, to + r * whole);
    std::fill_n(to + r * whole + width, whole - width, 0.0f);
  }
  return to;
}

/** Most numbers of all partial sums of a weight's gradient together. */
constexpr int64_t partialNumbers = 4 << 20;
/** Most parts that a batch is cut into: a number of the problem, not of the machine, as sums are added part by part. */
constexpr int64_t mostParts = 32;
/** Fewest pixels of a part: adding up its sums must be little beside making them. */
constexpr int64_t partPixels = 2048;

/** dweight [outputs, channels, taps]: partial sums [tap, channel, output] of parts of the batch, added in their order. */
void weightGradient(const Window& g, const float* x, const float* dy, int64_t outputs, float* dweight) {
  if (suitsWinogradGradient(g, outputs)) return winogradWeightGradient(g, x, dy, outputs, dweight);
  const int64_t whole = wholeVectors(outputs), size = g.taps() * g.channels * whole;
  const int64_t pixels = g.batch * g.outHeight * g.outWidth;
  const int64_t wanted = std::clamp<int64_t>(std::min(partialNumbers / size, pixels / partPixels), 1, mostParts);
  const int64_t each = (g.batch + wanted - 1) / wanted, parts = (g.batch + each - 1) / each;
  const std::unique_ptr<float[]> partial(new float[static_cast<size_t>(parts * size)]());
  const int64_t rows = evenly(g.outHeight, g.bandRows()), line = g.bandWidth() * g.channels;
  const int64_t group = evenly(g.channels, tilePixels), bandSize = g.bandHeight(rows) * line;
  // Small images are taken several at a time, so that a tile has something to sum; their rows of dy lie one behind the other.
  const int64_t together = rows < g.outHeight ? 1 : std::clamp<int64_t>(bandNumbers / bandSize, 1, each);
  // Few parts are cut by taps as well.
  const int64_t cuts = parts >= 8 ? 1 : g.taps(), perCut = g.taps() / cuts;
  forEachTask(parts * cuts, [&](int64_t task) {
    const int64_t part = task / cuts, tap0 = task % cuts * perCut;
    float* sums = partial.get() + part * size;
    const int64_t last = std::min(g.batch, (part + 1) * each);
    for (int64_t b = part * each; b < last; b += together)
      for (int64_t first = 0; first < g.outHeight; first += rows) {
        const int64_t count = std::min(rows, g.outHeight - first), images = std::min(together, last - b);
        float* bands = room(bandBuffer, images * bandSize);
        for (int64_t i = 0; i < images; i++)
          copyBand(g, x + (b + i) * g.height * g.width * g.channels, first, count, bands + i * bandSize);
        const float* slope = widenedRows(dy + (b * g.outHeight + first) * g.outWidth * outputs,
                                         images * count * g.outWidth, outputs, whole);
        for (int64_t tap = tap0; tap < tap0 + perCut; tap++)
          for (int64_t c = 0; c < g.channels; c += group)
            for (int64_t j = 0; j < whole; j += panel) {
              const float* at = bands + tap / g.kernelWidth * line + tap % g.kernelWidth * g.channels + c;
              const Meeting meeting{at,       slope + j,       images,
                                    count,    g.outWidth,      bandSize,
                                    g.stride * line, g.stride * g.channels, g.outWidth * whole, whole};
              float* to = sums + (tap * g.channels + c) * whole + j;
              const int64_t height = std::min(group, g.channels - c);
              if (whole - j >= panel) addOuter<2>(height, meeting, to, whole);
              else addOuter<1>(height, meeting, to, whole);
            }
      }
  });
  forEachSpan(outputs, 1, [&](int64_t from, int64_t to) {
    for (int64_t j = from; j < to; j++)
      for (int64_t tap = 0; tap < g.taps(); tap++)
        for (int64_t c = 0; c < g.channels; c++) {
          float sum = 0;
          for (int64_t part = 0; part < parts; part++) sum += partial[part * size + (tap * g.channels + c) * whole + j];
          dweight[(j * g.channels + c) * g.taps() + tap] = sum;
        }
  });
}

/** The places of attributes, of all three operations alike. */
enum { strideAt, topAt, bottomAt, leftAt, rightAt };

int64_t windows(int64_t size, int64_t before, int64_t after, int64_t kernel, int64_t stride) {
  return (size + before + after - kernel) / stride + 1;
}

const Signature convolutionSignature{"FdivConv2d",
                                     {"x: float", "weight: float", "bias: float"},
                                     {"y: float"},
                                     {"stride: int", "top: int", "bottom: int", "left: int", "right: int"}};
void convolution(Call& call) {
  const Attributes& given = call.attributes;
  const int64_t stride = given.integer(strideAt), kh = call.dim(1, 2), kw = call.dim(1, 3);
  const Window g{call.dim(0, 0), call.dim(0, 1), call.dim(0, 2), call.dim(0, 3), kh, kw, stride, given.integer(topAt), given.integer(leftAt),
                   windows(call.dim(0, 1), given.integer(topAt), given.integer(bottomAt), kh, stride),
                   windows(call.dim(0, 2), given.integer(leftAt), given.integer(rightAt), kw, stride)};
  const int64_t outputs = call.dim(1, 0);
  if (call.dim(1, 1) != g.channels || (call.size(2) != 0 && call.size(2) != outputs))
    return call.fail("FdivConv2d: weight or bias do not fit the images.");
  float* y = call.output(0, {g.batch, g.outHeight, g.outWidth, outputs});
  if (!call.ok()) return;
  convolve(g, call.floats(0), call.floats(1), {g.taps(), g.taps(), g.channels * g.taps()}, outputs,
           call.size(2) > 0 ? call.floats(2) : nullptr, y);
}

/** dx: a convolution of dy, its pixels as far apart as the stride, with the weight turned round. */
const Signature inputGradSignature{
    "FdivConv2dInputGrad",
    {"dy: float", "weight: float"},
    {"dx: float"},
    {"stride: int", "top: int", "bottom: int", "left: int", "right: int", "height: int", "width: int"}};
void inputGrad(Call& call) {
  const Attributes& given = call.attributes;
  const int64_t kh = call.dim(1, 2), kw = call.dim(1, 3), channels = call.dim(1, 1), outputs = call.dim(1, 0);
  const Window g{call.dim(0, 0), call.dim(0, 1), call.dim(0, 2), outputs, kh, kw, 1, kh - 1 - given.integer(topAt), kw - 1 - given.integer(leftAt),
                   given.integer(5), given.integer(6), given.integer(strideAt)};
  if (call.dim(0, 3) != outputs) return call.fail("FdivConv2dInputGrad: dy and weight do not fit.");
  float* dx = call.output(0, {g.batch, g.outHeight, g.outWidth, channels});
  if (!call.ok()) return;
  convolve(g, call.floats(0), call.floats(1), {g.taps(), channels * g.taps(), g.taps(), true}, channels, nullptr, dx);
}

const Signature weightGradSignature{
    "FdivConv2dWeightGrad",
    {"dy: float", "x: float"},
    {"dweight: float"},
    {"stride: int", "top: int", "bottom: int", "left: int", "right: int", "height: int", "width: int"}};
void weightGrad(Call& call) {
  const Attributes& given = call.attributes;
  const int64_t kh = given.integer(5), kw = given.integer(6), outputs = call.dim(0, 3);
  const Window g{call.dim(1, 0), call.dim(1, 1), call.dim(1, 2), call.dim(1, 3), kh, kw, given.integer(strideAt), given.integer(topAt),
                   given.integer(leftAt), call.dim(0, 1), call.dim(0, 2)};
  if (call.dim(0, 0) != g.batch) return call.fail("FdivConv2dWeightGrad: dy and x do not fit.");
  float* dweight = call.output(0, {outputs, g.channels, kh, kw});
  if (!call.ok()) return;
  weightGradient(g, call.floats(1), call.floats(0), outputs, dweight);
}

}  // namespace

std::string registerConvolutionOperations() {
  return Operation<convolutionSignature, convolution>::registered() + Operation<inputGradSignature, inputGrad>::registered() +
         Operation<weightGradSignature, weightGrad>::registered();
}

}  // namespace fdiv_ops
