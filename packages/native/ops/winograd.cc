// Lavin and Gray, "Fast algorithms for convolutional neural networks" (https://arxiv.org/abs/1509.09308), section 4.1:
// Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A of patches d of 4 × 4 and outputs Y of 2 × 2; summed over channels, each of the 16 places of a
// patch is a matrix product of its own. The gradient of g is Gᵀ[Σ (Bᵀ d B) ⊙ (A dY Aᵀ)]G.
#include "winograd.h"

#include <memory>
#include <vector>

#include "lanes.h"
#include "pixel-tile.h"
#include "room.h"
#include "threads.h"

namespace fdiv_ops {
namespace {

/** Numbers of a transformed patch, each in a plane of its own. */
constexpr int64_t places = 16;
/** Patches that a thread works on at once: enough for the weights' way to it to pay, few enough for the second cache. */
constexpr int64_t fewestPatches = 4 * tilePixels, mostPatches = 8 * tilePixels;
constexpr int64_t patchNumbers = 128 * 1024;

thread_local std::vector<float> bandBuffer, patchBuffer, outputBuffer;

int64_t patchesOf(const Window& w) { return w.batch * ((w.outHeight + 1) / 2) * ((w.outWidth + 1) / 2); }

/** How images are cut into patches of 2 × 2 outputs, and patches into tasks: some images, or rows of patches of one. */
struct Patches {
  Window window;
  int64_t outHeight, outWidth;
  int64_t wide, high;
  int64_t rows, images;

  /** @param most patches that a task should have */
  Patches(const Window& w, int64_t most)
      : window(w), outHeight(w.outHeight), outWidth(w.outWidth), wide((w.outWidth + 1) / 2), high((w.outHeight + 1) / 2) {
    window.outWidth = 2 * wide;
    window.outHeight = 2 * high;
    rows = evenly(high, std::clamp<int64_t>(most / wide, 1, high));
    images = rows < high ? 1 : std::max<int64_t>(1, std::min(most / (wide * high), w.batch));
  }
  int64_t bands() const { return (high + rows - 1) / rows; }
  /** Most patches of a task. */
  int64_t count() const { return images * rows * wide; }
  /** From one plane to the next: a few numbers more than needed, as planes a power of two apart share their places in a cache. */
  int64_t plane(int64_t width) const { return count() * width + widest; }
};

/** As many patches as the second cache holds before and after their products. */
int64_t cachedPatches(const Window& w, int64_t outputs) {
  return std::clamp(patchNumbers / (places * (wholeVectors(w.channels) + wholeVectors(outputs))), fewestPatches, mostPatches);
}

/** A task's patches: rows [row, row + rows) of those of images [image, image + images). */
struct Share {
  int64_t image, images, row, rows;
};

/** Bᵀ d B of a vector of channels: patch d with its pixels and lines so far apart, to 16 planes. */
inline void transformPatch(const float* from, int64_t pixel, int64_t line, float* to, int64_t plane) {
  Vector half[4][4];
  for (int x = 0; x < 4; x++) {
    const float* at = from + x * pixel;
    const Vector a = load<widest>(at), b = load<widest>(at + line), c = load<widest>(at + 2 * line), d = load<widest>(at + 3 * line);
    half[0][x] = a - c;
    half[1][x] = b + c;
    half[2][x] = c - b;
    half[3][x] = b - d;
  }
  for (int y = 0; y < 4; y++) {
    const Vector* row = half[y];
    store<widest>(to + (4 * y) * plane, row[0] - row[2]);
    store<widest>(to + (4 * y + 1) * plane, row[1] + row[2]);
    store<widest>(to + (4 * y + 2) * plane, row[2] - row[1]);
    store<widest>(to + (4 * y + 3) * plane, row[1] - row[3]);
  }
}

/** The task's patches of x, transformed: [places, patches, wholeVectors(channels)]. */
const float* transformedPatches(const Patches& p, const Share& share, const float* x) {
  const Window& w = p.window;
  const int64_t width = wholeVectors(w.channels), plane = p.plane(width);
  const int64_t line = w.bandWidth() * w.channels;
  // Vectors may reach beyond a band's last channel.
  float* band = room(bandBuffer, w.bandHeight(2 * share.rows) * line + widest);
  float* to = room(patchBuffer, places * plane);
  float* out = to;
  for (int64_t i = 0; i < share.images; i++) {
    copyBand(w, x + (share.image + i) * w.height * w.width * w.channels, 2 * share.row, 2 * share.rows, band);
    for (int64_t y = 0; y < share.rows; y++)
      for (int64_t column = 0; column < p.wide; column++, out += width)
        for (int64_t c = 0; c < w.channels; c += widest)
          transformPatch(band + 2 * y * line + 2 * column * w.channels + c, w.channels, line, out + c, plane);
  }
  return to;
}

/** G g Gᵀ of a vector of outputs: from their nine taps, a panel apart, to 16 planes. */
inline void transformTaps(const float* taps, float* to, int64_t plane) {
  Vector half[4][3];
  for (int x = 0; x < 3; x++) {
    const Vector a = load<widest>(taps + x * panel), b = load<widest>(taps + (3 + x) * panel), c = load<widest>(taps + (6 + x) * panel);
    half[0][x] = a;
    half[1][x] = 0.5f * (a + b + c);
    half[2][x] = 0.5f * (a - b + c);
    half[3][x] = c;
  }
  for (int y = 0; y < 4; y++) {
    const Vector* g = half[y];
    store<widest>(to + 4 * y * plane, g[0]);
    store<widest>(to + (4 * y + 1) * plane, 0.5f * (g[0] + g[1] + g[2]));
    store<widest>(to + (4 * y + 2) * plane, 0.5f * (g[0] - g[1] + g[2]));
    store<widest>(to + (4 * y + 3) * plane, g[2]);
  }
}

/** G g Gᵀ of a weight: [places, panels, channels, panel], columns filled up with zeros. */
struct TransformedWeight {
  std::unique_ptr<float[]> numbers;
  int64_t channels, panels;
  const float* at(int64_t place, int64_t column) const {
    return numbers.get() + (place * panels * panel + column) * channels;
  }

  TransformedWeight(const float* weight, const WeightOrder& order, int64_t channels, int64_t outputs)
      : channels(channels), panels((outputs + panel - 1) / panel) {
    const int64_t plane = panels * panel * channels;
    numbers.reset(new float[static_cast<size_t>(places * plane)]);
    forEachSpan(panels * channels, 16, [&](int64_t from, int64_t last) {
      for (int64_t r = from; r < last; r++) {
        const int64_t first = r / channels * panel, c = r % channels;
        float taps[9][panel] = {};
        for (int64_t j = 0; j < std::min(panel, outputs - first); j++)
          for (int tap = 0; tap < 9; tap++) taps[tap][j] = weight[order.at(tap, c, first + j)];
        for (int64_t j = 0; j < panel; j += widest) transformTaps(taps[0] + j, numbers.get() + r * panel + j, plane);
      }
    });
  }
};

/** Aᵀ m A + bias of a vector of outputs: from 16 planes to the four pixels of a patch, of which some lie outside. */
inline void transformBack(const float* from, int64_t plane, const Vector& bias, int64_t count, float* to, int64_t pixel,
                          int64_t line, bool isWide, bool isHigh) {
  Vector half[2][4];
  for (int x = 0; x < 4; x++) {
    const Vector a = load<widest>(from + x * plane), b = load<widest>(from + (4 + x) * plane),
                 c = load<widest>(from + (8 + x) * plane), d = load<widest>(from + (12 + x) * plane);
    half[0][x] = a + b + c;
    half[1][x] = b - c - d;
  }
  const auto put = [&](float* at, const Vector& value) {
    if (count >= widest) store<widest>(at, value);
    else std::memcpy(at, &value, sizeof(float) * static_cast<size_t>(count));
  };
  for (int y = 0; y < (isHigh ? 2 : 1); y++) {
    const Vector* m = half[y];
    put(to + y * line, m[0] + m[1] + m[2] + bias);
    if (isWide) put(to + y * line + pixel, m[1] - m[2] - m[3] + bias);
  }
}

/** The task's outputs from their planes [places, patches, width]. */
void writeOutputs(const Patches& p, const Share& share, const float* planes, int64_t width, int64_t outputs,
                  const float* bias, float* y) {
  const int64_t plane = p.plane(width), line = p.outWidth * outputs;
  for (int64_t i = 0; i < share.images; i++)
    for (int64_t r = share.row; r < share.row + share.rows; r++) {
      float* row = y + ((share.image + i) * p.outHeight + 2 * r) * line;
      for (int64_t column = 0; column < p.wide; column++, planes += width)
        for (int64_t j = 0; j < outputs; j += widest)
          transformBack(planes + j, plane, load<widest>(bias + j), outputs - j, row + 2 * column * outputs + j, outputs, line,
                        2 * column + 1 < p.outWidth, 2 * r + 1 < p.outHeight);
    }
}

/** A dY Aᵀ of a vector of outputs, to 16 planes; pixels outside are zeros. */
inline void transformSlope(const float* from, int64_t pixel, int64_t line, int64_t count, bool isWide, bool isHigh, float* to,
                           int64_t plane) {
  const auto get = [&](const float* at, bool isInside) {
    Vector value = {};
    if (!isInside) return value;
    if (count >= widest) return load<widest>(at);
    std::memcpy(&value, at, sizeof(float) * static_cast<size_t>(count));
    return value;
  };
  Vector half[4][2];
  for (int x = 0; x < 2; x++) {
    const bool isInside = x == 0 || isWide;
    const Vector a = get(from + x * pixel, isInside), b = get(from + line + x * pixel, isInside && isHigh);
    half[0][x] = a;
    half[1][x] = a + b;
    half[2][x] = a - b;
    half[3][x] = -b;
  }
  for (int y = 0; y < 4; y++) {
    store<widest>(to + 4 * y * plane, half[y][0]);
    store<widest>(to + (4 * y + 1) * plane, half[y][0] + half[y][1]);
    store<widest>(to + (4 * y + 2) * plane, half[y][0] - half[y][1]);
    store<widest>(to + (4 * y + 3) * plane, -half[y][1]);
  }
}

/** The task's patches of dy, transformed: [places, patches, wholeVectors(outputs)]. */
const float* transformedSlopes(const Patches& p, const Share& share, const float* dy, int64_t outputs) {
  const int64_t width = wholeVectors(outputs), plane = p.plane(width), line = p.outWidth * outputs;
  float* to = room(outputBuffer, places * plane);
  float* out = to;
  for (int64_t i = 0; i < share.images; i++)
    for (int64_t r = share.row; r < share.row + share.rows; r++) {
      const float* row = dy + ((share.image + i) * p.outHeight + 2 * r) * line;
      for (int64_t column = 0; column < p.wide; column++, out += width)
        for (int64_t j = 0; j < outputs; j += widest)
          transformSlope(row + 2 * column * outputs + j, outputs, line, outputs - j, 2 * column + 1 < p.outWidth,
                         2 * r + 1 < p.outHeight, out + j, plane);
    }
  return to;
}

/** Most numbers of all partial sums of a weight's gradient together. */
constexpr int64_t partialNumbers = 16 << 20;
/** Parts that a batch is cut into, whatever the machine, as sums are added part by part: enough for its threads, few beside what a part sums. */
constexpr int64_t fewestParts = 8, mostParts = 32;
constexpr int64_t partPatches = 64;

/** Patches that are summed at once: more where their sums are too many for the cache, so that going through those is little beside reading the patches. */
int64_t summedPatches(const Window& w, int64_t outputs) {
  const int64_t cached = cachedPatches(w, outputs);
  if (places * w.channels * outputs < 2 * patchNumbers) return cached;
  return std::max(cached, std::min<int64_t>(256, 2 * w.channels * outputs / (w.channels + outputs)));
}

int64_t gradientParts(const Window& w, int64_t outputs) {
  const int64_t size = places * w.channels * wholeVectors(outputs), patches = patchesOf(w);
  const int64_t wanted = std::max(fewestParts, patches / std::max(partPatches, summedPatches(w, outputs)));
  return std::min({partialNumbers / size, patches / partPatches, wanted, mostParts, w.batch});
}

/** Gᵀ s G of the parts' sums, added in their order, to dweight's 9 taps. */
void writeWeightGradient(const float* partial, int64_t parts, int64_t channels, int64_t outputs, float* dweight) {
  const int64_t width = wholeVectors(outputs), size = places * channels * width;
  forEachSpan(channels, 1, [&](int64_t from, int64_t to) {
    for (int64_t c = from; c < to; c++)
      for (int64_t j = 0; j < outputs; j += widest) {
        Vector s[4][4] = {}, half[3][4];
        for (int64_t part = 0; part < parts; part++)
          for (int64_t place = 0; place < places; place++)
            s[place / 4][place % 4] += load<widest>(partial + part * size + (place * channels + c) * width + j);
        for (int x = 0; x < 4; x++) {
          half[0][x] = s[0][x] + 0.5f * (s[1][x] + s[2][x]);
          half[1][x] = 0.5f * (s[1][x] - s[2][x]);
          half[2][x] = 0.5f * (s[1][x] + s[2][x]) + s[3][x];
        }
        for (int y = 0; y < 3; y++) {
          const Vector* m = half[y];
          const Vector taps[3] = {m[0] + 0.5f * (m[1] + m[2]), 0.5f * (m[1] - m[2]), 0.5f * (m[1] + m[2]) + m[3]};
          for (int x = 0; x < 3; x++)
            for (int64_t l = 0; l < std::min<int64_t>(widest, outputs - j); l++)
              dweight[((j + l) * channels + c) * 9 + 3 * y + x] = taps[x][l];
        }
      }
  });
}

}  // namespace

bool suitsWinograd(const Window& w, int64_t outputs) {
  return w.kernelHeight == 3 && w.kernelWidth == 3 && w.stride == 1 && w.spread == 1 && w.channels >= widest &&
         outputs >= widest;
}

void winogradConvolve(const Window& w, const float* x, const float* weight, const WeightOrder& order, int64_t outputs,
                      const float* bias, float* y) {
  const TransformedWeight transformed(weight, order, w.channels, outputs);
  const Patches p(w, cachedPatches(w, outputs));
  const int64_t width = wholeVectors(outputs), in = wholeVectors(w.channels), bands = p.bands();
  std::vector<float> shift(static_cast<size_t>(width));
  if (bias) std::copy_n(bias, outputs, shift.begin());
  // Each place's product is a convolution of one tap over patches instead of pixels.
  Window point{};
  point.channels = w.channels;
  point.kernelHeight = point.kernelWidth = point.outWidth = point.outHeight = point.stride = 1;
  forEachTask((w.batch + p.images - 1) / p.images * bands, [&](int64_t task) {
    const int64_t image = task / bands * p.images, row = task % bands * p.rows;
    const Share share{image, std::min(p.images, w.batch - image), row, std::min(p.rows, p.high - row)};
    const int64_t patches = share.images * share.rows * p.wide, group = evenly(patches, tilePixels);
    const float* from = transformedPatches(p, share, x);
    float* planes = room(outputBuffer, places * p.plane(width));
    for (int64_t place = 0; place < places; place++)
      for (int64_t j = 0; j < width; j += panel)
        for (int64_t i = 0; i < patches; i += group)
          convolvePixels(std::min(group, patches - i), point, from + place * p.plane(in) + i * in, in, transformed.at(place, j),
                         nullptr, std::min(panel, width - j), planes + place * p.plane(width) + i * width + j, width);
    writeOutputs(p, share, planes, width, outputs, shift.data(), y);
  });
}

bool suitsWinogradGradient(const Window& w, int64_t outputs) {
  return suitsWinograd(w, outputs) && gradientParts(w, outputs) >= fewestParts;
}

void winogradWeightGradient(const Window& w, const float* x, const float* dy, int64_t outputs, float* dweight) {
  const Patches p(w, summedPatches(w, outputs));
  const int64_t in = wholeVectors(w.channels), width = wholeVectors(outputs), size = places * w.channels * width;
  const int64_t wanted = gradientParts(w, outputs), each = (w.batch + wanted - 1) / wanted, parts = (w.batch + each - 1) / each;
  const std::unique_ptr<float[]> partial(new float[static_cast<size_t>(parts * size)]());
  const int64_t group = evenly(w.channels, tilePixels), together = std::min(p.images, each);
  forEachTask(parts, [&](int64_t part) {
    float* sums = partial.get() + part * size;
    const int64_t last = std::min(w.batch, (part + 1) * each);
    for (int64_t image = part * each; image < last; image += together)
      for (int64_t row = 0; row < p.high; row += p.rows) {
        const Share share{image, std::min(together, last - image), row, std::min(p.rows, p.high - row)};
        const float* a = transformedPatches(p, share, x);
        const float* b = transformedSlopes(p, share, dy, outputs);
        for (int64_t place = 0; place < places; place++)
          for (int64_t c = 0; c < w.channels; c += group)
            for (int64_t j = 0; j < width; j += panel) {
              const Meeting meeting{a + place * p.plane(in) + c, b + place * p.plane(width) + j, 1, 1,
                                    share.images * share.rows * p.wide, 0, 0, in, 0, width};
              float* to = sums + (place * w.channels + c) * width + j;
              const int64_t height = std::min(group, w.channels - c);
              if (width - j >= panel) addOuter<2>(height, meeting, to, width);
              else addOuter<1>(height, meeting, to, width);
            }
      }
  });
  writeWeightGradient(partial.get(), parts, w.channels, outputs, dweight);
}

}  // namespace fdiv_ops
